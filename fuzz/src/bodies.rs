//! Bodies of HTTP requests and answers.

mod identity;

use serde_json::{Value, json};
use sync_gib::ibgib::{IbGib, TjpAddr, json as js};
use sync_gib::keystone;
use sync_gib::peer::wire::{self, ErrorBody, EvolutionBody, Latest, RevocationBody, ServerState};
use sync_gib::space::{MemorySpace, Space};
use sync_gib::sync::{Quota, domain};

use super::edit::{edit, rehash};
use super::fixtures::Keystones;
use super::input::{Input, texts};

/// No body breaks what reads it, and what is read is written and read back the same. What a domain
/// takes of it leaves a closed space, what it refuses leaves nothing.
///
/// The input is a body as text, or else changes to a body that is good, or the pages in which a
/// server gives an identity.
pub fn bodies(data: &[u8]) {
    if let Some(b'{' | b'[' | b'"') = data.first() {
        let Some([text]) = texts(data) else { return };
        read(text);
        return;
    }
    let input = &mut Input::new(data);
    if input.byte() & 1 == 1 {
        identity::read(input);
        return;
    }
    let mut body = good(input);
    let which = input.byte();
    if which & 1 != 0 {
        edit(&mut body, input);
    }
    if which & 2 != 0 {
        let frames = body.get_mut("frames").and_then(Value::as_array_mut);
        frames.into_iter().flatten().for_each(rehash);
    }
    if which & 4 != 0
        && let Some(session) = body.get_mut("session")
    {
        rehash(session);
    }
    let text = js::stringify(&body);
    read(&text);
    post(&text);
}

/// A body that is read, and where it is one of a request taken.
fn good(input: &mut Input<'_>) -> Value {
    let Keystones { identity, session, .. } = Keystones::get();
    let session = session[0].to_value();
    let frames = |from: usize, to: usize| -> Vec<Value> {
        identity[from..to].iter().map(IbGib::to_value).collect()
    };
    let tip = || identity[1].addr().unwrap();
    match input.below(7) {
        0 => json!({ "frames": frames(1, 2), "session": session }),
        1 => json!({ "frames": frames(0, 2), "session": session }),
        2 => json!({ "frames": frames(1, 4) }),
        3 => json!({ "frames": frames(1, 4), "session": session }),
        4 => identity[0].to_value(),
        5 => json!({ "error": { "code": "conflict", "message": "a message" } }),
        _ => json!({ "tjp": identity[0].addr().unwrap(), "tip": tip(), "n": 1 }),
    }
}

/// Reads a text as every kind of body.
fn read(text: &str) {
    if let Ok((frames, session)) = wire::read_evolution(text) {
        let body = EvolutionBody { frames: frames.iter().collect(), session: &session };
        let again = wire::read_evolution(&js::stringify(&body)).expect("what was written is read");
        assert_eq!(again, (frames, session));
    }
    if let Ok(frames) = wire::read_revocation(text) {
        let body = RevocationBody { frames: frames.iter().collect() };
        let again = wire::read_revocation(&js::stringify(&body)).expect("what was written is read");
        assert_eq!(again, frames);
    }
    if let Ok(body) = serde_json::from_str::<ErrorBody>(text) {
        let said = wire::peer_text(&body.error.message);
        assert!(!said.chars().any(char::is_control), "a control character reaches the terminal");
    }
    if let Ok(state) = serde_json::from_str::<ServerState>(text) {
        let again: ServerState = serde_json::from_str(&js::stringify(&state)).expect("it is read");
        assert_eq!(again, state);
    }
    if let Ok(latest) = serde_json::from_str::<Latest>(text) {
        let again: Latest = serde_json::from_str(&js::stringify(&latest)).expect("it is read");
        assert_eq!((again.tjp, again.tip, again.n), (latest.tjp, latest.tip, latest.n));
    }
    let _ = keystone::read_frame(text);
}

/// Posts a body to a domain that holds I's genesis.
fn post(text: &str) {
    let keystones = Keystones::get();
    let (space, identity) = (MemorySpace::new(), keystones.domain());
    let quota = Quota::default();
    domain::register(&space, &keystones.identity[0], &quota).expect("the genesis is good");
    let held = || space.count().unwrap().ibgibs;
    if let Ok((frames, session)) = wire::read_evolution(text) {
        match domain::evolve(&space, &identity, &frames, &session, &quota) {
            Ok(()) => claimed(&space, &identity, &session),
            Err(_) => assert_eq!(held(), 1, "a refused evolution left something"),
        }
        return;
    }
    if let Ok(frames) = wire::read_revocation(text) {
        match domain::revoke(&space, &identity, &frames) {
            Ok(()) => assert!(frames.last().is_some_and(keystone::is_revoked)),
            Err(_) => assert_eq!(held(), 1, "a refused revocation left something"),
        }
        return;
    }
    if let Ok(genesis) = IbGib::from_json(text) {
        let taken = domain::register(&space, &genesis, &quota);
        assert_eq!(held(), 1 + u64::from(taken.is_ok_and(|addr| addr != identity)));
    }
}

/// What was taken is there: the session, and a frame of I that claims it.
fn claimed(space: &MemorySpace, identity: &TjpAddr, session: &IbGib) {
    let session = session.addr().expect("it was taken");
    assert!(space.find(&session).unwrap().is_some());
    let tip = space.tip(identity).unwrap().expect("it is registered");
    assert!(tip.n > 0, "a session without a frame that claims it");
}
