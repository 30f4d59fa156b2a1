//! Bodies of HTTP, and single texts that are like another which the other side has.

use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, compress_bound, get_error_name, get_frame_content_size,
};

use super::CompressionError;

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

fn failed(code: usize) -> CompressionError {
    CompressionError::Zstd(get_error_name(code))
}
