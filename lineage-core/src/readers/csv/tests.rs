use crate::table::ColumnKind;
use chrono::{Datelike, NaiveDate};
use proptest::prelude::*;

use super::error::Problem;
use super::fuzz::{Table, read_table};
use super::*;
use crate::readers::text::numbers::{self, Integer};
use crate::readers::text::times;

const PIECES: [usize; 5] = [1, 5, 17, 100, PIECE_BYTES];

/// Reads a CSV with pieces of several sizes, which must not matter.
fn read_with(
    text: impl AsRef<[u8]>,
    options: CsvOptions,
    declared: Option<&[DeclaredColumn]>,
) -> Result<Table, CsvError> {
    let whole = read_table(text.as_ref(), options, declared, PIECE_BYTES);
    for piece_bytes in PIECES {
        assert_eq!(read_table(text.as_ref(), options, declared, piece_bytes), whole);
    }
    whole
}

fn read(text: impl AsRef<[u8]>) -> Result<Table, CsvError> {
    read_with(text, CsvOptions::CSV, None)
}

fn fails(text: impl AsRef<[u8]>) -> (Problem, u64, u64) {
    let error = read(text.as_ref()).unwrap_err();
    (error.problem, error.line, error.byte_offset)
}

/// The cells of one column of two, whose other column is never empty.
fn column_of(texts: &[&str]) -> (String, Vec<Option<String>>) {
    let rows: String = texts.iter().map(|text| format!("{text},x\n")).collect();
    let table = read(format!("a,b\n{rows}")).unwrap();
    (table.kinds[0].to_string(), table.columns[0].clone())
}

fn kind_of(texts: &[&str]) -> String {
    column_of(texts).0
}

fn declared(kind: ColumnKind, text: &str) -> Result<Option<String>, CsvError> {
    let schema = [
        DeclaredColumn { name: "a".into(), kind: Some(kind) },
        DeclaredColumn { name: "b".into(), kind: None },
    ];
    let text = format!("a,b\n{text},1\n");
    read_with(text, CsvOptions::CSV, Some(&schema)).map(|table| table.columns[0][0].clone())
}

