//! `lineage show`

use lineage_core::context::Timestamp;
use lineage_core::environment::Environment;
use lineage_core::events::MetricValue;
use lineage_core::names::{MetricName, ModelName, PointerName, Reference, Split};
use lineage_core::series::SeriesPoint;
use lineage_core::session::metric_points;
use lineage_core::store::At;
use lineage_core::{canonical, lookup, metadata, objects};
use serde::Serialize;
use serde_json::Value;

use crate::args::{AtArg, Global};
use crate::chart::chart;
use crate::error::{CliError, ErrorKind};
use crate::output::Output;
use crate::{render, settings};

/// Show what is known of a version: what was recorded, and what holds now
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  lineage show fraud@3\n  lineage show fraud@prod --json\n  lineage show fraud@prod --at 2026-03-01\n  lineage show fraud@3 --metadata > metadata.json\n  lineage show fraud@3 --metric validation.auc"
)]
pub(crate) struct ShowArgs {
    /// fraud@3, fraud@1.0.0, fraud@prod, fraud@latest or fraud@sha256:1b34b7
    #[arg(value_name = "REF")]
    reference: Reference,
    /// Print the version's metadata.json, byte for byte
    #[arg(long)]
    metadata: bool,
    /// Draw a metric over its steps; with --json, list its points
    #[arg(long, value_name = "[SPLIT.]NAME", conflicts_with = "metadata")]
    metric: Option<MetricName>,
    #[command(flatten)]
    at: AtArg,
}

#[derive(Serialize)]
struct MetricPoints<'a> {
    model: &'a ModelName,
    version: u64,
    split: Option<Split>,
    name: &'a str,
    points: Vec<MetricPoint>,
    at: Option<At>,
}

#[derive(Serialize)]
struct MetricPoint {
    step: i64,
    time: Option<Timestamp>,
    value: MetricValue,
}

/// The points of one metric of a version.
fn show_metric(
    args: &ShowArgs,
    name: &MetricName,
    global: &Global,
    output: &mut Output,
) -> Result<(), CliError> {
    let model = Some(&args.reference.model);
    let ((version, points), at) =
        settings::looking_up_at(global, output, &args.at, model, |reader, _, _| {
            let version = lookup::version(reader, &args.reference)?;
            let points = metric_points(reader, &version.session, name)?;
            Ok((version, points))
        })?;
    if points.is_empty() {
        let message = format!("{} has no steps of the metric \"{name}\"", version.reference());
        return Err(CliError::new(ErrorKind::NotFound, message)
            .hint(format!("`lineage show {}` lists its metrics", version.reference())));
    }
    let shown = MetricPoints {
        model: &version.model,
        version: version.number,
        split: name.split,
        name: &name.name,
        points: match output.is_json() {
            true => points.iter().map(point).collect(),
            false => Vec::new(),
        },
        at,
    };
    let id = points.last().map(|last| MetricValue(last.value).to_string()).unwrap_or_default();
    output.result("lineage.metric/1", &shown, &id, || {
        let count = render::count(points.len() as u64, "point");
        let name = render::safe(&name.to_string());
        format!("{} {name}, {count}\n{}", version.reference(), chart(&points))
    })
}

fn point(point: &SeriesPoint) -> MetricPoint {
    MetricPoint {
        step: point.step,
        time: point.time_us.and_then(Timestamp::from_unix_microseconds),
        value: MetricValue(point.value),
    }
}

#[derive(Serialize)]
struct Shown {
    metadata: Value,
    current: Current,
    environment: Option<Value>,
    at: Option<At>,
}

#[derive(Serialize)]
struct Current {
    pointers: Vec<PointerName>,
    quarantined_on: Vec<PointerName>,
    approvals: Vec<Value>,
}

