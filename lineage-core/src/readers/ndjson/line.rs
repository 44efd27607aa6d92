//! The lines of a text file.

use std::io::{BufRead, BufReader, ErrorKind, Read};

use crate::readers::ReadError;

/// A line longer than this is refused rather than held in memory.
const LINE_BYTES_MAX: usize = 64 << 20;

const BOM: &[u8] = "\u{feff}".as_bytes();

pub(super) struct Lines<R: Read> {
    reader: BufReader<R>,
    buffer: Vec<u8>,
    line: u64,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(source: R) -> Lines<R> {
        Lines { reader: BufReader::with_capacity(256 << 10, source), buffer: Vec::new(), line: 0 }
    }

    /// The next line that is not blank, and its number.
    pub(super) fn next(&mut self) -> Result<Option<(&str, u64)>, ReadError> {
        loop {
            if !self.fill()? {
                return Ok(None);
            }
            let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
            if !self.buffer.iter().all(blank) {
                break;
            }
        }
        let text = std::str::from_utf8(&self.buffer).map_err(|error| {
            let at = error.valid_up_to() + 1;
            ReadError::line(self.line, format!("byte {at} of it is not valid UTF-8"))
        })?;
        Ok(Some((text, self.line)))
    }

    /// Reads one line; false at the end.
    fn fill(&mut self) -> Result<bool, ReadError> {
        self.buffer.clear();
        self.line += 1;
        loop {
            let chunk = match self.reader.fill_buf() {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                chunk => chunk?,
            };
            let end = memchr::memchr(b'\n', chunk);
            let length = end.map_or(chunk.len(), |at| at + 1);
            if self.buffer.len() + length > LINE_BYTES_MAX {
                let problem = format!("it has more than {LINE_BYTES_MAX} bytes");
                return Err(ReadError::line(self.line, problem));
            }
            self.buffer.extend_from_slice(&chunk[..length]);
            self.reader.consume(length);
            if end.is_some() || length == 0 {
                break;
            }
        }
        let found = !self.buffer.is_empty();
        if self.line == 1 && self.buffer.starts_with(BOM) {
            self.buffer.drain(..BOM.len());
        }
        Ok(found)
    }
}
