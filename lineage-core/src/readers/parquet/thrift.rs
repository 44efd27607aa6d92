//! The compact protocol of Thrift, as far as is needed to check sizes before the decoder trusts them.

use parquet::errors::ParquetError;

/// Structures in structures: the format has fewer than ten.
const DEPTH_MAX: u8 = 32;

/// No structure that the format puts in lists takes less.
const LISTED_STRUCTURE_BYTES_MIN: usize = 3;

/// The kinds of fields that are looked at.
pub(super) const TRUE: u8 = 1;
pub(super) const FALSE: u8 = 2;
pub(super) const I32: u8 = 5;
pub(super) const LIST: u8 = 9;
pub(super) const STRUCTURE: u8 = 12;

/// Why a structure cannot be read.
#[derive(Debug)]
pub(super) enum Fault {
    /// The bytes end before it does.
    Ends,
    /// It breaks the rules.
    Broken,
}

impl From<Fault> for ParquetError {
    fn from(fault: Fault) -> ParquetError {
        let problem = match fault {
            Fault::Ends => "a description ends too early",
            Fault::Broken => "a description is broken",
        };
        ParquetError::General(problem.to_owned())
    }
}

/// A cursor on encoded structures.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, position: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    fn left(&self) -> usize {
        self.bytes.len() - self.position
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        let byte = *self.bytes.get(self.position).ok_or(Fault::Ends)?;
        self.position += 1;
        Ok(byte)
    }

    fn unsigned(&mut self) -> Result<u64, Fault> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Fault::Broken)
    }

    pub(super) fn i32(&mut self) -> Result<i32, Fault> {
        let value = self.unsigned()?;
        let value = (value >> 1) as i64 ^ -((value & 1) as i64);
        i32::try_from(value).map_err(|_| Fault::Broken)
    }

    fn pass(&mut self, count: u64) -> Result<(), Fault> {
        let count = usize::try_from(count).map_err(|_| Fault::Ends)?;
        if count > self.left() {
            return Err(Fault::Ends);
        }
        self.position += count;
        Ok(())
    }

    /// The number and the kind of the next field; none at the end of the structure.
    pub(super) fn field(&mut self, last: &mut i16) -> Result<Option<(i16, u8)>, Fault> {
        let head = self.byte()?;
        if head & 0x0f == 0 {
            return Ok(None);
        }
        let number = match head >> 4 {
            0 => i16::try_from(self.i32()?).map_err(|_| Fault::Broken)?,
            delta => last.checked_add(i16::from(delta)).ok_or(Fault::Broken)?,
        };
        *last = number;
        Ok(Some((number, head & 0x0f)))
    }

    /// The kind and the number of a list's elements.
    pub(super) fn list(&mut self) -> Result<(u8, usize), Fault> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => self.unsigned()?,
            count => u64::from(count),
        };
        let count = usize::try_from(count).map_err(|_| Fault::Broken)?;
        if count > self.left() {
            return Err(Fault::Ends);
        }
        Ok((head & 0x0f, count))
    }

    /// Each structure of a list, which `each` must consume.
    pub(super) fn structures(
        &mut self,
        mut each: impl FnMut(&mut Cursor<'a>) -> Result<(), Fault>,
    ) -> Result<usize, Fault> {
        let start = self.position;
        let (kind, count) = self.list()?;
        if count > 0 && kind != STRUCTURE {
            return Err(Fault::Broken);
        }
        for _ in 0..count {
            each(self)?;
        }
        // The decoder takes memory for each element before it looks at the first.
        if self.position - start < count.saturating_mul(LISTED_STRUCTURE_BYTES_MIN) {
            return Err(Fault::Broken);
        }
        Ok(count)
    }

    /// Passes over a field of this kind.
    pub(super) fn skip(&mut self, kind: u8) -> Result<(), Fault> {
        self.skip_at(kind, DEPTH_MAX)
    }

    fn skip_at(&mut self, kind: u8, depth: u8) -> Result<(), Fault> {
        let depth = depth.checked_sub(1).ok_or(Fault::Broken)?;
        match kind {
            TRUE | FALSE => Ok(()),
            3 => self.pass(1),
            4..=6 => self.unsigned().map(drop),
            7 => self.pass(8),
            8 => {
                let length = self.unsigned()?;
                self.pass(length)
            }
            LIST | 10 => self.skip_list(depth),
            STRUCTURE => {
                let mut last = 0;
                while let Some((_, kind)) = self.field(&mut last)? {
                    self.skip_at(kind, depth)?;
                }
                Ok(())
            }
            // The format has no maps.
            _ => Err(Fault::Broken),
        }
    }

    fn skip_list(&mut self, depth: u8) -> Result<(), Fault> {
        let start = self.position;
        let (kind, count) = self.list()?;
        for _ in 0..count {
            match kind {
                // In a list a truth value takes a byte.
                TRUE | FALSE => self.pass(1)?,
                kind => self.skip_at(kind, depth)?,
            }
        }
        let structures = if kind == STRUCTURE { count } else { 0 };
        if self.position - start < structures.saturating_mul(LISTED_STRUCTURE_BYTES_MIN) {
            return Err(Fault::Broken);
        }
        Ok(())
    }
}
