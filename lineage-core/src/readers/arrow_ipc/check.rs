//! What must hold before a message is handed to the decoder of the `arrow` crate, which slices,
//! multiplies and allocates by these numbers.

use std::collections::VecDeque;

use crate::arrow::array::types::{
    Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DecimalType,
    validate_decimal_precision_and_scale,
};
use crate::arrow::datatypes::{DataType, Field, Schema};
use crate::arrow::ipc::{self, CompressionType, Endianness, convert::try_fb_to_schema};

use super::message::check_body;
use crate::readers::ReadError;
use crate::table::{ColumnKind, NESTING_DEPTH_MAX, UnsupportedType};

/// Names and metadata of all columns. Parts of a description may be shared, and are copied for each
/// column, so its own length does not bound this.
const NAMES_BYTES_MAX: usize = 64 << 20;

/// Rows that a batch may have whatever its size: rows of nulls take no bytes.
const ROWS_ALWAYS: u64 = 1 << 24;

/// How often a compressed byte can be repeated: a block of zstd, and a length of LZ4.
const ZSTD_RATIO_MAX: u64 = 1 << 15;
const LZ4_RATIO_MAX: u64 = 256;

/// The schema, when every column is of a type that can be read.
pub(super) fn schema(schema: ipc::Schema<'_>, offset: u64) -> Result<Schema, ReadError> {
    if schema.endianness() != Endianness::Little {
        return Err(ReadError::Unsupported("big-endian Arrow data".to_owned()));
    }
    let mut bytes_left = NAMES_BYTES_MAX;
    spend(&mut bytes_left, schema.custom_metadata().into_iter().flatten(), offset)?;
    for field in schema.fields().into_iter().flatten() {
        check_description(field, 0, &mut bytes_left, offset)?;
    }
    let schema = try_fb_to_schema(schema).map_err(ReadError::arrow(offset))?;
    for field in schema.fields() {
        ColumnKind::of(field)?;
        check_type(field.data_type(), field)?;
    }
    Ok(schema)
}

fn check_description(
    field: ipc::Field<'_>,
    depth: usize,
    bytes_left: &mut usize,
    offset: u64,
) -> Result<(), ReadError> {
    let name = field.name().unwrap_or_default();
    let refused = |data_type: &str| UnsupportedType {
        data_type: data_type.to_owned(),
        column: name.chars().take(200).collect(),
    };
    // Converting the description of a union can fail in ways that are no errors.
    if field.type_type() == ipc::Type::Union {
        return Err(refused("Union").into());
    }
    if depth > NESTING_DEPTH_MAX {
        return Err(refused("a type that is nested too deeply").into());
    }
    take(bytes_left, name.len(), offset)?;
    spend(bytes_left, field.custom_metadata().into_iter().flatten(), offset)?;
    for child in field.children().into_iter().flatten() {
        check_description(child, depth + 1, bytes_left, offset)?;
    }
    Ok(())
}

fn spend<'a>(
    bytes_left: &mut usize,
    metadata: impl Iterator<Item = ipc::KeyValue<'a>>,
    offset: u64,
) -> Result<(), ReadError> {
    for pair in metadata {
        take(bytes_left, pair.key().map_or(0, str::len), offset)?;
        take(bytes_left, pair.value().map_or(0, str::len), offset)?;
    }
    Ok(())
}

fn take(bytes_left: &mut usize, bytes: usize, offset: u64) -> Result<(), ReadError> {
    *bytes_left = bytes_left
        .checked_sub(bytes)
        .ok_or_else(|| ReadError::damaged(offset, "its columns have too much metadata"))?;
    Ok(())
}

