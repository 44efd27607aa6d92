//! Names and paths that are not plain words.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use crate::support::Env;

const ODD: [&str; 8] = [
    "with space.bin",
    "it's \"quoted\".bin",
    "line\nbreak.bin",
    "tab\tand\\backslash.bin",
    "modèle-目录-🎯.bin",
    "-leading-dash.bin",
    "100%.bin",
    "a=b:c@d#e?f.bin",
];

#[test]
fn odd_file_names_are_recorded_promoted_resolved_and_verified() {
    for name in ODD {
        let env = Env::empty();
        env.run(&["init"]).ok();
        // A line of text could not hold every one of them.
        let settings = "[models.fraud]\npointer-file = \"PROD.json\"\npointer-format = \"json\"\n";
        env.write("lineage.toml", settings);
        env.write(&format!("models/{name}"), format!("bytes of {name}"));
        env.write(&format!("data/{name}"), "rows");
        let artifact = format!("models/{name}");
        let data = format!("training=data/{name}");
        if name.contains('\n') {
            // A dataset's name may hold no control character: the file needs one of its own.
            env.refused(&["record", "fraud", "--data", &data], 2, "usage", "dataset name");
            let data = format!("training:plain=data/{name}");
            env.run(&["record", "fraud", "--artifact", &artifact, "--data", &data]).ok();
        } else if name.contains('\t') {
            env.run(&["record", "fraud", "--artifact", &artifact]).ok();
        } else {
            env.run(&["record", "fraud", "--artifact", &artifact, "--data", &data]).ok();
        }
        env.run(&["promote", "fraud"]).ok();
        let resolved = env.json(&["resolve", "fraud"], "lineage.resolve/1");
        assert_eq!(resolved["path"], artifact.as_str());
        env.run(&["verify", "--strict"]).ok();
        fs::remove_file(env.path(&artifact)).unwrap();
        env.run(&["promote", "fraud"]).ok();
        let resolved = env.json(&["resolve", "fraud"], "lineage.resolve/1");
        let path = resolved["path"].as_str().unwrap();
        assert!(path.ends_with(name), "{path}");
        assert_eq!(env.read(path), format!("bytes of {name}"));
    }
}

#[test]
fn a_path_that_no_line_can_hold_is_refused_for_a_pointer_file_of_one_line() {
    let env = Env::empty();
    env.run(&["init", "--pointer-file", "fraud=PROD.txt"]).ok();
    env.write("line\nbreak.bin", "x");
    env.run(&["record", "fraud", "--artifact", "line\nbreak.bin"]).ok();
    env.refused(&["promote", "fraud"], 2, "usage", "control characters");
    env.run(&["promote", "fraud"]).says("pointer-format = \"json\"");
    let ran = env.run(&["promote", "fraud"]);
    assert!(!ran.stderr.contains("line\nbreak"), "shown escaped: {ran}");
    assert!(!env.path("PROD.txt").exists());
    env.verifies();
}

#[test]
fn odd_names_inside_a_directory_keep_one_line_each_in_the_manifest() {
    let env = Env::new();
    for name in ODD {
        env.write(&format!("m/{name}"), name);
    }
    let document = env.json(&["record", "fraud", "--artifact", "m"], "lineage.record/1");
    let digest = document["artifact"]["sha256"].as_str().unwrap();
    let manifest = env.read(&format!(".lineage/objects/{digest}"));
    assert_eq!(manifest.lines().count(), 1 + ODD.len());
    for encoded in ["line%0Abreak.bin", "tab%09and%5Cbackslash.bin"] {
        assert!(manifest.contains(encoded), "{manifest}");
    }
    env.run(&["checkout", "fraud@1", "out"]).ok();
    for name in ODD {
        assert_eq!(env.read(&format!("out/m/{name}")), name);
    }
    env.verifies();
}

#[test]
fn control_characters_in_names_do_not_reach_the_terminal() {
    let env = Env::new();
    env.write("a\u{1b}[31mred\n.bin", "x");
    for arguments in [
        &["record", "fraud", "--artifact", "a\u{1b}[31mred\n.bin"][..],
        &["show", "fraud@1"],
        &["status"],
        &["verify"],
        &["promote", "fraud"],
        &["fingerprint", "a\u{1b}[31mred\n.bin"],
        &["history", "fraud"],
        &["pointer", "list"],
    ] {
        let ran = env.run(arguments).ok();
        assert!(!ran.stdout.contains('\u{1b}') && !ran.stderr.contains('\u{1b}'), "{ran}");
    }
    fs::remove_file(env.path("a\u{1b}[31mred\n.bin")).unwrap();
    for arguments in [
        &["verify"][..],
        &["resolve", "fraud"],
        &["record", "m", "--artifact", "\u{1b}x"],
        &["record", "\u{1b}x"],
        &["show", "fraud@\u{1b}x"],
        &["record", "m", "--metric", "\u{1b}x=y"],
        &["-R", "\u{1b}x", "status"],
    ] {
        let ran = env.run(arguments);
        let clean = !ran.stdout.contains('\u{1b}') && !ran.stderr.contains('\u{1b}');
        assert!(clean, "{arguments:?}: {:?}", ran.stderr);
    }
}

