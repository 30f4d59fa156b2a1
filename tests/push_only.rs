//! Sending alone, where a timeline was edited on both sides and others relate to it.
#![cfg(feature = "client")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;

use common::{Device, receiver};
use serde_json::json;
use sync_gib::ibgib::{Addr, IbGib, TjpAddr};
use sync_gib::peer::{InProcess, ReceiverLink};
use sync_gib::space::{Space, SpaceExt};
use sync_gib::sync::{Direction, SenderOpts};
use tempfile::TempDir;

/// Two devices of one identity, and a receiver where `x` has another branch than on the first.
struct Diverged {
    one: Device,
    two: Device,
    link: InProcess,
    x: TjpAddr,
    /// The frame of `x` that both sides have.
    common: Addr,
    /// The newest frame of `x` on the first device.
    mine: Addr,
    _dir: TempDir,
}

impl Diverged {
    fn new() -> Diverged {
        let one = Device::new();
        let (dir, link) = receiver(&one.identity.domain);
        link.register(&one.genesis).unwrap();
        let x = one.new_timeline("x", json!({"hello": "world"}));
        let common = one.tip(&x).addr().unwrap();
        one.sync(&link).unwrap();
        let two = Device::with(one.genesis.clone());
        two.sync(&link).unwrap();
        two.edit(&x, json!({"there": 1}));
        two.sync(&link).unwrap();
        one.edit(&x, json!({"here": 1}));
        let mine = one.edit(&x, json!({"here": 2}));
        Diverged { one, two, link, x, common, mine, _dir: dir }
    }

    fn related(&self, ib: &str, to: &Addr) -> TjpAddr {
        let tjp = self.one.new_timeline(ib, json!({}));
        self.one.relate(&tjp, "linked", to);
        tjp
    }

    fn stone(&self, to: &Addr) -> Addr {
        let rel8ns = json!({ "linked": [to] }).as_object().cloned();
        let stone = IbGib::new("stone".into(), Some(json!({})), rel8ns).unwrap();
        self.one.space.put_all(std::slice::from_ref(&stone)).unwrap();
        stone.addr().unwrap()
    }

    fn has(&self, addr: &Addr) -> bool {
        self.link.dest().find(addr).unwrap().is_some()
    }

    fn there(&self, tjp: &TjpAddr) -> Option<Addr> {
        self.link.dest().tip(tjp).unwrap().map(|tip| tip.addr)
    }

    fn here(&self, tjp: &TjpAddr) -> Option<Addr> {
        self.one.space.tip(tjp).unwrap().map(|tip| tip.addr)
    }

    fn push_only(&self) -> SenderOpts {
        SenderOpts { direction: Direction::PushOnly, ..self.one.opts() }
    }
}

fn set<T: Into<Addr>>(addrs: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    addrs.into_iter().map(|addr| addr.into().to_string()).collect()
}

#[test]
fn what_relates_to_a_diverged_branch_is_held_back_and_the_rest_is_sent() {
    let world = Diverged::new();
    // A frame of `early` that could go alone: it is one of a timeline that does not.
    let early = world.one.new_timeline("early", json!({}));
    let of_early = world.one.tip(&early).addr().unwrap();
    let to_branch = world.related("direct", &world.mine);
    let to_stone = world.related("indirect", &world.stone(&world.mine));
    world.one.relate(&early, "linked", &to_branch);
    let to_early = world.related("to_early", &of_early);
    let to_common = world.related("to_common", &world.common);
    let alone = world.one.new_timeline("alone", json!({}));
    let (stone, free) = (world.stone(&to_branch), world.stone(&world.common));
    let before = world.there(&world.x);

    let synced = world.one.sync_with(&world.link, &world.push_only()).unwrap();
    assert_eq!(synced.tries, 1);
    assert_eq!(synced.plan.diverged, [Addr::from(world.x.clone())]);
    let sent = synced.summary.tips.iter().map(|tip| tip.tjp.clone());
    assert_eq!(set(sent), set([to_common.clone(), alone.clone()]));
    let timelines = [early, to_branch, to_stone, to_early];
    let held = timelines.iter().cloned().map(Addr::from).chain([stone.clone()]);
    assert_eq!(set(synced.plan.held_back), set(held));
    assert_eq!(world.there(&world.x), before);
    assert!(timelines.iter().all(|tjp| world.there(tjp).is_none()));
    assert!(!world.has(&stone) && world.has(&free));

    // A whole sync merges, and sends what was held back.
    let synced = world.one.sync(&world.link).unwrap();
    assert!(synced.plan.held_back.is_empty());
    for tjp in timelines.iter().chain([&world.x, &to_common, &alone]) {
        assert_eq!(world.there(tjp), world.here(tjp));
    }
    assert!(world.has(&stone));
}

