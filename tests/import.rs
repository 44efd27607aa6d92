//! `lineage import`: other trackers' records become sessions, whole and once only.

use serde_json::Value;

use crate::support::Env;

fn counts(document: &Value) -> Vec<(String, u64)> {
    let counts = document["counts"].as_array().unwrap();
    counts
        .iter()
        .map(|count| {
            assert_eq!(count["found"], count["imported"], "{document:#}");
            (count["kind"].as_str().unwrap().to_owned(), count["found"].as_u64().unwrap())
        })
        .filter(|(_, number)| *number > 0)
        .collect()
}

fn says(document: &Value, text: &str) -> bool {
    let problems = document["problems"].as_array().unwrap();
    problems.iter().any(|p| format!("{} {}", p["subject"], p["detail"]).contains(text))
}

/// A database with the columns that MLflow has had since its first versions.
pub fn mlflow(env: &Env) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(env.path("mlflow.db")).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name TEXT, \
                artifact_location TEXT, lifecycle_stage TEXT, creation_time BIGINT);
             CREATE TABLE runs (run_uuid TEXT PRIMARY KEY, name TEXT, user_id TEXT, status TEXT, \
                start_time BIGINT, end_time BIGINT, lifecycle_stage TEXT, artifact_uri TEXT, \
                experiment_id INTEGER);
             CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);
             CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);
             CREATE TABLE metrics (key TEXT, value FLOAT, timestamp BIGINT, run_uuid TEXT, \
                step BIGINT, is_nan BOOLEAN);
             CREATE TABLE latest_metrics (key TEXT, value FLOAT, timestamp BIGINT, step BIGINT, \
                is_nan BOOLEAN, run_uuid TEXT);
             CREATE TABLE registered_models (name TEXT PRIMARY KEY, creation_time BIGINT);
             CREATE TABLE registered_model_aliases (alias TEXT, version INTEGER, name TEXT);
             CREATE TABLE model_versions (name TEXT, version INTEGER, creation_time BIGINT, \
                source TEXT, run_id TEXT, current_stage TEXT);
             CREATE TABLE model_version_tags (key TEXT, value TEXT, name TEXT, version INTEGER);
             INSERT INTO experiments VALUES (1, 'risk / EU', 'mlruns/1', 'active', 1700000000000);
             INSERT INTO runs VALUES ('aaa', 'first', 'someone', 'FINISHED', 1700000000000, \
                1700000060000, 'active', 'mlruns/1/aaa/artifacts', 1);
             INSERT INTO runs VALUES ('bbb', 'second', 'someone', 'FAILED', 1700000100000, NULL, \
                'deleted', 'mlruns/1/bbb/artifacts', 1);
             INSERT INTO params VALUES ('depth', '6', 'aaa'), ('api_key', 'hunter2hunter2', 'aaa');
             INSERT INTO tags VALUES ('mlflow.user', 'someone', 'aaa'), ('', 'no name', 'aaa');
             INSERT INTO metrics VALUES ('loss', 0.5, 1700000000001, 'aaa', 0, 0), \
                ('loss', 0, 1700000000002, 'aaa', 1, 1), ('loss', 0.25, 1700000000003, 'aaa', 2, 0), \
                ('validation.auc', 0.9, 1700000000004, 'aaa', 0, 0), \
                ('big', 1.7976931348623157e308, 1700000000004, 'bbb', -3, 0);
             INSERT INTO latest_metrics VALUES ('loss', 0.25, 1700000000003, 2, 0, 'aaa'), \
                ('validation.auc', 0.9, 1700000000004, 0, 0, 'aaa'), \
                ('big', 1.7976931348623157e308, 1700000000004, -3, 0, 'bbb');
             INSERT INTO registered_models VALUES ('fraud', 1700000200000);
             INSERT INTO registered_model_aliases VALUES ('champion', 1, 'fraud'), ('gone', 2, 'fraud');
             INSERT INTO model_versions VALUES \
                ('fraud', 1, 1700000200001, 'mlflow-artifacts:/1/aaa/artifacts/model', 'aaa', 'None'), \
                ('fraud', 2, 1700000200002, 's3://bucket/elsewhere', '', 'Production');
             INSERT INTO model_version_tags VALUES ('risk', 'high', 'fraud', 1), \
                ('token', 'hunter2hunter2', 'fraud', 1);",
        )
        .unwrap();
    env.write("mlartifacts/1/aaa/artifacts/model/model.pkl", "not loaded, only hashed");
    connection
}

