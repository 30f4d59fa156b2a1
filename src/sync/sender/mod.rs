//! The sender's half of a session: a state machine that knows no transport.

mod answers;
mod commit;
mod fetch;
mod guess;
mod held;
mod machine;
mod merges;
mod opts;
mod plan;
mod probe;
mod push;
mod sketch;
mod state;

pub use commit::{NAME_SAGA, NAME_SESSION};
pub use opts::{Direction, PULL_BYTES, RETRY_FOR, SenderOpts};
pub use plan::{Plan, Pull, Push, Summary, TipChange, TipChangeKind};

use std::collections::VecDeque;

use super::body::{Body, Commit, Delta, Want};
use super::capabilities::{Feature, Features};
use super::error::SyncError;
use super::frame::{Role, Saga};
use super::msg::{Checkpoint, Context, Msg, Token};
use super::payload::{IncomingPayload, OutgoingPayload, SagaHasher};
use super::session::Signer;
use crate::ibgib::{Addr, IbGib, TjpAddr};
use crate::space::{Prepared, Space};
use state::Stating;

/// How many timelines and stones a turn states at most that is sent before the proof is accepted.
const MAX_EARLY: usize = 100;

/// The sender of one session.
pub struct Sender<'a> {
    space: &'a dyn Space,
    domain: TjpAddr,
    signer: Signer,
    saga: Saga,
    opts: SenderOpts,
    state: State,
    out: VecDeque<Msg>,
    plan: Plan,
    incoming: IncomingPayload,
    merged: Vec<Prepared>,
    wants: Vec<Want>,
    want_stones: Vec<Addr>,
    pushed: SagaHasher,
    summary: Summary,
    token: Option<Token>,
    state_token: Option<Token>,
    /// Whether the receiver has accepted the session's proof.
    is_connected: bool,
    /// S with the proof, while it is not known whether that is accepted.
    proof: Option<IbGib>,
    /// A first turn that waits until it is.
    held: Option<Msg>,
    /// Which offer of the receiver's comes next.
    next_offer: u32,
    /// Whether the receiver has no data at all, as far as it answered.
    is_empty_there: bool,
    /// What the receiver kept of a payload that was cut.
    kept_there: Vec<Checkpoint>,
}

enum State {
    Start,
    Hello,
    Proof,
    Init(Box<Stating>),
    /// What was new went out with a commit, on the guess that the receiver stands where it did.
    Guess(Box<Commit>),
    Pull,
    Push(Box<OutgoingPayload>),
    Pushed,
    Commit(Box<Commit>),
    Done,
}

impl<'a> Sender<'a> {
    /// A sender that signs with `signer`, whose session the receiver knows already.
    pub fn new(
        space: &'a dyn Space,
        domain: TjpAddr,
        saga_id: String,
        signer: Signer,
        opts: SenderOpts,
    ) -> Result<Self, SyncError> {
        let saga = Saga::new(saga_id, signer.tjp().clone());
        let incoming = IncomingPayload::new(domain.clone(), &opts.stage_dir, opts.limits)?;
        let incoming = incoming.keeping(opts.keep_in.clone(), &domain, opts.env.now());
        Ok(Sender {
            space,
            domain,
            signer,
            saga,
            opts,
            state: State::Start,
            out: VecDeque::new(),
            plan: Plan::default(),
            incoming,
            merged: Vec::new(),
            wants: Vec::new(),
            want_stones: Vec::new(),
            pushed: SagaHasher::default(),
            summary: Summary::default(),
            token: None,
            state_token: None,
            is_connected: false,
            proof: None,
            next_offer: 0,
            is_empty_there: true,
            held: None,
            kept_there: Vec::new(),
        })
    }

    /// The tjp address of the identity whose data is synced.
    pub fn domain(&self) -> &TjpAddr {
        &self.domain
    }

    /// Whether the receiver has accepted the session's proof.
    pub fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// What the session uses beyond the protocol.
    pub fn features(&self) -> &Features {
        &self.opts.features
    }

    /// Leaves out what the receiver does not speak after all. To be called before the first
    /// message, which tells the receiver what is used.
    pub fn keep_features(&mut self, spoken: &Features) {
        self.opts.features.retain(|feature| spoken.contains(feature));
    }

    /// What was done so far.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// What is to be moved, once that is known.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The token that the receiver handed out.
    pub fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// The token for asking whether anything is new, where one was wanted and handed out.
    pub fn state_token(&self) -> Option<&Token> {
        self.state_token.as_ref()
    }

