use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::ibgib::{IbGib, TjpAddr};
use crate::space::{Domain, Pool, Pooled};

fn dir() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("space.db");
    (dir, path)
}

fn addr() -> TjpAddr {
    IbGib::new("s".into(), None, None).unwrap().addr().unwrap().into()
}

#[test]
fn tokens_open_a_domain_until_they_expire() {
    let (_dir, path) = dir();
    let ledger = Ledger::of(&SqliteSpace::create_if_missing(&path, Domain::Client).unwrap());
    ledger.add_token(b"hash", &Domain::named("I"), 100).unwrap();
    ledger.add_token(b"later", &Domain::named("J"), 200).unwrap();
    assert_eq!(ledger.token_domain(b"hash", 99).unwrap(), Some(Domain::named("I")));
    assert_eq!(ledger.token_domain(b"hash", 100).unwrap(), None);
    assert_eq!(ledger.token_domain(b"none", 0).unwrap(), None);
    assert_eq!(ledger.purge_tokens(150).unwrap(), 1);
    assert_eq!(ledger.token_domain(b"hash", 0).unwrap(), None);
    assert_eq!(ledger.token_domain(b"later", 0).unwrap(), Some(Domain::named("J")));
}

#[test]
fn a_domain_has_so_many_tokens_to_ask_by_and_those_that_expire_first_give_way() {
    let (_dir, path) = dir();
    let ledger = Ledger::of(&SqliteSpace::create_if_missing(&path, Domain::Client).unwrap());
    let (i, j) = (Domain::named("I"), Domain::named("J"));
    let of = |hash: &[u8]| ledger.state_token_domain(hash, 10).unwrap();
    ledger.add_state_token(b"other", &j, (0, 50), 2).unwrap();
    ledger.add_state_token(b"b", &i, (0, 300), 2).unwrap();
    ledger.add_state_token(b"a", &i, (0, 200), 2).unwrap();
    ledger.add_state_token(b"c", &i, (0, 300), 2).unwrap();
    assert_eq!([of(b"a"), of(b"b"), of(b"c")], [None, Some(i.clone()), Some(i.clone())]);
    assert_eq!(of(b"other"), Some(j.clone()), "another domain's are its own");
    assert_eq!(ledger.token_domain(b"b", 10).unwrap(), None, "it reads nothing");
    assert_eq!(ledger.state_token_domain(b"b", 300).unwrap(), None);
    ledger.add_state_token(b"d", &i, (50, 400), 2).unwrap();
    assert_eq!(of(b"other"), Some(j.clone()), "another domain's wait for the purge");
    assert_eq!(ledger.purge_state_tokens(50).unwrap(), 1);
    assert_eq!(of(b"other"), None);
    // Of two that end at the same time the older one gives way.
    assert_eq!([of(b"b"), of(b"c"), of(b"d")], [None, Some(i.clone()), Some(i.clone())]);
    ledger.forget(&i).unwrap();
    assert_eq!([of(b"c"), of(b"d")], [None, None]);
}

#[test]
fn a_session_is_connected_once() {
    let (_dir, path) = dir();
    let ledger = Ledger::of(&SqliteSpace::create_if_missing(&path, Domain::Client).unwrap());
    let tjp = addr();
    assert!(!ledger.connect_session(&tjp, 5).unwrap(), "it is unknown");
    assert!(ledger.add_session(&tjp, &Domain::named("I"), 10).unwrap());
    assert!(!ledger.add_session(&tjp, &Domain::named("J"), 11).unwrap());
    let mut row = SessionRow { domain: Domain::named("I"), created_ms: 10, connected_ms: None };
    assert_eq!(ledger.session(&tjp).unwrap().as_ref(), Some(&row));
    assert!(ledger.connect_session(&tjp, 12).unwrap());
    assert!(!ledger.connect_session(&tjp, 13).unwrap());
    row.connected_ms = Some(12);
    assert_eq!(ledger.session(&tjp).unwrap(), Some(row));
    assert_eq!(ledger.purge_sessions(11).unwrap(), 0, "it may still be open");
    let longest = u64::try_from(LONGEST_SESSION.as_millis()).unwrap();
    assert_eq!(ledger.purge_sessions(longest + 12).unwrap(), 0);
    assert_eq!(ledger.purge_sessions(longest + 13).unwrap(), 1);
    assert_eq!(ledger.session(&tjp).unwrap(), None);
    assert!(ledger.add_session(&tjp, &Domain::named("I"), 10).unwrap());
    assert_eq!(ledger.purge_sessions(10).unwrap(), 0);
    assert_eq!(ledger.purge_sessions(11).unwrap(), 1, "nobody connected it");
}

