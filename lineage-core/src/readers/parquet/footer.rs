//! The footer, checked before the decoder takes memory by what it declares.

use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::ChunkReader;

use super::SharedFile;
use super::thrift::{Cursor, Fault, I32, LIST};
use crate::table::NESTING_DEPTH_MAX;

const FOOTER_BYTES_MAX: u64 = 64 << 20;

/// Columns times row groups; each takes some 500 bytes of memory.
const CHUNKS_MAX: usize = 1 << 19;

/// A list is three levels of the schema, and the root is one more.
const SCHEMA_DEPTH_MAX: usize = 3 * NESTING_DEPTH_MAX + 1;

/// Rows that take no bytes (all null, or all the same) still take time. A file may have this many, and
/// for each of its bytes so many more: row groups of 64 Mi equal rows, the largest that writers make.
const ROWS_ALWAYS: u64 = 1 << 26;
const ROWS_PER_BYTE_MAX: u64 = 1 << 18;

/// Reads and checks the footer.
pub(super) fn read(input: &SharedFile) -> Result<ParquetMetaData, ParquetError> {
    let problem = |problem: &str| ParquetError::General(problem.to_owned());
    let size_bytes = input.size_bytes;
    let trailer = size_bytes.checked_sub(8).filter(|at| *at >= 4);
    let trailer = trailer.ok_or_else(|| problem("it is too short to be a Parquet file"))?;
    let last = input.get_bytes(trailer, 8)?;
    match &last[4..] {
        b"PAR1" => {}
        b"PARE" => return Err(encrypted()),
        _ => return Err(problem("it is cut off, or not a Parquet file: it does not end in PAR1")),
    }
    let length = u64::from(u32::from_le_bytes([last[0], last[1], last[2], last[3]]));
    let start = trailer.checked_sub(length).filter(|start| *start >= 4);
    let start = start.ok_or_else(|| problem("its footer cannot be as long as it says"))?;
    if length > FOOTER_BYTES_MAX {
        return Err(ParquetError::General(format!(
            "its footer has {length} bytes, and at most {FOOTER_BYTES_MAX} are read"
        )));
    }
    let bytes = input.get_bytes(start, length as usize)?;
    let chunks = check(&bytes)?;
    if chunks > CHUNKS_MAX {
        return Err(ParquetError::General(format!(
            "it has {chunks} column chunks, and at most {CHUNKS_MAX} are read; write larger row groups"
        )));
    }
    let metadata = ParquetMetaDataReader::decode_metadata(&bytes)?;
    check_rows(&metadata, size_bytes)?;
    Ok(metadata)
}

fn encrypted() -> ParquetError {
    ParquetError::General("not supported: it is encrypted".to_owned())
}

/// Walks the whole footer, so that every list is as long as it says; returns the column chunks.
fn check(bytes: &[u8]) -> Result<usize, ParquetError> {
    let mut cursor = Cursor::new(bytes);
    let (mut last, mut chunks) = (0, 0);
    while let Some((number, kind)) = cursor.field(&mut last)? {
        match (number, kind) {
            (2, LIST) => check_schema(&mut cursor)?,
            (4, LIST) => {
                cursor.structures(|cursor| {
                    let mut last = 0;
                    while let Some((number, kind)) = cursor.field(&mut last)? {
                        match (number, kind) {
                            (1, LIST) => chunks += cursor.structures(|cursor| cursor.skip(12))?,
                            _ => cursor.skip(kind)?,
                        }
                    }
                    Ok(())
                })?;
            }
            (8, _) => return Err(encrypted()),
            _ => cursor.skip(kind)?,
        }
    }
    Ok(chunks)
}

/// The tree of the schema is a list in which each element says how many of the next are its children.
fn check_schema(cursor: &mut Cursor<'_>) -> Result<(), ParquetError> {
    // The children that are still to come, from the root inwards.
    let mut open: Vec<i32> = Vec::new();
    let (mut deepest, mut is_first) = (0, true);
    cursor
        .structures(|cursor| {
            let (mut last, mut children) = (0, 0);
            while let Some((number, kind)) = cursor.field(&mut last)? {
                match (number, kind) {
                    (5, I32) => children = cursor.i32()?,
                    _ => cursor.skip(kind)?,
                }
            }
            while open.last() == Some(&0) {
                open.pop();
            }
            match open.last_mut() {
                Some(left) => *left -= 1,
                None if is_first => {}
                None => return Err(Fault::Broken),
            }
            is_first = false;
            if children < 0 {
                return Err(Fault::Broken);
            }
            open.push(children);
            deepest = deepest.max(open.len());
            // Nothing below recurses, but the list could be as long as the footer.
            if deepest > SCHEMA_DEPTH_MAX { Err(Fault::Broken) } else { Ok(()) }
        })
        .map_err(|fault| match deepest > SCHEMA_DEPTH_MAX {
            true => ParquetError::General(format!(
                "not supported: a column is nested more than {NESTING_DEPTH_MAX} levels deep"
            )),
            false => fault.into(),
        })?;
    if open.iter().any(|left| *left != 0) {
        return Err(ParquetError::General("its schema lacks columns that it announces".to_owned()));
    }
    Ok(())
}

fn check_rows(metadata: &ParquetMetaData, size_bytes: u64) -> Result<(), ParquetError> {
    let problem = |problem: &str| ParquetError::General(problem.to_owned());
    let rows = metadata.row_groups().iter().try_fold(0_u64, |rows, row_group| {
        u64::try_from(row_group.num_rows()).ok().and_then(|count| rows.checked_add(count))
    });
    let rows = rows.ok_or_else(|| problem("the footer's row counts are not valid"))?;
    if u64::try_from(metadata.file_metadata().num_rows()) != Ok(rows) {
        return Err(problem("its row groups have more or fewer rows than its footer says"));
    }
    let rows_max = ROWS_ALWAYS.saturating_add(size_bytes.saturating_mul(ROWS_PER_BYTE_MAX));
    if rows > rows_max {
        return Err(ParquetError::General(format!(
            "it has {size_bytes} bytes and says that they are {rows} rows; at most {rows_max} are read"
        )));
    }
    Ok(())
}
