//! What a payload is like, of what the other side has.

use std::collections::HashSet;

use serde::Deserialize;

use crate::ibgib::Addr;

/// What is read of an ibGib.
#[derive(Deserialize)]
struct Frame {
    #[serde(default)]
    rel8ns: Relations,
}

#[derive(Default, Deserialize)]
struct Relations {
    #[serde(default)]
    past: Vec<String>,
}

/// The frames that those of a payload follow, of the longest one first, as far as the other side
/// `has` them. That a frame is not in this payload does not say so: it may come in a later message.
pub fn frames_before(ibgibs: &[Box<str>], has: impl Fn(&Addr) -> bool) -> Vec<Addr> {
    let mut befores: Vec<(usize, Addr)> = Vec::new();
    for text in ibgibs {
        let Ok(frame) = serde_json::from_str::<Frame>(text) else { continue };
        let before = frame.rel8ns.past.last().and_then(|addr| Addr::parse(addr).ok());
        befores.extend(before.filter(&has).map(|addr| (text.len(), addr)));
    }
    befores.sort_by_key(|(len, _)| std::cmp::Reverse(*len));
    let mut seen = HashSet::new();
    befores.into_iter().map(|(_, addr)| addr).filter(|addr| seen.insert(addr.key())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_other_side_has_is_named_the_longest_frame_s_first() {
        let frame = |past: &str, text: &str| -> Box<str> {
            let made = serde_json::json!({
                "ib": "x", "gib": "A", "data": {"text": text}, "rel8ns": {"past": ["gone^gib", past]},
            });
            made.to_string().into()
        };
        let texts = [
            frame("one^gib", "short"),
            frame("two^gib", "a longer one"),
            frame("later^gib", "which comes in another message"),
            frame("two^gib", "a"),
            r#"{"ib":"a stone","gib":"A"}"#.into(),
            "no ibGib".into(),
        ];
        let named = frames_before(&texts, |addr| addr.ib() != "later");
        let named: Vec<&str> = named.iter().map(Addr::as_str).collect();
        assert_eq!(named, ["two^gib", "one^gib"]);
    }
}
