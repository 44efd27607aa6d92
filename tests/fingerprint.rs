//! `lineage fingerprint`: digests of files and folders, with or without a registry.

use serde_json::json;

use crate::support::Env;

#[test]
fn a_file_has_the_digest_that_every_other_tool_gives() {
    let env = Env::empty();
    env.write("a.bin", "abc");
    env.write("empty", "");
    insta::assert_snapshot!(env.run(&["fingerprint", "a.bin", "empty"]), @"
    ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a.bin  (file, 3 B)
    e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  empty  (file, 0 B)
    ");
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(env.run(&["fingerprint", "a.bin", "-q"]).ok().stdout, format!("{abc}\n"));
    assert!(!env.path(".lineage").exists());
}

#[test]
fn the_json_document_has_exactly_the_promised_fields() {
    let env = Env::empty();
    env.write("t.csv", "id,amount\n1,2.5\n2,\"x\ny\"\n");
    env.write("a.bin", "abc");
    env.write("m/model.bin", "x");
    let lines = env.json_lines(&["fingerprint", "t.csv", "a.bin", "m"], "lineage.fingerprint/1");
    let keys: Vec<&String> = lines[0].as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "columns",
            "content_sha256",
            "content_sorted_sha256",
            "hashed",
            "kind",
            "path",
            "rows",
            "schema",
            "sha256",
            "size_bytes",
            "table_problem",
            "typing"
        ]
    );
    let kinds: Vec<&str> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["table", "file", "directory"]);
    assert_eq!(lines[0]["rows"], 2);
    assert_eq!(lines[0]["typing"], "inferred");
    assert_eq!(lines[0]["columns"][1]["name"], "amount");
    assert_eq!(lines[0]["columns"][1]["type"], "string");
    assert_eq!(lines[0]["columns"][0]["type"], "int");
    assert_eq!(lines[0]["columns"][0]["nulls"], 0);
    assert_eq!(lines[1]["rows"], json!(null));
    assert_eq!(lines[1]["content_sha256"], json!(null));
}

#[test]
fn a_directory_has_the_digest_of_its_manifest() {
    let env = Env::empty();
    env.write("m/b.txt", "b");
    env.write("m/a/x.txt", "x");
    let digest = |text: &str| lineage_core::digest::Sha256::of(text.as_bytes());
    let manifest = format!("lineage-tree-1\n{} 1 a/x.txt\n{} 1 b.txt\n", digest("x"), digest("b"));
    let ran = env.run(&["fingerprint", "m", "-q"]).ok();
    assert_eq!(ran.stdout, format!("{}\n", digest(&manifest)));
    let excluded = format!("lineage-tree-1\nexclude *.txt\n{} 1 a/x.txt\n", digest("x"));
    let ran = env.run(&["fingerprint", "m", "-q", "--exclude", "*.txt"]).ok();
    assert_eq!(ran.stdout, format!("{}\n", digest(&excluded)));
}

#[test]
fn a_changed_name_or_byte_changes_the_digest() {
    let env = Env::empty();
    let digest = |name: &str, content: &str| {
        let _ = std::fs::remove_dir_all(env.path("m"));
        env.write(&format!("m/{name}"), content);
        env.run(&["fingerprint", "m", "-q"]).ok().stdout
    };
    let base = digest("a", "x");
    assert_ne!(base, digest("b", "x"));
    assert_ne!(base, digest("a", "y"));
    assert_ne!(base, digest("A", "x"));
    assert_eq!(base, digest("a", "x"));
}

