//! What is exact.

use crate::arrow::array::{
    BinaryArray, BooleanArray, Date32Array, DurationMillisecondArray, Float32Array, Float64Array,
    Int32Array, Int64Array, ListArray, NullArray, StringArray, Time64NanosecondArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
};
use crate::arrow::datatypes::{Int32Type, i256};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::decimal::Decimal;
use super::super::{
    BLOCK_ROWS, BlockProfiler, ColumnProfile, DateRange, NamedProfile, PROFILE_VERSION,
    ProfileError, TableProfile, key,
};
use super::{array_ref, profile, random};
use crate::table::ColumnKind;

fn as_json(profile: &ColumnProfile) -> Value {
    serde_json::to_value(profile).unwrap()
}

#[test]
fn a_small_column_is_profiled_exactly() {
    let array = Int64Array::from(vec![Some(3), None, Some(1), Some(3), Some(-5)]);
    let profile = profile(&array);
    let squares = 2.5 * 2.5 * 2.0 + 0.5 * 0.5 + 5.5 * 5.5_f64;
    let expected = json!({
        "count": 4, "nulls": 1, "min": -5, "max": 3, "mean": 0.5,
        "standard_deviation": (squares / 3.0).sqrt(),
        "quantiles": {"p01": -5, "p05": -5, "p25": -5, "p50": 1, "p75": 3, "p95": 3, "p99": 3,
            "rank_error": 0.0},
        "distinct": {"count": 3, "exact": true},
        "top_values": [
            {"value": 3, "count": 2, "exact": true},
            {"value": -5, "count": 1, "exact": true},
            {"value": 1, "count": 1, "exact": true}],
        "others_at_most": 0,
    });
    assert_eq!(as_json(&profile), expected);
}

#[test]
fn a_profile_is_written_and_read_back() {
    for array in [
        array_ref(Float64Array::from(vec![0.1, 1e300, f64::INFINITY, f64::NAN])),
        array_ref(StringArray::from(vec![Some("a"), None])),
        array_ref(NullArray::new(3)),
    ] {
        let profile = profile(&array);
        let text = serde_json::to_string(&profile).unwrap();
        assert_eq!(serde_json::from_str::<ColumnProfile>(&text).unwrap(), profile, "{text}");
    }
}

#[test]
fn floats_that_are_no_numbers_are_counted_apart() {
    let array = Float64Array::from(vec![
        f64::NAN,
        -f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -0.0,
        0.0,
        4.0,
    ]);
    let profile = profile(&array);
    assert_eq!((profile.count, profile.nan, profile.infinite), (7, Some(2), Some(2)));
    assert_eq!((profile.min, profile.max), (Some("-inf".into()), Some("inf".into())));
    assert_eq!(profile.mean, Some((4.0 / 3.0).into()));
    assert_eq!(profile.distinct.unwrap().count, 4);
    assert_eq!(profile.top_values[0].value, json!(0.0));
    assert_eq!(profile.top_values[0].count, 2);

    // The same among very many.
    let many = (0..3000).map(|number| match number % 1000 {
        0 => f64::INFINITY,
        1 => f64::NAN,
        _ => f64::from(number),
    });
    let profile = super::profile(&Float64Array::from_iter_values(many));
    assert_eq!((profile.nan, profile.infinite), (Some(3), Some(3)));
    let numbers = (0..3000).filter(|number| number % 1000 > 1);
    let expected = numbers.clone().sum::<i32>() as f64 / numbers.count() as f64;
    assert!((profile.mean.unwrap().as_f64().unwrap() - expected).abs() < 1e-9);
}

#[test]
fn nothing_but_nan_or_nulls_has_no_extremes() {
    let profile = super::profile(&Float64Array::from(vec![Some(f64::NAN), None]));
    assert_eq!((profile.min, profile.mean, profile.quantiles), (None, None, None));
    let profile = super::profile(&Int32Array::from(vec![None; 4]));
    assert_eq!((profile.count, profile.nulls, profile.min), (0, 4, None));
    assert_eq!(profile.distinct.unwrap().count, 0);
    assert_eq!(super::profile(&NullArray::new(5)).nulls, 5);
}

#[test]
fn singles_keep_their_few_digits() {
    let profile = profile(&Float32Array::from(vec![0.1, 0.1]));
    assert_eq!(profile.min, Some(json!(0.1)));
    assert_eq!(profile.standard_deviation, Some(0.0));
}

#[test]
fn numbers_that_doubles_cannot_hold_are_texts() {
    let profile = profile(&UInt64Array::from(vec![u64::MAX, 1 << 53]));
    assert_eq!(profile.max, Some("18446744073709551615".into()));
    assert_eq!(profile.min, Some(json!(1_u64 << 53)));
    let profile = super::profile(&Int64Array::from(vec![i64::MIN]));
    assert_eq!(profile.min, Some("-9223372036854775808".into()));
}

