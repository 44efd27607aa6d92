//! What must be the same to make a model again, as named parts with one digest
//! (`docs/formats/reproducibility.md`).

use serde::Serialize;
use serde_json::Value;

use crate::canonical;
use crate::digest::{Kind, Sha256};
use crate::environment::{Environment, Package};
use crate::events::{Code, DatasetUse, RowRange, SessionCompleted};
use crate::redaction::REMOVED;

/// The name and version of the document.
pub const SCHEMA: &str = "lineage.reproducibility/1";

/// The parts. One that is none is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Parts {
    /// Settings, sorted by name, without those whose value was removed as a secret.
    pub params: Option<Vec<Param>>,
    /// The data, sorted by role and name.
    pub data: Option<Vec<Data>>,
    /// Where the kinds of columns come from, for each dataset that is a table.
    pub schema_sources: Option<Vec<Source>>,
    /// The seed.
    pub seed: Option<String>,
    /// Feature columns in order.
    pub features: Option<Vec<String>>,
    /// Target columns in order.
    pub target: Option<Vec<String>>,
    /// The state of the code.
    pub code: Option<CodeState>,
    /// What ran it.
    pub interpreter: Option<Interpreter>,
    /// The interpreter's packages, sorted by name.
    pub packages: Option<Vec<Package>>,
}

/// A setting. What type its text was taken for depends on how it was given, and does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "said by the names")]
pub struct Param {
    pub name: String,
    pub text: String,
}

/// One dataset: its rows by content, or else its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Data {
    /// Its role.
    pub role: String,
    /// Its name in the role.
    pub name: String,
    /// The digest of its rows, when it is a table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_sha256: Option<Sha256>,
    /// What `sha256` is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// The digest of its bytes, when it is not a table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256>,
    /// The rows that were used, when not all were.
    pub row_range: Option<RowRange>,
}

/// Where the kinds of a table's columns come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The dataset's role.
    pub role: String,
    /// The dataset's name in the role.
    pub name: String,
    /// `file`, `declared`, `like` or `inferred`.
    pub kind: String,
    /// The digest of the schema file, or of the dataset that it is like.
    pub sha256: Option<Sha256>,
}

/// A commit, and what differed from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CodeState {
    /// Its id in hex.
    pub commit: String,
    /// The digest of the difference, when there was one.
    pub diff_sha256: Option<Sha256>,
}

/// What ran the training program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Interpreter {
    /// `CPython`, `PyPy`, `R`, …
    pub implementation: String,
    /// Its version.
    pub version: String,
}

impl Parts {
    /// The parts of a session, given its environment if that was captured.
    pub fn of(session: &SessionCompleted, environment: Option<&Environment>) -> Parts {
        let (interpreter, packages) = environment.and_then(interpreter).unzip();
        let params = session.params.iter().filter(|param| param.text != REMOVED);
        let params = params.map(|p| Param { name: p.name.to_string(), text: p.text.clone() });
        let datasets = &session.datasets;
        let stable = datasets.iter().all(|dataset| dataset.changed_to_sha256.is_none());
        let known = stable && !datasets.is_empty();
        Parts {
            params: some(params.collect()),
            data: known.then(|| datasets.iter().map(Data::of).collect()),
            schema_sources: known.then(|| datasets.iter().filter_map(Source::of).collect()),
            seed: session.seed.clone(),
            features: some(session.features.clone()),
            target: some(session.target.clone()),
            code: session.code.as_ref().and_then(CodeState::of),
            interpreter,
            packages,
        }
    }

    /// The document.
    pub fn document(&self) -> Value {
        let mut document = serde_json::to_value(self).unwrap_or_default();
        if let Some(fields) = document.as_object_mut() {
            fields.insert("schema".to_owned(), SCHEMA.into());
        }
        document
    }

    /// The digest of the document in canonical JSON; none while data or code is unknown.
    pub fn sha256(&self) -> Option<Sha256> {
        (self.data.is_some() && self.code.is_some()).then_some(())?;
        Some(Sha256::of(&canonical::to_bytes(&self.document()).ok()?))
    }
}

/// A list that holds nothing says nothing.
fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn interpreter(environment: &Environment) -> Option<(Interpreter, Vec<Package>)> {
    let (implementation, version, packages) =
        match (environment.python.known(), environment.r.known()) {
            (Some(python), _) => (&*python.implementation, &python.version, &python.packages),
            (None, Some(r)) => ("R", &r.version, &r.packages),
            (None, None) => return None,
        };
    let interpreter =
        Interpreter { implementation: implementation.to_owned(), version: version.clone() };
    Some((interpreter, packages.clone()))
}

impl Data {
    fn of(dataset: &DatasetUse) -> Data {
        let content_sha256 = dataset.table.as_ref().and_then(|table| table.content_sha256);
        let bytes = content_sha256.is_none();
        Data {
            role: dataset.role.to_string(),
            name: dataset.name.to_string(),
            content_sha256,
            kind: bytes.then_some(dataset.kind),
            sha256: bytes.then_some(dataset.sha256),
            row_range: dataset.row_range,
        }
    }
}

impl Source {
    fn of(dataset: &DatasetUse) -> Option<Source> {
        let schema = dataset.table.as_ref()?.schema.as_ref();
        Some(Source {
            role: dataset.role.to_string(),
            name: dataset.name.to_string(),
            kind: schema.map_or("file", |schema| &schema.kind).to_owned(),
            sha256: schema.and_then(|schema| schema.sha256),
        })
    }
}

impl CodeState {
    /// None while files differed from the commit in a way that has no digest.
    fn of(code: &Code) -> Option<CodeState> {
        let known = !code.dirty || code.diff_sha256.is_some();
        known.then(|| CodeState { commit: code.commit.clone(), diff_sha256: code.diff_sha256 })
    }
}
