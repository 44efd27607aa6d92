//! `lineage promote` and `lineage pointer`: making a version live, or nothing.

use std::fs;

use serde_json::json;

use crate::support::{Env, set_mode};

#[test]
fn the_newest_version_becomes_live_and_the_plan_is_shown() {
    let env = Env::with_versions(2);
    insta::assert_snapshot!(env.run(&["promote", "fraud", "--version", "1"]), @"
    fraud@prod none → 1  v1/model.bin
      PROD_POINTER.txt written
    ");
    insta::assert_snapshot!(env.run(&["promote", "fraud", "--reason", "CHG-1"]), @"
    fraud@prod 1 → 2  v2/model.bin
      PROD_POINTER.txt written
    ------- stderr -------
      artifact  1bbb27b56b66 → e757817503ba
      a rollback from here leads to version 1
    hint: undo: lineage rollback fraud --expect 2 --reason TEXT
    ");
    assert_eq!(env.read("PROD_POINTER.txt"), "v2/model.bin\n");
    env.verifies();
}

#[test]
fn what_differs_is_told() {
    let env = Env::new();
    env.write("train.csv", "a\n1\n");
    env.write("more.csv", "a\n1\n2\n");
    for (name, auc, depth, data) in [("a", "0.5", "3", "train.csv"), ("b", "NaN", "4", "more.csv")]
    {
        env.write(&format!("{name}.bin"), name);
        let artifact = format!("{name}.bin");
        let (metric, param) = (format!("test.auc={auc}"), format!("depth={depth}"));
        let data = format!("training={data}");
        env.run(&[
            "record",
            "fraud",
            "--artifact",
            &artifact,
            "--metric",
            &metric,
            "--param",
            &param,
            "--data",
            &data,
        ])
        .ok();
    }
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    insta::assert_snapshot!(env.run(&["promote", "fraud"]), @"
    fraud@prod 1 → 2  b.bin
    ------- stderr -------
      artifact         ca978112ca1b → 3e23e8160039
      data training    train.csv 309b0e45a73d (1 row) → more.csv d4fa155a0784 (2 rows)
      metric test.auc  0.5 → NaN
      param depth      3 → 4
      a rollback from here leads to version 1
    hint: undo: lineage rollback fraud --expect 2 --reason TEXT
    hint: services can ask `lineage resolve fraud`, or name a file in lineage.toml (pointer-file)
    ");
}

#[test]
fn the_json_document_has_the_promised_fields() {
    let env = Env::with_versions(2);
    let moved = env.json(&["promote", "fraud"], "lineage.promote/1");
    assert_eq!(moved["model"], "fraud");
    assert_eq!(moved["pointer"], "prod");
    assert_eq!(moved["from"], json!(null));
    assert_eq!(moved["to"], 2);
    assert_eq!(moved["changed"], true);
    assert_eq!(moved["event_seq"], env.entries() - 1);
    assert_eq!(moved["pointer_file"], json!({"path": "PROD_POINTER.txt", "state": "written"}));
}

#[test]
fn promoting_what_is_live_changes_nothing() {
    let env = Env::with_versions(1);
    env.run(&["promote", "fraud"]).ok();
    let before = env.entries();
    insta::assert_snapshot!(env.run(&["promote", "fraud"]), @"fraud@prod is already 1");
    let again = env.json(&["promote", "fraud", "--version", "1"], "lineage.promote/1");
    assert_eq!(again["changed"], false);
    assert_eq!(env.entries(), before);
}

#[test]
fn quiet_prints_the_version_alone() {
    let env = Env::with_versions(2);
    let ran = env.run(&["promote", "fraud", "-q"]).ok();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("2\n", ""));
}

#[test]
fn expect_lets_exactly_the_right_caller_through() {
    let env = Env::with_versions(3);
    let promote =
        |version, expect| ["promote", "fraud", "--version", version, "--expect", expect].to_vec();
    env.refused(&promote("1", "2"), 6, "pointer-moved", "fraud@prod is at none, not at fraud@2");
    env.run(&promote("1", "none")).ok();
    env.refused(&promote("2", "none"), 6, "pointer-moved", "is at fraud@1, not at none");
    env.run(&promote("2", "1")).ok();
    env.refused(&promote("3", "1"), 6, "pointer-moved", "is at fraud@2, not at fraud@1");
    env.refused(&promote("2", "1"), 6, "pointer-moved", "is at fraud@2");
    assert_eq!(env.read("PROD_POINTER.txt"), "v2/model.bin\n");
    env.verifies();
}

#[test]
fn unknown_names_are_not_found() {
    let env = Env::with_versions(1);
    env.refused(&["promote", "nope"], 5, "unknown-model", "no model \"nope\"");
    env.run(&["promote", "fruad"]).code(5).says("did you mean fraud?");
    let unknown = ["promote", "fraud", "--version", "9"];
    env.refused(&unknown, 5, "unknown-version", "there is no fraud@9");
    env.run(&unknown).says("the newest is fraud@1");
    let unknown = ["promote", "fraud", "--version", "blue"];
    env.refused(&unknown, 5, "unknown-version", "there is no fraud@blue");
    let unknown = ["promote", "fraud", "--version", "sha256:000000"];
    env.refused(&unknown, 5, "unknown-version", "there is no fraud@sha256:000000");
    let unknown = ["promote", "fraud", "--expect", "9"];
    env.refused(&unknown, 5, "unknown-version", "fraud@9");
    for bad in ["0", "1.5/2", "99999999999999999999", "sha256:xyz", "sha256:12345"] {
        env.refused(&["promote", "fraud", "--version", bad], 2, "usage", "--version");
    }
    env.verifies();
}

#[test]
fn altered_bytes_are_served_from_the_store() {
    let env = Env::with_versions(2);
    env.write("v2/model.bin", "overwritten");
    insta::assert_snapshot!(env.run(&["promote", "fraud"]), @"
    fraud@prod none → 2  .lineage/checkouts/e757817503badadcd69487f2b4cd9870775d33ea72efd40bda57dc5ba317afaf/model.bin
      served from a read-only copy out of the object store
      PROD_POINTER.txt written
    ");
    let path = env.run(&["resolve", "fraud"]).ok().stdout;
    assert_eq!(env.read("PROD_POINTER.txt"), path);
    assert!(fs::metadata(env.path(path.trim())).unwrap().permissions().readonly());
    assert!(env.read(path.trim()).starts_with("model number 2"));
    env.verifies();
}

#[test]
fn lost_bytes_are_refused_and_the_attempt_is_in_the_log() {
    let env = Env::with_versions(1);
    env.write("lost.bin", "lost");
    env.run(&["record", "fraud", "--artifact", "lost.bin", "--no-store"]).ok();
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    env.write("lost.bin", "other");
    let before = env.entries();
    let ran = env.run(&["promote", "fraud", "--json"]).code(4).error_code("bytes-lost");
    assert!(ran.stdout.contains("fraud@2 cannot be served"), "{ran}");
    assert_eq!(env.entries(), before + 1);
    env.run(&["promote", "fraud"]).code(4).says("fraud@2 cannot be served");
    fs::remove_file(env.path("lost.bin")).unwrap();
    env.run(&["promote", "fraud"]).code(4).says("lost.bin");
    let history = env.json_lines(&["history", "fraud"], "lineage.history/1");
    assert_eq!(history[0]["action"], "refuse");
    assert_eq!(history.len(), 4);
    assert_eq!(env.read("PROD_POINTER.txt"), "v1/model.bin\n");
    env.verifies();
}

#[test]
fn a_refusal_in_a_dry_run_appends_nothing() {
    let env = Env::with_versions(1);
    env.write("lost.bin", "lost");
    env.run(&["record", "fraud", "--artifact", "lost.bin", "--no-store"]).ok();
    env.write("lost.bin", "other");
    env.refused(&["promote", "fraud", "--dry-run"], 4, "bytes-lost", "fraud@2");
}

#[test]
fn a_damaged_object_is_no_source() {
    let env = Env::with_versions(1);
    env.write("v1/model.bin", "overwritten");
    for entry in fs::read_dir(env.path(".lineage/objects")).unwrap() {
        let path = entry.unwrap().path();
        set_mode(&path, 0o644);
        fs::write(path, "damaged").unwrap();
    }
    env.run(&["promote", "fraud", "--json"]).code(4).error_code("bytes-lost");
    assert!(!env.path("PROD_POINTER.txt").exists());
    assert_eq!(env.query("SELECT COUNT(*) FROM pointer"), 0);
}

#[test]
fn an_unlisted_file_in_a_directory_artifact_is_a_difference() {
    let env = Env::new();
    env.write("m/model.bin", "weights");
    env.run(&["record", "fraud", "--artifact", "m"]).ok();
    env.write("m/extra.txt", "extra");
    env.run(&["promote", "fraud"]).ok();
    let path = env.run(&["resolve", "fraud"]).ok().stdout;
    assert!(path.starts_with(".lineage/checkouts/"), "{path}");
    assert!(!env.path(path.trim()).join("extra.txt").exists());
    env.verifies();
}

#[test]
fn serve_from_checkout_never_names_the_recorded_path() {
    let env = Env::with_versions(1);
    let settings = env.read("lineage.toml") + "serve-from = \"checkout\"\n";
    env.write("lineage.toml", settings);
    env.run(&["promote", "fraud"]).ok();
    let pointer = env.read("PROD_POINTER.txt");
    assert!(pointer.starts_with(".lineage/checkouts/"), "{pointer}");
    env.write("v1/model.bin", "overwritten");
    assert_eq!(env.run(&["resolve", "fraud"]).ok().stdout, pointer);
    env.verifies();
}

#[test]
fn pointers_of_one_model_are_independent() {
    let env = Env::with_versions(2);
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    env.run(&["promote", "fraud", "--pointer", "staging"]).ok();
    assert_eq!(env.run(&["resolve", "fraud"]).ok().stdout, "v1/model.bin\n");
    assert_eq!(env.run(&["resolve", "fraud@staging"]).ok().stdout, "v2/model.bin\n");
    insta::assert_snapshot!(env.run(&["pointer", "list"]), @"
    fraud@prod     1  v1/model.bin
    fraud@staging  2  v2/model.bin
    ");
    assert_eq!(env.json_lines(&["pointer", "list", "fraud"], "lineage.pointer/1").len(), 2);
    env.refused(&["pointer", "list", "nope"], 5, "unknown-model", "nope");
}

#[test]
fn two_models_do_not_meet() {
    let env = Env::with_versions(1);
    env.write("other.bin", "other");
    env.run(&["record", "churn", "--artifact", "other.bin"]).ok();
    env.run(&["promote", "churn"]).ok();
    env.refused(&["resolve", "fraud"], 5, "nothing-live", "nothing is live at fraud@prod");
    assert!(!env.path("PROD_POINTER.txt").exists());
}

#[test]
fn unset_takes_the_pointer_and_its_file_away_and_rollback_brings_it_back() {
    let env = Env::with_versions(2);
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    env.run(&["promote", "fraud"]).ok();
    let question = "leave fraud@prod without a live version?";
    env.refused(&["pointer", "unset", "fraud"], 2, "usage", question);
    env.run(&["pointer", "unset", "fraud"]).says("--yes");
    let ran = env.run(&["pointer", "unset", "fraud", "--yes", "--reason", "incident"]);
    insta::assert_snapshot!(ran, @"
    fraud@prod 2 → none
      PROD_POINTER.txt removed
    ");
    assert!(!env.path("PROD_POINTER.txt").exists());
    env.refused(&["resolve", "fraud"], 5, "nothing-live", "fraud@prod");
    env.verifies();
    let again = env.json(&["pointer", "unset", "fraud", "--yes"], "lineage.pointer-unset/1");
    assert_eq!(again["changed"], false);
    let back = env.json(&["rollback", "fraud", "--reason", "x"], "lineage.rollback/1");
    assert_eq!((&back["from"], &back["to"]), (&json!(null), &json!(2)));
    assert_eq!(env.read("PROD_POINTER.txt"), "v2/model.bin\n");
    env.refused(&["pointer", "unset", "nope", "--yes"], 5, "unknown-model", "nope");
    env.verifies();
}

#[test]
fn an_unwritable_folder_of_the_pointer_file_fails_before_anything_moves() {
    let env = Env::empty();
    env.run(&["init", "--pointer-file", "fraud=models/PROD.txt"]).ok();
    env.write("m.bin", "x");
    env.run(&["record", "fraud", "--artifact", "m.bin"]).ok();
    // A file stands where the folder should be: nobody, not even root, can write below it.
    env.write("models", "a file");
    let before = env.entries();
    let ran = env.run(&["promote", "fraud", "--json"]).code(1).error_code("failure");
    assert!(ran.stdout.contains("models"), "{ran}");
    assert_eq!(env.entries(), before);
    env.refused(&["resolve", "fraud"], 5, "nothing-live", "fraud@prod");
    fs::remove_file(env.path("models")).unwrap();
    env.run(&["promote", "fraud"]).ok();
    env.verifies();
}

#[test]
fn the_pointer_file_keeps_its_permissions() {
    use std::os::unix::fs::PermissionsExt as _;
    let env = Env::with_versions(2);
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    set_mode(&env.path("PROD_POINTER.txt"), 0o640);
    env.run(&["promote", "fraud"]).ok();
    let mode = fs::metadata(env.path("PROD_POINTER.txt")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[test]
fn accept_and_overwrite_exclude_each_other() {
    let env = Env::with_versions(1);
    let both = ["promote", "fraud", "--accept-external", "--overwrite-external"];
    env.refused(&both, 2, "usage", "cannot be used with");
}
