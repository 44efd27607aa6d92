//! Reading the database without SQLite's locks: when that is sound, and how it is noticed that it
//! was not.
//!
//! `immutable=1` (<https://sqlite.org/uri.html#uriimmutable>) makes SQLite read the database file
//! alone: no `-wal` file, no shared memory, no lock. That spares their making and removing, and is
//! the only way where nothing can be written. It is as good as a read with locks under one
//! condition: from before the file is opened until after the last read,
//!
//! 1. the file holds every committed transaction, and nothing else;
//! 2. nobody writes to it.
//!
//! So [`Unlocked`] looks, in this order:
//!
//! ```text
//! A  the state of the database file: device, inode, size, mtime, ctime
//! B  -wal and -journal are absent or empty
//! C  the ctime of A is at least 50 ms old
//!    open, read …
//! D  -wal and -journal are absent or empty
//! E  the state of the database file is that of A
//! ```
//!
//! What a writer can do against it, step by step, as SQLite does it
//! (<https://sqlite.org/walformat.html>, <https://sqlite.org/atomiccommit.html>):
//!
//! - **It appends a commit to `-wal`.** The database file stays as it was. What stood in `-wal` at B
//!   is not read: then this way is not taken. A commit after B may be missed, and the answer is that
//!   of B, a moment within the call; D finds it while it is in `-wal`, and E when it is no longer.
//! - **It checkpoints**, copying pages from `-wal` into the database. `-wal` holds something from
//!   before the first page until after the last one, which is flushed before `-wal` is emptied or
//!   deleted. So no page is being written at B: those of a checkpoint that ended before B are all in
//!   place, and what changed between A and B differs from A at E. A page that is written after B is
//!   written by a `write`(2) that begins after B. The kernel sets mtime and ctime at its beginning,
//!   before the bytes can be read, and E sees them.
//! - **It resets `-wal`** and writes it from its start: the file is not empty then. `TRUNCATE`
//!   empties it after a whole checkpoint: as above.
//! - **It closes as the last**, and deletes `-wal`: under an exclusive lock on the database, after a
//!   checkpoint of everything. Where that checkpoint failed, `-wal` stays and is seen.
//! - **It dies**, or the machine loses power: `-wal` stays, and is seen at B.
//! - **It rolls back.** In WAL mode nothing uncommitted reaches the database. A database that was
//!   taken out of WAL mode from outside has a `-journal` that is not empty from before its first page
//!   is written until after the commit, so the same holds with `-journal` for `-wal`. (Who also gives
//!   up the journal, by `journal_mode = OFF` or `MEMORY`, gives up sound reads; lineage sets neither.)
//! - **`VACUUM INTO`** (the backup before an upgrade) reads; the rebuild after it is a commit.
//! - **Another file is renamed over the database**, or it is removed: the inode differs at E. A
//!   number that is given again comes with a new ctime.
//! - **An old file is restored in place** by a program that takes no locks: size, mtime or ctime
//!   differ at E. Whoever reads during such a restore reads half a file with SQLite's locks too.
//!
//! **Granularity.** The kernel takes file times from a clock that advances with its tick, 1 to 10 ms.
//! A write just before A and one just after it could bear the same time; that is what C excludes: a
//! write after A bears a time that is at most a tick before A, and thus later than the ctime at A.
//! File systems that keep whole seconds show it by both times ending in nine zeros; there 2 s more
//! are required. (mtime alone would not do: programs set it.)
//!
//! **Clocks.** A ctime in the future counts as one of this moment: the clock was set back. A clock
//! that is set back after C would have to make a later write bear exactly the nanoseconds of A. The
//! clock of a file system on another machine is another clock, so this way is not taken there while
//! there is another.
//!
//! **Links.** SQLite follows a symbolic link and keeps `-wal` beside the file itself; so is it looked
//! for there.
//!
//! Where nothing can be written there may be no other way, and a database that is young is waited for:
//! that it had the same state 50 ms ago is as good as C, by the file system's own clock.

use std::cell::Cell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::error::StoreError;
use crate::context::Timestamp;
use crate::files::{self, FileError};
use crate::fingerprint::FileState;

/// How long ago the database must have changed last.
const REST: Duration = Duration::from_millis(50);

/// The same where the file system keeps whole or even seconds.
const REST_COARSE: Duration = Duration::from_millis(2050);

/// A database as it was before it was opened without locks.
pub(super) struct Unlocked {
    database: PathBuf,
    state: FileState,
    /// Whether nothing was read since it was last found unchanged.
    confirmed: Cell<bool>,
}

