//! `lineage resolve`

use lineage_core::names::{ModelName, PointerName, Reference};
use lineage_core::pointer::{resolve, resolve_version};

use crate::args::Global;
use crate::error::CliError;
use crate::output::Output;
use crate::settings;

/// Print the path of the live model, after reading and verifying every byte of it
///
/// Writes nothing. Exit code 4 when the bytes are not those that were approved. The path is
/// relative to the working directory when it lies below it, else absolute.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    lineage resolve fraud                    # what is live at prod\n  \
    MODEL=$(lineage resolve fraud) || exit 1 # in a service's start script\n  \
    lineage resolve fraud@staging --json")]
pub(crate) struct ResolveArgs {
    /// A model (its `prod` pointer), or a reference such as fraud@staging or fraud@3
    #[arg(value_name = "MODEL|REF")]
    target: String,
    /// Do not read the bytes
    #[arg(long)]
    no_verify: bool,
}

pub(crate) fn run(
    args: &ResolveArgs,
    global: &Global,
    output: &mut Output,
) -> Result<(), CliError> {
    output.observer().listen_for_interrupts();
    let verify = !args.no_verify;
    let (found, layout) = settings::reading(global, output, |registry, settings, context| {
        let found = registry.read(|reader| {
            if args.target.contains('@') {
                let reference: Reference = args.target.parse()?;
                return Ok::<_, CliError>(resolve_version(
                    reader,
                    settings,
                    &reference,
                    verify,
                    context.observer,
                )?);
            }
            let model: ModelName = args.target.parse()?;
            Ok(resolve(reader, &model, &PointerName::prod(), verify, context.observer)?)
        })?;
        Ok((found, registry.layout().clone()))
    })?;
    let mut found = found;
    found.path = settings::openable(&layout, &found.path);
    output.result("lineage.resolve/1", &found, &found.path, || found.path.clone())
}
