//! Hashing the columns of a table on several threads.
//!
//! Two ways, with one result. Where any run of blocks can be read by itself (Parquet), threads take
//! runs and hash each by itself. Where rows come one after another (text, Arrow IPC), threads take pieces,
//! decode them at the same time, and then go through the columns one behind the other, as a wave:
//! columns take a piece when they have taken the piece before.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};

use crate::arrow::array::{ArrayRef, RecordBatch};

use super::along::Along;
use super::content::ContentError;
use crate::context::Observer;
use crate::digest::Hasher;
use crate::files::{FileError, PageBuffer};
use crate::profile::{BlockProfile, BlockProfiler, ColumnProfile, ColumnProfiler, ProfileError};
use crate::table::{
    BLOCK_ROWS, ColumnGrid, ColumnKind, ColumnLeaves, HashTogether, TOGETHER, TableError, Together,
    check_columns,
};

/// The columns of a table by name and kind.
pub(super) type Columns = [(String, ColumnKind)];

pub(super) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A table, or a run of its blocks, on its way to a digest.
pub(super) struct Job<'a> {
    pub(super) columns: &'a Columns,
    pub(super) profile: bool,
    pub(super) observer: &'a dyn Observer,
}

/// What the columns of a table came to.
pub(super) struct Hashed {
    pub(super) rows: u64,
    pub(super) leaves: Vec<ColumnLeaves>,
    /// Of each column, when it was asked for.
    pub(super) profiles: Vec<ColumnProfile>,
}

/// One column of a table, or of a run of its blocks.
struct ColumnWork {
    grid: ColumnGrid,
    profiler: Option<Profiler>,
}

struct Profiler {
    block: BlockProfiler,
    rows: usize,
    block_rows: usize,
    done: Vec<BlockProfile>,
}

impl Profiler {
    fn push(&mut self, kind: &ColumnKind, array: &ArrayRef) -> Result<(), ProfileError> {
        let mut at = 0;
        while at < array.len() {
            let rows = (self.block_rows - self.rows).min(array.len() - at);
            self.block.push(&array.slice(at, rows))?;
            self.rows += rows;
            at += rows;
            if self.rows == self.block_rows {
                self.end_block(kind);
            }
        }
        Ok(())
    }

    fn end_block(&mut self, kind: &ColumnKind) {
        let block = std::mem::replace(&mut self.block, BlockProfiler::new(kind));
        let (profile, scratch) = block.finish_reusing();
        self.block = BlockProfiler::with_scratch(kind, scratch);
        self.done.push(profile);
        self.rows = 0;
    }
}

/// Rows that are profiled together: a block, or less where many columns would take much memory.
fn profile_block_rows(columns: usize) -> usize {
    let most = (BLOCK_ROWS as usize * 64) / columns.max(1);
    let rows = most.clamp(1024, BLOCK_ROWS as usize);
    1 << rows.ilog2()
}

impl ColumnWork {
    fn new(job: &Job<'_>, kind: &ColumnKind) -> ColumnWork {
        let profiler = job.profile.then(|| Profiler {
            block: BlockProfiler::new(kind),
            rows: 0,
            block_rows: profile_block_rows(job.columns.len()),
            done: Vec::new(),
        });
        ColumnWork { grid: ColumnGrid::new(kind.clone()), profiler }
    }

    /// Takes the next rows of some columns: arrays of one length, each with the column's name.
    fn push(
        columns: &mut [(&mut ColumnWork, &str, &ArrayRef)],
        memory: &mut Together,
        hash: &mut HashTogether<'_>,
    ) -> Result<(), ContentError> {
        let grids = columns.iter_mut().map(|(work, _, array)| (&mut work.grid, *array));
        ColumnGrid::push(&mut grids.collect::<Vec<_>>(), memory, hash).map_err(
            |(place, problem)| TableError::Cell { column: columns[place].1.to_owned(), problem },
        )?;
        for (work, _, array) in columns {
            if let Some(profiler) = &mut work.profiler {
                profiler.push(work.grid.kind(), array)?;
            }
        }
        Ok(())
    }

    /// The profiles of the blocks that are whole by now.
    fn profiled(&mut self) -> Vec<BlockProfile> {
        self.profiler.as_mut().map_or_else(Vec::new, |profiler| std::mem::take(&mut profiler.done))
    }