    /// Takes the first turn.
    fn begin(&mut self) -> Result<(), SyncError> {
        // It goes into the space with the rest of the session, in one transaction.
        self.incoming.keep_one(Prepared::new(self.signer.tip())?)?;
        let stating = self.begin_stating()?;
        self.go_on_stating(Box::new(stating))
    }

    /// Takes the first turn right after the proof. One that is long waits until that is accepted:
    /// before, a receiver takes few bytes.
    fn begin_early(&mut self) -> Result<(), SyncError> {
        if let Some(guessed) = self.guess()? {
            return self.send_guess(guessed);
        }
        self.begin()?;
        if let State::Init(stating) = &self.state
            && stating.stated.len() + stating.stones.len() > MAX_EARLY
        {
            self.held = self.out.pop_back();
        }
        Ok(())
    }

    /// States the next page, or asks where timelines split; with all of that answered, the plan is
    /// known, and things begin to move.
    fn go_on_stating(&mut self, mut stating: Box<Stating>) -> Result<(), SyncError> {
        let next = match self.next_page(&mut stating)? {
            Some(page) => Some(page),
            None => self.next_probes(&mut stating),
        };
        if let Some(init) = next {
            self.state = State::Init(stating);
            return self.request(&Body::Init(init));
        }
        self.hold_back(&stating.branches)?;
        self.summary.equal = self.plan.equal;
        if self.opts.dry_run {
            self.state = State::Done;
            return Ok(());
        }
        self.begin_fetching()?;
        self.go_on_fetching()
    }

    /// Asks for the next page of what is wanted; with all of it here, merges and sends.
    fn go_on_fetching(&mut self) -> Result<(), SyncError> {
        if let Some(wants) = self.next_wants() {
            (self.state, self.next_offer) = (State::Pull, 0);
            self.offer_kept();
            return self.request(&Body::Delta(wants));
        }
        self.merge_all()?;
        match self.begin_push()? {
            Some(outgoing) => self.state = State::Push(Box::new(outgoing)),
            None => self.request_commit()?,
        }
        Ok(())
    }

    /// Whether a payload may go on where it was cut.
    fn resumes(&self) -> bool {
        self.opts.features.contains(&Feature::RESUME)
    }

    /// Says what was kept of the payload that is asked for next.
    fn offer_kept(&mut self) {
        if !self.resumes() {
            return self.incoming.keep_nothing();
        }
        let checkpoints = self.incoming.offer_kept();
        if !checkpoints.is_empty() {
            self.out.push_back(Msg::Kept { checkpoints });
        }
    }

    /// Signs and sends the sender's next turn.
    fn request(&mut self, body: &Body) -> Result<(), SyncError> {
        if self.summary.turns >= self.opts.max_turns {
            let most = self.opts.max_turns;
            return Err(SyncError::Limit(format!("a saga of more than {most} turns")));
        }
        let mut turn = self.saga.make(Role::Sender, body, self.opts.env.now())?;
        self.signer.sign_turn(&mut turn, &*self.opts.env)?;
        self.saga.append(&turn)?;
        let signed = turn.signed_session_identity.as_ref().map(Prepared::of).transpose()?;
        self.incoming.keep(&turn, signed)?;
        self.summary.turns += 1;
        self.out.push_back(Msg::Request(Box::new(turn.into_inner())));
        Ok(())
    }

    fn response(&mut self, turn: &Context) -> Result<(), SyncError> {
        if turn.signed_session_identity.is_some() {
            return Err(SyncError::protocol("a response carries a signature"));
        }
        let (body, turn) = self.saga.check(Role::Receiver, turn)?;
        self.saga.append(&turn)?;
        self.incoming.keep(&turn, None)?;
        match (std::mem::replace(&mut self.state, State::Done), body) {
            (State::Init(mut stating), Body::Ack(ack)) => {
                self.acked(&mut stating, ack)?;
                self.go_on_stating(stating)
            }
            (State::Guess(sent), Body::Commit(done)) if sent.is_done_by(&done) => {
                self.guessed_right();
                self.committed()
            }
            (State::Guess(_), Body::Ack(ack)) if ack.is_empty() => {
                self.plan = Plan::default();
                let stating = self.begin_stating()?;
                self.go_on_stating(Box::new(stating))
            }
            (State::Pull, Body::Delta(delta)) => {
                self.incoming.close_turn(&delta.payload)?;
                self.go_on_fetching()
            }
            (State::Pushed, Body::Delta(delta)) if delta == Delta::default() => {
                self.request_commit()
            }
            (State::Commit(sent), Body::Commit(done)) if sent.is_done_by(&done) => self.committed(),
            (_, body) => {
                let stage = body.stage().name();
                Err(SyncError::protocol(format!("the {stage} does not answer what was sent")))
            }
        }
    }
}
