//! Hashes that spread values over tables and registers. They are fixed for ever but name nothing: two
//! values with one hash would merely be counted as one.

const FIRST: u64 = 0x9e37_79b9_7f4a_7c15;
const SECOND: u64 = 0xbf58_476d_1ce4_e5b9;
const THIRD: u64 = 0x94d0_49bb_1331_11eb;

/// Both halves of the product, folded into one.
#[inline]
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    (product >> 64) as u64 ^ product as u64
}

/// Spreads an identity over all 64 bits.
#[inline]
pub(super) fn spread(id: u64) -> u64 {
    fold(id ^ FIRST, SECOND).wrapping_mul(THIRD)
}

/// The identity of a sequence of bytes.
#[inline]
pub(super) fn of_bytes(bytes: &[u8]) -> u64 {
    let length = bytes.len() as u64;
    if bytes.len() <= 16 {
        let (low, high) = ends(bytes);
        return fold(low ^ FIRST, high ^ SECOND ^ length.wrapping_mul(THIRD));
    }
    let mut state = length.wrapping_mul(THIRD);
    let mut rest = bytes;
    while let Some((head, tail)) = rest.split_first_chunk::<16>() {
        if tail.is_empty() {
            break;
        }
        let (low, high) = ends(head);
        state = fold(low ^ FIRST, high ^ state).wrapping_add(state);
        rest = tail;
    }
    // The last 16 bytes, some of which were seen before.
    let (low, high) = ends(&bytes[bytes.len() - 16..]);
    fold(low ^ SECOND ^ state, high ^ FIRST)
}

/// All of at most 16 bytes in two words that overlap where there are fewer.
#[inline]
fn ends(bytes: &[u8]) -> (u64, u64) {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into())
    } else if let (Some(first), Some(last)) = (bytes.first(), bytes.last()) {
        (u64::from(*first) << 8 | u64::from(*last), bytes[bytes.len() / 2].into())
    } else {
        (0, 0)
    }
}
