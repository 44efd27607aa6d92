//! The canonical bytes of strings and binaries, which are of any length.

use std::sync::Arc;

use crate::arrow::array::{
    Array, ArrayRef, AsArray as _, ByteView, GenericByteArray, GenericByteViewArray,
};
use crate::arrow::buffer::NullBuffer;
use crate::arrow::datatypes::{
    ArrowNativeType as _, ByteArrayType, ByteViewType, DataType, Int32Type,
};

use super::cells::{CellError, Sink, unexpected};

/// Values longer than this are not gathered before they are written.
const GATHER_BYTES_MAX: usize = 64 * 1024;

/// Dictionaries of more values are not kept, since a column holds on to its last.
pub(crate) const WORDS_MAX: usize = 1 << 16;

/// Nor are larger ones, since their bytes are copied.
const WORDS_BYTES_MAX: i32 = 8 << 20;

/// Whether the array is one of a dictionary of strings or binaries, of the types that the Parquet reader
/// gives, which is hashed by its keys.
pub(super) fn has_words(array: &dyn Array) -> bool {
    let Some(encoded) = array.as_any_dictionary_opt() else { return false };
    let values = encoded.values();
    let offsets = match values.data_type() {
        DataType::Utf8 => values.as_string::<i32>().value_offsets(),
        DataType::Binary => values.as_binary::<i32>().value_offsets(),
        _ => return false,
    };
    let size_bytes = offsets.last().unwrap_or(&0) - offsets.first().unwrap_or(&0);
    *encoded.keys().data_type() == DataType::Int32
        && size_bytes <= WORDS_BYTES_MAX
        && values.len() <= WORDS_MAX
        && values.null_count() == 0
}

/// The values of a column's last dictionary, copied so that a row's can be copied quickly.
#[derive(Default)]
pub(super) struct Words {
    dictionary: Option<ArrayRef>,
    spans: Vec<Span>,
    /// All values, and as many bytes more as are copied at once.
    bytes: Vec<u8>,
}

/// Where a word is.
#[derive(Default, Clone, Copy)]
struct Span {
    start: u32,
    length: u32,
}

impl Words {
    /// Makes this dictionary the last one.
    fn look_at(&mut self, values: &ArrayRef) -> Result<(), CellError> {
        if self.dictionary.as_ref().is_some_and(|known| Arc::ptr_eq(known, values)) {
            return Ok(());
        }
        match values.data_type() {
            DataType::Utf8 => self.copy(values.as_string::<i32>()),
            DataType::Binary => self.copy(values.as_binary::<i32>()),
            _ => return Err(unexpected(values)),
        }
        self.dictionary = Some(Arc::clone(values));
        Ok(())
    }

    fn copy<T: ByteArrayType<Offset = i32>>(&mut self, values: &GenericByteArray<T>) {
        let offsets = values.value_offsets();
        let first = offsets.first().map_or(0, |first| first.as_usize());
        let last = offsets.last().map_or(0, |last| last.as_usize());
        self.bytes.clear();
        self.bytes.extend_from_slice(&values.value_data()[first..last]);
        self.bytes.extend_from_slice(&[0; COPIED]);
        self.spans.clear();
        self.spans.extend(offsets.windows(2).map(|pair| Span {
            start: (pair[0].as_usize() - first) as u32,
            length: (pair[1] - pair[0]) as u32,
        }));
    }

    /// The key of a null need not name a word.
    #[inline]
    fn span(&self, key: i32) -> Span {
        self.spans.get(key as usize).copied().unwrap_or_default()
    }

    fn value(&self, key: i32) -> &[u8] {
        let Span { start, length } = self.span(key);
        &self.bytes[start as usize..][..length as usize]
    }
}

