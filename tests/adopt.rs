//! `lineage adopt`: folders as teams leave them, with everything that does not agree in them.

use serde_json::Value;

use crate::support::Env;

/// A folder like those of real teams: dated folders, two candidates with the same bytes, a pointer
/// written on Windows, and files that describe the models in three ways.
fn project() -> Env {
    let env = Env::empty();
    let model = |seed: &str| format!("weights of {seed} {}", "w".repeat(200));
    for (folder, seed) in [
        ("models/risk_20250101_101500", "one"),
        ("models/risk_20250201_090000", "two"),
        ("models/CAND_20250301", "three"),
        ("models/CAND_20250302", "three"),
    ] {
        env.write(&format!("{folder}/clf.joblib"), model(seed));
    }
    for (day, folder) in
        [("20250301", "models/CAND_20250301"), ("20250302", "models/CAND_20250302")]
    {
        env.write(
            &format!("{folder}/training_summary.json"),
            format!(
                "\u{feff}{{\"run_name\": \"risk_candidate_{day}\", \"label_column\": \"is_bad\",\r\n \
                 \"ap_val\": 0.25, \"thr_selected\": 0.5, \"timestamp\": \"{day}\"}}\r\n"
            ),
        );
        env.write(&format!("{folder}/feature_list.json"), "{\"numeric\": [\"amount\", \"hour\"]}");
    }
    env.write("models/risk_20250101_101500/feature_list.json", "[\"amount\", \"is_bad\"]");
    env.write("models/risk_20250101_101500/threshold.json", "{\"threshold\": 0.1}");
    env.write("models/PROD_POINTER.txt", "models\\CAND_20250302");
    env.write("data/train.csv", "amount,is_bad\n1,0\n");
    env.write("README.md", "notes");
    env
}

fn findings(document: &Value) -> Vec<String> {
    let found = document["findings"].as_array().unwrap();
    found
        .iter()
        .map(|f| format!("{} {}", f["kind"].as_str().unwrap(), f["subject"].as_str().unwrap()))
        .collect()
}

fn has(document: &Value, kind: &str, detail: &str) -> bool {
    document["findings"].as_array().unwrap().iter().any(|finding| {
        finding["kind"] == kind && finding["detail"].as_str().unwrap().contains(detail)
    })
}

#[test]
fn what_is_adopted_was_trained_under_no_policy() {
    let env = project();
    env.run(&["init"]).ok();
    let policy = "[policies.training]\nrequire-seed = true\nrequire-datasets = true\n";
    env.write("lineage.toml", format!("{}\n{policy}", env.read("lineage.toml")));
    env.run(&["adopt", ".", "--yes"]).ok();
    assert_eq!(env.query("SELECT COUNT(*) FROM version"), 4);
    env.write("new.bin", "new");
    env.refused(&["record", "risk", "--artifact", "new.bin"], 3, "refused", "a seed");
    env.verifies();
}

#[test]
fn a_folder_without_models_says_what_to_do_next() {
    let env = Env::empty();
    env.write("notes.txt", "nothing here");
    env.run(&["adopt", "."]).ok().says("name the folder that holds the models");
    assert!(!env.path(".lineage").exists());
}

