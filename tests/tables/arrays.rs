//! Arrow arrays of values. What does not count is made unlike: null slots hold garbage, children begin
//! after garbage, views lie in reverse order, and dictionaries hold what nobody uses.

use std::sync::Arc;

use lineage_core::arrow::array::*;
use lineage_core::arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use lineage_core::arrow::datatypes::*;

use super::values::{Column, Value};

/// A batch of the columns' values in the given types.
pub fn batch(columns: &[Column], data_types: &[DataType], rows: usize) -> RecordBatch {
    let field = |(column, data_type): (&Column, &DataType)| {
        Field::new(&column.name, data_type.clone(), true)
    };
    let fields: Fields = columns.iter().zip(data_types).map(field).collect();
    let arrays = columns.iter().zip(data_types);
    let arrays = arrays.map(|(column, data_type)| array(data_type, &column.values)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).unwrap()
}

/// An array of values, which must all fit its type.
pub fn array(data_type: &DataType, values: &[Value]) -> ArrayRef {
    match data_type {
        DataType::Null => return Arc::new(NullArray::new(values.len())),
        DataType::Dictionary(key, of) => {
            return match **key {
                DataType::Int8 => dictionary::<Int8Type>(of, values),
                DataType::UInt16 => dictionary::<UInt16Type>(of, values),
                _ => dictionary::<Int32Type>(of, values),
            };
        }
        DataType::RunEndEncoded(_, of) => return runs(of.data_type(), values),
        _ => {}
    }
    let garbage = garbage(data_type);
    let or_garbage = values.iter().map(|value| match value {
        Value::Null => &garbage,
        value => value,
    });
    let full = full(data_type, &or_garbage.collect::<Vec<_>>());
    let valid = values.iter().map(|value| *value != Value::Null);
    let valid = NullBuffer::from(valid.collect::<Vec<bool>>());
    if valid.null_count() == 0 {
        return full;
    }
    make_array(full.to_data().into_builder().nulls(Some(valid)).build().unwrap())
}

fn dictionary<K: ArrowDictionaryKeyType>(of: &DataType, values: &[Value]) -> ArrayRef {
    let mut entries = vec![garbage(of), Value::Null];
    let key = |(row, value): (usize, &Value)| {
        // A null is the key's or the entry's.
        if *value == Value::Null && row % 2 == 0 {
            return None;
        }
        let place = entries.iter().skip(1).position(|entry| entry == value).unwrap_or_else(|| {
            entries.push(value.clone());
            entries.len() - 2
        });
        K::Native::from_usize(place + 1)
    };
    let keys: PrimitiveArray<K> = values.iter().enumerate().map(key).collect();
    Arc::new(DictionaryArray::try_new(keys, array(of, &entries)).unwrap())
}

fn runs(of: &DataType, values: &[Value]) -> ArrayRef {
    let (mut ends, mut entries) = (Vec::new(), Vec::<Value>::new());
    for (row, value) in values.iter().enumerate() {
        // Now and then a run ends though the value goes on.
        if entries.last() == Some(value) && row % 5 != 0 {
            ends.pop();
        } else {
            entries.push(value.clone());
        }
        ends.push(row as i32 + 1);
    }
    let ends = Int32Array::from(ends);
    Arc::new(RunArray::<Int32Type>::try_new(&ends, &array(of, &entries)).unwrap())
}

/// Any value but null.
fn garbage(data_type: &DataType) -> Value {
    match data_type {
        DataType::Null => Value::Null,
        DataType::Boolean => Value::Bool(true),
        DataType::Float32 => Value::Float32(1.5f32.to_bits()),
        DataType::Float64 => Value::Float64(f64::NAN.to_bits()),
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => Value::Decimal(i256::from_i128(7), *scale),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            Value::Text("garbage that is too long for a view".to_owned())
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            Value::Bytes(vec![0xaa; 30])
        }
        DataType::FixedSizeBinary(size) => Value::Bytes(vec![0xaa; *size as usize]),
        DataType::Time32(_) | DataType::Time64(_) => Value::Int(3_600_000_000_000),
        DataType::Timestamp(..) | DataType::Duration(_) => Value::Moment(1_234_567, 0),
        DataType::List(child)
        | DataType::LargeList(child)
        | DataType::ListView(child)
        | DataType::LargeListView(child) => Value::Many(vec![garbage(child.data_type()); 2]),
        DataType::FixedSizeList(child, size) => {
            Value::Many(vec![garbage(child.data_type()); *size as usize])
        }
        DataType::Struct(fields) => {
            Value::Many(fields.iter().map(|field| garbage(field.data_type())).collect())
        }
        DataType::Map(entries, _) => Value::Many(vec![garbage(entries.data_type())]),
        DataType::Dictionary(_, of) => garbage(of),
        DataType::RunEndEncoded(_, of) => garbage(of.data_type()),
        _ => Value::Int(77),
    }
}

fn int(value: &Value) -> i128 {
    let Value::Int(value) = value else { panic!("{value:?}") };
    *value
}

