//! BLAKE3 of what a pointer serves (`docs/formats/fingerprint.md`, What is served): of every byte, on all
//! cores, each of which reads its own parts.
//!
//! No file is mapped into memory: one that shrinks under a map ends the process.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Input;
use super::directory::{self, encode};
use super::file::{self, FingerprintError};
use super::reading;
use crate::context::Observer;
use crate::digest::{Blake3, Blake3Hasher, Kind, Part};
use crate::files::{FileError, PageBuffer};

/// The BLAKE3 of the file or directory at an input's path.
///
/// An error when it is not of this kind, cannot be read, changes while it is read, or is a directory that
/// cannot be an artifact.
pub(crate) fn blake3(
    input: &Input<'_>,
    kind: Kind,
    observer: &dyn Observer,
) -> Result<Option<Blake3>, FingerprintError> {
    let crew = Crew { observer, part_bytes: PART_BYTES };
    if kind == Kind::File {
        let path = input.path.clone();
        let size_bytes = fs::metadata(&path).map_err(FileError::io("find", &path))?.len();
        return Ok(Some(crew.read_one(&path, size_bytes)?.blake3));
    }
    let walk = directory::walk(input)?;
    let files: Vec<_> = walk.files.iter().map(|f| (f.absolute.clone(), f.size_bytes)).collect();
    let read = crew.read_all(&files)?;
    let named = walk.files.iter().zip(read);
    let named = named.map(|(f, read)| (f.relative.as_str(), read.size_bytes, Some(read.blake3)));
    Ok(of_files(named))
}

/// The BLAKE3 of a directory, from the path, size in bytes and BLAKE3 of each file in the order of the
/// manifest. None when it was not taken of all of them.
pub(crate) fn of_files<'a>(
    files: impl IntoIterator<Item = (&'a str, u64, Option<Blake3>)>,
) -> Option<Blake3> {
    let mut hasher = Blake3Hasher::new();
    for (path, size_bytes, blake3) in files {
        hasher.update(format!("{} {size_bytes} {}\n", blake3?, encode(path)).as_bytes());
    }
    Some(hasher.finish())
}

/// Threads take parts of this size of a large file. It is a power of two of chunks of BLAKE3.
const PART_BYTES: u64 = 1024 * 1024;

/// One file of so many parts is read by several threads. Below, to start them takes longer.
const SHARED_PARTS_MIN: u64 = 2;

/// A file that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Read {
    blake3: Blake3,
    size_bytes: u64,
}

/// The threads that read.
struct Crew<'a> {
    observer: &'a dyn Observer,
    part_bytes: u64,
}

impl Crew<'_> {
    fn is_shared(&self, size_bytes: u64) -> bool {
        size_bytes > self.part_bytes * (SHARED_PARTS_MIN - 1)
    }

    /// A file of about this size.
    fn read_one(&self, path: &Path, size_bytes: u64) -> Result<Read, FingerprintError> {
        self.observer.expect_bytes(size_bytes);
        let threads = if self.is_shared(size_bytes) { cores() } else { 1 };
        self.read(path, threads, &mut PageBuffer::new())
    }

    /// Files of about these sizes: the large ones one after another, each by all threads, and then the
    /// small ones, each by one.
    fn read_all(&self, files: &[(PathBuf, u64)]) -> Result<Vec<Read>, FingerprintError> {
        self.observer.expect_bytes(files.iter().map(|(_, size_bytes)| size_bytes).sum());
        let threads = cores();
        let (large, small): (Vec<usize>, Vec<usize>) =
            (0..files.len()).partition(|index| self.is_shared(files[*index].1));
        let mut buffer = PageBuffer::new();
        let mut read = Vec::with_capacity(files.len());
        for index in large {
            read.push((index, self.read(&files[index].0, threads, &mut buffer)?));
        }
        let own_buffer = || Ok(PageBuffer::new());
        let small = on_threads(threads, small.len(), own_buffer, |buffer, place| {
            let index = small[place];
            self.read(&files[index].0, 1, buffer).map(|read| (index, read))
        })?;
        read.extend(small);
        read.sort_unstable_by_key(|(index, _)| *index);
        Ok(read.into_iter().map(|(_, read)| read).collect())
    }

    /// Reads a file; if it changed meanwhile, once more.
    fn read(
        &self,
        path: &Path,
        threads: usize,
        buffer: &mut PageBuffer,
    ) -> Result<Read, FingerprintError> {
        match self.read_once(path, threads, buffer) {
            Err(FingerprintError::Changed { .. }) => self.read_once(path, threads, buffer),
            result => result,
        }
    }

    fn read_once(
        &self,
        path: &Path,
        threads: usize,
        buffer: &mut PageBuffer,
    ) -> Result<Read, FingerprintError> {
        let mut file = Opened::new(path, self.observer)?;
        let size_bytes = file.size_bytes;
        let blake3 = if threads > 1 && self.is_shared(size_bytes) {
            self.read_parts(&file, threads)?
        } else {
            file.read_whole(buffer)?
        };
        let unchanged = reading::unchanged(&file.file, path, &file.before)?;
        if unchanged { Ok(Read { blake3, size_bytes }) } else { Err(file.changed()) }
    }

    fn read_parts(&self, file: &Opened<'_>, threads: usize) -> Result<Blake3, FingerprintError> {
        let count =
            usize::try_from(file.size_bytes.div_ceil(self.part_bytes)).unwrap_or(usize::MAX);
        let begin = || Ok((file.again()?, PageBuffer::new()));
        let parts = on_threads(threads.min(count), count, begin, |(own, buffer), number| {
            own.read_part(number as u64 * self.part_bytes, self.part_bytes, buffer)
        })?;
        Blake3::of_parts(&parts).ok_or_else(|| file.changed())
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Does pieces of work on several threads, of which this one is one, and gives the results in order. After
/// an error nothing more is begun.
fn on_threads<S, T: Send, E: Send>(
    threads: usize,
    pieces: usize,
    begin: impl Fn() -> Result<S, E> + Sync,
    work: impl Fn(&mut S, usize) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::new();
        let mut state = begin()?;
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            if piece >= pieces {
                return Ok(done);
            }
            match work(&mut state, piece) {
                Ok(result) => done.push((piece, result)),
                Err(error) => {
                    next.store(pieces, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
    };
    let mut done = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(pieces)).map(|_| scope.spawn(take)).collect();
        let mut done = take();
        for other in others {
            let result = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            done = done.and_then(|mut done| {
                done.extend(result?);
                Ok(done)
            });
        }
        done
    })?;
    done.sort_unstable_by_key(|(piece, _)| *piece);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

/// A regular file that is open, and what it was like then.
struct Opened<'a> {
    file: File,
    path: &'a Path,
    before: reading::Stat,
    size_bytes: u64,
    observer: &'a dyn Observer,
}

