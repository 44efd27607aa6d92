//! `lineage record`

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use lineage_core::events::{Hashed, Metric, MetricValue, Parameter, ParameterType, Tag};
use lineage_core::names::{Label, MetricName, ModelName, Reference};
use lineage_core::record::{
    DatasetRequest, RecordRequest, RecordSpec, Recorded, Warning, features_from_file,
    metrics_from_json, parameters_from_json, record,
};

use crate::args::{DryRun, Global};
use crate::environment::{CaptureArgs, named_in};
use crate::error::{CliError, ErrorKind};
use crate::output::Output;
use crate::tables::TableArgs;
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
    /// A dataset: its role (training, validation, test or another word) and path
    #[arg(long, value_name = "ROLE[:NAME]=PATH")]
    data: Vec<OsString>,
    /// The model file, or a folder of files; without one a session is recorded and no version
    #[arg(long, value_name = "PATH")]
    artifact: Option<PathBuf>,
    /// A metric; `training.`, `validation.` or `test.` before the name says on what
    #[arg(long, value_name = "[SPLIT.]NAME=VALUE")]
    metric: Vec<String>,
    /// Metrics from a JSON object; what is no number is named and left out
    #[arg(long, value_name = "FILE")]
    metrics_file: Vec<PathBuf>,
    /// A parameter
    #[arg(long, value_name = "NAME=VALUE")]
    param: Vec<String>,
    /// Parameters from a JSON object
    #[arg(long, value_name = "FILE")]
    params_file: Vec<PathBuf>,
    /// The random seed, a whole number of any size
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    seed: Option<String>,
    /// A second name of the version, e.g. 1.4.0; unique, and it never moves
    #[arg(long)]
    label: Option<Label>,
    /// What kind of model, e.g. xgboost
    #[arg(long, value_name = "TYPE")]
    model_type: Option<String>,
    /// A feature column, or @FILE with a JSON list or one name a line
    #[arg(long, value_name = "COL|@FILE")]
    features: Vec<String>,
    /// A target column
    #[arg(long, value_name = "COL")]
    target: Vec<String>,
    /// What was done to the data of a role, in words
    #[arg(long, value_name = "ROLE=TEXT")]
    transform: Vec<String>,
    /// Where the data of a role came from
    #[arg(long, value_name = "ROLE=URI")]
    source: Vec<String>,
    /// A version that this one was made from, e.g. fraud@2
    #[arg(long, value_name = "REF")]
    derived_from: Vec<Reference>,
    /// A free label on the session
    #[arg(long, value_name = "NAME=VALUE")]
    tag: Vec<String>,
    /// A remark, kept in clear
    #[arg(long)]
    note: Option<String>,
    /// Leave matching files out of folders; `*` stays within a folder, `**` does not
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Make no statistical profile of the data
    #[arg(long)]
    no_profile: bool,
    /// Keep only the digest; a rollback then needs the path to stay as it is
    #[arg(long)]
    no_store: bool,
    /// Where to write metadata.json
    #[arg(long, value_name = "PATH")]
    metadata: Option<PathBuf>,
    /// Record a Git LFS pointer or DVC file as what it is
    #[arg(long)]
    allow_pointer: bool,
    /// Overwrite a metadata file that is not ours
    #[arg(long)]
    force: bool,
    /// A repeated call with this key answers with the first call's version
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// The whole session as a JSON document; `-` reads standard input
    #[arg(long, value_name = "FILE|-")]
    spec: Option<PathBuf>,
    #[command(flatten)]
    tables: TableArgs,
    #[command(flatten)]
    capture: CaptureArgs,
    #[command(flatten)]
    dry_run: DryRun,
}

fn usage(message: impl Into<String>) -> CliError {
    CliError::new(ErrorKind::Usage, message)
}

