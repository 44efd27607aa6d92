//! JSON values by their text, so that a number stays what was written.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::readers::ReadError;
use crate::table::ColumnKind;

/// Values nested more deeply than this are refused.
pub(super) const DEPTH_MAX: usize = crate::table::NESTING_DEPTH_MAX;

/// What is wrong with a value, and where in its line.
#[derive(Debug)]
pub(super) struct Problem {
    /// `a.b[].c`; empty for the line itself.
    column: String,
    text: String,
}

impl Problem {
    pub(super) fn new(text: impl Into<String>) -> Problem {
        Problem { column: String::new(), text: text.into() }
    }

    /// The same problem, seen from the object that has it under this key.
    pub(super) fn under(self, key: &str) -> Problem {
        let point = if self.column.is_empty() || self.column.starts_with('[') { "" } else { "." };
        let key: String = key.chars().take(100).collect();
        Problem { column: format!("{key}{point}{}", self.column), ..self }
    }

    /// The same problem, seen from the array that has it.
    pub(super) fn in_array(self) -> Problem {
        let point = if self.column.is_empty() || self.column.starts_with('[') { "" } else { "." };
        Problem { column: format!("[]{point}{}", self.column), ..self }
    }

    pub(super) fn on(self, line: u64) -> ReadError {
        if self.column.is_empty() {
            return ReadError::line(line, self.text);
        }
        ReadError::line(line, format!("column \"{}\": {}", self.column, self.text))
    }
}

/// The types of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonType {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

impl JsonType {
    /// Of the text of a value.
    pub(super) fn of(text: &str) -> JsonType {
        match text.as_bytes().first() {
            Some(b'n') => JsonType::Null,
            Some(b't' | b'f') => JsonType::Bool,
            Some(b'"') => JsonType::String,
            Some(b'[') => JsonType::Array,
            Some(b'{') => JsonType::Object,
            _ => JsonType::Number,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            JsonType::Null => "null",
            JsonType::Bool => "a bool",
            JsonType::Number => "a number",
            JsonType::String => "a string",
            JsonType::Array => "an array",
            JsonType::Object => "an object",
        }
    }
}

/// The characters of a string.
pub(super) fn string(text: &str) -> Result<Cow<'_, str>, Problem> {
    let inside = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    match inside {
        Some(inside) if !inside.contains('\\') => Ok(Cow::Borrowed(inside)),
        _ => serde_json::from_str(text).map(Cow::Owned).map_err(|error| not_json(&error)),
    }
}

/// The text of a value that is to be of this kind: the characters of a string, or a number or bool as
/// it is written. Only a column of bools takes bools. An empty string is null but in a column of
/// strings, as a quoted empty field is in CSV.
pub(super) fn scalar<'a>(
    text: &'a str,
    kind: &ColumnKind,
) -> Result<Option<Cow<'a, str>>, Problem> {
    match JsonType::of(text) {
        JsonType::String if text == "\"\"" && *kind != ColumnKind::String => Ok(None),
        JsonType::String => string(text).map(Some),
        JsonType::Number => Ok(Some(Cow::Borrowed(text))),
        JsonType::Bool if *kind == ColumnKind::Bool => Ok(Some(Cow::Borrowed(text))),
        found => Err(Problem::new(format!("{} is no {kind}", found.name()))),
    }
}

/// Calls `each` with the key and the text of every member of an object.
pub(super) fn members(
    text: &str,
    each: &mut dyn FnMut(&str, &str) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut failed = None;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = deserializer
        .deserialize_map(Members { each, failed: &mut failed })
        .and_then(|()| deserializer.end());
    finish(read, failed)
}

/// Calls `each` with the text of every item of an array.
pub(super) fn items(
    text: &str,
    each: &mut dyn FnMut(&str) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut failed = None;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = deserializer
        .deserialize_seq(Items { each, failed: &mut failed })
        .and_then(|()| deserializer.end());
    finish(read, failed)
}

fn finish(read: serde_json::Result<()>, failed: Option<Problem>) -> Result<(), Problem> {
    match failed {
        Some(problem) => Err(problem),
        None => read.map_err(|error| not_json(&error)),
    }
}

fn not_json(error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    Problem::new(format!("not valid JSON at byte {}: {what}", error.column()))
}

/// `failed` keeps a problem as it is; serde would make a text of it.
struct Members<'a> {
    each: &'a mut dyn FnMut(&str, &str) -> Result<(), Problem>,
    failed: &'a mut Option<Problem>,
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object on each line")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        while let Some(key) = access.next_key_seed(Key)? {
            let value: &RawValue = access.next_value()?;
            if let Err(problem) = (self.each)(&key, value.get()) {
                *self.failed = Some(problem);
                return Err(de::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

struct Items<'a> {
    each: &'a mut dyn FnMut(&str) -> Result<(), Problem>,
    failed: &'a mut Option<Problem>,
}

impl<'de> Visitor<'de> for Items<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        while let Some(value) = access.next_element::<&RawValue>()? {
            if let Err(problem) = (self.each)(value.get()) {
                *self.failed = Some(problem);
                return Err(de::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

/// A key, borrowed from the line unless it has escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}
