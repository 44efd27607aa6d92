//! Many processes at once: nothing is lost, nobody sees SQLite's own words, exactly one wins where
//! only one may.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::agreement::{Log, assert_agreement, pointer_file};
use crate::support::{Env, Ran};

/// Starts every command before it waits for any.
fn run_all<S: AsRef<str>>(env: &Env, commands: &[Vec<S>]) -> Vec<Ran> {
    let start = |arguments: &Vec<S>| -> Child {
        let arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
        let mut command = env.command(&arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<Child> = commands.iter().map(start).collect();
    children.into_iter().map(|child| env.finish(child.wait_with_output().unwrap())).collect()
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn assert_all_ok(ran: &[Ran]) {
    for ran in ran {
        assert_eq!(ran.code, Some(0), "{ran}");
        assert!(!ran.stderr.contains("database is locked"), "{ran}");
    }
}

#[test]
fn parallel_records_and_promotes_lose_nothing() {
    let env = Env::with_versions(2);
    let entries = env.entries();
    let mut commands = Vec::new();
    for number in 0..100 {
        let artifact = format!("many/{number}/model.bin");
        env.write(&artifact, format!("model {number}"));
        commands.push(words(&format!("record fraud --artifact {artifact} -q")));
        if number % 10 == 0 {
            commands
                .push(words(&format!("promote fraud --version {} --json", number / 10 % 2 + 1)));
        }
    }
    let ran = run_all(&env, &commands);
    assert_all_ok(&ran);
    let recorded = commands.iter().zip(&ran).filter(|(command, _)| command[0] == "record");
    let numbers: BTreeSet<u64> =
        recorded.map(|(_, ran)| ran.stdout.trim().parse().unwrap()).collect();
    assert_eq!(numbers, (3..=102).collect());
    let moves = commands
        .iter()
        .zip(&ran)
        .filter(|(command, ran)| command[0] == "promote" && ran.json()["changed"] == true);
    assert_eq!(env.entries() - entries, 100 + moves.count() as i64, "one mutation, one event");
    // What the last to end could not note, the next command does.
    env.run(&["record", "fraud", "--artifact", "v1/model.bin"]).ok();
    assert_agreement(&env);
}

#[test]
fn after_many_promotes_the_file_is_the_fold_and_was_never_anything_else() {
    let env = Env::with_versions(5);
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    let commands: Vec<_> =
        (0..50).map(|n| words(&format!("promote fraud --version {}", n % 5 + 1))).collect();
    let valid: BTreeSet<String> = (1..=5).map(|n| format!("v{n}/model.bin\n")).collect();
    let done = AtomicBool::new(false);
    let path = env.path("PROD_POINTER.txt");
    let ran = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = BTreeSet::new();
            while !done.load(Ordering::Relaxed) {
                seen.insert(fs::read_to_string(&path).unwrap());
            }
            seen
        });
        let ran = run_all(&env, &commands);
        done.store(true, Ordering::Relaxed);
        let seen = reader.join().unwrap();
        assert!(seen.is_subset(&valid), "a reader saw {seen:?}");
        ran
    });
    assert_all_ok(&ran);
    let log = Log::read(&env);
    assert_eq!(pointer_file(&env), log.pointer_file("fraud", "prod"), "before any repair");
    env.run(&["record", "fraud", "--artifact", "v1/model.bin"]).ok();
    assert_agreement(&env);
}

#[test]
fn exactly_one_wins_with_an_expectation() {
    let env = Env::with_versions(3);
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    let commands: Vec<_> = (0..16)
        .map(|n| words(&format!("promote fraud --version {} --expect 1 --json", n % 2 + 2)))
        .collect();
    let ran = run_all(&env, &commands);
    let winners: Vec<&Ran> = ran.iter().filter(|ran| ran.code == Some(0)).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(winners[0].json()["changed"], true);
    for loser in ran.into_iter().filter(|ran| ran.code != Some(0)) {
        loser.code(6).error_code("pointer-moved");
    }
    env.run(&["record", "fraud", "--artifact", "v1/model.bin"]).ok();
    assert_agreement(&env);
}

