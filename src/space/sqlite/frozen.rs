//! Files that can only be read: their mode, their folder or their disk forbids writing, or the
//! disk has no room for what SQLite makes beside a file in WAL mode, its log and the log's index.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::{guard, schema};
use crate::space::SpaceError;

/// How often a file is opened anew that somebody else began to write to meanwhile.
const TRIES: u32 = 3;

/// The least size of an index that somebody uses. A shorter one could not be made for want of room.
const INDEX: u64 = 32 << 10;

/// How a file can be read without writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadMode {
    /// Its log and the log's index are there: SQLite reads both, and sees who else has them.
    Beside,
    /// A log without an index is there. Whoever writes makes an index first, so nobody does: a
    /// process ended in the middle. The log is read into memory, since all that was committed last
    /// stands in it.
    Log,
    /// No log is there, or one that holds nothing: all that was committed is in the file. Only
    /// then may the log be left out.
    Alone,
}

impl ReadMode {
    fn of(path: &Path) -> ReadMode {
        let len = |end| std::fs::metadata(beside(path, end)).map_or(None, |it| Some(it.len()));
        match (len("-wal"), len("-shm")) {
            (Some(_), Some(INDEX..)) => ReadMode::Beside,
            (Some(1..), _) => ReadMode::Log,
            _ => ReadMode::Alone,
        }
    }

    fn query(self) -> &'static str {
        match self {
            ReadMode::Beside => "mode=ro",
            // Locks need an index, and there is nobody to lock out.
            ReadMode::Log => "mode=ro&vfs=unix-none",
            ReadMode::Alone => "mode=ro&immutable=1",
        }
    }
}

/// Opens a file for reading alone; what is written on the connection fails. None where the file
/// cannot be read either.
pub(super) fn open(path: &Path) -> Result<Option<Connection>, SpaceError> {
    if !cfg!(unix) {
        return Ok(None);
    }
    for _ in 0..TRIES {
        let mode = ReadMode::of(path);
        let Ok(connection) = connect(path, mode) else { return Ok(None) };
        let format = schema::identify(&connection, path)?;
        if format == 0 {
            return Err(SpaceError::Empty(path.to_owned()));
        }
        if format < schema::READABLE {
            return Ok(None);
        }
        // An older format is not written anew here, and is not run either: see `harden`.
        if format == schema::MIGRATIONS.len() as i64 {
            guard::expect_own_schema(&connection, path)?;
        }
        if ReadMode::of(path) == mode {
            return Ok(Some(connection));
        }
    }
    Err(SpaceError::Busy(path.to_owned()))
}

fn connect(path: &Path, mode: ReadMode) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = schema::connect(uri(path, mode), flags)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    if mode == ReadMode::Log {
        // An index that nobody shares is kept in memory.
        connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE")?;
    }
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -32768;")?;
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

fn uri(path: &Path, mode: ReadMode) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri + "?" + mode.query()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stands_in_a_uri_as_it_is() {
        let uri = uri(Path::new("/a b/100%?x=1#é.db"), ReadMode::Alone);
        assert_eq!(uri, "file:/a%20b/100%25%3Fx%3D1%23%C3%A9.db?mode=ro&immutable=1");
    }
}
