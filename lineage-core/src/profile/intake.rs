//! From Arrow arrays of any physical type to the values of a kind.

use crate::arrow::array::{
    AnyDictionaryArray, Array, ArrayRef, ArrowPrimitiveType, AsArray, FixedSizeBinaryArray,
    GenericByteArray, GenericByteViewArray, OffsetSizeTrait,
};
use crate::arrow::buffer::NullBuffer;
use crate::arrow::compute;
use crate::arrow::datatypes::{self, ByteArrayType, ByteViewType, DataType, TimeUnit, i256};

use super::block::BlockProfiler;
use super::counter::Counter;
use super::decimal::Decimal;
use super::extremes::kept;
use super::words::Word;
use super::{Lengths, ProfileError, Scratch, hash, key};
use crate::table::{ColumnKind, WORDS_MAX, plain};

const DAY_MILLIS: i64 = 86_400_000;

impl BlockProfiler {
    /// Takes the values of an array.
    pub(super) fn take(&mut self, array: &dyn Array) -> Result<(), ProfileError> {
        match (array.data_type(), &self.kind) {
            (DataType::Dictionary(..), _) => return self.take_dictionary(array),
            (DataType::RunEndEncoded(..), _) => {
                let array = array.slice(0, array.len());
                return self.take(&plain(&array).map_err(ProfileError::Encoding)?);
            }
            (DataType::Null, ColumnKind::Null) => self.nulls += array.len() as u64,
            (DataType::Boolean, ColumnKind::Bool) => self.take_bool(array),
            (data_type, ColumnKind::Int) if data_type.is_integer() => self.take_int(array)?,
            (DataType::UInt64, ColumnKind::Uint64) => {
                self.take_keys::<datatypes::UInt64Type>(array, |value| value);
            }
            (DataType::Float32, ColumnKind::Float32) => {
                self.take_floats::<datatypes::Float32Type>(array, f64::from);
            }
            (DataType::Float64, ColumnKind::Float64) => {
                self.take_floats::<datatypes::Float64Type>(array, |value| value);
            }
            (data_type, ColumnKind::Decimal) => self.take_decimals(array, &data_type.clone())?,
            (_, ColumnKind::String | ColumnKind::Binary) => self.take_texts(array)?,
            (DataType::Struct(_), ColumnKind::Struct(_)) => self.note_nulls(array),
            (_, ColumnKind::List(_) | ColumnKind::Map(..)) => self.take_lists(array)?,
            _ => self.take_times(array)?,
        }
        Ok(())
    }

    fn mismatch(&self, array: &dyn Array) -> ProfileError {
        let (kind, data_type) = (self.kind.to_string(), array.data_type().to_string());
        ProfileError::KindMismatch { kind, data_type }
    }

    fn note_nulls(&mut self, array: &dyn Array) {
        self.nulls += array.null_count() as u64;
    }

    fn take_bool(&mut self, array: &dyn Array) {
        self.note_nulls(array);
        let truths = array.as_boolean().true_count();
        self.truths[1] += truths as u64;
        self.truths[0] += (array.len() - array.null_count() - truths) as u64;
    }

    fn take_int(&mut self, array: &dyn Array) -> Result<(), ProfileError> {
        macro_rules! take {
            ($type:ident) => {
                self.take_keys::<datatypes::$type>(array, |value| key::of_i64(value.into()))
            };
        }
        match array.data_type() {
            DataType::Int8 => take!(Int8Type),
            DataType::Int16 => take!(Int16Type),
            DataType::Int32 => take!(Int32Type),
            DataType::Int64 => take!(Int64Type),
            DataType::UInt8 => take!(UInt8Type),
            DataType::UInt16 => take!(UInt16Type),
            DataType::UInt32 => take!(UInt32Type),
            _ => return Err(self.mismatch(array)),
        }
        Ok(())
    }