/// Two people on call, or a retried job, go back once.
#[test]
fn concurrent_rollbacks_from_one_version_go_back_once() {
    let env = Env::with_versions(3);
    for version in ["1", "2", "3"] {
        env.run(&["promote", "fraud", "--version", version]).ok();
    }
    let commands: Vec<_> =
        (0..16).map(|_| words("rollback fraud --expect 3 --reason INC-1 --json")).collect();
    let ran = run_all(&env, &commands);
    assert_all_ok(&ran);
    let changed = ran.iter().filter(|ran| ran.json()["changed"] == true).count();
    assert_eq!(changed, 1);
    assert_eq!(pointer_file(&env).as_deref(), Some("v2/model.bin\n"));
    env.run(&["record", "fraud", "--artifact", "v1/model.bin"]).ok();
    assert_agreement(&env);
}

#[test]
fn concurrent_records_with_one_key_make_one_version() {
    let env = Env::with_versions(1);
    env.write("job/model.bin", "the job's model");
    let command = "record fraud --artifact job/model.bin --idempotency-key job-7 --json";
    let ran = run_all(&env, &vec![words(command); 16]);
    assert_all_ok(&ran);
    let changed = ran.iter().filter(|ran| ran.json()["changed"] == true).count();
    assert_eq!(changed, 1);
    assert!(ran.iter().all(|ran| ran.json()["version"] == 2));
    let sessions: BTreeSet<String> = ran.iter().map(|r| r.json()["session"].to_string()).collect();
    assert_eq!(sessions.len(), 1);
    env.run(&["record", "fraud", "--artifact", "v1/model.bin"]).ok();
    assert_agreement(&env);
}

/// The same training path, recorded again and again: its metadata.json is of the newest version.
#[test]
fn parallel_records_of_one_path_leave_the_newest_metadata() {
    let env = Env::with_versions(1);
    env.write("train/model.bin", "trained in place");
    let ran = run_all(&env, &vec![words("record fraud --artifact train/model.bin --json"); 20]);
    assert_all_ok(&ran);
    let newest = ran.iter().map(|ran| ran.json()["version"].as_u64().unwrap()).max();
    assert_eq!(newest, Some(21));
    let metadata =
        || -> serde_json::Value { serde_json::from_str(&env.read("train/metadata.json")).unwrap() };
    assert_eq!(metadata()["version"], 21, "before any repair");
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    assert_eq!(metadata()["version"], 21);
    env.run(&["record", "fraud", "--artifact", "v1/model.bin"]).ok();
    assert_agreement(&env);
}

#[test]
fn of_many_inits_one_makes_the_registry() {
    for _ in 0..3 {
        let env = Env::empty();
        let ran = run_all(&env, &vec![words("init --json"); 16]);
        assert_all_ok(&ran);
        let ids: BTreeSet<String> = ran.iter().map(|ran| ran.json()["id"].to_string()).collect();
        assert_eq!(ids.len(), 1, "they name different registries: {ids:?}");
        let names: BTreeSet<String> = fs::read_dir(env.root())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(names, BTreeSet::from([".lineage".into(), "lineage.toml".into()]));
        env.write("m.bin", "model");
        env.run(&["record", "fraud", "--artifact", "m.bin"]).ok();
        assert_agreement(&env);
    }
}

/// Commands that find no registry yet say so; the others work. None sees half of one.
#[test]
fn opening_a_registry_that_is_just_being_made() {
    let env = Env::empty();
    env.write("m.bin", "model");
    let mut commands = vec![words("init")];
    commands.extend(vec![words("record fraud --artifact m.bin --json"); 16]);
    for (command, ran) in commands.iter().zip(run_all(&env, &commands)) {
        match ran.code {
            Some(5) if command[0] == "record" => drop(ran.error_code("no-registry")),
            code => assert_eq!(code, Some(0), "{ran}"),
        }
    }
    env.run(&["record", "fraud", "--artifact", "m.bin"]).ok();
    assert_agreement(&env);
}

