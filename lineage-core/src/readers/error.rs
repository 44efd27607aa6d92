//! Why a table cannot be read.

use std::io;

use crate::arrow::error::ArrowError;

use crate::files::reason;
use crate::table::UnsupportedType;

/// Why a table cannot be read. The path is the caller's to add.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The operating system, or the decompression of the bytes.
    #[error("{}", reason(.0))]
    Io(#[from] io::Error),
    /// The bytes break the rules of their format.
    #[error("it is damaged at byte {offset}: {problem}")]
    Damaged {
        /// Counted from 0, at or before the fault.
        offset: u64,
        /// What is wrong there.
        problem: String,
    },
    /// A line of a text format breaks the rules.
    #[error("line {line}: {problem}")]
    Line {
        /// Counted from 1.
        line: u64,
        /// What is wrong there, with the column where it is known.
        problem: String,
    },
    /// A part of the file is larger than is read at once.
    #[error("{what} has {size_bytes} bytes, and at most {size_bytes_max} are read at once; {hint}")]
    TooLarge {
        /// Which part.
        what: &'static str,
        /// Its real or declared size.
        size_bytes: u64,
        /// The limit.
        size_bytes_max: u64,
        /// What to do about it.
        hint: &'static str,
    },
    /// A type of column that has no place in the content digest.
    #[error(transparent)]
    Type(#[from] UnsupportedType),
    /// A variant of the format that is not read.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// The columns are not those that were declared, or cannot be read as such.
    #[error("{0}")]
    Columns(String),
}

impl ReadError {
    pub(super) fn damaged(offset: u64, problem: impl Into<String>) -> ReadError {
        ReadError::Damaged { offset, problem: problem.into() }
    }

    pub(super) fn line(line: u64, problem: impl Into<String>) -> ReadError {
        ReadError::Line { line, problem: problem.into() }
    }

    /// What Arrow itself objects to in the part of the file at `offset`.
    pub(super) fn arrow(offset: u64) -> impl FnOnce(ArrowError) -> ReadError {
        move |error| {
            // An error may quote a value of the file, which can be of any length.
            ReadError::damaged(offset, error.to_string().chars().take(300).collect::<String>())
        }
    }
}
