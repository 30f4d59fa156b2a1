//! What was kept comes back from its beginning, and no more than that.

use std::fs::File;
use std::time::SystemTime;

use super::folder::MAX_AGE;
use super::*;
use crate::ibgib::TjpAddr;

fn domain(name: &str) -> TjpAddr {
    TjpAddr::parse(&format!("{name}^{}", "A".repeat(64))).unwrap()
}

/// A folder that keeps 1,000 bytes in all, so 500 of one domain.
fn folder(dir: &tempfile::TempDir) -> KeptFolder {
    KeptFolder::open(dir.path().to_owned(), "push", 1000, SystemTime::now()).unwrap()
}

fn make(folder: &KeptFolder) -> Option<Kept> {
    folder.make(&domain("x")).unwrap()
}

fn find(folder: &KeptFolder) -> Option<Kept> {
    folder.find(&domain("x"), SystemTime::now()).unwrap()
}

fn texts(kept: &Kept) -> Vec<String> {
    kept.texts().unwrap().map(|text| text.unwrap().into_string()).collect()
}

/// A folder with a file that holds `a`, `bb`, `ccc`.
fn filled() -> (tempfile::TempDir, KeptFolder) {
    let dir = tempfile::tempdir().unwrap();
    let folder = folder(&dir);
    let mut kept = make(&folder).unwrap();
    assert!(kept.append("a\nbb\n").unwrap());
    assert!(kept.append("ccc\n").unwrap());
    (dir, folder)
}

#[test]
fn it_comes_back_in_order_to_its_domain_and_side_alone() {
    let (dir, folder) = filled();
    assert_eq!(texts(&find(&folder).unwrap()), ["a", "bb", "ccc"]);
    assert!(folder.find(&domain("y"), SystemTime::now()).unwrap().is_none());
    let other = KeptFolder::open(dir.path().to_owned(), "pull", 1000, SystemTime::now()).unwrap();
    assert_eq!(other.bytes(), 0);
    assert!(find(&other).is_none());
}

#[test]
fn one_session_writes_and_another_takes_over_what_it_names() {
    let (dir, folder) = filled();
    let mut first = find(&folder).unwrap();
    first.name(&["a".into()]);
    assert!(make(&folder).is_none(), "somebody writes");
    let mut fresh = find(&folder).unwrap();
    assert!(!fresh.append("x\n").unwrap());
    let mut second = find(&folder).unwrap();
    second.name(&["a".into(), "bb".into()]);
    assert!(!first.append("d\n").unwrap(), "it was taken over");
    first.remove().unwrap();
    assert!(second.append("e\n").unwrap());
    assert_eq!(texts(&find(&folder).unwrap()), ["a", "bb", "e"]);

    // As another process does it.
    let other = KeptFolder::open(dir.path().to_owned(), "push", 1000, SystemTime::now()).unwrap();
    let mut reads = find(&other).unwrap();
    assert_eq!(texts(&reads), ["a", "bb", "e"]);
    reads.name(&["a".into()]);
    assert!(!reads.append("f\n").unwrap());
    reads.remove().unwrap();
    second.remove().unwrap();
    assert!(find(&folder).is_none());
    assert!(make(&folder).unwrap().append("g\n").unwrap());
}

#[test]
fn a_torn_line_is_cut_off_wherever_it_tore() {
    for len in 0..=9_u64 {
        let (dir, before) = filled();
        let path = before.path_of(&domain("x"));
        File::options().write(true).open(path).unwrap().set_len(len).unwrap();
        let folder = folder(&dir);
        let mut kept = find(&folder).unwrap();
        let whole = [2, 5, 9].iter().filter(|end| **end <= len).count();
        let some = texts(&kept);
        assert_eq!(some, ["a", "bb", "ccc"][..whole], "{len} bytes");
        kept.name(&some.iter().map(|text| text.as_str().into()).collect::<Vec<_>>());
        assert!(kept.append("d\n").unwrap());
        drop(kept);
        assert_eq!(folder.bytes(), [0, 2, 5, 9][whole] + 2);
        assert_eq!(texts(&find(&folder).unwrap()).last().unwrap(), "d");
    }
}

#[test]
fn what_is_no_text_or_too_long_ends_it() {
    let (_dir, folder) = filled();
    let path = folder.path_of(&domain("x"));
    let long = format!("a\n{}\nb\n", "x".repeat(MAX_IBGIB_BYTES + 1));
    for bytes in [b"a\n\xff\nb\n".as_slice(), long.as_bytes()] {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(texts(&find(&folder).unwrap()), ["a"]);
    }
}

#[test]
fn what_is_not_named_gives_way_to_what_comes() {
    let (_dir, folder) = filled();
    let mut kept = find(&folder).unwrap();
    kept.name(&["a".into()]);
    assert_eq!(texts(&kept), ["bb", "ccc"]);
    assert!(kept.append("d\n").unwrap());
    assert_eq!(folder.bytes(), 4);
    drop(kept);
    assert_eq!(texts(&find(&folder).unwrap()), ["a", "d"]);
    assert!(find(&folder).unwrap().append("e\n").unwrap());
    assert_eq!(texts(&find(&folder).unwrap()), ["e"], "of which nothing was named");
}

