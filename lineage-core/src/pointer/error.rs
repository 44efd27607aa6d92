//! Why a pointer did not move.

use crate::files::FileError;
use crate::fingerprint::FingerprintError;
use crate::layout::LayoutError;
use crate::lookup::LookupError;
use crate::names::{ModelName, PointerName};
use crate::objects::ObjectError;
use crate::store::StoreError;

/// Why a pointer did not move.
#[derive(Debug, thiserror::Error)]
pub enum PointerError {
    /// A rule or the bytes forbid it. The attempt is in the log, unless `unrecorded` says why not.
    #[error("{refusal}")]
    Refused {
        /// The rule.
        refusal: Refusal,
        /// Why the refusal itself could not be written.
        unrecorded: Option<String>,
    },
    /// The model has no version that could be promoted.
    #[error("{model} has no version to promote{}", if *quarantined { ": all are quarantined on this pointer" } else { "" })]
    NothingToPromote {
        /// The model.
        model: ModelName,
        /// Whether there are versions, all of them quarantined.
        quarantined: bool,
    },
    /// The stack holds nothing to go back to.
    #[error("{pointer} has nothing to roll back to; it stays at {live}")]
    NothingToRollBackTo {
        /// E.g. `fraud@prod`.
        pointer: String,
        /// The live version, or `none`.
        live: String,
        /// Versions that a rollback would pass over.
        passed_over: Vec<u64>,
    },
    /// The version asked for was never live there.
    #[error("{version} never held {pointer}")]
    NeverHeld {
        /// E.g. `fraud@3`.
        version: String,
        /// E.g. `fraud@prod`.
        pointer: String,
    },
    /// The pointer is not where the caller believed.
    #[error("{pointer} is at {live}, not at {expected}")]
    Moved {
        /// E.g. `fraud@prod`.
        pointer: String,
        /// The live version, or `none`.
        live: String,
        /// What the caller expected.
        expected: String,
    },
    /// The pointer file was edited from outside.
    #[error(transparent)]
    Drift(Box<DriftedFile>),
    /// There is an edit from outside, but it names no version of the model.
    #[error("{path} names no version of {model}: {found}")]
    ExternalUnknown {
        /// The model.
        model: ModelName,
        /// The file.
        path: String,
        /// What it holds, in words.
        found: String,
    },
    /// A name that would break the one line of a pointer file.
    #[error("the path {path} holds control characters and cannot stand in {file}")]
    UnwritablePath {
        /// The served path.
        path: String,
        /// The pointer file.
        file: String,
    },
    /// A rollback needs a reason, and white space is none.
    #[error("the reason is empty")]
    EmptyReason,
    /// The settings name no file for the pointer.
    #[error("lineage.toml names no pointer file for {pointer}")]
    NoPointerFile {
        /// E.g. `fraud@prod`.
        pointer: String,
    },
    /// Labels and pointers share one namespace.
    #[error("\"{name}\" is a label of {version} and cannot be a pointer too")]
    PointerIsLabel {
        /// The name.
        name: PointerName,
        /// The labelled version.
        version: String,
    },
    /// The bytes were never put into the store.
    #[error("{reference} was recorded with --no-store: its bytes are not in the object store")]
    NotStored {
        /// E.g. `fraud@3`.
        reference: String,
    },
    /// Other processes moved the pointer again and again while this one verified bytes.
    #[error("{pointer} was moved by other processes {times} times while this one verified bytes")]
    Contended {
        /// E.g. `fraud@prod`.
        pointer: String,
        /// How often.
        times: u32,
    },
    /// A reference leads nowhere.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// Stored bytes could not be had.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// A file could not be fingerprinted.
    #[error(transparent)]
    Fingerprint(#[from] FingerprintError),
    /// A path cannot be placed.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The registry failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A pointer file that was edited from outside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} was changed by something other than lineage: {found}")]
pub struct DriftedFile {
    /// The file.
    pub path: String,
    /// What it holds, in words.
    pub found: String,
    /// The model.
    pub model: ModelName,
    /// The pointer.
    pub pointer: PointerName,
    /// The version that lineage knows to be live there.
    pub live: Option<u64>,
}

/// A move that a rule or the bytes forbid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The version was rolled back from on this pointer.
    #[error("{version} is quarantined on {pointer}: it was rolled back from there")]
    Quarantined {
        /// E.g. `fraud@3`.
        version: String,
        /// E.g. `fraud@prod`.
        pointer: String,
    },
    /// Its bytes are nowhere.
    #[error("{version} cannot be served: {at_path}; {in_store}")]
    Lost {
        /// E.g. `fraud@3`.
        version: String,
        /// What is wrong at the recorded path.
        at_path: String,
        /// What is wrong in the object store.
        in_store: String,
    },
}

impl Refusal {
    /// The exit code: 3 for a rule, 4 for bytes.
    pub fn code(&self) -> u8 {
        match self {
            Refusal::Quarantined { .. } => 3,
            Refusal::Lost { .. } => 4,
        }
    }

    /// The refusal's fixed name.
    pub fn cause(&self) -> &'static str {
        match self {
            Refusal::Quarantined { .. } => "quarantined",
            Refusal::Lost { .. } => "bytes-lost",
        }
    }
}
