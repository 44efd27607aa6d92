//! `lineage resolve`: the one answer to "what is live", with its bytes verified.

use std::fs;

use serde_json::json;

use crate::support::{Env, set_mode};

#[test]
fn it_prints_the_path_alone() {
    let env = Env::with_versions(1);
    env.run(&["promote", "fraud"]).ok();
    for arguments in [&["resolve", "fraud"][..], &["resolve", "fraud", "-q"]] {
        let ran = env.run(arguments).ok();
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("v1/model.bin\n", ""));
    }
}

#[test]
fn the_json_document_has_exactly_the_promised_fields() {
    let env = Env::with_versions(1);
    env.run(&["promote", "fraud"]).ok();
    let resolved = env.json(&["resolve", "fraud"], "lineage.resolve/1");
    let sha256 = resolved["sha256"].clone();
    assert_eq!(sha256.as_str().unwrap().len(), 64);
    let expected = json!({
        "schema": "lineage.resolve/1", "model": "fraud", "pointer": "prod", "version": 1,
        "path": "v1/model.bin", "kind": "file", "sha256": sha256, "verified": "bytes",
        "by": "blake3",
    });
    assert_eq!(resolved, expected);
    let unread = env.json(&["resolve", "fraud", "--no-verify"], "lineage.resolve/1");
    assert_eq!((&unread["verified"], &unread["by"]), (&json!("no"), &json!(null)));
}