#[test]
fn rows_and_columns_of_tables_are_counted() {
    let env = Env::empty();
    for (name, content, shape) in [
        ("a.csv", "x,y\n1,2\n3,4\n", "2 rows × 2 columns"),
        ("b.csv", "x\n1", "1 row × 1 column"),
        ("c.csv", "x,y\r\n1,2\r\n\r\n", "1 row × 2 columns"),
        ("d.tsv", "x\ty\n1\t2\n", "1 row × 2 columns"),
        ("e.csv", "\"a,b\",c\n\"1\n2\",\"3\"\"4\"\n", "1 row × 2 columns"),
        ("f.csv", "x\n", "0 rows × 1 column"),
    ] {
        env.write(name, content);
        let ran = env.run(&["fingerprint", name]).ok();
        assert!(ran.stdout.contains("(table, "), "{ran}");
        assert!(ran.stdout.contains(shape), "{name}: {ran}");
    }
    let ran = env.run(&["fingerprint", "e.csv", "--columns"]).ok();
    insta::assert_snapshot!(ran, @"
    7999849a976eb897c1dd77de92dfffd2eb9a41b1ec686e5ca1b51122c47b61f8  e.csv  (table, 21 B, 1 row × 2 columns)
    260e9c8e99d92afa99eb55b9fcef722c26ad7e591c6a69bbd362669b7a2c169c  content  (types inferred)
        column  type    nulls  sha256
        a,b     string  0      d67c91812c94
        c       string  0      4357999f10fb
    ");
}

#[test]
fn what_is_no_table_is_a_file_with_a_warning() {
    let env = Env::empty();
    for (name, content) in [
        ("open.csv", &b"a,b\n\"1,2\n"[..]),
        ("empty.csv", b""),
        ("broken.parquet", b"PAR1 nothing PAR1"),
        ("latin.csv", b"caf\xe9,b\n1,2\n"),
    ] {
        env.write(name, content);
        let ran = env.run(&["fingerprint", name]).ok();
        assert!(ran.stdout.contains("(file, "), "{ran}");
        ran.says("not readable as a table");
    }
}

#[test]
fn the_metadata_that_lineage_wrote_is_left_out_in_a_project() {
    let env = Env::new();
    env.write("m/model.bin", "x");
    let before = env.run(&["fingerprint", "m", "-q"]).ok().stdout;
    env.run(&["record", "fraud", "--artifact", "m"]).ok();
    assert!(env.path("m/metadata.json").exists());
    assert_eq!(env.run(&["fingerprint", "m", "-q"]).ok().stdout, before);
    env.write("m/metadata.json", env.read("m/metadata.json") + " ");
    assert_ne!(env.run(&["fingerprint", "m", "-q"]).ok().stdout, before);
}

#[test]
fn it_is_the_digest_that_record_records() {
    let env = Env::with_versions(1);
    let shown = env.json(&["show", "fraud@1"], "lineage.show/1");
    let printed = env.run(&["fingerprint", "v1/model.bin", "-q"]).ok().stdout;
    assert_eq!(printed.trim(), shown["metadata"]["artifact"]["sha256"]);
}

#[test]
fn a_stand_in_is_named() {
    let env = Env::empty();
    let oid = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";
    let text = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 1\n");
    env.write("lfs.bin", text);
    env.run(&["fingerprint", "lfs.bin"]).ok().says("is a Git LFS pointer to sha256:4d7a");
}

#[test]
fn a_folder_of_tables_is_one_table_when_asked() {
    let env = Env::empty();
    env.write("whole.csv", "id,amount\n1,2.5\n2,3\n3,\n");
    env.write("parts/day=1/a.csv", "id,amount\n1,2.5\n");
    env.write("parts/day=2/a.csv", "id,amount\n2,3\n");
    env.write("parts/day=2/b.csv", "id,amount\n3,\n");
    env.write("parts/_SUCCESS", "");
    let content = |arguments: &[&str]| {
        let arguments = [&["fingerprint"], arguments].concat();
        env.json_lines(&arguments, "lineage.fingerprint/1").remove(0)
    };
    let whole = content(&["whole.csv"]);
    let parts = content(&["parts", "--table"]);
    assert_eq!(parts["content_sha256"], whole["content_sha256"]);
    assert_eq!((&parts["kind"], &parts["rows"]), (&json!("directory"), &json!(3)));
    assert_eq!(parts["columns"][1]["type"], "float64", "inferred over all files");
    assert_eq!(content(&["parts"])["content_sha256"], json!(null));
    let hive = content(&["parts", "--hive"]);
    env.write("hive.csv", "id,amount,day\n1,2.5,1\n2,3,2\n3,,2\n");
    env.write(
        "hive.json",
        r#"{"columns":[{"name":"id","type":"int"},
        {"name":"amount","type":"float64"},{"name":"day","type":"string"}]}"#,
    );
    let declared = content(&["hive.csv", "--schema", "hive.json"]);
    assert_eq!(hive["content_sha256"], declared["content_sha256"]);
    let printed = env.run(&["fingerprint", "parts/*/*.csv", "-q"]).ok().stdout;
    assert_eq!(printed.lines().count(), 3);
    env.refused(&["fingerprint", "none/*.csv"], 5, "not-found", "none");
}

