//! Cells as text, from their canonical bytes: cells that are equal have one text, whatever the widths, units
//! and encodings of their columns (`docs/formats/comparison.md`, The text of a key).

use std::fmt::{self, Write as _};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, SecondsFormat, TimeDelta};

use crate::arrow::datatypes::i256;
use crate::profile::Decimal;
use crate::table::ColumnKind;

/// Characters of a key column's value that are shown.
const CHARACTERS_MAX: usize = 200;

/// The text of a cell, of which `bytes` are the canonical ones.
pub(super) fn of(kind: &ColumnKind, bytes: &[u8]) -> String {
    let (mut cell, mut text) = (Cell(bytes), String::new());
    // The bytes were written by RowCells for a column of this kind, so nothing is missing.
    let _ = cell.write(kind, &mut text);
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// What is left of a cell that is being read.
struct Cell<'a>(&'a [u8]);

impl<'a> Cell<'a> {
    fn write(&mut self, kind: &ColumnKind, text: &mut String) -> fmt::Result {
        if self.take::<1>()? == [0] {
            return text.write_str("null");
        }
        match kind {
            ColumnKind::Bool => match self.take::<1>()? {
                [0] => text.write_str("false"),
                _ => text.write_str("true"),
            },
            ColumnKind::Int => write!(text, "{}", i64::from_le_bytes(self.take()?)),
            ColumnKind::Uint64 => write!(text, "{}", u64::from_le_bytes(self.take()?)),
            ColumnKind::Float32 => write!(text, "{:?}", f32::from_le_bytes(self.take()?)),
            ColumnKind::Float64 => write!(text, "{:?}", f64::from_le_bytes(self.take()?)),
            ColumnKind::Decimal => {
                let unscaled = i256::from_le_bytes(self.take()?);
                let [scale] = self.take::<1>()?;
                write!(text, "{}", Decimal::new(unscaled, scale as i8))
            }
            ColumnKind::String => text.write_str(&String::from_utf8_lossy(self.take_counted()?)),
            ColumnKind::Binary => text.write_str(&hex::encode(self.take_counted()?)),
            ColumnKind::Date => self.write_date(text),
            ColumnKind::Time => self.write_time(text),
            ColumnKind::Timestamp | ColumnKind::Instant => self.write_moment(kind, text),
            ColumnKind::Duration => {
                let (seconds, nanoseconds) = self.take_moment()?;
                match TimeDelta::new(seconds, nanoseconds) {
                    Some(span) => write!(text, "{span}"),
                    None => write!(text, "{seconds} seconds"),
                }
            }
            ColumnKind::Null => Ok(()),
            ColumnKind::List(child) => self.write_list(child, text),
            ColumnKind::Map(key, value) => self.write_map(key, value, text),
            ColumnKind::Struct(fields) => self.write_fields(fields, text),
        }
    }

    fn write_date(&mut self, text: &mut String) -> fmt::Result {
        let days = i64::from_le_bytes(self.take()?);
        let (epoch, distance) = (NaiveDate::default(), Days::new(days.unsigned_abs()));
        let date = match days < 0 {
            true => epoch.checked_sub_days(distance),
            false => epoch.checked_add_days(distance),
        };
        match date {
            Some(date) => write!(text, "{date:?}"),
            None => write!(text, "{days} days since 1970-01-01"),
        }
    }

    fn write_time(&mut self, text: &mut String) -> fmt::Result {
        const SECOND: i64 = 1_000_000_000;
        let nanoseconds = i64::from_le_bytes(self.take()?);
        let seconds = u32::try_from(nanoseconds.div_euclid(SECOND)).ok();
        let part = nanoseconds.rem_euclid(SECOND) as u32;
        match seconds
            .and_then(|seconds| NaiveTime::from_num_seconds_from_midnight_opt(seconds, part))
        {
            Some(time) => write!(text, "{time:?}"),
            None => write!(text, "{nanoseconds} ns since midnight"),
        }
    }

    fn write_moment(&mut self, kind: &ColumnKind, text: &mut String) -> fmt::Result {
        let (seconds, nanoseconds) = self.take_moment()?;
        match DateTime::from_timestamp(seconds, nanoseconds) {
            Some(moment) if *kind == ColumnKind::Instant => {
                text.write_str(&moment.to_rfc3339_opts(SecondsFormat::AutoSi, true))
            }
            Some(moment) => write!(text, "{:?}", moment.naive_utc()),
            None => write!(text, "{seconds} seconds since 1970-01-01"),
        }
    }

    fn write_list(&mut self, child: &ColumnKind, text: &mut String) -> fmt::Result {
        let count = u32::from_le_bytes(self.take()?) as usize;
        text.write_str("[")?;
        for index in 0..count {
            separate(index, text)?;
            self.write(child, text)?;
        }
        text.write_str("]")
    }

    fn write_map(
        &mut self,
        key: &ColumnKind,
        value: &ColumnKind,
        text: &mut String,
    ) -> fmt::Result {
        let count = u32::from_le_bytes(self.take()?) as usize;
        text.write_str("{")?;
        for index in 0..count {
            separate(index, text)?;
            self.write(key, text)?;
            text.write_str(": ")?;
            self.write(value, text)?;
        }
        text.write_str("}")
    }

