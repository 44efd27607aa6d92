//! Where a file went: the sessions, versions and pointers that it reached, then and now.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::context::{Observer, Timestamp};
use crate::digest::{Kind, Sha256};
use crate::files::FileError;
use crate::fingerprint::{Fingerprint, FingerprintError, Input, TableOptions, fingerprint};
use crate::layout::LayoutError;
use crate::lookup::{self, LookupError};
use crate::names::ModelName;
use crate::store::{
    DatasetColumn, Reader, StoreError, TrainingState, UseRow, VersionColumn, VersionRow,
};
use crate::tenure::{Tenure, tenures};

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sought {
    /// A file or folder, by what it holds now and by its name.
    Path(PathBuf),
    /// The first hex digits of a digest, at least 6.
    Digest(String),
}

/// Smaller files are alike by chance.
const FILE_BYTES_MIN: u64 = 64;

/// By what something was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The same bytes.
    Bytes,
    /// Other bytes with the same rows.
    Content,
    /// The largest file of one is the other, or the largest file of the other.
    File,
    /// The name alone: other bytes were recorded there.
    Path,
}

/// What a file reached.
#[derive(Debug, Serialize)]
pub struct Impact {
    /// What was looked for.
    pub subject: Subject,
    /// The sessions that used it as data, completed or not, in the order of the log.
    pub datasets: Vec<DatasetImpact>,
    /// The versions of which it is the artifact, or a part, in the order of recording.
    pub artifacts: Vec<ArtifactImpact>,
    /// The versions made from those, and from these in turn.
    pub derived: Vec<DerivedImpact>,
    /// When any of these versions was live, by the beginning.
    pub pointers: Vec<PointerImpact>,
}

/// What was looked for.
#[derive(Debug, Serialize)]
pub struct Subject {
    /// The path as recorded, when a path was given.
    pub path: Option<String>,
    /// What is there now; none when nothing is, or when a digest was given.
    pub kind: Option<Kind>,
    /// The digest of the bytes there now, or the digest that was given as far as it is one of bytes.
    pub sha256: Option<Sha256>,
    /// The digest of the rows there now, or the digest that was given as far as it is one of rows.
    pub content_sha256: Option<Sha256>,
}

/// A session that used the data.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "as in the row")]
pub struct DatasetImpact {
    pub by: By,
    pub model: ModelName,
    pub state: TrainingState,
    pub version: Option<u64>,
    pub session: String,
    pub created: Timestamp,
    pub role: String,
    pub name: String,
    pub path: String,
    pub sha256: Sha256,
    pub content_sha256: Option<Sha256>,
}

/// A version with the artifact.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "as in the row")]
pub struct ArtifactImpact {
    pub by: By,
    pub model: ModelName,
    pub version: u64,
    pub session: String,
    pub created: Timestamp,
    pub path: String,
    pub sha256: Sha256,
}

/// A time in which a version that the file reached was live.
#[derive(Debug, Serialize)]
pub struct PointerImpact {
    /// The best reason by which the version was reached.
    pub by: By,
    /// From when to when, and where.
    #[serde(flatten)]
    pub tenure: Tenure,
}