#[test]
fn flags_that_a_file_has_no_use_for_are_missed() {
    let env = Env::new();
    env.write("a.csv", "x;y\n1;2\n");
    env.write("a.ndjson", "{\"x\":1,\"y\":2}\n");
    env.write("a.bin", "x");
    env.write("names.txt", "x\ny\n");
    env.write("m/a.csv", "x,y\n1,2\n");
    let all = ["--schema", "names.txt", "--delimiter", ";"];
    let run = |path: &str| env.run(&[&["fingerprint", path], &all[..]].concat()).ok();
    assert_eq!(run("a.csv").stderr, "");
    let ran = run("a.ndjson");
    ran.says("warning: a.ndjson: it is NDJSON; not used: the delimiter (for CSV and TSV)\n");
    for path in ["a.bin", "m"] {
        run(path).says(&format!(
            "warning: {path}: it is not read as a table; not used: the schema (for CSV, TSV and NDJSON), \
             the delimiter"
        ));
    }
    let arguments = ["record", "fraud", "--data", "training=a.csv", "--data", "x=a.bin", "--json"];
    let recorded = env.run(&[&arguments[..], &all[..]].concat()).ok().json();
    assert_eq!(recorded["datasets"][0]["rows"], 1);
    assert_eq!(recorded["warnings"][0]["code"], "options-unused");
    assert!(recorded["warnings"][0]["message"].as_str().unwrap().starts_with("a.bin: it is not"));
}

#[test]
fn a_delimiter_that_was_perhaps_meant_is_named() {
    let env = Env::new();
    for (name, text, shown) in [
        ("a.csv", "x;y\n1;2\n", ";"),
        ("b.csv", "x\ty\n1\t2\n", "\\t"),
        ("c.tsv", "x,y\n1,2\n", ","),
    ] {
        env.write(name, text);
        let ran = env.run(&["fingerprint", name]).ok();
        let doubt = format!("is it separated by {shown}? give --delimiter '{shown}'");
        ran.says(&format!("warning: {name} has one column, named \"x")).says(&doubt);
        assert_eq!(env.run(&["fingerprint", name, "--delimiter", shown]).ok().stderr, "");
        let data = format!("training={name}");
        let arguments = ["record", "fraud", "--data", &data];
        env.run(&arguments).ok().says(&doubt);
    }
    env.write("one.csv", "x\n1;2\n");
    assert_eq!(env.run(&["fingerprint", "one.csv"]).ok().stderr, "");
}

#[test]
fn a_schema_names_the_columns_of_a_csv_without_a_header() {
    let env = Env::empty();
    env.write("bare.csv", "1,2.5\n2,3\n");
    env.write("headed.csv", "id,amount\n1,2.5\n2,3\n");
    env.write(
        "schema.json",
        r#"{"columns":[{"name":"id","type":"int"},{"name":"amount","type":"decimal"}]}"#,
    );
    env.write("names.txt", "id\namount\n");
    env.write("one.txt", "id\n");
    env.write("parts/a.csv", "1,2.5\n");
    env.write("parts/b.csv", "2,3\n");
    let content = |arguments: &[&str], schema: &str| {
        let arguments = [&["fingerprint"], arguments, &["--schema", schema]].concat();
        env.json(&arguments, "lineage.fingerprint/1")["content_sha256"].clone()
    };
    for schema in ["schema.json", "names.txt"] {
        let headed = content(&["headed.csv"], schema);
        assert_eq!(content(&["bare.csv", "--no-header"], schema), headed);
        assert_eq!(content(&["parts", "--table", "--no-header", "--unordered"], schema), headed);
    }
    let arguments = ["fingerprint", "bare.csv", "--no-header", "--schema", "one.txt"];
    env.refused(&arguments, 2, "not-as-declared", "column 2 \"column_2\" is not in the schema");
    let key = ["diff", "bare.csv", "bare.csv", "--no-header", "--schema", "names.txt"];
    env.run(&key).ok();
}

#[test]
fn why_a_table_cannot_be_a_model_for_others_is_said() {
    let env = Env::empty();
    env.write("a.csv", "x\n1\n");
    env.write("ragged.csv", "x,y\n1\n");
    env.write("notes.txt", "x");
    env.write("m/a.csv", "x\n1\n");
    for (like, message) in [
        ("ragged.csv", "ragged.csv is not a table that can be read: line 2"),
        ("notes.txt", "notes.txt is not a table that can be read: its name is not that of a table"),
        ("m", "m is not a table that can be read: it is a folder"),
    ] {
        env.refused(&["fingerprint", "a.csv", "--like", like], 2, "usage", message);
    }
}

#[test]
fn files_that_are_not_one_table_are_refused() {
    let env = Env::empty();
    env.write("parts/a.csv", "id,amount\n1,2\n");
    env.write("parts/b.csv", "id,price\n1,2\n");
    let arguments = ["fingerprint", "parts", "--table"];
    env.refused(&arguments, 2, "not-as-declared", "\"a.csv\" and \"b.csv\" differ");
    env.write("parts/b.csv", "id,amount\n1,2,3\n");
    env.refused(&arguments, 2, "not-as-declared", "b.csv: line 2");
    env.write("parts/b.csv", "id,amount\n1,2\n");
    env.write("parts/notes.txt", "x");
    env.refused(&arguments, 2, "not-as-declared", "\"notes.txt\" is not named like a table");
    env.run(&[&arguments[..], &["--exclude", "*.txt"]].concat()).ok();
}

