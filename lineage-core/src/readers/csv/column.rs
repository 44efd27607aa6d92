//! Values of one column, gathered into an Arrow array.

use std::sync::Arc;

use crate::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal256Array, Float32Array, Float64Array, Int64Array,
    NullArray, StringArray, Time64NanosecondArray, TimestampMicrosecondArray,
    TimestampNanosecondArray, UInt64Array,
};
use crate::arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use crate::arrow::datatypes::i256;
use crate::arrow::error::ArrowError;

use super::fields::{GROUP, Place, Rows, single_quotes};
use crate::readers::text::Classes;
use crate::readers::text::numbers::{self, Integer};
use crate::readers::text::times::{self, DateMemo, Moment};
use crate::table::ColumnKind;

/// Texts of at most so many bytes are copied as if they had so many.
const SHORT: usize = 32;
/// The largest precision of a decimal in 256 bits.
const DECIMAL_PRECISION: u8 = 76;

/// The column of one piece while it is read.
pub(super) struct Column {
    /// Its place in a record.
    index: usize,
    declared: bool,
    values: Values,
    /// A bit for each row, a word for each group: whether there is a value.
    valid: Vec<u64>,
    pub classes: Classes,
}

enum Values {
    Null,
    Bool(Vec<u64>),
    Int(Vec<i64>),
    Uint64(Vec<u64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Decimal(Vec<(i256, u8)>),
    String(Texts),
    Date(Vec<i32>, DateMemo),
    Time(Vec<i64>),
    Moments(Moments),
    /// A value did not fit the guessed kind: the rest is only classified.
    Survey,
}

/// Texts one after another. There are more bytes than are used, because short texts are copied with
/// some of what follows them.
struct Texts {
    offsets: Vec<i32>,
    bytes: Vec<u8>,
    used: usize,
}

/// Timestamps or instants.
struct Moments {
    values: Vec<i64>,
    /// Their unit is the nanosecond, because one is finer than a microsecond.
    nanoseconds: bool,
    zone: bool,
    memo: DateMemo,
}

impl Column {
    /// An empty column of a kind, or none when no CSV can hold it. `text_bytes` is a guess.
    pub(super) fn new(
        index: usize,
        kind: &ColumnKind,
        declared: bool,
        rows: usize,
        text_bytes: usize,
    ) -> Option<Column> {
        let moments = |zone| {
            let values = Vec::with_capacity(rows);
            Values::Moments(Moments { values, nanoseconds: false, zone, memo: DateMemo::default() })
        };
        let values = match kind {
            ColumnKind::Null => Values::Null,
            ColumnKind::Bool => Values::Bool(Vec::with_capacity(rows.div_ceil(GROUP))),
            ColumnKind::Int => Values::Int(Vec::with_capacity(rows)),
            ColumnKind::Uint64 => Values::Uint64(Vec::with_capacity(rows)),
            ColumnKind::Float32 => Values::Float32(Vec::with_capacity(rows)),
            ColumnKind::Float64 => Values::Float64(Vec::with_capacity(rows)),
            ColumnKind::Decimal => Values::Decimal(Vec::with_capacity(rows)),
            ColumnKind::String => {
                let mut offsets = Vec::with_capacity(rows + 1);
                offsets.push(0);
                let bytes = vec![0; text_bytes + text_bytes / 8 + rows.min(GROUP + 1) * SHORT];
                Values::String(Texts { offsets, bytes, used: 0 })
            }
            ColumnKind::Date => Values::Date(Vec::with_capacity(rows), DateMemo::default()),
            ColumnKind::Time => Values::Time(Vec::with_capacity(rows)),
            ColumnKind::Timestamp => moments(false),
            ColumnKind::Instant => moments(true),
            ColumnKind::Binary
            | ColumnKind::Duration
            | ColumnKind::List(_)
            | ColumnKind::Struct(_)
            | ColumnKind::Map(..) => return None,
        };
        let valid = Vec::with_capacity(rows.div_ceil(GROUP));
        Some(Column { index, declared, values, valid, classes: Classes::NONE })
    }

    /// Bytes of its texts.
    pub(super) fn text_bytes(&self) -> usize {
        match &self.values {
            Values::String(texts) => texts.used,
            _ => 0,
        }
    }

    /// Whether a value did not fit the kind, so that there are no values.
    pub(super) fn is_survey(&self) -> bool {
        matches!(self.values, Values::Survey)
    }

