//! Every case of `testdata/vectors/table.json`, in each of its types and in several splits.

use std::fs;

use lineage_core::arrow::array::RecordBatch;
use lineage_core::arrow::datatypes::{DataType, i256};
use lineage_core::table::{ColumnKind, RowSum, TableDigest, TableError, digest_batches};
use serde_json::Value as Json;

use super::arrays;
use super::types;
use super::values::{Column, Value};
use crate::support::testdata;

struct CaseColumn {
    column: Column,
    data_types: Vec<DataType>,
}

#[test]
fn every_vector_holds_in_each_type_and_split() {
    let vectors = fs::read(testdata("vectors/table.json")).unwrap();
    let vectors: Json = serde_json::from_slice(&vectors).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert!(cases.len() > 100, "{}", cases.len());
    for case in cases {
        let rows = case["rows"].as_u64().unwrap() as usize;
        let columns = columns(case, rows);
        // One type of one column at a time is another than the first.
        let first: Vec<_> = columns.iter().map(|column| column.data_types[0].clone()).collect();
        check(case, rows, &columns, &first);
        for (place, column) in columns.iter().enumerate() {
            for also in &column.data_types[1..] {
                let mut data_types = first.clone();
                data_types[place] = also.clone();
                check(case, rows, &columns, &data_types);
            }
        }
    }
    equalities(&vectors);
}

/// The cases of one group have one content digest, all others have different ones.
fn equalities(vectors: &Json) {
    let digest = |name: &Json| {
        let cases = vectors["cases"].as_array().unwrap();
        cases.iter().find(|case| case["name"] == *name).unwrap()["content_sha256"].clone()
    };
    let mut twice = 0;
    for group in vectors["equal"].as_array().unwrap() {
        let group = group.as_array().unwrap();
        assert!(group.iter().all(|name| digest(name) == digest(&group[0])), "{group:?}");
        twice += group.len() - 1;
    }
    let cases = vectors["cases"].as_array().unwrap();
    let mut digests: Vec<_> = cases.iter().map(|case| case["content_sha256"].to_string()).collect();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), cases.len() - twice);
}

fn check(case: &Json, rows: usize, columns: &[CaseColumn], data_types: &[DataType]) {
    let own: Vec<_> = columns.iter().map(|column| column.column.clone()).collect();
    let whole = arrays::batch(&own, data_types, rows);
    let splits: &[usize] = match rows {
        0..100 => &[1, 2, 3, usize::MAX],
        100..3000 => &[7, 997, usize::MAX],
        _ => &[997, 65_521, usize::MAX],
    };
    for split in splits {
        let context = format!("{}, {data_types:?}, {split} rows at a time", case["name"]);
        compare(case, &digest(&whole, *split), &context);
        let sum = unordered(&whole, *split);
        assert_eq!(sum.rows(), rows as u64, "{context}");
        assert_eq!(sum.sha256().to_string(), case["unordered_sha256"], "{context}");
    }
}

fn split(whole: &RecordBatch, rows: usize) -> impl Iterator<Item = RecordBatch> {
    let starts = (0..whole.num_rows()).step_by(rows.min(whole.num_rows()).max(1));
    starts.map(move |start| whole.slice(start, rows.min(whole.num_rows() - start)))
}

fn digest(whole: &RecordBatch, rows: usize) -> TableDigest {
    let batches = split(whole, rows).map(Ok);
    digest_batches::<TableError>(whole.schema_ref(), batches).unwrap()
}

/// The sum of the rows, the last ones first.
fn unordered(whole: &RecordBatch, rows: usize) -> RowSum {
    let fields = whole.schema_ref().fields().iter();
    let columns = fields.map(|field| (field.name().clone(), ColumnKind::of(field).unwrap()));
    let mut sum = RowSum::new(columns.collect());
    let mut batches: Vec<_> = split(whole, rows).collect();
    batches.reverse();
    batches.iter().for_each(|batch| sum.push(batch).unwrap());
    sum
}

fn compare(case: &Json, found: &TableDigest, context: &str) {
    assert_eq!(found.content_sha256.to_string(), case["content_sha256"], "{context}");
    assert_eq!(found.content_sorted_sha256.to_string(), case["content_sorted_sha256"], "{context}");
    if let Some(columns) = case.get("columns_sha256").and_then(Json::as_array) {
        let found = found.columns.iter().map(|column| Json::from(column.sha256.to_string()));
        assert_eq!(&found.collect::<Vec<_>>(), columns, "{context}");
    }
    if let Some(leaves) = case.get("leaves").and_then(Json::as_array) {
        let texts = |column: &lineage_core::table::ColumnDigest| {
            column.leaves.iter().map(|leaf| Json::from(leaf.to_string())).collect::<Json>()
        };
        assert_eq!(&found.columns.iter().map(texts).collect::<Vec<_>>(), leaves, "{context}");
    }
}

