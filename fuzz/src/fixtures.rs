//! What the targets start from: made once, and the same in every run.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use secrecy::SecretString;
use serde_json::{Map, Value, json};
use sync_gib::ibgib::transform::{Kind, Opts, transform};
use sync_gib::ibgib::{Addr, IbGib, Moment, Rel8ns, System, TjpAddr, json as js};
use sync_gib::keystone::MasterSecret;
use sync_gib::space::Prepared;
use sync_gib::sync::merge::merge;

/// An identity and one session of it.
pub(crate) struct Keystones {
    /// I: its genesis, a frame that claims the session, one that manages, one that revokes.
    pub(crate) identity: Vec<IbGib>,
    /// S: its genesis, a frame that connects, one that signs a turn.
    pub(crate) session: Vec<IbGib>,
    /// A locked keystone: its genesis, a sync, a rotation, a sync, a recovery, a sync, a revocation.
    pub(crate) locked: Vec<IbGib>,
    pub(crate) saga_id: String,
    master: String,
}

impl Keystones {
    pub(crate) fn get() -> &'static Keystones {
        static KEYSTONES: OnceLock<Keystones> = OnceLock::new();
        KEYSTONES.get_or_init(|| {
            let mut held = js::parse(include_str!("../fixtures/keystones.json")).unwrap();
            let vector = include_str!("../../tests/vectors/locked-keystone.json");
            let mut vector = js::parse(vector).unwrap();
            let frames = |held: &mut Value, name: &str| -> Vec<IbGib> {
                let Value::Array(frames) = held[name].take() else { panic!("no {name}") };
                frames.into_iter().map(|frame| IbGib::from_value(frame).unwrap()).collect()
            };
            let (identity, session) = (frames(&mut held, "identity"), frames(&mut held, "session"));
            let locked = frames(&mut vector, "frames");
            let text = |name: &str| held[name].as_str().unwrap().to_owned();
            let (saga_id, master) = (text("sagaId"), text("masterSecret"));
            Keystones { identity, session, locked, saga_id, master }
        })
    }

    /// The tjp address of I.
    pub(crate) fn domain(&self) -> TjpAddr {
        self.identity[0].addr().unwrap().into()
    }

    /// What signs for S.
    pub(crate) fn session_secret(&self) -> MasterSecret {
        let master = MasterSecret::from_raw(SecretString::from(self.master.clone())).unwrap();
        master.derive_session(&self.saga_id)
    }
}

/// Data that either side may hold, each list with its dependencies first and its tip last.
pub(crate) struct Data {
    /// A timeline X.
    pub(crate) x: Vec<IbGib>,
    /// Two edits of X, made here; the second without dna.
    pub(crate) x_here: Vec<IbGib>,
    /// Two edits of X, made there; the second relates it to a new timeline.
    pub(crate) x_there: Vec<IbGib>,
    /// One more edit there.
    pub(crate) x_late: Vec<IbGib>,
    /// Both merged, those of there replayed, and an edit of that.
    pub(crate) x_merged: Vec<IbGib>,
    /// Both merged, those of here replayed.
    pub(crate) x_merged_there: Vec<IbGib>,
    /// A timeline that relates to X's first frame.
    pub(crate) y: Vec<IbGib>,
    /// A timeline of which no frame carries a count.
    pub(crate) uncounted: Vec<IbGib>,
    /// Two stones, of which the last relates to the first.
    pub(crate) stones: Vec<IbGib>,
}

