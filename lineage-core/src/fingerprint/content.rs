//! The content of a table file: its digest, whatever the format.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::arrow::array::RecordBatch;
use crate::arrow::datatypes::Schema;
use crate::arrow::error::ArrowError;
use parquet::errors::ParquetError;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::along::Along;
use super::parallel::{Decoded, Hashed, Job};
use super::reading::{self, Stat};
use super::readings::{FileState, Readings};
use super::{parallel, text};
use crate::context::Observer;
use crate::files::{self, FileError, reason};
use crate::profile::{NamedProfile, PROFILE_VERSION, ProfileError, TableProfile};
use crate::readers::arrow_ipc::ArrowReader;
use crate::readers::compressed::Decompressed;
use crate::readers::csv::{CsvError, CsvOptions};
use crate::readers::ndjson::{NdjsonColumns, NdjsonReader};
use crate::readers::parquet::ParquetTable;
use crate::readers::partitioned::PartitionError;
use crate::readers::{Compression, DeclaredColumn, ReadError, TableFormat};
use crate::table::{ColumnKind, TableDigest, TableError, columns_of};

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
    /// Not Arrow IPC, NDJSON or what the name's compression announces; or not as declared.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The files of a folder are not one table.
    #[error(transparent)]
    Partitions(#[from] PartitionError),
    /// A file of a folder that is one table.
    #[error("{file}: {problem}")]
    InFile {
        /// Its path within the folder.
        file: String,
        /// What is wrong with it.
        problem: Box<ContentError>,
    },
    /// A column could not be profiled.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The file was another when it was read for the second time.
    #[error("the file changed while it was read")]
    Changed,
    /// The bytes could not be read or decompressed.
    #[error("{}", reason(.0))]
    Io(#[from] io::Error),
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A table without its format.
pub(super) struct Digested {
    typing: Typing,
    digest: TableDigest,
    profile: Option<TableProfile>,
}

impl Digested {
    pub(super) fn table(self, format: TableFormat) -> Table {
        let Digested { typing, digest, profile } = self;
        Table { format, typing, digest, profile }
    }

    pub(super) fn of(
        columns: Vec<(String, ColumnKind)>,
        hashed: Hashed,
        typing: Typing,
    ) -> Digested {
        let profile = (hashed.profiles.len() == columns.len() && !columns.is_empty()).then(|| {
            let named = columns.iter().zip(hashed.profiles).map(|((name, kind), profile)| {
                NamedProfile { name: name.clone(), kind: kind.clone(), profile }
            });
            TableProfile::new(named.collect())
        });
        let leaves = columns.into_iter().zip(hashed.leaves);
        let digests = leaves.map(|((name, kind), leaves)| leaves.digest(name, kind)).collect();
        Digested { typing, digest: TableDigest::of(hashed.rows, digests), profile }
    }
}

/// To be raised when a reader finds other values or kinds in the same bytes, so that what older ones
/// found is not trusted.
const READERS_VERSION: u32 = 1;

/// How to read a file as a table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TableOptions {
    /// The columns that a text file is declared to have.
    pub columns: Option<Vec<DeclaredColumn>>,
    /// Whether to describe the values of each column.
    pub profile: bool,
    /// What separates the fields of a CSV, if not what its name announces: an ASCII character.
    pub delimiter: Option<u8>,
    /// Whether the first record of a CSV holds values.
    pub no_header: bool,
    /// Whether a folder is a table.
    pub partitioning: Partitioning,
}

/// Whether a folder of tables is one table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Partitioning {
    /// It is a folder.
    #[default]
    None,
    /// It is the table of its files' rows.
    Plain,
    /// The same, with the folders named `key=value` as columns.
    Hive,
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
    /// What the values are like, when it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<TableProfile>,
}

impl TableOptions {
    /// Who says what kinds the columns of a text have.
    pub(super) fn typing(&self) -> Typing {
        let typed = |columns: &Vec<DeclaredColumn>| columns.iter().all(|c| c.kind.is_some());
        if self.columns.as_ref().is_some_and(typed) { Typing::Declared } else { Typing::Inferred }
    }

