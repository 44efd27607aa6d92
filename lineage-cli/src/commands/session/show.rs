//! `lineage session show`

use lineage_core::events::SessionFacts;
use lineage_core::record::RecordError;
use lineage_core::session::known;
use serde::Serialize;

use super::SessionArg;
use super::list::Line;
use crate::args::Global;
use crate::error::CliError;
use crate::output::Output;
use crate::{render, settings};

/// Show where a session stands and what was said of it
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    lineage session show\n  \
    lineage session show 01JQ3XWPRT5VRBSGAKP8T0BZRN --json\n\n\
    Of a completed session, `lineage show REF` says more.")]
pub(crate) struct ShowArgs {
    /// The session's id, instead of LINEAGE_SESSION
    id: Option<String>,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    line: Line,
    facts: SessionFacts,
}

pub(crate) fn run(args: &ShowArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    let id = SessionArg { id: args.id.clone(), ..SessionArg::default() }.id()?;
    let shown = settings::looking_up(global, output, |registry, _, _| {
        registry.read(|reader| {
            let row = reader.training(&id)?.ok_or_else(|| RecordError::NoSession(id.clone()))?;
            let facts = known(reader, &id)?;
            Ok::<_, CliError>(Shown { line: Line::of(reader, row)?, facts })
        })
    })?;
    output.result("lineage.session/1", &shown, &id, || text(&shown))
}

fn text(shown: &Shown) -> String {
    let Shown { line, facts } = shown;
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |name: &str, value: String| rows.push(vec![format!("  {name}"), value]);
    row("state", format!("{}{}", line.state, render::late(line.late)));
    row("started", format!("{} by {}", render::time(&line.started), render::safe(&line.actor)));
    row("last told", render::time(&line.last));
    if let Some(reason) = &line.reason {
        row("reason", render::safe(reason));
    }
    if let Some(claims) = &facts.claims {
        row("claimed", render::claimed(&claims.source, claims.created));
    }
    let datasets = &facts.datasets;
    let named: Vec<_> =
        datasets.iter().map(|d| (d.role.as_str(), d.name.as_str(), d.path.as_str())).collect();
    for (dataset, role) in datasets.iter().zip(render::roles(&named)) {
        row(
            &format!("data {role}"),
            format!("{}  {}", render::safe(&dataset.path), dataset.sha256.short()),
        );
    }
    for param in &facts.params {
        row(&render::safe(&format!("param {}", param.name)), render::safe(&param.text));
    }
    for metric in &facts.metrics {
        let name = render::safe(&format!("metric {}", metric.full_name()));
        row(&name, metric.value.to_string());
    }
    let points = facts.points.len() as u64 + facts.series.iter().map(|s| s.points).sum::<u64>();
    if points > 0 {
        row("steps", format!("{} of metrics", render::count(points, "point")));
    }
    if let Some(path) = &facts.artifact {
        row("artifact", render::safe(path));
    }
    if let Some(seed) = &facts.seed {
        row("seed", seed.clone());
    }
    let name = match line.version {
        Some(number) => format!("{}@{number}", line.model),
        None => line.model.to_string(),
    };
    format!("session {} of {name}\n{}", line.session, render::table(&rows))
}