    fn take_times(&mut self, array: &dyn Array) -> Result<(), ProfileError> {
        /// For units of a second or a millisecond, which may lie beyond what microseconds can count.
        fn coarse(value: i64, micros: i64) -> u64 {
            key::of_micros(value.saturating_mul(micros))
        }
        macro_rules! take {
            ($type:ident, $key:expr) => {
                self.take_keys::<datatypes::$type>(array, $key)
            };
        }
        use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
        let is_stamp = matches!(
            (array.data_type(), &self.kind),
            (DataType::Timestamp(_, None), ColumnKind::Timestamp)
                | (DataType::Timestamp(_, Some(_)), ColumnKind::Instant)
        );
        match (array.data_type(), &self.kind) {
            (DataType::Date32, ColumnKind::Date) => {
                take!(Date32Type, |days| key::of_i64(days.into()))
            }
            (DataType::Date64, ColumnKind::Date) => {
                take!(Date64Type, |millis| key::of_i64(millis.div_euclid(DAY_MILLIS)))
            }
            (DataType::Timestamp(unit, _), _) if is_stamp => match unit {
                Second => take!(TimestampSecondType, |value| coarse(value, 1_000_000)),
                Millisecond => take!(TimestampMillisecondType, |value| coarse(value, 1000)),
                Microsecond => take!(TimestampMicrosecondType, key::of_micros),
                Nanosecond => take!(TimestampNanosecondType, key::of_nanos),
            },
            (DataType::Duration(unit), ColumnKind::Duration) => match unit {
                Second => take!(DurationSecondType, |value| coarse(value, 1_000_000)),
                Millisecond => take!(DurationMillisecondType, |value| coarse(value, 1000)),
                Microsecond => take!(DurationMicrosecondType, key::of_micros),
                Nanosecond => take!(DurationNanosecondType, key::of_nanos),
            },
            (DataType::Time32(Second), ColumnKind::Time) => {
                take!(Time32SecondType, |value| coarse(value.into(), 1_000_000))
            }
            (DataType::Time32(_), ColumnKind::Time) => {
                take!(Time32MillisecondType, |value| coarse(value.into(), 1000))
            }
            (DataType::Time64(Microsecond), ColumnKind::Time) => {
                take!(Time64MicrosecondType, key::of_micros)
            }
            (DataType::Time64(_), ColumnKind::Time) => take!(Time64NanosecondType, key::of_nanos),
            _ => return Err(self.mismatch(array)),
        }
        Ok(())
    }

    /// Values of equal width, each of which has a key.
    fn take_keys<T: ArrowPrimitiveType>(
        &mut self,
        array: &dyn Array,
        key: impl Fn(T::Native) -> u64,
    ) {
        let array = array.as_primitive::<T>();
        let start = self.scratch.ids.len();
        self.note_nulls(array);
        extend(&mut self.scratch.ids, array.values(), array.nulls(), key);
        self.observe_from(start);
    }

    fn take_floats<T: ArrowPrimitiveType>(
        &mut self,
        array: &dyn Array,
        widen: impl Fn(T::Native) -> f64,
    ) {
        let array = array.as_primitive::<T>();
        let start = self.scratch.ids.len();
        self.note_nulls(array);
        let ids = &mut self.scratch.ids;
        extend(ids, array.values(), array.nulls(), |value| key::of_f64(widen(value)));
        // The keys of NaN lie beyond those of the infinities, on both sides.
        let is_number = |key: &u64| (key::MINUS_INFINITY..=key::INFINITY).contains(key);
        if !ids[start..].iter().all(is_number) {
            let end = ids.len();
            let mut kept = start;
            for index in start..end {
                ids[kept] = ids[index];
                kept += usize::from(is_number(&ids[index]));
            }
            ids.truncate(kept);
            self.nan += (end - kept) as u64;
        }
        self.observe_from(start);
    }

    /// Counts the keys from there on.
    fn observe_from(&mut self, start: usize) {
        self.scratch.counter.observe_keys(&self.scratch.ids, start);
    }

    fn take_decimals(
        &mut self,
        array: &dyn Array,
        data_type: &DataType,
    ) -> Result<(), ProfileError> {
        self.note_nulls(array);
        macro_rules! take {
            ($type:ident, $scale:expr, $decimal:expr) => {
                for value in array.as_primitive::<datatypes::$type>().iter().flatten() {
                    self.observe_decimal($decimal(value, *$scale));
                }
            };
        }
        match data_type {
            DataType::Decimal32(_, scale) => {
                take!(Decimal32Type, scale, |value: i32, scale| Decimal::of_i64(
                    value.into(),
                    scale
                ))
            }
            DataType::Decimal64(_, scale) => take!(Decimal64Type, scale, Decimal::of_i64),
            DataType::Decimal128(_, scale) => {
                take!(Decimal128Type, scale, |value, scale| Decimal::new(
                    i256::from_i128(value),
                    scale
                ))
            }
            DataType::Decimal256(_, scale) => take!(Decimal256Type, scale, Decimal::new),
            _ => return Err(self.mismatch(array)),
        }
        Ok(())
    }

    fn observe_decimal(&mut self, decimal: Decimal) {
        let id = hash::of_bytes(&decimal.to_bytes());
        let scratch = &mut self.scratch;
        if scratch.counter.observe(id, &scratch.ids) {
            scratch.texts.push(decimal.to_string().into_bytes().into());
        }
        scratch.ids.push(id);
        scratch.keys.push(key::of_f64(decimal.to_f64()));
        let (least, greatest) = self.decimals.get_or_insert((decimal, decimal));
        if decimal < *least {
            *least = decimal;
        } else if decimal > *greatest {
            *greatest = decimal;
        }
    }

