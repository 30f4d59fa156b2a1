//! The way between a device and the server: it delays, cuts, loses answers and doubles
//! connections, and may have somebody hostile in it.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::device::Device;
use super::hostile;
use super::server::Step;
use super::trace::short;
use super::world::World;
use crate::ibgib::{Addr, IbGib, TjpAddr, json};
use crate::keystone::{self, VERB_RECOVER};
use crate::peer::channel::MessageDirection;
use crate::peer::link::EachFrame;
use crate::peer::wire::{self, EvolutionBody, Latest, RevocationBody};
use crate::peer::{Observer, PeerError, ReceiverLink};
use crate::space::{KillSwitch, Purpose};
use crate::sync::msg::{Msg, Refusal};
use crate::sync::{Capabilities, Machine, Sender, SyncError};

/// What a link calls the server.
const URL: &str = "simulated:";
/// How long a client waits for a message that does not come.
const IDLE: Duration = Duration::from_secs(60);

/// The link of one process of a device.
pub(super) struct SimLink<'w> {
    pub(super) world: &'w World,
    pub(super) device: Rc<Device>,
    pub(super) switch: Arc<KillSwitch>,
    /// Whether somebody in between does what they like.
    pub(super) is_hostile: bool,
    /// How often the device's home had been put back when the process began.
    pub(super) restored: u32,
}

fn stopped(reason: &str) -> PeerError {
    PeerError::Stopped { url: URL.into(), reason: reason.into(), source: None }
}

fn unreachable() -> PeerError {
    PeerError::Unreachable { url: URL.into(), reason: "nobody answers".into(), source: None }
}

fn late() -> PeerError {
    PeerError::Late { url: URL.into(), reason: "nothing came".into() }
}

fn refused(refusal: Refusal) -> PeerError {
    SyncError::Refused(refusal).into()
}

impl SimLink<'_> {
    /// What may happen between two messages; an error where this process does not live on.
    fn between(&self) -> Result<(), PeerError> {
        self.world.between(&self.device, &self.switch);
        match self.switch.is_dead() {
            true => Err(stopped("this process was killed")),
            false => Ok(()),
        }
    }

    fn chance(&self, in_a_thousand: u32) -> bool {
        self.world.mishap(in_a_thousand)
    }

    /// A request and its answer.
    fn call<T>(
        &self,
        what: &str,
        body: Option<String>,
        ask: impl Fn(&str) -> Result<T, Refusal>,
    ) -> Result<T, PeerError> {
        self.between()?;
        let world = self.world;
        let mut body = body.unwrap_or_default();
        let kept = body.clone();
        if self.is_hostile && world.choose().chance(150) {
            body = hostile::altered(&body, world.choose());
            world.trace.line(format_args!("{what}: altered on its way"));
        }
        world.trace.line(format_args!("{} {what} {}", self.device.name, short(&body)));
        if self.chance(30) {
            world.trace.line(format_args!("{what}: lost on its way"));
            return Err(stopped("the request was lost"));
        }
        if world.server.is_dead() {
            return Err(unreachable());
        }
        if self.chance(20) {
            let (reason, after) = ("too much is going on".to_owned(), Duration::from_secs(1));
            return Err(PeerError::Busy { url: URL.into(), reason, after });
        }
        self.world.plan_server_kill();
        let mut answer = ask(&body);
        if self.chance(40) {
            world.trace.line(format_args!("{what}: comes twice"));
            self.between()?;
            if !world.server.is_dead() {
                answer = ask(&body);
            }
        }
        if world.server.is_dead() {
            return Err(stopped("the server was killed"));
        }
        self.between()?;
        if self.chance(40) {
            world.trace.line(format_args!("{what}: the answer is lost"));
            return Err(stopped("the answer was lost"));
        }
        world.keep_request(what, &world.people[self.device.person].domain, kept);
        if let Err(refusal) = &answer {
            world
                .trace
                .line(format_args!("{what}: refused ({:?}) {}", refusal.code, refusal.message));
        }
        answer.map_err(refused)
    }

    /// Notes the proof in the last of some frames of I: what leaves a home is what it signed.
    fn signed(&self, frames: &[&IbGib], purpose: Purpose) {
        // What a process signed before its home was put back belongs to neither.
        if self.device.restored.get() != self.restored {
            let name = &self.device.name;
            self.world.trace.line(format_args!("excepted: {name} was restored meanwhile"));
            return;
        }
        if let Some(last) = frames.last() {
            self.world.note_proof(&self.device, last, purpose);
        }
    }

    /// What comes out at the other end of the line for what went into it.
    fn pass(&self, text: String, line: &mut Line) -> Vec<String> {
        line.sent.push(text.clone());
        if !self.is_hostile || !self.world.choose().chance(60) {
            let mut out: Vec<String> = line.held.take().into_iter().collect();
            out.insert(0, text);
            return out;
        }
        let world = self.world;
        let deed = world.choose().below(7);
        let (what, out) = match deed {
            0 => ("dropped", Vec::new()),
            1 => ("doubled", vec![text.clone(), text]),
            2 => {
                line.held = Some(text);
                ("held back", Vec::new())
            }
            3 => {
                let older = world.choose().below(line.sent.len());
                ("followed by an older one", vec![text, line.sent[older].clone()])
            }
            4 => ("preceded by a forged one", vec![hostile::forged(world), text]),
            _ => ("altered", vec![hostile::altered(&text, world.choose())]),
        };
        world.trace.line(format_args!("a message is {what}"));
        out
    }
}

