//! `status`: every model, its pointers, and whether their files agree.

use std::fmt;

use serde::Serialize;

use super::external::named_versions;
use super::stack::walk_down;
use crate::context::{Context, Timestamp};
use crate::digest::Sha256;
use crate::lookup::{self, LookupError, Person};
use crate::names::{ModelName, PointerName};
use crate::owed::{self, FileState};
use crate::pointer_file;
use crate::settings::{PointerFile, Settings};
use crate::store::{At, Past, PointerRow, Reader, Registry, StoreError};

/// The whole registry at a glance.
#[derive(Debug, Clone, Serialize)]
pub struct RegistryStatus {
    /// The registry's UUID.
    pub registry: String,
    /// Its models, by name.
    pub models: Vec<ModelStatus>,
    /// The number of the last log entry.
    pub log_seq: u64,
    /// The digest of the last log entry.
    pub log_sha256: Sha256,
    /// The entry after which it was so; none for the present.
    pub at: Option<At>,
}

/// One model.
#[derive(Debug, Clone, Serialize)]
pub struct ModelStatus {
    /// Its name.
    pub model: ModelName,
    /// Its newest version.
    pub latest: Option<u64>,
    /// Its pointers, by name.
    pub pointers: Vec<PointerStatus>,
}

/// One pointer.
#[derive(Debug, Clone, Serialize)]
pub struct PointerStatus {
    /// Its name.
    pub pointer: PointerName,
    /// The version it names; none when it was taken away.
    pub version: Option<u64>,
    /// That version's artifact.
    pub sha256: Option<Sha256>,
    /// The path it names, relative to the project root.
    pub served_path: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Who moved it.
    pub by: Option<Person>,
    /// Where a rollback would lead.
    pub rollback_target: Option<u64>,
    /// Versions that a promotion passes over.
    pub quarantined: Vec<u64>,
    /// Its file; none when the settings name none.
    pub file: Option<PointerFileReport>,
}

/// A pointer's file.
#[derive(Debug, Clone, Serialize)]
pub struct PointerFileReport {
    /// Relative to the project root.
    pub path: String,
    /// `written`, `owed` or `drift`.
    pub state: &'static str,
    /// What an edit from outside says.
    pub drift: Option<DriftReport>,
}

/// What a file that something other than lineage wrote seems to say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DriftReport {
    /// What it names, as written; none when the file is gone or says nothing readable.
    pub names: Option<String>,
    /// The version that is meant by it, e.g. `fraud@3`.
    pub version: Option<String>,
    /// Why a service here cannot open the path as written.
    pub unusable: Option<&'static str>,
    /// Whether the file is gone.
    pub deleted: bool,
}

impl fmt::Display for DriftReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.deleted {
            return f.write_str("it was deleted");
        }
        match &self.names {
            None => return f.write_str("it holds no path"),
            Some(names) => write!(f, "it says {names}")?,
        }
        if let Some(unusable) = self.unusable {
            write!(f, " (no service here can open that: {unusable})")?;
        }
        match &self.version {
            Some(version) => write!(f, ", which is {version}"),
            None => f.write_str(", where no version of the model was recorded"),
        }
    }
}

/// Reads a pointer file that something other than lineage wrote.
pub fn describe_external(
    reader: &Reader<'_>,
    model: &ModelName,
    file: &PointerFile,
    content: Option<&[u8]>,
) -> Result<DriftReport, StoreError> {
    let read_again;
    let content = match content {
        Some(content) => content,
        None => match crate::files::read_small(&reader.layout().absolute(&file.path), 1 << 20)? {
            Some(bytes) => {
                read_again = bytes;
                &read_again
            }
            None => return Ok(DriftReport { deleted: true, ..DriftReport::default() }),
        },
    };
    let reading = pointer_file::read(content);
    let version = named_versions(reader, model, file, content)?.into_iter().next();
    let shown = |text: String| text.chars().take(200).flat_map(char::escape_debug).collect();
    let names = match (reading.written, reading.version, &version) {
        (Some(written), _, _) => Some(written.chars().take(200).collect()),
        (None, Some(number), _) => Some(format!("version {number}")),
        (None, None, Some(_)) => Some(shown(String::from_utf8_lossy(content).trim().to_owned())),
        (None, None, None) => None,
    };
    Ok(DriftReport {
        names,
        version: version.map(|(version, _)| version.reference()),
        unusable: reading.unusable,
        deleted: false,
    })
}

