//! Reading by position, with every byte counted: a file, a part of it, or a decompressed stream.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Read};

use super::compression::{self, Codec};
use crate::context::Observer;

/// Bytes that decompression may give in one stream.
pub(super) const STREAM_BYTES_MAX: u64 = 256 << 20;
/// Bytes that decompression may give in all.
pub(super) const INFLATED_BYTES_MAX: u64 = 1 << 30;
/// A compressed archive or file that must be read by position is held in memory up to this size.
pub(super) const HELD_BYTES_MAX: u64 = 64 << 20;
/// How often the whole file may be read, on top of 64 MiB: archive members may lie about each other.
const READ_FACTOR: u64 = 4;

/// Bytes that can be read at any position.
pub(super) trait ReadAt {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

impl ReadAt for File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_at(self, buffer, offset);
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_read(self, buffer, offset);
    }
}

impl ReadAt for &[u8] {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.get(at..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

/// Why reading was stopped by us. Travels inside an [`io::Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Halt {
    #[error("interrupted")]
    Interrupted,
    #[error("a compressed stream gives more than {} MiB", STREAM_BYTES_MAX >> 20)]
    Stream,
    #[error("the compressed parts give more than {} MiB together", INFLATED_BYTES_MAX >> 20)]
    Inflated,
    #[error("a compressed archive of more than {} MiB", HELD_BYTES_MAX >> 20)]
    Held,
    #[error("its members overlap: they are many times the size of the file")]
    Overlapping,
    #[error("it needs more memory to be decompressed than is allowed")]
    Memory,
    #[error("it is compressed in a way that is not supported")]
    Unsupported,
}

impl Halt {
    pub(super) fn error(self) -> io::Error {
        io::Error::other(self)
    }

    /// The reason inside an error, if it is one of ours.
    pub(super) fn of(error: &io::Error) -> Option<Halt> {
        error.get_ref().and_then(|inner| inner.downcast_ref::<Halt>()).copied()
    }
}

/// Counts what is read, and says when it is enough.
pub(super) struct Meter<'a> {
    observer: &'a dyn Observer,
    read_left: Cell<u64>,
    inflated_left: Cell<u64>,
    unreported: Cell<u64>,
    interrupted: Cell<bool>,
    failure: RefCell<Option<io::Error>>,
}

impl<'a> Meter<'a> {
    pub(super) fn new(length: u64, observer: &'a dyn Observer) -> Meter<'a> {
        observer.expect_bytes(length);
        Meter {
            observer,
            read_left: Cell::new(length.saturating_mul(READ_FACTOR).saturating_add(64 << 20)),
            inflated_left: Cell::new(INFLATED_BYTES_MAX),
            unreported: Cell::new(length),
            interrupted: Cell::new(false),
            failure: RefCell::new(None),
        }
    }

    /// Whether the observer asked to stop.
    pub(super) fn interrupted(&self) -> bool {
        self.interrupted.get()
    }

    /// The error of the operating system that ended the reading, if one did.
    pub(super) fn failure(&self) -> Option<io::Error> {
        self.failure.borrow_mut().take()
    }

    /// Progress is told up to the file's size; the rest is reported here.
    pub(super) fn finish(&self) {
        self.observer.read_bytes(self.unreported.take());
    }

    fn pause(&self) -> io::Result<()> {
        if self.interrupted.get() || self.observer.interrupted() {
            self.interrupted.set(true);
            return Err(Halt::Interrupted.error());
        }
        Ok(())
    }

    fn count_read(&self, bytes: u64) -> io::Result<()> {
        let left = self.read_left.get().checked_sub(bytes).ok_or(Halt::Overlapping.error())?;
        self.read_left.set(left);
        let told = bytes.min(self.unreported.get());
        self.unreported.set(self.unreported.get() - told);
        self.observer.read_bytes(told);
        Ok(())
    }

    fn count_inflated(&self, bytes: u64) -> io::Result<()> {
        let left = self.inflated_left.get().checked_sub(bytes).ok_or(Halt::Inflated.error())?;
        self.inflated_left.set(left);
        Ok(())
    }
}

/// A part of a file, or of a buffer.
#[derive(Clone, Copy)]
pub(super) struct Region<'a> {
    bytes: &'a dyn ReadAt,
    start: u64,
    length: u64,
    meter: &'a Meter<'a>,
}