/// One direction of a connection.
#[derive(Default)]
struct Line {
    sent: Vec<String>,
    held: Option<String>,
    coming: VecDeque<String>,
}

impl ReceiverLink for SimLink<'_> {
    fn common(&self) -> Result<Capabilities, PeerError> {
        Ok(Capabilities::default())
    }

    fn register(&self, genesis: &IbGib) -> Result<(), PeerError> {
        let server = &self.world.server;
        self.call("register", Some(genesis.to_json()), |body| server.register(body).map(drop))
    }

    fn evolve(
        &self,
        domain: &TjpAddr,
        frames: &[&IbGib],
        session: &IbGib,
    ) -> Result<(), PeerError> {
        self.signed(frames, Purpose::Session);
        let body = json::stringify(&EvolutionBody { frames: frames.to_vec(), session });
        self.call("evolve", Some(body), |body| self.world.server.evolve(domain, body))
    }

    fn revoke(&self, domain: &TjpAddr, frames: &[&IbGib]) -> Result<(), PeerError> {
        self.signed(frames, Purpose::Revocation);
        let body = json::stringify(&RevocationBody { frames: frames.to_vec() });
        self.call("revoke", Some(body), |body| self.world.server.revoke(domain, body))
    }

    fn renew(&self, domain: &TjpAddr, frames: &[&IbGib]) -> Result<(), PeerError> {
        let proof = frames.last().and_then(|last| keystone::proof_of(last).ok().flatten());
        let is_recovery = proof.is_some_and(|proof| proof.claim.verb == VERB_RECOVER);
        self.signed(frames, if is_recovery { Purpose::Recovery } else { Purpose::Renewal });
        let body = json::stringify(&RevocationBody { frames: frames.to_vec() });
        self.call("renew", Some(body), |body| self.world.server.renew(domain, body))
    }

    fn identity(
        &self,
        domain: &TjpAddr,
        after: Option<&Addr>,
        each: &mut EachFrame<'_>,
    ) -> Result<(), PeerError> {
        let server = &self.world.server;
        let mut page = self.call("identity", None, |_| server.identity(domain, after))?;
        let world = self.world;
        if self.is_hostile && world.choose().chance(150) && !page.is_empty() {
            let at = world.choose().below(page.len());
            match world.choose().below(4) {
                0 => page.truncate(at),
                1 => drop(page.remove(at)),
                2 => page.swap(0, at),
                _ => page[at] = hostile::altered(&page[at], world.choose()),
            }
            world.trace.line("a page of the identity is altered");
        }
        for line in page {
            let frame = keystone::read_frame(&line).map_err(SyncError::from)?;
            if each(frame)? == ControlFlow::Break(()) {
                return Ok(());
            }
        }
        match self.chance(20) {
            true => Err(stopped("the answer breaks off")),
            false => Ok(()),
        }
    }

    fn run_session(
        &self,
        sender: &mut Sender<'_>,
        observer: &mut dyn Observer,
    ) -> Result<(), PeerError> {
        self.between()?;
        let server = &self.world.server;
        let connection = server.open().ok_or_else(unreachable)?;
        let doubled = if self.chance(40) { server.open() } else { None };
        if doubled.is_some() {
            self.world.trace.line("the connection is doubled");
        }
        let (mut up, mut down) = (Line::default(), Line::default());
        let ended = self.drive(sender, observer, (connection, doubled), (&mut up, &mut down));
        server.close(connection);
        doubled.into_iter().for_each(|doubled| server.close(doubled));
        self.world.keep_session(up.sent);
        ended
    }

    fn latest(
        &self,
        domain: &TjpAddr,
        tjp: &TjpAddr,
        token: &str,
    ) -> Result<Option<Latest>, PeerError> {
        let server = &self.world.server;
        self.call("latest", None, |_| server.latest(domain, tjp, token))
    }

    fn graph(
        &self,
        domain: &TjpAddr,
        addr: &Addr,
        live: bool,
        token: &str,
        each: &mut dyn FnMut(&str) -> Result<(), PeerError>,
    ) -> Result<bool, PeerError> {
        let server = &self.world.server;
        let texts = self.call("graph", None, |_| server.graph(domain, addr, live, token))?;
        let Some(texts) = texts else { return Ok(false) };
        texts.iter().try_for_each(|text| each(text)).map(|()| true)
    }
}

