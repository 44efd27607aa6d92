//! Files of every codec, and files that nobody should have to read.

mod words;

use std::io::Write as _;

use crate::arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, FixedSizeBinaryArray, Float64Array, Int64Array,
    Int64Builder, ListBuilder, MapBuilder, RecordBatch, StringArray, StringBuilder, StructArray,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};

use super::*;

const ROWS: usize = 60;

fn sample(rows: usize) -> RecordBatch {
    let numbers = Int64Array::from_iter((0..rows).map(|row| (row % 7 > 0).then_some(row as i64)));
    let text = StringArray::from_iter_values((0..rows).map(|row| format!("the text {}", row % 9)));
    let truth = BooleanArray::from_iter((0..rows).map(|row| Some(row % 3 == 0)));
    let real = Float64Array::from_iter_values((0..rows).map(|row| row as f64 / 3.0));
    let fixed = FixedSizeBinaryArray::try_from_iter((0..rows).map(|row| [row as u8; 5])).unwrap();
    let decimal = Decimal128Array::from_iter_values((0..rows).map(|row| row as i128 * 1001));
    let decimal = decimal.with_precision_and_scale(30, 2).unwrap();
    let mut lists = ListBuilder::new(Int64Builder::new());
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for row in 0..rows {
        lists.values().append_slice(&vec![row as i64; row % 4]);
        lists.append(row % 5 > 0);
        maps.keys().append_value(format!("key {}", row % 3));
        maps.values().append_option((row % 2 > 0).then_some(row as i64));
        maps.append(true).unwrap();
    }
    let inner: ArrayRef = Arc::new(numbers.clone());
    let group =
        StructArray::from(vec![(Arc::new(Field::new("inner", DataType::Int64, true)), inner)]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("numbers", Arc::new(numbers)),
        ("text", Arc::new(text)),
        ("truth", Arc::new(truth)),
        ("real", Arc::new(real)),
        ("fixed", Arc::new(fixed)),
        ("decimal", Arc::new(decimal)),
        ("lists", Arc::new(lists.finish())),
        ("maps", Arc::new(maps.finish())),
        ("group", Arc::new(group)),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn written(batch: &RecordBatch, properties: WriterPropertiesBuilder) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties.build())).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn opened(bytes: &[u8]) -> Result<Arc<ParquetTable>, ParquetError> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    ParquetTable::open(file)
}

/// The rows of the file, or why it cannot be read.
fn read(bytes: &[u8]) -> Result<u64, String> {
    let table = opened(bytes).map_err(|error| error.to_string())?;
    let mut rows = 0;
    for run in table.runs() {
        for batch in table.batches(run).map_err(|error| error.to_string())? {
            rows += batch.map_err(|error| error.to_string())?.num_rows() as u64;
        }
    }
    Ok(rows)
}

fn refused(bytes: &[u8], why: &str) {
    let error = read(bytes).unwrap_err();
    assert!(error.contains(why), "{error}");
}

fn layouts() -> Vec<WriterPropertiesBuilder> {
    let base = || WriterProperties::builder().set_max_row_group_row_count(Some(40));
    let plain = || base().set_dictionary_enabled(false);
    let text = |encoding| plain().set_column_encoding("text".into(), encoding);
    vec![
        base(),
        base().set_compression(Compression::SNAPPY),
        plain().set_compression(Compression::GZIP(Default::default())),
        base().set_compression(Compression::BROTLI(Default::default())),
        base().set_compression(Compression::LZ4),
        base().set_compression(Compression::LZ4_RAW),
        base().set_compression(Compression::ZSTD(Default::default())),
        plain().set_writer_version(WriterVersion::PARQUET_2_0),
        base()
            .set_writer_version(WriterVersion::PARQUET_2_0)
            .set_compression(Compression::ZSTD(Default::default())),
        text(Encoding::DELTA_BYTE_ARRAY),
        text(Encoding::DELTA_LENGTH_BYTE_ARRAY),
        plain().set_column_encoding("numbers".into(), Encoding::DELTA_BINARY_PACKED),
        plain().set_column_encoding("real".into(), Encoding::BYTE_STREAM_SPLIT),
    ]
}

