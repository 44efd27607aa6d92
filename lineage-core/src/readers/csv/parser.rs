//! Pieces to batches.

use std::sync::Arc;

use crate::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use crate::arrow::datatypes::{Field, Schema};
use crate::arrow::error::ArrowError;

use super::column::Column;
use super::cutter::Piece;
use super::error::{CsvError, Fault, Problem, not_utf8};
use super::fields::{GROUP, Place, Rows, single_quotes};
use super::tokens::Tokens;
use super::{CsvOptions, DeclaredColumn, RECORD_BYTES_MAX};
use crate::readers::text::{Classes, times};
use crate::table::ColumnKind;

/// Characters of a text that an error shows.
const SHOWN_CHARS: usize = 60;

/// How the pieces of a CSV are read. Any number of threads share one.
///
/// Why one pass with guessed kinds finds the true ones: the kind is a function of the union of the
/// classes of all values, whatever the guess. So each value must either have its class noted, or the
/// note must not matter any more. A value that fits the guessed kind has one of a few classes, and the
/// conversion tells which (an int in a column of floats, a date in one of timestamps), with the remarks
/// that matter once other pieces are joined: sign and size of ints, fraction and range of times.
/// At the first value that does not fit, the column stops being built and every value is classified
/// by its text, until its kind is `string`, which no further class can change. A column guessed as
/// `string` is not looked at, because such a guess comes from values of the file.
#[derive(Debug, Clone)]
pub(crate) struct Parser {
    options: CsvOptions,
    /// Fields of a record.
    width: usize,
    columns: Vec<Planned>,
}

#[derive(Debug, Clone)]
struct Planned {
    index: usize,
    name: String,
    kind: ColumnKind,
    declared: bool,
}

/// What a thread keeps from piece to piece.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    tokens: Tokens,
    text_bytes: Vec<usize>,
}

/// The rows of a piece.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// A column of the type `Null` stands for one that is contradicted.
    pub batch: RecordBatch,
    /// For each column of the batch: the classes that occurred.
    pub classes: Vec<Classes>,
    /// For each column of the batch: whether a value did not fit its guessed kind.
    pub contradicted: Vec<bool>,
}

/// The classes among the rows of a piece, as a guess. Errors are left to whoever parses it.
pub(crate) fn guess(options: CsvOptions, names: &[String], piece: &Piece) -> Vec<Classes> {
    let nothing = vec![Classes::NONE; names.len()];
    match Parser::new(options, names, None, &nothing) {
        Ok(parser) => match parser.parse(piece, &mut Scratch::default()) {
            Ok(parsed) => parsed.classes,
            Err(_) => nothing,
        },
        Err(_) => nothing,
    }
}

impl Parser {
    /// A parser of all columns. Kinds that are not declared are those of the guess.
    pub(crate) fn new(
        options: CsvOptions,
        names: &[String],
        declared: Option<&[DeclaredColumn]>,
        guessed: &[Classes],
    ) -> Result<Parser, CsvError> {
        if let Some(declared) = declared {
            check_names(names, declared)?;
        }
        let planned = names.iter().enumerate().map(|(index, name)| {
            let kind = declared.and_then(|columns| columns.get(index)?.kind.clone());
            let guess = || guessed.get(index).copied().unwrap_or_default().kind();
            let declared = kind.is_some();
            Planned { index, name: name.clone(), kind: kind.unwrap_or_else(guess), declared }
        });
        let columns: Vec<Planned> = planned.collect();
        for planned in &columns {
            if Column::new(planned.index, &planned.kind, true, 0, 0).is_none() {
                let (column, kind) = (planned.name.clone(), planned.kind.clone());
                return Err(of_whole_file(Problem::Kind { column, kind }));
            }
        }
        Ok(Parser { options, width: names.len(), columns })
    }

    /// For each column of its batches, the place in a record and the kind.
    pub(crate) fn columns(&self) -> impl ExactSizeIterator<Item = (usize, &ColumnKind)> {
        self.columns.iter().map(|planned| (planned.index, &planned.kind))
    }

    /// What is left to do after all pieces were parsed once, given the union of the classes of each
    /// column of the batches: a parser of the columns whose kind is another than guessed, by their true
    /// kinds, or nothing. Declared kinds are checked where that takes the whole column.
    pub(crate) fn second_pass(&self, classes: &[Classes]) -> Result<Option<Parser>, CsvError> {
        let mut columns = Vec::new();
        for (planned, classes) in self.columns.iter().zip(classes) {
            if planned.declared {
                if classes.no_one_unit() {
                    let (column, kind) = (planned.name.clone(), planned.kind.clone());
                    return Err(of_whole_file(Problem::NoOneUnit { column, kind }));
                }
            } else if classes.kind() != planned.kind {
                columns.push(Planned { kind: classes.kind(), ..planned.clone() });
            }
        }
        let parser = Parser { options: self.options, width: self.width, columns };
        Ok((!parser.columns.is_empty()).then_some(parser))
    }

    /// The rows of a piece.
    pub(crate) fn parse(&self, piece: &Piece, scratch: &mut Scratch) -> Result<Parsed, CsvError> {
        let located =
            |fault: Fault| fault.locate(&piece.bytes, piece.first_byte_offset, piece.first_line);
        self.parse_lines(&piece.bytes, piece.lines, scratch).map_err(located)
    }

