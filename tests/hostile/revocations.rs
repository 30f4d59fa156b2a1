//! Revocations as they are posted by those who may not revoke: nobody but the identity's owner ends
//! it, and what is refused changes nothing.

use serde_json::{Value, json};
use sync_gib::ibgib::{IbGib, System, json::stringify};
use sync_gib::keystone::{self, Claim, Signing, VERB_REVOKE, VERB_SYNC};
use sync_gib::peer::wire::{self, RevocationBody};
use sync_gib::space::Space;
use sync_gib::sync::establish;

use crate::hostile_common::*;
use crate::http::{ask, parts, talk};

fn path(person: &Person) -> String {
    wire::domain_path(wire::PATH_REVOCATION, person.domain())
}

fn post(host: &Host, of: &Person, frames: &[&IbGib]) -> (u16, String) {
    let body = stringify(&RevocationBody { frames: frames.to_vec() });
    ask(host, "POST", &path(of), None, &body)
}

/// The newest frame of a person's identity that the host has.
fn newest(host: &Host, person: &Person) -> IbGib {
    let space = host.space(person.domain());
    let tip = space.tip(person.domain()).unwrap().unwrap();
    space.get_id(tip.id).unwrap()
}

/// The frame that ends an identity on top of `tip`.
fn ending(tip: &IbGib, secret: &str) -> IbGib {
    keystone::revoke(tip, &secret_of(secret), "stolen", &System::new()).unwrap()
}

/// The same frame with changed data, and the gib that this has.
fn changed(frame: &IbGib, change: impl FnOnce(&mut Value)) -> IbGib {
    let mut data = frame.data.clone().unwrap();
    change(&mut data);
    IbGib::new(frame.ib.clone(), Some(data), frame.rel8ns.clone()).unwrap()
}

/// A host with a person whose session is open: it must stay so, and so must all that is held.
fn untouched(act: impl FnOnce(&Host, &Person)) {
    let host = Host::new();
    let ann = Person::new(&host, "a");
    let mut session = ann.connected(&host);
    let before = host.held(ann.domain());
    act(&host, &ann);
    assert_eq!(host.held(ann.domain()), before);
    session.state(&[]);
}

