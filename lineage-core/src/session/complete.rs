//! An open session is recorded as a whole.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::repeated::repeated;
use super::{known, points};
use crate::context::Context;
use crate::digest::Kind;
use crate::environment::{Capture, Environment};
use crate::events::{Claims, DatasetUse, SessionFacts};
use crate::fingerprint::{FingerprintError, Input, Readings, fingerprint_unless_known};
use crate::layout::Layout;
use crate::objects::{self, ObjectError};
use crate::record::{
    Begun, RecordError, RecordRequest, Recorded, Warning, must_be_open, record_known,
};
use crate::settings::Settings;
use crate::store::{Cache, Reader, Registry, TrainingRow, TrainingState};

/// Records an open session as a whole, with what `request` adds to it, as [`crate::record::record`]
/// does. Data that is another by now is recorded as it was, and a warning says so. A session that was
/// completed before gives the same answer again, unless `request` brings what it has not.
pub fn complete(
    registry: &mut Registry,
    settings: &Settings,
    session: &str,
    request: &RecordRequest,
    context: &Context<'_>,
) -> Result<Recorded, RecordError> {
    let row = registry.read(|reader| reader.training(session))?;
    if row.is_some_and(|row| row.state == TrainingState::Completed) {
        return repeated(registry, settings, session, request, context);
    }
    let mut seen = Seen::default();
    let mut whole = |reader: &Reader<'_>, may_hash: bool| {
        let (row, known) = (must_be_open(reader, session)?, known(reader, session)?);
        if !may_hash && known.datasets.len() > seen.datasets.len() {
            return Ok(None);
        }
        let whole = seen.whole(reader.layout(), &row, &known, request, context)?;
        let open = Some((session.to_owned(), row.last_seq));
        Ok(Some((whole, Some(Begun { open, datasets: seen.datasets.clone() }))))
    };
    let mut recorded = record_known(registry, settings, request.dry_run, &mut whole, context)?;
    recorded.warnings.append(&mut seen.changes);
    Ok(recorded)
}

/// Records what was to be the result of a session that has ended otherwise: as a session of its own, with
/// all that was said of that one, which it names as a claim. With an idempotency key it is recorded once.
pub fn complete_anew(
    registry: &mut Registry,
    settings: &Settings,
    ended: &str,
    request: &RecordRequest,
    context: &Context<'_>,
) -> Result<Recorded, RecordError> {
    let mut seen = Seen::default();
    let mut whole = |reader: &Reader<'_>, _| {
        let row = reader.training(ended)?;
        let row = row.ok_or_else(|| RecordError::NoSession(ended.to_owned()))?;
        let known = known(reader, ended)?;
        let mut whole = seen.whole(reader.layout(), &row, &known, request, context)?;
        let facts = BTreeMap::from([("session".to_owned(), ended.to_owned())]);
        let created = Some(row.started);
        whole.claims = Some(Claims { source: "spool".to_owned(), created, facts });
        Ok(Some((whole, Some(Begun { open: None, datasets: seen.datasets.clone() }))))
    };
    let mut recorded = record_known(registry, settings, request.dry_run, &mut whole, context)?;
    recorded.warnings.append(&mut seen.changes);
    let message = format!("the session {ended} had ended otherwise; this is another");
    recorded.warnings.push(Warning { code: "session-anew", message });
    Ok(recorded)
}

/// Data of a session that was looked at again, and what was found to have changed.
#[derive(Default)]
struct Seen {
    datasets: Vec<DatasetUse>,
    changes: Vec<Warning>,
}

impl Seen {
    /// The request to record a session as a whole. Data that was seen before is not looked at again.
    fn whole(
        &mut self,
        layout: &Layout,
        row: &TrainingRow,
        known: &SessionFacts,
        more: &RecordRequest,
        context: &Context<'_>,
    ) -> Result<RecordRequest, RecordError> {
        let mut request = merged(layout, row, known, more)?;
        request.started = Some(row.started);
        request.capture = captured(layout, known)?.or(request.capture);
        let later = known.datasets.iter().skip(self.datasets.len()).cloned().collect();
        let (mut datasets, mut changes) = look_again(layout, later, request.cache, context)?;
        self.datasets.append(&mut datasets);
        self.changes.append(&mut changes);
        Ok(request)
    }
}

/// What was captured when the session started.
fn captured(layout: &Layout, known: &SessionFacts) -> Result<Option<Capture>, RecordError> {
    let Some(payload) = known.environment else { return Ok(None) };
    let bytes = objects::read(layout, &payload.sha256)?;
    let environment = Environment::parse(&bytes)
        .ok_or(RecordError::Object(ObjectError::Damaged(payload.sha256)))?;
    Ok(Some(Capture { environment, code: known.code.clone(), patch: None }))
}

/// The request to record a session of which so much is known, and `more`.
fn merged(
    layout: &Layout,
    row: &TrainingRow,
    known: &SessionFacts,
    more: &RecordRequest,
) -> Result<RecordRequest, RecordError> {
    let mut request = more.clone();
    request.model = row.model.clone();
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
    for (name, points) in points(layout, known)? {
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

/// Hashes data of a session once more, so that a change during the training is seen.
fn look_again(
    layout: &Layout,
    mut datasets: Vec<DatasetUse>,
    cache: bool,
    context: &Context<'_>,
) -> Result<(Vec<DatasetUse>, Vec<Warning>), RecordError> {
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
