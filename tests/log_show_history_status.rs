//! What was recorded, what is live, and who moved it.

use serde_json::{Value, json};

use crate::support::Env;

fn project() -> Env {
    let env = Env::with_versions(3);
    env.run(&["promote", "fraud", "--version", "1", "--reason", "CHG-1"]).ok();
    env.run(&["promote", "fraud", "--version", "3"]).ok();
    env.run(&["rollback", "fraud", "--reason", "INC-7: \"drift\""]).ok();
    env
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn an_empty_registry_says_so() {
    let env = Env::new();
    insta::assert_snapshot!(env.run(&["log"]), @"Nothing is recorded yet.");
    insta::assert_snapshot!(env.run(&["pointer", "list"]), @"No pointer was ever set.");
    let status = env.json(&["status"], "lineage.status/1");
    assert_eq!(status["models"], json!([]));
    assert_eq!(env.run(&["log", "--json"]).ok().stdout, "");
    let ran = env.run(&["status"]).ok();
    assert!(ran.stdout.starts_with("No model is recorded yet."), "{ran}");
}

#[test]
fn the_log_is_newest_first_and_limited() {
    let env = project();
    insta::assert_snapshot!(env.run(&["log"]), @"
    fraud@3    2026-03-01 00:03:00Z  af72d02ddc17
    fraud@2    2026-03-01 00:02:00Z  e757817503ba
    fraud@1    2026-03-01 00:01:00Z  1bbb27b56b66
    ");
    let lines = env.json_lines(&["log", "fraud"], "lineage.log/1");
    let versions: Vec<u64> = lines.iter().map(|l| l["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, [3, 2, 1]);
    assert_eq!(
        keys(&lines[0]),
        [
            "artifact_sha256",
            "created",
            "datasets",
            "label",
            "metrics",
            "model",
            "schema",
            "session",
            "version"
        ]
    );
    assert_eq!(env.json_lines(&["log", "--limit", "2"], "lineage.log/1").len(), 2);
    for list in [&["log"][..], &["search", ""], &["session", "list"], &["history", "fraud"]] {
        for limit in ["0", "-1", "many"] {
            let arguments = [list, &["--limit", limit]].concat();
            env.refused(&arguments, 2, "usage", "expected a whole number from 1 on");
        }
    }
    assert_eq!(env.run(&["log", "-q", "--limit", "1"]).ok().stdout, "fraud@3\n");
    env.refused(&["log", "nope"], 5, "unknown-model", "nope");
}

#[test]
fn the_log_holds_sessions_without_a_version() {
    let env = project();
    env.run(&["record", "fraud", "--metric", "a=1"]).ok();
    let line = &env.json_lines(&["log"], "lineage.log/1")[0];
    assert_eq!(line["version"], json!(null));
    assert_eq!(line["artifact_sha256"], json!(null));
}

#[test]
fn history_names_every_move_with_its_reason_and_actor() {
    let env = project();
    insta::assert_snapshot!(env.run(&["history", "fraud"]), @r#"
    7  2026-03-01 00:06:00Z  prod  rollback  3 → 1     Test Person  INC-7: "drift"
    6  2026-03-01 00:05:00Z  prod  promote   1 → 3     Test Person
    5  2026-03-01 00:04:00Z  prod  promote   none → 1  Test Person  CHG-1
    "#);
    let lines = env.json_lines(&["history", "fraud"], "lineage.history/1");
    assert_eq!(
        keys(&lines[0]),
        ["action", "actor", "from", "pointer", "reason", "schema", "seq", "time", "to"]
    );
    let actions: Vec<&str> = lines.iter().map(|line| line["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["rollback", "promote", "promote"]);
    assert_eq!(lines[0]["reason"], "INC-7: \"drift\"");
    assert_eq!(lines[0]["time"], "2026-03-01T00:06:00.000000Z");
    assert_eq!(env.json_lines(&["history", "fraud", "--limit", "1"], "lineage.history/1").len(), 1);
    let none = env.json_lines(&["history", "fraud", "--pointer", "staging"], "lineage.history/1");
    assert!(none.is_empty());
    env.refused(&["history", "nope"], 5, "unknown-model", "nope");
}

#[test]
fn history_names_who_acted() {
    let env = project();
    env.run(&["promote", "fraud", "--version", "2", "--actor", "Ada <ada@example.org>"]).ok();
    let line = &env.json_lines(&["history", "fraud"], "lineage.history/1")[0];
    assert!(line["actor"].to_string().contains("Ada"), "{line}");
    let text = env.run(&["history", "fraud", "--limit", "1"]).ok().stdout;
    assert!(text.contains("Ada"), "{text}");
    env.verifies();
}

#[test]
fn status_shows_what_is_live_since_when_by_whom_and_the_way_back() {
    let env = project();
    env.run(&["promote", "fraud", "--version", "2"]).ok();
    insta::assert_snapshot!(env.run(&["status"]), @"
    fraud      newest version 3
      prod  2  v2/model.bin      since 2026-03-01 00:07:00Z  by Test Person  rollback → 1
    log: 9 entries, head 560b07c807aa
    ");
    let status = env.json(&["status", "fraud"], "lineage.status/1");
    let pointer = &status["models"][0]["pointers"][0];
    assert_eq!(pointer["version"], 2);
    assert_eq!(pointer["rollback_target"], 1);
    assert_eq!(pointer["file"]["state"], "written");
    assert_eq!(status["log_seq"], env.entries() - 1);
    env.refused(&["status", "nope"], 5, "unknown-model", "nope");
}

#[test]
fn show_tells_what_was_recorded_and_what_holds_now() {
    let env = project();
    insta::assert_snapshot!(env.run(&["show", "fraud@3"]), @"
    fraud@3
      artifact         v3/model.bin (file, 116 B)
      sha256           af72d02ddc17736ece8b0aa5f7222ae277cd216f1a071c44dc85c2536d84c116
      recorded         2026-03-01 00:03:00Z by Test Person
      session          01KJKB96S0XA2MZBSGKCCCM9VD
      reproducibility  unknown: no data was recorded
      live at          nowhere
      quarantined      prod
    ");
    let shown = env.json(&["show", "fraud@prod"], "lineage.show/1");
    assert_eq!(keys(&shown), ["at", "current", "environment", "metadata", "schema"]);
    assert_eq!(shown["metadata"]["version"], 1);
    assert_eq!(shown["current"]["pointers"], json!(["prod"]));
    assert_eq!(
        env.json(&["show", "fraud@3"], "lineage.show/1")["current"]["quarantined_on"],
        json!(["prod"])
    );
    env.refused(&["show", "fraud@9"], 5, "unknown-version", "fraud@9");
    env.refused(&["show", "fraud@staging"], 5, "unknown-version", "fraud@staging");
    env.refused(&["show", "nope@1"], 5, "unknown-model", "nope");
}

#[test]
fn show_names_transformations_and_sources() {
    let env = Env::new();
    env.write("m.bin", "x");
    env.write("t.csv", "a\n1\n");
    env.run(&[
        "record",
        "fraud",
        "--artifact",
        "m.bin",
        "--data",
        "training=t.csv",
        "--transform",
        "training=drop nulls",
        "--source",
        "training=s3://bucket/t.csv",
    ])
    .ok();
    let shown = env.json(&["show", "fraud@1"], "lineage.show/1");
    assert_eq!(shown["metadata"]["datasets"][0]["transformations"], json!(["drop nulls"]));
    assert_eq!(shown["metadata"]["datasets"][0]["source"], "s3://bucket/t.csv");
    let text = env.run(&["show", "fraud@1"]).ok().stdout;
    assert!(text.contains("drop nulls") && text.contains("s3://bucket/t.csv"), "{text}");
}

#[test]
fn a_secret_in_the_environment_never_reaches_the_registry() {
    let env = Env::new();
    env.write("m.bin", "x");
    let output = env
        .command(&["record", "fraud", "--artifact", "m.bin"])
        .env("AWS_SECRET_ACCESS_KEY", "hunter2-hunter2")
        .output()
        .unwrap();
    env.finish(output).ok();
    for (path, content) in env.files() {
        let found = content.windows(15).any(|window| window == b"hunter2-hunter2");
        assert!(!found, "{}", path.display());
    }
}

#[test]
fn names_and_mail_addresses_of_people_are_not_in_entries() {
    let env = project();
    let sql = "SELECT COUNT(*) FROM event WHERE CAST(entry AS TEXT) LIKE '%example.org%' \
               OR CAST(entry AS TEXT) LIKE '%Test Person%'";
    assert_eq!(env.query(sql), 0);
}

#[test]
fn a_terminal_escape_in_a_reason_is_shown_escaped() {
    let env = project();
    env.run(&["promote", "fraud", "--version", "2", "--reason", "a\u{1b}[2Jb"]).ok();
    let ran = env.run(&["history", "fraud"]).ok();
    assert!(!ran.stdout.contains('\u{1b}'), "{:?}", ran.stdout);
}
