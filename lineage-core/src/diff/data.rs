//! Two files, folders or recorded datasets: whether they are the same, and as what.

use std::path::Path;

use serde::Serialize;

use super::table::{TableDifference, comparable};
use crate::compare::{KeyedDifference, TableDrift};
use crate::digest::{Kind, Sha256};
use crate::events::Hashed;
use crate::fingerprint::{Difference, Fingerprint, Manifest, Table, TableFormat, Typing};

/// What is said of two things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The same bytes.
    Identical,
    /// Other bytes that hold the same table.
    ReEncoded,
    /// The same columns in another order.
    ReorderedColumns,
    /// A column has two kinds, and at least one of them was given to a text by its values.
    NotComparable,
    /// Other content.
    Different,
    /// Only the right one is there.
    Added,
    /// Only the left one is there.
    Removed,
}

impl Verdict {
    /// The word in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Identical => "identical",
            Verdict::ReEncoded => "re-encoded",
            Verdict::ReorderedColumns => "reordered-columns",
            Verdict::NotComparable => "not-comparable",
            Verdict::Different => "different",
            Verdict::Added => "added",
            Verdict::Removed => "removed",
        }
    }

    /// The words for people.
    pub fn words(self) -> &'static str {
        match self {
            Verdict::ReEncoded => "re-encoded, same content",
            Verdict::ReorderedColumns => "same content, columns in another order",
            Verdict::NotComparable => "not comparable as read",
            other => other.word(),
        }
    }

    /// Whether the content is known to be the same, column by column in their order.
    pub fn is_same_content(self) -> bool {
        matches!(self, Verdict::Identical | Verdict::ReEncoded)
    }
}

/// What differs between two files, folders or datasets.
#[derive(Debug, Clone, Serialize)]
pub struct DataDifference {
    /// The answer in a word.
    pub verdict: Verdict,
    /// The first; none when only the second is there.
    pub left: Option<DataSide>,
    /// The second; none when only the first is there.
    pub right: Option<DataSide>,
    /// Of two tables that are not identical.
    pub table: Option<TableDifference>,
    /// Of two folders whose files are known.
    pub files: Option<Vec<FileDifference>>,
    /// The rows by key, when they were asked for and the content differs.
    pub rows: Option<KeyedDifference>,
    /// How distributions have moved, when it was asked for and the content differs.
    pub drift: Option<TableDrift>,
}

/// One of the two.
#[derive(Debug, Clone, Serialize)]
pub struct DataSide {
    /// Where it is, or was when it was recorded.
    pub path: String,
    /// Whether `sha256` is of a file or of a directory's manifest.
    pub kind: Kind,
    /// Bytes of all files.
    pub size_bytes: u64,
    /// The identity of the bytes.
    pub sha256: Sha256,
    /// The identity of the rows, when it is a table.
    pub content_sha256: Option<Sha256>,
    /// The file format, when it is a table.
    pub format: Option<TableFormat>,
    /// Who says what kinds the columns have.
    pub typing: Option<Typing>,
    /// Rows, when it is a table.
    pub rows: Option<u64>,
    /// How many columns, when it is a table.
    pub columns: Option<u64>,
    /// Why a file that is named like a table could not be read as one.
    pub table_problem: Option<String>,
    /// Whether the bytes were read, or an earlier reading of the unchanged file was trusted.
    pub hashed: Hashed,
}

/// A file that two folders do not share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileDifference {
    /// Relative to the folder.
    pub path: String,
    /// What became of it.
    pub change: FileChange,
}

/// What became of a file in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the words are the documentation")]
pub enum FileChange {
    Added,
    Removed,
    Changed,
}

/// What is known of one side.
pub(super) struct Known {
    pub(super) side: DataSide,
    pub(super) table: Option<Table>,
    pub(super) manifest: Option<Manifest>,
}

impl Known {
    pub(super) fn of_file(path: &Path, found: Fingerprint) -> Known {
        let shape = found.table.as_ref();
        let side = DataSide {
            path: path.to_string_lossy().into_owned(),
            kind: found.kind,
            size_bytes: found.size_bytes,
            sha256: found.sha256,
            content_sha256: shape.map(|table| table.digest.content_sha256),
            format: shape.map(|table| table.format),
            typing: shape.map(|table| table.typing),
            rows: shape.map(|table| table.digest.rows),
            columns: shape.map(|table| table.digest.columns.len() as u64),
            table_problem: found.table_problem,
            hashed: if found.from_cache { Hashed::Cache } else { Hashed::Bytes },
        };
        Known { side, table: found.table, manifest: found.manifest }
    }

    /// Where only one of two things is there.
    pub(super) fn alone(self, verdict: Verdict) -> DataDifference {
        let mut difference = DataDifference::new(verdict);
        match verdict {
            Verdict::Removed => difference.left = Some(self.side),
            _ => difference.right = Some(self.side),
        }
        difference
    }
}

impl DataDifference {
    fn new(verdict: Verdict) -> DataDifference {
        DataDifference {
            verdict,
            left: None,
            right: None,
            table: None,
            files: None,
            rows: None,
            drift: None,
        }
    }
}

/// Compares by digests alone.
pub(super) fn compare(left: &Known, right: &Known) -> DataDifference {
    let mut difference = DataDifference::new(Verdict::Different);
    difference.left = Some(left.side.clone());
    difference.right = Some(right.side.clone());
    if (left.side.kind, left.side.sha256) == (right.side.kind, right.side.sha256) {
        difference.verdict = Verdict::Identical;
    }
    if let (Some(left), Some(right)) = (&left.table, &right.table) {
        difference.table = Some(TableDifference::of(left, right));
        difference.verdict = match difference.verdict {
            // One file, read in two ways.
            Verdict::Identical if left.digest == right.digest => Verdict::Identical,
            _ if left.digest.content_sha256 == right.digest.content_sha256 => Verdict::ReEncoded,
            _ if !comparable(left, right) => Verdict::NotComparable,
            _ if left.digest.content_sorted_sha256 == right.digest.content_sorted_sha256 => {
                Verdict::ReorderedColumns
            }
            _ => Verdict::Different,
        };
    } else if difference.verdict == Verdict::Different
        && left.side.content_sha256.is_some()
        && left.side.content_sha256 == right.side.content_sha256
    {
        difference.verdict = Verdict::ReEncoded;
    }
    if let (Some(left), Some(right)) = (&left.manifest, &right.manifest) {
        let differences = left.differences(right).into_iter().map(|difference| match difference {
            Difference::Missing(path) => FileDifference { path, change: FileChange::Removed },
            Difference::Extra(path) => FileDifference { path, change: FileChange::Added },
            Difference::Changed(path) => FileDifference { path, change: FileChange::Changed },
        });
        difference.files = Some(differences.collect());
    }
    difference
}
