//! What one identity, one address and everybody together may take of a server's disk.

use serde_json::{Value, json};
use std::time::Duration;
use sync_gib::ibgib::{IbGib, TjpAddr, json::stringify};
use sync_gib::peer::{NoObserver, PeerError, ReceiverLink, Synced, client, wire};
use sync_gib::server::{Server, ServerOpts};
use sync_gib::space::{Space, SpaceExt};
use sync_gib::sync::body::{Body, Commit};
use sync_gib::sync::msg::{Msg, RefusalCode};
use sync_gib::sync::{Direction, SenderOpts, SyncError};

use crate::hostile_common::*;
use crate::http::ask;
use crate::texts::unlike_text;

const KB: usize = 1000;

/// The code of a refusal.
fn code(error: PeerError) -> RefusalCode {
    match error {
        PeerError::Sync(SyncError::Refused(refusal)) => refusal.code,
        other => panic!("{other:?} instead of a refusal"),
    }
}

fn opts(person: &Person) -> SenderOpts {
    SenderOpts { retry_for: Duration::ZERO, ..SenderOpts::new(person.dir.path().to_owned()) }
}

fn sync_with(host: &Host, person: &Person, opts: &SenderOpts) -> Result<Synced, PeerError> {
    client::sync(&person.space, &host.link(), &person.identity, opts, &mut NoObserver)
}

fn sync(host: &Host, person: &Person) -> Result<Synced, PeerError> {
    sync_with(host, person, &opts(person))
}

fn pull(host: &Host, person: &Person) -> Result<Synced, PeerError> {
    sync_with(host, person, &SenderOpts { direction: Direction::PullOnly, ..opts(person) })
}

/// A timeline of about so many bytes in a space; returns its tjp's address.
fn add_timeline(person: &Person, bytes: usize) -> TjpAddr {
    let made = timeline("x", json!({ "text": unlike_text(bytes, bytes / 2) }));
    person.space.put_all(&made).unwrap();
    let tjp = tip_of(&made).tjp_addr().unwrap();
    TjpAddr::parse(&tjp).unwrap()
}

fn stone(bytes: usize, of: &str) -> IbGib {
    let data = json!({ "text": "a".repeat(bytes), "of": of });
    IbGib::new("stone".into(), Some(data), None).unwrap()
}

/// Sends a payload whose digest is in no turn yet.
fn send(session: &mut Session<'_>, ibgib: &IbGib) {
    session.state(std::slice::from_ref(ibgib));
    session.raw.send(&Msg::Payload { ibgibs: vec![ibgib.to_json().into()] });
}

fn commit(session: &mut Session<'_>, ibgib: &IbGib) {
    let commit = session.push(std::slice::from_ref(ibgib));
    session.answer();
    session.send_turn(&Body::Commit(commit));
}

#[test]
fn at_its_quota_an_identity_pushes_nothing_and_still_pulls_and_revokes() {
    let host = Host::with(|opts| opts.quota.identity = Some(400 * KB as u64));
    let person = Person::new(&host, "a");
    let first = add_timeline(&person, 200 * KB);
    sync(&host, &person).unwrap();
    let second = add_timeline(&person, 240 * KB);
    let refused = sync(&host, &person).unwrap_err();
    let message = refused.to_string();
    assert!(message.contains("400000 bytes") && message.contains("--quota"), "{message}");
    assert_eq!(code(refused), RefusalCode::Quota);
    let space = host.space(person.domain());
    assert!(space.find(&second).unwrap().is_none(), "nothing of it is stored");
    assert!(space.count().unwrap().bytes < 400 * KB as u64);

    // Fill it with keystones and sagas, which count as well.
    while space.count().unwrap().bytes < 400 * KB as u64 {
        pull(&host, &person).unwrap();
    }
    let before = space.count().unwrap();
    assert_eq!(code(sync(&host, &person).unwrap_err()), RefusalCode::Quota);
    let grown = space.count().unwrap().bytes - before.bytes;
    assert!(grown < 60 * KB as u64, "I, S and its proof alone: {grown}");

    let device = Person::with(person.genesis.clone(), "a");
    pull(&host, &device).unwrap();
    assert!(device.space.find(&first).unwrap().is_some(), "it pulls");
    let synced = sync(&host, &device).unwrap();
    assert_eq!(synced.summary.sent, 0, "a sync with nothing new is no push");

    let other = Person::new(&host, "b");
    add_timeline(&other, 200 * KB);
    sync(&host, &other).unwrap();

    let link = host.link();
    let revoked = client::revoke(&device.space, &link, &device.identity, "gone").unwrap();
    assert!(host.space(person.domain()).find(&revoked).unwrap().is_some());
}