#[test]
fn texts_have_the_classes_of_the_document() {
    let negative = Classes::INT | Classes::NEGATIVE;
    let beyond = Classes::INT | Classes::BEYOND_DOUBLE;
    let far_date = Classes::DATE | Classes::BEYOND_NANOSECONDS;
    let cases: &[(Classes, &[&str])] = &[
        (Classes::BOOL, &["true", "false", "True", "FALSE", "tRuE"]),
        (Classes::INT, &["0", "7", "10", "9007199254740992"]),
        (negative, &["-1", "-9007199254740992"]),
        (beyond, &["9007199254740993", "9223372036854775807"]),
        (beyond | negative, &["-9007199254740993", "-9223372036854775808"]),
        (Classes::UINT64, &["9223372036854775808", "18446744073709551615"]),
        (
            Classes::FLOAT,
            &[
                "0.5",
                "-0.5",
                ".5",
                "-.5",
                "5.",
                "1e5",
                "1E5",
                "1e+5",
                "1e-5",
                "1.e5",
                ".5e5",
                "0e0",
                "-0",
                "-0.0",
                "0.",
                "nan",
                "NaN",
                "inf",
                "Inf",
                "-inf",
                "INFINITY",
                "-infinity",
                "1e308",
                "1e-999",
                "0e999999999999999999999",
                "12345678901234567890123.0",
                "0.00000000000000000000000000000000001",
            ],
        ),
        (Classes::DATE, &["2024-02-29", "2000-02-29", "1677-09-22", "2262-04-10"]),
        (far_date, &["0000-01-01", "9999-12-31", "1677-09-21", "2262-04-11", "0000-02-29"]),
        (
            Classes::TIMESTAMP,
            &[
                "2024-01-01T00:00",
                "2024-01-01 23:59",
                "2024-01-01 00:00:59",
                "2024-01-01T01:02:03.4",
                "2024-01-01T01:02:03.123456",
                "2024-01-01T01:02:03.123456000",
            ],
        ),
        (
            Classes::TIMESTAMP | Classes::BELOW_MICROSECOND,
            &["2024-01-01T01:02:03.1234567", "2024-01-01T01:02:03.000000001"],
        ),
        (
            Classes::TIMESTAMP | Classes::BELOW_MICROSECOND | Classes::BEYOND_NANOSECONDS,
            &["1024-01-01T01:02:03.1234567"],
        ),
        (
            Classes::INSTANT,
            &[
                "2024-01-01T00:00Z",
                "2024-01-01 23:59+01:00",
                "2024-01-01 00:00:59-0130",
                "2024-01-01T01:02:03.4+23",
                "1677-09-21T23:30-01:00",
                "2262-04-11T00:30+01:00",
            ],
        ),
        (
            Classes::INSTANT | Classes::BEYOND_NANOSECONDS,
            &["1677-09-22T00:30+01:00", "2262-04-10T23:30-01:00"],
        ),
        (
            Classes::STRING,
            &[
                "truth",
                "t",
                "yes",
                "00",
                "007",
                "-007",
                "+5",
                "1_000",
                "1,5",
                " 1",
                "1 ",
                "-",
                "-9223372036854775809",
                "18446744073709551616",
                "-18446744073709551615",
                ".",
                "-.",
                ".e5",
                "e5",
                "1e",
                "1e+",
                "00.5",
                "+0.5",
                "1.5.5",
                "1e400",
                "-1e400",
                "--1",
                "0x10",
                "-nan",
                "+inf",
                "-00",
                "-00.5",
                "infinit",
                "2023-02-29",
                "1900-02-29",
                "2024-13-01",
                "2024-00-10",
                "2024-04-31",
                "2024-01-00",
                "2024-1-1",
                "2024-01-01T",
                "2024-01-01t00:00",
                "2024-01-01  00:00",
                "2024-01-01T24:00",
                "2024-01-01T00:60",
                "2024-01-01T00:00:60",
                "2024-01-01T00:00.5",
                "2024-01-01T00:00:00.",
                "2024-01-01T00:00:00.1234567890",
                "2024-01-01T00",
                "2024-01-01T0:00",
                "2024-01-01T00:00z",
                "2024-01-01T00:00 Z",
                "2024-01-01T00:00+24:00",
                "2024-01-01T00:00+00:60",
                "2024-01-01T00:00+1",
                "2024-01-01Z",
                "12024-01-01",
                "é",
                "٣",
            ],
        ),
    ];
    for (class, texts) in cases {
        for text in *texts {
            assert_eq!(Classes::of(text.as_bytes()), *class, "{text}");
        }
    }
}

#[test]
fn the_kind_follows_from_the_set_of_classes() {
    for (kind, texts) in [
        ("null", &[""][..]),
        ("null", &["\"\"", ""]),
        ("bool", &["true", "", "FALSE", "\"true\""]),
        ("int", &["1", "-9223372036854775808", "9223372036854775807"]),
        ("uint64", &["1", "9223372036854775808"]),
        ("string", &["-1", "9223372036854775808"]),
        ("string", &["9223372036854775808", "0.5"]),
        ("float64", &["1", "-9007199254740992", "0.5"]),
        ("float64", &["-0", "1"]),
        ("string", &["9007199254740993", "0.5"]),
        ("string", &["0.5", "-9007199254740993"]),
        ("string", &["true", "1"]),
        ("date", &["2024-01-01", "\"0000-01-01\""]),
        ("timestamp", &["2024-01-01", "2024-01-01 00:00"]),
        ("timestamp", &["0000-01-01", "2024-01-01 00:00:00.000001"]),
        ("string", &["0000-01-01", "2024-01-01 00:00:00.0000001"]),
        ("string", &["2024-01-01 00:00:00.0000001", "", "2262-04-11"]),
        ("instant", &["2024-01-01 00:00Z", "2024-01-01T00:00:00.123456789-05:00"]),
        ("string", &["2024-01-01 00:00Z", "2024-01-01 00:00"]),
        ("string", &["2024-01-01 00:00Z", "2024-01-01"]),
        ("string", &["1", "x"]),
        ("string", &["\"a\"\"b\""]),
    ] {
        assert_eq!(kind_of(texts), kind, "{texts:?}");
        let reversed: Vec<&str> = texts.iter().rev().copied().collect();
        assert_eq!(kind_of(&reversed), kind, "{reversed:?}");
    }
}

