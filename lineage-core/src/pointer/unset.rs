//! `pointer unset`: taking a pointer away.

use super::engine::{Attempt, Moved, PointerFileState, finish, owe_file};
use super::error::PointerError;
use crate::context::Context;
use crate::events::{Event, MoveAction, PointerUnset};
use crate::lookup;
use crate::names::{ModelName, PointerName};
use crate::owed;
use crate::settings::Settings;
use crate::store::Registry;

/// A pointer to take away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsetRequest {
    /// The model.
    pub model: ModelName,
    /// The pointer.
    pub pointer: PointerName,
    /// Why.
    pub reason: Option<String>,
    /// Make every check, write nothing.
    pub dry_run: bool,
}

/// Takes a pointer away: nothing is live there, and its file is removed.
pub fn unset(
    registry: &mut Registry,
    settings: &Settings,
    request: &UnsetRequest,
    context: &Context<'_>,
) -> Result<Moved, PointerError> {
    let (model, pointer) = (&request.model, &request.pointer);
    let attempt = Attempt {
        model,
        pointer,
        action: MoveAction::Promote,
        reason: request.reason.as_deref(),
        expected: None,
        overwrite_external: false,
        dry_run: request.dry_run,
    };
    let mut moved = Moved::still(model, pointer, None, request.dry_run);
    if request.dry_run {
        attempt.stop_at_drift(registry, settings, context)?;
        moved.from = registry.read(|reader| super::promote::live(reader, model, pointer))?;
        moved.changed = moved.from.is_some();
        moved.rollback_target = moved.from;
        moved.pointer_file = settings
            .pointer_file(model, pointer)
            .filter(|_| moved.changed)
            .map(|file| PointerFileState { path: file.path, state: "planned", problem: None });
        return Ok(moved);
    }
    let in_flight = owed::enter(registry, settings, context)?;
    let lock = owed::lock_pointers(registry.layout(), context)?;
    let done = registry.write(context, |writer| {
        lookup::known_model(writer, model)?;
        let status = attempt.file_status(writer, settings)?;
        let Some(from) = super::promote::live(writer, model, pointer)? else {
            return Ok::<_, PointerError>(None);
        };
        writer.settle(&in_flight.settled)?;
        let event = Event::PointerUnset(PointerUnset {
            model: model.clone(),
            pointer: pointer.clone(),
            from,
            reason: request.reason.clone(),
        });
        let seq = writer.append(&event, None)?.entry.seq;
        let owing = owe_file(writer, model, pointer, seq, status, context)?;
        Ok(Some((from, seq, owing, attempt.rollback_target(writer, None)?)))
    })?;
    if let Some((from, seq, owing, target)) = done {
        moved.from = Some(from);
        moved.changed = true;
        moved.event_seq = Some(seq);
        moved.rollback_target = target;
        (moved.pointer_file, moved.abandoned_files) = finish(registry, owing, context);
    }
    drop(lock);
    moved.unrepaired = in_flight.unrepaired;
    Ok(moved)
}
