//! Hashing the columns of a table on several threads.
//!
//! Two ways, with one result. Where any run of blocks can be read by itself (Parquet), threads take
//! runs and hash them alone. Where rows come one after another (text, Arrow IPC), threads take pieces,
//! decode them at the same time, and then go through the columns one behind the other, as a wave: a
//! column takes a piece when it has taken the piece before.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};

use arrow::array::{ArrayRef, RecordBatch};

use super::content::ContentError;
use crate::context::Observer;
use crate::files::FileError;
use crate::table::{ColumnGrid, ColumnKind, ColumnLeaves, TableError, check_columns};

/// The columns of a table by name and kind.
pub(super) type Columns = [(String, ColumnKind)];

pub(super) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What a column of a table, or of a run of its blocks, comes to.
pub(super) struct ColumnWork {
    grid: ColumnGrid,
}

impl ColumnWork {
    fn new(kind: &ColumnKind) -> ColumnWork {
        ColumnWork { grid: ColumnGrid::new(kind.clone()) }
    }

    fn push(&mut self, name: &str, array: &ArrayRef) -> Result<(), ContentError> {
        let wrong = |problem| TableError::Cell { column: name.to_owned(), problem };
        Ok(self.grid.push(array).map_err(wrong)?)
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

/// Hashes runs of whole blocks, each on one thread. `read` gives the batches of a run.
pub(super) fn by_runs<I>(
    columns: &Columns,
    runs: &[Range<u64>],
    read: impl Fn(Range<u64>) -> Result<I, ContentError> + Sync,
    observer: &dyn Observer,
) -> Result<Vec<ColumnLeaves>, ContentError>
where
    I: Iterator<Item = Result<RecordBatch, ContentError>>,
{
    let next = AtomicUsize::new(0);
    let failure = Failure::none();
    let done: Mutex<Vec<(usize, Vec<ColumnLeaves>)>> = Mutex::new(Vec::new());
    let hash = |run: Range<u64>| -> Result<Vec<ColumnLeaves>, ContentError> {
        let mut works: Vec<_> = columns.iter().map(|(_, kind)| ColumnWork::new(kind)).collect();
        for batch in read(run)? {
            check_interrupted(observer)?;
            let batch = batch?;
            for ((work, array), (name, _)) in works.iter_mut().zip(batch.columns()).zip(columns) {
                work.push(name, array)?;
            }
        }
        Ok(works.into_iter().map(|work| work.grid.finish()).collect())
    };
    on_threads(threads().min(runs.len()), || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(run) = runs.get(index) else { break };
            if failure.is_before(index as u64) {
                break;
            }
            match hash(run.clone()) {
                Ok(leaves) => lock(&done).push((index, leaves)),
                Err(error) => failure.note(index as u64, error),
            }
        }
    });
    failure.into_result()?;
    let mut done = done.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    done.sort_by_key(|(index, _)| *index);
    let mut total: Vec<_> = columns.iter().map(|_| ColumnLeaves::default()).collect();
    for (_, leaves) in done {
        for (total, leaves) in total.iter_mut().zip(leaves) {
            total.append(leaves);
        }
    }
    Ok(total)
}

/// A column and the piece that it takes next.
struct Turn {
    next: u64,
    work: ColumnWork,
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
/// any thread. Gives the number of rows and the leaves.
pub(super) fn in_order<P>(
    columns: &Columns,
    next: impl FnMut() -> Result<Option<P>, ContentError> + Send,
    decode: impl Fn(P) -> Result<Decoded, ContentError> + Sync,
    observer: &dyn Observer,
) -> Result<(u64, Vec<ColumnLeaves>), ContentError> {
    let rows = AtomicU64::new(0);
    let turns: Vec<(Mutex<Turn>, Condvar)> = columns
        .iter()
        .map(|(_, kind)| Turn { next: 0, work: ColumnWork::new(kind) })
        .map(|turn| (Mutex::new(turn), Condvar::new()))
        .collect();
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
    let hash = |index: u64, piece: P| -> Result<(), ContentError> {
        check_interrupted(observer)?;
        let decoded = decode(piece)?;
        rows.fetch_add(decoded.rows as u64, Ordering::Relaxed);
        for (((turn, taken), array), (name, _)) in turns.iter().zip(decoded.columns).zip(columns) {
            let mut turn = lock(turn);
            while turn.next != index {
                if failure.is_before(index) {
                    return Ok(());
                }
                turn = taken.wait(turn).unwrap_or_else(|poisoned| poisoned.into_inner());
            }
            if let Some(array) = array {
                turn.work.push(name, &array)?;
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
        loop {
            let (index, taken) = take();
            let result = match taken {
                Ok(None) => break,
                Ok(Some(_)) if failure.is_before(index) => break,
                Ok(Some(piece)) => hash(index, piece),
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                fail(index, error);
            }
        }
    });
    failure.into_result()?;
    let works = turns.into_iter().map(|(turn, _)| turn.into_inner());
    let works = works.map(|turn| turn.unwrap_or_else(|poisoned| poisoned.into_inner()).work);
    Ok((rows.into_inner(), works.map(|work| work.grid.finish()).collect()))
}
