//! The second pass: values into Arrow arrays.

use std::collections::HashMap;
use std::sync::Arc;

use crate::arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Decimal256Builder, Float32Builder, Float64Builder,
    Int64Builder, ListArray, NullArray, RecordBatch, RecordBatchOptions, StringBuilder,
    StructArray, Time64NanosecondBuilder, TimestampMicrosecondBuilder, TimestampNanosecondBuilder,
    UInt64Builder,
};
use crate::arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use crate::arrow::datatypes::{DataType, FieldRef, Fields, SchemaRef, TimeUnit, i256};
use crate::arrow::error::ArrowError;

use super::value::{DEPTH_MAX, JsonType, Problem, items, members, scalar};
use crate::readers::ReadError;
use crate::readers::text::{Value, declared};
use crate::table::ColumnKind;

/// The columns of the objects at one place.
pub(super) struct Columns {
    builders: Vec<(String, Builder)>,
    index: HashMap<String, usize>,
    /// In which object each was last seen, by the count of objects.
    marks: Vec<u64>,
    objects: u64,
}

struct Builder {
    kind: ColumnKind,
    values: Values,
}

enum Values {
    Null(usize),
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Uint64(UInt64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal(Decimal256Builder, i8),
    String(StringBuilder),
    Date(Date32Builder),
    Time(Time64NanosecondBuilder),
    Microseconds(TimestampMicrosecondBuilder),
    Nanoseconds(TimestampNanosecondBuilder),
    List { items: Box<Builder>, ends: Vec<i32>, count: i32, valid: Vec<bool>, field: FieldRef },
    Struct { columns: Box<Columns>, valid: Vec<bool>, fields: Fields },
}

impl Columns {
    pub(super) fn new(fields: &Fields) -> Result<Columns, ReadError> {
        let builders = fields
            .iter()
            .map(|field| Ok((field.name().clone(), Builder::new(field)?)))
            .collect::<Result<Vec<_>, ReadError>>()?;
        let index = builders.iter().enumerate().map(|(i, (name, _))| (name.clone(), i)).collect();
        Ok(Columns { marks: vec![0; builders.len()], builders, index, objects: 0 })
    }

    /// Adds a row. Of the values that may still be made, `left` are.
    pub(super) fn append(
        &mut self,
        text: &str,
        depth: usize,
        left: &mut usize,
    ) -> Result<(), Problem> {
        self.objects += 1;
        let mut guess = 0;
        members(text, &mut |key, value| {
            let known = match self.builders.get(guess) {
                Some((name, _)) if name == key => Some(guess),
                _ => self.index.get(key).copied(),
            };
            let seen = known.map(|index| std::mem::replace(&mut self.marks[index], self.objects));
            match (known, seen) {
                (Some(index), Some(seen)) if seen != self.objects => {
                    guess = index + 1;
                    let builder = &mut self.builders[index].1;
                    builder.append(value, depth, left).map_err(|problem| problem.under(key))
                }
                // The first pass saw no such key.
                _ => Err(changed()),
            }
        })?;
        for (mark, (_, builder)) in self.marks.iter().zip(&mut self.builders) {
            if *mark != self.objects {
                builder.append_null(left)?;
            }
        }
        Ok(())
    }

    fn append_null(&mut self, left: &mut usize) -> Result<(), Problem> {
        self.builders.iter_mut().try_for_each(|(_, builder)| builder.append_null(left))
    }

    fn arrays(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        self.builders.iter_mut().map(|(_, builder)| builder.finish()).collect()
    }

    /// The rows so far, after which it is empty again.
    pub(super) fn finish(
        &mut self,
        schema: SchemaRef,
        rows: usize,
    ) -> Result<RecordBatch, ReadError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        self.arrays()
            .and_then(|arrays| RecordBatch::try_new_with_options(schema, arrays, &options))
            .map_err(|error| ReadError::Columns(error.to_string()))
    }
}

