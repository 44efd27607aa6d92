//! `lineage session list`

use lineage_core::lookup;
use lineage_core::names::ModelName;
use lineage_core::store::{Reader, TrainingFilter, TrainingRow, TrainingState};
use serde::Serialize;

use crate::args::{Global, LimitArg};
use crate::error::CliError;
use crate::output::Output;
use crate::spool::waiting_sessions;
use crate::{render, settings};

/// List sessions that were started step by step or by `lineage run`, newest first
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    lineage session list\n  \
    lineage session list fraud --state open --json")]
pub(crate) struct ListArgs {
    /// Only this model's
    model: Option<ModelName>,
    /// Only those that are open, completed or failed
    #[arg(long)]
    state: Option<TrainingState>,
    #[command(flatten)]
    limit: LimitArg,
}

#[derive(Serialize)]
pub(super) struct Line {
    pub(super) session: String,
    pub(super) model: ModelName,
    pub(super) state: TrainingState,
    pub(super) version: Option<u64>,
    pub(super) started: String,
    pub(super) last: String,
    pub(super) actor: String,
    pub(super) reason: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) late: bool,
}

impl Line {
    pub(super) fn of(reader: &Reader<'_>, row: TrainingRow) -> Result<Line, CliError> {
        let actor = lookup::person(reader, &row.person)?.to_string();
        Ok(Line {
            session: row.session,
            model: row.model,
            state: row.state,
            version: row.version,
            started: row.started.to_string(),
            last: row.last.to_string(),
            actor,
            reason: row.reason,
            late: row.late,
        })
    }
}

pub(crate) fn run(args: &ListArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    let lines = settings::looking_up(global, output, |registry, _, _| {
        registry.read(|reader| {
            if let Some(model) = &args.model {
                lookup::known_model(reader, model)?;
            }
            let (model, state, limit) = (args.model.as_ref(), args.state, args.limit.limit);
            let rows = reader.trainings(TrainingFilter { model, state, limit })?;
            rows.into_iter().map(|row| Line::of(reader, row)).collect::<Result<Vec<_>, CliError>>()
        })
    })?;
    output.stream("lineage.session/1", &lines, |line| line.session.clone(), || text(&lines))?;
    let open: Vec<&Line> = lines.iter().filter(|l| l.state == TrainingState::Open).collect();
    let waiting = if open.is_empty() { Vec::new() } else { waiting_sessions(global) };
    if open.iter().any(|line| !waiting.contains(&line.session)) {
        output.hint(
            "of an open session that does not run any more: `lineage session fail --session ID --reason TEXT`",
        );
    }
    if let Some(line) = open.iter().find(|line| waiting.contains(&line.session)) {
        output.hint(&format!(
            "session {} has ended and waits to be recorded; do not fail it: `lineage doctor` says why, \
             `lineage doctor --recover` records it",
            line.session
        ));
    }
    Ok(())
}

fn text(lines: &[Line]) -> String {
    if lines.is_empty() {
        return "No such sessions. `lineage log` lists what was recorded in one call.".to_owned();
    }
    let row = |line: &Line| {
        let name = match line.version {
            Some(number) => format!("{}@{number}", line.model),
            None => line.model.to_string(),
        };
        vec![
            line.session.clone(),
            name,
            format!("{}{}", line.state, render::late(line.late)),
            render::time(&line.started),
            render::time(&line.last),
            render::safe(&line.actor),
            line.reason.as_deref().map(render::safe).unwrap_or_default(),
        ]
    };
    let heads =
        ["session", "model", "state", "started", "last told", "by", "reason"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(heads.to_vec()).chain(lines.iter().map(row)).collect();
    render::table(&rows)
}