#[test]
fn newcomers_are_counted_by_address_and_forgotten_on_a_later_day() {
    let (_dir, path) = dir();
    let ledger = Ledger::of(&SqliteSpace::create_if_missing(&path, Domain::Client).unwrap());
    for (address, taken) in [("a", true), ("a", true), ("a", false), ("b", true)] {
        assert_eq!(ledger.add_newcomer(7, address, 2).unwrap(), taken, "{address}");
    }
    assert_eq!((ledger.newcomers(7, "a").unwrap(), ledger.newcomers(7, "c").unwrap()), (2, 0));
    ledger.remove_newcomer(7, "a").unwrap();
    assert!(ledger.add_newcomer(7, "a", 2).unwrap());
    assert!(ledger.add_newcomer(8, "a", 2).unwrap());
    let rows = |sql| Connection::open(&path).unwrap().query_row(sql, [], |row| row.get(0));
    assert_eq!(rows("SELECT count(*) FROM newcomer"), Ok(1));
}

/// What `synchronous` is where a commit waits for the disk.
const FULL: i64 = 2;

fn expect_durable(space: &SqliteSpace) {
    let found = space.side_tables().read(|connection| {
        let synchronous = connection.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
        let journal = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
        Ok((synchronous, journal))
    });
    assert_eq!(found.unwrap(), (FULL, "wal".to_owned()));
}

/// Writes to the ledger in all the ways there are.
fn note_all(ledger: &Ledger) {
    let session = addr();
    ledger.add_token(&[1; 32], &Domain::named("i"), 1).unwrap();
    ledger.add_state_token(&[2; 32], &Domain::named("i"), (0, 1), 1).unwrap();
    ledger.purge_tokens(2).unwrap();
    ledger.add_session(&session, &Domain::named("i"), 1).unwrap();
    ledger.connect_session(&session, 2).unwrap();
    ledger.remove_session(&session).unwrap();
    ledger.forget(&Domain::named("i")).unwrap();
    ledger.add_newcomer(1, "10.0.0.1", 9).unwrap();
    ledger.remove_newcomer(1, "10.0.0.1").unwrap();
    ledger.purge_sessions(9).unwrap();
}

#[test]
fn every_connection_of_a_pool_waits_for_the_disk_whatever_its_ledger_wrote() {
    let (_dir, path) = dir();
    let pool = Pool::create_if_missing(&path, 2).unwrap();
    let spaces: Vec<Pooled> = (0..3).map(|_| pool.space(Domain::named("i")).unwrap()).collect();
    for space in &spaces {
        expect_durable(space);
        note_all(&Ledger::of(space));
        expect_durable(space);
    }
    drop(spaces);
    for space in [pool.space(Domain::named("i")).unwrap(), pool.space(Domain::named("i")).unwrap()]
    {
        expect_durable(&space);
    }
}

#[test]
fn a_ledger_that_fails_to_write_leaves_its_connection_waiting_for_the_disk() {
    let (_dir, path) = dir();
    let pool = Pool::create_if_missing(&path, 1).unwrap();
    let space = pool.space(Domain::named("i")).unwrap();
    space.side_tables().read(|c| c.busy_timeout(Duration::ZERO)).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let failed = Ledger::of(&space).add_token(&[1; 32], &Domain::named("i"), 1);
    assert!(matches!(failed, Err(SpaceError::Busy(_))), "{failed:?}");
    expect_durable(&space);
}
