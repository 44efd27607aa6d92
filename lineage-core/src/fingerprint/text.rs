//! The content of CSV and TSV files: one pass, and a second one over the columns whose kind was not
//! guessed rightly.

use std::io::Read;
use std::sync::Mutex;

use super::content::{ContentError, Digested, digest};
use super::parallel::{self, Decoded};
use crate::context::Observer;
use crate::files::PageBuffer;
use crate::readers::csv::{
    Classes, CsvOptions, Cutter, DeclaredColumn, PIECE_BYTES, Parser, Piece, Scratch, guess,
};
use crate::table::{ColumnKind, ColumnLeaves};

/// Opens the bytes from their beginning; once for each pass.
pub(super) type Open<'a> = dyn Fn() -> Result<Box<dyn Read + Send>, ContentError> + Sync + 'a;

/// The pieces of one pass.
struct Pieces<'a> {
    input: Box<dyn Read + Send>,
    buffer: PageBuffer,
    filled: std::ops::Range<usize>,
    cutter: Cutter,
    ended: bool,
    spare: &'a Mutex<Vec<Piece>>,
}

impl<'a> Pieces<'a> {
    fn new(
        open: &Open<'_>,
        options: CsvOptions,
        spare: &'a Mutex<Vec<Piece>>,
    ) -> Result<Pieces<'a>, ContentError> {
        Ok(Pieces {
            input: open()?,
            buffer: PageBuffer::new(),
            filled: 0..0,
            cutter: Cutter::new(options, PIECE_BYTES),
            ended: false,
            spare,
        })
    }

    fn next(&mut self) -> Result<Option<Piece>, ContentError> {
        for piece in lock(self.spare).drain(..) {
            self.cutter.recycle(piece);
        }
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

pub(super) fn of_csv(
    open: &Open<'_>,
    options: CsvOptions,
    declared: Option<&[DeclaredColumn]>,
    observer: &dyn Observer,
) -> Result<Digested, ContentError> {
    let spare = Mutex::new(Vec::new());
    let mut pieces = Pieces::new(open, options, &spare)?;
    let first = pieces.next()?;
    let names = pieces.cutter.columns().unwrap_or_default().to_vec();
    let guessed = match &first {
        Some(piece) => guess(options, &names, piece),
        None => vec![Classes::NONE; names.len()],
    };
    let parser = Parser::new(options, &names, declared, &guessed)?;
    let mut columns: Vec<(String, ColumnKind)> = names
        .into_iter()
        .zip(parser.columns())
        .map(|(name, (_, kind))| (name, kind.clone()))
        .collect();
    let (rows, mut leaves, classes) = pass(&parser, &columns, first, pieces, observer)?;
    if let Some(again) = parser.second_pass(&classes)? {
        let planned: Vec<_> = again.columns().map(|(at, kind)| (at, kind.clone())).collect();
        for (at, kind) in &planned {
            columns[*at].1 = kind.clone();
        }
        let chosen: Vec<_> = planned.iter().map(|(at, _)| columns[*at].clone()).collect();
        let pieces = Pieces::new(open, options, &spare)?;
        let (_, second, classes) = pass(&again, &chosen, None, pieces, observer)?;
        if again.second_pass(&classes)?.is_some() {
            return Err(ContentError::Changed);
        }
        for ((at, _), column) in planned.iter().zip(second) {
            leaves[*at] = column;
        }
    }
    let inferred =
        declared.is_none_or(|columns| columns.iter().any(|column| column.kind.is_none()));
    Ok(Digested { digest: digest(rows, columns, leaves), inferred })
}

type Pass = (u64, Vec<ColumnLeaves>, Vec<Classes>);

/// Parses all pieces and hashes their columns. `first` is a piece that was taken already.
fn pass(
    parser: &Parser,
    columns: &parallel::Columns,
    first: Option<Piece>,
    mut pieces: Pieces<'_>,
    observer: &dyn Observer,
) -> Result<Pass, ContentError> {
    let spare = pieces.spare;
    let found = Mutex::new(vec![Classes::NONE; columns.len()]);
    let scratches: Mutex<Vec<Scratch>> = Mutex::new(Vec::new());
    let mut first = first;
    let next = || match first.take() {
        Some(piece) => Ok(Some(piece)),
        None => pieces.next(),
    };
    let decode = |piece: Piece| {
        let mut scratch = lock(&scratches).pop().unwrap_or_default();
        let parsed = parser.parse(&piece, &mut scratch)?;
        lock(&scratches).push(scratch);
        lock(spare).push(piece);
        for (all, found) in lock(&found).iter_mut().zip(&parsed.classes) {
            *all |= *found;
        }
        let arrays = parsed.batch.columns().iter().cloned().zip(&parsed.contradicted);
        let columns = arrays.map(|(array, out)| (!out).then_some(array)).collect();
        Ok(Decoded { rows: parsed.batch.num_rows(), columns })
    };
    let (rows, leaves) = parallel::in_order(columns, next, decode, observer)?;
    let classes = found.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    Ok((rows, leaves, classes))
}
