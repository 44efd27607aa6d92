//! A training session that is recorded while it runs: started, told facts by any number of processes,
//! and completed or failed.

mod facts;

use std::path::PathBuf;

use serde::Serialize;

pub(crate) use self::facts::points;
use self::facts::{Found, find};
use crate::context::Context;
use crate::digest::Kind;
use crate::environment::{Capture, Environment};
use crate::events::{
    DatasetUse, Event, SessionFacts, SessionFailed, SessionStarted, SessionUpdated,
};
use crate::fingerprint::{FingerprintError, Input, Readings, fingerprint_unless_known};
use crate::layout::Layout;
use crate::names::ModelName;
use crate::objects::{self, ObjectError};
use crate::owed;
use crate::record::{
    Begun, RecordError, RecordRequest, Recorded, Warning, earlier_result, must_be_open,
    new_session, null_if_empty, record_begun, redact_text,
};
use crate::series;
use crate::settings::Settings;
use crate::store::{Cache, Reader, Registry, SessionRow, StoreError, TrainingRow, TrainingState};

/// A session that is open.
#[derive(Debug, Clone, Serialize)]
pub struct Told {
    /// The session's ULID; empty, and null in a document, in a dry run that would make it.
    #[serde(serialize_with = "null_if_empty")]
    pub session: String,
    /// The model that is trained.
    pub model: ModelName,
    /// False when everything was known already.
    pub changed: bool,
    /// What the user should know.
    pub warnings: Vec<Warning>,
}

/// Starts a session of `request.model` with what is known of it. With an idempotency key that a session
/// was started under before, that session is the answer.
pub fn start(
    registry: &mut Registry,
    settings: &Settings,
    request: &RecordRequest,
    context: &Context<'_>,
) -> Result<Told, RecordError> {
    let in_flight = enter(registry, settings, request, context)?;
    let found = find(registry, settings, request, context)?;
    let session = new_session(context);
    let Some(in_flight) = in_flight else {
        let (model, warnings) = (request.model.clone(), found.warnings);
        return Ok(Told { session: String::new(), model, changed: true, warnings });
    };
    let Found { facts, warnings } = found;
    let (model, idempotency_key) = (request.model.clone(), request.idempotency_key.clone());
    let earlier = registry.write(context, |writer| {
        writer.settle(&in_flight.settled)?;
        if let Some(key) = &idempotency_key
            && let Some(earlier) = writer.training_with_key(&model, key)?
        {
            return Ok::<_, RecordError>(Some(earlier.session));
        }
        let started = SessionStarted { model: model.clone(), facts, idempotency_key };
        writer.append(&Event::SessionStarted(Box::new(started)), Some(&session))?;
        Ok(None)
    })?;
    let changed = earlier.is_none();
    Ok(Told { session: earlier.unwrap_or(session), model, changed, warnings })
}

/// Adds what `request` holds to an open session. Its model does not matter.
pub fn update(
    registry: &mut Registry,
    settings: &Settings,
    session: &str,
    request: &RecordRequest,
    context: &Context<'_>,
) -> Result<Told, RecordError> {
    let in_flight = enter(registry, settings, request, context)?;
    let Found { facts, warnings } = find(registry, settings, request, context)?;
    let plan = |reader: &Reader<'_>| {
        let model = must_be_open(reader, session)?.model;
        Ok::<_, RecordError>((model, not_given_before(reader, session, facts.clone())?))
    };
    let (model, facts) = match &in_flight {
        None => registry.read(plan)?,
        Some(in_flight) => registry.write(context, |writer| {
            writer.settle(&in_flight.settled)?;
            let (model, facts) = plan(writer)?;
            if facts != SessionFacts::default() {
                let updated = SessionUpdated { model: model.clone(), facts: facts.clone() };
                writer.append(&Event::SessionUpdated(Box::new(updated)), Some(session))?;
            }
            Ok::<_, RecordError>((model, facts))
        })?,
    };
    let changed = facts != SessionFacts::default();
    Ok(Told { session: session.to_owned(), model, changed, warnings })
}

