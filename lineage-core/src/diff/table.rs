//! Two tables by the digests of their columns and row blocks: which columns differ, and in which rows.

use std::collections::HashMap;

use serde::Serialize;

use crate::fingerprint::{Table, Typing};
use crate::table::{BLOCK_ROWS, ColumnDigest, ColumnKind, TableDigest};

/// What differs between two tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableDifference {
    /// Rows of the left table.
    pub rows_left: u64,
    /// Rows of the right table.
    pub rows_right: u64,
    /// Columns of the left table.
    pub columns_left: u64,
    /// Columns of the right table.
    pub columns_right: u64,
    /// Columns that both have with the same kind and values.
    pub columns_same: u64,
    /// Whether the columns that both have stand in another order.
    pub reordered: bool,
    /// So many rows from the first on are known to be the same: the names, kinds and values of all
    /// columns. None when the columns themselves differ.
    pub first_rows_same: Option<u64>,
    /// The columns that differ: those of the left table in its order, then those only the right one has.
    pub columns: Vec<ColumnDifference>,
}

/// A column that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ColumnDifference {
    /// Its name.
    pub name: String,
    /// In what.
    pub change: Change,
    /// Its kind in the left table, when it is there.
    pub type_left: Option<ColumnKind>,
    /// Its kind in the right table, when it is there.
    pub type_right: Option<ColumnKind>,
    /// Nulls in the left table.
    pub nulls_left: Option<u64>,
    /// Nulls in the right table.
    pub nulls_right: Option<u64>,
    /// The blocks of rows that differ, adjacent ones as one; none unless the values are compared.
    pub rows: Option<Vec<RowRange>>,
}

/// In what a column differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Only the right table has it.
    Added,
    /// Only the left table has it.
    Removed,
    /// It is of another kind, so that values are not compared.
    Type,
    /// It has other values, or another number of rows.
    Values,
}

impl Change {
    /// The word in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Change::Added => "added",
            Change::Removed => "removed",
            Change::Type => "type",
            Change::Values => "values",
        }
    }
}

/// Rows `first` to `last`, counted from 0, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "said by the type")]
pub struct RowRange {
    pub first: u64,
    pub last: u64,
}

/// Whether differences say something: not when the kinds of a table were inferred and a column of both
/// has two kinds. Where both were inferred, a column without values differs from one with values.
pub(super) fn comparable(left: &Table, right: &Table) -> bool {
    let inferred = [left, right].map(|table| table.typing == Typing::Inferred);
    let is_empty = |column: &ColumnDigest| column.kind == ColumnKind::Null;
    let mut pairs = paired(&left.digest, &right.digest).into_iter();
    inferred == [false, false]
        || pairs.all(|(left, right)| {
            right.is_none_or(|(_, right)| {
                let one_empty = is_empty(left) || is_empty(right);
                left.kind == right.kind || inferred == [true, true] && one_empty
            })
        })
}

impl TableDifference {
    pub(super) fn of(left: &Table, right: &Table) -> TableDifference {
        let (left, right) = (&left.digest, &right.digest);
        let pairs = paired(left, right);
        let places: Vec<usize> =
            pairs.iter().filter_map(|(_, right)| right.map(|(place, _)| place)).collect();
        let mut difference = TableDifference {
            rows_left: left.rows,
            rows_right: right.rows,
            columns_left: left.columns.len() as u64,
            columns_right: right.columns.len() as u64,
            columns_same: 0,
            reordered: !places.is_sorted(),
            first_rows_same: None,
            columns: Vec::new(),
        };
        for (column, other) in &pairs {
            match other {
                None => difference.columns.push(one_sided(Change::Removed, column)),
                Some((_, other)) if same(column, other) => difference.columns_same += 1,
                Some((_, other)) => difference.columns.push(differing(column, other, left, right)),
            }
        }
        let only_right = right.columns.iter().enumerate().filter(|(at, _)| !places.contains(at));
        difference.columns.extend(only_right.map(|(_, column)| one_sided(Change::Added, column)));
        if !difference.reordered
            && difference.columns.iter().all(|column| column.change == Change::Values)
        {
            difference.first_rows_same = Some(first_rows_same(&pairs, left, right));
        }
        difference
    }

