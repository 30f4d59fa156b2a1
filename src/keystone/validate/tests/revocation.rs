use super::*;
use crate::keystone::revoke;

fn revoked() -> (IbGib, IbGib) {
    let prev = testing::keystone();
    let curr = revoke(&prev, &testing::secret(), "lost", &testing::env()).unwrap();
    assert_eq!(validate_step(&prev, &curr), []);
    (prev, curr)
}

/// A change in the proof and in the revocation's copy of it.
fn with_both_proofs(frame: &IbGib, change: impl Fn(&mut Value)) -> IbGib {
    with_data(frame, |data| {
        change(&mut data["proofs"][0]);
        change(&mut data["revocationInfo"]["proof"]);
    })
}

#[test]
fn a_step_on_a_revoked_keystone() {
    let (_, revoked) = revoked();
    let undone = with_data(&revoked, |data| {
        data.as_object_mut().unwrap().shift_remove("revocationInfo");
    });
    let after = revealing(&undone, &[0, 1, 5, 6], &[]);
    assert_eq!(validate_step(&undone, &after), []);
    let after = edited(&after, |frame| {
        let past = json!([format!("{}^{}", revoked.ib, revoked.gib)]);
        frame.rel8ns.as_mut().unwrap().insert("past".to_owned(), past);
    });
    assert_eq!(only(&revoked, &after), Violation::Revoked);
}

#[test]
fn a_revocation_of_another_frame() {
    let (prev, curr) = revoked();
    let target = testing::random_addr("keystone");
    let other = with_both_proofs(&curr, |proof| proof["claim"]["target"] = json!(target));
    let expected = format!("{}^{}", prev.ib, prev.gib);
    let found = target.clone();
    assert_eq!(only(&prev, &other), Violation::RevocationTarget { expected, found });
}

#[test]
fn a_revocation_that_is_not_there_or_not_claimed() {
    let (prev, curr) = revoked();
    let missing = with_data(&curr, |data| {
        data.as_object_mut().unwrap().shift_remove("revocationInfo");
    });
    assert_eq!(only(&prev, &missing), Violation::RevocationMissing);
    let (prev, curr) = step("sync");
    let unclaimed = with_data(&curr, |data| {
        data["revocationInfo"] = json!({ "reason": "x", "proof": data["proofs"][0] });
    });
    assert_eq!(only(&prev, &unclaimed), Violation::RevocationUnexpected);
    let null = with_data(&curr, |data| data["revocationInfo"] = Value::Null);
    assert_eq!(only(&prev, &null), Violation::RevocationUnexpected);
}

#[test]
fn a_revocation_from_another_pool() {
    let (prev, curr) = step("sync");
    let target = format!("{}^{}", prev.ib, prev.gib);
    let other = with_data(&curr, |data| {
        data["proofs"][0]["claim"] = json!({ "verb": "revoke", "target": target });
        data["revocationInfo"] = json!({ "reason": "x", "proof": data["proofs"][0] });
    });
    assert_eq!(only(&prev, &other), Violation::RevokeFromOtherPool("sync".to_owned()));
}

#[test]
fn a_revocation_with_another_proof_or_no_reason() {
    let (prev, curr) = revoked();
    let other = with_data(&curr, |data| {
        data["revocationInfo"]["proof"]["solutions"].as_array_mut().unwrap().pop();
    });
    assert_eq!(only(&prev, &other), Violation::RevocationProof);
    let other = with_data(&curr, |data| data["revocationInfo"]["reason"] = json!(1));
    assert!(matches!(only(&prev, &other), Violation::Malformed(_)));
}

#[test]
fn a_revocation_that_leaves_challenges() {
    let (prev, curr) = revoked();
    let other = with_challenges(&curr, "revoke", |map| {
        map.insert(testing::random_id(), any_challenge());
    });
    let pool = "revoke".to_owned();
    assert_eq!(only(&prev, &other), Violation::NewChallenges { pool, expected: 0, found: 1 });
}
