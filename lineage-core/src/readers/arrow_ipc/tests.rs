use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryViewArray, BooleanArray, Decimal128Array, DictionaryArray,
    FixedSizeBinaryArray, FixedSizeListArray, Float64Array, Int32Array, Int64Array, ListArray,
    MapBuilder, NullArray, RecordBatch, RecordBatchOptions, RunArray, StringArray, StringBuilder,
    StringViewArray, StructArray, UInt32Builder,
};
use arrow::datatypes::{DataType, Field, Int8Type, Int32Type, Schema};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};

use super::*;

/// One column of every layout.
fn batch(rows: i32) -> RecordBatch {
    let strings: Vec<Option<String>> =
        (0..rows).map(|i| (i % 3 != 1).then(|| format!("value {}", i % 5))).collect();
    let ints: Vec<Option<i64>> =
        (0..rows).map(|i| (i % 4 != 2).then(|| i64::from(i) * 7)).collect();
    let mut map = MapBuilder::new(None, StringBuilder::new(), UInt32Builder::new());
    for row in 0..rows {
        for entry in 0..row % 3 {
            map.keys().append_value(format!("k{entry}"));
            map.values().append_value(7);
        }
        map.append(row % 4 != 3).unwrap();
    }
    let int_array: ArrayRef = Arc::new(Int64Array::from(ints.clone()));
    let item = Arc::new(Field::new("item", DataType::Int64, true));
    let pairs = Int64Array::from_iter_values((0..i64::from(rows) * 2).collect::<Vec<_>>());
    let dictionary: DictionaryArray<Int8Type> = strings.iter().map(Option::as_deref).collect();
    let run_ends = Int32Array::from_iter_values(1..=rows);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("int", Arc::clone(&int_array)),
        ("bool", Arc::new((0..rows).map(|i| Some(i % 2 == 0)).collect::<BooleanArray>())),
        ("float", Arc::new(Float64Array::from_iter_values((0..rows).map(f64::from)))),
        ("string", Arc::new(StringArray::from(strings.clone()))),
        (
            "view",
            Arc::new(StringViewArray::from_iter(
                strings
                    .iter()
                    .map(|s| s.as_ref().map(|s| format!("{s} that is too long for a view"))),
            )),
        ),
        ("bytes", Arc::new(BinaryViewArray::from_iter_values((0..rows).map(|_| b"ab")))),
        (
            "fixed",
            Arc::new(
                FixedSizeBinaryArray::try_from_sparse_iter_with_size(
                    (0..rows).map(|i| Some(i.to_le_bytes())),
                    4,
                )
                .unwrap(),
            ),
        ),
        (
            "decimal",
            Arc::new(
                Decimal128Array::from_iter_values((0..rows).map(i128::from))
                    .with_precision_and_scale(10, 2)
                    .unwrap(),
            ),
        ),
        (
            "list",
            Arc::new(ListArray::from_iter_primitive::<arrow::datatypes::Int64Type, _, _>(
                ints.iter().map(|i| i.map(|i| vec![Some(i), None])),
            )),
        ),
        ("pair", Arc::new(FixedSizeListArray::new(item, 2, Arc::new(pairs), None))),
        (
            "struct",
            Arc::new(StructArray::from(vec![(
                Arc::new(Field::new("a", DataType::Int64, true)),
                Arc::clone(&int_array),
            )])),
        ),
        ("map", Arc::new(map.finish())),
        ("dictionary", Arc::new(dictionary)),
        ("runs", Arc::new(RunArray::<Int32Type>::try_new(&run_ends, &int_array).unwrap())),
        ("null", Arc::new(NullArray::new(usize::try_from(rows).unwrap()))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)))
        .unwrap()
}

fn options(compression: Option<CompressionType>) -> IpcWriteOptions {
    IpcWriteOptions::default().try_with_compression(compression).unwrap()
}

fn as_file(batches: &[RecordBatch], compression: Option<CompressionType>) -> Vec<u8> {
    let schema = batches[0].schema();
    let mut writer =
        FileWriter::try_new_with_options(Vec::new(), &schema, options(compression)).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap()
}

fn as_stream(batches: &[RecordBatch], compression: Option<CompressionType>) -> Vec<u8> {
    let schema = batches[0].schema();
    let mut writer =
        StreamWriter::try_new_with_options(Vec::new(), &schema, options(compression)).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap()
}

fn opened(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file
}

