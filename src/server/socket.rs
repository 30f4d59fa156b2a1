//! The receiver's end of the WebSocket.

mod transport;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;
use tracing::info;

use super::authority::LedgerAuthority;
use super::client_addr::ClientAddr;
use super::connection::Connection;
use super::failure::Failure;
use super::ledger::Ledger;
use super::sockets::SocketPlace;
use super::state::{End, LARGE, Shared};
use super::{queue, refusals};
use crate::ibgib::TjpAddr;
use crate::peer::channel::{Channel, DriveStop};
use crate::peer::compression::{self};
use crate::peer::pump::{self, Text};
use crate::peer::wire::{self, MAX_MESSAGE};
use crate::peer::{PeerError, Timeouts};
use crate::space::{Space, SpaceError};
use crate::sync::capabilities::Feature;
use crate::sync::msg::{Msg, Refusal, RefusalCode};
use crate::sync::{Features, Paused, ReceiverOpts, SyncError};
use transport::ServerSocket;

/// How many bytes of new ibGibs leave the writing back of SQLite's log to the next request.
const LITTLE: u64 = 4 << 20;

/// How many bytes a socket reads at once; it holds as many while it waits.
const READ_BUFFER: usize = 32 << 10;

/// Opens a WebSocket where there is a place for one.
pub(super) async fn upgrade(
    State(shared): State<Arc<Shared>>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let client = shared.client(&connection, &headers);
    let hello = match hello_in(&headers, &shared.opts.features) {
        Ok(hello) => hello,
        Err(error) => return Failure::from(error).into_response(),
    };
    let Some(socket_place) = shared.sockets.take(client, connection.meter()) else {
        return Failure::busy("too many open sessions; try again in a moment").into_response();
    };
    connection.give_place_back();
    let meter = Arc::clone(connection.meter());
    upgrade
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .write_buffer_size(0)
        .read_buffer_size(READ_BUFFER)
        .on_upgrade(move |socket| {
            let place = Arc::new(Mutex::new(socket_place));
            let most_untrusted = if hello.is_some() { 1 } else { 2 };
            serve(shared, ServerSocket { socket, meter, place, most_untrusted }, client, hello)
        })
}

/// The `hello` that comes with the upgrade already, where this server takes such a one.
fn hello_in(headers: &HeaderMap, features: &Features) -> Result<Option<Text>, SyncError> {
    let hello = headers.get(wire::HEADER_HELLO).filter(|_| features.contains(&Feature::ONE_TURN));
    let Some(hello) = hello else { return Ok(None) };
    let text = hello.to_str().ok().filter(|text| text.len() <= wire::MAX_HELLO);
    let text = text.ok_or_else(|| SyncError::protocol("the header holds no hello"))?;
    Ok(Some(compression::Message::Text(text.to_owned()).into()))
}

async fn serve(shared: Arc<Shared>, socket: ServerSocket, client: ClientAddr, hello: Option<Text>) {
    let socket_place = Arc::clone(&socket.place);
    let timeouts: Timeouts = shared.opts.timeouts;
    let stopping = Arc::clone(&shared);
    // When the server stops, the pump ends and with it the socket; a commit that is being made is
    // not interrupted, since it does not run in the pump.
    let stops = async move { stopping.stopped().await };
    let (channel, pump) = pump::connect(socket, "the client".into(), timeouts, stops);
    let place = Arc::clone(&socket_place);
    tokio::join!(pump, session(shared, channel, client, place, hello));
    drop(socket_place);
}

