//! Texts of booleans, integers, floats and decimals.

use crate::arrow::datatypes::i256;

/// An integer as narrow as its text allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Integer {
    Signed(i64),
    /// Above the largest `i64`.
    Unsigned(u64),
}

/// `true` or `false`, in any case.
#[inline]
pub(crate) fn boolean(text: &[u8]) -> Option<bool> {
    match text {
        b"true" => Some(true),
        b"false" => Some(false),
        _ if text.eq_ignore_ascii_case(b"true") => Some(true),
        _ if text.eq_ignore_ascii_case(b"false") => Some(false),
        _ => None,
    }
}

/// A boolean of a declared column: `0` and `1` are allowed too.
pub(crate) fn boolean_declared(text: &[u8]) -> Option<bool> {
    match text {
        b"0" => Some(false),
        b"1" => Some(true),
        text => boolean(text),
    }
}

/// An integer in its one inferred form: no `+`, no leading zeros, no `-0`.
pub(crate) fn integer(text: &[u8]) -> Option<Integer> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => Some(Integer::Signed(0)),
        [b'0', ..] => None,
        digits => with_sign(negative, magnitude(digits)?),
    }
}

/// An integer of a declared column: `+` and leading zeros are allowed too.
pub(crate) fn integer_declared(text: &[u8]) -> Option<Integer> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    with_sign(negative, magnitude(digits)?)
}

fn with_sign(negative: bool, magnitude: u64) -> Option<Integer> {
    if negative {
        0_i64.checked_sub_unsigned(magnitude).map(Integer::Signed)
    } else {
        Some(i64::try_from(magnitude).map_or(Integer::Unsigned(magnitude), Integer::Signed))
    }
}

fn magnitude(digits: &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    (!digits.is_empty()).then_some(value)
}

/// [`integer`] of the text at `bytes[start..end]`, when it is an `i64`.
#[inline]
pub(crate) fn int_at(bytes: &[u8], start: usize, end: usize) -> Option<i64> {
    let negative = bytes[start] == b'-';
    let first = start + usize::from(negative);
    if let Some(magnitude) = short_digits(bytes, first, end)
        && (bytes[first] != b'0' || (end - first == 1 && !negative))
    {
        let magnitude = i64::try_from(magnitude).ok()?;
        return Some(if negative { -magnitude } else { magnitude });
    }
    match integer(&bytes[start..end])? {
        Integer::Signed(value) => Some(value),
        Integer::Unsigned(_) => None,
    }
}

/// The nonnegative number of at most 16 digits at `bytes[start..end]`, eight digits at a time (Daniel
/// Lemire, "Quickly parsing eight digits"). `None` also where there is nothing to load before `end`.
#[inline]
fn short_digits(bytes: &[u8], start: usize, end: usize) -> Option<u64> {
    let length = end.wrapping_sub(start);
    if length.wrapping_sub(1) >= 16 {
        return None;
    }
    let low = word(bytes, end)?;
    if length <= 8 {
        return eight_digits(low, 8 - length);
    }
    let high = word(bytes, end.wrapping_sub(8))?;
    Some(eight_digits(high, 16 - length)? * 100_000_000 + eight_digits(low, 0)?)
}

/// The eight bytes before `end`.
#[inline]
fn word(bytes: &[u8], end: usize) -> Option<u64> {
    let bytes = bytes.get(end.wrapping_sub(8)..end)?;
    Some(u64::from_le_bytes(*bytes.first_chunk()?))
}

