//! No pair of frames breaks the validation, and none that was not signed passes it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sync_gib::ibgib::IbGib;
use sync_gib::keystone;

fuzz_target!(|frames: (&str, &str)| {
    let (Ok(prev), Ok(next)) = (IbGib::from_json(frames.0), IbGib::from_json(frames.1)) else {
        return;
    };
    let _ = keystone::validate_genesis(&prev);
    let _ = keystone::proof_of(&next);
    assert!(!keystone::validate_step(&prev, &next).is_empty(), "a forged step passed");
});
