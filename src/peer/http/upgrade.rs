//! The upgrade of a connection to a WebSocket (RFC 6455), on one that the client has open already where
//! there is one.

use reqwest::header::{self, HeaderMap};
use reqwest::{StatusCode, Upgraded};
use tokio_tungstenite::tungstenite::handshake::{client::generate_key, derive_accept_key};

use super::{HttpClient, retry_after};
use crate::peer::{PeerError, wire};
use crate::sync::Capabilities;

impl HttpClient {
    /// Asks for a WebSocket, with the session's `hello` where the server takes it so. Returns the connection, which is one from here on, and what both sides
    /// speak. A server that has no place left says when to come back, others why they refuse.
    pub(in crate::peer) async fn upgrade(
        &self,
        hello: Option<&str>,
    ) -> Result<(Upgraded, Capabilities), PeerError> {
        let key = generate_key();
        let mut request = self
            .client
            .get(self.endpoint.at(wire::PATH_WS))
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, &key);
        if let Some(hello) = hello {
            request = request.header(wire::HEADER_HELLO, hello);
        }
        let response = request.send().await.map_err(|error| self.failed(error))?;
        let common = self.agree(response.headers())?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            if let Some(after) = retry_after(response.headers()) {
                let (url, reason) = (self.endpoint.url().to_owned(), "all its sockets are taken");
                return Err(PeerError::Busy { url, reason: reason.to_owned(), after });
            }
            let (status, url) = (response.status(), self.endpoint.url().to_owned());
            let error = self.refusal(response).await;
            let is_said = !matches!(error, PeerError::UnexpectedResponse { .. });
            return Err(match status.is_client_error() && is_said {
                true => error,
                false => {
                    let reason = format!("it refuses a WebSocket with {status}");
                    PeerError::Unreachable { url, reason, source: None }
                }
            });
        }
        if !is_accepted(response.headers(), &key) {
            return Err(self.unexpected("something else than a WebSocket"));
        }
        let upgraded = response.upgrade().await.map_err(|error| self.failed(error))?;
        Ok((upgraded, common))
    }
}

/// Whether the headers are those by which a WebSocket is accepted.
fn is_accepted(headers: &HeaderMap, key: &str) -> bool {
    let says = |name, value: &str| {
        let said = headers.get(name).and_then(|said| said.to_str().ok());
        said.is_some_and(|said| said.eq_ignore_ascii_case(value))
    };
    let accept = derive_accept_key(key.as_bytes());
    says(header::UPGRADE, "websocket")
        && says(header::CONNECTION, "upgrade")
        && headers.get(header::SEC_WEBSOCKET_ACCEPT).is_some_and(|said| said == accept.as_str())
}
