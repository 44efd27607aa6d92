//! Protocol buffers, as little of them as ONNX needs: fields one after the other, nested messages as
//! parts of the file.

use std::io::{self, Read};

use super::source::Region;

/// One field of a message.
pub(super) struct Field<'a> {
    pub(super) number: u64,
    pub(super) value: Wire<'a>,
}

pub(super) enum Wire<'a> {
    Number(u64),
    /// Text, bytes, packed numbers or a message.
    Bytes(Region<'a>),
    Fixed,
}

/// Texts are kept up to here.
const TEXT_BYTES_MAX: u64 = 4096;

impl Field<'_> {
    pub(super) fn number_value(&self) -> u64 {
        if let Wire::Number(number) = self.value { number } else { 0 }
    }

    /// The beginning of a text.
    pub(super) fn text(&self) -> io::Result<String> {
        let Wire::Bytes(region) = self.value else { return Ok(String::new()) };
        let mut bytes = Vec::new();
        region.reader().take(TEXT_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Reads the fields of a message.
pub(super) struct Message<'a> {
    region: Region<'a>,
    at: u64,
    /// Bytes read ahead: small fields are many.
    buffer: Vec<u8>,
    buffer_at: u64,
}

const AHEAD_BYTES: u64 = 512;

impl<'a> Message<'a> {
    pub(super) fn new(region: Region<'a>) -> Message<'a> {
        Message { region, at: 0, buffer: Vec::new(), buffer_at: 0 }
    }

    /// The next field; `None` at the end of the message.
    pub(super) fn next(&mut self) -> io::Result<Option<Field<'a>>> {
        if self.at >= self.region.len() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Wire::Number(self.varint()?),
            1 => self.fixed(8)?,
            5 => self.fixed(4)?,
            2 => {
                let length = self.varint()?;
                let inside = self.region.slice(self.at, length);
                self.at = self.at.saturating_add(length);
                Wire::Bytes(inside.ok_or(io::ErrorKind::UnexpectedEof)?)
            }
            _ => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a field of no known kind"));
            }
        };
        Ok(Some(Field { number: tag >> 3, value }))
    }

    fn fixed(&mut self, bytes: u64) -> io::Result<Wire<'a>> {
        self.at += bytes;
        if self.at > self.region.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Wire::Fixed)
    }

    fn varint(&mut self) -> io::Result<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "a number without an end"))
    }

    fn byte(&mut self) -> io::Result<u8> {
        let ahead = |message: &Message<'_>| {
            let index = usize::try_from(message.at.checked_sub(message.buffer_at)?).ok()?;
            message.buffer.get(index).copied()
        };
        let byte = match ahead(self) {
            Some(byte) => byte,
            None => {
                let left = self.region.len().saturating_sub(self.at).min(AHEAD_BYTES);
                self.buffer = self.region.bytes_at(self.at, left as usize)?;
                self.buffer_at = self.at;
                ahead(self).ok_or(io::ErrorKind::UnexpectedEof)?
            }
        };
        self.at += 1;
        Ok(byte)
    }
}

/// Reads repeated numbers, which may be packed or stand alone.
pub(super) fn numbers(field: &Field<'_>, mut take: impl FnMut(u64)) -> io::Result<()> {
    match field.value {
        Wire::Number(number) => take(number),
        Wire::Bytes(region) => {
            let mut message = Message::new(region);
            while message.at < region.len() {
                take(message.varint()?);
            }
        }
        Wire::Fixed => {}
    }
    Ok(())
}
