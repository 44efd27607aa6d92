//! Recording a training session: one call, one event, and a version if there is an artifact.

mod gather;
mod inputs;
mod inspection;
mod place;
mod request;
mod secrets;
mod warnings;

pub use inputs::{
    InputFileError, NamedMetrics, SeriesByName, features_from_file, metrics_from_json,
    parameters_from_json,
};
pub use request::{
    DatasetRequest, DeclaredSchema, RecordError, RecordRequest, RecordSpec, SpecError,
};
pub use secrets::{redact_parameter, redact_tag, redact_text};

use serde::{Serialize, Serializer};

pub(crate) use self::gather::{Gathered, gather, store_bytes};
use self::place::{MetadataTarget, metadata_target};
pub(crate) use self::warnings::{datasets as table_warnings, secrets as secret_warnings};
use crate::context::{Context, Step};
use crate::digest::{Kind, Sha256};
use crate::events::{
    DatasetUse, EntryError, Event, Hashed, Payload, SessionCompleted, VersionRecord,
};
use crate::lookup;
use crate::metadata;
use crate::names::{Label, PointerName};
use crate::owed::{self, Placed, Unrepaired};
use crate::reproducibility::Parts;
use crate::settings::Settings;
use crate::store::{
    OwedFile, OwedKind, Reader, Registry, SessionRow, StoreError, TrainingRow, TrainingState,
};

/// What was recorded.
#[derive(Debug, Clone, Serialize)]
pub struct Recorded {
    /// The model.
    pub model: String,
    /// The version's number; none without an artifact.
    pub version: Option<u64>,
    /// Its label.
    pub label: Option<Label>,
    /// The session's ULID; empty, and null in a document, in a dry run that would make it.
    #[serde(serialize_with = "null_if_empty")]
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

pub(crate) fn null_if_empty<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    Some(text).filter(|text| !text.is_empty()).serialize(serializer)
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
    let mut known = |_: &Reader<'_>, _| Ok(Some((request.clone(), None)));
    record_known(registry, settings, request.dry_run, &mut known, context)
}

/// A session that was started before, and is now recorded as a whole.
#[derive(Debug, Clone)]
pub(crate) struct Begun {
    /// Its ULID, and the last entry that was read of it; none when it has ended and this is another.
    pub(crate) open: Option<(String, u64)>,
    /// Its data, as it was found when it was named.
    pub(crate) datasets: Vec<DatasetUse>,
}

/// What is known of a session that is to be recorded as a whole. It is asked once more when the session was
/// told more meanwhile; none when that would take hashing, which the second argument may forbid.
type Known<'a> = &'a mut dyn FnMut(
    &Reader<'_>,
    bool,
) -> Result<Option<(RecordRequest, Option<Begun>)>, RecordError>;

/// As [`record`], what `known` says. Nothing that is said of the session before the transaction is left out,
/// and nothing is hashed again for it.
pub(crate) fn record_known(
    registry: &mut Registry,
    settings: &Settings,
    dry_run: bool,
    known: Known<'_>,
    context: &Context<'_>,
) -> Result<Recorded, RecordError> {
    let in_flight = if dry_run { None } else { Some(owed::enter(registry, settings, context)?) };
    let unrepaired = in_flight.as_ref().map_or(&[][..], |flight| &flight.unrepaired);
    let settled = in_flight.as_ref().map_or(&[][..], |flight| &flight.settled);
    let mut before: Option<Whole> = None;
    loop {
        let Some((mut request, begun)) = registry.read(|reader| known(reader, true))? else {
            continue;
        };
        request.normalise()?;
        let gathered = match before.take() {
            Some(whole) if same_files(&whole.request, &request) => {
                whole.gathered.retold(&request, begun.as_ref())?
            }
            _ => gather(registry, settings, &request, begun.as_ref(), context)?,
        };
        let mut whole = Whole { request, begun, gathered };
        let Whole { request, begun, gathered } = &mut whole;
        // What is taken over was trained under no policy of ours, and cannot be trained otherwise any
        // more. What we ran ourselves is not taken over, even when it is recorded late.
        if begun.is_some() || request.claims.is_none() || request.run.is_some() {
            policy(settings, request, gathered.datasets.len())?;
        }
        let (twins, mut warnings) = warnings::of(registry, request, gathered, unrepaired)?;
        let metadata = match &gathered.artifact {
            Some(artifact) => Some(registry.read(|r| metadata_target(r, request, artifact))?),
            None => None,
        };
        if request.dry_run {
            let plan = whole.plan(&metadata);
            return preview(registry, settings, &plan, (twins, warnings), context);
        }
        store_bytes(registry.layout(), request, gathered, context)?;
        context.observer.step(Step::ObjectsStored);
        match append(registry, settings, &mut whole, known, (&metadata, settled), context)? {
            Outcome::Told => before = Some(whole),
            Outcome::Earlier(earlier) => {
                return earlier_result(registry, &earlier, twins, warnings);
            }
            Outcome::New { session, details, owed } => {
                warnings.extend(owed.and_then(|owed| place(registry, &owed, context)));
                return Ok(result(&details, session, true, twins, warnings));
            }
        }
    }
}

