//! Rows of MLflow's tables as sessions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::super::import::{Ending, Piece};
use super::super::model_name;
use super::VersionKey;
use super::artifacts::Artifacts;
use crate::context::Timestamp;
use crate::events::{Claims, Metric, MetricValue, Parameter, ParameterType, Tag};
use crate::names::{MetricName, ModelName};
use crate::record::RecordRequest;
use crate::series::SeriesPoint;
use crate::store::{Cell, ForeignDatabase, ForeignRow};
use crate::takeover::TakeoverError;

/// Columns that hold milliseconds since 1970.
pub(super) const DATES: [&str; 9] = [
    "creation_time",
    "last_update_time",
    "last_updated_time",
    "start_time",
    "end_time",
    "deleted_time",
    "creation_timestamp_ms",
    "last_updated_timestamp_ms",
    "timestamp_ms",
];

/// A session to be, and what was noticed on the way.
pub(super) struct Made {
    pub(super) piece: Piece,
    /// The model version that the session holds.
    pub(super) original: Option<VersionKey>,
    /// How the run of that version ended, when it did not end well.
    pub(super) unfit: Option<String>,
    pub(super) problems: Vec<String>,
    /// Values that stand for infinity.
    pub(super) infinite: u64,
}

/// A run, with the first version that was registered from it; or one more version. A run that did not
/// end well has no version: what was registered from it stands by itself.
pub(super) struct Work {
    run: Option<ForeignRow>,
    version: Option<ForeignRow>,
    /// The registered model that it belongs to.
    registered: Option<String>,
}

/// What is needed to understand one row from others.
pub(super) struct Source<'a> {
    artifacts: &'a Artifacts,
    pub(super) experiments: BTreeMap<String, ForeignRow>,
    runs: Vec<ForeignRow>,
    versions: Vec<ForeignRow>,
    logged: BTreeMap<String, ForeignRow>,
}

/// Workspace (empty in databases without), name and version of a registered model.
pub(super) fn version_key(row: &ForeignRow) -> VersionKey {
    let text = |column: &str| row.text(column).unwrap_or_default();
    (text("workspace"), text("name"), text("version"))
}

fn by(rows: Vec<ForeignRow>, column: &str) -> BTreeMap<String, ForeignRow> {
    rows.into_iter().map(|row| (row.text(column).unwrap_or_default(), row)).collect()
}

fn date(cell: &Cell) -> Option<Timestamp> {
    Timestamp::from_unix_microseconds(cell.integer()?.checked_mul(1000)?)
}

/// Every column that holds something, under its own name; dates in words.
fn facts(row: &ForeignRow, prefix: &str, facts: &mut BTreeMap<String, String>) {
    for (column, cell) in row.cells() {
        let time = if DATES.contains(&column) { date(cell) } else { None };
        let text = time.map(|time| time.to_string()).or_else(|| cell.text());
        facts.extend(text.map(|text| (format!("{prefix}{column}"), text)));
    }
}

