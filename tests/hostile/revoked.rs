//! Once an identity is revoked, nothing of it is taken or given out but its public frames.

use serde_json::json;
use sync_gib::ibgib::{IbGib, System};
use sync_gib::keystone;
use sync_gib::peer::{PeerError, ReceiverLink, client, wire};
use sync_gib::server::Ledger;
use sync_gib::space::{Space, SpaceExt};
use sync_gib::sync::body::{Body, Commit};
use sync_gib::sync::msg::{Msg, PROTOCOL, RefusalCode};
use sync_gib::sync::{Established, SyncError};

use crate::hostile_common::*;
use crate::http::ask;

/// An evolution of I that the server has, with all that its sender knows.
fn establish(host: &Host, person: &Person) -> Established {
    client::open_session(&person.space, &host.link(), &person.identity).unwrap()
}

fn post(host: &Host, person: &Person, made: &Established) -> Result<(), PeerError> {
    host.link().evolve(person.domain(), &[&made.identity], &made.session)
}

fn refused(result: Result<(), PeerError>, code: RefusalCode) {
    match result {
        Err(PeerError::Sync(SyncError::Refused(refusal))) => {
            assert_eq!(refusal.code, code, "{}", refusal.message);
        }
        other => panic!("{other:?} instead of a refusal"),
    }
}

fn revoke(host: &Host, person: &Person) {
    client::revoke(&person.space, &host.link(), &person.identity, "stolen").unwrap();
}

fn statuses(host: &Host, person: &Person, tip: &str, token: &str) -> Vec<u16> {
    let ibgibs = wire::domain_path(wire::PATH_IBGIBS, person.domain());
    let latest = wire::domain_path(wire::PATH_LATEST, person.domain());
    let tip = tip.replace('^', "%5E");
    [
        format!("{ibgibs}?addr={tip}"),
        format!("{ibgibs}?addr={tip}&getGraph=true"),
        format!("{latest}?tjp={tip}"),
    ]
    .map(|path| ask(host, "GET", &path, Some(token), "").0)
    .into()
}

#[test]
fn a_revocation_ends_sessions_tokens_and_sockets() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let x = timeline("x", json!({ "a": 1 }));
    let mut session = person.connected(&host);
    let commit = session.push(&x);
    session.answer();
    session.send_turn(&Body::Commit(commit));
    session.answer();
    let token = session.token.take().unwrap().value;
    let tjp = tip_of(&x).tjp_addr().unwrap();
    assert_eq!(statuses(&host, &person, &tjp, &token), [200; 3]);

    let prepared = establish(&host, &person);
    let mut open = person.connected(&host);
    open.state(&[]);
    let mut challenged = person.session(&host);
    let (uuid, ids) = challenged.raw.hello(&challenged.domain, &challenged.session);
    revoke(&host, &person);

    open.raw.closed();
    challenged.raw.closed();
    host.all_closed();
    assert!(statuses(&host, &person, &tjp, &token).iter().all(|s| [401, 403].contains(s)));
    let held = host.held(person.domain());
    refused(post(&host, &person, &prepared), RefusalCode::Auth);
    for made in [prepared.session.addr().unwrap().into(), challenged.session.clone()] {
        let mut raw = Raw::open(&host);
        let domain = person.domain().clone();
        raw.send(&Msg::Hello {
            protocol: PROTOCOL,
            domain,
            session: made,
            features: Default::default(),
        });
        assert_eq!(raw.auth_fail().code, RefusalCode::Auth);
    }
    let proof = challenged.signer.prove(&uuid, &ids, &System::new()).unwrap();
    let mut raw = Raw::open(&host);
    raw.send(&Msg::AuthProof { keystone: proof });
    raw.auth_fail();
    host.all_closed();
    assert_eq!(host.held(person.domain()), held);
    let path = wire::domain_path(wire::PATH_IDENTITY, person.domain());
    let (status, frames) = ask(&host, "GET", &path, None, "");
    assert_eq!(status, 200);
    assert!(frames.contains("revocationInfo"), "everybody hears of it");
}

/// Revokes on the server's file, as another process with the same file would: no socket hears of it.
fn revoke_behind(host: &Host, person: &Person) {
    let space = host.space(person.domain());
    let tip = space.tip(person.domain()).unwrap().unwrap();
    let tip = space.get_id(tip.id).unwrap();
    let revoked = keystone::revoke(&tip, &person.identity.secret, "gone", &System::new()).unwrap();
    space.put_all(&[revoked]).unwrap();
}

#[test]
fn every_step_of_a_session_asks_whether_the_identity_is_revoked() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let mut session = person.session(&host);
    let (uuid, ids) = session.raw.hello(&session.domain, &session.session);
    let proof = session.signer.prove(&uuid, &ids, &System::new()).unwrap();
    revoke_behind(&host, &person);
    session.unchanged(|session| {
        session.raw.send(&Msg::AuthProof { keystone: proof });
        assert_eq!(session.raw.auth_fail().code, RefusalCode::Auth);
    });

    let stone = IbGib::new("stone".into(), Some(json!({ "i": 1 })), None).unwrap();
    for turns in 0..3 {
        let host = Host::new();
        let person = Person::new(&host, "a");
        let mut session = person.connected(&host);
        let mut next = Body::Init(init());
        if turns > 0 {
            session.state(std::slice::from_ref(&stone));
            let texts: Vec<Box<str>> = vec![stone.to_json().into()];
            let payload = digest(&texts);
            session.raw.send(&Msg::Payload { ibgibs: texts });
            next = delta(payload.clone());
            if turns > 1 {
                session.send_turn(&next);
                session.answer();
                next = Body::Commit(Commit { payload: total(&[payload]), moves: vec![] });
            }
        }
        revoke_behind(&host, &person);
        session.refused(&next, RefusalCode::Auth);
    }
}

#[test]
fn a_known_evolution_brings_no_session_back() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let made = establish(&host, &person);
    // What has expired is cleared away like this.
    Ledger::of(&host.space(person.domain())).purge_sessions(i64::MAX as u64).unwrap();
    post(&host, &person, &made).unwrap();
    let mut session = person.session(&host);
    session.session = made.session.addr().unwrap().into();
    session.signer =
        Established::resume(made.identity, made.session, &person.identity.secret).unwrap().signer;
    let (uuid, ids) = session.raw.hello(&session.domain, &session.session);
    let keystone = session.signer.prove(&uuid, &ids, &System::new()).unwrap();
    session.raw.send(&Msg::AuthProof { keystone });
    let refusal = session.raw.auth_fail();
    assert!(refusal.message.contains("not known"), "{}", refusal.message);
}