/// Everything about a session but for what the transaction decides.
struct Whole {
    request: RecordRequest,
    begun: Option<Begun>,
    gathered: Gathered,
}

impl Whole {
    fn plan<'a>(&'a self, metadata: &'a Option<MetadataTarget>) -> Plan<'a> {
        let Whole { request, begun, gathered } = self;
        Plan { request, gathered, begun: begun.as_ref(), metadata }
    }

    /// Whether the session was told more since it was read. One that has ended is an error.
    fn is_behind(&self, reader: &Reader<'_>) -> Result<bool, RecordError> {
        match self.begun.as_ref().and_then(|begun| begun.open.as_ref()) {
            None => Ok(false),
            Some((session, last_seq)) => Ok(must_be_open(reader, session)?.last_seq != *last_seq),
        }
    }

    /// Takes in what the session was told; false when that would take hashing. Called inside the transaction,
    /// where nobody can tell it more.
    fn catch_up(
        &mut self,
        reader: &Reader<'_>,
        known: Known<'_>,
        context: &Context<'_>,
    ) -> Result<bool, RecordError> {
        let Some((mut request, begun)) = known(reader, false)? else { return Ok(false) };
        request.normalise()?;
        if !same_files(&self.request, &request) {
            return Ok(false);
        }
        self.gathered.retell(&request, begun.as_ref())?;
        store_bytes(reader.layout(), &request, &mut self.gathered, context)?;
        (self.request, self.begun) = (request, begun);
        Ok(true)
    }
}

/// Whether both name the same bytes.
fn same_files(left: &RecordRequest, right: &RecordRequest) -> bool {
    (&left.artifact, &left.datasets) == (&right.artifact, &right.datasets)
}

/// The transaction: checks what was decided on an earlier state, and appends the entry.
fn append(
    registry: &mut Registry,
    settings: &Settings,
    whole: &mut Whole,
    known: Known<'_>,
    (metadata, settled): (&Option<MetadataTarget>, &[OwedFile]),
    context: &Context<'_>,
) -> Result<Outcome, RecordError> {
    registry.write(context, |writer| {
        writer.settle(settled)?;
        if whole.is_behind(writer)? && !whole.catch_up(writer, known, context)? {
            return Ok(Outcome::Told);
        }
        let plan = whole.plan(metadata);
        let Plan { request, gathered, .. } = plan;
        if let Some(earlier) = check_repetition(writer, settings, request, gathered)? {
            return Ok(Outcome::Earlier(Box::new(earlier)));
        }
        let number = match &gathered.artifact {
            Some(_) => writer.latest_version(&request.model)?.map_or(1, |v| v.number + 1),
            None => 0,
        };
        let (session, details) = event(&plan, number, context);
        let event = Event::SessionCompleted(Box::new(details.clone()));
        let appended = writer.append(&event, Some(&session))?;
        let mut owed = None;
        if let Some(target) = metadata {
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
    })
}

/// Writes `metadata.json`; a warning when it is not as it must be.
fn place(registry: &mut Registry, owed: &OwedFile, context: &Context<'_>) -> Option<Warning> {
    let (code, message) = match owed::place_metadata(registry, owed, context) {
        Ok(Placed::Written) => return None,
        Ok(Placed::Edited) => {
            ("metadata-edited", format!("{} was edited meanwhile, and left alone", owed.path))
        }
        Err(error) => (
            "metadata-owed",
            format!(
                "{} could not be written ({error}); the next command that writes tries again",
                owed.path
            ),
        ),
    };
    Some(Warning { code, message })
}

/// The details of the session that a request would record now. Nothing is written, and no earlier reading
/// is trusted.
pub fn planned(
    registry: &Registry,
    settings: &Settings,
    request: &RecordRequest,
    context: &Context<'_>,
) -> Result<SessionCompleted, RecordError> {
    let mut request = RecordRequest { dry_run: true, ..request.clone() };
    request.normalise()?;
    let gathered = gather(registry, settings, &request, None, context)?;
    let plan = Plan { request: &request, gathered: &gathered, begun: None, metadata: &None };
    Ok(event(&plan, 0, context).1)
}

enum Outcome {
    New {
        session: String,
        details: Box<SessionCompleted>,
        owed: Option<OwedFile>,
    },
    Earlier(Box<SessionRow>),
    /// Files were named to the session since it was read, which are to be hashed first.
    Told,
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

/// The id of a new session: a ULID.
pub(crate) fn new_session(context: &Context<'_>) -> String {
    let mut random = [0; 16];
    (context.entropy)(&mut random);
    let milliseconds = (context.clock)().unix_microseconds().max(0) as u64 / 1000;
    ulid::Ulid::from_parts(milliseconds, u128::from_le_bytes(random)).to_string()
}

/// Refuses a session that was never started or has ended.
pub(crate) fn must_be_open(reader: &Reader<'_>, session: &str) -> Result<TrainingRow, RecordError> {
    match reader.training(session)? {
        None => Err(RecordError::NoSession(session.to_owned())),
        Some(row) if row.state != TrainingState::Open => {
            Err(RecordError::SessionEnded { session: session.to_owned(), state: row.state })
        }
        Some(row) => Ok(row),
    }
}

/// Refuses a session of so many datasets that has not all that the settings require.
pub fn policy(
    settings: &Settings,
    request: &RecordRequest,
    datasets: usize,
) -> Result<(), RecordError> {
    let required = &settings.policies.training;
    let code = request.capture.as_ref().and_then(|capture| capture.code.as_ref());
    let missing = [
        (required.require_seed && request.seed.is_none(), "a seed (--seed N)"),
        (required.require_datasets && datasets == 0, "its data (--data ROLE=PATH)"),
        (
            required.require_environment && request.capture.is_none(),
            "its environment (--environment auto)",
        ),
        (
            required.require_clean_git && code.is_none_or(|code| code.dirty),
            "code that is as git has it committed",
        ),
    ];
    let missing: Vec<_> = missing.iter().filter(|(is, _)| *is).map(|(_, what)| *what).collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(RecordError::Policy { missing }),
    }
}

/// All that an entry is made of but for what the transaction decides.
struct Plan<'a> {
    request: &'a RecordRequest,
    gathered: &'a Gathered,
    begun: Option<&'a Begun>,
    metadata: &'a Option<MetadataTarget>,
}

