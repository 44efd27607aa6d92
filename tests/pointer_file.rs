//! The pointer file: formats and bases, debts, drift, and settings that change.

use std::fs;

use serde_json::{Value, json};

use crate::support::Env;

/// A project with two versions in `models/` and these settings of the model.
fn project(settings: &str) -> Env {
    let env = Env::new();
    env.write("lineage.toml", format!("[models.fraud]\n{settings}"));
    for number in 1..=2 {
        env.write(&format!("models/v{number}/model.bin"), format!("model {number}"));
        let path = format!("models/v{number}/model.bin");
        env.run(&["record", "fraud", "--artifact", &path]).ok();
    }
    env
}

fn plain() -> Env {
    project("pointer-file = \"models/PROD.txt\"\n")
}

fn status(env: &Env) -> Value {
    env.json(&["status"], "lineage.status/1")["models"][0]["pointers"][0].clone()
}

#[test]
fn the_path_format_is_one_line() {
    let env = plain();
    env.run(&["promote", "fraud"]).ok();
    assert_eq!(env.read("models/PROD.txt"), "models/v2/model.bin\n");
    env.verifies();
}

#[test]
fn the_path_can_be_relative_to_the_file_or_to_a_folder() {
    for (base, expected) in [
        ("project", "models/v2/model.bin\n"),
        ("file", "v2/model.bin\n"),
        ("models/v1", "../v2/model.bin\n"),
        ("elsewhere/deep", "../../models/v2/model.bin\n"),
    ] {
        let env = project(&format!(
            "pointer-file = \"models/PROD.txt\"\npointer-relative-to = \"{base}\"\n"
        ));
        env.run(&["promote", "fraud"]).ok();
        assert_eq!(env.read("models/PROD.txt"), expected);
        env.verifies();
    }
}

#[test]
fn the_json_format_holds_the_seven_facts() {
    let env = project("pointer-file = \"models/PROD.json\"\npointer-format = \"json\"\n");
    let moved = env.json(&["promote", "fraud"], "lineage.promote/1");
    let file: Value = serde_json::from_str(&env.read("models/PROD.json")).unwrap();
    let names: Vec<&String> = file.as_object().unwrap().keys().collect();
    assert_eq!(names, ["event_seq", "kind", "model", "path", "promoted_at", "sha256", "version"]);
    assert_eq!(file["event_seq"], moved["event_seq"]);
    assert_eq!(file["path"], "models/v2/model.bin");
    assert_eq!(file["version"], 2);
    env.verifies();
}

#[test]
fn the_template_format_fills_in_every_name() {
    let env = project(
        "pointer-file = \"models/PROD.env\"\npointer-format = \"template\"\n\
         pointer-template = \"MODEL={model} V={version} P={path} S={sha256} K={kind} \
         AT={promoted_at} SEQ={event_seq}\"\n",
    );
    let moved = env.json(&["promote", "fraud"], "lineage.promote/1");
    let text = env.read("models/PROD.env");
    let start = "MODEL=fraud V=2 P=models/v2/model.bin S=";
    assert!(text.starts_with(start) && text.ends_with('\n'), "{text}");
    assert!(text.contains(" K=file AT=2026-03-01T00:0"), "{text}");
    assert!(text.contains(&format!(" SEQ={}", moved["event_seq"])), "{text}");
    assert!(!text.contains('{'), "{text}");
    env.verifies();
}

#[test]
fn each_pointer_has_its_own_file() {
    let env = project(
        "pointer-file = \"models/PROD.txt\"\n\
         [models.fraud.pointers.staging]\nfile = \"models/STAGING.json\"\nformat = \"json\"\n",
    );
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    env.run(&["promote", "fraud", "--pointer", "staging"]).ok();
    assert_eq!(env.read("models/PROD.txt"), "models/v1/model.bin\n");
    assert!(env.read("models/STAGING.json").contains("\"version\": 2"));
    let shadow = env.json(&["promote", "fraud", "--pointer", "shadow"], "lineage.promote/1");
    assert_eq!(shadow["pointer_file"], json!(null));
    env.verifies();
}

