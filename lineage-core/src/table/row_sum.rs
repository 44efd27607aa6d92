//! The digest of a table's rows in any order (`docs/formats/fingerprint.md`, Rows without order).

use std::ops::Range;

use crate::arrow::array::RecordBatch;

use super::cells::STRIP_ROWS;
use super::grid::{TableError, check_columns, first_difference, put_column};
use super::kind::ColumnKind;
use super::row_cells::RowCells;
use crate::digest::{Hasher, Sha256};

/// The rows of a table, or of a part of one, as their number and the sum of their digests. Equal for
/// the same rows in any order, and the sums of parts add up.
///
/// It withstands accidents, **not adversaries**: who may choose many rows can make two tables with
/// one sum.
///
/// ```
/// use lineage_core::table::{ColumnKind, RowSum};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let batch = |ids: Vec<i32>| {
///     let ids = std::sync::Arc::new(lineage_core::arrow::array::Int32Array::from(ids)) as _;
///     lineage_core::arrow::array::RecordBatch::try_from_iter([("id", ids)])
/// };
/// let empty = RowSum::new(vec![("id".to_owned(), ColumnKind::Int)]);
/// let (mut whole, mut part, mut rest) = (empty.clone(), empty.clone(), empty);
/// whole.push(&batch(vec![1, 2, 3])?)?;
/// part.push(&batch(vec![3])?)?;
/// rest.push(&batch(vec![2, 1])?)?;
/// part.merge(&rest)?;
/// assert_eq!(part.sha256(), whole.sha256());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowSum {
    columns: Vec<(String, ColumnKind)>,
    rows: u64,
    /// A number of 256 bits, the least significant limb first.
    sum: [u64; 4],
}

/// Two sums are not of parts of one table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// Their columns differ.
    #[error("column {} is \"{found}\" in the one and \"{expected}\" in the other", index + 1)]
    Columns {
        /// The first place where they do, from 0.
        index: usize,
        /// Name and kind in the part that was to be added.
        found: String,
        /// Name and kind in the part that was there.
        expected: String,
    },
    /// More rows than every JSON reader can tell exactly.
    #[error("together they have more than {} rows", RowSum::ROWS_MAX)]
    TooManyRows,
}

impl RowSum {
    /// Sums of more rows are not added up: 2^53 - 1, the greatest integer of a JSON document.
    pub const ROWS_MAX: u64 = (1 << 53) - 1;

    /// No rows yet, of columns by name and kind.
    pub fn new(columns: Vec<(String, ColumnKind)>) -> RowSum {
        RowSum { columns, rows: 0, sum: [0; 4] }
    }

    /// What another program found: the number of rows, and the sum as 32 bytes, little-endian.
    pub fn from_parts(columns: Vec<(String, ColumnKind)>, rows: u64, sum: [u8; 32]) -> RowSum {
        RowSum { columns, rows, sum: limbs(&sum) }
    }

    /// The columns by name and kind.
    pub fn columns(&self) -> &[(String, ColumnKind)] {
        &self.columns
    }