#[test]
fn after_the_reserve_a_revocation_passes_and_nothing_else() {
    let host = Host::with(|opts| {
        opts.quota.identity = Some(100 * KB as u64);
        opts.quota.reserve = 100 * KB as u64;
    });
    let person = Person::new(&host, "a");
    let mut syncs = 0;
    let refused = loop {
        match pull(&host, &person) {
            Ok(_) => syncs += 1,
            Err(error) => break code(error),
        }
        assert!(syncs < 10);
    };
    assert_eq!(refused, RefusalCode::Quota);
    let held = host.held(person.domain());
    assert!(held.count.bytes <= 200 * KB as u64, "{held:?}");
    assert_eq!(code(pull(&host, &person).unwrap_err()), RefusalCode::Quota);
    let link = host.link();
    client::revoke(&person.space, &link, &person.identity, "gone").unwrap();
    let now = host.held(person.domain()).count;
    assert!(now.ibgibs > held.count.ibgibs);
}

#[test]
fn a_quota_is_held_where_two_sagas_commit() {
    let host = Host::with(|opts| opts.quota.identity = Some(1000 * KB as u64));
    let person = Person::new(&host, "a");
    let (mut one, mut two) = (person.connected(&host), person.connected(&host));
    let (first, second) = (stone(500 * KB, "one"), stone(500 * KB, "two"));
    send(&mut one, &first);
    send(&mut two, &second);
    // Both were taken: neither was over the quota.
    for (session, ibgib) in [(&mut one, &first), (&mut two, &second)] {
        session.send_turn(&delta(digest(&[ibgib.to_json().into()])));
        session.answer();
    }
    let declared = total(&[digest(&[first.to_json().into()])]);
    one.send_turn(&Body::Commit(Commit { payload: declared, moves: vec![] }));
    one.answer();
    let declared = total(&[digest(&[second.to_json().into()])]);
    two.refused(&Body::Commit(Commit { payload: declared, moves: vec![] }), RefusalCode::Quota);
    let space = host.space(person.domain());
    assert!(space.find(&first.addr().unwrap()).unwrap().is_some());
    assert!(space.find(&second.addr().unwrap()).unwrap().is_none());
}

#[test]
fn what_is_over_a_quota_is_refused_before_it_is_staged() {
    let host = Host::with(|opts| {
        opts.quota.identity = Some(200 * KB as u64);
        opts.max_staged_bytes = Some(100_000 * KB as u64);
    });
    let person = Person::new(&host, "a");
    person.connected(&host).unchanged(|session| {
        send(session, &stone(300 * KB, "one"));
        session.raw.sync_error(RefusalCode::Quota);
    });
    assert_eq!(host.server.staged_bytes(), Some(0));
    // What a saga says of itself counts, too.
    let host = Host::with(|opts| {
        opts.quota.identity = Some(100 * KB as u64);
        opts.quota.reserve = 50 * KB as u64;
    });
    let person = Person::new(&host, "a");
    person.connected(&host).unchanged(|session| {
        for turns in 0.. {
            session.send_turn(&Body::Init(sync_gib::sync::body::Init { more: true, ..init() }));
            match session.raw.receive() {
                Some(Msg::Response(turn)) if turns < 30 => session.saga.append(&turn).unwrap(),
                Some(Msg::SyncError(refusal)) => {
                    return assert_eq!(refusal.code, RefusalCode::Quota, "{}", refusal.message);
                }
                other => panic!("{other:?} after {turns} turns"),
            }
        }
    });
}

#[test]
fn a_file_at_its_bound_takes_no_data_and_no_newcomer() {
    let host = Host::with(|opts| opts.quota.file = Some(700 * KB as u64));
    let person = Person::new(&host, "a");
    let first = add_timeline(&person, 200 * KB);
    sync(&host, &person).unwrap();
    // The frame and its dna hold the same text, which stands in the file once.
    let second = add_timeline(&person, 1600 * KB);
    let refused = sync(&host, &person).unwrap_err();
    let message = refused.to_string();
    assert!(message.contains("700000 bytes") && message.contains("--max-file-bytes"), "{message}");
    assert_eq!(code(refused), RefusalCode::File);
    assert!(host.space(person.domain()).find(&second).unwrap().is_none());
    let device = Person::with(person.genesis.clone(), "a");
    let mut newcomer = None;
    for i in 0..40 {
        pull(&host, &device).unwrap();
        let other = Person::unregistered(&format!("other {i}"));
        if let Err(error) = host.link().register(&other.genesis) {
            newcomer = Some((other, error));
            break;
        }
    }
    let (newcomer, error) = newcomer.expect("the file is full before long");
    assert_eq!(code(error), RefusalCode::File);
    assert!(host.space(newcomer.domain()).find(newcomer.domain()).unwrap().is_none());
    assert!(device.space.find(&first).unwrap().is_some());
    pull(&host, &device).unwrap();
    let link = host.link();
    client::revoke(&device.space, &link, &device.identity, "gone").unwrap();
}

fn genesis(of: &str) -> IbGib {
    Person::unregistered(of).genesis
}

