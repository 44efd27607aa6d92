//! Everything that `record` finds out before its transaction: digests, columns, what it derives from.

use serde_json::json;

use super::inspection::{self, Inspected};
use super::{DatasetRequest, RecordError, RecordRequest};
use crate::canonical;
use crate::context::{Context, Step};
use crate::digest::Sha256;
use crate::events::{Columns, DerivedFrom, EntryError, InspectionRecord, Payload, Series};
use crate::fingerprint::{self, Copies, Fingerprint, Input, Readings};
use crate::inspect::Verdict;
use crate::layout::Layout;
use crate::lookup;
use crate::names::{DatasetName, MetricName};
use crate::objects;
use crate::series;
use crate::settings::Settings;
use crate::store::{Cache, Reader, Registry, StoreError};

/// Column names beyond this many bytes go to a payload.
const INLINE_NAMES_BYTES_MAX: usize = 64 * 1024;

/// Everything that was found out before the transaction.
pub(crate) struct Gathered {
    pub(crate) artifact: Option<GatheredArtifact>,
    pub(crate) datasets: Vec<GatheredDataset>,
    pub(crate) derived_from: Vec<DerivedFrom>,
    /// Each with the bytes of its payload.
    pub(super) series: Vec<(Series, Vec<u8>)>,
    pub(super) request_sha256: Sha256,
}

pub(crate) struct GatheredArtifact {
    pub(crate) path: String,
    pub(crate) found: Fingerprint,
    pub(crate) inspected: Option<Inspected>,
}

impl GatheredArtifact {
    pub(super) fn inspection(&self) -> Option<InspectionRecord> {
        let inspected = self.inspected.as_ref()?;
        let details = inspected.payload.as_deref().map(Payload::of);
        Some(InspectionRecord { verdict: inspected.verdict, details })
    }
}

pub(crate) struct GatheredDataset {
    pub(crate) name: DatasetName,
    pub(crate) path: String,
    pub(crate) found: std::rc::Rc<Fingerprint>,
    pub(crate) request: DatasetRequest,
    pub(super) columns: Option<Columns>,
    payloads: Vec<Vec<u8>>,
}

impl GatheredDataset {
    /// The payload with the columns' kinds, digests and profile; always the last.
    pub(super) fn details(&self) -> Option<Payload> {
        self.found.table.as_ref()?;
        self.payloads.last().map(|bytes| Payload::of(bytes))
    }
}

