//! `lineage verify`: every kind of damage is found, and named.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Env, set_mode};

/// Two versions with data, metrics and a live pointer: something to damage of every kind.
fn project() -> Env {
    let env = Env::empty();
    env.run(&["init", "--pointer-file", "fraud=PROD.txt"]).ok();
    for number in ["1", "2"] {
        env.write(&format!("v{number}/model.bin"), format!("model {number}"));
        env.write("train.csv", "a\n1\n");
        let artifact = format!("v{number}");
        let arguments = [
            "record",
            "fraud",
            "--artifact",
            &artifact,
            "--data",
            "training=train.csv",
            "--metric",
            "auc=0.5",
            "--param",
            "depth=3",
            "--tag",
            "team=risk",
        ];
        env.run(&arguments).ok();
        env.run(&["promote", "fraud"]).ok();
    }
    env.run(&["verify", "--strict"]).ok();
    env
}

/// Every problem, as `kind subject: detail`; the exit code must be that of damage.
#[track_caller]
fn problems(env: &Env) -> Vec<String> {
    let document = env.run(&["verify", "--json"]).code(4).json();
    assert_eq!(document["ok"], false);
    assert_eq!(document["schema"], "lineage.verify/1");
    env.run(&["verify"]).code(4);
    listed(&document)
}

