//! Reading the registry. Each family of tables has a file; the SQL stands beside its row type.

mod log;
mod origin;
mod owed;
mod pointers;
mod search;
mod trainings;
mod versions;

pub use log::{PersonRow, StoredEntry};
pub use origin::{DatasetColumn, UseRow, VersionColumn};
pub use owed::{OwedFile, OwedKind};
pub use pointers::{HistoryRow, Holding, PointerRow};
pub use trainings::{TrainingFilter, TrainingRow, TrainingState};
pub use versions::{DatasetRow, LogFilter, SessionRow, VersionRow};

pub(super) use log::registry_id;

use std::str::FromStr;

use rusqlite::types::{FromSql, Type};
use rusqlite::{Connection, Row};

use super::error::StoreError;
use crate::layout::Layout;

/// Answers questions about a registry from one consistent snapshot.
pub struct Reader<'a> {
    connection: &'a Connection,
    layout: &'a Layout,
    id: &'a str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(connection: &'a Connection, layout: &'a Layout, id: &'a str) -> Reader<'a> {
        Reader { connection, layout, id }
    }

    /// Where the registry lies.
    pub fn layout(&self) -> &'a Layout {
        self.layout
    }

    /// The registry's UUID.
    pub fn id(&self) -> &'a str {
        self.id
    }

    /// All rows of a query, made by `make`.
    fn rows<T>(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        make: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(values, make)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The first row of a query, if there is one.
    fn first<T>(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        make: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.rows(sql, values, make)?.into_iter().next())
    }
}

/// An unsigned number as SQLite holds it. Numbers beyond 2^63 are refused long before this.
pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    optional_unsigned(row, column)?.ok_or_else(|| unreadable(column, Type::Null))
}

fn optional_unsigned(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<u64>> {
    let value: Option<i64> = row.get(column)?;
    value.map(|v| u64::try_from(v).map_err(|_| unreadable(column, Type::Integer))).transpose()
}

fn parsed<T: FromStr>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    text.parse().map_err(|_| unreadable(column, Type::Text))
}

fn optional_parsed<T: FromStr>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| text.parse().map_err(|_| unreadable(column, Type::Text))).transpose()
}

fn plain<T: FromSql>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    row.get(column)
}

/// A row that was edited into something we never write.
fn unreadable(column: &str, kind: Type) -> rusqlite::Error {
    let reason = format!("the column {column} holds a value that lineage does not write");
    rusqlite::Error::FromSqlConversionFailure(0, kind, reason.into())
}