    /// How many rows were taken.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The sum of their digests modulo 2^256, little-endian.
    pub fn sum(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (bytes, limb) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.sum) {
            *bytes = limb.to_le_bytes();
        }
        bytes
    }

    /// Takes rows, of any physical types that have the columns' kinds. After an error it is of no use.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<(), TableError> {
        check_columns(&self.columns, batch.schema_ref())?;
        let mut cells = RowCells::new(batch.schema_ref())?;
        let mut bytes = ROW_PREFIX.to_vec();
        let all = batch.num_rows();
        // Strip by strip, since what is shared in an encoded column is laid out for each row.
        for start in (0..all).step_by(STRIP_ROWS) {
            let strip = start..(start + STRIP_ROWS).min(all);
            self.push_strip(batch, strip, &mut cells, &mut bytes)?;
        }
        self.rows += all as u64;
        Ok(())
    }

    fn push_strip(
        &mut self,
        batch: &RecordBatch,
        strip: Range<usize>,
        cells: &mut RowCells,
        bytes: &mut Vec<u8>,
    ) -> Result<(), TableError> {
        cells.push_batch(&batch.slice(strip.start, strip.len()))?;
        for row in 0..strip.len() {
            bytes.truncate(ROW_PREFIX.len());
            for column in 0..self.columns.len() {
                cells.cell(column, row, bytes)?;
            }
            self.add(limbs(Sha256::of(bytes).as_bytes()));
        }
        Ok(())
    }

    /// Adds the rows of another part of the table, with the same columns in the same order.
    pub fn merge(&mut self, other: &RowSum) -> Result<(), MergeError> {
        if let Some((index, expected, found)) = first_difference(&self.columns, &other.columns) {
            return Err(MergeError::Columns { index, found, expected });
        }
        let rows = self.rows.checked_add(other.rows).filter(|rows| *rows <= RowSum::ROWS_MAX);
        self.rows = rows.ok_or(MergeError::TooManyRows)?;
        self.add(other.sum);
        Ok(())
    }

    fn add(&mut self, term: [u64; 4]) {
        let mut carry = false;
        for (limb, term) in self.sum.iter_mut().zip(term) {
            let (sum, over) = limb.overflowing_add(term);
            let (sum, over_again) = sum.overflowing_add(u64::from(carry));
            (*limb, carry) = (sum, over || over_again);
        }
    }

    /// The digest of the columns, the number of rows and the sum: `unordered_sha256`.
    pub fn sha256(&self) -> Sha256 {
        let mut hasher = Hasher::new();
        hasher.update(b"lineage-rows-1\0");
        hasher.update(&(self.columns.len() as u32).to_le_bytes());
        for (name, kind) in &self.columns {
            put_column(&mut hasher, name, kind);
        }
        hasher.update(&self.rows.to_le_bytes());
        hasher.update(&self.sum());
        hasher.finish()
    }
}

const ROW_PREFIX: &[u8] = b"lineage-row-1\0";

fn limbs(bytes: &[u8; 32]) -> [u64; 4] {
    let mut limbs = [0; 4];
    for (limb, bytes) in limbs.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *limb = u64::from_le_bytes(*bytes);
    }
    limbs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(rows: u64, sum: [u8; 32]) -> RowSum {
        RowSum::from_parts(vec![("a".to_owned(), ColumnKind::Int)], rows, sum)
    }

    #[test]
    fn sums_carry_through_all_limbs_and_wrap() {
        let mut one = [0; 32];
        one[0] = 1;
        let mut sum = part(1, [0xff; 32]);
        assert_eq!(sum.sum(), [0xff; 32]);
        sum.merge(&part(1, one)).unwrap();
        assert_eq!((sum.rows(), sum.sum()), (2, [0; 32]));
        sum.merge(&part(1, [0xff; 32])).unwrap();
        sum.merge(&part(1, [0xff; 32])).unwrap();
        let mut expected = [0xff; 32];
        expected[0] = 0xfe;
        assert_eq!(sum.sum(), expected);
    }

    #[test]
    fn other_columns_and_too_many_rows_are_not_added() {
        let mut sum = part(1, [1; 32]);
        let before = sum.clone();
        let other = RowSum::new(vec![("a".to_owned(), ColumnKind::Float64)]);
        let error = sum.merge(&other).unwrap_err().to_string();
        assert_eq!(error, "column 1 is \"a: float64\" in the one and \"a: int\" in the other");
        let error = sum.merge(&RowSum::new(Vec::new())).unwrap_err().to_string();
        assert!(error.contains("\"missing\" in the one"), "{error}");
        for rows in [RowSum::ROWS_MAX, u64::MAX] {
            assert_eq!(sum.merge(&part(rows, [1; 32])), Err(MergeError::TooManyRows));
        }
        assert_eq!(sum, before);
    }
}
