//! Rows of two tables, matched by polars.

use std::collections::BinaryHeap;

use polars::prelude::{
    Column, DataFrame, DataFrameJoinOps as _, IntoColumn as _, JoinArgs, JoinType, PolarsError,
    UInt64Chunked,
};

use super::pairing::Pairing;
use super::rows::{Bucket, KeyedRows};
use super::{JoinError, KeyedOptions};
use crate::frames::FramesError;

/// How the rows of two tables match.
pub(super) struct Matched {
    pub(super) unchanged: u64,
    pub(super) added: u64,
    pub(super) removed: u64,
    pub(super) changed: u64,
    /// Changed rows: places in the left and in the right table. The first of them only, if they are too many.
    pub(super) changed_rows: Vec<(u64, u64)>,
    pub(super) changed_rows_max: usize,
    pub(super) first_added: First,
    pub(super) first_removed: First,
    pub(super) first_changed: First,
}

/// The lowest of the pairs that were offered.
pub(super) struct First {
    max: usize,
    heap: BinaryHeap<(u64, u64)>,
}

impl First {
    fn new(max: usize) -> First {
        First { max, heap: BinaryHeap::new() }
    }

    fn offer(&mut self, pair: (u64, u64)) {
        if self.heap.len() < self.max {
            self.heap.push(pair);
        } else if self.heap.peek().is_some_and(|highest| pair < *highest) {
            self.heap.pop();
            self.heap.push(pair);
        }
    }

    pub(super) fn sorted(&self) -> Vec<(u64, u64)> {
        self.heap.clone().into_sorted_vec()
    }
}

pub(super) fn matched(
    left: KeyedRows,
    right: KeyedRows,
    options: &KeyedOptions,
    pairing: &Pairing,
) -> Result<Matched, JoinError> {
    let mut matched = Matched {
        unchanged: 0,
        added: 0,
        removed: 0,
        changed: 0,
        changed_rows: Vec::new(),
        changed_rows_max: options.changed_cells_max / pairing.width().max(1),
        first_added: First::new(options.examples_max),
        first_removed: First::new(options.examples_max),
        first_changed: First::new(options.examples_max),
    };
    for (left, right) in left.buckets.into_iter().zip(right.buckets) {
        matched.join(left, right).map_err(FramesError::from)?;
    }
    Ok(matched)
}

impl Matched {
    fn join(&mut self, left: Bucket, right: Bucket) -> Result<(), PolarsError> {
        const KEY: [&str; 2] = ["key_0", "key_1"];
        let args = JoinArgs::new(JoinType::Full);
        let joined = frame(left)?.join(&frame(right)?, KEY, KEY, args, None)?;
        let column = |name: &str| joined.column(name)?.u64();
        let places = column("row")?.iter().zip(column("row_right")?.iter());
        let cells = column("cells_0")?.iter().zip(column("cells_1")?.iter());
        let cells_right = column("cells_0_right")?.iter().zip(column("cells_1_right")?.iter());
        for ((place, cells), cells_right) in places.zip(cells).zip(cells_right) {
            match place {
                (Some(left), Some(right)) if cells != cells_right => self.change(left, right),
                (Some(_), Some(_)) => self.unchanged += 1,
                (Some(left), None) => {
                    self.removed += 1;
                    self.first_removed.offer((left, 0));
                }
                (None, Some(right)) => {
                    self.added += 1;
                    self.first_added.offer((right, 0));
                }
                (None, None) => {}
            }
        }
        Ok(())
    }

    fn change(&mut self, left: u64, right: u64) {
        self.changed += 1;
        self.first_changed.offer((left, right));
        if self.changed_rows.len() < self.changed_rows_max {
            self.changed_rows.push((left, right));
        }
    }
}

fn frame(bucket: Bucket) -> Result<DataFrame, PolarsError> {
    let height = bucket.row.len();
    let [key_0, key_1] = bucket.key;
    let [cells_0, cells_1] = bucket.cells;
    let columns = [
        ("key_0", key_0),
        ("key_1", key_1),
        ("cells_0", cells_0),
        ("cells_1", cells_1),
        ("row", bucket.row),
    ];
    let column = |(name, values): (&str, _)| -> Column {
        UInt64Chunked::from_vec(name.into(), values).into_column()
    };
    DataFrame::new(height, columns.map(column).into())
}
