//! What was live then.

use serde_json::{Value, json};

use crate::support::Env;

/// Versions 1 to 3; moves at 00:04 (1), 00:05 (3), 00:06 (back to 1, 3 quarantined), 00:07 (version 4
/// recorded), 00:08 (4, by Ada).
fn project() -> Env {
    let env = Env::with_versions(3);
    env.run(&["promote", "fraud", "--version", "1", "--reason", "CHG-1"]).ok();
    env.run(&["promote", "fraud", "--version", "3"]).ok();
    env.run(&["rollback", "fraud", "--reason", "INC-7"]).ok();
    env.write("v4/model.bin", "model number 4");
    env.run(&["record", "fraud", "--artifact", "v4/model.bin"]).ok();
    env.run(&["promote", "fraud", "--version", "4", "--actor", "Ada <ada@example.org>"]).ok();
    env
}

fn live(env: &Env, at: &str) -> Value {
    env.json(&["resolve", "fraud", "--at", at], "lineage.resolve/1")["version"].clone()
}

#[test]
fn resolve_names_what_was_live_and_reads_nothing() {
    let env = project();
    for (at, version) in [
        ("2026-03-01T00:04:00Z", 1),
        ("2026-03-01T00:04:59.999999Z", 1),
        ("2026-03-01T01:05:30+01:00", 3),
        ("2026-03-01T00:07:00Z", 1),
        ("2026-03-01", 4),
        ("2030-01-01", 4),
        ("seq:6", 3),
        ("seq:7", 1),
    ] {
        assert_eq!(live(&env, at), version, "{at}");
    }
    std::fs::remove_dir_all(env.path("v3")).unwrap();
    let found = env.json(&["resolve", "fraud", "--at", "seq:6"], "lineage.resolve/1");
    assert_eq!(found["path"], "v3/model.bin");
    assert_eq!(found["verified"], "no");
    assert_eq!(found["at"], json!({"seq": 6, "time": "2026-03-01T00:05:00.000000Z"}));
    assert_eq!(found["by"]["name"], "Test Person");
    assert_eq!(found["since"], "2026-03-01T00:05:00.000000Z");
    insta::assert_snapshot!(env.run(&["resolve", "fraud", "--at", "seq:6"]), @"
    v3/model.bin
    ------- stderr -------
    this was live then; the bytes at its path now were not read
    ");
    let version = env.json(&["resolve", "fraud@2", "--at", "seq:6"], "lineage.resolve/1");
    assert_eq!((&version["pointer"], &version["since"]), (&json!(null), &json!(null)));
    let early = ["resolve", "fraud", "--at", "2026-03-01T00:03:30Z"];
    env.refused(&early, 5, "nothing-live", "nothing is live at fraud@prod");
    env.refused(&["resolve", "fraud@4", "--at", "seq:6"], 5, "unknown-version", "fraud@4");
}

#[test]
fn status_shows_the_stack_and_quarantine_of_then() {
    let env = project();
    insta::assert_snapshot!(env.run(&["status", "--at", "2026-03-01T00:06:30Z"]), @"
    fraud      newest version 3
      prod  1  v1/model.bin      since 2026-03-01 00:06:00Z  by Test Person  nothing to roll back to
    log as of 2026-03-01 00:06:00Z: 8 entries, head b31883a39f1e
    ");
    let then = env.json(&["status", "--at", "seq:7"], "lineage.status/1");
    let pointer = &then["models"][0]["pointers"][0];
    assert_eq!(pointer["quarantined"], json!([3]));
    assert_eq!(pointer["rollback_target"], json!(null));
    assert_eq!(pointer["file"], json!(null));
    assert_eq!(then["log_seq"], 7);
    assert_eq!(then["at"]["seq"], 7);
    assert_eq!(then["models"][0]["latest"], 3);
    let now = env.json(&["status", "fraud"], "lineage.status/1");
    assert_eq!(now["at"], json!(null));
    let head = env.json(&["status", "fraud", "--at", "2026-03-02"], "lineage.status/1");
    assert_eq!(head["log_sha256"], now["log_sha256"]);
    for field in ["version", "rollback_target", "quarantined", "by", "since", "served_path"] {
        let at = |document: &Value| document["models"][0]["pointers"][0][field].clone();
        assert_eq!(at(&head), at(&now), "{field}");
    }
    env.verifies();
}

#[test]
fn show_and_history_leave_out_what_came_later() {
    let env = project();
    let shown = env.json(&["show", "fraud@3", "--at", "seq:7"], "lineage.show/1");
    assert_eq!(shown["current"]["quarantined_on"], json!(["prod"]));
    assert_eq!(shown["at"]["seq"], 7);
    let shown = env.json(&["show", "fraud@prod", "--at", "seq:6"], "lineage.show/1");
    assert_eq!(shown["metadata"]["version"], 3);
    assert_eq!(shown["current"]["pointers"], json!(["prod"]));
    let text = env.run(&["show", "fraud@prod", "--at", "seq:6"]).ok().stdout;
    assert!(text.contains("live then at     prod"), "{text}");
    env.refused(&["show", "fraud@4", "--at", "seq:7"], 5, "unknown-version", "fraud@4");
    let misspelt = ["history", "frad", "--at", "seq:7"];
    let ran = env.run(&misspelt).code(5).says("hint: did you mean fraud?");
    assert!(!ran.stderr.contains("lineage log"), "{ran}");
    insta::assert_snapshot!(env.run(&["history", "fraud", "--at", "2026-03-01T00:05:00Z"]), @"
    6  2026-03-01 00:05:00Z  prod  promote  1 → 3     Test Person
    5  2026-03-01 00:04:00Z  prod  promote  none → 1  Test Person  CHG-1
    ");
}

#[test]
fn show_draws_the_metric_of_the_version_of_then() {
    let env = Env::new();
    for number in 1..=2 {
        env.write("m.bin", format!("model {number}"));
        env.write("m.ndjson", format!("{{\"step\": 1, \"loss\": {number}}}\n"));
        let record = ["record", "fraud", "--artifact", "m.bin", "--metrics-file", "m.ndjson"];
        env.run(&record).ok();
        env.run(&["promote", "fraud", "--version", &number.to_string()]).ok();
    }
    let show = |arguments: &[&str]| {
        let arguments = [&["show", "fraud@prod", "--metric", "loss"], arguments].concat();
        env.json(&arguments, "lineage.metric/1")
    };
    let (now, then) = (show(&[]), show(&["--at", "seq:3"]));
    assert_eq!((&now["version"], &now["points"][0]["value"]), (&json!(2), &json!(2)));
    assert_eq!((&then["version"], &then["points"][0]["value"]), (&json!(1), &json!(1)));
    assert_eq!((&now["at"], &then["at"]["seq"]), (&json!(null), &json!(3)));
    let late = ["show", "fraud@2", "--metric", "loss", "--at", "seq:3"];
    env.refused(&late, 5, "unknown-version", "fraud@2");
}

#[test]
fn a_clock_that_ran_back_does_not_change_the_order() {
    let env = Env::with_versions(2);
    let promote = |version: &str, time: &str| {
        let arguments = ["promote", "fraud", "--version", version];
        env.run_with(&arguments, &[("LINEAGE_TEST_NOW", time)]).ok();
    };
    promote("1", "2026-03-01T12:00:00.000000Z");
    promote("2", "2026-03-01T09:00:00.000000Z");
    promote("1", "2026-03-01T13:00:00.000000Z");
    // At ten the first move was still to come, though the second says it was made at nine.
    env.refused(
        &["resolve", "fraud", "--at", "2026-03-01T10:00:00Z"],
        5,
        "nothing-live",
        "nothing is live",
    );
    assert_eq!(live(&env, "2026-03-01T12:00:00Z"), 2);
    assert_eq!(live(&env, "2026-03-01T13:00:00Z"), 1);
    env.verifies();
}

#[test]
fn each_state_that_was_ever_shown_is_shown_again() {
    let env = Env::with_versions(4);
    let without_files = |mut status: Value| {
        for model in status["models"].as_array_mut().unwrap() {
            // A pointer that was never set is listed only for its file.
            model["pointers"].as_array_mut().unwrap().retain(|p| !p["since"].is_null());
            for pointer in model["pointers"].as_array_mut().unwrap() {
                pointer["file"] = json!(null);
            }
        }
        status["at"] = json!(null);
        status
    };
    let status = |arguments: &[&str]| without_files(env.json(arguments, "lineage.status/1"));
    let mut seen = vec![status(&["status"])];
    for arguments in [
        &["promote", "fraud", "--version", "1"][..],
        &["promote", "fraud", "--version", "2"],
        &["promote", "fraud", "--version", "3", "--pointer", "staging"],
        &["rollback", "fraud", "--reason", "x"],
        &["promote", "fraud", "--version", "3"],
        &["record", "other", "--metric", "a=1"],
        &["rollback", "fraud", "--reason", "x", "--no-quarantine"],
        &["promote", "fraud", "--version", "2", "--allow-quarantined"],
        &["pointer", "unset", "fraud", "--yes"],
        &["rollback", "fraud", "--reason", "x"],
        &["promote", "fraud", "--version", "4"],
        &["rollback", "fraud", "--reason", "x", "--version", "1"],
    ] {
        env.run(arguments).ok();
        seen.push(status(&["status"]));
    }
    env.write("PROD_POINTER.txt", "v3/model.bin\n");
    env.run(&["promote", "fraud", "--accept-external"]).ok();
    seen.push(status(&["status"]));
    for then in seen {
        let seq = format!("seq:{}", then["log_seq"]);
        assert_eq!(status(&["status", "--at", &seq]), then, "{seq}");
    }
    env.verifies();
}

#[test]
fn a_moment_that_is_none_is_refused() {
    let env = Env::with_versions(1);
    env.refused(&["status", "--at", "2020-01-01"], 5, "not-found", "there was no registry yet");
    env.refused(&["status", "--at", "seq:99"], 5, "not-found", "there is no log entry 99");
    for bad in ["yesterday", "seq:-1", "2026-02-30", "2026-03-01T09:30"] {
        let ran = env.run(&["status", "--at", bad]).code(2);
        assert!(ran.stderr.contains("--at"), "{ran}");
    }
    let early = ["status", "fraud", "--at", "seq:0"];
    env.refused(&early, 5, "unknown-model", "there is no model \"fraud\"");
    for verb in [&["resolve", "fraud"][..], &["show", "fraud@1"], &["history", "fraud"]] {
        let ran = env.run(&[verb, &["--at", "seq:0"]].concat()).code(5);
        ran.says("as of log entry 0, 2026-")
            .says("`lineage log fraud` and `lineage history fraud`");
    }
    env.run(&["resolve", "fraud", "--at", "seq:99"]).code(5).says("hint: --at seq:");
}
