//! `lineage checkout`

use std::path::PathBuf;

use lineage_core::names::Reference;
use lineage_core::pointer::checkout;

use crate::args::{DryRun, Global};
use crate::error::CliError;
use crate::output::Output;
use crate::settings;

/// Take a version's bytes from the object store, verified
///
/// Into DIR under the artifact's own name, or into the registry's read-only checkouts.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  lineage checkout fraud@2 /tmp/look\n  lineage checkout fraud@prod -q"
)]
pub(crate) struct CheckoutArgs {
    /// fraud@3, fraud@1.0.0, fraud@prod, …
    #[arg(value_name = "REF")]
    reference: Reference,
    /// The folder to put it into
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    dry_run: DryRun,
}

pub(crate) fn run(
    args: &CheckoutArgs,
    global: &Global,
    output: &mut Output,
) -> Result<(), CliError> {
    output.observer().listen_for_interrupts();
    let dry_run = args.dry_run.dry_run;
    let made = settings::writing(global, output, dry_run, |registry, settings, context| {
        let folder = args.folder.as_deref();
        let mut made = checkout(registry, settings, &args.reference, folder, dry_run, context)?;
        made.path = settings_path(registry, &made.path);
        Ok(made)
    })?;
    output.result("lineage.checkout/1", &made, &made.path, || made.path.clone())
}

fn settings_path(registry: &lineage_core::store::Registry, path: &str) -> String {
    settings::openable(registry.layout(), path)
}
