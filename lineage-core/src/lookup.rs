//! Finding versions by reference, and checking that bytes at a path are those of a version.

use std::path::Path;

use serde::Serialize;

use crate::context::{Observer, Timestamp};
use crate::digest::{Algorithm, Blake3, Kind, Sha256};
use crate::events::Entry;
use crate::files::FileError;
use crate::fingerprint::{self, Difference, FingerprintError, Input};
use crate::layout::Layout;
use crate::metadata;
use crate::names::{ModelName, Reference, Selector};
use crate::objects;
use crate::store::{Reader, StoreError, VersionRow};

/// A reference leads to no version, or to several.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// Nothing was ever recorded for the model.
    #[error("there is no model \"{model}\" in this registry")]
    UnknownModel {
        /// The model asked for.
        model: ModelName,
        /// A model with a similar name.
        similar: Option<ModelName>,
    },
    /// The model has no such version, label or pointer.
    #[error("there is no {reference}")]
    UnknownVersion {
        /// As asked for.
        reference: String,
        /// The model.
        model: ModelName,
        /// Its newest version.
        latest: Option<u64>,
    },
    /// A pointer that was never set, or was taken away.
    #[error("nothing is live at {reference}")]
    NothingLive {
        /// As asked for.
        reference: String,
        /// The model.
        model: ModelName,
    },
    /// More than one version has a digest with that prefix.
    #[error("{reference} is ambiguous: {first} and {second}, at least, begin so")]
    Ambiguous {
        /// As asked for.
        reference: String,
        /// One version.
        first: String,
        /// Another.
        second: String,
    },
    /// The registry could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An error unless the model is known.
pub fn known_model(reader: &Reader<'_>, model: &ModelName) -> Result<(), LookupError> {
    if reader.has_model(model)? {
        return Ok(());
    }
    let similar = reader
        .models()?
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(known.as_str(), model.as_str()), known))
        .min()
        .filter(|(distance, known)| *distance <= 1 + known.as_str().len() / 4)
        .map(|(_, known)| known);
    Err(LookupError::UnknownModel { model: model.clone(), similar })
}

/// The version that a reference means.
pub fn version(reader: &Reader<'_>, reference: &Reference) -> Result<VersionRow, LookupError> {
    known_model(reader, &reference.model)?;
    let mut found = reader.select(&reference.model, &reference.selector)?.into_iter();
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        // Versions with the same bytes share a digest: the newest of them is as good as any.
        (Some(first), Some(second)) if first.sha256 == second.sha256 => {
            let all = reader.versions_with_artifact(&first.sha256)?;
            let own = all.into_iter().filter(|v| v.model == reference.model);
            Ok(own.max_by_key(|version| version.number).unwrap_or(second))
        }
        (Some(first), Some(second)) => Err(LookupError::Ambiguous {
            reference: reference.to_string(),
            first: first.reference(),
            second: second.reference(),
        }),
        (None, _) => missing(reader, reference),
    }
}

fn missing(reader: &Reader<'_>, reference: &Reference) -> Result<VersionRow, LookupError> {
    let model = reference.model.clone();
    if let Selector::Name(name) = &reference.selector
        && let Ok(pointer) = name.parse()
        && (name == "prod" || reader.pointer(&model, &pointer)?.is_some())
    {
        return Err(LookupError::NothingLive { reference: reference.to_string(), model });
    }
    let latest = reader.latest_version(&model)?.map(|version| version.number);
    Err(LookupError::UnknownVersion { reference: reference.to_string(), model, latest })
}

/// The entry that recorded a version, checked against its digest.
pub fn entry(reader: &Reader<'_>, seq: u64) -> Result<(Entry, Sha256), StoreError> {
    let missing = |problem: &str| StoreError::Inapplicable { seq, problem: problem.to_owned() };
    let stored = reader.entry(seq)?.ok_or_else(|| missing("it is missing from the log"))?;
    if Sha256::of(&stored.bytes) != stored.sha256 {
        return Err(missing("its bytes do not have the digest in its row"));
    }
    Ok((Entry::parse(&stored.bytes)?, stored.sha256))
}

