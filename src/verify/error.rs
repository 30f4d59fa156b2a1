//! What can break a row off.

use crate::ibgib::transform::TransformError;
use crate::ibgib::{AddrError, IbGibError, RandomError};
use crate::keystone::{KdfError, KeystoneError};
use crate::peer::PeerError;
use crate::server::ServerError;
use crate::space::SpaceError;
use crate::sync::SyncError;

/// Why a row could not run to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The sync failed, or the receiver refused it.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// A state machine failed.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// A space failed.
    #[error(transparent)]
    Space(#[from] SpaceError),
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
    /// Something that should be an address is not one.
    #[error(transparent)]
    Addr(#[from] AddrError),
    /// The system gave no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The embedded receiver did not run.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The receiver's process did not run.
    #[error("the receiver's process did not start: {0}")]
    Serve(String),
    /// A file could not be made or read.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was tried.
        doing: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// What a row goes on from is not there.
    #[error("{0} is not where it should be")]
    Absent(String),
}

impl VerifyError {
    /// For `map_err`: what was tried when the system refused.
    pub fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> VerifyError {
        let doing = doing.into();
        |source| VerifyError::Io { doing, source }
    }
}
