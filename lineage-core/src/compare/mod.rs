//! What takes the rows of two tables: rows by key, and how far the values of columns have moved
//! (`docs/formats/comparison.md`).

mod drift;
mod join;
mod source;

pub use drift::{ColumnDrift, DriftError, KolmogorovSmirnov, Shift, TableDrift, drift};
pub use join::{
    ChangedColumn, JoinError, KeyedDifference, KeyedOptions, NotCompared, ROWS_MAX, RowExample,
    Side, difference_by_key,
};
pub use source::{ReadingError, Source, SourceBatches, SourceError};
