//! A command that dies at any point leaves a registry that the next command puts right: stopped
//! after each step it passes, and killed at random moments.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::Env;
use crate::support::agreement::{Log, assert_agreement, assert_database_agrees, pointer_file};

/// A command to stop, and the state to stop it in.
struct Scenario {
    arguments: &'static [&'static str],
    /// Run in the prepared project before the command.
    prepare: fn(&Env),
    /// What the pointer file holds when the command is through.
    after: Option<&'static str>,
    /// A step that the scenario is about; if it is not passed, the test tests something else.
    passes: &'static str,
}

/// Three versions, version 2 live after version 1, nothing owed.
fn project() -> Env {
    let env = Env::with_versions(3);
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    env.run(&["promote", "fraud", "--version", "2"]).ok();
    env.write("other/model.bin", "another model");
    env.run(&["record", "other", "--artifact", "other/model.bin"]).ok();
    env.write("train/model.bin", "the newest training");
    env.write("train.csv", "a,b\n1,2\n");
    env
}

const BEFORE: &str = "v2/model.bin\n";

const RECORD: Scenario = Scenario {
    arguments: &[
        "record",
        "fraud",
        "--artifact",
        "train/model.bin",
        "--data",
        "training=train.csv",
        "--metric",
        "test.auc=0.9",
        "--param",
        "depth=6",
        "--tag",
        "by=test",
    ],
    prepare: |_| {},
    after: Some(BEFORE),
    passes: "metadata-placed",
};

const PROMOTE: Scenario = Scenario {
    arguments: &["promote", "fraud", "--version", "3"],
    prepare: |_| {},
    after: Some("v3/model.bin\n"),
    passes: "pointer-placed",
};

const PROMOTE_FROM_STORE: Scenario = Scenario {
    arguments: PROMOTE.arguments,
    prepare: |env| env.write("v3/model.bin", "overwritten by the next training"),
    after: Some("(checkout)"),
    passes: "checkout-placed",
};

const ROLLBACK: Scenario = Scenario {
    arguments: &["rollback", "fraud", "--reason", "INC-1"],
    prepare: |_| {},
    after: Some("v1/model.bin\n"),
    passes: "pointer-placed",
};

const UNSET: Scenario = Scenario {
    arguments: &["pointer", "unset", "fraud", "--yes"],
    prepare: |_| {},
    after: None,
    passes: "pointer-placed",
};

/// A command that first repairs what another one, stopped before it, left owing.
const REPAIR_POINTER: Scenario = Scenario {
    arguments: RECORD.arguments,
    prepare: |env| stop(env, PROMOTE.arguments, "committed"),
    after: PROMOTE.after,
    passes: "pointer-placed",
};

const REPAIR_METADATA: Scenario = Scenario {
    arguments: PROMOTE.arguments,
    prepare: |env| stop(env, RECORD.arguments, "committed"),
    after: PROMOTE.after,
    passes: "metadata-placed",
};

impl Scenario {
    fn project(&self) -> Env {
        let env = project();
        (self.prepare)(&env);
        env
    }

    /// The steps that the command passes when nothing stops it, each once.
    fn steps(&self) -> Vec<String> {
        let env = self.project();
        let file = env.root().parent().unwrap().join("steps");
        let output = env.command(self.arguments).env("LINEAGE_TEST_STEPS", &file).output().unwrap();
        env.finish(output).ok();
        assert!(self.is_after(pointer_file(&env).as_deref()));
        let mut steps: Vec<String> = Vec::new();
        for step in fs::read_to_string(file).unwrap().lines() {
            if !steps.iter().any(|known| known == step) {
                steps.push(step.to_owned());
            }
        }
        assert!(steps.iter().any(|step| step == self.passes), "{steps:?}");
        assert!(steps.iter().any(|step| step == "committed"), "{steps:?}");
        steps
    }

