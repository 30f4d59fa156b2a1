//! The fuzzer's bytes.

/// Bytes that are taken off from the front; zeros follow the last.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Input<'a> {
        Input(data)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(crate) fn word(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// A number below `end`, or 0 where there is none.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let drawn = if end > 256 { usize::from(self.word()) } else { usize::from(self.byte()) };
        drawn % end.max(1)
    }

    /// A text of at most 255 bytes, its length first.
    pub(crate) fn text(&mut self) -> String {
        let len = usize::from(self.byte()).min(self.0.len());
        let (text, rest) = self.0.split_at(len);
        self.0 = rest;
        String::from_utf8_lossy(text).into_owned()
    }
}

/// What divides the texts of one input: the character for it, which JSON holds only escaped.
const RECORD: char = '\u{1e}';

/// The input as `N` texts, the last with whatever divides it further; none where it is no UTF-8.
pub(crate) fn texts<const N: usize>(data: &[u8]) -> Option<[&str; N]> {
    let mut texts = std::str::from_utf8(data).ok()?.splitn(N, RECORD);
    Some([(); N].map(|()| texts.next().unwrap_or_default()))
}