fn changed() -> Problem {
    Problem::new("it is not what it was in the first pass: the file changed while it was read")
}

impl Builder {
    fn new(field: &FieldRef) -> Result<Builder, ReadError> {
        let kind = ColumnKind::of(field)?;
        let unreadable = || ReadError::Columns(format!("NDJSON cannot be read as {kind}"));
        let values = match field.data_type() {
            DataType::Null => Values::Null(0),
            DataType::Boolean => Values::Bool(BooleanBuilder::with_capacity(0)),
            DataType::Int64 => Values::Int(Int64Builder::with_capacity(0)),
            DataType::UInt64 => Values::Uint64(UInt64Builder::with_capacity(0)),
            DataType::Float32 => Values::Float32(Float32Builder::with_capacity(0)),
            DataType::Float64 => Values::Float64(Float64Builder::with_capacity(0)),
            DataType::Decimal256(_, scale) => {
                let builder = Decimal256Builder::with_capacity(0);
                Values::Decimal(builder.with_data_type(field.data_type().clone()), *scale)
            }
            DataType::Utf8 => Values::String(StringBuilder::with_capacity(0, 0)),
            DataType::Date32 => Values::Date(Date32Builder::with_capacity(0)),
            DataType::Time64(TimeUnit::Nanosecond) => {
                Values::Time(Time64NanosecondBuilder::with_capacity(0))
            }
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                let builder = TimestampMicrosecondBuilder::with_capacity(0);
                Values::Microseconds(builder.with_timezone_opt(zone.clone()))
            }
            DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
                let builder = TimestampNanosecondBuilder::with_capacity(0);
                Values::Nanoseconds(builder.with_timezone_opt(zone.clone()))
            }
            DataType::List(item) => Values::List {
                items: Box::new(Builder::new(item)?),
                ends: Vec::new(),
                count: 0,
                valid: Vec::new(),
                field: Arc::clone(item),
            },
            DataType::Struct(fields) => Values::Struct {
                columns: Box::new(Columns::new(fields)?),
                valid: Vec::new(),
                fields: fields.clone(),
            },
            _ => return Err(unreadable()),
        };
        Ok(Builder { kind, values })
    }

    fn append(&mut self, value: &str, depth: usize, left: &mut usize) -> Result<(), Problem> {
        let found = JsonType::of(value);
        if found == JsonType::Null {
            return self.append_null(left);
        }
        if depth >= DEPTH_MAX && matches!(found, JsonType::Array | JsonType::Object) {
            return Err(changed());
        }
        match (&mut self.values, found) {
            (Values::List { items: child, ends, count, valid, .. }, JsonType::Array) => {
                spend(left)?;
                items(value, &mut |item| {
                    *count = count.checked_add(1).ok_or_else(changed)?;
                    child.append(item, depth + 1, left).map_err(Problem::in_array)
                })?;
                ends.push(*count);
                valid.push(true);
                Ok(())
            }
            (Values::Struct { columns, valid, .. }, JsonType::Object) => {
                spend(left)?;
                columns.append(value, depth + 1, left)?;
                valid.push(true);
                Ok(())
            }
            (Values::List { .. } | Values::Struct { .. }, _) => Err(changed()),
            (values, _) => {
                let Some(text) = scalar(value, &self.kind)? else {
                    return self.append_null(left);
                };
                spend(left)?;
                let parsed = declared(&text, &self.kind).ok_or_else(changed)?;
                values.push(parsed).ok_or_else(changed)
            }
        }
    }

    fn append_null(&mut self, left: &mut usize) -> Result<(), Problem> {
        spend(left)?;
        match &mut self.values {
            Values::Null(rows) => *rows += 1,
            Values::Bool(builder) => builder.append_null(),
            Values::Int(builder) => builder.append_null(),
            Values::Uint64(builder) => builder.append_null(),
            Values::Float32(builder) => builder.append_null(),
            Values::Float64(builder) => builder.append_null(),
            Values::Decimal(builder, _) => builder.append_null(),
            Values::String(builder) => builder.append_null(),
            Values::Date(builder) => builder.append_null(),
            Values::Time(builder) => builder.append_null(),
            Values::Microseconds(builder) => builder.append_null(),
            Values::Nanoseconds(builder) => builder.append_null(),
            Values::List { ends, count, valid, .. } => {
                ends.push(*count);
                valid.push(false);
            }
            Values::Struct { columns, valid, .. } => {
                valid.push(false);
                columns.append_null(left)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match &mut self.values {
            Values::Null(rows) => Arc::new(NullArray::new(std::mem::take(rows))),
            Values::Bool(builder) => Arc::new(builder.finish()),
            Values::Int(builder) => Arc::new(builder.finish()),
            Values::Uint64(builder) => Arc::new(builder.finish()),
            Values::Float32(builder) => Arc::new(builder.finish()),
            Values::Float64(builder) => Arc::new(builder.finish()),
            Values::Decimal(builder, _) => Arc::new(builder.finish()),
            Values::String(builder) => Arc::new(builder.finish()),
            Values::Date(builder) => Arc::new(builder.finish()),
            Values::Time(builder) => Arc::new(builder.finish()),
            Values::Microseconds(builder) => Arc::new(builder.finish()),
            Values::Nanoseconds(builder) => Arc::new(builder.finish()),
            Values::List { items, ends, count, valid, field } => {
                *count = 0;
                let offsets: ScalarBuffer<i32> = [0].into_iter().chain(ends.drain(..)).collect();
                let valid = NullBuffer::from(std::mem::take(valid));
                let items = items.finish()?;
                // The ends only grow.
                let offsets = OffsetBuffer::new(offsets);
                Arc::new(ListArray::try_new(Arc::clone(field), offsets, items, Some(valid))?)
            }
            Values::Struct { columns, valid, fields } => {
                let valid = NullBuffer::from(std::mem::take(valid));
                let (fields, rows) = (fields.clone(), valid.len());
                let arrays = columns.arrays()?;
                Arc::new(StructArray::try_new_with_length(fields, arrays, Some(valid), rows)?)
            }
        })
    }
}

