//! Models, sessions, versions, and the data and metrics of sessions.

use rusqlite::{Row, params};

use super::super::error::StoreError;
use super::{Reader, int, optional_parsed, optional_unsigned, parsed, plain, unreadable, unsigned};
use crate::context::Timestamp;
use crate::digest::{Kind, Sha256};
use crate::events::{Metric, MetricValue};
use crate::names::{Label, ModelName, Selector, Split};

/// An immutable version.
#[derive(Debug, Clone)]
pub struct VersionRow {
    /// The model.
    pub model: ModelName,
    /// Its number.
    pub number: u64,
    /// Its second name.
    pub label: Option<Label>,
    /// The session that made it.
    pub session: String,
    /// Where the artifact was recorded, relative to the project root.
    pub path: String,
    /// Whether `sha256` is of a file or of a directory's manifest.
    pub kind: Kind,
    /// The artifact's identity.
    pub sha256: Sha256,
    /// Bytes of all its files.
    pub size_bytes: u64,
    /// How many files.
    pub files: u64,
    /// Whether the object store was given the bytes.
    pub stored: bool,
    /// Where its `metadata.json` belongs, relative to the project root.
    pub metadata_path: String,
    /// The largest file, within a directory.
    pub largest_file_path: String,
    /// Its digest.
    pub largest_file_sha256: Sha256,
    /// The entry that recorded it.
    pub seq: u64,
    /// When.
    pub created: Timestamp,
}

impl VersionRow {
    /// `fraud@3`
    pub fn reference(&self) -> String {
        crate::names::version_reference(&self.model, self.number)
    }
}

/// A session, with or without a version.
#[derive(Debug, Clone)]
pub struct SessionRow {
    /// Its ULID.
    pub session: String,
    /// The model.
    pub model: ModelName,
    /// The version it made.
    pub version: Option<u64>,
    /// That version's label.
    pub label: Option<Label>,
    /// That version's artifact.
    pub artifact_sha256: Option<Sha256>,
    /// When it was recorded.
    pub created: Timestamp,
    /// Who recorded it.
    pub person: String,
    /// The entry that recorded it.
    pub seq: u64,
    /// What makes two requests the same.
    pub request_sha256: Sha256,
    /// Whether it was recorded later than it ended.
    pub late: bool,
}

/// A dataset in a role of a session.
#[derive(Debug, Clone, serde::Serialize)]
pub struct DatasetRow {
    /// E.g. `training`.
    pub role: String,
    /// Unique within the role.
    pub name: String,
    /// Where it was.
    pub path: String,
    /// Whether `sha256` is of a file or of a directory's manifest.
    pub kind: Kind,
    /// The identity of its bytes.
    pub sha256: Sha256,
    /// The digest of its rows.
    pub content_sha256: Option<Sha256>,
    /// How many rows.
    pub rows: Option<u64>,
}

/// Which sessions `log` lists.
#[derive(Debug, Clone, Copy)]
pub struct LogFilter<'a> {
    /// Of one model only.
    pub model: Option<&'a ModelName>,
    /// At most so many.
    pub limit: u64,
}

pub(super) const SELECT_VERSION: &str = "SELECT model, number, label, session, path, kind, sha256, size_bytes, \
    files, stored, metadata_path, largest_file_path, largest_file_sha256, seq, created FROM version";

const SELECT_SESSION: &str = "SELECT session.session AS session, session.model AS model, \
    session.version AS version, label, sha256, completed, person, completed_seq, request_sha256, late \
    FROM session LEFT JOIN version ON version.model = session.model \
    AND version.number = session.version";

pub(super) fn kind(row: &Row<'_>) -> rusqlite::Result<Kind> {
    let text: String = plain(row, "kind")?;
    match text.as_str() {
        "file" => Ok(Kind::File),
        "directory" => Ok(Kind::Directory),
        _ => Err(unreadable("kind", rusqlite::types::Type::Text)),
    }
}

pub(super) fn version(row: &Row<'_>) -> rusqlite::Result<VersionRow> {
    Ok(VersionRow {
        model: parsed(row, "model")?,
        number: unsigned(row, "number")?,
        label: optional_parsed(row, "label")?,
        session: plain(row, "session")?,
        path: plain(row, "path")?,
        kind: kind(row)?,
        sha256: parsed(row, "sha256")?,
        size_bytes: unsigned(row, "size_bytes")?,
        files: unsigned(row, "files")?,
        stored: plain(row, "stored")?,
        metadata_path: plain(row, "metadata_path")?,
        largest_file_path: plain(row, "largest_file_path")?,
        largest_file_sha256: parsed(row, "largest_file_sha256")?,
        seq: unsigned(row, "seq")?,
        created: parsed(row, "created")?,
    })
}