/// Runs one session from hello to commit. Whatever goes wrong is told to the other side, best
/// effort, and the channel is dropped, which closes the socket.
async fn session(
    shared: Arc<Shared>,
    channel: Channel,
    client: ClientAddr,
    socket_place: Arc<Mutex<SocketPlace>>,
    mut hello: Option<Text>,
) {
    let mut session =
        SocketSession { shared: Arc::clone(&shared), channel, socket_place, domain_session: None };
    // Unless it ends otherwise.
    session.channel.close_with(wire::CLOSE_INTERNAL);
    let mut ends = shared.ends();
    loop {
        let domain = session.domain();
        // What waits, for the other side or for its socket, holds no thread and no connection.
        let next = async {
            match hello.take() {
                Some(hello) => Ok(hello),
                None => session.listen().await,
            }
        };
        let received = match unless_ended(&mut ends, domain, next).await {
            Ok(text) => text,
            Err(error) => return session.end(Err(error)).await,
        };
        let mut stop = None;
        let mut received = Some(received);
        while !matches!(stop, Some(Ok(DriveStop::Idle))) {
            if let Some(Ok(DriveStop::Full(text))) = stop.take()
                && let Err(error) =
                    unless_ended(&mut ends, session.domain(), session.channel.send_text(text)).await
            {
                return session.end(Err(error)).await;
            }
            let text = received.take();
            let weight = text.as_ref().map_or(0, |text| wire::weight(text.as_str()));
            let stepped = shared.work(client, weight, move || {
                let stop = session.step(text);
                (session, stop)
            });
            let Some(stepped) = stepped.await else {
                tracing::error!("a session failed");
                return;
            };
            session = stepped.0;
            match stepped.1 {
                Ok(DriveStop::Large(text)) => received = Some(text),
                Ok(DriveStop::Done) => return session.end(Ok(())).await,
                Err(error) => return session.end(Err(error)).await,
                other => stop = Some(other),
            }
        }
    }
}

