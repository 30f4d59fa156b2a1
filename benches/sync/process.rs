//! Processes that the bench starts, each of which ends with its guard.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;

/// The program that is measured.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_sync-gib");

/// How often a process's peak memory is looked at while it runs.
const LOOK: Duration = Duration::from_millis(5);

/// A process that is killed when its guard is dropped.
pub struct Guard(pub Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What one command took.
#[derive(Debug, Clone)]
pub struct Ran {
    /// From before it was started until it had ended.
    pub time: Duration,
    /// The most memory that it held, in bytes; 0 where nobody looked in time.
    pub peak: u64,
    /// What it printed.
    pub stdout: String,
}

/// Runs a command to its end. Errors, with what it said, where it fails.
///
/// `look` has another thread read its peak memory meanwhile, which only long runs do not feel.
pub fn run(command: &mut Command, look: bool) -> Result<Ran> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = Instant::now();
    let mut child = Guard(command.spawn().map_err(|error| format!("{command:?}: {error}"))?);
    let id = child.0.id();
    let watcher = look.then(|| std::thread::spawn(move || watch(id)));
    let (mut stdout, mut stderr) = (String::new(), String::new());
    if let Some(out) = &mut child.0.stdout {
        out.read_to_string(&mut stdout)?;
    }
    let status = child.0.wait()?;
    let time = started.elapsed();
    let peak = watcher.and_then(|watcher| watcher.join().ok()).unwrap_or(0);
    if !status.success() {
        if let Some(err) = &mut child.0.stderr {
            err.read_to_string(&mut stderr)?;
        }
        return Err(format!("{command:?} failed ({status}): {stdout}{stderr}").into());
    }
    Ok(Ran { time, peak, stdout })
}

fn watch(id: u32) -> u64 {
    let mut peak = 0;
    while let Some(seen) = peak_of(id) {
        peak = seen;
        std::thread::sleep(LOOK);
    }
    peak
}

/// The most memory that a process has held so far, in bytes; none once it has ended.
pub fn peak_of(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib << 10)
}

/// `sync-gib` with a home.
pub fn sync_gib(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(args).arg("--home").arg(home).env_remove("RUST_LOG");
    command
}

/// A `sync-gib serve` process.
pub struct Server {
    guard: Guard,
    url: String,
}

impl Server {
    /// Starts one on a free port over the space at `space`; its log goes to a file beside it.
    pub fn start(space: &Path) -> Result<Server> {
        let log = File::create(space.with_extension("log"))?;
        let mut command = Command::new(PROGRAM);
        command.args([OsStr::new("serve"), "--listen".as_ref(), "127.0.0.1:0".as_ref()]);
        command.arg("--space").arg(space).env_remove("RUST_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut guard = Guard(command.spawn()?);
        let mut line = String::new();
        if let Some(out) = &mut guard.0.stdout {
            BufReader::new(out).read_line(&mut line)?;
        }
        let url = line.trim().strip_prefix("listening on ").ok_or("the server does not start")?;
        Ok(Server { url: url.to_owned(), guard })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Host and port.
    pub fn authority(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// The most memory that it has held so far, in bytes.
    pub fn peak(&self) -> u64 {
        peak_of(self.guard.0.id()).unwrap_or(0)
    }
}
