//! One domain's rows by SQL.

use std::path::Path;

use rusqlite::types::FromSql;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, params};

use crate::ibgib::{Addr, AddrKey, TjpAddr};
use crate::space::pending::{PendingRow, Purpose};
use crate::space::rows::{NewRow, Outline, Row, Rows, RowsMut, Stored, TimelineRow};
use crate::space::{DomainState, RowId, SpaceCount, SpaceError, StateDigest, TimelineKind};

use super::blocks::{Blocks, Packer, encode_addr};
use super::{deps, schema, signed, unsigned};

pub(super) const DNA: i64 = 1;
const LEAF: i64 = 2;
const KEYSTONE: i64 = 4;

/// The index alone is asked: the row is read by its number, so that one can be compared with the
/// other. A join would do both, and SQLite would prepare it anew for each key.
const FIND: &str = "SELECT id FROM ibgib WHERE domain = ?1 AND key = ?2";
const ROW: &str = "SELECT id, timeline, n, prev, orphan, aside, flags, key FROM ibgib \
     WHERE id = ?2 AND domain = ?1";
const DEPS: &str = "SELECT deps FROM ibgib WHERE id = ?2 AND domain = ?1";
const NEWEST: &str = "SELECT max(id) FROM ibgib";
const TIMELINE: &str = "SELECT tjp_id, kind, tip_id, tip_n FROM timeline \
     WHERE tjp_id = ?2 AND domain = ?1";
const TIMELINES: &str = "SELECT tjp_id, kind, tip_id, tip_n FROM timeline \
     WHERE domain = ?1 AND kind = ?2 AND tjp_id > ?3 ORDER BY tjp_id LIMIT ?4";
const UNREFERENCED: &str = "SELECT stone_id FROM loose \
     WHERE domain = ?1 AND stone_id > ?2 ORDER BY stone_id LIMIT ?3";
const LINKS: &str = "SELECT dst FROM link WHERE src = ?1";
const LINE_AT: &str = "SELECT id FROM ibgib \
     WHERE timeline = ?1 AND aside = 0 AND n <= ?2 ORDER BY n DESC LIMIT 1";
const NAME: &str = "SELECT addr FROM name WHERE domain = ?1 AND name = ?2";
const PENDING: &str = "SELECT frame, evolved, session, shared FROM pending \
     WHERE domain = ?1 AND identity = ?2 AND purpose = ?3";
const COUNT: &str = "SELECT ibgibs, timelines, bytes FROM domain WHERE id = ?1";

const STATE: &str = "SELECT digest, timelines FROM state WHERE domain = ?1";

const NEXT_ID: &str = "SELECT coalesce(max(id), 0) + 1 FROM ibgib";
const INSERT: &str = "INSERT INTO \
     ibgib(id, domain, key, timeline, n, prev, orphan, aside, flags, deps, json, \
     block, start, length, addr) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
const SET_TIMELINE: &str = "INSERT INTO timeline(tjp_id, domain, kind, tip_id, tip_n) \
     VALUES (?1, ?2, ?3, ?4, ?5) \
     ON CONFLICT(tjp_id) DO UPDATE SET tip_id = excluded.tip_id, tip_n = excluded.tip_n";
const ADD_LINK: &str = "INSERT OR IGNORE INTO link(src, dst) VALUES (?1, ?2)";
const ADD_UNREFERENCED: &str = "INSERT OR IGNORE INTO loose(stone_id, domain) VALUES (?2, ?1)";
const REMOVE_UNREFERENCED: &str = "DELETE FROM loose WHERE stone_id = ?2 AND domain = ?1";
const CLEAR_MAINLINE: &str =
    "UPDATE ibgib SET aside = 1 WHERE timeline = ?1 AND aside = 0 AND n > ?2";
const SET_ON_MAINLINE: &str = "UPDATE ibgib SET aside = 0 WHERE id = ?2 AND domain = ?1";
const SET_NAME: &str = "INSERT INTO name(domain, name, addr) VALUES (?1, ?2, ?3) \
     ON CONFLICT(domain, name) DO UPDATE SET addr = excluded.addr";
const SET_PENDING: &str = "INSERT OR REPLACE INTO \
     pending(domain, identity, purpose, frame, evolved, session, shared) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const ADD_COUNT: &str = "UPDATE domain SET ibgibs = ibgibs + ?2, timelines = timelines + ?3, \
     bytes = bytes + ?4 WHERE id = ?1";