pub(crate) fn run(args: &ShowArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    if let Some(name) = &args.metric {
        return show_metric(args, name, global, output);
    }
    let model = Some(&args.reference.model);
    let ((reference, bytes, shown, actor), at) =
        settings::looking_up_at(global, output, &args.at, model, |reader, _, _| {
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
            // Whether it is lost is for `verify` to say.
            let environment = metadata["environment"]["sha256"].as_str();
            let environment = environment.and_then(|sha256| sha256.parse().ok());
            let environment = environment
                .and_then(|sha256| objects::read(reader.layout(), &sha256).ok())
                .and_then(|bytes| canonical::parse(&bytes).ok());
            let shown = Shown { metadata, current, environment, at: None };
            Ok((version.reference(), bytes, shown, actor))
        })?;
    let shown = Shown { at, ..shown };
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
        row("claimed", render::claimed(source, document["claims"]["created"].as_str()));
    }
    let datasets = list("datasets");
    let named: Vec<_> =
        datasets.iter().map(|d| (word(d, "role"), word(d, "name"), word(d, "path"))).collect();
    for (dataset, role) in datasets.iter().zip(render::roles(&named)) {
        let rows_note = dataset["table"]["rows"]
            .as_u64()
            .map(|rows| format!(", {}", render::count(rows, "row")))
            .unwrap_or_default();
        let digest: String = plain(&dataset["sha256"]).chars().take(12).collect();
        row(&format!("data {role}"), format!("{}  {digest}{rows_note}", plain(&dataset["path"])));
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
    for series in list("series") {
        let split = series["split"].as_str().map(|s| format!("{s}.")).unwrap_or_default();
        let name = format!("{split}{}", plain(&series["name"]));
        let points = render::count(series["points"].as_u64().unwrap_or(0), "point");
        row(&format!("steps of {name}"), format!("{points}; --metric {name} draws them"));
    }
    for param in list("params") {
        row(&format!("param {}", plain(&param["name"])), plain(&param["text"]));
    }
    for name in ["model_type", "seed", "note"] {
        if !document[name].is_null() {
            row(name, plain(&document[name]));
        }
    }
    if let Some(run) = document["run"].as_object() {
        let seconds = run["duration_us"].as_f64().unwrap_or(0.0) / 1e6;
        let peak = run["peak_memory_bytes"].as_u64();
        let peak = peak.map(|peak| format!(", at most {} of memory", render::bytes(peak)));
        let late = if run.contains_key("late") { ", recorded late" } else { "" };
        row("ran", format!("{seconds:.1} s{}{late}", peak.unwrap_or_default()));
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
    let environment = shown.environment.clone().and_then(|e| serde_json::from_value(e).ok());
    surroundings(document, environment.as_ref(), &mut row);
    let names = |pointers: &[PointerName]| {
        pointers.iter().map(PointerName::to_string).collect::<Vec<_>>().join(", ")
    };
    let live = match shown.current.pointers.as_slice() {
        [] => "nowhere".to_owned(),
        pointers => names(pointers),
    };
    row(if shown.at.is_some() { "live then at" } else { "live at" }, live);
    if !shown.current.quarantined_on.is_empty() {
        row("quarantined", names(&shown.current.quarantined_on));
    }
    let label = document["label"].as_str().map(|l| format!(" ({l})")).unwrap_or_default();
    format!("{reference}{label}\n{}", render::table(&rows))
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The code, the packages and machine, and whether it could be made again.
fn surroundings(
    document: &Value,
    environment: Option<&Environment>,
    row: &mut impl FnMut(&str, String),
) {
    let short = |value: &Value| -> String {
        render::safe(value.as_str().unwrap_or_default()).chars().take(12).collect()
    };
    let code = &document["code"];
    if code.is_object() {
        let branch = code["branch"].as_str().map(|b| format!(" on {}", render::safe(b)));
        let changes = match (code["dirty"].as_bool(), code["diff_sha256"].is_string()) {
            (Some(true), true) => format!(", with changes {}", short(&code["diff_sha256"])),
            (Some(true), false) => ", with changes".to_owned(),
            _ => String::new(),
        };
        row("code", format!("{}{}{changes}", short(&code["commit"]), branch.unwrap_or_default()));
    } else if let Some(reason) = environment.and_then(|environment| environment.git.reason()) {
        row("code", format!("unknown: {}", render::safe(reason)));
    }
    if let Some(environment) = environment {
        let mut parts = Vec::new();
        if let Some(python) = environment.python.known() {
            let packages = render::count(python.packages.len() as u64, "package");
            parts.push(format!("{} {}, {packages}", python.implementation, python.version));
        }
        if let Some(r) = environment.r.known() {
            let packages = render::count(r.packages.len() as u64, "package");
            parts.push(format!("R {}, {packages}", r.version));
        }
        if let Some(system) = environment.system.known() {
            parts.push(system.name.clone().unwrap_or_else(|| system.os.clone()));
        }
        parts.extend(environment.cpu.known().and_then(|cpu| cpu.model.clone()));
        let gpus = environment.gpus.known();
        parts.extend(gpus.into_iter().flatten().map(|gpu| gpu.name.clone()));
        row("environment", render::safe(&parts.join("; ")));
    }
    let digest = &document["reproducibility_sha256"];
    let unknown = || match document["datasets"].as_array().is_none_or(Vec::is_empty) {
        true => "unknown: no data was recorded".to_owned(),
        false => "unknown: the code is not known".to_owned(),
    };
    row("reproducibility", if digest.is_string() { short(digest) } else { unknown() });
}
