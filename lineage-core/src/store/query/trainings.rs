//! Sessions that were started before they were recorded.

use std::fmt;
use std::str::FromStr;

use rusqlite::{Row, params};

use super::super::error::StoreError;
use super::{Reader, StoredEntry, int, optional_parsed, parsed, plain, unsigned};
use crate::context::Timestamp;
use crate::digest::Sha256;
use crate::names::ModelName;

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainingState {
    /// It was started and has not ended.
    Open,
    /// It was recorded.
    Completed,
    /// It ended without a result.
    Failed,
}

impl TrainingState {
    /// The word in tables and documents.
    pub fn as_str(self) -> &'static str {
        match self {
            TrainingState::Open => "open",
            TrainingState::Completed => "completed",
            TrainingState::Failed => "failed",
        }
    }

    /// The rest of a sentence that begins with "the session has".
    pub fn sentence(self) -> &'static str {
        match self {
            TrainingState::Open => "not ended",
            TrainingState::Completed => "been completed already",
            TrainingState::Failed => "failed already",
        }
    }
}

impl fmt::Display for TrainingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text is not a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected open, completed or failed")]
pub struct NoState;

impl FromStr for TrainingState {
    type Err = NoState;

    fn from_str(text: &str) -> Result<TrainingState, NoState> {
        use TrainingState::{Completed, Failed, Open};
        [Open, Completed, Failed].into_iter().find(|state| state.as_str() == text).ok_or(NoState)
    }
}

/// A session that was started.
#[derive(Debug, Clone)]
pub struct TrainingRow {
    /// Its ULID.
    pub session: String,
    /// The model.
    pub model: ModelName,
    /// Where it stands.
    pub state: TrainingState,
    /// The version it made, once it completed.
    pub version: Option<u64>,
    /// When it started.
    pub started: Timestamp,
    /// The entry that says so.
    pub started_seq: u64,
    /// When something was last said of it.
    pub last: Timestamp,
    /// The entry that says so.
    pub last_seq: u64,
    /// Who started it.
    pub person: String,
    /// Why it failed.
    pub reason: Option<String>,
    /// Whether it was recorded later than it ended.
    pub late: bool,
}

/// Which sessions are listed.
#[derive(Debug, Clone, Copy)]
pub struct TrainingFilter<'a> {
    /// Of one model only.
    pub model: Option<&'a ModelName>,
    /// In one state only.
    pub state: Option<TrainingState>,
    /// At most so many.
    pub limit: u64,
}

const SELECT: &str = "SELECT training.session AS session, training.model AS model, state, \
    session.version AS version, started, started_seq, last, last_seq, training.person AS person, \
    reason, training.late AS late \
    FROM training LEFT JOIN session ON session.session = training.session";

fn training(row: &Row<'_>) -> rusqlite::Result<TrainingRow> {
    let version: Option<i64> = plain(row, "version")?;
    Ok(TrainingRow {
        session: plain(row, "session")?,
        model: parsed(row, "model")?,
        state: parsed(row, "state")?,
        version: version.and_then(|number| u64::try_from(number).ok()),
        started: parsed(row, "started")?,
        started_seq: unsigned(row, "started_seq")?,
        last: parsed(row, "last")?,
        last_seq: unsigned(row, "last_seq")?,
        person: plain(row, "person")?,
        reason: plain(row, "reason")?,
        late: plain(row, "late")?,
    })
}

impl Reader<'_> {
    /// A session that was started, by its id.
    pub fn training(&self, session: &str) -> Result<Option<TrainingRow>, StoreError> {
        self.first(&format!("{SELECT} WHERE training.session = ?1"), [session], training)
    }

    /// The session of a model that was started under a key.
    pub fn training_with_key(
        &self,
        model: &ModelName,
        key: &str,
    ) -> Result<Option<TrainingRow>, StoreError> {
        let sql = format!("{SELECT} WHERE training.idempotency_key = ?1 AND training.model = ?2");
        self.first(&sql, [key, model.as_str()], training)
    }

    /// The open sessions whose keys are `stem`, a colon and more.
    pub fn open_trainings_of(&self, stem: &str) -> Result<Vec<TrainingRow>, StoreError> {
        // ';' is the character after ':'.
        let sql = format!(
            "{SELECT} WHERE training.idempotency_key > ?1 || ':' \
             AND training.idempotency_key < ?1 || ';' AND state = 'open' ORDER BY started_seq"
        );
        self.rows(&sql, [stem], training)
    }

    /// How many sessions are open.
    pub fn open_trainings(&self, model: Option<&ModelName>) -> Result<u64, StoreError> {
        let sql = "SELECT COUNT(*) AS number FROM training \
                   WHERE state = 'open' AND model = COALESCE(?1, model)";
        let model = model.map(ModelName::as_str);
        Ok(self.first(sql, [model], |row| unsigned(row, "number"))?.unwrap_or(0))
    }

    /// Sessions that were started, newest first.
    pub fn trainings(&self, filter: TrainingFilter<'_>) -> Result<Vec<TrainingRow>, StoreError> {
        // One statement for each index, rather than one that can use none.
        let (model, state) = (filter.model.map(ModelName::as_str), filter.state);
        let sql = |condition: &str| {
            format!("{SELECT} WHERE {condition} ORDER BY started_seq DESC LIMIT ?1")
        };
        let limit = int(filter.limit);
        match (model, state.map(TrainingState::as_str)) {
            (None, None) => self.rows(&sql("1"), [limit], training),
            (None, Some(state)) => self.rows(&sql("state = ?2"), params![limit, state], training),
            (Some(model), None) => {
                self.rows(&sql("training.model = ?2"), params![limit, model], training)
            }
            (Some(model), Some(state)) => {
                let sql = sql("training.model = ?2 AND +state = ?3");
                self.rows(&sql, params![limit, model, state], training)
            }
        }
    }

    /// The entries that say something of a session, but for its completion, in their order.
    pub fn training_entries(&self, session: &str) -> Result<Vec<StoredEntry>, StoreError> {
        let sql = "SELECT event.seq AS seq, entry, sha256 FROM training_entry \
                   JOIN event ON event.seq = training_entry.seq WHERE session = ?1 \
                   ORDER BY training_entry.seq";
        self.rows(sql, [session], |row| {
            Ok(StoredEntry {
                seq: unsigned(row, "seq")?,
                bytes: plain(row, "entry")?,
                sha256: parsed(row, "sha256")?,
            })
        })
    }

    /// The value of what may be given to a session only once.
    pub fn training_given(
        &self,
        session: &str,
        what: &str,
        name: &str,
    ) -> Result<Option<String>, StoreError> {
        let sql = "SELECT value FROM training_given WHERE session = ?1 AND what = ?2 AND name = ?3";
        self.first(sql, [session, what, name], |row| plain(row, "value"))
    }

    /// The payload with the points of a metric of a completed session.
    pub fn series(
        &self,
        session: &str,
        split: &str,
        name: &str,
    ) -> Result<Option<Sha256>, StoreError> {
        let sql = "SELECT payload_sha256 FROM metric_series \
                   WHERE session = ?1 AND split = ?2 AND name = ?3";
        let found =
            self.first(sql, [session, split, name], |row| optional_parsed(row, "payload_sha256"))?;
        Ok(found.flatten())
    }
}
