//! The sender's end of the WebSocket.

use std::future::pending;

use futures_util::{SinkExt, StreamExt};
use reqwest::header::HeaderMap;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{
    self,
    client::IntoClientRequest,
    protocol::{CloseFrame, Message, WebSocketConfig},
};

use super::channel::Channel;
use super::compression::{self, LARGE_WINDOW, Socket, Windows};
use super::http::{common, retry_after};
use super::pump::{self, Ended, Timeouts};
use super::wire::{self, ErrorBody, MAX_MESSAGE, PATH_WS};
use super::{BoxError, Endpoint, PeerError, fault};
use crate::sync::msg::Refusal;
use crate::sync::{Capabilities, SyncError};

/// Opens a WebSocket to a server, which may take twice the time that it has to prove itself. The
/// pump that serves the channel runs on the current runtime
/// and ends, with the socket, when the channel is dropped; its handle tells when. Returns besides
/// what both sides speak, where this one speaks what `speaks` says.
pub async fn open(
    endpoint: &Endpoint,
    speaks: &Capabilities,
    timeouts: Timeouts,
) -> Result<(Channel, tokio::task::JoinHandle<()>, Capabilities), PeerError> {
    let opening = timeout(timeouts.untrusted * 2, connect(endpoint, speaks)).await;
    let (socket, headers) = opening.map_err(|_| silent(endpoint))??;
    let common = common(speaks, &headers, endpoint.url())?;
    let (channel, pump) = socket.pumped(endpoint.url(), timeouts);
    Ok((channel, tokio::spawn(pump), common))
}

enum OpenSocket {
    Plain(Box<WebSocketStream<TcpStream>>),
    Tls(Box<WebSocketStream<tokio_rustls::client::TlsStream<TcpStream>>>),
}

impl OpenSocket {
    fn pumped(
        self,
        url: &str,
        timeouts: Timeouts,
    ) -> (Channel, std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) {
        match self {
            OpenSocket::Plain(socket) => {
                let (channel, pump) = pump::connect(*socket, url.to_owned(), timeouts, pending());
                (channel, Box::pin(pump))
            }
            OpenSocket::Tls(socket) => {
                let (channel, pump) = pump::connect(*socket, url.to_owned(), timeouts, pending());
                (channel, Box::pin(pump))
            }
        }
    }
}

async fn connect(
    endpoint: &Endpoint,
    speaks: &Capabilities,
) -> Result<(OpenSocket, HeaderMap), PeerError> {
    let (host, port, tls) = endpoint.socket();
    let tcp =
        TcpStream::connect((host.as_str(), port)).await.map_err(|e| unreachable(endpoint, e))?;
    tcp.set_nodelay(true).map_err(|e| unreachable(endpoint, e))?;
    let scheme = if tls.is_some() { "wss" } else { "ws" };
    let at = endpoint.at(PATH_WS);
    let url = format!("{scheme}{}", at.trim_start_matches("https").trim_start_matches("http"));
    let mut request = url.into_client_request().map_err(|e| unreachable(endpoint, e))?;
    wire::name_capabilities(request.headers_mut(), speaks);
    let config = Some(config());
    let refused = |error| refused(endpoint, speaks, error);
    match tls {
        None => {
            let opened = tokio_tungstenite::client_async_with_config(request, tcp, config).await;
            let (socket, answer) = opened.map_err(refused)?;
            Ok((OpenSocket::Plain(Box::new(socket)), answer.into_parts().0.headers))
        }
        Some(tls) => {
            let name = ServerName::try_from(host).map_err(|e| unreachable(endpoint, e))?;
            let connector = tokio_rustls::TlsConnector::from(tls);
            let stream =
                connector.connect(name, tcp).await.map_err(|e| unreachable(endpoint, e))?;
            let opened = tokio_tungstenite::client_async_with_config(request, stream, config).await;
            let (socket, answer) = opened.map_err(refused)?;
            Ok((OpenSocket::Tls(Box::new(socket)), answer.into_parts().0.headers))
        }
    }
}

fn unreachable(endpoint: &Endpoint, error: impl Into<BoxError>) -> PeerError {
    let source = error.into();
    let (url, reason) = (endpoint.url().to_owned(), fault::explained(source.to_string(), &*source));
    PeerError::Unreachable { url, reason, source: Some(source) }
}

fn silent(endpoint: &Endpoint) -> PeerError {
    let reason = "it does not answer".to_owned();
    PeerError::Unreachable { url: endpoint.url().to_owned(), reason, source: None }
}

/// A handshake that failed: a server that has no place left says when to come back, others why they
/// refuse.
fn refused(endpoint: &Endpoint, speaks: &Capabilities, error: tungstenite::Error) -> PeerError {
    let tungstenite::Error::Http(response) = &error else {
        return unreachable(endpoint, error);
    };
    if let Err(error) = common(speaks, response.headers(), endpoint.url()) {
        return error;
    }
    if let Some(after) = retry_after(response.headers()) {
        let (url, reason) = (endpoint.url().to_owned(), "all its sockets are taken".into());
        return PeerError::Busy { url, reason, after };
    }
    let body = response.body().as_deref().unwrap_or_default();
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(body) if response.status().is_client_error() => {
            let (code, message) = (body.error.exact_code(), wire::peer_text(&body.error.message));
            SyncError::Refused(Refusal { code, message }).into()
        }
        _ => unreachable(endpoint, error),
    }
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
