//! Parquet files: any run of rows as batches, so that several threads can share a file.
//!
//! A file may be hostile. What the decoder would believe is checked first: the footer when the table is
//! opened, and the pages of a row group when a run of its rows is asked for.

mod delta;
mod footer;
mod header;
mod pages;
mod thrift;

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, OnceLock};

use crate::arrow::array::{Array, AsArray as _, RecordBatch, TimestampSecondArray};
use crate::arrow::datatypes::{
    DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit, TimestampNanosecondType,
    TimestampSecondType,
};
use crate::arrow::error::ArrowError;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::basic::Type as PhysicalType;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::files;

/// A Parquet file that can be read from several threads.
pub(crate) struct ParquetTable {
    input: SharedFile,
    metadata: ArrowReaderMetadata,
    /// The same with INT96 timestamps in whole seconds, to find those that nanoseconds cannot hold.
    int96: Option<(ArrowReaderMetadata, Vec<usize>)>,
    /// The first row of each row group, and the number of all rows.
    row_group_starts: Vec<u64>,
    row_bytes: u64,
    /// Whether values that rows share are copied, rather than referred to by views.
    copies: bool,
    /// What was found in the pages of each row group, once they were looked at.
    checked: Vec<OnceLock<Result<pages::Sound, String>>>,
}

/// Batches are made of so many bytes, about, and of at most a block of rows.
const BATCH_BYTES: u64 = 2 * 1024 * 1024;
const BATCH_ROWS_MAX: u64 = crate::table::BLOCK_ROWS;

/// Page indexes are not needed.
fn options(schema: SchemaRef) -> ArrowReaderOptions {
    ArrowReaderOptions::new().with_schema(schema)
}

impl ParquetTable {
    /// Reads the footer.
    pub(crate) fn open(file: File) -> Result<ParquetTable, ParquetError> {
        let size_bytes = file.metadata()?.len();
        let input = SharedFile { file: Arc::new(file), size_bytes };
        without_panic(|| ParquetTable::of(input))
    }

