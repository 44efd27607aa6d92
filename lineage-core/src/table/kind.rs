//! The kinds of columns: types without their physical width.

use std::fmt;

use crate::arrow::datatypes::{DataType, Field};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a column holds, width and encoding erased (`docs/formats/fingerprint.md`, Kinds).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the table of kinds in docs/formats/fingerprint.md says it")]
pub enum ColumnKind {
    Bool,
    Int,
    Uint64,
    Float32,
    Float64,
    Decimal,
    String,
    Binary,
    Date,
    Time,
    Timestamp,
    Instant,
    Duration,
    Null,
    List(Box<ColumnKind>),
    Struct(Vec<(String, ColumnKind)>),
    Map(Box<ColumnKind>, Box<ColumnKind>),
}

/// Kinds nested more deeply than this are refused, so that no file can exhaust the stack.
pub const NESTING_DEPTH_MAX: usize = 64;

/// A type that has no place in the content digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not supported: {data_type} in column \"{column}\"")]
pub struct UnsupportedType {
    /// The Arrow type.
    pub data_type: String,
    /// The column, with the path to a nested field.
    pub column: String,
}

impl ColumnKind {
    /// The kind of an Arrow column.
    pub fn of(field: &Field) -> Result<ColumnKind, UnsupportedType> {
        of_type(field.data_type(), field.name(), 0)
    }

    /// The kind of that name, when it is one without parameters.
    pub fn simple(name: &str) -> Option<ColumnKind> {
        Some(match name {
            "bool" => ColumnKind::Bool,
            "int" => ColumnKind::Int,
            "uint64" => ColumnKind::Uint64,
            "float32" => ColumnKind::Float32,
            "float64" => ColumnKind::Float64,
            "decimal" => ColumnKind::Decimal,
            "string" => ColumnKind::String,
            "binary" => ColumnKind::Binary,
            "date" => ColumnKind::Date,
            "time" => ColumnKind::Time,
            "timestamp" => ColumnKind::Timestamp,
            "instant" => ColumnKind::Instant,
            "duration" => ColumnKind::Duration,
            "null" => ColumnKind::Null,
            _ => return None,
        })
    }
}

fn of_type(
    data_type: &DataType,
    column: &str,
    depth: usize,
) -> Result<ColumnKind, UnsupportedType> {
    let refused =
        || UnsupportedType { data_type: data_type.to_string(), column: column.to_owned() };
    if depth > NESTING_DEPTH_MAX {
        return Err(UnsupportedType {
            data_type: format!("a type nested more than {NESTING_DEPTH_MAX} levels deep"),
            column: column.chars().take(200).collect(),
        });
    }
    let inner = |field: &Field, step: &str| {
        of_type(field.data_type(), &format!("{column}{step}"), depth + 1)
    };
    Ok(match data_type {
        DataType::Boolean => ColumnKind::Bool,
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32 => ColumnKind::Int,
        DataType::UInt64 => ColumnKind::Uint64,
        DataType::Float32 => ColumnKind::Float32,
        DataType::Float64 => ColumnKind::Float64,
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => ColumnKind::Decimal,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => ColumnKind::String,
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => ColumnKind::Binary,
        DataType::Date32 | DataType::Date64 => ColumnKind::Date,
        DataType::Time32(_) | DataType::Time64(_) => ColumnKind::Time,
        DataType::Timestamp(_, None) => ColumnKind::Timestamp,
        DataType::Timestamp(_, Some(_)) => ColumnKind::Instant,
        DataType::Duration(_) => ColumnKind::Duration,
        DataType::Null => ColumnKind::Null,
        DataType::List(child)
        | DataType::LargeList(child)
        | DataType::ListView(child)
        | DataType::LargeListView(child)
        | DataType::FixedSizeList(child, _) => ColumnKind::List(Box::new(inner(child, "[]")?)),
        DataType::Struct(fields) => ColumnKind::Struct(
            fields
                .iter()
                .map(|field| {
                    Ok((field.name().clone(), inner(field, &format!(".{}", field.name()))?))
                })
                .collect::<Result<_, _>>()?,
        ),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => ColumnKind::Map(
                Box::new(inner(&fields[0], ".key")?),
                Box::new(inner(&fields[1], ".value")?),
            ),
            _ => return Err(refused()),
        },
        DataType::Dictionary(_, values) => of_type(values, column, depth + 1)?,
        DataType::RunEndEncoded(_, values) => of_type(values.data_type(), column, depth + 1)?,
        _ => return Err(refused()),
    })
}

