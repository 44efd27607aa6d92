//! `resolve`: the one answer to "what is live", with its bytes verified. Writes nothing.

use serde::Serialize;

use crate::context::{Observer, Step, Timestamp};
use crate::digest::{Algorithm, Blake3, Kind, Sha256};
use crate::fingerprint::FingerprintError;
use crate::lookup::{self, Found, LookupError, Person};
use crate::names::{ModelName, PointerName, Reference, Selector, version_reference};
use crate::pointer_file::pointer_reference;
use crate::settings::{ServeFrom, Settings};
use crate::store::{At, Past, PointerRow, Reader, StoreError, VersionRow};

/// How the bytes are to be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// By whatever is quickest: the BLAKE3 that was taken when the pointer moved, else SHA-256.
    Quickest,
    /// By SHA-256, the identity of the version.
    Sha256,
    /// Not at all: nothing is read.
    No,
}

/// How far an answer was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verified {
    /// Every byte was read.
    Bytes,
    /// Nothing was read.
    No,
}

/// What is live, and where.
#[derive(Debug, Clone, Serialize)]
pub struct Resolved {
    /// The model.
    pub model: String,
    /// The pointer, when one was asked for.
    pub pointer: Option<String>,
    /// The version.
    pub version: u64,
    /// Relative to the project root, with `/`, or absolute.
    pub path: String,
    /// File or directory.
    pub kind: Kind,
    /// The digest of the bytes at `path`.
    pub sha256: Sha256,
    /// Whether they were read.
    pub verified: Verified,
    /// What only an answer for the present, or for the past, has.
    #[serde(flatten)]
    pub answer: Answer,
}

/// An answer for the present or for the past.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// What is live.
    Now {
        /// By which digest the bytes were compared; none when nothing was read.
        by: Option<Algorithm>,
    },
    /// What was live. Nothing is read.
    Then(Then),
}

/// What belongs to an answer for the past.
#[derive(Debug, Clone, Serialize)]
pub struct Then {
    /// The last entry that counts.
    pub at: At,
    /// Since when the pointer named the version; none when no pointer was asked for.
    pub since: Option<Timestamp>,
    /// Who had made it so.
    pub by: Option<Person>,
}

