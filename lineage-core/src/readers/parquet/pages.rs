//! The pages of a row group, checked before they are decoded.
//!
//! The `parquet` crate takes memory by the sizes that a page declares, decompresses some codecs without
//! any limit, and panics at some contradictions. So the headers of all pages are read first, which is
//! one small read for each page.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, ConvertedType, LogicalType, Type as PhysicalType};
use parquet::column::page::Page;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::reader::ChunkReader;
use parquet::file::serialized_reader::SerializedPageReader;

use super::header::{self, DELTA_BYTE_ARRAY, DELTA_LENGTH_BYTE_ARRAY, Header, Kind};
use super::{SharedFile, delta};
use crate::table::WORDS_MAX;

/// A page is held in memory as a whole, compressed and decompressed.
pub(super) const PAGE_BYTES_MAX: u64 = 128 << 20;

/// One page and one dictionary of each column are held at a time, by each thread. With this limit two
/// threads and what they make of the pages stay below 512 MiB ...
const OPEN_BYTES_MAX: u64 = 96 << 20;

/// ... except where the bytes are really there: the pages of a row group of a thousand columns, or a page
/// of a thousand images.
const OPEN_BYTES_PER_STORED_BYTE: u64 = 4;

/// Rows are decoded in batches, none of which may hold more than so many bytes.
const BATCH_BYTES_MAX: u64 = 64 << 20;

/// The lists of a row cannot be cut. All that a column chunk has could be those of one row, so they may
/// take this much memory, and for each byte of the chunk so much more.
const LISTED_BYTES_ALWAYS: u64 = 80 << 20;
const LISTED_BYTES_PER_STORED_BYTE: u64 = 1 << 14;

/// A value in a list has two levels of two bytes each.
const LEVEL_BYTES: u64 = 4;

/// How often a compressed byte can be repeated.
const GZIP_RATIO_MAX: u64 = 1032;
const LZ4_RATIO_MAX: u64 = 255;

/// A row group of fewer rows is not worth reading by itself, which its dictionaries would need.
const WORDS_ROWS_MIN: u64 = 16 * 1024;

/// Each value of a dictionary must stand for so many rows on average, or looking at it once saves nothing.
const ROWS_PER_WORD_MIN: u64 = 2;

/// What is made of dictionaries that are kept takes some ten times their bytes at most.
const WORDS_BYTES_MAX: u64 = 4 << 20;

/// What is known of a row group whose pages are sound.
#[derive(Debug, Clone)]
pub(super) struct Sound {
    /// How many rows can be decoded at once.
    pub(super) batch_rows_max: u64,
    /// The columns whose dictionaries are worth keeping.
    pub(super) worded: Arc<[Worded]>,
}

/// A column at the top of the schema that has only byte strings of a dictionary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Worded {
    /// Its place among the leaves.
    pub(super) leaf: usize,
    /// How many values its dictionary announces.
    pub(super) words: u64,
}

/// Checks all pages of the row group.
pub(super) fn check(
    input: &SharedFile,
    row_group: &RowGroupMetaData,
    copies: bool,
) -> Result<Sound, ParquetError> {
    let (mut open_bytes, mut stored_bytes, mut row_bytes) = (0_u64, 0_u64, 0_u64);
    let (mut worded, mut words_bytes) = (Vec::new(), 0);
    for (leaf, chunk) in row_group.columns().iter().enumerate() {
        let column = Column::of(chunk, row_group.num_rows(), copies);
        let seen = column.and_then(|column| column.check(input)).map_err(|error| {
            let name: String = chunk.column_path().string().chars().take(200).collect();
            ParquetError::General(format!("column \"{name}\": {}", message(&error)))
        })?;
        open_bytes = open_bytes.saturating_add(seen.data_bytes + seen.dictionary_bytes);
        stored_bytes = stored_bytes.saturating_add(chunk.compressed_size().unsigned_abs());
        let values_per_row = seen.values.div_ceil(row_group.num_rows().max(1).unsigned_abs());
        let bytes = seen.value_bytes.saturating_mul(values_per_row.max(1));
        row_bytes = row_bytes.saturating_add(bytes);
        if seen.has_words(chunk) && words_bytes + seen.dictionary_bytes <= WORDS_BYTES_MAX {
            words_bytes += seen.dictionary_bytes;
            worded.push(Worded { leaf, words: seen.words });
        }
    }
    let open_bytes_max =
        OPEN_BYTES_MAX.max(stored_bytes.saturating_mul(OPEN_BYTES_PER_STORED_BYTE));
    if open_bytes > open_bytes_max {
        return Err(ParquetError::General(format!(
            "one page of each column takes {open_bytes} bytes, and at most {open_bytes_max} are read; \
             write it with smaller pages"
        )));
    }
    let batch_rows_max = (BATCH_BYTES_MAX / row_bytes.max(1)).max(1);
    Ok(Sound { batch_rows_max, worded: worded.into() })
}

