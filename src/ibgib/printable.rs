//! Text from elsewhere, fit to be shown.

use std::fmt::Write as _;

/// Text from elsewhere with its control characters, and those that turn the direction of what follows,
/// escaped: a terminal does nothing but show it, and a log keeps its lines.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_obeyed(c) {
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Whether a terminal does something at a character instead of showing it.
pub(crate) fn is_obeyed(c: char) -> bool {
    c.is_control() || turns(c)
}

/// Characters that turn the direction of the text around them (Unicode's `Bidi_Control`).
pub(crate) fn turns(c: char) -> bool {
    matches!(c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
