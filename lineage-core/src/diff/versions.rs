//! What differs between two versions, by what was recorded of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use super::data::{self, DataDifference, DataSide, Known, Verdict};
use super::rows;
use super::{DiffError, DiffOptions, surroundings};
use crate::context::{Observer, Timestamp};
use crate::digest::{Kind, Sha256};
use crate::events::{
    DatasetUse, Event, Hashed, Metric, MetricValue, Parameter, SessionCompleted, VersionRecord,
};
use crate::files::FileError;
use crate::fingerprint::{FingerprintError, Input, Table, TableFormat, fingerprint_unless_known};
use crate::lookup;
use crate::names::{Label, ModelName, Reference, Split};
use crate::objects;
use crate::reproduce;
use crate::store::{Reader, StoreError, VersionRow};

/// What differs between two versions.
#[derive(Debug, Clone, Serialize)]
pub struct VersionDifference {
    /// `identical` when neither artifact, data nor anything listed here differs, else `different`.
    pub verdict: Verdict,
    /// The first version.
    pub left: VersionSide,
    /// The second version.
    pub right: VersionSide,
    /// The models' bytes.
    pub artifact: DataDifference,
    /// The data of both, those of the left version first.
    pub datasets: Vec<DatasetDifference>,
    /// Parameters that differ, sorted by name.
    pub params: Vec<ValueChange>,
    /// Metrics that differ, sorted by split and name.
    pub metrics: Vec<MetricChange>,
    /// The feature columns, when they differ.
    pub features: Option<NamesDifference>,
    /// What else differs: `model_type`, `seed`, `target`, `derived_from`, tags, transformations.
    pub facts: Vec<ValueChange>,
    /// What differs of the code: `commit`, `branch`, `changes` (the digest of what differed from the
    /// commit, or `none`).
    pub code: Vec<ValueChange>,
    /// What differs of where it ran, e.g. `interpreter`, `cpu`, `host`, when both environments were
    /// captured.
    pub environment: Vec<ValueChange>,
    /// Packages that differ, when those of both are known.
    pub packages: Vec<ValueChange>,
}

/// One of the two versions.
#[derive(Debug, Clone, Serialize)]
pub struct VersionSide {
    /// Its model.
    pub model: ModelName,
    /// Its number.
    pub version: u64,
    /// Its label.
    pub label: Option<Label>,
    /// When it was recorded.
    pub created: Timestamp,
}

/// The data of two versions in one role.
#[derive(Debug, Clone, Serialize)]
pub struct DatasetDifference {
    /// The role.
    pub role: String,
    /// Its name in the left version, or in the right one when only that has it.
    pub name: String,
    /// What differs.
    #[serde(flatten)]
    pub data: DataDifference,
}

/// A value that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValueChange {
    /// Its name.
    pub name: String,
    /// In the left version, if it is there.
    pub left: Option<String>,
    /// In the right version, if it is there.
    pub right: Option<String>,
}

/// A metric that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricChange {
    /// On which data.
    pub split: Option<Split>,
    /// Its name.
    pub name: String,
    /// In the left version.
    pub left: Option<MetricValue>,
    /// In the right version.
    pub right: Option<MetricValue>,
    /// Right minus left, when both are finite.
    pub delta: Option<f64>,
}

/// Two lists of names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamesDifference {
    /// Only in the right one.
    pub added: Vec<String>,
    /// Only in the left one.
    pub removed: Vec<String>,
    /// Whether those of both stand in another order.
    pub reordered: bool,
}

