//! The details of the pointer events.

use serde::{Deserialize, Serialize};

use crate::digest::{Blake3, Kind, Sha256};
use crate::names::{ModelName, PointerName};

/// Which verb moved a pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the words are the documentation")]
pub enum MoveAction {
    Promote,
    Rollback,
}

impl MoveAction {
    /// `promote` or `rollback`.
    pub fn as_str(self) -> &'static str {
        match self {
            MoveAction::Promote => "promote",
            MoveAction::Rollback => "rollback",
        }
    }
}

/// Which copy of a version's bytes a pointer names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServedFrom {
    /// The path at which it was recorded.
    Recorded,
    /// A copy made from the object store.
    Checkout,
}

impl ServedFrom {
    /// `recorded` or `checkout`.
    pub fn as_str(self) -> &'static str {
        match self {
            ServedFrom::Recorded => "recorded",
            ServedFrom::Checkout => "checkout",
        }
    }
}

/// The bytes that the pointer names, verified when the event was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// Relative to the project root.
    pub path: String,
    /// Which copy.
    pub from: ServedFrom,
    /// Whether `sha256` is of a file or of a directory's manifest.
    pub kind: Kind,
    /// What the bytes at `path` hashed to.
    pub sha256: Sha256,
    /// Their BLAKE3 (`docs/formats/fingerprint.md`, What is served); none in entries of versions that
    /// took none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blake3: Option<Blake3>,
}

/// A file from outside that was knowingly overwritten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverwrittenFile {
    /// The pointer file.
    pub path: String,
    /// What it held; none when it had been deleted.
    pub sha256: Option<Sha256>,
    /// Its text, when it was short UTF-8.
    pub text: Option<String>,
}

/// A pointer was moved to a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointerMoved {
    /// The model.
    pub model: ModelName,
    /// The pointer.
    pub pointer: PointerName,
    /// The verb.
    pub action: MoveAction,
    /// The version it named before; none when unset.
    pub from: Option<u64>,
    /// The version it names now.
    pub to: u64,
    /// How many holdings were taken off the stack.
    pub popped: u64,
    /// Whether `to` was then put on top, rather than found there.
    pub pushed: bool,
    /// Versions that a rollback passed over, because they are quarantined.
    pub passed_over: Vec<u64>,
    /// Whether the version left behind was quarantined on this pointer.
    pub quarantined: bool,
    /// What is served.
    pub served: Served,
    /// Why.
    pub reason: Option<String>,
    /// The version that the caller expected to be live, if they said.
    pub expected: Option<u64>,
    /// The edit from outside that this move overwrote.
    pub overwrote: Option<OverwrittenFile>,
    /// Whether someone should look at this move afterwards.
    pub post_review: bool,
}

/// An edit of the pointer file from outside was accepted as the truth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointerAdopted {
    /// The model.
    pub model: ModelName,
    /// The pointer.
    pub pointer: PointerName,
    /// The version it named before; none when unset.
    pub from: Option<u64>,
    /// The version that the file names.
    pub to: u64,
    /// What is served.
    pub served: Served,
    /// What was found.
    pub external: AdoptedExternally,
    /// Why.
    pub reason: Option<String>,
}

/// A pointer file as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdoptedExternally {
    /// The pointer file.
    pub path: String,
    /// The digest of its bytes.
    pub sha256: Sha256,
    /// Its text.
    pub text: String,
}

/// A pointer was taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointerUnset {
    /// The model.
    pub model: ModelName,
    /// The pointer.
    pub pointer: PointerName,
    /// The version it named.
    pub from: u64,
    /// Why.
    pub reason: Option<String>,
}

/// A move was refused: by policy (exit 3), because bytes differ or are missing (4), or because an
/// approval is pending (7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointerRefused {
    /// The model.
    pub model: ModelName,
    /// The pointer.
    pub pointer: PointerName,
    /// What was tried.
    pub attempted: MoveAction,
    /// The version it named, and still names.
    pub from: Option<u64>,
    /// The version that was asked for.
    pub to: Option<u64>,
    /// The exit code of the refusal.
    pub code: u8,
    /// The refusal's name, e.g. `bytes-lost`.
    pub cause: String,
    /// The caller's reason for the attempt.
    pub reason: Option<String>,
}
