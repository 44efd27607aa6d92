//! `metadata.json`: what is known of a version, fixed when it was recorded
//! (`docs/formats/metadata-json.md`, `schema/json/metadata.schema.json`).

use serde_json::{Map, Value, json};

use crate::canonical::{self, CanonicalError};
use crate::digest::Sha256;
use crate::events::Entry;

/// The name and version of the document.
pub const SCHEMA: &str = "lineage.metadata/1";

/// The document for the version that `entry` (a `session.completed` with an artifact) made. It is a
/// function of the entry alone, so that it can be made again, byte for byte, at any time.
pub fn document(entry: &Entry, entry_sha256: &Sha256) -> Value {
    let mut document = Map::new();
    if let Value::Object(details) = &entry.details {
        document.extend(details.clone());
    }
    for internal in ["version", "request_sha256", "idempotency_key", "clock_behind_us"] {
        document.remove(internal);
    }
    let version = &entry.details["version"];
    let mut artifact = version.as_object().cloned().unwrap_or_default();
    for outer in ["number", "label", "metadata_path"] {
        artifact.remove(outer);
    }
    document.insert("schema".into(), SCHEMA.into());
    document.insert("version".into(), version["number"].clone());
    document.insert("label".into(), version["label"].clone());
    document.insert("artifact".into(), Value::Object(artifact));
    document.insert("session".into(), json!(entry.session));
    document.insert("created".into(), json!(entry.time));
    document.insert("actor".into(), json!(entry.actor));
    document.insert(
        "lineage".into(),
        json!({
            "registry": entry.registry,
            "seq": entry.seq,
            "entry_sha256": entry_sha256,
            "writer": entry.writer,
        }),
    );
    Value::Object(document)
}

/// The bytes of the file: the document with sorted keys, indented by two spaces.
pub fn bytes(entry: &Entry, entry_sha256: &Sha256) -> Result<Vec<u8>, CanonicalError> {
    canonical::to_pretty(&document(entry, entry_sha256)).map(String::into_bytes)
}

/// Which version of which registry a `metadata.json` says it describes. Nothing is verified here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The registry's UUID.
    pub registry: String,
    /// The model.
    pub model: String,
    /// The version's number.
    pub version: u64,
    /// The log entry it was made from.
    pub seq: u64,
}

/// Reads the claim of a `metadata.json`; `None` when the bytes are not one of ours.
pub fn claim(bytes: &[u8]) -> Option<Claim> {
    let document = canonical::parse(bytes).ok()?;
    (document["schema"] == SCHEMA).then_some(())?;
    Some(Claim {
        registry: document["lineage"]["registry"].as_str()?.to_owned(),
        model: document["model"].as_str()?.to_owned(),
        version: document["version"].as_u64()?,
        seq: document["lineage"]["seq"].as_u64()?,
    })
}
