//! A training that is run again, and the model that it writes beside the recorded one.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use lineage_core::context::Context;
use lineage_core::digest::Sha256;
use lineage_core::events::Metric;
use lineage_core::files::reason;
use lineage_core::lookup::{self, Found};
use lineage_core::record::metrics_from_json;
use lineage_core::reproduce::{self, MetricComparison, Recorded, Verdict};
use lineage_core::store::Registry;
use serde::Serialize;

use crate::error::{CliError, ErrorKind};
use crate::facts::in_file;
use crate::output::Output;
use crate::{child, render};

/// A file of metrics is a summary.
const METRICS_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What to run, and what to look at afterwards.
pub(crate) struct Wanted<'a> {
    pub(crate) command: &'a [OsString],
    pub(crate) artifact: Option<&'a Path>,
    pub(crate) metrics_file: Option<&'a Path>,
    pub(crate) tolerance: f64,
}

/// How the second model compares with the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    BitIdentical,
    MetricsEqual,
    Differs,
}

/// The second training.
#[derive(Debug, Serialize)]
pub(crate) struct Again {
    verdict: Outcome,
    artifact: SecondArtifact,
    metrics: Vec<MetricComparison>,
    tolerance: f64,
}

/// The model that it wrote.
#[derive(Debug, Serialize)]
struct SecondArtifact {
    path: String,
    recorded_sha256: Sha256,
    found_sha256: Option<Sha256>,
    detail: Option<String>,
}

impl Again {
    pub(crate) fn is_same(&self) -> bool {
        self.verdict != Outcome::Differs
    }

    pub(crate) fn word(&self) -> &'static str {
        match self.verdict {
            Outcome::BitIdentical => "bit-identical",
            Outcome::MetricsEqual => "metrics-equal",
            Outcome::Differs => "differs",
        }
    }

    pub(crate) fn text(&self) -> String {
        let words = match self.verdict {
            Outcome::BitIdentical => "bit-identical",
            Outcome::MetricsEqual => "other bytes, metrics equal within the tolerance",
            Outcome::Differs => "differs",
        };
        let mut rows = Vec::new();
        if let Some(detail) = &self.artifact.detail {
            let name = "  artifact".to_owned();
            rows.push(vec![name, "differs".to_owned(), render::safe(detail)]);
        }
        for metric in &self.metrics {
            let split = metric.split.map(|s| format!("{}.", s.as_str())).unwrap_or_default();
            let found = metric.found.map_or("not given".to_owned(), |found| found.to_string());
            rows.push(vec![
                format!("  metric {split}{}", render::safe(&metric.name)),
                metric.verdict.word().to_owned(),
                format!("{} → {found}", metric.recorded),
            ]);
        }
        let path = render::safe(&self.artifact.path);
        format!("trained again: {words}: {path}\n{}", render::table(&rows))
    }
}

/// Runs the command and compares.
pub(crate) fn run(
    wanted: &Wanted<'_>,
    registry: &Registry,
    recorded: &Recorded,
    output: &Output,
    context: &Context<'_>,
) -> Result<Again, CliError> {
    let layout = registry.layout();
    let path = match wanted.artifact {
        Some(path) => layout.recorded(path)?,
        None => recorded.row.path.clone(),
    };
    refuse_served(registry, &path)?;
    let absolute = layout.absolute(&path);
    let before = (child::written_state(&absolute), wanted.metrics_file.map(child::written_state));
    let scratch = tempfile::tempdir().map_err(|error| {
        let message = format!("no temporary folder for metrics could be made: {}", reason(&error));
        CliError::new(ErrorKind::Failure, message)
    })?;
    let metrics_path = scratch.path().join("metrics.json");
    start(wanted.command, &metrics_path)?;
    output.observer().listen_for_interrupts();
    if child::written_state(&absolute) == before.0 {
        let message = format!("the command ended well and did not write {path}");
        return Err(CliError::new(ErrorKind::Failure, message)
            .hint("--artifact PATH says where it writes the model"));
    }
    let mut metrics = read_metrics(&metrics_path)?;
    if let Some(file) = wanted.metrics_file {
        if Some(child::written_state(file)) == before.1 {
            output.warning(&format!("the command did not write {}", file.display()));
        } else {
            metrics.extend(read_metrics(file)?);
        }
    }
    let found = registry.read(|reader| {
        lookup::compare(reader, &recorded.row, &path, context.observer).map_err(CliError::from)
    })?;
    let metrics = reproduce::metrics(&recorded.session.metrics, &metrics, wanted.tolerance);
    let (found_sha256, detail) = match found {
        Found::Same => (Some(recorded.row.sha256), None),
        Found::Missing => (None, Some("it is not there".to_owned())),
        Found::Other { sha256, detail } => (sha256, Some(detail)),
    };
    let equal = !metrics.is_empty() && metrics.iter().all(|m| m.verdict == Verdict::Match);
    let verdict = match (&detail, equal) {
        (None, _) => Outcome::BitIdentical,
        (Some(_), true) if found_sha256.is_some() => Outcome::MetricsEqual,
        _ => Outcome::Differs,
    };
    let recorded_sha256 = recorded.row.sha256;
    let artifact = SecondArtifact { path, recorded_sha256, found_sha256, detail };
    Ok(Again { verdict, artifact, metrics, tolerance: wanted.tolerance })
}

/// A second training must not write over a model that is live.
fn refuse_served(registry: &Registry, path: &str) -> Result<(), CliError> {
    let pointers = registry.read(|reader| reader.pointers_serving(path))?;
    let Some(pointer) = pointers.first() else { return Ok(()) };
    let message = format!("{}@{} serves {path}", pointer.model, pointer.pointer);
    Err(CliError::new(ErrorKind::Usage, message)
        .hint("let the command write elsewhere, and say where with --artifact PATH"))
}

fn start(command: &[OsString], metrics_path: &Path) -> Result<(), CliError> {
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    let mut started = Command::new(program);
    started.args(arguments).env("LINEAGE_METRICS", metrics_path);
    let name = program.to_string_lossy();
    let status = child::supervise(&mut started).map_err(|error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Failure,
        };
        CliError::new(kind, format!("{name} could not be started")).hint("check the command")
    })?;
    match child::exit_status(status) {
        0 => Ok(()),
        130 => Err(CliError::new(ErrorKind::Interrupted, format!("{name} was interrupted"))),
        code => {
            let message = format!("{name} ended with exit status {code}; nothing was compared");
            Err(CliError::new(ErrorKind::Failure, message))
        }
    }
}

/// The value of each metric in a file that may be empty.
fn read_metrics(path: &Path) -> Result<Vec<Metric>, CliError> {
    let bytes = lineage_core::files::read_small(path, METRICS_BYTES_MAX)?.unwrap_or_default();
    if bytes.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    Ok(metrics_from_json(&bytes).map_err(in_file(path))?.values())
}
