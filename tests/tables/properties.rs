//! The same rows have one digest however they are held; other rows have another.

use std::sync::Arc;

use lineage_core::arrow::array::{ArrayRef, RecordBatch, StringArray, StringViewArray};
use lineage_core::table::{ColumnKind, TableDigest, TableError, digest_batches};
use proptest::prelude::*;

use super::files::{self, Folder};
use super::types::{Carrier, Dice, plain_type, some_type};
use super::values::{self, Carried, Column, Value};
use super::{arrays, texts};

pub fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

pub fn rows(columns: &[Column]) -> usize {
    columns.first().map_or(0, |column| column.values.len())
}

fn digest(batches: &[RecordBatch]) -> TableDigest {
    let schema = batches[0].schema();
    digest_batches::<TableError>(&schema, batches.iter().cloned().map(Ok)).unwrap()
}

/// The columns in the first types that hold them.
pub fn plain(columns: &[Column]) -> RecordBatch {
    let types = columns.iter().map(|c| plain_type(&c.kind, &c.values.iter().collect::<Vec<_>>()));
    arrays::batch(columns, &types.collect::<Vec<_>>(), rows(columns))
}

/// The columns in any types that hold them and that the carrier takes.
pub fn encoded(columns: &[Column], carrier: Carrier, dice: &mut Dice) -> RecordBatch {
    let types = columns.iter().map(|column| {
        some_type(&column.kind, &column.values.iter().collect::<Vec<_>>(), carrier, dice)
    });
    arrays::batch(columns, &types.collect::<Vec<_>>(), rows(columns))
}

/// Rows of all columns.
pub fn part(columns: &[Column], range: std::ops::Range<usize>) -> Vec<Column> {
    let one = |c: &Column| Column { values: c.values[range.clone()].to_vec(), ..c.clone() };
    columns.iter().map(one).collect()
}

pub fn has_empty_struct(kind: &ColumnKind) -> bool {
    match kind {
        ColumnKind::List(of) => has_empty_struct(of),
        ColumnKind::Map(key, of) => has_empty_struct(key) || has_empty_struct(of),
        ColumnKind::Struct(fields) => {
            fields.is_empty() || fields.iter().any(|(_, kind)| has_empty_struct(kind))
        }
        _ => false,
    }
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn encodings_and_batches_do_not_count(columns in values::table(Carried::All), seed: u64) {
        let dice = &mut Dice(seed);
        let expected = digest(&[plain(&columns)]);
        let whole = encoded(&columns, Carrier::Memory, dice);
        prop_assert_eq!(&digest(&files::slices(&whole, dice).into_iter().chain([whole.slice(0, 0)]).collect::<Vec<_>>()), &expected);
        // Each part in types of its own.
        let all = rows(&columns);
        let middle = dice.roll(all + 1);
        let parts = [0..middle, middle..all].map(|range| encoded(&part(&columns, range), Carrier::Memory, dice));
        prop_assert_eq!(&digest(&parts), &expected);
    }

    #[test]
    fn any_change_of_content_counts(
        columns in values::table(Carried::All),
        change in any::<prop::sample::Index>(),
        places in any::<Places>(),
        seed: u64,
    ) {
        let changed = altered(&columns, change, places, &mut Dice(seed));
        let normalised = |columns: &[Column]| -> Vec<_> {
            let one = |c: &Column| (c.name.clone(), c.kind.clone(), c.values.iter().map(Value::normalised).collect::<Vec<_>>());
            columns.iter().map(one).collect()
        };
        let same = normalised(&columns) == normalised(&changed);
        let (before, after) = (digest(&[plain(&columns)]), digest(&[plain(&changed)]));
        prop_assert_eq!(before.content_sha256 == after.content_sha256, same);
    }
}

/// A column, and two rows.
pub type Places = (prop::sample::Index, prop::sample::Index, prop::sample::Index);

/// The table after a change; without rows it gets another name of a column.
pub fn altered(
    columns: &[Column],
    change: prop::sample::Index,
    (place, row, other): Places,
    dice: &mut Dice,
) -> Vec<Column> {
    let mut changed = columns.to_vec();
    let place = place.index(columns.len());
    match rows(columns) {
        0 => changed[place].name.push('x'),
        rows => {
            alter(&mut changed, change.index(9), (place, row.index(rows), other.index(rows)), dice)
        }
    }
    changed
}

