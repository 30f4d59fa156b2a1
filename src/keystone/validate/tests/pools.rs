use super::*;

#[test]
fn a_pool_comes_goes_or_moves() {
    let (prev, curr) = step("sync");
    let change = |change: fn(&mut Vec<Value>)| {
        with_data(&curr, |data| change(data["challengePools"].as_array_mut().unwrap()))
    };
    let changed = [
        change(|pools| drop(pools.pop())),
        change(|pools| pools.swap(1, 2)),
        change(|pools| pools.push(pools[0].clone())),
        change(|pools| pools.push(json!(1))),
        with_data(&curr, |data| data["challengePools"] = json!({})),
    ];
    for other in changed {
        assert_eq!(only(&prev, &other), Violation::PoolListChanged);
    }
}

#[test]
fn another_pool_changed() {
    let (prev, curr) = step("sync");
    let id = pool_ids(&prev, "manage")[0].clone();
    let expected = || Violation::OtherPoolChanged("manage".to_owned());
    let lost = with_challenges(&curr, "manage", |map| drop(map.shift_remove(&id)));
    assert_eq!(only(&prev, &lost), expected());
    let swapped = with_challenges(&curr, "manage", |map| map[&id] = any_challenge());
    assert_eq!(only(&prev, &swapped), expected());
    let moved = with_challenges(&curr, "manage", |map| {
        let first = map.shift_remove(&id).unwrap();
        map.insert(id.clone(), first);
    });
    assert_eq!(only(&prev, &moved), expected());
    let set = with_pool(&curr, "manage", |pool| pool["config"]["rounds"] = json!(1));
    assert_eq!(only(&prev, &set), expected());
}

#[test]
fn a_changed_config() {
    let (prev, curr) = step("sync");
    let size = with_pool(&curr, "sync", |pool| pool["config"]["behavior"]["size"] = json!(33));
    let verbs = with_pool(&curr, "sync", |pool| pool["config"]["allowedVerbs"] = json!(["x"]));
    let none = with_pool(&curr, "sync", |pool| pool["config"] = Value::Null);
    for other in [size, verbs, none] {
        assert_eq!(only(&prev, &other), Violation::ConfigChanged("sync".to_owned()));
    }
}

#[test]
fn another_field_of_the_pool_changed() {
    let (prev, curr) = step("sync");
    let expected = |key: &str| {
        let (pool, key) = ("sync".to_owned(), key.to_owned());
        Violation::PoolFieldChanged { pool, key }
    };
    let extra = with_pool(&curr, "sync", |pool| pool["extra"] = json!(1));
    assert_eq!(only(&prev, &extra), expected("extra"));
    let moved = with_pool(&curr, "sync", |pool| {
        let config = pool.as_object_mut().unwrap().shift_remove("config").unwrap();
        pool["config"] = config;
    });
    assert_eq!(only(&prev, &moved), expected("challenges"));
}

#[test]
fn a_lost_challenge() {
    for pool in ["sync", "connect"] {
        let (prev, curr) = step(pool);
        let id = pool_ids(&curr, pool)[0].clone();
        let other = with_challenges(&curr, pool, |map| drop(map.shift_remove(&id)));
        let pool = pool.to_owned();
        assert_eq!(only(&prev, &other), Violation::ChallengeLost { pool, id });
    }
}

#[test]
fn a_gained_challenge() {
    let counts = [("sync", 4, 5), ("manage", 16, 17), ("connect", 0, 1)];
    for (pool, expected, found) in counts {
        let (prev, curr) = step(pool);
        let other = with_challenges(&curr, pool, |map| {
            map.insert(testing::random_id(), any_challenge());
        });
        let pool = pool.to_owned();
        assert_eq!(only(&prev, &other), Violation::NewChallenges { pool, expected, found });
    }
}

#[test]
fn too_few_new_challenges() {
    for (pool, expected, found) in [("sync", 4, 3), ("manage", 16, 15)] {
        let (prev, curr) = step(pool);
        let other = with_challenges(&curr, pool, drop_last);
        let pool = pool.to_owned();
        assert_eq!(only(&prev, &other), Violation::NewChallenges { pool, expected, found });
    }
}

#[test]
fn a_changed_challenge() {
    let (prev, curr) = step("sync");
    let id = pool_ids(&curr, "sync")[0].clone();
    let other = with_challenges(&curr, "sync", |map| map[&id] = any_challenge());
    let pool = "sync".to_owned();
    assert_eq!(only(&prev, &other), Violation::ChallengeChanged { pool, id });
}