/// The text of an error without its kind.
fn message(error: &ParquetError) -> String {
    match error {
        ParquetError::General(text) | ParquetError::EOF(text) => text.clone(),
        other => other.to_string(),
    }
}

fn problem(text: &str) -> ParquetError {
    ParquetError::General(text.to_owned())
}

/// What the pages of a column take.
#[derive(Default)]
struct Seen {
    data_bytes: u64,
    dictionary_bytes: u64,
    /// The most bytes of a value on its page, or in memory.
    value_bytes: u64,
    values: u64,
    /// The values of the dictionary.
    words: u64,
    has_other_pages: bool,
    has_delta_strings: bool,
}

impl Seen {
    /// Whether rows have values of the dictionary alone, many the same.
    fn has_words(&self, chunk: &ColumnChunkMetaData) -> bool {
        chunk.column_type() == PhysicalType::BYTE_ARRAY
            && chunk.column_path().parts().len() == 1
            && chunk.column_descr().max_rep_level() == 0
            && !self.has_other_pages
            && (1..=WORDS_MAX as u64).contains(&self.words)
            && self.values >= WORDS_ROWS_MIN.max(ROWS_PER_WORD_MIN * self.words)
    }
}

/// One column of a row group.
struct Column<'a> {
    chunk: &'a ColumnChunkMetaData,
    start: u64,
    end: u64,
    values: u64,
    rows: u64,
    /// Whether values of a dictionary are copied for each row that has them.
    copies: bool,
}

