//! One turn on a guess: what breaks it is refused, and what is merely no longer so is dropped.

use std::sync::Arc;

use serde_json::json;
use sync_gib::ibgib::{Addr, Environment, IbGib, System, TjpAddr};
use sync_gib::keystone::{self, presets};
use sync_gib::peer::{NoObserver, client};
use sync_gib::space::{Space, SpaceExt, StateDigest};
use sync_gib::sync::body::{Ack, Body, Commit, Guess, Init, Move, PayloadDigest, Scope, Stated};
use sync_gib::sync::frame::Saga;
use sync_gib::sync::msg::{Msg, RefusalCode};
use sync_gib::sync::{Established, Feature, Features, Machine, Sender, SenderOpts, SyncError};

use crate::hostile_common::fake::Fake;
use crate::hostile_common::*;

fn features() -> Features {
    Features::from([Feature::GUESS, Feature::ONE_TURN])
}

fn addr(ibgib: &IbGib) -> Addr {
    ibgib.addr().unwrap()
}

fn texts(ibgibs: &[IbGib]) -> Vec<Box<str>> {
    ibgibs.iter().map(|ibgib| ibgib.to_json().into()).collect()
}

/// Someone whose timeline is on the host, and edited since.
struct Edited {
    host: Host,
    person: Person,
    tjp: TjpAddr,
    from: Addr,
    /// The edit: its dna and the new tip.
    more: Vec<IbGib>,
}

impl Edited {
    fn new() -> Edited {
        let host = Host::new();
        let person = Person::new(&host, "a");
        let x = timeline("x", json!({ "a": 1 }));
        person.space.put_all(&x).unwrap();
        let opts = SenderOpts::new(person.dir.path().to_owned());
        let link = host.link();
        client::sync(&person.space, &link, &person.identity, &opts, &mut NoObserver).unwrap();
        drop(link);
        host.all_closed();
        let tjp = x.iter().find(|ibgib| ibgib.is_tjp()).map(addr).unwrap().into();
        let more = edit(tip_of(&x), json!({ "a": 2 }));
        let from = addr(tip_of(&x));
        Edited { host, person, tjp, from, more }
    }

    fn told(&self) -> StateDigest {
        self.host.space(self.person.domain()).state().unwrap().digest
    }

    fn tip_there(&self) -> Addr {
        self.host.space(self.person.domain()).tip(&self.tjp).unwrap().unwrap().addr
    }

    fn moved(&self) -> Move {
        Move { tjp: self.tjp.clone(), from: Some(self.from.clone()), to: addr(&self.more[1]) }
    }

    /// The turn of a right guess.
    fn init(&self) -> Init {
        let (tip, n) = (addr(&self.more[1]), self.more[1].n().unwrap());
        let timelines = vec![Stated { tjp: self.tjp.clone(), tip, n }];
        let (state, payload) = (self.told(), digest(&texts(&self.more)));
        let guess = Guess { state, payload, moves: vec![self.moved()] };
        Init { timelines, more: true, guess: Some(Box::new(guess)), ..init() }
    }

    fn session(&self) -> Session<'_> {
        let mut session = self.person.session(&self.host);
        session.connect_with(features());
        session
    }

    /// Sends these, and a turn; it must be refused and leave nothing behind.
    fn refused(&self, ibgibs: &[IbGib], init: Init, code: RefusalCode) {
        let mut session = self.session();
        session.unchanged(|session| {
            if !ibgibs.is_empty() {
                session.raw.send(&Msg::Payload { ibgibs: texts(ibgibs) });
            }
            session.send_turn(&Body::Init(init));
            session.raw.sync_error(code)
        });
        assert_eq!(self.tip_there(), self.from);
    }

    /// A turn whose guess `set` changes.
    fn with(&self, set: impl FnOnce(&mut Guess)) -> Init {
        let mut init = self.init();
        set(init.guess.as_mut().unwrap());
        init
    }
}

#[test]
fn a_right_guess_is_committed_in_one_turn() {
    let edited = Edited::new();
    let mut session = edited.session();
    session.raw.send(&Msg::Payload { ibgibs: texts(&edited.more) });
    session.send_turn(&Body::Init(edited.init()));
    let Body::Commit(done) = session.answer() else { panic!("no commit") };
    assert_eq!(done.moves, [edited.moved()]);
    assert_eq!((done.payload.count, &*done.payload.digest), (2, ""));
    edited.host.all_closed();
    assert_eq!(edited.tip_there(), addr(&edited.more[1]));
    let there = edited.host.space(edited.person.domain());
    assert_eq!(there.tip(&session.session).unwrap().unwrap().n, 2, "connect, and one turn");
}

