//! What the artifact's files are, and whether loading them could run code: inspected in the pass that
//! keeps their bytes, so that what is judged is what is recorded.

use serde::Serialize;
use serde_json::json;

use super::RecordError;
use super::gather::GatheredArtifact;
use crate::canonical;
use crate::events::EntryError;
use crate::inspect::{Format, Inspection, Verdict};
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

/// The name under which a file is inspected, of its path.
pub(super) fn name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

/// What was found in the artifact's files when they were read. What kept a file from being inspected is an
/// error.
pub(super) fn of(artifact: &mut GatheredArtifact) -> Result<Inspected, RecordError> {
    let mut verdict = Verdict::Safe;
    let mut reason = None;
    let mut files = Vec::new();
    let mut unrecognised = 0u64;
    let paths = artifact.found.manifest.iter().flat_map(|manifest| &manifest.files);
    let paths = paths.map(|file| file.path.clone()).chain(std::iter::once(String::new()));
    for (path, found) in paths.zip(artifact.found.inspected.drain(..)) {
        let found = found?;
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
