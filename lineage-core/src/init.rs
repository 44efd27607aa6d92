//! Making a registry, and looking after its health.

use std::path::PathBuf;

use serde::Serialize;

use crate::context::Context;
use crate::files::{self, FileError};
use crate::layout::{Layout, LayoutError};
use crate::names::ModelName;
use crate::settings::{self, Settings, SettingsError};
use crate::store::{Access, LOG_SCHEMA, PROJECTION_SCHEMA, Registry, StoreError};

/// A registry could not be made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// SQLite's locks are not reliable there.
    #[error("{path} is on {kind}, a network file system, where a registry would not be safe", path = path.display())]
    NetworkFileSystem {
        /// The project root.
        path: PathBuf,
        /// E.g. `NFS`.
        kind: &'static str,
    },
    /// The settings have a section for the model already.
    #[error("lineage.toml already has settings for {model}")]
    AlreadyConfigured {
        /// The model.
        model: ModelName,
    },
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A path cannot be placed.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The registry failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A registry to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitRequest {
    /// The project root, or the `.lineage` folder to make in it.
    pub folder: PathBuf,
    /// Pointer files to configure: model, and path relative to the project root.
    pub pointer_files: Vec<(ModelName, String)>,
    /// Make every check, write nothing.
    pub dry_run: bool,
}

/// What was made.
#[derive(Debug, Clone, Serialize)]
pub struct Initialised {
    /// The registry folder.
    pub registry: String,
    /// Its UUID; none in a dry run that would make it.
    pub id: Option<String>,
    /// The settings file.
    pub settings: String,
    /// False when both were there already.
    pub changed: bool,
    /// True when nothing was written.
    pub dry_run: bool,
}

/// Makes `.lineage/` and a commented `lineage.toml`. What is there already is left alone.
pub fn init(request: &InitRequest, context: &Context<'_>) -> Result<Initialised, InitError> {
    let layout = Layout::planned(&request.folder)?;
    if let Some(kind) = files::network_file_system(layout.root()) {
        return Err(InitError::NetworkFileSystem { path: layout.root().to_owned(), kind });
    }
    let path = layout.settings();
    let before = files::read_small(&path, 4 * 1024 * 1024)?;
    let existing = Settings::load(&path)?;
    let mut text = match &before {
        Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        None => settings::TEMPLATE.to_owned(),
    };
    for (model, file) in &request.pointer_files {
        if existing.models.contains_key(model) {
            return Err(InitError::AlreadyConfigured { model: model.clone() });
        }
        let quoted = toml::Value::String(file.clone());
        text.push_str(&format!("\n[models.\"{model}\"]\npointer-file = {quoted}\n"));
    }
    Settings::parse(&text, &path)?;
    let new_settings = before.as_deref() != Some(text.as_bytes());
    let mut changed = new_settings || !layout.database().exists();
    if !request.dry_run {
        let created = Registry::create(&layout, context)?;
        changed = created || new_settings;
        if new_settings {
            place_settings(&layout, &text, context)?;
        }
    }
    let id = match layout.database().exists() {
        true => Some(Registry::open_quietly(&layout, context)?.id().to_owned()),
        false => None,
    };
    Ok(Initialised {
        registry: layout.registry().to_string_lossy().into_owned(),
        id,
        settings: path.to_string_lossy().into_owned(),
        changed,
        dry_run: request.dry_run,
    })
}

/// Adds sections to `lineage.toml`; what stands there already is kept as it is.
pub(crate) fn add_settings(
    layout: &Layout,
    sections: &str,
    context: &Context<'_>,
) -> Result<(), InitError> {
    if sections.is_empty() {
        return Ok(());
    }
    let path = layout.settings();
    let before = files::read_small(&path, 4 * 1024 * 1024)?.unwrap_or_default();
    let mut text = String::from_utf8_lossy(&before).into_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(sections);
    Settings::parse(&text, &path)?;
    place_settings(layout, &text, context)
}

fn place_settings(layout: &Layout, text: &str, context: &Context<'_>) -> Result<(), InitError> {
    let temporary = format!(".lineage.toml.{}", context.random_hex());
    files::place(text.as_bytes(), layout.root(), &temporary, &layout.settings(), &|| {})?;
    files::sync_folder(layout.root())?;
    Ok(())
}

/// One thing that `doctor` looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// E.g. `file-system`.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found.
    pub detail: String,
}

/// Looks at the registry's surroundings. Reads only.
pub fn examine(registry: &Registry, settings: Result<&Settings, &str>) -> Vec<Finding> {
    let layout = registry.layout();
    let mut findings = Vec::new();
    let mut add = |name, ok, detail: String| findings.push(Finding { name, ok, detail });
    add("registry", true, format!("{} ({})", layout.registry().display(), registry.id()));
    let access = match registry.access() {
        Access::ReadWrite | Access::ReadOnly if files::is_writable(layout.registry()) => "writable",
        Access::ReadWrite | Access::ReadOnly => "readable, not writable",
        Access::Immutable => "readable, not writable, without SQLite's locks",
    };
    add("access", true, access.to_owned());
    add("schema", true, format!("log {LOG_SCHEMA}, tables {PROJECTION_SCHEMA}"));
    match files::network_file_system(layout.registry()) {
        Some(kind) => add(
            "file-system",
            false,
            format!("{kind}: SQLite is not safe on a network file system"),
        ),
        None => add("file-system", true, "local".to_owned()),
    }
    match settings {
        Ok(_) => add("settings", true, "lineage.toml is valid".to_owned()),
        Err(problem) => add("settings", false, problem.to_owned()),
    }
    match registry.read(|reader| reader.head()) {
        Ok(Some((seq, sha256))) => {
            add("log", true, format!("{} entries, head {}", seq + 1, sha256.short()))
        }
        Ok(None) => add("log", false, "the log is empty".to_owned()),
        Err(error) => add("log", false, error.to_string()),
    }
    let free = files::free_bytes(layout.registry());
    if let Some(free) = free {
        let enough = free >= 64 * 1024 * 1024;
        add("disk", enough, format!("{} MiB free", free / 1024 / 1024));
    }
    let leftovers = std::fs::read_dir(layout.temporaries()).map_or(0, |entries| entries.count());
    let detail = match leftovers {
        0 => "no temporary files".to_owned(),
        count => format!(
            "{count} temporary files; the next command that writes removes those of dead processes"
        ),
    };
    add("temporaries", true, detail);
    findings
}
