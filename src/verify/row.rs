//! One phase, one way.

use std::path::{Path, PathBuf};

use super::checks::{Assertion, Checks};
use super::error::VerifyError;
use super::host::{Host, Launcher};
use super::phase::Phase;
use super::world::{RowFolder, SECOND, SENDER, World};
use crate::peer::{Endpoint, InProcess, Remote, Timeouts};
use crate::space::SqliteSpace;

/// What is between sender and receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Nothing: way A.
    InProcess,
    /// A WebSocket on loopback: way B.
    WebSocket,
}

impl Transport {
    /// The way's letter in the table.
    pub fn letter(self) -> &'static str {
        match self {
            Transport::InProcess => "A",
            Transport::WebSocket => "B",
        }
    }
}

/// Where a row runs.
#[derive(Clone, Copy)]
pub struct Setting<'s> {
    /// The row's folder, made where it is absent.
    pub dir: &'s Path,
    /// Starts the receivers that have a process of their own.
    pub launcher: &'s dyn Launcher,
}

/// What a row came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The phase.
    pub phase: Phase,
    /// The way.
    pub transport: Transport,
    /// The row's folder.
    pub dir: PathBuf,
    /// What was asserted, in order.
    pub assertions: Vec<Assertion>,
}

impl Outcome {
    /// The assertions that do not hold.
    pub fn failed(&self) -> impl Iterator<Item = &Assertion> {
        self.assertions.iter().filter(|assertion| !assertion.ok)
    }

    /// The homes that the row made, the sender's first.
    pub fn homes(&self) -> Vec<PathBuf> {
        let homes = [SENDER, SECOND].map(|label| self.dir.join(label));
        homes.into_iter().filter(|home| home.join("space.db").exists()).collect()
    }

    /// The file with the secret of the row's identity.
    pub fn secret(&self) -> PathBuf {
        self.dir.join("secret")
    }
}

/// The name of a row's folder, such as `4.7-a`.
pub fn name_of_row(phase: Phase, transport: Transport) -> String {
    format!("{}-{}", phase.number(), transport.letter().to_lowercase())
}

/// Runs a phase one way. What goes wrong is an assertion that does not hold.
pub fn run_row(phase: Phase, transport: Transport, setting: &Setting<'_>) -> Outcome {
    let mut checks = Checks::default();
    let ended = match transport {
        Transport::InProcess => in_process(phase, setting, &mut checks),
        Transport::WebSocket => over_websocket(phase, setting, &mut checks),
    };
    checks.ended(ended);
    Outcome { phase, transport, dir: setting.dir.to_owned(), assertions: checks.into_list() }
}

fn in_process(phase: Phase, setting: &Setting<'_>, checks: &mut Checks) -> Result<(), VerifyError> {
    let place = RowFolder::make(setting.dir)?;
    let dest = SqliteSpace::create_if_missing(&place.receiver_path(), place.domain())?;
    let link = InProcess::new(dest, place.dir().join(SENDER));
    phase.play(&mut World::new(&place, &link, checks, false))
}

fn over_websocket(
    phase: Phase,
    setting: &Setting<'_>,
    checks: &mut Checks,
) -> Result<(), VerifyError> {
    let place = RowFolder::make(setting.dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(VerifyError::io("start the network's threads"))?;
    let host = Host::start(phase, &runtime, &place, setting.launcher)?;
    let endpoint = Endpoint::new(&host.url(), None, false)?;
    let link = Remote::new(&runtime, endpoint, Timeouts::default())?;
    let played = phase.play(&mut World::new(&place, &link, checks, true));
    host.stop(&runtime, checks)?;
    played
}