#[test]
fn turns_are_told_apart() {
    let (_dir, folder) = filled();
    let mut kept = find(&folder).unwrap();
    let all: Vec<Box<str>> = texts(&kept).into_iter().map(String::into_boxed_str).collect();
    kept.name(&all);
    assert!(!kept.name_end().unwrap());
    assert!(kept.append("\nnext\n\n").unwrap());
    drop(kept);

    let mut kept = find(&folder).unwrap();
    assert_eq!(texts(&kept), ["a", "bb", "ccc"]);
    kept.name(&all);
    assert!(kept.name_end().unwrap());
    assert_eq!(texts(&kept), ["next"]);
    kept.name(&["next".into()]);
    assert!(kept.name_end().unwrap());
    assert!(texts(&kept).is_empty());
    assert!(!kept.name_end().unwrap());
}

#[test]
fn a_domain_takes_no_more_than_it_leaves_free() {
    let (_dir, folder) = filled();
    let mut kept = find(&folder).unwrap();
    let exact = "e".repeat(499);
    assert!(!kept.append(&format!("{exact}e\n")).unwrap());
    assert!(!kept.append("d\n").unwrap(), "else a text would be missing before it");
    drop(kept);
    let mut kept = make(&folder).unwrap();
    assert!(kept.append(&format!("{exact}\n")).unwrap());
    assert_eq!(folder.bytes(), 500);
    let mut other = folder.make(&domain("y")).unwrap().unwrap();
    assert!(!other.append(&format!("{}\n", "e".repeat(250))).unwrap());
    drop(other);
    let mut other = folder.make(&domain("y")).unwrap().unwrap();
    assert!(other.append(&format!("{}\n", "e".repeat(249))).unwrap());
    kept.remove().unwrap();
    assert_eq!(folder.bytes(), 250);
}

#[test]
fn after_a_day_it_is_dropped_unless_a_session_holds_it() {
    let (_dir, folder) = filled();
    let path = folder.path_of(&domain("x"));
    let later = SystemTime::now() + 2 * MAX_AGE;
    folder.sweep(SystemTime::now()).unwrap();
    assert_eq!(folder.bytes(), 9);
    let held = make(&folder).unwrap();
    folder.sweep(later).unwrap();
    assert_eq!(folder.bytes(), 9);
    drop(held);
    assert!(folder.find(&domain("x"), later).unwrap().is_none());
    folder.sweep(later).unwrap();
    assert_eq!(folder.bytes(), 0);
    assert!(!path.exists());
}

#[test]
fn it_is_removed_and_its_owner_alone_reads_it() {
    let (_dir, folder) = filled();
    let path = folder.path_of(&domain("x"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    find(&folder).unwrap().remove().unwrap();
    assert!(path.exists(), "it only read");
    make(&folder).unwrap().remove().unwrap();
    assert!(!path.exists());
    assert_eq!(folder.bytes(), 0);
}

#[test]
fn only_files_of_such_a_name_are_swept() {
    let (dir, folder) = filled();
    let later = SystemTime::now() + 2 * MAX_AGE;
    let hash = "a".repeat(32);
    let others = ["push-kept", "push-what-i-kept", "push-A.kept", "pull-list.kept"];
    let other_side = format!("pull-{hash}.kept");
    let names = others.into_iter().chain([other_side.as_str()]);
    let names: Vec<PathBuf> = names.map(|name| dir.path().join(name)).collect();
    names.iter().for_each(|path| std::fs::write(path, "x").unwrap());
    let folder_of_the_name = dir.path().join(format!("push-{hash}.kept"));
    std::fs::create_dir(&folder_of_the_name).unwrap();
    folder.sweep(later).unwrap();
    folder.clear().unwrap();
    assert!(names.iter().chain([&folder_of_the_name]).all(|path| path.exists()));
    assert!(!folder.path_of(&domain("x")).exists());
    assert_eq!(folder.bytes(), 0);
}

#[test]
fn what_cannot_be_written_is_read_all_the_same() {
    let (dir, folder) = filled();
    let path = folder.path_of(&domain("x"));
    let target = dir.path().join("target");
    std::fs::rename(&path, &target).unwrap();
    #[cfg(unix)]
    {
        // A link is neither followed nor replaced.
        std::os::unix::fs::symlink(&target, &path).unwrap();
        assert!(find(&folder).is_none() && make(&folder).is_none());
        std::fs::remove_file(&path).unwrap();
    }
    std::fs::rename(&target, &path).unwrap();
    let mut kept = find(&folder).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    kept.name(&["a".into()]);
    assert_eq!(texts(&kept), ["bb", "ccc"]);
    assert!(!kept.append("d\n").unwrap());
}
