//! The formats as they are written down: every document against its JSON Schema, and the golden
//! vectors against the library. `testdata/check_vectors.py` does the same without lineage.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use jsonschema::Validator;
use lineage_core::canonical;
use lineage_core::digest::Sha256;
use lineage_core::environment::Environment;
use lineage_core::events::{Entry, SessionCompleted};
use lineage_core::fingerprint::{Manifest, ManifestFile};
use lineage_core::metadata;
use lineage_core::reproducibility::Parts;
use lineage_core::settings::TEMPLATE;
use serde_json::{Value, json};

use crate::support::agreement::Log;
use crate::support::{Env, repository, testdata};

/// A schema below `schema/json`.
struct Schema {
    name: String,
    document: Value,
    validator: Validator,
}

impl Schema {
    fn load(name: &str) -> Schema {
        let path = repository().join("schema/json").join(format!("{name}.schema.json"));
        let document: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let validator = jsonschema::validator_for(&document)
            .unwrap_or_else(|error| panic!("{name}.schema.json: {error}"));
        Schema { name: name.to_owned(), document, validator }
    }

    /// Asserts that a document fits, and that it does not when a field that is required is missing.
    #[track_caller]
    fn accepts(&self, document: &Value) {
        let problems: Vec<String> = self
            .validator
            .iter_errors(document)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        let name = &self.name;
        assert!(problems.is_empty(), "{name}.schema.json: {problems:#?}\n{document:#}");
        for field in self.document["required"].as_array().unwrap() {
            let mut broken = document.clone();
            let gone = broken.as_object_mut().unwrap().remove(field.as_str().unwrap());
            assert!(gone.is_some(), "{field} is not there");
            self.refuses(&broken);
        }
    }

    #[track_caller]
    fn refuses(&self, document: &Value) {
        let name = &self.name;
        assert!(!self.validator.is_valid(document), "{name}.schema.json accepts {document:#}");
    }

    /// Asserts that a document fits, and that it does not with the value at `pointer` replaced.
    #[track_caller]
    fn needs(&self, document: &Value, pointer: &str, wrong: Value) {
        self.accepts(document);
        let mut broken = document.clone();
        *broken.pointer_mut(pointer).unwrap_or_else(|| panic!("there is no {pointer}")) = wrong;
        self.refuses(&broken);
    }
}

/// The schemas of the command line's documents, and which of them were met.
struct Documents {
    env: Env,
    schemas: BTreeMap<String, Schema>,
    met: BTreeSet<String>,
}

impl Documents {
    fn new(env: Env) -> Documents {
        let mut schemas = BTreeMap::new();
        for entry in fs::read_dir(repository().join("schema/json/cli")).unwrap() {
            let file = entry.unwrap().file_name().to_string_lossy().into_owned();
            let name = file.strip_suffix(".schema.json").unwrap().to_owned();
            schemas.insert(name.clone(), Schema::load(&format!("cli/{name}")));
        }
        Documents { env, schemas, met: BTreeSet::new() }
    }

    /// Runs a command with `--json` and checks every line that it prints.
    #[track_caller]
    fn check(&mut self, arguments: &[&str], code: i32) -> Vec<Value> {
        let arguments = [arguments, &["--json"]].concat();
        let mut command = self.env.command(&arguments);
        if arguments.contains(&"demo") {
            // Its own commands need different random numbers.
            command.env_remove("LINEAGE_TEST_SEED");
        }
        let ran = self.env.finish(command.output().unwrap()).code(code);
        let mut documents = Vec::new();
        for line in ran.stdout.lines() {
            let document: Value = serde_json::from_str(line).unwrap();
            let word = document["schema"].as_str().unwrap();
            let name = word.strip_prefix("lineage.").unwrap().strip_suffix("/1").unwrap();
            let schema = self.schemas.get(name).unwrap_or_else(|| panic!("{word} has no schema"));
            schema.needs(&document, "/schema", json!("lineage.other/1"));
            self.met.insert(name.to_owned());
            documents.push(document);
        }
        assert!(!documents.is_empty(), "{arguments:?} printed nothing");
        documents
    }

