//! Rows of two tables, matched by their keys.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::KeyedOptions;
use super::pairing::Pairing;
use super::rows::{KeyedRow, KeyedRows};

/// How the rows of two tables match.
pub(super) struct Matched {
    pub(super) unchanged: u64,
    pub(super) added: u64,
    pub(super) removed: u64,
    pub(super) changed: u64,
    /// Changed rows: places in the left and in the right table. Only some of them, if they are too many.
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

/// Matches the rows of two tables, in each of which every key is unique.
pub(super) fn matched(
    left: &KeyedRows,
    right: &KeyedRows,
    options: &KeyedOptions,
    pairing: &Pairing,
) -> Matched {
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
    for (left, right) in left.buckets.iter().zip(&right.buckets) {
        matched.merge(left, right);
    }
    matched
}

impl Matched {
    /// Goes through two buckets in the order of their keys.
    fn merge(&mut self, mut left: &[KeyedRow], mut right: &[KeyedRow]) {
        while let ([row_left, rest_left @ ..], [row_right, rest_right @ ..]) = (left, right) {
            match row_left.key.cmp(&row_right.key) {
                Ordering::Less => {
                    self.remove(row_left);
                    left = rest_left;
                }
                Ordering::Greater => {
                    self.add(row_right);
                    right = rest_right;
                }
                Ordering::Equal => {
                    match row_left.cells == row_right.cells {
                        true => self.unchanged += 1,
                        false => self.change(row_left.place, row_right.place),
                    }
                    (left, right) = (rest_left, rest_right);
                }
            }
        }
        left.iter().for_each(|row| self.remove(row));
        right.iter().for_each(|row| self.add(row));
    }

    fn remove(&mut self, row: &KeyedRow) {
        self.removed += 1;
        self.first_removed.offer((row.place, 0));
    }

    fn add(&mut self, row: &KeyedRow) {
        self.added += 1;
        self.first_added.offer((row.place, 0));
    }

    fn change(&mut self, left: u64, right: u64) {
        self.changed += 1;
        self.first_changed.offer((left, right));
        if self.changed_rows.len() < self.changed_rows_max {
            self.changed_rows.push((left, right));
        }
    }
}
