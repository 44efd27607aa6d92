//! The grid of leaves, and the digests made of them.

use std::sync::Arc;

use crate::arrow::array::{Array, ArrayRef, RecordBatch};
use crate::arrow::datatypes::Schema;

use super::cells::{CellError, STRIP_ROWS, Sink, Strip, plain};
use super::texts::has_words;
use super::{ColumnKind, UnsupportedType};
use crate::digest::{Hasher, Sha256};

/// Rows of a block.
pub const BLOCK_ROWS: u64 = 65_536;

const _: () = assert!(BLOCK_ROWS.is_multiple_of(STRIP_ROWS as u64));

/// A table has no content digest.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A column's type is not part of the format.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedType),
    /// A value of a column has no canonical form.
    #[error("column \"{column}\": {problem}")]
    Cell {
        /// The column.
        column: String,
        /// What is wrong.
        problem: CellError,
    },
    /// A batch whose columns are not those of the first.
    #[error("column {} is \"{found}\" in one part of the table and \"{expected}\" in another", index + 1)]
    Columns {
        /// Its place, from 0.
        index: usize,
        /// Name and kind in the later part.
        found: String,
        /// Name and kind in the first part.
        expected: String,
    },
}

/// The digest of a table's content (`lineage-table-1`).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TableDigest {
    /// Rows of the table.
    pub rows: u64,
    /// Its columns in order.
    pub columns: Vec<ColumnDigest>,
    /// Equal for the same rows in every format.
    pub content_sha256: Sha256,
    /// Equal also when only the order of the columns differs.
    pub content_sorted_sha256: Sha256,
}

/// The digest of one column.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ColumnDigest {
    /// Its name, perhaps empty or that of another column too.
    pub name: String,
    /// Its kind.
    pub kind: ColumnKind,
    /// How many rows are null in it.
    pub nulls: u64,
    /// Over the leaves.
    pub sha256: Sha256,
    /// A digest for each block of [`BLOCK_ROWS`] rows.
    pub leaves: Vec<Sha256>,
}

impl TableDigest {
    /// The digest of a table of `rows` rows from the digests of its columns.
    pub fn of(rows: u64, columns: Vec<ColumnDigest>) -> TableDigest {
        let in_order: Vec<_> = columns.iter().collect();
        let mut sorted = in_order.clone();
        sorted.sort_by_cached_key(|column| {
            (column.name.as_bytes().to_vec(), column.kind.to_string(), column.sha256)
        });
        let content_sha256 = content(rows, &in_order);
        let content_sorted_sha256 = content(rows, &sorted);
        TableDigest { rows, columns, content_sha256, content_sorted_sha256 }
    }
}

fn content(rows: u64, columns: &[&ColumnDigest]) -> Sha256 {
    let mut hasher = Hasher::new();
    hasher.update(b"lineage-table-1\0");
    hasher.update(&(columns.len() as u32).to_le_bytes());
    hasher.update(&rows.to_le_bytes());
    for column in columns {
        put_column(&mut hasher, &column.name, &column.kind);
        hasher.update(column.sha256.as_bytes());
    }
    hasher.finish()
}

/// A column's name and kind, as they stand in the digests of tables.
pub(super) fn put_column(hasher: &mut Hasher, name: &str, kind: &ColumnKind) {
    hasher.update(&(name.len() as u32).to_le_bytes());
    hasher.update(name.as_bytes());
    hasher.update(kind.to_string().as_bytes());
    hasher.update(&[0]);
}

/// The leaf that is being filled.
#[derive(Default)]
struct Leaf {
    hasher: Hasher,
    size_bytes: u64,
    rows: u32,
    nulls: u32,
}

/// Bytes of a leaf that its hasher has not seen, so that it can take them together with those of other
/// columns.
#[derive(Default)]
struct Waiting {
    /// Kept longer than what waits, so that nobody has to clear memory that is then written.
    storage: Vec<u8>,
    end: usize,
}

impl Waiting {
    fn bytes(&self) -> &[u8] {
        &self.storage[..self.end]
    }
}

/// Memory for columns that are hashed together, at most a mebibyte.
#[derive(Default)]
pub(crate) struct Together([Waiting; TOGETHER]);

/// More bytes than this do not wait: long strings.
const WAITING_BYTES_MAX: usize = 128 * 1024;

/// So many bytes of a column are hashed at a time, if there are as many: they are still in the core's
/// own cache.
const WAITING_BYTES: usize = 32 * 1024;

/// Where the cells of a column go.
struct Filling<'a> {
    leaf: &'a mut Leaf,
    waiting: &'a mut Waiting,
}

impl Filling<'_> {
    fn hash(&mut self) {
        self.leaf.hasher.update(self.waiting.bytes());
        self.waiting.end = 0;
    }
}

