//! What can be wrong with a CSV.

use crate::table::ColumnKind;

/// A CSV that cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, byte {byte_offset}: {problem}")]
pub struct CsvError {
    /// Counted from 1, by line feeds, also those inside quotes.
    pub line: u64,
    /// Counted from 0.
    pub byte_offset: u64,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Problem {
    #[error("a record of {found} fields, where the table has {expected} columns")]
    Ragged { found: usize, expected: usize },
    #[error("a record of more than {most} fields")]
    TooManyFields { most: usize },
    #[error("a quoted field is never closed")]
    Unclosed,
    #[error(
        "a quote inside a field that does not begin with one; quote the field and double the quote"
    )]
    StrayQuote,
    #[error("text after a closing quote; double a quote that belongs to the field")]
    AfterQuote,
    #[error("a NUL byte; the file is not UTF-8 text")]
    Nul,
    #[error("a carriage return that no line feed follows; quote the field that holds it")]
    BareCarriageReturn,
    #[error("bytes that are not UTF-8; convert the file to UTF-8")]
    NotUtf8,
    #[error("the file is UTF-16; convert it to UTF-8")]
    Utf16,
    #[error("no header: the file holds no record")]
    NoHeader,
    #[error("a record of more than {most_bytes} bytes; is a quote missing?")]
    RecordTooLong { most_bytes: usize },
    #[error("\"{text}\" in column \"{column}\" is not of its kind, {kind}")]
    Value { column: String, kind: ColumnKind, text: String },
    #[error(
        "column \"{column}\" of kind {kind} has a value finer than microseconds and one before 1677-09-22 \
         or after 2262-04-10, which no one unit holds; declare it as string"
    )]
    NoOneUnit { column: String, kind: ColumnKind },
    #[error("{0}")]
    Columns(String),
    #[error("a CSV cannot hold column \"{column}\" of kind {kind}")]
    Kind { column: String, kind: ColumnKind },
    #[error("the rows do not make a table: {0}")]
    Arrow(String),
}

/// A problem at an offset within a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub offset: usize,
    pub problem: Problem,
}

impl Fault {
    /// The same, counted from the beginning of the file: `bytes` begin at that offset and line. Bytes
    /// before it that are not UTF-8 come first.
    pub(super) fn locate(self, bytes: &[u8], first_byte_offset: u64, first_line: u64) -> CsvError {
        let fault = not_utf8(bytes, self.offset).unwrap_or(self);
        let before = bytes.get(..fault.offset).unwrap_or(bytes);
        CsvError {
            line: first_line + count(before, b'\n'),
            byte_offset: first_byte_offset + fault.offset as u64,
            problem: fault.problem,
        }
    }
}

/// The first place before `end` that is not UTF-8. A character that `end` divides is none.
pub(super) fn not_utf8(bytes: &[u8], end: usize) -> Option<Fault> {
    let error = std::str::from_utf8(bytes.get(..end)?).err()?;
    let whole = end == bytes.len() || error.error_len().is_some();
    let fault = Fault { offset: error.valid_up_to(), problem: Problem::NotUtf8 };
    whole.then_some(fault)
}

/// How often a byte occurs.
pub(super) fn count(bytes: &[u8], wanted: u8) -> u64 {
    memchr::memchr_iter(wanted, bytes).count() as u64
}
