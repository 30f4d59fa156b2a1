//! Servers that deliver what they should not: nothing of it comes into the client's space.

use serde_json::json;
use sync_gib::ibgib::IbGib;
use sync_gib::peer::PeerError;
use sync_gib::sync::SyncError;
use sync_gib::sync::body::{Body, Commit, Delta, PayloadDigest};
use sync_gib::sync::msg::Msg;

use crate::hostile_common::fake::Fake;
use crate::hostile_common::*;
use crate::servers::{Victim, texts};

/// A server that is ahead by `stated` and delivers `texts`, declared or not.
fn delivering(
    stated: &[IbGib],
    texts: Vec<Box<str>>,
    declared: Option<PayloadDigest>,
) -> PeerError {
    let victim = Victim::new();
    let declared = declared.unwrap_or_else(|| digest(&texts));
    victim.sync(|fake: &mut Fake, msg| match msg {
        Msg::Request(_) if fake.turns == 1 => fake.respond(&Body::Ack(victim.ahead(stated))),
        Msg::Request(_) if fake.turns == 2 => {
            let mut out = Vec::new();
            if !texts.is_empty() {
                out.push(Msg::Payload { ibgibs: texts.clone() });
            }
            let delta = Delta { payload: declared.clone(), ..Delta::default() };
            out.extend(fake.respond(&Body::Delta(delta)));
            out
        }
        Msg::Request(_) => {
            let (payload, moves) = (PayloadDigest::default(), Vec::new());
            fake.respond(&Body::Commit(Commit { payload, moves }))
        }
        msg => fake.auth(&msg),
    })
}

#[test]
fn payloads_that_are_not_what_they_say() {
    let other = timeline("x", json!({ "other": 1 }));
    let frames = edit(tip_of(&other), json!({ "b": 1 }));
    let mut forged = frames.clone();
    forged[0].gib = HASH.into();
    let error = delivering(&frames, texts(&forged), None);
    assert!(matches!(error, PeerError::Sync(SyncError::Content(_))), "{error:?}");

    let declared = PayloadDigest { count: 1, bytes: 5, digest: HASH.to_lowercase() };
    let error = delivering(&frames, texts(&frames), Some(declared));
    assert!(matches!(error, PeerError::Sync(SyncError::Content(_))), "{error:?}");

    // Not closed, another timeline, and nothing at all.
    for texts in [texts(&frames), texts(&other), vec![]] {
        let error = delivering(&frames, texts, None);
        assert!(matches!(error, PeerError::Sync(SyncError::Space(_))), "{error:?}");
    }
}

#[test]
fn frames_that_diverge() {
    let victim = Victim::new();
    let first = victim.x.iter().find(|ibgib| ibgib.n() == Some(1)).unwrap();
    let branch = edit(first, json!({ "evil": 1 }));
    let branch: Vec<IbGib> =
        branch.iter().cloned().chain(edit(tip_of(&branch), json!({}))).collect();
    let error = victim.sync(|fake: &mut Fake, msg| match msg {
        Msg::Request(_) if fake.turns == 1 => fake.respond(&Body::Ack(victim.ahead(&branch))),
        Msg::Request(_) if fake.turns == 2 => {
            let texts = texts(&branch);
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
    assert!(matches!(error, PeerError::Sync(SyncError::Space(_))), "{error:?}");
}
