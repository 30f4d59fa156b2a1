//! What a sync of many timelines says of them: it costs what differs.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../hostile_common/mod.rs"]
mod hostile_common;

use serde_json::json;
use sync_gib::ibgib::IbGib;
use sync_gib::peer::{MessageDirection, Observer, Remote, Timeouts, client};
use sync_gib::space::{Space, SpaceExt};
use sync_gib::sync::msg::Msg;
use sync_gib::sync::{Capabilities, Direction, Feature, Features, SenderOpts};

use hostile_common::*;

/// What was said before anything moved: bytes of JSON, and turns of the sender.
#[derive(Debug, Default)]
struct Negotiation {
    bytes: usize,
    turns: usize,
}

impl Observer for Negotiation {
    fn message(&mut self, _direction: MessageDirection, msg: &Msg) {
        let (Msg::Request(turn) | Msg::Response(turn)) = msg else { return };
        let of = |key| turn.saga_frame_msg.datum(key).cloned().unwrap();
        let stage = of("stage");
        if stage == "init" || stage == "ack" {
            self.bytes += of("body").to_string().len();
            self.turns += usize::from(stage == "init");
        }
    }
    fn step(&mut self, _bytes: u64, _ibgibs: u64) {}
}

/// A server and two devices of one identity, all of which have these timelines.
struct World {
    host: Host,
    devices: [Person; 2],
    timelines: Vec<Vec<IbGib>>,
}

impl World {
    fn new(count: usize) -> World {
        World::with(Host::new(), count)
    }

    fn with(host: Host, count: usize) -> World {
        let first = Person::new(&host, "a");
        let second = Person::of(first.genesis.clone(), secret_of("a"));
        let timelines: Vec<_> =
            (0..count).map(|i| timeline("note", json!({ "number": i }))).collect();
        let all = timelines.concat();
        host.space(first.domain()).put_all(&all).unwrap();
        let world = World { host, devices: [first, second], timelines };
        for device in &world.devices {
            device.space.put_all(&all).unwrap();
        }
        world.sync(0);
        world.sync(1);
        world.sync(0);
        world
    }

    fn opts(&self, device: usize) -> SenderOpts {
        SenderOpts::new(self.devices[device].dir.path().to_owned())
    }

    fn sync(&self, device: usize) -> Negotiation {
        self.sync_with(device, self.opts(device), &self.host.link())
    }

    fn sync_with(&self, device: usize, opts: SenderOpts, link: &Remote<'_>) -> Negotiation {
        let mut said = Negotiation::default();
        let Person { space, identity, .. } = &self.devices[device];
        let synced = client::sync(space, link, identity, &opts, &mut said).unwrap();
        let stones = space.unreferenced_stones(None, 10_000).unwrap().len() as u64;
        let all = space.state().unwrap().timelines + stones;
        let plan = &synced.plan;
        let pushed = plan.pushes.len() + plan.push_stones.len();
        let moved = pushed + plan.pulls.len() + plan.pull_stones.len() + plan.left.len();
        assert!(plan.equal + moved as u64 >= all, "each timeline and stone is told of");
        said
    }

    fn edit(&self, device: usize, at: usize) {
        let space = &self.devices[device].space;
        let tjp = self.timelines[at].iter().find(|ibgib| ibgib.is_tjp()).unwrap();
        let tip = space.tip(&tjp.addr().unwrap().into()).unwrap().unwrap();
        let more = edit(&space.get_id(tip.id).unwrap(), json!({ "by": device, "n2": tip.n }));
        space.put_all(&more).unwrap();
    }

    fn all_agree(&self) {
        let there = self.host.space(self.devices[0].domain()).state().unwrap();
        for device in &self.devices {
            assert_eq!(device.space.state().unwrap(), there);
        }
    }
}

fn expect(what: &str, said: &Negotiation, bytes: usize, turns: usize) {
    println!("{what}: {said:?}");
    assert!(said.bytes <= bytes && said.turns <= turns, "{what}: {said:?}");
}

