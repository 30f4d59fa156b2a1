//! Reading everything in a file, and holding it against itself (docs/protocol.md, section 8).
//!
//! The texts are what counts: each must hash to its address. Everything else in the file follows
//! from them, and is worked out anew beside it, in temporary tables, so that memory does not grow
//! with the file.

mod identities;
mod indices;
mod scan;
#[cfg(test)]
mod tests;
mod timelines;

use std::collections::HashMap;
use std::fmt::Display;
use std::path::Path;

use rusqlite::Connection;

use super::blocks::{Blocks, Packer};
use super::rows::SqlRows;
use super::{NO_DOMAIN, schema};
use crate::ibgib::{Addr, AddrKey, TjpAddr};
use crate::space::{Domain, rows::Rows};
use crate::space::{RowId, SpaceCount, SpaceError};

/// How many problems of a kind are listed.
const LISTED: usize = 10;
/// How many rows are read at a time.
const PAGE: i64 = 1000;
/// How many characters of what SQLite says are told.
const CLIPPED: usize = 300;

/// What was looked for, in the order in which it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    File,
    Texts,
    Rows,
    Timelines,
    Indices,
    Names,
    Identities,
}

/// What is not known where the rows cannot be read.
const AFTER_FILE: [Part; 6] =
    [Part::Texts, Part::Rows, Part::Timelines, Part::Indices, Part::Names, Part::Identities];

/// What must hold of each part.
const PARTS: [(Part, &str); 7] = [
    (Part::File, "the file holds together (SQLite's own check)"),
    (Part::Texts, "every ibGib hashes to the address it is stored under"),
    (Part::Rows, "every relation is there, and rows agree with texts"),
    (Part::Timelines, "every timeline's tip and line are where they should be"),
    (Part::Indices, "links, unreferenced stones and counts agree with the ibGibs"),
    (Part::Names, "names and pending steps lead to what is here"),
    (Part::Identities, "every identity and session is valid from its genesis"),
];

/// What reading everything in a file came to.
#[derive(Debug, Default)]
pub struct Audit {
    /// One thing after another that must hold, and what is wrong with it.
    pub findings: Vec<Finding>,
    /// The ibGibs whose texts are no longer what they were.
    pub damaged: Vec<Damaged>,
    /// What something relates to and is not in the file.
    pub missing: Vec<Addr>,
    /// The identities that a client's space holds while none is named as its own, though it had one.
    pub unnamed: Vec<TjpAddr>,
    /// Whether SQLite cannot read some of the file, so that nothing is known of it.
    pub is_unreadable: bool,
    /// How much was read.
    pub read: SpaceCount,
}

impl Audit {
    /// Whether everything holds.
    pub fn is_good(&self) -> bool {
        self.findings.iter().all(|finding| finding.count == 0)
    }
}

/// One thing that must hold.
#[derive(Debug)]
pub struct Finding {
    /// What must hold.
    pub what: &'static str,
    /// How much contradicts it.
    pub count: u64,
    /// The first of that, told for people.
    pub first: Vec<String>,
}

/// An ibGib whose text is no longer what it was.
#[derive(Debug, Clone)]
pub struct Damaged {
    /// Its row.
    pub id: RowId,
    /// What its address is looked up by, which proves what is taken for it.
    pub key: AddrKey,
    /// Its address, where something in the file tells it.
    pub addr: Option<Addr>,
    /// The row of its timeline's tjp.
    pub timeline: Option<RowId>,
}

/// Reads everything in a file. Errors where it cannot be read at all, such as one that is busy;
/// damage is no error.
pub(super) fn audit(
    connection: &Connection,
    path: &Path,
    blocks: Option<&Blocks>,
) -> Result<Audit, SpaceError> {
    let fail = |error| schema::fail(path, error);
    let is_readonly = connection.is_readonly(rusqlite::MAIN_DB).map_err(fail)?;
    match audit_with(connection, path, blocks, is_readonly) {
        // No room for temporary tables on the disk.
        Err(SpaceError::Full(_) | SpaceError::Io { .. }) if !is_readonly => {
            audit_with(connection, path, blocks, true)
        }
        done => done,
    }
}