    /// The same for a command that prints one document.
    #[track_caller]
    fn one(&mut self, arguments: &[&str], code: i32) -> Value {
        let mut documents = self.check(arguments, code);
        assert_eq!(documents.len(), 1, "{arguments:?}");
        documents.remove(0)
    }
}

/// Every key that a specification may have.
fn spec() -> Value {
    json!({
        "model": "fraud",
        "artifact": "rich/model",
        "data": [
            {
                "role": "training", "name": "train", "path": "train.csv",
                "transformations": ["drop duplicates"], "source": "s3://bucket/train.csv",
                "row_range": {"first": 0, "last": 1}
            },
            {"role": "test", "path": "parts"},
        ],
        "metrics": {"test": {"auc": 0.91, "odd": "NaN"}, "loss": -3},
        "params": {"depth": 6, "nested": {"list": [1, 2]}, "none": null, "on": true, "rate": 0.1},
        "seed": "123456789012345678901234567890",
        "label": "1.0.0+a",
        "model_type": "xgboost",
        "features": ["a"],
        "target": ["b"],
        "derived_from": ["fraud@1"],
        "tags": {"team": "risk", "nested": {"number": 7}},
        "note": "a remark",
        "exclude": ["*.tmp"],
        "idempotency_key": "run-7",
        "started": "2026-02-28T12:00:00+02:00",
        "metadata": "rich/described.json",
        "store": true,
        "allow_pointer": false,
    })
}

/// The specification and the files that it names.
fn write_inputs(env: &Env) {
    env.write("rich/model/a.bin", "a".repeat(100));
    env.write("rich/model/b/c.bin", "");
    env.write("train.csv", "a,b\n1,2\n3,4\n");
    env.write("parts/part-0.csv", "a,b\n5,6\n");
    env.write("spec.json", spec().to_string());
}

/// A registry whose log holds all seven types of event, and whose pointer is live in the end.
fn eventful() -> Env {
    let env = Env::with_versions(3);
    write_inputs(&env);
    env.run(&["record", "--spec", "spec.json"]).ok();
    env.run(&["record", "fraud", "--metric", "test.auc=-inf", "--param", "x="]).ok();
    let started = env.run(&["session", "start", "fraud", "--tag", "a=b", "-q"]).ok();
    let of = ["--session", started.stdout.trim()];
    env.run(&[&["session", "metric", "loss=nan", "--step", "-1"][..], &of].concat()).ok();
    env.run(&[&["session", "fail", "--reason", "x"][..], &of].concat()).ok();
    for version in ["1", "2", "3"] {
        env.run(&["promote", "fraud", "--version", version]).ok();
    }
    env.run(&["rollback", "fraud", "--reason", "worse"]).ok();
    env.run(&["promote", "fraud", "--version", "3", "--reason", "hope"]).code(3);
    env.write("PROD_POINTER.txt", "v1\\model.bin\r\n");
    env.run(&["promote", "fraud", "--accept-external"]).ok();
    env.run(&["pointer", "unset", "fraud", "--yes"]).ok();
    env.write("v2/model.bin", "overwritten");
    env.run(&["promote", "fraud", "--version", "2", "--allow-quarantined"]).ok();
    env
}

