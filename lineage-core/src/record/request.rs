//! What can be asked of `record`, as flags or as one JSON document, and how it can fail.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::inputs::{self, InputFileError, NamedMetrics, SeriesByName};
use super::secrets;
use crate::context::Timestamp;
use crate::environment::Capture;
use crate::events::{Claims, Metric, Parameter, RowRange, Run, SchemaSource, Tag};
use crate::files::FileError;
use crate::fingerprint::{FingerprintError, StandIn, Table, TableOptions};
use crate::inspect::{InspectError, Verdict};
use crate::layout::LayoutError;
use crate::lookup::LookupError;
use crate::names::{DatasetName, Label, ModelName, NameError, Reference, Role};
use crate::readers::schema::{DeclaredColumn, SchemaError, columns_from_file};
use crate::store::{StoreError, TrainingState};

/// Why a session was not recorded. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Something was given twice.
    #[error("the {what} \"{name}\" is given twice")]
    Duplicate {
        /// E.g. `metric`.
        what: &'static str,
        /// Which one.
        name: String,
    },
    /// Two datasets with the same role and name.
    #[error("the dataset {role}:{name} is given twice")]
    DuplicateDataset {
        /// The role.
        role: Role,
        /// The name, perhaps that of the file.
        name: DatasetName,
    },
    /// A name that cannot be one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The seed is not a whole number.
    #[error("the seed \"{0}\" is not a whole number")]
    Seed(String),
    /// A key that every call without one would share.
    #[error("the idempotency key is empty")]
    EmptyKey,
    /// A range that ends before it begins.
    #[error("the row range {first} to {last} ends before it begins")]
    RowRange {
        /// The first row.
        first: u64,
        /// The last row.
        last: u64,
    },
    /// A label without an artifact would name nothing.
    #[error("a label names a version, and without an artifact there is none")]
    LabelWithoutArtifact,
    /// A Git LFS pointer or DVC file instead of the real thing.
    #[error("{path} is {what}, not the real file")]
    StandIn {
        /// Which file.
        path: String,
        /// What it is.
        what: StandIn,
    },
    /// The settings refuse artifacts like this one.
    #[error("the artifact is {}: {reason}", verdict.word())]
    Verdict {
        /// What it was found to be.
        verdict: Verdict,
        /// The worst finding.
        reason: String,
    },
    /// The settings require more of a session.
    #[error("the settings require {} of every session", missing.join(" and "))]
    Policy {
        /// What is missing.
        missing: Vec<&'static str>,
    },
    /// No session with this id was started.
    #[error("there is no open session {0}")]
    NoSession(String),
    /// The session was completed, or failed.
    #[error("the session {session} has {}", state.sentence())]
    SessionEnded {
        /// Which.
        session: String,
        /// How it ended.
        state: TrainingState,
    },
    /// The session was completed before, without the artifact that is given now.
    #[error("the session {session} was completed {}", with_artifact(recorded.as_deref()))]
    CompletedWith {
        /// Which.
        session: String,
        /// The model that was trained.
        model: ModelName,
        /// The artifact that it was completed with.
        recorded: Option<String>,
    },
    /// The session was completed before, without what is given now.
    #[error("the session {session} was completed without {}", missing.join(", "))]
    CompletedWithout {
        /// Which.
        session: String,
        /// The model that was trained.
        model: ModelName,
        /// What it was not completed with.
        missing: Vec<String>,
    },
    /// What may be given once was given before with another value.
    #[error("the {what} of the session was given before as {earlier}")]
    Given {
        /// E.g. `parameter depth` or `seed`.
        what: String,
        /// Its value.
        earlier: String,
    },
    /// The points of a metric cannot be read.
    #[error(transparent)]
    Series(#[from] crate::series::SeriesError),
    /// The artifact could not be inspected.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The dataset that columns should be like has none.
    #[error("{given} has no dataset with known columns in that role")]
    NoColumns {
        /// As asked for.
        given: String,
    },
    /// The file that columns should be like is no table that can be read.
    #[error("{path} is not a table that can be read: {problem}", path = path.display())]
    NoTable {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// Stored bytes could not be had.
    #[error(transparent)]
    Object(#[from] crate::objects::ObjectError),
    /// The key belongs to another request.
    #[error(
        "the idempotency key \"{key}\" was used for {earlier}, with other bytes, metrics or parameters"
    )]
    KeyReused {
        /// The key.
        key: String,
        /// What it made.
        earlier: String,
    },
    /// The label belongs to another version.
    #[error(
        "the label \"{label}\" belongs to {earlier}, which has other bytes, metrics or parameters"
    )]
    LabelTaken {
        /// The label.
        label: Label,
        /// Its version.
        earlier: String,
    },
    /// Labels and pointers share one namespace.
    #[error("\"{label}\" is a pointer of this model and cannot be a label too")]
    LabelIsPointer {
        /// The label.
        label: Label,
    },
    /// `metadata.json` would overwrite a file that is not ours.
    #[error("{path} exists and does not describe this artifact")]
    MetadataForeign {
        /// The file.
        path: String,
    },
    /// `metadata.json` would become part of another version's directory, and make it differ.
    #[error("{path} would lie inside the directory that was recorded as {version}")]
    MetadataInside {
        /// The file.
        path: String,
        /// The other version.
        version: String,
    },
    /// `metadata.json` would have to replace a folder.
    #[error("{path} is a folder, not a place for metadata.json")]
    MetadataIsDirectory {
        /// The folder.
        path: String,
    },
    /// `metadata.json` cannot be written beside the artifact.
    #[error("metadata.json cannot be written: {path} is read-only", path = path.display())]
    MetadataUnwritable {
        /// The folder.
        path: PathBuf,
    },
    /// A file could not be fingerprinted.
    #[error(transparent)]
    Fingerprint(#[from] FingerprintError),
    /// A reference leads nowhere.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// A path cannot be recorded.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The registry failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A dataset to record.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetRequest {
    /// E.g. `training`.
    pub role: Role,
    /// The file's name unless given.
    pub name: Option<DatasetName>,
    /// The file or directory.
    pub path: PathBuf,
    /// What was done to it, in words and in order.
    pub transformations: Vec<String>,
    /// Where it came from.
    pub source: Option<String>,
    /// The rows used, when not all were.
    pub row_range: Option<RowRange>,
}

