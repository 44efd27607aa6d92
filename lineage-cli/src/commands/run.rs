//! `lineage run`

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use lineage_core::environment::Capture;
use lineage_core::events::{Parameter, Run};
use lineage_core::files::reason;
use lineage_core::names::ModelName;
use lineage_core::record::{
    RecordRequest, Recorded, Warning, metrics_from_json, parameters_from_json, policy,
};
use lineage_core::session::{Told, complete, fail, start};
use lineage_core::settings::Settings;

use crate::args::{DryRun, Global};
use crate::child;
use crate::commands::record;
use crate::commands::session::warn;
use crate::environment::{CaptureArgs, named_in};
use crate::error::{CliError, ErrorKind};
use crate::facts::{FactArgs, ResultArgs, in_file, read, skipped_warning};
use crate::output::Output;
use crate::program::{self, Child, Ended};
use crate::settings;
use crate::spool::Spooled;

/// Run a training program and record it: inputs before and after, metrics, exit status, time, memory
///
/// The program's output and exit status are its own; signals are passed on to it. It finds LINEAGE_SESSION,
/// and LINEAGE_METRICS and LINEAGE_PARAMS: files that it may write, as JSON or NDJSON with steps. A program
/// that fails leaves a failed session; one that cannot be started too, and the exit status is ours: 5 when there is
/// none of that name, 1 when it may not be executed. When it succeeds and cannot be recorded, the exit status is that of the
/// error, or 0 with --best-effort. What is known of the session is kept in either case, and `lineage doctor
/// --recover` records it later.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    lineage run fraud --data training=data/train.csv --artifact models/v3 -- python train.py\n  \
    lineage run fraud --data training=data/train.csv --artifact model.pkl --best-effort -- ./train.sh\n\n\
    In Python: json.dump({\"validation\": {\"auc\": auc}}, open(os.environ[\"LINEAGE_METRICS\"], \"w\"))\n\
    What is recorded is said on standard error; --json prints it on standard output after the program's own.")]
