use super::*;

fn boolean(text: &str) -> Option<bool> {
    numbers::boolean_declared(text.as_bytes())
}

fn int(text: &str) -> Option<Value<'_>> {
    declared(text, &ColumnKind::Int)
}

fn uint64(text: &str) -> Option<Value<'_>> {
    declared(text, &ColumnKind::Uint64)
}

fn float64(text: &str) -> Option<f64> {
    numbers::float64_declared(text.as_bytes())
}

fn float32(text: &str) -> Option<f32> {
    numbers::float32_declared(text.as_bytes())
}

/// Seconds and nanoseconds of a text that is of this kind.
fn moment_of(text: &str, kind: ColumnKind) -> Option<(i64, u32)> {
    match declared(text, &kind) {
        Some(Value::Moment(moment)) => Some((moment.seconds, moment.nanoseconds)),
        _ => None,
    }
}

#[test]
fn bools_and_integers() {
    assert_eq!(boolean("TrUe"), Some(true));
    assert_eq!(boolean("0"), Some(false));
    assert_eq!(boolean("yes"), None);
    assert_eq!(int("+007"), Some(Value::Int(7)));
    assert_eq!(int("-9223372036854775808"), Some(Value::Int(i64::MIN)));
    assert_eq!(int("-0"), Some(Value::Int(0)));
    for bad in ["", "+", "-", " 1", "1 ", "1.0", "1e3", "9223372036854775808", "١", "1_000"] {
        assert_eq!(int(bad), None, "{bad:?}");
    }
    assert_eq!(uint64("+18446744073709551615"), Some(Value::Uint64(u64::MAX)));
    assert_eq!(uint64("-00"), Some(Value::Uint64(0)));
    for bad in ["", "-1", "-", "-+0", "18446744073709551616"] {
        assert_eq!(uint64(bad), None, "{bad:?}");
    }
}

#[test]
fn floats() {
    for (text, expected) in [
        ("1", 1.0),
        ("+001.50", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1.e2", 100.0),
        ("-0", -0.0),
        ("1e-400", 0.0),
        ("inf", f64::INFINITY),
        ("+INFINITY", f64::INFINITY),
        ("-Inf", f64::NEG_INFINITY),
        ("0.1", 0.1),
    ] {
        assert_eq!(float64(text).map(f64::to_bits), Some(expected.to_bits()), "{text}");
    }
    assert!(float64("NaN").unwrap().is_nan());
    for bad in ["", ".", "e5", "1e", "1e400", "-nan", "+nan", "1,5", "0x10", "1f", "infin"] {
        assert_eq!(float64(bad), None, "{bad:?}");
    }
    assert_eq!(float32("0.1"), Some(0.1_f32));
    assert_eq!(float32("1e39"), None);
    // Rounded once: by way of a double it would be 1.
    assert_eq!(float32("1.00000005960464484"), Some(1.000_000_1_f32));
}

#[test]
fn decimals() {
    let shown = |text: &str| {
        numbers::decimal(text.as_bytes()).map(|(unscaled, scale)| format!("{unscaled}/{scale}"))
    };
    for (text, expected) in [
        ("1.50", "15/1"),
        ("-100", "-100/0"),
        ("+0.00", "0/0"),
        (".5", "5/1"),
        ("5.", "5/0"),
        ("12.34e3", "12340/0"),
        ("1E-2", "1/2"),
        ("000120.0", "120/0"),
        ("0e999999999", "0/0"),
        ("0e99999999999999999999", "0/0"),
    ] {
        assert_eq!(shown(text).as_deref(), Some(expected), "{text}");
    }
    let side = "9".repeat(38);
    assert_eq!(shown(&format!("{side}.{side}")), Some(format!("{side}{side}/38")));
    assert_eq!(shown(&format!("000{side}.{side}000")), Some(format!("{side}{side}/38")));
    assert_eq!(shown("1e37"), Some(format!("1{}/0", "0".repeat(37))));
    let long = "9".repeat(39);
    let long_fraction = format!("0.{long}");
    let bad =
        ["", "-", ".", "e5", "1e", "1e+", "1.2.3", "nan", "1 ", "--1", "1e9999999999999", "1e38"];
    for text in bad.into_iter().chain([long.as_str(), long_fraction.as_str(), "1é", "é"]) {
        assert_eq!(shown(text), None, "{text:?}");
    }
}

#[test]
fn dates_and_times() {
    assert_eq!(times::date("1970-01-01".as_bytes()), Some(0));
    assert_eq!(times::date("1969-12-31".as_bytes()), Some(-1));
    assert_eq!(times::date("2000-02-29".as_bytes()), Some(11_016));
    assert_eq!(times::date("0000-01-01".as_bytes()), Some(-719_528));
    assert_eq!(times::date("9999-12-31".as_bytes()), Some(2_932_896));
    for bad in
        ["", "1900-02-29", "2024-13-01", "2024-1-01", "2024/01/01", "+024-01-01", "2024-01-0é"]
    {
        assert_eq!(times::date(bad.as_bytes()), None, "{bad:?}");
    }
    assert_eq!(times::time("23:59".as_bytes()), Some(86_340 * 1_000_000_000));
    assert_eq!(times::time("00:00:01.5".as_bytes()), Some(1_500_000_000));
    assert_eq!(times::time("00:00:00.000000001".as_bytes()), Some(1));
    for bad in ["24:00", "1:00", "00:60", "00:00:60", "00:00:00.", "00:00.5", "00:00:00.0000000001"]
    {
        assert_eq!(times::time(bad.as_bytes()), None, "{bad:?}");
    }
}

#[test]
fn moments() {
    assert_eq!(moment_of("1970-01-02", ColumnKind::Timestamp), Some((86_400, 0)));
    assert_eq!(moment_of("1969-12-31 23:59:59.25", ColumnKind::Timestamp), Some((-1, 250_000_000)));
    assert_eq!(moment_of("2024-01-01T00:00", ColumnKind::Timestamp), Some((1_704_067_200, 0)));
    for bad in ["2024-01-01t00:00", "2024-01-01T", "2024-01-01  00:00", "2024-01-01T00:00Z", "é"] {
        assert_eq!(moment_of(bad, ColumnKind::Timestamp), None, "{bad:?}");
    }
    assert_eq!(moment_of("1970-01-01T01:00+01:00", ColumnKind::Instant), Some((0, 0)));
    assert_eq!(
        moment_of("1970-01-01 00:00:00.5-0130", ColumnKind::Instant),
        Some((5400, 500_000_000))
    );
    assert_eq!(moment_of("1970-01-01T00:00-23", ColumnKind::Instant), Some((82_800, 0)));
    assert_eq!(moment_of("0000-01-01T00:00Z", ColumnKind::Instant), Some((-62_167_219_200, 0)));
    let bad = [
        "1970-01-01Z",
        "1970-01-01T00:00",
        "1970-01-01T00:00z",
        "1970-01-01T00:00+24",
        "1970-01-01T00:00+00:60",
        "1970-01-01T00:00+1",
        "1970-01-01T00:00+01:",
        "1970-01-01T00:00 Z",
        "",
    ];
    for text in bad {
        assert_eq!(moment_of(text, ColumnKind::Instant), None, "{text:?}");
    }
}
