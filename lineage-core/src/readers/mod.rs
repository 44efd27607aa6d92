//! Readers: the file formats of tables, as Arrow batches.

pub(crate) mod csv;
