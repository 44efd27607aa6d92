//! A sealed environment for the `lineage` binary: an own home, a fixed actor, seeded randomness and
//! a clock that ticks one minute per command, so that every byte of output is the same on every run.

pub mod agreement;

use std::cell::Cell;
use std::collections::BTreeMap;
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
        self.command_of(Path::new(env!("CARGO_BIN_EXE_lineage")), arguments)
    }

    /// The same with another program, such as a copy of the binary or a shell.
    pub fn command_of<S: AsRef<OsStr>>(&self, program: &Path, arguments: &[S]) -> Command {
        let tick = self.commands.get();
        self.commands.set(tick + 1);
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&self.root)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root.parent().unwrap())
            // What a machine is like would stand in each entry, and no two machines have one digest.
            .env("LINEAGE_ENVIRONMENT", "none")
            .env("LINEAGE_ACTOR", "Test Person <test@example.org>")
            .env(
                "LINEAGE_TEST_NOW",
                format!("2026-03-01T{:02}:{:02}:00.000000Z", tick / 60 % 24, tick % 60),
            )
            .env("LINEAGE_TEST_SEED", format!("{tick}"))
            .stdin(Stdio::null());
        command
    }

    /// Runs a command in the project's root.
    #[must_use = "assert how it ended, or snapshot what it said"]
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Ran {
        self.finish(self.command(arguments).output().unwrap())
    }

    /// Runs a command with other variables of the environment.
    #[must_use = "assert how it ended, or snapshot what it said"]
    pub fn run_with<S: AsRef<OsStr>>(&self, arguments: &[S], variables: &[(&str, &str)]) -> Ran {
        self.finish(self.command(arguments).envs(variables.iter().copied()).output().unwrap())
    }

    /// A command run by a user whom file permissions bind: ourselves, or `nobody` when we are root.
    #[cfg(unix)]
    pub fn command_unprivileged<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        use std::os::unix::process::CommandExt as _;
        if !is_root() {
            return self.command(arguments);
        }
        let folder = self.root.parent().unwrap();
        set_mode(folder, 0o755);
        let program = folder.join("lineage");
        let binary = env!("CARGO_BIN_EXE_lineage");
        if !program.exists() && fs::hard_link(binary, &program).is_err() {
            // Copied by another process: a file that we hold open for writing cannot be executed.
            assert!(Command::new("cp").arg(binary).arg(&program).status().unwrap().success());
        }
        let mut command = self.command_of(&program, arguments);
        command.uid(NOBODY).gid(NOBODY);
        command
    }

    /// Runs a command as a user whom file permissions bind.
    #[cfg(unix)]
    #[must_use = "assert how it ended, or snapshot what it said"]
    pub fn run_unprivileged<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Ran {
        match self.command_unprivileged(arguments).output() {
            Ok(output) => self.finish(output),
            Err(error) => panic!(
                "this test runs as root and must start a process as user {NOBODY}, which this \
                 machine does not let it do ({error}); run it as an ordinary user"
            ),
        }
    }

    /// Asserts that a command is refused with this exit code, code word and message, for people and
    /// as JSON, and that the log does not grow.
    #[track_caller]
    pub fn refused<S: AsRef<OsStr>>(&self, arguments: &[S], code: i32, word: &str, message: &str) {
        let before = self.log_bytes();
        let plain = self.run(arguments).code(code).says(message);
        assert_eq!(plain.stdout, "", "{plain}");
        assert_eq!(plain.stderr.matches("error: ").count(), 1, "{plain}");
        self.refused_json(arguments, code, word, message);
        assert!(before == self.log_bytes(), "the log changed");
    }

    /// The part of [`Env::refused`] that is about `--json`.
    #[track_caller]
    pub fn refused_json<S: AsRef<OsStr>>(
        &self,
        arguments: &[S],
        code: i32,
        word: &str,
        said: &str,
    ) {
        let mut arguments: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).collect();
        arguments.push("--json".as_ref());
        let ran = self.run(&arguments).code(code).error_code(word);
        let document = ran.json();
        let text = document["error"]["message"].as_str().unwrap();
        assert!(text.contains(said), "\"{said}\" is not in:\n{ran}");
        for forbidden in ["os error", "Os {", "backtrace", "SqliteFailure"] {
            assert!(!ran.stdout.contains(forbidden), "{ran}");
        }
    }

    /// Every entry of the log as text; empty where there is no sound registry.
    fn log_bytes(&self) -> Vec<String> {
        let path = self.path(".lineage/registry.db");
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let Ok(connection) = rusqlite::Connection::open_with_flags(path, flags) else {
            return Vec::new();
        };
        let Ok(mut statement) = connection.prepare("SELECT sha256 FROM event ORDER BY seq") else {
            return Vec::new();
        };
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    /// Asserts that `lineage verify` finds no error.
    #[track_caller]
    pub fn verifies(&self) {
        self.run(&["verify"]).ok();
    }

    /// Runs a command with `--json`; it must succeed and print one document of this schema.
    #[track_caller]
    pub fn json(&self, arguments: &[&str], schema: &str) -> Value {
        let mut lines = self.json_lines(arguments, schema);
        assert_eq!(lines.len(), 1, "{arguments:?}");
        lines.remove(0)
    }

    /// Runs a command with `--json`; it must succeed, and every line must be of this schema.
    #[track_caller]
    pub fn json_lines(&self, arguments: &[&str], schema: &str) -> Vec<Value> {
        let ran = self.run(&[arguments, &["--json"]].concat()).ok();
        let lines: Vec<Value> = ran
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}:\n{ran}")))
            .collect();
        assert!(lines.iter().all(|line| line["schema"] == schema), "{ran}");
        lines
    }

    /// Every file and link below the project, with its content.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let kind = path.symlink_metadata().unwrap().file_type();
                let content = if kind.is_dir() {
                    folders.push(path.clone());
                    Vec::new()
                } else if kind.is_file() {
                    fs::read(&path).unwrap()
                } else {
                    b"special".to_vec()
                };
                found.insert(path.strip_prefix(&self.root).unwrap().to_owned(), content);
            }
        }
        found
    }

    /// Turns the output of a [`Env::command`] into what tests look at.
    pub fn finish(&self, output: Output) -> Ran {
        let ran = Ran {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code(),
            root: self.root.to_string_lossy().into_owned(),
        };
        assert!(
            ![&ran.stdout, &ran.stderr].iter().any(|said| said.contains("(os error ")),
            "{ran}"
        );
        ran
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

impl Drop for Env {
    /// What a test made read-only would stay behind.
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(folder) = self.root.parent() {
            let _ = Command::new("chmod").arg("-R").arg("u+rwX").arg(folder).output();
        }
    }
}

/// The user and group that own nothing.
#[cfg(unix)]
const NOBODY: u32 = 65534;

/// Whether file permissions do not bind us.
#[cfg(unix)]
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    tempfile::tempfile().unwrap().metadata().unwrap().uid() == 0
}

/// Sets a file's or folder's permission bits.
#[cfg(unix)]
pub fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
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