    fn write_fields(&mut self, fields: &[(String, ColumnKind)], text: &mut String) -> fmt::Result {
        text.write_str("{")?;
        for (index, (name, kind)) in fields.iter().enumerate() {
            separate(index, text)?;
            write!(text, "{name}: ")?;
            self.write(kind, text)?;
        }
        text.write_str("}")
    }

    fn take<const WIDTH: usize>(&mut self) -> Result<[u8; WIDTH], fmt::Error> {
        let (first, rest) = self.0.split_first_chunk().ok_or(fmt::Error)?;
        self.0 = rest;
        Ok(*first)
    }

    fn take_counted(&mut self) -> Result<&'a [u8], fmt::Error> {
        let count = u32::from_le_bytes(self.take()?);
        let (first, rest) = self.0.split_at_checked(count as usize).ok_or(fmt::Error)?;
        self.0 = rest;
        Ok(first)
    }

    /// Whole seconds, rounded down, and nanoseconds.
    fn take_moment(&mut self) -> Result<(i64, u32), fmt::Error> {
        Ok((i64::from_le_bytes(self.take()?), u32::from_le_bytes(self.take()?)))
    }
}

fn separate(index: usize, text: &mut String) -> fmt::Result {
    if index == 0 { Ok(()) } else { text.write_str(", ") }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::arrow::array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal128Array,
        DictionaryArray, DurationMillisecondArray, Float32Array, Float64Array, Int16Array,
        ListArray, NullArray, RecordBatch, StringArray, StructArray, Time64MicrosecondArray,
        TimestampMillisecondArray, TimestampSecondArray, UInt64Array,
    };
    use crate::arrow::datatypes::{DataType, Field, Int8Type, Int32Type};

    use super::*;
    use crate::table::RowCells;

    fn texts(array: ArrayRef) -> Vec<String> {
        let batch = RecordBatch::try_from_iter_with_nullable([("x", array, true)]).unwrap();
        let kind = ColumnKind::of(batch.schema().field(0)).unwrap();
        let mut cells = RowCells::new(&batch.schema()).unwrap();
        cells.push_batch(&batch).unwrap();
        let text = |row| {
            let mut bytes = Vec::new();
            cells.cell(0, row, &mut bytes).unwrap();
            of(&kind, &bytes)
        };
        (0..batch.num_rows()).map(text).collect()
    }

    fn check(array: impl crate::arrow::array::Array + 'static, expected: &[&str]) {
        assert_eq!(texts(Arc::new(array)), expected);
    }

    #[test]
    fn values_of_every_kind_have_a_text() {
        check(BooleanArray::from(vec![Some(true), Some(false), None]), &["true", "false", "null"]);
        check(Int16Array::from(vec![-7]), &["-7"]);
        check(UInt64Array::from(vec![u64::MAX]), &["18446744073709551615"]);
        check(Float32Array::from(vec![0.1, -0.0]), &["0.1", "0.0"]);
        check(Float64Array::from(vec![1.0, f64::NAN, 1e16, 1e-7]), &["1.0", "NaN", "1e16", "1e-7"]);
        let decimals = Decimal128Array::from(vec![150, -5, 0]);
        check(decimals.with_precision_and_scale(20, 2).unwrap(), &["1.5", "-0.05", "0"]);
        check(StringArray::from(vec!["ä b", ""]), &["ä b", ""]);
        check(BinaryArray::from(vec![&[0_u8, 255][..]]), &["00ff"]);
        check(Date32Array::from(vec![-1, 19_800]), &["1969-12-31", "2024-03-18"]);
        check(Date64Array::from(vec![86_400_000]), &["1970-01-02"]);
        check(Date32Array::from(vec![i32::MAX]), &["2147483647 days since 1970-01-01"]);
        check(Time64MicrosecondArray::from(vec![1_500_000]), &["00:00:01.500"]);
        check(Time64MicrosecondArray::from(vec![-1]), &["-1000 ns since midnight"]);
        check(TimestampMillisecondArray::from(vec![-500]), &["1969-12-31T23:59:59.500"]);
        let instants = TimestampSecondArray::from(vec![0]).with_timezone("Europe/Berlin");
        check(instants, &["1970-01-01T00:00:00Z"]);
        check(
            TimestampSecondArray::from(vec![i64::MAX]),
            &["9223372036854775807 seconds since 1970-01-01"],
        );
        check(DurationMillisecondArray::from(vec![-1500, 0]), &["-PT1.5S", "P0D"]);
        check(NullArray::new(1), &["null"]);
        check(["a", "b"].into_iter().collect::<DictionaryArray<Int8Type>>(), &["a", "b"]);
    }

    #[test]
    fn nested_values_are_spelled_out() {
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), None]), None]);
        check(list, &["[1, null]", "null"]);
        let field = |name: &str| Arc::new(Field::new(name, DataType::Int16, true));
        let one: ArrayRef = Arc::new(Int16Array::from(vec![None, Some(1)]));
        let fields = StructArray::from(vec![(field("a"), one.clone()), (field("b"), one)]);
        check(fields, &["{a: null, b: null}", "{a: 1, b: 1}"]);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let long = "ü".repeat(CHARACTERS_MAX + 1);
        let expected = format!("{}…", "ü".repeat(CHARACTERS_MAX));
        check(StringArray::from(vec![long.as_str()]), &[&expected]);
        let whole = "ü".repeat(CHARACTERS_MAX);
        check(StringArray::from(vec![whole.as_str()]), &[&whole]);
    }
}