#[test]
fn many_processes_open_a_registry_whose_tables_are_of_an_older_shape() {
    for make_older in ["UPDATE projection_schema SET number = 0", "DROP TABLE projection_schema"] {
        let env = Env::with_versions(2);
        env.run(&["promote", "fraud", "--version", "1"]).ok();
        env.sql(make_older).unwrap();
        let mut commands = Vec::new();
        for number in 0..16 {
            commands.push(words(match number % 4 {
                0 => "status --json",
                1 => "record fraud --artifact v1/model.bin",
                2 => "resolve fraud",
                _ => "promote fraud --pointer shadow --version 2",
            }));
        }
        assert_all_ok(&run_all(&env, &commands));
        env.run(&["record", "fraud", "--artifact", "v1/model.bin"]).ok();
        assert_agreement(&env);
        // One does it, the others find it done.
        let backups = fs::read_dir(env.path(".lineage/backups")).unwrap().count();
        assert_eq!(backups, 1, "each upgrade leaves one backup");
    }
}

#[test]
fn a_wait_for_the_registry_is_bounded_and_says_for_what() {
    let env = Env::with_versions(1);
    let other = rusqlite::Connection::open(env.path(".lineage/registry.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    check_wait(&env, &["record", "fraud", "--artifact", "v1/model.bin"], "the registry");
    other.execute_batch("ROLLBACK").unwrap();
    env.run(&["record", "fraud", "--artifact", "v1/model.bin"]).ok();
    assert_agreement(&env);
}

#[test]
fn a_wait_for_the_pointer_files_is_bounded_and_says_for_what() {
    let env = Env::with_versions(1);
    let path = env.path(".lineage/files.lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).unwrap();
    file.lock().unwrap();
    let entries = env.entries();
    check_wait(&env, &["promote", "fraud"], "the pointer files");
    assert_eq!(env.entries(), entries, "a time-out appends nothing");
    file.unlock().unwrap();
    env.run(&["promote", "fraud"]).ok();
    env.run(&["record", "fraud", "--artifact", "v1/model.bin"]).ok();
    assert_agreement(&env);
}

fn check_wait(env: &Env, arguments: &[&str], what: &str) {
    for (seconds, at_most) in [("0", 5), ("2", 10)] {
        let started = Instant::now();
        let flags = ["--lock-timeout", seconds, "--json"];
        let ran = env.run(&[arguments, &flags].concat()).code(8);
        let waited = started.elapsed();
        assert!(waited >= Duration::from_secs(seconds.parse().unwrap()), "{waited:?}");
        assert!(waited < Duration::from_secs(at_most), "{waited:?}");
        let ran = ran.error_code("lock-timeout");
        let message = ran.json()["error"]["message"].to_string();
        assert!(message.contains(what), "{message}");
        assert!(!message.contains("locked"), "{message}");
        if seconds == "2" {
            ran.says(&format!("waiting for another lineage process that holds {what}"));
        }
    }
}

/// A reader never waits for a writer, and never sees half of a transaction.
#[test]
fn readers_do_not_wait_for_a_writer() {
    let env = Env::with_versions(2);
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    let writer = rusqlite::Connection::open(env.path(".lineage/registry.db")).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE; UPDATE pointer SET version = 2").unwrap();
    for command in ["resolve fraud -q", "status --json", "log fraud", "verify", "history fraud"] {
        let started = Instant::now();
        let ran = env.run(&words(command)).ok();
        assert!(started.elapsed() < Duration::from_secs(5));
        assert!(!ran.stdout.contains("v2/model.bin") || command.starts_with("log"), "{ran}");
    }
    assert_eq!(env.run(&["resolve", "fraud", "-q"]).ok().stdout.trim(), "v1/model.bin");
    writer.execute_batch("ROLLBACK").unwrap();
}
