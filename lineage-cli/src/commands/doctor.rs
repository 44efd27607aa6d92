//! `lineage doctor`

use lineage_core::init::{Finding, examine};
use lineage_core::settings::Settings;
use lineage_core::store::Registry;
use serde::Serialize;

use crate::args::{DryRun, Global};
use crate::error::{CliError, ErrorKind};
use crate::output::Output;
use crate::spool::{Pending, pending, recover};
use crate::{render, settings};

/// Look at the registry's health: place, access, schema, settings, disk
///
/// Paste its output into bug reports.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  lineage doctor\n  lineage doctor --rebuild   # make edited tables again from the log\n  lineage doctor --recover   # record what `lineage run` could not"
)]
pub(crate) struct DoctorArgs {
    /// Make the tables again from the log (after `lineage verify` found edited rows); a copy of the
    /// database is kept in .lineage/backups
    #[arg(long)]
    rebuild: bool,
    /// Record the sessions that `lineage run` could not record when they ended; with --dry-run, say of each
    /// whether that is possible
    #[arg(long)]
    recover: bool,
    #[command(flatten)]
    dry_run: DryRun,
}

#[derive(Serialize)]
struct Report {
    lineage: &'static str,
    ok: bool,
    rebuilt: bool,
    recovered: Vec<String>,
    pending: Vec<Pending>,
    findings: Vec<Finding>,
}

pub(crate) fn run(args: &DoctorArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    let layout = settings::layout(global)?;
    let loaded = Settings::load(&layout.settings()).map_err(CliError::from);
    let rebuild = args.rebuild && !args.dry_run.dry_run;
    if rebuild {
        settings::with_context(global, output, Some(layout.root()), |context| {
            Ok(Registry::open(&layout, context)?.rebuild(context)?)
        })?;
    }
    let (recovered, failed) = match args.recover && !args.dry_run.dry_run {
        true => recover(global, output)?,
        false => (Vec::new(), None),
    };
    for line in &recovered {
        output.note(line);
    }
    if let Some(error) = failed {
        return Err(error);
    }
    let mut findings = settings::with_context(global, output, None, |context| {
        let registry = if args.dry_run.dry_run {
            Registry::open_quietly(&layout, context)?
        } else {
            Registry::open_read_only(&layout, context)?
        };
        Ok(examine(&registry, loaded.as_ref().map_err(|error| error.message.as_str())))
    })?;
    let attempt = args.recover && args.dry_run.dry_run;
    let pending = pending(global, attempt, output)?;
    if !pending.is_empty() {
        let detail = format!(
            "{} could not be recorded at the end; `lineage doctor --recover` does it now",
            render::count(pending.len() as u64, "session")
        );
        findings.push(Finding { name: "late-sessions", ok: false, detail });
    }
    let report = Report {
        lineage: env!("CARGO_PKG_VERSION"),
        ok: findings.iter().all(|finding| finding.ok),
        rebuilt: rebuild,
        recovered,
        pending,
        findings,
    };
    let id = if report.ok { "ok" } else { "problems" };
    output.result("lineage.doctor/1", &report, id, || text(&report))?;
    if report.ok { Ok(()) } else { Err(CliError::reported(ErrorKind::Failure)) }
}

fn text(report: &Report) -> String {
    let mut rows = vec![vec!["ok".to_owned(), "lineage".to_owned(), report.lineage.to_owned()]];
    for finding in &report.findings {
        let word = if finding.ok { "ok" } else { "PROBLEM" };
        rows.push(vec![word.to_owned(), finding.name.to_owned(), render::safe(&finding.detail)]);
    }
    if report.rebuilt {
        rows.push(vec![
            "ok".to_owned(),
            "rebuild".to_owned(),
            "the tables were made again from the log".to_owned(),
        ]);
    }
    render::table(&rows) + &report.pending.iter().map(waits).collect::<String>()
}

/// What is known of a session that waits to be recorded.
fn waits(pending: &Pending) -> String {
    let Pending { path, model, session, problem, obstacle } = pending;
    let session = match session {
        Some(session) => format!("session {session}"),
        None => "a session that could not be started".to_owned(),
    };
    let of = model.as_ref().map(|model| format!(" of {model}")).unwrap_or_default();
    let mut lines = vec![format!("  {}: {session}{of}", path.display())];
    lines.extend(problem.as_ref().map(|text| format!("    not recorded then: {text}")));
    lines.extend(obstacle.as_ref().map(|text| format!("    cannot be recorded: {text}")));
    lines.iter().map(|line| render::safe(line) + "\n").collect()
}