/// Splits `left=right` at the first `=`.
fn pair<'a>(flag: &str, text: &'a str, form: &str) -> Result<(&'a str, &'a str), CliError> {
    text.split_once('=').ok_or_else(|| usage(format!("{flag} {text}: expected {form}")))
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let result = if path == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| ())
    } else {
        refuse_special(path)?;
        std::fs::read(path).map(|found| bytes = found)
    };
    match result {
        Ok(()) => Ok(bytes),
        Err(error) => {
            let path = path.to_owned();
            Err(lineage_core::files::FileError::Io { action: "read", path, source: error }.into())
        }
    }
}

/// A named pipe that nobody writes to would hang us.
fn refuse_special(path: &Path) -> Result<(), CliError> {
    match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err(CliError::new(
            ErrorKind::NotRegular,
            format!("{} is not a regular file", path.display()),
        )),
        _ => Ok(()),
    }
}

/// Says which file a problem is in.
pub(crate) fn in_file<E: Into<CliError>>(path: &Path) -> impl FnOnce(E) -> CliError + '_ {
    move |error| {
        let error = error.into();
        let message = format!("{}: {}", path.display(), error.message);
        CliError { message, ..error }
    }
}

pub(crate) fn run(args: RecordArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    let (request, skipped) = request(&args)?;
    output.observer().listen_for_interrupts();
    let dry_run = request.dry_run;
    let mut recorded =
        settings::writing(global, output, dry_run, |registry, settings, context| {
            let mut request = request;
            request.schema = args.tables.declared(Some(registry), context)?;
            let layout = registry.layout();
            let (capture, warnings) =
                args.capture.capture(named_in(&request), None, settings, layout)?;
            request.capture = capture;
            let mut recorded = record(registry, settings, &request, context)?;
            recorded.warnings.extend(warnings);
            Ok(recorded)
        })?;
    if !skipped.is_empty() {
        let message = format!("not numbers, and left out of the metrics: {}", skipped.join(", "));
        recorded.warnings.push(Warning { code: "metrics-skipped", message });
    }
    for warning in &recorded.warnings {
        output.warning(&render::safe(&warning.message));
    }
    let id = match recorded.version {
        Some(number) => number.to_string(),
        None => recorded.session.clone(),
    };
    output.result("lineage.record/1", &recorded, &id, || text(&recorded, dry_run))?;
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
    request.artifact = args.artifact.clone();
    request.seed = args.seed.clone();
    request.label = args.label.clone();
    request.model_type = args.model_type.clone();
    request.target = args.target.clone();
    request.derived_from = args.derived_from.clone();
    request.note = args.note.clone();
    request.exclude = args.exclude.clone();
    request.idempotency_key = args.idempotency_key.clone();
    request.store = !args.no_store;
    request.tables = args.tables.options()?;
    request.tables.profile = !args.no_profile;
    request.cache = args.tables.cache();
    request.metadata = args.metadata.clone();
    request.allow_stand_in = args.allow_pointer;
    request.force = args.force;
    request.dry_run = args.dry_run.dry_run;
    let mut skipped = Vec::new();
    add_metrics(args, &mut request, &mut skipped)?;
    add_parameters(&args.param, &args.params_file, &mut request)?;
    add_tags(&args.tag, &mut request)?;
    add_features(&args.features, &mut request)?;
    add_datasets(&args.data, &mut request)?;
    if let (Some(spec), Some(path)) = (spec, &args.spec) {
        skipped.extend(spec.add_to(&mut request).map_err(in_file(path))?);
    }
    attach(&args.transform, "--transform", &mut request, |dataset, text| {
        dataset.transformations.push(text);
        true
    })?;
    attach(&args.source, "--source", &mut request, |dataset, text| {
        dataset.source.replace(text).is_none()
    })?;
    request.normalise()?;
    Ok((request, skipped))
}