impl Data {
    pub(crate) fn get() -> &'static Data {
        static DATA: OnceLock<Data> = OnceLock::new();
        DATA.get_or_init(|| {
            let mut clock = Clock(1_781_262_000_000);
            let next = Opts::next_frame;
            let mut x = vec![clock.tjp("x", json!({ "n": 0, "title": "a" }))];
            clock.mut8(&mut x, next(), json!({ "text": "one two three\nfour\n" }));
            let tip = x[x.len() - 1].clone();
            let mut x_here = vec![tip.clone()];
            clock.mut8(&mut x_here, next(), json!({ "text": "zero one two three\nfour\n" }));
            let without_dna = Opts::new().linked(&["past"]).set("nCounter", true);
            clock.mut8(
                &mut x_here,
                without_dna.set("dataToRemove", json!({ "title": "" })),
                json!({ "list": [{ "b": 2, "a": 1 }] }),
            );
            let mut x_there = vec![tip];
            clock.mut8(
                &mut x_there,
                next(),
                json!({ "text": "one two\nfour five\n", "title": "b" }),
            );
            let z = clock.tjp("z", json!({ "n": 0 }));
            x_there.insert(0, z.clone());
            clock.relate(&mut x_there, &z);
            let mut y = vec![clock.tjp("y", json!({ "n": 0 }))];
            clock.relate(&mut y, &x[0]);
            let mut uncounted = vec![clock.tjp("uncounted", json!({}))];
            clock.mut8(&mut uncounted, Opts::new().set("dna", true), json!({ "a": 1 }));
            let (part, whole) = stones();
            let [mut x_merged, x_merged_there] = merged(&x, &x_here, &x_there);
            clock.mut8(&mut x_merged, next(), json!({ "title": "merged" }));
            let mut x_late = vec![x_there[x_there.len() - 1].clone()];
            clock.mut8(&mut x_late, next(), json!({ "text": "late" }));
            x_here.remove(0);
            x_there.remove(1);
            x_late.remove(0);
            let stones = vec![part, whole];
            Data { x, x_here, x_there, x_late, x_merged, x_merged_there, y, uncounted, stones }
        })
    }

    /// Every list.
    pub(crate) fn all(&self) -> [&[IbGib]; 9] {
        let [here, there, late] = [&self.x_here, &self.x_there, &self.x_late];
        let [merged, merged_there] = [&self.x_merged, &self.x_merged_there];
        let [y, uncounted, stones] = [&self.y, &self.uncounted, &self.stones];
        [&self.x, here, there, late, merged, merged_there, y, uncounted, stones]
    }
}

/// Makes frames, each a millisecond after the one before.
struct Clock(u64);

impl Clock {
    fn now(&mut self) -> Moment {
        self.0 += 1;
        Moment::from_ms(self.0).unwrap()
    }

    fn tjp(&mut self, ib: &str, mut data: Value) -> IbGib {
        let now = self.now();
        let map = data.as_object_mut().unwrap();
        now.stamp(map);
        map.insert("uuid".into(), format!("the uuid of {ib}").into());
        map.insert("isTjp".into(), true.into());
        let ancestor = Map::from_iter([("ancestor".to_owned(), json!([format!("{ib}^gib")]))]);
        IbGib::new(ib.to_owned(), Some(data), Some(ancestor)).unwrap()
    }

    fn mut8(&mut self, frames: &mut Vec<IbGib>, opts: Opts, patch: Value) {
        self.step(frames, Kind::Mut8, opts.set("dataToAddOrPatch", patch));
    }

    fn relate(&mut self, frames: &mut Vec<IbGib>, to: &IbGib) {
        let add = json!({ "other": [to.addr().unwrap()] });
        self.step(frames, Kind::Rel8, Opts::next_frame().set("rel8nsToAddByAddr", add));
    }

    fn step(&mut self, frames: &mut Vec<IbGib>, kind: Kind, opts: Opts) {
        let tip = &frames[frames.len() - 1];
        let made = transform(kind, tip, &opts.build(), &System::at(self.now())).unwrap();
        frames.extend(made.into_all());
    }
}

/// What merging two branches makes, with the one kept and with the other.
fn merged(base: &[IbGib], here: &[IbGib], there: &[IbGib]) -> [Vec<IbGib>; 2] {
    let all = [base, here, there].into_iter().flatten();
    let held: HashMap<Addr, IbGib> =
        all.map(|ibgib| (ibgib.addr().unwrap(), ibgib.clone())).collect();
    let [base, here, there] = [base, here, there].map(|list| list[list.len() - 1].addr().unwrap());
    [(&here, &there), (&there, &here)]
        .map(|(kept, replayed)| merge(&held, &base, kept, replayed).unwrap().new)
}

fn stones() -> (IbGib, IbGib) {
    let stone = |data: Value, rel8ns: Option<Rel8ns>| {
        IbGib::new("stone".to_owned(), Some(data), rel8ns).unwrap()
    };
    let part = stone(json!({ "text": "part" }), None);
    let rel8ns = Map::from_iter([("part".to_owned(), json!([part.addr().unwrap()]))]);
    let whole = stone(json!({ "text": "whole" }), Some(rel8ns));
    (part, whole)
}

/// What spaces store of these.
pub(crate) fn prepared(ibgibs: &[IbGib]) -> Vec<Prepared> {
    ibgibs.iter().map(|ibgib| Prepared::new(ibgib).unwrap()).collect()
}

/// A folder for files that last as long as a run: in memory where the system has such a one.
pub(crate) fn scratch() -> &'static Path {
    static SCRATCH: OnceLock<PathBuf> = OnceLock::new();
    SCRATCH.get_or_init(|| {
        let memory = PathBuf::from("/dev/shm");
        if memory.is_dir() { memory } else { std::env::temp_dir() }
    })
}