    /// What was not used for a file of this format (none: it is no table), in words, since it is for
    /// texts alone.
    pub fn unused_for(&self, format: Option<TableFormat>) -> Option<String> {
        let is_csv = matches!(format, Some(TableFormat::Csv | TableFormat::Tsv));
        let is_text = is_csv || format == Some(TableFormat::Ndjson);
        let unused = [
            (self.columns.is_some() && !is_text, "the schema (for CSV, TSV and NDJSON)"),
            (self.delimiter.is_some() && !is_csv, "the delimiter (for CSV and TSV)"),
            (self.no_header && !is_csv, "that there is no header (for CSV and TSV)"),
        ];
        let unused = unused.into_iter().filter_map(|(unused, name)| unused.then_some(name));
        let unused: Vec<&str> = unused.collect();
        let read = format.map_or("is not read as a table", |format| match format {
            TableFormat::Ndjson => "is NDJSON",
            TableFormat::Parquet => "is Parquet",
            _ => "is Arrow IPC",
        });
        (!unused.is_empty()).then(|| format!("it {read}; not used: {}", unused.join(", ")))
    }

    pub(super) fn dialect(&self, format: TableFormat) -> CsvOptions {
        let usual = match format {
            TableFormat::Tsv => CsvOptions::TSV,
            _ => CsvOptions::CSV,
        };
        let delimiter = self.delimiter.unwrap_or(usual.delimiter);
        CsvOptions { delimiter, header: !self.no_header, ..usual }
    }

    /// Everything besides the bytes on which a table's fingerprint depends, as text.
    pub(super) fn way(&self, format: TableFormat) -> String {
        let columns = self.columns.iter().flatten();
        let columns: Vec<_> = columns.map(|c| json!([c.name, c.kind])).collect();
        let declared = self.columns.is_some().then_some(columns);
        let dialect = (self.delimiter, self.no_header);
        json!([READERS_VERSION, PROFILE_VERSION, format, self.profile, declared, dialect])
            .to_string()
    }
}

impl Table {
    /// Whether a CSV of one column seems to have another delimiter than it was read with, in words.
    pub fn doubtful_delimiter(&self, options: &TableOptions) -> Option<String> {
        let is_csv = matches!(self.format, TableFormat::Csv | TableFormat::Tsv);
        let [column] = &self.digest.columns[..] else { return None };
        let found = column.name.chars().find(|found| matches!(found, ';' | '\t' | '|' | ','));
        let shown = match found.filter(|_| is_csv && options.delimiter.is_none())? {
            '\t' => "\\t".to_owned(),
            found => found.to_string(),
        };
        let name: String = column.name.chars().take(60).collect();
        Some(format!(
            "one column, named {name:?}: is it separated by {shown}? give --delimiter '{shown}'"
        ))
    }

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
    readings: Option<&dyn Readings>,
    along: &Along<'_>,
) -> Option<Outcome> {
    let (format, compression) = TableFormat::of_path(path)?;
    let metadata = std::fs::metadata(path).ok();
    let known = readings.zip(metadata.as_ref()).and_then(|(readings, metadata)| {
        let sha256 = readings.digest(&FileState::of(metadata)?)?;
        readings.table(&sha256, &options.way(format))
    });
    let before = metadata.as_ref().map(reading::stat);
    if let Some(table) = known {
        return Some(Outcome { table: Ok(table), stat: before });
    }
    let inspect = || std::fs::metadata(path).ok().as_ref().map(reading::stat);
    let table = table(path, (format, compression), options, along);
    let stat = before.filter(|before| inspect().as_ref() == Some(before));
    Some(Outcome { table, stat })
}