#[test]
fn a_folder_is_adopted_without_an_edit_by_hand() {
    let env = project();
    insta::assert_snapshot!(env.run(&["adopt", ".", "--yes"]), @r#"
    recorded  risk@1 (risk_20250101_101500)  models/risk_20250101_101500  144976837f10  2025-01-01 10:15:00Z  0 metrics, 1 param, 2 features
    recorded  risk@2 (risk_20250201_090000)  models/risk_20250201_090000  1ac8101e6bdf  2025-02-01 09:00:00Z  0 metrics, 0 params, 0 features
    recorded  risk@3 (CAND_20250301)         models/CAND_20250301         2a03fb619569  2025-03-01 00:00:00Z  1 metric, 1 param, 2 features
    recorded  risk@4 (CAND_20250302)         models/CAND_20250302         10b4f78d9100  2025-03-02 00:00:00Z  1 metric, 1 param, 2 features
    set  risk@prod → 4  models/PROD_POINTER.txt said models\CAND_20250302
    does not agree:
      twins                  models/CAND_20250301         models/CAND_20250301 and models/CAND_20250302 are the same model, byte for byte (clf.joblib, 9d30a82420e7)
      target-among-features  models/risk_20250101_101500  its features include "is_bad", which is what risk is to predict
    to know:
      metrics-missing  models/risk_20250101_101500  no file beside it gives a metric
      metrics-missing  models/risk_20250201_090000  no file beside it gives a metric
    ------- stderr -------
    hint: look at it with `lineage status` and `lineage log`
    "#);
    env.verifies();
    assert_eq!(env.read("models/PROD_POINTER.txt"), "models/CAND_20250302\n");
    assert_eq!(env.run(&["resolve", "risk"]).ok().stdout, "models/CAND_20250302\n");
    let toml = env.read("lineage.toml");
    assert!(
        toml.ends_with("[models.\"risk\"]\npointer-file = \"models/PROD_POINTER.txt\"\n"),
        "{toml}"
    );
    let shown = env.json(&["show", "risk@CAND_20250302"], "lineage.show/1");
    let metadata = &shown["metadata"];
    assert_eq!(metadata["claims"]["source"], "adopt");
    assert_eq!(metadata["claims"]["created"], "2025-03-02T00:00:00.000000Z");
    assert_eq!(metadata["claims"]["facts"]["created_from"], "training_summary.json: timestamp");
    assert_eq!(
        metadata["claims"]["facts"]["training_summary.json: run_name"],
        "risk_candidate_20250302"
    );
    assert_eq!(metadata["metrics"][0]["name"], "ap_val");
    assert_eq!(metadata["features"], serde_json::json!(["amount", "hour"]));
    assert_eq!(metadata["target"], serde_json::json!(["is_bad"]));
    let history = env.json_lines(&["history", "risk"], "lineage.history/1");
    assert_eq!(history[0]["action"], "adopt");
    assert!(history[0]["reason"].as_str().unwrap().contains("models\\CAND_20250302"));
}

#[test]
fn adopting_twice_changes_nothing() {
    let env = project();
    env.run(&["adopt", ".", "--yes"]).ok();
    let before = env.files();
    let ran = env.run(&["adopt", "."]).ok();
    assert!(ran.stdout.contains("known"), "{ran}");
    assert!(!ran.stdout.contains("recorded"), "{ran}");
    let document = env.json(&["adopt", "."], "lineage.adopt/1");
    assert_eq!(document["changed"], false);
    assert_eq!(document["pointers"][0]["standing"], "managed");
    assert!(has(&document, "twins", "models/CAND_20250301 and models/CAND_20250302"));
    let entries = |files: &std::collections::BTreeMap<std::path::PathBuf, Vec<u8>>| {
        let mut kept = files.clone();
        kept.retain(|path, _| !path.to_string_lossy().contains("registry.db"));
        kept
    };
    assert!(entries(&before) == entries(&env.files()));
    assert_eq!(env.entries(), 7);
}

#[test]
fn a_dry_run_writes_nothing_and_asks_nothing() {
    let env = project();
    let before = env.files();
    let document = env.json(&["adopt", ".", "--dry-run"], "lineage.adopt/1");
    assert!(before == env.files());
    assert_eq!((&document["dry_run"], &document["changed"]), (&true.into(), &true.into()));
    assert_eq!(document["versions"].as_array().unwrap().len(), 4);
    assert_eq!(document["pointers"][0]["standing"], "set");
    assert!(document["pointers"][0]["event_seq"].is_null());
    env.run(&["adopt", ".", "--yes"]).ok();
    let before = env.files();
    env.run(&["adopt", ".", "--dry-run"]).ok();
    assert!(before == env.files());
}

#[test]
fn without_a_terminal_it_does_nothing_unless_told_to() {
    let env = project();
    let before = env.files();
    let ran = env.run(&["adopt", "."]).code(2).says("record 4 versions, set 1 pointer?");
    assert!(ran.stderr.contains("--yes"), "{ran}");
    assert!(before == env.files());
}

#[test]
fn the_report_says_what_does_not_agree() {
    let env = project();
    env.write("models/PROD/clf.joblib", env.read("models/risk_20250201_090000/clf.joblib"));
    env.write("models/STAGING_POINTER.json", "{\"model_path\": \"D:\\\\work\\\\models\\\\GONE\"}");
    env.write("models/shadow.txt", "/srv/elsewhere/models/risk_20250101_101500/clf.joblib\n");
    env.write(
        "models/risk_20250201_090000/metrics.json",
        "{\"auc\": 0.9, \"date\": \"2024-12-31\"}",
    );
    env.write(
        "models/LFS_1/clf.joblib",
        "version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
    );
    env.write("models/UNFIT_1/clf.joblib", "x");
    std::fs::create_dir(env.path("models/UNFIT_1/empty")).unwrap();
    let document = env.json(&["adopt", ".", "--yes"], "lineage.adopt/1");
    assert!(has(&document, "unfit", "empty"));
    assert!(has(&document, "copy-differs", "models/PROD_POINTER.txt names models/CAND_20250302"));
    assert!(has(&document, "copy-differs", "the model of models/risk_20250201_090000"));
    assert!(has(&document, "pointer-dangling", "D:\\work\\models\\GONE"));
    assert!(has(&document, "twins", "models/CAND_20250301 and models/CAND_20250302"));
    assert!(has(&document, "target-among-features", "\"is_bad\""));
    assert!(has(
        &document,
        "dates-differ",
        "its name says 2025-02-01, and metrics.json: date 2024-12-31"
    ));
    assert!(has(&document, "stand-in", "LFS"));
    assert!(
        findings(&document).contains(&"metrics-missing models/risk_20250101_101500".to_owned())
    );
    // The copy is no version of its own.
    assert_eq!(document["versions"].as_array().unwrap().len(), 4);
    // A pointer to a file in a folder goes on naming the file.
    assert_eq!(env.read("models/shadow.txt"), "models/risk_20250101_101500/clf.joblib\n");
    assert_eq!(env.run(&["resolve", "risk@shadow"]).ok().stdout, "models/risk_20250101_101500\n");
    env.run(&["promote", "risk", "--pointer", "shadow", "--version", "CAND_20250301"]).ok();
    assert_eq!(env.read("models/shadow.txt"), "models/CAND_20250301/clf.joblib\n");
    env.verifies();
}

#[test]
fn pointer_files_of_all_kinds_are_understood_and_kept() {
    for (content, after) in [
        (&b"models/CAND_20250302\n"[..], "models/CAND_20250302\n"),
        (b"\xef\xbb\xbfmodels\\CAND_20250302\\\r\n", "models/CAND_20250302\n"),
        (b"C:\\ml\\risk\\models\\CAND_20250302", "models/CAND_20250302\n"),
        (b"/home/someone/risk/models/CAND_20250302", "models/CAND_20250302\n"),
        (b"CAND_20250302", "CAND_20250302\n"),
        (b"MODEL=models\\CAND_20250302\n", "MODEL=models/CAND_20250302\n"),
        (
            br#"{"model": "models\\CAND_20250302", "by": "someone"}"#,
            "{\"model\": \"models/CAND_20250302\", \"by\": \"someone\"}\n",
        ),
        (b"\xff\xfeC\0A\0N\0D\0_\x002\x000\x002\x005\x000\x003\x000\x002\0", "CAND_20250302\n"),
    ] {
        let env = project();
        env.write("models/PROD_POINTER.txt", content);
        env.run(&["adopt", ".", "--yes"]).ok();
        assert_eq!(env.read("models/PROD_POINTER.txt"), after);
        assert_eq!(env.run(&["resolve", "risk"]).ok().stdout, "models/CAND_20250302\n");
        let status = env.json(&["status"], "lineage.status/1");
        assert_eq!(status["models"][0]["pointers"][0]["file"]["state"], "written", "{status}");
        env.verifies();
    }
}

#[test]
fn two_files_of_one_pointer_that_disagree_set_nothing() {
    let env = project();
    env.write("PROD_POINTER.txt", "models/CAND_20250301");
    let document = env.json(&["adopt", ".", "--yes"], "lineage.adopt/1");
    assert!(has(&document, "pointers-disagree", "names another version"));
    let standings: Vec<_> =
        document["pointers"].as_array().unwrap().iter().map(|p| p["standing"].clone()).collect();
    assert_eq!(standings, ["left", "left"]);
    assert_eq!(env.read("models/PROD_POINTER.txt"), "models\\CAND_20250302");
    env.run(&["resolve", "risk"]).code(5);
}

#[test]
fn models_can_be_named_and_side_by_side_files_are_versions() {
    let env = Env::empty();
    for name in ["fraud_v1", "fraud_v2", "churn_v1"] {
        env.write(&format!("models/{name}.pkl"), format!("{name} {}", "w".repeat(100)));
    }
    env.write("models/fraud_v2.metrics.json", "{\"auc\": 0.9}");
    let plan = env.json(&["adopt", ".", "--dry-run"], "lineage.adopt/1");
    let named = |document: &Value| -> Vec<String> {
        let versions = document["versions"].as_array().unwrap();
        let mut names: Vec<String> = versions
            .iter()
            .map(|v| format!("{} {}", v["model"].as_str().unwrap(), v["label"].as_str().unwrap()))
            .collect();
        names.sort();
        names
    };
    assert_eq!(named(&plan), ["churn churn_v1", "fraud fraud_v1", "fraud fraud_v2"]);
    let plan = env.json(&["adopt", ".", "--dry-run", "--model", "one"], "lineage.adopt/1");
    assert_eq!(named(&plan), ["one churn_v1", "one fraud_v1", "one fraud_v2"]);
    let chosen = ["adopt", ".", "--yes", "--model", "c=models/churn_*", "--model", "f"];
    assert_eq!(
        named(&env.json(&chosen, "lineage.adopt/1")),
        ["c churn_v1", "f fraud_v1", "f fraud_v2"]
    );
    let shown = env.json(&["show", "f@fraud_v2"], "lineage.show/1");
    assert_eq!(shown["metadata"]["metrics"][0]["value"], 0.9);
    env.verifies();
}

#[test]
fn secrets_beside_a_model_are_not_taken_over() {
    let env = project();
    env.write(
        "models/CAND_20250302/config.json",
        "{\"api_key\": \"hunter2hunter2\", \"db\": {\"password\": \"hunter2hunter2\"}, \"depth\": 3}",
    );
    env.run(&["adopt", ".", "--yes"]).ok();
    let shown = env.run(&["show", "risk@CAND_20250302", "--json"]).ok();
    assert!(shown.stdout.contains("[removed]"), "{shown}");
    assert!(!shown.stdout.contains("hunter2"), "{shown}");
    for (path, content) in env.files() {
        let text = String::from_utf8_lossy(&content);
        let object = path.starts_with(".lineage/objects");
        let own = path.ends_with("config.json");
        assert!(object || own || !text.contains("hunter2"), "{}", path.display());
    }
}

#[test]
fn what_is_no_folder_or_no_glob_is_refused() {
    let env = project();
    env.refused(&["adopt", "nowhere", "--yes"], 5, "not-found", "nowhere");
    env.refused(&["adopt", "README.md", "--yes"], 5, "not-found", "README.md is not a folder");
    env.refused(&["adopt", ".", "--yes", "--model", "x=["], 2, "usage", "--model x=[");
    env.refused(&["adopt", ".", "--yes", "--model", "a b"], 2, "usage", "not a valid model name");
}

#[test]
fn an_empty_folder_has_nothing_to_adopt() {
    let env = Env::empty();
    env.write("notes.txt", "x");
    let ran = env.run(&["adopt", ".", "--yes"]).ok();
    assert_eq!(ran.stdout, "no models were found\n");
    assert!(!env.path(".lineage").exists());
}

#[test]
fn a_folder_within_a_project_joins_its_registry() {
    let env = project();
    env.run(&["init"]).ok();
    let document = env.json(&["adopt", "models", "--yes"], "lineage.adopt/1");
    assert_eq!(document["made"], false);
    assert_eq!(document["versions"][0]["path"], "models/risk_20250101_101500");
    assert_eq!(env.read("models/PROD_POINTER.txt"), "models/CAND_20250302\n");
    env.verifies();
}