/// The exact bytes of a version's `metadata.json`.
pub fn metadata_bytes(reader: &Reader<'_>, version: &VersionRow) -> Result<Vec<u8>, StoreError> {
    let (entry, sha256) = entry(reader, version.seq)?;
    metadata::bytes(&entry, &sha256)
        .map_err(|error| StoreError::Entry(crate::events::EntryError::Canonical(error)))
}

/// Whether `bytes` are exactly the `metadata.json` that belongs to a version whose artifact was
/// recorded at `path` (recorded form).
pub fn is_own_metadata(reader: &Reader<'_>, path: &str, bytes: &[u8]) -> bool {
    let Some(claim) = metadata::claim(bytes) else { return false };
    let Ok(model) = claim.model.parse::<ModelName>() else { return false };
    if claim.registry != reader.id() {
        return false;
    }
    match reader.version(&model, claim.version) {
        Ok(Some(version)) if version.path == path => {
            metadata_bytes(reader, &version).is_ok_and(|expected| expected == bytes)
        }
        _ => false,
    }
}

/// What was found where a version's bytes should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Exactly the version's bytes.
    Same,
    /// Nothing.
    Missing,
    /// Something else; for directories, which files differ (when the manifest is known).
    Other {
        /// The digest found, when there is one.
        sha256: Option<Sha256>,
        /// In words, what differs.
        detail: String,
    },
}

/// Reads all bytes at `path` (recorded form) and compares their SHA-256 with the version's. Never from
/// a cache.
pub fn compare(
    reader: &Reader<'_>,
    version: &VersionRow,
    path: &str,
    observer: &dyn Observer,
) -> Result<Found, FingerprintError> {
    Ok(compare_bytes(reader, version, path, false, observer)?.0)
}

/// As [`compare`], and takes the BLAKE3 of the same bytes in the same pass.
pub(crate) fn compare_to_serve(
    reader: &Reader<'_>,
    version: &VersionRow,
    path: &str,
    observer: &dyn Observer,
) -> Result<(Found, Option<Blake3>), FingerprintError> {
    compare_bytes(reader, version, path, true, observer)
}

/// As [`compare`], by the BLAKE3 that was taken when these bytes were last found to be the version's,
/// which all cores compute. Whether and how other bytes differ is for SHA-256 to say.
pub(crate) fn compare_served(
    reader: &Reader<'_>,
    version: &VersionRow,
    path: &str,
    taken: &Blake3,
    observer: &dyn Observer,
) -> Result<(Found, Algorithm), FingerprintError> {
    let own = |bytes: &[u8]| is_own_metadata(reader, path, bytes);
    let manifest = match version.kind {
        Kind::Directory => objects::manifest(reader.layout(), &version.sha256).ok(),
        Kind::File => None,
    };
    // Without the manifest nobody knows what was left out of the directory.
    if version.kind == Kind::File || manifest.is_some() {
        let exclude = manifest.map(|manifest| manifest.excludes).unwrap_or_default();
        let absolute = reader.layout().absolute(path);
        let input = Input { exclude, own_file: Some(&own), ..Input::new(absolute) };
        match fingerprint::blake3(&input, version.kind, observer) {
            Ok(found) if found == Some(*taken) => return Ok((Found::Same, Algorithm::Blake3)),
            Err(error @ FingerprintError::Changed { .. }) => return Err(error),
            Err(error @ FingerprintError::File(FileError::Interrupted)) => return Err(error),
            Ok(_) | Err(_) => {}
        }
    }
    Ok((compare(reader, version, path, observer)?, Algorithm::Sha256))
}