#[test]
fn a_path_that_is_not_utf8_is_a_clear_error() {
    let env = Env::with_versions(1);
    let name = OsStr::from_bytes(b"caf\xe9.bin");
    fs::write(env.root().join(name), "x").unwrap();
    let arguments = [OsStr::new("record"), OsStr::new("fraud"), OsStr::new("--artifact"), name];
    env.refused(&arguments, 2, "not-utf8", "is not valid UTF-8");
    env.refused(&[OsStr::new("fingerprint"), name], 2, "not-utf8", "is not valid UTF-8");
    fs::create_dir(env.path("dir")).unwrap();
    fs::write(env.path("dir").join(name), "x").unwrap();
    let message = "the name is not valid UTF-8";
    env.refused(&["record", "fraud", "--artifact", "dir"], 2, "unfit-directory", message);
    env.verifies();
}

#[test]
fn a_dataset_path_that_is_not_utf8_is_named_in_the_error() {
    let env = Env::with_versions(1);
    let data = OsStr::from_bytes(b"training=caf\xe9.csv");
    fs::write(env.root().join(OsStr::from_bytes(b"caf\xe9.csv")), "x").unwrap();
    let arguments = [OsStr::new("record"), OsStr::new("fraud"), OsStr::new("--data"), data];
    let ran = env.run(&arguments).code(2);
    assert!(ran.stderr.contains("UTF-8"), "{ran}");
    assert!(ran.stderr.contains("csv"), "which argument? {ran}");
}

#[test]
fn arguments_that_are_not_utf8_are_refused_as_json_too() {
    let env = Env::with_versions(1);
    for (command, flag) in [("record", "--note"), ("promote", "--reason")] {
        let arguments = [
            OsStr::new(command),
            OsStr::new("fraud"),
            OsStr::new(flag),
            OsStr::from_bytes(b"caf\xe9"),
        ];
        env.refused(&arguments, 2, "usage", "UTF-8");
    }
}

#[test]
fn a_project_in_a_folder_with_an_odd_name_works() {
    for name in ["with space", "q'uo\"te", "a#b?c%20d", "目录", "new\nline"] {
        let env = Env::empty();
        fs::create_dir(env.path(name)).unwrap();
        let run = |arguments: &[&str]| {
            let output = env.command(arguments).current_dir(env.path(name)).output().unwrap();
            env.finish(output).ok()
        };
        run(&["init"]);
        env.write(&format!("{name}/m.bin"), "x");
        run(&["record", "fraud", "--artifact", "m.bin"]);
        run(&["promote", "fraud"]);
        assert_eq!(run(&["resolve", "fraud"]).stdout, "m.bin\n");
        run(&["verify", "--strict"]);
    }
}

#[test]
fn a_project_in_a_folder_that_is_not_utf8_is_used_or_refused_clearly() {
    let env = Env::empty();
    let folder = env.root().join(OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("m.bin"), "x").unwrap();
    let run = |arguments: &[&str]| {
        let output = env.command(arguments).current_dir(&folder).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = run(&["init"]);
    if code == Some(0) {
        for arguments in [
            &["record", "fraud", "--artifact", "m.bin"][..],
            &["promote", "fraud"],
            &["resolve", "fraud"],
            &["verify"],
        ] {
            let (code, said) = run(arguments);
            assert_eq!(code, Some(0), "{arguments:?}: {said}");
        }
    } else {
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("UTF-8"), "{said}");
    }
}

#[test]
fn model_names_are_compared_by_case_and_bounded() {
    let env = Env::with_versions(1);
    env.write("m.bin", "x");
    env.run(&["record", "Fraud", "--artifact", "m.bin"]).ok();
    assert_eq!(env.json(&["show", "Fraud@1"], "lineage.show/1")["metadata"]["model"], "Fraud");
    let longest = "m".repeat(128);
    env.run(&["record", &longest, "--artifact", "m.bin"]).ok();
    for bad in ["", "-x", ".x", "a/b", "a b", "a@1", "é", "a\nb", &"m".repeat(129)] {
        let ran = env.run(&["record", "--artifact", "m.bin", "--json", "--", bad]);
        ran.code(2).error_code("usage");
    }
    env.verifies();
}

#[test]
fn metric_and_parameter_names_may_be_any_text_without_control_characters() {
    let env = Env::new();
    env.run(&[
        "record",
        "fraud",
        "--metric",
        "précision @ 5%=0.5",
        "--metric",
        "test.a.b=1",
        "--metric",
        "train.auc=2",
        "--param",
        "clé \"x\"=y",
    ])
    .ok();
    let line = &env.json_lines(&["log"], "lineage.log/1")[0];
    let metrics = line["metrics"].as_array().unwrap();
    let find = |name: &str| metrics.iter().find(|m| m["name"] == name).unwrap().clone();
    assert_eq!(find("précision @ 5%")["split"], serde_json::json!(null));
    assert_eq!(find("a.b")["split"], "test");
    assert_eq!(find("train.auc")["split"], serde_json::json!(null));
    env.refused(&["record", "fraud", "--metric", "a\nb=1"], 2, "usage", "metric name");
    env.refused(&["record", "fraud", "--param", "a\tb=1"], 2, "usage", "valid name");
    env.verifies();
}