pub(super) fn gather(
    registry: &Registry,
    settings: &Settings,
    request: &RecordRequest,
    context: &Context<'_>,
) -> Result<Gathered, RecordError> {
    let layout = registry.layout();
    let artifact_path =
        request.artifact.as_deref().map(|path| layout.recorded(path)).transpose()?;
    let mut paths: Vec<String> = Vec::new();
    let mut keyed = Vec::new();
    for dataset in &request.datasets {
        let path = layout.recorded(&dataset.path)?;
        let index = paths.iter().position(|known| *known == path).unwrap_or_else(|| {
            paths.push(path.clone());
            paths.len() - 1
        });
        let name = match &dataset.name {
            Some(name) => name.clone(),
            None => {
                let name = std::path::Path::new(&path).file_name().and_then(|n| n.to_str());
                name.unwrap_or("data").parse().map_err(RecordError::Name)?
            }
        };
        keyed.push((index, name, dataset.clone()));
    }
    let key = |k: &(usize, DatasetName, DatasetRequest)| (k.2.role.clone(), k.1.clone());
    keyed.sort_by_key(key);
    if let Some(pair) = keyed.windows(2).find(|pair| key(&pair[0]) == key(&pair[1])) {
        let (role, name) = key(&pair[0]);
        return Err(RecordError::DuplicateDataset { role, name });
    }
    let (artifact, found) = registry.read(|reader| {
        let own = |bytes: &[u8]| {
            artifact_path.as_deref().is_some_and(|p| lookup::is_own_metadata(reader, p, bytes))
        };
        let mut inputs: Vec<Input<'_>> = Vec::new();
        if let Some(path) = &request.artifact {
            inputs.push(Input {
                path: path.clone(),
                exclude: request.exclude.clone(),
                own_file: Some(&own),
                table: None,
                keep: request.store && !request.dry_run,
            });
        }
        for path in &paths {
            let exclude = request.exclude.clone();
            let table = Some(request.table_options());
            inputs.push(Input { exclude, table, ..Input::new(layout.absolute(path)) });
        }
        let temporaries = layout.temporaries();
        let random = || context.random_hex();
        let copies = Copies::new(&temporaries, &random);
        let use_cache = request.cache && !request.dry_run;
        let cache = use_cache.then(|| Cache::open(layout, context)).flatten();
        let readings = cache.as_ref().map(|cache| cache as &dyn Readings);
        let mut found =
            fingerprint::fingerprint_keeping(&inputs, Some(&copies), readings, context.observer)?;
        let artifact = request.artifact.as_ref().map(|_| found.remove(0));
        Ok::<_, RecordError>((artifact, found))
    })?;
    context.observer.step(Step::Hashed);
    let found: Vec<_> = found.into_iter().map(std::rc::Rc::new).collect();
    let mut datasets = Vec::new();
    for (index, name, dataset) in keyed {
        let found = std::rc::Rc::clone(&found[index]);
        let (columns, names) = columns(&found)?;
        let details = details(&found)?;
        let path = paths[index].clone();
        let payloads = names.into_iter().chain(details).collect();
        let request = dataset;
        datasets.push(GatheredDataset { name, path, found, request, columns, payloads });
    }
    let mut artifact = artifact_path.zip(artifact).map(|(path, found)| GatheredArtifact {
        path,
        found,
        inspected: None,
    });
    check_stand_ins(request, artifact.as_ref(), &datasets)?;
    if let Some(artifact) = &mut artifact {
        let absolute = layout.absolute(&artifact.path);
        let inspected = inspection::inspect(artifact, &absolute, context.observer)?;
        check_verdict(settings, request, &inspected)?;
        artifact.inspected = Some(inspected);
    }
    let derived_from = registry.read(|reader| derived_from(reader, request))?;
    let request_sha256 = request_digest(request, artifact.as_ref(), &datasets)?;
    let series = request.series.iter().map(|(name, points)| encoded(name, points)).collect();
    Ok(Gathered { artifact, datasets, derived_from, series, request_sha256 })
}

fn encoded(name: &MetricName, points: &[series::Point]) -> (Series, Vec<u8>) {
    let bytes = series::encode(points);
    let series = Series {
        split: name.split,
        name: name.name.clone(),
        points: points.len() as u64,
        payload: Payload::of(&bytes),
    };
    (series, bytes)
}

fn check_verdict(
    settings: &Settings,
    request: &RecordRequest,
    inspected: &Inspected,
) -> Result<(), RecordError> {
    let refused = settings.models.get(&request.model).and_then(|model| model.refuse_verdict);
    if refused.is_some_and(|worst| inspected.verdict >= worst.max(Verdict::Unknown)) {
        return Err(RecordError::Verdict {
            verdict: inspected.verdict,
            reason: inspected.reason.clone().unwrap_or_default(),
        });
    }
    Ok(())
}

fn check_stand_ins(
    request: &RecordRequest,
    artifact: Option<&GatheredArtifact>,
    datasets: &[GatheredDataset],
) -> Result<(), RecordError> {
    if request.allow_stand_in {
        return Ok(());
    }
    let artifact = artifact.map(|artifact| (&artifact.path, &artifact.found));
    let all = artifact.into_iter().chain(datasets.iter().map(|d| (&d.path, d.found.as_ref())));
    for (path, found) in all {
        if let Some((inside, stand_in)) = found.stand_ins.first() {
            let path = if inside.is_empty() { path.clone() } else { format!("{path}/{inside}") };
            return Err(RecordError::StandIn { path, what: stand_in.clone() });
        }
    }
    Ok(())
}

