//! Cuts the bytes of a CSV into pieces of whole records.
//!
//! A line feed ends a record when an even number of quotes precedes it. That is true as long as every
//! quote opens or closes a field, and a quote that does neither is an error of the piece that holds
//! it: all cuts before the first such quote are right, so the piece begins with a record, and
//! whoever parses it meets the quote. Cuts after it may be wrong, but the first piece's error counts.

use memchr::{memchr2, memrchr, memrchr2_iter};

use super::error::{CsvError, Fault, Problem, count};
use super::fields::unquoted;
use super::tokens::Tokens;
use super::{COLUMNS_MAX, CsvOptions, RECORD_BYTES_MAX};

/// A piece has about this many bytes.
pub(crate) const PIECE_BYTES: usize = 1 << 20;
/// This many buffers are kept for use again.
const SPARE_MAX: usize = 8;

/// Some whole records, without the header. They end with a line feed, which is added to the last.
#[derive(Debug)]
pub(crate) struct Piece {
    pub bytes: Vec<u8>,
    /// Line feeds among them.
    pub lines: u64,
    pub first_byte_offset: u64,
    pub first_line: u64,
}

/// Makes pieces of the chunks that it is given. They are a function of the bytes, not of the chunks.
#[derive(Debug)]
pub(crate) struct Cutter {
    options: CsvOptions,
    piece_bytes: usize,
    /// All bytes since the last cut.
    buffer: Vec<u8>,
    /// So many of them were searched: they hold no end of a record.
    searched: usize,
    /// Whether they hold an odd number of quotes.
    open: bool,
    /// The buffer is searched when it has so many.
    wanted: usize,
    byte_offset: u64,
    line: u64,
    begun: bool,
    columns: Option<Vec<String>>,
    spare: Vec<Vec<u8>>,
}

impl Cutter {
    /// A cutter of pieces of about that size.
    pub(crate) fn new(options: CsvOptions, piece_bytes: usize) -> Cutter {
        let piece_bytes = piece_bytes.max(4);
        Cutter {
            options,
            piece_bytes,
            buffer: Vec::with_capacity(piece_bytes + 1),
            searched: 0,
            open: false,
            wanted: piece_bytes,
            byte_offset: 0,
            line: 1,
            begun: false,
            columns: None,
            spare: Vec::new(),
        }
    }

    /// The names of the columns; known when the first piece is there, or the end of the file.
    pub(crate) fn columns(&self) -> Option<&[String]> {
        self.columns.as_deref()
    }

