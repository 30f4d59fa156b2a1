#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sync_gib_fuzz::kept(data));
