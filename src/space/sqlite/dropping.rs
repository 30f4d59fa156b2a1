//! Dropping what nothing leads to any more, and giving back the room that it took
//! (docs/architecture.md, "The space file").
//!
//! The space stays closed: groups of rows are dropped whole, and only those to which no other row
//! relates. Each transaction is small, and after each the file is one that could be left as it is.

mod room;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::rows::{SqlRows, first};
use super::{DomainRow, SqliteSpace, deps, signed};
use crate::ibgib::Addr;
use crate::space::{Domain, RowId, SpaceError};

/// How many rows are looked at before others get a turn on the connection.
const PAGE: i64 = 8192;
/// How many rows one transaction drops, about: others wait for it.
const STEP: usize = 2048;

const DEPS_AFTER: &str = "SELECT id, deps FROM ibgib WHERE id > ?1 ORDER BY id LIMIT ?2";
const NAMES: &str = "SELECT domain, addr FROM name";
const NAMED: &str = "SELECT id FROM ibgib WHERE domain = ?1 AND key = ?2";
const NEWEST: &str = "SELECT max(id) FROM ibgib";
const HELD: &str = "SELECT timeline, coalesce(length, length(CAST(json AS BLOB))) FROM ibgib \
     WHERE id = ?1 AND domain = ?2";
const DROP: &str = "DELETE FROM ibgib WHERE id = ?1 AND domain = ?2";
const DROP_FRESH: &str = "DELETE FROM fresh WHERE id = ?1 AND domain = ?2";
const DROP_TIMELINE: &str = "DELETE FROM timeline WHERE tjp_id = ?1 AND domain = ?2";
const DROP_LINKS: &str = "DELETE FROM link WHERE src = ?1";
const SUBTRACT: &str = "UPDATE domain SET ibgibs = max(0, ibgibs - ?2), \
     timelines = max(0, timelines - ?3), bytes = max(0, bytes - ?4) WHERE id = ?1";

/// Rows of one domain that are dropped together or not at all: whole timelines, and the stones that
/// belong to them alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Whose they are.
    pub domain: Domain,
    /// Their numbers.
    pub rows: Vec<RowId>,
}

/// What was dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// How many groups.
    pub groups: u64,
    /// How many ibGibs they were.
    pub ibgibs: u64,
    /// How many bytes their texts had.
    pub bytes: u64,
    /// How many groups stayed, since something else leads to them.
    pub kept: u64,
}

impl SqliteSpace {
    /// Whose data the file holds.
    pub fn domains(&self) -> Result<Vec<Domain>, SpaceError> {
        let ask = |connection: &Connection| -> rusqlite::Result<Vec<Domain>> {
            let mut domains = connection.prepare("SELECT tjp FROM domain ORDER BY id")?;
            domains.query_map([], first)?.collect()
        };
        ask(&*self.file.lock()?).map_err(|error| self.file.fail(error))
    }

    /// Drops groups of rows for good, of any domains of the file, in transactions of a few thousand
    /// rows; `go_on` is asked between them.
    ///
    /// A group stays where a row outside of it relates to it, where it relates to another one of
    /// `groups`, where a name leads to it, and where it holds the newest row of the file: numbers are
    /// never used twice. Rows must not hold data: the digest of that is not changed.
    ///
    /// Errors with [`SpaceError::Damaged`] where the relations of a row cannot be read, and as a put
    /// does; what was dropped before stays dropped.
    pub fn drop_groups(
        &self,
        groups: &[Group],
        go_on: &dyn Fn() -> bool,
    ) -> Result<Dropped, SpaceError> {
        let mut dropping = self.begin_dropping(groups)?;
        while go_on() && !self.look_on(&mut dropping)? {}
        let (mut done, mut next) = (Dropped::default(), 0);
        while next < groups.len() && go_on() {
            next = self.drop_step(groups, next, &mut dropping, &mut done)?;
        }
        Ok(done)
    }

    fn begin_dropping(&self, groups: &[Group]) -> Result<Dropping, SpaceError> {
        let connection = self.file.lock()?;
        let mut dropping = Dropping::new(groups);
        let mut found = HashMap::new();
        for (group, place) in groups.iter().zip(&mut dropping.domains) {
            *place = match found.get(group.domain.as_str()) {
                Some(id) => *id,
                None => {
                    let id = DomainRow::new(group.domain.clone()).find(&connection);
                    let id = id.map_err(|error| self.file.fail(error))?;
                    found.insert(group.domain.as_str(), id);
                    id
                }
            };
        }
        Ok(dropping)
    }

    /// Looks at the next rows; whether there are none any more.
    fn look_on(&self, dropping: &mut Dropping) -> Result<bool, SpaceError> {
        let connection = self.file.lock()?;
        dropping.look_on(&self.file.rows(&connection, super::NO_DOMAIN))
    }

    /// Drops groups from one on; returns the first one that it did not come to.
    fn drop_step(
        &self,
        groups: &[Group],
        mut next: usize,
        dropping: &mut Dropping,
        done: &mut Dropped,
    ) -> Result<usize, SpaceError> {
        let _turn = self.file.turn()?;
        let connection = self.file.lock()?;
        let fail = |error| self.file.fail(error);
        let transaction = Transaction::new_unchecked(&connection, TransactionBehavior::Immediate);
        let transaction = transaction.map_err(fail)?;
        let rows = self.file.rows(&transaction, super::NO_DOMAIN);
        // What came since, and nothing comes while this transaction writes.
        while !dropping.look_on(&rows)? {}
        dropping.keep_named(&transaction).map_err(fail)?;
        let (mut step, mut looked_at) = (Dropped::default(), 0);
        while let Some(group) = groups.get(next).filter(|_| looked_at < STEP) {
            looked_at += group.rows.len().max(1);
            match dropping.domain_of(next) {
                Some(domain) => drop_group(&transaction, domain, group, &mut step).map_err(fail)?,
                None => step.kept += 1,
            }
            next += 1;
        }
        drop(rows);
        transaction.commit().map_err(fail)?;
        done.groups += step.groups;
        done.ibgibs += step.ibgibs;
        done.bytes += step.bytes;
        done.kept += step.kept;
        Ok(next)
    }
}

