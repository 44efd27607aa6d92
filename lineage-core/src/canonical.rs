//! Canonical JSON: RFC 8785 (JCS), narrowed so that every value survives any conforming parser.
//!
//! Beyond RFC 8785: an integer outside ±(2^53−1) is refused unless its literal is the canonical
//! text of the double it denotes; −0 is refused; duplicate keys and lone surrogates are refused.
//! `docs/formats/registry-events.md` is normative.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The largest magnitude an integer may have in canonical JSON: 2^53 − 1 (RFC 8785 §3.2.2.3, I-JSON).
pub const INTEGER_MAX: u64 = (1 << 53) - 1;

/// Why a document is not canonical JSON, or cannot be made canonical.
#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    /// Not JSON, or a duplicate key, or a number outside the rules; serde names line and column.
    #[error("not valid JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// An integer that a double cannot carry; it has to be written as a decimal string.
    #[error("the integer {0} is beyond 2^53-1; write it as a string")]
    Integer(String),
    /// −0 or a number that is not finite.
    #[error("{0} cannot be written as a JSON number")]
    Double(f64),
    /// The bytes are JSON, but not in canonical form.
    #[error("the bytes are not in canonical form (RFC 8785)")]
    NotCanonical,
}

/// The canonical bytes of `value`.
pub fn to_bytes(value: &Value) -> Result<Vec<u8>, CanonicalError> {
    let mut out = String::new();
    write(value, None, &mut out)?;
    Ok(out.into_bytes())
}

/// The same order of keys and the same texts of numbers and strings as [`to_bytes`], laid out for
/// people: two spaces of indentation and a final newline.
pub fn to_pretty(value: &Value) -> Result<String, CanonicalError> {
    let mut out = String::new();
    write(value, Some(0), &mut out)?;
    out.push('\n');
    Ok(out)
}

/// Parses JSON under the rules of this module, in any layout.
pub fn parse(bytes: &[u8]) -> Result<Value, CanonicalError> {
    check_long_integers(bytes)?;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Parses bytes that must already be in canonical form.
pub fn parse_canonical(bytes: &[u8]) -> Result<Value, CanonicalError> {
    let value = parse(bytes)?;
    if to_bytes(&value)? == bytes { Ok(value) } else { Err(CanonicalError::NotCanonical) }
}

/// Integers beyond 64 bits reach the visitor below as rounded doubles, so their digits are compared
/// here with the text of the double they would become.
fn check_long_integers(bytes: &[u8]) -> Result<(), CanonicalError> {
    let mut rest = bytes;
    let mut in_string = false;
    while let Some(&byte) = rest.first() {
        if in_string || !(byte.is_ascii_digit() || byte == b'-') {
            let escape = in_string && byte == b'\\';
            in_string ^= byte == b'"';
            rest = &rest[rest.len().min(if escape { 2 } else { 1 })..];
            continue;
        }
        let number = |b: &u8| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E');
        let end = rest.iter().position(|byte| !number(byte)).unwrap_or(rest.len());
        let text = String::from_utf8_lossy(&rest[..end]);
        if end > 19 && !text.contains(['.', 'e', 'E']) {
            let double: f64 = text.parse().unwrap_or(f64::NAN);
            if double_text(double).ok().as_deref() != Some(&*text) {
                return Err(CanonicalError::Integer(text.chars().take(60).collect()));
            }
        }
        rest = &rest[end..];
    }
    Ok(())
}

/// The canonical text of a finite double other than −0 (ECMAScript `Number::toString`).
pub fn double_text(value: f64) -> Result<String, CanonicalError> {
    if !value.is_finite() || (value == 0.0 && value.is_sign_negative()) {
        return Err(CanonicalError::Double(value));
    }
    Ok(ryu_js::Buffer::new().format_finite(value).to_owned())
}

fn write(value: &Value, indent: Option<usize>, out: &mut String) -> Result<(), CanonicalError> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number_text(number)?),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            let inner = indent.map(|depth| depth + 1);
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                new_line(inner, out);
                write(item, inner, out)?;
            }
            if !items.is_empty() {
                new_line(indent, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
            let inner = indent.map(|depth| depth + 1);
            out.push('{');
            for (index, key) in keys.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                new_line(inner, out);
                write_string(key, out);
                out.push(':');
                if indent.is_some() {
                    out.push(' ');
                }
                write(&map[key], inner, out)?;
            }
            if !map.is_empty() {
                new_line(indent, out);
            }
            out.push('}');
        }
    }
    Ok(())
}

fn new_line(indent: Option<usize>, out: &mut String) {
    if let Some(depth) = indent {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    }
}

fn number_text(number: &Number) -> Result<String, CanonicalError> {
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(value), _, _) if value.unsigned_abs() <= INTEGER_MAX => Ok(value.to_string()),
        (Some(_), _, _) | (_, Some(_), _) => Err(CanonicalError::Integer(number.to_string())),
        (_, _, Some(value)) => double_text(value),
        _ => Err(CanonicalError::Integer(number.to_string())),
    }
}

/// RFC 8785 §3.2.2.2: the short escapes where JSON has them, `\u00xx` for other controls.
fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            control if (control as u32) < 0x20 => {
                out.push_str(&format!("\\u{:04x}", control as u32));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// Builds a [`Value`] and refuses what serde_json would let pass: duplicate keys, integers that a
/// double would round, −0.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        integer(value.unsigned_abs(), value as f64, Number::from(value), &value)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        integer(value, value as f64, Number::from(value), &value)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        double_text(value).map_err(E::custom)?;
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(Strict)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let value = access.next_value_seed(Strict)?;
            if map.insert(key.clone(), value).is_some() {
                return Err(de::Error::custom(format!("the key \"{key}\" occurs twice")));
            }
        }
        Ok(Value::Object(map))
    }
}

/// A literal like 1e16 is canonically written with digits alone, so an integer beyond 2^53−1 is the
/// double it denotes exactly when its digits are that double's canonical text.
fn integer<E: de::Error>(
    magnitude: u64,
    double: f64,
    number: Number,
    literal: &dyn fmt::Display,
) -> Result<Value, E> {
    if magnitude <= INTEGER_MAX {
        return Ok(Value::Number(number));
    }
    let literal = literal.to_string();
    match (double_text(double), Number::from_f64(double)) {
        (Ok(text), Some(number)) if text == literal => Ok(Value::Number(number)),
        _ => Err(E::custom(CanonicalError::Integer(literal))),
    }
}

#[cfg(test)]
mod tests;
