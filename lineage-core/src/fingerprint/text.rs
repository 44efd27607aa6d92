//! The content of CSV and TSV files: one pass, and a second one over the columns whose kind was not
//! guessed rightly.

use std::io::Read;
use std::sync::Mutex;

use crate::arrow::array::RecordBatch;

use super::content::{ContentError, Digested, TableOptions};
use super::parallel::{self, Decoded, Hashed, Job};
use crate::context::Observer;
use crate::files::PageBuffer;
use crate::readers::csv::{
    Classes, CsvOptions, Cutter, PIECE_BYTES, Parser, Piece, Scratch, guess,
};
use crate::table::ColumnKind;

/// Opens the bytes from their beginning; once for each pass.
pub(super) type Open<'a> = dyn Fn() -> Result<Box<dyn Read + Send + 'a>, ContentError> + Sync + 'a;

/// The pieces of one pass.
pub(super) struct Pieces<'a> {
    input: Box<dyn Read + Send + 'a>,
    buffer: PageBuffer,
    filled: std::ops::Range<usize>,
    cutter: Cutter,
    ended: bool,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(input: Box<dyn Read + Send + 'a>, options: CsvOptions) -> Pieces<'a> {
        Pieces {
            input,
            buffer: PageBuffer::new(),
            filled: 0..0,
            cutter: Cutter::new(options, PIECE_BYTES),
            ended: false,
        }
    }

    fn next(&mut self) -> Result<Option<Piece>, ContentError> {
        while !self.ended {
            let mut chunk = &self.buffer.as_slice()[self.filled.clone()];
            let piece = self.cutter.push(&mut chunk)?;
            self.filled.start = self.filled.end - chunk.len();
            if piece.is_some() {
                return Ok(piece);
            }
            let count = self.input.read(self.buffer.as_mut_slice())?;
            self.filled = 0..count;
            if count == 0 {
                self.ended = true;
                return Ok(self.cutter.finish()?);
            }
        }
        Ok(None)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A file of which the first piece was taken, and a parser with the kinds declared or guessed from it.
struct Begun<'a> {
    pieces: Pieces<'a>,
    first: Option<Piece>,
    names: Vec<String>,
    parser: Parser,
}

fn begin<'a>(
    open: &Open<'a>,
    dialect: CsvOptions,
    options: &TableOptions,
) -> Result<Begun<'a>, ContentError> {
    let mut pieces = Pieces::new(open()?, dialect);
    let first = pieces.next()?;
    let mut names = pieces.cutter.columns().unwrap_or_default().to_vec();
    // Without a header a schema names the columns by their places.
    if let (false, Some(declared)) = (dialect.header, &options.columns) {
        let pairs = names.iter_mut().zip(declared);
        pairs.for_each(|(name, column)| name.clone_from(&column.name));
    }
    let guessed = match &first {
        Some(piece) => guess(dialect, &names, piece),
        None => vec![Classes::NONE; names.len()],
    };
    let parser = Parser::new(dialect, &names, options.columns.as_deref(), &guessed)?;
    Ok(Begun { pieces, first, names, parser })
}

/// The batches of a file, one after another, by a parser that knows the true kinds.
pub(super) fn batches<'a>(
    mut pieces: Pieces<'a>,
    parser: impl std::borrow::Borrow<Parser> + Send + 'a,
) -> impl Iterator<Item = Result<RecordBatch, ContentError>> + Send + 'a {
    let mut scratch = Scratch::default();
    let mut next = move || -> Result<Option<RecordBatch>, ContentError> {
        let Some(piece) = pieces.next()? else { return Ok(None) };
        let parsed = parser.borrow().parse(&piece, &mut scratch)?;
        pieces.cutter.recycle(piece);
        match parsed.contradicted.contains(&true) {
            true => Err(ContentError::Changed),
            false => Ok(Some(parsed.batch)),
        }
    };
    std::iter::from_fn(move || next().transpose())
}

pub(super) fn of_csv(
    open: &Open<'_>,
    dialect: CsvOptions,
    options: &TableOptions,
    observer: &dyn Observer,
) -> Result<Digested, ContentError> {
    let Begun { pieces, first, names, parser } = begin(open, dialect, options)?;
    let kinds = parser.columns().map(|(_, kind)| kind.clone());
    let mut columns: Vec<(String, ColumnKind)> = names.into_iter().zip(kinds).collect();
    let job = Job { columns: &columns, profile: options.profile, observer };
    let (mut hashed, classes) = pass(&parser, &job, first, pieces)?;
    if let Some(again) = parser.second_pass(&classes)? {
        let places: Vec<usize> = again.columns().map(|(place, _)| place).collect();
        for (place, kind) in again.columns() {
            columns[place].1 = kind.clone();
        }
        let chosen: Vec<_> = places.iter().map(|place| columns[*place].clone()).collect();
        let pieces = Pieces::new(open()?, dialect);
        let job = Job { columns: &chosen, profile: options.profile, observer };
        let (second, classes) = pass(&again, &job, None, pieces)?;
        if again.second_pass(&classes)?.is_some() {
            return Err(ContentError::Changed);
        }
        for (place, leaves) in places.iter().zip(second.leaves) {
            hashed.leaves[*place] = leaves;
        }
        for (place, profile) in places.iter().zip(second.profiles) {
            hashed.profiles[*place] = profile;
        }
    }
    Ok(Digested::of(columns, hashed, options.typing()))
}

/// The names of the columns and the classes of all their values.
pub(super) fn survey(
    open: &Open<'_>,
    dialect: CsvOptions,
    options: &TableOptions,
    observer: &dyn Observer,
) -> Result<(Vec<String>, Vec<Classes>), ContentError> {
    let Begun { pieces, first, names, parser } = begin(open, dialect, options)?;
    let no_columns = Job { columns: &[], profile: false, observer };
    let (_, classes) = pass(&parser, &no_columns, first, pieces)?;
    Ok((names, classes))
}

/// Parses all pieces and hashes their columns. `first` is a piece that was taken already.
fn pass(
    parser: &Parser,
    job: &Job<'_>,
    mut first: Option<Piece>,
    mut pieces: Pieces<'_>,
) -> Result<(Hashed, Vec<Classes>), ContentError> {
    let spare: Mutex<Vec<Piece>> = Mutex::new(Vec::new());
    let found = Mutex::new(vec![Classes::NONE; parser.columns().len()]);
    let scratches: Mutex<Vec<Scratch>> = Mutex::new(Vec::new());
    let next = || match first.take() {
        Some(piece) => Ok(Some(piece)),
        None => {
            lock(&spare).drain(..).for_each(|piece| pieces.cutter.recycle(piece));
            pieces.next()
        }
    };
    let decode = |piece: Piece| {
        let mut scratch = lock(&scratches).pop().unwrap_or_default();
        let parsed = parser.parse(&piece, &mut scratch)?;
        lock(&scratches).push(scratch);
        lock(&spare).push(piece);
        for (all, found) in lock(&found).iter_mut().zip(&parsed.classes) {
            *all |= *found;
        }
        let arrays = parsed.batch.columns().iter().cloned().zip(&parsed.contradicted);
        let columns = arrays.map(|(array, out)| (!out).then_some(array)).collect();
        Ok(Decoded { rows: parsed.batch.num_rows(), columns })
    };
    let hashed = parallel::in_order(job, next, decode)?;
    let classes = found.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    Ok((hashed, classes))
}