/// Columns that every text dataset (CSV, TSV, NDJSON) of the session must have.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredSchema {
    /// Where they were declared.
    pub source: SchemaSource,
    /// Their names in order, and their kinds where those are known.
    pub columns: Vec<DeclaredColumn>,
}

/// A whole session to record.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordRequest {
    /// The model.
    pub model: ModelName,
    /// The model file or directory; without one no version is made.
    pub artifact: Option<PathBuf>,
    /// The data.
    pub datasets: Vec<DatasetRequest>,
    /// What was measured.
    pub metrics: Vec<Metric>,
    /// What was measured over the steps of the training. A metric that has no value takes that of its
    /// last step.
    pub series: SeriesByName,
    /// With which settings.
    pub params: Vec<Parameter>,
    /// A whole number, as text since it may exceed 2^53.
    pub seed: Option<String>,
    /// A second name of the version.
    pub label: Option<Label>,
    /// What kind of model.
    pub model_type: Option<String>,
    /// Feature columns.
    pub features: Vec<String>,
    /// Target columns.
    pub target: Vec<String>,
    /// Versions it was made from.
    pub derived_from: Vec<Reference>,
    /// Free labels.
    pub tags: Vec<Tag>,
    /// A remark.
    pub note: Option<String>,
    /// Globs of what to leave out of directories.
    pub exclude: Vec<String>,
    /// Makes a repeated call answer with the first call's version.
    pub idempotency_key: Option<String>,
    /// When the session started.
    pub started: Option<Timestamp>,
    /// How the training program ran.
    pub run: Option<Run>,
    /// What someone else's files say of the session, when it is recorded afterwards.
    pub claims: Option<Claims>,
    /// Columns that text datasets must have.
    pub schema: Option<DeclaredSchema>,
    /// How datasets are read as tables, but for the columns.
    pub tables: TableOptions,
    /// Whether datasets that are unchanged since an earlier reading are not read again.
    pub cache: bool,
    /// Whether to keep the artifact's bytes.
    pub store: bool,
    /// Where to write `metadata.json`.
    pub metadata: Option<PathBuf>,
    /// Whether a Git LFS pointer or DVC file may be recorded as what it is.
    pub allow_stand_in: bool,
    /// Whether a foreign metadata file may be overwritten.
    pub force: bool,
    /// The environment and the code, when they were captured.
    pub capture: Option<Capture>,
    /// Where a secret stood that [`RecordRequest::normalise`] took away.
    pub redacted: BTreeSet<String>,
    /// Make every check, write nothing.
    pub dry_run: bool,
}

