//! What `record` captures of code, packages and machine; and that no secret comes with it.

#![cfg(unix)]

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::{Env, set_mode};

/// Runs git in a folder of the project, deaf to the settings of whoever runs the tests.
fn git(env: &Env, folder: &str, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.current_dir(env.path(folder)).args(arguments);
    command.env("HOME", env.root().parent().unwrap()).env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Test").env(format!("GIT_{role}_EMAIL"), "t@e.org");
        command.env(format!("GIT_{role}_DATE"), "2026-03-01T00:00:00Z");
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {output:?}");
}

/// A project in a repository with one commit, and a registry.
fn repository() -> Env {
    let env = Env::empty();
    env.write("train.py", "print(1)\n");
    env.write(".gitignore", "/models/\n");
    git(&env, ".", &["init", "-q", "-b", "main"]);
    git(&env, ".", &["add", "."]);
    git(&env, ".", &["commit", "-qm", "first"]);
    env.run(&["init", "-q"]).ok();
    git(&env, ".", &["add", "lineage.toml"]);
    git(&env, ".", &["commit", "-qm", "settings"]);
    env.write("models/m.bin", "weights");
    env.write("models/t.csv", "a\n1\n");
    env
}

const RECORD: [&str; 8] = [
    "record",
    "fraud",
    "--environment",
    "auto",
    "--artifact",
    "models/m.bin",
    "--data",
    "training=models/t.csv",
];

/// Records once more, and gives what `show` then has.
fn recorded(env: &Env, more: &[&str]) -> Value {
    env.run(&[&RECORD[..], more].concat()).ok();
    env.json(&["show", "fraud@latest"], "lineage.show/1")
}

fn code(env: &Env) -> Value {
    recorded(env, &[])["metadata"]["code"].clone()
}

/// Whether any file of the project but those named holds a text.
fn holds(env: &Env, text: &str, but: &[&str]) -> Vec<String> {
    let files = env.files().into_iter();
    let found = files.filter(|(path, bytes)| {
        let named = but.iter().any(|name| path.ends_with(name));
        !named && bytes.windows(text.len()).any(|window| window == text.as_bytes())
    });
    found.map(|(path, _)| path.to_string_lossy().into_owned()).collect()
}

/// A program of this name that prints a text, in a folder to be put on the path.
fn program(env: &Env, name: &str, prints: &str) {
    env.write(&format!("bin/{name}.txt"), prints);
    let text = env.path(&format!("bin/{name}.txt"));
    env.write(&format!("bin/{name}"), format!("#!/bin/sh\nexec cat '{}'\n", text.display()));
    set_mode(&env.path(&format!("bin/{name}")), 0o755);
}

const PYTHON: &str = r#"{"implementation": "CPython", "version": "3.12.4",
    "packages": [{"name": "numpy", "version": "2.1.0"}]}"#;

#[test]
fn a_clean_commit_and_changes_are_told_apart() {
    let env = repository();
    let clean = code(&env);
    assert_eq!((&clean["dirty"], &clean["branch"]), (&false.into(), &"main".into()), "{clean}");
    assert_eq!(clean["commit"].as_str().unwrap().len(), 40);
    assert!(clean["diff_sha256"].is_null(), "{clean}");
    // Recording wrote nothing that counts as a change.
    assert_eq!(code(&env), clean);

    env.write("train.py", "print(2)\n");
    let changed = code(&env);
    assert_eq!((&changed["dirty"], &changed["commit"]), (&true.into(), &clean["commit"]));
    let text = format!(
        "lineage-diff-1\n100644 {} train.py\n",
        lineage_core::digest::Sha256::of(b"print(2)\n")
    );
    let expected = lineage_core::digest::Sha256::of(text.as_bytes()).to_string();
    assert_eq!(changed["diff_sha256"], *expected);
    // Staged or not, and whatever git is told about differences.
    git(&env, ".", &["add", "train.py"]);
    for (name, value) in [
        ("diff.noprefix", "true"),
        ("diff.external", "/bin/false"),
        ("status.showUntrackedFiles", "no"),
        ("status.relativePaths", "true"),
        ("core.quotePath", "false"),
        ("core.fsmonitor", "/bin/false"),
        ("color.ui", "always"),
        ("core.pager", "/bin/false"),
    ] {
        git(&env, ".", &["config", name, value]);
    }
    assert_eq!(code(&env), changed);
    env.write("new\n\u{fc}.py", "x");
    let untracked = code(&env);
    assert_ne!(untracked["diff_sha256"], changed["diff_sha256"]);
    fs::remove_file(env.path("new\n\u{fc}.py")).unwrap();
    fs::remove_file(env.path("train.py")).unwrap();
    git(&env, ".", &["checkout", "-q", "--detach"]);
    let gone = code(&env);
    assert!(gone["branch"].is_null() && gone["dirty"] == true, "{gone}");
    env.verifies();
}

