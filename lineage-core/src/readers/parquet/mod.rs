//! Parquet files: any run of rows as batches, so that several threads can share a file.
//!
//! A file may be hostile. What the decoder would believe is checked first: the footer when the table is
//! opened, and the pages of a row group when a run of its rows is asked for.

mod batches;
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

use crate::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::basic::{ConvertedType, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

pub(crate) use self::batches::ParquetBatches;
use self::batches::Part;
use self::pages::Worded;
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
    pub(crate) fn open(file: File) -> Result<Arc<ParquetTable>, ParquetError> {
        let size_bytes = file.metadata()?.len();
        let input = SharedFile { file: Arc::new(file), size_bytes };
        without_panic(|| ParquetTable::of(input)).map(Arc::new)
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
    pub(crate) fn batches(
        self: &Arc<Self>,
        run: Range<u64>,
    ) -> Result<ParquetBatches, ParquetError> {
        without_panic(|| {
            let batch_rows = self.batch_rows(&run)?;
            ParquetBatches::new(self, batch_rows, vec![Part { rows: run, worded: [].into() }])
        })
    }

    /// The same rows, in batches that end with a row group, too. Columns of strings or binaries may be
    /// arrays of a dictionary in some of them, when the file has them so.
    pub(crate) fn batches_of_words(
        self: &Arc<Self>,
        run: Range<u64>,
    ) -> Result<ParquetBatches, ParquetError> {
        without_panic(|| {
            let batch_rows = self.batch_rows(&run)?;
            ParquetBatches::new(self, batch_rows, self.parts(run)?)
        })
    }

    /// Rows of a batch: a power of two, of which the largest divides a block.
    fn batch_rows(&self, run: &Range<u64>) -> Result<u64, ParquetError> {
        let mut batch_rows = (BATCH_BYTES / self.row_bytes.max(1)).clamp(1, BATCH_ROWS_MAX);
        for row_group in self.row_groups(run) {
            batch_rows = batch_rows.min(self.check_row_group(row_group)?.batch_rows_max);
        }
        Ok(1 << batch_rows.ilog2())
    }

    /// A row group with dictionaries that are worth it is a part by itself, as are all between two.
    fn parts(&self, run: Range<u64>) -> Result<Vec<Part>, ParquetError> {
        let mut parts: Vec<Part> = Vec::new();
        for row_group in self.row_groups(&run) {
            let worded = self.check_row_group(row_group)?.worded;
            let worded = worded.iter().copied().filter(|column| self.can_be_worded(column.leaf));
            let worded: Arc<[Worded]> = worded.collect();
            let starts = &self.row_group_starts;
            let rows = starts[row_group].max(run.start)..starts[row_group + 1].min(run.end);
            match parts.last_mut() {
                Some(last) if last.worded.is_empty() && worded.is_empty() => {
                    last.rows.end = rows.end;
                }
                _ => parts.push(Part { rows, worded }),
            }
        }
        Ok(parts)
    }

    /// The column at the top of the schema that a leaf belongs to.
    fn root(&self, leaf: usize) -> usize {
        self.metadata.parquet_schema().get_column_root_idx(leaf)
    }

    /// Whether the decoder would check the strings of a dictionary as it checks those of views.
    fn can_be_worded(&self, leaf: usize) -> bool {
        let column = self.metadata.parquet_schema().column(leaf);
        let is_text = column.converted_type() == ConvertedType::UTF8;
        match self.schema().field(self.root(leaf)).data_type() {
            DataType::Utf8View => is_text,
            DataType::BinaryView => !is_text,
            _ => false,
        }
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

/// The columns as arrays of a dictionary, as the decoder makes them without looking at each row.
fn with_words(schema: &Schema, columns: impl Iterator<Item = usize>) -> Schema {
    let mut fields: Vec<FieldRef> = schema.fields().iter().map(Arc::clone).collect();
    for column in columns {
        let field = &fields[column];
        let values = match field.data_type() {
            DataType::Utf8View => DataType::Utf8,
            _ => DataType::Binary,
        };
        let data_type = DataType::Dictionary(Box::new(DataType::Int32), Box::new(values));
        fields[column] = Arc::new(Field::clone(field).with_data_type(data_type));
    }
    Schema::new_with_metadata(fields, schema.metadata().clone())
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
        // The decoder reads the header of a page this way, and then the page by itself.
        Ok(io::BufReader::with_capacity(512, at))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        // A length that the file cannot have is refused before memory is asked for.
        let end = start.checked_add(length as u64);
        if end.is_none_or(|end| end > self.size_bytes) {
            return Err(ParquetError::EOF("the file ends within a page".to_owned()));
        }
        Ok(files::read_exact_at(&self.file, start, length)?.into())
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
