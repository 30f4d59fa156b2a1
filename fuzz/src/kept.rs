//! What was kept on disk of a payload.

use std::time::SystemTime;

use sync_gib::ibgib::TjpAddr;
use sync_gib::space::KeptFolder;

/// How many bytes are kept in all.
const MOST: u64 = 1 << 20;

/// Whatever stands in a file, it is read as lines of it from its beginning; and what is written after
/// some of them is read back after them, and nothing else.
pub fn kept(data: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let domain = TjpAddr::parse(&format!("x^{}", "A".repeat(64))).unwrap();
    let now = SystemTime::now();
    let folder = || KeptFolder::open(dir.path().to_owned(), "push", MOST, now).unwrap();
    let made = folder().make(&domain).unwrap().unwrap();
    let path = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    drop(made);
    let (names, data) = data.split_first().map_or((0, data), |(first, rest)| (*first, rest));
    std::fs::write(&path, data).unwrap();

    let folder = folder();
    assert_eq!(folder.bytes(), data.len() as u64);
    let mut kept = folder.find(&domain, now).unwrap().unwrap();
    let mut named = String::new();
    loop {
        let texts: Vec<Box<str>> = kept.texts().unwrap().map(Result::unwrap).collect();
        let some = &texts[..texts.len().min(usize::from(names))];
        for text in some {
            assert!(!text.is_empty() && !text.contains('\n'));
            named.push_str(text);
            named.push('\n');
        }
        kept.name(some);
        if some.len() < texts.len() || !kept.name_end().unwrap() {
            break;
        }
        named.push('\n');
    }
    assert!(data.starts_with(named.as_bytes()));
    if kept.append("more\n").unwrap() {
        named.push_str("more\n");
        assert_eq!(std::fs::read(&path).unwrap(), named.as_bytes());
        assert_eq!(folder.bytes(), named.len() as u64);
    }
    let is_written = named.ends_with("more\n");
    kept.remove().unwrap();
    assert!(!is_written || folder.bytes() == 0);
}