fn read(bytes: &[u8]) -> Result<Vec<RecordBatch>, ReadError> {
    ArrowReader::open(opened(bytes))?.collect()
}

const CODECS: [Option<CompressionType>; 3] =
    [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)];

#[test]
fn files_and_streams_come_back_as_they_were_written() {
    let batches = [batch(100), batch(0), batch(7)];
    for codec in CODECS {
        for bytes in [as_file(&batches[..1], codec), as_stream(&batches[..1], codec)] {
            assert_eq!(read(&bytes).unwrap(), batches[..1]);
        }
        // A stream may replace a dictionary, and batches without rows are passed over.
        let stream = as_stream(&batches, codec);
        assert_eq!(read(&stream).unwrap(), [batches[0].clone(), batches[2].clone()]);
        let piped: Result<Vec<_>, _> =
            ArrowReader::stream(std::io::Cursor::new(stream)).unwrap().collect();
        assert_eq!(piped.unwrap().len(), 2);
    }
}

#[test]
fn large_batches_are_cut_into_blocks() {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..150_000));
    let whole = RecordBatch::try_from_iter([("a", column)]).unwrap();
    for bytes in [as_file(&[whole.clone()], None), as_stream(&[whole.clone()], CODECS[2])] {
        let batches = read(&bytes).unwrap();
        let rows: Vec<_> = batches.iter().map(RecordBatch::num_rows).collect();
        assert_eq!(rows, [65_536, 65_536, 18_928]);
        assert_eq!(arrow::compute::concat_batches(&whole.schema(), &batches).unwrap(), whole);
    }
}

#[test]
fn tables_without_columns_or_rows_are_read() {
    let options = RecordBatchOptions::new().with_row_count(Some(3));
    let empty = Arc::new(Schema::empty());
    let no_columns = RecordBatch::try_new_with_options(empty, vec![], &options).unwrap();
    assert_eq!(read(&as_file(&[no_columns], None)).unwrap()[0].num_rows(), 3);
    let no_rows = batch(0);
    for bytes in [as_file(&[no_rows.clone()], None), as_stream(&[no_rows.clone()], None)] {
        let mut reader = ArrowReader::open(opened(&bytes)).unwrap();
        assert_eq!(reader.schema(), no_rows.schema());
        assert!(reader.next().is_none());
    }
}

#[test]
fn dictionaries_may_be_added_to() {
    use arrow::ipc::writer::DictionaryHandling;
    let batches = [batch(3), batch(100)];
    let options = IpcWriteOptions::default().with_dictionary_handling(DictionaryHandling::Delta);
    let mut stream =
        StreamWriter::try_new_with_options(Vec::new(), &batches[0].schema(), options.clone())
            .unwrap();
    let mut file =
        FileWriter::try_new_with_options(Vec::new(), &batches[0].schema(), options).unwrap();
    for batch in &batches {
        stream.write(batch).unwrap();
        file.write(batch).unwrap();
    }
    for bytes in [stream.into_inner().unwrap(), file.into_inner().unwrap()] {
        let found = read(&bytes).unwrap();
        let values = |batch: &RecordBatch| {
            let column = batch.column_by_name("dictionary").unwrap();
            arrow::compute::cast(column, &DataType::Utf8).unwrap()
        };
        assert_eq!(found.len(), 2);
        for (found, written) in found.iter().zip(&batches) {
            assert_eq!(&values(found), &values(written));
        }
    }
}

#[test]
fn every_cut_is_an_error() {
    for codec in [None, CODECS[2]] {
        for bytes in [as_file(&[batch(9)], codec), as_stream(&[batch(9), batch(5)], codec)] {
            assert!(read(&bytes).is_ok());
            for end in 0..bytes.len() {
                let error = read(&bytes[..end]);
                assert!(error.is_err(), "{end} of {}", bytes.len());
            }
        }
    }
}

/// Whatever a flipped byte does, it is a table or an error.
#[test]
fn no_flipped_byte_panics() {
    for codec in CODECS {
        for bytes in [as_file(&[batch(9)], codec), as_stream(&[batch(9)], codec)] {
            for at in 0..bytes.len() {
                for mask in [0x01, 0x80, 0xff] {
                    let mut damaged = bytes.clone();
                    damaged[at] ^= mask;
                    if let Ok(batches) = read(&damaged) {
                        // What is handed on is sound.
                        for column in batches.iter().flat_map(|batch| batch.columns()) {
                            column.to_data().validate_full().unwrap();
                        }
                    }
                }
            }
        }
    }
}
