//! No options break a transform, and whatever one makes is an ibGib with its own gib.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use sync_gib::ibgib::transform::{Kind, transform};
use sync_gib::ibgib::{IbGib, Moment, json};

fuzz_target!(|case: (u8, &str, &str)| {
    let kind = [Kind::Fork, Kind::Mut8, Kind::Rel8][usize::from(case.0 % 3)];
    let Ok(src) = IbGib::from_json(case.1) else { return };
    let Ok(Value::Object(opts)) = json::parse(case.2) else { return };
    if let Ok(made) = transform(kind, &src, &opts, Moment::default()) {
        for ibgib in made.into_all() {
            assert_eq!(ibgib.computed_gib().as_ref(), Ok(&ibgib.gib));
        }
    }
});
