//! The rules that a keystone frame can break.

use crate::ibgib::addr::clip;
use crate::keystone::error::ShapeError;
use crate::keystone::policy::Unmet;

/// One broken rule (docs/protocol.md, section 4). Where a rule is broken in several places, the
/// first is named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// The ib is another.
    #[error("the frame's ib is not \"keystone\"")]
    NotKeystone,
    /// The gib is not the hash of the content.
    #[error("the frame's gib is wrong: its content hashes to {computed}")]
    WrongGib {
        /// What the content hashes to.
        computed: String,
    },
    /// The frame descends from something else.
    #[error("the frame's ancestor is not keystone^gib alone")]
    WrongAncestor,
    /// A relation that keystones do not have.
    #[error("the frame has a relation {0:?}, which keystones do not have")]
    ExtraRelation(String),
    /// A data key that this frame must not have.
    #[error("the frame's data has a key {0:?}, which this frame must not have")]
    ExtraKey(String),
    /// A field is missing, of the wrong type or out of bounds.
    #[error("the frame cannot be read: {0}")]
    Malformed(ShapeError),
    /// The frame before cannot be read, so nothing can be proven against it.
    #[error("the frame before this one cannot be read: {0}")]
    PrevMalformed(ShapeError),
    /// `n` does not count on.
    #[error("n is wrong: expected {expected}")]
    WrongN {
        /// What it should be.
        expected: u64,
    },
    /// `past` does not lead to the frame before.
    #[error("past does not lead to the frame before, {expected}")]
    WrongPast {
        /// The address of the frame before.
        expected: String,
    },
    /// Another timeline's tjp.
    #[error("the tjp is not the keystone's genesis, {expected}")]
    WrongTjp {
        /// The address of the genesis.
        expected: String,
    },
    /// The uuid is another than the genesis has.
    #[error("the uuid changed")]
    UuidChanged,
    /// A genesis that is no tjp.
    #[error("the genesis does not say that it is its timeline's tjp (isTjp)")]
    GenesisNotTjp,
    /// A genesis that comes after something.
    #[error("the genesis relates to a past or a tjp")]
    GenesisHasPast,
    /// A genesis that proves something: there is nothing to prove it against.
    #[error("the genesis carries a proof")]
    GenesisProof,
    /// A genesis without pools.
    #[error("the genesis has no challenge pools")]
    NoPools,
    /// Two pools with one id.
    #[error("two pools have the id {0:?}")]
    DuplicatePool(String),
    /// A genesis' pool that does not hold its size.
    #[error("the pool {pool:?} holds {found} challenges, but its size is {expected}")]
    PoolNotFull {
        /// The pool's id.
        pool: String,
        /// Its size.
        expected: usize,
        /// What it holds.
        found: usize,
    },
    /// A challenge that is out of form.
    #[error("the pool {pool:?} has a challenge {id:?} that is not a hash under 16 hex characters")]
    BadChallenge {
        /// The pool's id.
        pool: String,
        /// The challenge's id.
        id: String,
    },
    /// The binding map does not list the pool's challenges.
    #[error(
        "the binding map of the pool {pool:?} does not match its challenges in bucket {bucket:?}"
    )]
    BindingMap {
        /// The pool's id.
        pool: String,
        /// The bucket that is wrong.
        bucket: String,
    },
    /// The frame before ends the keystone.
    #[error("the keystone is revoked: nothing can follow")]
    Revoked,
    /// A step with no proof, or several.
    #[error("the frame carries {0} proofs, not one")]
    ProofCount(usize),
    /// A proof without solutions.
    #[error("the proof reveals nothing")]
    NoSolutions,
    /// The proof is made from a pool that is not there.
    #[error("the proof is made from a pool {0:?}, which the frame before does not have")]
    UnknownPool(String),
    /// Solutions of more than one pool.
    #[error("the proof mixes solutions of the pool {0:?} with those of another")]
    SeveralPools(String),
    /// The pool does not sign the verb.
    #[error("the pool {pool:?} does not sign the verb {verb:?}")]
    VerbNotAllowed {
        /// The pool's id.
        pool: String,
        /// The claim's verb.
        verb: String,
    },
    /// A challenge is solved twice.
    #[error("the proof solves the challenge {0:?} twice")]
    RepeatedId(String),
    /// A challenge that the pool does not hold.
    #[error("the proof solves a challenge {0:?}, which the pool does not hold")]
    UnknownChallenge(String),
    /// The pool holds too few challenges for this claim.
    #[error("the claim cannot be proven from this pool: {0}")]
    Unmet(Unmet),
    /// A demanded challenge is not solved.
    #[error("the proof does not solve the demanded challenge {0:?}")]
    MissingDemand(String),
    /// A challenge that the target chooses is not solved.
    #[error("the proof does not solve the challenge {0:?}, which the target's gib asks for")]
    MissingBound(String),
    /// One of the oldest challenges is not solved.
    #[error("the proof does not solve the challenge {0:?}, which is next in order")]
    MissingOldest(String),
    /// Too few further challenges are solved.
    #[error("the proof solves {found} challenges of its own choice, not {expected}")]
    TooFewRandom {
        /// The fewest that are enough.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// Checking the solutions would take too long.
    #[error("the proof takes {0} hashes to check, more than the limit of 100000")]
    TooCostly(u64),
    /// A solution does not hash to its challenge.
    #[error("the solution of the challenge {0:?} is wrong")]
    WrongSolution(String),
    /// Pools came, went, or changed places.
    #[error("the list of pools changed")]
    PoolListChanged,
    /// A pool that did not sign changed.
    #[error("the pool {0:?} did not sign, but changed")]
    OtherPoolChanged(String),
    /// A config changed.
    #[error("the config of the pool {0:?} changed")]
    ConfigChanged(String),
    /// Something in a pool beside its challenges changed.
    #[error("the pool {pool:?} changed in {key:?}")]
    PoolFieldChanged {
        /// The pool's id.
        pool: String,
        /// The key.
        key: String,
    },
    /// A challenge is gone that was not revealed.
    #[error("the pool {pool:?} lost the challenge {id:?}, which was not revealed")]
    ChallengeLost {
        /// The pool's id.
        pool: String,
        /// The challenge.
        id: String,
    },
    /// A challenge that stays has another hash.
    #[error("the pool {pool:?} changed the challenge {id:?}")]
    ChallengeChanged {
        /// The pool's id.
        pool: String,
        /// The challenge.
        id: String,
    },
    /// The challenges that stay are in another order, or behind new ones.
    #[error("the pool {0:?} changed the order of its challenges")]
    Reordered(String),
    /// A revealed challenge stands in the next frame.
    #[error("the pool {pool:?} still holds the challenge {id:?}, whose solution is revealed")]
    RevealedReturns {
        /// The pool's id.
        pool: String,
        /// The challenge.
        id: String,
    },
    /// A new challenge with an id that the keystone used before.
    #[error("the pool {pool:?} brings back the challenge id {id:?}")]
    IdSeenBefore {
        /// The pool's id.
        pool: String,
        /// The challenge.
        id: String,
    },
    /// More or fewer new challenges than the strategy gives.
    #[error("the pool {pool:?} gained {found} challenges, but its strategy gives {expected}")]
    NewChallenges {
        /// The pool's id.
        pool: String,
        /// What the strategy gives.
        expected: usize,
        /// What came.
        found: usize,
    },
    /// A claim of the verb `revoke` that revokes nothing.
    #[error("the claim revokes the keystone, but the frame has no revocationInfo")]
    RevocationMissing,
    /// A revocation that is not claimed.
    #[error("the frame has a revocationInfo, but does not claim to revoke")]
    RevocationUnexpected,
    /// A revocation from a pool that is not there for it.
    #[error("the keystone is revoked from the pool {0:?}, not from \"revoke\"")]
    RevokeFromOtherPool(String),
    /// A revocation of something else.
    #[error("the revocation targets {found:?}, not the frame before, {expected}")]
    RevocationTarget {
        /// The address of the frame before.
        expected: String,
        /// The claim's target.
        found: String,
    },
    /// The revocation and the frame carry different proofs.
    #[error("the revocation's proof is not the frame's")]
    RevocationProof,
}

/// The broken rules found so far, each rule once.
#[derive(Debug, Default)]
pub(super) struct Findings(pub Vec<Violation>);

impl Findings {
    /// Adds a violation, unless its rule was found broken before.
    pub fn add(&mut self, violation: Violation) {
        let rule = std::mem::discriminant(&violation);
        if !self.0.iter().any(|found| std::mem::discriminant(found) == rule) {
            self.0.push(violation);
        }
    }

    /// Adds the violation that `make` makes of `text`, clipped, unless `holds`.
    pub fn require(&mut self, holds: bool, make: impl FnOnce(String) -> Violation, text: &str) {
        if !holds {
            self.add(make(clip(text)));
        }
    }
}
