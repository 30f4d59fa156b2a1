//! The receiver's half of a session: a state machine that knows no transport.

mod answer;
pub(crate) mod deliver;
mod guess;
mod machine;
mod opts;
pub(in crate::sync) mod sketch;

use sketch::Sketched;

pub use opts::{AdmitAll, ReceiverOpts, SessionAuthority};

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use super::body::{Body, Init, Scope};
use super::capabilities::{Capabilities, Feature, Features};
use super::domain::{self, IdentityCheck};
use super::error::SyncError;
use super::establish::random_id;
use super::frame::{Role, Saga};
use super::msg::{Checkpoint, Context, Msg};
use super::payload::{IncomingPayload, OutgoingPayload};
use super::session::SessionVerifier;
use crate::ibgib::{Addr, AddrKey, IbGib, TjpAddr};
use crate::keystone;
use crate::space::{Bound, PutOpts, RowId, SignedBy, Space};

/// How many ids of S's connect pool a challenge demands.
pub const DEMANDED: usize = 4;

/// The receiver of one session, in one domain's space.
pub struct Receiver<'a> {
    space: &'a dyn Space,
    authority: &'a dyn SessionAuthority,
    at: Paused,
}

/// A receiver between two messages: it holds no space, so that a session that waits keeps no
/// file open and no thread.
pub struct Paused {
    domain: TjpAddr,
    opts: ReceiverOpts,
    state: State,
    out: VecDeque<Msg>,
    turns: u64,
    committed: bool,
    live: IdentityCheck,
    features: Features,
}

impl Paused {
    /// A receiver for the domain `domain` that has not begun.
    pub fn new(domain: TjpAddr, opts: ReceiverOpts) -> Paused {
        let (state, out) = (State::Silent, VecDeque::new());
        let (live, features) = (IdentityCheck::default(), Features::new());
        Paused { domain, opts, state, out, turns: 0, committed: false, live, features }
    }

    /// Whose domain it is.
    pub fn domain(&self) -> &TjpAddr {
        &self.domain
    }

    /// Whether the sender proved itself.
    pub fn is_authenticated(&self) -> bool {
        matches!(self.state, State::Connected(_) | State::Done)
    }

    /// How many turns the sender took.
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// What the session uses beyond the protocol, once its sender said hello.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// Goes on, with the domain's space and an authority.
    pub fn resume<'a>(
        self,
        space: &'a dyn Space,
        authority: &'a dyn SessionAuthority,
    ) -> Receiver<'a> {
        Receiver { space, authority, at: self }
    }
}

enum State {
    /// Nobody said hello yet.
    Silent,
    /// A challenge is out.
    Challenged(Box<Challenged>),
    /// Turns are taken.
    Connected(Box<Connected>),
    /// The saga was committed.
    Done,
}

/// A challenge that was sent and not answered yet.
struct Challenged {
    verifier: SessionVerifier,
    session: TjpAddr,
    uuid: String,
    ids: Vec<String>,
    /// When it was asked, by the monotonic time.
    at: Duration,
}

/// The state of a connected session.
struct Connected {
    verifier: SessionVerifier,
    saga: Saga,
    incoming: IncomingPayload,
    outgoing: Option<OutgoingPayload>,
    /// The newest frames that the sender has of what it wants.
    commons: HashSet<AddrKey>,
    progress: Progress,
    /// What the sender stated, but for stones that are lacking here: those are expected.
    named: HashSet<AddrKey>,
    /// What the saga is about, as its first page says.
    scope: Option<Scope>,
    offers: Option<OfferCursor>,
    /// What came before the first turn, which is to say on which guess it was sent.
    guessed: Vec<Box<str>>,
    /// While the sender asks by sketches what differs.
    sketched: Option<Sketched>,
    /// Whether a sketch told it: then nothing is offered any more.
    is_sketched: bool,
    /// Whether the sender lists what it has.
    is_listed: bool,
    /// Whether it said of anything that it has it.
    has_data: bool,
    /// What it kept of what it wants, until that is delivered.
    kept_there: Vec<Checkpoint>,
}