#[test]
fn every_document_of_the_command_line_fits_its_schema() {
    let mut all = Documents::new(Env::empty());
    all.one(&["init", "--dry-run"], 0);
    all.one(&["init", "--pointer-file", "fraud=PROD_POINTER.txt"], 0);
    for version in 1..=3 {
        let path = format!("v{version}/model.bin");
        all.env.write(&path, format!("model {version}{}", "x".repeat(64)));
        all.one(&["record", "fraud", "--artifact", &path], 0);
    }
    write_inputs(&all.env);
    all.one(&["record", "--spec", "spec.json", "--dry-run"], 0);
    all.one(&["record", "--spec", "spec.json"], 0);
    all.one(&["record", "--spec", "spec.json"], 0);
    let data = ["--data", "training=train.csv", "--data", "test=train.csv"];
    let arguments = [&["record", "fraud", "--artifact", "v1/model.bin", "--no-store"], &data[..]];
    let recorded = all.one(&arguments.concat(), 0);
    let codes: Vec<&str> = recorded["warnings"].as_array().unwrap().iter().map(code).collect();
    assert_eq!(codes, ["twin", "not-stored", "leakage"]);
    all.schemas["record"].needs(&recorded, "/warnings/0/code", json!("unheard-of"));
    sessions(&mut all);
    all.check(&["log"], 0);
    all.check(&["search", "metric.test.auc > 0.9 or data exists"], 0);
    all.one(&["show", "fraud@4"], 0);
    all.one(&["status"], 0);
    let planned = all.one(&["promote", "fraud", "--version", "1", "--dry-run"], 0);
    assert_eq!(planned["pointer_file"]["state"], "planned");
    all.one(&["promote", "fraud", "--version", "1"], 0);
    let promoted = all.one(&["promote", "fraud", "--version", "2"], 0);
    assert_eq!(promoted["pointer_file"]["state"], "written");
    assert_eq!(promoted["served_from"], "recorded");
    all.schemas["promote"].needs(&promoted, "/pointer_file/state", json!("gone"));
    all.schemas["promote"].needs(&promoted, "/served_from", json!("elsewhere"));
    all.one(&["promote", "fraud", "--version", "2"], 0);
    all.one(&["rollback", "fraud", "--reason", "worse", "--dry-run"], 0);
    all.one(&["rollback", "fraud", "--reason", "worse", "--expect", "2"], 0);
    all.one(&["rollback", "fraud", "--reason", "worse", "--expect", "2"], 0);
    all.one(&["promote", "fraud", "--version", "2", "--reason", "hope"], 3);
    let history = all.check(&["history", "fraud"], 0);
    assert_eq!(history[0]["reason"], "quarantined: hope");
    for at in ["2030-01-01", "seq:16"] {
        all.one(&["show", "fraud@1", "--at", at], 0);
        all.one(&["status", "--at", at], 0);
        all.one(&["resolve", "fraud", "--at", at], 0);
        all.check(&["history", "fraud", "--at", at], 0);
    }
    let impact = all.one(&["impact", "v1/model.bin"], 0);
    all.schemas["impact"].needs(&impact, "/artifacts/0/by", json!("name"));
    all.schemas["impact"].needs(&impact, "/pointers/0/since/seq", json!("1"));
    all.one(&["impact", "train.csv"], 0);
    let graph = all.one(&["graph", "fraud@4"], 0);
    all.schemas["graph"].needs(&graph, "/nodes/0/kind", json!("session"));
    all.schemas["graph"].needs(&graph, "/edges/0/from", json!(1));
    all.check(&["pointer", "list"], 0);
    all.one(&["resolve", "fraud"], 0);
    all.one(&["resolve", "fraud@2", "--no-verify"], 0);
    all.one(&["checkout", "fraud@4", "out"], 0);
    all.one(&["checkout", "fraud@4", "out"], 0);
    all.one(&["verify"], 0);
    all.check(&["fingerprint", "train.csv", "parts", "v1/model.bin"], 0);
    let part = all.one(&["fingerprint", "train.csv", "--unordered"], 0);
    all.schemas["fingerprint"].needs(&part, "/unordered/sum", json!("0"));
    all.env.write("part.json", part.to_string());
    let merged = all.one(&["fingerprint", "--merge", "part.json"], 0);
    all.schemas["fingerprint-merge"].needs(&merged, "/unordered/rows", json!(-1));
    let pickle = testdata("models/evil-build.pkl");
    let compared = all.one(&["reproduce", "fraud@4", "--data", "training=train.csv"], 0);
    all.schemas["reproduce"].needs(&compared, "/parts/0/verdict", json!("same"));
    let again = ["reproduce", "fraud@3", "--json", "--", "cp", "train.csv", "v3/model.bin"];
    let again = all.env.run(&again).ok().json();
    all.schemas["reproduce"].needs(&again, "/run/verdict", json!("match"));
    let inspected = all.one(&["inspect", &pickle.to_string_lossy(), "--refuse", "dangerous"], 3);
    all.schemas["inspect"].needs(&inspected, "/verdict", json!("fine"));
    all.schemas["inspect"].needs(&inspected, "/format", json!("pickles"));
    all.schemas["inspect"].needs(&inspected, "/findings/0/severity", json!("bad"));
    all.check(&["inspect", "train.csv", "v1/model.bin"], 0);
    all.env.write("other.csv", "a,b\n1,5\n3,4\n");
    let compared = all.one(&["diff", "train.csv", "other.csv", "--key", "a", "--drift"], 0);
    for (pointer, wrong) in [
        ("/verdict", json!("same")),
        ("/of", json!("files")),
        ("/data/table/columns/0/change", json!("other")),
        ("/data/rows/added", json!(-1)),
        ("/data/drift/columns/0/shift", json!("small")),
        ("/data/left/hashed", json!("stat")),
    ] {
        all.schemas["diff"].needs(&compared, pointer, wrong);
    }
    all.check(&["diff", "parts", "v1"], 0);
    let versions = all.one(&["diff", "fraud@4", "fraud@5", "--exit-code"], 10);
    all.schemas["diff"].needs(&versions, "/versions/verdict", json!("added"));
    all.env.write("x.csv.dvc", "outs:\n- md5: 0\n  path: x.csv\n");
    let imported = all.one(&["import", "dvc"], 0);
    all.schemas["import-dvc"].needs(&imported, "/counts/0/found", json!(-1));
    crate::import::mlflow(&all.env);
    let imported = all.one(&["import", "mlflow", "mlflow.db"], 0);
    all.schemas["import-mlflow"].needs(&imported, "/versions/0/original", json!(""));
    crate::import::tagged(&all.env);
    all.one(&["import", "gto"], 0);
    let planned = all.one(&["adopt", ".", "--dry-run"], 0);
    all.schemas["adopt"].needs(&planned, "/findings/0/severity", json!("bad"));
    all.one(&["doctor"], 0);
    all.one(&["doctor", "--rebuild"], 0);
    all.one(&["pointer", "unset", "fraud", "--dry-run"], 0);
    let unset = all.one(&["pointer", "unset", "fraud", "--yes"], 0);
    assert_eq!(unset["pointer_file"]["state"], "removed");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        all.one(&["completions", shell], 0);
    }
    all.one(&["help", "pointer", "list"], 0);
    all.one(&["help", "exit-codes"], 0);
    let told = all.check(&["demo", "story"], 0);
    assert!(told.iter().any(|line| line["exit_code"] == 4));
    troubled(&mut all);
    let missed: Vec<&String> = all.schemas.keys().filter(|name| !all.met.contains(*name)).collect();
    assert!(missed.is_empty(), "no document was made for {missed:?}");
}