/// Why there is no answer that could be trusted.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The bytes at the served path are not those of the version.
    #[error(transparent)]
    Differs(Box<Differs>),
    /// A reference leads nowhere.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The bytes could not be read.
    #[error(transparent)]
    Fingerprint(#[from] FingerprintError),
    /// The registry failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The bytes at the served path are not those of the version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject}, but {path} {problem}")]
pub struct Differs {
    /// E.g. `fraud@prod is fraud@3`.
    pub subject: String,
    /// The served path.
    pub path: String,
    /// What is wrong there.
    pub problem: String,
    /// The model.
    pub model: ModelName,
    /// The version.
    pub version: u64,
    /// The pointer, when one was asked for.
    pub pointer: Option<PointerName>,
    /// Whether the object store has the bytes.
    pub stored: bool,
}

/// What is live at a pointer of a model.
pub fn resolve(
    reader: &Reader<'_>,
    model: &ModelName,
    pointer: &PointerName,
    check: Check,
    observer: &dyn Observer,
) -> Result<Resolved, ResolveError> {
    let row = reader.pointer(model, pointer)?;
    let live = row.and_then(|row| Some((row.version?, row.served_path.clone()?, row)));
    let Some((number, path, row)) = live else {
        lookup::known_model(reader, model)?;
        let reference = pointer_reference(model, pointer);
        return Err(LookupError::NothingLive { reference, model: model.clone() }.into());
    };
    let reference = Reference { model: model.clone(), selector: Selector::Number(number) };
    let version = match reader.version(model, number)? {
        Some(version) => version,
        None => lookup::version(reader, &reference)?,
    };
    observer.step(Step::LookedUp);
    if check != Check::No {
        reader.confirm()?;
    }
    let by = match (check, taken_digest(&row)) {
        (Check::No, _) => None,
        (Check::Quickest, Some(taken)) => {
            let (found, by) = lookup::compare_served(reader, &version, &path, &taken, observer)?;
            same(found, &version, Some(pointer), &path)?;
            Some(by)
        }
        (Check::Quickest | Check::Sha256, _) => {
            let found = lookup::compare(reader, &version, &path, observer)?;
            same(found, &version, Some(pointer), &path)?;
            Some(Algorithm::Sha256)
        }
    };
    Ok(resolved(&version, Some(pointer), path, by))
}

/// The digest that stands for SHA-256 when the bytes of a pointer are checked. Whatever forbids that for
/// a pointer is decided here.
fn taken_digest(row: &PointerRow) -> Option<Blake3> {
    row.served_blake3
}

/// What was live at a pointer, or which version was meant, when `past` was the present. Nothing is read:
/// what its path holds now says nothing about then.
pub fn resolve_then(
    past: &Past,
    settings: &Settings,
    reference: &Reference,
    observer: &dyn Observer,
) -> Result<Resolved, ResolveError> {
    let reader = past.reader();
    let found = match &reference.selector {
        Selector::Name(name) if name == PointerName::prod().as_str() => {
            resolve(&reader, &reference.model, &PointerName::prod(), Check::No, observer)?
        }
        _ => resolve_version(&reader, settings, reference, Check::No, observer)?,
    };
    let pointer = found.pointer.as_deref().and_then(|name| name.parse().ok());
    let row = match pointer {
        Some(pointer) => reader.pointer(&reference.model, &pointer)?,
        None => None,
    };
    let by = row.as_ref().map(|row| lookup::person(&reader, &row.person)).transpose()?;
    let then = Then { at: past.at, since: row.map(|row| row.since), by };
    Ok(Resolved { answer: Answer::Then(then), ..found })
}

/// Where the bytes of a version are: at the path where it was recorded, else in a checkout. They are
/// checked by SHA-256, unless the reference names a pointer.
pub fn resolve_version(
    reader: &Reader<'_>,
    settings: &Settings,
    reference: &Reference,
    check: Check,
    observer: &dyn Observer,
) -> Result<Resolved, ResolveError> {
    if let Selector::Name(name) = &reference.selector
        && let Ok(pointer) = name.parse()
        && reader.pointer(&reference.model, &pointer)?.is_some()
    {
        return resolve(reader, &reference.model, &pointer, check, observer);
    }
    let version = lookup::version(reader, reference)?;
    let mut paths = vec![version.path.clone(), lookup::checkout_path(reader.layout(), &version)];
    if settings.serve_from(&version.model) == ServeFrom::Checkout {
        paths.reverse();
    }
    if check == Check::No {
        let there = paths.iter().find(|path| reader.layout().absolute(path).exists());
        let path = there.unwrap_or(&paths[0]).clone();
        return Ok(resolved(&version, None, path, None));
    }
    observer.step(Step::LookedUp);
    reader.confirm()?;
    let mut first_problem = None;
    for path in paths {
        let found = lookup::compare(reader, &version, &path, observer)?;
        match same(found, &version, None, &path) {
            Ok(()) => return Ok(resolved(&version, None, path, Some(Algorithm::Sha256))),
            Err(problem) => first_problem = first_problem.or(Some(problem)),
        }
    }
    Err(first_problem.unwrap_or_else(|| {
        ResolveError::Lookup(LookupError::UnknownVersion {
            reference: reference.to_string(),
            model: reference.model.clone(),
            latest: None,
        })
    }))
}

fn resolved(
    version: &VersionRow,
    pointer: Option<&PointerName>,
    path: String,
    by: Option<Algorithm>,
) -> Resolved {
    Resolved {
        model: version.model.to_string(),
        pointer: pointer.map(PointerName::to_string),
        version: version.number,
        path,
        kind: version.kind,
        sha256: version.sha256,
        verified: if by.is_some() { Verified::Bytes } else { Verified::No },
        answer: Answer::Now { by },
    }
}

/// An error unless the bytes were found to be the version's.
fn same(
    found: Found,
    version: &VersionRow,
    pointer: Option<&PointerName>,
    path: &str,
) -> Result<(), ResolveError> {
    let problem = match found {
        Found::Same => return Ok(()),
        Found::Missing => "does not exist".to_owned(),
        Found::Other { detail, .. } => format!("does not hold its bytes: {detail}"),
    };
    let reference = version_reference(&version.model, version.number);
    let subject = match pointer {
        Some(pointer) => format!("{} is {reference}", pointer_reference(&version.model, pointer)),
        None => reference,
    };
    Err(ResolveError::Differs(Box::new(Differs {
        subject,
        path: path.to_owned(),
        problem,
        model: version.model.clone(),
        version: version.number,
        pointer: pointer.cloned(),
        stored: version.stored,
    })))
}
