//! `lineage diff`: of files, folders and versions.

use std::fmt::Write as _;
use std::fs::File;
use std::sync::Arc;

use lineage_core::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};

use crate::support::{Env, Ran};

/// Rows `0..rows` of three columns, as CSV; `amount` is changed in the given rows.
fn sales(rows: u64, changed: &[u64]) -> String {
    let mut text = "id,amount,city\n".to_owned();
    for row in 0..rows {
        let amount = if changed.contains(&row) { 9999 } else { row % 97 };
        writeln!(text, "{row},{amount}.5,city{}", row % 7).unwrap();
    }
    text
}

/// The same as Parquet.
fn sales_as_parquet(env: &Env, name: &str, rows: u64) {
    let ids = Int64Array::from_iter_values((0..rows).map(|row| row as i64));
    let amounts = Float64Array::from_iter_values((0..rows).map(|row| (row % 97) as f64 + 0.5));
    let cities = StringArray::from_iter_values((0..rows).map(|row| format!("city{}", row % 7)));
    let columns: [(&str, ArrayRef); 3] =
        [("id", Arc::new(ids)), ("amount", Arc::new(amounts)), ("city", Arc::new(cities))];
    write_parquet(env, name, RecordBatch::try_from_iter(columns).unwrap());
}

fn write_parquet(env: &Env, name: &str, batch: RecordBatch) {
    let file = File::create(env.path(name)).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// The comparison of two files as JSON, with and without `--exit-code`.
#[track_caller]
fn compared(env: &Env, arguments: &[&str], verdict: &str) -> Value {
    let found = env.json(&[&["diff"], arguments].concat(), "lineage.diff/1");
    assert_eq!(found["verdict"], verdict, "{found:#}");
    let differs = !matches!(verdict, "identical" | "re-encoded");
    assert_eq!(found["differs"], differs);
    let quiet = env.run(&[&["diff", "-q", "--exit-code"], arguments].concat());
    assert_eq!(quiet.code, Some(if differs { 10 } else { 0 }), "{quiet}");
    assert_eq!(quiet.stdout, format!("{verdict}\n"));
    let json = env.run(&[&["diff", "--json", "--exit-code"], arguments].concat());
    assert_eq!(json.stdout.lines().count(), 1, "no error document for \"differences\": {json}");
    found
}

#[track_caller]
fn shown(env: &Env, arguments: &[&str]) -> Ran {
    let ran = env.run(&[&["diff"], arguments].concat()).ok();
    assert!(ran.stdout.lines().count() <= 30, "{ran}");
    ran
}

#[test]
fn the_same_rows_are_identical_or_re_encoded() {
    let env = Env::empty();
    env.write("a.csv", sales(3, &[]));
    env.write("b.csv", sales(3, &[]).replace('\n', "\r\n"));
    env.write("c.csv", sales(3, &[]));
    sales_as_parquet(&env, "p.parquet", 3);
    for (right, verdict) in [
        ("a.csv", "identical"),
        ("c.csv", "identical"),
        ("b.csv", "re-encoded"),
        ("p.parquet", "re-encoded"),
    ] {
        compared(&env, &["a.csv", right], verdict);
    }
    insta::assert_snapshot!(env.run(&["diff", "a.csv", "p.parquet"]), @"
    re-encoded, same content: a.csv → p.parquet
      read as  csv, types inferred → parquet
      rows     3
      columns  3
    ");
    insta::assert_snapshot!(env.run(&["diff", "a.csv", "a.csv"]), @"
    identical: a.csv → a.csv
      rows     3
      columns  3
    ");
    assert!(!env.path(".lineage").exists());
}

#[test]
fn columns_rows_and_blocks_that_differ_are_named() {
    let env = Env::empty();
    env.write("a.csv", sales(200_000, &[]));
    env.write("b.csv", sales(200_000, &[70_000, 199_999]));
    let found = compared(&env, &["a.csv", "b.csv"], "different");
    let table = &found["data"]["table"];
    assert_eq!(table["columns_same"], 2);
    assert_eq!(table["first_rows_same"], 65_536);
    let [column] = table["columns"].as_array().unwrap().as_slice() else { panic!("{table:#}") };
    assert_eq!(column["name"], "amount");
    assert_eq!(
        column["rows"],
        json!([{"first": 65_536, "last": 131_071}, {"first": 196_608, "last": 199_999}])
    );
    insta::assert_snapshot!(env.run(&["diff", "a.csv", "b.csv"]), @"
    different: a.csv → b.csv
      rows     200,000
      columns  3  (1 with other values, 2 the same)
      the first 65,536 rows are the same in all columns

      column  change  type     nulls  row blocks that differ
      amount  values  float64  0      65,536–131,071, 196,608–199,999
    ------- stderr -------
    hint: --key COL names the rows, --drift says how far distributions have moved
    ");
}

#[test]
fn changes_of_the_schema_are_named() {
    let env = Env::empty();
    env.write("a.csv", "id,amount,city\n1,2,x\n2,3,\n");
    env.write("b.csv", "id,city,amount,country\n1,x,2.5,DE\n2,,3,FR\n");
    let found = compared(&env, &["a.csv", "b.csv"], "not-comparable");
    let table = &found["data"]["table"];
    assert_eq!(table["reordered"], true);
    assert_eq!(table["first_rows_same"], Value::Null);
    let changes: Vec<_> = table["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| (column["name"].as_str().unwrap(), column["change"].as_str().unwrap()))
        .collect();
    assert_eq!(changes, [("amount", "type"), ("country", "added")]);
    insta::assert_snapshot!(env.run(&["diff", "a.csv", "b.csv"]), @"
    not comparable as read: a.csv → b.csv
      rows     2
      columns  3 → 4  (1 added, 1 of another type, 2 the same, in another order)

      column   change  type           nulls  row blocks that differ
      amount   type    int → float64  0
      country  added   string         0
    ------- stderr -------
    hint: say what types the columns of both texts have: --schema FILE
    ");
    // An empty column has other values, whatever its type would be.
    env.write("empty.csv", "id,amount,city\n1,,x\n2,,\n");
    compared(&env, &["a.csv", "empty.csv"], "different");
    env.write("c.csv", "city,id,amount\nx,1,2\n,2,3\n");
    compared(&env, &["a.csv", "c.csv"], "reordered-columns");
    let ran = shown(&env, &["a.csv", "c.csv"]);
    assert!(ran.stdout.starts_with("same content, columns in another order: "), "{ran}");
}

#[test]
fn inferred_types_against_others_are_not_comparable_as_read() {
    let env = Env::empty();
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["01", "2"]));
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let typed = RecordBatch::try_from_iter([("id", ids), ("code", texts)]).unwrap();
    write_parquet(&env, "typed.parquet", typed);
    env.write("plain.csv", "id,code\n1,1\n2,2\n");
    let found = compared(&env, &["plain.csv", "typed.parquet"], "not-comparable");
    assert_eq!(found["data"]["table"]["columns"][0]["type_left"], "int");
    assert_eq!(found["data"]["table"]["columns"][0]["type_right"], "string");
    insta::assert_snapshot!(env.run(&["diff", "plain.csv", "typed.parquet"]), @"
    not comparable as read: plain.csv → typed.parquet
      read as  csv, types inferred → parquet
      rows     2
      columns  2  (1 of another type, 1 the same)

      column  change  type          nulls  row blocks that differ
      code    type    int → string  0
    ------- stderr -------
    hint: say what types the columns of the text have: --like typed.parquet, or --schema FILE
    ");
    // With the types of the other, it is the value that differs.
    compared(&env, &["plain.csv", "typed.parquet", "--like", "typed.parquet"], "different");
    env.write("plain.csv", "id,code\n1,01\n2,2\n");
    compared(&env, &["plain.csv", "typed.parquet", "--like", "typed.parquet"], "re-encoded");
    env.write(
        "s.json",
        r#"{"columns": [{"name": "id", "type": "int"}, {"name": "code", "type": "string"}]}"#,
    );
    compared(&env, &["plain.csv", "typed.parquet", "--schema", "s.json"], "re-encoded");
}

#[test]
fn flags_for_texts_are_missed_when_neither_side_is_one() {
    let env = Env::empty();
    sales_as_parquet(&env, "a.parquet", 3);
    sales_as_parquet(&env, "b.parquet", 4);
    env.write("c.csv", sales(4, &[]));
    let with = |right| ["diff", "a.parquet", right, "--like", "a.parquet"];
    let ran = env.run(&with("b.parquet")).ok();
    let ran = ran.says("warning: a.parquet: it is Parquet; not used: the schema");
    ran.says("warning: b.parquet: it is Parquet; not used: the schema");
    assert_eq!(env.run(&with("c.csv")).ok().stderr, "");
}

#[test]
fn a_damaged_registry_that_was_not_named_is_no_obstacle() {
    let env = Env::with_versions(1);
    for name in ["registry.db-wal", "registry.db-shm"] {
        let _ = std::fs::remove_file(env.path(".lineage").join(name));
    }
    env.write(".lineage/registry.db", "not a database");
    env.write("a.csv", sales(3, &[]));
    env.write("b.csv", sales(3, &[1]));
    let commands: [&[&str]; 2] = [&["fingerprint", "a.csv"], &["diff", "a.csv", "b.csv"]];
    for arguments in commands {
        let ran = env.run(arguments).ok();
        ran.says("is not a sound lineage registry").says("going on without it: every byte is read");
        let named = [arguments, &["-R", ".lineage"]].concat();
        env.refused(&named, 4, "registry-corrupt", "is not a sound lineage registry");
    }
    assert_eq!(env.read(".lineage/registry.db"), "not a database");
}

#[test]
fn a_schema_that_does_not_fit_is_refused() {
    let env = Env::empty();
    env.write("a.csv", "id,code\n1,1\n");
    env.write("b.csv", "id\n1\n");
    env.write("x.csv", "id,code\n1,x\n");
    let like = |left: &'static str, right, like| ["diff", left, right, "--like", like];
    let refused =
        |arguments: &[&str], message| env.refused(arguments, 2, "not-as-declared", message);
    refused(&like("a.csv", "b.csv", "a.csv"), "b.csv: ");
    refused(&like("x.csv", "a.csv", "a.csv"), "x.csv: ");
    env.refused(&like("a.csv", "b.csv", "nope@1"), 5, "no-registry", "there is no registry");
}

#[test]
fn rows_that_were_only_appended_are_told() {
    let env = Env::empty();
    env.write("a.csv", sales(70_000, &[]));
    env.write("b.csv", sales(70_003, &[]));
    env.write("c.csv", sales(70_003, &[69_999]));
    let known = |left: &str, right: &str| {
        let found = compared(&env, &[left, right], "different");
        found["data"]["table"]["first_rows_same"].as_u64().unwrap()
    };
    assert_eq!(known("a.csv", "b.csv"), 70_000);
    assert_eq!(known("b.csv", "a.csv"), 70_000);
    assert_eq!(known("a.csv", "c.csv"), 65_536);
    sales_as_parquet(&env, "p.parquet", 70_001);
    assert_eq!(known("a.csv", "p.parquet"), 70_000);
    insta::assert_snapshot!(env.run(&["diff", "a.csv", "b.csv"]), @"
    different: a.csv → b.csv
      rows     70,000 → 70,003  (+3)
      columns  3  (the same)
      only rows were appended: the first 70,000 rows are the same
    ");
    let ran = shown(&env, &["b.csv", "a.csv"]);
    assert!(
        ran.stdout.contains("only rows at the end were removed: the first 70,000 rows"),
        "{ran}"
    );
}

#[test]
fn rows_are_matched_by_a_key() {
    let env = Env::empty();
    env.write("a.csv", "id,amount,city\n1,2,x\n2,3,y\n3,4,z\n");
    env.write("b.csv", "id,city,amount\n4,w,9\n2,y,3\n1,q,2\n");
    let found = compared(&env, &["a.csv", "b.csv", "--key", "id"], "different");
    let rows = &found["data"]["rows"];
    let counts = ["added", "removed", "changed", "unchanged"].map(|name| rows[name].as_u64());
    assert_eq!(counts, [Some(1); 4]);
    assert_eq!(rows["added_examples"][0]["key"], json!(["4"]));
    let cells = json!([{"name": "amount", "cells": 0}, {"name": "city", "cells": 1}]);
    assert_eq!(rows["changed_columns"], cells);
    insta::assert_snapshot!(env.run(&["diff", "a.csv", "b.csv", "--key", "id"]), @"
    different: a.csv → b.csv
      rows     3
      columns  3  (3 with other values, in another order)

      column  change  type    nulls  row blocks that differ
      id      values  int     0      0–2
      amount  values  int     0      0–2
      city    values  string  0      0–2

      rows by id: 1 added, 1 removed, 1 changed, 1 unchanged
        added    id=4 (row 0)
        removed  id=3 (row 2)
        changed  id=1 (row 0 → 2)
        cells    city 1
    ");
    let both = ["a.csv", "b.csv", "--key", "id", "--key", "city"];
    let found = compared(&env, &both, "different");
    assert_eq!(found["data"]["rows"]["changed"], 0);
}

#[test]
fn every_format_is_read_by_its_rows() {
    let env = Env::empty();
    sales_as_parquet(&env, "p.parquet", 3000);
    env.write("a.csv", sales(3000, &[17]));
    env.write("a.tsv", sales(3000, &[17]).replace(',', "\t"));
    env.write("semi.csv", sales(3000, &[17]).replace(',', ";"));
    let lines: String = (0..3000)
        .map(|row| {
            let amount = if row == 17 { 9999.5 } else { (row % 97) as f64 + 0.5 };
            format!("{{\"id\":{row},\"amount\":{amount},\"city\":\"city{}\"}}\n", row % 7)
        })
        .collect();
    env.write("a.ndjson", lines);
    for name in ["a.csv", "a.tsv", "a.ndjson"] {
        let found = compared(&env, &["p.parquet", name, "--key", "id"], "different");
        let rows = &found["data"]["rows"];
        assert_eq!((&rows["changed"], &rows["unchanged"]), (&json!(1), &json!(2999)), "{name}");
        assert_eq!(rows["changed_examples"][0]["key"], json!(["17"]));
    }
    let arguments = ["semi.csv", "semi.csv", "--delimiter", ";"];
    compared(&env, &arguments, "identical");
}

#[test]
fn a_key_that_does_not_fit_is_refused() {
    let env = Env::empty();
    env.write("a.csv", "id,n\n1,1\n1,2\n");
    env.write("b.csv", "id,n\n1,1\n2,2\n");
    env.write("c.bin", "x");
    env.write("m/a.csv", "id\n1\n");
    for (arguments, message) in [
        (&["a.csv", "b.csv", "--key", "nope"][..], "a.csv has no column \"nope\""),
        (&["a.csv", "b.csv", "--key", "id"], "not unique in a.csv: rows 0 and 1"),
        (&["b.csv", "a.csv", "--key", "id"], "not unique in a.csv: rows 0 and 1"),
        (&["a.csv", "b.csv", "--key", "n", "--key", "n"], "names the column \"n\" twice"),
        (
            &["a.csv", "c.bin", "--key", "id"],
            "c.bin cannot be compared by its rows: it is no table",
        ),
        (&["a.csv", "m", "--drift"], "m cannot be compared by its rows: it is a folder"),
    ] {
        env.refused(&[&["diff"], arguments].concat(), 2, "usage", message);
    }
}

#[test]
fn drift_is_measured_with_the_usual_thresholds() {
    let env = Env::empty();
    let table = |shift: fn(u64) -> u64| {
        let mut text = "id,stable,moved\n".to_owned();
        for row in 0..2000 {
            writeln!(text, "{row},{},{}", row % 10, shift(row)).unwrap();
        }
        text
    };
    env.write("a.csv", table(|row| row % 100));
    env.write("b.csv", table(|row| row % 100 / 2));
    let found = compared(&env, &["a.csv", "b.csv", "--drift"], "different");
    let columns = found["data"]["drift"]["columns"].as_array().unwrap();
    let words: Vec<_> = columns
        .iter()
        .map(|c| (c["name"].as_str().unwrap(), c["shift"].as_str().unwrap()))
        .collect();
    assert_eq!(words, [("id", "stable"), ("stable", "stable"), ("moved", "large")]);
    assert_eq!(columns[2]["ks"]["statistic"], 0.5);
    insta::assert_snapshot!(env.run(&["diff", "a.csv", "b.csv", "--drift"]), @"
    different: a.csv → b.csv
      rows     2,000
      columns  3  (1 with other values, 2 the same)

      column  change  type  nulls  row blocks that differ
      moved   values  int   0      0–1,999

      column  PSI    shift   KS D   p
      moved   3.797  large   0.500  <0.001
      id      0.000  stable  0.000  1.000
      stable  0.000  stable  0.000  1.000
    ");
}

#[test]
fn folders_and_other_files_are_compared_by_their_bytes() {
    let env = Env::empty();
    for (path, content) in
        [("a/x", "1"), ("a/y", "2"), ("a/z/q", "3"), ("b/x", "1"), ("b/y", "5"), ("b/n", "4")]
    {
        env.write(path, content);
    }
    let found = compared(&env, &["a", "b"], "different");
    assert_eq!(
        found["data"]["files"],
        json!([
            {"path": "n", "change": "added"},
            {"path": "y", "change": "changed"},
            {"path": "z/q", "change": "removed"}
        ])
    );
    insta::assert_snapshot!(env.run(&["diff", "a", "b"]), @"
    different: a → b
      size    3 B
      sha256  992f6efa0ccb → 5facc7d303ac

      added    n
      changed  y
      removed  z/q
    ");
    insta::assert_snapshot!(env.run(&["diff", "a/x", "a/y"]), @"
    different: a/x → a/y
      size    1 B
      sha256  6b86b273ff34 → d4735e3a265e
    ");
    compared(&env, &["a", "a"], "identical");
    let found = compared(&env, &["a/x", "a"], "different");
    assert_eq!(found["data"]["files"], Value::Null);
    env.write("broken.csv", "a,b\n\"1,2\n");
    env.write("fine.csv", "a,b\n1,2\n");
    shown(&env, &["broken.csv", "fine.csv"]).says("broken.csv: not readable as a table");
}

/// Two versions that differ in most of what can differ.
fn two_versions() -> Env {
    let env = Env::new();
    env.write("train.csv", "id,amount,city\n1,2,x\n2,3,y\n");
    env.write("test.csv", "id,amount,city\n9,2,x\n");
    env.write("m/model.bin", "first");
    env.write("m/vocabulary.txt", "a b");
    let first = ["record", "fraud", "--artifact", "m", "--data", "training=train.csv"];
    let second = ["--data", "test=test.csv", "--metric", "test.auc=0.91", "--param", "depth=6"];
    let third = ["--seed", "42", "--features", "id", "--features", "amount", "--label", "1.0.0"];
    env.run(&[&first[..], &second, &third].concat()).ok();
    env.write("new.csv", "id,amount,city,age\n1,2,x,50\n2,4,y,51\n3,9,z,52\n");
    env.write("m/model.bin", "second");
    let first = ["record", "fraud", "--artifact", "m", "--data", "training=new.csv"];
    let second = ["--data", "test=test.csv", "--metric", "test.auc=0.93", "--param", "depth=7"];
    let third = ["--seed", "43", "--features", "id", "--features", "age", "--param", "rate=0.1"];
    env.run(&[&first[..], &second, &third].concat()).ok();
    env
}

#[test]
fn versions_are_compared_by_what_was_recorded() {
    let env = two_versions();
    for gone in ["train.csv", "new.csv", "test.csv"] {
        std::fs::remove_file(env.path(gone)).unwrap();
    }
    let found = compared(&env, &["fraud@1", "fraud@latest"], "different");
    let versions = &found["versions"];
    assert_eq!(versions["artifact"]["files"], json!([{"path": "model.bin", "change": "changed"}]));
    let datasets: Vec<_> = versions["datasets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| (d["role"].as_str().unwrap(), d["verdict"].as_str().unwrap()))
        .collect();
    assert_eq!(datasets, [("test", "identical"), ("training", "different")]);
    assert_eq!(versions["datasets"][1]["table"]["columns"][3]["change"], "added");
    assert_eq!(
        versions["params"],
        json!([
            {"name": "depth", "left": "6", "right": "7"},
            {"name": "rate", "left": null, "right": "0.1"}
        ])
    );
    assert_eq!(versions["metrics"][0]["right"], 0.93);
    assert_eq!(
        versions["features"],
        json!({"added": ["age"], "removed": ["amount"], "reordered": false})
    );
    assert_eq!(versions["facts"], json!([{"name": "seed", "left": "42", "right": "43"}]));
    insta::assert_snapshot!(env.run(&["diff", "fraud@1", "fraud@2"]), @"
    different: fraud@1 (1.0.0) → fraud@2
      artifact             different: 8 B → 9 B; 1 file differs: model.bin
      test      test.csv   identical
      training  train.csv  different: rows 2 → 3; new columns age; other values in id, amount, city
      param     depth      6 → 7
      param     rate       none → 0.1
      metric    test.auc   0.91 → 0.93  (+0.02)
      features             1 added (age), 1 removed (amount)
      seed                 42 → 43
    ------- stderr -------
    hint: --key COL names the rows, --drift says how far distributions have moved
    ");
    compared(&env, &["fraud@1", "fraud@1.0.0"], "identical");
    env.verifies();
}

#[test]
fn rows_of_versions_are_read_only_as_they_were_recorded() {
    let env = two_versions();
    let found = compared(&env, &["fraud@1", "fraud@2", "--key", "id", "--drift"], "different");
    let training = &found["versions"]["datasets"][1];
    let counts =
        ["added", "removed", "changed", "unchanged"].map(|name| training["rows"][name].as_u64());
    assert_eq!(counts, [Some(1), Some(0), Some(1), Some(1)]);
    assert_eq!(training["drift"]["rows_right"], 3);
    assert_eq!(found["versions"]["datasets"][0]["rows"], Value::Null);
    insta::assert_snapshot!(env.run(&["diff", "fraud@1", "fraud@2", "--key", "id"]), @"
    different: fraud@1 (1.0.0) → fraud@2
      artifact             different: 8 B → 9 B; 1 file differs: model.bin
      test      test.csv   identical
      training  train.csv  different: rows 2 → 3; new columns age; other values in id, amount, city
      param     depth      6 → 7
      param     rate       none → 0.1
      metric    test.auc   0.91 → 0.93  (+0.02)
      features             1 added (age), 1 removed (amount)
      seed                 42 → 43

      training: rows by id: 1 added, 0 removed, 1 changed, 1 unchanged
        added    id=3 (row 2)
        changed  id=2 (row 1)
        cells    amount 1
        besides  age: not in both, or of two types, and not compared
    ");
    let arguments = ["diff", "fraud@1", "fraud@2", "--key", "id"];
    env.write("train.csv", "id,amount,city\n1,2,x\n2,3,q\n");
    env.refused(
        &arguments,
        5,
        "not-found",
        "train.csv, recorded by fraud@1 as training, is changed since",
    );
    std::fs::remove_file(env.path("train.csv")).unwrap();
    env.refused(&arguments, 5, "not-found", "train.csv, recorded by fraud@1 as training, is gone");
}

#[test]
fn datasets_that_only_one_version_has_are_named() {
    let env = Env::new();
    env.write("m.bin", "x");
    env.write("a.csv", "id\n1\n");
    env.write("b.csv", "id\n2\n");
    env.run(&["record", "fraud", "--artifact", "m.bin", "--data", "training:one=a.csv"]).ok();
    let both =
        ["--data", "training:one=a.csv", "--data", "training:two=b.csv", "--data", "test=a.csv"];
    env.run(&[&["record", "fraud", "--artifact", "m.bin"], &both[..]].concat()).ok();
    let found = compared(&env, &["fraud@1", "fraud@2"], "different");
    let datasets: Vec<_> = found["versions"]["datasets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| {
            [&d["role"], &d["name"], &d["verdict"]].map(|text| text.as_str().unwrap().to_owned())
        })
        .collect();
    assert_eq!(
        datasets,
        [
            ["training", "one", "identical"],
            ["test", "a.csv", "added"],
            ["training", "two", "added"]
        ]
    );
    let back = compared(&env, &["fraud@2", "fraud@1"], "different");
    assert_eq!(back["versions"]["datasets"][0]["verdict"], "removed");
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let env = two_versions();
    env.write("a.csv", "id\n1\n");
    let message = "there is no file or folder nope.csv";
    env.refused(&["diff", "a.csv", "nope.csv"], 5, "not-found", message);
    env.refused(&["diff", "fraud", "fraud@2"], 5, "not-found", "there is no file or folder fraud");
    env.refused(&["diff", "fraud@1", "fraud@9"], 5, "unknown-version", "there is no fraud@9");
    env.refused(&["diff", "frodo@1", "fraud@2"], 5, "unknown-model", "no model \"frodo\"");
    let message = "a.csv is a file or folder, and fraud@1 is a version";
    env.refused(&["diff", "a.csv", "fraud@1"], 2, "usage", message);
    env.refused(&["diff", "fraud@1", "a.csv"], 2, "usage", message);
    let outside = Env::empty();
    outside.refused(&["diff", "fraud@1", "fraud@2"], 5, "no-registry", "");
    env.verifies();
}

#[cfg(unix)]
#[test]
fn a_named_pipe_is_refused_without_waiting_for_a_writer() {
    let env = Env::empty();
    env.write("a.csv", "id\n1\n");
    let made = std::process::Command::new("mkfifo").arg(env.path("pipe.csv")).status().unwrap();
    assert!(made.success());
    env.refused(&["diff", "a.csv", "pipe.csv"], 2, "not-regular", "a named pipe");
    env.refused(&["diff", "pipe.csv", "a.csv"], 2, "not-regular", "a named pipe");
}

#[test]
fn names_cannot_play_tricks_on_the_terminal() {
    let env = Env::empty();
    env.write("a.csv", "\"a\u{1b}[31m\",b\n1,2\n");
    env.write("b.csv", "\"a\u{1b}[31m\",b\n2,2\n");
    let ran = shown(&env, &["a.csv", "b.csv", "--key", "b"]);
    assert!(!ran.stdout.contains('\u{1b}') && ran.stdout.contains("\\u{1b}"), "{ran}");
}

#[test]
fn what_was_not_read_again_is_said() {
    let env = Env::new();
    env.write("a.csv", sales(3000, &[]));
    env.write("b.csv", sales(3000, &[5]));
    // The test's clock stands long before the files were written, so nothing is trusted.
    let found = compared(&env, &["a.csv", "b.csv"], "different");
    assert_eq!(found["data"]["left"]["hashed"], "bytes");
    let late = |arguments: &[&str]| {
        let mut command = env.command(arguments);
        env.finish(command.env("LINEAGE_TEST_NOW", "2099-01-01T00:00:00.000000Z").output().unwrap())
    };
    let ran = late(&["diff", "a.csv", "b.csv"]).ok();
    assert!(!ran.stdout.contains("digests not taken again"), "{ran}");
    let ran = late(&["diff", "a.csv", "b.csv"]).ok();
    assert!(
        ran.stdout.contains("digests not taken again, as unchanged since: a.csv, b.csv"),
        "{ran}"
    );
    let ran = late(&["diff", "a.csv", "b.csv", "--rehash"]).ok();
    assert!(!ran.stdout.contains("digests not taken again"), "{ran}");
}

#[test]
fn many_columns_do_not_fill_the_screen() {
    let env = Env::empty();
    let table = |value: &dyn Fn(usize) -> usize| {
        let names: Vec<String> = (0..500).map(|column| format!("c{column}")).collect();
        let cells: Vec<String> = (0..500).map(|column| value(column).to_string()).collect();
        format!("{}\n{}\n", names.join(","), cells.join(","))
    };
    env.write("a.csv", table(&|column| column));
    env.write("b.csv", table(&|column| column + 1));
    let ran = shown(&env, &["a.csv", "b.csv"]);
    assert!(ran.stdout.contains("c0, c1, c2 and 497 more  values  500 columns"), "{ran}");
    env.write("b.csv", "x\n1\n");
    let ran = shown(&env, &["a.csv", "b.csv"]);
    assert!(ran.stdout.contains("(--json lists all)"), "{ran}");
    let found = compared(&env, &["a.csv", "b.csv"], "different");
    assert_eq!(found["data"]["table"]["columns"].as_array().unwrap().len(), 501);
}

#[test]
fn a_folder_of_tables_is_compared_as_a_table_when_asked() {
    let env = Env::empty();
    env.write("whole.csv", "id,n\n1,1\n2,2\n");
    env.write("parts/a.csv", "id,n\n1,1\n");
    env.write("parts/b.csv", "id,n\n2,2\n");
    compared(&env, &["whole.csv", "parts"], "different");
    compared(&env, &["whole.csv", "parts", "--table"], "re-encoded");
    env.write("parts/b.csv", "id,n\n2,3\n");
    let found = compared(&env, &["whole.csv", "parts", "--table"], "different");
    assert_eq!(found["data"]["table"]["columns"][0]["name"], "n");
    let arguments = ["diff", "whole.csv", "parts", "--table", "--key", "id"];
    env.refused(&arguments, 2, "usage", "parts cannot be compared by its rows: it is a folder");
}
