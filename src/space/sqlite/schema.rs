//! The file: how it is opened, told from others, and brought to the newest format.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags, Transaction, TransactionBehavior};

use super::{disk, frozen, guard};
use crate::space::SpaceError;

/// What tells a space from other programs' SQLite files: `gib1`.
pub(super) const APPLICATION_ID: i64 = 0x6769_6231;

/// How the file gets from each format to the next; the format's number is how many were applied.
pub(super) const MIGRATIONS: &[&str] = &[V1, V2, V3, V4, V5];

/// The oldest format in which a file is read that cannot be brought to the newest one, since it
/// can only be read: what a migration adds to it is needed for writing alone.
pub(super) const READABLE: i64 = 1;

/// Tables of format 1.
///
/// `ibgib` is an ordinary rowid table: rows of about 1 KB make a `WITHOUT ROWID` table three
/// times as large and four times as slow. `json` stands last, so that reading the other columns
/// never follows a long text's overflow pages.
const V1: &str = "
CREATE TABLE domain(
    id INTEGER PRIMARY KEY, tjp TEXT NOT NULL UNIQUE,
    ibgibs INTEGER NOT NULL DEFAULT 0, timelines INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE ibgib(
    id INTEGER PRIMARY KEY, domain INTEGER NOT NULL, key BLOB NOT NULL, timeline INTEGER,
    n INTEGER NOT NULL, prev INTEGER, orphan INTEGER, aside INTEGER NOT NULL,
    flags INTEGER NOT NULL, deps BLOB NOT NULL, json TEXT NOT NULL) STRICT;
CREATE UNIQUE INDEX ibgib_key ON ibgib(domain, key);
CREATE INDEX ibgib_line ON ibgib(timeline, n) WHERE timeline IS NOT NULL AND aside = 0;
CREATE TABLE timeline(
    tjp_id INTEGER PRIMARY KEY, domain INTEGER NOT NULL, kind INTEGER NOT NULL,
    tip_id INTEGER NOT NULL, tip_n INTEGER NOT NULL) STRICT;
CREATE INDEX timeline_kind ON timeline(domain, kind, tjp_id);
CREATE TABLE link(
    src INTEGER NOT NULL, dst INTEGER NOT NULL, PRIMARY KEY(src, dst)) STRICT, WITHOUT ROWID;
CREATE TABLE loose(stone_id INTEGER PRIMARY KEY, domain INTEGER NOT NULL) STRICT;
CREATE INDEX loose_domain ON loose(domain, stone_id);
CREATE TABLE name(
    domain INTEGER NOT NULL, name TEXT NOT NULL, addr TEXT NOT NULL,
    PRIMARY KEY(domain, name)) STRICT, WITHOUT ROWID;
CREATE TABLE token(
    hash BLOB PRIMARY KEY, domain TEXT NOT NULL, expires_at_ms INTEGER NOT NULL) STRICT;
CREATE TABLE session(
    tjp TEXT PRIMARY KEY, domain TEXT NOT NULL, created_ms INTEGER NOT NULL,
    connected_ms INTEGER) STRICT;
";

/// A client's pending steps, apart from the timelines: `frame` is the one that was signed on.
const V2: &str = "
CREATE TABLE pending(
    domain INTEGER NOT NULL, identity TEXT NOT NULL, purpose TEXT NOT NULL, frame TEXT NOT NULL,
    evolved TEXT NOT NULL, session TEXT, shared INTEGER NOT NULL,
    PRIMARY KEY(domain, identity, purpose)) STRICT;
";

/// How many identities were new to a server, by day (since 1970) and the address that they came from.
const V3: &str = "
CREATE TABLE newcomer(
    day INTEGER NOT NULL, address TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY(day, address)) STRICT, WITHOUT ROWID;
";

/// Where each domain's data stands, and a server's tokens that tell of it. A domain that was filled
/// before has no row until it is asked for: a file opens at once, however much is in it.
const V4: &str = "
CREATE TABLE state(
    domain INTEGER PRIMARY KEY, digest BLOB NOT NULL, timelines INTEGER NOT NULL) STRICT;
CREATE TABLE state_token(
    hash BLOB PRIMARY KEY, domain TEXT NOT NULL, expires_at_ms INTEGER NOT NULL) STRICT;
CREATE INDEX state_token_domain ON state_token(domain, expires_at_ms);
";

/// Texts in blocks. Where `block` says so, a row's text stands in that block from byte `start` on, its
/// `json` is empty, and `addr` tells its address; `fresh` lists what is to be packed once there is
/// enough of it.
const V5: &str = "
CREATE TABLE block(
    id INTEGER PRIMARY KEY AUTOINCREMENT, domain INTEGER NOT NULL, texts INTEGER NOT NULL,
    size INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE INDEX block_domain ON block(domain);
CREATE TABLE fresh(
    domain INTEGER NOT NULL, id INTEGER NOT NULL, length INTEGER NOT NULL,
    PRIMARY KEY(domain, id)) STRICT, WITHOUT ROWID;
ALTER TABLE ibgib ADD COLUMN block INTEGER;
ALTER TABLE ibgib ADD COLUMN start INTEGER;
ALTER TABLE ibgib ADD COLUMN length INTEGER;
ALTER TABLE ibgib ADD COLUMN addr BLOB;
";

/// How long a call waits for another process's write.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// How many prepared statements a connection keeps.
const STATEMENTS: usize = 64;

/// Opens the file and brings it to the newest format. One that can only be read is read as it is,
/// and what writes fails with [`SpaceError::ReadOnly`] or [`SpaceError::Full`].
///
/// `synchronous` is FULL: a commit that was told to the other side survives a loss of power.
/// WAL asks one sync per commit for it, and a sync saga commits a few times only.
pub(super) fn open(path: &Path, create_if_missing: bool) -> Result<Connection, SpaceError> {
    // A folder that may not be entered does not say whether the file is there.
    if !path.try_exists().map_err(SpaceError::io("open", path))? {
        if !create_if_missing {
            return Err(SpaceError::NoFile(path.to_owned()));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if folder.is_some_and(|folder| !folder.is_dir()) {
            return Err(SpaceError::NoParent(path.to_owned()));
        }
        make(path)?;
    }
    match open_to_write(path, create_if_missing) {
        Err(error @ (SpaceError::Io { .. } | SpaceError::Full(_) | SpaceError::ReadOnly(_))) => {
            match frozen::open(path) {
                // One that could not be made is empty for that reason.
                Err(SpaceError::Empty(_)) if create_if_missing => Err(error),
                opened => opened?.ok_or(error),
            }
        }
        opened => opened,
    }
}

fn open_to_write(path: &Path, create_if_missing: bool) -> Result<Connection, SpaceError> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, create_if_missing);
    let mut connection = connect(path, flags).map_err(|error| fail(path, error))?;
    if connection.is_readonly(MAIN_DB).map_err(|error| fail(path, error))? {
        return Err(disk::not_written(path));
    }
    if identify_at_once(&connection, path)? == 0 && !create_if_missing {
        return Err(SpaceError::Empty(path.to_owned()));
    }
    use_wal(&connection).map_err(|error| fail(path, error))?;
    migrate(&mut connection, path)?;
    guard::expect_own_schema(&connection, path)?;
    Ok(connection)
}

/// A connection to a file as all of them are set.
pub(super) fn connect(path: impl AsRef<Path>, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags)?;
    guard::harden(&connection)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Makes a file that its owner alone reads and writes; SQLite gives its log the same mode. It gets
/// its name once it is whole: a process that is killed leaves no empty one behind.
fn make(path: &Path) -> Result<(), SpaceError> {
    let failed = SpaceError::io("make", path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let file = tempfile::Builder::new().prefix(".space-").tempfile_in(folder).map_err(&failed)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = connect(file.path(), flags).map_err(|error| fail(path, error))?;
    // Before there is any table: later it takes a copy of the file.
    let gives_back = connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL");
    gives_back.map_err(|error| fail(path, error))?;
    migrate(&mut connection, path)?;
    connection.close().map_err(|(_, error)| fail(path, error))?;
    match file.persist_noclobber(path) {
        // Another process that makes the same file was a moment faster.
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        named => named.map(drop).map_err(|error| failed(error.error))?,
    }
    if cfg!(unix) {
        let folder = std::fs::File::open(folder).map_err(&failed)?;
        folder.sync_all().map_err(failed)?;
    }
    Ok(())
}

/// The typed error for what SQLite said about a file.
pub(super) fn fail(path: &Path, source: rusqlite::Error) -> SpaceError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => SpaceError::Busy(path),
        Some(ErrorCode::DatabaseCorrupt) => {
            SpaceError::Damaged { path, detail: source.to_string() }
        }
        Some(ErrorCode::NotADatabase) => SpaceError::NotASpace {
            path,
            detail: "it is not an SQLite file, or its header is destroyed",
        },
        Some(ErrorCode::DiskFull) => SpaceError::Full(path),
        Some(ErrorCode::ReadOnly) => disk::not_written(&path),
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::SystemIoFailure) => {
            disk::failed(&path, source)
        }
        _ => SpaceError::Sqlite { path, source },
    }
}

