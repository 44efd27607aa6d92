//! What promote, rollback and unset have in common: decide, verify, append, write the file.

use serde::Serialize;

use super::error::{DriftedFile, PointerError, Refusal};
use super::serve::{Lost, serve};
use super::stack;
use crate::context::Context;
use crate::events::{
    Event, MoveAction, OverwrittenFile, PointerMoved, PointerRefused, Served, ServedFrom,
};
use crate::lookup;
use crate::names::{ModelName, PointerName};
use crate::owed::{self, FileState, PointerFileStatus, PreparedPointer, Unrepaired};
use crate::pointer_file::pointer_reference;
use crate::settings::{PointerFile, PointerFormat, ServeFrom, Settings};
use crate::store::{
    OwedFile, OwedKind, PointerRow, Reader, Registry, StoreError, VersionRow, Writer,
};

/// A pointer's file after a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PointerFileState {
    /// Relative to the project root.
    pub path: String,
    /// `written`, `removed`, `owed` or `drift`; `planned` in a dry run.
    pub state: &'static str,
    /// Why it is owed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What a promote, rollback or unset did.
#[derive(Debug, Clone, Serialize)]
pub struct Moved {
    /// The model.
    pub model: ModelName,
    /// The pointer.
    pub pointer: PointerName,
    /// The version before.
    pub from: Option<u64>,
    /// The version after.
    pub to: Option<u64>,
    /// False when it was already so.
    pub changed: bool,
    /// The entry that moved it; none when nothing was appended.
    pub event_seq: Option<u64>,
    /// The pointer's file; none when the settings name none.
    pub pointer_file: Option<PointerFileState>,
    /// The path that is served, relative to the project root.
    pub served_path: Option<String>,
    /// Whether that is where it was recorded, or a checkout of the object store.
    pub served_from: Option<ServedFrom>,
    /// Versions that a rollback passed over.
    pub passed_over: Vec<u64>,
    /// The version that was quarantined by this move.
    pub quarantined: Option<u64>,
    /// Where a rollback would lead from here.
    pub rollback_target: Option<u64>,
    /// True when nothing was written.
    pub dry_run: bool,
    /// What interrupted commands left and this one could not put right.
    #[serde(skip)]
    pub unrepaired: Vec<Unrepaired>,
    /// An old pointer file that the settings no longer name and that nobody updates any more.
    #[serde(skip)]
    pub abandoned_files: Vec<String>,
}

impl Moved {
    /// A pointer that is, so far, where it was.
    pub(super) fn still(
        model: &ModelName,
        pointer: &PointerName,
        live: Option<u64>,
        dry_run: bool,
    ) -> Moved {
        Moved {
            model: model.clone(),
            pointer: pointer.clone(),
            from: live,
            to: live,
            changed: false,
            event_seq: None,
            pointer_file: None,
            served_path: None,
            served_from: None,
            passed_over: Vec::new(),
            quarantined: None,
            rollback_target: None,
            dry_run,
            unrepaired: Vec::new(),
            abandoned_files: Vec::new(),
        }
    }
}

/// A move that was decided on.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    pub(super) from: Option<u64>,
    pub(super) to: VersionRow,
    pub(super) popped: u64,
    pub(super) pushed: bool,
    pub(super) passed_over: Vec<u64>,
    pub(super) quarantine: bool,
}

pub(super) enum Decision {
    /// The pointer is already where it should be; the live version is given.
    AlreadySo(Option<Box<VersionRow>>),
    Move(Box<Choice>),
}

/// What is the same for every attempt of one command.
pub(super) struct Attempt<'a> {
    pub(super) model: &'a ModelName,
    pub(super) pointer: &'a PointerName,
    pub(super) action: MoveAction,
    pub(super) reason: Option<&'a str>,
    pub(super) expected: Option<u64>,
    pub(super) overwrite_external: bool,
    pub(super) dry_run: bool,
}

/// How often a decision is made anew because another process was quicker.
const ATTEMPTS_MAX: u32 = 10;