/// Compares two versions. Their files are opened only for comparisons of rows, and must then still hold
/// the bytes that were recorded.
pub fn versions(
    reader: &Reader<'_>,
    left: &Reference,
    right: &Reference,
    options: &DiffOptions<'_>,
    observer: &dyn Observer,
) -> Result<VersionDifference, DiffError> {
    let (left, right) = (Recorded::of(reader, left)?, Recorded::of(reader, right)?);
    let artifact = data::compare(&left.artifact(reader), &right.artifact(reader));
    let mut datasets = Vec::new();
    for (role, name, pair) in matched(&left.session.datasets, &right.session.datasets) {
        let data = dataset(reader, (&left, &right), pair, options, observer)?;
        datasets.push(DatasetDifference { role, name, data });
    }
    let mut difference = VersionDifference {
        verdict: Verdict::Identical,
        params: values(&left.session.params, &right.session.params, parameter),
        metrics: metrics(&left.session.metrics, &right.session.metrics),
        features: names(&left.session.features, &right.session.features),
        facts: values(&left.facts(), &right.facts(), named),
        code: values(
            &surroundings::code(&left.session),
            &surroundings::code(&right.session),
            named,
        ),
        environment: Vec::new(),
        packages: Vec::new(),
        left: left.side(),
        right: right.side(),
        artifact,
        datasets,
    };
    let environments = (
        reproduce::environment(reader, &left.session)?,
        reproduce::environment(reader, &right.session)?,
    );
    if let (Some(left), Some(right)) = &environments {
        let facts = (surroundings::facts(left), surroundings::facts(right));
        difference.environment = values(&facts.0, &facts.1, named);
        difference.packages = surroundings::packages(left, right);
    }
    let same = difference.artifact.verdict.is_same_content()
        && difference.datasets.iter().all(|dataset| dataset.data.verdict.is_same_content())
        && difference.params.is_empty()
        && difference.metrics.is_empty()
        && difference.features.is_none()
        && difference.facts.is_empty()
        && !surroundings::count(&difference);
    if !same {
        difference.verdict = Verdict::Different;
    }
    Ok(difference)
}

fn named((name, value): &(String, String)) -> (String, String) {
    (name.clone(), value.clone())
}

/// A version and the session that made it.
struct Recorded {
    row: VersionRow,
    session: Box<SessionCompleted>,
    version: VersionRecord,
}

impl Recorded {
    fn of(reader: &Reader<'_>, reference: &Reference) -> Result<Recorded, DiffError> {
        let row = lookup::version(reader, reference)?;
        let (entry, _) = lookup::entry(reader, row.seq)?;
        let problem = "it does not record the version that its row says";
        let wrong = || StoreError::Inapplicable { seq: row.seq, problem: problem.to_owned() };
        let Event::SessionCompleted(session) = entry.event().map_err(StoreError::from)? else {
            return Err(wrong().into());
        };
        let version = session.version.clone().ok_or_else(wrong)?;
        Ok(Recorded { row, session, version })
    }

    fn side(&self) -> VersionSide {
        VersionSide {
            model: self.row.model.clone(),
            version: self.row.number,
            label: self.row.label.clone(),
            created: self.row.created,
        }
    }

    fn artifact(&self, reader: &Reader<'_>) -> Known {
        let VersionRecord { path, kind, sha256, size_bytes, .. } = &self.version;
        known(reader, (path, *kind, *sha256, *size_bytes))
    }

    /// What is no parameter, metric, feature or data, as texts.
    fn facts(&self) -> Vec<(String, String)> {
        let session = &self.session;
        let mut facts: Vec<(String, String)> = Vec::new();
        let mut add = |name: &str, value: Option<String>| {
            facts.extend(value.map(|value| (name.to_owned(), value)));
        };
        add("model_type", session.model_type.clone());
        add("seed", session.seed.clone());
        add("target", (!session.target.is_empty()).then(|| session.target.join(", ")));
        let origins = session.derived_from.iter();
        let origins: Vec<String> =
            origins.map(|origin| format!("{}@{}", origin.model, origin.version)).collect();
        add("derived_from", (!origins.is_empty()).then(|| origins.join(", ")));
        for tag in &session.tags {
            add(&format!("tag {}", tag.name), Some(tag.value.clone()));
        }
        for dataset in session.datasets.iter().filter(|d| !d.transformations.is_empty()) {
            let name = format!("transformations of {}:{}", dataset.role, dataset.name);
            add(&name, Some(dataset.transformations.join("; ")));
        }
        facts
    }
}

