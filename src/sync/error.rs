//! What can go wrong in a saga, and what the other side is told of it.

use super::capabilities::Incompatible;
use super::merge::MergeError;
use super::msg::{MAX_REFUSAL_TEXT, Refusal, RefusalCode};
use crate::ibgib::{AddrError, IbGibError, RandomError, TjpAddr};
use crate::keystone::KeystoneError;
use crate::space::SpaceError;

/// What a refusal says where the disk of the one who refuses is full.
const DISK_FULL: &str =
    "the server's disk is full; nothing is lost, and the same again works once it has room";

/// Why a session or a saga ended before its commit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The other side broke the protocol.
    #[error("the other side broke the protocol: {0}")]
    Protocol(String),
    /// The other side speaks no version of the protocol that is spoken here.
    #[error(transparent)]
    Version(#[from] Incompatible),
    /// The other side uses a feature that is not spoken here.
    #[error("the feature {0} is not supported here")]
    Feature(String),
    /// Content that arrived was not what it says it is, or not acceptable.
    #[error("refused: {0}")]
    Content(String),
    /// The proof, the identity or the session was not accepted here.
    #[error("not authenticated: {0}")]
    Auth(String),
    /// The other side does not have the identity.
    #[error("not authenticated: the identity {0} is not registered there")]
    NotRegistered(TjpAddr),
    /// A tip moved while the saga ran.
    #[error("another sync changed this in the meantime: {0}")]
    Conflict(String),
    /// A limit was reached.
    #[error("over a limit: {0}")]
    Limit(String),
    /// One saga brought more than is taken at once.
    #[error(
        "over a limit: a saga of {count} ibGibs and {bytes} bytes is more than is taken here at \
         once, which is {most} bytes"
    )]
    TooMuch {
        /// How many ibGibs it brought, with the one that was too much.
        count: u64,
        /// How many bytes.
        bytes: u64,
        /// How many bytes are taken.
        most: u64,
    },
    /// One saga brought more than it may ever stage.
    #[error(
        "over a limit: one saga may stage {most} bytes here; sync in parts, by giving addresses"
    )]
    OwnStaged {
        /// How many bytes it may stage.
        most: u64,
    },
    /// Other sagas have staged as much as may be staged at once.
    #[error("the staging limit of {most} bytes is reached at the moment; try again in a while")]
    Staged {
        /// How many bytes may be staged in all.
        most: u64,
    },
    /// The other side refused.
    #[error("{}", .0.message)]
    Refused(Refusal),
    /// The space here failed.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// The keystone here failed.
    #[error(transparent)]
    Keystone(#[from] KeystoneError),
    /// Something made here is no ibGib.
    #[error(transparent)]
    IbGib(#[from] IbGibError),
    /// A merge failed.
    #[error("the merge failed: {0}")]
    Merge(#[source] Box<MergeError>),
    /// The system gave no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl SyncError {
    pub(crate) fn protocol(message: impl Into<String>) -> SyncError {
        SyncError::Protocol(message.into())
    }

    /// What arrived is no ibGib, not the one that it says it is, or larger than any may be.
    pub(crate) fn content(error: &IbGibError) -> SyncError {
        match error.is_limit() {
            true => SyncError::Limit(error.to_string()),
            false => SyncError::Content(error.to_string()),
        }
    }

    /// Whether this side's disk has no room left.
    pub fn is_full_disk(&self) -> bool {
        matches!(self, SyncError::Space(SpaceError::Full(_)))
    }

    /// What the other side is told when this ends the session.
    pub fn refusal(&self) -> Refusal {
        let code = match self {
            SyncError::Protocol(_) => RefusalCode::Protocol,
            SyncError::Version(_) | SyncError::Feature(_) => RefusalCode::Version,
            SyncError::Auth(_) | SyncError::NotRegistered(_) | SyncError::Keystone(_) => {
                RefusalCode::Auth
            }
            SyncError::Conflict(_) => RefusalCode::Conflict,
            SyncError::Limit(_) | SyncError::TooMuch { .. } | SyncError::OwnStaged { .. } => {
                RefusalCode::Limit
            }
            SyncError::Staged { .. } => RefusalCode::Staged,
            SyncError::Refused(refusal) => refusal.code,
            SyncError::IbGib(error) if error.is_limit() => RefusalCode::Limit,
            SyncError::Content(_) | SyncError::IbGib(_) => RefusalCode::Content,
            SyncError::Space(error) => space_code(error),
            SyncError::Merge(_) | SyncError::Random(_) => RefusalCode::Internal,
        };
        let message = match code {
            RefusalCode::Internal if self.is_full_disk() => DISK_FULL.to_owned(),
            // What broke here is nobody else's business; the log has it.
            RefusalCode::Internal => "the server failed; its log says why".to_owned(),
            RefusalCode::Busy => "the server is busy; try again in a moment".to_owned(),
            // It may name what came, which may be megabytes: they are not sent back.
            _ => self.to_string().chars().take(MAX_REFUSAL_TEXT).collect(),
        };
        Refusal { code, message }
    }
}

/// Whether a space refused what came, or failed itself.
fn space_code(error: &SpaceError) -> RefusalCode {
    match error {
        SpaceError::Diverged { .. } | SpaceError::TipMoved { .. } => RefusalCode::Conflict,
        SpaceError::Busy(_) => RefusalCode::Busy,
        SpaceError::IbGib(error) if error.is_limit() => RefusalCode::Limit,
        SpaceError::Missing { .. }
        | SpaceError::KeystoneFork { .. }
        | SpaceError::KeystoneInvalid { .. }
        | SpaceError::NDoesNotGrow { .. }
        | SpaceError::NTooHigh { .. }
        | SpaceError::Unwanted(_)
        | SpaceError::UnnamedMove { .. }
        | SpaceError::NotATjp { .. }
        | SpaceError::NoPast { .. }
        | SpaceError::IbGib(_) => RefusalCode::Content,
        SpaceError::Revoked(_) => RefusalCode::Auth,
        SpaceError::TooManyWaiting { .. } => RefusalCode::Limit,
        SpaceError::OverQuota { .. } => RefusalCode::Quota,
        SpaceError::FileBound { .. } => RefusalCode::File,
        _ => RefusalCode::Internal,
    }
}

impl From<AddrError> for SyncError {
    fn from(error: AddrError) -> SyncError {
        SyncError::Content(error.to_string())
    }
}
