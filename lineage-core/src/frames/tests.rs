//! DataFrames there and back, and their digests.

use std::sync::Arc;

use crate::arrow::array::{
    ArrayRef, BooleanArray, Date64Array, Decimal256Array, DictionaryArray, FixedSizeListArray,
    Int32Array, Int64Array, RecordBatch, StringArray, StringViewArray, Time32SecondArray,
    TimestampSecondArray,
};
use crate::arrow::datatypes::{Field, Int8Type, Int32Type, Schema, i256};
use polars::prelude as pl;
use polars::prelude::{IntoLazy as _, IntoSeries as _, NamedFrom as _, NewChunkedArray as _};

use super::*;
use crate::table::digest_batches;

type Batches = Vec<Result<RecordBatch, FramesError>>;

fn batch(columns: Vec<(&str, ArrayRef)>) -> (Arc<Schema>, RecordBatch) {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap();
    (batch.schema(), batch)
}

/// A frame with a column of every type that has a kind.
fn every_type(rows: usize) -> DataFrame {
    let numbers: Vec<Option<i64>> =
        (0..rows as i64).map(|row| (row % 7 != 3).then_some(row * 37 - 50)).collect();
    let base = pl::Series::new("int64".into(), &numbers);
    let mut columns = vec![base.clone()];
    let mut cast = |name: &str, from: &pl::Series, to: pl::DataType| {
        let mut series = from.strict_cast(&to).unwrap();
        series.rename(name.into());
        columns.push(series);
    };
    let small = pl::Series::new(
        "small".into(),
        numbers.iter().map(|value| value.map(|value| value.rem_euclid(100))).collect::<Vec<_>>(),
    );
    use pl::DataType::*;
    for (name, to) in [("i8", Int8), ("i16", Int16), ("i32", Int32), ("u8", UInt8)] {
        cast(name, &small, to);
    }
    for (name, to) in [("u16", UInt16), ("u32", UInt32), ("u64", UInt64), ("f32", Float32)] {
        cast(name, &small, to);
    }
    cast("f64", &base, Float64);
    cast("decimal", &base, Decimal(20, 3));
    cast("date", &small.strict_cast(&Int32).unwrap(), Date);
    cast("time", &small, Time);
    for (name, unit) in [
        ("ms", pl::TimeUnit::Milliseconds),
        ("us", pl::TimeUnit::Microseconds),
        ("ns", pl::TimeUnit::Nanoseconds),
    ] {
        cast(&format!("duration_{name}"), &base, Duration(unit));
        cast(&format!("timestamp_{name}"), &base, Datetime(unit, None));
        cast(&format!("instant_{name}"), &base, Datetime(unit, Some(pl::TimeZone::UTC)));
    }
    let text: Vec<_> = numbers.iter().map(|value| value.map(|v| format!("näme {v}"))).collect();
    let text = pl::Series::new("string".into(), &text);
    cast("binary", &text, Binary);
    let few: Vec<_> = numbers.iter().map(|v| v.map(|v| ["a", "b", ""][v as usize % 3])).collect();
    let few = pl::Series::new("few".into(), &few);
    cast("categorical", &few, pl::DataType::from_categories(pl::Categories::global()));
    let frozen = pl::FrozenCategories::new(["b", "a", ""]).unwrap();
    cast("enum", &few, pl::DataType::from_frozen_categories(frozen));
    let flags: Vec<_> = numbers.iter().map(|value| value.map(|value| value > 0)).collect();
    columns.push(pl::Series::new("bool".into(), &flags));
    columns.push(pl::Series::new_null("null".into(), rows));
    let lists: pl::ListChunked =
        (0..rows).map(|row| (row % 4 != 1).then(|| text.slice(row as i64, row % 3))).collect();
    columns.push(lists.into_series().with_name("list".into()));
    let fields = [few.clone(), base];
    let nested = pl::StructChunked::from_series("struct".into(), rows, fields.iter()).unwrap();
    columns.push(nested.into_series());
    columns.push(text);
    DataFrame::new(rows, columns.into_iter().map(Into::into).collect()).unwrap()
}

