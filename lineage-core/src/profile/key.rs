//! Values as whole numbers in the same order, and back as JSON.

use chrono::{DateTime, Days, NaiveDate, NaiveTime};
use serde_json::Value;

use crate::table::ColumnKind;

const SIGN: u64 = 1 << 63;
/// Whole numbers beyond ±2^53 are not exact in readers of JSON that have only doubles.
const EXACT_MAX: u64 = 1 << 53;
const SECOND_NANOS: i64 = 1_000_000_000;
/// Times less than so many microseconds (146 years) away from 1970 are counted in nanoseconds, those
/// further away in microseconds: so each fits into 64 bits.
const NEAR_MICROS: i64 = 4_611_686_018_427_387;
const NEAR_NANOS: i64 = NEAR_MICROS * 1000;

/// Keys of the infinities. Those of NaN lie outside them.
pub(super) const INFINITY: u64 = f64::INFINITY.to_bits() | SIGN;
pub(super) const MINUS_INFINITY: u64 = !f64::NEG_INFINITY.to_bits();

#[inline]
pub(super) fn of_i64(value: i64) -> u64 {
    value as u64 ^ SIGN
}

pub(super) fn to_i64(key: u64) -> i64 {
    (key ^ SIGN) as i64
}

/// Of a double that is not NaN; −0 is +0.
#[inline]
pub(super) fn of_f64(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    bits ^ ((bits as i64 >> 63) as u64 | SIGN)
}

#[inline]
pub(super) fn to_f64(key: u64) -> f64 {
    f64::from_bits(key ^ ((!key as i64 >> 63) as u64 | SIGN))
}

/// Of a time or span of so many nanoseconds.
#[inline]
pub(super) fn of_nanos(nanos: i64) -> u64 {
    if (-NEAR_NANOS..NEAR_NANOS).contains(&nanos) {
        of_i64(nanos)
    } else {
        of_far_micros(nanos.div_euclid(1000))
    }
}

/// Of a time or span of so many microseconds.
#[inline]
pub(super) fn of_micros(micros: i64) -> u64 {
    if (-NEAR_MICROS..NEAR_MICROS).contains(&micros) {
        of_i64(micros * 1000)
    } else {
        of_far_micros(micros)
    }
}

/// Keys of far times lie outside those of near ones; all beyond 140,000 years are the same.
fn of_far_micros(micros: i64) -> u64 {
    if micros >= NEAR_MICROS {
        let beyond = (micros - NEAR_MICROS).min(i64::MAX - NEAR_NANOS);
        of_i64(NEAR_NANOS + beyond)
    } else {
        let beyond = (-NEAR_MICROS).saturating_sub(micros).min(i64::MAX - NEAR_NANOS);
        of_i64(-NEAR_NANOS - beyond)
    }
}

/// Whole seconds, rounded down, and the nanoseconds within the second.
fn to_parts(key: u64) -> (i64, u32) {
    let number = to_i64(key);
    let (number, per_second) = if (-NEAR_NANOS..NEAR_NANOS).contains(&number) {
        (number, SECOND_NANOS)
    } else if number >= NEAR_NANOS {
        (number - NEAR_NANOS + NEAR_MICROS, 1_000_000)
    } else {
        (number + NEAR_NANOS - NEAR_MICROS, 1_000_000)
    };
    let nanos = number.rem_euclid(per_second) * (SECOND_NANOS / per_second);
    (number.div_euclid(per_second), nanos as u32)
}

#[inline]
pub(super) fn to_seconds(key: u64) -> f64 {
    let nanos = to_i64(key);
    if (-NEAR_NANOS..NEAR_NANOS).contains(&nanos) {
        return nanos as f64 / SECOND_NANOS as f64;
    }
    let (seconds, nanos) = to_parts(key);
    seconds as f64 + f64::from(nanos) / SECOND_NANOS as f64
}