    fn take_texts(&mut self, array: &dyn Array) -> Result<(), ProfileError> {
        // What is counted now must come after them.
        self.take_counts();
        match (array.data_type(), &self.kind) {
            (DataType::Utf8, ColumnKind::String) => self.take_bytes(array.as_string::<i32>()),
            (DataType::LargeUtf8, ColumnKind::String) => self.take_bytes(array.as_string::<i64>()),
            (DataType::Utf8View, ColumnKind::String) => self.take_bytes(array.as_string_view()),
            (DataType::Binary, ColumnKind::Binary) => self.take_bytes(array.as_binary::<i32>()),
            (DataType::LargeBinary, ColumnKind::Binary) => {
                self.take_bytes(array.as_binary::<i64>())
            }
            (DataType::BinaryView, ColumnKind::Binary) => self.take_bytes(array.as_binary_view()),
            (DataType::FixedSizeBinary(_), ColumnKind::Binary) => {
                self.take_bytes(array.as_fixed_size_binary());
            }
            _ => return Err(self.mismatch(array)),
        }
        Ok(())
    }

    fn take_bytes<A: BytesArray>(&mut self, array: &A) {
        self.note_nulls(array);
        match array.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => self.take_bytes_at(array, || 0..array.len()),
            Some(nulls) => self.take_bytes_at(array, || nulls.valid_indices()),
        }
    }

    fn take_bytes_at<A: BytesArray, I: Iterator<Item = usize>>(
        &mut self,
        array: &A,
        valid: impl Fn() -> I,
    ) {
        let start = self.scratch.ids.len();
        let lengths = &mut self.lengths;
        self.scratch.ids.extend(valid().map(|index| {
            let bytes = array.bytes(index);
            Lengths::note(lengths, bytes.len() as u64, 1);
            hash::of_bytes(bytes)
        }));
        for (place, index) in (start..).zip(valid()) {
            self.observe_bytes(place, || array.bytes(index));
        }
    }

    /// Counts the value whose identity is at that place.
    #[inline]
    fn observe_bytes<'a>(&mut self, place: usize, bytes: impl Fn() -> &'a [u8]) {
        let Scratch { ids, counter, texts, .. } = &mut self.scratch;
        let is_new = counter.observe(ids[place], &ids[..place]);
        if is_new {
            texts.push(kept(bytes()).into());
        }
        // As long as there are few different values, each is remembered when it is first met.
        if is_new || counter.is_many() {
            self.texts.note(bytes());
        }
    }

    /// Each value of a dictionary is hashed once, and looked for once in a block.
    fn take_dictionary(&mut self, array: &dyn Array) -> Result<(), ProfileError> {
        let Some(dictionary) = array.as_any_dictionary_opt() else {
            return Err(self.mismatch(array));
        };
        let values = dictionary.values();
        match (values.data_type(), &self.kind) {
            // A dictionary may be far larger than a slice of its array.
            _ if values.len() > WORDS_MAX || values.is_empty() => {}
            (DataType::Utf8, ColumnKind::String) => {
                return self.take_words(dictionary, values.as_string::<i32>());
            }
            (DataType::LargeUtf8, ColumnKind::String) => {
                return self.take_words(dictionary, values.as_string::<i64>());
            }
            (DataType::Utf8View, ColumnKind::String) => {
                return self.take_words(dictionary, values.as_string_view());
            }
            (DataType::Binary, ColumnKind::Binary) => {
                return self.take_words(dictionary, values.as_binary::<i32>());
            }
            _ => {}
        }
        self.take(&decode(compute::take(values, dictionary.keys(), None))?)
    }

    fn take_words<A: BytesArray>(
        &mut self,
        dictionary: &dyn AnyDictionaryArray,
        words: &A,
    ) -> Result<(), ProfileError> {
        if !self.scratch.words.are_of(dictionary.values()) {
            self.take_counts();
            self.scratch.words.look_at(dictionary.values(), |index| {
                let bytes = words.bytes(index);
                let (id, length) = (hash::of_bytes(bytes), bytes.len());
                let length = u32::try_from(length).unwrap_or(u32::MAX);
                Word { id, length, bucket: Counter::bucket(id), slot: 0, is_settled: false }
            });
        }
        let keys = dictionary.normalized_keys();
        match dictionary.logical_nulls().filter(|nulls| nulls.null_count() > 0) {
            None => keys.into_iter().for_each(|word| self.observe_word(words, word)),
            Some(nulls) => {
                self.nulls += nulls.null_count() as u64;
                nulls.valid_indices().for_each(|row| self.observe_word(words, keys[row]));
            }
        }
        Ok(())
    }

    /// As [`BlockProfiler::observe_bytes`]; what does not depend on the order of the rows is done with the counts.
    #[inline]
    fn observe_word<A: BytesArray>(&mut self, words: &A, index: usize) {
        if self.scratch.words.count(index) && self.meet_word(words, index) {
            return;
        }
        let Scratch { counter, texts, words: known, .. } = &mut self.scratch;
        let word = known.get(index);
        if counter.observe_in(word.bucket) && !word.is_settled {
            word.is_settled = true;
            if word.slot == 0 && counter.remember(word.id) {
                texts.push(kept(words.bytes(index)).into());
            }
        }
    }

    /// Looks at a word that was not met before. True when it is the one with which there are many different
    /// values, all of which are counted then.
    #[inline(never)]
    fn meet_word<A: BytesArray>(&mut self, words: &A, index: usize) -> bool {
        let Scratch { counter, texts, words: known, .. } = &mut self.scratch;
        let word = known.get(index);
        self.texts.note(words.bytes(index));
        if counter.is_many() {
            counter.note(word.id);
        } else if let Some((slot, is_new)) = counter.enter(word.id) {
            word.slot = slot;
            if is_new {
                texts.push(kept(words.bytes(index)).into());
            }
        } else {
            self.take_counts();
            self.scratch.counter.become_many(&self.scratch.ids);
            return true;
        }
        false
    }

    /// Takes the words that were counted, in whatever order.
    pub(super) fn take_counts(&mut self) {
        let Scratch { ids, counter, words, .. } = &mut self.scratch;
        words.drain(|word, times| {
            Lengths::note(&mut self.lengths, word.length.into(), times);
            ids.extend(std::iter::repeat_n(word.id, times as usize));
            counter.add_times(word.slot, times);
        });
    }

    fn take_lists(&mut self, array: &dyn Array) -> Result<(), ProfileError> {
        let is_map = matches!(self.kind, ColumnKind::Map(..));
        match array.data_type() {
            DataType::Map(..) if is_map => {
                let map = array.as_map();
                self.take_lengths(array, |index| offsets(map.value_offsets(), index));
            }
            DataType::List(_) if !is_map => {
                let list = array.as_list::<i32>();
                self.take_lengths(array, |index| offsets(list.value_offsets(), index));
            }
            DataType::LargeList(_) if !is_map => {
                let list = array.as_list::<i64>();
                self.take_lengths(array, |index| offsets(list.value_offsets(), index));
            }
            DataType::ListView(_) if !is_map => {
                let list = array.as_list_view::<i32>();
                self.take_lengths(array, |index| list.sizes()[index].max(0) as u64);
            }
            DataType::LargeListView(_) if !is_map => {
                let list = array.as_list_view::<i64>();
                self.take_lengths(array, |index| list.sizes()[index].max(0) as u64);
            }
            DataType::FixedSizeList(_, size) if !is_map => {
                let size = u64::try_from(*size).unwrap_or(0);
                self.take_lengths(array, |_| size);
            }
            _ => return Err(self.mismatch(array)),
        }
        Ok(())
    }

    fn take_lengths(&mut self, array: &dyn Array, length: impl Fn(usize) -> u64) {
        self.note_nulls(array);
        for index in (0..array.len()).filter(|index| array.is_valid(*index)) {
            Lengths::note(&mut self.lengths, length(index), 1);
        }
    }
}

