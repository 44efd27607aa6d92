//! Reading files: one pass that hashes, and copies where asked.

use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};

use super::along::Along;
use super::content::ContentError;
use super::readings::{FileState, Readings};
use super::stand_in::{STAND_IN_BYTES_MAX, StandIn};
use crate::context::Observer;
use crate::digest::{Blake3, Blake3Hasher, Hasher, Kind, Sha256};
use crate::files::{self, FileError, PageBuffer, Temporary};

/// The digest and size of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFingerprint {
    /// SHA-256 of all bytes.
    pub sha256: Sha256,
    /// How many bytes that is.
    pub size_bytes: u64,
}

/// Why something cannot be fingerprinted.
#[derive(Debug, thiserror::Error)]
pub enum FingerprintError {
    /// Only regular files and directories have fingerprints.
    #[error("{path} is {what}, not a regular file or a directory", path = path.display())]
    NotRegular {
        /// The path named.
        path: PathBuf,
        /// What it is, e.g. `a named pipe`.
        what: &'static str,
    },
    /// The file changed while it was read, twice.
    #[error("{path} changed while it was read", path = path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A directory that cannot be an artifact or a dataset.
    #[error("{path}: {problem}", path = path.display())]
    Directory {
        /// The offending entry.
        path: PathBuf,
        /// What is wrong with it.
        problem: DirectoryProblem,
    },
    /// An exclusion is not a glob.
    #[error("\"{glob}\" is not a valid glob: {reason}")]
    Glob {
        /// As given.
        glob: String,
        /// Why not.
        reason: String,
    },
    /// A file that was declared to be a table is not one, or not that one; or a folder's files are
    /// not one table.
    #[error("{path}: {problem}", path = path.display())]
    Table {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        problem: Box<ContentError>,
    },
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
}

impl FingerprintError {
    /// What went wrong when the rows of the table at `path` were read.
    pub(crate) fn of_table(path: &Path, problem: ContentError) -> FingerprintError {
        let path = path.to_owned();
        match problem {
            ContentError::File(error) => error.into(),
            ContentError::Changed => FingerprintError::Changed { path },
            problem => FingerprintError::Table { path, problem: Box::new(problem) },
        }
    }
}

/// What is wrong with an entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryProblem {
    /// Nothing in it, or nothing left after the exclusions.
    #[error("the directory holds no files")]
    Empty,
    /// A name that is not UTF-8.
    #[error("the name is not valid UTF-8")]
    NotUtf8,
    /// A symlink that leads out of the directory, is absolute, or leads nowhere.
    #[error("the symlink leads out of the directory or nowhere")]
    EscapingLink,
    /// A symlink to a directory.
    #[error("a symlink to a directory cannot be part of an artifact")]
    LinkToDirectory,
    /// A device, socket or named pipe.
    #[error("it is {0}, not a regular file")]
    Special(&'static str),
    /// Something that is hardly meant to be part of a model.
    #[error("a \"{0}\" folder is hardly part of it")]
    Unwanted(&'static str),
}

/// Where copies of files are made: temporaries in a folder of the object store's file system.
pub(crate) struct Copies<'a> {
    folder: &'a Path,
    random_hex: &'a (dyn Fn() -> String + Sync),
    cannot_clone: AtomicBool,
}

impl<'a> Copies<'a> {
    pub(crate) fn new(folder: &'a Path, random_hex: &'a (dyn Fn() -> String + Sync)) -> Self {
        Copies { folder, random_hex, cannot_clone: AtomicBool::new(false) }
    }

    fn path(&self) -> PathBuf {
        self.folder.join((self.random_hex)())
    }

    fn try_clone(&self, source: &Path) -> Option<Temporary> {
        if self.cannot_clone.load(Ordering::Relaxed) {
            return None;
        }
        let cloned = Temporary::clone_of(source, self.path());
        self.cannot_clone.store(cloned.is_none(), Ordering::Relaxed);
        cloned
    }
}

/// One file to read.
pub(super) struct Task<'r, 'a> {
    pub(super) path: PathBuf,
    pub(super) keep: bool,
    pub(super) beside: Beside<'r, 'a>,
}

