//! Making, opening and upgrading a registry.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::apply;
use super::error::StoreError;
use super::query::{self, OwedFile, Reader};
use super::schema::{self, LOG_SCHEMA, Numbers, PROJECTION_SCHEMA};
use super::unlocked::{Unlocked, beside};
use super::write::{self, Writer};
use crate::context::{Context, Silent, Step, Timestamp};
use crate::files::{self, FileError, Sharing, Wait};
use crate::layout::Layout;

/// How a registry was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// For reading and writing.
    ReadWrite,
    /// For reading, in step with writers.
    ReadOnly,
    /// For reading without SQLite's locks, while nobody writes. Every [`Registry::read`] checks that.
    Immutable,
}

/// An open registry.
pub struct Registry {
    pub(super) connection: Connection,
    layout: Layout,
    id: String,
    access: Access,
    lock_timeout: Duration,
    unlocked: Option<Unlocked>,
}

/// How often a registry that others write to is read anew where SQLite's locks cannot be had.
const ATTEMPTS_MAX: u32 = 5;

/// How long to wait for a writer who is just going.
const PAUSE: Duration = Duration::from_millis(10);

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
        let lock_timeout = context.lock_timeout;
        let (layout, access) = (layout.clone(), Access::ReadWrite);
        Ok(Registry { connection, layout, id, access, lock_timeout, unlocked: None })
    }

    /// Opens for reading only, also in a place where nothing can be written.
    pub fn open_read_only(layout: &Layout, context: &Context<'_>) -> Result<Registry, StoreError> {
        match reading(layout, context.lock_timeout, Some((context.clock)())) {
            Err(StoreError::OlderReadOnly { .. }) if files::is_writable(layout.registry()) => {
                drop(Registry::open(layout, context)?);
                reading(layout, context.lock_timeout, None)
            }
            other => other,
        }
    }

    /// As [`Registry::open_read_only`], for those who read little: without SQLite's locks while
    /// nobody is at work, which spares the making and removing of its shared memory.
    pub fn open_briefly(layout: &Layout, context: &Context<'_>) -> Result<Registry, StoreError> {
        if let Some(unlocked) = Unlocked::at_once(&layout.database(), (context.clock)())
            && let Ok(registry) = without_locks(layout, context.lock_timeout, unlocked)
        {
            context.observer.step(Step::OpenedWithoutLocks);
            return Ok(registry);
        }
        Registry::open_read_only(layout, context)
    }

    /// Opens for reading without writing a single byte, not even SQLite's own files, unless another
    /// process is at work and they are there already. An older schema is an error.
    pub fn open_quietly(layout: &Layout, context: &Context<'_>) -> Result<Registry, StoreError> {
        let path = layout.database();
        if !beside(&path, "-wal").exists()
            && let Some(unlocked) = Unlocked::after_rest(&path, Some((context.clock)()))?
        {
            return without_locks(layout, context.lock_timeout, unlocked);
        }
        Registry::open_read_only(layout, context)
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

    /// Runs `read` on one consistent snapshot. Runs it again on a new one, and forgets what came out
    /// before, when a registry that is read without SQLite's locks was written to meanwhile; so `read`
    /// must not add to what it left behind before.
    pub fn read<T, E: From<StoreError>>(
        &self,
        mut read: impl FnMut(&Reader<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        if let Some(result) = self.read_once(&mut read) {
            return result;
        }
        for _ in 0..ATTEMPTS_MAX {
            let registry = reading(&self.layout, self.lock_timeout, None)?;
            if let Some(result) = registry.read_once(&mut read) {
                return result;
            }
        }
        Err(StoreError::ChangedWhileRead { path: self.layout.database() }.into())
    }

    /// None when what came out may be wrong, be it a value or an error.
    fn read_once<T, E: From<StoreError>>(
        &self,
        read: &mut impl FnMut(&Reader<'_>) -> Result<T, E>,
    ) -> Option<Result<T, E>> {
        let result = match self.connection.unchecked_transaction() {
            Ok(snapshot) => {
                let reader = Reader::new(&snapshot, &self.layout, &self.id);
                read(&reader.without_locks(self.unlocked.as_ref()))
            }
            Err(error) => Err(StoreError::sqlite(error, &self.layout.database()).into()),
        };
        let is_sound = self.unlocked.as_ref().is_none_or(Unlocked::is_sound);
        is_sound.then_some(result)
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
            lock_timeout: Duration::from_millis(100),
            ..*context
        };
        let _ = self.write(&quiet, |writer| writer.settle(files));
    }

    /// Makes the tables again from the log, in one transaction; the log itself is not touched.
    pub fn rebuild(&mut self, context: &Context<'_>) -> Result<(), StoreError> {
        upgrade(&self.connection, &self.layout, context, true)
    }
}

/// Opens for reading with SQLite's locks, or without them where they cannot be had. An older schema
/// is an error.
fn reading(
    layout: &Layout,
    lock_timeout: Duration,
    now: Option<Timestamp>,
) -> Result<Registry, StoreError> {
    let path = layout.database();
    let mut problem = StoreError::ChangedWhileRead { path: path.clone() };
    for _ in 0..ATTEMPTS_MAX {
        if let Some(registry) = with_locks(layout, lock_timeout)? {
            return Ok(registry);
        }
        problem = match Unlocked::after_rest(&path, now)? {
            Some(unlocked) => match without_locks(layout, lock_timeout, unlocked) {
                Err(error @ StoreError::ChangedWhileRead { .. }) => error,
                other => return other,
            },
            None => {
                std::thread::sleep(PAUSE);
                StoreError::LacksSharedMemory { path: path.clone() }
            }
        };
    }
    Err(problem)
}

/// None where SQLite cannot make its shared memory.
fn with_locks(layout: &Layout, lock_timeout: Duration) -> Result<Option<Registry>, StoreError> {
    let path = layout.database();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let attempt = Connection::open_with_flags(&path, flags).and_then(|connection| {
        connection.busy_timeout(lock_timeout)?;
        let numbers = schema::numbers(&connection)?;
        Ok((connection, numbers))
    });
    // On a full disk SQLite cannot make its shared memory; reading needs none.
    let unreadable = |error: &rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly) => !files::is_writable(layout.registry()),
        Some(ErrorCode::SystemIoFailure | ErrorCode::DiskFull) => true,
        _ => false,
    };
    let (connection, numbers) = match attempt {
        Ok(opened) => opened,
        Err(error) if unreadable(&error) => return Ok(None),
        Err(error) => return Err(StoreError::sqlite(error, &path)),
    };
    check_present(numbers, &path)?;
    let id = query::registry_id(&connection, &path)?;
    let (layout, access) = (layout.clone(), Access::ReadOnly);
    Ok(Some(Registry { connection, layout, id, access, lock_timeout, unlocked: None }))
}

