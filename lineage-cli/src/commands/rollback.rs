//! `lineage rollback`

use lineage_core::names::{ModelName, PointerName, Selector};
use lineage_core::pointer::{RollbackRequest, rollback};

use super::promote::{owed_is_failure, pointer_flag, report};
use crate::args::{DryRun, Global};
use crate::error::CliError;
use crate::output::Output;
use crate::settings;

/// Go back to the version that was live before
///
/// A walk down the pointer's stack: calling it again goes further back, it never toggles. The
/// version left behind is quarantined, so that the next plain promote does not bring it back. With
/// --expect it is safe to retry: two people on call, or a retried job, go back once.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    lineage rollback fraud --expect 3 --reason 'INC-77: score drift'    # the runbook step\n  \
    lineage rollback fraud --version 1 --reason 'INC-78'\n  \
    lineage rollback fraud --reason test --dry-run")]
pub(crate) struct RollbackArgs {
    /// The model
    model: ModelName,
    /// Why; kept in clear
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// A version that once held the pointer, instead of the next one down
    #[arg(long, value_name = "V")]
    version: Option<Selector>,
    /// The pointer to move
    #[arg(long, value_name = "P", default_value = "prod")]
    pointer: PointerName,
    /// Go back only from this version; exit code 6 if another is live, 0 if that was already done
    #[arg(long, value_name = "V")]
    expect: Option<Selector>,
    /// Do not quarantine the version left behind
    #[arg(long)]
    no_quarantine: bool,
    /// Let the target be a quarantined version
    #[arg(long)]
    allow_quarantined: bool,
    #[command(flatten)]
    dry_run: DryRun,
}

pub(crate) fn run(
    args: RollbackArgs,
    global: &Global,
    output: &mut Output,
) -> Result<(), CliError> {
    let request = RollbackRequest {
        model: args.model,
        pointer: args.pointer,
        reason: args.reason,
        version: args.version,
        expect: args.expect,
        no_quarantine: args.no_quarantine,
        allow_quarantined: args.allow_quarantined,
        dry_run: args.dry_run.dry_run,
    };
    output.observer().listen_for_interrupts();
    let moved =
        settings::writing(global, output, request.dry_run, |registry, settings, context| {
            Ok(rollback(registry, settings, &request, context)?)
        })?;
    report(output, "lineage.rollback/1", &moved)?;
    if let (Some(left), false) = (moved.quarantined, moved.dry_run) {
        output.hint(&format!(
            "when it is mended: lineage promote {}{} --version {left} --allow-quarantined",
            moved.model,
            pointer_flag(&moved.pointer)
        ));
    }
    owed_is_failure(&moved)
}
