//! Answers that are streamed: one ibGib a line, never held whole.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::client_addr::ClientAddr;
use super::failure::Failure;
use super::places::Place;
use super::state::Shared;
use crate::ibgib::TjpAddr;
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

/// Answers with the lines that `next` reads, the first of them from `space`. What is short goes at
/// once; of what is long a piece is read whenever the last one was taken, so that a slow reader
/// holds a piece and neither thread nor connection. Refuses where too much is being streamed, and
/// where the first piece cannot be read.
pub(super) fn answer(
    shared: &Arc<Shared>,
    client: ClientAddr,
    domain: &TjpAddr,
    space: &SqliteSpace,
    mut next: impl NextLine,
) -> Result<Response, Failure> {
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    let (first, is_whole) = gather(&mut next, space)?;
    if is_whole {
        return Ok((kind, first).into_response());
    }
    let full = || Failure::busy("too many readers; try again in a moment");
    let place = shared.streams.take(&client, 1).ok_or_else(full)?;
    let (shared, domain) = (Arc::clone(shared), domain.clone());
    let rest = Rest { shared, client, domain, next, _place: place };
    let rest = futures_util::stream::unfold(Some((Some(first), rest)), |rest| async {
        match rest? {
            (Some(first), rest) => Some((Ok(first), Some((None, rest)))),
            (None, rest) => rest.read().await,
        }
    });
    Ok((kind, Body::from_stream(rest)).into_response())
}

/// What is left of an answer.
struct Rest<N> {
    shared: Arc<Shared>,
    client: ClientAddr,
    domain: TjpAddr,
    next: N,
    _place: Place<ClientAddr>,
}

/// A piece, and how it goes on after it.
type Piece<N> = (Result<Bytes, std::io::Error>, Option<(Option<Bytes>, Rest<N>)>);

impl<N: NextLine> Rest<N> {
    async fn read(mut self) -> Option<Piece<N>> {
        let shared = Arc::clone(&self.shared);
        let read = shared.work(self.client, 0, move || {
            let space = self.shared.space(&self.domain).map_err(SyncError::from);
            let piece = space.and_then(|space| gather(&mut self.next, &space));
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