#[test]
fn every_type_survives_the_way_there_and_back() {
    for rows in [0, 1, 5, 70_000] {
        let frame = every_type(rows);
        let there = batches(&frame).unwrap();
        let schema = there.schema();
        let there: Vec<RecordBatch> = there.map(Result::unwrap).collect();
        assert_eq!(there.iter().map(RecordBatch::num_rows).sum::<usize>(), rows);
        assert!(there.iter().all(|batch| batch.num_rows() <= 65_536));
        let back = dataframe::<FramesError>(&schema, there.into_iter().map(Ok)).unwrap();
        assert_eq!(back.height(), rows);
        for (before, after) in frame.columns().iter().zip(back.columns()) {
            let before = match before.dtype() {
                pl::DataType::Categorical(..) | pl::DataType::Enum(..) => {
                    before.cast(&pl::DataType::String).unwrap()
                }
                _ => before.clone(),
            };
            assert!(before.equals_missing(after), "{} of {rows} rows", before.name());
            assert_eq!(before.dtype(), after.dtype());
        }
        let digest = fingerprint_dataframe(&frame).unwrap();
        assert_eq!(digest, fingerprint_dataframe(&back).unwrap());
        assert_eq!(digest, fingerprint_lazyframe(frame.clone().lazy()).unwrap());
        assert_eq!(digest.rows, rows as u64);
    }
}

#[test]
fn chunks_and_slices_of_a_frame_do_not_matter() {
    let whole = every_type(70_000);
    let mut parts = whole.slice(0, 17);
    parts.vstack_mut(&whole.slice(17, 66_000)).unwrap();
    parts.vstack_mut(&whole.slice(66_017, 10_000)).unwrap();
    assert!(parts.first_col_n_chunks() > 1);
    assert_eq!(fingerprint_dataframe(&whole).unwrap(), fingerprint_dataframe(&parts).unwrap());
    let tail = fingerprint_dataframe(&whole.slice(1, 69_999)).unwrap();
    assert_ne!(fingerprint_dataframe(&whole).unwrap().content_sha256, tail.content_sha256);
}

#[test]
fn a_frame_has_the_digest_of_the_same_arrow_batches() {
    let frame = pl::df!("n" => [Some(1_i32), None], "s" => ["a", "ü"]).unwrap();
    let numbers = Int64Array::from(vec![Some(1), None]);
    let texts = StringViewArray::from(vec!["a", "ü"]);
    let (schema, batch) = batch(vec![("n", Arc::new(numbers)), ("s", Arc::new(texts))]);
    let expected = digest_batches::<FramesError>(&schema, [Ok(batch)].into_iter()).unwrap();
    assert_eq!(fingerprint_dataframe(&frame).unwrap(), expected);
}

#[test]
fn a_frame_without_columns_keeps_its_rows() {
    let frame = DataFrame::new(70_000, Vec::new()).unwrap();
    let there = batches(&frame).unwrap();
    let schema = there.schema();
    assert_eq!(dataframe(&schema, there).unwrap().height(), 70_000);
    assert_eq!(fingerprint_dataframe(&frame).unwrap().rows, 70_000);
}

#[test]
fn encodings_become_values() {
    let decimals = Decimal256Array::from(vec![i256::from_i128(150), i256::from_i128(-7)]);
    let list = FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>(
        [Some([Some(1), None]), None],
        2,
    );
    let dictionary: DictionaryArray<Int8Type> = ["x", "y"].into_iter().collect();
    let (schema, batch) = batch(vec![
        ("decimal", Arc::new(decimals.with_precision_and_scale(38, 2).unwrap())),
        ("list", Arc::new(list)),
        ("dictionary", Arc::new(dictionary)),
        ("date", Arc::new(Date64Array::from(vec![86_400_000, -86_400_000]))),
        ("time", Arc::new(Time32SecondArray::from(vec![1, 86_399]))),
        ("instant", Arc::new(TimestampSecondArray::from(vec![1, -1]).with_timezone("+02:00"))),
    ]);
    let expected = digest_batches::<FramesError>(&schema, [Ok(batch.clone())].into_iter()).unwrap();
    let frame = dataframe::<FramesError>(&schema, [Ok(batch)].into_iter()).unwrap();
    assert_eq!(fingerprint_dataframe(&frame).unwrap(), expected);
}

