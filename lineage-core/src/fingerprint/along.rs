//! Hashing a table's file while its rows are hashed.
//!
//! SHA-256 of one stream leaves most of a core's time unused ([`Hasher::update_together`]). So whoever
//! hashes rows takes some of the file's bytes along: as many as the rows are of the whole, so that both
//! end at the same time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::file::{FingerprintError, Reading};
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
    rows_ended: bool,
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

    /// Whether rows are being hashed.
    pub(super) fn begun(&self) -> bool {
        self.row_bytes.load(Ordering::Relaxed) > 0
    }

    /// Lends a reading to those who hash the rows, until these or the file end.
    pub(super) fn lend(&self, reading: Reading<'a>) -> Result<Reading<'a>, FingerprintError> {
        let mut place = self.place();
        place.reading = Some(reading);
        loop {
            if (place.rows_ended || place.ended.is_some())
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
        let hashed = self.row_bytes.fetch_add(size_bytes, Ordering::Relaxed) + size_bytes;
        // Whoever has the file meanwhile takes what is due along then.
        let Ok(mut place) = self.place.try_lock() else { return Hasher::update_together(rows) };
        let Place { reading: Some(reading), ended: ended @ None, .. } = &mut *place else {
            return Hasher::update_together(rows);
        };
        let read = self.file_bytes.load(Ordering::Relaxed);
        let due = u128::from(read.saturating_sub(reading.size_bytes()));
        // Spread evenly over the rows, with something to catch up.
        let share = u128::from(size_bytes) * u128::from(read) / u128::from(hashed.max(1));
        let wanted = usize::try_from(due.min(share + share / 4)).unwrap_or(usize::MAX);
        if wanted == 0 {
            return Hasher::update_together(rows);
        }
        let buffer = buffer.as_mut_slice();
        let wanted = wanted.min(buffer.len());
        match reading.next(&mut buffer[..wanted]) {
            Ok(count) if count > 0 => {
                let file = (reading.hasher(), &buffer[..count]);
                return Hasher::update_together(rows.into_iter().chain([file]).collect());
            }
            result => *ended = Some(result.map(|_| ())),
        }
        self.left.notify_all();
        Hasher::update_together(rows);
    }

    /// Calls `read`, which reads the rows; after it nobody takes part any more.
    pub(super) fn while_read<T>(&self, read: impl FnOnce() -> T) -> T {
        struct End<'l, 'a>(&'l Along<'a>);
        impl Drop for End<'_, '_> {
            fn drop(&mut self) {
                self.0.place().rows_ended = true;
                self.0.left.notify_all();
            }
        }
        let _end = End(self);
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

    /// Waits until a reading is lent, and hashes rows of the given length with it.
    fn hash_rows(along: &Along<'_>, rows: &mut Hasher, row_bytes: &[u8]) {
        while along.place().reading.is_none() {
            std::thread::yield_now();
        }
        along.hash(vec![(rows, row_bytes)], &mut PageBuffer::new());
    }

    #[test]
    fn a_file_is_hashed_along_with_rows_as_far_as_these_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        let bytes: Vec<u8> = (0..3_000_017_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
        fs::write(&path, &bytes).unwrap();
        let row_bytes = vec![7; 100_000];
        for parts in [1_u64, 10, 40] {
            let along = Along::new(&Silent);
            let mut rows = Hasher::new();
            let lent = std::thread::scope(|scope| {
                let lender = scope.spawn(|| along.lend(reading(&path, &Silent)));
                along.while_read(|| {
                    for _ in 0..parts {
                        along.read_bytes(100_000);
                        hash_rows(&along, &mut rows, &row_bytes);
                        if parts == 40 && along.place().ended.is_some() {
                            break;
                        }
                    }
                });
                lender.join().unwrap()
            });
            let mut lent = lent.unwrap();
            let taken = lent.size_bytes();
            assert_eq!(taken, (parts * 100_000).min(bytes.len() as u64));
            let rest = &bytes[taken as usize..];
            lent.hasher().update(rest);
            assert_eq!(lent.hasher().clone().finish(), Sha256::of(&bytes));
            assert!(rows.finish() == Sha256::of(&row_bytes.repeat(parts as usize)) || parts == 40);
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
        fs::write(&path, [1; 1000]).unwrap();
        let stopped = Stopped(AtomicBool::new(true));
        let along = Along::new(&stopped);
        let mut rows = Hasher::new();
        std::thread::scope(|scope| {
            let lender = scope.spawn(|| along.lend(reading(&path, &stopped)));
            along.read_bytes(1000);
            hash_rows(&along, &mut rows, &[2; 1000]);
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
