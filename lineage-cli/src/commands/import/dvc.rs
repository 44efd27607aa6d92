//! `lineage import dvc`

use std::path::PathBuf;

use lineage_core::interop::dvc::{DvcRequest, import};

use crate::args::{DryRun, Global};
use crate::error::CliError;
use crate::output::Output;

/// Import what DVC's .dvc and dvc.lock files say, and hash the data that they name
///
/// Each file, and each stage of a dvc.lock, becomes a session. MD5s are kept as claims; SHA-256 is
/// computed from what the workspace or DVC's cache holds with that MD5.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    lineage import dvc --dry-run\n  \
    lineage import dvc ../fraud-pipeline")]
pub(crate) struct DvcArgs {
    /// The folder with DVC's files
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    dry_run: DryRun,
}

pub(crate) fn run(args: DvcArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    let request = DvcRequest { folder: args.folder, dry_run: args.dry_run.dry_run };
    let schema = "lineage.import-dvc/1";
    super::carry_out(global, output, schema, request.dry_run, |registry, settings, context| {
        import(registry, settings, &request, context)
    })
}
