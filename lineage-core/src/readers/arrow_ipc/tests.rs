use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::arrow::array::{
    Array, ArrayRef, BinaryViewArray, BooleanArray, Decimal128Array, DictionaryArray,
    FixedSizeBinaryArray, FixedSizeListArray, Float64Array, Int32Array, Int64Array, ListArray,
    MapBuilder, NullArray, RecordBatch, RecordBatchOptions, RunArray, StringArray, StringBuilder,
    StringViewArray, StructArray, UInt32Builder,
};
use crate::arrow::datatypes::{DataType, Field, Int8Type, Int32Type, Schema};
use crate::arrow::ipc::CompressionType;
use crate::arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};

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
            Arc::new(ListArray::from_iter_primitive::<crate::arrow::datatypes::Int64Type, _, _>(
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
    for bytes in [
        as_file(std::slice::from_ref(&whole), None),
        as_stream(std::slice::from_ref(&whole), CODECS[2]),
    ] {
        let batches = read(&bytes).unwrap();
        let rows: Vec<_> = batches.iter().map(RecordBatch::num_rows).collect();
        assert_eq!(rows, [65_536, 65_536, 18_928]);
        assert_eq!(
            crate::arrow::compute::concat_batches(&whole.schema(), &batches).unwrap(),
            whole
        );
    }
}

#[test]
fn tables_without_columns_or_rows_are_read() {
    let options = RecordBatchOptions::new().with_row_count(Some(3));
    let empty = Arc::new(Schema::empty());
    let no_columns = RecordBatch::try_new_with_options(empty, vec![], &options).unwrap();
    assert_eq!(read(&as_file(&[no_columns], None)).unwrap()[0].num_rows(), 3);
    let no_rows = batch(0);
    for bytes in [
        as_file(std::slice::from_ref(&no_rows), None),
        as_stream(std::slice::from_ref(&no_rows), None),
    ] {
        let mut reader = ArrowReader::open(opened(&bytes)).unwrap();
        assert_eq!(reader.schema(), no_rows.schema());
        assert!(reader.next().is_none());
    }
}

#[test]
fn dictionaries_may_be_added_to() {
    use crate::arrow::ipc::writer::DictionaryHandling;
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
            arrow_cast::cast(column, &DataType::Utf8).unwrap()
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
        // A file has the messages of the stream: compressed ones are tried once.
        let stream = codec.is_none().then(|| as_stream(&[batch(9)], codec));
        for bytes in [as_file(&[batch(9)], codec)].into_iter().chain(stream) {
            for at in 0..bytes.len() {
                let all_bits = codec.is_none().then_some(0xff);
                for mask in all_bits.into_iter().chain([1 << (at % 8)]) {
                    let mut damaged = bytes.clone();
                    damaged[at] ^= mask;
                    check_sound(&damaged);
                }
            }
        }
    }
}

/// Reads bytes that may be damaged: what is handed on is sound.
fn check_sound(bytes: &[u8]) {
    if let Ok(batches) = read(bytes) {
        for column in batches.iter().flat_map(|batch| batch.columns()) {
            column.to_data().validate_full().unwrap();
        }
    }
}

/// Hands on the bytes, and keeps how many were asked for at once.
struct Watched<R> {
    inner: R,
    asked_max: Arc<AtomicUsize>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.asked_max.fetch_max(buffer.len(), Ordering::Relaxed);
        self.inner.read(buffer)
    }
}

/// Replaces every number `old` that stands at a multiple of eight bytes.
fn patched(bytes: &[u8], old: u64, new: u64) -> Vec<u8> {
    let chunks = bytes.chunks(8);
    let whole = |chunk: &[u8]| {
        if chunk == old.to_le_bytes() { new.to_le_bytes().to_vec() } else { chunk.to_vec() }
    };
    chunks.flat_map(whole).collect()
}

