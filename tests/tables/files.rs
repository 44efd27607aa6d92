//! Files of tables, written in many ways and read back through the library's front door.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use lineage_core::arrow::array::RecordBatch;
use lineage_core::arrow::ipc::CompressionType;
use lineage_core::arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use lineage_core::context::Silent;
use lineage_core::fingerprint::{
    DeclaredColumn, Fingerprint, FingerprintError, Input, Table, TableOptions, fingerprint,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};

use super::types::Dice;

/// A folder for the files of one test.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

/// Reads a file as a table, inferred where `columns` does not declare it.
pub fn read(
    path: &Path,
    columns: Option<Vec<DeclaredColumn>>,
) -> Result<Fingerprint, FingerprintError> {
    let mut input = Input::new(path);
    input.table = Some(TableOptions { columns, profile: true, ..TableOptions::default() });
    fingerprint(&[input], &Silent).map(|mut found| found.remove(0))
}

/// The table in a file that must hold one.
pub fn table(path: &Path, columns: Option<Vec<DeclaredColumn>>) -> Table {
    let found = read(path, columns).unwrap_or_else(|error| panic!("{path:?}: {error:?}"));
    found.table.unwrap_or_else(|| panic!("{path:?}: {:?}", found.table_problem))
}

/// Why a file that looks like a table is none.
pub fn problem(path: &Path) -> String {
    match read(path, None) {
        Ok(found) => found.table_problem.unwrap_or_else(|| panic!("{path:?} is a table")),
        Err(error) => error.to_string(),
    }
}

/// The rows in slices of random sizes.
pub fn slices(whole: &RecordBatch, dice: &mut Dice) -> Vec<RecordBatch> {
    let (mut batches, mut at) = (Vec::new(), 0);
    let most = [1 + whole.num_rows() / 7, 1 + whole.num_rows()][dice.roll(2)];
    while at < whole.num_rows() {
        let rows = (1 + dice.roll(most)).min(whole.num_rows() - at);
        batches.push(whole.slice(at, rows));
        at += rows;
    }
    batches
}

/// A Parquet file with random settings.
pub fn parquet(whole: &RecordBatch, dice: &mut Dice) -> Vec<u8> {
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
    ];
    let versions = [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0];
    let properties = WriterProperties::builder()
        .set_compression(codecs[dice.roll(codecs.len())])
        .set_dictionary_enabled(dice.roll(2) == 0)
        .set_dictionary_page_size_limit([16, 1 << 20][dice.roll(2)])
        .set_max_row_group_row_count(Some([3, 100, 1_000_000][dice.roll(3)]))
        .set_data_page_row_count_limit([2, 20_000][dice.roll(2)])
        .set_data_page_size_limit([64, 1 << 20][dice.roll(2)])
        .set_write_batch_size([1, 7, 1024][dice.roll(3)])
        .set_writer_version(versions[dice.roll(2)])
        .set_statistics_enabled([EnabledStatistics::None, EnabledStatistics::Page][dice.roll(2)])
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), whole.schema(), Some(properties)).unwrap();
    for batch in slices(whole, dice) {
        writer.write(&batch).unwrap();
    }
    writer.into_inner().unwrap()
}

/// An Arrow IPC file or stream with random settings.
pub fn arrow(whole: &RecordBatch, dice: &mut Dice) -> Vec<u8> {
    let codecs = [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)];
    let options = IpcWriteOptions::default();
    let options = options.try_with_compression(codecs[dice.roll(3)]).unwrap();
    let schema = whole.schema();
    if dice.roll(2) == 0 {
        let mut writer = FileWriter::try_new_with_options(Vec::new(), &schema, options).unwrap();
        for batch in slices(whole, dice) {
            writer.write(&batch).unwrap();
        }
        return writer.into_inner().unwrap();
    }
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &schema, options).unwrap();
    for batch in slices(whole, dice) {
        writer.write(&batch).unwrap();
    }
    writer.into_inner().unwrap()
}

/// A file, or a stream that may be compressed; a file is read from its end.
pub fn arrow_compressed(whole: &RecordBatch, dice: &mut Dice) -> (Vec<u8>, &'static str) {
    let bytes = arrow(whole, dice);
    if bytes.starts_with(b"ARROW1") { (bytes, "") } else { compressed(bytes, dice) }
}

/// The bytes as they are, or compressed, with the suffix for the name.
pub fn compressed(bytes: Vec<u8>, dice: &mut Dice) -> (Vec<u8>, &'static str) {
    match dice.roll(4) {
        0 => (gzip(&bytes), ".gz"),
        1 => (zstd::encode_all(&bytes[..], 1).unwrap(), ".zst"),
        _ => (bytes, ""),
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