/// What a database that changed meanwhile seemed to say is not told.
fn without_locks(
    layout: &Layout,
    lock_timeout: Duration,
    unlocked: Unlocked,
) -> Result<Registry, StoreError> {
    let path = layout.database();
    let located = |error| StoreError::sqlite(error, &path);
    let opened = || -> Result<(Connection, String), StoreError> {
        let connection = unlocked.connect().map_err(located)?;
        check_present(schema::numbers(&connection).map_err(located)?, &path)?;
        let id = query::registry_id(&connection, &path)?;
        Ok((connection, id))
    };
    let opened = opened();
    if !unlocked.is_sound() {
        return Err(StoreError::ChangedWhileRead { path });
    }
    let (connection, id) = opened?;
    let (layout, access) = (layout.clone(), Access::Immutable);
    Ok(Registry { connection, layout, id, access, lock_timeout, unlocked: Some(unlocked) })
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
    connection.busy_timeout(Duration::ZERO).map_err(located)?;
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

fn check_present(numbers: Numbers, path: &Path) -> Result<(), StoreError> {
    check(numbers, path)?;
    match (numbers.log, numbers.projections) == (LOG_SCHEMA, PROJECTION_SCHEMA) {
        true => Ok(()),
        false => Err(StoreError::OlderReadOnly { path: path.to_owned() }),
    }
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
