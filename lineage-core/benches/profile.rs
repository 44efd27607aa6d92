//! What a profile costs for each cell, by what the column holds. A block has 65,536 rows; criterion's
//! throughput is in cells.

#![allow(missing_docs, reason = "criterion's macros make items that cannot be documented")]
#![allow(clippy::unwrap_used, reason = "that is how a benchmark fails")]

use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use lineage_core::arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Float64Array, Int8Array, Int64Array, StringArray,
    TimestampMillisecondArray,
};
use lineage_core::arrow::datatypes::Field;
use lineage_core::profile::{BlockProfile, BlockProfiler, ColumnProfiler, Scratch};
use lineage_core::table::ColumnKind;

const ROWS: u64 = 65_536;
const WORDS: [&str; 8] = ["chip", "contactless", "online", "atm", "phone", "EUR", "München", "x"];

/// The same numbers each time (SplitMix64).
fn random(row: u64) -> u64 {
    let mixed =
        (row.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ row >> 3).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ mixed >> 31).wrapping_mul(0x94d0_49bb_1331_11eb) ^ mixed >> 29
}

fn columns() -> Vec<(&'static str, ArrayRef)> {
    let rows = || (0..ROWS).map(random);
    let uniform = |number: u64| (number >> 11) as f64 / (1_u64 << 53) as f64;
    let some = |number: u64| !number.is_multiple_of(20);
    let short = rows().map(|number| WORDS[number as usize % 8]);
    let nullable = rows().map(|number| some(number).then_some(WORDS[(number >> 8) as usize % 8]));
    let long = rows().map(|number| format!("c{:010x}", number >> 24));
    // Squaring makes a few of 25,000 names frequent.
    let names =
        rows().map(|number| format!("Royal Books {}", (uniform(number).powi(2) * 25e3) as u32));
    let cents = rows().map(|number| (uniform(number) * 1e6).round() / 100.0);
    let millis =
        (0..ROWS).map(|row| 1_672_531_200_000 + row as i64 * 10_900 + random(row) as i64 % 5000);
    vec![
        (
            "int64, random",
            Arc::new(Int64Array::from_iter_values(rows().map(|number| number as i64))),
        ),
        ("int64, ascending", Arc::new(Int64Array::from_iter_values(0..ROWS as i64))),
        (
            "int8, few",
            Arc::new(Int8Array::from_iter_values(rows().map(|number| (number % 5) as i8))),
        ),
        ("float64, all different", Arc::new(Float64Array::from_iter_values(rows().map(uniform)))),
        ("float64, two decimals", Arc::new(Float64Array::from_iter_values(cents))),
        ("timestamp", Arc::new(TimestampMillisecondArray::from_iter_values(millis))),
        (
            "date",
            Arc::new(Date32Array::from_iter_values(rows().map(|number| (number % 24_500) as i32))),
        ),
        ("bool", Arc::new(rows().map(|number| Some(number % 3 == 0)).collect::<BooleanArray>())),
        ("string, few", Arc::new(StringArray::from_iter_values(short))),
        ("string, few, with nulls", Arc::new(nullable.collect::<StringArray>())),
        ("string, 25,000 names", Arc::new(StringArray::from_iter_values(names))),
        ("string, all different", Arc::new(StringArray::from_iter_values(long))),
    ]
}

fn block(kind: &ColumnKind, array: &ArrayRef, scratch: &mut Scratch) -> BlockProfile {
    let mut profiler = BlockProfiler::with_scratch(kind, std::mem::take(scratch));
    profiler.push(array).unwrap();
    let (profile, memory) = profiler.finish_reusing();
    *scratch = memory;
    profile
}

fn blocks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("profile");
    group.sample_size(20).throughput(Throughput::Elements(ROWS));
    let mut scratch = Scratch::default();
    for (name, array) in columns() {
        let kind = ColumnKind::of(&Field::new("column", array.data_type().clone(), true)).unwrap();
        group.bench_function(name, |b| b.iter(|| block(&kind, &array, &mut scratch)));
        let profile = block(&kind, &array, &mut scratch);
        group.bench_function(format!("{name}: 8 blocks merged"), |b| {
            let many = || (ColumnProfiler::new(kind.clone()), vec![profile.clone(); 8]);
            b.iter_batched(
                many,
                |(mut column, blocks)| {
                    blocks.into_iter().for_each(|block| column.absorb(block));
                    column
                },
                BatchSize::SmallInput,
            );
        });
    }
}

criterion_group!(benches, blocks);
criterion_main!(benches);
