//! The values of columns, in a form in which two tables can be compared.

use std::collections::HashMap;

use arrow::array::{Array as _, ArrayRef, AsArray as _};
use arrow::compute;
use arrow::datatypes::{
    DataType, Date32Type, Float64Type, Int64Type, Time64NanosecondType, TimeUnit, UInt64Type,
};
use arrow::error::ArrowError;

use super::DriftError;
use crate::frames::{FramesError, Source};
use crate::table::ColumnKind;

/// Different texts of a column that are counted, at most, and their bytes together.
const CATEGORIES_MAX: usize = 100_000;
const CATEGORY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How the values of a column are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    Integer,
    Unsigned,
    Float,
    Date,
    Time,
    /// Moments and durations, in the finer unit of both tables.
    Ticks {
        per_second: i64,
    },
    Category,
}

impl Measure {
    /// How a column of the left table and one of the right are compared, if they can be.
    pub(super) fn of(
        left: &Source<'_>,
        at_left: usize,
        right: &Source<'_>,
        at_right: usize,
    ) -> Option<Measure> {
        use ColumnKind as Kind;
        let (kind_left, kind_right) = (&left.columns()[at_left].1, &right.columns()[at_right].1);
        let number = |kind: &Kind| {
            matches!(kind, Kind::Int | Kind::Uint64 | Kind::Float32 | Kind::Float64 | Kind::Decimal)
        };
        if kind_left != kind_right {
            return (number(kind_left) && number(kind_right)).then_some(Measure::Float);
        }
        Some(match kind_left {
            Kind::Int => Measure::Integer,
            Kind::Uint64 => Measure::Unsigned,
            Kind::Float32 | Kind::Float64 | Kind::Decimal => Measure::Float,
            Kind::Date => Measure::Date,
            Kind::Time => Measure::Time,
            Kind::Timestamp | Kind::Instant | Kind::Duration => {
                let left = ticks_per_second(left.schema().field(at_left).data_type());
                let right = ticks_per_second(right.schema().field(at_right).data_type());
                Measure::Ticks { per_second: left.max(right) }
            }
            Kind::String | Kind::Bool => Measure::Category,
            _ => return None,
        })
    }

    fn values(self) -> Values {
        match self {
            Measure::Category => Values::Categories(Categories::default()),
            _ => Values::Ordered(Vec::new()),
        }
    }
}

/// The values of a column in one table.
pub(super) struct Collected {
    pub(super) nulls: u64,
    pub(super) nans: u64,
    pub(super) values: Values,
    measure: Measure,
}

pub(super) enum Values {
    /// Numbers whose order is that of the values.
    Ordered(Vec<u64>),
    /// How often each text occurs.
    Categories(Categories),
    /// More texts than are counted.
    TooMany,
}

#[derive(Default)]
pub(super) struct Categories {
    pub(super) counts: HashMap<String, u64>,
    size_bytes: usize,
}

/// Some columns of a table.
pub(super) struct Columns {
    pub(super) rows: u64,
    /// Those that fit, at least one: the first of the wanted.
    pub(super) columns: Vec<Collected>,
}

pub(super) fn too_many_categories() -> String {
    format!(
        "more than {CATEGORIES_MAX} different values, or {} MiB of them; shares of single values \
         say nothing then",
        CATEGORY_BYTES_MAX / 1024 / 1024
    )
}

/// Reads the columns that fit into the bytes. Ordered values are sorted.
pub(super) fn read(
    source: &Source<'_>,
    wanted: Vec<(usize, Measure)>,
    held_bytes_max: usize,
    rows_max: u64,
) -> Result<Columns, DriftError> {
    let places: Vec<usize> = wanted.iter().map(|(place, _)| *place).collect();
    let new = |(_, measure): (usize, Measure)| Collected {
        nulls: 0,
        nans: 0,
        values: measure.values(),
        measure,
    };
    let mut columns: Vec<Collected> = wanted.into_iter().map(new).collect();
    let mut rows = 0;
    for batch in source.read(&places)? {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        if rows > rows_max {
            return Err(DriftError::TooManyRows { limit: rows_max });
        }
        for (column, array) in columns.iter_mut().zip(batch.columns()) {
            column.push(array).map_err(FramesError::from)?;
        }
        while columns.len() > 1
            && columns.iter().map(Collected::size_bytes).sum::<usize>() > held_bytes_max
        {
            columns.pop();
        }
    }
    for column in &mut columns {
        if let Values::Ordered(keys) = &mut column.values {
            keys.sort_unstable();
        }
    }
    Ok(Columns { rows, columns })
}

