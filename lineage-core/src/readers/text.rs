//! From the text of one value to the value of a declared kind
//! (`docs/formats/fingerprint.md`, CSV and Schema).
//!
//! These are the wide texts, which a declared column accepts. Every text that inference takes for a
//! number, date or time has the same value here.

use arrow::datatypes::i256;
use chrono::NaiveDate;

use crate::table::ColumnKind;

/// The most significant digits of a decimal: those that 256 bits hold.
pub const DECIMAL_DIGITS_MAX: usize = 76;

/// A value of a kind that texts have.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "named like the kinds; the functions below say what they hold")]
pub enum Value<'a> {
    Bool(bool),
    Int(i64),
    Uint64(u64),
    Float32(f32),
    Float64(f64),
    Decimal(DecimalText),
    String(&'a str),
    Date(i32),
    Time(i64),
    /// Of the kinds `timestamp` and `instant`.
    Moment(Moment),
}

/// The value of a text in a column of this kind; none when it does not fit.
pub fn parse<'a>(text: &'a str, kind: &ColumnKind) -> Option<Value<'a>> {
    Some(match kind {
        ColumnKind::Bool => Value::Bool(parse_bool(text)?),
        ColumnKind::Int => Value::Int(parse_int(text)?),
        ColumnKind::Uint64 => Value::Uint64(parse_uint64(text)?),
        ColumnKind::Float32 => Value::Float32(parse_float32(text)?),
        ColumnKind::Float64 => Value::Float64(parse_float64(text)?),
        ColumnKind::Decimal => Value::Decimal(parse_decimal(text)?),
        ColumnKind::String => Value::String(text),
        ColumnKind::Date => Value::Date(parse_date(text)?),
        ColumnKind::Time => Value::Time(parse_time(text)?),
        ColumnKind::Timestamp => Value::Moment(parse_timestamp(text)?),
        ColumnKind::Instant => Value::Moment(parse_instant(text)?),
        _ => return None,
    })
}

/// `true` and `false` in any case, `1` and `0`.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" => Some(true),
        "0" => Some(false),
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// Digits with an optional sign, leading zeros allowed, between −2^63 and 2^63−1.
pub fn parse_int(text: &str) -> Option<i64> {
    // Rust's grammar is the same: an optional sign and at least one digit.
    text.parse().ok()
}

/// As [`parse_int`], between 0 and 2^64−1.
pub fn parse_uint64(text: &str) -> Option<u64> {
    match text.strip_prefix('-') {
        Some(digits) => {
            is_digits(digits).then(|| digits.parse().ok()).flatten().filter(|v| *v == 0)
        }
        None => text.parse().ok(),
    }
}

/// The nearest double, which must be finite when it is written in digits. `nan`, and `inf` and
/// `infinity` with an optional sign, in any case.
pub fn parse_float64(text: &str) -> Option<f64> {
    // Rust's grammar is ours but for a sign before `nan`.
    let value: f64 = text.parse().ok()?;
    is_float(text, value.is_finite(), value.is_nan()).then_some(value)
}

/// As [`parse_float64`], the nearest single.
pub fn parse_float32(text: &str) -> Option<f32> {
    let value: f32 = text.parse().ok()?;
    is_float(text, value.is_finite(), value.is_nan()).then_some(value)
}

fn is_float(text: &str, finite: bool, nan: bool) -> bool {
    let digits = text.bytes().any(|byte| byte.is_ascii_digit());
    if nan { text.len() == 3 } else { finite || !digits }
}

/// A decimal number: `unscaled` × 10^−`scale`, without zeros at its end; zero has scale 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecimalText {
    /// The significant digits, with the sign.
    pub unscaled: i256,
    /// May be negative.
    pub scale: i32,
    /// How many significant digits there are; 0 for zero.
    pub digits: usize,
}

/// A decimal has at most so many digits on each side of its point, so that one scale holds all.
const DECIMAL_SIDE_DIGITS_MAX: i64 = 38;

/// Digits with an optional sign, point and exponent, at most 38 on each side of the point when it is
/// written without exponent.
pub fn parse_decimal(text: &str) -> Option<DecimalText> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let written = || whole.bytes().chain(fraction.bytes());
    if !written().all(|byte| byte.is_ascii_digit()) || written().next().is_none() {
        return None;
    }
    let exponent = exponent.map_or(Some(0), parse_exponent)?;
    let zeros_before = written().take_while(|byte| *byte == b'0').count();
    let length = whole.len() + fraction.len();
    if zeros_before == length {
        return Some(DecimalText { unscaled: i256::ZERO, scale: 0, digits: 0 });
    }
    let zeros_after =
        fraction.bytes().rev().chain(whole.bytes().rev()).take_while(|byte| *byte == b'0').count();
    let digits = length - zeros_before - zeros_after;
    if digits > DECIMAL_DIGITS_MAX {
        return None;
    }
    let significant: String = negative
        .then_some('-')
        .into_iter()
        .chain(written().skip(zeros_before).take(digits).map(char::from))
        .collect();
    let scale = i64::try_from(fraction.len()).ok()? - i64::try_from(zeros_after).ok()? - exponent;
    let before_point = i64::try_from(digits).ok()? - scale;
    if before_point > DECIMAL_SIDE_DIGITS_MAX || scale > DECIMAL_SIDE_DIGITS_MAX {
        return None;
    }
    Some(DecimalText {
        unscaled: i256::from_string(&significant)?,
        scale: i32::try_from(scale).ok()?,
        digits,
    })
}

