//! Whatever is changed in a file is found, and what follows from the texts is rebuilt.

use std::path::PathBuf;

use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use super::{Damaged, PARTS, Part};
use crate::ibgib::IbGib;
use crate::space::{
    Domain,
    tests::world::{World, addr, keystone_frames},
};
use crate::space::{Prepared, Space, SpaceExt, SqliteSpace};

/// A file with a merged timeline, stones, and an identity, and everything that is in it.
fn file() -> (TempDir, PathBuf, Vec<IbGib>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("space.db");
    let space = SqliteSpace::create_if_missing(&path, Domain::Client).unwrap();
    let mut world = World::default();
    let part = world.stone("part");
    let whole = world.stone_on("whole", &[&part]);
    world.stone("loose");
    let x = world.timeline("x");
    let tjp = world.tip(x).clone();
    for i in 0..5 {
        world.edit(x, json!({ "i": i }));
    }
    world.relate(x, "whole", &[&whole]);
    let y = world.timeline("y");
    world.relate(y, "x", &[&tjp]);
    space.put_all(world.all()).unwrap();
    let identity = keystone_frames();
    space.put_all(&identity).unwrap();
    space.set_name("X", &addr(&tjp).into()).unwrap();
    let all: Vec<IbGib> = world.all().iter().cloned().chain(identity).collect();
    unpack(&space, &all);
    (dir, path, all)
}

/// Lets every text stand in its row, where a statement of SQL changes it; that blocks are damaged is
/// tried where they are packed.
fn unpack(space: &SqliteSpace, all: &[IbGib]) {
    let text = |ibgib: &IbGib| {
        let prepared = Prepared::new(ibgib).unwrap();
        let id = space.find(prepared.addr()).unwrap().unwrap();
        (Damaged { id, key: prepared.key, addr: None, timeline: None }, prepared)
    };
    let texts: Vec<_> = all.iter().map(text).collect();
    assert_eq!(space.restore(&texts).unwrap(), all.len() as u64);
}

fn wrong(space: &SqliteSpace) -> Vec<&'static str> {
    let audit = space.audit().unwrap();
    let wrong = audit.findings.iter().filter(|finding| finding.count > 0);
    assert!(audit.findings.iter().all(|finding| finding.count >= finding.first.len() as u64));
    wrong.map(|finding| finding.what).collect()
}

fn name(part: Part) -> &'static str {
    PARTS.iter().find(|(of, _)| *of == part).unwrap().1
}

/// Changes to a file, what they are found as, and whether the texts are enough to repair them.
const CHANGES: &[(&str, Part)] = &[
    ("UPDATE ibgib SET n = n + 1 WHERE id = 9", Part::Rows),
    ("UPDATE ibgib SET prev = 5 WHERE id = 13", Part::Rows),
    ("UPDATE ibgib SET prev = 40 WHERE id = 13", Part::Texts),
    ("UPDATE ibgib SET timeline = 2 WHERE id = 13", Part::Rows),
    ("UPDATE ibgib SET deps = x'01' WHERE id = 13", Part::Rows),
    ("UPDATE ibgib SET flags = flags | 1 WHERE id = 13", Part::Rows),
    ("UPDATE ibgib SET key = zeroblob(16) WHERE id = 13", Part::Texts),
    ("UPDATE ibgib SET domain = 7 WHERE id = 13", Part::Rows),
    ("UPDATE ibgib SET aside = 1 WHERE id = 9", Part::Timelines),
    ("UPDATE timeline SET tip_id = 9 WHERE kind = 0", Part::Timelines),
    ("UPDATE timeline SET tip_n = 1 WHERE kind = 0", Part::Timelines),
    ("UPDATE timeline SET kind = 0", Part::Timelines),
    ("DELETE FROM timeline WHERE kind = 1", Part::Timelines),
    ("INSERT INTO timeline VALUES (1, 1, 0, 1, 0)", Part::Timelines),
    ("DELETE FROM link", Part::Indices),
    ("INSERT INTO link VALUES (5, 1)", Part::Indices),
    ("DELETE FROM loose", Part::Indices),
    ("INSERT INTO loose VALUES (1, 1)", Part::Indices),
    ("UPDATE domain SET ibgibs = 3", Part::Indices),
    ("UPDATE domain SET bytes = bytes - 1", Part::Indices),
    ("UPDATE domain SET timelines = 9", Part::Indices),
    ("UPDATE state SET digest = zeroblob(32)", Part::Indices),
    ("UPDATE state SET digest = x'00'", Part::Indices),
    ("UPDATE state SET timelines = 9", Part::Indices),
];

