//! DataFrames: their fingerprints, and what needs whole columns of two tables at once. Only here: polars.
//!
//! The rest of the library calls this with Arrow batches and gets its own types back.

mod convert;
mod drift;
mod join;
mod source;

use polars::prelude::{DataFrame, LazyFrame, PolarsError};

pub use convert::{FrameBatches, batches, dataframe};
pub use drift::{ColumnDrift, DriftError, KolmogorovSmirnov, Shift, TableDrift, drift};
pub use join::{
    ChangedColumn, JoinError, KeyedDifference, KeyedOptions, NotCompared, ROWS_MAX, RowExample,
    Side, difference_by_key,
};
pub use source::{Source, SourceBatches, SourceError};

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
    /// A table could not be read.
    #[error("{0}")]
    Source(#[source] SourceError),
    /// Polars refused.
    #[error("polars: {0}")]
    Polars(#[from] PolarsError),
    /// Arrow refused.
    #[error("arrow: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
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

#[cfg(test)]
mod tests;