    fn parse_lines(
        &self,
        bytes: &[u8],
        lines: u64,
        scratch: &mut Scratch,
    ) -> Result<Parsed, Fault> {
        let Scratch { tokens, text_bytes } = scratch;
        let scanned = tokens.scan(bytes, &self.options, self.width);
        let (count, arranged) = tokens.records(bytes, lines, self.width);
        text_bytes.resize(self.columns.len(), 0);
        let mut columns = Vec::with_capacity(self.columns.len());
        for (planned, text_bytes) in self.columns.iter().zip(text_bytes.iter()) {
            let Planned { index, kind, declared, .. } = planned;
            columns.extend(Column::new(*index, kind, *declared, count, *text_bytes));
        }
        for first in (0..count).step_by(GROUP) {
            let rows = Rows {
                bytes,
                ends: tokens.ends_from(first * self.width),
                columns: self.width,
                count: GROUP.min(count - first),
                quote: self.options.quote,
            };
            self.read_group(&rows, &mut columns)?;
        }
        arranged.and(scanned)?;
        check_lengths(bytes, tokens, count, self.width)?;
        for (text_bytes, column) in text_bytes.iter_mut().zip(&columns) {
            *text_bytes = column.text_bytes();
        }
        self.finish(bytes, columns, count)
    }

    fn read_group(&self, rows: &Rows<'_>, columns: &mut [Column]) -> Result<(), Fault> {
        let mut first: Option<(Place, usize)> = None;
        for (number, column) in columns.iter_mut().enumerate() {
            if let Err(place) = column.read(rows)
                && first.is_none_or(|(other, _)| place.start < other.start)
            {
                first = Some((place, number));
            }
        }
        match first {
            None => Ok(()),
            Some((place, number)) => {
                let problem = self.misfit(rows.text(place), number);
                Err(Fault { offset: place.start, problem })
            }
        }
    }

    fn misfit(&self, text: &[u8], number: usize) -> Problem {
        let text = single_quotes(text, self.options.quote);
        let (column, kind) = match self.columns.get(number) {
            Some(planned) => (planned.name.clone(), planned.kind.clone()),
            None => (String::new(), ColumnKind::Null),
        };
        let moment = times::moment(&text);
        let would_fit = match kind {
            ColumnKind::Timestamp => moment.is_some_and(|moment| !moment.is_instant()),
            ColumnKind::Instant => moment.is_some_and(|moment| moment.is_instant()),
            _ => false,
        };
        if would_fit {
            return Problem::NoOneUnit { column, kind };
        }
        let text = String::from_utf8_lossy(&text).chars().take(SHOWN_CHARS).collect();
        Problem::Value { column, kind, text }
    }

    fn finish(&self, bytes: &[u8], columns: Vec<Column>, rows: usize) -> Result<Parsed, Fault> {
        let classes = columns.iter().map(|column| column.classes).collect();
        let contradicted: Vec<bool> = columns.iter().map(Column::is_survey).collect();
        // What is built is UTF-8: strings are checked by Arrow, texts of other kinds are ASCII. A second
        // pass, over few columns, meets what the first has checked.
        if contradicted.contains(&true)
            && let Some(fault) = not_utf8(bytes, bytes.len())
        {
            return Err(fault);
        }
        let arrays: Result<Vec<ArrayRef>, ArrowError> =
            columns.into_iter().map(|column| column.finish(rows)).collect();
        let batch = arrays.and_then(|arrays| {
            let fields = self.columns.iter().zip(&arrays).map(|(planned, array)| {
                Field::new(planned.name.as_str(), array.data_type().clone(), true)
            });
            let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            RecordBatch::try_new_with_options(schema, arrays, &options)
        });
        match batch {
            Ok(batch) => Ok(Parsed { batch, classes, contradicted }),
            Err(error) => Err(not_utf8(bytes, bytes.len())
                .unwrap_or(Fault { offset: 0, problem: Problem::Arrow(error.to_string()) })),
        }
    }
}

/// The names must be exactly the declared ones, in their order.
fn check_names(names: &[String], declared: &[DeclaredColumn]) -> Result<(), CsvError> {
    let declared_name = |index: usize| declared.get(index).map(|column| &column.name);
    let most = names.len().max(declared.len());
    let Some(at) = (0..most).find(|index| names.get(*index) != declared_name(*index)) else {
        return Ok(());
    };
    let problem = match (names.get(at), declared_name(at)) {
        (Some(found), Some(wanted)) => {
            format!("column {} is \"{found}\", the schema says \"{wanted}\"", at + 1)
        }
        (Some(found), None) => format!("column {} \"{found}\" is not in the schema", at + 1),
        (None, _) => format!("it has {at} columns, the schema says {}", declared.len()),
    };
    Err(of_whole_file(Problem::Columns(problem)))
}

fn of_whole_file(problem: Problem) -> CsvError {
    CsvError { line: 1, byte_offset: 0, problem }
}

/// Records that are longer than allowed: only a piece that is longer can have one.
fn check_lengths(bytes: &[u8], tokens: &Tokens, count: usize, width: usize) -> Result<(), Fault> {
    if bytes.len() <= RECORD_BYTES_MAX {
        return Ok(());
    }
    for record in 0..count {
        let (start, _) = tokens.field(record * width);
        let (_, end) = tokens.field(record * width + width - 1);
        if end - start > RECORD_BYTES_MAX {
            let problem = Problem::RecordTooLong { most_bytes: RECORD_BYTES_MAX };
            return Err(Fault { offset: start, problem });
        }
    }
    Ok(())
}
