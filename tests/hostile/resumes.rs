//! What is kept of a payload that was cut, named as it must not be.

use serde_json::json;
use sync_gib::ibgib::IbGib;
use sync_gib::sync::body::{Ack, Body, Commit};
use sync_gib::sync::msg::{Checkpoint, Msg, Refusal, RefusalCode};
use sync_gib::sync::{Feature, Features};
use tokio_tungstenite::tungstenite::Message;

use crate::hostile_common::*;

fn resuming() -> Features {
    Features::from([Feature::RESUME])
}

fn stones(from: usize, count: usize) -> Vec<IbGib> {
    let stone = |at: usize| {
        let data = json!({ "at": at, "text": "a".repeat(1000) });
        IbGib::new("stone".into(), Some(data), None).unwrap()
    };
    (from..from + count).map(stone).collect()
}

fn texts(ibgibs: &[IbGib]) -> Vec<Box<str>> {
    ibgibs.iter().map(|ibgib| ibgib.to_json().into()).collect()
}

/// A server, and somebody whose session was cut after these stones.
fn cut_after(stones: &[IbGib]) -> (Host, Person) {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let mut session = person.session(&host);
    session.connect_with(resuming());
    session.state(stones);
    session.raw.send(&Msg::Payload { ibgibs: texts(stones) });
    drop(session);
    eventually("what arrived is kept", || kept(&host) > 0);
    (host, person)
}

/// How many bytes are kept on a server's disk.
fn kept(host: &Host) -> u64 {
    let files = std::fs::read_dir(host.path().parent().unwrap()).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let kept = files.filter(|path| path.extension().is_some_and(|extension| extension == "kept"));
    kept.map(|path| std::fs::metadata(path).unwrap().len()).sum()
}

/// States these stones in a session of its own; what the server says that it kept.
fn stated<'h>(host: &'h Host, person: &Person, ibgibs: &[IbGib]) -> (Session<'h>, Vec<Checkpoint>) {
    let mut session = person.session(host);
    session.connect_with(resuming());
    let stones = ibgibs.iter().map(|stone| stone.addr().unwrap()).collect();
    session.send_turn(&Body::Init(sync_gib::sync::body::Init { stones, ..init() }));
    let Some(Msg::Kept { checkpoints }) = session.raw.receive() else { panic!("nothing is kept") };
    assert!(matches!(session.answer(), Body::Ack(Ack { more: false, .. })));
    (session, checkpoints)
}

fn refused(session: &mut Session<'_>, msg: &Msg, code: RefusalCode) -> Refusal {
    session.unchanged(|session| {
        session.raw.send(msg);
        session.raw.sync_error(code)
    })
}

#[test]
fn what_is_named_is_covered_by_the_turn_like_what_came() {
    let all = stones(0, 400);
    let (host, person) = cut_after(&all[..350]);
    let (mut session, checkpoints) = stated(&host, &person, &all);
    let arrived = digest(&texts(&all[..350]));
    assert_eq!(checkpoints, [Checkpoint { count: 350, digest: arrived.digest }]);
    session.raw.send(&Msg::Resume { count: 350 });
    session.raw.send(&Msg::Payload { ibgibs: texts(&all[350..]) });
    let payload = digest(&texts(&all));
    session.send_turn(&delta(payload.clone()));
    session.answer();
    let payload = total(&[payload]);
    session.send_turn(&Body::Commit(Commit { payload, moves: Vec::new() }));
    assert!(matches!(session.answer(), Body::Commit(_)));
    host.all_closed();
    assert_eq!(kept(&host), 0);

    let (host, person) = cut_after(&all[..350]);
    let (mut session, _) = stated(&host, &person, &all);
    session.raw.send(&Msg::Resume { count: 350 });
    session.refused(&delta(digest(&texts(&all[1..351]))), RefusalCode::Content);
    // It is still what had arrived.
    stated(&host, &person, &all);
}

#[test]
fn only_what_was_offered_is_resumed_once_and_before_anything_else() {
    let all = stones(0, 350);
    let (host, person) = cut_after(&all);
    for count in [0, 1, 349, 351, u64::MAX] {
        let (mut session, _) = stated(&host, &person, &all);
        refused(&mut session, &Msg::Resume { count }, RefusalCode::Protocol);
    }
    let (mut session, _) = stated(&host, &person, &all);
    session.raw.send(&Msg::Resume { count: 350 });
    refused(&mut session, &Msg::Resume { count: 350 }, RefusalCode::Protocol);
    let (mut session, _) = stated(&host, &person, &all);
    session.raw.send(&Msg::Payload { ibgibs: texts(&all[..1]) });
    refused(&mut session, &Msg::Resume { count: 350 }, RefusalCode::Protocol);
}

