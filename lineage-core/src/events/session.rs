//! The details of `session.completed`: a whole training session and the version it made.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::{Kind, Sha256};
use crate::inspect::Verdict;
use crate::names::{DatasetName, KeyName, Label, MetricName, ModelName, Role, Split};

/// One training session that ended well, and the version that it made, if it made one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionCompleted {
    /// The model that was trained.
    pub model: ModelName,
    /// The version, or none when no artifact was recorded.
    pub version: Option<VersionRecord>,
    /// What kind of model, e.g. `xgboost`.
    pub model_type: Option<String>,
    /// The data it used, sorted by (role, name).
    pub datasets: Vec<DatasetUse>,
    /// Parameters, sorted by name.
    pub params: Vec<Parameter>,
    /// Metrics, sorted by (split, name).
    pub metrics: Vec<Metric>,
    /// The seed as a decimal string, since seeds may exceed 2^53.
    pub seed: Option<String>,
    /// Feature columns, in the order given.
    pub features: Vec<String>,
    /// Target columns, in the order given.
    pub target: Vec<String>,
    /// Versions that this one was made from.
    pub derived_from: Vec<DerivedFrom>,
    /// Free labels, sorted by name.
    pub tags: Vec<Tag>,
    /// A remark, in clear.
    pub note: Option<String>,
    /// Where the captured environment lies in the object store.
    pub environment: Option<Payload>,
    /// The code that was run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// The digest of what must be the same to make the model again (`docs/formats/reproducibility.md`);
    /// none while data or code is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reproducibility_sha256: Option<Sha256>,
    /// How the training program ran, when `lineage run` started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    /// Metrics over the steps of the training, sorted as metrics are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<Series>,
    /// What was claimed of a session that was recorded afterwards, from files or another tracker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<Claims>,
    /// When the session started, if that is known.
    pub started: Option<crate::context::Timestamp>,
    /// The caller's key, which makes a repeated call answer with the first call's version.
    pub idempotency_key: Option<String>,
    /// The digest of what makes two requests the same (`docs/formats/registry-events.md`).
    pub request_sha256: Sha256,
}

/// An immutable version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionRecord {
    /// 1, 2, 3, … per model, never reused.
    pub number: u64,
    /// A second name, unique per model.
    pub label: Option<Label>,
    /// The artifact, where it was when it was recorded.
    pub path: String,
    /// Whether `sha256` is of a file or of a directory's manifest.
    pub kind: Kind,
    /// The artifact's identity.
    pub sha256: Sha256,
    /// Bytes of all its files.
    pub size_bytes: u64,
    /// How many files.
    pub files: u64,
    /// The largest file's path within a directory; empty for a file artifact.
    pub largest_file_path: String,
    /// The largest file's digest.
    pub largest_file_sha256: Sha256,
    /// Whether the bytes were put into the object store.
    pub stored: bool,
    /// Where `metadata.json` belongs.
    pub metadata_path: String,
    /// Whether stand-ins (Git LFS, DVC) were knowingly recorded as the artifact.
    pub allowed_stand_in: bool,
    /// What loading it would do, as far as its bytes tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inspection: Option<InspectionRecord>,
}

/// The inspection of an artifact (`docs/formats/model-inspection.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InspectionRecord {
    /// The worst of all its files.
    pub verdict: Verdict,
    /// A payload that is a `lineage.inspection/1` document; none when no file is of a known format.
    pub details: Option<Payload>,
}

/// How a digest was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hashed {
    /// All bytes were read for this record.
    Bytes,
    /// An earlier reading of the unchanged file was trusted.
    Cache,
}

/// The state of the code that was run, as git tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// The commit's id in hex.
    pub commit: String,
    /// The branch, unless the head is detached.
    pub branch: Option<String>,
    /// Whether files differed from the commit, or were not in it.
    pub dirty: bool,
    /// SHA-256 of the difference to the commit, when there was one.
    pub diff_sha256: Option<Sha256>,
    /// The difference itself, a payload, when it was to be kept.
    pub patch: Option<Payload>,
}