const SET_STATE: &str = "INSERT INTO state(domain, digest, timelines) VALUES (?1, ?2, ?3) \
     ON CONFLICT(domain) DO UPDATE SET digest = excluded.digest, timelines = excluded.timelines";

/// The rows of a domain, read or inside a transaction.
pub(super) struct SqlRows<'a> {
    pub(super) connection: &'a Connection,
    pub(super) domain: i64,
    pub(super) path: &'a Path,
    /// None where the file's format has none.
    pub(super) blocks: Option<&'a Blocks>,
    /// Fills blocks, inside a transaction.
    pub(super) packer: Packer,
}

impl SqlRows<'_> {
    pub(super) fn fail(&self, error: rusqlite::Error) -> SpaceError {
        match error {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..) => self.damaged(error.to_string()),
            error => schema::fail(self.path, error),
        }
    }

    fn statement(&self, sql: &str) -> Result<CachedStatement<'_>, SpaceError> {
        self.connection.prepare_cached(sql).map_err(|error| self.fail(error))
    }

    pub(super) fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, SpaceError> {
        let found = self.statement(sql)?.query_row(params, read).optional();
        found.map_err(|error| self.fail(error))
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, SpaceError> {
        let mut statement = self.statement(sql)?;
        let found = statement.query_map(params, read).and_then(Iterator::collect);
        found.map_err(|error| self.fail(error))
    }

    pub(super) fn run(&self, sql: &str, params: impl Params) -> Result<(), SpaceError> {
        self.changed(sql, params).map(drop)
    }

    /// Runs a statement; how many rows it changed.
    fn changed(&self, sql: &str, params: impl Params) -> Result<usize, SpaceError> {
        self.statement(sql)?.execute(params).map_err(|error| self.fail(error))
    }
}

impl Rows for SqlRows<'_> {
    fn find(&self, key: &AddrKey) -> Result<Option<Row>, SpaceError> {
        let found: Option<RowId> = self.one(FIND, params![self.domain, key.0], first)?;
        let Some(id) = found else { return Ok(None) };
        match self.keyed(id)? {
            Some((row, held)) if held == *key => Ok(Some(row)),
            Some(_) => Err(self.damaged(format!("ibGib number {id} is found under another's key"))),
            None => Err(self.damaged(format!("ibGib number {id} is gone"))),
        }
    }

    fn keyed(&self, id: RowId) -> Result<Option<(Row, AddrKey)>, SpaceError> {
        self.one(ROW, (self.domain, id), read_keyed)
    }

    fn deps(&self, id: RowId) -> Result<Option<Vec<RowId>>, SpaceError> {
        let read = |row: &rusqlite::Row<'_>| Ok(deps::decode(id, row.get_ref(0)?.as_blob()?));
        match self.one(DEPS, (self.domain, id), read)? {
            Some(None) => Err(self.damaged(format!("the relations of ibGib number {id}"))),
            found => Ok(found.flatten()),
        }
    }

    fn stored(&self, id: RowId) -> Result<Option<Stored>, SpaceError> {
        self.stored_text(id)
    }

    fn kept_addr(&self, id: RowId) -> Result<Option<Addr>, SpaceError> {
        self.addr_beside(id)
    }

    fn outlines(&self, oldest: RowId, newest: RowId) -> Result<Vec<Outline>, SpaceError> {
        self.outlines_between(oldest, newest)
    }

    fn newest(&self) -> Result<Option<RowId>, SpaceError> {
        Ok(self.one(NEWEST, [], first)?.flatten())
    }

    fn timeline(&self, tjp_id: RowId) -> Result<Option<TimelineRow>, SpaceError> {
        self.one(TIMELINE, (self.domain, tjp_id), read_timeline)
    }

    fn timelines(
        &self,
        kind: TimelineKind,
        after: RowId,
        limit: usize,
    ) -> Result<Vec<TimelineRow>, SpaceError> {
        let params = (self.domain, kind_code(kind), after, signed(limit));
        self.all(TIMELINES, params, read_timeline)
    }

    fn unreferenced(&self, after: RowId, limit: usize) -> Result<Vec<RowId>, SpaceError> {
        self.all(UNREFERENCED, (self.domain, after, signed(limit)), first)
    }

    fn links(&self, owner: RowId) -> Result<Vec<RowId>, SpaceError> {
        self.all(LINKS, [owner], first)
    }

    fn mainline_at(&self, tjp_id: RowId, n: u64) -> Result<Option<RowId>, SpaceError> {
        self.one(LINE_AT, (tjp_id, signed(n)), first)
    }

    fn name(&self, name: &str) -> Result<Option<TjpAddr>, SpaceError> {
        let text: Option<String> = self.one(NAME, params![self.domain, name], first)?;
        let parse = |text: String| {
            TjpAddr::parse(&text).map_err(|error| self.damaged(format!("the name {name}: {error}")))
        };
        text.map(parse).transpose()
    }

    fn pending(
        &self,
        identity: &TjpAddr,
        purpose: Purpose,
    ) -> Result<Option<PendingRow>, SpaceError> {
        let key = params![self.domain, identity.as_str(), purpose.name()];
        self.one(PENDING, key, |row| read_pending(row, 0))
    }

    fn count(&self) -> Result<SpaceCount, SpaceError> {
        let read = |row: &rusqlite::Row<'_>| {
            Ok(SpaceCount {
                ibgibs: unsigned(row, 0)?,
                timelines: unsigned(row, 1)?,
                bytes: unsigned(row, 2)?,
            })
        };
        Ok(self.one(COUNT, [self.domain], read)?.unwrap_or_default())
    }

    fn state(&self) -> Result<Option<DomainState>, SpaceError> {
        let read = |row: &rusqlite::Row<'_>| {
            let digest = StateDigest::from_bytes(row.get(0)?);
            Ok(DomainState { digest, timelines: unsigned(row, 1)? })
        };
        match self.one(STATE, [self.domain], read)? {
            // Of nothing it is known, whoever made the file.
            None if self.count()?.ibgibs == 0 => Ok(Some(DomainState::default())),
            kept => Ok(kept),
        }
    }

    fn file_bytes(&self) -> Result<u64, SpaceError> {
        // Pages that became free are taken before the file grows.
        let ask = |sql| self.one(sql, [], |row| unsigned(row, 0)).map(Option::unwrap_or_default);
        let pages = ask("PRAGMA page_count")?.saturating_sub(ask("PRAGMA freelist_count")?);
        Ok(pages.saturating_mul(ask("PRAGMA page_size")?))
    }

    fn damaged(&self, detail: String) -> SpaceError {
        SpaceError::Damaged { path: self.path.to_owned(), detail }
    }
}

