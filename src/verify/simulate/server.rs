//! The server of a simulated world: the real receiver and the real rules for sessions and tokens,
//! with a disk, a clock and connections of the world's own.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use super::ledger::MemoryLedger;
use crate::ibgib::{Addr, Environment, IbGib, Seeded, TjpAddr};
use crate::keystone;
use crate::peer::wire::{self, Latest};
use crate::server::sessions;
use crate::space::{KillSwitch, KillableSpace, MemorySpace, Space, SpaceExt, dependency_graph};
use crate::sync::domain::{self, StoredFrames};
use crate::sync::msg::{Msg, Refusal, RefusalCode, Token};
use crate::sync::{
    Capabilities, Machine, Paused, Quota, ReceiverOpts, SessionAuthority, SyncError,
};

/// How long a session may wait for its socket, and how long a token is good, in milliseconds.
pub(super) const SESSION_MS: u64 = 600_000;
pub(super) const TOKEN_MS: u64 = 900_000;
/// How many frames of an identity one answer holds: few, so that pages are turned.
const PAGE: usize = 4;

/// A token that was handed out.
pub(super) struct Issued {
    pub(super) token: Token,
    pub(super) domain: TjpAddr,
    /// Since which frame I had its secret then.
    pub(super) since: u64,
}

/// What a connection's step came to.
pub(super) enum Step {
    /// What the server says.
    Said { out: Vec<String> },
    /// The connection is gone, since the server is.
    Gone,
}

/// The server.
pub(super) struct Server {
    pub(super) env: Arc<Seeded>,
    stage_dir: PathBuf,
    disks: RefCell<BTreeMap<TjpAddr, Arc<MemorySpace>>>,
    switch: RefCell<Arc<KillSwitch>>,
    pub(super) ledger: MemoryLedger,
    connections: RefCell<BTreeMap<u64, Connection>>,
    next_connection: Cell<u64>,
    /// The sessions whose sagas were committed, with their turns.
    pub(super) committed: RefCell<BTreeMap<TjpAddr, u64>>,
    pub(super) issued: RefCell<Vec<Issued>>,
    newest: RefCell<BTreeMap<TjpAddr, (Addr, Rc<IbGib>)>>,
    /// What went wrong with the server itself, for the invariants.
    pub(super) broken: RefCell<Option<String>>,
}

#[derive(Default)]
struct Connection {
    begun: Option<(TjpAddr, TjpAddr, Paused)>,
}

struct Authority<'s> {
    server: &'s Server,
    domain: TjpAddr,
}

impl SessionAuthority for Authority<'_> {
    fn admit(&self, session: &TjpAddr) -> Result<(), SyncError> {
        let times = (self.server.env.now().ms(), SESSION_MS);
        sessions::admit(&self.server.ledger, &self.domain, session, times, || Ok(()))
    }

    fn token(&self, since: u64) -> Result<Option<Token>, SyncError> {
        let (ledger, env) = (&self.server.ledger, &*self.server.env);
        let token =
            sessions::hand_out_token(ledger, (&self.domain, since), (TOKEN_MS, SESSION_MS), env)?;
        let issued = Issued { token: token.clone(), domain: self.domain.clone(), since };
        self.server.issued.borrow_mut().push(issued);
        Ok(Some(token))
    }
}

impl Server {
    pub(super) fn new(env: Arc<Seeded>, stage_dir: PathBuf) -> Server {
        let switch = Arc::new(KillSwitch::default());
        Server {
            env,
            stage_dir,
            disks: RefCell::default(),
            ledger: MemoryLedger::new(Arc::clone(&switch)),
            switch: RefCell::new(switch),
            connections: RefCell::default(),
            next_connection: Cell::new(0),
            committed: RefCell::default(),
            issued: RefCell::default(),
            newest: RefCell::default(),
            broken: RefCell::default(),
        }
    }

    /// The domain's space, as the server's process has it open.
    fn space(&self, domain: &TjpAddr) -> KillableSpace {
        KillableSpace::new(self.disk(domain), Arc::clone(&self.switch.borrow()))
    }

    /// What stands on the server's disk for a domain.
    pub(super) fn disk(&self, domain: &TjpAddr) -> Arc<MemorySpace> {
        Arc::clone(self.disks.borrow_mut().entry(domain.clone()).or_default())
    }

    pub(super) fn switch(&self) -> Arc<KillSwitch> {
        Arc::clone(&self.switch.borrow())
    }

    pub(super) fn is_dead(&self) -> bool {
        self.switch.borrow().is_dead()
    }

    /// Starts it anew after a kill; with `power_lost` its machine lost power, too.
    pub(super) fn restart(&self, power_lost: bool) {
        let switch = Arc::new(KillSwitch::default());
        self.ledger.reopen(Arc::clone(&switch), power_lost);
        *self.switch.borrow_mut() = switch;
        self.connections.borrow_mut().clear();
    }

