//! What may be in a pool, and how it may change.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::lock::Change;
use super::violation::{Findings, Violation};
use super::{Used, identical, identical_maps};
use crate::ibgib::IbGib;
use crate::ibgib::addr::clip;
use crate::keystone::POOL_RECOVER;
use crate::keystone::error::ShapeError;
use crate::keystone::frame::Pool;
use crate::keystone::pool_config::{Algo, HASH_REVEAL, Replenish};
use crate::keystone::pools::UsedIds;
use crate::keystone::proof::is_challenge_id;

/// Checks the pools of a genesis: there are some, each is full and well formed, none shares an
/// id with another.
pub(super) fn check_genesis(pools: &[Pool<'_>], findings: &mut Findings) {
    if pools.is_empty() {
        findings.add(Violation::NoPools);
    }
    let mut ids = UsedIds::default();
    for (at, pool) in pools.iter().enumerate() {
        let id = pool.id();
        let unique = pools[..at].iter().all(|other| other.id() != id);
        findings.require(unique, Violation::DuplicatePool, id);
        let (expected, found) = (pool.config.behavior.size, pool.challenges.len());
        if expected != found {
            findings.add(Violation::PoolNotFull { pool: clip(id), expected, found });
        }
        for (challenge_id, challenge) in pool.challenges {
            check_challenge(pool, challenge_id, challenge, findings);
            if !ids.add(challenge_id) && is_challenge_id(challenge_id) {
                let (pool, id) = (clip(id), clip(challenge_id));
                findings.add(Violation::IdSeenBefore { pool, id });
            }
        }
        check_binding_map(id, pool.challenges, pool.binding_map, findings);
    }
}

/// Checks how the pools changed from the frame before to `curr`. Returns the ids that are new.
pub(super) fn check_step(
    prev_pools: &[Pool<'_>],
    curr: &IbGib,
    used: &Used<'_, '_>,
    (change, mut ids): (Change, UsedIds),
    findings: &mut Findings,
) -> Vec<String> {
    let curr_pools = curr.datum("challengePools").and_then(Value::as_array);
    let curr_pools = curr_pools.map(Vec::as_slice).unwrap_or_default();
    let ids_now = curr_pools.iter().map(|pool| pool.get("id").and_then(Value::as_str));
    if !ids_now.eq(prev_pools.iter().map(|pool| Some(pool.id()))) {
        findings.add(Violation::PoolListChanged);
        return Vec::new();
    }
    let mut fresh = Vec::new();
    for (prev, curr) in prev_pools.iter().zip(curr_pools.iter().filter_map(Value::as_object)) {
        let is_renewed = match change {
            Change::None => false,
            Change::Rotation => prev.id() != POOL_RECOVER,
            Change::Recovery => true,
        };
        if is_renewed {
            fresh.extend(check_renewed(prev, curr, &mut ids, findings));
        } else if prev.id() == used.pool.id() {
            fresh = check_used(used, curr, &ids, findings);
        } else {
            let carried = identical_maps(prev.raw, curr);
            findings.require(carried, Violation::OtherPoolChanged, prev.id());
        }
    }
    fresh
}

/// Checks the pool that signed.
fn check_used(
    used: &Used<'_, '_>,
    curr: &Map<String, Value>,
    ids: &UsedIds,
    findings: &mut Findings,
) -> Vec<String> {
    let pool = used.pool;
    let Some([challenges, binding_map]) = check_fields(pool, curr, findings) else {
        return Vec::new();
    };
    check_kept(used, challenges, findings);
    let fresh = check_fresh(used, challenges, ids, findings);
    check_binding_map(pool.id(), challenges, binding_map, findings);
    fresh
}

/// Checks a pool that a renewal makes anew: it is full, of new ids, and the same in all else.
fn check_renewed(
    prev: &Pool<'_>,
    curr: &Map<String, Value>,
    ids: &mut UsedIds,
    findings: &mut Findings,
) -> Vec<String> {
    let Some([challenges, binding_map]) = check_fields(prev, curr, findings) else {
        return Vec::new();
    };
    let (expected, found) = (prev.config.behavior.size, challenges.len());
    if found != expected {
        findings.add(Violation::NewChallenges { pool: clip(prev.id()), expected, found });
    }
    for (id, challenge) in challenges {
        check_challenge(prev, id, challenge, findings);
        if !ids.add(id) && is_challenge_id(id) {
            findings.add(Violation::IdSeenBefore { pool: clip(prev.id()), id: clip(id) });
        }
    }
    check_binding_map(prev.id(), challenges, binding_map, findings);
    challenges.keys().cloned().collect()
}

/// The challenges and the binding map that a pool has now; checks that nothing else in it changed.
fn check_fields<'a>(
    pool: &Pool<'_>,
    curr: &'a Map<String, Value>,
    findings: &mut Findings,
) -> Option<[&'a Map<String, Value>; 2]> {
    if let Some(key) = changed_field(pool.raw, curr) {
        let id = clip(pool.id());
        findings.add(match key.as_str() {
            "config" => Violation::ConfigChanged(id),
            _ => Violation::PoolFieldChanged { pool: id, key },
        });
    }
    let object = |key| curr.get(key).and_then(Value::as_object);
    if let (Some(challenges), Some(binding_map)) = (object("challenges"), object("bindingMap")) {
        return Some([challenges, binding_map]);
    }
    let error = ShapeError::new(pool.id(), "has no challenges or no bindingMap");
    findings.add(Violation::Malformed(error));
    None
}

/// The first key, other than the two that a signature changes, with another value or place.
fn changed_field(prev: &Map<String, Value>, curr: &Map<String, Value>) -> Option<String> {
    if !prev.keys().eq(curr.keys()) {
        let moved = curr.keys().zip(prev.keys().map(Some).chain(std::iter::repeat(None)));
        let moved = moved.into_iter().find(|(curr, prev)| Some(*curr) != *prev);
        let lost = || prev.keys().next_back();
        return moved.map(|(key, _)| key).or_else(lost).map(|key| clip(key));
    }
    let fields = prev.iter().filter(|(key, _)| *key != "challenges" && *key != "bindingMap");
    let mut changed =
        fields.filter(|(key, value)| !curr.get(*key).is_some_and(|other| identical(value, other)));
    changed.next().map(|(key, _)| clip(key))
}

/// Whether a challenge of the frame before stays.
fn stays(used: &Used<'_, '_>, id: &str) -> bool {
    let keeps = match used.pool.config.behavior.replenish {
        Replenish::TopUp | Replenish::Consume => true,
        Replenish::ReplaceAll | Replenish::ScorchedEarth => false,
    };
    keeps && !used.revealed.contains(id) && used.pool.challenges.contains_key(id)
}

/// That the challenges that stay are all there, unchanged, first and in their order.
fn check_kept(used: &Used<'_, '_>, curr: &Map<String, Value>, findings: &mut Findings) {
    let pool = used.pool;
    for (id, challenge) in pool.challenges.iter().filter(|(id, _)| stays(used, id)) {
        match curr.get(id) {
            None => findings.add(Violation::ChallengeLost { pool: clip(pool.id()), id: clip(id) }),
            Some(other) if !identical(challenge, other) => {
                findings.add(Violation::ChallengeChanged { pool: clip(pool.id()), id: clip(id) });
            }
            Some(_) => {}
        }
    }
    let order = pool.ids().filter(|id| stays(used, id) && curr.contains_key(*id));
    let in_order = order.zip(curr.keys()).all(|(expected, found)| expected == found);
    findings.require(in_order, Violation::Reordered, pool.id());
}

/// That as many challenges are new as the strategy gives, and that no id comes back.
fn check_fresh(
    used: &Used<'_, '_>,
    curr: &Map<String, Value>,
    ids: &UsedIds,
    findings: &mut Findings,
) -> Vec<String> {
    let pool = used.pool;
    let mut fresh = Vec::new();
    let mut returned = false;
    for (id, challenge) in curr.iter().filter(|(id, _)| !stays(used, id)) {
        if used.revealed.contains(id.as_str()) {
            returned = true;
            findings.add(Violation::RevealedReturns { pool: clip(pool.id()), id: clip(id) });
        } else if ids.contains(id) {
            findings.add(Violation::IdSeenBefore { pool: clip(pool.id()), id: clip(id) });
        }
        check_challenge(pool, id, challenge, findings);
        fresh.push(id.clone());
    }
    let expected = match pool.config.behavior.replenish {
        Replenish::TopUp => used.revealed.len(),
        Replenish::ReplaceAll => pool.config.behavior.size,
        Replenish::Consume | Replenish::ScorchedEarth => 0,
    };
    let found = fresh.len();
    if found != expected && !returned {
        findings.add(Violation::NewChallenges { pool: clip(pool.id()), expected, found });
    }
    fresh
}

/// That a challenge is a hash of the pool's algorithm under a well-formed id.
fn check_challenge(pool: &Pool<'_>, id: &str, challenge: &Value, findings: &mut Findings) {
    let hash = challenge.get("hash").and_then(Value::as_str);
    let is_hash = hash.is_some_and(|hash| is_hex(hash, pool.config.algo));
    let is_known = challenge.get("type").and_then(Value::as_str) == Some(HASH_REVEAL);
    if !is_challenge_id(id) || !is_hash || !is_known {
        findings.add(Violation::BadChallenge { pool: clip(pool.id()), id: clip(id) });
    }
}

fn is_hex(hash: &str, algo: Algo) -> bool {
    hash.len() == algo.hex_len() && hash.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

/// That every bucket lists just the challenges that start with its character, in their order.
/// A bucket without challenges may be there, empty.
fn check_binding_map(
    pool: &str,
    challenges: &Map<String, Value>,
    binding_map: &Map<String, Value>,
    findings: &mut Findings,
) {
    let mut wrong = |bucket: &str| {
        findings.add(Violation::BindingMap { pool: clip(pool), bucket: clip(bucket) });
    };
    let mut buckets: [Vec<&str>; 16] = Default::default();
    for id in challenges.keys() {
        if let Some(digit) = digit(id) {
            buckets[digit].push(id);
        }
    }
    let mut listed = HashSet::new();
    for (bucket, ids) in binding_map {
        let expected = digit(bucket).filter(|_| bucket.len() == 1);
        let ids = ids.as_array().map(|ids| ids.iter().map(Value::as_str));
        let matches = expected.zip(ids).is_some_and(|(digit, ids)| {
            listed.insert(digit);
            ids.eq(buckets[digit].iter().copied().map(Some))
        });
        if !matches {
            return wrong(bucket);
        }
    }
    let unlisted = (0..16).find(|digit| !buckets[*digit].is_empty() && !listed.contains(digit));
    if let Some(first) = unlisted.and_then(|digit| buckets[digit].first()) {
        wrong(&first[..1]);
    }
}

/// The value of the first character, where that is a lowercase hex digit.
fn digit(text: &str) -> Option<usize> {
    match text.as_bytes().first()? {
        c @ b'0'..=b'9' => Some(usize::from(c - b'0')),
        c @ b'a'..=b'f' => Some(usize::from(c - b'a') + 10),
        _ => None,
    }
}
