//! Reading a pickle's opcodes and their arguments, without holding more than a buffer.

use std::io::{self, Read};
use std::rc::Rc;

/// Why reading a pickle ended before its STOP.
#[derive(Debug)]
pub(super) enum Fault {
    /// The bytes end.
    End,
    /// The bytes cannot be a pickle.
    Bad(String),
    /// It needs more memory than is allowed.
    Limit(&'static str),
    /// Reading failed, or was stopped.
    Read(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::End,
            _ => Fault::Read(error),
        }
    }
}

const BUFFER_BYTES: usize = 64 * 1024;
/// Longer texts are no names of modules or classes.
const NAME_BYTES_MAX: usize = 128;
/// A line is looked at up to here; the rest is skipped.
const LINE_BYTES_MAX: usize = 1024;

pub(super) struct Input<'a> {
    reader: Box<dyn Read + 'a>,
    buffer: Vec<u8>,
    at: usize,
    passed: u64,
}

impl<'a> Input<'a> {
    pub(super) fn new(reader: Box<dyn Read + 'a>) -> Input<'a> {
        Input { reader, buffer: Vec::new(), at: 0, passed: 0 }
    }

    /// How many bytes were taken.
    pub(super) fn offset(&self) -> u64 {
        self.passed + self.at as u64
    }

    /// Makes sure that a byte is there; false at the end.
    fn fill(&mut self) -> Result<bool, Fault> {
        if self.at < self.buffer.len() {
            return Ok(true);
        }
        self.passed += self.buffer.len() as u64;
        self.at = 0;
        self.buffer.resize(BUFFER_BYTES, 0);
        let count = loop {
            match self.reader.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.buffer.clear();
                    return Err(error.into());
                }
                Ok(count) => break count,
            }
        };
        self.buffer.truncate(count);
        Ok(count > 0)
    }

    /// Whether no byte is left.
    pub(super) fn is_at_end(&mut self) -> Result<bool, Fault> {
        Ok(!self.fill()?)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        self.fill()?;
        let byte = self.buffer.get(self.at).copied().ok_or(Fault::End)?;
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut array = [0; N];
        for byte in &mut array {
            *byte = self.byte()?;
        }
        Ok(array)
    }

    /// Calls `take` with `length` bytes, a piece at a time.
    fn pieces(&mut self, length: u64, mut take: impl FnMut(&[u8])) -> Result<(), Fault> {
        let mut left = length;
        while left > 0 {
            if !self.fill()? {
                return Err(Fault::End);
            }
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
            take(&rest[..count]);
            self.at += count;
            left -= count as u64;
        }
        Ok(())
    }

    pub(super) fn skip(&mut self, length: u64) -> Result<(), Fault> {
        self.pieces(length, |_| {})
    }

    /// A text of `length` bytes; `None` when it is too long to be a name.
    pub(super) fn text(&mut self, length: u64) -> Result<Option<Rc<str>>, Fault> {
        let mut bytes = Vec::new();
        self.pieces(length, |piece| {
            if length <= NAME_BYTES_MAX as u64 {
                bytes.extend_from_slice(piece);
            }
        })?;
        let short = length <= NAME_BYTES_MAX as u64;
        Ok(short.then(|| String::from_utf8_lossy(&bytes).into()))
    }

    /// The bytes up to a line feed, without it; `None` when they are too long to be of interest.
    pub(super) fn line(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        let mut line = Vec::new();
        let mut too_long = false;
        loop {
            if !self.fill()? {
                return Err(Fault::End);
            }
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            let end = memchr::memchr(b'\n', rest);
            let piece = &rest[..end.unwrap_or(rest.len())];
            if line.len() + piece.len() > LINE_BYTES_MAX {
                too_long = true;
            } else {
                line.extend_from_slice(piece);
            }
            self.at += piece.len() + usize::from(end.is_some());
            if end.is_some() {
                return Ok((!too_long).then_some(line));
            }
        }
    }

    /// A line that is a name.
    pub(super) fn name(&mut self) -> Result<Option<Rc<str>>, Fault> {
        Ok(self.line()?.filter(|line| line.len() <= NAME_BYTES_MAX).map(|line| lossy(&line)))
    }

    /// A line that is a decimal number.
    pub(super) fn number(&mut self) -> Result<Option<i64>, Fault> {
        let line = self.line()?.unwrap_or_default();
        let text = String::from_utf8_lossy(&line);
        Ok(text.trim().trim_end_matches('L').parse().ok())
    }

    /// The line of a STRING: quoted, with Python's escapes.
    pub(super) fn quoted(&mut self) -> Result<Option<Rc<str>>, Fault> {
        let Some(line) = self.line()? else { return Ok(None) };
        let line = line.trim_ascii();
        let inner = match line {
            [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
            other => other,
        };
        Ok(Some(lossy(&unescaped(inner))).filter(|text| text.len() <= NAME_BYTES_MAX))
    }

    /// The line of a UNICODE: raw, with `\uXXXX` and `\UXXXXXXXX`.
    pub(super) fn raw_unicode(&mut self) -> Result<Option<Rc<str>>, Fault> {
        let Some(line) = self.line()? else { return Ok(None) };
        let text = String::from_utf8_lossy(&line);
        let mut out = String::new();
        let mut rest = &*text;
        while let Some(at) = rest.find('\\') {
            let (before, escape) = rest.split_at(at);
            out.push_str(before);
            let digits = match escape.as_bytes().get(1) {
                Some(b'u') => 4,
                Some(b'U') => 8,
                _ => 0,
            };
            let code = escape.get(2..2 + digits).and_then(|hex| u32::from_str_radix(hex, 16).ok());
            match code.filter(|_| digits > 0) {
                Some(code) => {
                    out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    rest = &escape[2 + digits..];
                }
                None => {
                    out.push('\\');
                    rest = &escape[1..];
                }
            }
        }
        out.push_str(rest);
        Ok(Some(out.as_str().into()).filter(|_| out.len() <= NAME_BYTES_MAX))
    }
}

fn lossy(bytes: &[u8]) -> Rc<str> {
    String::from_utf8_lossy(bytes).into()
}

/// Resolves the escapes of a Python bytes literal.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let (byte, used) = match (first, after) {
            (b'\\', [b'x', high, low, ..]) => (hex_pair(*high, *low), 4),
            (b'\\', [digit @ b'0'..=b'7', ..]) => {
                let digits = after.iter().take(3).take_while(|d| (b'0'..=b'7').contains(d));
                let (count, value) = digits.fold((0, 0_u32), |(count, value), digit| {
                    (count + 1, value * 8 + u32::from(digit - b'0'))
                });
                let _ = digit;
                (Some((value & 0xff) as u8), 1 + count)
            }
            (b'\\', [letter, ..]) => (escaped(*letter), 2),
            _ => (Some(*first), 1),
        };
        match byte {
            Some(byte) => out.push(byte),
            None => out.extend_from_slice(&rest[..used.min(rest.len())]),
        }
        rest = &rest[used.min(rest.len())..];
    }
    out
}

fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(high)? * 16 + digit(low)?) as u8)
}

fn escaped(letter: u8) -> Option<u8> {
    Some(match letter {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'v' => 11,
        b'\\' | b'\'' | b'"' => letter,
        _ => return None,
    })
}
