//! What an import did, and whether anything was lost.

use serde::Serialize;

/// The result of an import.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ImportReport {
    /// What was imported from.
    pub source: String,
    /// True when nothing was written.
    pub dry_run: bool,
    /// Whether anything was recorded, or would be.
    pub changed: bool,
    /// How many sessions were recorded, or would be.
    pub sessions_new: u64,
    /// How many an earlier import had recorded as they are now.
    pub sessions_known: u64,
    /// For each kind of thing, how many the source holds, and how many were read back from the
    /// registry afterwards.
    pub counts: Vec<Count>,
    /// The versions that were made, or were there.
    pub versions: Vec<ImportedVersion>,
    /// Names of the source that point to a version.
    pub pointers: Vec<ImportedPointer>,
    /// How many things read back otherwise than they were imported: parameters, tags, metrics or claims of a
    /// session, or one of its series. They are among the problems.
    pub differing: u64,
    /// What could not be had, e.g. an artifact that is missing.
    pub problems: Vec<Problem>,
    /// Where something named like a secret, or that looks like one, was left out.
    pub removed: Vec<String>,
    /// What the source holds and lineage has no place for.
    pub left: Vec<LeftTable>,
}

impl ImportReport {
    /// Whether everything that the source holds is in the registry, as the source holds it.
    pub fn is_complete(&self) -> bool {
        self.differing == 0 && self.counts.iter().all(|count| count.found == count.imported)
    }
}

/// How many of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    /// E.g. `params`.
    pub kind: String,
    /// In the source.
    pub found: u64,
    /// In the registry.
    pub imported: u64,
}

/// A version of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportedVersion {
    /// The model here.
    pub model: String,
    /// The version here; none when it could not be made, or in a dry run.
    pub version: Option<u64>,
    /// Its label.
    pub label: Option<String>,
    /// How the source calls it.
    pub original: String,
    /// The artifact that was hashed.
    pub path: Option<String>,
}

/// A name that points to a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportedPointer {
    /// The model here.
    pub model: String,
    /// The name.
    pub name: String,
    /// How the source calls the version.
    pub original: String,
    /// Whether the pointer was set; else the name is a claim only.
    pub set: bool,
}

/// Something that could not be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What it is about.
    pub subject: String,
    /// In words.
    pub detail: String,
}

/// Rows of the source that were not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftTable {
    /// The table.
    pub table: String,
    /// How many rows it has.
    pub rows: u64,
}
