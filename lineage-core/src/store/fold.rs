//! Making the tables again from the log, beside the live ones, and comparing.

use rusqlite::{Connection, OpenFlags, Row};

use super::apply;
use super::error::StoreError;
use super::query::Reader;
use super::schema;
use crate::digest::Sha256;
use crate::events::{Entry, EntryError};
use crate::layout::Layout;

/// A fault of the log itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogProblem {
    /// `entry-malformed`, `entry-unknown`, `entry-inapplicable`, `sequence-gap`, `chain-broken`,
    /// `foreign-registry`.
    pub kind: &'static str,
    /// The entry.
    pub seq: u64,
    /// What is wrong.
    pub detail: String,
}

/// A difference between a live table and what the log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowProblem {
    /// `row-differs`, `row-missing`, `row-unfounded`, `schema-differs` or `database-damaged`.
    pub kind: &'static str,
    /// The table and the row's key, e.g. `pointer (model=fraud, pointer=prod)`.
    pub subject: String,
    /// What differs.
    pub detail: String,
}

/// A second set of tables, made from the log alone. Its [`Reader`] answers from them.
pub struct Fold {
    connection: Connection,
    layout: Layout,
    id: String,
    /// How many entries the log holds.
    pub entries: u64,
    /// How many rows were compared.
    pub rows: u64,
}

/// The number of differing rows of one table that are named one by one.
const ROWS_NAMED_MAX: usize = 20;

/// Memory for the pages of a private database, in KiB: it is filled in no order of its keys, so that in less most
/// pages would be written to a file and read back again and again.
const PAGES_KIB: i64 = 64 * 1024;

/// A private database that lives as long as the connection, with that of the registry as `live`. What is
/// not in it is found in the live one.
pub(super) fn private_beside(live: &Reader<'_>) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let path = live.layout().database();
    let located = |error| StoreError::sqlite(error, &path);
    let connection = Connection::open_with_flags("", flags).map_err(located)?;
    // A negative number counts KiB and not pages.
    connection.pragma_update(Some("main"), "cache_size", -PAGES_KIB).map_err(located)?;
    connection.execute("ATTACH ?1 AS live", [live.live_uri()]).map_err(located)?;
    Ok(connection)
}

impl Fold {
    /// Reads the whole log of a registry and checks it, as far as it can be read. What is asked of it
    /// is asked inside the [`Registry::read`](super::Registry::read) that `live` comes from.
    pub fn of(live: &Reader<'_>) -> Result<(Fold, Vec<LogProblem>), StoreError> {
        let layout = live.layout().clone();
        let path = layout.database();
        let located = |error| StoreError::sqlite(error, &path);
        let connection = private_beside(live)?;
        connection.execute_batch("BEGIN").map_err(located)?;
        schema::create_projections(&connection).map_err(located)?;
        let id = live.id().to_owned();
        let mut fold = Fold { connection, layout, id, entries: 0, rows: 0 };
        let problems = fold.apply_log()?;
        Ok((fold, problems))
    }

