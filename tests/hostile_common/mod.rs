//! A server, and clients that speak the protocol by hand, so that they can break it.
#![allow(dead_code)]

#[path = "../device/mod.rs"]
mod device;
pub mod fake;

pub use device::secret_of;

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use sync_gib::ibgib::transform::{FirstGen, Kind, Opts, first_gen, transform};
use sync_gib::ibgib::{Addr, IbGib, Moment, System, TjpAddr};
use sync_gib::keystone::{self, MasterSecret, presets};
use sync_gib::peer::{Endpoint, ReceiverLink, Remote, Timeouts, client, wire};
use sync_gib::server::{Server, ServerOpts};
use sync_gib::space::{Space, SpaceCount, SqliteSpace, TimelineKind, Tip};
use sync_gib::sync::Features;
use sync_gib::sync::body::{Body, Commit, Delta, Init, Move, PayloadDigest, Scope, Stated};
use sync_gib::sync::frame::{Role, Saga};
use sync_gib::sync::msg::{Context, Msg, PROTOCOL, Refusal, RefusalCode, Token};
use sync_gib::sync::session::Signer;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// How long anything may take before a test takes it for hanging.
pub const LONG: Duration = Duration::from_secs(20);
/// A hash of nothing that is anywhere.
pub const HASH: &str = "E975776B1A3E4468086E1D8C409116F6E098D13BEEDFE17AF668071B5D11CD55";

pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Waits until `holds`, which it must before long.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LONG, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A server on a free port of loopback.
pub struct Host {
    pub runtime: Runtime,
    pub dir: tempfile::TempDir,
    pub server: Server,
}

impl Host {
    pub fn new() -> Host {
        Host::with(|_| {})
    }

    pub fn with(set: impl FnOnce(&mut ServerOpts)) -> Host {
        let runtime = runtime();
        let dir = tempfile::tempdir().unwrap();
        let mut opts = ServerOpts::new(([127, 0, 0, 1], 0).into(), dir.path().join("server.db"));
        set(&mut opts);
        let server = runtime.block_on(Server::start(opts)).unwrap();
        Host { runtime, dir, server }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("server.db")
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint::new(&self.server.url(), None, false).unwrap()
    }

    pub fn link(&self) -> Remote<'_> {
        Remote::new(&self.runtime, self.endpoint(), Timeouts::default()).unwrap()
    }

    /// What the server holds for a domain.
    pub fn space(&self, domain: &TjpAddr) -> SqliteSpace {
        SqliteSpace::open(&self.path(), domain).unwrap()
    }

    /// Waits until the server has no socket open.
    pub fn all_closed(&self) {
        eventually("closing every socket of the server", || self.server.open_sockets() == 0);
    }

    pub fn held(&self, domain: &TjpAddr) -> Held {
        held(&self.space(domain))
    }
}

/// What a space holds, for comparing before and after.
#[derive(Debug, PartialEq)]
pub struct Held {
    pub count: SpaceCount,
    pub tips: Vec<(TjpAddr, Tip)>,
}

pub fn held(space: &dyn Space) -> Held {
    let kinds = [TimelineKind::Data, TimelineKind::Keystone, TimelineKind::Saga];
    let timelines = kinds.into_iter().flat_map(|kind| space.timelines(kind, None, 10_000).unwrap());
    let tips = timelines.map(|timeline| (timeline.tjp, timeline.tip)).collect();
    Held { count: space.count().unwrap(), tips }
}

/// A WebSocket and nothing more.
pub struct Raw<'h> {
    pub runtime: &'h Runtime,
    pub ws: WebSocketStream<TcpStream>,
}

