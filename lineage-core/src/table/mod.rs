//! Tables: rows of named columns, and the digest of their content (`lineage-table-1` of
//! `docs/formats/fingerprint.md`).

mod cells;
mod grid;
mod kind;

pub use cells::CellError;
#[cfg(feature = "polars")]
pub(crate) use cells::{fixed, plain};
pub use grid::{BLOCK_ROWS, ColumnDigest, TableDigest, TableError, digest_batches};
pub(crate) use grid::{ColumnGrid, ColumnLeaves, check_columns, columns_of};
pub use kind::{ColumnKind, NESTING_DEPTH_MAX, UnsupportedType};