    /// Adds a group of rows. A value that does not fit is returned when the kind is declared.
    pub(super) fn read(&mut self, rows: &Rows<'_>) -> Result<(), Place> {
        if let Values::Survey = self.values {
            self.survey(rows, 0);
            return Ok(());
        }
        let misfit = match self.declared {
            true => self.read_declared(rows),
            false => self.read_inferred(rows),
        };
        match misfit {
            None => Ok(()),
            Some(place) if self.declared => Err(place),
            Some(place) => {
                self.values = Values::Survey;
                self.valid = Vec::new();
                self.survey(rows, place.row);
                Ok(())
            }
        }
    }

    /// Notes the classes of the texts, as long as they matter.
    #[cold]
    fn survey(&mut self, rows: &Rows<'_>, from: usize) {
        let mut classes = self.classes;
        if classes.kind() == ColumnKind::String {
            return;
        }
        let _ = rows.texts(self.index, from, |place| {
            let class = Classes::of(rows.text(place));
            let grown = classes | class;
            if grown == classes {
                return true;
            }
            classes = grown;
            classes.kind() != ColumnKind::String
        });
        self.classes = classes;
    }

    fn read_inferred(&mut self, rows: &Rows<'_>) -> Option<Place> {
        let (index, valid, classes) = (self.index, &mut self.valid, &mut self.classes);
        match &mut self.values {
            Values::Int(values) => read_ints(rows, index, values, valid, classes),
            Values::Float64(values) => gather(rows, index, values, valid, |place| {
                let text = rows.text(place);
                let short = numbers::short_float_at(rows.bytes, place.start, place.end);
                if let Some(value) = short.or_else(|| numbers::float64(text)) {
                    *classes |= Classes::FLOAT;
                    return Some(value);
                }
                let class = Classes::of_integer(numbers::integer(text)?);
                if class.contains(Classes::UINT64) || class.contains(Classes::BEYOND_DOUBLE) {
                    return None;
                }
                *classes |= class;
                numbers::float64_declared(text)
            }),
            Values::Uint64(values) => gather(rows, index, values, valid, |place| {
                let value = numbers::integer(rows.text(place))?;
                let number = unsigned(value)?;
                *classes |= Classes::of_integer(value);
                Some(number)
            }),
            _ => self.read_either(rows, numbers::boolean),
        }
    }

    fn read_declared(&mut self, rows: &Rows<'_>) -> Option<Place> {
        let (index, valid) = (self.index, &mut self.valid);
        match &mut self.values {
            Values::Int(values) => gather(rows, index, values, valid, |place| {
                let usual = numbers::int_at(rows.bytes, place.start, place.end);
                usual.or_else(|| match numbers::integer_declared(rows.text(place))? {
                    Integer::Signed(value) => Some(value),
                    Integer::Unsigned(_) => None,
                })
            }),
            Values::Uint64(values) => gather(rows, index, values, valid, |place| {
                unsigned(numbers::integer_declared(rows.text(place))?)
            }),
            Values::Float32(values) => gather(rows, index, values, valid, |place| {
                numbers::float32_declared(rows.text(place))
            }),
            Values::Float64(values) => gather(rows, index, values, valid, |place| {
                numbers::short_float_at(rows.bytes, place.start, place.end)
                    .or_else(|| numbers::float64_declared(rows.text(place)))
            }),
            Values::Decimal(values) => {
                gather(rows, index, values, valid, |place| numbers::decimal(rows.text(place)))
            }
            Values::Time(values) => {
                gather(rows, index, values, valid, |place| times::time(rows.text(place)))
            }
            _ => self.read_either(rows, numbers::boolean_declared),
        }
    }

    /// Kinds whose texts are the same, declared or inferred.
    fn read_either(
        &mut self,
        rows: &Rows<'_>,
        boolean: impl Fn(&[u8]) -> Option<bool>,
    ) -> Option<Place> {
        let (index, valid, classes) = (self.index, &mut self.valid, &mut self.classes);
        match &mut self.values {
            Values::Bool(values) => {
                let (mut bits, mut set) = (0, 0_u64);
                let misfit = rows.texts(index, 0, |place| match boolean(rows.text(place)) {
                    Some(value) => {
                        bits |= u64::from(value) << place.row;
                        set |= 1 << place.row;
                        true
                    }
                    None => false,
                });
                if set != 0 {
                    *classes |= Classes::BOOL;
                }
                values.push(bits);
                valid.push(set);
                misfit
            }
            Values::Date(values, memo) => gather(rows, index, values, valid, |place| {
                let days = memo.days(rows.text(place).as_array()?)?;
                *classes |= times::date_classes(days);
                Some(days)
            }),
            Values::String(texts) => {
                let set = texts.read(rows, index);
                if set != 0 {
                    *classes |= Classes::STRING;
                }
                valid.push(set);
                None
            }
            Values::Moments(moments) => moments.read(rows, index, valid, classes),
            // A kind that is only declared was handled above; nothing fits `Null`.
            _ => rows.texts(index, 0, |_| false),
        }
    }