impl Unlocked {
    /// The database, if it can be read without locks at once. `now` is the time of the clock that
    /// gives files their times.
    pub(super) fn at_once(database: &Path, now: Timestamp) -> Option<Unlocked> {
        if cfg!(not(unix)) || files::network_file_system(database).is_some() {
            return None;
        }
        let database = followed(database).ok()?;
        let state = look(&database).ok().flatten()?;
        let age = now.unix_microseconds().checked_sub(state.changed_ns / 1000)?;
        let old = u64::try_from(age).is_ok_and(|age| Duration::from_micros(age) >= rest(&state));
        old.then(|| Unlocked { database, state, confirmed: Cell::new(false) })
    }

    /// The database, at once or after a rest; none when a `-wal` file holds something, or it is
    /// written to.
    pub(super) fn after_rest(
        database: &Path,
        now: Option<Timestamp>,
    ) -> Result<Option<Unlocked>, StoreError> {
        if let Some(unlocked) = now.and_then(|now| Unlocked::at_once(database, now)) {
            return Ok(Some(unlocked));
        }
        let database = followed(database)?;
        let Some(state) = look(&database)? else { return Ok(None) };
        std::thread::sleep(rest(&state));
        let rested = look(&database)? == Some(state);
        Ok(rested.then(|| Unlocked { database, state, confirmed: Cell::new(false) }))
    }

    /// A connection that takes no locks.
    pub(super) fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(self.uri(), flags)
    }

    /// The database's URI for a connection that takes no locks.
    pub(super) fn uri(&self) -> String {
        uri(&self.database, "immutable=1")
    }

    /// Notes that something is read.
    pub(super) fn touch(&self) {
        self.confirmed.set(false);
    }

    /// Whether all that was read is what was committed last when it was read.
    pub(super) fn is_sound(&self) -> bool {
        // D before E: what E finds unchanged had no commit in it that D did not see.
        let sound = self.confirmed.get()
            || look_beside(&self.database).is_ok_and(|holds| !holds)
                && state(&self.database).is_ok_and(|state| state == Some(self.state));
        self.confirmed.set(sound);
        sound
    }
}

/// The file that a link leads to.
fn followed(database: &Path) -> Result<PathBuf, FileError> {
    let failed = FileError::io("inspect", database);
    match fs::symlink_metadata(database) {
        Ok(metadata) if metadata.is_symlink() => fs::canonicalize(database).map_err(failed),
        Ok(_) => Ok(database.to_owned()),
        Err(error) => Err(failed(error)),
    }
}

/// The database's state, unless something lies in a file beside it. A before B.
fn look(database: &Path) -> Result<Option<FileState>, FileError> {
    let state = state(database)?;
    Ok(if look_beside(database)? { None } else { state })
}

fn state(database: &Path) -> Result<Option<FileState>, FileError> {
    let metadata = fs::symlink_metadata(database).map_err(FileError::io("inspect", database))?;
    Ok(FileState::of(&metadata).or_else(|| poorer_state(&metadata)))
}

/// What systems without inodes tell.
fn poorer_state(metadata: &fs::Metadata) -> Option<FileState> {
    let modified = metadata.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let ns = i64::try_from(modified.as_nanos()).ok()?;
    let size_bytes = metadata.len();
    Some(FileState { device: 0, inode: 0, size_bytes, modified_ns: ns, changed_ns: ns })
}

/// Whether a `-wal` or `-journal` file beside the database exists and is not empty.
fn look_beside(database: &Path) -> Result<bool, FileError> {
    for ending in ["-wal", "-journal"] {
        let path = beside(database, ending);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.len() > 0 => return Ok(true),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(FileError::io("inspect", &path)(error));
            }
            Ok(_) | Err(_) => {}
        }
    }
    Ok(false)
}

/// The name of a file that SQLite keeps beside the database.
pub(super) fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(ending);
    PathBuf::from(path)
}

fn rest(state: &FileState) -> Duration {
    let is_whole = |ns: i64| ns % 1_000_000_000 == 0;
    if is_whole(state.modified_ns) && is_whole(state.changed_ns) { REST_COARSE } else { REST }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_seconds_in_both_times_ask_for_a_longer_rest() {
        let state = |modified_ns, changed_ns| FileState {
            device: 1,
            inode: 2,
            size_bytes: 4096,
            modified_ns,
            changed_ns,
        };
        let second = 1_000_000_000;
        assert_eq!(rest(&state(7 * second, 8 * second)), REST_COARSE);
        // Only mtime can be set by a program.
        assert_eq!(rest(&state(7 * second, 8 * second + 1)), REST);
        assert_eq!(rest(&state(7 * second + 1, 8 * second)), REST);
    }
}