/// A version made from one that the file reached.
#[derive(Debug, Serialize)]
pub struct DerivedImpact {
    /// The best reason by which the version that it was made from was reached.
    pub by: By,
    /// Its model.
    pub model: ModelName,
    /// Its number.
    pub version: u64,
    /// When it was recorded.
    pub created: Timestamp,
    /// What it was made from, e.g. `fraud@3`.
    pub from: String,
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum ImpactError {
    /// The file could not be read.
    #[error(transparent)]
    Fingerprint(#[from] FingerprintError),
    /// The path cannot be written as the registry writes it.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Several digests begin so.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The registry could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a file or a digest reached.
pub fn impact(
    reader: &Reader<'_>,
    sought: &Sought,
    observer: &dyn Observer,
) -> Result<Impact, ImpactError> {
    let mut found = Found::default();
    let subject = match sought {
        Sought::Digest(prefix) => {
            found.by_digests(reader, Some(prefix), Some(prefix))?;
            found.by_file(reader, prefix)?;
            named_subject(prefix, &found)?
        }
        Sought::Path(path) => of_path(reader, path, &mut found, observer)?,
    };
    let (derived, all) = descend(reader, found.reached())?;
    let models: BTreeSet<&ModelName> = all.keys().map(|(model, _)| model).collect();
    let mut pointers = Vec::new();
    for model in models {
        for tenure in tenures(reader, model)? {
            if let Some(by) = all.get(&(tenure.model.clone(), tenure.version)) {
                pointers.push(PointerImpact { by: *by, tenure });
            }
        }
    }
    pointers.sort_by_key(|pointer| pointer.tenure.since.seq);
    Ok(Impact {
        subject,
        datasets: found.uses.into_values().map(dataset).collect(),
        artifacts: found.versions.into_values().map(artifact).collect(),
        derived,
        pointers,
    })
}

fn of_path(
    reader: &Reader<'_>,
    path: &Path,
    found: &mut Found,
    observer: &dyn Observer,
) -> Result<Subject, ImpactError> {
    let layout = reader.layout();
    let now = read(reader, path, observer)?;
    let recorded = match &now {
        Some(_) => layout.recorded(path)?,
        None => match layout.recorded(path) {
            Ok(recorded) => recorded,
            // Its folder is gone too.
            Err(_) => layout.recorded_by_name(&path.to_string_lossy()),
        },
    };
    let content = now.as_ref().and_then(|now| now.table.as_ref()).map(|t| t.digest.content_sha256);
    if let Some(now) = &now {
        let content = content.map(|digest| digest.to_string());
        found.by_digests(reader, Some(&now.sha256.to_string()), content.as_deref())?;
        let largest = now.manifest.iter().flat_map(|manifest| &manifest.files);
        let size_bytes = largest.map(|file| file.size_bytes).max().unwrap_or(now.size_bytes);
        if size_bytes >= FILE_BYTES_MIN {
            found.by_file(reader, &now.largest_file().1.to_string())?;
        }
    }
    found.by_path(reader, &recorded)?;
    if now.is_none() && found.uses.is_empty() && found.versions.is_empty() {
        let missing = FileError::io("find", path)(io::ErrorKind::NotFound.into());
        return Err(FingerprintError::from(missing).into());
    }
    Ok(Subject {
        path: Some(recorded),
        kind: now.as_ref().map(|now| now.kind),
        sha256: now.as_ref().map(|now| now.sha256),
        content_sha256: content,
    })
}

/// What the path holds now, the metadata.json that lineage wrote there left out.
fn read(
    reader: &Reader<'_>,
    path: &Path,
    observer: &dyn Observer,
) -> Result<Option<Fingerprint>, ImpactError> {
    let recorded = reader.layout().recorded(path).ok();
    let own = |bytes: &[u8]| {
        recorded.as_ref().is_some_and(|path| lookup::is_own_metadata(reader, path, bytes))
    };
    let mut input: Input<'_> = Input::new(path);
    input.own_file = Some(&own);
    input.table = Some(TableOptions::default());
    match fingerprint(&[input], observer) {
        Ok(mut found) => Ok(found.pop()),
        Err(FingerprintError::File(error)) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The digest that a prefix stands for; an error when there are several.
fn named_subject(prefix: &str, found: &Found) -> Result<Subject, ImpactError> {
    let begins = |digest: &Sha256| digest.to_string().starts_with(prefix);
    let mut bytes: BTreeSet<Sha256> = BTreeSet::new();
    let mut content: BTreeSet<Sha256> = BTreeSet::new();
    for (_, row) in found.uses.values() {
        bytes.extend(Some(row.sha256).filter(begins));
        content.extend(row.content_sha256.filter(begins));
    }
    for (_, row) in found.versions.values() {
        bytes.extend([row.sha256, row.largest_file_sha256].into_iter().filter(begins));
    }
    let mut all = bytes.union(&content);
    if let (Some(first), Some(second)) = (all.next(), all.next()) {
        return Err(LookupError::Ambiguous {
            reference: format!("sha256:{prefix}"),
            first: first.short(),
            second: second.short(),
        }
        .into());
    }
    Ok(Subject {
        path: None,
        kind: None,
        sha256: bytes.into_iter().next(),
        content_sha256: content.into_iter().next(),
    })
}

/// What was recognised, each by the best reason; in the order of recording.
#[derive(Default)]
struct Found {
    uses: BTreeMap<(u64, String, String), (By, UseRow)>,
    versions: BTreeMap<u64, (By, VersionRow)>,
}

type Version = (ModelName, u64);

impl Found {
    /// The versions, each with the best reason.
    fn reached(&self) -> BTreeMap<Version, By> {
        let used = self.uses.values().filter_map(|(by, row)| Some((*by, &row.model, row.version?)));
        let made = self.versions.values().map(|(by, row)| (*by, &row.model, row.number));
        let mut reached = BTreeMap::new();
        for (by, model, number) in used.chain(made) {
            let best = reached.entry((model.clone(), number)).or_insert(by);
            *best = by.min(*best);
        }
        reached
    }

    fn by_digests(
        &mut self,
        reader: &Reader<'_>,
        bytes: Option<&str>,
        content: Option<&str>,
    ) -> Result<(), StoreError> {
        if let Some(bytes) = bytes {
            self.add_uses(By::Bytes, reader.uses(DatasetColumn::Sha256, bytes)?);
            self.add_versions(By::Bytes, reader.versions_by(VersionColumn::Sha256, bytes)?);
        }
        if let Some(content) = content {
            self.add_uses(By::Content, reader.uses(DatasetColumn::ContentSha256, content)?);
        }
        Ok(())
    }

    fn by_file(&mut self, reader: &Reader<'_>, digest: &str) -> Result<(), StoreError> {
        for column in [VersionColumn::Sha256, VersionColumn::LargestFileSha256] {
            self.add_versions(By::File, reader.versions_by(column, digest)?);
        }
        Ok(())
    }

    fn by_path(&mut self, reader: &Reader<'_>, path: &str) -> Result<(), StoreError> {
        self.add_uses(By::Path, reader.uses(DatasetColumn::Path, path)?);
        self.add_versions(By::Path, reader.versions_by(VersionColumn::Path, path)?);
        Ok(())
    }

    fn add_uses(&mut self, by: By, rows: Vec<UseRow>) {
        for row in rows {
            let key = (row.seq, row.role.clone(), row.name.clone());
            self.uses.entry(key).or_insert((by, row));
        }
    }

    fn add_versions(&mut self, by: By, rows: Vec<VersionRow>) {
        for row in rows {
            self.versions.entry(row.seq).or_insert((by, row));
        }
    }
}

/// The versions made from some, and all of them together with the best reason.
fn descend(
    reader: &Reader<'_>,
    reached: BTreeMap<Version, By>,
) -> Result<(Vec<DerivedImpact>, BTreeMap<Version, By>), StoreError> {
    let mut all = reached.clone();
    let mut derived = Vec::new();
    for by in [By::Bytes, By::Content, By::File, By::Path] {
        let first = reached.iter().filter(|(_, reason)| **reason == by);
        let mut queue: VecDeque<Version> = first.map(|(version, _)| version.clone()).collect();
        while let Some((model, number)) = queue.pop_front() {
            for row in reader.derived(&model, number)? {
                let version = (row.model.clone(), row.number);
                if all.contains_key(&version) {
                    continue;
                }
                all.insert(version.clone(), by);
                queue.push_back(version);
                derived.push(DerivedImpact {
                    by,
                    model: row.model,
                    version: row.number,
                    created: row.created,
                    from: crate::names::version_reference(&model, number),
                });
            }
        }
    }
    Ok((derived, all))
}

fn dataset((by, row): (By, UseRow)) -> DatasetImpact {
    DatasetImpact {
        by,
        model: row.model,
        state: row.state,
        version: row.version,
        session: row.session,
        created: row.created,
        role: row.role,
        name: row.name,
        path: row.path,
        sha256: row.sha256,
        content_sha256: row.content_sha256,
    }
}

fn artifact((by, row): (By, VersionRow)) -> ArtifactImpact {
    ArtifactImpact {
        by,
        model: row.model,
        version: row.number,
        session: row.session,
        created: row.created,
        path: row.path,
        sha256: row.sha256,
    }
}
