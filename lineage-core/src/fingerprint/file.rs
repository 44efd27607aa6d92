//! What is asked of a file, what reading it gives, and why it cannot be read.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

use super::along::Along;
use super::content::ContentError;
use super::reading::Stat;
use super::readings::FileState;
use super::stand_in::StandIn;
use crate::digest::{Blake3, Kind, Sha256};
use crate::files::{FileError, Temporary};
use crate::inspect::{InspectError, Inspection};

/// The digest and size of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFingerprint {
    /// SHA-256 of all bytes.
    pub sha256: Sha256,
    /// How many bytes that is.
    pub size_bytes: u64,
}

/// Why something cannot be fingerprinted.
#[derive(Debug, thiserror::Error)]
pub enum FingerprintError {
    /// Only regular files and directories have fingerprints.
    #[error("{path} is {what}, not a regular file or a directory", path = path.display())]
    NotRegular {
        /// The path named.
        path: PathBuf,
        /// What it is, e.g. `a named pipe`.
        what: &'static str,
    },
    /// The file changed while it was read, twice.
    #[error("{path} changed while it was read", path = path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A directory that cannot be an artifact or a dataset.
    #[error("{path}: {problem}", path = path.display())]
    Directory {
        /// The offending entry.
        path: PathBuf,
        /// What is wrong with it.
        problem: DirectoryProblem,
    },
    /// An exclusion is not a glob.
    #[error("\"{glob}\" is not a valid glob: {reason}")]
    Glob {
        /// As given.
        glob: String,
        /// Why not.
        reason: String,
    },
    /// A file that was declared to be a table is not one, or not that one; or a folder's files are
    /// not one table.
    #[error("{path}: {problem}", path = path.display())]
    Table {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        problem: Box<ContentError>,
    },
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
}

impl FingerprintError {
    /// What went wrong when the rows of the table at `path` were read.
    pub(crate) fn of_table(path: &Path, problem: ContentError) -> FingerprintError {
        let path = path.to_owned();
        match problem {
            ContentError::File(error) => error.into(),
            ContentError::Changed => FingerprintError::Changed { path },
            problem => FingerprintError::Table { path, problem: Box::new(problem) },
        }
    }
}

/// What is wrong with an entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryProblem {
    /// Nothing in it, or nothing left after the exclusions.
    #[error("the directory holds no files")]
    Empty,
    /// A name that is not UTF-8.
    #[error("the name is not valid UTF-8")]
    NotUtf8,
    /// A symlink that leads out of the directory, is absolute, or leads nowhere.
    #[error("the symlink leads out of the directory or nowhere")]
    EscapingLink,
    /// A symlink to a directory.
    #[error("a symlink to a directory cannot be part of an artifact")]
    LinkToDirectory,
    /// A device, socket or named pipe.
    #[error("it is {0}, not a regular file")]
    Special(&'static str),
    /// Something that is hardly meant to be part of a model.
    #[error("a \"{0}\" folder is hardly part of it")]
    Unwanted(&'static str),
}

/// One file to read.
pub(super) struct Task<'r, 'a> {
    pub(super) path: PathBuf,
    pub(super) keep: bool,
    /// The name under which it is inspected, if it is.
    pub(super) inspect_as: Option<String>,
    pub(super) beside: Beside<'r, 'a>,
}

/// What else is done with a file while it is read.
#[derive(Clone, Copy)]
pub(super) enum Beside<'r, 'a> {
    Nothing,
    /// BLAKE3 is taken too, by whoever reads.
    Blake3,
    /// Its rows are read by all cores.
    Rows,
    /// Its rows are read, and whoever hashes them may take its bytes along.
    RowsAlong(&'r Along<'a>),
}

/// What reading a file gave.
pub(super) struct Read {
    pub(super) fingerprint: FileFingerprint,
    pub(super) blake3: Option<Blake3>,
    pub(super) stat: Stat,
    pub(super) stand_in: Option<StandIn>,
    pub(super) from_cache: bool,
    pub(super) state: Option<FileState>,
    pub(super) kept: Option<Temporary>,
    pub(super) inspected: Option<Result<Inspection, InspectError>>,
}

/// Whether the path names a regular file or a directory; anything else is an error, found without
/// opening it, so that a named pipe cannot hang us.
pub(super) fn kind_of(path: &Path) -> Result<Kind, FingerprintError> {
    let metadata = fs::metadata(path).map_err(FileError::io("find", path))?;
    match (metadata.is_dir(), special(&metadata)) {
        (true, _) => Ok(Kind::Directory),
        (false, None) => Ok(Kind::File),
        (false, Some(what)) => Err(FingerprintError::NotRegular { path: path.to_owned(), what }),
    }
}

/// What a file is that is neither regular nor a directory.
pub(super) fn special(metadata: &Metadata) -> Option<&'static str> {
    if metadata.is_file() {
        return None;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        let kind = metadata.file_type();
        if kind.is_fifo() {
            return Some("a named pipe");
        } else if kind.is_socket() {
            return Some("a socket");
        } else if kind.is_char_device() || kind.is_block_device() {
            return Some("a device");
        }
    }
    Some("a special file")
}
