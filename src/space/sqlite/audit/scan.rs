//! Every ibGib of a file, one after the other: its hash, its relations, its row.

use rusqlite::{OptionalExtension, params};

use super::super::{rows::kind_code, signed};
use super::{Auditor, Damaged, PAGE, Part};
use crate::ibgib::AddrKey;
use crate::space::place::place;
use crate::space::put::{is_related, is_unreferenced, link};
use crate::space::rows::{Row, Rows};
use crate::space::verified::{self, Verified};
use crate::space::{Prepared, RowId, SpaceError, TimelineKind, relations};

const FRAME: &str = "INSERT INTO derived_timeline(tjp_id, domain, kind, tip_id, tip_n, on_line) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(tjp_id) DO UPDATE SET \
     tip_id = CASE WHEN excluded.tip_n > tip_n THEN excluded.tip_id ELSE tip_id END, \
     tip_n = max(tip_n, excluded.tip_n), on_line = on_line + excluded.on_line";

impl Auditor<'_> {
    /// Looks at every row, ascending, so that what a row relates to comes before it.
    pub(super) fn rows(&mut self) -> Result<(), SpaceError> {
        let mut after = RowId::BEFORE_ALL;
        loop {
            let page = "SELECT id, domain FROM ibgib WHERE id > ?1 ORDER BY id LIMIT ?2";
            let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
            let page: Vec<(RowId, i64)> = self.all(page, (after, PAGE), read)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = self.ascending(after, *last)?;
            for (id, domain) in page {
                if !self.domains.contains_key(&domain) {
                    self.add(Part::Rows, domain, format!("ibGib number {id} is of no domain"));
                }
                let looked = self.row(id, domain);
                self.note(Part::Rows, domain, looked)?;
            }
        }
    }

    fn row(&mut self, id: RowId, domain: i64) -> Result<(), SpaceError> {
        let rows = self.of(domain);
        let read = verified::whole(&rows, id);
        let bytes = match &read {
            Ok((Verified { text, .. }, _)) => text.len() as u64,
            Err(_) => self.length(id)?,
        };
        let count = self.counts.entry(domain).or_default();
        count.ibgibs += 1;
        count.bytes += bytes;
        if let Some((verified, prepared)) = self.note(Part::Texts, domain, read)? {
            let Verified { row, addr, .. } = &verified;
            let related = self.related(&rows, row, &prepared);
            let Some(deps) = self.note(Part::Rows, domain, related)? else {
                let deps = held(&rows, id);
                return self.stands(row, domain, Some(verified.kind()), deps);
            };
            let rel8d = |at: u32| deps.get(usize::try_from(at).ok()?).copied();
            let agrees = place(&prepared, id, rel8d).is_ok_and(|expected| {
                let grows = |before: &Row| {
                    ![row.prev, row.orphan].contains(&Some(before.id)) || before.n < row.n
                };
                Row { is_off_mainline: row.is_off_mainline, ..expected } == *row
                    && (row.timeline.is_none() || deps.iter().all(grows))
            });
            if !agrees {
                let detail = format!("{addr}: its row disagrees with its text");
                self.add(Part::Rows, domain, detail);
            }
            return self.stands(row, domain, Some(verified.kind()), deps);
        }
        self.is_damaged(id, domain)?;
        // Its row says where it stands, as long as its text does not.
        let Some(row) = rows.row(id)? else { return Ok(()) };
        self.stands(&row, domain, None, held(&rows, id))
    }

    /// The rows that an ibGib relates to, in the order of its relations; what is not there is noted.
    fn related(
        &mut self,
        rows: &dyn Rows,
        row: &Row,
        prepared: &Prepared,
    ) -> Result<Vec<Row>, SpaceError> {
        let ids = rows.deps(row.id)?.unwrap_or_default();
        let mut found = Vec::with_capacity(prepared.rel8ds.len());
        let mut addrs = None;
        for (at, key) in prepared.rel8ds.iter().enumerate() {
            let held = ids.get(at).map(|id| rows.keyed(*id)).transpose()?.flatten();
            let held = held.filter(|(_, held)| held == key).map(|(row, _)| row);
            if let Some(row) = held
                && !self.damaged.contains_key(key)
            {
                found.push(row);
                continue;
            }
            // What relates to it tells the address of what is damaged or gone.
            let addrs =
                addrs.get_or_insert_with(|| relations::rel8ds(&prepared.text).unwrap_or_default());
            let addr = addrs.get(at).cloned();
            if let Some(damaged) = self.damaged.get_mut(key) {
                damaged.addr = addr.clone();
            }
            let row = if held.is_some() { held } else { rows.find(key)? };
            let Some(row) = row else {
                let gone = addr.as_ref().map_or("something", |addr| addr.as_str());
                let detail = format!("{gone} is gone, and {} relates to it", prepared.addr);
                self.missing.extend(addr);
                return Err(rows.damaged(detail));
            };
            found.push(row);
        }
        if !ids.iter().eq(found.iter().map(|row| &row.id)) {
            let detail = format!("{}: its row relates to other rows than its text", prepared.addr);
            return Err(rows.damaged(detail));
        }
        Ok(found)
    }

    /// Notes an ibGib whose text is damaged.
    fn is_damaged(&mut self, id: RowId, domain: i64) -> Result<(), SpaceError> {
        let raw = "SELECT key, timeline FROM ibgib WHERE id = ?1";
        let raw = self.connection.query_row(raw, [id], |row| {
            let key: [u8; 16] = row.get(0)?;
            let timeline: Option<RowId> = row.get(1)?;
            Ok((key, timeline))
        });
        let (key, timeline) = match raw {
            Ok(raw) => raw,
            Err(error) => {
                self.is_unreadable |=
                    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseCorrupt);
                return Err(self.fail(error));
            }
        };
        let rows = self.of(domain);
        let text = String::from_utf8(rows.bytes(id)?.unwrap_or_default()).unwrap_or_default();
        let addr = verified::claimed_addr(&text).filter(|addr| addr.key().0 == key);
        let addr = addr.or_else(|| rows.kept_addr(id).ok().flatten());
        // A text that is right tells its address: then it is the row that is wrong.
        if Prepared::from_json(&text).is_ok_and(|prepared| *prepared.text == *text) {
            return Ok(());
        }
        let key = AddrKey(key);
        self.damaged.insert(key, Damaged { id, key, addr, timeline });
        Ok(())
    }

    fn length(&self, id: RowId) -> Result<u64, SpaceError> {
        let length = match self.blocks {
            Some(_) => {
                "SELECT coalesce(length, length(CAST(json AS BLOB))) FROM ibgib WHERE id = ?1"
            }
            None => "SELECT length(CAST(json AS BLOB)) FROM ibgib WHERE id = ?1",
        };
        let length = self.connection.query_row(length, [id], |row| row.get::<_, Option<i64>>(0));
        let length = length.optional().map_err(|error| self.fail(error))?;
        Ok(length.flatten().and_then(|length| u64::try_from(length).ok()).unwrap_or(0))
    }

    /// Notes what follows from a row for timelines and indices.
    fn stands(
        &mut self,
        row: &Row,
        domain: i64,
        kind: Option<TimelineKind>,
        deps: impl IntoIterator<Item = Row>,
    ) -> Result<(), SpaceError> {
        if let Some(tjp_id) = row.timeline {
            let kind = kind.filter(|_| tjp_id == row.id).map(kind_code);
            let on_line = i64::from(!row.is_off_mainline);
            let frame = params![tjp_id, domain, kind, row.id, signed(row.n), on_line];
            self.run(FRAME, frame)?;
        }
        if kind.is_some_and(|kind| is_unreferenced(row, kind)) {
            self.run(
                "INSERT OR IGNORE INTO derived_unreferenced VALUES (?1, ?2)",
                (row.id, domain),
            )?;
        }
        for dep in deps {
            if is_related(&dep) {
                self.run("DELETE FROM derived_unreferenced WHERE stone_id = ?1", [dep.id])?;
            }
            if let Some((owner, target)) = link(row, &dep) {
                self.run("INSERT OR IGNORE INTO derived_link VALUES (?1, ?2)", [owner, target])?;
            }
        }
        Ok(())
    }
}

/// The rows that a row says it relates to, as far as they are there.
fn held(rows: &dyn Rows, id: RowId) -> Vec<Row> {
    let deps = rows.deps(id).ok().flatten().unwrap_or_default();
    deps.into_iter().filter_map(|dep| rows.row(dep).ok().flatten()).collect()
}
