//! Validating a keystone's frames (docs/protocol.md, section 4, "Validating a step").
//!
//! Everything that the reference makes is accepted, with one exception: two signatures that it makes
//! in one millisecond give new challenges the ids of revealed ones, which shrinks the pool, and are
//! refused. What only the holder of the secret can make is told from what anyone can. The work is bounded: challenges are hashed only where a proof
//! reveals them, and no more than [`MAX_HASHES_PER_STEP`](super::MAX_HASHES_PER_STEP) times.

mod frame;
mod lock;
mod pools;
mod proof;
mod timeline;
mod violation;

#[cfg(test)]
mod tests;

pub use timeline::{Replay, SeenIds, StepsOnly, TimelineValidator};
pub use violation::Violation;

use std::borrow::Borrow;

use serde_json::{Map, Value};

use super::error::ShapeError;
use super::frame::{Pool, is_revoked, pools as read_pools};
use super::lock::SIGNATURE_COST;
use super::pools::UsedIds;
use super::proof::Proof;
use crate::ibgib::{IbGib, Valid};
use violation::Findings;

/// The rules that a frame breaks as a keystone's genesis; none where it is one.
pub fn validate_genesis(genesis: &IbGib) -> Vec<Violation> {
    genesis_violations(genesis, Gib::Unchecked)
}

/// As [`validate_genesis`], of a frame whose gib is known to be right.
pub fn validate_valid_genesis<T: Borrow<IbGib>>(genesis: &Valid<T>) -> Vec<Violation> {
    genesis_violations(genesis, Gib::Checked)
}

/// Whether a frame's gib is known to be right, so that it need not be hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gib {
    Checked,
    Unchecked,
}

fn genesis_violations(genesis: &IbGib, gib: Gib) -> Vec<Violation> {
    #[cfg(test)]
    counted::add();
    let mut findings = Findings::default();
    frame::check_any(genesis, gib, &mut findings);
    frame::check_genesis(genesis, &mut findings);
    match read_pools(genesis) {
        Ok(read) => {
            pools::check_genesis(&read, &mut findings);
            lock::check_genesis(genesis, &read, &mut findings);
        }
        Err(error) => findings.add(Violation::Malformed(error)),
    }
    findings.0
}

/// The rules that `curr` breaks as the frame after `prev`; none where it is a good step.
///
/// `prev` is taken for valid. That an id of a much older frame comes back is seen by
/// [`TimelineValidator`] alone.
pub fn validate_step(prev: &IbGib, curr: &IbGib) -> Vec<Violation> {
    check_step(prev, curr, Gib::Unchecked).violations
}

/// As [`validate_step`], of a frame whose gib is known to be right.
pub fn validate_valid_step<T: Borrow<IbGib>>(prev: &IbGib, curr: &Valid<T>) -> Vec<Violation> {
    check_step(prev, curr, Gib::Checked).violations
}

/// The rules that `curr` breaks in itself and in what ties it to `prev`; none where it goes on from
/// it. No solution is computed and no pool is compared with the one before: that is for frames
/// which [`validate_step`] found good when they were stored.
pub fn validate_link(prev: &IbGib, curr: &IbGib) -> Vec<Violation> {
    let mut findings = Findings::default();
    frame::check_any(curr, Gib::Unchecked, &mut findings);
    frame::check_link(prev, curr, &mut findings);
    findings.0
}

/// How many hashes it takes to validate `curr` as the frame after `prev`, at most
/// [`MAX_HASHES_PER_STEP`](super::MAX_HASHES_PER_STEP): a step that costs more is refused before
/// any is computed. Nothing is validated.
pub fn step_cost(prev: &IbGib, curr: &IbGib) -> u64 {
    let proof = super::proof_of(curr).ok().flatten();
    let Some((proof, pools)) = proof.zip(read_pools(prev).ok()) else { return 0 };
    let pool = pools.iter().find(|pool| Some(pool.id()) == proof.pool_id());
    let cost = pool.map_or(0, |pool| proof.solutions.len() as u64 * u64::from(pool.config.rounds));
    cost.saturating_add(signature_cost(prev)).min(super::MAX_HASHES_PER_STEP)
}

