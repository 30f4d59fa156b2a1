//! Moves texts between a socket and a [`Channel`], keeps the socket alive and closes it.

use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, interval, timeout, timeout_at};

use super::channel::{Channel, QUEUE};
use super::compression::{Message, MessageSocket, Socket};
use super::wire::{self, MAX_UNTRUSTED, Written};

/// How long a closing socket waits: for one's own last words, and for the other side's farewell.
const FAREWELL: Duration = Duration::from_secs(2);

/// How patient a pump is.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// How long the other side may be silent; a pong is a sign of life.
    pub idle: Duration,
    /// How long the other side may take to prove itself.
    pub untrusted: Duration,
    /// How long a session may last, and at a client an answer by HTTP that is a stream.
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
    /// More came than is taken.
    TooMuch(String),
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

/// A message that came, and whatever is held for it until it was read.
pub(crate) struct Text {
    message: Message,
    _held: Option<Box<dyn Send + Sync>>,
}

impl Text {
    /// A message for which something is held.
    #[cfg(feature = "server")]
    pub(crate) fn holding(message: Message, held: impl Send + Sync + 'static) -> Text {
        Text { message, _held: Some(Box::new(held)) }
    }

    /// What came; nothing where that is still to be unpacked.
    pub(crate) fn as_str(&self) -> &str {
        match &self.message {
            Message::Text(text) => text,
            Message::Compressed(_) => "",
        }
    }

    /// What came and is still to be unpacked by somebody who has the texts that it names.
    pub(crate) fn named(&self) -> Option<&[u8]> {
        match &self.message {
            Message::Text(_) => None,
            Message::Compressed(bytes) => Some(bytes),
        }
    }

    /// The same with what it unpacks to.
    pub(crate) fn unpacked(self, text: String) -> Text {
        Text { message: Message::Text(text), ..self }
    }

    /// How many bytes it has as it came.
    pub(crate) fn len(&self) -> usize {
        self.message.len()
    }
}

impl From<Message> for Text {
    fn from(message: Message) -> Text {
        Text { message, _held: None }
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Text").field(&self.as_str()).finish()
    }
}

/// Makes the channel of a socket, and the pump that must run for it. Where `stops` ends, the pump
/// says so to the other side and ends, whatever the channel's owner is doing.
pub(crate) fn connect<S: Socket>(
    socket: S,
    url: String,
    timeouts: Timeouts,
    stops: impl Future<Output = ()> + Send,
) -> (Channel, impl Future<Output = ()> + Send) {
    let (out, outgoing) = mpsc::channel(QUEUE);
    let (incoming, inc) = mpsc::channel(QUEUE);
    let control = Arc::new(PumpControl::default());
    let channel = Channel { url, out, inc, control: Arc::clone(&control), has_sent_payload: false };
    let socket = MessageSocket::new(socket, Arc::clone(&control));
    (channel, pump(socket, outgoing, incoming, control, timeouts, stops))
}

/// What the channel's owner tells its pump.
#[derive(Debug)]
pub(crate) struct PumpControl {
    /// Whether the proof was accepted, after which the short time for it no longer runs.
    pub(super) is_trusted: AtomicBool,
    /// Wakes the pump where that is so.
    pub(super) trusts: Notify,
    /// The code with which the socket is closed.
    pub(super) close_code: AtomicU16,
    /// The logarithm of the window that the server granted for compression; 0 before that.
    pub(super) window: AtomicU32,
    /// The frame of S that came last, in normal form, for what is compressed by it.
    pub(super) frame: Mutex<Option<String>>,
}

impl Default for PumpControl {
    fn default() -> PumpControl {
        PumpControl {
            is_trusted: AtomicBool::new(false),
            trusts: Notify::new(),
            close_code: AtomicU16::new(wire::CLOSE_DONE),
            window: AtomicU32::new(0),
            frame: Mutex::new(None),
        }
    }
}

async fn pump<S: Socket>(
    mut socket: MessageSocket<S>,
    mut outgoing: mpsc::Receiver<Written>,
    incoming: mpsc::Sender<Result<Text, Ended>>,
    control: Arc<PumpControl>,
    timeouts: Timeouts,
    stops: impl Future<Output = ()> + Send,
) {
    let moving = move_texts(&mut socket, &mut outgoing, &incoming, &control, timeouts);
    let ended = tokio::select! {
        ended = moving => ended,
        () = stops => {
            control.close_code.store(wire::CLOSE_STOPS, Ordering::Relaxed);
            outgoing.close();
            Ok(())
        }
    };
    if let Err(reason) = ended {
        // The channel's owner learns the reason, where it is not gone already, and may tell the
        // other side of it before it drops the channel.
        let learns = timeout(FAREWELL, incoming.send(Err(reason)));
        let flushes = timeout(FAREWELL, flush_outgoing(&mut socket, &mut outgoing));
        let _ = tokio::join!(learns, flushes);
    }
    // The owner has said what it will; once it sees the end it may say more, which is too late.
    let code = control.close_code.load(Ordering::Relaxed);
    drop(incoming);
    let _ = timeout(FAREWELL, socket.close(code)).await;
}

/// Sends what the channel's owner still says, until it drops the channel or the socket fails.
async fn flush_outgoing<S: Socket>(
    socket: &mut MessageSocket<S>,
    outgoing: &mut mpsc::Receiver<Written>,
) {
    while let Some(text) = outgoing.recv().await {
        if socket.send(text).await.is_err() {
            break;
        }
    }
    outgoing.close();
}

/// Runs until the channel is dropped (fine) or the socket fails (the reason).
async fn move_texts<S: Socket>(
    socket: &mut MessageSocket<S>,
    outgoing: &mut mpsc::Receiver<Written>,
    incoming: &mpsc::Sender<Result<Text, Ended>>,
    control: &PumpControl,
    timeouts: Timeouts,
) -> Result<(), Ended> {
    let started = Instant::now();
    let mut last_received = started;
    let mut heard = 0;
    let mut beat = interval(timeouts.idle.div_f32(4.0).max(Duration::from_millis(50)));
    beat.tick().await;
    loop {
        let waits = !control.is_trusted.load(Ordering::Acquire);
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
            // Only with room for it is the next text read: a slow reader slows its writer. What comes
            // right after a proof waits until that is accepted.
            (permit, text) = async {
                match incoming.reserve().await {
                    Ok(permit) => (permit, socket.receive().await),
                    Err(_) => std::future::pending().await,
                }
            }, if !waits || heard < socket.most_untrusted() => {
                last_received = Instant::now();
                if let Some(text) = text? {
                    heard += 1;
                    if waits && text.len() > MAX_UNTRUSTED {
                        let len = text.len();
                        return Err(Ended::TooMuch(format!("{len} bytes before an identity was proved")));
                    }
                    permit.send(Ok(text));
                }
            }
            () = control.trusts.notified(), if waits => {}
            _ = beat.tick() => {
                let sent = timeout(timeouts.idle, socket.ping()).await;
                sent.map_err(not_taken)??;
            }
            // While its own side is too slow to take what came, the other cannot be heard; how long a
            // session may last is no matter of that, else whoever fills the queue would be spared.
            _ = timeout_at(deadline, std::future::pending::<()>()),
                if incoming.capacity() > 0 || started.elapsed() >= timeouts.session => {
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
