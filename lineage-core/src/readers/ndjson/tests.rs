use crate::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use crate::arrow::compute::concat_batches;
use crate::arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use arrow_cast::cast;
use arrow_cast::display::array_value_to_string;
use proptest::prelude::*;

use super::*;
use crate::table::ColumnKind;

fn schema(text: &[u8], declared: Option<&[DeclaredColumn]>) -> Result<SchemaRef, ReadError> {
    let mut columns = NdjsonColumns::new(declared)?;
    columns.read(text)?;
    Ok(columns.finish())
}

fn read(text: &[u8], declared: Option<&[DeclaredColumn]>) -> Result<RecordBatch, ReadError> {
    let schema = schema(text, declared)?;
    let batches: Vec<_> =
        NdjsonReader::new(text, SchemaRef::clone(&schema))?.collect::<Result<_, _>>()?;
    Ok(concat_batches(&schema, &batches).unwrap())
}

fn declared(columns: &[(&str, &str)]) -> Vec<DeclaredColumn> {
    columns
        .iter()
        .map(|(name, kind)| DeclaredColumn {
            name: (*name).to_owned(),
            kind: (!kind.is_empty()).then(|| kind.parse().unwrap()),
        })
        .collect()
}

/// `name:kind name:kind`
fn kinds(batch: &RecordBatch) -> String {
    let schema = batch.schema();
    let shown = |f: &crate::arrow::datatypes::FieldRef| {
        format!("{}:{}", f.name(), ColumnKind::of(f).unwrap())
    };
    schema.fields().iter().map(shown).collect::<Vec<_>>().join(" ")
}

fn values(column: &ArrayRef) -> Vec<String> {
    // The time zones that arrow can name are not part of this build.
    let zoned = matches!(column.data_type(), DataType::Timestamp(_, Some(_)));
    let column = &if zoned { cast(column, &DataType::Int64).unwrap() } else { column.clone() };
    (0..column.len())
        .map(|row| match column.is_null(row) || column.data_type() == &DataType::Null {
            true => "NULL".to_owned(),
            false => array_value_to_string(column, row).unwrap(),
        })
        .collect()
}

fn problem(text: &[u8], declared: Option<&[DeclaredColumn]>) -> String {
    read(text, declared).unwrap_err().to_string()
}

#[test]
fn columns_are_the_keys_in_order_of_their_first_appearance() {
    let text = "\u{feff}{\"b\": 1}\r\n\n  \t\n{\"a\":\"x\",\"b\":null}\n{\"c\":true, \"a\" : null}";
    let batch = read(text.as_bytes(), None).unwrap();
    assert_eq!(kinds(&batch), "b:int a:string c:bool");
    assert_eq!(values(batch.column(0)), ["1", "NULL", "NULL"]);
    assert_eq!(values(batch.column(1)), ["NULL", "x", "NULL"]);
    assert_eq!(values(batch.column(2)), ["NULL", "NULL", "true"]);
    assert_eq!(kinds(&read(b"{\"a\":null}\n", None).unwrap()), "a:null");
    assert_eq!(read(b"{}\n{}\n", None).unwrap().num_rows(), 2);
}

#[test]
fn numbers_are_typed_by_their_text() {
    for (numbers, kind, shown) in [
        ("1 -9223372036854775808", "int", &["1", "-9223372036854775808"][..]),
        ("0 18446744073709551615", "uint64", &["0", "18446744073709551615"]),
        ("1 1.0", "float64", &["1.0", "1.0"]),
        ("-0 5e-1", "float64", &["-0.0", "0.5"]),
        ("9007199254740992 0.5", "float64", &["9007199254740992.0", "0.5"]),
    ] {
        let text: String = numbers.split(' ').map(|n| format!("{{\"a\":{n}}}\n")).collect();
        let batch = read(text.as_bytes(), None).unwrap();
        assert_eq!(kinds(&batch), format!("a:{kind}"), "{numbers}");
        assert_eq!(values(batch.column(0)), shown, "{numbers}");
    }
    // No kind holds all of these without loss.
    for numbers in [
        "0.50 9007199254740993",
        "-9007199254740993 1.0",
        "-1 18446744073709551615",
        "18446744073709551615 1.5",
        "18446744073709551615 -0",
    ] {
        let text: String = numbers.split(' ').map(|n| format!("{{\"a\":{n}}}\n")).collect();
        let error = problem(text.as_bytes(), None);
        let whole = error.starts_with("line 2: column \"a\": ") && error.contains("no one kind");
        assert!(whole, "{error}");
    }
    for number in
        ["1e400", "18446744073709551616", "-9223372036854775809", "01", "+1", ".5", "1.", "NaN"]
    {
        let text = format!("{{\"a\":1}}\n{{\"a\":{number}}}\n");
        let error = problem(text.as_bytes(), None);
        assert!(error.starts_with("line 2: "), "{number}: {error}");
    }
}

