//! NDJSON: one JSON object a line, read twice. The first pass finds the columns and their kinds over
//! the whole file, the second one makes record batches of them.
//!
//! Numbers are typed by their text and never pass through a double on the way to an integer, a decimal
//! or a string.

mod build;
mod infer;
mod line;
mod value;

use std::io::Read;
use std::sync::Arc;

use crate::arrow::array::RecordBatch;
use crate::arrow::datatypes::{Schema, SchemaRef};

use self::build::Columns;
use self::infer::{Fields, Place};
use self::line::Lines;
use super::{BATCH_ROWS_MAX, DeclaredColumn, ReadError};

/// A batch is handed on when it was made of this many bytes of text,
const BATCH_TEXT_BYTES: usize = 4 << 20;

/// or holds this many values, those of missing keys counted.
const BATCH_VALUES: usize = 1 << 20;

/// One line can make more values than it has bytes: keys that other lines have are null in all its
/// objects.
const LINE_VALUES_MAX: usize = 1 << 23;

/// More columns than this, those inside of others counted, are no table.
const FIELDS_MAX: usize = 100_000;

/// The first pass: which columns there are, and of which kinds.
pub struct NdjsonColumns {
    fields: Fields,
    fields_left: usize,
    rows: u64,
}

impl NdjsonColumns {
    /// With these columns in this order, or whatever keys are found when none are declared. A key
    /// that is not declared is an error.
    pub fn new(declared: Option<&[DeclaredColumn]>) -> Result<NdjsonColumns, ReadError> {
        let fields = match declared {
            Some(declared) => Fields::declared(declared)?,
            None => Fields::default(),
        };
        Ok(NdjsonColumns { fields, fields_left: FIELDS_MAX, rows: 0 })
    }

    /// Reads the whole of a file. Several files one after another are one table.
    pub fn read(&mut self, source: impl Read) -> Result<(), ReadError> {
        let mut lines = Lines::new(source);
        while let Some((text, line)) = lines.next()? {
            let mut place = Place { line, depth: 0, fields_left: &mut self.fields_left };
            self.fields.take(text, &mut place).map_err(|problem| problem.on(line))?;
            self.rows += 1;
        }
        Ok(())
    }

    /// How many rows were read.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The columns in the order of their first appearance, with types that hold all their values.
    pub fn finish(self) -> SchemaRef {
        Arc::new(Schema::new(self.fields.finish()))
    }
}

/// The second pass: the rows of a file as record batches.
pub struct NdjsonReader<R: Read> {
    lines: Lines<R>,
    columns: Columns,
    schema: SchemaRef,
    ended: bool,
}

impl<R: Read> NdjsonReader<R> {
    /// Reads `source` with the schema that [`NdjsonColumns`] found for it.
    pub fn new(source: R, schema: SchemaRef) -> Result<NdjsonReader<R>, ReadError> {
        let columns = Columns::new(schema.fields())?;
        Ok(NdjsonReader { lines: Lines::new(source), columns, schema, ended: false })
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, ReadError> {
        let (mut rows, mut text_bytes, mut values) = (0, 0, 0);
        while rows < BATCH_ROWS_MAX && text_bytes < BATCH_TEXT_BYTES && values < BATCH_VALUES {
            let Some((text, line)) = self.lines.next()? else { break };
            let mut left = LINE_VALUES_MAX;
            self.columns.append(text, 0, &mut left).map_err(|problem| problem.on(line))?;
            rows += 1;
            text_bytes += text.len();
            values += LINE_VALUES_MAX - left;
        }
        if rows == 0 {
            return Ok(None);
        }
        self.columns.finish(Arc::clone(&self.schema), rows).map(Some)
    }
}

impl<R: Read> Iterator for NdjsonReader<R> {
    type Item = Result<RecordBatch, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let batch = self.next_batch().transpose();
        self.ended = !matches!(batch, Some(Ok(_)));
        batch
    }
}

#[cfg(test)]
mod tests;
