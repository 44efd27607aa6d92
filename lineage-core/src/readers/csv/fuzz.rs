//! Reading a whole CSV at once, in one thread: for fuzzing and tests.

use crate::arrow::array::{Array, AsArray, RecordBatch};
use crate::arrow::datatypes::{
    DataType, Date32Type, Decimal256Type, Float32Type, Float64Type, Int64Type,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType, UInt64Type,
    i256,
};

use super::{
    Classes, CsvError, CsvOptions, Cutter, DeclaredColumn, PIECE_BYTES, Parser, Problem, Scratch,
    guess,
};
use crate::table::ColumnKind;

/// Reads the bytes as CSV and as TSV, in pieces of different sizes, and checks that the results are
/// the same.
#[doc(hidden)]
pub fn fuzz_csv(bytes: &[u8]) {
    for options in [CsvOptions::CSV, CsvOptions { header: false, ..CsvOptions::TSV }] {
        let whole = read_table(bytes, options, None, PIECE_BYTES);
        for piece_bytes in [1, 61, 400] {
            let pieces = read_table(bytes, options, None, piece_bytes);
            assert!(whole == pieces || is_one_fault(&whole, &pieces), "{whole:?} {pieces:?}");
        }
    }
}

/// A record of too many fields is refused before its end when it does not fit into a piece. Then its
/// fields were not all counted, and another fault later in the record may not have been met.
fn is_one_fault(whole: &Result<Table, CsvError>, pieces: &Result<Table, CsvError>) -> bool {
    let (Err(whole), Err(pieces)) = (whole, pieces) else { return false };
    let is_cut = |error: &CsvError| matches!(error.problem, Problem::TooManyFields { .. });
    is_cut(whole) && whole.byte_offset <= pieces.byte_offset
        || is_cut(pieces) && pieces.byte_offset <= whole.byte_offset
}

/// A table with its cells as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub names: Vec<String>,
    pub kinds: Vec<ColumnKind>,
    pub rows: usize,
    pub columns: Vec<Vec<Option<String>>>,
}

/// All of a CSV, read as a file is: pieces one after another, twice when the guess was wrong.
pub(super) fn read_table(
    bytes: &[u8],
    options: CsvOptions,
    declared: Option<&[DeclaredColumn]>,
    piece_bytes: usize,
) -> Result<Table, CsvError> {
    let mut cutter = Cutter::new(options, piece_bytes);
    let mut pieces = Vec::new();
    let mut rest = bytes;
    let mut failed = None;
    loop {
        match cutter.push(&mut rest) {
            Ok(Some(piece)) => pieces.push(piece),
            Ok(None) => break,
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    if failed.is_none() {
        match cutter.finish() {
            Ok(piece) => pieces.extend(piece),
            Err(error) => failed = Some(error),
        }
    }
    let names = cutter.columns().unwrap_or_default().to_vec();
    let guessed = pieces.first().map(|piece| guess(options, &names, piece)).unwrap_or_default();
    let mut scratch = Scratch::default();
    let parser = Parser::new(options, &names, declared, &guessed)?;
    let mut kinds: Vec<ColumnKind> = parser.columns().map(|(_, kind)| kind.clone()).collect();
    let mut columns = vec![Vec::new(); names.len()];
    let mut classes = vec![Classes::NONE; names.len()];
    let mut rows = 0;
    for piece in &pieces {
        let parsed = parser.parse(piece, &mut scratch)?;
        rows += parsed.batch.num_rows();
        add_cells(&parsed.batch, (0..).take(names.len()), &mut columns);
        for (all, found) in classes.iter_mut().zip(parsed.classes) {
            *all |= found;
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    if let Some(second) = parser.second_pass(&classes)? {
        for (index, kind) in second.columns() {
            kinds[index] = kind.clone();
            columns[index].clear();
        }
        for piece in &pieces {
            let parsed = second.parse(piece, &mut scratch)?;
            assert!(!parsed.contradicted.contains(&true), "the true kind fits every value");
            add_cells(&parsed.batch, second.columns().map(|(index, _)| index), &mut columns);
        }
    }
    Ok(Table { names, kinds, rows, columns })
}

fn add_cells(
    batch: &RecordBatch,
    places: impl Iterator<Item = usize>,
    columns: &mut [Vec<Option<String>>],
) {
    for (place, array) in places.zip(batch.columns()) {
        columns[place].extend((0..array.len()).map(|row| cell(array.as_ref(), row)));
    }
}

/// A value as text, the same in every unit and scale.
fn cell(array: &dyn Array, row: usize) -> Option<String> {
    if array.is_null(row) || array.data_type() == &DataType::Null {
        return None;
    }
    Some(match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).to_string(),
        DataType::Float32 => format!("{:?}", array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => format!("{:?}", array.as_primitive::<Float64Type>().value(row)),
        DataType::Date32 => array.as_primitive::<Date32Type>().value(row).to_string(),
        DataType::Time64(_) => array.as_primitive::<Time64NanosecondType>().value(row).to_string(),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            i128::from(array.as_primitive::<TimestampNanosecondType>().value(row)).to_string()
        }
        DataType::Timestamp(_, _) => {
            let value = array.as_primitive::<TimestampMicrosecondType>().value(row);
            (i128::from(value) * 1000).to_string()
        }
        DataType::Decimal256(_, scale) => {
            let mut value = array.as_primitive::<Decimal256Type>().value(row);
            let mut scale = *scale;
            let ten = i256::from_i128(10);
            while scale > 0 && value % ten == i256::ZERO {
                value /= ten;
                scale -= 1;
            }
            format!("{value}e-{scale}")
        }
        _ => array.as_string::<i32>().value(row).to_owned(),
    })
}
