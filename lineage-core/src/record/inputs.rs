//! Metrics, parameters and feature lists from the files that training scripts write.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::context::Timestamp;
use crate::events::{Metric, MetricValue, Parameter, ParameterType};
use crate::names::{MetricName, NameError};
use crate::readers::schema::{SchemaError, names_from_file};
use crate::series::SeriesPoint;

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

impl InputFileError {
    /// Names the line that comes after this text.
    fn on_line(self, before: &str) -> InputFileError {
        let line = before.matches('\n').count() + 1;
        let problem = self.to_string();
        // Where it is within the object is not where it is in the file.
        let problem = problem.rfind(" at line ").map_or(problem.as_str(), |at| &problem[..at]);
        InputFileError::Json(format!("line {line}: {problem}"))
    }
}

/// The points of each metric over the steps of a training.
pub type SeriesByName = BTreeMap<MetricName, Vec<SeriesPoint>>;

/// Metrics read from a file, and the names of the leaves that are no numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NamedMetrics {
    /// The numbers that belong to no step.
    pub metrics: Vec<Metric>,
    /// Those that belong to steps.
    pub series: SeriesByName,
    /// What was left out, by name.
    pub skipped: Vec<String>,
}

impl NamedMetrics {
    /// The value of each metric: what was given without a step, else that of its last step.
    pub fn values(mut self) -> Vec<Metric> {
        add_last_values(&mut self.series, &mut self.metrics);
        self.metrics
    }
}

/// Brings points into their order, and gives each metric without a value that of its last step.
pub(super) fn add_last_values(series: &mut SeriesByName, metrics: &mut Vec<Metric>) {
    for (name, points) in series {
        points.sort_by_key(|point| (point.step, point.time_us));
        let known = metrics.iter().any(|metric| metric.full_name() == *name);
        if let (Some(last), false) = (points.last(), known) {
            let MetricName { split, name } = name.clone();
            metrics.push(Metric { split, name, value: MetricValue(last.value) });
        }
    }
}

/// Reads a JSON object of metrics, or several of them with steps (`docs/formats/metric-series.md`).
/// Nested objects join their keys with dots, so that `{"validation": {"auc": 0.9}}` is
/// `validation.auc`. `NaN` and `Infinity`, which Python writes without quotes, are understood.
pub fn metrics_from_json(bytes: &[u8]) -> Result<NamedMetrics, InputFileError> {
    let text = readable(bytes)?;
    let mut documents = serde_json::Deserializer::from_str(&text).into_iter::<&RawValue>();
    let mut found = NamedMetrics::default();
    let mut skipped = BTreeSet::new();
    let mut empty = true;
    while let Some(document) = documents.next() {
        let document = document.map_err(not_json)?.get();
        let added = add_document(document, &mut found, &mut skipped);
        // Of one object that is the whole file the line is its first, which helps nobody.
        added.map_err(|error| match document.len() == text.trim().len() {
            true => error,
            false => error.on_line(&text[..documents.byte_offset() - document.len()]),
        })?;
        empty = false;
    }
    if empty {
        return Err(InputFileError::Json("the file is empty".to_owned()));
    }
    found.skipped = skipped.into_iter().collect();
    Ok(found)
}

/// Adds the leaves of one object, at its step if it has one.
fn add_document(
    text: &str,
    found: &mut NamedMetrics,
    skipped: &mut BTreeSet<String>,
) -> Result<(), InputFileError> {
    let mut leaves = leaves(text)?;
    let step = match leaves.iter().position(|(name, _)| name == "step") {
        None => None,
        Some(at) => {
            Some(leaves.remove(at).1.parse().ok().filter(is_step).ok_or(InputFileError::Shape {
                expected: "a whole number within ±(2^53 − 1) as a step",
            })?)
        }
    };
    let time_us = match leaves.iter().position(|(name, _)| step.is_some() && name == "time") {
        None => None,
        Some(at) => Some(microseconds(&leaves.remove(at).1)?),
    };
    let mut seen = BTreeSet::new();
    for (name, leaf) in leaves {
        if !seen.insert(name.clone()) {
            return Err(InputFileError::Json(format!("the key \"{name}\" occurs twice")));
        }
        let text = leaf.trim_matches('"');
        let number = leaf == text || is_special(text);
        let Some(value) = MetricValue::parse(text).filter(|_| number) else {
            skipped.insert(name);
            continue;
        };
        let name: MetricName = name.parse().map_err(named)?;
        match step {
            Some(step) => {
                let point = SeriesPoint { step, time_us, value: value.0 };
                found.series.entry(name).or_default().push(point);
            }
            None => {
                found.metrics.retain(|earlier| earlier.full_name() != name);
                found.metrics.push(Metric { split: name.split, name: name.name, value });
            }
        }
    }
    Ok(())
}

