//! Earlier readings of files, which may be trusted while the files are unchanged.

use std::fs::Metadata;

use super::Table;
use crate::digest::Sha256;

/// What tells that a file is unchanged, without reading it. The time of change is the kernel's (ctime
/// of `stat`(2)) and cannot be set back by a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileState {
    /// The device that holds it.
    pub device: u64,
    /// Its number on the device.
    pub inode: u64,
    /// How many bytes it has.
    pub size_bytes: u64,
    /// When its bytes last changed, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// When it last changed in any way, in nanoseconds since 1970.
    pub changed_ns: i64,
}

impl FileState {
    /// The state of an open or named file; none where the system does not tell enough.
    pub fn of(metadata: &Metadata) -> Option<FileState> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            let ns = |seconds: i64, ns: i64| seconds.checked_mul(1_000_000_000)?.checked_add(ns);
            Some(FileState {
                device: metadata.dev(),
                inode: metadata.ino(),
                size_bytes: metadata.len(),
                modified_ns: ns(metadata.mtime(), metadata.mtime_nsec())?,
                changed_ns: ns(metadata.ctime(), metadata.ctime_nsec())?,
            })
        }
        #[cfg(not(unix))]
        {
            let _ = metadata;
            None
        }
    }
}

/// Where earlier readings are kept. `store::Cache` is the real one; without any, every byte is read.
pub trait Readings: Sync {
    /// The digest of a file in exactly this state.
    fn digest(&self, state: &FileState) -> Option<Sha256>;
    /// Notes the digest of a file that was in this state before and after it was read.
    fn note_digest(&self, state: &FileState, sha256: &Sha256);
    /// What was found in a table of these bytes, read in this way.
    fn table(&self, sha256: &Sha256, way: &str) -> Option<Table>;
    /// Notes what was found in a table.
    fn note_table(&self, sha256: &Sha256, way: &str, table: &Table);
}