/// Sessions step by step; they make no version.
fn sessions(all: &mut Documents) {
    let started = all.one(&["session", "start", "fraud", "--data", "training=train.csv"], 0);
    let id = started["session"].as_str().unwrap().to_owned();
    let of = ["--session", &id];
    all.one(&[&["session", "metric", "loss=0.5", "--step", "1"][..], &of].concat(), 0);
    all.one(&[&["session", "param", "depth=6", "--seed", "-3"][..], &of].concat(), 0);
    all.one(&[&["session", "artifact", "v1/model.bin"][..], &of].concat(), 0);
    let shown = all.one(&["session", "show", &id], 0);
    all.schemas["session"].needs(&shown, "/state", json!("closed"));
    all.schemas["session"].needs(&shown, "/facts/points/0/step", json!(1.5));
    let step = all.one(&[&["session", "fail", "--reason", "x"][..], &of].concat(), 0);
    all.schemas["session-step"].needs(&step, "/changed", json!("yes"));
    all.check(&["session", "list"], 0);
    all.env.write(
        "steps.ndjson",
        "{\"step\": 1, \"loss\": 0.5, \"time\": 2}\n{\"step\": 2, \"loss\": NaN}",
    );
    let recorded =
        ["record", "loss", "--artifact", "v1/model.bin", "--metrics-file", "steps.ndjson"];
    all.one(&recorded, 0);
    let points = all.one(&["show", "loss@1", "--metric", "loss"], 0);
    all.schemas["metric"].needs(&points, "/points/0/step", json!(0.5));
}

