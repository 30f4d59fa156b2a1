//! Reading a row's text, and its address, wherever they stand.

use super::super::rows::{SqlRows, read_keyed};
use super::{Place, decode_addr};
use crate::ibgib::Addr;
use crate::space::rows::{Rows, Stored};
use crate::space::verified::claimed_addr;
use crate::space::{RowId, SpaceError};

const STORED: &str = "SELECT id, timeline, n, prev, orphan, aside, flags, key, json FROM ibgib \
     WHERE id = ?2 AND domain = ?1";
const STORED_IN_BLOCKS: &str = "SELECT id, timeline, n, prev, orphan, aside, flags, key, json, \
     block, start, length FROM ibgib WHERE id = ?2 AND domain = ?1";
const BYTES: &str = "SELECT CAST(json AS BLOB), block, start, length FROM ibgib WHERE id = ?1";
const BYTES_UNPACKED: &str = "SELECT CAST(json AS BLOB) FROM ibgib WHERE id = ?1";

impl SqlRows<'_> {
    /// A row and its text; nothing of it is hashed.
    pub(in crate::space::sqlite) fn stored_text(
        &self,
        id: RowId,
    ) -> Result<Option<Stored>, SpaceError> {
        let mut tried = None;
        loop {
            let found = self.row_and_place(id)?;
            let Some((stored, Some(place))) = found else {
                return Ok(found.map(|(stored, _)| stored));
            };
            let text = self.in_block(&place)?.and_then(|text| String::from_utf8(text).ok());
            if let Some(text) = text {
                return Ok(Some(Stored { text: text.into(), ..stored }));
            }
            if tried == Some(place) {
                let addr = self.kept_addr(id)?.map(|addr| addr.to_string());
                let name = addr.unwrap_or_else(|| format!("ibGib number {id}"));
                let block = place.block;
                return Err(self
                    .damaged(format!("{name}: block {block}, which holds its text, is damaged")));
            }
            // It may have been moved since its row was read.
            tried = Some(place);
        }
    }

    /// A row, and where its text stands, where that is a block.
    fn row_and_place(&self, id: RowId) -> Result<Option<(Stored, Option<Place>)>, SpaceError> {
        let sql = if self.blocks.is_some() { STORED_IN_BLOCKS } else { STORED };
        self.one(sql, (self.domain, id), |row| {
            let (held, key) = read_keyed(row)?;
            let place = if self.blocks.is_some() { read_place(row, 9)? } else { None };
            Ok((Stored { row: held, key, text: row.get_ref(8)?.as_str()?.into() }, place))
        })
    }

    /// The address that is kept beside a text in a block, where it is that of the row's key.
    pub(in crate::space::sqlite) fn addr_beside(
        &self,
        id: RowId,
    ) -> Result<Option<Addr>, SpaceError> {
        if self.blocks.is_none() {
            return Ok(None);
        }
        let kept = "SELECT timeline, key, addr FROM ibgib WHERE id = ?2 AND domain = ?1";
        let kept = self.one(kept, (self.domain, id), |row| {
            let (timeline, key): (Option<RowId>, [u8; 16]) = (row.get(0)?, row.get(1)?);
            Ok((timeline, key, row.get::<_, Option<Vec<u8>>>(2)?))
        })?;
        let Some((timeline, key, Some(bytes))) = kept else { return Ok(None) };
        let tjp = match timeline.filter(|tjp_id| *tjp_id != id) {
            Some(tjp_id) => self.tjp_gib(tjp_id)?,
            None => None,
        };
        Ok(decode_addr(&bytes, tjp.as_deref()).filter(|addr| addr.key().0 == key))
    }

    /// A row's text as it stands in the file, or as much as can be unpacked; nothing of it is
    /// hashed. None where there is no such row.
    pub(in crate::space::sqlite) fn bytes(&self, id: RowId) -> Result<Option<Vec<u8>>, SpaceError> {
        let sql = if self.blocks.is_some() { BYTES } else { BYTES_UNPACKED };
        let found = self.one(sql, [id], |row| {
            let place = if self.blocks.is_some() { read_place(row, 1)? } else { None };
            Ok((row.get::<_, Option<Vec<u8>>>(0)?.unwrap_or_default(), place))
        })?;
        match found {
            Some((_, Some(place))) => Ok(Some(self.in_block(&place)?.unwrap_or_default())),
            found => Ok(found.map(|(text, _)| text)),
        }
    }

    /// The text at a place in a block; none where it cannot be unpacked.
    fn in_block(&self, place: &Place) -> Result<Option<Vec<u8>>, SpaceError> {
        let Some(blocks) = self.blocks else { return Ok(None) };
        if let Some(text) = self.packer.text(place) {
            return Ok(Some(text));
        }
        let keeps = !self.packer.is_own(place.block);
        let text = blocks.text(self.connection, self.domain, place, keeps);
        text.map_err(|error| self.fail(error))
    }

    /// The gib of a timeline's tjp, as its row or its text says.
    fn tjp_gib(&self, tjp_id: RowId) -> Result<Option<String>, SpaceError> {
        let read = "SELECT addr, json FROM ibgib WHERE id = ?2 AND domain = ?1 AND timeline = id";
        let found = self.one(read, (self.domain, tjp_id), |row| {
            let kept: Option<Vec<u8>> = row.get(0)?;
            let addr = match kept {
                Some(bytes) => decode_addr(&bytes, None),
                None => claimed_addr(row.get_ref(1)?.as_str()?),
            };
            Ok(addr.map(|addr| addr.gib().to_owned()))
        })?;
        Ok(found.flatten())
    }
}

/// Where a row's text stands, whose `block`, `start` and `length` begin at a column; none where it
/// stands in the row.
fn read_place(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Option<Place>> {
    let Some(block) = row.get(column)? else { return Ok(None) };
    let (start, length): (Option<i64>, Option<i64>) = (row.get(column + 1)?, row.get(column + 2)?);
    // No block has a text at a place below its beginning.
    Ok(Some(Place { block, start: start.unwrap_or(-1), length: length.unwrap_or(-1) }))
}
