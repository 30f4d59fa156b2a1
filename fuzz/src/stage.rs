//! The file in which what arrives is staged.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::OnceLock;

use sync_gib::space::{Prepared, Stage};

use super::fixtures::{Data, prepared, scratch};
use super::input::Input;

/// What is read back from a stage whose file was changed is what was pushed, or an error.
///
/// The input says what is pushed and how the file is changed: bytes, cuts, and copies of a part
/// over another.
pub fn stage(data: &[u8]) {
    let input = &mut Input::new(data);
    let file = tempfile::tempfile_in(scratch()).unwrap();
    let mut stage = Stage::in_file(file.try_clone().unwrap(), scratch());
    let all = items();
    let first = input.below(all.len());
    let pushed = &all[first..all.len().min(first + 1 + input.below(6))];
    for item in pushed {
        assert!(stage.push(item.clone()).unwrap());
    }
    stage.flush().unwrap();
    let is_same = change(file, input);
    let (mut read, mut fails) = (0, false);
    for item in stage.iter() {
        let Ok(item) = item else {
            fails = true;
            break;
        };
        assert_eq!(Some(&item), pushed.get(read), "another ibGib than the one pushed");
        read += 1;
    }
    assert!(fails || read == pushed.len(), "it ends early, and nobody is told");
    assert!(!(is_same && fails), "it fails though nothing was changed");
    for item in pushed {
        if let Ok(found) = stage.get(item.addr()) {
            let found = found.expect("it was pushed");
            assert_eq!(found.to_json(), item.text(), "another ibGib than the one pushed");
        }
    }
}

/// Changes the file; whether it is still what it was.
fn change(mut file: File, input: &mut Input<'_>) -> bool {
    let before = read(&mut file);
    let mut bytes = before.clone();
    while !input.is_empty() && !bytes.is_empty() {
        let at = input.below(bytes.len());
        match input.below(8) {
            0 => bytes.truncate(at),
            1 => {
                let from = input.below(bytes.len());
                let len = input.below(bytes.len() - from.max(at)) + 1;
                bytes.copy_within(from..from + len, at);
            }
            2 => bytes.insert(at, input.byte()),
            3 => bytes[at] ^= 1 << input.below(8),
            4 => bytes.extend_from_within(at..),
            _ => bytes[at] = input.byte(),
        }
        bytes.truncate(64 << 10);
    }
    file.set_len(0).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(&bytes).unwrap();
    bytes == before
}

fn read(file: &mut File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

fn items() -> &'static [Prepared] {
    static ITEMS: OnceLock<Vec<Prepared>> = OnceLock::new();
    ITEMS.get_or_init(|| {
        let items = Data::get().all().into_iter().flat_map(prepared);
        // Merges replay edits by the dna that others hold too.
        let mut seen = HashSet::new();
        items.filter(|item| seen.insert(item.key())).collect()
    })
}
