//! Changing a locked keystone's secret: by the old secret, or by the recovery code
//! (docs/protocol.md, section 4, "Renewals").

use serde_json::Value;

use super::error::KeystoneError;
use super::frame::Pool;
use super::genesis::kept;
use super::lock::{Lock, PrivateKey, sealed};
#[cfg(all(feature = "client", feature = "server"))]
use super::lock::{PublicKey, unsigned};
use super::pools::{UsedIds, renewed};
use super::proof::Claim;
use super::recovery::RecoveryCode;
use super::secret::MasterSecret;
use super::sign::{Step, choose, pool_for};
use super::strategy::PoolSecret;
use super::{POOL_MANAGE, POOL_RECOVER, VERB_MANAGE, VERB_RECOVER};
use crate::ibgib::{Environment, IbGib, Valid};

/// What a keystone's secret is changed to.
#[derive(Debug, Clone)]
pub struct Renewal<'a> {
    /// The new master secret.
    pub secret: &'a MasterSecret,
    /// What goes into the frame beside the proof: how the new secret is stretched (`kdf`).
    pub frame_details: Option<Value>,
    /// The frame's timestamp, and what is left to chance.
    pub env: &'a dyn Environment,
}

/// Changes the secret of a locked keystone by the old one: signs `manage` of `prev`, its last frame,
/// and makes anew the signing key and every pool but `recover`. The recovery code stays good.
///
/// Errors with [`KeystoneError::NotLocked`] where the keystone has no signing key, else as
/// [`sign`](super::sign()) does.
pub fn rotate(
    prev: &IbGib,
    secret: &MasterSecret,
    renewal: &Renewal<'_>,
) -> Result<IbGib, KeystoneError> {
    let step = Step::on(prev)?;
    let lock = step.lock.clone().ok_or(KeystoneError::NotLocked)?;
    let key = PrivateKey::derive(secret, step.uuid()?);
    if key.public() != lock.key {
        return Err(KeystoneError::KeyRefused);
    }
    let next = Lock {
        key: PrivateKey::derive(renewal.secret, step.uuid()?).public(),
        since: step.n,
        recovery_key: None,
        signature: None,
        ..lock
    };
    let renews = |pool: &Pool<'_>| (pool.id() != POOL_RECOVER).then_some(renewal.secret);
    frame(&step, Claim::new(VERB_MANAGE, &step.prev_addr), secret, (next, &key), renews, renewal)
}

/// Changes the secret of a locked keystone by its recovery code: signs `recover` of `prev`, its last
/// frame, whoever made that, with the key that the code gives, and makes anew all pools, the signing
/// key and the recovery key. From then on the old secret and `code` sign nothing.
///
/// `next_code` is the code that a later recovery takes. Errors with [`KeystoneError::NotLocked`] or
/// [`KeystoneError::NoRecovery`] where the keystone was made without, with
/// [`KeystoneError::CodeRefused`] where the code is another, else as [`sign`](super::sign()) does.
pub fn recover(
    prev: &IbGib,
    code: &RecoveryCode,
    next_code: &RecoveryCode,
    renewal: &Renewal<'_>,
) -> Result<IbGib, KeystoneError> {
    let step = Step::on(prev)?;
    let (secret, key) = recovery_key(&step, code)?;
    let uuid = step.uuid()?;
    let next_secret = next_code.secret(uuid);
    let next = Lock {
        key: PrivateKey::derive(renewal.secret, uuid).public(),
        recovery: Some(PrivateKey::derive(&next_secret, uuid).public().hash()),
        since: step.n,
        recovery_key: Some(key.public()),
        signature: None,
    };
    let renews = |pool: &Pool<'_>| match pool.id() {
        POOL_RECOVER => Some(&next_secret),
        _ => Some(renewal.secret),
    };
    frame(&step, Claim::new(VERB_RECOVER, &step.prev_addr), &secret, (next, &key), renews, renewal)
}

/// Errors as [`recover`] does where `code` is not the one that continues the keystone from `prev`.
pub fn expect_recovers(code: &RecoveryCode, prev: &IbGib) -> Result<(), KeystoneError> {
    recovery_key(&Step::on(prev)?, code).map(drop)
}

/// The secret and the key that a code gives, where the frame before asks for that key.
fn recovery_key(
    step: &Step<'_>,
    code: &RecoveryCode,
) -> Result<(MasterSecret, PrivateKey), KeystoneError> {
    let lock = step.lock.as_ref().ok_or(KeystoneError::NotLocked)?;
    let expected = lock.recovery.ok_or(KeystoneError::NoRecovery)?;
    let uuid = step.uuid()?;
    let secret = code.secret(uuid);
    let key = PrivateKey::derive(&secret, uuid);
    match key.public().hash() == expected {
        true => Ok((secret, key)),
        false => Err(KeystoneError::CodeRefused),
    }
}

/// The frame of a renewal: `secret` proves the claim, `key` signs, and each pool is made anew of the
/// secret that `renews` gives for it, or carried over.
fn frame<'s>(
    step: &Step<'_>,
    claim: Claim,
    secret: &MasterSecret,
    (lock, key): (Lock, &PrivateKey),
    renews: impl Fn(&Pool<'_>) -> Option<&'s MasterSecret>,
    renewal: &Renewal<'_>,
) -> Result<IbGib, KeystoneError> {
    let env = renewal.env;
    let from = if claim.verb == VERB_RECOVER { POOL_RECOVER } else { POOL_MANAGE };
    let at = pool_for(&step.pools, &claim.verb, Some(from))?;
    let chosen = choose(&step.pools[at], &[], &claim.target, env)?;
    let proof = step.prove(at, secret, &claim, &[], &chosen)?;
    let mut used = UsedIds::of(&step.pools);
    let mut pools = Vec::with_capacity(step.pools.len());
    for pool in &step.pools {
        pools.push(match renews(pool) {
            Some(secret) => {
                renewed(pool, &PoolSecret::derive(secret, &pool.config), &mut used, env)?
            }
            None => Value::Object(pool.raw.clone()),
        });
    }
    let mut data = step.data_with(Value::Array(pools), &proof, env)?;
    data.insert("frameDetails".into(), lock.within(kept(renewal.frame_details.clone())?)?);
    sealed(step.frame(data)?, &step.prev_addr, key).map(Valid::into_inner)
}

/// A frame with another content, signed anew as the one after `prev` by the key that `secret` gives:
/// who has a secret keeps to no rule but where they choose to.
#[cfg(all(feature = "client", feature = "server"))]
pub(crate) fn resealed(
    prev: &IbGib,
    frame: &IbGib,
    secret: &MasterSecret,
) -> Result<IbGib, KeystoneError> {
    let step = Step::on(prev)?;
    let unsigned = unsigned(frame)?;
    let key = PrivateKey::derive(secret, step.uuid()?);
    sealed(unsigned, &step.prev_addr, &key).map(Valid::into_inner)
}

/// The key that a secret gives for the keystone of a frame.
#[cfg(all(feature = "client", feature = "server"))]
pub(crate) fn key_of_secret(secret: &MasterSecret, frame: &IbGib) -> Option<PublicKey> {
    let uuid = frame.datum("uuid").and_then(Value::as_str)?;
    Some(PrivateKey::derive(secret, uuid).public())
}

#[cfg(test)]
mod tests;