#[test]
fn worktrees_submodules_and_new_repositories_are_understood() {
    let env = repository();
    git(&env, ".", &["worktree", "add", "-q", "-b", "side", "tree"]);
    git(&env, ".", &["init", "-q", "other"]);
    env.write("other/lib.py", "1");
    git(&env, "other", &["add", "."]);
    git(&env, "other", &["commit", "-qm", "lib"]);
    env.write("tree/models/m.bin", "side");
    let registry = env.path(".lineage");
    let mut command =
        env.command(&["record", "fraud", "--environment", "auto", "--artifact", "models/m.bin"]);
    command.current_dir(env.path("tree")).env("LINEAGE_REGISTRY", &registry);
    env.finish(command.output().unwrap()).ok();
    let shown = env.json(&["show", "fraud@1"], "lineage.show/1");
    assert_eq!(shown["metadata"]["code"]["branch"], "side");
    assert_eq!(shown["metadata"]["code"]["dirty"], false);
    git(&env, ".", &["worktree", "remove", "--force", "tree"]);

    // A repository beside the code, then the same as a submodule.
    let nested = code(&env);
    assert_eq!(nested["dirty"], true);
    git(
        &env,
        ".",
        &["-c", "protocol.file.allow=always", "submodule", "add", "-q", "./other", "sub"],
    );
    git(&env, ".", &["commit", "-qm", "submodule"]);
    fs::remove_dir_all(env.path("other")).unwrap();
    assert_eq!(code(&env)["dirty"], false);
    env.write("sub/lib.py", "2");
    let inside = code(&env);
    assert_eq!(inside["dirty"], true, "{inside}");
    env.write("sub/lib.py", "3");
    assert_ne!(code(&env)["diff_sha256"], inside["diff_sha256"]);

    let fresh = Env::new();
    git(&fresh, ".", &["init", "-q"]);
    fresh.write("models/m.bin", "x");
    fresh.write("models/t.csv", "a\n1\n");
    let shown = recorded(&fresh, &[]);
    assert!(shown["metadata"].get("code").is_none(), "{shown}");
    assert_eq!(shown["environment"]["git"]["unavailable"], "the repository has no commit yet");
}

#[test]
fn what_cannot_be_captured_says_why() {
    let env = repository();
    let mut command = env.command(&RECORD);
    env.finish(command.env("PATH", env.path("nowhere")).output().unwrap()).ok();
    let shown = env.json(&["show", "fraud@1"], "lineage.show/1");
    let found = &shown["environment"];
    assert_eq!(found["git"]["unavailable"], "git is not installed");
    assert_eq!(found["gpus"]["unavailable"], "nvidia-smi is not installed");
    assert_eq!(found["conda"]["unavailable"], "no conda environment is active");
    assert!(found["python"]["unavailable"].as_str().unwrap().contains("--python"), "{found}");
    assert!(shown["metadata"].get("reproducibility_sha256").is_none());
    let text = env.run(&["show", "fraud@1"]).ok().stdout;
    assert!(text.contains("code             unknown: git is not installed"), "{text}");
    assert!(text.contains("reproducibility  unknown: the code is not known"), "{text}");

    for (script, reason) in [
        ("#!/bin/sh\necho broken >&2\nexit 3\n", "python failed: broken"),
        ("#!/bin/sh\necho '[]'\n", "it did not list its packages"),
        ("#!/bin/sh\nexit 0\n", "it did not list its packages"),
    ] {
        env.write("models/python", script);
        set_mode(&env.path("models/python"), 0o755);
        let shown = recorded(&env, &["--python", "models/python"]);
        assert_eq!(shown["environment"]["python"]["unavailable"], reason);
    }
    let plain = ["record", "fraud", "--artifact", "models/m.bin"];
    env.run_with(&plain, &[("LINEAGE_ENVIRONMENT", "some")]).code(2).says("neither auto nor none");
    env.run(&[&plain[..], &["--environment", "none"]].concat()).ok();
    let shown = env.json(&["show", "fraud@latest"], "lineage.show/1");
    assert!(shown["environment"].is_null() && shown["metadata"]["environment"].is_null());
    assert!(shown["metadata"].get("code").is_none());
    env.verifies();
}

