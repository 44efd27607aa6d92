//! Messages and the footer, read without trusting a size that they declare.

use std::io::{ErrorKind, Read, Seek, SeekFrom};

use crate::arrow::buffer::{Buffer, MutableBuffer};
use crate::arrow::datatypes::Schema;
use crate::arrow::ipc::{self, MetadataVersion};

use super::check;
use crate::readers::ReadError;

/// The description of a message: some 50 bytes for each column. More than this is not one.
const METADATA_BYTES_MAX: u64 = 64 << 20;

/// The body of one batch, which is held in memory.
pub(super) const BODY_BYTES_MAX: u64 = 2 << 30;

/// Memory is taken in steps of this size when it is not known how many bytes are left.
const STEP_BYTES: usize = 4 << 20;

const MAGIC: &[u8] = b"ARROW1";
const CONTINUATION: u32 = u32::MAX;

/// Whether these first bytes are those of a file.
pub(super) fn is_file(first: &[u8]) -> bool {
    first.starts_with(MAGIC)
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: u64,
    /// With the prefix and the padding.
    pub(super) metadata_bytes: u64,
    pub(super) body_bytes: u64,
}

/// A message and its body.
pub(super) struct Message {
    pub(super) place: Place,
    pub(super) body: Buffer,
    metadata: Buffer,
}

impl Message {
    /// The description, verified by flatbuffers: every offset in it leads to a part of it.
    pub(super) fn root(&self) -> Result<ipc::Message<'_>, ReadError> {
        root(&self.metadata, self.place.offset)
    }

    pub(super) fn end(&self) -> u64 {
        self.place.offset + self.place.metadata_bytes + self.place.body_bytes
    }
}

fn root(metadata: &[u8], offset: u64) -> Result<ipc::Message<'_>, ReadError> {
    ipc::root_as_message(metadata)
        .map_err(|_| ReadError::damaged(offset, "the description of a message is broken"))
}

/// Reads the message at the reader's position, which is `offset`; none at the end mark of a stream.
/// `expected` is where a footer says that it stands.
pub(super) fn read(
    reader: &mut impl Read,
    offset: u64,
    expected: Option<Place>,
) -> Result<Option<Message>, ReadError> {
    let damaged = |problem: &str| ReadError::damaged(offset, problem);
    let (mut length, mut metadata_bytes) = (read_u32(reader, offset)?, 4);
    if length == CONTINUATION {
        (length, metadata_bytes) = (read_u32(reader, offset)?, 8);
    }
    if length == 0 && expected.is_none() {
        return Ok(None);
    }
    let length = u64::from(length);
    if metadata_bytes == 4 && offset == 0 && MAGIC.starts_with(&length.to_le_bytes()[..4]) {
        let what =
            "a compressed Arrow file, since it is read from its end (a compressed stream is read)";
        return Err(ReadError::Unsupported(what.to_owned()));
    }
    if metadata_bytes == 4 && offset == 0 && length > METADATA_BYTES_MAX {
        return Err(damaged("it is neither an Arrow file nor an Arrow stream"));
    }
    if length == 0 || length > METADATA_BYTES_MAX {
        return Err(damaged("the length of a message is impossible"));
    }
    metadata_bytes += length;
    if expected.is_some_and(|place| place.metadata_bytes != metadata_bytes) {
        return Err(damaged("the footer and the message differ about its length"));
    }
    let metadata = read_exactly(reader, length, expected.is_some(), offset)?;
    let message = root(&metadata, offset)?;
    if message.version() < MetadataVersion::V4 {
        let what = "Arrow data of before version 0.8".to_owned();
        return Err(ReadError::Unsupported(what));
    }
    let body_bytes = u64::try_from(message.bodyLength())
        .map_err(|_| damaged("the body of a message has a negative length"))?;
    if expected.is_some_and(|place| place.body_bytes != body_bytes) {
        return Err(damaged("the footer and the message differ about the length of its body"));
    }
    check_body(body_bytes)?;
    let body = read_exactly(reader, body_bytes, expected.is_some(), offset)?;
    Ok(Some(Message { place: Place { offset, metadata_bytes, body_bytes }, body, metadata }))
}

pub(super) fn check_body(size_bytes: u64) -> Result<(), ReadError> {
    if size_bytes > BODY_BYTES_MAX {
        return Err(ReadError::TooLarge {
            what: "a record batch of the Arrow data",
            size_bytes,
            size_bytes_max: BODY_BYTES_MAX,
            hint: "write it in smaller batches",
        });
    }
    Ok(())
}

