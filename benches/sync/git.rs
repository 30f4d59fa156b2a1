//! The rival: git over `git://` on loopback, with one commit per frame, which holds the frame and
//! its dna as two files.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Result;
use crate::process::{self, Guard, Ran};

/// A repository with the same bytes, packed, and a daemon that others push to.
pub struct Rival {
    dir: PathBuf,
    authority: String,
    /// When the next commit is dated: later than all before it, or git would walk the whole
    /// history for what is common.
    next_date: Cell<u64>,
    _daemon: Guard,
}

/// The date of the first commit, in seconds.
const FIRST_DATE: u64 = 1_700_000_000;

fn git(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.args(args).current_dir(dir).env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0");
    command
}

impl Rival {
    /// Whether there is a git to compare with.
    pub fn is_there() -> bool {
        Command::new("git").arg("--version").output().is_ok_and(|said| said.status.success())
    }

    /// Makes the repository from NDJSON, and starts the daemon.
    pub fn make(dir: &Path, ndjson: &Path) -> Result<Rival> {
        std::fs::create_dir_all(dir)?;
        process::run(&mut git(dir, &["init", "--quiet", "--bare", "work"]), false)?;
        let mut frames = Commits::start(&dir.join("work"), None)?;
        let mut dna = String::new();
        for line in BufReader::new(File::open(ndjson)?).lines() {
            let line = line?;
            match line.starts_with(r#"{"ib":"mut8","#) || line.starts_with(r#"{"ib":"fork","#) {
                true => dna = line,
                false => frames.add(&dna, &line)?,
            }
        }
        let next_date = Cell::new(frames.end()?);
        process::run(&mut git(&dir.join("work"), &["repack", "-a", "-d", "-q"]), false)?;
        let (daemon, authority) = start_daemon(dir)?;
        Ok(Rival { dir: dir.to_owned(), authority, next_date, _daemon: daemon })
    }

    /// Makes the repository of a document, one commit a version, and starts the daemon.
    pub fn of_versions(dir: &Path, versions: &[String]) -> Result<Rival> {
        std::fs::create_dir_all(dir)?;
        process::run(&mut git(dir, &["init", "--quiet", "--bare", "work"]), false)?;
        let mut commits = Commits::start(&dir.join("work"), None)?;
        for version in versions {
            commits.add_files(&[("document.txt", version)])?;
        }
        let next_date = Cell::new(commits.end()?);
        // Not packed by the import alone, which looks for no good deltas.
        let repack = ["repack", "-a", "-d", "-f", "-q"];
        process::run(&mut git(&dir.join("work"), &repack), false)?;
        let (daemon, authority) = start_daemon(dir)?;
        Ok(Rival { dir: dir.to_owned(), authority, next_date, _daemon: daemon })
    }

    /// Adds a version of the document.
    pub fn commit_version(&self, version: &str) -> Result<()> {
        let mut commits = Commits::start(&self.dir.join("work"), Some(self.next_date.get()))?;
        commits.add_files(&[("document.txt", version)])?;
        self.next_date.set(commits.end()?);
        Ok(())
    }

    /// How large the packs of the repository that pushes are.
    pub fn packed(&self) -> Result<u64> {
        let mut bytes = 0;
        for entry in std::fs::read_dir(self.dir.join("work/objects/pack"))? {
            bytes += entry?.metadata()?.len();
        }
        Ok(bytes)
    }

    /// Host and port of the daemon.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Adds one commit to the repository that pushes.
    pub fn commit(&self, dna: &str, frame: &str) -> Result<()> {
        let mut commits = Commits::start(&self.dir.join("work"), Some(self.next_date.get()))?;
        commits.add(dna, frame)?;
        self.next_date.set(commits.end()?);
        Ok(())
    }

    /// Makes an empty repository `name` to push to.
    pub fn make_dest(&self, name: &str) -> Result<()> {
        let _ = std::fs::remove_dir_all(self.dir.join(name));
        process::run(&mut git(&self.dir, &["init", "--quiet", "--bare", name]), false).map(drop)
    }

    /// Has the repository `name` sync to the disk whatever it is sent, loose objects and refs too.
    pub fn sync_everything(&self, name: &str) -> Result<()> {
        let mut set = git(&self.dir.join(name), &["config", "core.fsync", "all"]);
        process::run(&mut set, false).map(drop)
    }

    /// Pushes to the repository `name`, through `authority`.
    pub fn push(&self, authority: &str, name: &str) -> Result<Ran> {
        let url = format!("git://{authority}/{name}");
        let args = ["push", "--quiet", &url, "refs/heads/main"];
        process::run(&mut git(&self.dir.join("work"), &args), false)
    }

    /// Clones the repository `name`, through `authority`, without checking anything out.
    pub fn clone(&self, authority: &str, name: &str) -> Result<Ran> {
        let url = format!("git://{authority}/{name}");
        let _ = std::fs::remove_dir_all(self.dir.join("clone"));
        let args = ["clone", "--quiet", "--bare", &url, "clone"];
        process::run(&mut git(&self.dir, &args), false)
    }
}

fn start_daemon(dir: &Path) -> Result<(Guard, String)> {
    let authority = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
    // Not by way of `git daemon`, which would leave the daemon behind when it is killed.
    let path = process::run(&mut git(dir, &["--exec-path"]), false)?.stdout;
    let mut command = Command::new(Path::new(path.trim()).join("git-daemon"));
    command.args(["--enable=receive-pack", "--export-all", "--reuseaddr"]);
    command.args(["--listen=127.0.0.1", &format!("--port={}", authority.port())]);
    command.arg(format!("--base-path={}", dir.display())).arg(dir);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let daemon = Guard(command.spawn()?);
    for _ in 0..200 {
        if TcpStream::connect(authority).is_ok() {
            return Ok((daemon, authority.to_string()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err("git-daemon does not start".into())
}

/// Commits being imported.
struct Commits {
    import: Guard,
    next_date: u64,
    /// Whether the next commit follows the branch's newest.
    goes_on: bool,
}

impl Commits {
    /// Begins an import; with a date its first commit has that date and follows the branch's
    /// newest.
    fn start(repository: &Path, goes_on_at: Option<u64>) -> Result<Commits> {
        let mut command = git(repository, &["fast-import", "--quiet"]);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let next_date = goes_on_at.unwrap_or(FIRST_DATE);
        let goes_on = goes_on_at.is_some();
        Ok(Commits { import: Guard(command.spawn()?), next_date, goes_on })
    }

    fn add(&mut self, dna: &str, frame: &str) -> Result<()> {
        self.add_files(&[("dna.json", dna), ("frame.json", frame)])
    }

    fn add_files(&mut self, files: &[(&str, &str)]) -> Result<()> {
        let Some(stdin) = &mut self.import.0.stdin else { return Err("no import".into()) };
        let mut out = BufWriter::new(stdin);
        let date = self.next_date;
        write!(out, "commit refs/heads/main\ncommitter b <b@example.org> {date} +0000\n")?;
        write!(out, "data 4\nedit\n")?;
        if std::mem::take(&mut self.goes_on) {
            writeln!(out, "from refs/heads/main^0")?;
        }
        for (name, text) in files {
            write!(out, "M 100644 inline {name}\ndata {}\n{text}\n", text.len())?;
        }
        out.flush()?;
        self.next_date += 1;
        Ok(())
    }

    /// Ends the import; returns when a commit after it is to be dated.
    fn end(mut self) -> Result<u64> {
        drop(self.import.0.stdin.take());
        match self.import.0.wait()?.success() {
            true => Ok(self.next_date),
            false => Err("git fast-import failed".into()),
        }
    }
}
