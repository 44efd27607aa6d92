//! Can a version be made again? Part by part: what trained it beside what is at hand; and the artifact
//! and metrics of a second training beside the first.

mod parts;

use serde::Serialize;

use crate::context::Context;
use crate::digest::Sha256;
use crate::environment::Environment;
use crate::events::{Event, Metric, MetricValue, SessionCompleted};
use crate::lookup::{self, LookupError};
use crate::names::{Reference, Split};
use crate::objects::{self, ObjectError};
use crate::record::{self, RecordError, RecordRequest};
use crate::settings::Settings;
use crate::store::{Reader, Registry, StoreError, VersionRow};

/// How something at hand compares with what was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The same.
    Match,
    /// The same content in other bytes.
    ReEncoded,
    /// One of the two is not known.
    Unknown,
    /// Not the same.
    Differs,
}

impl Verdict {
    /// The word for people and scripts.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Match => "match",
            Verdict::ReEncoded => "re-encoded",
            Verdict::Unknown => "unknown",
            Verdict::Differs => "differs",
        }
    }

    /// Whether nothing stands against making the model again.
    pub fn is_same_content(self) -> bool {
        matches!(self, Verdict::Match | Verdict::ReEncoded)
    }
}

/// One part of the comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartComparison {
    /// `data`, `schema_source`, `params`, `seed`, `features`, `target`, `code`, `interpreter` or `packages`.
    pub part: &'static str,
    /// Role and name of the dataset, of `data` and `schema_source`.
    pub dataset: Option<String>,
    /// How it compares.
    pub verdict: Verdict,
    /// What was recorded, in short.
    pub recorded: Option<String>,
    /// What is at hand, in short.
    pub found: Option<String>,
    /// What differs, or why it is not known.
    pub detail: Option<String>,
}

/// All parts.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// The model.
    pub model: String,
    /// The version.
    pub version: u64,
    /// The version's digest of its parts, when all of them that it needs were known.
    pub reproducibility_sha256: Option<Sha256>,
    /// The worst of the parts.
    pub verdict: Verdict,
    /// The parts.
    pub parts: Vec<PartComparison>,
}

/// A version and the session that made it.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The version.
    pub row: VersionRow,
    /// The session.
    pub session: SessionCompleted,
    /// Its environment, when it was captured.
    pub environment: Option<Environment>,
}

/// The comparison could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReproduceError {
    /// The reference leads to no version.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// What was recorded is lost.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The data at hand could not be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The registry could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was recorded of a version.
pub fn recorded(reader: &Reader<'_>, reference: &Reference) -> Result<Recorded, ReproduceError> {
    let row = lookup::version(reader, reference)?;
    let (entry, _) = lookup::entry(reader, row.seq)?;
    let Event::SessionCompleted(session) = entry.event().map_err(StoreError::from)? else {
        let problem = "it does not record the version that its row says".to_owned();
        return Err(StoreError::Inapplicable { seq: row.seq, problem }.into());
    };
    let environment = environment(reader, &session)?;
    Ok(Recorded { row, session: *session, environment })
}

/// The captured environment of a session.
pub fn environment(
    reader: &Reader<'_>,
    session: &SessionCompleted,
) -> Result<Option<Environment>, ObjectError> {
    let Some(payload) = &session.environment else { return Ok(None) };
    Ok(Environment::parse(&objects::read(reader.layout(), &payload.sha256)?))
}

/// Compares a version with what `request` would record now. Nothing is written.
pub fn compare(
    registry: &Registry,
    settings: &Settings,
    recorded: &Recorded,
    request: &RecordRequest,
    context: &Context<'_>,
) -> Result<Comparison, ReproduceError> {
    let planned = record::planned(registry, settings, request, context)?;
    let environment = request.capture.as_ref().map(|capture| &capture.environment);
    let left = (&recorded.session, recorded.environment.as_ref());
    let parts = parts::compare(left, (&planned, environment));
    let verdict = parts.iter().map(|part| part.verdict).max().unwrap_or(Verdict::Unknown);
    Ok(Comparison {
        model: recorded.row.model.to_string(),
        version: recorded.row.number,
        reproducibility_sha256: recorded.session.reproducibility_sha256,
        verdict,
        parts,
    })
}

/// A metric of the version beside that of the second training.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricComparison {
    /// On which data.
    pub split: Option<Split>,
    /// Its name.
    pub name: String,
    /// `match` within the tolerance; `unknown` when the second training did not give it.
    pub verdict: Verdict,
    /// In the version.
    pub recorded: MetricValue,
    /// In the second training.
    pub found: Option<MetricValue>,
}

/// Compares the metrics of a version with others. Values match when they are written the same, or when
/// both are finite and no further apart than `tolerance`.
pub fn metrics(recorded: &[Metric], found: &[Metric], tolerance: f64) -> Vec<MetricComparison> {
    let compare = |metric: &Metric| {
        let same = |other: &&Metric| (other.split, &other.name) == (metric.split, &metric.name);
        let other = found.iter().find(same).map(|other| other.value);
        let verdict = match other {
            None => Verdict::Unknown,
            Some(other) if other == metric.value => Verdict::Match,
            // Of NaN no distance is within a tolerance.
            Some(other) if (other.0 - metric.value.0).abs() <= tolerance => Verdict::Match,
            Some(_) => Verdict::Differs,
        };
        let Metric { split, name, value } = metric.clone();
        MetricComparison { split, name, verdict, recorded: value, found: other }
    };
    recorded.iter().map(compare).collect()
}
