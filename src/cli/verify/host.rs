//! The receiver of a row over a WebSocket: in this process, or in one of its own.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::super::interrupt::{self, AtEnd};
use super::checks::{Checks, shown};
use super::error::VerifyError;
use super::phase::Phase;
use super::world::RowFolder;
use crate::server::{Server, ServerOpts};

/// How `serve` begins the line that tells its URL.
const LISTENING: &str = "listening on ";
/// How long a process may take to listen.
const STARTING: Duration = Duration::from_secs(60);
/// How long a closed socket may take to be gone.
const CLOSING: Duration = Duration::from_secs(10);

/// A receiver that listens on loopback.
pub(super) enum Host {
    /// In this process.
    Embedded(Server),
    /// A `serve` process.
    Process(ServeProcess),
}

impl Host {
    /// Starts the receiver that the phase asks for.
    pub fn start(
        phase: Phase,
        runtime: &Runtime,
        place: &RowFolder,
        program: &Path,
    ) -> Result<Host, VerifyError> {
        if phase.is_embedded() {
            let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let opts = ServerOpts::new(listen, place.receiver_path());
            return Ok(Host::Embedded(runtime.block_on(Server::start(opts))?));
        }
        Ok(Host::Process(ServeProcess::start(program, place)?))
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        match self {
            Host::Embedded(server) => server.url(),
            Host::Process(process) => process.url.clone(),
        }
    }

    /// Asserts that the row left it well, and stops it.
    pub fn stop(self, runtime: &Runtime, checks: &mut Checks) -> Result<(), VerifyError> {
        match self {
            Host::Embedded(server) => {
                let until = Instant::now() + CLOSING;
                while server.open_sockets() > 0 && Instant::now() < until {
                    std::thread::sleep(Duration::from_millis(5));
                }
                checks.equal("sockets left open on the receiver", 0, server.open_sockets());
                Ok(runtime.block_on(server.stop())?)
            }
            Host::Process(process) => {
                let ended = process.child().try_wait();
                let ended = ended.map_err(VerifyError::io("ask for serve"))?;
                let ended = ended.map(|status| status.to_string());
                let what = "the serve process has ended by itself with";
                checks.equal(what, "absent", shown(ended));
                Ok(())
            }
        }
    }
}

/// A `serve` process, ended when dropped, and where a signal ends this one.
pub(super) struct ServeProcess {
    child: Arc<Mutex<Child>>,
    url: String,
    _at_end: AtEnd,
}

impl ServeProcess {
    fn start(program: &Path, place: &RowFolder) -> Result<ServeProcess, VerifyError> {
        let doing = || format!("start {} serve", program.display());
        let log = place.dir().join("serve.log");
        let stderr = std::fs::File::create(&log).map_err(VerifyError::io("write serve.log"))?;
        let mut child = Command::new(program)
            .arg("--home")
            .arg(place.dir().join("serve"))
            .args(["serve", "--listen", "127.0.0.1:0", "--space"])
            .arg(place.receiver_path())
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
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            let said = said.lines().last().or(first.as_deref()).unwrap_or("it said nothing");
            return Err(VerifyError::Serve(said.to_owned()));
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
    let (tell, message_of) = mpsc::channel();
    std::thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        if stdout.by_ref().take(4096).read_line(&mut line).is_ok_and(|read| read > 0) {
            let _ = tell.send(line);
        }
        let _ = std::io::copy(&mut stdout, &mut std::io::sink());
    });
    message_of.recv_timeout(STARTING).ok()
}
