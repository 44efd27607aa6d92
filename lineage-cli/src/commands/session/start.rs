//! `lineage session start`

use lineage_core::names::ModelName;
use lineage_core::record::RecordRequest;
use lineage_core::session::start;

use super::warn;
use crate::args::{DryRun, Global};
use crate::environment::{CaptureArgs, named_in};
use crate::error::CliError;
use crate::facts::{FactArgs, skipped_warning};
use crate::output::Output;
use crate::settings;

/// Start a session, and print its id
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    lineage session start fraud --data training=data/train.csv --seed 42\n  \
    export LINEAGE_SESSION=$(lineage session start fraud --data training=data/train.csv -q)\n  \
    lineage session metric loss=0.31 --step 1\n  \
    lineage session complete --artifact models/v3")]
pub(crate) struct StartArgs {
    /// The model's name
    model: ModelName,
    #[command(flatten)]
    facts: FactArgs,
    #[command(flatten)]
    capture: CaptureArgs,
    #[command(flatten)]
    dry_run: DryRun,
}

pub(crate) fn run(args: &StartArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    output.observer().listen_for_interrupts();
    let mut request = RecordRequest::new(args.model.clone());
    let skipped = args.facts.add_to(&mut request)?;
    args.facts.attach_to(&mut request)?;
    request.dry_run = args.dry_run.dry_run;
    let dry_run = request.dry_run;
    let mut told = settings::writing(global, output, dry_run, |registry, settings, context| {
        request.schema = args.facts.tables.declared(Some(registry), context)?;
        let (capture, warnings) =
            args.capture.capture(named_in(&request), None, settings, registry.layout())?;
        request.capture = capture;
        let mut told = start(registry, settings, &request, context)?;
        told.warnings.extend(warnings);
        Ok(told)
    })?;
    told.warnings.extend(skipped_warning(&skipped));
    warn(&told.warnings, output);
    let id = told.session.clone();
    output.result("lineage.session-step/1", &told, &id, || match dry_run {
        true => format!("Would start a session of {}", told.model),
        false => format!("Started session {id} of {}", told.model),
    })?;
    if !dry_run {
        output.hint(&format!("export LINEAGE_SESSION={id} for the steps that follow"));
    }
    Ok(())
}
