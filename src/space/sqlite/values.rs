//! Types of this crate as values of SQLite.

use rusqlite::ToSql;
use rusqlite::types::FromSqlError;
use rusqlite::types::{FromSql, FromSqlResult, ToSqlOutput, ValueRef};

use crate::ibgib::TjpAddr;
use crate::space::{Domain, RowId};

impl ToSql for RowId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for RowId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<RowId> {
        i64::column_result(value).map(RowId)
    }
}

impl ToSql for Domain {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for Domain {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Domain> {
        match value.as_str()? {
            "" => Ok(Domain::Client),
            genesis => TjpAddr::parse(genesis).map(Domain::Identity).map_err(FromSqlError::other),
        }
    }
}
