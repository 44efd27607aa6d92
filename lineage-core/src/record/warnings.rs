//! What is allowed but worth knowing: twins, leakage, paths used twice.

use super::gather::{Gathered, GatheredArtifact, GatheredDataset};
use super::{RecordError, RecordRequest, Warning, unrepaired_warnings};
use crate::digest::Sha256;
use crate::fingerprint::{Fingerprint, TableOptions};
use crate::inspect::Verdict;
use crate::owed::Unrepaired;
use crate::store::{Reader, Registry, StoreError};

/// Equal bytes of at least this size are no accident.
const TWIN_FILE_BYTES_MIN: u64 = 64;

/// References to the versions that share bytes with the artifact, and everything worth saying.
pub(super) fn of(
    registry: &Registry,
    request: &RecordRequest,
    gathered: &Gathered,
    unrepaired: &[Unrepaired],
) -> Result<(Vec<String>, Vec<Warning>), RecordError> {
    let mut warnings = unrepaired_warnings(unrepaired);
    let (twins, mut of_artifact) = registry.read(|reader| {
        let mut warnings = Vec::new();
        let Some(found) = &gathered.artifact else {
            return Ok::<_, StoreError>((Vec::new(), warnings));
        };
        verdict(found, &mut warnings);
        let twins = shared_bytes(reader, found, &mut warnings)?;
        artifact(reader, request, found, &mut warnings)?;
        Ok((twins, warnings))
    })?;
    warnings.append(&mut of_artifact);
    warnings.append(&mut datasets(gathered));
    warnings.append(&mut secrets(request));
    Ok((twins, warnings))
}

/// A model that runs code when it is loaded.
fn verdict(artifact: &GatheredArtifact, warnings: &mut Vec<Warning>) {
    let Some(inspected) = &artifact.inspected else { return };
    let code = match inspected.verdict {
        Verdict::Dangerous => "dangerous-model",
        Verdict::Suspicious => "suspicious-model",
        Verdict::Safe | Verdict::Unknown => return,
    };
    let reason = inspected.reason.as_deref().unwrap_or_default();
    let message = format!("the artifact is {}: {reason}", inspected.verdict.word());
    warnings.push(Warning { code, message });
}