fn listed(document: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    document["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| format!("{} {}: {}", text(&p["kind"]), text(&p["subject"]), text(&p["detail"])))
        .collect()
}

#[track_caller]
fn one_names(problems: &[String], parts: &[&str]) {
    let found = problems.iter().any(|problem| parts.iter().all(|part| problem.contains(part)));
    assert!(found, "{parts:?} in none of {problems:#?}");
}

/// Runs SQL with a table's triggers out of the way, and puts them back as they were.
fn sql_past_triggers(env: &Env, table: &str, sql: &str) {
    let connection = rusqlite::Connection::open(env.path(".lineage/registry.db")).unwrap();
    let mut statement = connection
        .prepare("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?1")
        .unwrap();
    let triggers: Vec<(String, String)> = statement
        .query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    for (name, _) in &triggers {
        connection.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    connection.execute_batch(sql).unwrap();
    for (_, definition) in &triggers {
        connection.execute_batch(definition).unwrap();
    }
}

fn objects(env: &Env) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(env.path(".lineage/objects"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    found.sort();
    found
}

#[test]
fn a_sound_registry_is_internally_consistent_and_no_more_is_claimed() {
    let env = project();
    insta::assert_snapshot!(env.run(&["verify"]), @"
    checked 6 log entries, 28 rows, 2 artifacts, 2 datasets, 1 pointer file, 2 metadata files
    internally consistent; completeness not proven
    ");
    let document = env.json(&["verify"], "lineage.verify/1");
    let names: Vec<&String> = document["checked"].as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        ["artifacts", "datasets", "events", "metadata_files", "pointer_files", "rows"]
    );
    assert_eq!(env.run(&["verify", "-q"]).ok().stdout, "ok\n");
    env.run(&["verify", "--all"]).ok();
    env.refused(&["verify", "--all", "fraud@1"], 2, "usage", "cannot be used with");
    env.refused(&["verify", "fraud@9"], 5, "unknown-version", "fraud@9");
}

#[test]
fn a_flipped_byte_in_any_object_is_found() {
    let env = project();
    let objects = objects(&env);
    assert_eq!(objects.len(), 5, "two models, two manifests, what is in a table");
    for path in objects {
        let sound = fs::read(&path).unwrap();
        set_mode(&path, 0o644);
        for at in [0, sound.len() / 2, sound.len() - 1] {
            let mut bytes = sound.clone();
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
            one_names(&problems(&env), &["object-damaged", "fraud@"]);
        }
        fs::write(&path, &sound[..sound.len() - 1]).unwrap();
        one_names(&problems(&env), &["object-damaged", "fraud@"]);
        fs::remove_file(&path).unwrap();
        one_names(&problems(&env), &["object-missing", "fraud@"]);
        fs::write(&path, sound).unwrap();
        env.verifies();
    }
}

#[test]
fn triggers_refuse_to_change_what_is_recorded() {
    let env = project();
    for table in [
        "event",
        "session",
        "version",
        "dataset_use",
        "metric",
        "parameter",
        "tag",
        "person",
        "pointer_history",
    ] {
        let deleted = env.sql(&format!("DELETE FROM {table}")).unwrap_err();
        assert!(deleted.to_string().contains("cannot be deleted"), "{table}: {deleted}");
        let column = env.query(&format!("SELECT COUNT(*) FROM pragma_table_info('{table}')"));
        assert!(column > 0, "{table}");
        let updated = env.sql(&format!("UPDATE {table} SET rowid = rowid"));
        let other = match table {
            "event" => "UPDATE event SET sha256 = 'x'",
            "session" => "UPDATE session SET person = 'x'",
            "version" => "UPDATE version SET sha256 = 'x'",
            "dataset_use" => "UPDATE dataset_use SET sha256 = 'x'",
            "metric" => "UPDATE metric SET value = 1",
            "parameter" => "UPDATE parameter SET text = 'x'",
            "tag" => "UPDATE tag SET value = 'x'",
            "person" => "UPDATE person SET commitment = 'x'",
            _ => "UPDATE pointer_history SET reason = 'x'",
        };
        assert!(updated.is_err(), "{table}");
        let updated = env.sql(other).unwrap_err();
        assert!(updated.to_string().contains("cannot be changed"), "{table}: {updated}");
    }
    let gap = env.sql("INSERT INTO event VALUES (99, x'00', 'y')").unwrap_err();
    assert!(gap.to_string().contains("wrong event number"), "{gap}");
    env.verifies();
}

#[test]
fn an_edited_row_of_any_table_is_found_and_named() {
    for (table, sql, named) in [
        ("version", "UPDATE version SET sha256 = 'ab' WHERE number = 1", "number=1"),
        ("version", "UPDATE version SET path = 'x' WHERE number = 1", "path is x"),
        ("version", "UPDATE version SET stored = 0 WHERE number = 2", "number=2"),
        ("session", "UPDATE session SET person = 'x'", "person is x"),
        ("dataset_use", "UPDATE dataset_use SET rows = 5", "rows is 5"),
        ("metric", "UPDATE metric SET value = 0.9", "value is 0.9"),
        ("parameter", "UPDATE parameter SET text = '9'", "text is 9"),
        ("tag", "UPDATE tag SET value = 'x'", "value is x"),
        ("person", "UPDATE person SET commitment = 'x'", "commitment is x"),
        ("pointer", "UPDATE pointer SET version = 1", "version is 1, the log says 2"),
        ("pointer", "UPDATE pointer SET served_path = 'v1'", "served_path is v1"),
        ("holding", "UPDATE holding SET version = 1", "holding"),
        ("held", "UPDATE held SET first_seq = 99 WHERE version = 1", "held"),
        ("pointer_history", "UPDATE pointer_history SET reason = 'x'", "reason is x"),
        ("model", "UPDATE model SET created_seq = 99", "created_seq is 99"),
        ("projection_schema", "INSERT INTO projection_schema VALUES (0)", "projection_schema"),
    ] {
        let env = project();
        sql_past_triggers(&env, table, sql);
        one_names(&problems(&env), &[table, named]);
        env.run(&["verify", "fraud@1"]).code(4);
    }
}

#[test]
fn an_inserted_or_deleted_row_is_found() {
    for (table, sql, kind) in [
        (
            "tag",
            "INSERT INTO tag SELECT session, 'new', 'x', 1 FROM session LIMIT 1",
            "row-unfounded",
        ),
        ("latest_time", "INSERT INTO latest_time VALUES ('2030', 9)", "row-unfounded"),
        (
            "derivation",
            "INSERT INTO derivation SELECT model, number, model, 7 FROM version LIMIT 1",
            "row-unfounded",
        ),
        ("tag", "DELETE FROM tag", "row-missing"),
        ("quarantine", "INSERT INTO quarantine VALUES ('fraud', 'prod', 2, 1)", "row-unfounded"),
        ("held", "DELETE FROM held", "row-missing"),
        ("pointer", "DELETE FROM pointer", "row-missing"),
        ("metric", "DELETE FROM metric", "row-missing"),
        ("version", "DELETE FROM version WHERE number = 1", "row-missing"),
        ("model", "INSERT INTO model VALUES ('ghost', 1)", "row-unfounded"),
        ("pointer_history", "DELETE FROM pointer_history WHERE seq > 3", "row-missing"),
    ] {
        let env = project();
        sql_past_triggers(&env, table, sql);
        one_names(&problems(&env), &[kind, table]);
    }
}

#[test]
fn a_value_of_another_type_is_found() {
    let env = project();
    let sql = "UPDATE parameter SET type = CAST(type AS TEXT) || ''";
    sql_past_triggers(&env, "parameter", sql);
    env.verifies();
    sql_past_triggers(&env, "metric", "UPDATE metric SET value = NULL, special = 'NaN'");
    one_names(&problems(&env), &["row-differs", "metric"]);
}

#[test]
fn a_schema_that_was_tampered_with_is_found() {
    for (sql, named) in [
        ("DROP TRIGGER version_is_immutable", "version_is_immutable"),
        ("DROP TRIGGER event_is_permanent", "event_is_permanent"),
        ("DROP INDEX version_by_sha256", "version_by_sha256"),
        ("CREATE TABLE extra (x)", "extra"),
        ("CREATE TRIGGER sly AFTER INSERT ON pointer BEGIN SELECT 1; END", "sly"),
        ("CREATE VIEW look AS SELECT 1", "look"),
        ("ALTER TABLE pointer ADD COLUMN extra TEXT", "table pointer"),
    ] {
        let env = project();
        env.sql(sql).unwrap();
        one_names(&problems(&env), &["schema-differs", named]);
    }
}

#[test]
fn a_table_that_is_gone_is_named_and_no_internal_error() {
    let env = project();
    env.sql("DROP TABLE tag").unwrap();
    one_names(&problems(&env), &["schema-differs", "table tag"]);
}

/// Alters entry 2 and expects `verify` to name it, not to stumble over it.
#[track_caller]
fn entry_2_is_named_after(sql: &str) {
    let env = project();
    sql_past_triggers(&env, "event", sql);
    one_names(&problems(&env), &["entry 2"]);
}

#[test]
fn an_altered_entry_is_found() {
    entry_2_is_named_after(
        "UPDATE event SET entry = CAST(replace(CAST(entry AS TEXT), '0.5', '0.9') AS BLOB)",
    );
}

#[test]
fn an_entry_that_is_no_entry_is_found() {
    entry_2_is_named_after("UPDATE event SET entry = x'00' WHERE seq = 2");
    entry_2_is_named_after("UPDATE event SET entry = x'' WHERE seq = 2");
    entry_2_is_named_after("UPDATE event SET entry = CAST(entry || ' ' AS BLOB) WHERE seq = 2");
}

#[test]
fn an_altered_digest_of_an_entry_is_found() {
    entry_2_is_named_after(&format!(
        "UPDATE event SET sha256 = '{}' WHERE seq = 2",
        "ab".repeat(32)
    ));
}

#[test]
fn a_digest_of_an_entry_that_is_none_is_found() {
    entry_2_is_named_after("UPDATE event SET sha256 = 'ab' WHERE seq = 2");
}

#[test]
fn an_entry_rewritten_with_its_digest_breaks_the_chain() {
    let env = project();
    let connection = rusqlite::Connection::open(env.path(".lineage/registry.db")).unwrap();
    let entry: Vec<u8> = connection
        .query_row("SELECT entry FROM event WHERE seq = 2", [], |row| row.get(0))
        .unwrap();
    let forged = String::from_utf8(entry).unwrap().replace("0.5", "0.9");
    let digest = lineage_core::digest::Sha256::of(forged.as_bytes()).to_string();
    let hex: String = forged.bytes().map(|byte| format!("{byte:02x}")).collect();
    let sql = format!("UPDATE event SET entry = x'{hex}', sha256 = '{digest}' WHERE seq = 2");
    sql_past_triggers(&env, "event", &sql);
    one_names(&problems(&env), &["chain-broken", "entry 3"]);
}

#[test]
fn a_deleted_entry_is_found_wherever_it_stood() {
    for sql in [
        "DELETE FROM event WHERE seq = (SELECT MAX(seq) FROM event)",
        "DELETE FROM event WHERE seq = 0",
        "DELETE FROM event WHERE seq = 3",
        "DELETE FROM event",
    ] {
        let env = project();
        sql_past_triggers(&env, "event", sql);
        let ran = env.run(&["verify", "--json"]).code(4);
        let document = ran.json();
        if document["schema"] == "lineage.error/1" {
            ran.error_code("registry-corrupt");
        } else {
            assert!(!listed(&document).is_empty());
        }
    }
}

#[test]
fn reordered_entries_are_found() {
    let env = project();
    sql_past_triggers(
        &env,
        "event",
        "UPDATE event SET seq = 1000 WHERE seq = 3; UPDATE event SET seq = 3 WHERE seq = 4; \
         UPDATE event SET seq = 4 WHERE seq = 1000",
    );
    one_names(&problems(&env), &["entry 3"]);
}

#[test]
fn an_appended_entry_that_follows_from_nothing_is_found() {
    let env = project();
    let next = env.entries();
    let sql = format!(
        "INSERT INTO event SELECT {next}, CAST(entry || ' ' AS BLOB), 'x' FROM event WHERE seq = 1"
    );
    sql_past_triggers(&env, "event", &sql);
    one_names(&problems(&env), &[&format!("entry {next}")]);
}

#[test]
fn an_edited_name_of_a_person_is_found() {
    let env = project();
    env.sql("UPDATE person_opening SET identity = replace(identity, 'Test', 'Best')").unwrap();
    one_names(&problems(&env), &["person-differs"]);
    let env = project();
    env.sql("UPDATE person_opening SET salt = zeroblob(32)").unwrap();
    one_names(&problems(&env), &["person-differs"]);
}

#[test]
fn a_name_deleted_without_an_entry_is_found_and_reading_goes_on() {
    let env = project();
    env.sql("DELETE FROM person_opening").unwrap();
    one_names(&problems(&env), &["person-missing"]);
    for arguments in [&["status"][..], &["history", "fraud"], &["show", "fraud@1"]] {
        let ran = env.run(arguments).ok();
        assert!(!ran.stdout.contains("Test Person"), "{ran}");
    }
}

#[test]
fn an_edited_metadata_file_is_found() {
    let env = project();
    let sound = env.read("v1/metadata.json");
    env.write("v1/metadata.json", sound.replace("0.5", "0.9"));
    one_names(&problems(&env), &["metadata-differs", "fraud@1", "v1/metadata.json"]);
    fs::remove_file(env.path("v1/metadata.json")).unwrap();
    let document = env.json(&["verify"], "lineage.verify/1");
    one_names(&listed(&document), &["metadata-gone", "v1/metadata.json"]);
    env.run(&["verify", "--strict"]).code(4);
}

#[test]
fn a_copy_of_a_metadata_file_is_checked_wherever_it_is() {
    let env = project();
    let sound = env.read("v1/metadata.json");
    env.write("archive/copy.json", &sound);
    env.run(&["verify", "--metadata", "archive/copy.json"]).ok();
    for (altered, named) in [
        (sound.replace("0.5", "0.9"), "0.9"),
        (sound.replace("fraud", "freud"), "freud@1"),
        (sound.clone() + " ", ""),
        ("{}".to_owned(), "not a metadata.json of lineage"),
        (String::new(), "not a metadata.json of lineage"),
    ] {
        env.write("archive/copy.json", altered);
        let arguments = ["verify", "--metadata", "archive/copy.json", "--json"];
        let document = env.run(&arguments).code(4).json();
        one_names(&listed(&document), &["metadata-differs", named]);
    }
    let other = Env::with_versions(1);
    env.write("archive/copy.json", other.read("v1/metadata.json"));
    let arguments = ["verify", "--metadata", "archive/copy.json", "--json"];
    env.run(&arguments).code(4);
}

#[test]
fn a_served_file_that_differs_is_an_error_and_another_is_a_note() {
    let env = project();
    env.write("v1/model.bin", "changed");
    let document = env.json(&["verify"], "lineage.verify/1");
    assert_eq!(document["problems"][0]["severity"], "note");
    one_names(&listed(&document), &["original-changed", "fraud@1"]);
    env.run(&["verify", "--strict"]).code(4);
    env.write("v2/model.bin", "changed");
    one_names(&problems(&env), &["served-differs", "fraud@prod (fraud@2)"]);
}

#[test]
fn changed_or_missing_data_is_a_note() {
    let env = project();
    env.write("train.csv", "a\n2\n");
    one_names(
        &listed(&env.json(&["verify"], "lineage.verify/1")),
        &["dataset-changed", "training:train.csv"],
    );
    fs::remove_file(env.path("train.csv")).unwrap();
    one_names(
        &listed(&env.json(&["verify"], "lineage.verify/1")),
        &["dataset-changed", "train.csv is gone"],
    );
    env.run(&["verify", "--strict"]).code(4);
}

#[test]
fn what_cannot_be_read_does_not_end_the_verification() {
    let env = project();
    fs::remove_file(env.path("train.csv")).unwrap();
    fs::create_dir_all(env.path("train.csv/__pycache__")).unwrap();
    fs::remove_dir_all(env.path("v1")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        env.path("v1"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let document = env.run(&["verify", "--json"]).json();
    assert_eq!(document["schema"], "lineage.verify/1", "{document}");
    one_names(&listed(&document), &["dataset-changed", "train.csv"]);
    one_names(&listed(&document), &["fraud@1", "v1"]);
}

#[test]
fn an_edited_pointer_file_is_found() {
    let env = project();
    env.write("PROD.txt", "v1");
    one_names(&problems(&env), &["pointer-file-drift", "fraud@prod", "v1"]);
}

#[test]
fn the_screen_names_the_row_and_the_way_out() {
    let env = project();
    env.sql("UPDATE pointer SET version = 1").unwrap();
    insta::assert_snapshot!(env.run(&["verify"]), @"
    ERROR  row-differs  pointer (model=fraud, pointer=prod)
           version is 1, the log says 2
    checked 6 log entries, 28 rows, 2 artifacts, 2 datasets, 1 pointer file, 2 metadata files
    NOT consistent
    ------- stderr -------
    hint: the log is sound; `lineage doctor --rebuild` makes the tables again from it
    [exit status: Some(4)]
    ");
}

#[test]
fn a_manifest_of_a_session_without_a_version_is_looked_at_too() {
    let env = Env::new();
    env.write("data/a.csv", "x\n1\n");
    env.run(&["record", "fraud", "--data", "training=data"]).ok();
    env.verifies();
    for object in std::fs::read_dir(env.path(".lineage/objects")).unwrap() {
        std::fs::remove_file(object.unwrap().path()).unwrap();
    }
    let document = env.run(&["verify", "--json"]).code(4).json();
    assert_eq!(document["problems"][0]["kind"], "object-missing", "{document}");
}
