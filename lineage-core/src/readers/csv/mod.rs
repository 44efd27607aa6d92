//! CSV and TSV as Arrow batches (`docs/formats/fingerprint.md`, CSV and TSV).
//!
//! A `Cutter` cuts the bytes, in order and cheaply, into `Piece`s of whole records. Any number of
//! threads turn pieces into batches with one `Parser`, each with a `Scratch` of its own.
//!
//! Kinds that are not declared are inferred from the whole file: `guess` takes those of the first
//! piece, a pass over the file parses the columns by them and notes every `Classes` that occurs, and
//! `Parser::second_pass` says which columns must be read again, by the kinds that were found.

mod column;
mod cutter;
mod error;
mod fields;
mod fuzz;
mod parser;
#[cfg(test)]
mod tests;
mod tokens;

pub(crate) use super::text::Classes;
pub(crate) use cutter::{Cutter, PIECE_BYTES, Piece};
pub use error::{CsvError, Problem};
pub use fuzz::fuzz_csv;
pub(crate) use parser::{Parser, Scratch, guess};

/// A record may have at most so many bytes.
pub(crate) const RECORD_BYTES_MAX: usize = 64 << 20;
/// A table may have at most so many columns.
pub(crate) const COLUMNS_MAX: usize = 100_000;

/// The dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CsvOptions {
    /// An ASCII character that is neither the quote, a line feed, a carriage return nor NUL.
    pub delimiter: u8,
    pub quote: u8,
    /// Whether the first record holds the names of the columns.
    pub header: bool,
}

impl CsvOptions {
    /// Comma-separated, with a header.
    pub(crate) const CSV: CsvOptions = CsvOptions { delimiter: b',', quote: b'"', header: true };
    /// Tab-separated, with a header.
    pub(crate) const TSV: CsvOptions = CsvOptions { delimiter: b'\t', ..CsvOptions::CSV };
}

pub(crate) use super::schema::DeclaredColumn;