/// How far the turns of a saga have come (docs/protocol.md, section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    /// The sender states what it has.
    Stating,
    /// All was stated and answered; pages that are left open may follow.
    Stated,
    /// What the sender wants is delivered.
    Delivering,
    /// All that it sent is declared by a signed turn: the commit is to come.
    Received,
}

/// How far the offers of what the sender did not name have got.
struct OfferCursor {
    roots: VecDeque<RowId>,
    root_stones: VecDeque<Addr>,
    after_timeline: Option<RowId>,
    after_stone: Option<RowId>,
    timelines_done: bool,
}

impl<'a> Receiver<'a> {
    /// A receiver for the domain `domain`, whose space is `space`.
    pub fn new(
        space: &'a dyn Space,
        domain: TjpAddr,
        authority: &'a dyn SessionAuthority,
        opts: ReceiverOpts,
    ) -> Self {
        Paused::new(domain, opts).resume(space, authority)
    }

    /// Lets go of the space until the next message.
    pub fn pause(self) -> Paused {
        self.at
    }

    /// Whether the sender proved itself.
    pub fn is_authenticated(&self) -> bool {
        matches!(self.at.state, State::Connected(_) | State::Done)
    }

    /// Whether the saga was committed.
    pub fn is_committed(&self) -> bool {
        self.at.committed
    }

    fn hello(
        &mut self,
        there: &Capabilities,
        domain: &TjpAddr,
        session: &TjpAddr,
    ) -> Result<(), SyncError> {
        let common = Capabilities::with(self.at.opts.features.clone()).common(there)?;
        // The sender names what it uses, not what it knows: all of it must be understood.
        if let Some(feature) = there.features.difference(&common.features).next() {
            return Err(SyncError::Feature(feature.as_str().to_owned()));
        }
        if *domain != self.at.domain {
            return Err(SyncError::Auth("another identity's domain".into()));
        }
        self.at.live.check_session(self.space, &self.at.domain, session)?;
        let genesis = domain::unconnected(self.space, session)?;
        let env = &*self.at.opts.env;
        let ids = keystone::choose_demands(&genesis, keystone::POOL_CONNECT, DEMANDED, env)
            .map_err(|_| SyncError::Auth("the session's connect pool is too small".into()))?;
        let uuid = random_id(env)?;
        self.at.out.push_back(Msg::AuthChallenge {
            challenge_uuid: uuid.clone(),
            demanded_ids: ids.clone(),
        });
        let (verifier, session) = (SessionVerifier::new(genesis), session.clone());
        let challenged = Challenged { verifier, session, uuid, ids, at: env.monotonic() };
        self.at.state = State::Challenged(Box::new(challenged));
        self.at.features = common.features;
        Ok(())
    }

    fn prove(&mut self, frame: &IbGib) -> Result<(), SyncError> {
        let challenged = match std::mem::replace(&mut self.at.state, State::Silent) {
            State::Challenged(challenged) => challenged,
            other => {
                self.at.state = other;
                return Err(SyncError::protocol("a proof without a challenge"));
            }
        };
        let Challenged { mut verifier, session, uuid, ids, at } = *challenged;
        if self.at.opts.env.monotonic().saturating_sub(at) > self.at.opts.challenge_time {
            return Err(SyncError::Auth("the challenge is too old".into()));
        }
        let saga_id = domain::saga_of_session(verifier.tip())
            .ok_or_else(|| SyncError::Auth("the session names no saga".into()))?;
        self.at.live.check(self.space, &self.at.domain)?;
        let frame = verifier.connect(frame, &uuid, &ids)?;
        self.authority.admit(&session)?;
        let (identity, session) = (self.at.domain.clone(), session);
        let signed_by = Some(SignedBy { identity, session: session.clone() });
        let bound = self.at.opts.quota.for_signing();
        let opts = PutOpts { signed_by, bound, ..PutOpts::default() };
        self.space.put(&mut std::iter::once(Ok(frame)), &opts)?;
        let since = self.at.live.since();
        let token = self.authority.token(since)?;
        let state_token = match self.at.features.contains(&Feature::STATE_DIGEST) {
            true => self.authority.state_token(since)?,
            false => None,
        };
        let compresses = self.at.features.contains(&Feature::ZSTD);
        let window = compresses.then(|| self.authority.window()).flatten();
        self.at.out.push_back(Msg::AuthOk { token, state_token, window });
        let (domain, dir) = (self.at.domain.clone(), &self.at.opts.stage_dir);
        let share = self.at.opts.staging.as_ref().map(|staging| staging.share(&domain));
        let incoming = IncomingPayload::new(domain, dir, self.at.opts.limits)?.sharing(share);
        let keep_in = self.at.opts.keep_in.clone().filter(|_| self.resumes());
        let incoming = incoming.keeping(keep_in, &self.at.domain, self.at.opts.env.now());
        self.at.state = State::Connected(Box::new(Connected {
            verifier,
            saga: Saga::new(saga_id, session),
            incoming,
            outgoing: None,
            progress: Progress::Stating,
            commons: HashSet::new(),
            named: HashSet::new(),
            scope: None,
            offers: None,
            guessed: Vec::new(),
            sketched: None,
            is_sketched: false,
            is_listed: false,
            has_data: false,
            kept_there: Vec::new(),
        }));
        Ok(())
    }

