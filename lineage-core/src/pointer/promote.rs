//! `promote`: making a version live.

use super::engine::{Attempt, Choice, Decision, Moved, refused};
use super::error::{PointerError, Refusal};
use super::external;
use super::plan::{Change, changes};
use crate::context::Context;
use crate::events::MoveAction;
use crate::lookup;
use crate::names::{ModelName, PointerName, Reference, Selector, version_reference};
use crate::pointer_file::pointer_reference;
use crate::settings::Settings;
use crate::store::{PointerRow, Reader, Registry, VersionRow};

/// What the caller believes to be live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    /// Nothing.
    Nothing,
    /// This version.
    Version(Selector),
}

/// What to do when the pointer file was edited from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum External {
    /// Stop.
    Refuse,
    /// Record the edit as the truth, if it names a version whose bytes are there.
    Accept,
    /// Write over it; the log keeps what it said.
    Overwrite,
}

/// A promotion to carry out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromoteRequest {
    /// The model.
    pub model: ModelName,
    /// The version; the newest that is not quarantined unless given.
    pub version: Option<Selector>,
    /// The pointer.
    pub pointer: PointerName,
    /// Fail unless this is live.
    pub expect: Option<Expectation>,
    /// Why.
    pub reason: Option<String>,
    /// Whether a version may be promoted that was rolled back from.
    pub allow_quarantined: bool,
    /// What to do about an edit from outside.
    pub external: External,
    /// Make every check, write nothing.
    pub dry_run: bool,
}

/// Moves a pointer to a version, after verifying the very bytes that will be served.
pub fn promote(
    registry: &mut Registry,
    settings: &Settings,
    request: &PromoteRequest,
    context: &Context<'_>,
) -> Result<Moved, PointerError> {
    if request.external == External::Accept {
        return external::accept(registry, settings, request, context);
    }
    let expected = registry.read(|reader| expected_number(reader, request))?;
    let decide = |reader: &Reader<'_>| decide(reader, request);
    attempt(request, expected).carry_out(registry, settings, context, &decide)
}

/// What a promotion would do, before any bytes are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What differs between the live version and the one to be promoted.
    pub changes: Vec<Change>,
    /// Where a rollback would lead afterwards.
    pub rollback_target: Option<u64>,
}

/// The plan of a promotion; none when nothing would change, or when an edit from outside decides.
pub fn plan(registry: &Registry, request: &PromoteRequest) -> Result<Option<Plan>, PointerError> {
    if request.external == External::Accept {
        return Ok(None);
    }
    registry.read(|reader| {
        lookup::known_model(reader, &request.model)?;
        let Decision::Move(choice) = decide(reader, request)? else { return Ok(None) };
        let attempt = attempt(request, None);
        let live = choice.from.map(|number| reader.version(&request.model, number)).transpose()?;
        let changes = match live.flatten() {
            Some(live) => changes(reader, &live, &choice.to)?,
            None => Vec::new(),
        };
        let rollback_target = attempt.rollback_target(reader, Some(&choice))?;
        Ok(Some(Plan { changes, rollback_target }))
    })
}

fn attempt(request: &PromoteRequest, expected: Option<u64>) -> Attempt<'_> {
    Attempt {
        model: &request.model,
        pointer: &request.pointer,
        action: MoveAction::Promote,
        reason: request.reason.as_deref(),
        expected,
        overwrite_external: request.external == External::Overwrite,
        dry_run: request.dry_run,
    }
}

fn decide(reader: &Reader<'_>, request: &PromoteRequest) -> Result<Decision, PointerError> {
    let live = live(reader, &request.model, &request.pointer)?;
    check_expectation(reader, request, live)?;
    let to = target(reader, request)?;
    if live == Some(to.number) {
        return Ok(Decision::AlreadySo(Some(Box::new(to))));
    }
    Ok(Decision::Move(Box::new(Choice {
        from: live,
        to,
        popped: 0,
        pushed: true,
        passed_over: Vec::new(),
        quarantine: false,
    })))
}

pub(super) fn live(
    reader: &Reader<'_>,
    model: &ModelName,
    pointer: &PointerName,
) -> Result<Option<u64>, PointerError> {
    Ok(reader.pointer(model, pointer)?.and_then(|row: PointerRow| row.version))
}

fn target(reader: &Reader<'_>, request: &PromoteRequest) -> Result<VersionRow, PointerError> {
    let model = &request.model;
    let Some(selector) = &request.version else {
        return match reader.newest_promotable(model, request.pointer.as_str())? {
            Some(version) => Ok(version),
            None => Err(PointerError::NothingToPromote {
                model: model.clone(),
                quarantined: reader.latest_version(model)?.is_some(),
            }),
        };
    };
    let reference = Reference { model: model.clone(), selector: selector.clone() };
    let version = lookup::version(reader, &reference)?;
    let quarantined = reader.quarantined(model, &request.pointer)?.contains(&version.number);
    if quarantined && !request.allow_quarantined {
        return Err(refused(Refusal::Quarantined {
            version: version.reference(),
            pointer: pointer_reference(model, &request.pointer),
        }));
    }
    Ok(version)
}

fn expected_number(
    reader: &Reader<'_>,
    request: &PromoteRequest,
) -> Result<Option<u64>, PointerError> {
    match &request.expect {
        Some(Expectation::Version(selector)) => {
            let reference = Reference { model: request.model.clone(), selector: selector.clone() };
            Ok(Some(lookup::version(reader, &reference)?.number))
        }
        _ => Ok(None),
    }
}

pub(super) fn check_expectation(
    reader: &Reader<'_>,
    request: &PromoteRequest,
    live: Option<u64>,
) -> Result<(), PointerError> {
    let expected = expected_number(reader, request)?;
    if request.expect.is_none() || expected == live {
        return Ok(());
    }
    Err(moved(&request.model, &request.pointer, live, expected))
}

/// The pointer is not where the caller believed.
pub(super) fn moved(
    model: &ModelName,
    pointer: &PointerName,
    live: Option<u64>,
    expected: Option<u64>,
) -> PointerError {
    let name = |number: Option<u64>| {
        number.map_or("none".to_owned(), |number| version_reference(model, number))
    };
    PointerError::Moved {
        pointer: pointer_reference(model, pointer),
        live: name(live),
        expected: name(expected),
    }
}
