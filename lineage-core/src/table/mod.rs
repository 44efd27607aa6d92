//! Tables: rows of named columns, and the digest of their content (`lineage-table-1` of
//! `docs/formats/fingerprint.md`).

mod kind;

pub use kind::{ColumnKind, NESTING_DEPTH_MAX, UnsupportedType};
