//! `lineage show`

use lineage_core::lookup;
use lineage_core::metadata;
use lineage_core::names::{PointerName, Reference};
use serde::Serialize;
use serde_json::Value;

use crate::args::Global;
use crate::error::CliError;
use crate::output::Output;
use crate::{render, settings};

/// Show what is known of a version: what was recorded, and what holds now
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  lineage show fraud@3\n  lineage show fraud@prod --json\n  lineage show fraud@3 --metadata > metadata.json"
)]
pub(crate) struct ShowArgs {
    /// fraud@3, fraud@1.0.0, fraud@prod, fraud@latest or fraud@sha256:1b34b7
    #[arg(value_name = "REF")]
    reference: Reference,
    /// Print the version's metadata.json, byte for byte
    #[arg(long)]
    metadata: bool,
}

#[derive(Serialize)]
struct Shown {
    metadata: Value,
    current: Current,
}

#[derive(Serialize)]
struct Current {
    pointers: Vec<PointerName>,
    quarantined_on: Vec<PointerName>,
    approvals: Vec<Value>,
}

pub(crate) fn run(args: &ShowArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    let (reference, bytes, shown, actor) = settings::reading(global, output, |registry, _, _| {
        registry.read(|reader| {
            let version = lookup::version(reader, &args.reference)?;
            let (entry, sha256) = lookup::entry(reader, version.seq)?;
            let bytes = lookup::metadata_bytes(reader, &version)?;
            let pointers = reader
                .pointers(Some(&version.model))?
                .into_iter()
                .filter(|pointer| pointer.version == Some(version.number))
                .map(|pointer| pointer.pointer)
                .collect();
            let current = Current {
                pointers,
                quarantined_on: reader.quarantines_of(&version.model, version.number)?,
                approvals: Vec::new(),
            };
            let actor = lookup::person(reader, &entry.actor.id)?.to_string();
            let metadata = metadata::document(&entry, &sha256);
            Ok::<_, CliError>((version.reference(), bytes, Shown { metadata, current }, actor))
        })
    })?;
    if args.metadata {
        return output.raw(&bytes);
    }
    output.result("lineage.show/1", &shown, &reference, || text(&reference, &shown, &actor))
}

fn text(reference: &str, shown: &Shown, actor: &str) -> String {
    let document = &shown.metadata;
    let plain = |value: &Value| match value {
        Value::String(text) => render::safe(text),
        other => other.to_string(),
    };
    let list = |name: &str| document[name].as_array().cloned().unwrap_or_default();
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |name: &str, value: String| rows.push(vec![format!("  {name}"), value]);
    let artifact = &document["artifact"];
    let size = render::bytes(artifact["size_bytes"].as_u64().unwrap_or(0));
    row("artifact", format!("{} ({}, {size})", plain(&artifact["path"]), plain(&artifact["kind"])));
    row("sha256", plain(&artifact["sha256"]));
    let verdict = artifact["inspection"]["verdict"].as_str();
    if let Some(verdict) = verdict.filter(|verdict| matches!(*verdict, "dangerous" | "suspicious"))
    {
        row("inspection", format!("{verdict}; lineage inspect says why"));
    }
    row(
        "recorded",
        format!("{} by {}", render::time(plain(&document["created"])), render::safe(actor)),
    );
    row("session", plain(&document["session"]));
    if let Some(source) = document["claims"]["source"].as_str() {
        let when = match document["claims"]["created"].as_str() {
            Some(time) => render::time(time),
            None => "a time unknown".to_owned(),
        };
        row("claimed", format!("made {when}, says {}", render::safe(source)));
    }
    for dataset in list("datasets") {
        let rows_note = dataset["table"]["rows"]
            .as_u64()
            .map(|rows| format!(", {}", render::count(rows, "row")))
            .unwrap_or_default();
        let digest: String = plain(&dataset["sha256"]).chars().take(12).collect();
        let name = format!("data {}", plain(&dataset["role"]));
        row(&name, format!("{}  {digest}{rows_note}", plain(&dataset["path"])));
        if !dataset["source"].is_null() {
            row("  from", plain(&dataset["source"]));
        }
        for transformation in dataset["transformations"].as_array().into_iter().flatten() {
            row("  after", plain(transformation));
        }
    }
    for metric in list("metrics") {
        let split = metric["split"].as_str().map(|s| format!("{s}.")).unwrap_or_default();
        row(&format!("metric {split}{}", plain(&metric["name"])), plain(&metric["value"]));
    }
    for param in list("params") {
        row(&format!("param {}", plain(&param["name"])), plain(&param["text"]));
    }
    for name in ["model_type", "seed", "note"] {
        if !document[name].is_null() {
            row(name, plain(&document[name]));
        }
    }
    for name in ["features", "target"] {
        let names: Vec<String> = list(name).iter().map(plain).collect();
        if !names.is_empty() {
            row(name, names.join(", "));
        }
    }
    for tag in list("tags") {
        row(&format!("tag {}", plain(&tag["name"])), plain(&tag["value"]));
    }
    for from in list("derived_from") {
        row("derived from", format!("{}@{}", plain(&from["model"]), from["version"]));
    }
    let names = |pointers: &[PointerName]| {
        pointers.iter().map(PointerName::to_string).collect::<Vec<_>>().join(", ")
    };
    let live = match shown.current.pointers.as_slice() {
        [] => "nowhere".to_owned(),
        pointers => names(pointers),
    };
    row("live at", live);
    if !shown.current.quarantined_on.is_empty() {
        row("quarantined", names(&shown.current.quarantined_on));
    }
    let label = document["label"].as_str().map(|l| format!(" ({l})")).unwrap_or_default();
    format!("{reference}{label}\n{}", render::table(&rows))
}