    /// Answers from the tables that the log gives.
    pub fn reader(&self) -> Reader<'_> {
        Reader::new(&self.connection, &self.layout, &self.id)
    }

    fn apply_log(&mut self) -> Result<Vec<LogProblem>, StoreError> {
        let mut problems = Vec::new();
        let mut statement =
            self.connection.prepare("SELECT seq, entry, sha256 FROM live.event ORDER BY seq")?;
        let mut rows = statement.query([])?;
        let mut prev = Sha256::ZERO;
        let mut applying = true;
        let mut expected: u64 = 0;
        while let Some(row) = rows.next()? {
            let seq = u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0);
            let bytes = row.get_ref(1)?.as_blob().unwrap_or_default();
            let digest = Sha256::of(bytes);
            let mut report = |kind, detail: String| problems.push(LogProblem { kind, seq, detail });
            if seq != expected {
                report("sequence-gap", format!("entry {expected} is missing"));
            }
            if row.get::<_, String>(2)? != digest.to_string() {
                report("chain-broken", "its bytes do not have the digest in its row".to_owned());
            }
            match Entry::parse(bytes) {
                Ok(entry) => {
                    if entry.to_bytes().is_ok_and(|again| again != bytes) {
                        report("entry-malformed", "it is not written as lineage writes".to_owned());
                    }
                    if entry.seq != seq {
                        report("sequence-gap", format!("it calls itself entry {}", entry.seq));
                    }
                    if entry.prev != prev {
                        let detail = "it does not follow from the entry before it".to_owned();
                        report("chain-broken", detail);
                    }
                    if entry.registry != self.id {
                        let detail = format!("it belongs to the registry {}", entry.registry);
                        report("foreign-registry", detail);
                    }
                    if applying {
                        let event = entry.event();
                        if event.as_ref().is_ok_and(|event| !entry.envelops(event)) {
                            let detail = "its envelope does not fit its details".to_owned();
                            report("entry-malformed", detail);
                        }
                        let applied = event
                            .map_err(StoreError::from)
                            .and_then(|event| apply::apply(&self.connection, &entry, &event));
                        if let Err(error) = applied {
                            // What follows would only repeat the consequences.
                            applying = false;
                            let unknown =
                                matches!(error, StoreError::Entry(EntryError::Unknown { .. }));
                            let kind = if unknown { "entry-unknown" } else { "entry-inapplicable" };
                            report(kind, error.to_string());
                        }
                    }
                }
                Err(error) => {
                    applying = false;
                    report("entry-malformed", error.to_string());
                }
            }
            prev = digest;
            expected = seq + 1;
            self.entries += 1;
        }
        if self.entries == 0 {
            let detail = "the log is empty".to_owned();
            problems.push(LogProblem { kind: "sequence-gap", seq: 0, detail });
        }
        Ok(problems)
    }

    /// Compares the live tables, their triggers and their indexes with what they must be.
    pub fn compare(&mut self) -> Result<Vec<RowProblem>, StoreError> {
        let mut problems = self.check_pages()?;
        problems.extend(self.compare_schema()?);
        let tables: Vec<String> = self.strings(
            "SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
             ORDER BY name",
        )?;
        for table in tables {
            let live = self.strings(&format!(
                "SELECT name FROM live.sqlite_master WHERE type = 'table' AND name = '{table}'"
            ))?;
            if !live.is_empty() && self.columns("live", &table)? == self.columns("main", &table)? {
                problems.extend(self.compare_table(&table)?);
            }
        }
        Ok(problems)
    }

    /// SQLite's own check of pages and indexes, which no comparison of rows needs to touch.
    fn check_pages(&self) -> Result<Vec<RowProblem>, StoreError> {
        let found = self.strings("PRAGMA live.integrity_check(20)")?;
        let problem = |detail: String| RowProblem {
            kind: "database-damaged",
            subject: "registry.db".to_owned(),
            detail,
        };
        Ok(found.into_iter().filter(|line| line != "ok").map(problem).collect())
    }

    /// Tables, triggers and indexes by their definition: a dropped trigger would let rows be edited.
    fn compare_schema(&self) -> Result<Vec<RowProblem>, StoreError> {
        let model = Connection::open_in_memory()?;
        schema::migrate(&model, 0)?;
        schema::create_projections(&model)?;
        let select = "SELECT type || ' ' || name, COALESCE(sql, '') FROM sqlite_master \
                      WHERE name NOT LIKE 'sqlite_%' ORDER BY 1";
        let read =
            |connection: &Connection, sql: &str| -> Result<Vec<(String, String)>, StoreError> {
                let mut statement = connection.prepare(sql)?;
                let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
                Ok(rows.collect::<Result<_, _>>()?)
            };
        let expected = read(&model, select)?;
        let live_select = select.replace("sqlite_master", "live.sqlite_master");
        let live = read(&self.connection, &live_select)?;
        let mut problems = Vec::new();
        let mut report = |subject: &str, detail: &str| {
            problems.push(RowProblem {
                kind: "schema-differs",
                subject: subject.to_owned(),
                detail: detail.to_owned(),
            });
        };
        for (name, sql) in &expected {
            match live.iter().find(|(other, _)| other == name) {
                None => report(name, "it is missing from the database"),
                Some((_, other)) if other != sql => report(name, "its definition was changed"),
                Some(_) => {}
            }
        }
        for (name, _) in live.iter().filter(|(name, _)| expected.iter().all(|(n, _)| n != name)) {
            report(name, "lineage did not make it");
        }
        Ok(problems)
    }

    fn compare_table(&mut self, table: &str) -> Result<Vec<RowProblem>, StoreError> {
        let count = format!("SELECT COUNT(*) FROM main.\"{table}\"");
        self.rows += self
            .connection
            .query_row(&count, [], |row| row.get::<_, i64>(0))
            .map(|count| u64::try_from(count).unwrap_or(0))?;
        let columns = self.columns("main", table)?;
        let keys: Vec<usize> = (0..columns.len()).filter(|index| columns[*index].1).collect();
        let only_in = |here: &str, there: &str| {
            format!("SELECT * FROM {here}.\"{table}\" EXCEPT SELECT * FROM {there}.\"{table}\"")
        };
        let truth = self.texts(&only_in("main", "live"))?;
        let live = self.texts(&only_in("live", "main"))?;
        let key = |row: &[String]| -> Vec<String> {
            if keys.is_empty() {
                row.to_vec()
            } else {
                keys.iter().map(|k| row[*k].clone()).collect()
            }
        };
        let subject = |row: &[String]| {
            let parts: Vec<String> =
                keys.iter().map(|k| format!("{}={}", columns[*k].0, row[*k])).collect();
            format!("{table} ({})", parts.join(", "))
        };
        let mut problems = Vec::new();
        for row in &truth {
            let found = live.iter().find(|other| key(other) == key(row));
            let (kind, detail) = match found {
                None => ("row-missing", "the log has this row, the table does not".to_owned()),
                Some(other) => {
                    let differing: Vec<String> = (0..columns.len())
                        .filter(|i| row[*i] != other[*i])
                        .map(|i| {
                            format!("{} is {}, the log says {}", columns[i].0, other[i], row[i])
                        })
                        .collect();
                    ("row-differs", differing.join("; "))
                }
            };
            problems.push(RowProblem { kind, subject: subject(row), detail });
        }
        for row in live.iter().filter(|row| truth.iter().all(|other| key(other) != key(row))) {
            let detail = "the table has this row, the log does not".to_owned();
            problems.push(RowProblem { kind: "row-unfounded", subject: subject(row), detail });
        }
        if problems.len() > ROWS_NAMED_MAX {
            let more = problems.len() - ROWS_NAMED_MAX;
            problems.truncate(ROWS_NAMED_MAX);
            let detail = format!("and {more} more rows of this table");
            problems.push(RowProblem { kind: "row-differs", subject: table.to_owned(), detail });
        }
        Ok(problems)
    }

    /// The columns of a table, and whether each is part of its key.
    fn columns(&self, database: &str, table: &str) -> Result<Vec<(String, bool)>, StoreError> {
        let mut statement =
            self.connection.prepare(&format!("PRAGMA {database}.table_info(\"{table}\")"))?;
        let rows = statement.query_map([], |row| Ok((row.get(1)?, row.get::<_, i64>(5)? > 0)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn strings(&self, sql: &str) -> Result<Vec<String>, StoreError> {
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Rows with every value as text. Bounded, since a table that differs everywhere says nothing
    /// more in its millionth row.
    fn texts(&self, sql: &str) -> Result<Vec<Vec<String>>, StoreError> {
        let mut statement = self.connection.prepare(&format!("{sql} LIMIT 1000"))?;
        let count = statement.column_count();
        let read = |row: &Row<'_>| (0..count).map(|index| text(row, index)).collect();
        let rows = statement.query_map([], read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn text(row: &Row<'_>, index: usize) -> rusqlite::Result<String> {
    use rusqlite::types::ValueRef;
    Ok(match row.get_ref(index)? {
        ValueRef::Null => "none".to_owned(),
        ValueRef::Integer(value) => value.to_string(),
        ValueRef::Real(value) => value.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => hex::encode(bytes),
    })
}