#[test]
fn a_wrong_guess_stores_nothing_and_the_saga_goes_on() {
    let edited = Edited::new();
    let unknown = addr(&IbGib::new("stone".into(), Some(json!(1)), None).unwrap());
    let state = edited.with(|guess| guess.state = StateDigest::default());
    let from = edited.with(|guess| guess.moves[0].from = Some(unknown));
    let new = edited.with(|guess| guess.moves[0].from = None);
    for wrong in [state, from, new] {
        let mut session = edited.session();
        session.raw.send(&Msg::Payload { ibgibs: texts(&edited.more) });
        session.send_turn(&Body::Init(wrong));
        let Body::Ack(ack) = session.answer() else { panic!("no ack") };
        assert!(ack.is_empty() && ack.more, "{ack:?}");
        assert_eq!(edited.tip_there(), edited.from);
        // Of what came before nothing is known any more.
        session.refused(&Body::Commit(commit_of(&edited)), RefusalCode::Protocol);
    }
    let mut session = edited.session();
    session.raw.send(&Msg::Payload { ibgibs: texts(&edited.more) });
    session.send_turn(&Body::Init(edited.with(|guess| guess.state = StateDigest::default())));
    session.answer();
    let commit = session.push(&edited.more);
    session.answer();
    session.send_turn(&Body::Commit(commit));
    assert!(matches!(session.answer(), Body::Commit(_)));
    edited.host.all_closed();
    assert_eq!(edited.tip_there(), addr(&edited.more[1]));
}

fn commit_of(edited: &Edited) -> Commit {
    Commit { payload: total(&[digest(&texts(&edited.more))]), moves: vec![edited.moved()] }
}

#[test]
fn what_relates_to_what_is_not_there_is_a_wrong_guess() {
    let edited = Edited::new();
    let tip = [edited.more[1].clone()];
    let mut session = edited.session();
    session.unchanged(|session| {
        session.raw.send(&Msg::Payload { ibgibs: texts(&tip) });
        let init = edited.with(|guess| guess.payload = digest(&texts(&tip)));
        session.send_turn(&Body::Init(init));
        assert!(matches!(session.answer(), Body::Ack(ack) if ack.is_empty()));
        session.raw.send(&Msg::Payload { ibgibs: texts(&tip) });
        session.raw.sync_error(RefusalCode::Protocol);
    });
}

#[test]
fn a_turn_that_does_not_fit_what_came_before_it_is_refused() {
    let edited = Edited::new();
    let (more, init) = (&edited.more[..], || edited.init());
    let protocol = RefusalCode::Protocol;
    // Something came, and the turn says nothing of it; or it says something, and is not the first.
    edited.refused(more, Init { guess: None, ..init() }, protocol);
    edited.refused(
        more,
        Init { scope: Scope::Roots(vec![edited.from.clone()]), ..init() },
        protocol,
    );
    edited.refused(more, Init { more: false, ..init() }, protocol);
    edited.refused(more, Init { timelines: vec![], ..init() }, protocol);
    edited.refused(more, edited.with(|guess| guess.moves.clear()), protocol);
    edited.refused(more, edited.with(|guess| guess.moves[0].to = edited.from.clone()), protocol);
    edited.refused(&[], init(), RefusalCode::Content);
    let short = |payload: &mut PayloadDigest| payload.count = 1;
    edited.refused(more, edited.with(|guess| short(&mut guess.payload)), RefusalCode::Content);
    let mut session = edited.session();
    session.unchanged(|session| {
        session.state(&[]);
        session.send_turn(&Body::Init(init()));
        session.raw.sync_error(protocol);
    });
    for body in [delta(digest(&texts(more))), Body::Commit(commit_of(&edited))] {
        let mut session = edited.session();
        session.unchanged(|session| {
            session.raw.send(&Msg::Payload { ibgibs: texts(more) });
            session.send_turn(&body);
            session.raw.sync_error(protocol);
        });
    }
}

#[test]
fn what_nobody_asked_for_does_not_come_with_a_guess() {
    let edited = Edited::new();
    let with = |more: Vec<IbGib>| {
        let all = [&edited.more[..], &more].concat();
        let init = edited.with(|guess| guess.payload = digest(&texts(&all)));
        edited.refused(&all, init, RefusalCode::Content);
    };
    with(vec![IbGib::new("stone".into(), Some(json!({ "i": 1 })), None).unwrap()]);
    with(timeline("y", json!({})));
    let mut forged = edited.more[1].clone();
    forged.data = Some(json!({ "n": 9 }));
    with(vec![forged]);
    let pools = presets::identity_pools(&System::new()).unwrap();
    let other = keystone::genesis(&secret_of("b"), &pools, None, &System::new()).unwrap();
    with(vec![other]);
    // I itself cannot be moved so.
    let domain = edited.person.domain().clone();
    let mut init = edited.init();
    init.timelines[0].tjp = domain.clone();
    init.guess.as_mut().unwrap().moves[0].tjp = domain;
    edited.refused(&edited.more, init, RefusalCode::Protocol);
}