    /// Whether all that differs is known to be rows at the end of the longer table.
    pub fn is_one_longer(&self) -> bool {
        let shorter = self.rows_left.min(self.rows_right);
        self.rows_left != self.rows_right && self.first_rows_same == Some(shorter)
    }
}

/// The columns of the left table, each with its place and column in the right one. Of several columns
/// of one name, the first belongs to the first, the second to the second.
fn paired<'a>(
    left: &'a TableDigest,
    right: &'a TableDigest,
) -> Vec<(&'a ColumnDigest, Option<(usize, &'a ColumnDigest)>)> {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, column) in right.columns.iter().enumerate().rev() {
        places.entry(&column.name).or_default().push(place);
    }
    let columns = left.columns.iter();
    columns
        .map(|column| {
            let place = places.get_mut(column.name.as_str()).and_then(Vec::pop);
            (column, place.map(|place| (place, &right.columns[place])))
        })
        .collect()
}

fn same(left: &ColumnDigest, right: &ColumnDigest) -> bool {
    left.kind == right.kind && left.sha256 == right.sha256
}

fn one_sided(change: Change, column: &ColumnDigest) -> ColumnDifference {
    let (kind, nulls) = (Some(column.kind.clone()), Some(column.nulls));
    let is_left = change == Change::Removed;
    let only = |here: bool| if here { (kind.clone(), nulls) } else { (None, None) };
    let ((type_left, nulls_left), (type_right, nulls_right)) = (only(is_left), only(!is_left));
    let name = column.name.clone();
    ColumnDifference { name, change, type_left, type_right, nulls_left, nulls_right, rows: None }
}

fn differing(
    column: &ColumnDigest,
    other: &ColumnDigest,
    left: &TableDigest,
    right: &TableDigest,
) -> ColumnDifference {
    let same_kind = column.kind == other.kind;
    let rows = left.rows.max(right.rows);
    ColumnDifference {
        name: column.name.clone(),
        change: if same_kind { Change::Values } else { Change::Type },
        type_left: Some(column.kind.clone()),
        type_right: Some(other.kind.clone()),
        nulls_left: Some(column.nulls),
        nulls_right: Some(other.nulls),
        rows: same_kind.then(|| differing_rows(column, other, rows)),
    }
}

/// The blocks whose leaves differ, as rows.
fn differing_rows(left: &ColumnDigest, right: &ColumnDigest, rows: u64) -> Vec<RowRange> {
    let mut ranges: Vec<RowRange> = Vec::new();
    for block in 0..left.leaves.len().max(right.leaves.len()) {
        if left.leaves.get(block) == right.leaves.get(block) {
            continue;
        }
        let first = block as u64 * BLOCK_ROWS;
        let last = (first + BLOCK_ROWS).min(rows).saturating_sub(1);
        match ranges.last_mut() {
            Some(range) if range.last + 1 == first => range.last = last,
            _ => ranges.push(RowRange { first, last }),
        }
    }
    ranges
}

