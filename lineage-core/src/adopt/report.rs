//! What adopting a folder would do, and what does not agree in it.

use serde::Serialize;

use super::claims::Told;
use crate::context::Timestamp;
use crate::digest::{Kind, Sha256};
use crate::names::{Label, ModelName, PointerName};

/// What adopting would do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// The versions, in the order in which they would be recorded.
    pub versions: Vec<PlannedVersion>,
    /// The pointer files that were found.
    pub pointers: Vec<PlannedPointer>,
    /// What would be added to `lineage.toml`; empty when nothing would.
    pub settings: String,
    /// What does not agree, and what is worth knowing.
    pub findings: Vec<Finding>,
}

impl Plan {
    /// Whether there is anything to record, or any pointer to set.
    pub fn changes(&self) -> bool {
        self.versions.iter().any(|version| !version.known)
            || self.pointers.iter().any(|pointer| pointer.standing == Standing::Set)
    }
}

/// A version to record, or one that is recorded already.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedVersion {
    /// Its model.
    pub model: ModelName,
    /// The number that it has, or would get if nobody else records meanwhile.
    pub number: u64,
    /// Whether the registry has it already.
    pub known: bool,
    /// Its second name, from the file or folder.
    pub label: Option<Label>,
    /// The artifact.
    pub path: String,
    /// File or directory.
    pub kind: Kind,
    /// Its identity.
    pub sha256: Sha256,
    /// Bytes of all its files.
    pub size_bytes: u64,
    /// How many files.
    pub files: u64,
    /// When it was made, as its files claim.
    pub created: Option<Timestamp>,
    /// What claims it: a file's field, its name, or the time of its last change.
    pub created_from: String,
    pub(super) modified: Option<Timestamp>,
    pub(super) told: Told,
}

impl PlannedVersion {
    /// How many metrics, parameters and features would be recorded.
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.told.metrics.len(), self.told.params.len(), self.told.features.len())
    }
}

/// A pointer file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedPointer {
    /// The model of the version that it names.
    pub model: ModelName,
    /// The pointer.
    pub pointer: PointerName,
    /// The file.
    pub file: String,
    /// The path in it, as written.
    pub written: String,
    /// The version that it names.
    pub version: u64,
    /// The artifact of that version.
    pub path: String,
    /// What would happen to it.
    pub standing: Standing,
}

/// What would happen to a pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It would be set.
    Set,
    /// The registry manages it already.
    Managed,
    /// It would be left alone; a finding says why.
    Left,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Two things that do not agree, or something that is missing.
    Problem,
    /// Worth knowing.
    Note,
}

/// Something that does not agree, or is worth knowing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// A fixed word.
    pub kind: &'static str,
    /// The file or folder that it is about.
    pub subject: String,
    /// In words.
    pub detail: String,
}

impl Finding {
    pub(super) fn problem(kind: &'static str, subject: &str, detail: String) -> Finding {
        Finding { severity: Severity::Problem, kind, subject: subject.to_owned(), detail }
    }

    pub(super) fn note(kind: &'static str, subject: &str, detail: String) -> Finding {
        Finding { severity: Severity::Note, kind, subject: subject.to_owned(), detail }
    }
}
