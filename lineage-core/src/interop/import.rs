//! Recording what another tracker knows, piece by piece: one session each, once only.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::json;

use super::report::{ImportReport, Problem};
use crate::context::Context;
use crate::digest::Sha256;
use crate::events::{Claims, Event, SessionCompleted, SessionFacts, VersionRecord};
use crate::files::FileError;
use crate::fingerprint::FingerprintError;
use crate::lookup;
use crate::names::{ModelName, PointerName, Selector};
use crate::pointer::{self, External, PromoteRequest};
use crate::record::{self, RecordError, RecordRequest, SeriesByName};
use crate::series;
use crate::session;
use crate::settings::Settings;
use crate::store::{Reader, Registry, SessionRow, StoreError, TrainingState};
use crate::takeover::TakeoverError;

/// One session to be.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// For messages: `run 9cfb4f54`.
    pub(super) subject: String,
    /// What it is in its source, e.g. `mlflow:run:9cfb4f54`.
    pub(super) id: String,
    pub(super) ending: Ending,
    pub(super) request: RecordRequest,
    /// The facts that say which version of its source it makes. It makes one version here, whatever else
    /// changes.
    pub(super) version_facts: &'static [&'static str],
}

impl Piece {
    pub(super) fn completed(subject: String, id: String, request: RecordRequest) -> Piece {
        Piece { subject, id, ending: Ending::Completed, request, version_facts: &[] }
    }

    /// It without its files, and so without a version.
    fn without_files(&self) -> Piece {
        let mut piece = self.clone();
        piece.request.datasets.clear();
        piece.request.artifact = None;
        piece.request.label = None;
        piece
    }

    /// Under which it is found again: what it is, and what it says.
    fn key(&self) -> String {
        format!("{}:{}", self.id, &content(&self.request).to_string()[..16])
    }
}

/// How a session ended, as its source says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    Completed,
    /// Why.
    Failed(String),
    /// It has not.
    Open,
}

/// What became of a piece.
#[derive(Debug, Clone, Default)]
pub(super) struct Done {
    /// The version that it made.
    pub(super) version: Option<VersionRecord>,
    /// What the log says of it; none in a dry run that would record it.
    pub(super) facts: Option<SessionFacts>,
}

impl Done {
    pub(super) fn number(&self) -> Option<u64> {
        self.version.as_ref().map(|version| version.number)
    }

    pub(super) fn label(&self) -> Option<String> {
        Some(self.version.as_ref()?.label.as_ref()?.to_string())
    }

    fn completed(details: SessionCompleted) -> Done {
        let SessionCompleted { version, params, metrics, series, tags, claims, .. } = details;
        let facts = SessionFacts { params, metrics, series, tags, claims, ..Default::default() };
        Done { version, facts: Some(facts) }
    }
}

/// What there is of each kind.
pub(super) type Counts = BTreeMap<&'static str, u64>;

/// Carries out an import.
pub(super) struct Importer<'a, 'c> {
    pub(super) registry: &'a mut Registry,
    pub(super) settings: &'a Settings,
    pub(super) context: &'a Context<'c>,
    pub(super) report: ImportReport,
}

impl Importer<'_, '_> {
    /// Records a piece, unless it is recorded as it is now. What could be recorded but for its artifact
    /// is recorded without it.
    pub(super) fn import(&mut self, mut piece: Piece) -> Result<Done, TakeoverError> {
        if self.context.observer.interrupted() {
            return Err(FileError::Interrupted.into());
        }
        self.remove_secrets(&mut piece);
        sort(&mut piece.request);
        let mut done = match self.record(&piece)? {
            Ok(done) => done,
            Err(error) if has_files(&piece.request) && concerns_files(&error) => {
                self.problem(&piece.subject, format!("its files were not recorded: {error}"));
                piece = piece.without_files();
                match self.record(&piece)? {
                    Ok(done) => done,
                    Err(error) => return Err(failed(piece.subject, error)),
                }
            }
            Err(error) => return Err(failed(piece.subject, error)),
        };
        if let Some(facts) = &done.facts {
            self.read_back(&piece, facts)?;
        }
        if done.version.is_none() {
            done.version = self.version_before(&piece)?;
        }
        Ok(done)
    }

    pub(super) fn problem(&mut self, subject: &str, detail: String) {
        self.report.problems.push(Problem { subject: subject.to_owned(), detail });
    }