#[test]
fn dates_and_times_are_iso_8601() {
    let profile = profile(&Date32Array::from(vec![0, 1, 19_358]));
    assert_eq!((profile.min, profile.max), (Some("1970-01-01".into()), Some("2023-01-01".into())));
    assert_eq!(profile.mean, Some("1987-09-02".into()));
    let profile = super::profile(&Date32Array::from(vec![i32::MIN]));
    assert_eq!(profile.min, Some("-2147483648 days since 1970-01-01".into()));

    let profile = super::profile(&TimestampNanosecondArray::from(vec![-1, 1_500_000_000]));
    assert_eq!(profile.min, Some("1969-12-31T23:59:59.999999999".into()));
    assert_eq!(profile.max, Some("1970-01-01T00:00:01.500".into()));
    let zone = TimestampSecondArray::from(vec![253_402_300_799, i64::MIN]).with_timezone("+01:00");
    let profile = super::profile(&zone);
    assert_eq!(profile.max, Some("9999-12-31T23:59:59Z".into()));

    let profile = super::profile(&Time64NanosecondArray::from(vec![1, 86_399_000_000_000]));
    assert_eq!(profile.min, Some("00:00:00.000000001".into()));
    assert_eq!(profile.max, Some("23:59:59".into()));
    let profile = super::profile(&DurationMillisecondArray::from(vec![-1500, 60_000]));
    assert_eq!((profile.min, profile.max), (Some("-PT1.5S".into()), Some("PT60S".into())));
    assert_eq!(profile.mean, Some("PT29.25S".into()));
}

#[test]
fn texts_are_compared_whole_and_shown_in_part() {
    let long = "ä".repeat(200);
    let profile =
        profile(&StringArray::from(vec!["b", "", "a\0", "a", "abcdefgh", "abcdefg", &long]));
    assert_eq!(profile.min, Some("".into()));
    assert_eq!(profile.max, Some(format!("{}…", "ä".repeat(80)).into()));
    let lengths = profile.lengths.unwrap();
    assert_eq!((lengths.min, lengths.max, lengths.total), (0, 400, 419));
    assert_eq!(profile.mean, None);

    let profile = super::profile(&BinaryArray::from(vec![b"\xff\x00".as_slice(), b"\x01"]));
    assert_eq!((profile.min, profile.max), (Some("01".into()), Some("ff00".into())));
}

#[test]
fn the_least_of_very_many_texts_is_found() {
    let words: Vec<String> = (0..5000)
        .map(|row| {
            let number = random(row);
            format!("{:x}", number)[..(number % 12 + 1) as usize].to_owned()
        })
        .collect();
    let profile = profile(&StringArray::from_iter_values(&words));
    assert_eq!(profile.min, words.iter().min().map(|word| word.as_str().into()));
    assert_eq!(profile.max, words.iter().max().map(|word| word.as_str().into()));
}

#[test]
fn bools_have_a_share_of_true() {
    let profile = profile(&BooleanArray::from(vec![Some(true), Some(true), Some(false), None]));
    assert_eq!((profile.min.unwrap(), profile.max.unwrap()), (json!(false), json!(true)));
    assert_eq!(profile.mean, Some((2.0 / 3.0).into()));
    assert_eq!(profile.top_values[0].value, json!(true));
    assert_eq!(profile.top_values[0].count, 2);
}

#[test]
fn lists_have_lengths_alone() {
    let lists = [Some(vec![Some(1), None]), None, Some(vec![])];
    let profile = profile(&ListArray::from_iter_primitive::<Int32Type, _, _>(lists));
    let lengths = json!({"min": 0, "max": 2, "total": 2});
    assert_eq!(as_json(&profile), json!({"count": 2, "nulls": 1, "lengths": lengths}));
}

#[test]
fn what_does_not_belong_to_the_column_is_refused() {
    let mut block = BlockProfiler::new(&ColumnKind::Int);
    for array in [
        array_ref(StringArray::from(vec!["a"])),
        array_ref(UInt64Array::from(vec![1])),
        array_ref(Date32Array::from(vec![1])),
    ] {
        let refused = block.push(&array);
        assert!(matches!(refused, Err(ProfileError::KindMismatch { .. })), "{refused:?}");
    }
    let mut block = BlockProfiler::new(&ColumnKind::Null);
    block.push(&NullArray::new(BLOCK_ROWS as usize)).unwrap();
    assert!(matches!(block.push(&NullArray::new(1)), Err(ProfileError::TooManyRows)));
}

