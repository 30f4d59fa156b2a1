//! Before a session is connected: hello, challenge, proof.

use std::time::{Duration, Instant};

use sync_gib::ibgib::{IbGib, System, TjpAddr};
use sync_gib::keystone::{self, Claim, Signing, VERB_CONNECT, VERB_SYNC};
use sync_gib::sync::msg::{Msg, PROTOCOL, RefusalCode};
use sync_gib::sync::{AdmitAll, Machine, Receiver, ReceiverOpts, SyncError};
use tokio_tungstenite::tungstenite::Message;

use crate::hostile_common::*;

fn nobody() -> TjpAddr {
    TjpAddr::parse(&format!("keystone^{HASH}")).unwrap()
}

/// A frame on S's genesis that claims what it likes.
fn proof(session: &Session<'_>, verb: &str, target: &str, ids: &[String]) -> IbGib {
    let claim = Claim::new(verb, target);
    let now = System::new();
    let signing =
        Signing { claim: &claim, pool_id: None, required: ids, frame_details: None, env: &now };
    keystone::sign(&session.genesis, &session.secret, &signing).unwrap()
}

/// Answers the challenge with a frame that must not be accepted.
fn refused(make: impl FnOnce(&Session<'_>, &str, &[String]) -> IbGib) -> String {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let mut session = person.session(&host);
    session.unchanged(|session| {
        let (uuid, ids) = session.raw.hello(&session.domain, &session.session);
        let keystone = make(session, &uuid, &ids);
        session.raw.send(&Msg::AuthProof { keystone });
        let refusal = session.raw.auth_fail();
        assert_eq!(refusal.code, RefusalCode::Auth);
        refusal.message
    })
}

#[test]
fn strangers_are_refused() {
    let host = Host::new();
    let (ann, bob) = (Person::new(&host, "a"), Person::new(&host, "b"));
    let anns = ann.session(&host).session;
    let hello = |protocol, domain: &TjpAddr, session: &TjpAddr| {
        let mut raw = Raw::open(&host);
        let (domain, session) = (domain.clone(), session.clone());
        raw.send(&Msg::Hello { protocol, domain, session, features: Default::default() });
        raw.auth_fail()
    };
    for (domain, session) in [
        (&nobody(), &nobody()),
        (&nobody(), &anns),
        (ann.domain(), &nobody()),
        (bob.domain(), &anns),
        (ann.domain(), ann.domain()),
    ] {
        assert_eq!(hello(PROTOCOL, domain, session).code, RefusalCode::Auth);
    }
    assert_eq!(hello(PROTOCOL + 1, ann.domain(), &anns).code, RefusalCode::Version);
    host.all_closed();
}

#[test]
fn a_proof_solves_exactly_what_was_demanded() {
    let missing = refused(|session, uuid, ids| proof(session, VERB_CONNECT, uuid, &ids[1..]));
    assert!(missing.contains("exactly"), "{missing}");
    refused(|session, uuid, ids| {
        let pool = keystone::pool_ids(&session.genesis, keystone::POOL_CONNECT);
        let other = pool.into_iter().find(|id| !ids.contains(id)).unwrap();
        let ids: Vec<String> = ids.iter().cloned().chain([other]).collect();
        proof(session, VERB_CONNECT, uuid, &ids)
    });
    refused(|session, uuid, ids| {
        let pool = keystone::pool_ids(&session.genesis, keystone::POOL_CONNECT);
        let others: Vec<String> = pool.into_iter().filter(|id| !ids.contains(id)).collect();
        proof(session, VERB_CONNECT, uuid, &others)
    });
}

#[test]
fn a_proof_is_for_this_challenge_and_by_this_session() {
    refused(|session, _, ids| proof(session, VERB_CONNECT, HASH, ids));
    refused(|session, uuid, _| proof(session, VERB_SYNC, uuid, &[]));
    refused(|session, uuid, ids| {
        let mut frame = proof(session, VERB_CONNECT, uuid, ids);
        frame.data.as_mut().unwrap()["proofs"][0]["solutions"][0]["value"] = HASH.into();
        IbGib::new(frame.ib, frame.data, frame.rel8ns).unwrap()
    });
    refused(|session, uuid, ids| {
        let mut frame = proof(session, VERB_CONNECT, uuid, ids);
        frame.gib = session.genesis.gib.clone();
        frame
    });
    refused(|session, _, _| session.genesis.clone());
}

#[test]
fn a_session_connects_once() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let mut one = person.session(&host);
    let mut two = Raw::open(&host);
    let (uuid, ids) = two.hello(&one.domain, &one.session);
    let late = proof(&one, VERB_CONNECT, &uuid, &ids);
    one.connect();

    two.send(&Msg::AuthProof { keystone: late });
    assert_eq!(two.auth_fail().code, RefusalCode::Auth);
    let mut three = Raw::open(&host);
    let (domain, session) = (one.domain.clone(), one.session.clone());
    three.send(&Msg::Hello { protocol: PROTOCOL, domain, session, features: Default::default() });
    assert!(three.auth_fail().message.contains("connected before"));
    one.send_turn(&sync_gib::sync::body::Body::Init(init()));
    one.answer();
}