/// An exponent; one of more than nine digits has no decimal, whatever stands before it.
fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let short = digits.trim_start_matches('0').len() <= 9;
    (is_digits(digits) && short).then(|| text.parse().ok()).flatten()
}

/// `YYYY-MM-DD`, a day of the Gregorian calendar: days since 1970-01-01.
pub fn parse_date(text: &str) -> Option<i32> {
    let bytes: &[u8; 10] = text.as_bytes().try_into().ok()?;
    if bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let (year, month, day) = (number(&bytes[..4])?, number(&bytes[5..7])?, number(&bytes[8..])?);
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).ok()
}

/// `HH:MM`, perhaps `:SS`, perhaps a point and 1 to 9 digits: nanoseconds since midnight.
pub fn parse_time(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let [h1, h2, b':', m1, m2, rest @ ..] = bytes else { return None };
    let (hours, minutes) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?);
    let (seconds, fraction) = match rest {
        [] => (0, 0),
        [b':', s1, s2, rest @ ..] => {
            let fraction = match rest {
                [] => 0,
                [b'.', digits @ ..] if (1..=9).contains(&digits.len()) => {
                    let scale = u32::try_from(9 - digits.len()).ok()?;
                    number(digits)? * 10_u32.pow(scale)
                }
                _ => return None,
            };
            (number(&[*s1, *s2])?, fraction)
        }
        _ => return None,
    };
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let seconds = i64::from(hours * 3600 + minutes * 60 + seconds);
    Some(seconds * NANOSECONDS + i64::from(fraction))
}

const NANOSECONDS: i64 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;

/// A point in time: whole seconds since 1970-01-01T00:00:00, rounded down, and nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// May be negative.
    pub seconds: i64,
    /// Below 10^9.
    pub nanoseconds: u32,
}

/// A date, `T` or one space, and a time; or a date alone, which is its midnight.
pub fn parse_timestamp(text: &str) -> Option<Moment> {
    let (date, rest) = text.split_at_checked(10)?;
    let days = i64::from(parse_date(date)?);
    let since_midnight = match rest.as_bytes().first() {
        None => 0,
        Some(b'T' | b' ') => parse_time(&rest[1..])?,
        Some(_) => return None,
    };
    Some(Moment {
        seconds: days * DAY_SECONDS + since_midnight / NANOSECONDS,
        nanoseconds: u32::try_from(since_midnight % NANOSECONDS).ok()?,
    })
}

/// A date and a time followed by `Z`, `±HH:MM`, `±HHMM` or `±HH`: the moment in UTC.
pub fn parse_instant(text: &str) -> Option<Moment> {
    // The shortest date and time has 16 characters; the dashes of the date come before.
    let (date, rest) = text.split_at_checked(10)?;
    let at = 10 + rest.find(['Z', '+', '-'])?;
    let (local, zone) = text.split_at(at);
    if local.len() == date.len() {
        return None;
    }
    let moment = parse_timestamp(local)?;
    Some(Moment { seconds: moment.seconds - parse_zone(zone)?, ..moment })
}

