//! What a sync costs on the wire, over a real WebSocket.
#![cfg(all(feature = "client", feature = "server"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::Device;
use serde_json::json;
use sync_gib::ibgib::transform::{Kind, Opts, transform};
use sync_gib::ibgib::{IbGib, System, TjpAddr};
use sync_gib::peer::channel::MessageDirection;
use sync_gib::peer::wire::{self, EvolutionBody};
use sync_gib::peer::{Endpoint, Observer, ReceiverLink, Remote, Timeouts, client};
use sync_gib::server::{Server, ServerOpts};
use sync_gib::space::{Space, SpaceExt};
use sync_gib::sync::msg::Msg;

/// Counts messages and bytes.
#[derive(Default)]
struct Counter {
    control: usize,
    payload: usize,
    requests: usize,
    offers: usize,
}

impl Observer for Counter {
    fn message(&mut self, _direction: MessageDirection, msg: &Msg) {
        let bytes = wire::write(msg).len();
        match msg {
            Msg::Payload { .. } => self.payload += bytes,
            _ => self.control += bytes,
        }
        self.requests += usize::from(matches!(msg, Msg::Request(_)));
        self.offers += usize::from(matches!(msg, Msg::Offer { .. }));
    }
    fn step(&mut self, _bytes: u64, _ibgibs: u64) {}
}

struct World {
    runtime: tokio::runtime::Runtime,
    server: Option<Server>,
    _dir: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let opts = ServerOpts::new("127.0.0.1:0".parse().unwrap(), dir.path().join("server.db"));
        let server = runtime.block_on(Server::start(opts)).unwrap();
        World { runtime, server: Some(server), _dir: dir }
    }

    fn link(&self) -> Remote<'_> {
        let url = self.server.as_ref().unwrap().url();
        let endpoint = Endpoint::new(&url, None, false).unwrap();
        Remote::new(&self.runtime, endpoint, Timeouts::default()).unwrap()
    }

    fn sync(&self, device: &Device) -> Counter {
        let mut counter = Counter::default();
        let (opts, link) = (device.opts(), self.link());
        client::sync(&device.space, &link, &device.identity, &opts, &mut counter).unwrap();
        counter
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            let _ = self.runtime.block_on(server.stop());
        }
    }
}

/// Adds `count` frames in one put.
fn grow(device: &Device, tjp: &TjpAddr, count: usize, name: &str) {
    let mut tip = device.tip(tjp);
    let mut all: Vec<IbGib> = Vec::new();
    for at in 0..count {
        let opts = Opts::next_frame().set("dataToAddOrPatch", json!({ name: at })).build();
        let made = transform(Kind::Mut8, &tip, &opts, &System::new()).unwrap();
        tip = made.new_ibgib.clone();
        all.extend(made.into_all());
    }
    device.space.put_all(&all).unwrap();
}

#[test]
fn one_edit_on_a_long_timeline_costs_the_delta_and_little_else() {
    let world = World::new();
    let device = Device::new();
    world.link().register(&device.genesis).unwrap();
    let x = device.new_timeline("x", json!({"hello": "world"}));
    grow(&device, &x, 3000, "a");
    world.sync(&device);

    device.edit(&x, json!({"b": 1}));
    let cost = world.sync(&device);
    let identity = device.space.tip(&device.identity.domain).unwrap().unwrap();
    let identity = device.space.get_id(identity.id).unwrap();
    let session = device.space.name("S").unwrap().unwrap();
    let session = device.space.get(&session).unwrap().unwrap();
    let body = EvolutionBody { frames: vec![&identity], session: &session };
    let evolution = sync_gib::ibgib::json::stringify(&body).len();
    assert!(cost.payload < 2048, "payload {}", cost.payload);
    assert!(cost.control + evolution <= 64 << 10, "{} + {evolution}", cost.control);

    let nothing = world.sync(&device);
    assert_eq!(nothing.payload, 0);
    assert_eq!(nothing.requests, 2);
}

#[test]
fn a_deep_split_is_found_in_few_turns() {
    let world = World::new();
    let one = Device::new();
    world.link().register(&one.genesis).unwrap();
    let x = one.new_timeline("x", json!({"hello": "world"}));
    grow(&one, &x, 700, "common");
    world.sync(&one);
    let two = Device::with(one.genesis.clone());
    world.sync(&two);

    grow(&one, &x, 600, "one");
    world.sync(&one);
    grow(&two, &x, 900, "two");
    let merged = world.sync(&two);
    assert!(merged.requests <= 8, "{} turns", merged.requests);
    world.sync(&one);
    assert_eq!(one.tip(&x), two.tip(&x));
    assert_eq!(one.tip(&x).datum("one"), Some(&json!(599)));
    assert_eq!(one.tip(&x).datum("two"), Some(&json!(899)));
}

#[test]
fn a_long_chain_of_stones_takes_few_questions_and_goes_once() {
    let world = World::new();
    let device = Device::new();
    world.link().register(&device.genesis).unwrap();
    let mut stones: Vec<IbGib> = Vec::new();
    for at in 0..3000 {
        let mut rel8ns = serde_json::Map::new();
        rel8ns.insert("ancestor".into(), json!(["tag^gib"]));
        if let Some(last) = stones.last() {
            rel8ns.insert("next".into(), json!([last.addr().unwrap()]));
        }
        stones.push(IbGib::new("tag".into(), Some(json!({ "at": at })), Some(rel8ns)).unwrap());
    }
    device.space.put_all(&stones).unwrap();
    let first = world.sync(&device);
    assert!(first.offers <= 12, "{} offers", first.offers);

    let last = stones.last().unwrap().addr().unwrap();
    let x = device.new_timeline("x", json!({"hello": "world"}));
    device.relate(&x, "tag", &last);
    let second = world.sync(&device);
    assert!(second.payload < 8192, "the stones are there: {} bytes", second.payload);
    assert!(second.control < 64 << 10);
}