#[test]
fn every_codec_and_encoding_is_read() {
    for properties in layouts() {
        assert_eq!(read(&written(&sample(ROWS), properties)), Ok(ROWS as u64));
    }
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_refused() {
    let bytes = written(&sample(ROWS), layouts().remove(0));
    for length in 0..bytes.len() {
        assert!(read(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
    }
}

#[test]
fn a_byte_that_is_wrong_is_never_more_than_an_error() {
    for (layout, properties) in layouts().into_iter().enumerate() {
        // The footers are much alike: only the first layout's is tried, and only that one has two row groups.
        let rows = if layout == 0 { ROWS } else { ROWS / 4 };
        let bytes = written(&sample(rows), properties);
        let end = bytes.len();
        let footer = u32::from_le_bytes(*bytes[end - 8..].first_chunk().unwrap()) as usize;
        let positions = if layout == 0 { end } else { end - 8 - footer };
        for position in 0..positions {
            let mut wrong = bytes.clone();
            wrong[position] ^= [0x01, 0xff, 0x80, 0x10][(position + layout) % 4];
            // No panic, no hang; a few flips still make a file.
            let _ = read(&wrong);
        }
    }
}

/// Writes structures by hand.
#[derive(Default, Clone)]
struct Structure {
    bytes: Vec<u8>,
    last: i16,
}

impl Structure {
    fn head(mut self, number: i16, kind: u8) -> Structure {
        self.bytes.push(((number - self.last) as u8) << 4 | kind);
        self.last = number;
        self
    }

    fn number(self, number: i16, kind: u8, value: i64) -> Structure {
        let mut structure = self.head(number, kind);
        varint(&mut structure.bytes, ((value << 1) ^ (value >> 63)) as u64);
        structure
    }

    fn i32(self, number: i16, value: i64) -> Structure {
        self.number(number, 5, value)
    }

    fn i64(self, number: i16, value: i64) -> Structure {
        self.number(number, 6, value)
    }

    fn text(self, number: i16, text: &str) -> Structure {
        let mut structure = self.head(number, 8);
        varint(&mut structure.bytes, text.len() as u64);
        structure.bytes.extend_from_slice(text.as_bytes());
        structure
    }

    fn inner(self, number: i16, inner: Structure) -> Structure {
        let mut structure = self.head(number, 12);
        structure.bytes.extend(inner.end());
        structure
    }

    fn list(self, number: i16, kind: u8, elements: &[Vec<u8>]) -> Structure {
        let mut structure = self.head(number, 9);
        structure.bytes.push(0xf0 | kind);
        varint(&mut structure.bytes, elements.len() as u64);
        structure.bytes.extend(elements.concat());
        structure
    }

    fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

const UNCOMPRESSED: i64 = 0;
const GZIP: i64 = 2;
const BROTLI: i64 = 4;
const LZ4: i64 = 5;
const ZSTD: i64 = 6;

/// A file of one column.
#[derive(Clone)]
struct Crafted {
    physical_type: i64,
    type_length: i64,
    /// 0 required, 1 optional, 2 repeated.
    repetition: i64,
    codec: i64,
    rows: i64,
    values: i64,
    pages: Vec<u8>,
    /// Whether byte arrays are said to be UTF-8.
    is_text: bool,
}

impl Crafted {
    /// A required column of byte arrays.
    fn strings(codec: i64, rows: i64, pages: Vec<u8>) -> Crafted {
        let (physical_type, type_length, repetition) = (6, 0, 0);
        let (values, is_text) = (rows, false);
        Crafted { physical_type, type_length, repetition, codec, rows, values, pages, is_text }
    }

    fn schema(&self) -> Vec<Vec<u8>> {
        let root = Structure::default().text(4, "root").i32(5, 1).end();
        let leaf = Structure::default()
            .i32(1, self.physical_type)
            .i32(2, self.type_length)
            .i32(3, self.repetition)
            .text(4, "x");
        let leaf = if self.is_text { leaf.i32(6, 0) } else { leaf };
        vec![root, leaf.end()]
    }

    fn file(&self) -> Vec<u8> {
        let size_bytes = self.pages.len() as i64;
        let chunk = Structure::default()
            .i32(1, self.physical_type)
            .list(2, 5, &[vec![0]])
            .list(3, 8, &[vec![1, b'x']])
            .i32(4, self.codec)
            .i64(5, self.values)
            .i64(6, size_bytes)
            .i64(7, size_bytes)
            .i64(9, 4);
        let chunk = Structure::default().i64(2, 4).inner(3, chunk).end();
        let row_group =
            Structure::default().list(1, 12, &[chunk]).i64(2, size_bytes).i64(3, self.rows).end();
        let footer = Structure::default()
            .i32(1, 1)
            .list(2, 12, &self.schema())
            .i64(3, self.rows)
            .list(4, 12, &[row_group]);
        finished(&self.pages, footer.end())
    }
}

fn finished(pages: &[u8], footer: Vec<u8>) -> Vec<u8> {
    let length = (footer.len() as u32).to_le_bytes();
    [b"PAR1", pages, &footer, &length, b"PAR1"].concat()
}

/// A data page of version 1, whose values have this encoding.
fn page(page_bytes: i64, stored_bytes: i64, values: i64, encoding: i64, data: &[u8]) -> Vec<u8> {
    let inner = Structure::default().i32(1, values).i32(2, encoding).i32(3, 3).i32(4, 3);
    let header =
        Structure::default().i32(1, 0).i32(2, page_bytes).i32(3, stored_bytes).inner(5, inner);
    [header.end(), data.to_vec()].concat()
}

fn plain(data: &[u8]) -> Vec<u8> {
    page(data.len() as i64, data.len() as i64, 1, 0, data)
}

#[test]
fn a_crafted_file_is_read() {
    let crafted = Crafted::strings(UNCOMPRESSED, 1, plain(&[1, 0, 0, 0, b'a']));
    assert_eq!(read(&crafted.file()), Ok(1));
}

#[test]
fn sizes_that_a_page_cannot_have_are_refused() {
    let data = [1, 0, 0, 0, b'a'];
    let of = |page_bytes, stored_bytes, values| {
        let page = page(page_bytes, stored_bytes, values, 0, &data);
        Crafted::strings(ZSTD, 1, page).file()
    };
    refused(&of(5, 6, 1), "a page ends outside of its column");
    refused(&of(5, i64::from(i32::MAX), 1), "a page ends outside of its column");
    refused(&of(i64::from(i32::MAX), 5, 1), "at most 134217728 are read");
    refused(&of(-1, 5, 1), "the header of a page at byte 4 is broken");
    refused(&of(5, -1, 1), "the header of a page at byte 4 is broken");
    refused(&of(1 << 40, 5, 1), "the header of a page at byte 4 is broken");
    refused(&of(5, 5, -1), "the header of a page at byte 4 is broken");
    refused(&of(5, 5, 2), "more or fewer values");
    let mut crafted = Crafted::strings(UNCOMPRESSED, 1, plain(&data));
    crafted.values = 2;
    refused(&crafted.file(), "more or fewer values than there are rows");
    refused(&Crafted::strings(UNCOMPRESSED, -1, plain(&data)).file(), "row counts");
    refused(&Crafted::strings(UNCOMPRESSED, 1 << 62, plain(&data)).file(), "at most");
    let page_of_dictionary = page(5, 5, 1, 8, &data);
    refused(&Crafted::strings(UNCOMPRESSED, 1, page_of_dictionary).file(), "needs a dictionary");
}

#[test]
fn a_row_group_without_rows_has_no_values() {
    let data = [1, 0, 0, 0, b'a'];
    let none = Crafted::strings(UNCOMPRESSED, 0, page(0, 0, 0, 0, &[]));
    assert_eq!(read(&none.file()), Ok(0));
    let hidden = Crafted::strings(UNCOMPRESSED, 0, plain(&data));
    refused(&hidden.file(), "row group 0: column \"x\": its pages have more or fewer values");
    let said = Crafted { values: 1, ..hidden.clone() };
    refused(&said.file(), "more or fewer values than there are rows");
    let listed = Crafted { values: 1, repetition: 2, ..hidden };
    refused(&listed.file(), "its pages have values, and the footer says that there are no rows");
}

#[test]
fn values_that_take_no_bytes_do_not_fill_memory() {
    // All null, and yet each is as long as the schema says.
    let mut levels = Vec::new();
    varint(&mut levels, (1 << 20) << 1);
    levels.push(0);
    let levels = [&(levels.len() as u32).to_le_bytes()[..], &levels].concat();
    let size_bytes = levels.len() as i64;
    let nulls = page(size_bytes, size_bytes, 1 << 20, 0, &levels);
    let crafted = |type_length, repetition| Crafted {
        physical_type: 7,
        type_length,
        repetition,
        codec: UNCOMPRESSED,
        rows: 1 << 20,
        values: 1 << 20,
        pages: nulls.clone(),
        is_text: false,
    };
    refused(&crafted(1 << 30, 1).file(), "values have 1073741824 bytes each");
    let table = opened(&crafted(1 << 16, 1).file()).unwrap();
    let batch = table.batches(0..65_536).unwrap().next().unwrap().unwrap();
    assert_eq!(batch.num_rows(), 1 << 10);
}

#[test]
fn delta_lengths_are_not_believed() {
    for encoding in [6, 7] {
        let mut data = Vec::new();
        for number in [128, 4, i32::MAX as u64, 0] {
            varint(&mut data, number);
        }
        let size_bytes = data.len() as i64;
        let one = page(size_bytes, size_bytes, 1, encoding, &data);
        refused(&Crafted::strings(UNCOMPRESSED, 1, one).file(), "the lengths of the strings");
        let rows = 1 << 24;
        let mut data = Vec::new();
        for number in [128, 4, rows as u64, 0] {
            varint(&mut data, number);
        }
        let many = page(data.len() as i64, data.len() as i64, rows, encoding, &data);
        refused(&Crafted::strings(UNCOMPRESSED, rows, many).file(), "at most 4194304 are read");
    }
}

#[test]
fn pages_that_are_large_only_together_are_refused() {
    let large = 60 << 20;
    let inner = Structure::default().i32(1, 1).i32(2, 0);
    let header = Structure::default().i32(1, 2).i32(2, large).i32(3, 1).inner(7, inner);
    let dictionary = [header.end(), vec![0]].concat();
    let pages = [dictionary, page(large, 1, 1, 8, &[0])].concat();
    refused(&Crafted::strings(ZSTD, 1, pages).file(), "one page of each column takes 125829120");
}

#[test]
fn a_row_cannot_have_endless_lists() {
    let values = 1 << 30;
    let mut levels = Vec::new();
    varint(&mut levels, values << 1);
    levels.push(1);
    let levels = [&(levels.len() as u32).to_le_bytes()[..], &levels].concat();
    let data = levels.repeat(2);
    let size_bytes = data.len() as i64;
    let pages = page(size_bytes, size_bytes, values as i64, 0, &data);
    let crafted = Crafted {
        repetition: 2,
        values: values as i64,
        ..Crafted::strings(UNCOMPRESSED, 1, pages)
    };
    refused(&crafted.file(), "1073741824 values in the lists of 1 rows");
}

#[test]
fn a_schema_that_is_too_deep_is_refused_before_it_is_followed() {
    let footer = |depth: usize, children| {
        let element = Structure::default().i32(3, 1).text(4, "x").i32(5, children).end();
        let footer = Structure::default().i32(1, 1).list(2, 12, &vec![element; depth]);
        finished(&[], footer.i64(3, 0).list(4, 12, &[]).end())
    };
    refused(&footer(1 << 20, 1), "more than 64 levels deep");
    refused(&footer(10, 1), "its schema lacks columns");
    refused(&footer(10, -1), "a description is broken");
    refused(&footer(2, i64::from(i32::MAX)), "its schema lacks columns");
}

#[test]
fn a_footer_cannot_announce_more_than_it_has() {
    let root = Structure::default().text(4, "root").i32(5, 0).end();
    let start = || Structure::default().i32(1, 1).list(2, 12, std::slice::from_ref(&root));
    let empty = vec![vec![0]; 1 << 16];
    refused(&finished(&[], start().i64(3, 0).list(4, 12, &empty).end()), "description is broken");
    let mut announced = start().i64(3, 0).list(4, 12, &[]);
    announced.bytes.pop();
    varint(&mut announced.bytes, u64::from(u32::MAX));
    refused(&finished(&[], announced.end()), "a description ends too early");
    let mut long = finished(&[], start().end());
    let length = long.len();
    long[length - 8..length - 4].copy_from_slice(&u32::MAX.to_le_bytes());
    refused(&long, "footer cannot be as long");
}

#[test]
fn an_encrypted_file_is_named_as_such() {
    let mut bytes = Crafted::strings(UNCOMPRESSED, 1, plain(&[0; 4])).file();
    let length = bytes.len();
    bytes[length - 1] = b'E';
    refused(&bytes, "not supported: it is encrypted");
    let root = Structure::default().text(4, "root").i32(5, 0).end();
    let footer = Structure::default().i32(1, 1).list(2, 12, &[root]).i64(3, 0).list(4, 12, &[]);
    let algorithm = Structure::default().inner(1, Structure::default());
    refused(&finished(&[], footer.inner(8, algorithm).end()), "not supported: it is encrypted");
}

/// 2 GiB of zeros as gzip, in 2 MB.
fn gzip_bomb() -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&vec![0; 16 << 20]).unwrap();
    encoder.finish().unwrap().repeat(128)
}

fn brotli_bomb() -> Vec<u8> {
    let mut encoder = brotli::CompressorWriter::new(Vec::new(), 1 << 16, 1, 22);
    encoder.write_all(&vec![0; 4 << 20]).unwrap();
    encoder.into_inner()
}

fn lz4_bomb() -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(&vec![0; 256 << 20]).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn bombs_are_refused() {
    for (codec, bomb) in [(GZIP, gzip_bomb()), (BROTLI, brotli_bomb()), (LZ4, lz4_bomb())] {
        let page = page(1000, bomb.len() as i64, 1, 0, &bomb);
        let file = Crafted::strings(codec, 1, page).file();
        refused(&file, "a page is larger than it says");
    }
}

/// Alone in a process, so that its memory is that of the bombs.
#[cfg(target_os = "linux")]
#[test]
fn bombs_do_not_fill_memory() {
    let output = std::process::Command::new("/proc/self/exe")
        .args([
            "--exact",
            "readers::parquet::tests::the_memory_of_bombs",
            "--ignored",
            "--nocapture",
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "run by bombs_do_not_fill_memory"]
fn the_memory_of_bombs() {
    let bomb = gzip_bomb();
    let page = page(1000, bomb.len() as i64, 1, 0, &bomb);
    refused(&Crafted::strings(GZIP, 1, page).file(), "a page is larger than it says");
    // 15 million empty strings in some 6 kB, which is as much as a page may do.
    let size_bytes = 60 << 20;
    let zeros = zstd::encode_all(io::repeat(0).take(size_bytes), 1).unwrap();
    let rows = size_bytes as i64 / 4;
    let page = super::tests::page(size_bytes as i64, zeros.len() as i64, rows, 0, &zeros);
    let table = opened(&Crafted::strings(ZSTD, rows, page).file()).unwrap();
    let batches = table.batches(0..65_536).unwrap();
    assert_eq!(batches.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 65_536);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let most_kib: u64 = most.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(most_kib < 200 * 1024, "{most_kib} KiB");
}

/// A header of 3 KiB can announce billions of values, which were skipped one by one behind the end.
#[test]
fn the_end_of_the_file_is_an_error_for_who_skips() {
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, b"PAR1").unwrap();
    let shared = SharedFile { file: Arc::new(file), size_bytes: 4 };
    let mut reader = shared.get_read(4).unwrap();
    let skipped = std::io::copy(&mut std::io::Read::take(&mut reader, 1), &mut std::io::sink());
    assert_eq!(skipped.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
}
