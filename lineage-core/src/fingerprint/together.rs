//! Hashing large files: each while its next bytes are read, and several together.
//!
//! Hashing is the slowest part of reading a file, and one stream cannot use two cores for it; so a thread
//! of its own does it. SHA-256 of one stream leaves most of a core's time unused
//! ([`Hasher::update_together`]). Where all cores are busy, one thread therefore takes the bytes of two
//! files at once, for little more time than those of one.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};

use super::file::FingerprintError;
use super::reading::Reading;
use crate::digest::Hasher;
use crate::files::PageBuffer;

/// How many buffers go back and forth between reading and hashing a file.
pub(super) const BUFFERS: usize = 4;

/// Files that are hashed at the same time.
pub(super) struct Together {
    /// How many of them one thread takes at once.
    at_once: usize,
    lanes: Mutex<Vec<Lane>>,
    changed: Condvar,
}

/// One of the files.
struct Lane {
    number: usize,
    /// None while a thread has it.
    hasher: Option<Hasher>,
    filled: VecDeque<(PageBuffer, usize)>,
    empty: Vec<PageBuffer>,
    /// Nothing more will be filled.
    ended: bool,
}

/// The next bytes of a file, in the hands of a thread.
struct Taken {
    number: usize,
    hasher: Hasher,
    buffer: PageBuffer,
    count: usize,
}

impl Lane {
    fn take(&mut self) -> Option<Taken> {
        if self.filled.is_empty() {
            return None;
        }
        let hasher = self.hasher.take()?;
        let (buffer, count) = self.filled.pop_front()?;
        Some(Taken { number: self.number, hasher, buffer, count })
    }
}

impl Together {
    pub(super) fn new(at_once: usize) -> Together {
        Together { at_once, lanes: Mutex::default(), changed: Condvar::new() }
    }

