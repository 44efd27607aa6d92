//! What takes the rows themselves: whether rows were only appended, rows by key, and drift.

use std::path::Path;

use super::data::{DataDifference, Known};
use super::table::TableDifference;
use super::{DiffError, DiffOptions};
use crate::arrow::array::RecordBatch;
use crate::compare::{
    DriftError, JoinError, KeyedOptions, ReadingError, Side, Source, SourceBatches, SourceError,
    difference_by_key, drift,
};
use crate::context::Observer;
use crate::digest::{Hasher, Kind};
use crate::fingerprint::{ContentError, FingerprintError, Rows, Table};
use crate::table::{BLOCK_ROWS, ColumnGrid, TableError, Together};

/// A table that is to be read, and where it is.
pub(super) type TableAt<'a> = (&'a Path, Option<&'a Table>);

/// Where one table has the rows of the other and more, as far as whole blocks tell, looks at the rows of
/// the longer one that stand beside the last, shorter block of the other.
pub(super) fn follow_appended(
    difference: &mut TableDifference,
    left: &Known,
    right: &Known,
    (path_left, path_right): (&Path, &Path),
    options: &DiffOptions<'_>,
    observer: &dyn Observer,
) -> Result<(), DiffError> {
    let (short, long, path) = match left.side.rows < right.side.rows {
        true => (left, right, path_right),
        false => (right, left, path_left),
    };
    let (Some(first), Some(short), Some(table)) =
        (difference.first_rows_same, &short.table, &long.table)
    else {
        return Ok(());
    };
    let end = short.digest.rows;
    let in_last_block = first < end && end - first < BLOCK_ROWS;
    if !in_last_block || end == table.digest.rows || long.side.kind == Kind::Directory {
        return Ok(());
    }
    let leaves = leaves_of(path, table, first..end, options, observer)
        .map_err(|problem| FingerprintError::of_table(path, problem))?;
    let mut last_leaves = short.digest.columns.iter().map(|column| column.leaves.last());
    if leaves.len() == last_leaves.len() && last_leaves.by_ref().eq(leaves.iter().map(Some)) {
        difference.first_rows_same = Some(end);
    }
    Ok(())
}

/// The digest of each column's rows in a range that lies within one block and begins with it.
fn leaves_of(
    path: &Path,
    table: &Table,
    range: std::ops::Range<u64>,
    options: &DiffOptions<'_>,
    observer: &dyn Observer,
) -> Result<Vec<crate::digest::Sha256>, ContentError> {
    let rows = Rows::open(path, table, options.tables, observer)?;
    let columns = table.digest.columns.iter();
    let mut grids: Vec<_> = columns.map(|column| ColumnGrid::new(column.kind.clone())).collect();
    let (mut left, mut memory) = ((range.end - range.start) as usize, Together::default());
    for batch in rows.read_from(range.start)? {
        let batch = batch?;
        let batch = batch.slice(0, batch.num_rows().min(left));
        left -= batch.num_rows();
        let mut pairs: Vec<_> = grids.iter_mut().zip(batch.columns()).collect();
        ColumnGrid::push(&mut pairs, &mut memory, &mut Hasher::update_together).map_err(
            |(place, problem)| TableError::Cell {
                column: table.digest.columns[place].name.clone(),
                problem,
            },
        )?;
        if left == 0 {
            break;
        }
    }
    let digests = grids.into_iter().zip(&table.digest.columns).map(|(grid, column)| {
        grid.finish().digest(column.name.clone(), column.kind.clone()).leaves
    });
    Ok(digests.flatten().collect())
}