#[test]
fn lists_and_structs_are_inferred_within() {
    let text = br#"{"a": [1, null, 2.5], "s": {"x": 1}}
        {"a": [], "s": {"y": ["z"]}}
        {"s": null}
        {"a": null, "s": {}}"#;
    let batch = read(text, None).unwrap();
    assert_eq!(kinds(&batch), "a:list(float64) s:struct(1:x:int,1:y:list(string))");
    assert_eq!(values(batch.column(0)), ["[1.0, , 2.5]", "[]", "NULL", "NULL"]);
    let rows = batch.column(1).as_struct();
    assert_eq!(
        (0..4).map(|row| rows.is_null(row)).collect::<Vec<_>>(),
        [false, false, true, false]
    );
    assert_eq!(values(rows.column(0)), ["1", "NULL", "NULL", "NULL"]);
    assert_eq!(values(rows.column(1)), ["NULL", "[z]", "NULL", "NULL"]);
    assert_eq!(kinds(&read(b"{\"a\":[]}", None).unwrap()), "a:list(null)");
}

#[test]
fn problems_name_line_and_column() {
    for (text, expected) in [
        ("{\"a\":1}\n{\"a\":\"x\"}", "line 2: column \"a\": a string, and a number on line 1"),
        ("{}\n\n{\"a\":1,\"a\":1}", "line 3: column \"a\": this key occurs twice"),
        ("{\"a\":[{\"b\":1,\"b\":2}]}", "line 1: column \"a[].b\": this key occurs twice"),
        (
            "{\"a\":{\"b\":[[1,true]]}}",
            "line 1: column \"a.b[][]\": a bool, and a number on line 1",
        ),
        ("{\"a\":1} x", "line 1: not valid JSON"),
        ("{\"a\":1}{\"a\":1}", "line 1: not valid JSON"),
        ("[1]", "line 1: not valid JSON"),
        ("{\"a\":1,}", "line 1: not valid JSON"),
        ("{\"a\":\"\\ud800\"}", "line 1: column \"a\": not valid JSON"),
        ("{\"a\":\"\0\"}", "line 1: not valid JSON"),
    ] {
        let error = problem(text.as_bytes(), None);
        assert!(error.starts_with(expected), "{text}: {error}");
    }
    assert_eq!(problem(b"{}\n{\"a\":\"\xff\"}", None), "line 2: byte 7 of it is not valid UTF-8");
}

#[test]
fn depth_columns_and_lines_are_limited() {
    let nested = |depth| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(read(nested(64).as_bytes(), None).is_ok());
    assert!(problem(nested(65).as_bytes(), None).contains("nested"));
    assert!(problem(nested(100_000).as_bytes(), None).contains("nested"));

    let keys: Vec<String> = (0..=FIELDS_MAX).map(|key| format!("\"{key}\":1")).collect();
    let wide = |count: usize| format!("{{{}}}", keys[..count].join(","));
    assert_eq!(schema(wide(FIELDS_MAX).as_bytes(), None).unwrap().fields().len(), FIELDS_MAX);
    assert!(problem(wide(FIELDS_MAX + 1).as_bytes(), None).contains("too many different keys"));

    // Each small object has a value for every key that another one has.
    let bomb = format!("{{\"a\":[{}]}}\n{{\"a\":[{}{{}}]}}", wide(10_000), "{},".repeat(10_000));
    assert!(problem(bomb.as_bytes(), None).contains("line 2: column \"a[]"));

    let endless = std::io::Read::take(std::io::repeat(b' '), 65 << 20);
    let error = NdjsonColumns::new(None).unwrap().read(endless).unwrap_err().to_string();
    assert!(error.starts_with("line 1: it has more than"), "{error}");
}

