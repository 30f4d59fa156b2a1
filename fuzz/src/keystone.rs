//! Validating keystones.

use std::sync::OnceLock;

use serde_json::Value;
use sync_gib::ibgib::{IbGib, json};
use sync_gib::keystone::{self, TimelineValidator};

use super::edit::{edit, rehash};
use super::fixtures::Keystones;
use super::input::{Input, texts};

/// No pair of frames breaks the validation, and none passes it that shows what no signer revealed, or
/// that follows a frame with a lock and was not signed.
///
/// The input is a frame and the next one as texts, or else changes to a step that was signed.
pub fn keystone(data: &[u8]) {
    let (prev, next) = match data.first() {
        Some(b'{') => {
            let Some([prev, next]) = texts(data) else { return };
            let (Ok(prev), Ok(next)) = (IbGib::from_json(prev), IbGib::from_json(next)) else {
                return;
            };
            (prev, next)
        }
        _ => match changed(&mut Input::new(data)) {
            Some(step) => step,
            None => return,
        },
    };
    let _ = keystone::validate_genesis(&prev);
    let _ = (keystone::is_revoked(&next), keystone::revocation_reason(&next));
    let _ = keystone::frame_details(&prev).map(|_| keystone::pool_ids(&prev, keystone::POOL_SYNC));
    let mut timeline = TimelineValidator::new();
    let _ = (timeline.push(&prev), timeline.push(&next));
    if keystone::validate_step(&prev, &next).is_empty() {
        let proof = keystone::proof_of(&next).expect("it was read").expect("a step has a proof");
        assert!(!proof.solutions.is_empty(), "a step passed that reveals nothing");
        let revealed = revealed();
        assert!(
            proof.solutions.iter().all(|solution| revealed.contains(&solution.value)),
            "a step passed that shows a solution which no signer revealed"
        );
        // A frame without a count is taken for the first.
        assert_eq!(next.n(), Some(prev.n().unwrap_or(0).saturating_add(1)));
        assert_eq!(next.tjp_addr(), prev.tjp_addr());
        if keystone::lock_of(&prev).is_some() {
            let is_signed = Keystones::get().locked.iter().any(|frame| frame.gib == next.gib);
            assert!(is_signed, "a frame passed that no holder of the key signed");
        }
    }
}

/// Two frames that follow each other, of which either may be changed.
fn changed(input: &mut Input<'_>) -> Option<(IbGib, IbGib)> {
    let steps: Vec<&[IbGib]> = timelines().iter().flat_map(|frames| frames.windows(2)).collect();
    let step = steps[input.below(steps.len())];
    let which = input.byte();
    let mut frames = [step[0].to_value(), step[1].to_value()];
    for (at, frame) in frames.iter_mut().enumerate() {
        if which & (1 << at) != 0 {
            edit(frame, input);
        }
        if which & (4 << at) != 0 {
            rehash(frame);
        }
    }
    let [prev, next] = frames;
    // What no parser gives is not looked at.
    let read = |value: Value| IbGib::from_json(&json::stringify(&value)).ok();
    Some((read(prev)?, read(next)?))
}

fn timelines() -> [&'static [IbGib]; 3] {
    let keystones = Keystones::get();
    [&keystones.identity, &keystones.session, &keystones.locked]
}

/// All that the fixtures' signers revealed.
fn revealed() -> &'static [String] {
    static REVEALED: OnceLock<Vec<String>> = OnceLock::new();
    REVEALED.get_or_init(|| {
        let frames = timelines().into_iter().flatten();
        let proofs = frames.filter_map(|frame| keystone::proof_of(frame).unwrap());
        proofs.flat_map(|proof| proof.solutions).map(|solution| solution.value).collect()
    })
}