#[test]
fn a_table_has_the_range_of_its_first_date() {
    let column = |name: &str, kind, array| NamedProfile {
        name: name.to_owned(),
        kind,
        profile: profile(&array),
    };
    let table = TableProfile::new(vec![
        column("id", ColumnKind::Int, array_ref(Int32Array::from(vec![1]))),
        column("empty", ColumnKind::Date, array_ref(Date32Array::from(vec![None]))),
        column("day", ColumnKind::Date, array_ref(Date32Array::from(vec![3, 1]))),
    ]);
    let range =
        DateRange { column: "day".into(), min: "1970-01-02".into(), max: "1970-01-04".into() };
    assert_eq!(table.date_range, Some(range));
    assert_eq!(table.profile_version, PROFILE_VERSION);
}

#[test]
fn mean_and_deviation_survive_a_large_offset_and_many_blocks() {
    let rows = 3 * BLOCK_ROWS + 17;
    let values: Vec<i64> =
        (0..rows).map(|row| 1_000_000_000_000 + (random(row) % 100_000) as i64).collect();
    let profile = profile(&Int64Array::from(values.clone()));
    let shifted: Vec<f64> = values.iter().map(|value| (value - 1_000_000_000_000) as f64).collect();
    let mean = shifted.iter().sum::<f64>() / rows as f64;
    let squares: f64 = shifted.iter().map(|value| (value - mean) * (value - mean)).sum();
    let deviation = (squares / (rows - 1) as f64).sqrt();
    assert!((profile.mean.unwrap().as_f64().unwrap() - 1e12 - mean).abs() < 1e-3);
    assert!((profile.standard_deviation.unwrap() / deviation - 1.0).abs() < 1e-9);
}

proptest! {
    #[test]
    fn keys_of_floats_have_their_order(left in any::<f64>(), right in any::<f64>()) {
        prop_assert_eq!(key::to_f64(key::of_f64(left)), left);
        prop_assert_eq!(key::of_f64(left) < key::of_f64(right), left < right);
    }

    #[test]
    fn keys_of_times_have_their_order(left in any::<i64>(), right in any::<i64>()) {
        let (low, high) = (left.min(right), left.max(right));
        prop_assert!(key::of_nanos(low) <= key::of_nanos(high));
        prop_assert!(key::of_micros(low) <= key::of_micros(high));
        prop_assert_eq!(key::of_nanos(low / 1000 * 1000), key::of_micros(low / 1000));
        let micros = left / 4;
        let nanos = key::to_seconds(key::of_micros(micros)) * 1e6;
        prop_assert!((nanos - micros as f64).abs() <= micros.unsigned_abs() as f64 * 1e-12 + 1.0);
    }

    #[test]
    fn decimals_have_an_order(
        left in -1000_i64..1000, left_scale in -3_i8..4, right in -1000_i64..1000, right_scale in -3_i8..4,
    ) {
        let value = |unscaled: i64, scale: i8| unscaled * 10_i64.pow((3 - scale) as u32);
        let wide = |unscaled: i64, scale| Decimal::new(i256::from_i128(unscaled.into()), scale);
        let (first, second) = (wide(left, left_scale), wide(right, right_scale));
        let expected = value(left, left_scale).cmp(&value(right, right_scale));
        prop_assert_eq!(first.cmp(&second), expected);
        prop_assert_eq!(first.to_string().parse::<f64>().unwrap(), first.to_f64());
        prop_assert_eq!(first.to_f64().partial_cmp(&second.to_f64()), Some(expected));
    }

    #[test]
    fn small_columns_are_exact(values in proptest::collection::vec(proptest::option::of(-50_i64..50), 1..300)) {
        let profile = profile(&Int64Array::from(values.clone()));
        let mut known: Vec<i64> = values.iter().flatten().copied().collect();
        known.sort_unstable();
        prop_assert_eq!(profile.count as usize, known.len());
        prop_assert_eq!(profile.nulls as usize, values.len() - known.len());
        prop_assert_eq!(profile.min, known.first().map(|value| json!(value)));
        prop_assert_eq!(profile.max, known.last().map(|value| json!(value)));
        if let Some(quantiles) = &profile.quantiles {
            let rank = (0.25 * known.len() as f64).ceil() as usize;
            prop_assert_eq!(&quantiles.p25, &json!(known[rank - 1]));
            let mean = known.iter().sum::<i64>() as f64 / known.len() as f64;
            prop_assert!((profile.mean.unwrap().as_f64().unwrap() - mean).abs() < 1e-12);
        }
        for top in &profile.top_values {
            let count = known.iter().filter(|value| json!(value) == top.value).count();
            prop_assert_eq!(top.count as usize, count);
        }
        known.dedup();
        prop_assert_eq!(profile.distinct.unwrap().count as usize, known.len());
    }
}
