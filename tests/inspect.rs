//! `lineage inspect`: what model files hold, and whether loading them could run code.

use std::fs;

use crate::support::{Env, testdata};

/// A folder with the sample files that are named.
fn with(names: &[&str]) -> Env {
    let env = Env::empty();
    for name in names {
        env.write(name, fs::read(testdata("models").join(name)).unwrap());
    }
    env
}

#[test]
fn the_verdict_comes_first_and_then_the_reasons() {
    let env = with(&["ok.safetensors", "evil-build.pkl", "evil-member.pt", "unlisted-import.pkl"]);
    insta::assert_snapshot!(env.run(&["inspect", "ok.safetensors"]), @"
    safe  ok.safetensors  (safetensors, 2 tensors, 6 parameters in BF16, F32)
        metadata.format: pt
    ");
    insta::assert_snapshot!(env.run(&["inspect", "evil-build.pkl"]), @"
    dangerous  evil-build.pkl  (pickle)
      dangerous: imports os.system, which runs commands
      suspicious: calls __main__.X, which is not listed as safe
        imports: __main__.X, os.system
    ------- stderr -------
    hint: do not load it; ask whoever made it for safetensors or ONNX
    ");
    insta::assert_snapshot!(env.run(&["inspect", "evil-member.pt", "unlisted-import.pkl"]), @"
    dangerous  evil-member.pt  (pytorch-zip, 1 tensor, 4 parameters in F32)
      dangerous: archive/extra.pkl: imports os.system, which runs commands
        imports: collections.OrderedDict, os.system, torch.FloatStorage, torch._utils._rebuild_tensor_v2
    unknown  unlisted-import.pkl  (pickle)
      unknown: imports mypkg.io.Thing, which is not listed as safe
        imports: mypkg.io.Thing
    ------- stderr -------
    hint: do not load it; ask whoever made it for safetensors or ONNX
    ");
    assert_eq!(env.run(&["inspect", "evil-build.pkl", "-q"]).ok().stdout, "dangerous\n");
}

#[test]
fn it_answers_in_json_one_line_for_each_file() {
    let env = with(&["ok.pt", "evil-zlib.joblib"]);
    let lines = env.json_lines(&["inspect", "ok.pt", "evil-zlib.joblib"], "lineage.inspect/1");
    assert_eq!(lines[0]["path"], "ok.pt");
    assert_eq!(lines[0]["format"], "pytorch-zip");
    assert_eq!(lines[0]["verdict"], "safe");
    assert_eq!(lines[0]["tensors"], 1);
    assert_eq!(lines[0]["parameters"], 4);
    assert_eq!(lines[0]["dtypes"]["F32"], 4);
    assert_eq!(lines[0]["refused"], false);
    assert_eq!(lines[1]["format"], "joblib");
    assert_eq!(lines[1]["verdict"], "dangerous");
    assert_eq!(lines[1]["tensors"], serde_json::Value::Null);
    assert_eq!(lines[1]["imports"][0], "os.system");
    assert_eq!(lines[1]["findings"][0]["kind"], "known-bad");
}

#[test]
fn a_verdict_can_be_refused() {
    let names = ["ok.pkl", "trailing.pkl", "unlisted-call.pkl", "evil-global.pkl"];
    let env = with(&names);
    for (refuse, refused) in [("unknown", 3), ("suspicious", 2), ("dangerous", 1)] {
        for (index, name) in names.iter().enumerate() {
            let code = if index + refused >= names.len() { 3 } else { 0 };
            env.run(&["inspect", name, "--refuse", refuse]).code(code);
        }
    }
    let ran = env.run(&["inspect", "ok.pkl", "evil-global.pkl", "--refuse", "dangerous", "--json"]);
    let ran = ran.code(3);
    assert_eq!(ran.stdout.matches("\"refused\":true").count(), 1, "{ran}");
    env.refused(&["inspect", "ok.pkl", "--refuse", "safe"], 2, "usage", "invalid value");
}

#[test]
fn what_cannot_be_inspected_is_an_error() {
    let env = Env::empty();
    env.refused(&["inspect", "gone.pkl"], 5, "not-found", "gone.pkl");
    fs::create_dir(env.path("folder")).unwrap();
    env.refused(&["inspect", "folder"], 2, "not-regular", "is a directory");
    #[cfg(unix)]
    {
        let pipe = env.path("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        env.refused(&["inspect", "pipe"], 2, "not-regular", "is not a regular file");
    }
}

#[test]
fn names_from_the_file_cannot_play_tricks_on_the_terminal() {
    let env = Env::empty();
    env.write("m.pkl", b"c\x1b[2Jos\nsys\x07tem\n.");
    let ran = env.run(&["inspect", "m.pkl"]).ok();
    assert!(ran.stdout.contains("\\u{1b}[2Jos"), "{ran}");
    assert!(!ran.stdout.contains(['\u{1b}', '\u{7}']), "{ran:}");
}

#[test]
fn it_needs_no_registry_and_writes_nothing() {
    let env = with(&["ok.gguf"]);
    let before = env.files();
    env.run(&["inspect", "ok.gguf"]).ok();
    assert_eq!(before, env.files());
}