#[test]
fn declared_sizes_take_no_memory() {
    let stream = as_stream(&[batch(9)], None);
    // The sizes of the bodies, of the dictionary and of the batch.
    let mut bodies = Vec::new();
    let (mut rest, mut at) = (&stream[..], 0);
    while let Some(message) = message::read(&mut rest, at, None).unwrap() {
        at = message.end();
        bodies.push(message.place.body_bytes);
    }
    assert_eq!(bodies.len(), 3);
    for size_bytes in [1_u64 << 31, (1 << 31) + 8, 1 << 40, i64::MAX as u64, u64::MAX] {
        for body in &bodies[1..] {
            let asked_max = Arc::new(AtomicUsize::new(0));
            let inner = std::io::Cursor::new(patched(&stream, *body, size_bytes));
            let watched = Watched { inner, asked_max: Arc::clone(&asked_max) };
            let read: Result<Vec<_>, _> = ArrowReader::stream(watched).unwrap().collect();
            let error = read.unwrap_err().to_string();
            assert!(
                ["cut off", "at most", "negative"].iter().any(|w| error.contains(w)),
                "{error}"
            );
            assert!(asked_max.load(Ordering::Relaxed) <= 4 << 20);
        }
    }
    for length in [0x7fff_ffff_u32, 0xffff_fffe, 1 << 26] {
        let mut bytes = stream.clone();
        bytes[4..8].copy_from_slice(&length.to_le_bytes());
        assert!(read(&bytes).is_err());
        let mut bytes = as_file(&[batch(9)], None);
        let at = bytes.len() - 10;
        bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
        let error = read(&bytes).unwrap_err().to_string();
        assert!(error.contains("the length of the footer is impossible"), "{error}");
    }
}

#[test]
fn declared_rows_take_no_time() {
    let nulls: ArrayRef = Arc::new(NullArray::new(9));
    let nulls = RecordBatch::try_from_iter_with_nullable([("a", nulls, true)]).unwrap();
    let stream = as_stream(&[nulls], None);
    assert_eq!(read(&patched(&stream, 9, 1 << 24)).unwrap().len(), 256);
    for rows in [(1 << 24) + 1, 1 << 40, u64::MAX] {
        let error = read(&patched(&stream, 9, rows)).unwrap_err().to_string();
        assert!(error.contains("an impossible number of rows"), "{error}");
    }
}

#[test]
fn a_footer_cannot_name_a_batch_twice() {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let batch = RecordBatch::try_from_iter([("a", column)]).unwrap();
    let bytes = as_file(&[batch.clone(), batch], None);
    let footer = Footer::read(&mut std::io::Cursor::new(&bytes), bytes.len() as u64).unwrap();
    let (_, _, places) = footer.contents().unwrap();
    let moved = patched(&bytes, places[1].offset, places[0].offset);
    assert_ne!(moved, bytes);
    let error = read(&moved).unwrap_err().to_string();
    assert!(error.contains("overlap"), "{error}");
}

#[test]
fn other_formats_are_named() {
    for (bytes, words) in [
        (&b"FEA1...."[..], "Feather version 1"),
        (b"a,b,c\n1,2,3\n", "neither an Arrow file nor an Arrow stream"),
        (b"", "cut off"),
        (b"ARROW1\0\0", "the footer of the Arrow file is missing"),
    ] {
        let error = read(bytes).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let followed = [as_stream(&[batch(3)], None), vec![0]].concat();
    assert!(read(&followed).unwrap_err().to_string().contains("bytes follow the end"));
}

#[test]
fn types_without_a_kind_are_named() {
    let interval = crate::arrow::array::IntervalYearMonthArray::from(vec![1]);
    let column: ArrayRef = Arc::new(interval);
    let batch = RecordBatch::try_from_iter([("a", column)]).unwrap();
    let error = read(&as_stream(&[batch], None)).unwrap_err().to_string();
    assert_eq!(error, "not supported: Interval(YearMonth) in column \"a\"");
}
