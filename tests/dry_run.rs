//! `--dry-run` on every verb that changes something: all checks, zero bytes written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::support::Env;

/// Something for every verb to do.
fn project() -> Env {
    let env = Env::with_versions(3);
    env.write("train.csv", "a\n1\n");
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    env.run(&["promote", "fraud", "--version", "2"]).ok();
    env
}

const VERBS: [&[&str]; 10] = [
    &["init"],
    &["record", "fraud", "--artifact", "v1", "--data", "training=train.csv"],
    &["record", "other", "--metric", "a=1"],
    &["promote", "fraud"],
    &["promote", "fraud", "--pointer", "staging"],
    &["rollback", "fraud", "--reason", "x"],
    &["pointer", "unset", "fraud"],
    &["checkout", "fraud@1", "out"],
    &["checkout", "fraud@1"],
    &["adopt", "."],
];

/// What SQLite coordinates readers with: it holds no data, and comes and goes.
fn is_coordination(path: &std::path::Path, content: &[u8]) -> bool {
    path.ends_with("registry.db-shm") || (path.ends_with("registry.db-wal") && content.is_empty())
}

fn data_of(env: &Env) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = env.files();
    files.retain(|path, content| !is_coordination(path, content));
    files
}

#[test]
fn a_dry_run_changes_no_file_of_project_or_registry() {
    let env = project();
    let before = data_of(&env);
    for verb in VERBS {
        let ran = env.run(&[verb, &["--dry-run"]].concat()).ok();
        assert!(before == data_of(&env), "{verb:?}: {ran}");
    }
    let doctor = env.run(&["doctor", "--rebuild", "--dry-run"]).ok();
    assert!(before == data_of(&env), "{doctor}");
}

#[test]
fn a_dry_run_writes_zero_bytes_not_even_sqlites_own_files() {
    for verb in VERBS {
        let env = project();
        let before = env.files();
        env.run(&[verb, &["--dry-run"]].concat()).ok();
        let new: Vec<_> = env.files().into_keys().filter(|p| !before.contains_key(p)).collect();
        assert!(new.is_empty(), "{verb:?} wrote {new:?}");
        assert!(before == env.files(), "{verb:?}");
    }
}

#[test]
fn a_dry_run_tells_what_would_happen() {
    let env = project();
    let ran = env.run(&["promote", "fraud", "--dry-run"]).ok();
    assert!(ran.stdout.starts_with("fraud@prod would be moved: 2 → 3  v3/model.bin\n"), "{ran}");
    let ran = env.run(&["rollback", "fraud", "--reason", "x", "--dry-run"]).ok();
    assert!(ran.stdout.starts_with("fraud@prod would be moved: 2 → 1  v1/model.bin\n"), "{ran}");
    insta::assert_snapshot!(env.run(&["pointer", "unset", "fraud", "--dry-run"]), @"
    fraud@prod would be moved: 2 → none
      PROD_POINTER.txt would be removed
    ");
    insta::assert_snapshot!(env.run(&["record", "fraud", "--artifact", "v1", "--dry-run"]), @"
    Would record fraud@4
      artifact  v1  9388c899520b  2 files, 1.2 KiB
    ------- stderr -------
    warning: model.bin is byte for byte that of fraud@1
    ");
    insta::assert_snapshot!(env.run(&["checkout", "fraud@1", "out", "--dry-run"]), @"out/model.bin");
}

#[test]
fn a_dry_run_does_not_claim_to_have_done_anything() {
    let env = project();
    for arguments in
        [&["promote", "fraud", "--dry-run"][..], &["rollback", "fraud", "--reason=x", "--dry-run"]]
    {
        let ran = env.run(arguments).ok();
        for claim in ["PROD_POINTER.txt written", "is now quarantined"] {
            assert!(!ran.stdout.contains(claim), "{ran}");
        }
    }
    let document = env.json(&["promote", "fraud", "--dry-run"], "lineage.promote/1");
    assert_ne!(document["pointer_file"]["state"], "written");
}

#[test]
fn a_dry_run_makes_every_check() {
    let env = project();
    env.write("v3/model.bin", "altered");
    env.refused(&["promote", "fraud", "--expect", "1", "--dry-run"], 6, "pointer-moved", "fraud@2");
    env.refused(&["promote", "fraud", "--version", "9", "--dry-run"], 5, "unknown-version", "9");
    env.refused(&["rollback", "nope", "--reason", "x", "--dry-run"], 5, "unknown-model", "nope");
    env.refused(&["checkout", "fraud@9", "--dry-run"], 5, "unknown-version", "fraud@9");
    let gone = ["record", "fraud", "--artifact", "gone", "--dry-run"];
    env.refused(&gone, 5, "not-found", "gone");
    env.write("out/model.bin", "mine");
    env.refused(&["checkout", "fraud@1", "out", "--dry-run"], 6, "occupied", "out/model.bin");
    env.write("PROD_POINTER.txt", "edited");
    env.refused(&["promote", "fraud", "--dry-run"], 6, "pointer-file-drift", "edited");
}

#[test]
fn a_dry_run_says_so_in_json() {
    let env = project();
    for (verb, schema) in [
        (&["promote", "fraud"][..], "lineage.promote/1"),
        (&["rollback", "fraud", "--reason", "x"], "lineage.rollback/1"),
        (&["pointer", "unset", "fraud"], "lineage.pointer-unset/1"),
    ] {
        let document = env.json(&[verb, &["--dry-run"]].concat(), schema);
        assert_eq!(document["dry_run"], true);
        assert_eq!(document["changed"], true);
        assert_eq!(document["event_seq"], serde_json::json!(null));
    }
}
