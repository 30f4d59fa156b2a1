//! Each commit of a space is on the disk before it is told, on whatever connection.

use std::time::Duration;

use super::*;

/// What `synchronous` is where a commit waits for the disk.
const FULL: i64 = 2;

fn expect_durable(space: &SqliteSpace) {
    let connection = space.file.lock().unwrap();
    let synchronous = connection.query_row("PRAGMA synchronous", [], |row| row.get::<_, i64>(0));
    let journal = connection.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0));
    assert_eq!((synchronous, journal), (Ok(FULL), Ok("wal".to_owned())));
}

/// Writes to the ledger in all the ways there are.
fn note_all(ledger: &Ledger) {
    let session = addr(&crate::ibgib::IbGib::new("s".into(), None, None).unwrap());
    ledger.add_token(&[1; 32], "i", 1).unwrap();
    ledger.purge_tokens(2).unwrap();
    ledger.add_session(&session, "i", 1).unwrap();
    ledger.connect_session(&session, 2).unwrap();
    ledger.remove_session(&session).unwrap();
    ledger.forget("i").unwrap();
    ledger.add_newcomer(1, "10.0.0.1", 9).unwrap();
    ledger.remove_newcomer(1, "10.0.0.1").unwrap();
    ledger.purge_sessions(9).unwrap();
}

#[test]
fn a_spaces_connection_waits_for_the_disk() {
    let (_dir, path) = dir();
    expect_durable(&SqliteSpace::create_if_missing(&path, "").unwrap());
    let space = SqliteSpace::open(&path, "").unwrap();
    expect_durable(&space);
    expect_durable(&space.with_domain("other"));
}

#[test]
fn every_connection_of_a_pool_waits_for_the_disk_whatever_its_ledger_wrote() {
    let (_dir, path) = dir();
    let pool = Pool::create_if_missing(&path, 2).unwrap();
    let spaces: Vec<Pooled> = (0..3).map(|_| pool.space("i").unwrap()).collect();
    for space in &spaces {
        expect_durable(space);
        note_all(&space.ledger());
        expect_durable(space);
    }
    drop(spaces);
    for space in [pool.space("i").unwrap(), pool.space("i").unwrap()] {
        expect_durable(&space);
    }
}

#[test]
fn a_ledger_that_fails_to_write_leaves_its_connection_waiting_for_the_disk() {
    let (_dir, path) = dir();
    let pool = Pool::create_if_missing(&path, 1).unwrap();
    let space = pool.space("i").unwrap();
    space.file.lock().unwrap().busy_timeout(Duration::ZERO).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let failed = space.ledger().add_token(&[1; 32], "i", 1);
    assert!(matches!(failed, Err(SpaceError::Busy(_))), "{failed:?}");
    expect_durable(&space);
}
