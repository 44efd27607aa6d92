//! A pointer file that something other than lineage wrote: which version does it name, and
//! accepting it as the truth.

use super::engine::{Attempt, Moved, PointerFileState, check_path, finish, owe_file, refused};
use super::error::{PointerError, Refusal};
use super::promote::{PromoteRequest, check_expectation, live};
use super::status::describe_external;
use crate::context::Context;
use crate::events::{AdoptedExternally, Event, MoveAction, PointerAdopted, Served, ServedFrom};
use crate::lookup::{self, Found};
use crate::names::{ModelName, Reference};
use crate::owed::{self, FileState};
use crate::pointer_file::{self, PointerFacts, pointer_reference};
use crate::settings::{PointerFile, PointerFormat, Settings};
use crate::store::{Reader, Registry, StoreError, VersionRow};

/// The versions that the content of a pointer file may name, the likeliest first, each with the
/// path (recorded form) that it is named by.
pub(super) fn named_versions(
    reader: &Reader<'_>,
    model: &ModelName,
    file: &PointerFile,
    content: &[u8],
) -> Result<Vec<(VersionRow, String)>, StoreError> {
    let reading = pointer_file::read(content);
    // A version alone is served from where it was recorded; with a path, both must agree.
    let versions = match (reading.version, &reading.path) {
        (Some(number), None) => {
            let version = reader.version(model, number)?;
            return Ok(version.map(|v| (v.clone(), v.path)).into_iter().collect());
        }
        (Some(number), Some(_)) => reader.version(model, number)?.into_iter().collect(),
        (None, _) => reader.versions(model, u64::MAX)?,
    };
    if file.format == PointerFormat::Template {
        return Ok(rendered_alike(reader, &versions, file, content));
    }
    let Some(written) = reading.path else { return Ok(Vec::new()) };
    let candidates = candidates(reader, file, &written);
    let mut found = Vec::new();
    for candidate in &candidates {
        for version in &versions {
            let checkout = lookup::checkout_path(reader.layout(), version);
            if [&version.path, &checkout].into_iter().any(|path| path == candidate) {
                found.push((version.clone(), candidate.clone()));
            }
        }
    }
    if found.is_empty() {
        // A path from another machine: what counts is where it ends.
        let tail = |long: &str, short: &str| {
            long == short || long.ends_with(&format!("/{}", short.trim_start_matches('/')))
        };
        found.extend(
            versions
                .into_iter()
                .filter(|v| tail(&written, &v.path) || tail(&v.path, &written))
                .map(|v| (v.clone(), v.path)),
        );
    }
    Ok(found)
}

/// The places that a relative path may be meant from: the configured folder, the project root, and
/// every folder from the file's own up to the root.
fn candidates(reader: &Reader<'_>, file: &PointerFile, written: &str) -> Vec<String> {
    let layout = reader.layout();
    let mut bases = vec![file.base.clone(), ".".to_owned()];
    let mut folder = file.path.as_str();
    while let Some((parent, _)) = folder.rsplit_once('/') {
        bases.push(parent.to_owned());
        folder = parent;
    }
    let mut found = Vec::new();
    for base in bases {
        let joined = layout.absolute(&base).join(written);
        let path = layout.recorded_by_name(&joined.to_string_lossy());
        if !found.contains(&path) {
            found.push(path);
        }
    }
    found
}

fn rendered_alike(
    reader: &Reader<'_>,
    versions: &[VersionRow],
    file: &PointerFile,
    content: &[u8],
) -> Vec<(VersionRow, String)> {
    let matches = |version: &VersionRow, path: &str| {
        let facts = PointerFacts {
            model: &version.model,
            version: version.number,
            path: reader.layout().relative_from(&file.base, path),
            sha256: version.sha256,
            kind: version.kind,
            promoted_at: version.created,
            event_seq: version.seq,
        };
        pointer_file::render(file, &facts).trim_ascii() == content.trim_ascii()
    };
    let mut found = Vec::new();
    for version in versions {
        let checkout = lookup::checkout_path(reader.layout(), version);
        for path in [version.path.clone(), checkout] {
            if matches(version, &path) {
                found.push((version.clone(), path));
            }
        }
    }
    found
}

