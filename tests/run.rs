//! `lineage run`: a training program, started and recorded.

#![cfg(unix)]

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

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

#[test]
fn what_a_program_reads_writes_and_measures_is_recorded() {
    let env = project();
    env.write(
        "train.sh",
        "echo to standard output\necho to standard error >&2\necho bytes > model.bin\n\
         printf '{\"step\":1,\"loss\":0.5}\\n{\"step\":2,\"loss\":0.25}\\n{\"validation\":{\"auc\":0.9},\"who\":\"x\"}\\n' \
         > \"$LINEAGE_METRICS\"\necho '{\"eta\": 0.1}' > \"$LINEAGE_PARAMS\"\n",
    );
    let arguments = [
        "run",
        "fraud",
        "--data",
        "training=train.csv",
        "--artifact",
        "model.bin",
        "--",
        "sh",
        "train.sh",
    ];
    let ran = env.run(&arguments).ok();
    assert_eq!(ran.stdout, "to standard output\n");
    for said in ["to standard error", "left out of the metrics: who", "Recorded fraud@1"] {
        assert!(ran.stderr.contains(said), "{ran}");
    }
    let metadata = &env.json(&["show", "fraud@1"], "lineage.show/1")["metadata"];
    assert_eq!(metadata["metrics"][0]["value"], 0.25);
    assert_eq!(metadata["metrics"][1]["value"], 0.9);
    assert_eq!(metadata["series"][0]["points"], 2);
    assert_eq!(metadata["params"][0]["text"], "0.1");
    assert_eq!(metadata["run"]["exit_status"], 0);
    assert!(metadata["run"]["duration_us"].as_u64().unwrap() > 0);
    assert_eq!(metadata["datasets"][0]["role"], "training");
    assert_eq!(sessions(&env)[0]["state"], "completed");
    env.verifies();
}

#[test]
fn a_change_of_the_data_during_the_training_is_recorded() {
    let env = project();
    let before = env.json(&["fingerprint", "train.csv"], "lineage.fingerprint/1")["sha256"].clone();
    let run = ["run", "fraud", "--data", "training=train.csv", "--artifact", "m.bin", "--"];
    let program = ["sh", "-c", "echo 3,4.5 >> train.csv; echo trained > m.bin"];
    let ran = env.run(&[&run[..], &program].concat()).ok();
    ran.says("training:train.csv changed while the session ran");
    let metadata = &env.json(&["show", "fraud@1"], "lineage.show/1")["metadata"];
    let after = env.json(&["fingerprint", "train.csv"], "lineage.fingerprint/1")["sha256"].clone();
    let data = &metadata["datasets"][0];
    assert_eq!((&data["sha256"], &data["changed_to_sha256"]), (&before, &after));
}

#[test]
fn the_status_of_a_program_that_fails_is_its_own() {
    let env = project();
    env.run(&["run", "fraud", "--", "sh", "-c", "exit 7"]).code(7);
    env.run(&["run", "fraud", "--", "sh", "-c", "kill -9 $$"]).code(137);
    env.run(&["run", "fraud", "--", "no-such-program"]).code(5).says("cannot run no-such-program");
    let states: Vec<_> = sessions(&env).iter().map(|s| s["state"].clone()).collect();
    assert_eq!(states, ["failed", "failed", "failed"]);
    let reasons: Vec<_> = sessions(&env).iter().map(|s| s["reason"].clone()).collect();
    assert_eq!(reasons[2], "the program ended with exit status 7");
    assert_eq!(reasons[1], "the program was ended by signal 9");
    env.verifies();
}

#[test]
fn a_program_that_may_not_be_executed_is_said_and_fails_the_session() {
    let env = project();
    env.write("train.py", "print(1)\n");
    let ran = env.run(&["run", "fraud", "--", "./train.py"]).code(1);
    ran.says("cannot run ./train.py: it may not be executed").says("chmod +x");
    assert_eq!(sessions(&env)[0]["state"], "failed");
}

#[test]
fn signals_are_passed_on() {
    use std::os::unix::process::CommandExt as _;

    use rustix::process::{Pid, Signal, kill_process};
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let env = project();
        let script =
            "trap 'echo heard; exit 5' TERM INT HUP; touch ready; while :; do sleep 0.05; done";
        let mut command = env.command(&["run", "fraud", "--", "sh", "-c", script]);
        // Away from a terminal, whose keyboard would reach the program by itself.
        command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let begun = Instant::now();
        while !env.path("ready").exists() {
            assert!(begun.elapsed() < Duration::from_secs(60), "the program did not start");
            std::thread::sleep(Duration::from_millis(5));
        }
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(5));
        let mut said = String::new();
        std::io::Read::read_to_string(child.stdout.as_mut().unwrap(), &mut said).unwrap();
        assert_eq!(said, "heard\n");
        assert_eq!(sessions(&env)[0]["reason"], "the program ended with exit status 5");
    }
}

