//! What must hold between any two commands, whatever was stopped or killed before them: log,
//! tables, pointer file, `metadata.json` and stored bytes tell one story. Read from SQL and files;
//! only the last check asks `lineage` itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use lineage_core::digest::Sha256;
use serde_json::Value;

use super::Env;

/// The stack of each pointer, by `model@pointer`; `None` stands for a time without a version.
pub type Stacks = BTreeMap<String, Vec<Option<i64>>>;

/// The log as it stands, read past the library.
pub struct Log {
    pub entries: Vec<Value>,
    digests: Vec<String>,
}

impl Log {
    /// Reads every entry, and asserts that numbers have no gap, that each row has its entry's
    /// digest and that each entry is chained to the one before.
    #[track_caller]
    pub fn read(env: &Env) -> Log {
        let database = connect(env);
        let mut statement =
            database.prepare("SELECT seq, entry, sha256 FROM event ORDER BY seq").unwrap();
        let rows = statement
            .query_map([], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, String>(2)?))
            })
            .unwrap();
        let mut log = Log { entries: Vec::new(), digests: Vec::new() };
        let mut previous = "0".repeat(64);
        for row in rows {
            let (seq, bytes, sha256) = row.unwrap();
            let entry: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(seq, log.entries.len() as i64, "event numbers have a gap");
            assert_eq!(entry["seq"], seq);
            assert_eq!(Sha256::of(&bytes).to_string(), sha256, "entry {seq}");
            assert_eq!(entry["prev"], *previous, "entry {seq} is not chained to the one before");
            previous.clone_from(&sha256);
            log.entries.push(entry);
            log.digests.push(sha256);
        }
        log
    }

    fn of_type(&self, name: &str) -> impl Iterator<Item = &Value> {
        self.entries.iter().filter(move |entry| entry["type"] == name)
    }

    /// The sessions that made a version, oldest first.
    pub fn versions(&self) -> impl Iterator<Item = &Value> {
        self.of_type("session.completed").filter(|entry| !entry["details"]["version"].is_null())
    }

    /// The fold of the pointer events.
    pub fn stacks(&self) -> Stacks {
        let mut stacks = Stacks::new();
        for entry in &self.entries {
            let details = &entry["details"];
            let name = || {
                let text = |key: &str| details[key].as_str().unwrap().to_owned();
                format!("{}@{}", text("model"), text("pointer"))
            };
            match entry["type"].as_str().unwrap() {
                "pointer.moved" => {
                    let stack = stacks.entry(name()).or_default();
                    assert_eq!(details["from"].as_i64(), stack.last().copied().flatten());
                    let kept = stack.len() - details["popped"].as_u64().unwrap() as usize;
                    stack.truncate(kept);
                    if details["pushed"] == true {
                        stack.push(details["to"].as_i64());
                    }
                    assert_eq!(details["to"].as_i64(), stack.last().copied().flatten());
                }
                "pointer.adopted" => {
                    stacks.entry(name()).or_default().push(details["to"].as_i64());
                }
                "pointer.unset" => stacks.entry(name()).or_default().push(None),
                _ => {}
            }
        }
        stacks
    }

    /// What the file of `model@pointer` must hold: the path that the last move serves.
    pub fn pointer_file(&self, model: &str, pointer: &str) -> Option<String> {
        let last = self.entries.iter().rfind(|entry| {
            let details = &entry["details"];
            let kind = entry["type"].as_str().unwrap();
            matches!(kind, "pointer.moved" | "pointer.adopted" | "pointer.unset")
                && details["model"] == model
                && details["pointer"] == pointer
        })?;
        last["details"]["served"]["path"].as_str().map(|path| format!("{path}\n"))
    }
}

fn connect(env: &Env) -> rusqlite::Connection {
    rusqlite::Connection::open(env.path(".lineage/registry.db")).unwrap()
}

/// What a pointer file holds; `None` when there is none.
pub fn pointer_file(env: &Env) -> Option<String> {
    fs::read_to_string(env.path("PROD_POINTER.txt")).ok()
}

