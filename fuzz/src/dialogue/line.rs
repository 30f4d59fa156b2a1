//! Who stands between a sender and a receiver, and can sign for their session.

use std::collections::VecDeque;

use serde_json::{Map, Value};
use sync_gib::ibgib::{Addr, IbGib, Moment, System, json as js};
use sync_gib::peer::wire;
use sync_gib::space::StateDigest;
use sync_gib::sync::body::{
    Ack, Body, Commit, Delta, Guess, Init, Move, PayloadDigest, SagaStage, Scope, Want,
};
use sync_gib::sync::frame::{Role, Saga};
use sync_gib::sync::msg::{Checkpoint, Context, Msg, PROTOCOL, Refusal, RefusalCode};
use sync_gib::sync::payload::{PayloadHasher, SagaHasher};
use sync_gib::sync::session::Signer;

use super::super::edit::{edit, rehash};
use super::super::fixtures::{Data, Keystones};
use super::super::input::Input;

/// Takes what one side says and gives what the other, or both, get to hear.
pub(super) struct Line<'i, 'd> {
    input: &'i mut Input<'d>,
    /// The saga as the sender sees it, and as the receiver does.
    sagas: [Saga; 2],
    /// S's newest frame that was sent.
    tip: IbGib,
    /// Signs turns once one was made anew: the sender's own no longer fit.
    signer: Option<Signer>,
    /// What came since the last turn: of the sender's, of the receiver's.
    hasher: [PayloadHasher; 2],
    /// What the sender's turns brought.
    total: SagaHasher,
    /// Whether turns are made anew with the seals of what came.
    reseals: bool,
    /// The commit as the sender made it.
    commit: Option<Commit>,
    /// What is late, with whom it is for.
    late: VecDeque<(Role, Msg)>,
    /// Whether the receiver's next answer is kept from the sender.
    swallows: bool,
    honest: bool,
}

fn other(role: Role) -> Role {
    match role {
        Role::Sender => Role::Receiver,
        Role::Receiver => Role::Sender,
    }
}

fn index(role: Role) -> usize {
    usize::from(role == Role::Receiver)
}

impl<'i, 'd> Line<'i, 'd> {
    pub(super) fn new(input: &'i mut Input<'d>) -> Line<'i, 'd> {
        let keystones = Keystones::get();
        let session = keystones.session[0].addr().unwrap();
        let saga = || Saga::new(keystones.saga_id.clone(), session.clone().into());
        Line {
            input,
            sagas: [saga(), saga()],
            tip: keystones.session[0].clone(),
            signer: None,
            hasher: [PayloadHasher::default(), PayloadHasher::default()],
            total: SagaHasher::default(),
            reseals: false,
            commit: None,
            late: VecDeque::new(),
            swallows: false,
            honest: true,
        }
    }

    /// Whether everything passed as it was.
    pub(super) fn is_honest(&self) -> bool {
        self.honest
    }

    /// What becomes of a message: what is said instead, and to whom.
    pub(super) fn carry(&mut self, msg: Msg, from: Role) -> Vec<(Role, Msg)> {
        let to = other(from);
        let act = self.input.byte() % 16;
        self.honest &= act < 6;
        if let Msg::AuthProof { keystone } = &msg {
            self.tip = keystone.clone();
        }
        let mut said: Vec<(Role, Msg)> = Vec::new();
        match act {
            0..6 => said.extend(self.pass(msg, from)),
            6 => {}
            7 => {
                said.extend(self.pass(msg, from));
                said.extend(said.last().cloned());
            }
            8 => {
                let late = self.pass(msg, from);
                self.late.extend(late);
                return said;
            }
            9 => said.extend(self.changed(&msg).map(|msg| (to, msg))),
            10 => said.extend(self.anew(msg, from)),
            11 => {
                self.reseals = true;
                said.extend(self.anew(msg, from));
            }
            _ => {
                let to = if self.input.byte() & 1 == 0 { to } else { from };
                said.extend(self.between(act, to).map(|msg| (to, msg)));
                said.extend(self.pass(msg, from));
            }
        }
        said.extend(self.late.drain(..));
        said
    }

    /// Lets a message pass, a turn made anew where its saga was left.
    fn pass(&mut self, msg: Msg, from: Role) -> Option<(Role, Msg)> {
        let msg = match msg {
            Msg::Payload { ibgibs } => {
                ibgibs.iter().for_each(|text| self.hasher[index(from)].add(text));
                Msg::Payload { ibgibs }
            }
            Msg::Request(turn) => Msg::Request(self.turn(turn, from, false)),
            Msg::Response(turn) => {
                let turn = self.turn(turn, from, false);
                if std::mem::take(&mut self.swallows) {
                    return None;
                }
                Msg::Response(turn)
            }
            msg => msg,
        };
        Some((other(from), msg))
    }

