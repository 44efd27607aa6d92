use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, StringViewArray,
    TimestampMicrosecondArray,
};
use proptest::prelude::*;

use super::*;

type Row = (Option<i64>, String, Option<i64>, Option<f64>);

fn table(rows: &[Row], views: bool) -> RecordBatch {
    let texts = rows.iter().map(|row| Some(row.1.as_str()));
    let texts: ArrayRef = match views {
        true => Arc::new(texts.collect::<StringViewArray>()),
        false => Arc::new(texts.collect::<StringArray>()),
    };
    RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()) as ArrayRef, true),
        ("part", texts, true),
        ("count", Arc::new(rows.iter().map(|row| row.2).collect::<Int64Array>()), true),
        ("amount", Arc::new(rows.iter().map(|row| row.3).collect::<Float64Array>()), true),
    ])
    .unwrap()
}

fn split(batch: &RecordBatch, size: usize) -> Vec<RecordBatch> {
    (0..batch.num_rows())
        .step_by(size)
        .map(|at| batch.slice(at, size.min(batch.num_rows() - at)))
        .collect()
}

fn by_key(
    left: &RecordBatch,
    right: &RecordBatch,
    key: &[&str],
    options: &KeyedOptions,
) -> Result<KeyedDifference, JoinError> {
    let (batches_left, batches_right) = (split(left, 5), split(right, 7));
    let key: Vec<String> = key.iter().map(|name| (*name).to_owned()).collect();
    difference_by_key(
        &Source::of_batches(left.schema(), &batches_left)?,
        &Source::of_batches(right.schema(), &batches_right)?,
        &key,
        options,
    )
}

/// Rows with distinct keys.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    let amount = prop_oneof![
        Just(None),
        Just(Some(f64::NAN)),
        Just(Some(-0.0)),
        Just(Some(0.0)),
        (0..3).prop_map(|n: i32| Some(n.into()))
    ];
    let row = (prop::option::weighted(0.9, 0..20_i64), "[ab]?", prop::option::of(0..2_i64), amount);
    prop::collection::vec(row, 0..60).prop_map(|rows| {
        let mut seen = std::collections::HashSet::new();
        rows.into_iter().filter(|row| seen.insert((row.0, row.1.clone()))).collect()
    })
}

fn same(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a == b || a.is_nan() && b.is_nan(),
        (a, b) => a == b,
    }
}

/// The same by a map.
fn naive(left: &[Row], right: &[Row], examples_max: usize) -> [Vec<(u64, u64)>; 5] {
    let index = |rows: &[Row]| -> BTreeMap<_, _> {
        rows.iter().enumerate().map(|(at, row)| ((row.0, row.1.clone()), at)).collect()
    };
    let (by_left, by_right) = (index(left), index(right));
    let [mut added, mut removed, mut changed] = [(); 3].map(|()| Vec::new());
    let mut cells = vec![(0, 0)];
    for (key, at) in &by_left {
        match by_right.get(key) {
            None => removed.push((*at as u64, 0)),
            Some(other) => {
                let (a, b) = (&left[*at], &right[*other]);
                let differs = (a.2 != b.2, !same(a.3, b.3));
                if differs.0 || differs.1 {
                    changed.push((*at as u64, *other as u64));
                }
                cells[0].0 += u64::from(differs.0);
                cells[0].1 += u64::from(differs.1);
            }
        }
    }
    added.extend(
        by_right.iter().filter(|(k, _)| !by_left.contains_key(k)).map(|(_, at)| (*at as u64, 0)),
    );
    let counts = vec![(added.len() as u64, removed.len() as u64), (changed.len() as u64, 0)];
    for rows in [&mut added, &mut removed, &mut changed] {
        rows.sort_unstable();
        rows.truncate(examples_max);
    }
    [counts, cells, added, removed, changed]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_join_finds_what_a_map_finds(left in rows(), right in rows(), share in 0..60_usize) {
        // Without some rows in common, hardly any would be unchanged.
        let mut right = right;
        for row in left.iter().take(share) {
            if !right.iter().any(|other| (other.0, &other.1) == (row.0, &row.1)) {
                right.push(row.clone());
            }
        }
        let options = KeyedOptions { examples_max: 4, ..KeyedOptions::default() };
        let found =
            by_key(&table(&left, false), &table(&right, true), &["part", "id"], &options).unwrap();
        let [counts, cells, added, removed, changed] = naive(&left, &right, 4);
        prop_assert_eq!((found.added, found.removed), counts[0]);
        prop_assert_eq!(found.changed, counts[1].0);
        prop_assert_eq!(found.unchanged + found.changed + found.removed, left.len() as u64);
        prop_assert_eq!(found.unchanged + found.changed + found.added, right.len() as u64);
        let by_column: Vec<u64> =
            found.changed_columns.unwrap().iter().map(|column| column.cells).collect();
        prop_assert_eq!(by_column, vec![cells[0].0, cells[0].1]);
        let nulls = |rows: &[Row]| rows.iter().filter(|row| row.0.is_none()).count() as u64;
        prop_assert_eq!(found.null_keys_left, nulls(&left));
        prop_assert_eq!(found.null_keys_right, nulls(&right));

        let key = |row: &Row| {
            vec![row.1.clone(), row.0.map_or("null".to_owned(), |id| id.to_string())]
        };
        let examples = found.added_examples.iter().zip(&added);
        for (example, (row, _)) in examples {
            prop_assert_eq!(&example.key, &key(&right[*row as usize]));
            prop_assert_eq!((example.row_left, example.row_right), (None, Some(*row)));
        }
        for (example, (row, _)) in found.removed_examples.iter().zip(&removed) {
            prop_assert_eq!(&example.key, &key(&left[*row as usize]));
            prop_assert_eq!((example.row_left, example.row_right), (Some(*row), None));
        }
        for (example, (row, other)) in found.changed_examples.iter().zip(&changed) {
            prop_assert_eq!(&example.key, &key(&left[*row as usize]));
            prop_assert_eq!((example.row_left, example.row_right), (Some(*row), Some(*other)));
        }
        let named = (found.added_examples.len(), found.removed_examples.len());
        prop_assert_eq!(named, (added.len(), removed.len()));
        prop_assert_eq!(found.changed_examples.len(), changed.len());
    }
}

