//! Signing: one more frame, with a proof that reveals solutions of the frame before.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::error::{KeystoneError, ShapeError};
use super::frame::{Pool, is_revoked, pools};
use super::genesis::kept;
use super::lock::{Lock, PrivateKey, sealed};
use super::policy::{Unmet, mandatory};
use super::pools::{UsedIds, replenished};
use super::proof::{Claim, Proof, Solution};
use super::secret::MasterSecret;
use super::strategy::{self, PoolSecret};
use super::{
    KEYSTONE, KEYSTONE_ANCESTOR, MAX_CLAIM_BYTES, MAX_HASHES_PER_STEP, POOL_RECOVER, POOL_REVOKE,
    VERB_RECOVER, VERB_REVOKE, random,
};
use crate::ibgib::{Environment, IbGib, Valid};

/// What to sign, and how.
#[derive(Debug, Clone)]
pub struct Signing<'a> {
    /// What is signed.
    pub claim: &'a Claim,
    /// The pool to sign from; without it, the first that lists the verb, else the first that
    /// lists none.
    pub pool_id: Option<&'a str>,
    /// The challenges that the verifier demands.
    pub required: &'a [String],
    /// What goes into the frame beside the proof.
    pub frame_details: Option<Value>,
    /// The frame's timestamp, and what is left to chance.
    pub env: &'a dyn Environment,
}

/// Signs a claim on top of `prev`, the keystone's last frame; returns the next frame.
///
/// Errors with [`KeystoneError::Exhausted`] where the pool cannot bind this target (another
/// target may do), with [`KeystoneError::SecretRefused`] where the secret is not this keystone's.
pub fn sign(
    prev: &IbGib,
    secret: &MasterSecret,
    signing: &Signing<'_>,
) -> Result<IbGib, KeystoneError> {
    sign_valid(prev, secret, signing).map(Valid::into_inner)
}

/// As [`sign`]: the frame's gib was computed here.
pub fn sign_valid(
    prev: &IbGib,
    secret: &MasterSecret,
    signing: &Signing<'_>,
) -> Result<Valid<IbGib>, KeystoneError> {
    let claim = signing.claim;
    claim.check()?;
    if claim.verb == VERB_REVOKE {
        return Err(KeystoneError::UseRevoke);
    }
    if claim.verb == VERB_RECOVER {
        return Err(KeystoneError::UseRecover);
    }
    let step = Step::on(prev)?;
    let at = pool_for(&step.pools, &claim.verb, signing.pool_id)?;
    let chosen = choose(&step.pools[at], signing.required, &claim.target, signing.env)?;
    let proof = step.prove(at, secret, claim, signing.required, &chosen)?;
    let data = step.data(at, secret, &proof, signing.env)?;
    step.signed(data, kept(signing.frame_details.clone())?, secret)
}

/// Ends a keystone: signs `revoke` of `prev`, its last frame, from the pool `revoke`. Nothing
/// can be signed on top of what this returns.
///
/// `reason` is at most [`MAX_CLAIM_BYTES`] long. Errors as [`sign`] does.
pub fn revoke(
    prev: &IbGib,
    secret: &MasterSecret,
    reason: &str,
    env: &dyn Environment,
) -> Result<IbGib, KeystoneError> {
    if reason.len() > MAX_CLAIM_BYTES {
        return Err(ShapeError::new("reason", "is longer than 8192 bytes").into());
    }
    let step = Step::on(prev)?;
    let claim = Claim::new(VERB_REVOKE, &step.prev_addr);
    let at = pool_for(&step.pools, VERB_REVOKE, Some(POOL_REVOKE))?;
    let chosen = choose(&step.pools[at], &[], &claim.target, env)?;
    let proof = step.prove(at, secret, &claim, &[], &chosen)?;
    let mut data = step.data(at, secret, &proof, env)?;
    let mut info = Map::new();
    info.insert("reason".into(), reason.into());
    info.insert("proof".into(), proof.to_value());
    data.insert("revocationInfo".into(), Value::Object(info));
    step.signed(data, None, secret).map(Valid::into_inner)
}