fn code(warning: &Value) -> &str {
    warning["code"].as_str().unwrap()
}

/// Errors, edits from outside and damage.
fn troubled(all: &mut Documents) {
    for (arguments, code) in [
        (&["log", "fruad"][..], 5),
        (&["show", "fraud@99"], 5),
        (&["record", "fraud", "--artifact", "nowhere"], 5),
        (&["record", "fraud", "--label", "prod", "--artifact", "v1/model.bin"], 6),
        (&["promote", "fraud", "--expect", "3"], 6),
        (&["resolve", "fraud"], 5),
        (&["record"], 2),
        (&["nonsense"], 2),
    ] {
        let error = all.one(arguments, code);
        all.schemas["error"].needs(&error, "/error/code", json!("unheard-of"));
        all.schemas["error"].needs(&error, "/error/message", json!(""));
    }
    all.one(&["promote", "fraud", "--version", "3"], 0);
    all.env.write("PROD_POINTER.txt", "v1\\model.bin");
    all.one(&["promote", "fraud", "--version", "1"], 6);
    let status = all.one(&["status"], 0);
    let drift = "/models/0/pointers/0/file/drift";
    assert!(status.pointer(drift).is_some_and(Value::is_object), "{status:#}");
    all.schemas["status"].needs(&status, drift, json!("edited"));
    all.check(&["pointer", "list"], 0);
    all.one(&["promote", "fraud", "--accept-external", "--dry-run"], 0);
    all.one(&["promote", "fraud", "--accept-external"], 0);
    all.env.write("v1/model.bin", "overwritten");
    all.one(&["resolve", "fraud"], 4);
    fs::remove_file(all.env.path("train.csv")).unwrap();
    all.env.sql("DELETE FROM person_opening; UPDATE pointer SET version = 2").unwrap();
    let found = all.one(&["verify"], 4);
    let problems = found["problems"].as_array().unwrap();
    let kinds: BTreeSet<&str> = problems.iter().map(|p| p["kind"].as_str().unwrap()).collect();
    for kind in ["dataset-changed", "person-missing", "row-differs", "served-differs"] {
        assert!(kinds.contains(kind), "{kind}: {found:#}");
    }
    all.schemas["verify"].needs(&found, "/problems/0/kind", json!("unheard-of"));
}

