//! What can go wrong in the registry's database.

use std::path::PathBuf;

use rusqlite::ErrorCode;

use crate::events::EntryError;
use crate::files::FileError;
use crate::layout::LayoutError;

/// The registry could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database file is damaged, or not ours.
    #[error("{path} is not a sound lineage registry: {detail}", path = path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What SQLite or our own check says.
        detail: String,
    },
    /// A newer program has been here; nothing was touched.
    #[error("{path} was written by a newer lineage (schema {found}, this one knows {known})", path = path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema number.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// An older registry that would have to be upgraded, in a place where that is not possible.
    #[error("{path} has an older schema, and to upgrade it would be to write", path = path.display())]
    OlderReadOnly {
        /// The database.
        path: PathBuf,
    },
    /// A copy without the files that SQLite needs to read what was written last.
    #[error("{path} holds changes that are still in its -wal file, and the -shm file needed to read them is missing", path = path.display())]
    LacksSharedMemory {
        /// The database.
        path: PathBuf,
    },
    /// A writer began its work while a registry in a read-only place was read.
    #[error("{path} changed while it was read", path = path.display())]
    ChangedWhileRead {
        /// The database.
        path: PathBuf,
    },
    /// The registry cannot be written.
    #[error("{path} is read-only", path = path.display())]
    ReadOnly {
        /// The database.
        path: PathBuf,
    },
    /// No room on the disk; nothing was changed.
    #[error("the disk that holds {path} is full", path = path.display())]
    DiskFull {
        /// The database.
        path: PathBuf,
    },
    /// Another process held the registry for too long.
    #[error("gave up after {seconds} s: another process is writing to the registry")]
    Busy {
        /// How long this process waited, in seconds.
        seconds: u64,
    },
    /// An entry does not fit the tables it is applied to: the log contradicts itself.
    #[error("log entry {seq} cannot be applied: {problem}")]
    Inapplicable {
        /// The entry.
        seq: u64,
        /// Why not.
        problem: String,
    },
    /// An entry could not be read or made.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// A file beside the database failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A path could not be placed.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Anything else that SQLite refuses.
    #[error("the registry's database failed: {0}")]
    Sqlite(rusqlite::Error),
}

impl StoreError {
    /// Sorts an SQLite error by what the user can do about it.
    pub(crate) fn sqlite(error: rusqlite::Error, path: &std::path::Path) -> StoreError {
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                StoreError::Corrupt { path, detail: error.to_string() }
            }
            Some(ErrorCode::ReadOnly) => StoreError::ReadOnly { path },
            Some(ErrorCode::DiskFull) => StoreError::DiskFull { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                StoreError::Busy { seconds: 0 }
            }
            // On a full disk SQLite cannot always tell why a file beside the database failed.
            Some(ErrorCode::SystemIoFailure)
                if crate::files::free_bytes(crate::files::parent(&path)) == Some(0) =>
            {
                StoreError::DiskFull { path }
            }
            None if matches!(error, rusqlite::Error::FromSqlConversionFailure(..)) => {
                StoreError::Corrupt { path, detail: error.to_string() }
            }
            _ => StoreError::Sqlite(error),
        }
    }
}

/// For use inside the store, where the database is the only one there is.
impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        StoreError::sqlite(error, std::path::Path::new("registry.db"))
    }
}
