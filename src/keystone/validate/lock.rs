//! What a lock must be, and what it binds (docs/protocol.md, section 4, "Locked keystones").

use super::violation::{Findings, Violation};
use crate::ibgib::IbGib;
use crate::ibgib::addr::clip;
use crate::keystone::error::ShapeError;
use crate::keystone::frame::Pool;
use crate::keystone::lock::Lock;
use crate::keystone::proof::Proof;
use crate::keystone::{POOL_RECOVER, VERB_MANAGE, VERB_RECOVER};

/// What a step does to the keystone's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// The old secret changes it.
    Rotation,
    /// The recovery code changes it.
    Recovery,
}

/// Checks the lock of a genesis, where it has one.
pub(super) fn check_genesis(genesis: &IbGib, pools: &[Pool<'_>], findings: &mut Findings) {
    let lock = match Lock::of(genesis) {
        Ok(None) => return,
        Ok(Some(lock)) => lock,
        Err(error) => return findings.add(Violation::Malformed(error)),
    };
    let mut malformed = |at: &str, what| {
        findings
            .add(Violation::Malformed(ShapeError::new(format!("frameDetails.lock.{at}"), what)));
    };
    if lock.since != 0 {
        malformed("since", "is not 0 in a genesis");
    }
    if lock.signature.is_some() || lock.recovery_key.is_some() {
        malformed("signature", "stands in a genesis, which nothing signs");
    }
    let pool = pools.iter().find(|pool| pool.id() == POOL_RECOVER);
    let is_kept = |pool: &Pool<'_>| pool.config.allowed_verbs == [VERB_RECOVER];
    match (lock.recovery.is_some(), pool) {
        (true, Some(pool)) if is_kept(pool) => {}
        (false, None) => {}
        _ => malformed("recovery", "and a pool \"recover\" for that verb alone need each other"),
    }
}

/// Checks the lock of a step, and the signature in it; tells what the step does to the secret.
pub(super) fn check_step(
    prev: &IbGib,
    curr: &IbGib,
    proof: Option<&Proof>,
    findings: &mut Findings,
) -> Change {
    let before = Lock::of(prev).unwrap_or_else(|error| {
        findings.add(Violation::PrevMalformed(error));
        None
    });
    let lock = match Lock::of(curr) {
        Ok(lock) => lock,
        Err(error) => {
            findings.add(Violation::Malformed(error));
            return Change::None;
        }
    };
    let (before, lock) = match (before, lock) {
        (None, None) => return Change::None,
        (None, Some(_)) => {
            findings.add(Violation::LockAppears);
            return Change::None;
        }
        (Some(_), None) => {
            findings.add(Violation::LockMissing);
            return Change::None;
        }
        (Some(before), Some(lock)) => (before, lock),
    };
    let change = change(&before, &lock, proof);
    let signer = match (change, lock.recovery_key, before.recovery) {
        (Change::Recovery, Some(key), Some(hash)) if key.hash() == hash => Some(key),
        (Change::None | Change::Rotation, None, _) => Some(before.key),
        _ => None,
    };
    let Some(signer) = signer else {
        findings.add(Violation::RecoveryKey);
        return change;
    };
    match change {
        Change::None if before.same_keys(&lock) => {}
        Change::None => findings.add(Violation::LockChanged),
        Change::Rotation | Change::Recovery => {
            check_renewal(prev, curr, (&before, &lock), (change, proof), findings);
        }
    }
    let prev_addr = format!("{}^{}", prev.ib, prev.gib);
    if lock.signature.is_none() {
        findings.add(Violation::NotSigned);
    } else if !lock.is_signed_by(&signer, &prev_addr, curr) {
        findings.add(Violation::WrongSignature);
    }
    change
}

fn change(before: &Lock, lock: &Lock, proof: Option<&Proof>) -> Change {
    match proof.map(|proof| proof.claim.verb.as_str()) {
        Some(VERB_RECOVER) => Change::Recovery,
        Some(VERB_MANAGE) if lock.key != before.key => Change::Rotation,
        _ => Change::None,
    }
}

/// That a renewal is of the frame before, and brings in a key with this frame's count.
fn check_renewal(
    prev: &IbGib,
    curr: &IbGib,
    (before, lock): (&Lock, &Lock),
    (change, proof): (Change, Option<&Proof>),
    findings: &mut Findings,
) {
    let is_dated = Some(lock.since) == curr.n();
    let keeps_recovery = match change {
        Change::Recovery => lock.recovery.is_some() && lock.recovery != before.recovery,
        _ => lock.recovery == before.recovery,
    };
    if !is_dated || !keeps_recovery || lock.key == before.key {
        findings.add(Violation::LockChanged);
    }
    let Some(proof) = proof else { return };
    let expected = format!("{}^{}", prev.ib, prev.gib);
    if proof.claim.target != expected {
        let (expected, found) = (clip(&expected), clip(&proof.claim.target));
        findings.add(Violation::RenewalTarget { expected, found });
    }
    if change == Change::Recovery && proof.pool_id() != Some(POOL_RECOVER) {
        let pool = proof.pool_id().unwrap_or_default();
        findings.add(Violation::RecoverFromOtherPool(clip(pool)));
    }
}
