//! What goes wrong in a simulated world's own doing, and what it found.

use crate::ibgib::transform::TransformError;
use crate::ibgib::{AddrError, IbGibError, RandomError};
use crate::keystone::{KdfError, KeystoneError};
use crate::peer::PeerError;
use crate::space::SpaceError;
use crate::sync::SyncError;

/// Why a world did not run.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// A space failed, such as that of a process that was killed.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// A state machine failed.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// A sync failed.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// A keystone was not made.
    #[error(transparent)]
    Keystone(#[from] KeystoneError),
    /// A secret was not usable.
    #[error(transparent)]
    Kdf(#[from] KdfError),
    /// A frame was not made.
    #[error(transparent)]
    Transform(#[from] TransformError),
    /// What was made is no ibGib.
    #[error(transparent)]
    IbGib(#[from] IbGibError),
    /// What should be an address is none.
    #[error(transparent)]
    Addr(#[from] AddrError),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The folder for what is staged could not be made.
    #[error("cannot make a temporary folder: {0}")]
    Folder(std::io::Error),
}

/// An invariant that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: &'static str,
    /// After which step of the world.
    pub step: usize,
    /// What was found.
    pub detail: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "step {}: {}: {}", self.step, self.invariant, self.detail)
    }
}
