//! Files that others made: what a file may bring besides rows, and that it brings nothing else.
//!
//! A SQLite file holds statements too: triggers, views, defaults, indexed expressions. One that was
//! made to harm would have them run where its rows are read or written.

use std::path::Path;
use std::sync::OnceLock;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::schema::{MIGRATIONS, fail};
use crate::ibgib::addr::clip;
use crate::space::SpaceError;

/// What SQLite keeps in a file for itself, where somebody ran `ANALYZE`: numbers only.
const STATISTICS: [&str; 2] = ["sqlite_stat1", "sqlite_stat4"];

/// Lets a connection run nothing that a file brings, and look closely at what it reads.
pub(super) fn harden(connection: &Connection) -> rusqlite::Result<()> {
    for (setting, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
    ] {
        connection.set_db_config(setting, on)?;
    }
    connection.execute_batch("PRAGMA cell_size_check = ON")
}

/// Refuses a file of the newest format that holds another schema than a space's: anything more,
/// anything less, or anything else under the same name. Errors with [`SpaceError::Damaged`].
pub(super) fn expect_own_schema(connection: &Connection, path: &Path) -> Result<(), SpaceError> {
    let own = own_schema(path)?;
    let found = parts(connection).map_err(|error| fail(path, error))?;
    let is_statistics = |part: &&Part| STATISTICS.contains(&part.name.as_str());
    let foreign = found.iter().find(|part| !own.contains(part) && !is_statistics(part));
    let detail = match (foreign, own.iter().find(|part| !found.contains(part))) {
        (Some(Part { kind, name, .. }), _) => {
            format!("its {} {:?} is not a space's", clip(kind), clip(name))
        }
        (None, Some(Part { kind, name, .. })) => format!("it has no {kind} {name:?}"),
        (None, None) => return Ok(()),
    };
    Err(SpaceError::Damaged { path: path.to_owned(), detail })
}

/// A table, index, view or trigger.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    kind: String,
    name: String,
    /// The statement that makes it; none for an index that a table brings.
    sql: Option<String>,
}

/// The names of a space's indices, and the statements that make them.
pub(super) fn own_indices(path: &Path) -> Result<Vec<(&'static str, &'static str)>, SpaceError> {
    let indices = own_schema(path)?.iter().filter(|part| part.kind == "index");
    Ok(indices.filter_map(|part| Some((part.name.as_str(), part.sql.as_deref()?))).collect())
}

/// The schema of the newest format.
fn own_schema(path: &Path) -> Result<&'static [Part], SpaceError> {
    static OWN: OnceLock<Vec<Part>> = OnceLock::new();
    if let Some(own) = OWN.get() {
        return Ok(own);
    }
    let make = || -> rusqlite::Result<Vec<Part>> {
        let scratch = Connection::open_in_memory()?;
        MIGRATIONS.iter().try_for_each(|step| scratch.execute_batch(step))?;
        parts(&scratch)
    };
    let own = make().map_err(|error| fail(path, error))?;
    Ok(OWN.get_or_init(|| own))
}

fn parts(connection: &Connection) -> rusqlite::Result<Vec<Part>> {
    let mut ask = connection.prepare("SELECT type, name, sql FROM sqlite_schema")?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Part { kind: row.get(0)?, name: row.get(1)?, sql: row.get(2)? })
    };
    ask.query_map([], read)?.collect()
}
