//! Recording what another tracker knows, piece by piece: one session each, once only.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::report::{ImportReport, Problem};
use crate::context::Context;
use crate::digest::Sha256;
use crate::events::{Event, SessionCompleted, SessionFacts, VersionRecord};
use crate::files::FileError;
use crate::fingerprint::FingerprintError;
use crate::lookup;
use crate::names::{ModelName, PointerName, Selector};
use crate::pointer::{self, External, PromoteRequest};
use crate::record::{self, RecordError, RecordRequest, SeriesByName};
use crate::redaction;
use crate::series;
use crate::session;
use crate::settings::Settings;
use crate::store::{Registry, SessionRow, StoreError, TrainingState};
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
}

impl Piece {
    pub(super) fn completed(subject: String, id: String, request: RecordRequest) -> Piece {
        Piece { subject, id, ending: Ending::Completed, request }
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
        let done = match self.record(&piece)? {
            Ok(done) => done,
            Err(error) if has_files(&piece.request) && concerns_files(&error) => {
                self.problem(&piece.subject, format!("its files were not recorded: {error}"));
                piece.request.datasets.clear();
                piece.request.artifact = None;
                piece.request.label = None;
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
        Ok(done)
    }

    pub(super) fn problem(&mut self, subject: &str, detail: String) {
        self.report.problems.push(Problem { subject: subject.to_owned(), detail });
    }

    fn record(&mut self, piece: &Piece) -> Result<Result<Done, RecordError>, TakeoverError> {
        let mut request = piece.request.clone();
        request.metrics.sort_by_key(|metric| metric.full_name());
        request.params.sort_by(|a, b| a.name.cmp(&b.name));
        request.tags.sort_by(|a, b| a.name.cmp(&b.name));
        let key = format!("{}:{}", piece.id, &content(&request).to_string()[..16]);
        if let Some(done) = self.known(piece, &key)? {
            self.report.sessions_known += 1;
            return Ok(Ok(done));
        }
        self.report.sessions_new += 1;
        self.report.changed = true;
        if self.report.dry_run {
            return Ok(Ok(Done::default()));
        }
        request.idempotency_key = Some(key);
        let recorded = match self.end_outdated(piece) {
            Ok(()) => self.record_new(piece, request)?,
            Err(error) => Err(error),
        };
        if recorded.is_err() {
            self.report.sessions_new -= 1;
        }
        Ok(recorded)
    }

    fn record_new(
        &mut self,
        piece: &Piece,
        mut request: RecordRequest,
    ) -> Result<Result<Done, RecordError>, TakeoverError> {
        if piece.ending != Ending::Completed {
            return Ok(self.start(piece, &request));
        }
        if let Some(label) = &request.label {
            let taken = |reader: &crate::store::Reader<'_>| {
                reader.version_labelled(&request.model, label.as_str())
            };
            if self.registry.read(taken)?.is_some() {
                request.label = None;
            }
        }
        if request.artifact.is_some() {
            request.metadata = Some(self.metadata_place(&request.model, piece)?);
        }
        let recorded = record::record(self.registry, self.settings, &request, self.context);
        Ok(match recorded {
            Ok(recorded) => {
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
        self.end(&told.session, &piece.ending)?;
        let facts = self.registry.read(|reader| session::known(reader, &told.session))?;
        Ok(Done { version: None, facts: Some(facts) })
    }

    fn end(&mut self, session: &str, ending: &Ending) -> Result<(), RecordError> {
        let Ending::Failed(reason) = ending else { return Ok(()) };
        let request = RecordRequest::new(ModelName::imported());
        let reason = Some(reason.as_str());
        session::fail(self.registry, self.settings, session, reason, &request, self.context)?;
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
        if row.state == TrainingState::Open && !self.report.dry_run {
            self.end(&row.session, &piece.ending).map_err(failed)?;
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

    /// Compares what was recorded with what was to be, every point of every series included.
    fn read_back(&mut self, piece: &Piece, found: &SessionFacts) -> Result<(), TakeoverError> {
        let request = &piece.request;
        let claims = found.claims.as_ref();
        let stored = session::points(self.registry.layout(), found)
            .map_err(|error| failed(piece.subject.clone(), error))?;
        let lost = [
            ("parameters", found.params.len() != request.params.len()),
            ("tags", found.tags.len() != request.tags.len()),
            ("metrics", found.metrics.len() != request.metrics.len()),
            ("series", stored.len() != request.series.len()),
            ("facts", claims.map(|c| &c.facts) != request.claims.as_ref().map(|c| &c.facts)),
        ];
        for (what, _) in lost.iter().filter(|(_, lost)| *lost) {
            self.problem(&piece.subject, format!("not all of its {what} were recorded"));
        }
        for (name, points) in &request.series {
            let stored = stored.get(name).map_or(&[][..], Vec::as_slice);
            if stored.len() != points.len() || series::encode(stored) != series::encode(points) {
                self.problem(&piece.subject, format!("the series {name} is not as it was"));
            }
        }
        Ok(())
    }

    fn remove_secrets(&mut self, piece: &mut Piece) {
        let mut removed = Vec::new();
        for param in &mut piece.request.params {
            if redaction::is_secret_name(param.name.as_str()) {
                param.text = redaction::REMOVED.to_owned();
                removed.push(format!("{}: param {}", piece.subject, param.name));
            }
        }
        for tag in &mut piece.request.tags {
            if redaction::is_secret_name(tag.name.as_str()) {
                tag.value = redaction::REMOVED.to_owned();
                removed.push(format!("{}: tag {}", piece.subject, tag.name));
            }
        }
        let claims = piece.request.claims.iter_mut();
        for (name, text) in claims.flat_map(|claims| &mut claims.facts) {
            // An alias may have any name, and its value is a number.
            if redaction::is_secret_name(name) && !name.starts_with("alias ") {
                *text = redaction::REMOVED.to_owned();
                removed.push(format!("{}: {name}", piece.subject));
            } else {
                *text = redaction::without_shapes(text);
            }
        }
        self.report.removed.extend(removed);
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