#[test]
fn values_are_those_of_their_texts() {
    let values = |texts: &[&str]| column_of(texts).1;
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(values(&["1", "", "-12", "\"3\""]), [some("1"), None, some("-12"), some("3")]);
    assert_eq!(values(&["1", "\"\"", "0.1"]), [some("1.0"), None, some("0.1")]);
    assert_eq!(values(&["x", "\"\"", ""]), [some("x"), some(""), None]);
    assert_eq!(
        values(&["\"a\"\"\"", "\"\"\"\"", "\",\n\""]),
        [some("a\""), some("\""), some(",\n")]
    );
    assert_eq!(values(&["1970-01-02", "1969-12-31"]), [some("1"), some("-1")]);
    assert_eq!(
        values(&["1970-01-02", "1970-01-01 00:00:01.5", "1969-12-31T23:59:59.999999999"]),
        [some("86400000000000"), some("1500000000"), some("-1")]
    );
    assert_eq!(values(&["0000-01-01T00:00+23:59"]), [some("-62167305540000000000")]);
    let million = "9".repeat(1_000_000);
    assert_eq!(values(&[&million]), [some(&million)]);
}

#[test]
fn records_end_with_either_line_end_and_blank_lines_are_none() {
    let expected = read("a,b\n1,x\n2,y\n").unwrap();
    assert_eq!(expected.names, ["a", "b"]);
    assert_eq!(expected.rows, 2);
    for text in [
        "a,b\r\n1,x\r\n2,y\r\n",
        "a,b\n1,x\n2,y",
        "a,b\r\n1,x\n2,y",
        "\u{feff}a,b\n1,x\n2,y\n",
        "\n\r\n\na,b\n\r\n1,x\n\n\n2,y\n\r\n\n",
        "\"a\",\"b\"\r\n\"1\",\"x\"\r\n2,\"y\"\r\n",
    ] {
        assert_eq!(read(text).unwrap(), expected, "{text:?}");
    }
    let single = read("a\n1\n\n\"\"\n2\n").unwrap();
    assert_eq!(single.columns, [[Some("1".to_owned()), None, Some("2".to_owned())]]);
}

#[test]
fn headers_may_be_quoted_empty_or_missing() {
    let names = |text: &str| read(text).unwrap().names;
    assert_eq!(names("\"a,\n\"\"\",,b,b\n"), ["a,\n\"", "", "b", "b"]);
    assert_eq!(names(",\n"), ["", ""]);
    assert_eq!(names("\"\""), [""]);
    assert_eq!(names("a"), ["a"]);
    let options = CsvOptions { header: false, ..CsvOptions::TSV };
    let table = read_with("\u{feff}\n1\tx\n2\t\"y\t\"\n", options, None).unwrap();
    assert_eq!(table.names, ["column_1", "column_2"]);
    assert_eq!(table.rows, 2);
    assert_eq!(table.columns[1][1].as_deref(), Some("y\t"));
    let spaces = CsvOptions { delimiter: b' ', ..CsvOptions::CSV };
    assert_eq!(read_with("a b\n1 2\n", spaces, None).unwrap().names, ["a", "b"]);
}

