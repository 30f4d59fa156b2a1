//! Targets that take texts as they come from outside.

use serde_json::Value;
use sync_gib::ibgib::transform::{Kind, transform as make};
use sync_gib::ibgib::{IbGib, Moment, json};
use sync_gib::peer::wire as peer_wire;
use sync_gib::sync::merge::merge_text as merge;

use super::input::texts;

/// What is read as an ibGib reads back the same, with the same gib.
pub fn ibgib(data: &[u8]) {
    let Some([text]) = texts(data) else { return };
    let Ok(first) = IbGib::from_json(text) else { return };
    let printed = first.to_json();
    let second = IbGib::from_json(&printed).expect("what was printed is read");
    assert_eq!(printed, second.to_json());
    assert_eq!(first.computed_gib(), second.computed_gib());
    if let Ok(addr) = first.validate() {
        assert_eq!(second.validate().expect("it is as valid as it was"), addr);
    }
}

/// What is read as a message is written and read back the same.
pub fn wire(data: &[u8]) {
    let Some([text]) = texts(data) else { return };
    let Ok(msg) = peer_wire::read(text) else { return };
    let written = peer_wire::write(&msg);
    let again = peer_wire::read(&written).expect("what was written is read");
    assert_eq!(written, peer_wire::write(&again));
}

/// Merging texts ends, depends on nothing but the texts, and takes a lone change as it is.
///
/// The input is the common text, that of the branch that stays, and the replayed one.
pub fn merge_text(data: &[u8]) {
    let Some([base, kept, replayed]) = texts(data) else { return };
    assert_eq!(merge(base, kept, replayed), merge(base, kept, replayed));
    assert_eq!(merge(base, kept, base), kept);
    assert_eq!(merge(base, base, replayed), replayed);
    assert_eq!(merge(base, kept, kept), kept);
}

/// No options break a transform, and whatever one makes is an ibGib with its own gib.
///
/// The input is the first letter of the transform's kind, the source, and the options.
pub fn transform(data: &[u8]) {
    let Some([kind, source, opts]) = texts(data) else { return };
    let kind = match kind {
        "f" => Kind::Fork,
        "m" => Kind::Mut8,
        _ => Kind::Rel8,
    };
    let Ok(source) = IbGib::from_json(source) else { return };
    let Ok(Value::Object(opts)) = json::parse(opts) else { return };
    if let Ok(made) = make(kind, &source, &opts, Moment::default()) {
        for ibgib in made.into_all() {
            assert_eq!(ibgib.computed_gib().as_ref(), Ok(&ibgib.gib));
        }
    }
}
