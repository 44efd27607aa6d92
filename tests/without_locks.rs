//! Reading without SQLite's locks: only where it is sound, and noticed when it was not.

use std::cell::Cell;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use lineage_core::context::{
    Actor, ActorSource, Context, Identity, Observer, Silent, Step, Timestamp,
};
use lineage_core::fingerprint::FileState;
use lineage_core::layout::Layout;
use lineage_core::store::{Access, Reader, Registry, StoreError};

use crate::support::{Env, set_mode};

/// Versions 1 and 2, the first of them live, and a database at rest.
fn at_rest() -> Env {
    let env = Env::with_versions(2);
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    std::thread::sleep(Duration::from_millis(60));
    assert!(!env.path(".lineage/registry.db-wal").exists());
    env
}

fn layout(env: &Env) -> Layout {
    Layout::at(env.root()).unwrap()
}

fn state(env: &Env) -> FileState {
    FileState::of(&fs::metadata(env.path(".lineage/registry.db")).unwrap()).unwrap()
}

/// Works with a context whose clock shows so many milliseconds after the database's last change.
fn with_clock<T>(
    env: &Env,
    age_ms: i64,
    observer: &dyn Observer,
    work: impl FnOnce(&Context<'_>) -> T,
) -> T {
    let microseconds = state(env).changed_ns / 1000 + age_ms * 1000;
    let identity = Identity { name: None, mail: None, os_user: None };
    work(&Context {
        writer: "test",
        actor: Actor { identity, source: ActorSource::Os },
        clock: &|| Timestamp::from_unix_microseconds(microseconds).unwrap(),
        entropy: &|buffer| buffer.fill(7),
        observer,
        lock_timeout: Duration::from_secs(10),
    })
}

fn briefly(env: &Env, age_ms: i64) -> Registry {
    with_clock(env, age_ms, &Silent, |context| {
        Registry::open_briefly(&layout(env), context).unwrap()
    })
}

fn live(reader: &Reader<'_>) -> Result<Option<u64>, StoreError> {
    let row = reader.pointer(&"fraud".parse().unwrap(), &"prod".parse().unwrap())?;
    Ok(row.and_then(|row| row.version))
}

fn promote(env: &Env, version: &str) {
    env.run(&["promote", "fraud", "--version", version]).ok();
}

#[test]
fn a_database_at_rest_is_read_without_locks_and_without_a_file_of_sqlite() {
    let env = at_rest();
    let before = env.files();
    let registry = briefly(&env, 60);
    assert_eq!(registry.access(), Access::Immutable);
    assert_eq!(registry.read(live).unwrap(), Some(1));
    assert!(before == env.files());
}

#[test]
fn a_young_database_and_one_from_the_future_are_read_with_locks() {
    let env = at_rest();
    for (age_ms, access) in [
        (51, Access::Immutable),
        (49, Access::ReadOnly),
        (0, Access::ReadOnly),
        (-1, Access::ReadOnly),
        (-3_600_000, Access::ReadOnly),
    ] {
        assert_eq!(briefly(&env, age_ms).access(), access, "{age_ms} ms");
    }
}

#[test]
fn what_lies_beside_the_database_is_not_passed_over() {
    let env = at_rest();
    env.write(".lineage/registry.db-journal", "a transaction that was not finished");
    let found = with_clock(&env, 60, &Silent, |context| {
        Registry::open_briefly(&layout(&env), context).map(|registry| registry.access())
    });
    assert!(!matches!(found, Ok(Access::Immutable)), "{found:?}");
    fs::remove_file(env.path(".lineage/registry.db-journal")).unwrap();

    let writer = rusqlite::Connection::open(env.path(".lineage/registry.db")).unwrap();
    writer.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    let _: i64 = writer.query_row("SELECT COUNT(*) FROM event", [], |row| row.get(0)).unwrap();
    assert_eq!(briefly(&env, 60).access(), Access::Immutable, "-wal is empty");
    promote(&env, "2");
    let registry = briefly(&env, 60);
    assert_eq!(registry.access(), Access::ReadOnly, "-wal holds the promotion");
    assert_eq!(registry.read(live).unwrap(), Some(2));
}

#[test]
fn the_wal_file_of_a_linked_database_is_beside_the_database() {
    let env = at_rest();
    let elsewhere = env.path("elsewhere.db");
    fs::rename(env.path(".lineage/registry.db"), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, env.path(".lineage/registry.db")).unwrap();
    assert_eq!(briefly(&env, 60).access(), Access::Immutable);
    let writer = rusqlite::Connection::open(&elsewhere).unwrap();
    writer.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    let _: i64 = writer.query_row("SELECT COUNT(*) FROM event", [], |row| row.get(0)).unwrap();
    promote(&env, "2");
    let registry = briefly(&env, 60);
    assert_eq!(registry.access(), Access::ReadOnly);
    assert_eq!(registry.read(live).unwrap(), Some(2));
}

/// Reads twice what `change` changes in between, and gives the answer and how often it was read.
fn read_around(env: &Env, registry: &Registry, change: impl Fn()) -> (Option<u64>, u32) {
    let times = Cell::new(0);
    let answer = registry.read(|reader| {
        let before = live(reader)?;
        if times.replace(times.get() + 1) == 0 {
            change();
        }
        let after = live(reader)?;
        // What an inconsistent read makes of it must not be told.
        if times.get() == 1 {
            return Err(StoreError::Corrupt {
                path: env.path("x"),
                detail: format!("{before:?}, {after:?}"),
            });
        }
        assert_eq!(before, after);
        Ok(after)
    });
    (answer.unwrap(), times.get())
}

#[test]
fn a_checkpoint_while_rows_are_read_is_noticed_and_no_error_of_it_is_told() {
    let env = at_rest();
    let registry = briefly(&env, 60);
    assert_eq!(read_around(&env, &registry, || promote(&env, "2")), (Some(2), 2));
    // From now on this registry is always read with locks.
    assert_eq!(registry.read(live).unwrap(), Some(2));
}

/// The pages that opening cached are of before the checkpoint, the others of after it.
#[test]
fn a_checkpoint_between_opening_and_reading_is_noticed() {
    for quietly in [false, true] {
        let env = at_rest();
        let registry = match quietly {
            false => briefly(&env, 60),
            true => with_clock(&env, 60, &Silent, |context| {
                Registry::open_quietly(&layout(&env), context).unwrap()
            }),
        };
        assert_eq!(registry.access(), Access::Immutable);
        promote(&env, "2");
        let times = Cell::new(0);
        let answer = registry.read(|reader| {
            times.set(times.get() + 1);
            live(reader)
        });
        assert_eq!((answer.unwrap(), times.get()), (Some(2), 2));
    }
}

/// A program can set the length and the time of modification back, but not the time of change.
#[test]
fn a_change_that_keeps_length_and_time_of_modification_is_noticed() {
    let env = at_rest();
    let database = env.path(".lineage/registry.db");
    let hidden_change = || {
        let before = fs::metadata(&database).unwrap();
        for version in ["2", "1", "2"] {
            promote(&env, version);
        }
        let file = File::options().append(true).open(&database).unwrap();
        file.set_modified(before.modified().unwrap()).unwrap();
        let after = fs::metadata(&database).unwrap();
        assert_eq!(before.modified().unwrap(), after.modified().unwrap());
        before.len() == after.len()
    };
    // Now and then the entries need one more page.
    let unnoticeable = (0..10).any(|_| {
        std::thread::sleep(Duration::from_millis(60));
        let registry = briefly(&env, 60);
        let same_length = Cell::new(false);
        let read = read_around(&env, &registry, || same_length.set(hidden_change()));
        assert_eq!(read, (Some(2), 2));
        same_length.get()
    });
    assert!(unnoticeable);
}

#[test]
fn a_commit_that_is_in_the_wal_file_alone_is_noticed() {
    let env = at_rest();
    let registry = briefly(&env, 60);
    let writer = rusqlite::Connection::open(env.path(".lineage/registry.db")).unwrap();
    writer.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    let _: i64 = writer.query_row("SELECT COUNT(*) FROM event", [], |row| row.get(0)).unwrap();
    let before = state(&env);
    assert_eq!(read_around(&env, &registry, || promote(&env, "2")), (Some(2), 2));
    assert_eq!(before, state(&env), "the database itself is as it was");
}

#[test]
fn another_file_under_the_same_name_is_noticed() {
    let env = at_rest();
    let database = env.path(".lineage/registry.db");
    let copy = env.path("copy.db");
    fs::copy(&database, &copy).unwrap();
    promote(&env, "2");
    std::thread::sleep(Duration::from_millis(60));
    let registry = briefly(&env, 60);
    let restore = || fs::rename(&copy, &database).unwrap();
    assert_eq!(read_around(&env, &registry, restore), (Some(1), 2));
}

/// Where nothing can be written the same is done without locks, and said as before when it cannot be.
#[test]
fn a_checkpoint_during_a_read_in_an_unwritable_folder_is_noticed() {
    let env = at_rest();
    let steps = env.root().parent().unwrap().join("steps");
    fs::write(&steps, "").unwrap();
    set_mode(&steps, 0o666);
    lock(&env, true);
    let mut command = env.command_unprivileged(&["resolve", "fraud", "--json"]);
    command
        .env("LINEAGE_TEST_STEPS", &steps)
        .env("LINEAGE_TEST_PAUSE", "looked-up:1000")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let told = || fs::read_to_string(&steps).unwrap();
    while !told().contains("looked-up") {
        std::thread::sleep(Duration::from_millis(1));
    }
    lock(&env, false);
    promote(&env, "2");
    lock(&env, true);
    let ran = env.finish(child.wait_with_output().unwrap()).ok();
    assert_eq!(ran.json()["path"], "v2/model.bin", "{ran}");
    assert_eq!(told().matches("looked-up").count(), 2, "read once more: {}", told());
    assert_eq!(ran.stdout.lines().count(), 1, "told once");
}

/// Takes the permission to write from the registry's folder and database, or gives it back.
fn lock(env: &Env, locked: bool) {
    let (folder, file) = if locked { (0o555, 0o444) } else { (0o755, 0o644) };
    set_mode(&env.path(".lineage"), folder);
    set_mode(&env.path(".lineage/registry.db"), file);
}

struct Steps(Mutex<Vec<Step>>);

impl Observer for Steps {
    fn step(&self, step: Step) {
        self.0.lock().unwrap().push(step);
    }
}

/// Promotes while bytes are read.
struct Promoting<'a>(Mutex<Command>, &'a Steps);

