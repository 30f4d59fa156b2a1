//! Homes and servers as processes of their own, for the tests of the program over a network.
#![allow(dead_code)]

pub mod relay;
pub mod rng;
pub mod scene;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

pub const BIN: &str = env!("CARGO_BIN_EXE_sync-gib");

/// A `serve` process, killed when dropped.
pub struct Serve {
    child: Child,
    pub url: String,
}

impl Serve {
    pub fn start(space: &Path, listen: &str, more: &[&str]) -> Serve {
        Serve::start_logging(space, listen, more, Stdio::null())
    }

    pub fn start_logging(space: &Path, listen: &str, more: &[&str], log: Stdio) -> Serve {
        let mut command = Command::new(BIN);
        command.args(["serve", "--listen", listen, "--space"]).arg(space).args(more).stderr(log);
        Serve::started_by(command)
    }

    /// The same, by a command that becomes it.
    pub fn started_by(mut command: Command) -> Serve {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").expect("the URL").to_owned();
        Serve { child, url }
    }

    /// Where it listens.
    pub fn addr(&self) -> std::net::SocketAddr {
        self.url.strip_prefix("http://").unwrap().parse().unwrap()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(self, signal: &str) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        self.ended()
    }

    /// Waits until it has ended by itself; its exit code.
    pub fn ended(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder with homes and a secret in it.
pub struct World {
    pub dir: tempfile::TempDir,
}

impl World {
    pub fn new() -> World {
        let world = World { dir: tempfile::tempdir().unwrap() };
        std::fs::write(world.secret(), "correct horse battery staple walnut\n").unwrap();
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn secret(&self) -> PathBuf {
        self.path("secret")
    }

    /// The program with these arguments, not yet started.
    pub fn command(&self, home: &str, args: &[&str]) -> Command {
        let mut command = Command::new(BIN);
        command.arg("--home").arg(self.path(home)).args(args).stdin(Stdio::null());
        if matches!(args[0], "setup" | "sync" | "check") || args.contains(&"revoke") {
            command.arg("--secret-file").arg(self.secret());
        }
        command
    }

    pub fn run(&self, home: &str, args: &[&str]) -> Output {
        self.command(home, args).output().unwrap()
    }

    pub fn ok(&self, home: &str, args: &[&str]) -> String {
        let output = self.run(home, args);
        assert!(
            output.status.success(),
            "{args:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn json(&self, home: &str, args: &[&str]) -> Value {
        let mut all = args.to_vec();
        all.push("--json");
        serde_json::from_slice(&self.run(home, &all).stdout).unwrap()
    }

    pub fn fails(&self, home: &str, args: &[&str], exit: i32) -> String {
        let output = self.run(home, args);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(exit), "{args:?}: {text}");
        text
    }

    /// Runs what must fail, with this code and exit code; returns the whole object.
    pub fn fails_as(&self, home: &str, args: &[&str], code: &str, exit: i32) -> Value {
        let failed = self.json(home, args);
        assert_eq!(
            (&failed["error"]["code"], &failed["exit"]),
            (&code.into(), &exit.into()),
            "{args:?}: {failed}"
        );
        failed
    }
}

/// A small disk of its own, taken away when dropped.
pub struct Disk {
    dir: tempfile::TempDir,
}

impl Disk {
    /// Mounts one of so many KiB; none, with a word on why, where this user may not.
    pub fn mount(kib: u64) -> Option<Disk> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={kib}k,mode=0755");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(dir.path())
            .output();
        match mount {
            Ok(output) if output.status.success() => Some(Disk { dir }),
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr).into_owned();
                eprintln!("skipped: no disk can be mounted here: {why}");
                None
            }
            Err(error) => {
                eprintln!("skipped: no disk can be mounted here: {error}");
                None
            }
        }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// From now on it can only be read.
    pub fn make_read_only(&self) {
        let args = ["-o", "remount,ro"];
        assert!(Command::new("mount").args(args).arg(self.path()).status().unwrap().success());
    }

    /// Fills it but for so many KiB.
    pub fn fill_but(&self, kib: u64) {
        use std::io::Write;
        let mut filler = std::fs::File::create(self.path().join("filler")).unwrap();
        let block = [1; 4096];
        while filler.write_all(&block).is_ok() {}
        let len = filler.metadata().unwrap().len();
        filler.set_len(len.saturating_sub(kib << 10)).unwrap();
    }

    /// Makes room again.
    pub fn free(&self) {
        std::fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
