//! What is read as a message is written and read back the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sync_gib::peer::wire;

fuzz_target!(|text: &str| {
    let Ok(msg) = wire::read(text) else { return };
    let written = wire::write(&msg);
    let again = wire::read(&written).expect("what was written is read");
    assert_eq!(written, wire::write(&again));
});
