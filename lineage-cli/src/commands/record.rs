//! `lineage record`

use std::path::PathBuf;

use lineage_core::events::Hashed;
use lineage_core::names::ModelName;
use lineage_core::record::{RecordRequest, RecordSpec, Recorded, record};

use crate::args::{DryRun, Global};
use crate::environment::{CaptureArgs, named_in};
use crate::error::CliError;
use crate::facts::{FactArgs, ResultArgs, in_file, read, skipped_warning, usage};
use crate::output::Output;
use crate::{render, settings};

/// Record a training run: its data, settings, metrics and artifact, in one call
///
/// Every byte is hashed. The artifact's bytes are kept, so that a rollback works even when the next
/// training overwrites the path. Prints the version that was made.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    lineage record fraud --artifact models/v3 --data training=data/train.csv \\\n    \
    --data test=data/test.csv --metric test.auc=0.93 --param depth=6 --seed 42\n  \
    lineage record fraud --artifact model.pkl --metrics-file metrics.json --label 1.4.0\n  \
    V=$(lineage record fraud --artifact model.pkl -q)    # the version's number alone\n  \
    lineage record --spec run.json                       # everything in one document\n\n\
    Notes and reasons are kept in clear in a log that cannot be edited.")]
pub(crate) struct RecordArgs {
    /// The model's name
    #[arg(required_unless_present = "spec")]
    model: Option<ModelName>,
    #[command(flatten)]
    facts: FactArgs,
    #[command(flatten)]
    result: ResultArgs,
    /// A repeated call with this key answers with the first call's version
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// The whole session as a JSON document; `-` reads standard input
    #[arg(long, value_name = "FILE|-")]
    spec: Option<PathBuf>,
    #[command(flatten)]
    capture: CaptureArgs,
    #[command(flatten)]
    dry_run: DryRun,
}

pub(crate) fn run(args: RecordArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    let (request, skipped) = request(&args)?;
    output.observer().listen_for_interrupts();
    let dry_run = request.dry_run;
    let mut recorded =
        settings::writing(global, output, dry_run, |registry, settings, context| {
            let mut request = request;
            request.schema = args.facts.tables.declared(Some(registry), context)?;
            let layout = registry.layout();
            let (capture, warnings) =
                args.capture.capture(named_in(&request), None, settings, layout)?;
            request.capture = capture;
            let mut recorded = record(registry, settings, &request, context)?;
            recorded.warnings.extend(warnings);
            Ok(recorded)
        })?;
    recorded.warnings.extend(skipped_warning(&skipped));
    show(&recorded, dry_run, output)
}

/// Prints what was recorded.
pub(crate) fn show(
    recorded: &Recorded,
    dry_run: bool,
    output: &mut Output,
) -> Result<(), CliError> {
    for warning in &recorded.warnings {
        output.warning(&render::safe(&warning.message));
    }
    let id = match recorded.version {
        Some(number) => number.to_string(),
        None => recorded.session.clone(),
    };
    output.result("lineage.record/1", recorded, &id, || text(recorded, dry_run))?;
    if let (Some(number), false) = (recorded.version, dry_run) {
        output.hint(&format!(
            "make it live with `lineage promote {} --version {number}`",
            recorded.model
        ));
    }
    Ok(())
}

/// The flags, and the specification if there is one, as one request; and the metrics left out.
fn request(args: &RecordArgs) -> Result<(RecordRequest, Vec<String>), CliError> {
    let mut spec = None;
    if let Some(path) = &args.spec {
        spec = Some(RecordSpec::parse(&read(path)?).map_err(in_file(path))?);
    }
    let named = spec.as_mut().and_then(|spec| spec.model.take());
    let model = match (args.model.clone(), named) {
        (Some(a), Some(b)) if a != b => {
            return Err(usage(format!("the specification is of \"{b}\", the command of \"{a}\"")));
        }
        (Some(model), _) | (None, Some(model)) => model,
        (None, None) => return Err(usage("the specification names no model")),
    };
    let mut request = RecordRequest::new(model);
    request.idempotency_key = args.idempotency_key.clone();
    request.dry_run = args.dry_run.dry_run;
    args.result.add_to(&mut request);
    let mut skipped = args.facts.add_to(&mut request)?;
    if let (Some(spec), Some(path)) = (spec, &args.spec) {
        skipped.extend(spec.add_to(&mut request).map_err(in_file(path))?);
    }
    args.facts.attach_to(&mut request)?;
    request.normalise()?;
    Ok((request, skipped))
}

pub(crate) fn text(recorded: &Recorded, dry_run: bool) -> String {
    let verb = match (recorded.changed, dry_run) {
        (false, _) => "Already recorded as",
        (true, true) => "Would record",
        (true, false) => "Recorded",
    };
    let name = match recorded.version {
        Some(number) => format!("{}@{number}", recorded.model),
        None if dry_run => "a session without a version".to_owned(),
        None => format!("session {} (no artifact, so no version)", recorded.session),
    };
    let label = recorded.label.as_ref().map(|label| format!(" ({label})")).unwrap_or_default();
    let mut rows = Vec::new();
    if let Some(artifact) = &recorded.artifact {
        let files = match artifact.kind {
            lineage_core::digest::Kind::Directory => {
                format!("{}, ", render::count(artifact.files, "file"))
            }
            lineage_core::digest::Kind::File => String::new(),
        };
        rows.push(vec![
            "  artifact".to_owned(),
            render::safe(&artifact.path),
            artifact.sha256.short(),
            format!("{files}{}", render::bytes(artifact.size_bytes)),
        ]);
    }
    let datasets = &recorded.datasets;
    let named: Vec<_> =
        datasets.iter().map(|d| (d.role.as_str(), d.name.as_str(), d.path.as_str())).collect();
    for (dataset, role) in datasets.iter().zip(render::roles(&named)) {
        let mut shape = match (dataset.rows, dataset.columns) {
            (Some(rows), Some(columns)) => {
                format!("{} × {}", render::count(rows, "row"), render::count(columns, "column"))
            }
            _ => String::new(),
        };
        if dataset.hashed == Hashed::Cache {
            shape.push_str("  (unchanged since last read)");
        }
        rows.push(vec![
            format!("  {role}"),
            render::safe(&dataset.path),
            dataset.sha256.short(),
            shape,
        ]);
    }
    if let (Some(path), false) = (&recorded.metadata_path, dry_run) {
        rows.push(vec!["  metadata".to_owned(), render::safe(path)]);
    }
    format!("{verb} {name}{label}\n{}", render::table(&rows))
}
