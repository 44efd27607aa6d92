//! The canonical bytes of a column's values, strip by strip (`docs/formats/fingerprint.md`, Grid).

use std::sync::Arc;

use crate::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray as _, BinaryViewArray, BooleanBufferBuilder,
    OffsetSizeTrait, RunArray, StringViewArray, UInt64Array,
};
use crate::arrow::buffer::NullBuffer;
use crate::arrow::compute;
use crate::arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, RunEndIndexType,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
};
use crate::arrow::error::ArrowError;

use super::ColumnKind;
use super::texts::{Words, bytes, put_length};

/// Rows of a strip.
pub(super) const STRIP_ROWS: usize = 1024;

/// A value that has no canonical form.
#[derive(Debug, thiserror::Error)]
pub enum CellError {
    /// A Date64 within a day.
    #[error("a date with a time of day ({0} ms since 1970-01-01)")]
    DateWithTime(i64),
    /// A string, binary or list longer than its length field can say.
    #[error("a value of more than 4 GiB")]
    TooLong,
    /// An array of a type that the column's kind does not name.
    #[error("values of type {0}, which the column's kind does not allow")]
    Type(String),
    /// Arrow could not give the values of an encoded array.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

/// Where canonical bytes go.
pub(crate) trait Sink {
    /// Takes the next bytes.
    fn put(&mut self, bytes: &[u8]);

    /// Takes so many bytes, all of which the caller then writes: values are encoded where they stay. What is in them
    /// before may be anything.
    fn room(&mut self, size_bytes: usize) -> &mut [u8];
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn room(&mut self, size_bytes: usize) -> &mut [u8] {
        let start = self.len();
        self.resize(start + size_bytes, 0);
        &mut self[start..]
    }
}

/// The strip of a column that is being filled.
pub(super) struct Strip {
    rows: usize,
    nulls: usize,
    validity: BooleanBufferBuilder,
    lengths: Vec<[u8; 4]>,
    inner: Inner,
}

enum Inner {
    /// Values of one width, written as they come.
    Fixed,
    /// Strings and binaries: values as they come, lengths at the end.
    Bytes(Words),
    /// Lists: the child's strips as they fill up, lengths at the end.
    Children(Box<Strip>),
    /// Structs: each field's strip is kept until the end, since all of the first come first.
    Fields(Vec<(Strip, Vec<u8>)>),
    /// Columns without values.
    Nothing,
}

impl Strip {
    pub(super) fn new(kind: &ColumnKind) -> Strip {
        let inner = match kind {
            ColumnKind::String | ColumnKind::Binary => Inner::Bytes(Words::default()),
            ColumnKind::List(child) => Inner::Children(Box::new(Strip::new(child))),
            ColumnKind::Map(key, value) => {
                Inner::Children(Box::new(Strip::of_fields([&**key, &**value].into_iter())))
            }
            ColumnKind::Struct(fields) => return Strip::of_fields(fields.iter().map(|(_, k)| k)),
            ColumnKind::Null => Inner::Nothing,
            _ => Inner::Fixed,
        };
        Strip::with(inner)
    }

    fn of_fields<'a>(kinds: impl Iterator<Item = &'a ColumnKind>) -> Strip {
        Strip::with(Inner::Fields(kinds.map(|kind| (Strip::new(kind), Vec::new())).collect()))
    }

    fn with(inner: Inner) -> Strip {
        let validity = BooleanBufferBuilder::new(0);
        Strip { rows: 0, nulls: 0, validity, lengths: Vec::new(), inner }
    }

    /// How many rows are still to come.
    pub(super) fn room(&self) -> usize {
        STRIP_ROWS - self.rows
    }

    /// Takes the next rows, at most [`Strip::room`] of them. `array` is plain (see [`plain`]), or one of
    /// words (see [`has_words`]); `nulls` are its own and those of the structs around it.
    pub(super) fn push(
        &mut self,
        array: &dyn Array,
        nulls: Option<&NullBuffer>,
        sink: &mut dyn Sink,
    ) -> Result<(), CellError> {
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        match nulls {
            Some(nulls) => self.validity.append_buffer(nulls.inner()),
            None => self.validity.append_n(array.len(), true),
        }
        self.rows += array.len();
        self.nulls += nulls.map_or(0, NullBuffer::null_count);
        match &mut self.inner {
            Inner::Fixed => fixed(array, nulls, sink),
            Inner::Bytes(words) => bytes(array, nulls, words, &mut self.lengths, sink),
            Inner::Children(child) => children(array, nulls, &mut self.lengths, child, sink),
            Inner::Fields(fields) => {
                let array = array.as_struct_opt().ok_or_else(|| unexpected(array))?;
                for ((strip, bytes), column) in fields.iter_mut().zip(array.columns()) {
                    let column = plain(column)?;
                    let nulls = NullBuffer::union(nulls, column.logical_nulls().as_ref());
                    strip.push(&column, nulls.as_ref(), bytes)?;
                }
                Ok(())
            }
            Inner::Nothing => Ok(()),
        }
    }

