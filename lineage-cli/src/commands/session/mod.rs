//! `lineage session …`

pub(crate) mod artifact;
pub(crate) mod complete;
pub(crate) mod data;
pub(crate) mod fail;
pub(crate) mod list;
pub(crate) mod metric;
pub(crate) mod param;
pub(crate) mod show;
pub(crate) mod start;

use lineage_core::names::ModelName;
use lineage_core::record::{RecordRequest, Warning};
use lineage_core::session::{Told, update};

use crate::args::{DryRun, Global};
use crate::error::CliError;
use crate::facts::{FactArgs, skipped_warning, usage};
use crate::output::Output;
use crate::{render, settings};

/// Record a long training step by step, from any number of processes
///
/// `start` prints the session's id; the other steps take it from --session or LINEAGE_SESSION. Data is
/// hashed when it is named, and once more when the session completes. A session survives a reboot; one
/// that was left open is shown as such by `lineage session list` until it is completed or failed.
#[derive(clap::Subcommand)]
pub(crate) enum SessionCommand {
    Start(start::StartArgs),
    Data(data::DataArgs),
    Param(param::ParamArgs),
    Metric(metric::MetricArgs),
    Artifact(artifact::ArtifactArgs),
    Complete(complete::CompleteArgs),
    Fail(fail::FailArgs),
    List(list::ListArgs),
    Show(show::ShowArgs),
}

pub(crate) fn run(
    command: SessionCommand,
    global: &Global,
    output: &mut Output,
) -> Result<(), CliError> {
    match command {
        SessionCommand::Start(args) => start::run(&args, global, output),
        SessionCommand::Data(args) => data::run(args, global, output),
        SessionCommand::Param(args) => param::run(args, global, output),
        SessionCommand::Metric(args) => metric::run(args, global, output),
        SessionCommand::Artifact(args) => artifact::run(args, global, output),
        SessionCommand::Complete(args) => complete::run(&args, global, output),
        SessionCommand::Fail(args) => fail::run(&args, global, output),
        SessionCommand::List(args) => list::run(&args, global, output),
        SessionCommand::Show(args) => show::run(&args, global, output),
    }
}

/// Which session, and whether anything is written.
#[derive(clap::Args, Clone, Default)]
pub(crate) struct SessionArg {
    /// The session's id, instead of LINEAGE_SESSION
    #[arg(long = "session", value_name = "ID")]
    id: Option<String>,
    #[command(flatten)]
    dry_run: DryRun,
}

impl SessionArg {
    pub(crate) fn id(&self) -> Result<String, CliError> {
        self.id.clone().or_else(|| settings::variable("LINEAGE_SESSION")).ok_or_else(|| {
            usage("no session is named")
                .hint("pass --session ID or set LINEAGE_SESSION; `lineage session start MODEL -q` prints the id")
        })
    }
}

/// A request without a model of its own: the session knows it.
pub(crate) fn nameless() -> Result<RecordRequest, CliError> {
    let model: ModelName = "session".parse()?;
    Ok(RecordRequest::new(model))
}

/// Tells a session what the flags say.
fn tell(
    session: &SessionArg,
    facts: &FactArgs,
    add: impl FnOnce(&mut RecordRequest),
    global: &Global,
    output: &mut Output,
) -> Result<(), CliError> {
    let id = session.id()?;
    output.observer().listen_for_interrupts();
    let mut request = nameless()?;
    let skipped = facts.add_to(&mut request)?;
    facts.attach_to(&mut request)?;
    add(&mut request);
    request.dry_run = session.dry_run.dry_run;
    let dry_run = request.dry_run;
    let mut told = settings::writing(global, output, dry_run, |registry, settings, context| {
        request.schema = facts.tables.declared(Some(registry), context)?;
        for point in request.series.values_mut().flatten() {
            point.time_us = point.time_us.or_else(|| Some((context.clock)().unix_microseconds()));
        }
        Ok(update(registry, settings, &id, &request, context)?)
    })?;
    told.warnings.extend(skipped_warning(&skipped));
    show(&told, dry_run, "Nothing new: the session knew it already.", output)
}

/// Prints what a step came to; `unchanged` when that is nothing.
fn show(told: &Told, dry_run: bool, unchanged: &str, output: &mut Output) -> Result<(), CliError> {
    warn(&told.warnings, output);
    output.result("lineage.session-step/1", told, &told.session, || match told.changed {
        true if dry_run => "The session would be told.".to_owned(),
        true => String::new(),
        false => unchanged.to_owned(),
    })
}

pub(crate) fn warn(warnings: &[Warning], output: &Output) {
    for warning in warnings {
        output.warning(&render::safe(&warning.message));
    }
}
