//! Histories as `sync-gib keystone verify` replays them.

use serde_json::json;
use sync_gib::ibgib::{IbGib, System, TjpAddr};
use sync_gib::keystone::{self, TimelineValidator, Violation};
use sync_gib::sync::establish;

use crate::hostile_common::secret_of;
use crate::people::*;

fn synced(tip: &IbGib, secret: &str) -> IbGib {
    let domain = TjpAddr::parse(&tip.tjp_addr().unwrap()).unwrap();
    establish(&domain, tip, &secret_of(secret), &System::new()).unwrap().identity
}

/// A genesis, and the frames after it.
fn history(genesis: IbGib, steps: &[&dyn Fn(&IbGib) -> IbGib]) -> Vec<IbGib> {
    let mut frames = vec![genesis];
    for step in steps {
        frames.push(step(frames.last().unwrap()));
    }
    frames
}

/// The first frame that a replay refuses, and why.
fn first_wrong(frames: &[IbGib]) -> Option<(usize, Vec<Violation>)> {
    let mut replay = TimelineValidator::new();
    let mut found = frames.iter().map(|frame| replay.push(frame)).enumerate();
    found.find(|(_, violations)| !violations.is_empty())
}

/// A history of all that happens to an identity with a signing key.
fn eventful() -> Vec<IbGib> {
    let code = code();
    let next = std::cell::OnceCell::new();
    let recover = |tip: &IbGib| {
        let (frame, code) = recovery(tip, &code, "c");
        next.set(code).unwrap();
        frame
    };
    history(
        locked_genesis("a", &pools(), Some(&code)),
        &[
            &|tip| synced(tip, "a"),
            &|tip| synced(tip, "a"),
            &|tip| rotation(tip, "a", "b"),
            &|tip| synced(tip, "b"),
            &recover,
            &|tip| synced(tip, "c"),
            &|tip| recovery(tip, next.get().unwrap(), "d").0,
            &|tip| rotation(tip, "d", "e"),
            &|tip| synced(tip, "e"),
            &|tip| keystone::revoke(tip, &secret_of("e"), "done", &System::new()).unwrap(),
        ],
    )
}

#[test]
fn histories_with_and_without_a_signing_key_replay() {
    let plain = keystone::genesis(&secret_of("a"), &pools(), None, &System::new()).unwrap();
    let plain = history(
        plain,
        &[&|tip| synced(tip, "a"), &|tip| synced(tip, "a"), &|tip| {
            keystone::revoke(tip, &secret_of("a"), "done", &System::new()).unwrap()
        }],
    );
    assert_eq!(first_wrong(&plain), None);
    assert_eq!(first_wrong(&eventful()), None);
    // Who has no code has an identity that ends with its secret.
    let without = history(
        locked_genesis("a", &pools(), None),
        &[&|tip| synced(tip, "a"), &|tip| rotation(tip, "a", "b"), &|tip| synced(tip, "b")],
    );
    assert_eq!(first_wrong(&without), None);
}

#[test]
fn a_history_is_wrong_from_the_first_frame_that_was_changed() {
    let frames = eventful();
    for at in 0..frames.len() {
        let mut broken = frames.clone();
        broken[at] = changed(&broken[at], |data| data["timestamp"] = json!("another time"));
        let (found, violations) = first_wrong(&broken).unwrap();
        match at {
            // A genesis is signed by nothing: another is another identity's.
            0 => assert_eq!(found, 1),
            _ => assert_eq!((found, violations), (at, vec![Violation::WrongSignature])),
        }
        if at > 0 && at + 1 < frames.len() {
            let mut lacking = frames.clone();
            lacking.remove(at);
            assert_eq!(first_wrong(&lacking).unwrap().0, at);
        }
    }
}

#[test]
fn what_an_old_secret_or_code_signs_does_not_go_on_a_history() {
    let frames = eventful();
    // On the frame of each secret, the step that its holder signs is none after any later frame.
    let secrets = ["a", "a", "a", "b", "b", "c", "c", "d", "e", "e"];
    for (on, secret) in secrets.iter().enumerate() {
        let late = synced(&frames[on], secret);
        for end in on + 2..frames.len() {
            let mut history = frames[..end].to_vec();
            history.push(late.clone());
            assert_eq!(first_wrong(&history).map(|(at, _)| at), Some(end), "{secret} on {on}");
        }
    }
}
