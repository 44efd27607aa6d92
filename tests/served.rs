//! The BLAKE3 of what a pointer serves: taken when it moves, compared by `resolve`.

use std::fs;
use std::path::Path;

use lineage_core::digest::{Blake3, Sha256};
use serde_json::{Value, json};

use crate::support::agreement::Log;
use crate::support::{Env, repository, testdata};

/// What `resolve` compared by.
#[track_caller]
fn by(env: &Env, arguments: &[&str]) -> Value {
    let found = env.json(&[&["resolve"], arguments].concat(), "lineage.resolve/1");
    assert_eq!(found["verified"] == "bytes", !found["by"].is_null(), "{found}");
    found["by"].clone()
}

/// What the last entry of the log says is served.
fn served(env: &Env) -> Value {
    Log::read(env).entries.last().unwrap()["details"]["served"].clone()
}

fn blake3_of(path: &Path) -> String {
    Blake3::of(&fs::read(path).unwrap()).to_string()
}

#[test]
fn resolve_says_by_which_digest_it_compared() {
    let env = Env::with_versions(2);
    env.run(&["promote", "fraud"]).ok();
    env.run(&["promote", "fraud", "--version", "1", "--pointer", "staging"]).ok();
    for pointer in ["fraud", "fraud@prod", "fraud@staging"] {
        assert_eq!(by(&env, &[pointer]), "blake3", "{pointer}");
        assert_eq!(by(&env, &[pointer, "--sha256"]), "sha256", "{pointer}");
        assert_eq!(by(&env, &[pointer, "--no-verify"]), Value::Null, "{pointer}");
    }
    for version in ["fraud@2", "fraud@latest"] {
        assert_eq!(by(&env, &[version]), "sha256", "{version}");
    }
    for other in [&["--no-verify"][..], &["--at", "seq:3"]] {
        let arguments = [&["resolve", "fraud", "--sha256", "--json"], other].concat();
        env.run(&arguments).code(2).error_code("usage");
    }
}

#[test]
fn every_move_takes_the_blake3_of_what_it_serves() {
    let env = Env::with_versions(3);
    let file = |version: u32| env.path(&format!("v{version}/model.bin"));
    for version in ["1", "2", "3"] {
        env.run(&["promote", "fraud", "--version", version]).ok();
    }
    assert_eq!(served(&env)["blake3"], blake3_of(&file(3)));
    env.run(&["rollback", "fraud", "--reason", "worse"]).ok();
    assert_eq!(served(&env)["blake3"], blake3_of(&file(2)));
    env.write("PROD_POINTER.txt", "v1/model.bin\n");
    env.run(&["promote", "fraud", "--accept-external"]).ok();
    assert_eq!(served(&env)["blake3"], blake3_of(&file(1)));
    assert_eq!(by(&env, &["fraud"]), "blake3");
    // A copy that is made, and one that is there already.
    let expected = blake3_of(&file(2));
    env.write("v2/model.bin", "overwritten");
    for pointer in ["made", "there"] {
        env.run(&["promote", "fraud", "--version", "2", "--pointer", pointer]).ok();
        let served = served(&env);
        assert_eq!((&served["from"], &served["blake3"]), (&json!("checkout"), &json!(expected)));
        assert_eq!(by(&env, &[&format!("fraud@{pointer}")]), "blake3");
    }
    env.verifies();
}

#[test]
fn a_directory_has_one_blake3_over_the_lines_of_its_files() {
    let cases: Vec<Value> =
        serde_json::from_slice(&fs::read(testdata("vectors/served.json")).unwrap()).unwrap();
    let mut directories = 0;
    for case in cases.iter().filter(|case| case["kind"] == "directory") {
        let env = Env::new();
        let files = case["files"].as_array().unwrap();
        // No file system takes U+0000 in a name.
        if files.iter().any(|file| file["path"].as_str().unwrap().contains('\0')) {
            continue;
        }
        for file in files {
            let bytes = file["bytes_hex"].as_str().unwrap();
            let bytes: Vec<u8> = (0..bytes.len() / 2)
                .map(|at| u8::from_str_radix(&bytes[2 * at..2 * at + 2], 16).unwrap())
                .collect();
            env.write(&format!("m/{}", file["path"].as_str().unwrap()), bytes);
        }
        env.run(&["record", "fraud", "--artifact", "m"]).ok();
        env.run(&["promote", "fraud"]).ok();
        assert_eq!(served(&env)["blake3"], case["blake3"], "{}", case["about"]);
        // The file that describes the artifact lies in it, and is no part of it.
        assert!(env.path("m/metadata.json").exists());
        assert_eq!(by(&env, &["fraud"]), "blake3");
        // The copy of the object store has the same.
        fs::remove_dir_all(env.path("m")).unwrap();
        env.run(&["promote", "fraud"]).ok();
        let served = served(&env);
        assert_eq!((&served["from"], &served["blake3"]), (&json!("checkout"), &case["blake3"]));
        assert_eq!(by(&env, &["fraud"]), "blake3");
        directories += 1;
    }
    assert_eq!(directories, 3);
}

