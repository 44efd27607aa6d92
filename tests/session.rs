//! `lineage session …`: a training that is recorded step by step.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use lineage_core::context::{Actor, ActorSource, Context, Identity, Observer, Step};
use lineage_core::layout::Layout;
use lineage_core::record::{RecordRequest, Recorded};
use lineage_core::session::complete;
use lineage_core::settings::Settings;
use lineage_core::store::Registry;
use serde_json::json;

use crate::support::Env;

/// A project with data, and an open session that uses it.
fn open() -> (Env, String) {
    let env = Env::new();
    env.write("train.csv", "id,amount\n1,2.5\n2,3.5\n");
    env.write("model.bin", "the model's bytes");
    let arguments = ["session", "start", "fraud", "--data", "training=train.csv", "-q"];
    let id = env.run(&arguments).ok().stdout.trim().to_owned();
    (env, id)
}

fn tell(env: &Env, id: &str, step: &[&str]) {
    let arguments = [&["session"], step, &["--session", id]].concat();
    env.run(&arguments).ok();
}

#[test]
fn a_session_becomes_one_version_with_all_that_was_said_of_it() {
    let (env, id) = open();
    tell(&env, &id, &["param", "depth=6", "--seed", "7"]);
    tell(&env, &id, &["metric", "loss=0.5", "validation.auc=0.8", "--step", "1"]);
    tell(&env, &id, &["metric", "loss=0.25", "--step", "2"]);
    tell(&env, &id, &["metric", "test.auc=0.9"]);
    tell(&env, &id, &["artifact", "model.bin"]);
    insta::assert_snapshot!(env.run(&["session", "list"]).ok(), @r#"
    session                     model  state  started               last told             by           reason
    01KJKB5HK05N6EQPZB247SAF95  fraud  open   2026-03-01 00:01:00Z  2026-03-01 00:06:00Z  Test Person
    ------- stderr -------
    hint: of an open session that does not run any more: `lineage session fail --session ID --reason TEXT`
    "#);
    insta::assert_snapshot!(env.run(&["session", "show", &id]).ok(), @r#"
    session 01KJKB5HK05N6EQPZB247SAF95 of fraud
      state            open
      started          2026-03-01 00:01:00Z by Test Person
      last told        2026-03-01 00:06:00Z
      data training    train.csv  9f3c8c666ed2
      param depth      6
      metric test.auc  0.9
      steps            3 points of metrics
      artifact         model.bin
      seed             7
    "#);
    let complete = ["session", "complete", "--session", &id, "--label", "1.0.0"];
    insta::assert_snapshot!(env.run(&complete).ok(), @r#"
    Recorded fraud@1 (1.0.0)
      artifact  model.bin      6390162f391e  17 B
      training  train.csv      9f3c8c666ed2  2 rows × 2 columns
      metadata  metadata.json
    ------- stderr -------
    hint: make it live with `lineage promote fraud --version 1`
    "#);
    let shown = env.json(&["show", "fraud@1"], "lineage.show/1");
    let metadata = &shown["metadata"];
    assert_eq!(metadata["session"], json!(id));
    assert_eq!(metadata["seed"], "7");
    assert_eq!(metadata["params"][0]["text"], "6");
    assert_eq!(metadata["datasets"][0]["table"]["rows"], 2);
    assert!(metadata["started"].is_string());
    let values: Vec<_> =
        metadata["metrics"].as_array().unwrap().iter().map(|m| &m["value"]).collect();
    assert_eq!(values, [&json!(0.25), &json!(0.8), &json!(0.9)]);
    assert_eq!(metadata["series"][0]["points"], 2);
    insta::assert_snapshot!(env.run(&["show", "fraud@1", "--metric", "loss"]).ok(), @r#"
    fraud@1 loss, 2 points
               0.5 │•
                   │
                   │
                   │
                   │
                   │
                   │
                   │
                   │
              0.25 │ •
                   └──
              step  1 … 2
    "#);
    env.refused(
        &["show", "fraud@1", "--metric", "depth"],
        5,
        "not-found",
        "no steps of the metric",
    );
    // The same again is the same answer.
    let again = env.json(&["session", "complete", "--session", &id], "lineage.record/1");
    assert_eq!((again["version"].as_u64(), again["changed"].as_bool()), (Some(1), Some(false)));
    env.verifies();
}

#[test]
fn data_that_changed_meanwhile_is_recorded_as_it_was() {
    let (env, id) = open();
    let before = env.json(&["fingerprint", "train.csv"], "lineage.fingerprint/1")["sha256"].clone();
    env.write("train.csv", "id,amount\n1,2.5\n2,3.5\n3,4.5\n");
    let ran = env.run(&["session", "complete", "--session", &id]).ok();
    let ran = ran.says("training:train.csv changed while the session ran");
    assert!(!ran.stdout.is_empty());
    let log = env.json(&["log"], "lineage.log/1");
    assert_eq!(log["datasets"][0]["sha256"], before);
    let (env, id) = open();
    fs::remove_file(env.path("train.csv")).unwrap();
    env.run(&["session", "complete", "--session", &id])
        .ok()
        .says("training:train.csv could not be read again");
}

#[test]
fn what_was_given_stays_and_what_ended_has_ended() {
    let (env, id) = open();
    let of = ["--session", &id];
    let step = |arguments: &[&'static str]| [&["session"], arguments, &of].concat();
    tell(&env, &id, &["param", "depth=6"]);
    let same = env.json(&step(&["param", "depth=6"]), "lineage.session-step/1");
    assert_eq!(same["changed"], false);
    env.refused(&step(&["param", "depth=7"]), 6, "session-fact", "depth of the session was given");
    env.write("train.csv", "other\n1\n");
    env.refused(&step(&["data", "training=train.csv"]), 6, "session-fact", "was given before as");
    tell(&env, &id, &["param", "--seed", "1"]);
    env.refused(&step(&["complete", "--seed", "2"]), 6, "session-fact", "the seed of the session");
    env.refused(&step(&["complete", "--param", "depth=7"]), 6, "session-fact", "parameter depth");
    env.refused(&step(&["fail", "--reason", " "]), 2, "usage", "the reason is empty");
    tell(&env, &id, &["fail", "--reason", "out of memory, password=hunter2hunter2"]);
    let listed = env.run(&["session", "list"]).ok().stdout;
    assert!(listed.contains("out of memory") && !listed.contains("hunter2"), "{listed}");
    env.refused(&step(&["metric", "x=1"]), 6, "session-ended", "has failed already");
    env.refused(&step(&["complete"]), 6, "session-ended", "has failed already");
    let again = env.json(&step(&["fail", "--reason", "twice"]), "lineage.session-step/1");
    assert_eq!(again["changed"], false);
    assert_eq!(again["warnings"][0]["code"], "reason-stands");
    env.run(&step(&["fail", "--reason", "twice"]))
        .ok()
        .says("its first reason stands: out of memory");
    env.refused(
        &["session", "show", "01ARZ3NDEKTSV4RRFFQ69G5FAV"],
        5,
        "unknown-session",
        "there is no",
    );
    env.refused(&["session", "metric", "x=1"], 2, "usage", "no session is named");
    env.refused(&step(&["metric", "x=high"]), 2, "usage", "is not a number");
    env.refused(&step(&["metric"]), 2, "usage", "no metric is given");
    env.verifies();
}

/// Tells a session more when everything is hashed and stored for the first time, and counts the hashing.
struct Teller {
    steps: Mutex<Vec<Command>>,
    hashed: AtomicU64,
}

impl Observer for Teller {
    fn step(&self, step: Step) {
        match step {
            Step::Hashed => drop(self.hashed.fetch_add(1, Ordering::Relaxed)),
            Step::ObjectsStored => {
                for mut command in self.steps.lock().unwrap().drain(..) {
                    let output = command.output().unwrap();
                    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                }
            }
            _ => {}
        }
    }
}

/// Completes a session that is told `steps` between hashing and the transaction; and how often was hashed.
fn complete_while_told(
    env: &Env,
    id: &str,
    artifact: Option<&str>,
    steps: &[&[&str]],
) -> (Recorded, u64) {
    let command = |step: &&[&str]| env.command(&[&["session"], *step, &["--session", id]].concat());
    let steps = Mutex::new(steps.iter().map(command).collect());
    let teller = Teller { steps, hashed: AtomicU64::new(0) };
    let random = AtomicU64::new(0);
    let context = Context {
        writer: "lineage-test",
        actor: Actor {
            identity: Identity::parse("Test Person <test@example.org>").unwrap(),
            source: ActorSource::Env,
        },
        clock: &|| "2026-03-02T00:00:00.000000Z".parse().unwrap(),
        entropy: &|bytes| {
            let number = random.fetch_add(1, Ordering::Relaxed).to_le_bytes();
            bytes.iter_mut().zip(number.iter().cycle()).for_each(|(byte, n)| *byte = *n);
        },
        observer: &teller,
        lock_timeout: Duration::from_secs(60),
    };
    let layout = Layout::at(Path::new(&env.path(".lineage"))).unwrap();
    let mut registry = Registry::open(&layout, &context).unwrap();
    let mut request = RecordRequest::new("fraud".parse().unwrap());
    request.artifact = artifact.map(|name| env.path(name));
    let settings = Settings::default();
    let recorded = complete(&mut registry, &settings, id, &request, &context).unwrap();
    (recorded, teller.hashed.load(Ordering::Relaxed))
}

#[test]
fn what_is_told_while_a_session_completes_is_in_its_version() {
    let (env, id) = open();
    env.write("valid.csv", "id,amount\n3,4.5\n");
    let many: String = (1..=100).map(|n| format!("{{\"step\": {n}, \"loss\": {n}}}\n")).collect();
    env.write("metrics.ndjson", many);
    let metrics = [&["metric", "--file", "metrics.ndjson"][..], &["metric", "test.auc=0.93"]];
    let data = [&["data", "validation=valid.csv"][..]];
    for (number, steps) in [(1, metrics.to_vec()), (2, [&metrics[..], &data].concat())] {
        let id = match number {
            1 => id.clone(),
            _ => {
                let start = ["session", "start", "fraud", "--data", "training=train.csv", "-q"];
                env.run(&start).ok().stdout.trim().to_owned()
            }
        };
        let (recorded, hashed) = complete_while_told(&env, &id, Some("model.bin"), &steps);
        assert_eq!((recorded.version, recorded.changed, hashed), (Some(number), true, 1));
        let reference = format!("fraud@{number}");
        let metadata = env.json(&["show", &reference], "lineage.show/1")["metadata"].clone();
        assert_eq!(metadata["metrics"][0]["value"], 100);
        assert_eq!(metadata["metrics"][1]["value"], 0.93);
        assert_eq!(metadata["series"][0]["points"], 100);
        assert_eq!(metadata["datasets"].as_array().unwrap().len() as u64, number);
        let written = recorded.metadata_path.unwrap();
        assert_eq!(env.read(&written).matches("0.93").count(), 1);
    }
    let found = env.json_lines(&["search", "metric.test.auc > 0.9"], "lineage.search/1");
    assert_eq!(found.len(), 2);
    env.verifies();
    // Another artifact is another matter: it is hashed.
    let (env, id) = open();
    env.write("other.bin", "another model");
    tell(&env, &id, &["artifact", "model.bin"]);
    let (recorded, hashed) = complete_while_told(&env, &id, None, &[&["artifact", "other.bin"]]);
    assert_eq!((recorded.artifact.unwrap().path.as_str(), hashed), ("other.bin", 2));
}

#[test]
fn a_completed_session_takes_nothing_more_and_drops_nothing_in_silence() {
    let (env, id) = open();
    env.write("valid.csv", "id,amount\n3,4.5\n");
    env.write("metrics.ndjson", "{\"step\": 1, \"loss\": 0.5}\n{\"step\": 2, \"loss\": 0.25}\n");
    let complete = ["session", "complete", "--session", &id];
    let artifact = ["--artifact", "model.bin", "--label", "1.0.0", "--data", "test=valid.csv"];
    let facts = [
        "--metric",
        "test.auc=0.9",
        "--metrics-file",
        "metrics.ndjson",
        "--param",
        "depth=6",
        "--param",
        "api_key=hunter2hunter2",
        "--seed",
        "7",
        "--tag",
        "team=risk",
        "--note",
        "first",
        "--features",
        "amount",
    ];
    let all = [&complete[..], &artifact, &facts].concat();
    env.run(&all).ok();
    let entries = env.entries();
    for again in [&all[..], &complete, &[&complete[..], &["--seed", "7"]].concat()] {
        let ran = env.run(again).ok();
        assert!(ran.stdout.starts_with("Already recorded as fraud@1"), "{ran}");
    }
    env.write("copy.bin", env.read("model.bin"));
    env.run(&[&complete[..], &["--artifact", "copy.bin"]].concat()).ok();
    assert_eq!(env.entries(), entries);
    for (more, said) in [
        (["--metric", "test.auc=0.93"], "without the metric test.auc=0.93"),
        (["--metric", "f1=1"], "without the metric f1=1"),
        (["--param", "depth=7"], "without the parameter depth=7"),
        (["--label", "2.0.0"], "without the label 2.0.0"),
        (["--seed", "8"], "without the seed \"8\""),
        (["--tag", "team=fraud"], "without the tag team=fraud"),
        (["--note", "second"], "without the note \"second\""),
        (["--features", "id"], "without the feature id"),
        (["--target", "id"], "without the target id"),
        (["--data", "validation=valid.csv"], "without the data validation:valid.csv"),
    ] {
        env.refused(&[&complete[..], &more].concat(), 6, "session-ended", said);
    }
    env.write("valid.csv", "id,amount\n4,4.5\n");
    let other = [&complete[..], &["--data", "test=valid.csv"]].concat();
    env.refused(&other, 6, "session-ended", "without the data test:valid.csv");
    env.write("metrics.ndjson", "{\"step\": 3, \"loss\": 0.1}\n");
    let other = [&complete[..], &["--metrics-file", "metrics.ndjson"]].concat();
    env.refused(&other, 6, "session-ended", "without points of loss");
    env.write("model.bin", "new bytes under the same name");
    let other = [&complete[..], &["--artifact", "model.bin"]].concat();
    env.refused(&other, 6, "session-ended", "with the artifact model.bin, sha256 6390162f391e");
    env.verifies();
}

#[test]
fn a_metric_with_little_to_draw_is_drawn_without_a_false_axis() {
    let (env, id) = open();
    tell(&env, &id, &["metric", "loss=0.5", "--step", "3"]);
    tell(&env, &id, &["metric", "flat=1", "--step", "1"]);
    tell(&env, &id, &["metric", "flat=1", "--step", "2"]);
    env.run(&["session", "complete", "--session", &id, "--artifact", "model.bin"]).ok();
    insta::assert_snapshot!(env.run(&["show", "fraud@1", "--metric", "loss"]).ok(), @"
    fraud@1 loss, 1 point
      0.5 at step 3
    ");
    let flat = env.run(&["show", "fraud@1", "--metric", "flat"]).ok();
    assert_eq!(flat.stdout.matches("1 │").count(), 1, "{flat}");
}

#[test]
fn a_completed_session_takes_no_other_artifact() {
    let (env, id) = open();
    let complete = ["session", "complete", "--session", &id];
    let with = |path| [&complete[..], &["--artifact", path]].concat();
    env.run(&complete).ok();
    let again = env.run(&complete).ok();
    assert!(again.stdout.starts_with("Already recorded"), "{again}");
    let ran = env.run(&with("model.bin")).code(6).says("was completed without an artifact");
    ran.says("lineage record fraud --artifact PATH");
    let (env, id) = open();
    let with = |path| ["session", "complete", "--session", &id, "--artifact", path];
    env.run(&with("model.bin")).ok();
    let again = env.run(&with("./model.bin")).ok();
    assert!(again.stdout.starts_with("Already recorded as fraud@1"), "{again}");
    env.refused(&with("train.csv"), 6, "session-ended", "completed with the artifact model.bin");
}

#[test]
fn a_dry_run_starts_no_session_and_names_none() {
    let (env, _) = open();
    let arguments = ["session", "start", "fraud", "--dry-run"];
    let planned = env.json(&arguments, "lineage.session-step/1");
    assert_eq!(planned["session"], json!(null));
    let arguments = ["record", "fraud", "--artifact", "model.bin", "--dry-run"];
    assert_eq!(env.json(&arguments, "lineage.record/1")["session"], json!(null));
}

#[test]
fn data_of_one_role_and_path_is_told_apart_by_name() {
    let (env, _) = open();
    let named = ["--data", "training:a=train.csv", "--data", "training:b=train.csv"];
    let other = ["--data", "test=train.csv", "--artifact", "model.bin"];
    let ran = env.run(&[&["record", "fraud"], &named[..], &other].concat()).ok();
    let id = env.run(&[&["session", "start", "fraud", "-q"], &named[..]].concat()).ok();
    let told = env.run(&["session", "show", id.stdout.trim()]).ok();
    for said in [&ran, &env.run(&["show", "fraud@1"]).ok(), &told] {
        for name in ["training:a ", "training:b "] {
            assert!(said.stdout.contains(name), "{said}");
        }
        assert!(!said.stdout.contains("test:"), "{said}");
    }
}

#[test]
fn the_settings_can_require_more_of_a_session() {
    let (env, _) = open();
    let policy = "[policies.training]\nrequire-seed = true\nrequire-datasets = true\n";
    env.write("lineage.toml", policy);
    let id = env.run(&["session", "start", "fraud", "-q"]).ok().stdout.trim().to_owned();
    let complete = ["session", "complete", "--session", &id];
    env.refused(&complete, 3, "refused", "a seed (--seed N) and its data (--data ROLE=PATH)");
    env.refused(&["record", "fraud", "--seed", "1"], 3, "refused", "its data");
    tell(&env, &id, &["data", "training=train.csv"]);
    tell(&env, &id, &["param", "--seed", "1"]);
    env.run(&complete).ok();
}

#[test]
fn the_settings_can_require_the_environment_and_committed_code() {
    let (env, _) = open();
    let start = |environment: &str| {
        let arguments = ["session", "start", "fraud", "-q", "--environment", environment];
        env.run(&arguments).ok().stdout.trim().to_owned()
    };
    let (without, with) = (start("none"), start("auto"));
    for (key, said) in [
        ("require-environment", "its environment (--environment auto)"),
        ("require-clean-git", "code that is as git has it committed"),
    ] {
        env.write("lineage.toml", format!("[policies.training]\n{key} = true\n"));
        env.refused(&["session", "complete", "--session", &without], 3, "refused", said);
        let run = ["run", "fraud", "--environment", "none", "--", "touch", "ran"];
        env.run(&run).code(3).says(said);
        assert!(!env.path("ran").exists());
    }
    // The folder is in no repository.
    env.refused(&["session", "complete", "--session", &with], 3, "refused", "as git has it");
    env.write("lineage.toml", "[policies.training]\nrequire-environment = true\n");
    env.run(&["session", "complete", "--session", &with]).ok();
}

#[test]
fn many_steps_become_a_payload_and_all_of_them_are_kept() {
    let (env, id) = open();
    let line = |step: i32| format!("{{\"step\": {step}, \"loss\": {}}}\n", 1.0 / f64::from(step));
    env.write("metrics.ndjson", (1..=500).map(line).collect::<String>());
    tell(&env, &id, &["metric", "--file", "metrics.ndjson"]);
    tell(&env, &id, &["metric", "loss=9", "--step", "501"]);
    env.run(&["session", "complete", "--session", &id, "--artifact", "model.bin"]).ok();
    let shown = env.json(&["show", "fraud@1"], "lineage.show/1");
    let series = &shown["metadata"]["series"][0];
    assert_eq!(series["points"], 501);
    let payload = format!(".lineage/objects/{}", series["payload"]["sha256"].as_str().unwrap());
    assert_eq!(fs::metadata(env.path(&payload)).unwrap().len(), 25 + 24 * 501);
    assert_eq!(shown["metadata"]["metrics"][0]["value"], 9);
    env.verifies();
}

#[test]
fn steps_of_many_processes_are_all_kept() {
    let (env, id) = open();
    let root = env.root();
    thread::scope(|scope| {
        for worker in 0..8 {
            let id = &id;
            scope.spawn(move || {
                for step in 0..6 {
                    let (metric, step) = (format!("worker{worker}={step}"), step.to_string());
                    let mut command = Command::new(env!("CARGO_BIN_EXE_lineage"));
                    command.args(["session", "metric", &metric, "--step", &step, "--session", id]);
                    command
                        .current_dir(root)
                        .env("LINEAGE_ACTOR", "Test Person <test@example.org>");
                    let output = command.output().unwrap();
                    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                }
            });
        }
    });
    let shown = env.json(&["session", "show", &id], "lineage.session/1");
    assert_eq!(shown["facts"]["points"].as_array().unwrap().len(), 48);
    env.verifies();
}
