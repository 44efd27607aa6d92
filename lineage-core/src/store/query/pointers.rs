//! Pointers, their stacks, and their history.

use rusqlite::{Row, params};

use super::super::error::StoreError;
use super::{Reader, int, optional_parsed, optional_unsigned, parsed, plain, unsigned};
use crate::context::Timestamp;
use crate::digest::Blake3;
use crate::names::{ModelName, PointerName};

/// Where a pointer stands.
#[derive(Debug, Clone)]
pub struct PointerRow {
    /// The model.
    pub model: ModelName,
    /// The pointer.
    pub pointer: PointerName,
    /// The version it names; none when it was unset.
    pub version: Option<u64>,
    /// The path it names, relative to the project root.
    pub served_path: Option<String>,
    /// `recorded` or `checkout`.
    pub served_from: Option<String>,
    /// The BLAKE3 of the bytes there when it was set; none when none was taken.
    pub served_blake3: Option<Blake3>,
    /// The entry that set it.
    pub seq: u64,
    /// When.
    pub since: Timestamp,
    /// Who.
    pub person: String,
    /// The version left behind, when the last move was a rollback.
    pub rolled_back_from: Option<u64>,
}

/// One holding on a pointer's stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// The version; none for a time when the pointer was unset.
    pub version: Option<u64>,
    /// The entry that pushed it.
    pub seq: u64,
}

/// One line of a model's history, refused attempts included.
#[derive(Debug, Clone)]
pub struct HistoryRow {
    /// The entry.
    pub seq: u64,
    /// The model.
    pub model: ModelName,
    /// The pointer.
    pub pointer: PointerName,
    /// `promote`, `rollback`, `adopt`, `unset` or `refuse`.
    pub action: String,
    /// The version before.
    pub from: Option<u64>,
    /// The version after, or the one that was refused.
    pub to: Option<u64>,
    /// Why; for a refusal its cause.
    pub reason: Option<String>,
    /// When.
    pub time: Timestamp,
    /// Who.
    pub person: String,
}

const SELECT_POINTER: &str = "SELECT model, pointer, version, served_path, served_from, \
    served_blake3, seq, since, person, rolled_back_from FROM pointer";

fn pointer(row: &Row<'_>) -> rusqlite::Result<PointerRow> {
    Ok(PointerRow {
        model: parsed(row, "model")?,
        pointer: parsed(row, "pointer")?,
        version: optional_unsigned(row, "version")?,
        served_path: plain(row, "served_path")?,
        served_from: plain(row, "served_from")?,
        served_blake3: optional_parsed(row, "served_blake3")?,
        seq: unsigned(row, "seq")?,
        since: parsed(row, "since")?,
        person: plain(row, "person")?,
        rolled_back_from: optional_unsigned(row, "rolled_back_from")?,
    })
}

impl Reader<'_> {
    /// One pointer, if it was ever set.
    pub fn pointer(
        &self,
        model: &ModelName,
        name: &PointerName,
    ) -> Result<Option<PointerRow>, StoreError> {
        let sql = format!("{SELECT_POINTER} WHERE model = ?1 AND pointer = ?2");
        self.first(&sql, params![model.as_str(), name.as_str()], pointer)
    }

    /// All pointers of one model, or of all, by name.
    pub fn pointers(&self, model: Option<&ModelName>) -> Result<Vec<PointerRow>, StoreError> {
        let sql =
            format!("{SELECT_POINTER} WHERE ?1 IS NULL OR model = ?1 ORDER BY model, pointer");
        self.rows(&sql, [model.map(ModelName::as_str)], pointer)
    }

    /// The pointers that name a path.
    pub fn pointers_serving(&self, path: &str) -> Result<Vec<PointerRow>, StoreError> {
        self.rows(&format!("{SELECT_POINTER} WHERE served_path = ?1"), [path], pointer)
    }

    /// A pointer's stack, its top last.
    pub fn holdings(
        &self,
        model: &ModelName,
        name: &PointerName,
    ) -> Result<Vec<Holding>, StoreError> {
        let sql = "SELECT version, seq FROM holding WHERE model = ?1 AND pointer = ?2 \
                   ORDER BY position";
        self.rows(sql, params![model.as_str(), name.as_str()], |row| {
            Ok(Holding { version: optional_unsigned(row, "version")?, seq: unsigned(row, "seq")? })
        })
    }

    /// The versions quarantined on a pointer.
    pub fn quarantined(
        &self,
        model: &ModelName,
        name: &PointerName,
    ) -> Result<Vec<u64>, StoreError> {
        let sql =
            "SELECT version FROM quarantine WHERE model = ?1 AND pointer = ?2 ORDER BY version";
        self.rows(sql, params![model.as_str(), name.as_str()], |row| unsigned(row, "version"))
    }

    /// The pointers on which a version is quarantined.
    pub fn quarantines_of(
        &self,
        model: &ModelName,
        version: u64,
    ) -> Result<Vec<PointerName>, StoreError> {
        let sql =
            "SELECT pointer FROM quarantine WHERE model = ?1 AND version = ?2 ORDER BY pointer";
        self.rows(sql, params![model.as_str(), int(version)], |row| parsed(row, "pointer"))
    }

    /// Whether a version ever held a pointer.
    pub fn has_held(
        &self,
        model: &ModelName,
        name: &PointerName,
        version: u64,
    ) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM held WHERE model = ?1 AND pointer = ?2 AND version = ?3";
        let values = params![model.as_str(), name.as_str(), int(version)];
        Ok(self.first(sql, values, |_| Ok(()))?.is_some())
    }

    /// What happened to a model's pointers, newest first.
    pub fn history(
        &self,
        model: &ModelName,
        name: Option<&PointerName>,
        limit: u64,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        let sql = "SELECT seq, model, pointer, action, from_version, to_version, reason, time, \
                   person FROM pointer_history WHERE model = ?1 AND (?2 IS NULL OR pointer = ?2) \
                   ORDER BY seq DESC LIMIT ?3";
        let values = params![model.as_str(), name.map(PointerName::as_str), int(limit)];
        self.rows(sql, values, |row| {
            Ok(HistoryRow {
                seq: unsigned(row, "seq")?,
                model: parsed(row, "model")?,
                pointer: parsed(row, "pointer")?,
                action: plain(row, "action")?,
                from: optional_unsigned(row, "from_version")?,
                to: optional_unsigned(row, "to_version")?,
                reason: plain(row, "reason")?,
                time: parsed(row, "time")?,
                person: plain(row, "person")?,
            })
        })
    }
}