#[test]
fn declared_kinds_take_strings_and_numbers() {
    let columns = declared(&[
        ("i", "int"),
        ("u", "uint64"),
        ("f", "float32"),
        ("d", "decimal"),
        ("s", "string"),
        ("b", "bool"),
        ("day", "date"),
        ("time", "time"),
        ("at", "timestamp"),
        ("utc", "instant"),
        ("l", "list(decimal)"),
        ("t", "struct(1:x:float64)"),
        ("free", ""),
    ]);
    let text = br#"{"i":"+07","u":3,"f":"0.1","d":1.50,"s":1.50,"b":"0","day":"2024-02-29","time":"01:02","at":"2024-01-01","utc":"1970-01-01T00:00:00.000000001+01:00","l":["1e-3",20],"t":{"x":1},"free":1}
        {"d":"100","b":true,"at":"9999-12-31 23:59:59.999999"}"#;
    let batch = read(text, Some(&columns)).unwrap();
    let shown: Vec<_> = batch.columns().iter().map(|column| values(column)[0].clone()).collect();
    assert_eq!(
        shown,
        [
            "7",
            "3",
            "0.1",
            "1.5",
            "1.50",
            "false",
            "2024-02-29",
            "01:02:00",
            "2024-01-01T00:00:00",
            "-3599999999999",
            "[0.001, 20.000]",
            "{x: 1.0}",
            "1"
        ]
    );
    assert_eq!(values(batch.column(3)), ["1.5", "100.0"]);
    assert_eq!(batch.schema().field(3).data_type(), &DataType::Decimal256(76, 1));
    let kinds = kinds(&batch);
    assert!(
        kinds.starts_with("i:int u:uint64 f:float32 d:decimal s:string b:bool day:date"),
        "{kinds}"
    );
    let empty = br#"{"i":"","s":"","b":"","l":[""]}"#;
    let empty = read(empty, Some(&columns)).unwrap();
    let shown = [0, 4, 5, 10].map(|at| values(empty.column(at))[0].clone());
    assert_eq!(shown, ["NULL", "", "NULL", "[]"]);
    // Declared columns are there whether or not a line has them.
    assert_eq!(read(b"", Some(&columns)).unwrap().num_columns(), 13);
}

#[test]
fn what_does_not_fit_a_declared_kind_is_an_error() {
    for (kind, value, expected) in [
        ("int", "1.0", "\"1.0\" is no int"),
        ("int", "true", "a bool is no int"),
        ("string", "[1]", "an array is no string"),
        ("bool", "2", "\"2\" is no bool"),
        ("list(int)", "1", "a number, and it is declared to be an array"),
        ("list(int)", "[\"x\"]", "\"x\" is no int"),
        ("struct(1:x:int)", "{\"y\":1}", "this key is not declared"),
        ("date", "\"2024-02-30\"", "is no date"),
        ("null", "1", "is no null"),
    ] {
        let text = format!("{{\"a\":null}}\n{{\"a\":{value}}}");
        let error = problem(text.as_bytes(), Some(&declared(&[("a", kind)])));
        assert!(error.starts_with("line 2: column \"a") && error.contains(expected), "{error}");
    }
    let int = declared(&[("a", "int")]);
    assert!(problem(b"{\"b\":1}", Some(&int)).contains("column \"b\": this key is not declared"));
    for kind in ["binary", "duration", "map(string,int)", "list(binary)", "struct(1:a:int,1:a:int)"]
    {
        assert!(problem(b"", Some(&declared(&[("a", kind)]))).contains("cannot be read as"));
    }
    assert!(problem(b"", Some(&declared(&[("a", "int"), ("a", "")]))).contains("declared twice"));
}

#[test]
fn values_that_share_no_scale_or_unit_are_errors() {
    let decimal = declared(&[("a", "decimal")]);
    let wide = "{\"a\":1e37}\n{\"a\":\"1e-5\"}\n{\"a\":0}";
    assert_eq!(values(read(wide.as_bytes(), Some(&decimal)).unwrap().column(0))[2], "0.00000");
    for text in ["{\"a\":1}\n{\"a\":1e-39}", "{}\n{\"a\":1e38}"] {
        assert!(problem(text.as_bytes(), Some(&decimal)).starts_with("line 2: "), "{text}");
    }
    let moment = declared(&[("a", "timestamp")]);
    let near = "{\"a\":\"1677-09-22\"}\n{\"a\":\"2262-04-10 23:59:59.123456789\"}";
    let batch = read(near.as_bytes(), Some(&moment)).unwrap();
    assert_eq!(values(batch.column(0))[1], "2262-04-10T23:59:59.123456789");
    let far = "{\"a\":\"2262-04-11\"}\n{\"a\":\"2000-01-01 00:00:00.000000001\"}";
    assert!(problem(far.as_bytes(), Some(&moment)).contains("no one unit holds both"));
}

#[test]
fn several_files_are_one_table_and_a_changed_file_is_an_error() {
    let mut columns = NdjsonColumns::new(None).unwrap();
    columns.read(&b"{\"a\":1}"[..]).unwrap();
    columns.read(&b"{\"b\":1}\n{\"a\":0.5}"[..]).unwrap();
    assert_eq!(columns.rows(), 3);
    let schema = columns.finish();
    let first: Vec<_> = NdjsonReader::new(&b"{\"a\":1}"[..], schema.clone()).unwrap().collect();
    assert_eq!(first[0].as_ref().unwrap().column(0).as_primitive::<Float64Type>().value(0), 1.0);
    for changed in ["{\"c\":1}", "{\"a\":\"x\"}", "{\"a\":[]}", "{\"a\":1,\"a\":1}", "{"] {
        let mut reader = NdjsonReader::new(changed.as_bytes(), schema.clone()).unwrap();
        assert!(reader.next().unwrap().is_err(), "{changed}");
        assert!(reader.next().is_none());
    }
}