/// How a training program ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its exit status; 128 and the signal's number when a signal ended it.
    pub exit_status: i32,
    /// From start to end, in microseconds.
    pub duration_us: u64,
    /// CPU time in user and system mode of it and its children, in microseconds.
    pub cpu_us: Option<u64>,
    /// The most memory that it, or one of its children, held at a time.
    pub peak_memory_bytes: Option<u64>,
    /// Whether the session was recorded later than it ended, because it could not be then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
}

/// A metric over the steps of a training.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// The data it was measured on.
    pub split: Option<Split>,
    /// Its name without the split.
    pub name: String,
    /// How many points.
    pub points: u64,
    /// The points, a payload (`docs/formats/metric-series.md`).
    pub payload: Payload,
}

/// What someone else's files say of a session; nothing of it was checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    /// Who claims it: `adopt`, `mlflow`, `dvc`, `gto` or `spool`.
    pub source: String,
    /// When the session was run, or the artifact made.
    pub created: Option<crate::context::Timestamp>,
    /// Other facts under their original names, e.g. a run's id or an MD5.
    pub facts: std::collections::BTreeMap<String, String>,
}

/// A dataset in a role of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetUse {
    /// E.g. `training`.
    pub role: Role,
    /// Unique within the role.
    pub name: DatasetName,
    /// Where it was.
    pub path: String,
    /// Whether `sha256` is of a file or of a directory's manifest.
    pub kind: Kind,
    /// The identity of the bytes.
    pub sha256: Sha256,
    /// Bytes of all files.
    pub size_bytes: u64,
    /// How the digest was come by.
    pub hashed: Hashed,
    /// Rows and columns, when it is a table.
    pub table: Option<TableUse>,
    /// What was done to the data, in the user's words and order.
    pub transformations: Vec<String>,
    /// Where the data came from, e.g. a URI.
    pub source: Option<String>,
    /// The rows that were used, when not all were.
    pub row_range: Option<RowRange>,
    /// What was left out of a directory.
    pub exclude: Vec<String>,
    /// What `sha256` would have been after the training, when that was another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_to_sha256: Option<Sha256>,
}

/// A dataset seen as a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableUse {
    /// `csv`, `tsv`, `ndjson`, `parquet` or `arrow`.
    pub format: String,
    /// Rows, the header not counted.
    pub rows: u64,
    /// The columns.
    pub columns: Columns,
    /// The format-independent digest of the rows (`lineage-table-1`), when it was taken.
    pub content_sha256: Option<Sha256>,
    /// Where the columns' types come from, when the file does not say.
    pub schema: Option<SchemaSource>,
    /// A payload that is a `lineage.table/1` document: kinds, digests and profile of the columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Payload>,
}

/// Column names, in the entry or, when there are very many, as a payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns {
    /// How many.
    pub count: u64,
    /// The names in order, when they are in the entry.
    pub names: Option<Vec<String>>,
    /// A payload that is the canonical JSON array of the names.
    pub payload: Option<Payload>,
}

/// Where a schema was taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaSource {
    /// `declared` by a file, `like` another dataset, or `inferred` from all values.
    pub kind: String,
    /// SHA-256 of the schema file, or of the dataset that it is like.
    pub sha256: Option<Sha256>,
    /// The reference or path as given; empty when nothing was.
    pub given: String,
}

/// Rows `first` to `last`, counted from 0, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "said by the type")]
pub struct RowRange {
    pub first: u64,
    pub last: u64,
}

/// Facts too large for an entry, in the object store under their digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// SHA-256 of the payload's bytes.
    pub sha256: Sha256,
    /// How many bytes that is.
    pub size_bytes: u64,
}

impl Payload {
    /// The digest and size of `bytes`.
    pub fn of(bytes: &[u8]) -> Payload {
        Payload { sha256: Sha256::of(bytes), size_bytes: bytes.len() as u64 }
    }
}

