//! `lineage rollback`: a walk down the pointer's stack, never a toggle, safe to retry.

use serde_json::json;

use crate::support::Env;

fn promote(env: &Env, versions: &[&str]) {
    for version in versions {
        env.run(&["promote", "fraud", "--version", version, "--allow-quarantined"]).ok();
    }
}

fn back(env: &Env) -> u64 {
    let moved = env.json(&["rollback", "fraud", "--reason", "INC-1"], "lineage.rollback/1");
    moved["to"].as_u64().unwrap()
}

#[test]
fn rollback_says_where_it_went_and_what_it_quarantined() {
    let env = Env::with_versions(2);
    promote(&env, &["1", "2"]);
    insta::assert_snapshot!(env.run(&["rollback", "fraud", "--reason", "INC-1"]), @"
    fraud@prod 2 → 1  v1/model.bin
      version 2 is now quarantined on prod
      PROD_POINTER.txt written
    ------- stderr -------
    hint: when it is mended: lineage promote fraud --version 2 --allow-quarantined
    ");
    assert_eq!(env.read("PROD_POINTER.txt"), "v1/model.bin\n");
    env.verifies();
}

#[test]
fn repeated_rollbacks_walk_back_and_stop() {
    let env = Env::with_versions(3);
    promote(&env, &["1", "2", "3"]);
    assert_eq!((back(&env), back(&env)), (2, 1));
    let arguments = ["rollback", "fraud", "--reason", "x"];
    env.refused(&arguments, 5, "nothing-to-roll-back-to", "it stays at fraud@1");
    assert_eq!(env.read("PROD_POINTER.txt"), "v1/model.bin\n");
    env.verifies();
}

#[test]
fn a_version_rolled_back_from_is_not_returned_to() {
    let env = Env::with_versions(3);
    promote(&env, &["1", "2"]);
    assert_eq!(back(&env), 1);
    promote(&env, &["3"]);
    assert_eq!(back(&env), 1);
    env.verifies();
}

#[test]
fn a_version_that_was_live_twice_is_left_as_one() {
    let env = Env::with_versions(2);
    promote(&env, &["1", "2", "1"]);
    assert_eq!(back(&env), 2);
    env.verifies();
}

#[test]
fn quarantined_entries_are_passed_over_and_named() {
    let env = Env::with_versions(3);
    promote(&env, &["1", "2", "3", "2"]);
    assert_eq!(back(&env), 3);
    insta::assert_snapshot!(env.run(&["rollback", "fraud", "--reason", "x"]), @"
    fraud@prod 3 → 1  v1/model.bin
      passed over, because quarantined: 2
      version 3 is now quarantined on prod
      PROD_POINTER.txt written
    ------- stderr -------
    hint: when it is mended: lineage promote fraud --version 3 --allow-quarantined
    ");
    let arguments = ["rollback", "fraud", "--reason", "x", "--json"];
    let refused = env.run(&arguments).code(5).error_code("nothing-to-roll-back-to");
    assert!(refused.stdout.contains("it stays at fraud@1"), "{refused}");
    env.verifies();
}

#[test]
fn allow_quarantined_goes_to_what_would_be_passed_over() {
    let env = Env::with_versions(3);
    promote(&env, &["1", "2", "3", "2"]);
    assert_eq!(back(&env), 3);
    let arguments = ["rollback", "fraud", "--reason", "x", "--allow-quarantined"];
    assert_eq!(env.json(&arguments, "lineage.rollback/1")["to"], 2);
}

#[test]
fn rollback_without_history_is_refused() {
    let env = Env::with_versions(1);
    let arguments = ["rollback", "fraud", "--reason", "x"];
    env.refused(&arguments, 5, "nothing-live", "nothing is live at fraud@prod");
    promote(&env, &["1"]);
    env.refused(&arguments, 5, "nothing-to-roll-back-to", "nothing to roll back to");
    env.refused(&["rollback", "nope", "--reason", "x"], 5, "unknown-model", "nope");
    let other = ["rollback", "fraud", "--reason", "x", "--pointer", "staging"];
    env.refused(&other, 5, "nothing-live", "fraud@staging");
    env.verifies();
}

#[test]
fn a_reason_is_required() {
    let env = Env::with_versions(2);
    promote(&env, &["1", "2"]);
    env.refused(&["rollback", "fraud"], 2, "usage", "--reason <TEXT>");
    assert_eq!(env.read("PROD_POINTER.txt"), "v2/model.bin\n");
}

#[test]
fn an_empty_reason_is_no_reason() {
    let env = Env::with_versions(2);
    promote(&env, &["1", "2"]);
    env.refused(&["rollback", "fraud", "--reason", ""], 2, "usage", "reason");
    env.refused(&["rollback", "fraud", "--reason", "  "], 2, "usage", "reason");
}

#[test]
fn with_expect_a_retried_job_goes_back_once() {
    let env = Env::with_versions(3);
    promote(&env, &["1", "2", "3"]);
    let arguments = ["rollback", "fraud", "--expect", "3", "--reason", "INC-1"];
    let first = env.json(&arguments, "lineage.rollback/1");
    assert_eq!((&first["from"], &first["to"]), (&json!(3), &json!(2)));
    let before = env.entries();
    let again = env.json(&arguments, "lineage.rollback/1");
    assert_eq!((&again["changed"], &again["to"]), (&json!(false), &json!(2)));
    assert_eq!(env.entries(), before);
    insta::assert_snapshot!(env.run(&arguments), @"fraud@prod is already 2");
    assert_eq!(env.read("PROD_POINTER.txt"), "v2/model.bin\n");
}

#[test]
fn with_expect_another_live_version_is_a_conflict() {
    let env = Env::with_versions(3);
    promote(&env, &["1", "2", "3"]);
    let arguments = ["rollback", "fraud", "--expect", "2", "--reason", "x"];
    env.refused(&arguments, 6, "pointer-moved", "is at fraud@3, not at fraud@2");
    env.run(&["rollback", "fraud", "--expect", "3", "--reason", "x"]).ok();
    promote(&env, &["1"]);
    // The last move was no rollback away from 3 any more.
    let arguments = ["rollback", "fraud", "--expect", "3", "--reason", "x"];
    env.refused(&arguments, 6, "pointer-moved", "is at fraud@1");
    env.verifies();
}

#[test]
fn the_default_promote_skips_what_was_rolled_back_from() {
    let env = Env::with_versions(2);
    promote(&env, &["1", "2"]);
    back(&env);
    assert_eq!(env.json(&["promote", "fraud"], "lineage.promote/1")["changed"], false);
    let before = env.entries();
    let named = env.run(&["promote", "fraud", "--version", "2", "--json"]);
    let named = named.code(3).error_code("quarantined");
    assert!(named.stdout.contains("fraud@2 is quarantined on fraud@prod"), "{named}");
    assert_eq!(env.entries(), before + 1, "the attempt is recorded");
    env.run(&["promote", "fraud", "--version", "2"]).code(3).says("--allow-quarantined");
    // Quarantine is per pointer.
    env.run(&["promote", "fraud", "--version", "2", "--pointer", "staging"]).ok();
    promote(&env, &["2"]);
    env.verifies();
}

#[test]
fn promoting_a_quarantined_version_on_purpose_ends_its_quarantine() {
    let env = Env::with_versions(2);
    promote(&env, &["1", "2"]);
    back(&env);
    promote(&env, &["2"]);
    let shown = env.json(&["show", "fraud@2"], "lineage.show/1");
    assert_eq!(shown["current"]["quarantined_on"], json!([]));
}

#[test]
fn no_quarantine_lets_the_version_come_back() {
    let env = Env::with_versions(2);
    promote(&env, &["1", "2"]);
    env.run(&["rollback", "fraud", "--reason", "x", "--no-quarantine"]).ok();
    assert_eq!(env.json(&["promote", "fraud"], "lineage.promote/1")["to"], 2);
}

#[test]
fn everything_quarantined_leaves_nothing_to_promote() {
    let env = Env::with_versions(1);
    env.run(&["promote", "fraud"]).ok();
    env.run(&["pointer", "unset", "fraud", "--yes"]).ok();
    env.write("v2/model.bin", "two");
    env.run(&["record", "fraud", "--artifact", "v2/model.bin"]).ok();
    env.run(&["promote", "fraud"]).ok();
    assert_eq!(back(&env), 1);
    env.run(&["pointer", "unset", "fraud", "--yes"]).ok();
    env.run(&["promote", "fraud"]).ok();
    env.verifies();
}

#[test]
fn a_version_that_never_held_the_pointer_is_no_target() {
    let env = Env::with_versions(3);
    promote(&env, &["1", "2"]);
    let arguments = ["rollback", "fraud", "--version", "3", "--reason", "x"];
    env.refused(&arguments, 5, "never-held", "fraud@3 never held fraud@prod");
    let arguments = ["rollback", "fraud", "--version", "9", "--reason", "x"];
    env.refused(&arguments, 5, "unknown-version", "fraud@9");
    env.verifies();
}

#[test]
fn a_named_version_is_gone_back_to_and_then_the_stack_goes_on() {
    let env = Env::with_versions(3);
    promote(&env, &["1", "2", "3"]);
    let arguments = ["rollback", "fraud", "--version", "1", "--reason", "x"];
    let moved = env.json(&arguments, "lineage.rollback/1");
    assert_eq!((&moved["from"], &moved["to"]), (&json!(3), &json!(1)));
    assert_eq!(env.json(&arguments, "lineage.rollback/1")["changed"], false);
    assert_eq!(back(&env), 2);
    env.verifies();
}

#[test]
fn a_named_quarantined_version_needs_the_flag() {
    let env = Env::with_versions(2);
    promote(&env, &["1", "2"]);
    back(&env);
    let arguments = ["rollback", "fraud", "--version", "2", "--reason", "x"];
    env.run(&[&arguments[..], &["--json"]].concat()).code(3).error_code("quarantined");
    env.run(&[&arguments[..], &["--allow-quarantined"]].concat()).ok();
    env.verifies();
}

#[test]
fn rollback_works_when_the_path_was_overwritten_by_the_next_training() {
    let env = Env::empty();
    env.run(&["init", "--pointer-file", "fraud=PROD_POINTER.txt"]).ok();
    for number in 1..=3 {
        env.write("models/model.bin", format!("training {number}"));
        env.run(&["record", "fraud", "--artifact", "models/model.bin"]).ok();
        env.run(&["promote", "fraud"]).ok();
    }
    for number in [2, 1] {
        assert_eq!(back(&env), number);
        let path = env.run(&["resolve", "fraud"]).ok().stdout;
        assert_eq!(env.read(path.trim()), format!("training {number}"));
        assert_eq!(env.read("PROD_POINTER.txt"), path);
    }
    env.verifies();
}

#[test]
fn rollback_to_lost_bytes_moves_nothing() {
    let env = Env::empty();
    env.run(&["init", "--pointer-file", "fraud=PROD_POINTER.txt"]).ok();
    for number in 1..=2 {
        env.write("model.bin", format!("training {number}"));
        env.run(&["record", "fraud", "--artifact", "model.bin", "--no-store"]).ok();
        env.run(&["promote", "fraud"]).ok();
    }
    let before = env.entries();
    let ran = env.run(&["rollback", "fraud", "--reason", "x", "--json"]);
    let ran = ran.code(4).error_code("bytes-lost");
    assert!(ran.stdout.contains("fraud@1 cannot be served"), "{ran}");
    assert_eq!(env.entries(), before + 1);
    assert_eq!(env.run(&["resolve", "fraud"]).ok().stdout, "model.bin\n");
    assert_eq!(env.json(&["resolve", "fraud"], "lineage.resolve/1")["version"], 2);
    env.verifies();
}
