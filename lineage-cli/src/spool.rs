//! Sessions that could not be recorded when they ended: kept as files, recorded later.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lineage_core::context::Timestamp;
use lineage_core::digest::Sha256;
use lineage_core::events::{MetricValue, ParameterType, Point, Run};
use lineage_core::files::{self, FileError};
use lineage_core::fingerprint::{Input, fingerprint};
use lineage_core::names::MetricName;
use lineage_core::record::{RecordRequest, RecordSpec, Recorded, SeriesByName, record};
use lineage_core::series::SeriesPoint;
use lineage_core::session::{complete, fail, start};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::args::Global;
use crate::error::{CliError, ErrorKind};
use crate::facts::in_file;
use crate::output::Output;
use crate::program::Ended;
use crate::settings;

const SCHEMA: &str = "lineage.spool/1";

/// The beginning of a file's name outside of a registry.
const LOOSE: &str = "lineage-spool-";

/// A session that ended and was not recorded.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Spooled {
    schema: String,
    /// Its id, when it could be started.
    session: Option<String>,
    /// Why the program failed, if it did.
    reason: Option<String>,
    run: Run,
    /// Why it was not recorded.
    problem: String,
    /// What the artifact and the data were when the program had ended, by their absolute paths. The data of
    /// a session that could be started is not among them: the registry knows it.
    sha256: BTreeMap<PathBuf, Sha256>,
    /// What the flags said, as a record specification.
    spec: Value,
    /// Metrics at steps, from the file that the program wrote.
    points: Vec<Point>,
}

impl Spooled {
    pub(crate) fn new(
        session: Option<String>,
        request: &RecordRequest,
        ended: &Ended,
        problem: &str,
    ) -> Spooled {
        let data = request.datasets.iter().map(|dataset| &dataset.path);
        let unstarted = session.is_none();
        let data = data.filter(|_| unstarted);
        let digests = request.artifact.iter().chain(data).filter_map(|path| {
            Some((std::path::absolute(path).ok()?, digest(path, &request.exclude).ok()??))
        });
        Spooled {
            schema: SCHEMA.to_owned(),
            session,
            reason: ended.reason(),
            run: Run { late: true, ..ended.run },
            problem: problem.to_owned(),
            sha256: digests.collect(),
            spec: specification(request),
            points: request
                .series
                .iter()
                .flat_map(|(name, points)| at_steps(name, points))
                .collect(),
        }
    }

