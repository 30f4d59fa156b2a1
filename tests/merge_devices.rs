//! Several devices that edit one timeline apart and merge through a server: they end on one tip,
//! and have nothing left to merge.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;
use serde_json::{Value, json};
use sync_gib::ibgib::transform::{FirstGen, Kind, Opts, first_gen, transform};
use sync_gib::ibgib::{Addr, IbGib, Moment, System};
use sync_gib::sync::merge::{GRAFT_ORPHAN, merge};

/// What one device does.
#[derive(Debug, Clone)]
enum Act {
    Set(u8),
    SaveForm,
    Rename(u8, u8),
    Remove(u8),
    Push(bool),
    Item(u8),
    Line(bool),
    Word(u8),
    Relate(u8),
    /// Takes the server's tip over or merges it, and sends nothing.
    Pull,
    /// Takes the server's tip over or merges it, and the server takes the result over.
    Sync,
}

fn act() -> impl Strategy<Value = (u8, Act)> {
    let act = prop_oneof![
        4 => (0..4u8).prop_map(Act::Set),
        1 => Just(Act::SaveForm),
        1 => (0..4u8, 0..4u8).prop_map(|(a, b)| Act::Rename(a, b)),
        1 => (0..4u8).prop_map(Act::Remove),
        1 => any::<bool>().prop_map(Act::Push),
        2 => (0..4u8).prop_map(Act::Item),
        2 => any::<bool>().prop_map(Act::Line),
        2 => (0..4u8).prop_map(Act::Word),
        1 => (0..4u8).prop_map(Act::Relate),
        1 => Just(Act::Pull),
        4 => Just(Act::Sync),
    ];
    (0..5u8, act)
}

struct World {
    frames: HashMap<Addr, IbGib>,
    now: u64,
    server: Addr,
    devices: Vec<Addr>,
    merges: usize,
}

impl World {
    fn new(devices: usize) -> World {
        let data = json!({
            "k0": 0, "k1": {"x": 0}, "text": "one two three\n\nfour five six\n",
            "items": [{"id": "a", "n": 0}, {"id": "b", "n": 0}], "list": ["x"],
        });
        let opts = FirstGen {
            ib: "doc",
            parent: &IbGib::primitive("ib"),
            data: data.as_object().cloned(),
            rel8ns: None,
            each: Opts::next_frame().build(),
            tjp: Some(json!({"timestamp": true})),
        };
        let now = Moment::from_ms(1_781_262_000_000).unwrap();
        let made = first_gen(&opts, &System::at(now)).unwrap().into_all();
        let mut frames = HashMap::new();
        for ibgib in &made {
            frames.insert(ibgib.validate().unwrap(), ibgib.clone());
        }
        let server = made.last().unwrap().addr().unwrap();
        let devices = vec![server.clone(); devices];
        World { frames, now: 0, server, devices, merges: 0 }
    }

    fn put(&mut self, all: Vec<IbGib>) -> Addr {
        let addrs: Vec<Addr> = all.iter().map(|made| made.validate().unwrap()).collect();
        self.frames.extend(addrs.iter().cloned().zip(all));
        addrs.into_iter().next_back().unwrap()
    }

    /// Everything of the timeline that a tip stands on.
    fn reach(&self, tip: &Addr) -> HashSet<Addr> {
        let (mut seen, mut open) = (HashSet::new(), vec![tip.clone()]);
        while let Some(addr) = open.pop() {
            if seen.insert(addr.clone()) {
                let frame = &self.frames[&addr];
                let below = frame.prev().into_iter().chain(frame.rel8d(GRAFT_ORPHAN));
                open.extend(below.map(|addr| Addr::parse(addr).unwrap()));
            }
        }
        seen
    }

    /// Brings a device to what the server has, and merges where both went on.
    fn pull(&mut self, device: usize) {
        let (mine, theirs) = (self.devices[device].clone(), self.server.clone());
        if self.reach(&mine).contains(&theirs) {
            return;
        }
        if self.reach(&theirs).contains(&mine) {
            self.devices[device] = theirs;
            return;
        }
        let tjp = Addr::parse(&self.frames[&mine].tjp_addr().unwrap()).unwrap();
        let merged = merge(&self.frames, &tjp, &theirs, &mine).unwrap();
        let again = merge(&self.frames, &tjp, &theirs, &mine).unwrap();
        assert_eq!(merged, again);
        assert!(merged.unreplayed.is_empty(), "{:?}", merged.unreplayed);
        self.merges += 1;
        self.devices[device] = self.put(merged.new);
    }