/// Whether JSON can carry the step as a number.
pub(crate) fn is_step(step: &i64) -> bool {
    step.unsigned_abs() < 1 << 53
}

/// A time in a metrics file: RFC 3339, or seconds since 1970.
fn microseconds(leaf: &str) -> Result<i64, InputFileError> {
    let text = leaf.trim_matches('"');
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.abs() < 253_402_300_800.0);
    match (seconds, text.parse::<Timestamp>()) {
        (Some(seconds), _) => Ok((seconds * 1e6).round() as i64),
        (None, Ok(time)) => Ok(time.unix_microseconds()),
        (None, Err(_)) => Err(InputFileError::Shape {
            expected: "an RFC 3339 time or a number of seconds since 1970 as a time",
        }),
    }
}

/// Reads a JSON object of parameters. Nested objects join their keys with dots; the text of each
/// value is kept.
pub fn parameters_from_json(bytes: &[u8]) -> Result<Vec<Parameter>, InputFileError> {
    let mut found = Vec::new();
    for (name, leaf) in leaves(&readable(bytes)?)? {
        let (text, r#type) = match leaf.as_bytes().first() {
            Some(b'"') => {
                let text: String = serde_json::from_str(&leaf).map_err(not_json)?;
                let special = is_special(&text);
                (text, if special { ParameterType::Float } else { ParameterType::String })
            }
            Some(b'[' | b'{') => (leaf, ParameterType::Json),
            Some(b'n') => (leaf, ParameterType::Null),
            Some(b't' | b'f') => (leaf, ParameterType::Bool),
            _ if leaf.contains(['.', 'e', 'E']) => (leaf, ParameterType::Float),
            _ => (leaf, ParameterType::Int),
        };
        found.push(Parameter { name: name.parse().map_err(named)?, text, r#type });
    }
    Ok(found)
}

/// Reads column names: a JSON array of them, a JSON object whose values are such arrays, or text
/// with one name a line.
pub fn features_from_file(bytes: &[u8]) -> Result<Vec<String>, InputFileError> {
    names_from_file(bytes).map_err(|error| match error {
        SchemaError::Json(problem) => InputFileError::Json(problem),
        _ => InputFileError::Shape { expected: "column names" },
    })
}

fn is_special(text: &str) -> bool {
    matches!(text, "NaN" | "Infinity" | "-Infinity" | "-0")
}

fn named(error: NameError) -> InputFileError {
    InputFileError::Name(error.to_string())
}

fn not_json(error: serde_json::Error) -> InputFileError {
    InputFileError::Json(error.to_string())
}

/// The text of a JSON file, with the bare words of Python's json module in quotes.
pub(super) fn readable(bytes: &[u8]) -> Result<String, InputFileError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| InputFileError::Json("the file is not valid UTF-8".to_owned()))?;
    Ok(quote_specials(text.trim_start_matches('\u{feff}')))
}

/// Objects nested more deeply than this are no list of metrics.
const DEPTH_MAX: usize = 64;

