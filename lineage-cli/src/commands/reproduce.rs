//! `lineage reproduce`

use std::ffi::OsString;
use std::path::PathBuf;

use lineage_core::context::Context;
use lineage_core::names::{ModelName, Reference};
use lineage_core::record::RecordRequest;
use lineage_core::reproduce::{self, Comparison, PartComparison, Recorded, Verdict};
use lineage_core::settings::Settings;
use lineage_core::store::Registry;
use serde::Serialize;

use crate::args::Global;
use crate::environment::CaptureArgs;
use crate::error::{CliError, ErrorKind};
use crate::facts::FactArgs;
use crate::output::Output;
use crate::tables::TableArgs;
use crate::training_again::{self, Again};
use crate::{render, settings};

/// Say whether a version could be made again, or train it again and compare
///
/// Compares what trained the version with what is at hand, part by part: the data that --data names, the
/// settings that flags give, the code and the packages as they are here. What nobody recorded, or nobody
/// gives, is unknown, and never counts as a match. With a command after `--` the training runs again and
/// the model that it writes is compared: bit-identical, metrics equal within --tolerance, or different.
/// Nothing is recorded.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  lineage reproduce fraud@3 --data training=data/train.csv --param depth=6 --seed 42\n  lineage reproduce fraud@prod --data training=train.parquet --exit-code -q\n  lineage reproduce fraud@3 --artifact /tmp/again.pkl --tolerance 0.001 -- python train.py --out /tmp/again.pkl\n\nThe command finds in LINEAGE_METRICS the file that it may write its metrics to, as JSON."
)]
pub(crate) struct ReproduceArgs {
    /// The version, e.g. fraud@3
    #[arg(value_name = "REF")]
    reference: Reference,
    /// A dataset at hand: its role and path
    #[arg(long, value_name = "ROLE[:NAME]=PATH")]
    data: Vec<OsString>,
    /// A parameter
    #[arg(long, value_name = "NAME=VALUE")]
    param: Vec<String>,
    /// Parameters from a JSON object
    #[arg(long, value_name = "FILE")]
    params_file: Vec<PathBuf>,
    /// The random seed
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    seed: Option<String>,
    /// A feature column, or @FILE with a JSON list or one name a line
    #[arg(long, value_name = "COL|@FILE")]
    features: Vec<String>,
    /// A target column
    #[arg(long, value_name = "COL")]
    target: Vec<String>,
    /// Leave matching files out of folders
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// The Python whose packages are compared [default: that of the active environment]
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// End with exit code 10 unless all parts match; with a command, unless its model does
    #[arg(long)]
    exit_code: bool,
    /// Metrics that are no further apart are equal
    #[arg(long, value_name = "T", default_value_t = 0.0, requires = "command")]
    tolerance: f64,
    /// Where the command writes the model [default: where the version was recorded]
    #[arg(long, value_name = "PATH", requires = "command")]
    artifact: Option<PathBuf>,
    /// A file of metrics that the command writes
    #[arg(long, value_name = "FILE", requires = "command")]
    metrics_file: Option<PathBuf>,
    #[command(flatten)]
    tables: TableArgs,
    /// The training to run again
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    comparison: Comparison,
    run: Option<Again>,
}

pub(crate) fn run(
    args: &ReproduceArgs,
    global: &Global,
    output: &mut Output,
) -> Result<(), CliError> {
    if !args.tolerance.is_finite() || args.tolerance < 0.0 {
        let message = format!("--tolerance {}: expected a number from 0", args.tolerance);
        return Err(CliError::new(ErrorKind::Usage, message));
    }
    let runs = !args.command.is_empty();
    if !runs {
        output.observer().listen_for_interrupts();
    }
    let shown = settings::reading(global, output, |registry, settings, context| {
        let recorded = registry.read(|reader| reproduce::recorded(reader, &args.reference))?;
        let comparison = compare(args, registry, settings, &recorded, context)?;
        let wanted = training_again::Wanted {
            command: &args.command,
            artifact: args.artifact.as_deref(),
            metrics_file: args.metrics_file.as_deref(),
            tolerance: args.tolerance,
        };
        let again =
            runs.then(|| training_again::run(&wanted, registry, &recorded, output, context));
        Ok(Shown { comparison, run: again.transpose()? })
    })?;
    let same = match &shown.run {
        Some(again) => again.is_same(),
        None => shown.comparison.verdict.is_same_content(),
    };
    let word = shown.run.as_ref().map_or(shown.comparison.verdict.word(), Again::word);
    output.result("lineage.reproduce/1", &shown, word, || text(&shown))?;
    match args.exit_code && !same {
        true => Err(CliError::reported(ErrorKind::Differences)),
        false => Ok(()),
    }
}