/// Asserts everything. `PROD_POINTER.txt` must be the file of `fraud@prod`.
#[track_caller]
pub fn assert_agreement(env: &Env) {
    assert_database_agrees(env);
    let log = Log::read(env);
    assert_eq!(pointer_file(env), log.pointer_file("fraud", "prod"), "the file is not the fold");
    assert_metadata_present(env, &log);
    assert_eq!(temporaries(env.root()), [""; 0], "temporaries are left");
    let verified = env.run(&["verify", "--json"]).ok().json();
    assert_eq!(verified["ok"], true, "{verified}");
    let problems = verified["problems"].as_array().unwrap();
    assert!(problems.iter().all(|problem| problem["severity"] == "note"), "{verified}");
}

/// Asserts that the log is whole and that the tables are its fold. Holds at every instant.
#[track_caller]
pub fn assert_database_agrees(env: &Env) {
    let log = Log::read(env);
    let database = connect(env);
    let mut in_log: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for entry in log.versions() {
        let details = &entry["details"];
        let model = details["model"].as_str().unwrap().to_owned();
        let numbers = in_log.entry(model).or_default();
        let number = details["version"]["number"].as_i64().unwrap();
        assert_eq!(number, numbers.len() as i64 + 1, "version numbers are 1, 2, 3, …");
        numbers.push(number);
        let object = details["version"]["sha256"].as_str().unwrap();
        let bytes = fs::read(env.path(".lineage/objects").join(object)).unwrap();
        assert_eq!(Sha256::of(&bytes).to_string(), object, "a stored object is not what it says");
    }
    let mut in_table: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let mut statement =
        database.prepare("SELECT model, number FROM version ORDER BY model, number").unwrap();
    for row in statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap() {
        let (model, number): (String, i64) = row.unwrap();
        in_table.entry(model).or_default().push(number);
    }
    assert_eq!(in_table, in_log, "the version table is not the fold of the log");

    let mut stacks = Stacks::new();
    let sql = "SELECT model || '@' || pointer, version FROM holding ORDER BY 1, position";
    let mut statement = database.prepare(sql).unwrap();
    for row in statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap() {
        let (name, version): (String, Option<i64>) = row.unwrap();
        stacks.entry(name).or_default().push(version);
    }
    assert_eq!(stacks, log.stacks(), "the stacks are not the fold of the log");
    let sql = "SELECT model || '@' || pointer, version FROM pointer";
    let mut statement = database.prepare(sql).unwrap();
    for row in statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap() {
        let (name, version): (String, Option<i64>) = row.unwrap();
        assert_eq!(version, stacks[&name].last().copied().flatten(), "{name}");
    }
}

/// Asserts that at each place of a `metadata.json` the newest version that belongs there is named.
#[track_caller]
fn assert_metadata_present(env: &Env, log: &Log) {
    let mut newest: BTreeMap<&str, &Value> = BTreeMap::new();
    for entry in log.versions() {
        newest.insert(entry["details"]["version"]["metadata_path"].as_str().unwrap(), entry);
    }
    for (path, entry) in newest {
        let document: Value = serde_json::from_str(&env.read(path)).unwrap();
        let seq = entry["seq"].as_u64().unwrap() as usize;
        assert_eq!(document["lineage"]["seq"], entry["seq"], "{path} is not of the newest version");
        assert_eq!(document["lineage"]["entry_sha256"], *log.digests[seq], "{path}");
        assert_eq!(document["version"], entry["details"]["version"]["number"], "{path}");
    }
}

/// Files and folders that a command makes only for a moment.
fn temporaries(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            let momentary = folder.ends_with(".lineage/tmp")
                || name.ends_with(".lineage-tmp")
                || name.starts_with(".lineage-checkout-")
                || name.starts_with(".lineage.init-");
            if momentary {
                found.push(entry.path().to_string_lossy().into_owned());
            } else if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            }
        }
    }
    found
}
