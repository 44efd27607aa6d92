//! `lineage fingerprint --unordered` and `--merge`: rows in any order, and parts read elsewhere.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::Env;

/// The document of a part.
fn part(env: &Env, arguments: &[&str]) -> Value {
    let arguments = [&["fingerprint", "--unordered"], arguments].concat();
    env.json(&arguments, "lineage.fingerprint/1")
}

fn write_part(env: &Env, name: &str, arguments: &[&str]) {
    env.write(name, format!("{}\n", part(env, arguments)));
}

#[test]
fn rows_in_another_order_have_one_digest() {
    let env = Env::empty();
    env.write("a.csv", "id,name\n1,Ada\n2,\n3,Grace\n");
    env.write(
        "b.ndjson",
        "{\"id\":3,\"name\":\"Grace\"}\n{\"id\":1,\"name\":\"Ada\"}\n{\"id\":2}\n",
    );
    env.write("c.csv", "id,name\n1,Ada\n2,\n3,Grade\n");
    let [a, b, c] = ["a.csv", "b.ndjson", "c.csv"].map(|name| part(&env, &[name]));
    assert_eq!(a["unordered"], b["unordered"]);
    assert_ne!(a["content_sha256"], b["content_sha256"]);
    assert_ne!(a["unordered"]["sha256"], c["unordered"]["sha256"]);
    assert_eq!(a["unordered"]["rows"], 3);
    assert_eq!(a["unordered"]["sum"].as_str().unwrap().len(), 64);
    assert!(a["unordered"]["note"].as_str().unwrap().contains("not for adversaries"));
    insta::assert_snapshot!(env.run(&["fingerprint", "a.csv", "--unordered"]), @"
    c9fb2dc41b5b979cf1ce40d7a0626059d56d8db3340c7f5d373f84a5bba16071  a.csv  (table, 25 B, 3 rows × 2 columns)
    1ff0c0d0c6452d9042c69699b3ffc8e4497521da98745862b8efcb22702e2323  content  (types inferred)
    134e75f52f5723a04efe0682733602cce955326a70a05d01e126b4b2233e8baa  rows in any order  (not for adversaries)
    ");
    assert!(!env.path(".lineage").exists());
    let without = env.json(&["fingerprint", "a.csv"], "lineage.fingerprint/1");
    assert!(without.get("unordered").is_none());
}

#[test]
fn the_cache_and_folders_do_not_matter() {
    let env = Env::new();
    env.write("whole.csv", "id,amount\n1,2.5\n2,3\n3,\n");
    env.write("parts/day=1/a.csv", "id,amount\n1,2.5\n");
    env.write("parts/day=2/a.csv", "id,amount\n3,\n2,3\n");
    env.write("hive.csv", "id,amount,day\n1,2.5,1\n2,3,2\n3,,2\n");
    env.write(
        "hive.json",
        r#"{"columns":[{"name":"id","type":"int"},
        {"name":"amount","type":"float64"},{"name":"day","type":"string"}]}"#,
    );
    let whole = part(&env, &["whole.csv"]);
    assert_eq!(part(&env, &["whole.csv"])["unordered"], whole["unordered"]);
    assert_eq!(part(&env, &["parts", "--table"])["unordered"], whole["unordered"]);
    let hive = part(&env, &["hive.csv", "--schema", "hive.json"]);
    assert_eq!(part(&env, &["parts", "--hive"])["unordered"], hive["unordered"]);
}

#[test]
fn what_has_no_rows_is_refused() {
    let env = Env::empty();
    env.write("a.bin", "x");
    env.write("folder/a.csv", "a\n1\n");
    env.write("broken.csv", "a,b\n1\n");
    for (path, message) in [
        ("a.bin", "a.bin has no rows for --unordered: it is no table"),
        ("folder", "folder has no rows for --unordered: it is a folder"),
        ("broken.csv", "broken.csv has no rows for --unordered: line 2"),
    ] {
        env.refused(&["fingerprint", path, "--unordered"], 2, "usage", message);
    }
}

