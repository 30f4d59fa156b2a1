//! Moving texts from their rows into blocks.

use rusqlite::types::Value;
use rusqlite::{Connection, Transaction, TransactionBehavior, params, params_from_iter};

use super::super::rows::SqlRows;
use super::super::{SqliteSpace, schema, signed, unsigned};
use super::{Place, encode_addr};
use crate::space::rows::RowsMut;
use crate::space::verified::{Verified, hashed};
use crate::space::{RowId, SpaceError};

/// How many bytes of text, and how many texts, are packed in one transaction: others wait for it.
const STEP_BYTES: i64 = 4 << 20;
const STEP_TEXTS: usize = 4096;

const UNPACKED: &str = "SELECT id, domain, length(CAST(json AS BLOB)) FROM ibgib \
     WHERE id > ?1 AND json <> '' ORDER BY id";
const COLUMNS: &str = "SELECT id, domain, key, timeline, n, prev, orphan, aside, flags, deps \
     FROM ibgib WHERE id = ?1";
const AGAIN: &str = "INSERT INTO ibgib(id, domain, key, timeline, n, prev, orphan, aside, flags, \
     deps, json, block, start, length, addr) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, '', ?11, ?12, ?13, ?14)";

/// What packing a file came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Packed {
    /// How many texts stood unpacked and are packed now.
    pub ibgibs: u64,
    /// How many bytes these texts have.
    pub bytes: u64,
    /// How many bytes the file had before, in use or not.
    pub before: u64,
    /// How many it has now.
    pub after: u64,
}

impl SqliteSpace {
    /// Packs every text of the file that stands unpacked, of all domains, in transactions of a few
    /// megabytes each, and then gives the file system back what the file does not need: for that the
    /// file is written anew, which needs room for a copy of it, and whoever writes waits meanwhile.
    ///
    /// A damaged text stays as it is. Errors as a put does; what was packed before stays packed.
    pub fn pack(&self) -> Result<Packed, SpaceError> {
        let mut done = Packed { before: self.file_len()?, ..Packed::default() };
        let mut after = RowId::BEFORE_ALL;
        while let Some(last) = self.pack_step(after, &mut done)? {
            after = last;
        }
        let connection = self.file.lock()?;
        let anew = "PRAGMA auto_vacuum = INCREMENTAL; VACUUM";
        connection.execute_batch(anew).map_err(|error| self.file.fail(error))?;
        let write_back = "PRAGMA wal_checkpoint(TRUNCATE)";
        let written = connection.query_row(write_back, [], |_| Ok(()));
        written.map_err(|error| self.file.fail(error))?;
        drop(connection);
        done.after = self.file_len()?;
        Ok(done)
    }

    /// Packs what follows a row; the last row that was looked at, none at the end.
    fn pack_step(&self, after: RowId, done: &mut Packed) -> Result<Option<RowId>, SpaceError> {
        let _turn = self.file.turn()?;
        let connection = self.file.lock()?;
        let fail = |error| self.file.fail(error);
        let transaction = Transaction::new_unchecked(&connection, TransactionBehavior::Immediate);
        let transaction = transaction.map_err(fail)?;
        let mut step = unpacked_after(&transaction, after).map_err(fail)?;
        let Some((last, _)) = step.last().copied() else { return Ok(None) };
        // By domain, and within one by number.
        step.sort_by_key(|(id, domain)| (*domain, *id));
        for of in step.chunk_by(|one, other| one.1 == other.1) {
            let ids: Vec<RowId> = of.iter().map(|(id, _)| *id).collect();
            let mut rows =
                self.file.rows(&transaction, of.first().map_or(0, |(_, domain)| *domain));
            let (ibgibs, bytes) = rows.pack(&ids)?;
            rows.flush()?;
            done.ibgibs += ibgibs;
            done.bytes += bytes;
        }
        transaction.commit().map_err(fail)?;
        if last <= after {
            let detail = format!("number {last} comes after {after}");
            return Err(SpaceError::Damaged { path: self.file.path.clone(), detail });
        }
        Ok(Some(last))
    }

