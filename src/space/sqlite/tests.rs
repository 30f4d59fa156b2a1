//! What only a file can do.

mod durable;
mod format;

use crate::ibgib::TjpAddr;
use std::fs;
use std::io::{Seek, SeekFrom, Write};

use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::space::{Bound, Prepared, PutOpts, Space, SpaceExt, TimelineKind};
use crate::space::{
    Domain,
    tests::world::{World, addr},
};

fn dir() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("space.db");
    (dir, path)
}

fn error(path: &Path) -> SpaceError {
    match SqliteSpace::open(path, Domain::Client) {
        Ok(_) => panic!("it opened"),
        Err(error) => {
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
            error
        }
    }
}

#[test]
fn a_file_that_is_reopened_holds_what_it_held() {
    let (_dir, path) = dir();
    let mut world = World::default();
    let x = world.timeline("x");
    let tjp = TjpAddr::from(addr(world.tip(x)));
    world.edit(x, json!({ "a": 1 }));
    let space = SqliteSpace::create_if_missing(&path, Domain::Client).unwrap();
    space.put_all(world.all()).unwrap();
    space.set_name("X", &tjp).unwrap();
    let count = space.count().unwrap();
    drop(space);
    let space = SqliteSpace::open(&path, Domain::Client).unwrap();
    space.check_file().unwrap();
    assert_eq!(space.count().unwrap(), count);
    assert_eq!(space.tip(&tjp).unwrap().unwrap().addr, addr(world.tip(x)));
    assert_eq!(space.name("X").unwrap(), Some(tjp));
    assert_eq!(space.get(&addr(world.tip(x))).unwrap().as_ref(), Some(world.tip(x)));
}

#[test]
fn a_damaged_file_is_told() {
    let (_dir, path) = dir();
    let mut world = World::default();
    let x = world.timeline("x");
    for i in 0..200 {
        world.edit(x, json!({ "i": i, "text": "a".repeat(500) }));
    }
    SqliteSpace::create_if_missing(&path, Domain::Client).unwrap().put_all(world.all()).unwrap();
    let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let len = file.metadata().unwrap().len();
    file.seek(SeekFrom::Start(8192)).unwrap();
    file.write_all(&vec![0xa5; usize::try_from(len).unwrap() - 8192]).unwrap();
    drop(file);
    let damaged = |result: Result<(), SpaceError>| {
        assert!(matches!(result, Err(SpaceError::Damaged { .. })), "{result:?}");
    };
    let space = SqliteSpace::open(&path, Domain::Client).unwrap();
    damaged(space.check_file());
    damaged(space.get(&addr(world.tip(x))).map(drop));
    damaged(space.put_all(&[world.stone("s")]).map(drop));
}

