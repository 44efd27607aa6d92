use std::sync::Arc;

use crate::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal128Array,
    DictionaryArray, DurationSecondArray, Float32Array, Float64Array, Int8Array, Int64Array,
    RecordBatch, StringArray, Time32SecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, UInt64Array,
};
use crate::arrow::datatypes::Int8Type;
use proptest::prelude::*;

use super::*;

fn column(array: impl crate::arrow::array::Array + 'static) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([("x", Arc::new(array) as ArrayRef, true)]).unwrap()
}

fn tables(left: &RecordBatch, right: &RecordBatch) -> TableDrift {
    let (left, right) = ([left.clone()], [right.clone()]);
    let source = |batches| Source::of_batches(left[0].schema(), batches).unwrap();
    let other = Source::of_batches(right[0].schema(), &right).unwrap();
    drift(&source(&left), &other).unwrap()
}

fn one(left: &RecordBatch, right: &RecordBatch) -> ColumnDrift {
    let [column] = <[_; 1]>::try_from(tables(left, right).columns).unwrap();
    column
}

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
}

/// The limiting distribution, as scipy 1.17 gives it (`scipy.stats.kstwobign.sf`), and the tests as
/// `scipy.stats.ks_2samp` does.
#[test]
fn the_test_of_kolmogorov_and_smirnov_is_that_of_scipy() {
    for (x, tail) in [
        (0.01, 1.0),
        (0.3, 0.9999906941986655),
        (0.5, 0.9639452436648751),
        (0.8, 0.5441424115741981),
        (1.0, 0.26999967167735456),
        (1.17, 0.12939004218561884),
        (1.18, 0.1234538094297657),
        (1.358, 0.05002679733444698),
        (2.0, 0.0006709252557796953),
        (3.0, 3.045995948942526e-08),
    ] {
        near(statistics::smirnov_tail(x), tail);
    }

    let left: Float64Array = (0..200).map(|i| Some(f64::from(i * 37 % 101))).collect();
    let right: Float64Array = (0..150).map(|i| Some(f64::from(i * 53 % 89) * 1.2 + 10.0)).collect();
    let ks = one(&column(left), &column(right)).ks.unwrap();
    near(ks.statistic, 0.15666666666666673);
    near(ks.p_value, 0.02976341980313923);
    near(ks.critical_value, 1.358 * (350.0_f64 / 30_000.0).sqrt());
    assert!(ks.differs);

    let left: Int64Array = (0..50).map(|i| Some(i % 5)).collect();
    let right: Int8Array = (0..70).map(|i| Some(i % 7)).collect();
    let ks = one(&column(left), &column(right)).ks.unwrap();
    near(ks.statistic, 0.2857142857142857);
    near(ks.p_value, 0.017098608274873438);
}

#[test]
fn the_index_over_bins_of_equal_frequency_is_as_computed_by_hand() {
    let numbers = |range: std::ops::Range<i64>| column(Int64Array::from_iter_values(range));
    let same = one(&numbers(0..100), &numbers(0..100));
    assert_eq!((same.psi, same.shift), (Some(0.0), Some(Shift::Stable)));
    assert_eq!(same.ks.unwrap().statistic, 0.0);
    assert_eq!(same.ks.unwrap().p_value, 1.0);

    // Five bins lose their tenth, and the last has six tenths: numpy says the same.
    let moved = one(&numbers(0..100), &numbers(50..150));
    near(moved.psi.unwrap(), 4.346303496465605);
    let by_hand = 5.0 * (1e-4 - 0.1) * (1e-4_f64 / 0.1).ln() + 0.5 * 6.0_f64.ln();
    near(moved.psi.unwrap(), by_hand);
    assert_eq!(moved.shift, Some(Shift::Large));
}

#[test]
fn nulls_and_nans_have_bins_of_their_own_and_no_part_in_the_distance() {
    let numbers = |nulls: usize, nans: usize| {
        let mut values = vec![None; nulls];
        values.resize(nulls + nans, Some(f64::NAN));
        values.resize(100, Some(1.0));
        column(Float64Array::from(values))
    };
    let found = one(&numbers(10, 0), &numbers(20, 5));
    assert_eq!((found.nulls_left, found.nulls_right), (10, 20));
    assert_eq!((found.nans_left, found.nans_right), (0, 5));
    let psi = 0.1 * 2.0_f64.ln() + 0.0499 * 500.0_f64.ln() - 0.15 * (0.75_f64 / 0.9).ln();
    near(found.psi.unwrap(), psi);
    assert_eq!(found.ks.unwrap().statistic, 0.0);
    let nothing = one(&numbers(100, 0), &numbers(0, 100));
    assert_eq!(nothing.ks, None);
    assert_eq!(nothing.shift, Some(Shift::Large));
}

