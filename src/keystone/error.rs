//! Why a keystone cannot be made, read or signed.

use crate::ibgib::json::JsonError;
use crate::ibgib::{IbGibError, RandomError};

/// What keeps a frame from being read as a keystone's: a field that is missing, of the wrong
/// type or out of bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {what}")]
pub struct ShapeError {
    /// Where, as a path in the frame (`challengePools[0].config.rounds`).
    pub at: String,
    /// What is wrong there.
    pub what: &'static str,
}

impl ShapeError {
    pub(crate) fn new(at: impl Into<String>, what: &'static str) -> ShapeError {
        ShapeError { at: at.into(), what }
    }

    /// The same fault, seen from one level up.
    pub(crate) fn within(self, outer: &str) -> ShapeError {
        ShapeError { at: format!("{outer}.{}", self.at), what: self.what }
    }
}

/// Why a keystone frame was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeystoneError {
    /// The frame to sign on top of is no keystone frame.
    #[error("this frame cannot be read as a keystone's: {0}")]
    Shape(#[from] ShapeError),
    /// A keystone without pools could never sign.
    #[error("a keystone needs between 1 and 32 pools with ids of their own")]
    Pools,
    /// The keystone's last frame revokes it.
    #[error("the keystone is revoked: it signs nothing more; make a new identity")]
    Revoked,
    /// No pool has this id.
    #[error("the keystone has no pool {0:?}")]
    NoSuchPool(String),
    /// No pool names the verb and none is open to all.
    #[error("no pool of the keystone signs the verb {0:?}")]
    NoPoolFor(String),
    /// The pool that was asked for does not sign this verb.
    #[error("the pool {pool:?} does not sign the verb {verb:?}")]
    VerbNotAllowed {
        /// The pool's id.
        pool: String,
        /// The claim's verb.
        verb: String,
    },
    /// A revocation is more than a signature.
    #[error("the verb \"revoke\" is signed by revoking the keystone, not by a plain signature")]
    UseRevoke,
    /// A challenge is demanded that the pool does not hold.
    #[error("the challenge {id:?} is demanded, but the pool {pool:?} does not hold it")]
    UnknownDemand {
        /// The pool's id.
        pool: String,
        /// The demanded challenge.
        id: String,
    },
    /// The pool holds too few challenges for this claim.
    #[error("the pool {pool:?} cannot sign this target: {unmet}; sign another target")]
    Exhausted {
        /// The pool's id.
        pool: String,
        /// What it cannot give.
        unmet: super::Unmet,
    },
    /// The pool's numbers take no challenge, and the verifier demands none.
    #[error("a signature from the pool {pool:?} would reveal nothing, so it would prove nothing")]
    NothingToReveal {
        /// The pool's id.
        pool: String,
    },
    /// Its proof would cost a verifier more hashes than are accepted.
    #[error("a signature from the pool {pool:?} takes too many hashes to check")]
    TooCostly {
        /// The pool's id.
        pool: String,
    },
    /// The secret does not solve the keystone's challenges.
    #[error("this secret does not open the pool {pool:?}: it is not this identity's secret")]
    SecretRefused {
        /// The pool's id.
        pool: String,
    },
    /// The system gave no random bytes.
    #[error("the system's random source failed: {0}")]
    Random(#[from] RandomError),
    /// The frame details are no JSON that can be kept.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The frame cannot be hashed.
    #[error(transparent)]
    IbGib(#[from] IbGibError),
}