#[test]
fn what_a_frame_cannot_hold_is_refused_by_name() {
    let huge = pl::Int128Chunked::from_slice("wide".into(), &[1, 2]).into_series();
    let frame = DataFrame::new(2, vec![huge.into()]).unwrap();
    let error = fingerprint_dataframe(&frame).unwrap_err().to_string();
    assert_eq!(error, "not supported: i128 of polars in column \"wide\"");

    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let field = Arc::new(Field::new("a", crate::arrow::datatypes::DataType::Int32, true));
    let schema = Arc::new(Schema::new(vec![Arc::clone(&field), field]));
    let twice = RecordBatch::try_new(schema.clone(), vec![numbers.clone(), numbers]).unwrap();
    let batches: Batches = vec![Ok(twice)];
    let error = dataframe(&schema, batches.into_iter()).unwrap_err().to_string();
    assert_eq!(error, "two columns are named \"a\", which a DataFrame cannot have; rename one");

    let (schema, noon) = batch(vec![("day", Arc::new(Date64Array::from(vec![43_200_000])))]);
    let error = dataframe::<FramesError>(&schema, [Ok(noon)].into_iter()).unwrap_err().to_string();
    assert_eq!(error, "column \"day\": a date with a time of day (43200000 ms since 1970-01-01)");
}

#[test]
fn batches_of_another_width_are_refused() {
    let (schema, _) = batch(vec![("a", Arc::new(BooleanArray::from(vec![true])))]);
    let (_, other) = batch(vec![
        ("a", Arc::new(BooleanArray::from(vec![true]))),
        ("b", Arc::new(StringArray::from(vec!["x"]))),
    ]);
    assert!(dataframe::<FramesError>(&schema, [Ok(other)].into_iter()).is_err());
}

#[test]
fn a_frame_read_from_a_file_has_the_digest_of_the_files_table() {
    use std::fs::File;

    use polars::prelude::{SerReader as _, SerWriter as _};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.arrows");
    let mut frame = pl::df!(
        "id" => [1_i32, -2, 3],
        "amount" => [Some(0.5), None, Some(-0.0)],
        "name" => [Some("é"), Some(""), None],
    )
    .unwrap();
    pl::IpcStreamWriter::new(File::create(&path).unwrap()).finish(&mut frame).unwrap();
    let read = pl::IpcStreamReader::new(File::open(&path).unwrap()).finish().unwrap();
    let file = crate::fingerprint::fingerprint_path(&path, &crate::context::Silent).unwrap();
    let digest = file.table.unwrap().digest;
    assert_eq!(fingerprint_dataframe(&read).unwrap(), digest);
    assert_eq!(fingerprint_lazyframe(pl::IntoLazy::lazy(read)).unwrap(), digest);
}

#[test]
fn a_table_file_becomes_a_frame_with_the_kinds_that_were_found() {
    use crate::context::Silent;
    use crate::fingerprint::fingerprint_path;

    let folder = tempfile::tempdir().unwrap();
    // Long enough for several pieces, which see other kinds and units at first.
    let mut text = "id,code,at,rate\n".to_owned();
    for row in 0..90_000 {
        text += &format!("{row},{:03},2024-01-01T00:00:{:02},{row}\n", row % 1000, row % 60);
    }
    text += "90000,x,2024-01-02T00:00:00.000000001,0.5\n";
    let path = folder.path().join("rows.csv");
    std::fs::write(&path, text).unwrap();
    let table = fingerprint_path(&path, &Silent).unwrap().table.unwrap();
    let frame = read_table(&path, &table, &TableOptions::default(), &Silent).unwrap();
    assert_eq!(fingerprint_dataframe(&frame).unwrap(), table.digest);
    let types: Vec<String> = frame.dtypes().iter().map(ToString::to_string).collect();
    assert_eq!(types, ["i64", "str", "datetime[ns]", "f64"]);

    std::fs::write(&path, "id,code,at,rate\n1,2,3,4\n").unwrap();
    let error = read_table(&path, &table, &TableOptions::default(), &Silent).unwrap_err();
    assert!(matches!(error, FramesError::Content(_)), "{error}");
}