/// Refuses parameters of a type which no writer gives and for which the decoder panics.
fn check_type(data_type: &DataType, column: &Field) -> Result<(), UnsupportedType> {
    let inner = |field: &Field| check_type(field.data_type(), column);
    let sound = match data_type {
        DataType::FixedSizeBinary(size) => *size >= 0,
        DataType::FixedSizeList(child, size) => {
            inner(child)?;
            *size >= 0
        }
        DataType::List(child)
        | DataType::LargeList(child)
        | DataType::ListView(child)
        | DataType::LargeListView(child)
        | DataType::Map(child, _) => {
            inner(child)?;
            true
        }
        DataType::Struct(fields) => {
            fields.iter().try_for_each(|field| inner(field))?;
            true
        }
        DataType::Dictionary(_, values) => {
            check_type(values, column)?;
            true
        }
        DataType::RunEndEncoded(ends, values) => {
            inner(values)?;
            matches!(ends.data_type(), DataType::Int16 | DataType::Int32 | DataType::Int64)
        }
        DataType::Decimal32(precision, scale) => fits::<Decimal32Type>(*precision, *scale),
        DataType::Decimal64(precision, scale) => fits::<Decimal64Type>(*precision, *scale),
        DataType::Decimal128(precision, scale) => fits::<Decimal128Type>(*precision, *scale),
        DataType::Decimal256(precision, scale) => fits::<Decimal256Type>(*precision, *scale),
        _ => true,
    };
    if sound {
        return Ok(());
    }
    let column = column.name().clone();
    Err(UnsupportedType { data_type: data_type.to_string(), column })
}

fn fits<T: DecimalType>(precision: u8, scale: i8) -> bool {
    validate_decimal_precision_and_scale::<T>(precision, scale).is_ok()
}

/// Checks every number in the description of a batch of these columns against its body. Returns how
/// many bytes its buffers have when they are decompressed.
pub(super) fn batch<'a>(
    batch: ipc::RecordBatch<'_>,
    columns: impl Iterator<Item = &'a DataType>,
    body: &[u8],
    offset: u64,
) -> Result<u64, ReadError> {
    let damaged = |problem: &str| ReadError::damaged(offset, problem);
    let ratio_max = match batch.compression().map(|compression| compression.codec()) {
        None => None,
        Some(CompressionType::ZSTD) => Some(ZSTD_RATIO_MAX),
        Some(CompressionType::LZ4_FRAME) => Some(LZ4_RATIO_MAX),
        Some(_) => return Err(ReadError::Unsupported("this compression of Arrow data".to_owned())),
    };
    let (mut stored_bytes, mut size_bytes) = (0_usize, 0_u64);
    let mut sizes = VecDeque::new();
    for buffer in batch.buffers().into_iter().flatten() {
        let bytes = slice(body, buffer.offset(), buffer.length())
            .ok_or_else(|| damaged("a buffer lies outside of its batch"))?;
        stored_bytes += bytes.len();
        // Buffers that overlap could be copied, and so fill memory, a million times.
        if stored_bytes > body.len() {
            return Err(damaged("the buffers of a batch overlap"));
        }
        let size = match ratio_max {
            Some(ratio_max) => decompressed_bytes(bytes, ratio_max)
                .ok_or_else(|| damaged("a compressed buffer has an impossible length"))?,
            None => bytes.len() as u64,
        };
        size_bytes = size_bytes.saturating_add(size);
        sizes.push_back(size);
    }
    check_body(size_bytes)?;
    let rows_max = ROWS_ALWAYS.max(8 * size_bytes);
    let rows = |rows: i64| u64::try_from(rows).ok().filter(|rows| *rows <= rows_max);
    let impossible = || damaged("a batch has an impossible number of rows");
    rows(batch.length()).ok_or_else(impossible)?;
    for node in batch.nodes().into_iter().flatten() {
        let length = rows(node.length()).ok_or_else(impossible)?;
        rows(node.null_count()).filter(|nulls| *nulls <= length).ok_or_else(impossible)?;
    }
    let mut buffers =
        Buffers { sizes, variadic: batch.variadicBufferCounts().into_iter().flatten().collect() };
    for column in columns {
        if !buffers.whole(column) {
            return Err(damaged("a buffer ends in the middle of a value"));
        }
    }
    Ok(size_bytes)
}

