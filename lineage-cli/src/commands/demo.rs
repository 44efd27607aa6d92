//! `lineage demo`

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;

use crate::error::{CliError, ErrorKind};
use crate::output::Output;

/// Tell the whole story in a temporary folder: record, promote, tamper, roll back, verify
///
/// Everything that `lineage` says in it was said by a real `lineage` process.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  lineage demo\n  lineage demo /tmp/story     # keep it there to try things out"
)]
pub(crate) struct DemoArgs {
    /// An empty or new folder to play in
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// How each model of the story came about.
struct Training {
    folder: &'static str,
    rows: u32,
    auc: &'static str,
    depth: &'static str,
}

const TRAININGS: [Training; 3] = [
    Training { folder: "models/2026-01", rows: 4_000, auc: "0.871", depth: "4" },
    Training { folder: "models/2026-02", rows: 6_000, auc: "0.893", depth: "5" },
    Training { folder: "models/2026-03", rows: 8_000, auc: "0.934", depth: "6" },
];

pub(crate) fn run(args: &DemoArgs, output: &mut Output) -> Result<(), CliError> {
    let temporary;
    let folder = match &args.folder {
        Some(folder) => {
            prepare(folder)?;
            folder.canonicalize().map_err(failed("find", folder))?
        }
        None => {
            temporary = tempfile::Builder::new()
                .prefix("lineage-demo-")
                .tempdir()
                .map_err(failed("create a folder in", &std::env::temp_dir()))?;
            temporary.path().canonicalize().map_err(failed("find", temporary.path()))?
        }
    };
    let mut story = Story { folder: &folder, output, step: 0 };
    story.tell()?;
    let kept = args.folder.is_some();
    let next = match kept {
        true => format!(
            "The project is in {}. Try there:\n\n  \
             lineage log fraud\n  lineage show fraud@prod\n  lineage history fraud --json\n  \
             lineage promote fraud --dry-run\n",
            folder.display()
        ),
        false => "Next, to look around in it yourself:\n\n  \
             lineage demo DIR          the same story in a folder that stays\n\n\
             or begin in your own project:\n\n  \
             lineage init\n  \
             lineage record MODEL --artifact PATH --data training=PATH --metric test.auc=0.93\n  \
             lineage promote MODEL\n  lineage resolve MODEL\n"
            .to_owned(),
    };
    if output.is_json() { Ok(()) } else { output.text(&format!("\n{next}")) }
}

fn prepare(folder: &Path) -> Result<(), CliError> {
    fs::create_dir_all(folder).map_err(failed("create", folder))?;
    let mut entries = fs::read_dir(folder).map_err(failed("read", folder))?;
    if entries.next().is_some() {
        return Err(CliError::new(
            ErrorKind::Occupied,
            format!("{} is not empty", folder.display()),
        )
        .hint("name a new folder: lineage demo NEW-FOLDER"));
    }
    Ok(())
}

fn failed<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> CliError + 'a {
    move |source| {
        lineage_core::files::FileError::Io { action, path: path.to_owned(), source }.into()
    }
}

struct Story<'a> {
    folder: &'a Path,
    output: &'a mut Output,
    step: u32,
}

/// One command of the story, for `--json`.
#[derive(Serialize)]
struct Line<'a> {
    step: u32,
    command: &'a str,
    output: String,
    exit_code: Option<i32>,
}

