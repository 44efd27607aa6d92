//! Migrations of the log tables, and the schema of the tables that are made from the log.

use rusqlite::Connection;

use super::error::StoreError;

/// Marks the file as ours (SQLite's application_id): the letters LNGE.
pub(super) const APPLICATION_ID: i64 = 0x4C4E_4745;

/// The log tables' migrations, oldest first; position + 1 is the number that `user_version` holds.
/// A released migration never changes.
pub(super) const MIGRATIONS: &[&str] = &[include_str!("../../schema/migrations/0001_log.sql")];

/// The tables made from the log.
pub(super) const PROJECTIONS: &str = include_str!("../../schema/projections.sql");

/// How many migrations this program knows.
pub const LOG_SCHEMA: i64 = MIGRATIONS.len() as i64;

/// The number of the projections' present shape; raised with every change to it.
pub const PROJECTION_SCHEMA: i64 = 8;

/// Tables that are not made from the log.
const LOG_TABLES: [&str; 3] = ["event", "person_opening", "owed_file"];

/// The schema numbers found in a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) application: i64,
    pub(super) log: i64,
    pub(super) projections: i64,
}

pub(super) fn numbers(connection: &Connection) -> rusqlite::Result<Numbers> {
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get(0));
    let projections =
        match connection.query_row("SELECT number FROM projection_schema", [], |row| row.get(0)) {
            Ok(number) => number,
            // The table is missing in a database that was never projected, or whose upgrade is due.
            Err(rusqlite::Error::SqliteFailure(_, Some(text)))
                if text.contains("no such table") =>
            {
                0
            }
            Err(rusqlite::Error::QueryReturnedNoRows) => 0,
            Err(error) => return Err(error),
        };
    Ok(Numbers {
        application: pragma("application_id")?,
        log: pragma("user_version")?,
        projections,
    })
}

/// Runs the migrations that are missing. Called inside a transaction.
pub(super) fn migrate(connection: &Connection, from: i64) -> rusqlite::Result<()> {
    for migration in MIGRATIONS.iter().skip(usize::try_from(from).unwrap_or(0)) {
        connection.execute_batch(migration)?;
    }
    connection.pragma_update(None, "user_version", LOG_SCHEMA)
}

/// Makes the empty tables of the projections. Called inside a transaction.
pub(super) fn create_projections(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(PROJECTIONS)?;
    connection
        .execute("INSERT INTO projection_schema (number) VALUES (?1)", [PROJECTION_SCHEMA])
        .map(|_| ())
}

/// Drops every table that is made from the log, of whatever shape.
pub(super) fn drop_projections(connection: &Connection) -> Result<(), StoreError> {
    Ok(keep_only(connection, &LOG_TABLES)?)
}

/// Drops every table but these.
pub(super) fn keep_only(connection: &Connection, tables: &[&str]) -> rusqlite::Result<()> {
    let select =
        "SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let mut statement = connection.prepare(select)?;
    let names: Vec<String> =
        statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for name in names.iter().filter(|name| !tables.contains(&name.as_str())) {
        connection.execute_batch(&format!("DROP TABLE main.\"{}\"", name.replace('"', "\"\"")))?;
    }
    Ok(())
}