fn offsets<O: OffsetSizeTrait>(offsets: &[O], index: usize) -> u64 {
    (offsets[index + 1] - offsets[index]).as_usize() as u64
}

fn decode(
    array: Result<ArrayRef, crate::arrow::error::ArrowError>,
) -> Result<ArrayRef, ProfileError> {
    array.map_err(|error| ProfileError::Encoding(error.into()))
}

/// Appends the keys of all values that are not null.
fn extend<T: Copy>(
    keys: &mut Vec<u64>,
    values: &[T],
    nulls: Option<&NullBuffer>,
    key: impl Fn(T) -> u64,
) {
    let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else {
        keys.extend(values.iter().map(|value| key(*value)));
        return;
    };
    let start = keys.len();
    keys.resize(start + values.len(), 0);
    let mut end = start;
    for (value, is_valid) in values.iter().zip(nulls.iter()) {
        // Whatever stands in the slot of a null is overwritten by the next value.
        keys[end] = key(*value);
        end += usize::from(is_valid);
    }
    keys.truncate(end);
}

/// Arrays of strings or bytes.
trait BytesArray: Array {
    fn bytes(&self, index: usize) -> &[u8];
}

impl<T: ByteArrayType> BytesArray for GenericByteArray<T> {
    #[inline]
    fn bytes(&self, index: usize) -> &[u8] {
        self.value(index).as_ref()
    }
}

impl<T: ByteViewType> BytesArray for GenericByteViewArray<T> {
    #[inline]
    fn bytes(&self, index: usize) -> &[u8] {
        self.value(index).as_ref()
    }
}

impl BytesArray for FixedSizeBinaryArray {
    #[inline]
    fn bytes(&self, index: usize) -> &[u8] {
        self.value(index)
    }
}
