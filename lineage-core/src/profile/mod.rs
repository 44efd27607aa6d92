//! Profiles of columns: counts, extremes, moments, quantiles, different and frequent values
//! (`docs/formats/profile.md`), in one pass and in bounded memory.
//!
//! A table is cut into the blocks of `docs/formats/fingerprint.md`. A [`BlockProfiler`] makes a
//! [`BlockProfile`] of a column's values in one block, in any thread; a [`ColumnProfiler`] puts them
//! together in the order of the blocks. The same values give the same profile whatever their physical
//! type and however they are delivered.

mod block;
mod column;
mod counter;
mod decimal;
mod extremes;
mod hash;
mod intake;
mod key;
mod moments;
mod ranks;
#[cfg(test)]
mod tests;
mod words;

pub use block::{BlockProfile, BlockProfiler, Scratch};
pub use column::ColumnProfiler;
pub(crate) use decimal::Decimal;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::table::{BLOCK_ROWS, CellError, ColumnKind};

/// The definition that a profile follows.
pub const PROFILE_VERSION: &str = "lineage-profile-1";

/// Why an array was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The array does not belong to the column.
    #[error("an array of type {data_type} was given for a column of kind {kind}")]
    KindMismatch {
        /// The kind of the column.
        kind: String,
        /// The type of the array.
        data_type: String,
    },
    /// More rows than a block has.
    #[error("more than {BLOCK_ROWS} rows were given for one block")]
    TooManyRows,
    /// A dictionary or runs could not be decoded.
    #[error("an encoded array could not be decoded: {0}")]
    Encoding(CellError),
}

/// The profile of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableProfile {
    /// [`PROFILE_VERSION`].
    pub profile_version: String,
    /// In the order of the table.
    pub columns: Vec<NamedProfile>,
    /// Of the first column that holds dates or times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_range: Option<DateRange>,
}

impl TableProfile {
    /// Of columns in their order.
    pub fn new(columns: Vec<NamedProfile>) -> TableProfile {
        let date_range = date_range(&columns);
        TableProfile { profile_version: PROFILE_VERSION.to_owned(), columns, date_range }
    }
}

/// The profile of one column of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedProfile {
    /// The name of the column.
    pub name: String,
    /// Its kind.
    pub kind: ColumnKind,
    /// What is known of its values.
    pub profile: ColumnProfile,
}

/// From when to when the rows of a table are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DateRange {
    /// The column.
    pub column: String,
    /// Its least value, as in the profile.
    pub min: Value,
    /// Its greatest value.
    pub max: Value,
}

/// The range of the first column of kind date, timestamp or instant that has a value.
pub fn date_range(columns: &[NamedProfile]) -> Option<DateRange> {
    columns.iter().find_map(|column| match column.kind {
        ColumnKind::Date | ColumnKind::Timestamp | ColumnKind::Instant => Some(DateRange {
            column: column.name.clone(),
            min: column.profile.min.clone()?,
            max: column.profile.max.clone()?,
        }),
        _ => None,
    })
}

/// What is known of a column's values. What a kind does not have is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnProfile {
    /// Values that are not null.
    pub count: u64,
    /// Values that are null.
    pub nulls: u64,
    /// Of floats: values that are not a number. They count nowhere else but in `count`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nan: Option<u64>,
    /// Of floats: infinite values. They count everywhere but in mean and standard deviation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub infinite: Option<u64>,
    /// The least value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Value>,
    /// The greatest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Value>,
    /// The mean; of bools the share that is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<Value>,
    /// The standard deviation of a sample (divisor n − 1); of dates in days, of times and durations in
    /// seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_deviation: Option<f64>,
    /// Of numbers, dates, times and durations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantiles: Option<Quantiles>,
    /// How many different values there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distinct: Option<Distinct>,
    /// The most frequent values, at most ten, those with the highest count first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top_values: Vec<TopValue>,
    /// No value that is not among `top_values` occurs more often than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others_at_most: Option<u64>,
    /// Of strings and binary in bytes, of lists and maps in children.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lengths: Option<Lengths>,
}

/// Values by their rank: `p25` is one that a quarter of all values do not exceed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the name is the percentage")]
pub struct Quantiles {
    pub p01: Value,
    pub p05: Value,
    pub p25: Value,
    pub p50: Value,
    pub p75: Value,
    pub p95: Value,
    pub p99: Value,
    /// How far the rank of a quantile may be off, as a share of all values; 0 when they are exact.
    pub rank_error: f64,
}

/// How many different values there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distinct {
    /// The number, exact or an estimate with a standard error of 0.8 %.
    pub count: u64,
    /// Whether it is exact.
    pub exact: bool,
}

/// A frequent value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopValue {
    /// The value, of a text its first 80 characters.
    pub value: Value,
    /// It occurs so often, or more often when this is not exact.
    pub count: u64,
    /// Whether `count` is exact.
    pub exact: bool,
    /// It does not occur more often than this. Absent when `count` is exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count_at_most: Option<u64>,
}

/// Lengths of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lengths {
    /// The least length.
    pub min: u64,
    /// The greatest length.
    pub max: u64,
    /// The sum of all lengths.
    pub total: u64,
}

impl Lengths {
    #[inline]
    fn note(lengths: &mut Option<Lengths>, length: u64, times: u32) {
        let lengths = lengths.get_or_insert(Lengths { min: length, max: length, total: 0 });
        lengths.min = lengths.min.min(length);
        lengths.max = lengths.max.max(length);
        lengths.total = lengths.total.saturating_add(length.saturating_mul(times.into()));
    }

    fn merge(left: Option<Lengths>, right: Option<Lengths>) -> Option<Lengths> {
        let (Some(left), Some(right)) = (left, right) else {
            return left.or(right);
        };
        Some(Lengths {
            min: left.min.min(right.min),
            max: left.max.max(right.max),
            total: left.total.saturating_add(right.total),
        })
    }
}
