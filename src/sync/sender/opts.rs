//! What a sync is about and how it goes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::ibgib::{Addr, Environment, System};
use crate::space::{KeptFolder, StateDigest};
use crate::sync::Features;
use crate::sync::payload::Limits;

/// [`SenderOpts::retry_for`] where nothing else is asked for.
pub const RETRY_FOR: Duration = Duration::from_secs(60);

/// Which way a sync moves things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Both ways, until both sides agree.
    #[default]
    Both,
    /// Only what the receiver has comes here.
    PullOnly,
    /// Only what is here goes to the receiver.
    PushOnly,
}

/// [`SenderOpts::listed`] where nothing else is asked for.
const LISTED: u64 = 64;

/// How many bytes one sync may bring here where nothing else is asked for.
pub const PULL_BYTES: u64 = 4 << 30;

/// What a sync is about and how it goes.
#[derive(Debug, Clone)]
pub struct SenderOpts {
    /// The roots: tjp addresses or addresses of stones; empty for every root of both spaces.
    pub roots: Vec<Addr>,
    /// Which way.
    pub direction: Direction,
    /// Whether to stop once the plan is known.
    pub dry_run: bool,
    /// Whether to stop once the session is connected.
    pub connect_only: bool,
    /// Where what is pulled is staged: a folder on the space's own disk.
    pub stage_dir: PathBuf,
    /// Where what arrives of a payload is kept for the sync after one that is cut; none for nowhere.
    pub keep_in: Option<KeptFolder>,
    /// How much may be pulled.
    pub limits: Limits,
    /// How many turns the saga may take, whatever the receiver answers.
    pub max_turns: u64,
    /// How long the client begins anew, with a session of its own each time, where other devices
    /// were faster or the receiver is busy. The saga itself looks at no clock.
    pub retry_for: Duration,
    /// Where time and random bytes come from.
    pub env: Arc<dyn Environment>,
    /// Whether to ask the receiver for a token by which it tells whether anything is new.
    pub wants_state_token: bool,
    /// Where the receiver just told that its data stands: what is new here since then may go there in
    /// one turn.
    pub told: Option<StateDigest>,
    /// How many timelines and stones are few enough to be listed; of more a sketch is sent, where that
    /// is known on both sides.
    pub listed: u64,
    /// What both sides speak beyond the protocol; a client's sync sets it to what its link tells.
    pub features: Features,
}

impl SenderOpts {
    /// Both ways, every root, staging in `stage_dir`.
    pub fn new(stage_dir: PathBuf) -> SenderOpts {
        SenderOpts {
            roots: Vec::new(),
            direction: Direction::Both,
            dry_run: false,
            connect_only: false,
            stage_dir,
            keep_in: None,
            limits: Limits { bytes: PULL_BYTES, ..Limits::default() },
            max_turns: 10_000,
            retry_for: RETRY_FOR,
            env: Arc::new(System::new()),
            wants_state_token: false,
            told: None,
            listed: LISTED,
            features: Features::new(),
        }
    }
}
