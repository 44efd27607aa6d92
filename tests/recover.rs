//! `lineage doctor --recover`: trainings that could not be recorded when they ended.

#![cfg(unix)]

use std::fs;

use serde_json::Value;

use crate::support::Env;

fn project() -> Env {
    let env = Env::new();
    env.write("train.csv", "id,amount\n1,2.5\n2,3.5\n");
    env
}

fn sessions(env: &Env) -> Vec<Value> {
    env.json_lines(&["session", "list"], "lineage.session/1")
}

/// The files with sessions that wait, in the registry and beside it.
fn waiting(env: &Env) -> Vec<String> {
    let files = env.files().into_keys().map(|path| path.to_string_lossy().into_owned());
    files.filter(|path| path.contains("spool") && path.ends_with(".json")).collect()
}

/// Runs a training whose artifact is missing at its end, and gives its session and file.
fn spooled(env: &Env, more: &[&str]) -> (String, String) {
    let run = ["run", "fraud", "--best-effort", "--data", "training=train.csv"];
    let result = ["--artifact", "late.bin", "--metric", "test.auc=0.9", "--metric", "f1=NaN"];
    let program = ["--", "sh", "-c", "echo '{\"step\":1,\"loss\":0.5}' > $LINEAGE_METRICS"];
    env.run(&[&run[..], &result, more, &program].concat()).ok().says("doctor --recover");
    let id = sessions(env)[0]["session"].as_str().unwrap().to_owned();
    let mut files = waiting(env);
    assert_eq!(files.len(), 1);
    (id, files.remove(0))
}

/// Runs a training while the registry is away, and gives its file.
fn unstarted(env: &Env, arguments: &[&str]) -> String {
    let hide = |from: &str, to: &str| fs::rename(env.path(from), env.path(to)).unwrap();
    hide(".lineage", "hidden");
    let ran = env.run(&[&["run", "fraud", "--best-effort"], arguments].concat());
    hide("hidden", ".lineage");
    let mut files = waiting(env);
    assert_eq!(files.len(), 1, "{ran}");
    files.remove(0)
}

#[test]
fn a_session_that_waits_and_was_failed_meanwhile_is_recorded_as_another() {
    let env = project();
    let (id, file) = spooled(&env, &["--label", "1.0.0"]);
    let listed = env.run(&["session", "list"]).ok().says("lineage doctor");
    assert!(!listed.stderr.contains("session fail"), "{listed}");
    env.run(&["session", "fail", "--session", &id, "--reason", "tidied up"]).ok();
    env.write("late.bin", "bytes that came late");
    let kept = env.read(&file);
    let planned = env.run(&["doctor", "--recover", "--dry-run"]).code(1);
    assert!(!planned.stdout.contains("cannot be recorded"), "{planned}");
    let ran = env.run(&["doctor", "--recover"]).ok().says("recorded fraud@1, late");
    ran.says(&format!("session {id} had ended otherwise"));
    let metadata = &env.json(&["show", "fraud@1"], "lineage.show/1")["metadata"];
    assert_eq!(metadata["claims"]["facts"]["session"], *id);
    assert_eq!((&metadata["run"]["late"], &metadata["label"]), (&true.into(), &"1.0.0".into()));
    assert_eq!(metadata["datasets"][0]["path"], "train.csv");
    assert_eq!(metadata["series"][0]["points"], 1);
    assert_ne!(metadata["session"], *id);
    assert_eq!(sessions(&env)[0]["reason"], "tidied up");
    // A copy of the file is the same session.
    env.write(&file, kept);
    env.run(&["doctor", "--recover"]).ok().says("recorded fraud@1, late");
    assert_eq!(env.json_lines(&["log"], "lineage.log/1").len(), 1);
    env.verifies();
}

#[test]
fn a_session_is_recorded_once_however_often_that_is_asked_for() {
    let env = project();
    env.write("base.bin", "base");
    env.run(&["record", "fraud", "--artifact", "base.bin"]).ok();
    let (id, file) = spooled(&env, &["--derived-from", "fraud@latest", "--label", "1.0.0"]);
    env.write("late.bin", "bytes that came late");
    let kept = env.read(&file);
    for _ in 0..2 {
        env.write(&file, &kept);
        env.run(&["doctor", "--recover"]).ok().says("recorded fraud@2, late");
    }
    let metadata = &env.json(&["show", "fraud@2"], "lineage.show/1")["metadata"];
    assert_eq!(metadata["session"], *id);
    assert_eq!(metadata["metrics"].as_array().unwrap().len(), 3, "{metadata}");
    assert_eq!(env.json_lines(&["log"], "lineage.log/1").len(), 2);
    env.verifies();
}