#[test]
fn what_comes_twice_is_kept_once() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let all = stones(0, 300);
    let once: u64 = texts(&all).iter().map(|text| text.len() as u64 + 1).sum();
    let mut session = person.session(&host);
    session.connect_with(resuming());
    session.state(&all);
    for _ in 0..5 {
        session.raw.send(&Msg::Payload { ibgibs: texts(&all) });
    }
    refused(&mut session, &Msg::Need { seq: 0, lacks: vec![true] }, RefusalCode::Protocol);
    assert_eq!(kept(&host), once);
}

#[test]
fn what_is_kept_is_read_once_however_often_the_last_page_is_said() {
    let all = stones(0, 350);
    let (host, person) = cut_after(&all);
    let (mut session, _) = stated(&host, &person, &all);
    for _ in 0..3 {
        session.send_turn(&Body::Init(init()));
        assert!(matches!(session.answer(), Body::Ack(_)), "it is said once");
    }
    session.raw.send(&Msg::Resume { count: 350 });
    session.send_turn(&delta(digest(&texts(&all))));
    assert!(matches!(session.answer(), Body::Delta(_)));
}

#[test]
fn what_is_not_taken_up_is_not_read_for_ever() {
    let all = stones(0, 350);
    let (host, person) = cut_after(&all);
    let mut offered = 0;
    while kept(&host) > 0 {
        assert!(offered < 20, "it is offered for ever");
        let mut session = person.session(&host);
        session.connect_with(resuming());
        let stones = all.iter().map(|stone| stone.addr().unwrap()).collect();
        session.send_turn(&Body::Init(sync_gib::sync::body::Init { stones, ..init() }));
        offered += usize::from(matches!(session.raw.receive(), Some(Msg::Kept { .. })));
    }
    assert_eq!(offered, 16);
}

#[test]
fn nothing_is_resumed_out_of_turn_or_by_who_does_not_use_it() {
    let all = stones(0, 350);
    let (host, person) = cut_after(&all);
    let one = Checkpoint { count: 1, digest: "0".repeat(64) };
    let resume = Msg::Resume { count: 350 };
    let says_kept = Msg::Kept { checkpoints: vec![one] };
    for msg in [&resume, &says_kept] {
        let mut early = person.session(&host);
        early.connect_with(resuming());
        refused(&mut early, msg, RefusalCode::Protocol);
        let mut unnamed = person.connected(&host);
        unnamed.state(&all);
        refused(&mut unnamed, msg, RefusalCode::Protocol);
    }
    // Nothing was asked about, and nothing is offered to whoever has nothing to send.
    let mut session = person.session(&host);
    session.connect_with(resuming());
    session.state(&[]);
    refused(&mut session, &resume, RefusalCode::Protocol);
    let mut other = Person::new(&host, "b").session(&host);
    other.connect_with(resuming());
    other.state(&all);
    refused(&mut other, &resume, RefusalCode::Protocol);
}

#[test]
fn places_that_are_none_are_refused() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let place = |count: u64, len: usize| json!({ "count": count, "digest": "a".repeat(len) });
    let many: Vec<_> = (1..=1025).map(|count| place(count, 64)).collect();
    for (checkpoints, code) in [
        (json!([]), RefusalCode::Protocol),
        (json!([place(0, 64)]), RefusalCode::Protocol),
        (json!([place(2, 64), place(2, 64)]), RefusalCode::Protocol),
        (json!([place(2, 64), place(1, 64)]), RefusalCode::Protocol),
        (json!([place(1, 63)]), RefusalCode::Protocol),
        (json!([{ "count": -1, "digest": "a".repeat(64) }]), RefusalCode::Protocol),
        (json!(many), RefusalCode::Limit),
        (json!(null), RefusalCode::Protocol),
    ] {
        let mut session = person.session(&host);
        session.connect_with(resuming());
        session.state(&[]);
        session.unchanged(|session| {
            let message = json!({ "type": "kept", "checkpoints": checkpoints });
            session.raw.send_raw(Message::text(message.to_string()));
            session.raw.sync_error(code);
        });
    }
}

#[test]
fn what_is_resumed_counts_as_what_comes() {
    let all = stones(0, 350);
    let host = Host::with(|opts| opts.limits.ibgibs = 340);
    let person = Person::new(&host, "a");
    let mut session = person.session(&host);
    session.connect_with(resuming());
    session.state(&all[..330]);
    session.raw.send(&Msg::Payload { ibgibs: texts(&all[..330]) });
    drop(session);
    eventually("what arrived is kept", || kept(&host) > 0);
    let (mut session, _) = stated(&host, &person, &all[..330]);
    session.raw.send(&Msg::Resume { count: 330 });
    refused(&mut session, &Msg::Payload { ibgibs: texts(&all[330..]) }, RefusalCode::Limit);
}
