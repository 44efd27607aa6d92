//! `lineage record`: every flag, and what it leaves in the registry.

use std::fs;

use serde_json::json;

use crate::support::Env;

fn project() -> Env {
    let env = Env::new();
    env.write("model.bin", "the model's bytes");
    env.write("train.csv", "id,amount\n1,2.5\n2,3.5\n");
    env.write("test.csv", "id,amount\n9,7.5\n");
    env
}

#[test]
fn a_session_with_everything_is_shown_as_it_was_given() {
    let env = project();
    env.write("base.bin", "base");
    env.run(&["record", "base", "--artifact", "base.bin"]).ok();
    let ran = env.run(&[
        "record",
        "fraud",
        "--artifact",
        "model.bin",
        "--data",
        "training=train.csv",
        "--data",
        "test:held-out=test.csv",
        "--metric",
        "test.auc=0.93",
        "--metric",
        "loss=1e-3",
        "--param",
        "depth=6",
        "--param",
        "note=a=b",
        "--seed",
        "18446744073709551617",
        "--label",
        "1.0.0",
        "--model-type",
        "xgboost",
        "--features",
        "amount",
        "--target",
        "is_fraud",
        "--transform",
        "training=drop nulls",
        "--source",
        "training=s3://bucket/x",
        "--derived-from",
        "base@1",
        "--tag",
        "team=risk",
        "--note",
        "first",
        "--idempotency-key",
        "job-1",
    ]);
    insta::assert_snapshot!(ran, @"
    Recorded fraud@1 (1.0.0)
      artifact  model.bin                6390162f391e  17 B
      test      test.csv                 69ca1d374850  1 row × 2 columns
      training  train.csv                9f3c8c666ed2  2 rows × 2 columns
      metadata  model.bin.metadata.json
    ------- stderr -------
    hint: make it live with `lineage promote fraud --version 1`
    ");
    insta::assert_snapshot!(env.run(&["show", "fraud@1"]), @"
    fraud@1 (1.0.0)
      artifact         model.bin (file, 17 B)
      sha256           6390162f391e2c92254d3c894f520207dc75cd336d4d2244b37e1de5f785cbd2
      recorded         2026-03-01 00:02:00Z by Test Person
      session          01KJKB7C60D4N46SGJMEJK64A0
      data test        test.csv  69ca1d374850, 1 row
      data training    train.csv  9f3c8c666ed2, 2 rows
        from           s3://bucket/x
        after          drop nulls
      metric loss      0.001
      metric test.auc  0.93
      param depth      6
      param note       a=b
      model_type       xgboost
      seed             18446744073709551617
      note             first
      features         amount
      target           is_fraud
      tag team         risk
      derived from     base@1
      reproducibility  unknown: the code is not known
      live at          nowhere
    ");
    env.verifies();
}

#[test]
fn the_json_document_has_exactly_the_promised_fields() {
    let env = project();
    let document = env.json(
        &["record", "fraud", "--artifact", "model.bin", "--data", "training=train.csv"],
        "lineage.record/1",
    );
    let keys = |value: &serde_json::Value| -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(
        keys(&document),
        [
            "artifact",
            "changed",
            "datasets",
            "label",
            "metadata_path",
            "model",
            "schema",
            "session",
            "twins",
            "version",
            "warnings"
        ]
    );
    assert_eq!(keys(&document["artifact"]), ["files", "kind", "path", "sha256", "size_bytes"]);
    assert_eq!(
        keys(&document["datasets"][0]),
        ["columns", "content_sha256", "hashed", "kind", "name", "path", "role", "rows", "sha256"]
    );
    assert_eq!(document["datasets"][0]["rows"], 2);
    assert_eq!(document["datasets"][0]["columns"], 2);
    assert_eq!(document["datasets"][0]["hashed"], "bytes");
    assert_eq!(document["artifact"]["sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn quiet_prints_the_number_alone() {
    let env = project();
    let ran = env.run(&["record", "fraud", "--artifact", "model.bin", "-q"]).ok();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("1\n", ""));
}

#[test]
fn without_an_artifact_a_session_is_recorded_and_no_version() {
    let env = project();
    let ran = env.run(&["record", "fraud", "--data", "training=train.csv", "-q"]).ok();
    assert_eq!(ran.stdout.trim().len(), 26, "a ULID: {ran}");
    let document = env.json(&["record", "fraud", "--metric", "a=1"], "lineage.record/1");
    assert_eq!(document["version"], json!(null));
    assert_eq!(document["artifact"], json!(null));
    env.refused(&["show", "fraud@latest"], 5, "unknown-version", "fraud@latest");
    env.refused(&["promote", "fraud"], 5, "nothing-to-promote", "no version to promote");
    env.refused(&["record", "fraud", "--label", "x"], 2, "usage", "without an artifact");
    env.verifies();
}

#[test]
fn the_artifact_is_kept_by_digest_read_only_and_once() {
    let env = project();
    let first = env.json(&["record", "fraud", "--artifact", "model.bin"], "lineage.record/1");
    fs::copy(env.path("model.bin"), env.path("copy.bin")).unwrap();
    let second = env.json(&["record", "fraud", "--artifact", "copy.bin"], "lineage.record/1");
    assert_eq!(second["twins"], json!(["fraud@1"]));
    assert_eq!(second["warnings"][0]["code"], "twin");
    let object = env.path(".lineage/objects").join(first["artifact"]["sha256"].as_str().unwrap());
    assert_eq!(fs::read(&object).unwrap(), b"the model's bytes");
    assert!(fs::metadata(&object).unwrap().permissions().readonly());
    assert_eq!(fs::read_dir(env.path(".lineage/objects")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(env.path(".lineage/tmp")).unwrap().count(), 0);
}

#[test]
fn no_store_keeps_the_digest_alone_and_says_what_that_means() {
    let env = project();
    let ran = env.run(&["record", "fraud", "--artifact", "model.bin", "--no-store"]);
    insta::assert_snapshot!(ran, @"
    Recorded fraud@1
      artifact  model.bin      6390162f391e  17 B
      metadata  metadata.json
    ------- stderr -------
    warning: the bytes were not stored: a rollback to this version needs model.bin to stay as it is
    hint: make it live with `lineage promote fraud --version 1`
    ");
    assert_eq!(fs::read_dir(env.path(".lineage/objects")).unwrap().count(), 0);
    env.run(&["promote", "fraud"]).ok();
    env.verifies();
}

#[test]
fn a_directory_is_one_artifact_with_a_manifest() {
    let env = Env::new();
    env.write("m/model.bin", "weights ".repeat(20));
    env.write("m/sub/features.json", "[]");
    let document = env.json(&["record", "fraud", "--artifact", "m"], "lineage.record/1");
    assert_eq!(document["artifact"]["kind"], "directory");
    assert_eq!(document["artifact"]["files"], 2);
    assert_eq!(document["metadata_path"], "m/metadata.json");
    let digest = document["artifact"]["sha256"].as_str().unwrap();
    let manifest = env.read(&format!(".lineage/objects/{digest}"));
    let lines: Vec<&str> = manifest.lines().collect();
    assert_eq!(lines[0], "lineage-tree-1");
    assert!(lines[1].ends_with(" 160 model.bin"), "{manifest}");
    assert!(lines[2].ends_with(" 2 sub/features.json"), "{manifest}");
    // The metadata.json written into it is ours, and changes neither its digest nor its bytes.
    env.run(&["promote", "fraud"]).ok();
    env.run(&["resolve", "fraud"]).ok();
    env.run(&["verify", "--strict"]).ok();
    let again = env.json(&["record", "fraud", "--artifact", "m"], "lineage.record/1");
    assert_eq!(again["artifact"]["sha256"], digest);
}

#[test]
fn the_same_largest_file_in_another_directory_is_named_as_a_twin() {
    let env = Env::new();
    env.write("a/model.bin", "weights ".repeat(20));
    env.write("a/info.txt", "a");
    env.write("b/model.bin", "weights ".repeat(20));
    env.write("b/info.txt", "b");
    env.run(&["record", "fraud", "--artifact", "a"]).ok();
    let document = env.json(&["record", "fraud", "--artifact", "b"], "lineage.record/1");
    assert_eq!(document["twins"], json!(["fraud@1"]));
    assert_eq!(document["warnings"][0]["code"], "twin-file");
    assert_eq!(document["warnings"][0]["message"], "model.bin is byte for byte that of fraud@1");
}

#[test]
fn exclusions_are_part_of_the_identity() {
    let env = Env::new();
    env.write("m/model.bin", "weights");
    env.write("m/run.log", "noise");
    let record = |arguments: &[&str]| {
        env.json(&[&["record", "fraud", "--artifact", "m"], arguments].concat(), "lineage.record/1")
    };
    let whole = record(&["--dry-run"]);
    let part = record(&["--exclude", "*.log"]);
    assert_ne!(whole["artifact"]["sha256"], part["artifact"]["sha256"]);
    assert_eq!(part["artifact"]["files"], 1);
    let digest = part["artifact"]["sha256"].as_str().unwrap();
    let manifest = env.read(&format!(".lineage/objects/{digest}"));
    assert!(manifest.contains("exclude *.log\n") && !manifest.contains("run.log"), "{manifest}");
    env.write("m/run.log", "more noise");
    env.run(&["promote", "fraud"]).ok();
    env.run(&["resolve", "fraud"]).ok();
    env.write("m/other.txt", "not excluded");
    env.refused(&["resolve", "fraud"], 4, "served-differs", "other.txt");
    env.refused(&["record", "fraud", "--artifact", "m", "--exclude", "["], 2, "usage", "glob");
}

#[test]
fn the_same_bytes_in_training_and_test_are_warned_about_as_leakage() {
    let env = project();
    let document = env.json(
        &["record", "fraud", "--data", "training=train.csv", "--data", "test=train.csv"],
        "lineage.record/1",
    );
    assert_eq!(document["warnings"][0]["code"], "leakage");
}

#[test]
fn a_path_used_again_by_the_next_training_is_warned_about_loudly_when_it_is_live() {
    let env = project();
    env.run(&["record", "fraud", "--artifact", "model.bin"]).ok();
    env.run(&["promote", "fraud"]).ok();
    env.write("model.bin", "the next training's bytes");
    insta::assert_snapshot!(env.run(&["record", "fraud", "--artifact", "model.bin"]), @"
    Recorded fraud@2
      artifact  model.bin      369c92464450  25 B
      metadata  metadata.json
    ------- stderr -------
    warning: THE LIVE MODEL WAS OVERWRITTEN: fraud@prod serves fraud@1 from model.bin, and other bytes lie there now; `lineage promote fraud --version 1 --pointer prod` serves it from the object store
    warning: model.bin was recorded as fraud@1 with other bytes; its bytes are in the object store
    hint: make it live with `lineage promote fraud --version 2`
    ");
    // The pointer can still be served, from a copy.
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    let resolved = env.run(&["resolve", "fraud"]).ok().stdout;
    assert_eq!(fs::read(env.path(resolved.trim())).unwrap(), b"the model's bytes");
    env.verifies();
}

#[test]
fn metrics_and_parameters_come_from_files() {
    let env = project();
    env.write("metrics.json", r#"{"validation": {"auc": 0.9}, "loss": NaN, "run": "abc"}"#);
    env.write("params.json", r#"{"lr": 0.1, "deep": {"er": true}}"#);
    let ran = env.run(&[
        "record",
        "fraud",
        "--artifact",
        "model.bin",
        "--metrics-file",
        "metrics.json",
        "--params-file",
        "params.json",
    ]);
    ran.ok().says("not numbers, and left out of the metrics: run");
    let shown = env.json(&["show", "fraud@1"], "lineage.show/1");
    let metrics = &shown["metadata"]["metrics"];
    assert_eq!(metrics[0], json!({"split": null, "name": "loss", "value": "NaN"}));
    assert_eq!(metrics[1], json!({"split": "validation", "name": "auc", "value": 0.9}));
    assert_eq!(shown["metadata"]["params"][0]["name"], "deep.er");
    assert_eq!(shown["metadata"]["params"][1]["text"], "0.1");
}

#[test]
fn one_document_records_a_whole_session() {
    let env = project();
    let spec = json!({
        "model": "fraud", "artifact": "model.bin", "seed": 7, "label": "2.0",
        "data": [{"role": "training", "path": "train.csv", "transformations": ["a", "b"],
                  "row_range": {"first": 0, "last": 1}}],
        "metrics": {"test": {"auc": 0.5}}, "params": {"depth": 3}, "tags": {"team": "risk"},
    });
    env.write("run.json", spec.to_string());
    env.run(&["record", "--spec", "run.json", "--metric", "loss=1"]).ok();
    let shown = env.json(&["show", "fraud@2.0"], "lineage.show/1");
    assert_eq!(shown["metadata"]["metrics"].as_array().unwrap().len(), 2);
    assert_eq!(shown["metadata"]["datasets"][0]["transformations"], json!(["a", "b"]));
    env.refused(
        &["record", "other", "--spec", "run.json"],
        2,
        "usage",
        "the specification is of \"fraud\"",
    );
    env.refused(&["record", "--spec", "run.json", "--seed", "8"], 2, "usage", "seed");
    env.write("typo.json", r#"{"model": "fraud", "artefact": "model.bin"}"#);
    env.refused(&["record", "--spec", "typo.json"], 2, "usage", "artefact");
    env.write("nameless.json", "{}");
    env.refused(&["record", "--spec", "nameless.json"], 2, "usage", "names no model");
    env.verifies();
}

#[test]
fn a_specification_is_read_from_standard_input() {
    use std::io::Write as _;
    let env = project();
    let mut child = env
        .command(&["record", "--spec", "-", "-q"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let text = br#"{"model": "fraud", "artifact": "model.bin"}"#;
    child.stdin.take().unwrap().write_all(text).unwrap();
    assert_eq!(env.finish(child.wait_with_output().unwrap()).ok().stdout, "1\n");
}

#[test]
fn declared_columns_are_held_against_the_data() {
    let env = project();
    env.write("columns.txt", "id\namount\n");
    let base = ["record", "fraud", "--artifact", "model.bin", "--data", "training=train.csv"];
    env.run(&[&base[..], &["--schema", "columns.txt"]].concat()).ok();
    env.run(&[&base[..], &["--like", "fraud@1"]].concat()).ok();
    env.run(&[&base[..], &["--like", "fraud@1:training"]].concat()).ok();
    env.run(&[&base[..], &["--like", "test.csv"]].concat()).ok();
    env.write("columns.txt", "id\nprice\n");
    let arguments = [&base[..], &["--schema", "columns.txt"]].concat();
    env.refused(&arguments, 2, "not-as-declared", "column 2 is \"amount\"");
    let arguments = [&base[..], &["--like", "fraud@1:nothing"]].concat();
    env.refused(&arguments, 5, "not-found", "no dataset with known columns");
    let arguments = [&base[..], &["--like", "model.bin"]].concat();
    env.refused(&arguments, 2, "usage", "not a table");
    env.verifies();
}

#[test]
fn features_come_from_a_file() {
    let env = project();
    env.write("features.json", r#"["a", "b"]"#);
    env.run(&[
        "record",
        "fraud",
        "--artifact",
        "model.bin",
        "--features",
        "@features.json",
        "--features",
        "c",
    ])
    .ok();
    let shown = env.json(&["show", "fraud@1"], "lineage.show/1");
    assert_eq!(shown["metadata"]["features"], json!(["a", "b", "c"]));
}

#[test]
fn metadata_json_is_exactly_what_show_prints_and_never_changes() {
    let env = project();
    env.run(&["record", "fraud", "--artifact", "model.bin", "--data", "training=train.csv"]).ok();
    let before = env.read("metadata.json");
    let document: serde_json::Value = serde_json::from_str(&before).unwrap();
    assert_eq!(document["datasets"][0]["sha256"].as_str().unwrap().len(), 64);
    env.run(&["promote", "fraud"]).ok();
    assert_eq!(env.read("metadata.json"), before);
    assert_eq!(env.run(&["show", "fraud@1", "--metadata"]).ok().stdout, before);
    fs::remove_file(env.path("metadata.json")).unwrap();
    assert_eq!(env.run(&["show", "fraud@1", "--metadata"]).ok().stdout, before);
}

#[test]
fn metadata_json_makes_way_to_foreign_files() {
    let env = project();
    env.write("metadata.json", "{\"mine\": true}");
    let document = env.json(&["record", "fraud", "--artifact", "model.bin"], "lineage.record/1");
    assert_eq!(document["metadata_path"], "model.bin.metadata.json");
    assert_eq!(env.read("metadata.json"), "{\"mine\": true}");
    env.write("model.bin.metadata.json", "mine too");
    let arguments = ["record", "fraud", "--artifact", "model.bin"];
    env.refused(&arguments, 6, "metadata-foreign", "model.bin.metadata.json");
    assert_eq!(env.read("model.bin.metadata.json"), "mine too");
    env.run(&["record", "fraud", "--artifact", "model.bin", "--metadata", "elsewhere.json"]).ok();
    env.run(&["verify", "--metadata", "elsewhere.json"]).ok();
    env.run(&["record", "fraud", "--artifact", "model.bin", "--force"]).ok();
    fs::create_dir(env.path("folder")).unwrap();
    let arguments = ["record", "fraud", "--artifact", "model.bin", "--metadata", "folder"];
    env.refused(&arguments, 2, "usage", "is a folder");
}

#[test]
fn a_metadata_json_that_belongs_to_the_artifact_is_part_of_it() {
    let env = Env::new();
    env.write("m/model.bin", "weights");
    env.write("m/metadata.json", "{\"framework\": \"x\"}");
    let document = env.json(&["record", "fraud", "--artifact", "m"], "lineage.record/1");
    assert_eq!(document["artifact"]["files"], 2);
    assert_eq!(document["metadata_path"], "m.metadata.json");
    assert_eq!(env.read("m/metadata.json"), "{\"framework\": \"x\"}");
    env.run(&["verify", "--strict"]).ok();
}

#[test]
fn verbose_tells_the_steps_and_quiet_says_nothing() {
    let env = project();
    let ran = env.run(&["record", "fraud", "--artifact", "model.bin", "-v"]).ok();
    let steps: Vec<&str> =
        ran.stderr.lines().filter_map(|line| line.strip_prefix("step: ")).collect();
    insta::assert_snapshot!(steps.join(" "), @"repaired hashed objects-stored transaction-begun entry-appended committed metadata-temporary-written metadata-placed");
    env.refused_json(&["status", "-q", "-v"], 2, "usage", "cannot be used with");
}

/// The document that a dataset's details lie in.
fn table_details(env: &Env, reference: &str) -> serde_json::Value {
    let shown = env.json(&["show", reference], "lineage.show/1");
    let sha256 = shown["metadata"]["datasets"][0]["table"]["details"]["sha256"].clone();
    let object = env.read(&format!(".lineage/objects/{}", sha256.as_str().unwrap()));
    serde_json::from_str(&object).unwrap()
}

#[test]
fn tables_are_recorded_with_kinds_leaves_and_a_profile_unless_that_is_not_wanted() {
    let env = project();
    let arguments = ["record", "fraud", "--artifact", "model.bin", "--data", "training=train.csv"];
    env.run(&arguments).ok();
    let details = table_details(&env, "fraud@1");
    assert_eq!(
        (&details["schema"], &details["typing"]),
        (&"lineage.table/1".into(), &"inferred".into())
    );
    assert_eq!(details["columns"][0]["leaves"].as_array().unwrap().len(), 1);
    let profiled = &details["profile"]["columns"][0]["profile"];
    assert_eq!(profiled["count"], details["rows"]);
    env.run(&[&arguments[..], &["--no-profile"]].concat()).ok();
    assert!(table_details(&env, "fraud@2").get("profile").is_none());
    env.verifies();
}

#[test]
fn a_model_that_runs_code_is_named_and_refused_when_the_settings_say_so() {
    let env = project();
    let pickle = std::fs::read(crate::support::testdata("models/evil-global.pkl")).unwrap();
    env.write("evil.pkl", pickle);
    let arguments = ["record", "fraud", "--artifact", "evil.pkl"];
    env.run(&arguments).ok().says("warning: the artifact is dangerous: ");
    let shown = env.json(&["show", "fraud@1"], "lineage.show/1");
    let inspection = &shown["metadata"]["artifact"]["inspection"];
    assert_eq!(inspection["verdict"], "dangerous");
    let object = env
        .read(&format!(".lineage/objects/{}", inspection["details"]["sha256"].as_str().unwrap()));
    assert!(object.contains("\"schema\":\"lineage.inspection/1\""), "{object}");
    assert!(env.run(&["show", "fraud@1"]).ok().stdout.contains("dangerous"));
    env.write("lineage.toml", "[models.fraud]\nrefuse-verdict = \"suspicious\"\n");
    env.refused(&arguments, 3, "refused", "the artifact is dangerous: ");
    env.run(&["record", "other", "--artifact", "evil.pkl"]).ok();
    env.run(&["record", "fraud", "--artifact", "model.bin"]).ok();
    env.verifies();
}

#[test]
fn the_same_rows_are_leakage_whatever_the_format() {
    let env = project();
    env.write("a.csv", "id,name\n1,Ada\n2,\n");
    env.write("b.ndjson", "{\"name\":\"Ada\",\"id\":1}\n{\"id\":2}\n");
    let codes = |role: &str| {
        let data = format!("{role}=b.ndjson");
        let arguments = ["record", "fraud", "--data", "training=a.csv", "--data", &data];
        let recorded = env.json(&arguments, "lineage.record/1");
        recorded["warnings"][0]["code"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!((codes("test"), codes("training")), ("leakage".into(), "same-rows".into()));
}

#[test]
fn the_rows_that_were_used_are_recorded() {
    let env = project();
    let data = ["--data", "training=train.csv"];
    let record = |rows: &'static str| {
        [&["record", "fraud", "--artifact", "model.bin"][..], &data, &["--rows", rows]].concat()
    };
    env.run(&record("training=0..1")).ok();
    let metadata = &env.json(&["show", "fraud@1"], "lineage.show/1")["metadata"];
    assert_eq!(metadata["datasets"][0]["row_range"], json!({"first": 0, "last": 1}));
    env.refused(&record("training=5"), 2, "usage", "expected FIRST..LAST");
    env.refused(&record("test=0..1"), 2, "usage", "no --data has the role");
    env.refused(&record("training=2..1"), 2, "usage", "ends before it begins");
}

#[test]
fn a_glob_names_several_datasets_of_a_role() {
    let env = project();
    env.run(&["record", "fraud", "--artifact", "model.bin", "--data", "training=t*.csv"]).ok();
    let metadata = &env.json(&["show", "fraud@1"], "lineage.show/1")["metadata"];
    let names: Vec<_> =
        metadata["datasets"].as_array().unwrap().iter().map(|d| &d["name"]).collect();
    assert_eq!(names, ["test.csv", "train.csv"]);
    env.refused(
        &["record", "fraud", "--data", "training=x*.csv"],
        5,
        "not-found",
        "matches no file",
    );
    env.refused(
        &["record", "fraud", "--data", "training:a=t*.csv"],
        2,
        "usage",
        "one name for 2 files",
    );
}
