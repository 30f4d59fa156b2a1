//! Merging texts ends, depends on nothing but the texts, and takes a lone change as it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sync_gib::sync::merge::merge_text;

fuzz_target!(|texts: (&str, &str, &str)| {
    let (base, kept, replayed) = texts;
    assert_eq!(merge_text(base, kept, replayed), merge_text(base, kept, replayed));
    assert_eq!(merge_text(base, kept, base), kept);
    assert_eq!(merge_text(base, base, replayed), replayed);
    assert_eq!(merge_text(base, kept, kept), kept);
});
