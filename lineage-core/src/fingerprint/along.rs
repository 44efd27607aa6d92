//! Hashing a table's file while its rows are hashed.
//!
//! SHA-256 of one stream leaves most of a core's time unused ([`Hasher::update_together`]). So whoever
//! hashes rows takes some of the file's bytes along: as many as the rows are of the whole, as long as no
//! core is free to hash them alone.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::file::FingerprintError;
use super::reading::Reading;
use crate::context::{Observer, Step};
use crate::digest::Hasher;
use crate::files::PageBuffer;

/// Watches the reading of a table, and holds the reading of its file as long as others take part.
pub(super) struct Along<'a> {
    observer: &'a dyn Observer,
    place: Mutex<Place<'a>>,
    left: Condvar,
    /// Bytes of the file whose rows were read.
    file_bytes: AtomicU64,
    /// Bytes of rows that were hashed.
    row_bytes: AtomicU64,
}

#[derive(Default)]
struct Place<'a> {
    /// Nobody takes part any more.
    closed: bool,
    reading: Option<Reading<'a>>,
    /// Set when the file has ended, or cannot be read on.
    ended: Option<Result<(), FingerprintError>>,
}

impl<'a> Along<'a> {
    pub(super) fn new(observer: &'a dyn Observer) -> Along<'a> {
        Along {
            observer,
            place: Mutex::default(),
            left: Condvar::new(),
            file_bytes: AtomicU64::new(0),
            row_bytes: AtomicU64::new(0),
        }
    }

    fn place(&self) -> MutexGuard<'_, Place<'a>> {
        self.place.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Whether it is not known yet if anyone will take part.
    pub(super) fn undecided(&self) -> bool {
        self.row_bytes.load(Ordering::Relaxed) == 0 && !self.place().closed
    }

    /// Lends a reading to those who hash the rows, until the file ends or nobody takes part any more.
    pub(super) fn lend(&self, reading: Reading<'a>) -> Result<Reading<'a>, FingerprintError> {
        let mut place = self.place();
        place.reading = Some(reading);
        loop {
            if (place.closed || place.ended.is_some())
                && let Some(reading) = place.reading.take()
            {
                return place.ended.take().unwrap_or(Ok(())).map(|()| reading);
            }
            place = self.left.wait(place).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    /// As [`Hasher::update_together`], and takes bytes of the file along.
    pub(super) fn hash(&self, rows: Vec<(&mut Hasher, &[u8])>, buffer: &mut PageBuffer) {
        let size_bytes = rows.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        let row_bytes = self.row_bytes.fetch_add(size_bytes, Ordering::Relaxed) + size_bytes;
        // Who cannot have it leaves something to catch up.
        let mut place = self.place.try_lock().ok();
        let file = place.as_mut().and_then(|place| {
            let read = self.file_bytes.load(Ordering::Relaxed);
            let even = u128::from(size_bytes) * u128::from(read) / u128::from(row_bytes.max(1));
            self.take(place, read, even + even / 4, buffer)
        });
        Hasher::update_together(rows.into_iter().chain(file).collect());
    }

    /// Takes about as many of the file's bytes as wanted, if as many of those that belong to rows which
    /// were read are left. Reads are of whole pages, and not of so few that they take longer than hashing.
    fn take<'p, 'b>(
        &self,
        place: &'p mut Place<'a>,
        read: u64,
        wanted: u128,
        buffer: &'b mut PageBuffer,
    ) -> Option<(&'p mut Hasher, &'b [u8])> {
        const PAGE_BYTES: usize = 4096;
        const LEAST_BYTES: usize = 8 * PAGE_BYTES;
        let Place { reading: Some(reading), ended: ended @ None, .. } = place else { return None };
        let buffer = buffer.as_mut_slice();
        let left = read.saturating_sub(reading.size_bytes()).min(buffer.len() as u64) as usize;
        let wanted = left.min(usize::try_from(wanted).unwrap_or(usize::MAX).max(LEAST_BYTES));
        let wanted = wanted - wanted % PAGE_BYTES;
        if wanted < LEAST_BYTES {
            return None;
        }
        match reading.next(&mut buffer[..wanted]) {
            Ok(count) if count > 0 => Some((reading.hasher(), &buffer[..count])),
            result => {
                *ended = Some(result.map(|_| ()));
                self.left.notify_all();
                None
            }
        }
    }

    /// Gives the file back to who lent it, and lets nobody take part any more.
    pub(super) fn close(&self) {
        self.place().closed = true;
        self.left.notify_all();
    }

    /// Calls `read`, which reads the rows; after it nobody takes part any more.
    pub(super) fn while_read<T>(&self, read: impl FnOnce() -> T) -> T {
        struct Close<'l, 'a>(&'l Along<'a>);
        impl Drop for Close<'_, '_> {
            fn drop(&mut self) {
                self.0.close();
            }
        }
        let _close = Close(self);
        read()
    }
}

impl Observer for Along<'_> {
    fn step(&self, step: Step) {
        self.observer.step(step);
    }

    fn expect_bytes(&self, bytes: u64) {
        self.observer.expect_bytes(bytes);
    }

    fn read_bytes(&self, bytes: u64) {
        self.file_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.observer.read_bytes(bytes);
    }

    fn waiting(&self, what: &'static str, so_far: Duration) {
        self.observer.waiting(what, so_far);
    }

    fn interrupted(&self) -> bool {
        self.observer.interrupted()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::Path;
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::context::Silent;
    use crate::digest::Sha256;
    use crate::files::FileError;

    fn reading<'a>(path: &Path, observer: &'a dyn Observer) -> Reading<'a> {
        Reading::new(path, File::open(path).unwrap(), None, observer)
    }

    fn wait_for_reading(along: &Along<'_>) {
        while along.place().reading.is_none() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_file_is_hashed_along_with_rows_as_far_as_these_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        let bytes: Vec<u8> = (0..3_000_017_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
        fs::write(&path, &bytes).unwrap();
        let row_bytes = vec![7; 100_000];
        for parts in [1, 10, 40] {
            let along = Along::new(&Silent);
            let mut rows = Hasher::new();
            assert!(along.undecided());
            let lent = std::thread::scope(|scope| {
                let lender = scope.spawn(|| along.lend(reading(&path, &Silent)));
                wait_for_reading(&along);
                along.while_read(|| {
                    for _ in 0..parts {
                        along.read_bytes(100_000);
                        along.hash(vec![(&mut rows, &row_bytes)], &mut PageBuffer::new());
                    }
                });
                lender.join().unwrap()
            });
            assert!(!along.undecided());
            let mut lent = lent.unwrap();
            let (taken, whole) = (lent.size_bytes(), bytes.len() as u64);
            let (least, most) = (parts * 90_000, parts * 100_000);
            assert!((least.min(whole)..=most.min(whole)).contains(&taken), "{parts}: {taken}");
            lent.hasher().update(&bytes[taken as usize..]);
            assert_eq!(lent.hasher().clone().finish(), Sha256::of(&bytes));
            assert_eq!(rows.finish(), Sha256::of(&row_bytes.repeat(parts as usize)));
        }
    }

    #[test]
    fn a_failure_while_the_file_is_lent_reaches_its_owner() {
        struct Stopped(AtomicBool);
        impl Observer for Stopped {
            fn interrupted(&self) -> bool {
                self.0.load(Ordering::Relaxed)
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        fs::write(&path, [1; 50_000]).unwrap();
        let stopped = Stopped(AtomicBool::new(true));
        let along = Along::new(&stopped);
        let mut rows = Hasher::new();
        std::thread::scope(|scope| {
            let lender = scope.spawn(|| along.lend(reading(&path, &stopped)));
            wait_for_reading(&along);
            along.read_bytes(50_000);
            along.hash(vec![(&mut rows, &[2; 1000])], &mut PageBuffer::new());
            let error = lender.join().unwrap().err().unwrap();
            assert!(matches!(error, FingerprintError::File(FileError::Interrupted)), "{error}");
        });
        assert_eq!(rows.finish(), Sha256::of(&[2; 1000]));
    }

    /// Otherwise the owner would wait for ever.
    #[test]
    fn a_panic_of_who_reads_the_rows_gives_the_file_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        fs::write(&path, [1; 1000]).unwrap();
        let along = Along::new(&Silent);
        std::thread::scope(|scope| {
            let lender = scope.spawn(|| along.lend(reading(&path, &Silent)));
            let rows = scope.spawn(|| along.while_read(|| panic!("as a decoder may")));
            assert!(rows.join().is_err());
            assert_eq!(lender.join().unwrap().unwrap().size_bytes(), 0);
        });
    }
}