    fn is_after(&self, content: Option<&str>) -> bool {
        match (self.after, content) {
            (Some("(checkout)"), Some(content)) => {
                content.starts_with(".lineage/checkouts/") && content.ends_with("/model.bin\n")
            }
            (after, content) => after == content,
        }
    }

    /// At every instant a reader sees the old content or the new one, whole.
    #[track_caller]
    fn assert_old_or_new(&self, env: &Env) {
        let content = pointer_file(env);
        assert!(
            content.as_deref() == Some(BEFORE) || self.is_after(content.as_deref()),
            "{content:?}"
        );
    }

    fn check_every_step(&self) {
        for (index, step) in self.steps().iter().enumerate() {
            let env = self.project();
            let entries = env.entries();
            stop(&env, self.arguments, step);
            let committed = env.entries() > entries;
            self.check_after_death(&env, index);
            assert_eq!(env.entries() - entries, i64::from(committed) + 1, "stopped at {step}");
            self.check_again(&env, committed);
        }
    }

    /// What must hold after a process died, and then after the next command that writes.
    fn check_after_death(&self, env: &Env, turn: usize) {
        self.assert_old_or_new(env);
        assert_database_agrees(env);
        let content = pointer_file(env);
        let _ = env.run(&["status", "--json"]).ok().json();
        let _ = env.run(&["resolve", "fraud", "--json"]);
        assert_eq!(pointer_file(env), content, "a reading command touched the file");
        // Neither command has anything to do with the pointer that may be owed.
        let next: &[&str] = match turn % 2 {
            0 => &["record", "other", "--artifact", "other/model.bin"],
            _ => &["promote", "other", "--pointer", "shadow"],
        };
        env.run(next).ok();
        self.assert_old_or_new(env);
        assert_agreement(env);
    }

    /// A person who does not know what happened runs the command again.
    fn check_again(&self, env: &Env, committed: bool) {
        let versions = Log::read(env).versions().count();
        let recorded = self.arguments[0] == "record";
        let rolled_back = self.arguments[0] == "rollback" && committed;
        // The stack held two versions, so a second rollback leads nowhere.
        let expected = if rolled_back { 5 } else { 0 };
        env.run(self.arguments).code(expected);
        assert!(self.is_after(pointer_file(env).as_deref()));
        assert_eq!(Log::read(env).versions().count(), versions + usize::from(recorded));
        assert_agreement(env);
    }
}

/// Runs a command that ends at `step` as `kill -9` would end it.
#[track_caller]
fn stop(env: &Env, arguments: &[&str], step: &str) {
    let output = env.command(arguments).env("LINEAGE_TEST_STOP", step).output().unwrap();
    let ran = env.finish(output);
    assert_eq!(ran.code, None, "it was not stopped at {step}: {ran}");
}

#[test]
fn record_may_stop_anywhere() {
    RECORD.check_every_step();
}

#[test]
fn promote_may_stop_anywhere() {
    PROMOTE.check_every_step();
}

#[test]
fn promote_from_the_store_may_stop_anywhere() {
    PROMOTE_FROM_STORE.check_every_step();
}

#[test]
fn rollback_may_stop_anywhere() {
    ROLLBACK.check_every_step();
}

#[test]
fn unset_may_stop_anywhere() {
    UNSET.check_every_step();
}

#[test]
fn repairs_may_stop_anywhere() {
    REPAIR_POINTER.check_every_step();
    REPAIR_METADATA.check_every_step();
}

/// Between the death of a command and the repair, somebody edits or removes the pointer file.
#[test]
fn an_edit_between_death_and_repair_is_never_overwritten() {
    for scenario in [PROMOTE, PROMOTE_FROM_STORE, ROLLBACK, UNSET] {
        for step in scenario.steps() {
            for edit in [Some("edited/by/hand\n"), Some(""), None] {
                let removal_is_the_command = edit.is_none() && scenario.after.is_none();
                if !removal_is_the_command {
                    check_edit(&scenario, &step, edit);
                }
            }
        }
    }
}

