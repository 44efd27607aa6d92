//! How the bytes of files come to be hashed, which is the slowest part of reading them.
//!
//! SHA-256 of one stream leaves most of a core's time unused ([`Hasher::update_together`]). So one thread
//! takes several files at once, as long as there are several, and no core is free to hash one of them while
//! another reads its next bytes.

use std::sync::mpsc;

use super::along::Along;
use super::file::FingerprintError;
use super::reading::{Opened, Reading};
use crate::digest::Hasher;
use crate::files::PageBuffer;

/// How many buffers go back and forth between reading and hashing.
const BESIDE_BUFFERS: usize = 4;

/// One of several files that a thread reads at once.
pub(super) struct Lane<'b, 'a> {
    file: Opened<'a>,
    buffer: &'b mut PageBuffer,
    /// How many of the buffer's bytes are the file's last ones that were read.
    count: usize,
    /// Whether these are all of its bytes.
    is_held: bool,
    is_hashed: bool,
    /// Set when it has ended, or cannot be read on.
    read: Option<Result<(), FingerprintError>>,
}

impl<'b, 'a> Lane<'b, 'a> {
    pub(super) fn new(file: Opened<'a>, buffer: &'b mut PageBuffer) -> Lane<'b, 'a> {
        Lane { file, buffer, count: 0, is_held: true, is_hashed: true, read: None }
    }

    /// Reads until the buffer is full or the file ends.
    fn fill(&mut self) {
        if self.read.is_some() {
            return;
        }
        self.is_held = self.count == 0;
        (self.count, self.is_hashed) = (0, false);
        let buffer = self.buffer.as_mut_slice();
        while self.read.is_none() && self.count < buffer.len() {
            match self.file.reading.next(&mut buffer[self.count..]) {
                Ok(0) => self.read = Some(Ok(())),
                Ok(count) => self.count += count,
                Err(error) => self.read = Some(Err(error)),
            }
        }
    }

    /// What was read and is not hashed.
    fn filled(&mut self) -> Option<(&mut Hasher, &[u8])> {
        if std::mem::replace(&mut self.is_hashed, true) {
            return None;
        }
        Some((self.file.reading.hasher(), &self.buffer.as_slice()[..self.count]))
    }

    /// Gives the file, and all of its bytes if they are still held, to `finish`.
    pub(super) fn finish<T>(
        self,
        finish: impl FnOnce(Opened<'a>, Option<&[u8]>) -> Result<T, FingerprintError>,
    ) -> Result<T, FingerprintError> {
        self.read.unwrap_or(Ok(()))?;
        let held = self.is_held.then(|| &self.buffer.as_slice()[..self.count]);
        finish(self.file, held)
    }
}

/// Reads files and hashes them together, to their ends or as long as `more` says so.
pub(super) fn hash_together(lanes: &mut [Lane<'_, '_>], more: &dyn Fn() -> bool) {
    while lanes.iter().any(|lane| lane.read.is_none()) && more() {
        lanes.iter_mut().for_each(Lane::fill);
        Hasher::update_together(lanes.iter_mut().filter_map(Lane::filled).collect());
    }
}

/// Reads what is left of files, each on a thread of its own while another hashes it.
pub(super) fn hash_apart(lanes: &mut [Lane<'_, '_>]) {
    let left = lanes.iter_mut().filter(|lane| lane.read.is_none());
    std::thread::scope(|scope| {
        let mut left = left.map(|lane| {
            move || {
                lane.is_held = false;
                lane.read = Some(hash_beside(&mut lane.file.reading));
            }
        });
        let own = left.next();
        left.for_each(|other| drop(scope.spawn(other)));
        own.into_iter().for_each(|mut hash| hash());
    });
}

/// Hashes a file as far as those do who hash its rows, and then what they left.
pub(super) fn hash_along<'a>(
    mut reading: Reading<'a>,
    along: &Along<'a>,
) -> Result<Reading<'a>, FingerprintError> {
    let mut buffer = PageBuffer::new();
    while along.undecided() {
        let count = reading.next(buffer.as_mut_slice())?;
        if count == 0 {
            return Ok(reading);
        }
        reading.hasher().update(&buffer.as_slice()[..count]);
    }
    let mut reading = along.lend(reading)?;
    hash_beside(&mut reading)?;
    Ok(reading)
}