/// The number of eight digits in reading order, of which the first `ignored` (0 to 8) count as 0.
#[inline]
fn eight_digits(word: u64, ignored: usize) -> Option<u64> {
    let digits = (word ^ 0x3030_3030_3030_3030) & (u64::MAX << (4 * ignored) << (4 * ignored));
    let above_nine = (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080;
    if above_nine != 0 {
        return None;
    }
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let mask = 0x0000_00ff_0000_00ff;
    let high = (pairs & mask).wrapping_mul(100 + (1_000_000 << 32));
    let low = ((pairs >> 16) & mask).wrapping_mul(1 + (10_000 << 32));
    Some(high.wrapping_add(low) >> 32)
}

/// [`float64`] of the text at `bytes[start..end]`, when it has at most eight digits before a point and
/// seven after it, and there are enough bytes before it. Without loops over a few digits, whose end
/// no processor foresees.
#[inline]
pub(crate) fn short_float_at(bytes: &[u8], start: usize, end: usize) -> Option<f64> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let negative = bytes[start] == b'-';
    let first = start + usize::from(negative);
    let length = end - first;
    if length < 2 {
        return None;
    }
    let last_eight = word(bytes, end)?;
    // The first byte that is a point, of those in the text: the lowest that becomes zero.
    let before = 8_usize.saturating_sub(length);
    let no_point = (last_eight ^ (ONES * 0x2e)) | !(u64::MAX << (8 * before));
    let points = no_point.wrapping_sub(ONES) & !no_point & (ONES * 0x80);
    if points == 0 {
        return None;
    }
    let fraction_digits = points.leading_zeros() as usize / 8;
    let point = end - 1 - fraction_digits;
    let whole_digits = point - first;
    if whole_digits > 8 || (whole_digits > 1 && bytes[first] == b'0') {
        return None;
    }
    let whole = eight_digits(word(bytes, point)?, 8 - whole_digits)?;
    let fraction = eight_digits(last_eight, 8 - fraction_digits)?;
    // Less than 2^53 and a power of at most 7: see `nearest64`.
    let mantissa = whole * POWERS_OF_TEN_U64.get(fraction_digits)? + fraction;
    #[allow(clippy::cast_precision_loss, reason = "at most 15 digits")]
    let value = mantissa as f64 / POWERS_OF_TEN.get(fraction_digits)?;
    Some(f64::from_bits(value.to_bits() | u64::from(negative) << 63))
}

/// A text of the class float: with a point or an exponent, `-0`, or a word.
#[inline]
pub(crate) fn float64(text: &[u8]) -> Option<f64> {
    let Some(number) = Number::read(text) else { return float_word(text) };
    if number.plus || number.leading_zeros || (number.whole && text != b"-0") {
        return None;
    }
    number.nearest64(text)
}

/// A float of a declared column: `+`, leading zeros and whole numbers are allowed too.
pub(crate) fn float64_declared(text: &[u8]) -> Option<f64> {
    match Number::read(text) {
        Some(number) => number.nearest64(text),
        None => float_word_declared(text),
    }
}

/// The same, to the nearest `f32`.
pub(crate) fn float32_declared(text: &[u8]) -> Option<f32> {
    if Number::read(text).is_none() {
        #[allow(clippy::cast_possible_truncation, reason = "infinities and NaN have no digits")]
        return float_word_declared(text).map(|value| value as f32);
    }
    let value: f32 = std::str::from_utf8(text).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}

/// `nan`, `inf` or `infinity` in any case, the latter two perhaps negative.
pub(crate) fn float_word(text: &[u8]) -> Option<f64> {
    match text {
        [b'-', word @ ..] if is_infinity(word) => Some(f64::NEG_INFINITY),
        word if is_infinity(word) => Some(f64::INFINITY),
        word if word.eq_ignore_ascii_case(b"nan") => Some(f64::NAN),
        _ => None,
    }
}

fn float_word_declared(text: &[u8]) -> Option<f64> {
    match text {
        [b'+', word @ ..] if is_infinity(word) => Some(f64::INFINITY),
        text => float_word(text),
    }
}

fn is_infinity(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"infinity")
}

/// Digits before and after the point that a decimal may have: any two such decimals have a common
/// scale in 76 digits.
const DECIMAL_DIGITS: usize = 38;