impl Collected {
    fn push(&mut self, array: &ArrayRef) -> Result<(), ArrowError> {
        let (measure, nans) = (self.measure, &mut self.nans);
        self.nulls += array.logical_null_count() as u64;
        match &mut self.values {
            Values::Ordered(keys) => push_ordered(array, measure, keys, nans),
            Values::Categories(categories) => {
                if !categories.push(array)? {
                    self.values = Values::TooMany;
                }
                Ok(())
            }
            Values::TooMany => Ok(()),
        }
    }

    fn size_bytes(&self) -> usize {
        match &self.values {
            Values::Ordered(keys) => keys.len() * size_of::<u64>(),
            _ => 0,
        }
    }
}

fn push_ordered(
    array: &ArrayRef,
    measure: Measure,
    keys: &mut Vec<u64>,
    nans: &mut u64,
) -> Result<(), ArrowError> {
    let integers = |array: &ArrayRef, keys: &mut Vec<u64>, (times, over): (i64, i64)| {
        let array = compute::cast(array, &DataType::Int64)?;
        let scaled = |value: i64| value.saturating_mul(times).div_euclid(over);
        keys.extend(array.as_primitive::<Int64Type>().iter().flatten().map(scaled).map(signed));
        Ok(())
    };
    match measure {
        Measure::Integer => integers(array, keys, (1, 1)),
        Measure::Ticks { per_second } => {
            let own = ticks_per_second(array.data_type());
            integers(array, keys, ((per_second / own).max(1), (own / per_second).max(1)))
        }
        Measure::Unsigned => {
            let array = compute::cast(array, &DataType::UInt64)?;
            keys.extend(array.as_primitive::<UInt64Type>().iter().flatten());
            Ok(())
        }
        Measure::Float => {
            let array = compute::cast(array, &DataType::Float64)?;
            for value in array.as_primitive::<Float64Type>().iter().flatten() {
                match value.is_nan() {
                    true => *nans += 1,
                    false => keys.push(float(value)),
                }
            }
            Ok(())
        }
        Measure::Date => {
            let array = compute::cast(array, &DataType::Date32)?;
            let values = array.as_primitive::<Date32Type>().iter().flatten();
            keys.extend(values.map(|value| signed(value.into())));
            Ok(())
        }
        Measure::Time => {
            let array = compute::cast(array, &DataType::Time64(TimeUnit::Nanosecond))?;
            keys.extend(array.as_primitive::<Time64NanosecondType>().iter().flatten().map(signed));
            Ok(())
        }
        Measure::Category => Ok(()),
    }
}

impl Categories {
    /// Counts the texts. Returns whether there are still few enough.
    fn push(&mut self, array: &ArrayRef) -> Result<bool, ArrowError> {
        let array = compute::cast(array, &DataType::Utf8View)?;
        for text in array.as_string_view().iter().flatten() {
            if let Some(count) = self.counts.get_mut(text) {
                *count += 1;
                continue;
            }
            self.size_bytes += text.len();
            if self.counts.len() == CATEGORIES_MAX || self.size_bytes > CATEGORY_BYTES_MAX {
                return Ok(false);
            }
            self.counts.insert(text.to_owned(), 1);
        }
        Ok(true)
    }
}

/// A number whose order is that of signed ones.
fn signed(value: i64) -> u64 {
    (value as u64) ^ (1 << 63)
}

/// A number whose order is that of floats. Both zeros are one.
fn float(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | (1 << 63) }
}

fn ticks_per_second(data_type: &DataType) -> i64 {
    match data_type {
        DataType::Timestamp(unit, _) | DataType::Duration(unit) => match unit {
            TimeUnit::Second => 1,
            TimeUnit::Millisecond => 1_000,
            TimeUnit::Microsecond => 1_000_000,
            TimeUnit::Nanosecond => 1_000_000_000,
        },
        DataType::Dictionary(_, values) => ticks_per_second(values),
        DataType::RunEndEncoded(_, values) => ticks_per_second(values.data_type()),
        _ => 1,
    }
}