    /// Takes bytes from the chunk until a piece is full. `None`: all were taken.
    pub(crate) fn push(&mut self, chunk: &mut &[u8]) -> Result<Option<Piece>, CsvError> {
        while !chunk.is_empty() {
            let room = self.wanted.saturating_sub(self.buffer.len()).min(chunk.len());
            let (taken, rest) = chunk.split_at(room);
            self.buffer.extend_from_slice(taken);
            *chunk = rest;
            if self.buffer.len() >= self.wanted
                && let Some(piece) = self.cut()?
            {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    /// What is left after the last chunk.
    pub(crate) fn finish(&mut self) -> Result<Option<Piece>, CsvError> {
        self.begin()?;
        let quotes =
            count(self.buffer.get(self.searched..).unwrap_or_default(), self.options.quote);
        self.open ^= quotes % 2 == 1;
        match self.buffer.last() {
            None | Some(b'\n') => {}
            // The line feed that is added must not complete a line end: this one remains an error.
            Some(b'\r') => self.buffer.extend_from_slice(b"\r\n"),
            Some(_) => self.buffer.push(b'\n'),
        }
        let piece = self.take(self.buffer.len())?;
        if self.columns.is_none() {
            return Err(self.fail(Fault { offset: 0, problem: Problem::NoHeader }));
        }
        Ok(piece)
    }

    /// Takes back a piece that is done with, so that its memory is used again.
    pub(crate) fn recycle(&mut self, piece: Piece) {
        if self.spare.len() < SPARE_MAX && piece.bytes.capacity() <= 4 * self.piece_bytes {
            self.spare.push(piece.bytes);
        }
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Skips the byte order mark.
    fn begin(&mut self) -> Result<(), CsvError> {
        if self.begun {
            return Ok(());
        }
        self.begun = true;
        if self.buffer.starts_with(b"\xff\xfe") || self.buffer.starts_with(b"\xfe\xff") {
            return Err(self.fail(Fault { offset: 0, problem: Problem::Utf16 }));
        }
        if self.buffer.starts_with(b"\xef\xbb\xbf") {
            self.buffer.drain(..3);
            self.byte_offset = 3;
        }
        Ok(())
    }

    /// A piece up to the end of the last record in the buffer.
    fn cut(&mut self) -> Result<Option<Piece>, CsvError> {
        self.begin()?;
        let fresh = self.buffer.get(self.searched..).unwrap_or_default();
        let quotes = count(fresh, self.options.quote);
        self.open ^= quotes % 2 == 1;
        let end = if quotes == 0 && !self.open {
            memrchr(b'\n', fresh)
        } else {
            let mut open = self.open;
            memrchr2_iter(self.options.quote, b'\n', fresh).find(|at| {
                let is_quote = fresh.get(*at) == Some(&self.options.quote);
                open ^= is_quote;
                !is_quote && !open
            })
        };
        let Some(end) = end else {
            self.searched = self.buffer.len();
            self.wanted = self.buffer.len() + self.piece_bytes;
            if self.buffer.len() > RECORD_BYTES_MAX {
                let problem = Problem::RecordTooLong { most_bytes: RECORD_BYTES_MAX };
                return Err(self.fail(self.earlier_or(Fault { offset: 0, problem })));
            }
            return Ok(None);
        };
        self.take(self.searched + end + 1)
    }

    /// Takes the first bytes out of the buffer, which end a record. The rest ends none.
    fn take(&mut self, length: usize) -> Result<Option<Piece>, CsvError> {
        let mut rest = self.spare.pop().unwrap_or_default();
        rest.clear();
        rest.extend_from_slice(self.buffer.get(length..).unwrap_or_default());
        rest.reserve((self.piece_bytes + 1).saturating_sub(rest.len()));
        self.buffer.truncate(length);
        self.searched = rest.len();
        self.wanted = self.piece_bytes.max(rest.len() + 1);
        let head = if self.columns.is_none() { self.read_head()? } else { 0 };
        let mut bytes = std::mem::replace(&mut self.buffer, rest);
        self.byte_offset += head as u64;
        self.line += count(bytes.get(..head).unwrap_or_default(), b'\n');
        bytes.drain(..head);
        let lines = count(&bytes, b'\n');
        let (first_byte_offset, first_line) = (self.byte_offset, self.line);
        let piece = Piece { bytes, lines, first_byte_offset, first_line };
        self.byte_offset += piece.bytes.len() as u64;
        self.line += lines;
        if piece.bytes.is_empty() {
            return Ok(None);
        }
        Ok(Some(piece))
    }

    /// Reads the names of the columns at the beginning of the buffer, and returns how many bytes are
    /// no rows.
    fn read_head(&mut self) -> Result<usize, CsvError> {
        let mut start = 0;
        while let Some(line) = self.buffer.get(start..).filter(|rest| !rest.is_empty()) {
            let blank = if line.starts_with(b"\r\n") { 2 } else { usize::from(line[0] == b'\n') };
            if blank == 0 {
                let record = line.get(..record_length(line, self.options.quote)).unwrap_or(line);
                let (names, length) = names(record, &self.options).map_err(|mut fault| {
                    fault.offset += start;
                    self.fail(fault)
                })?;
                self.columns = Some(names);
                return Ok(start + if self.options.header { length } else { 0 });
            }
            start += blank;
        }
        Ok(start)
    }

    fn fail(&self, fault: Fault) -> CsvError {
        fault.locate(&self.buffer, self.byte_offset, self.line)
    }

    /// That fault of the buffer, or the quote that may be its cause.
    fn earlier_or(&self, fault: Fault) -> Fault {
        let mut tokens = Tokens::default();
        let fields_max = self.columns.as_ref().map_or(COLUMNS_MAX, Vec::len);
        match tokens.scan(&self.buffer, &self.options, fields_max) {
            Err(earlier) if earlier.problem != Problem::Unclosed => earlier,
            _ => fault,
        }
    }
}

/// The length of the first record with its line feed.
fn record_length(bytes: &[u8], quote: u8) -> usize {
    let (mut at, mut open) = (0, false);
    while let Some(next) = bytes.get(at..).and_then(|rest| memchr2(quote, b'\n', rest)) {
        at += next + 1;
        if bytes.get(at - 1) == Some(&quote) {
            open = !open;
        } else if !open {
            return at;
        }
    }
    bytes.len()
}

/// The names of the columns by the first record, and its length.
fn names(record: &[u8], options: &CsvOptions) -> Result<(Vec<String>, usize), Fault> {
    let mut tokens = Tokens::default();
    tokens.scan(record, options, COLUMNS_MAX)?;
    if tokens.fields() > COLUMNS_MAX {
        return Err(Fault { offset: 0, problem: Problem::TooManyFields { most: COLUMNS_MAX } });
    }
    if !options.header {
        let names = (1..=tokens.fields()).map(|number| format!("column_{number}"));
        return Ok((names.collect(), record.len()));
    }
    if let Err(error) = std::str::from_utf8(record) {
        return Err(Fault { offset: error.valid_up_to(), problem: Problem::NotUtf8 });
    }
    let names = (0..tokens.fields()).map(|index| {
        let (start, end) = tokens.field(index);
        let field = record.get(start..end).unwrap_or_default();
        let field = field.strip_suffix(b"\r").unwrap_or(field);
        String::from_utf8_lossy(&unquoted(field, options.quote)).into_owned()
    });
    Ok((names.collect(), record.len()))
}
