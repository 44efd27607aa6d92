//! The content of a table file: its digest, whatever the format.

use std::fs::File;
use std::io;
use std::path::Path;

use arrow::error::ArrowError;
use parquet::errors::ParquetError;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::file::{self, Stat};
use super::{parallel, text};
use crate::context::Observer;
use crate::files::{self, FileError};
use crate::readers::csv::{CsvError, CsvOptions};
use crate::readers::format::TableFormat;
use crate::readers::parquet::ParquetTable;
use crate::readers::schema::DeclaredColumn;
use crate::table::{ColumnKind, ColumnLeaves, TableDigest, TableError, columns_of};

/// Why the content of a table could not be had. The file is named by the caller.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// A column or value has no place in the format.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Not a Parquet file, or a broken one.
    #[error(transparent)]
    Parquet(#[from] ParquetError),
    /// Not an Arrow file, or a broken one.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    /// Not a CSV or TSV, or not the declared one.
    #[error(transparent)]
    Csv(#[from] CsvError),
    /// The file was another when it was read for the second time.
    #[error("the file changed while it was read")]
    Changed,
    /// The bytes could not be read or decompressed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A digest, and whether a kind in it was inferred.
pub(super) struct Digested {
    pub(super) digest: TableDigest,
    pub(super) inferred: bool,
}

/// How to read a file as a table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TableOptions {
    /// The columns that a text file is declared to have.
    pub columns: Option<Vec<DeclaredColumn>>,
    /// Whether to describe the values of each column.
    pub profile: bool,
}

/// Who says what kinds a table's columns have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Typing {
    /// The file.
    File,
    /// A schema that was given.
    Declared,
    /// All values, by the rules of `docs/formats/fingerprint.md`.
    Inferred,
}

/// What is in a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// The file format.
    pub format: TableFormat,
    /// Who says what kinds the columns have.
    pub typing: Typing,
    /// Rows, columns and their digests.
    #[serde(flatten)]
    pub digest: TableDigest,
}

impl Table {
    /// A `lineage.table/1` document.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let mut document = json!(self);
        document["schema"] = json!("lineage.table/1");
        document
    }

    /// Reads a `lineage.table/1` document.
    pub(crate) fn from_json(bytes: &[u8]) -> Option<Table> {
        serde_json::from_slice(bytes).ok()
    }
}

/// A table, or why it is not one, and the state of the file before and after it was read; no state
/// when that changed.
pub(super) struct Outcome {
    pub(super) table: Result<Table, ContentError>,
    pub(super) stat: Option<Stat>,
}

/// Reads a file as a table; `None` when its name does not say that it is one.
pub(super) fn read(
    path: &Path,
    options: &TableOptions,
    observer: &dyn Observer,
) -> Option<Outcome> {
    let (format, _compression) = TableFormat::of_path(path)?;
    let inspect = || std::fs::metadata(path).ok().as_ref().map(file::stat);
    let before = inspect();
    let table = table(path, format, options, observer);
    let stat = before.filter(|before| inspect().as_ref() == Some(before));
    Some(Outcome { table, stat })
}

fn table(
    path: &Path,
    format: TableFormat,
    options: &TableOptions,
    observer: &dyn Observer,
) -> Result<Table, ContentError> {
    let open = || -> Result<File, ContentError> {
        let file = files::open_to_read(path).map_err(FileError::io("read", path))?;
        observer.expect_bytes(file.metadata().map_or(0, |metadata| metadata.len()));
        Ok(file)
    };
    let text = |csv: CsvOptions| {
        let open = || Ok(Box::new(open()?) as Box<dyn io::Read + Send>);
        let digested = text::of_csv(&open, csv, options.columns.as_deref(), observer)?;
        let typing = if digested.inferred { Typing::Inferred } else { Typing::Declared };
        Ok(Table { format, typing, digest: digested.digest })
    };
    match format {
        TableFormat::Csv => text(CsvOptions::CSV),
        TableFormat::Tsv => text(CsvOptions::TSV),
        TableFormat::Parquet => {
            let digest = of_parquet(open()?, observer)?;
            Ok(Table { format, typing: Typing::File, digest })
        }
        _ => Err(ContentError::Changed),
    }
}

pub(super) fn digest(
    rows: u64,
    columns: Vec<(String, ColumnKind)>,
    leaves: Vec<ColumnLeaves>,
) -> TableDigest {
    let digests = columns.into_iter().zip(leaves);
    TableDigest::of(rows, digests.map(|((name, kind), leaves)| leaves.digest(name, kind)).collect())
}

pub(super) fn of_parquet(file: File, observer: &dyn Observer) -> Result<TableDigest, ContentError> {
    let table = ParquetTable::open(file)?;
    let columns = columns_of(table.schema())?;
    let read = |run| Ok(table.batches(run)?.map(|batch| Ok(batch?)));
    let leaves = parallel::by_runs(&columns, &table.runs(), read, observer)?;
    Ok(digest(table.rows(), columns, leaves))
}