/// The same, with temporary tables in memory where `in_memory`: a file that can only be read has no
/// disk to write to, perhaps.
fn audit_with(
    connection: &Connection,
    path: &Path,
    blocks: Option<&Blocks>,
    in_memory: bool,
) -> Result<Audit, SpaceError> {
    let run = |sql| connection.execute_batch(sql).map_err(|error| schema::fail(path, error));
    let ask = "PRAGMA query_only";
    let query_only: bool = connection
        .query_row(ask, [], |row| row.get(0))
        .map_err(|error| schema::fail(path, error))?;
    // What a connection may not write is the file; the temporary tables are beside it.
    run("PRAGMA query_only = OFF")?;
    run(if in_memory { "PRAGMA temp_store = MEMORY" } else { "PRAGMA temp_store = DEFAULT" })?;
    // Read as it stands at one moment; the temporary tables are gone with the end of it.
    let done = run("BEGIN").and_then(|()| {
        let mut auditor = Auditor::new(connection, path, blocks, in_memory);
        let done = auditor.everything();
        // What failed for want of room may have ended the transaction.
        if !connection.is_autocommit() {
            run("ROLLBACK")?;
        }
        done.map(|()| auditor.into_audit())
    });
    run(if query_only { "PRAGMA query_only = ON" } else { "PRAGMA query_only = OFF" })?;
    done
}

/// An audit under way.
struct Auditor<'a> {
    connection: &'a Connection,
    path: &'a Path,
    blocks: Option<&'a Blocks>,
    in_memory: bool,
    found: HashMap<usize, (u64, Vec<String>)>,
    /// By key, which what relates to them tells the address of.
    damaged: HashMap<AddrKey, Damaged>,
    missing: Vec<Addr>,
    unnamed: Vec<TjpAddr>,
    is_unreadable: bool,
    counts: HashMap<i64, SpaceCount>,
    /// As they stand in the file.
    domains: HashMap<i64, String>,
}

