//! The canonical bytes of single cells (`docs/formats/fingerprint.md`, Rows without order).

use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch};
use arrow::compute;
use arrow::datatypes::*;

use crate::table::{ColumnKind, TableError, UnsupportedType};

/// Encodes the cells of a batch.
pub(super) struct RowCells {
    columns: Vec<(String, ColumnKind)>,
    arrays: Vec<ArrayRef>,
}

impl RowCells {
    pub(super) fn new(schema: &Schema) -> Result<RowCells, TableError> {
        Ok(RowCells { columns: crate::table::columns_of(schema)?, arrays: Vec::new() })
    }

    pub(super) fn push_batch(&mut self, batch: &RecordBatch) -> Result<(), TableError> {
        let plain = |array: &ArrayRef| match array.data_type() {
            DataType::Dictionary(_, values) => compute::cast(array, values),
            _ => Ok(array.clone()),
        };
        let arrays = batch.columns().iter().map(plain).collect::<Result<_, _>>();
        self.arrays = arrays.map_err(|problem| TableError::Cell {
            column: String::new(),
            problem: crate::table::CellError::Arrow(problem),
        })?;
        Ok(())
    }

    pub(super) fn cell(
        &self,
        column: usize,
        row: usize,
        bytes: &mut Vec<u8>,
    ) -> Result<(), TableError> {
        let array = &self.arrays[column];
        if array.is_null(row) || array.data_type() == &DataType::Null {
            bytes.push(0);
            return Ok(());
        }
        bytes.push(1);
        let mut text = |value: &[u8]| {
            bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
            bytes.extend_from_slice(value);
        };
        macro_rules! number {
            ($type:ty) => {{
                let value = array.as_primitive::<$type>().value(row);
                bytes.extend_from_slice(&value.to_le_bytes());
            }};
            ($type:ty, $as:ty) => {{
                let value = array.as_primitive::<$type>().value(row);
                bytes.extend_from_slice(&<$as>::from(value).to_le_bytes());
            }};
        }
        match array.data_type() {
            DataType::Boolean => bytes.push(u8::from(array.as_boolean().value(row))),
            DataType::Int8 => number!(Int8Type, i64),
            DataType::Int16 => number!(Int16Type, i64),
            DataType::Int32 => number!(Int32Type, i64),
            DataType::Int64 => number!(Int64Type),
            DataType::UInt8 => number!(UInt8Type, i64),
            DataType::UInt16 => number!(UInt16Type, i64),
            DataType::UInt32 => number!(UInt32Type, i64),
            DataType::UInt64 => number!(UInt64Type),
            DataType::Date32 => number!(Date32Type, i64),
            DataType::Float32 => {
                let value = array.as_primitive::<Float32Type>().value(row);
                let value = if value.is_nan() { f32::from_bits(0x7fc0_0000) } else { value + 0.0 };
                bytes.extend_from_slice(&value.to_le_bytes());
            }
            DataType::Float64 => {
                let value = array.as_primitive::<Float64Type>().value(row);
                let value = if value.is_nan() { f64::from_bits(0x7ff8 << 48) } else { value + 0.0 };
                bytes.extend_from_slice(&value.to_le_bytes());
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => number!(TimestampMicrosecondType),
            DataType::Utf8 => text(array.as_string::<i32>().value(row).as_bytes()),
            DataType::LargeUtf8 => text(array.as_string::<i64>().value(row).as_bytes()),
            DataType::Utf8View => text(array.as_string_view().value(row).as_bytes()),
            DataType::Decimal128(..) => number!(Decimal128Type),
            other => {
                return Err(UnsupportedType {
                    data_type: other.to_string(),
                    column: self.columns[column].0.clone(),
                }
                .into());
            }
        }
        Ok(())
    }
}
