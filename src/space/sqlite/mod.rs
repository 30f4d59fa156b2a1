//! A space in one SQLite file, which holds several domains.

mod audit;
mod blocks;
mod deps;
mod disk;
mod dropping;
mod frozen;
mod guard;
mod outlines;
mod pool;
mod rebuild;
mod rows;
mod schema;
mod seen;
#[cfg(any(feature = "server", test))]
mod side;
mod steps;
#[cfg(test)]
mod tests;
mod values;

pub use audit::{Audit, Damaged, Finding};
pub use blocks::{Packed, unpack};
pub use dropping::{Dropped, Group};
pub use pool::{Pool, Pooled};
pub use seen::SeenOnDisk;
#[cfg(feature = "server")]
pub(crate) use side::SideTables;
pub use steps::Steps;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::exclusive::{Exclusive, Locked};
use super::rows::{Backend, Rows, RowsMut};
use super::{Domain, Snapshot, SpaceError};
use blocks::{Blocks, Packer};
use rows::SqlRows;

/// After how many pages in its log SQLite writes the log back, unless told otherwise.
const CHECKPOINT_PAGES: u32 = 1000;
/// How many KiB of the file a pool's connection keeps in memory, and how many while it writes.
const POOLED_CACHE: u32 = 1024;
const WRITING_CACHE: u32 = 32 << 10;
/// A row number that no domain has.
const NO_DOMAIN: i64 = 0;

/// One domain's space in a SQLite file.
///
/// Calls on one value, and on those made from it by [`SqliteSpace::with_domain`], wait for each
/// other; open the file again to read while another connection writes. Several processes may
/// use one file.
pub struct SqliteSpace {
    file: Arc<File>,
    domain: DomainRow,
}

/// An open file.
#[derive(Debug)]
struct File {
    path: PathBuf,
    connection: Exclusive<Connection>,
    /// The turn to write, where it is one of many connections of a pool: it is waited for without
    /// the pauses in which SQLite looks whether the file is free. One of a pool also keeps few
    /// pages in memory while it does not write.
    turn: Option<Arc<Exclusive<()>>>,
    defers_checkpoints: AtomicBool,
    /// None where the file is of a format without blocks.
    blocks: Option<Arc<Blocks>>,
}

impl File {
    fn open(
        path: &Path,
        create: bool,
        turn: Option<Arc<Exclusive<()>>>,
        blocks: Arc<Blocks>,
    ) -> Result<File, SpaceError> {
        let connection = schema::open(path, create)?;
        let has_blocks = schema::has_blocks(&connection);
        let has_blocks = has_blocks.map_err(|error| schema::fail(path, error))?;
        let file = File {
            path: path.to_owned(),
            connection: Exclusive::new(connection),
            turn,
            defers_checkpoints: AtomicBool::new(false),
            blocks: has_blocks.then_some(blocks),
        };
        file.cache(&*file.lock()?, POOLED_CACHE).map_err(|error| file.fail(error))?;
        Ok(file)
    }

    /// Sets how much of the file a connection of a pool keeps in memory.
    fn cache(&self, connection: &Connection, kib: u32) -> rusqlite::Result<()> {
        match self.turn {
            Some(_) => connection.execute_batch(&format!("PRAGMA cache_size = -{kib}")),
            None => Ok(()),
        }
    }

    /// Waits for the turn to write. Errors with [`SpaceError::Busy`] where that took as long as
    /// SQLite waits: who had it before waited for another process.
    fn turn(&self) -> Result<Option<Locked<'_, ()>>, SpaceError> {
        let Some(turn) = &self.turn else { return Ok(None) };
        let began = Instant::now();
        let turn = turn.lock()?;
        match began.elapsed() < schema::BUSY_TIMEOUT {
            true => Ok(Some(turn)),
            false => Err(SpaceError::Busy(self.path.clone())),
        }
    }

    fn lock(&self) -> Result<Locked<'_, Connection>, SpaceError> {
        self.connection.lock()
    }

    fn fail(&self, error: rusqlite::Error) -> SpaceError {
        schema::fail(&self.path, error)
    }

    fn rows<'a>(&'a self, connection: &'a Connection, domain: i64) -> SqlRows<'a> {
        let (path, blocks) = (&*self.path, self.blocks.as_deref());
        SqlRows { connection, domain, path, blocks, packer: Packer::default() }
    }
}