#[test]
fn whatever_follows_from_the_texts_is_found_and_made_anew() {
    for (change, part) in CHANGES {
        let (dir, path, all) = file();
        let good = SqliteSpace::open(&path, Domain::Client).unwrap();
        assert_eq!(wrong(&good), Vec::<&str>::new());
        let count = good.count().unwrap();
        drop(good);
        let changed = Connection::open(&path).unwrap().execute(change, []).unwrap();
        assert!(changed > 0, "{change}");
        let space = SqliteSpace::open(&path, Domain::Client).unwrap();
        let found = wrong(&space);
        assert!(found.contains(&name(*part)), "{change}: {found:?}");
        let damaged = space.audit().unwrap().damaged;
        assert!(damaged.is_empty(), "{change}: {damaged:?}");
        space.rebuild(Vec::new(), dir.path()).unwrap();
        assert_eq!(wrong(&space), Vec::<&str>::new(), "{change}");
        assert_eq!(space.count().unwrap(), count, "{change}");
        for ibgib in &all {
            assert_eq!(space.get(&addr(ibgib)).unwrap().as_ref(), Some(ibgib), "{change}");
        }
        assert_eq!(space.unreferenced_stones(None, 9).unwrap().len(), 1, "{change}");
        drop(space);
        SqliteSpace::open(&path, Domain::Client).unwrap();
    }
}

#[test]
fn a_damaged_text_is_found_named_and_given_back() {
    let (_dir, path, all) = file();
    let x = all.iter().rfind(|ibgib| ibgib.ib == "x").unwrap();
    let past = x.prev().unwrap();
    let gib = past.split_once('^').unwrap().1;
    // What relates to it tells its address, though it does not say it any more.
    let damage = "UPDATE ibgib SET json = replace(json, ?1, lower(?1)) WHERE instr(json, '\"gib\":\"' || ?1)";
    let changed = Connection::open(&path).unwrap().execute(damage, [gib]);
    assert_eq!(changed, Ok(1));
    let space = SqliteSpace::open(&path, Domain::Client).unwrap();
    assert!(wrong(&space).contains(&name(Part::Texts)));
    let damaged = space.audit().unwrap().damaged;
    let [damaged] = &damaged[..] else { panic!("{damaged:?}") };
    assert_eq!(damaged.addr.as_ref().map(|addr| addr.as_str()), Some(past));
    assert_eq!(space.unflipped(damaged).unwrap(), None, "more than a bit");
    // What is another ibGib is not taken for it.
    let other = Prepared::new(x).unwrap();
    assert_eq!(space.restore(&[(damaged.clone(), other)]).unwrap(), 0);
    assert!(!space.audit().unwrap().is_good());
    let held = all.iter().find(|ibgib| addr(ibgib).as_str() == past).unwrap();
    let held = Prepared::new(held).unwrap();
    assert_eq!(space.restore(&[(damaged.clone(), held)]).unwrap(), 1);
    assert_eq!(wrong(&space), Vec::<&str>::new());
}

#[test]
fn one_flipped_bit_is_found_by_the_hash() {
    let (_dir, path, all) = file();
    for at in [3, 10, 60, 200, 280] {
        let flip = Connection::open(&path).unwrap();
        let read = "SELECT CAST(json AS BLOB) FROM ibgib WHERE id = 9";
        let mut text: Vec<u8> = flip.query_row(read, [], |row| row.get(0)).unwrap();
        text[at] ^= 0x80;
        let write = "UPDATE ibgib SET json = CAST(?1 AS TEXT) WHERE id = 9";
        assert_eq!(flip.execute(write, [text]), Ok(1));
        drop(flip);
        let space = SqliteSpace::open(&path, Domain::Client).unwrap();
        let damaged = space.audit().unwrap().damaged;
        let [damaged] = &damaged[..] else { panic!("{damaged:?}") };
        let prepared = space.unflipped(damaged).unwrap().unwrap();
        assert!(all.iter().any(|ibgib| addr(ibgib) == prepared.addr));
        assert_eq!(space.restore(&[(damaged.clone(), prepared)]).unwrap(), 1);
        assert_eq!(wrong(&space), Vec::<&str>::new(), "{at}");
    }
}

