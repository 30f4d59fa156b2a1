//! A session's messages in one zstd stream for each direction (docs/protocol.md, section 5,
//! "Compression").

use std::convert::Infallible;
use std::ops::Range;

use crate::ibgib::{Addr, IbGib};

mod body;
#[cfg(feature = "client")]
mod body_decoder;
mod compressor;
mod decompressor;
mod named;
mod socket;

#[cfg(feature = "server")]
pub(crate) use body::unpacked_len;
pub(crate) use body::{pack, unpack};
#[cfg(feature = "client")]
pub(crate) use body_decoder::BodyDecoder;
pub(crate) use compressor::Compressor;
pub(crate) use decompressor::{Arriving, CompressionError, Decompressor};
pub use named::MAX_NAMED;
pub(crate) use named::{NamedError, NamedPrefix, unpack_named};
pub(crate) use socket::{Message, MessageSocket, Socket, Windows};

/// The logarithm of a window that takes little memory: 64 KiB.
pub const SMALL_WINDOW: u32 = 16;
/// The logarithm of the largest window: 8 MiB.
pub const LARGE_WINDOW: u32 = 23;

/// How many bytes a compressor goes through with the small window before it takes the large one.
const WIDEN_AT: usize = 32 << 10;
/// How many bytes are unpacked at once.
const PIECE: usize = 32 << 10;
/// How many segments one message has at most: what comes before a proof, the proof, what follows.
const MAX_SEGMENTS: usize = 3;
/// How many bytes the head of a segment has: its kind, and how many follow.
const SEGMENT_HEAD: usize = 5;
/// A segment that goes through the stream.
const COMPRESSED: u8 = 0;
/// A segment that stays out of it.
const PLAIN: u8 = 1;
/// A frame of S, which stays out of it as well: a frame of zstd of its own, with the one before as
/// prefix.
const FRAME: u8 = 2;
/// A whole message by texts that the other side has.
const NAMED: u8 = 3;
/// How many bytes a frame of S may have that goes so.
pub(crate) const MAX_FRAME: usize = 64 << 10;

/// How much memory a compressor with this window takes at most.
#[cfg(feature = "server")]
pub(crate) fn compressor_bytes(window: u32) -> usize {
    // Beside the window a block of at most 128 KiB, in and out, its sequences, and tables.
    match window {
        ..=SMALL_WINDOW => 768 << 10,
        _ => (1 << window) + (3 << 20),
    }
}

/// How much memory a decompressor with this window takes at most.
#[cfg(feature = "server")]
pub(crate) fn decompressor_bytes(window: u32) -> usize {
    (1 << window) + (512 << 10)
}

/// What a side sends for these messages, each a text and where a frame of S stands in it; `frame` is
/// the one before. For trying what the other side makes of it.
pub fn pack_all(
    window: u32,
    frame: Option<&str>,
    messages: &[(&str, Option<Range<usize>>)],
) -> Option<Vec<Vec<u8>>> {
    let mut compressor = Compressor::new(window, frame.map(str::to_owned)).ok()?;
    let pack = |(text, proof): &(&str, Option<Range<usize>>)| {
        let widens = compressor.wants_wider(text.len());
        compressor.message(text, proof.clone(), widens).ok()
    };
    messages.iter().map(pack).collect()
}

/// What a side makes of these messages, up to the first that it refuses.
pub fn unpack_all(window: u32, frame: Option<&str>, messages: &[Vec<u8>]) -> Vec<String> {
    let mut texts = Vec::new();
    let Ok(mut decompressor) = Decompressor::new(window, frame.map(str::to_owned)) else {
        return texts;
    };
    for message in messages {
        let mut arriving = Arriving::new(message.clone());
        let is_whole = loop {
            match decompressor.unpack(&mut arriving) {
                Ok(false) => {}
                Ok(true) => break true,
                Err(_) => break false,
            }
        };
        match arriving.into_text() {
            Ok(text) if is_whole => texts.push(text),
            _ => break,
        }
    }
    texts
}

/// What a body of HTTP unpacks to, of at most `most` bytes.
pub fn unpack_body(packed: &[u8], prefix: &[u8], most: usize) -> Option<Vec<u8>> {
    unpack(packed, prefix, most).ok()
}

/// What a side sends for a message that is like what the other side has of these; none where it may
/// not go so.
pub fn pack_by_name(text: &str, known: &[IbGib]) -> Option<Vec<u8>> {
    let addrs = known.iter().map(IbGib::addr).collect::<Result<_, _>>().ok()?;
    let named = NamedPrefix::new(addrs, text_among(known)).ok()?;
    named.pack(text).ok().flatten()
}

/// What a message by named texts unpacks to, where the other side has these.
pub fn unpack_by_name(message: &[u8], known: &[IbGib]) -> Option<String> {
    unpack_named(message, text_among(known)).ok()
}

fn text_among(known: &[IbGib]) -> impl Fn(&Addr) -> Result<Option<String>, Infallible> {
    |addr| {
        let named = known.iter().find(|ibgib| ibgib.addr().as_ref() == Ok(addr));
        Ok(named.map(IbGib::to_json))
    }
}

fn begin_segment(out: &mut Vec<u8>, kind: u8) -> usize {
    out.push(kind);
    out.extend_from_slice(&[0; SEGMENT_HEAD - 1]);
    out.len()
}

/// Writes into a segment's head how many bytes it has.
fn end_segment(out: &mut [u8], begins: usize) {
    // No message is as long as that.
    let len = u32::try_from(out.len() - begins).unwrap_or(u32::MAX);
    if let Some(head) = out.get_mut(begins + 1 - SEGMENT_HEAD..begins) {
        head.copy_from_slice(&len.to_be_bytes());
    }
}

#[cfg(all(test, feature = "server"))]
mod tests;
