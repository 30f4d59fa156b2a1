use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::ibgib::{IbGib, TjpAddr};
use crate::space::tests::world::{World, addr};
use crate::space::{Space, SpaceExt};

/// A text that is no other's, and compresses badly.
fn text(seed: usize, bytes: usize) -> String {
    let mut state = seed as u64 + 1;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'#' + (state >> 58) as u8)
    })
    .filter(|c| *c != '\\')
    .take(bytes)
    .collect()
}

/// What was said in a sync, of so many bytes.
fn said(seed: usize, bytes: usize) -> IbGib {
    let data = json!({ "seed": seed, "text": text(seed, bytes) });
    IbGib::new("sync_saga_msg".into(), Some(data), None).unwrap()
}

/// A file in which data and so much of what was said in syncs stand beside each other.
struct Mixed {
    _dir: TempDir,
    path: PathBuf,
    space: SqliteSpace,
    data: Vec<IbGib>,
    said: Vec<IbGib>,
}

impl Mixed {
    fn new(count: usize, bytes_of_data: usize, bytes_said: usize) -> Mixed {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("space.db");
        let space = SqliteSpace::create_if_missing(&path, Domain::Client).unwrap();
        let mut world = World::default();
        let x = world.timeline("x");
        let said: Vec<IbGib> = (0..count).map(|at| said(at, bytes_said)).collect();
        let mut put = 0;
        for (at, said) in said.iter().enumerate() {
            world.edit(x, json!({ "at": at, "text": text(at, bytes_of_data) }));
            let new = [&world.all()[put..], std::slice::from_ref(said)].concat();
            put = world.all().len();
            space.put_all(&new).unwrap();
        }
        Mixed { _dir: dir, path, space, data: world.all().to_vec(), said }
    }

    /// What was said, but for the last, which is the newest of the file.
    fn groups(&self) -> Vec<Group> {
        let rows = |it: &IbGib| vec![self.space.find(&addr(it)).unwrap().unwrap()];
        let old = &self.said[..self.said.len() - 1];
        old.iter().map(|it| Group { domain: Domain::Client, rows: rows(it) }).collect()
    }

    fn expect_data(&self, space: &SqliteSpace) {
        for ibgib in &self.data {
            assert_eq!(space.get(&addr(ibgib)).unwrap().as_ref(), Some(ibgib));
        }
        let audit = space.audit().unwrap();
        assert!(audit.is_good(), "{audit:?}");
    }
}

fn ask(path: &Path, sql: &str) -> i64 {
    Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

const LARGEST_USE: &str = "SELECT count(*) FROM block WHERE id < (SELECT max(id) FROM block) AND \
     size / 2 > (SELECT coalesce(sum(length), 0) FROM ibgib WHERE block = block.id)";

#[test]
fn blocks_that_are_mostly_unused_are_packed_anew_and_the_file_gets_shorter() {
    let mixed = Mixed::new(400, 2_000, 12_000);
    let other = SqliteSpace::open(&mixed.path, Domain::Client).unwrap();
    mixed.expect_data(&other);
    let (count, state) = (mixed.space.count().unwrap(), mixed.space.state().unwrap());
    let before = mixed.space.file_len().unwrap();
    let dropped = mixed.space.drop_groups(&mixed.groups(), &|| true).unwrap();
    assert_eq!((dropped.groups, dropped.ibgibs, dropped.kept), (399, 399, 0));
    let now = mixed.space.count().unwrap();
    assert_eq!((count.ibgibs - now.ibgibs, count.bytes - now.bytes), (399, dropped.bytes));
    assert_eq!(mixed.space.state().unwrap(), state);
    assert!(ask(&mixed.path, LARGEST_USE) > 1);
    mixed.expect_data(&mixed.space);
    mixed.space.give_back(&|| true).unwrap();
    let after = mixed.space.file_len().unwrap();
    assert!(after < before / 2, "{before} {after}");
    assert_eq!(fs::metadata(&mixed.path).unwrap().len(), after);
    let blocks = "SELECT count(*) FROM block WHERE id NOT IN (SELECT block FROM ibgib WHERE block IS NOT NULL)";
    assert_eq!((ask(&mixed.path, LARGEST_USE), ask(&mixed.path, blocks)), (0, 0));
    // Who unpacked the blocks before reads the texts where they stand now.
    for space in [&mixed.space, &other, &SqliteSpace::open(&mixed.path, Domain::Client).unwrap()] {
        mixed.expect_data(space);
        assert!(space.get(&addr(&mixed.said[0])).unwrap().is_none());
    }
    mixed.space.put_all(&mixed.said).unwrap();
    mixed.expect_data(&mixed.space);
}

#[test]
fn what_is_stopped_goes_on_where_it_was() {
    let mixed = Mixed::new(300, 500, 12_000);
    let groups = mixed.groups();
    let turns = std::cell::Cell::new(2);
    let go_on = || turns.replace(turns.get() - 1) > 0;
    let dropped = mixed.space.drop_groups(&groups, &go_on).unwrap();
    assert_eq!(dropped.ibgibs, 299);
    for stop in 0..6 {
        let turns = std::cell::Cell::new(stop);
        mixed.space.give_back(&|| turns.replace(turns.get() - 1) > 0).unwrap();
        mixed.expect_data(&mixed.space);
    }
    let again = mixed.space.drop_groups(&groups, &|| true).unwrap();
    assert_eq!((again.groups, again.ibgibs, again.kept), (0, 0, 0));
}

#[test]
fn a_damaged_block_keeps_what_is_in_it() {
    let mixed = Mixed::new(200, 1_000, 12_000);
    mixed.space.drop_groups(&mixed.groups(), &|| true).unwrap();
    let file = Connection::open(&mixed.path).unwrap();
    let of = "SELECT count(*) FROM ibgib WHERE block = 1";
    let held = ask(&mixed.path, of);
    assert!(held > 0);
    file.execute("UPDATE block SET body = x'00' WHERE id = 1", []).unwrap();
    let space = SqliteSpace::open(&mixed.path, Domain::Client).unwrap();
    space.give_back(&|| true).unwrap();
    assert_eq!(ask(&mixed.path, of), held);
    assert_eq!(space.audit().unwrap().damaged.len() as i64, held);
}

#[test]
fn what_something_relates_to_stays_with_all_of_its_group() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("space.db");
    let space = SqliteSpace::create_if_missing(&path, Domain::Client).unwrap();
    let said: Vec<IbGib> = (0..8).map(|at| said(at, 10)).collect();
    let mut world = World::default();
    space.put_all(&said).unwrap();
    let used = world.stone_on("used", &[&said[2]]);
    space.put_all(std::slice::from_ref(&used)).unwrap();
    let id = |it: &IbGib| space.find(&addr(it)).unwrap().unwrap();
    let named = TjpAddr::from(addr(&said[5]));
    space.set_name("kept", &named).unwrap();
    let group = |of: &[usize]| Group {
        domain: Domain::Client,
        rows: of.iter().map(|at| id(&said[*at])).collect(),
    };
    let absent = Group { domain: Domain::named("absent"), rows: vec![id(&said[7])] };
    let newest = Group { domain: Domain::Client, rows: vec![id(&used)] };
    let groups =
        [group(&[0]), group(&[1, 2]), group(&[3, 4]), group(&[4]), group(&[5, 6]), absent, newest];
    let dropped = space.drop_groups(&groups, &|| true).unwrap();
    assert_eq!((dropped.groups, dropped.ibgibs, dropped.kept), (1, 1, 6));
    let left = said.iter().filter(|it| space.find(&addr(it)).unwrap().is_some()).count();
    assert_eq!(left, 7);
}
