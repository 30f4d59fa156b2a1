//! Targets that take texts as they come from outside.

use serde_json::Value;
use sync_gib::ibgib::transform::{Kind, transform as make};
use sync_gib::ibgib::{IbGib, Moment, System, json, normal};
use sync_gib::peer::wire::{self as peer_wire, read_capabilities};
use sync_gib::sync::Capabilities;
use sync_gib::sync::merge::merge_text as merge;

use super::input::texts;

/// What is read as an ibGib reads back the same, with the same gib; and what is told of a text
/// without building its values is what reading all of it tells.
pub fn ibgib(data: &[u8]) {
    let Some([text]) = texts(data) else { return };
    tell_quickly(text);
    let Ok(mut first) = IbGib::from_json(text) else { return };
    let printed = first.to_json();
    let second = IbGib::from_json(&printed).expect("what was printed is read");
    assert_eq!(printed, second.to_json());
    assert_eq!(first.computed_gib(), second.computed_gib());
    if let Ok(addr) = first.validate() {
        assert_eq!(second.validate().expect("it is as valid as it was"), addr);
    }
    if let Ok(gib) = first.computed_gib() {
        tell_quickly(&with_gib(text, &gib));
        first.gib = gib;
        tell_quickly(&first.to_json());
    }
}

fn tell_quickly(text: &str) {
    let Some(quick) = normal::read(text) else { return };
    let read = IbGib::from_json(text).expect("what is told of is read");
    read.validate().expect("its gib is right");
    assert_eq!(read.to_json(), text, "it is in normal form");
    assert_eq!((read.ib.as_str(), read.gib.as_str()), (quick.ib, quick.gib));
    let told = (read.n(), read.is_tjp(), read.is_stone());
    assert_eq!(told, (quick.n, quick.is_tjp, quick.is_stone));
}

/// A text with another gib, everything else as it is.
fn with_gib(text: &str, gib: &str) -> String {
    const NAME: &str = "\"gib\":\"";
    let parts =
        text.split_once(NAME).and_then(|(head, rest)| Some((head, rest.split_once('"')?.1)));
    let Some((head, tail)) = parts else { return text.to_owned() };
    format!("{head}{NAME}{gib}\"{tail}")
}

/// What is read as a message is written and read back the same.
pub fn wire(data: &[u8]) {
    let Some([text]) = texts(data) else { return };
    let Ok(msg) = peer_wire::read(text) else { return };
    let written = peer_wire::write(&msg);
    let again = peer_wire::read(&written).expect("what was written is read");
    assert_eq!(written, peer_wire::write(&again));
}

/// What is read of the two headers that name what a side speaks is within the bounds, is written and
/// read back the same, and what both sides speak is the same seen from either.
///
/// The input is the header of the protocols and that of the features, once for each side.
pub fn capabilities(data: &[u8]) {
    let Some([protocols, features, more_protocols, more_features]) = texts(data) else { return };
    let Ok(one) = read_capabilities(Some(protocols), Some(features)) else { return };
    assert!(!one.protocols.is_empty() && one.protocols.len() <= peer_wire::MAX_PROTOCOLS);
    assert!(one.features.len() <= peer_wire::MAX_FEATURES);
    let (named, listed) = peer_wire::write_capabilities(&one);
    let again = read_capabilities(Some(&named), Some(&listed)).expect("what was written is read");
    assert_eq!(again, one);
    let more = read_capabilities(Some(more_protocols), Some(more_features));
    let other = more.unwrap_or_else(|_| Capabilities::unnamed());
    match (one.common(&other), other.common(&one)) {
        (Ok(common), back) => {
            assert_eq!(back.as_ref(), Ok(&common));
            assert!(common.features.is_subset(&one.features));
            assert!(common.features.is_subset(&other.features));
        }
        (Err(_), back) => assert!(back.is_err()),
    }
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
    if let Ok(made) = make(kind, &source, &opts, &System::at(Moment::default())) {
        for ibgib in made.into_all() {
            assert_eq!(ibgib.computed_gib().as_ref(), Ok(&ibgib.gib));
        }
    }
}
