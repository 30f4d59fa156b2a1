//! Payloads that must not get into a space.

use serde_json::{Value, json};
use sync_gib::ibgib::{IbGib, System};
use sync_gib::keystone::{self, Claim, Signing, VERB_MANAGE, presets};
use sync_gib::sync::body::{Body, Commit, PayloadDigest};
use sync_gib::sync::msg::{Msg, Refusal, RefusalCode};
use tokio_tungstenite::tungstenite::Message;

use crate::hostile_common::*;

/// Pushes what is refused as soon as it comes.
fn refused_at_once(texts: Vec<Box<str>>, code: RefusalCode) -> Refusal {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let mut session = person.connected(&host);
    session.unchanged(|session| {
        session.state(&[]);
        session.raw.send(&Msg::Payload { ibgibs: texts });
        session.raw.sync_error(code)
    })
}

/// Pushes what looks good and is refused at the commit.
fn refused_at_commit(host: &Host, person: &Person, ibgibs: &[IbGib], code: RefusalCode) -> Refusal {
    let mut session = person.connected(host);
    session.unchanged(|session| {
        let commit = session.push(ibgibs);
        session.answer();
        session.send_turn(&Body::Commit(commit));
        session.raw.sync_error(code)
    })
}

fn committed(host: &Host, person: &Person, ibgibs: &[IbGib]) {
    let mut session = person.connected(host);
    let commit = session.push(ibgibs);
    session.answer();
    session.send_turn(&Body::Commit(commit));
    assert!(matches!(session.answer(), Body::Commit(_)));
    host.all_closed();
}

fn stone(data: Value) -> IbGib {
    IbGib::new("stone".into(), Some(data), None).unwrap()
}

fn text(ibgib: &IbGib) -> Box<str> {
    ibgib.to_json().into()
}

#[test]
fn what_is_no_ibgib_is_refused() {
    let mut forged = stone(json!({ "i": 1 }));
    forged.data = Some(json!({ "i": 2 }));
    let refusal = refused_at_once(vec![text(&forged)], RefusalCode::Content);
    assert!(refusal.message.contains("stone^"), "{}", refusal.message);
    let deep = format!("{{\"ib\":\"x\",\"data\":{}1{}}}", "[".repeat(120), "]".repeat(120));
    let proto = "{\"ib\":\"x\",\"data\":{\"__proto__\":1}}";
    for text in
        ["1", "null", "{}", "{\"ib\":\"a^b\"}", "{\"ib\":\"x\",\"gib\":\"gib\"}", proto, &deep]
    {
        refused_at_once(vec![text.into()], RefusalCode::Content);
    }
    let large = format!("{{\"ib\":\"x\",\"data\":\"{}\"}}", "x".repeat(5 << 20));
    refused_at_once(vec![large.into()], RefusalCode::Limit);
}

#[test]
fn a_payload_is_bounded() {
    let host = Host::with(|opts| opts.limits.ibgibs = 100);
    let person = Person::new(&host, "a");
    let texts: Vec<Box<str>> = (0..101).map(|i| text(&stone(json!({ "i": i })))).collect();
    person.connected(&host).unchanged(|session| {
        session.state(&[]);
        session.raw.send(&Msg::Payload { ibgibs: texts });
        session.raw.sync_error(RefusalCode::Limit);
    });
    let host = Host::with(|opts| opts.limits.bytes = 20_000);
    let person = Person::new(&host, "a");
    person.connected(&host).unchanged(|session| {
        session.state(&[]);
        session.raw.send(&Msg::Payload { ibgibs: vec![text(&stone(json!("x".repeat(30_000))))] });
        session.raw.sync_error(RefusalCode::Limit);
    });
    // What a saga says of itself lies on the server's disk as well.
    person.connected(&host).unchanged(|session| {
        for turns in 0.. {
            session.send_turn(&Body::Init(sync_gib::sync::body::Init { more: true, ..init() }));
            match session.raw.receive() {
                Some(Msg::Response(turn)) if turns < 10 => session.saga.append(&turn).unwrap(),
                Some(Msg::SyncError(refusal)) => {
                    return assert_eq!(refusal.code, RefusalCode::Limit, "{}", refusal.message);
                }
                other => panic!("{other:?} after {turns} turns"),
            }
        }
    });
    for (texts, code) in [("", RefusalCode::Protocol), (&*"0,".repeat(5000), RefusalCode::Limit)] {
        let texts = texts.trim_end_matches(',');
        let host = Host::new();
        let person = Person::new(&host, "a");
        person.connected(&host).unchanged(|session| {
            session.state(&[]);
            let text = format!("{{\"type\":\"payload\",\"ibGibs\":[{texts}]}}");
            session.raw.send_raw(Message::text(text));
            session.raw.sync_error(code);
        });
    }
}

