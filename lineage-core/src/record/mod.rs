//! Recording a training session: one call, one event, and a version if there is an artifact.

mod inputs;
mod request;
mod warnings;

pub use inputs::{
    InputFileError, NamedMetrics, features_from_file, metrics_from_json, parameters_from_json,
};
pub use request::{
    DatasetRequest, ExpectedColumns, RecordError, RecordRequest, RecordSpec, SpecError,
};

use serde::Serialize;
use serde_json::json;

use crate::canonical;
use crate::context::{Context, Step};
use crate::digest::{Kind, Sha256};
use crate::events::{
    Columns, DatasetUse, DerivedFrom, EntryError, Event, Hashed, Payload, SessionCompleted,
    TableUse, VersionRecord,
};
use crate::fingerprint::{self, Copies, Fingerprint, Input};
use crate::layout::Layout;
use crate::lookup;
use crate::metadata;
use crate::names::{DatasetName, Label, PointerName};
use crate::objects;
use crate::owed::{self, Placed, Unrepaired};
use crate::settings::Settings;
use crate::store::{OwedFile, OwedKind, Reader, Registry, SessionRow, StoreError};

/// What was recorded.
#[derive(Debug, Clone, Serialize)]
pub struct Recorded {
    /// The model.
    pub model: String,
    /// The version's number; none without an artifact.
    pub version: Option<u64>,
    /// Its label.
    pub label: Option<Label>,
    /// The session's ULID.
    pub session: String,
    /// False when an earlier call with the same key or label had recorded the same.
    pub changed: bool,
    /// The artifact.
    pub artifact: Option<RecordedArtifact>,
    /// The data, by role and name.
    pub datasets: Vec<RecordedDataset>,
    /// Other versions with the same bytes, or with one of these files as their largest.
    pub twins: Vec<String>,
    /// What the user should know.
    pub warnings: Vec<Warning>,
    /// Where `metadata.json` was written, relative to the project root.
    pub metadata_path: Option<String>,
}

/// The artifact as recorded.
#[derive(Debug, Clone, Serialize)]
pub struct RecordedArtifact {
    /// Relative to the project root.
    pub path: String,
    /// File or directory.
    pub kind: Kind,
    /// Its identity.
    pub sha256: Sha256,
    /// Bytes of all files.
    pub size_bytes: u64,
    /// How many files.
    pub files: u64,
}

/// A dataset as recorded.
#[derive(Debug, Clone, Serialize)]
pub struct RecordedDataset {
    /// E.g. `training`.
    pub role: String,
    /// Unique within the role.
    pub name: String,
    /// Relative to the project root.
    pub path: String,
    /// File or directory.
    pub kind: Kind,
    /// Its identity.
    pub sha256: Sha256,
    /// The digest of its rows.
    pub content_sha256: Option<Sha256>,
    /// How many rows.
    pub rows: Option<u64>,
    /// How many columns.
    pub columns: Option<u64>,
    /// `bytes`, or `cache` when an earlier reading was trusted.
    pub hashed: Hashed,
}

/// Something that is allowed but worth knowing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// A fixed word, e.g. `leakage`.
    pub code: &'static str,
    /// In a sentence.
    pub message: String,
}

/// Column names beyond this many bytes go to a payload.
const INLINE_NAMES_BYTES_MAX: usize = 64 * 1024;

