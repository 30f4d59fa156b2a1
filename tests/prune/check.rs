//! What `check` makes of sessions that a server dropped, and of what it checked before.

use std::process::{Command, Stdio};

use rusqlite::Connection;
use serde_json::{Value, json};
use sync_gib::space::Space;

use super::net_common::BIN;
use super::{World, prune};

/// Runs `check --json` in the device's home; its exit code must be `code`.
fn check(world: &World, code: i32) -> Value {
    check_with(world, &[], code)
}

fn check_with(world: &World, more: &[&str], code: i32) -> Value {
    let home = world.device.dir.path();
    let url = &world.serve.as_ref().unwrap().url;
    std::fs::write(home.join("config.json"), json!({ "version": 1, "server": url }).to_string())
        .unwrap();
    std::fs::write(home.join("secret"), "test-sender-secret-phase3\n").unwrap();
    let mut command = Command::new(BIN);
    command.arg("--home").arg(home).args(["check", "--json", "--secret-file"]);
    command.arg(home.join("secret")).args(more);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(code), "{told}");
    told
}

#[test]
fn check_tells_of_a_session_that_the_server_dropped_and_of_no_difference() {
    let mut world = World::new(3);
    world.device.space.set_name("X", &world.x).unwrap();
    let told = check(&world, 0);
    assert_eq!(told["assertions"][4].get("unseen"), None, "{told}");
    world.stop();
    assert!(prune(&world.theirs(), &[])["sessions"].as_u64().unwrap() >= 3);
    world.start(&[]);
    let told = check(&world, 0);
    let same = &told["assertions"][4];
    assert!(same["unseen"].as_str().unwrap().contains("sync --record"), "{told}");
    assert_eq!(same["ok"], true);
    world.sync_now();
    let told = check(&world, 0);
    assert_eq!(told["assertions"][4].get("unseen"), None, "{told}");
    // One that no server may have dropped is missed.
    world.stop();
    let file = Connection::open(world.theirs()).unwrap();
    let s = world.device.space.name("S").unwrap().unwrap();
    file.execute("DELETE FROM timeline WHERE tjp_id = (SELECT max(tjp_id) FROM timeline WHERE kind = 1 AND tip_n > 1)", []).unwrap();
    drop(file);
    world.start(&["--keep-sessions", "forever"]);
    let told = check(&world, 1);
    assert!(told.to_string().contains(s.as_str()), "{told}");
}

#[test]
fn check_validates_what_is_new_and_all_of_it_where_it_is_told_to() {
    let mut world = World::new(1);
    world.device.space.set_name("X", &world.x).unwrap();
    let read = |told: Value| {
        let read = |what: &str| told["identity"][what].as_u64().unwrap();
        (read("frames"), read("validated"))
    };
    // The genesis, a sync, and the session of the token.
    assert_eq!(read(check(&world, 0)), (3, 3));
    assert_eq!(read(check(&world, 0)), (3, 0));
    world.sync_now();
    assert_eq!(read(check(&world, 0)), (4, 1));
    assert_eq!(read(check_with(&world, &["--full"], 0)), (4, 4));
    world.sync_now();
    world.sync_now();
    let missed = world.device.space.name("S").unwrap().unwrap();
    // Another server that knows less of I: all of it is compared, and what it lacks is told.
    let file = Connection::open(world.theirs()).unwrap();
    let last = "SELECT max(id) FROM ibgib WHERE timeline = 1";
    let last: i64 = file.query_row(last, [], |row| row.get(0)).unwrap();
    for sql in [
        "UPDATE timeline SET tip_id = (SELECT prev FROM ibgib WHERE id = ?1), tip_n = tip_n - 1 WHERE tjp_id = 1",
        "DELETE FROM ibgib WHERE id = ?1",
    ] {
        file.execute(sql, [last]).unwrap();
    }
    drop(file);
    let told = check(&world, 1);
    assert!(told.to_string().contains(missed.as_str()), "{told}");
    // What was validated before is still hashed.
    world.stop();
    world.start(&["--keep-sessions", "forever"]);
    let file = Connection::open(world.ours()).unwrap();
    let spoil = "UPDATE ibgib SET json = replace(json, 'proofs', 'proofz') WHERE timeline = 1 AND n = 2 AND block IS NULL";
    assert_eq!(file.execute(spoil, []).unwrap(), 1);
    drop(file);
    assert_eq!(check(&world, 4)["error"]["code"], "damaged");
}