    fn lanes(&self) -> MutexGuard<'_, Vec<Lane>> {
        self.lanes.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn wait<'l>(&self, lanes: MutexGuard<'l, Vec<Lane>>) -> MutexGuard<'l, Vec<Lane>> {
        self.changed.wait(lanes).unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Reads and hashes a file as long as `more` says so; `true` at its end. The buffers are used
    /// meanwhile.
    pub(super) fn hash(
        &self,
        reading: &mut Reading<'_>,
        buffers: &mut Vec<PageBuffer>,
        more: &dyn Fn() -> bool,
    ) -> Result<bool, FingerprintError> {
        let (empty, hasher) = (std::mem::take(buffers), std::mem::take(reading.hasher()));
        let number = self.begin(hasher, empty);
        let read = std::thread::scope(|scope| {
            let ending = Ending(self, number);
            scope.spawn(|| self.hash_lane(number));
            let read = self.read(number, reading, more);
            drop(ending);
            read
        });
        if let Some(lane) = self.leave(number) {
            *buffers = lane.empty;
            *reading.hasher() = lane.hasher.unwrap_or_default();
        }
        read
    }

    fn begin(&self, hasher: Hasher, empty: Vec<PageBuffer>) -> usize {
        let mut lanes = self.lanes();
        let number = lanes.iter().map(|lane| lane.number + 1).max().unwrap_or(0);
        let (filled, ended) = (VecDeque::new(), false);
        lanes.push(Lane { number, hasher: Some(hasher), filled, empty, ended });
        number
    }

    fn leave(&self, number: usize) -> Option<Lane> {
        let mut lanes = self.lanes();
        let place = lanes.iter().position(|lane| lane.number == number)?;
        Some(lanes.swap_remove(place))
    }

    fn read(
        &self,
        number: usize,
        reading: &mut Reading<'_>,
        more: &dyn Fn() -> bool,
    ) -> Result<bool, FingerprintError> {
        while more() {
            let mut buffer = self.empty(number);
            let read = reading.next(buffer.as_mut_slice());
            let count = *read.as_ref().unwrap_or(&0);
            self.give(number, buffer, count);
            if read? == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits for a buffer.
    fn empty(&self, number: usize) -> PageBuffer {
        let mut lanes = self.lanes();
        loop {
            let lane = lanes.iter_mut().find(|lane| lane.number == number);
            if let Some(buffer) = lane.and_then(|lane| lane.empty.pop()) {
                return buffer;
            }
            lanes = self.wait(lanes);
        }
    }

    fn give(&self, number: usize, buffer: PageBuffer, count: usize) {
        let mut lanes = self.lanes();
        if let Some(lane) = lanes.iter_mut().find(|lane| lane.number == number) {
            match count {
                0 => lane.empty.push(buffer),
                _ => lane.filled.push_back((buffer, count)),
            }
        }
        self.changed.notify_all();
    }

    /// Hashes the bytes of one file until it ends, and those of others along with them.
    fn hash_lane(&self, number: usize) {
        let mut lanes = self.lanes();
        loop {
            let Some(own) = lanes.iter_mut().find(|lane| lane.number == number) else { return };
            let Some(first) = own.take() else {
                if own.ended && own.hasher.is_some() {
                    return;
                }
                lanes = self.wait(lanes);
                continue;
            };
            let mut taken = vec![first];
            taken.extend(lanes.iter_mut().filter_map(Lane::take).take(self.at_once - 1));
            drop(lanes);
            let bytes = taken
                .iter_mut()
                .map(|taken| (&mut taken.hasher, &taken.buffer.as_slice()[..taken.count]));
            Hasher::update_together(bytes.collect());
            lanes = self.lanes();
            for Taken { number, hasher, buffer, .. } in taken {
                if let Some(lane) = lanes.iter_mut().find(|lane| lane.number == number) {
                    lane.hasher = Some(hasher);
                    lane.empty.push(buffer);
                }
            }
            self.changed.notify_all();
        }
    }
}

/// Ends a lane however its reading ends, since somebody waits for that.
struct Ending<'t>(&'t Together, usize);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let mut lanes = self.0.lanes();
        if let Some(lane) = lanes.iter_mut().find(|lane| lane.number == self.1) {
            lane.ended = true;
        }
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::Path;

    use super::*;
    use crate::context::{Observer, Silent};
    use crate::digest::Sha256;
    use crate::files::FileError;

    fn buffers() -> Vec<PageBuffer> {
        (0..BUFFERS).map(|_| PageBuffer::new()).collect()
    }

    fn reading<'a>(path: &Path, observer: &'a dyn Observer) -> Reading<'a> {
        Reading::new(path, File::open(path).unwrap(), None, observer)
    }

    #[test]
    fn files_of_any_lengths_have_their_own_digests() {
        let folder = tempfile::tempdir().unwrap();
        let files = [3_000_017_usize, 0, 262_144, 1, 5_300_000, 262_145].map(|length| {
            let path = folder.path().join(length.to_string());
            let bytes: Vec<u8> = (0..length).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
            fs::write(&path, &bytes).unwrap();
            (path, Sha256::of(&bytes))
        });
        for at_once in [1, 2, 4] {
            let together = Together::new(at_once);
            std::thread::scope(|scope| {
                for (path, digest) in &files {
                    let together = &together;
                    scope.spawn(move || {
                        let (mut reading, mut buffers) = (reading(path, &Silent), buffers());
                        // In two parts, as when the rows of a table take bytes in between.
                        let parts = std::cell::Cell::new(0);
                        let more = || parts.replace(parts.get() + 1) < 5;
                        let ended = together.hash(&mut reading, &mut buffers, &more).unwrap();
                        assert_eq!(ended, reading.size_bytes() <= 4 * 262_144);
                        assert!(together.hash(&mut reading, &mut buffers, &|| true).unwrap());
                        assert_eq!(buffers.len(), BUFFERS);
                        assert_eq!(reading.hasher().clone().finish(), *digest);
                    });
                }
            });
            assert!(together.lanes().is_empty());
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_on_leaves_the_others_alone() {
        struct Stopped;
        impl Observer for Stopped {
            fn interrupted(&self) -> bool {
                true
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        let bytes = vec![1; 3_000_000];
        fs::write(&path, &bytes).unwrap();
        let together = Together::new(2);
        std::thread::scope(|scope| {
            let whole = scope.spawn(|| {
                let mut reading = reading(&path, &Silent);
                together.hash(&mut reading, &mut buffers(), &|| true).unwrap();
                reading.hasher().clone().finish()
            });
            for _ in 0..20 {
                let mut buffers = buffers();
                let hashed = together.hash(&mut reading(&path, &Stopped), &mut buffers, &|| true);
                let error = hashed.unwrap_err();
                assert!(matches!(error, FingerprintError::File(FileError::Interrupted)), "{error}");
                assert_eq!(buffers.len(), BUFFERS);
            }
            assert_eq!(whole.join().unwrap(), Sha256::of(&bytes));
        });
    }

    /// Otherwise the one who hashes would wait for ever.
    #[test]
    fn a_panic_of_who_reads_ends_the_lane() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        fs::write(&path, [1; 1000]).unwrap();
        let together = Together::new(2);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let more = || panic!("as an observer may");
            together.hash(&mut reading(&path, &Silent), &mut buffers(), &more)
        }));
        assert!(panicked.is_err());
        assert!(together.lanes().iter().all(|lane| lane.ended));
    }
}