#[test]
fn a_row_that_was_taken_out_is_missed_by_name() {
    let (_dir, path) = dir();
    let mut world = World::default();
    let part = world.stone("part");
    let whole = world.stone_on("whole", &[&part]);
    let space = SqliteSpace::create_if_missing(&path, Domain::Client).unwrap();
    space.put_all(world.all()).unwrap();
    let whole_id = space.find(&addr(&whole)).unwrap().unwrap();
    Connection::open(&path).unwrap().execute("DELETE FROM ibgib WHERE id = 1", []).unwrap();
    match crate::space::graph_ids(&space, &[whole_id], false) {
        Err(SpaceError::Damaged { detail, .. }) => {
            assert_eq!(
                detail,
                format!("{} is gone, and {} relates to it", addr(&part), addr(&whole))
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn domains_do_not_see_each_other() {
    let (_dir, path) = dir();
    let mut world = World::default();
    let x = world.timeline("x");
    let tjp = TjpAddr::from(addr(world.tip(x)));
    let stone = world.stone("s");
    let one = SqliteSpace::create_if_missing(&path, Domain::named("one")).unwrap();
    let two = one.with_domain(Domain::named("two"));
    one.put_all(world.all()).unwrap();
    one.set_name("X", &tjp).unwrap();
    let ids: Vec<_> = world.all().iter().map(|it| one.find(&addr(it)).unwrap().unwrap()).collect();
    for (ibgib, id) in world.all().iter().zip(&ids) {
        assert_eq!(two.find(&addr(ibgib)).unwrap(), None);
        assert!(matches!(two.text(*id), Err(SpaceError::NoSuchId(_))));
        assert!(matches!(two.node(*id), Err(SpaceError::NoSuchId(_))));
        assert!(matches!(two.deps(*id), Err(SpaceError::NoSuchId(_))));
        assert!(matches!(two.live_timelines(&[*id]), Err(SpaceError::NoSuchId(_))));
        assert_eq!(two.timeline_of(*id).unwrap(), None);
        assert_eq!(two.frame_at(*id, 9).unwrap(), None);
    }
    assert_eq!(two.tip(&tjp).unwrap(), None);
    assert_eq!(two.name("X").unwrap(), None);
    assert_eq!(two.count().unwrap(), crate::space::SpaceCount::default());
    let whole = world.stone_on("whole", &[&stone]);
    let missing = two.put_all(std::slice::from_ref(&whole)).unwrap_err();
    assert!(matches!(missing, SpaceError::Missing { .. }), "{missing}");
    two.put_all(&[stone, whole]).unwrap();
    assert_eq!(
        (two.count().unwrap().ibgibs, two.unreferenced_stones(None, 9).unwrap().len()),
        (2, 1)
    );
    assert_eq!(
        one.unreferenced_stones(None, 9).unwrap().len(),
        1,
        "the other's stays unreferenced"
    );
}

#[test]
fn connections_that_write_at_once_wait_for_each_other() {
    const EACH: usize = 20;
    let (_dir, path) = dir();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let path = path.clone();
            std::thread::spawn(move || {
                let space = SqliteSpace::create_if_missing(&path, Domain::Client).unwrap();
                let mut world = World::default();
                for i in 0..EACH {
                    let stone = world.stone(&format!("{writer} {i}"));
                    space.put_all(&[stone]).unwrap();
                }
            })
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let space = SqliteSpace::open(&path, Domain::Client).unwrap();
    assert_eq!(space.count().unwrap().ibgibs, 4 * EACH as u64);
    assert_eq!(space.unreferenced_stones(None, 1_000).unwrap().len(), 4 * EACH);
}

#[test]
fn of_two_that_extend_one_tip_the_second_is_refused() {
    let (_dir, path) = dir();
    let mut world = World::default();
    let x = world.timeline("x");
    let tjp = world.tip(x).clone();
    let one = SqliteSpace::create_if_missing(&path, Domain::Client).unwrap();
    let two = SqliteSpace::open(&path, Domain::Client).unwrap();
    one.put_all(world.all()).unwrap();
    let stored = world.len();
    world.edit_of(&tjp, json!({ "one": 1 }));
    one.put_all(world.since(stored)).unwrap();
    let stored = world.len();
    world.edit_of(&tjp, json!({ "two": 1 }));
    let diverged = two.put_all(world.since(stored)).unwrap_err();
    assert!(matches!(diverged, SpaceError::Diverged { .. }), "{diverged}");
}

#[test]
fn a_put_over_a_bound_stores_nothing() {
    let (_dir, path) = dir();
    let space = SqliteSpace::create_if_missing(&path, Domain::named("i")).unwrap();
    let mut world = World::default();
    world.stone("first");
    space.put_all(world.all()).unwrap();
    let (held, from) = (space.count().unwrap(), world.len());
    for i in 0..100 {
        world.stone(&format!("{i} {}", "a".repeat(1000)));
    }
    let put = |bound: Bound| {
        let mut batch = world.since(from).iter().map(|ibgib| Ok(Prepared::new(ibgib)?));
        space.put(&mut batch, &PutOpts { bound, ..PutOpts::default() })
    };
    let bytes: u64 = world.since(from).iter().map(|ibgib| ibgib.to_json().len() as u64).sum();
    let all = held.bytes + bytes;
    let over = put(Bound { domain: Some(all - 1), file: None }).unwrap_err();
    assert!(matches!(over, SpaceError::OverQuota { most } if most == all - 1), "{over}");
    let over = put(Bound { domain: None, file: Some(100_000) }).unwrap_err();
    assert!(matches!(over, SpaceError::FileBound { most: 100_000 }), "{over}");
    assert_eq!(space.count().unwrap(), held);
    put(Bound { domain: Some(all), file: Some(1_000_000) }).unwrap();
    assert_eq!(space.count().unwrap().bytes, all);
    // What is there already is within every bound, and another domain has its own count.
    put(Bound { domain: Some(0), file: Some(0) }).unwrap();
    let bound = Bound { domain: Some(all), file: None };
    space.with_domain(Domain::named("j")).check_bound(&bound, all).unwrap();
    assert!(space.check_bound(&bound, 1).is_err());
}

#[test]
fn a_put_for_which_there_is_no_room_changes_nothing_and_can_be_done_again() {
    let (_dir, path) = dir();
    let mut world = World::default();
    let x = world.timeline("x");
    let first = world.all().to_vec();
    let space = SqliteSpace::create_if_missing(&path, Domain::Client).unwrap();
    space.put_all(&first).unwrap();
    let before = space.count().unwrap();
    world.edit(x, json!({ "text": "a".repeat(1 << 20) }));
    let limit = |pages: &str| {
        let pragma = format!("PRAGMA max_page_count = {pages}");
        space.file.lock().unwrap().query_row(&pragma, [], |_| Ok(())).unwrap();
    };
    limit("100");
    let full = space.put_all(world.all()).unwrap_err();
    assert!(matches!(full, SpaceError::Full(_)), "{full:?}");
    assert_eq!(space.count().unwrap(), before);
    limit("1000000");
    space.put_all(world.all()).unwrap();
    assert!(space.find(&addr(world.tip(x))).unwrap().is_some());
    space.check_file().unwrap();
}

/// Lets the first and the last entry of an index of one page change places.
fn disorder(path: &Path, index: &str) {
    let file = Connection::open(path).unwrap();
    let ask = |sql: &str| {
        let asked: i64 = file.query_row(sql, [], |row| row.get(0)).unwrap();
        usize::try_from(asked).unwrap()
    };
    let page = ask(&format!("SELECT rootpage FROM sqlite_schema WHERE name = '{index}'"));
    let begin = (page - 1) * ask("PRAGMA page_size");
    drop(file);
    let mut bytes = fs::read(path).unwrap();
    assert_eq!(bytes[begin], 10, "a leaf of an index");
    let cells = usize::from(u16::from_be_bytes([bytes[begin + 3], bytes[begin + 4]]));
    assert!(cells > 1);
    let (first, last) = (begin + 8, begin + 8 + 2 * (cells - 1));
    bytes.swap(first, last);
    bytes.swap(first + 1, last + 1);
    fs::write(path, bytes).unwrap();
}

#[test]
fn pages_of_rows_that_stand_in_no_order_end() {
    let (_dir, path) = dir();
    let mut world = World::default();
    for name in ["a", "b", "c", "d"] {
        world.stone(name);
        let _ = world.timeline(name);
    }
    SqliteSpace::create_if_missing(&path, Domain::Client).unwrap().put_all(world.all()).unwrap();
    for index in ["timeline_kind", "loose_domain"] {
        disorder(&path, index);
    }
    let space = SqliteSpace::open(&path, Domain::Client).unwrap();
    let stones = space.unreferenced_stones(None, 1_000).unwrap_err();
    assert!(matches!(stones, SpaceError::Damaged { .. }), "{stones}");
    let timelines = space.timelines(TimelineKind::Data, None, 1_000).unwrap_err();
    assert!(matches!(timelines, SpaceError::Damaged { .. }), "{timelines}");
}