    fn finish(mut self) -> (ColumnLeaves, Vec<BlockProfile>) {
        if let Some(profiler) = self.profiler.as_mut().filter(|profiler| profiler.rows > 0) {
            profiler.end_block(self.grid.kind());
        }
        let profiled = self.profiled();
        (self.grid.finish(), profiled)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The first of several failures in the order of the table, so that the message does not depend on
/// the threads.
struct Failure {
    index: AtomicU64,
    error: Mutex<Option<(u64, ContentError)>>,
}

impl Failure {
    fn none() -> Failure {
        Failure { index: AtomicU64::new(u64::MAX), error: Mutex::new(None) }
    }

    fn note(&self, index: u64, error: ContentError) {
        let mut first = lock(&self.error);
        if first.as_ref().is_none_or(|(known, _)| index < *known) {
            *first = Some((index, error));
            self.index.store(index, Ordering::Release);
        }
    }

    /// Whether what comes after `index` is of no use any more.
    fn is_before(&self, index: u64) -> bool {
        self.index.load(Ordering::Acquire) < index
    }

    fn into_result(self) -> Result<(), ContentError> {
        match self.error.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }
}

fn on_threads(threads: usize, work: impl Fn() + Sync) {
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(&work);
        }
        work();
    });
}

fn check_interrupted(observer: &dyn Observer) -> Result<(), ContentError> {
    if observer.interrupted() {
        return Err(FileError::Interrupted.into());
    }
    Ok(())
}

/// The leaves of a table's columns, and their profiles as far as they are known.
struct Total {
    next_run: usize,
    leaves: Vec<ColumnLeaves>,
    profilers: Vec<ColumnProfiler>,
    /// Runs that were hashed before one that precedes them.
    early: BTreeMap<usize, Vec<(ColumnLeaves, Vec<BlockProfile>)>>,
}

impl Total {
    /// Appends a run, and those after it that were waiting for it.
    fn add(&mut self, index: usize, columns: Vec<(ColumnLeaves, Vec<BlockProfile>)>) {
        self.early.insert(index, columns);
        while let Some(columns) = self.early.remove(&self.next_run) {
            self.next_run += 1;
            for (index, (leaves, blocks)) in columns.into_iter().enumerate() {
                self.leaves[index].append(leaves);
                for block in blocks {
                    self.profilers[index].absorb(block);
                }
            }
        }
    }
}

/// With more threads the rows would be done before one stream among theirs is, and the file be faster on
/// a core of its own. Computed from the speeds of one stream and of four; measured with two threads.
const TAKING_THREADS_MAX: usize = 4;

/// Hashes runs of whole blocks, each on one thread, and on few threads the file along with them. `read`
/// gives the batches of a run.
pub(super) fn by_runs<I>(
    job: &Job<'_>,
    along: &Along<'_>,
    rows: u64,
    runs: impl Iterator<Item = Range<u64>> + Send,
    read: impl Fn(Range<u64>) -> Result<I, ContentError> + Sync,
) -> Result<Hashed, ContentError>
where
    I: Iterator<Item = Result<RecordBatch, ContentError>>,
{
    let runs = Mutex::new(runs.enumerate());
    let failure = Failure::none();
    let total = Mutex::new(Total {
        next_run: 0,
        leaves: job.columns.iter().map(|_| ColumnLeaves::default()).collect(),
        profilers: profilers(job),
        early: BTreeMap::new(),
    });
    let takes_file = threads() <= TAKING_THREADS_MAX;
    let hash = |run: Range<u64>, memory: &mut Together, buffer: &mut PageBuffer| {
        let mut works: Vec<_> =
            job.columns.iter().map(|(_, kind)| ColumnWork::new(job, kind)).collect();
        for batch in read(run)? {
            check_interrupted(job.observer)?;
            let batch = batch?;
            let columns = works.iter_mut().zip(job.columns).zip(batch.columns());
            let columns = columns.map(|((work, (name, _)), array)| (work, name.as_str(), array));
            for together in columns.collect::<Vec<_>>().chunks_mut(TOGETHER) {
                ColumnWork::push(together, memory, &mut |rows| match takes_file {
                    true => along.hash(rows, buffer),
                    false => Hasher::update_together(rows),
                })?;
            }
        }
        Ok::<Vec<_>, ContentError>(works.into_iter().map(ColumnWork::finish).collect())
    };
    let blocks = usize::try_from(rows.div_ceil(BLOCK_ROWS)).unwrap_or(usize::MAX);
    on_threads(threads().min(blocks), || {
        let (mut memory, mut buffer) = (Together::default(), PageBuffer::new());
        loop {
            let Some((index, run)) = lock(&runs).next() else {
                // From now on a core is free for the file alone.
                along.close();
                break;
            };
            if failure.is_before(index as u64) {
                break;
            }
            match hash(run, &mut memory, &mut buffer) {
                Ok(columns) => lock(&total).add(index, columns),
                Err(error) => failure.note(index as u64, error),
            }
        }
    });
    failure.into_result()?;
    let total = total.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    Ok(Hashed { rows, leaves: total.leaves, profiles: finished(job, total.profilers) })
}

fn profilers(job: &Job<'_>) -> Vec<ColumnProfiler> {
    job.columns.iter().map(|(_, kind)| ColumnProfiler::new(kind.clone())).collect()
}

