//! What a pointer file says: writing it, and reading what a person or another program wrote.

use serde_json::{Value, json};

use crate::context::Timestamp;
use crate::digest::{Kind, Sha256};
use crate::names::{ModelName, PointerName};
use crate::settings::{PointerFile, PointerFormat};

/// The facts that a pointer file can show.
#[derive(Debug, Clone)]
pub struct PointerFacts<'a> {
    /// The model.
    pub model: &'a ModelName,
    /// The version it names.
    pub version: u64,
    /// The served path, relative to the folder that the settings name.
    pub path: String,
    /// The artifact's identity.
    pub sha256: Sha256,
    /// File or directory.
    pub kind: Kind,
    /// When the pointer was moved.
    pub promoted_at: Timestamp,
    /// The entry that moved it.
    pub event_seq: u64,
}

/// The bytes of the file.
pub fn render(file: &PointerFile, facts: &PointerFacts<'_>) -> Vec<u8> {
    let text = match file.format {
        PointerFormat::Path => format!("{}\n", facts.path),
        PointerFormat::Json => {
            let document = json!({
                "model": facts.model,
                "version": facts.version,
                "path": facts.path,
                "sha256": facts.sha256,
                "kind": facts.kind,
                "promoted_at": facts.promoted_at,
                "event_seq": facts.event_seq,
            });
            format!("{document:#}\n")
        }
        PointerFormat::Template => {
            let text = fill(&file.template, &|name| match name {
                "model" => Some(facts.model.to_string()),
                "version" => Some(facts.version.to_string()),
                "path" => Some(facts.path.clone()),
                "sha256" => Some(facts.sha256.to_string()),
                "kind" => Some(facts.kind.to_string()),
                "promoted_at" => Some(facts.promoted_at.to_string()),
                "event_seq" => Some(facts.event_seq.to_string()),
                _ => None,
            });
            if text.ends_with('\n') { text } else { text + "\n" }
        }
    };
    text.into_bytes()
}

/// Replaces each `{name}` once, from left to right; what was filled in is not looked at again.
fn fill(template: &str, value: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        rest = &rest[open..];
        let name = rest[1..].split('}').next().unwrap_or("");
        match value(name).filter(|_| rest[1 + name.len()..].starts_with('}')) {
            Some(text) => {
                out.push_str(&text);
                rest = &rest[name.len() + 2..];
            }
            None => {
                out.push('{');
                rest = &rest[1..];
            }
        }
    }
    out + rest
}

/// What a pointer file from outside seems to name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// The path as written.
    pub written: Option<String>,
    /// The path with `/` between its parts.
    pub path: Option<String>,
    /// A version by number.
    pub version: Option<u64>,
    /// Why the path as written cannot be opened by a service on this system.
    pub unusable: Option<&'static str>,
}

/// Reads one line of a path, or a JSON object with `path` or `version`; Windows and absolute paths
/// are understood.
pub fn read(bytes: &[u8]) -> Reading {
    let Ok(text) = std::str::from_utf8(bytes) else { return Reading::default() };
    let text = text.trim_start_matches('\u{feff}').trim();
    if let Ok(Value::Object(map)) = serde_json::from_str::<Value>(text) {
        let mut reading =
            map.get("path").and_then(Value::as_str).map(path_reading).unwrap_or_default();
        reading.version = map.get("version").and_then(Value::as_u64);
        return reading;
    }
    if text.is_empty() || text.lines().count() != 1 {
        Reading::default()
    } else {
        path_reading(text)
    }
}

fn path_reading(written: &str) -> Reading {
    let drive = written.as_bytes().get(1) == Some(&b':');
    let windows = drive || (written.contains('\\') && !written.contains('/'));
    let unusable = match (drive, windows) {
        _ if cfg!(windows) => None,
        (true, _) => Some("it is an absolute Windows path"),
        (_, true) => Some("it has backslashes, which are not path separators outside Windows"),
        _ => None,
    };
    let path = if windows { written.replace('\\', "/") } else { written.to_owned() };
    let path = path.trim_end_matches('/').to_owned();
    Reading { written: Some(written.to_owned()), path: Some(path), version: None, unusable }
}

/// The name of a pointer as people see it: `fraud@prod`.
pub fn pointer_reference(model: &ModelName, pointer: &PointerName) -> String {
    format!("{model}@{pointer}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_pointer_files_are_understood() {
        let reading = read(b"models\\CAND_20251014");
        assert_eq!(reading.path.as_deref(), Some("models/CAND_20251014"));
        assert!(reading.unusable.is_some());
        assert_eq!(read(b"C:\\ml\\models\\A\\\r\n").path.as_deref(), Some("C:/ml/models/A"));
        assert_eq!(read(b"models/a/\n").path.as_deref(), Some("models/a"));
        let reading = read(br#"{"path": "m/a", "version": 3}"#);
        assert_eq!((reading.path.as_deref(), reading.version), (Some("m/a"), Some(3)));
        for nothing in [&b""[..], b"\xff", b"a\nb\n", b"[1]\n[2]"] {
            assert_eq!(read(nothing).path, None);
        }
    }
}
