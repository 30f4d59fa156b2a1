//! Answers that are streamed: one ibGib a line, never held whole.

use std::ops::ControlFlow;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::routes::Failure;
use super::state::Shared;
use crate::sync::SyncError;

/// How many bytes of an answer are gathered before they are sent.
const CHUNK_BYTES: usize = 64 << 10;

type Chunk = Result<Bytes, std::io::Error>;

/// An answer that is being written.
pub(super) struct Lines {
    out: mpsc::Sender<Chunk>,
    held: Vec<u8>,
    patience: Duration,
}

impl Lines {
    /// Appends a line; breaks where the reader is gone or takes nothing for too long.
    pub(super) fn add(&mut self, line: &str) -> ControlFlow<()> {
        self.held.extend_from_slice(line.as_bytes());
        self.held.push(b'\n');
        if self.held.len() < CHUNK_BYTES {
            return ControlFlow::Continue(());
        }
        let chunk = Ok(Bytes::from(std::mem::take(&mut self.held)));
        self.send(chunk)
    }

    fn send(&self, chunk: Chunk) -> ControlFlow<()> {
        // Whoever does not read would keep this thread: there are only so many.
        let sent = async { tokio::time::timeout(self.patience, self.out.send(chunk)).await };
        match Handle::current().block_on(sent) {
            Ok(Ok(())) => ControlFlow::Continue(()),
            Ok(Err(_)) | Err(_) => ControlFlow::Break(()),
        }
    }

    fn end(mut self, walked: Result<ControlFlow<()>, SyncError>) {
        let broken_off = |what: &str| Err(std::io::Error::other(what.to_owned()));
        let last = match walked {
            Ok(ControlFlow::Continue(())) => Ok(Bytes::from(std::mem::take(&mut self.held))),
            Ok(ControlFlow::Break(())) => broken_off("nobody reads"),
            Err(error) => {
                tracing::error!(%error, "an answer could not be read");
                broken_off("the answer could not be read")
            }
        };
        // An answer that breaks off must not be taken for whole.
        let _ = self.send(last);
    }
}

/// Answers with the lines that `walk` writes, on a thread of its own. Refuses where too many
/// answers are being streamed.
pub(super) fn answer(
    shared: &Shared,
    walk: impl FnOnce(&mut Lines) -> Result<ControlFlow<()>, SyncError> + Send + 'static,
) -> Result<Response, Failure> {
    let place = std::sync::Arc::clone(&shared.streams).try_acquire_owned();
    let place = place.map_err(|_| Failure::busy("too many readers; try again in a moment"))?;
    let (out, body) = mpsc::channel(4);
    let mut lines = Lines { out, held: Vec::new(), patience: shared.opts.patience.idle };
    tokio::task::spawn_blocking(move || {
        let walked = walk(&mut lines);
        lines.end(walked);
        drop(place);
    });
    let body = futures_util::stream::unfold(body, |mut body| async {
        body.recv().await.map(|chunk| (chunk, body))
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(body)).into_response())
}
