//! Fingerprints of files, directories and tables (`docs/formats/fingerprint.md`).
//!
//! Every byte is read, never a sample; a file that changes while it is read is an error.

mod along;
mod content;
mod copies;
mod directory;
mod file;
mod lanes;
mod parallel;
mod partitions;
mod pass;
mod reading;
mod readings;
mod rows;
mod served;
mod stand_in;
mod text;
mod unordered;

pub use crate::readers::partitioned::{PartitionError, files_of_glob};
pub use crate::readers::{Compression, DeclaredColumn, SchemaError, TableFormat};
pub use content::{ContentError, Partitioning, Table, TableOptions, Typing};
pub(crate) use directory::METADATA_NAME;
pub use directory::{Difference, Manifest, ManifestError, ManifestFile, OwnFile};
pub use file::{DirectoryProblem, FileFingerprint, FingerprintError};
pub use readings::{FileState, Readings};
pub use rows::{Batches, Rows};
pub use stand_in::StandIn;
pub use unordered::fingerprint_unordered;

pub(crate) use copies::Copies;
pub(crate) use served::{blake3, of_files};

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::arrow::array::RecordBatchReader;

use self::along::Along;
use self::pass::Asked;
use crate::context::Observer;
use crate::digest::{Blake3, Kind, Sha256};
use crate::files::Temporary;
use crate::inspect::{InspectError, Inspection};
use crate::table::{self, TableDigest};

/// One thing to fingerprint.
pub struct Input<'a> {
    /// A regular file or a directory.
    pub path: PathBuf,
    /// Globs, relative to a directory, of what to leave out. They become part of its identity.
    pub exclude: Vec<String>,
    /// Tells which top-level `metadata.json` in a directory is the one that lineage wrote there.
    pub own_file: Option<&'a OwnFile<'a>>,
    /// How to read the file as a table, if its name says that it is one; `None` when its rows do not
    /// matter.
    pub table: Option<TableOptions>,
    /// Whether to keep a copy of the bytes, made in the same pass.
    pub(crate) keep: bool,
    /// The name under which a file is inspected, in the same pass; the files of a directory then are too,
    /// each under its own name.
    pub(crate) inspect_as: Option<String>,
    /// Whether to take BLAKE3 too, in the same pass. Not for what is read as a table.
    pub(crate) blake3: bool,
}

impl Input<'_> {
    /// The bytes of the file or directory at `path`, whole, nothing kept.
    pub fn new(path: impl Into<PathBuf>) -> Input<'static> {
        Input {
            path: path.into(),
            exclude: Vec::new(),
            own_file: None,
            table: None,
            keep: false,
            inspect_as: None,
            blake3: false,
        }
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
    /// What is in it, when the file is a table.
    pub table: Option<Table>,
    /// Why a file that is named like a table could not be read as one.
    pub table_problem: Option<String>,
    /// Whether an earlier reading of an unchanged file was trusted.
    pub from_cache: bool,
    /// Files that only stand in for the real ones, with their paths relative to the directory
    /// (the empty path for a file itself).
    pub stand_ins: Vec<(String, StandIn)>,
    /// Of the same bytes, where it was asked for (`docs/formats/fingerprint.md`, What is served).
    pub(crate) blake3: Option<Blake3>,
    pub(crate) kept: Vec<(Sha256, Temporary)>,
    /// Of the file, or of each file of the manifest, if that was asked for.
    pub(crate) inspected: Vec<Result<Inspection, InspectError>>,
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
    fingerprint_keeping(inputs, None, None, observer)
}

/// Fingerprints one file or directory; a file that is named like a table is read as one.
///
/// ```
/// use lineage_core::context::Silent;
/// use lineage_core::fingerprint::{fingerprint_path, fingerprint_reader};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("rows.csv");
/// std::fs::write(&path, "id,name\n1,Ada\n2,Grace\n")?;
/// let table = fingerprint_path(&path, &Silent)?.table.ok_or("no table")?;
///
/// // The same rows from anywhere else, in any batches and of any width.
/// let ids = std::sync::Arc::new(lineage_core::arrow::array::Int32Array::from(vec![1, 2])) as _;
/// let names = std::sync::Arc::new(lineage_core::arrow::array::StringArray::from(vec!["Ada", "Grace"])) as _;
/// let batch = lineage_core::arrow::array::RecordBatch::try_from_iter([("id", ids), ("name", names)])?;
/// let reader = lineage_core::arrow::array::RecordBatchIterator::new([Ok(batch.clone())], batch.schema());
/// assert_eq!(fingerprint_reader(reader)?, table.digest);
/// # Ok(())
/// # }
/// ```
pub fn fingerprint_path(
    path: impl Into<PathBuf>,
    observer: &dyn Observer,
) -> Result<Fingerprint, FingerprintError> {
    let input = Input { table: Some(TableOptions::default()), ..Input::new(path) };
    Ok(fingerprint(&[input], observer)?.remove(0))
}