#[test]
fn every_type_of_event_fits_the_schema_of_entries() {
    let schema = Schema::load("event");
    let log = Log::read(&eventful());
    let mut types = BTreeSet::new();
    for entry in &log.entries {
        schema.needs(entry, "/type", json!("pointer.lost"));
        schema.needs(entry, "/prev", json!("0"));
        schema.needs(entry, "/seq", json!(1.5));
        schema.needs(entry, "/actor/source", json!("guess"));
        let mut more = entry.clone();
        more["extra"] = json!(1);
        schema.refuses(&more);
        for field in entry["details"].as_object().unwrap().keys() {
            schema.needs(entry, &format!("/details/{field}"), json!([[]]));
        }
        types.insert(entry["type"].as_str().unwrap());
    }
    assert_eq!(types, TYPES.split(' ').collect());
    let rich = log.versions().last().unwrap();
    schema.needs(rich, "/details/version/label", json!("prod"));
    schema.needs(rich, "/details/metrics/0/value", json!("nan"));
    schema.needs(rich, "/details/params/0/type", json!("integer"));
}

const TYPES: &str = "person.introduced pointer.adopted pointer.moved pointer.refused \
    pointer.unset registry.created session.completed session.failed session.started session.updated";

#[test]
fn metadata_fits_its_schema() {
    let schema = Schema::load("metadata");
    let env = eventful();
    for path in ["v1/metadata.json", "rich/described.json"] {
        let document: Value = serde_json::from_str(&env.read(path)).unwrap();
        schema.needs(&document, "/schema", json!("lineage.metadata/2"));
        schema.needs(&document, "/version", json!(0));
        schema.needs(&document, "/artifact/sha256", json!("A"));
        schema.needs(&document, "/lineage/seq", Value::Null);
    }
    let golden = fs::read(testdata("vectors/metadata.json")).unwrap();
    schema.accepts(&serde_json::from_slice(&golden).unwrap());
}

#[test]
fn what_is_captured_fits_its_schemas() {
    let env = Env::new();
    env.write("t.csv", "a\n1\n");
    env.write("train.py", "1");
    let author = ["-c", "user.name=Test", "-c", "user.email=t@example.org"];
    for arguments in [&["init", "-q"][..], &["add", "."], &["commit", "-qm", "first"]] {
        let mut command = env.command_of(Path::new("git"), &[&author[..], arguments].concat());
        assert!(command.status().unwrap().success());
    }
    env.write("train.py", "2");
    let record =
        ["record", "fraud", "--environment", "auto", "--keep-patch", "--artifact", "t.csv"];
    env.run(&[&record[..], &["--data", "training=t.csv"]].concat()).ok();
    let log = Log::read(&env);
    let entry = log.versions().last().unwrap();
    let event = Schema::load("event");
    let metadata: Value = serde_json::from_str(&env.read("metadata.json")).unwrap();
    let metadata_schema = Schema::load("metadata");
    for field in ["commit", "dirty", "diff_sha256", "patch/sha256"] {
        event.needs(entry, &format!("/details/code/{field}"), json!([]));
        metadata_schema.needs(&metadata, &format!("/code/{field}"), json!([]));
    }
    event.needs(entry, "/details/reproducibility_sha256", json!("A"));
    metadata_schema.needs(&metadata, "/reproducibility_sha256", json!("A"));
    let shown = env.json(&["show", "fraud@1"], "lineage.show/1");
    let environment = Schema::load("environment");
    environment.needs(&shown["environment"], "/git/changed", json!("1"));
    environment.needs(&shown["environment"], "/python/unavailable", json!(""));
}