#[test]
fn everything_that_is_not_strict_is_an_error() {
    let ragged = |found, expected| Problem::Ragged { found, expected };
    let long = format!("a,b\n{}1,\"x\ny\"z\n", "1,x\n".repeat(100));
    let cases: &[(&[u8], Problem, u64, u64)] = &[
        (b"a,b\n1,2\n3\n4,5\n", ragged(1, 2), 3, 8),
        (b"a,b\n1,2\n\n3,4,5\n", ragged(3, 2), 4, 9),
        (b"a,b\n1\n2,3,4\n", ragged(1, 2), 2, 4),
        (b"a\n1\n2,3\n", ragged(2, 1), 3, 4),
        (b"a,b\n1,\"x\n2,y\n", Problem::Unclosed, 2, 6),
        (b"a,\"b\n1,2\n", Problem::Unclosed, 1, 2),
        (b"\"", Problem::Unclosed, 1, 0),
        (b"a,b\n1,x\"y\n", Problem::StrayQuote, 2, 7),
        (b"a,b\n1,x\"\n2,\"y\"\n3,\"z\"\n", Problem::StrayQuote, 2, 7),
        (b"a,b\n1, \"y\"\n", Problem::StrayQuote, 2, 7),
        (b"a,b\n1,\"x\"y\n", Problem::AfterQuote, 2, 9),
        (b"a,b\n1,\"x\" \n", Problem::AfterQuote, 2, 9),
        (long.as_bytes(), Problem::AfterQuote, 103, 411),
        (b"a\"b,c\n", Problem::StrayQuote, 1, 1),
        (b"a,b\n1,\0\n", Problem::Nul, 2, 6),
        (b"a,b\n1,\"\0\"\n", Problem::Nul, 2, 7),
        (b"a,b\n1,x\ry\n", Problem::BareCarriageReturn, 2, 7),
        (b"a,b\n1,\r,\n", Problem::BareCarriageReturn, 2, 6),
        (b"a,b\n1,\"x\"\r\"y\"\n", Problem::BareCarriageReturn, 2, 9),
        (b"a,b\n1,x\r", Problem::BareCarriageReturn, 2, 7),
        (b"a,b\n1,2\n\r", Problem::BareCarriageReturn, 3, 8),
        (b"a,b\r1,2\r", Problem::BareCarriageReturn, 1, 3),
        (b"a,b\n1,x\xff\n", Problem::NotUtf8, 2, 7),
        (b"a,b\n\xc3,\xa9\n", Problem::NotUtf8, 2, 4),
        (b"a,b\n1,\xc3\n2,\xa9\n", Problem::NotUtf8, 2, 6),
        (b"a,b\n1,\xed\xa0\x80\n2,3\n4\n", Problem::NotUtf8, 2, 6),
        (b"a\xff,b\n", Problem::NotUtf8, 1, 1),
        (b"\xff\xfea\0,\0b\0\n\0", Problem::Utf16, 1, 0),
        (b"\xfe\xff\0a", Problem::Utf16, 1, 0),
        (b"a\0,\0b\0\n\0", Problem::Nul, 1, 1),
        (b"", Problem::NoHeader, 1, 0),
        (b"\xef\xbb\xbf", Problem::NoHeader, 1, 3),
        (b"\n\r\n\n", Problem::NoHeader, 4, 4),
    ];
    for (text, problem, line, offset) in cases {
        let shown = String::from_utf8_lossy(text);
        assert_eq!(fails(text), (problem.clone(), *line, *offset), "{shown:?}");
        let mark =
            if text.starts_with(b"\xef") || *problem == Problem::Utf16 { "" } else { "\u{feff}" };
        let marked = [mark.as_bytes(), text].concat();
        assert_eq!(
            fails(marked),
            (problem.clone(), *line, *offset + mark.len() as u64),
            "{shown:?}"
        );
    }
}

#[test]
fn the_first_of_several_errors_is_told() {
    let int = DeclaredColumn { name: "a".into(), kind: Some(ColumnKind::Int) };
    let any = DeclaredColumn { name: "b".into(), kind: None };
    let schema = [int, any];
    let fails = |text: &[u8]| {
        let error = read_with(text, CsvOptions::CSV, Some(&schema)).unwrap_err();
        (error.line, error.problem)
    };
    let value = Problem::Value { column: "a".into(), kind: ColumnKind::Int, text: "x\"y".into() };
    assert_eq!(fails(b"a,b\n1,1\n\"x\"\"y\",1\n1\n1,\"x\"y\n\xff,1\n"), (3, value));
    let ragged = Problem::Ragged { found: 1, expected: 2 };
    assert_eq!(fails(b"a,b\n1,1\n1\n1,\"x\"y\n\xff,1\nx,1\n"), (3, ragged));
    assert_eq!(fails(b"a,b\n1,1\n1,\xff\nx,\"x\"y\n\xff,1\n"), (3, Problem::NotUtf8));
    assert_eq!(fails(b"a,b\n1,1\n1,\"x\"y\n\xff,1\n1\n"), (3, Problem::AfterQuote));
}

