//! Frames of one timeline, made by transforms with clocks that may stand still or run backwards.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use sync_gib::ibgib::transform::{FirstGen, Kind, Opts, first_gen, transform};
use sync_gib::ibgib::{Addr, IbGib, Moment, System};

use super::edits::{self, Change};
use crate::judge_common::Random;

const START: u64 = 1_781_262_000_000;
/// What a frame keeps itself.
pub const BOOKKEEPING: [&str; 5] = ["n", "isTjp", "timestamp", "timestampMs", "uuid"];

/// What one side did: its frames above the common one, oldest first, and in words.
#[derive(Default)]
pub struct History {
    pub frames: Vec<(Addr, IbGib)>,
    pub renames: Vec<(String, String)>,
    pub told: Vec<String>,
}

impl History {
    pub fn tip(&self) -> &(Addr, IbGib) {
        self.frames.last().expect("a history has an edit")
    }
}

pub struct World {
    pub frames: HashMap<Addr, IbGib>,
    pub stones: Vec<Addr>,
    pub base: (Addr, IbGib),
    /// Counts what was written, so that no value is there twice.
    pub count: u64,
}

impl World {
    pub fn new() -> World {
        let mut frames = HashMap::new();
        let mut stones = Vec::new();
        for ib in ["p", "q", "r", "s"] {
            let stone = IbGib::new(ib.into(), Some(json!({"of": ib})), None).unwrap();
            stones.push(put(&mut frames, stone).0);
        }
        let see = json!([stones[0].as_str(), stones[1].as_str()]);
        let opts = FirstGen {
            ib: "doc",
            parent: &IbGib::primitive("ib"),
            data: edits::first().as_object().cloned(),
            rel8ns: Some(Map::from_iter([("see".to_owned(), see)])),
            each: Opts::next_frame().build(),
            tjp: Some(json!({"timestamp": true})),
        };
        let made =
            first_gen(&opts, &System::at(Moment::from_ms(START).unwrap())).unwrap().into_all();
        let all: Vec<_> = made.into_iter().map(|frame| put(&mut frames, frame)).collect();
        let base = all.last().unwrap().clone();
        World { frames, stones, base, count: 1000 }
    }

    /// Lets one side edit, up to `most` times.
    pub fn side(&mut self, most: usize, random: &mut Random) -> History {
        let mut history = History::default();
        let mut clock = START + *random.pick(&[1000, 1000, 1000, 3000, 60_000]);
        let backwards = random.chance(10);
        let (mut tip, mut tip_addr) = (self.base.1.clone(), self.base.0.clone());
        for _ in 0..random.within(1, most) {
            let step = *random.pick(&[0, 617, 1000, 1000, 1000, 1000, 10_000]);
            clock = if backwards && random.chance(50) { clock - 700 } else { clock + step };
            let now = Moment::from_ms(clock).unwrap();
            let change = edits::random(self, &tip, random);
            let made = match &change {
                Change::ByHand(data) => by_hand(&tip, &tip_addr, data, now),
                change => {
                    let (kind, option, value) = change.option();
                    // Through text and back, so that keys stand in JavaScript's order.
                    let value = sync_gib::ibgib::json::parse(&value.to_string()).unwrap();
                    let opts = Opts::next_frame().set(option, value).build();
                    transform(kind, &tip, &opts, &System::at(now)).unwrap().into_all()
                }
            };
            history.told.push(format!("{} {change:?}", clock.cast_signed() - START.cast_signed()));
            history.renames.extend(change.rename());
            for frame in made {
                (tip_addr, tip) = put(&mut self.frames, frame);
            }
            history.frames.push((tip_addr.clone(), tip.clone()));
        }
        history
    }
}

fn put(frames: &mut HashMap<Addr, IbGib>, frame: IbGib) -> (Addr, IbGib) {
    let addr = frame.addr().unwrap();
    frames.insert(addr.clone(), frame.clone());
    (addr, frame)
}

/// A frame without dna, as another program might make it.
fn by_hand(tip: &IbGib, addr: &Addr, patch: &Value, now: Moment) -> Vec<IbGib> {
    let mut frame = tip.clone();
    let data = frame.data.as_mut().unwrap().as_object_mut().unwrap();
    data.extend(patch.as_object().unwrap().clone());
    let n = data["n"].as_u64().unwrap();
    data.insert("n".into(), (n + 1).into());
    now.stamp(data);
    frame.rel8ns.as_mut().unwrap().insert("past".into(), json!([addr.as_str()]));
    let made = IbGib::new(frame.ib, frame.data, frame.rel8ns).unwrap();
    vec![IbGib::from_json(&made.to_json()).unwrap()]
}

impl Change {
    fn option(&self) -> (Kind, &'static str, Value) {
        match self {
            Change::Set(value) | Change::ByHand(value) => {
                (Kind::Mut8, "dataToAddOrPatch", value.clone())
            }
            Change::Remove(value) => (Kind::Mut8, "dataToRemove", value.clone()),
            Change::Rename(from, to) => (Kind::Mut8, "dataToRename", json!({from: to})),
            Change::Ib(ib) => (Kind::Mut8, "mut8Ib", json!(ib)),
            Change::Relate(stone) => (Kind::Rel8, "rel8nsToAddByAddr", json!({"see": [stone]})),
            Change::Part(stone) => (Kind::Rel8, "rel8nsToRemoveByAddr", json!({"see": [stone]})),
        }
    }

    fn rename(&self) -> Option<(String, String)> {
        match self {
            Change::Rename(from, to) => Some((from.clone(), to.clone())),
            _ => None,
        }
    }
}
