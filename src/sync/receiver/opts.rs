//! What a receiver allows, and whom it asks.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::ibgib::{Environment, System, TjpAddr};
use crate::space::KeptFolder;
use crate::sync::capabilities::Features;
use crate::sync::error::SyncError;
use crate::sync::msg::Token;
use crate::sync::payload::{Limits, StagingQuota};
use crate::sync::quota::Quota;

/// What a receiver allows.
#[derive(Debug, Clone)]
pub struct ReceiverOpts {
    /// Where payloads are staged: a folder on the space's own disk.
    pub stage_dir: PathBuf,
    /// Where what arrives of a payload is kept for the session after one that is cut; none for nowhere.
    pub keep_in: Option<KeptFolder>,
    /// How much one saga may bring.
    pub limits: Limits,
    /// What all sagas of the receiver may stage at once; none for any amount.
    pub staging: Option<StagingQuota>,
    /// How much is kept.
    pub quota: Quota,
    /// How long a challenge is good.
    pub challenge_time: Duration,
    /// How many turns one session may take.
    pub max_turns: u64,
    /// Where time and random bytes come from.
    pub env: Arc<dyn Environment>,
    /// What it speaks beyond the protocol. A session uses those of them that its sender names.
    pub features: Features,
}

impl ReceiverOpts {
    /// The defaults, staging in `stage_dir`.
    pub fn new(stage_dir: PathBuf) -> ReceiverOpts {
        ReceiverOpts {
            stage_dir,
            keep_in: None,
            limits: Limits::default(),
            staging: None,
            quota: Quota::default(),
            challenge_time: Duration::from_secs(30),
            max_turns: 10_000,
            env: Arc::new(System::new()),
            features: Features::new(),
        }
    }
}

/// What the receiver asks its owner: whether a session may connect, and for a token.
pub trait SessionAuthority {
    /// Lets a session connect, once; an error refuses it.
    fn admit(&self, session: &TjpAddr) -> Result<(), SyncError>;
    /// A token for reading the domain's data, where there is something to read it by; it ends where
    /// the domain's secret is not the one from its frame `since` any more.
    fn token(&self, since: u64) -> Result<Option<Token>, SyncError>;
    /// The logarithm of the window within which the session's messages may be compressed; none where
    /// its channel does not compress, or there is no memory for it.
    fn window(&self) -> Option<u32> {
        None
    }
    /// A token for asking where the domain's data stands, and for nothing else, where there is
    /// something to ask; it ends as the other one does.
    fn state_token(&self, _since: u64) -> Result<Option<Token>, SyncError> {
        Ok(None)
    }
}

/// An authority for peers in one process: every session may connect, and nobody needs a token.
#[derive(Debug, Clone, Copy, Default)]
pub struct AdmitAll;

impl SessionAuthority for AdmitAll {
    fn admit(&self, _session: &TjpAddr) -> Result<(), SyncError> {
        Ok(())
    }
    fn token(&self, _since: u64) -> Result<Option<Token>, SyncError> {
        Ok(None)
    }
}
