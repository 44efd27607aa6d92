//! `lineage promote`

use lineage_core::events::ServedFrom;
use lineage_core::names::{ModelName, PointerName, Selector};
use lineage_core::pointer::{Expectation, External, Moved, Plan, PromoteRequest, plan, promote};

use crate::args::{DryRun, Global};
use crate::error::{CliError, ErrorKind};
use crate::output::Output;
use crate::{render, settings};

/// Make a version live: move a pointer to it, after verifying the bytes that will be served
///
/// Without --version, the newest that was not rolled back from. Writes the pointer file that
/// lineage.toml names. When the recorded path no longer holds the version's bytes, a read-only copy
/// from the object store is served instead.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    lineage promote fraud\n  \
    lineage promote fraud --version 3 --expect 2 --reason 'CHG-1042'\n  \
    lineage promote fraud --pointer staging --dry-run")]
pub(crate) struct PromoteArgs {
    /// The model
    model: ModelName,
    /// The version: a number, a label, latest, or sha256:…
    #[arg(long, value_name = "V")]
    version: Option<Selector>,
    /// The pointer to move
    #[arg(long, value_name = "P", default_value = "prod")]
    pointer: PointerName,
    /// Fail with exit code 6 unless this version (or `none`) is live
    #[arg(long, value_name = "V")]
    expect: Option<String>,
    /// Why; kept in clear
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Promote a version although it was rolled back from
    #[arg(long)]
    allow_quarantined: bool,
    /// Take what an edited pointer file says as the truth
    #[arg(long, conflicts_with = "overwrite_external")]
    accept_external: bool,
    /// Write over an edited pointer file; the log keeps what it said
    #[arg(long)]
    overwrite_external: bool,
    #[command(flatten)]
    dry_run: DryRun,
}

pub(crate) fn run(args: PromoteArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    let expect = match args.expect.as_deref() {
        None => None,
        Some("none") => Some(Expectation::Nothing),
        Some(text) => Some(Expectation::Version(text.parse()?)),
    };
    let request = PromoteRequest {
        model: args.model,
        version: args.version,
        pointer: args.pointer,
        expect,
        reason: args.reason,
        allow_quarantined: args.allow_quarantined,
        external: match (args.accept_external, args.overwrite_external) {
            (true, _) => External::Accept,
            (_, true) => External::Overwrite,
            _ => External::Refuse,
        },
        dry_run: args.dry_run.dry_run,
    };
    output.observer().listen_for_interrupts();
    let moved =
        settings::writing(global, output, request.dry_run, |registry, settings, context| {
            // What forbids the move is said, and recorded, by the promotion itself.
            if let Ok(Some(plan)) = plan(registry, &request) {
                tell_plan(output, &plan);
            }
            Ok(promote(registry, settings, &request, context)?)
        })?;
    report(output, "lineage.promote/1", &moved)?;
    if moved.changed && !moved.dry_run {
        if let (Some(to), Some(_)) = (moved.to, moved.rollback_target) {
            output.hint(&format!(
                "undo: lineage rollback {}{} --expect {to} --reason TEXT",
                moved.model,
                pointer_flag(&moved.pointer)
            ));
        }
        if moved.pointer_file.is_none() {
            output.hint(&format!(
                "services can ask `lineage resolve {}`, or name a file in lineage.toml (pointer-file)",
                moved.model
            ));
        }
    }
    owed_is_failure(&moved)
}

/// The flag for any pointer but `prod`.
pub(crate) fn pointer_flag(pointer: &PointerName) -> String {
    if *pointer == PointerName::prod() { String::new() } else { format!(" --pointer {pointer}") }
}

/// What differs between the version before and the one after.
fn tell_plan(output: &Output, plan: &Plan) {
    let rows: Vec<Vec<String>> = plan
        .changes
        .iter()
        .map(|change| {
            let shown = |value: &Option<String>| match value {
                Some(value) => render::safe(value),
                None => "none".to_owned(),
            };
            let line = format!("{} → {}", shown(&change.before), shown(&change.after));
            vec![format!("  {}", render::safe(&change.subject)), line]
        })
        .collect();
    if !rows.is_empty() {
        output.remark(render::table(&rows).trim_end());
    }
    if let Some(target) = plan.rollback_target {
        output.remark(&format!("  a rollback from here leads to version {target}"));
    }
}

/// Prints a move, and the warnings that go with it.
pub(crate) fn report(output: &mut Output, schema: &str, moved: &Moved) -> Result<(), CliError> {
    for file in &moved.unrepaired {
        output.warning(&format!(
            "{}, left by an interrupted command, is still not as it must be: {}",
            render::safe(&file.path),
            file.reason
        ));
    }
    for path in &moved.abandoned_files {
        output.warning(&format!(
            "{} is no longer named by lineage.toml; it keeps its content and is not updated any more",
            render::safe(path)
        ));
    }
    if let Some(file) = &moved.pointer_file
        && let Some(problem) = &file.problem
    {
        output.warning(&format!(
            "the move is recorded, but {} could not be written ({problem}); the next command that \
             writes tries again",
            render::safe(&file.path)
        ));
    }
    let id = moved.to.map_or("none".to_owned(), |number| number.to_string());
    output.result(schema, moved, &id, || text(moved))
}

fn text(moved: &Moved) -> String {
    let number = |version: Option<u64>| version.map_or("none".to_owned(), |n| n.to_string());
    let name = format!("{}@{}", moved.model, moved.pointer);
    let path = moved.served_path.as_deref().map(render::safe).unwrap_or_default();
    if !moved.changed {
        return format!("{name} is already {}", number(moved.to));
    }
    let would = if moved.dry_run { "would be moved: " } else { "" };
    let mut lines = vec![format!(
        "{name} {would}{} → {}{}{path}",
        number(moved.from),
        number(moved.to),
        if path.is_empty() { "" } else { "  " }
    )];
    if moved.served_from == Some(ServedFrom::Checkout) {
        lines.push("  served from a read-only copy out of the object store".to_owned());
    }
    if !moved.passed_over.is_empty() {
        let passed: Vec<String> = moved.passed_over.iter().map(u64::to_string).collect();
        lines.push(format!("  passed over, because quarantined: {}", passed.join(", ")));
    }
    if let Some(left) = moved.quarantined {
        let is = if moved.dry_run { "would be" } else { "is now" };
        lines.push(format!("  version {left} {is} quarantined on {}", moved.pointer));
    }
    if let Some(file) = &moved.pointer_file {
        let state = match file.state {
            "planned" if moved.to.is_none() => "would be removed",
            "planned" => "would be written",
            state => state,
        };
        lines.push(format!("  {} {state}", render::safe(&file.path)));
    }
    lines.join("\n")
}

/// A move whose file could not be written is done, but not well.
pub(crate) fn owed_is_failure(moved: &Moved) -> Result<(), CliError> {
    match &moved.pointer_file {
        Some(file) if file.problem.is_some() => Err(CliError::reported(ErrorKind::Failure)),
        _ => Ok(()),
    }
}