/// Whose rows are read and written; it has a number once it holds something.
struct DomainRow {
    domain: Domain,
    id: OnceLock<i64>,
}

impl SqliteSpace {
    /// Opens a file that is there. One that can only be read is opened for that: what writes to it
    /// errors with [`SpaceError::ReadOnly`], or with [`SpaceError::Full`] where its disk has no room.
    ///
    /// `domain` is whose rows are read and written. Errors with [`SpaceError::NoFile`], [`SpaceError::Empty`],
    /// [`SpaceError::NotASpace`], [`SpaceError::Newer`], [`SpaceError::Damaged`] or [`SpaceError::Busy`].
    pub fn open(path: &Path, domain: impl Into<Domain>) -> Result<SqliteSpace, SpaceError> {
        SqliteSpace::open_with(path, domain, false)
    }

    /// Opens a file, or makes it where it is missing; its folder must be there.
    pub fn create_if_missing(
        path: &Path,
        domain: impl Into<Domain>,
    ) -> Result<SqliteSpace, SpaceError> {
        SqliteSpace::open_with(path, domain, true)
    }

    fn open_with(
        path: &Path,
        domain: impl Into<Domain>,
        create: bool,
    ) -> Result<SqliteSpace, SpaceError> {
        Ok(SqliteSpace::on(Arc::new(File::open(path, create, None, Arc::default())?), domain))
    }

    fn on(file: Arc<File>, domain: impl Into<Domain>) -> SqliteSpace {
        SqliteSpace { file, domain: DomainRow::new(domain.into()) }
    }

    /// Another domain of the same file, on the same connection.
    pub fn with_domain(&self, domain: impl Into<Domain>) -> SqliteSpace {
        SqliteSpace { file: Arc::clone(&self.file), domain: DomainRow::new(domain.into()) }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Whether from now on no commit of this connection writes the log back into the file, which
    /// whoever waits for the commit would wait for as well; see [`SqliteSpace::checkpoint`].
    pub fn defer_checkpoints(&self, defer: bool) -> Result<(), SpaceError> {
        let connection = self.file.lock()?;
        if self.file.defers_checkpoints.swap(defer, Ordering::Relaxed) == defer {
            return Ok(());
        }
        let pages = if defer { 0 } else { CHECKPOINT_PAGES };
        let set = connection.execute_batch(&format!("PRAGMA wal_autocheckpoint = {pages}"));
        set.map_err(|error| self.file.fail(error))
    }

    /// Writes the log back into the file, as far as nobody still reads from it.
    pub fn checkpoint(&self) -> Result<(), SpaceError> {
        let run = |connection: &Connection| {
            connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
        };
        run(&*self.file.lock()?).map_err(|error| self.file.fail(error))
    }

    /// Reads everything in the file, of all domains, and holds it against itself. It reads the file
    /// as it stands at one moment; memory does not grow with it.
    ///
    /// Damage is no error: errors where the file cannot be read at all.
    pub fn audit(&self) -> Result<Audit, SpaceError> {
        audit::audit(&*self.file.lock()?, &self.file.path, self.file.blocks.as_deref())
    }

    /// Reads the whole file and checks that it holds together; takes about as long as copying
    /// it. Errors with [`SpaceError::Damaged`].
    pub fn check_file(&self) -> Result<(), SpaceError> {
        let ask = |connection: &Connection| -> rusqlite::Result<String> {
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        };
        let detail = ask(&*self.file.lock()?).map_err(|error| self.file.fail(error))?;
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

impl DomainRow {
    fn new(domain: Domain) -> DomainRow {
        DomainRow { domain, id: OnceLock::new() }
    }

    fn find(&self, connection: &Connection) -> rusqlite::Result<Option<i64>> {
        if let Some(id) = self.id.get() {
            return Ok(Some(*id));
        }
        let mut find = connection.prepare_cached("SELECT id FROM domain WHERE tjp = ?1")?;
        find.query_row([&self.domain], |row| row.get(0)).optional()
    }

    fn find_or_add(&self, connection: &Connection) -> rusqlite::Result<i64> {
        if let Some(id) = self.find(connection)? {
            return Ok(id);
        }
        connection.execute("INSERT INTO domain(tjp) VALUES (?1)", [&self.domain])?;
        Ok(connection.last_insert_rowid())
    }

    /// Remembers the number, once it is certain to last.
    fn remember(&self, id: i64) {
        self.id.get_or_init(|| id);
    }
}

/// A count or time as SQLite holds it; none that occurs is too large.
pub(crate) fn signed<N: TryInto<i64>>(n: N) -> i64 {
    n.try_into().unwrap_or(i64::MAX)
}

/// A column that holds a count or time.
pub(crate) fn unsigned(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let held: i64 = row.get(column)?;
    u64::try_from(held).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, held))
}

impl Backend for SqliteSpace {
    fn release(&self) -> Result<(), SpaceError> {
        if let Some(blocks) = &self.file.blocks {
            blocks.release();
        }
        let shrink = self.file.lock()?.execute_batch("PRAGMA shrink_memory");
        shrink.map_err(|error| self.file.fail(error))
    }