#[test]
fn a_flipped_byte_is_refused_with_the_way_out() {
    let env = Env::with_versions(1);
    env.run(&["promote", "fraud"]).ok();
    let mut bytes = fs::read(env.path("v1/model.bin")).unwrap();
    bytes[50] ^= 1;
    fs::write(env.path("v1/model.bin"), bytes).unwrap();
    env.refused(
        &["resolve", "fraud"],
        4,
        "served-differs",
        "fraud@prod is fraud@1, but v1/model.bin",
    );
    insta::assert_snapshot!(env.run(&["resolve", "fraud"]), @"
    ------- stderr -------
    error: fraud@prod is fraud@1, but v1/model.bin does not hold its bytes: recorded as 1bbb27b56b66, now 5399e3445ace
    hint: serve it from the object store: lineage promote fraud --version 1
    [exit status: Some(4)]
    ");
    // The way out that the hint names works.
    env.run(&["promote", "fraud", "--version", "1", "--pointer", "prod"]).ok();
    let path = env.run(&["resolve", "fraud"]).ok().stdout;
    assert!(env.read(path.trim()).starts_with("model number 1"));
    env.verifies();
}

#[test]
fn a_missing_file_is_refused_and_the_path_is_not_printed() {
    let env = Env::with_versions(1);
    env.run(&["promote", "fraud"]).ok();
    fs::remove_file(env.path("v1/model.bin")).unwrap();
    env.refused(&["resolve", "fraud"], 4, "served-differs", "v1/model.bin does not exist");
}

#[test]
fn a_served_checkout_that_was_altered_is_refused() {
    let env = Env::with_versions(1);
    env.write("v1/model.bin", "overwritten");
    env.run(&["promote", "fraud"]).ok();
    let path = env.run(&["resolve", "fraud"]).ok().stdout;
    set_mode(&env.path(path.trim()), 0o644);
    env.write(path.trim(), "altered");
    env.refused(&["resolve", "fraud"], 4, "served-differs", path.trim());
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    env.run(&["resolve", "fraud"]).ok();
    env.verifies();
}

#[test]
fn a_directory_with_a_changed_missing_or_extra_file_is_refused_by_name() {
    let env = Env::new();
    env.write("m/a.bin", "a");
    env.write("m/sub/b.bin", "b");
    env.run(&["record", "fraud", "--artifact", "m"]).ok();
    env.run(&["promote", "fraud"]).ok();
    env.run(&["resolve", "fraud"]).ok();
    env.write("m/sub/b.bin", "B");
    env.refused(&["resolve", "fraud"], 4, "served-differs", "sub/b.bin");
    env.write("m/sub/b.bin", "b");
    env.run(&["resolve", "fraud"]).ok();
    env.write("m/extra.bin", "e");
    env.refused(&["resolve", "fraud"], 4, "served-differs", "extra.bin");
    fs::remove_file(env.path("m/extra.bin")).unwrap();
    fs::remove_file(env.path("m/a.bin")).unwrap();
    env.refused(&["resolve", "fraud"], 4, "served-differs", "a.bin");
    env.write("m/a.bin", "a");
    env.write("m/metadata.json", "{}");
    env.refused(&["resolve", "fraud"], 4, "served-differs", "metadata.json");
}

#[test]
fn a_file_in_the_place_of_a_directory_is_refused() {
    let env = Env::new();
    env.write("m/a.bin", "a");
    let document = env.json(&["record", "fraud", "--artifact", "m"], "lineage.record/1");
    env.run(&["promote", "fraud"]).ok();
    // The manifest's own bytes: the same digest, but a file.
    let digest = document["artifact"]["sha256"].as_str().unwrap();
    let manifest = fs::read(env.path(".lineage/objects").join(digest)).unwrap();
    fs::remove_dir_all(env.path("m")).unwrap();
    env.write("m", manifest);
    env.refused(&["resolve", "fraud"], 4, "served-differs", "m ");
    let versions = env.json(&["record", "fraud", "--artifact", "m"], "lineage.record/1");
    assert_eq!(versions["artifact"]["sha256"], digest);
    assert_eq!(versions["artifact"]["kind"], "file");
    assert_eq!(versions["twins"], json!([]));
}

#[test]
fn an_empty_folder_added_to_a_directory_does_not_go_unnoticed() {
    let env = Env::new();
    env.write("m/a.bin", "a");
    env.run(&["record", "fraud", "--artifact", "m"]).ok();
    env.run(&["promote", "fraud"]).ok();
    fs::create_dir(env.path("m/empty")).unwrap();
    env.refused(&["resolve", "fraud"], 4, "served-differs", "empty");
}

#[test]
fn references_name_versions_by_number_label_pointer_latest_and_digest() {
    let env = Env::with_versions(1);
    env.write("l.bin", "labelled");
    env.run(&["record", "fraud", "--artifact", "l.bin", "--label", "1.0"]).ok();
    env.run(&["promote", "fraud", "--version", "1", "--pointer", "shadow"]).ok();
    let shown = env.json(&["show", "fraud@2"], "lineage.show/1");
    let digest = shown["metadata"]["artifact"]["sha256"].as_str().unwrap();
    let prefix = format!("fraud@sha256:{}", &digest[..6]);
    for (reference, path) in [
        ("fraud@1", "v1/model.bin\n"),
        ("fraud@1.0", "l.bin\n"),
        ("fraud@latest", "l.bin\n"),
        ("fraud@shadow", "v1/model.bin\n"),
        (&prefix, "l.bin\n"),
    ] {
        assert_eq!(env.run(&["resolve", reference]).ok().stdout, path, "{reference}");
    }
}

#[test]
fn what_is_not_there_is_not_found() {
    let env = Env::with_versions(1);
    env.refused(&["resolve", "fraud"], 5, "nothing-live", "nothing is live at fraud@prod");
    env.refused(&["resolve", "nope"], 5, "unknown-model", "no model \"nope\"");
    env.refused(&["resolve", "nope@1"], 5, "unknown-model", "no model \"nope\"");
    env.refused(&["resolve", "fraud@9"], 5, "unknown-version", "no fraud@9");
    env.refused(&["resolve", "fraud@blue"], 5, "unknown-version", "no fraud@blue");
    env.refused(&["resolve", "fraud@sha256:ffffff"], 5, "unknown-version", "ffffff");
    for bad in ["fraud@", "@1", "fraud@0", "fraud@sha256:12", "a b", "", "fraud@1@2"] {
        env.run(&["resolve", bad, "--json"]).code(2).error_code("usage");
    }
}

#[test]
fn a_digest_prefix_of_two_versions_is_ambiguous() {
    use std::collections::HashMap;
    let mut seen = HashMap::new();
    let (first, second, prefix) = (0_u32..)
        .find_map(|number| {
            let digest = lineage_core::digest::Sha256::of(number.to_string().as_bytes());
            let prefix = digest.to_string()[..6].to_owned();
            seen.insert(prefix.clone(), number).map(|earlier| (earlier, number, prefix))
        })
        .unwrap();
    let env = Env::new();
    for number in [first, second] {
        env.write("m.bin", number.to_string());
        env.run(&["record", "fraud", "--artifact", "m.bin"]).ok();
    }
    let reference = format!("fraud@sha256:{prefix}");
    env.refused(&["show", &reference], 5, "ambiguous", "fraud@1 and fraud@2");
    // Versions with the same bytes are no question: the newest is meant.
    env.run(&["record", "fraud", "--artifact", "m.bin"]).ok();
    let digest = lineage_core::digest::Sha256::of(second.to_string().as_bytes()).to_string();
    let reference = format!("fraud@sha256:{digest}");
    assert_eq!(env.run(&["show", &reference, "-q"]).ok().stdout, "fraud@3\n");
}

#[test]
fn the_path_can_be_opened_from_where_it_was_asked_for() {
    let env = Env::with_versions(1);
    env.run(&["promote", "fraud"]).ok();
    for folder in ["v1", "."] {
        let output =
            env.command(&["resolve", "fraud"]).current_dir(env.path(folder)).output().unwrap();
        let path = env.finish(output).ok().stdout;
        assert!(env.path(folder).join(path.trim()).exists(), "{path} from {folder}");
    }
    let root = env.root().to_str().unwrap();
    let output = env.command(&["-R", root, "resolve", "fraud"]).current_dir("/").output().unwrap();
    let path = env.finish(output).ok().stdout;
    assert!(std::path::Path::new("/").join(path.trim()).exists(), "{path}");
}

#[test]
fn it_writes_nothing() {
    let env = Env::with_versions(1);
    env.run(&["promote", "fraud"]).ok();
    let before = env.entries();
    env.run(&["resolve", "fraud"]).ok();
    env.write("v1/model.bin", "other");
    env.run(&["resolve", "fraud"]).code(4);
    assert_eq!(env.entries(), before);
    assert_eq!(env.query("SELECT COUNT(*) FROM pointer_history WHERE action = 'refuse'"), 0);
}