#[test]
fn so_many_identities_are_new_from_one_address_in_a_day() {
    let mut host = Host::with(|opts| opts.max_new_identities = Some(3));
    let register = |host: &Host, genesis: &IbGib| {
        let (status, body) = ask(host, "POST", wire::PATH_KEYSTONES, None, &stringify(genesis));
        let body: Value = serde_json::from_str(&body).unwrap();
        (status, body["error"].clone())
    };
    let known = genesis("0");
    assert_eq!(register(&host, &known).0, 200);
    // What is not taken does not count, and neither does what is there.
    let mut forged = genesis("forged");
    forged.gib = HASH.into();
    for _ in 0..5 {
        assert_eq!(register(&host, &forged).0, 400);
        assert_eq!(register(&host, &known).0, 200);
    }
    for of in ["1", "2"] {
        assert_eq!(register(&host, &genesis(of)).0, 200, "{of}");
    }
    let late = genesis("3");
    let (status, error) = register(&host, &late);
    assert_eq!(
        (status, &error["code"], &error["limit"]),
        (429, &json!("limit"), &json!("identities"))
    );
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("127.0.0.1") && message.contains("--max-new-identities"), "{message}");
    assert_eq!(register(&host, &known).0, 200);
    let addr = TjpAddr::from(late.addr().unwrap());
    assert!(host.space(&addr).find(&addr).unwrap().is_none());

    // A restart gives no new ones.
    let mut opts = ServerOpts::new(([127, 0, 0, 1], 0).into(), host.path());
    opts.max_new_identities = Some(3);
    let server = host.runtime.block_on(Server::start(opts)).unwrap();
    let before = std::mem::replace(&mut host.server, server);
    host.runtime.block_on(before.stop()).unwrap();
    assert_eq!(register(&host, &late).0, 429);
}

#[test]
fn staged_bytes_come_back_after_a_cut_socket() {
    let host = Host::with(|opts| opts.max_staged_bytes = Some(1000 * KB as u64));
    let person = Person::new(&host, "a");
    let mut session = person.connected(&host);
    send(&mut session, &stone(300 * KB, "one"));
    eventually("staging", || host.server.staged_bytes() > Some(300 * KB as u64));
    drop(session);
    eventually("giving back what was staged", || host.server.staged_bytes() == Some(0));
    host.all_closed();

    // Likewise after a refusal and after a commit.
    let mut session = person.connected(&host);
    send(&mut session, &stone(300 * KB, "two"));
    session.raw.send(&Msg::Payload { ibgibs: vec!["{}".into()] });
    session.raw.sync_error(RefusalCode::Content);
    let mut session = person.connected(&host);
    commit(&mut session, &stone(300 * KB, "three"));
    session.answer();
    host.all_closed();
    assert_eq!(host.server.staged_bytes(), Some(0));
}

#[test]
fn two_sagas_at_once_share_what_may_be_staged() {
    let host = Host::with(|opts| opts.max_staged_bytes = Some(1000 * KB as u64));
    let (ann, bob) = (Person::new(&host, "a"), Person::new(&host, "b"));
    let mut anns = ann.connected(&host);
    send(&mut anns, &stone(450 * KB, "ann"));
    eventually("staging", || host.server.staged_bytes() > Some(450 * KB as u64));
    // A small one finds its place beside it, a large one has to wait.
    add_timeline(&bob, 20 * KB);
    sync(&host, &bob).unwrap();
    let large = add_timeline(&bob, 350 * KB);
    let refused = sync(&host, &bob).unwrap_err();
    assert_eq!(code(refused), RefusalCode::Staged);
    assert!(host.space(bob.domain()).find(&large).unwrap().is_none());
    let (host, bobs) = (&host, &bob);
    std::thread::scope(|scope| {
        let waits = scope.spawn(move || {
            let opts = SenderOpts { retry_for: LONG, ..opts(bobs) };
            sync_with(host, bobs, &opts).map(|synced| synced.tries)
        });
        drop(anns);
        waits.join().unwrap().unwrap();
    });
    assert!(host.space(bob.domain()).find(&large).unwrap().is_some());
}

#[test]
fn one_identity_never_stages_more_than_it_leaves_free() {
    let host = Host::with(|opts| opts.max_staged_bytes = Some(1000 * KB as u64));
    let person = Person::new(&host, "a");
    let (mut one, mut two) = (person.connected(&host), person.connected(&host));
    send(&mut one, &stone(300 * KB, "one"));
    eventually("staging", || host.server.staged_bytes() > Some(300 * KB as u64));
    send(&mut two, &stone(300 * KB, "two"));
    two.raw.sync_error(RefusalCode::Staged);
    drop(one);
    host.all_closed();
    // Where waiting does not help, it is not told to try again.
    person.connected(&host).unchanged(|session| {
        send(session, &stone(600 * KB, "three"));
        let refusal = session.raw.sync_error(RefusalCode::Limit);
        assert!(refusal.message.contains("--max-staged-bytes"), "{}", refusal.message);
    });
}