impl RecordRequest {
    /// A session of `model` with nothing in it yet.
    pub fn new(model: ModelName) -> RecordRequest {
        RecordRequest {
            model,
            artifact: None,
            datasets: Vec::new(),
            metrics: Vec::new(),
            series: SeriesByName::new(),
            params: Vec::new(),
            seed: None,
            label: None,
            model_type: None,
            features: Vec::new(),
            target: Vec::new(),
            derived_from: Vec::new(),
            tags: Vec::new(),
            note: None,
            exclude: Vec::new(),
            idempotency_key: None,
            started: None,
            run: None,
            claims: None,
            schema: None,
            tables: TableOptions { profile: true, ..TableOptions::default() },
            cache: true,
            store: true,
            metadata: None,
            allow_stand_in: false,
            force: false,
            capture: None,
            redacted: BTreeSet::new(),
            dry_run: false,
        }
    }

    /// Takes out what is named like a secret or looks like one, and notes where it stood.
    pub fn remove_secrets(&mut self) {
        secrets::remove(self);
    }

    /// Adds what a file of metrics holds; what is no number is returned.
    pub fn add_metrics(&mut self, found: NamedMetrics) -> Vec<String> {
        self.metrics.extend(found.metrics);
        for (name, points) in found.series {
            self.series.entry(name).or_default().extend(points);
        }
        found.skipped
    }

    /// Brings lists into their canonical order, takes secrets away and refuses what is given twice.
    pub fn normalise(&mut self) -> Result<(), RecordError> {
        self.remove_secrets();
        inputs::add_last_values(&mut self.series, &mut self.metrics);
        self.metrics.sort_by_key(Metric::full_name);
        self.params.sort_by(|a, b| a.name.cmp(&b.name));
        self.tags.sort_by(|a, b| a.name.cmp(&b.name));
        self.check()
    }

    /// Refuses what is given twice or cannot be.
    pub(crate) fn check(&self) -> Result<(), RecordError> {
        unique("metric", self.metrics.iter().map(|m| m.full_name().to_string()))?;
        unique("parameter", self.params.iter().map(|p| p.name.to_string()))?;
        unique("tag", self.tags.iter().map(|t| t.name.to_string()))?;
        unique("feature", self.features.iter().cloned())?;
        unique("target", self.target.iter().cloned())?;
        if let Some(seed) = &self.seed {
            let digits = seed.strip_prefix('-').unwrap_or(seed);
            let plain = !digits.is_empty()
                && digits.len() <= 40
                && digits.bytes().all(|byte| byte.is_ascii_digit())
                && (digits == "0" || !digits.starts_with('0'))
                && seed != "-0";
            if !plain {
                return Err(RecordError::Seed(seed.chars().take(60).collect()));
            }
        }
        if self.idempotency_key.as_deref() == Some("") {
            return Err(RecordError::EmptyKey);
        }
        let mut ranges = self.datasets.iter().filter_map(|dataset| dataset.row_range);
        if let Some(range) = ranges.find(|range| range.first > range.last) {
            return Err(RecordError::RowRange { first: range.first, last: range.last });
        }
        if self.label.is_some() && self.artifact.is_none() {
            return Err(RecordError::LabelWithoutArtifact);
        }
        Ok(())
    }