    /// The size of the file once the log is written back into it.
    pub fn file_len(&self) -> Result<u64, SpaceError> {
        let connection = self.file.lock()?;
        let ask = |sql| connection.query_row(sql, [], |row| unsigned(row, 0));
        let pages = ask("PRAGMA page_count").map_err(|error| self.file.fail(error))?;
        let page_size = ask("PRAGMA page_size").map_err(|error| self.file.fail(error))?;
        Ok(pages.saturating_mul(page_size))
    }
}

/// The rows after one whose texts stand unpacked, with their domains: as many as one step packs.
fn unpacked_after(connection: &Connection, after: RowId) -> rusqlite::Result<Vec<(RowId, i64)>> {
    let mut statement = connection.prepare_cached(UNPACKED)?;
    let mut found = statement.query([after])?;
    let (mut step, mut bytes) = (Vec::new(), 0_i64);
    while bytes < STEP_BYTES
        && step.len() < STEP_TEXTS
        && let Some(row) = found.next()?
    {
        step.push((row.get(0)?, row.get(1)?));
        bytes += row.get::<_, i64>(2)?;
    }
    Ok(step)
}

impl SqlRows<'_> {
    /// Puts a text into the domain's block.
    pub(in crate::space::sqlite) fn add_to_block(
        &mut self,
        text: &str,
    ) -> Result<Place, SpaceError> {
        let place = self.packer.add(self.connection, self.domain, text);
        place.map_err(|error| schema::fail(self.path, error))
    }

    /// Notes that a text was stored unpacked; packs what the domain has of these once it is enough.
    pub(in crate::space::sqlite) fn stored_unpacked(
        &mut self,
        id: RowId,
        length: usize,
    ) -> Result<(), SpaceError> {
        let enough = self.packer.stores_unpacked(self.connection, self.domain, length);
        let enough = enough.map_err(|error| schema::fail(self.path, error))?;
        let add = "INSERT INTO fresh(domain, id, length) VALUES (?1, ?2, ?3)";
        self.run(add, (self.domain, id, signed(length)))?;
        if !enough {
            return Ok(());
        }
        let fresh = "SELECT id FROM fresh WHERE domain = ?1 ORDER BY id";
        let fresh: Vec<RowId> = self.all(fresh, [self.domain], |row| row.get(0))?;
        self.pack(&fresh).map(drop)
    }

    /// Puts the texts of rows into blocks, as far as they are not damaged: a flipped bit can be found
    /// where a text stands alone. Returns how many that were, and their bytes.
    ///
    /// The rows are deleted and inserted again: SQLite does not join pages when rows get shorter.
    pub(in crate::space::sqlite) fn pack(
        &mut self,
        ids: &[RowId],
    ) -> Result<(u64, u64), SpaceError> {
        let (mut moved, mut bytes) = (Vec::with_capacity(ids.len()), 0);
        for id in ids {
            self.run("DELETE FROM fresh WHERE domain = ?1 AND id = ?2", (self.domain, id))?;
            let stored = match hashed(self, *id) {
                Ok(stored) => stored,
                Err(SpaceError::Damaged { .. } | SpaceError::NoSuchId(_)) => continue,
                Err(error) => return Err(error),
            };
            let Verified { row, addr, text } = stored;
            let values = |row: &rusqlite::Row<'_>| {
                (0..10).map(|column| row.get(column)).collect::<rusqlite::Result<Vec<Value>>>()
            };
            let Some(columns) = self.one(COLUMNS, [id], values)? else { continue };
            let place = self.add_to_block(&text)?;
            let addr = encode_addr(&addr, row.timeline.is_some_and(|tjp_id| tjp_id != row.id));
            bytes += text.len() as u64;
            moved.push((columns, place, addr));
            self.run("DELETE FROM ibgib WHERE id = ?1", params![id])?;
        }
        let count = moved.len() as u64;
        for (mut columns, place, addr) in moved {
            columns.extend([place.block, place.start, place.length].map(Value::from));
            columns.push(addr.map_or(Value::Null, Value::from));
            self.run(AGAIN, params_from_iter(columns))?;
        }
        Ok((count, bytes))
    }
}
