//! Rows added, removed and changed between two tables, matched by a key
//! (`docs/formats/comparison.md`, Rows by key).

mod key_text;
mod matching;
mod pairing;
mod revisit;
mod rows;

use serde::Serialize;

pub use pairing::NotCompared;

use self::pairing::Pairing;
use super::{ReadingError, Source};
use crate::table::ColumnKind;

/// Rows of both tables together that are compared unless a caller says otherwise. Each takes 40 bytes.
pub const ROWS_MAX: u64 = 60_000_000;

/// How two tables are compared.
#[derive(Debug, Clone, Copy)]
pub struct KeyedOptions {
    /// More rows than these in both tables together are refused.
    pub rows_max: u64,
    /// How many rows of each sort are named.
    pub examples_max: usize,
    /// More cells than these in the changed rows, and the changed ones are not counted by column.
    /// Each takes 8 bytes.
    pub changed_cells_max: usize,
}

impl Default for KeyedOptions {
    fn default() -> Self {
        KeyedOptions { rows_max: ROWS_MAX, examples_max: 10, changed_cells_max: 32 * 1024 * 1024 }
    }
}

/// What differs between the rows of two tables. Rows are counted from 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyedDifference {
    /// The columns that make the key.
    pub key: Vec<String>,
    /// Rows of the left table.
    pub rows_left: u64,
    /// Rows of the right table.
    pub rows_right: u64,
    /// Rows whose key is in both tables, with equal values in all compared columns.
    pub unchanged: u64,
    /// Rows whose key is in the right table only.
    pub added: u64,
    /// Rows whose key is in the left table only.
    pub removed: u64,
    /// Rows whose key is in both tables, with other values.
    pub changed: u64,
    /// Rows of the left table with a null in the key. A null counts as a value like any other.
    pub null_keys_left: u64,
    /// Rows of the right table with a null in the key.
    pub null_keys_right: u64,
    /// The columns outside the key that were compared.
    pub compared: Vec<String>,
    /// The columns that are in one table only, or of two kinds.
    pub not_compared: Vec<NotCompared>,
    /// How many cells of each compared column changed in the changed rows; absent when too many rows
    /// changed, and then `changed_columns_note` says so.
    pub changed_columns: Option<Vec<ChangedColumn>>,
    /// Why `changed_columns` is absent.
    pub changed_columns_note: Option<String>,
    /// The first added rows, in the order of the right table.
    pub added_examples: Vec<RowExample>,
    /// The first removed rows, in the order of the left table.
    pub removed_examples: Vec<RowExample>,
    /// The first changed rows, in the order of the left table.
    pub changed_examples: Vec<RowExample>,
}

/// A column with changed cells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedColumn {
    /// Its name.
    pub name: String,
    /// In how many changed rows its values differ.
    pub cells: u64,
}

/// A row that is named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowExample {
    /// The values of the key columns, as text.
    pub key: Vec<String>,
    /// Its place in the left table.
    pub row_left: Option<u64>,
    /// Its place in the right table.
    pub row_right: Option<u64>,
}

/// One of the two tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The first, from which rows are removed.
    Left,
    /// The second, to which rows are added.
    Right,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Side::Left { "left" } else { "right" })
    }
}

/// Two tables could not be compared by key.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// No column is named.
    #[error("no key column is given; name at least one")]
    NoKey,
    /// A column of the key stands twice in it.
    #[error("the key names the column \"{0}\" twice")]
    KeyNamedTwice(String),
    /// A column of the key is not in a table.
    #[error("the {side} table has no column \"{column}\", which the key names")]
    KeyMissing {
        /// The column.
        column: String,
        /// The table.
        side: Side,
    },
    /// A column of the key stands for two of a table.
    #[error("the {side} table has more than one column \"{column}\", which the key names")]
    KeyAmbiguous {
        /// The column.
        column: String,
        /// The table.
        side: Side,
    },
    /// A column of the key has two kinds.
    #[error(
        "the key column \"{column}\" is {left} in the left table and {right} in the right one; \
         give both the same kind (for a CSV: a schema)"
    )]
    KeyKinds {
        /// The column.
        column: String,
        /// Its kind in the left table.
        left: ColumnKind,
        /// Its kind in the right table.
        right: ColumnKind,
    },
    /// The key does not tell rows apart.
    #[error(
        "the key is not unique in the {side} table: rows {} and {} (counted from 0) both have {key}, \
         and {repeated} of its rows have a key that stood earlier; add a column to the key",
        rows.0,
        rows.1
    )]
    KeyRepeated {
        /// The table.
        side: Side,
        /// The key in words: `month=2024-01, customer=17`.
        key: String,
        /// The first row that has a key seen before, after the row that has it first.
        rows: (u64, u64),
        /// How many rows of the table have a key that stood earlier.
        repeated: u64,
    },
    /// More rows than allowed.
    #[error(
        "the two tables together have more than {limit} rows, the limit of a comparison by key \
         (it keeps 40 bytes of each row in memory); compare parts of them"
    )]
    TooManyRows {
        /// The limit.
        limit: u64,
    },
    /// A table gave other rows when it was read again.
    #[error("the {0} table changed while it was compared; compare it again")]
    SourceChanged(Side),
    /// A table could not be read.
    #[error(transparent)]
    Reading(#[from] ReadingError),
}

/// Compares two tables row by row, matching rows by the values of the key columns.
///
/// Both tables are read once as a whole, and once more for what is named in the result. Of each row a
/// digest of its key, a digest of its other cells, and its place are kept: 40 bytes.
pub fn difference_by_key(
    left: &Source<'_>,
    right: &Source<'_>,
    key: &[String],
    options: &KeyedOptions,
) -> Result<KeyedDifference, JoinError> {
    let pairing = Pairing::of(left, right, key)?;
    let (rows_left, rows_right) = rows::read_both(left, right, &pairing, options.rows_max)?;
    revisit::check_unique(Side::Left, left, &pairing, &rows_left)?;
    revisit::check_unique(Side::Right, right, &pairing, &rows_right)?;
    let mut difference = KeyedDifference {
        key: key.to_vec(),
        rows_left: rows_left.count,
        rows_right: rows_right.count,
        null_keys_left: rows_left.null_keys,
        null_keys_right: rows_right.null_keys,
        unchanged: 0,
        added: 0,
        removed: 0,
        changed: 0,
        compared: pairing.names().map(str::to_owned).collect(),
        not_compared: pairing.not_compared.clone(),
        changed_columns: None,
        changed_columns_note: None,
        added_examples: Vec::new(),
        removed_examples: Vec::new(),
        changed_examples: Vec::new(),
    };
    let matched = matching::matched(&rows_left, &rows_right, options, &pairing);
    difference.unchanged = matched.unchanged;
    difference.added = matched.added;
    difference.removed = matched.removed;
    difference.changed = matched.changed;
    revisit::fill(&mut difference, left, right, &pairing, &matched)?;
    Ok(difference)
}

#[cfg(test)]
mod tests;