fn check_edit(scenario: &Scenario, step: &str, edit: Option<&str>) {
    let env = scenario.project();
    stop(&env, scenario.arguments, step);
    match edit {
        Some(text) => env.write("PROD_POINTER.txt", text),
        None => {
            let _ = fs::remove_file(env.path("PROD_POINTER.txt"));
        }
    }
    let edited = || assert_eq!(pointer_file(&env).as_deref(), edit, "stopped at {step}");
    env.run(&["record", "other", "--artifact", "other/model.bin"]).ok();
    edited();
    for refused in [PROMOTE.arguments, UNSET.arguments, ROLLBACK.arguments] {
        let ran = env.run(&[refused, &["--json"]].concat()).code(6);
        ran.error_code("pointer-file-drift");
        edited();
    }
    let status = env.run(&["status"]).ok();
    assert!(status.to_string().contains("PROD_POINTER.txt"), "{status}");
    assert_database_agrees(&env);
    env.run(&["promote", "fraud", "--version", "1", "--overwrite-external"]).ok();
    assert_eq!(pointer_file(&env).as_deref(), Some("v1/model.bin\n"));
    env.run(&["record", "other", "--artifact", "other/model.bin"]).ok();
    assert_agreement(&env);
}

/// Once a debt is known to be paid, the content before it is an edit like any other: a person who
/// put the old line back must not be overruled, and must be told.
#[test]
fn the_old_content_put_back_by_hand_is_drift() {
    for edit in [Some("v1/model.bin\n"), None] {
        let env = if edit.is_some() { project() } else { Env::with_versions(3) };
        if edit.is_none() {
            // The content before the first promotion is that there is no file.
            env.run(&["promote", "fraud", "--version", "2"]).ok();
            env.write("other/model.bin", "another model");
            env.run(&["record", "other", "--artifact", "other/model.bin"]).ok();
        }
        match edit {
            Some(text) => env.write("PROD_POINTER.txt", text),
            None => fs::remove_file(env.path("PROD_POINTER.txt")).unwrap(),
        }
        env.run(&["record", "other", "--artifact", "other/model.bin"]).ok();
        assert_eq!(pointer_file(&env).as_deref(), edit);
        env.run(&["promote", "fraud", "--version", "3", "--json"])
            .code(6)
            .error_code("pointer-file-drift");
        assert_eq!(pointer_file(&env).as_deref(), edit);
    }
}

/// The same promises under a real SIGKILL at moments that no failpoint knows.
#[test]
fn kills_at_random_moments() {
    const KILLS: u32 = 45;
    let mut random = Random(0x6c69_6e65_6167_6531);
    for scenario in [RECORD, PROMOTE, ROLLBACK] {
        let env = scenario.project();
        let started = Instant::now();
        let output = env.command(scenario.arguments).output().unwrap();
        let duration = started.elapsed();
        env.finish(output).ok();
        for turn in 0..KILLS / 3 {
            // Back to where the scenario begins: version 2 live, version 1 below it.
            for version in ["1", "2"] {
                env.run(&["promote", "fraud", "--version", version, "--allow-quarantined"]).ok();
            }
            let entries = env.entries();
            let mut command = env.command(scenario.arguments);
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(duration.mul_f64(random.unit()));
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(env.entries() - entries <= 1, "one command, one event");
            scenario.check_after_death(&env, turn as usize);
        }
    }
}

/// xorshift64*: the same moments on every run, as far as the machine allows.
struct Random(u64);

impl Random {
    /// A number from 0 to 1.
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// How long a stopped process may keep others waiting: not at all, its locks die with it.
#[test]
fn the_locks_of_the_dead_are_free() {
    for step in ["files-locked", "transaction-begun", "entry-appended", "committed"] {
        let env = project();
        stop(&env, PROMOTE.arguments, step);
        let started = Instant::now();
        env.run(&["promote", "fraud", "--version", "1", "--lock-timeout", "0"]).ok();
        assert!(started.elapsed() < Duration::from_secs(5));
        assert_agreement(&env);
    }
}
