//! The receiver of a row over a WebSocket: in this process, or in one of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::checks::{Checks, shown};
use super::error::VerifyError;
use super::phase::Phase;
use super::world::RowFolder;
use crate::server::{Server, ServerOpts};

/// How long a closed socket may take to be gone.
const CLOSING: Duration = Duration::from_secs(10);

/// Starts a receiver in a process of its own.
pub trait Launcher {
    /// Starts a receiver that listens on loopback and keeps its space in the file `space`; whatever
    /// else it writes goes to `dir`. Errors where it does not listen in time.
    fn launch(&self, dir: &Path, space: &Path) -> Result<Box<dyn ReceiverProcess>, VerifyError>;
}

/// A receiver in a process of its own, which ends when this is dropped.
pub trait ReceiverProcess {
    /// Where it listens.
    fn url(&self) -> &str;

    /// What it ended with, where it ended by itself.
    fn ended(&self) -> Result<Option<String>, VerifyError>;
}

/// A receiver that listens on loopback.
pub(super) enum Host {
    /// In this process.
    Embedded(Server),
    /// In another one.
    Process(Box<dyn ReceiverProcess>),
}

impl Host {
    /// Starts the receiver that the phase asks for.
    pub fn start(
        phase: Phase,
        runtime: &Runtime,
        place: &RowFolder,
        launcher: &dyn Launcher,
    ) -> Result<Host, VerifyError> {
        if phase.is_embedded() {
            let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let opts = ServerOpts::new(listen, place.receiver_path());
            return Ok(Host::Embedded(runtime.block_on(Server::start(opts))?));
        }
        Ok(Host::Process(launcher.launch(place.dir(), &place.receiver_path())?))
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        match self {
            Host::Embedded(server) => server.url(),
            Host::Process(process) => process.url().to_owned(),
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
                let what = "the serve process has ended by itself with";
                checks.equal(what, "absent", shown(process.ended()?));
                Ok(())
            }
        }
    }
}