/// How many hashes it takes to validate what is signed on `frame`, whichever pool signs, where
/// nothing is demanded; at most [`MAX_HASHES_PER_STEP`](super::MAX_HASHES_PER_STEP).
pub fn next_step_cost(frame: &IbGib) -> u64 {
    let costs = read_pools(frame).into_iter().flatten().map(|pool| {
        let behavior = &pool.config.behavior;
        let taken = [behavior.target_binding_chars, behavior.select_sequentially]
            .into_iter()
            .fold(behavior.select_randomly, usize::saturating_add);
        taken.min(pool.challenges.len()) as u64 * u64::from(pool.config.rounds)
    });
    let cost = costs.max().unwrap_or(0);
    cost.saturating_add(signature_cost(frame)).min(super::MAX_HASHES_PER_STEP)
}

/// What checking the signature of the frame after this one counts for.
fn signature_cost(frame: &IbGib) -> u64 {
    if super::lock_of(frame).is_some() { SIGNATURE_COST } else { 0 }
}

/// What checking a step found.
struct Checked {
    violations: Vec<Violation>,
    /// The pool that signed.
    pool: String,
    /// The challenges that came into it.
    fresh: Vec<String>,
}

fn check_step(prev: &IbGib, curr: &IbGib, gib: Gib) -> Checked {
    #[cfg(test)]
    counted::add();
    let mut findings = Findings::default();
    frame::check_any(curr, gib, &mut findings);
    frame::check_link(prev, curr, &mut findings);
    if is_revoked(prev) {
        findings.add(Violation::Revoked);
    }
    let proof = read_proof(curr, &mut findings);
    let prev_pools = match read_pools(prev) {
        Ok(pools) => pools,
        Err(error) => {
            findings.add(Violation::PrevMalformed(error));
            Vec::new()
        }
    };
    if let Some(proof) = &proof {
        frame::check_revocation(prev, curr, proof, &mut findings);
    }
    let change = lock::check_step(prev, curr, proof.as_ref(), &mut findings);
    let used = proof.as_ref().and_then(|proof| proof::check(&prev_pools, proof, &mut findings));
    let mut checked = Checked { violations: Vec::new(), pool: String::new(), fresh: Vec::new() };
    // Without a pool that signed nothing tells how the pools should have changed.
    if let Some(used) = used {
        let ids = UsedIds::of(&prev_pools);
        checked.pool = used.pool.id().to_owned();
        checked.fresh = pools::check_step(&prev_pools, curr, &used, (change, ids), &mut findings);
    }
    checked.violations = findings.0;
    checked
}

/// The one proof of a step.
fn read_proof(curr: &IbGib, findings: &mut Findings) -> Option<Proof> {
    let Some(proofs) = curr.datum("proofs").and_then(Value::as_array) else {
        findings.add(Violation::Malformed(ShapeError::new("proofs", "is no list")));
        return None;
    };
    let [proof] = proofs.as_slice() else {
        findings.add(Violation::ProofCount(proofs.len()));
        return None;
    };
    let read = Proof::from_value(proof).map_err(|error| error.within("proofs[0]"));
    read.map_err(|error| findings.add(Violation::Malformed(error))).ok()
}

/// The pool that a proof is made from, and the challenges in it that the proof reveals.
struct Used<'a, 'b> {
    pool: &'b Pool<'a>,
    revealed: std::collections::HashSet<&'b str>,
}

/// Whether two values are the same to a hash: equal, with their keys in the same order.
fn identical(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| identical(a, b))
        }
        (Value::Object(one), Value::Object(other)) => identical_maps(one, other),
        _ => one == other,
    }
}

/// As [`identical`], for objects.
fn identical_maps(one: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    let mut pairs = one.iter().zip(other);
    one.len() == other.len() && pairs.all(|((a, one), (b, other))| a == b && identical(one, other))
}

/// How many geneses and steps this thread validated: a test counts them.
#[cfg(test)]
pub(crate) mod counted {
    use std::cell::Cell;

    thread_local!(static COUNT: Cell<u64> = const { Cell::new(0) });

    pub(super) fn add() {
        COUNT.set(COUNT.get() + 1);
    }

    pub(crate) fn validations() -> u64 {
        COUNT.get()
    }
}
