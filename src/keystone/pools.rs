//! Making a pool's challenges, and replenishing them after a signature
//! (docs/protocol.md, section 4).

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::frame::Pool;
use super::pool_config::{HASH_REVEAL, PoolConfig, Replenish};
use super::random;
use super::strategy::PoolSecret;
use crate::ibgib::json;
use crate::ibgib::{Environment, RandomError};

/// The challenge ids that a keystone used already, and must not use again.
#[derive(Debug, Default)]
pub(crate) struct UsedIds(pub(super) HashSet<u64>);

impl UsedIds {
    /// The ids that stand in `pools`.
    pub fn of(pools: &[Pool<'_>]) -> UsedIds {
        UsedIds(pools.iter().flat_map(Pool::ids).filter_map(number).collect())
    }

    /// Adds an id; whether it is new.
    pub fn add(&mut self, id: &str) -> bool {
        number(id).is_some_and(|id| self.0.insert(id))
    }

    pub fn contains(&self, id: &str) -> bool {
        number(id).is_some_and(|id| self.0.contains(&id))
    }
}

/// A challenge id as the number that it spells.
pub(super) fn number(id: &str) -> Option<u64> {
    u64::from_str_radix(id, 16).ok()
}

/// Challenges and the buckets that find them by their first character.
#[derive(Default)]
struct Challenges {
    challenges: Map<String, Value>,
    binding_map: Map<String, Value>,
}

impl Challenges {
    /// Adds `count` new challenges, none with a used id.
    ///
    /// Their ids go where the buckets are emptiest, so that target binding finds about as many in
    /// each, however long the pool is used; which of them is older is random.
    fn grow(
        &mut self,
        count: usize,
        secret: &PoolSecret,
        used: &mut UsedIds,
        env: &dyn Environment,
    ) -> Result<(), RandomError> {
        let mut fill = [0usize; 16];
        for id in self.challenges.keys() {
            fill[first_digit(id)] += 1;
        }
        let mut ids = Vec::with_capacity(count);
        while ids.len() < count {
            let (bucket, _) = (0u8..).zip(fill).min_by_key(|(_, fill)| *fill).unwrap_or_default();
            let id = random::challenge_id(env, bucket)?;
            if used.add(&id) {
                fill[usize::from(bucket)] += 1;
                ids.push(id);
            }
        }
        random::choose(env, &mut ids, count)?;
        for id in ids {
            self.add(id, secret);
        }
        Ok(())
    }

    fn add(&mut self, id: String, secret: &PoolSecret) {
        let mut challenge = Map::new();
        challenge.insert("type".into(), HASH_REVEAL.into());
        challenge.insert("hash".into(), secret.challenge(&id).into());
        match self.binding_map.get_mut(&id[..1]) {
            Some(Value::Array(bucket)) => bucket.push(id.clone().into()),
            _ => json::set(&mut self.binding_map, &id[..1], Value::Array(vec![id.clone().into()])),
        }
        self.challenges.insert(id, Value::Object(challenge));
    }