/// What else is done with a file while it is read.
#[derive(Clone, Copy)]
pub(super) enum Beside<'r, 'a> {
    Nothing,
    /// BLAKE3 is taken too, by whoever reads.
    Blake3,
    /// Its rows are read, among those of other files, by all cores.
    RowsOfMany,
    /// Its rows are read, and whoever hashes them may take its bytes along.
    Rows(&'r Along<'a>),
}

/// What reading a file gave.
pub(super) struct Read {
    pub(super) fingerprint: FileFingerprint,
    pub(super) blake3: Option<Blake3>,
    pub(super) stat: Stat,
    pub(super) stand_in: Option<StandIn>,
    pub(super) from_cache: bool,
    pub(super) state: Option<FileState>,
    pub(super) kept: Option<Temporary>,
}

/// Whether the path names a regular file or a directory; anything else is an error, found without
/// opening it, so that a named pipe cannot hang us.
pub(super) fn kind_of(path: &Path) -> Result<Kind, FingerprintError> {
    let metadata = fs::metadata(path).map_err(FileError::io("find", path))?;
    match (metadata.is_dir(), special(&metadata)) {
        (true, _) => Ok(Kind::Directory),
        (false, None) => Ok(Kind::File),
        (false, Some(what)) => Err(FingerprintError::NotRegular { path: path.to_owned(), what }),
    }
}

/// What a file is that is neither regular nor a directory.
pub(super) fn special(metadata: &Metadata) -> Option<&'static str> {
    if metadata.is_file() {
        return None;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        let kind = metadata.file_type();
        if kind.is_fifo() {
            return Some("a named pipe");
        } else if kind.is_socket() {
            return Some("a socket");
        } else if kind.is_char_device() || kind.is_block_device() {
            return Some("a device");
        }
    }
    Some("a special file")
}

