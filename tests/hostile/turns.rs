//! Turns of a connected session that are not what a turn must be.

use std::time::Duration;

use futures_util::StreamExt;
use sync_gib::ibgib::{Addr, IbGib, Moment};
use sync_gib::peer::wire;
use sync_gib::space::Space;
use sync_gib::sync::body::{
    Ack, Body, Commit, Delta, Init, Move, PayloadDigest, Probe, Scope, Stated, Want,
};
use sync_gib::sync::frame::{Role, Saga};
use sync_gib::sync::msg::{Msg, PROTOCOL, RefusalCode};
use sync_gib::sync::session::Signer;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::hostile_common::*;

fn connected(act: impl FnOnce(&mut Session<'_>, &Person)) {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let mut session = person.connected(&host);
    session.unchanged(|session| act(session, &person));
}

fn nothing() -> Body {
    Body::Init(init())
}

fn addr(ib: &str) -> Addr {
    Addr::parse(&format!("{ib}^{HASH}")).unwrap()
}

#[test]
fn every_turn_is_signed_for_itself() {
    connected(|session, _| {
        let mut turn = session.turn(&nothing());
        turn.signed_session_identity = None;
        session.raw.send(&Msg::Request(Box::new(turn)));
        session.raw.sync_error(RefusalCode::Auth);
    });
    connected(|session, _| {
        let signed = session.turn(&delta(PayloadDigest::default()));
        let mut turn =
            session.saga.make(Role::Sender, &nothing(), Moment::now()).unwrap().into_inner();
        turn.signed_session_identity = signed.signed_session_identity;
        session.raw.send(&Msg::Request(Box::new(turn)));
        session.raw.sync_error(RefusalCode::Auth);
    });
    connected(|session, _| {
        let mut turn = session.turn(&nothing());
        turn.signed_session_identity = Some(session.genesis.clone());
        session.raw.send(&Msg::Request(Box::new(turn)));
        session.raw.sync_error(RefusalCode::Auth);
    });
}

#[test]
fn a_session_frame_is_used_once() {
    connected(|session, _| {
        let stale = session.signer.tip().clone();
        session.send_turn(&nothing());
        session.answer();
        let secret = secret_of("a").derive_session(session.saga.id());
        session.signer = Signer::new(secret, stale).unwrap();
        session.send_turn(&nothing());
        session.raw.sync_error(RefusalCode::Auth);
    });
}

#[test]
fn turns_follow_one_another() {
    connected(|session, _| {
        let turn = session.turn(&nothing());
        session.saga.append(&turn).unwrap();
        session.send_turn(&nothing());
        session.raw.sync_error(RefusalCode::Protocol);
    });
    connected(|session, _| {
        let turn = session.turn(&nothing());
        session.raw.send(&Msg::Request(Box::new(turn.clone())));
        session.saga.append(&turn).unwrap();
        session.answer();
        session.raw.send(&Msg::Request(Box::new(turn)));
        session.raw.sync_error(RefusalCode::Protocol);
    });
    connected(|session, _| {
        session.saga = Saga::new("another".into(), session.session.clone());
        session.send_turn(&nothing());
        session.raw.sync_error(RefusalCode::Protocol);
    });
    connected(|session, _| {
        let turn =
            session.saga.make(Role::Receiver, &nothing(), Moment::now()).unwrap().into_inner();
        session.raw.send(&Msg::Request(Box::new(turn)));
        session.raw.sync_error(RefusalCode::Protocol);
    });
}

#[test]
fn a_turns_ibgibs_are_what_they_say() {
    for break_one in [
        |turn: &mut sync_gib::sync::msg::Context| turn.context.gib = HASH.into(),
        |turn: &mut sync_gib::sync::msg::Context| turn.saga_frame.gib = HASH.into(),
        |turn: &mut sync_gib::sync::msg::Context| turn.saga_frame_msg.gib = HASH.into(),
    ] {
        connected(|session, _| {
            let mut turn = session.turn(&nothing());
            break_one(&mut turn);
            session.raw.send(&Msg::Request(Box::new(turn)));
            session.raw.sync_error(RefusalCode::Content);
        });
    }
    connected(|session, _| {
        let mut turn = session.turn(&nothing());
        let mut data = turn.saga_frame_msg.data.clone().unwrap();
        data["extra"] = true.into();
        let message = IbGib::new("sync_saga_msg".into(), Some(data), None).unwrap();
        turn.saga_frame_msg = message;
        session.raw.send(&Msg::Request(Box::new(turn)));
        session.raw.sync_error(RefusalCode::Protocol);
    });
}

#[test]
fn keystones_and_sagas_are_not_synced_as_data() {
    connected(|session, person| {
        let (tjp, tip) = (person.domain().clone(), person.domain().clone().into());
        let timelines = vec![Stated { tjp, tip, n: 0 }];
        session.send_turn(&Body::Init(Init { timelines, ..init() }));
        session.raw.sync_error(RefusalCode::Protocol);
    });
    connected(|session, person| {
        let tip = person.space.tip(person.domain()).unwrap().unwrap().addr;
        session.state(&[]);
        let wants = vec![Want { tjp: person.domain().clone(), tip, common: None }];
        session.send_turn(&Body::Delta(Delta { wants, ..Delta::default() }));
        session.raw.sync_error(RefusalCode::Protocol);
    });
}

#[test]
fn lists_are_bounded() {
    connected(|session, _| {
        let stones = (0..3000).map(|i| addr(&format!("s{i}"))).collect();
        session.send_turn(&Body::Init(Init { stones, ..init() }));
        session.raw.sync_error(RefusalCode::Limit);
    });
    connected(|session, _| {
        let scope = Scope::Roots((0..2001).map(|i| addr(&format!("s{i}"))).collect());
        session.send_turn(&Body::Init(Init { scope, ..init() }));
        session.raw.sync_error(RefusalCode::Limit);
    });
    for addrs in [vec![addr("a"); 5000], vec![]] {
        connected(|session, _| {
            session.state(&[]);
            session.raw.send(&Msg::Offer { seq: 0, addrs });
            session.raw.sync_error(RefusalCode::Limit);
        });
    }
    connected(|session, _| {
        session.raw.send(&Msg::Need { seq: 0, lacks: vec![true] });
        session.raw.sync_error(RefusalCode::Protocol);
    });
    connected(|session, _| {
        let long = "1".repeat(5000);
        session
            .raw
            .send_raw(Message::text(format!(r#"{{"type":"need","seq":0,"lacks":"{long}"}}"#)));
        session.raw.sync_error(RefusalCode::Limit);
    });
}

#[test]
fn the_addresses_that_a_saga_offers_are_counted() {
    const MOST: usize = 10_000;
    let host = Host::with(|opts| opts.limits.ibgibs = MOST as u64);
    let person = Person::new(&host, "a");
    let different = |from: usize, count: usize| {
        (from..from + count).map(|at| addr(&format!("s{at}"))).collect::<Vec<_>>()
    };
    // Whether they are others each time or always the same.
    for is_same in [false, true] {
        let mut session = person.connected(&host);
        session.state(&[]);
        session.unchanged(|session| {
            let (mut seq, mut offered) = (0, 0);
            for count in [4096, 4096, MOST - 2 * 4096] {
                let addrs = different(if is_same { 0 } else { offered }, count);
                session.raw.send(&Msg::Offer { seq, addrs });
                match session.raw.receive() {
                    Some(Msg::Need { seq: of, lacks }) => {
                        assert_eq!((of, lacks.len()), (seq, count))
                    }
                    other => panic!("{other:?} after {offered} addresses"),
                }
                (seq, offered) = (seq + 1, offered + count);
            }
            session.raw.send(&Msg::Offer { seq, addrs: different(offered, 1) });
            let refusal = session.raw.sync_error(RefusalCode::Limit);
            assert!(refusal.message.contains("10001 addresses"), "{}", refusal.message);
        });
    }
}

#[test]
fn questions_about_what_is_not_here_are_refused() {
    connected(|session, _| {
        let probes = vec![Probe { tjp: addr("x").into(), tip: addr("x"), above: 0, below: 9 }];
        session.send_turn(&Body::Init(Init { probes, ..init() }));
        session.raw.sync_error(RefusalCode::Protocol);
    });
    connected(|session, _| {
        session.state(&[]);
        let wants = vec![Want { tjp: addr("x").into(), tip: addr("x"), common: None }];
        session.send_turn(&Body::Delta(Delta { wants, ..Delta::default() }));
        session.raw.sync_error(RefusalCode::Protocol);
    });
    connected(|session, _| {
        session.state(&[]);
        let want_stones = vec![addr("x")];
        session.send_turn(&Body::Delta(Delta { want_stones, ..Delta::default() }));
        session.raw.sync_error(RefusalCode::Protocol);
    });
    connected(|session, _| {
        let ack = Ack { more: true, ..Ack::default() };
        session.send_turn(&Body::Ack(ack));
        session.raw.sync_error(RefusalCode::Protocol);
    });
}

#[test]
fn the_scope_does_not_change() {
    // Whether more is to be stated or not.
    for more in [true, false] {
        connected(|session, _| {
            session.send_turn(&Body::Init(Init { more: true, ..init() }));
            session.answer();
            let scope = Scope::Roots(vec![addr("x")]);
            session.send_turn(&Body::Init(Init { scope, more, ..init() }));
            session.raw.sync_error(RefusalCode::Protocol);
        });
    }
    connected(|session, _| {
        session.send_turn(&nothing());
        session.answer();
        let scope = Scope::Roots(vec![addr("x")]);
        session.send_turn(&Body::Init(Init { scope, ..init() }));
        session.raw.sync_error(RefusalCode::Protocol);
    });
}

#[test]
fn a_commit_is_of_what_came() {
    connected(|session, _| {
        session.state(&[]);
        let payload = PayloadDigest { count: 1, bytes: 2, digest: HASH.to_lowercase() };
        session.send_turn(&Body::Commit(Commit { payload, moves: vec![] }));
        session.raw.sync_error(RefusalCode::Content);
    });
    connected(|session, _| {
        let made = timeline("x", serde_json::json!({}));
        let Commit { payload, .. } = session.push(&made);
        session.answer();
        let tjp = made.iter().find(|ibgib| ibgib.is_tjp()).unwrap().addr().unwrap();
        let moves = vec![Move { tjp: tjp.into(), from: None, to: addr("x") }];
        session.send_turn(&Body::Commit(Commit { payload, moves }));
        session.raw.sync_error(RefusalCode::Content);
    });
    connected(|session, person| {
        session.state(&[]);
        let moves = vec![Move { tjp: person.domain().clone(), from: None, to: addr("x") }];
        session.send_turn(&Body::Commit(Commit { payload: PayloadDigest::default(), moves }));
        session.raw.sync_error(RefusalCode::Conflict);
    });
}

#[test]
fn a_session_takes_so_many_turns() {
    let host = Host::with(|opts| opts.max_turns = 3);
    let person = Person::new(&host, "a");
    let mut session = person.connected(&host);
    for _ in 0..3 {
        session.send_turn(&nothing());
        session.answer();
    }
    session.refused(&nothing(), RefusalCode::Limit);
}

#[test]
fn a_connected_session_does_not_begin_again() {
    connected(|session, _| {
        let (domain, of) = (session.domain.clone(), session.session.clone());
        session.raw.send(&Msg::Hello {
            protocol: PROTOCOL,
            domain,
            session: of,
            features: Default::default(),
        });
        session.raw.sync_error(RefusalCode::Protocol);
    });
    connected(|session, _| {
        session.raw.send(&Msg::AuthProof { keystone: session.genesis.clone() });
        session.raw.sync_error(RefusalCode::Protocol);
    });
    for message in [Message::binary(vec![1, 2]), Message::text("{]")] {
        connected(|session, _| {
            session.raw.send_raw(message);
            session.raw.sync_error(RefusalCode::Protocol);
        });
    }
    connected(|session, _| {
        session.raw.send_raw(Message::text("x".repeat(9 << 20)));
        session.raw.closed();
    });
}

#[test]
fn a_closing_frame_says_what_kind_of_end_it_is() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let mut done = person.connected(&host);
    let commit = done.push(&timeline("x", serde_json::json!({})));
    done.answer();
    done.send_turn(&Body::Commit(commit));
    done.answer();
    assert_eq!(done.raw.close_code(), Some(1000), "all was said");

    let mut unproved = Raw::open(&host);
    unproved.send_raw(Message::text("garbage"));
    assert_eq!(unproved.close_code(), Some(1008), "refused before the proof");
    let mut proved = person.connected(&host);
    proved.send_turn(&delta(PayloadDigest::default()));
    assert_eq!(proved.raw.close_code(), Some(1008), "refused after it");

    let bound = Host::with(|opts| opts.max_staged_bytes = Some(64 << 10));
    let person = Person::new(&bound, "a");
    // Two sessions of one identity, of which the first leaves too little for the other.
    let (mut one, mut other) = (person.connected(&bound), person.connected(&bound));
    one.state(&[]);
    let stone = IbGib::new("s".into(), Some("x".repeat(18_000).into()), None).unwrap();
    one.raw.send(&Msg::Payload { ibgibs: vec![stone.to_json().into()] });
    let staged = || bound.server.staged_bytes().unwrap_or(0);
    eventually("staging the first's", || staged() > 18_000);
    other.send_turn(&nothing());
    other.raw.send(&Msg::Payload { ibgibs: vec![stone.to_json().into()] });
    assert_eq!(other.raw.close_code(), Some(1013), "busy");
}

#[test]
fn a_server_that_stops_says_so() {
    let Host { runtime, server, dir: _dir } = Host::new();
    let url = format!("ws://{}{}", server.addr(), wire::PATH_WS);
    let code = runtime.block_on(async {
        let (mut ws, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        let stopping = tokio::spawn(server.stop());
        let code = loop {
            match timeout(LONG, ws.next()).await.expect("the socket stays open") {
                Some(Ok(Message::Close(frame))) => break frame.map(|frame| u16::from(frame.code)),
                Some(Ok(_)) => {}
                other => panic!("{other:?} instead of a closing frame"),
            }
        };
        drop(ws);
        stopping.await.unwrap().unwrap();
        code
    });
    assert_eq!(code, Some(1001));
}

/// A host that waits half a second for the proof, and as long between messages as said.
fn impatient(turn_time: Duration) -> Host {
    Host::with(|opts| {
        opts.timeouts.untrusted = Duration::from_millis(500);
        opts.timeouts.idle = Duration::from_secs(1);
        opts.turn_time = turn_time;
    })
}

#[test]
fn pongs_alone_keep_no_place_before_the_first_turn() {
    let host = impatient(LONG * 10);
    let mut session = Person::new(&host, "a").connected(&host);
    session.unchanged(|session| session.raw.sync_error(RefusalCode::Timeout));
}

#[test]
fn pongs_alone_keep_no_place_between_turns() {
    let host = impatient(Duration::from_secs(2));
    let mut session = Person::new(&host, "a").connected(&host);
    session.state(&[]);
    session.unchanged(|session| session.raw.sync_error(RefusalCode::Timeout));
}