fn session(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    Ok(SessionRow {
        session: plain(row, "session")?,
        model: parsed(row, "model")?,
        version: optional_unsigned(row, "version")?,
        label: optional_parsed(row, "label")?,
        artifact_sha256: optional_parsed(row, "sha256")?,
        created: parsed(row, "completed")?,
        person: plain(row, "person")?,
        seq: unsigned(row, "completed_seq")?,
        request_sha256: parsed(row, "request_sha256")?,
        late: plain(row, "late")?,
    })
}

impl Reader<'_> {
    /// All models, by name.
    pub fn models(&self) -> Result<Vec<ModelName>, StoreError> {
        self.rows("SELECT name FROM model ORDER BY name", [], |row| parsed(row, "name"))
    }

    /// Whether a model was ever recorded.
    pub fn has_model(&self, model: &ModelName) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM model WHERE name = ?1";
        Ok(self.first(sql, [model.as_str()], |_| Ok(()))?.is_some())
    }

    /// The version with a number.
    pub fn version(
        &self,
        model: &ModelName,
        number: u64,
    ) -> Result<Option<VersionRow>, StoreError> {
        let sql = format!("{SELECT_VERSION} WHERE model = ?1 AND number = ?2");
        self.first(&sql, params![model.as_str(), int(number)], version)
    }

    /// The version with a label.
    pub fn version_labelled(
        &self,
        model: &ModelName,
        label: &str,
    ) -> Result<Option<VersionRow>, StoreError> {
        let sql = format!("{SELECT_VERSION} WHERE model = ?1 AND label = ?2");
        self.first(&sql, params![model.as_str(), label], version)
    }

    /// The version with the highest number.
    pub fn latest_version(&self, model: &ModelName) -> Result<Option<VersionRow>, StoreError> {
        let sql = format!("{SELECT_VERSION} WHERE model = ?1 ORDER BY number DESC LIMIT 1");
        self.first(&sql, [model.as_str()], version)
    }

    /// The versions of a model, newest first, at most `limit`.
    pub fn versions(&self, model: &ModelName, limit: u64) -> Result<Vec<VersionRow>, StoreError> {
        let sql = format!("{SELECT_VERSION} WHERE model = ?1 ORDER BY number DESC LIMIT ?2");
        self.rows(&sql, params![model.as_str(), int(limit)], version)
    }

    /// Every version of every model, in the order of recording.
    pub fn all_versions(&self) -> Result<Vec<VersionRow>, StoreError> {
        self.rows(&format!("{SELECT_VERSION} ORDER BY seq"), [], version)
    }

    /// The highest version that is not quarantined on a pointer.
    pub fn newest_promotable(
        &self,
        model: &ModelName,
        pointer: &str,
    ) -> Result<Option<VersionRow>, StoreError> {
        let sql = format!(
            "{SELECT_VERSION} WHERE model = ?1 AND NOT EXISTS (SELECT 1 FROM quarantine WHERE \
             quarantine.model = version.model AND pointer = ?2 AND quarantine.version = number) \
             ORDER BY number DESC LIMIT 1"
        );
        self.first(&sql, params![model.as_str(), pointer], version)
    }

    /// The versions whose artifact's digest begins with hex digits, of one model; at most two.
    pub fn versions_with_digest(
        &self,
        model: &ModelName,
        prefix: &str,
    ) -> Result<Vec<VersionRow>, StoreError> {
        // 'g' sorts after every hex digit, so the range holds exactly the digests with the prefix.
        let sql = format!(
            "{SELECT_VERSION} WHERE sha256 >= ?2 AND sha256 < ?2 || 'g' AND +model = ?1 \
             ORDER BY number LIMIT 2"
        );
        self.rows(&sql, params![model.as_str(), prefix], version)
    }

    /// The versions, of any model, whose artifact has these bytes.
    pub fn versions_with_artifact(&self, digest: &Sha256) -> Result<Vec<VersionRow>, StoreError> {
        let sql = format!("{SELECT_VERSION} WHERE sha256 = ?1 ORDER BY seq LIMIT 100");
        self.rows(&sql, [digest.to_string()], version)
    }

    /// The versions, of any model, whose largest file has these bytes.
    pub fn versions_with_largest_file(
        &self,
        digest: &Sha256,
    ) -> Result<Vec<VersionRow>, StoreError> {
        let sql = format!("{SELECT_VERSION} WHERE largest_file_sha256 = ?1 ORDER BY seq LIMIT 100");
        self.rows(&sql, [digest.to_string()], version)
    }

    /// The versions whose artifact was recorded at a path, newest first.
    pub fn versions_at_path(&self, path: &str) -> Result<Vec<VersionRow>, StoreError> {
        self.rows(
            &format!("{SELECT_VERSION} WHERE path = ?1 ORDER BY seq DESC LIMIT 100"),
            [path],
            version,
        )
    }

    /// The newest directory artifact that was recorded at a path.
    pub fn directory_at_path(&self, path: &str) -> Result<Option<VersionRow>, StoreError> {
        let sql = format!(
            "{SELECT_VERSION} WHERE path = ?1 AND kind = 'directory' ORDER BY seq DESC LIMIT 1"
        );
        self.first(&sql, [path], version)
    }

    /// The version that a selector means. A pointer that was never set, or is unset, means none.
    pub fn select(
        &self,
        model: &ModelName,
        selector: &Selector,
    ) -> Result<Vec<VersionRow>, StoreError> {
        let found = match selector {
            Selector::Number(number) => self.version(model, *number)?,
            Selector::Latest => self.latest_version(model)?,
            Selector::Digest(prefix) => return self.versions_with_digest(model, prefix),
            Selector::Name(name) => match self.version_labelled(model, name)? {
                Some(version) => Some(version),
                None => self.version_at_pointer(model, name)?,
            },
        };
        Ok(found.into_iter().collect())
    }

    fn version_at_pointer(
        &self,
        model: &ModelName,
        name: &str,
    ) -> Result<Option<VersionRow>, StoreError> {
        let Ok(name) = name.parse() else { return Ok(None) };
        match self.pointer(model, &name)?.and_then(|pointer| pointer.version) {
            Some(number) => self.version(model, number),
            None => Ok(None),
        }
    }

    /// The session that a caller's key belongs to.
    pub fn session_with_key(
        &self,
        model: &ModelName,
        key: &str,
    ) -> Result<Option<SessionRow>, StoreError> {
        let sql = format!("{SELECT_SESSION} WHERE session.model = ?1 AND idempotency_key = ?2");
        self.first(&sql, params![model.as_str(), key], session)
    }

    /// A session by its id.
    pub fn session(&self, id: &str) -> Result<Option<SessionRow>, StoreError> {
        self.first(&format!("{SELECT_SESSION} WHERE session.session = ?1"), [id], session)
    }

    /// A session by the entry that recorded it.
    pub(super) fn session_at(&self, seq: i64) -> Result<Option<SessionRow>, StoreError> {
        self.first(&format!("{SELECT_SESSION} WHERE completed_seq = ?1"), [seq], session)
    }

    /// Sessions, newest first.
    pub fn sessions(&self, filter: LogFilter<'_>) -> Result<Vec<SessionRow>, StoreError> {
        let limit = int(filter.limit);
        match filter.model {
            Some(model) => self.rows(
                &format!(
                    "{SELECT_SESSION} WHERE session.model = ?1 ORDER BY completed_seq DESC LIMIT ?2"
                ),
                params![model.as_str(), limit],
                session,
            ),
            None => self.rows(
                &format!("{SELECT_SESSION} ORDER BY completed_seq DESC LIMIT ?1"),
                [limit],
                session,
            ),
        }
    }

    /// The datasets of a session, by role and name.
    pub fn datasets(&self, session: &str) -> Result<Vec<DatasetRow>, StoreError> {
        let sql = "SELECT role, name, path, kind, sha256, content_sha256, rows FROM dataset_use \
                   WHERE session = ?1 ORDER BY role, name";
        self.rows(sql, [session], |row| {
            Ok(DatasetRow {
                role: plain(row, "role")?,
                name: plain(row, "name")?,
                path: plain(row, "path")?,
                kind: kind(row)?,
                sha256: parsed(row, "sha256")?,
                content_sha256: optional_parsed(row, "content_sha256")?,
                rows: optional_unsigned(row, "rows")?,
            })
        })
    }

    /// The metrics of a session, by split and name.
    pub fn metrics(&self, session: &str) -> Result<Vec<Metric>, StoreError> {
        let sql = "SELECT split, name, value, special FROM metric WHERE session = ?1 \
                   ORDER BY split, name";
        self.rows(sql, [session], |row| {
            let special: Option<String> = plain(row, "special")?;
            let value = match special.as_deref() {
                Some("NaN") => f64::NAN,
                Some("-0") => -0.0,
                _ => plain(row, "value")?,
            };
            let split: String = plain(row, "split")?;
            Ok(Metric {
                split: [Split::Training, Split::Validation, Split::Test]
                    .into_iter()
                    .find(|known| known.as_str() == split),
                name: plain(row, "name")?,
                value: MetricValue(value),
            })
        })
    }
}
