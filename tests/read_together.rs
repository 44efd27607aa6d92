//! Datasets and artifact are read, stored and flushed at the same time: what is said when several of them
//! are wrong does not depend on which was found out first, and nothing stays behind.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Env, testdata};

const LFS: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 12345\n";

/// Files that make `record` stop at different points, and larger ones that do not.
fn project() -> Env {
    let env = Env::new();
    env.write("lineage.toml", "[models.fraud]\nrefuse-verdict = \"suspicious\"\n");
    env.write("columns.txt", "id\namount\n");
    let mut rows = "id,amount\n".to_owned();
    (0..400_000).for_each(|n| rows.push_str(&format!("{n},{}.5\n", n * 7 % 1000)));
    env.write("good.csv", &rows);
    env.write("ragged.csv", format!("{rows}1,2,3\n"));
    env.write("other.csv", "id,price\n1,2\n");
    // More than one buffer, so that it is hashed and written while it is read.
    env.write("good.bin", (0..6_000_000_u32).map(|n| (n % 251) as u8).collect::<Vec<_>>());
    for number in 0..40_u8 {
        // One of them does not fit a buffer, and another is read on its own.
        let length = [1000, 300_000, 5_000_000].get(usize::from(number)).unwrap_or(&20_000);
        env.write(&format!("many/{number:02}.bin"), vec![number; *length]);
        env.write(&format!("evil/{number:02}.bin"), vec![number; 1000]);
    }
    env.write("evil/model.pkl", fs::read(testdata("models/evil-global.pkl")).unwrap());
    for name in ["lfs.csv", "lfs.bin"] {
        env.write(name, LFS);
    }
    for name in ["unreadable.csv", "unreadable.bin"] {
        // It can be opened, and not be read at its beginning.
        symlink("/proc/self/mem", env.path(name)).unwrap();
    }
    env
}