impl<'a> Auditor<'a> {
    fn new(
        connection: &'a Connection,
        path: &'a Path,
        blocks: Option<&'a Blocks>,
        in_memory: bool,
    ) -> Auditor<'a> {
        Auditor {
            connection,
            path,
            blocks,
            in_memory,
            found: HashMap::new(),
            damaged: HashMap::new(),
            missing: Vec::new(),
            unnamed: Vec::new(),
            is_unreadable: false,
            counts: HashMap::new(),
            domains: HashMap::new(),
        }
    }

    fn everything(&mut self) -> Result<(), SpaceError> {
        // First, since SQLite makes no table any more once it found that it cannot read the file.
        let made = self.connection.execute_batch(SCRATCH);
        made.map_err(|error| self.fail(error))?;
        let broken = self.whole_file();
        self.is_unreadable = self.note(Part::File, NO_DOMAIN, broken)?.is_none();
        for (part, look) in [
            (Part::File, Auditor::domains as fn(&mut Self) -> Result<(), SpaceError>),
            (Part::File, Auditor::rows),
            (Part::Timelines, Auditor::timelines),
            (Part::Indices, Auditor::indices),
            (Part::Names, Auditor::names),
            (Part::Identities, Auditor::identities),
        ] {
            // What cannot be read ends a part, not the audit.
            let looked = look(self);
            if self.note(part, NO_DOMAIN, looked)?.is_none() {
                self.is_unreadable = true;
                // Everything else is compared with what the rows tell.
                let without = if part == Part::File { &AFTER_FILE[..] } else { &[part] };
                for part in without {
                    self.add(
                        *part,
                        NO_DOMAIN,
                        "not read: the file cannot be read to its end".into(),
                    );
                }
                if part == Part::File {
                    break;
                }
            }
        }
        Ok(())
    }

    /// SQLite's own checks.
    fn whole_file(&mut self) -> Result<(), SpaceError> {
        for check in ["PRAGMA integrity_check(100)", "PRAGMA foreign_key_check"] {
            let reported: Vec<String> = self.all(check, [], |row| row.get(0))?;
            for line in reported.into_iter().filter(|line| line != "ok") {
                self.add(Part::File, NO_DOMAIN, clipped(&line));
            }
        }
        Ok(())
    }

    fn domains(&mut self) -> Result<(), SpaceError> {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        self.domains = self.all("SELECT id, tjp FROM domain", [], read)?.into_iter().collect();
        Ok(())
    }

    fn of(&self, domain: i64) -> SqlRows<'a> {
        let (connection, path, blocks) = (self.connection, self.path, self.blocks);
        SqlRows { connection, domain, path, blocks, packer: Packer::default() }
    }

    fn fail(&self, error: rusqlite::Error) -> SpaceError {
        self.of(NO_DOMAIN).fail(error)
    }

    fn all<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, SpaceError> {
        self.of(NO_DOMAIN).all(sql, params, read)
    }

    fn run(&self, sql: &str, params: impl rusqlite::Params) -> Result<(), SpaceError> {
        self.of(NO_DOMAIN).run(sql, params)
    }

    /// Where the next page of rows begins. A damaged file may give them in no order, again and again.
    fn ascending<N: PartialOrd + Display>(&self, after: N, last: N) -> Result<N, SpaceError> {
        match last > after {
            true => Ok(last),
            false => Err(self.of(NO_DOMAIN).damaged(format!("number {last} comes after {after}"))),
        }
    }

    fn add(&mut self, part: Part, domain: i64, what: String) {
        let of = self.domains.get(&domain).filter(|tjp| tjp.as_str() != Domain::Client.as_str());
        let (count, first) = self.found.entry(part as usize).or_default();
        *count += 1;
        if first.len() < LISTED {
            first.push(of.map_or(what.clone(), |tjp| format!("{tjp}: {what}")));
        }
    }

    /// Notes damage; passes on other errors.
    fn note<T>(
        &mut self,
        part: Part,
        domain: i64,
        looked: Result<T, SpaceError>,
    ) -> Result<Option<T>, SpaceError> {
        match looked {
            Ok(found) => Ok(Some(found)),
            Err(SpaceError::Damaged { detail, .. }) => {
                self.add(part, domain, detail);
                Ok(None)
            }
            Err(error @ SpaceError::NoSuchId(_)) => {
                self.add(part, domain, error.to_string());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn into_audit(mut self) -> Audit {
        let mut findings = Vec::new();
        for (part, what) in PARTS {
            let (count, first) = self.found.remove(&(part as usize)).unwrap_or_default();
            findings.push(Finding { what, count, first });
        }
        let mut damaged: Vec<Damaged> = self.damaged.into_values().collect();
        damaged.sort_by_key(|damaged| damaged.id);
        self.missing.sort();
        self.missing.dedup();
        let mut read = SpaceCount::default();
        for count in self.counts.values() {
            read.ibgibs += count.ibgibs;
            read.timelines += count.timelines;
            read.bytes += count.bytes;
        }
        Audit {
            findings,
            damaged,
            missing: self.missing,
            unnamed: self.unnamed,
            is_unreadable: self.is_unreadable,
            read,
        }
    }
}

/// What SQLite says, in one line that is not too long.
fn clipped(line: &str) -> String {
    let mut kept: String =
        line.chars().map(|c| if c.is_control() { ' ' } else { c }).take(CLIPPED).collect();
    if kept.len() < line.len() {
        kept.push('…');
    }
    kept
}

/// What follows from the texts.
const SCRATCH: &str = "
CREATE TEMP TABLE derived_timeline(
    tjp_id INTEGER PRIMARY KEY, domain INTEGER NOT NULL, kind INTEGER, tip_id INTEGER NOT NULL,
    tip_n INTEGER NOT NULL, on_line INTEGER NOT NULL);
CREATE TEMP TABLE derived_link(src INTEGER, dst INTEGER, PRIMARY KEY(src, dst)) WITHOUT ROWID;
CREATE TEMP TABLE derived_unreferenced(stone_id INTEGER PRIMARY KEY, domain INTEGER NOT NULL);
";
