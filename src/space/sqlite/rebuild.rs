//! Mending a file: damaged texts get their old content back, and what follows from the texts is made
//! anew (docs/protocol.md, section 8).

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::audit::Damaged;
use super::rows::SqlRows;
use super::{SqliteSpace, guard, signed};
use crate::ibgib::{AddrKey, normal};
use crate::space::rows::Rows;
use crate::space::{Prepared, PutOpts, RowId, SpaceError, Stage, put};

/// Up to how many bytes of text a flipped bit is looked for: each bit takes a hash of the whole.
const MAX_SEARCHED: usize = 8 << 10;
/// The same for a step of an identity, of which there are two at most: one has 16 KiB.
pub(super) const MAX_STEP_SEARCHED: usize = 32 << 10;

/// What all rows follow from the texts.
const EMPTY: &str = "DELETE FROM ibgib; DELETE FROM timeline; DELETE FROM link; DELETE FROM loose;
     DELETE FROM state; DELETE FROM block; DELETE FROM fresh;
     UPDATE domain SET ibgibs = 0, timelines = 0, bytes = 0;";

/// What stands unpacked after a repair, to be packed with what comes.
const TO_PACK: &str = "INSERT OR REPLACE INTO fresh(domain, id, length) \
     SELECT domain, id, ?2 FROM ibgib WHERE id = ?1";
/// Blocks in which no text stands any more.
const DROP_UNUSED: &str = "DELETE FROM block \
     WHERE id NOT IN (SELECT block FROM ibgib WHERE block IS NOT NULL)";

impl SqliteSpace {
    /// Gives damaged ibGibs their texts back, in one transaction; whatever is not the ibGib that is
    /// damaged, as its hash tells, is passed over. Returns how many were given.
    pub fn restore(&self, texts: &[(Damaged, Prepared)]) -> Result<u64, SpaceError> {
        self.change(|transaction, rows| {
            let mut given = 0;
            let give = "UPDATE ibgib SET json = ?3, block = NULL, start = NULL, length = NULL, \
                 addr = NULL WHERE id = ?1 AND key = ?2";
            let mut give = transaction.prepare(give).map_err(|error| rows.fail(error))?;
            for (damaged, prepared) in texts {
                if prepared.key == damaged.key {
                    let key = prepared.key.0;
                    let given_now = give.execute(params![damaged.id, key, &prepared.text]);
                    given += given_now.map_err(|error| rows.fail(error))? as u64;
                    let length = signed(prepared.text.len());
                    rows.run(TO_PACK, params![damaged.id, length])?;
                }
            }
            rows.run(DROP_UNUSED, [])?;
            Ok(given)
        })
    }

    /// The ibGib that a damaged row held, where one bit of its text flipped: no other text of that
    /// length hashes to its address.
    pub fn unflipped(&self, damaged: &Damaged) -> Result<Option<Prepared>, SpaceError> {
        // In a block a flipped bit changes more than that bit of the text.
        let read = "SELECT CAST(json AS BLOB) FROM ibgib WHERE id = ?1";
        let text: Vec<u8> = self
            .file
            .lock()?
            .query_row(read, [damaged.id], |row| row.get(0))
            .map_err(|error| self.file.fail(error))?;
        Ok(unflip(text, Some(&damaged.key), MAX_SEARCHED))
    }

    /// Makes all rows, timelines and indices anew from the texts and from `more`, by the rules of
    /// every put, in one transaction. For a file of one domain.
    ///
    /// Errors, and changes nothing, where a text is damaged or what it relates to is not among them.
    /// What is read is staged in a file in `dir`.
    pub fn rebuild(&self, more: Vec<Prepared>, dir: &Path) -> Result<(), SpaceError> {
        self.change(|transaction, rows| {
            let domains = "SELECT count(*) FROM domain";
            let domains = transaction.query_row(domains, [], |row| row.get::<_, i64>(0));
            if domains.map_err(|error| rows.fail(error))? != 1 {
                return Err(rows.damaged("it holds more than one domain".into()));
            }
            let mut stage = Stage::new(dir)?;
            stage_texts(transaction, rows, &mut stage)?;
            for item in more {
                stage.push(item)?;
            }
            let indices = guard::own_indices(self.path())?;
            let run = |sql: &str| transaction.execute_batch(sql).map_err(|error| rows.fail(error));
            // An index that is damaged must not be followed.
            indices
                .iter()
                .try_for_each(|(name, _)| run(&format!("DROP INDEX IF EXISTS {name}")))?;
            run(EMPTY)?;
            indices.iter().try_for_each(|(_, sql)| run(sql))?;
            let staged = stage.len() as u64;
            let mut items = stage.iter();
            let report = put::put(rows, &mut items, &PutOpts::default())?;
            if report.new == staged {
                Ok(())
            } else {
                Err(rows.damaged("an ibGib is there twice".into()))
            }
        })
    }

    pub(super) fn change<R>(
        &self,
        f: impl FnOnce(&Connection, &mut SqlRows<'_>) -> Result<R, SpaceError>,
    ) -> Result<R, SpaceError> {
        let connection = self.file.lock()?;
        let fail = |error| self.file.fail(error);
        let transaction = Transaction::new_unchecked(&connection, TransactionBehavior::Immediate);
        let transaction = transaction.map_err(fail)?;
        let domain = self.domain.find_or_add(&transaction).map_err(fail)?;
        let mut rows = self.file.rows(&transaction, domain);
        // Dropping the transaction undoes it.
        let result = f(&transaction, &mut rows)?;
        transaction.commit().map_err(fail)?;
        Ok(result)
    }
}

/// Reads every text of the file, in the order of their rows.
fn stage_texts(
    connection: &Connection,
    rows: &SqlRows<'_>,
    stage: &mut Stage,
) -> Result<(), SpaceError> {
    let failed = |error| rows.fail(error);
    // Not by an index, which may be what is damaged.
    let read = "SELECT id FROM ibgib NOT INDEXED ORDER BY id";
    let mut read = connection.prepare(read).map_err(failed)?;
    let mut texts = read.query([]).map_err(failed)?;
    while let Some(row) = texts.next().map_err(failed)? {
        let id: RowId = row.get(0).map_err(failed)?;
        let text = String::from_utf8(rows.bytes(id)?.unwrap_or_default());
        let text = text.map_err(|error| rows.damaged(format!("ibGib number {id}: {error}")))?;
        let damaged = |error| rows.damaged(format!("ibGib number {id}: {error}"));
        stage.push(Prepared::from_json(&text).map_err(damaged)?)?;
    }
    Ok(())
}

/// The ibGib that a text with one flipped bit was, told by the key of its address; where that is not
/// known, by the address that it says it has. None is looked for in more than `most` bytes.
pub(super) fn unflip(mut text: Vec<u8>, key: Option<&AddrKey>, most: usize) -> Option<Prepared> {
    if text.len() > most {
        return None;
    }
    for bit in 0..text.len() * 8 {
        let (at, mask) = (bit / 8, 1 << (bit % 8));
        text[at] ^= mask;
        if let Ok(text) = std::str::from_utf8(&text)
            && normal::read(text).is_some()
            && let Ok(prepared) = Prepared::from_json(text)
            && key.is_none_or(|key| prepared.key == *key)
        {
            return Some(prepared);
        }
        text[at] ^= mask;
    }
    None
}
