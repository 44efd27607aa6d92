//! From a request to the facts of an entry, and from facts to the points of metrics.

use crate::context::{Context, Step};
use crate::events::{MetricValue, Payload, Point, Series, SessionFacts};
use crate::layout::Layout;
use crate::names::MetricName;
use crate::objects;
use crate::record::{
    RecordError, RecordRequest, SeriesByName, Warning, gather, secret_warnings, store_bytes,
    table_warnings,
};
use crate::series::{self as payload, SeriesPoint};
use crate::settings::Settings;
use crate::store::Registry;

/// Points beyond this number go to payloads.
const INLINE_POINTS_MAX: usize = 64;

/// What a request says, with the digests of its data; payloads are stored.
pub(super) struct Found {
    pub(super) facts: SessionFacts,
    pub(super) warnings: Vec<Warning>,
}

pub(super) fn find(
    registry: &Registry,
    settings: &Settings,
    request: &RecordRequest,
    context: &Context<'_>,
) -> Result<Found, RecordError> {
    let mut request = request.clone();
    let artifact = request.artifact.take();
    let artifact = artifact.map(|path| registry.layout().recorded(&path)).transpose()?;
    let count: usize = request.series.values().map(Vec::len).sum();
    let writable = request.series.values().flatten().all(fits_entry);
    let inline = match count <= INLINE_POINTS_MAX && writable {
        true => std::mem::take(&mut request.series),
        false => SeriesByName::new(),
    };
    request.remove_secrets();
    request.check()?;
    let mut gathered = gather(registry, settings, &request, None, context)?;
    let mut warnings = table_warnings(&gathered);
    warnings.append(&mut secret_warnings(&request));
    if !request.dry_run {
        store_bytes(registry.layout(), &request, &mut gathered, context)?;
        context.observer.step(Step::ObjectsStored);
    }
    let facts = SessionFacts {
        datasets: gathered.datasets.into_iter().map(|dataset| dataset.used).collect(),
        params: request.params,
        metrics: request.metrics,
        points: inline.iter().flat_map(|(name, points)| inline_points(name, points)).collect(),
        series: gathered.series.into_iter().map(|(series, _)| series).collect(),
        tags: request.tags,
        artifact,
        model_type: request.model_type,
        seed: request.seed,
        features: request.features,
        target: request.target,
        note: request.note,
        environment: gathered.environment.as_deref().map(Payload::of),
        code: request.capture.and_then(|capture| capture.code),
        claims: request.claims,
    };
    Ok(Found { facts, warnings })
}

/// Whether an entry can hold the point; a payload can hold any.
fn fits_entry(point: &SeriesPoint) -> bool {
    let writable = |time| crate::context::Timestamp::from_unix_microseconds(time).is_some();
    point.step.unsigned_abs() < 1 << 53 && point.time_us.is_none_or(writable)
}

fn inline_points(name: &MetricName, points: &[SeriesPoint]) -> Vec<Point> {
    let point = |point: &SeriesPoint| Point {
        split: name.split,
        name: name.name.clone(),
        step: point.step,
        time: point.time_us.and_then(crate::context::Timestamp::from_unix_microseconds),
        value: MetricValue(point.value),
    };
    points.iter().map(point).collect()
}

/// All points of a session's metrics, in the order of their steps.
pub(crate) fn points(layout: &Layout, facts: &SessionFacts) -> Result<SeriesByName, RecordError> {
    let mut found = SeriesByName::new();
    for point in &facts.points {
        let name = MetricName { split: point.split, name: point.name.clone() };
        found.entry(name).or_default().push(SeriesPoint {
            step: point.step,
            time_us: point.time.map(|time| time.unix_microseconds()),
            value: point.value.0,
        });
    }
    for Series { split, name, payload: Payload { sha256, .. }, .. } in &facts.series {
        let points = payload::decode(&objects::read(layout, sha256)?)?;
        let name = MetricName { split: *split, name: name.clone() };
        found.entry(name).or_default().extend(points);
    }
    for points in found.values_mut() {
        points.sort_by_key(|point| (point.step, point.time_us));
    }
    Ok(found)
}
