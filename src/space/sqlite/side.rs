//! The tables of a space's file that another room keeps something in.

use std::sync::Arc;

use rusqlite::Connection;

use super::{File, SqliteSpace};
use crate::space::SpaceError;

/// A file's tables `token`, `session` and `newcomer`. Their form is the file's; what stands in them is
/// for the server to know.
pub(crate) struct SideTables {
    file: Arc<File>,
}

impl SqliteSpace {
    /// What else is kept in the file, whatever the domain.
    pub(crate) fn side_tables(&self) -> SideTables {
        SideTables { file: Arc::clone(&self.file) }
    }
}

impl SideTables {
    /// Reads.
    pub(crate) fn read<T>(
        &self,
        f: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, SpaceError> {
        f(&*self.file.lock()?).map_err(|error| self.file.fail(error))
    }

    /// Writes without waiting for the disk. What a loss of power takes back is what its owner makes
    /// anew; the next commit of the space makes all before it last, too.
    pub(crate) fn write<T>(
        &self,
        f: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, SpaceError> {
        let _turn = self.file.turn()?;
        self.read(|connection| {
            connection.execute_batch("PRAGMA synchronous = NORMAL")?;
            let written = f(connection);
            connection.execute_batch("PRAGMA synchronous = FULL")?;
            written
        })
    }
}
