//! What the old secret opened ends with it, whoever tells the server, and whether or not it lived
//! to forget it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use sync_gib::ibgib::{IbGib, System};
use sync_gib::keystone::{self, Claim, Replay, Signing, StepsOnly, VERB_SYNC};
use sync_gib::peer::{
    NoObserver, PeerError, ReceiverLink, Remote, Timeouts, client, identity, wire,
};
use sync_gib::space::{Purpose, Space};
use sync_gib::sync::body::Body;
use sync_gib::sync::msg::{Msg, PROTOCOL, RefusalCode};
use sync_gib::sync::{Capabilities, Features, Quota, SenderOpts, SyncError, domain};

use crate::hostile_common::*;
use crate::people::*;

/// An identity with a session that waits, one that is challenged, one that is about to commit, and a
/// token; `renew` changes its secret, after which none of them is of use.
fn ends(renew: impl FnOnce(&Host, &Person, &keystone::RecoveryCode)) {
    let host = Host::new();
    let (ann, code) = locked(&host, "a");
    let mut begun = ann.connected(&host);
    let stones = timeline("note", serde_json::json!({ "text": "x" }));
    let commit = begun.push(&stones);
    assert!(matches!(begun.answer(), Body::Delta(_)));
    let token = begun.token.clone().unwrap().value;
    host.link().latest(ann.domain(), ann.domain(), &token).unwrap();
    let waiting = ann.session(&host);
    let mut challenged = ann.session(&host);
    let (uuid, ids) = challenged.raw.hello(ann.domain(), &challenged.session);
    renew(&host, &ann, &code);

    let held = host.held(ann.domain());
    assert!(host.link().latest(ann.domain(), ann.domain(), &token).is_err(), "the token");
    let mut raw = Raw::open(&host);
    let (domain, session) = (ann.domain().clone(), waiting.session.clone());
    raw.send(&Msg::Hello { protocol: PROTOCOL, domain, session, features: Features::new() });
    assert_eq!(raw.auth_fail().code, RefusalCode::Auth, "the session that waited");
    let keystone = challenged.signer.prove(&uuid, &ids, &System::new()).unwrap();
    challenged.raw.send(&Msg::AuthProof { keystone });
    assert_eq!(challenged.raw.auth_fail().code, RefusalCode::Auth, "the one that was challenged");
    begun.send_turn(&Body::Commit(commit));
    begun.raw.sync_error(RefusalCode::Auth);
    host.all_closed();
    assert_eq!(host.held(ann.domain()), held);
    // What the old secret signs from now on is refused as well.
    let old = keystone::sign(&newest(&host, &ann), &secret_of("a"), &signing(&claim()));
    assert!(old.is_err());
    device(&ann, "b").connected(&host).state(&[]);
}

fn claim() -> Claim {
    Claim::new(VERB_SYNC, &format!("keystone^{HASH}"))
}

fn signing(claim: &Claim) -> Signing<'_> {
    static ENV: std::sync::LazyLock<System> = std::sync::LazyLock::new(System::new);
    Signing { claim, pool_id: None, required: &[], frame_details: None, env: &*ENV }
}

#[test]
fn a_rotation_ends_them() {
    ends(|host, ann, _| {
        let (new, env) = (secret_of("b"), Arc::new(System::new()));
        let to = renewed_to(&new);
        let made = client::rotate(&ann.space, &host.link(), &ann.identity, &to, env).unwrap();
        assert_eq!(newest(host, ann), made);
    });
}

#[test]
fn a_recovery_ends_them() {
    ends(|host, ann, code| {
        let (new, next, env) = (secret_of("b"), self::code(), Arc::new(System::new()));
        let (link, to) = (host.link(), renewed_to(&new));
        let codes = [code, &next];
        let made = client::recover(&ann.space, &link, ann.domain(), codes, &to, env).unwrap();
        assert_eq!(newest(host, ann), made);
    });
}

#[test]
fn an_evolution_that_brings_the_renewal_along_ends_them() {
    ends(|host, ann, code| {
        // Made at another server, and brought by a device that heard of it there.
        let (recovered, _) = recovery(&newest(host, ann), code, "b");
        let next = made_on(&recovered, ann, "b");
        let frames = [&recovered, &next.identity];
        host.link().evolve(ann.domain(), &frames, &next.session).unwrap();
    });
}

#[test]
fn a_renewal_that_the_server_did_not_live_to_tell_of_ends_them() {
    ends(|host, ann, _| {
        // Stored by a process that was killed right after: nothing was forgotten, nobody told.
        let rotated = rotation(&newest(host, ann), "a", "b");
        let space = host.space(ann.domain());
        domain::renew(&space, ann.domain(), &[rotated], &Quota::default()).unwrap();
    });
}