/// Enters the registry as one who writes, unless this is a dry run.
fn enter(
    registry: &mut Registry,
    settings: &Settings,
    request: &RecordRequest,
    context: &Context<'_>,
) -> Result<Option<owed::InFlight>, StoreError> {
    match request.dry_run {
        true => Ok(None),
        false => owed::enter(registry, settings, context).map(Some),
    }
}

/// Ends an open session without a result.
pub fn fail(
    registry: &mut Registry,
    settings: &Settings,
    session: &str,
    reason: Option<&str>,
    request: &RecordRequest,
    context: &Context<'_>,
) -> Result<Told, RecordError> {
    let in_flight = enter(registry, settings, request, context)?;
    let Found { facts, mut warnings } = find(registry, settings, request, context)?;
    let mut reason = reason.map(str::to_owned);
    reason.as_mut().map(redact_text);
    let plan = |reader: &Reader<'_>| match reader.training(session)? {
        Some(row) if row.state == TrainingState::Failed => Ok((row, None)),
        _ => {
            let row = must_be_open(reader, session)?;
            let facts = not_given_before(reader, session, facts.clone())?;
            Ok::<_, RecordError>((row, Some(facts)))
        }
    };
    let (row, changed) = match &in_flight {
        None => registry.read(plan).map(|(row, facts)| (row, facts.is_some()))?,
        Some(in_flight) => registry.write(context, |writer| {
            writer.settle(&in_flight.settled)?;
            let (row, facts) = plan(writer)?;
            let changed = facts.is_some();
            if let Some(facts) = facts {
                let (model, reason) = (row.model.clone(), reason.clone());
                let failed = SessionFailed { model, reason, facts, run: request.run };
                writer.append(&Event::SessionFailed(Box::new(failed)), Some(session))?;
            }
            Ok::<_, RecordError>((row, changed))
        })?,
    };
    if !changed && reason.is_some() && reason != row.reason {
        let first = row.reason.as_deref().unwrap_or("none");
        let message =
            format!("the session has failed before, and its first reason stands: {first}");
        warnings.push(Warning { code: "reason-stands", message });
    }
    Ok(Told { session: session.to_owned(), model: row.model, changed, warnings })
}

/// Records an open session as a whole, with what `request` adds to it, as [`crate::record::record`]
/// does. Data that is another by now is recorded as it was, and a warning says so. A session that was
/// completed before gives the same answer again.
pub fn complete(
    registry: &mut Registry,
    settings: &Settings,
    session: &str,
    request: &RecordRequest,
    context: &Context<'_>,
) -> Result<Recorded, RecordError> {
    let row = match registry.read(|reader| reader.training(session))? {
        Some(row) if row.state == TrainingState::Completed => {
            let earlier = registry.read(|reader| reader.session(session))?;
            let earlier = earlier.ok_or_else(|| RecordError::NoSession(session.to_owned()))?;
            refuse_another_artifact(registry, &earlier, request)?;
            return earlier_result(registry, &earlier, Vec::new(), Vec::new());
        }
        _ => registry.read(|reader| must_be_open(reader, session))?,
    };
    let known = registry.read(|reader| known(reader, session))?;
    let mut request = merged(registry, &row, &known, request)?;
    request.started = Some(row.started);
    request.capture = captured(registry, &known)?.or(request.capture);
    let (datasets, mut changes) = look_again(registry, known.datasets, request.cache, context)?;
    let begun = Begun { session: session.to_owned(), datasets };
    let mut recorded = record_begun(registry, settings, &request, Some(&begun), context)?;
    recorded.warnings.append(&mut changes);
    Ok(recorded)
}

/// A completed session gives the same answer again, but not to one who brings another artifact.
fn refuse_another_artifact(
    registry: &Registry,
    earlier: &SessionRow,
    request: &RecordRequest,
) -> Result<(), RecordError> {
    let Some(path) = &request.artifact else { return Ok(()) };
    let model = &earlier.model;
    let version = match earlier.version {
        Some(number) => registry.read(|reader| reader.version(model, number))?,
        None => None,
    };
    let recorded = version.map(|version| version.path);
    if recorded == Some(registry.layout().recorded(path)?) {
        return Ok(());
    }
    let (session, model) = (earlier.session.clone(), model.clone());
    Err(RecordError::CompletedWith { session, model, recorded })
}

