//! Receivers of `verify` that run in `serve` processes of their own.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use crate::cli::interrupt::{self, AtEnd};
use crate::verify::{Launcher, ReceiverProcess, VerifyError};

/// How `serve` begins the line that tells its URL.
const LISTENING: &str = "listening on ";
/// How long a process may take to listen.
const STARTING: Duration = Duration::from_secs(60);

/// Starts receivers as `serve` processes.
#[derive(Debug, Clone)]
pub struct ServeProgram(PathBuf);

impl ServeProgram {
    /// Receivers that are run by `program`, which is this one.
    pub fn new(program: PathBuf) -> ServeProgram {
        ServeProgram(program)
    }
}

impl Launcher for ServeProgram {
    fn launch(&self, dir: &Path, space: &Path) -> Result<Box<dyn ReceiverProcess>, VerifyError> {
        Ok(Box::new(ServeProcess::start(&self.0, dir, space)?))
    }
}

/// A `serve` process, ended when dropped, and where a signal ends this one.
struct ServeProcess {
    child: Arc<Mutex<Child>>,
    url: String,
    _at_end: AtEnd,
}

impl ServeProcess {
    fn start(program: &Path, dir: &Path, space: &Path) -> Result<ServeProcess, VerifyError> {
        let doing = || format!("start {} serve", program.display());
        let log = dir.join("serve.log");
        let stderr = std::fs::File::create(&log).map_err(VerifyError::io("write serve.log"))?;
        let mut child = Command::new(program)
            .arg("--home")
            .arg(dir.join("serve"))
            .args(["serve", "--listen", "127.0.0.1:0", "--space"])
            .arg(space)
            .env_remove("SYNC_GIB_HOME")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .map_err(VerifyError::io(doing()))?;
        // From here on the child is ended on every way out.
        let stdout = child.stdout.take();
        let child = Arc::new(Mutex::new(child));
        let ending = Arc::clone(&child);
        let _at_end = interrupt::at_end(move || end(&ending));
        let mut process = ServeProcess { child, url: String::new(), _at_end };
        let first = stdout.and_then(first_line);
        let url = first.as_deref().and_then(|line| line.trim().strip_prefix(LISTENING));
        let Some(url) = url else {
            let output = std::fs::read_to_string(&log).unwrap_or_default();
            let output = output.lines().last().or(first.as_deref()).unwrap_or("it said nothing");
            return Err(VerifyError::Serve(output.to_owned()));
        };
        process.url = url.to_owned();
        Ok(process)
    }
}

impl ServeProcess {
    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReceiverProcess for ServeProcess {
    fn url(&self) -> &str {
        &self.url
    }

    fn ended(&self) -> Result<Option<String>, VerifyError> {
        let ended = self.child().try_wait().map_err(VerifyError::io("ask for serve"))?;
        Ok(ended.map(|status| status.to_string()))
    }
}

impl Drop for ServeProcess {
    fn drop(&mut self) {
        end(&self.child);
    }
}

/// Ends a process; it may have ended by itself.
fn end(child: &Mutex<Child>) {
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = child.kill();
    let _ = child.wait();
}

/// The first line that a process prints; none where it prints none in time. A thread reads on
/// until the process ends, so that it never waits for a reader.
fn first_line(stdout: ChildStdout) -> Option<String> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        if stdout.by_ref().take(4096).read_line(&mut line).is_ok_and(|read| read > 0) {
            let _ = tell.send(line);
        }
        let _ = std::io::copy(&mut stdout, &mut std::io::sink());
    });
    told.recv_timeout(STARTING).ok()
}