#[test]
fn packages_lock_files_and_processors_are_captured() {
    let env = repository();
    program(&env, "nvidia-smi", "NVIDIA A10, 23028 MiB, 550.54\n");
    program(&env, "Rscript", "R\t4.4.1\nzoo\t1.8\nabc\t2.0\n");
    program(&env, "python", PYTHON);
    env.write("conda/conda-meta/numpy-1.26.4-py312_0.json", "{}");
    env.write("conda/conda-meta/history", "");
    env.write("venv/bin/python", "#!/bin/sh\nexit 1\n");
    env.write("requirements-dev.txt", "numpy\n");
    env.write("renv.lock", "{}");
    let path = format!("{}:{}", env.path("bin").display(), std::env::var("PATH").unwrap());
    let mut command = env.command(&[&RECORD[..], &["--python", "python"]].concat());
    command.env("PATH", path).env("CONDA_PREFIX", env.path("conda"));
    env.finish(command.env("VIRTUAL_ENV", env.path("venv")).output().unwrap()).ok();
    let found = &env.json(&["show", "fraud@1"], "lineage.show/1")["environment"];
    assert_eq!(found["python"], serde_json::from_str::<Value>(PYTHON).unwrap());
    assert_eq!(found["gpus"][0]["name"], "NVIDIA A10");
    assert_eq!(found["r"]["packages"][0]["name"], "abc");
    assert_eq!(found["conda"][0]["build"], "py312_0");
    let names: Vec<&str> =
        found["locks"].as_array().unwrap().iter().map(|l| l["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["renv.lock", "requirements-dev.txt"]);
    assert!(holds(&env, &env.path("venv").to_string_lossy(), &[]).is_empty());
    let text = env.run(&["show", "fraud@1"]).ok().stdout;
    assert!(
        text.contains("environment      CPython 3.12.4, 1 package; R 4.4.1, 2 packages;"),
        "{text}"
    );
}

#[test]
fn the_container_is_named_or_said_not_to_show_its_id() {
    let env = repository();
    let shown = recorded(&env, &[]);
    let container = &shown["environment"]["container"];
    let marked = ["/.dockerenv", "/run/.containerenv"].iter().any(|path| fs::exists(path).unwrap());
    match (container.as_str(), container["unavailable"].as_str()) {
        (Some(id), None) => assert_eq!(id.len(), 64, "{container}"),
        (None, Some(reason)) => assert!(marked && reason.contains("its id"), "{container}"),
        _ => assert!(container.is_null() && !marked, "{container}"),
    }
}

#[test]
fn a_planted_secret_is_nowhere() {
    let env = repository();
    let secret = "hunter2hunter2";
    env.write(
        "models/params.json",
        format!(r#"{{"db": {{"password": "{secret}"}}, "l": [{{"token": "{secret}"}}]}}"#),
    );
    let url = format!("training=https://me:{secret}@host/t.csv");
    let assignments = [
        format!("api_key={secret}"),
        format!("endpoint=postgres://u:{secret}@host/db"),
        format!("AUTH_TOKEN={secret}"),
    ];
    let note = format!("from s3://k:{secret}@bucket/x");
    let mut arguments =
        [&RECORD[..], &["--params-file", "models/params.json", "--source", &url]].concat();
    for param in &assignments {
        arguments.extend(["--param", param]);
    }
    let tag = format!("secret={secret}");
    arguments.extend(["--tag", &tag, "--note", &note, "--param", "max_tokens=512", "--json"]);
    let mut command = env.command(&arguments);
    command.env("API_KEY", secret).env("PASSWORD", secret).env("GIT_DIR", secret);
    let ran = env.finish(command.output().unwrap()).ok();
    assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{ran}");
    let warnings: Vec<Value> = ran.json()["warnings"].as_array().unwrap().clone();
    let codes = warnings.iter().filter(|warning| warning["code"] == "secret-removed").count();
    assert_eq!(codes, 8, "{ran}");
    let shown = env.run(&["show", "fraud@1", "--json"]).ok();
    assert!(!shown.stdout.contains(secret), "{shown}");
    let params = shown.json()["metadata"]["params"].clone();
    assert!(params.to_string().contains("512"), "{params}");
    assert!(params.to_string().contains("postgres://[removed]@host/db"), "{params}");
    assert_eq!(holds(&env, secret, &["params.json"]), Vec::<String>::new());
    // The same request with another secret is the same request.
    let other: Vec<String> = arguments.iter().map(|a| a.replace(secret, "0th3r")).collect();
    let other: Vec<&str> = other.iter().map(String::as_str).collect();
    let key = ["--idempotency-key", "k"];
    let first = env.run(&[&arguments[..], &key].concat()).ok().json();
    let second = env.run(&[&other[..], &key].concat()).ok().json();
    assert_eq!((&second["changed"], &second["version"]), (&false.into(), &first["version"]));
    env.verifies();
}

#[test]
fn a_patch_is_kept_only_when_it_seems_to_hold_no_secret() {
    let env = repository();
    let none = env.run(&[&RECORD[..], &["--keep-patch"]].concat()).ok();
    assert!(!none.stderr.contains("commit"), "{none}");
    env.write("train.py", "token = next_token()\n");
    env.run(&[&RECORD[..], &["--keep-patch"]].concat()).ok().says("is kept as it is");
    let code = env.json(&["show", "fraud@2"], "lineage.show/1")["metadata"]["code"].clone();
    let object = format!(".lineage/objects/{}", code["patch"]["sha256"].as_str().unwrap());
    assert!(env.read(&object).contains("+token = next_token()"));
    env.verifies();
    env.write("train.py", "api_key = 'hunter2hunter2'\n");
    let ran = env.run(&[&RECORD[..], &["--keep-patch"]].concat()).ok();
    let ran = ran.says("was not kept: line 7 of it looks like a secret");
    assert!(!ran.stderr.contains("hunter2"), "{ran}");
    let shown = env.json(&["show", "fraud@3"], "lineage.show/1");
    assert!(shown["metadata"]["code"]["patch"].is_null());
    assert_eq!(holds(&env, "hunter2", &["train.py"]), Vec::<String>::new());
    fs::remove_file(env.path(&object)).ok();
    env.run(&["verify", "fraud@2"]).code(4);
}

#[test]
fn diff_names_what_differs_of_code_and_packages() {
    let env = repository();
    program(&env, "python", PYTHON);
    git(&env, ".", &["add", "bin"]);
    git(&env, ".", &["commit", "-qm", "python"]);
    recorded(&env, &["--python", "bin/python"]);
    recorded(&env, &["--python", "bin/python"]);
    let same = env.json(&["diff", "fraud@1", "fraud@2", "--exit-code"], "lineage.diff/1");
    assert_eq!(same["verdict"], "identical");
    program(&env, "python", &PYTHON.replace("2.1.0", "2.2.0").replace("3.12.4", "3.13.0"));
    git(&env, ".", &["commit", "-qam", "newer"]);
    env.write("train.py", "print(3)\n");
    recorded(&env, &["--python", "bin/python"]);
    let ran = env.run(&["diff", "fraud@2", "fraud@3", "--exit-code"]).code(10);
    for line in
        ["package      numpy        2.1.0 → 2.2.0", "code         changes      none → ", "commit"]
    {
        assert!(ran.stdout.contains(line), "{line}: {ran}");
    }
    assert!(
        ran.stdout.contains("environment  interpreter  CPython 3.12.4 → CPython 3.13.0"),
        "{ran}"
    );
    let found = env.json(&["diff", "fraud@2", "fraud@3"], "lineage.diff/1");
    assert_eq!(found["versions"]["packages"][0]["name"], "numpy");
}

#[test]
fn what_has_no_end_has_no_digest() {
    let env = repository();
    for number in 0..17 {
        let file = fs::File::create(env.path(&format!("data{number}"))).unwrap();
        file.set_len(64 * 1024 * 1024).unwrap();
    }
    fs::File::create(env.path("large")).unwrap().set_len(1 << 40).unwrap();
    let shown = recorded(&env, &[]);
    let problem = shown["environment"]["git"]["problem"].as_str().unwrap();
    assert!(problem.contains("more than 1 GiB"), "{problem}");
    let code = &shown["metadata"]["code"];
    assert!(code["dirty"] == true && code["diff_sha256"].is_null(), "{code}");
    assert!(shown["metadata"].get("reproducibility_sha256").is_none());
}
