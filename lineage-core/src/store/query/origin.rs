//! Where data and models went, and what versions were made from.

use rusqlite::{Row, params};

use super::super::error::StoreError;
use super::trainings::TrainingState;
use super::versions::{SELECT_VERSION, VersionRow, kind, version};
use super::{Reader, int, optional_parsed, optional_unsigned, parsed, plain, unsigned};
use crate::context::Timestamp;
use crate::digest::{Kind, Sha256};
use crate::names::ModelName;

/// A dataset in a role of a session, and that session.
#[derive(Debug, Clone)]
pub struct UseRow {
    /// The session.
    pub session: String,
    /// Its model.
    pub model: ModelName,
    /// Where the session stands.
    pub state: TrainingState,
    /// The version it made.
    pub version: Option<u64>,
    /// When it was recorded; of a session that is open or has failed, when it was started.
    pub created: Timestamp,
    /// The entry that recorded it, or gave the data to the session.
    pub seq: u64,
    /// E.g. `training`.
    pub role: String,
    /// Unique within the role.
    pub name: String,
    /// Where the data was.
    pub path: String,
    /// Whether `sha256` is of a file or of a directory's manifest.
    pub kind: Kind,
    /// The identity of its bytes.
    pub sha256: Sha256,
    /// The digest of its rows.
    pub content_sha256: Option<Sha256>,
}

/// By what datasets are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "said by the names")]
pub enum DatasetColumn {
    Sha256,
    ContentSha256,
    Path,
}

/// By what versions are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "said by the names")]
pub enum VersionColumn {
    Sha256,
    LargestFileSha256,
    Path,
}

/// Digests are looked for by their first digits, paths as a whole. 'g' sorts after every hex digit.
const BY_PREFIX: &str = ">= ?1 AND # < ?1 || 'g'";

fn condition(column: &str, is_path: bool) -> String {
    match is_path {
        true => format!("{column} = ?1"),
        false => format!("{column} {}", BY_PREFIX.replace('#', column)),
    }
}

fn used(row: &Row<'_>) -> rusqlite::Result<UseRow> {
    Ok(UseRow {
        session: plain(row, "session")?,
        model: parsed(row, "model")?,
        state: parsed(row, "state")?,
        version: optional_unsigned(row, "version")?,
        created: parsed(row, "created")?,
        seq: unsigned(row, "seq")?,
        role: plain(row, "role")?,
        name: plain(row, "name")?,
        path: plain(row, "path")?,
        kind: kind(row)?,
        sha256: parsed(row, "sha256")?,
        content_sha256: optional_parsed(row, "content_sha256")?,
    })
}

impl Reader<'_> {
    /// The uses of a dataset in the order of recording, first those of completed sessions.
    pub fn uses(&self, column: DatasetColumn, text: &str) -> Result<Vec<UseRow>, StoreError> {
        let name = match column {
            DatasetColumn::Sha256 => "data.sha256",
            DatasetColumn::ContentSha256 => "data.content_sha256",
            DatasetColumn::Path => "data.path",
        };
        let condition = condition(name, column == DatasetColumn::Path);
        let completed = format!(
            "SELECT session.session AS session, model, 'completed' AS state, version, \
             completed AS created, session.completed_seq AS seq, role, name, path, kind, sha256, \
             content_sha256 FROM dataset_use AS data JOIN session \
             ON session.completed_seq = data.completed_seq WHERE {condition} \
             ORDER BY session.completed_seq, role, name"
        );
        let others = format!(
            "SELECT training.session AS session, model, state, NULL AS version, \
             started AS created, seq, role, name, path, kind, sha256, content_sha256 \
             FROM training_data AS data JOIN training ON training.session = data.session \
             WHERE state <> 'completed' AND {condition} ORDER BY seq, role, name"
        );
        let mut found = self.rows(&completed, [text], used)?;
        found.append(&mut self.rows(&others, [text], used)?);
        Ok(found)
    }

    /// The versions of any model with such an artifact, in the order of recording.
    pub fn versions_by(
        &self,
        column: VersionColumn,
        text: &str,
    ) -> Result<Vec<VersionRow>, StoreError> {
        let name = match column {
            VersionColumn::Sha256 => "sha256",
            VersionColumn::LargestFileSha256 => "largest_file_sha256",
            VersionColumn::Path => "path",
        };
        let condition = condition(name, column == VersionColumn::Path);
        self.rows(&format!("{SELECT_VERSION} WHERE {condition} ORDER BY seq"), [text], version)
    }

    /// The versions that a version was made from.
    pub fn bases(&self, model: &ModelName, number: u64) -> Result<Vec<VersionRow>, StoreError> {
        let sql = format!(
            "{SELECT_VERSION} WHERE (model, number) IN (SELECT base_model, base_version \
             FROM derivation WHERE derivation.model = ?1 AND derivation.version = ?2) ORDER BY seq"
        );
        self.rows(&sql, params![model.as_str(), int(number)], version)
    }

    /// The versions that were made from a version.
    pub fn derived(&self, model: &ModelName, number: u64) -> Result<Vec<VersionRow>, StoreError> {
        let sql = format!(
            "{SELECT_VERSION} WHERE (model, number) IN (SELECT derivation.model, \
             derivation.version FROM derivation WHERE base_model = ?1 AND base_version = ?2) \
             ORDER BY seq"
        );
        self.rows(&sql, params![model.as_str(), int(number)], version)
    }
}
