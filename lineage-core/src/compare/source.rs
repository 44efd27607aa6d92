//! Tables that are read more than once.

use std::fmt;

use crate::arrow::array::RecordBatch;
use crate::arrow::datatypes::{Schema, SchemaRef};

use crate::arrow::error::ArrowError;
use crate::table::{ColumnKind, TableError, check_columns, columns_of};

/// What went wrong while a table was read.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// A table could not be read for a comparison.
#[derive(Debug, thiserror::Error)]
pub enum ReadingError {
    /// It holds what has no place in a comparison.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Its source failed.
    #[error("{0}")]
    Source(#[source] SourceError),
    /// Arrow refused.
    #[error("arrow: {0}")]
    Arrow(#[from] ArrowError),
}

/// The batches of a table.
pub type SourceBatches<'a> = Box<dyn Iterator<Item = Result<RecordBatch, SourceError>> + 'a>;

type Open<'a> = dyn Fn(&[usize]) -> Result<SourceBatches<'a>, SourceError> + Sync + 'a;

/// A table that can be read from its beginning more than once, giving the same rows each time.
pub struct Source<'a> {
    schema: SchemaRef,
    columns: Vec<(String, ColumnKind)>,
    open: Box<Open<'a>>,
}

impl<'a> Source<'a> {
    /// A table with these columns. `open` is given the places of the wanted columns in ascending order
    /// and returns batches of exactly these columns.
    pub fn new(
        schema: SchemaRef,
        open: impl Fn(&[usize]) -> Result<SourceBatches<'a>, SourceError> + Sync + 'a,
    ) -> Result<Source<'a>, ReadingError> {
        let columns = columns_of(&schema)?;
        Ok(Source { schema, columns, open: Box::new(open) })
    }

    /// A table whose batches are in memory.
    pub fn of_batches(
        schema: SchemaRef,
        batches: &'a [RecordBatch],
    ) -> Result<Source<'a>, ReadingError> {
        Source::new(schema, move |columns| {
            let columns = columns.to_vec();
            let wanted = move |batch: &RecordBatch| Ok(batch.project(&columns)?);
            Ok(Box::new(batches.iter().map(wanted)))
        })
    }

    /// Names and types of the columns.
    pub(super) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Names and kinds of the columns.
    pub(super) fn columns(&self) -> &[(String, ColumnKind)] {
        &self.columns
    }

    /// Reads some columns, given in any order, and returns them in this order.
    pub(super) fn read(
        &self,
        columns: &[usize],
    ) -> Result<impl Iterator<Item = Result<RecordBatch, ReadingError>> + use<'a>, ReadingError>
    {
        let mut ascending = columns.to_vec();
        ascending.sort_unstable();
        ascending.dedup();
        let expected: Vec<_> = ascending.iter().map(|at| self.columns[*at].clone()).collect();
        let place = |column: &usize| ascending.binary_search(column).unwrap_or_default();
        let order: Vec<usize> = columns.iter().map(place).collect();
        let batches = (self.open)(&ascending).map_err(ReadingError::Source)?;
        Ok(batches.map(move |batch| {
            let batch = batch.map_err(ReadingError::Source)?;
            check_columns(&expected, batch.schema_ref())?;
            Ok(batch.project(&order)?)
        }))
    }

    /// The schema of some columns.
    pub(super) fn schema_of(&self, columns: &[usize]) -> Result<Schema, ReadingError> {
        Ok(self.schema.project(columns)?)
    }
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("columns", &self.columns).finish_non_exhaustive()
    }
}
