//! What is read as an ibGib reads back the same, with the same gib.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sync_gib::ibgib::IbGib;

fuzz_target!(|text: &str| {
    let Ok(first) = IbGib::from_json(text) else { return };
    let printed = first.to_json();
    let second = IbGib::from_json(&printed).expect("what was printed is read");
    assert_eq!(printed, second.to_json());
    assert_eq!(first.computed_gib(), second.computed_gib());
});
