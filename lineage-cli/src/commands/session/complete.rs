//! `lineage session complete`

use lineage_core::session::complete;

use super::{SessionArg, nameless};
use crate::args::Global;
use crate::commands::record;
use crate::error::CliError;
use crate::facts::{FactArgs, ResultArgs, skipped_warning};
use crate::output::Output;
use crate::settings;

/// Record an open session as a whole; with an artifact it makes a version
///
/// Data that was named before is read once more: when it changed during the training, it is recorded as
/// it was at the start, and a warning says so. [policies.training] in lineage.toml can require a seed, data,
/// an environment and committed code. A session that was completed before gives the same answer again, and
/// refuses what it has not.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    lineage session complete --artifact models/v3 --metric test.auc=0.93\n  \
    V=$(lineage session complete --session $ID -q)")]
pub(crate) struct CompleteArgs {
    #[command(flatten)]
    session: SessionArg,
    #[command(flatten)]
    facts: FactArgs,
    #[command(flatten)]
    result: ResultArgs,
}

pub(crate) fn run(
    args: &CompleteArgs,
    global: &Global,
    output: &mut Output,
) -> Result<(), CliError> {
    let id = args.session.id()?;
    output.observer().listen_for_interrupts();
    let mut request = nameless()?;
    args.result.add_to(&mut request);
    let skipped = args.facts.add_to(&mut request)?;
    args.facts.attach_to(&mut request)?;
    request.dry_run = args.session.dry_run.dry_run;
    let dry_run = request.dry_run;
    let mut recorded =
        settings::writing(global, output, dry_run, |registry, settings, context| {
            request.schema = args.facts.tables.declared(Some(registry), context)?;
            Ok(complete(registry, settings, &id, &request, context)?)
        })?;
    recorded.warnings.extend(skipped_warning(&skipped));
    record::show(&recorded, dry_run, output)
}