/// Makes one of nine changes, of which some may change nothing.
fn alter(
    columns: &mut [Column],
    change: usize,
    (place, row, other): (usize, usize, usize),
    dice: &mut Dice,
) {
    match change {
        0 => columns.iter_mut().for_each(|column| column.values.swap(row, other)),
        1 => columns[place].name.push('x'),
        2 => columns.swap(0, place),
        3 => columns.iter_mut().for_each(|column| drop(column.values.remove(row))),
        4 => columns.iter_mut().for_each(|column| {
            let copy = column.values[row].clone();
            column.values.insert(other, copy);
        }),
        5 => {
            let column = &mut columns[place];
            column.kind = match column.kind {
                ColumnKind::Timestamp => ColumnKind::Instant,
                ColumnKind::Instant => ColumnKind::Duration,
                ColumnKind::Date => ColumnKind::Int,
                ColumnKind::Time => ColumnKind::Int,
                _ => {
                    column.values.fill(Value::Null);
                    ColumnKind::Binary
                }
            };
        }
        _ => {
            let column = &mut columns[place];
            let value = column.values[row].clone();
            column.values[row] = changed_value(&value, &column.kind, dice);
        }
    }
}

/// Another value of the kind, as close as possible.
fn changed_value(value: &Value, kind: &ColumnKind, dice: &mut Dice) -> Value {
    if *value != Value::Null && dice.roll(3) == 0 {
        return Value::Null;
    }
    match value {
        Value::Null => empty(kind),
        Value::Bool(value) => Value::Bool(!value),
        Value::Int(0) => Value::Int(1),
        Value::Int(value) => Value::Int(value - value.signum()),
        Value::Float32(bits) => Value::Float32(bits ^ (1 << dice.roll(32))),
        Value::Float64(bits) => Value::Float64(bits ^ (1 << dice.roll(64))),
        Value::Decimal(unscaled, scale) => Value::Decimal(*unscaled, scale + 1),
        Value::Text(text) => Value::Text(format!("{text}\0")),
        Value::Bytes(bytes) => Value::Bytes([&bytes[..], &[0]].concat()),
        Value::Moment(seconds, nanoseconds) => {
            Value::Moment(seconds - seconds.signum(), *nanoseconds)
        }
        Value::Many(values) => {
            let mut values = values.clone();
            match kind {
                ColumnKind::List(of) if values.is_empty() || dice.roll(2) == 0 => {
                    values.push([Value::Null, empty(of)][dice.roll(2)].clone());
                }
                ColumnKind::List(of) => {
                    let at = dice.roll(values.len());
                    values[at] = changed_value(&values[at], of, dice);
                }
                ColumnKind::Struct(fields) if !fields.is_empty() => {
                    let at = dice.roll(values.len());
                    values[at] = changed_value(&values[at], &fields[at].1, dice);
                }
                ColumnKind::Map(..) if !values.is_empty() => drop(values.pop()),
                _ => return Value::Null,
            }
            Value::Many(values)
        }
    }
}