fn few() -> Vec<Row> {
    (0..20).map(|id| (Some(id), "a".to_owned(), Some(id % 3), Some(0.5))).collect()
}

fn error(result: Result<KeyedDifference, JoinError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn a_key_that_is_not_unique_is_refused_with_its_first_rows() {
    let mut rows = few();
    rows[9].0 = Some(4);
    rows[15].0 = Some(4);
    rows[11].0 = Some(7);
    let (left, right) = (table(&few(), false), table(&rows, false));
    let options = KeyedOptions::default();
    assert_eq!(
        error(by_key(&left, &right, &["part", "id"], &options)),
        "the key is not unique in the right table: rows 4 and 9 (counted from 0) both have \
         part=a, id=4, and 3 of its rows have a key that stood earlier; add a column to the key"
    );
    let error = error(by_key(&right, &left, &["id"], &options));
    assert!(error.starts_with("the key is not unique in the left table: rows 4 and 9 "), "{error}");
}

#[test]
fn a_key_must_name_columns_of_one_kind_in_both_tables() {
    let left = table(&few(), false);
    let ids: ArrayRef = Arc::new(StringArray::from(vec!["1", "2"]));
    let counts: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    let right =
        RecordBatch::try_from_iter([("id", ids), ("count", counts.clone()), ("count", counts)])
            .unwrap();
    let options = KeyedOptions::default();
    let error = |key: &[&str]| error(by_key(&left, &right, key, &options));
    assert_eq!(error(&[]), "no key column is given; name at least one");
    assert_eq!(error(&["part"]), "the right table has no column \"part\", which the key names");
    assert_eq!(error(&["x"]), "the left table has no column \"x\", which the key names");
    assert_eq!(
        error(&["count"]),
        "the right table has more than one column \"count\", which the key names"
    );
    assert_eq!(
        error(&["id"]),
        "the key column \"id\" is int in the left table and string in the right one; \
         give both the same kind (for a CSV: a schema)"
    );
    let twice = by_key(&left, &left, &["id", "id"], &options).unwrap_err();
    assert_eq!(twice.to_string(), "the key names the column \"id\" twice");
}

#[test]
fn columns_are_paired_by_name_and_kind() {
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![2, 1]));
    let narrow_ids: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x", "y"]));
    let other_texts: ArrayRef = Arc::new(StringArray::from(vec!["y", "z"]));
    let left = [("id", ids.clone()), ("gone", texts.clone()), ("text", texts), ("kind", ids)];
    let right = [
        ("new", narrow_ids.clone()),
        ("kind", other_texts.clone()),
        ("text", other_texts),
        ("id", narrow_ids),
    ];
    let left = RecordBatch::try_from_iter(left).unwrap();
    let right = RecordBatch::try_from_iter(right).unwrap();
    let found = by_key(&left, &right, &["id"], &KeyedOptions::default()).unwrap();
    assert_eq!((found.unchanged, found.changed), (1, 1));
    assert_eq!(found.compared, ["text"]);
    let not_compared: Vec<_> = found.not_compared.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(not_compared, ["gone", "kind", "new"]);
    assert_eq!(found.not_compared[1].right, Some(ColumnKind::String));
    let row = RowExample { key: vec!["2".to_owned()], row_left: Some(0), row_right: Some(1) };
    assert_eq!(found.changed_examples, [row]);
}

