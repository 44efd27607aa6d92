//! Strings that are stored as differences: their lengths, checked before they are believed.

use parquet::errors::ParquetError;

/// The lengths of all strings of a page are held at once, which takes eight bytes for each.
const VALUES_MAX: usize = 1 << 22;

fn broken() -> ParquetError {
    ParquetError::General("the lengths of the strings of a page are broken".to_owned())
}

/// Checks the lengths, of which there are at most `values`; returns the longest.
pub(super) fn check_strings(data: &[u8], prefixed: bool, values: u32) -> Result<u64, ParquetError> {
    let mut rest = data;
    let shared = if prefixed { Some(lengths(&mut rest, values)?) } else { None };
    let own = lengths(&mut rest, values)?;
    let (mut total, mut length_before, mut longest) = (0_u64, 0, 0);
    for (index, own) in own.iter().enumerate() {
        let shared = match &shared {
            Some(shared) => *shared.get(index).ok_or_else(broken)?,
            None => 0,
        };
        let (shared, own) = (u64::from(shared), u64::from(*own));
        if shared > length_before {
            return Err(broken());
        }
        length_before = shared + own;
        longest = longest.max(length_before);
        total += own;
    }
    if total > rest.len() as u64 || shared.is_some_and(|shared| shared.len() != own.len()) {
        return Err(broken());
    }
    Ok(longest)
}

/// One block of differences, whose end becomes the start of `data`.
fn lengths(data: &mut &[u8], values: u32) -> Result<Vec<u32>, ParquetError> {
    let block_values = size(data)?;
    let parts = size(data)?;
    let count = size(data)?;
    if count > values as usize {
        return Err(broken());
    }
    if count > VALUES_MAX {
        return Err(ParquetError::General(format!(
            "a page has {count} strings that are stored as differences, and at most {VALUES_MAX} are read"
        )));
    }
    if parts == 0 || !block_values.is_multiple_of(128) || !block_values.is_multiple_of(parts) {
        return Err(broken());
    }
    let part_values = block_values / parts;
    if part_values == 0 || !part_values.is_multiple_of(32) {
        return Err(broken());
    }
    let mut found = Vec::with_capacity(count);
    let mut value = signed(data)? as i32;
    if count > 0 {
        found.push(u32::try_from(value).map_err(|_| broken())?);
    }
    while found.len() < count {
        let least = signed(data)?;
        let least = i32::try_from(least).map_err(|_| broken())?;
        let widths = data.split_off(..parts).ok_or_else(broken)?;
        for width in widths {
            if found.len() == count {
                break;
            }
            if *width > 32 {
                return Err(broken());
            }
            let wanted = part_values.min(count - found.len());
            let packed_bytes = part_values.checked_mul(usize::from(*width)).ok_or_else(broken)? / 8;
            // Some writers leave out the end of the last part.
            let packed = data.split_off(..packed_bytes.min(data.len())).ok_or_else(broken)?;
            if packed.len() < (wanted * usize::from(*width)).div_ceil(8) {
                return Err(broken());
            }
            for index in 0..wanted {
                let difference = unpacked(packed, index * usize::from(*width), *width);
                value = value.wrapping_add(least).wrapping_add(difference as i32);
                found.push(u32::try_from(value).map_err(|_| broken())?);
            }
        }
    }
    Ok(found)
}

/// `width` bits from a bit on, the least first.
fn unpacked(packed: &[u8], bit: usize, width: u8) -> u32 {
    let bytes = packed.get(bit / 8..).unwrap_or_default();
    let mut word = [0; 8];
    let count = bytes.len().min(8);
    word[..count].copy_from_slice(&bytes[..count]);
    let word = u64::from_le_bytes(word) >> (bit % 8);
    (word & ((1 << width) - 1)) as u32
}

fn size(data: &mut &[u8]) -> Result<usize, ParquetError> {
    usize::try_from(unsigned(data)?).map_err(|_| broken())
}

fn signed(data: &mut &[u8]) -> Result<i64, ParquetError> {
    let value = unsigned(data)?;
    Ok((value >> 1) as i64 ^ -((value & 1) as i64))
}

fn unsigned(data: &mut &[u8]) -> Result<u64, ParquetError> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *data.split_off_first().ok_or_else(broken)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(broken())
}
