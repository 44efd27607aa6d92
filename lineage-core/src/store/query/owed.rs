//! What files outside the database must hold.

use rusqlite::{Row, params};

use super::super::error::StoreError;
use super::{Reader, optional_parsed, plain, unsigned};
use crate::digest::Sha256;

/// What kind of file is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwedKind {
    /// A pointer file; `name` is the pointer.
    Pointer,
    /// A `metadata.json`; `name` is the version's number.
    Metadata,
}

impl OwedKind {
    pub(in super::super) fn as_str(self) -> &'static str {
        match self {
            OwedKind::Pointer => "pointer",
            OwedKind::Metadata => "metadata",
        }
    }
}

/// What a file must hold as of an entry, and what it held before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwedFile {
    /// Relative to the project root.
    pub path: String,
    /// What it is.
    pub kind: OwedKind,
    /// The model it belongs to.
    pub model: String,
    /// The pointer, or the version's number.
    pub name: String,
    /// The entry that its content follows from.
    pub seq: u64,
    /// The digest of the bytes it must hold; none when it must be absent.
    pub content_sha256: Option<Sha256>,
    /// The digest of the bytes that these replace; none when there was no file.
    pub replaces_sha256: Option<Sha256>,
    /// Whether the file was seen with its content; from then on nothing but that content is ours.
    pub settled: bool,
}

const COLUMNS: &str =
    "SELECT path, kind, model, name, seq, content_sha256, replaces_sha256, settled FROM owed_file";

fn owed(row: &Row<'_>) -> rusqlite::Result<OwedFile> {
    let kind: String = plain(row, "kind")?;
    Ok(OwedFile {
        path: plain(row, "path")?,
        kind: if kind == "pointer" { OwedKind::Pointer } else { OwedKind::Metadata },
        model: plain(row, "model")?,
        name: plain(row, "name")?,
        seq: unsigned(row, "seq")?,
        content_sha256: optional_parsed(row, "content_sha256")?,
        replaces_sha256: optional_parsed(row, "replaces_sha256")?,
        settled: plain(row, "settled")?,
    })
}

impl Reader<'_> {
    /// Files of a kind that nobody has yet seen as they must be.
    pub fn unsettled(&self, kind: OwedKind) -> Result<Vec<OwedFile>, StoreError> {
        self.rows(
            &format!("{COLUMNS} INDEXED BY owed_file_unsettled WHERE kind = ?1 AND settled = 0"),
            [kind.as_str()],
            owed,
        )
    }

    /// The file at a path.
    pub fn owed_file(&self, kind: OwedKind, path: &str) -> Result<Option<OwedFile>, StoreError> {
        let sql = format!("{COLUMNS} WHERE kind = ?1 AND path = ?2");
        self.first(&sql, params![kind.as_str(), path], owed)
    }

    /// Every file that was ever written for a pointer, also where it used to be.
    pub fn pointer_files_of(
        &self,
        model: &str,
        pointer: &str,
    ) -> Result<Vec<OwedFile>, StoreError> {
        let sql = format!("{COLUMNS} WHERE kind = 'pointer' AND model = ?1 AND name = ?2");
        self.rows(&sql, params![model, pointer], owed)
    }
}