    /// Writes what comes after the values, and begins anew.
    pub(super) fn finish(&mut self, sink: &mut dyn Sink) {
        match &mut self.inner {
            Inner::Children(child) if child.rows > 0 => child.finish(sink),
            Inner::Fields(fields) => {
                for (strip, bytes) in fields {
                    strip.finish(bytes);
                    sink.put(bytes);
                    bytes.clear();
                }
            }
            _ => {}
        }
        sink.put(self.lengths.as_flattened());
        if self.nulls > 0 {
            // This clears the bits behind the last row in its byte.
            self.validity.truncate(self.rows);
            sink.put(self.validity.as_slice());
        }
        sink.put(&[u8::from(self.nulls > 0)]);
        self.validity.truncate(0);
        self.lengths.clear();
        (self.rows, self.nulls) = (0, 0);
    }
}

pub(super) fn unexpected(array: &dyn Array) -> CellError {
    CellError::Type(array.data_type().to_string())
}

/// The array without dictionary or run-end encoding. Values are not copied: strings become views.
pub(crate) fn plain(array: &ArrayRef) -> Result<ArrayRef, CellError> {
    match array.data_type() {
        DataType::Dictionary(..) => {
            let encoded = array.as_any_dictionary();
            let values = views(encoded.values());
            plain(&compute::take(&values, encoded.keys(), None)?)
        }
        DataType::RunEndEncoded(ends, _) => match ends.data_type() {
            DataType::Int16 => decode_runs::<Int16Type>(array),
            DataType::Int32 => decode_runs::<Int32Type>(array),
            _ => decode_runs::<Int64Type>(array),
        },
        _ => Ok(Arc::clone(array)),
    }
}

fn decode_runs<R: RunEndIndexType>(array: &ArrayRef) -> Result<ArrayRef, CellError> {
    let runs = array.as_any().downcast_ref::<RunArray<R>>().ok_or_else(|| unexpected(array))?;
    let rows = (0..runs.len()).map(|row| runs.get_physical_index(row) as u64);
    let rows: UInt64Array = rows.collect();
    plain(&compute::take(&views(runs.values()), &rows, None)?)
}

/// Byte arrays as views, so that taking from them copies nothing and cannot overflow.
fn views(values: &ArrayRef) -> ArrayRef {
    match values.data_type() {
        DataType::Utf8 => Arc::new(StringViewArray::from(values.as_string::<i32>())),
        DataType::LargeUtf8 => Arc::new(StringViewArray::from(values.as_string::<i64>())),
        DataType::Binary => Arc::new(BinaryViewArray::from(values.as_binary::<i32>())),
        DataType::LargeBinary => Arc::new(BinaryViewArray::from(values.as_binary::<i64>())),
        _ => Arc::clone(values),
    }
}

/// Writes values of one width; those of nulls are zero.
fn put_fixed<const WIDTH: usize>(
    values: impl ExactSizeIterator<Item = [u8; WIDTH]>,
    nulls: Option<&NullBuffer>,
    sink: &mut dyn Sink,
) {
    let (cells, _) = sink.room(values.len() * WIDTH).as_chunks_mut::<WIDTH>();
    cells.iter_mut().zip(values).for_each(|(cell, value)| *cell = value);
    if let Some(nulls) = nulls {
        for row in (!nulls.inner()).set_indices() {
            cells[row] = [0; WIDTH];
        }
    }
}

fn put_primitive<T: ArrowPrimitiveType, const WIDTH: usize>(
    array: &dyn Array,
    nulls: Option<&NullBuffer>,
    sink: &mut dyn Sink,
    encode: impl Fn(T::Native) -> [u8; WIDTH],
) -> Result<(), CellError> {
    let values = array.as_primitive_opt::<T>().ok_or_else(|| unexpected(array))?.values();
    put_fixed(values.iter().map(|value| encode(*value)), nulls, sink);
    Ok(())
}

/// Seconds, rounded down, and nanoseconds of a count of `1 / per_second` seconds.
fn moment(value: i64, per_second: i64) -> [u8; 12] {
    let nanoseconds = value.rem_euclid(per_second) * (1_000_000_000 / per_second);
    let mut cell = [0; 12];
    cell[..8].copy_from_slice(&value.div_euclid(per_second).to_le_bytes());
    cell[8..].copy_from_slice(&(nanoseconds as u32).to_le_bytes());
    cell
}

