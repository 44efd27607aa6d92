//! Where a file went.

use serde_json::{Value, json};

use crate::support::Env;

/// Three versions of `fraud`: two on the same rows in two encodings, one derived from the first.
fn project() -> Env {
    let env = Env::new();
    env.write("train.csv", "a,b\n1,2\n3,4\n");
    env.write("train.ndjson", "{\"a\":1,\"b\":2}\n{\"a\":3,\"b\":4}\n");
    for number in 1..=3 {
        env.write(&format!("v{number}/model.bin"), format!("model {number} {}", "x".repeat(80)));
    }
    let record = |arguments: &[&str]| env.run(&[&["record", "fraud"], arguments].concat()).ok();
    record(&["--artifact", "v1", "--data", "training=train.csv"]);
    record(&["--artifact", "v2/model.bin", "--data", "test=train.ndjson"]);
    record(&["--artifact", "v3", "--derived-from", "fraud@1"]);
    record(&["--metric", "a=1", "--data", "training=train.csv"]);
    for version in ["1", "3", "2"] {
        env.run(&["promote", "fraud", "--version", version]).ok();
    }
    env
}

fn names(document: &Value, list: &str) -> String {
    let name = |row: &Value| format!("{} {}", row["version"], row["by"].as_str().unwrap());
    document[list].as_array().unwrap().iter().map(name).collect::<Vec<_>>().join(", ")
}