fn compare(
    args: &ReproduceArgs,
    registry: &Registry,
    settings: &Settings,
    recorded: &Recorded,
    context: &Context<'_>,
) -> Result<Comparison, CliError> {
    let model: ModelName = recorded.row.model.clone();
    let mut request = RecordRequest::new(model);
    let facts = FactArgs {
        data: args.data.clone(),
        param: args.param.clone(),
        params_file: args.params_file.clone(),
        seed: args.seed.clone(),
        features: args.features.clone(),
        target: args.target.clone(),
        exclude: args.exclude.clone(),
        no_profile: true,
        tables: args.tables.clone(),
        ..FactArgs::default()
    };
    facts.add_to(&mut request)?;
    request.schema = args.tables.declared(Some(registry), context)?;
    let layout = registry.layout();
    // The version's own data and model are no changes of the code, wherever they lie now.
    let mut named: Vec<PathBuf> = crate::environment::named_in(&request);
    let recorded_paths = recorded.session.datasets.iter().map(|data| &data.path);
    let recorded_paths = recorded_paths.chain([&recorded.row.path, &recorded.row.metadata_path]);
    named.extend(recorded_paths.map(|path| layout.absolute(path)));
    named.extend(args.artifact.clone());
    let capture = CaptureArgs::at_hand(args.python.clone());
    let command = (!args.command.is_empty()).then_some(&*args.command);
    request.capture = capture.capture(named, command, settings, layout)?.0;
    Ok(reproduce::compare(registry, settings, recorded, &request, context)?)
}

/// Characters of a value, beyond which it is cut.
const CHARACTERS_MAX: usize = 60;

fn text(shown: &Shown) -> String {
    let Shown { comparison, run } = shown;
    let reference = format!("{}@{}", comparison.model, comparison.version);
    let rows: Vec<Vec<String>> = comparison.parts.iter().map(row).collect();
    let mut out = format!("{}: {reference}\n{}", comparison.verdict.word(), render::table(&rows));
    if let Some(again) = run {
        out.push_str(&again.text());
    }
    out
}

fn row(part: &PartComparison) -> Vec<String> {
    let name = part.part.replace('_', " ");
    let name = match &part.dataset {
        Some(dataset) => format!("  {name} {}", render::safe(dataset)),
        None => format!("  {name}"),
    };
    let value = match (&part.recorded, &part.found, &part.detail) {
        (Some(recorded), Some(found), _) if recorded == found => cut(recorded),
        // The detail names what differs.
        (Some(_), Some(_), Some(_)) if part.part == "params" || part.part == "packages" => {
            String::new()
        }
        (Some(recorded), Some(found), _) => format!("{} → {}", cut(recorded), cut(found)),
        (Some(only), None, _) => cut(only),
        (None, Some(only), _) => format!("none → {}", cut(only)),
        (None, None, _) => String::new(),
    };
    let detail = part.detail.as_ref().map(|detail| render::safe(detail));
    let value = match (value.is_empty(), detail) {
        (true, detail) => detail.unwrap_or_default(),
        (false, Some(detail)) if part.verdict != Verdict::Match => format!("{value}  ({detail})"),
        (false, _) => value,
    };
    vec![name, part.verdict.word().to_owned(), value]
}

fn cut(text: &str) -> String {
    let text = render::safe(text);
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
