//! The first frame of a keystone.

use serde_json::{Map, Value};

use super::error::{KeystoneError, ShapeError};
use super::lock::{Lock, PrivateKey};
use super::pool_config::PoolConfig;
use super::pools::{UsedIds, full};
use super::recovery::RecoveryCode;
use super::secret::MasterSecret;
use super::strategy::PoolSecret;
use super::{KEYSTONE, KEYSTONE_ANCESTOR, MAX_POOLS, presets};
use crate::ibgib::{Environment, IbGib, json, random_hex};

/// Makes a new keystone with these pools (1 to 32, each with its own id), all full, and without a
/// signing key.
///
/// `frame_details` go into the frame as they are. Errors where a config is out of bounds or the
/// system gives no random bytes.
pub fn genesis(
    secret: &MasterSecret,
    pools: &[PoolConfig],
    frame_details: Option<Value>,
    env: &dyn Environment,
) -> Result<IbGib, KeystoneError> {
    let pools: Vec<_> = pools.iter().map(|config| (config, secret)).collect();
    first_frame(None, &pools, kept(frame_details)?, env)
}

/// Makes a new locked keystone: as [`genesis`] does, but each later frame is signed with a key that
/// derives from the secret. With a recovery code, it also has the pool `recover` and the hash of a
/// key, by which that code alone can continue it ([`recover`](super::recover)).
///
/// The details must leave room for the lock: they are an object without a `lock`, or none.
pub fn locked_genesis(
    secret: &MasterSecret,
    pools: &[PoolConfig],
    frame_details: Option<Value>,
    recovery: Option<&RecoveryCode>,
    env: &dyn Environment,
) -> Result<IbGib, KeystoneError> {
    let uuid = random_hex(env, 32)?;
    let recovery = recovery.map(|code| (presets::recovery_pool(env), code.secret(&uuid)));
    let recovery = match recovery {
        Some((config, secret)) => Some((config?, secret)),
        None => None,
    };
    let mut pools: Vec<_> = pools.iter().map(|config| (config, secret)).collect();
    pools.extend(recovery.as_ref().map(|(config, secret)| (config, secret)));
    let hash = |secret| PrivateKey::derive(secret, &uuid).public().hash();
    let lock = Lock {
        key: PrivateKey::derive(secret, &uuid).public(),
        recovery: recovery.as_ref().map(|(_, secret)| hash(secret)),
        since: 0,
        recovery_key: None,
        signature: None,
    };
    first_frame(Some(uuid), &pools, Some(lock.within(kept(frame_details)?)?), env)
}

/// The frame; without a uuid it draws one, after the pools.
fn first_frame(
    uuid: Option<String>,
    pools: &[(&PoolConfig, &MasterSecret)],
    frame_details: Option<Value>,
    env: &dyn Environment,
) -> Result<IbGib, KeystoneError> {
    let unique = |at: usize| pools[..at].iter().all(|other| other.0.id != pools[at].0.id);
    if pools.is_empty() || pools.len() > MAX_POOLS || !(0..pools.len()).all(unique) {
        return Err(KeystoneError::Pools);
    }
    let mut used = UsedIds::default();
    let mut made = Vec::with_capacity(pools.len());
    for (config, secret) in pools {
        config.check().map_err(|error: ShapeError| error.within(&config.id))?;
        made.push(full(config, &PoolSecret::derive(secret, config), &mut used, env)?);
    }
    let mut data = Map::new();
    data.insert("n".into(), 0.into());
    env.now().stamp(&mut data);
    let uuid = uuid.map_or_else(|| random_hex(env, 32), Ok)?;
    data.insert("uuid".into(), uuid.into());
    data.insert("challengePools".into(), Value::Array(made));
    data.insert("proofs".into(), Value::Array(Vec::new()));
    if let Some(details) = frame_details {
        data.insert("frameDetails".into(), details);
    }
    data.insert("isTjp".into(), true.into());
    let mut rel8ns = Map::new();
    rel8ns.insert("ancestor".into(), Value::Array(vec![KEYSTONE_ANCESTOR.into()]));
    Ok(IbGib::new(KEYSTONE.to_owned(), Some(Value::Object(data)), Some(rel8ns))?)
}

/// Frame details as JavaScript would hold them, so that the frame hashes the same once stored.
pub(crate) fn kept(details: Option<Value>) -> Result<Option<Value>, KeystoneError> {
    let Some(mut details) = details else { return Ok(None) };
    // The details stand two levels down in a frame.
    json::normalise(&mut details, 2)?;
    Ok(Some(details))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keystone::{Replenish, testing, validate_genesis};
    use serde_json::json;

    #[test]
    fn a_genesis_is_a_tjp_without_past() {
        let details = json!({ "sagaId": "s", "half": 0.5, "whole": 2.0 });
        let pools = [testing::pool("p", Replenish::TopUp)];
        let made = genesis(&testing::secret(), &pools, Some(details), &testing::env()).unwrap();
        assert_eq!(made.rel8ds().collect::<Vec<_>>(), [KEYSTONE_ANCESTOR]);
        assert!(made.is_tjp() && made.n() == Some(0));
        assert_eq!(validate_genesis(&made), []);
        assert_eq!(IbGib::from_json(&made.to_json()).unwrap().computed_gib().unwrap(), made.gib);
    }

    #[test]
    fn one_secret_makes_keystones_that_share_no_challenge() {
        let pools = [testing::pool("p", Replenish::TopUp)];
        let (one, other) = (testing::genesis(&pools), testing::genesis(&pools));
        let ids = crate::keystone::pool_ids(&one, "p");
        assert!(crate::keystone::pool_ids(&other, "p").iter().all(|id| !ids.contains(id)));
        assert_ne!(one.datum("uuid"), other.datum("uuid"));
    }

    #[test]
    fn pools_must_be_there_and_differ() {
        let pool = testing::pool("p", Replenish::TopUp);
        let make = |pools: &[PoolConfig]| {
            genesis(&testing::secret(), pools, None, &testing::env()).unwrap_err()
        };
        assert!(matches!(make(&[]), KeystoneError::Pools));
        assert!(matches!(make(&[pool.clone(), pool.clone()]), KeystoneError::Pools));
        let mut unbounded = pool;
        unbounded.rounds = 0;
        assert!(matches!(make(&[unbounded]), KeystoneError::Shape(_)));
    }
}
