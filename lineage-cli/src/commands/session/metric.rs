//! `lineage session metric`

use std::path::PathBuf;

use lineage_core::series::SeriesPoint;

use super::{SessionArg, tell};
use crate::args::Global;
use crate::error::CliError;
use crate::facts::{FactArgs, usage};
use crate::output::Output;

/// Give an open session metrics, at a step or as final values
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    lineage session metric loss=0.31 validation.auc=0.91 --step 12\n  \
    lineage session metric test.auc=0.93\n  \
    lineage session metric --file metrics.ndjson\n\n\
    A file holds one JSON object, or one a line with \"step\" and perhaps \"time\".")]
pub(crate) struct MetricArgs {
    /// A metric; `training.`, `validation.` or `test.` before the name says on what
    #[arg(value_name = "[SPLIT.]NAME=VALUE")]
    metric: Vec<String>,
    /// The step (epoch, iteration) at which they were measured
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    step: Option<i64>,
    /// Metrics from a file
    #[arg(long, value_name = "FILE")]
    file: Vec<PathBuf>,
    #[command(flatten)]
    session: SessionArg,
}

pub(crate) fn run(args: MetricArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    if args.metric.is_empty() && args.file.is_empty() {
        return Err(usage("no metric is given").hint("lineage session metric NAME=VALUE"));
    }
    if args.step.is_some_and(|step| step.unsigned_abs() >= 1 << 53) {
        return Err(usage("--step: a step lies within ±(2^53 − 1)"));
    }
    if args.step.is_some() && !args.file.is_empty() {
        return Err(usage("--step: the lines of a file name their own steps"));
    }
    let MetricArgs { metric, step, file: metrics_file, session } = args;
    let facts = FactArgs { metric, metrics_file, ..FactArgs::default() };
    let at_step = |request: &mut lineage_core::record::RecordRequest| {
        let Some(step) = step else { return };
        for metric in std::mem::take(&mut request.metrics) {
            let point = SeriesPoint { step, time_us: None, value: metric.value.0 };
            request.series.entry(metric.full_name()).or_default().push(point);
        }
    };
    tell(&session, &facts, at_step, global, output)
}
