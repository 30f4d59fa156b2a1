//! Keystones: identity timelines that prove themselves by revealing hash preimages
//! (docs/protocol.md, section 4).
//!
//! A keystone's frame publishes pools of challenges. Who holds the master secret can solve any of
//! them; each new frame reveals some solutions of the frame before it as proof of a claim. All
//! here is pure: nothing is stored or sent.

mod error;
mod frame;
mod genesis;
mod kdf;
mod lock;
mod policy;
mod pool_config;
mod pools;
pub mod presets;
mod proof;
mod random;
mod recovery;
mod renew;
mod secret;
mod sign;
pub mod strategy;
pub(crate) mod validate;

#[cfg(test)]
mod testing;

pub use error::{KeystoneError, ShapeError};
pub use frame::{frame_details, is_revoked, pool_ids, proof_of, read_frame, revocation_reason};
pub use genesis::{genesis, locked_genesis};
pub use kdf::{KdfError, KdfParams};
pub use lock::{Lock, PublicKey, described, lock_of};
pub use policy::{Unmet, choose_demands};
pub use pool_config::{Algo, Behavior, PoolConfig, Replenish};
pub use proof::{Claim, Proof, Solution};
pub use recovery::{RecoveryCode, RecoveryCodeError};
pub use renew::{Renewal, expect_recovers, recover, rotate};
#[cfg(all(feature = "client", feature = "server"))]
pub(crate) use renew::{key_of_secret, resealed};
pub use secrecy::SecretString;
pub use secret::MasterSecret;
#[cfg(all(feature = "client", feature = "server"))]
pub(crate) use sign::Step;
pub use sign::{Signing, knows, revoke, sign, sign_valid};
pub use validate::{
    Replay, SeenIds, StepsOnly, TimelineValidator, Violation, next_step_cost, step_cost,
    validate_genesis, validate_link, validate_step, validate_valid_genesis, validate_valid_step,
};

/// The ib of every keystone frame.
pub const KEYSTONE: &str = "keystone";
/// The primitive that every keystone descends from.
pub const KEYSTONE_ANCESTOR: &str = "keystone^gib";

/// Of a claim that opens a session: its target is the server's challenge.
pub const VERB_CONNECT: &str = "connect";
/// Of a claim about what is synced: a session keystone, or a turn's context.
pub const VERB_SYNC: &str = "sync";
/// Of a claim about the identity itself.
pub const VERB_MANAGE: &str = "manage";
/// Of the claim by which a recovery code continues a keystone.
pub const VERB_RECOVER: &str = "recover";
/// Of the claim that ends a keystone.
pub const VERB_REVOKE: &str = "revoke";

/// The pool that signs [`VERB_CONNECT`].
pub const POOL_CONNECT: &str = "connect";
/// The pool that signs [`VERB_SYNC`].
pub const POOL_SYNC: &str = "sync";
/// The pool that signs [`VERB_MANAGE`].
pub const POOL_MANAGE: &str = "manage";
/// The one pool that a recovery may be signed from: its challenges come from the recovery code.
pub const POOL_RECOVER: &str = "recover";
/// The one pool that a revocation may be signed from.
pub const POOL_REVOKE: &str = "revoke";

/// How many pools a keystone may have.
pub const MAX_POOLS: usize = 32;
/// How many challenges a pool may hold.
pub const MAX_CHALLENGES: usize = 4096;
/// How often a pool may repeat each hash.
pub const MAX_ROUNDS: u32 = 10_000;
/// How many hashes the proof of one frame may cost to check: tens of milliseconds of work.
pub const MAX_HASHES_PER_STEP: u64 = 100_000;
/// How many bytes of JSON a frame may have that comes from outside.
pub const MAX_FRAME_BYTES: usize = 1 << 20;
/// How many JSON values a frame may hold that comes from outside. One that is full of challenges
/// holds a value in 35 bytes.
pub const MAX_FRAME_VALUES: usize = 1 << 16;
/// How many bytes a claim's target or scope, or a revocation's reason, may have.
pub const MAX_CLAIM_BYTES: usize = 8192;
/// How many bytes a name may have: a verb, a pool's id, a salt, a uuid.
pub const MAX_NAME_BYTES: usize = 256;
