//! Reading where one cannot write, and the clear refusal to write there.

use std::fs;
use std::path::Path;

use crate::support::{Env, Ran, set_mode};

/// A live project whose registry cannot be written by the user who runs the commands.
fn read_only() -> Env {
    let env = Env::with_versions(2);
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    env.run(&["promote", "fraud"]).ok();
    for name in ["registry.db-wal", "registry.db-shm"] {
        let _ = fs::remove_file(env.path(".lineage").join(name));
    }
    lock(&env);
    env
}

/// Takes write permission from every folder and file of the project.
fn lock(env: &Env) {
    let mut paths: Vec<_> = env.files().into_keys().map(|path| env.path(".").join(path)).collect();
    paths.push(env.root().to_owned());
    for path in paths {
        set_mode(&path, if path.is_dir() { 0o555 } else { 0o444 });
    }
}

const READING: [&[&str]; 16] = [
    &["resolve", "fraud"],
    &["status"],
    &["log"],
    &["search", "model = fraud"],
    &["impact", "v1/model.bin"],
    &["graph", "fraud@1"],
    &["resolve", "fraud", "--at", "2030-01-01"],
    &["status", "--at", "seq:3"],
    &["show", "fraud@1"],
    &["history", "fraud"],
    &["pointer", "list"],
    &["verify"],
    &["fingerprint", "v1"],
    &["inspect", "v1/model.bin"],
    &["doctor"],
    &["promote", "fraud", "--version", "1", "--dry-run"],
];

#[test]
fn every_reading_command_works_on_a_closed_registry_in_a_read_only_place() {
    let env = read_only();
    for arguments in READING {
        env.run_unprivileged(arguments).ok();
    }
    let resolved = env.run_unprivileged(&["resolve", "fraud"]).ok();
    assert_eq!(resolved.stdout, "v2/model.bin\n");
}

#[test]
fn a_read_only_place_is_not_written_to() {
    let env = read_only();
    let before = env.files();
    for arguments in READING {
        let _ = env.run_unprivileged(arguments).ok();
    }
    assert!(before == env.files());
}

#[test]
fn every_writing_command_is_refused_with_one_clear_message() {
    let env = read_only();
    for arguments in [
        &["record", "fraud", "--metric", "a=1"][..],
        &["record", "fraud", "--artifact", "v1/model.bin"],
        &["promote", "fraud", "--version", "1"],
        &["rollback", "fraud", "--reason", "x"],
        &["pointer", "unset", "fraud", "--yes"],
        &["checkout", "fraud@1"],
        &["doctor", "--rebuild"],
    ] {
        let ran = env.run_unprivileged(arguments).code(1);
        assert_eq!(ran.stderr.matches("error: ").count(), 1, "{ran}");
        assert!(ran.stderr.contains("read-only"), "{arguments:?}: {ran}");
        let json = env.run_unprivileged(&[arguments, &["--json"]].concat());
        json.code(1).error_code("read-only");
    }
    let ran = env.run_unprivileged(&["resolve", "fraud"]).ok();
    assert_eq!(ran.stdout, "v2/model.bin\n");
}

#[test]
fn init_in_a_read_only_place_is_refused() {
    let env = Env::empty();
    set_mode(env.root(), 0o555);
    let ran = env.run_unprivileged(&["init", "--json"]).code(1).error_code("read-only");
    assert!(ran.stdout.contains(".lineage"), "{ran}");
    assert!(env.files().is_empty());
}

/// Copies the registry's files of these endings into a read-only project elsewhere.
fn copy_of(env: &Env, endings: &[&str]) -> Env {
    let copy = Env::empty();
    fs::create_dir(copy.path(".lineage")).unwrap();
    for ending in endings {
        let name = format!(".lineage/registry.db{ending}");
        fs::copy(env.path(&name), copy.path(&name)).unwrap();
    }
    for folder in ["v1", "v2"] {
        copy.write(&format!("{folder}/model.bin"), env.read(&format!("{folder}/model.bin")));
    }
    lock(&copy);
    copy
}

/// Keeps the registry open and leaves version 2's promotion in the -wal file alone.
fn with_live_writer(work: impl FnOnce(&Env)) {
    let env = Env::with_versions(2);
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    let open = rusqlite::Connection::open(env.path(".lineage/registry.db")).unwrap();
    open.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    let rows: i64 = open.query_row("SELECT COUNT(*) FROM event", [], |row| row.get(0)).unwrap();
    env.run(&["promote", "fraud"]).ok();
    assert!(fs::metadata(env.path(".lineage/registry.db-wal")).unwrap().len() > 0);
    assert!(rows > 0);
    work(&env);
    drop(open);
}