fn float32(value: f32) -> [u8; 4] {
    let value = if value.is_nan() { f32::from_bits(0x7fc0_0000) } else { value + 0.0 };
    value.to_le_bytes()
}

fn float64(value: f64) -> [u8; 8] {
    let value = if value.is_nan() { f64::from_bits(0x7ff8_0000_0000_0000) } else { value + 0.0 };
    value.to_le_bytes()
}

/// A decimal without trailing zeros.
fn decimal(value: i256, scale: i8) -> [u8; 33] {
    let (unscaled, scale) = match value.to_i128() {
        Some(0) => (i256::ZERO, 0),
        Some(mut value) => {
            let mut scale = scale;
            while scale > i8::MIN && value % 10 == 0 {
                (value, scale) = (value / 10, scale - 1);
            }
            (i256::from_i128(value), scale)
        }
        None => {
            let (mut value, mut scale) = (value, scale);
            let ten = i256::from_i128(10);
            while scale > i8::MIN && value.wrapping_rem(ten) == i256::ZERO {
                (value, scale) = (value.wrapping_div(ten), scale - 1);
            }
            (value, scale)
        }
    };
    let mut cell = [0; 33];
    cell[..32].copy_from_slice(&unscaled.to_le_bytes());
    cell[32] = scale as u8;
    cell
}

/// Writes the values of an array of a kind whose values are equally long. `array` is plain.
#[rustfmt::skip]
pub(crate) fn fixed(array: &dyn Array, nulls: Option<&NullBuffer>, sink: &mut dyn Sink) -> Result<(), CellError> {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    macro_rules! put {
        ($type:ty, $encode:expr) => { put_primitive::<$type, _>(array, nulls, sink, $encode) };
    }
    match *array.data_type() {
        DataType::Boolean => booleans(array, nulls, sink),
        DataType::Int8 => put!(Int8Type, |v| i64::from(v).to_le_bytes()),
        DataType::Int16 => put!(Int16Type, |v| i64::from(v).to_le_bytes()),
        DataType::Int32 => put!(Int32Type, |v| i64::from(v).to_le_bytes()),
        DataType::Int64 => put!(Int64Type, |v| v.to_le_bytes()),
        DataType::UInt8 => put!(UInt8Type, |v| i64::from(v).to_le_bytes()),
        DataType::UInt16 => put!(UInt16Type, |v| i64::from(v).to_le_bytes()),
        DataType::UInt32 => put!(UInt32Type, |v| i64::from(v).to_le_bytes()),
        DataType::UInt64 => put!(UInt64Type, |v| v.to_le_bytes()),
        DataType::Float32 => put!(Float32Type, float32),
        DataType::Float64 => put!(Float64Type, float64),
        DataType::Decimal32(_, s) => put!(Decimal32Type, |v| decimal(i256::from_i128(v.into()), s)),
        DataType::Decimal64(_, s) => put!(Decimal64Type, |v| decimal(i256::from_i128(v.into()), s)),
        DataType::Decimal128(_, s) => put!(Decimal128Type, |v| decimal(i256::from_i128(v), s)),
        DataType::Decimal256(_, s) => put!(Decimal256Type, |v| decimal(v, s)),
        DataType::Date32 => put!(Date32Type, |v| i64::from(v).to_le_bytes()),
        DataType::Date64 => dates(array, nulls, sink),
        DataType::Time32(Second) => put!(Time32SecondType, |v| (i64::from(v) * 1_000_000_000).to_le_bytes()),
        DataType::Time32(Millisecond) => put!(Time32MillisecondType, |v| (i64::from(v) * 1_000_000).to_le_bytes()),
        DataType::Time64(Microsecond) => put!(Time64MicrosecondType, |v| v.wrapping_mul(1_000).to_le_bytes()),
        DataType::Time64(Nanosecond) => put!(Time64NanosecondType, |v| v.to_le_bytes()),
        DataType::Timestamp(Second, _) => put!(TimestampSecondType, |v| moment(v, 1)),
        DataType::Timestamp(Millisecond, _) => put!(TimestampMillisecondType, |v| moment(v, 1_000)),
        DataType::Timestamp(Microsecond, _) => put!(TimestampMicrosecondType, |v| moment(v, 1_000_000)),
        DataType::Timestamp(Nanosecond, _) => put!(TimestampNanosecondType, |v| moment(v, 1_000_000_000)),
        DataType::Duration(Second) => put!(DurationSecondType, |v| moment(v, 1)),
        DataType::Duration(Millisecond) => put!(DurationMillisecondType, |v| moment(v, 1_000)),
        DataType::Duration(Microsecond) => put!(DurationMicrosecondType, |v| moment(v, 1_000_000)),
        DataType::Duration(Nanosecond) => put!(DurationNanosecondType, |v| moment(v, 1_000_000_000)),
        _ => Err(unexpected(array)),
    }
}