#[test]
fn declared_kinds_and_dialects_are_obeyed() {
    let env = Env::empty();
    env.write("semi.csv", "1;a\n2;\n");
    env.write("plain.csv", "column_1,column_2\n1,a\n2,\n");
    let content = |arguments: &[&str]| {
        let arguments = [&["fingerprint"], arguments].concat();
        env.json_lines(&arguments, "lineage.fingerprint/1").remove(0)["content_sha256"].clone()
    };
    let semi = content(&["semi.csv", "--delimiter", ";", "--no-header"]);
    assert_eq!(semi, content(&["plain.csv"]));
    env.write(
        "schema.json",
        r#"{"columns":[{"name":"column_1","type":"string"},
        {"name":"column_2","type":"string"}]}"#,
    );
    assert_ne!(semi, content(&["plain.csv", "--schema", "schema.json"]));
    env.write("rows.ndjson", "{\"column_1\":1,\"column_2\":\"a\"}\n{\"column_1\":2}\n");
    assert_eq!(semi, content(&["rows.ndjson"]));
    assert_eq!(semi, content(&["plain.csv", "--like", "rows.ndjson"]));
    env.write(
        "schema.json",
        r#"{"columns":[{"name":"column_1","type":"date"},
        {"name":"column_2","type":"string"}]}"#,
    );
    let arguments = ["fingerprint", "plain.csv", "--schema", "schema.json"];
    env.refused(&arguments, 2, "not-as-declared", "\"1\" in column \"column_1\"");
    env.refused(&["fingerprint", "plain.csv", "--delimiter", "\""], 2, "usage", "--delimiter");
}

#[test]
fn an_unchanged_file_is_not_read_again_and_the_output_says_so() {
    let env = Env::new();
    let later = [("LINEAGE_TEST_NOW", "2099-01-01T00:00:00Z")];
    env.write("data.csv", "id,amount\n".to_owned() + &"1,2.5\n".repeat(2000));
    let hashed = |extra: &[&str]| {
        let arguments = [&["fingerprint", "data.csv", "--json"], extra].concat();
        let line = env.run_with(&arguments, &later).ok().stdout;
        let line: serde_json::Value = serde_json::from_str(line.trim()).unwrap();
        (line["hashed"].clone(), line["content_sha256"].clone(), line["sha256"].clone())
    };
    let first = hashed(&[]);
    assert_eq!(first.0, "bytes");
    let second = hashed(&[]);
    assert_eq!((&second.0, &second.1, &second.2), (&json!("cache"), &first.1, &first.2));
    assert_eq!(hashed(&["--rehash"]), first);
    // The same size and, set back by hand, the same time of modification: the kernel's time tells.
    let path = env.path("data.csv");
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    env.write("data.csv", "id,amount\n".to_owned() + &"1,3.5\n".repeat(2000));
    std::fs::File::options().append(true).open(&path).unwrap().set_modified(modified).unwrap();
    let third = hashed(&[]);
    assert_eq!(third.0, "bytes");
    assert_ne!(third.1, first.1);
    // A damaged cache is made anew.
    env.write(".lineage/cache.db", "not a database");
    assert_eq!(hashed(&[]).1, third.1);
    assert_eq!(hashed(&[]).0, "cache");
    let arguments = ["record", "fraud", "--data", "training=data.csv", "--json"];
    let recorded = env.run_with(&arguments, &later).ok().stdout;
    assert!(recorded.contains("\"hashed\":\"cache\""), "{recorded}");
}

#[test]
fn a_glob_looks_only_where_it_can_match() {
    let env = Env::empty();
    env.write("a.csv", "x,y\n1,2\n");
    env.write("sub/b.csv", "x,y\n1,2\n");
    env.write("closed/c.csv", "x,y\n1,2\n");
    crate::support::set_mode(&env.path("closed"), 0o000);
    crate::support::set_mode(env.root(), 0o755);
    let count = |pattern: &str| {
        env.run_unprivileged(&["fingerprint", pattern, "-q"]).ok().stdout.lines().count()
    };
    assert_eq!((count("*.csv"), count("s*/*.csv"), count("s*/**/*.csv")), (1, 1, 1));
    crate::support::set_mode(&env.path("closed"), 0o755);
    assert_eq!(count("**/*.csv"), 3);
}
