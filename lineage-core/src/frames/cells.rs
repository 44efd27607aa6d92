//! The canonical bytes of single cells (`docs/formats/fingerprint.md`, Rows without order).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray as _, RecordBatch};
use arrow::compute;
use arrow::datatypes::*;

use crate::table::{CellError, ColumnKind, TableError, columns_of};

/// Encodes the cells of a batch.
pub(super) struct RowCells {
    columns: Vec<(String, ColumnKind)>,
    arrays: Vec<ArrayRef>,
}

impl RowCells {
    pub(super) fn new(schema: &Schema) -> Result<RowCells, TableError> {
        Ok(RowCells { columns: columns_of(schema)?, arrays: Vec::new() })
    }

    /// Takes the next batch in place of the last one.
    pub(super) fn push_batch(&mut self, batch: &RecordBatch) -> Result<(), TableError> {
        self.arrays.clear();
        for (index, array) in batch.columns().iter().enumerate() {
            let array = plain(array).map_err(|problem| self.refused(index, problem))?;
            self.arrays.push(array);
        }
        Ok(())
    }

    /// Appends the bytes of one cell.
    pub(super) fn cell(
        &self,
        column: usize,
        row: usize,
        bytes: &mut Vec<u8>,
    ) -> Result<(), TableError> {
        encode(&self.arrays[column], row, bytes).map_err(|problem| self.refused(column, problem))
    }

    fn refused(&self, index: usize, problem: CellError) -> TableError {
        let column = self.columns.get(index).map_or_else(String::new, |(name, _)| name.clone());
        TableError::Cell { column, problem }
    }
}

/// The values of a dictionary or of runs, so that a row has its own place.
fn plain(array: &ArrayRef) -> Result<ArrayRef, CellError> {
    match array.data_type() {
        DataType::Dictionary(_, values) => plain(&compute::cast(array, values)?),
        DataType::RunEndEncoded(_, values) => plain(&compute::cast(array, values.data_type())?),
        _ => Ok(Arc::clone(array)),
    }
}

fn encode(array: &dyn Array, row: usize, bytes: &mut Vec<u8>) -> Result<(), CellError> {
    if array.is_null(row) || *array.data_type() == DataType::Null {
        bytes.push(0);
        return Ok(());
    }
    if let DataType::Dictionary(..) | DataType::RunEndEncoded(..) = array.data_type() {
        return encode(&plain(&array.slice(row, 1))?, 0, bytes);
    }
    bytes.push(1);
    match array.data_type() {
        DataType::Utf8 => put_bytes(array.as_string::<i32>().value(row).as_bytes(), bytes),
        DataType::LargeUtf8 => put_bytes(array.as_string::<i64>().value(row).as_bytes(), bytes),
        DataType::Utf8View => put_bytes(array.as_string_view().value(row).as_bytes(), bytes),
        DataType::Binary => put_bytes(array.as_binary::<i32>().value(row), bytes),
        DataType::LargeBinary => put_bytes(array.as_binary::<i64>().value(row), bytes),
        DataType::BinaryView => put_bytes(array.as_binary_view().value(row), bytes),
        DataType::FixedSizeBinary(_) => put_bytes(array.as_fixed_size_binary().value(row), bytes),
        DataType::List(_) => put_list(&array.as_list::<i32>().value(row), bytes),
        DataType::LargeList(_) => put_list(&array.as_list::<i64>().value(row), bytes),
        DataType::ListView(_) => put_list(&array.as_list_view::<i32>().value(row), bytes),
        DataType::LargeListView(_) => put_list(&array.as_list_view::<i64>().value(row), bytes),
        DataType::FixedSizeList(..) => put_list(&array.as_fixed_size_list().value(row), bytes),
        DataType::Struct(_) => {
            array.as_struct().columns().iter().try_for_each(|field| encode(field, row, bytes))
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            put_length(entries.len(), bytes)?;
            (0..entries.len()).try_for_each(|entry| {
                entries.columns().iter().try_for_each(|part| encode(part, entry, bytes))
            })
        }
        _ => put_fixed(array, row, bytes),
    }
}

fn put_length(length: usize, bytes: &mut Vec<u8>) -> Result<(), CellError> {
    let length = u32::try_from(length).map_err(|_| CellError::TooLong)?;
    bytes.extend_from_slice(&length.to_le_bytes());
    Ok(())
}

