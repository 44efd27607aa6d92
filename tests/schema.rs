//! Databases of another age, and databases that are none.

use std::fs;

use crate::support::Env;

const COMMANDS: [&[&str]; 8] = [
    &["status"],
    &["log"],
    &["resolve", "fraud"],
    &["verify"],
    &["record", "fraud", "--metric", "a=1"],
    &["promote", "fraud"],
    &["rollback", "fraud", "--reason", "x"],
    &["promote", "fraud", "--dry-run"],
];

/// Changes the closed database file and returns its bytes.
fn change(env: &Env, sql: &str) -> Vec<u8> {
    let connection = rusqlite::Connection::open(env.path(".lineage/registry.db")).unwrap();
    connection.execute_batch(sql).unwrap();
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(connection);
    fs::read(env.path(".lineage/registry.db")).unwrap()
}

#[test]
fn a_newer_schema_is_refused_untouched() {
    for sql in ["PRAGMA user_version = 99", "UPDATE projection_schema SET number = 99"] {
        let env = Env::with_versions(1);
        let before = change(&env, sql);
        for arguments in COMMANDS {
            env.refused(arguments, 1, "newer-schema", "was written by a newer lineage (schema 99");
            assert!(before == fs::read(env.path(".lineage/registry.db")).unwrap());
        }
        let ran = env.run(&["init"]);
        assert_eq!(ran.code, Some(1), "{ran}");
        env.run(&["doctor", "--rebuild"]).code(1);
        assert!(before == fs::read(env.path(".lineage/registry.db")).unwrap());
        assert!(!env.path(".lineage/backups").exists());
    }
}

#[test]
fn older_tables_are_made_again_from_the_log_after_a_backup() {
    for arguments in [
        &["status"][..],
        &["resolve", "fraud"],
        &["record", "other", "--metric", "a=1"],
        &["verify"],
    ] {
        let env = Env::with_versions(2);
        env.run(&["promote", "fraud"]).ok();
        change(
            &env,
            "UPDATE projection_schema SET number = 0; DROP TABLE tag; ALTER TABLE held RENAME TO old",
        );
        env.run(arguments).ok();
        env.verifies();
        let backups: Vec<_> = fs::read_dir(env.path(".lineage/backups")).unwrap().collect();
        assert_eq!(backups.len(), 1, "{arguments:?}");
        let backup = backups[0].as_ref().unwrap().path();
        let connection = rusqlite::Connection::open(backup).unwrap();
        let number: i64 = connection
            .query_row("SELECT number FROM projection_schema", [], |row| row.get(0))
            .unwrap();
        assert_eq!(number, 0, "the backup is from before");
    }
}

#[test]
fn tables_that_are_missing_altogether_are_made_again() {
    let env = Env::with_versions(2);
    env.run(&["promote", "fraud"]).ok();
    change(&env, "DROP TABLE projection_schema");
    assert_eq!(env.run(&["resolve", "fraud"]).ok().stdout, "v2/model.bin\n");
    env.verifies();
}

#[test]
fn a_dry_run_on_an_older_registry_does_not_upgrade_it() {
    let env = Env::with_versions(2);
    let before = change(&env, "UPDATE projection_schema SET number = 0");
    let ran = env.run(&["promote", "fraud", "--dry-run"]);
    assert!(before == fs::read(env.path(".lineage/registry.db")).unwrap(), "{ran}");
    assert!(!env.path(".lineage/backups").exists());
}

#[test]
fn an_older_registry_in_a_read_only_place_says_what_to_do() {
    let env = Env::with_versions(1);
    change(&env, "UPDATE projection_schema SET number = 0");
    for path in env.files().into_keys() {
        let path = env.path(".").join(path);
        crate::support::set_mode(&path, if path.is_dir() { 0o555 } else { 0o444 });
    }
    crate::support::set_mode(env.root(), 0o555);
    let ran = env.run_unprivileged(&["status", "--json"]);
    let ran = ran.code(1).error_code("older-read-only");
    assert!(ran.stdout.contains("older schema"), "{ran}");
}

#[test]
fn a_file_that_is_no_database_is_corrupt() {
    for content in [&b""[..], b"not a database", &[0; 100], &[0xff; 8192]] {
        let env = Env::with_versions(1);
        for name in ["registry.db-wal", "registry.db-shm"] {
            let _ = fs::remove_file(env.path(".lineage").join(name));
        }
        env.write(".lineage/registry.db", content);
        for arguments in COMMANDS {
            env.refused(arguments, 4, "registry-corrupt", "is not a sound lineage registry");
        }
        assert_eq!(fs::read(env.path(".lineage/registry.db")).unwrap(), content);
    }
}

#[test]
fn a_database_of_another_program_is_not_ours() {
    let env = Env::with_versions(1);
    let before = change(&env, "PRAGMA application_id = 7");
    for arguments in COMMANDS {
        env.refused(arguments, 4, "registry-corrupt", "belongs to another program");
    }
    assert!(before == fs::read(env.path(".lineage/registry.db")).unwrap());
}

#[test]
fn a_truncated_database_is_corrupt() {
    let env = Env::with_versions(3);
    env.run(&["promote", "fraud"]).ok();
    let whole = change(&env, "VACUUM");
    for kept in [4096, whole.len() / 2, whole.len() - 4096] {
        let _ = fs::remove_file(env.path(".lineage/registry.db-wal"));
        let _ = fs::remove_file(env.path(".lineage/registry.db-shm"));
        env.write(".lineage/registry.db", &whole[..kept]);
        let ran = env.run(&["verify", "--json"]);
        assert_eq!(ran.code, Some(4), "{kept} of {} bytes: {ran}", whole.len());
        let document = ran.json();
        let schema = document["schema"].as_str().unwrap();
        assert!(schema == "lineage.error/1" || schema == "lineage.verify/1", "{ran}");
        let ran = env.run(&["record", "fraud", "--metric", "a=1", "--json"]);
        assert_eq!(ran.code, Some(4), "{kept} of {} bytes: {ran}", whole.len());
    }
}

#[test]
fn scribbled_pages_are_found_or_reported_and_never_a_crash() {
    let env = Env::with_versions(3);
    env.run(&["promote", "fraud"]).ok();
    let whole = change(&env, "VACUUM");
    for page in 1..whole.len() / 4096 {
        let mut bytes = whole.clone();
        for byte in &mut bytes[page * 4096..page * 4096 + 64] {
            *byte = 0xA5;
        }
        let _ = fs::remove_file(env.path(".lineage/registry.db-wal"));
        let _ = fs::remove_file(env.path(".lineage/registry.db-shm"));
        env.write(".lineage/registry.db", &bytes);
        let ran = env.run(&["verify", "--json"]);
        assert_eq!(ran.code, Some(4), "page {page}: {ran}");
        assert!(ran.json()["schema"].is_string());
    }
}

#[test]
fn a_missing_database_is_no_registry() {
    let env = Env::with_versions(1);
    fs::remove_file(env.path(".lineage/registry.db")).unwrap();
    for arguments in COMMANDS {
        env.refused(arguments, 5, "no-registry", "no lineage registry");
    }
}
