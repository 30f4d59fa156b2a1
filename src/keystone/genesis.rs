//! The first frame of a keystone.

use serde_json::{Map, Value};

use super::error::{KeystoneError, ShapeError};
use super::pool_config::PoolConfig;
use super::pools::{UsedIds, full};
use super::secret::MasterSecret;
use super::strategy::PoolSecret;
use super::{KEYSTONE, KEYSTONE_ANCESTOR, MAX_POOLS};
use crate::ibgib::{Environment, IbGib, json, random_hex};

/// Makes a new keystone with these pools (1 to 32, each with its own id), all full.
///
/// `frame_details` go into the frame as they are. Errors where a config is out of bounds or the
/// system gives no random bytes.
pub fn genesis(
    secret: &MasterSecret,
    pools: &[PoolConfig],
    frame_details: Option<Value>,
    env: &dyn Environment,
) -> Result<IbGib, KeystoneError> {
    let unique = |at: usize| pools[..at].iter().all(|other| other.id != pools[at].id);
    if pools.is_empty() || pools.len() > MAX_POOLS || !(0..pools.len()).all(unique) {
        return Err(KeystoneError::Pools);
    }
    let mut used = UsedIds::default();
    let mut made = Vec::with_capacity(pools.len());
    for config in pools {
        config.check().map_err(|error: ShapeError| error.within(&config.id))?;
        made.push(full(config, &PoolSecret::derive(secret, config), &mut used, env)?);
    }
    let mut data = Map::new();
    data.insert("n".into(), 0.into());
    env.now().stamp(&mut data);
    data.insert("uuid".into(), random_hex(env, 32)?.into());
    data.insert("challengePools".into(), Value::Array(made));
    data.insert("proofs".into(), Value::Array(Vec::new()));
    if let Some(details) = kept(frame_details)? {
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
