//! Decimals as they are hashed: without trailing zeros.

use std::cmp::Ordering;

use crate::arrow::datatypes::i256;

/// `unscaled` × 10^−`scale`, not divisible by ten; zero has scale 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Decimal {
    unscaled: i256,
    scale: i8,
}

impl Decimal {
    /// Of a value that fits into 64 bits, as most do.
    pub(super) fn of_i64(mut unscaled: i64, mut scale: i8) -> Decimal {
        if unscaled == 0 {
            scale = 0;
        }
        while unscaled != 0 && unscaled % 10 == 0 && scale > i8::MIN {
            unscaled /= 10;
            scale -= 1;
        }
        Decimal { unscaled: i256::from_i128(unscaled.into()), scale }
    }

    pub(crate) fn new(mut unscaled: i256, mut scale: i8) -> Decimal {
        if let Some(small) = unscaled.to_i128().and_then(|small| i64::try_from(small).ok()) {
            return Decimal::of_i64(small, scale);
        }
        let ten = i256::from_i128(10);
        while scale > i8::MIN && unscaled.wrapping_rem(ten) == i256::ZERO {
            unscaled = unscaled.wrapping_div(ten);
            scale -= 1;
        }
        Decimal { unscaled, scale }
    }

    /// The bytes that are hashed.
    pub(super) fn to_bytes(self) -> [u8; 33] {
        let mut bytes = [0; 33];
        bytes[..32].copy_from_slice(&self.unscaled.to_le_bytes());
        bytes[32] = self.scale as u8;
        bytes
    }

    /// The nearest double.
    pub(crate) fn to_f64(self) -> f64 {
        // Both are exact, so that the quotient is the nearest.
        const EXACT_POWER_MAX: i8 = 22;
        if let Some(small) = self.unscaled.to_i128()
            && small.unsigned_abs() <= 1 << 53
            && (0..=EXACT_POWER_MAX).contains(&self.scale)
        {
            return small as f64 / POWERS[self.scale as usize];
        }
        format!("{}e{}", self.unscaled, -i16::from(self.scale)).parse().unwrap_or(f64::NAN)
    }

    fn is_negative(&self) -> bool {
        self.unscaled < i256::ZERO
    }

    /// The digits and where the point stands: the value is 0.DIGITS × 10^point.
    fn digits(&self) -> (String, i64) {
        let digits = self.unscaled.to_string().trim_start_matches('-').to_owned();
        let point = digits.len() as i64 - i64::from(self.scale);
        (digits, point)
    }
}

const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Decimal) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Decimal) -> Ordering {
        if self.scale == other.scale
            || self.unscaled == i256::ZERO
            || other.unscaled == i256::ZERO
            || self.is_negative() != other.is_negative()
        {
            return self.unscaled.cmp(&other.unscaled);
        }
        let ((left, left_point), (right, right_point)) = (self.digits(), other.digits());
        let magnitude = left_point.cmp(&right_point).then_with(|| left.cmp(&right));
        if self.is_negative() { magnitude.reverse() } else { magnitude }
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.is_negative() { "-" } else { "" };
        let (digits, point) = self.digits();
        let Ok(whole) = usize::try_from(point) else {
            return write!(f, "{sign}0.{}{digits}", "0".repeat(point.unsigned_abs() as usize));
        };
        if whole >= digits.len() {
            return write!(f, "{sign}{digits}{}", "0".repeat(whole - digits.len()));
        }
        let (whole, fraction) = digits.split_at(whole);
        write!(f, "{sign}{}.{fraction}", if whole.is_empty() { "0" } else { whole })
    }
}
