//! Texts of dates, times, timestamps and instants.

use super::classes::Classes;

const DAY_SECONDS: i64 = 86_400;
/// 1677-09-22 and 2262-04-10: the whole days that fit into nanoseconds since 1970 in 64 bits.
const NANOSECOND_DAYS: std::ops::RangeInclusive<i64> = -106_751..=106_750;

/// A date, with a time of the day or without, with an offset from UTC or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Whole seconds since 1970-01-01T00:00:00, in UTC when there is an offset.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanoseconds: u32,
    /// `DATE`, `TIMESTAMP` or `INSTANT`.
    class: Classes,
}

impl Moment {
    /// Its class, and what is to be remarked on its value.
    #[inline]
    pub(crate) fn classes(self) -> Classes {
        let mut classes = self.class;
        if self.below_microsecond() {
            classes |= Classes::BELOW_MICROSECOND;
        }
        if !NANOSECOND_DAYS.contains(&self.seconds.div_euclid(DAY_SECONDS)) {
            classes |= Classes::BEYOND_NANOSECONDS;
        }
        classes
    }

    pub(crate) fn is_instant(self) -> bool {
        self.class == Classes::INSTANT
    }

    /// Whether it has a digit other than 0 after the sixth of its fraction.
    pub(crate) fn below_microsecond(self) -> bool {
        !self.nanoseconds.is_multiple_of(1000)
    }

    /// Microseconds since 1970: years 0 to 9999 fit.
    #[inline]
    pub(crate) fn microseconds(self) -> i64 {
        self.seconds * 1_000_000 + i64::from(self.nanoseconds / 1000)
    }

    /// Nanoseconds since 1970, when they fit.
    #[inline]
    pub(crate) fn nanoseconds_since_1970(self) -> Option<i64> {
        self.seconds.checked_mul(1_000_000_000)?.checked_add(i64::from(self.nanoseconds))
    }
}

/// The days of the last date seen: dates often repeat in neighbouring rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DateMemo {
    text: [u8; 10],
    days: i32,
}

impl Default for DateMemo {
    fn default() -> DateMemo {
        DateMemo { text: *b"1970-01-01", days: 0 }
    }
}

impl DateMemo {
    /// Days since 1970-01-01 of `YYYY-MM-DD`.
    #[inline]
    pub(crate) fn days(&mut self, text: &[u8; 10]) -> Option<i32> {
        if *text != self.text {
            self.days = days_of(text)?;
            self.text = *text;
        }
        Some(self.days)
    }
}

/// A date, timestamp or instant.
pub(crate) fn moment(text: &[u8]) -> Option<Moment> {
    moment_with(text, &mut DateMemo::default())
}

/// The classes of a date.
#[inline]
pub(crate) fn date_classes(days: i32) -> Classes {
    if NANOSECOND_DAYS.contains(&i64::from(days)) {
        Classes::DATE
    } else {
        Classes::DATE | Classes::BEYOND_NANOSECONDS
    }
}

/// Days since 1970-01-01 of a date.
pub(crate) fn date(text: &[u8]) -> Option<i32> {
    days_of(text.try_into().ok()?)
}

#[inline]
pub(crate) fn moment_with(text: &[u8], memo: &mut DateMemo) -> Option<Moment> {
    let (date, rest) = text.split_first_chunk::<10>()?;
    let days = i64::from(memo.days(date)?);
    let Some((separator, rest)) = rest.split_first() else {
        let seconds = days * DAY_SECONDS;
        return Some(Moment { seconds, nanoseconds: 0, class: Classes::DATE });
    };
    if *separator != b'T' && *separator != b' ' {
        return None;
    }
    let (second_of_day, nanoseconds, rest) = clock(rest)?;
    let mut seconds = days * DAY_SECONDS + i64::from(second_of_day);
    let mut class = Classes::TIMESTAMP;
    if !rest.is_empty() {
        seconds -= i64::from(offset(rest)?);
        class = Classes::INSTANT;
    }
    Some(Moment { seconds, nanoseconds, class })
}

/// Nanoseconds since midnight of a time of the day.
pub(crate) fn time(text: &[u8]) -> Option<i64> {
    match clock(text)? {
        (seconds, nanoseconds, []) => {
            Some(i64::from(seconds) * 1_000_000_000 + i64::from(nanoseconds))
        }
        _ => None,
    }
}