impl Attempt<'_> {
    pub(super) fn reference(&self) -> String {
        pointer_reference(self.model, self.pointer)
    }

    /// Carries out what `decide` decides. It is asked twice: before the bytes are verified, and
    /// again inside the transaction; if the answers differ, everything starts anew.
    pub(super) fn carry_out(
        &self,
        registry: &mut Registry,
        settings: &Settings,
        context: &Context<'_>,
        decide: &dyn Fn(&Reader<'_>) -> Result<Decision, PointerError>,
    ) -> Result<Moved, PointerError> {
        let in_flight =
            if self.dry_run { None } else { Some(owed::enter(registry, settings, context)?) };
        let settled = in_flight.as_ref().map_or(&[][..], |flight| &flight.settled);
        let mut result = self.attempts(registry, settings, context, decide, settled);
        if let (Ok(moved), Some(flight)) = (&mut result, &in_flight) {
            moved.unrepaired.clone_from(&flight.unrepaired);
        }
        match result {
            Err(PointerError::Refused { refusal, .. }) if !self.dry_run => {
                let unrecorded = self.record_refusal(registry, context, &refusal, settled);
                Err(PointerError::Refused { refusal, unrecorded: unrecorded.err() })
            }
            other => other,
        }
    }

    fn attempts(
        &self,
        registry: &mut Registry,
        settings: &Settings,
        context: &Context<'_>,
        decide: &dyn Fn(&Reader<'_>) -> Result<Decision, PointerError>,
        settled: &[OwedFile],
    ) -> Result<Moved, PointerError> {
        for _ in 0..ATTEMPTS_MAX {
            self.stop_at_drift(registry, settings, context)?;
            let (choice, served) = match self.prepare(registry, settings, context, decide)? {
                Prepared::AlreadySo(moved) => return Ok(*moved),
                Prepared::Rewrite(moved) => {
                    return self.rewrite(registry, settings, context, *moved, settled);
                }
                Prepared::Move(choice, served) => (choice, served),
            };
            if self.dry_run {
                return registry.read(|reader| self.preview(reader, settings, &choice, &served));
            }
            let moved =
                self.commit(registry, settings, context, decide, &choice, &served, settled)?;
            if let Some(moved) = moved {
                return Ok(moved);
            }
        }
        Err(PointerError::Contended { pointer: self.reference(), times: ATTEMPTS_MAX })
    }

    /// An edit from outside stops everything, before anything else is looked at. What seems to be
    /// one is looked at again when no other process can be about to put the file in place.
    pub(super) fn stop_at_drift(
        &self,
        registry: &Registry,
        settings: &Settings,
        context: &Context<'_>,
    ) -> Result<(), PointerError> {
        let check = || {
            registry.read(|reader| {
                lookup::known_model(reader, self.model)?;
                self.file_status(reader, settings).map(|_| ())
            })
        };
        match check() {
            Err(PointerError::Drift(_)) => {}
            other => return other,
        }
        let _calm = owed::calm(registry.layout(), context);
        check()
    }

    /// Decides on a snapshot, and verifies (or makes) the bytes to serve.
    fn prepare(
        &self,
        registry: &Registry,
        settings: &Settings,
        context: &Context<'_>,
        decide: &dyn Fn(&Reader<'_>) -> Result<Decision, PointerError>,
    ) -> Result<Prepared, PointerError> {
        registry.read(|reader| {
            lookup::known_model(reader, self.model)?;
            self.check_namespace(reader)?;
            // Whether the file was edited is decided under the lock: here another process may be
            // about to put it in place.
            let status = owed::pointer_status(reader, settings, self.model, self.pointer)?;
            let choice = match decide(reader)? {
                Decision::AlreadySo(live) => {
                    let row = reader.pointer(self.model, self.pointer)?;
                    let edited =
                        matches!(&status, Some(s) if matches!(s.state, FileState::Drift { .. }));
                    match self.renewal(reader, settings, row.as_ref(), live, edited, context)? {
                        Some(choice) => choice,
                        None => return self.already_so(reader, settings, row, status),
                    }
                }
                Decision::Move(choice) => *choice,
            };
            match serve(reader, settings, &choice.to, self.dry_run, context)? {
                Ok(served) => {
                    if let Some(status) = &status {
                        check_path(&status.file, &served.path)?;
                    }
                    Ok(Prepared::Move(Box::new(choice), served))
                }
                Err(lost) => Err(refused(lost_refusal(&choice.to, lost))),
            }
        })
    }

    /// A pointer that is already at its target moves to it once more when the bytes it names are no
    /// longer those of the version, which is then served from elsewhere, or when an edit of its file
    /// is to be written over, since the log has to say what the file said.
    fn renewal(
        &self,
        reader: &Reader<'_>,
        settings: &Settings,
        row: Option<&PointerRow>,
        live: Option<Box<VersionRow>>,
        edited: bool,
        context: &Context<'_>,
    ) -> Result<Option<Choice>, PointerError> {
        let (Some(live), Some(path)) = (live, row.and_then(|row| row.served_path.as_ref())) else {
            return Ok(None);
        };
        if self.action == MoveAction::Rollback {
            return Ok(None);
        }
        let from_checkout = settings.serve_from(self.model) == ServeFrom::Checkout;
        let elsewhere = from_checkout && *path != lookup::checkout_path(reader.layout(), &live);
        let renew = elsewhere
            || (edited && self.overwrite_external)
            || lookup::compare(reader, &live, path, context.observer)? != lookup::Found::Same;
        Ok(renew.then(|| Choice {
            from: Some(live.number),
            to: *live,
            popped: 1,
            pushed: true,
            passed_over: Vec::new(),
            quarantine: false,
        }))
    }

    fn already_so(
        &self,
        reader: &Reader<'_>,
        settings: &Settings,
        row: Option<PointerRow>,
        status: Option<PointerFileStatus>,
    ) -> Result<Prepared, PointerError> {
        let live = row.as_ref().and_then(|row| row.version);
        let mut moved = Box::new(Moved::still(self.model, self.pointer, live, self.dry_run));
        moved.pointer_file = status.as_ref().map(|status| PointerFileState {
            path: status.file.path.clone(),
            state: status.state.name(),
            problem: None,
        });
        moved.served_path = row.and_then(|row| row.served_path);
        moved.rollback_target = self.rollback_target(reader, None)?;
        let state = status.map_or(FileState::Written, |status| status.state);
        let written = state == FileState::Written;
        if self.dry_run && matches!(state, FileState::Drift { .. }) {
            self.file_status(reader, settings)?;
        }
        Ok(if written || self.dry_run {
            Prepared::AlreadySo(moved)
        } else {
            Prepared::Rewrite(moved)
        })
    }

    pub(super) fn check_namespace(&self, reader: &Reader<'_>) -> Result<(), PointerError> {
        match reader.version_labelled(self.model, self.pointer.as_str())? {
            Some(version) => Err(PointerError::PointerIsLabel {
                name: self.pointer.clone(),
                version: version.reference(),
            }),
            None => Ok(()),
        }
    }

    /// The state of the pointer's file; an edit from outside is an error unless it may be
    /// overwritten.
    pub(super) fn file_status(
        &self,
        reader: &Reader<'_>,
        settings: &Settings,
    ) -> Result<Option<PointerFileStatus>, PointerError> {
        let status = owed::pointer_status(reader, settings, self.model, self.pointer)?;
        match &status {
            Some(PointerFileStatus { file, state: FileState::Drift { found }, .. })
                if !self.overwrite_external =>
            {
                let report =
                    super::status::describe_external(reader, self.model, file, found.as_deref())?;
                Err(PointerError::Drift(Box::new(DriftedFile {
                    path: file.path.clone(),
                    found: report.to_string(),
                    model: self.model.clone(),
                    pointer: self.pointer.clone(),
                    live: super::promote::live(reader, self.model, self.pointer)?,
                })))
            }
            _ => Ok(status),
        }
    }

    pub(super) fn rollback_target(
        &self,
        reader: &Reader<'_>,
        choice: Option<&Choice>,
    ) -> Result<Option<u64>, StoreError> {
        let mut stack: Vec<Option<u64>> =
            reader.holdings(self.model, self.pointer)?.into_iter().map(|h| h.version).collect();
        let mut quarantined = reader.quarantined(self.model, self.pointer)?;
        if let Some(choice) = choice {
            stack.truncate(stack.len().saturating_sub(choice.popped as usize));
            if choice.pushed {
                stack.push(Some(choice.to.number));
            }
            quarantined.extend(choice.from.filter(|_| choice.quarantine));
        }
        Ok(stack::walk_down(&stack, &|version| quarantined.contains(&version))
            .map(|walk| walk.target))
    }

    fn preview(
        &self,
        reader: &Reader<'_>,
        settings: &Settings,
        choice: &Choice,
        served: &Served,
    ) -> Result<Moved, PointerError> {
        let status = owed::pointer_status(reader, settings, self.model, self.pointer)?;
        let file = status.map(|status| PointerFileState {
            path: status.file.path,
            state: "planned",
            problem: None,
        });
        let target = self.rollback_target(reader, Some(choice))?;
        Ok(self.moved(choice, served, None, file, target))
    }

    fn moved(
        &self,
        choice: &Choice,
        served: &Served,
        event_seq: Option<u64>,
        pointer_file: Option<PointerFileState>,
        rollback_target: Option<u64>,
    ) -> Moved {
        Moved {
            to: Some(choice.to.number),
            changed: true,
            event_seq,
            pointer_file,
            served_path: Some(served.path.clone()),
            served_from: Some(served.from),
            passed_over: choice.passed_over.clone(),
            quarantined: choice.from.filter(|_| choice.quarantine),
            rollback_target,
            ..Moved::still(self.model, self.pointer, choice.from, self.dry_run)
        }
    }

    /// The transaction, and the file after it. None when the decision came out differently there.
    #[allow(clippy::too_many_arguments, reason = "the parts of one move, each named once")]
    fn commit(
        &self,
        registry: &mut Registry,
        settings: &Settings,
        context: &Context<'_>,
        decide: &dyn Fn(&Reader<'_>) -> Result<Decision, PointerError>,
        choice: &Choice,
        served: &Served,
        settled: &[OwedFile],
    ) -> Result<Option<Moved>, PointerError> {
        let _lock = owed::lock_pointers(registry.layout(), context)?;
        let committed = registry.write(context, |writer| {
            let status = self.file_status(writer, settings)?;
            if !self.same_decision(writer, decide, choice)? {
                return Ok::<_, PointerError>(None);
            }
            writer.settle(settled)?;
            let event = self.event(choice, served, status.as_ref());
            let appended = writer.append(&event, None)?;
            let seq = appended.entry.seq;
            let owing = owe_file(writer, self.model, self.pointer, seq, status, context)?;
            let target = self.rollback_target(writer, None)?;
            Ok(Some((seq, owing, target)))
        })?;
        let Some((seq, owing, target)) = committed else { return Ok(None) };
        let (file, abandoned) = finish(registry, owing, context);
        let mut moved = self.moved(choice, served, Some(seq), file, target);
        moved.abandoned_files = abandoned;
        Ok(Some(moved))
    }

    fn same_decision(
        &self,
        reader: &Reader<'_>,
        decide: &dyn Fn(&Reader<'_>) -> Result<Decision, PointerError>,
        choice: &Choice,
    ) -> Result<bool, PointerError> {
        self.check_namespace(reader)?;
        Ok(match decide(reader)? {
            Decision::Move(now) => {
                (now.to.number, now.from, now.popped)
                    == (choice.to.number, choice.from, choice.popped)
            }
            // The same version, put in its own place because its bytes were lost.
            Decision::AlreadySo(Some(live)) => {
                choice.from == Some(live.number) && choice.to.number == live.number
            }
            Decision::AlreadySo(None) => false,
        })
    }

    fn event(&self, choice: &Choice, served: &Served, status: Option<&PointerFileStatus>) -> Event {
        Event::PointerMoved(PointerMoved {
            model: self.model.clone(),
            pointer: self.pointer.clone(),
            action: self.action,
            from: choice.from,
            to: choice.to.number,
            popped: choice.popped,
            pushed: choice.pushed,
            passed_over: choice.passed_over.clone(),
            quarantined: choice.quarantine,
            served: served.clone(),
            reason: self.reason.map(str::to_owned),
            expected: self.expected,
            overwrote: status.and_then(overwritten),
            post_review: false,
        })
    }

    fn rewrite(
        &self,
        registry: &mut Registry,
        settings: &Settings,
        context: &Context<'_>,
        mut moved: Moved,
        settled: &[OwedFile],
    ) -> Result<Moved, PointerError> {
        let _lock = owed::lock_pointers(registry.layout(), context)?;
        let owing = registry.write(context, |writer| {
            let status = self.file_status(writer, settings)?;
            writer.settle(settled)?;
            let row = writer.pointer(self.model, self.pointer)?;
            let seq = row.map_or(0, |row| row.seq);
            owe_file(writer, self.model, self.pointer, seq, status, context)
        })?;
        (moved.pointer_file, moved.abandoned_files) = finish(registry, owing, context);
        Ok(moved)
    }

    fn record_refusal(
        &self,
        registry: &mut Registry,
        context: &Context<'_>,
        refusal: &Refusal,
        settled: &[OwedFile],
    ) -> Result<(), String> {
        let to = match refusal {
            Refusal::Quarantined { version, .. } | Refusal::Lost { version, .. } => {
                version.rsplit('@').next().and_then(|number| number.parse().ok())
            }
        };
        let written: Result<(), StoreError> = registry.write(context, |writer| {
            writer.settle(settled)?;
            let row = writer.pointer(self.model, self.pointer)?;
            let event = Event::PointerRefused(PointerRefused {
                model: self.model.clone(),
                pointer: self.pointer.clone(),
                attempted: self.action,
                from: row.and_then(|row| row.version),
                to,
                code: refusal.code(),
                cause: refusal.cause().to_owned(),
                reason: self.reason.map(str::to_owned),
            });
            writer.append(&event, None).map(|_| ())
        });
        written.map_err(|error| error.to_string())
    }
}

enum Prepared {
    AlreadySo(Box<Moved>),
    /// Already so, but the pointer's file is not as it must be.
    Rewrite(Box<Moved>),
    Move(Box<Choice>, Served),
}

pub(super) fn refused(refusal: Refusal) -> PointerError {
    PointerError::Refused { refusal, unrecorded: None }
}

pub(super) fn lost_refusal(version: &VersionRow, lost: Lost) -> Refusal {
    Refusal::Lost { version: version.reference(), at_path: lost.at_path, in_store: lost.in_store }
}

/// The longest text of an overwritten file that is kept in the log.
const OVERWRITTEN_TEXT_MAX: usize = 4096;

fn overwritten(status: &PointerFileStatus) -> Option<OverwrittenFile> {
    let FileState::Drift { found } = &status.state else { return None };
    let text = found.as_ref().filter(|bytes| bytes.len() <= OVERWRITTEN_TEXT_MAX);
    Some(OverwrittenFile {
        path: status.file.path.clone(),
        sha256: status.found_sha256,
        text: text.and_then(|bytes| String::from_utf8(bytes.clone()).ok()),
    })
}

/// A pointer file whose new content is prepared.
pub(super) struct Owing {
    file: OwedFile,
    prepared: PreparedPointer,
    abandoned: Vec<String>,
}

/// Whether a pointer file can hold a path.
pub(super) fn check_path(file: &PointerFile, served: &str) -> Result<(), PointerError> {
    if file.format != PointerFormat::Json && served.contains(char::is_control) {
        let path = served.to_owned();
        return Err(PointerError::UnwritablePath { path, file: file.path.clone() });
    }
    Ok(())
}

/// States, inside the transaction, what the pointer's file must hold from now on, and flushes that
/// content beside it.
pub(super) fn owe_file(
    writer: &mut Writer<'_>,
    model: &ModelName,
    pointer: &PointerName,
    seq: u64,
    status: Option<PointerFileStatus>,
    context: &Context<'_>,
) -> Result<Option<Owing>, PointerError> {
    let mut abandoned = Vec::new();
    let kept = status.as_ref().map(|status| status.file.path.as_str());
    for old in writer.pointer_files_of(model.as_str(), pointer.as_str())? {
        if Some(old.path.as_str()) != kept {
            writer.forget_pointer_file(&old.path)?;
            abandoned.push(old.path);
        }
    }
    let Some(status) = status else { return Ok(None) };
    let content = match writer.pointer(model, pointer)? {
        Some(row) => owed::pointer_content(writer, &row, &status.file)?,
        None => None,
    };
    let prepared =
        PreparedPointer::new(writer.layout(), &status.file, content.as_deref(), context)?;
    let file = OwedFile {
        path: status.file.path,
        kind: OwedKind::Pointer,
        model: model.to_string(),
        name: pointer.to_string(),
        seq,
        content_sha256: content.as_deref().map(crate::digest::Sha256::of),
        replaces_sha256: status.found_sha256,
        settled: false,
    };
    writer.owe(&file)?;
    Ok(Some(Owing { file, prepared, abandoned }))
}

/// Puts the prepared file in place. A failure leaves it owed; the move itself is durable.
pub(super) fn finish(
    registry: &mut Registry,
    owing: Option<Owing>,
    context: &Context<'_>,
) -> (Option<PointerFileState>, Vec<String>) {
    let Some(owing) = owing else { return (None, Vec::new()) };
    let (state, problem) = match owing.prepared.place(context) {
        Ok(()) => {
            registry.settle(context, std::slice::from_ref(&owing.file));
            (if owing.file.content_sha256.is_some() { "written" } else { "removed" }, None)
        }
        Err(error) => ("owed", Some(error.to_string())),
    };
    (Some(PointerFileState { path: owing.file.path, state, problem }), owing.abandoned)
}
