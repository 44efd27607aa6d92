//! `verify`: does everything that the registry claims still hold? Never from a cache.
//!
//! In this order: the log reads and is chained; the tables are what the log gives; the bytes, pointer
//! files and `metadata.json` are what the entries claim.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::context::Context;
use crate::digest::{Kind, Sha256};
use crate::events::Event;
use crate::files::FileError;
use crate::fingerprint::{self, FingerprintError, Input};
use crate::layout::Layout;
use crate::lookup::{self, Found, LookupError};
use crate::metadata;
use crate::names::Reference;
use crate::objects::{self, ObjectError};
use crate::owed::{self, FileState};
use crate::settings::Settings;
use crate::store::{
    DatasetRow, Fold, LogFilter, OwedKind, Reader, Registry, StoreError, VersionRow,
};

/// How much a problem matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something that the registry vouches for is not so.
    Error,
    /// Something outside that changed, as files do.
    Note,
}

/// One thing that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Whether it fails the verification.
    pub severity: Severity,
    /// A fixed word, e.g. `row-differs` (`docs/formats/cli-json.md`).
    pub kind: &'static str,
    /// What it is about.
    pub subject: String,
    /// What does not hold.
    pub detail: String,
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "counts of the things named")]
pub struct Checked {
    pub events: u64,
    pub rows: u64,
    pub artifacts: u64,
    pub datasets: u64,
    pub pointer_files: u64,
    pub metadata_files: u64,
}

/// The outcome.
#[derive(Debug, Clone, Serialize)]
pub struct Verification {
    /// Whether there is no error (with `strict`, no note either).
    pub ok: bool,
    /// How much was looked at.
    pub checked: Checked,
    /// What does not hold.
    pub problems: Vec<Problem>,
}

/// Verification could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A reference leads nowhere.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// Bytes could not be read.
    #[error(transparent)]
    Fingerprint(#[from] FingerprintError),
    /// The registry could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<FileError> for VerifyError {
    fn from(error: FileError) -> VerifyError {
        VerifyError::Store(error.into())
    }
}

/// Verifies everything, or the log, the tables and one version.
pub fn verify(
    registry: &Registry,
    settings: &Settings,
    reference: Option<&Reference>,
    strict: bool,
    context: &Context<'_>,
) -> Result<Verification, VerifyError> {
    registry.read(|live| verify_all(live, settings, reference, strict, context))
}

fn verify_all(
    live: &Reader<'_>,
    settings: &Settings,
    reference: Option<&Reference>,
    strict: bool,
    context: &Context<'_>,
) -> Result<Verification, VerifyError> {
    let (fold, mut check) = verify_log(live, strict)?;
    // From here on the log's own tables answer, not the live ones.
    let reader = fold.reader();
    let mut outside = Outside { live, reader: &reader, settings, context, check: &mut check };
    match reference {
        Some(reference) => {
            let version = lookup::version(&reader, reference)?;
            outside.version(&version)?;
        }
        None => {
            outside.people()?;
            for version in reader.all_versions()? {
                outside.version(&version)?;
            }
            outside.sessions_without_version()?;
            outside.pointers()?;
            outside.metadata_files()?;
        }
    }
    Ok(check.finish())
}

/// The log reads and is chained, and the tables are what it gives.
fn verify_log(live: &Reader<'_>, strict: bool) -> Result<(Fold, Check), VerifyError> {
    let (mut fold, log_problems) = Fold::of(live)?;
    let mut check = Check::new(strict);
    for problem in log_problems {
        check.error(problem.kind, format!("entry {}", problem.seq), problem.detail);
    }
    for problem in fold.compare()? {
        check.error(problem.kind, problem.subject, problem.detail);
    }
    check.checked.events = fold.entries;
    check.checked.rows = fold.rows;
    Ok((fold, check))
}

/// Checks a copy of a `metadata.json`, wherever it was found, against the log.
pub fn verify_metadata(
    registry: &Registry,
    bytes: &[u8],
    name: &str,
    strict: bool,
) -> Result<Verification, VerifyError> {
    registry.read(|live| verify_copy(live, bytes, name, strict))
}

