//! `lineage init` and `lineage doctor`: making a registry, finding it, and looking after it.

use std::fs;

use crate::support::Env;

#[test]
fn init_makes_a_registry_that_git_ignores_and_settings_with_every_key() {
    let env = Env::empty();
    insta::assert_snapshot!(env.run(&["init"]), @"
    Made a registry in $PROJECT/.lineage
    ------- stderr -------
    hint: next: lineage record MODEL --artifact PATH --data training=PATH
    ");
    assert_eq!(env.read(".lineage/.gitignore"), "*\n");
    let settings = env.read("lineage.toml");
    for key in ["pointer-file", "pointer-format", "pointer-relative-to", "serve-from", "template"] {
        assert!(settings.contains(key), "{key}");
    }
    assert_eq!(env.entries(), 2, "the registry, and the person who made it");
    env.verifies();
}

#[test]
fn init_again_changes_nothing_and_says_so() {
    let env = Env::new();
    let before = env.read("lineage.toml");
    insta::assert_snapshot!(env.run(&["init"]), @"
    There is already a registry in $PROJECT/.lineage
    ------- stderr -------
    hint: next: lineage record MODEL --artifact PATH --data training=PATH
    ");
    assert_eq!(env.json(&["init"], "lineage.init/1")["changed"], false);
    assert_eq!(env.read("lineage.toml"), before);
    assert_eq!(env.entries(), 2, "the registry, and the person who made it");
}

#[test]
fn init_json_names_registry_id_and_settings() {
    let env = Env::empty();
    let made = env.json(&["init"], "lineage.init/1");
    assert_eq!(made["changed"], true);
    assert_eq!(made["registry"], env.path(".lineage").to_str().unwrap());
    assert_eq!(made["settings"], env.path("lineage.toml").to_str().unwrap());
    assert_eq!(made["id"].as_str().unwrap().len(), 36);
}

#[test]
fn init_dry_run_makes_nothing() {
    let env = Env::empty();
    insta::assert_snapshot!(env.run(&["init", "--dry-run"]), @"
    Would make a registry in $PROJECT/.lineage
    ------- stderr -------
    hint: next: lineage record MODEL --artifact PATH --data training=PATH
    ");
    assert!(env.files().is_empty());
}

#[test]
fn init_keeps_settings_that_are_there() {
    let env = Env::empty();
    env.write("lineage.toml", "# mine\n[models.fraud]\nserve-from = \"checkout\"\n");
    env.run(&["init"]).ok();
    assert_eq!(env.read("lineage.toml"), "# mine\n[models.fraud]\nserve-from = \"checkout\"\n");
}

#[test]
fn init_appends_a_pointer_file_once() {
    let env = Env::empty();
    env.run(&["init", "--pointer-file", "fraud=models/PROD \"x\".txt"]).ok();
    assert!(env.read("lineage.toml").contains("[models.\"fraud\"]"));
    env.refused(&["init", "--pointer-file", "fraud=other"], 6, "name-clash", "fraud");
    env.refused(&["init", "--pointer-file", "fraud"], 2, "usage", "expected MODEL=PATH");
    env.refused(&["init", "--pointer-file", "a b=x"], 2, "usage", "not a valid model name");
    env.verifies();
}

#[test]
fn init_refuses_settings_with_a_typo_and_makes_nothing() {
    let env = Env::empty();
    env.write("lineage.toml", "[modls.fraud]\n");
    env.refused(&["init"], 2, "settings-invalid", "modls");
    assert!(!env.path(".lineage").exists());
}

#[test]
fn init_reports_what_an_existing_pointer_file_names() {
    let env = Env::empty();
    env.write("PROD_POINTER.txt", "models\\CAND_1\n");
    insta::assert_snapshot!(env.run(&["init", "--pointer-file", "fraud=PROD_POINTER.txt"]), @r"
    Made a registry in $PROJECT/.lineage
    ------- stderr -------
    warning: PROD_POINTER.txt exists already: it says models\CAND_1 (no service here can open that: it has backslashes, which are not path separators outside Windows), where no version of the model was recorded
    hint: record that version, then `lineage promote fraud --accept-external`
    hint: next: lineage record MODEL --artifact PATH --data training=PATH
    ");
    assert_eq!(env.read("PROD_POINTER.txt"), "models\\CAND_1\n");
}

#[test]
fn init_in_a_folder_that_does_not_exist_is_refused() {
    let env = Env::empty();
    env.refused(&["init", "-R", "nowhere"], 5, "not-found", "nowhere");
    assert!(env.files().is_empty());
}

#[test]
fn init_takes_the_registry_folder_or_its_parent() {
    let env = Env::empty();
    fs::create_dir(env.path("a")).unwrap();
    fs::create_dir(env.path("b")).unwrap();
    env.run(&["init", "-R", "a"]).ok();
    env.run(&["init", "-R", "b/.lineage"]).ok();
    for name in ["a", "b"] {
        assert!(env.path(name).join(".lineage/registry.db").exists());
        assert!(env.path(name).join("lineage.toml").exists());
    }
}

#[test]
fn an_empty_lineage_folder_is_no_registry_and_init_says_what_is_in_the_way() {
    let env = Env::empty();
    fs::create_dir_all(env.path(".lineage/objects")).unwrap();
    env.write(".lineage/objects/keep", "bytes");
    let ran = env.run(&["init"]);
    assert_ne!(ran.code, None, "{ran}");
    assert_eq!(env.read(".lineage/objects/keep"), "bytes");
    let left: Vec<_> =
        env.files().into_keys().filter(|path| path.to_string_lossy().contains("init-")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_registry_is_found_upwards_by_flag_and_by_variable_and_never_made() {
    let env = Env::with_versions(1);
    fs::create_dir_all(env.path("deep/er")).unwrap();
    let from = |folder: &str| {
        let mut command = env.command(&["show", "fraud@1", "-q"]);
        command.current_dir(env.path(folder));
        command
    };
    assert_eq!(env.finish(from("deep/er").output().unwrap()).ok().stdout, "fraud@1\n");
    let outside = env.root().parent().unwrap().to_owned();
    let ran = env.finish(from("").current_dir(&outside).output().unwrap());
    ran.code(5).says("there is no lineage registry");
    assert!(!outside.join(".lineage").exists());
    for named in [env.path("."), env.path(".lineage")] {
        let output =
            from("").current_dir(&outside).env("LINEAGE_REGISTRY", &named).output().unwrap();
        env.finish(output).ok();
    }
    env.run(&["-R", ".lineage", "status"]).ok();
    env.refused(&["-R", "deep", "status"], 5, "no-registry", "holds no lineage registry");
    env.refused(&["-R", "nowhere", "record", "m"], 5, "no-registry", "nowhere");
}

#[test]
fn the_flag_wins_over_the_variable() {
    let env = Env::with_versions(1);
    let output = env
        .command(&["-R", ".", "status", "-q"])
        .env("LINEAGE_REGISTRY", "/nowhere")
        .output()
        .unwrap();
    env.finish(output).ok();
}

#[test]
fn a_writing_command_elsewhere_says_which_registry_it_writes_to() {
    let env = Env::with_versions(1);
    let output = env
        .command(&["-R", env.root().to_str().unwrap(), "promote", "fraud"])
        .current_dir(env.root().parent().unwrap())
        .output()
        .unwrap();
    let place = format!("registry: {}", env.path(".lineage").display());
    env.finish(output).ok().says(&place);
    let here = env.run(&["rollback", "fraud", "--reason", "x"]);
    assert!(!here.stderr.contains("registry: "), "{here}");
}

#[test]
fn a_project_that_moved_still_verifies_and_resolves() {
    let env = Env::with_versions(2);
    env.run(&["promote", "fraud"]).ok();
    let elsewhere = env.root().parent().unwrap().join("moved");
    fs::rename(env.root(), &elsewhere).unwrap();
    let at = |arguments: &[&str]| {
        env.finish(env.command(arguments).current_dir(&elsewhere).output().unwrap())
    };
    at(&["verify", "--strict"]).ok();
    assert_eq!(at(&["resolve", "fraud"]).ok().stdout, "v2/model.bin\n");
    fs::rename(&elsewhere, env.root()).unwrap();
}

#[test]
fn doctor_finds_nothing_wrong_with_a_sound_registry() {
    let env = Env::with_versions(1);
    let report = env.json(&["doctor"], "lineage.doctor/1");
    assert_eq!(report["ok"], true);
    assert_eq!(report["rebuilt"], false);
    let names: Vec<&str> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["registry", "access", "schema", "file-system", "settings", "log", "disk", "temporaries"]
    );
}

#[test]
fn doctor_reports_settings_with_a_typo() {
    let env = Env::with_versions(1);
    env.write("lineage.toml", "[models.fraud]\npointer-fil = \"x\"\n");
    let ran = env.run(&["doctor", "--json"]).code(1);
    let report = ran.json();
    assert_eq!(report["ok"], false);
    assert!(ran.stdout.contains("pointer-fil"), "{ran}");
}

#[test]
fn doctor_rebuild_mends_an_edited_row_and_keeps_a_backup() {
    let env = Env::with_versions(2);
    env.run(&["promote", "fraud"]).ok();
    env.sql("UPDATE pointer SET version = 1").unwrap();
    env.run(&["verify"]).code(4);
    env.run(&["doctor", "--rebuild", "--dry-run"]).ok();
    env.run(&["verify"]).code(4);
    env.run(&["doctor", "--rebuild"]).ok();
    env.verifies();
    assert_eq!(fs::read_dir(env.path(".lineage/backups")).unwrap().count(), 1);
    assert_eq!(env.json(&["resolve", "fraud"], "lineage.resolve/1")["version"], 2);
}
