//! Tables: rows of named columns, the digest of their content (`lineage-table-1` of
//! `docs/formats/fingerprint.md`), and that of their rows in any order.

mod cells;
mod grid;
mod kind;
mod row_cells;
mod row_sum;
mod texts;

pub use cells::CellError;
pub(crate) use cells::{fixed, plain};
pub use grid::{BLOCK_ROWS, ColumnDigest, TableDigest, TableError, digest_batches};
pub(crate) use grid::{
    ColumnGrid, ColumnLeaves, HashTogether, TOGETHER, Together, check_columns, columns_of,
};
pub use kind::{ColumnKind, NESTING_DEPTH_MAX, UnsupportedType};
pub(crate) use row_cells::RowCells;
pub use row_sum::{MergeError, RowSum};
pub(crate) use texts::WORDS_MAX;
