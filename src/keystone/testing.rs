//! Keystones for tests.

use serde_json::{Map, Value};

use super::{Algo, Behavior, Claim, MasterSecret, PoolConfig, Replenish, Signing, VERB_SYNC};
use crate::ibgib::addr::upper_hex;
use crate::ibgib::{IbGib, Moment, System, random_hex};

pub(crate) fn secret() -> MasterSecret {
    MasterSecret::from_raw("a secret for tests".to_owned().into()).unwrap()
}

static ENV: std::sync::LazyLock<System> = std::sync::LazyLock::new(env);

pub(crate) fn env() -> System {
    System::at(Moment::from_ms(1_781_262_000_123).unwrap())
}

/// A pool of 16 that signs `sync`, 1 in order and 1 at random, without target binding.
pub(crate) fn pool(id: &str, replenish: Replenish) -> PoolConfig {
    PoolConfig {
        id: id.to_owned(),
        salt: id.to_owned(),
        allowed_verbs: vec![VERB_SYNC.to_owned()],
        behavior: Behavior {
            size: 16,
            replenish,
            select_sequentially: 1,
            select_randomly: 1,
            target_binding_chars: 0,
        },
        algo: Algo::Sha256,
        rounds: 2,
    }
}

pub(crate) fn genesis(pools: &[PoolConfig]) -> IbGib {
    super::genesis(&secret(), pools, None, &env()).unwrap()
}

/// A frame whose one pool holds challenges with these ids, in this order. Their hashes solve
/// nothing.
pub(crate) fn frame_with(config: &PoolConfig, ids: &[String]) -> IbGib {
    let mut frame = genesis(std::slice::from_ref(config));
    let pool = &mut frame.data.as_mut().unwrap()["challengePools"][0];
    let challenges = ids.iter().map(|id| (id.clone(), serde_json::json!({ "hash": "" })));
    pool["challenges"] = Value::Object(challenges.collect());
    let mut buckets: Map<String, Value> = Map::new();
    for id in ids {
        let bucket = buckets.entry(&id[..1]).or_insert_with(|| Value::Array(Vec::new()));
        bucket.as_array_mut().unwrap().push(id.clone().into());
    }
    pool["bindingMap"] = Value::Object(buckets);
    frame
}

pub(crate) fn random_addr(ib: &str) -> String {
    let bytes: Vec<u8> = (0..32).map(|_| getrandom::u32().unwrap().to_le_bytes()[0]).collect();
    format!("{ib}^{}", upper_hex(&bytes))
}

pub(crate) fn random_id() -> String {
    random_hex(&env(), 8).unwrap()
}

/// A keystone with one pool for each way of replenishing, and one that binds its target.
///
/// `sync`: top-up, 32, 2 in order, 2 at random, any verb. `bound`: top-up, 32 (2 a bucket), 4
/// characters and 1 at random, verb `bind`. `manage`: replace-all, 16, 1 and 1. `connect`:
/// consume, 16, demands only. `revoke`: scorched-earth, 16, 2 and 2.
pub(crate) fn keystone() -> IbGib {
    let make = |id: &str, verbs: &[&str], replenish, numbers: [usize; 4]| {
        let [size, select_sequentially, select_randomly, target_binding_chars] = numbers;
        let mut config = pool(id, replenish);
        config.allowed_verbs = verbs.iter().map(|verb| (*verb).to_owned()).collect();
        config.behavior = Behavior {
            size,
            replenish,
            select_sequentially,
            select_randomly,
            target_binding_chars,
        };
        config
    };
    genesis(&[
        make("sync", &[], Replenish::TopUp, [32, 2, 2, 0]),
        make("bound", &["bind"], Replenish::TopUp, [32, 0, 1, 4]),
        make("manage", &["manage"], Replenish::ReplaceAll, [16, 1, 1, 0]),
        make("connect", &["connect"], Replenish::Consume, [16, 0, 0, 0]),
        make("revoke", &["revoke"], Replenish::ScorchedEarth, [16, 2, 2, 0]),
    ])
}

pub(crate) fn signing<'a>(claim: &'a Claim) -> Signing<'a> {
    Signing { claim, pool_id: None, required: &[], frame_details: None, env: &*ENV }
}
