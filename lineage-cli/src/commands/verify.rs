//! `lineage verify`

use std::path::PathBuf;

use lineage_core::files::read_small;
use lineage_core::names::Reference;
use lineage_core::verify::{Severity, Verification, verify, verify_metadata};

use crate::args::Global;
use crate::error::{CliError, ErrorKind};
use crate::output::Output;
use crate::{render, settings};

/// Check everything the registry claims: the log, the tables, the bytes, the pointer files
///
/// Every byte is read; no cache is used. Exit code 4 when something does not hold. Files outside
/// that changed, as training data does, are notes; --strict counts them too.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    lineage verify\n  \
    lineage verify fraud@prod --strict\n  \
    lineage verify --metadata /mnt/archive/metadata.json")]
pub(crate) struct VerifyArgs {
    /// The log, the tables and this version only
    #[arg(value_name = "REF", conflicts_with_all = ["all", "metadata"])]
    reference: Option<Reference>,
    /// Everything (the default)
    #[arg(long, conflicts_with = "metadata")]
    all: bool,
    /// Count notes as errors
    #[arg(long)]
    strict: bool,
    /// Check a copy of a metadata.json, wherever it was found
    #[arg(long, value_name = "FILE")]
    metadata: Option<PathBuf>,
}

/// A metadata.json larger than this is none.
const METADATA_BYTES_MAX: u64 = 64 * 1024 * 1024;

pub(crate) fn run(args: &VerifyArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    output.observer().listen_for_interrupts();
    let found = settings::reading(global, output, |registry, settings, context| {
        Ok(match &args.metadata {
            Some(path) => {
                let bytes = read_small(path, METADATA_BYTES_MAX)?.ok_or_else(|| {
                    CliError::new(ErrorKind::NotFound, format!("there is no {}", path.display()))
                })?;
                verify_metadata(registry, &bytes, &path.to_string_lossy(), args.strict)?
            }
            None => verify(registry, settings, args.reference.as_ref(), args.strict, context)?,
        })
    })?;
    let id = if found.ok { "ok" } else { "problems" };
    output.result("lineage.verify/1", &found, id, || text(&found))?;
    if found.ok {
        return Ok(());
    }
    let rows = found.problems.iter().any(|problem| problem.kind.starts_with("row-"));
    let log = found.problems.iter().any(|p| p.subject.starts_with("entry "));
    if rows && !log {
        output.hint("the log is sound; `lineage doctor --rebuild` makes the tables again from it");
    }
    Err(CliError::reported(ErrorKind::Problems))
}

fn text(found: &Verification) -> String {
    let mut lines = Vec::new();
    for problem in &found.problems {
        let word = match problem.severity {
            Severity::Error => "ERROR",
            Severity::Note => "note ",
        };
        lines.push(format!(
            "{word}  {}  {}\n       {}",
            problem.kind,
            render::safe(&problem.subject),
            render::safe(&problem.detail)
        ));
    }
    let checked = &found.checked;
    let parts = [
        (checked.events, "log entry"),
        (checked.rows, "row"),
        (checked.artifacts, "artifact"),
        (checked.datasets, "dataset"),
        (checked.pointer_files, "pointer file"),
        (checked.metadata_files, "metadata file"),
    ];
    let parts: Vec<String> =
        parts.iter().map(|(number, noun)| render::count(*number, noun)).collect();
    lines.push(format!("checked {}", parts.join(", ")));
    lines.push(match found.ok {
        true => "internally consistent; completeness not proven".to_owned(),
        false => "NOT consistent".to_owned(),
    });
    lines.join("\n")
}