fn put_bytes(value: &[u8], bytes: &mut Vec<u8>) -> Result<(), CellError> {
    put_length(value.len(), bytes)?;
    bytes.extend_from_slice(value);
    Ok(())
}

fn put_list(children: &ArrayRef, bytes: &mut Vec<u8>) -> Result<(), CellError> {
    let children = plain(children)?;
    put_length(children.len(), bytes)?;
    (0..children.len()).try_for_each(|child| encode(&children, child, bytes))
}

fn value<T: ArrowPrimitiveType>(array: &dyn Array, row: usize) -> T::Native {
    array.as_primitive::<T>().value(row)
}

#[rustfmt::skip]
fn put_fixed(array: &dyn Array, row: usize, bytes: &mut Vec<u8>) -> Result<(), CellError> {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    macro_rules! value { ($type:ty) => { value::<$type>(array, row) }; }
    macro_rules! integer { ($type:ty) => { bytes.extend_from_slice(&i64::from(value!($type)).to_le_bytes()) }; }
    macro_rules! decimal { ($type:ty, $scale:expr) => { put_decimal(i256::from_i128(value!($type).into()), *$scale, bytes) }; }
    match array.data_type() {
        DataType::Boolean => bytes.push(u8::from(array.as_boolean().value(row))),
        DataType::Int8 => integer!(Int8Type),
        DataType::Int16 => integer!(Int16Type),
        DataType::Int32 => integer!(Int32Type),
        DataType::Int64 => integer!(Int64Type),
        DataType::UInt8 => integer!(UInt8Type),
        DataType::UInt16 => integer!(UInt16Type),
        DataType::UInt32 => integer!(UInt32Type),
        DataType::UInt64 => bytes.extend_from_slice(&value!(UInt64Type).to_le_bytes()),
        DataType::Float32 => {
            let value = value!(Float32Type);
            let value = if value.is_nan() { f32::from_bits(0x7fc0_0000) } else { value + 0.0 };
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        DataType::Float64 => {
            let value = value!(Float64Type);
            let value = if value.is_nan() { f64::from_bits(0x7ff8 << 48) } else { value + 0.0 };
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        DataType::Decimal32(_, scale) => decimal!(Decimal32Type, scale),
        DataType::Decimal64(_, scale) => decimal!(Decimal64Type, scale),
        DataType::Decimal128(_, scale) => decimal!(Decimal128Type, scale),
        DataType::Decimal256(_, scale) => put_decimal(value!(Decimal256Type), *scale, bytes),
        DataType::Date32 => integer!(Date32Type),
        DataType::Date64 => {
            const DAY_MS: i64 = 86_400_000;
            let milliseconds = value!(Date64Type);
            if milliseconds % DAY_MS != 0 {
                return Err(CellError::DateWithTime(milliseconds));
            }
            bytes.extend_from_slice(&(milliseconds / DAY_MS).to_le_bytes());
        }
        DataType::Time32(Second) => put_time(value!(Time32SecondType).into(), 1_000_000_000, bytes),
        DataType::Time32(_) => put_time(value!(Time32MillisecondType).into(), 1_000_000, bytes),
        DataType::Time64(Microsecond) => put_time(value!(Time64MicrosecondType), 1_000, bytes),
        DataType::Time64(_) => put_time(value!(Time64NanosecondType), 1, bytes),
        DataType::Timestamp(Second, _) => put_moment(value!(TimestampSecondType), 1, bytes),
        DataType::Timestamp(Millisecond, _) => put_moment(value!(TimestampMillisecondType), 1_000, bytes),
        DataType::Timestamp(Microsecond, _) => put_moment(value!(TimestampMicrosecondType), 1_000_000, bytes),
        DataType::Timestamp(Nanosecond, _) => put_moment(value!(TimestampNanosecondType), 1_000_000_000, bytes),
        DataType::Duration(Second) => put_moment(value!(DurationSecondType), 1, bytes),
        DataType::Duration(Millisecond) => put_moment(value!(DurationMillisecondType), 1_000, bytes),
        DataType::Duration(Microsecond) => put_moment(value!(DurationMicrosecondType), 1_000_000, bytes),
        DataType::Duration(Nanosecond) => put_moment(value!(DurationNanosecondType), 1_000_000_000, bytes),
        other => return Err(CellError::Type(other.to_string())),
    }
    Ok(())
}

fn put_time(value: i64, unit_nanoseconds: i64, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&value.wrapping_mul(unit_nanoseconds).to_le_bytes());
}

/// Seconds, rounded down, and nanoseconds.
fn put_moment(value: i64, per_second: i64, bytes: &mut Vec<u8>) {
    let nanoseconds = value.rem_euclid(per_second) * (1_000_000_000 / per_second);
    bytes.extend_from_slice(&value.div_euclid(per_second).to_le_bytes());
    bytes.extend_from_slice(&(nanoseconds as u32).to_le_bytes());
}

/// A decimal without trailing zeros.
fn put_decimal(mut value: i256, mut scale: i8, bytes: &mut Vec<u8>) {
    let ten = i256::from_i128(10);
    if value == i256::ZERO {
        scale = 0;
    }
    while value != i256::ZERO && scale > i8::MIN && value.wrapping_rem(ten) == i256::ZERO {
        (value, scale) = (value.wrapping_div(ten), scale - 1);
    }
    bytes.extend_from_slice(&value.to_le_bytes());
    bytes.extend_from_slice(&scale.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        Decimal128Array, DictionaryArray, Float64Array, Int16Array, Int64Array, ListArray,
        StringArray, StringViewArray, StructArray, TimestampMicrosecondArray,
        TimestampMillisecondArray,
    };

    use super::*;

    /// The cells of a column.
    fn cells(array: ArrayRef) -> Vec<Vec<u8>> {
        let batch = RecordBatch::try_from_iter_with_nullable([("x", array, true)]).unwrap();
        let mut cells = RowCells::new(&batch.schema()).unwrap();
        cells.push_batch(&batch).unwrap();
        let cell = |row| {
            let mut bytes = Vec::new();
            cells.cell(0, row, &mut bytes).unwrap();
            bytes
        };
        (0..batch.num_rows()).map(cell).collect()
    }

    #[test]
    fn cells_are_as_the_format_says() {
        let numbers = cells(Arc::new(Int16Array::from(vec![Some(-2), None])));
        assert_eq!(numbers, [vec![1, 254, 255, 255, 255, 255, 255, 255, 255], vec![0]]);
        let texts = cells(Arc::new(StringArray::from(vec![Some(""), Some("é"), None])));
        assert_eq!(texts, [vec![1, 0, 0, 0, 0], vec![1, 2, 0, 0, 0, 0xc3, 0xa9], vec![0]]);
        let list = ListArray::from_iter_primitive::<UInt8Type, _, _>([Some([Some(7), None])]);
        let list = cells(Arc::new(list));
        assert_eq!(list, [vec![1, 2, 0, 0, 0, 1, 7, 0, 0, 0, 0, 0, 0, 0, 0]]);
        let field = |name: &str| Arc::new(Field::new(name, DataType::Int16, true));
        let one: ArrayRef = Arc::new(Int16Array::from(vec![None, Some(1)]));
        let fields = StructArray::from(vec![(field("a"), one.clone()), (field("b"), one)]);
        assert_eq!(cells(Arc::new(fields))[0], [1, 0, 0]);
        let moment = cells(Arc::new(TimestampMillisecondArray::from(vec![-1])));
        let mut expected = vec![1];
        expected.extend([255; 8]);
        expected.extend(999_000_000_u32.to_le_bytes());
        assert_eq!(moment, [expected]);
    }

    #[test]
    fn encodings_do_not_matter() {
        let same = |left: ArrayRef, right: ArrayRef| assert_eq!(cells(left), cells(right));
        let texts = || ["a", "b", "a"].into_iter();
        let plain = || Arc::new(StringArray::from_iter_values(texts()));
        same(plain(), Arc::new(texts().map(Some).collect::<StringViewArray>()));
        same(plain(), Arc::new(texts().collect::<DictionaryArray<Int8Type>>()));
        same(Arc::new(Int64Array::from(vec![5])), Arc::new(Int16Array::from(vec![5])));
        same(Arc::new(Float64Array::from(vec![-0.0])), Arc::new(Float64Array::from(vec![0.0])));
        let decimal = |value: i128, scale: i8| -> ArrayRef {
            let array = Decimal128Array::from(vec![value, 0]);
            Arc::new(array.with_precision_and_scale(20, scale).unwrap())
        };
        same(decimal(150, 2), decimal(1500, 3));
        same(
            Arc::new(TimestampMillisecondArray::from(vec![-1500])),
            Arc::new(TimestampMicrosecondArray::from(vec![-1_500_000])),
        );
    }
}