impl SimLink<'_> {
    /// Drives the sender against the server's connection until it is through, or something ends it.
    fn drive(
        &self,
        sender: &mut Sender<'_>,
        observer: &mut dyn Observer,
        (connection, doubled): (u64, Option<u64>),
        (up, down): (&mut Line, &mut Line),
    ) -> Result<(), PeerError> {
        let world = self.world;
        loop {
            let mut has_moved = false;
            while let Some(msg) = sender.next()? {
                has_moved = true;
                observer.message(MessageDirection::Out, &msg);
                world.note_sent(&self.device, &msg);
                let text = wire::write(&msg);
                world.trace.line(format_args!(
                    "{} → {} {}",
                    self.device.name,
                    msg.name(),
                    short(&text)
                ));
                let passed = self.pass(text, up);
                up.coming.extend(passed);
                if world.choose().chance(300) {
                    break;
                }
            }
            if sender.is_done() {
                return Ok(());
            }
            self.between()?;
            if let Some(text) = up.coming.pop_front() {
                has_moved = true;
                self.deliver(&text, connection, doubled, down)?;
            }
            if let Some(text) = down.coming.pop_front() {
                has_moved = true;
                if self.chance(10) {
                    world.trace.line("the connection is cut before an answer comes");
                    return Err(stopped("the connection is cut"));
                }
                let msg = wire::read(&text)?;
                world.trace.line(format_args!(
                    "{} ← {} {}",
                    self.device.name,
                    msg.name(),
                    short(&text)
                ));
                observer.message(MessageDirection::In, &msg);
                sender.handle(msg)?;
                observer.step(sender.summary().bytes(), sender.summary().ibgibs());
            }
            if !has_moved {
                if let Some(held) = up.held.take() {
                    up.coming.push_back(held);
                } else if let Some(held) = down.held.take() {
                    down.coming.push_back(held);
                } else {
                    world.pass_time(IDLE);
                    return Err(late());
                }
            }
        }
    }

    /// Brings a message to the server. Errors where it does not live, or has closed: then with what
    /// it said last.
    fn deliver(
        &self,
        text: &str,
        connection: u64,
        doubled: Option<u64>,
        down: &mut Line,
    ) -> Result<(), PeerError> {
        let world = self.world;
        if self.chance(10) {
            world.trace.line("the connection is cut before a message comes");
            return Err(stopped("the connection is cut"));
        }
        world.plan_server_kill();
        if let Some(doubled) = doubled {
            world.server.step(doubled, text);
        }
        let Step::Said { out } = world.server.step(connection, text) else {
            return Err(final_refusal(down));
        };
        for text in out {
            let passed = self.pass(text, down);
            down.coming.extend(passed);
        }
        Ok(())
    }
}

/// What the server said before it closed, where that is a refusal.
fn final_refusal(down: &mut Line) -> PeerError {
    while let Some(text) = down.coming.pop_front() {
        if let Ok(Msg::AuthFail(refusal) | Msg::SyncError(refusal)) = wire::read(&text) {
            return refused(refusal);
        }
    }
    stopped("the server is gone")
}