/// The rows before the first block that differs in any column.
fn first_rows_same(
    pairs: &[(&ColumnDigest, Option<(usize, &ColumnDigest)>)],
    left: &TableDigest,
    right: &TableDigest,
) -> u64 {
    let rows = left.rows.min(right.rows);
    let prefix = |(left, right): &(&ColumnDigest, Option<(usize, &ColumnDigest)>)| {
        let right = right.map_or(&[][..], |(_, right)| right.leaves.as_slice());
        left.leaves.iter().zip(right).take_while(|(left, right)| left == right).count() as u64
    };
    let blocks = pairs.iter().map(prefix).min();
    blocks.map_or(rows, |blocks| (blocks * BLOCK_ROWS).min(rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Sha256;
    use crate::fingerprint::TableFormat;

    /// A table whose columns are given by name and the contents of their blocks.
    fn table(rows: u64, typing: Typing, columns: &[(&str, ColumnKind, &[u8])]) -> Table {
        let column = |(name, kind, blocks): &(&str, ColumnKind, &[u8])| ColumnDigest {
            name: (*name).to_owned(),
            kind: kind.clone(),
            nulls: 0,
            sha256: Sha256::of(blocks),
            leaves: blocks.iter().map(|block| Sha256::of(&[*block])).collect(),
        };
        let digest = TableDigest::of(rows, columns.iter().map(column).collect());
        Table { format: TableFormat::Csv, typing, digest, profile: None }
    }

    fn difference(left: &Table, right: &Table) -> TableDifference {
        TableDifference::of(left, right)
    }

    fn ranges(column: &ColumnDifference) -> Vec<(u64, u64)> {
        column.rows.iter().flatten().map(|range| (range.first, range.last)).collect()
    }

    #[test]
    fn adjacent_blocks_are_one_range_that_ends_with_the_table() {
        let left = table(4 * BLOCK_ROWS + 10, Typing::File, &[("a", ColumnKind::Int, b"11111")]);
        let right = table(4 * BLOCK_ROWS + 7, Typing::File, &[("a", ColumnKind::Int, b"12213")]);
        let found = difference(&left, &right);
        let expected = [(BLOCK_ROWS, 3 * BLOCK_ROWS - 1), (4 * BLOCK_ROWS, 4 * BLOCK_ROWS + 9)];
        assert_eq!(ranges(&found.columns[0]), expected);
        assert_eq!(found.first_rows_same, Some(BLOCK_ROWS));
        assert!(!found.is_one_longer());
    }

    #[test]
    fn columns_of_one_name_belong_together_by_their_order() {
        let kind = ColumnKind::Int;
        let left =
            [("a", kind.clone(), &b"1"[..]), ("a", kind.clone(), b"2"), ("b", kind.clone(), b"3")];
        let right = [("a", kind.clone(), &b"1"[..]), ("b", kind.clone(), b"3"), ("a", kind, b"2")];
        let (left, right) = (table(5, Typing::File, &left), table(5, Typing::File, &right));
        let found = difference(&left, &right);
        assert_eq!((found.columns_same, found.reordered), (3, true));
        assert_eq!(found.first_rows_same, None);
        let fewer = table(5, Typing::File, &[("a", ColumnKind::Int, b"1")]);
        let changes: Vec<Change> =
            difference(&left, &fewer).columns.iter().map(|column| column.change).collect();
        assert_eq!(changes, [Change::Removed, Change::Removed]);
        let changes: Vec<Change> =
            difference(&fewer, &left).columns.iter().map(|column| column.change).collect();
        assert_eq!(changes, [Change::Added, Change::Added]);
    }

    #[test]
    fn inferred_kinds_that_differ_are_not_comparable() {
        let int = |typing| table(1, typing, &[("a", ColumnKind::Int, b"1")]);
        let text = |typing| table(1, typing, &[("a", ColumnKind::String, b"2")]);
        assert!(!comparable(&int(Typing::Inferred), &text(Typing::File)));
        assert!(!comparable(&int(Typing::Declared), &text(Typing::Inferred)));
        assert!(!comparable(&int(Typing::Inferred), &text(Typing::Inferred)));
        let empty = |typing| table(1, typing, &[("a", ColumnKind::Null, b"3")]);
        assert!(comparable(&int(Typing::Inferred), &empty(Typing::Inferred)));
        assert!(!comparable(&int(Typing::File), &empty(Typing::Inferred)));
        assert!(comparable(&int(Typing::File), &text(Typing::Declared)));
        assert!(comparable(&int(Typing::Inferred), &int(Typing::File)));
        let other = table(1, Typing::File, &[("b", ColumnKind::String, b"2")]);
        assert!(comparable(&int(Typing::Inferred), &other));
    }

    #[test]
    fn whole_blocks_tell_that_rows_were_appended() {
        let left = table(BLOCK_ROWS, Typing::File, &[("a", ColumnKind::Int, b"1")]);
        let right = table(BLOCK_ROWS + 1, Typing::File, &[("a", ColumnKind::Int, b"12")]);
        assert!(difference(&left, &right).is_one_longer());
        assert!(difference(&right, &left).is_one_longer());
        assert!(!difference(&left, &left).is_one_longer());
        let nothing = table(0, Typing::File, &[]);
        assert_eq!(difference(&nothing, &nothing).first_rows_same, Some(0));
    }
}