/// Records a session. Everything is hashed before the transaction; the transaction checks key and
/// label, takes the next number and appends the event; `metadata.json` is written after it.
///
/// With [`RecordRequest::dry_run`] every check is made and nothing is written.
pub fn record(
    registry: &mut Registry,
    settings: &Settings,
    request: &RecordRequest,
    context: &Context<'_>,
) -> Result<Recorded, RecordError> {
    let mut request = request.clone();
    request.normalise()?;
    let request = &request;
    let in_flight =
        if request.dry_run { None } else { Some(owed::enter(registry, settings, context)?) };
    let gathered = gather(registry, request, context)?;
    let unrepaired = in_flight.as_ref().map_or(&[][..], |flight| &flight.unrepaired);
    let (twins, mut warnings) = warnings::of(registry, request, &gathered, unrepaired)?;
    let metadata = match &gathered.artifact {
        Some(artifact) => Some(registry.read(|r| metadata_target(r, request, artifact))?),
        None => None,
    };
    if request.dry_run {
        return preview(
            registry,
            settings,
            request,
            &gathered,
            (twins, warnings),
            &metadata,
            context,
        );
    }
    let mut gathered = gathered;
    store_bytes(registry.layout(), request, &mut gathered, context)?;
    let settled = in_flight.as_ref().map_or(&[][..], |flight| &flight.settled);
    let outcome = registry.write(context, |writer| {
        writer.settle(settled)?;
        if let Some(earlier) = check_repetition(writer, settings, request, &gathered)? {
            return Ok::<_, RecordError>(Outcome::Earlier(Box::new(earlier)));
        }
        let number = match &gathered.artifact {
            Some(_) => writer.latest_version(&request.model)?.map_or(1, |v| v.number + 1),
            None => 0,
        };
        let (session, details) = event(request, &gathered, number, &metadata, context);
        let event = Event::SessionCompleted(Box::new(details.clone()));
        let appended = writer.append(&event, Some(&session))?;
        let mut owed = None;
        if let Some(target) = &metadata {
            let bytes = metadata::bytes(&appended.entry, &appended.sha256)
                .map_err(|error| StoreError::Entry(EntryError::Canonical(error)))?;
            let file = OwedFile {
                path: target.path.clone(),
                kind: OwedKind::Metadata,
                model: request.model.to_string(),
                name: number.to_string(),
                seq: appended.entry.seq,
                content_sha256: Some(Sha256::of(&bytes)),
                replaces_sha256: target.replaces,
                settled: false,
            };
            writer.owe(&file)?;
            owed = Some(file);
        }
        Ok(Outcome::New { session, details: Box::new(details), owed })
    })?;
    match outcome {
        Outcome::Earlier(earlier) => earlier_result(registry, &earlier, twins, warnings),
        Outcome::New { session, details, owed } => {
            if let Some(owed) = &owed {
                let message = match owed::place_metadata(registry, owed, context) {
                    Ok(Placed::Written) => None,
                    Ok(Placed::Edited) => Some(format!("{} was edited meanwhile", owed.path)),
                    Err(error) => Some(format!(
                        "{} could not be written ({error}); the next command that writes tries again",
                        owed.path
                    )),
                };
                warnings.extend(message.map(|message| Warning { code: "metadata-owed", message }));
            }
            Ok(result(&details, session, true, twins, warnings))
        }
    }
}

enum Outcome {
    New { session: String, details: Box<SessionCompleted>, owed: Option<OwedFile> },
    Earlier(Box<SessionRow>),
}

/// Everything that was found out before the transaction.
pub(crate) struct Gathered {
    pub(crate) artifact: Option<GatheredArtifact>,
    pub(crate) datasets: Vec<GatheredDataset>,
    pub(crate) derived_from: Vec<DerivedFrom>,
    request_sha256: Sha256,
}

pub(crate) struct GatheredArtifact {
    pub(crate) path: String,
    pub(crate) found: Fingerprint,
}

pub(crate) struct GatheredDataset {
    pub(crate) name: DatasetName,
    pub(crate) path: String,
    pub(crate) found: std::rc::Rc<Fingerprint>,
    pub(crate) request: DatasetRequest,
    columns: Option<Columns>,
    payload: Option<Vec<u8>>,
}

