//! Makes ibGibs for tests.

use serde_json::{Map, Value, json};

use crate::ibgib::transform::{FirstGen, Kind, Opts, Transformed, first_gen, transform};
use crate::ibgib::{Addr, IbGib, Moment, Rel8ns, System};

/// IbGibs that were made, in dependency-first order, and the newest frame of each timeline.
#[derive(Default)]
pub(crate) struct World {
    made: Vec<IbGib>,
    tips: Vec<IbGib>,
    clock: u64,
}

impl World {
    fn now(&mut self) -> Moment {
        self.clock += 1;
        Moment::from_ms(1_781_262_000_000 + self.clock).unwrap()
    }

    fn keep(&mut self, made: Transformed) -> IbGib {
        let newest = made.new_ibgib.clone();
        self.made.extend(made.into_all());
        newest
    }

    /// All that was made, dependencies first.
    pub(crate) fn all(&self) -> &[IbGib] {
        &self.made
    }

    /// What was made since there were `len`.
    pub(crate) fn since(&self, len: usize) -> &[IbGib] {
        &self.made[len..]
    }

    pub(crate) fn len(&self) -> usize {
        self.made.len()
    }

    pub(crate) fn tip(&self, timeline: usize) -> &IbGib {
        &self.tips[timeline]
    }

    pub(crate) fn set_tip(&mut self, timeline: usize, frame: IbGib) {
        self.tips[timeline] = frame;
    }

    /// A new timeline, which begins with a counted tjp.
    pub(crate) fn timeline(&mut self, ib: &str) -> usize {
        self.timeline_with(ib, Opts::next_frame().build())
    }

    /// A new timeline whose steps have other options.
    pub(crate) fn timeline_with(&mut self, ib: &str, each: Map<String, Value>) -> usize {
        let parent = IbGib::primitive("ib");
        let tjp = Some(json!({ "uuid": true, "timestamp": true }));
        let opts = FirstGen { ib, parent: &parent, data: None, rel8ns: None, each, tjp };
        let now = self.now();
        let made = first_gen(&opts, &System::at(now)).unwrap();
        let first = self.keep(made);
        self.tips.push(first);
        self.tips.len() - 1
    }

    /// A next frame of a timeline, with data.
    pub(crate) fn edit(&mut self, timeline: usize, data: Value) -> IbGib {
        let tip = self.tips[timeline].clone();
        self.tips[timeline] = self.edit_of(&tip, data);
        self.tips[timeline].clone()
    }

    /// A next frame that relates to others.
    pub(crate) fn relate(&mut self, timeline: usize, name: &str, to: &[&IbGib]) -> IbGib {
        let tip = self.tips[timeline].clone();
        self.tips[timeline] = self.relate_of(&tip, name, to);
        self.tips[timeline].clone()
    }

    /// A frame that follows any frame; the timeline's newest frame stays what it was.
    pub(crate) fn edit_of(&mut self, frame: &IbGib, data: Value) -> IbGib {
        let opts = Opts::next_frame().set("dataToAddOrPatch", data);
        self.step(Kind::Mut8, frame, opts)
    }

    pub(crate) fn relate_of(&mut self, frame: &IbGib, name: &str, to: &[&IbGib]) -> IbGib {
        let addrs: Vec<Value> = to.iter().map(|to| addr(to).as_str().into()).collect();
        let opts = Opts::next_frame().set("rel8nsToAddByAddr", json!({ name: addrs }));
        self.step(Kind::Rel8, frame, opts)
    }

    pub(crate) fn step(&mut self, kind: Kind, frame: &IbGib, opts: Opts) -> IbGib {
        let now = self.now();
        let made = transform(kind, frame, &opts.build(), &System::at(now)).unwrap();
        self.keep(made)
    }

    /// A stone without relations.
    pub(crate) fn stone(&mut self, text: &str) -> IbGib {
        self.stone_on(text, &[])
    }

    /// A stone that relates to others.
    pub(crate) fn stone_on(&mut self, text: &str, to: &[&IbGib]) -> IbGib {
        let addrs: Vec<Value> = to.iter().map(|to| addr(to).as_str().into()).collect();
        let mut rel8ns = Rel8ns::new();
        rel8ns.insert("part".into(), addrs.into());
        let stone = IbGib::new("stone".into(), Some(json!({ "text": text })), Some(rel8ns));
        self.made.push(stone.unwrap());
        self.made[self.made.len() - 1].clone()
    }
}

/// The address of an ibGib.
pub(crate) fn addr(ibgib: &IbGib) -> Addr {
    ibgib.addr().unwrap()
}

/// A keystone timeline that the reference made, genesis first.
pub(crate) fn keystone_frames() -> Vec<IbGib> {
    let text = include_str!("../../../tests/vectors/keystone.json");
    let mut vectors = crate::ibgib::json::parse(text).unwrap();
    let Value::Array(frames) = vectors["frames"].take() else { panic!("no frames") };
    frames.into_iter().map(|frame| IbGib::from_value(frame).unwrap()).collect()
}
