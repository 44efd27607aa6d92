//! `lineage reproduce`: part by part, and by training again.

#![cfg(unix)]

use std::process::Command;
use std::time::{Duration, Instant};

use insta::assert_snapshot;
use serde_json::Value;

use crate::support::{Env, set_mode};

fn git(env: &Env, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.current_dir(env.root()).args(arguments).env("HOME", env.root().parent().unwrap());
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Test").env(format!("GIT_{role}_EMAIL"), "t@e.org");
        command.env(format!("GIT_{role}_DATE"), "2026-03-01T00:00:00Z");
    }
    assert!(command.env("GIT_CONFIG_NOSYSTEM", "1").output().unwrap().status.success());
}

/// One version of which every part is known.
fn known() -> Env {
    let env = Env::empty();
    env.write("train.sh", "echo weights > models/again.bin\n");
    env.write(".gitignore", "/models/\n/lineage.toml\n");
    env.write(
        "python",
        "#!/bin/sh\necho '{\"implementation\": \"CPython\", \"version\": \"3.12.4\", \"packages\": \
         [{\"name\": \"numpy\", \"version\": \"2.1.0\"}]}'\n",
    );
    set_mode(&env.path("python"), 0o755);
    git(&env, &["init", "-q", "-b", "main"]);
    git(&env, &["add", "."]);
    git(&env, &["commit", "-qm", "first"]);
    env.run(&["init", "-q"]).ok();
    env.write("models/m.bin", "weights\n");
    env.write("models/train.csv", "a,b\n1,2.5\n3,4\n");
    env.write("models/train.ndjson", "{\"a\":1,\"b\":2.5}\n{\"a\":3,\"b\":4}\n");
    env.run(&[
        "record",
        "fraud",
        "--environment",
        "auto",
        "--artifact",
        "models/m.bin",
        "--data",
        "training=models/train.csv",
        "--param",
        "depth=6",
        "--param",
        "rate=0.1",
        "--seed",
        "42",
        "--features",
        "a",
        "--target",
        "b",
        "--metric",
        "test.auc=0.9",
        "--python",
        "./python",
    ])
    .ok();
    env
}

const ALL: [&str; 16] = [
    "reproduce",
    "fraud@1",
    "--param",
    "depth=6",
    "--param",
    "rate=0.1",
    "--seed",
    "42",
    "--features",
    "a",
    "--target",
    "b",
    "--python",
    "./python",
    "--exit-code",
    "--data",
];

