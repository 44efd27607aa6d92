//! The rows of a table file, for those who need the values and not only their digests.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::arrow::array::RecordBatch;
use crate::arrow::datatypes::SchemaRef;

use super::content::{ContentError, Table, TableOptions};
use super::readings::FileState;
use super::text::{self, Pieces};
use crate::context::Observer;
use crate::files::{self, FileError};
use crate::readers::arrow_ipc::ArrowReader;
use crate::readers::compressed::Decompressed;
use crate::readers::csv::{Classes, Parser, Piece, Scratch};
use crate::readers::ndjson::{NdjsonColumns, NdjsonReader};
use crate::readers::parquet::ParquetTable;
use crate::readers::{Compression, DeclaredColumn, TableFormat};
use crate::table::{ColumnKind, check_columns};

/// The batches of a table file, or what is wrong with it.
pub type Batches<'a> = Box<dyn Iterator<Item = Result<RecordBatch, ContentError>> + Send + 'a>;

/// The rows of a file that was fingerprinted as a table, read with the kinds that were found then. It
/// can be read from its beginning any number of times.
pub struct Rows<'a> {
    path: PathBuf,
    format: TableFormat,
    compression: Compression,
    columns: Vec<(String, ColumnKind)>,
    options: TableOptions,
    schema: SchemaRef,
    state: Option<FileState>,
    observer: &'a dyn Observer,
}

impl<'a> Rows<'a> {
    /// The rows of the file at `path`, which was read as `table` with `options`.
    pub fn open(
        path: &Path,
        table: &Table,
        options: &TableOptions,
        observer: &'a dyn Observer,
    ) -> Result<Rows<'a>, ContentError> {
        let compression = TableFormat::of_path(path).map_or(Compression::None, |found| found.1);
        let columns = table.digest.columns.iter();
        let mut rows = Rows {
            path: path.to_owned(),
            format: table.format,
            compression,
            columns: columns.map(|column| (column.name.clone(), column.kind.clone())).collect(),
            options: options.clone(),
            schema: Arc::new(crate::arrow::datatypes::Schema::empty()),
            state: state(path),
            observer,
        };
        rows.schema = rows.found_schema()?;
        check_columns(&rows.columns, &rows.schema).map_err(|_| ContentError::Changed)?;
        Ok(rows)
    }

    /// The columns. The unit of a moment in a text may be another from batch to batch.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// All rows.
    pub fn read(&self) -> Result<Batches<'_>, ContentError> {
        self.read_from(0)
    }

    /// The rows from `first` on, which must be the first of a block.
    pub(crate) fn read_from(&self, first: u64) -> Result<Batches<'_>, ContentError> {
        let mut skipped = 0;
        let batches: Batches<'_> = match self.format {
            TableFormat::Csv | TableFormat::Tsv => {
                let dialect = self.options.dialect(self.format);
                let pieces = Pieces::new(self.decompressed()?, dialect);
                Box::new(text::batches(pieces, self.parser()?))
            }
            TableFormat::Ndjson => {
                let reader = NdjsonReader::new(self.decompressed()?, Arc::clone(&self.schema))?;
                Box::new(reader.map(|batch| Ok(batch?)))
            }
            TableFormat::Arrow => Box::new(self.arrow()?.map(|batch| Ok(batch?))),
            TableFormat::Parquet => {
                let table = ParquetTable::open(self.file()?)?;
                skipped = first;
                Box::new(table.batches(first..table.rows())?.map(|batch| Ok(batch?)))
            }
        };
        let batches = batches.map(move |batch| {
            let batch = batch?;
            let rows = batch.num_rows() as u64;
            let before = rows.min(first - skipped);
            skipped += before;
            Ok(batch.slice(before as usize, (rows - before) as usize))
        });
        let end = std::iter::once(None);
        Ok(Box::new(batches.map(Some).chain(end).map_while(|batch| match batch {
            _ if self.observer.interrupted() => Some(Err(FileError::Interrupted.into())),
            None if state(&self.path) != self.state => Some(Err(ContentError::Changed)),
            batch => batch,
        })))
    }

    fn file(&self) -> Result<File, ContentError> {
        Ok(files::open_to_read(&self.path).map_err(FileError::io("read", &self.path))?)
    }

    fn decompressed(&self) -> Result<Box<dyn Read + Send>, ContentError> {
        Ok(Box::new(Decompressed::new(self.file()?, self.compression)?))
    }

    fn arrow(&self) -> Result<ArrowReader, ContentError> {
        Ok(match self.compression {
            Compression::None => ArrowReader::open(self.file()?)?,
            _ => ArrowReader::stream(self.decompressed()?)?,
        })
    }

    fn found_schema(&self) -> Result<SchemaRef, ContentError> {
        Ok(match self.format {
            TableFormat::Csv | TableFormat::Tsv => {
                let nothing =
                    Piece { bytes: Vec::new(), lines: 0, first_byte_offset: 0, first_line: 1 };
                self.parser()?.parse(&nothing, &mut Scratch::default())?.batch.schema()
            }
            TableFormat::Ndjson => {
                let mut columns = NdjsonColumns::new(Some(&declared(&self.columns)))?;
                columns.read(self.decompressed()?)?;
                columns.finish()
            }
            TableFormat::Arrow => self.arrow()?.schema(),
            TableFormat::Parquet => Arc::clone(ParquetTable::open(self.file()?)?.schema()),
        })
    }

    fn parser(&self) -> Result<Parser, ContentError> {
        let names: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let no_classes = vec![Classes::NONE; names.len()];
        let dialect = self.options.dialect(self.format);
        Ok(Parser::new(dialect, &names, Some(&declared(&self.columns)), &no_classes)?)
    }
}

impl std::fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The kinds that were found, as if they had been declared. A column without values has none.
pub(super) fn declared(columns: &[(String, ColumnKind)]) -> Vec<DeclaredColumn> {
    let column = |(name, kind): &(String, ColumnKind)| DeclaredColumn {
        name: name.clone(),
        kind: (*kind != ColumnKind::Null).then(|| kind.clone()),
    };
    columns.iter().map(column).collect()
}

fn state(path: &Path) -> Option<FileState> {
    FileState::of(&std::fs::metadata(path).ok()?)
}