/// The value that is most like null.
fn empty(kind: &ColumnKind) -> Value {
    match kind {
        ColumnKind::Null => Value::Null,
        ColumnKind::Bool => Value::Bool(false),
        ColumnKind::Int | ColumnKind::Uint64 | ColumnKind::Date | ColumnKind::Time => Value::Int(0),
        ColumnKind::Float32 => Value::Float32(0),
        ColumnKind::Float64 => Value::Float64(0),
        ColumnKind::Decimal => Value::Decimal(0.into(), 0),
        ColumnKind::String => Value::Text(String::new()),
        ColumnKind::Binary => Value::Bytes(Vec::new()),
        ColumnKind::Timestamp | ColumnKind::Instant | ColumnKind::Duration => Value::Moment(0, 0),
        ColumnKind::List(_) | ColumnKind::Map(..) => Value::Many(Vec::new()),
        ColumnKind::Struct(fields) => Value::Many(vec![Value::Null; fields.len()]),
    }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn parquet_and_arrow_hold_the_same_table(columns in values::table(Carried::All), seed: u64) {
        let dice = &mut Dice(seed);
        let expected = digest(&[plain(&columns)]);
        let folder = Folder::new();
        let batch = encoded(&columns, Carrier::Arrow, dice);
        let (bytes, suffix) = files::arrow_compressed(&batch, dice);
        let arrow = files::table(&folder.write(&format!("t.arrow{suffix}"), &bytes), None);
        prop_assert_eq!(&arrow.digest, &expected);
        if !columns.iter().any(|column| has_empty_struct(&column.kind)) {
            let batch = encoded(&columns, Carrier::Parquet, dice);
            let parquet = files::table(&folder.write("t.parquet", &files::parquet(&batch, dice)), None);
            prop_assert_eq!(&parquet.digest, &expected);
            same_profiles(&parquet, &arrow)?;
        }
    }

    #[test]
    fn csv_with_a_schema_holds_the_same_table(columns in values::table(Carried::Csv), seed: u64) {
        let dice = &mut Dice(seed);
        let expected = digest(&[plain(&columns)]);
        let folder = Folder::new();
        let (name, delimiter) = [("t.csv", ','), ("t.tsv", '\t')][dice.roll(2)];
        let text = texts::csv(&columns, rows(&columns), delimiter, dice);
        let (bytes, suffix) = files::compressed(text, dice);
        let path = folder.write(&format!("{name}{suffix}"), &bytes);
        let csv = files::table(&path, Some(texts::declared(&columns)));
        prop_assert_eq!(&csv.digest, &expected);
        let batch = encoded(&columns, Carrier::Parquet, dice);
        let parquet = files::table(&folder.write("t.parquet", &files::parquet(&batch, dice)), None);
        same_profiles(&parquet, &csv)?;
    }

    #[test]
    fn ndjson_with_a_schema_holds_the_same_table(columns in values::table(Carried::Json), seed: u64) {
        let dice = &mut Dice(seed);
        let expected = digest(&[plain(&columns)]);
        let folder = Folder::new();
        let text = texts::ndjson(&columns, rows(&columns), dice);
        let (bytes, suffix) = files::compressed(text, dice);
        let path = folder.write(&format!("t.ndjson{suffix}"), &bytes);
        let ndjson = files::table(&path, Some(texts::declared(&columns)));
        prop_assert_eq!(&ndjson.digest, &expected);
        let batch = encoded(&columns, Carrier::Arrow, dice);
        let arrow = files::table(&folder.write("t.arrow", &files::arrow(&batch, dice)), None);
        same_profiles(&arrow, &ndjson)?;
    }
}

/// Both tables are described in the same bytes.
fn same_profiles(
    one: &lineage_core::fingerprint::Table,
    other: &lineage_core::fingerprint::Table,
) -> Result<(), TestCaseError> {
    let text = |table: &lineage_core::fingerprint::Table| {
        let profile = table.profile.as_ref().unwrap();
        serde_json::to_string_pretty(profile).unwrap()
    };
    prop_assert_eq!(text(one), text(other));
    Ok(())
}

#[test]
fn instants_may_have_one_or_two_digits_after_the_point() {
    let folder = Folder::new();
    let text =
        "at\n1970-01-01T00:00:00.5Z\n1970-01-01T01:00:00.55+01:00\n1969-12-31 16:00:00.5-08\n";
    let moments = [500_000_000, 550_000_000, 500_000_000].map(|part| Value::Moment(0, part));
    let column = Column { name: "at".into(), kind: ColumnKind::Instant, values: moments.to_vec() };
    let expected = digest(&[plain(std::slice::from_ref(&column))]);
    let path = folder.write("t.csv", text.as_bytes());
    assert_eq!(files::table(&path, None).digest, expected);
    assert_eq!(files::table(&path, Some(texts::declared(&[column]))).digest, expected);
}

/// Short values stand in their views, longer ones in buffers, of which the last end with a value.
#[test]
fn texts_of_every_length_are_the_same_in_views() {
    let text =
        |row: usize| "äbcdefghi€jklmno".chars().cycle().skip(row % 7).take(row % 71).collect();
    let texts: Vec<Option<String>> =
        (0..5000).map(|row| (row % 11 != 3).then(|| text(row))).collect();
    let dense: Vec<String> = (0..5000).map(text).collect();
    let digest =
        |array: ArrayRef| digest(&[RecordBatch::try_from_iter([("text", array)]).unwrap()]);
    let plain = digest(Arc::new(StringArray::from(texts.clone())));
    let views = StringViewArray::from_iter(&texts);
    assert_eq!(digest(Arc::new(views.clone())), plain);
    assert_eq!(digest(Arc::new(views.gc())), plain);
    let plain = digest(Arc::new(StringArray::from(dense.clone())));
    assert_eq!(digest(Arc::new(StringViewArray::from_iter_values(&dense))), plain);
}
