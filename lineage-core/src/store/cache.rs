//! The stat cache: digests of files that were read before, in a database of its own. Nothing depends
//! on it: it is made anew when it is missing or damaged, and every failure of it means reading the file.

use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use crate::context::Context;
use crate::digest::Sha256;
use crate::fingerprint::{FileState, Readings, Table};
use crate::layout::Layout;

const SCHEMA: &str = "\
CREATE TABLE file (device INTEGER, inode INTEGER, size_bytes INTEGER, modified_ns INTEGER, \
 changed_ns INTEGER, sha256 TEXT NOT NULL, PRIMARY KEY (device, inode)) WITHOUT ROWID, STRICT;
CREATE TABLE content (sha256 TEXT NOT NULL, way TEXT NOT NULL, found TEXT NOT NULL, \
 PRIMARY KEY (sha256, way)) STRICT;
PRAGMA user_version = 1;";

/// A file that changed less than this before it was read is not trusted: another change within the same
/// tick of the file system's clock could leave its times as they are. FAT counts in two seconds.
const SETTLED_NS: i64 = 3_000_000_000;

/// Tables beyond this number are forgotten, the oldest first.
const TABLES_MAX: u64 = 1000;

/// Digests of unchanged files.
pub struct Cache {
    connection: Mutex<Connection>,
    /// Written together when the cache is closed.
    noted: Mutex<Vec<(FileState, Sha256)>>,
    /// Readings that are noted began after this.
    opened_ns: i64,
}

impl Cache {
    /// The cache of a registry, made when it is missing; none when there can be none here, e.g. on a
    /// read-only file system.
    pub fn open(layout: &Layout, context: &Context<'_>) -> Option<Cache> {
        let path = layout.cache();
        let connection = connect(&path).or_else(|| {
            let _ = std::fs::remove_file(&path);
            connect(&path)
        })?;
        let opened_ns = (context.clock)().unix_microseconds().saturating_mul(1000);
        Some(Cache { connection: Mutex::new(connection), noted: Mutex::new(Vec::new()), opened_ns })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        lock(&self.connection)
    }

    fn write_noted(&mut self) -> rusqlite::Result<()> {
        let noted = std::mem::take(&mut *lock(&self.noted));
        if noted.is_empty() {
            return Ok(());
        }
        let mut connection = lock(&self.connection);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (state, sha256) in noted {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO file VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
                .execute(params![
                    state.device as i64,
                    state.inode as i64,
                    state.size_bytes as i64,
                    state.modified_ns,
                    state.changed_ns,
                    sha256.to_string()
                ])?;
        }
        transaction.commit()
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        // What is not noted is read again the next time.
        let _ = self.write_noted();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn connect(path: &Path) -> Option<Connection> {
    let connection = Connection::open(path).ok()?;
    // It may be lost in a power cut, and nobody waits for it.
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = WAL;").ok()?;
    connection.busy_timeout(std::time::Duration::from_millis(100)).ok()?;
    let version = |connection: &Connection| {
        connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).ok()
    };
    if version(&connection)? == 0 {
        // Another process may do the same at this moment.
        let _ = connection.execute_batch(&format!("BEGIN IMMEDIATE; {SCHEMA} COMMIT;"));
    }
    (version(&connection)? == 1).then_some(connection)
}

impl Readings for Cache {
    fn digest(&self, state: &FileState) -> Option<Sha256> {
        let found: String = self
            .connection()
            .prepare_cached(
                "SELECT sha256 FROM file WHERE device = ?1 AND inode = ?2 AND size_bytes = ?3 \
                 AND modified_ns = ?4 AND changed_ns = ?5",
            )
            .and_then(|mut statement| {
                statement
                    .query_row(
                        params![
                            state.device as i64,
                            state.inode as i64,
                            state.size_bytes as i64,
                            state.modified_ns,
                            state.changed_ns
                        ],
                        |row| row.get(0),
                    )
                    .optional()
            })
            .ok()??;
        found.parse().ok()
    }

    fn note_digest(&self, state: &FileState, sha256: &Sha256) {
        let latest = state.modified_ns.max(state.changed_ns);
        if latest.saturating_add(SETTLED_NS) <= self.opened_ns {
            lock(&self.noted).push((*state, *sha256));
        }
    }

    fn table(&self, sha256: &Sha256, way: &str) -> Option<Table> {
        let found: String = self
            .connection()
            .query_row(
                "SELECT found FROM content WHERE sha256 = ?1 AND way = ?2",
                params![sha256.to_string(), way],
                |row| row.get(0),
            )
            .optional()
            .ok()??;
        serde_json::from_str(&found).ok()
    }

    fn note_table(&self, sha256: &Sha256, way: &str, table: &Table) {
        let Ok(found) = serde_json::to_string(table) else { return };
        let connection = self.connection();
        let noted = connection.execute(
            "INSERT OR REPLACE INTO content VALUES (?1, ?2, ?3)",
            params![sha256.to_string(), way, found],
        );
        if noted.is_ok() {
            let _ = connection.execute(
                "DELETE FROM content WHERE rowid <= (SELECT max(rowid) FROM content) - ?1",
                params![TABLES_MAX as i64],
            );
        }
    }
}
