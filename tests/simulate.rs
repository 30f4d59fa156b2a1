//! Whole worlds from seeds: what must hold in them does, and a seed replays to the byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use sync_gib::verify::simulate::{Outcome, run};

/// How many worlds each test runs; there are four of them, so that they run side by side.
const SEEDS: u64 = 50;

fn world(seed: u64) -> Outcome {
    run(seed).unwrap_or_else(|error| panic!("seed {seed}: {error}"))
}

fn expect_whole(from: u64) {
    for seed in from..from + SEEDS {
        let outcome = world(seed);
        if let Some(violation) = outcome.violation {
            panic!("{}\nseed {seed}, {violation}", outcome.trace);
        }
    }
}

#[test]
fn what_must_hold_holds_in_worlds_of_the_first_seeds() {
    expect_whole(0);
}

#[test]
fn what_must_hold_holds_in_worlds_of_more_seeds() {
    expect_whole(SEEDS);
}

#[test]
fn what_must_hold_holds_in_worlds_of_further_seeds() {
    expect_whole(2 * SEEDS);
}

#[test]
fn what_must_hold_holds_in_worlds_of_the_last_seeds() {
    expect_whole(3 * SEEDS);
}

#[test]
fn the_same_seed_gives_the_same_trace_to_the_byte() {
    for seed in [3, 14, 159, 2653] {
        let (one, other) = (world(seed), world(seed));
        let mut lines = one.trace.lines().zip(other.trace.lines());
        let differs = lines.find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(one, other, "seed {seed}");
    }
    assert_ne!(world(1).trace, world(2).trace);
}

fn verify(args: &[&str]) -> (Option<i32>, String) {
    let mut program = assert_cmd::Command::cargo_bin("sync-gib").unwrap();
    let ended = program.arg("verify").args(args).output().unwrap();
    (ended.status.code(), String::from_utf8(ended.stdout).unwrap())
}

#[test]
fn the_command_runs_worlds_and_shows_what_happens_in_them() {
    let (code, trace) = verify(&["--simulate", "--seed", "7", "--trace"]);
    assert_eq!(code, Some(0), "{trace}");
    assert!(trace.starts_with(&world(7).trace), "{trace}");
    let (code, json) = verify(&["--simulate", "--seed", "7", "--seeds", "2", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json["ok"], &json["seeds"]), (Some(0), &true.into(), &2.into()), "{json}");
    for wrong in [&["--seed", "7"][..], &["4.1", "--simulate"], &["--simulate", "--way", "a"]] {
        assert_eq!(verify(wrong).0, Some(2), "{wrong:?}");
    }
}
