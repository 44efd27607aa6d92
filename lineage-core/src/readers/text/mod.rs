//! What the text of one value means, in CSV and in NDJSON: the classes that inference sorts texts into,
//! and the wider texts that a declared kind accepts (`docs/formats/fingerprint.md`, Typing and Schema).

mod classes;
pub(crate) mod numbers;
#[cfg(test)]
mod tests;
pub(crate) mod times;

pub(crate) use classes::Classes;
pub(crate) use times::Moment;

use crate::arrow::datatypes::i256;

use self::numbers::Integer;
use crate::table::ColumnKind;

/// A value of a kind that texts have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Bool(bool),
    Int(i64),
    Uint64(u64),
    Float32(f32),
    Float64(f64),
    /// The unscaled value, and the scale.
    Decimal(i256, u8),
    String(&'a str),
    /// Days since 1970-01-01.
    Date(i32),
    /// Nanoseconds since midnight.
    Time(i64),
    /// Of the kinds `timestamp` and `instant`.
    Moment(Moment),
}

/// The value of a text in a column that is declared to be of this kind; none when it does not fit.
pub(crate) fn declared<'a>(text: &'a str, kind: &ColumnKind) -> Option<Value<'a>> {
    let bytes = text.as_bytes();
    Some(match kind {
        ColumnKind::Bool => Value::Bool(numbers::boolean_declared(bytes)?),
        ColumnKind::Int => match numbers::integer_declared(bytes)? {
            Integer::Signed(value) => Value::Int(value),
            Integer::Unsigned(_) => return None,
        },
        ColumnKind::Uint64 => Value::Uint64(match numbers::integer_declared(bytes)? {
            Integer::Signed(value) => u64::try_from(value).ok()?,
            Integer::Unsigned(value) => value,
        }),
        ColumnKind::Float32 => Value::Float32(numbers::float32_declared(bytes)?),
        ColumnKind::Float64 => Value::Float64(numbers::float64_declared(bytes)?),
        ColumnKind::Decimal => {
            let (unscaled, scale) = numbers::decimal(bytes)?;
            Value::Decimal(unscaled, scale)
        }
        ColumnKind::String => Value::String(text),
        ColumnKind::Date => Value::Date(times::date(bytes)?),
        ColumnKind::Time => Value::Time(times::time(bytes)?),
        ColumnKind::Timestamp | ColumnKind::Instant => {
            let of_kind = |moment: &Moment| moment.is_instant() == (*kind == ColumnKind::Instant);
            Value::Moment(times::moment(bytes).filter(of_kind)?)
        }
        _ => return None,
    })
}