#[test]
fn a_sync_of_many_timelines_says_what_differs() {
    let world = World::new(2_001);
    expect("nothing", &world.sync(0), 3 << 10, 1);
    world.edit(0, 7);
    expect("one, pushed", &world.sync(0), 3 << 10, 1);
    expect("one, pulled", &world.sync(1), 3 << 10, 1);
    world.all_agree();

    (0..100).for_each(|at| world.edit(0, at));
    expect("a hundred, pushed", &world.sync(0), 60 << 10, 2);
    expect("a hundred, pulled", &world.sync(1), 60 << 10, 2);
    world.all_agree();

    // What both changed is merged, and what is new on either side comes to the other one.
    (0..20).for_each(|at| world.edit(0, at));
    world.devices[0].space.put_all(&timeline("new", json!({}))).unwrap();
    let stone = IbGib::new("stone".into(), Some(json!({ "i": 1 })), None).unwrap();
    world.devices[1].space.put_all(&[stone]).unwrap();
    (10..30).for_each(|at| world.edit(1, at));
    world.sync(0);
    world.sync(1);
    world.sync(0);
    world.all_agree();
}

#[test]
fn many_stones_are_not_listed_either() {
    let world = World::new(3);
    let stone = |i| IbGib::new("stone".into(), Some(json!({ "i": i })), None).unwrap();
    let stones: Vec<IbGib> = (0..2_000).map(stone).collect();
    world.devices[0].space.put_all(&stones).unwrap();
    for device in 0..2 {
        world.sync(device);
    }
    world.edit(0, 1);
    expect("one, pushed", &world.sync(0), 3 << 10, 1);
    expect("one, pulled", &world.sync(1), 3 << 10, 1);
    world.devices[1].space.put_all(&[stone(2_000)]).unwrap();
    expect("a stone, pushed", &world.sync(1), 3 << 10, 2);
    expect("a stone, pulled", &world.sync(0), 3 << 10, 2);
    world.all_agree();
}

#[test]
fn one_way_syncs_and_plans_say_what_differs_too() {
    let world = World::new(200);
    world.edit(0, 1);
    world.sync(0);
    world.edit(1, 2);
    for (direction, dry_run) in
        [(Direction::Both, true), (Direction::PullOnly, false), (Direction::PushOnly, false)]
    {
        let opts = SenderOpts { direction, dry_run, ..world.opts(1) };
        expect("one way", &world.sync_with(1, opts, &world.host.link()), 3 << 10, 1);
    }
    world.sync(0);
    world.all_agree();
}

#[test]
fn more_than_a_sketch_can_tell_is_listed() {
    let world = World::new(1_500);
    (0..1_200).for_each(|at| world.edit(0, at));
    world.sync(0);
    world.sync(1);
    world.all_agree();
    // Much that is new on one side alone is told by the first sketch.
    let new: Vec<IbGib> = (0..1_200).flat_map(|i| timeline("new", json!({ "i": i }))).collect();
    world.devices[0].space.put_all(&new).unwrap();
    let said = world.sync(0);
    assert!(said.turns <= 4, "a sketch, and two or three pages: {said:?}");
    world.sync(1);
    world.all_agree();
}

#[test]
fn a_side_that_knows_no_sketches_is_told_all() {
    let without = || -> Features {
        let mut features = Capabilities::default().features;
        features.remove(&Feature::SKETCH);
        features
    };
    let old = World::with(Host::with(|opts| opts.features = without()), 100);
    for (world, is_old) in [(old, false), (World::new(100), true)] {
        world.edit(0, 3);
        let speaks = match is_old {
            true => Capabilities::with(without()),
            false => Capabilities::default(),
        };
        let (runtime, endpoint) = (&world.host.runtime, world.host.endpoint());
        let link =
            Remote::with_capabilities(speaks, runtime, endpoint, Timeouts::default()).unwrap();
        let said = world.sync_with(0, world.opts(0), &link);
        assert!(said.bytes > 15 << 10, "100 timelines are listed: {said:?}");
        drop(link);
        world.sync(1);
        world.all_agree();
    }
}

/// `cargo test --release --test many_timelines -- --ignored --nocapture`
#[test]
#[ignore = "takes minutes"]
fn a_hundred_thousand_timelines() {
    let world = World::new(100_000);
    expect("nothing", &world.sync(0), 3 << 10, 1);
    world.edit(0, 77_777);
    expect("one, pushed", &world.sync(0), 3 << 10, 1);
    expect("one, pulled", &world.sync(1), 3 << 10, 1);
    (0..100).for_each(|at| world.edit(0, at * 100));
    expect("a hundred, pushed", &world.sync(0), 60 << 10, 2);
    expect("a hundred, pulled", &world.sync(1), 60 << 10, 2);
    world.all_agree();
}