/// Reads all files on as many threads as there are cores; results are in the order of the tasks,
/// and of several errors the first in that order is returned.
pub(super) fn read_all<'a>(
    tasks: &[Task<'_, 'a>],
    copies: Option<&Copies<'_>>,
    readings: Option<&dyn Readings>,
    observer: &'a dyn Observer,
) -> Result<Vec<Read>, FingerprintError> {
    for task in tasks {
        observer.expect_bytes(fs::metadata(&task.path).map_or(0, |metadata| metadata.len()));
    }
    // Those whose rows are read wait for that, so that the others come first.
    let mut order: Vec<usize> = (0..tasks.len()).collect();
    order.sort_by_key(|index| matches!(tasks[*index].beside, Beside::Rows(_)));
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(tasks.len());
    let next = AtomicUsize::new(0);
    let first_failed = AtomicUsize::new(usize::MAX);
    let results: Mutex<Vec<(usize, Result<Read, FingerprintError>)>> = Mutex::new(Vec::new());
    let work = || {
        let mut buffer = PageBuffer::new();
        while let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (index, task) = (*index, &tasks[*index]);
            if index > first_failed.load(Ordering::Relaxed) {
                continue;
            }
            let result = match readings.and_then(|readings| known(task, readings)) {
                Some(read) => Ok(read),
                None => read_stable(task, copies, &mut buffer, observer),
            };
            if let (Some(readings), Ok(read)) = (readings, &result) {
                note(task, readings, read);
            }
            if result.is_err() {
                first_failed.fetch_min(index, Ordering::Relaxed);
            }
            results.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((index, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let mut results = results.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// The digest of a file that is unchanged since it was read earlier. Small files are always read: that
/// takes no longer, and they may be stand-ins. So are files whose bytes are wanted.
fn known(task: &Task<'_, '_>, readings: &dyn Readings) -> Option<Read> {
    let metadata = fs::metadata(&task.path).ok()?;
    if task.keep || metadata.len() <= STAND_IN_BYTES_MAX as u64 {
        return None;
    }
    let sha256 = readings.digest(&FileState::of(&metadata)?)?;
    let fingerprint = FileFingerprint { sha256, size_bytes: metadata.len() };
    let stat = stat(&metadata);
    Some(Read {
        fingerprint,
        blake3: None,
        stat,
        stand_in: None,
        from_cache: true,
        state: None,
        kept: None,
    })
}

/// Notes a digest if the file's state is still that of before it was read.
fn note(task: &Task<'_, '_>, readings: &dyn Readings, read: &Read) {
    let now = || FileState::of(&fs::metadata(&task.path).ok()?);
    if let Some(state) = read.state.filter(|state| Some(*state) == now())
        && state.size_bytes > STAND_IN_BYTES_MAX as u64
    {
        readings.note_digest(&state, &read.fingerprint.sha256);
    }
}

/// Reads a file; if it changed meanwhile, once more.
fn read_stable<'a>(
    task: &Task<'_, 'a>,
    copies: Option<&Copies<'_>>,
    buffer: &mut PageBuffer,
    observer: &'a dyn Observer,
) -> Result<Read, FingerprintError> {
    match read_once(task, copies, buffer, observer)? {
        Some(read) => Ok(read),
        None => read_once(task, copies, buffer, observer)?
            .ok_or_else(|| FingerprintError::Changed { path: task.path.clone() }),
    }
}

/// What must not change while a file is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stat {
    size_bytes: u64,
    modified: Option<std::time::SystemTime>,
    inode: u64,
}

pub(super) fn stat(metadata: &Metadata) -> Stat {
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Stat { size_bytes: metadata.len(), modified: metadata.modified().ok(), inode }
}

/// Whether an open file is as it was before it was read, and still lies at its path.
pub(super) fn unchanged(file: &File, path: &Path, before: &Stat) -> Result<bool, FileError> {
    let now = file.metadata().map_err(FileError::io("inspect", path))?;
    Ok(stat(&now) == *before && fs::metadata(path).is_ok_and(|now| stat(&now) == *before))
}

/// Reads a file once; `None` when it changed meanwhile.
fn read_once<'a>(
    task: &Task<'_, 'a>,
    copies: Option<&Copies<'_>>,
    buffer: &mut PageBuffer,
    observer: &'a dyn Observer,
) -> Result<Option<Read>, FingerprintError> {
    let path = &task.path;
    let source = open(path)?;
    let opened = source.metadata().map_err(FileError::io("inspect", path))?;
    if let Some(what) = special(&opened) {
        return Err(FingerprintError::NotRegular { path: path.clone(), what });
    }
    let before = stat(&opened);
    let state = FileState::of(&opened);
    let copies = copies.filter(|_| task.keep);
    // A clone is a snapshot: what is hashed is then exactly what is kept.
    let clone = copies.and_then(|copies| copies.try_clone(path));
    let file = match &clone {
        Some(clone) => open(clone.path())?,
        None => source.try_clone().map_err(FileError::io("read", path))?,
    };
    let copy = match copies.filter(|_| clone.is_none()) {
        Some(copies) => Some(Temporary::create(copies.path())?),
        None => None,
    };
    let mut reading = Reading::new(path, file, copy, observer);
    reading.blake3 = matches!(task.beside, Beside::Blake3).then(Blake3Hasher::new);
    match task.beside {
        Beside::Rows(along) if before.size_bytes >= OVERLAP_BYTES_MIN => {
            reading = hash_along(reading, along, buffer)?;
        }
        Beside::Nothing | Beside::Blake3 if before.size_bytes >= OVERLAP_BYTES_MIN => {
            hash_beside(&mut reading)?
        }
        _ => hash_here(&mut reading, buffer)?,
    }
    let Reading { mut copy, head, hasher, blake3, size_bytes, .. } = reading;
    if let Some(copy) = &mut copy {
        copy.close();
    }
    let (kept, sha256) = (clone.or(copy), hasher.finish());
    if size_bytes != before.size_bytes || !unchanged(&source, path, &before)? {
        return Ok(None);
    }
    let stand_in =
        if size_bytes <= STAND_IN_BYTES_MAX as u64 { StandIn::detect(&head) } else { None };
    let fingerprint = FileFingerprint { sha256, size_bytes };
    let blake3 = blake3.map(|hasher| hasher.finish());
    Ok(Some(Read { fingerprint, blake3, stat: before, stand_in, from_cache: false, state, kept }))
}

/// A file that is read from its beginning to its end.
pub(super) struct Reading<'a> {
    path: PathBuf,
    file: File,
    copy: Option<Temporary>,
    /// The first bytes, as many as a stand-in may have.
    head: Vec<u8>,
    hasher: Hasher,
    /// Where BLAKE3 is taken too.
    blake3: Option<Blake3Hasher>,
    size_bytes: u64,
    observer: &'a dyn Observer,
}

