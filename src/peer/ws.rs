//! The sender's end of the WebSocket.

use std::future::pending;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};

use super::channel::Channel;
use super::compression::{self, LARGE_WINDOW, Socket, Windows};
use super::http::HttpClient;
use super::pump::{self, Ended, Timeouts};
use super::wire::MAX_MESSAGE;
use super::{Endpoint, PeerError};
use crate::sync::Capabilities;

/// Opens a WebSocket to a server on a connection of its own, where this side speaks what `speaks`
/// says. As [`open_on`] for the rest.
pub async fn open(
    endpoint: &Endpoint,
    speaks: &Capabilities,
    timeouts: Timeouts,
) -> Result<(Channel, tokio::task::JoinHandle<()>, Capabilities), PeerError> {
    open_on(&HttpClient::new(endpoint.clone(), speaks.clone(), timeouts)?, timeouts, None).await
}

/// Opens a WebSocket to the client's server, on a connection that it has open already where there is
/// one. The server may take twice the time that it has to prove itself. The pump that serves the
/// channel runs on the current runtime and ends, with the socket, when the channel is dropped; its
/// handle tells when. Returns besides what both sides speak. The session's `hello` may come with the
/// upgrade (docs/protocol.md, section 5, "In few round trips").
pub async fn open_on(
    http: &HttpClient,
    timeouts: Timeouts,
    hello: Option<&str>,
) -> Result<(Channel, tokio::task::JoinHandle<()>, Capabilities), PeerError> {
    let url = http.endpoint().url();
    let opening = timeout(timeouts.untrusted * 2, http.upgrade(hello));
    let (upgraded, common) = opening.await.map_err(|_| silent(url))??;
    let socket = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config())).await;
    let (channel, pump) = pump::connect(socket, url.to_owned(), timeouts, pending());
    Ok((channel, tokio::spawn(pump), common))
}

fn silent(url: &str) -> PeerError {
    let reason = "it does not answer".to_owned();
    PeerError::Unreachable { url: url.to_owned(), reason, source: None }
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
        .write_buffer_size(0)
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for WebSocketStream<T> {
    fn windows(granted: u32) -> Windows {
        Windows { sent: granted.min(LARGE_WINDOW), taken: LARGE_WINDOW }
    }

    /// The challenge and what accepts the proof, which says how what follows is to be read.
    fn most_untrusted(&self) -> usize {
        2
    }

    async fn receive(&mut self) -> Result<Option<compression::Message>, Ended> {
        match self.next().await {
            Some(Ok(Message::Text(text))) => {
                Ok(Some(compression::Message::Text(text.as_str().to_owned())))
            }
            Some(Ok(Message::Binary(bytes))) => {
                Ok(Some(compression::Message::Compressed(bytes.into())))
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
            Some(Ok(Message::Close(_))) | None => Err("it closed the connection".to_owned().into()),
            Some(Ok(_)) => Err("it sent something that is no text".to_owned().into()),
            Some(Err(error)) => Err(error.to_string().into()),
        }
    }

    async fn send(&mut self, message: compression::Message) -> Result<(), String> {
        let message = match message {
            compression::Message::Text(text) => Message::text(text),
            compression::Message::Compressed(bytes) => Message::binary(bytes),
        };
        SinkExt::send(self, message).await.map_err(|e| e.to_string())
    }

    async fn ping(&mut self) -> Result<(), String> {
        SinkExt::send(self, Message::Ping(Vec::new().into())).await.map_err(|e| e.to_string())
    }

    async fn close(&mut self, code: u16) {
        let frame = CloseFrame { code: code.into(), reason: "".into() };
        if WebSocketStream::close(self, Some(frame)).await.is_ok() {
            while let Some(Ok(_)) = self.next().await {}
        }
    }
}