#[test]
fn a_secret_on_the_command_line_of_a_program_is_nowhere() {
    let env = project();
    let secret = "hunter2hunter2";
    let given = [format!("--password={secret}"), format!("API_TOKEN={secret}")];
    let run = ["run", "fraud", "--environment", "auto", "--artifact", "m.bin", "--"];
    for program in [
        ["sh", "-c", "echo trained > m.bin", "train.py"],
        ["sh", "-c", "exit 3", "train.py"],
        ["no-such-program", "-c", "", "train.py"],
    ] {
        let given = given.iter().map(String::as_str).chain(["--password", secret]);
        let arguments: Vec<&str> = run.into_iter().chain(program).chain(given).collect();
        for more in [&[][..], &["--json"]] {
            let ran = env.run(&[more, &arguments].concat());
            assert!(!format!("{ran}").contains("hunter2"), "{ran}");
        }
    }
    let command = &env.json(&["show", "fraud@1"], "lineage.show/1")["environment"]["command"];
    assert_eq!(command[4], "--password=[removed]", "{command}");
    for (path, bytes) in env.files() {
        let found = bytes.windows(7).any(|window| window == b"hunter2");
        assert!(!found, "{}", path.display());
    }
    assert!(env.path("metadata.json").exists());
}

#[test]
fn a_training_that_cannot_be_recorded_is_kept_for_later() {
    let env = project();
    let run = [
        "run",
        "fraud",
        "--data",
        "training=train.csv",
        "--artifact",
        "late.bin",
        "--metric",
        "test.auc=0.9",
    ];
    let program = ["--", "sh", "-c", "echo '{\"step\":1,\"loss\":0.5}' > $LINEAGE_METRICS"];
    let ran = env.run(&[&run[..], &program].concat()).code(5).says("late.bin");
    ran.says("the program itself ended well. What is known of it was kept in");
    let kept = || fs::read_dir(env.path(".lineage/spool")).map_or(0, Iterator::count);
    assert_eq!(kept(), 1);
    let ran = env.run(&[&run[..], &["--best-effort"], &program].concat()).ok();
    ran.says("lineage doctor --recover");
    assert_eq!(kept(), 2);
    let report = env.run(&["doctor"]).code(1).stdout;
    assert!(report.contains("2 sessions could not be recorded at the end"), "{report}");
    let open = sessions(&env).iter().filter(|session| session["state"] == "open").count();
    assert_eq!(open, 2);
    env.run(&["log", "fraud"])
        .ok()
        .says("here: 2 sessions; see `lineage session list fraud --state open`");
    env.write("late.bin", "bytes that came late");
    env.write(".lineage/spool/0.json", "not a session");
    let planned = env.run(&["doctor", "--recover", "--dry-run"]).code(1);
    assert_eq!(planned.stdout.matches("of fraud\n    not recorded then: ").count(), 2, "{planned}");
    assert!(planned.stdout.contains("0.json: "), "{planned}");
    assert_eq!(kept(), 3);
    env.run(&["doctor", "--recover"]).code(2).says("recorded fraud@2, late").says("0.json");
    fs::remove_file(env.path(".lineage/spool/0.json")).unwrap();
    assert_eq!(kept(), 0);
    let metadata = &env.json(&["show", "fraud@1"], "lineage.show/1")["metadata"];
    assert_eq!(metadata["run"]["late"], true);
    assert!(sessions(&env).iter().all(|session| session["late"] == true));
    for list in [&["session", "list"][..], &["log"]] {
        let listed = env.run(list).ok();
        assert_eq!(listed.stdout.matches(", late").count(), 2, "{listed}");
    }
    let id = sessions(&env)[0]["session"].as_str().unwrap().to_owned();
    let shown = env.run(&["session", "show", &id]).ok();
    assert!(shown.stdout.contains("completed, late"), "{shown}");
    assert_eq!(metadata["series"][0]["points"], 1);
    assert_eq!(metadata["metrics"].as_array().unwrap().len(), 2);
    env.verifies();
}

