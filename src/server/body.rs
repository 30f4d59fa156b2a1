//! Bodies of requests, read within a budget that all of them share: anybody may send one.

use std::ops::Deref;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::StreamExt;
use tokio::time::timeout;

use super::client_addr::ClientAddr;
use super::failure::{Failure, bad_request};
use super::places::Place;
use super::state::Shared;
use crate::sync::msg::RefusalCode;

/// How many bytes of a body are read whether or not the budget has any left, so that what is usual
/// always goes through; the number of connections bounds how often.
const SMALL: usize = 64 << 10;
/// How much of a body that is refused is read anyway, and for how long, so that a client
/// that is still writing learns why.
const DRAINED: (usize, Duration) = (1 << 20, Duration::from_secs(2));

/// A body's text, and what it holds of the budget until this is dropped: it may wait long for its turn.
pub(super) struct BodyText {
    text: String,
    _place: Place<ClientAddr>,
}

impl Deref for BodyText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

/// Reads a body of at most `most` bytes.
pub(super) async fn read(
    shared: &Shared,
    client: ClientAddr,
    headers: &HeaderMap,
    body: Body,
    most: usize,
) -> Result<BodyText, Failure> {
    // What says that it is too large is not read first.
    let declared = headers.get(header::CONTENT_LENGTH);
    let declared = declared.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > most) {
        return Err(too_large(most));
    }
    let mut body = body.into_data_stream();
    let held = gather(shared, client, &mut body, most);
    match timeout(shared.opts.timeouts.idle, held).await {
        Ok(Ok((bytes, _place))) => match String::from_utf8(bytes) {
            Ok(text) => Ok(BodyText { text, _place }),
            Err(_) => Err(bad_request("the body is not UTF-8")),
        },
        Ok(Err(failure)) => {
            drain(&mut body).await;
            Err(failure)
        }
        Err(_) => {
            let message = "the body did not arrive in time";
            Err(Failure::new(StatusCode::REQUEST_TIMEOUT, RefusalCode::Timeout, message))
        }
    }
}

/// Reads on for a moment what is refused.
pub(super) async fn refuse(body: Body) {
    drain(&mut body.into_data_stream()).await;
}

async fn gather(
    shared: &Shared,
    client: ClientAddr,
    body: &mut BodyDataStream,
    most: usize,
) -> Result<(Vec<u8>, Place<ClientAddr>), Failure> {
    let full = || Failure::busy("too many bodies are arriving; try again in a moment");
    let mut place = shared.bytes.take(&client, 0).ok_or_else(full)?;
    let mut held = Vec::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| bad_request("the body breaks off"))?;
        if held.len() + chunk.len() > most {
            return Err(too_large(most));
        }
        // A vector that grows holds up to twice its bytes.
        let needed = ((held.len() + chunk.len()) * 2).saturating_sub(SMALL);
        if !place.grow_to(needed) {
            return Err(full());
        }
        held.extend_from_slice(&chunk);
    }
    held.shrink_to_fit();
    place.shrink_to(held.len().saturating_sub(SMALL));
    Ok((held, place))
}

async fn drain(body: &mut BodyDataStream) {
    let read = async {
        let mut read = 0;
        while let Some(Ok(chunk)) = body.next().await {
            read += chunk.len();
            if read > DRAINED.0 {
                return;
            }
        }
    };
    let _ = timeout(DRAINED.1, read).await;
}

fn too_large(most: usize) -> Failure {
    let message = format!("a body holds at most {most} bytes");
    Failure::new(StatusCode::PAYLOAD_TOO_LARGE, RefusalCode::Limit, message)
}
