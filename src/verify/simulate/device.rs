//! Identities and their devices: homes with a disk and a clock of their own, and the edits made on
//! them.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::chooser::Chooser;
use crate::ibgib::transform::{FirstGen, Kind, Opts, first_gen, transform};
use crate::ibgib::{Addr, IbGib, Seeded, TjpAddr};
use crate::keystone::{MasterSecret, RecoveryCode};
use crate::peer::Identity;
use crate::space::{
    KillSwitch, KillableSpace, MemorySpace, Prepared, PutOpts, RowId, Space, SpaceError,
    StateDigest, Timeline, TimelineKind, TipMove,
};
use crate::verify::VerifyError;

/// Words that texts are made of.
const WORDS: [&str; 12] = [
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "islet", "jetty",
    "knoll", "lagoon",
];
/// The fields that edits set.
const FIELDS: [&str; 4] = ["title", "state", "owner", "place"];

/// An identity: a secret and the frame that it begins with.
#[derive(Clone)]
pub(super) struct Person {
    /// What its timelines and stones carry in their ib, so that it is seen whose they are.
    pub(super) label: String,
    pub(super) secret: MasterSecret,
    pub(super) genesis: IbGib,
    pub(super) domain: TjpAddr,
    /// What continues it without the secret, where it has a signing key.
    pub(super) code: Option<RecoveryCode>,
}

impl Person {
    /// The identity, with this secret or the one that it began with.
    pub(super) fn identity(&self, secret: Option<&MasterSecret>) -> Identity {
        let secret = secret.unwrap_or(&self.secret).clone();
        Identity { domain: self.domain.clone(), secret }
    }
}

/// A device of an identity.
pub(super) struct Device {
    pub(super) name: String,
    /// Which of the world's people it belongs to.
    pub(super) person: usize,
    pub(super) env: Arc<Seeded>,
    disk: RefCell<Arc<MemorySpace>>,
    backup: RefCell<Option<MemorySpace>>,
    /// How often its home was replaced by an older copy of itself.
    pub(super) restored: Cell<u32>,
    /// Whether its home has the identity.
    pub(super) is_joined: Cell<bool>,
    /// The secret that it was told last; none for the one that the identity began with.
    pub(super) secret: RefCell<Option<MasterSecret>>,
    /// Where the server told it that the data stands, when it was asked last.
    pub(super) told: Cell<Option<StateDigest>>,
}

impl Device {
    pub(super) fn new(name: String, person: usize, env: Arc<Seeded>) -> Device {
        Device {
            name,
            person,
            env,
            disk: RefCell::default(),
            backup: RefCell::default(),
            restored: Cell::new(0),
            is_joined: Cell::new(false),
            secret: RefCell::default(),
            told: Cell::default(),
        }
    }

    /// What stands on its disk.
    pub(super) fn disk(&self) -> Arc<MemorySpace> {
        Arc::clone(&self.disk.borrow())
    }

    /// A process that has its home open.
    pub(super) fn process(&self) -> (Arc<KillSwitch>, KillableSpace) {
        let switch = Arc::new(KillSwitch::default());
        let space = KillableSpace::new(self.disk(), Arc::clone(&switch));
        (switch, space)
    }

    /// Copies its home away.
    pub(super) fn back_up(&self) -> Result<(), SpaceError> {
        *self.backup.borrow_mut() = Some(self.disk.borrow().copied()?);
        Ok(())
    }

    /// Puts the copy in the place of the home; false where there is none.
    pub(super) fn restore(&self) -> Result<bool, SpaceError> {
        let backup = self.backup.borrow().as_ref().map(MemorySpace::copied).transpose()?;
        let Some(backup) = backup else { return Ok(false) };
        *self.disk.borrow_mut() = Arc::new(backup);
        self.restored.set(self.restored.get() + 1);
        Ok(true)
    }
}

/// The data's timelines of a space.
pub(super) fn timelines(space: &dyn Space) -> Result<Vec<Timeline>, VerifyError> {
    Ok(space.timelines(TimelineKind::Data, None, usize::from(u16::MAX))?)
}

/// The stones of a space that nothing relates to.
pub(super) fn unreferenced_stones(space: &dyn Space) -> Result<Vec<Addr>, VerifyError> {
    let found = space.unreferenced_stones(None, usize::from(u16::MAX))?;
    Ok(found.into_iter().map(|(_, addr)| addr).collect())
}