    /// Keeps it in the registry, or where that is not possible in the working directory, or among the
    /// temporary files. The text of what was to be kept is the error, so that it can be printed.
    pub(crate) fn save(&self, global: &Global) -> Result<PathBuf, String> {
        let bytes = serde_json::to_vec_pretty(self).map_err(|error| error.to_string())?;
        let name = format!("{}.json", self.session.clone().unwrap_or_else(random_name));
        let registry = settings::layout(global).ok().map(|layout| layout.spool());
        let others = [std::path::absolute(".").ok(), Some(std::env::temp_dir())];
        let others =
            others.into_iter().flatten().map(|folder| folder.join(format!("{LOOSE}{name}")));
        let paths = registry.map(|folder| folder.join(&name)).into_iter().chain(others);
        for path in paths {
            let folder = path.parent().unwrap_or(Path::new("."));
            let saved = files::create_folder(folder).and_then(|()| files::write_new(&path, &bytes));
            match saved {
                Ok(()) => return Ok(path),
                // Half of it would be in the way.
                Err(_) => drop(files::remove(&path)),
            }
        }
        Err(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn request(&self) -> Result<RecordRequest, CliError> {
        let mut spec = RecordSpec::parse(self.spec.to_string().as_bytes())?;
        let model = spec.model.take().ok_or_else(|| {
            CliError::new(ErrorKind::Usage, "the specification names no model".to_owned())
        })?;
        let mut request = RecordRequest::new(model);
        spec.add_to(&mut request)?;
        Ok(request)
    }

    /// Records it, marked as late.
    fn recover(
        &self,
        path: &Path,
        global: &Global,
        output: &Output,
    ) -> Result<Option<Recorded>, CliError> {
        let mut request = self.request()?;
        // A copy of the file is the same session.
        if self.session.is_none() && self.reason.is_none() {
            let digest = digest(path, &[])?.map(|digest| format!("spool:{digest}"));
            request.idempotency_key = request.idempotency_key.or(digest);
        }
        for point in &self.points {
            let name = MetricName { split: point.split, name: point.name.clone() };
            request.series.entry(name).or_default().push(SeriesPoint {
                step: point.step,
                time_us: point.time.map(|time| time.unix_microseconds()),
                value: point.value.0,
            });
        }
        request.run = Some(self.run);
        settings::writing(global, output, false, |registry, settings, context| {
            let session = match (&self.session, &self.reason) {
                (Some(session), _) => session.clone(),
                (None, None) => {
                    return Ok(Some(record(registry, settings, &request, context)?));
                }
                (None, Some(_)) => {
                    let begun = RecordRequest {
                        artifact: None,
                        label: None,
                        metrics: Vec::new(),
                        series: SeriesByName::new(),
                        ..request.clone()
                    };
                    start(registry, settings, &begun, context)?.session
                }
            };
            request.datasets.clear();
            if let Some(reason) = &self.reason {
                request.artifact = None;
                fail(registry, settings, &session, Some(reason), &request, context)?;
                return Ok(None);
            }
            Ok(Some(complete(registry, settings, &session, &request, context)?))
        })
    }

    /// Refuses to record files that are others by now.
    fn check_files(&self) -> Result<(), CliError> {
        let exclude = self.request()?.exclude;
        for (path, expected) in &self.sha256 {
            if digest(path, &exclude)?.is_none_or(|found| found != *expected) {
                let message = format!(
                    "{} is another since the training ended: {} then",
                    path.display(),
                    expected.short()
                );
                return Err(CliError::new(ErrorKind::BytesLost, message)
                    .hint("put the file of that training back, or delete the spool file"));
            }
        }
        Ok(())
    }
}

fn digest(path: &Path, exclude: &[String]) -> Result<Option<Sha256>, CliError> {
    let mut input = Input::new(path);
    input.exclude = exclude.to_vec();
    let found = fingerprint(&[input], &lineage_core::context::Silent)?.pop();
    Ok(found.map(|found| found.sha256))
}

/// A session that waits to be recorded.
#[derive(Serialize)]
pub(crate) struct Pending {
    pub(crate) path: PathBuf,
    pub(crate) model: Option<String>,
    /// Its id; none when it could not be started.
    pub(crate) session: Option<String>,
    /// Why it was not recorded when it ended.
    pub(crate) problem: Option<String>,
    /// Why it cannot be recorded now, as far as that was looked at.
    pub(crate) obstacle: Option<String>,
}

/// The sessions that wait to be recorded; with `look`, whether their files are still the same.
pub(crate) fn pending(global: &Global, look: bool) -> Result<Vec<Pending>, CliError> {
    let one = |path: PathBuf| match read(&path) {
        Ok(spooled) => {
            let checked = if look { spooled.check_files() } else { Ok(()) };
            let model = spooled.spec["model"].as_str().map(str::to_owned);
            let (session, problem) = (spooled.session, Some(spooled.problem));
            let obstacle = checked.err().map(|error| error.message);
            Pending { path, model, session, problem, obstacle }
        }
        Err(error) => {
            let obstacle = Some(error.message);
            Pending { path, model: None, session: None, problem: None, obstacle }
        }
    };
    Ok(waiting(global)?.into_iter().map(one).collect())
}

/// The files with sessions that wait to be recorded.
fn waiting(global: &Global) -> Result<Vec<PathBuf>, CliError> {
    let folder = settings::layout(global)?.spool();
    Ok(kept(&folder, "")?.into_iter().chain(kept(Path::new("."), LOOSE)?).collect())
}

/// Records every session that was kept for later; each file goes when its session is recorded. Says of each
/// what became of it; the first that could not be recorded is the error, after all others were tried.
pub(crate) fn recover(
    global: &Global,
    output: &Output,
) -> Result<(Vec<String>, Option<CliError>), CliError> {
    let (mut said, mut failed) = (Vec::new(), None);
    for path in waiting(global)? {
        match recover_one(&path, global, output) {
            Ok(text) => said.push(text),
            Err(error) if failed.is_none() => failed = Some(error),
            Err(error) => output.warning(&error.message),
        }
    }
    Ok((said, failed))
}

fn read(path: &Path) -> Result<Spooled, CliError> {
    let bytes = crate::facts::read(path)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| CliError::new(ErrorKind::Usage, error.to_string()))
        .map_err(in_file(path))
}

fn recover_one(path: &Path, global: &Global, output: &Output) -> Result<String, CliError> {
    let spooled = read(path)?;
    spooled.check_files().map_err(in_file(path))?;
    let recorded = spooled.recover(path, global, output).map_err(in_file(path))?;
    files::remove(path)?;
    Ok(match recorded {
        Some(Recorded { model, version: Some(number), .. }) => {
            format!("recorded {model}@{number}, late")
        }
        Some(Recorded { session, .. }) => format!("recorded session {session}, late"),
        None => "recorded a failed session, late".to_owned(),
    })
}

/// The files of the folder whose names begin so, the oldest session first.
fn kept(folder: &Path, prefix: &str) -> Result<Vec<PathBuf>, CliError> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.and_then(Iterator::collect::<Result<Vec<_>, _>>),
    };
    let entries = entries.map_err(|source| FileError::Io {
        action: "list",
        path: folder.to_owned(),
        source,
    })?;
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(prefix) && name.ends_with(".json"))
    });
    paths.sort();
    Ok(paths)
}

