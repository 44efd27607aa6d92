//! The rules of the house, as tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::repository;

/// Files longer than this are more than one thing.
const LINES_MAX: usize = 800;

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() && !path.ends_with("target") {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
}

/// Rust files below a folder of the repository, with their text.
fn sources(folder: &str) -> Vec<(String, String)> {
    let root = repository();
    let mut found = Vec::new();
    files(&root.join(folder), "rs", &mut found);
    found.sort();
    assert!(!found.is_empty(), "{folder} holds no Rust files");
    found
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// The part of a file before its tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap()
}

#[test]
fn imports_go_down_only() {
    let floors: [&[&str]; 5] = [
        &["arrow", "digest", "canonical", "names", "context", "files", "layout", "redaction"],
        &[
            "table",
            "readers",
            "series",
            "profile",
            "compare",
            "frames",
            "fingerprint",
            "inspect",
            "environment",
            "events",
            "reproducibility",
            "metadata",
            "series",
            "settings",
            "pointer_file",
            "objects",
            "search",
        ],
        &["store"],
        &["lookup", "owed", "tenure"],
        &[
            "record",
            "session",
            "reproduce",
            "pointer",
            "verify",
            "init",
            "diff",
            "impact",
            "graph",
            "takeover",
            "adopt",
            "interop",
        ],
    ];
    let floor_of: BTreeMap<&str, usize> = floors
        .iter()
        .enumerate()
        .flat_map(|(floor, names)| names.iter().map(move |name| (*name, floor)))
        .collect();
    for (name, text) in sources("lineage-core/src") {
        let inside = name.strip_prefix("lineage-core/src/").unwrap();
        let module = inside.split(['/', '.']).next().unwrap();
        if module == "lib" {
            continue;
        }
        let own = floor_of.get(module).unwrap_or_else(|| panic!("{name} has no floor"));
        for part in without_tests(&text).split("crate::").skip(1) {
            let used: String =
                part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if used == module {
                continue;
            }
            let floor =
                floor_of.get(used.as_str()).unwrap_or_else(|| panic!("{name}: crate::{used}"));
            assert!(floor <= own, "{name} (floor {own}) uses crate::{used} (floor {floor})");
        }
    }
}

#[test]
fn the_library_neither_prints_nor_asks_the_world() {
    let forbidden = [
        "println!",
        "eprintln!",
        "print!(",
        "eprint!(",
        "dbg!",
        "std::env",
        "SystemTime::now",
        "Utc::now",
        "Instant::now",
        "process::exit",
    ];
    for (name, text) in sources("lineage-core/src") {
        let code: Vec<&str> =
            text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let code = code.join("\n");
        for word in forbidden {
            assert!(!without_tests(&code).contains(word), "{name} uses {word}");
        }
    }
}

#[test]
fn the_environment_and_the_clock_are_asked_in_one_place() {
    for (name, text) in sources("lineage-cli/src") {
        if name.ends_with("src/settings.rs") {
            continue;
        }
        for word in ["env::var(", "env::var_os", "Utc::now", "SystemTime::now"] {
            assert!(!text.contains(word), "{name} uses {word}");
        }
    }
}

#[test]
fn rusqlite_stays_in_the_store() {
    for folder in ["lineage-core/src", "lineage-cli/src"] {
        for (name, text) in sources(folder) {
            let allowed = name.starts_with("lineage-core/src/store/")
                || name == "lineage-cli/src/commands/demo.rs";
            assert!(allowed || !text.contains("rusqlite"), "{name} uses rusqlite");
        }
    }
}

#[test]
fn only_apply_writes_projection_rows() {
    let schema = fs::read_to_string(repository().join("schema/projections.sql")).unwrap();
    let tables: Vec<&str> = schema
        .lines()
        .filter_map(|line| line.strip_prefix("CREATE TABLE "))
        .map(|rest| rest.split(' ').next().unwrap())
        .filter(|table| *table != "projection_schema")
        .collect();
    assert!(tables.len() > 10);
    for (name, text) in sources("lineage-core/src") {
        if name.ends_with("store/apply.rs") {
            continue;
        }
        for table in &tables {
            for verb in [
                "INSERT INTO",
                "INSERT OR IGNORE INTO",
                "INSERT OR REPLACE INTO",
                "UPDATE",
                "DELETE FROM",
            ] {
                let statement = format!("{verb} {table} ");
                assert!(!without_tests(&text).contains(&statement), "{name}: {statement}");
            }
        }
    }
}