impl<'a> Source<'a> {
    pub(super) fn read(
        database: &ForeignDatabase,
        artifacts: &'a Artifacts,
    ) -> Result<Source<'a>, TakeoverError> {
        Ok(Source {
            artifacts,
            experiments: by(database.rows("experiments", None)?, "experiment_id"),
            runs: database.rows("runs", None)?,
            versions: database.rows("model_versions", None)?,
            logged: by(database.rows("logged_models", None)?, "model_id"),
        })
    }

    /// Versions in the order of their numbers, each with its run the first time; then the other runs
    /// in the order of their starts.
    pub(super) fn order(&self) -> Vec<Work> {
        let number = |row: &ForeignRow| row.cell("version").integer().unwrap_or(i64::MAX);
        let mut versions: Vec<&ForeignRow> = self.versions.iter().collect();
        versions.sort_by_key(|row| (version_key(row).1, number(row)));
        let runs: BTreeMap<String, &ForeignRow> =
            self.runs.iter().map(|run| (run.text("run_uuid").unwrap_or_default(), run)).collect();
        let mut used: BTreeSet<String> = BTreeSet::new();
        let mut order = Vec::new();
        for version in versions {
            let id = self.run_of(version).filter(|id| runs.contains_key(id));
            let run = id.filter(|id| used.insert(id.clone())).and_then(|id| runs.get(&id));
            let mut run = run.map(|run| (*run).clone());
            let registered = version.text("name");
            if let Some(run) = run.take_if(|run| ending(run) != Ending::Completed) {
                let registered = registered.clone();
                order.push(Work { run: Some(run), version: None, registered });
            }
            order.push(Work { run, version: Some(version.clone()), registered });
        }
        let mut rest: Vec<&&ForeignRow> =
            runs.iter().filter(|(id, _)| !used.contains(*id)).map(|(_, run)| run).collect();
        rest.sort_by_key(|run| run.cell("start_time").integer());
        let alone =
            |run: &ForeignRow| Work { run: Some(run.clone()), version: None, registered: None };
        order.extend(rest.into_iter().map(|run| alone(run)));
        order
    }

    /// The run that a version was registered from, by its own word or that of its logged model.
    fn run_of(&self, version: &ForeignRow) -> Option<String> {
        let own = version.text("run_id").filter(|id| !id.is_empty());
        own.or_else(|| self.logged_of(version)?.text("source_run_id"))
    }

    fn logged_of(&self, version: &ForeignRow) -> Option<&ForeignRow> {
        let source = version.text("source")?;
        self.logged.get(source.strip_prefix("models:/")?.trim_matches('/'))
    }

    fn model_of_experiment(&self, id: &str) -> Option<ModelName> {
        let name = self.experiments.get(id)?.text("name")?;
        model_name(&name)
    }

    fn model(&self, experiment: Option<String>) -> ModelName {
        experiment.and_then(|id| self.model_of_experiment(&id)).unwrap_or_else(ModelName::imported)
    }

    pub(super) fn run_or_version(
        &self,
        database: &ForeignDatabase,
        work: &Work,
    ) -> Result<Made, TakeoverError> {
        let run = work.run.as_ref();
        let version = work.version.as_ref();
        let registered = work.registered.as_deref().and_then(model_name);
        let experiment = run.and_then(|run| run.text("experiment_id"));
        let model = registered.unwrap_or_else(|| self.model(experiment.clone()));
        let mut making = Making::new(model);
        if let Some(run) = run {
            let id = run.text("run_uuid").unwrap_or_default();
            making.begin("run", &id, run);
            making.ending = ending(run);
            let name = experiment.and_then(|id| self.experiments.get(&id)?.text("name"));
            making.facts.extend(name.map(|name| ("experiment_name".to_owned(), name)));
            making.request.started = date(run.cell("start_time"));
            making.created = date(run.cell("end_time")).or(making.request.started);
            making.params(&database.rows("params", Some(("run_uuid", &id)))?, "key", "value");
            making.tags(&database.rows("tags", Some(("run_uuid", &id)))?, "key", "value");
            making.metrics(
                &database.rows("latest_metrics", Some(("run_uuid", &id)))?,
                &database.rows("metrics", Some(("run_uuid", &id)))?,
            );
            making.inputs(database, &id)?;
        }
        if let Some(version) = version {
            let (workspace, name, number) = version_key(version);
            if run.is_none() {
                making.begin(
                    "version",
                    &format!("{workspace}:{name}:{number}"),
                    &ForeignRow::default(),
                );
                making.subject = format!("{name} version {number}");
                self.tell_of_unfit_run(version, &mut making);
            }
            facts(version, "version.", &mut making.facts);
            for tag in database.rows("model_version_tags", Some(("name", &name)))? {
                if version_key(&tag) == version_key(version) {
                    let key = format!("version tag {}", tag.text("key").unwrap_or_default());
                    making.facts.insert(key, tag.text("value").unwrap_or_default());
                }
            }
            making.created = date(version.cell("creation_time")).or(making.created);
            making.request.artifact = self.artifact(version);
            if making.request.artifact.is_none() {
                let uri = version.text("source").unwrap_or_default();
                making.problems.push(format!(
                    "the files of {name} version {number} are not here ({uri}); only what was claimed \
                     of it was recorded"
                ));
            } else {
                making.request.label = format!("mlflow-{number}").parse().ok();
            }
        }
        let original = version.map(version_key);
        Ok(Made { original, ..making.done() })
    }

    /// A version that was registered from a run that did not end well must not look as if it had.
    fn tell_of_unfit_run(&self, version: &ForeignRow, making: &mut Making) {
        let Some(id) = self.run_of(version) else { return };
        let run = self.runs.iter().find(|run| run.text("run_uuid").as_deref() == Some(&id));
        let Some(run) = run.filter(|run| ending(run) != Ending::Completed) else { return };
        let status = run.text("status").unwrap_or_default();
        making.facts.insert("run.status".to_owned(), status.clone());
        let from = format!("registered in MLflow from run {id}, whose status is {status}");
        making.problems.push(format!("{from}; it is recorded apart from the run and says so"));
        making.request.note = Some(from);
        making.unfit = Some(status);
    }

    /// The files of a version, if they are here.
    fn artifact(&self, version: &ForeignRow) -> Option<PathBuf> {
        let logged = self.logged_of(version);
        let run_id = self.run_of(version).unwrap_or_default();
        let run = self.runs.iter().find(|run| run.text("run_uuid").as_deref() == Some(&run_id));
        let experiment = run.or(logged).and_then(|row| row.text("experiment_id"));
        let model_id = logged.and_then(|row| row.text("model_id"));
        let ids: Vec<&str> = [experiment.as_deref(), Some(run_id.as_str()), model_id.as_deref()]
            .into_iter()
            .flatten()
            .filter(|id| !id.is_empty())
            .collect();
        let mut uris: Vec<String> = Vec::new();
        uris.extend(logged.and_then(|row| row.text("artifact_location")));
        let source = version.text("source").unwrap_or_default();
        // `runs:/ID/model` lies in the run's own folder of artifacts.
        let inside = source.strip_prefix("runs:/").and_then(|rest| rest.split_once('/'));
        if let (Some((_, inside)), Some(uri)) =
            (inside, run.and_then(|run| run.text("artifact_uri")))
        {
            uris.push(format!("{}/{inside}", uri.trim_end_matches('/')));
        }
        uris.extend(version.text("storage_location"));
        uris.push(source);
        uris.iter().find_map(|uri| self.artifacts.find(uri, &ids))
    }

    pub(super) fn experiment(
        &self,
        database: &ForeignDatabase,
        row: &ForeignRow,
    ) -> Result<Made, TakeoverError> {
        let id = row.text("experiment_id").unwrap_or_default();
        let mut making = Making::new(self.model(Some(id.clone())));
        making.begin("experiment", &id, row);
        making.created = date(row.cell("creation_time"));
        let tags = database.rows("experiment_tags", Some(("experiment_id", &id)))?;
        making.tags(&tags, "key", "value");
        Ok(making.done())
    }

    pub(super) fn dataset(&self, row: &ForeignRow) -> Made {
        let mut making = Making::new(self.model(row.text("experiment_id")));
        making.begin("dataset", &row.text("dataset_uuid").unwrap_or_default(), row);
        making.done()
    }

    pub(super) fn registered_model(
        &self,
        database: &ForeignDatabase,
        row: &ForeignRow,
    ) -> Result<Made, TakeoverError> {
        let (workspace, name, _) = version_key(row);
        let mut making = Making::new(model_name(&name).unwrap_or_else(ModelName::imported));
        making.begin("registered-model", &format!("{workspace}:{name}"), row);
        making.created = date(row.cell("creation_time"));
        let own = |other: &ForeignRow| version_key(other).0 == workspace;
        let mut tags = database.rows("registered_model_tags", Some(("name", &name)))?;
        tags.retain(own);
        making.tags(&tags, "key", "value");
        for alias in database.rows("registered_model_aliases", Some(("name", &name)))? {
            if own(&alias) {
                let key = format!("alias {}", alias.text("alias").unwrap_or_default());
                making.facts.insert(key, alias.text("version").unwrap_or_default());
            }
        }
        Ok(making.done())
    }

    pub(super) fn logged_model(
        &self,
        database: &ForeignDatabase,
        row: &ForeignRow,
    ) -> Result<Made, TakeoverError> {
        let id = row.text("model_id").unwrap_or_default();
        let mut making = Making::new(self.model(row.text("experiment_id")));
        making.begin("logged-model", &id, row);
        making.created = date(row.cell("creation_timestamp_ms"));
        let only = Some(("model_id", id.as_str()));
        making.params(&database.rows("logged_model_params", only)?, "param_key", "param_value");
        making.tags(&database.rows("logged_model_tags", only)?, "tag_key", "tag_value");
        let run = row.text("source_run_id");
        making.model_metrics(&database.rows("logged_model_metrics", only)?, run.as_deref());
        Ok(making.done())
    }
}

