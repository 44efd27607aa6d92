//! The one function that writes the tables made from the log. It is pure: what it writes follows
//! from the entry and the tables alone, so the same log always gives the same tables.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::error::StoreError;
use super::query::int;
use crate::events::{
    Entry, Event, PointerAdopted, PointerMoved, PointerRefused, PointerUnset, Served,
    SessionCompleted, SessionFacts, SessionStarted, VersionRecord,
};

/// Applies one entry to the tables.
pub(super) fn apply(
    connection: &Connection,
    entry: &Entry,
    event: &Event,
) -> Result<(), StoreError> {
    let tables = Tables { connection, entry };
    tables.latest_time()?;
    match event {
        Event::RegistryCreated(_) => Ok(()),
        Event::PersonIntroduced(person) => tables.run(
            "INSERT INTO person (person, commitment, seq) VALUES (?1, ?2, ?3)",
            params![person.person, person.commitment.to_string(), int(entry.seq)],
        ),
        Event::SessionStarted(started) => {
            tables.session_started(started)?;
            tables.session_facts("started", &started.facts)
        }
        Event::SessionUpdated(updated) => tables.session_facts("updated", &updated.facts),
        Event::SessionFailed(failed) => {
            tables.session_facts("failed", &failed.facts)?;
            let late = failed.run.is_some_and(|run| run.late);
            tables.session_ended("failed", failed.reason.as_deref(), late)
        }
        Event::SessionCompleted(session) => tables.session_completed(session),
        Event::PointerMoved(moved) => tables.pointer_moved(moved),
        Event::PointerAdopted(adopted) => tables.pointer_adopted(adopted),
        Event::PointerUnset(unset) => tables.pointer_unset(unset),
        Event::PointerRefused(refused) => tables.pointer_refused(refused),
    }
}

struct Tables<'a> {
    connection: &'a Connection,
    entry: &'a Entry,
}

fn is_late(details: &SessionCompleted) -> bool {
    details.run.is_some_and(|run| run.late)
}

/// A change of what a pointer names.
struct Change<'a> {
    model: &'a str,
    pointer: &'a str,
    action: &'a str,
    from: Option<u64>,
    to: Option<u64>,
    served: Option<&'a Served>,
    rolled_back_from: Option<u64>,
    reason: Option<&'a str>,
}