impl Sink for Filling<'_> {
    fn put(&mut self, bytes: &[u8]) {
        if bytes.len() <= WAITING_BYTES_MAX {
            self.room(bytes.len()).copy_from_slice(bytes);
        } else {
            self.hash();
            self.leaf.hasher.update(bytes);
            self.leaf.size_bytes += bytes.len() as u64;
        }
    }

    fn room(&mut self, size_bytes: usize) -> &mut [u8] {
        self.leaf.size_bytes += size_bytes as u64;
        if self.waiting.end + size_bytes > WAITING_BYTES_MAX {
            self.hash();
        }
        let Waiting { storage, end } = &mut *self.waiting;
        let start = *end;
        *end += size_bytes;
        if storage.len() < *end {
            storage.resize((*end).max(2 * WAITING_BYTES), 0);
        }
        &mut storage[start..*end]
    }
}

/// Gives streams their next bytes: [`Hasher::update_together`], perhaps with more streams.
pub(crate) type HashTogether<'a> = dyn FnMut(Vec<(&mut Hasher, &[u8])>) + 'a;

/// So many columns are encoded and hashed together.
pub(crate) const TOGETHER: usize = 8;

/// One column's part of the grid, from a row that begins a block.
pub(crate) struct ColumnGrid {
    kind: ColumnKind,
    prefix: Vec<u8>,
    strip: Strip,
    leaf: Leaf,
    leaves: Vec<Sha256>,
    rows: u64,
    nulls: u64,
}

impl ColumnGrid {
    pub(crate) fn new(kind: ColumnKind) -> ColumnGrid {
        let mut prefix = vec![0];
        prefix.extend_from_slice(kind.to_string().as_bytes());
        prefix.push(0);
        let (strip, leaf) = (Strip::new(&kind), Leaf::default());
        ColumnGrid { kind, prefix, strip, leaf, leaves: Vec::new(), rows: 0, nulls: 0 }
    }

    pub(crate) fn kind(&self) -> &ColumnKind {
        &self.kind
    }

    /// Takes the next rows of some columns: arrays of one length, of any physical type that has the
    /// column's kind. An error comes with the place of its column.
    pub(crate) fn push(
        columns: &mut [(&mut ColumnGrid, &ArrayRef)],
        memory: &mut Together,
        hash: &mut HashTogether<'_>,
    ) -> Result<(), (usize, CellError)> {
        for (index, together) in columns.chunks_mut(TOGETHER).enumerate() {
            Self::push_together(together, &mut memory.0, hash)
                .map_err(|(place, problem)| (index * TOGETHER + place, problem))?;
        }
        Ok(())
    }

    fn push_together(
        columns: &mut [(&mut ColumnGrid, &ArrayRef)],
        waiting: &mut [Waiting],
        hash: &mut HashTogether<'_>,
    ) -> Result<(), (usize, CellError)> {
        // After an error something may be left.
        waiting.iter_mut().for_each(|waiting| waiting.end = 0);
        let end = columns.first().map_or(0, |(_, array)| array.len());
        let mut at = 0;
        while at < end {
            let room = columns.iter().map(|(grid, _)| grid.strip.room()).min();
            let rows = room.unwrap_or(STRIP_ROWS).min(end - at);
            let places = columns.iter_mut().zip(&mut *waiting).enumerate();
            for (place, ((grid, array), waiting)) in places {
                grid.encode(&array.slice(at, rows), waiting).map_err(|problem| (place, problem))?;
            }
            at += rows;
            let block_ends = |grid: &ColumnGrid| u64::from(grid.leaf.rows) == BLOCK_ROWS;
            let enough = waiting.iter().any(|waiting| waiting.end >= WAITING_BYTES);
            if at < end && !enough && !columns.iter().any(|(grid, _)| block_ends(grid)) {
                continue;
            }
            let streams = columns.iter_mut().zip(&*waiting);
            hash(streams.map(|((grid, _), w)| (&mut grid.leaf.hasher, w.bytes())).collect());
            waiting.iter_mut().for_each(|waiting| waiting.end = 0);
            for (grid, _) in &mut *columns {
                if block_ends(grid) {
                    grid.end_block();
                }
            }
        }
        Ok(())
    }

    /// Takes the next rows, at most as many as the strip has room for.
    fn encode(&mut self, array: &ArrayRef, waiting: &mut Waiting) -> Result<(), CellError> {
        let array = if has_words(array) { Arc::clone(array) } else { plain(array)? };
        let nulls = array.logical_nulls();
        if self.leaf.rows == 0 {
            self.leaf.hasher.update(&self.prefix);
        }
        let mut sink = Filling { leaf: &mut self.leaf, waiting };
        self.strip.push(&array, nulls.as_ref(), &mut sink)?;
        if self.strip.room() == 0 {
            self.strip.finish(&mut sink);
        }
        self.leaf.rows += array.len() as u32;
        self.leaf.nulls += nulls.map_or(0, |nulls| nulls.null_count()) as u32;
        Ok(())
    }

