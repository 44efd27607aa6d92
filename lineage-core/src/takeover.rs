//! Why what others recorded could not be taken over: by `adopt` from a folder, by `import` from another
//! tracker.

use crate::files::FileError;
use crate::fingerprint::FingerprintError;
use crate::init::InitError;
use crate::layout::LayoutError;
use crate::objects::ObjectError;
use crate::pointer::PointerError;
use crate::record::RecordError;
use crate::settings::SettingsError;
use crate::store::{ForeignError, StoreError};

/// A folder could not be adopted, or another tracker's records not be imported.
#[derive(Debug, thiserror::Error)]
pub enum TakeoverError {
    /// What is to be adopted is not a folder.
    #[error("{0} is not a folder")]
    NotAFolder(String),
    /// More files than any folder of models holds.
    #[error("{path} holds more than {limit} files and folders")]
    TooMany {
        /// The folder.
        path: String,
        /// How many are looked at.
        limit: usize,
    },
    /// The source is not what it was taken for.
    #[error("{path} is not {expected}")]
    NotASource {
        /// The source.
        path: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The source's database could not be read.
    #[error(transparent)]
    Foreign(#[from] ForeignError),
    /// A file could not be hashed.
    #[error(transparent)]
    Fingerprint(#[from] FingerprintError),
    /// The registry could not be made.
    #[error(transparent)]
    Init(#[from] InitError),
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A session or version could not be recorded.
    #[error("{subject}: {error}")]
    Record {
        /// What was to be recorded: an artifact's path, a run.
        subject: String,
        /// Why not.
        error: Box<RecordError>,
    },
    /// A pointer could not be set.
    #[error(transparent)]
    Pointer(#[from] PointerError),
    /// A stored series could not be read back.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// A path cannot be recorded.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The registry failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