/// Versions with the same artifact, and versions whose largest file is among this artifact's files.
fn shared_bytes(
    reader: &Reader<'_>,
    artifact: &GatheredArtifact,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<String>, StoreError> {
    let mut twins: Vec<String> = reader
        .versions_with_artifact(&artifact.found.sha256)?
        .into_iter()
        .filter(|version| version.kind == artifact.found.kind)
        .map(|version| version.reference())
        .collect();
    if let Some(first) = twins.first() {
        let message = format!("the artifact is byte for byte that of {first}");
        warnings.push(Warning { code: "twin", message });
    }
    for (path, digest) in files(artifact) {
        let mut named = false;
        for version in reader.versions_with_largest_file(&digest)? {
            let reference = version.reference();
            if twins.contains(&reference) {
                continue;
            }
            if !named {
                let message = format!("{path} is byte for byte that of {reference}");
                warnings.push(Warning { code: "twin-file", message });
                named = true;
            }
            twins.push(reference);
        }
    }
    Ok(twins)
}

/// The artifact's files that are worth comparing: path within it, digest.
fn files(artifact: &GatheredArtifact) -> Vec<(String, Sha256)> {
    match &artifact.found.manifest {
        Some(manifest) => manifest
            .files
            .iter()
            .filter(|file| file.size_bytes >= TWIN_FILE_BYTES_MIN)
            .map(|file| (file.path.clone(), file.sha256))
            .collect(),
        None if artifact.found.size_bytes >= TWIN_FILE_BYTES_MIN => {
            let name = artifact.path.rsplit('/').next().unwrap_or(&artifact.path);
            vec![(name.to_owned(), artifact.found.sha256)]
        }
        None => Vec::new(),
    }
}

fn artifact(
    reader: &Reader<'_>,
    request: &RecordRequest,
    artifact: &GatheredArtifact,
    warnings: &mut Vec<Warning>,
) -> Result<(), StoreError> {
    let mut warn = |code, message| warnings.push(Warning { code, message });
    if artifact.found.size_bytes == 0 {
        warn("empty-artifact", format!("{} holds no bytes at all", artifact.path));
    }
    let pointers = reader.pointers_serving(&artifact.path)?;
    if let Some(pointer) = pointers.first() {
        let live = pointer.version.map(|n| format!("{}@{n}", pointer.model)).unwrap_or_default();
        let served = reader.version(&pointer.model, pointer.version.unwrap_or(0))?;
        if served.is_some_and(|served| served.sha256 != artifact.found.sha256) {
            warn(
                "path-live",
                format!(
                    "THE LIVE MODEL WAS OVERWRITTEN: {}@{} serves {live} from {}, and other bytes \
                     lie there now; `lineage promote {} --version {} --pointer {}` serves it from \
                     the object store",
                    pointer.model,
                    pointer.pointer,
                    artifact.path,
                    pointer.model,
                    pointer.version.unwrap_or(0),
                    pointer.pointer,
                ),
            );
        }
    }
    let before = reader.versions_at_path(&artifact.path)?;
    if let Some(other) = before.iter().find(|v| v.sha256 != artifact.found.sha256) {
        let reference = other.reference();
        let kept = if other.stored {
            "its bytes are in the object store"
        } else {
            "its bytes were not stored and are lost unless there is a copy elsewhere"
        };
        warn(
            "path-reused",
            format!("{} was recorded as {reference} with other bytes; {kept}", artifact.path),
        );
    }
    if !request.store {
        warn(
            "not-stored",
            format!(
                "the bytes were not stored: a rollback to this version needs {} to stay as it is",
                artifact.path
            ),
        );
    }
    for (path, stand_in) in &artifact.found.stand_ins {
        let path = if path.is_empty() { &artifact.path } else { path };
        warn("stand-in", format!("{path} is {stand_in}, not the model itself"));
    }
    Ok(())
}

/// What is worth saying of the data.
pub(crate) fn datasets(gathered: &Gathered) -> Vec<Warning> {
    let mut warnings: Vec<Warning> =
        gathered.datasets.iter().flat_map(|dataset| dataset.warnings.clone()).collect();
    let mut warn = |code, message| warnings.push(Warning { code, message });
    let held_out = |role: &str| matches!(role, "validation" | "test");
    for (index, a) in gathered.datasets.iter().enumerate() {
        for b in &gathered.datasets[index + 1..] {
            let bytes = (a.used.kind, a.used.sha256) == (b.used.kind, b.used.sha256);
            if !bytes && !same_rows(a, b) {
                continue;
            }
            let what = if bytes { "the same bytes" } else { "the same rows" };
            let name = |d: &GatheredDataset| format!("{}:{}", d.used.role, d.used.name);
            let roles = [a.used.role.as_str(), b.used.role.as_str()];
            let leaks = roles.contains(&"training") && roles.iter().any(|role| held_out(role));
            if leaks {
                let message = format!(
                    "{} and {} hold {what}: the model is measured on the rows it learned from",
                    name(a),
                    name(b)
                );
                warn("leakage", message);
            } else if bytes {
                warn("same-bytes", format!("{} is byte for byte {}", name(a), name(b)));
            } else {
                warn("same-rows", format!("{} holds the rows of {}", name(a), name(b)));
            }
        }
    }
    warnings
}

/// Whether two tables hold the same rows, in whatever format, and in columns of whatever order if that
/// is known.
fn same_rows(a: &GatheredDataset, b: &GatheredDataset) -> bool {
    let table = |dataset: &GatheredDataset| {
        let table = dataset.used.table.as_ref().filter(|table| table.rows > 0)?;
        Some((table.content_sha256?, dataset.content_sorted_sha256))
    };
    let (Some(a), Some(b)) = (table(a), table(b)) else { return false };
    a.0 == b.0 || a.1.is_some() && a.1 == b.1
}

/// What was kept out of the record.
pub(crate) fn secrets(request: &RecordRequest) -> Vec<Warning> {
    let warning = |place: &String| Warning {
        code: "secret-removed",
        message: format!("{place} holds or is named like a secret, which was not recorded"),
    };
    request.redacted.iter().map(warning).collect()
}

/// Whether a dataset was perhaps not read as it was meant to be.
pub(super) fn reading(request: &RecordRequest, path: &str, found: &Fingerprint) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |code, message| warnings.push(Warning { code, message });
    let columns = request.schema.as_ref().map(|schema| schema.columns.clone());
    let options = TableOptions { columns, ..request.tables.clone() };
    if let Some(problem) = &found.table_problem {
        let message = format!("{path} is recorded as a file, not as a table: {problem}");
        warn("table-unreadable", message);
    } else if let Some(unused) = options.unused_for(found.table.as_ref().map(|t| t.format)) {
        warn("options-unused", format!("{path}: {unused}"));
    }
    let doubt = found.table.as_ref().and_then(|table| table.doubtful_delimiter(&options));
    if let Some(doubt) = doubt {
        warn("delimiter-doubtful", format!("{path} has {doubt}"));
    }
    warnings
}
