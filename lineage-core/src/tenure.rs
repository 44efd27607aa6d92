//! When each version was live, and who made it so.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::context::Timestamp;
use crate::lookup::{self, Person};
use crate::names::{ModelName, PointerName};
use crate::store::{Reader, StoreError};

/// A time without a break in which a pointer named one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tenure {
    /// The model.
    pub model: ModelName,
    /// The pointer.
    pub pointer: PointerName,
    /// The version.
    pub version: u64,
    /// The move that made it live.
    pub since: Turn,
    /// The move that ended it; none while it is live.
    pub until: Option<Turn>,
}

/// A move of a pointer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Turn {
    /// The log entry.
    pub seq: u64,
    /// When, by the clock of the machine that wrote it.
    pub time: Timestamp,
    /// Who.
    pub by: Person,
}

/// The tenures at all pointers of a model, in the order of their beginnings.
pub fn tenures(reader: &Reader<'_>, model: &ModelName) -> Result<Vec<Tenure>, StoreError> {
    let mut people: BTreeMap<String, Person> = BTreeMap::new();
    let mut tenures: Vec<Tenure> = Vec::new();
    // Where the open tenure of each pointer is.
    let mut open: BTreeMap<PointerName, usize> = BTreeMap::new();
    let mut rows = reader.history(model, None, u64::MAX)?;
    rows.reverse();
    for row in rows.into_iter().filter(|row| row.action != "refuse") {
        let live = open.get(&row.pointer).map(|index| tenures[*index].version);
        if live == row.to {
            // The same version, served from another path.
            continue;
        }
        let by = match people.get(&row.person) {
            Some(person) => person.clone(),
            None => {
                let person = lookup::person(reader, &row.person)?;
                people.insert(row.person.clone(), person.clone());
                person
            }
        };
        let turn = Turn { seq: row.seq, time: row.time, by };
        if let Some(index) = open.remove(&row.pointer) {
            tenures[index].until = Some(turn.clone());
        }
        if let Some(version) = row.to {
            open.insert(row.pointer.clone(), tenures.len());
            let (model, pointer) = (model.clone(), row.pointer);
            tenures.push(Tenure { model, pointer, version, since: turn, until: None });
        }
    }
    Ok(tenures)
}
