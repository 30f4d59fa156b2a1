use super::*;
use crate::ibgib::System;
use crate::keystone::{
    VERB_CONNECT, VERB_MANAGE, VERB_SYNC, choose_demands, frame_details, is_revoked, pool_ids,
    proof_of, revocation_reason, testing, validate_step,
};
use serde_json::json;

fn claim(verb: &str) -> Claim {
    Claim::new(verb, "x^ABCDEF")
}

fn signed(prev: &IbGib, signing: &Signing<'_>) -> Result<IbGib, KeystoneError> {
    sign(prev, &testing::secret(), signing)
}

#[test]
fn a_signature_reveals_what_the_pool_asks_for_and_no_more() {
    let prev = testing::keystone();
    let mut claim = claim(VERB_SYNC);
    claim.scope = Some("all".to_owned());
    let details = json!({ "note": 1.0 });
    let signing = Signing { frame_details: Some(details), ..testing::signing(&claim) };
    let next = signed(&prev, &signing).unwrap();
    assert_eq!(validate_step(&prev, &next), []);
    let proof = proof_of(&next).unwrap().unwrap();
    assert_eq!(proof.claim, claim);
    assert_eq!(proof.solutions.len(), 4);
    assert_eq!(proof.solutions[0].challenge_id, pool_ids(&prev, "sync")[0]);
    assert_eq!(frame_details(&next), Some(&json!({ "note": 1 })));
    assert_eq!(next.rel8d("past").count(), 1);
    let second = signed(&next, &testing::signing(&claim)).unwrap();
    assert_eq!(validate_step(&next, &second), []);
    assert_eq!((second.n(), second.rel8d("past").count()), (Some(2), 1));
    assert_eq!(frame_details(&second), None);
}

#[test]
fn the_pool_that_names_the_verb_signs_else_one_that_names_none() {
    let prev = testing::keystone();
    let pool = |verb, pool_id| {
        let claim = claim(verb);
        let next = signed(&prev, &Signing { pool_id, ..testing::signing(&claim) })?;
        Ok::<_, KeystoneError>(proof_of(&next)?.unwrap().pool_id().unwrap().to_owned())
    };
    assert_eq!(pool(VERB_MANAGE, None).unwrap(), "manage");
    assert_eq!(pool("anything", None).unwrap(), "sync");
    assert_eq!(pool(VERB_MANAGE, Some("sync")).unwrap(), "sync");
    let refused = pool(VERB_SYNC, Some("manage"));
    assert!(matches!(refused, Err(KeystoneError::VerbNotAllowed { .. })));
    assert!(matches!(pool(VERB_SYNC, Some("none")), Err(KeystoneError::NoSuchPool(_))));
    let config = testing::pool("p", crate::keystone::Replenish::TopUp);
    let claim = claim(VERB_MANAGE);
    let refused = signed(&testing::genesis(&[config]), &testing::signing(&claim));
    assert!(matches!(refused, Err(KeystoneError::NoPoolFor(_))));
}

#[test]
fn demanded_challenges_are_revealed_and_named() {
    let prev = testing::keystone();
    let required = choose_demands(&prev, "connect", 3, &System::new()).unwrap();
    let claim = Claim::new(VERB_CONNECT, "a-challenge-uuid");
    let signing = Signing { required: &required, ..testing::signing(&claim) };
    let next = signed(&prev, &signing).unwrap();
    assert_eq!(validate_step(&prev, &next), []);
    assert!(proof_of(&next).unwrap().unwrap().answers(&required));
    assert_eq!(pool_ids(&next, "connect").len(), 13);
    let unknown = vec!["0000000000000000".to_owned()];
    let refused = signed(&prev, &Signing { required: &unknown, ..testing::signing(&claim) });
    assert!(matches!(refused, Err(KeystoneError::UnknownDemand { .. })));
    let refused = signed(&prev, &testing::signing(&claim));
    assert!(matches!(refused, Err(KeystoneError::NothingToReveal { .. })));
}

#[test]
fn a_target_that_cannot_be_bound_is_told() {
    let prev = testing::keystone();
    let sign = |target| signed(&prev, &testing::signing(&Claim::new("bind", target)));
    assert_eq!(validate_step(&prev, &sign("x^AABB").unwrap()), []);
    let refused = sign("x^AAAB").unwrap_err();
    let KeystoneError::Exhausted { unmet: Unmet::Binding('a'), .. } = refused else {
        panic!("{refused}")
    };
}

#[test]
fn another_secret_is_refused() {
    let prev = testing::keystone();
    let other = MasterSecret::from_raw("another".to_owned().into()).unwrap();
    assert!(knows(&testing::secret(), &prev) && !knows(&other, &prev));
    let refused = sign(&prev, &other, &testing::signing(&claim(VERB_SYNC)));
    assert!(matches!(refused, Err(KeystoneError::SecretRefused { .. })));
    let refused = revoke(&prev, &other, "gone", &testing::env());
    assert!(matches!(refused, Err(KeystoneError::SecretRefused { .. })));
}

#[test]
fn a_revoked_keystone_signs_nothing() {
    let prev = testing::keystone();
    let claim = claim(VERB_SYNC);
    let revoked = revoke(&prev, &testing::secret(), "lost it", &testing::env()).unwrap();
    assert_eq!(validate_step(&prev, &revoked), []);
    assert!(is_revoked(&revoked) && !is_revoked(&prev));
    assert_eq!(revocation_reason(&revoked), Some("lost it"));
    assert!(pool_ids(&revoked, POOL_REVOKE).is_empty());
    let refused = signed(&revoked, &testing::signing(&claim));
    assert!(matches!(refused, Err(KeystoneError::Revoked)));
    let refused = revoke(&revoked, &testing::secret(), "again", &testing::env());
    assert!(matches!(refused, Err(KeystoneError::Revoked)));
}

#[test]
fn revoking_is_no_plain_signature() {
    let prev = testing::keystone();
    let refused = signed(&prev, &testing::signing(&claim(VERB_REVOKE)));
    assert!(matches!(refused, Err(KeystoneError::UseRevoke)));
}

#[test]
fn claims_and_details_out_of_bounds_are_refused() {
    let prev = testing::keystone();
    for claim in [Claim::new("", "x^gib"), Claim::new("sync", &"x".repeat(8193))] {
        let refused = signed(&prev, &testing::signing(&claim));
        assert!(matches!(refused, Err(KeystoneError::Shape(_))));
    }
    let claim = claim(VERB_SYNC);
    let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
    let refused = signed(&prev, &Signing { frame_details: Some(deep), ..testing::signing(&claim) });
    assert!(matches!(refused, Err(KeystoneError::Json(_))));
    let refused = signed(&IbGib::primitive("keystone"), &testing::signing(&claim));
    assert!(matches!(refused, Err(KeystoneError::Shape(_))));
    let long = "x".repeat(MAX_CLAIM_BYTES + 1);
    let refused = revoke(&prev, &testing::secret(), &long, &testing::env());
    assert!(matches!(refused, Err(KeystoneError::Shape(_))));
}