#[test]
fn a_live_writer_elsewhere_is_seen_by_a_reader_who_cannot_write() {
    with_live_writer(|env| {
        lock(env);
        let ran = env.run_unprivileged(&["resolve", "fraud"]).ok();
        assert_eq!(ran.stdout, "v2/model.bin\n", "the newest commit is in the -wal alone");
        env.run_unprivileged(&["verify"]).ok();
    });
}

#[test]
fn a_copy_with_wal_and_shm_shows_the_newest_commit() {
    with_live_writer(|env| {
        let copy = copy_of(env, &["", "-wal", "-shm"]);
        let ran = copy.run_unprivileged(&["resolve", "fraud"]).ok();
        assert_eq!(ran.stdout, "v2/model.bin\n");
    });
}

#[test]
fn a_copy_with_wal_but_no_shm_is_refused_with_what_to_do() {
    with_live_writer(|env| {
        let copy = copy_of(env, &["", "-wal"]);
        for arguments in [&["resolve", "fraud"][..], &["verify"], &["log"]] {
            let ran = copy.run_unprivileged(arguments).code(1);
            assert!(ran.stderr.contains("-shm file needed to read them is missing"), "{ran}");
            let json = copy.run_unprivileged(&[arguments, &["--json"]].concat());
            json.code(1).error_code("lacks-shm");
        }
        let ran = copy.run_unprivileged(&["status"]);
        assert!(ran.stderr.contains("hint: copy .lineage whole"), "{ran}");
    });
}

#[test]
fn a_copy_with_wal_but_no_shm_where_one_can_write_is_read_in_full() {
    with_live_writer(|env| {
        let copy = Env::empty();
        fs::create_dir(copy.path(".lineage")).unwrap();
        for name in [".lineage/registry.db", ".lineage/registry.db-wal"] {
            fs::copy(env.path(name), copy.path(name)).unwrap();
        }
        copy.write("v2/model.bin", env.read("v2/model.bin"));
        assert_eq!(copy.run(&["resolve", "fraud"]).ok().stdout, "v2/model.bin\n");
    });
}

#[test]
fn a_copy_with_an_empty_wal_is_read() {
    let env = Env::with_versions(2);
    env.run(&["promote", "fraud"]).ok();
    env.write(".lineage/registry.db-wal", "");
    let copy = copy_of(&env, &["", "-wal"]);
    assert_eq!(copy.run_unprivileged(&["resolve", "fraud"]).ok().stdout, "v2/model.bin\n");
}

#[test]
fn a_copy_of_the_database_alone_is_read_as_of_its_last_checkpoint() {
    let env = Env::with_versions(2);
    env.run(&["promote", "fraud"]).ok();
    let copy = copy_of(&env, &[""]);
    assert_eq!(copy.run_unprivileged(&["resolve", "fraud"]).ok().stdout, "v2/model.bin\n");
}

#[test]
fn a_registry_that_nobody_may_read_is_a_clear_error() {
    let env = Env::with_versions(1);
    set_mode(&env.path(".lineage/registry.db"), 0o000);
    let ran = env.run_unprivileged(&["status", "--json"]).code(1);
    let code = ran.json()["error"]["code"].clone();
    assert!(code == "read-only" || code == "failure", "{ran}");
    assert!(ran.stdout.contains("registry.db"), "which file? {ran}");
}

#[test]
fn an_artifact_in_a_folder_where_metadata_cannot_be_written_is_refused_before_anything_happens() {
    let env = Env::with_versions(1);
    env.write("locked/model.bin", "x");
    open_up(env.root());
    set_mode(&env.path("locked"), 0o555);
    let before = env.entries();
    let arguments = ["record", "fraud", "--artifact", "locked/model.bin"];
    let ran: Ran = env.run_unprivileged(&[&arguments[..], &["--json"]].concat());
    ran.code(1).error_code("read-only");
    assert_eq!(env.entries(), before);
    let elsewhere = [&arguments[..], &["--metadata", "elsewhere.json"]].concat();
    env.run_unprivileged(&elsewhere).ok();
}

/// Lets everybody write below a folder.
fn open_up(folder: &Path) {
    set_mode(folder, 0o777);
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            open_up(&path);
        } else {
            set_mode(&path, 0o666);
        }
    }
}