fn text(value: &Value) -> &str {
    let Value::Text(value) = value else { panic!("{value:?}") };
    value
}

fn bytes(value: &Value) -> &[u8] {
    let Value::Bytes(value) = value else { panic!("{value:?}") };
    value
}

fn many(value: &Value) -> &[Value] {
    let Value::Many(values) = value else { panic!("{value:?}") };
    values
}

fn per_second(unit: &TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// The value as a count of the unit; none when it is no whole number of them, or too large.
pub fn ticks(value: &Value, unit: &TimeUnit) -> Option<i64> {
    let nanoseconds = match value {
        Value::Int(nanoseconds) => *nanoseconds,
        Value::Moment(seconds, part) => i128::from(*seconds) * 1_000_000_000 + i128::from(*part),
        _ => return None,
    };
    let tick = 1_000_000_000 / per_second(unit);
    (nanoseconds % tick == 0).then(|| i64::try_from(nanoseconds / tick).ok())?
}

/// The unscaled value at another scale; none when digits are lost or 76 are not enough.
pub fn rescaled(value: &Value, scale: i8) -> Option<i256> {
    let Value::Decimal(unscaled, old) = value else { return None };
    let ten = i256::from_i128(10);
    let (mut unscaled, mut old) = (*unscaled, *old);
    while old < scale {
        (unscaled, old) = (unscaled.checked_mul(ten)?, old + 1);
    }
    while old > scale {
        if unscaled.wrapping_rem(ten) != i256::ZERO {
            return None;
        }
        (unscaled, old) = (unscaled.wrapping_div(ten), old - 1);
    }
    Some(unscaled)
}

/// An array without nulls at its top.
fn full(data_type: &DataType, values: &[&Value]) -> ArrayRef {
    macro_rules! primitive {
        ($type:ty, $native:expr) => {{
            let native = values.iter().map(|value| $native(value));
            let array = PrimitiveArray::<$type>::from_iter_values(native);
            Arc::new(array.with_data_type(data_type.clone())) as ArrayRef
        }};
    }
    macro_rules! clock {
        ($unit:expr, $s:ty, $ms:ty, $us:ty, $ns:ty) => {{
            let tick = |value: &&Value| ticks(value, $unit).unwrap();
            match $unit {
                TimeUnit::Second => primitive!($s, |v| tick(v).try_into().unwrap()),
                TimeUnit::Millisecond => primitive!($ms, |v| tick(v).try_into().unwrap()),
                TimeUnit::Microsecond => primitive!($us, |v| tick(v)),
                TimeUnit::Nanosecond => primitive!($ns, |v| tick(v)),
            }
        }};
    }
    match data_type {
        DataType::Boolean => {
            let bits = values.iter().map(|value| **value == Value::Bool(true));
            Arc::new(BooleanArray::from(bits.collect::<Vec<_>>()))
        }
        DataType::Int8 => primitive!(Int8Type, |v| int(v) as i8),
        DataType::Int16 => primitive!(Int16Type, |v| int(v) as i16),
        DataType::Int32 => primitive!(Int32Type, |v| int(v) as i32),
        DataType::Int64 => primitive!(Int64Type, |v| int(v) as i64),
        DataType::UInt8 => primitive!(UInt8Type, |v| int(v) as u8),
        DataType::UInt16 => primitive!(UInt16Type, |v| int(v) as u16),
        DataType::UInt32 => primitive!(UInt32Type, |v| int(v) as u32),
        DataType::UInt64 => primitive!(UInt64Type, |v| int(v) as u64),
        DataType::Date32 => primitive!(Date32Type, |v| int(v) as i32),
        DataType::Date64 => primitive!(Date64Type, |v| int(v) as i64 * 86_400_000),
        DataType::Float32 => primitive!(Float32Type, |v: &&Value| match v {
            Value::Float32(bits) => f32::from_bits(*bits),
            value => panic!("{value:?}"),
        }),
        DataType::Float64 => primitive!(Float64Type, |v: &&Value| match v {
            Value::Float64(bits) => f64::from_bits(*bits),
            value => panic!("{value:?}"),
        }),
        DataType::Decimal32(_, scale) => {
            primitive!(Decimal32Type, |v| rescaled(v, *scale).unwrap().as_i128() as i32)
        }
        DataType::Decimal64(_, scale) => {
            primitive!(Decimal64Type, |v| rescaled(v, *scale).unwrap().as_i128() as i64)
        }
        DataType::Decimal128(_, scale) => {
            primitive!(Decimal128Type, |v| rescaled(v, *scale).unwrap().as_i128())
        }
        DataType::Decimal256(_, scale) => {
            primitive!(Decimal256Type, |v| rescaled(v, *scale).unwrap())
        }
        DataType::Time32(unit) | DataType::Time64(unit) => clock!(
            unit,
            Time32SecondType,
            Time32MillisecondType,
            Time64MicrosecondType,
            Time64NanosecondType
        ),
        DataType::Timestamp(unit, _) => clock!(
            unit,
            TimestampSecondType,
            TimestampMillisecondType,
            TimestampMicrosecondType,
            TimestampNanosecondType
        ),
        DataType::Duration(unit) => clock!(
            unit,
            DurationSecondType,
            DurationMillisecondType,
            DurationMicrosecondType,
            DurationNanosecondType
        ),
        _ => full_of_bytes(data_type, values).unwrap_or_else(|| full_of_many(data_type, values)),
    }
}

fn full_of_bytes(data_type: &DataType, values: &[&Value]) -> Option<ArrayRef> {
    let texts = values.iter().map(|value| text(value));
    let binaries = values.iter().map(|value| bytes(value));
    Some(match data_type {
        DataType::Utf8 => Arc::new(StringArray::from_iter_values(texts)),
        DataType::LargeUtf8 => Arc::new(LargeStringArray::from_iter_values(texts)),
        DataType::Utf8View => Arc::new(StringViewArray::from_iter_values(texts)),
        DataType::Binary => Arc::new(BinaryArray::from_iter_values(binaries)),
        DataType::LargeBinary => Arc::new(LargeBinaryArray::from_iter_values(binaries)),
        DataType::BinaryView => Arc::new(BinaryViewArray::from_iter_values(binaries)),
        DataType::FixedSizeBinary(size) => {
            let all = Buffer::from_vec(binaries.flatten().copied().collect::<Vec<u8>>());
            Arc::new(FixedSizeBinaryArray::new(*size, all, None))
        }
        _ => return None,
    })
}

fn full_of_many(data_type: &DataType, values: &[&Value]) -> ArrayRef {
    let lengths = || values.iter().map(|value| many(value).len());
    // Children with one of garbage before and after them.
    let framed = |child: &DataType| {
        let own = values.iter().flat_map(|value| many(value)).cloned();
        let frame = || std::iter::once(garbage(child));
        array(child, &frame().chain(own).chain(frame()).collect::<Vec<_>>())
    };
    let mut end = 1;
    let mut ends = vec![end];
    ends.extend(lengths().map(|length| {
        end += length as i64;
        end
    }));
    let narrow = || ends.iter().map(|end| *end as i32).collect::<ScalarBuffer<i32>>();
    match data_type {
        DataType::List(child) => {
            let offsets = OffsetBuffer::new(narrow());
            Arc::new(ListArray::new(Arc::clone(child), offsets, framed(child.data_type()), None))
        }
        DataType::LargeList(child) => {
            let offsets = OffsetBuffer::new(ends.into());
            let children = framed(child.data_type());
            Arc::new(LargeListArray::new(Arc::clone(child), offsets, children, None))
        }
        DataType::ListView(child) => {
            let (offsets, sizes, children) = backwards(child, values);
            let offsets = offsets.into_iter().map(|offset| offset as i32).collect();
            let sizes = sizes.into_iter().map(|size| size as i32).collect();
            Arc::new(ListViewArray::new(Arc::clone(child), offsets, sizes, children, None))
        }
        DataType::LargeListView(child) => {
            let (offsets, sizes, children) = backwards(child, values);
            let (offsets, sizes) = (offsets.into(), sizes.into());
            Arc::new(LargeListViewArray::new(Arc::clone(child), offsets, sizes, children, None))
        }
        DataType::FixedSizeList(child, size) => {
            let own: Vec<_> = values.iter().flat_map(|value| many(value)).cloned().collect();
            let children = array(child.data_type(), &own);
            Arc::new(FixedSizeListArray::new(Arc::clone(child), *size, children, None))
        }
        DataType::Struct(fields) => Arc::new(structs(fields, values)),
        DataType::Map(entries, sorted) => {
            let DataType::Struct(fields) = entries.data_type() else { panic!("{data_type}") };
            let frame = garbage(entries.data_type());
            let own = values.iter().flat_map(|value| many(value));
            let frame = || std::iter::once(&frame);
            let all: Vec<_> = frame().chain(own).chain(frame()).collect();
            let offsets = OffsetBuffer::new(narrow());
            let entries = Arc::clone(entries);
            Arc::new(MapArray::new(entries, offsets, structs(fields, &all), None, *sorted))
        }
        other => panic!("no values of {other}"),
    }
}

fn structs(fields: &Fields, values: &[&Value]) -> StructArray {
    let column = |(place, field): (usize, &FieldRef)| {
        let own: Vec<_> = values.iter().map(|value| many(value)[place].clone()).collect();
        array(field.data_type(), &own)
    };
    let columns = fields.iter().enumerate().map(column).collect();
    StructArray::try_new_with_length(fields.clone(), columns, None, values.len()).unwrap()
}

/// Offsets, sizes and children, the last row's children first.
fn backwards(child: &FieldRef, values: &[&Value]) -> (Vec<i64>, Vec<i64>, ArrayRef) {
    let mut children = vec![garbage(child.data_type())];
    let mut offsets = Vec::new();
    for value in values.iter().rev() {
        offsets.push(children.len() as i64);
        children.extend_from_slice(many(value));
    }
    offsets.reverse();
    let sizes = values.iter().map(|value| many(value).len() as i64).collect();
    (offsets, sizes, array(child.data_type(), &children))
}
