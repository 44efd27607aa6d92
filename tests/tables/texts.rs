//! Tables as CSV and NDJSON, in the many ways in which the same values may be written.

use std::fmt::Write as _;

use lineage_core::arrow::datatypes::i256;
use lineage_core::fingerprint::DeclaredColumn;
use lineage_core::table::ColumnKind;

use super::types::Dice;
use super::values::{Column, Value};

/// The schema of the columns.
pub fn declared(columns: &[Column]) -> Vec<DeclaredColumn> {
    let one = |c: &Column| DeclaredColumn { name: c.name.clone(), kind: Some(c.kind.clone()) };
    columns.iter().map(one).collect()
}

/// A CSV, or with a tab for the delimiter a TSV.
pub fn csv(columns: &[Column], rows: usize, delimiter: char, dice: &mut Dice) -> Vec<u8> {
    let mut text = if dice.roll(3) == 0 { "\u{feff}".to_owned() } else { String::new() };
    let end = ["\n", "\r\n"][dice.roll(2)];
    let names: Vec<_> = columns.iter().map(|c| field(Some(&c.name), delimiter, dice)).collect();
    text += &names.join(&delimiter.to_string());
    for row in 0..rows {
        text += end;
        let mut fields = Vec::new();
        for column in columns {
            let value = &column.values[row];
            let is_null = *value == Value::Null;
            fields.push(match is_null {
                // A quoted empty field is null too, but in a column of strings.
                true if column.kind != ColumnKind::String && dice.roll(3) == 0 => "\"\"".to_owned(),
                true => String::new(),
                false => field(Some(&plain(&column.kind, value, dice)), delimiter, dice),
            });
        }
        text += &fields.join(&delimiter.to_string());
    }
    if dice.roll(3) > 0 {
        text += end;
    }
    text.into_bytes()
}