fn add_metrics(
    args: &RecordArgs,
    request: &mut RecordRequest,
    skipped: &mut Vec<String>,
) -> Result<(), CliError> {
    for text in &args.metric {
        let (name, value) = text
            .rsplit_once('=')
            .ok_or_else(|| usage(format!("--metric {text}: expected [SPLIT.]NAME=VALUE")))?;
        let MetricName { split, name } = name.parse()?;
        let value = MetricValue::parse(value.trim()).ok_or_else(|| {
            usage(format!("--metric {text}: \"{value}\" is not a number"))
                .hint("texts belong into --param or --tag")
        })?;
        request.metrics.push(Metric { split, name, value });
    }
    for path in &args.metrics_file {
        let found = metrics_from_json(&read(path)?).map_err(in_file(path))?;
        request.metrics.extend(found.metrics);
        skipped.extend(found.skipped);
    }
    Ok(())
}

pub(crate) fn add_parameters(
    params: &[String],
    files: &[PathBuf],
    request: &mut RecordRequest,
) -> Result<(), CliError> {
    for text in params {
        let (name, value) = pair("--param", text, "NAME=VALUE")?;
        let r#type = ParameterType::of_text(value);
        request.params.push(Parameter { name: name.parse()?, text: value.to_owned(), r#type });
    }
    for path in files {
        request.params.extend(parameters_from_json(&read(path)?).map_err(in_file(path))?);
    }
    Ok(())
}

fn add_tags(tags: &[String], request: &mut RecordRequest) -> Result<(), CliError> {
    for text in tags {
        let (name, value) = pair("--tag", text, "NAME=VALUE")?;
        request.tags.push(Tag { name: name.parse()?, value: value.to_owned() });
    }
    Ok(())
}

pub(crate) fn add_features(
    features: &[String],
    request: &mut RecordRequest,
) -> Result<(), CliError> {
    for text in features {
        match text.strip_prefix('@') {
            Some(path) => {
                let path = Path::new(path);
                request.features.extend(features_from_file(&read(path)?).map_err(in_file(path))?);
            }
            None => request.features.push(text.clone()),
        }
    }
    Ok(())
}

pub(crate) fn add_datasets(data: &[OsString], request: &mut RecordRequest) -> Result<(), CliError> {
    for text in data {
        let text = text.to_str().ok_or_else(|| {
            let shown = text.to_string_lossy();
            CliError::new(
                ErrorKind::NotUtf8,
                format!("--data {shown}: the path is not valid UTF-8"),
            )
            .hint("rename the file; names in the registry are UTF-8")
        })?;
        let (key, path) = pair("--data", text, "ROLE[:NAME]=PATH")?;
        let (role, name) = match key.split_once(':') {
            Some((role, name)) => (role, Some(name.parse()?)),
            None => (key, None),
        };
        if path.is_empty() {
            return Err(usage(format!("--data {text}: the path is empty")));
        }
        request.datasets.push(DatasetRequest {
            role: role.parse()?,
            name,
            path: PathBuf::from(path),
            transformations: Vec::new(),
            source: None,
            row_range: None,
        });
    }
    Ok(())
}

/// Gives every dataset of a role what a `ROLE=TEXT` flag says of it.
fn attach(
    flags: &[String],
    flag: &str,
    request: &mut RecordRequest,
    add: impl Fn(&mut DatasetRequest, String) -> bool,
) -> Result<(), CliError> {
    for text in flags {
        let (role, value) = pair(flag, text, "ROLE=TEXT")?;
        let mut found = false;
        for dataset in request.datasets.iter_mut().filter(|d| d.role.as_str() == role) {
            found = true;
            if !add(dataset, value.to_owned()) {
                return Err(CliError::new(
                    ErrorKind::Duplicate,
                    format!("{flag} {text}: the role \"{role}\" has one already"),
                ));
            }
        }
        if !found {
            return Err(usage(format!("{flag} {text}: no --data has the role \"{role}\"")));
        }
    }
    Ok(())
}

fn text(recorded: &Recorded, dry_run: bool) -> String {
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
    for dataset in &recorded.datasets {
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
            format!("  {}", dataset.role),
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