/// The version that a model was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DerivedFrom {
    /// Its model.
    pub model: ModelName,
    /// Its number.
    pub version: u64,
    /// Its artifact's digest.
    pub sha256: Sha256,
}

/// A parameter: its text as given and the type that the text or its source announces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name.
    pub name: KeyName,
    /// The value's text.
    pub text: String,
    /// What the text is.
    pub r#type: ParameterType,
}

/// The type of a parameter's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the words are the documentation")]
pub enum ParameterType {
    Int,
    Float,
    Bool,
    Null,
    String,
    /// A JSON array or object.
    Json,
}

impl ParameterType {
    /// What a text given on a command line is taken for.
    pub fn of_text(text: &str) -> ParameterType {
        if text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok() {
            ParameterType::Int
        } else if text.bytes().any(|b| b.is_ascii_digit()) && text.parse::<f64>().is_ok() {
            ParameterType::Float
        } else if matches!(text, "true" | "false") {
            ParameterType::Bool
        } else {
            ParameterType::String
        }
    }

    /// The type as written in entries and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            ParameterType::Int => "int",
            ParameterType::Float => "float",
            ParameterType::Bool => "bool",
            ParameterType::Null => "null",
            ParameterType::String => "string",
            ParameterType::Json => "json",
        }
    }
}

/// A free label on a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "said by the names")]
pub struct Tag {
    pub name: KeyName,
    pub value: String,
}

/// A measured value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The data it was measured on.
    pub split: Option<Split>,
    /// Its name without the split.
    pub name: String,
    /// Its value.
    pub value: MetricValue,
}

impl Metric {
    /// The metric's name with its split.
    pub fn full_name(&self) -> MetricName {
        MetricName { split: self.split, name: self.name.clone() }
    }
}

/// A double, kept exactly: in JSON a number, or one of `"NaN"`, `"Infinity"`, `"-Infinity"`, `"-0"`,
/// which JSON numbers cannot carry.
#[derive(Debug, Clone, Copy)]
pub struct MetricValue(pub f64);

impl MetricValue {
    /// The text that stands for a value which a JSON number cannot carry.
    pub fn special(self) -> Option<&'static str> {
        match self.0 {
            value if value.is_nan() => Some("NaN"),
            f64::INFINITY => Some("Infinity"),
            f64::NEG_INFINITY => Some("-Infinity"),
            value if value == 0.0 && value.is_sign_negative() => Some("-0"),
            _ => None,
        }
    }

    fn from_special(text: &str) -> Option<MetricValue> {
        Some(MetricValue(match text {
            "NaN" => f64::NAN,
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            "-0" => -0.0,
            _ => return None,
        }))
    }

    /// Reads a decimal number, or `nan`, `inf`, `infinity` in any case and with a sign.
    pub fn parse(text: &str) -> Option<MetricValue> {
        let value: f64 = text.parse().ok()?;
        // "1e999" is a number that a double cannot hold, not infinity.
        let overflown = value.is_infinite() && text.bytes().any(|byte| byte.is_ascii_digit());
        (!overflown).then_some(MetricValue(value))
    }
}

/// Two values are the same when they are written the same: NaN is NaN, and 0 is not −0.
impl PartialEq for MetricValue {
    fn eq(&self, other: &Self) -> bool {
        self.special() == other.special() && (self.special().is_some() || self.0 == other.0)
    }
}

impl std::fmt::Display for MetricValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.special() {
            Some(text) => f.write_str(text),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Serialize for MetricValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.special() {
            Some(text) => serializer.serialize_str(text),
            // A whole number is written without a fraction, as its canonical text is.
            None if self.0.fract() == 0.0 && self.0.abs() < 9e15 => {
                serializer.serialize_i64(self.0 as i64)
            }
            None => serializer.serialize_f64(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for MetricValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let refused = || serde::de::Error::custom("not a number, \"NaN\", \"Infinity\" or \"-0\"");
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Number(number) => number.as_f64().map(MetricValue),
            serde_json::Value::String(text) => MetricValue::from_special(&text),
            _ => None,
        }
        .ok_or_else(refused)
    }
}
