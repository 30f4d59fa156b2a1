//! Files of which texts stand in blocks.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use super::super::SqliteSpace;
use super::*;
use crate::ibgib::{Addr, IbGib};
use crate::space::tests::world::{World, addr};
use crate::space::{Audit, Domain, Prepared, Space, SpaceError, SpaceExt};

fn dir() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("space.db");
    (dir, path)
}

/// A timeline with `edits` edits of about `bytes` each.
fn edited(edits: usize, bytes: usize) -> World {
    let mut world = World::default();
    let x = world.timeline("x");
    for i in 0..edits {
        world.edit(x, json!({ "i": i, "text": text(i, bytes) }));
    }
    world
}

/// A text that is no other's, and compresses as words do.
fn text(seed: usize, bytes: usize) -> String {
    let mut state = seed as u64 + 1;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ["ka", "lo", "mi ", "ren", "tu ", "sa", "vel", "no "][(state >> 61) as usize]
    })
    .take(bytes / 3)
    .collect()
}

fn ask(path: &Path, sql: &str) -> i64 {
    Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

fn packed(path: &Path) -> i64 {
    ask(path, "SELECT count(*) FROM ibgib WHERE block IS NOT NULL AND json = ''")
}

fn unpacked(path: &Path) -> i64 {
    ask(path, "SELECT count(*) FROM ibgib WHERE block IS NULL AND json <> ''")
}

fn create(path: &Path) -> SqliteSpace {
    SqliteSpace::create_if_missing(path, Domain::Client).unwrap()
}

fn open(path: &Path) -> SqliteSpace {
    SqliteSpace::open(path, Domain::Client).unwrap()
}

fn expect_all(space: &SqliteSpace, all: &[IbGib]) {
    for ibgib in all.iter().chain(all.iter().rev()) {
        let id = space.find(&addr(ibgib)).unwrap().unwrap();
        assert_eq!(space.get_id(id).unwrap(), *ibgib);
        // An ibGib that was there before may have its keys in another order.
        let sent = IbGib::from_json(&space.text_to_send(id).unwrap()).unwrap();
        assert_eq!(sent, *ibgib);
        assert_eq!(space.addr(id).unwrap(), addr(ibgib));
    }
}

fn expect_good(space: &SqliteSpace) -> Audit {
    let audit = space.audit().unwrap();
    assert!(audit.is_good(), "{audit:?}");
    audit
}

#[test]
fn a_large_put_goes_into_blocks_at_once_and_reads_back() {
    let (_dir, path) = dir();
    let world = edited(700, 1_500);
    let space = create(&path);
    space.put_all(world.all()).unwrap();
    let all = world.all().len() as i64;
    assert_eq!((packed(&path), unpacked(&path)), (all, 0));
    assert!(ask(&path, "SELECT count(*) FROM block") > 2);
    let bytes: u64 = world.all().iter().map(|ibgib| ibgib.to_json().len() as u64).sum();
    assert_eq!(space.count().unwrap().bytes, bytes, "the domain's bytes are those of its texts");
    for space in [space, open(&path)] {
        expect_all(&space, world.all());
        assert_eq!(expect_good(&space).read.bytes, bytes);
    }
    assert!(fs::metadata(&path).unwrap().len() < bytes / 2);
}

#[test]
fn small_puts_stand_unpacked_until_there_are_enough() {
    let (_dir, path) = dir();
    let space = create(&path);
    let world = edited(300, 2_000);
    let (mut stood, mut most) = (0, 0);
    for pair in world.all().chunks(2) {
        space.put_all(pair).unwrap();
        let now = ask(&path, "SELECT coalesce(sum(length), 0) FROM fresh") as u64;
        assert_eq!(now, ask(&path, "SELECT coalesce(sum(length(json)), 0) FROM ibgib") as u64);
        most = most.max(now);
        stood += i64::from(now > 0);
    }
    assert!(most < FRESH && most > FRESH / 2 && stood > 200, "{most} {stood}");
    assert!(packed(&path) > 0 && unpacked(&path) > 0);
    // One block goes on to be filled.
    let blocks = ask(&path, "SELECT count(*) FROM block");
    let bytes = ask(&path, "SELECT sum(size) FROM block");
    assert!(blocks <= 1 + bytes / FULL_OF_SHORT.0 as i64, "{blocks} of {bytes}");
    expect_all(&space, world.all());
    expect_good(&space);
}

#[test]
fn what_another_connection_adds_to_a_block_is_read_and_what_is_undone_is_not() {
    let (_dir, path) = dir();
    let (reader, writer) = (create(&path), open(&path));
    let world = edited(400, 2_000);
    let (first, rest) = world.all().split_at(400);
    writer.put_all(first).unwrap();
    expect_all(&reader, first);
    let (more, last) = rest.split_at(200);
    let mut undone = more
        .iter()
        .map(|ibgib| Ok(Prepared::new(ibgib)?))
        .chain([Err(SpaceError::NoSuchId(0.into()))]);
    assert!(writer.put(&mut undone, &crate::space::PutOpts::default()).is_err());
    reader.put_all(rest).unwrap();
    for space in [writer, reader] {
        expect_all(&space, first);
        expect_all(&space, more);
        expect_all(&space, last);
    }
}

#[test]
fn domains_have_blocks_of_their_own() {
    let (_dir, path) = dir();
    let one = SqliteSpace::create_if_missing(&path, Domain::named("one")).unwrap();
    let two = one.with_domain(Domain::named("two"));
    let world = edited(200, 2_000);
    for half in world.all().chunks(150) {
        one.put_all(half).unwrap();
        two.put_all(half).unwrap();
    }
    let shared = "SELECT count(*) FROM ibgib JOIN block ON block.id = ibgib.block \
         WHERE ibgib.domain <> block.domain";
    assert_eq!(ask(&path, shared), 0);
    expect_all(&one, world.all());
    expect_all(&two, world.all());
    // A row that names another domain's block is not read from it.
    let id = one.find(&addr(&world.all()[0])).unwrap().unwrap();
    let foreign = "UPDATE ibgib SET block = (SELECT max(block.id) FROM block \
         WHERE block.domain <> ibgib.domain), start = 0 WHERE id = 1";
    Connection::open(&path).unwrap().execute_batch(foreign).unwrap();
    let fresh = SqliteSpace::open(&path, Domain::named("one")).unwrap();
    assert!(matches!(fresh.text(id), Err(SpaceError::Damaged { .. })));
}

#[test]
fn a_file_of_the_first_version_takes_blocks_and_is_packed() {
    let (_dir, path) = dir();
    fs::copy("tests/vectors/space-0.1.0.db", &path).unwrap();
    let space = open(&path);
    let texts = |space: &SqliteSpace| -> Vec<Box<str>> {
        (1..=37).map(|id| space.text(id.into()).unwrap()).collect()
    };
    let before = texts(&space);
    assert_eq!((packed(&path), unpacked(&path)), (0, 37));
    let world = edited(300, 1_000);
    let new = space.put_all(world.all()).unwrap().new as i64;
    assert_eq!((packed(&path), unpacked(&path)), (new, 37));
    assert_eq!(texts(&space), before);
    expect_good(&space);
    let other = open(&path);
    let done = space.pack().unwrap();
    assert_eq!(done.ibgibs, 37);
    assert_eq!(done.bytes, before.iter().map(|text| text.len() as u64).sum::<u64>());
    assert_eq!(done.after, fs::metadata(&path).unwrap().len());
    assert!(done.after < done.before, "{done:?}");
    assert_eq!(unpacked(&path), 0);
    for space in [space, other, open(&path)] {
        assert_eq!(texts(&space), before);
        expect_all(&space, world.all());
        expect_good(&space);
    }
    let again = open(&path).pack().unwrap();
    assert_eq!((again.ibgibs, again.before), (0, done.after));
}

#[test]
fn every_domain_of_a_file_is_packed() {
    let (_dir, path) = dir();
    let one = SqliteSpace::create_if_missing(&path, Domain::named("one")).unwrap();
    let two = one.with_domain(Domain::named("two"));
    let world = edited(20, 2_000);
    for pair in world.all().chunks(2) {
        one.put_all(pair).unwrap();
        two.put_all(pair).unwrap();
    }
    let domains = ask(&path, "SELECT count(*) FROM domain");
    assert_eq!(open(&path).pack().unwrap().ibgibs, 2 * world.all().len() as u64);
    assert_eq!(ask(&path, "SELECT count(*) FROM domain"), domains);
    assert_eq!(ask(&path, "SELECT count(*) FROM fresh"), 0);
    expect_all(&one, world.all());
    expect_all(&two, world.all());
    expect_good(&one);
}

/// Changes a byte in the middle of a block's body.
fn damage(path: &Path, block: i64) {
    let file = Connection::open(path).unwrap();
    let read = "SELECT body FROM block WHERE id = ?1";
    let mut body: Vec<u8> = file.query_row(read, [block], |row| row.get(0)).unwrap();
    let middle = body.len() / 2;
    body[middle..middle + 8].fill(0xa5);
    file.execute("UPDATE block SET body = ?2 WHERE id = ?1", (block, body)).unwrap();
}

#[test]
fn a_damaged_block_names_what_it_takes_with_it_and_takes_it_back() {
    let (_dir, path) = dir();
    let world = edited(700, 1_500);
    create(&path).put_all(world.all()).unwrap();
    damage(&path, 2);
    let space = open(&path);
    let audit = space.audit().unwrap();
    assert!(!audit.is_good());
    let in_block = ask(&path, "SELECT count(*) FROM ibgib WHERE block = 2") as usize;
    assert!(!audit.damaged.is_empty() && audit.damaged.len() < in_block, "the beginning is good");
    let mut texts = Vec::new();
    for damaged in &audit.damaged {
        let named: &Addr = damaged.addr.as_ref().unwrap();
        let told = space.get(named).unwrap_err();
        assert!(matches!(told, SpaceError::Damaged { .. }));
        assert!(told.to_string().contains(named.as_str()), "{told}");
        assert_eq!(space.unflipped(damaged).unwrap(), None);
        let ibgib = world.all().iter().find(|ibgib| addr(ibgib) == *named).unwrap();
        texts.push((damaged.clone(), Prepared::new(ibgib).unwrap()));
    }
    assert!(space.rebuild(Vec::new(), path.parent().unwrap()).is_err(), "nothing is lost");
    assert_eq!(space.restore(&texts).unwrap(), texts.len() as u64);
    expect_good(&space);
    expect_all(&space, world.all());
    // Packed anew, and then nothing is left of the damaged block but what was good in it.
    space.pack().unwrap();
    assert_eq!(unpacked(&path), 0);
    expect_all(&open(&path), world.all());
}

#[test]
fn a_block_that_nothing_stands_in_any_more_is_dropped_by_a_repair() {
    let (_dir, path) = dir();
    let world = edited(300, 1_500);
    create(&path).put_all(world.all()).unwrap();
    let file = Connection::open(&path).unwrap();
    file.execute("UPDATE block SET body = x'00' WHERE id = 1", []).unwrap();
    let space = open(&path);
    let find = |key| world.all().iter().find(|ibgib| addr(ibgib).key() == key).unwrap();
    let damaged = space.audit().unwrap().damaged;
    let texts: Vec<_> = damaged
        .into_iter()
        .map(|one| {
            let prepared = Prepared::new(find(one.key)).unwrap();
            (one, prepared)
        })
        .collect();
    space.restore(&texts).unwrap();
    assert_eq!(ask(&path, "SELECT count(*) FROM block WHERE id = 1"), 0);
    expect_good(&space);
}

#[test]
fn places_that_lead_nowhere_are_damage() {
    let (_dir, path) = dir();
    let world = edited(300, 1_500);
    create(&path).put_all(world.all()).unwrap();
    for wrong in [
        "start = 1099511627776",
        "start = -1",
        "length = -1",
        "length = 9223372036854775807",
        "start = 9223372036854775807, length = 9223372036854775807",
        "start = NULL",
        "block = 77",
        "block = NULL",
        "length = length - 1",
        "start = start + 1",
    ] {
        let copy = path.with_extension("copy");
        fs::copy(&path, &copy).unwrap();
        let file = Connection::open(&copy).unwrap();
        file.execute(&format!("UPDATE ibgib SET {wrong} WHERE id = 200"), []).unwrap();
        drop(file);
        let space = open(&copy);
        let told = space.text(200.into()).unwrap_err();
        assert!(matches!(told, SpaceError::Damaged { .. }), "{wrong}: {told}");
        let damaged = space.audit().unwrap().damaged;
        assert_eq!(damaged.len(), 1, "{wrong}");
        assert_eq!(damaged[0].addr.as_ref(), Some(&space.addr(200.into()).unwrap()), "{wrong}");
        fs::remove_file(&copy).unwrap();
    }
}

#[test]
fn a_wrong_address_beside_a_text_is_not_told() {
    let (_dir, path) = dir();
    let world = edited(300, 1_500);
    create(&path).put_all(world.all()).unwrap();
    let wrong = "UPDATE ibgib SET addr = (SELECT addr FROM ibgib WHERE id = 100) WHERE id = 200";
    Connection::open(&path).unwrap().execute(wrong, []).unwrap();
    let space = open(&path);
    let text = space.text(200.into()).unwrap();
    let own = IbGib::from_json(&text).unwrap();
    assert_eq!(space.addr(200.into()).unwrap(), addr(&own));
}

#[test]
fn a_file_whose_texts_are_packed_is_rebuilt() {
    let (dir, path) = dir();
    let world = edited(700, 1_500);
    let space = create(&path);
    space.put_all(world.all()).unwrap();
    expect_all(&space, world.all());
    let blocks = ask(&path, "SELECT max(id) FROM block");
    Connection::open(&path).unwrap().execute("DELETE FROM link", []).unwrap();
    Connection::open(&path).unwrap().execute("UPDATE domain SET ibgibs = 1", []).unwrap();
    space.rebuild(Vec::new(), dir.path()).unwrap();
    assert!(ask(&path, "SELECT min(id) FROM block") > blocks, "no number is used twice");
    expect_all(&space, world.all());
    expect_good(&space);
    assert_eq!(unpacked(&path), 0);
}

#[test]
fn what_is_kept_unpacked_stays_within_its_bound() {
    let blocks = Blocks::default();
    let unpacked = |len| Unpacked { texts: Arc::new(vec![0; len]), size: 0 };
    for block in 0..20 {
        blocks.kept().keep(block, unpacked(KEPT / 4 - ENTRY));
        blocks.kept().keep(block, unpacked(KEPT / 4 - ENTRY));
        assert!(blocks.kept().bytes <= KEPT);
    }
    assert_eq!(blocks.kept().unpacked.len(), 4);
    blocks.kept().keep(99, unpacked(KEPT + 1));
    assert_eq!(blocks.kept().unpacked.len(), 1, "one is always kept");
    blocks.release();
    assert_eq!(blocks.kept().bytes, 0);
}

#[test]
fn a_stone_of_any_size_is_packed() {
    let (_dir, path) = dir();
    let space = create(&path);
    let large = IbGib::new("s".into(), Some(json!({ "text": text(1, 4_100_000) })), None).unwrap();
    let small = IbGib::new("s".into(), Some(json!({ "text": "a" })), None).unwrap();
    for _ in 0..2 {
        space.put_all(&[small.clone(), large.clone()]).unwrap();
    }
    assert_eq!(packed(&path), 2);
    expect_all(&space, &[small, large]);
}