mod join {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::compare::{KeyedOptions, RowExample, Source, difference_by_key};

    type Row = (Option<i64>, String, Option<i64>);

    fn frame(rows: &[Row], row: &str) -> DataFrame {
        let places: Vec<i64> = (0..rows.len() as i64).collect();
        let ids: Vec<_> = rows.iter().map(|row| row.0).collect();
        let parts: Vec<_> = rows.iter().map(|row| row.1.as_str()).collect();
        let counts: Vec<_> = rows.iter().map(|row| row.2).collect();
        pl::df!("id" => ids, "part" => parts, "count" => counts, row => places).unwrap()
    }

    /// Rows with distinct keys.
    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let id = prop::option::weighted(0.9, 0..40_i64);
        let row = (id, "[ab]?", prop::option::of(0..2_i64));
        prop::collection::vec(row, 0..120).prop_map(|rows| {
            let mut seen = HashSet::new();
            rows.into_iter().filter(|row| seen.insert((row.0, row.1.clone()))).collect()
        })
    }

    /// Places of the rows that are added, removed and changed, as a full join by polars has them.
    fn judged(left: &DataFrame, right: &DataFrame) -> [Vec<(Option<u64>, Option<u64>)>; 3] {
        use pl::DataFrameJoinOps as _;
        let mut how = pl::JoinArgs::new(pl::JoinType::Full);
        how.nulls_equal = true;
        let joined = left.join(right, ["id", "part"], ["id", "part"], how, None).unwrap();
        let column = |name: &str| -> Vec<Option<i64>> {
            joined.column(name).unwrap().i64().unwrap().iter().collect()
        };
        let places = column("left").into_iter().zip(column("right"));
        let counts = column("count").into_iter().zip(column("count_right"));
        let [mut added, mut removed, mut changed] = [(); 3].map(|()| Vec::new());
        for ((left, right), (before, after)) in places.zip(counts) {
            let places = (left.map(|row| row as u64), right.map(|row| row as u64));
            match places {
                (None, _) => added.push(places),
                (_, None) => removed.push(places),
                _ if before != after => changed.push(places),
                _ => {}
            }
        }
        added.sort_unstable();
        removed.sort_unstable();
        changed.sort_unstable();
        [added, removed, changed]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn rows_by_key_are_those_that_polars_joins(left in rows(), right in rows()) {
            let (left, right) = (frame(&left, "left"), frame(&right, "right"));
            let [added, removed, changed] = judged(&left, &right);
            let all = |frame| -> (_, Vec<RecordBatch>) {
                let batches = batches(frame).unwrap();
                (batches.schema(), batches.map(Result::unwrap).collect())
            };
            let ((schema_left, left), (schema_right, right)) = (all(&left), all(&right));
            let found = difference_by_key(
                &Source::of_batches(schema_left, &left).unwrap(),
                &Source::of_batches(schema_right, &right).unwrap(),
                &["id".to_owned(), "part".to_owned()],
                &KeyedOptions::default(),
            )
            .unwrap();
            let counts = [&added, &removed, &changed].map(|rows| rows.len() as u64);
            prop_assert_eq!([found.added, found.removed, found.changed], counts);
            let places = |examples: &[RowExample]| -> Vec<_> {
                examples.iter().map(|row| (row.row_left, row.row_right)).collect()
            };
            for (examples, expected) in [
                (&found.added_examples, &added),
                (&found.removed_examples, &removed),
                (&found.changed_examples, &changed),
            ] {
                prop_assert_eq!(places(examples), &expected[..expected.len().min(10)]);
            }
        }
    }
}
