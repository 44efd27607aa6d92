//! Arrow IPC, as a file (with a footer) and as a stream
//! (<https://arrow.apache.org/docs/format/Columnar.html>).
//!
//! The decoder of the `arrow` crate trusts the sizes that a message declares: it slices and allocates
//! by them. So messages are read here, every size in them is checked against the bytes that are really
//! there (`check.rs`), and only then is a message handed to it. A batch is the smallest unit that can
//! be read; batches with a body of more than 2 GiB are refused.

mod check;
mod message;

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use crate::arrow::array::{ArrayRef, RecordBatch};
use crate::arrow::datatypes::{DataType, Schema, SchemaRef};
use crate::arrow::ipc::MessageHeader;
use crate::arrow::ipc::reader::{RecordBatchDecoder, read_dictionary};

use self::message::{Footer, Message, Place};
use super::{BATCH_ROWS_MAX, ReadError};

/// Dictionaries are held in memory while the batches that use them are read.
const DICTIONARY_BYTES_MAX: u64 = 1 << 30;

/// Each addition to a dictionary copies it. Many additions to a large one would never end.
const DICTIONARY_COPIES_BYTES_MAX: u64 = 256 << 30;

/// The record batches of an Arrow IPC file or stream, in order, each of at most 65,536 rows.
pub struct ArrowReader {
    schema: SchemaRef,
    source: Source,
    dictionaries: Dictionaries,
    /// The batch that is being handed on, and how many of its rows were.
    current: Option<(RecordBatch, usize)>,
    ended: bool,
}

enum Source {
    Blocks { file: File, blocks: VecDeque<Place> },
    Stream { reader: Box<dyn Read + Send>, at: u64 },
}

#[derive(Default)]
struct Dictionaries {
    by_id: HashMap<i64, ArrayRef>,
    size_bytes: HashMap<i64, u64>,
    copied_bytes: u64,
}

impl ArrowReader {
    /// Reads a file or a stream, told apart by its first bytes.
    pub fn open(mut file: File) -> Result<ArrowReader, ReadError> {
        let size_bytes = file.metadata()?.len();
        let mut first = Vec::with_capacity(8);
        (&mut file).take(8).read_to_end(&mut first)?;
        file.seek(SeekFrom::Start(0))?;
        if message::is_file(&first) {
            return ArrowReader::blocks(file, size_bytes);
        }
        if first.starts_with(b"FEA1") {
            return Err(ReadError::Unsupported("Feather version 1".to_owned()));
        }
        ArrowReader::stream(file)
    }

    /// Reads a stream, such as one that is decompressed on the way. It must end with its end mark:
    /// without one it cannot be told from a stream that was cut off between two batches.
    pub fn stream(reader: impl Read + Send + 'static) -> Result<ArrowReader, ReadError> {
        let mut reader: Box<dyn Read + Send> = Box::new(reader);
        let Some(message) = message::read(&mut reader, 0, None)? else {
            return Err(ReadError::damaged(0, "the stream ends before its schema"));
        };
        let root = message.root()?;
        let Some(schema) = root.header_as_schema() else {
            return Err(ReadError::damaged(
                0,
                "a stream begins with its schema, and this does not",
            ));
        };
        let schema = check::schema(schema, 0)?;
        let source = Source::Stream { reader, at: message.end() };
        Ok(ArrowReader::new(schema, source))
    }

    fn blocks(mut file: File, size_bytes: u64) -> Result<ArrowReader, ReadError> {
        let footer = Footer::read(&mut file, size_bytes)?;
        let (schema, dictionaries, batches) = footer.contents()?;
        let mut reader =
            ArrowReader::new(schema, Source::Blocks { file, blocks: dictionaries.into() });
        while let Some(message) = reader.next_message()? {
            if message.root()?.header_type() != MessageHeader::DictionaryBatch {
                let problem = "the footer names a dictionary where there is none";
                return Err(ReadError::damaged(message.place.offset, problem));
            }
            reader.take_dictionary(&message, true)?;
        }
        if let Source::Blocks { blocks, .. } = &mut reader.source {
            *blocks = batches.into();
        }
        Ok(reader)
    }

