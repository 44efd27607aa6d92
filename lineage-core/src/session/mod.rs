//! A training session that is recorded while it runs: started, told facts by any number of processes,
//! and completed or failed.

mod complete;
mod facts;
mod repeated;

use serde::Serialize;

pub use self::complete::{complete, complete_anew};
pub(crate) use self::facts::points;
use self::facts::{Found, find};
use crate::context::Context;
use crate::events::{Event, SessionFacts, SessionFailed, SessionStarted, SessionUpdated};
use crate::names::ModelName;
use crate::objects;
use crate::owed;
use crate::record::{
    RecordError, RecordRequest, Warning, must_be_open, new_session, null_if_empty, redact_text,
};
use crate::series;
use crate::settings::Settings;
use crate::store::{Reader, Registry, StoreError, TrainingState};

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
