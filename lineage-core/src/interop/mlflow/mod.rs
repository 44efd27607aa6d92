//! From MLflow's SQLite database and its artifacts.
//!
//! Each run, experiment, registered model, logged model and dataset becomes a session, with everything
//! that its row says as claimed facts. A model version belongs to its run's session, if the run ended well;
//! with the artifact found it makes a version. Runs of registered models are sessions of that model, others of a model
//! named after their experiment.

mod artifacts;
mod counts;
mod pieces;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::import::{Done, Importer, shown};
use super::report::{ImportReport, ImportedPointer, ImportedVersion};
use crate::context::Context;
use crate::names::ModelName;
use crate::settings::Settings;
use crate::store::{ForeignDatabase, ForeignRow, Registry};
use crate::takeover::TakeoverError;

use self::artifacts::Artifacts;
use self::counts::Tally;
use self::pieces::{Made, Source};

/// What to import.
#[derive(Debug, Clone)]
pub struct MlflowRequest {
    /// The database.
    pub database: PathBuf,
    /// Where the artifacts are, when not where the database says.
    pub artifacts: Option<PathBuf>,
    /// Whether aliases become pointers, rather than claims alone.
    pub aliases_as_pointers: bool,
    /// Look, count, write nothing.
    pub dry_run: bool,
}

/// Imports everything that lineage has a place for, and counts it in the registry afterwards.
pub fn import(
    registry: &mut Registry,
    settings: &Settings,
    request: &MlflowRequest,
    context: &Context<'_>,
) -> Result<ImportReport, TakeoverError> {
    let database = ForeignDatabase::open(&request.database)?;
    let tables = database.tables()?;
    if !["experiments", "runs", "metrics"].iter().all(|name| tables.iter().any(|t| t == name)) {
        let path = shown(&request.database);
        return Err(TakeoverError::NotASource {
            path,
            expected: "the database of an MLflow server",
        });
    }
    let report = ImportReport {
        source: shown(&request.database),
        dry_run: request.dry_run,
        ..ImportReport::default()
    };
    let mut importer = Importer { registry, settings, context, report };
    let artifacts = Artifacts::new(&request.database, request.artifacts.as_deref());
    let source = Source::read(&database, &artifacts)?;
    let mut tally = Tally::default();
    let mut versions = BTreeMap::new();
    for experiment in source.experiments.values() {
        session(&mut importer, source.experiment(&database, experiment)?, &mut tally)?;
    }
    for dataset in database.rows("datasets", None)? {
        session(&mut importer, source.dataset(&dataset), &mut tally)?;
    }
    for work in source.order() {
        let made = source.run_or_version(&database, &work)?;
        let (original, unfit) = (made.original.clone(), made.unfit.clone());
        let (done, model, path) = session(&mut importer, made, &mut tally)?;
        if let Some(original) = original {
            version(&mut importer, &original, &done, (&model, path));
            versions.insert(original, Known { model, version: done.number(), unfit });
        }
    }
    for model in database.rows("logged_models", None)? {
        session(&mut importer, source.logged_model(&database, &model)?, &mut tally)?;
    }
    for model in database.rows("registered_models", None)? {
        session(&mut importer, source.registered_model(&database, &model)?, &mut tally)?;
    }
    for alias in database.rows("registered_model_aliases", None)? {
        point(&mut importer, &alias, &versions, request.aliases_as_pointers)?;
    }
    importer.report.counts = tally.compare(&database)?;
    importer.report.left = counts::left(&database)?;
    if tally.infinite > 0 {
        let detail = format!(
            "recorded as infinity, which MLflow stores as ±1.7976931348623157e308: {}",
            tally.infinite
        );
        importer.problem("metrics", detail);
    }
    Ok(importer.report)
}

type Recorded = (Done, ModelName, Option<PathBuf>);

/// What became of a version of MLflow's.
struct Known {
    model: ModelName,
    version: Option<u64>,
    /// How its run ended, when it did not end well.
    unfit: Option<String>,
}

fn session(
    importer: &mut Importer<'_, '_>,
    made: Made,
    tally: &mut Tally,
) -> Result<Recorded, TakeoverError> {
    for problem in &made.problems {
        importer.problem(&made.piece.subject, problem.clone());
    }
    tally.infinite += made.infinite;
    let piece = made.piece;
    let (request, model) = (piece.request.clone(), piece.request.model.clone());
    let done = importer.import(piece)?;
    tally.add(&request, done.facts.as_ref());
    Ok((done, model, request.artifact))
}

/// MLflow's name and version of a registered model.
pub(super) type VersionKey = (String, String, String);

fn version(
    importer: &mut Importer<'_, '_>,
    original: &VersionKey,
    done: &Done,
    (model, path): (&ModelName, Option<PathBuf>),
) {
    importer.report.versions.push(ImportedVersion {
        model: model.to_string(),
        version: done.number(),
        label: done.label(),
        original: format!("{} version {}", original.1, original.2),
        path: path.as_deref().map(shown),
    });
}

fn point(
    importer: &mut Importer<'_, '_>,
    row: &ForeignRow,
    versions: &BTreeMap<VersionKey, Known>,
    as_pointer: bool,
) -> Result<(), TakeoverError> {
    let key = pieces::version_key(row);
    let alias = row.text("alias").unwrap_or_default();
    let original = format!("{} version {}", key.1, key.2);
    let known = versions.get(&key);
    let model = known.map(|known| known.model.clone()).or_else(|| super::model_name(&key.1));
    let Some(model) = model else { return Ok(()) };
    let version = known.and_then(|known| known.version);
    let unfit = known.and_then(|known| known.unfit.as_deref());
    let mut set = false;
    match version {
        Some(version) if as_pointer && let Some(status) = unfit => {
            let detail = format!(
                "not set: the status of the run of {original} is {status}; if it is sound: \
                 lineage promote {model} --pointer {alias} --version {version}"
            );
            importer.problem(&alias, detail);
        }
        Some(version) if as_pointer && !importer.report.dry_run => {
            let reason = format!("MLflow's alias {alias} of {original}");
            set = importer.point(&model, &alias, version, reason)?;
        }
        None if as_pointer && !importer.report.dry_run => {
            importer
                .problem(&alias, format!("{original} made no version that could be pointed to"));
        }
        _ => {}
    }
    let pointer = ImportedPointer { model: model.to_string(), name: alias, original, set };
    importer.report.pointers.push(pointer);
    Ok(())
}

/// The folder that a database lies in.
fn folder_of(database: &Path) -> PathBuf {
    crate::files::parent(database).to_owned()
}