#[test]
fn what_comes_before_the_first_turn_is_bounded_and_needs_the_feature() {
    let edited = Edited::new();
    let stone = |i: usize, size: usize| {
        let data = json!({ "i": i, "x": "x".repeat(size) });
        IbGib::new("stone".into(), Some(data), None).unwrap()
    };
    let many: Vec<IbGib> = (0..1001).map(|i| stone(i, 1)).collect();
    let large: Vec<IbGib> = (0..3).map(|i| stone(i, 100 << 10)).collect();
    for (ibgibs, code) in [(&many, RefusalCode::Limit), (&large, RefusalCode::Limit)] {
        let mut session = edited.session();
        session.unchanged(|session| {
            for ibgib in ibgibs.chunks(ibgibs.len().div_ceil(2)) {
                session.raw.send(&Msg::Payload { ibgibs: texts(ibgib) });
            }
            session.raw.sync_error(code);
        });
    }
    for used in [Features::new(), Features::from([Feature::ONE_TURN])] {
        let connected = || {
            let mut session = edited.person.session(&edited.host);
            session.connect_with(used.clone());
            session
        };
        connected().unchanged(|session| {
            session.raw.send(&Msg::Payload { ibgibs: texts(&edited.more) });
            session.raw.sync_error(RefusalCode::Protocol);
        });
        connected().refused(&Body::Init(edited.init()), RefusalCode::Protocol);
    }
}

/// Speaks by hand with a sender that guesses, until its first turn is out.
fn guessing(edited: &Edited) -> (Established, Arc<dyn Environment>) {
    edited.person.space.put_all(&edited.more).unwrap();
    let made =
        client::open_session(&edited.person.space, &edited.host.link(), &edited.person.identity);
    (made.unwrap(), Arc::new(System::new()))
}

/// What a sender that guesses says to a server that answers its first turn so.
fn answered(answer: impl FnOnce(&Edited, &Commit) -> Body) -> Result<Vec<&'static str>, SyncError> {
    let edited = Edited::new();
    let told = Some(edited.told());
    let (made, env) = guessing(&edited);
    let session = TjpAddr::from(made.session.addr().unwrap());
    let mut fake = Fake {
        session: made.session.clone(),
        saga: Saga::new(made.saga_id.clone(), session.clone()),
        turns: 0,
    };
    let opts = SenderOpts {
        told,
        features: features(),
        env,
        ..SenderOpts::new(edited.person.dir.path().to_owned())
    };
    let (space, domain) = (&edited.person.space, edited.person.domain().clone());
    let mut sender = Sender::new(space, domain, made.saga_id, made.signer, opts).unwrap();
    let Some(hello @ Msg::Hello { .. }) = sender.next().unwrap() else { panic!("no hello") };
    sender.handle(fake.auth(&hello).remove(0)).unwrap();
    let Some(proof @ Msg::AuthProof { .. }) = sender.next().unwrap() else { panic!("no proof") };
    let Some(Msg::Payload { ibgibs }) = sender.next().unwrap() else { panic!("no payload") };
    assert_eq!(ibgibs, texts(&edited.more));
    let Some(Msg::Request(turn)) = sender.next().unwrap() else { panic!("no turn") };
    fake.saga.append(&turn).unwrap();
    sender.handle(fake.auth(&proof).remove(0)).unwrap();
    let right = Commit {
        payload: PayloadDigest { digest: String::new(), ..digest(&ibgibs) },
        moves: vec![edited.moved()],
    };
    let body = answer(&edited, &right);
    sender.handle(fake.respond(&body).remove(0))?;
    let tip = edited.person.space.tip(&session).unwrap().map_or(0, |tip| tip.n);
    let mut said = vec![if tip == 2 { "stored" } else { "not stored" }];
    said.extend(sender.next().unwrap().map(|msg| msg.name()));
    Ok(said)
}

#[test]
fn a_sender_takes_a_commit_of_just_this_or_goes_on() {
    assert_eq!(answered(|_, right| Body::Commit(right.clone())).unwrap(), ["stored"]);
    let nothing = Ack { more: true, ..Ack::default() };
    let went_on = answered(|_, _| Body::Ack(nothing.clone())).unwrap();
    assert_eq!(went_on, ["not stored", "sync_frame_request"]);
    let refused = |answer: &dyn Fn(&Edited, &Commit) -> Body| {
        let error = answered(answer).unwrap_err();
        assert!(matches!(error, SyncError::Protocol(_)), "{error:?}");
    };
    refused(&|_, right| Body::Commit(Commit { moves: vec![], ..right.clone() }));
    refused(&|_, right| {
        let payload = PayloadDigest { count: 1, ..right.payload.clone() };
        Body::Commit(Commit { payload, ..right.clone() })
    });
    refused(&|edited, _| {
        Body::Ack(Ack { offered_stones: vec![edited.from.clone()], ..nothing.clone() })
    });
    refused(&|_, _| delta(PayloadDigest::default()));
}