impl<'a> Reading<'a> {
    /// A reading that begins, and writes what it reads to `copy`.
    pub(super) fn new(
        path: &Path,
        file: File,
        copy: Option<Temporary>,
        observer: &'a dyn Observer,
    ) -> Reading<'a> {
        let path = path.to_owned();
        Reading {
            path,
            file,
            copy,
            head: Vec::new(),
            hasher: Hasher::new(),
            blake3: None,
            size_bytes: 0,
            observer,
        }
    }

    /// Reads the next bytes, at most as many as the buffer holds, none at the end, and copies them
    /// and takes their BLAKE3 where asked. SHA-256 is left to the caller: it takes longer than all of this,
    /// so that another thread does it at the same time.
    pub(super) fn next(&mut self, buffer: &mut [u8]) -> Result<usize, FingerprintError> {
        if self.observer.interrupted() {
            return Err(FileError::Interrupted.into());
        }
        let count = loop {
            match self.file.read(buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                result => break result.map_err(FileError::io("read", &self.path))?,
            }
        };
        let bytes = &buffer[..count];
        if let Some(copy) = &mut self.copy {
            copy.write(bytes)?;
        }
        if let Some(blake3) = &mut self.blake3 {
            blake3.update(bytes);
        }
        if self.head.len() < STAND_IN_BYTES_MAX {
            let missing = STAND_IN_BYTES_MAX - self.head.len();
            self.head.extend_from_slice(&bytes[..count.min(missing)]);
        }
        self.size_bytes += count as u64;
        self.observer.read_bytes(count as u64);
        Ok(count)
    }

    /// Takes the bytes that were read.
    pub(super) fn hasher(&mut self) -> &mut Hasher {
        &mut self.hasher
    }

    /// How much was read.
    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Reads and hashes the next bytes; `false` at the end.
    fn hash_next(&mut self, buffer: &mut PageBuffer) -> Result<bool, FingerprintError> {
        let count = self.next(buffer.as_mut_slice())?;
        self.hasher.update(&buffer.as_slice()[..count]);
        Ok(count > 0)
    }
}

/// Files from this size on are hashed by a thread of their own while the next bytes are read (and
/// copied): hashing is the slowest part, and one stream cannot use two cores for it. Those of a table are
/// hashed along with its rows, if these keep all cores busy.
const OVERLAP_BYTES_MIN: u64 = 4 * 1024 * 1024;

/// How many buffers go back and forth between reading and hashing.
const OVERLAP_BUFFERS: usize = 4;

fn hash_here(reading: &mut Reading<'_>, buffer: &mut PageBuffer) -> Result<(), FingerprintError> {
    while reading.hash_next(buffer)? {}
    Ok(())
}

fn hash_along<'a>(
    mut reading: Reading<'a>,
    along: &Along<'a>,
    buffer: &mut PageBuffer,
) -> Result<Reading<'a>, FingerprintError> {
    while along.undecided() {
        if !reading.hash_next(buffer)? {
            return Ok(reading);
        }
    }
    let mut reading = along.lend(reading)?;
    hash_beside(&mut reading)?;
    Ok(reading)
}

fn hash_beside(reading: &mut Reading<'_>) -> Result<(), FingerprintError> {
    let (full, filled) = mpsc::channel::<(PageBuffer, usize)>();
    let (empty, emptied) = mpsc::channel();
    for _ in 0..OVERLAP_BUFFERS {
        let _ = empty.send(PageBuffer::new());
    }
    let mut hasher = std::mem::take(&mut reading.hasher);
    reading.hasher = std::thread::scope(|scope| {
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

pub(super) fn open(path: &Path) -> Result<File, FingerprintError> {
    Ok(files::open_to_read(path).map_err(FileError::io("read", path))?)
}