#[test]
fn the_settings_fit_their_schema() {
    let schema = Schema::load("lineage-toml");
    let check = |text: &str, fits: bool| {
        let value: Value = toml::from_str(text).unwrap();
        assert_eq!(schema.validator.is_valid(&value), fits, "{text}");
        let parsed = lineage_core::settings::Settings::parse(text, "lineage.toml".as_ref());
        assert_eq!(parsed.is_ok(), fits, "{text}");
    };
    check(&Env::with_versions(0).read("lineage.toml"), true);
    check(TEMPLATE, true);
    let key = |line: &&str| line.starts_with('[') || line.contains(" = ");
    let lines = TEMPLATE.lines().filter_map(|line| line.strip_prefix("# ")).filter(key);
    let uncommented: Vec<&str> = lines.collect();
    assert!(uncommented.len() > 6, "{uncommented:?}");
    check(&uncommented.join("\n"), true);
    check("[models.fraud.pointers.blue]\nfile = \"B\"\nrelative-to = \"file\"\n", true);
    for wrong in [
        "pointer-fil = \"P\"",
        "pointer-file = 1",
        "pointer-file = \"/P\"",
        "pointer-file = \"m\\\\P\"",
        "pointer-file = \"../P\"",
        "pointer-file = \"m/.lineage/P\"",
        "pointer-file = \"m//P\"",
        "pointer-file = \"lineage.toml\"",
        "pointer-file = \"P\"\npointer-relative-to = \"m/..\"",
        "pointer-format = \"yaml\"",
        "serve-from = \"here\"",
        "pointer-file = \"P\"\npointer-template = \"{path} {digest}\"",
        "pointers.latest.file = \"P\"",
        "pointers.blue = {}",
    ] {
        check(&format!("[models.fraud]\n{wrong}\n"), false);
    }
    check("[model.fraud]\n", false);
    check("[models.\"a b\"]\n", false);
}

#[test]
fn a_specification_fits_its_schema() {
    let schema = Schema::load("record-spec");
    let full = spec();
    schema.accepts(&full);
    schema.accepts(&json!({}));
    schema.accepts(&json!({"seed": 7, "metrics": null, "tags": null}));
    let keys = |object: &Value| object.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&full), keys(&schema.document["properties"]));
    let env = Env::with_versions(1);
    for (field, wrong) in [
        ("model", json!("a b")),
        ("data", json!([{"role": "training"}])),
        ("data", json!([{"role": "training", "path": "t", "rows": 3}])),
        ("metrics", json!([])),
        ("params", json!(1)),
        ("seed", json!("seven")),
        ("seed", json!(1.5)),
        ("label", json!("latest")),
        ("label", json!("prod")),
        ("tags", json!("a")),
        ("derived_from", json!(["fraud"])),
        ("idempotency_key", json!("")),
        ("store", json!("yes")),
        ("unknown", json!(1)),
    ] {
        let mut broken = full.clone();
        broken["data"] = json!([]);
        broken["artifact"] = json!("v1/model.bin");
        broken["metadata"] = Value::Null;
        broken[field] = wrong;
        schema.refuses(&broken);
        env.write("spec.json", broken.to_string());
        let ran = env.run(&["record", "--spec", "spec.json"]);
        assert!(matches!(ran.code, Some(2 | 6)), "{field}: {ran}");
    }
}

fn cases(name: &str) -> Vec<Value> {
    serde_json::from_slice(&fs::read(testdata("vectors").join(name)).unwrap()).unwrap()
}

#[test]
fn canonical_json_agrees_with_its_vectors() {
    let mut refused = 0;
    for case in cases("canonical.json") {
        let parsed = canonical::parse(case["input"].as_str().unwrap().as_bytes());
        if case["refused"] == true {
            assert!(parsed.is_err(), "{case}");
            refused += 1;
            continue;
        }
        let expected = case["canonical"].as_str().unwrap();
        let bytes = canonical::to_bytes(&parsed.unwrap()).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), expected, "{case}");
        assert!(canonical::parse_canonical(expected.as_bytes()).is_ok(), "{case}");
    }
    assert!(refused > 5);
}

#[test]
fn manifests_agree_with_their_vectors() {
    for case in cases("manifest.json") {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let list = |field: &str| case[field].as_array().unwrap().clone();
        let file = |file: &Value| ManifestFile {
            path: text(&file["path"]),
            sha256: text(&file["sha256"]).parse().unwrap(),
            size_bytes: file["size_bytes"].as_u64().unwrap(),
        };
        let manifest = Manifest {
            excludes: list("excludes").iter().map(text).collect(),
            files: list("files").iter().map(file).collect(),
        };
        let bytes = manifest.to_bytes();
        assert_eq!(String::from_utf8(bytes.clone()).unwrap(), text(&case["manifest_utf8"]));
        assert_eq!(manifest.sha256().to_string(), text(&case["sha256"]), "{case:#}");
        assert!(Manifest::parse(&bytes).is_ok_and(|again| again == manifest), "{case:#}");
    }
}

