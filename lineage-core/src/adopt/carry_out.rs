//! Doing what was planned: settings, then versions, then pointers.

use serde::Serialize;

use super::report::{Plan, PlannedPointer, PlannedVersion, Standing};
use crate::context::{Context, Timestamp};
use crate::digest::Sha256;
use crate::events::Claims;
use crate::files::FileError;
use crate::init;
use crate::names::{Label, ModelName, PointerName, Selector};
use crate::pointer::{self, Expectation, External, PointerError, PromoteRequest};
use crate::record::{self, RecordRequest, Warning};
use crate::settings::Settings;
use crate::store::Registry;
use crate::takeover::TakeoverError;

/// What was adopted.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Adopted {
    /// The versions, in the order of their dates.
    pub versions: Vec<AdoptedVersion>,
    /// The pointer files.
    pub pointers: Vec<AdoptedPointer>,
    /// What recording had to say.
    #[serde(skip)]
    pub warnings: Vec<Warning>,
}

/// A version of the folder.
#[derive(Debug, Clone, Serialize)]
pub struct AdoptedVersion {
    /// Its model.
    pub model: ModelName,
    /// Its number.
    pub version: u64,
    /// Its second name, from the file or folder.
    pub label: Option<Label>,
    /// Its session; none in a dry run, and of a version that the registry had already.
    pub session: Option<String>,
    /// False when the registry had it already.
    pub changed: bool,
    /// The artifact.
    pub path: String,
    /// Its identity.
    pub sha256: Sha256,
    /// When it was made, as its files claim.
    pub created: Option<Timestamp>,
    /// What claims it.
    pub created_from: String,
    /// How many metrics were found.
    pub metrics: usize,
    /// How many parameters.
    pub params: usize,
    /// How many feature columns.
    pub features: usize,
}

/// A pointer file of the folder.
#[derive(Debug, Clone, Serialize)]
pub struct AdoptedPointer {
    /// The model of the version that it names.
    pub model: ModelName,
    /// The pointer.
    pub pointer: PointerName,
    /// The file.
    pub file: String,
    /// The path in it, as written.
    pub written: String,
    /// The version that it names.
    pub version: u64,
    /// `set`, `managed` or `left`.
    pub standing: Standing,
    /// The log entry that set it; none when none did.
    pub event_seq: Option<u64>,
}

impl From<&Plan> for Adopted {
    /// What would be adopted.
    fn from(plan: &Plan) -> Adopted {
        Adopted {
            versions: plan.versions.iter().map(AdoptedVersion::from).collect(),
            pointers: plan.pointers.iter().map(AdoptedPointer::from).collect(),
            warnings: Vec::new(),
        }
    }
}

impl From<&PlannedVersion> for AdoptedVersion {
    fn from(planned: &PlannedVersion) -> AdoptedVersion {
        let (metrics, params, features) = planned.counts();
        AdoptedVersion {
            model: planned.model.clone(),
            version: planned.number,
            label: planned.label.clone(),
            session: None,
            changed: !planned.known,
            path: planned.path.clone(),
            sha256: planned.sha256,
            created: planned.created,
            created_from: planned.created_from.clone(),
            metrics,
            params,
            features,
        }
    }
}

impl From<&PlannedPointer> for AdoptedPointer {
    fn from(planned: &PlannedPointer) -> AdoptedPointer {
        AdoptedPointer {
            model: planned.model.clone(),
            pointer: planned.pointer.clone(),
            file: planned.file.clone(),
            written: planned.written.clone(),
            version: planned.version,
            standing: planned.standing,
            event_seq: None,
        }
    }
}

/// Records what was planned, in a registry that exists. Doing it again changes nothing, so it may be
/// repeated after an interruption.
pub fn carry_out(
    registry: &mut Registry,
    plan: &Plan,
    context: &Context<'_>,
) -> Result<Adopted, TakeoverError> {
    init::add_settings(registry.layout(), &plan.settings, context)?;
    let settings = Settings::load(&registry.layout().settings())?;
    let mut adopted = Adopted::from(plan);
    for (planned, done) in plan.versions.iter().zip(&mut adopted.versions) {
        if planned.known {
            continue;
        }
        if context.observer.interrupted() {
            return Err(FileError::Interrupted.into());
        }
        let request = request(registry, planned);
        let recorded = record::record(registry, &settings, &request, context).map_err(|error| {
            TakeoverError::Record { subject: planned.path.clone(), error: Box::new(error) }
        })?;
        done.version = recorded.version.unwrap_or(planned.number);
        done.session = Some(recorded.session);
        done.changed = recorded.changed;
        // Twins are findings already, of all versions at once.
        let news =
            recorded.warnings.into_iter().filter(|warning| !warning.code.starts_with("twin"));
        adopted.warnings.extend(news.map(|warning| Warning {
            message: format!("{}: {}", planned.path, warning.message),
            ..warning
        }));
    }
    for index in 0..adopted.pointers.len() {
        let planned = &plan.pointers[index];
        if planned.standing == Standing::Set {
            let at = plan.versions.iter().position(|version| version.path == planned.path);
            let version = at.map_or(planned.version, |at| adopted.versions[at].version);
            let moved = set(registry, &settings, planned, version, context)?;
            adopted.pointers[index].version = version;
            adopted.pointers[index].event_seq = moved.event_seq;
        }
    }
    Ok(adopted)
}

fn request(registry: &Registry, planned: &PlannedVersion) -> RecordRequest {
    let told = &planned.told;
    let mut facts = told.facts.clone();
    facts.insert("created_from".to_owned(), planned.created_from.clone());
    if let Some(modified) = planned.modified {
        facts.insert("modified".to_owned(), modified.to_string());
    }
    let mut request = RecordRequest::new(planned.model.clone());
    request.artifact = Some(registry.layout().absolute(&planned.path));
    request.label = planned.label.clone();
    request.metrics = told.metrics.clone();
    request.params = told.params.clone();
    request.seed = told.seed.clone().filter(|seed| seed.len() <= 40);
    request.features = told.features.clone();
    request.target = told.target.iter().cloned().collect();
    request.claims = Some(Claims { source: "adopt".to_owned(), created: planned.created, facts });
    request.idempotency_key = Some(format!("adopt:{}:{}", planned.path, planned.sha256));
    request
}

/// Takes the file as the truth; where it is written in a way that only a person understands, it is
/// written anew, and the log keeps what it said.
fn set(
    registry: &mut Registry,
    settings: &Settings,
    planned: &PlannedPointer,
    version: u64,
    context: &Context<'_>,
) -> Result<pointer::Moved, TakeoverError> {
    let request = |external| PromoteRequest {
        model: planned.model.clone(),
        version: Some(Selector::Number(version)),
        pointer: planned.pointer.clone(),
        expect: Some(Expectation::Nothing),
        reason: Some(format!("adopted from {}, which named {}", planned.file, planned.written)),
        allow_quarantined: false,
        external,
        dry_run: false,
    };
    match pointer::promote(registry, settings, &request(External::Accept), context) {
        Err(PointerError::ExternalUnknown { .. } | PointerError::Moved { .. }) => {
            Ok(pointer::promote(registry, settings, &request(External::Overwrite), context)?)
        }
        other => Ok(other?),
    }
}
