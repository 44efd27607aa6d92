//! The values of columns, in a form in which two tables can be compared.

use std::collections::HashMap;

use super::DriftError;
use crate::arrow::array::{Array as _, ArrayRef, AsArray as _};
use crate::arrow::buffer::NullBuffer;
use crate::arrow::datatypes::{DataType, TimeUnit, i256};
use crate::compare::{ReadingError, Source};
use crate::profile::Decimal;
use crate::table::{CellError, ColumnKind, TableError, fixed, plain};

/// Different texts of a column that are counted, at most, and their bytes together.
const CATEGORIES_MAX: usize = 100_000;
const CATEGORY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How the values of a column are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    /// Integers, days of dates, nanoseconds of times.
    Signed,
    Unsigned,
    /// Numbers as doubles.
    Float,
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
            Kind::Int | Kind::Date | Kind::Time => Measure::Signed,
            Kind::Uint64 => Measure::Unsigned,
            Kind::Float32 | Kind::Float64 | Kind::Decimal => Measure::Float,
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
        for (place, array) in batch.columns().iter().enumerate().take(columns.len()) {
            columns[place].push(array).map_err(|problem| {
                let column = batch.schema_ref().field(place).name().clone();
                ReadingError::from(TableError::Cell { column, problem })
            })?;
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
    fn push(&mut self, array: &ArrayRef) -> Result<(), CellError> {
        let (array, measure, nans) = (plain(array)?, self.measure, &mut self.nans);
        let nulls = array.logical_nulls();
        let nulls = nulls.as_ref().filter(|nulls| nulls.null_count() > 0);
        self.nulls += nulls.map_or(0, NullBuffer::null_count) as u64;
        match &mut self.values {
            Values::Ordered(keys) => push_ordered(&array, nulls, measure, keys, nans)?,
            Values::Categories(categories) => {
                if !categories.push(&array, nulls) {
                    self.values = Values::TooMany;
                }
            }
            Values::TooMany => {}
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        match &self.values {
            Values::Ordered(keys) => keys.len() * size_of::<u64>(),
            _ => 0,
        }
    }
}

/// Takes the values by their canonical bytes, which do not depend on the width, unit or scale of the array.
fn push_ordered(
    array: &ArrayRef,
    nulls: Option<&NullBuffer>,
    measure: Measure,
    keys: &mut Vec<u64>,
    nans: &mut u64,
) -> Result<(), CellError> {
    let mut cells = Vec::new();
    fixed(array, nulls, &mut cells)?;
    let width = cells.len().checked_div(array.len()).unwrap_or(1).max(1);
    let valid = |row: &usize| nulls.is_none_or(|nulls| nulls.is_valid(*row));
    let cells = cells.chunks_exact(width).enumerate().filter(|(row, _)| valid(row));
    let data_type = array.data_type();
    for (_, cell) in cells {
        keys.push(match measure {
            Measure::Signed => signed(i64::from_le_bytes(part(cell))),
            Measure::Unsigned => u64::from_le_bytes(part(cell)),
            Measure::Ticks { per_second } => signed(ticks(cell, per_second)),
            Measure::Float => match double(cell, data_type) {
                value if value.is_nan() => {
                    *nans += 1;
                    continue;
                }
                value => float(value),
            },
            Measure::Category => continue,
        });
    }
    Ok(())
}

/// The first bytes of a cell.
fn part<const WIDTH: usize>(cell: &[u8]) -> [u8; WIDTH] {
    cell.first_chunk().copied().unwrap_or([0; WIDTH])
}

/// The value of a number of any kind as a double.
fn double(cell: &[u8], data_type: &DataType) -> f64 {
    match data_type {
        DataType::Float32 => f32::from_le_bytes(part(cell)).into(),
        DataType::Float64 => f64::from_le_bytes(part(cell)),
        DataType::UInt64 => u64::from_le_bytes(part(cell)) as f64,
        data_type if data_type.is_integer() => i64::from_le_bytes(part(cell)) as f64,
        _ => {
            let scale = cell.last().map_or(0, |scale| *scale as i8);
            Decimal::new(i256::from_le_bytes(part(cell)), scale).to_f64()
        }
    }
}

/// A moment in so many parts of a second; what 64 bits cannot hold is the greatest or smallest.
fn ticks(cell: &[u8], per_second: i64) -> i64 {
    const NANOSECONDS: i128 = 1_000_000_000;
    let seconds = i128::from(i64::from_le_bytes(part(cell)));
    let nanoseconds = cell.get(8..).map_or(0, |rest| u32::from_le_bytes(part(rest)));
    let per_second = i128::from(per_second);
    let ticks = seconds * per_second + i128::from(nanoseconds) * per_second / NANOSECONDS;
    ticks.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

impl Categories {
    /// Counts the texts. Returns whether there are still few enough.
    fn push(&mut self, array: &ArrayRef, nulls: Option<&NullBuffer>) -> bool {
        (0..array.len())
            .filter(|row| nulls.is_none_or(|nulls| nulls.is_valid(*row)))
            .all(|row| self.count(text(array, row)))
    }

    fn count(&mut self, text: &str) -> bool {
        if let Some(count) = self.counts.get_mut(text) {
            *count += 1;
            return true;
        }
        self.size_bytes += text.len();
        if self.counts.len() == CATEGORIES_MAX || self.size_bytes > CATEGORY_BYTES_MAX {
            return false;
        }
        self.counts.insert(text.to_owned(), 1);
        true
    }
}

/// The text of a string or a boolean.
fn text(array: &ArrayRef, row: usize) -> &str {
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row),
        DataType::Utf8View => array.as_string_view().value(row),
        _ if array.as_boolean().value(row) => "true",
        _ => "false",
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
