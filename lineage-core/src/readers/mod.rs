//! Readers: files of rows as Arrow batches, in constant memory.

pub(crate) mod csv;
pub(crate) mod format;
pub(crate) mod parquet;
pub(crate) mod schema;
