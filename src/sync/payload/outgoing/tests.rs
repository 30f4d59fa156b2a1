//! What a payload leaves out of what the other side says that it kept, and never more than is the
//! same.

use serde_json::json;

use super::*;
use crate::ibgib::IbGib;
use crate::space::{MemorySpace, SpaceExt};

/// Stones of so many bytes each.
fn stones(count: usize, bytes: usize) -> (MemorySpace, Vec<RowId>) {
    let stone = |at: usize| {
        let data = json!({ "at": at, "text": "a".repeat(bytes) });
        IbGib::new("stone".into(), Some(data), None).unwrap()
    };
    let all: Vec<IbGib> = (0..count).map(stone).collect();
    let space = MemorySpace::new();
    space.put_all(&all).unwrap();
    let rows = all.iter().map(|stone| space.find(&stone.addr().unwrap()).unwrap().unwrap());
    let rows = rows.collect();
    (space, rows)
}

/// What a payload of these rows is to a side that has none of them and says that it kept this: the
/// texts that are sent, the counts up to which is resumed, and the digest.
fn sent(
    space: &MemorySpace,
    rows: &[RowId],
    kept: Vec<Checkpoint>,
) -> (Vec<Box<str>>, Vec<u64>, PayloadDigest) {
    let mut outgoing = OutgoingPayload::new(Vec::new(), rows.to_vec(), Vec::new());
    outgoing = outgoing.resuming(kept);
    let (mut texts, mut counts) = (Vec::new(), Vec::new());
    while let Some(msg) = outgoing.next_msg(space).unwrap() {
        match msg {
            Msg::Offer { seq, addrs } => {
                outgoing.answered(space, seq, &vec![true; addrs.len()]).unwrap();
            }
            Msg::Payload { ibgibs } => texts.extend(ibgibs),
            Msg::Resume { count } => {
                assert!(texts.is_empty(), "resumed after something was sent");
                counts.push(count);
            }
            msg => panic!("{msg:?}"),
        }
    }
    assert!(outgoing.is_done());
    assert_eq!(outgoing.resumed().ibgibs, counts.last().copied().unwrap_or(0));
    (texts, counts, outgoing.digest())
}

/// The place after so many texts.
fn place(texts: &[Box<str>], count: usize) -> Checkpoint {
    let mut hasher = PayloadHasher::default();
    texts[..count].iter().for_each(|text| hasher.add(text));
    Checkpoint { count: count as u64, digest: hasher.digest().digest }
}

#[test]
fn what_is_kept_is_not_sent() {
    let (space, rows) = stones(1200, 10);
    let (all, none, digest) = sent(&space, &rows, Vec::new());
    assert_eq!((all.len(), none), (1200, Vec::new()));
    for kept in [vec![1], vec![500], vec![501], vec![1200], vec![1, 2, 499, 500, 1100]] {
        let places = kept.iter().map(|count| place(&all, *count)).collect();
        let (texts, counts, same) = sent(&space, &rows, places);
        let last = *kept.last().unwrap();
        assert_eq!(counts, kept.iter().map(|count| *count as u64).collect::<Vec<_>>());
        assert_eq!(texts, all[last..], "after {last}");
        assert_eq!(same, digest);
    }
}

#[test]
fn what_is_something_else_is_sent_from_the_last_place_that_is_the_same() {
    let (space, rows) = stones(1200, 10);
    let (all, _, digest) = sent(&space, &rows, Vec::new());
    let lie = |count: u64| Checkpoint { count, digest: "0".repeat(64) };
    for (places, same) in [
        (vec![lie(1)], 0),
        (vec![lie(1200)], 0),
        (vec![lie(5000)], 0),
        (vec![lie(u64::MAX)], 0),
        (vec![place(&all, 700), lie(900), place(&all, 1000)], 700),
        (vec![place(&all, 700), lie(5000)], 700),
        (vec![lie(700), place(&all, 900)], 0),
    ] {
        let (texts, _, whole) = sent(&space, &rows, places.clone());
        assert_eq!(texts, all[same..], "{places:?}");
        assert_eq!(whole, digest);
    }
}

#[test]
fn little_is_held_back_for_a_place_that_never_comes() {
    let (space, rows) = stones(1200, 20_000);
    let lie = Checkpoint { count: 1200, digest: "0".repeat(64) };
    let mut outgoing = OutgoingPayload::new(Vec::new(), rows, Vec::new());
    outgoing = outgoing.resuming(vec![lie]);
    while let Some(msg) = outgoing.next_msg(&space).unwrap() {
        if let Msg::Offer { seq, addrs } = &msg {
            outgoing.answered(&space, *seq, &vec![true; addrs.len()]).unwrap();
        }
        if let Msg::Payload { .. } = msg {
            assert!(outgoing.digest().bytes < 9 << 20, "{:?}", outgoing.digest());
            return;
        }
    }
    panic!("nothing was sent");
}
