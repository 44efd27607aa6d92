//! The flags that say what a training session was: of `record`, `run` and the steps of `session`.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use lineage_core::events::{Metric, MetricValue, Parameter, ParameterType, RowRange, Tag};
use lineage_core::fingerprint::files_of_glob;
use lineage_core::names::{Label, MetricName, Reference};
use lineage_core::record::{
    DatasetRequest, RecordRequest, Warning, features_from_file, metrics_from_json,
    parameters_from_json,
};
use lineage_core::redaction;

use crate::error::{CliError, ErrorKind};
use crate::tables::TableArgs;

/// What is known of a session.
#[derive(clap::Args, Clone, Default)]
pub(crate) struct FactArgs {
    /// A dataset: its role (training, validation, test or another word) and path, or a quoted glob for several
    #[arg(long, value_name = "ROLE[:NAME]=PATH")]
    pub(crate) data: Vec<OsString>,
    /// A metric; `training.`, `validation.` or `test.` before the name says on what
    #[arg(long, value_name = "[SPLIT.]NAME=VALUE")]
    pub(crate) metric: Vec<String>,
    /// Metrics from a JSON object; what is no number is named and left out
    #[arg(long, value_name = "FILE")]
    pub(crate) metrics_file: Vec<PathBuf>,
    /// A parameter
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) param: Vec<String>,
    /// Parameters from a JSON object
    #[arg(long, value_name = "FILE")]
    pub(crate) params_file: Vec<PathBuf>,
    /// The random seed, a whole number of any size
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub(crate) seed: Option<String>,
    /// What kind of model, e.g. xgboost
    #[arg(long, value_name = "TYPE")]
    pub(crate) model_type: Option<String>,
    /// A feature column, or @FILE with a JSON list or one name a line
    #[arg(long, value_name = "COL|@FILE")]
    pub(crate) features: Vec<String>,
    /// A target column
    #[arg(long, value_name = "COL")]
    pub(crate) target: Vec<String>,
    /// What was done to the data of a role, in words
    #[arg(long, value_name = "ROLE=TEXT")]
    pub(crate) transform: Vec<String>,
    /// Where the data of a role came from
    #[arg(long, value_name = "ROLE=URI")]
    pub(crate) source: Vec<String>,
    /// The rows of a role's data that were used, counted from 0, both included
    #[arg(long, value_name = "ROLE=FIRST..LAST")]
    pub(crate) rows: Vec<String>,
    /// A free label on the session
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) tag: Vec<String>,
    /// A remark, kept in clear
    #[arg(long)]
    pub(crate) note: Option<String>,
    /// Leave matching files out of folders; `*` stays within a folder, `**` does not
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Make no statistical profile of the data
    #[arg(long)]
    pub(crate) no_profile: bool,
    #[command(flatten)]
    pub(crate) tables: TableArgs,
}

/// What came of a session, and how it is kept.
#[derive(clap::Args, Clone, Default)]
pub(crate) struct ResultArgs {
    /// The model file, or a folder of files; without one a session is recorded and no version
    #[arg(long, value_name = "PATH")]
    pub(crate) artifact: Option<PathBuf>,
    /// A second name of the version, e.g. 1.4.0; unique, and it never moves
    #[arg(long)]
    pub(crate) label: Option<Label>,
    /// A version that this one was made from, e.g. fraud@2
    #[arg(long, value_name = "REF")]
    pub(crate) derived_from: Vec<Reference>,
    /// Keep only the digest; a rollback then needs the path to stay as it is
    #[arg(long)]
    pub(crate) no_store: bool,
    /// Where to write metadata.json
    #[arg(long, value_name = "PATH")]
    pub(crate) metadata: Option<PathBuf>,
    /// Record a Git LFS pointer or DVC file as what it is
    #[arg(long)]
    pub(crate) allow_pointer: bool,
    /// Overwrite a metadata file that is not ours
    #[arg(long)]
    pub(crate) force: bool,
}

impl FactArgs {
    /// Adds everything but what [`FactArgs::attach_to`] adds; metrics that are no numbers are returned.
    pub(crate) fn add_to(&self, request: &mut RecordRequest) -> Result<Vec<String>, CliError> {
        request.seed = self.seed.clone();
        request.model_type = self.model_type.clone();
        request.target = self.target.clone();
        request.note = self.note.clone();
        request.exclude = self.exclude.clone();
        request.tables = self.tables.options()?;
        request.tables.profile = !self.no_profile;
        request.cache = self.tables.cache();
        let mut skipped = Vec::new();
        add_metrics(self, request, &mut skipped)?;
        add_parameters(self, request)?;
        add_columns(self, request)?;
        add_datasets(self, request)?;
        Ok(skipped)
    }

    /// Adds what is said of all data of a role, once all data is known.
    pub(crate) fn attach_to(&self, request: &mut RecordRequest) -> Result<(), CliError> {
        attach(&self.transform, "--transform", request, |dataset, text| {
            dataset.transformations.push(text);
            Ok(true)
        })?;
        attach(&self.source, "--source", request, |dataset, text| {
            Ok(dataset.source.replace(text).is_none())
        })?;
        attach(&self.rows, "--rows", request, |dataset, text| {
            let range = row_range(&text)?;
            Ok(dataset.row_range.replace(range).is_none())
        })
    }
}