#[test]
fn a_timeline_that_the_receiver_has_stays_where_its_new_frames_relate_to_a_diverged_branch() {
    let world = Diverged::new();
    let known = world.one.new_timeline("known", json!({}));
    let related = world.related("related", &known);
    world
        .one
        .sync_with(
            &world.link,
            &SenderOpts { roots: vec![related.clone().into()], ..world.one.opts() },
        )
        .unwrap();
    let before = world.there(&known);
    assert_eq!(before, world.here(&known));
    world.one.edit(&known, json!({"a": 1}));
    world.one.relate(&known, "linked", &world.mine);
    // It relates to a frame that the receiver has.
    world.one.edit(&related, json!({"a": 1}));

    let synced = world.one.sync_with(&world.link, &world.push_only()).unwrap();
    assert_eq!(set(synced.plan.held_back), set([known.clone()]));
    assert_eq!(world.there(&known), before);
    assert_eq!(world.there(&related), world.here(&related));
}

#[test]
fn a_push_by_root_holds_back_what_relates_to_a_branch_beside_the_root() {
    let world = Diverged::new();
    let root = world.related("root", &world.mine);
    let stone = world.stone(&world.mine);
    for addr in [root.clone().into(), stone] {
        let roots = vec![addr.clone()];
        let opts = SenderOpts { roots, ..world.push_only() };
        let synced = world.one.sync_with(&world.link, &opts).unwrap();
        assert_eq!(synced.plan.diverged, [Addr::from(world.x.clone())]);
        assert_eq!(synced.plan.held_back, std::slice::from_ref(&addr));
        assert_eq!(synced.summary.sent, 0);
        assert!(!world.has(&addr));
    }
}

#[test]
fn a_dry_run_names_what_would_be_held_back() {
    let world = Diverged::new();
    let tjp = world.related("direct", &world.mine);
    let opts = SenderOpts { dry_run: true, ..world.push_only() };
    let synced = world.one.sync_with(&world.link, &opts).unwrap();
    assert_eq!(synced.plan.held_back, [Addr::from(tjp)]);
    assert!(synced.plan.is_empty());
}

#[test]
fn what_was_merged_here_and_is_on_the_receivers_line_holds_nothing_back() {
    let world = Diverged::new();
    // The second device brings this branch to the receiver, where the first has merged it away.
    let theirs = world.there(&world.x).unwrap();
    world
        .one
        .sync_with(&world.link, &SenderOpts { direction: Direction::PullOnly, ..world.one.opts() })
        .unwrap();
    assert_ne!(world.here(&world.x), world.there(&world.x), "it was merged here alone");
    world.two.edit(&world.x, json!({"there": 2}));
    world.two.sync(&world.link).unwrap();
    let tjp = world.related("to_theirs", &theirs);
    let held = world.related("to_mine", &world.mine);

    let synced = world.one.sync_with(&world.link, &world.push_only()).unwrap();
    assert_eq!(synced.plan.diverged, [Addr::from(world.x.clone())]);
    assert_eq!(synced.plan.held_back, [Addr::from(held)]);
    assert_eq!(world.there(&tjp), world.here(&tjp));
}

#[test]
fn a_root_that_relates_to_either_branch_goes_the_other_ways() {
    for direction in [Direction::PullOnly, Direction::Both] {
        let world = Diverged::new();
        let here = world.related("here", &world.mine);
        let there = world.two.new_timeline("there", json!({}));
        world.two.relate(&there, "linked", &world.two.tip(&world.x).addr().unwrap());
        world.two.sync(&world.link).unwrap();

        let roots = vec![here.clone().into(), there.clone().into()];
        let opts = SenderOpts { roots, direction, ..world.one.opts() };
        let synced = world.one.sync_with(&world.link, &opts).unwrap();
        assert_eq!(synced.tries, 1);
        assert_eq!(world.here(&there), world.there(&there));
        assert_eq!(world.there(&here).is_some(), direction == Direction::Both);
        assert_eq!(world.one.tip(&world.x).rel8d("graftorphan").count(), 1);
    }
}
