//! Where the fields of a piece end.
//!
//! Sixty-four bytes at a time are compared with the delimiter and the line feed, and the results
//! gathered as bits of a word, whose set bits are the ends of fields. Where a quote, a carriage return or
//! a NUL is among them, or the block begins inside quotes, the strict rules of quoting are applied,
//! on words of bits too (after Geoff Langdale and Daniel Lemire, "Parsing Gigabytes of JSON per Second").

use super::CsvOptions;
use super::error::{Fault, Problem};

const BLOCK: usize = 64;

/// The ends of fields: `ends[0]` is one before the first byte, and field `i` is what lies between
/// `ends[i]` and `ends[i + 1]`, not included. There are `columns` fields to a record.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    ends: Vec<u32>,
    used: usize,
    /// Line feeds inside quotes.
    quoted_lines: u64,
}

/// What the strict rules need to know of the block before.
#[derive(Default)]
struct Before {
    /// All ones inside quotes.
    inside: u64,
    /// Whether its last byte ended a field, or was a closing quote, or a carriage return.
    ended: u64,
    closed: u64,
    returned: u64,
}

impl Tokens {
    /// Finds the ends of all fields. The piece begins with a record and ends with a line feed.
    /// On a fault, the tokens are those of what precedes it.
    pub(super) fn scan(
        &mut self,
        bytes: &[u8],
        options: &CsvOptions,
        fields_max: usize,
    ) -> Result<(), Fault> {
        self.restart(bytes.len());
        let mut before = Before { ended: 1, ..Before::default() };
        let (blocks, last) = bytes.as_chunks::<BLOCK>();
        let mut start = 0;
        for block in blocks {
            self.block(block, start, options, &mut before)?;
            start += BLOCK;
            if self.used + 2 * BLOCK > self.ends.len() {
                self.make_room(bytes, fields_max)?;
            }
        }
        // A byte that is neither UTF-8 nor of any dialect.
        let mut block = [0xff; BLOCK];
        for (to, from) in block.iter_mut().zip(last) {
            *to = *from;
        }
        self.block(&block, start, options, &mut before)?;
        if before.inside != 0 {
            let offset = first_field(bytes, self.last_end(), bytes.len());
            return Err(Fault { offset, problem: Problem::Unclosed });
        }
        Ok(())
    }

    fn restart(&mut self, bytes: usize) {
        let wanted = bytes / 8 + 4 * BLOCK;
        if self.ends.len() < wanted {
            self.ends.resize(wanted, 0);
        }
        self.ends[0] = u32::MAX;
        self.used = 1;
        self.quoted_lines = 0;
    }

    /// Doubles the room, unless what is there can only be one record of too many fields.
    #[cold]
    fn make_room(&mut self, bytes: &[u8], fields_max: usize) -> Result<(), Fault> {
        let ends = &self.ends[1..self.used];
        let recent = ends.len().saturating_sub(fields_max + 1);
        let is_line = |end: &u32| bytes.get(*end as usize) == Some(&b'\n');
        if recent > 0 && !ends[recent..].iter().any(is_line) {
            let line = ends.iter().rev().find(|end| is_line(end));
            let offset = line.map_or(0, |end| *end as usize + 1);
            return Err(Fault { offset, problem: Problem::TooManyFields { most: fields_max } });
        }
        self.ends.resize(2 * self.ends.len(), 0);
        Ok(())
    }

    #[inline]
    fn block(
        &mut self,
        block: &[u8; BLOCK],
        start: usize,
        options: &CsvOptions,
        before: &mut Before,
    ) -> Result<(), Fault> {
        let delimiter = options.delimiter;
        let quote = options.quote;
        let mut ends = [0_u8; BLOCK];
        let mut special = [0_u8; BLOCK];
        for (index, byte) in block.iter().enumerate() {
            ends[index] = u8::from(*byte == delimiter) | u8::from(*byte == b'\n');
            special[index] =
                u8::from(*byte == quote) | u8::from(*byte == b'\r') | u8::from(*byte == 0);
        }
        let strict = special.iter().fold(0, |any, byte| any | byte) as u64
            | before.inside
            | before.closed
            | before.returned;
        if strict != 0 {
            return self.strict_block(block, start, options, before);
        }
        let ends = bits(&ends);
        before.ended = ends >> 63;
        self.push(ends, start);
        Ok(())
    }

