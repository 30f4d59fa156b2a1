//! A WebSocket of the server as the pump moves messages over it.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::SinkExt;
use tokio_tungstenite::tungstenite;

use crate::peer::compression::{self, LARGE_WINDOW, Socket, Windows};
use crate::peer::pump::{Ended, Text};
use crate::server::meter::Meter;
use crate::server::sockets::SocketPlace;

/// The server's half of a WebSocket, for the pump, what may arrive on it, and its place.
pub(super) struct ServerSocket {
    pub(super) socket: WebSocket,
    pub(super) meter: Arc<Meter>,
    pub(super) place: Arc<Mutex<SocketPlace>>,
    /// How many messages come up to the proof.
    pub(super) most_untrusted: usize,
}

impl Socket for ServerSocket {
    fn windows(granted: u32) -> Windows {
        Windows { sent: LARGE_WINDOW, taken: granted }
    }

    async fn receive(&mut self) -> Result<Option<compression::Message>, Ended> {
        match self.socket.recv().await {
            Some(Ok(Message::Text(text))) => {
                Ok(Some(compression::Message::Text(text.as_str().to_owned())))
            }
            Some(Ok(Message::Binary(bytes))) => {
                Ok(Some(compression::Message::Compressed(bytes.into())))
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
            Some(Ok(Message::Close(_))) | None => Err("it closed the connection".to_owned().into()),
            Some(Err(error)) => {
                let reason = error.to_string();
                Err(match self.meter.is_exceeded() || is_too_long(&error.into_inner()) {
                    true => Ended::TooMuch(reason),
                    false => Ended::Broken(reason),
                })
            }
        }
    }

    async fn send(&mut self, message: compression::Message) -> Result<(), String> {
        let message = match message {
            compression::Message::Text(text) => Message::Text(text.into()),
            compression::Message::Compressed(bytes) => Message::Binary(bytes.into()),
        };
        self.socket.send(message).await.map_err(|error| error.to_string())
    }

    fn has_room(&mut self, bytes: usize) -> bool {
        self.meter.has_room_for(bytes)
    }

    fn most_untrusted(&self) -> usize {
        self.most_untrusted
    }

    fn starve(&mut self) {
        self.meter.starve();
    }

    fn hold(&mut self, message: compression::Message) -> Text {
        match self.meter.finish(message.len()) {
            Some(held) => Text::holding(message, held),
            None => message.into(),
        }
    }

    fn may_widen(&mut self) -> bool {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).widen()
    }

    async fn ping(&mut self) -> Result<(), String> {
        self.socket.send(Message::Ping(Vec::new().into())).await.map_err(|error| error.to_string())
    }

    async fn close(&mut self, code: u16) {
        let frame = CloseFrame { code, reason: "".into() };
        if self.socket.send(Message::Close(Some(frame))).await.is_ok()
            && self.socket.flush().await.is_ok()
        {
            while let Some(Ok(_)) = self.socket.recv().await {}
        }
    }
}

/// Whether a socket failed since a message is longer than any may be.
fn is_too_long(error: &axum::BoxError) -> bool {
    matches!(error.downcast_ref(), Some(tungstenite::Error::Capacity(_)))
}