fn table(
    path: &Path,
    (format, compression): (TableFormat, Compression),
    options: &TableOptions,
    along: &Along<'_>,
) -> Result<Table, ContentError> {
    let open = || -> Result<File, ContentError> {
        Ok(files::open_to_read(path).map_err(FileError::io("read", path))?)
    };
    let decompressed = || -> Result<Box<dyn io::Read + Send>, ContentError> {
        Ok(Box::new(Decompressed::new(Watched::new(open()?, along), compression)?))
    };
    let digested = match format {
        TableFormat::Csv | TableFormat::Tsv => {
            text::of_csv(&decompressed, options.dialect(format), options, along)
        }
        TableFormat::Ndjson => of_ndjson(&decompressed, options, along),
        TableFormat::Parquet => of_parquet(open()?, options, along),
        TableFormat::Arrow => {
            let reader = match compression {
                Compression::None => ArrowReader::open(open()?)?,
                _ => ArrowReader::stream(Decompressed::new(open()?, compression)?)?,
            };
            let schema = reader.schema();
            of_batches(&schema, reader, Typing::File, options, along)
        }
    }?;
    Ok(digested.table(format))
}

/// A file whose reading is watched.
pub(super) struct Watched<'a> {
    file: File,
    observer: &'a dyn Observer,
}

impl Watched<'_> {
    pub(super) fn new(file: File, observer: &dyn Observer) -> Watched<'_> {
        observer.expect_bytes(file.metadata().map_or(0, |metadata| metadata.len()));
        Watched { file, observer }
    }
}

impl io::Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.observer.read_bytes(count as u64);
        Ok(count)
    }
}

fn of_ndjson(
    open: &text::Open<'_>,
    options: &TableOptions,
    observer: &dyn Observer,
) -> Result<Digested, ContentError> {
    let mut columns = NdjsonColumns::new(options.columns.as_deref())?;
    columns.read(open()?)?;
    let rows = columns.rows();
    let schema = columns.finish();
    let reader = NdjsonReader::new(open()?, Arc::clone(&schema))?;
    let found = of_batches(&schema, reader, options.typing(), options, observer)?;
    if found.digest.rows != rows {
        return Err(ContentError::Changed);
    }
    Ok(found)
}

fn of_batches(
    schema: &Schema,
    mut batches: impl Iterator<Item = Result<RecordBatch, ReadError>> + Send,
    typing: Typing,
    options: &TableOptions,
    observer: &dyn Observer,
) -> Result<Digested, ContentError> {
    let columns = columns_of(schema)?;
    let job = Job { columns: &columns, profile: options.profile, observer };
    let next = || Ok(batches.next().transpose()?);
    let decode = |batch| Decoded::whole(&columns, &batch);
    let hashed = parallel::in_order(&job, next, decode)?;
    Ok(Digested::of(columns, hashed, typing))
}

fn of_parquet(
    file: File,
    options: &TableOptions,
    along: &Along<'_>,
) -> Result<Digested, ContentError> {
    let size_bytes = file.metadata().map_or(0, |metadata| metadata.len());
    let table = ParquetTable::open(file)?;
    let columns = columns_of(table.schema())?;
    // Columns are read from many places; rows tell how far that is.
    if table.rows() > 0 {
        along.expect_bytes(size_bytes);
    }
    let rows_read = AtomicU64::new(0);
    let bytes_of =
        |rows: u64| u128::from(size_bytes) * u128::from(rows) / u128::from(table.rows().max(1));
    let note = |rows: u64| {
        let before = rows_read.fetch_add(rows, Ordering::Relaxed);
        along.read_bytes((bytes_of(before + rows) - bytes_of(before)) as u64);
    };
    let read = |run| {
        let batches = table.batches_of_words(run)?;
        Ok(batches.map(|batch| {
            let batch = batch?;
            note(batch.num_rows() as u64);
            Ok(batch)
        }))
    };
    let job = Job { columns: &columns, profile: options.profile, observer: along };
    let hashed = parallel::by_runs(&job, along, table.rows(), table.runs(), read)?;
    Ok(Digested::of(columns, hashed, Typing::File))
}
