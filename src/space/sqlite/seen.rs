//! The challenge ids of a long identity, kept on the disk while it is replayed.

use std::path::Path;

use rusqlite::{Connection, params};

use crate::keystone::SeenIds;
use crate::space::SpaceError;

use super::schema;

/// Ids in a temporary SQLite file without a name, which is gone with the value. An identity of
/// 100,000 frames has two millions of them; memory holds two megabytes of pages at most.
#[derive(Debug)]
pub struct SeenOnDisk(Connection);

impl SeenOnDisk {
    /// No ids.
    pub fn new() -> Result<SeenOnDisk, SpaceError> {
        SeenOnDisk::at("")
    }

    /// No ids, and none on a disk: where there may be no room on any.
    pub(super) fn in_memory() -> Result<SeenOnDisk, SpaceError> {
        SeenOnDisk::at(":memory:")
    }

    fn at(path: &str) -> Result<SeenOnDisk, SpaceError> {
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(path)?;
            // Nobody reads it after a crash, so nothing is waited for, and nothing is undone.
            connection.execute_batch(
                "PRAGMA cache_size = -2048; PRAGMA temp_store = FILE; PRAGMA journal_mode = OFF;
                 PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
                 CREATE TABLE seen(id INTEGER PRIMARY KEY) STRICT; BEGIN;",
            )?;
            Ok(connection)
        };
        open().map(SeenOnDisk).map_err(failed)
    }
}

impl SeenIds for SeenOnDisk {
    type Error = SpaceError;

    fn contains(&mut self, id: u64) -> Result<bool, SpaceError> {
        let find = |connection: &Connection| -> rusqlite::Result<bool> {
            let mut find = connection.prepare_cached("SELECT 1 FROM seen WHERE id = ?1")?;
            find.exists(params![id.cast_signed()])
        };
        find(&self.0).map_err(failed)
    }

    fn add(&mut self, id: u64) -> Result<(), SpaceError> {
        let add = |connection: &Connection| -> rusqlite::Result<usize> {
            let mut add = connection.prepare_cached("INSERT OR IGNORE INTO seen VALUES (?1)")?;
            add.execute(params![id.cast_signed()])
        };
        add(&self.0).map(drop).map_err(failed)
    }
}

fn failed(error: rusqlite::Error) -> SpaceError {
    schema::fail(Path::new("a temporary file"), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_again_and_others_are_not() {
        let mut seen = SeenOnDisk::new().unwrap();
        let ids = [0, 1, u64::MAX, 1 << 63, 0x7e41_f8db_c30e_338c];
        for id in ids {
            assert!(!seen.contains(id).unwrap());
            seen.add(id).unwrap();
            seen.add(id).unwrap();
        }
        assert!(ids.into_iter().all(|id| seen.contains(id).unwrap()));
        assert!(!seen.contains(2).unwrap());
    }
}
