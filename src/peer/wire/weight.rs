//! How much memory reading a text takes, before it is read.

use super::{PAYLOAD_HEAD, Payload};
use crate::ibgib::json as js;

/// What reading a text takes, in bytes of a usual one: as many as it has, or more where it holds many
/// small values, each of which takes some hundred bytes of memory however short it is. The ibGibs of
/// a payload are read one after the other.
pub(crate) fn weight(text: &str) -> usize {
    /// How many bytes of a usual text there are to a value.
    const VALUE: usize = 48;
    /// What is so long is large anyway.
    const LONG: usize = 1 << 20;

    if text.len() >= LONG {
        return text.len();
    }
    let values = js::begun_values(text);
    if values * VALUE <= text.len() {
        return text.len();
    }
    let values = match text.starts_with(PAYLOAD_HEAD) {
        true => most_of_one(text),
        false => values,
    };
    text.len().max(values * VALUE)
}

/// How many values begin in one ibGib of a payload at most.
fn most_of_one(payload: &str) -> usize {
    let each = |payload: Payload<'_>| {
        payload.ibgibs.iter().map(|raw| js::begun_values(raw.get())).max().unwrap_or(0)
    };
    // What is no payload is refused before any value is made of it.
    serde_json::from_str(payload).map_or(0, each)
}
