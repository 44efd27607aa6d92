//! Reading files: one pass that hashes, and copies and inspects where asked.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use super::along::Along;
use super::content::ContentError;
use super::copies::Copies;
use super::reading::{Opened, Stat, stat};
use super::readings::{FileState, Readings};
use super::stand_in::{STAND_IN_BYTES_MAX, StandIn};
use super::together::{BUFFERS, Together};
use crate::context::Observer;
use crate::digest::{Hasher, Kind, Sha256};
use crate::files::{FileError, PageBuffer, Temporary};
use crate::inspect::{self, InspectError, Inspection};

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

/// One file to read.
pub(super) struct Task<'r, 'a> {
    pub(super) path: PathBuf,
    pub(super) keep: bool,
    /// The name under which it is inspected, if it is.
    pub(super) inspect_as: Option<String>,
    pub(super) beside: Beside<'r, 'a>,
}

/// What else is done with a file while it is read.
#[derive(Clone, Copy)]
pub(super) enum Beside<'r, 'a> {
    Nothing,
    /// Its rows are read, among those of other files, by all cores.
    RowsOfMany,
    /// Its rows are read, and whoever hashes them may take its bytes along.
    Rows(&'r Along<'a>),
}

/// What reading a file gave.
pub(super) struct Read {
    pub(super) fingerprint: FileFingerprint,
    pub(super) stat: Stat,
    pub(super) stand_in: Option<StandIn>,
    pub(super) from_cache: bool,
    pub(super) state: Option<FileState>,
    pub(super) kept: Option<Temporary>,
    pub(super) inspected: Option<Result<Inspection, InspectError>>,
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
    let size_bytes = |task: &Task<'_, '_>| fs::metadata(&task.path).map_or(0, |found| found.len());
    let sizes: Vec<u64> = tasks.iter().map(size_bytes).collect();
    for (task, size_bytes) in tasks.iter().zip(&sizes) {
        let times = if task.inspect_as.is_some() { 2 } else { 1 };
        observer.expect_bytes(size_bytes.saturating_mul(times));
    }
    let beside_rows = tasks.iter().any(|task| !matches!(task.beside, Beside::Nothing));
    let together = Together::new(if beside_rows { 2 } else { 1 });
    let inspecting = Mutex::default();
    let read = |made: &(dyn Fn(u64) + Sync)| {
        let (together, inspecting) = (&together, &inspecting);
        let pass = Pass { tasks, copies, readings, observer, together, inspecting, made };
        pass.read_all(&sizes)
    };
    match copies {
        Some(copies) => copies.flushed_while(tasks.iter().filter(|task| task.keep).count(), read),
        None => read(&|_| {}),
    }
}

/// Files from this size on are read one by one, and each is hashed while the next bytes are read (and
/// copied). Smaller ones are read several at a time, and hashed together.
const LARGE_BYTES_MIN: u64 = 4 * 1024 * 1024;

/// A reading of many files by several threads.
struct Pass<'p, 'r, 'a> {
    tasks: &'p [Task<'r, 'a>],
    copies: Option<&'p Copies<'p>>,
    readings: Option<&'p dyn Readings>,
    observer: &'a dyn Observer,
    together: &'p Together,
    /// Held by who inspects: some files are decompressed in memory for that, one at a time.
    inspecting: &'p Mutex<()>,
    /// Told of the bytes of each copy that waits to be flushed.
    made: &'p (dyn Fn(u64) + Sync),
}

