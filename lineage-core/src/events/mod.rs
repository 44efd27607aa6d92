//! Everything that can happen to a registry. One mutation is one event; its entry's bytes are final
//! (`docs/formats/registry-events.md`).

mod entry;
mod pointer;
mod session;
mod training;

pub use entry::{ActorRef, ENTRY_BYTES_MAX, Entry, EntryError, Origin, RiskImpact};
pub use pointer::{
    AdoptedExternally, MoveAction, OverwrittenFile, PointerAdopted, PointerMoved, PointerRefused,
    PointerUnset, Served, ServedFrom,
};
pub use session::{
    Claims, Code, Columns, DatasetUse, DerivedFrom, Hashed, InspectionRecord, Metric, MetricValue,
    Parameter, ParameterType, Payload, RowRange, Run, SchemaSource, Series, SessionCompleted,
    TableUse, Tag, VersionRecord,
};
pub use training::{Point, SessionFacts, SessionFailed, SessionStarted, SessionUpdated};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Sha256;

/// The registry came into being. Always entry 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryCreated {
    /// The number of log tables' migrations when it was made.
    pub log_schema: u32,
}

/// A person acted for the first time. What is known of them lies outside the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonIntroduced {
    /// The random id under which entries name the person.
    pub person: String,
    /// SHA-256 of a 32-byte salt followed by the canonical JSON of the identity.
    pub commitment: Sha256,
}

/// One thing that happened, with the facts that follow from it.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// `registry.created`
    RegistryCreated(RegistryCreated),
    /// `person.introduced`
    PersonIntroduced(PersonIntroduced),
    /// `session.started`
    SessionStarted(Box<SessionStarted>),
    /// `session.updated`
    SessionUpdated(Box<SessionUpdated>),
    /// `session.failed`
    SessionFailed(Box<SessionFailed>),
    /// `session.completed`
    SessionCompleted(Box<SessionCompleted>),
    /// `pointer.moved`
    PointerMoved(PointerMoved),
    /// `pointer.adopted`
    PointerAdopted(PointerAdopted),
    /// `pointer.unset`
    PointerUnset(PointerUnset),
    /// `pointer.refused`
    PointerRefused(PointerRefused),
}

/// What every event of a type has in common.
pub(crate) struct TypeFacts {
    pub(crate) name: &'static str,
    pub(crate) component: &'static str,
    pub(crate) risk_impact: RiskImpact,
    pub(crate) compliance_tags: &'static [&'static str],
}

impl Event {
    pub(crate) fn facts(&self) -> TypeFacts {
        let facts = |name, component, risk_impact, compliance_tags| TypeFacts {
            name,
            component,
            risk_impact,
            compliance_tags,
        };
        use RiskImpact::{High, Low, Medium};
        match self {
            Event::RegistryCreated(_) => {
                facts("registry.created", "registry", Low, &["record-keeping"])
            }
            Event::PersonIntroduced(_) => {
                facts("person.introduced", "people", Low, &["personal-data", "record-keeping"])
            }
            Event::SessionStarted(_) => {
                facts("session.started", "training", Low, &["data-provenance", "record-keeping"])
            }
            Event::SessionUpdated(_) => {
                facts("session.updated", "training", Low, &["data-provenance", "record-keeping"])
            }
            Event::SessionFailed(_) => {
                facts("session.failed", "training", Low, &["data-provenance", "record-keeping"])
            }
            Event::SessionCompleted(_) => {
                facts("session.completed", "training", Low, &["data-provenance", "record-keeping"])
            }
            Event::PointerMoved(_) => {
                facts("pointer.moved", "release", High, &["change-management"])
            }
            Event::PointerAdopted(_) => {
                facts("pointer.adopted", "release", High, &["change-management"])
            }
            Event::PointerUnset(_) => {
                facts("pointer.unset", "release", High, &["change-management"])
            }
            Event::PointerRefused(_) => {
                facts("pointer.refused", "release", Medium, &["change-management"])
            }
        }
    }