/// What was captured when the session started.
fn captured(registry: &Registry, known: &SessionFacts) -> Result<Option<Capture>, RecordError> {
    let Some(payload) = known.environment else { return Ok(None) };
    let bytes = objects::read(registry.layout(), &payload.sha256)?;
    let environment = Environment::parse(&bytes)
        .ok_or(RecordError::Object(ObjectError::Damaged(payload.sha256)))?;
    Ok(Some(Capture { environment, code: known.code.clone(), patch: None }))
}

/// Everything that was said of a session before it ended.
pub fn known(reader: &Reader<'_>, session: &str) -> Result<SessionFacts, RecordError> {
    let mut known = SessionFacts::default();
    for entry in reader.training_entries(session)? {
        let event = crate::events::Entry::parse(&entry.bytes).and_then(|entry| entry.event());
        known.extend(match event.map_err(StoreError::from)? {
            Event::SessionStarted(started) => started.facts,
            Event::SessionUpdated(updated) => updated.facts,
            Event::SessionFailed(failed) => failed.facts,
            _ => SessionFacts::default(),
        });
    }
    Ok(known)
}

/// Leaves out what is known already, and refuses what was given with another value.
fn not_given_before(
    reader: &Reader<'_>,
    session: &str,
    mut facts: SessionFacts,
) -> Result<SessionFacts, RecordError> {
    let is_new = |what: &'static str, name: &str, value: &str| match reader
        .training_given(session, what, name)?
    {
        None => Ok(true),
        Some(earlier) if earlier == value => Ok(false),
        Some(earlier) => {
            let what = format!("{what} {name}").trim_end().to_owned();
            Err(RecordError::Given { what, earlier })
        }
    };
    let mut datasets = Vec::new();
    for dataset in facts.datasets {
        let key = format!("{}:{}", dataset.role, dataset.name);
        if is_new("dataset", &key, &dataset.sha256.to_string())? {
            datasets.push(dataset);
        }
    }
    facts.datasets = datasets;
    let mut params = Vec::new();
    for parameter in facts.params {
        if is_new("parameter", parameter.name.as_str(), &parameter.text)? {
            params.push(parameter);
        }
    }
    facts.params = params;
    if let Some(seed) = &facts.seed
        && !is_new("seed", "", seed)?
    {
        facts.seed = None;
    }
    Ok(facts)
}

/// The request to record a session of which so much is known, and `more`.
fn merged(
    registry: &Registry,
    row: &TrainingRow,
    known: &SessionFacts,
    more: &RecordRequest,
) -> Result<RecordRequest, RecordError> {
    let mut request = more.clone();
    request.model = row.model.clone();
    let layout = registry.layout();
    let named: Option<PathBuf> = known.artifact.as_deref().map(|path| layout.absolute(path));
    request.artifact = request.artifact.or(named);
    for parameter in &known.params {
        match request.params.iter().find(|later| later.name == parameter.name) {
            Some(later) if later.text != parameter.text => {
                let what = format!("parameter {}", parameter.name);
                return Err(RecordError::Given { what, earlier: parameter.text.clone() });
            }
            Some(_) => {}
            None => request.params.push(parameter.clone()),
        }
    }
    if let (Some(earlier), Some(later)) = (&known.seed, &request.seed)
        && earlier != later
    {
        let (what, earlier) = ("seed".to_owned(), earlier.clone());
        return Err(RecordError::Given { what, earlier });
    }
    leave_out_known(layout, &known.datasets, &mut request)?;
    for metric in &known.metrics {
        let name = metric.full_name();
        if !request.metrics.iter().any(|later| later.full_name() == name) {
            request.metrics.push(metric.clone());
        }
    }
    for (name, points) in facts::points(layout, known)? {
        let later = request.series.remove(&name).unwrap_or_default();
        request.series.insert(name, points.into_iter().chain(later).collect());
    }
    for tag in &known.tags {
        if !request.tags.iter().any(|later| later.name == tag.name) {
            request.tags.push(tag.clone());
        }
    }
    request.seed = request.seed.or_else(|| known.seed.clone());
    request.model_type = request.model_type.or_else(|| known.model_type.clone());
    request.note = request.note.or_else(|| known.note.clone());
    request.claims = request.claims.or_else(|| known.claims.clone());
    for (own, earlier) in
        [(&mut request.features, &known.features), (&mut request.target, &known.target)]
    {
        let later = std::mem::replace(own, earlier.clone());
        own.extend(later.into_iter().filter(|name| !earlier.contains(name)));
    }
    Ok(request)
}