#[test]
fn declared_kinds_take_wider_texts() {
    use ColumnKind::*;
    let cases: &[(ColumnKind, &str, &str)] = &[
        (Int, "+5", "5"),
        (Int, "007", "7"),
        (Int, "-0", "0"),
        (Int, "-007", "-7"),
        (Int, "00000000000000000000000000001", "1"),
        (Int, "-9223372036854775808", "-9223372036854775808"),
        (Uint64, "+018446744073709551615", "18446744073709551615"),
        (Float64, "5", "5.0"),
        (Float64, "+05.50", "5.5"),
        (Float64, "12345678901234567890", "1.2345678901234567e19"),
        (Float64, "-INF", "-inf"),
        (Float64, "nan", "NaN"),
        (Float32, "0.1", "0.1"),
        (Float32, "16777217", "16777216.0"),
        (Float32, "+inf", "inf"),
        (Decimal, "1.50", "15e-1"),
        (Decimal, "-0.001", "-1e-3"),
        (Decimal, "+00100", "100e-0"),
        (Decimal, "15e-1", "15e-1"),
        (Decimal, "1.5E3", "1500e-0"),
        (Decimal, "0e999999999999", "0e-0"),
        (Decimal, "1e37", "10000000000000000000000000000000000000e-0"),
        (Decimal, "1e-38", "1e-38"),
        (Bool, "1", "true"),
        (Bool, "0", "false"),
        (Bool, "TRUE", "true"),
        (String, "007", "007"),
        (String, "\"\"", ""),
        (Date, "1970-01-02", "1"),
        (Time, "00:01", "60000000000"),
        (Time, "23:59:59.999999999", "86399999999999"),
        (Timestamp, "1970-01-02", "86400000000000"),
        (Timestamp, "1970-01-01T00:00:00.000000001", "1"),
        (Instant, "1970-01-01T01:00+01", "0"),
    ];
    for (kind, text, value) in cases {
        assert_eq!(declared(kind.clone(), text).unwrap().as_deref(), Some(*value), "{kind} {text}");
    }
    let nines = "9".repeat(38);
    let both = declared(Decimal, &format!("-{nines}.{nines}")).unwrap();
    assert_eq!(both.unwrap(), format!("-{nines}{nines}e-38"));
    for kind in
        [Int, Uint64, Float64, Float32, Decimal, Bool, String, Date, Time, Timestamp, Instant]
    {
        assert_eq!(declared(kind.clone(), "").unwrap(), None);
        let empty = declared(kind.clone(), "\"\"").unwrap();
        assert_eq!(empty.is_some(), kind == String);
    }
}

#[test]
fn what_does_not_fit_a_declared_kind_is_an_error() {
    use ColumnKind::*;
    for (kind, texts) in [
        (Int, &["1.0", "9223372036854775808", "+-1", "+", "1e3", "x", " 1"][..]),
        (Uint64, &["-1", "18446744073709551616"]),
        (Float64, &["1e400", "x", "+nan", "1.5.5", "."]),
        (Float32, &["1e39", "-3.5e38", "x"]),
        (Decimal, &["1e38", "1e-39", "nan", "inf", ".", "1e", "0x1", "1e99999999999999999999"]),
        (Bool, &["2", "yes", "01"]),
        (Date, &["1970-01-01T00:00", "1970-02-30"]),
        (Time, &["24:00", "1:00", "00:00Z", "00:00.5", "1970-01-01"]),
        (Timestamp, &["1970-01-01T00:00Z", "00:00"]),
        (Instant, &["1970-01-01T00:00", "1970-01-01"]),
        (Null, &["x"]),
    ] {
        for text in texts {
            let error = declared(kind.clone(), text).unwrap_err();
            assert_eq!((error.line, error.byte_offset), (2, 4));
            let (column, text) = ("a".to_owned(), (*text).to_owned());
            assert_eq!(error.problem, Problem::Value { column, kind: kind.clone(), text });
        }
    }
    let error = declared(Int, &"é".repeat(100)).unwrap_err();
    let shown = "é".repeat(60);
    let message = format!("line 2, byte 4: \"{shown}\" in column \"a\" is not of its kind, int");
    assert_eq!(error.to_string(), message);
    let error = declared(List(Box::new(Int)), "1").unwrap_err();
    assert!(matches!(error.problem, Problem::Kind { .. }));
}

#[test]
fn a_declared_time_column_needs_one_unit() {
    let schema = [DeclaredColumn { name: "a".into(), kind: Some(ColumnKind::Timestamp) }];
    let fine = "1970-01-01T00:00:00.0000001\n";
    let far = "0001-01-01\n";
    for text in
        [format!("a\n{fine}{far}"), format!("a\n{far}{fine}"), format!("a\n{far}\n\n{fine}")]
    {
        for piece_bytes in PIECES {
            let error = read_table(text.as_bytes(), CsvOptions::CSV, Some(&schema), piece_bytes);
            assert!(matches!(error.unwrap_err().problem, Problem::NoOneUnit { .. }), "{text}");
        }
    }
}

