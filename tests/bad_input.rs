//! What people pass by mistake. Each: one clear message, the documented exit code, nothing lost.

use std::fs;
use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{Env, Ran, set_mode};

const LFS: &str = "version https://git-lfs.github.com/spec/v1\n\
    oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";
const DVC: &str = "outs:\n- md5: d8acabbfd4ee51c95da5d7628c7ef74b\n  size: 7\n  path: model.pkl\n";

/// A project with one recorded version, which must still verify at the end of each test.
fn project() -> Env {
    let env = Env::with_versions(1);
    env.write("data.csv", "a,b\n1,2\n");
    env
}

/// Runs a command that must not hang.
fn within_ten_seconds(env: &Env, arguments: &[&str]) -> Ran {
    let mut child = env
        .command(arguments)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > Duration::from_secs(10) {
            child.kill().unwrap();
            panic!("{arguments:?} hangs");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    env.finish(child.wait_with_output().unwrap())
}

#[test]
fn a_missing_path_is_not_found() {
    let env = project();
    for arguments in [
        &["record", "fraud", "--artifact", "no/model.bin"][..],
        &["record", "fraud", "--artifact", "model.bin"],
        &["record", "fraud", "--data", "training=gone.csv"],
        &["record", "fraud", "--metrics-file", "gone.json"],
        &["record", "fraud", "--params-file", "gone.json"],
        &["record", "fraud", "--features", "@gone.json"],
        &["record", "fraud", "--schema", "gone.txt"],
        &["record", "fraud", "--like", "gone.csv"],
        &["record", "--spec", "gone.json"],
        &["fingerprint", "gone.csv"],
        &["verify", "--metadata", "gone.json"],
    ] {
        let path =
            arguments.last().unwrap().trim_start_matches("training=").trim_start_matches('@');
        let named = path.split('/').next().unwrap();
        env.refused(arguments, 5, "not-found", named);
    }
    env.verifies();
}

#[test]
fn a_missing_path_beside_a_good_one_records_nothing() {
    let env = project();
    let arguments =
        ["record", "fraud", "--artifact", "v1/model.bin", "--data", "training=gone.csv"];
    env.refused(&arguments, 5, "not-found", "gone.csv");
    assert_eq!(fs::read_dir(env.path(".lineage/tmp")).unwrap().count(), 0);
    assert_eq!(env.query("SELECT COUNT(*) FROM version"), 1);
    env.verifies();
}

#[test]
fn an_empty_directory_is_refused() {
    let env = project();
    fs::create_dir_all(env.path("empty")).unwrap();
    fs::create_dir_all(env.path("nested/empty")).unwrap();
    env.write("nested/model.bin", "x");
    for path in ["empty", "nested"] {
        let message = "the directory holds no files";
        env.refused(&["record", "fraud", "--artifact", path], 2, "unfit-directory", message);
        let data = format!("training={path}");
        env.refused(&["record", "fraud", "--data", &data], 2, "unfit-directory", message);
        env.refused(&["fingerprint", path], 2, "unfit-directory", message);
    }
    let arguments = ["record", "fraud", "--artifact", "v1", "--exclude", "*"];
    env.refused(&arguments, 2, "unfit-directory", "holds no files");
    env.verifies();
}

#[test]
fn an_empty_model_file_is_not_taken_in_silence() {
    let env = project();
    env.write("empty.bin", "");
    let ran = env.run(&["record", "fraud", "--artifact", "empty.bin"]);
    assert!(ran.stderr.contains("empty.bin"), "nothing is said of it:\n{ran}");
    env.verifies();
}

#[test]
fn an_empty_dataset_is_recorded_with_a_warning() {
    let env = project();
    env.write("empty.csv", "");
    let ran = env.run(&["record", "fraud", "--data", "training=empty.csv"]).ok();
    ran.says("warning: empty.csv is recorded as a file, not as a table: line 1, byte 0: no header");
    env.verifies();
}

#[test]
fn an_unreadable_file_is_refused_and_named() {
    let env = project();
    let folder = env.root().to_owned();
    for name in ["secret.bin", "secret.csv"] {
        env.write(name, "a,b\n1,2\n");
        set_mode(&env.path(name), 0o000);
    }
    env.write("dir/model.bin", "x");
    set_mode(&env.path("dir/model.bin"), 0o000);
    for folder in [&folder, &folder.join(".lineage"), &folder.join(".lineage/tmp")] {
        set_mode(folder, 0o777);
    }
    for name in ["registry.db", "in-flight.lock", "files.lock"] {
        if env.path(".lineage").join(name).exists() {
            set_mode(&env.path(".lineage").join(name), 0o666);
        }
    }
    for (arguments, named) in [
        (&["record", "fraud", "--artifact", "secret.bin"][..], "secret.bin"),
        (&["record", "fraud", "--data", "training=secret.csv"], "secret.csv"),
        (&["record", "fraud", "--artifact", "dir"], "dir/model.bin"),
        (&["record", "fraud", "--metrics-file", "secret.csv"], "secret.csv"),
        (&["fingerprint", "secret.csv"], "secret.csv"),
    ] {
        let before = env.entries();
        let ran = env.run_unprivileged(arguments).code(1);
        assert!(ran.stderr.contains("Permission denied"), "{ran}");
        assert!(ran.stderr.contains(named), "{ran}");
        let json = env.run_unprivileged(&[arguments, &["--json"]].concat()).code(1);
        json.error_code("read-only");
        assert_eq!(env.entries(), before);
    }
    env.verifies();
}

#[test]
fn a_directory_where_a_file_belongs_is_refused() {
    let env = project();
    for flag in ["--metrics-file", "--params-file", "--schema", "--spec"] {
        let arguments = ["record", "fraud", flag, "v1"];
        env.refused(&arguments, 2, "not-regular", "v1 is not a regular file");
    }
    let arguments = ["record", "fraud", "--features", "@v1"];
    env.refused(&arguments, 2, "not-regular", "v1 is not a regular file");
    let ran = env.run(&["verify", "--metadata", "v1"]);
    assert_eq!(ran.code, Some(2), "a directory is no metadata.json: {ran}");
    env.verifies();
}

#[test]
fn a_directory_as_dataset_is_one_dataset() {
    let env = project();
    env.write("parts/1.csv", "a\n1\n");
    env.write("parts/2.csv", "a\n2\n");
    let document = env.json(&["record", "fraud", "--data", "training=parts"], "lineage.record/1");
    assert_eq!(document["datasets"][0]["kind"], "directory");
    env.verifies();
}

#[test]
fn named_pipes_sockets_and_devices_are_refused_and_do_not_hang() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let env = project();
    mknodat(CWD, env.path("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let _socket = UnixListener::bind(env.path("socket")).unwrap();
    env.write("dir/model.bin", "x");
    mknodat(CWD, env.path("dir/pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    for (path, what) in [
        ("pipe", "a named pipe"),
        ("socket", "a socket"),
        ("/dev/null", "a device"),
        ("/dev/zero", "a device"),
    ] {
        let data = format!("training={path}");
        for arguments in [
            &["record", "fraud", "--artifact", path, "--json"][..],
            &["record", "fraud", "--data", &data, "--json"],
            &["fingerprint", path, "--json"],
        ] {
            let ran = within_ten_seconds(&env, arguments).code(2).error_code("not-regular");
            assert!(ran.stdout.contains(what), "{ran}");
        }
        for flag in ["--metrics-file", "--params-file", "--schema", "--spec"] {
            let arguments = ["record", "fraud", flag, path, "--json"];
            within_ten_seconds(&env, &arguments).code(2).error_code("not-regular");
        }
    }
    let ran = within_ten_seconds(&env, &["record", "fraud", "--artifact", "dir", "--json"]);
    assert!(ran.code(2).error_code("unfit-directory").stdout.contains("a named pipe"));
    env.verifies();
}

#[test]
fn a_named_pipe_as_metadata_or_like_does_not_hang() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let env = project();
    mknodat(CWD, env.path("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    within_ten_seconds(&env, &["record", "fraud", "--like", "pipe"]).code(2);
    within_ten_seconds(&env, &["verify", "--metadata", "pipe"]).code(2);
}

#[test]
fn a_named_pipe_in_the_place_of_a_file_of_ours_does_not_hang() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let env = project();
    env.run(&["promote", "fraud"]).ok();
    let pipe = |name: &str| {
        let _ = fs::remove_file(env.path(name));
        mknodat(CWD, env.path(name), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    };
    pipe("PROD_POINTER.txt");
    for arguments in [&["status"][..], &["verify"], &["rollback", "fraud", "--reason", "x"]] {
        let ran = within_ten_seconds(&env, arguments);
        assert_ne!(ran.code, None, "{ran}");
    }
    fs::remove_file(env.path("PROD_POINTER.txt")).unwrap();
    pipe("v1/metadata.json");
    within_ten_seconds(&env, &["verify"]);
    within_ten_seconds(&env, &["record", "fraud", "--artifact", "v1/model.bin"]);
    within_ten_seconds(&env, &["record", "fraud", "--artifact", "v1"]);
}

#[test]
fn a_file_that_grows_while_it_is_read_fails_the_record() {
    let env = project();
    let path = env.path("growing.bin");
    let mut file = fs::File::create(&path).unwrap();
    file.set_len(256 * 1024 * 1024).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).unwrap();
    let before = env.entries();
    let mut child = env
        .command(&["record", "fraud", "--data", "training=growing.bin", "--json"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while child.try_wait().unwrap().is_none() {
        file.write_all(b"x").unwrap();
    }
    let ran = env.finish(child.wait_with_output().unwrap());
    let ran = ran.code(1).error_code("changed-while-read");
    assert!(ran.stdout.contains("growing.bin changed while it was read"), "{ran}");
    assert_eq!(env.entries(), before);
    env.verifies();
}

#[test]
fn a_git_lfs_pointer_is_not_the_model() {
    let env = project();
    env.write("lfs.bin", LFS);
    env.write("dir/model.bin", LFS);
    env.write("dir/readme.txt", "text");
    let oid = "a Git LFS pointer to sha256:4d7a21";
    env.refused(&["record", "fraud", "--artifact", "lfs.bin"], 2, "stand-in", oid);
    env.refused(&["record", "fraud", "--data", "test=lfs.bin"], 2, "stand-in", oid);
    let inside = "dir/model.bin is a Git LFS pointer";
    env.refused(&["record", "fraud", "--artifact", "dir"], 2, "stand-in", inside);
    env.refused(&["record", "fraud", "--data", "test=dir"], 2, "stand-in", inside);
    env.run(&["record", "fraud", "--artifact", "lfs.bin"]).says("git lfs pull");
    env.verifies();
}

#[test]
fn a_dvc_file_is_not_the_model() {
    let env = project();
    env.write("model.dvc", DVC);
    let what = "a DVC file that stands for model.pkl";
    env.refused(&["record", "fraud", "--artifact", "model.dvc"], 2, "stand-in", what);
    env.refused(&["record", "fraud", "--data", "training=model.dvc"], 2, "stand-in", what);
    env.verifies();
}

#[test]
fn a_stand_in_is_recorded_as_what_it_is_when_that_is_asked_for() {
    let env = project();
    env.write("lfs.bin", LFS);
    let arguments = ["record", "fraud", "--artifact", "lfs.bin", "--allow-pointer"];
    env.run(&arguments).ok().says("lfs.bin is a Git LFS pointer");
    let resolved = env.run(&["resolve", "fraud@2"]).ok().stdout;
    assert_eq!(env.read(resolved.trim()), LFS);
    env.verifies();
}

#[test]
fn a_long_text_that_mentions_git_lfs_is_no_stand_in() {
    let env = project();
    env.write("about.txt", format!("{LFS}{}", "not a pointer\n".repeat(1000)));
    env.run(&["record", "fraud", "--artifact", "about.txt"]).ok();
}

#[test]
fn what_is_given_twice_is_refused() {
    let env = project();
    let base = ["record", "fraud"];
    for (arguments, word, message) in [
        (&["--metric", "a=1", "--metric", "a=2"][..], "duplicate", "metric \"a\""),
        (&["--metric", "test.a=1", "--metric", "test.a=1"], "duplicate", "metric \"test.a\""),
        (&["--param", "p=1", "--param", "p=1"], "duplicate", "parameter \"p\""),
        (&["--tag", "t=1", "--tag", "t=2"], "duplicate", "tag \"t\""),
        (&["--features", "f", "--features", "f"], "duplicate", "feature \"f\""),
        (&["--target", "y", "--target", "y"], "duplicate", "target \"y\""),
        (&["--data", "test=data.csv", "--data", "test=data.csv"], "duplicate", "test:data.csv"),
        (&["--data", "test:d=data.csv", "--data", "test:d=v1"], "duplicate", "test:d"),
        (&["--seed", "1", "--seed", "2"], "usage", "--seed"),
        (&["--label", "a", "--label", "b"], "usage", "--label"),
        (&["--artifact", "v1", "--artifact", "v1"], "usage", "--artifact"),
        (&["--idempotency-key", "a", "--idempotency-key", "a"], "usage", "--idempotency-key"),
    ] {
        env.refused(&[&base[..], arguments].concat(), 2, word, message);
    }
    env.write("m.json", r#"{"a": 1, "a": 2}"#);
    env.refused(&["record", "fraud", "--metrics-file", "m.json"], 2, "usage", "m.json");
    env.write("m.json", r#"{"a": 1}"#);
    let arguments = ["record", "fraud", "--metrics-file", "m.json", "--metric", "a=1"];
    env.refused(&arguments, 2, "duplicate", "metric \"a\"");
    let source = ["--source", "test=a", "--source", "test=b", "--data", "test=data.csv"];
    env.refused(&[&base[..], &source].concat(), 2, "duplicate", "--source");
    env.verifies();
}

#[test]
fn several_names_in_one_role_are_fine() {
    let env = project();
    env.write("more.csv", "a,b\n3,4\n");
    let arguments =
        ["record", "fraud", "--data", "training=data.csv", "--data", "training=more.csv"];
    env.run(&arguments).ok();
}

#[test]
fn malformed_values_are_refused_with_the_flag_that_held_them() {
    let env = project();
    for (arguments, message) in [
        (&["--metric", "a=high"][..], "\"high\" is not a number"),
        (&["--metric", "a="], "is not a number"),
        (&["--metric", "a=0x10"], "is not a number"),
        (&["--metric", "a=1,5"], "is not a number"),
        (&["--metric", "a=1_000"], "is not a number"),
        (&["--metric", "a"], "expected [SPLIT.]NAME=VALUE"),
        (&["--metric", "=1"], "not a valid metric name"),
        (&["--metric", "test.=1"], "not a valid metric name"),
        (&["--param", "p"], "expected NAME=VALUE"),
        (&["--param", "=p"], "not a valid name"),
        (&["--tag", "t"], "expected NAME=VALUE"),
        (&["--seed", "1.5"], "not a whole number"),
        (&["--seed", "abc"], "not a whole number"),
        (&["--seed", "-"], "not a whole number"),
        (&["--data", "training"], "expected ROLE[:NAME]=PATH"),
        (&["--data", "training="], "the path is empty"),
        (&["--data", "=data.csv"], "not a valid role"),
        (&["--data", "a b=data.csv"], "not a valid role"),
        (&["--transform", "training=x"], "no --data has the role"),
        (&["--source", "training"], "expected ROLE=TEXT"),
        (&["--derived-from", "fraud"], "not a valid reference"),
        (&["--artifact", "v1/model.bin", "--label", "7"], "cannot be a label"),
        (&["--artifact", "v1/model.bin", "--label", "latest"], "cannot be a label"),
        (&["--artifact", "v1/model.bin", "--label", "a/b"], "not a valid label"),
    ] {
        env.refused(&[&["record", "fraud"], arguments].concat(), 2, "usage", message);
    }
    for (name, content) in [("a.json", "{"), ("b.json", "[1]"), ("c.json", "\u{1}")] {
        env.write(name, content);
        env.refused(&["record", "fraud", "--metrics-file", name], 2, "usage", name);
        env.refused(&["record", "fraud", "--params-file", name], 2, "usage", name);
        env.refused(&["record", "--spec", name], 2, "usage", name);
    }
    env.verifies();
}

#[test]
fn a_negative_seed_is_a_whole_number() {
    let env = project();
    env.run(&["record", "fraud", "--artifact", "v1/model.bin", "--seed", "-3"]).ok();
    let shown = env.json(&["show", "fraud@2"], "lineage.show/1");
    assert_eq!(shown["metadata"]["seed"], "-3");
}

#[test]
fn folders_that_are_hardly_part_of_a_model_are_refused_with_the_fix() {
    let env = project();
    for name in [".git", "__pycache__"] {
        env.write(&format!("m{name}/{name}/x"), "x");
        env.write(&format!("m{name}/model.bin"), "x");
        let path = format!("m{name}");
        env.refused(&["record", "fraud", "--artifact", &path], 2, "unfit-directory", name);
        let glob = format!("**/{name}");
        let hint = format!("--exclude '{glob}'");
        env.run(&["record", "fraud", "--artifact", &path]).says(&hint);
        env.run(&["record", "fraud", "--artifact", &path, "--exclude", &glob]).ok();
    }
    env.verifies();
}

#[test]
fn links_that_leave_a_directory_are_refused() {
    use std::os::unix::fs::symlink;
    let env = project();
    let link = |name: &str, target: &str| {
        env.write(&format!("{name}/model.bin"), "x");
        symlink(target, env.path(name).join("link")).unwrap();
    };
    link("up", "../data.csv");
    link("absolute", env.path("absolute/model.bin").to_str().unwrap());
    link("dangling", "nowhere");
    link("loop", "link");
    link("folder", ".");
    for name in ["up", "absolute", "dangling", "loop", "folder"] {
        env.refused(&["record", "fraud", "--artifact", name], 2, "unfit-directory", "link");
    }
    link("inside", "model.bin");
    env.run(&["record", "fraud", "--artifact", "inside"]).ok();
    env.run(&["promote", "fraud"]).ok();
    env.run(&["resolve", "fraud"]).ok();
    env.verifies();
}

#[test]
fn a_link_that_is_the_named_path_itself_is_followed() {
    let env = project();
    std::os::unix::fs::symlink("v1/model.bin", env.path("current.bin")).unwrap();
    let document = env.json(&["record", "fraud", "--artifact", "current.bin"], "lineage.record/1");
    assert_eq!(document["artifact"]["path"], "current.bin");
    assert_eq!(document["twins"][0], "fraud@1");
}

#[test]
fn a_nameless_actor_is_refused() {
    let env = project();
    env.refused(&["promote", "fraud", "--actor", " "], 2, "usage", "names nobody");
    env.verifies();
}

#[test]
fn nothing_that_was_refused_left_a_file_behind() {
    let env = project();
    env.write("lfs.bin", LFS);
    let before: Vec<_> = env.files().into_keys().filter(|path| kept(path)).collect();
    env.run(&["record", "fraud", "--artifact", "lfs.bin"]).code(2);
    env.run(&["record", "fraud", "--artifact", "v1", "--data", "training=gone"]).code(5);
    env.run(&["record", "fraud", "--artifact", "v1", "--derived-from", "fraud@9"]).code(5);
    let after: Vec<_> = env.files().into_keys().filter(|path| kept(path)).collect();
    assert_eq!(before, after);
}

/// SQLite's own files come and go.
fn kept(path: &Path) -> bool {
    let name = path.to_string_lossy();
    !name.ends_with("-wal") && !name.ends_with("-shm")
}

#[test]
fn a_secret_that_was_typed_is_not_repeated() {
    let env = Env::new();
    for arguments in [
        &["record", "fraud", "--seed", "password=hunter2"][..],
        &["record", "fraud", "--metric", "password=hunter2"],
        &["record", "fraud", "--metric", "a.api_key=hunter2"],
        &["record", "fraud", "--password=hunter2"],
        &["record", "fraud", "api_key=hunter2"],
        &["record", "fraud", "--artifact", "password=hunter2"],
        &["record", "fraud", "--rows", "api_key=hunter2"],
        &["record", "fraud", "--transform", "api_key=hunter2"],
        &["record", "fraud", "--label", "password=hunter2"],
        &["record", "password=hunter2"],
        &["log", "--limit", "password=hunter2"],
        &["log", "fraud", "--api-key=hunter2"],
        &["show", "fraud@1", "--at", "password=hunter2"],
        &["search", "tag.password = hunter2 and"],
        &["record", "fraud", "--metric", "password: hunter2"],
        &["record", "fraud", "--metric", "password: a hunter2"],
        &["record", "fraud", "--param", "api_key", "hunter2"],
        &["record", "fraud", "--param=api_key", "hunter2"],
        &["record", "fraud", "--tag", "api_key", "hunter2"],
        &["impact", "password=hunter2"],
        &["session", "show", "password=hunter2"],
        &["run", "fraud", "--", "password=hunter2"],
    ] {
        for json in [&[][..], &["--json"]] {
            let ran = env.run(&[json, arguments].concat());
            assert!(ran.code != Some(0), "{ran}");
            assert!(!format!("{ran}").contains("hunter2"), "{arguments:?}: {ran}");
        }
    }
}

#[test]
fn what_is_no_secret_is_repeated() {
    let env = Env::new();
    let gone = "events/auth=ok/part-0.parquet";
    env.run(&["fingerprint", gone]).code(5).says("events/auth=[removed]/part-0.parquet");
    insta::assert_snapshot!(env.run(&["search", "param.auth = basic andd"]), @"
    ------- stderr -------
    error: expected and, or, or order by, at character 20
      param.auth = ***** andd
                         ^
    [exit status: Some(2)]
    ");
}
