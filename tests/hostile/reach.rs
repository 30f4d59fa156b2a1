//! What a sync may bring: what its turns name, what that relates to, and nothing else.

use serde_json::json;
use sync_gib::ibgib::transform::{Kind, Opts, transform};
use sync_gib::ibgib::{Addr, IbGib, System, TjpAddr};
use sync_gib::keystone::{self, Claim, Signing, VERB_MANAGE, presets};
use sync_gib::space::{Space, SpaceExt};
use sync_gib::sync::body::{
    Ack, Answer, Body, Commit, Delta, Init, PayloadDigest, Relation, Sample, Want,
};
use sync_gib::sync::msg::{Msg, Refusal, RefusalCode};

use crate::hostile_common::fake::Fake;
use crate::hostile_common::*;
use crate::servers::{Victim, texts};

fn texts_of(ibgibs: &[IbGib]) -> Vec<Box<str>> {
    ibgibs.iter().map(|ibgib| ibgib.to_json().into()).collect()
}

fn addr(ibgib: &IbGib) -> Addr {
    ibgib.addr().unwrap()
}

/// A next frame that relates to others, and its dna.
fn relate(tip: &IbGib, name: &str, to: &Addr) -> Vec<IbGib> {
    let opts = Opts::next_frame().set("rel8nsToAddByAddr", json!({ name: [to.as_str()] })).build();
    transform(Kind::Rel8, tip, &opts, &System::new()).unwrap().into_all()
}

/// A host that holds `x` for a person.
fn with_x() -> (Host, Person, Vec<IbGib>) {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let x = timeline("x", json!({ "a": 1 }));
    let mut session = person.connected(&host);
    let commit = session.push(&x);
    session.answer();
    session.send_turn(&Body::Commit(commit));
    session.answer();
    (host, person, x)
}

/// Pushes `stated` as it should be and `more` with it; the commit, with what `set` makes of it,
/// must be refused.
fn refused_with(
    stated: &[IbGib],
    more: &[IbGib],
    set: impl FnOnce(&mut Commit),
    person: &Person,
    host: &Host,
) -> Refusal {
    let mut session = person.connected(host);
    session.unchanged(|session| {
        session.state(stated);
        let texts = texts_of(&[stated, more].concat());
        let payload = digest(&texts);
        session.raw.send(&Msg::Payload { ibgibs: texts });
        session.send_turn(&delta(payload.clone()));
        session.answer();
        let mut commit = Commit { payload: total(&[payload]), moves: vec![] };
        set(&mut commit);
        session.send_turn(&Body::Commit(commit));
        session.raw.sync_error(RefusalCode::Content)
    })
}

#[test]
fn a_push_brings_what_its_turns_name() {
    let (host, person, x) = with_x();
    let stone = IbGib::new("stone".into(), Some(json!({ "i": 1 })), None).unwrap();
    let other = IbGib::new("stone".into(), Some(json!({ "i": 2 })), None).unwrap();
    let refusal = refused_with(
        std::slice::from_ref(&stone),
        std::slice::from_ref(&other),
        |_| {},
        &person,
        &host,
    );
    assert!(refusal.message.contains(addr(&other).as_str()), "{}", refusal.message);
    // A timeline that nobody stated, and one that was stated and that the commit does not name.
    let edited = edit(tip_of(&x), json!({ "b": 1 }));
    refused_with(&[stone], &edited, |_| {}, &person, &host);
    let refusal = refused_with(&edited, &[], |_| {}, &person, &host);
    assert!(refusal.message.contains(addr(tip_of(&edited)).as_str()), "{}", refusal.message);
}

#[test]
fn a_payload_that_no_turn_declared_is_not_stored() {
    let (host, person, x) = with_x();
    let edited = edit(tip_of(&x), json!({ "smuggled": 1 }));
    let late = Msg::Payload { ibgibs: texts_of(&edited) };
    // After the last turn that is closed.
    person.connected(&host).unchanged(|session| {
        session.state(&[]);
        session.raw.send(&late);
        session
            .send_turn(&Body::Commit(Commit { payload: PayloadDigest::default(), moves: vec![] }));
        session.raw.sync_error(RefusalCode::Protocol);
    });
    // After the turn with the digest of what came before it.
    let stone = IbGib::new("stone".into(), Some(json!({ "i": 1 })), None).unwrap();
    person.connected(&host).unchanged(|session| {
        let commit = session.push(&[stone]);
        session.answer();
        session.raw.send(&late);
        session.send_turn(&Body::Commit(commit));
        session.raw.sync_error(RefusalCode::Protocol);
    });
    // Before another page of what is stated.
    person.connected(&host).unchanged(|session| {
        session.state(&[]);
        session.raw.send(&late);
        session.send_turn(&Body::Init(init()));
        session.raw.sync_error(RefusalCode::Protocol);
    });
}

#[test]
fn turns_come_in_their_order() {
    let (host, person, x) = with_x();
    let nothing = || Body::Commit(Commit { payload: PayloadDigest::default(), moves: vec![] });
    let offer = Msg::Offer { seq: 0, addrs: vec![addr(&x[0])] };
    let payload = Msg::Payload { ibgibs: texts_of(&x) };
    for before_init in [&offer, &payload] {
        person.connected(&host).unchanged(|session| {
            session.raw.send(before_init);
            session.raw.sync_error(RefusalCode::Protocol);
        });
    }
    for first in [delta(PayloadDigest::default()), nothing()] {
        person.connected(&host).refused(&first, RefusalCode::Protocol);
    }
    // While more is to be stated.
    for next in [delta(PayloadDigest::default()), nothing()] {
        let mut session = person.connected(&host);
        session.send_turn(&Body::Init(Init { more: true, ..init() }));
        session.answer();
        session.refused(&next, RefusalCode::Protocol);
    }
    // After the turn with the payload's digest only the commit is left.
    let want = Want {
        tjp: TjpAddr::parse(&tip_of(&x).tjp_addr().unwrap()).unwrap(),
        tip: addr(tip_of(&x)),
        common: None,
    };
    let wants = Body::Delta(Delta { wants: vec![want], ..Delta::default() });
    for next in [delta(PayloadDigest::default()), wants, Body::Init(init())] {
        let mut session = person.connected(&host);
        session.push(&[]);
        session.answer();
        session.refused(&next, RefusalCode::Protocol);
    }
}