#[test]
fn parts_that_were_read_elsewhere_add_up() {
    let env = Env::empty();
    env.write("whole.csv", "id,n\n1,2\n2,3\n3,4\n4,5\n");
    env.write("1.csv", "id,n\n4,5\n2,3\n");
    env.write("2.csv", "id,n\n1,2\n");
    env.write("3.csv", "id,n\n3,4\n");
    let whole = part(&env, &["whole.csv"]);
    let lines = env.run(&["fingerprint", "1.csv", "2.csv", "--unordered", "--json"]).ok().stdout;
    env.write("12.json", lines);
    // Written by hand over several lines, it is one document all the same.
    env.write("3.json", format!("{:#}\n", part(&env, &["3.csv"])));
    let arguments = ["fingerprint", "--merge", "12.json", "3.json"];
    let merged = env.json(&arguments, "lineage.fingerprint-merge/1");
    assert_eq!(merged["unordered"], whole["unordered"]);
    assert_eq!((&merged["documents"], &merged["rows"]), (&json!(3), &json!(4)));
    assert_eq!(merged["columns"][1], json!({"name": "n", "type": "int"}));
    insta::assert_snapshot!(env.run(&arguments), @"
    a62d78dc4832a85fcbdf7e8014098dc8d80a0d00680bd93a13f6e8fd7c128c4d  rows in any order  (not for adversaries)
        4 rows × 2 columns, of 3 documents
    ");
    let digest = whole["unordered"]["sha256"].as_str().unwrap();
    assert_eq!(env.run(&[&arguments[..], &["-q"]].concat()).ok().stdout, format!("{digest}\n"));
    // What was merged is merged again; standard input is a file like others.
    let some = env.json(&["fingerprint", "--merge", "12.json"], "lineage.fingerprint-merge/1");
    let mut command = env.command(&["fingerprint", "--merge", "3.json", "-", "-q"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(some.to_string().as_bytes()).unwrap();
    let ran = env.finish(child.wait_with_output().unwrap()).ok();
    assert_eq!(ran.stdout, format!("{digest}\n"));
    assert!(!env.path(".lineage").exists());
    let twice = env.run(&["fingerprint", "--merge", "3.json", "3.json"]).ok();
    twice.says("3.csv (3.json, document 1) and 3.csv (3.json, document 1) have the same rows");
}

#[test]
fn parts_of_two_tables_do_not_add_up() {
    let env = Env::empty();
    for (name, text) in [
        ("a.csv", "id,n\n1,2\n"),
        ("b.csv", "id,n\n1,2.5\n"),
        ("c.csv", "n,id\n1,2\n"),
        ("d.csv", "id\n1\n"),
    ] {
        env.write(name, text);
        write_part(&env, &name.replace("csv", "json"), &[name]);
    }
    for (other, message) in [
        ("b", "column 2 is \"n: int\" in the first and \"n: float64\" in the second"),
        ("c", "column 1 is \"id: int\" in the first and \"n: int\" in the second"),
        ("d", "column 2 is \"n: int\" in the first and \"missing\" in the second"),
    ] {
        let file = format!("{other}.json");
        let names = format!("a.csv (a.json, document 1) and {other}.csv ({file}, document 1)");
        let arguments = ["fingerprint", "--merge", "a.json", &file];
        env.refused(&arguments, 2, "usage", &names);
        env.refused(&arguments, 2, "usage", message);
    }
}

#[test]
fn what_is_no_part_is_refused() {
    let env = Env::empty();
    env.write("a.csv", "id\n1\n");
    let good = part(&env, &["a.csv"]);
    let changed = |pointer: &str, value: Value| {
        let mut document = good.clone();
        *document.pointer_mut(pointer).unwrap() = value;
        document.to_string()
    };
    let upper = good["unordered"]["sum"].as_str().unwrap().to_uppercase();
    for (text, message) in [
        (String::new(), "holds no document"),
        ("{".to_owned(), "document 1, is not one to merge"),
        (format!("{good}\n[]"), "document 2, is not one to merge"),
        (changed("/schema", json!("lineage.diff/1")), "its schema is \"lineage.diff/1\""),
        (changed("/unordered", Value::Null), "it says nothing of rows in any order"),
        (changed("/columns", Value::Null), "it says nothing of rows in any order"),
        (changed("/columns/0/type", json!("integer")), "is not the kind of a column"),
        (changed("/columns/0/name", json!("x")), "its sha256 does not follow"),
        (changed("/unordered/rows", json!(2)), "its sha256 does not follow"),
        (changed("/unordered/rows", json!(-1)), "is not one to merge"),
        (changed("/unordered/sum", json!("0".repeat(64))), "its sha256 does not follow"),
        (changed("/unordered/sum", json!(upper)), "its sum is not 64 lower-case hex digits"),
        (changed("/unordered/sum", json!("00")), "its sum is not 64 lower-case hex digits"),
        (changed("/unordered/sha256", json!("0".repeat(64))), "its sha256 does not follow"),
    ] {
        env.write("part.json", text);
        env.refused(&["fingerprint", "--merge", "part.json"], 2, "usage", message);
    }
    env.refused(&["fingerprint", "--merge", "none.json"], 5, "not-found", "none.json");
    for flag in ["--unordered", "--columns", "--profile", "--table", "--no-header"] {
        env.refused_json(&["fingerprint", "--merge", "x", flag], 2, "usage", "cannot be used with");
    }
}