    fn count(&self, domain: &TjpAddr) -> u64 {
        self.disk(domain).count().map_or(0, |count| count.ibgibs)
    }

    /// Runs what a request asks for; notes where what was refused has stored something.
    fn asked<T>(
        &self,
        what: &str,
        domain: &TjpAddr,
        f: impl FnOnce(&KillableSpace) -> Result<T, SyncError>,
    ) -> Result<T, Refusal> {
        let before = self.count(domain);
        let done = f(&self.space(domain));
        if let Err(error) = &done
            && self.count(domain) != before
            && !self.is_dead()
        {
            self.note(format!("{what} was refused ({error}), and something was stored"));
        }
        done.map_err(|error| error.refusal())
    }

    fn note(&self, what: String) {
        self.broken.borrow_mut().get_or_insert(what);
    }

    /// `POST /v1/keystones`.
    pub(super) fn register(&self, text: &str) -> Result<TjpAddr, Refusal> {
        let read = || -> Result<(IbGib, TjpAddr), SyncError> {
            let genesis = keystone::read_frame(text)?;
            let addr = genesis.validate()?;
            Ok((genesis, addr.into()))
        };
        let (genesis, addr) = read().map_err(|error| error.refusal())?;
        self.asked("a registration", &addr, |space| {
            domain::register(space, &genesis, &Quota::default())
        })
    }

    /// `POST …/evolution`.
    pub(super) fn evolve(&self, domain: &TjpAddr, text: &str) -> Result<(), Refusal> {
        self.asked("an evolution", domain, |space| {
            let (frames, session) = wire::read_evolution(text)?;
            let claim = (domain, frames.as_slice(), &session);
            let now = self.env.now().ms();
            sessions::establish(space, &self.ledger, claim, &Quota::default(), now).map(drop)
        })
    }

    /// `POST …/revocation`.
    pub(super) fn revoke(&self, domain: &TjpAddr, text: &str) -> Result<(), Refusal> {
        self.revoke_without_forgetting(domain, text)?;
        self.ledger.forget(&domain.clone().into());
        Ok(())
    }

    /// The same up to where the ledger forgets the domain's sessions and tokens.
    pub(super) fn revoke_without_forgetting(
        &self,
        domain: &TjpAddr,
        text: &str,
    ) -> Result<(), Refusal> {
        self.asked("a revocation", domain, |space| {
            domain::revoke(space, domain, &wire::read_revocation(text)?)
        })
    }

    /// `POST …/renewal`.
    pub(super) fn renew(&self, domain: &TjpAddr, text: &str) -> Result<(), Refusal> {
        let is_new = self.renew_without_forgetting(domain, text)?;
        if is_new {
            self.ledger.forget(&domain.clone().into());
        }
        Ok(())
    }

    /// The same up to where the ledger forgets the domain's sessions and tokens. Returns whether
    /// anything was new.
    pub(super) fn renew_without_forgetting(
        &self,
        domain: &TjpAddr,
        text: &str,
    ) -> Result<bool, Refusal> {
        self.asked("a renewal", domain, |space| {
            domain::renew(space, domain, &wire::read_revocation(text)?, &Quota::default())
        })
    }

    /// I's newest frame on the disk. It is read once: every step asks for it.
    pub(super) fn newest(&self, domain: &TjpAddr) -> Option<Rc<IbGib>> {
        let disk = self.disk(domain);
        let tip = disk.tip(domain).ok().flatten()?;
        if let Some((addr, frame)) = self.newest.borrow().get(domain)
            && *addr == tip.addr
        {
            return Some(Rc::clone(frame));
        }
        let frame = Rc::new(disk.get_id(tip.id).ok()?);
        self.newest.borrow_mut().insert(domain.clone(), (tip.addr, Rc::clone(&frame)));
        Some(frame)
    }

    /// `GET …/identity`: a page of I's frames.
    pub(super) fn identity(
        &self,
        domain: &TjpAddr,
        after: Option<&Addr>,
    ) -> Result<Vec<String>, Refusal> {
        self.asked("an identity", domain, |space| {
            let Some(mut frames) = StoredFrames::after(space, domain, after)? else {
                let message = "no such identity is registered here".to_owned();
                return Err(SyncError::Refused(Refusal { code: RefusalCode::NotFound, message }));
            };
            let mut page = Vec::new();
            while page.len() < PAGE
                && let Some(text) = frames.next(space)?
            {
                page.push(text.into());
            }
            Ok(page)
        })
    }

    /// Whether a token opens a domain.
    pub(super) fn may_read(&self, domain: &TjpAddr, token: &str) -> Result<bool, SyncError> {
        let (space, now) = (self.space(domain), self.env.now().ms());
        sessions::may_read(&space, &self.ledger, domain, token, now)
    }

