//! `lineage pointer unset`

use lineage_core::names::{ModelName, PointerName};
use lineage_core::pointer::{UnsetRequest, unset};

use crate::args::{DryRun, Global};
use crate::commands::promote::{owed_is_failure, report};
use crate::error::CliError;
use crate::output::Output;
use crate::settings;

/// Take a pointer away: nothing is live there any more, and its file is removed
///
/// Asks first; without a terminal, pass --yes. `lineage rollback` brings the version back.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  lineage pointer unset fraud --pointer shadow --yes --reason 'trial ended'"
)]
pub(crate) struct UnsetArgs {
    /// The model
    model: ModelName,
    /// The pointer
    #[arg(long, value_name = "P", default_value = "prod")]
    pointer: PointerName,
    /// Why; kept in clear
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    dry_run: DryRun,
}

pub(crate) fn run(args: UnsetArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    let request = UnsetRequest {
        model: args.model,
        pointer: args.pointer,
        reason: args.reason,
        dry_run: args.dry_run.dry_run,
    };
    let moved =
        settings::writing(global, output, request.dry_run, |registry, settings, context| {
            if !request.dry_run {
                let question =
                    format!("leave {}@{} without a live version?", request.model, request.pointer);
                output.confirm(&question)?;
            }
            Ok(unset(registry, settings, &request, context)?)
        })?;
    report(output, "lineage.pointer-unset/1", &moved)?;
    owed_is_failure(&moved)
}
