//! Metrics, parameters and feature lists from the files that training scripts write.

use serde_json::Value;

use crate::canonical;
use crate::events::{Metric, MetricValue, Parameter, ParameterType};
use crate::names::{KeyName, MetricName};

/// A file of metrics, parameters or features could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputFileError {
    /// Not JSON, or a duplicate key.
    #[error("{0}")]
    Json(String),
    /// JSON of another shape.
    #[error("expected {expected}")]
    Shape {
        /// What should stand there.
        expected: &'static str,
    },
    /// A name that cannot be one.
    #[error("{0}")]
    Name(String),
}

/// Metrics read from a file, and the names of the leaves that are no numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NamedMetrics {
    /// The numbers.
    pub metrics: Vec<Metric>,
    /// What was left out, by name.
    pub skipped: Vec<String>,
}

/// Reads a JSON object of metrics. Nested objects join their keys with dots, so that
/// `{"validation": {"auc": 0.9}}` is `validation.auc`. `NaN` and `Infinity`, which Python writes
/// without quotes, are understood.
pub fn metrics_from_json(bytes: &[u8]) -> Result<NamedMetrics, InputFileError> {
    metrics_from_value(&parse(bytes)?)
}

/// Reads a JSON object of parameters. Nested objects join their keys with dots; the text of each
/// value is kept.
pub fn parameters_from_json(bytes: &[u8]) -> Result<Vec<Parameter>, InputFileError> {
    parameters_from_value(&parse(bytes)?)
}

/// Reads column names: a JSON array of them, a JSON object whose values are such arrays, or text
/// with one name a line.
pub fn features_from_file(bytes: &[u8]) -> Result<Vec<String>, InputFileError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| InputFileError::Json("the file is not valid UTF-8".to_owned()))?;
    if !text.trim_start().starts_with(['[', '{']) {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        return Ok(lines.map(str::to_owned).collect());
    }
    let shape = || InputFileError::Shape { expected: "column names" };
    let lists = match parse(bytes)? {
        Value::Array(items) => vec![Value::Array(items)],
        // serde_json sorts the keys; the order of the lists is that of their names.
        Value::Object(map) => map.into_iter().map(|(_, value)| value).collect(),
        _ => return Err(shape()),
    };
    let mut names = Vec::new();
    for list in lists {
        for name in list.as_array().ok_or_else(shape)? {
            names.push(name.as_str().ok_or_else(shape)?.to_owned());
        }
    }
    Ok(names)
}

pub(super) fn metrics_from_value(value: &Value) -> Result<NamedMetrics, InputFileError> {
    let mut found = NamedMetrics::default();
    if value.is_null() {
        return Ok(found);
    }
    for (name, leaf) in leaves(value)? {
        let number = match leaf {
            Value::Number(number) => number.as_f64().map(MetricValue),
            Value::String(text) if is_special(text) => MetricValue::parse(text),
            _ => None,
        };
        match number {
            Some(value) => {
                let MetricName { split, name } = name
                    .parse()
                    .map_err(|e: crate::names::NameError| InputFileError::Name(e.to_string()))?;
                found.metrics.push(Metric { split, name, value });
            }
            None => found.skipped.push(name),
        }
    }
    Ok(found)
}

fn is_special(text: &str) -> bool {
    matches!(text, "NaN" | "Infinity" | "-Infinity" | "-0")
}