/// Refuses other programs' files and those of newer versions; returns the format's number,
/// 0 for an empty file.
pub(super) fn identify(connection: &Connection, path: &Path) -> Result<i64, SpaceError> {
    let ask = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let ask = |sql| ask(sql).map_err(|error| fail(path, error));
    let (application, found) = (ask("PRAGMA application_id")?, ask("PRAGMA user_version")?);
    let tables = ask("SELECT count(*) FROM sqlite_schema")?;
    if application == 0 && found == 0 && tables == 0 {
        return Ok(0);
    }
    if application != APPLICATION_ID {
        let detail = "it is another program's SQLite file";
        return Err(SpaceError::NotASpace { path: path.to_owned(), detail });
    }
    let known = MIGRATIONS.len() as i64;
    if found > known {
        return Err(SpaceError::Newer { path: path.to_owned(), found, known });
    }
    Ok(found)
}

/// Whether a file's texts may stand in blocks: not in one of an older format, which is only read.
pub(super) fn has_blocks(connection: &Connection) -> rusqlite::Result<bool> {
    let ask = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'block'";
    connection.query_row(ask, [], |row| row.get(0))
}

/// The same in one snapshot: another process may be making the file, and what is asked one after the
/// other would be partly of before and partly of after.
fn identify_at_once(connection: &Connection, path: &Path) -> Result<i64, SpaceError> {
    let snapshot = connection.unchecked_transaction().map_err(|error| fail(path, error))?;
    identify(&snapshot, path)
}

fn use_wal(connection: &Connection) -> rusqlite::Result<()> {
    // The switch to WAL does not wait for other connections as other statements do.
    let give_up = Instant::now() + BUSY_TIMEOUT;
    loop {
        match connection.execute_batch("PRAGMA journal_mode = WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < give_up =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            result => break result?,
        }
    }
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA cache_size = -32768;
         PRAGMA journal_size_limit = 67108864;",
    )
}

/// Applies the migrations that the file lacks, in one transaction.
///
/// Not `rusqlite_migration`: it asks for the format before its transaction begins, so that the second
/// of two processes that open an old file fails, and its releases follow behind those of rusqlite.
fn migrate(connection: &mut Connection, path: &Path) -> Result<(), SpaceError> {
    let fail = |error| fail(path, error);
    if identify_at_once(connection, path)? == MIGRATIONS.len() as i64 {
        return Ok(());
    }
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate);
    let transaction = transaction.map_err(fail)?;
    // Another process may have done it while this one waited.
    let found = identify(&transaction, path)?;
    for step in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(step).map_err(fail)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(fail)?;
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64).map_err(fail)?;
    transaction.commit().map_err(fail)
}