    fn record(&mut self, piece: &Piece) -> Result<Result<Done, RecordError>, TakeoverError> {
        let key = piece.key();
        if let Some(done) = self.known(piece, &key)? {
            self.report.sessions_known += 1;
            return Ok(Ok(done));
        }
        if self.report.dry_run {
            if let Some(error) = self.refused_again(piece)? {
                return Ok(Err(error));
            }
            self.count(true);
            return Ok(Ok(Done::default()));
        }
        let mut request = piece.request.clone();
        request.idempotency_key = Some(key);
        match self.end_outdated(piece) {
            Ok(()) => self.record_new(piece, request),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Counts a session that was recorded just now, or is the same as one that was there.
    fn count(&mut self, is_new: bool) {
        self.report.changed |= is_new;
        match is_new {
            true => self.report.sessions_new += 1,
            false => self.report.sessions_known += 1,
        }
    }

    /// Why the files of a piece are refused, if an earlier import recorded it without them. In a dry run no
    /// others are looked at.
    fn refused_again(&mut self, piece: &Piece) -> Result<Option<RecordError>, TakeoverError> {
        let without = piece.without_files();
        if !has_files(&piece.request) || self.known(&without, &without.key())?.is_none() {
            return Ok(None);
        }
        let planned = record::planned(self.registry, self.settings, &piece.request, self.context);
        Ok(planned.err().filter(concerns_files))
    }

    fn record_new(
        &mut self,
        piece: &Piece,
        mut request: RecordRequest,
    ) -> Result<Result<Done, RecordError>, TakeoverError> {
        if piece.ending != Ending::Completed {
            return Ok(self.start(piece, &request));
        }
        if let Some(label) = request.label.clone() {
            let taken =
                |reader: &Reader<'_>| reader.version_labelled(&request.model, label.as_str());
            if self.registry.read(taken)?.is_some() {
                request.label = None;
            }
            if let Some(before) = self.version_before(piece)? {
                match record::planned(self.registry, self.settings, &request, self.context) {
                    Ok(now) if now.version.as_ref().map(|v| v.sha256) == Some(before.sha256) => {
                        request.artifact = None;
                    }
                    Ok(_) => self.problem(
                        &piece.subject,
                        format!(
                            "its files have changed since {}@{} was recorded, and make one more \
                             version, which has no label",
                            request.model, before.number
                        ),
                    ),
                    Err(error) => return Ok(Err(error)),
                }
            }
        }
        if request.artifact.is_some() {
            request.metadata = Some(self.metadata_place(&request.model, piece)?);
        }
        let recorded = record::record(self.registry, self.settings, &request, self.context);
        Ok(match recorded {
            Ok(recorded) => {
                self.count(recorded.changed);
                let row = self.registry.read(|reader| reader.session(&recorded.session))?;
                Ok(match row {
                    Some(row) => Done::completed(self.details(&row)?),
                    None => Done::default(),
                })
            }
            Err(error) => Err(error),
        })
    }

    /// Records a session that did not end well, or not at all.
    fn start(&mut self, piece: &Piece, request: &RecordRequest) -> Result<Done, RecordError> {
        let told = session::start(self.registry, self.settings, request, self.context)?;
        self.count(told.changed);
        self.end(&told.session, &piece.ending)?;
        let facts = self.registry.read(|reader| session::known(reader, &told.session))?;
        Ok(Done { version: None, facts: Some(facts) })
    }

    fn end(&mut self, session: &str, ending: &Ending) -> Result<(), RecordError> {
        let Ending::Failed(reason) = ending else { return Ok(()) };
        let request = RecordRequest::new(ModelName::imported());
        let reason = Some(reason.as_str());
        let told =
            session::fail(self.registry, self.settings, session, reason, &request, self.context)?;
        self.report.changed |= told.changed;
        Ok(())
    }

    /// A session that was left open, and is now recorded as it has become, is not open any more.
    fn end_outdated(&mut self, piece: &Piece) -> Result<(), RecordError> {
        for open in self.registry.read(|reader| reader.open_trainings_of(&piece.id))? {
            let reason = format!("imported again, as {} has become since", piece.subject);
            self.end(&open.session, &Ending::Failed(reason))?;
        }
        Ok(())
    }

    /// Where an imported version's metadata.json goes: not into the other tracker's folders.
    fn metadata_place(
        &self,
        model: &ModelName,
        piece: &Piece,
    ) -> Result<std::path::PathBuf, TakeoverError> {
        let folder = self.registry.layout().root().join("imported").join(model.as_str());
        crate::files::create_folder(&folder)?;
        let name: String = piece
            .id
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' })
            .collect();
        Ok(folder.join(format!("{name}.metadata.json")))
    }

    /// The session that an earlier import recorded, as it is now. One that was interrupted before the
    /// session's end is brought to it.
    fn known(&mut self, piece: &Piece, key: &str) -> Result<Option<Done>, TakeoverError> {
        let model = &piece.request.model;
        if piece.ending == Ending::Completed {
            let row = self.registry.read(|reader| reader.session_with_key(model, key))?;
            let details = row.map(|row| self.details(&row)).transpose()?;
            return Ok(details.map(Done::completed));
        }
        let row = self.registry.read(|reader| reader.training_with_key(model, key))?;
        let Some(row) = row else { return Ok(None) };
        let failed = |error| failed(piece.subject.clone(), error);
        if row.state == TrainingState::Open {
            match self.report.dry_run {
                true => self.report.changed |= piece.ending != Ending::Open,
                false => self.end(&row.session, &piece.ending).map_err(failed)?,
            }
        }
        let facts = self.registry.read(|reader| session::known(reader, &row.session));
        Ok(Some(Done { version: None, facts: Some(facts.map_err(failed)?) }))
    }

    fn details(&self, row: &SessionRow) -> Result<SessionCompleted, StoreError> {
        let (entry, _) = self.registry.read(|reader| lookup::entry(reader, row.seq))?;
        match entry.event()? {
            Event::SessionCompleted(details) => Ok(*details),
            _ => {
                let problem = "it is not the session that its row says".to_owned();
                Err(StoreError::Inapplicable { seq: row.seq, problem })
            }
        }
    }

    /// The version that an earlier import made of the same version of the source, perhaps from another piece:
    /// a run that was open then may have ended, or have been told more.
    fn version_before(&self, piece: &Piece) -> Result<Option<VersionRecord>, TakeoverError> {
        let request = &piece.request;
        let Some(label) = &request.label else { return Ok(None) };
        let row = self.registry.read(|reader| {
            match reader.version_labelled(&request.model, label.as_str())? {
                Some(version) => reader.session(&version.session),
                None => Ok(None),
            }
        })?;
        let Some(row) = row else { return Ok(None) };
        let SessionCompleted { version, claims, .. } = self.details(&row)?;
        let is_of = |claims: &Option<Claims>| -> Vec<Option<String>> {
            let fact = |name: &&str| claims.as_ref()?.facts.get(*name).cloned();
            piece.version_facts.iter().map(fact).collect()
        };
        let same = is_of(&claims) == is_of(&request.claims) && !piece.version_facts.is_empty();
        Ok(version.filter(|_| same))
    }

    /// Compares what was recorded with what was to be, every point of every series included.
    fn read_back(&mut self, piece: &Piece, found: &SessionFacts) -> Result<(), TakeoverError> {
        let stored = session::points(self.registry.layout(), found)
            .map_err(|error| failed(piece.subject.clone(), error))?;
        for what in differences(&piece.request, found, &stored) {
            self.report.differing += 1;
            self.problem(&piece.subject, format!("{what} read back otherwise than imported"));
        }
        Ok(())
    }

    fn remove_secrets(&mut self, piece: &mut Piece) {
        let request = &mut piece.request;
        request.remove_secrets();
        let place = |place: &String| format!("{}: {place}", piece.subject);
        self.report.removed.extend(request.redacted.iter().map(place));
    }

    /// Sets a pointer to an imported version. What forbids it is reported.
    pub(super) fn point(
        &mut self,
        model: &ModelName,
        name: &str,
        version: u64,
        reason: String,
    ) -> Result<bool, TakeoverError> {
        let pointer: PointerName = match name.parse() {
            Ok(pointer) => pointer,
            Err(error) => {
                self.problem(name, error.to_string());
                return Ok(false);
            }
        };
        let live = self.registry.read(|reader| reader.pointer(model, &pointer))?;
        if live.and_then(|row| row.version) == Some(version) {
            return Ok(true);
        }
        let request = PromoteRequest {
            model: model.clone(),
            version: Some(Selector::Number(version)),
            pointer,
            expect: None,
            reason: Some(reason),
            allow_quarantined: false,
            external: External::Refuse,
            dry_run: self.report.dry_run,
        };
        match pointer::promote(self.registry, self.settings, &request, self.context) {
            Ok(moved) => {
                self.report.changed |= moved.changed;
                Ok(true)
            }
            Err(error) => {
                self.problem(&format!("{model}@{name}"), error.to_string());
                Ok(false)
            }
        }
    }
}

fn failed(subject: String, error: RecordError) -> TakeoverError {
    TakeoverError::Record { subject, error: Box::new(error) }
}

fn has_files(request: &RecordRequest) -> bool {
    request.artifact.is_some() || !request.datasets.is_empty()
}

/// Whether a session could be recorded but for its files.
fn concerns_files(error: &RecordError) -> bool {
    match error {
        RecordError::Fingerprint(FingerprintError::File(FileError::Interrupted)) => false,
        RecordError::Fingerprint(_)
        | RecordError::StandIn { .. }
        | RecordError::Verdict { .. }
        | RecordError::Inspect(_)
        | RecordError::MetadataForeign { .. }
        | RecordError::MetadataInside { .. }
        | RecordError::KeyReused { .. } => true,
        _ => false,
    }
}

/// Puts what a request holds in the order in which it is recorded.
fn sort(request: &mut RecordRequest) {
    request.metrics.sort_by_key(|metric| metric.full_name());
    request.params.sort_by(|a, b| a.name.cmp(&b.name));
    request.tags.sort_by(|a, b| a.name.cmp(&b.name));
}

/// What of a sorted request was not recorded as it stands there.
fn differences(
    request: &RecordRequest,
    found: &SessionFacts,
    stored: &SeriesByName,
) -> Vec<String> {
    let differs = [
        ("its parameters were", found.params != request.params),
        ("its tags were", found.tags != request.tags),
        ("its metrics were", found.metrics != request.metrics),
        ("its claims were", found.claims != request.claims),
    ];
    let differs = differs.iter().filter(|(_, differs)| *differs);
    let mut found: Vec<String> = differs.map(|(what, _)| (*what).to_owned()).collect();
    let names: BTreeSet<_> = request.series.keys().chain(stored.keys()).collect();
    for name in names {
        let encoded = |series: &SeriesByName| {
            let mut points = series.get(name).cloned().unwrap_or_default();
            points.sort_by_key(|point| (point.step, point.time_us));
            series::encode(&points)
        };
        if encoded(&request.series) != encoded(stored) {
            found.push(format!("the series {name} was"));
        }
    }
    found
}

/// What a piece says, as a digest: a piece that says something else is recorded anew.
fn content(request: &RecordRequest) -> Sha256 {
    let series: Vec<_> = request
        .series
        .iter()
        .map(|(name, points)| (name.to_string(), Sha256::of(&series::encode(points))))
        .collect();
    let document = json!({
        "params": request.params,
        "metrics": request.metrics,
        "tags": request.tags,
        "claims": request.claims,
        "started": request.started,
        "artifact": request.artifact.is_some(),
        "datasets": request.datasets.iter().map(|d| d.role.as_str()).collect::<Vec<_>>(),
        "series": series,
    });
    Sha256::of(document.to_string().as_bytes())
}

/// How many points there are in all series.
pub(super) fn points(series: &SeriesByName) -> u64 {
    series.values().map(|points| points.len() as u64).sum()
}

/// A path for messages.
pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Metric, MetricValue, Parameter, ParameterType, Tag};
    use crate::names::MetricName;
    use crate::series::SeriesPoint;