impl<'a> Opened<'a> {
    fn new(path: &'a Path, observer: &'a dyn Observer) -> Result<Opened<'a>, FingerprintError> {
        let file = reading::open(path)?;
        let metadata = file.metadata().map_err(FileError::io("inspect", path))?;
        if let Some(what) = file::special(&metadata) {
            return Err(FingerprintError::NotRegular { path: path.to_owned(), what });
        }
        let (before, size_bytes) = (reading::stat(&metadata), metadata.len());
        Ok(Opened { file, path, before, size_bytes, observer })
    }

    /// The same file, with a place of its own to read at.
    fn again(&self) -> Result<Opened<'a>, FingerprintError> {
        let again = Opened::new(self.path, self.observer)?;
        if again.before == self.before { Ok(again) } else { Err(self.changed()) }
    }

    fn changed(&self) -> FingerprintError {
        FingerprintError::Changed { path: self.path.to_owned() }
    }

    fn read_whole(&mut self, buffer: &mut PageBuffer) -> Result<Blake3, FingerprintError> {
        let mut hasher = Blake3Hasher::new();
        let mut size_bytes = 0;
        // A file to which another program writes on and on would never end.
        while size_bytes <= self.size_bytes {
            let bytes = self.next(buffer.as_mut_slice())?;
            if bytes.is_empty() {
                break;
            }
            hasher.update(bytes);
            size_bytes += bytes.len() as u64;
        }
        if size_bytes == self.size_bytes { Ok(hasher.finish()) } else { Err(self.changed()) }
    }

    /// The part that begins at byte `start`. After the last one the file must end.
    fn read_part(
        &mut self,
        start: u64,
        part_bytes: u64,
        buffer: &mut PageBuffer,
    ) -> Result<Part, FingerprintError> {
        self.file.seek(SeekFrom::Start(start)).map_err(FileError::io("read", self.path))?;
        let end = self.size_bytes.min(start.saturating_add(part_bytes));
        let mut hasher = Blake3Hasher::of_part(start);
        let mut left = end.saturating_sub(start);
        while left > 0 {
            let room = buffer.as_mut_slice();
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(room.len());
            let bytes = self.next(&mut room[..wanted])?;
            if bytes.is_empty() {
                return Err(self.changed());
            }
            hasher.update(bytes);
            left -= bytes.len() as u64;
        }
        if end == self.size_bytes && !self.next(buffer.as_mut_slice())?.is_empty() {
            return Err(self.changed());
        }
        hasher.finish_part().ok_or_else(|| self.changed())
    }

    /// The next bytes, none at the end.
    fn next<'b>(&mut self, buffer: &'b mut [u8]) -> Result<&'b [u8], FingerprintError> {
        if self.observer.interrupted() {
            return Err(FileError::Interrupted.into());
        }
        let count = loop {
            match self.file.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result.map_err(FileError::io("read", self.path))?,
            }
        };
        self.observer.read_bytes(count as u64);
        Ok(&buffer[..count])
    }
}

#[cfg(test)]
mod tests;