#[test]
fn what_was_left_out_of_a_directory_may_change() {
    let env = Env::new();
    for name in ["model.bin", "training.log"] {
        env.write(&format!("m/{name}"), name);
    }
    env.run(&["record", "fraud", "--artifact", "m", "--exclude", "*.log"]).ok();
    env.run(&["promote", "fraud"]).ok();
    env.write("m/training.log", "more");
    assert_eq!(by(&env, &["fraud"]), "blake3");
    // Without the manifest nobody knows what was left out, and SHA-256 has the word.
    let digest = served(&env)["sha256"].as_str().unwrap().to_owned();
    fs::remove_file(env.path(".lineage/objects").join(digest)).unwrap();
    env.refused(&["resolve", "fraud"], 4, "served-differs", "does not hold its bytes");
}

/// Of several parts, which several threads read, and of files beside it.
#[test]
fn a_byte_of_a_large_file_is_found_wherever_it_is_flipped() {
    let env = Env::new();
    let size = (5 << 20) + 17;
    let mut bytes: Vec<u8> = (0..size).map(|at: usize| (at % 251) as u8).collect();
    env.write("m/large.bin", &bytes);
    env.write("m/small.bin", "1");
    env.run(&["record", "fraud", "--artifact", "m"]).ok();
    env.run(&["record", "alone", "--artifact", "m/large.bin", "--metadata", "alone.json"]).ok();
    for model in ["fraud", "alone"] {
        env.run(&["promote", model]).ok();
        assert_eq!(by(&env, &[model]), "blake3");
    }
    for at in [0, (1 << 20) - 1, 1 << 20, (3 << 20) + 5, size - 1] {
        bytes[at] ^= 1;
        env.write("m/large.bin", &bytes);
        let file =
            "fraud@prod is fraud@1, but m does not hold its bytes: large.bin has other bytes";
        env.refused(&["resolve", "fraud"], 4, "served-differs", file);
        env.refused(&["resolve", "alone"], 4, "served-differs", "recorded as");
        bytes[at] ^= 1;
    }
    for size in [size - 1, 1 << 20, 0] {
        env.write("m/large.bin", &bytes[..size]);
        env.refused(&["resolve", "alone"], 4, "served-differs", "recorded as");
    }
    env.write("m/large.bin", &bytes);
    assert_eq!(by(&env, &["alone"]), "blake3");
}

/// The bytes are the version's, whatever the row says: SHA-256 has the last word, and the log tells that
/// the row was edited.
#[test]
fn an_edited_digest_is_found_and_stops_no_service() {
    let env = Env::with_versions(1);
    env.run(&["promote", "fraud"]).ok();
    env.sql(&format!("UPDATE pointer SET served_blake3 = '{}'", "0".repeat(64))).unwrap();
    assert_eq!(by(&env, &["fraud"]), "sha256");
    env.run(&["verify"]).code(4);
    let found = env.run(&["verify", "--json"]).code(4).json();
    let problem = &found["problems"][0];
    assert_eq!(
        (&problem["kind"], found["problems"].as_array().unwrap().len()),
        (&json!("row-differs"), 1)
    );
    assert!(problem["subject"].as_str().unwrap().starts_with("pointer ("), "{problem}");
    env.run(&["doctor", "--rebuild"]).ok();
    assert_eq!(by(&env, &["fraud"]), "blake3");
    env.verifies();
}

