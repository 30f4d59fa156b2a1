//! Which files are spaces, and what becomes of older ones.

use super::*;
use crate::space::Domain;

#[test]
fn what_is_no_space_is_told_apart() {
    let (dir, path) = dir();
    assert!(matches!(error(&path), SpaceError::NoFile(_)));
    let lost = dir.path().join("none").join("space.db");
    let lost = SqliteSpace::create_if_missing(&lost, Domain::Client).map(drop).unwrap_err();
    assert!(matches!(lost, SpaceError::NoParent(_)), "{lost}");

    fs::write(&path, "a text that is long enough to be no SQLite file, whatever else").unwrap();
    assert!(matches!(error(&path), SpaceError::NotASpace { .. }));

    fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs(a)").unwrap();
    assert!(matches!(error(&path), SpaceError::NotASpace { .. }));
    let made = SqliteSpace::create_if_missing(&path, Domain::Client).map(drop).unwrap_err();
    assert!(matches!(made, SpaceError::NotASpace { .. }), "it is not taken over: {made}");
}

#[test]
fn a_newer_file_is_refused() {
    let (_dir, path) = dir();
    drop(SqliteSpace::create_if_missing(&path, Domain::Client).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let newest = schema::MIGRATIONS.len() as i64;
    assert!(matches!(error(&path), SpaceError::Newer { found: 99, known, .. } if known == newest));
}

#[test]
fn a_file_that_brings_anything_of_its_own_is_refused() {
    for (crafted, named) in [
        (
            "CREATE TRIGGER evil AFTER INSERT ON ibgib BEGIN DELETE FROM ibgib; END",
            "trigger \"evil\"",
        ),
        ("CREATE VIEW evil AS SELECT json FROM ibgib", "view \"evil\""),
        ("CREATE TABLE evil(a)", "table \"evil\""),
        ("CREATE INDEX evil ON ibgib(length(json))", "index \"evil\""),
        ("ALTER TABLE name ADD COLUMN evil TEXT AS (hex(addr))", "table \"name\""),
        ("DROP INDEX ibgib_line", "index \"ibgib_line\""),
        ("DROP TABLE name; CREATE VIEW name AS SELECT 1", "view \"name\""),
    ] {
        let (_dir, path) = dir();
        let space = SqliteSpace::create_if_missing(&path, Domain::Client).unwrap();
        space.put_all(&[World::default().stone("s")]).unwrap();
        drop(space);
        Connection::open(&path).unwrap().execute_batch(crafted).unwrap();
        let refused = error(&path);
        assert!(matches!(refused, SpaceError::Damaged { .. }), "{crafted}: {refused}");
        assert!(refused.to_string().contains(named), "{crafted}: {refused}");
        let rows = "SELECT count(*) FROM ibgib";
        let rows: i64 =
            Connection::open(&path).unwrap().query_row(rows, [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 1, "{crafted}");
    }
}

#[test]
fn a_file_with_statistics_is_a_space() {
    let (_dir, path) = dir();
    SqliteSpace::create_if_missing(&path, Domain::Client)
        .unwrap()
        .put_all(&[World::default().stone("s")])
        .unwrap();
    Connection::open(&path).unwrap().execute_batch("ANALYZE").unwrap();
    SqliteSpace::open(&path, Domain::Client).unwrap();
}

#[test]
fn no_statement_of_a_file_runs_and_no_schema_is_written_over() {
    let (_dir, path) = dir();
    drop(SqliteSpace::create_if_missing(&path, Domain::Client).unwrap());
    let connection = Connection::open(&path).unwrap();
    let trigger = "CREATE TRIGGER t BEFORE INSERT ON name BEGIN SELECT raise(FAIL, 'it ran'); END";
    connection.execute_batch(trigger).unwrap();
    let insert = || connection.execute("INSERT INTO name VALUES (1, 'a', 'b')", []);
    assert!(insert().is_err());
    guard::harden(&connection).unwrap();
    assert_eq!(insert(), Ok(1));
    let ask = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    assert_eq!(ask("PRAGMA trusted_schema"), Ok(0));
    assert_eq!(ask("PRAGMA cell_size_check"), Ok(1));
    connection.execute_batch("PRAGMA writable_schema = ON").unwrap();
    assert!(connection.execute("UPDATE sqlite_schema SET sql = sql", []).is_err());
}

/// The file was made by version 0.1.0: an identity, X with edits, a note, a session.
#[test]
fn a_file_of_the_first_version_is_migrated_and_holds_what_it_held() {
    let (_dir, path) = dir();
    fs::copy("tests/vectors/space-0.1.0.db", &path).unwrap();
    let space = SqliteSpace::open(&path, Domain::Client).unwrap();
    let count = space.count().unwrap();
    assert_eq!((count.ibgibs, count.timelines), (37, 5));
    let x = space.name("X").unwrap().unwrap();
    let tip = space.tip(&x).unwrap().unwrap();
    assert_eq!(tip.n, 3);
    let graph = crate::space::graph_ids(&space, &[tip.id], true).unwrap();
    for id in &graph {
        space.get_id(*id).unwrap();
    }
    let version =
        Connection::open(&path).unwrap().query_row("PRAGMA user_version", [], |row| row.get(0));
    assert_eq!(version, Ok(schema::MIGRATIONS.len() as i64));
}

#[test]
fn a_file_of_the_first_format_is_brought_to_the_newest() {
    let (_dir, path) = dir();
    let mut world = World::default();
    let stone = world.stone("old");
    SqliteSpace::create_if_missing(&path, Domain::Client).unwrap().put_all(world.all()).unwrap();
    let old = Connection::open(&path).unwrap();
    old.execute_batch(
        "DROP TABLE state; DROP TABLE state_token; DROP TABLE newcomer; DROP TABLE pending; DROP TABLE block; DROP TABLE fresh;
         ALTER TABLE ibgib DROP COLUMN block; ALTER TABLE ibgib DROP COLUMN start;
         ALTER TABLE ibgib DROP COLUMN length; ALTER TABLE ibgib DROP COLUMN addr;
         PRAGMA user_version = 1",
    )
    .unwrap();
    drop(old);
    let space = SqliteSpace::open(&path, Domain::Client).unwrap();
    assert_eq!(space.get(&addr(&stone)).unwrap(), Some(stone));
    let add = "INSERT INTO newcomer(day, address, count) VALUES (1, 'a', 1)";
    assert_eq!(space.side_tables().write(|c| c.execute(add, [])).unwrap(), 1);
    let version = Connection::open(&path).unwrap();
    let version = version.query_row("PRAGMA user_version", [], |row| row.get(0));
    assert_eq!(version, Ok(schema::MIGRATIONS.len() as i64));
}

/// What the file of an older version holds is worked out when it is first asked for, by a file that can
/// only be read too, and kept from then on; until then puts leave it alone.
#[test]
fn an_older_file_learns_where_its_data_stands_when_it_is_asked() {
    let (_dir, path) = dir();
    fs::copy("tests/vectors/space-0.1.0.db", &path).unwrap();
    let space = SqliteSpace::open(&path, Domain::Client).unwrap();
    let kept = || {
        let ask = "SELECT count(*) FROM state";
        Connection::open(&path).unwrap().query_row(ask, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let mut world = World::default();
    space.put_all(&[world.stone("new")]).unwrap();
    assert_eq!(kept(), 0, "it opens, and takes puts, without reading all");
    let state = space.state().unwrap();
    assert_eq!((state.timelines, kept()), (2, 1));
    let other = crate::space::MemorySpace::new();
    let tips = space.timelines(TimelineKind::Data, None, 10).unwrap().into_iter();
    let stones = space.unreferenced_stones(None, 10).unwrap().into_iter();
    let roots: Vec<_> =
        tips.map(|timeline| timeline.tip.id).chain(stones.map(|(id, _)| id)).collect();
    let all = crate::space::graph_ids(&space, &roots, true).unwrap();
    let all: Vec<_> = all.into_iter().map(|id| space.get_id(id).unwrap()).collect();
    other.put_all(&all).unwrap();
    assert_eq!(other.state().unwrap(), state);
    space.put_all(&[world.stone("newer")]).unwrap();
    assert_ne!(space.state().unwrap(), state);
    assert!(space.audit().unwrap().is_good());
}

#[test]
fn a_domain_keeps_where_its_data_stands_from_its_first_put_on() {
    let (_dir, path) = dir();
    let space = SqliteSpace::create_if_missing(&path, Domain::named("I")).unwrap();
    let kept = || {
        let ask = "SELECT timelines FROM state";
        Connection::open(&path).unwrap().query_row(ask, [], |row| row.get::<_, i64>(0))
    };
    assert!(kept().is_err());
    space.put_all(&crate::space::tests::world::keystone_frames()).unwrap();
    assert_eq!(kept(), Ok(0), "of an identity without data, too");
    let mut world = World::default();
    world.timeline("x");
    space.put_all(world.all()).unwrap();
    assert_eq!(kept(), Ok(1));
}

/// A copy that is put back tells what is in the copy: nothing counts changes.
#[test]
fn a_copy_that_is_put_back_tells_its_own_state() {
    let (dir, path) = dir();
    let mut world = World::default();
    let space = SqliteSpace::create_if_missing(&path, Domain::Client).unwrap();
    space.put_all(&[world.stone("one")]).unwrap();
    let before = space.state().unwrap();
    drop(space);
    let copy = dir.path().join("copy.db");
    fs::copy(&path, &copy).unwrap();
    let space = SqliteSpace::open(&path, Domain::Client).unwrap();
    space.put_all(&[world.stone("two")]).unwrap();
    let after = space.state().unwrap();
    assert_ne!(after, before);
    drop(space);
    fs::rename(&copy, &path).unwrap();
    let space = SqliteSpace::open(&path, Domain::Client).unwrap();
    assert_eq!(space.state().unwrap(), before);
    space.put_all(&world.all()[1..]).unwrap();
    assert_eq!(space.state().unwrap(), after);
}

#[test]
fn an_empty_file_becomes_a_space() {
    let (_dir, path) = dir();
    fs::write(&path, "").unwrap();
    assert!(matches!(SqliteSpace::open(&path, Domain::Client), Err(SpaceError::Empty(_))));
    let space = SqliteSpace::create_if_missing(&path, Domain::Client).unwrap();
    space.put_all(&[World::default().stone("s")]).unwrap();
    let ask = |sql| Connection::open(&path).unwrap().query_row(sql, [], |row| row.get(0));
    assert_eq!(ask("PRAGMA application_id"), Ok(schema::APPLICATION_ID));
    assert_eq!(ask("PRAGMA user_version"), Ok(schema::MIGRATIONS.len() as i64));
}
