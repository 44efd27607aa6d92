//! `lineage import …`

pub(crate) mod dvc;
pub(crate) mod gto;
pub(crate) mod mlflow;

use lineage_core::context::Context;
use lineage_core::interop::ImportReport;
use lineage_core::settings::Settings;
use lineage_core::store::Registry;
use lineage_core::takeover::TakeoverError;

use crate::args::Global;
use crate::error::{CliError, ErrorKind};
use crate::output::Output;
use crate::{render, settings};

/// Take over what another tracker recorded, with its own ids and times as claims
///
/// Nothing is lost: what the source holds is counted, and counted again in the registry. Doing it again
/// records only what is new or has changed.
#[derive(clap::Subcommand)]
pub(crate) enum ImportCommand {
    Mlflow(mlflow::MlflowArgs),
    Dvc(dvc::DvcArgs),
    Gto(gto::GtoArgs),
}

pub(crate) fn run(
    command: ImportCommand,
    global: &Global,
    output: &mut Output,
) -> Result<(), CliError> {
    match command {
        ImportCommand::Mlflow(args) => mlflow::run(args, global, output),
        ImportCommand::Dvc(args) => dvc::run(args, global, output),
        ImportCommand::Gto(args) => gto::run(args, global, output),
    }
}

/// Imports, and prints what that did. What was lost makes it a failure.
fn carry_out(
    global: &Global,
    output: &mut Output,
    schema: &str,
    dry_run: bool,
    import: impl FnOnce(&mut Registry, &Settings, &Context<'_>) -> Result<ImportReport, TakeoverError>,
) -> Result<(), CliError> {
    output.observer().listen_for_interrupts();
    let report = settings::writing(global, output, dry_run, |registry, settings, context| {
        Ok(import(registry, settings, context)?)
    })?;
    for problem in &report.problems {
        let (subject, detail) = (render::safe(&problem.subject), render::safe(&problem.detail));
        output.warning(&format!("{subject}: {detail}"));
    }
    if !report.removed.is_empty() {
        output.warning(&format!(
            "named like secrets or looking like them, and left out: {}",
            render::safe(&report.removed.join(", "))
        ));
    }
    for table in &report.left {
        let rows = render::count(table.rows, "row");
        output.warning(&format!(
            "{}: {rows} left out, lineage has no place for them",
            render::safe(&table.table)
        ));
    }
    let id = report.sessions_new.to_string();
    output.result(schema, &report, &id, || text(&report))?;
    if report.is_complete() {
        return Ok(());
    }
    let lost: Vec<String> = report
        .counts
        .iter()
        .filter(|count| count.found != count.imported)
        .map(|count| format!("{} of {} {}", count.imported, count.found, count.kind))
        .chain((report.differing > 0).then(|| format!("{} read back otherwise", report.differing)))
        .collect();
    output.warning(&format!(
        "not everything was imported, or the source changed meanwhile: {}",
        lost.join(", ")
    ));
    Err(CliError::reported(ErrorKind::Failure))
}

fn text(report: &ImportReport) -> String {
    let would = if report.dry_run { "would be " } else { "" };
    let mut lines = format!(
        "{}: {} {would}recorded, {} known\n",
        render::safe(&report.source),
        render::count(report.sessions_new, "session"),
        report.sessions_known
    );
    let mut rows = Vec::new();
    for count in report.counts.iter().filter(|count| count.found > 0 || count.imported > 0) {
        let state = if count.found == count.imported { "" } else { "  LOST" };
        rows.push(vec![
            format!("  {}", count.kind),
            format!(
                "{} of {}{state}",
                render::grouped(count.imported),
                render::grouped(count.found)
            ),
        ]);
    }
    lines.push_str(&render::table(&rows));
    let mut rows = Vec::new();
    for version in &report.versions {
        let here = match (version.version, report.dry_run) {
            (Some(number), _) => format!("{}@{number}", version.model),
            (None, true) if version.path.is_some() => format!("{} (new)", version.model),
            (None, _) => format!("{} (claims only)", version.model),
        };
        rows.push(vec![format!("  {here}"), format!("is {}", render::safe(&version.original))]);
    }
    for pointer in &report.pointers {
        let state = if pointer.set { "set" } else { "claimed" };
        rows.push(vec![
            format!("  {}@{}", pointer.model, render::safe(&pointer.name)),
            format!("{state}: {}", render::safe(&pointer.original)),
        ]);
    }
    lines + &render::table(&rows)
}