/// What was recorded of a file or folder, without its rows.
fn known(reader: &Reader<'_>, what: (&str, Kind, Sha256, u64)) -> Known {
    let (path, kind, sha256, size_bytes) = what;
    let side = DataSide {
        path: path.to_owned(),
        kind,
        size_bytes,
        sha256,
        content_sha256: None,
        format: None,
        typing: None,
        rows: None,
        columns: None,
        table_problem: None,
        hashed: Hashed::Bytes,
    };
    let is_directory = kind == Kind::Directory;
    let manifest = is_directory.then(|| objects::manifest(reader.layout(), &sha256).ok()).flatten();
    Known { side, table: None, manifest }
}

fn known_dataset(reader: &Reader<'_>, dataset: &DatasetUse) -> Result<Known, DiffError> {
    let DatasetUse { path, kind, sha256, size_bytes, .. } = dataset;
    let mut known = known(reader, (path, *kind, *sha256, *size_bytes));
    let Some(recorded) = &dataset.table else { return Ok(known) };
    if let Some(payload) = &recorded.details {
        let bytes = objects::read(reader.layout(), &payload.sha256)?;
        known.table = Table::from_json(&bytes);
    }
    known.side.hashed = dataset.hashed;
    known.side.content_sha256 = recorded.content_sha256;
    known.side.format = known.table.as_ref().map(|table| table.format).or_else(|| {
        let found = TableFormat::of_path(Path::new(&dataset.path));
        found.map(|(format, _)| format).filter(|format| format.as_str() == recorded.format)
    });
    known.side.typing = known.table.as_ref().map(|table| table.typing);
    known.side.rows = Some(recorded.rows);
    known.side.columns = Some(recorded.columns.count);
    Ok(known)
}

pub(crate) type Pair<'a> = (Option<&'a DatasetUse>, Option<&'a DatasetUse>);

/// Datasets that belong together: of one role and name, or else the only two of a role that are left.
pub(crate) fn matched<'a>(
    left: &'a [DatasetUse],
    right: &'a [DatasetUse],
) -> Vec<(String, String, Pair<'a>)> {
    let same = |a: &DatasetUse, b: &DatasetUse| a.role == b.role && a.name == b.name;
    let alone = |of: &[DatasetUse], other: &[DatasetUse], one: &DatasetUse| {
        let rest = of.iter().filter(|d| d.role == one.role && !other.iter().any(|o| same(d, o)));
        rest.count() == 1
    };
    let pairs = left.iter().map(|dataset| {
        let other = right.iter().find(|other| same(dataset, other)).or_else(|| {
            let candidates = right.iter().filter(|other| other.role == dataset.role);
            let mut rest = candidates.filter(|other| !left.iter().any(|own| same(own, other)));
            rest.next().filter(|_| rest.next().is_none() && alone(left, right, dataset))
        });
        (Some(dataset), other)
    });
    let mut pairs: Vec<Pair<'a>> = pairs.collect();
    let taken = |dataset: &DatasetUse| {
        pairs.iter().any(|(_, other)| other.is_some_and(|other| same(other, dataset)))
    };
    let added: Vec<Pair<'a>> =
        right.iter().filter(|other| !taken(other)).map(|other| (None, Some(other))).collect();
    pairs.extend(added);
    let named = pairs.into_iter().filter_map(|pair| {
        let dataset = pair.0.or(pair.1)?;
        Some((dataset.role.to_string(), dataset.name.to_string(), pair))
    });
    named.collect()
}

fn dataset(
    reader: &Reader<'_>,
    versions: (&Recorded, &Recorded),
    pair: Pair<'_>,
    options: &DiffOptions<'_>,
    observer: &dyn Observer,
) -> Result<DataDifference, DiffError> {
    let (left, right) = match pair {
        (Some(left), Some(right)) => (left, right),
        (Some(left), None) => return Ok(known_dataset(reader, left)?.alone(Verdict::Removed)),
        (_, right) => {
            let known = right.map(|right| known_dataset(reader, right)).transpose()?;
            let problem = "it holds a dataset that is none".to_owned();
            let none = StoreError::Inapplicable { seq: versions.1.row.seq, problem };
            return Ok(known.ok_or(none)?.alone(Verdict::Added));
        }
    };
    let (known_left, known_right) = (known_dataset(reader, left)?, known_dataset(reader, right)?);
    let mut difference = data::compare(&known_left, &known_right);
    let tables = (known_left.table.as_ref(), known_right.table.as_ref());
    let asked = options.drift || !options.key.is_empty();
    if asked
        && !difference.verdict.is_same_content()
        && let (Some(table_left), Some(table_right)) = tables
    {
        let paths = [(left, versions.0), (right, versions.1)].map(|(dataset, version)| {
            check_unchanged(reader, dataset, version, options, observer)?;
            Ok::<_, DiffError>(reader.layout().absolute(&dataset.path))
        });
        let [path_left, path_right] = paths;
        let (path_left, path_right) = (path_left?, path_right?);
        rows::compare(
            &mut difference,
            (&path_left, Some(table_left)),
            (&path_right, Some(table_right)),
            options,
            observer,
        )?;
    }
    Ok(difference)
}

