//! The shape of a table: rows and column names of CSV and Parquet files.

use std::fs::File;
use std::path::Path;

use parquet::file::metadata::ParquetMetaDataReader;

use crate::readers::{Compression, TableFormat};

/// The format of a file whose shape is read here, by its name.
pub(super) fn shaped(path: &Path) -> Option<TableFormat> {
    match TableFormat::of_path(path)? {
        (TableFormat::Ndjson | TableFormat::Arrow, _) => None,
        (format, compression) => (compression == Compression::None).then_some(format),
    }
}

/// How many rows, and the columns by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableShape {
    /// The file format.
    pub format: TableFormat,
    /// Rows, the header not counted.
    pub rows: u64,
    /// Top-level column names, in order.
    pub columns: Vec<String>,
}

/// A header longer than this is not one.
const HEADER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Counts the records of a CSV as its bytes go by: a record ends at a line feed outside quotes, and
/// quotes come in pairs whether they open a field or are doubled inside one.
pub(super) struct RecordScan {
    format: TableFormat,
    in_quotes: bool,
    records: u64,
    record_bytes: u64,
    first_byte: u8,
    header: Vec<u8>,
}

impl RecordScan {
    pub(super) fn new(format: TableFormat) -> RecordScan {
        RecordScan {
            format,
            in_quotes: false,
            records: 0,
            record_bytes: 0,
            first_byte: 0,
            header: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, mut chunk: &[u8]) {
        while !chunk.is_empty() {
            let found = memchr::memchr2(b'"', b'\n', chunk);
            let end = found.map_or(chunk.len(), |at| at + 1);
            let (piece, rest) = chunk.split_at(end);
            if self.record_bytes == 0 {
                self.first_byte = piece[0];
            }
            if self.records == 0 && self.header.len() < HEADER_BYTES_MAX {
                self.header.extend_from_slice(piece);
            }
            self.record_bytes += piece.len() as u64;
            if let Some(at) = found {
                if chunk[at] == b'"' {
                    self.in_quotes = !self.in_quotes;
                } else if !self.in_quotes {
                    self.record_bytes -= 1;
                    self.end_record();
                }
            }
            chunk = rest;
        }
    }

    fn end_record(&mut self) {
        let blank = self.record_bytes == 0 || (self.record_bytes == 1 && self.first_byte == b'\r');
        if !blank {
            self.records += 1;
        } else if self.records == 0 {
            self.header.clear();
        }
        self.record_bytes = 0;
    }

    pub(super) fn finish(mut self) -> Result<TableShape, String> {
        if self.in_quotes {
            return Err("a quoted field is never closed".to_owned());
        }
        if self.record_bytes > 0 {
            self.end_record();
        }
        if self.records == 0 {
            return Err("it has no header line".to_owned());
        }
        let columns = self.header_fields()?;
        Ok(TableShape { format: self.format, rows: self.records - 1, columns })
    }

    fn header_fields(&self) -> Result<Vec<String>, String> {
        let delimiter = if self.format == TableFormat::Tsv { b'\t' } else { b',' };
        let mut reader = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        let mut input = self.header.as_slice();
        let mut text = vec![0; self.header.len() + 1];
        let mut ends = vec![0; self.header.len() + 1];
        let (mut written, mut fields) = (0, 0);
        loop {
            let (result, read, out, ended) =
                reader.read_record(input, &mut text[written..], &mut ends[fields..]);
            input = &input[read..];
            written += out;
            fields += ended;
            if !matches!(result, csv_core::ReadRecordResult::InputEmpty) {
                break;
            }
        }
        let mut start = 0;
        let mut names = Vec::with_capacity(fields);
        for &end in &ends[..fields] {
            let name = std::str::from_utf8(&text[start..end])
                .map_err(|_| "its header is not valid UTF-8".to_owned())?;
            names.push(name.to_owned());
            start = end;
        }
        Ok(names)
    }
}

/// Reads the footer of a Parquet file.
pub(super) fn parquet_shape(file: &File) -> Result<TableShape, String> {
    let metadata =
        ParquetMetaDataReader::new().parse_and_finish(file).map_err(|error| error.to_string())?;
    let metadata = metadata.file_metadata();
    let rows = u64::try_from(metadata.num_rows())
        .map_err(|_| "its footer gives a negative number of rows".to_owned())?;
    let columns = metadata.schema().get_fields().iter().map(|f| f.name().to_owned()).collect();
    Ok(TableShape { format: TableFormat::Parquet, rows, columns })
}