#[test]
fn a_schema_names_the_columns_in_order() {
    let check = |header: &str, names: &[&str]| {
        let columns = names.iter().map(|name| DeclaredColumn { name: (*name).into(), kind: None });
        let columns: Vec<DeclaredColumn> = columns.collect();
        read_with(header, CsvOptions::CSV, Some(&columns))
            .map_err(|error| error.problem.to_string())
    };
    assert!(check("a,b\n", &["a", "b"]).is_ok());
    for (header, names, message) in [
        ("a,b\n", &["a", "c"][..], "column 2 is \"b\", the schema says \"c\""),
        ("a,b\n", &["a"], "column 2 \"b\" is not in the schema"),
        ("a\n", &["a", "b"], "it has 1 columns, the schema says 2"),
    ] {
        assert_eq!(check(header, names).unwrap_err(), message);
    }
}

/// Feeds the cutter chunks until it fails, and returns the error, with the most bytes that it held.
fn feed(head: &str, chunk: &[u8], times: usize) -> (Result<u64, CsvError>, usize) {
    let mut cutter = Cutter::new(CsvOptions::CSV, PIECE_BYTES);
    let mut pieces = 0;
    let mut most = 0;
    let chunks = std::iter::once(head.as_bytes()).chain(std::iter::repeat_n(chunk, times));
    for mut chunk in chunks {
        loop {
            match cutter.push(&mut chunk) {
                Ok(Some(piece)) => {
                    pieces += 1;
                    cutter.recycle(piece);
                }
                Ok(None) => break,
                Err(error) => return (Err(error), most),
            }
        }
        most = most.max(cutter.held_bytes());
    }
    (cutter.finish().map(|_| pieces), most)
}

#[test]
fn endless_records_fail_in_bounded_memory() {
    let chunk = vec![b'x'; 1 << 20];
    for head in ["a,b\n1,\"", ""] {
        let (result, most) = feed(head, &chunk, 1024);
        assert!(matches!(result.unwrap_err().problem, Problem::RecordTooLong { .. }), "{head}");
        assert!(most <= RECORD_BYTES_MAX + 4 * PIECE_BYTES, "{most}");
    }
    // The quote that is at fault is named, not the record that it makes endless.
    let lines = b"1,xxxxxxxxxxxxx\n".repeat(1 << 16);
    let (result, _) = feed("a,b\n1,2\n3,x\"\n", &lines, 100);
    let error = result.unwrap_err();
    assert_eq!((error.problem, error.line), (Problem::StrayQuote, 3));
    let commas = vec![b','; 1 << 20];
    let (result, _) = feed("", &commas, 100);
    assert!(matches!(result.unwrap_err().problem, Problem::TooManyFields { most: COLUMNS_MAX }));
    let (result, _) = feed("a,b\n", &lines, 100);
    assert!(result.unwrap() >= 99);
}

#[test]
fn hostile_bytes_do_no_harm() {
    for text in [
        "\"".repeat(100_001).into_bytes(),
        "\"".repeat(100_000).into_bytes(),
        vec![0; 100_000],
        b"\n".repeat(100_000),
        b"\r".repeat(100_000),
        b"\r\n".repeat(100_000),
        b",".repeat(100_000),
        b"a,b\n,\n".repeat(10_000),
        vec![0xff; 100_000],
    ] {
        let whole = read_table(&text, CsvOptions::CSV, None, PIECE_BYTES);
        assert_eq!(read_table(&text, CsvOptions::CSV, None, 1000), whole);
    }
}

/// Texts near the borders of the classes.
fn any_text() -> impl Strategy<Value = String> {
    let number = "[-+]?[0-9]{0,20}[.]?[0-9]{0,3}([eE][-+]?[0-9]{1,3})?";
    let time = "(20[0-2][0-9]|[0-9]{4})-[01][0-9]-[0-3][0-9]([T ][0-2][0-9]:[0-6][0-9](:[0-6][0-9]([.][0-9]{1,10})?)?)?(Z|[+-][0-2][0-9](:?[0-6][0-9])?)?";
    prop_oneof![
        3 => proptest::string::string_regex(number).unwrap(),
        3 => proptest::string::string_regex(time).unwrap(),
        1 => "[a-zé\",\r\n ]{0,30}".prop_map(|text| text),
        1 => "[0-9]{1,4}".prop_map(|text| text),
    ]
}