/// Whether the secret signs on a keystone's frame: it solves the challenges, of which one of each
/// pool that holds any is tried, and gives the signing key where there is one. The pool `recover` of
/// a keystone with a recovery code is not the secret's. False where there is none to try.
pub fn knows(secret: &MasterSecret, tip: &IbGib) -> bool {
    let (Ok(pools), Ok(lock)) = (pools(tip), Lock::of(tip)) else { return false };
    if let Some(lock) = &lock {
        let uuid = tip.datum("uuid").and_then(Value::as_str);
        if !uuid.is_some_and(|uuid| PrivateKey::derive(secret, uuid).public() == lock.key) {
            return false;
        }
    }
    let has_code = lock.is_some_and(|lock| lock.is_recoverable());
    let own = pools.iter().filter(|pool| !(has_code && pool.id() == POOL_RECOVER));
    let mut tried = own.filter_map(|pool| Some((pool, pool.ids().next()?))).peekable();
    tried.peek().is_some()
        && tried.all(|(pool, id)| {
            let challenge = PoolSecret::derive(secret, &pool.config).challenge(id);
            pool.hash(id) == Some(&challenge)
        })
}

/// The place of the pool that signs `verb`.
pub(super) fn pool_for(
    pools: &[Pool<'_>],
    verb: &str,
    pool_id: Option<&str>,
) -> Result<usize, KeystoneError> {
    let Some(id) = pool_id else {
        let named = pools.iter().position(|pool| pool.config.names(verb));
        let open = || pools.iter().position(|pool| pool.config.allowed_verbs.is_empty());
        return named.or_else(open).ok_or_else(|| KeystoneError::NoPoolFor(verb.to_owned()));
    };
    let at = pools.iter().position(|pool| pool.id() == id);
    let at = at.ok_or_else(|| KeystoneError::NoSuchPool(id.to_owned()))?;
    if !pools[at].config.allows(verb) {
        let (pool, verb) = (id.to_owned(), verb.to_owned());
        return Err(KeystoneError::VerbNotAllowed { pool, verb });
    }
    Ok(at)
}

/// The challenges to reveal: what every signature of the target takes, and some at random.
pub(super) fn choose<'a>(
    pool: &Pool<'a>,
    required: &[String],
    target: &str,
    env: &dyn Environment,
) -> Result<Vec<&'a str>, KeystoneError> {
    let id = || pool.id().to_owned();
    let mandatory = mandatory(pool, required, target).map_err(|unmet| match unmet {
        Unmet::Demand(demanded) => KeystoneError::UnknownDemand { pool: id(), id: demanded },
        unmet => KeystoneError::Exhausted { pool: id(), unmet },
    })?;
    let (mut rest, count) = (mandatory.rest, pool.config.behavior.select_randomly);
    if rest.len() < count {
        return Err(KeystoneError::Exhausted { pool: id(), unmet: Unmet::Random });
    }
    random::choose(env, &mut rest, count)?;
    let mut chosen: Vec<&str> = mandatory.ids.into_iter().map(|(id, _)| id).collect();
    chosen.extend(rest.into_iter().take(count));
    if chosen.is_empty() {
        return Err(KeystoneError::NothingToReveal { pool: id() });
    }
    if chosen.len() as u64 * u64::from(pool.config.rounds) > MAX_HASHES_PER_STEP {
        return Err(KeystoneError::TooCostly { pool: id() });
    }
    Ok(chosen)
}

/// The step from one frame to the next.
pub(crate) struct Step<'a> {
    prev: &'a IbGib,
    pub prev_addr: String,
    pub n: u64,
    tjp: String,
    pub pools: Vec<Pool<'a>>,
    /// The lock of the frame before.
    pub lock: Option<Lock>,
}

impl<'a> Step<'a> {
    /// A step on top of `prev`; fails where it is no keystone's frame, or revoked.
    pub fn on(prev: &'a IbGib) -> Result<Step<'a>, KeystoneError> {
        if prev.ib != KEYSTONE {
            return Err(ShapeError::new("ib", "is not \"keystone\"").into());
        }
        if is_revoked(prev) {
            return Err(KeystoneError::Revoked);
        }
        let n = prev.n().ok_or(ShapeError::new("n", "is no whole number"))?;
        let tjp = prev.tjp_addr().ok_or(ShapeError::new("tjp", "is missing"))?;
        let prev_addr = format!("{}^{}", prev.ib, prev.gib);
        let (pools, lock) = (pools(prev)?, Lock::of(prev)?);
        Ok(Step { prev, prev_addr, n: n.saturating_add(1), tjp, pools, lock })
    }

    /// What all frames of the keystone share.
    pub fn uuid(&self) -> Result<&'a str, ShapeError> {
        let uuid = self.prev.datum("uuid").and_then(Value::as_str);
        uuid.ok_or(ShapeError::new("uuid", "is missing"))
    }

