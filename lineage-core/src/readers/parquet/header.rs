//! The header of a page.

use parquet::errors::ParquetError;
use parquet::file::reader::ChunkReader;

use super::SharedFile;
use super::thrift::{Cursor, FALSE, Fault, I32, STRUCTURE};

/// Encodings by their numbers in the format.
const PLAIN_DICTIONARY: i32 = 2;
const RLE: i32 = 3;
const BIT_PACKED: i32 = 4;
pub(super) const DELTA_LENGTH_BYTE_ARRAY: i32 = 6;
pub(super) const DELTA_BYTE_ARRAY: i32 = 7;
const RLE_DICTIONARY: i32 = 8;

/// The first guess, and the most: a header may hold the least and the greatest value of the page.
const HEADER_BYTES: u64 = 256;
const HEADER_BYTES_MAX: u64 = 8 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Dictionary,
}

/// What a page says of itself.
#[derive(Debug)]
pub(super) struct Header {
    /// Of the header itself.
    pub(super) size_bytes: u64,
    pub(super) kind: Kind,
    pub(super) page_bytes: u64,
    pub(super) stored_bytes: u64,
    pub(super) values: u64,
    /// Levels that stand before the compressed data.
    pub(super) level_bytes: u64,
    pub(super) is_compressed: bool,
    encoding: i32,
    /// How the repetition and the definition levels are encoded in the page.
    level_encodings: [i32; 2],
}

/// Reads the header at `position`, which must end before `end`.
pub(super) fn read(input: &SharedFile, position: u64, end: u64) -> Result<Header, ParquetError> {
    let mut length = HEADER_BYTES;
    loop {
        let bytes = input.get_bytes(position, length.min(end - position) as usize)?;
        match parse(&bytes) {
            Ok(header) => return Ok(header),
            Err(Fault::Ends) if (bytes.len() as u64) < end - position => {}
            Err(_) => {
                let text = format!("the header of a page at byte {position} is broken");
                return Err(ParquetError::General(text));
            }
        }
        length *= 8;
        if length > HEADER_BYTES_MAX {
            let text = format!("the header of a page at byte {position} is too long");
            return Err(ParquetError::General(text));
        }
    }
}

/// The numbers of a structure by their fields.
type Numbers = [Option<i32>; 9];

fn parse(bytes: &[u8]) -> Result<Header, Fault> {
    let mut cursor = Cursor::new(bytes);
    let mut last = 0;
    let (mut own, mut of_kind) = ([None; 9], [None, None, None, None]);
    while let Some((number, kind)) = cursor.field(&mut last)? {
        match (number, kind) {
            (1..=3, I32) => own[number as usize] = Some(cursor.i32()?),
            (5..=8, STRUCTURE) => of_kind[number as usize - 5] = Some(numbers(&mut cursor)?),
            _ => cursor.skip(kind)?,
        }
    }
    let [data, _, dictionary, data_2] = of_kind;
    let size =
        |field: usize| u64::try_from(own[field].ok_or(Fault::Broken)?).map_err(|_| Fault::Broken);
    let (kind, inner, version) = match own[1] {
        Some(0) => (Kind::Data, data, 1),
        Some(2) => (Kind::Dictionary, dictionary, 1),
        Some(3) => (Kind::Data, data_2, 2),
        // Pages of an index stand elsewhere in the files of all writers.
        _ => return Err(Fault::Broken),
    };
    // The decoder takes the levels of version 2 from this structure wherever it stands.
    if version == 1 && data_2.is_some() {
        return Err(Fault::Broken);
    }
    let inner: Numbers = inner.ok_or(Fault::Broken)?;
    let at = |field: usize| inner[field].ok_or(Fault::Broken);
    let unsigned = |field: usize| u64::try_from(at(field)?).map_err(|_| Fault::Broken);
    let (level_bytes, is_compressed) = match version {
        2 => (unsigned(5)? + unsigned(6)?, inner[7] != Some(0)),
        _ => (0, true),
    };
    let (page_bytes, stored_bytes, values) = (size(2)?, size(3)?, unsigned(1)?);
    if level_bytes > page_bytes.min(stored_bytes) || version == 2 && unsigned(2)? > values {
        return Err(Fault::Broken);
    }
    let level_encodings = match (kind, version) {
        (Kind::Data, 1) => [at(4)?, at(3)?],
        _ => [RLE, RLE],
    };
    Ok(Header {
        size_bytes: cursor.position() as u64,
        kind,
        page_bytes,
        stored_bytes,
        values,
        level_bytes,
        is_compressed,
        encoding: at(if version == 2 { 4 } else { 2 })?,
        level_encodings,
    })
}

fn numbers(cursor: &mut Cursor<'_>) -> Result<Numbers, Fault> {
    let mut numbers = [None; 9];
    let mut last = 0;
    while let Some((number, kind)) = cursor.field(&mut last)? {
        match (usize::try_from(number), kind) {
            (Ok(field @ 0..9), I32) => numbers[field] = Some(cursor.i32()?),
            (Ok(field @ 0..9), FALSE) => numbers[field] = Some(0),
            _ => cursor.skip(kind)?,
        }
    }
    Ok(numbers)
}

impl Header {
    pub(super) fn is_of_dictionary(&self) -> bool {
        matches!(self.encoding, PLAIN_DICTIONARY | RLE_DICTIONARY)
    }

    pub(super) fn has_delta_strings(&self) -> bool {
        matches!(self.encoding, DELTA_LENGTH_BYTE_ARRAY | DELTA_BYTE_ARRAY)
    }

    /// Levels that are packed without a length are cut from the page by their number.
    pub(super) fn check_levels(&self, depths: [i16; 2]) -> Result<(), ParquetError> {
        let problem = |text: &str| Err(ParquetError::General(text.to_owned()));
        let mut packed_bytes = 0;
        let mut has_lengths = false;
        for (depth, encoding) in depths.into_iter().zip(self.level_encodings) {
            match encoding {
                _ if depth <= 0 => {}
                BIT_PACKED => {
                    let bits = u64::from(i16::BITS - depth.leading_zeros());
                    packed_bytes += (self.values * bits).div_ceil(8);
                }
                RLE => has_lengths = true,
                _ => {
                    return problem(
                        "the levels of a page have an encoding that levels cannot have",
                    );
                }
            }
        }
        if packed_bytes > 0 && has_lengths || packed_bytes > self.page_bytes {
            return problem("not supported: the levels of a page are packed in the old way");
        }
        Ok(())
    }
}
