//! What is kept of each row: digests of its key and of its other cells, and its place.

use std::sync::atomic::{AtomicU64, Ordering};

use super::pairing::Pairing;
use super::{JoinError, Side, Source};
use crate::compare::ReadingError;
use crate::digest::{Hasher, Sha256};
use crate::table::RowCells;

/// Rows are dealt out by the first bits of their key's digest, so that rows of one key are in the same
/// bucket of both tables, and each bucket is sorted and joined by itself.
const BUCKETS: usize = 64;

/// The rows of a table. Each bucket is in the order of its keys, and rows of one key in their own.
pub(super) struct KeyedRows {
    pub(super) buckets: Vec<Vec<KeyedRow>>,
    pub(super) count: u64,
    pub(super) null_keys: u64,
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyedRow {
    /// The first 128 bits of the digest of its key.
    pub(super) key: [u64; 2],
    /// Its place in the table.
    pub(super) place: u64,
    /// The first 128 bits of the digest of its other cells.
    pub(super) cells: [u64; 2],
}

/// Rows whose key stood earlier in their table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Repeated {
    /// How many they are.
    pub(super) count: u64,
    /// The first of them, after the row that has its key first.
    pub(super) first: (u64, u64),
}

/// Reads both tables, each on a thread of its own.
pub(super) fn read_both(
    left: &Source<'_>,
    right: &Source<'_>,
    pairing: &Pairing,
    rows_max: u64,
) -> Result<(KeyedRows, KeyedRows), JoinError> {
    let seen = AtomicU64::new(0);
    let limit = Limit { seen: &seen, rows_max };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| read(left, pairing, Side::Left, &limit));
        let rows_right = read(right, pairing, Side::Right, &limit);
        let rows_left = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((rows_left?, rows_right?))
    })
}

/// Counts the rows of both tables together.
struct Limit<'a> {
    seen: &'a AtomicU64,
    rows_max: u64,
}

impl Limit<'_> {
    fn add(&self, rows: u64) -> Result<(), JoinError> {
        match self.seen.fetch_add(rows, Ordering::Relaxed).saturating_add(rows) {
            seen if seen > self.rows_max => Err(JoinError::TooManyRows { limit: self.rows_max }),
            _ => Ok(()),
        }
    }
}

fn read(
    source: &Source<'_>,
    pairing: &Pairing,
    side: Side,
    limit: &Limit<'_>,
) -> Result<KeyedRows, JoinError> {
    let columns = pairing.columns(side);
    let mut cells = RowCells::new(&source.schema_of(columns)?).map_err(ReadingError::from)?;
    let mut rows = KeyedRows { buckets: vec![Vec::new(); BUCKETS], count: 0, null_keys: 0 };
    let mut bytes = Vec::new();
    for batch in source.read(columns)? {
        let batch = batch?;
        limit.add(batch.num_rows() as u64)?;
        cells.push_batch(&batch).map_err(ReadingError::from)?;
        for row in 0..batch.num_rows() {
            let (mut key, mut null_key) = (Hasher::new(), false);
            bytes.clear();
            for column in 0..pairing.key_width {
                let start = bytes.len();
                cells.cell(column, row, &mut bytes).map_err(ReadingError::from)?;
                null_key |= bytes.get(start) == Some(&0);
            }
            key.update(&bytes);
            bytes.clear();
            for column in pairing.key_width..columns.len() {
                cells.cell(column, row, &mut bytes).map_err(ReadingError::from)?;
            }
            rows.push(halves(&key.finish()), halves(&Sha256::of(&bytes)));
            rows.null_keys += u64::from(null_key);
        }
    }
    for bucket in &mut rows.buckets {
        bucket.sort_unstable();
    }
    Ok(rows)
}

impl KeyedRows {
    fn push(&mut self, key: [u64; 2], cells: [u64; 2]) {
        let row = KeyedRow { key, place: self.count, cells };
        self.buckets[key[0] as usize % BUCKETS].push(row);
        self.count += 1;
    }

    /// The rows whose key stood earlier, if there are any.
    pub(super) fn repeated(&self) -> Option<Repeated> {
        let mut found: Option<Repeated> = None;
        for bucket in &self.buckets {
            for group in bucket.chunk_by(|a, b| a.key == b.key) {
                let [first, second, ..] = group else { continue };
                let pair = (first.place, second.place);
                let found = found.get_or_insert(Repeated { count: 0, first: pair });
                found.count += group.len() as u64 - 1;
                if pair.1 < found.first.1 {
                    found.first = pair;
                }
            }
        }
        found
    }
}

/// The first 128 bits of a digest.
fn halves(digest: &Sha256) -> [u64; 2] {
    let mut halves = [0; 2];
    for (half, bytes) in halves.iter_mut().zip(digest.as_bytes().as_chunks::<8>().0) {
        *half = u64::from_le_bytes(*bytes);
    }
    halves
}