fn verify_copy(
    live: &Reader<'_>,
    bytes: &[u8],
    name: &str,
    strict: bool,
) -> Result<Verification, VerifyError> {
    let (fold, mut check) = verify_log(live, strict)?;
    check.checked.metadata_files = 1;
    let reader = fold.reader();
    let mut fail = |detail: &str| {
        check.error("metadata-differs", name.to_owned(), detail.to_owned());
    };
    match metadata::claim(bytes) {
        None => fail("it is not a metadata.json of lineage, or it is damaged"),
        Some(claim) if claim.registry != reader.id() => {
            fail(&format!("it belongs to the registry {}, not to this one", claim.registry));
        }
        Some(claim) => {
            let version = match claim.model.parse() {
                Ok(model) => reader.version(&model, claim.version)?,
                Err(_) => None,
            };
            match version {
                None => fail(&format!("there is no {}@{}", claim.model, claim.version)),
                Some(version) => {
                    let expected = lookup::metadata_bytes(&reader, &version)?;
                    if expected != bytes {
                        fail(&first_difference(&expected, bytes));
                    }
                }
            }
        }
    }
    Ok(check.finish())
}

/// The first line that differs.
fn first_difference(expected: &[u8], found: &[u8]) -> String {
    let (expected, found) = (String::from_utf8_lossy(expected), String::from_utf8_lossy(found));
    let (mut a, mut b) = (expected.lines(), found.lines());
    for line in 1.. {
        match (a.next(), b.next()) {
            (Some(x), Some(y)) if x == y => {}
            (None, None) => break,
            (x, y) => {
                let shown = |text: Option<&str>| match text {
                    Some(text) => text.trim().chars().take(100).collect::<String>(),
                    None => "nothing".to_owned(),
                };
                return format!("line {line} is {}, recorded was {}", shown(y), shown(x));
            }
        }
    }
    "its white space differs".to_owned()
}

struct Check {
    strict: bool,
    checked: Checked,
    problems: Vec<Problem>,
}

impl Check {
    fn new(strict: bool) -> Check {
        Check { strict, checked: Checked::default(), problems: Vec::new() }
    }

    fn error(&mut self, kind: &'static str, subject: String, detail: String) {
        self.problems.push(Problem { severity: Severity::Error, kind, subject, detail });
    }

    fn note(&mut self, kind: &'static str, subject: String, detail: String) {
        self.problems.push(Problem { severity: Severity::Note, kind, subject, detail });
    }

    fn finish(self) -> Verification {
        let failing = |p: &Problem| self.strict || p.severity == Severity::Error;
        Verification {
            ok: !self.problems.iter().any(failing),
            checked: self.checked,
            problems: self.problems,
        }
    }
}

/// The checks of what lies outside the database.
struct Outside<'a> {
    live: &'a Reader<'a>,
    reader: &'a Reader<'a>,
    settings: &'a Settings,
    context: &'a Context<'a>,
    check: &'a mut Check,
}

