//! The receiver's end of the WebSocket.

use std::sync::{Arc, OnceLock};

use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use futures_util::SinkExt;
use tracing::info;

use super::gate::LedgerGate;
use super::refusals;
use super::routes::Failure;
use super::state::{Shared, SocketPlace};
use crate::ibgib::Addr;
use crate::peer::channel::Channel;
use crate::peer::pump::{self, Socket};
use crate::peer::wire::{self, MAX_MESSAGE};
use crate::peer::{Patience, PeerError};
use crate::space::Space;
use crate::sync::msg::{Msg, Refusal, RefusalCode};
use crate::sync::{Machine, Receiver, ReceiverOpts, SyncError};

/// How many bytes of new ibGibs leave the writing back of SQLite's log to the next request.
const LITTLE: u64 = 4 << 20;

/// Opens a WebSocket where there is a place for one.
pub(super) async fn upgrade(
    State(shared): State<Arc<Shared>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Some(place) = shared.take_socket() else {
        return Failure::busy("too many open sessions; try again in a moment").into_response();
    };
    upgrade
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .write_buffer_size(0)
        .on_upgrade(move |socket| serve(shared, socket, place))
}

async fn serve(shared: Arc<Shared>, socket: WebSocket, place: SocketPlace) {
    let patience: Patience = shared.opts.patience;
    let (channel, pump) = pump::connect(ServerSocket(socket), "the client".into(), patience);
    let (stopping, identity) = (Arc::clone(&shared), Arc::new(OnceLock::new()));
    let named = Arc::clone(&identity);
    let session = tokio::task::spawn_blocking(move || session(&shared, channel, &named));
    // When the server stops, the pump is dropped and with it the socket; a commit that is being
    // made is not interrupted, since it does not run in the pump.
    tokio::select! {
        () = pump => {}
        () = stopping.stopped() => {}
        () = stopping.revoked(&identity) => info!("a socket of a revoked identity is closed"),
    }
    let _ = session.await;
    drop(place);
}

/// Runs one session from hello to commit. Whatever goes wrong is told to the other side, best
/// effort, and the channel is dropped, which closes the socket.
fn session(shared: &Shared, mut channel: Channel, identity: &OnceLock<Addr>) {
    let mut proved = false;
    match converse(shared, &mut channel, identity, &mut proved) {
        Ok(domain) => info!(%domain, "saga committed"),
        Err(PeerError::Sync(error)) => {
            let refusal = error.refusal();
            if refusal.code == RefusalCode::Internal {
                tracing::error!(%error, "a session failed");
            } else {
                let error = wire::printable(&error.to_string());
                refusals::log(format_args!("session refused ({:?}): {error}", refusal.code));
            }
            refuse(&channel, refusal, proved);
        }
        Err(PeerError::Stopped { reason, .. }) => {
            info!(reason, "session ended");
            refuse(&channel, Refusal { code: RefusalCode::Protocol, message: reason }, proved);
        }
        Err(error) => info!(%error, "session ended"),
    }
}

/// Tells the client why its session ends, best effort.
fn refuse(channel: &Channel, refusal: Refusal, proved: bool) {
    let last = if proved { Msg::SyncError(refusal) } else { Msg::AuthFail(refusal) };
    let _ = channel.send(&last);
}

fn converse(
    shared: &Shared,
    channel: &mut Channel,
    identity: &OnceLock<Addr>,
    proved: &mut bool,
) -> Result<Addr, PeerError> {
    let hello = channel.receive()?;
    let Msg::Hello { domain, session, .. } = &hello else {
        return Err(SyncError::protocol("a session begins with hello").into());
    };
    let (domain, session) = (domain.clone(), session.clone());
    identity.get_or_init(|| domain.clone());
    let space = shared.space(domain.as_str()).map_err(SyncError::from)?;
    space.defer_checkpoints().map_err(SyncError::from)?;
    let before = space.count().map_err(SyncError::from)?.bytes;
    let gate = LedgerGate { shared, ledger: space.ledger(), domain: domain.clone() };
    let opts = ReceiverOpts {
        limits: shared.opts.limits,
        max_turns: shared.opts.max_turns,
        ..ReceiverOpts::new(shared.stage_dir())
    };
    let mut receiver = Receiver::new(&space, domain.clone(), &gate, opts);
    let _place = shared.queues.enter(session);
    receiver.handle(hello)?;
    let ended = channel.run(&mut receiver, None, |_| {});
    *proved = receiver.is_authenticated();
    // The answer is out already. What is little is left to the next request that writes.
    let after = space.count().map_err(SyncError::from)?.bytes;
    if after.saturating_sub(before) > LITTLE && space.checkpoint().is_err() {
        info!("the log was not written back; the next request tries again");
    }
    ended.map(|()| domain)
}

/// The server's half of a WebSocket, for the pump.
struct ServerSocket(WebSocket);

impl Socket for ServerSocket {
    async fn receive(&mut self) -> Result<Option<String>, String> {
        match self.0.recv().await {
            Some(Ok(Message::Text(text))) => Ok(Some(text.as_str().to_owned())),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
            Some(Ok(Message::Close(_))) | None => Err("it closed the connection".to_owned()),
            Some(Ok(Message::Binary(_))) => Err("it sent something that is no text".to_owned()),
            Some(Err(error)) => Err(error.to_string()),
        }
    }

    async fn send(&mut self, text: String) -> Result<(), String> {
        self.0.send(Message::Text(text.into())).await.map_err(|error| error.to_string())
    }

    async fn ping(&mut self) -> Result<(), String> {
        self.0.send(Message::Ping(Vec::new().into())).await.map_err(|error| error.to_string())
    }

    async fn close(&mut self) {
        if self.0.send(Message::Close(None)).await.is_ok() && self.0.flush().await.is_ok() {
            while let Some(Ok(_)) = self.0.recv().await {}
        }
    }
}