impl<'h> Raw<'h> {
    pub fn open(host: &'h Host) -> Raw<'h> {
        Raw::try_open(host).unwrap()
    }

    pub fn try_open(host: &'h Host) -> Result<Raw<'h>, tokio_tungstenite::tungstenite::Error> {
        let addr = host.server.addr();
        let ws = host.runtime.block_on(async {
            let tcp = TcpStream::connect(addr).await.unwrap();
            tokio_tungstenite::client_async(format!("ws://{addr}{}", wire::PATH_WS), tcp).await
        })?;
        Ok(Raw { runtime: &host.runtime, ws: ws.0 })
    }

    pub fn send(&mut self, msg: &Msg) {
        self.send_raw(Message::text(wire::write(msg)));
    }

    /// Sends what may be refused before it has all arrived.
    pub fn send_raw(&mut self, message: Message) {
        let _ =
            self.runtime.block_on(async { timeout(LONG, self.ws.send(message)).await }).unwrap();
    }

    /// The next message; none where the socket is closed.
    pub fn receive(&mut self) -> Option<Msg> {
        let text = self.runtime.block_on(async {
            // Pings alone are no reason to wait longer.
            let next = timeout(LONG, async {
                loop {
                    match self.ws.next().await {
                        Some(Ok(Message::Text(text))) => return Some(text),
                        // After the close of the other side its answer goes out with the next read.
                        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_))) => {}
                        _ => return None,
                    }
                }
            });
            next.await.expect("something is said, or the socket closes")
        });
        text.map(|text| wire::read(text.as_str()).unwrap())
    }

    /// Reads to the end; the code with which the other side closes, none where it says none.
    pub fn close_code(&mut self) -> Option<u16> {
        self.runtime.block_on(async {
            let mut code = None;
            loop {
                match timeout(LONG, self.ws.next()).await.expect("the socket stays open") {
                    Some(Ok(Message::Close(frame))) => code = frame.map(|frame| frame.code.into()),
                    Some(Ok(_)) => {}
                    _ => return code,
                }
            }
        })
    }

    pub fn closed(&mut self) {
        while let Some(msg) = self.receive() {
            assert!(!matches!(msg, Msg::AuthOk { .. } | Msg::Response(_)), "it goes on: {msg:?}");
        }
    }

    /// Reads until the refusal, after which the socket must close.
    fn refusal(&mut self) -> (&'static str, Refusal) {
        loop {
            match self.receive().expect("a refusal before the end") {
                msg @ (Msg::AuthFail(_) | Msg::SyncError(_)) => {
                    let name = msg.name();
                    let (Msg::AuthFail(refusal) | Msg::SyncError(refusal)) = msg else { continue };
                    self.closed();
                    return (name, refusal);
                }
                Msg::Need { .. } => {}
                other => panic!("{other:?} instead of a refusal"),
            }
        }
    }

    pub fn auth_fail(&mut self) -> Refusal {
        let (name, refusal) = self.refusal();
        assert_eq!(name, "auth_fail", "{refusal:?}");
        refusal
    }

    pub fn sync_error(&mut self, code: RefusalCode) -> Refusal {
        let (name, refusal) = self.refusal();
        assert_eq!((name, refusal.code), ("sync_error", code), "{}", refusal.message);
        refusal
    }

    pub fn hello(&mut self, domain: &TjpAddr, session: &TjpAddr) -> (String, Vec<String>) {
        self.hello_with(domain, session, Default::default())
    }

    pub fn hello_with(
        &mut self,
        domain: &TjpAddr,
        session: &TjpAddr,
        features: Features,
    ) -> (String, Vec<String>) {
        let (domain, session) = (domain.clone(), session.clone());
        self.send(&Msg::Hello { protocol: PROTOCOL, domain, session, features });
        match self.receive() {
            Some(Msg::AuthChallenge { challenge_uuid, demanded_ids }) => {
                (challenge_uuid, demanded_ids)
            }
            other => panic!("{other:?} instead of a challenge"),
        }
    }
}

/// Someone with an identity and a space, who may do anything with both.
pub use device::Device as Person;

impl Person {
    /// A person whose identity the host knows.
    pub fn new(host: &Host, secret: &str) -> Person {
        let person = Person::unregistered(secret);
        host.link().register(&person.genesis).unwrap();
        person
    }

    pub fn unregistered(secret: &str) -> Person {
        Person::costly(secret, 1)
    }

    /// A person whose every step takes `rounds` times the hashes to check that others' take.
    pub fn costly(secret: &str, rounds: u32) -> Person {
        let mut pools = presets::identity_pools(&System::new()).unwrap();
        pools.iter_mut().for_each(|pool| pool.rounds = rounds);
        let genesis = keystone::genesis(&secret_of(secret), &pools, None, &System::new()).unwrap();
        Person::with(genesis, secret)
    }

