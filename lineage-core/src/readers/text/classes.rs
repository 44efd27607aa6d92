//! The classes of texts that occur in a column, and the kind that follows from them.

use std::ops::{BitOr, BitOrAssign};

use super::numbers::{self, Integer};
use super::times;
use crate::table::ColumnKind;

/// The classes that occur among some values of a column, as a set (`docs/formats/fingerprint.md`,
/// Typing). Sets of parts of a column are joined with `|`; the kind is a function of the whole set,
/// so it does not depend on how the column was cut into parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub(crate) struct Classes(u16);

impl Classes {
    pub(crate) const NONE: Classes = Classes(0);
    pub(crate) const BOOL: Classes = Classes(1);
    pub(crate) const INT: Classes = Classes(1 << 1);
    pub(crate) const UINT64: Classes = Classes(1 << 2);
    pub(crate) const FLOAT: Classes = Classes(1 << 3);
    pub(crate) const DATE: Classes = Classes(1 << 4);
    pub(crate) const TIMESTAMP: Classes = Classes(1 << 5);
    pub(crate) const INSTANT: Classes = Classes(1 << 6);
    pub(crate) const STRING: Classes = Classes(1 << 7);
    /// An int below zero.
    pub(crate) const NEGATIVE: Classes = Classes(1 << 8);
    /// An int beyond ±2^53, which a double may not hold.
    pub(crate) const BEYOND_DOUBLE: Classes = Classes(1 << 9);
    /// A timestamp or instant with a digit other than 0 after the sixth of its fraction.
    pub(crate) const BELOW_MICROSECOND: Classes = Classes(1 << 10);
    /// A date, timestamp or instant that nanoseconds since 1970 do not reach.
    pub(crate) const BEYOND_NANOSECONDS: Classes = Classes(1 << 11);

    /// The classes that a text can belong to, without the remarks on their values.
    const TEXTS: u16 = 0xff;
    const NO_ONE_UNIT: Classes = Classes(Self::BELOW_MICROSECOND.0 | Self::BEYOND_NANOSECONDS.0);

    /// The class of one text that is not null, quoted or not.
    pub(crate) fn of(text: &[u8]) -> Classes {
        match text.first() {
            None => Classes::NONE,
            Some(b'0'..=b'9' | b'-' | b'.') => of_number_or_time(text),
            Some(b't' | b'T' | b'f' | b'F') if numbers::boolean(text).is_some() => Classes::BOOL,
            Some(b'n' | b'N' | b'i' | b'I') if numbers::float_word(text).is_some() => {
                Classes::FLOAT
            }
            Some(_) => Classes::STRING,
        }
    }

    #[cfg(test)]
    pub(crate) fn from_bits(bits: u16) -> Classes {
        Classes(bits)
    }

    /// Those of an int.
    pub(crate) fn of_integer(value: Integer) -> Classes {
        match value {
            Integer::Signed(value) => {
                let mut classes = Classes::INT;
                if value < 0 {
                    classes |= Classes::NEGATIVE;
                }
                if value.unsigned_abs() > 1 << 53 {
                    classes |= Classes::BEYOND_DOUBLE;
                }
                classes
            }
            Integer::Unsigned(_) => Classes::UINT64,
        }
    }

    /// Whether all of `other` are in it.
    pub(crate) fn contains(self, other: Classes) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether no unit of time holds all values: one is finer than microseconds, and one is further
    /// from 1970 than nanoseconds reach.
    pub(crate) fn no_one_unit(self) -> bool {
        self.contains(Classes::NO_ONE_UNIT)
    }

    /// The kind of a column in which exactly these classes occur.
    ///
    /// `String` is absorbing: adding a class to a set whose kind is `String` gives `String`.
    pub(crate) fn kind(self) -> ColumnKind {
        let texts = Classes(self.0 & Classes::TEXTS);
        let only = |allowed: Classes| allowed.contains(texts);
        if texts == Classes::NONE {
            ColumnKind::Null
        } else if only(Classes::BOOL) {
            ColumnKind::Bool
        } else if only(Classes::INT) {
            ColumnKind::Int
        } else if only(Classes::UINT64 | Classes::INT) && !self.contains(Classes::NEGATIVE) {
            ColumnKind::Uint64
        } else if only(Classes::FLOAT | Classes::INT) && !self.contains(Classes::BEYOND_DOUBLE) {
            ColumnKind::Float64
        } else if only(Classes::DATE) {
            ColumnKind::Date
        } else if only(Classes::TIMESTAMP | Classes::DATE) && !self.no_one_unit() {
            ColumnKind::Timestamp
        } else if only(Classes::INSTANT) && !self.no_one_unit() {
            ColumnKind::Instant
        } else {
            ColumnKind::String
        }
    }
}

fn of_number_or_time(text: &[u8]) -> Classes {
    if let Some(value) = numbers::integer(text) {
        Classes::of_integer(value)
    } else if numbers::float64(text).is_some() {
        Classes::FLOAT
    } else if let Some(moment) = times::moment(text) {
        moment.classes()
    } else {
        Classes::STRING
    }
}

impl BitOr for Classes {
    type Output = Classes;
    fn bitor(self, other: Classes) -> Classes {
        Classes(self.0 | other.0)
    }
}

impl BitOrAssign for Classes {
    fn bitor_assign(&mut self, other: Classes) {
        self.0 |= other.0;
    }
}