/// Writes the values of an array of strings or binaries, and notes their lengths.
pub(super) fn bytes(
    array: &dyn Array,
    nulls: Option<&NullBuffer>,
    words: &mut Words,
    lengths: &mut Vec<[u8; 4]>,
    sink: &mut dyn Sink,
) -> Result<(), CellError> {
    if let Some(encoded) = array.as_any_dictionary_opt() {
        words.look_at(encoded.values())?;
        return worded(encoded.keys(), words, nulls, lengths, sink);
    }
    match array.data_type() {
        DataType::Utf8 => contiguous(array.as_string::<i32>(), nulls, lengths, sink),
        DataType::LargeUtf8 => contiguous(array.as_string::<i64>(), nulls, lengths, sink),
        DataType::Utf8View => viewed(array.as_string_view(), nulls, lengths, sink),
        DataType::Binary => contiguous(array.as_binary::<i32>(), nulls, lengths, sink),
        DataType::LargeBinary => contiguous(array.as_binary::<i64>(), nulls, lengths, sink),
        DataType::BinaryView => viewed(array.as_binary_view(), nulls, lengths, sink),
        DataType::FixedSizeBinary(_) => {
            let array = array.as_fixed_size_binary();
            each(array.len(), nulls, lengths, sink, |row| array.value(row))
        }
        _ => Err(unexpected(array)),
    }
}

fn contiguous<T: ByteArrayType>(
    array: &GenericByteArray<T>,
    nulls: Option<&NullBuffer>,
    lengths: &mut Vec<[u8; 4]>,
    sink: &mut dyn Sink,
) -> Result<(), CellError> {
    let offsets = array.value_offsets();
    let length_of = |row: usize| (offsets[row + 1] - offsets[row]).as_usize();
    let hidden =
        |nulls: &NullBuffer| (0..array.len()).any(|row| nulls.is_null(row) && length_of(row) > 0);
    if nulls.is_some_and(hidden) {
        let value = |row: usize| AsRef::<[u8]>::as_ref(array.value(row));
        return each(array.len(), nulls, lengths, sink, value);
    }
    for row in 0..array.len() {
        put_length(lengths, length_of(row))?;
    }
    let (first, last) = (offsets[0].as_usize(), offsets[array.len()].as_usize());
    sink.put(&array.value_data()[first..last]);
    Ok(())
}

fn viewed<T: ByteViewType>(
    array: &GenericByteViewArray<T>,
    nulls: Option<&NullBuffer>,
    lengths: &mut Vec<[u8; 4]>,
    sink: &mut dyn Sink,
) -> Result<(), CellError> {
    /// The longest value that stands in its view, behind its length.
    const INLINE: usize = 12;
    let (views, buffers) = (array.views(), array.data_buffers());
    let (own, total) = put_lengths(lengths, views.iter().map(|view| *view as u32), nulls);
    if total > GATHER_BYTES_MAX {
        lengths.truncate(lengths.len() - array.len());
        return each(array.len(), nulls, lengths, sink, |row| array.value(row).as_ref());
    }
    let mut rest = sink.room(total);
    for (row, (view, length)) in views.iter().zip(own).enumerate() {
        let length = u32::from_le_bytes(*length) as usize;
        if length <= INLINE {
            match rest.first_chunk_mut() {
                Some(room) => *room = (view >> 32).to_le_bytes(),
                None => copy_alone(rest, &(view >> 32).to_le_bytes()[..length]),
            }
        } else {
            let view = ByteView::from(*view);
            let buffer = &buffers[view.buffer_index as usize];
            let from = buffer.get(view.offset as usize..).and_then(|from| from.first_chunk());
            match (from, rest.first_chunk_mut::<COPIED>()) {
                (Some(from), Some(room)) if length <= COPIED => *room = *from,
                _ => copy_alone(rest, array.value(row).as_ref()),
            }
        }
        rest = &mut rest[length..];
    }
    Ok(())
}

