//! What is compressed, as it comes from outside.

use std::ops::Range;

use sync_gib::ibgib::IbGib;
use sync_gib::peer::compression::{
    LARGE_WINDOW, MAX_NAMED, SMALL_WINDOW, pack_all, pack_by_name, unpack_all, unpack_body,
    unpack_by_name,
};
use sync_gib::peer::wire::MAX_MESSAGE;

use super::input::texts;

/// How many messages there are at most.
const MESSAGES: usize = 8;

/// What one side compresses the other unpacks to the same; what was changed on its way, or was never
/// compressed, is refused or unpacks to texts within their bound, whatever it is.
///
/// The first byte says which; then texts follow, or bytes.
pub fn compression(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let window = if kind & 1 == 0 { SMALL_WINDOW } else { LARGE_WINDOW };
    let frame = (kind & 2 != 0).then_some("{\"ib\":\"keystone\"}");
    if kind & 4 != 0 {
        let messages: Vec<Vec<u8>> = rest.chunks(64).take(MESSAGES).map(<[u8]>::to_vec).collect();
        bounded(&unpack_all(window, frame, &messages));
        let text = unpack_by_name(rest, &[]);
        assert!(text.is_none_or(|text| text.len() <= MAX_NAMED));
        if let Some(body) = unpack_body(rest, frame.unwrap_or_default().as_bytes(), 1 << 16) {
            assert!(body.len() <= 1 << 16);
        }
        return;
    }
    let Some([one, two, three, change]) = texts(rest) else { return };
    let texts: Vec<&str> = [one, two, three].into_iter().filter(|text| !text.is_empty()).collect();
    let messages: Vec<_> = texts.iter().map(|text| (*text, proof(text))).collect();
    let sent = pack_all(window, frame, &messages).expect("there is memory");
    assert_eq!(unpack_all(window, frame, &sent), texts);
    by_name(one, two, change.as_bytes());
    let damaged: Vec<Vec<u8>> =
        sent.iter().map(|bytes| changed(bytes, change.as_bytes())).collect();
    bounded(&unpack_all(window, frame, &damaged));
}

/// The same for a message by a text that it names.
fn by_name(text: &str, known: &str, change: &[u8]) {
    let Ok(known) = IbGib::new("x".into(), Some(known.into()), None) else { return };
    let known = std::slice::from_ref(&known);
    let Some(sent) = pack_by_name(text, known) else { return };
    assert_eq!(unpack_by_name(&sent, known).as_deref(), Some(text));
    let unpacked = unpack_by_name(&changed(&sent, change), known);
    assert!(unpacked.is_none_or(|text| text.len() <= MAX_NAMED));
}

/// Bytes with others in some places, or cut off.
fn changed(bytes: &[u8], change: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for step in change.chunks(2) {
        let [place, other] = step else {
            bytes.truncate(bytes.len() * usize::from(step[0]) / 256);
            continue;
        };
        let at = usize::from(*place).min(bytes.len().saturating_sub(1));
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= other;
        }
    }
    bytes
}

/// Something in a text that begins and ends between characters, neither at its beginning.
fn proof(text: &str) -> Option<Range<usize>> {
    let middle = (1..text.len()).find(|at| text.is_char_boundary(*at))?;
    text.len().is_multiple_of(2).then_some(middle..text.len())
}

fn bounded(texts: &[String]) {
    assert!(texts.iter().all(|text| text.len() <= MAX_MESSAGE));
}
