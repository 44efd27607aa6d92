//! DataFrames to Arrow batches and back.
//!
//! Both sides speak the Arrow IPC stream format, so that they need not share memory and nothing here is
//! unsafe. It is done in slices, so that the copy in between stays small.

use std::io::Cursor;
use std::sync::Arc;

use crate::arrow::array::{ArrayRef, AsArray as _, RecordBatch, RecordBatchOptions};
use crate::arrow::datatypes::{DataType, Date64Type, Field, Fields, Schema, SchemaRef, TimeUnit};
use crate::arrow::ipc::reader::StreamReader;
use crate::arrow::ipc::writer::StreamWriter;
use arrow_cast::cast::{CastOptions, cast_with_options};
use polars::prelude as pl;
use polars::prelude::{SerReader as _, SerWriter as _};

use super::FramesError;
use crate::table::{ColumnKind, NESTING_DEPTH_MAX, UnsupportedType};

/// Rows of a DataFrame that are copied at once.
const SLICE_ROWS: usize = 65_536;

/// The rows of a DataFrame as Arrow batches of at most 65,536 rows.
///
/// Categoricals and enums become dictionaries of strings. A column whose type has no kind (Int128,
/// UInt128, Float16, Object, an extension) is refused here, before the first batch.
pub fn batches(frame: &pl::DataFrame) -> Result<FrameBatches<'_>, FramesError> {
    for column in frame.columns() {
        check_type(column.dtype(), column.name(), 0)?;
    }
    let schema = slice_of(frame, 0, 0)?.schema();
    for field in schema.fields() {
        ColumnKind::of(field)?;
    }
    Ok(FrameBatches { frame, schema, at: 0, slice: None })
}

/// The batches of a DataFrame: see [`batches`].
pub struct FrameBatches<'a> {
    frame: &'a pl::DataFrame,
    schema: SchemaRef,
    at: usize,
    slice: Option<StreamReader<Cursor<Vec<u8>>>>,
}

impl FrameBatches<'_> {
    /// Names and Arrow types of the columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, FramesError> {
        loop {
            if let Some(batch) = self.slice.as_mut().and_then(Iterator::next) {
                return Ok(Some(batch?));
            }
            let rows = SLICE_ROWS.min(self.frame.height() - self.at);
            if rows == 0 {
                return Ok(None);
            }
            let start = self.at;
            self.at += rows;
            if self.frame.width() == 0 {
                let options = RecordBatchOptions::new().with_row_count(Some(rows));
                let batch = RecordBatch::try_new_with_options(self.schema(), Vec::new(), &options);
                return Ok(Some(batch?));
            }
            self.slice = Some(slice_of(self.frame, start, rows)?);
        }
    }
}

impl Iterator for FrameBatches<'_> {
    type Item = Result<RecordBatch, FramesError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_batch();
        if next.is_err() {
            (self.at, self.slice) = (self.frame.height(), None);
        }
        next.transpose()
    }
}

/// Some rows of a DataFrame, written by polars and about to be read by Arrow. Strings are written
/// with offsets: views would bring the buffers of the whole DataFrame with every slice.
fn slice_of(
    frame: &pl::DataFrame,
    start: usize,
    rows: usize,
) -> Result<StreamReader<Cursor<Vec<u8>>>, FramesError> {
    let mut slice = frame.slice(start as i64, rows);
    let mut bytes = Vec::new();
    pl::IpcStreamWriter::new(&mut bytes)
        .with_compat_level(pl::CompatLevel::oldest())
        .finish(&mut slice)?;
    Ok(StreamReader::try_new(Cursor::new(bytes), None)?)
}

/// Refuses the types that polars would write under names that Arrow does not know.
fn check_type(data_type: &pl::DataType, column: &str, depth: usize) -> Result<(), UnsupportedType> {
    use pl::DataType as Type;
    let refused = |data_type: String| Err(UnsupportedType { data_type, column: column.to_owned() });
    if depth > NESTING_DEPTH_MAX {
        return refused(format!("a type nested more than {NESTING_DEPTH_MAX} levels deep"));
    }
    match data_type {
        Type::Boolean | Type::Null | Type::String | Type::Binary | Type::BinaryOffset => Ok(()),
        Type::Int8 | Type::Int16 | Type::Int32 | Type::Int64 => Ok(()),
        Type::UInt8 | Type::UInt16 | Type::UInt32 | Type::UInt64 => Ok(()),
        Type::Float32 | Type::Float64 | Type::Decimal(..) => Ok(()),
        Type::Date | Type::Time | Type::Datetime(..) | Type::Duration(_) => Ok(()),
        Type::Categorical(..) | Type::Enum(..) => Ok(()),
        Type::Struct(fields) => fields.iter().try_for_each(|field| {
            check_type(field.dtype(), &format!("{column}.{}", field.name()), depth + 1)
        }),
        // A list, or an array where the feature of polars for them is on.
        other => match other.inner_dtype() {
            Some(inner) => check_type(inner, &format!("{column}[]"), depth + 1),
            None => refused(format!("{other} of polars")),
        },
    }
}