    fn of(input: SharedFile) -> Result<ParquetTable, ParquetError> {
        let footer = Arc::new(footer::read(&input)?);
        let plain = ArrowReaderMetadata::try_new(footer, ArrowReaderOptions::new())?;
        let with = |schema: Schema| {
            ArrowReaderMetadata::try_new(Arc::clone(plain.metadata()), options(Arc::new(schema)))
        };
        // Strings as views are quicker to decode; a schema that does not allow it is read as it is.
        let viewed = with(with_views(plain.schema()));
        let copies = viewed.is_err();
        let metadata = viewed.unwrap_or_else(|_| plain.clone());
        let int96 = int96_columns(&metadata)?;
        let int96 = match int96.is_empty() {
            true => None,
            false => Some((with(with_seconds(metadata.schema(), &int96))?, int96)),
        };
        let mut row_group_starts = vec![0];
        let (mut rows, mut table_bytes) = (0u64, 0u64);
        for row_group in metadata.metadata().row_groups() {
            let invalid = || ParquetError::General("the footer's row counts are not valid".into());
            let count = u64::try_from(row_group.num_rows()).map_err(|_| invalid())?;
            rows = rows.checked_add(count).ok_or_else(invalid)?;
            row_group_starts.push(rows);
            let bytes = u64::try_from(row_group.total_byte_size()).unwrap_or(0);
            table_bytes = table_bytes.saturating_add(bytes);
        }
        let row_bytes = table_bytes / rows.max(1);
        let checked = metadata.metadata().row_groups().iter().map(|_| OnceLock::new()).collect();
        let table =
            ParquetTable { input, metadata, int96, row_group_starts, row_bytes, copies, checked };
        // No run has rows of these, so nobody else would look whether their pages have some.
        for (index, rows) in table.row_group_starts.windows(2).enumerate() {
            if rows[0] == rows[1] {
                table.check_row_group(index)?;
            }
        }
        Ok(table)
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    pub(crate) fn rows(&self) -> u64 {
        self.row_group_starts.last().copied().unwrap_or(0)
    }

    /// Runs of whole blocks that together are the table, none so long that threads wait for one
    /// another; they end with a row group where they can, so that no page is decoded twice.
    ///
    /// They are not listed beforehand: a footer may declare any number of rows.
    pub(crate) fn runs(&self) -> impl Iterator<Item = Range<u64>> {
        const BLOCKS_MAX: u64 = 4;
        let block = crate::table::BLOCK_ROWS;
        let mut start = 0u64;
        std::iter::from_fn(move || {
            let longest = start.saturating_add(BLOCKS_MAX * block).min(self.rows());
            let whole = |end: &&u64| **end > start && **end <= longest && end.is_multiple_of(block);
            let end = self.row_group_starts.iter().rev().find(whole).copied().unwrap_or(longest);
            let run = start..end;
            start = end;
            (!run.is_empty()).then_some(run)
        })
    }

    /// The rows of a run in order, in batches that never cross a block.
    pub(crate) fn batches(&self, run: Range<u64>) -> Result<ParquetBatches, ParquetError> {
        without_panic(|| self.checked_batches(run))
    }

    fn checked_batches(&self, run: Range<u64>) -> Result<ParquetBatches, ParquetError> {
        let mut batch_rows = (BATCH_BYTES / self.row_bytes.max(1)).clamp(1, BATCH_ROWS_MAX);
        for row_group in self.row_groups(&run) {
            batch_rows = batch_rows.min(self.check_row_group(row_group)?.batch_rows_max);
        }
        // The largest power of two divides a block.
        let batch_rows = 1 << batch_rows.ilog2();
        let main = self.reader(&self.metadata, &run, batch_rows, None)?;
        let seconds = match &self.int96 {
            None => None,
            Some((metadata, columns)) => {
                let mask =
                    ProjectionMask::roots(metadata.parquet_schema(), columns.iter().copied());
                Some((self.reader(metadata, &run, batch_rows, Some(mask))?, columns.clone()))
            }
        };
        Ok(ParquetBatches { main, seconds, rows_left: run.end - run.start, has_failed: false })
    }

    /// The row groups that a run has rows of.
    fn row_groups(&self, run: &Range<u64>) -> Range<usize> {
        let starts = &self.row_group_starts;
        let first = starts.partition_point(|start| *start <= run.start).saturating_sub(1);
        let last = starts.partition_point(|start| *start < run.end).min(starts.len() - 1);
        first..last
    }

    /// Looks at the pages of a row group, once for all runs.
    fn check_row_group(&self, index: usize) -> Result<pages::Sound, ParquetError> {
        let checked = self.checked[index].get_or_init(|| {
            let row_group = self.metadata.metadata().row_group(index);
            pages::check(&self.input, row_group, self.copies).map_err(|error| match error {
                ParquetError::General(text) => format!("row group {index}: {text}"),
                other => format!("row group {index}: {other}"),
            })
        });
        checked.clone().map_err(ParquetError::General)
    }

    fn reader(
        &self,
        metadata: &ArrowReaderMetadata,
        run: &Range<u64>,
        batch_rows: u64,
        mask: Option<ProjectionMask>,
    ) -> Result<ParquetRecordBatchReader, ParquetError> {
        let starts = &self.row_group_starts;
        let Range { start: first, end: last } = self.row_groups(run);
        let skipped = (run.start - starts[first]) as usize;
        let after = (starts[last] - run.end) as usize;
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
            self.input.clone(),
            metadata.clone(),
        )
        .with_row_groups((first..last).collect())
        .with_batch_size(batch_rows as usize);
        if skipped > 0 || after > 0 {
            builder = builder.with_row_selection(RowSelection::from(vec![
                RowSelector::skip(skipped),
                RowSelector::select((run.end - run.start) as usize),
            ]));
        }
        if let Some(mask) = mask {
            builder = builder.with_projection(mask);
        }
        builder.build()
    }
}

/// Batches of a run of rows.
pub(crate) struct ParquetBatches {
    main: ParquetRecordBatchReader,
    seconds: Option<(ParquetRecordBatchReader, Vec<usize>)>,
    rows_left: u64,
    /// After an error, and above all after a panic, the readers are not asked again.
    has_failed: bool,
}

impl Iterator for ParquetBatches {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed {
            return None;
        }
        let batch = without_panic(|| {
            let batch = self.main.next().transpose()?;
            batch.map(|batch| self.checked(batch)).transpose()
        });
        self.has_failed = batch.is_err();
        match batch.transpose() {
            Some(batch) => Some(batch),
            None if self.rows_left == 0 => None,
            None => {
                self.rows_left = 0;
                let problem = "fewer rows than the footer says".to_owned();
                Some(Err(ArrowError::ParquetError(problem)))
            }
        }
    }
}

impl ParquetBatches {
    /// Refuses INT96 timestamps that overflowed when they became nanoseconds.
    fn checked(&mut self, batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
        self.rows_left = self.rows_left.saturating_sub(batch.num_rows() as u64);
        let Some((reader, columns)) = &mut self.seconds else { return Ok(batch) };
        let seconds = reader.next().transpose()?;
        for (position, column) in columns.iter().enumerate() {
            let name = batch.schema_ref().field(*column).name();
            let overflow = || {
                let problem = format!(
                    "column \"{name}\" has an INT96 timestamp that nanoseconds cannot hold"
                );
                ArrowError::ParquetError(problem)
            };
            let expected = seconds.as_ref().ok_or_else(overflow)?.column(position);
            let nanoseconds = batch.column(*column);
            let floor = floor_seconds(nanoseconds.as_ref())?;
            if expected.as_primitive_opt::<TimestampSecondType>() != Some(&floor) {
                return Err(overflow());
            }
        }
        Ok(batch)
    }
}