/// Data that the session knows already is looked at again in any case; under its key nothing else can be
/// given.
fn leave_out_known(
    layout: &Layout,
    known: &[DatasetUse],
    request: &mut RecordRequest,
) -> Result<(), RecordError> {
    let mut others = Vec::new();
    for dataset in std::mem::take(&mut request.datasets) {
        let path = layout.recorded(&dataset.path)?;
        let name = dataset
            .name
            .as_ref()
            .map_or(path.rsplit('/').next().unwrap_or_default(), |name| name.as_str());
        let same = known.iter().find(|k| k.role == dataset.role && k.name.as_str() == name);
        match same {
            None => others.push(dataset),
            Some(known) if known.path == path => {}
            Some(known) => {
                let what = format!("dataset {}:{}", known.role, known.name);
                return Err(RecordError::Given { what, earlier: known.path.clone() });
            }
        }
    }
    request.datasets = others;
    Ok(())
}

/// Hashes the data of a session once more, so that a change during the training is seen.
fn look_again(
    registry: &Registry,
    mut datasets: Vec<DatasetUse>,
    cache: bool,
    context: &Context<'_>,
) -> Result<(Vec<DatasetUse>, Vec<Warning>), RecordError> {
    let layout = registry.layout();
    let cache = cache.then(|| Cache::open(layout, context)).flatten();
    let readings = cache.as_ref().map(|cache| cache as &dyn Readings);
    let mut warnings = Vec::new();
    for dataset in &mut datasets {
        let mut input = Input::new(layout.absolute(&dataset.path));
        input.exclude.clone_from(&dataset.exclude);
        let name = format!("{}:{}", dataset.role, dataset.name);
        let found = fingerprint_unless_known(&[input], readings, context.observer);
        match found.map(|mut found| found.pop()) {
            Ok(Some(found)) if (found.kind, found.sha256) == (dataset.kind, dataset.sha256) => {}
            Ok(Some(found)) => {
                dataset.changed_to_sha256 = Some(found.sha256);
                let what = match found.kind {
                    Kind::File => "file",
                    Kind::Directory => "folder",
                };
                let message = format!(
                    "{name} changed while the session ran: the {what} {} holds other bytes than \
                     at the start, which are the ones that were recorded",
                    dataset.path
                );
                warnings.push(Warning { code: "data-changed", message });
            }
            Ok(None) => {}
            Err(error @ FingerprintError::File(crate::files::FileError::Interrupted)) => {
                return Err(error.into());
            }
            Err(error) => {
                let message = format!("{name} could not be read again: {error}");
                warnings.push(Warning { code: "data-gone", message });
            }
        }
    }
    Ok((datasets, warnings))
}

/// The points of a metric of a session, open or ended, in the order of their steps; none when it has
/// no steps.
pub fn metric_points(
    reader: &Reader<'_>,
    session: &str,
    name: &crate::names::MetricName,
) -> Result<Vec<series::SeriesPoint>, RecordError> {
    let split = name.split.map_or("", |split| split.as_str());
    if let Some(payload) = reader.series(session, split, &name.name)? {
        return Ok(series::decode(&objects::read(reader.layout(), &payload)?)?);
    }
    let ended = reader.training(session)?.is_none_or(|row| row.state == TrainingState::Completed);
    if ended {
        return Ok(Vec::new());
    }
    let mut points = facts::points(reader.layout(), &known(reader, session)?)?;
    Ok(points.remove(name).unwrap_or_default())
}