/// Makes an edit and puts it. Returns what was made; an error where the process was killed.
pub(super) fn edit(
    space: &dyn Space,
    env: &Seeded,
    label: &str,
    chooser: &Chooser,
) -> Result<Vec<IbGib>, VerifyError> {
    let there = timelines(space)?;
    let (made, moves) = match chooser.below(10) {
        0 => (vec![stone(space, label, chooser)?], Vec::new()),
        1 => (timeline(label, env, chooser)?, Vec::new()),
        _ if there.is_empty() => (timeline(label, env, chooser)?, Vec::new()),
        kind => {
            let timeline = &there[chooser.below(there.len())];
            let tip = space.get_id(timeline.tip.id)?;
            let made = next_frame(space, (kind, &tip, &there), env, chooser)?;
            let to = made.last().map(IbGib::addr).transpose()?;
            let from = Some(timeline.tip.addr.clone());
            let moved = to.map(|to| TipMove { tjp: timeline.tjp.clone(), from, to });
            (made, moved.into_iter().collect())
        }
    };
    let mut batch = made.iter().map(|ibgib| Ok(Prepared::new(ibgib)?));
    space.put(&mut batch, &PutOpts { moves, ..PutOpts::default() })?;
    Ok(made)
}

fn timeline(label: &str, env: &Seeded, chooser: &Chooser) -> Result<Vec<IbGib>, VerifyError> {
    let data = json!({
        "title": word(chooser), "text": text(chooser),
        "items": [{"id": "a", "done": false}], "nested": {"count": 0},
    });
    let Value::Object(data) = data else { return Ok(Vec::new()) };
    let ib = format!("note {label}");
    let first = FirstGen {
        ib: &ib,
        parent: &IbGib::primitive("note"),
        data: Some(data),
        rel8ns: None,
        each: Opts::next_frame().build(),
        tjp: Some(json!({"timestamp": true, "uuid": true})),
    };
    Ok(first_gen(&first, env)?.into_all())
}

fn stone(space: &dyn Space, label: &str, chooser: &Chooser) -> Result<IbGib, VerifyError> {
    let mut rel8ns = Map::new();
    rel8ns.insert("ancestor".into(), json!(["tag^gib"]));
    let free = unreferenced_stones(space)?;
    if chooser.chance(500) && !free.is_empty() {
        rel8ns.insert("linked".into(), json!([free[chooser.below(free.len())]]));
    }
    let data = json!({"words": text(chooser)});
    Ok(IbGib::new(format!("tag {label}"), Some(data), Some(rel8ns))?)
}

fn next_frame(
    space: &dyn Space,
    (kind, tip, there): (usize, &IbGib, &[Timeline]),
    env: &Seeded,
    chooser: &Chooser,
) -> Result<Vec<IbGib>, VerifyError> {
    let opts = Opts::next_frame();
    let datum = |key: &str| tip.datum(key).cloned().unwrap_or(Value::Null);
    let patch = match kind {
        2 => {
            let other = &there[chooser.below(there.len())];
            let own = tip.tjp_addr().as_deref() == Some(other.tjp.as_str());
            let other = if own { related(space, other.tip.id)? } else { other.tip.addr.clone() };
            let opts = opts.set("rel8nsToAddByAddr", json!({"linked": [other]}));
            return Ok(transform(Kind::Rel8, tip, &opts.build(), env)?.into_all());
        }
        3 | 4 => json!({"text": edited(datum("text").as_str().unwrap_or(""), chooser)}),
        5 => {
            let mut items = datum("items").as_array().cloned().unwrap_or_default();
            match chooser.below(3) {
                0 if !items.is_empty() => drop(items.remove(chooser.below(items.len()))),
                1 if !items.is_empty() => {
                    let at = chooser.below(items.len());
                    items[at]["done"] = chooser.chance(500).into();
                }
                _ => items.push(json!({"id": word(chooser), "done": false})),
            }
            json!({ "items": items })
        }
        6 => json!({"nested": {"count": chooser.below(1000)}}),
        _ => {
            let field = FIELDS[chooser.below(FIELDS.len())];
            json!({ field: text(chooser) })
        }
    };
    let opts = opts.set("dataToAddOrPatch", patch);
    Ok(transform(Kind::Mut8, tip, &opts.build(), env)?.into_all())
}

/// A stone that a timeline may relate to where it cannot relate to itself: the dna of its tip.
fn related(space: &dyn Space, tip: RowId) -> Result<Addr, VerifyError> {
    let dna = space.get_id(tip)?.rel8d("dna").next().map(Addr::parse).transpose()?;
    Ok(dna.map_or_else(|| space.addr(tip), Ok)?)
}

fn word(chooser: &Chooser) -> &'static str {
    WORDS[chooser.below(WORDS.len())]
}

fn text(chooser: &Chooser) -> String {
    let count = 2 + chooser.below(6);
    let words: Vec<&str> = (0..count).map(|_| word(chooser)).collect();
    words.join(" ")
}

/// A text with a word put in, taken out or put in another's place.
fn edited(text: &str, chooser: &Chooser) -> String {
    let mut words: Vec<&str> = text.split(' ').collect();
    let at = chooser.below(words.len());
    match chooser.below(4) {
        0 if words.len() > 1 => drop(words.remove(at)),
        1 => words[at] = word(chooser),
        2 => words.push("\n"),
        _ => words.insert(at, word(chooser)),
    }
    words.join(" ")
}