/// `HH:MM`, perhaps `:SS`, perhaps a fraction: seconds of the day, nanoseconds, and what follows.
#[inline]
fn clock(text: &[u8]) -> Option<(u32, u32, &[u8])> {
    let (hours_minutes, rest) = text.split_first_chunk::<5>()?;
    let [h1, h2, b':', m1, m2] = *hours_minutes else { return None };
    let hours = two(h1, h2, 23)?;
    let minutes = two(m1, m2, 59)?;
    let seconds = (hours * 60 + minutes) * 60;
    let Some((&[b':', s1, s2], rest)) = rest.split_first_chunk::<3>() else {
        return Some((seconds, 0, rest));
    };
    let seconds = seconds + two(s1, s2, 59)?;
    let Some((b'.', rest)) = rest.split_first() else {
        return Some((seconds, 0, rest));
    };
    let (nanoseconds, rest) = fraction(rest)?;
    Some((seconds, nanoseconds, rest))
}

/// One to nine digits of a fraction, as nanoseconds.
#[inline]
fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    if let Some((&[a, b, c], rest)) = text.split_first_chunk::<3>()
        && !rest.first().is_some_and(u8::is_ascii_digit)
        && let (Some(a), Some(b), Some(c)) = (digit(a), digit(b), digit(c))
    {
        return Some(((a * 100 + b * 10 + c) * 1_000_000, rest));
    }
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=9).contains(&digits) {
        return None;
    }
    let (fraction, rest) = text.split_at_checked(digits)?;
    let value = fraction.iter().fold(0, |value, byte| value * 10 + u32::from(byte - b'0'));
    let scale = 10_u32.pow(9 - u32::try_from(digits).ok()?);
    Some((value * scale, rest))
}

/// Seconds east of UTC: `Z`, `±HH:MM`, `±HHMM` or `±HH`.
#[inline]
fn offset(text: &[u8]) -> Option<i32> {
    let (sign, hours, minutes) = match *text {
        [b'Z'] => return Some(0),
        [sign, h1, h2] => (sign, two(h1, h2, 23)?, 0),
        [sign, h1, h2, m1, m2] | [sign, h1, h2, b':', m1, m2] => {
            (sign, two(h1, h2, 23)?, two(m1, m2, 59)?)
        }
        _ => return None,
    };
    let seconds = i32::try_from((hours * 60 + minutes) * 60).ok()?;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

#[inline]
fn digit(byte: u8) -> Option<u32> {
    let value = byte.wrapping_sub(b'0');
    (value <= 9).then_some(u32::from(value))
}

#[inline]
fn two(tens: u8, ones: u8, most: u32) -> Option<u32> {
    let value = digit(tens)? * 10 + digit(ones)?;
    (value <= most).then_some(value)
}

/// Days of each month of a common year, from the first on.
const DAYS: [i32; 13] = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Days since 1970-01-01 of `YYYY-MM-DD` in the Gregorian calendar.
#[inline]
fn days_of(text: &[u8; 10]) -> Option<i32> {
    let (year_month, day) = text.split_first_chunk::<8>()?;
    let digits = u64::from_le_bytes(*year_month) ^ u64::from_le_bytes(*b"0000-00-");
    let no_digits = digits.wrapping_add(0x7676_7676_7676_7676) | digits;
    let dashes = digits & u64::from_le_bytes([0, 0, 0, 0, 255, 0, 0, 255]);
    if (no_digits & 0x8080_8080_8080_8080) | dashes != 0 {
        return None;
    }
    // Each byte with the next as a number of two digits.
    let twos = digits.wrapping_mul(10).wrapping_add(digits >> 8).to_le_bytes();
    let year = i32::from(twos[0]) * 100 + i32::from(twos[2]);
    let month = i32::from(twos[5]);
    let [d1, d2] = *day else { return None };
    let day = i32::try_from(two(d1, d2, 31)?).ok()?;
    // Without branches: neighbouring dates have nothing in common.
    let leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0));
    let last_day = DAYS.get(usize::try_from(month).ok()?)? + i32::from(leap & (month == 2));
    if (day < 1) | (day > last_day) {
        return None;
    }
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil: years begin in
    // March, and are shifted by 400 so that none is negative.
    let shifted_year = year + 400 - i32::from(month <= 2);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let leap_days = shifted_year / 4 - shifted_year / 100 + shifted_year / 400;
    Some(shifted_year * 365 + leap_days + day_of_year - 719_468 - 146_097)
}