#[test]
fn a_payload_brings_no_keystones_but_ones_own_sessions() {
    let (host, person, x) = with_x();
    let pools = presets::identity_pools(&System::new()).unwrap();
    let foreign = keystone::genesis(&secret_of("f"), &pools, None, &System::new()).unwrap();
    let of_another = {
        let details = json!({ "domainIdentity": addr(&foreign), "sagaId": "s" });
        let pools = presets::session_pools(&System::new()).unwrap();
        keystone::genesis(&secret_of("s"), &pools, Some(details), &System::new()).unwrap()
    };
    for keystone in [&foreign, &of_another] {
        let related = relate(tip_of(&x), "friend", &addr(keystone));
        person.connected(&host).unchanged(|session| {
            session.state(&related);
            session.raw.send(&Msg::Payload { ibgibs: vec![keystone.to_json().into()] });
            session.raw.sync_error(RefusalCode::Content);
        });
    }
    // The identity goes on by evolutions alone.
    let step = {
        let tip = host.space(person.domain()).tip(person.domain()).unwrap().unwrap();
        let tip = host.space(person.domain()).get(&tip.addr).unwrap().unwrap();
        let claim = Claim::new(VERB_MANAGE, "manage");
        let now = System::new();
        let signing =
            Signing { claim: &claim, pool_id: None, required: &[], frame_details: None, env: &now };
        keystone::sign(&tip, &person.identity.secret, &signing).unwrap()
    };
    person.connected(&host).unchanged(|session| {
        session.state(&[]);
        session.raw.send(&Msg::Payload { ibgibs: vec![step.to_json().into()] });
        session.raw.sync_error(RefusalCode::Conflict);
    });
    // What another device's sync left may be related to.
    let own = {
        let details = json!({ "domainIdentity": person.domain(), "sagaId": "s" });
        let pools = presets::session_pools(&System::new()).unwrap();
        keystone::genesis(&secret_of("s"), &pools, Some(details), &System::new()).unwrap()
    };
    let mut related = vec![own.clone()];
    related.extend(relate(tip_of(&x), "session", &addr(&own)));
    let mut session = person.connected(&host);
    let commit = session.push(&related);
    session.answer();
    session.send_turn(&Body::Commit(commit));
    assert!(matches!(session.answer(), Body::Commit(_)));
}

/// What comes of a server that answers `ack`, delivers `stated` as it is wanted and `more` besides.
fn delivering(victim: &Victim, ack: &Ack, stated: &[IbGib], more: &[IbGib]) -> String {
    let error = victim.sync(|fake: &mut Fake, msg| match msg {
        Msg::Request(_) if fake.turns == 1 => fake.respond(&Body::Ack(ack.clone())),
        Msg::Request(_) if fake.turns == 2 => {
            let texts = texts(&[stated, more].concat());
            let delta = Delta { payload: digest(&texts), ..Delta::default() };
            let mut out = vec![Msg::Payload { ibgibs: texts }];
            out.extend(fake.respond(&Body::Delta(delta)));
            out
        }
        Msg::Request(_) => {
            let (payload, moves) = (PayloadDigest::default(), Vec::new());
            fake.respond(&Body::Commit(Commit { payload, moves }))
        }
        msg => fake.auth(&msg),
    });
    error.to_string()
}

#[test]
fn a_pull_brings_what_was_asked_for() {
    let victim = Victim::new();
    let ahead = edit(tip_of(&victim.x), json!({ "b": 1 }));
    let stone = IbGib::new("stone".into(), Some(json!({ "i": 1 })), None).unwrap();
    let y = timeline("y", json!({}));
    let beyond = edit(tip_of(&ahead), json!({ "c": 1 }));
    for more in [vec![stone], y, beyond] {
        let error = delivering(&victim, &victim.ahead(&ahead), &ahead, &more);
        assert!(error.contains("asked for"), "{error}");
    }
}

#[test]
fn a_pull_moves_no_timeline_that_nothing_wanted_reaches() {
    let victim = Victim::new();
    let y = timeline("y", json!({}));
    victim.person.space.put_all(&y).unwrap();
    let tjp = TjpAddr::parse(&tip_of(&y).tjp_addr().unwrap()).unwrap();
    let tip = Sample { addr: addr(tip_of(&y)), n: 0 };
    let (tip, samples) = (Some(tip), Vec::new());
    let ahead = edit(tip_of(&victim.x), json!({ "b": 1 }));
    let mut ack = victim.ahead(&ahead);
    ack.timelines.push(Answer { tjp: tjp.clone(), relation: Relation::Equal, tip, samples });
    let moved = edit(tip_of(&y), json!({ "evil": 1 }));
    let error = delivering(&victim, &ack, &ahead, &moved);
    assert!(error.contains("asked for"), "{error}");
    assert_eq!(victim.person.space.tip(&tjp).unwrap().unwrap().addr, addr(tip_of(&y)));
}
