//! Finding, or making, a copy of a version's bytes that may be served.

use std::path::Path;

use serde::Serialize;

use super::error::PointerError;
use crate::context::{Context, Step};
use crate::digest::{Kind, Sha256};
use crate::events::{Served, ServedFrom};
use crate::lookup::{self, Found};
use crate::names::Reference;
use crate::objects::{self, Mode, ObjectError};
use crate::owed;
use crate::settings::{ServeFrom, Settings};
use crate::store::{Reader, Registry, VersionRow};

/// Why no copy of a version can be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) at_path: String,
    pub(crate) in_store: String,
}

/// The path to serve a version from, with its bytes read and verified: where it was recorded, if
/// the settings allow and the bytes are still the same, else a checkout of the object store.
pub(crate) fn serve(
    reader: &Reader<'_>,
    settings: &Settings,
    version: &VersionRow,
    dry_run: bool,
    context: &Context<'_>,
) -> Result<Result<Served, Lost>, PointerError> {
    let served = |path: String, from, blake3| {
        let (kind, sha256) = (version.kind, version.sha256);
        Ok(Ok(Served { path, from, kind, sha256, blake3 }))
    };
    let compare = |path: &str| lookup::compare_to_serve(reader, version, path, context.observer);
    let mut at_path = format!("{} is not served, as lineage.toml says", version.path);
    if settings.serve_from(&version.model) == ServeFrom::Recorded {
        at_path = match compare(&version.path)? {
            (Found::Same, blake3) => {
                context.observer.step(Step::ServedVerified);
                return served(version.path.clone(), ServedFrom::Recorded, blake3);
            }
            (Found::Missing, _) => format!("{} does not exist", version.path),
            (Found::Other { detail, .. }, _) => format!("{} differs: {detail}", version.path),
        };
    }
    let path = lookup::checkout_path(reader.layout(), version);
    if let (Found::Same, blake3) = compare(&path)? {
        context.observer.step(Step::ServedVerified);
        return served(path, ServedFrom::Checkout, blake3);
    }
    if !version.stored {
        let in_store = "it was recorded with --no-store".to_owned();
        return Ok(Err(Lost { at_path, in_store }));
    }
    let layout = reader.layout();
    let (kind, sha256) = (version.kind, &version.sha256);
    let made = if dry_run {
        objects::verify(layout, kind, sha256, context).map(|()| None)
    } else {
        let target = layout.absolute(&path);
        objects::materialise(layout, kind, sha256, &target, Mode::ReadOnly, true, context)
    };
    match made {
        Ok(blake3) => {
            context.observer.step(Step::ServedVerified);
            served(path, ServedFrom::Checkout, blake3)
        }
        Err(error @ (ObjectError::Missing(_) | ObjectError::Damaged(_))) => {
            Ok(Err(Lost { at_path, in_store: error.to_string() }))
        }
        Err(other) => Err(other.into()),
    }
}

/// The bytes of a version, taken from the object store.
#[derive(Debug, Clone, Serialize)]
pub struct Checkout {
    /// The model.
    pub model: String,
    /// The version.
    pub version: u64,
    /// Where the bytes are, as an absolute path.
    pub path: String,
    /// File or directory.
    pub kind: Kind,
    /// Their digest, verified.
    pub sha256: Sha256,
    /// False when they were there already.
    pub changed: bool,
}

/// Puts a version's bytes into `folder` (under the artifact's own name, writable), or into the
/// registry's checkouts (read-only) when no folder is given.
pub fn checkout(
    registry: &mut Registry,
    settings: &Settings,
    reference: &Reference,
    folder: Option<&Path>,
    dry_run: bool,
    context: &Context<'_>,
) -> Result<Checkout, PointerError> {
    let _in_flight = if dry_run { None } else { Some(owed::enter(registry, settings, context)?) };
    registry.read(|reader| {
        let version = lookup::version(reader, reference)?;
        let layout = reader.layout();
        let target = match folder {
            Some(folder) => std::path::absolute(folder)
                .map_err(crate::files::FileError::io("find", folder))?
                .join(lookup::artifact_name(&version)),
            None => layout.absolute(&lookup::checkout_path(layout, &version)),
        };
        let path = crate::layout::slashed(&target)?;
        let there = lookup::compare(reader, &version, &path, context.observer)?;
        if there != Found::Same {
            if !version.stored {
                return Err(PointerError::NotStored { reference: version.reference() });
            }
            let (kind, sha256) = (version.kind, &version.sha256);
            if folder.is_some() && target.symlink_metadata().is_ok() {
                return Err(ObjectError::Occupied { path: target }.into());
            }
            if dry_run {
                objects::verify(layout, kind, sha256, context)?;
            } else {
                let own = folder.is_none();
                let mode = if own { Mode::ReadOnly } else { Mode::Writable };
                objects::materialise(layout, kind, sha256, &target, mode, own, context)?;
            }
        }
        Ok(Checkout {
            model: version.model.to_string(),
            version: version.number,
            path,
            kind: version.kind,
            sha256: version.sha256,
            changed: there != Found::Same,
        })
    })
}
