//! Decompression with bounded memory, whatever a header declares.

use std::io::{self, Read};

use super::source::{Halt, Region, RegionReader};

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Deflate,
    Zlib,
    Gzip,
    Bzip2,
    Xz,
    /// The old `.lzma` container.
    Lzma,
    /// As a member of a zip: two bytes of version, two of length, then the properties.
    ZipLzma,
    Zstd,
    Lz4,
}

/// The largest dictionary that is accepted: that of `xz -9`.
const DICTIONARY_BYTES_MAX: u32 = 64 << 20;

impl Codec {
    /// The compression that joblib would see in the first bytes.
    pub(super) fn of_head(head: &[u8]) -> Option<Codec> {
        let zlib = |first: u8, second: u8| {
            first & 0x0f == 8
                && (u16::from(first) << 8 | u16::from(second)).is_multiple_of(31)
                && second & 0x20 == 0
        };
        match head {
            [0x1f, 0x8b, ..] => Some(Codec::Gzip),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Codec::Bzip2),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Codec::Xz),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Codec::Zstd),
            [0x04, 0x22, 0x4d, 0x18, ..] => Some(Codec::Lz4),
            [0x5d, 0, _, _, ..] if head.len() >= 13 => Some(Codec::Lzma),
            [0x78, second, ..] if zlib(0x78, *second) => Some(Codec::Zlib),
            _ => None,
        }
    }
}

/// Opens a decompressor over a region.
pub(super) fn decoder<'a>(codec: Codec, region: Region<'a>) -> io::Result<Box<dyn Read + 'a>> {
    let raw = region.reader();
    Ok(match codec {
        Codec::Deflate => Box::new(flate2::read::DeflateDecoder::new(raw)),
        Codec::Zlib => Box::new(flate2::read::ZlibDecoder::new(raw)),
        Codec::Gzip => Box::new(flate2::read::MultiGzDecoder::new(raw)),
        Codec::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(raw)),
        Codec::Xz => Box::new(Xz::new(io::BufReader::new(raw))),
        Codec::Lzma => Box::new(lzma(raw)?),
        Codec::ZipLzma => Box::new(zip_lzma(raw)?),
        Codec::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(raw)?;
            decoder.window_log_max(DICTIONARY_BYTES_MAX.ilog2())?;
            Box::new(decoder)
        }
        Codec::Lz4 => return Err(Halt::Unsupported.error()),
    })
}

type Lzma<'a> = lzma_rust2::LzmaReader<io::BufReader<RegionReader<'a>>>;

fn lzma(mut raw: RegionReader<'_>) -> io::Result<Lzma<'_>> {
    let mut header = [0; 13];
    raw.read_exact(&mut header)?;
    let [properties, d0, d1, d2, d3, size @ ..] = header;
    let dictionary = checked_dictionary(u32::from_le_bytes([d0, d1, d2, d3]))?;
    let size = u64::from_le_bytes(size);
    lzma_rust2::LzmaReader::new_with_props(
        io::BufReader::new(raw),
        size,
        properties,
        dictionary,
        None,
    )
}

fn zip_lzma(mut raw: RegionReader<'_>) -> io::Result<Lzma<'_>> {
    let mut header = [0; 9];
    raw.read_exact(&mut header)?;
    let [_, _, 5, 0, properties, d0, d1, d2, d3] = header else {
        return Err(Halt::Unsupported.error());
    };
    let dictionary = checked_dictionary(u32::from_le_bytes([d0, d1, d2, d3]))?;
    let raw = io::BufReader::new(raw);
    // The size is not told; the stream ends with a marker, or with the reader's patience.
    lzma_rust2::LzmaReader::new_with_props(raw, u64::MAX, properties, dictionary, None)
}

fn checked_dictionary(bytes: u32) -> io::Result<u32> {
    if bytes > DICTIONARY_BYTES_MAX { Err(Halt::Memory.error()) } else { Ok(bytes) }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The xz container around LZMA2. Written here because the size of the dictionary, which a block
/// declares and the decoder allocates, must be looked at first. Checksums are not verified: a file
/// that is damaged is still read as far as it goes.
struct Xz<R: Read> {
    /// Between two blocks.
    raw: Option<R>,
    block: Option<Box<lzma_rust2::Lzma2Reader<Counted<R>>>>,
    check_bytes: u64,
    streams: u64,
}

impl<R: Read> Read for Xz<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(mut block) = self.block.take() {
                let count = block.read(buffer)?;
                if count > 0 || buffer.is_empty() {
                    self.block = Some(block);
                    return Ok(count);
                }
                let Counted { mut inner, bytes } = block.into_inner();
                skip(&mut inner, (4 - bytes % 4) % 4 + self.check_bytes)?;
                self.raw = Some(inner);
            }
            let Some(mut raw) = self.raw.take() else { return Ok(0) };
            if self.streams == 0 && !self.stream_header(&mut raw)? {
                return Err(invalid("no xz stream"));
            }
            match block_header(&mut raw)? {
                Some(dictionary) => {
                    let raw = Counted { inner: raw, bytes: 0 };
                    let reader = lzma_rust2::Lzma2Reader::new(raw, dictionary, None);
                    self.block = Some(Box::new(reader));
                }
                None => {
                    skip_index(&mut raw)?;
                    if !self.stream_header(&mut raw)? {
                        return Ok(0);
                    }
                    self.raw = Some(raw);
                }
            }
        }
    }
}