#[test]
fn data_is_followed_by_bytes_and_content_to_every_pointer() {
    let env = project();
    insta::assert_snapshot!(env.run(&["impact", "train.csv"]), @"
    train.csv
      sha256   b9485148546419a0f6a85e8d708c923557c15d7f3c7d078ef1fa7f7c0f57d5a5
      content  73ccfdcd9739f7183cb29f04fd32618d96bdb8557ea25b84520fafb4eb59021b
    used as data by
      fraud@1             training  bytes    2026-03-01 00:01:00Z  train.csv
      fraud@2             test      content  2026-03-01 00:02:00Z  train.ndjson
      fraud (no version)  training  bytes    2026-03-01 00:04:00Z  train.csv
    from which were made
      fraud@3  from fraud@1  bytes  2026-03-01 00:03:00Z
    live at
      fraud@prod  1  bytes    since 2026-03-01 00:05:00Z  until 2026-03-01 00:06:00Z  by Test Person
      fraud@prod  3  bytes    since 2026-03-01 00:06:00Z  until 2026-03-01 00:07:00Z  by Test Person
      fraud@prod  2  content  since 2026-03-01 00:07:00Z  now                         by Test Person
    ");
    let found = env.json(&["impact", "train.csv"], "lineage.impact/1");
    assert_eq!(names(&found, "datasets"), "1 bytes, 2 content, null bytes");
    assert_eq!(found["subject"]["path"], "train.csv");
    assert_eq!(found["derived"][0]["from"], "fraud@1");
    let live: Vec<_> =
        found["pointers"].as_array().unwrap().iter().map(|p| &p["version"]).collect();
    assert_eq!(live, [&json!(1), &json!(3), &json!(2)]);
    assert_eq!(found["pointers"][0]["until"]["seq"], found["pointers"][1]["since"]["seq"]);
    assert_eq!(found["pointers"][2]["until"], json!(null));
    let digest = found["subject"]["content_sha256"].as_str().unwrap();
    let by_content = env.json(&["impact", digest], "lineage.impact/1");
    assert_eq!(names(&by_content, "datasets"), "1 content, 2 content, null content");
    assert_eq!(by_content["subject"]["content_sha256"], digest);
    assert_eq!(by_content["subject"]["sha256"], json!(null));
    assert_eq!(env.run(&["impact", "train.csv", "-q"]).ok().stdout, "fraud@1\nfraud@2\nfraud@3\n");
}

#[test]
fn sessions_that_are_open_or_failed_used_the_data_too() {
    let env = Env::new();
    env.write("train.csv", "a,b\n1,2\n3,4\n");
    env.write("train.ndjson", "{\"a\":1,\"b\":2}\n{\"a\":3,\"b\":4}\n");
    let start = |data: &str| {
        let arguments = ["session", "start", "fraud", "--data", data, "-q"];
        env.run(&arguments).ok().stdout.trim().to_owned()
    };
    let (failed, open, completed) =
        (start("training=train.csv"), start("test=train.ndjson"), start("training=train.csv"));
    env.run(&["session", "fail", "--session", &failed, "--reason", "out of memory"]).ok();
    env.run(&["session", "complete", "--session", &completed]).ok();
    insta::assert_snapshot!(env.run(&["impact", "train.csv"]), @"
    train.csv
      sha256   b9485148546419a0f6a85e8d708c923557c15d7f3c7d078ef1fa7f7c0f57d5a5
      content  73ccfdcd9739f7183cb29f04fd32618d96bdb8557ea25b84520fafb4eb59021b
    used as data by
      fraud (failed)      training  bytes    2026-03-01 00:01:00Z  train.csv
      fraud (open)        test      content  2026-03-01 00:02:00Z  train.ndjson
      fraud (no version)  training  bytes    2026-03-01 00:05:00Z  train.csv
    It was never live.
    ");
    let found = env.json(&["impact", "train.csv"], "lineage.impact/1");
    let of = |name: &str| {
        let rows = found["datasets"].as_array().unwrap().iter();
        rows.map(|row| row[name].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of("session"), [failed, open, completed]);
    assert_eq!(of("state"), ["failed", "open", "completed"]);
    std::fs::remove_file(env.path("train.csv")).unwrap();
    let by_path = env.json(&["impact", "train.csv"], "lineage.impact/1");
    assert_eq!(names(&by_path, "datasets"), "null path, null path");
    env.run(&["doctor", "--rebuild"]).ok();
    assert_eq!(env.json(&["impact", "train.csv"], "lineage.impact/1"), by_path);
    env.verifies();
}

#[test]
fn a_changed_or_lost_file_is_found_by_its_path_and_this_is_said() {
    let env = project();
    env.write("train.csv", "a,b\n9,9\n");
    insta::assert_snapshot!(env.run(&["impact", "train.csv"]), @"
    train.csv
      sha256   d7c486d9c302ca7f3d69629fab6fb780cfa78d1fac78c5a828415ddde115a094
      content  768f5760a39bd9cff78e9e67a9b0c0d9038d6b39815aed21d8ec7ac00be55716
    used as data by
      fraud@1             training  path only  2026-03-01 00:01:00Z  train.csv
      fraud (no version)  training  path only  2026-03-01 00:04:00Z  train.csv
    from which were made
      fraud@3  from fraud@1  path only  2026-03-01 00:03:00Z
    live at
      fraud@prod  1  path only  since 2026-03-01 00:05:00Z  until 2026-03-01 00:06:00Z  by Test Person
      fraud@prod  3  path only  since 2026-03-01 00:06:00Z  until 2026-03-01 00:07:00Z  by Test Person
    ------- stderr -------
    warning: train.csv held other bytes in 2 records; only the path is the same there
    ");
    std::fs::remove_file(env.path("train.csv")).unwrap();
    let ran = env.run(&["impact", "train.csv"]).ok().says("train.csv is gone");
    assert!(ran.stdout.contains("path only"), "{ran}");
    env.refused(&["impact", "nothing/here.csv"], 5, "not-found", "nothing/here.csv");
}

#[test]
fn a_model_file_is_followed_to_its_versions_and_those_made_from_it() {
    let env = project();
    insta::assert_snapshot!(env.run(&["impact", "v1/model.bin"]), @"
    v1/model.bin
      sha256  2ec456dd1629185eb1e802a12a3ccfcb5e603969900de9fd73d5f085d5a80b4c
    is the model of
      fraud@1  file  2026-03-01 00:01:00Z  v1
    from which were made
      fraud@3  from fraud@1  file  2026-03-01 00:03:00Z
    live at
      fraud@prod  1  file  since 2026-03-01 00:05:00Z  until 2026-03-01 00:06:00Z  by Test Person
      fraud@prod  3  file  since 2026-03-01 00:06:00Z  until 2026-03-01 00:07:00Z  by Test Person
    ");
    // The folder is the artifact; lineage's own metadata.json in it does not count.
    let folder = env.json(&["impact", "v1"], "lineage.impact/1");
    assert_eq!(names(&folder, "artifacts"), "1 bytes");
    let file = env.json(&["impact", "v2/model.bin"], "lineage.impact/1");
    assert_eq!(names(&file, "artifacts"), "2 bytes");
    env.write("copy.bin", env.read("v1/model.bin"));
    env.run(&["record", "twin", "--artifact", "copy.bin"]).ok();
    let folder = env.json(&["impact", "v1"], "lineage.impact/1");
    assert_eq!(names(&folder, "artifacts"), "1 bytes, 1 file");
}

#[test]
fn what_was_never_recorded_reached_nothing() {
    let env = project();
    env.write("other.csv", "a\n1\n");
    let ran = env.run(&["impact", "other.csv"]).ok();
    assert!(ran.stdout.ends_with("No session and no version is known to have held it.\n"), "{ran}");
    let none = env.json(&["impact", "sha256:00000000"], "lineage.impact/1");
    assert_eq!(none["datasets"], json!([]));
    env.refused(&["impact", "sha256:xyz"], 2, "usage", "is no digest");
}

#[test]
fn a_pointer_that_was_taken_away_or_promoted_again() {
    let env = project();
    env.run(&["promote", "fraud", "--version", "2"]).ok();
    env.run(&["promote", "fraud", "--version", "2", "--pointer", "staging"]).ok();
    env.run(&["pointer", "unset", "fraud", "--yes"]).ok();
    let found = env.json(&["impact", "v2/model.bin"], "lineage.impact/1");
    let times: Vec<(&str, bool)> = found["pointers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| (p["pointer"].as_str().unwrap(), p["until"].is_null()))
        .collect();
    assert_eq!(times, [("prod", false), ("staging", true)]);
}

#[test]
fn a_prefix_of_two_digests_is_ambiguous() {
    let env = Env::new();
    // Two files whose digests begin with the same six digits.
    env.write("a.txt", "4163");
    env.write("b.txt", "8864");
    let digest = |path: &str| {
        let found = env.json(&["fingerprint", path], "lineage.fingerprint/1");
        found["sha256"].as_str().unwrap().to_owned()
    };
    let (a, b) = (digest("a.txt"), digest("b.txt"));
    env.run(&["record", "m", "--data", "x=a.txt", "--data", "y=b.txt", "--metric", "a=1"]).ok();
    assert_eq!(a[..6], b[..6]);
    env.refused(&["impact", &format!("sha256:{}", &a[..6])], 5, "ambiguous", "begin so");
}
