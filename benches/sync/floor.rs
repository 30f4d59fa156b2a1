//! The floors: the least that storing the same ibGibs takes, in general and in this schema.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rusqlite::Connection;
use sha2::{Digest, Sha256};
use sync_gib::space::{Domain, Prepared, PutOpts, Space, SpaceError, SqliteSpace, ahead};

use crate::process;

/// One of the two floors.
#[derive(Debug, Clone, Copy)]
pub enum Floor {
    /// The space's own `put`: every rule for what is stored, every table and index.
    Put,
    /// None of the product's code: read a line, hash it, one prepared `INSERT`. What `put` wastes
    /// shows here, which a comparison with [`Floor::Put`] hides.
    Raw,
}

impl Floor {
    /// The floor whose process an argument asks for; the bench runs itself with it.
    pub fn asked_by(flag: &str) -> Option<Floor> {
        [Floor::Put, Floor::Raw].into_iter().find(|floor| floor.flag() == flag)
    }

    fn flag(self) -> &'static str {
        match self {
            Floor::Put => "--floor-process",
            Floor::Raw => "--raw-floor-process",
        }
    }

    /// Stores every line of NDJSON in a new file, in one transaction, streaming.
    pub fn run(self, ndjson: &Path, space: &Path) -> crate::Result<()> {
        let lines = BufReader::with_capacity(256 << 10, File::open(ndjson)?);
        match self {
            Floor::Put => put(lines, space),
            Floor::Raw => insert(lines, space),
        }
    }

    /// How long a process of its own takes for that, and its peak memory.
    pub fn measure(self, ndjson: &Path, dir: &Path) -> crate::Result<(Duration, u64)> {
        let space = dir.join("floor.db");
        let mut command = Command::new(std::env::current_exe()?);
        let ran = process::run(command.arg(self.flag()).arg(ndjson).arg(&space), true)?;
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(dir.join(format!("floor.db{end}")));
        }
        Ok((ran.time, ran.peak))
    }
}

fn put(lines: impl BufRead + Send + 'static, space: &Path) -> crate::Result<()> {
    let space = SqliteSpace::create_if_missing(space, Domain::Client)?;
    let read = |line: std::io::Result<String>| -> Result<Prepared, SpaceError> {
        let line = line.map_err(|source| SpaceError::Io {
            what: "read",
            path: "the input".into(),
            source,
        })?;
        Ok(Prepared::from_json(&line)?)
    };
    let size_of =
        |item: &Result<Prepared, SpaceError>| item.as_ref().map_or(0, |item| item.text().len());
    let mut batch = ahead(lines.lines().map(read), size_of)?;
    space.put(&mut batch, &PutOpts::default())?;
    Ok(())
}

fn insert(mut lines: impl BufRead, file: &Path) -> crate::Result<()> {
    let mut connection = Connection::open(file)?;
    // The same settings as a space's file has, for the same durability.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -32768;
         PRAGMA journal_size_limit = 67108864; PRAGMA cell_size_check = ON;
         CREATE TABLE ibgib(id INTEGER PRIMARY KEY, key BLOB NOT NULL, json TEXT NOT NULL) STRICT;
         CREATE UNIQUE INDEX ibgib_key ON ibgib(key);",
    )?;
    let transaction = connection.transaction()?;
    let mut insert = transaction.prepare("INSERT INTO ibgib(key, json) VALUES (?1, ?2)")?;
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        let text = line.trim_end_matches('\n');
        let hash = Sha256::digest(text);
        insert.execute((&hash[..16], text))?;
        line.clear();
    }
    drop(insert);
    transaction.commit()?;
    Ok(())
}
