//! Identities whose steps take long to check.

use sync_gib::ibgib::IbGib;
use sync_gib::keystone;
use sync_gib::peer::{NoObserver, PeerError, ReceiverLink, client};
use sync_gib::space::{Space, chain};
use sync_gib::sync::msg::RefusalCode;
use sync_gib::sync::{SenderOpts, SyncError};

use crate::hostile_common::*;

/// 20 solutions of 2,000 hashes each.
const ROUNDS: u32 = 2000;

/// I's frames after its genesis, oldest first.
fn steps(person: &Person) -> Vec<IbGib> {
    let tip = person.space.tip(person.domain()).unwrap().unwrap();
    let ids = chain(&person.space, tip.id, |row| row.n == 0).unwrap();
    ids.into_iter().map(|id| person.space.get_id(id).unwrap()).collect()
}

#[test]
fn a_request_costs_so_many_hashes_and_no_more() {
    let old = Host::new();
    let person = Person::costly("a", ROUNDS);
    old.link().register(&person.genesis).unwrap();
    let made = (0..3).map(|_| client::open_session(&person.space, &old.link(), &person.identity));
    let session = made.last().unwrap().unwrap().session;
    let frames = steps(&person);
    assert_eq!(keystone::step_cost(&person.genesis, &frames[0]), 20 * u64::from(ROUNDS));

    let host = Host::new();
    host.link().register(&person.genesis).unwrap();
    let held = host.held(person.domain());
    let all: Vec<&IbGib> = frames.iter().collect();
    match host.link().evolve(person.domain(), &all, &session) {
        Err(PeerError::Sync(SyncError::Refused(refusal))) => {
            assert_eq!(refusal.code, RefusalCode::Limit, "{}", refusal.message);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(host.held(person.domain()), held);
}

#[test]
fn a_client_brings_its_frames_in_portions_that_a_server_takes() {
    let old = Host::new();
    let person = Person::costly("a", ROUNDS);
    old.link().register(&person.genesis).unwrap();
    for _ in 0..5 {
        client::open_session(&person.space, &old.link(), &person.identity).unwrap();
    }
    let host = Host::new();
    host.link().register(&person.genesis).unwrap();
    let opts = SenderOpts::new(person.dir.path().to_owned());
    client::sync(&person.space, &host.link(), &person.identity, &opts, &mut NoObserver).unwrap();
    assert_eq!(host.space(person.domain()).tip(person.domain()).unwrap().unwrap().n, 6);
}

#[test]
fn one_step_always_fits() {
    let host = Host::new();
    let person = Person::costly("a", 5000);
    host.link().register(&person.genesis).unwrap();
    let made = client::open_session(&person.space, &host.link(), &person.identity).unwrap();
    let cost = keystone::step_cost(&person.genesis, &made.identity);
    assert_eq!(cost, keystone::MAX_HASHES_PER_STEP);
}