    /// A message as somebody says it who can sign for the session.
    fn anew(&mut self, msg: Msg, from: Role) -> Option<(Role, Msg)> {
        let msg = match msg {
            Msg::Payload { mut ibgibs } => {
                let at = self.input.below(ibgibs.len());
                let mut ibgib = js::parse(&ibgibs[at]).unwrap();
                edit(&mut ibgib, self.input);
                rehash(&mut ibgib);
                ibgibs[at] = js::stringify(&ibgib).into();
                ibgibs.iter().for_each(|text| self.hasher[index(from)].add(text));
                Msg::Payload { ibgibs }
            }
            Msg::AuthProof { keystone } => {
                let mut value = keystone.to_value();
                edit(&mut value, self.input);
                rehash(&mut value);
                Msg::AuthProof { keystone: read(&value)? }
            }
            Msg::Request(turn) => Msg::Request(self.turn(turn, from, true)),
            Msg::Response(turn) => Msg::Response(self.turn(turn, from, true)),
            msg => self.changed(&msg)?,
        };
        Some((other(from), msg))
    }

    /// A message with changes that nobody signed; none where it is no message any more.
    fn changed(&mut self, msg: &Msg) -> Option<Msg> {
        let mut value = js::parse(&wire::write(msg)).ok()?;
        edit(&mut value, self.input);
        wire::read(&js::stringify(&value)).ok()
    }

    /// Takes a turn, and gives the one that the other side sees.
    fn turn(&mut self, turn: Box<Context>, from: Role, changes: bool) -> Box<Context> {
        if let Some(frame) = &turn.signed_session_identity
            && self.signer.is_none()
        {
            self.tip = frame.clone();
        }
        let came = std::mem::take(&mut self.hasher[index(from)]).digest();
        self.sagas[index(from)].append(&turn).unwrap();
        let body = body_of(&turn);
        if let (Role::Sender, Body::Commit(commit)) = (from, &body) {
            self.commit = Some(commit.clone());
        }
        let was_left = self.signer.is_some();
        if !was_left && !changes && !self.reseals {
            self.count(from, &body, &came);
            self.sagas[index(other(from))].append(&turn).unwrap();
            return turn;
        }
        let body = if changes { self.changed_body(body) } else { body };
        let body = if self.reseals { self.redigested(body, from, &came) } else { body };
        self.count(from, &body, &came);
        Box::new(self.say(from, &body))
    }

    fn count(&mut self, from: Role, body: &Body, came: &PayloadDigest) {
        if from == Role::Sender && matches!(body, Body::Delta(_)) {
            self.total.add(came);
        }
    }

    fn changed_body(&mut self, body: Body) -> Body {
        let Ok(mut value) = body.to_value() else { return body };
        edit(&mut value, self.input);
        read_body(body.stage(), value).unwrap_or(body)
    }

    /// A body with the seals of what came, whatever its own are.
    fn redigested(&self, body: Body, from: Role, came: &PayloadDigest) -> Body {
        match (body, from) {
            (Body::Delta(delta), _) => Body::Delta(Delta { payload: came.clone(), ..delta }),
            (Body::Commit(commit), Role::Sender) => {
                Body::Commit(Commit { payload: self.total.digest(), ..commit })
            }
            (Body::Commit(done), Role::Receiver) => Body::Commit(self.answer(done)),
            (body, _) => body,
        }
    }

    /// The answer that the sender waits for.
    fn answer(&self, done: Commit) -> Commit {
        let Some(sent) = self.commit.clone() else { return done };
        Commit {
            payload: PayloadDigest { digest: String::new(), ..sent.payload },
            moves: sent.moves,
        }
    }

    /// Makes a turn of one side's for the other.
    fn say(&mut self, from: Role, body: &Body) -> Context {
        let now = Moment::from_ms(1_781_262_100_000).unwrap();
        let saga = &mut self.sagas[index(other(from))];
        let mut turn = saga.make(from, body, now).unwrap().into_inner();
        let secret = || Keystones::get().session_secret();
        let tip = &self.tip;
        let signer = self.signer.get_or_insert_with(|| Signer::new(secret(), tip.clone()).unwrap());
        if from == Role::Sender {
            // A pool that ran dry signs no more.
            let _ = signer.sign_turn(&mut turn, &System::at(now));
        }
        saga.append(&turn).unwrap();
        turn
    }

    /// Something that nobody said, for `to`.
    fn between(&mut self, act: u8, to: Role) -> Option<Msg> {
        match act {
            12 => wire::read(&self.input.text()).ok(),
            13 => Some(self.foreign(to)),
            14 => Some(self.foreign_turn(to)),
            _ => Some(self.control()),
        }
    }

    /// IbGibs that nobody asked for.
    fn foreign(&mut self, to: Role) -> Msg {
        self.reseals = true;
        let keystones = Keystones::get();
        let data = Data::get().all();
        let lists = [&keystones.identity[2..], &keystones.session[1..]];
        let list = match self.input.below(data.len() + lists.len()) {
            at if at < data.len() => data[at],
            at => lists[at - data.len()],
        };
        let changes = self.input.byte() & 3 == 3;
        let texts = list.iter().map(|ibgib| {
            let mut value = ibgib.to_value();
            if changes {
                edit(&mut value, self.input);
                rehash(&mut value);
            }
            js::stringify(&value).into_boxed_str()
        });
        let ibgibs: Vec<Box<str>> = texts.collect();
        ibgibs.iter().for_each(|text| self.hasher[index(other(to))].add(text));
        Msg::Payload { ibgibs }
    }