#[test]
fn reproducibility_agrees_with_its_vectors() {
    let schema = Schema::load("reproducibility");
    for case in cases("reproducibility.json") {
        let details: SessionCompleted = serde_json::from_value(case["details"].clone()).unwrap();
        let environment = Some(&case["environment"]).filter(|environment| !environment.is_null());
        let environment = environment.map(|environment| {
            Schema::load("environment").accepts(environment);
            let bytes = canonical::to_bytes(environment).unwrap();
            let parsed = Environment::parse(&bytes).unwrap();
            assert!(parsed.to_bytes().unwrap() == bytes);
            parsed
        });
        let parts = Parts::of(&details, environment.as_ref());
        assert_eq!(parts.document(), case["document"], "{}", case["about"]);
        schema.accepts(&parts.document());
        assert_eq!(json!(parts.sha256()), case["sha256"], "{}", case["about"]);
    }
}

fn from_hex(text: &str) -> Vec<u8> {
    let pairs = (0..text.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn commitments_agree_with_their_vectors_and_with_a_registry() {
    let commitment = |salt: &[u8], identity: &[u8]| Sha256::of(&[salt, identity].concat());
    for case in cases("commitment.json") {
        let identity = canonical::to_bytes(&case["identity"]).unwrap();
        assert_eq!(String::from_utf8(identity.clone()).unwrap(), case["canonical"]);
        let salt = from_hex(case["salt"].as_str().unwrap());
        assert_eq!(commitment(&salt, &identity).to_string(), case["commitment"]);
    }
    let env = Env::new();
    let introduced = Log::read(&env).entries.remove(1);
    let connection = rusqlite::Connection::open(env.path(".lineage/registry.db")).unwrap();
    let sql = "SELECT person, salt, identity FROM person_opening";
    let (person, salt, identity): (String, Vec<u8>, String) =
        connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    assert_eq!(introduced["details"]["person"], person);
    let expected = commitment(&salt, identity.as_bytes()).to_string();
    assert_eq!(introduced["details"]["commitment"], expected);
}

#[test]
fn the_golden_log_reads_and_is_written_again_as_it_is() {
    let log = fs::read_to_string(testdata("vectors/log.ndjson")).unwrap();
    let digests = fs::read_to_string(testdata("vectors/log.sha256")).unwrap();
    let golden = fs::read(testdata("vectors/metadata.json")).unwrap();
    assert_eq!(log.lines().count(), digests.lines().count());
    let (mut types, mut previous) = (BTreeSet::new(), Sha256::ZERO);
    let schema = Schema::load("event");
    for (seq, (line, digest)) in log.lines().zip(digests.lines()).enumerate() {
        let entry = Entry::parse(line.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(entry.to_bytes().unwrap()).unwrap(), line);
        let sha256 = Sha256::of(line.as_bytes());
        assert_eq!(sha256.to_string(), digest, "entry {seq}");
        assert_eq!((entry.seq, entry.prev), (seq as u64, previous));
        let event = entry.event().unwrap();
        assert_eq!((event.action(), event.subject()), (&*entry.action, entry.subject.clone()));
        schema.accepts(&serde_json::from_str(line).unwrap());
        if seq == 2 {
            let bytes = metadata::bytes(&entry, &sha256).unwrap();
            assert_eq!(String::from_utf8(bytes).unwrap(), String::from_utf8_lossy(&golden));
        }
        types.insert(entry.r#type);
        previous = sha256;
    }
    assert_eq!(types, TYPES.split(' ').map(str::to_owned).collect());
}