#[test]
fn a_session_of_before_stays_closed_after_many_more_steps() {
    let host = Host::new();
    let (ann, _) = locked(&host, "a");
    let waiting = ann.session(&host);
    let rotated = rotation(&newest(&host, &ann), "a", "b");
    let space = host.space(ann.domain());
    domain::renew(&space, ann.domain(), &[rotated], &Quota::default()).unwrap();
    let ann = device(&ann, "b");
    for _ in 0..3 {
        ann.connected(&host).state(&[]);
        let mut raw = Raw::open(&host);
        let (domain, session) = (ann.domain().clone(), waiting.session.clone());
        raw.send(&Msg::Hello { protocol: PROTOCOL, domain, session, features: Features::new() });
        assert!(raw.auth_fail().message.contains("the secret of"));
    }
}

#[test]
fn a_device_of_0_1_0_is_told_that_it_is_too_old() {
    let host = Host::new();
    let (ann, _) = locked(&host, "a");
    // It takes the genesis for one of its own, and signs on it as it always did.
    let plain = changed(&ann.genesis, |data| {
        data.as_object_mut().unwrap().shift_remove("frameDetails");
    });
    let made = made_on(&plain, &ann, "a");
    let step = follows(&made.identity, &ann.genesis);
    let refusal = refused(host.link().evolve(ann.domain(), &[&step], &made.session));
    assert!(refusal.contains("a version that knows no signing keys made it"), "{refusal}");
    assert_eq!(newest(&host, &ann), ann.genesis);
}

/// Such a device has joined nothing yet: it fetches the frames first, and tries the secret on them.
#[test]
fn a_device_of_0_1_0_that_joins_is_told_that_it_is_too_old() {
    let host = Host::new();
    let (ann, _) = locked(&host, "a");
    let (speaks, at) = (Capabilities::unnamed(), host.endpoint());
    let link = Remote::with_capabilities(speaks, &host.runtime, at, Timeouts::default()).unwrap();
    // Anybody else may read the frames, whatever they speak, and says who it is.
    let path = wire::domain_path(wire::PATH_IDENTITY, ann.domain());
    let answer = curl(&host, &path);
    assert!(answer.contains(&ann.genesis.to_json()), "{answer}");
    let mut replay = Replay::new(StepsOnly);
    let followed = identity::follow(&link, ann.domain(), &mut replay, &mut |_| Ok(()));
    let refusal = refusal(followed, RefusalCode::Auth);
    assert!(refusal.message.contains("too old"), "{}", refusal.message);
    // Of an identity without a key it is told nothing.
    let plain = Person::new(&host, "b");
    let mut replay = Replay::new(StepsOnly);
    identity::follow(&link, plain.domain(), &mut replay, &mut |_| Ok(())).unwrap();
}

/// What a program that speaks no protocol is answered.
fn curl(host: &Host, path: &str) -> String {
    let mut tcp = TcpStream::connect(host.server.addr()).unwrap();
    let fields = "User-Agent: curl/8.5.0\r\nConnection: close";
    let addr = host.server.addr();
    write!(tcp, "GET {path} HTTP/1.1\r\nHost: {addr}\r\n{fields}\r\n\r\n").unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn with_a_server_that_is_too_old_nothing_is_signed() {
    let host = Host::with(|opts| opts.features = Features::new());
    let code = code();
    let ann = Person::with(locked_genesis("a", &pools(), Some(&code)), "a");
    let is_too_old = |ended: Result<(), PeerError>| {
        let error = ended.unwrap_err();
        assert!(matches!(error, PeerError::Sync(SyncError::NeedsFeature(_))), "{error}");
    };
    is_too_old(client::register(&host.link(), &ann.genesis));
    // One that took the identity before, as a genesis like any other.
    host.link().register(&ann.genesis).unwrap();
    let (new, next, env) = (secret_of("b"), self::code(), Arc::new(System::new()));
    let (link, to) = (host.link(), renewed_to(&new));
    let opts = SenderOpts::new(ann.dir.path().to_owned());
    let (space, identity) = (&ann.space, &ann.identity);
    is_too_old(client::sync(space, &link, identity, &opts, &mut NoObserver).map(drop));
    is_too_old(client::rotate(space, &link, identity, &to, env.clone()).map(drop));
    let codes = [&code, &next];
    is_too_old(client::recover(space, &link, ann.domain(), codes, &to, env).map(drop));
    for purpose in [Purpose::Session, Purpose::Renewal, Purpose::Recovery] {
        assert_eq!(ann.space.pending(ann.domain(), purpose).unwrap(), None);
    }
    assert_eq!(newest(&host, &ann), ann.genesis);
}

/// The frame with the links of one that follows `prev`, a genesis.
fn follows(frame: &IbGib, prev: &IbGib) -> IbGib {
    let prev = serde_json::json!([prev.addr().unwrap()]);
    let mut rel8ns = frame.rel8ns.clone().unwrap();
    rel8ns.insert("past".into(), prev.clone());
    rel8ns.insert("tjp".into(), prev);
    IbGib::new(frame.ib.clone(), frame.data.clone(), Some(rel8ns)).unwrap()
}

fn refused(ended: Result<(), PeerError>) -> String {
    match ended {
        Err(PeerError::Sync(SyncError::Refused(refusal))) => refusal.message,
        other => panic!("{other:?} instead of a refusal"),
    }
}
