//! Reading files: one pass that hashes, and copies and inspects where asked.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use super::along::Along;
use super::copies::Copies;
use super::file::{Beside, FileFingerprint, FingerprintError, Read, Task};
use super::lanes::{self, Lane};
use super::reading::{Opened, stat};
use super::readings::{FileState, Readings};
use super::stand_in::STAND_IN_BYTES_MAX;
use crate::context::Observer;
use crate::digest::Blake3Hasher;
use crate::files::{PageBuffer, Temporary};
use crate::inspect;

/// What all files have in common.
pub(super) struct Asked<'p> {
    /// Where copies of those that are kept are made.
    pub(super) copies: Option<&'p Copies<'p>>,
    pub(super) readings: Option<&'p dyn Readings>,
    /// Set as long as all cores read the rows of tables.
    pub(super) rows_are_read: &'p AtomicBool,
}

/// Reads all files on as many threads as there are cores; results are in the order of the tasks,
/// and of several errors the first in that order is returned.
pub(super) fn read_all<'a>(
    tasks: &[Task<'_, 'a>],
    asked: &Asked<'_>,
    observer: &'a dyn Observer,
) -> Result<Vec<Read>, FingerprintError> {
    let size_bytes = |task: &Task<'_, '_>| fs::metadata(&task.path).map_or(0, |found| found.len());
    let sizes: Vec<u64> = tasks.iter().map(size_bytes).collect();
    for (task, size_bytes) in tasks.iter().zip(&sizes) {
        let times = if task.inspect_as.is_some() { 2 } else { 1 };
        observer.expect_bytes(size_bytes.saturating_mul(times));
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let read = |made: &(dyn Fn(u64) + Sync)| {
        let inspecting = Mutex::default();
        let Asked { copies, readings, rows_are_read } = *asked;
        let pass =
            Pass { tasks, copies, readings, rows_are_read, observer, cores, inspecting, made };
        pass.read_all(&sizes)
    };
    match asked.copies {
        Some(copies) => copies.flushed_while(tasks.iter().filter(|task| task.keep).count(), read),
        None => read(&|_| {}),
    }
}

/// Files from this size on are read one by one, and each is hashed by another thread while its next bytes are
/// read (and copied), unless all cores are busy. Smaller ones are read several at a time, and hashed together.
const LARGE_BYTES_MIN: u64 = 4 * 1024 * 1024;

/// So many small files are read by one thread at once.
const SMALL_AT_ONCE: usize = 4;

/// So many large files are read by one thread at once while all cores are busy.
const LARGE_AT_ONCE: usize = 2;

/// With more cores, rows would be done before one thread has hashed as many bytes, and the time be that of the
/// files. Computed from the speeds of one stream and of several, not measured.
const BUSY_CORES_MAX: usize = 4;

/// A reading of many files by several threads.
struct Pass<'p, 'r, 'a> {
    tasks: &'p [Task<'r, 'a>],
    copies: Option<&'p Copies<'p>>,
    readings: Option<&'p dyn Readings>,
    /// Set as long as all cores read the rows of tables.
    rows_are_read: &'p AtomicBool,
    observer: &'a dyn Observer,
    cores: usize,
    /// Held by who inspects: some files are decompressed in memory for that, one at a time.
    inspecting: Mutex<()>,
    /// Told of the bytes of each copy that waits to be flushed.
    made: &'p (dyn Fn(u64) + Sync),
}

impl<'a> Pass<'_, '_, 'a> {
    fn read_all(&self, sizes: &[u64]) -> Result<Vec<Read>, FingerprintError> {
        let groups = self.groups(sizes);
        let threads = self.cores.min(groups.len());
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
    fn groups(&self, sizes: &[u64]) -> Vec<Vec<usize>> {
        // Those that others take along wait for these, so that the others come first.
        let takes_along = |place: usize| matches!(self.tasks[place].beside, Beside::RowsAlong(_));
        let mut order: Vec<usize> = (0..self.tasks.len()).collect();
        order.sort_by_key(|place| takes_along(*place));
        let is_large = |place: usize| sizes[place] >= LARGE_BYTES_MIN;
        let small_at_once = (order.len() / self.cores).clamp(1, SMALL_AT_ONCE);
        let at_once = |place: usize| match (is_large(place), self.is_busy(place)) {
            (false, _) => small_at_once,
            (true, true) if !takes_along(place) => LARGE_AT_ONCE,
            (true, _) => 1,
        };
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for place in order {
            let last = groups.last_mut().filter(|group| {
                group.len() < at_once(place)
                    && group.iter().all(|other| is_large(*other) == is_large(place))
                    && group.iter().all(|other| at_once(*other) == at_once(place))
            });
            match last {
                Some(group) => group.push(place),
                None => groups.push(vec![place]),
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
        let copies = self.copies.filter(|_| task.keep);
        let mut opened = Opened::new(&task.path, copies, self.observer)?;
        opened.reading.blake3 = matches!(task.beside, Beside::Blake3).then(Blake3Hasher::new);
        Ok(opened)
    }

    /// Reads files to their ends. `None` for what changed meanwhile.
    fn read_once(
        &self,
        mut opened: Vec<(usize, Opened<'a>)>,
        buffers: &mut Vec<PageBuffer>,
    ) -> Vec<(usize, Result<Option<Read>, FingerprintError>)> {
        if let [(place, file)] = &opened[..]
            && let Beside::RowsAlong(along) = self.tasks[*place].beside
            && file.size_bytes() >= LARGE_BYTES_MIN
            && let Some((place, file)) = opened.pop()
        {
            return vec![(place, self.read_along(place, file, along))];
        }
        while buffers.len() < opened.len() {
            buffers.push(PageBuffer::new());
        }
        let places: Vec<usize> = opened.iter().map(|(place, _)| *place).collect();
        let are_large = opened.iter().any(|(_, file)| file.size_bytes() >= LARGE_BYTES_MIN);
        let lanes =
            opened.into_iter().zip(buffers).map(|((_, file), buffer)| Lane::new(file, buffer));
        let mut lanes: Vec<Lane<'_, 'a>> = lanes.collect();
        lanes::hash_together(&mut lanes, &|| !are_large || places.iter().all(|p| self.is_busy(*p)));
        lanes::hash_apart(&mut lanes);
        let finish = |(place, lane): (usize, Lane<'_, 'a>)| {
            (place, lane.finish(|file, held| self.finish(place, file, held)))
        };
        places.iter().copied().zip(lanes).map(finish).collect()
    }

    fn read_along(
        &self,
        place: usize,
        file: Opened<'a>,
        along: &Along<'a>,
    ) -> Result<Option<Read>, FingerprintError> {
        self.finish(place, file.read_by(|reading| lanes::hash_along(reading, along))?, None)
    }

    /// Whether all cores read rows, so that a file is read and hashed by one thread, whose caches then hold
    /// the bytes. On many cores there is one for each.
    fn is_busy(&self, place: usize) -> bool {
        let few = self.cores <= BUSY_CORES_MAX || matches!(self.tasks[place].beside, Beside::Rows);
        few && self.rows_are_read.load(Ordering::Relaxed)
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
        let one_at_a_time = lock(&self.inspecting);
        let inspected = match held {
            Some(bytes) => inspect::inspect_held(bytes, name, &observer),
            None => inspect::inspect_as(path, name, &observer),
        };
        drop(one_at_a_time);
        Read { inspected: Some(inspected), ..read }
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
        blake3: None,
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
