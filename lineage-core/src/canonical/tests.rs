use super::*;
use serde_json::json;

fn check(input: &str, expected: &str) {
    let value = parse(input.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(to_bytes(&value).unwrap()).unwrap(), expected);
    assert_eq!(
        to_bytes(&parse_canonical(expected.as_bytes()).unwrap()).unwrap(),
        expected.as_bytes()
    );
}

fn refused(input: &str, why: &str) {
    let error = parse(input.as_bytes()).unwrap_err().to_string();
    assert!(error.contains(why), "{input}: {error}");
}

#[test]
fn integers_keep_to_what_a_double_carries() {
    check("9007199254740991", "9007199254740991");
    check("-9007199254740991", "-9007199254740991");
    check("9007199254740992", "9007199254740992");
    refused("9007199254740993", "beyond 2^53-1");
    refused("18446744073709551615", "beyond 2^53-1");
    check("10000000000000000", "10000000000000000");
    refused("18446744073709551617", "beyond 2^53-1");
    refused("[\"a\\\"1\", -100000000000000000001]", "beyond 2^53-1");
    check("100000000000000000000", "100000000000000000000");
    check("[\"18446744073709551617\"]", "[\"18446744073709551617\"]");
}

#[test]
fn doubles_have_one_text() {
    check("5e-324", "5e-324");
    check("1e21", "1e+21");
    check("1E16", "10000000000000000");
    check("1.0", "1");
    check("0.1", "0.1");
    check("1e-7", "1e-7");
    refused("-0", "JSON number");
    refused("-0.0", "JSON number");
    assert!(to_bytes(&json!(-0.0)).is_err());
}

#[test]
fn keys_sort_by_utf16_code_units() {
    // U+1F600 is D83D DE00 in UTF-16 and so comes before U+E000, though it is the larger scalar.
    check("{\"\u{e000}\":1,\"\u{1f600}\":2}", "{\"\u{1f600}\":2,\"\u{e000}\":1}");
}

#[test]
fn ambiguous_documents_are_refused() {
    refused(r#"{"a":1,"a":2}"#, "occurs twice");
    refused(r#"{"a":{"b":1,"b":2}}"#, "occurs twice");
    refused(r#""\ud800""#, "hex escape");
    refused("[1] 2", "trailing");
    assert!(matches!(parse_canonical(b"{ }"), Err(CanonicalError::NotCanonical)));
}

#[test]
fn strings_escape_only_what_must_be() {
    check(r#""\u0041\u00e9\n\u001f\/\"""#, "\"A\u{e9}\\n\\u001f/\\\"\"");
}

#[test]
fn pretty_is_the_same_document() {
    let value = json!({"b": [1, {"c": []}], "a": {}, "d": [true]});
    let pretty = to_pretty(&value).unwrap();
    assert_eq!(parse(pretty.as_bytes()).unwrap(), value);
    assert_eq!(
        pretty,
        "{\n  \"a\": {},\n  \"b\": [\n    1,\n    {\n      \"c\": []\n    }\n  ],\n  \"d\": [\n    true\n  ]\n}\n"
    );
}
