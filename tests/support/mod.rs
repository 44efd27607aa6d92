//! A sealed environment for the `lineage` binary: an own home, a fixed actor, seeded randomness and
//! a clock that ticks one minute per command, so that every byte of output is the same on every run.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The path of a file in `testdata/`.
pub fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata").join(name)
}

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// A project folder and everything a command needs around it.
pub struct Env {
    _folder: tempfile::TempDir,
    root: PathBuf,
    commands: Cell<u32>,
}

/// What a command said and how it ended.
pub struct Ran {
    pub stdout: String,
    pub stderr: String,
    pub code: Option<i32>,
    root: String,
}

impl Env {
    /// An empty project folder.
    pub fn empty() -> Env {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap().join("project");
        fs::create_dir(&root).unwrap();
        Env { _folder: folder, root, commands: Cell::new(0) }
    }

    /// A project folder with a registry.
    pub fn new() -> Env {
        let env = Env::empty();
        env.run(&["init"]).ok();
        env
    }

    /// A project with `versions` recorded file models `m1.bin`, `m2.bin`, … of the model `fraud`,
    /// each in a folder of its own, and a pointer file configured.
    pub fn with_versions(versions: u32) -> Env {
        let env = Env::empty();
        env.run(&["init", "--pointer-file", "fraud=PROD_POINTER.txt"]).ok();
        for number in 1..=versions {
            let path = format!("v{number}/model.bin");
            env.write(&path, format!("model number {number}, {}", "x".repeat(100)));
            env.run(&["record", "fraud", "--artifact", &path]).ok();
        }
        env
    }

    /// The project's root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path in the project.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Writes a file, and the folders above it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// The text of a file.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The command, ready to be changed and started.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let tick = self.commands.get();
        self.commands.set(tick + 1);
        let mut command = Command::new(env!("CARGO_BIN_EXE_lineage"));
        command
            .args(arguments)
            .current_dir(&self.root)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root.parent().unwrap())
            .env("LINEAGE_ACTOR", "Test Person <test@example.org>")
            .env("LINEAGE_TEST_NOW", format!("2026-03-01T{:02}:{:02}:00.000000Z", tick / 60 % 24, tick % 60))
            .env("LINEAGE_TEST_SEED", format!("{tick}"))
            .stdin(Stdio::null());
        command
    }

    /// Runs a command in the project's root.
    #[must_use = "assert how it ended, or snapshot what it said"]
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Ran {
        self.finish(self.command(arguments).output().unwrap())
    }

    /// Turns the output of a [`Env::command`] into what tests look at.
    pub fn finish(&self, output: Output) -> Ran {
        Ran {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code(),
            root: self.root.to_string_lossy().into_owned(),
        }
    }

    /// Runs SQL on the live database, past lineage, with triggers in force.
    pub fn sql(&self, sql: &str) -> rusqlite::Result<()> {
        rusqlite::Connection::open(self.path(".lineage/registry.db"))?.execute_batch(sql)
    }

    /// The number of entries in the log.
    pub fn entries(&self) -> i64 {
        self.query("SELECT COUNT(*) FROM event")
    }

    /// One number from the live database.
    pub fn query(&self, sql: &str) -> i64 {
        rusqlite::Connection::open(self.path(".lineage/registry.db"))
            .unwrap()
            .query_row(sql, [], |row| row.get(0))
            .unwrap()
    }
}

impl Ran {
    /// Asserts success.
    #[track_caller]
    pub fn ok(self) -> Ran {
        assert_eq!(self.code, Some(0), "{self}");
        self
    }

    /// Asserts an exit code.
    #[track_caller]
    pub fn code(self, expected: i32) -> Ran {
        assert_eq!(self.code, Some(expected), "{self}");
        self
    }

    /// Asserts that standard error holds a text.
    #[track_caller]
    pub fn says(self, text: &str) -> Ran {
        assert!(self.stderr.contains(text), "\"{text}\" is not in:\n{self}");
        self
    }

    /// The one JSON document on standard output.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}:\n{self}"))
    }

    /// Asserts that standard output is an error document with this code word.
    #[track_caller]
    pub fn error_code(self, word: &str) -> Ran {
        let document = self.json();
        assert_eq!(document["schema"], "lineage.error/1", "{self}");
        assert_eq!(document["error"]["code"], word, "{self}");
        assert!(document["error"]["message"].as_str().is_some_and(|m| !m.is_empty()), "{self}");
        self
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &str| text.replace(&self.root, "$PROJECT");
        f.write_str(&shown(&self.stdout))?;
        if !self.stderr.is_empty() {
            write!(f, "------- stderr -------\n{}", shown(&self.stderr))?;
        }
        if self.code != Some(0) {
            write!(f, "[exit status: {:?}]", self.code)?;
        }
        Ok(())
    }
}