/// A DataFrame of all rows of the batches, which must have this schema.
///
/// It holds the values, not the encodings: dictionaries and run ends become their values, seconds
/// milliseconds, every time zone UTC. Maps, decimals of more than 38 digits or with a negative scale, and two
/// columns of one name have no place in a DataFrame and are refused.
pub fn dataframe<E: Into<FramesError>>(
    schema: &Schema,
    batches: impl Iterator<Item = Result<RecordBatch, E>>,
) -> Result<pl::DataFrame, FramesError> {
    let mut fields = Vec::with_capacity(schema.fields().len());
    for (index, field) in schema.fields().iter().enumerate() {
        if schema.fields()[..index].iter().any(|earlier| earlier.name() == field.name()) {
            return Err(FramesError::ColumnTwice(field.name().clone()));
        }
        ColumnKind::of(field)?;
        fields.push(Field::new(field.name(), polars_type(field, field.name())?, true));
    }
    let target = Arc::new(Schema::new(fields));
    let mut frame = stack(&target, None)?;
    let mut height = 0;
    for batch in batches {
        let batch = batch.map_err(Into::into)?;
        height += batch.num_rows();
        if batch.num_columns() != target.fields().len() {
            let problem = "a batch has not the columns of the schema".to_owned();
            return Err(crate::arrow::error::ArrowError::SchemaError(problem).into());
        }
        if batch.num_rows() > 0 && batch.num_columns() > 0 {
            frame.vstack_mut_owned(stack(&target, Some(&batch))?)?;
        }
    }
    if target.fields().is_empty() {
        return Ok(pl::DataFrame::new(height, Vec::new())?);
    }
    Ok(frame)
}

fn stack(target: &SchemaRef, batch: Option<&RecordBatch>) -> Result<pl::DataFrame, FramesError> {
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, target)?;
    if let Some(batch) = batch {
        let columns = batch.columns().iter().zip(target.fields());
        let columns: Vec<_> = columns
            .map(|(array, field)| converted(array, field))
            .collect::<Result<_, FramesError>>()?;
        writer.write(&RecordBatch::try_new(Arc::clone(target), columns)?)?;
    }
    writer.finish()?;
    Ok(pl::IpcStreamReader::new(Cursor::new(bytes)).finish()?)
}

fn converted(array: &ArrayRef, field: &Field) -> Result<ArrayRef, FramesError> {
    const DAY_MS: i64 = 86_400_000;
    if let Some(dates) = array.as_primitive_opt::<Date64Type>()
        && let Some(milliseconds) = dates.iter().flatten().find(|value| value % DAY_MS != 0)
    {
        let problem = crate::table::CellError::DateWithTime(milliseconds);
        return Err(crate::table::TableError::Cell { column: field.name().clone(), problem }.into());
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    Ok(cast_with_options(array, field.data_type(), &strict)?)
}

/// The type in which polars takes a column. Only these are given to it, without their metadata, since
/// it stops the program at some of those that it does not expect.
fn polars_type(field: &Field, column: &str) -> Result<DataType, UnsupportedType> {
    let refused = |data_type: &DataType| {
        let data_type = format!("{data_type} in a DataFrame");
        Err(UnsupportedType { data_type, column: column.to_owned() })
    };
    let coarse = |unit: &TimeUnit| match unit {
        TimeUnit::Second => TimeUnit::Millisecond,
        other => *other,
    };
    Ok(match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::LargeUtf8,
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => DataType::LargeBinary,
        DataType::Date32 | DataType::Date64 => DataType::Date32,
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Nanosecond),
        DataType::Timestamp(unit, zone) => {
            DataType::Timestamp(coarse(unit), zone.as_ref().map(|_| "UTC".into()))
        }
        DataType::Duration(unit) => DataType::Duration(coarse(unit)),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale)
            if *precision <= 38 && *scale >= 0 =>
        {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::List(child)
        | DataType::LargeList(child)
        | DataType::ListView(child)
        | DataType::LargeListView(child)
        | DataType::FixedSizeList(child, _) => {
            let inner = polars_type(child, &format!("{column}[]"))?;
            DataType::LargeList(Arc::new(Field::new("item", inner, true)))
        }
        DataType::Struct(fields) => DataType::Struct(
            fields
                .iter()
                .map(|field| {
                    let inner = polars_type(field, &format!("{column}.{}", field.name()))?;
                    Ok(Field::new(field.name(), inner, true))
                })
                .collect::<Result<Fields, UnsupportedType>>()?,
        ),
        DataType::Dictionary(_, values) => {
            polars_type(&Field::new("", (**values).clone(), true), column)?
        }
        DataType::RunEndEncoded(_, values) => polars_type(values, column)?,
        plain @ (DataType::Boolean | DataType::Null | DataType::Float32 | DataType::Float64) => {
            plain.clone()
        }
        plain if plain.is_integer() => plain.clone(),
        other => return refused(other),
    })
}