impl<'a> Region<'a> {
    pub(super) fn new(bytes: &'a dyn ReadAt, length: u64, meter: &'a Meter<'a>) -> Region<'a> {
        Region { bytes, start: 0, length, meter }
    }

    pub(super) fn len(&self) -> u64 {
        self.length
    }

    /// The part of `length` bytes at `offset`; `None` when it does not lie inside.
    pub(super) fn slice(&self, offset: u64, length: u64) -> Option<Region<'a>> {
        let end = offset.checked_add(length)?;
        let start = self.start.checked_add(offset)?;
        (end <= self.length).then_some(Region { start, length, ..*self })
    }

    /// What follows `offset`.
    pub(super) fn after(&self, offset: u64) -> Option<Region<'a>> {
        self.slice(offset, self.length.checked_sub(offset)?)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.meter.pause()?;
        let left = self.length.saturating_sub(offset);
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let count = loop {
            match self.bytes.read_at(self.start + offset, &mut buffer[..wanted]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let kind = error.kind();
                    *self.meter.failure.borrow_mut() = Some(error);
                    return Err(kind.into());
                }
                Ok(count) => break count,
            }
        };
        self.meter.count_read(count as u64)?;
        Ok(count)
    }

    /// Fills the buffer from `offset`.
    pub(super) fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            let count = self.read_at(offset + filled as u64, &mut buffer[filled..])?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            filled += count;
        }
        Ok(())
    }

    /// `length` bytes at `offset`; the caller has made sure that it is not too much to hold.
    pub(super) fn bytes_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let inside = self.slice(offset, length as u64).is_some();
        let mut buffer = vec![0; if inside { length } else { 0 }];
        if !inside {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read_exact_at(offset, &mut buffer)?;
        Ok(buffer)
    }

    pub(super) fn reader(&self) -> RegionReader<'a> {
        RegionReader { region: *self, at: 0 }
    }
}

/// Reads a region from its beginning to its end.
pub(super) struct RegionReader<'a> {
    region: Region<'a>,
    at: u64,
}

impl Read for RegionReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.region.read_at(self.at, buffer)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// Something to inspect: bytes that lie there, or that come out of a decompressor.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    Plain(Region<'a>),
    Packed(Region<'a>, Codec),
}

impl<'a> Source<'a> {
    /// Reads from the beginning; may be called again.
    pub(super) fn open(&self) -> io::Result<Box<dyn Read + 'a>> {
        match *self {
            Source::Plain(region) => Ok(Box::new(region.reader())),
            Source::Packed(region, codec) => {
                let inner = compression::decoder(codec, region)?;
                Ok(Box::new(Inflated { inner, left: STREAM_BYTES_MAX, meter: region.meter }))
            }
        }
    }

    /// Whether there is nothing to read.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Source::Plain(region) | Source::Packed(region, _) if region.len() == 0)
    }

    /// The first bytes, at most `length`.
    pub(super) fn head(&self, length: usize) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        self.open()?.take(length as u64).read_to_end(&mut head)?;
        Ok(head)
    }

    /// The region as it is, or all that the decompressor gives, held in `buffer`.
    pub(super) fn hold<'b>(&self, buffer: &'b mut Vec<u8>) -> io::Result<Region<'b>>
    where
        'a: 'b,
    {
        match *self {
            Source::Plain(region) => Ok(region),
            Source::Packed(region, _) => {
                self.open()?.take(HELD_BYTES_MAX + 1).read_to_end(buffer)?;
                if buffer.len() as u64 > HELD_BYTES_MAX {
                    return Err(Halt::Held.error());
                }
                let held: &'b Vec<u8> = buffer;
                Ok(Region::new(held, held.len() as u64, region.meter))
            }
        }
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.as_slice()).read_at(offset, buffer)
    }
}

/// A decompressor whose output is counted.
struct Inflated<'a> {
    inner: Box<dyn Read + 'a>,
    left: u64,
    meter: &'a Meter<'a>,
}

impl Read for Inflated<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.meter.pause()?;
        let count = self.inner.read(buffer)?;
        self.meter.count_inflated(count as u64)?;
        self.left = self.left.checked_sub(count as u64).ok_or(Halt::Stream.error())?;
        Ok(count)
    }
}