#[test]
fn sessions_and_challenges_expire() {
    let host = Host::with(|opts| opts.session_time = Duration::ZERO);
    let person = Person::new(&host, "a");
    let mut session = person.session(&host);
    std::thread::sleep(Duration::from_millis(5));
    session.unchanged(|session| {
        let (uuid, ids) = session.raw.hello(&session.domain, &session.session);
        let keystone = proof(session, VERB_CONNECT, &uuid, &ids);
        session.raw.send(&Msg::AuthProof { keystone });
        assert!(session.raw.auth_fail().message.contains("expired"));
    });

    let opts = ReceiverOpts::new(host.dir.path().to_owned());
    let opts = ReceiverOpts { challenge_time: Duration::ZERO, ..opts };
    let space = host.space(person.domain());
    let mut receiver = Receiver::new(&space, person.domain().clone(), &AdmitAll, opts);
    let (domain, of) = (person.domain().clone(), session.session.clone());
    receiver
        .handle(Msg::Hello {
            protocol: PROTOCOL,
            domain,
            session: of,
            features: Default::default(),
        })
        .unwrap();
    let Some(Msg::AuthChallenge { challenge_uuid, demanded_ids }) = receiver.next().unwrap() else {
        panic!("no challenge")
    };
    std::thread::sleep(Duration::from_millis(2));
    let keystone = proof(&session, VERB_CONNECT, &challenge_uuid, &demanded_ids);
    let late = receiver.handle(Msg::AuthProof { keystone });
    assert!(matches!(late, Err(SyncError::Auth(message)) if message.contains("too old")));
    assert!(!receiver.is_authenticated());
}

#[test]
fn nothing_but_hello_comes_first() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let genesis = person.genesis.clone();
    let texts: Vec<Box<str>> = vec![genesis.to_json().into()];
    for msg in [
        Msg::AuthProof { keystone: genesis.clone() },
        Msg::Payload { ibgibs: texts },
        Msg::Offer { seq: 0, addrs: vec![nobody().into()] },
        Msg::Need { seq: 0, lacks: vec![true] },
        Msg::AuthOk { token: None, state_token: None, window: None },
        Msg::AuthChallenge { challenge_uuid: "u".into(), demanded_ids: vec![] },
    ] {
        let mut raw = Raw::open(&host);
        raw.send(&msg);
        raw.auth_fail();
        // And none of them helps where a challenge is out.
        if !matches!(msg, Msg::AuthProof { .. }) {
            let mut session = person.session(&host);
            session.raw.hello(&session.domain, &session.session);
            session.raw.send(&msg);
            session.raw.auth_fail();
        }
    }
    host.all_closed();
}

#[test]
fn what_is_no_message_is_refused() {
    let host = Host::new();
    let deep = format!("{{\"type\":\"hello\",\"x\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
    for message in [
        Message::text("garbage"),
        Message::text(""),
        Message::text("{\"type\":\"hello\"}"),
        Message::text("{\"type\":\"hello\",\"__proto__\":1}"),
        Message::text(deep),
        Message::binary(vec![0u8; 64]),
    ] {
        let mut raw = Raw::open(&host);
        raw.send_raw(message);
        assert_eq!(raw.auth_fail().code, RefusalCode::Protocol);
    }
    let mut raw = Raw::open(&host);
    raw.send_raw(Message::text("x".repeat(2 << 20)));
    assert_eq!(raw.auth_fail().code, RefusalCode::Limit);
    let mut raw = Raw::open(&host);
    raw.send_raw(Message::text("x".repeat(9 << 20)));
    raw.closed();
    host.all_closed();
}

#[test]
fn who_does_not_prove_himself_in_time_is_closed() {
    let host = Host::with(|opts| opts.timeouts.untrusted = Duration::from_millis(300));
    let person = Person::new(&host, "a");
    let mut silent = Raw::open(&host);
    let mut session = person.session(&host);
    session.raw.hello(&session.domain, &session.session);
    assert!(silent.auth_fail().message.contains("time"));
    session.raw.auth_fail();

    // Signs of life are no proof.
    let mut trickling = Raw::open(&host);
    let start = Instant::now();
    while host.server.open_sockets() > 0 {
        trickling.send_raw(Message::Ping(vec![1].into()));
        std::thread::sleep(Duration::from_millis(20));
        assert!(start.elapsed() < LONG, "it stays open");
    }
}

#[test]
fn who_proved_himself_and_falls_silent_is_closed() {
    let host = Host::with(|opts| opts.timeouts.session = Duration::from_millis(600));
    let person = Person::new(&host, "a");
    let mut session = person.connected(&host);
    session.unchanged(|session| session.raw.closed());
}
