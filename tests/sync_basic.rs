//! Whole syncs between two spaces in one process.
#![cfg(feature = "client")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Device, receiver};
use serde_json::{Value, json};
use sync_gib::ibgib::transform::{FirstGen, Kind, Opts, first_gen, transform};
use sync_gib::ibgib::{Addr, IbGib, System, TjpAddr};
use sync_gib::peer::{ReceiverLink, client};
use sync_gib::space::{Space, SpaceExt, SqliteSpace, compare_graphs};
use sync_gib::sync::SenderOpts;

#[test]
fn a_timeline_goes_up_once() {
    let device = Device::new();
    let (_dir, link) = receiver(&device.identity.domain);
    link.register(&device.genesis).unwrap();
    let x = device.new_timeline("x", json!({"hello": "world"}));
    device.edit(&x, json!({"a": 1}));

    let first = device.sync(&link).unwrap();
    assert_eq!(first.summary.turns, 3);
    assert_eq!(first.summary.sent, 6, "fork, its dna, mut8, its dna, mut8, its dna");
    let here = device.space.tip(&x).unwrap().unwrap();
    let there = link.dest().tip(&x).unwrap().unwrap();
    assert_eq!(here.addr, there.addr);
    let diff = compare_graphs(&device.space, &[here.id], link.dest(), &[there.id]).unwrap();
    assert!(diff.is_same());
    let session = device.space.tip(&first.session).unwrap().unwrap();
    assert_eq!(session.n, 1 + first.summary.turns);
    assert_eq!(link.dest().tip(&first.session).unwrap().unwrap().addr, session.addr);

    let second = device.sync(&link).unwrap();
    assert_eq!(second.summary.sent, 0);
    assert_eq!(second.summary.turns, 2);
}

#[test]
fn a_receiver_that_is_ahead_is_pulled_from() {
    let one = Device::new();
    let (_dir, link) = receiver(&one.identity.domain);
    link.register(&one.genesis).unwrap();
    let x = one.new_timeline("x", json!({"hello": "world"}));
    one.sync(&link).unwrap();

    let two = Device::with(one.genesis.clone());
    let pulled = two.sync(&link).unwrap();
    assert_eq!(pulled.summary.received, 4);
    two.edit(&x, json!({"b": 2}));
    two.sync(&link).unwrap();

    let pulled = one.sync(&link).unwrap();
    assert_eq!(pulled.summary.received, 2);
    assert_eq!(one.tip(&x), two.tip(&x));
}

#[test]
fn two_branches_merge() {
    let one = Device::new();
    let (_dir, link) = receiver(&one.identity.domain);
    link.register(&one.genesis).unwrap();
    let x = one.new_timeline("x", json!({"hello": "world"}));
    one.sync(&link).unwrap();
    let two = Device::with(one.genesis.clone());
    two.sync(&link).unwrap();

    one.edit(&x, json!({"a": 1}));
    let orphan = two.edit(&x, json!({"b": 2}));
    one.sync(&link).unwrap();
    two.sync(&link).unwrap();
    one.sync(&link).unwrap();
    let tip = one.tip(&x);
    assert_eq!(tip, two.tip(&x));
    assert_eq!(tip.datum("a"), Some(&json!(1)));
    assert_eq!(tip.datum("b"), Some(&json!(2)));
    assert_eq!(tip.rel8d("graftorphan").next(), Some(orphan.as_str()));
}

#[test]
fn a_root_that_is_not_here_yet_takes_along_what_it_leads_to_here() {
    let one = Device::new();
    let (_dir, link) = receiver(&one.identity.domain);
    link.register(&one.genesis).unwrap();
    let x = one.new_timeline("x", json!({"hello": "world"}));
    one.sync(&link).unwrap();
    let two = Device::with(one.genesis.clone());
    two.sync(&link).unwrap();
    let y = two.new_timeline("y", json!({}));
    two.relate(&y, "other", &x);
    two.sync(&link).unwrap();

    let z = one.new_timeline("z", json!({}));
    one.relate(&x, "other", &z);
    let opts = SenderOpts { roots: vec![y.clone().into()], ..one.opts() };
    one.sync_with(&link, &opts).unwrap();
    for tjp in [x, y, z] {
        let there = link.dest().tip(&tjp).unwrap().unwrap();
        assert_eq!(one.space.tip(&tjp).unwrap().unwrap().addr, there.addr);
    }
}

/// So many stones that nothing relates to.
fn stones(count: u32) -> Vec<IbGib> {
    let data = |i| Some(json!({ "i": i }));
    (0..count).map(|i| IbGib::new("s".into(), data(i), None).unwrap()).collect()
}