impl Story<'_> {
    fn tell(&mut self) -> Result<(), CliError> {
        for training in &TRAININGS {
            self.train(training)?;
        }
        self.step("A project with data and three trained models. Make a registry beside them.")?;
        self.shell(&["init", "--pointer-file", "fraud=models/PROD_POINTER.txt"], 0)?;
        self.step("A training script records what it did: data, settings, metrics, model.")?;
        self.record(&TRAININGS[0])?;
        self.step("So do the next two trainings.")?;
        self.record(&TRAININGS[1])?;
        self.record(&TRAININGS[2])?;
        self.step("Release the first two, one after the other; then the third.")?;
        self.shell(&["promote", "fraud", "--version", "1", "--reason", "first release"], 0)?;
        self.shell(&["promote", "fraud", "--version", "2", "--expect", "1"], 0)?;
        self.shell(&["promote", "fraud"], 0)?;
        self.step("A service asks what to load. Every byte is read before the path is printed.")?;
        self.shell(&["resolve", "fraud"], 0)?;
        self.step("Someone overwrites the live model's file.")?;
        self.other("printf 'retrained' > models/2026-03/model.bin")?;
        fs::write(self.folder.join("models/2026-03/model.bin"), b"retrained")
            .map_err(failed("write", self.folder))?;
        self.step("The service is not given bytes that nobody released.")?;
        self.shell(&["resolve", "fraud"], 4)?;
        self.step("Roll back: the version before, bytes verified, in one step.")?;
        self.shell(
            &["rollback", "fraud", "--expect", "3", "--reason", "INC-77: model overwritten"],
            0,
        )?;
        let pointer = self.folder.join("models/PROD_POINTER.txt");
        let text = fs::read(&pointer).map_err(failed("read", &pointer))?;
        self.show("cat models/PROD_POINTER.txt", &text, None, 0)?;
        self.step(
            "Version 3 is not lost: its bytes are in the object store, and are served from there.",
        )?;
        self.shell(
            &[
                "promote",
                "fraud",
                "--version",
                "3",
                "--allow-quarantined",
                "--reason",
                "INC-77 closed",
            ],
            0,
        )?;
        self.shell(&["resolve", "fraud"], 0)?;
        self.step("Who put what live, when and why?")?;
        self.shell(&["history", "fraud"], 0)?;
        self.step("Is everything as recorded? (The file that was overwritten is a note: nothing serves it.)")?;
        self.shell(&["verify"], 0)?;
        self.step(
            "Someone re-points production in the database by hand, past lineage and its log.",
        )?;
        self.other("sqlite3 .lineage/registry.db \"UPDATE pointer SET version = 1\"   (done by the demo itself)")?;
        self.tamper()?;
        self.step("The edited row is found, and named.")?;
        self.shell(&["verify"], 4)
    }

    /// Writes a model and its training data, the same on every run.
    fn train(&self, training: &Training) -> Result<(), CliError> {
        let folder = self.folder.join(training.folder);
        fs::create_dir_all(&folder).map_err(failed("create", &folder))?;
        let mut state = u64::from(training.rows);
        let mut random = || {
            // Knuth's MMIX constants; any fixed sequence will do.
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            state >> 33
        };
        let weights: Vec<u8> = (0..200_000).map(|_| random() as u8).collect();
        fs::write(folder.join("model.bin"), weights).map_err(failed("write", &folder))?;
        let features = "[\"amount\", \"hour\", \"country\"]\n";
        fs::write(folder.join("features.json"), features).map_err(failed("write", &folder))?;
        let data = self.folder.join("data");
        fs::create_dir_all(&data).map_err(failed("create", &data))?;
        let mut table = String::from("id,amount,hour,country,is_fraud\n");
        for id in 0..training.rows {
            let country = ["DE", "FR", "US", "IN"][(random() % 4) as usize];
            let (amount, hour) = (random() % 100_000, random() % 24);
            let fraud = u32::from(random() % 50 == 0);
            table.push_str(&format!(
                "{id},{}.{:02},{hour},{country},{fraud}\n",
                amount / 100,
                amount % 100
            ));
        }
        let path = self.folder.join(data_path(training));
        fs::write(&path, table).map_err(failed("write", &path))
    }

    fn record(&mut self, training: &Training) -> Result<(), CliError> {
        let data = format!("training={}", data_path(training));
        let metric = format!("test.auc={}", training.auc);
        let depth = format!("depth={}", training.depth);
        let features = format!("@{}/features.json", training.folder);
        self.shell(
            &[
                "record",
                "fraud",
                "--artifact",
                training.folder,
                "--data",
                &data,
                "--metric",
                &metric,
                "--param",
                &depth,
                "--seed",
                "42",
                "--features",
                &features,
                "--target",
                "is_fraud",
            ],
            0,
        )
    }

    fn step(&mut self, text: &str) -> Result<(), CliError> {
        self.step += 1;
        if self.output.is_json() {
            return Ok(());
        }
        self.output.text(&format!("\n{}. {text}\n", self.step))
    }

    /// A command of another program, as a person would type it.
    fn other(&mut self, line: &str) -> Result<(), CliError> {
        self.show(line, b"", None, 0)
    }

    /// A command and everything that it said.
    fn show(
        &mut self,
        command: &str,
        said: &[u8],
        exit_code: Option<i32>,
        usual: i32,
    ) -> Result<(), CliError> {
        if self.output.is_json() {
            let output = String::from_utf8_lossy(said).into_owned();
            let line = Line { step: self.step, command, output, exit_code };
            return self.output.result("lineage.demo/1", &line, "", String::new);
        }
        self.output.text(&format!("$ {command}"))?;
        self.output.raw(said)?;
        match exit_code {
            Some(code) if code != usual => self.output.text(&format!("[exit code {code}]")),
            _ => Ok(()),
        }
    }

    /// Shows and runs a lineage command, and shows all that it says.
    fn shell(&mut self, arguments: &[&str], expected: i32) -> Result<(), CliError> {
        let typed: Vec<String> = arguments.iter().map(|argument| quoted(argument)).collect();
        let typed = format!("lineage {}", typed.join(" "));
        let program = std::env::current_exe().map_err(failed("find", Path::new("lineage")))?;
        // One pipe for both streams, so that lines stand in the order in which they were written.
        let (mut reader, writer) = std::io::pipe().map_err(failed("start", &program))?;
        let error_writer = writer.try_clone().map_err(failed("start", &program))?;
        let mut command = Command::new(&program);
        command
            .args(arguments)
            .current_dir(self.folder)
            .env_remove("LINEAGE_REGISTRY")
            .env("LINEAGE_ACTOR", "Demo User <demo@example.org>")
            .stdout(writer)
            .stderr(error_writer);
        let mut child = command.spawn().map_err(failed("start", &program))?;
        drop(command);
        let mut said = Vec::new();
        reader.read_to_end(&mut said).map_err(failed("hear", &program))?;
        let status = child.wait().map_err(failed("wait for", &program))?;
        let code = status.code();
        self.show(&typed, &said, code, 0)?;
        if code == Some(expected) {
            return Ok(());
        }
        Err(CliError::new(
            ErrorKind::Failure,
            format!(
                "the command ended with {code:?}, not with {expected}; this is a bug of the demo"
            ),
        ))
    }

    /// The hand edit, made without any of lineage's own code.
    fn tamper(&self) -> Result<(), CliError> {
        let path = self.folder.join(".lineage/registry.db");
        rusqlite::Connection::open(&path)
            .and_then(|connection| connection.execute("UPDATE pointer SET version = 1", []))
            .map(|_| ())
            .map_err(|error| CliError::new(ErrorKind::Failure, error.to_string()))
    }
}

fn data_path(training: &Training) -> String {
    format!("data/transactions-{}.csv", training.folder.rsplit('/').next().unwrap_or("1"))
}

/// As one would type it in a shell.
fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@".contains(c);
    if argument.chars().all(plain) { argument.to_owned() } else { format!("'{argument}'") }
}
