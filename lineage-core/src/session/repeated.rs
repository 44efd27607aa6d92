//! A completed session gives the same answer again, but not to one who brings what it has not.

use std::collections::BTreeSet;

use crate::context::Context;
use crate::events::{DatasetUse, DerivedFrom, Series, SessionCompleted};
use crate::names::{MetricName, Selector};
use crate::objects;
use crate::record::{
    Gathered, RecordError, RecordRequest, Recorded, earlier_result, gather, recorded_details,
};
use crate::series::{self, SeriesPoint};
use crate::settings::Settings;
use crate::store::Registry;

/// What was recorded of a completed session, to one who asks to complete it again.
pub(super) fn repeated(
    registry: &Registry,
    settings: &Settings,
    session: &str,
    request: &RecordRequest,
    context: &Context<'_>,
) -> Result<Recorded, RecordError> {
    let earlier = registry.read(|reader| reader.session(session))?;
    let earlier = earlier.ok_or_else(|| RecordError::NoSession(session.to_owned()))?;
    let details = recorded_details(registry, &earlier)?;
    let mut request = RecordRequest { dry_run: true, ..request.clone() };
    request.model = details.model.clone();
    request.remove_secrets();
    let found = gather(registry, settings, &request, None, context)?;
    let (session, model) = (earlier.session.clone(), details.model.clone());
    let version = details.version.as_ref();
    let recorded = version.map(|version| (version.kind, version.sha256));
    let brought = found.artifact.as_ref().map(|artifact| &artifact.found);
    if brought.is_some_and(|artifact| Some((artifact.kind, artifact.sha256)) != recorded) {
        let recorded = version.map(|v| format!("{}, sha256 {}", v.path, v.sha256.short()));
        return Err(RecordError::CompletedWith { session, model, recorded });
    }
    let missing = missing(registry, &details, &request, &found)?;
    if !missing.is_empty() {
        return Err(RecordError::CompletedWithout { session, model, missing });
    }
    earlier_result(registry, &earlier, Vec::new(), Vec::new())
}

/// What the request says and the record does not.
fn missing(
    registry: &Registry,
    details: &SessionCompleted,
    request: &RecordRequest,
    found: &Gathered,
) -> Result<Vec<String>, RecordError> {
    let mut missing = Vec::new();
    let mut need = |is_there: bool, what: String| {
        if !is_there {
            missing.push(what);
        }
    };
    for dataset in &found.datasets {
        let used = &dataset.used;
        let is_there = details.datasets.iter().any(|recorded| is_same_data(recorded, used));
        need(is_there, format!("the data {}:{}", used.role, used.name));
    }
    for parameter in &request.params {
        let mut params = details.params.iter();
        let is_there = params.any(|p| (&p.name, &p.text) == (&parameter.name, &parameter.text));
        need(is_there, format!("the parameter {}={}", parameter.name, parameter.text));
    }
    for metric in &request.metrics {
        let text = format!("the metric {}={}", metric.full_name(), metric.value);
        need(details.metrics.contains(metric), text);
    }
    for (name, points) in &request.series {
        need(has_points(registry, &details.series, name, points)?, format!("points of {name}"));
    }
    for tag in &request.tags {
        need(details.tags.contains(tag), format!("the tag {}={}", tag.name, tag.value));
    }
    for (what, given, recorded) in [
        ("seed", &request.seed, &details.seed),
        ("model type", &request.model_type, &details.model_type),
        ("note", &request.note, &details.note),
    ] {
        if let Some(given) = given {
            need(Some(given) == recorded.as_ref(), format!("the {what} \"{given}\""));
        }
    }
    for (what, given, recorded) in [
        ("feature", &request.features, &details.features),
        ("target", &request.target, &details.target),
    ] {
        for name in given {
            need(recorded.contains(name), format!("the {what} {name}"));
        }
    }
    let version = details.version.as_ref();
    if let Some(label) = &request.label {
        let recorded = version.and_then(|version| version.label.as_ref());
        need(recorded == Some(label), format!("the label {label}"));
    }
    for (reference, base) in request.derived_from.iter().zip(&found.derived_from) {
        // What `latest` and names stand for moves, and is perhaps this very version by now.
        let fixed = matches!(reference.selector, Selector::Number(_) | Selector::Digest(_));
        let is_base = |recorded: &DerivedFrom| match fixed {
            true => recorded == base,
            false => recorded.model == base.model,
        };
        need(details.derived_from.iter().any(is_base), format!("the base {reference}"));
    }
    if let (Some(path), Some(version)) = (&request.metadata, version) {
        let is_there =
            registry.layout().recorded(path).is_ok_and(|path| path == version.metadata_path);
        need(is_there, format!("the metadata file {}", path.display()));
    }
    Ok(missing)
}

/// Whether the data of a role and name was recorded with these bytes, and with what else is said of it.
fn is_same_data(recorded: &DatasetUse, given: &DatasetUse) -> bool {
    let same_bytes = recorded.sha256 == given.sha256
        || recorded.changed_to_sha256.is_some_and(|later| later == given.sha256);
    let said =
        given.transformations.is_empty() || given.transformations == recorded.transformations;
    let source = given.source.is_none() || given.source == recorded.source;
    let rows = given.row_range.is_none() || given.row_range == recorded.row_range;
    (&recorded.role, &recorded.name, recorded.kind) == (&given.role, &given.name, given.kind)
        && (same_bytes && said && source && rows)
}

/// Whether all these points of a metric were recorded.
fn has_points(
    registry: &Registry,
    recorded: &[Series],
    name: &MetricName,
    points: &[SeriesPoint],
) -> Result<bool, RecordError> {
    let mut recorded = recorded.iter();
    let series = recorded.find(|s| (s.split, &s.name) == (name.split, &name.name));
    let Some(series) = series else { return Ok(points.is_empty()) };
    let key = |point: &SeriesPoint| (point.step, point.time_us, point.value.to_bits());
    let bytes = objects::read(registry.layout(), &series.payload.sha256)?;
    let known: BTreeSet<_> = series::decode(&bytes)?.iter().map(key).collect();
    Ok(points.iter().all(|point| known.contains(&key(point))))
}