/// A column of texts that mostly have one kind.
fn any_column(rows: usize) -> impl Strategy<Value = Vec<Option<String>>> {
    let pools: [&[&str]; 9] = [
        &["true", "FALSE", "False"],
        &["0", "1", "-5", "123456789", "12345678", "-1234567890123456", "12345678901234567"],
        &["1", "18446744073709551615", "9223372036854775808", "0"],
        &["1.5", "-0", "2", "1e5", "nan", "0.1234567890123456789", "9007199254740992"],
        &["2024-01-01", "2024-02-29", "1600-01-01"],
        &["2024-01-01", "2024-01-01 10:11:12.123", "1600-01-01T00:00"],
        &["2024-01-01 10:11:12.1234567", "2024-01-01 10:11", "2024-12-31T23:59:59.999999999"],
        &[
            "2024-01-01 10:11:12Z",
            "2024-01-01T10:11:12.5+05:30",
            "2024-01-01T10:11:12.123456789-01",
        ],
        &["x", "y,z", "a\"b", "two\nlines", "", "Café", "longer than sixteen bytes, surely", "\r"],
    ];
    let pool = prop::sample::select(pools.to_vec());
    pool.prop_flat_map(move |pool| {
        let common = prop::sample::select(pool).prop_map(|text| Some(text.to_owned()));
        let cell = prop_oneof![300 => common, 30 => Just(None), 1 => any_text().prop_map(Some)];
        prop::collection::vec(cell, rows)
    })
}

/// Writes a table with the quoting and line ends that the bits say.
fn write(columns: &[Vec<Option<String>>], rows: usize, mut bits: impl FnMut() -> bool) -> String {
    let mut text = String::new();
    let names = (0..columns.len()).map(|index| format!("c{index}"));
    text.push_str(&names.collect::<Vec<_>>().join(","));
    text.push('\n');
    for row in 0..rows {
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            let Some(value) = &column[row] else { continue };
            if value.is_empty() || value.contains(['"', ',', '\n', '\r']) || (bits() && bits()) {
                text.push_str(&format!("\"{}\"", value.replace('"', "\"\"")));
            } else {
                text.push_str(value);
            }
        }
        // The record of one null would be a blank line.
        if columns.len() == 1 && columns[0][row].is_none() {
            text.push_str("\"\"");
        }
        text.push_str(if bits() { "\r\n" } else { "\n" });
        if bits() && bits() && bits() {
            text.push('\n');
        }
    }
    if bits() {
        let trimmed = text.trim_end_matches(['\r', '\n']).len();
        text.truncate(trimmed);
    }
    text
}

/// The kinds by the definition: the union of the classes of all values.
fn naive_kind(column: &[Option<String>]) -> ColumnKind {
    let texts = column.iter().flatten();
    texts.fold(Classes::NONE, |all, text| all | Classes::of(text.as_bytes())).kind()
}

fn naive_cell(kind: &ColumnKind, text: &Option<String>, single: bool) -> Option<String> {
    let text = match text {
        None if single && *kind == ColumnKind::String => "",
        None => return None,
        Some(text) => text.as_str(),
    };
    if text.is_empty() && *kind != ColumnKind::String {
        return None;
    }
    let moment = |text: &str| {
        let moment = times::moment(text.as_bytes()).unwrap();
        i128::from(moment.seconds) * 1_000_000_000 + i128::from(moment.nanoseconds)
    };
    Some(match kind {
        ColumnKind::Null => return None,
        ColumnKind::Bool => text.to_ascii_lowercase(),
        ColumnKind::Float64 => format!("{:?}", text.parse::<f64>().unwrap()),
        ColumnKind::Date => {
            let date: NaiveDate = text.parse().unwrap();
            (date.num_days_from_ce() - 719_163).to_string()
        }
        ColumnKind::Timestamp | ColumnKind::Instant => moment(text).to_string(),
        _ => text.to_owned(),
    })
}

fn table() -> impl Strategy<Value = (Vec<Vec<Option<String>>>, usize)> {
    (1_usize..5, 0_usize..200).prop_flat_map(|(columns, rows)| {
        (prop::collection::vec(any_column(rows), columns), Just(rows))
    })
}