fn finished(job: &Job<'_>, profilers: Vec<ColumnProfiler>) -> Vec<ColumnProfile> {
    match job.profile {
        true => profilers.into_iter().map(ColumnProfiler::finish).collect(),
        false => Vec::new(),
    }
}

/// Columns that are hashed together, and the piece that they take next.
struct Turn {
    next: u64,
    columns: Vec<(ColumnWork, ColumnProfiler)>,
}

/// The rows of a piece: for each column an array, or nothing when the column is not to be hashed.
pub(super) struct Decoded {
    pub(super) rows: usize,
    pub(super) columns: Vec<Option<ArrayRef>>,
}

impl Decoded {
    /// All columns of a batch, which must be those of the table.
    pub(super) fn whole(columns: &Columns, batch: &RecordBatch) -> Result<Decoded, ContentError> {
        check_columns(columns, batch.schema_ref())?;
        let arrays = batch.columns().iter().cloned().map(Some).collect();
        Ok(Decoded { rows: batch.num_rows(), columns: arrays })
    }
}

/// Hashes pieces that `next` gives in order, one caller at a time, and `decode` turns into arrays on
/// any thread.
pub(super) fn in_order<P>(
    job: &Job<'_>,
    next: impl FnMut() -> Result<Option<P>, ContentError> + Send,
    decode: impl Fn(P) -> Result<Decoded, ContentError> + Sync,
) -> Result<Hashed, ContentError> {
    let rows = AtomicU64::new(0);
    let turn = |kinds: &Columns| {
        let column = |(_, kind): &(String, ColumnKind)| {
            (ColumnWork::new(job, kind), ColumnProfiler::new(kind.clone()))
        };
        let turn = Turn { next: 0, columns: kinds.iter().map(column).collect() };
        (Mutex::new(turn), Condvar::new())
    };
    // At least as many turns as threads, where there are as many columns.
    let together = job.columns.len().div_ceil(threads()).clamp(1, TOGETHER);
    let turns: Vec<_> = job.columns.chunks(together).map(turn).collect();
    let failure = Failure::none();
    let source = Mutex::new((0, Some(next)));
    let take = || {
        let (index, next) = &mut *lock(&source);
        let taken = next.as_mut().map(|next| next()).transpose();
        let taken = taken.map(Option::flatten);
        if !matches!(taken, Ok(Some(_))) {
            *next = None;
        }
        *index += 1;
        (*index - 1, taken)
    };
    let hash = |index: u64, piece: P, memory: &mut Together| -> Result<(), ContentError> {
        check_interrupted(job.observer)?;
        let decoded = decode(piece)?;
        rows.fetch_add(decoded.rows as u64, Ordering::Relaxed);
        let parts = decoded.columns.chunks(together).zip(job.columns.chunks(together));
        for ((turn, taken), (arrays, names)) in turns.iter().zip(parts) {
            let mut turn = lock(turn);
            while turn.next != index {
                if failure.is_before(index) {
                    return Ok(());
                }
                turn = taken.wait(turn).unwrap_or_else(|poisoned| poisoned.into_inner());
            }
            let works = turn.columns.iter_mut().zip(names).zip(arrays);
            let hashed = works.filter_map(|(((work, _), (name, _)), array)| {
                array.as_ref().map(|array| (work, name.as_str(), array))
            });
            let mut hashed = hashed.collect::<Vec<_>>();
            ColumnWork::push(&mut hashed, memory, &mut Hasher::update_together)?;
            for (work, profiler) in &mut turn.columns {
                work.profiled().into_iter().for_each(|block| profiler.absorb(block));
            }
            turn.next += 1;
            taken.notify_all();
        }
        Ok(())
    };
    let fail = |index: u64, error: ContentError| {
        failure.note(index, error);
        for (turn, taken) in &turns {
            // Whoever looked before the failure was noted is waiting by now.
            drop(lock(turn));
            taken.notify_all();
        }
    };
    on_threads(threads(), || {
        let mut memory = Together::default();
        loop {
            let (index, taken) = take();
            let result = match taken {
                Ok(None) => break,
                Ok(Some(_)) if failure.is_before(index) => break,
                Ok(Some(piece)) => hash(index, piece, &mut memory),
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                fail(index, error);
            }
        }
    });
    failure.into_result()?;
    let (mut leaves, mut profilers) = (Vec::new(), Vec::new());
    for (turn, _) in turns {
        let turn = turn.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        for (work, mut profiler) in turn.columns {
            let (column, blocks) = work.finish();
            blocks.into_iter().for_each(|block| profiler.absorb(block));
            leaves.push(column);
            profilers.push(profiler);
        }
    }
    Ok(Hashed { rows: rows.into_inner(), leaves, profiles: finished(job, profilers) })
}