    fn end_block(&mut self) {
        let Leaf { mut hasher, size_bytes, rows, nulls } = std::mem::take(&mut self.leaf);
        hasher.update(&rows.to_le_bytes());
        hasher.update(&nulls.to_le_bytes());
        hasher.update(&size_bytes.to_le_bytes());
        self.leaves.push(hasher.finish());
        self.rows += u64::from(rows);
        self.nulls += u64::from(nulls);
    }

    /// Ends the last block.
    pub(crate) fn finish(mut self) -> ColumnLeaves {
        if self.leaf.rows > 0 {
            if self.strip.room() < STRIP_ROWS {
                let waiting = &mut Waiting::default();
                let mut sink = Filling { leaf: &mut self.leaf, waiting };
                self.strip.finish(&mut sink);
                sink.hash();
            }
            self.end_block();
        }
        ColumnLeaves { leaves: self.leaves, rows: self.rows, nulls: self.nulls }
    }
}

/// The leaves of a column, or of a run of its blocks.
#[derive(Debug, Default)]
pub(crate) struct ColumnLeaves {
    leaves: Vec<Sha256>,
    rows: u64,
    nulls: u64,
}

impl ColumnLeaves {
    /// Appends the blocks that follow. All blocks before them must be whole.
    pub(crate) fn append(&mut self, next: ColumnLeaves) {
        self.leaves.extend(next.leaves);
        self.rows += next.rows;
        self.nulls += next.nulls;
    }

    pub(crate) fn digest(self, name: String, kind: ColumnKind) -> ColumnDigest {
        let mut hasher = Hasher::new();
        hasher.update(&[1]);
        for leaf in &self.leaves {
            hasher.update(leaf.as_bytes());
        }
        hasher.update(&self.rows.to_le_bytes());
        let sha256 = hasher.finish();
        ColumnDigest { name, kind, nulls: self.nulls, sha256, leaves: self.leaves }
    }
}

/// Names and kinds of a schema's columns.
pub(crate) fn columns_of(schema: &Schema) -> Result<Vec<(String, ColumnKind)>, TableError> {
    let kinds =
        schema.fields().iter().map(|field| Ok((field.name().clone(), ColumnKind::of(field)?)));
    kinds.collect()
}

/// The digest of a table that is given as batches, on one thread. Where batches end does not matter.
pub fn digest_batches<E: From<TableError>>(
    schema: &Schema,
    batches: impl Iterator<Item = Result<RecordBatch, E>>,
) -> Result<TableDigest, E> {
    let columns = columns_of(schema)?;
    let mut grids: Vec<_> = columns.iter().map(|(_, kind)| ColumnGrid::new(kind.clone())).collect();
    let (mut rows, mut memory) = (0, Together::default());
    for batch in batches {
        let batch = batch?;
        check_columns(&columns, batch.schema_ref())?;
        let mut pairs: Vec<_> = grids.iter_mut().zip(batch.columns()).collect();
        ColumnGrid::push(&mut pairs, &mut memory, &mut Hasher::update_together).map_err(
            |(place, problem)| TableError::Cell { column: columns[place].0.clone(), problem },
        )?;
        rows += batch.num_rows() as u64;
    }
    let digests = grids.into_iter().zip(columns);
    let digests = digests.map(|(grid, (name, kind))| grid.finish().digest(name, kind)).collect();
    Ok(TableDigest::of(rows, digests))
}

/// Whether the columns of a later part of a table have the names and kinds of the first part.
pub(crate) fn check_columns(
    expected: &[(String, ColumnKind)],
    found: &Schema,
) -> Result<(), TableError> {
    match first_difference(expected, &columns_of(found)?) {
        None => Ok(()),
        Some((index, expected, found)) => Err(TableError::Columns { index, found, expected }),
    }
}

/// The first place, from 0, at which two lists of columns differ, and what each has there.
pub(super) fn first_difference(
    left: &[(String, ColumnKind)],
    right: &[(String, ColumnKind)],
) -> Option<(usize, String, String)> {
    let at = (0..left.len().max(right.len())).find(|at| left.get(*at) != right.get(*at))?;
    let word = |column: Option<&(String, ColumnKind)>| {
        column.map_or_else(|| "missing".to_owned(), |(name, kind)| format!("{name}: {kind}"))
    };
    Some((at, word(left.get(at)), word(right.get(at))))
}