#[test]
fn a_frequent_value_has_a_bin_of_its_own() {
    let constant = |value: i64| column(Int64Array::from(vec![value; 40]));
    for other in [-1, 1, i64::MIN, i64::MAX] {
        let found = one(&constant(0), &constant(other));
        near(found.psi.unwrap(), 2.0 * 0.9999 * 10_000_f64.ln());
        assert_eq!(found.ks.unwrap().statistic, 1.0);
    }
    let found = one(&constant(i64::MIN), &constant(i64::MIN));
    assert_eq!(found.psi, Some(0.0));
    let lists = |left: &[u64], right: &[u64]| statistics::frequency_bins(left, right);
    assert_eq!(lists(&[5, 5, 5, 5, 5, 5, 5, 5, 5, 9], &[4, 5, 6, 9, 10]), [(0, 1), (9, 1), (1, 3)]);
    assert_eq!(lists(&[], &[1, 2]), [(0, 2)]);
}

#[test]
fn categories_are_the_fifty_most_frequent_and_the_rest() {
    let words = |counts: &[(&str, usize)]| {
        let words = counts.iter().flat_map(|(word, count)| vec![*word; *count]);
        column(StringArray::from_iter_values(words))
    };
    let found = one(&words(&[("a", 60), ("b", 40)]), &words(&[("a", 30), ("b", 50), ("new", 20)]));
    let psi = -0.3 * 0.5_f64.ln() + 0.1 * 1.25_f64.ln() + 0.1999 * 2000.0_f64.ln();
    near(found.psi.unwrap(), psi);
    assert_eq!((found.shift, found.ks), (Some(Shift::Large), None));

    let many = |first: usize, last: usize| {
        column(StringArray::from_iter_values((first..last).map(|i| format!("{i:03}"))))
    };
    // 50 categories of 1 in 100 and 50 of 100 in the rest; then 25, and 75 of 100.
    let found = one(&many(0, 100), &many(25, 125));
    let psi = 25.0 * (1e-4 - 0.01) * 0.01_f64.ln() + 0.25 * 1.5_f64.ln();
    near(found.psi.unwrap(), psi);

    let flags = |yes: usize| column(BooleanArray::from_iter((0..10).map(|i| Some(i < yes))));
    near(one(&flags(5), &flags(6)).psi.unwrap(), 0.1 * 1.2_f64.ln() - 0.1 * 0.8_f64.ln());

    let ids = many(0, 100_001);
    let found = one(&ids, &ids);
    assert_eq!((found.psi, found.shift), (None, None));
    assert_eq!(
        found.note.unwrap(),
        "more than 100000 different values, or 16 MiB of them; shares of single values say \
         nothing then"
    );
}

#[test]
fn physical_types_do_not_matter() {
    let integers = column(Int64Array::from_iter_values(0..100));
    let other_integers = column(Int8Array::from_iter_values(20..120));
    let expected = one(&integers, &other_integers);
    let ticks = |offset: i64, unit: i64| (0..100).map(move |i| (i + offset) * unit);
    let pairs: Vec<(ArrayRef, ArrayRef)> = vec![
        (
            Arc::new(UInt64Array::from_iter_values((0..100).map(|i| i + (1 << 63)))),
            Arc::new(UInt64Array::from_iter_values((20..120).map(|i| i + (1 << 63)))),
        ),
        (
            Arc::new(Float32Array::from_iter_values((0..100_u8).map(|i| f32::from(i) - 50.0))),
            Arc::new(Float32Array::from_iter_values((20..120_u8).map(|i| f32::from(i) - 50.0))),
        ),
        (
            Arc::new(Decimal128Array::from_iter_values(ticks(0, 1).map(i128::from))),
            Arc::new(Decimal128Array::from_iter_values(ticks(20, 1).map(i128::from))),
        ),
        (
            Arc::new(Int64Array::from_iter_values(0..100)),
            Arc::new(Float64Array::from_iter_values((20..120).map(f64::from))),
        ),
        (
            Arc::new(Date32Array::from_iter_values(0..100)),
            Arc::new(Date64Array::from_iter_values(ticks(20, 86_400_000))),
        ),
        (
            Arc::new(Time32SecondArray::from_iter_values(0..100)),
            Arc::new(Time32SecondArray::from_iter_values(20..120)),
        ),
        (
            Arc::new(TimestampMillisecondArray::from_iter_values(ticks(0, 1_000))),
            Arc::new(TimestampNanosecondArray::from_iter_values(ticks(20, 1_000_000_000))),
        ),
        (
            Arc::new(DurationSecondArray::from_iter_values(ticks(-50, 1))),
            Arc::new(DurationSecondArray::from_iter_values(ticks(-30, 1))),
        ),
    ];
    for (left, right) in pairs {
        let name = left.data_type().to_string();
        let found = one(&column(left), &column(right));
        assert_eq!((found.psi, found.ks), (expected.psi, expected.ks), "{name}");
    }
    let plain = column(StringArray::from(vec!["a", "b", "a"]));
    let dictionary: DictionaryArray<Int8Type> = ["a", "b", "a"].into_iter().collect();
    assert_eq!(one(&plain, &column(dictionary)).psi, Some(0.0));
}

