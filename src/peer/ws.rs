//! The sender's end of the WebSocket.

use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{
    self,
    protocol::{Message, WebSocketConfig},
};

use super::channel::Channel;
use super::pump::{self, Socket, Text, Timeouts};
use super::wire::{MAX_MESSAGE, PATH_WS};
use super::{Endpoint, PeerError};

/// Opens a WebSocket to a server, which may take twice the time that it has to prove itself. The
/// pump that serves the channel runs on the current runtime
/// and ends, with the socket, when the channel is dropped; its handle tells when.
pub async fn open(
    endpoint: &Endpoint,
    timeouts: Timeouts,
) -> Result<(Channel, tokio::task::JoinHandle<()>), PeerError> {
    let opening = timeout(timeouts.untrusted * 2, connect(endpoint)).await;
    let socket = opening.map_err(|_| unreachable(endpoint, "it does not answer"))??;
    let (channel, pump) = socket.pumped(endpoint.url(), timeouts);
    Ok((channel, tokio::spawn(pump)))
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
                let (channel, pump) = pump::connect(*socket, url.to_owned(), timeouts);
                (channel, Box::pin(pump))
            }
            OpenSocket::Tls(socket) => {
                let (channel, pump) = pump::connect(*socket, url.to_owned(), timeouts);
                (channel, Box::pin(pump))
            }
        }
    }
}

async fn connect(endpoint: &Endpoint) -> Result<OpenSocket, PeerError> {
    let failed = |error: &dyn std::fmt::Display| unreachable(endpoint, &error.to_string());
    let (host, port, tls) = endpoint.socket();
    let tcp = TcpStream::connect((host.as_str(), port)).await.map_err(|e| failed(&e))?;
    tcp.set_nodelay(true).map_err(|e| failed(&e))?;
    let scheme = if tls.is_some() { "wss" } else { "ws" };
    let at = endpoint.at(PATH_WS);
    let url = format!("{scheme}{}", at.trim_start_matches("https").trim_start_matches("http"));
    let config = Some(config());
    match tls {
        None => {
            let opened = tokio_tungstenite::client_async_with_config(url, tcp, config).await;
            Ok(OpenSocket::Plain(Box::new(opened.map_err(|e| refused(endpoint, &e))?.0)))
        }
        Some(tls) => {
            let name = ServerName::try_from(host).map_err(|e| failed(&e))?;
            let connector = tokio_rustls::TlsConnector::from(tls);
            let stream = connector.connect(name, tcp).await.map_err(|e| failed(&e))?;
            let opened = tokio_tungstenite::client_async_with_config(url, stream, config).await;
            Ok(OpenSocket::Tls(Box::new(opened.map_err(|e| refused(endpoint, &e))?.0)))
        }
    }
}

fn unreachable(endpoint: &Endpoint, reason: &str) -> PeerError {
    let reason = super::explained(reason.to_owned());
    PeerError::Unreachable { url: endpoint.url().to_owned(), reason }
}

/// A handshake that failed: a server that has no place left says when to come back.
fn refused(endpoint: &Endpoint, error: &tungstenite::Error) -> PeerError {
    if let tungstenite::Error::Http(response) = error
        && let Some(after) = super::retry_after(response.headers())
    {
        let (url, reason) = (endpoint.url().to_owned(), "all its sockets are taken".into());
        return PeerError::Busy { url, reason, after };
    }
    unreachable(endpoint, &error.to_string())
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
        .write_buffer_size(0)
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for WebSocketStream<T> {
    async fn receive(&mut self) -> Result<Option<Text>, String> {
        match self.next().await {
            Some(Ok(Message::Text(text))) => Ok(Some(text.as_str().to_owned().into())),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
            Some(Ok(Message::Close(_))) | None => Err("it closed the connection".to_owned()),
            Some(Ok(_)) => Err("it sent something that is no text".to_owned()),
            Some(Err(error)) => Err(error.to_string()),
        }
    }

    async fn send(&mut self, text: String) -> Result<(), String> {
        SinkExt::send(self, Message::text(text)).await.map_err(|e| e.to_string())
    }

    async fn ping(&mut self) -> Result<(), String> {
        SinkExt::send(self, Message::Ping(Vec::new().into())).await.map_err(|e| e.to_string())
    }

    async fn close(&mut self) {
        if WebSocketStream::close(self, None).await.is_ok() {
            while let Some(Ok(_)) = self.next().await {}
        }
    }
}