proptest! {
    #[test]
    fn a_table_is_read_as_it_was_written(
        (columns, rows) in table(),
        bits in prop::collection::vec(any::<bool>(), 97),
        piece_bytes in prop_oneof![1_usize..200, 200_usize..20_000],
    ) {
        let mut next = 0;
        let text = write(&columns, rows, || { next += 1; bits[next % 97] });
        let read = read_table(text.as_bytes(), CsvOptions::CSV, None, piece_bytes).unwrap();
        prop_assert_eq!(read.rows, rows);
        for (index, column) in columns.iter().enumerate() {
            let kind = naive_kind(column);
            prop_assert_eq!(&read.kinds[index], &kind);
            let single = columns.len() == 1;
            let cells: Vec<_> = column.iter().map(|text| naive_cell(&kind, text, single)).collect();
            prop_assert_eq!(&read.columns[index], &cells);
        }
    }

    #[test]
    fn pieces_do_not_matter_for_any_bytes(
        pieces in prop::collection::vec(
            prop::sample::select(vec!["a", "1", ",", "\"", "\n", "\r\n", "\r", "\0", "é", "1.5", "\n1,2\n", ",\"x\"\n"]),
            0..200,
        ),
        flipped in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let mut bytes = pieces.concat().into_bytes();
        fuzz_csv(&bytes);
        if !bytes.is_empty() {
            let at = flipped.index(bytes.len());
            bytes[at] = value;
            fuzz_csv(&bytes);
        }
    }

    #[test]
    fn fast_numbers_are_the_slow_ones(text in "-?[0-9]{1,20}", before in "[0-9,]{0,9}") {
        let bytes = format!("{before}{text}");
        let slow = match numbers::integer(text.as_bytes()) {
            Some(Integer::Signed(value)) => Some(value),
            _ => None,
        };
        prop_assert_eq!(numbers::int_at(bytes.as_bytes(), before.len(), bytes.len()), slow);
        prop_assert_eq!(slow, text.parse::<i64>().ok().filter(|value| value.to_string() == text));
    }

    #[test]
    fn floats_are_the_nearest(text in "-?(0|[1-9][0-9]{0,20})[.][0-9]{0,20}(e-?[0-9]{1,3})?") {
        let expected: f64 = text.parse().unwrap();
        let read = numbers::float64(text.as_bytes());
        prop_assert_eq!(read.map(f64::to_bits), expected.is_finite().then(|| expected.to_bits()));
    }

    #[test]
    fn fast_floats_are_the_slow_ones(
        text in prop_oneof!["-?[0-9]{0,10}[.][0-9]{0,10}", "[-+.0-9eE]{1,17}"],
        before in "[0-9.,-]{16}",
    ) {
        let bytes = format!("{before}{text}");
        let fast = numbers::short_float_at(bytes.as_bytes(), before.len(), bytes.len());
        if let Some(fast) = fast {
            let slow = numbers::float64(text.as_bytes());
            prop_assert_eq!(slow.map(f64::to_bits), Some(fast.to_bits()));
        }
        let (whole, fraction) = text.split_once('.').unwrap_or_default();
        if whole.trim_start_matches('-').len() <= 8 && fraction.len() <= 7 {
            let slow = numbers::float64(text.as_bytes());
            prop_assert_eq!(fast.is_some(), slow.is_some() && text.contains('.') && !text.contains(['e', 'E']));
        }
    }

    #[test]
    fn days_are_those_of_the_calendar(year in 0_i32..10_000, month in 0_u32..14, day in 0_u32..33) {
        let text = format!("{year:04}-{month:02}-{day:02}");
        let expected = NaiveDate::from_ymd_opt(year, month, day);
        let expected = expected.map(|date| date.num_days_from_ce() - 719_163);
        prop_assert_eq!(times::date(text.as_bytes()), expected);
    }

    #[test]
    fn no_class_makes_a_string_column_another(first in 0_u16..4096, second in 0_u16..4096) {
        let first = Classes::from_bits(first);
        if first.kind() == ColumnKind::String {
            prop_assert_eq!((first | Classes::from_bits(second)).kind(), ColumnKind::String);
        }
    }
}

/// Found by the fuzzer: the record of too many fields is cut by small pieces, and by large ones is not.
#[test]
fn too_many_fields_are_one_fault_in_pieces_of_any_size() {
    let tabs = |count| "\t".repeat(count);
    fuzz_csv(format!("-\t-{}\n{}\n\t\t0-\t-\t2", tabs(76), tabs(113)).as_bytes());
    let mut not_utf8 = format!("a\n{}", ",".repeat(200)).into_bytes();
    not_utf8.extend_from_slice(b"\xff\n");
    fuzz_csv(&not_utf8);
    let lines_in_quotes = format!("a\n{},\"{}\"\0\n", ",".repeat(100), "\n".repeat(30));
    fuzz_csv(lines_in_quotes.as_bytes());
}