/// Calls a function with the way to read keys of that kind as numbers: dates as days, times and spans as
/// seconds. One copy of the function's code is made for each way.
macro_rules! with_number {
    ($kind:expr, $number:ident => $body:expr) => {
        match $kind {
            ColumnKind::Uint64 => {
                let $number = |key: u64| key as f64;
                $body
            }
            ColumnKind::Float32 | ColumnKind::Float64 | ColumnKind::Decimal => {
                let $number = $crate::profile::key::to_f64;
                $body
            }
            ColumnKind::Timestamp
            | ColumnKind::Instant
            | ColumnKind::Duration
            | ColumnKind::Time => {
                let $number = $crate::profile::key::to_seconds;
                $body
            }
            _ => {
                let $number = |key: u64| $crate::profile::key::to_i64(key) as f64;
                $body
            }
        }
    };
}
pub(super) use with_number;

/// The value of that key.
pub(super) fn to_json(kind: &ColumnKind, key: u64) -> Value {
    match kind {
        ColumnKind::Bool => Value::Bool(to_i64(key) != 0),
        ColumnKind::Uint64 if key <= EXACT_MAX => key.into(),
        ColumnKind::Uint64 => key.to_string().into(),
        ColumnKind::Float32 => single(to_f64(key)),
        ColumnKind::Float64 | ColumnKind::Decimal => double(to_f64(key)),
        ColumnKind::Date => date(to_i64(key)).into(),
        ColumnKind::Time => time(key).into(),
        ColumnKind::Timestamp => date_time(key, "").into(),
        ColumnKind::Instant => date_time(key, "Z").into(),
        ColumnKind::Duration => duration(key).into(),
        _ => {
            let number = to_i64(key);
            if number.unsigned_abs() <= EXACT_MAX {
                number.into()
            } else {
                number.to_string().into()
            }
        }
    }
}

/// A mean as a value of its kind; of a date its day.
pub(super) fn mean_to_json(kind: &ColumnKind, mean: f64) -> Value {
    match kind {
        ColumnKind::Date => date(mean.floor() as i64).into(),
        ColumnKind::Time | ColumnKind::Timestamp | ColumnKind::Instant | ColumnKind::Duration => {
            to_json(kind, of_micros((mean * 1e6).round() as i64))
        }
        _ => double(mean),
    }
}

/// A number, or `inf` or `-inf`, which JSON has no numbers for.
fn double(number: f64) -> Value {
    if number.is_finite() { number.into() } else { number.to_string().into() }
}

/// With the digits that a single needs, not those of the double beside it.
fn single(number: f64) -> Value {
    let short = (number as f32).to_string();
    short.parse().map_or(Value::Null, double)
}

/// A number with this text, where nothing beyond doubles could express it.
fn number_of_days(days: i64) -> String {
    format!("{days} days since 1970-01-01")
}

fn date(days: i64) -> String {
    let epoch = NaiveDate::default();
    let date = match u64::try_from(days) {
        Ok(after) => epoch.checked_add_days(Days::new(after)),
        Err(_) => epoch.checked_sub_days(Days::new(days.unsigned_abs())),
    };
    date.map_or_else(|| number_of_days(days), |date| date.to_string())
}

fn time(key: u64) -> String {
    let (seconds, nanos) = to_parts(key);
    let time = u32::try_from(seconds)
        .ok()
        .and_then(|seconds| NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos));
    time.map_or_else(|| duration(key), |time| time.to_string())
}

fn date_time(key: u64, zone: &str) -> String {
    let (seconds, nanos) = to_parts(key);
    match DateTime::from_timestamp(seconds, nanos) {
        Some(time) => format!("{}{zone}", time.format("%Y-%m-%dT%H:%M:%S%.f")),
        None => format!("{} seconds since 1970-01-01", seconds),
    }
}

/// ISO 8601: `PT12.5S`, with a minus before it for spans back in time.
fn duration(key: u64) -> String {
    let (seconds, nanos) = to_parts(key);
    let total = i128::from(seconds) * i128::from(SECOND_NANOS) + i128::from(nanos);
    let sign = if total < 0 { "-" } else { "" };
    let (seconds, nanos) =
        (total.unsigned_abs() / 1_000_000_000, total.unsigned_abs() % 1_000_000_000);
    let fraction = format!(".{nanos:09}");
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    format!("{sign}PT{seconds}{fraction}S")
}