    fn sync(&mut self, device: usize) {
        self.pull(device);
        self.server = self.devices[device].clone();
    }

    fn act(&mut self, device: usize, act: &Act) {
        let device = device % self.devices.len();
        match act {
            Act::Pull => self.pull(device),
            Act::Sync => self.sync(device),
            edit => self.edit(device, edit),
        }
    }

    fn edit(&mut self, device: usize, act: &Act) {
        // Some clocks stand still for a while, so that equal times come about.
        self.now += u64::from(!self.now.is_multiple_of(3) || device != 0);
        let now = Moment::from_ms(1_781_262_000_000 + self.now * 700).unwrap();
        let tip = self.frames[&self.devices[device]].clone();
        let (unique, key) = (format!("d{device}u{}", self.frames.len()), |k: &u8| format!("k{k}"));
        let text = tip.datum("text").and_then(Value::as_str).unwrap_or_default().to_owned();
        let patch = |value: Value| (Kind::Mut8, "dataToAddOrPatch", value);
        let (kind, option, value) = match act {
            Act::Set(1) => patch(json!({"k1": {"x": unique}})),
            Act::Set(k) => patch(json!({key(k): unique})),
            Act::SaveForm => patch(tip.data.clone().map(form).unwrap_or_default()),
            Act::Rename(a, b) => (Kind::Mut8, "dataToRename", json!({key(a): key(b)})),
            Act::Remove(k) => (Kind::Mut8, "dataToRemove", json!({key(k): ""})),
            Act::Push(front) => {
                let mut list = tip.datum("list").and_then(Value::as_array).cloned().unwrap();
                list.insert(if *front { 0 } else { list.len() }, unique.into());
                patch(json!({"list": list}))
            }
            Act::Item(k) => patch(json!({"items": items(&tip, *k, &unique)})),
            Act::Line(true) => patch(json!({"text": format!("{text}{unique}\n")})),
            Act::Line(false) => patch(json!({"text": format!("{unique}\n\n{text}")})),
            Act::Word(k) => {
                let word = text.split_whitespace().nth(usize::from(*k)).unwrap_or("one");
                patch(json!({"text": text.replacen(word, &unique, 1)}))
            }
            Act::Relate(k) => {
                let stone = IbGib::new(key(k), Some(json!({"k": k})), None).unwrap();
                let addr = self.put(vec![stone]);
                (Kind::Rel8, "rel8nsToAddByAddr", json!({"see": [addr.as_str()]}))
            }
            Act::Pull | Act::Sync => return,
        };
        let value = sync_gib::ibgib::json::parse(&value.to_string()).unwrap();
        let opts = Opts::next_frame().set(option, value).build();
        self.devices[device] =
            self.put(transform(kind, &tip, &opts, &System::at(now)).unwrap().into_all());
    }
}

/// A form as it is saved whole: every field as it is.
fn form(mut data: Value) -> Value {
    for key in ["n", "isTjp", "timestamp", "timestampMs"] {
        data.as_object_mut().unwrap().remove(key);
    }
    data
}

fn items(tip: &IbGib, k: u8, unique: &str) -> Value {
    let mut items = tip.datum("items").and_then(Value::as_array).cloned().unwrap();
    match k {
        0 => items.push(json!({"id": unique, "n": 1})),
        1 if !items.is_empty() => drop(items.remove(0)),
        _ => {
            if let Some(item) = items.last_mut() {
                item["n"] = unique.into();
            }
        }
    }
    items.into()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn devices_end_on_one_tip_with_nothing_left_to_merge(
        devices in 2..=5usize, acts in prop::collection::vec(act(), 10..60),
    ) {
        let mut world = World::new(devices);
        for (device, act) in &acts {
            world.act((*device).into(), act);
        }
        let tips = world.devices.clone();
        for device in (0..devices).chain(0..devices) {
            world.sync(device);
        }
        let merges = world.merges;
        for device in (0..devices).chain(0..devices) {
            world.sync(device);
            prop_assert_eq!(&world.devices[device], &world.server);
        }
        prop_assert_eq!(world.merges, merges, "they merge each other's merges");
        let reached = world.reach(&world.server);
        for tip in &tips {
            prop_assert!(reached.contains(tip), "{} is lost", tip);
        }
        let data = &world.frames[&world.server].data.clone().unwrap();
        let ids: Vec<&Value> = data["items"].as_array().unwrap().iter().map(|i| &i["id"]).collect();
        let unique: HashSet<String> = ids.iter().map(|id| id.to_string()).collect();
        prop_assert_eq!(ids.len(), unique.len(), "an id is there twice");
    }
}
