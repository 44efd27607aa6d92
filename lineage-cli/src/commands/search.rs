//! `lineage search`

use lineage_core::search::Query;

use super::log::{lines, print};
use crate::args::{Global, LimitArg};
use crate::error::CliError;
use crate::output::Output;
use crate::settings;

/// Find sessions and versions by what was recorded of them
///
/// Tests are joined by and, or, not and parentheses. Fields: model, version, label, session, created,
/// seed, model_type, actor, artifact, pointer, data, data.ROLE, data.path, param.NAME, tag.NAME,
/// metric.NAME, metric.validation.NAME. Operators: = != < <= > >= ~ (contains), exists. Names and
/// texts with spaces stand in double quotes. `order by FIELD [asc|desc]` may follow; without it the
/// newest come first.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    lineage search 'metric.validation.auc > 0.9 and model = fraud'\n  \
    lineage search 'data = sha256:1b34b7 and not pointer exists' --json\n  \
    lineage search 'created >= 2026-03-01 and param.depth = 6 order by metric.test.auc desc'\n  \
    lineage search 'metric.\"f1 score\" exists or tag.team ~ risk' --limit 10")]
pub(crate) struct SearchArgs {
    /// What must hold, e.g. 'metric.validation.auc > 0.9 and model = fraud'
    #[arg(value_name = "EXPR")]
    question: String,
    #[command(flatten)]
    limit: LimitArg,
}

pub(crate) fn run(args: &SearchArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    let query = args
        .question
        .parse::<Query>()
        .map_err(|error| CliError::from(error.clone()).at(&args.question, error.character))?;
    let found = settings::looking_up(global, output, |registry, _, _| {
        registry.read(|reader| lines(reader, reader.search(&query, args.limit.limit)?))
    })?;
    print(output, "lineage.search/1", &found, "No session fits.")
}