    /// `GET …/latest`: a timeline's latest address; none where it is not here.
    pub(super) fn latest(
        &self,
        domain: &TjpAddr,
        tjp: &TjpAddr,
        token: &str,
    ) -> Result<Option<Latest>, Refusal> {
        self.asked("a latest address", domain, |space| {
            if !self.may_read(domain, token)? {
                return Err(SyncError::Auth("a bearer token of this domain is needed".into()));
            }
            let tip = space.tip(tjp)?;
            Ok(tip.map(|tip| Latest { tjp: tjp.clone(), tip: tip.addr, n: tip.n }))
        })
    }

    /// `GET …/ibgibs`: a live graph's texts; none where the ibGib is not here.
    pub(super) fn graph(
        &self,
        domain: &TjpAddr,
        addr: &Addr,
        live: bool,
        token: &str,
    ) -> Result<Option<Vec<Box<str>>>, Refusal> {
        self.asked("a graph", domain, |space| {
            if !self.may_read(domain, token)? {
                return Err(SyncError::Auth("a bearer token of this domain is needed".into()));
            }
            let Some(id) = space.find(addr)? else { return Ok(None) };
            let mut texts = Vec::new();
            dependency_graph::<SyncError>(space, &[id], live, &mut |node| {
                texts.push(space.text_to_send(node.id)?);
                Ok(std::ops::ControlFlow::Continue(()))
            })?;
            Ok(Some(texts))
        })
    }

    /// Opens a connection; none where the server is dead.
    pub(super) fn open(&self) -> Option<u64> {
        if self.is_dead() {
            return None;
        }
        let number = self.next_connection.get();
        self.next_connection.set(number + 1);
        self.connections.borrow_mut().insert(number, Connection::default());
        Some(number)
    }

    /// The other side is gone.
    pub(super) fn close(&self, connection: u64) {
        self.connections.borrow_mut().remove(&connection);
    }

    /// Takes a message of a connection.
    pub(super) fn step(&self, connection: u64, text: &str) -> Step {
        let Some(mut held) = self.connections.borrow_mut().remove(&connection) else {
            return Step::Gone;
        };
        let mut out = Vec::new();
        let ended = self.take(&mut held, text, &mut out);
        if self.is_dead() {
            return Step::Gone;
        }
        match ended {
            Ok(false) => {
                self.connections.borrow_mut().insert(connection, held);
                Step::Said { out }
            }
            Ok(true) => Step::Said { out },
            Err(error) => {
                let proved = held.begun.is_some_and(|(_, _, paused)| paused.is_authenticated());
                let refusal = error.refusal();
                let last = if proved { Msg::SyncError(refusal) } else { Msg::AuthFail(refusal) };
                out.push(wire::write(&last));
                Step::Said { out }
            }
        }
    }

    /// Whether the session is through.
    fn take(
        &self,
        held: &mut Connection,
        text: &str,
        out: &mut Vec<String>,
    ) -> Result<bool, SyncError> {
        let msg = wire::read(text)?;
        let begun = match held.begun.take() {
            Some(begun) => begun,
            None => {
                let Msg::Hello { domain, session, .. } = &msg else {
                    return Err(SyncError::protocol("a session begins with hello"));
                };
                let env: Arc<dyn Environment> = Arc::clone(&self.env) as _;
                let features = Capabilities::default().features;
                let opts =
                    ReceiverOpts { env, features, ..ReceiverOpts::new(self.stage_dir.clone()) };
                (domain.clone(), session.clone(), Paused::new(domain.clone(), opts))
            }
        };
        let (domain, session, paused) = begun;
        let (name, before) = (msg.name(), self.count(&domain));
        let space = self.space(&domain);
        let authority = Authority { server: self, domain: domain.clone() };
        let mut receiver = paused.resume(&space, &authority);
        let drive = || -> Result<bool, SyncError> {
            if let Err(error) = receiver.handle(msg) {
                if self.count(&domain) != before && !self.is_dead() {
                    self.note(format!("{name} was refused ({error}), and something was stored"));
                }
                return Err(error);
            }
            while let Some(msg) = receiver.next()? {
                out.push(wire::write(&msg));
            }
            Ok(receiver.is_done())
        };
        let ended = drive();
        let is_committed = receiver.is_committed();
        let paused = receiver.pause();
        // A server that is killed right after its commit does not live to tell.
        let n = self.disk(&domain).tip(&session).ok().flatten().map_or(0, |tip| tip.n);
        if is_committed || (self.is_dead() && n > 1 && n == paused.turns() + 1) {
            self.committed.borrow_mut().insert(session.clone(), paused.turns());
        }
        held.begun = Some((domain, session, paused));
        ended
    }

    /// Whether the disk holds an ibGib of a domain.
    pub(super) fn has(&self, domain: &TjpAddr, addr: &Addr) -> bool {
        self.disk(domain).get(addr).is_ok_and(|found| found.is_some())
    }
}