fn compare_bytes(
    reader: &Reader<'_>,
    version: &VersionRow,
    path: &str,
    blake3: bool,
    observer: &dyn Observer,
) -> Result<(Found, Option<Blake3>), FingerprintError> {
    let absolute = reader.layout().absolute(path);
    if version.kind == Kind::File {
        return compare_file(version, &absolute, blake3, observer);
    }
    let other = |sha256, detail| Ok((Found::Other { sha256, detail }, None));
    let own = |bytes: &[u8]| is_own_metadata(reader, path, bytes);
    let manifest = objects::manifest(reader.layout(), &version.sha256).ok();
    let exclude = manifest.as_ref().map(|manifest| manifest.excludes.clone()).unwrap_or_default();
    let input = Input { exclude, own_file: Some(&own), blake3, ..Input::new(absolute) };
    let found = match fingerprint::fingerprint(&[input], observer) {
        Ok(mut found) => found.remove(0),
        Err(FingerprintError::File(error)) if error.is_not_found() => {
            return Ok((Found::Missing, None));
        }
        Err(FingerprintError::Directory { path, problem }) => {
            return other(None, format!("{}: {problem}", path.display()));
        }
        Err(error) => return Err(error),
    };
    if (found.kind, found.sha256) == (version.kind, version.sha256) {
        return Ok((Found::Same, found.blake3));
    }
    let detail = match (&manifest, &found.manifest) {
        (Some(expected), Some(found)) => describe(&expected.differences(found)),
        (_, None) => "it is a file, not a directory".to_owned(),
        (None, _) => digests(&version.sha256, &found.sha256),
    };
    other(Some(found.sha256), detail)
}

fn compare_file(
    version: &VersionRow,
    absolute: &Path,
    blake3: bool,
    observer: &dyn Observer,
) -> Result<(Found, Option<Blake3>), FingerprintError> {
    let other = |sha256, detail| Ok((Found::Other { sha256, detail }, None));
    if absolute.is_dir() {
        return other(None, "it is a directory, not a file".to_owned());
    }
    match fingerprint::hash_file_and(absolute, blake3, observer) {
        Ok((found, blake3)) if found.sha256 == version.sha256 => Ok((Found::Same, blake3)),
        Ok((found, _)) => other(Some(found.sha256), digests(&version.sha256, &found.sha256)),
        Err(FingerprintError::File(error)) if error.is_not_found() => Ok((Found::Missing, None)),
        Err(FingerprintError::NotRegular { what, .. }) => other(None, format!("it is {what}")),
        Err(error) => Err(error),
    }
}

fn digests(expected: &Sha256, found: &Sha256) -> String {
    format!("recorded as {}, now {}", expected.short(), found.short())
}

/// The first few differences in words.
fn describe(differences: &[Difference]) -> String {
    let mut parts: Vec<String> = differences
        .iter()
        .take(5)
        .map(|difference| match difference {
            Difference::Missing(path) => format!("{path} is missing"),
            Difference::Extra(path) => format!("{path} is not part of it"),
            Difference::Changed(path) => format!("{path} has other bytes"),
        })
        .collect();
    if differences.len() > 5 {
        parts.push(format!("and {} more", differences.len() - 5));
    }
    parts.join(", ")
}

/// The person behind an id, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Person {
    /// The id in the log.
    pub id: String,
    /// The name, unless it was erased.
    pub name: Option<String>,
}

impl std::fmt::Display for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name.as_deref().unwrap_or(&self.id))
    }
}

/// Who is behind an id.
pub fn person(reader: &Reader<'_>, id: &str) -> Result<Person, StoreError> {
    let identity = reader.person(id)?.and_then(|person| person.identity());
    Ok(Person { id: id.to_owned(), name: identity.map(|i| i.display().to_owned()) })
}

/// The last part of a recorded path: the artifact's own name.
pub(crate) fn artifact_name(version: &VersionRow) -> String {
    match Path::new(&version.path).file_name().and_then(|name| name.to_str()) {
        Some(name) => name.to_owned(),
        None => version.model.to_string(),
    }
}

/// Where a version's checkout lies, in recorded form.
pub(crate) fn checkout_path(layout: &Layout, version: &VersionRow) -> String {
    let path = layout.checkout(&version.sha256).join(artifact_name(version));
    let relative = path.strip_prefix(layout.root()).unwrap_or(&path);
    relative.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/")
}

/// When an entry was written.
pub(crate) fn entry_time(reader: &Reader<'_>, seq: u64) -> Result<Timestamp, StoreError> {
    Ok(entry(reader, seq)?.0.time)
}