/// Reads `FIRST..LAST`.
fn row_range(text: &str) -> Result<RowRange, CliError> {
    let range = text.split_once("..").and_then(|(first, last)| {
        Some(RowRange { first: first.parse().ok()?, last: last.parse().ok()? })
    });
    range.ok_or_else(|| usage(format!("--rows \"{text}\": expected FIRST..LAST, e.g. 0..9999")))
}

impl ResultArgs {
    pub(crate) fn add_to(&self, request: &mut RecordRequest) {
        request.artifact = self.artifact.clone();
        request.label = self.label.clone();
        request.derived_from = self.derived_from.clone();
        request.store = !self.no_store;
        request.metadata = self.metadata.clone();
        request.allow_stand_in = self.allow_pointer;
        request.force = self.force;
    }
}

/// A warning that names the leaves that were left out.
pub(crate) fn skipped_warning(skipped: &[String]) -> Option<Warning> {
    let message = format!("not numbers, and left out of the metrics: {}", skipped.join(", "));
    (!skipped.is_empty()).then_some(Warning { code: "metrics-skipped", message })
}

pub(crate) fn usage(message: impl Into<String>) -> CliError {
    CliError::new(ErrorKind::Usage, message)
}

/// Splits `left=right` at the first `=`.
fn pair<'a>(flag: &str, text: &'a str, form: &str) -> Result<(&'a str, &'a str), CliError> {
    text.split_once('=').ok_or_else(|| usage(format!("{flag} \"{text}\": expected {form}")))
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

fn add_metrics(
    args: &FactArgs,
    request: &mut RecordRequest,
    skipped: &mut Vec<String>,
) -> Result<(), CliError> {
    for text in &args.metric {
        let (name, value) = text
            .rsplit_once('=')
            .ok_or_else(|| usage(format!("--metric \"{text}\": expected [SPLIT.]NAME=VALUE")))?;
        let MetricName { split, name } = name.parse()?;
        let value = MetricValue::parse(value.trim()).ok_or_else(|| {
            let value = match redaction::is_secret_name(&name) {
                true => redaction::REMOVED,
                false => value,
            };
            usage(format!("--metric {name}={value}: \"{value}\" is not a number"))
                .hint("texts belong into --param or --tag")
        })?;
        request.metrics.push(Metric { split, name, value });
    }
    for path in &args.metrics_file {
        let found = metrics_from_json(&read(path)?).map_err(in_file(path))?;
        skipped.extend(request.add_metrics(found));
    }
    Ok(())
}

fn add_parameters(args: &FactArgs, request: &mut RecordRequest) -> Result<(), CliError> {
    for text in &args.param {
        let (name, value) = pair("--param", text, "NAME=VALUE")?;
        let r#type = ParameterType::of_text(value);
        request.params.push(Parameter { name: name.parse()?, text: value.to_owned(), r#type });
    }
    for path in &args.params_file {
        request.params.extend(parameters_from_json(&read(path)?).map_err(in_file(path))?);
    }
    for text in &args.tag {
        let (name, value) = pair("--tag", text, "NAME=VALUE")?;
        request.tags.push(Tag { name: name.parse()?, value: value.to_owned() });
    }
    Ok(())
}

fn add_columns(args: &FactArgs, request: &mut RecordRequest) -> Result<(), CliError> {
    for text in &args.features {
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

fn add_datasets(args: &FactArgs, request: &mut RecordRequest) -> Result<(), CliError> {
    for text in &args.data {
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
        let paths = expanded(&[PathBuf::from(path)])?;
        if paths.len() > 1 && name.is_some() {
            return Err(usage(format!(
                "--data {text}: one name for {} files; without a name each has its own",
                paths.len()
            )));
        }
        for path in paths {
            request.datasets.push(DatasetRequest {
                role: role.parse()?,
                name: name.clone(),
                path,
                transformations: Vec::new(),
                source: None,
                row_range: None,
            });
        }
    }
    Ok(())
}

/// The paths; one that names no file and holds a wildcard as the files that it matches, for shells
/// that leave it as it is.
pub(crate) fn expanded(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    let mut all = Vec::new();
    for path in paths {
        let pattern = path.to_str().filter(|text| text.contains(['*', '?', '[', '{']));
        match pattern.filter(|_| std::fs::symlink_metadata(path).is_err()) {
            None => all.push(path.clone()),
            Some(pattern) => {
                let mut found: Vec<PathBuf> =
                    files_of_glob(pattern)?.into_iter().map(|file| file.path).collect();
                if found.is_empty() {
                    let message = format!("{pattern} matches no file");
                    return Err(CliError::new(ErrorKind::NotFound, message));
                }
                found.sort();
                all.append(&mut found);
            }
        }
    }
    Ok(all)
}

/// Gives every dataset of a role what a `ROLE=TEXT` flag says of it.
fn attach(
    flags: &[String],
    flag: &str,
    request: &mut RecordRequest,
    add: impl Fn(&mut DatasetRequest, String) -> Result<bool, CliError>,
) -> Result<(), CliError> {
    for text in flags {
        let (role, value) = pair(flag, text, "ROLE=TEXT")?;
        let mut found = false;
        for dataset in request.datasets.iter_mut().filter(|d| d.role.as_str() == role) {
            found = true;
            if !add(dataset, value.to_owned())? {
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