fn read_u32(reader: &mut impl Read, offset: u64) -> Result<u32, ReadError> {
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes).map_err(|error| cut_off(error, offset))?;
    Ok(u32::from_le_bytes(bytes))
}

fn cut_off(error: std::io::Error, offset: u64) -> ReadError {
    if error.kind() == ErrorKind::UnexpectedEof {
        return ReadError::damaged(offset, "it is cut off: a message or the end mark is missing");
    }
    error.into()
}

/// `length` bytes. Unless they are known to be there, memory is taken only as they arrive.
fn read_exactly(
    reader: &mut impl Read,
    length: u64,
    known: bool,
    offset: u64,
) -> Result<Buffer, ReadError> {
    let length = usize::try_from(length)
        .map_err(|_| ReadError::damaged(offset, "a length that this machine cannot address"))?;
    let mut buffer = MutableBuffer::with_capacity(if known { length } else { 0 });
    while buffer.len() < length {
        let filled = buffer.len();
        let step = if known { length } else { STEP_BYTES.max(filled) };
        buffer.resize(length.min(filled.saturating_add(step)), 0);
        let fresh = &mut buffer.as_slice_mut()[filled..];
        reader.read_exact(fresh).map_err(|error| cut_off(error, offset))?;
    }
    Ok(buffer.into())
}

/// The footer of a file.
pub(super) struct Footer {
    bytes: Buffer,
    offset: u64,
}

impl Footer {
    pub(super) fn read(
        file: &mut (impl Read + Seek),
        size_bytes: u64,
    ) -> Result<Footer, ReadError> {
        let damaged = |problem: &str| ReadError::damaged(size_bytes, problem);
        let cut = || damaged("it is cut off: the footer of the Arrow file is missing");
        let trailer = size_bytes.checked_sub(10).filter(|at| *at >= 8).ok_or_else(cut)?;
        file.seek(SeekFrom::Start(trailer))?;
        let length = u64::from(read_u32(file, trailer)?);
        let mut magic = [0; 6];
        file.read_exact(&mut magic).map_err(|error| cut_off(error, trailer))?;
        if magic != MAGIC {
            return Err(cut());
        }
        let offset = trailer.checked_sub(length).filter(|at| *at >= 8 && length > 0);
        let offset = offset.ok_or_else(|| damaged("the length of the footer is impossible"))?;
        if length > METADATA_BYTES_MAX {
            return Err(damaged("the length of the footer is impossible"));
        }
        file.seek(SeekFrom::Start(offset))?;
        Ok(Footer { bytes: read_exactly(file, length, true, offset)?, offset })
    }

    /// The schema, and where the dictionaries and the batches stand.
    pub(super) fn contents(&self) -> Result<(Schema, Vec<Place>, Vec<Place>), ReadError> {
        let damaged = |problem: &str| ReadError::damaged(self.offset, problem);
        let footer = ipc::root_as_footer(&self.bytes)
            .map_err(|_| damaged("the footer of the Arrow file is broken"))?;
        let schema = footer.schema().ok_or_else(|| damaged("the footer has no schema"))?;
        let schema = check::schema(schema, self.offset)?;
        let places = |blocks: &mut dyn Iterator<Item = &ipc::Block>| {
            blocks.map(|block| self.place(block)).collect::<Result<Vec<_>, _>>()
        };
        let dictionaries = places(&mut footer.dictionaries().into_iter().flatten())?;
        let batches = places(&mut footer.recordBatches().into_iter().flatten())?;
        // One part that is named a million times would be read a million times.
        let mut all: Vec<Place> = dictionaries.iter().chain(&batches).copied().collect();
        all.sort_by_key(|place| place.offset);
        let apart = all.windows(2).all(|pair| {
            pair[0].offset + pair[0].metadata_bytes + pair[0].body_bytes <= pair[1].offset
        });
        if !apart {
            return Err(damaged("the footer names parts that overlap"));
        }
        Ok((schema, dictionaries, batches))
    }

    fn place(&self, block: &ipc::Block) -> Result<Place, ReadError> {
        let place = || {
            let place = Place {
                offset: u64::try_from(block.offset()).ok()?,
                metadata_bytes: u64::try_from(block.metaDataLength()).ok()?,
                body_bytes: u64::try_from(block.bodyLength()).ok()?,
            };
            let end =
                place.offset.checked_add(place.metadata_bytes)?.checked_add(place.body_bytes)?;
            (place.offset >= 8 && end <= self.offset).then_some(place)
        };
        place().ok_or_else(|| {
            ReadError::damaged(self.offset, "the footer names a part that is not in the file")
        })
    }
}
