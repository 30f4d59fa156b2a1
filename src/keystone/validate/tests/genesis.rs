use super::*;

#[track_caller]
fn broken(change: impl FnOnce(&mut Value)) -> Violation {
    one(validate_genesis(&with_data(&testing::keystone(), change)))
}

#[test]
fn a_genesis_that_comes_after_something() {
    let genesis = testing::keystone();
    assert_eq!(validate_genesis(&genesis), []);
    for name in ["past", "tjp"] {
        let other = edited(&genesis, |frame| {
            let rel8ds = json!([testing::random_addr("keystone")]);
            frame.rel8ns.as_mut().unwrap().insert(name.to_owned(), rel8ds);
        });
        assert_eq!(one(validate_genesis(&other)), Violation::GenesisHasPast);
    }
    assert_eq!(broken(|data| data["n"] = json!(1)), Violation::WrongN { expected: 0 });
    assert_eq!(broken(|data| data["isTjp"] = json!(1)), Violation::GenesisNotTjp);
}

#[test]
fn a_genesis_that_proves_something() {
    let proof = testing::random_id();
    assert_eq!(broken(|data| data["proofs"] = json!([proof])), Violation::GenesisProof);
    // One that says nothing of proofs is told what it lacks.
    let absent = |data: &mut Value| drop(data.as_object_mut().unwrap().remove("proofs"));
    for broken in [broken(absent), broken(|data| data["proofs"] = Value::Null)] {
        let told = "the frame cannot be read: proofs: is no list; a genesis has an empty one";
        assert_eq!(broken.to_string(), told);
    }
    let info = json!({ "reason": "x" });
    assert_eq!(broken(|data| data["revocationInfo"] = info), Violation::RevocationUnexpected);
}

#[test]
fn a_genesis_without_pools_or_with_too_many() {
    assert_eq!(broken(|data| data["challengePools"] = json!([])), Violation::NoPools);
    let many = |data: &mut Value| {
        let pool = data["challengePools"][0].clone();
        data["challengePools"] = Value::Array(vec![pool; 33]);
    };
    assert!(matches!(broken(many), Violation::Malformed(_)));
    let endless = |data: &mut Value| {
        let ids = (0..4097).map(|n| (format!("{n:016x}"), any_challenge()));
        data["challengePools"][0]["challenges"] = Value::Object(ids.collect());
    };
    assert!(matches!(broken(endless), Violation::Malformed(_)));
    let rounds = |data: &mut Value| data["challengePools"][0]["config"]["rounds"] = json!(0);
    assert!(matches!(broken(rounds), Violation::Malformed(_)));
    assert!(matches!(broken(|data| data["uuid"] = Value::Null), Violation::Malformed(_)));
}

#[test]
fn pools_that_share_an_id() {
    let seen = broken(|data| data["challengePools"][1]["id"] = json!("sync"));
    assert_eq!(seen, Violation::DuplicatePool("sync".to_owned()));
    let genesis = testing::keystone();
    let id = pool_ids(&genesis, "sync")[0].clone();
    let other = with_challenges(&genesis, "manage", |map| replace_last(map, &id));
    let pool = "manage".to_owned();
    assert_eq!(one(validate_genesis(&other)), Violation::IdSeenBefore { pool, id });
}

#[test]
fn a_pool_that_is_not_full_or_not_well_formed() {
    let genesis = testing::keystone();
    let other = with_challenges(&genesis, "sync", drop_last);
    let pool = || "sync".to_owned();
    let expected = Violation::PoolNotFull { pool: pool(), expected: 32, found: 31 };
    assert_eq!(one(validate_genesis(&other)), expected);
    let id = pool_ids(&genesis, "sync")[0].clone();
    let other = with_challenges(&genesis, "sync", |map| map[&id] = Value::Null);
    assert_eq!(one(validate_genesis(&other)), Violation::BadChallenge { pool: pool(), id });
    let other = with_pool(&genesis, "sync", |pool| pool["bindingMap"] = json!({}));
    assert!(matches!(one(validate_genesis(&other)), Violation::BindingMap { .. }));
}

#[test]
fn a_genesis_with_a_wrong_gib() {
    let mut genesis = testing::keystone();
    genesis.gib = "0".repeat(64);
    assert!(matches!(one(validate_genesis(&genesis)), Violation::WrongGib { .. }));
    assert_ne!(validate_genesis(&IbGib::primitive("keystone")), []);
}