    pub(super) fn table_options(&self) -> TableOptions {
        TableOptions {
            columns: self.schema.as_ref().map(|schema| schema.columns.clone()),
            ..self.tables.clone()
        }
    }
}

fn with_artifact(path: Option<&str>) -> String {
    path.map_or("without an artifact".to_owned(), |path| format!("with the artifact {path}"))
}

fn unique(what: &'static str, names: impl Iterator<Item = String>) -> Result<(), RecordError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name.clone()) {
            return Err(RecordError::Duplicate { what, name });
        }
    }
    Ok(())
}

/// A record specification could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// Not JSON, a duplicate key, an unknown key or a value of the wrong type.
    #[error("the record specification is not valid: {0}")]
    Invalid(String),
    /// A metric or parameter in it is not one.
    #[error(transparent)]
    Input(#[from] InputFileError),
}

/// A whole session as one JSON document (`schema/json/record-spec.schema.json`). Its keys are the
/// long flags of `record`, in snake case.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "each is the flag of the same name")]
pub struct RecordSpec {
    pub model: Option<ModelName>,
    pub artifact: Option<PathBuf>,
    pub data: Vec<SpecDataset>,
    pub metrics: Option<Box<RawValue>>,
    pub params: Option<Box<RawValue>>,
    pub seed: Option<Box<RawValue>>,
    pub label: Option<Label>,
    pub model_type: Option<String>,
    pub features: Vec<String>,
    pub target: Vec<String>,
    pub derived_from: Vec<String>,
    pub tags: Option<Box<RawValue>>,
    pub note: Option<String>,
    pub exclude: Vec<String>,
    pub idempotency_key: Option<String>,
    pub started: Option<Timestamp>,
    pub metadata: Option<PathBuf>,
    pub store: Option<bool>,
    pub allow_pointer: bool,
}

/// A dataset in a record specification.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "as in DatasetRequest")]
pub struct SpecDataset {
    pub role: Role,
    pub name: Option<DatasetName>,
    pub path: PathBuf,
    #[serde(default)]
    pub transformations: Vec<String>,
    pub source: Option<String>,
    pub row_range: Option<RowRange>,
}

impl RecordSpec {
    /// Reads a specification. Numbers keep their text.
    pub fn parse(bytes: &[u8]) -> Result<RecordSpec, SpecError> {
        let text = inputs::readable(bytes)?;
        serde_json::from_str(&text).map_err(|error| SpecError::Invalid(error.to_string()))
    }

    /// Adds what the specification holds to `request`; metrics that are not numbers are returned.
    pub fn add_to(self, request: &mut RecordRequest) -> Result<Vec<String>, SpecError> {
        let invalid = |error: NameError| SpecError::Invalid(error.to_string());
        let raw = |value: &Option<Box<RawValue>>| value.as_ref().map(|raw| raw.get().to_owned());
        let mut skipped = Vec::new();
        if let Some(text) = raw(&self.metrics) {
            let metrics = inputs::metrics_from_json(text.as_bytes())?;
            skipped = request.add_metrics(metrics);
        }
        if let Some(text) = raw(&self.params) {
            request.params.extend(inputs::parameters_from_json(text.as_bytes())?);
        }
        if let Some(text) = raw(&self.tags) {
            for tag in inputs::parameters_from_json(text.as_bytes())? {
                request.tags.push(Tag { name: tag.name, value: tag.text });
            }
        }
        let seed = raw(&self.seed).map(|text| text.trim_matches('"').to_owned());
        for dataset in self.data {
            request.datasets.push(DatasetRequest {
                role: dataset.role,
                name: dataset.name,
                path: dataset.path,
                transformations: dataset.transformations,
                source: dataset.source,
                row_range: dataset.row_range,
            });
        }
        for reference in self.derived_from {
            request.derived_from.push(reference.parse().map_err(invalid)?);
        }
        request.features.extend(self.features);
        request.target.extend(self.target);
        request.exclude.extend(self.exclude);
        once("artifact", &mut request.artifact, self.artifact)?;
        once("seed", &mut request.seed, seed)?;
        once("label", &mut request.label, self.label)?;
        once("model_type", &mut request.model_type, self.model_type)?;
        once("note", &mut request.note, self.note)?;
        once("idempotency_key", &mut request.idempotency_key, self.idempotency_key)?;
        once("started", &mut request.started, self.started)?;
        once("metadata", &mut request.metadata, self.metadata)?;
        request.store &= self.store.unwrap_or(true);
        request.allow_stand_in |= self.allow_pointer;
        Ok(skipped)
    }
}

