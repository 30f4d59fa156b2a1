//! A timeline that devices of 0.1.0 and of this version edited and merged in turn, as it came about
//! between their processes and a server: six rounds, in the last of them three devices at once.
//! What each version made is known by the `rules` of its graft info.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;

use serde_json::json;
use sync_gib::ibgib::transform::{Kind, Opts, transform};
use sync_gib::ibgib::{Addr, IbGib, Moment, System};
use sync_gib::sync::merge::{
    GRAFT_BASE, GRAFT_INFO, GRAFT_ORPHAN, MergeError, RULES, merge, overwritten_of,
};

const VECTOR: &str = include_str!("vectors/merges-with-0.1.0.ndjson");

struct Merged {
    tip: Addr,
    kept: Addr,
    replayed: Addr,
    rules: Option<u64>,
}

fn read() -> (HashMap<Addr, IbGib>, Vec<Merged>) {
    let all: Vec<IbGib> = VECTOR.lines().map(|line| IbGib::from_json(line).unwrap()).collect();
    let frames: HashMap<Addr, IbGib> =
        all.iter().map(|ibgib| (ibgib.validate().unwrap(), ibgib.clone())).collect();
    let one = |frame: &IbGib, relation: &str| {
        frame.rel8d(relation).next_back().map(|addr| Addr::parse(addr).unwrap())
    };
    let mut merges = Vec::new();
    for frame in &all {
        let Some(info) = one(frame, GRAFT_INFO) else { continue };
        // The frames after a merge carry its relations on.
        let prev = &frames[&Addr::parse(frame.prev().unwrap()).unwrap()];
        if one(prev, GRAFT_INFO).as_ref() == Some(&info) {
            continue;
        }
        merges.push(Merged {
            tip: frame.addr().unwrap(),
            kept: one(frame, GRAFT_BASE).unwrap(),
            replayed: one(frame, GRAFT_ORPHAN).unwrap(),
            rules: frames[&info].datum("rules").and_then(|rules| rules.as_u64()),
        });
    }
    (frames, merges)
}

#[test]
fn both_versions_merged_and_neither_merged_the_others_merges_for_ever() {
    let (_, merges) = read();
    let count = |rules| merges.iter().filter(|merge| merge.rules == rules).count();
    // Four rounds by turns; then three devices, of which two merge with the first, and one of these
    // with the other's merge. Nobody merged after that, though all synced again.
    assert_eq!((count(Some(RULES)), count(None)), (4, 3));
}

#[test]
fn what_this_version_merged_it_merges_the_same_today() {
    let (frames, merges) = read();
    for made in merges.iter().filter(|merge| merge.rules == Some(RULES)) {
        let tjp = Addr::parse(&frames[&made.tip].tjp_addr().unwrap()).unwrap();
        let again = merge(&frames, &tjp, &made.kept, &made.replayed).unwrap();
        assert_eq!(again.tip, made.tip);
        assert!(again.new.iter().all(|made| frames.contains_key(&made.addr().unwrap())));
        let listed = overwritten_of(&frames, &frames[&made.tip]).unwrap();
        assert_eq!(listed, again.overwritten);
    }
}

#[test]
fn a_timeline_that_0_1_0_merged_goes_on() {
    let (mut frames, merges) = read();
    for old in merges.iter().filter(|merge| merge.rules.is_none()) {
        assert!(overwritten_of(&frames, &frames[&old.tip]).unwrap().is_empty());
        let mut edit = |on: &Addr, key: &str, ms: u64| {
            let opts = Opts::next_frame().set("dataToAddOrPatch", json!({key: 1, "title": key}));
            let now = Moment::from_ms(1_800_000_000_000 + ms).unwrap();
            let made = transform(Kind::Mut8, &frames[on], &opts.build(), &System::at(now)).unwrap();
            let addr = made.new_ibgib.addr().unwrap();
            for ibgib in made.into_all() {
                frames.insert(ibgib.addr().unwrap(), ibgib);
            }
            addr
        };
        // One device went on from the merge, the other from the tip that it replayed.
        let (after, aside) = (edit(&old.tip, "after", 2), edit(&old.replayed, "aside", 1));
        for (kept, replayed) in [(&after, &aside), (&aside, &after)] {
            let merged = merge(&frames, &old.kept, kept, replayed);
            // The tip that was kept need not be below the one that was replayed.
            let merged = match merged {
                Err(MergeError::NotReached { .. }) => {
                    let tjp = frames[&old.tip].tjp_addr().unwrap();
                    merge(&frames, &Addr::parse(&tjp).unwrap(), kept, replayed)
                }
                other => other,
            };
            let merged = merged.unwrap();
            let tip = merged.new.last().unwrap();
            assert_eq!(
                (tip.datum("after"), tip.datum("aside")),
                (Some(&json!(1)), Some(&json!(1)))
            );
            assert_eq!(tip.datum("title"), Some(&json!("after")));
            assert!(merged.unreplayed.is_empty());
            // What the old merge had replayed is replayed once.
            let edits = merged.replayed.iter().filter(|edit| !edit.made.is_empty()).count();
            assert!(edits <= 2, "{edits}");
        }
    }
}