#[test]
fn a_database_of_mlflow_is_imported_whole() {
    let env = Env::new();
    mlflow(&env);
    let before = env.files();
    let planned =
        env.json(&["import", "mlflow", "mlflow.db", "--dry-run"], "lineage.import-mlflow/1");
    assert!(before == env.files(), "a dry run writes nothing");
    let arguments = ["import", "mlflow", "mlflow.db", "--aliases-as-pointers"];
    insta::assert_snapshot!(env.run(&arguments), @r#"
    mlflow.db: 5 sessions recorded, 0 known
      experiments               1 of 1
      runs                      2 of 2
      params                    2 of 2
      latest_metrics            3 of 3
      metrics                   5 of 5
      tags                      2 of 2
      registered_models         1 of 1
      registered_model_aliases  2 of 2
      model_versions            2 of 2
      model_version_tags        2 of 2
      dates                     7 of 7
      fraud@1              is fraud version 1
      fraud (claims only)  is fraud version 2
      fraud@champion       set: fraud version 1
      fraud@gone           claimed: fraud version 2
    ------- stderr -------
    warning: fraud version 2: the files of fraud version 2 are not here (s3://bucket/elsewhere); only what was claimed of it was recorded
    warning: gone: fraud version 2 made no version that could be pointed to
    warning: metrics: recorded as infinity, which MLflow stores as ±1.7976931348623157e308: 1
    warning: named like secrets or looking like them, and left out: run aaa: the fact "version tag token", run aaa: the parameter "api_key"
    "#);
    let again = env.json(&arguments, "lineage.import-mlflow/1");
    assert_eq!(
        (&again["changed"], &again["sessions_known"]),
        (&false.into(), &planned["sessions_new"])
    );
    assert_eq!(counts(&planned), counts(&again));
    assert_eq!(env.query("SELECT COUNT(*) FROM parameter"), 2);
    let shown = env.json(&["show", "fraud@champion"], "lineage.show/1");
    let metadata = &shown["metadata"];
    assert_eq!(metadata["label"], "mlflow-1");
    assert_eq!(metadata["started"], "2023-11-14T22:13:20.000000Z");
    assert_eq!(metadata["claims"]["source"], "mlflow");
    assert_eq!(metadata["claims"]["created"], "2023-11-14T22:16:40.001000Z");
    let facts = &metadata["claims"]["facts"];
    assert_eq!(facts["run_uuid"], "aaa");
    assert_eq!(facts["experiment_name"], "risk / EU");
    assert_eq!(facts["end_time"], "2023-11-14T22:14:20.000000Z");
    assert_eq!(facts["version tag risk"], "high");
    assert_eq!(facts["tag "], "no name");
    let series = metadata["series"].as_array().unwrap();
    assert_eq!(series[0]["name"], "loss");
    assert_eq!(series[0]["points"], 3);
    let log = env.json_lines(&["log", "risk---EU"], "lineage.log/1");
    assert_eq!(log.len(), 1, "the experiment; the run that nothing was registered from has failed");
    // The other tracker's folders are left as they were.
    let theirs =
        |path: &std::path::Path| path.starts_with("mlartifacts") || path.ends_with("mlflow.db");
    let after = env.files();
    assert!(
        before.iter().filter(|(path, _)| theirs(path)).all(|(path, bytes)| after[path] == *bytes)
    );
    assert_eq!(
        before.keys().filter(|path| theirs(path)).count(),
        after.keys().filter(|path| theirs(path)).count()
    );
    env.verifies();
}

#[test]
fn a_run_that_went_on_is_recorded_anew() {
    let env = Env::new();
    let database = mlflow(&env);
    env.run(&["import", "mlflow", "mlflow.db"]).ok();
    database.execute("INSERT INTO tags VALUES ('later', 'x', 'bbb')", []).unwrap();
    let document = env.json(&["import", "mlflow", "mlflow.db"], "lineage.import-mlflow/1");
    assert_eq!(document["sessions_new"], 1);
    assert!(counts(&document).contains(&("tags".to_owned(), 3)));
    env.verifies();
}

#[test]
fn a_run_that_failed_becomes_a_failed_session_with_all_that_it_holds() {
    let env = Env::new();
    let database = mlflow(&env);
    database
        .execute_batch(
            "INSERT INTO runs VALUES ('ccc', 'killed', 'someone', 'KILLED', 1700000300000, \
                1700000360000, 'active', 'mlruns/1/ccc/artifacts', 1);
             INSERT INTO params VALUES ('depth', '7', 'ccc'), ('', 'no name', 'ccc');
             INSERT INTO tags VALUES ('team', 'risk', 'ccc');
             INSERT INTO metrics VALUES ('loss', 0.5, 1700000300001, 'ccc', 9007199254740993, 0);
             INSERT INTO latest_metrics VALUES ('loss', 0.5, 1700000300001, 9007199254740993, 0, 'ccc');
             INSERT INTO model_versions VALUES \
                ('fraud', 3, 1700000400000, 'mlflow-artifacts:/1/ccc/artifacts/model', 'ccc', 'None');
             INSERT INTO registered_model_aliases VALUES ('best', 3, 'fraud');",
        )
        .unwrap();
    env.write("mlartifacts/1/ccc/artifacts/model/model.pkl", "half trained");
    let arguments = ["import", "mlflow", "mlflow.db", "--aliases-as-pointers"];
    let document = env.json(&arguments, "lineage.import-mlflow/1");
    assert!(counts(&document).contains(&("runs".to_owned(), 3)), "{document:#}");
    let failed = env.json_lines(&["session", "list", "--state", "failed"], "lineage.session/1");
    let told = |model: &str| {
        let line = failed.iter().find(|line| line["model"] == model).unwrap();
        env.json(&["session", "show", line["session"].as_str().unwrap()], "lineage.session/1")
    };
    let (other, killed) = (told("risk---EU"), told("fraud"));
    assert_eq!(
        (&other["reason"], &killed["reason"]),
        (&"FAILED in MLflow".into(), &"KILLED in MLflow".into())
    );
    assert_eq!(other["facts"]["points"][0]["value"], "Infinity");
    let facts = &killed["facts"];
    assert_eq!(facts["params"][0]["text"], "7");
    assert_eq!(facts["tags"][0]["value"], "risk");
    assert_eq!(facts["series"][0]["points"], 1, "a step that no entry can hold");
    let claimed = &facts["claims"]["facts"];
    assert_eq!(claimed["start_time"], "2023-11-14T22:18:20.000000Z");
    assert_eq!(claimed["end_time"], "2023-11-14T22:19:20.000000Z");
    assert_eq!((&claimed["status"], &claimed["param "]), (&"KILLED".into(), &"no name".into()));
    // What was registered from it is a version, but one that says where it is from.
    let shown = env.json(&["show", "fraud@mlflow-3"], "lineage.show/1");
    let note = "registered in MLflow from run ccc, whose status is KILLED";
    assert_eq!(shown["metadata"]["note"], note);
    assert_eq!(shown["metadata"]["claims"]["facts"]["run.status"], "KILLED");
    assert_eq!(shown["metadata"]["metrics"], serde_json::json!([]));
    for text in [note, "not set: the status of the run of fraud version 3 is KILLED"] {
        assert!(says(&document, text), "{text}: {document:#}");
    }
    env.run(&["resolve", "fraud@best"]).code(5);
    let entries = env.entries();
    let again = env.json(&arguments, "lineage.import-mlflow/1");
    assert_eq!((&again["changed"], env.entries()), (&false.into(), entries));
    env.verifies();
}

#[test]
fn an_import_that_dies_again_and_again_comes_to_the_same_end() {
    let env = Env::new();
    mlflow(&env);
    let arguments = ["import", "mlflow", "mlflow.db", "--json"];
    // Each time one transaction further, also between the start and the end of a failed session.
    let mut deaths = 0;
    while env.run_with(&arguments, &[("LINEAGE_TEST_STOP", "committed")]).code.is_none() {
        deaths += 1;
        assert!(deaths < 30, "it never ends");
    }
    assert_eq!(deaths, 6, "five sessions, of which one is started and then fails");
    let document = env.run(&arguments).ok().json();
    assert_eq!((&document["changed"], &document["sessions_known"]), (&false.into(), &5.into()));
    assert!(counts(&document).contains(&("runs".to_owned(), 2)));
    assert_eq!(env.query("SELECT COUNT(*) FROM training WHERE state = 'failed'"), 1);
    assert_eq!(env.query("SELECT COUNT(*) FROM training"), 1);
    env.verifies();
}

#[test]
fn a_run_that_goes_on_is_an_open_session_until_it_is_imported_again() {
    let env = Env::new();
    let database = mlflow(&env);
    database.execute("UPDATE runs SET status = 'RUNNING' WHERE run_uuid = 'bbb'", []).unwrap();
    let import = || env.json(&["import", "mlflow", "mlflow.db"], "lineage.import-mlflow/1");
    counts(&import());
    let open = || env.json_lines(&["session", "list", "--state", "open"], "lineage.session/1");
    assert_eq!(open().len(), 1);
    assert_eq!(import()["changed"], false);
    database.execute("UPDATE runs SET status = 'FINISHED' WHERE run_uuid = 'bbb'", []).unwrap();
    let document = import();
    assert_eq!((counts(&document).is_empty(), &document["sessions_new"]), (false, &1.into()));
    assert!(open().is_empty());
    let failed = env.json_lines(&["session", "list", "--state", "failed"], "lineage.session/1");
    assert_eq!(failed[0]["reason"], "imported again, as run bbb has become since");
    assert_eq!(import()["changed"], false);
    env.verifies();
}

#[test]
fn a_version_of_a_run_that_goes_on_is_made_once() {
    let env = Env::new();
    let database = mlflow(&env);
    let status = |status: &str| {
        let sql = format!("UPDATE runs SET status = '{status}' WHERE run_uuid = 'aaa'");
        database.execute(&sql, []).unwrap();
    };
    let arguments = ["import", "mlflow", "mlflow.db", "--aliases-as-pointers"];
    let import = || env.json(&arguments, "lineage.import-mlflow/1");
    status("RUNNING");
    let first = import();
    assert!(says(&first, "whose status is RUNNING"), "{first:#}");
    env.run(&["resolve", "fraud@champion"]).code(5);
    let versions = || env.query("SELECT COUNT(*) FROM version");
    let before = versions();
    let shown = env.json(&["show", "fraud@mlflow-1"], "lineage.show/1");
    assert_eq!(shown["metadata"]["version"], 1);
    status("FINISHED");
    let second = import();
    counts(&second);
    assert_eq!((&second["sessions_new"], versions()), (&1.into(), before), "{second:#}");
    let version = &second["versions"][0];
    assert_eq!((&version["version"], &version["label"]), (&1.into(), &"mlflow-1".into()));
    // Its metrics are in the log, and the alias is a pointer now.
    let log = env.json_lines(&["log", "fraud", "--limit", "1"], "lineage.log/1");
    assert_eq!((&log[0]["version"], &log[0]["metrics"][0]["name"]), (&Value::Null, &"loss".into()));
    let live = env.json(&["resolve", "fraud@champion"], "lineage.resolve/1");
    assert_eq!(live["version"], 1);
    let third = import();
    assert_eq!((&third["changed"], &third["versions"]), (&false.into(), &second["versions"]));
    // What was measured later makes no version either, but other bytes do, and say so.
    let later = "INSERT INTO tags VALUES ('later', 'x', 'aaa')";
    database.execute(later, []).unwrap();
    assert_eq!((&import()["sessions_new"], versions()), (&1.into(), before));
    database.execute("DELETE FROM tags WHERE key = 'later'", []).unwrap();
    assert_eq!((&import()["changed"], versions()), (&false.into(), before));
    env.write("mlartifacts/1/aaa/artifacts/model/model.pkl", "trained once more");
    database.execute(later, []).unwrap();
    database.execute("INSERT INTO tags VALUES ('latest', 'x', 'aaa')", []).unwrap();
    let other = import();
    assert!(says(&other, "its files have changed since fraud@1 was recorded"), "{other:#}");
    assert_eq!(versions(), before + 1);
    assert_eq!(import()["changed"], false);
    env.verifies();
}

#[test]
fn an_import_says_that_it_changed_something_when_it_did() {
    let env = Env::new();
    // The run that failed comes last.
    let last = "DELETE FROM registered_models; DELETE FROM registered_model_aliases";
    mlflow(&env).execute_batch(last).unwrap();
    let arguments = ["import", "mlflow", "mlflow.db"];
    let import = |more: &[&str]| {
        env.json(&[&arguments[..], more].concat(), "lineage.import-mlflow/1")["changed"].clone()
    };
    // It dies until the failed run is started, and not ended.
    while env.query("SELECT COUNT(*) FROM training WHERE state = 'open'") == 0 {
        assert_eq!(env.run_with(&arguments, &[("LINEAGE_TEST_STOP", "committed")]).code, None);
    }
    let entries = env.entries();
    assert_eq!((import(&["--dry-run"]), env.entries()), (true.into(), entries));
    assert_eq!(import(&[]), true);
    assert!(env.entries() > entries);
    let entries = env.entries();
    assert_eq!((import(&["--dry-run"]), import(&[])), (false.into(), false.into()));
    assert_eq!(env.entries(), entries);
}

#[test]
fn an_import_whose_files_are_refused_again_changes_nothing() {
    let env = Env::new();
    mlflow(&env);
    let pointer = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n",
        "0".repeat(64)
    );
    let file = "mlartifacts/1/aaa/artifacts/model/model.pkl";
    env.write(file, pointer);
    let import = |more: &[&str]| {
        let arguments = [&["import", "mlflow", "mlflow.db"], more].concat();
        env.json(&arguments, "lineage.import-mlflow/1")
    };
    let first = import(&[]);
    assert!(says(&first, "its files were not recorded"), "{first:#}");
    assert_eq!(env.query("SELECT COUNT(*) FROM version"), 0);
    let entries = env.entries();
    for more in [&["--dry-run"][..], &[]] {
        let again = import(more);
        assert!(says(&again, "its files were not recorded"), "{again:#}");
        let found = (&again["changed"], &again["sessions_new"], &again["sessions_known"]);
        assert_eq!(found, (&false.into(), &0.into(), &first["sessions_new"]), "{again:#}");
        assert_eq!(env.entries(), entries);
    }
    // The file may be had by now.
    env.write(file, "not loaded, only hashed");
    assert_eq!(import(&["--dry-run"])["sessions_new"], 1);
    assert_eq!(import(&[])["sessions_new"], 1);
    assert_eq!(env.query("SELECT COUNT(*) FROM version"), 1);
    assert_eq!(import(&[])["changed"], false);
    env.verifies();
}

#[test]
fn secrets_in_claimed_texts_are_left_out() {
    let env = Env::new();
    let database = mlflow(&env);
    database
        .execute_batch(
            "ALTER TABLE model_versions ADD COLUMN description TEXT;
             UPDATE model_versions SET description = 'use password=hunter2hunter2' WHERE version = 1;
             INSERT INTO tags VALUES ('how', 'curl --token hunter2hunter2', 'aaa');",
        )
        .unwrap();
    let document = env.json(&["import", "mlflow", "mlflow.db"], "lineage.import-mlflow/1");
    for place in ["the fact \"version.description\"", "the tag \"how\""] {
        let removed = document["removed"].as_array().unwrap();
        assert!(removed.contains(&format!("run aaa: {place}").into()), "{document:#}");
    }
    let shown = env.json(&["show", "fraud@1"], "lineage.show/1");
    let described = &shown["metadata"]["claims"]["facts"]["version.description"];
    assert_eq!(described, "use password=[removed]");
    for (path, content) in env.files() {
        let theirs = path.starts_with("mlartifacts") || path.ends_with("mlflow.db");
        let text = String::from_utf8_lossy(&content);
        assert!(theirs || !text.contains("hunter2"), "{}", path.display());
    }
    env.verifies();
}

#[test]
fn what_is_imported_was_trained_under_no_policy() {
    let env = Env::new();
    mlflow(&env);
    env.write(
        "lineage.toml",
        "[policies.training]\nrequire-seed = true\nrequire-datasets = true\n\
         require-environment = true\nrequire-clean-git = true\n",
    );
    env.refused(&["record", "fraud", "--metric", "a=1"], 3, "refused", "a seed");
    counts(&env.json(&["import", "mlflow", "mlflow.db"], "lineage.import-mlflow/1"));
    env.run(&["resolve", "fraud@1"]).ok();
}

#[test]
fn what_cannot_be_imported_is_said_loudly() {
    let env = Env::new();
    let database = mlflow(&env);
    database
        .execute_batch(
            "INSERT INTO params VALUES ('lost', '1', 'no such run');
             CREATE TABLE spans (id TEXT); INSERT INTO spans VALUES ('a');",
        )
        .unwrap();
    let ran = env.run(&["import", "mlflow", "mlflow.db"]).code(1).says("2 of 3 params");
    assert!(ran.stderr.contains("spans: 1 row left out"), "{ran}");
    assert!(ran.stdout.contains("2 of 3  LOST"), "{ran}");
    env.write("text.db", "no database");
    env.refused(
        &["import", "mlflow", "text.db"],
        2,
        "usage",
        "cannot be read as an SQLite database",
    );
    env.refused(
        &["import", "mlflow", ".lineage/registry.db"],
        2,
        "usage",
        "not the database of an MLflow",
    );
    env.refused(&["import", "mlflow", "gone.db"], 5, "not-found", "gone.db does not exist");
    env.refused(&["import", "dvc"], 2, "usage", "not a folder with .dvc files");
}

/// A pipeline: data in the workspace, a model, metrics, and data that only the cache or nobody has.
fn dvc() -> Env {
    let env = Env::new();
    env.write("data/train.csv", "amount,is_bad\n1,0\n");
    env.write("model.pkl", "weights weights\n");
    env.write("metrics.json", "{\"auc\": 0.9}\n");
    env.write("data/changed.csv", "other,bytes\n1,2\n");
    env.write(
        "dvc.lock",
        "schema: '2.0'\nstages:\n  train:\n    cmd: python train.py --token=hunter2hunter2\n    deps:\n    \
         - path: data/train.csv\n      hash: md5\n      md5: MD5CSV\n      size: 18\n    \
         - path: parts\n      hash: md5\n      md5: MD5DIR.dir\n      size: 2\n      nfiles: 2\n    \
         params:\n      params.yaml:\n        train.depth: 6\n        password: hunter2hunter2\n    outs:\n    \
         - path: model.pkl\n      hash: md5\n      md5: MD5MODEL\n      size: 16\n    \
         - path: metrics.json\n      hash: md5\n      md5: MD5METRICS\n      size: 13\n"
            .replace("MD5CSV", MD5_CSV)
            .replace("MD5DIR", MD5_LIST)
            .replace("MD5MODEL", MD5_MODEL)
            .replace("MD5METRICS", MD5_METRICS),
    );
    env.write("dvc.yaml", "artifacts:\n  churn:\n    path: model.pkl\n    type: model\n");
    env.write(
        "data/changed.csv.dvc",
        format!("outs:\n- md5: {MD5_CSV}\n  size: 18\n  hash: md5\n  path: changed.csv\n"),
    );
    let cache = |md5: &str| format!(".dvc/cache/files/md5/{}/{}", &md5[..2], &md5[2..]);
    env.write(&format!("{}.dir", cache(MD5_LIST)), LIST);
    env.write(&cache("0cc175b9c0f1b6a831c399e269772661"), "a");
    env.write(&cache("92eb5ffee6ae2fec3ad71c777531578f"), "b");
    env
}

const MD5_CSV: &str = "933917bb33d33e21a7de7deb629ae8e4";
const MD5_MODEL: &str = "6b63a3798630ce13ad139c792c547704";
const MD5_METRICS: &str = "5bd28bcec988a807142d9f241ccd26c7";
const MD5_LIST: &str = "4e1d76266742403bba86a26ba30edf64";
const LIST: &str = "[{\"md5\": \"0cc175b9c0f1b6a831c399e269772661\", \"relpath\": \"x/a.txt\"}, \
                    {\"md5\": \"92eb5ffee6ae2fec3ad71c777531578f\", \"relpath\": \"b.txt\"}]";

#[test]
fn files_of_dvc_become_sessions_with_sha256() {
    let env = dvc();
    let before = env.files();
    let planned = env.json(&["import", "dvc", "--dry-run"], "lineage.import-dvc/1");
    assert!(before == env.files());
    let document = env.json(&["import", "dvc"], "lineage.import-dvc/1");
    assert_eq!(counts(&planned), counts(&document));
    let kinds = counts(&document);
    for (kind, number) in [("files", 2), ("stages", 2), ("data hashed", 4), ("data missing", 1)] {
        assert!(kinds.contains(&(kind.to_owned(), number)), "{kinds:?}");
    }
    assert!(says(&document, "changed.csv: the workspace holds other bytes"));
    let shown = env.json(&["show", "churn@1"], "lineage.show/1");
    let metadata = &shown["metadata"];
    assert_eq!(metadata["artifact"]["path"], "model.pkl");
    assert_eq!(metadata["metrics"][0]["value"], 0.9);
    assert_eq!(metadata["params"][1]["name"], "train.depth");
    assert_eq!(metadata["datasets"][0]["name"], "data/train.csv");
    let facts = &metadata["claims"]["facts"];
    assert_eq!(facts["deps.0.md5"], MD5_CSV);
    assert_eq!(facts["deps.1.md5"], format!("{MD5_LIST}.dir"));
    // The digest that the folder has when it is checked out.
    env.write("parts/x/a.txt", "a");
    env.write("parts/b.txt", "b");
    let parts = env.json(&["fingerprint", "parts"], "lineage.fingerprint/1");
    assert_eq!(facts["deps.1.sha256"], parts["sha256"]);
    assert!(facts["cmd"].as_str().unwrap().starts_with("python train.py --token=[removed]"));
    for (path, content) in env.files() {
        let ours = path.starts_with(".lineage") || path.starts_with("imported");
        assert!(
            !ours || !String::from_utf8_lossy(&content).contains("hunter2"),
            "{}",
            path.display()
        );
    }
    env.verifies();
}

#[test]
fn importing_from_dvc_twice_changes_nothing() {
    let env = dvc();
    env.run(&["import", "dvc"]).ok();
    let entries = env.entries();
    let again = env.json(&["import", "dvc"], "lineage.import-dvc/1");
    assert_eq!((&again["changed"], env.entries()), (&false.into(), entries));
}

#[test]
fn hostile_files_of_dvc_are_reported() {
    let env = Env::new();
    let deep = "[".repeat(5000);
    for (name, text) in [
        ("alias.dvc", "outs: &x\n- path: a\nmore: *x\n".to_owned()),
        ("deep.dvc", deep),
        ("twice.dvc", "outs: []\nouts: []\n".to_owned()),
        ("outside.dvc", format!("outs:\n- md5: {MD5_CSV}\n  path: ../../etc/passwd\n")),
        ("nonsense.dvc", "outs:\n- md5: ../../../x\n  path: a\n".to_owned()),
    ] {
        env.write(name, text);
    }
    let ran = env.run(&["import", "dvc", "--json"]).code(1);
    let document = ran.json();
    for text in ["alias.dvc", "deep.dvc", "twice.dvc", "outside the folder", "is no MD5"] {
        assert!(says(&document, text), "{text}: {document:#}");
    }
    env.verifies();
}

fn git(env: &Env, arguments: &[&str]) {
    let mut command = env.command_of("git".as_ref(), arguments);
    command.env("GIT_CONFIG_NOSYSTEM", "1");
    for who in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{who}_NAME"), "Ada")
            .env(format!("GIT_{who}_EMAIL"), "ada@example.org");
        command.env(format!("GIT_{who}_DATE"), "2025-01-02T03:04:05Z");
    }
    let ran = command.output().unwrap();
    assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// A repository with one tag of GTO.
pub fn tagged(env: &Env) {
    git(env, &["init", "-q", "."]);
    git(env, &["commit", "-q", "--allow-empty", "-m", "first"]);
    git(env, &["tag", "-a", "fraud@v1.0.0", "-m", "first release"]);
}

#[test]
fn tags_of_gto_become_sessions_and_versions() {
    let env = Env::new();
    git(&env, &["init", "-q", "."]);
    env.refused(&["import", "gto"], 2, "usage", "not a git repository with tags of GTO");
    env.write("dvc.yaml", "artifacts:\n  churn:\n    path: model.pkl\n");
    env.write("model.pkl", "first");
    git(&env, &["add", "dvc.yaml", "model.pkl"]);
    git(&env, &["commit", "-q", "-m", "first"]);
    git(&env, &["tag", "-a", "churn@v1.0.0", "-m", "first release\n\nwith a reason"]);
    env.write("model.pkl", "second");
    git(&env, &["commit", "-q", "-a", "-m", "second"]);
    env.write("deep/dir/dvc.yaml", "artifacts:\n  other:\n    path: kept.pkl\n");
    env.write("deep/dir/kept.pkl", "weights weights\n");
    let kept = format!("outs:\n- md5: {MD5_MODEL}\n  hash: md5\n  path: kept.pkl\n");
    env.write("deep/dir/kept.pkl.dvc", kept);
    git(&env, &["add", "deep/dir/dvc.yaml", "deep/dir/kept.pkl.dvc"]);
    git(&env, &["commit", "-q", "-m", "third"]);
    for tag in
        ["churn@v1.1.0", "churn#prod#1", "deep/dir=other@v0.0.1", "churn@v1.0.0!", "churn#dev!#2"]
    {
        git(&env, &["tag", "-a", tag, "-m", tag]);
    }
    git(&env, &["tag", "churn#dev#1"]);
    git(&env, &["tag", "unrelated"]);
    let planned = env.json(&["import", "gto", "--dry-run"], "lineage.import-gto/1");
    assert_eq!(counts(&planned), [("tags".to_owned(), 7)]);
    let document = env.json(&["import", "gto"], "lineage.import-gto/1");
    assert_eq!(counts(&document), counts(&planned));
    // Only the second release has its bytes in the working tree.
    let shown = env.json(&["show", "churn@v1.1.0"], "lineage.show/1");
    let claims = &shown["metadata"]["claims"];
    assert_eq!(claims["created"], "2025-01-02T03:04:05.000000Z");
    assert_eq!(claims["facts"]["tagger"], "Ada <ada@example.org>");
    assert_eq!(claims["facts"]["message"], "churn@v1.1.0");
    assert_eq!(claims["facts"]["object"].as_str().unwrap().len(), 40);
    env.run(&["show", "churn@v1.0.0"]).code(5);
    // A file that DVC keeps is found by the .dvc file of the commit.
    assert_eq!(document["problems"], serde_json::json!([]), "{document:#}");
    let kept = env.json(&["show", "deep-dir-other@v0.0.1"], "lineage.show/1");
    assert_eq!(kept["metadata"]["artifact"]["path"], "deep/dir/kept.pkl");
    assert_eq!(document["pointers"][0]["name"], "prod");
    assert_eq!(document["pointers"][0]["original"], "v1.1.0");
    assert_eq!(document["pointers"].as_array().unwrap().len(), 1, "dev was taken away");
    let again = env.json(&["import", "gto"], "lineage.import-gto/1");
    assert_eq!((&again["changed"], &again["sessions_known"]), (&false.into(), &7.into()));
    env.verifies();
}
