//! Making a registry for a folder of models that already exists (`docs/adopt.md`).
//!
//! [`scan`] looks at the folder and hashes what it finds, [`plan`] decides what to record and what
//! does not agree, as a pure function, and [`carry_out`] does it. Everything that the folder's own
//! files say is recorded as a claim.

mod agreement;
mod carry_out;
mod claims;
mod group;
mod plan;
mod pointers;
mod pointing;
mod report;
mod scan;
mod words;

pub use carry_out::{Adopted, AdoptedPointer, AdoptedVersion, carry_out};
pub use plan::{Known, KnownVersion, Options, plan};
pub use report::{Finding, Plan, PlannedPointer, PlannedVersion, Severity, Standing};
pub use scan::{FoundArtifact, FoundLink, FoundPointer, Scan, scan};

/// Whether the name of a file says that it is a model.
pub(crate) fn is_model_path(path: &str) -> bool {
    words::is_model(path)
}

/// The model that a file's name speaks of, without digits, dates and words that fit any model.
pub(crate) fn model_of_path(path: &str) -> Option<crate::names::ModelName> {
    words::model_in(words::split_ending(words::last_part(path)).0)
}

/// The text of a small file: UTF-8, or UTF-16 as Windows writes it, without a byte order mark.
fn text(bytes: &[u8]) -> Option<String> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
        String::from_utf16(&units).ok().filter(|_| rest.is_empty())
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        _ => String::from_utf8(bytes.to_vec()).ok(),
    }
}
