//! Ctrl-C: nothing half-done stays behind.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::Env;

fn start(env: &Env, arguments: &[&str], pause: &str) -> Child {
    env.command(arguments)
        .env("LINEAGE_TEST_PAUSE", pause)
        .env("LINEAGE_TEST_STEPS", env.path("steps"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until `seen`, for at most twenty seconds.
fn wait_until(child: &mut Child, seen: impl Fn() -> bool) {
    let started = Instant::now();
    while !seen() {
        assert!(child.try_wait().unwrap().is_none(), "it ended too early");
        if started.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            panic!("what was waited for did not come");
        }
        std::thread::yield_now();
    }
}

fn wait_for_step(env: &Env, child: &mut Child, step: &str) {
    let line = format!("{step}\n");
    wait_until(child, || {
        fs::read_to_string(env.path("steps")).unwrap_or_default().ends_with(&line)
    });
}

fn signal(child: &Child, name: &str) {
    let command = format!("kill -{name} {}", child.id());
    assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
}

fn nothing_left(env: &Env, entries: i64) {
    assert_eq!(env.entries(), entries);
    assert_eq!(fs::read_dir(env.path(".lineage/tmp")).unwrap().count(), 0);
    env.verifies();
}

#[test]
fn an_interrupt_during_hashing_leaves_no_version_and_no_temporary() {
    for name in ["INT", "TERM"] {
        let env = Env::with_versions(1);
        let entries = env.entries();
        // Sparse: as long as a large model, without needing its room.
        let file = fs::File::create(env.path("large.bin")).unwrap();
        file.set_len(64 << 30).unwrap();
        let mut child = start(&env, &["record", "fraud", "--data", "training=large.bin"], "");
        wait_for_step(&env, &mut child, "repaired");
        signal(&child, name);
        let ran = env.finish(child.wait_with_output().unwrap()).code(130);
        assert_eq!(ran.stdout, "");
        nothing_left(&env, entries);
    }
}

#[test]
fn an_interrupt_while_the_artifact_is_copied_removes_the_copy() {
    let env = Env::with_versions(1);
    let entries = env.entries();
    let objects = fs::read_dir(env.path(".lineage/objects")).unwrap().count();
    fs::File::create(env.path("large.bin")).unwrap().set_len(4 << 30).unwrap();
    let mut child = start(&env, &["record", "fraud", "--artifact", "large.bin", "--json"], "");
    let tmp = env.path(".lineage/tmp");
    wait_until(&mut child, || {
        fs::read_dir(&tmp).unwrap().flatten().any(|e| e.metadata().is_ok_and(|m| m.len() > 0))
    });
    signal(&child, "INT");
    env.finish(child.wait_with_output().unwrap()).code(130).error_code("interrupted");
    assert_eq!(fs::read_dir(env.path(".lineage/objects")).unwrap().count(), objects);
    nothing_left(&env, entries);
}

/// It is read by several threads; all of them hear it.
#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_while_what_is_served_is_read_prints_no_path() {
    let env = Env::with_versions(1);
    env.run(&["promote", "fraud"]).ok();
    let entries = env.entries();
    let path = env.path("v1/model.bin");
    let released = fs::read(&path).unwrap();
    fs::File::create(&path).unwrap().set_len(64 << 30).unwrap();
    for name in ["INT", "TERM"] {
        let mut child = start(&env, &["resolve", "fraud"], "");
        let open = format!("/proc/{}/fd", child.id());
        wait_until(&mut child, || {
            let mut files = fs::read_dir(&open).into_iter().flatten().flatten();
            files.any(|file| fs::read_link(file.path()).is_ok_and(|to| to == path))
        });
        signal(&child, name);
        let ran = env.finish(child.wait_with_output().unwrap()).code(130);
        assert_eq!(ran.stdout, "");
    }
    fs::write(&path, released).unwrap();
    nothing_left(&env, entries);
}

#[test]
fn an_interrupt_before_the_transaction_moves_nothing() {
    let env = Env::with_versions(2);
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    let entries = env.entries();
    let mut child = start(&env, &["promote", "fraud"], "repaired:1500");
    wait_for_step(&env, &mut child, "repaired");
    signal(&child, "INT");
    env.finish(child.wait_with_output().unwrap()).code(130).says("interrupted");
    assert_eq!(env.read("PROD_POINTER.txt"), "v1/model.bin\n");
    nothing_left(&env, entries);
}

#[test]
fn an_interrupt_after_the_commit_is_too_late_and_the_work_is_finished() {
    let env = Env::with_versions(2);
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    let mut child = start(&env, &["promote", "fraud"], "committed:1500");
    wait_for_step(&env, &mut child, "committed");
    signal(&child, "INT");
    env.finish(child.wait_with_output().unwrap()).ok();
    assert_eq!(env.read("PROD_POINTER.txt"), "v2/model.bin\n");
    env.verifies();
}

#[test]
fn a_second_interrupt_ends_the_process_at_once() {
    let env = Env::with_versions(2);
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    let mut child = start(&env, &["promote", "fraud"], "committed:60000");
    wait_for_step(&env, &mut child, "committed");
    signal(&child, "INT");
    let pending = format!("/proc/{}/status", child.id());
    if fs::exists("/proc/self/status").unwrap() {
        // The first must have been delivered, or the two would be one.
        wait_until(&mut child, || {
            let status = fs::read_to_string(&pending).unwrap_or_default();
            status.lines().any(|line| line.starts_with("ShdPnd") && line.ends_with("0000000000"))
        });
    }
    let started = Instant::now();
    signal(&child, "INT");
    let status = child.wait().unwrap();
    assert!(started.elapsed() < Duration::from_secs(30));
    assert!(status.signal() == Some(2) || status.code() == Some(130), "{status:?}");
    // As safe as kill -9: the next command puts the file right.
    env.run(&["record", "other", "--metric", "a=1"]).ok();
    assert_eq!(env.read("PROD_POINTER.txt"), "v2/model.bin\n");
    env.verifies();
}

#[test]
fn an_interrupt_while_waiting_for_another_process_ends_the_wait() {
    let env = Env::with_versions(2);
    let entries = env.entries();
    let connection = rusqlite::Connection::open(env.path(".lineage/registry.db")).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut child = start(&env, &["record", "fraud", "--artifact", "v1/model.bin"], "");
    wait_for_step(&env, &mut child, "objects-stored");
    signal(&child, "INT");
    env.finish(child.wait_with_output().unwrap()).code(130);
    connection.execute_batch("ROLLBACK").unwrap();
    nothing_left(&env, entries);
}

#[test]
fn a_lock_that_is_not_given_up_ends_with_a_lock_timeout() {
    let env = Env::with_versions(2);
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    let connection = rusqlite::Connection::open(env.path(".lineage/registry.db")).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    for arguments in [
        &["record", "fraud", "--artifact", "v1/model.bin", "--lock-timeout", "0"][..],
        &["promote", "fraud", "--lock-timeout", "0"],
        &["rollback", "fraud", "--reason", "x", "--version", "1", "--lock-timeout", "0"],
    ] {
        let ran = env.run(arguments);
        if arguments[0] == "rollback" {
            ran.ok();
            continue;
        }
        let ran = ran.code(8).says("another process is writing to the registry");
        assert!(!ran.stderr.contains("database is locked"), "{ran}");
        env.refused_json(arguments, 8, "lock-timeout", "gave up after 0 s");
    }
    env.run(&["resolve", "fraud"]).ok();
    connection.execute_batch("ROLLBACK").unwrap();
    env.verifies();
}

#[test]
fn a_visible_wait_ends_well_when_the_other_process_is_done() {
    let env = Env::with_versions(2);
    let connection = rusqlite::Connection::open(env.path(".lineage/registry.db")).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut child = env
        .command(&["promote", "fraud"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    std::io::BufRead::read_line(&mut stderr, &mut said).unwrap();
    assert!(said.contains("waiting for another lineage process"), "{said}");
    connection.execute_batch("ROLLBACK").unwrap();
    assert!(child.wait().unwrap().success());
    env.verifies();
}