/// Drops a group's rows, and what follows from them.
fn drop_group(
    connection: &Connection,
    domain: i64,
    group: &Group,
    done: &mut Dropped,
) -> rusqlite::Result<()> {
    let (mut ibgibs, mut timelines, mut bytes) = (0, 0, 0);
    for id in &group.rows {
        let mut held = connection.prepare_cached(HELD)?;
        let held = held.query_row(params![id, domain], |row| {
            Ok((row.get::<_, Option<RowId>>(0)?, row.get::<_, i64>(1)?))
        });
        // Another process may have dropped it.
        let Some((timeline, length)) = held.optional()? else { continue };
        connection.prepare_cached(DROP)?.execute(params![id, domain])?;
        connection.prepare_cached(DROP_FRESH)?.execute(params![id, domain])?;
        connection.prepare_cached(DROP_LINKS)?.execute(params![id])?;
        if timeline == Some(*id) {
            let mut drop = connection.prepare_cached(DROP_TIMELINE)?;
            timelines += drop.execute(params![id, domain])?;
        }
        ibgibs += 1;
        bytes = i64::saturating_add(bytes, length.max(0));
    }
    let mut subtract = connection.prepare_cached(SUBTRACT)?;
    subtract.execute(params![domain, ibgibs, signed(timelines), bytes])?;
    done.groups += u64::from(ibgibs > 0);
    done.ibgibs += u64::try_from(ibgibs).unwrap_or_default();
    done.bytes += u64::try_from(bytes).unwrap_or_default();
    Ok(())
}

/// What is known of groups that are to be dropped.
struct Dropping {
    /// The rows of all groups, ascending, each with the place of its group.
    members: Vec<(RowId, usize)>,
    /// The numbers of the groups' domains; none for a group that stays.
    domains: Vec<Option<i64>>,
    kept: Vec<bool>,
    /// The last row that was looked at.
    seen: RowId,
}

impl Dropping {
    fn new(groups: &[Group]) -> Dropping {
        let rows = |(at, group): (usize, &'_ Group)| {
            group.rows.iter().map(move |id| (*id, at)).collect::<Vec<_>>()
        };
        let mut members: Vec<_> = groups.iter().enumerate().flat_map(rows).collect();
        members.sort_unstable();
        let mut kept = vec![false; groups.len()];
        for pair in members.windows(2) {
            if let [(one, of), (other, of_other)] = pair
                && one == other
                && of != of_other
            {
                (kept[*of], kept[*of_other]) = (true, true);
            }
        }
        // What a row relates to has lower numbers.
        let seen = members.first().map_or(RowId::AFTER_ALL, |(id, _)| *id);
        Dropping { members, domains: vec![None; groups.len()], kept, seen }
    }

    /// The number of the domain of a group that may be dropped.
    fn domain_of(&self, group: usize) -> Option<i64> {
        match self.kept.get(group) {
            Some(false) => self.domains.get(group).copied().flatten(),
            _ => None,
        }
    }

    fn group_of(&self, id: RowId) -> Option<usize> {
        let at = self.members.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.members.get(at).map(|(_, group)| *group)
    }

    fn keep(&mut self, group: Option<usize>) {
        if let Some(kept) = group.and_then(|group| self.kept.get_mut(group)) {
            *kept = true;
        }
    }

    /// Looks at what the next rows relate to; whether there are none any more.
    fn look_on(&mut self, rows: &SqlRows<'_>) -> Result<bool, SpaceError> {
        let read = |row: &rusqlite::Row<'_>| {
            let id: RowId = row.get(0)?;
            Ok((id, deps::decode(id, row.get_ref(1)?.as_blob()?)))
        };
        let page: Vec<(RowId, Option<Vec<RowId>>)> =
            rows.all(DEPS_AFTER, (self.seen, PAGE), read)?;
        let is_end = signed(page.len()) < PAGE;
        for (id, deps) in page {
            // A file whose rows are out of order would give the same page for ever.
            if id <= self.seen {
                return Err(rows_damaged(rows, id));
            }
            let damaged = || rows_damaged(rows, id);
            let of = self.group_of(id);
            for dep in deps.ok_or_else(damaged)? {
                let to = self.group_of(dep);
                if to.is_some() && to != of {
                    self.keep(to);
                    self.keep(of);
                }
            }
            self.seen = id;
        }
        Ok(is_end)
    }

    /// Keeps what a name leads to, and what holds the newest row.
    fn keep_named(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut names = connection.prepare_cached(NAMES)?;
        let mut names = names.query([])?;
        while let Some(row) = names.next()? {
            let (domain, addr): (i64, String) = (row.get(0)?, row.get(1)?);
            let Ok(addr) = Addr::parse(&addr) else { continue };
            let mut named = connection.prepare_cached(NAMED)?;
            let named = named.query_row(params![domain, addr.key().0], first).optional()?;
            self.keep(named.and_then(|id| self.group_of(id)));
        }
        let newest: Option<RowId> = connection.query_row(NEWEST, [], first)?;
        self.keep(newest.and_then(|id| self.group_of(id)));
        Ok(())
    }
}

fn rows_damaged(rows: &SqlRows<'_>, id: RowId) -> SpaceError {
    use crate::space::rows::Rows;
    rows.damaged(format!("the relations of ibGib number {id}"))
}
