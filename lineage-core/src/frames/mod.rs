//! DataFrames: to and from Arrow, their fingerprints, and the rows of a table file as one. Only here: polars,
//! with the feature of that name. Nothing else in the library uses it.

mod convert;

use std::path::Path;
use std::sync::Arc;

use polars::prelude::{DataFrame, LazyFrame, PolarsError};

pub use convert::{FrameBatches, batches, dataframe};

use crate::arrow::array::RecordBatch;
use crate::arrow::datatypes::{DataType, Fields, Schema};
use crate::context::Observer;
use crate::fingerprint::{ContentError, Rows, Table, TableOptions};
use crate::table::{self, TableDigest, TableError, UnsupportedType};

/// A DataFrame could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum FramesError {
    /// A column's type has no kind, or no place in a DataFrame.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedType),
    /// A table has no content digest.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A DataFrame cannot have two columns of one name.
    #[error("two columns are named \"{0}\", which a DataFrame cannot have; rename one")]
    ColumnTwice(String),
    /// A table file could not be read.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// Polars refused.
    #[error("polars: {0}")]
    Polars(#[from] PolarsError),
    /// Arrow refused.
    #[error("arrow: {0}")]
    Arrow(#[from] crate::arrow::error::ArrowError),
}

/// The content digest of a DataFrame: that of a file which holds the same rows
/// (`docs/formats/fingerprint.md`, Table).
///
/// ```
/// use lineage_core::frames::fingerprint_dataframe;
/// use polars::prelude::*;
///
/// let frame = df!("id" => [1, 2], "name" => ["Ada", "Grace"]).unwrap();
/// let wider = df!("id" => [1_i64, 2], "name" => ["Ada", "Grace"]).unwrap();
/// assert_eq!(fingerprint_dataframe(&frame).unwrap(), fingerprint_dataframe(&wider).unwrap());
/// ```
pub fn fingerprint_dataframe(frame: &DataFrame) -> Result<TableDigest, FramesError> {
    let batches = batches(frame)?;
    table::digest_batches(&batches.schema(), batches)
}

/// The content digest of what a LazyFrame gives when it is collected. It is held in memory as a whole.
pub fn fingerprint_lazyframe(frame: LazyFrame) -> Result<TableDigest, FramesError> {
    fingerprint_dataframe(&frame.collect()?)
}

/// The rows of the table file at `path`, with the kinds that were found when it was read as `table` with
/// `options`. They are held in memory as a whole.
///
/// So a CSV of which a digest was recorded gives the DataFrame with that digest, whatever its first rows look like.
pub fn read_table(
    path: &Path,
    table: &Table,
    options: &TableOptions,
    observer: &dyn Observer,
) -> Result<DataFrame, FramesError> {
    let rows = Rows::open(path, table, options, observer)?;
    let batches: Vec<RecordBatch> = rows.read()?.collect::<Result<_, _>>()?;
    let schema = with_finest_units(rows.schema(), &batches);
    dataframe::<FramesError>(&schema, batches.into_iter().map(Ok))
}

/// The schema of batches in which the unit of a moment is another from batch to batch, as those of texts
/// are, with the unit that holds them all.
fn with_finest_units(schema: &Schema, batches: &[RecordBatch]) -> Schema {
    let fields = schema.fields().iter().enumerate().map(|(place, field)| {
        let found = batches.iter().map(|batch| batch.column(place).data_type());
        let finest = found.filter(|found| matches!(found, DataType::Timestamp(..))).max();
        match finest {
            Some(finest) => Arc::new(field.as_ref().clone().with_data_type(finest.clone())),
            None => Arc::clone(field),
        }
    });
    Schema::new(fields.collect::<Fields>())
}

#[cfg(test)]
mod tests;