fn field(text: Option<&str>, delimiter: char, dice: &mut Dice) -> String {
    let text = text.unwrap_or_default();
    let special = |c: char| c == delimiter || matches!(c, '"' | '\r' | '\n');
    // The first field of a file must not look like a byte order mark.
    let must = text.is_empty() || text.contains(special) || text.starts_with('\u{feff}');
    match must || dice.roll(5) == 0 {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

/// Objects one a line.
pub fn ndjson(columns: &[Column], rows: usize, dice: &mut Dice) -> Vec<u8> {
    let mut text = String::new();
    for row in 0..rows {
        let members = columns.iter().map(|c| (c.name.as_str(), &c.kind, &c.values[row]));
        object(members.collect(), &mut text, dice);
        text += ["\n", "\r\n", "\n \n", " \n"][dice.roll(4)];
    }
    text.into_bytes()
}

fn object(mut members: Vec<(&str, &ColumnKind, &Value)>, text: &mut String, dice: &mut Dice) {
    // A key that is missing is null.
    members.retain(|(_, _, value)| **value != Value::Null || dice.roll(2) == 0);
    if dice.roll(3) == 0 {
        members.reverse();
    }
    text.push('{');
    for (place, (name, kind, value)) in members.into_iter().enumerate() {
        text.push_str(if place > 0 { ", " } else { "" });
        string(name, text, dice);
        text.push(':');
        json(kind, value, text, dice);
    }
    text.push('}');
}

fn json(kind: &ColumnKind, value: &Value, text: &mut String, dice: &mut Dice) {
    let empty_is_null =
        !matches!(kind, ColumnKind::String | ColumnKind::List(_) | ColumnKind::Struct(_));
    match (kind, value) {
        (_, Value::Null) if empty_is_null && dice.roll(4) == 0 => text.push_str("\"\""),
        (_, Value::Null) => text.push_str("null"),
        (ColumnKind::Bool, Value::Bool(value)) if dice.roll(2) == 0 => {
            write!(text, "{value}").unwrap();
        }
        (ColumnKind::List(of), Value::Many(values)) => {
            text.push('[');
            for (place, value) in values.iter().enumerate() {
                text.push_str(if place > 0 { "," } else { "" });
                json(of, value, text, dice);
            }
            text.push(']');
        }
        (ColumnKind::Struct(fields), Value::Many(values)) => {
            let members = fields.iter().zip(values);
            let members = members.map(|((name, kind), value)| (name.as_str(), kind, value));
            object(members.collect(), text, dice);
        }
        _ => {
            let written = plain(kind, value, dice);
            let is_number = serde_json::from_str::<serde_json::Number>(&written).is_ok();
            let may_be_number = matches!(
                kind,
                ColumnKind::Int
                    | ColumnKind::Uint64
                    | ColumnKind::Float32
                    | ColumnKind::Float64
                    | ColumnKind::Decimal
            );
            match is_number && may_be_number && dice.roll(3) > 0 {
                true => text.push_str(&written),
                false => string(&written, text, dice),
            }
        }
    }
}

fn string(value: &str, text: &mut String, dice: &mut Dice) {
    text.push('"');
    for character in value.chars() {
        let escape = matches!(character, '"' | '\\') || character < ' ' || dice.roll(9) == 0;
        let mut units = [0; 2];
        match escape {
            true => character
                .encode_utf16(&mut units)
                .iter()
                .for_each(|unit| write!(text, "\\u{unit:04x}").unwrap()),
            false => text.push(character),
        }
    }
    text.push('"');
}

/// A text of a declared kind.
fn plain(kind: &ColumnKind, value: &Value, dice: &mut Dice) -> String {
    match (kind, value) {
        (ColumnKind::Bool, Value::Bool(value)) => {
            let texts = if *value { ["true", "True", "1"] } else { ["false", "FALSE", "0"] };
            texts[dice.roll(3)].to_owned()
        }
        (ColumnKind::Date, Value::Int(days)) => date(*days as i64),
        (ColumnKind::Time, Value::Int(nanoseconds)) => {
            clock((nanoseconds / 1_000_000_000) as i64, (nanoseconds % 1_000_000_000) as u32, dice)
        }
        (_, Value::Int(value)) => match dice.roll(5) {
            0 if *value >= 0 => format!("+00{value}"),
            1 if *value == 0 => "-0".to_owned(),
            _ => value.to_string(),
        },
        (_, Value::Float32(bits)) => {
            let value = f32::from_bits(*bits);
            float(value.is_finite(), [value.to_string(), format!("{value:e}")], dice)
        }
        (_, Value::Float64(bits)) => {
            let value = f64::from_bits(*bits);
            float(value.is_finite(), [value.to_string(), format!("{value:e}")], dice)
        }
        (_, Value::Decimal(unscaled, scale)) => decimal(*unscaled, *scale, dice),
        (_, Value::Text(text)) => text.clone(),
        (ColumnKind::Timestamp, Value::Moment(seconds, 0))
            if seconds % 86_400 == 0 && dice.roll(2) == 0 =>
        {
            date(seconds / 86_400)
        }
        (ColumnKind::Timestamp, Value::Moment(seconds, nanoseconds)) => {
            moment(*seconds, *nanoseconds, dice)
        }
        (_, Value::Moment(seconds, nanoseconds)) => {
            // Where the zone would leave the years with four digits, it is UTC.
            let near_an_end = !(-62_167_000_000..253_402_000_000).contains(seconds);
            let zones =
                [("Z", 0), ("+00:00", 0), ("-0800", -28_800), ("+05:30", 19_800), ("+14", 50_400)];
            let (zone, offset) = zones[if near_an_end { 0 } else { dice.roll(zones.len()) }];
            moment(seconds + offset, *nanoseconds, dice) + zone
        }
        other => panic!("no text of {other:?}"),
    }
}

fn float(finite: bool, texts: [String; 2], dice: &mut Dice) -> String {
    let text = &texts[dice.roll(2)];
    match (finite, dice.roll(4)) {
        (false, 0) => text.to_uppercase(),
        (true, 0) if !text.starts_with('-') => format!("+0{text}"),
        _ => text.clone(),
    }
}

fn decimal(unscaled: i256, scale: i8, dice: &mut Dice) -> String {
    if dice.roll(4) == 0 {
        return format!("{unscaled}e{}", -i32::from(scale));
    }
    let negative = unscaled < i256::ZERO;
    let digits = unscaled.to_string();
    let digits = format!("{:0>1$}", digits.trim_start_matches('-'), scale as usize + 1);
    let (whole, part) = digits.split_at(digits.len() - scale as usize);
    let sign = if negative { "-" } else { "" };
    let zeros = if dice.roll(4) == 0 { "0" } else { "" };
    match part {
        "" => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{part}{zeros}"),
    }
}

fn moment(seconds: i64, nanoseconds: u32, dice: &mut Dice) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let between = ["T", " "][dice.roll(2)];
    format!("{}{between}{}", date(days), clock(second, nanoseconds, dice))
}

fn clock(second: i64, nanoseconds: u32, dice: &mut Dice) -> String {
    let minute = format!("{:02}:{:02}", second / 3600, second / 60 % 60);
    if second % 60 == 0 && nanoseconds == 0 && dice.roll(2) == 0 {
        return minute;
    }
    let part = format!("{nanoseconds:09}");
    let shortest = part.trim_end_matches('0');
    match shortest {
        "" if dice.roll(2) == 0 => format!("{minute}:{:02}", second % 60),
        "" => format!("{minute}:{:02}.0", second % 60),
        _ => format!("{minute}:{:02}.{shortest}", second % 60),
    }
}

/// A day of the Gregorian calendar (after H. Hinnant's civil_from_days).
fn date(days: i64) -> String {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
