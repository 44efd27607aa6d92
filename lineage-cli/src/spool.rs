//! Sessions that could not be recorded when they ended: kept as files, recorded later.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lineage_core::context::{Context, Timestamp};
use lineage_core::digest::Sha256;
use lineage_core::environment::{Capture, Environment};
use lineage_core::events::{Code, MetricValue, ParameterType, Payload, Point, Run};
use lineage_core::files::{self, FileError};
use lineage_core::fingerprint::{Input, fingerprint};
use lineage_core::names::MetricName;
use lineage_core::record::{
    RecordError, RecordRequest, RecordSpec, Recorded, SeriesByName, record,
};
use lineage_core::redaction;
use lineage_core::series::SeriesPoint;
use lineage_core::session::{complete, complete_anew, fail, start};
use lineage_core::settings::Settings;
use lineage_core::store::Registry;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::args::Global;
use crate::commands::session::warn;
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
    /// What a session that could not be started ran with.
    capture: Option<Captured>,
    /// What the flags said, as a record specification.
    spec: Value,
    /// Metrics at steps, from the file that the program wrote.
    points: Vec<Point>,
}

/// A [`Capture`] in a file.
#[derive(Debug, Serialize, Deserialize)]
struct Captured {
    environment: Environment,
    code: Option<Code>,
    /// In hex.
    patch: Option<String>,
}

impl Captured {
    fn of(capture: &Capture) -> Captured {
        let Capture { environment, code, patch } = capture.clone();
        Captured { environment, code, patch: patch.map(hex::encode) }
    }

    fn capture(&self) -> Capture {
        let patch = self.patch.as_ref().and_then(|text| hex::decode(text).ok());
        let mut code = self.code.clone();
        if let Some(code) = &mut code {
            code.patch = patch.as_deref().map(Payload::of);
        }
        Capture { environment: self.environment.clone(), code, patch }
    }
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
            problem: redaction::without_assigned(problem),
            sha256: digests.collect(),
            capture: request.capture.as_ref().map(Captured::of),
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

    /// What is to be recorded. A copy of the file asks for the same session.
    fn late_request(&self, path: &Path, dry_run: bool) -> Result<RecordRequest, CliError> {
        let mut request = self.request()?;
        for point in &self.points {
            let name = MetricName { split: point.split, name: point.name.clone() };
            request.series.entry(name).or_default().push(SeriesPoint {
                step: point.step,
                time_us: point.time.map(|time| time.unix_microseconds()),
                value: point.value.0,
            });
        }
        let key = digest(path, &[])?.map(|digest| format!("spool:{digest}"));
        request.idempotency_key = request.idempotency_key.or(key);
        request.capture = self.capture.as_ref().map(Captured::capture);
        request.run = Some(self.run);
        request.dry_run = dry_run;
        Ok(request)
    }

    /// Records it, marked as late; in a dry run it is only tried.
    fn recover(
        &self,
        path: &Path,
        global: &Global,
        output: &Output,
        dry_run: bool,
    ) -> Result<Option<Recorded>, CliError> {
        let request = self.late_request(path, dry_run)?;
        let known = RecordRequest { datasets: Vec::new(), ..request.clone() };
        settings::writing(global, output, dry_run, |registry, settings, context| {
            Ok(match (&self.session, &self.reason) {
                (Some(session), None) => {
                    Some(complete_late(registry, settings, session, &known, context)?)
                }
                (None, None) => Some(record(registry, settings, &request, context)?),
                (Some(session), Some(reason)) => {
                    let ended = RecordRequest { artifact: None, label: None, ..known };
                    let told = fail(registry, settings, session, Some(reason), &ended, context)?;
                    if !dry_run {
                        warn(&told.warnings, output);
                    }
                    None
                }
                (None, Some(reason)) => {
                    let begun = RecordRequest {
                        artifact: None,
                        label: None,
                        metrics: Vec::new(),
                        series: SeriesByName::new(),
                        ..request
                    };
                    let session = start(registry, settings, &begun, context)?.session;
                    if !dry_run {
                        let ended = RecordRequest { artifact: None, label: None, ..known };
                        fail(registry, settings, &session, Some(reason), &ended, context)?;
                    }
                    None
                }
            })
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

/// Completes a session that was started; when it has ended otherwise meanwhile, its result becomes a session
/// of its own.
fn complete_late(
    registry: &mut Registry,
    settings: &Settings,
    session: &str,
    request: &RecordRequest,
    context: &Context<'_>,
) -> Result<Recorded, RecordError> {
    let same = RecordRequest { idempotency_key: None, ..request.clone() };
    match complete(registry, settings, session, &same, context) {
        Err(
            RecordError::SessionEnded { .. }
            | RecordError::CompletedWith { .. }
            | RecordError::CompletedWithout { .. },
        ) => complete_anew(registry, settings, session, request, context),
        result => result,
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
    /// Why it cannot be recorded now, if that was tried.
    pub(crate) obstacle: Option<String>,
}

/// The sessions that wait to be recorded. With `attempt`, recording each is tried without writing anything.
pub(crate) fn pending(
    global: &Global,
    attempt: bool,
    output: &Output,
) -> Result<Vec<Pending>, CliError> {
    let safe = |error: CliError| redaction::without_assigned(&error.message);
    let one = |path: PathBuf| match read(&path) {
        Ok(spooled) => {
            let possible = || {
                spooled.check_files()?;
                spooled.recover(&path, global, output, true)
            };
            let obstacle = if attempt { possible().err().map(safe) } else { None };
            let model = spooled.spec["model"].as_str().map(str::to_owned);
            let problem = Some(redaction::without_assigned(&spooled.problem));
            Pending { model, session: spooled.session.clone(), problem, obstacle, path }
        }
        Err(error) => {
            let obstacle = Some(safe(error));
            Pending { path, model: None, session: None, problem: None, obstacle }
        }
    };
    Ok(waiting(global)?.into_iter().map(one).collect())
}

/// The ids of sessions that were started and wait to be recorded.
pub(crate) fn waiting_sessions(global: &Global) -> Vec<String> {
    let paths = waiting(global).unwrap_or_default();
    paths.iter().filter_map(|path| read(path).ok()?.session).collect()
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
    let recorded = spooled.recover(path, global, output, false).map_err(in_file(path))?;
    files::remove(path)?;
    warn(recorded.as_ref().map_or(&[], |recorded| &recorded.warnings), output);
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