fn hash_beside(reading: &mut Reading<'_>) -> Result<(), FingerprintError> {
    let (full, filled) = mpsc::channel::<(PageBuffer, usize)>();
    let (empty, emptied) = mpsc::channel();
    for _ in 0..BESIDE_BUFFERS {
        let _ = empty.send(PageBuffer::new());
    }
    let mut hasher = std::mem::take(reading.hasher());
    *reading.hasher() = std::thread::scope(|scope| {
        let hashing = scope.spawn(move || {
            for (buffer, count) in filled {
                hasher.update(&buffer.as_slice()[..count]);
                // Nobody takes it back after the end of the file.
                let _ = empty.send(buffer);
            }
            hasher
        });
        let read = (|| {
            while let Ok(mut buffer) = emptied.recv() {
                let count = reading.next(buffer.as_mut_slice())?;
                if count == 0 || full.send((buffer, count)).is_err() {
                    break;
                }
            }
            Ok::<_, FingerprintError>(())
        })();
        drop(full);
        match hashing.join() {
            Ok(hasher) => read.map(|()| hasher),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;

    use super::*;
    use crate::context::{Observer, Silent};
    use crate::digest::Sha256;
    use crate::files::{BUFFER_BYTES, FileError};

    /// Whole buffers, parts of them, and nothing; two that are long.
    const LENGTHS: [usize; 6] =
        [12 * BUFFER_BYTES + 17, 0, BUFFER_BYTES, 1, 20 * BUFFER_BYTES, BUFFER_BYTES + 1];

    fn files(folder: &tempfile::TempDir) -> Vec<(std::path::PathBuf, Vec<u8>)> {
        let file = |length: usize| {
            let path = folder.path().join(length.to_string());
            let bytes: Vec<u8> = (0..length).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
            fs::write(&path, &bytes).unwrap();
            (path, bytes)
        };
        LENGTHS.into_iter().map(file).collect()
    }

    #[test]
    fn files_that_are_read_together_and_then_apart_have_their_own_digests() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(&folder);
        for rounds_together in [0, 1, 2, 5, 1000] {
            let mut buffers: Vec<_> = files.iter().map(|_| PageBuffer::new()).collect();
            let lanes = files.iter().zip(&mut buffers).map(|((path, _), buffer)| {
                Lane::new(Opened::new(path, None, &Silent).unwrap(), buffer)
            });
            let mut lanes: Vec<_> = lanes.collect();
            let rounds = Cell::new(0);
            hash_together(&mut lanes, &|| rounds.replace(rounds.get() + 1) < rounds_together);
            hash_apart(&mut lanes);
            for (lane, (_, bytes)) in lanes.into_iter().zip(&files) {
                let whole = lane.finish(|file, held| {
                    // What is held is the whole file, and short files are, if they were read in one go.
                    assert!(held.is_none_or(|held| held == bytes));
                    assert_eq!(held.is_some(), rounds_together > 0 && bytes.len() < BUFFER_BYTES);
                    Ok(file.finish()?.unwrap().fingerprint)
                });
                let whole = whole.unwrap();
                let expected = (Sha256::of(bytes), bytes.len() as u64);
                assert_eq!((whole.sha256, whole.size_bytes), expected);
            }
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
        let files = files(&folder);
        for together in [true, false] {
            let mut buffers: Vec<_> = files.iter().map(|_| PageBuffer::new()).collect();
            let mut lanes = Vec::new();
            for (place, ((path, _), buffer)) in files.iter().zip(&mut buffers).enumerate() {
                let observer: &dyn Observer = if place == 4 { &Stopped } else { &Silent };
                lanes.push(Lane::new(Opened::new(path, None, observer).unwrap(), buffer));
            }
            hash_together(&mut lanes, &|| together);
            hash_apart(&mut lanes);
            for (place, (lane, (_, bytes))) in lanes.into_iter().zip(&files).enumerate() {
                match lane.finish(|file, _| Ok(file.finish()?.unwrap().fingerprint.sha256)) {
                    Ok(sha256) => assert!(place != 4 && sha256 == Sha256::of(bytes)),
                    Err(FingerprintError::File(FileError::Interrupted)) => assert_eq!(place, 4),
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}
