//! Tables inside gzip or zstd, decompressed as they are read.
//!
//! Memory is bounded by the window of the format (32 KiB, at most 128 MiB for zstd). What comes out
//! has no bound; readers hold only a batch of it.

use std::io::{self, BufReader, Chain, Cursor, Error, ErrorKind, Read};

use flate2::bufread::MultiGzDecoder;
use zstd::stream::read::Decoder;

use super::Compression;

/// 128 MiB: what zstd uses without `--long`, and all that its decoder takes by default.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

const BUFFER_BYTES: usize = 128 << 10;

/// The decompressed bytes of a file.
pub struct Decompressed<R: Read> {
    inner: Inner<R>,
}

/// The first bytes, which were looked at, and the rest.
type Whole<R> = BufReader<Chain<Cursor<Vec<u8>>, R>>;

enum Inner<R: Read> {
    Plain(Whole<R>),
    Gzip(Box<MultiGzDecoder<Whole<R>>>),
    Zstd(Decoder<'static, Whole<R>>),
}

impl<R: Read> Decompressed<R> {
    /// Reads `source`, whose name announces `compression`; its first bytes must agree. Members and
    /// frames one after another are one text. A last one that is cut off, and anything that follows
    /// it, are errors.
    pub fn new(mut source: R, compression: Compression) -> io::Result<Decompressed<R>> {
        let mut first = Vec::with_capacity(4);
        source.by_ref().take(4).read_to_end(&mut first)?;
        let found = magic(&first);
        if found != compression {
            let problem = match (compression, found) {
                (_, Compression::Gzip) => {
                    "it is compressed with gzip, and its name does not end in .gz"
                }
                (_, Compression::Zstd) => {
                    "it is compressed with zstd, and its name does not end in .zst"
                }
                (Compression::Gzip, _) => {
                    "its name ends in .gz, and it is not compressed with gzip"
                }
                (_, _) => "its name ends in .zst, and it is not compressed with zstd",
            };
            return Err(Error::new(ErrorKind::InvalidData, problem));
        }
        let source = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(first).chain(source));
        let inner = match compression {
            Compression::None => Inner::Plain(source),
            Compression::Gzip => Inner::Gzip(Box::new(MultiGzDecoder::new(source))),
            Compression::Zstd => {
                let mut decoder = Decoder::with_buffer(source)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Inner::Zstd(decoder)
            }
        };
        Ok(Decompressed { inner })
    }
}

fn magic(first: &[u8]) -> Compression {
    match first {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
        // A frame to be skipped, which some writers put first.
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        _ => Compression::None,
    }
}

impl<R: Read> Read for Decompressed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = match &mut self.inner {
            Inner::Plain(reader) => return reader.read(buffer),
            Inner::Gzip(reader) => reader.read(buffer),
            Inner::Zstd(reader) => reader.read(buffer),
        };
        result.map_err(|error| match error.kind() {
            ErrorKind::Interrupted => error,
            ErrorKind::UnexpectedEof => {
                Error::new(ErrorKind::UnexpectedEof, "the compressed data is cut off")
            }
            kind => Error::new(kind, format!("the compressed data is damaged: {error}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).unwrap()
    }

    fn read(bytes: &[u8], compression: Compression) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Decompressed::new(bytes, compression)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn members_and_frames_are_joined() {
        assert_eq!(read(&[], Compression::None).unwrap(), b"");
        assert_eq!(read(b"ab", Compression::None).unwrap(), b"ab");
        let two = [gzip(b"a,b\n"), gzip(b""), gzip(b"1,2\n")].concat();
        assert_eq!(read(&two, Compression::Gzip).unwrap(), b"a,b\n1,2\n");
        let skipped = [0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9].to_vec();
        let two = [skipped, zstd(b"a,b\n"), zstd(b""), zstd(b"1,2\n")].concat();
        assert_eq!(read(&two, Compression::Zstd).unwrap(), b"a,b\n1,2\n");
    }

    #[test]
    fn what_is_cut_off_or_followed_by_something_is_an_error() {
        for (whole, compression) in
            [(gzip(b"some text"), Compression::Gzip), (zstd(b"some text"), Compression::Zstd)]
        {
            let twice = [whole.clone(), whole.clone()].concat();
            for end in (0..whole.len()).chain(whole.len() + 1..twice.len()) {
                assert!(read(&twice[..end], compression).is_err(), "{compression:?} {end}");
            }
            for garbage in [&b"x"[..], b"\0", b"\0\0\0\0\0\0\0\0", b"garbage garbage garbage"] {
                let followed = [&whole, garbage].concat();
                assert!(read(&followed, compression).is_err(), "{compression:?} {garbage:?}");
            }
        }
    }

    #[test]
    fn name_and_first_bytes_must_agree() {
        for (bytes, compression, word) in [
            (gzip(b"a"), Compression::None, ".gz"),
            (zstd(b"a"), Compression::None, ".zst"),
            (zstd(b"a"), Compression::Gzip, "zstd"),
            (b"a,b".to_vec(), Compression::Zstd, "not compressed with zstd"),
            (Vec::new(), Compression::Gzip, "not compressed with gzip"),
        ] {
            let error = read(&bytes, compression).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_frame_that_wants_too_large_a_window_is_refused() {
        // A frame header with a window of 2^31 bytes, and no content size.
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00];
        let error = read(&frame, Compression::Zstd).unwrap_err().to_string();
        assert!(error.contains("damaged"), "{error}");
    }
}
