//! Columns that are declared rather than found: `--schema FILE`
//! (`docs/formats/fingerprint.md`, Schema).

use serde::Deserialize;
use serde_json::Value;

use crate::canonical;
use crate::table::ColumnKind;

/// A column as it should be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredColumn {
    /// Its name.
    pub name: String,
    /// Its kind; none when it is to be inferred.
    pub kind: Option<ColumnKind>,
}

/// A file of declared columns cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Not UTF-8, not JSON, or a key that occurs twice.
    #[error("{0}")]
    Json(String),
    /// JSON of another shape.
    #[error(
        "expected {{\"columns\": [{{\"name\": …, \"type\": …}}, …]}}, or column names: a JSON array of \
         them, a JSON object of such arrays, or one a line{0}"
    )]
    Shape(String),
    /// A type that is no kind, or one that texts cannot hold.
    #[error(
        "column \"{column}\": \"{kind}\" is not the kind of a column; the kinds are bool, int, uint64, \
         float32, float64, decimal, string, date, time, timestamp and instant, and for NDJSON list(…) and \
         struct(…)"
    )]
    Kind {
        /// The column.
        column: String,
        /// The text that was given.
        kind: String,
    },
    /// A list without a column.
    #[error("it declares no columns")]
    Empty,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SchemaFile {
    columns: Vec<SchemaColumn>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SchemaColumn {
    name: String,
    r#type: String,
}

/// Reads the columns with their kinds, or only their names, from the bytes of a schema file.
pub fn columns_from_file(bytes: &[u8]) -> Result<Vec<DeclaredColumn>, SchemaError> {
    let text = utf8(bytes)?;
    let columns = match json(text)? {
        Some(value @ Value::Object(_)) if has_kinds(&value) => {
            let file: SchemaFile = serde_json::from_value(value)
                .map_err(|error| SchemaError::Shape(format!(": {error}")))?;
            file.columns.into_iter().map(declared).collect::<Result<Vec<_>, _>>()?
        }
        value => {
            let names = names(text, value)?;
            names.into_iter().map(|name| DeclaredColumn { name, kind: None }).collect()
        }
    };
    if columns.is_empty() { Err(SchemaError::Empty) } else { Ok(columns) }
}

/// Reads column names alone: a JSON array of them, a JSON object whose values are such arrays, or
/// text with one name a line.
pub fn names_from_file(bytes: &[u8]) -> Result<Vec<String>, SchemaError> {
    let text = utf8(bytes)?;
    names(text, json(text)?)
}

fn utf8(bytes: &[u8]) -> Result<&str, SchemaError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| SchemaError::Json("the file is not valid UTF-8".to_owned()))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The JSON of the text; none when it is not meant to be JSON.
fn json(text: &str) -> Result<Option<Value>, SchemaError> {
    if !text.trim_start().starts_with(['[', '{']) {
        return Ok(None);
    }
    let parsed = canonical::parse(text.as_bytes());
    parsed.map(Some).map_err(|error| SchemaError::Json(error.to_string()))
}

fn has_kinds(value: &Value) -> bool {
    match value.get("columns") {
        Some(Value::Array(columns)) => {
            columns.iter().any(Value::is_object)
                || (columns.is_empty() && value.as_object().is_some_and(|o| o.len() == 1))
        }
        _ => false,
    }
}

fn declared(column: SchemaColumn) -> Result<DeclaredColumn, SchemaError> {
    match column.r#type.parse::<ColumnKind>() {
        Ok(kind) if has_texts(&kind) => Ok(DeclaredColumn { name: column.name, kind: Some(kind) }),
        _ => Err(SchemaError::Kind { column: column.name, kind: column.r#type }),
    }
}

/// Whether a text format has texts for values of this kind.
fn has_texts(kind: &ColumnKind) -> bool {
    match kind {
        ColumnKind::Binary | ColumnKind::Duration | ColumnKind::Null | ColumnKind::Map(..) => false,
        ColumnKind::List(child) => has_texts(child),
        ColumnKind::Struct(fields) => fields.iter().all(|(_, kind)| has_texts(kind)),
        _ => true,
    }
}

fn names(text: &str, value: Option<Value>) -> Result<Vec<String>, SchemaError> {
    let shape = || SchemaError::Shape(String::new());
    let lists = match value {
        None => {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            return Ok(lines.map(str::to_owned).collect());
        }
        Some(Value::Array(items)) => vec![Value::Array(items)],
        // serde_json sorts the keys; the order of the lists is that of their names.
        Some(Value::Object(map)) => map.into_iter().map(|(_, value)| value).collect(),
        Some(_) => return Err(shape()),
    };
    let mut names = Vec::new();
    for list in lists {
        for name in list.as_array().ok_or_else(shape)? {
            names.push(name.as_str().ok_or_else(shape)?.to_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &str) -> Result<String, String> {
        let columns = columns_from_file(bytes.as_bytes()).map_err(|error| error.to_string())?;
        let one = |column: &DeclaredColumn| match &column.kind {
            Some(kind) => format!("{}:{kind}", column.name),
            None => column.name.clone(),
        };
        Ok(columns.iter().map(one).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn columns_come_with_kinds_or_without() {
        let kinds = r#"{"columns": [{"name": "a", "type": "float64"}, {"type": "list(int)", "name": "b"},
            {"name": "", "type": "struct(1:a:int)"}]}"#;
        assert_eq!(shown(kinds).unwrap(), "a:float64 b:list(int) :struct(1:a:int)");
        assert_eq!(shown("\u{feff}a\r\n\n b \n").unwrap(), "a b");
        assert_eq!(shown(r#"["a", "a"]"#).unwrap(), "a a");
        assert_eq!(shown(r#"{"numeric": ["a"], "categorical": ["c"]}"#).unwrap(), "c a");
        assert_eq!(shown(r#"{"columns": ["a", "b"]}"#).unwrap(), "a b");
    }

    #[test]
    fn everything_else_is_refused_in_words() {
        for (bytes, words) in [
            ("", "declares no columns"),
            ("[]", "declares no columns"),
            (r#"{"columns": []}"#, "declares no columns"),
            (r#"{"columns": [{"name": "a", "type": "integer"}]}"#, "\"integer\" is not the kind"),
            (r#"{"columns": [{"name": "a", "type": "binary"}]}"#, "\"binary\" is not the kind"),
            (r#"{"columns": [{"name": "a", "type": "list(null)"}]}"#, "column \"a\""),
            (r#"{"columns": [{"name": "a"}]}"#, "missing field `type`"),
            (r#"{"columns": [{"name": "a", "type": "int", "unit": 1}]}"#, "unknown field `unit`"),
            (r#"{"columns": [{"name": "a", "type": "int"}], "version": []}"#, "unknown field"),
            (r#"{"columns": [{"name": "a", "type": "int"}, "b"]}"#, "expected"),
            (r#"{"columns": [{"name": "a", "name": "b", "type": "int"}]}"#, "name"),
            (r#"{"a": 3}"#, "column names"),
            ("[1]", "column names"),
            ("[", "EOF"),
        ] {
            let error = shown(bytes).unwrap_err();
            assert!(error.contains(words), "{bytes}: {error}");
        }
        assert!(columns_from_file(b"\xff").is_err());
    }
}