    /// The array. Fails only when a text is not UTF-8.
    pub(super) fn finish(self, rows: usize) -> Result<ArrayRef, ArrowError> {
        let set: usize = self.valid.iter().map(|word| word.count_ones() as usize).sum();
        let bits = |words: Vec<u64>| BooleanBuffer::new(Buffer::from_vec(words), 0, rows);
        let is_typed = !matches!(self.values, Values::Null | Values::Survey);
        let nulls = (is_typed && set < rows).then(|| NullBuffer::new(bits(self.valid)));
        Ok(match self.values {
            Values::Null | Values::Survey => Arc::new(NullArray::new(rows)),
            Values::Bool(values) => Arc::new(BooleanArray::new(bits(values), nulls)),
            Values::Int(values) => Arc::new(Int64Array::try_new(values.into(), nulls)?),
            Values::Uint64(values) => Arc::new(UInt64Array::try_new(values.into(), nulls)?),
            Values::Float32(values) => Arc::new(Float32Array::try_new(values.into(), nulls)?),
            Values::Float64(values) => Arc::new(Float64Array::try_new(values.into(), nulls)?),
            Values::Date(values, _) => Arc::new(Date32Array::try_new(values.into(), nulls)?),
            Values::Time(values) => Arc::new(Time64NanosecondArray::try_new(values.into(), nulls)?),
            Values::Decimal(values) => decimals(&values, nulls)?,
            Values::String(mut texts) => {
                texts.bytes.truncate(texts.used);
                let offsets = OffsetBuffer::new(texts.offsets.into());
                Arc::new(StringArray::try_new(offsets, Buffer::from_vec(texts.bytes), nulls)?)
            }
            Values::Moments(moments) => {
                let zone = moments.zone.then(|| Arc::from("UTC"));
                let values = moments.values.into();
                if moments.nanoseconds {
                    let array = TimestampNanosecondArray::try_new(values, nulls)?;
                    Arc::new(array.with_timezone_opt(zone))
                } else {
                    let array = TimestampMicrosecondArray::try_new(values, nulls)?;
                    Arc::new(array.with_timezone_opt(zone))
                }
            }
        })
    }
}

/// Converts the texts of a group and appends the values; a null is zero.
#[inline(always)]
fn gather<T: Copy + Default>(
    rows: &Rows<'_>,
    column: usize,
    values: &mut Vec<T>,
    valid: &mut Vec<u64>,
    mut convert: impl FnMut(Place) -> Option<T>,
) -> Option<Place> {
    let mut group = [T::default(); GROUP];
    let mut set = 0_u64;
    let misfit = rows.texts(column, 0, |place| match convert(place) {
        Some(value) => {
            group[place.row % GROUP] = value;
            set |= 1 << (place.row % GROUP);
            true
        }
        None => false,
    });
    values.extend_from_slice(&group[..rows.count]);
    valid.push(set);
    misfit
}

fn read_ints(
    rows: &Rows<'_>,
    column: usize,
    values: &mut Vec<i64>,
    valid: &mut Vec<u64>,
    classes: &mut Classes,
) -> Option<Place> {
    let (mut any, mut signs, mut magnitudes) = (false, 0, 0);
    let misfit = gather(rows, column, values, valid, |place| {
        let value = numbers::int_at(rows.bytes, place.start, place.end)?;
        any = true;
        signs |= value;
        magnitudes |= value.unsigned_abs().saturating_sub(1);
        Some(value)
    });
    if any {
        *classes |= Classes::INT;
    }
    if signs < 0 {
        *classes |= Classes::NEGATIVE;
    }
    // Beyond 2^53: the magnitude less one has a bit there or above.
    if magnitudes >> 53 != 0 {
        *classes |= Classes::BEYOND_DOUBLE;
    }
    misfit
}

fn unsigned(value: Integer) -> Option<u64> {
    match value {
        Integer::Signed(value) => u64::try_from(value).ok(),
        Integer::Unsigned(value) => Some(value),
    }
}

impl Texts {
    /// Appends the texts of a group; returns which are not null.
    fn read(&mut self, rows: &Rows<'_>, column: usize) -> u64 {
        self.make_room(rows.count * SHORT);
        let mut set = 0_u64;
        let mut group = [0_i32; GROUP];
        rows.raw(column, 0, |place| {
            let field = rows.text(place);
            if let Some(first) = field.first() {
                set |= 1 << (place.row % GROUP);
                if *first == rows.quote {
                    let inner = field.get(1..field.len() - 1).unwrap_or_default();
                    self.append(&single_quotes(inner, rows.quote), rows.count);
                } else {
                    self.append_at(rows, place);
                }
            }
            // Pieces are far smaller than 2 GiB.
            #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "above")]
            let used = self.used as i32;
            group[place.row % GROUP] = used;
            true
        });
        self.offsets.extend_from_slice(&group[..rows.count]);
        set
    }

