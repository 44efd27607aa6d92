//! Fingerprints of files, directories and tables (`docs/formats/fingerprint.md`).
//!
//! Every byte is read, never a sample; a file that changes while it is read is an error.

mod directory;
mod file;
mod stand_in;
mod table;

pub(crate) use directory::METADATA_NAME;
pub use directory::{Difference, Manifest, ManifestError, ManifestFile, OwnFile};
pub use file::{DirectoryProblem, FileFingerprint, FingerprintError};
pub use stand_in::StandIn;
pub use table::TableShape;

pub use crate::readers::TableFormat;

pub(crate) use file::Copies;

use std::path::{Path, PathBuf};

use crate::context::Observer;
use crate::digest::{Kind, Sha256};
use crate::files::Temporary;

/// One thing to fingerprint.
pub struct Input<'a> {
    /// A regular file or a directory.
    pub path: PathBuf,
    /// Globs, relative to a directory, of what to leave out. They become part of its identity.
    pub exclude: Vec<String>,
    /// Tells which top-level `metadata.json` in a directory is the one that lineage wrote there.
    pub own_file: Option<&'a OwnFile<'a>>,
    /// Whether to keep a copy of the bytes, made in the same pass.
    pub(crate) keep: bool,
}

impl Input<'_> {
    /// The whole of the file or directory at `path`, nothing kept.
    pub fn new(path: impl Into<PathBuf>) -> Input<'static> {
        Input { path: path.into(), exclude: Vec::new(), own_file: None, keep: false }
    }
}

/// What a file or directory was found to be.
#[derive(Debug)]
pub struct Fingerprint {
    /// Whether `sha256` is of a file's bytes or of a directory's manifest.
    pub kind: Kind,
    /// The identity.
    pub sha256: Sha256,
    /// Bytes of the file, or of all files in the directory.
    pub size_bytes: u64,
    /// The directory's manifest.
    pub manifest: Option<Manifest>,
    /// Rows and columns, when the file is a table.
    pub table: Option<TableShape>,
    /// Why a file that is named like a table could not be read as one.
    pub table_problem: Option<String>,
    /// Files that only stand in for the real ones, with their paths relative to the directory
    /// (the empty path for a file itself).
    pub stand_ins: Vec<(String, StandIn)>,
    pub(crate) kept: Vec<(Sha256, Temporary)>,
}

impl Fingerprint {
    /// How many files make up the artifact or dataset.
    pub fn files(&self) -> u64 {
        self.manifest.as_ref().map_or(1, |manifest| manifest.files.len() as u64)
    }

    /// The path (empty for a file itself) and digest of the largest file; of equally large ones the
    /// first by path.
    pub fn largest_file(&self) -> (String, Sha256) {
        let largest = self
            .manifest
            .as_ref()
            .and_then(|manifest| manifest.files.iter().rev().max_by_key(|file| file.size_bytes));
        largest.map_or((String::new(), self.sha256), |file| (file.path.clone(), file.sha256))
    }
}

/// Fingerprints all inputs, several files at a time on as many threads as the machine has cores.
pub fn fingerprint(
    inputs: &[Input<'_>],
    observer: &dyn Observer,
) -> Result<Vec<Fingerprint>, FingerprintError> {
    fingerprint_keeping(inputs, None, observer)
}

/// The digest of one file's bytes.
pub fn hash_file(
    path: &Path,
    observer: &dyn Observer,
) -> Result<FileFingerprint, FingerprintError> {
    let task = file::Task { path: path.to_owned(), table: None, keep: false };
    let mut read = file::read_all(&[task], None, observer)?;
    Ok(read.remove(0).fingerprint)
}

/// As [`fingerprint`]; inputs that ask to be kept are copied (or cloned) through `copies`.
pub(crate) fn fingerprint_keeping(
    inputs: &[Input<'_>],
    copies: Option<&Copies<'_>>,
    observer: &dyn Observer,
) -> Result<Vec<Fingerprint>, FingerprintError> {
    let mut tasks = Vec::new();
    let mut walks = Vec::new();
    for input in inputs {
        let first = tasks.len();
        if file::kind_of(&input.path)? == Kind::Directory {
            let walk = directory::walk(input)?;
            tasks.extend(walk.files.iter().map(|file| file::Task {
                path: file.absolute.clone(),
                table: None,
                keep: input.keep,
            }));
            walks.push((first, Some(walk)));
        } else {
            let table = table::shaped(&input.path);
            tasks.push(file::Task { path: input.path.clone(), table, keep: input.keep });
            walks.push((first, None));
        }
    }
    let read = file::read_all(&tasks, copies, observer)?;
    let mut read = read.into_iter();
    let mut results = Vec::with_capacity(inputs.len());
    for (_, walk) in walks {
        results.push(match walk {
            Some(walk) => directory::assemble(walk, &mut read),
            None => read.next().map(single),
        });
    }
    Ok(results.into_iter().flatten().collect())
}

fn single(read: file::Read) -> Fingerprint {
    let sha256 = read.fingerprint.sha256;
    Fingerprint {
        kind: Kind::File,
        sha256,
        size_bytes: read.fingerprint.size_bytes,
        manifest: None,
        table: read.table,
        table_problem: read.table_problem,
        stand_ins: read.stand_in.map(|found| (String::new(), found)).into_iter().collect(),
        kept: read.kept.map(|temporary| (sha256, temporary)).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests;
