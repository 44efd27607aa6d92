//! How far the values of a column have moved between two tables: the population stability index and
//! the two-sample test of Kolmogorov and Smirnov (`docs/formats/comparison.md`, Drift).

mod collect;
mod statistics;

use serde::Serialize;

use self::collect::{Collected, Measure, Values};
use super::{NotCompared, ROWS_MAX, ReadingError, Source};
use crate::table::ColumnKind;

pub use statistics::{KolmogorovSmirnov, Shift};

/// Values that are held at once, for both tables together, in bytes. Columns that do not fit are left
/// to another reading.
const HELD_BYTES_MAX: usize = 512 * 1024 * 1024;

/// How the columns of two tables have moved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TableDrift {
    /// Rows of the left table, to which the right one is compared.
    pub rows_left: u64,
    /// Rows of the right table.
    pub rows_right: u64,
    /// The columns that were measured, in the order of the left table.
    pub columns: Vec<ColumnDrift>,
    /// The columns that are in one table only, of two kinds, or of a kind that is not measured.
    pub not_measured: Vec<NotCompared>,
}

/// How one column has moved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnDrift {
    /// Its name.
    pub name: String,
    /// Its kind in the left table.
    pub kind: ColumnKind,
    /// Nulls in the left table.
    pub nulls_left: u64,
    /// Nulls in the right table.
    pub nulls_right: u64,
    /// Floats in the left table that are not a number.
    pub nans_left: u64,
    /// Floats in the right table that are not a number.
    pub nans_right: u64,
    /// The population stability index: 0 for equal shares in all bins.
    pub psi: Option<f64>,
    /// What is usually said of such an index.
    pub shift: Option<Shift>,
    /// Why there is no index.
    pub note: Option<String>,
    /// The test of Kolmogorov and Smirnov: of numbers, dates and times, when both tables have some.
    pub ks: Option<KolmogorovSmirnov>,
}

/// Drift could not be computed.
#[derive(Debug, thiserror::Error)]
pub enum DriftError {
    /// More rows than allowed.
    #[error(
        "the two tables together have more than {limit} rows, the limit of a comparison of \
         distributions (it keeps whole columns in memory); compare parts of them"
    )]
    TooManyRows {
        /// The limit.
        limit: u64,
    },
    /// A table could not be read.
    #[error(transparent)]
    Reading(#[from] ReadingError),
}

/// A column that both tables have.
struct Pair {
    name: String,
    kind: ColumnKind,
    left: usize,
    right: usize,
    measure: Measure,
}

/// Compares the distributions of the columns that two tables share. Every row counts; nothing is
/// sampled. Both tables are read at the same time, and again while columns are left that did not fit.
pub fn drift(left: &Source<'_>, right: &Source<'_>) -> Result<TableDrift, DriftError> {
    drift_within(left, right, HELD_BYTES_MAX, ROWS_MAX)
}

fn drift_within(
    left: &Source<'_>,
    right: &Source<'_>,
    held_bytes_max: usize,
    rows_max: u64,
) -> Result<TableDrift, DriftError> {
    let (pairs, not_measured) = pairs(left, right);
    let mut result = TableDrift { rows_left: 0, rows_right: 0, columns: Vec::new(), not_measured };
    let mut rest = pairs.as_slice();
    let mut width = rest.len();
    loop {
        let now = &rest[..width];
        let read = |source: &Source<'_>, place: fn(&Pair) -> usize| {
            let columns = now.iter().map(|pair| (place(pair), pair.measure)).collect();
            collect::read(source, columns, held_bytes_max / 2, rows_max)
        };
        let (before, after) = std::thread::scope(|scope| {
            let other = scope.spawn(|| read(left, |pair| pair.left));
            let after = read(right, |pair| pair.right);
            let before = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok::<_, DriftError>((before?, after?))
        })?;
        (result.rows_left, result.rows_right) = (before.rows, after.rows);
        if before.rows.saturating_add(after.rows) > rows_max {
            return Err(DriftError::TooManyRows { limit: rows_max });
        }
        let columns = before.columns.iter().zip(&after.columns);
        width = columns.len();
        result.columns.extend(now.iter().zip(columns).map(|(pair, (before, after))| {
            column_drift(pair, before, after, (result.rows_left, result.rows_right))
        }));
        rest = &rest[width..];
        width = width.min(rest.len());
        if rest.is_empty() {
            return Ok(result);
        }
    }
}

/// Of several columns of one name, the first belongs to the first, the second to the second.
fn pairs(left: &Source<'_>, right: &Source<'_>) -> (Vec<Pair>, Vec<NotCompared>) {
    let (mut pairs, mut not_measured) = (Vec::new(), Vec::new());
    let mut taken = vec![false; right.columns().len()];
    for (place, (name, kind)) in left.columns().iter().enumerate() {
        let same_name = |at: &usize| !taken[*at] && right.columns()[*at].0 == *name;
        let other = (0..taken.len()).find(same_name);
        if let Some(at) = other {
            taken[at] = true;
        }
        let measure = other.and_then(|at| Measure::of(left, place, right, at));
        match (other, measure) {
            (Some(at), Some(measure)) => {
                let (name, kind) = (name.clone(), kind.clone());
                pairs.push(Pair { name, kind, left: place, right: at, measure });
            }
            _ => not_measured.push(NotCompared {
                name: name.clone(),
                left: Some(kind.clone()),
                right: other.map(|at| right.columns()[at].1.clone()),
            }),
        }
    }
    let rest = right.columns().iter().zip(taken).filter(|(_, taken)| !taken);
    not_measured.extend(rest.map(|((name, kind), _)| NotCompared {
        name: name.clone(),
        left: None,
        right: Some(kind.clone()),
    }));
    (pairs, not_measured)
}

fn column_drift(
    pair: &Pair,
    before: &Collected,
    after: &Collected,
    rows: (u64, u64),
) -> ColumnDrift {
    let mut column = ColumnDrift {
        name: pair.name.clone(),
        kind: pair.kind.clone(),
        nulls_left: before.nulls,
        nulls_right: after.nulls,
        nans_left: before.nans,
        nans_right: after.nans,
        psi: None,
        shift: None,
        note: None,
        ks: None,
    };
    let mut bins = vec![(before.nulls, after.nulls), (before.nans, after.nans)];
    match (&before.values, &after.values) {
        (Values::Ordered(before), Values::Ordered(after)) => {
            bins.extend(statistics::frequency_bins(before, after));
            column.ks = statistics::kolmogorov_smirnov(before, after);
        }
        (Values::Categories(before), Values::Categories(after)) => {
            bins.extend(statistics::category_bins(before, after));
        }
        _ => column.note = Some(collect::too_many_categories()),
    }
    match rows {
        (0, _) => column.note = Some("the left table has no rows".to_owned()),
        (_, 0) => column.note = Some("the right table has no rows".to_owned()),
        _ if column.note.is_none() => {
            let psi = statistics::population_stability(&bins, rows);
            (column.psi, column.shift) = (Some(psi), Some(Shift::of(psi)));
        }
        _ => {}
    }
    column
}

#[cfg(test)]
mod tests;