    /// Reveals the solutions of `chosen` from the pool at `at`.
    pub fn prove(
        &self,
        at: usize,
        secret: &MasterSecret,
        claim: &Claim,
        required: &[String],
        chosen: &[&str],
    ) -> Result<Proof, KeystoneError> {
        let pool = &self.pools[at];
        let (algo, rounds) = (pool.config.algo, pool.config.rounds);
        let pool_secret = PoolSecret::derive(secret, &pool.config);
        let mut solutions = Vec::with_capacity(chosen.len());
        for id in chosen {
            let mut value = pool_secret.solution(id);
            if pool.hash(id) != Some(&strategy::challenge(algo, rounds, id, &value)) {
                return Err(KeystoneError::SecretRefused { pool: pool.id().to_owned() });
            }
            solutions.push(Solution {
                pool_id: pool.id().to_owned(),
                challenge_id: (*id).to_owned(),
                value: std::mem::take(&mut *value),
            });
        }
        Ok(Proof { claim: claim.clone(), solutions, required: required.to_vec() })
    }

    /// The next frame's data: the proof, and the pool at `at` without what the proof reveals.
    pub fn data(
        &self,
        at: usize,
        secret: &MasterSecret,
        proof: &Proof,
        env: &dyn Environment,
    ) -> Result<Map<String, Value>, KeystoneError> {
        let consumed: HashSet<&str> =
            proof.solutions.iter().map(|solution| solution.challenge_id.as_str()).collect();
        let pool = &self.pools[at];
        let pool_secret = PoolSecret::derive(secret, &pool.config);
        let mut used = UsedIds::of(&self.pools);
        let mut next = Some(replenished(pool, &consumed, &pool_secret, &mut used, env)?);
        let carried = self.pools.iter().enumerate().map(|(other, pool)| {
            let replaced = if other == at { next.take() } else { None };
            replaced.unwrap_or_else(|| Value::Object(pool.raw.clone()))
        });
        self.data_with(carried.collect(), proof, env)
    }

    /// The next frame's data with these pools.
    pub fn data_with(
        &self,
        pools: Value,
        proof: &Proof,
        env: &dyn Environment,
    ) -> Result<Map<String, Value>, KeystoneError> {
        let mut data = Map::new();
        data.insert("n".into(), self.n.into());
        env.now().stamp(&mut data);
        data.insert("uuid".into(), self.uuid()?.into());
        data.insert("challengePools".into(), pools);
        data.insert("proofs".into(), Value::Array(vec![proof.to_value()]));
        Ok(data)
    }

    /// The frame with this data and these details; signed with the secret's key where the keystone
    /// is locked.
    fn signed(
        &self,
        mut data: Map<String, Value>,
        details: Option<Value>,
        secret: &MasterSecret,
    ) -> Result<Valid<IbGib>, KeystoneError> {
        let Some(lock) = &self.lock else {
            if let Some(details) = details {
                data.insert("frameDetails".into(), details);
            }
            return self.frame(data);
        };
        let key = PrivateKey::derive(secret, self.uuid()?);
        if key.public() != lock.key {
            return Err(KeystoneError::KeyRefused);
        }
        let lock = Lock { recovery_key: None, signature: None, ..lock.clone() };
        data.insert("frameDetails".into(), lock.within(details)?);
        sealed(self.frame(data)?, &self.prev_addr, &key)
    }

    /// The frame with this data, linked to the one before.
    pub fn frame(&self, data: Map<String, Value>) -> Result<Valid<IbGib>, KeystoneError> {
        let list = |addr: &str| Value::Array(vec![addr.into()]);
        let mut rel8ns = Map::new();
        rel8ns.insert("ancestor".into(), list(KEYSTONE_ANCESTOR));
        rel8ns.insert("past".into(), list(&self.prev_addr));
        rel8ns.insert("tjp".into(), list(&self.tjp));
        Ok(Valid::new(KEYSTONE.to_owned(), Some(Value::Object(data)), Some(rel8ns))?)
    }
}

#[cfg(test)]
mod tests;
