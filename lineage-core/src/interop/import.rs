//! Recording what another tracker knows, piece by piece: one session each, once only.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::ImportError;
use super::report::{ImportReport, Problem};
use crate::context::Context;
use crate::digest::Sha256;
use crate::events::{Event, SessionCompleted};
use crate::files::FileError;
use crate::fingerprint::FingerprintError;
use crate::lookup;
use crate::names::{Label, ModelName, PointerName, Selector};
use crate::objects;
use crate::pointer::{self, External, PromoteRequest};
use crate::record::{self, RecordError, RecordRequest, SeriesByName};
use crate::redaction;
use crate::series;
use crate::settings::Settings;
use crate::store::{Registry, SessionRow, StoreError};

/// One session to be.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// For messages: `run 9cfb4f54`.
    pub(super) subject: String,
    /// What it is in its source, e.g. `mlflow:run:9cfb4f54`.
    pub(super) id: String,
    pub(super) request: RecordRequest,
}

/// What became of a piece.
#[derive(Debug, Clone)]
pub(super) struct Done {
    /// None in a dry run that would record it.
    pub(super) details: Option<Box<SessionCompleted>>,
}

impl Done {
    pub(super) fn version(&self) -> Option<u64> {
        Some(self.details.as_ref()?.version.as_ref()?.number)
    }

    pub(super) fn label(&self) -> Option<Label> {
        self.details.as_ref()?.version.as_ref()?.label.clone()
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
    pub(super) fn import(&mut self, mut piece: Piece) -> Result<Done, ImportError> {
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
        if let Some(details) = &done.details {
            self.read_back(&piece, details)?;
        }
        Ok(done)
    }

    pub(super) fn problem(&mut self, subject: &str, detail: String) {
        self.report.problems.push(Problem { subject: subject.to_owned(), detail });
    }

    fn record(&mut self, piece: &Piece) -> Result<Result<Done, RecordError>, ImportError> {
        let mut request = piece.request.clone();
        request.metrics.sort_by_key(|metric| metric.full_name());
        request.params.sort_by(|a, b| a.name.cmp(&b.name));
        request.tags.sort_by(|a, b| a.name.cmp(&b.name));
        let key = format!("{}:{}", piece.id, &content(&request).to_string()[..16]);
        if let Some(row) = self.known(&request.model, &key)? {
            self.report.sessions_known += 1;
            let details = Some(Box::new(self.details(&row)?));
            return Ok(Ok(Done { details }));
        }
        self.report.sessions_new += 1;
        self.report.changed = true;
        if self.report.dry_run {
            return Ok(Ok(Done { details: None }));
        }
        request.idempotency_key = Some(key);
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
                let details = match row {
                    Some(row) => Some(Box::new(self.details(&row)?)),
                    None => None,
                };
                Ok(Done { details })
            }
            Err(error) => {
                self.report.sessions_new -= 1;
                Err(error)
            }
        })
    }

    /// Where an imported version's metadata.json goes: not into the other tracker's folders.
    fn metadata_place(
        &self,
        model: &ModelName,
        piece: &Piece,
    ) -> Result<std::path::PathBuf, ImportError> {
        let folder = self.registry.layout().root().join("imported").join(model.as_str());
        crate::files::create_folder(&folder)?;
        let name: String = piece
            .id
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' })
            .collect();
        Ok(folder.join(format!("{name}.metadata.json")))
    }

    fn known(&self, model: &ModelName, key: &str) -> Result<Option<SessionRow>, StoreError> {
        self.registry.read(|reader| reader.session_with_key(model, key))
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
    fn read_back(&mut self, piece: &Piece, details: &SessionCompleted) -> Result<(), ImportError> {
        let request = &piece.request;
        let claims = details.claims.as_ref();
        let lost = [
            ("parameters", details.params.len() != request.params.len()),
            ("tags", details.tags.len() != request.tags.len()),
            ("metrics", details.metrics.len() != request.metrics.len()),
            ("series", details.series.len() != request.series.len()),
            ("facts", claims.map(|c| &c.facts) != request.claims.as_ref().map(|c| &c.facts)),
        ];
        for (what, _) in lost.iter().filter(|(_, lost)| *lost) {
            self.problem(&piece.subject, format!("not all of its {what} were recorded"));
        }
        for (name, points) in &request.series {
            let found =
                details.series.iter().find(|s| s.split == name.split && s.name == name.name);
            let stored = match found {
                Some(series) => objects::read(self.registry.layout(), &series.payload.sha256)?,
                None => Vec::new(),
            };
            let expected = series::encode(points);
            if stored != expected || series::decode(&stored).map(|p| p.len()) != Ok(points.len()) {
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
    ) -> Result<bool, ImportError> {
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

fn failed(subject: String, error: RecordError) -> ImportError {
    ImportError::Record { subject, error: Box::new(error) }
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