impl RowsMut for SqlRows<'_> {
    fn next_id(&self) -> Result<RowId, SpaceError> {
        Ok(self.one(NEXT_ID, [], first)?.unwrap_or(RowId::FIRST))
    }

    fn insert(&mut self, new: &NewRow<'_>) -> Result<(), SpaceError> {
        let Row { id, timeline, n, prev, orphan, is_off_mainline, is_dna, is_leaf, is_keystone } =
            new.row;
        let flag = |set: bool, flag: i64| if set { flag } else { 0 };
        let flags = flag(is_dna, DNA) | flag(is_leaf, LEAF) | flag(is_keystone, KEYSTONE);
        let (key, deps) = (&new.key.0, deps::encode(id, new.deps));
        let is_frame = timeline.is_some_and(|tjp_id| tjp_id != id);
        let (place, addr) = match self.packer.is_packing() {
            true => (Some(self.add_to_block(new.text)?), encode_addr(new.addr, is_frame)),
            false => (None, None),
        };
        let row = params![
            id,
            self.domain,
            key,
            timeline,
            signed(n),
            prev,
            orphan,
            is_off_mainline,
            flags,
            deps,
            if place.is_some() { "" } else { new.text },
            place.map(|place| place.block),
            place.map(|place| place.start),
            place.map(|place| place.length),
            addr
        ];
        self.run(INSERT, row)?;
        match place {
            Some(_) => Ok(()),
            None => self.stored_unpacked(id, new.text.len()),
        }
    }

    fn set_timeline(&mut self, timeline: &TimelineRow) -> Result<(), SpaceError> {
        let TimelineRow { tjp_id, kind, tip_id, tip_n } = *timeline;
        self.run(SET_TIMELINE, (tjp_id, self.domain, kind_code(kind), tip_id, signed(tip_n)))
    }

    fn add_link(&mut self, owner: RowId, target: RowId) -> Result<(), SpaceError> {
        self.run(ADD_LINK, [owner, target])
    }

    fn add_unreferenced(&mut self, stone: RowId) -> Result<(), SpaceError> {
        self.run(ADD_UNREFERENCED, (self.domain, stone))
    }

    fn remove_unreferenced(&mut self, stone: RowId) -> Result<bool, SpaceError> {
        Ok(self.changed(REMOVE_UNREFERENCED, (self.domain, stone))? > 0)
    }

    fn clear_mainline(&mut self, tjp_id: RowId, n: u64) -> Result<(), SpaceError> {
        self.run(CLEAR_MAINLINE, (tjp_id, signed(n)))
    }

    fn set_on_mainline(&mut self, id: RowId) -> Result<(), SpaceError> {
        self.run(SET_ON_MAINLINE, (self.domain, id))
    }

    fn set_name(&mut self, name: &str, tjp: &TjpAddr) -> Result<(), SpaceError> {
        self.run(SET_NAME, params![self.domain, name, tjp.as_str()])
    }

    fn set_pending(
        &mut self,
        identity: &TjpAddr,
        purpose: Purpose,
        row: &PendingRow,
    ) -> Result<(), SpaceError> {
        let PendingRow { on, evolved, session, is_shared } = row;
        let (identity, on, purpose) = (identity.as_str(), &**on, purpose.name());
        let row = params![self.domain, identity, purpose, on, evolved, session, is_shared];
        self.run(SET_PENDING, row)
    }

    fn flush(&mut self) -> Result<(), SpaceError> {
        self.packer.flush(self.connection).map_err(|error| schema::fail(self.path, error))
    }

    fn add_count(&mut self, more: &SpaceCount) -> Result<(), SpaceError> {
        let SpaceCount { ibgibs, timelines, bytes } = *more;
        self.run(ADD_COUNT, [self.domain, signed(ibgibs), signed(timelines), signed(bytes)])
    }

    fn set_state(&mut self, state: &DomainState) -> Result<(), SpaceError> {
        let params = params![self.domain, state.digest.bytes(), signed(state.timelines)];
        self.run(SET_STATE, params)
    }
}

