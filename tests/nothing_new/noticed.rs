//! Whatever is new, on either side, is noticed.

use std::fs;

use serde_json::json;

use super::net_common::Serve;
use super::net_common::relay::{Act, Cut};
use super::{Synced, expect_a_secret_is_asked_for, expect_nothing_new};

#[test]
fn an_edit_on_either_side_is_noticed() {
    let synced = Synced::new();
    synced.join("b");
    let world = &synced.world;
    world.ok("a", &["mut8", "X", "--set", "a=1"]);
    expect_a_secret_is_asked_for(world, "a");
    assert_eq!(world.json("a", &["sync"])["tips"][0]["how"], "pushed");
    expect_a_secret_is_asked_for(world, "b");
    assert_eq!(world.json("b", &["sync"])["tips"][0]["how"], "pulled");
    for home in ["a", "b"] {
        expect_nothing_new(world, home);
    }
    // A stone alone is news as well.
    let stone = r#"{"text":"first!"}"#;
    fs::write(world.path("stone"), stone).unwrap();
    world.ok("b", &["new", "--ib", "comment", "--data", world.path("stone").to_str().unwrap()]);
    assert_eq!(world.json("b", &["sync", "--dry-run"])["upToDate"], false);
    world.ok("b", &["sync"]);
    assert_eq!(world.json("a", &["sync"])["upToDate"], false);
    // Both edited: the merge is made by a session.
    world.ok("a", &["mut8", "X", "--set", "left=1"]);
    world.ok("b", &["mut8", "X", "--set", "right=1"]);
    world.ok("a", &["sync"]);
    assert_eq!(world.json("b", &["sync"])["tips"][0]["how"], "merged");
}

/// Each session signs a step of I. Devices that find nothing new must not keep each other signing.
#[test]
fn a_step_of_another_device_is_fetched_and_keeps_nobody_signing() {
    let synced = Synced::new();
    synced.join("b");
    let world = &synced.world;
    world.ok("b", &["sync", "--record"]);
    synced.passed();
    expect_nothing_new(world, "a");
    let passed = synced.passed();
    assert!(
        passed.iter().all(|name| name.ends_with("GET state") || name.ends_with("GET identity"))
    );
    assert!(passed.contains(&"GET identity".to_owned()));
    assert_eq!(world.ok("a", &["get", "I"]), world.ok("b", &["get", "I"]));
    for home in ["a", "b", "a"] {
        let before = synced.rows();
        expect_nothing_new(world, home);
        synced.expect_rows(&before);
    }
    assert_eq!(synced.passed(), ["GET state", "200 to GET state"].repeat(2));
    world.ok("a", &["check"]);
}

#[test]
fn a_server_that_is_put_back_is_noticed() {
    let mut synced = Synced::new();
    let listen = synced.serve.addr().to_string();
    let restart = |synced: &mut Synced, act: &dyn Fn()| {
        let old = std::mem::replace(
            &mut synced.serve,
            Serve::start(&synced.world.path("other.db"), "127.0.0.1:0", &[]),
        );
        assert_eq!(old.signal("-TERM"), Some(0));
        act();
        synced.serve = Serve::start(&synced.server_file(), &listen, &[]);
    };
    let (file, copy) = (synced.server_file(), synced.world.path("copy.db"));
    restart(&mut synced, &|| assert!(fs::copy(&file, &copy).is_ok()));
    expect_nothing_new(&synced.world, "a");
    synced.world.ok("a", &["mut8", "X", "--set", "a=1"]);
    synced.world.ok("a", &["sync"]);
    expect_nothing_new(&synced.world, "a");
    restart(&mut synced, &|| assert!(fs::copy(&copy, &file).is_ok()));
    expect_a_secret_is_asked_for(&synced.world, "a");
    let told = synced.world.json("a", &["sync"]);
    assert_eq!(told["tips"][0]["how"], "pushed", "{told}");
    expect_nothing_new(&synced.world, "a");
    synced.world.ok("a", &["check"]);
    // One that starts from nothing knows neither the token nor the identity.
    restart(&mut synced, &|| fs::remove_file(&file).unwrap());
    synced.world.fails_as("a", &["sync"], "identity_refused", 5);
    synced.world.ok("a", &["setup"]);
    assert_eq!(synced.world.json("a", &["sync"])["tips"][0]["how"], "pushed");
    expect_nothing_new(&synced.world, "a");
}

#[test]
fn a_revocation_is_noticed() {
    let synced = Synced::new();
    synced.join("b");
    let world = &synced.world;
    expect_nothing_new(world, "a");
    world.ok("b", &["keystone", "revoke", "--yes"]);
    for home in ["a", "b"] {
        let message = world.fails(home, &["sync"], 5);
        assert!(message.contains("revoked"), "{message}");
    }
}

#[test]
fn a_changed_secret_is_noticed_and_ends_the_tokens() {
    let synced = Synced::new();
    synced.join("b");
    let world = &synced.world;
    let (old, new) = (world.secret(), world.path("new"));
    fs::write(&new, "an altogether different horse of another colour\n").unwrap();
    let rotated = world
        .command("b", &["keystone", "rotate", "--allow-weak-secret", "--secret-file"])
        .arg(&old)
        .arg("--new-secret-file")
        .arg(&new)
        .output()
        .unwrap();
    assert!(rotated.status.success(), "{rotated:?}");
    expect_a_secret_is_asked_for(world, "a");
    let message = world.fails("a", &["sync"], 5);
    assert!(message.contains("changed it by the old one"), "{message}");
    fs::copy(&new, &old).unwrap();
    world.ok("a", &["sync"]);
    expect_nothing_new(world, "a");
}

#[test]
fn a_step_that_is_signed_and_not_accepted_yet_is_finished() {
    let synced = Synced::new();
    let world = &synced.world;
    synced.passed();
    synced.relay.act(|event| match event.name.as_str() {
        "POST evolution" => Act::Lose(Cut::Rst),
        _ => Act::Pass,
    });
    world.fails("a", &["sync", "--record", "--retry-for", "0"], 3);
    synced.passed();
    expect_a_secret_is_asked_for(world, "a");
    assert_eq!(synced.passed(), Vec::<String>::new(), "it knows that by itself");
    assert_eq!(world.json("a", &["sync"])["signed"], json!(true));
    expect_nothing_new(world, "a");
    synced.relay.one_proof_a_frame();
}