#[test]
fn a_turn_covers_its_payload() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let texts = vec![text(&stone(json!({ "i": 1 })))];
    let right = digest(&texts);
    for wrong in [
        PayloadDigest { count: 2, ..right.clone() },
        PayloadDigest { bytes: 1, ..right.clone() },
        PayloadDigest { digest: HASH.to_lowercase(), ..right.clone() },
        PayloadDigest::default(),
    ] {
        let mut session = person.connected(&host);
        session.state(&[]);
        session.raw.send(&Msg::Payload { ibgibs: texts.clone() });
        session.refused(&delta(wrong), RefusalCode::Content);
    }
}

#[test]
fn a_graph_that_is_not_closed_is_refused() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let made = timeline("x", json!({ "a": 1 }));
    for missing in 0..made.len() - 1 {
        let mut part = made.clone();
        let gone = part.remove(missing).addr().unwrap();
        let refusal = refused_at_commit(&host, &person, &part, RefusalCode::Content);
        assert!(refusal.message.contains(gone.as_str()), "{gone}: {}", refusal.message);
    }
}

#[test]
fn a_tip_extends_what_is_there() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let x = timeline("x", json!({ "a": 1 }));
    let tip = tip_of(&x);
    committed(&host, &person, &x);
    committed(&host, &person, &edit(tip, json!({ "b": 1 })));
    let other = edit(tip, json!({ "b": 2 }));
    refused_at_commit(&host, &person, &other, RefusalCode::Conflict);
}

#[test]
fn no_count_ends_a_timeline() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let x = timeline("x", json!({ "a": 1 }));
    committed(&host, &person, &x);
    let next = |n: Value| {
        let tip = tip_of(&x);
        let mut frame = edit(tip, json!({ "b": 1 })).pop().unwrap();
        frame.data.as_mut().unwrap()["n"] = n;
        frame.rel8ns.as_mut().unwrap().shift_remove("dna");
        IbGib::new(frame.ib, frame.data, frame.rel8ns).unwrap()
    };
    refused_at_commit(&host, &person, &[next(json!(0))], RefusalCode::Content);
    for end in [1u64 << 53, (1 << 53) - 1, 1 << 52] {
        refused_at_commit(&host, &person, &[next(json!(end))], RefusalCode::Content);
    }
    committed(&host, &person, &edit(tip_of(&x), json!({ "c": 1 })));
}

#[test]
fn identities_are_neither_forged_nor_forked() {
    let pools = presets::identity_pools(&System::new()).unwrap();
    let genesis = keystone::genesis(&secret_of("k"), &pools, None, &System::new()).unwrap();
    let step = |secret: &str, target: &str| {
        let claim = Claim::new(VERB_MANAGE, target);
        let now = System::new();
        let signing =
            Signing { claim: &claim, pool_id: None, required: &[], frame_details: None, env: &now };
        keystone::sign(&genesis, &secret_of(secret), &signing).unwrap()
    };
    let mut forged = step("k", "a");
    forged.data.as_mut().unwrap()["proofs"][0]["claim"]["target"] = "b".into();
    forged.data.as_mut().unwrap()["proofs"][0]["solutions"][0]["value"] = HASH.into();
    let forged = IbGib::new(forged.ib, forged.data, forged.rel8ns).unwrap();
    refused_at_once(vec![text(&genesis), text(&forged)], RefusalCode::Content);
    let fork = [genesis.clone(), step("k", "a"), step("k", "b")];
    refused_at_once(fork.iter().map(text).collect(), RefusalCode::Content);
}

#[test]
fn many_relations_in_the_wrong_order_take_no_time() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let stones: Vec<IbGib> = (0..4000).map(|i| stone(json!(i + 1))).collect();
    let addrs: Vec<Value> = stones.iter().map(|s| s.addr().unwrap().as_str().into()).collect();
    let mut rel8ns = serde_json::Map::new();
    rel8ns.insert("all".into(), addrs.into());
    let parents: Vec<IbGib> = (0..20)
        .map(|i| {
            IbGib::new("parent".into(), Some(json!({ "i": i })), Some(rel8ns.clone())).unwrap()
        })
        .collect();
    let mut session = person.connected(&host);
    session.state(&parents);
    let (mut hasher, mut texts) = (Vec::new(), Vec::new());
    for ibgib in parents.iter().chain(&stones) {
        hasher.push(text(ibgib));
        texts.push(text(ibgib));
        if texts.len() == 10 {
            session.raw.send(&Msg::Payload { ibgibs: std::mem::take(&mut texts) });
        }
    }
    let payload = digest(&hasher);
    session.send_turn(&delta(payload.clone()));
    session.answer();
    let payload = total(&[payload]);
    session.send_turn(&Body::Commit(Commit { payload, moves: vec![] }));
    assert!(matches!(session.answer(), Body::Commit(_)));
}
