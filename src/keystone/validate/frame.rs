//! What a frame must be, its pools and its proof aside.

use serde_json::Value;

use super::violation::{Findings, Violation};
use super::{Gib, identical};
use crate::ibgib::IbGib;
use crate::ibgib::addr::clip;
use crate::keystone::error::ShapeError;
use crate::keystone::pool_config::check_name;
use crate::keystone::proof::Proof;
use crate::keystone::{
    KEYSTONE, KEYSTONE_ANCESTOR, MAX_CLAIM_BYTES, POOL_REVOKE, VERB_REVOKE, frame,
};

const RELATIONS: [&str; 3] = ["ancestor", "past", "tjp"];
const KEYS: [&str; 9] = [
    "n",
    "timestamp",
    "timestampMs",
    "uuid",
    "challengePools",
    "proofs",
    "frameDetails",
    "revocationInfo",
    "isTjp",
];

/// What holds for every frame: ib, gib, ancestor, its keys, its timestamp and uuid.
pub(super) fn check_any(frame: &IbGib, gib: Gib, findings: &mut Findings) {
    if frame.ib != KEYSTONE {
        findings.add(Violation::NotKeystone);
    }
    if gib == Gib::Unchecked {
        let computed = frame.computed_gib().unwrap_or_else(|error| error.to_string());
        if computed != frame.gib {
            findings.add(Violation::WrongGib { computed });
        }
    }
    if !frame.rel8d("ancestor").eq([KEYSTONE_ANCESTOR]) {
        findings.add(Violation::WrongAncestor);
    }
    for name in frame.rel8ns.iter().flat_map(|rel8ns| rel8ns.keys()) {
        findings.require(RELATIONS.contains(&name.as_str()), Violation::ExtraRelation, name);
    }
    let data = frame.data.as_ref().and_then(Value::as_object);
    for key in data.into_iter().flat_map(|data| data.keys()) {
        findings.require(KEYS.contains(&key.as_str()), Violation::ExtraKey, key);
    }
    let text = |key| frame.datum(key).and_then(Value::as_str).unwrap_or_default();
    let named = check_name("uuid", text("uuid")).and(check_name("timestamp", text("timestamp")));
    if let Err(error) = named {
        findings.add(Violation::Malformed(error));
    }
    if frame.datum("timestampMs").is_some_and(|ms| !ms.is_number()) {
        findings.add(Violation::Malformed(ShapeError::new("timestampMs", "is no number")));
    }
}

/// What holds for a genesis: it begins its timeline and proves nothing.
pub(super) fn check_genesis(genesis: &IbGib, findings: &mut Findings) {
    if genesis.n() != Some(0) {
        findings.add(Violation::WrongN { expected: 0 });
    }
    if genesis.datum("isTjp") != Some(&Value::Bool(true)) {
        findings.add(Violation::GenesisNotTjp);
    }
    if genesis.rel8d("past").chain(genesis.rel8d("tjp")).next().is_some() {
        findings.add(Violation::GenesisHasPast);
    }
    match genesis.datum("proofs").and_then(Value::as_array).map(Vec::is_empty) {
        Some(true) => {}
        Some(false) => findings.add(Violation::GenesisProof),
        None => {
            let error = ShapeError::new("proofs", "is no list; a genesis has an empty one");
            findings.add(Violation::Malformed(error));
        }
    }
    if frame::is_revoked(genesis) {
        findings.add(Violation::RevocationUnexpected);
    }
}

/// What ties a frame to the one before: `n`, `past`, `tjp`, uuid.
pub(super) fn check_link(prev: &IbGib, curr: &IbGib, findings: &mut Findings) {
    let expected = prev.n().unwrap_or(0).saturating_add(1);
    if curr.n() != Some(expected) {
        findings.add(Violation::WrongN { expected });
    }
    let expected = format!("{}^{}", prev.ib, prev.gib);
    let whole = prev.rel8d("past").chain([expected.as_str()]);
    if !curr.rel8d("past").eq([expected.as_str()]) && !curr.rel8d("past").eq(whole) {
        findings.add(Violation::WrongPast { expected: clip(&expected) });
    }
    let expected = prev.tjp_addr().unwrap_or_default();
    if !curr.rel8d("tjp").eq([expected.as_str()]) {
        findings.add(Violation::WrongTjp { expected: clip(&expected) });
    }
    if curr.datum("uuid") != prev.datum("uuid") {
        findings.add(Violation::UuidChanged);
    }
    findings.require(curr.datum("isTjp").is_none(), Violation::ExtraKey, "isTjp");
}

/// That a frame revokes where it claims to, and nowhere else.
pub(super) fn check_revocation(prev: &IbGib, curr: &IbGib, proof: &Proof, findings: &mut Findings) {
    let info = curr.datum("revocationInfo");
    let Some(info) = info.filter(|_| proof.claim.verb == VERB_REVOKE) else {
        if info.is_some() {
            findings.add(Violation::RevocationUnexpected);
        } else if proof.claim.verb == VERB_REVOKE {
            findings.add(Violation::RevocationMissing);
        }
        return;
    };
    if let Some(pool) = proof.pool_id() {
        findings.require(pool == POOL_REVOKE, Violation::RevokeFromOtherPool, pool);
    }
    let expected = format!("{}^{}", prev.ib, prev.gib);
    if proof.claim.target != expected {
        let (expected, found) = (clip(&expected), clip(&proof.claim.target));
        findings.add(Violation::RevocationTarget { expected, found });
    }
    let own = curr.datum("proofs").and_then(|proofs| proofs.get(0)).unwrap_or(&Value::Null);
    if !info.get("proof").is_some_and(|proof| identical(proof, own)) {
        findings.add(Violation::RevocationProof);
    }
    let reason = info.get("reason").and_then(Value::as_str);
    if reason.is_none_or(|reason| reason.len() > MAX_CLAIM_BYTES) {
        let error = ShapeError::new("revocationInfo.reason", "is no text of at most 8192 bytes");
        findings.add(Violation::Malformed(error));
    }
}
