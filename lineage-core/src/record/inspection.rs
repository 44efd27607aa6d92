//! What the artifact's files are, and whether loading them could run code: inspected in the pass that
//! keeps their bytes, so that what is judged is what is recorded.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;

use super::RecordError;
use super::gather::GatheredArtifact;
use crate::canonical;
use crate::context::Observer;
use crate::events::EntryError;
use crate::inspect::{self, Format, Inspection, Verdict};
use crate::store::StoreError;

/// The inspection of an artifact.
#[derive(Debug)]
pub(crate) struct Inspected {
    /// The worst verdict of all files.
    pub(crate) verdict: Verdict,
    /// Why, for a message: the worst finding and its file.
    pub(crate) reason: Option<String>,
    /// A `lineage.inspection/1` document; none when no file is of a known format.
    pub(super) payload: Option<Vec<u8>>,
}

#[derive(Serialize)]
struct InspectedFile {
    path: String,
    #[serde(flatten)]
    found: Inspection,
}

pub(super) fn inspect(
    artifact: &GatheredArtifact,
    absolute: &Path,
    observer: &dyn Observer,
) -> Result<Inspected, RecordError> {
    let mut verdict = Verdict::Safe;
    let mut reason = None;
    let mut files = Vec::new();
    let mut unrecognised = 0u64;
    for (path, bytes) in parts(artifact, absolute) {
        let name = if path.is_empty() { &artifact.path } else { &path };
        let name = name.rsplit('/').next().unwrap_or_default();
        let found = inspect::inspect_as(&bytes, name, observer)?;
        if reason.is_none() || found.verdict > verdict {
            let finding = found.findings.first();
            reason = finding.map(|finding| match path.is_empty() {
                true => finding.detail.clone(),
                false => format!("{path}: {}", finding.detail),
            });
        }
        verdict = verdict.max(found.verdict);
        match found.format == Format::Unknown && found.verdict <= Verdict::Unknown {
            true => unrecognised += 1,
            false => files.push(InspectedFile { path, found }),
        }
    }
    if files.is_empty() {
        return Ok(Inspected { verdict, reason, payload: None });
    }
    let document = json!({
        "schema": "lineage.inspection/1",
        "verdict": verdict,
        "files": files,
        "unrecognised": unrecognised,
    });
    let payload = canonical::to_bytes(&document)
        .map_err(|error| StoreError::Entry(EntryError::Canonical(error)))?;
    Ok(Inspected { verdict, reason, payload: Some(payload) })
}

/// Each file's path within the artifact (empty for a file artifact) and where its bytes can be read:
/// the copy that is kept, else the file itself.
fn parts(artifact: &GatheredArtifact, absolute: &Path) -> Vec<(String, PathBuf)> {
    let kept =
        |index: usize| artifact.found.kept.get(index).map(|(_, file)| file.path().to_owned());
    match &artifact.found.manifest {
        None => vec![(String::new(), kept(0).unwrap_or_else(|| absolute.to_owned()))],
        Some(manifest) => {
            let paths = manifest.files.iter().map(|file| file.path.clone()).enumerate();
            let place =
                |index: usize, path: &str| kept(index).unwrap_or_else(|| absolute.join(path));
            paths.map(|(index, path)| (path.clone(), place(index, &path))).collect()
        }
    }
}