fn spend(left: &mut usize) -> Result<(), Problem> {
    *left = left.checked_sub(1).ok_or_else(|| {
        Problem::new("it makes too many values, those of keys that it does not have counted")
    })?;
    Ok(())
}

impl Values {
    /// Adds a value of the column's kind; none when it is another's, or its unit cannot hold it.
    fn push(&mut self, value: Value<'_>) -> Option<()> {
        match (self, value) {
            (Values::Bool(builder), Value::Bool(value)) => builder.append_value(value),
            (Values::Int(builder), Value::Int(value)) => builder.append_value(value),
            (Values::Uint64(builder), Value::Uint64(value)) => builder.append_value(value),
            (Values::Float32(builder), Value::Float32(value)) => builder.append_value(value),
            (Values::Float64(builder), Value::Float64(value)) => builder.append_value(value),
            (Values::Decimal(builder, scale), Value::Decimal(value, own)) => {
                let zeros = u32::try_from(i32::from(*scale) - i32::from(own)).ok()?;
                let factor = i256::from_i128(10).checked_pow(zeros)?;
                builder.append_value(value.checked_mul(factor)?);
            }
            (Values::String(builder), Value::String(value)) => builder.append_value(value),
            (Values::Date(builder), Value::Date(value)) => builder.append_value(value),
            (Values::Time(builder), Value::Time(value)) => builder.append_value(value),
            (Values::Microseconds(builder), Value::Moment(value)) => {
                builder.append_value((!value.below_microsecond()).then(|| value.microseconds())?);
            }
            (Values::Nanoseconds(builder), Value::Moment(value)) => {
                builder.append_value(value.nanoseconds_since_1970()?);
            }
            _ => return None,
        }
        Some(())
    }
}