/// A decimal of a declared column: its unscaled value and its scale.
pub(crate) fn decimal(text: &[u8]) -> Option<(i256, u8)> {
    let number = Number::read(text)?;
    let digits = text.iter().take_while(|byte| !matches!(byte, b'e' | b'E'));
    let mut digits: Vec<u8> = digits.filter(|byte| byte.is_ascii_digit()).copied().collect();
    let mut point = i64::try_from(digits.len()).ok()?.checked_add(number.exponent)?;
    let zeros = digits.iter().take_while(|byte| **byte == b'0').count();
    digits.drain(..zeros);
    point -= i64::try_from(zeros).ok()?;
    while digits.pop_if(|byte| *byte == b'0').is_some() {}
    if digits.is_empty() {
        return Some((i256::ZERO, 0));
    }
    let length = i64::try_from(digits.len()).ok()?;
    let before = usize::try_from(point.max(0)).ok()?;
    let after = usize::try_from((length - point).max(0)).ok()?;
    if before > DECIMAL_DIGITS || after > DECIMAL_DIGITS {
        return None;
    }
    let zeros = before.saturating_sub(digits.len());
    digits.resize(digits.len() + zeros, b'0');
    let (whole, fraction) = digits.split_at_checked(before.min(digits.len()))?;
    let power = 10_i128.pow(u32::try_from(after).ok()?);
    let number_of = |digits: &[u8]| {
        i256::from_i128(digits.iter().fold(0, |value, byte| value * 10 + i128::from(byte - b'0')))
    };
    let value =
        number_of(whole).checked_mul(i256::from_i128(power))?.checked_add(number_of(fraction))?;
    let value = if number.negative { value.checked_neg()? } else { value };
    Some((value, u8::try_from(after).ok()?))
}

/// What a decimal text says: `±mantissa × 10^exponent`.
struct Number {
    negative: bool,
    plus: bool,
    leading_zeros: bool,
    /// Neither a point nor an exponent.
    whole: bool,
    digits: usize,
    /// Right when there are at most 19 digits.
    mantissa: u64,
    exponent: i64,
}

impl Number {
    /// An optional sign; digits, with a point anywhere; an optional exponent.
    #[inline]
    fn read(text: &[u8]) -> Option<Number> {
        let signed = matches!(text.first(), Some(b'-' | b'+'));
        let unsigned = text.get(usize::from(signed)..)?;
        let mut mantissa = 0;
        let mut rest = digits(unsigned, &mut mantissa);
        let before = unsigned.len() - rest.len();
        let mut after = 0;
        let mut exponent = 0;
        let mut whole = true;
        if let Some((b'.', fraction)) = rest.split_first() {
            rest = digits(fraction, &mut mantissa);
            after = fraction.len() - rest.len();
            whole = false;
        }
        if before + after == 0 {
            return None;
        }
        if let Some((b'e' | b'E', power)) = rest.split_first() {
            exponent = exponent_of(power)?;
            whole = false;
        } else if !rest.is_empty() {
            return None;
        }
        Some(Number {
            negative: text.first() == Some(&b'-'),
            plus: text.first() == Some(&b'+'),
            leading_zeros: before > 1 && unsigned.first() == Some(&b'0'),
            whole,
            digits: before + after,
            mantissa,
            exponent: exponent - i64::try_from(after).ok()?,
        })
    }

    /// The nearest double, when it is finite.
    #[inline]
    fn nearest64(&self, text: &[u8]) -> Option<f64> {
        if self.digits <= 19 && self.mantissa <= 1 << 53 {
            // Clinger 1990: one rounding of exact operands is right.
            #[allow(clippy::cast_precision_loss, reason = "at most 2^53")]
            let value = self.mantissa as f64;
            let power = usize::try_from(self.exponent.unsigned_abs()).ok()?;
            if let Some(power) = POWERS_OF_TEN.get(power) {
                let value = if self.exponent < 0 { value / power } else { value * power };
                return Some(if self.negative { -value } else { value });
            }
        }
        let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
        value.is_finite().then_some(value)
    }
}

const POWERS_OF_TEN_U64: [u64; 8] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000];

/// Those that a double holds exactly.
const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Adds the digits at the beginning to the mantissa, and returns what follows them.
#[inline]
fn digits<'a>(text: &'a [u8], mantissa: &mut u64) -> &'a [u8] {
    let mut rest = text;
    while let Some((eight, after)) = rest.split_first_chunk::<8>()
        && let Some(value) = eight_digits(u64::from_le_bytes(*eight), 0)
    {
        *mantissa = mantissa.wrapping_mul(100_000_000).wrapping_add(value);
        rest = after;
    }
    while let Some((byte, after)) = rest.split_first() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        *mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
        rest = after;
    }
    rest
}

/// An optional sign and digits, to the end.
fn exponent_of(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Beyond this, every text of at most 64 MiB is zero or infinite.
    let most = 1_i64 << 40;
    let value =
        digits.iter().fold(0_i64, |value, byte| most.min(value * 10 + i64::from(byte - b'0')));
    Some(if negative { -value } else { value })
}
