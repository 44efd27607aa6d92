//! Everything that `record` finds out before its transaction: digests, columns, what it derives from.

use serde_json::json;

use super::inspection::{self, Inspected};
use super::{Begun, DatasetRequest, RecordError, RecordRequest, Warning, warnings};
use crate::canonical;
use crate::context::{Context, Step};
use crate::digest::Sha256;
use crate::events::{
    Columns, DatasetUse, DerivedFrom, EntryError, Hashed, InspectionRecord, Payload, SchemaSource,
    Series, TableUse,
};
use crate::fingerprint::{self, Copies, Fingerprint, Input, Readings, Typing};
use crate::inspect::Verdict;
use crate::layout::Layout;
use crate::lookup;
use crate::names::{DatasetName, MetricName};
use crate::objects;
use crate::series::SeriesPoint;
use crate::settings::Settings;
use crate::store::{Cache, Reader, Registry, StoreError};

/// Column names beyond this many bytes go to a payload.
const INLINE_NAMES_BYTES_MAX: usize = 64 * 1024;

/// Everything that was found out before the transaction.
pub(crate) struct Gathered {
    pub(crate) artifact: Option<GatheredArtifact>,
    pub(crate) datasets: Vec<GatheredDataset>,
    pub(crate) derived_from: Vec<DerivedFrom>,
    /// The points of metrics, and their payloads.
    pub(crate) series: Vec<(Series, Vec<u8>)>,
    /// The environment as a payload.
    pub(crate) environment: Option<Vec<u8>>,
    pub(super) request_sha256: Sha256,
}

pub(crate) struct GatheredArtifact {
    pub(crate) path: String,
    pub(crate) found: Fingerprint,
    pub(crate) inspected: Option<Inspected>,
}

impl Gathered {
    /// The same bytes, with what the request and the session say now.
    pub(super) fn retold(
        mut self,
        request: &RecordRequest,
        begun: Option<&Begun>,
    ) -> Result<Gathered, RecordError> {
        self.retell(request, begun)?;
        Ok(self)
    }

    /// Takes over what the request and the session say now.
    pub(super) fn retell(
        &mut self,
        request: &RecordRequest,
        begun: Option<&Begun>,
    ) -> Result<(), RecordError> {
        self.datasets.retain(|dataset| !dataset.found_before);
        let before = begun.into_iter().flat_map(|begun| begun.datasets.iter().cloned());
        self.datasets.extend(before.map(GatheredDataset::found_before));
        let key =
            |dataset: &GatheredDataset| (dataset.used.role.clone(), dataset.used.name.clone());
        self.datasets.sort_by_key(key);
        self.request_sha256 = request_digest(request, self.artifact.as_ref(), &self.datasets)?;
        self.series = request.series.iter().map(|(name, points)| series(name, points)).collect();
        let environment = request.capture.as_ref().map(|capture| capture.environment.to_bytes());
        self.environment =
            environment.transpose().map_err(EntryError::from).map_err(StoreError::from)?;
        Ok(())
    }
}

impl GatheredArtifact {
    pub(super) fn inspection(&self) -> Option<InspectionRecord> {
        let inspected = self.inspected.as_ref()?;
        let details = inspected.payload.as_deref().map(Payload::of);
        Some(InspectionRecord { verdict: inspected.verdict, details })
    }
}

pub(crate) struct GatheredDataset {
    /// What is recorded of it.
    pub(crate) used: DatasetUse,
    /// Of its rows, with the columns in the order of their names.
    pub(super) content_sorted_sha256: Option<Sha256>,
    /// Whether it was perhaps not read as it was meant to be.
    pub(super) warnings: Vec<Warning>,
    /// What goes to the object store: its manifest, its columns' names, its table's details.
    payloads: Vec<Vec<u8>>,
    /// Whether it belongs to a session that was begun earlier.
    found_before: bool,
}

impl GatheredDataset {
    /// A dataset of a session that was started before, as it was found then.
    pub(crate) fn found_before(used: DatasetUse) -> GatheredDataset {
        let (payloads, warnings) = (Vec::new(), Vec::new());
        GatheredDataset {
            used,
            content_sorted_sha256: None,
            warnings,
            payloads,
            found_before: true,
        }
    }

