//! `lineage history`

use lineage_core::context::Timestamp;
use lineage_core::lookup::{self, Person};
use lineage_core::names::{ModelName, PointerName};
use serde::Serialize;

use crate::args::{AtArg, Global, LimitArg};
use crate::error::CliError;
use crate::output::Output;
use crate::{render, settings};

/// Show every move of a model's pointers, refused attempts included, newest first
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  lineage history fraud\n  lineage history fraud --pointer staging --json\n  lineage history fraud --at 2026-03-01"
)]
pub(crate) struct HistoryArgs {
    /// The model
    model: ModelName,
    /// Only this pointer's
    #[arg(long, value_name = "P")]
    pointer: Option<PointerName>,
    #[command(flatten)]
    limit: LimitArg,
    #[command(flatten)]
    at: AtArg,
}

#[derive(Serialize)]
struct Line {
    seq: u64,
    time: Timestamp,
    actor: Person,
    action: String,
    pointer: PointerName,
    from: Option<u64>,
    to: Option<u64>,
    reason: Option<String>,
}

pub(crate) fn run(
    args: &HistoryArgs,
    global: &Global,
    output: &mut Output,
) -> Result<(), CliError> {
    let model = Some(&args.model);
    let (lines, _) = settings::looking_up_at(global, output, &args.at, model, |reader, _, _| {
        lookup::known_model(reader, &args.model)?;
        let mut lines = Vec::new();
        for row in reader.history(&args.model, args.pointer.as_ref(), args.limit.limit)? {
            lines.push(Line {
                actor: lookup::person(reader, &row.person)?,
                seq: row.seq,
                time: row.time,
                action: row.action,
                pointer: row.pointer,
                from: row.from,
                to: row.to,
                reason: row.reason,
            });
        }
        Ok(lines)
    })?;
    output.stream("lineage.history/1", &lines, |line| line.seq.to_string(), || text(&lines))
}

fn text(lines: &[Line]) -> String {
    if lines.is_empty() {
        return "No pointer was ever moved.".to_owned();
    }
    let number = |version: Option<u64>| version.map_or("none".to_owned(), |n| n.to_string());
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            let arrow = if line.action == "refuse" { "⇸" } else { "→" };
            vec![
                line.seq.to_string(),
                render::time(line.time),
                line.pointer.to_string(),
                line.action.clone(),
                format!("{} {arrow} {}", number(line.from), number(line.to)),
                render::safe(&line.actor.to_string()),
                render::safe(line.reason.as_deref().unwrap_or("")),
            ]
        })
        .collect();
    render::table(&rows)
}