#[test]
fn a_pointer_file_that_is_a_symlink_stays_one() {
    let env = plain();
    env.write("real/target.txt", "");
    fs::remove_file(env.path("real/target.txt")).unwrap();
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    fs::rename(env.path("models/PROD.txt"), env.path("real/target.txt")).unwrap();
    std::os::unix::fs::symlink("../real/target.txt", env.path("models/PROD.txt")).unwrap();
    env.run(&["promote", "fraud"]).ok();
    assert!(env.path("models/PROD.txt").is_symlink());
    assert_eq!(env.read("real/target.txt"), "models/v2/model.bin\n");
    env.verifies();
}

#[test]
fn typos_in_settings_name_line_and_suggestion() {
    let env = Env::with_versions(1);
    for (text, line, message) in [
        ("[modls.fraud]\n", 1, "modls"),
        ("\n[models.fraud]\npointer-fil = \"x\"\n", 3, "pointer-fil"),
        ("[models.fraud]\npointer-format = \"jsn\"\n", 2, "jsn"),
        ("[models.fraud]\nserve-from = 3\n", 2, "wanted string"),
        ("[models.fraud\n", 1, ""),
        ("[models.\"a b\"]\n", 1, "a b"),
        ("[models.fraud.pointers.latest]\nfile = \"x\"\n", 1, "latest"),
        ("[models.fraud.pointers.staging]\n", 1, "file"),
    ] {
        env.write("lineage.toml", text);
        for arguments in [&["status"][..], &["promote", "fraud"], &["record", "fraud"], &["verify"]]
        {
            env.refused(arguments, 2, "settings-invalid", &format!("lineage.toml, line {line}"));
            env.refused_json(arguments, 2, "settings-invalid", message);
        }
    }
    env.write("lineage.toml", "[models.fraud]\npointer-fil = \"x\"\n");
    env.run(&["status"]).code(2).says("did you mean `pointer-file`?");
    fs::write(env.path("lineage.toml"), b"\n\xff\n").unwrap();
    env.refused(&["status"], 2, "settings-invalid", "line 2: the file is not valid UTF-8");
    fs::remove_file(env.path("lineage.toml")).unwrap();
    env.verifies();
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let env = Env::with_versions(1);
    let mut taken = Vec::new();
    for text in [
        "[models.a]\npointer-file = \"P\"\n[models.b]\npointer-file = \"P\"\n",
        "[models.a]\npointer-file = \"P\"\n[models.b]\npointer-file = \"./P\"\n",
        "[models.a]\npointer-file = \"P\"\npointer-format = \"template\"\n",
        "[models.a]\npointer-file = \"\"\n",
        "[models.a]\npointer-file = \".lineage/registry.db\"\n",
        "[models.a]\npointer-file = \"lineage.toml\"\n",
    ] {
        env.write("lineage.toml", text);
        let ran = env.run(&["status", "--json"]);
        if ran.code == Some(0) {
            taken.push(text);
        } else {
            ran.code(2).error_code("settings-invalid");
        }
    }
    assert!(taken.is_empty(), "accepted: {taken:#?}");
}

#[test]
fn an_edit_back_to_what_the_file_held_before_is_drift() {
    for settle in [false, true] {
        let env = plain();
        env.run(&["promote", "fraud", "--version", "1"]).ok();
        env.run(&["promote", "fraud", "--version", "2"]).ok();
        if settle {
            env.run(&["record", "other", "--metric", "a=1"]).ok();
        }
        // What a person does in an emergency: put the old line back by hand.
        env.write("models/PROD.txt", "models/v1/model.bin\n");
        assert_eq!(status(&env)["file"]["state"], "drift");
        env.run(&["record", "other", "--metric", "a=2"]).ok();
        assert_eq!(env.read("models/PROD.txt"), "models/v1/model.bin\n", "never overwritten");
        let arguments = ["promote", "fraud", "--accept-external"];
        assert_eq!(env.json(&arguments, "lineage.promote/1")["to"], 1);
    }
}