/// A session being put together.
struct Making {
    subject: String,
    id: String,
    request: RecordRequest,
    facts: BTreeMap<String, String>,
    created: Option<Timestamp>,
    problems: Vec<String>,
    ending: Ending,
    unfit: Option<String>,
    infinite: u64,
}

impl Making {
    fn new(model: ModelName) -> Making {
        Making {
            subject: String::new(),
            id: String::new(),
            request: RecordRequest::new(model),
            facts: BTreeMap::new(),
            created: None,
            problems: Vec::new(),
            ending: Ending::Completed,
            unfit: None,
            infinite: 0,
        }
    }

    fn begin(&mut self, kind: &str, id: &str, row: &ForeignRow) {
        self.subject = format!("{kind} {id}");
        self.id = format!("mlflow:{kind}:{id}");
        facts(row, "", &mut self.facts);
        self.facts.insert("mlflow".to_owned(), kind.to_owned());
    }

    fn done(mut self) -> Made {
        let (facts, created) = (self.facts, self.created);
        self.request.claims = Some(Claims { source: "mlflow".to_owned(), created, facts });
        Made {
            piece: Piece {
                subject: self.subject,
                id: self.id,
                ending: self.ending,
                request: self.request,
                version_facts: &["version.workspace", "version.name", "version.version"],
            },
            original: None,
            unfit: self.unfit,
            problems: self.problems,
            infinite: self.infinite,
        }
    }

