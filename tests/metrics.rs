//! Metrics: every number, exactly.

use serde_json::{Value, json};

use crate::support::Env;

fn recorded(env: &Env, value: &str) -> (Value, Value) {
    let metric = format!("m={value}");
    env.write("m.bin", "x");
    let version = env.run(&["record", "fraud", "--artifact", "m.bin", "--metric", &metric, "-q"]);
    let reference = format!("fraud@{}", version.ok().stdout.trim());
    let shown = env.json(&["show", &reference], "lineage.show/1");
    let logged = env.json_lines(&["log", "--limit", "1"], "lineage.log/1");
    (shown["metadata"]["metrics"][0]["value"].clone(), logged[0]["metrics"][0]["value"].clone())
}

#[test]
fn numbers_that_json_has_no_word_for_are_kept_exactly() {
    let env = Env::new();
    for (given, stored) in [
        ("NaN", "NaN"),
        ("nan", "NaN"),
        ("-nan", "NaN"),
        ("inf", "Infinity"),
        ("Infinity", "Infinity"),
        ("+inf", "Infinity"),
        ("-inf", "-Infinity"),
        ("-Infinity", "-Infinity"),
        ("-0", "-0"),
        ("-0.0", "-0"),
    ] {
        let (shown, logged) = recorded(&env, given);
        assert_eq!(shown, json!(stored), "{given}");
        assert_eq!(logged, json!(stored), "{given}");
    }
    assert_eq!(env.query("SELECT COUNT(*) FROM metric WHERE special = '-0' AND value = 0.0"), 2);
    env.verifies();
}

#[test]
fn finite_numbers_come_back_bit_for_bit() {
    let env = Env::new();
    for given in [
        "0",
        "1",
        "0.1",
        "0.30000000000000004",
        "1e-3",
        "5e-324",
        "1.7976931348623157e308",
        "123456789012345678",
        "-2.5",
        "+3",
        "9007199254740993",
        ".5",
        "1e21",
        "1E5",
    ] {
        let (shown, logged) = recorded(&env, given);
        let expected: f64 = given.parse().unwrap();
        assert_eq!(shown.as_f64().unwrap().to_bits(), expected.to_bits(), "{given}");
        assert_eq!(logged.as_f64().unwrap().to_bits(), expected.to_bits(), "{given}");
    }
    env.verifies();
}

#[test]
fn the_screen_shows_them_too() {
    let env = Env::new();
    env.write("m.bin", "x");
    env.run(&[
        "record",
        "fraud",
        "--artifact",
        "m.bin",
        "--metric",
        "test.auc=NaN",
        "--metric",
        "a=-inf",
        "--metric",
        "z=-0",
    ])
    .ok();
    insta::assert_snapshot!(env.run(&["log"]), @"fraud@1    2026-03-01 00:01:00Z  2d711642b726  a=-Infinity  z=-0  test.auc=NaN");
    insta::assert_snapshot!(env.run(&["show", "fraud@1"]), @"
    fraud@1
      artifact         m.bin (file, 1 B)
      sha256           2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881
      recorded         2026-03-01 00:01:00Z by Test Person
      session          01KJKB5HK0JN20YJT40NQS4EES
      metric a         -Infinity
      metric z         -0
      metric test.auc  NaN
      reproducibility  unknown: no data was recorded
      live at          nowhere
    ");
}

#[test]
fn a_metrics_file_gives_the_same_as_flags() {
    let env = Env::new();
    env.write("m.bin", "x");
    env.write("m.json", r#"{"n": NaN, "i": Infinity, "j": -Infinity, "z": -0.0, "f": 0.1}"#);
    env.run(&["record", "fraud", "--artifact", "m.bin", "--metrics-file", "m.json"]).ok();
    env.run(&[
        "record",
        "fraud",
        "--artifact",
        "m.bin",
        "--metric",
        "n=nan",
        "--metric",
        "i=inf",
        "--metric",
        "j=-inf",
        "--metric",
        "z=-0",
        "--metric",
        "f=0.1",
    ])
    .ok();
    let metrics = |reference: &str| {
        env.json(&["show", reference], "lineage.show/1")["metadata"]["metrics"].clone()
    };
    assert_eq!(metrics("fraud@1"), metrics("fraud@2"));
    env.verifies();
}

#[test]
fn a_number_beyond_every_float_is_not_taken_for_infinity() {
    let env = Env::new();
    env.refused(&["record", "fraud", "--metric", "a=1e999"], 2, "usage", "1e999");
}

#[test]
fn nan_in_data_and_metrics_repeats_under_a_key() {
    let env = Env::new();
    let arguments = ["record", "fraud", "--metric", "a=nan", "--idempotency-key", "k"];
    env.run(&arguments).ok();
    assert_eq!(env.json(&arguments, "lineage.record/1")["changed"], false);
}