fn gather(
    registry: &Registry,
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
                keep: request.store && !request.dry_run,
            });
        }
        for path in &paths {
            let exclude = request.exclude.clone();
            inputs.push(Input { exclude, ..Input::new(layout.absolute(path)) });
        }
        let temporaries = layout.temporaries();
        let random = || context.random_hex();
        let copies = Copies::new(&temporaries, &random);
        let mut found = fingerprint::fingerprint_keeping(&inputs, Some(&copies), context.observer)?;
        let artifact = request.artifact.as_ref().map(|_| found.remove(0));
        Ok::<_, RecordError>((artifact, found))
    })?;
    context.observer.step(Step::Hashed);
    let found: Vec<_> = found.into_iter().map(std::rc::Rc::new).collect();
    let mut datasets = Vec::new();
    for (index, name, dataset) in keyed {
        let found = std::rc::Rc::clone(&found[index]);
        request.check_columns(&dataset, &found)?;
        let (columns, payload) = columns(&found)?;
        let path = paths[index].clone();
        datasets.push(GatheredDataset { name, path, found, request: dataset, columns, payload });
    }
    let artifact =
        artifact_path.zip(artifact).map(|(path, found)| GatheredArtifact { path, found });
    check_stand_ins(request, artifact.as_ref(), &datasets)?;
    let derived_from = registry.read(|reader| derived_from(reader, request))?;
    let request_sha256 = request_digest(request, artifact.as_ref(), &datasets)?;
    Ok(Gathered { artifact, datasets, derived_from, request_sha256 })
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
    let count = table.columns.len() as u64;
    let size: usize = table.columns.iter().map(|name| name.len() + 3).sum();
    if size <= INLINE_NAMES_BYTES_MAX {
        let names = Some(table.columns.clone());
        return Ok((Some(Columns { count, names, payload: None }), None));
    }
    let bytes = canonical::to_bytes(&json!(table.columns)).map_err(EntryError::from)?;
    let payload = Payload { sha256: Sha256::of(&bytes), size_bytes: bytes.len() as u64 };
    Ok((Some(Columns { count, names: None, payload: Some(payload) }), Some(bytes)))
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