#[test]
fn limits_are_named() {
    let table = table(&few(), false);
    let options = KeyedOptions { rows_max: 39, ..KeyedOptions::default() };
    assert_eq!(
        error(by_key(&table, &table, &["id"], &options)),
        "the two tables together have more than 39 rows, the limit of a comparison by key \
         (it keeps 40 bytes of each row in memory); compare parts of them"
    );
    let options = KeyedOptions { rows_max: 40, ..KeyedOptions::default() };
    assert_eq!(by_key(&table, &table, &["id"], &options).unwrap().unchanged, 20);

    let mut rows = few();
    for row in &mut rows[3..8] {
        row.2 = Some(9);
    }
    let changed = self::table(&rows, false);
    let options = KeyedOptions { changed_cells_max: 14, ..KeyedOptions::default() };
    let found = by_key(&table, &changed, &["id"], &options).unwrap();
    assert_eq!((found.changed, found.changed_columns), (5, None));
    assert_eq!(
        found.changed_columns_note.unwrap(),
        "more than 4 rows changed, so the changed cells of each column were not counted"
    );
    assert_eq!(found.changed_examples.len(), 5);
    assert_eq!(found.changed_examples[0].key, ["3"]);
}

#[test]
fn a_table_that_shrinks_between_the_readings_is_noticed() {
    let (left, right) = (table(&few(), false), table(&few()[..18], false));
    let read = AtomicBool::new(false);
    let source = Source::new(left.schema(), |columns: &[usize]| {
        let rows = if read.swap(true, Ordering::Relaxed) { 3 } else { 20 };
        Ok(Box::new(std::iter::once(Ok(left.slice(0, rows).project(columns)?))))
    });
    let batches = [right.clone()];
    let right = Source::of_batches(right.schema(), &batches).unwrap();
    let options = KeyedOptions::default();
    let found = difference_by_key(&source.unwrap(), &right, &["id".to_owned()], &options);
    assert_eq!(error(found), "the left table changed while it was compared; compare it again");
}

#[test]
fn a_broken_reader_gives_its_own_error() {
    let schema = table(&few(), false).schema();
    let source =
        Source::new(schema, |_: &[usize]| Ok(Box::new(std::iter::once(Err("torn".into())))));
    let source = source.unwrap();
    let found = difference_by_key(&source, &source, &["id".to_owned()], &KeyedOptions::default());
    assert_eq!(error(found), "torn");
}

#[test]
fn instants_in_keys_are_written_in_utc() {
    let at = |values: Vec<i64>| {
        let array = TimestampMicrosecondArray::from(values).with_timezone("Europe/Berlin");
        RecordBatch::try_from_iter([("at", Arc::new(array) as ArrayRef)]).unwrap()
    };
    let options = KeyedOptions::default();
    let found = by_key(&at(vec![0]), &at(vec![1_500_000]), &["at"], &options).unwrap();
    assert_eq!(found.removed_examples[0].key, ["1970-01-01T00:00:00Z"]);
    assert_eq!(found.added_examples[0].key, ["1970-01-01T00:00:01.500Z"]);
}

#[test]
fn empty_tables_are_compared_too() {
    let (full, empty) = (table(&few(), false), table(&[], false));
    let options = KeyedOptions::default();
    let found = by_key(&empty, &full, &["id"], &options).unwrap();
    assert_eq!((found.added, found.removed, found.rows_left), (20, 0, 0));
    assert_eq!(by_key(&empty, &empty, &["id"], &options).unwrap().rows_right, 0);
}
