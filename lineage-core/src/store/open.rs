//! Making, opening and upgrading a registry.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::apply;
use super::error::StoreError;
use super::query::{self, OwedFile, Reader};
use super::schema::{self, LOG_SCHEMA, Numbers, PROJECTION_SCHEMA};
use super::write::{self, Writer};
use crate::context::{Context, Silent, Step};
use crate::files::{self, FileError, Sharing, Wait};
use crate::layout::Layout;

/// How a registry was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// For reading and writing.
    ReadWrite,
    /// For reading, in step with writers.
    ReadOnly,
    /// For reading in a place where nothing can be written, without SQLite's locks. Only sound
    /// while no `-wal` file holds anything, which is checked before and after every read.
    Immutable,
}

/// An open registry.
pub struct Registry {
    pub(super) connection: Connection,
    layout: Layout,
    id: String,
    access: Access,
}

impl Registry {
    /// Makes the registry that `layout` plans and returns true, or false if there is one already.
    /// It is made under another name and renamed into place, so nobody ever sees half of it, and of
    /// several processes that try at once exactly one makes it.
    pub fn create(layout: &Layout, context: &Context<'_>) -> Result<bool, StoreError> {
        if layout.database().exists() {
            return Ok(false);
        }
        let building = layout.root().join(format!(".lineage.init-{}", context.random_hex()));
        let result = build(&building, context).and_then(|()| {
            fs::rename(&building, layout.registry())
                .map_err(|e| FileError::io("create", layout.registry())(e).into())
        });
        match result {
            Ok(()) => {
                files::sync_folder(layout.root())?;
                Ok(true)
            }
            Err(error) => {
                let _ = fs::remove_dir_all(&building);
                if layout.database().exists() { Ok(false) } else { Err(error) }
            }
        }
    }

    /// Opens for reading and writing; an older schema is upgraded first.
    pub fn open(layout: &Layout, context: &Context<'_>) -> Result<Registry, StoreError> {
        let path = layout.database();
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let located = |error: rusqlite::Error| match error.sqlite_error_code() {
            Some(ErrorCode::CannotOpen) if !files::is_writable(layout.registry()) => {
                StoreError::ReadOnly { path: path.clone() }
            }
            _ => StoreError::sqlite(error, &path),
        };
        let connection = Connection::open_with_flags(&path, flags).map_err(located)?;
        connection.busy_timeout(context.lock_timeout).map_err(located)?;
        prepare(&connection).map_err(located)?;
        let numbers = schema::numbers(&connection).map_err(located)?;
        check(numbers, &path)?;
        if connection.is_readonly("main").map_err(located)?
            || !files::is_writable(layout.registry())
        {
            return Err(StoreError::ReadOnly { path });
        }
        if (numbers.log, numbers.projections) != (LOG_SCHEMA, PROJECTION_SCHEMA) {
            upgrade(&connection, layout, context, false)?;
        }
        let id = query::registry_id(&connection, &path)?;
        Ok(Registry { connection, layout: layout.clone(), id, access: Access::ReadWrite })
    }