fn columns(case: &Json, rows: usize) -> Vec<CaseColumn> {
    let mut columns = Vec::new();
    for described in case["columns"].as_array().unwrap() {
        let kind: ColumnKind = described["kind"].as_str().unwrap().parse().unwrap();
        let mut data_types = vec![types::parse(described["arrow_type"].as_str().unwrap())];
        let also = described.get("also").and_then(Json::as_array).into_iter().flatten();
        data_types.extend(also.map(|also| types::parse(also.as_str().unwrap())));
        let name = described["name"].as_str().unwrap();
        let repeat = described.get("repeat").and_then(Json::as_u64);
        for number in 0..repeat.unwrap_or(1) {
            let name = if repeat.is_some() { format!("{name}{number}") } else { name.to_owned() };
            let values = match described.get("values") {
                Some(values) => read_all(values, &kind),
                None => generated(&case["generator"], &kind, rows, columns.len()),
            };
            assert_eq!(values.len(), rows, "{name}");
            let column = Column { name, kind: kind.clone(), values };
            columns.push(CaseColumn { column, data_types: data_types.clone() });
        }
    }
    columns
}

fn read_all(values: &Json, kind: &ColumnKind) -> Vec<Value> {
    values.as_array().unwrap().iter().map(|value| read(value, kind)).collect()
}

/// A value as `about` of the vectors describes it.
fn read(value: &Json, kind: &ColumnKind) -> Value {
    let text = |value: &Json| value.as_str().unwrap().to_owned();
    if value.is_null() {
        return Value::Null;
    }
    match kind {
        ColumnKind::Bool => Value::Bool(value.as_bool().unwrap()),
        ColumnKind::Int | ColumnKind::Uint64 | ColumnKind::Date | ColumnKind::Time => {
            Value::Int(text(value).parse().unwrap())
        }
        ColumnKind::Float32 => Value::Float32(u32::from_str_radix(&text(value), 16).unwrap()),
        ColumnKind::Float64 => Value::Float64(u64::from_str_radix(&text(value), 16).unwrap()),
        ColumnKind::Decimal => {
            let unscaled = i256::from_string(&text(&value[0])).unwrap();
            Value::Decimal(unscaled, value[1].as_i64().unwrap().try_into().unwrap())
        }
        ColumnKind::String => Value::Text(text(value)),
        ColumnKind::Binary => {
            let digits = text(value);
            let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
            Value::Bytes((0..digits.len()).step_by(2).map(byte).collect())
        }
        ColumnKind::Timestamp | ColumnKind::Instant | ColumnKind::Duration => {
            Value::Moment(text(&value[0]).parse().unwrap(), text(&value[1]).parse().unwrap())
        }
        ColumnKind::Null => Value::Null,
        ColumnKind::List(of) => Value::Many(read_all(value, of)),
        ColumnKind::Struct(fields) => {
            let values = value.as_array().unwrap();
            Value::Many(
                values.iter().zip(fields).map(|(value, (_, kind))| read(value, kind)).collect(),
            )
        }
        ColumnKind::Map(key, of) => {
            let entry = |entry: &Json| Value::Many(vec![read(&entry[0], key), read(&entry[1], of)]);
            Value::Many(value.as_array().unwrap().iter().map(entry).collect())
        }
    }
}

fn generated(generator: &Json, kind: &ColumnKind, rows: usize, column: usize) -> Vec<Value> {
    let nulls = generator["nulls"].as_bool().unwrap();
    let list_length = generator["list_length"].as_u64().unwrap();
    let value = |row: u64| {
        let column = column as u64;
        if nulls && (row + column) % 13 == 5 {
            return Value::Null;
        }
        let n = (7919 * row + 31 * row * row + 104_729 * column) % 1_000_003;
        generate(kind, n, list_length)
    };
    (0..rows as u64).map(value).collect()
}

fn generate(kind: &ColumnKind, n: u64, list_length: u64) -> Value {
    let signed = n as i64;
    match kind {
        ColumnKind::Bool => Value::Bool(n % 2 == 1),
        ColumnKind::Int => Value::Int((signed - 500_000).into()),
        ColumnKind::Float64 => Value::Float64((n as f64 / 8.0 - 60_000.0).to_bits()),
        ColumnKind::Decimal => Value::Decimal(i256::from_i128((signed - 500_000).into()), 2),
        ColumnKind::String => Value::Text(match (n % 7, n % 3) {
            (0, _) => String::new(),
            (_, 0) => format!("s{n}é"),
            _ => format!("s{n}"),
        }),
        ColumnKind::Timestamp => Value::Moment(signed * 1000 - 500_000_000, n as u32 * 991),
        ColumnKind::List(of) => {
            let child = |i: u64| match (n + i + 1) % 11 {
                3 => Value::Null,
                _ => generate(of, n + i + 1, 4),
            };
            Value::Many((0..n % list_length).map(child).collect())
        }
        ColumnKind::Struct(fields) => {
            let field =
                |(j, (_, kind)): (usize, &(String, ColumnKind))| match (n + j as u64 + 1) % 5 {
                    0 => Value::Null,
                    _ => generate(kind, n + j as u64 + 1, 4),
                };
            Value::Many(fields.iter().enumerate().map(field).collect())
        }
        _ => panic!("no generator of {kind}"),
    }
}
