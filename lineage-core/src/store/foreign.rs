//! Reading another program's SQLite database. It is never written, and never locked for longer than
//! one query takes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

/// A foreign database could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    /// There is no such file.
    #[error("{path} does not exist", path = path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// It is not a database, or SQLite refuses to read it.
    #[error("{path} cannot be read as an SQLite database: {problem}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        problem: String,
    },
}

/// A value in a row.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "SQLite's own kinds")]
pub enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

impl Cell {
    /// The value as text; none for NULL. A blob is hex.
    pub fn text(&self) -> Option<String> {
        match self {
            Cell::Null => None,
            Cell::Integer(number) => Some(number.to_string()),
            Cell::Real(number) => Some(number.to_string()),
            Cell::Text(text) => Some(text.clone()),
            Cell::Blob(bytes) => Some(hex::encode(bytes)),
        }
    }

    /// The value as a whole number, if it is one.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Cell::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The value as a double, if it is a number.
    pub fn real(&self) -> Option<f64> {
        match self {
            Cell::Integer(number) => Some(*number as f64),
            Cell::Real(number) => Some(*number),
            _ => None,
        }
    }
}

/// A row: its values by the names of their columns.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ForeignRow(BTreeMap<String, Cell>);

impl ForeignRow {
    /// A column's value; NULL when the table has no such column.
    pub fn cell(&self, column: &str) -> &Cell {
        self.0.get(column).unwrap_or(&Cell::Null)
    }

    /// A column's value as text; none for NULL.
    pub fn text(&self, column: &str) -> Option<String> {
        self.cell(column).text()
    }

    /// All columns by name.
    pub fn cells(&self) -> impl Iterator<Item = (&str, &Cell)> {
        self.0.iter().map(|(name, cell)| (name.as_str(), cell))
    }
}

/// Another program's database.
pub struct ForeignDatabase {
    connection: Connection,
    path: PathBuf,
}

impl ForeignDatabase {
    /// Opens the database at `path` for reading.
    pub fn open(path: &Path) -> Result<ForeignDatabase, ForeignError> {
        if !path.is_file() {
            return Err(ForeignError::Missing { path: path.to_owned() });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let unreadable = |error: rusqlite::Error| ForeignError::Unreadable {
            path: path.to_owned(),
            problem: error.to_string(),
        };
        let connection = Connection::open_with_flags(path, flags).map_err(unreadable)?;
        connection.busy_timeout(Duration::from_secs(10)).map_err(unreadable)?;
        let database = ForeignDatabase { connection, path: path.to_owned() };
        database.tables()?;
        Ok(database)
    }

    fn unreadable(&self, error: rusqlite::Error) -> ForeignError {
        ForeignError::Unreadable { path: self.path.clone(), problem: error.to_string() }
    }

    /// The names of its tables.
    pub fn tables(&self) -> Result<Vec<String>, ForeignError> {
        let sql = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name";
        let rows = self.query(sql, &[])?;
        Ok(rows.iter().filter_map(|row| row.text("name")).collect())
    }

    /// How many rows a table has; with a column, how many in which it is not NULL. None when there is
    /// no such table or column.
    pub fn count(&self, table: &str, column: Option<&str>) -> Result<Option<u64>, ForeignError> {
        if !self.tables()?.iter().any(|name| name == table) {
            return Ok(None);
        }
        if let Some(column) = column {
            let sql = "SELECT name FROM pragma_table_info(?1) WHERE name = ?2";
            if self.query(sql, &[table, column])?.is_empty() {
                return Ok(None);
            }
        }
        let counted = column.map_or("*".to_owned(), quoted);
        let sql = format!("SELECT COUNT({counted}) AS n FROM {}", quoted(table));
        let rows = self.query(&sql, &[])?;
        Ok(rows.first().and_then(|row| row.cell("n").integer()).and_then(|n| u64::try_from(n).ok()))
    }

    /// The rows of a table in the order in which they were inserted, all or those with `value` in
    /// `column`; none when there is no such table.
    pub fn rows(
        &self,
        table: &str,
        only: Option<(&str, &str)>,
    ) -> Result<Vec<ForeignRow>, ForeignError> {
        if !self.tables()?.iter().any(|name| name == table) {
            return Ok(Vec::new());
        }
        let table = quoted(table);
        match only {
            None => self.query(&format!("SELECT * FROM {table} ORDER BY rowid"), &[]),
            Some((column, value)) => {
                let column = quoted(column);
                let sql = format!("SELECT * FROM {table} WHERE {column} = ?1 ORDER BY rowid");
                self.query(&sql, &[value])
            }
        }
    }

    fn query(&self, sql: &str, values: &[&str]) -> Result<Vec<ForeignRow>, ForeignError> {
        self.try_query(sql, values).map_err(|error| self.unreadable(error))
    }

    fn try_query(&self, sql: &str, values: &[&str]) -> rusqlite::Result<Vec<ForeignRow>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query(rusqlite::params_from_iter(values))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let mut cells = BTreeMap::new();
            for (index, name) in names.iter().enumerate() {
                cells.insert(name.clone(), cell(row.get_ref(index)?));
            }
            found.push(ForeignRow(cells));
        }
        Ok(found)
    }
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Integer(number),
        ValueRef::Real(number) => Cell::Real(number),
        ValueRef::Text(bytes) => Cell::Text(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => Cell::Blob(bytes.to_vec()),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