    pub fn with(genesis: IbGib, secret: &str) -> Person {
        Person::of(genesis, secret_of(secret))
    }

    pub fn domain(&self) -> &TjpAddr {
        &self.identity.domain
    }

    /// An established session, not connected.
    pub fn session<'h>(&self, host: &'h Host) -> Session<'h> {
        let made = client::open_session(&self.space, &host.link(), &self.identity).unwrap();
        let session = TjpAddr::from(made.session.addr().unwrap());
        Session {
            raw: Raw::open(host),
            host,
            domain: self.domain().clone(),
            secret: self.identity.secret.derive_session(&made.saga_id),
            saga: Saga::new(made.saga_id, session.clone()),
            genesis: made.session,
            signer: made.signer,
            session,
            token: None,
        }
    }

    /// A connected session.
    pub fn connected<'h>(&self, host: &'h Host) -> Session<'h> {
        let mut session = self.session(host);
        session.connect();
        session
    }
}

/// A session of which every step is taken by hand.
pub struct Session<'h> {
    pub raw: Raw<'h>,
    pub host: &'h Host,
    pub domain: TjpAddr,
    pub secret: MasterSecret,
    pub saga: Saga,
    pub genesis: IbGib,
    pub signer: Signer,
    pub session: TjpAddr,
    pub token: Option<Token>,
}

impl Session<'_> {
    pub fn connect(&mut self) {
        assert_eq!(self.connect_with(Default::default()), None);
    }

    /// Connects a session that uses these features; the window that the server grants.
    pub fn connect_with(&mut self, features: Features) -> Option<u32> {
        let (uuid, ids) = self.raw.hello_with(&self.domain, &self.session, features);
        let keystone = self.signer.prove(&uuid, &ids, &System::new()).unwrap();
        self.raw.send(&Msg::AuthProof { keystone });
        match self.raw.receive() {
            Some(Msg::AuthOk { token, window, .. }) => {
                self.token = token;
                window
            }
            other => panic!("{other:?} instead of auth_ok"),
        }
    }

    /// A turn as it should be.
    pub fn turn(&mut self, body: &Body) -> Context {
        let mut turn = self.saga.make(Role::Sender, body, Moment::now()).unwrap().into_inner();
        self.signer.sign_turn(&mut turn, &System::new()).unwrap();
        turn
    }

    pub fn send_turn(&mut self, body: &Body) {
        let turn = self.turn(body);
        self.saga.append(&turn).unwrap();
        self.raw.send(&Msg::Request(Box::new(turn)));
    }

    pub fn answer(&mut self) -> Body {
        match self.raw.receive() {
            Some(Msg::Response(turn)) => {
                let (body, _) = self.saga.check(Role::Receiver, &turn).unwrap();
                self.saga.append(&turn).unwrap();
                body
            }
            other => panic!("{other:?} instead of a response"),
        }
    }

    /// A turn that must be refused, leaving nothing behind.
    pub fn refused(&mut self, body: &Body, code: RefusalCode) -> Refusal {
        self.unchanged(|session| {
            session.send_turn(body);
            session.raw.sync_error(code)
        })
    }

    /// Does something that must not change what the host holds, and closes the socket.
    pub fn unchanged<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.host.held(&self.domain);
        let done = act(self);
        self.host.all_closed();
        assert_eq!(self.host.held(&self.domain), before);
        done
    }

    /// States what these bring, as a sender that is about to push them does.
    pub fn state(&mut self, ibgibs: &[IbGib]) {
        let all: Vec<Addr> = ibgibs.iter().map(|ibgib| ibgib.addr().unwrap()).collect();
        let related: HashSet<&str> = ibgibs.iter().flat_map(IbGib::rel8ds).collect();
        let ends = ibgibs.iter().zip(&all).filter(|(_, addr)| !related.contains(addr.as_str()));
        let stones = ends.filter(|(ibgib, _)| ibgib.is_stone()).map(|(_, addr)| addr.clone());
        let timelines = tips_of(ibgibs).into_iter().map(|(tjp, tip)| {
            let (tip, n) = (tip.addr().unwrap(), tip.n().unwrap_or(0));
            Stated { tjp, tip, n }
        });
        let (timelines, stones) = (timelines.collect(), stones.collect());
        self.send_turn(&Body::Init(Init { timelines, stones, ..init() }));
        assert!(matches!(self.answer(), Body::Ack(_)));
    }

    /// States and sends a payload, and the turn with its digest; returns the commit of just this.
    pub fn push(&mut self, ibgibs: &[IbGib]) -> Commit {
        self.state(ibgibs);
        let texts: Vec<Box<str>> = ibgibs.iter().map(|ibgib| ibgib.to_json().into()).collect();
        let payload = digest(&texts);
        if !texts.is_empty() {
            self.raw.send(&Msg::Payload { ibgibs: texts });
        }
        self.send_turn(&delta(payload.clone()));
        let space = self.host.space(&self.domain);
        let moves = tips_of(ibgibs).into_iter().map(|(tjp, tip)| {
            let from = space.tip(&tjp).unwrap().map(|tip| tip.addr);
            Move { tjp, from, to: tip.addr().unwrap() }
        });
        Commit { payload: total(&[payload]), moves: moves.collect() }
    }
}