    /// Opens for reading only, also in a place where nothing can be written.
    pub fn open_read_only(layout: &Layout, context: &Context<'_>) -> Result<Registry, StoreError> {
        let path = layout.database();
        let located = |error| StoreError::sqlite(error, &path);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let attempt = Connection::open_with_flags(&path, flags).and_then(|connection| {
            connection.busy_timeout(context.lock_timeout)?;
            let numbers = schema::numbers(&connection)?;
            Ok((connection, numbers))
        });
        // On a full disk SQLite cannot make its shared memory; reading needs none.
        let unreadable = |error: &rusqlite::Error| match error.sqlite_error_code() {
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly) => {
                !files::is_writable(layout.registry())
            }
            Some(ErrorCode::SystemIoFailure | ErrorCode::DiskFull) => true,
            _ => false,
        };
        let (connection, numbers, access) = match attempt {
            Ok((connection, numbers)) => (connection, numbers, Access::ReadOnly),
            Err(error) if unreadable(&error) => {
                if wal_holds_something(&path)? {
                    return Err(StoreError::LacksSharedMemory { path });
                }
                let flags = flags | OpenFlags::SQLITE_OPEN_URI;
                let connection =
                    Connection::open_with_flags(immutable_uri(&path), flags).map_err(located)?;
                let numbers = schema::numbers(&connection).map_err(located)?;
                (connection, numbers, Access::Immutable)
            }
            Err(error) => return Err(located(error)),
        };
        check(numbers, &path)?;
        if (numbers.log, numbers.projections) != (LOG_SCHEMA, PROJECTION_SCHEMA) {
            drop(connection);
            if access == Access::Immutable || !files::is_writable(layout.registry()) {
                return Err(StoreError::OlderReadOnly { path });
            }
            drop(Registry::open(layout, context)?);
            return Registry::open_read_only(layout, context);
        }
        let id = query::registry_id(&connection, &path)?;
        Ok(Registry { connection, layout: layout.clone(), id, access })
    }

    /// Opens for reading without writing a single byte, not even SQLite's own files, unless another
    /// process is at work and they are there already. An older schema is an error.
    pub fn open_quietly(layout: &Layout, context: &Context<'_>) -> Result<Registry, StoreError> {
        let path = layout.database();
        if wal_exists(&path) {
            return Registry::open_read_only(layout, context);
        }
        let located = |error| StoreError::sqlite(error, &path);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let connection =
            Connection::open_with_flags(immutable_uri(&path), flags).map_err(located)?;
        let numbers = schema::numbers(&connection).map_err(located)?;
        check(numbers, &path)?;
        if (numbers.log, numbers.projections) != (LOG_SCHEMA, PROJECTION_SCHEMA) {
            return Err(StoreError::OlderReadOnly { path });
        }
        let id = query::registry_id(&connection, &path)?;
        let access = Access::Immutable;
        Ok(Registry { connection, layout: layout.clone(), id, access })
    }

    /// Where the registry lies.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The registry's UUID.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How it was opened.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Runs `read` on one consistent snapshot.
    pub fn read<T, E: From<StoreError>>(
        &self,
        read: impl FnOnce(&Reader<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let path = self.layout.database();
        let before = stamp(&path);
        let transaction = self
            .connection
            .unchecked_transaction()
            .map_err(|error| StoreError::sqlite(error, &path))?;
        let result = read(&Reader::new(&transaction, &self.layout, &self.id));
        drop(transaction);
        if self.access == Access::Immutable
            && (wal_holds_something(&path).map_err(StoreError::from)? || stamp(&path) != before)
        {
            return Err(StoreError::ChangedWhileRead { path }.into());
        }
        result
    }

    /// Runs `read` on a snapshot that is newer than the one of a [`Registry::read`] around it.
    pub(crate) fn read_again<T, E: From<StoreError>>(
        &self,
        read: impl FnOnce(&Reader<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let path = self.layout.database();
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let name = match self.access {
            Access::Immutable => immutable_uri(&path),
            Access::ReadWrite | Access::ReadOnly => uri(&path, "mode=ro"),
        };
        let connection = Connection::open_with_flags(name, flags)
            .map_err(|error| StoreError::sqlite(error, &path))?;
        read(&Reader::new(&connection, &self.layout, &self.id))
    }

    /// Runs `write` in one transaction that is committed when it succeeds and leaves no trace when
    /// it fails. Waits for other writers, for at most the context's time-out.
    pub fn write<T, E: From<StoreError>>(
        &mut self,
        context: &Context<'_>,
        write: impl FnOnce(&mut Writer<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let path = self.layout.database();
        begin_immediate(&self.connection, context, &path)?;
        context.observer.step(Step::TransactionBegun);
        let mut writer = Writer::new(&self.connection, &self.layout, &self.id, context);
        match write(&mut writer) {
            Ok(value) => match self.connection.execute_batch("COMMIT") {
                Ok(()) => {
                    context.observer.step(Step::Committed);
                    Ok(value)
                }
                Err(error) => {
                    roll_back(&self.connection);
                    Err(StoreError::sqlite(error, &path).into())
                }
            },
            Err(error) => {
                roll_back(&self.connection);
                Err(error)
            }
        }
    }

    /// Notes that files were put in place. Failing is no harm: the next command that writes sees the
    /// files itself.
    pub(crate) fn settle(&mut self, context: &Context<'_>, files: &[OwedFile]) {
        let quiet = Context {
            observer: &Silent,
            actor: context.actor.clone(),
            lock_timeout: std::time::Duration::from_millis(100),
            ..*context
        };
        let _ = self.write(&quiet, |writer| writer.settle(files));
    }

    /// Makes the tables again from the log, in one transaction; the log itself is not touched.
    pub fn rebuild(&mut self, context: &Context<'_>) -> Result<(), StoreError> {
        upgrade(&self.connection, &self.layout, context, true)
    }
}

fn roll_back(connection: &Connection) {
    if !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
}

/// SQLite's own waiting is silent, so the wait for the write lock is ours.
fn begin_immediate(
    connection: &Connection,
    context: &Context<'_>,
    path: &Path,
) -> Result<(), StoreError> {
    let located = |error| StoreError::sqlite(error, path);
    connection.busy_timeout(std::time::Duration::ZERO).map_err(located)?;
    let mut wait = Wait::new("the registry", context.lock_timeout);
    loop {
        match connection.execute_batch("BEGIN IMMEDIATE") {
            Ok(()) => break,
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                wait.pause(context.observer).map_err(|error| match error {
                    FileError::LockTimeout { seconds, .. } => StoreError::Busy { seconds },
                    other => other.into(),
                })?;
            }
            Err(error) => return Err(located(error)),
        }
    }
    connection.busy_timeout(context.lock_timeout).map_err(located)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)
}

