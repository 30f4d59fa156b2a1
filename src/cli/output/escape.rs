//! Characters that a terminal obeys, or that nobody sees on it.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::ibgib::turns;

/// JSON with what a terminal would not show as JSON's own escapes: it still says the same.
pub(super) fn json(text: &str) -> Cow<'_, str> {
    escaped(text, |c, out| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    })
}

/// Text with what a terminal would not show spelled out, line breaks left as they are.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    escaped(text, |c, out| match c {
        '\n' => out.push(c),
        c => {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
    })
}

fn escaped(text: &str, escape: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_hidden(c) {
            true => escape(c, &mut out),
            false => out.push(c),
        }
    }
    out.into()
}

/// Whether a terminal does something at a character, or shows nothing for it.
fn is_hidden(c: char) -> bool {
    c.is_control() || turns(c) || is_ignorable(c) || breaks(c)
}

/// Characters that are shown as nothing (Unicode's `Default_Ignorable_Code_Point`): of no width,
/// fillers, variation selectors, tags.
fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Characters that end a line for some, and that annotate without being seen.
fn breaks(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of each kind: C0, DEL, C1, bidi, zero width, a tag.
    const HIDDEN: [&str; 12] = [
        "\u{7f}",
        "\u{80}",
        "\u{9b}",
        "\u{61c}",
        "\u{200e}",
        "\u{202e}",
        "\u{2066}",
        "\u{200b}",
        "\u{200d}",
        "\u{feff}",
        "\u{2060}",
        "\u{e0041}",
    ];

    #[test]
    fn json_says_the_same_after_escaping() {
        for hidden in HIDDEN {
            let text = format!("{{\"a\":\"x{hidden}y\"}}");
            let escaped = json(&text);
            assert!(escaped.is_ascii(), "{escaped}");
            let [one, other] = [&text, &*escaped].map(crate::ibgib::json::parse);
            assert_eq!(one.unwrap(), other.unwrap());
        }
        assert_eq!(json("\"\u{e0041}\""), "\"\\udb40\\udc41\"");
    }

    #[test]
    fn text_that_is_seen_stays() {
        let text = "{\"é\":\"日本 ✓ 👍\"}\n";
        assert!(matches!(shown(text), Cow::Borrowed(_)) || shown(text) == text);
        assert_eq!(json("\"é日👍\""), "\"é日👍\"");
        assert_eq!(shown("a\u{200b}b\u{9b}c\n"), "a\\u{200b}b\\u{9b}c\n");
    }
}
