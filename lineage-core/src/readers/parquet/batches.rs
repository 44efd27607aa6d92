//! The batches of a run of rows.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crate::arrow::array::{Array, AsArray as _, RecordBatch, TimestampSecondArray};
use crate::arrow::datatypes::{TimestampNanosecondType, TimestampSecondType};
use crate::arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReader};
use parquet::errors::ParquetError;

use super::pages::Worded;
use super::{ParquetTable, options, with_words, without_panic};

/// Rows that are read in one way.
pub(super) struct Part {
    pub(super) rows: Range<u64>,
    /// Columns that are read as arrays of a dictionary.
    pub(super) worded: Arc<[Worded]>,
}

/// Batches of a run of rows.
pub(crate) struct ParquetBatches {
    table: Arc<ParquetTable>,
    batch_rows: u64,
    /// Those that are not read yet.
    parts: VecDeque<Part>,
    open: Option<Open>,
    /// After an error, and above all after a panic, the readers are not asked again.
    has_failed: bool,
}

/// A part that is being read.
struct Open {
    /// Its rows are those that are left.
    part: Part,
    main: ParquetRecordBatchReader,
    seconds: Option<(ParquetRecordBatchReader, Vec<usize>)>,
}

impl Iterator for ParquetBatches {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed {
            return None;
        }
        let batch = without_panic(|| self.next_batch());
        self.has_failed = batch.is_err();
        batch.transpose()
    }
}

impl ParquetBatches {
    /// Opens the first part, if there is one.
    pub(super) fn new(
        table: &Arc<ParquetTable>,
        batch_rows: u64,
        parts: Vec<Part>,
    ) -> Result<ParquetBatches, ParquetError> {
        let mut batches = ParquetBatches {
            table: Arc::clone(table),
            batch_rows,
            parts: parts.into(),
            open: None,
            has_failed: false,
        };
        batches.open_next()?;
        Ok(batches)
    }

    fn open_next(&mut self) -> Result<(), ParquetError> {
        let next = self.parts.pop_front();
        self.open = next.map(|part| Open::new(&self.table, part, self.batch_rows)).transpose()?;
        Ok(())
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        while let Some(open) = &mut self.open {
            match without_panic(|| open.next(&self.table)) {
                Ok(Some(batch)) => return Ok(Some(batch)),
                Ok(None) => self.open_next()?,
                Err(error) if open.part.worded.is_empty() => return Err(error),
                // The usual way says what is wrong, or that nothing is.
                Err(_) => {
                    let part = Part { rows: open.part.rows.clone(), worded: [].into() };
                    self.open = Some(Open::new(&self.table, part, self.batch_rows)?);
                }
            }
        }
        Ok(None)
    }
}

impl Open {
    fn new(table: &ParquetTable, part: Part, batch_rows: u64) -> Result<Open, ParquetError> {
        let worded = part.worded.iter().map(|column| table.root(column.leaf));
        let metadata = match part.worded.is_empty() {
            true => table.metadata.clone(),
            false => ArrowReaderMetadata::try_new(
                Arc::clone(table.metadata.metadata()),
                options(Arc::new(with_words(table.schema(), worded))),
            )?,
        };
        let main = table.reader(&metadata, &part.rows, batch_rows, None)?;
        let seconds = match &table.int96 {
            None => None,
            Some((metadata, columns)) => {
                let mask =
                    ProjectionMask::roots(metadata.parquet_schema(), columns.iter().copied());
                let reader = table.reader(metadata, &part.rows, batch_rows, Some(mask))?;
                Some((reader, columns.clone()))
            }
        };
        Ok(Open { part, main, seconds })
    }

    fn next(&mut self, table: &ParquetTable) -> Result<Option<RecordBatch>, ArrowError> {
        let Some(batch) = self.main.next().transpose()? else {
            return match self.part.rows.is_empty() {
                true => Ok(None),
                false => Err(problem("fewer rows than the footer says")),
            };
        };
        self.check_words(table, &batch)?;
        self.check_seconds(&batch)?;
        let rows = &mut self.part.rows;
        rows.start = rows.end.min(rows.start.saturating_add(batch.num_rows() as u64));
        Ok(Some(batch))
    }

    /// Whether dictionaries are those of the file, and whole: a decoder of arrays of a dictionary takes
    /// one that ends too early, and makes its own of other values.
    fn check_words(&self, table: &ParquetTable, batch: &RecordBatch) -> Result<(), ArrowError> {
        for Worded { leaf, words } in self.part.worded.iter() {
            let column = batch.column(table.root(*leaf));
            let found = column.as_any_dictionary_opt().map(|array| array.values().len() as u64);
            if found != Some(*words) && column.null_count() < column.len() {
                return Err(problem("a dictionary is not as long as it says"));
            }
        }
        Ok(())
    }

    /// Refuses INT96 timestamps that overflowed when they became nanoseconds.
    fn check_seconds(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let Some((reader, columns)) = &mut self.seconds else { return Ok(()) };
        let seconds = reader.next().transpose()?;
        for (position, column) in columns.iter().enumerate() {
            let name = batch.schema_ref().field(*column).name();
            let overflow = || {
                problem(&format!(
                    "column \"{name}\" has an INT96 timestamp that nanoseconds cannot hold"
                ))
            };
            let expected = seconds.as_ref().ok_or_else(overflow)?.column(position);
            let nanoseconds = batch.column(*column);
            let floor = floor_seconds(nanoseconds.as_ref())?;
            if expected.as_primitive_opt::<TimestampSecondType>() != Some(&floor) {
                return Err(overflow());
            }
        }
        Ok(())
    }
}

fn problem(text: &str) -> ArrowError {
    ArrowError::ParquetError(text.to_owned())
}

/// Nanoseconds as whole seconds, rounded down.
fn floor_seconds(array: &dyn Array) -> Result<TimestampSecondArray, ArrowError> {
    let nanoseconds = array
        .as_primitive_opt::<TimestampNanosecondType>()
        .ok_or_else(|| ArrowError::CastError("INT96 is not read as nanoseconds".to_owned()))?;
    Ok(nanoseconds.unary(|value| value.div_euclid(1_000_000_000)))
}
