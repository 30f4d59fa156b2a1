//! A socket whose messages are compressed as far as both sides want it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::named::is_named;
use super::{Arriving, CompressionError, Compressor, Decompressor};
use crate::peer::pump::{Ended, PumpControl, Text};
use crate::peer::wire::Written;

/// How often it is looked whether there is room again.
const LOOK: Duration = Duration::from_millis(10);
/// How long a message may wait for room.
const ROOM_WAIT: Duration = Duration::from_secs(10);

/// A message of a WebSocket.
pub(crate) enum Message {
    /// A text as it is.
    Text(String),
    /// One that is compressed, wholly or in part.
    Compressed(Vec<u8>),
}

impl Message {
    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        match self {
            Message::Text(text) => text.len(),
            Message::Compressed(bytes) => bytes.len(),
        }
    }
}

/// The largest windows that a side uses in a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Windows {
    /// For what it sends.
    pub(crate) sent: u32,
    /// For what it takes.
    pub(crate) taken: u32,
}

/// What is needed of a WebSocket.
pub(crate) trait Socket: Send {
    /// The windows of a session to which the server granted this one.
    fn windows(granted: u32) -> Windows;
    /// The next message; none for a sign of life; an error, or the end, ends the session.
    fn receive(&mut self) -> impl Future<Output = Result<Option<Message>, Ended>> + Send;
    /// Sends a message.
    fn send(&mut self, message: Message) -> impl Future<Output = Result<(), String>> + Send;
    /// Sends a ping.
    fn ping(&mut self) -> impl Future<Output = Result<(), String>> + Send;
    /// Says farewell with this code, and waits for the other side's, briefly.
    fn close(&mut self, code: u16) -> impl Future<Output = ()> + Send;
    /// Takes room for a message that holds so many bytes; false where there is none at the moment.
    fn has_room(&mut self, _bytes: usize) -> bool {
        true
    }
    /// How many messages of the other side are read before it is trusted.
    fn most_untrusted(&self) -> usize {
        usize::MAX
    }
    /// Notes that there was no room for too long.
    fn starve(&mut self) {}
    /// A message that came whole, with the room that it holds.
    fn hold(&mut self, message: Message) -> Text {
        message.into()
    }
    /// Whether there is memory to send with the window [`Windows::sent`].
    fn may_widen(&mut self) -> bool {
        true
    }
}

/// A socket, and both streams of its session once there are any.
pub(crate) struct MessageSocket<S> {
    socket: S,
    control: Arc<PumpControl>,
    compressor: Option<Compressor>,
    decompressor: Option<Decompressor>,
    /// The frame of S that was sent last, until it is the compressor's.
    sent_proof: Option<String>,
    /// A message that is not unpacked yet, and since when it waits for room: whoever waits for it may
    /// do something else meanwhile.
    arriving: Option<(Arriving, Option<Instant>)>,
}

impl<S: Socket> MessageSocket<S> {
    /// A socket whose session is told by `control` what was granted.
    pub(crate) fn new(socket: S, control: Arc<PumpControl>) -> MessageSocket<S> {
        MessageSocket {
            socket,
            control,
            compressor: None,
            decompressor: None,
            sent_proof: None,
            arriving: None,
        }
    }

    fn windows(&self) -> Option<Windows> {
        let granted = self.control.window.load(Ordering::Relaxed);
        (granted > 0).then(|| S::windows(granted))
    }

    /// The next text; none for a sign of life. Nothing is lost where this is dropped before its end.
    pub(crate) async fn receive(&mut self) -> Result<Option<Text>, Ended> {
        if self.arriving.is_none() {
            match self.socket.receive().await? {
                None => return Ok(None),
                // What names texts is unpacked where these are.
                Some(Message::Compressed(bytes)) if is_named(&bytes) => {
                    return Ok(Some(self.socket.hold(Message::Compressed(bytes))));
                }
                Some(text @ Message::Text(_)) => return Ok(Some(self.socket.hold(text))),
                Some(Message::Compressed(bytes)) => {
                    let Some(windows) = self.windows() else {
                        return Err("it sent something that is no text".to_owned().into());
                    };
                    if self.decompressor.is_none() {
                        let frame = self.control.frame.lock();
                        let frame = frame.unwrap_or_else(PoisonError::into_inner).take();
                        self.decompressor = Some(Decompressor::new(windows.taken, frame)?);
                    }
                    self.arriving = Some((Arriving::new(bytes), None));
                }
            }
        }
        self.unpack().await
    }

    async fn unpack(&mut self) -> Result<Option<Text>, Ended> {
        while let (Some((message, waits)), Some(decompressor)) =
            (&mut self.arriving, &mut self.decompressor)
        {
            if !self.socket.has_room(message.needs()) {
                if waits.get_or_insert_with(Instant::now).elapsed() > ROOM_WAIT {
                    self.socket.starve();
                    return Err("there is no room for its message".to_owned().into());
                }
                sleep(LOOK).await;
                continue;
            }
            *waits = None;
            if decompressor.unpack(message)? {
                break;
            }
        }
        let Some((message, _)) = self.arriving.take() else { return Ok(None) };
        Ok(Some(self.socket.hold(Message::Text(message.into_text()?))))
    }

    /// Sends a message, compressed where that was granted and it may be.
    pub(crate) async fn send(&mut self, written: Written) -> Result<(), String> {
        let message = self.outgoing(written).map_err(|error| error.to_string())?;
        self.socket.send(message).await
    }

    fn outgoing(&mut self, written: Written) -> Result<Message, CompressionError> {
        let Written { text, proof, compresses, named } = written;
        if !named.is_empty()
            && let Some(packed) = named.pack(&text)?
        {
            let proof = proof.and_then(|proof| text.get(proof));
            self.sent_proof = proof.map(str::to_owned).or(self.sent_proof.take());
            return Ok(Message::Compressed(packed));
        }
        let Some(windows) = self.windows().filter(|_| compresses) else {
            self.sent_proof = proof.and_then(|proof| text.get(proof)).map(str::to_owned);
            return Ok(Message::Text(text));
        };
        if self.compressor.is_none() {
            self.compressor = Some(Compressor::new(windows.sent, self.sent_proof.take())?);
        }
        let Some(compressor) = &mut self.compressor else { return Ok(Message::Text(text)) };
        let mut widens = compressor.wants_wider(text.len());
        if widens && !self.socket.may_widen() {
            compressor.stay();
            widens = false;
        }
        compressor.message(&text, proof, widens).map(Message::Compressed)
    }

    /// How many messages of the other side are read before it is trusted.
    pub(crate) fn most_untrusted(&self) -> usize {
        self.socket.most_untrusted()
    }

    /// Sends a ping.
    pub(crate) async fn ping(&mut self) -> Result<(), String> {
        self.socket.ping().await
    }

    /// Says farewell with this code, and waits for the other side's, briefly.
    pub(crate) async fn close(&mut self, code: u16) {
        self.socket.close(code).await;
    }
}

impl From<CompressionError> for Ended {
    fn from(error: CompressionError) -> Ended {
        match error {
            CompressionError::TooLong => Ended::TooMuch(error.to_string()),
            _ => Ended::Broken(error.to_string()),
        }
    }
}