impl<'a> Column<'a> {
    fn of(
        chunk: &'a ColumnChunkMetaData,
        rows: i64,
        copies: bool,
    ) -> Result<Column<'a>, ParquetError> {
        let unsigned = |number: i64| {
            u64::try_from(number).map_err(|_| problem("the footer has a negative size or place"))
        };
        if chunk.file_path().is_some() {
            return Err(problem("not supported: its data is in another file"));
        }
        let start = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
        let start = unsigned(start)?;
        let end = start
            .checked_add(unsigned(chunk.compressed_size())?)
            .ok_or_else(|| problem("the footer has a place that no file has"))?;
        let (values, rows) = (unsigned(chunk.num_values())?, unsigned(rows)?);
        let description = chunk.column_descr();
        if description.max_rep_level() == 0 && values != rows {
            return Err(problem("it has more or fewer values than there are rows"));
        }
        let is_number = description.converted_type() == ConvertedType::DECIMAL
            || matches!(description.logical_type_ref(), Some(LogicalType::Decimal { .. }));
        let copies = chunk.column_type() == PhysicalType::BYTE_ARRAY && (copies || is_number);
        Ok(Column { chunk, start, end, values, rows, copies })
    }

    fn is_listed(&self) -> bool {
        self.chunk.column_descr().max_rep_level() > 0
    }

    fn check(&self, input: &SharedFile) -> Result<Seen, ParquetError> {
        if self.end > input.size_bytes {
            return Err(problem("the footer places it outside of the file"));
        }
        self.check_width()?;
        let mut seen = Seen { value_bytes: self.value_bytes(), ..Seen::default() };
        let mut position = self.start;
        while position < self.end {
            let header = header::read(input, position, self.end)?;
            position += header.size_bytes;
            if header.stored_bytes > self.end - position {
                return Err(problem("a page ends outside of its column"));
            }
            self.check_page(&header, &mut seen)?;
            self.check_expansion(input, position, &header)?;
            position += header.stored_bytes;
        }
        if seen.values != self.values {
            return Err(problem("its pages have more or fewer values than the footer says"));
        }
        if self.rows == 0 && seen.values > 0 {
            return Err(problem(
                "its pages have values, and the footer says that there are no rows",
            ));
        }
        self.check_lists(&seen)?;
        if seen.has_delta_strings {
            self.check_delta(input, &mut seen)?;
        }
        if self.copies {
            seen.value_bytes = seen.value_bytes.max(seen.dictionary_bytes);
        }
        Ok(seen)
    }

    /// The bytes of a value in memory, as far as the schema says: a null takes them, too.
    fn value_bytes(&self) -> u64 {
        match self.chunk.column_type() {
            PhysicalType::BOOLEAN => 1,
            PhysicalType::INT32 | PhysicalType::FLOAT => 4,
            PhysicalType::INT64 | PhysicalType::DOUBLE => 8,
            PhysicalType::INT96 | PhysicalType::BYTE_ARRAY => 16,
            PhysicalType::FIXED_LEN_BYTE_ARRAY => {
                self.chunk.column_descr().type_length().unsigned_abs().max(1).into()
            }
        }
    }

    fn check_width(&self) -> Result<(), ParquetError> {
        const WIDTH_MAX: u64 = PAGE_BYTES_MAX / 2;
        let width = self.value_bytes();
        if width > WIDTH_MAX {
            return Err(ParquetError::General(format!(
                "its values have {width} bytes each, and at most {WIDTH_MAX} are read"
            )));
        }
        Ok(())
    }

    fn check_page(&self, header: &Header, seen: &mut Seen) -> Result<(), ParquetError> {
        let page_bytes = header.page_bytes.max(header.stored_bytes);
        if page_bytes > PAGE_BYTES_MAX {
            return Err(ParquetError::General(format!(
                "a page has {page_bytes} bytes, and at most {PAGE_BYTES_MAX} are read; write it with \
                 smaller pages"
            )));
        }
        if self.chunk.compression() == Compression::UNCOMPRESSED
            && header.page_bytes != header.stored_bytes
        {
            return Err(problem("a page that is not compressed has two sizes"));
        }
        match header.kind {
            Kind::Dictionary => {
                if seen.dictionary_bytes > 0 || seen.values > 0 {
                    return Err(problem("it has a dictionary after its first page"));
                }
                // Each entry takes at least a byte; memory is taken by their number.
                if header.values > header.page_bytes {
                    return Err(problem("its dictionary has more entries than bytes"));
                }
                // An empty dictionary is one, too.
                seen.dictionary_bytes = header.page_bytes.max(1);
                seen.words = header.values;
            }
            Kind::Data => self.check_data(header, seen)?,
        }
        Ok(())
    }

    fn check_data(&self, header: &Header, seen: &mut Seen) -> Result<(), ParquetError> {
        if header.is_of_dictionary() && seen.dictionary_bytes == 0 {
            return Err(problem("a page needs a dictionary that is not there"));
        }
        let description = self.chunk.column_descr();
        let depths = [description.max_rep_level(), description.max_def_level()];
        header.check_levels(depths)?;
        seen.values = seen.values.saturating_add(header.values);
        seen.data_bytes = seen.data_bytes.max(header.page_bytes);
        seen.has_other_pages |= !header.is_of_dictionary();
        seen.has_delta_strings |= header.has_delta_strings();
        let value_bytes = header.page_bytes.div_ceil(header.values.max(1));
        seen.value_bytes = seen.value_bytes.max(value_bytes);
        Ok(())
    }

    fn check_lists(&self, seen: &Seen) -> Result<(), ParquetError> {
        let stored_bytes = self.end - self.start;
        let bytes_max = stored_bytes
            .saturating_mul(LISTED_BYTES_PER_STORED_BYTE)
            .saturating_add(LISTED_BYTES_ALWAYS);
        // A list that is empty or null is a value, too.
        let bytes = seen
            .values
            .checked_sub(self.rows)
            .map(|listed| listed.saturating_mul(self.value_bytes() + LEVEL_BYTES));
        if self.is_listed() && bytes.is_none_or(|bytes| bytes > bytes_max) {
            return Err(ParquetError::General(format!(
                "it has {} values in the lists of {} rows, which is not read of {stored_bytes} bytes",
                seen.values, self.rows
            )));
        }
        Ok(())
    }

    /// The codecs that know no limit are run once without keeping anything, when they could make more
    /// of a page than may be held.
    fn check_expansion(
        &self,
        input: &SharedFile,
        position: u64,
        header: &Header,
    ) -> Result<(), ParquetError> {
        if !header.is_compressed || header.page_bytes <= header.level_bytes {
            return Ok(());
        }
        let stored = header.stored_bytes.saturating_sub(header.level_bytes);
        let ratio_max = match self.chunk.compression() {
            Compression::GZIP(_) => GZIP_RATIO_MAX,
            Compression::LZ4 => LZ4_RATIO_MAX,
            Compression::BROTLI(_) => u64::MAX,
            _ => return Ok(()),
        };
        if stored.saturating_mul(ratio_max) <= PAGE_BYTES_MAX {
            return Ok(());
        }
        let compressed = input
            .get_read(position + header.level_bytes)
            .map(|reader| io::BufReader::with_capacity(64 * 1024, reader.take(stored)))?;
        let limit = header.page_bytes - header.level_bytes;
        let size_bytes = match self.chunk.compression() {
            Compression::GZIP(_) => count(flate2::bufread::MultiGzDecoder::new(compressed), limit),
            Compression::BROTLI(_) => {
                count(brotli::Decompressor::new(compressed, 64 * 1024), limit)
            }
            // Blocks of Hadoop are bounded by the page; what else there is has its own first bytes,
            // and a failure here only means that it is not a frame.
            _ => count(lz4_flex::frame::FrameDecoder::new(compressed), limit).or(Ok(0)),
        };
        if size_bytes.map_err(|error| ParquetError::External(Box::new(error)))? > limit {
            return Err(problem("a page is larger than it says when it is decompressed"));
        }
        Ok(())
    }

    /// Strings that are stored as differences declare a number of lengths, and those lengths.
    fn check_delta(&self, input: &SharedFile, seen: &mut Seen) -> Result<(), ParquetError> {
        let rows = usize::try_from(self.rows).unwrap_or(usize::MAX);
        let pages = SerializedPageReader::new(input.clone().into(), self.chunk, rows, None)?;
        for page in pages {
            let page = page?;
            let encoding = page.encoding() as i32;
            let prefixed = encoding == DELTA_BYTE_ARRAY;
            if !prefixed && encoding != DELTA_LENGTH_BYTE_ARRAY || page.is_dictionary_page() {
                continue;
            }
            let data = self.data_of(&page)?;
            let longest = delta::check_strings(&data, prefixed, page.num_values())?;
            if !prefixed {
                continue;
            }
            // Every value is copied, and could be as long as the page.
            seen.value_bytes = seen.value_bytes.max(longest);
            if self.is_listed() && longest.saturating_mul(page.num_values().into()) > PAGE_BYTES_MAX
            {
                return Err(problem("the lists of a page have strings that are too long for it"));
            }
        }
        Ok(())
    }

    /// The data of a page without its levels.
    fn data_of(&self, page: &Page) -> Result<Bytes, ParquetError> {
        let cut = || problem("the levels of a page are longer than it");
        let buffer = page.buffer();
        let level_bytes = match page {
            Page::DataPageV2 { def_levels_byte_len, rep_levels_byte_len, .. } => {
                *def_levels_byte_len as usize + *rep_levels_byte_len as usize
            }
            _ => {
                let description = self.chunk.column_descr();
                let mut position = 0;
                for depth in [description.max_rep_level(), description.max_def_level()] {
                    if depth > 0 {
                        let length = buffer.get(position..).and_then(|rest| rest.first_chunk());
                        let length = u32::from_le_bytes(*length.ok_or_else(cut)?) as usize;
                        position += 4 + length;
                    }
                }
                position
            }
        };
        if level_bytes > buffer.len() {
            return Err(cut());
        }
        Ok(buffer.slice(level_bytes..))
    }
}

/// How many bytes there are, as far as one more than the limit.
fn count(mut reader: impl Read, limit: u64) -> io::Result<u64> {
    let mut buffer = vec![0; 64 * 1024];
    let mut size_bytes = 0;
    while size_bytes <= limit {
        match reader.read(&mut buffer)? {
            0 => break,
            count => size_bytes += count as u64,
        }
    }
    Ok(size_bytes)
}