/// The decoder panics at some broken pages, at places that cannot all be foreseen. Where a panic unwinds,
/// it is an error of the file.
fn without_panic<T, E: From<ParquetError>>(decode: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let problem = || ParquetError::General("it is damaged: the decoder gave up".to_owned());
    let outer = GUARDED.replace(true);
    let decoded = panic::catch_unwind(AssertUnwindSafe(decode));
    GUARDED.set(outer);
    decoded.unwrap_or_else(|_| Err(problem().into()))
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic on this thread will become an error about a damaged file, so that a program's
/// panic hook need not print it.
pub fn panics_are_caught() -> bool {
    GUARDED.get()
}

/// Nanoseconds as whole seconds, rounded down.
fn floor_seconds(array: &dyn Array) -> Result<TimestampSecondArray, ArrowError> {
    let nanoseconds = array
        .as_primitive_opt::<TimestampNanosecondType>()
        .ok_or_else(|| ArrowError::CastError("INT96 is not read as nanoseconds".to_owned()))?;
    Ok(nanoseconds.unary(|value| value.div_euclid(1_000_000_000)))
}

/// The columns at the top of the schema that are INT96; one deeper inside is refused.
fn int96_columns(metadata: &ArrowReaderMetadata) -> Result<Vec<usize>, ParquetError> {
    let schema = metadata.parquet_schema();
    let mut found = Vec::new();
    for (leaf, column) in schema.columns().iter().enumerate() {
        if column.physical_type() != PhysicalType::INT96 {
            continue;
        }
        if column.path().parts().len() > 1 {
            let name = column.path().string();
            return Err(ParquetError::General(format!(
                "not supported: INT96 timestamps inside a nested column ({name})"
            )));
        }
        found.push(schema.get_column_root_idx(leaf));
    }
    Ok(found)
}

fn with_views(schema: &Schema) -> Schema {
    let fields = schema.fields().iter().map(viewed).collect::<Fields>();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

fn viewed(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        // The decoder makes dictionaries of few types; values count, however they were encoded.
        DataType::Dictionary(_, values) => {
            let values = Field::new(field.name(), (**values).clone(), field.is_nullable());
            return viewed(&Arc::new(values));
        }
        DataType::List(child) => DataType::List(viewed(child)),
        DataType::LargeList(child) => DataType::LargeList(viewed(child)),
        DataType::ListView(child) => DataType::ListView(viewed(child)),
        DataType::LargeListView(child) => DataType::LargeListView(viewed(child)),
        DataType::FixedSizeList(child, size) => DataType::FixedSizeList(viewed(child), *size),
        DataType::Map(child, sorted) => DataType::Map(viewed(child), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(viewed).collect()),
        _ => return Arc::clone(field),
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}

fn with_seconds(schema: &Schema, columns: &[usize]) -> Schema {
    let seconds = |(index, field): (usize, &FieldRef)| match columns.contains(&index) {
        true => {
            let data_type = DataType::Timestamp(TimeUnit::Second, None);
            Arc::new(Field::clone(field).with_data_type(data_type))
        }
        false => Arc::clone(field),
    };
    let fields = schema.fields().iter().enumerate().map(seconds).collect::<Fields>();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

/// A file that is read by position, so that threads do not move one another's cursor.
#[derive(Clone)]
struct SharedFile {
    file: Arc<File>,
    size_bytes: u64,
}

impl Length for SharedFile {
    fn len(&self) -> u64 {
        self.size_bytes
    }
}

impl ChunkReader for SharedFile {
    type T = io::BufReader<At>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let at = At { file: Arc::clone(&self.file), position: start };
        Ok(io::BufReader::with_capacity(16 * 1024, at))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        // A length that the file cannot have is refused before memory is asked for.
        let end = start.checked_add(length as u64);
        if end.is_none_or(|end| end > self.size_bytes) {
            return Err(ParquetError::EOF("the file ends within a page".to_owned()));
        }
        let mut bytes = vec![0; length];
        let mut at = At { file: Arc::clone(&self.file), position: start };
        at.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// A cursor of its own on a shared file.
struct At {
    file: Arc<File>,
    position: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = files::read_at(&self.file, buffer, self.position)?;
        // The footer follows all pages. A decoder that skips what a broken header announces takes the
        // end of the file for success, and would go on for as long as the header says.
        if count == 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.position += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