/// The decompressed sizes of a batch's buffers, in their order.
struct Buffers {
    sizes: VecDeque<u64>,
    /// How many buffers each column of views has for its long values.
    variadic: VecDeque<i64>,
}

impl Buffers {
    /// Whether the buffers of a column hold whole values: the decoder panics at half an offset. Where
    /// there are too few, it says so itself.
    fn whole(&mut self, data_type: &DataType) -> bool {
        match data_type {
            DataType::Null => true,
            DataType::Utf8 | DataType::Binary => self.multiples(&[1, 4, 1]),
            DataType::LargeUtf8 | DataType::LargeBinary => self.multiples(&[1, 8, 1]),
            DataType::Utf8View | DataType::BinaryView => {
                let long = self.variadic.pop_front().and_then(|count| usize::try_from(count).ok());
                let whole = self.multiples(&[1, 16]);
                self.sizes.drain(..long.unwrap_or_default().min(self.sizes.len()));
                whole
            }
            DataType::List(child) | DataType::Map(child, _) => {
                self.multiples(&[1, 4]) && self.whole(child.data_type())
            }
            DataType::LargeList(child) => self.multiples(&[1, 8]) && self.whole(child.data_type()),
            DataType::ListView(child) => {
                self.multiples(&[1, 4, 4]) && self.whole(child.data_type())
            }
            DataType::LargeListView(child) => {
                self.multiples(&[1, 8, 8]) && self.whole(child.data_type())
            }
            DataType::FixedSizeList(child, _) => {
                self.multiples(&[1]) && self.whole(child.data_type())
            }
            DataType::Struct(fields) => {
                self.multiples(&[1]) && fields.iter().all(|field| self.whole(field.data_type()))
            }
            DataType::RunEndEncoded(ends, values) => {
                self.whole(ends.data_type()) && self.whole(values.data_type())
            }
            DataType::Dictionary(keys, _) => self.multiples(&[1, width(keys)]),
            other => self.multiples(&[1, width(other)]),
        }
    }

    fn multiples(&mut self, widths: &[u64]) -> bool {
        widths.iter().all(|width| {
            self.sizes.pop_front().is_none_or(|size_bytes| size_bytes.is_multiple_of(*width))
        })
    }
}

/// Bytes of each value; 1 for bits and for values whose bytes are not read as numbers.
fn width(data_type: &DataType) -> u64 {
    data_type.primitive_width().map_or(1, |width| width as u64)
}

fn slice(body: &[u8], offset: i64, length: i64) -> Option<&[u8]> {
    let (offset, length) = (usize::try_from(offset).ok()?, usize::try_from(length).ok()?);
    body.get(offset..offset.checked_add(length)?)
}

/// The length that a compressed buffer declares in its first eight bytes; -1 is for bytes that are
/// stored as they are.
fn decompressed_bytes(bytes: &[u8], ratio_max: u64) -> Option<u64> {
    if bytes.is_empty() {
        return Some(0);
    }
    let (declared, stored) = bytes.split_first_chunk::<8>()?;
    let stored = stored.len() as u64;
    match i64::from_le_bytes(*declared) {
        -1 => Some(stored),
        declared => {
            let declared = u64::try_from(declared).ok()?;
            (declared <= stored.saturating_mul(ratio_max)).then_some(declared)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compressed_buffer_cannot_declare_what_it_cannot_hold() {
        let buffer =
            |declared: i64, stored: usize| [&declared.to_le_bytes()[..], &vec![0; stored]].concat();
        assert_eq!(decompressed_bytes(&[], 256), Some(0));
        assert_eq!(decompressed_bytes(&buffer(0, 5), 256), Some(0));
        assert_eq!(decompressed_bytes(&buffer(-1, 5), 256), Some(5));
        assert_eq!(decompressed_bytes(&buffer(1280, 5), 256), Some(1280));
        for impossible in
            [buffer(1281, 5), buffer(1, 0), buffer(-2, 5), buffer(i64::MAX, 5), vec![0; 7]]
        {
            assert_eq!(decompressed_bytes(&impossible, 256), None);
        }
    }
}
