//! Giving back the room that dropped rows took.

use std::collections::HashSet;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::super::{SqliteSpace, unsigned};
use crate::space::{RowId, SpaceError};

/// How many bytes of text, and how many texts, are moved in one transaction.
const STEP_BYTES: i64 = 4 << 20;
const STEP_TEXTS: usize = 4096;
/// How often it is looked for blocks that are mostly unused: a last block may be one once it is filled.
const ROUNDS: usize = 2;
/// How many blocks are dropped in one transaction, and how many pages are given back.
const STEP_BLOCKS: usize = 64;
const STEP_PAGES: u64 = 2048;
/// What `PRAGMA auto_vacuum` says of a file that gives pages back without a copy of it.
const INCREMENTAL: u64 = 2;

/// How much of each block is in use. A domain's last one is left out: it goes on to be filled, and
/// no other one ever is.
const IN_USE: &str = "SELECT id, size, coalesce(bytes, 0) FROM block \
     LEFT JOIN (SELECT block AS of, sum(length) AS bytes FROM ibgib WHERE block IS NOT NULL GROUP BY block) \
     ON of = id \
     WHERE id < (SELECT max(id) FROM block AS newer WHERE newer.domain = block.domain) ORDER BY id";
const IN_BLOCKS: &str =
    "SELECT id, domain, length, block FROM ibgib WHERE block IS NOT NULL ORDER BY id";
const DROP_BLOCK: &str = "DELETE FROM block WHERE id = ?1";

/// A block, how many bytes of text it has, and how many of them are some row's.
struct InUse {
    block: i64,
    size: i64,
    bytes: i64,
}

/// A text that is to be moved out of its block.
struct Moved {
    id: RowId,
    domain: i64,
    length: i64,
}

impl SqliteSpace {
    /// Gives back the room of rows that were dropped, in bounded transactions; `go_on` is asked
    /// between them. A block without texts goes, and one of which less than half is in use goes once
    /// its texts are packed anew. A file that can do so without being copied then gets shorter; of an
    /// older one the room is used again, and [`SqliteSpace::pack`] gives it back.
    ///
    /// Errors as a put does.
    pub fn give_back(&self, go_on: &dyn Fn() -> bool) -> Result<(), SpaceError> {
        self.drop_unused_blocks(go_on)?;
        for _ in 0..ROUNDS {
            let moved = self.mostly_unused()?;
            let mut rest = &moved[..];
            while !rest.is_empty() && go_on() {
                rest = self.pack_anew(rest)?;
            }
            if moved.is_empty() {
                break;
            }
            self.drop_unused_blocks(go_on)?;
        }
        self.shorten(go_on)
    }

    /// Whether the file gives pages back that it does not need without being copied.
    pub fn gives_back(&self) -> Result<bool, SpaceError> {
        Ok(self.ask("PRAGMA auto_vacuum")? == INCREMENTAL)
    }

    fn ask(&self, sql: &str) -> Result<u64, SpaceError> {
        let connection = self.file.lock()?;
        let found = connection.query_row(sql, [], |row| unsigned(row, 0));
        found.map_err(|error| self.file.fail(error))
    }

