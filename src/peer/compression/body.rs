//! Bodies of HTTP, and single texts that are like another which the other side has.

use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer, compress_bound, get_error_name,
    get_frame_content_size,
};

use super::{CompressionError, LARGE_WINDOW, PIECE};

/// How hard it tries with what is short.
const LEVEL: i32 = 3;

/// A text as one frame of zstd, which says its size; what it has in common with `prefix` costs
/// nothing.
pub(crate) fn pack(text: &[u8], prefix: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let mut stream = CCtx::try_create().ok_or(CompressionError::Memory)?;
    stream.set_parameter(CParameter::CompressionLevel(LEVEL)).map_err(failed)?;
    if !prefix.is_empty() {
        stream.ref_prefix(prefix).map_err(failed)?;
    }
    let mut packed = Vec::with_capacity(compress_bound(text.len()));
    stream.compress2(&mut packed, text).map_err(failed)?;
    Ok(packed)
}

/// How many bytes a frame says that it unpacks to; none where it does not say.
pub(crate) fn unpacked_len(packed: &[u8]) -> Option<usize> {
    let len = get_frame_content_size(packed).ok().flatten()?;
    usize::try_from(len).ok()
}

/// What [`pack`] made, of at most `most` bytes, for which memory is taken at once.
pub(crate) fn unpack(
    packed: &[u8],
    prefix: &[u8],
    most: usize,
) -> Result<Vec<u8>, CompressionError> {
    let len = unpacked_len(packed).ok_or(CompressionError::Form)?;
    if len > most {
        return Err(CompressionError::TooLong);
    }
    let mut stream = DCtx::try_create().ok_or(CompressionError::Memory)?;
    if !prefix.is_empty() {
        stream.ref_prefix(prefix).map_err(failed)?;
    }
    let mut text = Vec::with_capacity(len);
    stream.decompress(&mut text, packed).map_err(failed)?;
    match text.len() == len {
        true => Ok(text),
        false => Err(CompressionError::Form),
    }
}

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
