//! Moves texts between a socket and a [`Channel`], keeps the socket alive and closes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, interval, timeout, timeout_at};

use super::channel::{Channel, QUEUE};
use super::wire::{self, MAX_UNTRUSTED};
use crate::sync::SyncError;
use crate::sync::msg::Msg;

/// How long a closing socket waits: for one's own last words, and for the other side's farewell.
const FAREWELL: Duration = Duration::from_secs(2);

/// How patient a pump is.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// How long the other side may be silent; a pong is a sign of life.
    pub idle: Duration,
    /// How long the other side may take to prove itself.
    pub untrusted: Duration,
    /// How long a session may last.
    pub session: Duration,
    /// How long a client waits for an answer by HTTP that is no stream, and for each line of one
    /// that is.
    pub answer: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            idle: Duration::from_secs(60),
            untrusted: Duration::from_secs(10),
            session: Duration::from_secs(6 * 3600),
            answer: Duration::from_secs(180),
        }
    }
}

/// Why a session ended that its owner did not end.
#[derive(Debug)]
pub(crate) enum Ended {
    /// A time ran out, which is no fault of what the other side said.
    Late(String),
    /// The socket failed or was closed, or what came is no message.
    Broken(String),
}

impl From<String> for Ended {
    fn from(reason: String) -> Ended {
        Ended::Broken(reason)
    }
}

/// The other side's socket is full for too long.
fn not_taken(_: Elapsed) -> Ended {
    Ended::Late("it does not take what is sent".to_owned())
}

/// A text that came, and whatever is held for it until it was read.
pub(crate) struct Text {
    text: String,
    _held: Option<Box<dyn Send + Sync>>,
}

impl Text {
    /// A text for which something is held.
    pub(crate) fn holding(text: String, held: impl Send + Sync + 'static) -> Text {
        Text { text, _held: Some(Box::new(held)) }
    }

    /// The message that it is; errors where it is none.
    pub(crate) fn read(&self) -> Result<Msg, SyncError> {
        wire::read(&self.text)
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text { text, _held: None }
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Text").field(&self.text).finish()
    }
}

/// What a pump needs of a socket.
pub(crate) trait Socket: Send {
    /// The next text; none for a sign of life; an error, or the end, ends the session.
    fn receive(&mut self) -> impl Future<Output = Result<Option<Text>, String>> + Send;
    /// Sends a text.
    fn send(&mut self, text: String) -> impl Future<Output = Result<(), String>> + Send;
    /// Sends a ping.
    fn ping(&mut self) -> impl Future<Output = Result<(), String>> + Send;
    /// Says farewell and waits for the other side's, briefly.
    fn close(&mut self) -> impl Future<Output = ()> + Send;
}

/// Makes the channel of a socket, and the pump that must run for it.
pub(crate) fn connect<S: Socket>(
    socket: S,
    url: String,
    timeouts: Timeouts,
) -> (Channel, impl Future<Output = ()> + Send) {
    let (out, outgoing) = mpsc::channel(QUEUE);
    let (incoming, inc) = mpsc::channel(QUEUE);
    let trusted = Arc::new(AtomicBool::new(false));
    let channel = Channel { url, out, inc, trusted: Arc::clone(&trusted) };
    (channel, pump(socket, outgoing, incoming, trusted, timeouts))
}

async fn pump<S: Socket>(
    mut socket: S,
    mut outgoing: mpsc::Receiver<String>,
    incoming: mpsc::Sender<Result<Text, Ended>>,
    trusted: Arc<AtomicBool>,
    timeouts: Timeouts,
) {
    let ended = move_texts(&mut socket, &mut outgoing, &incoming, &trusted, timeouts).await;
    if let Err(reason) = ended {
        // The channel's owner learns the reason, where it is not gone already, and may tell the
        // other side of it before it drops the channel.
        let learns = timeout(FAREWELL, incoming.send(Err(reason)));
        let flushes = timeout(FAREWELL, flush_outgoing(&mut socket, &mut outgoing));
        let _ = tokio::join!(learns, flushes);
    }
    drop(incoming);
    let _ = timeout(FAREWELL, socket.close()).await;
}

/// Sends what the channel's owner still says, until it drops the channel or the socket fails.
async fn flush_outgoing<S: Socket>(socket: &mut S, outgoing: &mut mpsc::Receiver<String>) {
    while let Some(text) = outgoing.recv().await {
        if socket.send(text).await.is_err() {
            break;
        }
    }
    outgoing.close();
}

/// Runs until the channel is dropped (fine) or the socket fails (the reason).
async fn move_texts<S: Socket>(
    socket: &mut S,
    outgoing: &mut mpsc::Receiver<String>,
    incoming: &mpsc::Sender<Result<Text, Ended>>,
    trusted: &AtomicBool,
    timeouts: Timeouts,
) -> Result<(), Ended> {
    let started = Instant::now();
    let mut last_received = started;
    let mut beat = interval(timeouts.idle.div_f32(4.0).max(Duration::from_millis(50)));
    beat.tick().await;
    loop {
        let waits = !trusted.load(Ordering::Relaxed);
        let deadline =
            if waits { started + timeouts.untrusted } else { last_received + timeouts.idle };
        let deadline = deadline.min(started + timeouts.session);
        tokio::select! {
            text = outgoing.recv() => match text {
                Some(text) => {
                    let sent = timeout(timeouts.idle, socket.send(text)).await;
                    sent.map_err(not_taken)??;
                }
                None => return Ok(()),
            },
            // Only with room for it is the next text read: a slow reader slows its writer.
            text = receive(socket, incoming) => {
                last_received = Instant::now();
                if let Some((permit, text)) = text? {
                    if waits && text.len() > MAX_UNTRUSTED {
                        let len = text.len();
                        return Err(format!("{len} bytes before an identity was proved").into());
                    }
                    permit.send(Ok(text));
                }
            }
            _ = beat.tick() => {
                let sent = timeout(timeouts.idle, socket.ping()).await;
                sent.map_err(not_taken)??;
            }
            // While its own side is too slow to take what came, the other cannot be heard.
            _ = timeout_at(deadline, std::future::pending::<()>()), if incoming.capacity() > 0 => {
                return Err(Ended::Late(match waits {
                    true => "the time to prove an identity ran out".to_owned(),
                    false if started.elapsed() >= timeouts.session => {
                        format!("a session ends after {} s", timeouts.session.as_secs())
                    }
                    false => format!("silent for {} s", last_received.elapsed().as_secs()),
                }));
            }
        }
    }
}

type Received<'a> = Option<(mpsc::Permit<'a, Result<Text, Ended>>, Text)>;

async fn receive<'a, S: Socket>(
    socket: &mut S,
    incoming: &'a mpsc::Sender<Result<Text, Ended>>,
) -> Result<Received<'a>, String> {
    let Ok(permit) = incoming.reserve().await else {
        return std::future::pending().await;
    };
    Ok(socket.receive().await?.map(|text| (permit, text)))
}