#[test]
fn an_edited_file_is_drift_and_is_never_overwritten() {
    let env = plain();
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    env.write("models/PROD.txt", "models/v2/model.bin\n");
    let before = env.entries();
    for arguments in [
        &["promote", "fraud"][..],
        &["rollback", "fraud", "--reason", "x", "--version", "1"],
        &["pointer", "unset", "fraud", "--yes"],
        &["promote", "fraud", "--dry-run"],
    ] {
        let what = "models/PROD.txt was changed by something other than lineage";
        env.refused(arguments, 6, "pointer-file-drift", what);
    }
    env.run(&["promote", "fraud"]).says("--accept-external").says("--overwrite-external");
    // A command that has nothing to do with this pointer goes on, and repairs nothing.
    env.run(&["record", "other", "--metric", "a=1"]).ok();
    assert!(env.entries() > before);
    assert_eq!(env.read("models/PROD.txt"), "models/v2/model.bin\n");
    assert_eq!(status(&env)["file"]["state"], "drift");
    insta::assert_snapshot!(env.run(&["status"]), @"
    fraud      newest version 2
      prod  1  models/v1/model.bin  since 2026-03-01 00:03:00Z  by Test Person  nothing to roll back to
    other      no version yet
    log: 6 entries, head 9ffd0d277648
    ------- stderr -------
    warning: models/PROD.txt, the file of fraud@prod, was not written by lineage: it says models/v2/model.bin, which is fraud@2
    hint: `lineage promote fraud --accept-external` takes it as the truth, --overwrite-external writes over it
    ");
    let found = env.run(&["verify", "--json"]).code(4).json();
    assert_eq!(found["problems"][0]["kind"], "pointer-file-drift");
    assert_eq!(env.read("models/PROD.txt"), "models/v2/model.bin\n");
}

#[test]
fn a_deleted_file_is_drift_too() {
    let env = plain();
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    fs::remove_file(env.path("models/PROD.txt")).unwrap();
    env.refused(&["promote", "fraud"], 6, "pointer-file-drift", "models/PROD.txt");
    assert_eq!(status(&env)["file"]["state"], "drift");
    env.run(&["promote", "fraud", "--version", "1", "--overwrite-external"]).ok();
    assert_eq!(env.read("models/PROD.txt"), "models/v1/model.bin\n");
    env.verifies();
}

#[test]
fn a_file_that_was_there_before_the_first_promote_is_drift() {
    let env = plain();
    env.write("models/PROD.txt", "something\n");
    env.refused(&["promote", "fraud"], 6, "pointer-file-drift", "something");
    assert_eq!(env.read("models/PROD.txt"), "something\n");
}

#[test]
fn overwriting_an_edit_keeps_what_it_said_in_the_log() {
    let env = plain();
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    env.write("models/PROD.txt", "hand-made edit\n");
    env.run(&["promote", "fraud", "--overwrite-external"]).ok();
    assert_eq!(env.read("models/PROD.txt"), "models/v2/model.bin\n");
    let kept = "SELECT COUNT(*) FROM event WHERE CAST(entry AS TEXT) LIKE '%hand-made edit%'";
    assert_eq!(env.query(kept), 1);
    env.verifies();
}

#[test]
fn accepting_an_edit_adopts_the_version_it_names() {
    for edit in [
        "models/v2/model.bin\n",
        "models/v2/model.bin",
        "models\\v2\\model.bin\r\n",
        "v2/model.bin\n",
        "C:\\work\\models\\v2\\model.bin",
        "/srv/project/models/v2/model.bin\n",
        "{\"path\": \"models/v2/model.bin\"}",
        "{\"version\": 2}",
        "\u{feff}models/v2/model.bin\n",
    ] {
        let env = plain();
        env.run(&["promote", "fraud", "--version", "1"]).ok();
        env.write("models/PROD.txt", edit);
        let arguments = ["promote", "fraud", "--accept-external"];
        let moved = env.json(&arguments, "lineage.promote/1");
        assert_eq!((&moved["to"], &moved["changed"]), (&json!(2), &json!(true)), "{edit}");
        assert_eq!(env.json(&["resolve", "fraud"], "lineage.resolve/1")["version"], 2);
        assert_eq!(env.read("models/PROD.txt"), "models/v2/model.bin\n");
        let history = env.json_lines(&["history", "fraud"], "lineage.history/1");
        assert_eq!(history[0]["action"], "adopt");
        let moved = env.json(&["rollback", "fraud", "--reason", "x"], "lineage.rollback/1");
        assert_eq!(moved["to"], 1);
        env.verifies();
    }
}

#[test]
fn an_edit_that_names_nothing_known_cannot_be_accepted() {
    let env = plain();
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    for edit in ["models/v9/model.bin\n", "", "two\nlines\n", "\u{1}", "{\"version\": 9}"] {
        env.write("models/PROD.txt", edit);
        let arguments = ["promote", "fraud", "--accept-external"];
        env.refused(&arguments, 5, "external-unknown", "models/PROD.txt");
        assert_eq!(env.read("models/PROD.txt"), edit);
    }
    fs::write(env.path("models/PROD.txt"), b"\xff\xfe").unwrap();
    let arguments = ["promote", "fraud", "--accept-external"];
    env.refused(&arguments, 5, "external-unknown", "models/PROD.txt");
}

#[test]
fn an_edit_that_names_altered_bytes_is_refused_and_logged() {
    let env = plain();
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    env.write("models/PROD.txt", "models/v2/model.bin\n");
    env.write("models/v2/model.bin", "altered");
    let before = env.entries();
    let ran = env.run(&["promote", "fraud", "--accept-external", "--json"]);
    ran.code(4).error_code("bytes-lost");
    assert_eq!(env.entries(), before + 1);
    assert_eq!(env.json(&["resolve", "fraud"], "lineage.resolve/1")["version"], 1);
}

#[test]
fn an_edit_to_a_quarantined_version_needs_the_flag() {
    let env = plain();
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    env.run(&["promote", "fraud"]).ok();
    env.run(&["rollback", "fraud", "--reason", "x"]).ok();
    env.write("models/PROD.txt", "models/v2/model.bin");
    let arguments = ["promote", "fraud", "--accept-external"];
    env.run(&[&arguments[..], &["--json"]].concat()).code(3).error_code("quarantined");
    env.run(&[&arguments[..], &["--allow-quarantined"]].concat()).ok();
    env.verifies();
}

#[test]
fn there_is_nothing_to_accept_without_a_file_or_an_edit() {
    let env = plain();
    env.run(&["promote", "fraud"]).ok();
    let arguments = ["promote", "fraud", "--accept-external"];
    assert_eq!(env.json(&arguments, "lineage.promote/1")["changed"], false);
    let arguments = ["promote", "fraud", "--accept-external", "--pointer", "staging"];
    env.refused(&arguments, 5, "not-found", "names no pointer file for fraud@staging");
}

/// Stops a promotion right after its transaction, as `kill -9` would.
fn promote_and_die(env: &Env) {
    let output = env.command(&["promote", "fraud"]).env("LINEAGE_TEST_STOP", "committed").output();
    assert_ne!(output.unwrap().status.code(), Some(0));
}

#[test]
fn a_debt_is_reported_by_reading_and_paid_by_writing() {
    let env = plain();
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    promote_and_die(&env);
    assert_eq!(env.read("models/PROD.txt"), "models/v1/model.bin\n");
    assert_eq!(status(&env)["file"]["state"], "owed");
    env.run(&["status"]).ok().says("models/PROD.txt is not up to date");
    let found = env.run(&["verify", "--json"]).code(4).json();
    assert_eq!(found["problems"][0]["kind"], "pointer-file-owed");
    assert_eq!(env.read("models/PROD.txt"), "models/v1/model.bin\n", "readers never repair");
    env.run(&["record", "other", "--metric", "a=1"]).ok();
    assert_eq!(env.read("models/PROD.txt"), "models/v2/model.bin\n");
    assert_eq!(status(&env)["file"]["state"], "written");
    env.verifies();
}

#[test]
fn a_debt_on_a_file_that_was_edited_meanwhile_is_drift() {
    let env = plain();
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    promote_and_die(&env);
    env.write("models/PROD.txt", "edited\n");
    env.run(&["record", "other", "--metric", "a=1"]).ok();
    assert_eq!(env.read("models/PROD.txt"), "edited\n");
    assert_eq!(status(&env)["file"]["state"], "drift");
    env.refused(&["rollback", "fraud", "--reason", "x"], 6, "pointer-file-drift", "edited");
}

#[test]
fn a_rename_that_fails_after_the_commit_is_told_as_owed() {
    let env = plain();
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    let steps = env.path("steps");
    let mut child = env
        .command(&["promote", "fraud", "--json"])
        .env("LINEAGE_TEST_PAUSE", "committed:1500")
        .env("LINEAGE_TEST_STEPS", &steps)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while !fs::read_to_string(&steps).unwrap_or_default().contains("committed\n") {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it committed");
        std::thread::yield_now();
    }
    fs::remove_file(env.path("models/PROD.txt")).unwrap();
    fs::create_dir_all(env.path("models/PROD.txt/in-the-way")).unwrap();
    let ran = env.finish(child.wait_with_output().unwrap()).code(1);
    let moved = ran.json();
    assert_eq!(moved["changed"], true, "{ran}");
    assert_eq!(moved["pointer_file"]["state"], "owed", "{ran}");
    fs::remove_dir_all(env.path("models/PROD.txt")).unwrap();
    env.write("models/PROD.txt", "models/v1/model.bin\n");
    env.run(&["record", "other", "--metric", "a=1"]).ok();
    assert_eq!(env.read("models/PROD.txt"), "models/v2/model.bin\n");
    env.verifies();
}

#[test]
fn a_file_that_settings_no_longer_name_is_left_and_named() {
    let env = plain();
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    env.write("lineage.toml", "[models.fraud]\npointer-file = \"models/NEW.txt\"\n");
    let ran = env.run(&["promote", "fraud"]).ok();
    ran.says("models/PROD.txt is no longer named by lineage.toml");
    assert_eq!(env.read("models/PROD.txt"), "models/v1/model.bin\n");
    assert_eq!(env.read("models/NEW.txt"), "models/v2/model.bin\n");
    env.verifies();
}

#[test]
fn a_changed_format_is_owed_until_the_next_promote() {
    let env = plain();
    env.run(&["promote", "fraud"]).ok();
    env.write(
        "lineage.toml",
        "[models.fraud]\npointer-file = \"models/PROD.txt\"\npointer-format = \"json\"\n",
    );
    assert_eq!(status(&env)["file"]["state"], "owed");
    env.run(&["promote", "fraud"]).ok();
    let file: Value = serde_json::from_str(&env.read("models/PROD.txt")).unwrap();
    assert_eq!(file["version"], 2);
    env.verifies();
}

#[test]
fn overwriting_an_edit_keeps_what_it_said_even_when_nothing_else_moves() {
    let env = Env::with_versions(2);
    env.run(&["promote", "fraud"]).ok();
    env.write("PROD_POINTER.txt", "edited\n");
    let ran =
        env.run(&["promote", "fraud", "--version", "2", "--overwrite-external", "--json"]).ok();
    assert_eq!(ran.json()["changed"], true, "{ran}");
    assert_eq!(env.read("PROD_POINTER.txt"), "v2/model.bin\n");
    let kept =
        "SELECT COUNT(*) FROM event WHERE CAST(entry AS TEXT) LIKE '%\"text\":\"edited\\n\"%'";
    assert_eq!(env.query(kept), 1);
    env.verifies();
}