#[test]
fn more_stone_roots_than_one_message_lists_go_either_way() {
    let one = Device::new();
    let (_dir, link) = receiver(&one.identity.domain);
    link.register(&one.genesis).unwrap();
    let stones = stones(1500);
    one.space.put_all(&stones).unwrap();
    let mut roots: Vec<Addr> = stones.iter().map(|stone| stone.addr().unwrap()).collect();
    // One that is named twice counts once.
    roots.push(roots[0].clone());
    let sent = one.sync_with(&link, &SenderOpts { roots: roots.clone(), ..one.opts() }).unwrap();
    assert_eq!((sent.summary.sent, sent.summary.equal), (1500, 0));

    let two = Device::with(one.genesis.clone());
    let came = two.sync_with(&link, &SenderOpts { roots: roots.clone(), ..two.opts() }).unwrap();
    assert_eq!(came.summary.received, 1500);
    let again = two.sync_with(&link, &SenderOpts { roots, ..two.opts() }).unwrap();
    assert_eq!((again.summary.received, again.summary.equal), (0, 1500));
}

#[test]
fn an_old_identity_moves_to_a_new_server() {
    let device = Device::new();
    let (_dir, old) = receiver(&device.identity.domain);
    old.register(&device.genesis).unwrap();
    for _ in 0..260 {
        client::open_session(&device.space, &old, &device.identity).unwrap();
    }
    let (_dir, new) = receiver(&device.identity.domain);
    new.register(&device.genesis).unwrap();
    device.new_timeline("x", json!({"a": 1}));
    device.sync(&new).unwrap();
    let tip = |space: &SqliteSpace| space.tip(&device.identity.domain).unwrap().unwrap();
    assert_eq!(tip(new.dest()).n, 261);
    assert_eq!(tip(new.dest()).addr, tip(&device.space).addr);
}

#[test]
fn stones_that_both_sides_have_take_no_turns_to_be_offered_back() {
    let device = Device::new();
    let (_dir, link) = receiver(&device.identity.domain);
    link.register(&device.genesis).unwrap();
    let stone = |at: usize| IbGib::new("tag".into(), Some(json!({ "at": at })), None).unwrap();
    let stones: Vec<IbGib> = (0..2500).map(stone).collect();
    device.space.put_all(&stones).unwrap();
    assert_eq!(device.sync(&link).unwrap().summary.sent, 2500);

    let nothing = device.sync(&link).unwrap().summary;
    assert_eq!((nothing.sent, nothing.equal), (0, 2500));
    assert_eq!(nothing.turns, 4, "three pages of stones, and the commit");

    let other = Device::with(device.genesis.clone());
    assert_eq!(other.sync(&link).unwrap().summary.received, 2500);
}

/// Adds one frame with this patch to each of these timelines, in one transaction.
fn edit_all(device: &Device, all: &[TjpAddr], patch: &Value) {
    let edits = all.iter().flat_map(|x| {
        let opts = Opts::next_frame().set("dataToAddOrPatch", patch.clone()).build();
        transform(Kind::Mut8, &device.tip(x), &opts, &System::new()).unwrap().into_all()
    });
    device.space.put_all(&edits.collect::<Vec<_>>()).unwrap();
}

#[test]
fn more_timelines_move_and_merge_than_a_commit_lists() {
    let one = Device::new();
    let (_dir, link) = receiver(&one.identity.domain);
    link.register(&one.genesis).unwrap();
    let made = (0..1100).map(|at| {
        let (root, each) = (IbGib::primitive("x"), Opts::next_frame().build());
        let (ib, data) = (&*format!("x{at}"), None);
        let tjp = Some(json!({"uuid": true, "timestamp": true}));
        let opts = FirstGen { ib, parent: &root, data, rel8ns: None, each, tjp };
        first_gen(&opts, &System::new()).unwrap().into_all()
    });
    let made: Vec<IbGib> = made.flatten().collect();
    one.space.put_all(&made).unwrap();
    let tjps = made.iter().filter(|ibgib| ibgib.is_tjp());
    let all: Vec<TjpAddr> = tjps.map(|tjp| tjp.addr().unwrap().into()).collect();
    one.sync(&link).unwrap();
    let two = Device::with(one.genesis.clone());
    two.sync(&link).unwrap();
    edit_all(&one, &all, &json!({"a": 1}));
    edit_all(&two, &all, &json!({"b": 2}));
    one.sync(&link).unwrap();
    assert_eq!(two.sync(&link).unwrap().summary.tips.len(), 1100);
    for x in &all {
        let (here, there) = (two.space.tip(x).unwrap(), link.dest().tip(x).unwrap());
        assert_eq!(here.unwrap().addr, there.unwrap().addr);
    }
}