pub(super) fn first<T: FromSql>(row: &rusqlite::Row<'_>) -> rusqlite::Result<T> {
    row.get(0)
}

/// A pending step, however damaged: bytes that are not text are no step with a right hash.
pub(super) fn read_pending(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<PendingRow> {
    let bytes = |at: usize| -> rusqlite::Result<Option<Vec<u8>>> {
        Ok(row.get_ref(column + at)?.as_bytes_or_null().ok().flatten().map(<[u8]>::to_vec))
    };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned().into_boxed_str();
    Ok(PendingRow {
        on: text(bytes(0)?.unwrap_or_default()),
        evolved: text(bytes(1)?.unwrap_or_default()),
        session: bytes(2)?.map(text),
        // Where it is not known, another process may have taken it up.
        is_shared: !matches!(row.get_ref(column + 3)?.as_i64(), Ok(0)),
    })
}

/// A row and its key. What it comes from has smaller numbers, so that no walk along it goes round.
pub(super) fn read_keyed(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Row, AddrKey)> {
    let id: RowId = row.get(0)?;
    let earlier = |column: usize, is_earlier: fn(&RowId, &RowId) -> bool| {
        let held: Option<RowId> = row.get(column)?;
        match held {
            Some(held) if !is_earlier(&held, &id) => {
                Err(rusqlite::Error::IntegralValueOutOfRange(column, held.0))
            }
            held => Ok(held),
        }
    };
    let flags: i64 = row.get(6)?;
    let held = Row {
        id,
        timeline: earlier(1, RowId::le)?,
        n: unsigned(row, 2)?,
        prev: earlier(3, RowId::lt)?,
        orphan: earlier(4, RowId::lt)?,
        is_off_mainline: row.get(5)?,
        is_dna: flags & DNA != 0,
        is_leaf: flags & LEAF != 0,
        is_keystone: flags & KEYSTONE != 0,
    };
    Ok((held, AddrKey(row.get(7)?)))
}

fn read_timeline(row: &rusqlite::Row<'_>) -> rusqlite::Result<TimelineRow> {
    let kind = match row.get(1)? {
        1 => TimelineKind::Keystone,
        2 => TimelineKind::Saga,
        0 => TimelineKind::Data,
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(1, other)),
    };
    Ok(TimelineRow { tjp_id: row.get(0)?, kind, tip_id: row.get(2)?, tip_n: unsigned(row, 3)? })
}

/// How a kind stands in the file.
pub(super) fn kind_code(kind: TimelineKind) -> i64 {
    match kind {
        TimelineKind::Data => 0,
        TimelineKind::Keystone => 1,
        TimelineKind::Saga => 2,
    }
}
