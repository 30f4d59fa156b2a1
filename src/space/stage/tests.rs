//! What is staged comes back, or an error.

use serde_json::json;

use super::*;
use crate::space::MemorySpace;
use crate::space::tests::world::World;

fn stage() -> (tempfile::TempDir, Stage) {
    let dir = tempfile::tempdir().unwrap();
    let stage = Stage::new(dir.path()).unwrap();
    (dir, stage)
}

#[test]
fn what_was_pushed_comes_back_as_it_was() {
    let (dir, mut stage) = stage();
    let mut world = World::default();
    let timeline = world.timeline("x");
    for i in 0..300 {
        world.edit(timeline, json!({ "text": "a".repeat(i * 20), "i": i }));
    }
    let items: Vec<Prepared> =
        world.all().iter().map(|ibgib| Prepared::new(ibgib).unwrap()).collect();
    for item in &items {
        assert!(stage.push(item.clone()).unwrap());
        assert!(!stage.push(item.clone()).unwrap(), "it is there already");
    }
    assert!(stage.bytes() > BUFFER as u64, "enough for the file to be used");
    let back: Vec<Prepared> = stage.iter().map(Result::unwrap).collect();
    assert_eq!(back, items);
    for ibgib in world.all() {
        assert_eq!(stage.get(&ibgib.addr().unwrap()).unwrap().as_ref(), Some(ibgib));
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the file has no name");
}

#[test]
fn a_file_that_was_changed_gives_what_was_pushed_or_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::default();
    let timeline = world.timeline("x");
    world.edit(timeline, json!({ "text": "a" }));
    let items: Vec<Prepared> =
        world.all().iter().map(|ibgib| Prepared::new(ibgib).unwrap()).collect();
    let mut file = tempfile::tempfile_in(dir.path()).unwrap();
    let mut stage = Stage::in_file(file.try_clone().unwrap(), dir.path());
    for item in &items {
        stage.push(item.clone()).unwrap();
    }
    stage.flush().unwrap();
    let mut written = Vec::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_end(&mut written).unwrap();
    let mut write = |bytes: &[u8]| {
        file.set_len(0).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.write_all(bytes).unwrap();
    };
    for at in 0..written.len() {
        let mut changed = written.clone();
        changed[at] ^= 1;
        write(&changed);
        let read: Vec<_> = stage.iter().take_while(Result::is_ok).map(Result::unwrap).collect();
        assert!(read.len() < items.len(), "byte {at}: nobody is told");
        assert_eq!(read, items[..read.len()], "byte {at}: what comes before is right");
    }
    for len in 0..written.len() {
        write(&written[..len]);
        assert!(stage.iter().any(|item| item.is_err()), "{len} bytes: nobody is told");
    }
    write(&written);
    assert_eq!(stage.iter().map(Result::unwrap).collect::<Vec<_>>(), items);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_as_that() {
    let dir = tempfile::tempdir().unwrap();
    let full = File::options().read(true).write(true).open("/dev/full").unwrap();
    let mut stage = Stage::in_file(full, dir.path());
    stage.push(Prepared::new(&World::default().stone("a")).unwrap()).unwrap();
    let error = stage.flush().unwrap_err();
    assert!(matches!(error, SpaceError::Full(_)), "{error:?}");
}

#[test]
fn an_overlay_shows_both() {
    let (_dir, mut stage) = stage();
    let mut world = World::default();
    let (here, staged, nowhere) = (world.stone("a"), world.stone("b"), world.stone("c"));
    let space = MemorySpace::new();
    space.put_all(std::slice::from_ref(&here)).unwrap();
    stage.push(Prepared::new(&staged).unwrap()).unwrap();
    let overlay = Overlay { stage: &stage, space: &space };
    for ibgib in [here, staged] {
        let addr = ibgib.addr().unwrap();
        assert!(overlay.has(&addr).unwrap());
        assert_eq!(overlay.get(&addr).unwrap(), Some(ibgib));
    }
    assert!(!overlay.has(&nowhere.addr().unwrap()).unwrap());
}
