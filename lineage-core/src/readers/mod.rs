//! Readers of tables: from the bytes of a file to Arrow record batches, in bounded memory
//! (`docs/formats/fingerprint.md`, Which files are tables).
//!
//! Input may be hostile. Every declared size is checked against what is really there before anything
//! is allocated by it, and nothing here panics. The decoder of Parquet may, where a page is damaged; that is an error then.

pub mod arrow_ipc;
pub mod compressed;
pub mod csv;
mod error;
mod format;
pub mod ndjson;
pub(crate) mod parquet;
pub mod partitioned;
pub mod schema;
mod text;

pub use error::ReadError;
pub use format::{Compression, TableFormat};
pub use parquet::panics_are_caught;
pub use schema::{DeclaredColumn, SchemaError};

/// The most rows of one batch that a reader hands on: a block of the content digest.
pub const BATCH_ROWS_MAX: usize = 65_536;
