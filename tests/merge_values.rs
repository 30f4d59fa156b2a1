//! Merges of random histories of two sides: which values stand, and whether those that gave way
//! are listed. Another run of seeds: `SYNC_GIB_TEST_SEED=7 cargo test --test merge_values`; so many
//! histories: `SYNC_GIB_TEST_HISTORIES=10000`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod judge_common;
mod values_common;

use std::collections::BTreeMap;

use judge_common::{Random, run_seed};
use serde_json::Value;
use sync_gib::ibgib::IbGib;
use sync_gib::sync::merge::{Merge, merge};
use values_common::{History, World, judge, overwritten};

#[test]
fn every_value_that_gave_way_is_listed() {
    let histories = std::env::var("SYNC_GIB_TEST_HISTORIES");
    let histories: u64 = histories.map_or(10_000, |count| count.parse().unwrap());
    let run = run_seed(20_261_125);
    let mut seeds = Random::new(run);
    let mut by_rule: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut wrong, mut shown) = (0, Vec::new());
    for _ in 0..histories {
        let seed = seeds.next();
        let mut random = Random::new(seed);
        let mut world = World::new();
        let kept = world.side(6, &mut random);
        let replayed = world.side(6, &mut random);
        let (base, ours, theirs) = (&world.base.0, &kept.tip().0, &replayed.tip().0);
        if kept.frames[0].0 == replayed.frames[0].0 {
            // The same edit at the same moment is the same frame, on which both stand then.
            continue;
        }
        let merged = merge(&world.frames, base, ours, theirs).unwrap();
        let broken = judge(&world, &kept, &replayed, &merged);
        if broken.is_empty() {
            continue;
        }
        wrong += 1;
        let mut rules: Vec<&str> = broken.iter().map(|(rule, _)| *rule).collect();
        rules.dedup();
        rules.iter().for_each(|rule| *by_rule.entry(rule).or_default() += 1);
        if shown.len() < 4 {
            shown.push(show(seed, &broken, &world, [&kept, &replayed], &merged));
        }
    }
    eprintln!("{wrong} of {histories} histories: {by_rule:#?}");
    assert_eq!(wrong, 0, "of {histories} (seed {run}): {by_rule:#?}\n\n{}", shown.join("\n\n"));
}

fn show(
    seed: u64,
    broken: &dyn std::fmt::Debug,
    world: &World,
    sides: [&History; 2],
    merged: &Merge,
) -> String {
    let data = |frame: &IbGib| format!("{} {}", frame.ib, frame.data.clone().unwrap_or_default());
    let mut shown = format!("history {seed}: {broken:?}\ncommon\n{}", data(&world.base.1));
    for (name, side) in ["kept", "replayed"].iter().zip(sides) {
        shown += &format!("\n{name}\n{}\n{}", side.told.join("\n"), data(&side.tip().1));
    }
    let result = merged.new.last().map(data).unwrap_or_default();
    let listed = Value::from(overwritten(merged));
    format!("{shown}\nresult\n{result}\noverwritten {listed}\nunreplayed {:?}", merged.unreplayed)
}
