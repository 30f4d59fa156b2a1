//! What comes in.

use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, get_error_name};

use super::{COMPRESSED, FRAME, MAX_FRAME, MAX_SEGMENTS, PIECE, PLAIN, SEGMENT_HEAD, unpack};
use crate::peer::wire::MAX_MESSAGE;

/// Why a message cannot be compressed or unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CompressionError {
    /// It has another form.
    #[error("it sent a compressed message of another form")]
    Form,
    /// The library's word for what is wrong.
    #[error("a compressed message: {0}")]
    Zstd(&'static str),
    /// What it unpacks to is longer than any message may be.
    #[error("a message of more than {MAX_MESSAGE} bytes")]
    TooLong,
    /// There is no memory for it.
    #[error("no memory for compression")]
    Memory,
}

/// Unpacks the messages of one direction of one session.
pub(crate) struct Decompressor {
    stream: DCtx<'static>,
    /// The frame of S that came last, where the next one may come as what is new in it.
    frame: Option<String>,
}

/// A message that is being unpacked.
pub(crate) struct Arriving {
    bytes: Vec<u8>,
    at: usize,
    /// The kind of the segment at `at`, and where it ends.
    segment: Option<(u8, usize)>,
    segments: usize,
    text: Vec<u8>,
    piece: Box<[u8]>,
}

impl Arriving {
    /// A message that came so.
    pub(crate) fn new(bytes: Vec<u8>) -> Arriving {
        let piece = vec![0; PIECE].into_boxed_slice();
        Arriving { bytes, at: 0, segment: None, segments: 0, text: Vec::new(), piece }
    }

    /// How much memory it takes once the next piece is there as well, but for that piece's copy.
    pub(crate) fn needs(&self) -> usize {
        self.bytes.len() + 2 * (self.text.len() + PIECE)
    }

    /// The text, once it is whole.
    pub(crate) fn into_text(self) -> Result<String, CompressionError> {
        String::from_utf8(self.text).map_err(|_| CompressionError::Form)
    }

    /// The segment at hand; none at the message's end.
    fn segment(&mut self) -> Result<Option<(u8, usize)>, CompressionError> {
        if self.segment.is_none() && self.at < self.bytes.len() {
            self.segments += 1;
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(([kind, len @ ..], rest)) = rest.split_first_chunk::<SEGMENT_HEAD>() else {
                return Err(CompressionError::Form);
            };
            let len = u32::from_be_bytes(*len) as usize;
            let is_known = matches!(*kind, COMPRESSED | PLAIN | FRAME);
            if !is_known || len == 0 || len > rest.len() || self.segments > MAX_SEGMENTS {
                return Err(CompressionError::Form);
            }
            self.at += SEGMENT_HEAD;
            self.segment = Some((*kind, self.at + len));
        }
        Ok(self.segment)
    }

    fn take(&mut self, len: usize) -> Result<(), CompressionError> {
        self.expect_room(len)?;
        self.text.extend_from_slice(self.piece.get(..len).unwrap_or_default());
        Ok(())
    }

    fn expect_room(&self, more: usize) -> Result<(), CompressionError> {
        match self.text.len() + more > MAX_MESSAGE {
            true => Err(CompressionError::TooLong),
            false => Ok(()),
        }
    }
}

impl Decompressor {
    /// One that takes windows up to this one. `frame` is the text of the frame of S that came before.
    pub(crate) fn new(
        window: u32,
        frame: Option<String>,
    ) -> Result<Decompressor, CompressionError> {
        let mut stream = DCtx::try_create().ok_or(CompressionError::Memory)?;
        stream.set_parameter(DParameter::WindowLogMax(window)).map_err(failed)?;
        Ok(Decompressor { stream, frame })
    }

    /// Unpacks a piece more; whether the message is whole.
    pub(crate) fn unpack(&mut self, message: &mut Arriving) -> Result<bool, CompressionError> {
        let Some((kind, end)) = message.segment()? else { return Ok(true) };
        let rest = message.bytes.get(message.at..end).unwrap_or_default();
        let (read, written) = match kind {
            FRAME => {
                let before = self.frame.take().ok_or(CompressionError::Form)?;
                let frame = unpack(rest, before.as_bytes(), MAX_FRAME)?;
                let frame = String::from_utf8(frame).map_err(|_| CompressionError::Form)?;
                message.expect_room(frame.len())?;
                message.text.extend_from_slice(frame.as_bytes());
                self.frame = Some(frame);
                (rest.len(), 0)
            }
            PLAIN => {
                self.frame = None;
                let len = rest.len().min(PIECE);
                let (rest, piece) = (rest.get(..len), message.piece.get_mut(..len));
                if let (Some(rest), Some(piece)) = (rest, piece) {
                    piece.copy_from_slice(rest);
                }
                (len, len)
            }
            _ => {
                let mut input = InBuffer::around(rest);
                let mut output = OutBuffer::around(&mut *message.piece);
                self.stream.decompress_stream(&mut output, &mut input).map_err(failed)?;
                let written = output.pos();
                (input.pos(), written)
            }
        };
        message.at += read;
        message.take(written)?;
        // What was read may hold more than a piece: the library keeps the rest until it has room.
        if message.at == end && written < PIECE {
            message.segment = None;
        } else if read == 0 && written == 0 {
            return Err(CompressionError::Form);
        }
        Ok(false)
    }

    /// How much memory it takes.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.stream.sizeof()
    }
}

impl std::fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decompressor").finish_non_exhaustive()
    }
}

fn failed(code: usize) -> CompressionError {
    CompressionError::Zstd(get_error_name(code))
}
