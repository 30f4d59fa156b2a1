//! A session's messages in one zstd stream for each direction (docs/protocol.md, section 5,
//! "Compression").

mod body;
mod compressor;
mod decompressor;
mod socket;

#[cfg(feature = "client")]
pub(crate) use body::BodyDecoder;
#[cfg(feature = "server")]
pub(crate) use body::unpacked_len;
pub(crate) use body::{pack, unpack};
pub(crate) use compressor::Compressor;
pub(crate) use decompressor::{Arriving, CompressionError, Decompressor};
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
/// How many bytes a frame of S may have that goes so.
const MAX_FRAME: usize = 64 << 10;

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

#[cfg(test)]
mod tests;