    fn params(&mut self, rows: &[ForeignRow], key: &str, value: &str) {
        for row in rows {
            let (name, text) =
                (row.text(key).unwrap_or_default(), row.text(value).unwrap_or_default());
            match name.parse() {
                Ok(name) => {
                    let r#type = ParameterType::of_text(&text);
                    self.request.params.push(Parameter { name, text, r#type });
                }
                Err(_) => drop(self.facts.insert(format!("param {name}"), text)),
            }
        }
    }

    fn tags(&mut self, rows: &[ForeignRow], key: &str, value: &str) {
        for row in rows {
            let (name, text) =
                (row.text(key).unwrap_or_default(), row.text(value).unwrap_or_default());
            match name.parse() {
                Ok(name) => self.request.tags.push(Tag { name, value: text }),
                Err(_) => drop(self.facts.insert(format!("tag {name}"), text)),
            }
        }
    }

    /// The last value of each metric, as MLflow says which it is, and the whole history.
    fn metrics(&mut self, latest: &[ForeignRow], history: &[ForeignRow]) {
        for row in latest {
            let value = value_of(row, "value");
            if let Some(MetricName { split, name }) = metric_name(row.text("key")) {
                self.request.metrics.push(Metric { split, name, value: MetricValue(value) });
            }
        }
        let mut series: BTreeMap<MetricName, Vec<SeriesPoint>> = BTreeMap::new();
        for row in history {
            if let Some(name) = metric_name(row.text("key")) {
                let point = self.point(row, "step", "timestamp", "value");
                series.entry(name).or_default().push(point);
            }
        }
        self.request.series = series.into_iter().collect();
    }

    /// The metrics of a logged model. What was measured by another run, or on a dataset, says so.
    fn model_metrics(&mut self, rows: &[ForeignRow], own_run: Option<&str>) {
        let mut series: BTreeMap<MetricName, Vec<SeriesPoint>> = BTreeMap::new();
        for row in rows {
            let mut name = row.text("metric_name").unwrap_or_default();
            let run = row.text("run_id").filter(|run| Some(run.as_str()) != own_run);
            let dataset = row.text("dataset_name").map(|dataset| {
                format!("dataset {dataset} {}", row.text("dataset_digest").unwrap_or_default())
            });
            let run = run.map(|run| format!("run {run}"));
            let notes: Vec<String> = run.into_iter().chain(dataset).collect();
            if !notes.is_empty() {
                name = format!("{name} [{}]", notes.join(", "));
            }
            if let Some(name) = metric_name(Some(name)) {
                let point = self.point(row, "metric_step", "metric_timestamp_ms", "metric_value");
                series.entry(name).or_default().push(point);
            }
        }
        for (MetricName { split, name }, points) in &series {
            let last = points.iter().max_by_key(|point| (point.step, point.time_us));
            if let Some(last) = last {
                let (split, name) = (*split, name.clone());
                self.request.metrics.push(Metric { split, name, value: MetricValue(last.value) });
            }
        }
        self.request.series = series.into_iter().collect();
    }

    fn point(&mut self, row: &ForeignRow, step: &str, time: &str, value: &str) -> SeriesPoint {
        let value = value_of(row, value);
        self.infinite += u64::from(value.is_infinite());
        SeriesPoint {
            step: row.cell(step).integer().unwrap_or(0),
            time_us: row.cell(time).integer().and_then(|ms| ms.checked_mul(1000)),
            value,
        }
    }

    /// Datasets that a run used, and models that it read and wrote.
    fn inputs(&mut self, database: &ForeignDatabase, run: &str) -> Result<(), TakeoverError> {
        let mut rows = database.rows("inputs", Some(("destination_id", run)))?;
        rows.extend(database.rows("inputs", Some(("source_id", run)))?);
        for (index, row) in rows.iter().enumerate() {
            let prefix = format!("input {index}.");
            facts(row, &prefix, &mut self.facts);
            let source = row.text("source_id").unwrap_or_default();
            for dataset in database.rows("datasets", Some(("dataset_uuid", &source)))? {
                for column in ["name", "digest", "dataset_source_type", "dataset_source"] {
                    let text = dataset.text(column);
                    self.facts.extend(text.map(|text| (format!("{prefix}{column}"), text)));
                }
            }
            let id = row.text("input_uuid").unwrap_or_default();
            for tag in database.rows("input_tags", Some(("input_uuid", &id)))? {
                let key = format!("{prefix}tag {}", tag.text("name").unwrap_or_default());
                self.facts.insert(key, tag.text("value").unwrap_or_default());
            }
        }
        Ok(())
    }
}

/// How a run ended, as MLflow says. A word that is not known is a claim and no more.
fn ending(run: &ForeignRow) -> Ending {
    let status = run.text("status").unwrap_or_default();
    match status.as_str() {
        "FAILED" | "KILLED" => Ending::Failed(format!("{status} in MLflow")),
        "RUNNING" | "SCHEDULED" => Ending::Open,
        _ => Ending::Completed,
    }
}

/// MLflow writes 0 and a mark, or NULL, for NaN, and the largest double for infinity.
fn value_of(row: &ForeignRow, column: &str) -> f64 {
    match (row.cell("is_nan").integer(), row.cell(column).real()) {
        (Some(mark), _) if mark != 0 => f64::NAN,
        (_, Some(f64::MAX)) => f64::INFINITY,
        (_, Some(f64::MIN)) => f64::NEG_INFINITY,
        (_, Some(value)) => value,
        (_, None) => f64::NAN,
    }
}

/// MLflow's name of a metric; the part before its first dot may be one of our splits.
fn metric_name(name: Option<String>) -> Option<MetricName> {
    let name = name?;
    let whole = |name: String| (!name.is_empty()).then_some(MetricName { split: None, name });
    name.parse().ok().or_else(|| whole(name.escape_default().to_string()))
}
