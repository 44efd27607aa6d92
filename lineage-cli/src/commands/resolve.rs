//! `lineage resolve`

use lineage_core::context::Observer;
use lineage_core::names::{ModelName, PointerName, Reference, Selector};
use lineage_core::pointer::{Answer, Check, Resolved, resolve, resolve_then, resolve_version};
use lineage_core::settings::Settings;
use lineage_core::store::{Past, Reader};

use crate::args::{AtArg, Global};
use crate::error::CliError;
use crate::output::Output;
use crate::settings;

/// Print the path of the live model, after reading and verifying every byte of it
///
/// Writes nothing. Exit code 4 when the bytes are not those that were approved. The path is
/// relative to the working directory when it lies below it, else absolute. With --at nothing is read.
/// The bytes of a pointer are compared by the BLAKE3 that was taken when they were verified by SHA-256
/// and the pointer moved to them, on all cores; those of a version by SHA-256.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    lineage resolve fraud                    # what is live at prod\n  \
    MODEL=$(lineage resolve fraud) || exit 1 # in a service's start script\n  \
    lineage resolve fraud@staging --json\n  \
    lineage resolve fraud --at 2026-03-01    # what was live at the end of that day")]
pub(crate) struct ResolveArgs {
    /// A model (its `prod` pointer), or a reference such as fraud@staging or fraud@3
    #[arg(value_name = "MODEL|REF")]
    target: String,
    /// Do not read the bytes
    #[arg(long)]
    no_verify: bool,
    /// Compare the bytes of a pointer by SHA-256 too
    #[arg(long, conflicts_with_all = ["no_verify", "at"])]
    sha256: bool,
    #[command(flatten)]
    at: AtArg,
}

pub(crate) fn run(
    args: &ResolveArgs,
    global: &Global,
    output: &mut Output,
) -> Result<(), CliError> {
    output.observer().listen_for_interrupts();
    let (mut found, layout) =
        settings::looking_up(global, output, |registry, settings, context| {
            let found = registry.read(|reader| answer(args, reader, settings, context.observer))?;
            Ok((found, registry.layout().clone()))
        })?;
    found.path = settings::openable(&layout, &found.path);
    if matches!(found.answer, Answer::Then(_)) {
        output.remark("this was live then; the bytes at its path now were not read");
    }
    output.result("lineage.resolve/1", &found, &found.path, || found.path.clone())
}

fn answer(
    args: &ResolveArgs,
    reader: &Reader<'_>,
    settings: &Settings,
    observer: &dyn Observer,
) -> Result<Resolved, CliError> {
    let check = match (args.no_verify, args.sha256) {
        (true, _) => Check::No,
        (false, true) => Check::Sha256,
        (false, false) => Check::Quickest,
    };
    let Some(moment) = args.at.at else {
        if args.target.contains('@') {
            let reference: Reference = args.target.parse()?;
            return Ok(resolve_version(reader, settings, &reference, check, observer)?);
        }
        let model: ModelName = args.target.parse()?;
        return Ok(resolve(reader, &model, &PointerName::prod(), check, observer)?);
    };
    let reference = match args.target.contains('@') {
        true => args.target.parse()?,
        false => pointer_reference(&args.target.parse()?),
    };
    let past = Past::of(reader, moment, Some(&reference.model))?;
    resolve_then(&past, settings, &reference, observer)
        .map_err(|error| settings::not_then(error.into(), reader, past.at, Some(&reference.model)))
}

fn pointer_reference(model: &ModelName) -> Reference {
    let selector = Selector::Name(PointerName::prod().to_string());
    Reference { model: model.clone(), selector }
}