impl Tables<'_> {
    fn run(&self, sql: &str, values: impl rusqlite::Params) -> Result<(), StoreError> {
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    fn inapplicable<T>(&self, problem: impl Into<String>) -> Result<T, StoreError> {
        Err(StoreError::Inapplicable { seq: self.entry.seq, problem: problem.into() })
    }

    fn latest_time(&self) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO latest_time (time, seq) VALUES \
             (MAX(?1, COALESCE((SELECT MAX(time) FROM latest_time), ?1)), ?2)",
            params![self.entry.time.to_string(), int(self.entry.seq)],
        )
    }

    fn session_completed(&self, details: &SessionCompleted) -> Result<(), StoreError> {
        let Some(session) = &self.entry.session else {
            return self.inapplicable("it names no session");
        };
        let seq = int(self.entry.seq);
        let time = self.entry.time.to_string();
        self.run(
            "INSERT OR IGNORE INTO model (name, created_seq) VALUES (?1, ?2)",
            params![details.model.as_str(), seq],
        )?;
        self.run(
            "INSERT INTO session (session, model, version, outcome, completed_seq, completed, \
             person, request_sha256, idempotency_key, model_type, seed, late) \
             VALUES (?1, ?2, ?3, 'completed', ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            params![
                session,
                details.model.as_str(),
                details.version.as_ref().map(|version| int(version.number)),
                seq,
                time,
                self.entry.actor.id,
                details.request_sha256.to_string(),
                details.idempotency_key,
                details.model_type,
                details.seed,
                is_late(details),
            ],
        )?;
        if let Some(version) = &details.version {
            self.version(session, details, version)?;
        }
        self.datasets(session, details)?;
        self.measures(session, details)
    }

    fn datasets(&self, session: &str, details: &SessionCompleted) -> Result<(), StoreError> {
        for dataset in &details.datasets {
            let table = dataset.table.as_ref();
            self.run(
                "INSERT INTO dataset_use (session, role, name, path, kind, sha256, size_bytes, \
                 content_sha256, rows, columns, completed_seq) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                params![
                    session,
                    dataset.role.as_str(),
                    dataset.name.as_str(),
                    dataset.path,
                    dataset.kind.as_str(),
                    dataset.sha256.to_string(),
                    int(dataset.size_bytes),
                    table.and_then(|t| t.content_sha256).map(|digest| digest.to_string()),
                    table.map(|table| int(table.rows)),
                    table.map(|table| int(table.columns.count)),
                    int(self.entry.seq),
                ],
            )?;
        }
        Ok(())
    }

    /// Metrics, parameters and tags.
    fn measures(&self, session: &str, details: &SessionCompleted) -> Result<(), StoreError> {
        let seq = int(self.entry.seq);
        for metric in &details.metrics {
            let value = metric.value.0;
            self.run(
                "INSERT INTO metric (session, split, name, value, special, completed_seq) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    session,
                    metric.split.map_or("", |split| split.as_str()),
                    metric.name,
                    // SQLite knows no negative zero.
                    (!value.is_nan()).then_some(value + 0.0),
                    metric.value.special(),
                    seq,
                ],
            )?;
        }
        for parameter in &details.params {
            self.run(
                "INSERT INTO parameter (session, name, text, type, completed_seq) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    session,
                    parameter.name.as_str(),
                    parameter.text,
                    parameter.r#type.as_str(),
                    seq,
                ],
            )?;
        }
        for tag in &details.tags {
            self.run(
                "INSERT INTO tag (session, name, value, completed_seq) VALUES (?1, ?2, ?3, ?4)",
                params![session, tag.name.as_str(), tag.value, seq],
            )?;
        }
        for series in &details.series {
            self.run(
                "INSERT INTO metric_series (session, split, name, points, payload_sha256) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    session,
                    series.split.map_or("", |split| split.as_str()),
                    series.name,
                    int(series.points),
                    series.payload.sha256.to_string(),
                ],
            )?;
        }
        self.session_ended("completed", None, is_late(details))
    }

    fn session_started(&self, started: &SessionStarted) -> Result<(), StoreError> {
        let Some(session) = &self.entry.session else {
            return self.inapplicable("it names no session");
        };
        let (seq, time) = (int(self.entry.seq), self.entry.time.to_string());
        let (model, key) = (started.model.as_str(), &started.idempotency_key);
        self.run(
            "INSERT OR IGNORE INTO model (name, created_seq) VALUES (?1, ?2)",
            params![model, seq],
        )?;
        self.run(
            "INSERT INTO training (session, model, state, started_seq, started, last_seq, last, \
             person, idempotency_key) VALUES (?1, ?2, 'open', ?3, ?4, ?3, ?4, ?5, ?6)",
            params![session, model, seq, time, self.entry.actor.id, key],
        )
    }

    /// What an entry says of a session that is open: where it stands in the log, and the values that
    /// may be given only once.
    fn session_facts(&self, step: &str, facts: &SessionFacts) -> Result<(), StoreError> {
        let Some(session) = &self.entry.session else {
            return self.inapplicable("it names no session");
        };
        let (seq, time) = (int(self.entry.seq), self.entry.time.to_string());
        let open = self
            .connection
            .prepare_cached(
                "UPDATE training SET last_seq = ?2, last = ?3 WHERE session = ?1 AND state = 'open'",
            )?
            .execute(params![session, seq, time])?;
        if open == 0 {
            return self.inapplicable("its session is not open");
        }
        self.run(
            "INSERT INTO training_entry (session, seq, step) VALUES (?1, ?2, ?3)",
            params![session, seq, step],
        )?;
        let given = |what: &str, name: &str, value: &str| {
            self.run(
                "INSERT OR IGNORE INTO training_given (session, what, name, value) \
                 VALUES (?1, ?2, ?3, ?4)",
                params![session, what, name, value],
            )
        };
        for dataset in &facts.datasets {
            let key = format!("{}:{}", dataset.role, dataset.name);
            given("dataset", &key, &dataset.sha256.to_string())?;
            let table = dataset.table.as_ref();
            let content = table.and_then(|table| table.content_sha256);
            self.run(
                "INSERT OR IGNORE INTO training_data (session, role, name, path, kind, sha256, \
                 content_sha256, seq) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    session,
                    dataset.role.as_str(),
                    dataset.name.as_str(),
                    dataset.path,
                    dataset.kind.as_str(),
                    dataset.sha256.to_string(),
                    content.map(|digest| digest.to_string()),
                    seq,
                ],
            )?;
        }
        for parameter in &facts.params {
            given("parameter", parameter.name.as_str(), &parameter.text)?;
        }
        match &facts.seed {
            Some(seed) => given("seed", "", seed),
            None => Ok(()),
        }
    }

    /// Ends a session that was started before; a session recorded as a whole was not.
    fn session_ended(
        &self,
        state: &str,
        reason: Option<&str>,
        late: bool,
    ) -> Result<(), StoreError> {
        self.run(
            "UPDATE training SET state = ?2, reason = ?3, last_seq = ?4, last = ?5, late = ?6 \
             WHERE session = ?1",
            params![
                self.entry.session,
                state,
                reason,
                int(self.entry.seq),
                self.entry.time.to_string(),
                late,
            ],
        )
    }

    fn version(
        &self,
        session: &str,
        details: &SessionCompleted,
        version: &VersionRecord,
    ) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO version (model, number, label, session, path, kind, sha256, size_bytes, \
             files, stored, metadata_path, largest_file_path, largest_file_sha256, seq, created) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            params![
                details.model.as_str(),
                int(version.number),
                version.label.as_ref().map(|label| label.as_str()),
                session,
                version.path,
                version.kind.as_str(),
                version.sha256.to_string(),
                int(version.size_bytes),
                int(version.files),
                version.stored,
                version.metadata_path,
                version.largest_file_path,
                version.largest_file_sha256.to_string(),
                int(self.entry.seq),
                self.entry.time.to_string(),
            ],
        )?;
        for base in &details.derived_from {
            self.run(
                "INSERT OR IGNORE INTO derivation (model, version, base_model, base_version) \
                 VALUES (?1, ?2, ?3, ?4)",
                params![
                    details.model.as_str(),
                    int(version.number),
                    base.model.as_str(),
                    int(base.version),
                ],
            )?;
        }
        Ok(())
    }

    fn pointer_moved(&self, moved: &PointerMoved) -> Result<(), StoreError> {
        let (model, pointer) = (moved.model.as_str(), moved.pointer.as_str());
        for _ in 0..moved.popped {
            self.run(
                "DELETE FROM holding WHERE model = ?1 AND pointer = ?2 AND position = \
                 (SELECT MAX(position) FROM holding WHERE model = ?1 AND pointer = ?2)",
                params![model, pointer],
            )?;
        }
        if moved.pushed {
            self.push(model, pointer, Some(moved.to))?;
        }
        let top: Option<Option<i64>> = self
            .connection
            .prepare_cached(
                "SELECT version FROM holding WHERE model = ?1 AND pointer = ?2 \
                 ORDER BY position DESC LIMIT 1",
            )?
            .query_row(params![model, pointer], |row| row.get(0))
            .optional()?;
        if top.flatten() != Some(int(moved.to)) {
            return self.inapplicable("the stack of the pointer does not end in its target");
        }
        let quarantined = moved.from.filter(|_| moved.quarantined);
        if let Some(version) = quarantined {
            self.run(
                "INSERT OR REPLACE INTO quarantine (model, pointer, version, seq) \
                 VALUES (?1, ?2, ?3, ?4)",
                params![model, pointer, int(version), int(self.entry.seq)],
            )?;
        }
        self.end_quarantine(model, pointer, moved.to)?;
        let rollback = moved.action == crate::events::MoveAction::Rollback;
        self.change(&Change {
            model,
            pointer,
            action: moved.action.as_str(),
            from: moved.from,
            to: Some(moved.to),
            served: Some(&moved.served),
            rolled_back_from: moved.from.filter(|_| rollback),
            reason: moved.reason.as_deref(),
        })
    }

    fn pointer_adopted(&self, adopted: &PointerAdopted) -> Result<(), StoreError> {
        let (model, pointer) = (adopted.model.as_str(), adopted.pointer.as_str());
        self.push(model, pointer, Some(adopted.to))?;
        self.end_quarantine(model, pointer, adopted.to)?;
        self.change(&Change {
            model,
            pointer,
            action: "adopt",
            from: adopted.from,
            to: Some(adopted.to),
            served: Some(&adopted.served),
            rolled_back_from: None,
            reason: adopted.reason.as_deref(),
        })
    }

    fn pointer_unset(&self, unset: &PointerUnset) -> Result<(), StoreError> {
        let (model, pointer) = (unset.model.as_str(), unset.pointer.as_str());
        self.push(model, pointer, None)?;
        self.change(&Change {
            model,
            pointer,
            action: "unset",
            from: Some(unset.from),
            to: None,
            served: None,
            rolled_back_from: None,
            reason: unset.reason.as_deref(),
        })
    }

    fn pointer_refused(&self, refused: &PointerRefused) -> Result<(), StoreError> {
        let reason = match &refused.reason {
            Some(reason) => format!("{}: {reason}", refused.cause),
            None => refused.cause.clone(),
        };
        self.history(&Change {
            model: refused.model.as_str(),
            pointer: refused.pointer.as_str(),
            action: "refuse",
            from: refused.from,
            to: refused.to,
            served: None,
            rolled_back_from: None,
            reason: Some(&reason),
        })
    }

    /// Putting a version live on purpose ends its quarantine.
    fn end_quarantine(&self, model: &str, pointer: &str, version: u64) -> Result<(), StoreError> {
        self.run(
            "DELETE FROM quarantine WHERE model = ?1 AND pointer = ?2 AND version = ?3",
            params![model, pointer, int(version)],
        )
    }

    fn push(&self, model: &str, pointer: &str, version: Option<u64>) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO holding (model, pointer, position, version, seq) VALUES (?1, ?2, \
             (SELECT COALESCE(MAX(position) + 1, 0) FROM holding WHERE model = ?1 AND pointer = ?2), \
             ?3, ?4)",
            params![model, pointer, version.map(int), int(self.entry.seq)],
        )
    }

    fn change(&self, change: &Change<'_>) -> Result<(), StoreError> {
        if let Some(version) = change.to {
            self.run(
                "INSERT OR IGNORE INTO held (model, pointer, version, first_seq) \
                 VALUES (?1, ?2, ?3, ?4)",
                params![change.model, change.pointer, int(version), int(self.entry.seq)],
            )?;
        }
        self.run(
            "INSERT INTO pointer (model, pointer, version, served_path, served_from, served_blake3, \
             seq, since, person, rolled_back_from) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
             ON CONFLICT (model, pointer) DO UPDATE SET version = excluded.version, \
             served_path = excluded.served_path, served_from = excluded.served_from, \
             served_blake3 = excluded.served_blake3, seq = excluded.seq, since = excluded.since, \
             person = excluded.person, rolled_back_from = excluded.rolled_back_from",
            params![
                change.model,
                change.pointer,
                change.to.map(int),
                change.served.map(|served| served.path.as_str()),
                change.served.map(|served| served.from.as_str()),
                change.served.and_then(|served| served.blake3).map(|blake3| blake3.to_string()),
                int(self.entry.seq),
                self.entry.time.to_string(),
                self.entry.actor.id,
                change.rolled_back_from.map(int),
            ],
        )?;
        self.history(change)
    }

    fn history(&self, change: &Change<'_>) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO pointer_history (seq, model, pointer, action, from_version, to_version, \
             reason, time, person) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                int(self.entry.seq),
                change.model,
                change.pointer,
                change.action,
                change.from.map(int),
                change.to.map(int),
                change.reason,
                self.entry.time.to_string(),
                self.entry.actor.id,
            ],
        )
    }
}
