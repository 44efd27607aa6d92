//! `lineage log`

use lineage_core::digest::Sha256;
use lineage_core::events::Metric;
use lineage_core::lookup;
use lineage_core::names::{Label, ModelName};
use lineage_core::store::{DatasetRow, LogFilter, Reader, SessionRow};
use serde::Serialize;

use crate::args::{Global, LimitArg};
use crate::error::CliError;
use crate::output::Output;
use crate::{render, settings};

/// List recorded sessions and versions, newest first
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  lineage log\n  lineage log fraud --limit 10\n  lineage log fraud --json | head -1"
)]
pub(crate) struct LogArgs {
    /// Only this model's
    model: Option<ModelName>,
    #[command(flatten)]
    limit: LimitArg,
}

/// A session as `log` and `search` list it.
#[derive(Serialize)]
pub(super) struct Line {
    model: ModelName,
    version: Option<u64>,
    label: Option<Label>,
    session: String,
    created: String,
    artifact_sha256: Option<Sha256>,
    datasets: Vec<DatasetRow>,
    metrics: Vec<Metric>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    late: bool,
}

pub(crate) fn run(args: &LogArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    let (lines, open) = settings::looking_up(global, output, |registry, _, _| {
        registry.read(|reader| {
            if let Some(model) = &args.model {
                lookup::known_model(reader, model)?;
            }
            let model = args.model.as_ref();
            let lines =
                lines(reader, reader.sessions(LogFilter { model, limit: args.limit.limit })?)?;
            Ok::<_, CliError>((lines, reader.open_trainings(model)?))
        })
    })?;
    print(output, "lineage.log/1", &lines, "Nothing is recorded yet.")?;
    if open > 0 {
        let open = render::count(open, "session");
        let of = args.model.as_ref().map(|model| format!(" {model}")).unwrap_or_default();
        output.hint(&format!(
            "open and not listed here: {open}; see `lineage session list{of} --state open`"
        ));
    }
    Ok(())
}

pub(super) fn lines(reader: &Reader<'_>, sessions: Vec<SessionRow>) -> Result<Vec<Line>, CliError> {
    sessions.into_iter().map(|session| line(reader, session)).collect()
}

pub(super) fn print(
    output: &mut Output,
    schema: &str,
    lines: &[Line],
    none: &str,
) -> Result<(), CliError> {
    let id = |line: &Line| match line.version {
        Some(number) => format!("{}@{number}", line.model),
        None => line.session.clone(),
    };
    output.stream(
        schema,
        lines,
        id,
        || if lines.is_empty() { none.to_owned() } else { text(lines) },
    )
}

fn line(reader: &Reader<'_>, session: SessionRow) -> Result<Line, CliError> {
    Ok(Line {
        metrics: reader.metrics(&session.session)?,
        datasets: reader.datasets(&session.session)?,
        model: session.model,
        version: session.version,
        label: session.label,
        session: session.session,
        created: session.created.to_string(),
        artifact_sha256: session.artifact_sha256,
        late: session.late,
    })
}

fn text(lines: &[Line]) -> String {
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            let name = match line.version {
                Some(number) => format!("{}@{number}", line.model),
                None => format!("{} (no version)", line.model),
            };
            let metrics: Vec<String> = line
                .metrics
                .iter()
                .take(3)
                .map(|metric| {
                    format!("{}={}", render::safe(&metric.full_name().to_string()), metric.value)
                })
                .collect();
            let more = if line.metrics.len() > 3 { " …" } else { "" };
            vec![
                name,
                line.label.as_ref().map(|label| label.to_string()).unwrap_or_default(),
                format!("{}{}", render::time(&line.created), render::late(line.late)),
                line.artifact_sha256.map(|digest| digest.short()).unwrap_or_default(),
                format!("{}{more}", metrics.join("  ")),
            ]
        })
        .collect();
    render::table(&rows)
}
