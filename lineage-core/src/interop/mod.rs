//! Taking over what other trackers recorded (`docs/import.md`). What they say is kept as claims, with
//! their own ids and times; what can be hashed is hashed.

mod import;
mod report;
mod yaml;

pub mod dvc;
pub mod gto;
pub mod mlflow;

pub use report::{Count, ImportReport, ImportedPointer, ImportedVersion, LeftTable, Problem};

use crate::files::FileError;
use crate::fingerprint::FingerprintError;
use crate::layout::LayoutError;
use crate::names::ModelName;
use crate::objects::ObjectError;
use crate::pointer::PointerError;
use crate::record::RecordError;
use crate::store::{ForeignError, StoreError};

/// An import could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The source's database could not be read.
    #[error(transparent)]
    Foreign(#[from] ForeignError),
    /// The source is not what it was taken for.
    #[error("{path} is not {expected}")]
    NotASource {
        /// The source.
        path: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A file could not be hashed.
    #[error(transparent)]
    Fingerprint(FingerprintError),
    /// A session could not be recorded.
    #[error("{subject}: {error}")]
    Record {
        /// What was to be recorded.
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

/// A model's name made from any text: what is not allowed becomes `-`.
fn model_name(text: &str) -> Option<ModelName> {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = text.chars().map(allowed).collect();
    let name = name.trim_start_matches(['.', '_', '-']);
    name.get(..name.len().min(128))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_gives_a_model_name_if_it_holds_a_letter() {
        let of = |text: &str| model_name(text).map(|name| name.to_string());
        assert_eq!(of("Fraud / EU").as_deref(), Some("Fraud---EU"));
        assert_eq!(of("/Users/x@y.z/risk").as_deref(), Some("Users-x-y.z-risk"));
        assert_eq!(of("größe").as_deref(), Some("gr--e"));
        assert_eq!(of("名前"), None);
        assert_eq!(of(&"x".repeat(300)).map(|name| name.len()), Some(128));
    }
}