pub(super) fn parameters_from_value(value: &Value) -> Result<Vec<Parameter>, InputFileError> {
    let mut found = Vec::new();
    if value.is_null() {
        return Ok(found);
    }
    for (name, leaf) in leaves(value)? {
        let (text, r#type) = match leaf {
            Value::Null => ("null".to_owned(), ParameterType::Null),
            Value::Bool(value) => (value.to_string(), ParameterType::Bool),
            Value::Number(number) if number.is_f64() => (number.to_string(), ParameterType::Float),
            Value::Number(number) => (number.to_string(), ParameterType::Int),
            Value::String(text) => (text.clone(), ParameterType::String),
            other => (other.to_string(), ParameterType::Json),
        };
        let name: KeyName = name
            .parse()
            .map_err(|e: crate::names::NameError| InputFileError::Name(e.to_string()))?;
        found.push(Parameter { name, text, r#type });
    }
    Ok(found)
}

/// The leaves of nested objects, with their keys joined by dots. Arrays and empty objects are leaves.
fn leaves(value: &Value) -> Result<Vec<(String, &Value)>, InputFileError> {
    let Value::Object(_) = value else {
        return Err(InputFileError::Shape { expected: "a JSON object of names and values" });
    };
    let mut found = Vec::new();
    collect("", value, &mut found);
    Ok(found)
}

fn collect<'a>(prefix: &str, value: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Object(map) if !map.is_empty() || prefix.is_empty() => {
            for (key, inner) in map {
                let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                collect(&name, inner, found);
            }
        }
        leaf => found.push((prefix.to_owned(), leaf)),
    }
}

fn parse(bytes: &[u8]) -> Result<Value, InputFileError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| InputFileError::Json("the file is not valid UTF-8".to_owned()))?;
    let text = text.trim_start_matches('\u{feff}');
    let first = canonical::parse(text.as_bytes());
    let error = match first {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    match canonical::parse(quote_specials(text).as_bytes()) {
        Ok(value) => Ok(value),
        Err(_) => Err(InputFileError::Json(error.to_string())),
    }
}

/// Puts quotes around the bare words `NaN`, `Infinity`, `-Infinity` and `-0`, `-0.0`, outside of
/// strings: Python's json module writes the first three.
fn quote_specials(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while !rest.is_empty() {
        if rest.starts_with('"') {
            let end = string_end(rest);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        let length = rest.find(|c: char| "\",:[]{} \t\r\n".contains(c)).unwrap_or(rest.len());
        if length == 0 {
            let first = rest.chars().next().map_or(1, char::len_utf8);
            out.push_str(&rest[..first]);
            rest = &rest[first..];
            continue;
        }
        let word = &rest[..length];
        match word {
            "NaN" | "Infinity" | "-Infinity" => out.push_str(&format!("\"{word}\"")),
            "-0" | "-0.0" => out.push_str("\"-0\""),
            other => out.push_str(other),
        }
        rest = &rest[length..];
    }
    out
}

/// The length of the JSON string literal that `text` begins with.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_metrics_join_and_strings_are_named_as_skipped() {
        let json =
            br#"{"run": "a", "validation": {"auc": 0.9, "n": 3}, "loss": NaN, "x": "-Infinity"}"#;
        let found = metrics_from_json(json).unwrap();
        let names: Vec<String> = found.metrics.iter().map(|m| m.full_name().to_string()).collect();
        assert_eq!(names, ["loss", "validation.auc", "validation.n", "x"]);
        assert!(found.metrics[0].value.0.is_nan());
        assert_eq!(found.skipped, ["run"]);
    }

    #[test]
    fn parameters_keep_their_text_and_type() {
        let found =
            parameters_from_json(br#"{"lr": 0.1, "depth": 6, "k": {"a": [1, 2]}, "b": true}"#)
                .unwrap();
        let shown: Vec<_> =
            found.iter().map(|p| format!("{}={}:{}", p.name, p.text, p.r#type.as_str())).collect();
        assert_eq!(shown, ["b=true:bool", "depth=6:int", "k.a=[1,2]:json", "lr=0.1:float"]);
    }

    #[test]
    fn feature_lists_come_in_three_shapes() {
        assert_eq!(features_from_file(b"a\nb\n").unwrap(), ["a", "b"]);
        assert_eq!(features_from_file(br#"["a", "b"]"#).unwrap(), ["a", "b"]);
        let grouped = br#"{"numeric": ["a"], "categorical": ["c"]}"#;
        assert_eq!(features_from_file(grouped).unwrap(), ["c", "a"]);
        assert!(features_from_file(br#"{"n": 3}"#).is_err());
    }

    #[test]
    fn broken_files_are_refused() {
        for bad in [&b"[1]"[..], b"{", br#"{"a":1,"a":2}"#, b"\xff", b"3"] {
            assert!(metrics_from_json(bad).is_err());
        }
    }
}
