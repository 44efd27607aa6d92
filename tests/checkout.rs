//! `lineage checkout`: a version's bytes from the object store.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use crate::support::{Env, set_mode};

#[test]
fn a_file_comes_out_under_its_own_name_and_can_be_written_to() {
    let env = Env::with_versions(1);
    env.write("v1/model.bin", "overwritten");
    insta::assert_snapshot!(env.run(&["checkout", "fraud@1", "out"]), @"out/model.bin");
    assert!(env.read("out/model.bin").starts_with("model number 1"));
    assert!(!fs::metadata(env.path("out/model.bin")).unwrap().permissions().readonly());
    let before = env.entries();
    env.write("out/model.bin", "scribbled");
    env.verifies();
    assert_eq!(env.entries(), before, "a checkout is no event");
}

#[test]
fn without_a_folder_it_lies_in_the_registry_read_only_and_is_no_hard_link() {
    let env = Env::with_versions(1);
    let path = env.run(&["checkout", "fraud@1", "-q"]).ok().stdout;
    assert!(path.starts_with(".lineage/checkouts/"), "{path}");
    let metadata = fs::metadata(env.path(path.trim())).unwrap();
    assert!(metadata.permissions().readonly());
    assert_eq!(metadata.nlink(), 1);
    assert_eq!(env.run(&["checkout", "fraud@1", "-q"]).ok().stdout, path);
}

#[test]
fn a_directory_comes_out_whole_without_our_metadata() {
    let env = Env::new();
    env.write("m/a.bin", "a");
    env.write("m/deep/er/b.bin", "b");
    env.run(&["record", "fraud", "--artifact", "m"]).ok();
    let document = env.json(&["checkout", "fraud@1", "out"], "lineage.checkout/1");
    assert_eq!(document["path"], "out/m");
    assert_eq!(env.read("out/m/deep/er/b.bin"), "b");
    assert!(!env.path("out/m/metadata.json").exists());
    let left: Vec<_> = fs::read_dir(env.path("out")).unwrap().collect();
    assert_eq!(left.len(), 1);
}

#[test]
fn what_is_there_already_is_not_overwritten() {
    let env = Env::with_versions(1);
    env.write("out/model.bin", "mine");
    env.refused(&["checkout", "fraud@1", "out"], 6, "occupied", "out/model.bin");
    assert_eq!(env.read("out/model.bin"), "mine");
    env.write("file", "mine");
    let ran = env.run(&["checkout", "fraud@1", "file", "--json"]);
    assert!(matches!(ran.code, Some(1 | 2 | 6)), "{ran}");
    assert_eq!(env.read("file"), "mine");
}

#[test]
fn what_was_not_stored_cannot_be_had() {
    let env = Env::with_versions(1);
    env.write("m.bin", "not stored");
    env.run(&["record", "fraud", "--artifact", "m.bin", "--no-store"]).ok();
    env.refused(&["checkout", "fraud@2", "out"], 4, "bytes-lost", "recorded with --no-store");
    env.refused(&["checkout", "fraud@9", "out"], 5, "unknown-version", "fraud@9");
    env.refused(&["checkout", "nope@1", "out"], 5, "unknown-model", "nope");
    env.refused(&["checkout", "fraud", "out"], 2, "usage", "not a valid reference");
    assert!(!env.path("out/m.bin").exists());
}

#[test]
fn a_damaged_object_is_found_before_it_is_handed_out() {
    let env = Env::with_versions(1);
    let entry = fs::read_dir(env.path(".lineage/objects")).unwrap().next().unwrap().unwrap();
    set_mode(&entry.path(), 0o644);
    fs::write(entry.path(), "damaged").unwrap();
    env.refused(&["checkout", "fraud@1", "out"], 4, "bytes-lost", "");
    assert!(!env.path("out/model.bin").exists());
    let left = fs::read_dir(env.path("out")).map_or(0, |entries| entries.count());
    assert_eq!(left, 0, "a half-made copy stays behind");
    fs::remove_file(entry.path()).unwrap();
    env.refused(&["checkout", "fraud@1", "out"], 4, "bytes-lost", "");
}

#[test]
fn a_pointer_can_be_checked_out() {
    let env = Env::with_versions(2);
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    env.run(&["checkout", "fraud@prod", "out"]).ok();
    assert!(env.read("out/model.bin").starts_with("model number 1"));
    env.refused(&["checkout", "fraud@staging", "out"], 5, "unknown-version", "fraud@staging");
}

/// A thousand is what systems usually allow.
#[test]
fn a_folder_may_have_more_files_than_may_be_open_at_once() {
    let env = Env::new();
    for number in 0..300 {
        env.write(&format!("m/part-{number}.bin"), format!("part {number}"));
    }
    let binary = env!("CARGO_BIN_EXE_lineage");
    let script = format!("ulimit -n 64; exec \"{binary}\" \"$@\"");
    let with_few = |arguments: &[&str]| {
        let arguments = [&["-c", &script, "sh"], arguments].concat();
        env.finish(env.command_of("sh".as_ref(), &arguments).output().unwrap()).ok()
    };
    with_few(&["record", "fraud", "--artifact", "m"]);
    with_few(&["verify"]);
    with_few(&["checkout", "fraud@1", "out"]);
    with_few(&["diff", "m", "out/m"]);
    assert_eq!(env.read("out/m/part-299.bin"), "part 299");
}
