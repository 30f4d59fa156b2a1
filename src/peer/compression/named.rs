//! A message that is compressed by texts which the other side has, named by their addresses
//! (docs/protocol.md, section 5, "Compression").

use super::{CompressionError, NAMED, SEGMENT_HEAD, begin_segment, end_segment, pack, unpack};
use crate::ibgib::Addr;

/// How many texts one message may name.
const MAX_NAMES: usize = 8;
/// How many bytes they have at most, all of them.
const MAX_PREFIX: usize = 512 << 10;
/// How many bytes such a message may unpack to, which is checked before memory is taken.
pub const MAX_NAMED: usize = 384 << 10;

/// The texts that a message is compressed by, one after the other.
#[derive(Debug, Default)]
pub(crate) struct NamedPrefix {
    addrs: Vec<Addr>,
    text: String,
}

impl NamedPrefix {
    /// Those of the addresses, in this order, of which `text_of` has the text, as far as they may all
    /// be named together.
    pub(crate) fn new<E>(
        addrs: Vec<Addr>,
        mut text_of: impl FnMut(&Addr) -> Result<Option<String>, E>,
    ) -> Result<NamedPrefix, E> {
        let mut named = NamedPrefix::default();
        for addr in addrs {
            if named.addrs.len() == MAX_NAMES {
                break;
            }
            if let Some(text) = text_of(&addr)?
                && named.text.len() + text.len() <= MAX_PREFIX
            {
                named.text.push_str(&text);
                named.addrs.push(addr);
            }
        }
        Ok(named)
    }

    /// Whether it names nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.addrs.is_empty()
    }

    /// A message as one segment; none where it is longer than such a message may be.
    pub(crate) fn pack(&self, text: &str) -> Result<Option<Vec<u8>>, CompressionError> {
        let names = self.addrs.iter().map(Addr::as_str).collect::<Vec<_>>().join("\n");
        let Some(len) = u16::try_from(names.len()).ok().filter(|_| text.len() <= MAX_NAMED) else {
            return Ok(None);
        };
        let mut out = Vec::new();
        let begins = begin_segment(&mut out, NAMED);
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(names.as_bytes());
        out.extend_from_slice(&pack(text.as_bytes(), self.text.as_bytes())?);
        end_segment(&mut out, begins);
        Ok(Some(out))
    }
}

/// Whether a message may be one of these: such a one is unpacked by whoever has the texts.
pub(crate) fn is_named(message: &[u8]) -> bool {
    message.first() == Some(&NAMED)
}

/// Why a message by named texts cannot be unpacked.
#[derive(Debug)]
pub(crate) enum NamedError<E> {
    /// It has another form, or is too long.
    Message(CompressionError),
    /// Nothing may be named so at this time, or it is not here.
    Unknown(Addr),
    /// A text that is named cannot be read.
    Read(E),
}

impl<E> From<CompressionError> for NamedError<E> {
    fn from(error: CompressionError) -> NamedError<E> {
        NamedError::Message(error)
    }
}

/// What such a message unpacks to, where `text_of` gives the texts that it may name.
pub(crate) fn unpack_named<E>(
    message: &[u8],
    mut text_of: impl FnMut(&Addr) -> Result<Option<String>, E>,
) -> Result<String, NamedError<E>> {
    let (addrs, packed) = parts(message).ok_or(CompressionError::Form)?;
    let mut prefix = String::new();
    for addr in addrs {
        match text_of(&addr).map_err(NamedError::Read)? {
            None => return Err(NamedError::Unknown(addr)),
            Some(text) if prefix.len() + text.len() > MAX_PREFIX => {
                return Err(CompressionError::TooLong.into());
            }
            Some(text) => prefix.push_str(&text),
        }
    }
    let text = unpack(packed, prefix.as_bytes(), MAX_NAMED)?;
    String::from_utf8(text).map_err(|_| CompressionError::Form.into())
}

/// What such a message names, and what is compressed by that.
fn parts(message: &[u8]) -> Option<(Vec<Addr>, &[u8])> {
    let ([kind, len @ ..], rest) = message.split_first_chunk::<SEGMENT_HEAD>()?;
    if *kind != NAMED || u32::from_be_bytes(*len) as usize != rest.len() {
        return None;
    }
    let (len, rest) = rest.split_first_chunk::<2>()?;
    let (names, packed) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
    let names = str::from_utf8(names).ok()?;
    let mut addrs = Vec::new();
    for name in names.split('\n').filter(|_| !names.is_empty()) {
        if addrs.len() == MAX_NAMES {
            return None;
        }
        addrs.push(Addr::parse(name).ok()?);
    }
    Some((addrs, packed))
}
