//! What differs between two versions, for the plan of a promotion.

use serde::Serialize;
use serde_json::Value;

use crate::lookup;
use crate::store::{Reader, StoreError, VersionRow};

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// E.g. `metric validation.auc`.
    pub subject: String,
    /// The earlier version's value; none when it has none.
    pub before: Option<String>,
    /// The later version's value; none when it has none.
    pub after: Option<String>,
}

/// What differs between two versions in data, metrics, parameters, seed, columns and artifact.
pub fn changes(
    reader: &Reader<'_>,
    before: &VersionRow,
    after: &VersionRow,
) -> Result<Vec<Change>, StoreError> {
    let (old, _) = lookup::entry(reader, before.seq)?;
    let (new, _) = lookup::entry(reader, after.seq)?;
    let (old, new) = (facts(&old.details), facts(&new.details));
    let mut changes = Vec::new();
    for (subject, value) in &old {
        let other = new.iter().find(|(name, _)| name == subject).map(|(_, value)| value.clone());
        if other.as_ref() != Some(value) {
            let before = Some(value.clone());
            changes.push(Change { subject: subject.clone(), before, after: other });
        }
    }
    for (subject, value) in new {
        if old.iter().all(|(name, _)| *name != subject) {
            changes.push(Change { subject, before: None, after: Some(value) });
        }
    }
    Ok(changes)
}

/// The facts of a session that are worth comparing, each with its name.
fn facts(details: &Value) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let parts: Vec<String> =
                items.iter().map(|v| v.as_str().map_or(v.to_string(), str::to_owned)).collect();
            parts.join(", ")
        }
        other => other.to_string(),
    };
    let short = |value: &Value| text(value).chars().take(12).collect::<String>();
    let list = |name: &str| details[name].as_array().cloned().unwrap_or_default();
    facts.push(("artifact".to_owned(), short(&details["version"]["sha256"])));
    let datasets = list("datasets");
    for dataset in &datasets {
        // A role's only dataset is compared with the other version's, whatever its name.
        let same_role = datasets.iter().filter(|other| other["role"] == dataset["role"]).count();
        let (role, file) = (text(&dataset["role"]), text(&dataset["name"]));
        let name =
            if same_role == 1 { format!("data {role}") } else { format!("data {role}:{file}") };
        let mut value = format!("{file} {}", short(&dataset["sha256"]));
        if let Some(rows) = dataset["table"]["rows"].as_u64() {
            value.push_str(&format!(" ({rows} {})", if rows == 1 { "row" } else { "rows" }));
        }
        facts.push((name, value));
    }
    for metric in list("metrics") {
        let split = metric["split"].as_str().map(|split| format!("{split}.")).unwrap_or_default();
        facts.push((format!("metric {split}{}", text(&metric["name"])), text(&metric["value"])));
    }
    for param in list("params") {
        facts.push((format!("param {}", text(&param["name"])), text(&param["text"])));
    }
    for name in ["model_type", "seed", "features", "target"] {
        if !details[name].is_null() && details[name] != Value::Array(Vec::new()) {
            facts.push((name.to_owned(), text(&details[name])));
        }
    }
    facts
}