#[test]
fn what_is_gone_is_named_and_a_rebuild_without_it_changes_nothing() {
    let (dir, path, all) = file();
    let part = all.iter().find(|ibgib| ibgib.ib == "stone").unwrap();
    let removed = "DELETE FROM ibgib WHERE id = 1";
    assert_eq!(Connection::open(&path).unwrap().execute(removed, []), Ok(1));
    let space = SqliteSpace::open(&path, Domain::Client).unwrap();
    let audit = space.audit().unwrap();
    assert_eq!(audit.missing, [addr(part)]);
    let rows = space.count().unwrap();
    space.rebuild(Vec::new(), dir.path()).unwrap_err();
    assert_eq!(space.count().unwrap(), rows);
    assert_eq!(space.audit().unwrap().missing, [addr(part)]);
    space.rebuild(vec![Prepared::new(part).unwrap()], dir.path()).unwrap();
    assert_eq!(wrong(&space), Vec::<&str>::new());
}

#[test]
fn an_identity_that_is_not_valid_and_a_name_that_leads_nowhere_are_found() {
    let (_dir, path, all) = file();
    let file = Connection::open(&path).unwrap();
    let nowhere = format!("x^{}", "5E".repeat(32));
    assert_eq!(file.execute("UPDATE name SET addr = ?1", [nowhere]), Ok(1));
    // A frame that hashes rightly, under a row that is right, and follows the genesis by no proof.
    let tip = all.last().unwrap();
    let mut forged = tip.clone();
    let proof = forged.data.as_mut().unwrap().get_mut("proofs").unwrap();
    proof[0]["solutions"][0]["value"] = "00".repeat(32).into();
    let forged = IbGib::new(forged.ib, forged.data, forged.rel8ns).unwrap();
    let forged = Prepared::new(&forged).unwrap();
    let forge = "UPDATE ibgib SET json = ?1, key = ?2 WHERE id = (SELECT max(id) FROM ibgib)";
    assert_eq!(file.execute(forge, rusqlite::params![&forged.text, forged.key.0]), Ok(1));
    let bytes = "UPDATE domain SET bytes = (SELECT sum(length(CAST(json AS BLOB))) FROM ibgib)";
    file.execute(bytes, []).unwrap();
    drop(file);
    let space = SqliteSpace::open(&path, Domain::Client).unwrap();
    assert_eq!(wrong(&space), [name(Part::Names), name(Part::Identities)]);
}

#[test]
fn an_index_that_lost_entries_is_found_and_made_anew() {
    let (dir, path, all) = file();
    let file = Connection::open(&path).unwrap();
    let ask = "SELECT rootpage FROM sqlite_schema WHERE name = 'ibgib_key'";
    let page: i64 = file.query_row(ask, [], |row| row.get(0)).unwrap();
    let size: i64 = file.query_row("PRAGMA page_size", [], |row| row.get(0)).unwrap();
    drop(file);
    let mut bytes = std::fs::read(&path).unwrap();
    // The bits of a key in the index's page.
    let end = usize::try_from(page * size).unwrap();
    bytes[end - 3] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    let space = SqliteSpace::open(&path, Domain::Client).unwrap();
    assert!(wrong(&space).contains(&name(Part::File)), "{:?}", wrong(&space));
    space.rebuild(Vec::new(), dir.path()).unwrap();
    assert_eq!(wrong(&space), Vec::<&str>::new());
    for ibgib in &all {
        assert_eq!(space.get(&addr(ibgib)).unwrap().as_ref(), Some(ibgib));
    }
}

#[test]
fn an_audit_of_rows_that_stand_in_no_order_ends() {
    let (_dir, path, _) = file();
    let file = Connection::open(&path).unwrap();
    let ask = "SELECT rootpage FROM sqlite_schema WHERE name = 'ibgib'";
    let root: u32 = file.query_row(ask, [], |row| row.get(0)).unwrap();
    let size: u32 = file.query_row("PRAGMA page_size", [], |row| row.get(0)).unwrap();
    drop(file);
    let mut bytes = std::fs::read(&path).unwrap();
    let begin = |page: u32| usize::try_from((page - 1) * size).unwrap();
    let mut at = begin(root);
    while bytes[at] == 5 {
        let rightmost = bytes[at + 8..at + 12].try_into().unwrap();
        at = begin(u32::from_be_bytes(rightmost));
    }
    // The last row gets the number of one far before it; the length of its payload comes first.
    let cells = usize::from(u16::from_be_bytes([bytes[at + 3], bytes[at + 4]]));
    let place = at + 8 + 2 * (cells - 1);
    let mut cell = at + usize::from(u16::from_be_bytes([bytes[place], bytes[place + 1]]));
    while bytes[cell] & 0x80 != 0 {
        cell += 1;
    }
    bytes[cell + 1] = 3;
    std::fs::write(&path, bytes).unwrap();
    let space = SqliteSpace::open(&path, Domain::Client).unwrap();
    assert!(wrong(&space).contains(&name(Part::File)));
}
