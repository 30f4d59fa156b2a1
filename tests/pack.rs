//! A home whose texts stand in blocks: what `pack` does, and what becomes of a damaged block.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod damaged_common;

use std::path::Path;

use damaged_common::{run, shown};
use rusqlite::Connection;
use serde_json::Value;

/// Runs a command with `--json`; its exit code must be `code`.
fn exit(home: &Path, secrets: &Path, args: &[&str], code: i32) -> Value {
    let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
    let output = run(home, secrets, &args);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", shown(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn ask(file: &Path, sql: &str) -> i64 {
    Connection::open(file).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

fn text(seed: u64) -> String {
    let mut state = seed + 1;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ["ka", "lo", "mi ", "ren", "tu ", "sa", "vel", "no "][(state >> 61) as usize]
    })
    .take(8_000)
    .collect()
}

#[test]
fn a_home_of_the_first_version_is_packed_by_the_command_and_says_what_that_saved() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let space = home.join("space.db");
    std::fs::copy("tests/vectors/space-0.1.0.db", &space).unwrap();
    let before = exit(&home, dir.path(), &["graph", "X"], 0);
    assert_eq!(ask(&space, "SELECT count(*) FROM block"), 0);
    let packed = exit(&home, dir.path(), &["pack"], 0);
    assert_eq!(packed["packed"], 37, "{packed}");
    let (was, is) = (packed["fileBefore"].as_u64().unwrap(), packed["fileAfter"].as_u64().unwrap());
    assert!(is < was, "{packed}");
    assert_eq!(packed["saved"], was - is);
    assert_eq!(std::fs::metadata(&space).unwrap().len(), is);
    assert_eq!(exit(&home, dir.path(), &["graph", "X"], 0), before);
    exit(&home, dir.path(), &["check", "--local"], 0);
    let file = space.to_str().unwrap();
    let again = exit(&home, dir.path(), &["pack", "--space", file], 0);
    assert_eq!((&again["packed"], &again["saved"]), (&0.into(), &0.into()));
    let none = exit(&home, dir.path(), &["pack", "--space", "nowhere.db"], 4);
    assert_eq!(none["ok"], false);
}

#[test]
fn a_damaged_block_is_told_by_what_it_held_and_repaired_from_the_server() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("secret"), "9f1c2e7ab04d5586c3e1\n").unwrap();
    let home = dir.path().join("home");
    let space = home.join("space.db");
    exit(&home, dir.path(), &["setup", "--raw-secret"], 0);
    for i in 0..10 {
        exit(&home, dir.path(), &["mut8", "X", "--set", &format!("text={}", text(i))], 0);
    }
    exit(&home, dir.path(), &["sync"], 0);
    let packed = ask(&space, "SELECT count(*) FROM ibgib WHERE block IS NOT NULL");
    assert!(packed > 10, "{packed}");
    let before = exit(&home, dir.path(), &["graph", "X"], 0);

    // From a few bytes on nothing of the block unpacks.
    let file = Connection::open(&space).unwrap();
    let damage = "UPDATE block SET body = CAST(substr(body, 1, 300) AS BLOB)";
    assert_eq!(file.execute(damage, []), Ok(1));
    drop(file);
    let told = exit(&home, dir.path(), &["graph", "X"], 4);
    let message = told["error"]["message"].as_str().unwrap();
    assert!(message.contains('^') && message.contains("block 1"), "{message}");
    let check = exit(&home, dir.path(), &["check", "--local"], 4);
    let texts = &check["assertions"][1];
    assert!(texts["count"].as_i64().unwrap() >= packed - 1, "{texts}");
    for problem in texts["problems"].as_array().unwrap() {
        assert!(problem.as_str().unwrap().contains('^'), "it is not named: {problem}");
    }
    let repaired = exit(&home, dir.path(), &["repair"], 0);
    assert_eq!(repaired["fetched"], texts["count"], "{repaired}");
    exit(&home, dir.path(), &["check", "--local"], 0);
    assert_eq!(exit(&home, dir.path(), &["graph", "X"], 0), before);
    exit(&home, dir.path(), &["pack"], 0);
    exit(&home, dir.path(), &["sync"], 0);
    exit(&home, dir.path(), &["check"], 0);
}
