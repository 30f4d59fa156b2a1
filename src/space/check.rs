//! Keystone frames are checked before they are stored.

use crate::ibgib::{Addr, IbGib};

use super::{KEYSTONE_IB, SpaceError};

/// Checks a keystone frame: a genesis where `prev` is none, else the step from `prev`.
///
/// Errors with [`SpaceError::KeystoneInvalid`], one message per broken rule (docs/protocol.md,
/// section 4). That `prev` has no other successor is checked by the put itself.
pub(super) fn check_keystone(
    prev: Option<&IbGib>,
    frame: &IbGib,
    addr: &Addr,
) -> Result<(), SpaceError> {
    let violations: Vec<String> = match prev {
        None => validate_genesis(frame),
        Some(prev) => validate_step(prev, frame),
    };
    if violations.is_empty() {
        return Ok(());
    }
    Err(SpaceError::KeystoneInvalid { addr: addr.clone(), violations })
}

fn validate_genesis(frame: &IbGib) -> Vec<String> {
    let mut violations = Vec::new();
    if frame.ib != KEYSTONE_IB {
        violations.push("its ib is not \"keystone\"".to_owned());
    }
    if !frame.is_tjp() {
        violations.push("it begins no timeline and belongs to none".to_owned());
    }
    if frame.n() != Some(0) {
        violations.push("a genesis has n = 0".to_owned());
    }
    if frame.prev().is_some() {
        violations.push("a genesis has no past".to_owned());
    }
    violations
}

fn validate_step(prev: &IbGib, frame: &IbGib) -> Vec<String> {
    let mut violations = Vec::new();
    if prev.ib != KEYSTONE_IB || frame.ib != KEYSTONE_IB {
        violations.push("the ib of every frame of a keystone is \"keystone\"".to_owned());
    }
    if frame.n() != prev.n().and_then(|n| n.checked_add(1)) {
        violations.push("n is not that of the frame before plus one".to_owned());
    }
    if frame.tjp_addr() != prev.tjp_addr() {
        violations.push("the tjp is not that of the frame before".to_owned());
    }
    violations
}