    #[inline(never)]
    fn strict_block(
        &mut self,
        block: &[u8; BLOCK],
        start: usize,
        options: &CsvOptions,
        before: &mut Before,
    ) -> Result<(), Fault> {
        let quotes = bits_of(block, options.quote);
        let line_feeds = bits_of(block, b'\n');
        let nul = bits_of(block, 0);
        let inside = parity(quotes) ^ before.inside;
        let ends = (bits_of(block, options.delimiter) | line_feeds) & !inside;
        let opening = quotes & inside;
        let closing = quotes & !inside;
        let returns = bits_of(block, b'\r') & !inside;

        // A quote opens a field where one begins, or follows the closing quote that it doubles.
        let stray = opening & !(((ends | closing) << 1) | before.ended | before.closed);
        let after_closing = (closing << 1) | before.closed;
        let trailing = after_closing & !(ends | returns | opening);
        let bare = ((returns << 1) | before.returned) & !line_feeds;

        // Bits after the first fault mean nothing, but they are not looked at.
        let fault = stray | trailing | bare | nul;
        let sound = if fault == 0 { u64::MAX } else { (fault & fault.wrapping_neg()) - 1 };
        self.quoted_lines += u64::from((line_feeds & inside).count_ones());
        self.push(ends & sound, start);
        if fault != 0 {
            let first = fault & fault.wrapping_neg();
            let offset = start + first.trailing_zeros() as usize;
            return Err(if bare & first != 0 {
                Fault { offset: offset - 1, problem: Problem::BareCarriageReturn }
            } else if nul & first != 0 {
                Fault { offset, problem: Problem::Nul }
            } else if trailing & first != 0 {
                Fault { offset, problem: Problem::AfterQuote }
            } else {
                Fault { offset, problem: Problem::StrayQuote }
            });
        }
        before.inside = 0_u64.wrapping_sub(inside >> 63);
        before.ended = ends >> 63;
        before.closed = closing >> 63;
        before.returned = returns >> 63;
        Ok(())
    }

    /// Notes the set bits. Twelve are written at once, whether set or not, because a loop that ends at
    /// an unforeseeable number is slow.
    #[inline]
    fn push(&mut self, mut mask: u64, start: usize) {
        let count = mask.count_ones() as usize;
        let Some(room) = self.ends.get_mut(self.used..) else { return };
        let Some(room) = room.first_chunk_mut::<BLOCK>() else { return };
        // Pieces are far smaller than 4 GiB.
        #[allow(clippy::cast_possible_truncation, reason = "see RECORD_BYTES_MAX")]
        let start = start as u32;
        for end in &mut room[..12] {
            *end = start.wrapping_add(mask.trailing_zeros());
            mask &= mask.wrapping_sub(1);
        }
        if count > 12 {
            for end in &mut room[12..count] {
                *end = start.wrapping_add(mask.trailing_zeros());
                mask &= mask.wrapping_sub(1);
            }
        }
        self.used += count;
    }

    /// Offset after the last end.
    fn last_end(&self) -> usize {
        self.ends[self.used - 1].wrapping_add(1) as usize
    }

    /// Number of fields.
    pub(super) fn fields(&self) -> usize {
        self.used - 1
    }

    /// The bounds of a field.
    #[inline]
    pub(super) fn field(&self, index: usize) -> (usize, usize) {
        (self.ends[index].wrapping_add(1) as usize, self.ends[index + 1] as usize)
    }

    /// The ends from field `first` on, with the one before it.
    #[inline]
    pub(super) fn ends_from(&self, first: usize) -> &[u32] {
        &self.ends[first..self.used]
    }

    /// Takes out blank lines, checks that every record has as many fields as there are columns, and
    /// returns the number of records. `lines` are all line feeds of the piece.
    ///
    /// On a fault, the records are those before it. What a blank line held is left at the beginning
    /// of the field after it ([`first_field`]).
    pub(super) fn records(
        &mut self,
        bytes: &[u8],
        lines: u64,
        columns: usize,
    ) -> (usize, Result<(), Fault>) {
        let lines = lines.saturating_sub(self.quoted_lines) as usize;
        if columns > 1 && Some(self.fields()) == lines.checked_mul(columns) {
            let last_fields = self.ends[1..self.used].iter().skip(columns - 1).step_by(columns);
            // As many line feeds as records, each at the end of one: so no other end is a line feed.
            if last_fields.fold(true, |all, end| all & (bytes[*end as usize] == b'\n')) {
                return (lines, Ok(()));
            }
        }
        self.compact(bytes, columns)
    }

    #[cold]
    fn compact(&mut self, bytes: &[u8], columns: usize) -> (usize, Result<(), Fault>) {
        let (mut kept, mut records, mut fields, mut start) = (1, 0, 0, 0);
        for index in 1..self.used {
            let end = self.ends[index];
            let is_line = bytes[end as usize] == b'\n';
            if is_line && fields == 0 && matches!(&bytes[start..end as usize], b"" | b"\r") {
                start = end as usize + 1;
                continue;
            }
            self.ends[kept] = end;
            kept += 1;
            fields += 1;
            if is_line {
                if fields != columns {
                    let problem = Problem::Ragged { found: fields, expected: columns };
                    self.used = records * columns + 1;
                    return (records, Err(Fault { offset: start, problem }));
                }
                records += 1;
                fields = 0;
                start = end as usize + 1;
            }
        }
        self.used = records * columns + 1;
        (records, Ok(()))
    }
}

/// Where the first field of a record begins: after what is left of blank lines.
#[inline]
pub(super) fn first_field(bytes: &[u8], mut start: usize, end: usize) -> usize {
    while start < end && matches!(bytes[start], b'\n' | b'\r') {
        start += 1;
    }
    start
}

/// One bit for each byte, which is 0 or 1.
#[inline]
fn bits(bytes: &[u8; BLOCK]) -> u64 {
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().enumerate().fold(0, |bits, (index, word)| {
        let gathered = u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits | (gathered << (8 * index))
    })
}

#[inline]
fn bits_of(block: &[u8; BLOCK], wanted: u8) -> u64 {
    bits(&block.map(|byte| u8::from(byte == wanted)))
}

/// For each bit, the parity of the bits up to and with it.
fn parity(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}