#[test]
fn batches_are_bounded_by_rows_bytes_and_values() {
    let sizes = |text: String| -> Vec<usize> {
        let schema = schema(text.as_bytes(), None).unwrap();
        let reader = NdjsonReader::new(text.as_bytes(), schema).unwrap();
        reader.map(|batch| batch.unwrap().num_rows()).collect()
    };
    assert_eq!(sizes("{\"a\":1}\n".repeat(70_000)), [65_536, 4464]);
    let long = format!("{{\"a\":\"{}\"}}\n", "x".repeat(1 << 20));
    assert_eq!(sizes(long.repeat(6)), [4, 2]);
    let wide: Vec<String> = (0..1 << 10).map(|key| format!("\"{key}\":1")).collect();
    assert_eq!(sizes(format!("{{{}}}\n", wide.join(",")) + &"{}\n".repeat(2000)), [1024, 977]);
}

/// A JSON value that the same value of a column's kind always has.
fn cell(kind: usize) -> BoxedStrategy<serde_json::Value> {
    let value = match kind {
        0 => any::<i64>().prop_map(serde_json::Value::from).boxed(),
        1 => any::<u64>().prop_map(serde_json::Value::from).boxed(),
        2 => any::<f64>()
            .prop_filter("finite", |f| f.is_finite())
            .prop_map(serde_json::Value::from)
            .boxed(),
        3 => any::<String>().prop_map(serde_json::Value::from).boxed(),
        _ => any::<bool>().prop_map(serde_json::Value::from).boxed(),
    };
    prop_oneof![4 => value, 1 => Just(serde_json::Value::Null)].boxed()
}

fn table() -> impl Strategy<Value = Vec<(usize, Vec<serde_json::Value>)>> {
    let columns = prop::collection::vec(0..5_usize, 1..6);
    (columns, 1..40_usize).prop_flat_map(|(kinds, rows)| {
        let column = |kind| prop::collection::vec(cell(kind), rows).prop_map(move |v| (kind, v));
        kinds.into_iter().map(column).collect::<Vec<_>>()
    })
}

proptest! {
    /// Random values, written as text, come back as the same values.
    #[test]
    fn what_is_written_is_read(table in table(), spaced in any::<bool>()) {
        let rows = table[0].1.len();
        let mut text = String::new();
        for row in 0..rows {
            let member = |(i, (_, cells)): (usize, &(usize, Vec<serde_json::Value>))| {
                let space = if spaced { " " } else { "" };
                format!("\"c{i}\"{space}:{space}{}", cells[row])
            };
            let members: Vec<_> = table.iter().enumerate().map(member).collect();
            text += &format!("{{{}}}\n", members.join(","));
        }
        let batch = read(text.as_bytes(), None).unwrap();
        prop_assert_eq!(batch.num_rows(), rows);
        for (column, (kind, cells)) in batch.columns().iter().zip(&table) {
            for (row, cell) in cells.iter().enumerate() {
                prop_assert_eq!(column.is_null(row) || column.data_type() == &DataType::Null, cell.is_null());
                if cell.is_null() {
                    continue;
                }
                let same = match column.data_type() {
                    DataType::Int64 => column.as_primitive::<Int64Type>().value(row) == cell.as_i64().unwrap(),
                    DataType::UInt64 => column.as_primitive::<UInt64Type>().value(row) == cell.as_u64().unwrap(),
                    DataType::Float64 => column.as_primitive::<Float64Type>().value(row).to_bits() == cell.as_f64().unwrap().to_bits(),
                    DataType::Boolean => column.as_boolean().value(row) == cell.as_bool().unwrap(),
                    _ => column.as_any().downcast_ref::<StringArray>().unwrap().value(row) == cell.as_str().unwrap(),
                };
                prop_assert!(same && (*kind != 3 || column.data_type() == &DataType::Utf8));
            }
        }
    }

    /// No text panics.
    #[test]
    fn any_text_is_a_table_or_an_error(text in "[\\[\\]{}\",:a1.e0 \n\\-tnu]{0,40}") {
        let _ = read(text.as_bytes(), None);
        let wrapped = format!("{{\"a\":{text}}}\n{{\"a\":{text}}}");
        let _ = read(wrapped.as_bytes(), None);
        let _ = read(wrapped.as_bytes(), Some(&declared(&[("a", "list(decimal)")])));
    }
}
