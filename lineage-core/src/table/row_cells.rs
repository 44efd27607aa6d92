//! The canonical bytes of single cells (`docs/formats/fingerprint.md`, Rows without order).

use crate::arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch};
use crate::arrow::datatypes::{DataType, Schema};

use super::cells::{CellError, fixed, plain};
use super::grid::{TableError, columns_of};
use super::kind::ColumnKind;

/// Encodes the cells of a batch.
pub(crate) struct RowCells {
    columns: Vec<(String, ColumnKind)>,
    arrays: Vec<Values>,
}

/// One column of a batch.
struct Values {
    array: ArrayRef,
    /// The bytes of all values one after another, where they are equally long.
    fixed: Option<Vec<u8>>,
}

impl Values {
    fn of(array: &ArrayRef, kind: &ColumnKind) -> Result<Values, CellError> {
        let array = plain(array)?;
        let fixed = match kind {
            ColumnKind::String
            | ColumnKind::Binary
            | ColumnKind::List(_)
            | ColumnKind::Struct(_)
            | ColumnKind::Map(..)
            | ColumnKind::Null => None,
            _ => {
                let mut bytes = Vec::new();
                fixed(&array, array.nulls(), &mut bytes)?;
                Some(bytes)
            }
        };
        Ok(Values { array, fixed })
    }

    fn encode(&self, row: usize, bytes: &mut Vec<u8>) -> Result<(), CellError> {
        match &self.fixed {
            Some(fixed) if self.array.is_valid(row) => {
                let width = fixed.len() / self.array.len();
                bytes.push(1);
                bytes.extend_from_slice(&fixed[row * width..(row + 1) * width]);
                Ok(())
            }
            _ => encode(&self.array, row, bytes),
        }
    }
}

impl RowCells {
    pub(crate) fn new(schema: &Schema) -> Result<RowCells, TableError> {
        Ok(RowCells { columns: columns_of(schema)?, arrays: Vec::new() })
    }

    /// Takes the next batch in place of the last one.
    pub(crate) fn push_batch(&mut self, batch: &RecordBatch) -> Result<(), TableError> {
        self.arrays.clear();
        for (index, array) in batch.columns().iter().enumerate() {
            let kind = &self.columns[index].1;
            let values = Values::of(array, kind).map_err(|problem| self.refused(index, problem))?;
            self.arrays.push(values);
        }
        Ok(())
    }

    /// Appends the bytes of one cell.
    pub(crate) fn cell(
        &self,
        column: usize,
        row: usize,
        bytes: &mut Vec<u8>,
    ) -> Result<(), TableError> {
        self.arrays[column].encode(row, bytes).map_err(|problem| self.refused(column, problem))
    }

    fn refused(&self, index: usize, problem: CellError) -> TableError {
        let column = self.columns.get(index).map_or_else(String::new, |(name, _)| name.clone());
        TableError::Cell { column, problem }
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
        _ => fixed(&array.slice(row, 1), None, bytes),
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::arrow::array::{
        Decimal128Array, DictionaryArray, Float64Array, Int16Array, Int64Array, ListArray,
        StringArray, StringViewArray, StructArray, TimestampMicrosecondArray,
        TimestampMillisecondArray,
    };

    use crate::arrow::datatypes::*;

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
