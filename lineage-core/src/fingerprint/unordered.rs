//! Tables by their rows in any order: a second reading, with the kinds that the first one found.

use super::content::{ContentError, Partitioning, Table, TableOptions};
use super::file::FingerprintError;
use super::readings::FileState;
use super::{
    Fingerprint, Input, Readings, Rows, directory, file, fingerprint_unless_known, partitions,
};
use crate::context::Observer;
use crate::digest::Kind;
use crate::files::FileError;
use crate::table::{ColumnKind, RowSum};

/// As [`fingerprint_unless_known`](super::fingerprint_unless_known); the rows of every table are
/// read once more and summed, so that they can be compared in any order.
pub fn fingerprint_unordered(
    inputs: &[Input<'_>],
    readings: Option<&dyn Readings>,
    observer: &dyn Observer,
) -> Result<Vec<(Fingerprint, Option<RowSum>)>, FingerprintError> {
    let before = inputs.iter().map(states).collect::<Result<Vec<_>, _>>()?;
    let found = fingerprint_unless_known(inputs, readings, observer)?;
    let mut summed = Vec::with_capacity(found.len());
    for ((input, found), before) in inputs.iter().zip(found).zip(before) {
        let (Some(table), Some(options)) = (&found.table, &input.table) else {
            summed.push((found, None));
            continue;
        };
        let sum = sum(input, found.kind, (table, options), observer);
        // Both readings must have seen the same bytes; if not, that is what is wrong.
        let changed = || FingerprintError::Changed { path: input.path.clone() };
        let sum = if states(input)? == before { sum? } else { return Err(changed()) };
        if sum.rows() != table.digest.rows {
            return Err(changed());
        }
        summed.push((found, Some(sum)));
    }
    Ok(summed)
}

/// The states of all files whose rows may be read; none where one cannot be told.
fn states(input: &Input<'_>) -> Result<Option<Vec<FileState>>, FingerprintError> {
    if file::kind_of(&input.path)? == Kind::File {
        let metadata =
            std::fs::metadata(&input.path).map_err(FileError::io("find", &input.path))?;
        return Ok(FileState::of(&metadata).map(|state| vec![state]));
    }
    match &input.table {
        Some(options) if options.partitioning != Partitioning::None => {
            Ok(partitions::states(&directory::walk(input)?))
        }
        _ => Ok(None),
    }
}

fn sum(
    input: &Input<'_>,
    kind: Kind,
    (table, options): (&Table, &TableOptions),
    observer: &dyn Observer,
) -> Result<RowSum, FingerprintError> {
    let mut sum = RowSum::new(columns_of(table));
    let wrong = |problem| FingerprintError::of_table(&input.path, problem);
    match kind {
        Kind::File => {
            let rows = Rows::open(&input.path, table, options, observer).map_err(wrong)?;
            for batch in rows.read().map_err(wrong)? {
                let batch = batch.map_err(wrong)?;
                sum.push(&batch).map_err(ContentError::from).map_err(wrong)?;
            }
        }
        Kind::Directory => {
            let walk = directory::walk(input)?;
            let push = &mut |batch: &_| Ok(sum.push(batch)?);
            partitions::each_batch(&walk, table, options, observer, push).map_err(wrong)?;
        }
    }
    Ok(sum)
}

fn columns_of(table: &Table) -> Vec<(String, ColumnKind)> {
    let columns = table.digest.columns.iter();
    columns.map(|column| (column.name.clone(), column.kind.clone())).collect()
}
