//! What goes out.

use std::ops::Range;

use zstd::zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, ResetDirective, get_error_name};

use super::{
    COMPRESSED, CompressionError, FRAME, MAX_FRAME, PLAIN, SMALL_WINDOW, WIDEN_AT, begin_segment,
    end_segment, pack,
};

/// How hard it tries: what travels is alike over long distances, which this finds as well as others.
const LEVEL: i32 = 1;
/// How many bytes of an answer there is room for at least.
const ROOM: usize = 4 << 10;

/// Compresses the messages of one direction of one session.
pub(crate) struct Compressor {
    stream: CCtx<'static>,
    window: u32,
    most: u32,
    taken: usize,
    /// The frame of S that went last, where the next one may go as what is new in it.
    frame: Option<String>,
}

impl Compressor {
    /// One with a small window, which may become `most`.
    /// `frame` is the text of the frame of S that was sent before.
    pub(crate) fn new(most: u32, frame: Option<String>) -> Result<Compressor, CompressionError> {
        let window = most.min(SMALL_WINDOW);
        let mut stream = CCtx::try_create().ok_or(CompressionError::Memory)?;
        for parameter in [CParameter::CompressionLevel(LEVEL), CParameter::WindowLog(window)] {
            stream.set_parameter(parameter).map_err(failed)?;
        }
        Ok(Compressor { stream, window, most, taken: 0, frame })
    }

    /// Whether the large window is of use for a message of `len` bytes.
    pub(crate) fn wants_wider(&self, len: usize) -> bool {
        self.window < self.most && self.taken.saturating_add(len) > WIDEN_AT
    }

    /// Leaves it at the window that it has.
    pub(crate) fn stay(&mut self) {
        self.most = self.window;
    }

    /// A message with `text`, of which `proof`, a frame of S, stays out of the stream. With `widens` it takes the large
    /// window from here on: another frame of zstd begins, which knows nothing of the one before.
    pub(crate) fn message(
        &mut self,
        text: &str,
        proof: Option<Range<usize>>,
        widens: bool,
    ) -> Result<Vec<u8>, CompressionError> {
        let proof = proof.unwrap_or(text.len()..text.len());
        let part = |range| text.as_bytes().get(range).unwrap_or_default();
        let (before, plain, after) =
            (part(0..proof.start), part(proof.clone()), part(proof.end..text.len()));
        let mut out = Vec::with_capacity(ROOM.max(text.len() / 8));
        self.segment(&mut out, before, widens)?;
        if !plain.is_empty() {
            self.proof(&mut out, plain)?;
        }
        if !after.is_empty() {
            self.segment(&mut out, after, false)?;
        }
        Ok(out)
    }

    fn proof(&mut self, out: &mut Vec<u8>, frame: &[u8]) -> Result<(), CompressionError> {
        let before = self.frame.take().filter(|_| frame.len() <= MAX_FRAME);
        let head = begin_segment(out, if before.is_some() { FRAME } else { PLAIN });
        match before {
            Some(before) => {
                out.extend_from_slice(&pack(frame, before.as_bytes())?);
                self.frame = str::from_utf8(frame).ok().map(str::to_owned);
            }
            None => out.extend_from_slice(frame),
        }
        end_segment(out, head);
        Ok(())
    }

    /// A piece of a body of HTTP, of which `is_last` ends it.
    #[cfg(feature = "server")]
    pub(crate) fn piece(
        &mut self,
        bytes: &[u8],
        is_last: bool,
    ) -> Result<Vec<u8>, CompressionError> {
        let mut out = Vec::with_capacity(ROOM.max(bytes.len() / 8));
        if self.taken == 0 && self.window < self.most {
            self.widen(&mut out)?;
        }
        self.push(&mut out, bytes)?;
        if is_last {
            while self.write(&mut out, |stream, out| stream.end_stream(out))? > 0 {}
        }
        Ok(out)
    }

    fn segment(
        &mut self,
        out: &mut Vec<u8>,
        bytes: &[u8],
        widens: bool,
    ) -> Result<(), CompressionError> {
        let head = begin_segment(out, COMPRESSED);
        if widens {
            self.widen(out)?;
        }
        self.push(out, bytes)?;
        end_segment(out, head);
        Ok(())
    }

    fn push(&mut self, out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), CompressionError> {
        self.taken = self.taken.saturating_add(bytes.len());
        let mut input = InBuffer::around(bytes);
        while input.pos() < bytes.len() {
            self.write(out, |stream, out| stream.compress_stream(out, &mut input))?;
        }
        while self.write(out, |stream, out| stream.flush_stream(out))? > 0 {}
        Ok(())
    }

    fn widen(&mut self, out: &mut Vec<u8>) -> Result<(), CompressionError> {
        if self.taken > 0 {
            while self.write(out, |stream, out| stream.end_stream(out))? > 0 {}
        }
        self.stream.reset(ResetDirective::SessionOnly).map_err(failed)?;
        self.window = self.most;
        for parameter in
            [CParameter::WindowLog(self.window), CParameter::EnableLongDistanceMatching(true)]
        {
            self.stream.set_parameter(parameter).map_err(failed)?;
        }
        Ok(())
    }

    fn write(
        &mut self,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut CCtx<'static>, &mut OutBuffer<'_, Vec<u8>>) -> Result<usize, usize>,
    ) -> Result<usize, CompressionError> {
        out.reserve(ROOM);
        let at = out.len();
        write(&mut self.stream, &mut OutBuffer::around_pos(out, at)).map_err(failed)
    }

    /// How much memory it takes.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.stream.sizeof()
    }
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").field("window", &self.window).finish_non_exhaustive()
    }
}

fn failed(code: usize) -> CompressionError {
    CompressionError::Zstd(get_error_name(code))
}