    fn new(schema: Schema, source: Source) -> ArrowReader {
        ArrowReader {
            schema: Arc::new(schema),
            source,
            dictionaries: Dictionaries::default(),
            current: None,
            ended: false,
        }
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The next message with its body, checked; none at the end.
    fn next_message(&mut self) -> Result<Option<Message>, ReadError> {
        match &mut self.source {
            Source::Blocks { file, blocks } => match blocks.pop_front() {
                Some(place) => {
                    file.seek(SeekFrom::Start(place.offset))?;
                    message::read(file, place.offset, Some(place))?.map(Ok).transpose()
                }
                None => Ok(None),
            },
            Source::Stream { reader, at } => {
                let message = message::read(reader, *at, None)?;
                match &message {
                    Some(message) => *at = message.end(),
                    None if reader.read(&mut [0])? != 0 => {
                        let problem = "bytes follow the end of the stream";
                        return Err(ReadError::damaged(*at, problem));
                    }
                    None => {}
                }
                Ok(message)
            }
        }
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, ReadError> {
        while let Some(message) = self.next_message()? {
            let (root, offset) = (message.root()?, message.place.offset);
            let in_file = matches!(self.source, Source::Blocks { .. });
            if let Some(batch) = root.header_as_record_batch() {
                let columns = self.schema.fields().iter().map(|field| field.data_type());
                check::batch(batch, columns, &message.body, offset)?;
                let version = root.version();
                return RecordBatchDecoder::try_new(
                    &message.body,
                    batch,
                    self.schema(),
                    &self.dictionaries.by_id,
                    &version,
                )
                .and_then(RecordBatchDecoder::read_record_batch)
                .map(Some)
                .map_err(ReadError::arrow(offset));
            }
            if in_file || root.header_type() != MessageHeader::DictionaryBatch {
                return Err(ReadError::damaged(offset, "a record batch should stand here"));
            }
            self.take_dictionary(&message, false)?;
        }
        Ok(None)
    }

    /// Adds the dictionary of a message. A file has one for each id, a stream may replace them.
    fn take_dictionary(&mut self, message: &Message, in_file: bool) -> Result<(), ReadError> {
        let (root, offset) = (message.root()?, message.place.offset);
        let damaged = |problem: &str| ReadError::damaged(offset, problem);
        let dictionary =
            root.header_as_dictionary_batch().ok_or_else(|| damaged("no dictionary"))?;
        let batch = dictionary.data().ok_or_else(|| damaged("a dictionary without data"))?;
        let values = self.dictionary_values(dictionary.id());
        let values = values.ok_or_else(|| damaged("a dictionary that no column has"))?;
        let mut size_bytes = check::batch(batch, [&values].into_iter(), &message.body, offset)?;
        let known = &mut self.dictionaries;
        let former = known.by_id.get(&dictionary.id());
        if dictionary.isDelta() {
            // Joining these can overflow, which is a panic.
            if values.is_nested() || matches!(values, DataType::RunEndEncoded(..)) {
                let what = "additions to a dictionary of lists, structs, maps or runs";
                return Err(ReadError::Unsupported(what.to_owned()));
            }
            size_bytes += known.size_bytes.get(&dictionary.id()).copied().unwrap_or_default();
            known.copied_bytes = known.copied_bytes.saturating_add(size_bytes);
            if known.copied_bytes > DICTIONARY_COPIES_BYTES_MAX {
                return Err(damaged("its dictionaries are added to too often"));
            }
        } else if in_file && former.is_some() {
            return Err(damaged("a file cannot replace a dictionary"));
        }
        known.size_bytes.insert(dictionary.id(), size_bytes);
        let all_bytes = known.size_bytes.values().fold(0_u64, |sum, one| sum.saturating_add(*one));
        if all_bytes > DICTIONARY_BYTES_MAX {
            return Err(ReadError::TooLarge {
                what: "the dictionaries of the Arrow data",
                size_bytes: all_bytes,
                size_bytes_max: DICTIONARY_BYTES_MAX,
                hint: "write the columns without dictionaries",
            });
        }
        let version = root.version();
        read_dictionary(&message.body, dictionary, &self.schema, &mut known.by_id, &version)
            .map_err(ReadError::arrow(offset))
    }

    /// The type of a dictionary's values, which its message does not say.
    #[allow(deprecated, reason = "the id of a dictionary is not to be had otherwise")]
    fn dictionary_values(&self, id: i64) -> Option<DataType> {
        match self.schema.fields_with_dict_id(id).first()?.data_type() {
            DataType::Dictionary(_, values) => Some(values.as_ref().clone()),
            _ => None,
        }
    }

    fn next_slice(&mut self) -> Result<Option<RecordBatch>, ReadError> {
        loop {
            if let Some((batch, done)) = &mut self.current {
                let rows = (batch.num_rows() - *done).min(BATCH_ROWS_MAX);
                if rows > 0 {
                    let slice = batch.slice(*done, rows);
                    *done += rows;
                    return Ok(Some(slice));
                }
            }
            // The former batch is let go before the next one is read.
            self.current = None;
            match self.next_batch()? {
                Some(batch) => self.current = Some((batch, 0)),
                None => return Ok(None),
            }
        }
    }
}

impl Iterator for ArrowReader {
    type Item = Result<RecordBatch, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let slice = self.next_slice().transpose();
        self.ended = !matches!(slice, Some(Ok(_)));
        slice
    }
}

#[cfg(test)]
mod tests;