/// The leaves of nested objects, with their keys joined by dots and their text as it stands.
/// Arrays and empty objects are leaves.
fn leaves(text: &str) -> Result<Vec<(String, String)>, InputFileError> {
    if !text.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok() {
        return Err(InputFileError::Shape { expected: "a JSON object of names and values" });
    }
    let mut found = Vec::new();
    collect("", text, 0, &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(
    prefix: &str,
    text: &str,
    depth: usize,
    found: &mut Vec<(String, String)>,
) -> Result<(), InputFileError> {
    if depth > DEPTH_MAX {
        return Err(InputFileError::Shape { expected: "objects nested less deeply" });
    }
    let members: Members = serde_json::from_str(text).map_err(not_json)?;
    for (key, raw) in members.0 {
        let name = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        let leaf = raw.get();
        let empty = leaf.trim_start_matches('{').trim_start().starts_with('}');
        if leaf.starts_with('{') && !empty {
            collect(&name, leaf, depth + 1, found)?;
        } else {
            found.push((name, leaf.to_owned()));
        }
    }
    Ok(())
}

/// The members of an object, with the text of each value; a key that occurs twice is an error.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object of names and values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Members, A::Error> {
                let (mut members, mut seen) = (Vec::new(), BTreeSet::new());
                while let Some(key) = access.next_key::<String>()? {
                    if !seen.insert(key.clone()) {
                        let problem = format!("the key \"{key}\" occurs twice");
                        return Err(serde::de::Error::custom(problem));
                    }
                    members.push((key, access.next_value()?));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Reader)
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
    fn objects_with_steps_are_points_and_those_without_are_values() {
        let lines = br#"{"step": 2, "loss": 0.5, "time": 1.5, "note": "x"}
            {"step": 1, "loss": NaN, "validation": {"auc": 0.9}, "time": "1970-01-01T00:00:02Z"}
            {"auc": 1}  {"auc": 2, "note": "y"}"#;
        let found = metrics_from_json(lines).unwrap();
        assert_eq!((found.metrics.len(), found.metrics[0].value.0), (1, 2.0));
        assert_eq!(found.skipped, ["note"]);
        let names: Vec<String> = found.series.keys().map(ToString::to_string).collect();
        assert_eq!(names, ["loss", "validation.auc"]);
        let loss = &found.series[&"loss".parse().unwrap()];
        assert_eq!((loss[0].step, loss[0].time_us, loss[0].value), (2, Some(1_500_000), 0.5));
        assert_eq!((loss[1].step, loss[1].time_us), (1, Some(2_000_000)));
        for wrong in ["", "[1]", "{\"step\": 1.5}", "{\"step\": 1, \"time\": \"noon\"}", "{} x"] {
            assert!(metrics_from_json(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_problem_names_its_line() {
        let problem = |text: &str| metrics_from_json(text.as_bytes()).unwrap_err().to_string();
        let good = "{\"step\": 1, \"loss\": NaN}\n\n";
        for (bad, expected) in [
            ("{\"step\": 1.5}\n{}", "line 3: expected a whole number within"),
            ("{\"a\": {\"b\": 1, \"b\": 2}}", "line 3: the key \"b\" occurs twice"),
            ("{\"step\": 1, \"time\": \"noon\"}", "line 3: expected an RFC 3339 time"),
            ("{\"\": 1}", "line 3: "),
            ("[1]", "line 3: expected a JSON object"),
        ] {
            let found = problem(&format!("{good}{bad}\n"));
            assert!(found.starts_with(expected) && !found.contains(" at line "), "{bad}: {found}");
        }
        assert!(problem(&format!("{good}{{x")).contains("line 3"));
        assert!(problem("{\n\"step\": 1.5}").starts_with("expected a whole number"));
    }

    #[test]
    fn parameters_keep_their_text_and_type() {
        let found =
            parameters_from_json(br#"{"lr": 0.10, "depth": 6, "k": {"a": [1, 2]}, "b": true, "n": 18446744073709551617}"#)
                .unwrap();
        let shown: Vec<_> =
            found.iter().map(|p| format!("{}={}:{}", p.name, p.text, p.r#type.as_str())).collect();
        assert_eq!(
            shown,
            [
                "b=true:bool",
                "depth=6:int",
                "k.a=[1, 2]:json",
                "lr=0.10:float",
                "n=18446744073709551617:int"
            ]
        );
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
        let deep = "{\"a\":".repeat(100_000);
        for bad in [&b"[1]"[..], b"{", br#"{"a":1,"a":2}"#, b"\xff", b"3", deep.as_bytes()] {
            assert!(metrics_from_json(bad).is_err());
        }
        let deep = format!("{}1{}", "{\"a\":".repeat(1000), "}".repeat(1000));
        assert!(metrics_from_json(deep.as_bytes()).is_err());
    }
}
