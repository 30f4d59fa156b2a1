//! An answer of HTTP, unpacked as it comes.

use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, get_error_name};

use super::{CompressionError, LARGE_WINDOW, PIECE};

/// Unpacks a body that comes piece by piece, and holds a piece of it.
pub(crate) struct BodyDecoder {
    stream: DCtx<'static>,
    held: Vec<u8>,
    at: usize,
    is_whole: bool,
}

impl BodyDecoder {
    /// A decoder that takes windows up to the large one.
    pub(crate) fn new() -> Result<BodyDecoder, CompressionError> {
        let mut stream = DCtx::try_create().ok_or(CompressionError::Memory)?;
        stream.set_parameter(DParameter::WindowLogMax(LARGE_WINDOW)).map_err(failed)?;
        Ok(BodyDecoder { stream, held: Vec::new(), at: 0, is_whole: true })
    }

    /// Takes what came, once what came before is used up.
    pub(crate) fn take(&mut self, bytes: Vec<u8>) {
        (self.held, self.at) = (bytes, 0);
    }

    /// Whether what came ends where a frame does.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The next piece of what came; none where it is used up.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, CompressionError> {
        let rest = self.held.get(self.at..).unwrap_or_default();
        if rest.is_empty() && self.is_whole {
            return Ok(None);
        }
        let mut piece = Vec::with_capacity(PIECE);
        let mut input = InBuffer::around(rest);
        let mut output = OutBuffer::around(&mut piece);
        let left = self.stream.decompress_stream(&mut output, &mut input).map_err(failed)?;
        self.at += input.pos();
        self.is_whole = left == 0;
        Ok((!piece.is_empty() || self.at < self.held.len()).then_some(piece))
    }
}

fn failed(code: usize) -> CompressionError {
    CompressionError::Zstd(get_error_name(code))
}