#[test]
fn no_file_is_too_long() {
    for folder in ["lineage-core", "lineage-cli/src", "tests"] {
        for (name, text) in sources(folder) {
            let lines = text.lines().count();
            assert!(lines <= LINES_MAX, "{name} has {lines} lines");
        }
    }
}

#[test]
fn no_test_file_is_forgotten() {
    let root = repository();
    let main = fs::read_to_string(root.join("tests/main.rs")).unwrap();
    for entry in fs::read_dir(root.join("tests")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        if let Some(module) = name.strip_suffix(".rs").filter(|module| *module != "main") {
            assert!(main.contains(&format!("mod {module};")), "tests/{name} is not in main.rs");
        }
    }
}

#[test]
fn every_command_is_documented_and_tested() {
    let root = repository();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let tests: String = sources("tests").into_iter().map(|(_, text)| text).collect();
    let json = fs::read_to_string(root.join("docs/formats/cli-json.md")).unwrap();
    let mut commands = BTreeSet::new();
    let mut found = Vec::new();
    files(&root.join("lineage-cli/src/commands"), "rs", &mut found);
    for path in found {
        let inside = path.strip_prefix(root.join("lineage-cli/src/commands")).unwrap();
        let words = inside.with_extension("").to_string_lossy().replace(['/', '\\'], " ");
        if words != "mod" && !words.ends_with(" mod") {
            commands.insert(words);
        }
    }
    assert!(commands.len() >= 18);
    for command in commands {
        let first = command.split(' ').next().unwrap();
        assert!(readme.contains(first), "README.md does not mention {command}");
        assert!(tests.contains(&format!("\"{first}\"")), "no test runs {command}");
        let row = format!("| `lineage {command}` |");
        assert!(json.contains(&row), "cli-json.md lacks {command}");
    }
}

#[test]
fn exit_codes_and_error_words_are_documented() {
    let root = repository();
    let document = fs::read_to_string(root.join("docs/exit-codes.md")).unwrap();
    let source = fs::read_to_string(root.join("lineage-cli/src/error.rs")).unwrap();
    let kinds = source.split("kinds! {").nth(1).unwrap().split('}').next().unwrap();
    let mut words = 0;
    for line in kinds.lines().filter(|line| line.contains('"')) {
        let word = line.split('"').nth(1).unwrap();
        let code = line.rsplit(' ').next().unwrap().trim_end_matches(',');
        let row = document.lines().find(|row| row.contains(&format!("`{word}`")));
        let row = row.unwrap_or_else(|| panic!("docs/exit-codes.md lacks `{word}`"));
        assert!(row.contains(code), "docs/exit-codes.md gives `{word}` another code than {code}");
        words += 1;
    }
    assert!(words > 30);
}

#[test]
fn released_migrations_are_unchanged() {
    // A new migration gets a new line here; a line never changes after a release.
    let released =
        [("0001_log.sql", "763a9bf48d4d3bf879f6ac8a2810545e4bf8d3b656f39e7c9a5800cf80747d95")];
    let folder = repository().join("schema/migrations");
    let mut found: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    found.sort();
    assert_eq!(found, released.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
    for (name, expected) in released {
        let bytes = fs::read(folder.join(name)).unwrap();
        assert_eq!(lineage_core::digest::Sha256::of(&bytes).to_string(), expected, "{name}");
    }
}

#[test]
fn the_library_finds_its_schema() {
    let link = repository().join("lineage-core/schema");
    assert!(
        link.join("projections.sql").exists(),
        "lineage-core/schema must be a symlink to ../schema; clone with symlinks enabled"
    );
}