#[test]
fn what_cannot_be_measured_is_listed() {
    let batch = |names: [&str; 2]| {
        let bytes: ArrayRef = Arc::new(BinaryArray::from_iter_values([b"a"]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        RecordBatch::try_from_iter([
            ("bytes", bytes),
            (names[0], numbers.clone()),
            (names[1], numbers),
        ])
        .unwrap()
    };
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let left = batch(["n", "gone"]);
    let right = batch(["n", "new"]);
    let found = tables(&left, &right);
    let names: Vec<_> = found.not_measured.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["bytes", "gone", "new"]);
    assert_eq!((found.columns.len(), found.rows_left), (1, 1));
    let found = tables(&left, &RecordBatch::try_from_iter([("n", texts)]).unwrap());
    assert_eq!((found.columns.len(), found.rows_left, found.rows_right), (0, 1, 1));

    let empty = left.slice(0, 0);
    let found = tables(&empty, &left).columns.remove(0);
    assert_eq!(found.note.unwrap(), "the left table has no rows");
    assert_eq!((found.psi, found.ks), (None, None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_distance_is_the_greatest_of_all_points(
        left in prop::collection::vec(-5..5_i64, 1..40),
        right in prop::collection::vec(-5..5_i64, 1..40),
    ) {
        let share = |values: &[i64], at: i64| {
            values.iter().filter(|value| **value <= at).count() as f64 / values.len() as f64
        };
        let distance = (-6..6).map(|at| (share(&left, at) - share(&right, at)).abs());
        let expected = distance.fold(0.0, f64::max);
        let found =
            one(&column(Int64Array::from(left.clone())), &column(Int64Array::from(right.clone())));
        prop_assert!((found.ks.unwrap().statistic - expected).abs() < 1e-12);

        let mut sorted = left.iter().map(|v| (v + 5) as u64).collect::<Vec<_>>();
        let mut other = right.iter().map(|v| (v + 5) as u64).collect::<Vec<_>>();
        sorted.sort_unstable();
        other.sort_unstable();
        let bins = statistics::frequency_bins(&sorted, &other);
        prop_assert_eq!(bins.iter().map(|bin| bin.0).sum::<u64>(), left.len() as u64);
        prop_assert_eq!(bins.iter().map(|bin| bin.1).sum::<u64>(), right.len() as u64);
        prop_assert!(bins.len() <= 19);
    }

    #[test]
    fn the_number_of_readings_does_not_matter(bytes in 0..2000_usize, rows in 1..60_i64) {
        let names = ["a", "b", "c", "d", "e"];
        let batch = |shift: i64| {
            let columns = names.iter().zip(1..).map(|(name, factor)| {
                let values = (0..rows).map(|row| (row * factor + shift) % 17);
                (*name, Arc::new(Int64Array::from_iter_values(values)) as ArrayRef)
            });
            RecordBatch::try_from_iter(columns).unwrap()
        };
        let (left, right) = ([batch(0)], [batch(3)]);
        let left = Source::of_batches(left[0].schema(), &left).unwrap();
        let right = Source::of_batches(right[0].schema(), &right).unwrap();
        let once = drift(&left, &right).unwrap();
        prop_assert_eq!(once.columns.len(), 5);
        prop_assert_eq!(once, drift_within(&left, &right, bytes, 1_000).unwrap());
        let refused = drift_within(&left, &right, bytes, rows as u64).unwrap_err();
        prop_assert!(refused.to_string().contains("more than"));
    }
}
