//! The same values give the same bytes whatever their physical type and slices.

use crate::arrow::array::{
    Array, ArrayRef, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
    StringArray, TimestampMillisecondArray,
};
use crate::arrow::datatypes::{DataType, Field, TimeUnit};
use arrow_cast::cast;
use proptest::prelude::*;
use std::sync::Arc;

use super::{array_ref, json, profile, profile_in_slices, random};

fn dictionary(key: DataType, value: DataType) -> DataType {
    DataType::Dictionary(Box::new(key), Box::new(value))
}

fn runs(value: DataType) -> DataType {
    let ends = Arc::new(Field::new("run_ends", DataType::Int32, false));
    DataType::RunEndEncoded(ends, Arc::new(Field::new("values", value, true)))
}

/// Every tenth value is null; of `different` values.
fn numbers(rows: u64, different: u64) -> impl Iterator<Item = Option<i64>> {
    (0..rows).map(move |row| {
        let number = random(row);
        (!number.is_multiple_of(10)).then_some((number / 10 % different) as i64)
    })
}

fn check(array: &ArrayRef, types: &[DataType]) {
    let expected = json(&profile(array));
    for slice_rows in [1000, 4096, 65_535] {
        assert_eq!(json(&profile_in_slices(array, slice_rows)), expected);
    }
    for data_type in types {
        let other = cast(array, data_type).unwrap();
        assert_eq!(other.data_type(), data_type);
        assert_eq!(json(&profile_in_slices(&other, 8192)), expected, "{data_type}");
        assert_eq!(json(&profile(&other)), expected, "{data_type}");
    }
}

#[test]
fn integers_of_any_width() {
    for (rows, different) in [(2000, 50), (70_000, 100), (140_000, 30_000)] {
        let array = array_ref(numbers(rows, different).collect::<Int64Array>());
        let mut types = vec![
            DataType::Int32,
            DataType::UInt32,
            DataType::UInt16,
            dictionary(DataType::Int32, DataType::Int64),
            runs(DataType::Int64),
        ];
        if different < 128 {
            types.extend([DataType::Int8, DataType::UInt8]);
        }
        check(&array, &types);
    }
}

#[test]
fn texts_of_any_encoding() {
    // Of some texts, and of more in every fourth row: few are frequent, or more than are remembered.
    for (rows, different, some) in [
        (3000, 40, 40),
        (70_000, 900, 900),
        (140_000, 30_000, 30_000),
        (140_000, 9000, 700),
        (140_000, 5000, 1900),
    ] {
        let words = numbers(rows, different).enumerate().map(|(row, number)| {
            let number = if row % 4 == 0 { number? } else { number? % some };
            Some(format!("w{}", number.pow(2)))
        });
        let array = array_ref(words.collect::<StringArray>());
        check(
            &array,
            &[
                DataType::LargeUtf8,
                DataType::Utf8View,
                dictionary(DataType::Int32, DataType::Utf8),
                dictionary(DataType::UInt32, DataType::LargeUtf8),
                dictionary(DataType::Int64, DataType::Utf8View),
                runs(DataType::Utf8),
            ],
        );
        let bytes = cast(&array, &DataType::Binary).unwrap();
        check(&bytes, &[DataType::LargeBinary, DataType::BinaryView]);
    }
}

#[test]
fn a_dictionary_with_null_words_and_unused_ones() {
    let words = StringArray::from(vec![Some("b"), None, Some("zzz"), Some("a")]);
    let keys = Int32Array::from(vec![Some(0), Some(1), None, Some(3), Some(0)]);
    let dictionary =
        crate::arrow::array::DictionaryArray::<crate::arrow::datatypes::Int32Type>::new(
            keys,
            Arc::new(words),
        );
    let plain = StringArray::from(vec![Some("b"), None, None, Some("a"), Some("b")]);
    assert_eq!(json(&profile(&dictionary)), json(&profile(&plain)));
}

#[test]
fn times_of_any_unit() {
    for different in [300, 50_000] {
        let millis = numbers(70_000, different).map(|number| Some(number? * 1_000_003 - 777));
        let array = array_ref(millis.collect::<TimestampMillisecondArray>());
        let stamp = |unit| DataType::Timestamp(unit, None);
        check(&array, &[stamp(TimeUnit::Microsecond), stamp(TimeUnit::Nanosecond)]);
        let spans = cast(&array, &DataType::Int64).unwrap();
        let spans = cast(&spans, &DataType::Duration(TimeUnit::Millisecond)).unwrap();
        check(&spans, &[DataType::Duration(TimeUnit::Microsecond)]);
        let days = numbers(70_000, different).map(|number| Some(number? as i32 - 20_000));
        check(&array_ref(days.collect::<Date32Array>()), &[DataType::Date64]);
        let seconds = numbers(70_000, different).map(|number| Some(number? as i32));
        let seconds = array_ref(seconds.collect::<Int32Array>());
        let times = cast(&seconds, &DataType::Time32(TimeUnit::Second)).unwrap();
        check(
            &times,
            &[
                DataType::Time32(TimeUnit::Millisecond),
                DataType::Time64(TimeUnit::Microsecond),
                DataType::Time64(TimeUnit::Nanosecond),
            ],
        );
    }
}

#[test]
fn decimals_of_any_width_and_scale() {
    for different in [300, 50_000] {
        let cents = numbers(70_000, different).map(|number| Some(i128::from(number?) * 5 - 700));
        let array = cents.collect::<Decimal128Array>().with_precision_and_scale(12, 2).unwrap();
        check(
            &array_ref(array),
            &[
                DataType::Decimal64(14, 2),
                DataType::Decimal64(18, 4),
                DataType::Decimal128(38, 6),
                DataType::Decimal256(76, 30),
            ],
        );
    }
}

#[test]
fn floats_in_any_slices() {
    let floats = numbers(140_000, 90_000).map(|number| Some((number? as f64).sqrt() - 100.0));
    let array = array_ref(floats.collect::<Float64Array>());
    check(&array, &[dictionary(DataType::Int32, DataType::Float64)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_slices(
        rows in 1_u64..5000, different in 1_u64..3000, slice_rows in 1_usize..3000,
    ) {
        let words: StringArray =
            numbers(rows, different).map(|number| Some(format!("{}", number?))).collect();
        let whole = json(&profile(&words));
        prop_assert_eq!(json(&profile_in_slices(&words, slice_rows)), whole.clone());
        let words = cast(&words, &dictionary(DataType::Int32, DataType::Utf8)).unwrap();
        prop_assert_eq!(json(&profile_in_slices(&words.slice(0, rows as usize), slice_rows)), whole);
    }
}
