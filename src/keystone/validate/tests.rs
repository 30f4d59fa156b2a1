//! One test for each rule: a good step, one rule broken, the frame hashed again, and just that
//! violation seen.

mod genesis;
mod link;
mod pools;
mod proof;
mod revocation;
mod timeline;

use serde_json::{Map, Value, json};

use super::*;
use crate::ibgib;
use crate::ibgib::System;
use crate::keystone::sign::Step;
use crate::keystone::{Claim, choose_demands, pool_ids, sign, testing};

/// A good step: a frame and the one after it, signed from `pool`.
fn step(pool: &str) -> (IbGib, IbGib) {
    let prev = testing::keystone();
    let verb = if pool == "bound" { "bind" } else { pool };
    let count = if pool == "connect" { 2 } else { 0 };
    let required = choose_demands(&prev, pool, count, &System::new()).unwrap();
    let claim = Claim::new(verb, "x^ABCD");
    let signing = crate::keystone::Signing { required: &required, ..testing::signing(&claim) };
    let signing = crate::keystone::Signing { pool_id: Some(pool), ..signing };
    let curr = sign(&prev, &testing::secret(), &signing).unwrap();
    assert_eq!(validate_step(&prev, &curr), []);
    (prev, curr)
}

/// A step from `sync` that reveals the challenges at these places, oldest first.
fn revealing(prev: &IbGib, places: &[usize], required: &[String]) -> IbGib {
    let ids = pool_ids(prev, "sync");
    let chosen: Vec<&str> = places.iter().map(|at| ids[*at].as_str()).collect();
    let step = Step::on(prev).unwrap();
    let claim = Claim::new("sync", "x^ABCD");
    let proof = step.prove(0, &testing::secret(), &claim, required, &chosen).unwrap();
    let data = step.data(0, &testing::secret(), &proof, &testing::env()).unwrap();
    step.frame(data).unwrap().into_inner()
}

/// The frame with a change, and the gib that it then has.
fn edited(frame: &IbGib, change: impl FnOnce(&mut IbGib)) -> IbGib {
    let mut frame = frame.clone();
    change(&mut frame);
    frame.gib = frame.computed_gib().unwrap();
    frame
}

/// The frame with a change in its data.
fn with_data(frame: &IbGib, change: impl FnOnce(&mut Value)) -> IbGib {
    edited(frame, |frame| change(frame.data.as_mut().unwrap()))
}

/// The frame with a change in its proof.
fn with_proof(frame: &IbGib, change: impl FnOnce(&mut Value)) -> IbGib {
    with_data(frame, |data| change(&mut data["proofs"][0]))
}

/// The frame with a change in one of its pools.
fn with_pool(frame: &IbGib, pool: &str, change: impl FnOnce(&mut Value)) -> IbGib {
    with_data(frame, |data| {
        let pools = data["challengePools"].as_array_mut().unwrap();
        change(pools.iter_mut().find(|one| one["id"] == pool).unwrap());
    })
}

/// The frame with a change in the challenges of a pool, and the binding map that they then have.
fn with_challenges(
    frame: &IbGib,
    pool: &str,
    change: impl FnOnce(&mut Map<String, Value>),
) -> IbGib {
    with_pool(frame, pool, |pool| {
        change(pool["challenges"].as_object_mut().unwrap());
        let mut buckets = Map::new();
        for id in pool["challenges"].as_object().unwrap().keys() {
            if buckets.get(&id[..1]).is_none() {
                ibgib::json::set(&mut buckets, &id[..1], json!([]));
            }
            buckets[&id[..1]].as_array_mut().unwrap().push(id.clone().into());
        }
        pool["bindingMap"] = Value::Object(buckets);
    })
}

/// A challenge in good form that nobody can solve.
fn any_challenge() -> Value {
    json!({ "type": "hash-reveal-v1", "hash": "0".repeat(64) })
}

fn drop_last(challenges: &mut Map<String, Value>) {
    let last = challenges.keys().next_back().unwrap().clone();
    challenges.shift_remove(&last);
}

/// Puts `id` in the place of the last challenge.
fn replace_last(challenges: &mut Map<String, Value>, id: &str) {
    drop_last(challenges);
    challenges.insert(id.to_owned(), any_challenge());
}

#[track_caller]
fn only(prev: &IbGib, curr: &IbGib) -> Violation {
    one(validate_step(prev, curr))
}

#[track_caller]
fn one(mut violations: Vec<Violation>) -> Violation {
    assert_eq!(violations.len(), 1, "{violations:#?}");
    let violation = violations.remove(0);
    assert!(!violation.to_string().is_empty());
    violation
}

#[test]
fn every_pool_makes_a_good_step() {
    for pool in ["sync", "bound", "manage", "connect"] {
        step(pool);
    }
}