fn derived_from(
    reader: &Reader<'_>,
    request: &RecordRequest,
) -> Result<Vec<DerivedFrom>, RecordError> {
    let mut found = Vec::new();
    for reference in &request.derived_from {
        let version = lookup::version(reader, reference)?;
        found.push(DerivedFrom {
            model: version.model,
            version: version.number,
            sha256: version.sha256,
        });
    }
    Ok(found)
}

/// The columns of a table for the entry, and the payload that holds the names when they are many.
fn columns(found: &Fingerprint) -> Result<(Option<Columns>, Option<Vec<u8>>), StoreError> {
    let Some(table) = &found.table else { return Ok((None, None)) };
    let names: Vec<_> = table.digest.columns.iter().map(|column| column.name.clone()).collect();
    let count = names.len() as u64;
    let size: usize = names.iter().map(|name| name.len() + 3).sum();
    if size <= INLINE_NAMES_BYTES_MAX {
        let names = Some(names);
        return Ok((Some(Columns { count, names, payload: None }), None));
    }
    let bytes = canonical::to_bytes(&json!(names)).map_err(EntryError::from)?;
    let payload = Some(Payload::of(&bytes));
    Ok((Some(Columns { count, names: None, payload }), Some(bytes)))
}

/// What is known of a table beyond its entry, as a payload.
fn details(found: &Fingerprint) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(table) = &found.table else { return Ok(None) };
    Ok(Some(canonical::to_bytes(&table.to_json()).map_err(EntryError::from)?))
}

/// What makes two requests the same: everything but notes, tags, times and the environment.
fn request_digest(
    request: &RecordRequest,
    artifact: Option<&GatheredArtifact>,
    datasets: &[GatheredDataset],
) -> Result<Sha256, StoreError> {
    let datasets: Vec<_> = datasets
        .iter()
        .map(|d| json!({"role": d.request.role, "name": d.name, "sha256": d.found.sha256}))
        .collect();
    let artifact = artifact.map(|a| json!({"kind": a.found.kind, "sha256": a.found.sha256}));
    let document = json!({
        "model": request.model,
        "label": request.label,
        "artifact": artifact,
        "datasets": datasets,
        "params": request.params,
        "metrics": request.metrics,
        "seed": request.seed,
        "features": request.features,
        "target": request.target,
    });
    Ok(Sha256::of(&canonical::to_bytes(&document).map_err(EntryError::from)?))
}

pub(super) fn store_bytes(
    layout: &Layout,
    request: &RecordRequest,
    gathered: &mut Gathered,
    context: &Context<'_>,
) -> Result<(), RecordError> {
    let mut kept = Vec::new();
    if let Some(artifact) = &mut gathered.artifact {
        if request.store {
            kept.append(&mut artifact.found.kept);
        }
        // The manifest is kept in any case: without it no difference could be named.
        if let Some(manifest) = &artifact.found.manifest {
            kept.push(objects::temporary(layout, &manifest.to_bytes(), context)?);
        }
        if let Some(bytes) = artifact.inspected.as_ref().and_then(|i| i.payload.as_ref()) {
            kept.push(objects::temporary(layout, bytes, context)?);
        }
    }
    for (_, bytes) in &gathered.series {
        kept.push(objects::temporary(layout, bytes, context)?);
    }
    for dataset in &gathered.datasets {
        for bytes in &dataset.payloads {
            kept.push(objects::temporary(layout, bytes, context)?);
        }
        if let Some(manifest) = &dataset.found.manifest {
            kept.push(objects::temporary(layout, &manifest.to_bytes(), context)?);
        }
    }
    objects::put(layout, kept, context)?;
    context.observer.step(Step::ObjectsStored);
    Ok(())
}
