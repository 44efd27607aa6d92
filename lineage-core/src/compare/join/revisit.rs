//! The second reading: the keys of the rows that are named, and the cells that changed.

use super::key_text;
use super::matching::Matched;
use super::pairing::Pairing;
use super::rows::KeyedRows;
use super::{ChangedColumn, JoinError, KeyedDifference, RowExample, Side, Source};
use crate::compare::ReadingError;
use crate::digest::Sha256;
use crate::table::RowCells;

/// Why a row is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted {
    /// The values of its key.
    Key(usize),
    /// The digests of its cells.
    Cells(usize),
}

/// Gives the examples their keys, and counts the changed cells of each column.
pub(super) fn fill(
    difference: &mut KeyedDifference,
    left: &Source<'_>,
    right: &Source<'_>,
    pairing: &Pairing,
    matched: &Matched,
) -> Result<(), JoinError> {
    let example = |row_left, row_right| RowExample { key: Vec::new(), row_left, row_right };
    let removed = matched.first_removed.sorted();
    let changed = matched.first_changed.sorted();
    let added = matched.first_added.sorted();
    difference.removed_examples =
        removed.iter().map(|(left, _)| example(Some(*left), None)).collect();
    difference.changed_examples =
        changed.iter().map(|(left, right)| example(Some(*left), Some(*right))).collect();
    difference.added_examples =
        added.iter().map(|(right, _)| example(None, Some(*right))).collect();
    let counted = matched.changed as usize == matched.changed_rows.len();
    if !counted {
        difference.changed_columns_note = Some(format!(
            "more than {} rows changed, so the changed cells of each column were not counted",
            matched.changed_rows_max
        ));
    }
    let changed_rows = if counted { matched.changed_rows.as_slice() } else { &[] };

    let from_left = removed.iter().chain(&changed).map(|(row, _)| *row);
    let mut wanted: Vec<_> = from_left.enumerate().map(|(i, row)| (row, Wanted::Key(i))).collect();
    let cells = changed_rows.iter().enumerate();
    wanted.extend(cells.map(|(i, (row, _))| (*row, Wanted::Cells(i))));
    let mut digests = vec![0; changed_rows.len() * pairing.width()];
    let mut keys = visit(left, pairing, Side::Left, wanted, |at, cells| {
        digests[at * cells.len()..][..cells.len()].copy_from_slice(cells);
    })?;
    for example in difference.removed_examples.iter_mut().chain(&mut difference.changed_examples) {
        example.key = keys.next().unwrap_or_default();
    }

    let from_right = added.iter().map(|(row, _)| *row).enumerate();
    let mut wanted: Vec<_> = from_right.map(|(i, row)| (row, Wanted::Key(i))).collect();
    let cells = changed_rows.iter().enumerate();
    wanted.extend(cells.map(|(i, (_, row))| (*row, Wanted::Cells(i))));
    let mut counts = vec![0; pairing.width()];
    let mut keys = visit(right, pairing, Side::Right, wanted, |at, cells| {
        let before = &digests[at * cells.len()..][..cells.len()];
        for ((count, before), after) in counts.iter_mut().zip(before).zip(cells) {
            *count += u64::from(before != after);
        }
    })?;
    for example in &mut difference.added_examples {
        example.key = keys.next().unwrap_or_default();
    }
    if counted {
        let counts = pairing.names().zip(counts);
        let changed = counts.map(|(name, cells)| ChangedColumn { name: name.to_owned(), cells });
        difference.changed_columns = Some(changed.collect());
    }
    Ok(())
}

/// Refuses rows whose key stood earlier, and names the first.
pub(super) fn check_unique(
    side: Side,
    source: &Source<'_>,
    pairing: &Pairing,
    rows: &KeyedRows,
) -> Result<(), JoinError> {
    let Some(repeated) = rows.repeated() else { return Ok(()) };
    let wanted = vec![(repeated.first.0, Wanted::Key(0))];
    let values = visit(source, pairing, side, wanted, |_, _| {})?.next().unwrap_or_default();
    let pairs = pairing.key().iter().zip(values);
    let key: Vec<_> = pairs.map(|(name, value)| format!("{name}={value}")).collect();
    let (rows, repeated) = (repeated.first, repeated.count);
    Err(JoinError::KeyRepeated { side, key: key.join(", "), rows, repeated })
}

/// Reads a table up to the last row that is wanted. Returns the texts of the keys; `cells` is given
/// the digests of the cells outside the key.
fn visit(
    source: &Source<'_>,
    pairing: &Pairing,
    side: Side,
    mut wanted: Vec<(u64, Wanted)>,
    mut cells: impl FnMut(usize, &[u64]),
) -> Result<std::vec::IntoIter<Vec<String>>, JoinError> {
    wanted.sort_unstable();
    let only_keys = wanted.iter().all(|(_, wanted)| matches!(wanted, Wanted::Key(_)));
    let columns = pairing.columns(side);
    let columns = if only_keys { &columns[..pairing.key_width] } else { columns };
    let mut encoder = RowCells::new(&source.schema_of(columns)?).map_err(ReadingError::from)?;
    let mut keys = Vec::new();
    let (mut bytes, mut digests) = (Vec::new(), Vec::new());
    let mut rest = wanted.as_slice();
    let mut start = 0;
    let mut batches = if rest.is_empty() { None } else { Some(source.read(columns)?) };
    while !rest.is_empty() {
        let batch = batches.as_mut().and_then(Iterator::next);
        let batch = batch.ok_or(JoinError::SourceChanged(side))??;
        let end = start + batch.num_rows() as u64;
        let (here, later) = rest.split_at(rest.partition_point(|(row, _)| *row < end));
        if !here.is_empty() {
            encoder.push_batch(&batch).map_err(ReadingError::from)?;
        }
        for (row, wanted) in here {
            let row = (row - start) as usize;
            match wanted {
                Wanted::Key(at) => {
                    let mut texts = Vec::with_capacity(pairing.key_width);
                    for (column, place) in columns[..pairing.key_width].iter().enumerate() {
                        bytes.clear();
                        encoder.cell(column, row, &mut bytes).map_err(ReadingError::from)?;
                        texts.push(key_text::of(&source.columns()[*place].1, &bytes));
                    }
                    keys.push((*at, texts));
                }
                Wanted::Cells(at) => {
                    digests.clear();
                    for column in pairing.key_width..columns.len() {
                        bytes.clear();
                        encoder.cell(column, row, &mut bytes).map_err(ReadingError::from)?;
                        digests.push(short_digest(&bytes));
                    }
                    cells(*at, &digests);
                }
            }
        }
        (rest, start) = (later, end);
    }
    keys.sort_unstable();
    Ok(keys.into_iter().map(|(_, key)| key).collect::<Vec<_>>().into_iter())
}

/// 64 bits that tell two values of one cell apart.
fn short_digest(cell: &[u8]) -> u64 {
    Sha256::of(cell).as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