    fn snapshot(&self) -> Result<Snapshot<'_>, SpaceError> {
        // Without a transaction SQLite locks the file for each statement and lets go of it again.
        let begin = self.file.lock()?.execute_batch("BEGIN");
        begin.map_err(|error| self.file.fail(error))?;
        Ok(Snapshot::ended_by(|| {
            let commit = |connection: Locked<'_, Connection>| {
                connection.execute_batch("COMMIT").map_err(|error| self.file.fail(error))
            };
            if let Err(error) = self.file.lock().and_then(commit) {
                tracing::warn!(%error, "a read transaction did not end");
            }
        }))
    }

    fn read<R>(&self, f: impl FnOnce(&dyn Rows) -> Result<R, SpaceError>) -> Result<R, SpaceError> {
        let connection = self.file.lock()?;
        let found = self.domain.find(&connection).map_err(|error| self.file.fail(error))?;
        if let Some(id) = found {
            self.domain.remember(id);
        }
        let domain = found.unwrap_or(NO_DOMAIN);
        f(&self.file.rows(&connection, domain))
    }

    fn write<R>(
        &self,
        f: impl FnOnce(&mut dyn RowsMut) -> Result<R, SpaceError>,
    ) -> Result<R, SpaceError> {
        let _turn = self.file.turn()?;
        let connection = self.file.lock()?;
        let fail = |error| self.file.fail(error);
        let transaction = Transaction::new_unchecked(&connection, TransactionBehavior::Immediate);
        let transaction = transaction.map_err(fail)?;
        let domain = self.domain.find_or_add(&transaction).map_err(fail)?;
        // One writes at a time, so that this is taken once, however many connections there are.
        self.file.cache(&connection, WRITING_CACHE).map_err(fail)?;
        let mut rows = self.file.rows(&transaction, domain);
        // Dropping the transaction undoes it.
        let written = f(&mut rows).and_then(|result| {
            transaction.commit().map_err(fail)?;
            Ok(result)
        });
        self.file.cache(&connection, POOLED_CACHE).map_err(fail)?;
        let result = written?;
        self.domain.remember(domain);
        Ok(result)
    }
}
