//! `lineage session fail`

use lineage_core::session::fail;

use super::{SessionArg, nameless, show};
use crate::args::Global;
use crate::error::CliError;
use crate::facts::usage;
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
    if args.reason.trim().is_empty() {
        return Err(usage("the reason is empty").hint("say why in a few words: --reason TEXT"));
    }
    let mut request = nameless()?;
    request.dry_run = args.session.dry_run.dry_run;
    let dry_run = request.dry_run;
    let reason = Some(args.reason.as_str());
    let told = settings::writing(global, output, dry_run, |registry, settings, context| {
        Ok(fail(registry, settings, &id, reason, &request, context)?)
    })?;
    show(&told, dry_run, "Nothing changed: the session had failed already.", output)
}