    fn in_use(&self) -> Result<Vec<InUse>, SpaceError> {
        let ask = |connection: &Connection| -> rusqlite::Result<Vec<InUse>> {
            let mut blocks = connection.prepare(IN_USE)?;
            let read = |row: &rusqlite::Row<'_>| {
                Ok(InUse { block: row.get(0)?, size: row.get(1)?, bytes: row.get(2)? })
            };
            blocks.query_map([], read)?.collect()
        };
        ask(&*self.file.lock()?).map_err(|error| self.file.fail(error))
    }

    /// Drops blocks of which no text is any row's: nothing is ever put into them again.
    fn drop_unused_blocks(&self, go_on: &dyn Fn() -> bool) -> Result<(), SpaceError> {
        let unused: Vec<i64> =
            self.in_use()?.iter().filter(|it| it.bytes == 0).map(|it| it.block).collect();
        for step in unused.chunks(STEP_BLOCKS) {
            if !go_on() {
                break;
            }
            self.step(|transaction| {
                let mut drop = transaction.prepare_cached(DROP_BLOCK)?;
                step.iter().try_for_each(|block| drop.execute([block]).map(|_| ()))
            })?;
        }
        Ok(())
    }

    /// The texts of blocks of which less than half is in use.
    fn mostly_unused(&self) -> Result<Vec<Moved>, SpaceError> {
        let blocks = self.in_use()?;
        let blocks: HashSet<i64> =
            blocks.iter().filter(|it| it.bytes < it.size / 2).map(|it| it.block).collect();
        if blocks.is_empty() {
            return Ok(Vec::new());
        }
        let ask = |connection: &Connection| -> rusqlite::Result<Vec<Moved>> {
            let (mut texts, mut moved) = (connection.prepare(IN_BLOCKS)?, Vec::new());
            let mut texts = texts.query([])?;
            while let Some(row) = texts.next()? {
                if blocks.contains(&row.get(3)?) {
                    moved.push(Moved { id: row.get(0)?, domain: row.get(1)?, length: row.get(2)? });
                }
            }
            Ok(moved)
        };
        ask(&*self.file.lock()?).map_err(|error| self.file.fail(error))
    }

    /// Moves the first of these texts to their domains' last blocks; returns those that are left.
    fn pack_anew<'a>(&self, texts: &'a [Moved]) -> Result<&'a [Moved], SpaceError> {
        let (mut bytes, mut count) = (0, 0);
        for text in texts.iter().take(STEP_TEXTS) {
            count += 1;
            bytes = i64::saturating_add(bytes, text.length.max(0));
            if bytes >= STEP_BYTES {
                break;
            }
        }
        let (now, rest) = texts.split_at(count);
        let mut now: Vec<(i64, RowId)> = now.iter().map(|it| (it.domain, it.id)).collect();
        now.sort_unstable();
        let _turn = self.file.turn()?;
        let connection = self.file.lock()?;
        let fail = |error| self.file.fail(error);
        let transaction = Transaction::new_unchecked(&connection, TransactionBehavior::Immediate);
        let transaction = transaction.map_err(fail)?;
        for of in now.chunk_by(|one, other| one.0 == other.0) {
            let ids: Vec<RowId> = of.iter().map(|(_, id)| *id).collect();
            let mut rows =
                self.file.rows(&transaction, of.first().map_or(super::super::NO_DOMAIN, |it| it.0));
            rows.pack(&ids)?;
            crate::space::rows::RowsMut::flush(&mut rows)?;
        }
        transaction.commit().map_err(fail)?;
        Ok(rest)
    }

    /// Gives the file system back what the file does not need, where that takes no copy.
    fn shorten(&self, go_on: &dyn Fn() -> bool) -> Result<(), SpaceError> {
        if !self.gives_back()? {
            return Ok(());
        }
        let mut free = self.ask("PRAGMA freelist_count")?;
        while free > 0 && go_on() {
            let _turn = self.file.turn()?;
            let give = |connection: &Connection| -> rusqlite::Result<()> {
                let give = format!("PRAGMA incremental_vacuum({STEP_PAGES})");
                let mut give = connection.prepare(&give)?;
                // Each page is given back in a step of its own.
                let mut pages = give.query([])?;
                while pages.next()?.is_some() {}
                Ok(())
            };
            give(&*self.file.lock()?).map_err(|error| self.file.fail(error))?;
            let left = self.ask("PRAGMA freelist_count")?;
            if left >= free {
                break;
            }
            free = left;
        }
        let write_back = "PRAGMA wal_checkpoint(TRUNCATE)";
        let written = self.file.lock()?.query_row(write_back, [], |_| Ok(()));
        written.map_err(|error| self.file.fail(error))
    }

    /// Runs `f` in a transaction.
    fn step(&self, f: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> Result<(), SpaceError> {
        let _turn = self.file.turn()?;
        let connection = self.file.lock()?;
        let run = || {
            let transaction =
                Transaction::new_unchecked(&connection, TransactionBehavior::Immediate)?;
            f(&transaction)?;
            transaction.commit()
        };
        run().map_err(|error| self.file.fail(error))
    }
}