/// Waits for what a session waits for, unless its identity is revoked or gets another secret
/// meanwhile. Every turn asks that again, so one that is missed here gets nothing either.
async fn unless_ended<T>(
    ends: &mut broadcast::Receiver<(TjpAddr, End)>,
    domain: Option<TjpAddr>,
    waits: impl Future<Output = Result<T, PeerError>>,
) -> Result<T, PeerError> {
    let ended = async {
        loop {
            match ends.recv().await {
                Ok((addr, End::Revoked)) if domain.as_ref() == Some(&addr) => {
                    return SpaceError::Revoked(addr);
                }
                Ok((addr, End::Renewed)) if domain.as_ref() == Some(&addr) => {
                    return SpaceError::Renewed(addr);
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    };
    tokio::select! {
        error = ended => Err(SyncError::from(error).into()),
        done = waits => done,
    }
}

/// A session between two messages.
struct SocketSession {
    shared: Arc<Shared>,
    channel: Channel,
    socket_place: Arc<Mutex<SocketPlace>>,
    domain_session: Option<DomainSession>,
}

/// A session whose domain is known.
struct DomainSession {
    domain: TjpAddr,
    /// The receiver; none only while it takes a step.
    receiver: Option<Paused>,
    /// How many bytes the domain held before.
    before: u64,
    session: TjpAddr,
    /// Its place among its identity's devices, once it has proved itself: whoever merely names a
    /// session has no say in whose turn it is.
    place: Option<queue::QueuePlace>,
}

impl SocketSession {
    /// Whose session it is, once that was said.
    fn domain(&self) -> Option<TjpAddr> {
        self.domain_session.as_ref().map(|domain_session| domain_session.domain.clone())
    }

    /// The next message's text. Once the client has proved itself it has so long for it: pongs alone
    /// keep no place. Before, the time to prove itself runs.
    async fn listen(&mut self) -> Result<Text, PeerError> {
        let receiver = self
            .domain_session
            .as_ref()
            .and_then(|domain_session| domain_session.receiver.as_ref());
        let Some(receiver) = receiver.filter(|receiver| receiver.is_authenticated()) else {
            return self.channel.listen().await;
        };
        let (opts, first) = (&self.shared.opts, receiver.turns() == 0);
        let within = match first {
            true => opts.turn_time.min(opts.timeouts.untrusted * 3),
            false => opts.turn_time,
        };
        let late = |_| PeerError::Late {
            url: "the client".into(),
            reason: format!("no message for {} s", within.as_secs()),
        };
        timeout(within, self.channel.listen()).await.map_err(late)?
    }

    /// Takes a message, or goes on, as far as that is possible without waiting for the client.
    fn step(&mut self, received: Option<Text>) -> Result<DriveStop, PeerError> {
        if self.domain_session.is_none() {
            let hello = received.as_ref().map(|text| wire::read(text.as_str())).transpose()?;
            self.domain_session = Some(self.begin(hello.as_ref())?);
        }
        let Some(DomainSession { domain, receiver, before, session, place }) =
            &mut self.domain_session
        else {
            return Err(silent().into());
        };
        let space = self.shared.space(&*domain).map_err(SyncError::from)?;
        space.defer_checkpoints(true).map_err(SyncError::from)?;
        let (shared, ledger) = (&*self.shared, Ledger::of(&space));
        let authority = LedgerAuthority {
            shared,
            ledger,
            domain: domain.clone(),
            socket_place: &self.socket_place,
        };
        let paused = receiver.take().ok_or_else(silent)?;
        let mut resumed = paused.resume(&*space, &authority);
        let stop = self.channel.drive(&mut resumed, received, LARGE);
        let paused = resumed.pause();
        if place.is_none() && paused.is_authenticated() {
            *place = Some(shared.queues.enter(session.clone()));
        }
        *receiver = Some(paused);
        if matches!(stop, Ok(DriveStop::Done)) {
            // The answer is out already. What is little is left to the next request that writes.
            let after = space.count().map_err(SyncError::from)?.bytes;
            if after.saturating_sub(*before) > LITTLE && space.checkpoint().is_err() {
                info!("the write-ahead log was not checkpointed; the next request tries again");
            }
        }
        stop
    }

    fn begin(&self, hello: Option<&Msg>) -> Result<DomainSession, PeerError> {
        let Some(Msg::Hello { domain, session, .. }) = hello else {
            return Err(silent().into());
        };
        let space = self.shared.space(domain).map_err(SyncError::from)?;
        let before = space.count().map_err(SyncError::from)?.bytes;
        let opts = ReceiverOpts {
            limits: self.shared.opts.limits,
            staging: self.shared.staging.clone(),
            keep_in: self.shared.keep_in.clone(),
            quota: self.shared.opts.quota,
            max_turns: self.shared.opts.max_turns,
            features: self.shared.opts.features.clone(),
            ..ReceiverOpts::new(self.shared.stage_dir())
        };
        let receiver = Some(Paused::new(domain.clone(), opts));
        let (domain, session) = (domain.clone(), session.clone());
        Ok(DomainSession { domain, receiver, before, session, place: None })
    }

    /// Logs how it ended, and tells the client, best effort.
    async fn end(self, ended: Result<(), PeerError>) {
        match ended {
            Ok(()) => {
                let domain = self.domain().map(|domain| domain.to_string()).unwrap_or_default();
                self.channel.close_with(wire::CLOSE_DONE);
                info!(domain, "saga committed");
            }
            Err(PeerError::Sync(error)) => {
                let refusal = refusals::of(&error);
                if error.is_full_disk() {
                    self.shared.full_disk.store(true, Ordering::Relaxed);
                    self.shared.clear_kept();
                }
                if refusal.code == RefusalCode::Internal {
                    tracing::error!(%error, "a session failed");
                } else {
                    let error = wire::peer_text(&error.to_string());
                    refusals::log(format_args!("session refused ({:?}): {error}", refusal.code));
                }
                self.refuse(refusal).await;
            }
            Err(PeerError::Stopped { reason, .. }) => {
                refusals::log_end(&reason);
                let code = match self.is_starved() {
                    true => RefusalCode::Busy,
                    false => RefusalCode::Protocol,
                };
                self.refuse(Refusal { code, message: reason }).await;
            }
            Err(PeerError::Late { reason, .. }) => {
                refusals::log_end(&reason);
                self.refuse(Refusal { code: RefusalCode::Timeout, message: reason }).await;
            }
            Err(error) => refusals::log_end(&error.to_string()),
        }
    }

    /// Whether there was no room for what the client sends.
    fn is_starved(&self) -> bool {
        self.socket_place.lock().unwrap_or_else(PoisonError::into_inner).is_starved()
    }

    async fn refuse(&self, refusal: Refusal) {
        let receiver = self
            .domain_session
            .as_ref()
            .and_then(|domain_session| domain_session.receiver.as_ref());
        let proved = receiver.is_some_and(Paused::is_authenticated);
        self.channel.close_with(wire::close_code(refusal.code));
        let last = if proved { Msg::SyncError(refusal) } else { Msg::AuthFail(refusal) };
        let _ = self.channel.send_text(wire::written(&last)).await;
    }
}

fn silent() -> SyncError {
    SyncError::protocol("a session begins with hello")
}