fn event(plan: &Plan<'_>, number: u64, context: &Context<'_>) -> (String, SessionCompleted) {
    let Plan { request, gathered, begun, metadata } = *plan;
    let open = begun.and_then(|begun| begun.open.as_ref());
    let session = open.map_or_else(|| new_session(context), |(session, _)| session.clone());
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
            inspection: artifact.inspection(),
        }
    });
    let capture = request.capture.as_ref();
    let mut details = SessionCompleted {
        model: request.model.clone(),
        version,
        model_type: request.model_type.clone(),
        datasets: gathered.datasets.iter().map(|dataset| dataset.used.clone()).collect(),
        params: request.params.clone(),
        metrics: request.metrics.clone(),
        seed: request.seed.clone(),
        features: request.features.clone(),
        target: request.target.clone(),
        derived_from: gathered.derived_from.clone(),
        tags: request.tags.clone(),
        note: request.note.clone(),
        environment: gathered.environment.as_deref().map(Payload::of),
        code: capture.and_then(|capture| capture.code.clone()),
        reproducibility_sha256: None,
        run: request.run,
        series: gathered.series.iter().map(|(series, _)| series.clone()).collect(),
        claims: request.claims.clone(),
        started: request.started,
        idempotency_key: request.idempotency_key.clone(),
        request_sha256: gathered.request_sha256,
    };
    let environment = capture.map(|capture| &capture.environment);
    details.reproducibility_sha256 = Parts::of(&details, environment).sha256();
    (session, details)
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

/// What the entry of a recorded session says.
pub(crate) fn recorded_details(
    registry: &Registry,
    session: &SessionRow,
) -> Result<SessionCompleted, RecordError> {
    let (entry, _) = registry.read(|reader| lookup::entry(reader, session.seq))?;
    match entry.event().map_err(StoreError::from)? {
        Event::SessionCompleted(details) => Ok(*details),
        _ => {
            let problem = "it is not the session that its row says".to_owned();
            Err(StoreError::Inapplicable { seq: session.seq, problem }.into())
        }
    }
}

/// What the earlier call recorded, as it recorded it.
pub(crate) fn earlier_result(
    registry: &Registry,
    earlier: &SessionRow,
    mut twins: Vec<String>,
    mut warnings: Vec<Warning>,
) -> Result<Recorded, RecordError> {
    let details = recorded_details(registry, earlier)?;
    let own = earlier.version.map(|number| format!("{}@{number}", earlier.model));
    twins.retain(|twin| Some(twin) != own.as_ref());
    // That this repeats the earlier call is the answer, not a warning.
    warnings.retain(|warning| !matches!(warning.code, "twin" | "twin-file"));
    Ok(result(&details, earlier.session.clone(), false, twins, warnings))
}

fn preview(
    registry: &Registry,
    settings: &Settings,
    plan: &Plan<'_>,
    (twins, warnings): (Vec<String>, Vec<Warning>),
    context: &Context<'_>,
) -> Result<Recorded, RecordError> {
    let Plan { request, gathered, begun, .. } = *plan;
    let earlier = registry.read(|reader| check_repetition(reader, settings, request, gathered))?;
    if let Some(earlier) = earlier {
        return earlier_result(registry, &earlier, twins, warnings);
    }
    let latest = registry.read(|reader| reader.latest_version(&request.model))?;
    let next = latest.map_or(1, |version| version.number + 1);
    let (_, details) = event(plan, next, context);
    let open = begun.and_then(|begun| begun.open.as_ref());
    let session = open.map(|(session, _)| session.clone()).unwrap_or_default();
    Ok(result(&details, session, true, twins, warnings))
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
