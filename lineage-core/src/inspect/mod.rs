//! What a model file is, and what loading it would do, without loading it
//! (`docs/formats/model-inspection.md`).
//!
//! Default deny: `safe` is said only when everything that matters was read and all that it names is
//! listed as safe. The file is read by position with bounded memory; nothing in it is believed, and
//! nothing in it is run.

mod compression;
mod detect;
mod gguf;
mod json;
mod npy;
mod onnx;
mod pickle;
mod protobuf;
mod report;
mod safetensors;
mod source;
mod tar;
mod zip;

pub use report::{Finding, Format, Inspection, Severity, Verdict};

use std::path::{Path, PathBuf};

use self::detect::{Meaning, Place};
use self::report::Report;
use self::source::{Meter, ReadAt, Region, Source};
use crate::context::Observer;
use crate::files::{self, FileError};

/// Why a file could not be inspected. That a file is broken is no error but a finding.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// Directories are not inspected as such, but file by file.
    #[error("{path} is a directory; name the files in it", path = path.display())]
    Directory {
        /// The path named.
        path: PathBuf,
    },
    /// The file could not be read, or the observer asked to stop.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Inspects a regular file.
pub fn inspect(path: &Path, observer: &dyn Observer) -> Result<Inspection, InspectError> {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    inspect_as(path, &name, observer)
}

/// Inspects a regular file as one of another name, such as a copy of it.
pub fn inspect_as(
    path: &Path,
    name: &str,
    observer: &dyn Observer,
) -> Result<Inspection, InspectError> {
    let file = files::open_to_read(path).map_err(FileError::io("read", path))?;
    let metadata = file.metadata().map_err(FileError::io("inspect", path))?;
    if metadata.is_dir() {
        return Err(InspectError::Directory { path: path.to_owned() });
    }
    if !metadata.is_file() {
        return Err(FileError::NotRegular { path: path.to_owned() }.into());
    }
    inspect_bytes(&file, metadata.len(), name, observer).map_err(|halted| match halted {
        Some(source) => FileError::io("read", path)(source).into(),
        None => FileError::Interrupted.into(),
    })
}

/// Inspects all bytes of a file of this name, which are held in memory.
pub(crate) fn inspect_held(
    bytes: &[u8],
    name: &str,
    observer: &dyn Observer,
) -> Result<Inspection, InspectError> {
    // Memory can always be read.
    inspect_bytes(&bytes, bytes.len() as u64, name, observer)
        .map_err(|_| FileError::Interrupted.into())
}

/// Inspects bytes as a file of this name; the entry for tests that make up files (fuzzing).
#[doc(hidden)]
pub fn inspect_slice(bytes: &[u8], name: &str) -> Inspection {
    inspect_held(bytes, name, &crate::context::Silent)
        .unwrap_or_else(|_| Report::default().finish(Format::Unknown))
}

/// The error is that of the operating system, or `None` when the observer asked to stop.
fn inspect_bytes(
    bytes: &dyn ReadAt,
    length: u64,
    name: &str,
    observer: &dyn Observer,
) -> Result<Inspection, Option<std::io::Error>> {
    let meter = Meter::new(length, observer);
    let region = Region::new(bytes, length, &meter);
    let mut report = Report::default();
    let place = Place { location: "", name, depth: 0, meaning: Meaning::Anything };
    let format = detect::inspect_source(&Source::Plain(region), place, &mut report);
    if meter.interrupted() {
        return Err(None);
    }
    if let Some(error) = meter.failure() {
        return Err(Some(error));
    }
    meter.finish();
    Ok(report.finish(format))
}

#[cfg(test)]
mod tests;