fn at_steps(name: &MetricName, points: &[SeriesPoint]) -> Vec<Point> {
    let point = |point: &SeriesPoint| Point {
        split: name.split,
        name: name.name.clone(),
        step: point.step,
        time: point.time_us.and_then(Timestamp::from_unix_microseconds),
        value: MetricValue(point.value),
    };
    points.iter().map(point).collect()
}

fn random_name() -> String {
    let mut random = [0; 8];
    let _ = getrandom::fill(&mut random);
    format!("unstarted-{:016x}", u64::from_le_bytes(random))
}

/// The request as a record specification, with absolute paths.
fn specification(request: &RecordRequest) -> Value {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let data = request.datasets.iter().map(|dataset| {
        json!({"role": dataset.role, "name": dataset.name, "path": absolute(&dataset.path),
               "transformations": dataset.transformations, "source": dataset.source,
               "row_range": dataset.row_range})
    });
    let metrics = request.metrics.iter().map(|m| (m.full_name().to_string(), json!(m.value)));
    let params = request.params.iter().map(|parameter| {
        let value = match parameter.r#type {
            ParameterType::String => json!(parameter.text),
            _ => serde_json::from_str(&parameter.text).unwrap_or_else(|_| json!(parameter.text)),
        };
        (parameter.name.to_string(), value)
    });
    let tags = request.tags.iter().map(|tag| (tag.name.to_string(), json!(tag.value)));
    let references: Vec<String> = request.derived_from.iter().map(ToString::to_string).collect();
    json!({
        "model": request.model,
        "artifact": request.artifact.as_deref().map(absolute),
        "data": data.collect::<Vec<_>>(),
        "metrics": metrics.collect::<Map<_, _>>(),
        "params": params.collect::<Map<_, _>>(),
        "tags": tags.collect::<Map<_, _>>(),
        "seed": request.seed,
        "label": request.label,
        "model_type": request.model_type,
        "features": request.features,
        "target": request.target,
        "derived_from": references,
        "note": request.note,
        "exclude": request.exclude,
        "metadata": request.metadata.as_deref().map(absolute),
        "store": request.store,
        "allow_pointer": request.allow_stand_in,
    })
}
