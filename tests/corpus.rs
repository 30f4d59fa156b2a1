//! The corpora of the fuzz targets, replayed by the functions that the targets call.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

#[path = "../fuzz/src/lib.rs"]
mod fuzzed;

/// Runs a target over every file of its corpus; returns how many there are.
fn replay(name: &str, target: fuzzed::Target) -> usize {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let entries = std::fs::read_dir(&dir).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in &files {
        let data = std::fs::read(file).unwrap();
        let run = std::panic::AssertUnwindSafe(|| target(&data));
        let done = std::panic::catch_unwind(run);
        assert!(done.is_ok(), "{name} fails on {}", file.display());
    }
    files.len()
}

macro_rules! corpora {
    ($($test:ident $target:ident;)*) => {
        $(#[test]
        fn $test() {
            assert!(replay(stringify!($target), fuzzed::$target) > 0);
        })*

        #[test]
        fn every_target_has_a_program_and_a_corpus_that_is_replayed() {
            let names = fuzzed::TARGETS.map(|(name, _)| name);
            assert_eq!(names, [$(stringify!($target)),*]);
            for (dir, suffix) in [("fuzz/fuzz_targets", ".rs"), ("fuzz/corpus", "")] {
                let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
                let entries = std::fs::read_dir(dir).unwrap();
                let found = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
                let mut found: Vec<String> = found.collect();
                found.sort();
                assert_eq!(found, names.map(|name| format!("{name}{suffix}")));
            }
        }
    };
}

corpora! {
    known_blocks_break_no_rule block;
    known_bodies_break_no_rule bodies;
    known_headers_break_no_rule capabilities;
    known_compressed_messages_break_no_rule compression;
    known_dialogues_break_no_rule dialogue;
    known_graft_infos_break_no_rule graft_info;
    known_ibgibs_break_no_rule ibgib;
    known_kept_files_break_no_rule kept;
    known_keystones_break_no_rule keystone;
    known_texts_merge_by_the_rules merge_text;
    known_values_merge_by_the_rules merge_values;
    known_sketches_break_no_rule sketch;
    known_space_files_break_no_rule space_file;
    known_stage_files_break_no_rule stage;
    known_transforms_break_no_rule transform;
    known_messages_break_no_rule wire;
}