#[test]
fn an_artifact_that_is_another_by_now_is_not_recorded_late() {
    let env = project();
    env.write("model.bin", "first");
    // A file of metrics that cannot be read.
    let script = "echo '[1]' > $LINEAGE_METRICS; echo trained > model.bin";
    let arguments =
        ["run", "fraud", "--artifact", "model.bin", "--best-effort", "--", "sh", "-c", script];
    env.run(&arguments).ok().says("LINEAGE_METRICS");
    env.write("model.bin", "another");
    env.run(&["doctor", "--recover"]).code(4).says("is another since the training ended");
}

#[test]
fn without_a_registry_the_training_still_runs_when_asked_to() {
    let env = Env::empty();
    env.run(&["run", "fraud", "--", "touch", "ran"]).code(5);
    assert!(!env.path("ran").exists());
    env.run(&["run", "fraud", "--best-effort", "--", "touch", "ran"]).ok().says("lineage-spool-");
    assert!(env.path("ran").exists());
    env.run(&["init"]).ok();
    let report = env.json(&["doctor", "--recover"], "lineage.doctor/1");
    assert!(report["recovered"][0].as_str().unwrap().ends_with("late"), "{report}");
    assert_eq!(env.json_lines(&["log"], "lineage.log/1").len(), 1);
}

#[test]
fn a_training_that_could_not_even_be_started_keeps_its_outcome_and_its_data() {
    let env = project();
    let hide = |from: &str, to: &str| fs::rename(env.path(from), env.path(to)).unwrap();
    let arguments =
        ["run", "fraud", "--best-effort", "--data", "training=train.csv", "--artifact", "m.bin"];
    hide(".lineage", "hidden");
    env.write("m.bin", "an older model");
    env.run(&[&arguments[..], &["--", "sh", "-c", "exit 5"]].concat()).code(5);
    env.run(&[&arguments[..], &["--", "sh", "-c", "echo new > m.bin"]].concat()).ok();
    hide("hidden", ".lineage");
    env.write("train.csv", "id,amount\n9,9\n");
    let planned = env.run(&["doctor", "--recover", "--dry-run", "--json"]).code(1).json();
    for pending in planned["pending"].as_array().unwrap() {
        assert_eq!((&pending["model"], &pending["session"]), (&"fraud".into(), &().into()));
        assert!(pending["obstacle"].as_str().unwrap().contains("is another since"), "{planned:#}");
    }
    let ran =
        env.run(&["doctor", "--recover"]).code(4).says("train.csv is another since the training");
    assert!(ran.stderr.contains("m.bin is another") || ran.stderr.contains("train.csv"), "{ran}");
    assert_eq!(env.json_lines(&["log"], "lineage.log/1").len(), 0);
    env.write("train.csv", "id,amount\n1,2.5\n2,3.5\n");
    env.run(&["doctor", "--recover"]).code(4).says("m.bin is another since the training");
    let entries = env.json_lines(&["log"], "lineage.log/1");
    assert_eq!((entries.len(), entries[0]["version"].as_u64()), (1, Some(1)));
    env.write("m.bin", "an older model");
    env.run(&["doctor", "--recover"]).ok().says("recorded a failed session, late");
    assert_eq!(env.json_lines(&["log"], "lineage.log/1").len(), 1);
    assert_eq!(sessions(&env)[0]["reason"], "the program ended with exit status 5");
    env.verifies();
}

#[test]
fn what_a_program_writes_about_itself_cannot_hang_us() {
    let env = project();
    let fifo = "rm -f $LINEAGE_METRICS; mkfifo $LINEAGE_METRICS";
    env.run(&["run", "fraud", "--", "sh", "-c", fifo]).code(2).says("is not a regular file");
    let endless = "rm -f $LINEAGE_PARAMS; ln -s /dev/zero $LINEAGE_PARAMS";
    env.run(&["run", "fraud", "--", "sh", "-c", endless]).code(2).says("is not a regular file");
    let twice = "echo '{\"validation.auc\": 1, \"validation\": {\"auc\": 2}}' > $LINEAGE_METRICS";
    env.run(&["run", "fraud", "--", "sh", "-c", twice])
        .code(2)
        .says("validation.auc\" occurs twice");
}

#[test]
fn an_artifact_that_the_program_did_not_write_is_said() {
    let env = project();
    env.write("m.bin", "an older model");
    env.run(&["run", "fraud", "--artifact", "m.bin", "--", "true"]).ok().says("m.bin is as it was");
}

#[test]
fn what_the_settings_require_is_looked_at_before_the_training() {
    let env = project();
    env.write("lineage.toml", "[policies.training]\nrequire-seed = true\n");
    env.run(&["run", "fraud", "--", "touch", "ran"]).code(3).says("a seed");
    assert!(!env.path("ran").exists());
}