fn names(env: &Env, folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(env.path(folder)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// What can be wrong, in the order in which it is found out: what is named, exit code and code word.
const MISSING: (&str, i32, &str) = ("cannot find", 5, "not-found");
const UNREADABLE: (&str, i32, &str) = ("cannot read", 1, "failure");
const NOT_DECLARED: (&str, i32, &str) = ("", 2, "not-as-declared");
const STAND_IN: (&str, i32, &str) = ("is a Git LFS pointer", 2, "stand-in");
const REFUSED: (&str, i32, &str) = ("the artifact is dangerous", 3, "refused");

/// Of an artifact and two datasets; none of them is recorded.
#[test]
fn of_several_wrong_files_the_same_one_is_named_every_time() {
    let env = project();
    let (entries, objects) = (env.entries(), names(&env, ".lineage/objects"));
    for (artifact, first, second, named, (said, code, word)) in [
        ("gone.bin", "gone.csv", "other.csv", "gone.bin", MISSING),
        ("good.bin", "gone.csv", "lost.csv", "gone.csv", MISSING),
        ("good.bin", "lost.csv", "gone.csv", "lost.csv", MISSING),
        ("unreadable.bin", "lfs.csv", "gone.csv", "gone.csv", MISSING),
        ("evil", "other.csv", "gone.csv", "gone.csv", MISSING),
        ("unreadable.bin", "unreadable.csv", "other.csv", "unreadable.bin", UNREADABLE),
        ("lfs.bin", "other.csv", "unreadable.csv", "unreadable.csv", UNREADABLE),
        ("many", "unreadable.csv", "lfs.csv", "unreadable.csv", UNREADABLE),
        ("evil", "good.csv", "unreadable.csv", "unreadable.csv", UNREADABLE),
        ("lfs.bin", "ragged.csv", "other.csv", "ragged.csv", NOT_DECLARED),
        ("lfs.bin", "other.csv", "ragged.csv", "other.csv", NOT_DECLARED),
        ("evil", "lfs.csv", "ragged.csv", "ragged.csv", NOT_DECLARED),
        ("many", "good.csv", "ragged.csv", "ragged.csv", NOT_DECLARED),
        ("lfs.bin", "lfs.csv", "good.csv", "lfs.bin", STAND_IN),
        ("evil", "good.csv", "lfs.csv", "lfs.csv", STAND_IN),
        ("good.bin", "lfs.csv", "good.csv", "lfs.csv", STAND_IN),
        ("evil", "good.csv", "good.bin", "model.pkl", REFUSED),
    ] {
        for _ in 0..3 {
            let first = format!("training={first}");
            let second = format!("test={second}");
            let arguments = ["record", "fraud", "--artifact", artifact, "--data", &first];
            let rest = ["--data", &second, "--schema", "columns.txt", "--json"];
            let ran = env.run(&[&arguments[..], &rest].concat()).code(code).error_code(word);
            let message = ran.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.contains(said) && message.contains(named), "{named} {said}: {message}");
            assert_eq!(env.entries(), entries);
            assert_eq!(names(&env, ".lineage/objects"), objects, "{message}");
            assert!(names(&env, ".lineage/tmp").is_empty(), "{message}");
        }
    }
    env.verifies();
}

/// The table is at fault, and yet the artifact is named, which changes all the time.
#[test]
fn an_artifact_that_changes_is_named_before_a_table_that_cannot_be_read() {
    let env = project();
    let entries = env.entries();
    let mut file = fs::File::create(env.path("growing.bin")).unwrap();
    file.set_len(64 * 1024 * 1024).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).unwrap();
    let arguments = ["record", "fraud", "--artifact", "growing.bin", "--data", "test=ragged.csv"];
    let mut child = env
        .command(&[&arguments[..], &["--schema", "columns.txt", "--json"]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while child.try_wait().unwrap().is_none() {
        std::io::Write::write_all(&mut file, b"x").unwrap();
    }
    let ran = env.finish(child.wait_with_output().unwrap());
    let ran = ran.code(1).error_code("changed-while-read");
    assert!(ran.stdout.contains("growing.bin changed while it was read"), "{ran}");
    assert_eq!(env.entries(), entries);
    assert!(names(&env, ".lineage/tmp").is_empty());
    env.verifies();
}

/// However many files there are and however they are flushed.
#[test]
fn what_was_read_together_is_kept_byte_by_byte_and_read_only() {
    let env = project();
    for artifact in ["many", "good.bin"] {
        let arguments = ["record", "fraud", "--artifact", artifact, "--data", "training=good.csv"];
        env.run(&[&arguments[..], &["--data", "validation=many"]].concat()).ok();
        let reference = "fraud@latest";
        let kept = env.json(&["show", reference], "lineage.show/1");
        assert_eq!(kept["metadata"]["datasets"][0]["table"]["rows"], 400_000);
        env.run(&["checkout", reference, &format!("out-{artifact}")]).ok();
    }
    // The version's own metadata.json lies in the folder now, and is not part of it.
    for name in names(&env, "many").into_iter().filter(|name| name != "metadata.json") {
        let bytes = |folder: &str| fs::read(env.path(folder).join(&name)).unwrap();
        assert!(bytes("many") == bytes("out-many/many"), "{name}");
    }
    let bytes = |name: &str| fs::read(env.path(name)).unwrap();
    assert!(bytes("out-good.bin/good.bin") == bytes("good.bin"));
    for name in names(&env, ".lineage/objects") {
        let path = env.path(".lineage/objects").join(name);
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o222, 0);
    }
    assert!(names(&env, ".lineage/tmp").is_empty());
    env.run(&["verify", "--all"]).ok();
}

/// While a file, a folder of many and a dataset are read.
#[test]
fn an_interrupt_while_everything_is_read_leaves_nothing() {
    for artifact in ["huge.bin", "folder"] {
        let env = project();
        let (entries, objects) = (env.entries(), names(&env, ".lineage/objects"));
        fs::rename(env.path("many"), env.path("folder")).unwrap();
        for name in ["huge.bin", "huge.csv", "folder/zz.bin"] {
            // Sparse: as long as a large model, without needing its room where it is not copied.
            fs::File::create(env.path(name)).unwrap().set_len(4 << 30).unwrap();
        }
        let arguments = ["record", "fraud", "--artifact", artifact, "--data", "training=huge.csv"];
        let mut child = env
            .command(&[&arguments[..], &["--data", "test=good.csv", "--json"]].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let started = Instant::now();
        let tmp = env.path(".lineage/tmp");
        let is_large = |entry: &fs::DirEntry| entry.metadata().is_ok_and(|m| m.len() > 6_000_000);
        while !fs::read_dir(&tmp).unwrap().flatten().any(|entry| is_large(&entry)) {
            assert!(child.try_wait().unwrap().is_none(), "it ended too early");
            assert!(started.elapsed() < Duration::from_secs(60), "nothing is copied");
            std::thread::yield_now();
        }
        let signal = format!("kill -INT {}", child.id());
        let sent = std::process::Command::new("sh").args(["-c", &signal]).status().unwrap();
        assert!(sent.success());
        env.finish(child.wait_with_output().unwrap()).code(130).error_code("interrupted");
        assert_eq!(env.entries(), entries);
        assert_eq!(names(&env, ".lineage/objects"), objects);
        assert!(names(&env, ".lineage/tmp").is_empty());
        env.verifies();
    }
}