    /// What `pool` keeps when `consumed` go. An emptied bucket stays, as in the reference.
    fn left_of(pool: &Pool<'_>, consumed: &HashSet<&str>) -> Challenges {
        let stays = |id: &str| !consumed.contains(id);
        let challenges = pool.challenges.iter().filter(|(id, _)| stays(id));
        let buckets = pool.binding_map.iter().map(|(bucket, ids)| {
            let ids = ids.as_array().into_iter().flatten();
            let ids = ids.filter(|id| id.as_str().is_some_and(stays)).cloned();
            (bucket.clone(), Value::Array(ids.collect()))
        });
        Challenges {
            challenges: challenges.map(|(id, one)| (id.clone(), one.clone())).collect(),
            binding_map: buckets.collect(),
        }
    }
}

fn first_digit(id: &str) -> usize {
    id.chars().next().and_then(|c| c.to_digit(16)).map_or(0, |digit| digit as usize)
}

/// A new, full pool as frames carry it, in the reference's key order.
pub(crate) fn full(
    config: &PoolConfig,
    secret: &PoolSecret,
    used: &mut UsedIds,
    env: &dyn Environment,
) -> Result<Value, RandomError> {
    let mut made = Challenges::default();
    made.grow(config.behavior.size, secret, used, env)?;
    let mut pool = Map::new();
    pool.insert("id".into(), config.id.clone().into());
    pool.insert("config".into(), config.to_value());
    pool.insert("challenges".into(), Value::Object(made.challenges));
    pool.insert("bindingMap".into(), Value::Object(made.binding_map));
    Ok(Value::Object(pool))
}

/// The pool after a signature that revealed `consumed`.
pub(crate) fn replenished(
    pool: &Pool<'_>,
    consumed: &HashSet<&str>,
    secret: &PoolSecret,
    used: &mut UsedIds,
    env: &dyn Environment,
) -> Result<Value, RandomError> {
    let behavior = &pool.config.behavior;
    let next = match behavior.replenish {
        Replenish::TopUp => {
            let mut next = Challenges::left_of(pool, consumed);
            next.grow(consumed.len(), secret, used, env)?;
            next
        }
        Replenish::ReplaceAll => {
            let mut next = Challenges::default();
            next.grow(behavior.size, secret, used, env)?;
            next
        }
        Replenish::Consume => Challenges::left_of(pool, consumed),
        Replenish::ScorchedEarth => Challenges::default(),
    };
    Ok(with_challenges(pool, next))
}

/// The pool with all its challenges made anew, of another secret.
pub(crate) fn renewed(
    pool: &Pool<'_>,
    secret: &PoolSecret,
    used: &mut UsedIds,
    env: &dyn Environment,
) -> Result<Value, RandomError> {
    let mut next = Challenges::default();
    next.grow(pool.config.behavior.size, secret, used, env)?;
    Ok(with_challenges(pool, next))
}

fn with_challenges(pool: &Pool<'_>, next: Challenges) -> Value {
    let Challenges { challenges, binding_map } = next;
    let (mut challenges, mut binding_map) = (Some(challenges), Some(binding_map));
    let entries = pool.raw.iter().map(|(key, value)| {
        let replaced = match key.as_str() {
            "challenges" => challenges.take(),
            "bindingMap" => binding_map.take(),
            _ => None,
        };
        (key.clone(), replaced.map_or_else(|| value.clone(), Value::Object))
    });
    Value::Object(entries.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ibgib::IbGib;
    use crate::keystone::frame::pools;
    use crate::keystone::testing;

    fn after(frame: &IbGib, count: usize) -> (Vec<String>, Map<String, Value>) {
        let pools = pools(frame).unwrap();
        let pool = &pools[0];
        let consumed: HashSet<&str> = pool.ids().take(count).collect();
        let secret = PoolSecret::derive(&testing::secret(), &pool.config);
        let mut used = UsedIds::of(&pools);
        let next = replenished(pool, &consumed, &secret, &mut used, &testing::env()).unwrap();
        let ids = next["challenges"].as_object().unwrap().keys().cloned().collect();
        (ids, next["bindingMap"].as_object().unwrap().clone())
    }

    fn ids(frame: &IbGib) -> Vec<String> {
        crate::keystone::pool_ids(frame, "p")
    }

    fn genesis(replenish: Replenish) -> IbGib {
        testing::genesis(&[testing::pool("p", replenish)])
    }

    #[test]
    fn top_up_keeps_the_rest_in_order_and_adds_as_many() {
        let frame = genesis(Replenish::TopUp);
        let (before, (after, _)) = (ids(&frame), after(&frame, 3));
        assert_eq!(after.len(), before.len());
        assert_eq!(after[..before.len() - 3], before[3..]);
        assert!(after[before.len() - 3..].iter().all(|id| !before.contains(id)));
    }

    #[test]
    fn replace_all_keeps_nothing() {
        let frame = genesis(Replenish::ReplaceAll);
        let (before, (after, _)) = (ids(&frame), after(&frame, 3));
        assert_eq!(after.len(), before.len());
        assert!(after.iter().all(|id| !before.contains(id)));
    }

    #[test]
    fn consume_only_removes_and_leaves_the_bucket() {
        let frame = genesis(Replenish::Consume);
        let before = ids(&frame);
        let (left, buckets) = after(&frame, 3);
        assert_eq!(left, before[3..]);
        let held: usize = buckets.values().map(|ids| ids.as_array().unwrap().len()).sum();
        assert_eq!(held, left.len());
        let (_, emptied) = after(&frame, before.len());
        assert_eq!(emptied.len(), buckets.len());
        assert!(emptied.values().all(|ids| ids.as_array().unwrap().is_empty()));
    }

    #[test]
    fn scorched_earth_leaves_nothing() {
        let (ids, buckets) = after(&genesis(Replenish::ScorchedEarth), 1);
        assert!(ids.is_empty() && buckets.is_empty());
    }

    #[test]
    fn buckets_are_evenly_filled_and_stay_so() {
        let mut pool = testing::pool("p", Replenish::TopUp);
        pool.behavior.size = 48;
        let frame = testing::genesis(&[pool]);
        let (_, buckets) = after(&frame, 20);
        assert_eq!(buckets.len(), 16);
        assert!(buckets.values().all(|ids| ids.as_array().unwrap().len() == 3));
    }
}