/// The state of all models, or of one. A pointer file that does not agree is looked at again while
/// no other process is putting one in place.
pub fn status(
    registry: &Registry,
    settings: &Settings,
    model: Option<&ModelName>,
    context: &Context<'_>,
) -> Result<RegistryStatus, LookupError> {
    let read = || {
        registry.read(|reader| {
            if let Some(model) = model {
                lookup::known_model(reader, model)?;
            }
            Ok::<_, LookupError>(snapshot(reader, settings, model)?)
        })
    };
    let found = read()?;
    let mut pointers = found.models.iter().flat_map(|model| &model.pointers);
    if pointers.all(|pointer| pointer.file.as_ref().is_none_or(|file| file.state == "written")) {
        return Ok(found);
    }
    let _calm = owed::calm(registry.layout(), context);
    read()
}

/// The state of all models, or of one, as it was. Of the pointers' files nothing is known.
pub fn status_then(past: &Past, model: Option<&ModelName>) -> Result<RegistryStatus, LookupError> {
    let reader = past.reader();
    if let Some(model) = model {
        lookup::known_model(&reader, model)?;
    }
    let found = snapshot(&reader, &Settings::default(), model)?;
    Ok(RegistryStatus { at: Some(past.at), ..found })
}

fn snapshot(
    reader: &Reader<'_>,
    settings: &Settings,
    model: Option<&ModelName>,
) -> Result<RegistryStatus, StoreError> {
    let mut models = Vec::new();
    let names = match model {
        Some(model) => vec![model.clone()],
        None => reader.models()?,
    };
    for name in names {
        let rows = reader.pointers(Some(&name))?;
        let mut pointers = Vec::new();
        for row in &rows {
            pointers.push(pointer_status(reader, settings, row)?);
        }
        // A configured file of a pointer that was never set may already say something.
        for (owner, pointer, _) in settings.pointer_files() {
            if owner == name && rows.iter().all(|row| row.pointer != pointer) {
                pointers.push(PointerStatus {
                    file: file_report(reader, settings, &name, &pointer)?,
                    pointer,
                    version: None,
                    sha256: None,
                    served_path: None,
                    since: None,
                    by: None,
                    rollback_target: None,
                    quarantined: Vec::new(),
                });
            }
        }
        let latest = reader.latest_version(&name)?.map(|version| version.number);
        models.push(ModelStatus { model: name, latest, pointers });
    }
    let (log_seq, log_sha256) = reader.head()?.unwrap_or((0, Sha256::ZERO));
    Ok(RegistryStatus { registry: reader.id().to_owned(), models, log_seq, log_sha256, at: None })
}

fn pointer_status(
    reader: &Reader<'_>,
    settings: &Settings,
    row: &PointerRow,
) -> Result<PointerStatus, StoreError> {
    let version = match row.version {
        Some(number) => reader.version(&row.model, number)?,
        None => None,
    };
    let stack: Vec<Option<u64>> =
        reader.holdings(&row.model, &row.pointer)?.into_iter().map(|h| h.version).collect();
    let quarantined = reader.quarantined(&row.model, &row.pointer)?;
    let walk = walk_down(&stack, &|version| quarantined.contains(&version));
    Ok(PointerStatus {
        pointer: row.pointer.clone(),
        version: row.version,
        sha256: version.map(|version| version.sha256),
        served_path: row.served_path.clone(),
        since: Some(row.since),
        by: Some(lookup::person(reader, &row.person)?),
        rollback_target: walk.map(|walk| walk.target),
        quarantined,
        file: file_report(reader, settings, &row.model, &row.pointer)?,
    })
}

fn file_report(
    reader: &Reader<'_>,
    settings: &Settings,
    model: &ModelName,
    pointer: &PointerName,
) -> Result<Option<PointerFileReport>, StoreError> {
    let Some(status) = owed::pointer_status(reader, settings, model, pointer)? else {
        return Ok(None);
    };
    let drift = match &status.state {
        FileState::Drift { found } => {
            Some(describe_external(reader, model, &status.file, found.as_deref())?)
        }
        _ => None,
    };
    Ok(Some(PointerFileReport { path: status.file.path, state: status.state.name(), drift }))
}
