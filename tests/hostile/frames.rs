//! What a session asks about timelines that are there.

use serde_json::json;
use sync_gib::ibgib::{Addr, IbGib, TjpAddr};
use sync_gib::sync::body::{Body, Delta, Init, Probe, Relation, Stated, Want};
use sync_gib::sync::msg::RefusalCode;

use crate::hostile_common::*;

/// A host that holds two timelines of one person: their frames, tjp first.
fn with_data() -> (Host, Person, Vec<IbGib>, Vec<IbGib>) {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let (x, y) = (timeline("x", json!({})), timeline("y", json!({})));
    let mut session = person.connected(&host);
    let all: Vec<IbGib> = x.iter().chain(&y).cloned().collect();
    let commit = session.push(&all);
    session.answer();
    session.send_turn(&Body::Commit(commit));
    session.answer();
    (host, person, x, y)
}

fn addr(ibgib: &IbGib) -> Addr {
    ibgib.addr().unwrap()
}

fn tjp(ibgibs: &[IbGib]) -> TjpAddr {
    addr(ibgibs.iter().find(|ibgib| ibgib.is_tjp()).unwrap()).into()
}

fn tip(ibgibs: &[IbGib]) -> Addr {
    addr(tip_of(ibgibs))
}

#[test]
fn a_timeline_is_stated_once() {
    let (host, person, x, _) = with_data();
    let stated = Stated { tjp: tjp(&x), tip: tip(&x), n: 0 };
    let twice = Init { timelines: vec![stated.clone(), stated.clone()], ..init() };
    person.connected(&host).refused(&Body::Init(twice), RefusalCode::Protocol);

    let mut session = person.connected(&host);
    let once = Init { timelines: vec![stated], more: true, ..init() };
    session.send_turn(&Body::Init(once.clone()));
    let Body::Ack(ack) = session.answer() else { panic!("no ack") };
    assert_eq!(ack.timelines[0].relation, Relation::Equal);
    session.refused(&Body::Init(once), RefusalCode::Protocol);
}

#[test]
fn what_is_not_here_is_stated_once_as_well() {
    let (host, person, x, _) = with_data();
    let nowhere = |ib: &str| Addr::parse(&format!("{ib}^{HASH}")).unwrap();
    let stated = Stated { tjp: nowhere("t").into(), tip: nowhere("t"), n: 0 };
    // A stone that is here, and one that is not.
    let (here, stone) = (addr(x.iter().find(|ibgib| ibgib.is_stone()).unwrap()), nowhere("s"));
    let timelines = |timelines: &[&Stated]| Init {
        timelines: timelines.iter().map(|stated| (*stated).clone()).collect(),
        more: true,
        ..init()
    };
    let stones = |stones: &[&Addr]| Init {
        stones: stones.iter().map(|addr| (*addr).clone()).collect(),
        more: true,
        ..init()
    };
    for (once, twice) in [
        (timelines(&[&stated]), timelines(&[&stated, &stated])),
        (stones(&[&stone]), stones(&[&stone, &stone])),
    ] {
        person.connected(&host).refused(&Body::Init(twice), RefusalCode::Protocol);
        let mut session = person.connected(&host);
        session.send_turn(&Body::Init(once.clone()));
        session.answer();
        session.refused(&Body::Init(once), RefusalCode::Protocol);
    }
    // One that is here is passed over: 0.1.0 states it twice where it is named twice.
    let mut session = person.connected(&host);
    session.send_turn(&Body::Init(stones(&[&here, &here])));
    let Body::Ack(ack) = session.answer() else { panic!("no ack") };
    assert!(ack.lacks.is_empty());
}

#[test]
fn a_stone_is_wanted_once_in_a_turn() {
    let (host, person, x, _) = with_data();
    let stone = addr(x.iter().find(|ibgib| ibgib.is_stone()).unwrap());
    let mut session = person.connected(&host);
    session.state(&[]);
    let want_stones = vec![stone.clone(), stone];
    let delta = Body::Delta(Delta { want_stones, ..Delta::default() });
    session.refused(&delta, RefusalCode::Protocol);
}

#[test]
fn a_timeline_is_wanted_once_and_as_itself() {
    let (host, person, x, y) = with_data();
    let want = |tip, common| Want { tjp: tjp(&x), tip, common };
    let twice = vec![want(tip(&x), None), want(tip(&x), None)];
    for wants in [
        twice,
        vec![want(tip(&y), None)],
        vec![want(person.domain().clone().into(), None)],
        vec![want(tip(&x), Some(tip(&y)))],
    ] {
        let delta = Body::Delta(Delta { wants, ..Delta::default() });
        let mut session = person.connected(&host);
        session.state(&[]);
        let refusal = session.refused(&delta, RefusalCode::Protocol);
        assert!(!refusal.message.contains("stated"), "{}", refusal.message);
    }
}

#[test]
fn numbers_at_their_ends_do_no_harm() {
    let (host, person, x, _) = with_data();
    let most = 1 << 53;
    let probe = |above, below| Probe { tjp: tjp(&x), tip: tip(&x), above, below };
    let probes =
        vec![probe(0, 0), probe(0, most), probe(most, 0), probe(most, most), probe(most - 1, most)];
    let mut session = person.connected(&host);
    session.unchanged(|session| {
        session.send_turn(&Body::Init(Init { probes, more: true, ..init() }));
        let Body::Ack(ack) = session.answer() else { panic!("no ack") };
        assert!(ack.timelines.iter().all(|answer| answer.samples.len() <= 32));
        session.raw.runtime.block_on(session.raw.ws.close(None)).unwrap();
    });
}

#[test]
fn a_tip_that_moved_since_is_a_conflict() {
    let (host, person, x, _) = with_data();
    let probes = vec![Probe { tjp: tjp(&x), tip: tjp(&x).into(), above: 0, below: 9 }];
    let asked = Body::Init(Init { probes, more: true, ..init() });
    person.connected(&host).refused(&asked, RefusalCode::Conflict);
}
