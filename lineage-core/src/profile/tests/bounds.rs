//! What is approximate lies within the bounds that are stated.

use std::collections::HashMap;

use crate::arrow::array::{Float64Array, Int64Array, StringArray, TimestampSecondArray};
use serde_json::Value;

use super::super::{BLOCK_ROWS, ColumnProfile};
use super::{profile, random, share};

const ROWS: u64 = 9 * BLOCK_ROWS + 12_345;

/// Orders and distributions that a summary could fail on.
fn distributions() -> Vec<(&'static str, Vec<i64>)> {
    let all = |value: &dyn Fn(u64) -> i64| (0..ROWS).map(value).collect::<Vec<i64>>();
    vec![
        ("ascending", all(&|row| row as i64)),
        ("descending", all(&|row| -(row as i64))),
        ("random", all(&|row| random(row) as i64)),
        ("periodic", all(&|row| (row % 32 * 100_000 + row / 32) as i64)),
        ("zipf", all(&|row| (1.0 / (share(row) + 1e-6)) as i64)),
        ("half of one", all(&|row| if row % 2 == 0 { 7 } else { random(row) as i64 })),
        (
            "outliers",
            all(&|row| {
                if row % 9999 == 0 { i64::MAX - row as i64 } else { random(row) as i64 % 5000 }
            }),
        ),
        (
            "blocks apart",
            all(&|row| (row / BLOCK_ROWS) as i64 % 3 * 1_000_000 + random(row) as i64 % 3000),
        ),
    ]
}

fn whole(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

#[test]
fn quantiles_are_within_their_rank_error() {
    for (name, values) in distributions() {
        let profile = profile(&Int64Array::from(values.clone()));
        let quantiles = profile.quantiles.unwrap();
        let mut sorted = values;
        sorted.sort_unstable();
        assert!(quantiles.rank_error < 0.006, "{name}: {}", quantiles.rank_error);
        let allowed = (quantiles.rank_error * sorted.len() as f64).round();
        for (at, value) in [
            (0.01, quantiles.p01),
            (0.05, quantiles.p05),
            (0.25, quantiles.p25),
            (0.5, quantiles.p50),
            (0.75, quantiles.p75),
            (0.95, quantiles.p95),
            (0.99, quantiles.p99),
        ] {
            let value = whole(&value);
            let first = sorted.partition_point(|other| *other < value) as f64 + 1.0;
            let last = sorted.partition_point(|other| *other <= value) as f64;
            let rank = (at * sorted.len() as f64).ceil();
            let off = (first - rank).max(rank - last).max(0.0);
            assert!(off <= allowed, "{name} {at}: off by {off} of {allowed} allowed");
        }
    }
}

#[test]
fn frequent_values_are_within_their_bounds() {
    for (name, values) in distributions() {
        let profile = profile(&Int64Array::from(values.clone()));
        check_top(name, &profile, &values, whole);
    }
    let words = |value: &Value| value.as_str().unwrap().to_owned();
    let zipf: Vec<String> =
        (0..ROWS).map(|row| format!("word {}", (1.0 / (share(row) + 1e-5)) as i64)).collect();
    let profile = profile(&StringArray::from_iter_values(&zipf));
    assert_eq!(profile.top_values.len(), 10);
    assert_eq!(profile.top_values[0].value, "word 1");
    check_top("words", &profile, &zipf, words);
}

fn check_top<T: std::hash::Hash + Eq + Clone>(
    name: &str,
    profile: &ColumnProfile,
    values: &[T],
    read: impl Fn(&Value) -> T,
) {
    let mut counts: HashMap<T, u64> = HashMap::new();
    for value in values {
        *counts.entry(value.clone()).or_default() += 1;
    }
    for top in &profile.top_values {
        let count = counts.remove(&read(&top.value)).unwrap();
        let at_most = top.count_at_most.unwrap_or(top.count);
        assert!((top.count..=at_most).contains(&count), "{name}: {count} in {top:?}");
        assert_eq!(top.exact, top.count_at_most.is_none());
    }
    let others = counts.values().max().copied().unwrap_or(0);
    let allowed = profile.others_at_most.unwrap();
    assert!(others <= allowed, "{name}: {others} of {allowed} allowed");
    assert!(allowed <= 32 * 10 + others * 2, "{name}: {allowed} is far above {others}");
}

#[test]
fn the_number_of_different_values_is_within_three_percent() {
    let close = |name: &str, profile: &ColumnProfile, expected: f64| {
        let distinct = profile.distinct.unwrap();
        let error = distinct.count as f64 / expected - 1.0;
        assert!(!distinct.exact && error.abs() < 0.03, "{name}: off by {error}");
    };
    for (name, step) in [("one", 1), ("a thousand", 1000), ("2^32", 1 << 32), ("2^40", 1 << 40)] {
        let values = Int64Array::from_iter_values((0..300_000).map(|row| row * step));
        close(name, &profile(&values), 300_000.0);
    }
    let cents = (0..ROWS).map(|row| (random(row) % 100_000) as f64 / 100.0);
    close("cents", &profile(&Float64Array::from_iter_values(cents)), 99_800.0);
    let seconds = TimestampSecondArray::from_iter_values((0..200_000).map(|row| row * 60));
    close("minutes", &profile(&seconds), 200_000.0);
    let words = (0..ROWS).map(|row| format!("c{:06}", random(row) % 20_000));
    close("words", &profile(&StringArray::from_iter_values(words)), 20_000.0);
    let lines = (0..100_000).map(|row| format!("a longer text that differs only by {row} within"));
    close("lines", &profile(&StringArray::from_iter_values(lines)), 100_000.0);
}

#[test]
fn a_few_values_are_exact_however_many_rows() {
    let values: Vec<i64> = (0..ROWS).map(|row| (random(row) % 500) as i64).collect();
    let profile = profile(&Int64Array::from(values.clone()));
    assert_eq!(profile.distinct.unwrap().count, 500);
    assert!(profile.distinct.unwrap().exact);
    assert_eq!(profile.quantiles.as_ref().unwrap().rank_error, 0.0);
    assert!(profile.top_values.iter().all(|top| top.exact));
    check_top("few", &profile, &values, whole);
}

/// About as many as are followed, so that some are given up and met again.
#[test]
fn values_that_are_given_up_keep_their_bounds() {
    for different in [513, 700, 1024, 1025, 1500, 3000] {
        let values: Vec<i64> = (0..ROWS)
            .map(|row| {
                ((share(row) * share(row + ROWS)) * different as f64) as i64 + row as i64 / 100_000
            })
            .collect();
        let profile = profile(&Int64Array::from(values.clone()));
        let mut counts: HashMap<i64, u64> = HashMap::new();
        values.iter().for_each(|value| *counts.entry(*value).or_default() += 1);
        for top in &profile.top_values {
            let count = counts.remove(&whole(&top.value)).unwrap();
            let at_most = top.count_at_most.unwrap_or(top.count);
            assert!((top.count..=at_most).contains(&count), "{different}: {count} in {top:?}");
        }
        assert!(counts.values().all(|count| *count <= profile.others_at_most.unwrap()));
    }
}
