//! Answers that are streamed: one ibGib a line, never held whole.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use super::client_addr::ClientAddr;
use super::failure::Failure;
use super::places::Place;
use super::state::Shared;
use crate::ibgib::TjpAddr;
use crate::peer::compression::{self, CompressionError, Compressor, LARGE_WINDOW, SMALL_WINDOW};
use crate::peer::wire;
use crate::space::SqliteSpace;
use crate::sync::SyncError;

/// How many bytes of an answer are gathered before they are sent.
const CHUNK_BYTES: usize = 64 << 10;

/// Reads the next line of an answer; none at its end.
pub(super) trait NextLine:
    FnMut(&SqliteSpace) -> Result<Option<Box<str>>, SyncError> + Send + 'static
{
}

impl<F> NextLine for F where
    F: FnMut(&SqliteSpace) -> Result<Option<Box<str>>, SyncError> + Send + 'static
{
}

/// Who reads an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader {
    client: ClientAddr,
    /// Whether it takes what is compressed.
    unpacks: bool,
    /// Whether it showed a token.
    is_known: bool,
}

impl Reader {
    /// Whoever may read what is public: a stranger takes no large window from those who sync.
    pub(super) fn unknown(self) -> Reader {
        Reader { is_known: false, ..self }
    }

    /// Who sent a request with these headers.
    pub(super) fn of(client: ClientAddr, headers: &HeaderMap) -> Reader {
        let mut codings = headers
            .get_all(header::ACCEPT_ENCODING)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','));
        // One that is named with a weight may be unwanted.
        let unpacks = codings.any(|coding| coding.trim() == wire::CODING);
        Reader { client, unpacks, is_known: true }
    }
}

/// Answers with the lines that `next` reads, the first of them from `space`. What is short goes at
/// once; of what is long a piece is read whenever the last one was taken, so that a slow reader
/// holds a piece and neither thread nor connection. Refuses where too much is being streamed, and
/// where the first piece cannot be read.
pub(super) fn answer(
    shared: &Arc<Shared>,
    reader: Reader,
    domain: &TjpAddr,
    space: &SqliteSpace,
    mut next: impl NextLine,
) -> Result<Response, Failure> {
    let Reader { client, unpacks, .. } = reader;
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    let coded = [(header::CONTENT_ENCODING, wire::CODING), (header::VARY, "accept-encoding")];
    let (first, is_whole) = gather(&mut next, space)?;
    if is_whole {
        let packed = unpacks.then(|| compression::pack(&first, &[]).ok()).flatten();
        return Ok(match packed.filter(|packed| packed.len() < first.len()) {
            Some(packed) => (kind, coded, packed).into_response(),
            None => (kind, first).into_response(),
        });
    }
    let full = || Failure::busy("too many readers; try again in a moment");
    let place = shared.streams.take(&client, 1).ok_or_else(full)?;
    let (shared, domain) = (Arc::clone(shared), domain.clone());
    let packs = unpacks.then(|| Packing::new(&shared, reader)).flatten();
    let is_packed = packs.is_some();
    let mut rest = Rest { shared, client, domain, next, packs, _place: place };
    let first = rest.packed(first, false).map_err(|_| Failure::internal())?;
    let rest = futures_util::stream::unfold(Some((Some(first), rest)), |rest| async {
        match rest? {
            (Some(first), rest) => Some((Ok(first), Some((None, rest)))),
            (None, rest) => rest.read().await,
        }
    });
    let body = Body::from_stream(rest);
    Ok(match is_packed {
        true => (kind, coded, body).into_response(),
        false => (kind, body).into_response(),
    })
}

/// How an answer is compressed, and what that holds of the memory for it.
struct Packing {
    compressor: Compressor,
    _memory: Place<ClientAddr>,
}

impl Packing {
    /// With the largest window for which there is memory; none where there is none.
    fn new(shared: &Shared, reader: Reader) -> Option<Packing> {
        let windows = [LARGE_WINDOW, SMALL_WINDOW];
        let windows = if reader.is_known { &windows[..] } else { &windows[1..] };
        let (window, memory) = shared.sockets.window_for_answer(reader.client, windows)?;
        let compressor = Compressor::new(window, None).ok()?;
        Some(Packing { compressor, _memory: memory })
    }
}

/// What is left of an answer.
struct Rest<N> {
    shared: Arc<Shared>,
    client: ClientAddr,
    domain: TjpAddr,
    next: N,
    packs: Option<Packing>,
    _place: Place<ClientAddr>,
}

/// A piece, and how it goes on after it.
type Piece<N> = (Result<Bytes, std::io::Error>, Option<(Option<Bytes>, Rest<N>)>);

impl<N: NextLine> Rest<N> {
    /// A piece as it is sent.
    fn packed(&mut self, piece: Bytes, is_last: bool) -> Result<Bytes, CompressionError> {
        let Some(packing) = &mut self.packs else { return Ok(piece) };
        let packed = packing.compressor.piece(&piece, is_last);
        packed.map(Bytes::from)
    }

    async fn read(mut self) -> Option<Piece<N>> {
        let shared = Arc::clone(&self.shared);
        let read = shared.work(self.client, 0, move || {
            let space = self.shared.space(&self.domain).map_err(SyncError::from);
            let piece = space.and_then(|space| gather(&mut self.next, &space));
            let piece = piece.map_err(|error| error.to_string()).and_then(|(piece, is_last)| {
                let packed = self.packed(piece, is_last).map_err(|error| error.to_string());
                packed.map(|piece| (piece, is_last))
            });
            (self, piece)
        });
        // An answer that breaks off must not be taken for whole.
        let broken_off = || std::io::Error::other("the answer could not be read");
        match read.await {
            Some((_, Ok((piece, true)))) => Some((Ok(piece), None)),
            Some((rest, Ok((piece, false)))) => Some((Ok(piece), Some((None, rest)))),
            Some((_, Err(error))) => {
                tracing::error!(%error, "an answer could not be read to its end");
                Some((Err(broken_off()), None))
            }
            None => Some((Err(broken_off()), None)),
        }
    }
}

/// The next piece, and whether it is the last one.
fn gather(next: &mut impl NextLine, space: &SqliteSpace) -> Result<(Bytes, bool), SyncError> {
    let mut held = Vec::new();
    while held.len() < CHUNK_BYTES {
        let Some(line) = next(space)? else { return Ok((held.into(), true)) };
        held.extend_from_slice(line.as_bytes());
        held.push(b'\n');
    }
    Ok((held.into(), false))
}
