//! Somebody hostile in between: messages altered, and messages forged.

use super::chooser::Chooser;
use super::world::World;
use crate::ibgib::IbGib;
use crate::peer::wire;
use crate::sync::msg::{Msg, Refusal, RefusalCode};

/// The characters that stand for others in an altered text.
const OTHERS: &[u8] = b"0123456789abcdefABCDEF xyz";

/// A text with one letter or digit made another.
pub(super) fn altered(text: &str, chooser: &Chooser) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let places: Vec<usize> =
        (0..bytes.len()).filter(|at| bytes[*at].is_ascii_alphanumeric()).collect();
    if places.is_empty() {
        return text.to_owned();
    }
    let at = places[chooser.below(places.len())];
    let mut other = OTHERS[chooser.below(OTHERS.len())];
    if other == bytes[at] {
        other = b'-';
    }
    bytes[at] = other;
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// A message that nobody said.
pub(super) fn forged(world: &World) -> String {
    let stone = IbGib::new("tag forged".to_owned(), Some("forged".into()), None);
    let ibgibs: Vec<Box<str>> = stone.iter().map(|stone| stone.to_json().into()).collect();
    let addrs = stone.iter().filter_map(|stone| stone.addr().ok()).collect();
    world.forged.borrow_mut().extend(stone.iter().filter_map(|stone| stone.addr().ok()));
    let msg = match world.choose().below(5) {
        0 => Msg::Offer { seq: 0, addrs },
        1 => Msg::Need { seq: 0, lacks: vec![false] },
        2 => Msg::AuthOk { token: None, state_token: None, window: None },
        3 => Msg::SyncError(Refusal { code: RefusalCode::Conflict, message: "forged".into() }),
        _ => Msg::Payload { ibgibs },
    };
    wire::write(&msg)
}