impl fmt::Display for ColumnKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ColumnKind::Bool => f.write_str("bool"),
            ColumnKind::Int => f.write_str("int"),
            ColumnKind::Uint64 => f.write_str("uint64"),
            ColumnKind::Float32 => f.write_str("float32"),
            ColumnKind::Float64 => f.write_str("float64"),
            ColumnKind::Decimal => f.write_str("decimal"),
            ColumnKind::String => f.write_str("string"),
            ColumnKind::Binary => f.write_str("binary"),
            ColumnKind::Date => f.write_str("date"),
            ColumnKind::Time => f.write_str("time"),
            ColumnKind::Timestamp => f.write_str("timestamp"),
            ColumnKind::Instant => f.write_str("instant"),
            ColumnKind::Duration => f.write_str("duration"),
            ColumnKind::Null => f.write_str("null"),
            ColumnKind::List(child) => write!(f, "list({child})"),
            ColumnKind::Map(key, value) => write!(f, "map({key},{value})"),
            ColumnKind::Struct(fields) => {
                f.write_str("struct(")?;
                for (index, (name, kind)) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{}:{name}:{kind}", name.len())?;
                }
                f.write_str(")")
            }
        }
    }
}

impl Serialize for ColumnKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl std::str::FromStr for ColumnKind {
    type Err = String;

    fn from_str(text: &str) -> Result<ColumnKind, String> {
        match parse(text, 0) {
            Some((kind, "")) => Ok(kind),
            _ => Err(format!("\"{text}\" is not the kind of a column")),
        }
    }
}

impl<'de> Deserialize<'de> for ColumnKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The kind at the beginning of a text, and what follows it.
fn parse(text: &str, depth: usize) -> Option<(ColumnKind, &str)> {
    if depth > NESTING_DEPTH_MAX {
        return None;
    }
    let end = text.find(['(', ')', ',']).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let Some(rest) = rest.strip_prefix('(') else {
        return Some((ColumnKind::simple(word)?, rest));
    };
    match word {
        "list" => {
            let (child, rest) = parse(rest, depth + 1)?;
            Some((ColumnKind::List(Box::new(child)), rest.strip_prefix(')')?))
        }
        "map" => {
            let (key, rest) = parse(rest, depth + 1)?;
            let (value, rest) = parse(rest.strip_prefix(',')?, depth + 1)?;
            Some((ColumnKind::Map(Box::new(key), Box::new(value)), rest.strip_prefix(')')?))
        }
        "struct" => parse_fields(rest, depth),
        _ => None,
    }
}

fn parse_fields(mut text: &str, depth: usize) -> Option<(ColumnKind, &str)> {
    let mut fields = Vec::new();
    if let Some(rest) = text.strip_prefix(')') {
        return Some((ColumnKind::Struct(fields), rest));
    }
    loop {
        let (length, rest) = text.split_once(':')?;
        let length: usize = length.parse().ok()?;
        let (name, rest) = rest.split_at_checked(length)?;
        let (kind, rest) = parse(rest.strip_prefix(':')?, depth + 1)?;
        fields.push((name.to_owned(), kind));
        match rest.strip_prefix(',') {
            Some(more) => text = more,
            None => return Some((ColumnKind::Struct(fields), rest.strip_prefix(')')?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_written_and_read_back() {
        for text in [
            "int",
            "list(list(string))",
            "map(string,list(float32))",
            "struct()",
            "struct(3:a,b:int,0::struct(1:(:null))",
        ] {
            assert_eq!(text.parse::<ColumnKind>().unwrap().to_string(), text);
        }
        for text in ["", "int(", "list()", "struct(1:ab:int)", "list(int))", "struct(9:a:int)"] {
            assert!(text.parse::<ColumnKind>().is_err(), "{text}");
        }
        let deep = "list(".repeat(1000) + "int" + &")".repeat(1000);
        assert!(deep.parse::<ColumnKind>().is_err());
    }
}