#[test]
fn challenges_in_another_order() {
    let (prev, curr) = step("sync");
    let id = pool_ids(&curr, "sync")[0].clone();
    let swapped = with_challenges(&curr, "sync", |map| {
        let mut entries: Vec<_> = std::mem::take(map).into_iter().collect();
        entries.swap(0, 1);
        map.extend(entries);
    });
    let last = with_challenges(&curr, "sync", |map| {
        let first = map.shift_remove(&id).unwrap();
        map.insert(id.clone(), first);
    });
    for other in [swapped, last] {
        assert_eq!(only(&prev, &other), Violation::Reordered("sync".to_owned()));
    }
}

#[test]
fn a_revealed_challenge_comes_back() {
    for pool in ["sync", "manage"] {
        let (prev, curr) = step(pool);
        let id = pool_ids(&prev, pool)[0].clone();
        let other = with_challenges(&curr, pool, |map| replace_last(map, &id));
        let pool = pool.to_owned();
        assert_eq!(only(&prev, &other), Violation::RevealedReturns { pool, id });
    }
    let (prev, curr) = step("connect");
    let id = curr.datum("proofs").unwrap()[0]["solutions"][0]["challengeId"].clone();
    let id = id.as_str().unwrap().to_owned();
    let other = with_challenges(&curr, "connect", |map| {
        map.insert(id.clone(), any_challenge());
    });
    let pool = "connect".to_owned();
    assert_eq!(only(&prev, &other), Violation::RevealedReturns { pool, id });
}

#[test]
fn a_used_id_comes_back() {
    let (prev, curr) = step("sync");
    let id = pool_ids(&prev, "manage")[0].clone();
    let other = with_challenges(&curr, "sync", |map| replace_last(map, &id));
    let expected = Violation::IdSeenBefore { pool: "sync".to_owned(), id };
    assert_eq!(only(&prev, &other), expected);

    let (prev, curr) = step("manage");
    let revealed = curr.datum("proofs").unwrap()[0]["solutions"].to_string();
    let id = pool_ids(&prev, "manage").into_iter().find(|id| !revealed.contains(id)).unwrap();
    let other = with_challenges(&curr, "manage", |map| replace_last(map, &id));
    let expected = Violation::IdSeenBefore { pool: "manage".to_owned(), id };
    assert_eq!(only(&prev, &other), expected);
}

#[test]
fn a_new_challenge_out_of_form() {
    let (prev, curr) = step("sync");
    let id = pool_ids(&curr, "sync").pop().unwrap();
    let expected = |id: &str| {
        let (pool, id) = ("sync".to_owned(), id.to_owned());
        Violation::BadChallenge { pool, id }
    };
    let short = with_challenges(&curr, "sync", |map| map[&id]["hash"] = json!("00"));
    assert_eq!(only(&prev, &short), expected(&id));
    let upper = with_challenges(&curr, "sync", |map| map[&id]["hash"] = json!("A".repeat(64)));
    assert_eq!(only(&prev, &upper), expected(&id));
    let other = with_challenges(&curr, "sync", |map| map[&id]["type"] = json!("other"));
    assert_eq!(only(&prev, &other), expected(&id));
    let long = "0123456789abcdef0";
    let other = with_challenges(&curr, "sync", |map| replace_last(map, long));
    assert_eq!(only(&prev, &other), expected(long));
}

#[test]
fn a_binding_map_that_does_not_match() {
    let (prev, curr) = step("sync");
    let changed = |change: &dyn Fn(&mut Map<String, Value>)| {
        with_pool(&curr, "sync", |pool| change(pool["bindingMap"].as_object_mut().unwrap()))
    };
    let bad = [
        ("0", changed(&|map| drop(map.shift_remove("0")))),
        ("0", changed(&|map| drop(map["0"].as_array_mut().unwrap().pop()))),
        ("0", changed(&|map| map["0"].as_array_mut().unwrap().reverse())),
        ("0", changed(&|map| map["0"] = map["1"].clone())),
        ("0", changed(&|map| map["0"] = json!("0"))),
        ("A", changed(&|map| drop(map.insert("A".to_owned(), json!([]))))),
        ("aa", changed(&|map| drop(map.insert("aa".to_owned(), map["a"].clone())))),
    ];
    for (bucket, other) in bad {
        let (pool, bucket) = ("sync".to_owned(), bucket.to_owned());
        assert_eq!(only(&prev, &other), Violation::BindingMap { pool, bucket });
    }
}

#[test]
fn a_pool_without_challenges() {
    let (prev, curr) = step("sync");
    let other = with_pool(&curr, "sync", |pool| pool["challenges"] = json!([]));
    assert!(matches!(only(&prev, &other), Violation::Malformed(_)));
}