/// That the host refuses these frames with one of the statuses of a refusal.
fn refused(host: &Host, of: &Person, frames: &[&IbGib], what: &str) {
    let (status, body) = post(host, of, frames);
    assert!([400, 403, 409].contains(&status), "{what}: {status} {body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert!(body["error"]["code"].is_string(), "{what}: {body}");
}

#[test]
fn somebody_else_revokes_nobody() {
    untouched(|host, ann| {
        let bob = Person::new(host, "b");
        let before = host.held(bob.domain());
        let bobs = ending(&bob.genesis, "b");
        refused(host, ann, &[&bobs], "another identity's revocation");
        refused(host, ann, &[&newest(host, ann), &bobs], "the same behind a frame that is known");
        assert_eq!(host.held(bob.domain()), before, "and it is not taken for its own either");

        // On the frames of her own that everybody may read, with what Bob knows.
        let tip = newest(host, ann);
        let Value::Object(mut rel8ns) = json!({ "past": [tip.addr().unwrap()] }) else { panic!() };
        for name in ["ancestor", "tjp"] {
            rel8ns.insert(name.into(), tip.rel8ns.as_ref().unwrap()[name].clone());
        }
        let stolen = IbGib::new(tip.ib.clone(), bobs.data.clone(), Some(rel8ns)).unwrap();
        refused(host, ann, &[&stolen], "Bob's proof in a frame of hers");
        let said = changed(&tip, |data| {
            data["revocationInfo"] = json!({ "reason": "none", "proof": data["proofs"][0] });
        });
        refused(host, ann, &[&said], "her newest frame, said to revoke");
    });
}

#[test]
fn a_forged_revocation_is_refused() {
    untouched(|host, ann| {
        // What a thief of one proof could try: Ann's own revocation, seen on its way and changed.
        let good = ending(&newest(host, ann), "a");
        let forged = |what: &str, change: fn(&mut Value)| {
            refused(host, ann, &[&changed(&good, change)], what);
        };
        forged("a changed solution", |data| {
            for proof in ["/proofs/0", "/revocationInfo/proof"] {
                data.pointer_mut(proof).unwrap()["solutions"][0]["value"] = HASH.into();
            }
        });
        forged("another target", |data| {
            for proof in ["/proofs/0", "/revocationInfo/proof"] {
                let target = format!("keystone^{HASH}");
                data.pointer_mut(proof).unwrap()["claim"]["target"] = target.into();
            }
        });
        forged("another verb", |data| {
            for proof in ["/proofs/0", "/revocationInfo/proof"] {
                data.pointer_mut(proof).unwrap()["claim"]["verb"] = VERB_SYNC.into();
            }
        });
        forged("no proof", |data| data["proofs"] = json!([]));
        let mut broken = good.clone();
        broken.gib = good.gib.replace(&good.gib[..64], HASH);
        refused(host, ann, &[&broken], "a wrong gib");
        refused(host, ann, &[&good, &broken], "a wrong gib behind the good one");
    });
}

#[test]
fn what_revokes_nothing_is_no_revocation() {
    untouched(|host, ann| {
        let tip = newest(host, ann);
        let made = establish(ann.domain(), &tip, &secret_of("a"), &System::new()).unwrap();
        refused(host, ann, &[&made.identity], "a step that claims a session");
        refused(host, ann, &[&tip], "a frame that is there");
        refused(host, ann, &[], "nothing");
        let end = ending(&tip, "a");
        refused(host, ann, &[&end, &made.identity], "a step beside its end");
        let after = ending(&made.identity, "a");
        refused(host, ann, &[&after], "the end of a frame that is lacking");
        // The pool that signs sessions revokes nothing.
        let claim = Claim::new(VERB_REVOKE, tip.addr().unwrap().as_str());
        let now = System::new();
        let signing =
            Signing { claim: &claim, pool_id: None, required: &[], frame_details: None, env: &now };
        assert!(keystone::sign(&tip, &secret_of("a"), &signing).is_err());
    });
}

#[test]
fn a_revocation_that_the_identity_went_on_from_is_refused() {
    let host = Host::new();
    let ann = Person::new(&host, "a");
    let old = ending(&newest(&host, &ann), "a");
    let mut session = ann.connected(&host);
    let before = host.held(ann.domain());
    let (status, body) = post(&host, &ann, &[&old]);
    assert_eq!(status, 409, "{body}");
    let (status, body) = post(&host, &ann, &[&ann.genesis, &old]);
    assert_eq!(status, 409, "{body}");
    assert_eq!(host.held(ann.domain()), before);
    session.state(&[]);
}

#[test]
fn a_replayed_revocation_changes_nothing() {
    let host = Host::new();
    let ann = Person::new(&host, "a");
    let bob = Person::new(&host, "b");
    let mut bobs = bob.connected(&host);
    let end = ending(&newest(&host, &ann), "a");
    assert_eq!(post(&host, &ann, &[&end]).0, 200);
    let held = host.held(ann.domain());
    let frames = [&ann.genesis, &end];
    for again in [&frames[..], &frames[1..]] {
        let (status, body) = post(&host, &ann, again);
        assert_eq!(status, 200, "{body}");
    }
    // An identity ends once.
    let other = ending(&ann.genesis, "a");
    assert_eq!(post(&host, &ann, &[&other]).0, 409, "another end of the same frame");
    assert_eq!(host.held(ann.domain()), held);
    assert_eq!(post(&host, &bob, &[&end]).0, 403, "replayed at another identity");
    bobs.state(&[]);
}

#[test]
fn a_revocation_of_what_is_not_registered_is_refused() {
    let host = Host::new();
    let nobody = Person::unregistered("a");
    let end = ending(&nobody.genesis, "a");
    for frames in [&[&nobody.genesis, &end][..], &[&end]] {
        assert_eq!(post(&host, &nobody, frames).0, 403);
    }
    assert_eq!(host.held(nobody.domain()).count.ibgibs, 0);
}

#[test]
fn a_malformed_or_huge_revocation_is_refused() {
    untouched(|host, ann| {
        let path = path(ann);
        let deep = format!("{{\"frames\":{}{}}}", "[".repeat(500), "]".repeat(500));
        let many = format!("{{\"frames\":[{}1]}}", "1,".repeat(300_000));
        let primitive = "{\"frames\":[{\"ib\":\"keystone\",\"gib\":\"gib\"}]}";
        for body in
            ["", "{", "[]", "{}", "null", "{\"frames\":null}", "{\"frames\":[null]}", &deep, &many]
        {
            let (status, told) = ask(host, "POST", &path, None, body);
            let shown = &body[..body.len().min(60)];
            let expected = if body == many { 413 } else { 400 };
            assert_eq!(status, expected, "{shown}: {told}");
        }
        assert_eq!(ask(host, "POST", &path, None, primitive).0, 403);
        let end = ending(&newest(host, ann), "a");
        let (status, body) = post(host, ann, &vec![&end; 257]);
        assert_eq!(status, 413, "{body}");
        // Said to be too long, and found to be.
        let head = |how: &str| {
            format!(
                "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                 content-type: application/json\r\n{how}\r\n\r\n"
            )
        };
        let said = head(&format!("content-length: {}", 9 << 20)) + "{";
        assert_eq!(parts(&talk(host, said.as_bytes())).0, 413);
        let chunk = format!("100000\r\n{}\r\n", " ".repeat(1 << 20));
        let found = head("transfer-encoding: chunked") + &chunk.repeat(9);
        let answer = talk(host, found.as_bytes());
        assert!(answer.is_empty() || parts(&answer).0 == 413, "{answer}");
    });
}