/// As [`viewed`], of the words that the keys name.
fn worded(
    keys: &dyn Array,
    words: &Words,
    nulls: Option<&NullBuffer>,
    lengths: &mut Vec<[u8; 4]>,
    sink: &mut dyn Sink,
) -> Result<(), CellError> {
    let keys = keys.as_primitive_opt::<Int32Type>().ok_or_else(|| unexpected(keys))?.values();
    let own = keys.iter().map(|key| words.span(*key).length);
    let (own, total) = put_lengths(lengths, own, nulls);
    if total > GATHER_BYTES_MAX {
        lengths.truncate(lengths.len() - keys.len());
        return each(keys.len(), nulls, lengths, sink, |row| words.value(keys[row]));
    }
    let mut rest = sink.room(total);
    for (key, length) in keys.iter().zip(own) {
        let length = u32::from_le_bytes(*length) as usize;
        let from = words.bytes[words.span(*key).start as usize..].first_chunk();
        match (from, rest.first_chunk_mut::<COPIED>()) {
            (Some(from), Some(room)) if length <= COPIED => *room = *from,
            _ => copy_alone(rest, &words.value(*key)[..length]),
        }
        rest = &mut rest[length..];
    }
    Ok(())
}

/// Bytes that are copied of most values, however short: the size of a copy is known then, and what follows
/// a value is overwritten by the next.
const COPIED: usize = 32;

/// Where more bytes than the value has cannot be copied. By itself, lest copies of a known size become
/// one with this.
#[cold]
#[inline(never)]
fn copy_alone(room: &mut [u8], value: &[u8]) {
    room[..value.len()].copy_from_slice(value);
}

/// Notes the lengths of values, 0 for a null; returns them and their sum.
#[inline]
fn put_lengths<'l>(
    lengths: &'l mut Vec<[u8; 4]>,
    own: impl Iterator<Item = u32>,
    nulls: Option<&NullBuffer>,
) -> (&'l [[u8; 4]], usize) {
    let first = lengths.len();
    lengths.extend(own.map(u32::to_le_bytes));
    let own = &mut lengths[first..];
    if let Some(nulls) = nulls {
        (!nulls.inner()).set_indices().for_each(|row| own[row] = [0; 4]);
    }
    let total = own.iter().map(|length| u32::from_le_bytes(*length) as usize).sum();
    (own, total)
}

fn each<'a>(
    rows: usize,
    nulls: Option<&NullBuffer>,
    lengths: &mut Vec<[u8; 4]>,
    sink: &mut dyn Sink,
    value: impl Fn(usize) -> &'a [u8],
) -> Result<(), CellError> {
    let mut gathered = Vec::with_capacity(rows * 16);
    for row in 0..rows {
        let valid = nulls.is_none_or(|nulls| nulls.is_valid(row));
        let value = if valid { value(row) } else { &[] };
        put_length(lengths, value.len())?;
        if gathered.len() + value.len() > GATHER_BYTES_MAX {
            sink.put(&gathered);
            gathered.clear();
        }
        match value.len() > GATHER_BYTES_MAX {
            true => sink.put(value),
            false => gathered.extend_from_slice(value),
        }
    }
    sink.put(&gathered);
    Ok(())
}

pub(super) fn put_length(lengths: &mut Vec<[u8; 4]>, length: usize) -> Result<(), CellError> {
    let length = u32::try_from(length).map_err(|_| CellError::TooLong)?;
    lengths.push(length.to_le_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{TableError, digest_batches};
    use super::*;
    use crate::arrow::array::{DictionaryArray, RecordBatch, StringArray};

    /// Of words that are copied, and of more bytes than are.
    #[test]
    fn a_dictionary_of_any_size_is_the_same_as_its_values() {
        for (length, copied) in [(0, true), (31, true), (40, true), (3 << 20, false)] {
            let words = ["a", "bc", "def"].map(|word| word.repeat(length));
            let rows = (0..30).map(|row| (row % 7 != 3).then(|| &*words[row % 3]));
            let worded: DictionaryArray<Int32Type> = rows.clone().collect();
            assert_eq!(has_words(&worded), copied);
            let plain: StringArray = rows.collect();
            let digest = |array: ArrayRef| {
                let batch = RecordBatch::try_from_iter_with_nullable([("text", array, true)]);
                let batch = batch.unwrap();
                digest_batches::<TableError>(&batch.schema(), [Ok(batch.clone())].into_iter())
            };
            assert_eq!(digest(Arc::new(worded)).unwrap(), digest(Arc::new(plain)).unwrap());
        }
    }
}