    fn request(&mut self, turn: &Context) -> Result<(), SyncError> {
        self.at.turns += 1;
        if self.at.turns > self.at.opts.max_turns {
            return Err(SyncError::Limit(format!(
                "a session takes {} turns",
                self.at.opts.max_turns
            )));
        }
        self.at.live.check(self.space, &self.at.domain)?;
        let open = self.connected()?;
        if open.outgoing.is_some() {
            return Err(SyncError::protocol("a turn before the last one was answered"));
        }
        let (body, turn) = open.saga.check(Role::Sender, turn)?;
        let signed = open.verifier.verify_turn(&turn)?;
        open.saga.append(&turn)?;
        open.incoming.keep(&turn, Some(signed))?;
        let bound = self.bound()?;
        self.expect_room(bound, 0)?;
        let says_guess = matches!(&body, Body::Init(Init { guess: Some(_), .. }));
        if !says_guess && !self.connected()?.guessed.is_empty() {
            return Err(SyncError::protocol(
                "a payload before the first turn, which says no guess",
            ));
        }
        match body {
            Body::Init(init) => self.init(&init),
            Body::Delta(delta) => self.delta(&delta),
            Body::Commit(commit) => self.commit(&commit),
            Body::Ack(_) => Err(SyncError::protocol("an ack from the sender")),
        }
    }

    /// Whether a payload may go on where it was cut.
    fn resumes(&self) -> bool {
        self.at.features.contains(&Feature::RESUME)
    }

    /// The open session, where the sender may send a payload now.
    fn receiving(&mut self) -> Result<&mut Connected, SyncError> {
        let open = self.connected()?;
        let is_time = matches!(open.progress, Progress::Stated | Progress::Delivering);
        if !is_time || open.outgoing.is_some() {
            return Err(SyncError::protocol("a payload out of turn"));
        }
        Ok(open)
    }

    /// How much there may be once this saga is committed.
    fn bound(&mut self) -> Result<Bound, SyncError> {
        let quota = self.at.opts.quota;
        Ok(match self.connected()?.incoming.has_payload() {
            true => quota.for_data(),
            false => quota.for_signing(),
        })
    }

    /// Errors where what is staged, and `more` bytes of JSON, would be refused at the commit.
    fn expect_room(&mut self, bound: Bound, more: u64) -> Result<(), SyncError> {
        let staged = self.connected()?.incoming.stage().bytes();
        Ok(self.space.check_bound(&bound, staged.saturating_add(more))?)
    }

    fn connected(&mut self) -> Result<&mut Connected, SyncError> {
        match &mut self.at.state {
            State::Connected(open) => Ok(open),
            _ => Err(SyncError::Auth("the session is not connected".into())),
        }
    }

    /// Makes the receiver's next turn and sends it.
    fn respond(&mut self, body: &Body) -> Result<(), SyncError> {
        let now = self.at.opts.env.now();
        let open = self.connected()?;
        let turn = open.saga.make(Role::Receiver, body, now)?;
        open.saga.append(&turn)?;
        open.incoming.keep(&turn, None)?;
        self.at.out.push_back(Msg::Response(Box::new(turn.into_inner())));
        Ok(())
    }
}