#[test]
fn a_failed_session_that_could_not_be_started_is_recorded_once() {
    let env = project();
    let file = unstarted(&env, &["--label", "1.0.0", "--artifact", "m.bin", "--", "false"]);
    let kept = env.read(&file);
    for _ in 0..2 {
        env.write(&file, &kept);
        env.run(&["doctor", "--recover"]).ok().says("recorded a failed session, late");
    }
    // Killed between its start and its end.
    let file = unstarted(&env, &["--metric", "loss=1", "--", "false"]);
    let stop = [("LINEAGE_TEST_STOP", "committed")];
    assert_eq!(env.run_with(&["doctor", "--recover"], &stop).code, None);
    assert_eq!(sessions(&env)[0]["state"], "open");
    assert!(env.path(&file).exists());
    env.run(&["doctor", "--recover"]).ok();
    let states: Vec<_> = sessions(&env).iter().map(|s| s["state"].clone()).collect();
    assert_eq!(states, ["failed", "failed"]);
    env.verifies();
}

#[test]
fn what_a_session_ran_with_is_kept_when_it_could_not_be_started() {
    let env = project();
    env.write("lineage.toml", "[policies.training]\nrequire-environment = true\n");
    let program = ["--", "sh", "-c", "echo new > m.bin", "x", "--password=hunter2hunter2"];
    let arguments = ["--environment", "auto", "--artifact", "m.bin"];
    unstarted(&env, &[&arguments[..], &program].concat());
    for bytes in env.files().into_values() {
        assert!(!bytes.windows(7).any(|window| window == b"hunter2"));
    }
    env.run(&["doctor", "--recover"]).ok().says("recorded fraud@1, late");
    let found = &env.json(&["show", "fraud@1"], "lineage.show/1")["environment"];
    assert_eq!(found["command"][4], "--password=[removed]", "{found}");
    env.verifies();
}

#[test]
fn a_dry_run_says_what_the_settings_and_the_session_have_against_it() {
    let env = project();
    let (id, _) = spooled(&env, &["--label", "1.0.0"]);
    let obstacle = || {
        let planned = env.run(&["doctor", "--recover", "--dry-run", "--json"]).code(1).json();
        planned["pending"][0]["obstacle"].as_str().unwrap_or_default().to_owned()
    };
    assert!(obstacle().contains("late.bin"), "{}", obstacle());
    env.write("late.bin", "bytes that came late");
    assert_eq!(obstacle(), "");
    env.write("lineage.toml", "[policies.training]\nrequire-seed = true\n");
    assert!(obstacle().contains("a seed"), "{}", obstacle());
    env.run(&["session", "fail", "--session", &id, "--reason", "tidied up"]).ok();
    assert!(obstacle().contains("a seed"), "{}", obstacle());
    env.write("lineage.toml", "");
    assert_eq!(obstacle(), "");
    env.write("other.bin", "another");
    env.run(&["record", "fraud", "--artifact", "other.bin", "--label", "1.0.0"]).ok();
    assert!(obstacle().contains("the label \"1.0.0\""), "{}", obstacle());
}

#[test]
fn no_secret_stays_in_what_is_said_of_a_session_that_waits() {
    let env = project();
    // The error names what the program wrote.
    let script = "echo '{\"password=hunter2hunter2\": 1, \"password=hunter2hunter2\": 2}' > $LINEAGE_METRICS";
    let ran = env.run(&["run", "fraud", "--best-effort", "--", "sh", "-c", script]).ok();
    ran.says("occurs twice");
    let file = waiting(&env).remove(0);
    assert!(!env.read(&file).contains("hunter2"), "{}", env.read(&file));
    // As an earlier lineage kept it.
    let kept: Value = serde_json::from_str(&env.read(&file)).unwrap();
    let mut raw = kept.clone();
    raw["problem"] = "token=hunter2hunter2 occurs".into();
    env.write(&file, raw.to_string());
    for more in [&[][..], &["--json"], &["--recover", "--dry-run"]] {
        let ran = env.run(&[&["doctor"], more].concat()).code(1);
        assert!(ran.stdout.contains("token=[removed]"), "{ran}");
        assert!(!format!("{ran}").contains("hunter2"), "{ran}");
    }
}