impl Observer for Promoting<'_> {
    fn step(&self, step: Step) {
        self.1.step(step);
    }

    fn read_bytes(&self, _: u64) {
        assert!(self.0.lock().unwrap().output().unwrap().status.success());
    }
}

#[test]
fn bytes_that_were_confirmed_are_not_read_again_for_a_later_commit() {
    let env = at_rest();
    let steps = Steps(Mutex::default());
    with_clock(&env, 60, &steps, |context| {
        let registry = Registry::open_briefly(&layout(&env), context).unwrap();
        let promote = Mutex::new(env.command(&["promote", "fraud", "--version", "2"]));
        let observer = Promoting(promote, &steps);
        let found = registry.read(|reader| {
            lineage_core::pointer::resolve(
                reader,
                &"fraud".parse().unwrap(),
                &"prod".parse().unwrap(),
                lineage_core::pointer::Check::Quickest,
                &observer,
            )
        });
        assert_eq!(found.unwrap().version, 1, "what was live when it was looked up");
    });
    let steps = steps.0.into_inner().unwrap();
    assert_eq!(steps, [Step::OpenedWithoutLocks, Step::LookedUp]);
}

#[test]
fn resolve_makes_no_file_of_sqlite_when_nobody_is_at_work() {
    let env = at_rest();
    let folder = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    let before = folder(&env.path(".lineage"));
    for arguments in [
        &["resolve", "fraud"][..],
        &["status"],
        &["log"],
        &["show", "fraud@1"],
        &["history", "fraud"],
        &["pointer", "list"],
        &["search", "model = fraud"],
        &["graph", "fraud@1"],
        &["session", "list"],
        &["resolve", "fraud", "--at", "2030-01-01"],
    ] {
        let mut command = env.command(arguments);
        command.env_remove("LINEAGE_TEST_NOW");
        env.finish(command.output().unwrap()).ok();
        assert_eq!(before, folder(&env.path(".lineage")), "{arguments:?}");
    }
}