    fn of(
        request: &RecordRequest,
        dataset: &DatasetRequest,
        name: DatasetName,
        path: String,
        found: &Fingerprint,
    ) -> Result<GatheredDataset, StoreError> {
        let (columns, names) = columns(found)?;
        let details = details(found)?;
        let table = found.table.as_ref().zip(columns).map(|(table, columns)| TableUse {
            format: table.format.as_str().to_owned(),
            rows: table.digest.rows,
            columns,
            content_sha256: Some(table.digest.content_sha256),
            schema: schema_source(request, table.typing),
            details: details.as_deref().map(Payload::of),
        });
        let warnings = warnings::reading(request, &path, found);
        let used = DatasetUse {
            role: dataset.role.clone(),
            name,
            path,
            kind: found.kind,
            sha256: found.sha256,
            size_bytes: found.size_bytes,
            hashed: if found.from_cache { Hashed::Cache } else { Hashed::Bytes },
            table,
            transformations: dataset.transformations.clone(),
            source: dataset.source.clone(),
            row_range: dataset.row_range,
            exclude: found.manifest.as_ref().map(|m| m.excludes.clone()).unwrap_or_default(),
            changed_to_sha256: None,
        };
        let digest = found.table.as_ref().map(|table| &table.digest);
        let manifest = found.manifest.as_ref().map(|manifest| manifest.to_bytes());
        Ok(GatheredDataset {
            used,
            content_sorted_sha256: digest.map(|digest| digest.content_sorted_sha256),
            warnings,
            payloads: names.into_iter().chain(details).chain(manifest).collect(),
            found_before: false,
        })
    }
}

fn schema_source(request: &RecordRequest, typing: Typing) -> Option<SchemaSource> {
    match typing {
        Typing::File => None,
        Typing::Declared => request.schema.as_ref().map(|declared| declared.source.clone()),
        Typing::Inferred => {
            let kind = "inferred".to_owned();
            Some(SchemaSource { kind, sha256: None, given: String::new() })
        }
    }
}

/// With the datasets of a session that was begun earlier, as they were found then.
pub(crate) fn gather(
    registry: &Registry,
    settings: &Settings,
    request: &RecordRequest,
    begun: Option<&Begun>,
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
                inspect_as: artifact_path.as_deref().map(inspection::name),
                blake3: false,
            });
        }
        for path in &paths {
            let exclude = request.exclude.clone();
            let table = Some(request.table_options());
            inputs.push(Input { exclude, table, ..Input::new(layout.absolute(path)) });
        }
        let temporaries = layout.temporaries();
        let random = || context.random_hex();
        let copies = Copies::new(&temporaries, &random, true);
        let use_cache = request.cache && !request.dry_run;
        let cache = use_cache.then(|| Cache::open(layout, context)).flatten();
        let readings = cache.as_ref().map(|cache| cache as &dyn Readings);
        let mut found =
            fingerprint::fingerprint_keeping(&inputs, Some(&copies), readings, context.observer)?;
        let artifact = request.artifact.as_ref().map(|_| found.remove(0));
        Ok::<_, RecordError>((artifact, found))
    })?;
    context.observer.step(Step::Hashed);
    check_stand_ins(request, artifact_path.as_deref().zip(artifact.as_ref()), &paths, &found)?;
    let mut datasets = Vec::new();
    for (index, name, dataset) in keyed {
        let path = paths[index].clone();
        datasets.push(GatheredDataset::of(request, &dataset, name, path, &found[index])?);
    }
    let mut artifact = artifact_path.zip(artifact).map(|(path, found)| GatheredArtifact {
        path,
        found,
        inspected: None,
    });
    if let Some(artifact) = &mut artifact {
        let inspected = inspection::of(artifact)?;
        check_verdict(settings, request, &inspected)?;
        artifact.inspected = Some(inspected);
    }
    let derived_from = registry.read(|reader| derived_from(reader, request))?;
    let (series, environment, request_sha256) = (Vec::new(), None, Sha256::of(b""));
    let read = Gathered { artifact, datasets, derived_from, series, environment, request_sha256 };
    read.retold(request, begun)
}

fn series(name: &MetricName, points: &[SeriesPoint]) -> (Series, Vec<u8>) {
    let bytes = crate::series::encode(points);
    let (split, points) = (name.split, points.len() as u64);
    (Series { split, name: name.name.clone(), points, payload: Payload::of(&bytes) }, bytes)
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
    artifact: Option<(&str, &Fingerprint)>,
    paths: &[String],
    found: &[Fingerprint],
) -> Result<(), RecordError> {
    if request.allow_stand_in {
        return Ok(());
    }
    let datasets = paths.iter().map(String::as_str).zip(found);
    for (path, found) in artifact.into_iter().chain(datasets) {
        if let Some((inside, stand_in)) = found.stand_ins.first() {
            let inside = if inside.is_empty() { String::new() } else { format!("/{inside}") };
            let path = format!("{path}{inside}");
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
        .map(|d| json!({"role": d.used.role, "name": d.used.name, "sha256": d.used.sha256}))
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

pub(crate) fn store_bytes(
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
    for dataset in &gathered.datasets {
        for bytes in &dataset.payloads {
            kept.push(objects::temporary(layout, bytes, context)?);
        }
    }
    for (_, bytes) in &gathered.series {
        kept.push(objects::temporary(layout, bytes, context)?);
    }
    let patch = request.capture.as_ref().and_then(|capture| capture.patch.as_ref());
    for bytes in gathered.environment.iter().chain(patch) {
        kept.push(objects::temporary(layout, bytes, context)?);
    }
    objects::put(layout, kept, context)?;
    Ok(())
}