    /// A turn that nobody made.
    fn foreign_turn(&mut self, to: Role) -> Msg {
        let from = other(to);
        let came = std::mem::take(&mut self.hasher[index(from)]).digest();
        let data = Data::get();
        let addr = |ibgib: &IbGib| ibgib.addr().unwrap();
        let x = addr(&data.x[0]);
        let tips = [&data.x, &data.x_here, &data.x_there].map(|list| addr(&list[list.len() - 1]));
        let [tip, _, there] = tips.clone();
        let none = Vec::new;
        let body = match self.input.below(6) {
            0 => {
                let byte = self.input.byte();
                let (state, payload) = (StateDigest::default(), came.clone());
                let guess = Guess { state, payload, moves: Vec::new() };
                Body::Init(Init {
                    scope: Scope::All,
                    timelines: Vec::new(),
                    stones: none(),
                    probes: Vec::new(),
                    more: byte & 1 == 1,
                    guess: (byte & 2 == 2).then(|| Box::new(guess)),
                    sketch: None,
                })
            }
            1 => Body::Delta(Delta { payload: came.clone(), ..Delta::default() }),
            2 => Body::Delta(Delta {
                payload: came.clone(),
                wants: vec![Want { tjp: x.into(), tip, common: None }],
                want_stones: vec![addr(&data.stones[self.input.below(2)])],
            }),
            3 => {
                let mut payload = self.total.digest();
                if to == Role::Sender {
                    payload.digest.clear();
                }
                let from = Some(tips[self.input.below(3)].clone());
                let moves = match self.input.below(3) {
                    0 => Vec::new(),
                    _ => vec![Move { tjp: x.into(), from, to: there }],
                };
                Body::Commit(Commit { payload, moves })
            }
            _ => Body::Ack(Ack {
                timelines: Vec::new(),
                lacks: none(),
                offers: Vec::new(),
                offered_stones: data.stones.iter().map(addr).collect(),
                more: self.input.byte() & 1 == 1,
                sketch: None,
            }),
        };
        let body = if self.input.byte() & 1 == 1 { self.changed_body(body) } else { body };
        self.count(from, &body, &came);
        let turn = Box::new(self.say(from, &body));
        self.swallows |= from == Role::Sender && self.input.byte() & 1 == 0;
        match from {
            Role::Sender => Msg::Request(turn),
            Role::Receiver => Msg::Response(turn),
        }
    }

    /// A message without content, or with that of the fixtures.
    fn control(&mut self) -> Msg {
        let keystones = Keystones::get();
        let (data, input) = (Data::get(), &mut *self.input);
        let (domain, session) = (keystones.domain(), keystones.session[0].addr().unwrap());
        let refusal = Refusal { code: RefusalCode::Conflict, message: "a refusal".to_owned() };
        let seq = u32::from(input.byte());
        match input.below(10) {
            0 => Msg::Hello {
                protocol: PROTOCOL,
                domain,
                session: session.into(),
                features: Default::default(),
            },
            1 => Msg::AuthProof { keystone: keystones.session[1].clone() },
            2 => {
                let pool = sync_gib::keystone::pool_ids(&keystones.session[0], "connect");
                let demanded_ids = pool.into_iter().take(input.below(6)).collect();
                Msg::AuthChallenge { challenge_uuid: input.text(), demanded_ids }
            }
            3 => Msg::AuthOk { token: None, state_token: None, window: None },
            4 => Msg::SyncError(refusal),
            5 => Msg::AuthFail(refusal),
            6 => {
                let all = data.all();
                let all = all[input.below(all.len())];
                let addrs: Vec<Addr> = all.iter().map(|ibgib| ibgib.addr().unwrap()).collect();
                Msg::Offer { seq, addrs }
            }
            7 => Msg::Need {
                seq,
                lacks: (0..input.below(9)).map(|_| input.byte() & 1 == 1).collect(),
            },
            8 => Msg::Resume { count: seq.into() },
            _ => {
                let place = |count| Checkpoint { count, digest: "0".repeat(64) };
                Msg::Kept { checkpoints: vec![place(u64::from(seq) + 1), place(1000)] }
            }
        }
    }
}

fn body_of(turn: &Context) -> Body {
    let stage = turn.saga_frame.datum("stage").cloned().unwrap();
    let stage: SagaStage = serde_json::from_value(stage).unwrap();
    Body::read(stage, &turn.saga_frame_msg).unwrap()
}

/// The body that a value is at a stage, where it is one.
fn read_body(stage: SagaStage, body: Value) -> Option<Body> {
    let data = Map::from_iter([("body".to_owned(), body)]);
    let message = IbGib { data: Some(Value::Object(data)), ..IbGib::primitive("message") };
    Body::read(stage, &message).ok()
}

fn read(value: &Value) -> Option<IbGib> {
    IbGib::from_json(&js::stringify(value)).ok()
}
