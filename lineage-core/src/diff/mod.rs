//! What differs between two data files or folders, or between two versions.
//!
//! Tables are compared by the digests of their columns and row blocks, which name what differs without
//! looking at a row again; versions by what was recorded of them, without touching their files. Only
//! comparisons by key and of distributions read the rows ([`DiffOptions::key`], [`DiffOptions::drift`]).

mod data;
mod rows;
mod surroundings;
mod table;
mod versions;

use std::path::{Path, PathBuf};

use crate::context::Observer;
use crate::files::FileError;
use crate::fingerprint::{
    FingerprintError, Input, Readings, TableOptions, fingerprint_unless_known,
};
use crate::lookup::{self, LookupError};
use crate::objects::ObjectError;
use crate::store::{Reader, StoreError};

pub use data::{DataDifference, DataSide, FileChange, FileDifference, Verdict};
pub use table::{Change, ColumnDifference, RowRange, TableDifference};
pub(crate) use versions::matched;
pub use versions::{
    DatasetDifference, MetricChange, NamesDifference, ValueChange, VersionDifference, VersionSide,
    versions,
};

/// How two things are compared.
#[derive(Clone, Copy)]
pub struct DiffOptions<'a> {
    /// How files are read as tables.
    pub tables: &'a TableOptions,
    /// Globs of what is left out of folders.
    pub exclude: &'a [String],
    /// The columns by which rows are matched; none when rows are not.
    pub key: &'a [String],
    /// Whether the distributions of columns are compared.
    pub drift: bool,
    /// Earlier readings of unchanged files, which are trusted.
    pub readings: Option<&'a dyn Readings>,
}

/// Two things could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// Rows are asked for where there are none.
    #[error("{path} cannot be compared by its rows: {problem}", path = path.display())]
    NoRows {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// The key does not fit the tables.
    #[error("{0}")]
    Key(String),
    /// More rows than are compared.
    #[error("{0}")]
    TooManyRows(String),
    /// The rows of a recorded dataset are wanted, and its file holds something else now.
    #[error("{path}, recorded by {reference} as {role}, is {now}", path = path.display())]
    NotAsRecorded {
        /// Where it was recorded.
        path: PathBuf,
        /// The version.
        reference: String,
        /// The role of the dataset.
        role: String,
        /// What is there: `gone`, `changed since`.
        now: &'static str,
    },
    /// A file or folder could not be fingerprinted.
    #[error(transparent)]
    Fingerprint(#[from] FingerprintError),
    /// A reference leads to no version.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// What was recorded of a dataset is lost.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The registry could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Compares two files or folders. In a project, `reader` knows which `metadata.json` in a folder is the
/// one that lineage wrote there.
pub fn files(
    reader: Option<&Reader<'_>>,
    left: &Path,
    right: &Path,
    options: &DiffOptions<'_>,
    observer: &dyn Observer,
) -> Result<DataDifference, DiffError> {
    let own = |path: &Path| {
        let recorded = reader.and_then(|reader| reader.layout().recorded(path).ok());
        move |bytes: &[u8]| match (reader, &recorded) {
            (Some(reader), Some(path)) => lookup::is_own_metadata(reader, path, bytes),
            _ => false,
        }
    };
    let (own_left, own_right) = (own(left), own(right));
    let mut inputs: [Input<'_>; 2] = [Input::new(left), Input::new(right)];
    inputs[0].own_file = Some(&own_left);
    inputs[1].own_file = Some(&own_right);
    for input in &mut inputs {
        input.exclude = options.exclude.to_vec();
        input.table = Some(options.tables.clone());
    }
    let found = fingerprint_unless_known(&inputs, options.readings, observer)?;
    let mut found = found.into_iter();
    let missing = |path: &Path| FileError::io("find", path)(std::io::ErrorKind::NotFound.into());
    let mut side = |path: &Path| match found.next() {
        Some(found) => Ok(data::Known::of_file(path, found)),
        None => Err(FingerprintError::from(missing(path))),
    };
    let (left_found, right_found) = (side(left)?, side(right)?);
    let mut difference = data::compare(&left_found, &right_found);
    if difference.verdict.is_same_content() {
        return Ok(difference);
    }
    if let Some(table) = &mut difference.table {
        rows::follow_appended(table, &left_found, &right_found, (left, right), options, observer)?;
    }
    rows::compare(
        &mut difference,
        (left, left_found.table.as_ref()),
        (right, right_found.table.as_ref()),
        options,
        observer,
    )?;
    Ok(difference)
}