impl<'a> Pass<'_, '_, 'a> {
    fn read_all(&self, sizes: &[u64]) -> Result<Vec<Read>, FingerprintError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let groups = self.groups(sizes, cores);
        let threads = cores.min(groups.len());
        let next = AtomicUsize::new(0);
        let first_failed = AtomicUsize::new(usize::MAX);
        let results = Mutex::new(Vec::new());
        let work = || {
            let mut buffers = Vec::new();
            while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                let failed = first_failed.load(Ordering::Relaxed);
                let group = group.iter().copied().filter(|place| *place <= failed);
                for (place, result) in self.read(group, &mut buffers) {
                    if result.is_err() {
                        first_failed.fetch_min(place, Ordering::Relaxed);
                    }
                    lock(&results).push((place, result));
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
        let mut results = results.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        results.sort_by_key(|(place, _)| *place);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// The places of the tasks, in the order in which and as many at a time as they are read.
    fn groups(&self, sizes: &[u64], cores: usize) -> Vec<Vec<usize>> {
        // Those whose rows are read wait for that, so that the others come first.
        let mut order: Vec<usize> = (0..self.tasks.len()).collect();
        order.sort_by_key(|place| matches!(self.tasks[*place].beside, Beside::Rows(_)));
        let most = (order.len() / cores).clamp(1, BUFFERS);
        let is_small = |place: usize| sizes[place] < LARGE_BYTES_MIN;
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for place in order {
            match groups.last_mut() {
                Some(group)
                    if group.len() < most
                        && is_small(place)
                        && group.iter().all(|p| is_small(*p)) =>
                {
                    group.push(place);
                }
                _ => groups.push(vec![place]),
            }
        }
        groups
    }

    /// Reads files, and those that changed meanwhile once more.
    fn read(
        &self,
        places: impl Iterator<Item = usize>,
        buffers: &mut Vec<PageBuffer>,
    ) -> Vec<(usize, Result<Read, FingerprintError>)> {
        let mut results = Vec::new();
        let mut opened = Vec::new();
        for place in places {
            let task = &self.tasks[place];
            match self.readings.and_then(|readings| known(task, readings)) {
                Some(read) => results.push((place, Ok(self.inspected(task, read, None)))),
                None => match self.open(task) {
                    Ok(file) => opened.push((place, file)),
                    Err(error) => results.push((place, Err(error))),
                },
            }
        }
        for (place, result) in self.read_once(opened, buffers) {
            let task = &self.tasks[place];
            let again = || {
                let opened = vec![(place, self.open(task)?)];
                let second = self.read_once(opened, buffers).pop().map(|(_, read)| read);
                let changed = || FingerprintError::Changed { path: task.path.clone() };
                second.unwrap_or(Ok(None))?.ok_or_else(changed)
            };
            let result = result.and_then(|read| read.map_or_else(again, Ok));
            if let (Some(readings), Ok(read)) = (self.readings, &result) {
                note(task, readings, read);
            }
            results.push((place, result));
        }
        results
    }

    fn open(&self, task: &Task<'_, '_>) -> Result<Opened<'a>, FingerprintError> {
        Opened::new(&task.path, self.copies.filter(|_| task.keep), self.observer)
    }

    /// Reads files to their ends: one of any size, or several small ones. `None` for what changed
    /// meanwhile.
    fn read_once(
        &self,
        mut opened: Vec<(usize, Opened<'a>)>,
        buffers: &mut Vec<PageBuffer>,
    ) -> Vec<(usize, Result<Option<Read>, FingerprintError>)> {
        let is_large = |opened: &Opened<'_>| opened.size_bytes() >= LARGE_BYTES_MIN;
        let needed =
            if opened.iter().any(|(_, file)| is_large(file)) { BUFFERS } else { opened.len() };
        while buffers.len() < needed {
            buffers.push(PageBuffer::new());
        }
        if let [(_, file)] = &opened[..]
            && is_large(file)
            && let Some((place, file)) = opened.pop()
        {
            return vec![(place, self.read_large(place, file, buffers))];
        }
        let mut lanes: Vec<Lane<'_, 'a>> = opened
            .into_iter()
            .zip(buffers)
            .map(|((place, file), buffer)| Lane::new(place, file, buffer))
            .collect();
        while lanes.iter().any(|lane| lane.read.is_none()) {
            lanes.iter_mut().for_each(Lane::fill);
            Hasher::update_together(lanes.iter_mut().filter_map(Lane::filled).collect());
        }
        let finish = |lane: Lane<'_, 'a>| {
            let held = lane.is_held.then(|| &lane.buffer.as_slice()[..lane.count]);
            let read =
                lane.read.unwrap_or(Ok(())).and_then(|()| self.finish(lane.place, lane.file, held));
            (lane.place, read)
        };
        lanes.into_iter().map(finish).collect()
    }

    fn read_large(
        &self,
        place: usize,
        mut file: Opened<'a>,
        buffers: &mut Vec<PageBuffer>,
    ) -> Result<Option<Read>, FingerprintError> {
        let reading = &mut file.reading;
        match self.tasks[place].beside {
            Beside::Rows(along) => {
                if !self.together.hash(reading, buffers, &|| along.undecided())? {
                    file.reading = along.lend(file.reading)?;
                    self.together.hash(&mut file.reading, buffers, &|| true)?;
                }
            }
            Beside::Nothing | Beside::RowsOfMany => {
                self.together.hash(reading, buffers, &|| true)?;
            }
        }
        self.finish(place, file, None)
    }

    /// What reading a file to its end gave, of which all bytes may still be held.
    fn finish(
        &self,
        place: usize,
        file: Opened<'a>,
        held: Option<&[u8]>,
    ) -> Result<Option<Read>, FingerprintError> {
        let Some(read) = file.finish()? else { return Ok(None) };
        let mut read = self.inspected(&self.tasks[place], read, held);
        if let Some(copy) = &mut read.kept {
            // A large one has been on its way to the disk since it was begun.
            match read.fingerprint.size_bytes < LARGE_BYTES_MIN {
                true => (self.made)(read.fingerprint.size_bytes),
                false => copy.flush_early(),
            }
        }
        Ok(Some(read))
    }

    /// Inspects a file where asked: the bytes that are held, or the copy of what was read.
    fn inspected(&self, task: &Task<'_, '_>, read: Read, held: Option<&[u8]>) -> Read {
        let Some(name) = &task.inspect_as else { return read };
        let path = read.kept.as_ref().map_or(task.path.as_path(), Temporary::path);
        let observer = Announced(self.observer);
        let one_at_a_time = lock(self.inspecting);
        let inspected = match held {
            Some(bytes) => inspect::inspect_held(bytes, name, &observer),
            None => inspect::inspect_as(path, name, &observer),
        };
        drop(one_at_a_time);
        Read { inspected: Some(inspected), ..read }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// One of several small files that are read together.
struct Lane<'b, 'a> {
    place: usize,
    file: Opened<'a>,
    buffer: &'b mut PageBuffer,
    /// How many of the buffer's bytes are the file's next ones.
    count: usize,
    /// Whether these are all of its bytes.
    is_held: bool,
    /// Set when it has ended, or cannot be read on.
    read: Option<Result<(), FingerprintError>>,
    is_hashed: bool,
}

impl<'b, 'a> Lane<'b, 'a> {
    fn new(place: usize, file: Opened<'a>, buffer: &'b mut PageBuffer) -> Lane<'b, 'a> {
        Lane { place, file, buffer, count: 0, is_held: true, read: None, is_hashed: true }
    }

    /// Reads until the buffer is full or the file ends.
    fn fill(&mut self) {
        if self.read.is_some() {
            return;
        }
        self.is_held = self.count == 0;
        self.count = 0;
        self.is_hashed = false;
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
}

/// Passes on how far an inspection is, whose bytes are expected already.
struct Announced<'a>(&'a dyn Observer);

impl Observer for Announced<'_> {
    fn read_bytes(&self, bytes: u64) {
        self.0.read_bytes(bytes);
    }

    fn interrupted(&self) -> bool {
        self.0.interrupted()
    }
}

/// The digest of a file that is unchanged since it was read earlier. Small files are always read: that
/// takes no longer, and they may be stand-ins. So are files whose bytes are wanted.
fn known(task: &Task<'_, '_>, readings: &dyn Readings) -> Option<Read> {
    if task.keep {
        return None;
    }
    let metadata = fs::metadata(&task.path).ok()?;
    if metadata.len() <= STAND_IN_BYTES_MAX as u64 {
        return None;
    }
    let sha256 = readings.digest(&FileState::of(&metadata)?)?;
    Some(Read {
        fingerprint: FileFingerprint { sha256, size_bytes: metadata.len() },
        stat: stat(&metadata),
        stand_in: None,
        from_cache: true,
        state: None,
        kept: None,
        inspected: None,
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
