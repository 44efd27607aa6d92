//! Labels and idempotency keys: a repeated call repeats its answer, another one is a conflict.

use crate::support::Env;

fn project() -> Env {
    let env = Env::new();
    env.write("a.bin", "model a");
    env.write("b.bin", "model b");
    env.write("train.csv", "x\n1\n");
    env
}

const KEYED: [&str; 6] = ["record", "fraud", "--artifact", "a.bin", "--idempotency-key", "job-1"];

#[test]
fn the_same_key_and_request_answer_with_the_first_version() {
    let env = project();
    let first = env.json(&KEYED, "lineage.record/1");
    let before = env.entries();
    let again = env.json(&KEYED, "lineage.record/1");
    assert_eq!(again["changed"], false);
    assert_eq!(again["version"], first["version"]);
    assert_eq!(again["session"], first["session"]);
    insta::assert_snapshot!(env.run(&KEYED), @"
    Already recorded as fraud@1
      artifact  a.bin          d9b0632857ca  7 B
      metadata  metadata.json
    ------- stderr -------
    hint: make it live with `lineage promote fraud --version 1`
    ");
    assert_eq!(env.run(&[&KEYED[..], &["-q"]].concat()).ok().stdout, "1\n");
    assert_eq!(env.entries(), before);
    env.verifies();
}

#[test]
fn notes_and_tags_do_not_make_another_request() {
    let env = project();
    env.run(&KEYED).ok();
    let again = [&KEYED[..], &["--note", "retried", "--tag", "try=2"]].concat();
    assert_eq!(env.json(&again, "lineage.record/1")["changed"], false);
}

#[test]
fn the_order_of_flags_does_not_make_another_request() {
    let env = project();
    let one = ["--metric", "a=1", "--metric", "b=2", "--param", "p=1", "--param", "q=2"];
    let two = ["--param", "q=2", "--metric", "b=2.0", "--metric", "a=1", "--param", "p=1"];
    env.run(&[&KEYED[..], &one].concat()).ok();
    assert_eq!(env.json(&[&KEYED[..], &two].concat(), "lineage.record/1")["changed"], false);
}

#[test]
fn the_same_key_with_anything_else_is_a_conflict() {
    let env = project();
    env.run(&[&KEYED[..], &["--data", "training=train.csv"]].concat()).ok();
    for other in [
        &["--metric", "a=1"][..],
        &["--param", "a=1"],
        &["--seed", "1"],
        &["--label", "x"],
        &["--features", "x"],
        &["--target", "x"],
        &["--data", "test=train.csv"],
        &[],
    ] {
        let arguments = [&KEYED[..], other].concat();
        env.refused(&arguments, 6, "key-reused", "\"job-1\" was used for fraud@1");
    }
    let other = ["record", "fraud", "--artifact", "b.bin", "--idempotency-key", "job-1"];
    env.refused(&other, 6, "key-reused", "fraud@1");
    env.verifies();
}

#[test]
fn a_key_belongs_to_one_model() {
    let env = project();
    env.run(&KEYED).ok();
    let other = ["record", "other", "--artifact", "b.bin", "--idempotency-key", "job-1"];
    assert_eq!(env.json(&other, "lineage.record/1")["changed"], true);
}

#[test]
fn a_key_of_a_session_without_a_version_repeats_too() {
    let env = project();
    let arguments = ["record", "fraud", "--metric", "a=1", "--idempotency-key", "k"];
    let first = env.json(&arguments, "lineage.record/1");
    let again = env.json(&arguments, "lineage.record/1");
    assert_eq!((&again["session"], &again["changed"]), (&first["session"], &false.into()));
    let with_artifact = [&arguments[..], &["--artifact", "a.bin"]].concat();
    env.refused(&with_artifact, 6, "key-reused", "session ");
}

#[test]
fn without_a_key_each_call_makes_a_version_and_equal_bytes_are_warned_about() {
    let env = project();
    let base = ["record", "fraud", "--artifact", "a.bin"];
    env.run(&base).ok();
    let again = env.json(&base, "lineage.record/1");
    assert_eq!((&again["version"], &again["changed"]), (&2.into(), &true.into()));
    assert_eq!(again["warnings"][0]["code"], "twin");
}

#[test]
fn a_label_with_an_equal_request_is_already_so_and_else_a_conflict() {
    let env = project();
    let base = ["record", "fraud", "--artifact", "a.bin", "--label", "1.0.0"];
    env.run(&base).ok();
    assert_eq!(env.json(&base, "lineage.record/1")["changed"], false);
    let other = ["record", "fraud", "--artifact", "b.bin", "--label", "1.0.0"];
    env.refused(&other, 6, "label-taken", "\"1.0.0\" belongs to fraud@1");
    let more = [&base[..], &["--metric", "a=1"]].concat();
    env.refused(&more, 6, "label-taken", "fraud@1");
    let elsewhere = ["record", "other", "--artifact", "b.bin", "--label", "1.0.0"];
    env.run(&elsewhere).ok();
    env.verifies();
}

#[test]
fn a_dry_run_meets_the_same_conflicts() {
    let env = project();
    env.run(&[&KEYED[..], &["--label", "one"]].concat()).ok();
    let key = ["record", "fraud", "--artifact", "b.bin", "--idempotency-key", "job-1", "--dry-run"];
    env.refused(&key, 6, "key-reused", "fraud@1");
    let label = ["record", "fraud", "--artifact", "b.bin", "--label", "one", "--dry-run"];
    env.refused(&label, 6, "label-taken", "fraud@1");
    let again = [&KEYED[..], &["--label", "one", "--dry-run"]].concat();
    assert_eq!(env.json(&again, "lineage.record/1")["changed"], false);
}

#[test]
fn a_label_can_be_used_wherever_a_version_is_named() {
    let env = project();
    env.run(&["record", "fraud", "--artifact", "a.bin", "--label", "1.0.0"]).ok();
    env.run(&["record", "fraud", "--artifact", "b.bin", "--label", "2.0.0+build.7"]).ok();
    env.run(&["promote", "fraud", "--version", "1.0.0"]).ok();
    env.run(&["promote", "fraud", "--version", "2.0.0+build.7", "--expect", "1.0.0"]).ok();
    assert_eq!(env.run(&["resolve", "fraud@1.0.0"]).ok().stdout, "a.bin\n");
    env.run(&["verify", "fraud@1.0.0"]).ok();
    env.run(&["rollback", "fraud", "--expect", "2.0.0+build.7", "--reason", "x"]).ok();
    env.run(&["checkout", "fraud@1.0.0", "out"]).ok();
}

#[test]
fn labels_and_pointers_share_one_namespace() {
    let env = project();
    env.run(&["record", "fraud", "--artifact", "a.bin", "--label", "blue"]).ok();
    env.run(&["promote", "fraud", "--pointer", "green"]).ok();
    let label = ["record", "fraud", "--artifact", "b.bin", "--label", "green"];
    env.refused(&label, 6, "name-clash", "\"green\" is a pointer");
    let pointer = ["promote", "fraud", "--pointer", "blue"];
    env.refused(&pointer, 6, "name-clash", "\"blue\" is a label of fraud@1");
    env.verifies();
}

#[test]
fn a_label_named_like_the_default_pointer_cannot_lock_it_out() {
    let env = project();
    let label = ["record", "fraud", "--artifact", "a.bin", "--label", "prod"];
    let ran = env.run(&label);
    if ran.code == Some(0) {
        // Then fraud@prod means the label, and the default pointer could never be set.
        env.run(&["promote", "fraud"]).ok();
    } else {
        ran.code(6);
    }
}

#[test]
fn reserved_names_are_neither_labels_nor_pointers() {
    let env = project();
    env.run(&["record", "fraud", "--artifact", "a.bin"]).ok();
    for name in ["7", "latest", "sha256:1b34b7", "", "-x", "a/b", "a b"] {
        let label = format!("--label={name}");
        let arguments = ["record", "fraud", "--artifact", "a.bin", &label];
        env.run(&[&arguments[..], &["--json"]].concat()).code(2).error_code("usage");
        let pointer = format!("--pointer={name}");
        env.run(&["promote", "fraud", &pointer, "--json"]).code(2).error_code("usage");
    }
    env.verifies();
}

#[test]
fn numbers_are_never_reused_after_a_refusal() {
    let env = project();
    env.run(&["record", "fraud", "--artifact", "a.bin", "--label", "x"]).ok();
    env.run(&["record", "fraud", "--artifact", "b.bin", "--label", "x"]).code(6);
    let next = env.json(&["record", "fraud", "--artifact", "b.bin"], "lineage.record/1");
    assert_eq!(next["version"], 2);
}