/// Compares rows by key and distributions, as far as that is asked for.
pub(super) fn compare(
    difference: &mut DataDifference,
    left: TableAt<'_>,
    right: TableAt<'_>,
    options: &DiffOptions<'_>,
    observer: &dyn Observer,
) -> Result<(), DiffError> {
    if options.key.is_empty() && !options.drift {
        return Ok(());
    }
    let sides = [&difference.left, &difference.right];
    let open = |(path, table): TableAt<'_>, side: usize| {
        let side = sides[side].as_ref();
        let problem = match side.and_then(|side| side.table_problem.clone()) {
            Some(problem) => problem,
            None if side.is_some_and(|side| side.kind == Kind::Directory) => {
                "it is a folder".to_owned()
            }
            None => "it is no table".to_owned(),
        };
        let no_rows = DiffError::NoRows { path: path.to_owned(), problem };
        let is_file = side.is_none_or(|side| side.kind == Kind::File);
        let table = table.filter(|_| is_file).ok_or(no_rows)?;
        let rows = Rows::open(path, table, options.tables, observer);
        Ok::<_, DiffError>(rows.map_err(|problem| FingerprintError::of_table(path, problem))?)
    };
    let (rows_left, rows_right) = (open(left, 0)?, open(right, 1)?);
    let paths = (left.0, right.0);
    let source_left = source(left.0, &rows_left).map_err(|error| unread(error, paths.0))?;
    let source_right = source(right.0, &rows_right).map_err(|error| unread(error, paths.1))?;
    if !options.key.is_empty() {
        let keyed = KeyedOptions::default();
        let found = difference_by_key(&source_left, &source_right, options.key, &keyed);
        difference.rows = Some(found.map_err(|error| joined(error, paths))?);
    }
    if options.drift {
        let found = drift(&source_left, &source_right).map_err(|error| match error {
            DriftError::TooManyRows { .. } => DiffError::TooManyRows(error.to_string()),
            DriftError::Reading(error) => unread(error, paths.0),
        });
        difference.drift = Some(found?);
    }
    Ok(())
}

fn source<'a>(path: &'a Path, rows: &'a Rows<'a>) -> Result<Source<'a>, ReadingError> {
    let schema = std::sync::Arc::clone(rows.schema());
    Source::new(schema, move |columns| {
        let columns = columns.to_vec();
        let failed =
            move |problem| -> SourceError { Box::new(FingerprintError::of_table(path, problem)) };
        let batches = rows.read().map_err(failed)?;
        let project = move |batch: Result<RecordBatch, ContentError>| {
            Ok(batch.map_err(failed)?.project(&columns)?)
        };
        Ok(Box::new(batches.map(project)) as SourceBatches<'a>)
    })
}

fn joined(error: JoinError, (left, right): (&Path, &Path)) -> DiffError {
    match error {
        JoinError::TooManyRows { .. } => DiffError::TooManyRows(error.to_string()),
        JoinError::SourceChanged(Side::Left) => {
            FingerprintError::Changed { path: left.to_owned() }.into()
        }
        JoinError::SourceChanged(Side::Right) => {
            FingerprintError::Changed { path: right.to_owned() }.into()
        }
        JoinError::Reading(error) => unread(error, left),
        error => DiffError::Key(with_paths(&error, (left, right))),
    }
}

/// What is wrong with the key, with the tables by their paths.
fn with_paths(error: &JoinError, (left, right): (&Path, &Path)) -> String {
    let of = |side: &Side| match side {
        Side::Left => left.display(),
        Side::Right => right.display(),
    };
    match error {
        JoinError::KeyMissing { column, side } => {
            format!("{} has no column \"{column}\", which the key names", of(side))
        }
        JoinError::KeyAmbiguous { column, side } => {
            format!("{} has more than one column \"{column}\", which the key names", of(side))
        }
        JoinError::KeyKinds { column, left: kind_left, right: kind_right } => format!(
            "the key column \"{column}\" is {kind_left} in {} and {kind_right} in {}; give both the same \
             kind (for a CSV: a schema)",
            left.display(),
            right.display()
        ),
        JoinError::KeyRepeated { side, key, rows: (first, again), repeated } => format!(
            "the key is not unique in {}: rows {first} and {again} (counted from 0) both have {key}, and \
             {repeated} of its rows have a key that stood earlier; add a column to the key",
            of(side)
        ),
        error => error.to_string(),
    }
}

fn unread(error: ReadingError, path: &Path) -> DiffError {
    let no_rows = |problem: String| DiffError::NoRows { path: path.to_owned(), problem };
    match error {
        ReadingError::Source(error) => match error.downcast::<FingerprintError>() {
            Ok(error) => DiffError::Fingerprint(*error),
            Err(error) => no_rows(error.to_string()),
        },
        error => no_rows(error.to_string()),
    }
}
