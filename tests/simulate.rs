//! Whole worlds from seeds: what must hold in them does, and a seed replays to the byte.

use sync_gib::verify::simulate::{Outcome, run};

/// How many worlds the tests run.
const SEEDS: u64 = 300;

fn world(seed: u64) -> Outcome {
    run(seed).unwrap_or_else(|error| panic!("seed {seed}: {error}"))
}

#[test]
fn what_must_hold_holds_in_every_world() {
    let seeds = std::env::var("SYNC_GIB_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    for seed in 0..seeds.unwrap_or(SEEDS) {
        let outcome = world(seed);
        if let Some(violation) = outcome.violation {
            panic!("{}\nseed {seed}, {violation}", outcome.trace);
        }
    }
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