fn booleans(
    array: &dyn Array,
    nulls: Option<&NullBuffer>,
    sink: &mut dyn Sink,
) -> Result<(), CellError> {
    let values = array.as_boolean_opt().ok_or_else(|| unexpected(array))?.values();
    let cells = sink.room(values.len());
    for (cells, bits) in cells.chunks_mut(64).zip(values.bit_chunks().iter_padded()) {
        for (place, cell) in cells.iter_mut().enumerate() {
            *cell = (bits >> place & 1) as u8;
        }
    }
    if let Some(nulls) = nulls {
        (!nulls.inner()).set_indices().for_each(|row| cells[row] = 0);
    }
    Ok(())
}

fn dates(
    array: &dyn Array,
    nulls: Option<&NullBuffer>,
    sink: &mut dyn Sink,
) -> Result<(), CellError> {
    const DAY_MS: i64 = 86_400_000;
    let values = array.as_primitive_opt::<Date64Type>().ok_or_else(|| unexpected(array))?.values();
    let is_refused = |(row, value): &(usize, &i64)| {
        *value % DAY_MS != 0 && nulls.is_none_or(|nulls| nulls.is_valid(*row))
    };
    if let Some((_, value)) = values.iter().enumerate().find(is_refused) {
        return Err(CellError::DateWithTime(*value));
    }
    put_fixed(values.iter().map(|value| (value / DAY_MS).to_le_bytes()), nulls, sink);
    Ok(())
}

/// Writes the children of the valid rows.
fn children(
    array: &dyn Array,
    nulls: Option<&NullBuffer>,
    lengths: &mut Vec<[u8; 4]>,
    child: &mut Strip,
    sink: &mut dyn Sink,
) -> Result<(), CellError> {
    let (values, ranges) = ranges(array)?;
    let mut run = 0..0;
    for (row, range) in ranges.into_iter().enumerate() {
        if nulls.is_some_and(|nulls| nulls.is_null(row)) {
            put_length(lengths, 0)?;
            continue;
        }
        put_length(lengths, range.len())?;
        if range.start != run.end {
            push_run(&values, run, child, sink)?;
            run = range;
        } else {
            run.end = range.end;
        }
    }
    push_run(&values, run, child, sink)
}

fn push_run(
    values: &ArrayRef,
    run: std::ops::Range<usize>,
    child: &mut Strip,
    sink: &mut dyn Sink,
) -> Result<(), CellError> {
    let mut at = run.start;
    while at < run.end {
        let rows = child.room().min(run.end - at);
        let slice = plain(&values.slice(at, rows))?;
        child.push(&slice, slice.logical_nulls().as_ref(), sink)?;
        if child.room() == 0 {
            child.finish(sink);
        }
        at += rows;
    }
    Ok(())
}

/// The children of a list or map, and which of them belong to each row.
fn ranges(array: &dyn Array) -> Result<(ArrayRef, Vec<std::ops::Range<usize>>), CellError> {
    fn between<O: OffsetSizeTrait>(offsets: &[O]) -> Vec<std::ops::Range<usize>> {
        offsets.windows(2).map(|pair| pair[0].as_usize()..pair[1].as_usize()).collect()
    }
    fn sized<O: OffsetSizeTrait>(offsets: &[O], sizes: &[O]) -> Vec<std::ops::Range<usize>> {
        let pairs = offsets.iter().zip(sizes);
        pairs.map(|(start, size)| start.as_usize()..start.as_usize() + size.as_usize()).collect()
    }
    Ok(match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            (Arc::clone(list.values()), between(list.value_offsets()))
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            (Arc::clone(list.values()), between(list.value_offsets()))
        }
        DataType::ListView(_) => {
            let list = array.as_list_view::<i32>();
            (Arc::clone(list.values()), sized(list.value_offsets(), list.value_sizes()))
        }
        DataType::LargeListView(_) => {
            let list = array.as_list_view::<i64>();
            (Arc::clone(list.values()), sized(list.value_offsets(), list.value_sizes()))
        }
        DataType::FixedSizeList(_, size) => {
            let list = array.as_fixed_size_list();
            let size = usize::try_from(*size).unwrap_or(0);
            let rows = (0..array.len()).map(|row| row * size..(row + 1) * size).collect();
            (Arc::clone(list.values()), rows)
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            (entries, between(map.value_offsets()))
        }
        _ => return Err(unexpected(array)),
    })
}