    /// The verb of this event, e.g. `promote`.
    pub fn action(&self) -> &'static str {
        match self {
            Event::RegistryCreated(_) => "create",
            Event::PersonIntroduced(_) => "introduce",
            Event::SessionStarted(_) => "start",
            Event::SessionUpdated(_) => "update",
            Event::SessionFailed(_) => "fail",
            Event::SessionCompleted(_) => "complete",
            Event::PointerMoved(moved) => moved.action.as_str(),
            Event::PointerAdopted(_) => "adopt",
            Event::PointerUnset(_) => "unset",
            Event::PointerRefused(_) => "refuse",
        }
    }

    /// What the event is about: a version (`fraud@3`), a model, or a pointer (`fraud@prod`).
    pub fn subject(&self) -> Option<String> {
        match self {
            Event::RegistryCreated(_) => None,
            Event::PersonIntroduced(introduced) => Some(introduced.person.clone()),
            Event::SessionStarted(e) => Some(e.model.to_string()),
            Event::SessionUpdated(e) => Some(e.model.to_string()),
            Event::SessionFailed(e) => Some(e.model.to_string()),
            Event::SessionCompleted(session) => Some(match &session.version {
                Some(version) => format!("{}@{}", session.model, version.number),
                None => session.model.to_string(),
            }),
            Event::PointerMoved(e) => Some(format!("{}@{}", e.model, e.pointer)),
            Event::PointerAdopted(e) => Some(format!("{}@{}", e.model, e.pointer)),
            Event::PointerUnset(e) => Some(format!("{}@{}", e.model, e.pointer)),
            Event::PointerRefused(e) => Some(format!("{}@{}", e.model, e.pointer)),
        }
    }

    pub(crate) fn details(&self) -> Result<Value, serde_json::Error> {
        match self {
            Event::RegistryCreated(details) => serde_json::to_value(details),
            Event::PersonIntroduced(details) => serde_json::to_value(details),
            Event::SessionStarted(details) => serde_json::to_value(details),
            Event::SessionUpdated(details) => serde_json::to_value(details),
            Event::SessionFailed(details) => serde_json::to_value(details),
            Event::SessionCompleted(details) => serde_json::to_value(details),
            Event::PointerMoved(details) => serde_json::to_value(details),
            Event::PointerAdopted(details) => serde_json::to_value(details),
            Event::PointerUnset(details) => serde_json::to_value(details),
            Event::PointerRefused(details) => serde_json::to_value(details),
        }
    }

    /// Whether this program can apply events of a type and version. A new type also raises the
    /// number of the tables' schema, so that an older program does not even open the registry.
    pub(crate) fn is_known(name: &str, version: u32) -> bool {
        Event::from_details(name, version, &Value::Null).is_some()
    }

    /// Reads details of a released type and version; `None` when the pair is not known here.
    pub(crate) fn from_details(
        name: &str,
        version: u32,
        details: &Value,
    ) -> Option<Result<Event, serde_json::Error>> {
        fn read<'a, T: Deserialize<'a>>(details: &'a Value) -> Result<T, serde_json::Error> {
            T::deserialize(details)
        }
        Some(match (name, version) {
            ("registry.created", 1) => read(details).map(Event::RegistryCreated),
            ("person.introduced", 1) => read(details).map(Event::PersonIntroduced),
            ("session.started", 1) => read(details).map(Event::SessionStarted),
            ("session.updated", 1) => read(details).map(Event::SessionUpdated),
            ("session.failed", 1) => read(details).map(Event::SessionFailed),
            ("session.completed", 1) => read(details).map(Event::SessionCompleted),
            ("pointer.moved", 1) => read(details).map(Event::PointerMoved),
            ("pointer.adopted", 1) => read(details).map(Event::PointerAdopted),
            ("pointer.unset", 1) => read(details).map(Event::PointerUnset),
            ("pointer.refused", 1) => read(details).map(Event::PointerRefused),
            _ => return None,
        })
    }
}
