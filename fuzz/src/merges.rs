//! Merges of any data, and what a graft info says.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use sync_gib::ibgib::transform::{Kind, Opts, transform};
use sync_gib::ibgib::{Addr, IbGib, Moment, System, TjpAddr, json as js};
use sync_gib::sync::merge::{FieldPath, Merge, MergeError, Overwritten, merge};

/// Frames on a tjp that are given as data, and by what they rename.
struct Frames {
    all: HashMap<Addr, IbGib>,
    tjp: TjpAddr,
}

impl Frames {
    fn new() -> Frames {
        let tjp = IbGib::new("doc".into(), Some(json!({"isTjp": true, "n": 0})), None).unwrap();
        let addr = tjp.validate().unwrap();
        Frames { all: HashMap::from([(addr.clone(), tjp)]), tjp: addr.into() }
    }

    fn put(&mut self, ibgib: IbGib) -> Addr {
        let addr = ibgib.validate().unwrap();
        self.all.insert(addr.clone(), ibgib);
        addr
    }

    /// The next frame with this data.
    fn next(&mut self, on: &Addr, data: &Map<String, Value>) -> Addr {
        let n = self.all[on].n().unwrap() + 1;
        let mut data = data.clone();
        data.shift_remove("isTjp");
        js::set(&mut data, "n", n.into());
        let rel8ns = json!({"past": [on.as_str()], "tjp": [self.tjp.as_str()]});
        let rel8ns = rel8ns.as_object().cloned();
        self.put(IbGib::new("doc".into(), Some(Value::Object(data)), rel8ns).unwrap())
    }

    /// The next frame by a mut8, where the options make one.
    fn mut8(&mut self, on: &Addr, opts: &Map<String, Value>) -> Addr {
        let mut next = Opts::next_frame();
        for key in ["dataToRename", "dataToRemove", "dataToAddOrPatch"] {
            if let Some(value) = opts.get(key) {
                next = next.set(key, value.clone());
            }
        }
        let now = Moment::from_ms(1_781_262_000_000).unwrap();
        let Ok(made) = transform(Kind::Mut8, &self.all[on], &next.build(), &System::at(now)) else {
            return on.clone();
        };
        if made.new_ibgib.n() != self.all[on].n().map(|n| n + 1) || made.new_ibgib.is_tjp() {
            return on.clone();
        }
        made.into_all().into_iter().map(|ibgib| self.put(ibgib)).last().unwrap()
    }
}

/// Lines of JSON: the common data, that of either side, and options of a mut8 of either side.
pub fn merge_values(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines: Vec<Map<String, Value>> = text
        .lines()
        .filter_map(|line| js::parse(line).ok()?.as_object().cloned())
        .take(5)
        .collect();
    let [common, kept, replayed, more @ ..] = &lines[..] else { return };
    let mut frames = Frames::new();
    let base = frames.next(&frames.tjp.clone(), common);
    let mut tips = [frames.next(&base, kept), frames.next(&base, replayed)];
    for (tip, opts) in tips.iter_mut().zip(more) {
        *tip = frames.mut8(tip, opts);
    }
    if tips[0] == tips[1] {
        return;
    }
    for (kept, replayed) in [(&tips[0], &tips[1]), (&tips[1], &tips[0])] {
        let merged = match merge(&frames.all, &base, kept, replayed) {
            Ok(merged) => merged,
            // The sides' data was alike, so that one tip stands on the other.
            Err(MergeError::NotDiverged { .. }) => continue,
            Err(error) => panic!("{error}"),
        };
        let again = merge(&frames.all, &base, kept, replayed).unwrap();
        let texts = |merge: &Merge| merge.new.iter().map(IbGib::to_json).collect::<Vec<_>>();
        assert_eq!(texts(&merged), texts(&again));
        for made in &merged.new {
            made.validate().unwrap();
            assert_eq!(IbGib::from_json(&made.to_json()).unwrap().to_json(), made.to_json());
        }
        for lost in &merged.overwritten {
            assert_eq!(Overwritten::of_value(&lost.to_value()).as_ref(), Some(lost));
        }
    }
}

/// An entry of a graft info; where it is none, a path.
pub fn graft_info(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(entry) = js::parse(text) {
        if let Some(lost) = Overwritten::of_value(&entry) {
            assert_eq!(Overwritten::of_value(&lost.to_value()), Some(lost));
        }
        return;
    }
    let Ok(path) = text.parse::<FieldPath>() else { return };
    assert_eq!(path.to_string().parse::<FieldPath>().as_ref(), Ok(&path));
    let mut data = Map::new();
    if path.set_in(&mut data, Some(json!(1))).is_ok() {
        let frame = IbGib::new("doc".into(), Some(Value::Object(data.clone())), None).unwrap();
        let read = path.value_in(&frame);
        assert!(read.is_none() || read == Some(json!(1)));
        path.set_in(&mut data, None).unwrap();
    }
}