impl<R: Read> Xz<R> {
    fn new(raw: R) -> Xz<R> {
        Xz { raw: Some(raw), block: None, check_bytes: 0, streams: 0 }
    }

    /// Reads the header of the next stream; false at the end of the file.
    fn stream_header(&mut self, raw: &mut R) -> io::Result<bool> {
        let mut four = [0; 4];
        loop {
            let mut first = [0; 1];
            if raw.read(&mut first)? == 0 {
                return Ok(false);
            }
            raw.read_exact(&mut four[1..])?;
            four[0] = first[0];
            // Streams may be followed by zeros, four at a time.
            if four != [0; 4] {
                break;
            }
        }
        let mut rest = [0; 8];
        raw.read_exact(&mut rest)?;
        let [b'Z', 0, 0, check, ..] = rest else { return Err(invalid("no xz stream")) };
        if four != [0xfd, b'7', b'z', b'X'] {
            return Err(invalid("no xz stream"));
        }
        self.check_bytes = match check & 15 {
            0 => 0,
            1..=3 => 4,
            4..=6 => 8,
            7..=9 => 16,
            10..=12 => 32,
            _ => 64,
        };
        self.streams += 1;
        Ok(true)
    }
}

/// Reads the header of a block and gives the size of its dictionary; `None` where the index begins.
fn block_header(raw: &mut impl Read) -> io::Result<Option<u32>> {
    let mut size = [0; 1];
    raw.read_exact(&mut size)?;
    if size[0] == 0 {
        return Ok(None);
    }
    let mut header = vec![0; usize::from(size[0]) * 4 + 3];
    raw.read_exact(&mut header)?;
    let mut rest = header.as_slice();
    let mut flags = [0; 1];
    rest.read_exact(&mut flags)?;
    // One filter, LZMA2, is what every model is written with.
    if flags[0] & 0x3f != 0 {
        return Err(Halt::Unsupported.error());
    }
    for present in [0x40, 0x80] {
        if flags[0] & present != 0 {
            varint(&mut rest)?;
        }
    }
    let mut filter = [0; 3];
    rest.read_exact(&mut filter)?;
    let [0x21, 1, bits] = filter else { return Err(Halt::Unsupported.error()) };
    if bits > 40 {
        return Err(invalid("a dictionary of no known size"));
    }
    let exponent = u32::from(bits / 2 + 11);
    let bytes = if bits == 40 { u64::MAX } else { (2 | u64::from(bits & 1)) << exponent };
    let bytes = u32::try_from(bytes).map_err(|_| Halt::Memory.error())?;
    checked_dictionary(bytes).map(Some)
}

/// Skips the index, whose first byte was read, and the footer.
fn skip_index(raw: &mut impl Read) -> io::Result<()> {
    let mut raw = Counted { inner: raw, bytes: 1 };
    for _ in 0..varint(&mut raw)? {
        varint(&mut raw)?;
        varint(&mut raw)?;
    }
    let padding = (4 - raw.bytes % 4) % 4;
    skip(&mut raw, padding + 4 + 12)
}

fn varint(raw: &mut impl Read) -> io::Result<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let mut byte = [0; 1];
        raw.read_exact(&mut byte)?;
        value |= u64::from(byte[0] & 0x7f) << shift;
        if byte[0] & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(invalid("a number without an end"))
}

fn skip(raw: &mut impl Read, bytes: u64) -> io::Result<()> {
    match io::copy(&mut raw.take(bytes), &mut io::sink())? {
        count if count == bytes => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Counts what passes, to find the padding after a block.
struct Counted<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes += count as u64;
        Ok(count)
    }
}