fn store_bytes(
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
    }
    for dataset in &gathered.datasets {
        if let Some(bytes) = &dataset.payload {
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

/// The session that this request repeats, if there is one. An equal key or label with a different
/// request is a conflict. Called inside the write transaction.
fn check_repetition(
    reader: &Reader<'_>,
    settings: &Settings,
    request: &RecordRequest,
    gathered: &Gathered,
) -> Result<Option<SessionRow>, RecordError> {
    if let Some(key) = &request.idempotency_key
        && let Some(earlier) = reader.session_with_key(&request.model, key)?
    {
        if earlier.request_sha256 == gathered.request_sha256 {
            return Ok(Some(earlier));
        }
        let earlier = session_name(&earlier);
        return Err(RecordError::KeyReused { key: key.clone(), earlier });
    }
    let Some(label) = &request.label else { return Ok(None) };
    if let Ok(pointer) = label.as_str().parse::<PointerName>()
        && (pointer == PointerName::prod()
            || settings.pointer_file(&request.model, &pointer).is_some()
            || reader.pointer(&request.model, &pointer)?.is_some())
    {
        return Err(RecordError::LabelIsPointer { label: label.clone() });
    }
    let Some(version) = reader.version_labelled(&request.model, label.as_str())? else {
        return Ok(None);
    };
    match reader.session(&version.session)? {
        Some(earlier) if earlier.request_sha256 == gathered.request_sha256 => Ok(Some(earlier)),
        _ => Err(RecordError::LabelTaken { label: label.clone(), earlier: version.reference() }),
    }
}

fn session_name(session: &SessionRow) -> String {
    match session.version {
        Some(number) => format!("{}@{number}", session.model),
        None => format!("session {}", session.session),
    }
}

/// Where a version's `metadata.json` goes.
#[derive(Debug, Clone)]
struct MetadataTarget {
    path: String,
    replaces: Option<Sha256>,
}

/// Chooses the file: absent or ours is taken; anything else makes way to a longer name; that too
/// foreign is an error unless forced.
fn metadata_target(
    reader: &Reader<'_>,
    request: &RecordRequest,
    artifact: &GatheredArtifact,
) -> Result<MetadataTarget, RecordError> {
    let layout = reader.layout();
    let path = &artifact.path;
    let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
    let inside = |folder: &str, name: &str| match folder {
        "." => name.to_owned(),
        "" => format!("/{name}"),
        folder => format!("{folder}/{name}"),
    };
    let beside = inside(folder, &format!("{name}.metadata.json"));
    let candidates = match &request.metadata {
        Some(given) => vec![layout.recorded(given)?],
        None if artifact.found.kind == Kind::Directory => {
            vec![inside(path, fingerprint::METADATA_NAME), beside]
        }
        None => vec![inside(folder, fingerprint::METADATA_NAME), beside],
    };
    let in_manifest = artifact.found.manifest.as_ref().is_some_and(|manifest| {
        manifest.files.iter().any(|file| file.path == fingerprint::METADATA_NAME)
    });
    let mut last = None;
    for candidate in candidates {
        let target = layout.absolute(&candidate);
        if let Some(other) = directory_around(reader, &candidate, path)? {
            return Err(RecordError::MetadataInside { path: candidate, version: other });
        }
        if target.is_dir() {
            return Err(RecordError::MetadataIsDirectory { path: candidate });
        }
        let replaces = owed::digest_at(layout, &candidate)?;
        // A metadata.json that is part of the artifact is not ours to replace.
        let part = in_manifest && candidate == inside(path, fingerprint::METADATA_NAME);
        let ours = match replaces {
            None => true,
            Some(_) => !part && claims_path(reader, &candidate, path),
        };
        let folder = crate::files::parent(&target);
        if !crate::files::is_writable(folder) {
            let path = folder.to_owned();
            return Err(RecordError::MetadataUnwritable { path });
        }
        if ours || (request.force && !part) {
            return Ok(MetadataTarget { path: candidate, replaces });
        }
        last = Some(candidate);
    }
    Err(RecordError::MetadataForeign { path: last.unwrap_or_default() })
}

/// Another version's directory artifact that a file at `candidate` would become part of.
fn directory_around(
    reader: &Reader<'_>,
    candidate: &str,
    own: &str,
) -> Result<Option<String>, StoreError> {
    let mut folder = candidate;
    while let Some((parent, _)) = folder.rsplit_once('/') {
        if parent != own
            && let Some(version) = reader.directory_at_path(parent)?
        {
            return Ok(Some(version.reference()));
        }
        folder = parent;
    }
    Ok(None)
}

/// Whether the file says that it describes a version of this registry whose artifact is at `path`.
fn claims_path(reader: &Reader<'_>, candidate: &str, path: &str) -> bool {
    let target = reader.layout().absolute(candidate);
    let Ok(Some(bytes)) = crate::files::read_small(&target, 16 * 1024 * 1024) else {
        return false;
    };
    let Some(claim) = metadata::claim(&bytes) else { return false };
    let Ok(model) = claim.model.parse() else { return false };
    claim.registry == reader.id()
        && matches!(reader.version(&model, claim.version), Ok(Some(v)) if v.path == path)
}

fn event(
    request: &RecordRequest,
    gathered: &Gathered,
    number: u64,
    metadata: &Option<MetadataTarget>,
    context: &Context<'_>,
) -> (String, SessionCompleted) {
    let mut random = [0; 16];
    (context.entropy)(&mut random);
    let milliseconds = (context.clock)().unix_microseconds().max(0) as u64 / 1000;
    let session = ulid::Ulid::from_parts(milliseconds, u128::from_le_bytes(random)).to_string();
    let version = gathered.artifact.as_ref().map(|artifact| {
        let (largest_file_path, largest_file_sha256) = artifact.found.largest_file();
        VersionRecord {
            number,
            label: request.label.clone(),
            path: artifact.path.clone(),
            kind: artifact.found.kind,
            sha256: artifact.found.sha256,
            size_bytes: artifact.found.size_bytes,
            files: artifact.found.files(),
            largest_file_path,
            largest_file_sha256,
            stored: request.store,
            metadata_path: metadata.as_ref().map(|m| m.path.clone()).unwrap_or_default(),
            allowed_stand_in: !artifact.found.stand_ins.is_empty(),
        }
    });
    let details = SessionCompleted {
        model: request.model.clone(),
        version,
        model_type: request.model_type.clone(),
        datasets: gathered.datasets.iter().map(|d| dataset_use(request, d)).collect(),
        params: request.params.clone(),
        metrics: request.metrics.clone(),
        seed: request.seed.clone(),
        features: request.features.clone(),
        target: request.target.clone(),
        derived_from: gathered.derived_from.clone(),
        tags: request.tags.clone(),
        note: request.note.clone(),
        environment: None,
        started: request.started,
        idempotency_key: request.idempotency_key.clone(),
        request_sha256: gathered.request_sha256,
    };
    (session, details)
}

fn dataset_use(request: &RecordRequest, dataset: &GatheredDataset) -> DatasetUse {
    let found = &dataset.found;
    let table =
        found.table.as_ref().zip(dataset.columns.clone()).map(|(shape, columns)| TableUse {
            format: json!(shape.format).as_str().unwrap_or_default().to_owned(),
            rows: shape.rows,
            columns,
            content_sha256: None,
            schema: request.expected_columns.as_ref().map(|expected| expected.source.clone()),
        });
    DatasetUse {
        role: dataset.request.role.clone(),
        name: dataset.name.clone(),
        path: dataset.path.clone(),
        kind: found.kind,
        sha256: found.sha256,
        size_bytes: found.size_bytes,
        hashed: Hashed::Bytes,
        table,
        transformations: dataset.request.transformations.clone(),
        source: dataset.request.source.clone(),
        row_range: dataset.request.row_range,
        exclude: found.manifest.as_ref().map(|m| m.excludes.clone()).unwrap_or_default(),
    }
}

fn result(
    details: &SessionCompleted,
    session: String,
    changed: bool,
    twins: Vec<String>,
    warnings: Vec<Warning>,
) -> Recorded {
    let version = details.version.as_ref();
    Recorded {
        model: details.model.to_string(),
        version: version.map(|version| version.number),
        label: version.and_then(|version| version.label.clone()),
        session,
        changed,
        artifact: version.map(|version| RecordedArtifact {
            path: version.path.clone(),
            kind: version.kind,
            sha256: version.sha256,
            size_bytes: version.size_bytes,
            files: version.files,
        }),
        datasets: details.datasets.iter().map(recorded_dataset).collect(),
        twins,
        warnings,
        metadata_path: version.map(|version| version.metadata_path.clone()),
    }
}

fn recorded_dataset(dataset: &DatasetUse) -> RecordedDataset {
    let table = dataset.table.as_ref();
    RecordedDataset {
        role: dataset.role.to_string(),
        name: dataset.name.to_string(),
        path: dataset.path.clone(),
        kind: dataset.kind,
        sha256: dataset.sha256,
        content_sha256: table.and_then(|table| table.content_sha256),
        rows: table.map(|table| table.rows),
        columns: table.map(|table| table.columns.count),
        hashed: dataset.hashed,
    }
}

/// What the earlier call recorded, as it recorded it.
fn earlier_result(
    registry: &Registry,
    earlier: &SessionRow,
    mut twins: Vec<String>,
    mut warnings: Vec<Warning>,
) -> Result<Recorded, RecordError> {
    let (entry, _) = registry.read(|reader| lookup::entry(reader, earlier.seq))?;
    let Event::SessionCompleted(details) = entry.event().map_err(StoreError::from)? else {
        let problem = "it is not the session that its row says".to_owned();
        return Err(StoreError::Inapplicable { seq: earlier.seq, problem }.into());
    };
    let own = earlier.version.map(|number| format!("{}@{number}", earlier.model));
    twins.retain(|twin| Some(twin) != own.as_ref());
    // That this repeats the earlier call is the answer, not a warning.
    warnings.retain(|warning| !matches!(warning.code, "twin" | "twin-file"));
    Ok(result(&details, earlier.session.clone(), false, twins, warnings))
}

fn preview(
    registry: &Registry,
    settings: &Settings,
    request: &RecordRequest,
    gathered: &Gathered,
    (twins, warnings): (Vec<String>, Vec<Warning>),
    metadata: &Option<MetadataTarget>,
    context: &Context<'_>,
) -> Result<Recorded, RecordError> {
    let earlier = registry.read(|reader| check_repetition(reader, settings, request, gathered))?;
    if let Some(earlier) = earlier {
        return earlier_result(registry, &earlier, twins, warnings);
    }
    let latest = registry.read(|reader| reader.latest_version(&request.model))?;
    let next = latest.map_or(1, |version| version.number + 1);
    let (_, details) = event(request, gathered, next, metadata, context);
    Ok(result(&details, String::new(), true, twins, warnings))
}

/// For messages: what could not be put right before this command.
pub(crate) fn unrepaired_warnings(unrepaired: &[Unrepaired]) -> Vec<Warning> {
    unrepaired
        .iter()
        .map(|file| Warning {
            code: "unrepaired",
            message: format!(
                "{}, left by an interrupted command, is still not as it must be: {}",
                file.path, file.reason
            ),
        })
        .collect()
}
