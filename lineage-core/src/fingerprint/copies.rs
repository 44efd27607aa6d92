//! Copies of files that are made while these are read, and flushed while others are.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;

use super::file::{FingerprintError, Read};
use crate::files::{FileError, FileSystem, Temporary};

/// Where copies of files are made: temporaries in a folder of the object store's file system.
pub(crate) struct Copies<'a> {
    folder: &'a Path,
    random_hex: &'a (dyn Fn() -> String + Sync),
    read_only: bool,
    cannot_clone: AtomicBool,
    /// Opened before the first copy is written.
    file_system: Option<FileSystem>,
}

/// So many copies are flushed together, by flushing all of their file system.
const TOGETHER_MIN: usize = 16;

/// So many bytes of them are flushed while others are read.
const TOGETHER_BYTES: u64 = 64 * 1024 * 1024;

impl<'a> Copies<'a> {
    /// If `read_only` is set, nobody else can write to the copies.
    pub(crate) fn new(
        folder: &'a Path,
        random_hex: &'a (dyn Fn() -> String + Sync),
        read_only: bool,
    ) -> Self {
        let (cannot_clone, file_system) = (AtomicBool::new(false), FileSystem::of(folder));
        Copies { folder, random_hex, read_only, cannot_clone, file_system }
    }

    fn path(&self) -> PathBuf {
        self.folder.join((self.random_hex)())
    }

    pub(super) fn try_clone(&self, source: &Path) -> Option<Temporary> {
        if self.cannot_clone.load(Ordering::Relaxed) {
            return None;
        }
        let cloned = Temporary::clone_of(source, self.path());
        self.cannot_clone.store(cloned.is_none(), Ordering::Relaxed);
        cloned
    }

    pub(super) fn create(&self) -> Result<Temporary, FileError> {
        match self.read_only {
            true => Temporary::create_read_only(self.path()),
            false => Temporary::create(self.path()),
        }
    }

    /// Calls `read`, which makes as many copies and tells the bytes of each. If they are many, they are
    /// flushed meanwhile and in the end; otherwise it is left to whoever puts them in place.
    pub(super) fn flushed_while(
        &self,
        copies: usize,
        read: impl FnOnce(&(dyn Fn(u64) + Sync)) -> Result<Vec<Read>, FingerprintError>,
    ) -> Result<Vec<Read>, FingerprintError> {
        let Some(file_system) = self.file_system.as_ref().filter(|_| copies >= TOGETHER_MIN) else {
            return read(&|_| {});
        };
        let all_bytes = AtomicU64::new(0);
        let (mut read, flushed) = std::thread::scope(|scope| {
            let (wake, woken) = mpsc::sync_channel(1);
            let flushing =
                scope.spawn(move || woken.into_iter().all(|()| file_system.flush().is_ok()));
            let made = |bytes| {
                let before = all_bytes.fetch_add(bytes, Ordering::Relaxed);
                if before / TOGETHER_BYTES < (before + bytes) / TOGETHER_BYTES {
                    // If a flush is waited for already, that takes these bytes too.
                    let _ = wake.try_send(());
                }
            };
            let read = read(&made);
            drop(wake);
            (read, flushing.join().unwrap_or(false))
        });
        // After a failure each is flushed by itself when it is put in place, and tells its own.
        if let Ok(read) = &mut read
            && flushed
            && file_system.flush().is_ok()
        {
            file_system.note_flushed(read.iter_mut().filter_map(|read| read.kept.as_mut()));
        }
        read
    }
}
