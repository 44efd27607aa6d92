//! The envelope around an event: one canonical JSON object, chained to the one before it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Event;
use crate::canonical::{self, CanonicalError};
use crate::context::{ActorSource, Timestamp};
use crate::digest::Sha256;

/// The largest entry: 1 MiB. Larger facts go to the object store and are named by digest.
pub const ENTRY_BYTES_MAX: usize = 1024 * 1024;

/// How much harm an event of its kind could do if it were wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "the words are the documentation")]
pub enum RiskImpact {
    Low,
    Medium,
    High,
    Critical,
}

/// The person who acted, under the random id that stands for them in this registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActorRef {
    /// `p-` and 26 characters.
    pub id: String,
    /// Where the identity was taken from.
    pub source: ActorSource,
}

/// One entry of the log. Its canonical bytes are stored, hashed and exported, and never made again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The envelope's version: 1.
    pub v: u32,
    /// Program and version that wrote it.
    pub writer: String,
    /// 0, 1, 2, … without gaps.
    pub seq: u64,
    /// When it was written; the order is `seq`, not this.
    pub time: Timestamp,
    /// The registry's UUID.
    pub registry: String,
    /// E.g. `session.completed`.
    pub r#type: String,
    /// The version of `details` for this type.
    pub details_v: u32,
    /// The part of the product.
    pub component: String,
    /// The verb.
    pub action: String,
    /// Who.
    pub actor: ActorRef,
    /// The training session (a ULID), if the event belongs to one.
    pub session: Option<String>,
    /// What it is about, e.g. `fraud@3`.
    pub subject: Option<String>,
    /// The facts of the event.
    pub details: Value,
    /// How much harm it could do.
    pub risk_impact: RiskImpact,
    /// Under which obligations it is evidence.
    pub compliance_tags: Vec<String>,
    /// SHA-256 of the entry before; 64 zeros in entry 0.
    pub prev: Sha256,
}

/// An entry cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// Not canonical JSON.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// JSON, but not an entry, or with details that do not fit their type.
    #[error("not a valid entry: {0}")]
    Shape(#[from] serde_json::Error),
    /// A type or version that this program does not know.
    #[error(
        "entry {seq} is of type \"{name}\" version {version}, which this version of lineage does not know"
    )]
    Unknown {
        /// The entry's number.
        seq: u64,
        /// Its type.
        name: String,
        /// Its version of details.
        version: u32,
    },
    /// Larger than [`ENTRY_BYTES_MAX`].
    #[error(
        "the record is too large: its log entry would have {bytes} bytes, the limit is {ENTRY_BYTES_MAX}"
    )]
    TooLarge {
        /// How large it would be.
        bytes: usize,
    },
}

/// What an entry takes from the log and the world rather than from its event.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Program and version.
    pub writer: String,
    /// The entry's number.
    pub seq: u64,
    /// The present time.
    pub time: Timestamp,
    /// The time of the entry before, which may be later: a clock that went backwards.
    pub previous_time: Option<Timestamp>,
    /// The registry's UUID.
    pub registry: String,
    /// Who acts.
    pub actor: ActorRef,
    /// The training session.
    pub session: Option<String>,
    /// The digest of the entry before.
    pub prev: Sha256,
}

impl Entry {
    /// The entry for `event`. A clock that went backwards is stated in the details as
    /// `clock_behind_us`, in microseconds.
    pub fn new(event: &Event, origin: Origin) -> Result<Entry, EntryError> {
        let facts = event.facts();
        let mut details = event.details()?;
        if let (Some(previous), Value::Object(map)) = (origin.previous_time, &mut details) {
            let behind = previous.unix_microseconds() - origin.time.unix_microseconds();
            if behind > 0 {
                map.insert("clock_behind_us".to_owned(), Value::from(behind));
            }
        }
        Ok(Entry {
            v: 1,
            writer: origin.writer,
            seq: origin.seq,
            time: origin.time,
            registry: origin.registry,
            r#type: facts.name.to_owned(),
            details_v: 1,
            component: facts.component.to_owned(),
            action: event.action().to_owned(),
            actor: origin.actor,
            session: origin.session,
            subject: event.subject(),
            details,
            risk_impact: facts.risk_impact,
            compliance_tags: facts.compliance_tags.iter().map(|tag| (*tag).to_owned()).collect(),
            prev: origin.prev,
        })
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EntryError> {
        let bytes = canonical::to_bytes(&serde_json::to_value(self)?)?;
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(EntryError::TooLarge { bytes: bytes.len() });
        }
        Ok(bytes)
    }

    /// Reads canonical bytes; any other form is refused.
    pub fn parse(bytes: &[u8]) -> Result<Entry, EntryError> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(EntryError::TooLarge { bytes: bytes.len() });
        }
        Ok(Entry::deserialize(canonical::parse_canonical(bytes)?)?)
    }

    /// Whether component, action and subject are those of the event.
    pub(crate) fn envelops(&self, event: &Event) -> bool {
        self.component == event.facts().component
            && self.action == event.action()
            && self.subject == event.subject()
    }

    /// What happened.
    pub fn event(&self) -> Result<Event, EntryError> {
        match Event::from_details(&self.r#type, self.details_v, &self.details) {
            Some(event) if self.v == 1 => Ok(event?),
            _ => Err(EntryError::Unknown {
                seq: self.seq,
                name: self.r#type.clone(),
                version: self.details_v,
            }),
        }
    }
}