/// A value may come from the specification or from a flag, not from both.
fn once<T>(name: &str, slot: &mut Option<T>, value: Option<T>) -> Result<(), SpecError> {
    if slot.is_some() && value.is_some() {
        let problem = format!("\"{name}\" is given both there and as a flag");
        return Err(SpecError::Invalid(problem));
    }
    if value.is_some() {
        *slot = value;
    }
    Ok(())
}

impl DeclaredSchema {
    /// The columns that a schema file declares (`docs/formats/fingerprint.md`, Schema).
    pub fn declared(bytes: &[u8], given: &str) -> Result<DeclaredSchema, SchemaError> {
        let columns = columns_from_file(bytes)?;
        let sha256 = Some(crate::digest::Sha256::of(bytes));
        let source = SchemaSource { kind: "declared".to_owned(), sha256, given: given.to_owned() };
        Ok(DeclaredSchema { source, columns })
    }

    /// The columns of a table file.
    pub fn of_file(
        path: &std::path::Path,
        observer: &dyn crate::context::Observer,
    ) -> Result<DeclaredSchema, RecordError> {
        let found = crate::fingerprint::fingerprint_path(path, observer)?;
        let Some(table) = found.table else {
            let problem = match (found.table_problem, found.kind) {
                (Some(problem), _) => problem,
                (None, crate::digest::Kind::Directory) => "it is a folder".to_owned(),
                (None, crate::digest::Kind::File) => "its name is not that of a table".to_owned(),
            };
            return Err(RecordError::NoTable { path: path.to_owned(), problem });
        };
        let given = path.to_string_lossy().into_owned();
        let source = SchemaSource { kind: "like".to_owned(), sha256: Some(found.sha256), given };
        Ok(DeclaredSchema { source, columns: declared(&table) })
    }

    /// The columns of the first dataset that a version used in a role.
    pub fn of_version(
        reader: &crate::store::Reader<'_>,
        reference: &Reference,
        role: &str,
        given: &str,
    ) -> Result<DeclaredSchema, RecordError> {
        let unknown = || RecordError::NoColumns { given: given.to_owned() };
        let version = crate::lookup::version(reader, reference)?;
        let (entry, _) = crate::lookup::entry(reader, version.seq)?;
        let crate::events::Event::SessionCompleted(session) =
            entry.event().map_err(StoreError::from)?
        else {
            return Err(unknown());
        };
        let (sha256, payload) = session
            .datasets
            .into_iter()
            .filter(|dataset| dataset.role.as_str() == role)
            .find_map(|dataset| Some((dataset.sha256, dataset.table?.details?)))
            .ok_or_else(unknown)?;
        let bytes = crate::objects::read(reader.layout(), &payload.sha256)?;
        let table = Table::from_json(&bytes).ok_or_else(unknown)?;
        let source =
            SchemaSource { kind: "like".to_owned(), sha256: Some(sha256), given: given.to_owned() };
        Ok(DeclaredSchema { source, columns: declared(&table) })
    }
}

fn declared(table: &Table) -> Vec<DeclaredColumn> {
    let columns = table.digest.columns.iter();
    columns
        .map(|column| DeclaredColumn { name: column.name.clone(), kind: Some(column.kind.clone()) })
        .collect()
}
