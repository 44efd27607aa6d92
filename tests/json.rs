//! `--json` everywhere: each command's success names its schema, and each error word is provoked
//! by some test.

use std::fs;

use crate::support::{Env, Ran, repository};

#[test]
fn every_command_answers_in_json_with_its_schema() {
    let env = Env::empty();
    env.write("m.bin", "x");
    env.write("t.csv", "a\n1\n");
    for (arguments, schema) in [
        (&["init"][..], "lineage.init/1"),
        (&["record", "fraud", "--artifact", "m.bin"], "lineage.record/1"),
        (&["record", "fraud", "--artifact", "t.csv"], "lineage.record/1"),
        (&["session", "start", "fraud"], "lineage.session-step/1"),
        (&["session", "list"], "lineage.session/1"),
        (&["log"], "lineage.log/1"),
        (&["search", "model = fraud"], "lineage.search/1"),
        (&["show", "fraud@1"], "lineage.show/1"),
        (&["promote", "fraud", "--version", "1"], "lineage.promote/1"),
        (&["promote", "fraud"], "lineage.promote/1"),
        (&["history", "fraud"], "lineage.history/1"),
        (&["status"], "lineage.status/1"),
        (&["rollback", "fraud", "--reason", "x"], "lineage.rollback/1"),
        (&["pointer", "list"], "lineage.pointer/1"),
        (&["resolve", "fraud"], "lineage.resolve/1"),
        (&["checkout", "fraud@1", "out"], "lineage.checkout/1"),
        (&["pointer", "unset", "fraud", "--yes"], "lineage.pointer-unset/1"),
        (&["verify"], "lineage.verify/1"),
        (&["fingerprint", "t.csv"], "lineage.fingerprint/1"),
        (&["diff", "t.csv", "m.bin"], "lineage.diff/1"),
        (&["diff", "fraud@1", "fraud@latest"], "lineage.diff/1"),
        (&["impact", "m.bin"], "lineage.impact/1"),
        (&["graph", "fraud@1"], "lineage.graph/1"),
        (&["inspect", "m.bin"], "lineage.inspect/1"),
        (&["reproduce", "fraud@1"], "lineage.reproduce/1"),
        (&["adopt", "."], "lineage.adopt/1"),
        (&["doctor"], "lineage.doctor/1"),
    ] {
        assert!(!env.json_lines(arguments, schema).is_empty(), "{arguments:?}");
        let ran = env.run(&[arguments, &["--json"]].concat());
        assert!(!ran.stderr.contains("hint:"), "{ran}");
    }
    let ran = env.run(&["run", "fraud", "--json", "--", "true"]).ok();
    assert_eq!(ran.json()["schema"], "lineage.record/1");
}

#[test]
fn show_metadata_is_json_of_its_own_in_any_case() {
    let env = Env::with_versions(1);
    let plain = env.run(&["show", "fraud@1", "--metadata"]).ok();
    let json = env.run(&["show", "fraud@1", "--metadata", "--json"]).ok();
    assert_eq!(plain.stdout, json.stdout);
    assert!(plain.json()["schema"].is_string());
}

/// For a command that starts others: with one seed they would all make the same ids.
fn unseeded(env: &Env, arguments: &[&str]) -> Ran {
    env.finish(env.command(arguments).env_remove("LINEAGE_TEST_SEED").output().unwrap())
}

#[test]
fn demo_and_completions_answer_in_json_too() {
    let env = Env::empty();
    for arguments in [&["completions", "bash"][..], &["demo", "story"]] {
        let ran = unseeded(&env, &[arguments, &["--json"]].concat()).ok();
        let all = ran.stdout.lines().all(|line| {
            serde_json::from_str::<serde_json::Value>(line)
                .is_ok_and(|value| value["schema"].is_string())
        });
        assert!(all, "{arguments:?} prints no JSON: {:.200}", ran.stdout);
    }
}

#[test]
fn a_demo_in_a_folder_that_is_not_empty_is_refused() {
    let env = Env::empty();
    env.write("full/file", "x");
    env.refused(&["demo", "full"], 6, "occupied", "full is not empty");
    assert_eq!(env.read("full/file"), "x");
}

#[test]
fn the_demo_tells_its_story_to_the_end() {
    let env = Env::empty();
    let ran = unseeded(&env, &["demo", "story"]).ok();
    for part in ["$ lineage init", "$ lineage rollback fraud", "[exit code 4]", "\n12. "] {
        assert!(ran.stdout.contains(part), "{part:?}: {ran}");
    }
    assert!(env.path("story/.lineage/registry.db").exists());
}

#[test]
fn an_entry_that_would_be_too_large_is_refused() {
    let env = Env::with_versions(1);
    env.write(
        "spec.json",
        format!("{{\"model\": \"fraud\", \"note\": \"{}\"}}", "x".repeat(2 << 20)),
    );
    env.refused(&["record", "--spec", "spec.json"], 1, "too-large", "");
    env.verifies();
}

#[test]
fn warnings_in_json_are_a_list_and_stdout_is_one_document() {
    let env = Env::with_versions(1);
    let ran = env.run(&["record", "fraud", "--artifact", "v1/model.bin", "--json"]).ok();
    let document = ran.json();
    assert_eq!(document["warnings"][0]["code"], "twin");
    assert!(document["warnings"][0]["message"].is_string());
}

/// Error words that no test here can provoke, and why.
const NOT_PROVOKED: [(&str, &str); 2] = [
    ("network-file-system", "needs a network file system"),
    ("contended", "needs ten moves of a pointer while one promotion verifies bytes"),
];

#[test]
fn each_error_word_is_provoked_by_some_test() {
    let source = fs::read_to_string(repository().join("lineage-cli/src/error.rs")).unwrap();
    let list = source.split("kinds! {").nth(1).unwrap().split('}').next().unwrap();
    let words: Vec<&str> = list.lines().filter_map(|line| line.split('"').nth(1)).collect();
    assert!(words.len() > 30, "{words:?}");
    let mut tests = String::new();
    for entry in fs::read_dir(repository().join("tests")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            tests.push_str(&fs::read_to_string(path).unwrap());
        }
    }
    for word in words {
        let exempt = NOT_PROVOKED.iter().any(|(exempt, _)| *exempt == word);
        let quoted = [format!("\"{word}\""), format!("\\\"{word}\\\"")];
        let provoked = quoted.iter().any(|quoted| tests.contains(quoted));
        assert!(provoked || exempt, "no test provokes \"{word}\"");
    }
}