pub(crate) struct RunArgs {
    /// The model's name
    model: ModelName,
    #[command(flatten)]
    facts: FactArgs,
    #[command(flatten)]
    result: ResultArgs,
    /// Never let the recording fail the training, nor keep it from starting
    #[arg(long)]
    best_effort: bool,
    #[command(flatten)]
    capture: CaptureArgs,
    #[command(flatten)]
    dry_run: DryRun,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(crate) fn run(
    args: &RunArgs,
    global: &Global,
    output: &mut Output,
) -> Result<ExitCode, CliError> {
    let mut request = RecordRequest::new(args.model.clone());
    args.result.add_to(&mut request);
    let skipped = args.facts.add_to(&mut request)?;
    args.facts.attach_to(&mut request)?;
    request.remove_secrets();
    warn(skipped_warning(&skipped).as_slice(), output);
    request.dry_run = args.dry_run.dry_run;
    let begun = begin(args, &request, global, output);
    if request.dry_run {
        begun?;
        output.remark("The program was not run.");
        return Ok(ExitCode::SUCCESS);
    }
    let session = match begun {
        Ok(session) => Some(session),
        Err(error) if args.best_effort => {
            let message = format!("the session is not recorded yet: {}", error.message);
            output.warning(&message);
            request.capture = captured(args, &request, global, output);
            None
        }
        Err(error) => return Err(error),
    };
    let files = tempfile::tempdir().map_err(|error| {
        let why = reason(&error);
        CliError::new(ErrorKind::Failure, format!("cannot make a temporary folder: {why}"))
    })?;
    let registry = settings::layout(global).ok().map(|layout| layout.registry().to_owned());
    let child = Child {
        command: &args.command,
        session: session.as_deref(),
        registry: registry.as_deref(),
        files: files.path(),
    };
    let artifact = request.artifact.as_deref();
    let before = artifact.map(child::written_state).unwrap_or_default();
    let ended = match child.run() {
        Ok(ended) => ended,
        Err(error) => {
            if let Some(session) = &session {
                let _ = end_failed(session, &error.message, &request, None, global, output);
            }
            return Err(error);
        }
    };
    output.observer().listen_for_interrupts();
    let mut after = request.clone();
    let (mut warnings, broken) = add_written(&mut after, files.path());
    if let Some(path) =
        artifact.filter(|path| !before.is_empty() && before == child::written_state(path))
    {
        let message = format!("{} is as it was before the program ran", path.display());
        warnings.push(Warning { code: "artifact-unwritten", message });
    }
    let end = End { warnings, args, session, after, ended, global };
    end.record(broken, output)
}

/// Starts the session: the data is hashed before the training.
fn begin(
    args: &RunArgs,
    request: &RecordRequest,
    global: &Global,
    output: &Output,
) -> Result<String, CliError> {
    settings::writing(global, output, request.dry_run, |registry, settings, context| {
        let mut request = request.clone();
        request.schema = args.facts.tables.declared(Some(registry), context)?;
        let datasets = request.datasets.len();
        let (named, command) = (named_in(&request), Some(args.command.as_slice()));
        let (capture, warnings) =
            args.capture.capture(named, command, settings, registry.layout())?;
        warn(&warnings, output);
        request.capture = capture;
        // Rather now than after the training.
        policy(settings, &request, datasets)?;
        // The program makes the artifact; of an earlier one nothing must be said.
        request.artifact = None;
        request.label = None;
        let told = start(registry, settings, &request, context)?;
        warn(&told.warnings, output);
        Ok(told.session)
    })
}

/// What a session ran with that could not be started. Without a registry, as for one that would be made in
/// the working directory.
fn captured(
    args: &RunArgs,
    request: &RecordRequest,
    global: &Global,
    output: &Output,
) -> Option<Capture> {
    let capture = || {
        let layout = settings::layout_for(global, &settings::working_directory()?)?;
        let settings = Settings::load(&layout.settings()).unwrap_or_default();
        let command = Some(args.command.as_slice());
        args.capture.capture(named_in(request), command, &settings, &layout)
    };
    match capture() {
        Ok((capture, warnings)) => {
            warn(&warnings, output);
            capture
        }
        Err(error) => {
            output.warning(&format!("the environment is not captured: {}", error.message));
            None
        }
    }
}

fn end_failed(
    session: &str,
    reason: &str,
    after: &RecordRequest,
    run: Option<Run>,
    global: &Global,
    output: &Output,
) -> Result<Told, CliError> {
    settings::writing(global, output, false, |registry, settings, context| {
        let mut request = RecordRequest::new(after.model.clone());
        request.metrics.clone_from(&after.metrics);
        request.series.clone_from(&after.series);
        request.params.clone_from(&after.params);
        request.run = run;
        let told = fail(registry, settings, session, Some(reason), &request, context)?;
        warn(&told.warnings, output);
        Ok(told)
    })
}

/// Adds what the program wrote about itself; a file that cannot be read is a problem, but loses nothing
/// else.
fn add_written(request: &mut RecordRequest, files: &Path) -> (Vec<Warning>, Vec<CliError>) {
    let (mut warnings, mut broken) = (Vec::new(), Vec::new());
    match written(files, program::METRICS) {
        Ok(None) => {}
        Err(error) => broken.push(error),
        Ok(Some(bytes)) => {
            match metrics_from_json(&bytes).map_err(in_file(Path::new("LINEAGE_METRICS"))) {
                Ok(found) => warnings.extend(skipped_warning(&request.add_metrics(found))),
                Err(error) => broken.push(error),
            }
        }
    }
    match written(files, program::PARAMS) {
        Ok(None) => {}
        Err(error) => broken.push(error),
        Ok(Some(bytes)) => {
            match parameters_from_json(&bytes).map_err(in_file(Path::new("LINEAGE_PARAMS"))) {
                Ok(found) => {
                    let known = |p: &Parameter| request.params.contains(p);
                    let new: Vec<_> = found.into_iter().filter(|p| !known(p)).collect();
                    request.params.extend(new);
                }
                Err(error) => broken.push(error),
            }
        }
    }
    (warnings, broken)
}

/// Files that a program writes about itself are not larger.
const WRITTEN_BYTES_MAX: u64 = 1 << 30;

/// What the program wrote to a file; nothing when it wrote none, or nothing into it.
fn written(files: &Path, name: &str) -> Result<Option<Vec<u8>>, CliError> {
    let path = files.join(name);
    let Ok(metadata) = std::fs::metadata(&path) else { return Ok(None) };
    if metadata.is_file() && metadata.len() > WRITTEN_BYTES_MAX {
        let message = format!("{name} has more than 1 GiB, and is not read");
        return Err(CliError::new(ErrorKind::TooLarge, message));
    }
    Ok(Some(read(&path)?).filter(|bytes| !bytes.is_empty()))
}

/// What became of a session.
enum Outcome {
    Recorded(Box<Recorded>),
    Failed(Told),
}

/// A program that ended, and what is known of its session.
struct End<'a> {
    warnings: Vec<Warning>,
    args: &'a RunArgs,
    session: Option<String>,
    after: RecordRequest,
    ended: Ended,
    global: &'a Global,
}