#[test]
fn everything_at_hand_is_a_match() {
    let env = known();
    let ran = env.run(&[&ALL[..], &["training=models/train.csv"]].concat()).ok();
    let commit = env.json(&["show", "fraud@1"], "lineage.show/1")["metadata"]["code"]["commit"]
        .as_str()
        .unwrap()[..12]
        .to_owned();
    assert_snapshot!(ran.to_string().replace(&commit, "$COMMIT"), @r"
    match: fraud@1
      data training:train.csv           match  d4a293685bf5
      schema source training:train.csv  match  inferred
      params                            match  depth=6, rate=0.1
      seed                              match  42
      features                          match  a
      target                            match  b
      code                              match  $COMMIT
      interpreter                       match  CPython 3.12.4
      packages                          match  1 package
    ");
    let again = env.run(&[&ALL[..], &["training=models/train.ndjson"]].concat()).ok();
    assert!(again.stdout.starts_with("re-encoded: fraud@1\n"), "{again}");
    let quiet = env.run(&[&ALL[..], &["training=models/train.csv", "-q"]].concat()).ok();
    assert_eq!(quiet.stdout, "match\n");
}

#[test]
fn what_differs_and_what_is_unknown_is_said() {
    let env = known();
    env.write("models/other.csv", "a,b\n1,2.5\n3,5\n");
    env.write("train.sh", "echo other\n");
    env.write("python", env.read("python").replace("2.1.0", "2.2.0"));
    let ran = env.run(&[
        "reproduce",
        "fraud@1",
        "--data",
        "training=models/other.csv",
        "--param",
        "depth=7",
        "--python",
        "./python",
        "--exit-code",
        "--json",
    ]);
    let found = ran.code(10).json();
    let verdict = |part: &str| {
        let parts = found["parts"].as_array().unwrap().iter();
        parts
            .filter(|p| p["part"] == part)
            .map(|p| p["verdict"].as_str().unwrap())
            .collect::<Vec<_>>()
    };
    for (part, expected) in [
        ("data", "differs"),
        ("params", "differs"),
        ("seed", "unknown"),
        ("features", "unknown"),
        ("code", "differs"),
        ("interpreter", "match"),
        ("packages", "differs"),
    ] {
        assert_eq!(verdict(part), [expected], "{found:#}");
    }
    assert!(found["reproducibility_sha256"].is_string());
    let details: Vec<&Value> =
        found["parts"].as_array().unwrap().iter().map(|p| &p["detail"]).collect();
    assert!(details.contains(&&"numpy 2.1.0 → 2.2.0".into()), "{details:?}");
    assert!(details.contains(&&"depth 6 → 7; --param gives rate".into()), "{details:?}");

    let nothing = env.run(&["reproduce", "fraud@1"]).ok();
    assert!(nothing.stdout.contains("--data training=PATH gives it"), "{nothing}");
    assert!(nothing.stdout.contains("no Python environment is active"), "{nothing}");
    let two = env.run(&["reproduce", "fraud@1", "--data", "test=models/other.csv", "-q"]).ok();
    assert_eq!(two.stdout, "differs\n");
    env.refused(&["reproduce", "fraud@7"], 5, "unknown-version", "there is no fraud@7");
    let missing = ["reproduce", "fraud@1", "--data", "training=gone.csv"];
    env.refused(&missing, 5, "not-found", "gone.csv");
}

#[test]
fn absent_parts_are_unknown_and_never_match() {
    let env = Env::new();
    env.write("m.bin", "x");
    env.run(&["record", "fraud", "--artifact", "m.bin", "--environment", "none"]).ok();
    let found = env.json(&["reproduce", "fraud@1"], "lineage.reproduce/1");
    assert_eq!(found["verdict"], "unknown");
    assert!(found["reproducibility_sha256"].is_null());
    let parts = found["parts"].as_array().unwrap();
    assert!(parts.iter().all(|part| part["verdict"] == "unknown"), "{found:#}");
    env.run(&["reproduce", "fraud@1", "--exit-code"]).code(10);
}

#[test]
fn a_second_training_is_compared_and_nothing_is_recorded() {
    let env = known();
    let entries = env.entries();
    let run = |script: &str, more: &[&str]| {
        let tail = ["--artifact", "models/again.bin", "--json", "--", "sh", "-c", script];
        env.run(&[&["reproduce", "fraud@1"][..], more, &tail].concat())
    };
    let verdict = |ran: crate::support::Ran| {
        let last = ran.stdout.lines().last().unwrap().to_owned();
        let document: Value = serde_json::from_str(&last).unwrap();
        document["run"]["verdict"].as_str().unwrap().to_owned()
    };
    let same = run("echo training; echo progress >&2; sh train.sh", &["--exit-code"]).ok();
    assert!(
        same.stdout.starts_with("training\n") && same.stderr.starts_with("progress\n"),
        "{same}"
    );
    assert_eq!(verdict(same), "bit-identical");
    let near =
        r#"echo x$$ > models/again.bin; echo '{"test": {"auc": 0.9004}}' > "$LINEAGE_METRICS""#;
    assert_eq!(verdict(run(near, &["--tolerance", "0.001", "--exit-code"]).ok()), "metrics-equal");
    let steps = r#"echo x$$ > models/again.bin; printf '{"step":2,"test":{"auc":0.9004}}\n{"step":1,"test":{"auc":0.1}}\n' > "$LINEAGE_METRICS""#;
    assert_eq!(verdict(run(steps, &["--tolerance", "0.001"]).ok()), "metrics-equal");
    assert_eq!(verdict(run(near, &["--exit-code"]).code(10)), "differs");
    let lines = r#"echo y$$ > models/again.bin
        printf '{"test.auc": 0.1}\n{"test.auc": 0.9}\n' > models/metrics.json"#;
    let file = ["--metrics-file", "models/metrics.json"];
    assert_eq!(verdict(run(lines, &file).ok()), "metrics-equal");
    // Metrics that an earlier run left behind count for nothing.
    let stale = run("echo z$$ > models/again.bin", &file).ok().says("did not write");
    assert_eq!(verdict(stale), "differs");
    assert_eq!(entries, env.entries());

    run("exit 3", &[]).code(1).error_code("failure");
    run("kill -9 $$", &[]).code(1).error_code("failure");
    run("kill -INT $$", &[]).code(130).error_code("interrupted");
    run("true", &[]).code(1).error_code("failure");
    env.run(&["reproduce", "fraud@1", "--", "/nowhere/at-all"])
        .code(5)
        .says("could not be started");
    env.run(&["reproduce", "fraud@1", "--tolerance", "-1", "--", "true"]).code(2);
    env.run(&["promote", "fraud"]).ok();
    let live = env.run(&["reproduce", "fraud@1", "--", "sh", "-c", "echo > models/m.bin"]);
    live.code(2).says("fraud@prod serves models/m.bin");
    assert_eq!(env.read("models/m.bin"), "weights\n");
}

#[test]
fn signals_are_passed_on_to_the_training() {
    let env = known();
    let script = "trap 'echo stopped > models/again.bin; exit 0' TERM; echo > ready; \
                  while true; do sleep 0.05; done";
    let child = env
        .command(&[
            "reproduce",
            "fraud@1",
            "--artifact",
            "models/again.bin",
            "-q",
            "--",
            "sh",
            "-c",
            script,
        ])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while !env.path("ready").exists() {
        assert!(Instant::now() < until, "the training did not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let ran = env.finish(child.wait_with_output().unwrap()).ok();
    assert_eq!(env.read("models/again.bin"), "stopped\n");
    assert_eq!(ran.stdout, "differs\n");
}