impl Outside<'_> {
    fn layout(&self) -> &Layout {
        self.reader.layout()
    }

    fn people(&mut self) -> Result<(), VerifyError> {
        for person in self.reader.people()? {
            if person.opening.is_none() {
                let detail = "the name behind this id was deleted without an entry that says so";
                self.check.error("person-missing", person.person, detail.to_owned());
            } else if !person.opens() {
                let detail = "the stored name is not the one that was committed to in the log";
                self.check.error("person-differs", person.person, detail.to_owned());
            }
        }
        Ok(())
    }

    fn version(&mut self, version: &VersionRow) -> Result<(), VerifyError> {
        self.check.checked.artifacts += 1;
        if version.stored {
            self.stored(version)?;
        }
        self.recorded_path(version)?;
        self.payloads(version.seq, &version.reference(), Some(version))?;
        for dataset in self.reader.datasets(&version.session)? {
            self.dataset(&version.reference(), &dataset)?;
        }
        Ok(())
    }

    fn sessions_without_version(&mut self) -> Result<(), VerifyError> {
        let filter = LogFilter { model: None, limit: u64::MAX };
        for session in self.reader.sessions(filter)? {
            if session.version.is_some() {
                continue;
            }
            let subject = format!("session {}", session.session);
            self.payloads(session.seq, &subject, None)?;
            for dataset in self.reader.datasets(&session.session)? {
                self.dataset(&subject, &dataset)?;
            }
        }
        Ok(())
    }

    fn stored(&mut self, version: &VersionRow) -> Result<(), VerifyError> {
        let found = objects::verify(self.layout(), version.kind, &version.sha256, self.context);
        match found {
            Ok(()) => {}
            Err(error @ (ObjectError::Missing(_) | ObjectError::Damaged(_))) => {
                let kind = match error {
                    ObjectError::Missing(_) => "object-missing",
                    _ => "object-damaged",
                };
                self.check.error(kind, version.reference(), error.to_string());
            }
            Err(ObjectError::Fingerprint(error)) => return Err(error.into()),
            Err(other) => {
                self.check.error("object-missing", version.reference(), other.to_string());
            }
        }
        Ok(())
    }

    /// Manifests and payloads are kept whatever was stored: without them nothing could be named.
    fn payloads(
        &mut self,
        seq: u64,
        subject: &str,
        version: Option<&VersionRow>,
    ) -> Result<(), VerifyError> {
        // A log that cannot be read was reported as such.
        let Ok((entry, _)) = lookup::entry(self.reader, seq) else { return Ok(()) };
        let Ok(Event::SessionCompleted(session)) = entry.event() else { return Ok(()) };
        let mut wanted: Vec<Sha256> = Vec::new();
        let manifest = version.filter(|v| v.kind == Kind::Directory && !v.stored);
        wanted.extend(manifest.map(|version| version.sha256));
        let inspection = session.version.as_ref().and_then(|version| version.inspection);
        let inspection = inspection.and_then(|inspection| inspection.details);
        wanted.extend(inspection.map(|details| details.sha256));
        for dataset in &session.datasets {
            if dataset.kind == Kind::Directory {
                wanted.push(dataset.sha256);
            }
            if let Some(table) = &dataset.table {
                let payloads = table.columns.payload.into_iter().chain(table.details);
                wanted.extend(payloads.map(|payload| payload.sha256));
            }
        }
        wanted.extend(session.environment.map(|payload| payload.sha256));
        wanted.extend(session.series.iter().map(|series| series.payload.sha256));
        wanted.extend(session.code.iter().filter_map(|code| Some(code.patch?.sha256)));
        for sha256 in wanted {
            if let Err(error) = objects::read(self.layout(), &sha256) {
                let kind = match error {
                    ObjectError::Damaged(_) => "object-damaged",
                    _ => "object-missing",
                };
                self.check.error(kind, subject.to_owned(), error.to_string());
            }
        }
        Ok(())
    }

    /// The path a version was recorded at. While nothing serves it, it may change.
    fn recorded_path(&mut self, version: &VersionRow) -> Result<(), VerifyError> {
        let found = self.compare(version, &version.path)?;
        let detail = match found {
            Found::Same => return Ok(()),
            Found::Missing => format!("{} is gone", version.path),
            Found::Other { detail, .. } => format!("{} changed: {detail}", version.path),
        };
        let lost = if version.stored { "" } else { "; its bytes were not stored" };
        self.check.note("original-changed", version.reference(), detail + lost);
        Ok(())
    }

    fn compare(&self, version: &VersionRow, path: &str) -> Result<Found, VerifyError> {
        match lookup::compare(self.reader, version, path, self.context.observer) {
            Err(FingerprintError::File(FileError::Interrupted)) => {
                Err(FileError::Interrupted.into())
            }
            Err(error) => Ok(Found::Other { sha256: None, detail: error.to_string() }),
            Ok(found) => Ok(found),
        }
    }

    fn dataset(&mut self, of: &str, dataset: &DatasetRow) -> Result<(), VerifyError> {
        self.check.checked.datasets += 1;
        let subject = format!("{of} {}:{}", dataset.role, dataset.name);
        let exclude = objects::manifest(self.layout(), &dataset.sha256)
            .map(|manifest| manifest.excludes)
            .unwrap_or_default();
        let path = self.layout().absolute(&dataset.path);
        let input = Input { exclude, ..Input::new(path) };
        let found = fingerprint::fingerprint(&[input], self.context.observer);
        let detail = match found {
            Ok(found) if (found[0].kind, found[0].sha256) == (dataset.kind, dataset.sha256) => {
                return Ok(());
            }
            Ok(found) => format!(
                "{} changed: recorded as {}, now {}",
                dataset.path,
                dataset.sha256.short(),
                found[0].sha256.short()
            ),
            Err(FingerprintError::File(error)) if error.is_not_found() => {
                format!("{} is gone", dataset.path)
            }
            Err(error @ FingerprintError::File(FileError::Interrupted)) => {
                return Err(error.into());
            }
            Err(error) => error.to_string(),
        };
        self.check.note("dataset-changed", subject, detail);
        Ok(())
    }

    /// The paths that pointers name, and the files that name them.
    fn pointers(&mut self) -> Result<(), VerifyError> {
        for row in self.reader.pointers(None)? {
            let subject = format!("{}@{}", row.model, row.pointer);
            if let (Some(number), Some(path)) = (row.version, &row.served_path)
                && let Some(version) = self.reader.version(&row.model, number)?
            {
                let detail = match self.compare(&version, path)? {
                    Found::Same => None,
                    Found::Missing => Some(format!("{path} does not exist")),
                    Found::Other { detail, .. } => Some(format!("{path}: {detail}")),
                };
                if let Some(detail) = detail {
                    let subject = format!("{subject} ({})", version.reference());
                    self.check.error("served-differs", subject, detail);
                }
            }
            let status =
                owed::pointer_status(self.reader, self.settings, &row.model, &row.pointer)?;
            let Some(mut status) = status else { continue };
            self.check.checked.pointer_files += 1;
            if status.state != FileState::Written {
                // Perhaps another process is just putting it in place.
                let _calm = owed::calm(self.layout(), self.context);
                let (settings, model, pointer) = (self.settings, &row.model, &row.pointer);
                let again = self.live.read_again(|reader| {
                    Ok::<_, VerifyError>((
                        owed::pointer_status(reader, settings, model, pointer)?,
                        reader.pointer(model, pointer)?.map(|now| now.seq),
                    ))
                })?;
                match again {
                    (Some(now), seq) if seq.is_some_and(|seq| seq > row.seq) => status = now,
                    _ if self.reader.pointer(model, pointer)?.is_some() => {
                        let again = owed::pointer_status(self.reader, settings, model, pointer)?;
                        status = again.unwrap_or(status);
                    }
                    _ => {}
                }
            }
            match status.state {
                FileState::Written => {}
                FileState::Owed => {
                    let detail = format!("{} still holds what it held before", status.file.path);
                    self.check.error("pointer-file-owed", subject, detail);
                }
                FileState::Drift { found } => {
                    let report = crate::pointer::describe_external(
                        self.reader,
                        &row.model,
                        &status.file,
                        found.as_deref(),
                    )?;
                    let detail = format!("{}: {report}", status.file.path);
                    self.check.error("pointer-file-drift", subject, detail);
                }
            }
        }
        Ok(())
    }

    /// At each path the `metadata.json` of the newest version that was recorded there.
    fn metadata_files(&mut self) -> Result<(), VerifyError> {
        let mut newest: BTreeMap<String, VersionRow> = BTreeMap::new();
        for version in self.reader.all_versions()? {
            newest.insert(version.metadata_path.clone(), version);
        }
        for (path, version) in newest {
            self.check.checked.metadata_files += 1;
            let Ok(bytes) = lookup::metadata_bytes(self.reader, &version) else { continue };
            let expected = Sha256::of(&bytes);
            let found = owed::digest_at(self.layout(), &path)?;
            if found == Some(expected) {
                continue;
            }
            let owed = self.reader.owed_file(OwedKind::Metadata, &path)?;
            let owing = owed.is_some_and(|owed| !owed.settled && owed.replaces_sha256 == found);
            let subject = version.reference();
            if owing {
                let detail = match found {
                    Some(_) => format!("{path} still holds what it held before"),
                    None => {
                        format!("{path} is not there; the next command that writes puts it there")
                    }
                };
                self.check.error("metadata-owed", subject, detail);
            } else if found.is_none() {
                self.check.note("metadata-gone", subject, format!("{path} is gone"));
            } else {
                let detail = format!("{path} is not what was written for it");
                self.check.error("metadata-differs", subject, detail);
            }
        }
        Ok(())
    }
}
