//! Least and greatest values.

use super::decimal::Decimal;

/// Bytes of a text that are kept: 80 characters and one more, which tells that it goes on.
pub(super) const KEPT_BYTES: usize = 324;

/// The least and the greatest value.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Extremes {
    #[default]
    None,
    Keys(u64, u64),
    /// The first `KEPT_BYTES` of them.
    Texts(Box<[u8]>, Box<[u8]>),
    Decimals(Decimal, Decimal),
}

impl Extremes {
    pub(super) fn merge(self, other: Extremes) -> Extremes {
        match (self, other) {
            (Extremes::Keys(least, greatest), Extremes::Keys(low, high)) => {
                Extremes::Keys(least.min(low), greatest.max(high))
            }
            (Extremes::Texts(least, greatest), Extremes::Texts(low, high)) => {
                Extremes::Texts(least.min(low), greatest.max(high))
            }
            (Extremes::Decimals(least, greatest), Extremes::Decimals(low, high)) => {
                Extremes::Decimals(least.min(low), greatest.max(high))
            }
            (Extremes::None, other) => other,
            (own, _) => own,
        }
    }
}

/// The least and the greatest of texts, by their bytes. Most are told apart by their first eight.
#[derive(Debug, Default)]
pub(super) struct Texts {
    least: Vec<u8>,
    greatest: Vec<u8>,
    least_head: u64,
    greatest_head: u64,
    any: bool,
}

impl Texts {
    #[inline]
    pub(super) fn note(&mut self, text: &[u8]) {
        let head = head(text);
        if head <= self.least_head || head >= self.greatest_head || !self.any {
            self.compare(head, text);
        }
    }

    fn compare(&mut self, head: u64, text: &[u8]) {
        let kept = kept(text);
        if !self.any || kept < &*self.least {
            self.least = kept.to_vec();
            self.least_head = head;
        }
        if !self.any || kept > &*self.greatest {
            self.greatest = kept.to_vec();
            self.greatest_head = head;
        }
        self.any = true;
    }

    pub(super) fn finish(self) -> Extremes {
        if self.any {
            Extremes::Texts(self.least.into(), self.greatest.into())
        } else {
            Extremes::None
        }
    }
}

/// What is kept of a text.
pub(super) fn kept(text: &[u8]) -> &[u8] {
    text.get(..KEPT_BYTES).unwrap_or(text)
}

/// The first eight bytes as a number of the same order; missing ones count as zero.
#[inline]
fn head(text: &[u8]) -> u64 {
    if let Some(first) = text.first_chunk::<8>() {
        return u64::from_be_bytes(*first);
    }
    let missing_bits = 8 * (8 - text.len()) as u32;
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        let (first, last) = (u32::from_be_bytes(*first), u32::from_be_bytes(*last));
        return u64::from(first) << 32 | u64::from(last) << missing_bits;
    }
    text.iter()
        .fold(0, |head, byte| head << 8 | u64::from(*byte))
        .checked_shl(missing_bits)
        .unwrap_or(0)
}
