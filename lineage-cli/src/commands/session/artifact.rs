//! `lineage session artifact`

use std::path::PathBuf;

use super::{SessionArg, tell};
use crate::args::Global;
use crate::error::CliError;
use crate::facts::FactArgs;
use crate::output::Output;

/// Say where the model of an open session is; it is hashed when the session completes
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  lineage session artifact models/v3")]
pub(crate) struct ArtifactArgs {
    /// The model file, or a folder of files
    path: PathBuf,
    #[command(flatten)]
    session: SessionArg,
}

pub(crate) fn run(
    args: ArtifactArgs,
    global: &Global,
    output: &mut Output,
) -> Result<(), CliError> {
    let path = args.path;
    let add = |request: &mut lineage_core::record::RecordRequest| request.artifact = Some(path);
    tell(&args.session, &FactArgs::default(), add, global, output)
}
