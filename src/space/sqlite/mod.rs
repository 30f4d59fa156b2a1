//! A space in one SQLite file, which holds several domains.

mod deps;
mod ledger;
mod rows;
mod schema;
mod seen;
#[cfg(test)]
mod tests;

pub use ledger::{Ledger, SessionRow};
pub use seen::SeenOnDisk;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::SpaceError;
use super::rows::{Backend, Rows, RowsMut};
use rows::SqlRows;

/// A row number that no domain has.
const NO_DOMAIN: i64 = 0;

/// One domain's space in a SQLite file.
///
/// Calls on one value, and on those made from it by [`SqliteSpace::with_domain`], wait for each
/// other; open the file again to read while another connection writes. Several processes may
/// use one file.
pub struct SqliteSpace {
    file: Arc<File>,
    domain: Domain,
}

/// An open file.
struct File {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl File {
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, error: rusqlite::Error) -> SpaceError {
        schema::fail(&self.path, error)
    }
}

/// Whose rows are read and written; it has a number once it holds something.
struct Domain {
    tjp: String,
    id: OnceLock<i64>,
}

impl SqliteSpace {
    /// Opens a file that is there.
    ///
    /// `domain` is the tjp address of the identity that owns the rows, or `""` for a client's
    /// own file. Errors with [`SpaceError::NoFile`], [`SpaceError::NotASpace`],
    /// [`SpaceError::Newer`], [`SpaceError::Damaged`] or [`SpaceError::Busy`].
    pub fn open(path: &Path, domain: &str) -> Result<SqliteSpace, SpaceError> {
        SqliteSpace::open_with(path, domain, false)
    }

    /// Opens a file, or makes it where it is missing; its folder must be there.
    pub fn create_if_missing(path: &Path, domain: &str) -> Result<SqliteSpace, SpaceError> {
        SqliteSpace::open_with(path, domain, true)
    }

    fn open_with(path: &Path, domain: &str, create: bool) -> Result<SqliteSpace, SpaceError> {
        let connection = Mutex::new(schema::open(path, create)?);
        let file = Arc::new(File { path: path.to_owned(), connection });
        Ok(SqliteSpace { file, domain: Domain::new(domain) })
    }

    /// Another domain of the same file, on the same connection.
    pub fn with_domain(&self, domain: &str) -> SqliteSpace {
        SqliteSpace { file: Arc::clone(&self.file), domain: Domain::new(domain) }
    }

    /// The server's tokens and sessions, which the same file holds, on the same connection.
    pub fn ledger(&self) -> Ledger {
        Ledger::new(Arc::clone(&self.file))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// From now on no commit of this connection writes the log back into the file, which whoever
    /// waits for the commit would wait for as well; see [`SqliteSpace::checkpoint`].
    pub fn defer_checkpoints(&self) -> Result<(), SpaceError> {
        let defer = self.file.lock().execute_batch("PRAGMA wal_autocheckpoint = 0");
        defer.map_err(|error| self.file.fail(error))
    }

    /// Writes the log back into the file, as far as nobody still reads from it.
    pub fn checkpoint(&self) -> Result<(), SpaceError> {
        let run = |connection: &Connection| {
            connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
        };
        run(&self.file.lock()).map_err(|error| self.file.fail(error))
    }

    /// Reads the whole file and checks that it holds together; takes about as long as copying
    /// it. Errors with [`SpaceError::Damaged`].
    pub fn check_file(&self) -> Result<(), SpaceError> {
        let ask = |connection: &Connection| -> rusqlite::Result<String> {
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        };
        let detail = ask(&self.file.lock()).map_err(|error| self.file.fail(error))?;
        if detail == "ok" {
            return Ok(());
        }
        Err(SpaceError::Damaged { path: self.file.path.clone(), detail })
    }
}

impl std::fmt::Debug for SqliteSpace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SqliteSpace").field(&self.file.path).finish()
    }
}

impl Domain {
    fn new(tjp: &str) -> Domain {
        Domain { tjp: tjp.to_owned(), id: OnceLock::new() }
    }

    fn find(&self, connection: &Connection) -> rusqlite::Result<Option<i64>> {
        if let Some(id) = self.id.get() {
            return Ok(Some(*id));
        }
        let mut find = connection.prepare_cached("SELECT id FROM domain WHERE tjp = ?1")?;
        find.query_row([&self.tjp], |row| row.get(0)).optional()
    }

    fn find_or_add(&self, connection: &Connection) -> rusqlite::Result<i64> {
        if let Some(id) = self.find(connection)? {
            return Ok(id);
        }
        connection.execute("INSERT INTO domain(tjp) VALUES (?1)", [&self.tjp])?;
        Ok(connection.last_insert_rowid())
    }

    /// Remembers the number, once it is certain to last.
    fn settle(&self, id: i64) {
        self.id.get_or_init(|| id);
    }
}

/// A count or time as SQLite holds it; none that occurs is too large.
fn signed<N: TryInto<i64>>(n: N) -> i64 {
    n.try_into().unwrap_or(i64::MAX)
}

/// A column that holds a count or time.
fn unsigned(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let held: i64 = row.get(column)?;
    u64::try_from(held).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, held))
}

impl Backend for SqliteSpace {
    fn release(&self) -> Result<(), SpaceError> {
        let shrink = self.file.lock().execute_batch("PRAGMA shrink_memory");
        shrink.map_err(|error| self.file.fail(error))
    }

    fn read<R>(&self, f: impl FnOnce(&dyn Rows) -> Result<R, SpaceError>) -> Result<R, SpaceError> {
        let connection = self.file.lock();
        let found = self.domain.find(&connection).map_err(|error| self.file.fail(error))?;
        if let Some(id) = found {
            self.domain.settle(id);
        }
        let domain = found.unwrap_or(NO_DOMAIN);
        f(&SqlRows { connection: &connection, domain, path: &self.file.path })
    }

    fn write<R>(
        &self,
        f: impl FnOnce(&mut dyn RowsMut) -> Result<R, SpaceError>,
    ) -> Result<R, SpaceError> {
        let connection = self.file.lock();
        let fail = |error| self.file.fail(error);
        let transaction = Transaction::new_unchecked(&connection, TransactionBehavior::Immediate);
        let transaction = transaction.map_err(fail)?;
        let domain = self.domain.find_or_add(&transaction).map_err(fail)?;
        let mut rows = SqlRows { connection: &transaction, domain, path: &self.file.path };
        // Dropping the transaction undoes it.
        let result = f(&mut rows)?;
        transaction.commit().map_err(fail)?;
        self.domain.settle(domain);
        Ok(result)
    }
}