/// An error unless a recorded file still has the bytes that were recorded.
fn check_unchanged(
    reader: &Reader<'_>,
    dataset: &DatasetUse,
    version: &Recorded,
    options: &DiffOptions<'_>,
    observer: &dyn Observer,
) -> Result<(), DiffError> {
    let path = reader.layout().absolute(&dataset.path);
    let not_as_recorded = |now| DiffError::NotAsRecorded {
        path: dataset.path.clone().into(),
        reference: version.row.reference(),
        role: dataset.role.to_string(),
        now,
    };
    match fingerprint_unless_known(&[Input::new(path)], options.readings, observer) {
        Err(FingerprintError::File(FileError::Io { source, .. }))
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            Err(not_as_recorded("gone"))
        }
        Err(error) => Err(error.into()),
        Ok(found) => {
            let same = |found: &crate::fingerprint::Fingerprint| {
                (found.kind, found.sha256) == (dataset.kind, dataset.sha256)
            };
            if found.iter().all(same) { Ok(()) } else { Err(not_as_recorded("changed since")) }
        }
    }
}

fn parameter(parameter: &Parameter) -> (String, String) {
    (parameter.name.to_string(), parameter.text.clone())
}

/// The items that differ, sorted by name.
fn values<T: PartialEq>(
    left: &[T],
    right: &[T],
    named: impl Fn(&T) -> (String, String),
) -> Vec<ValueChange> {
    let key = |item: &T| named(item).0;
    let pairs = paired(left, right, key).into_iter().filter(|(_, (left, right))| left != right);
    let text = |item: Option<&T>| item.map(|item| named(item).1);
    pairs
        .map(|(name, (left, right))| ValueChange { name, left: text(left), right: text(right) })
        .collect()
}

fn metrics(left: &[Metric], right: &[Metric]) -> Vec<MetricChange> {
    let pairs = paired(left, right, |metric| (metric.split, metric.name.clone()));
    let change = |((split, name), (left, right)): (_, (Option<&Metric>, Option<&Metric>))| {
        let (left, right) = (left.map(|m| m.value), right.map(|m| m.value));
        let delta = left.zip(right).map(|(left, right)| right.0 - left.0);
        MetricChange { split, name, left, right, delta: delta.filter(|delta| delta.is_finite()) }
    };
    let changes = pairs.into_iter().map(change);
    changes.filter(|change| change.left != change.right).collect()
}

/// The items of two lists by key.
fn paired<'a, T, K: Ord>(
    left: &'a [T],
    right: &'a [T],
    key: impl Fn(&T) -> K,
) -> BTreeMap<K, (Option<&'a T>, Option<&'a T>)> {
    let mut pairs: BTreeMap<K, (Option<&T>, Option<&T>)> = BTreeMap::new();
    for item in left {
        pairs.entry(key(item)).or_default().0 = Some(item);
    }
    for item in right {
        pairs.entry(key(item)).or_default().1 = Some(item);
    }
    pairs
}

fn names(left: &[String], right: &[String]) -> Option<NamesDifference> {
    let without = |list: &[String], other: &[String]| -> Vec<String> {
        let other: BTreeSet<&String> = other.iter().collect();
        list.iter().filter(|name| !other.contains(name)).cloned().collect()
    };
    let (added, removed) = (without(right, left), without(left, right));
    let reordered = without(left, &removed) != without(right, &added);
    (left != right).then_some(NamesDifference { added, removed, reordered })
}