/// Records an edit from outside as the truth, if the file names a version whose bytes are there.
pub(super) fn accept(
    registry: &mut Registry,
    settings: &Settings,
    request: &PromoteRequest,
    context: &Context<'_>,
) -> Result<Moved, PointerError> {
    let (model, pointer) = (&request.model, &request.pointer);
    let attempt = Attempt {
        model,
        pointer,
        action: MoveAction::Promote,
        reason: request.reason.as_deref(),
        expected: None,
        overwrite_external: true,
        dry_run: request.dry_run,
    };
    let in_flight =
        if request.dry_run { None } else { Some(owed::enter(registry, settings, context)?) };
    let _lock = match request.dry_run {
        true => None,
        false => Some(owed::lock_pointers(registry.layout(), context)?),
    };
    let plan = registry.read(|reader| {
        lookup::known_model(reader, model)?;
        attempt.check_namespace(reader)?;
        let from = live(reader, model, pointer)?;
        check_expectation(reader, request, from)?;
        let Some(status) = attempt.file_status(reader, settings)? else {
            return Err(PointerError::NoPointerFile { pointer: pointer_reference(model, pointer) });
        };
        let FileState::Drift { found } = status.state.clone() else {
            return Ok(Plan { from, status: status.state.name(), file: status.file, edit: None });
        };
        let edit = read_edit(reader, request, &status.file, found, context)?;
        check_path(&status.file, &edit.served.path)?;
        Ok(Plan { from, status: "drift", file: status.file, edit: Some(edit) })
    });
    let plan = match plan {
        Err(PointerError::Refused { refusal, .. }) if !request.dry_run => {
            drop(_lock);
            let decide = |_: &Reader<'_>| Err(refused(refusal.clone()));
            return attempt.carry_out(registry, settings, context, &decide);
        }
        other => other?,
    };
    let mut moved = Moved::still(model, pointer, plan.from, request.dry_run);
    moved.pointer_file =
        Some(PointerFileState { path: plan.file.path, state: plan.status, problem: None });
    if let Some(edit) = &plan.edit {
        moved.to = Some(edit.to.number);
        moved.changed = true;
        moved.served_path = Some(edit.served.path.clone());
        moved.served_from = Some(edit.served.from);
    }
    moved.unrepaired = in_flight.as_ref().map(|f| f.unrepaired.clone()).unwrap_or_default();
    let (Some(edit), false) = (plan.edit, request.dry_run) else { return Ok(moved) };
    let (seq, owing, target) = registry.write(context, |writer| {
        check_expectation(writer, request, live(writer, model, pointer)?)?;
        let status = attempt.file_status(writer, settings)?;
        let event = Event::PointerAdopted(PointerAdopted {
            model: model.clone(),
            pointer: pointer.clone(),
            from: live(writer, model, pointer)?,
            to: edit.to.number,
            served: edit.served.clone(),
            external: edit.external.clone(),
            reason: request.reason.clone(),
        });
        if let Some(flight) = &in_flight {
            writer.settle(&flight.settled)?;
        }
        let seq = writer.append(&event, None)?.entry.seq;
        let owing = owe_file(writer, model, pointer, seq, status, context)?;
        Ok::<_, PointerError>((seq, owing, attempt.rollback_target(writer, None)?))
    })?;
    moved.event_seq = Some(seq);
    moved.rollback_target = target;
    (moved.pointer_file, moved.abandoned_files) = finish(registry, owing, context);
    Ok(moved)
}

struct Plan {
    from: Option<u64>,
    status: &'static str,
    file: PointerFile,
    edit: Option<Edit>,
}

struct Edit {
    to: VersionRow,
    served: Served,
    external: AdoptedExternally,
}

fn read_edit(
    reader: &Reader<'_>,
    request: &PromoteRequest,
    file: &PointerFile,
    found: Option<Vec<u8>>,
    context: &Context<'_>,
) -> Result<Edit, PointerError> {
    let model = &request.model;
    let named = match &found {
        Some(content) => named_versions(reader, model, file, content)?,
        None => Vec::new(),
    };
    let (Some((first, path)), Some(content)) = (named.first(), found) else {
        let report = describe_external(reader, model, file, None)?;
        return Err(PointerError::ExternalUnknown {
            model: model.clone(),
            path: file.path.clone(),
            found: report.to_string(),
        });
    };
    let external = AdoptedExternally {
        path: file.path.clone(),
        sha256: crate::digest::Sha256::of(&content),
        text: String::from_utf8_lossy(&content).chars().take(4096).collect(),
    };
    let mut problem = format!("{path} does not exist");
    for (version, path) in &named {
        let (found, blake3) = lookup::compare_to_serve(reader, version, path, context.observer)?;
        match found {
            Found::Same => {
                check_choice(reader, request, version)?;
                let from =
                    if *path == version.path { ServedFrom::Recorded } else { ServedFrom::Checkout };
                let (path, kind, sha256) = (path.clone(), version.kind, version.sha256);
                let served = Served { path, from, kind, sha256, blake3 };
                return Ok(Edit { to: version.clone(), served, external });
            }
            Found::Missing => {}
            Found::Other { detail, .. } => problem = format!("{path} differs: {detail}"),
        }
    }
    let in_store = "the file names that path, so nothing else can be served".to_owned();
    Err(refused(Refusal::Lost { version: first.reference(), at_path: problem, in_store }))
}

/// What the request and the policies say about the version that the file names.
fn check_choice(
    reader: &Reader<'_>,
    request: &PromoteRequest,
    version: &VersionRow,
) -> Result<(), PointerError> {
    let pointer = pointer_reference(&request.model, &request.pointer);
    if let Some(selector) = &request.version {
        let reference = Reference { model: request.model.clone(), selector: selector.clone() };
        let asked = lookup::version(reader, &reference)?;
        if asked.number != version.number {
            return Err(PointerError::Moved {
                pointer: format!("the file of {pointer}"),
                live: version.reference(),
                expected: asked.reference(),
            });
        }
    }
    let quarantined = reader.quarantined(&request.model, &request.pointer)?;
    if quarantined.contains(&version.number) && !request.allow_quarantined {
        return Err(refused(Refusal::Quarantined { version: version.reference(), pointer }));
    }
    Ok(())
}
