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
use rusqlite::{Connection, OpenFlags, Row};

use super::error::StoreError;
use super::unlocked::{Unlocked, uri};
use crate::layout::Layout;

/// Answers questions about a registry from one consistent snapshot.
pub struct Reader<'a> {
    connection: &'a Connection,
    layout: &'a Layout,
    id: &'a str,
    unlocked: Option<&'a Unlocked>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(connection: &'a Connection, layout: &'a Layout, id: &'a str) -> Reader<'a> {
        Reader { connection, layout, id, unlocked: None }
    }

    /// The same of a database that is read without locks, if it is.
    pub(super) fn without_locks(self, unlocked: Option<&'a Unlocked>) -> Reader<'a> {
        Reader { unlocked, ..self }
    }

    /// Where the registry lies.
    pub fn layout(&self) -> &'a Layout {
        self.layout
    }

    /// The registry's UUID.
    pub fn id(&self) -> &'a str {
        self.id
    }

    /// To be asked before long work on what was read: whether that is what was committed last. If it
    /// is not, the error leads [`Registry::read`](super::Registry::read) to read again; if it is,
    /// only what is read from here on is looked at once more. With SQLite's locks it always is.
    pub(crate) fn confirm(&self) -> Result<(), StoreError> {
        match self.unlocked {
            Some(unlocked) if !unlocked.is_sound() => {
                Err(StoreError::ChangedWhileRead { path: self.layout.database() })
            }
            _ => Ok(()),
        }
    }

    /// Runs `read` on a snapshot that is newer than this one.
    pub(crate) fn read_again<T, E: From<StoreError>>(
        &self,
        read: impl FnOnce(&Reader<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let path = self.layout.database();
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(self.live_uri(), flags)
            .map_err(|error| StoreError::sqlite(error, &path))?;
        read(&Reader::new(&connection, self.layout, self.id).without_locks(self.unlocked))
    }

    /// The database's URI for another connection that reads it.
    pub(super) fn live_uri(&self) -> String {
        self.touch();
        match self.unlocked {
            Some(unlocked) => unlocked.uri(),
            None => uri(&self.layout.database(), "mode=ro"),
        }
    }

    fn touch(&self) {
        if let Some(unlocked) = self.unlocked {
            unlocked.touch();
        }
    }

    /// All rows of a query, made by `make`.
    fn rows<T>(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        make: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        self.touch();
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
