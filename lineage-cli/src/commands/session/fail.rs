//! `lineage session fail`

use lineage_core::session::fail;

use super::{SessionArg, nameless, show};
use crate::args::Global;
use crate::error::CliError;
use crate::output::Output;
use crate::settings;

/// End an open session without a result
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  lineage session fail --reason 'out of memory at epoch 12'")]
pub(crate) struct FailArgs {
    /// Why, kept in clear
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    session: SessionArg,
}

pub(crate) fn run(args: &FailArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    let id = args.session.id()?;
    let request = nameless()?;
    let reason = Some(args.reason.as_str());
    let told = settings::writing(global, output, false, |registry, settings, context| {
        Ok(fail(registry, settings, &id, reason, &request, None, context)?)
    })?;
    show(&told, output)
}
