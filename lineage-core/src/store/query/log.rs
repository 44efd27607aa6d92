//! The log itself, and the people behind it.

use rusqlite::Connection;

use super::super::error::StoreError;
use super::{Reader, int, parsed, plain, unsigned};
use crate::context::{Identity, Timestamp};
use crate::digest::Sha256;
use crate::events::Entry;
use crate::store::write::commitment;

/// An entry as it lies in the log.
#[derive(Debug, Clone)]
pub struct StoredEntry {
    /// Its number.
    pub seq: u64,
    /// Its exact bytes.
    pub bytes: Vec<u8>,
    /// Their digest, as the row claims it.
    pub sha256: Sha256,
}

/// A person, and what opens the commitment made to their identity.
#[derive(Debug, Clone)]
pub struct PersonRow {
    /// `p-…`
    pub person: String,
    /// The commitment in the log.
    pub commitment: Sha256,
    /// The canonical identity and its salt; none when it was erased.
    pub opening: Option<(Vec<u8>, String)>,
}

impl PersonRow {
    /// Whether the opening, if there is one, is what was committed to.
    pub fn opens(&self) -> bool {
        self.opening
            .as_ref()
            .is_none_or(|(salt, identity)| commitment(salt, identity) == self.commitment)
    }

    /// The identity, if it was not erased.
    pub fn identity(&self) -> Option<Identity> {
        serde_json::from_str(&self.opening.as_ref()?.1).ok()
    }
}

const SELECT_PERSON: &str = "SELECT person.person AS person, commitment, salt, identity FROM person \
    LEFT JOIN person_opening ON person_opening.person = person.person";

/// The registry's UUID, from entry 0.
pub(in super::super) fn registry_id(
    connection: &Connection,
    path: &std::path::Path,
) -> Result<String, StoreError> {
    let corrupt = |detail: String| StoreError::Corrupt { path: path.to_owned(), detail };
    let bytes: Vec<u8> = connection
        .query_row("SELECT entry FROM event WHERE seq = 0", [], |row| row.get(0))
        .map_err(|error| match error {
            rusqlite::Error::QueryReturnedNoRows => corrupt("its log has no beginning".to_owned()),
            other => StoreError::sqlite(other, path),
        })?;
    let entry = Entry::parse(&bytes).map_err(|e| corrupt(format!("its first log entry is {e}")))?;
    Ok(entry.registry)
}

impl Reader<'_> {
    /// One entry.
    pub fn entry(&self, seq: u64) -> Result<Option<StoredEntry>, StoreError> {
        let sql = "SELECT seq, entry, sha256 FROM event WHERE seq = ?1";
        self.first(sql, [int(seq)], |row| {
            Ok(StoredEntry {
                seq: unsigned(row, "seq")?,
                bytes: plain(row, "entry")?,
                sha256: parsed(row, "sha256")?,
            })
        })
    }

    /// The last entry before which, in the order of the log, nothing is later than a time.
    pub fn last_until(&self, time: Timestamp) -> Result<Option<u64>, StoreError> {
        let sql =
            "SELECT seq FROM latest_time WHERE time <= ?1 ORDER BY time DESC, seq DESC LIMIT 1";
        self.first(sql, [time.to_string()], |row| unsigned(row, "seq"))
    }

    /// The number and digest of the last entry.
    pub fn head(&self) -> Result<Option<(u64, Sha256)>, StoreError> {
        let sql = "SELECT seq, sha256 FROM event ORDER BY seq DESC LIMIT 1";
        self.first(sql, [], |row| Ok((unsigned(row, "seq")?, parsed(row, "sha256")?)))
    }

    /// Everyone who ever acted.
    pub fn people(&self) -> Result<Vec<PersonRow>, StoreError> {
        self.rows(&format!("{SELECT_PERSON} ORDER BY person.seq"), [], person)
    }

    /// One person.
    pub fn person(&self, id: &str) -> Result<Option<PersonRow>, StoreError> {
        self.first(&format!("{SELECT_PERSON} WHERE person.person = ?1"), [id], person)
    }
}

fn person(row: &rusqlite::Row<'_>) -> rusqlite::Result<PersonRow> {
    let salt: Option<Vec<u8>> = plain(row, "salt")?;
    let identity: Option<String> = plain(row, "identity")?;
    Ok(PersonRow {
        person: plain(row, "person")?,
        commitment: parsed(row, "commitment")?,
        opening: salt.zip(identity),
    })
}
