//! What is told, what it costs, and what it leaves.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::net_common::World;
use super::{Synced, TOLD, expect_nothing_new, sync_without_secret};

#[test]
fn one_request_tells_it_without_a_secret_and_leaves_both_files_as_they_are() {
    let synced = Synced::new();
    let before = synced.rows();
    synced.passed();
    let bytes = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&bytes);
    synced.relay.look(move |_, message| *counted.lock().unwrap() += message.len());
    expect_nothing_new(&synced.world, "a");
    let bytes = *bytes.lock().unwrap();
    assert!((1..=2048).contains(&bytes), "{bytes} bytes");
    assert_eq!(synced.passed(), ["GET state", "200 to GET state"]);
    for way in ["--dry-run", "--pull-only", "--push-only", "--fail-on-conflict"] {
        let told = sync_without_secret(&synced.world, "a", &[way]);
        assert_eq!(String::from_utf8(told.stdout).unwrap(), TOLD, "{way}");
        assert_eq!(synced.passed(), ["GET state", "200 to GET state"], "{way}");
    }
    synced.expect_rows(&before);
    synced.world.ok("a", &["check"]);
}

#[test]
fn the_object_has_the_keys_that_one_of_a_session_has() {
    let synced = Synced::new();
    let world = &synced.world;
    for more in [&[][..], &["--dry-run"]] {
        let told = sync_without_secret(world, "a", &[&["--json"], more].concat());
        let told: Value = serde_json::from_slice(&told.stdout).unwrap();
        let recorded = world.json("a", &[&["sync", "--record"], more].concat());
        let keys = |object: &Value| -> Vec<String> {
            object.as_object().unwrap().keys().cloned().collect()
        };
        assert_eq!(keys(&told), keys(&recorded), "{more:?}");
        assert_eq!((&told["upToDate"], &told["signed"]), (&json!(true), &json!(false)));
        assert_eq!((&recorded["upToDate"], &recorded["signed"]), (&json!(true), &json!(true)));
    }
    let told = sync_without_secret(world, "a", &["--json"]);
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(
        (&told["ok"], &told["unchanged"], &told["turns"]),
        (&json!(true), &json!(1), &json!(0))
    );
    assert_eq!((&told["session"], &told["server"]), (&Value::Null, &json!(synced.relay.url)));
}

#[test]
fn a_recorded_sync_and_what_needs_a_session_get_one() {
    let synced = Synced::new();
    let world = &synced.world;
    let trace = world.path("trace");
    for more in [&["--record"][..], &["X"], &["--trace", trace.to_str().unwrap()]] {
        synced.passed();
        let told = world.json("a", &[&["sync"], more].concat());
        assert_eq!(
            (&told["ok"], &told["signed"], &told["turns"]),
            (&json!(true), &json!(true), &json!(2))
        );
        assert!(synced.passed().contains(&"auth_ok".to_owned()), "{more:?}");
    }
    let trace = std::fs::read_to_string(trace).unwrap();
    let tokens = [".json", "-token.json"].map(|end| match end {
        ".json" => world.path("a/token.json"),
        _ => world.path("a/state-token.json"),
    });
    for token in tokens {
        let token: Value = serde_json::from_slice(&std::fs::read(token).unwrap()).unwrap();
        assert!(!trace.contains(token["token"]["value"].as_str().unwrap()));
    }
    // The session of the last recorded sync is the one that is checked.
    world.ok("a", &["check"]);
    expect_nothing_new(world, "a");
}

#[test]
fn a_wrong_secret_is_not_looked_at_unless_something_is_to_be_signed() {
    let synced = Synced::new();
    std::fs::write(synced.world.secret(), "another one").unwrap();
    assert_eq!(synced.world.ok("a", &["sync"]), TOLD);
    synced.world.fails("a", &["sync", "--record"], 5);
}

#[test]
fn the_embedded_receiver_tells_it_too() {
    let world = World::new();
    world.ok("a", &["setup"]);
    world.ok("a", &["sync"]);
    expect_nothing_new(&world, "a");
    world.ok("a", &["mut8", "X", "--set", "a=1"]);
    assert_eq!(world.json("a", &["sync"])["sent"]["ibGibs"], 2);
    expect_nothing_new(&world, "a");
    world.ok("a", &["check"]);
}

#[test]
fn timelines_are_counted() {
    let synced = Synced::new();
    let world = &synced.world;
    for ib in ["one", "two"] {
        world.ok("a", &["new", "--ib", ib]);
    }
    world.ok("a", &["sync"]);
    let told = sync_without_secret(world, "a", &[]);
    assert_eq!(told.stdout, b"up to date (3 timelines), nothing signed\n");
}
