//! `rollback`: a walk down the pointer's stack, never a toggle, safe to retry.

use super::engine::{Attempt, Choice, Decision, Moved, refused};
use super::error::{PointerError, Refusal};
use super::promote::moved;
use super::stack::walk_down;
use crate::context::Context;
use crate::events::MoveAction;
use crate::lookup::{self, LookupError};
use crate::names::{ModelName, PointerName, Reference, Selector, version_reference};
use crate::pointer_file::pointer_reference;
use crate::settings::Settings;
use crate::store::{PointerRow, Reader, Registry};

/// A rollback to carry out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollbackRequest {
    /// The model.
    pub model: ModelName,
    /// The pointer.
    pub pointer: PointerName,
    /// Why; it is evidence and stays in clear.
    pub reason: String,
    /// A version that once held the pointer, instead of the next one down the stack.
    pub version: Option<Selector>,
    /// Go back only from this version; if that was already done, nothing changes.
    pub expect: Option<Selector>,
    /// Whether the version left behind may be promoted again without a flag.
    pub no_quarantine: bool,
    /// Whether a quarantined version may be the target.
    pub allow_quarantined: bool,
    /// Make every check, write nothing.
    pub dry_run: bool,
}

/// Moves a pointer back, after verifying the very bytes that will be served.
pub fn rollback(
    registry: &mut Registry,
    settings: &Settings,
    request: &RollbackRequest,
    context: &Context<'_>,
) -> Result<Moved, PointerError> {
    if request.reason.trim().is_empty() {
        return Err(PointerError::EmptyReason);
    }
    let expected = match &request.expect {
        Some(selector) => Some(registry.read(|reader| number(reader, request, selector))?),
        None => None,
    };
    let attempt = Attempt {
        model: &request.model,
        pointer: &request.pointer,
        action: MoveAction::Rollback,
        reason: Some(&request.reason),
        expected,
        overwrite_external: false,
        dry_run: request.dry_run,
    };
    attempt.carry_out(registry, settings, context, &|reader| decide(reader, request, expected))
}

fn number(
    reader: &Reader<'_>,
    request: &RollbackRequest,
    selector: &Selector,
) -> Result<u64, PointerError> {
    let reference = Reference { model: request.model.clone(), selector: selector.clone() };
    Ok(lookup::version(reader, &reference)?.number)
}

fn decide(
    reader: &Reader<'_>,
    request: &RollbackRequest,
    expected: Option<u64>,
) -> Result<Decision, PointerError> {
    let (model, pointer) = (&request.model, &request.pointer);
    let Some(row) = reader.pointer(model, pointer)? else {
        let reference = pointer_reference(model, pointer);
        return Err(LookupError::NothingLive { reference, model: model.clone() }.into());
    };
    if expected.is_some() && expected != row.version {
        if expected == row.rolled_back_from {
            let live = row.version.map(|n| reader.version(model, n)).transpose()?.flatten();
            return Ok(Decision::AlreadySo(live.map(Box::new)));
        }
        return Err(moved(model, pointer, row.version, expected));
    }
    match &request.version {
        Some(selector) => to_version(reader, request, &row, selector),
        None => down_the_stack(reader, request, &row),
    }
}

fn to_version(
    reader: &Reader<'_>,
    request: &RollbackRequest,
    row: &PointerRow,
    selector: &Selector,
) -> Result<Decision, PointerError> {
    let (model, pointer) = (&request.model, &request.pointer);
    let reference = Reference { model: model.clone(), selector: selector.clone() };
    let to = lookup::version(reader, &reference)?;
    if row.version == Some(to.number) {
        return Ok(Decision::AlreadySo(Some(Box::new(to))));
    }
    if !reader.has_held(model, pointer, to.number)? {
        return Err(PointerError::NeverHeld {
            version: to.reference(),
            pointer: pointer_reference(model, pointer),
        });
    }
    if reader.quarantined(model, pointer)?.contains(&to.number) && !request.allow_quarantined {
        return Err(refused(Refusal::Quarantined {
            version: to.reference(),
            pointer: pointer_reference(model, pointer),
        }));
    }
    Ok(Decision::Move(Box::new(Choice {
        from: row.version,
        to,
        popped: 1,
        pushed: true,
        passed_over: Vec::new(),
        quarantine: !request.no_quarantine && row.version.is_some(),
    })))
}

fn down_the_stack(
    reader: &Reader<'_>,
    request: &RollbackRequest,
    row: &PointerRow,
) -> Result<Decision, PointerError> {
    let (model, pointer) = (&request.model, &request.pointer);
    let stack: Vec<Option<u64>> =
        reader.holdings(model, pointer)?.into_iter().map(|holding| holding.version).collect();
    let quarantined = reader.quarantined(model, pointer)?;
    let avoid = |version| !request.allow_quarantined && quarantined.contains(&version);
    let Some(walk) = walk_down(&stack, &avoid) else {
        let mut passed_over: Vec<u64> =
            stack.iter().flatten().copied().filter(|version| avoid(*version)).collect();
        passed_over.dedup();
        return Err(PointerError::NothingToRollBackTo {
            pointer: pointer_reference(model, pointer),
            live: row.version.map_or("none".to_owned(), |n| version_reference(model, n)),
            passed_over,
        });
    };
    let to = number_row(reader, model, walk.target)?;
    Ok(Decision::Move(Box::new(Choice {
        from: row.version,
        to,
        popped: walk.popped,
        pushed: false,
        passed_over: walk.passed_over,
        quarantine: !request.no_quarantine && row.version.is_some(),
    })))
}

fn number_row(
    reader: &Reader<'_>,
    model: &ModelName,
    number: u64,
) -> Result<crate::store::VersionRow, PointerError> {
    let reference = Reference { model: model.clone(), selector: Selector::Number(number) };
    Ok(lookup::version(reader, &reference)?)
}
