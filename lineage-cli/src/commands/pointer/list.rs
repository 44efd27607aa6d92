//! `lineage pointer list`

use lineage_core::names::ModelName;
use lineage_core::pointer::{PointerStatus, status};
use serde::Serialize;

use crate::args::Global;
use crate::error::CliError;
use crate::output::Output;
use crate::{render, settings};

/// List all pointers and where they stand
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  lineage pointer list\n  lineage pointer list fraud --json")]
pub(crate) struct ListArgs {
    /// Only this model's
    model: Option<ModelName>,
}

#[derive(Serialize)]
struct Line {
    model: ModelName,
    #[serde(flatten)]
    status: PointerStatus,
}

pub(crate) fn run(args: &ListArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    let found = settings::looking_up(global, output, |registry, settings, context| {
        Ok(status(registry, settings, args.model.as_ref(), context)?)
    })?;
    let mut lines = Vec::new();
    for model in found.models {
        for status in model.pointers {
            lines.push(Line { model: model.model.clone(), status });
        }
    }
    let id = |line: &Line| format!("{}@{}", line.model, line.status.pointer);
    output.stream("lineage.pointer/1", &lines, id, || {
        if lines.is_empty() {
            return "No pointer was ever set.".to_owned();
        }
        let rows: Vec<Vec<String>> = lines
            .iter()
            .map(|line| {
                vec![
                    id(line),
                    line.status.version.map_or("none".to_owned(), |number| number.to_string()),
                    line.status.served_path.as_deref().map(render::safe).unwrap_or_default(),
                ]
            })
            .collect();
        render::table(&rows)
    })
}