/// The content digest of the rows that a reader gives, on one thread.
pub fn fingerprint_reader(reader: impl RecordBatchReader) -> Result<TableDigest, ContentError> {
    table::digest_batches(&reader.schema(), reader.map(|batch| Ok(batch?)))
}

/// As [`fingerprint`], but files that are unchanged since an earlier reading are not read again.
pub fn fingerprint_unless_known(
    inputs: &[Input<'_>],
    readings: Option<&dyn Readings>,
    observer: &dyn Observer,
) -> Result<Vec<Fingerprint>, FingerprintError> {
    fingerprint_keeping(inputs, None, readings, observer)
}

/// The digest of one file's bytes.
pub fn hash_file(
    path: &Path,
    observer: &dyn Observer,
) -> Result<FileFingerprint, FingerprintError> {
    Ok(hash_file_and(path, false, observer)?.0)
}

/// As [`hash_file`], and takes BLAKE3 in the same pass where asked.
pub(crate) fn hash_file_and(
    path: &Path,
    blake3: bool,
    observer: &dyn Observer,
) -> Result<(FileFingerprint, Option<Blake3>), FingerprintError> {
    let beside = if blake3 { file::Beside::Blake3 } else { file::Beside::Nothing };
    let task = file::Task { path: path.to_owned(), keep: false, inspect_as: None, beside };
    let asked = Asked { copies: None, readings: None, rows_are_read: &AtomicBool::new(false) };
    let read = pass::read_all(&[task], &asked, observer)?.remove(0);
    Ok((read.fingerprint, read.blake3))
}

/// As [`fingerprint`]; inputs that ask to be kept are copied (or cloned) through `copies`.
pub(crate) fn fingerprint_keeping(
    inputs: &[Input<'_>],
    copies: Option<&Copies<'_>>,
    readings: Option<&dyn Readings>,
    observer: &dyn Observer,
) -> Result<Vec<Fingerprint>, FingerprintError> {
    let mut tasks = Vec::new();
    let mut walks = Vec::new();
    let alongs: Vec<_> = inputs.iter().map(|_| Along::new(observer)).collect();
    for (input, along) in inputs.iter().zip(&alongs) {
        let bytes = if input.blake3 { file::Beside::Blake3 } else { file::Beside::Nothing };
        if file::kind_of(&input.path)? == Kind::Directory {
            let walk = directory::walk(input)?;
            let table = input.table.as_ref().is_some_and(|t| t.partitioning != Partitioning::None);
            let beside = if table { file::Beside::Rows } else { bytes };
            tasks.extend(walk.files.iter().map(|file| {
                let inspect_as = input.inspect_as.as_ref().map(|_| file.name().to_owned());
                file::Task { path: file.absolute.clone(), keep: input.keep, inspect_as, beside }
            }));
            walks.push(Some(walk));
        } else {
            let format = input.table.as_ref().and_then(|_| TableFormat::of_path(&input.path));
            let beside = match format {
                None => bytes,
                Some((TableFormat::Parquet, _)) => file::Beside::RowsAlong(along),
                Some(_) => file::Beside::Rows,
            };
            let (path, inspect_as) = (input.path.clone(), input.inspect_as.clone());
            tasks.push(file::Task { path, keep: input.keep, inspect_as, beside });
            walks.push(None);
        }
    }
    let state = |walk: &Option<directory::Walk>| walk.as_ref().and_then(partitions::states);
    let before: Vec<_> = walks.iter().map(state).collect();
    let has_rows = |task: &file::Task<'_, '_>| !matches!(task.beside, file::Beside::Nothing);
    let rows_are_read = AtomicBool::new(tasks.iter().any(has_rows));
    let asked = Asked { copies, readings, rows_are_read: &rows_are_read };
    // Digests of bytes and of content are taken side by side, each reading the file for itself.
    let (read, tables) = std::thread::scope(|scope| {
        let read = scope.spawn(|| pass::read_all(&tasks, &asked, observer));
        let tables: Vec<_> = inputs
            .iter()
            .zip(&walks)
            .zip(&alongs)
            .map(|((input, walk), along)| {
                let options = input.table.as_ref()?;
                match walk {
                    None => {
                        along.while_read(|| content::read(&input.path, options, readings, along))
                    }
                    Some(_) if options.partitioning == Partitioning::None => None,
                    Some(walk) => {
                        let table = partitions::read(walk, options, observer);
                        Some(content::Outcome { table, stat: None })
                    }
                }
            })
            .collect();
        rows_are_read.store(false, Ordering::Relaxed);
        (read.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), tables)
    });
    let mut read = read?.into_iter();
    let mut results = Vec::with_capacity(inputs.len());
    for (((input, walk), table), before) in inputs.iter().zip(walks).zip(tables).zip(before) {
        let result = match walk {
            Some(walk) => {
                if table.is_some() && partitions::states(&walk) != before {
                    return Err(FingerprintError::Changed { path: input.path.clone() });
                }
                let found = directory::assemble(walk, &mut read);
                found.map(|found| whole(input, found, table)).transpose()?
            }
            None => match read.next() {
                Some(read) => Some(single(input, read, table, readings, observer)?),
                None => None,
            },
        };
        results.extend(result);
    }
    Ok(results)
}

/// A folder, with its rows when it was to be read as one table.
fn whole(
    input: &Input<'_>,
    found: Fingerprint,
    table: Option<content::Outcome>,
) -> Result<Fingerprint, FingerprintError> {
    match table.map(|outcome| outcome.table) {
        None => Ok(found),
        Some(Ok(table)) => Ok(Fingerprint { table: Some(table), ..found }),
        Some(Err(ContentError::File(error))) => Err(error.into()),
        Some(Err(problem)) => {
            let problem = Box::new(problem);
            Err(FingerprintError::Table { path: input.path.clone(), problem })
        }
    }
}

fn single(
    input: &Input<'_>,
    read: file::Read,
    table: Option<content::Outcome>,
    readings: Option<&dyn Readings>,
    observer: &dyn Observer,
) -> Result<Fingerprint, FingerprintError> {
    let changed = |table: &content::Outcome| table.stat.as_ref() != Some(&read.stat);
    let table = match (table, &input.table) {
        // The rows may be of other bytes than the digest: read them once more.
        (Some(first), Some(options)) if changed(&first) => {
            let again = content::read(&input.path, options, None, &Along::new(observer));
            if again.as_ref().is_none_or(changed) {
                return Err(FingerprintError::Changed { path: input.path.clone() });
            }
            again
        }
        (table, _) => table,
    };
    let declared = input.table.as_ref().is_some_and(|options| options.columns.is_some());
    let (table, table_problem) = match table.map(|outcome| outcome.table) {
        Some(Ok(table)) => (Some(table), None),
        Some(Err(ContentError::File(error))) => return Err(error.into()),
        Some(Err(_)) if read.stand_in.is_some() => (None, None),
        Some(Err(problem)) if declared => {
            let problem = Box::new(problem);
            return Err(FingerprintError::Table { path: input.path.clone(), problem });
        }
        Some(Err(problem)) => (None, Some(problem.to_string())),
        None => (None, None),
    };
    let sha256 = read.fingerprint.sha256;
    if let (Some(readings), Some(table), Some(options)) = (readings, &table, &input.table) {
        readings.note_table(&sha256, &options.way(table.format), table);
    }
    Ok(Fingerprint {
        kind: Kind::File,
        blake3: read.blake3,
        sha256,
        size_bytes: read.fingerprint.size_bytes,
        manifest: None,
        table,
        table_problem,
        from_cache: read.from_cache,
        stand_ins: read.stand_in.map(|found| (String::new(), found)).into_iter().collect(),
        kept: read.kept.map(|temporary| (sha256, temporary)).into_iter().collect(),
        inspected: read.inspected.into_iter().collect(),
    })
}

#[cfg(test)]
mod tests;
