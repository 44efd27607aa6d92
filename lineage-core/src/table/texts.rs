//! The canonical bytes of strings and binaries, which are of any length.

use std::sync::Arc;

use crate::arrow::array::{
    Array, ArrayRef, AsArray as _, BinaryViewArray, ByteView, GenericByteArray,
    GenericByteViewArray, StringViewArray,
};
use crate::arrow::buffer::{Buffer, NullBuffer};
use crate::arrow::datatypes::{
    ArrowNativeType as _, ByteArrayType, ByteViewType, DataType, Int32Type,
};

use super::cells::{CellError, Sink, unexpected};

/// Values longer than this are not gathered before they are written.
const GATHER_BYTES_MAX: usize = 64 * 1024;

/// Dictionaries of more values are not kept, since a column holds on to its last.
pub(crate) const WORDS_MAX: usize = 1 << 16;

/// Whether the array is one of a dictionary of strings or binaries, of the types that the Parquet reader
/// gives, which is hashed by its keys.
pub(super) fn has_words(array: &dyn Array) -> bool {
    let Some(encoded) = array.as_any_dictionary_opt() else { return false };
    let values = encoded.values();
    *encoded.keys().data_type() == DataType::Int32
        && matches!(values.data_type(), DataType::Utf8 | DataType::Binary)
        && values.len() <= WORDS_MAX
        && values.null_count() == 0
}

/// The values of a column's last dictionary as views, so that each is looked at once.
#[derive(Default)]
pub(super) struct Words {
    last: Option<(ArrayRef, BinaryViewArray)>,
}

impl Words {
    fn of(&mut self, values: &ArrayRef) -> Result<&BinaryViewArray, CellError> {
        let last = self.last.take().filter(|(known, _)| Arc::ptr_eq(known, values));
        let last = match last {
            Some(last) => last,
            None => {
                let views = match values.data_type() {
                    DataType::Utf8 => {
                        StringViewArray::from(values.as_string::<i32>()).to_binary_view()
                    }
                    DataType::Binary => BinaryViewArray::from(values.as_binary::<i32>()),
                    _ => return Err(unexpected(values)),
                };
                (Arc::clone(values), views)
            }
        };
        Ok(&self.last.insert(last).1)
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
        return worded(encoded.keys(), words.of(encoded.values())?, nulls, lengths, sink);
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
    let views = array.views().iter().copied();
    gather(views, array.data_buffers(), |row| array.value(row).as_ref(), nulls, lengths, sink)
}

/// As [`viewed`], of the words that the keys name.
fn worded(
    keys: &dyn Array,
    words: &BinaryViewArray,
    nulls: Option<&NullBuffer>,
    lengths: &mut Vec<[u8; 4]>,
    sink: &mut dyn Sink,
) -> Result<(), CellError> {
    let keys = keys.as_primitive_opt::<Int32Type>().ok_or_else(|| unexpected(keys))?.values();
    let views = words.views();
    // The key of a null need not name a word.
    let views = keys.iter().map(|key| views.get(*key as usize).copied().unwrap_or(0));
    let value = |row: usize| words.value(keys[row] as usize);
    gather(views, words.data_buffers(), value, nulls, lengths, sink)
}

/// Writes the values of views one after another. Copies more than each value where it can: the size of a
/// copy is known then, and what follows a value is overwritten by the next.
fn gather<'a>(
    views: impl ExactSizeIterator<Item = u128> + Clone,
    buffers: &[Buffer],
    value: impl Fn(usize) -> &'a [u8],
    nulls: Option<&NullBuffer>,
    lengths: &mut Vec<[u8; 4]>,
    sink: &mut dyn Sink,
) -> Result<(), CellError> {
    /// The longest value that stands in its view, behind its length.
    const INLINE: usize = 12;
    const ROOM: usize = 32;
    let first = lengths.len();
    match nulls {
        None => lengths.extend(views.clone().map(|view| (view as u32).to_le_bytes())),
        Some(nulls) => lengths.extend(views.clone().zip(nulls.inner()).map(|(view, valid)| {
            let length = if valid { view as u32 } else { 0 };
            length.to_le_bytes()
        })),
    }
    let own = lengths[first..].iter().map(|length| u32::from_le_bytes(*length) as usize);
    let total: usize = own.clone().sum();
    if total > GATHER_BYTES_MAX {
        lengths.truncate(first);
        return each(views.len(), nulls, lengths, sink, value);
    }
    let gathered = sink.room(total);
    let mut end = 0;
    for (row, (view, length)) in views.zip(own).enumerate() {
        let start = end;
        end += length;
        if let Some(room) = gathered[start..].first_chunk_mut::<ROOM>() {
            if length <= INLINE {
                room[..16].copy_from_slice(&(view >> 32).to_le_bytes());
                continue;
            }
            let view = ByteView::from(view);
            let rest = buffers[view.buffer_index as usize].get(view.offset as usize..);
            if let Some(chunk) = rest.and_then(|rest| rest.first_chunk::<ROOM>())
                && length <= ROOM
            {
                *room = *chunk;
                continue;
            }
        }
        if length > 0 {
            gathered[start..end].copy_from_slice(value(row));
        }
    }
    Ok(())
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