/// Seconds east of Greenwich.
fn parse_zone(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes() {
        b"Z" => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits {
        [h1, h2] => (number(&[*h1, *h2])?, 0),
        [h1, h2, m1, m2] | [h1, h2, b':', m1, m2] => (number(&[*h1, *h2])?, number(&[*m1, *m2])?),
        _ => return None,
    };
    (hours <= 23 && minutes <= 59).then(|| sign * i64::from(hours * 3600 + minutes * 60))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The number that at most nine digits are.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |number, byte| {
        byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bools_and_integers() {
        assert_eq!(parse_bool("TrUe"), Some(true));
        assert_eq!(parse_bool("0"), Some(false));
        assert_eq!(parse_bool("yes"), None);
        assert_eq!(parse_int("+007"), Some(7));
        assert_eq!(parse_int("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(parse_int("-0"), Some(0));
        for bad in ["", "+", "-", " 1", "1 ", "1.0", "1e3", "9223372036854775808", "١", "1_000"] {
            assert_eq!(parse_int(bad), None, "{bad:?}");
        }
        assert_eq!(parse_uint64("+18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_uint64("-00"), Some(0));
        for bad in ["", "-1", "-", "-+0", "18446744073709551616"] {
            assert_eq!(parse_uint64(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn floats() {
        for (text, expected) in [
            ("1", 1.0),
            ("+001.50", 1.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("1.e2", 100.0),
            ("-0", -0.0),
            ("1e-400", 0.0),
            ("inf", f64::INFINITY),
            ("+INFINITY", f64::INFINITY),
            ("-Inf", f64::NEG_INFINITY),
            ("0.1", 0.1),
        ] {
            assert_eq!(parse_float64(text).map(f64::to_bits), Some(expected.to_bits()), "{text}");
        }
        assert!(parse_float64("NaN").unwrap().is_nan());
        for bad in ["", ".", "e5", "1e", "1e400", "-nan", "+nan", "1,5", "0x10", "1f", "infin"] {
            assert_eq!(parse_float64(bad), None, "{bad:?}");
        }
        assert_eq!(parse_float32("0.1"), Some(0.1_f32));
        assert_eq!(parse_float32("1e39"), None);
        // Rounded once: by way of a double it would be 1.
        assert_eq!(parse_float32("1.00000005960464484"), Some(1.000_000_1_f32));
    }

    #[test]
    fn decimals() {
        let shown = |text: &str| {
            parse_decimal(text).map(|d| format!("{}/{}/{}", d.unscaled, d.scale, d.digits))
        };
        for (text, expected) in [
            ("1.50", "15/1/2"),
            ("-100", "-1/-2/1"),
            ("+0.00", "0/0/0"),
            (".5", "5/1/1"),
            ("5.", "5/0/1"),
            ("12.34e3", "1234/-1/4"),
            ("1E-2", "1/2/1"),
            ("000120.0", "12/-1/2"),
            ("0e999999999", "0/0/0"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(expected), "{text}");
        }
        let side = "9".repeat(38);
        assert_eq!(shown(&format!("{side}.{side}")), Some(format!("{side}{side}/38/76")));
        assert_eq!(shown(&format!("000{side}.{side}000")), Some(format!("{side}{side}/38/76")));
        let long = "9".repeat(39);
        assert_eq!(shown(&format!("0.{long}")), None);
        assert_eq!(shown("1e38"), None);
        assert_eq!(shown("1e37"), Some("1/-37/1".to_owned()));
        let bad = ["", "-", ".", "e5", "1e", "1e+", "1.2.3", "nan", "1 ", "--1", "1e9999999999999"];
        for text in bad.into_iter().chain([long.as_str(), "1é", "é"]) {
            assert_eq!(shown(text), None, "{text:?}");
        }
    }

    #[test]
    fn dates_and_times() {
        assert_eq!(parse_date("1970-01-01"), Some(0));
        assert_eq!(parse_date("1969-12-31"), Some(-1));
        assert_eq!(parse_date("2000-02-29"), Some(11_016));
        assert_eq!(parse_date("0000-01-01"), Some(-719_528));
        assert_eq!(parse_date("9999-12-31"), Some(2_932_896));
        for bad in
            ["", "1900-02-29", "2024-13-01", "2024-1-01", "2024/01/01", "+024-01-01", "2024-01-0é"]
        {
            assert_eq!(parse_date(bad), None, "{bad:?}");
        }
        assert_eq!(parse_time("23:59"), Some(86_340 * NANOSECONDS));
        assert_eq!(parse_time("00:00:01.5"), Some(1_500_000_000));
        assert_eq!(parse_time("00:00:00.000000001"), Some(1));
        for bad in
            ["24:00", "1:00", "00:60", "00:00:60", "00:00:00.", "00:00.5", "00:00:00.0000000001"]
        {
            assert_eq!(parse_time(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn moments() {
        let moment = |seconds, nanoseconds| Some(Moment { seconds, nanoseconds });
        assert_eq!(parse_timestamp("1970-01-02"), moment(86_400, 0));
        assert_eq!(parse_timestamp("1969-12-31 23:59:59.25"), moment(-1, 250_000_000));
        assert_eq!(parse_timestamp("2024-01-01T00:00"), moment(1_704_067_200, 0));
        for bad in
            ["2024-01-01t00:00", "2024-01-01T", "2024-01-01  00:00", "2024-01-01T00:00Z", "é"]
        {
            assert_eq!(parse_timestamp(bad), None, "{bad:?}");
        }
        assert_eq!(parse_instant("1970-01-01T01:00+01:00"), moment(0, 0));
        assert_eq!(parse_instant("1970-01-01 00:00:00.5-0130"), moment(5400, 500_000_000));
        assert_eq!(parse_instant("1970-01-01T00:00-23"), moment(82_800, 0));
        assert_eq!(parse_instant("0000-01-01T00:00Z"), moment(-62_167_219_200, 0));
        let bad = [
            "1970-01-01Z",
            "1970-01-01T00:00",
            "1970-01-01T00:00z",
            "1970-01-01T00:00+24",
            "1970-01-01T00:00+00:60",
            "1970-01-01T00:00+1",
            "1970-01-01T00:00+01:",
            "1970-01-01T00:00 Z",
            "",
        ];
        for text in bad {
            assert_eq!(parse_instant(text), None, "{text:?}");
        }
    }
}