impl End<'_> {
    fn record(mut self, broken: Vec<CliError>, output: &mut Output) -> Result<ExitCode, CliError> {
        let status = ExitCode::from(self.ended.exit_status());
        let outcome = match broken.into_iter().next() {
            Some(error) => Err(error),
            None => self.outcome(output),
        };
        if !matches!(outcome, Ok(Outcome::Recorded(_))) {
            warn(&self.warnings, output);
        }
        let error = match outcome {
            Ok(Outcome::Recorded(mut recorded)) => {
                recorded.warnings.append(&mut self.warnings);
                show(&recorded, output)?;
                return Ok(status);
            }
            Ok(Outcome::Failed(told)) => {
                if output.is_json() {
                    output.result("lineage.session-step/1", &told, &told.session, String::new)?;
                }
                return Ok(status);
            }
            Err(error) => error,
        };
        let kept = self.keep(&error);
        let failed = self.ended.exit_status() != 0;
        if !failed && !self.args.best_effort {
            let hint = error.hint.as_deref().map(|hint| format!("{hint}; ")).unwrap_or_default();
            let hint = format!("{hint}the program itself ended well. {kept}");
            return Err(error.hint(hint));
        }
        let hint = error.hint.as_deref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        output.warning(&format!("the session is NOT recorded: {}{hint}", error.message));
        output.warning(&kept);
        Ok(status)
    }

    /// Keeps what is known of a session that could not be recorded, and says where.
    fn keep(&mut self, error: &CliError) -> String {
        self.after.remove_secrets();
        let session = self.session.clone();
        let spooled = Spooled::new(session, &self.after, &self.ended, &error.message);
        match spooled.save(self.global) {
            Ok(path) => format!(
                "What is known of it was kept in {}; `lineage doctor --recover` in that place records it",
                path.display()
            ),
            Err(text) => format!("What is known of it could not be kept in any place: {text}"),
        }
    }

    /// Completes or fails the session; a version or session that was made is returned.
    fn outcome(&self, output: &Output) -> Result<Outcome, CliError> {
        let Some(session) = &self.session else {
            let message = "it could not be started before the program ran".to_owned();
            return Err(CliError::new(ErrorKind::Failure, message));
        };
        let run = Some(self.ended.run);
        if let Some(reason) = self.ended.reason() {
            let told = end_failed(session, &reason, &self.after, run, self.global, output)?;
            output.remark(&format!("Session {session} failed: {reason}"));
            return Ok(Outcome::Failed(told));
        }
        settings::writing(self.global, output, false, |registry, settings, context| {
            let mut request = self.after.clone();
            // The data was named when the session started.
            request.datasets.clear();
            request.run = run;
            let recorded = complete(registry, settings, session, &request, context)?;
            Ok(Outcome::Recorded(Box::new(recorded)))
        })
    }
}

/// The program has standard output; what was recorded is said beside it.
fn show(recorded: &Recorded, output: &mut Output) -> Result<(), CliError> {
    if output.is_json() {
        return record::show(recorded, false, output);
    }
    warn(&recorded.warnings, output);
    output.remark(record::text(recorded, false).trim_end());
    Ok(())
}