/// The row of other bytes with their own digest would pass: the promise ends where the registry may be
/// written, and `verify` is who finds it.
#[test]
fn verify_compares_by_sha256_alone() {
    let env = Env::with_versions(1);
    env.run(&["promote", "fraud"]).ok();
    env.write("v1/model.bin", "other");
    let other = blake3_of(&env.path("v1/model.bin"));
    env.sql(&format!("UPDATE pointer SET served_blake3 = '{other}'")).unwrap();
    assert_eq!(by(&env, &["fraud"]), "blake3");
    env.refused(&["resolve", "fraud", "--sha256"], 4, "served-differs", "recorded as");
    let found = env.run(&["verify", "--json"]).code(4).json();
    let kinds: Vec<&str> =
        found["problems"].as_array().unwrap().iter().map(|p| p["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"row-differs") && kinds.contains(&"served-differs"), "{kinds:?}");
}

/// A registry whose log is the first entries of the golden one.
fn golden(entries: usize) -> Env {
    let env = Env::new();
    for name in ["registry.db", "registry.db-wal", "registry.db-shm"] {
        let _ = fs::remove_file(env.path(".lineage").join(name));
    }
    let database = rusqlite::Connection::open(env.path(".lineage/registry.db")).unwrap();
    let migration = repository().join("schema/migrations/0001_log.sql");
    database.execute_batch(&fs::read_to_string(migration).unwrap()).unwrap();
    let pragmas = "PRAGMA application_id = 0x4C4E4745; PRAGMA user_version = 1";
    database.execute_batch(pragmas).unwrap();
    let log = fs::read_to_string(testdata("vectors/log.ndjson")).unwrap();
    for (seq, line) in log.lines().take(entries).enumerate() {
        let values = (seq as i64, line.as_bytes(), Sha256::of(line.as_bytes()).to_string());
        database.execute("INSERT INTO event VALUES (?1, ?2, ?3)", values).unwrap();
    }
    env
}

/// The files of the golden log's second version.
fn write_second(env: &Env, folder: &str) {
    env.write(&format!("{folder}/model.json"), "{\"trees\":[1,2,3]}\n");
    env.write(&format!("{folder}/threshold.txt"), "0.35\n");
    env.write(&format!("{folder}/explain/shap.bin"), (0..64).collect::<Vec<u8>>());
}

#[test]
fn an_entry_without_blake3_is_read_and_resolved_by_sha256() {
    // The first release: a file.
    let env = golden(4);
    env.write("models/fraud_v1.json", "{\"trees\":[1,2]}\n");
    assert_eq!(by(&env, &["fraud"]), "sha256");
    env.write("models/fraud_v1.json", "{\"trees\":[1,3]}\n");
    env.refused(&["resolve", "fraud"], 4, "served-differs", "recorded as 756279b79105");
    // The last entry of the time before: a directory, as a checkout.
    let env = golden(16);
    let served = served(&env);
    assert_eq!((&served["from"], &served["blake3"]), (&json!("checkout"), &Value::Null));
    write_second(&env, served["path"].as_str().unwrap());
    assert_eq!(by(&env, &["fraud"]), "sha256");
}

#[test]
fn the_golden_entries_with_blake3_are_resolved_by_it() {
    let env = golden(18);
    write_second(&env, "models/fraud_v2");
    assert_eq!(by(&env, &["fraud@canary"]), "sha256", "the manifest is not there");
    let cases: Vec<Value> =
        serde_json::from_slice(&fs::read(testdata("vectors/manifest.json")).unwrap()).unwrap();
    let manifest = cases.iter().find(|case| case["sha256"] == served(&env)["sha256"]).unwrap();
    let object = format!(".lineage/objects/{}", manifest["sha256"].as_str().unwrap());
    env.write(&object, manifest["manifest_utf8"].as_str().unwrap());
    assert_eq!(by(&env, &["fraud@canary"]), "blake3");
    env.write("models/fraud_v2/threshold.txt", "0.36\n");
    env.refused(&["resolve", "fraud@canary"], 4, "served-differs", "threshold.txt has other bytes");
    let env = golden(19);
    env.write("models/fraud_v1.json", "{\"trees\":[1,2]}\n");
    assert_eq!(by(&env, &["fraud@canary"]), "blake3");
}
