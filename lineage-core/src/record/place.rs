//! Where a version's `metadata.json` goes (`docs/formats/metadata-json.md`).

use super::gather::GatheredArtifact;
use super::{RecordError, RecordRequest};
use crate::digest::{Kind, Sha256};
use crate::fingerprint;
use crate::metadata;
use crate::owed;
use crate::store::{Reader, StoreError};

/// Where a version's `metadata.json` goes.
#[derive(Debug, Clone)]
pub(super) struct MetadataTarget {
    pub(super) path: String,
    pub(super) replaces: Option<Sha256>,
}

/// Chooses the file: absent or ours is taken; anything else makes way to a longer name; that too
/// foreign is an error unless forced.
pub(super) fn metadata_target(
    reader: &Reader<'_>,
    request: &RecordRequest,
    artifact: &GatheredArtifact,
) -> Result<MetadataTarget, RecordError> {
    let layout = reader.layout();
    let path = &artifact.path;
    let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
    let inside = |folder: &str, name: &str| match folder {
        "." => name.to_owned(),
        "" => format!("/{name}"),
        folder => format!("{folder}/{name}"),
    };
    let beside = inside(folder, &format!("{name}.metadata.json"));
    let candidates = match &request.metadata {
        Some(given) => vec![layout.recorded(given)?],
        None if artifact.found.kind == Kind::Directory => {
            vec![inside(path, fingerprint::METADATA_NAME), beside]
        }
        None => vec![inside(folder, fingerprint::METADATA_NAME), beside],
    };
    let in_manifest = artifact.found.manifest.as_ref().is_some_and(|manifest| {
        manifest.files.iter().any(|file| file.path == fingerprint::METADATA_NAME)
    });
    let mut last = None;
    for candidate in candidates {
        let target = layout.absolute(&candidate);
        if let Some(other) = directory_around(reader, &candidate, path)? {
            return Err(RecordError::MetadataInside { path: candidate, version: other });
        }
        if target.is_dir() {
            return Err(RecordError::MetadataIsDirectory { path: candidate });
        }
        let replaces = owed::digest_at(layout, &candidate)?;
        // A metadata.json that is part of the artifact is not ours to replace.
        let part = in_manifest && candidate == inside(path, fingerprint::METADATA_NAME);
        let ours = match replaces {
            None => true,
            Some(_) => !part && claims_path(reader, &candidate, path),
        };
        let folder = crate::files::parent(&target);
        if !crate::files::is_writable(folder) {
            let path = folder.to_owned();
            return Err(RecordError::MetadataUnwritable { path });
        }
        if ours || (request.force && !part) {
            return Ok(MetadataTarget { path: candidate, replaces });
        }
        last = Some(candidate);
    }
    Err(RecordError::MetadataForeign { path: last.unwrap_or_default() })
}

/// Another version's directory artifact that a file at `candidate` would become part of.
fn directory_around(
    reader: &Reader<'_>,
    candidate: &str,
    own: &str,
) -> Result<Option<String>, StoreError> {
    let mut folder = candidate;
    while let Some((parent, _)) = folder.rsplit_once('/') {
        if parent != own
            && let Some(version) = reader.directory_at_path(parent)?
        {
            return Ok(Some(version.reference()));
        }
        folder = parent;
    }
    Ok(None)
}

/// Whether the file says that it describes a version of this registry whose artifact is at `path`.
fn claims_path(reader: &Reader<'_>, candidate: &str, path: &str) -> bool {
    let target = reader.layout().absolute(candidate);
    let Ok(Some(bytes)) = crate::files::read_small(&target, 16 * 1024 * 1024) else {
        return false;
    };
    let Some(claim) = metadata::claim(&bytes) else { return false };
    let Ok(model) = claim.model.parse() else { return false };
    claim.registry == reader.id()
        && matches!(reader.version(&model, claim.version), Ok(Some(v)) if v.path == path)
}