    #[inline]
    fn append_at(&mut self, rows: &Rows<'_>, place: Place) {
        let length = place.end - place.start;
        if length <= SHORT
            && let Some(from) = rows.bytes[place.start..].first_chunk::<SHORT>()
            && let Some(to) = self.bytes[self.used..].first_chunk_mut::<SHORT>()
        {
            *to = *from;
            self.used += length;
        } else {
            self.append(rows.text(place), rows.count);
        }
    }

    /// Appends a text of any length, and makes room for short ones of the whole group after it.
    fn append(&mut self, text: &[u8], group: usize) {
        self.make_room(text.len() + group * SHORT);
        let end = self.used + text.len();
        self.bytes[self.used..end].copy_from_slice(text);
        self.used = end;
    }

    #[inline]
    fn make_room(&mut self, length: usize) {
        let wanted = self.used + length;
        if self.bytes.len() < wanted {
            self.bytes.resize(wanted + wanted / 2, 0);
        }
    }
}

impl Moments {
    fn read(
        &mut self,
        rows: &Rows<'_>,
        column: usize,
        valid: &mut Vec<u64>,
        classes: &mut Classes,
    ) -> Option<Place> {
        let (values_before, valid_before) = (self.values.len(), valid.len());
        let mut misfit = self.read_in_unit(rows, column, valid, classes);
        if misfit.is_some() && !self.nanoseconds && self.must_be_finer(rows, misfit, *classes) {
            // Microseconds of no later than 2262, as the classes say.
            self.nanoseconds = true;
            self.values.truncate(values_before);
            valid.truncate(valid_before);
            for value in &mut self.values {
                *value = value.wrapping_mul(1000);
            }
            misfit = self.read_in_unit(rows, column, valid, classes);
        }
        misfit
    }

    /// Whether the value that did not fit does fit in nanoseconds, with all before it.
    fn must_be_finer(&self, rows: &Rows<'_>, misfit: Option<Place>, classes: Classes) -> bool {
        let moment = misfit.and_then(|place| times::moment(rows.text(place)));
        moment.is_some_and(|moment| {
            moment.below_microsecond()
                && moment.is_instant() == self.zone
                && !(classes | moment.classes()).no_one_unit()
        })
    }

    fn read_in_unit(
        &mut self,
        rows: &Rows<'_>,
        column: usize,
        valid: &mut Vec<u64>,
        classes: &mut Classes,
    ) -> Option<Place> {
        let Moments { values, nanoseconds, zone, memo } = self;
        gather(rows, column, values, valid, |place| {
            let moment: Moment = times::moment_with(rows.text(place), memo)?;
            let grown = *classes | moment.classes();
            if moment.is_instant() != *zone || grown.no_one_unit() {
                return None;
            }
            let value = if *nanoseconds {
                moment.nanoseconds_since_1970()?
            } else if moment.below_microsecond() {
                return None;
            } else {
                moment.microseconds()
            };
            *classes = grown;
            Some(value)
        })
    }
}

/// Decimals in the largest of their scales.
fn decimals(values: &[(i256, u8)], nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
    let scale = values.iter().map(|(_, scale)| *scale).max().unwrap_or(0);
    let scaled = values.iter().map(|(value, own)| {
        let power = 10_i128.pow(u32::from(scale - own));
        value.wrapping_mul(i256::from_i128(power))
    });
    let scaled: Vec<i256> = scaled.collect();
    let array = Decimal256Array::try_new(scaled.into(), nulls)?;
    let scale = i8::try_from(scale).unwrap_or(i8::MAX);
    Ok(Arc::new(array.with_precision_and_scale(DECIMAL_PRECISION, scale)?))
}
