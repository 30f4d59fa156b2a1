//! Each commit of a space is on the disk before it is told, on whatever connection.

use super::*;
use crate::space::Domain;

/// What `synchronous` is where a commit waits for the disk.
const FULL: i64 = 2;

fn expect_durable(space: &SqliteSpace) {
    let connection = space.file.lock().unwrap();
    let synchronous = connection.query_row("PRAGMA synchronous", [], |row| row.get::<_, i64>(0));
    let journal = connection.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0));
    assert_eq!((synchronous, journal), (Ok(FULL), Ok("wal".to_owned())));
}

#[test]
fn a_spaces_connection_waits_for_the_disk() {
    let (_dir, path) = dir();
    expect_durable(&SqliteSpace::create_if_missing(&path, Domain::Client).unwrap());
    let space = SqliteSpace::open(&path, Domain::Client).unwrap();
    expect_durable(&space);
    expect_durable(&space.with_domain(Domain::named("other")));
}

#[test]
fn a_write_beside_the_space_leaves_its_connection_waiting_for_the_disk() {
    let (_dir, path) = dir();
    let space = SqliteSpace::create_if_missing(&path, Domain::Client).unwrap();
    let add = "INSERT INTO newcomer(day, address, count) VALUES (1, 'a', 1)";
    let how = |c: &Connection| c.query_row("PRAGMA synchronous", [], |row| row.get::<_, i64>(0));
    let written = space.side_tables().write(|c| Ok((c.execute(add, [])?, how(c)?)));
    assert_eq!(written.unwrap(), (1, 1));
    expect_durable(&space);
    space.side_tables().write(|c| c.execute("no SQL", [])).unwrap_err();
    expect_durable(&space);
}