    fn facts_of(request: &RecordRequest) -> SessionFacts {
        SessionFacts {
            params: request.params.clone(),
            metrics: request.metrics.clone(),
            tags: request.tags.clone(),
            claims: request.claims.clone(),
            ..Default::default()
        }
    }

    fn request() -> RecordRequest {
        let mut request = RecordRequest::new(ModelName::imported());
        let (name, text) = ("depth".parse().unwrap(), "6".to_owned());
        request.params = vec![Parameter { name, text, r#type: ParameterType::Int }];
        request.tags = vec![Tag { name: "team".parse().unwrap(), value: "risk".to_owned() }];
        let value = MetricValue(f64::NAN);
        request.metrics = vec![Metric { split: None, name: "loss".to_owned(), value }];
        let facts = BTreeMap::from([("status".to_owned(), "FINISHED".to_owned())]);
        request.claims = Some(Claims { source: "mlflow".to_owned(), created: None, facts });
        let point = |step, value| SeriesPoint { step, time_us: Some(step), value };
        let name = MetricName { split: None, name: "loss".to_owned() };
        request.series.insert(name, vec![point(1, 0.5), point(2, f64::NAN)]);
        request
    }

    #[test]
    fn every_value_is_compared_when_it_is_read_back() {
        let request = request();
        let whole = facts_of(&request);
        assert!(differences(&request, &whole, &request.series).is_empty());
        let mut facts = vec![whole; 4];
        facts[0].params[0].text = "7".to_owned();
        facts[1].tags[0].value = "other".to_owned();
        facts[2].metrics[0].value = MetricValue(0.5);
        facts[3].claims.as_mut().unwrap().facts.clear();
        for (facts, what) in facts.iter().zip(["parameters", "tags", "metrics", "claims"]) {
            let found = differences(&request, facts, &request.series);
            assert_eq!(found, [format!("its {what} were")]);
        }
        let mut stored = request.series.clone();
        // The same steps, times and values, but not each with its own.
        let points = stored.values_mut().next().unwrap();
        (points[0].value, points[1].value) = (points[1].value, points[0].value);
        let found = differences(&request, &facts_of(&request), &stored);
        assert_eq!(found, ["the series loss was"]);
        let found = differences(&request, &facts_of(&request), &SeriesByName::new());
        assert_eq!(found, ["the series loss was"]);
    }

    #[test]
    fn what_reads_back_otherwise_is_not_complete() {
        let report = ImportReport { differing: 1, ..Default::default() };
        assert!(!report.is_complete());
        assert!(ImportReport::default().is_complete());
    }
}