fn check(numbers: Numbers, path: &Path) -> Result<(), StoreError> {
    let path = path.to_owned();
    if numbers.application != schema::APPLICATION_ID {
        let detail = "the file is empty or belongs to another program".to_owned();
        return Err(StoreError::Corrupt { path, detail });
    }
    for (found, known) in [(numbers.log, LOG_SCHEMA), (numbers.projections, PROJECTION_SCHEMA)] {
        if found > known {
            return Err(StoreError::Newer { path, found, known });
        }
    }
    Ok(())
}

fn build(folder: &Path, context: &Context<'_>) -> Result<(), StoreError> {
    fs::create_dir(folder).map_err(FileError::io("create the folder", folder))?;
    for name in ["objects", "checkouts", "tmp"] {
        files::create_folder(&folder.join(name))?;
    }
    files::write_new(&folder.join(".gitignore"), b"*\n")?;
    let path = folder.join("registry.db");
    let located = |error| StoreError::sqlite(error, &path);
    let connection = Connection::open(&path).map_err(located)?;
    connection
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0))
        .map_err(located)?;
    prepare(&connection).map_err(located)?;
    connection.execute_batch("BEGIN IMMEDIATE").map_err(located)?;
    connection
        .pragma_update(None, "application_id", schema::APPLICATION_ID)
        .and_then(|()| schema::migrate(&connection, 0))
        .and_then(|()| schema::create_projections(&connection))
        .map_err(located)?;
    write::begin_log(&connection, context)?;
    connection.execute_batch("COMMIT").map_err(located)?;
    connection.close().map_err(|(_, error)| located(error))?;
    files::sync_folder(folder)?;
    Ok(())
}

/// Brings an older registry to the present schema: a backup first, then everything in one
/// transaction. Of several processes that try at once, one does it and the others find it done.
fn upgrade(
    connection: &Connection,
    layout: &Layout,
    context: &Context<'_>,
    force: bool,
) -> Result<(), StoreError> {
    let path = layout.database();
    let located = |error| StoreError::sqlite(error, &path);
    let lock = files::lock(
        &layout.files_lock(),
        Sharing::Exclusive,
        "the registry's upgrade",
        context.lock_timeout,
        context.observer,
    )?;
    let found = schema::numbers(connection).map_err(located)?;
    check(found, &path)?;
    if !force && (found.log, found.projections) == (LOG_SCHEMA, PROJECTION_SCHEMA) {
        return Ok(());
    }
    files::create_folder(&layout.backups())?;
    let name = format!("registry-{}-{}-{}.db", found.log, found.projections, context.random_hex());
    let backup = layout.backups().join(name);
    connection.execute("VACUUM INTO ?1", [backup.to_string_lossy()]).map_err(located)?;
    connection.pragma_update(None, "foreign_keys", false).map_err(located)?;
    begin_immediate(connection, context, &path)?;
    let result = upgrade_tables(connection, found);
    match result {
        Ok(()) => connection.execute_batch("COMMIT").map_err(located)?,
        Err(_) => roll_back(connection),
    }
    connection.pragma_update(None, "foreign_keys", true).map_err(located)?;
    drop(lock);
    result
}

fn upgrade_tables(connection: &Connection, found: Numbers) -> Result<(), StoreError> {
    schema::migrate(connection, found.log)?;
    schema::drop_projections(connection)?;
    schema::create_projections(connection)?;
    let mut statement = connection.prepare("SELECT entry FROM event ORDER BY seq")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let entry = crate::events::Entry::parse(row.get_ref(0)?.as_blob().unwrap_or_default())?;
        apply::apply(connection, &entry, &entry.event()?)?;
    }
    Ok(())
}

fn wal_path(database: &Path) -> PathBuf {
    let mut wal = database.as_os_str().to_owned();
    wal.push("-wal");
    PathBuf::from(wal)
}

fn wal_exists(database: &Path) -> bool {
    wal_path(database).exists()
}

/// Whether the database's `-wal` file exists and is not empty.
fn wal_holds_something(database: &Path) -> Result<bool, FileError> {
    let wal = wal_path(database);
    match fs::metadata(&wal) {
        Ok(metadata) => Ok(metadata.len() > 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(FileError::io("inspect", &wal)(error)),
    }
}

/// Size and modification time of the database file.
fn stamp(database: &Path) -> Option<(u64, Option<std::time::SystemTime>)> {
    fs::metadata(database).ok().map(|metadata| (metadata.len(), metadata.modified().ok()))
}

/// An SQLite URI for the file (<https://sqlite.org/uri.html>).
pub(super) fn uri(path: &Path, parameters: &str) -> String {
    let escaped: String = path
        .to_string_lossy()
        .chars()
        .map(|character| match character {
            '%' => "%25".to_owned(),
            '?' => "%3f".to_owned(),
            '#' => "%23".to_owned(),
            other => other.to_string(),
        })
        .collect();
    format!("file:{escaped}?{parameters}")
}

fn immutable_uri(path: &Path) -> String {
    uri(path, "immutable=1")
}