/// The newest frame of each of data's timelines among these.
pub fn tips_of(ibgibs: &[IbGib]) -> Vec<(TjpAddr, &IbGib)> {
    let mut tips: Vec<(TjpAddr, &IbGib)> = Vec::new();
    for frame in ibgibs.iter().filter(|ibgib| !ibgib.is_stone() && ibgib.ib != "keystone") {
        let tjp = TjpAddr::parse(&frame.tjp_addr().unwrap()).unwrap();
        match tips.iter_mut().find(|(of, _)| *of == tjp) {
            Some((_, tip)) if tip.n() < frame.n() => *tip = frame,
            Some(_) => {}
            None => tips.push((tjp, frame)),
        }
    }
    tips
}

/// The digest of a commit after turns with these digests.
pub fn total(turns: &[PayloadDigest]) -> PayloadDigest {
    let mut hasher = sync_gib::sync::payload::SagaHasher::default();
    turns.iter().for_each(|turn| hasher.add(turn));
    hasher.digest()
}

pub fn digest(ibgibs: &[Box<str>]) -> PayloadDigest {
    let mut hasher = sync_gib::sync::payload::PayloadHasher::default();
    ibgibs.iter().for_each(|text| hasher.add(text));
    hasher.digest()
}

pub fn delta(payload: PayloadDigest) -> Body {
    Body::Delta(Delta { payload, ..Delta::default() })
}

pub fn init() -> Init {
    Init::of(Scope::All, false)
}

/// A timeline's first frames: all that is made, dependencies first; the tip is the last.
pub fn timeline(ib: &str, data: Value) -> Vec<IbGib> {
    let root = IbGib::primitive(ib);
    let Value::Object(data) = data else { panic!("no object") };
    let each = Opts::next_frame().build();
    let tjp = Some(json!({"uuid": true, "timestamp": true}));
    let opts = FirstGen { ib, parent: &root, data: Some(data), rel8ns: None, each, tjp };
    let made = first_gen(&opts, &System::new()).unwrap();
    made.into_all()
}

/// One more frame and its dna; the frame is the last.
pub fn edit(tip: &IbGib, patch: Value) -> Vec<IbGib> {
    let opts = Opts::next_frame().set("dataToAddOrPatch", patch).build();
    transform(Kind::Mut8, tip, &opts, &System::new()).unwrap().into_all()
}

/// The frame among these that has the highest `n`.
pub fn tip_of(ibgibs: &[IbGib]) -> &IbGib {
    let frames = ibgibs.iter().filter(|ibgib| !ibgib.is_stone());
    frames.max_by_key(|frame| frame.n()).unwrap()
}

/// The sockets that this process has open.
pub fn own_sockets() -> usize {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    let links = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links.filter(|link| link.to_string_lossy().starts_with("socket:")).count()
}
