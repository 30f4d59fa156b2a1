//! Bodies of requests, read within a budget that all of them share: anybody may send one.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::StreamExt;
use tokio::time::timeout;

use super::client_addr::ClientAddr;
use super::failure::{Failure, bad_request};
use super::places::Place;
use super::state::Shared;
use crate::ibgib::{Addr, TjpAddr};
use crate::keystone::KEYSTONE;
use crate::peer::compression;
use crate::peer::wire;
use crate::space::Space;
use crate::sync::SyncError;
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

/// Reads a body of at most `most` bytes, before and after it is unpacked. One that is compressed by a
/// frame needs the identity whose frame that is.
pub(super) async fn read(
    shared: &Arc<Shared>,
    client: ClientAddr,
    headers: &HeaderMap,
    (identity, body): (Option<&TjpAddr>, Body),
    most: usize,
) -> Result<BodyText, Failure> {
    let coding = coding(headers, identity)?;
    // What says that it is too large is not read first.
    let declared = headers.get(header::CONTENT_LENGTH);
    let declared = declared.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > most) {
        return Err(too_large(most));
    }
    let mut body = body.into_data_stream();
    let held = gather(shared, client, &mut body, most);
    match timeout(shared.opts.timeouts.idle, held).await {
        Ok(Ok((bytes, place))) => match coding {
            None => text(bytes, place),
            Some(prefix) => {
                let at = Arc::clone(shared);
                let unpacked =
                    shared.work(client, 0, move || unpack(&at, prefix, (bytes, place), most));
                unpacked.await.unwrap_or_else(|| Err(Failure::internal()))
            }
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

fn text(bytes: Vec<u8>, place: Place<ClientAddr>) -> Result<BodyText, Failure> {
    let text = String::from_utf8(bytes).map_err(|_| bad_request("the body is not UTF-8"))?;
    Ok(BodyText { text, _place: place })
}

/// The frame by which a body is compressed, and whose it is; none where there is no such frame.
type Prefix = Option<(TjpAddr, Addr)>;

/// How a body is compressed; none where it is not.
fn coding(headers: &HeaderMap, identity: Option<&TjpAddr>) -> Result<Option<Prefix>, Failure> {
    let Some(coding) = headers.get(header::CONTENT_ENCODING) else { return Ok(None) };
    if coding != wire::CODING {
        let message = "a body comes as it is, or compressed by zstd";
        let (status, code) = (StatusCode::UNSUPPORTED_MEDIA_TYPE, RefusalCode::Protocol);
        return Err(Failure::new(status, code, message));
    }
    let Some(prefix) = headers.get(wire::HEADER_PREFIX) else { return Ok(Some(None)) };
    let prefix = prefix.to_str().ok().and_then(|addr| Addr::parse(addr).ok());
    // Nobody learns by this what else there is in a domain.
    let of = |(addr, identity): &(Addr, &TjpAddr)| {
        addr.ib() == KEYSTONE && addr.tjp_gib().unwrap_or(addr.gib()) == identity.gib()
    };
    let prefix = prefix.zip(identity).filter(of);
    let prefix = prefix.ok_or_else(|| bad_request("a body is compressed by a frame of I alone"))?;
    Ok(Some(Some((prefix.1.clone(), prefix.0))))
}

fn unpack(
    shared: &Shared,
    prefix: Prefix,
    (bytes, mut place): (Vec<u8>, Place<ClientAddr>),
    most: usize,
) -> Result<BodyText, Failure> {
    let prefix = match prefix {
        None => Box::default(),
        Some((identity, addr)) => {
            let space = shared.space(&identity)?;
            let absent = || SyncError::Conflict(format!("the frame {addr} is not here"));
            space.text_to_send(space.find(&addr)?.ok_or_else(absent)?)?
        }
    };
    let malformed = || bad_request("the body is not what zstd makes, in one frame with its size");
    let len = compression::unpacked_len(&bytes).ok_or_else(malformed)?;
    if len > most {
        return Err(too_large(most));
    }
    if !place.grow_to((bytes.len() + len).saturating_sub(SMALL)) {
        return Err(full());
    }
    let unpacked = compression::unpack(&bytes, prefix.as_bytes(), most).map_err(|_| malformed())?;
    drop(bytes);
    place.shrink_to(len.saturating_sub(SMALL));
    text(unpacked, place)
}

fn full() -> Failure {
    Failure::busy("too many bodies are arriving; try again in a moment")
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
