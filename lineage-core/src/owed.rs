//! Files that follow from the log: pointer files and `metadata.json`. They are written after the
//! transaction is durable; what a dead process left owing, the next one that writes puts right.
//! A file that holds neither what it must nor what it held before was edited from outside, and is
//! never overwritten here.

use std::fs;
use std::path::{Path, PathBuf};

use crate::context::{Context, Step};
use crate::digest::Sha256;
use crate::events::EntryError;
use crate::files::{self, FileError, Lock, Sharing};
use crate::layout::Layout;
use crate::lookup;
use crate::names::{ModelName, PointerName};
use crate::pointer_file::{self, PointerFacts};
use crate::settings::{PointerFile, Settings};
use crate::store::{OwedFile, OwedKind, PointerRow, Reader, Registry, StoreError};

/// Pointer files and `metadata.json` are small; anything larger is not ours.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How a file stands to what it must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileState {
    /// It holds what it must.
    Written,
    /// It still holds what it held before; the next command that writes puts it right.
    Owed,
    /// It was edited, or was there before us.
    Drift {
        /// What it holds; none when it was deleted.
        found: Option<Vec<u8>>,
    },
}

impl FileState {
    /// `written`, `owed` or `drift`.
    pub fn name(&self) -> &'static str {
        match self {
            FileState::Written => "written",
            FileState::Owed => "owed",
            FileState::Drift { .. } => "drift",
        }
    }
}

/// A pointer's file: where it is, what it must hold, and how it stands.
#[derive(Debug, Clone)]
pub struct PointerFileStatus {
    /// The settings of the file.
    pub file: PointerFile,
    /// What it must hold; none when it must be absent.
    pub expected: Option<Vec<u8>>,
    /// The digest of what it holds now; none when it is absent.
    pub found_sha256: Option<Sha256>,
    /// How it stands.
    pub state: FileState,
}

/// The path on this machine that a write to `path` ends up at: a symlink is followed.
fn target(layout: &Layout, path: &str) -> PathBuf {
    let path = layout.absolute(path);
    match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_symlink() => fs::canonicalize(&path).unwrap_or(path),
        _ => path,
    }
}

/// What a pointer's file must hold; none when the pointer is not set.
pub fn pointer_content(
    reader: &Reader<'_>,
    pointer: &PointerRow,
    file: &PointerFile,
) -> Result<Option<Vec<u8>>, StoreError> {
    let (Some(number), Some(path)) = (pointer.version, &pointer.served_path) else {
        return Ok(None);
    };
    let Some(version) = reader.version(&pointer.model, number)? else { return Ok(None) };
    let facts = PointerFacts {
        model: &pointer.model,
        version: number,
        path: reader.layout().relative_from(&file.base, path),
        sha256: version.sha256,
        kind: version.kind,
        promoted_at: lookup::entry_time(reader, pointer.seq)?,
        event_seq: pointer.seq,
    };
    Ok(Some(pointer_file::render(file, &facts)))
}

/// How a pointer's file stands; none when the settings name no file for it.
pub fn pointer_status(
    reader: &Reader<'_>,
    settings: &Settings,
    model: &ModelName,
    pointer: &PointerName,
) -> Result<Option<PointerFileStatus>, StoreError> {
    let Some(file) = settings.pointer_file(model, pointer) else { return Ok(None) };
    let row = reader.pointer(model, pointer)?;
    let expected = match &row {
        Some(row) => pointer_content(reader, row, &file)?,
        None => None,
    };
    let found = files::read_small(&target(reader.layout(), &file.path), FILE_BYTES_MAX)?;
    let found_sha256 = found.as_deref().map(Sha256::of);
    let owed = reader.owed_file(OwedKind::Pointer, &file.path)?;
    let known = |digest: Option<Sha256>| match &owed {
        // Once the content was in place, what it replaced is no longer ours: somebody put it back.
        Some(owed) => {
            owed.content_sha256 == digest || (!owed.settled && owed.replaces_sha256 == digest)
        }
        None => digest.is_none(),
    };
    let state = if found == expected {
        FileState::Written
    } else if known(found_sha256) {
        FileState::Owed
    } else {
        FileState::Drift { found }
    };
    Ok(Some(PointerFileStatus { file, expected, found_sha256, state }))
}

/// A pointer file's new content, flushed beside it and waiting for the transaction.
pub(crate) struct PreparedPointer {
    temporary: Option<files::Temporary>,
    target: PathBuf,
}

impl PreparedPointer {
    /// Writes and flushes the temporary, so that an unwritable folder fails before anything moves.
    pub(crate) fn new(
        layout: &Layout,
        file: &PointerFile,
        content: Option<&[u8]>,
        context: &Context<'_>,
    ) -> Result<PreparedPointer, FileError> {
        let target = target(layout, &file.path);
        let temporary = match content {
            None => None,
            Some(content) => {
                files::create_folder(files::parent(&target))?;
                let mut temporary = files::Temporary::create(files::temporary_beside(&target))?;
                temporary.write(content)?;
                temporary.copy_permissions_of(&target)?;
                temporary.flush()?;
                Some(temporary)
            }
        };
        context.observer.step(Step::PointerTemporaryWritten);
        Ok(PreparedPointer { temporary, target })
    }

    /// Renames the temporary into place, or removes the file when there is to be none.
    pub(crate) fn place(self, context: &Context<'_>) -> Result<(), FileError> {
        match self.temporary {
            Some(temporary) => temporary.put_in_place(&self.target)?,
            None => files::remove(&self.target)?,
        }
        context.observer.step(Step::PointerPlaced);
        Ok(())
    }
}

/// A file that could not be put right, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unrepaired {
    /// The file.
    pub path: String,
    /// Why it is still not as it must be.
    pub reason: String,
}

/// Held by a command that writes, from its beginning to its end.
pub(crate) struct InFlight {
    _lock: Lock,
    /// Files seen as they must be; to be noted in the command's own transaction.
    pub(crate) settled: Vec<OwedFile>,
    /// Files that could not be put right.
    pub(crate) unrepaired: Vec<Unrepaired>,
}

/// Puts right what interrupted commands left, and announces that this process has work in flight.
pub(crate) fn enter(
    registry: &mut Registry,
    settings: &Settings,
    context: &Context<'_>,
) -> Result<InFlight, StoreError> {
    let layout = &registry.layout().clone();
    let (mut settled, mut unrepaired) = (Vec::new(), Vec::new());
    // Copying a project may have lost its empty folders.
    for folder in [layout.temporaries(), layout.objects()] {
        files::create_folder(&folder)?;
    }
    if let Some(alone) = files::try_lock(&layout.in_flight_lock(), Sharing::Exclusive)? {
        remove_leftovers(&layout.temporaries());
        for owed in registry.read(|reader| reader.unsettled(OwedKind::Metadata))? {
            let folder_gone = !files::parent(&layout.absolute(&owed.path)).is_dir();
            match place_metadata(registry, &owed, context) {
                Ok(Placed::Written | Placed::Edited) => settled.push(owed),
                Err(_) if folder_gone => settled.push(owed),
                Err(error) => {
                    unrepaired.push(Unrepaired { path: owed.path, reason: error.to_string() });
                }
            }
        }
        drop(alone);
    }
    let lock = files::lock(
        &layout.in_flight_lock(),
        Sharing::Shared,
        "the registry's temporary files",
        context.lock_timeout,
        context.observer,
    )?;
    repair_pointers(registry, settings, context, &mut unrepaired)?;
    context.observer.step(Step::Repaired);
    Ok(InFlight { _lock: lock, settled, unrepaired })
}

/// Takes the lock that orders pointer files.
pub(crate) fn lock_pointers(layout: &Layout, context: &Context<'_>) -> Result<Lock, FileError> {
    let lock = files::lock(
        &layout.files_lock(),
        Sharing::Exclusive,
        "the pointer files",
        context.lock_timeout,
        context.observer,
    )?;
    context.observer.step(Step::FilesLocked);
    Ok(lock)
}

/// Waits until no process is between moving a pointer and putting its file in place. Writes nothing.
pub(crate) fn calm(layout: &Layout, context: &Context<'_>) -> Option<Lock> {
    files::calm(&layout.files_lock(), context.lock_timeout, context.observer)
}

fn repair_pointers(
    registry: &mut Registry,
    settings: &Settings,
    context: &Context<'_>,
    unrepaired: &mut Vec<Unrepaired>,
) -> Result<(), StoreError> {
    let layout = &registry.layout().clone();
    let leftovers: Vec<PathBuf> = settings
        .pointer_files()
        .iter()
        .map(|(_, _, file)| files::temporary_beside(&target(layout, &file.path)))
        .filter(|path| path.symlink_metadata().is_ok())
        .collect();
    let unsettled = registry.read(|reader| reader.unsettled(OwedKind::Pointer))?;
    if unsettled.is_empty() && leftovers.is_empty() {
        return Ok(());
    }
    let _lock = lock_pointers(layout, context)?;
    for path in leftovers {
        files::remove(&path)?;
    }
    // Read again: whoever held the lock may have moved a pointer. Settled at once, whatever becomes
    // of this command: from now on the former content is no longer ours.
    let mut settled = Vec::new();
    for owed in registry.read(|reader| reader.unsettled(OwedKind::Pointer))? {
        match repair_pointer(registry, settings, &owed, context) {
            Ok(true) => settled.push(owed),
            Ok(false) => {}
            Err(error) => {
                unrepaired.push(Unrepaired { path: owed.path, reason: error.to_string() });
            }
        }
    }
    if !settled.is_empty() {
        registry.settle(context, &settled);
    }
    Ok(())
}

/// Whether the file is now as it must be.
fn repair_pointer(
    registry: &Registry,
    settings: &Settings,
    owed: &OwedFile,
    context: &Context<'_>,
) -> Result<bool, StoreError> {
    let (Ok(model), Ok(pointer)) = (owed.model.parse(), owed.name.parse()) else {
        return Ok(false);
    };
    let status = registry.read(|reader| pointer_status(reader, settings, &model, &pointer))?;
    match status {
        Some(status) if status.file.path == owed.path => match status.state {
            FileState::Written => Ok(true),
            FileState::Owed => {
                let content = status.expected.as_deref();
                PreparedPointer::new(registry.layout(), &status.file, content, context)?
                    .place(context)?;
                Ok(true)
            }
            FileState::Drift { .. } => Ok(false),
        },
        // The settings name another file by now; the next move writes that one.
        _ => Ok(false),
    }
}

fn remove_leftovers(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
    }
}

/// Puts a version's `metadata.json` in place, if the file still is what it was when the version was
/// recorded. If a newer version at the same path was recorded meanwhile, that one's is written.
pub(crate) fn place_metadata(
    registry: &Registry,
    owed: &OwedFile,
    context: &Context<'_>,
) -> Result<Placed, StoreError> {
    let mut current = Some(owed.clone());
    let mut placed = Placed::Written;
    while let Some(owed) = current {
        placed = place_one(registry, &owed, context)?;
        let newest = registry.read(|reader| reader.owed_file(OwedKind::Metadata, &owed.path))?;
        current = newest.filter(|newest| newest.seq > owed.seq);
    }
    Ok(placed)
}

/// What became of a `metadata.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placed {
    /// It holds what it must.
    Written,
    /// Somebody edited it after the version was recorded; it was left alone.
    Edited,
}

fn place_one(
    registry: &Registry,
    owed: &OwedFile,
    context: &Context<'_>,
) -> Result<Placed, StoreError> {
    let layout = registry.layout();
    let target = layout.absolute(&owed.path);
    let found = files::read_small(&target, FILE_BYTES_MAX)?.as_deref().map(Sha256::of);
    if found == owed.content_sha256 {
        return Ok(Placed::Written);
    }
    let ours = found.is_none()
        || found == owed.replaces_sha256
        || registry.read(|reader| was_ours(reader, &owed.path, &target))?;
    if !ours {
        return Ok(Placed::Edited);
    }
    let bytes = registry.read(|reader| {
        let (entry, sha256) = lookup::entry(reader, owed.seq)?;
        crate::metadata::bytes(&entry, &sha256).map_err(|e| StoreError::from(EntryError::from(e)))
    })?;
    let name = context.random_hex();
    files::place(&bytes, &layout.temporaries(), &name, &target, &|| {
        context.observer.step(Step::MetadataTemporaryWritten);
    })?;
    context.observer.step(Step::MetadataPlaced);
    Ok(Placed::Written)
}

/// Whether the file at `target` is the `metadata.json` of some version that belongs there.
fn was_ours(reader: &Reader<'_>, path: &str, target: &Path) -> Result<bool, StoreError> {
    let Some(bytes) = files::read_small(target, FILE_BYTES_MAX)? else { return Ok(true) };
    let Some(claim) = crate::metadata::claim(&bytes) else { return Ok(false) };
    let Ok(model) = claim.model.parse::<ModelName>() else { return Ok(false) };
    let Some(version) = reader.version(&model, claim.version)? else { return Ok(false) };
    let (entry, _) = lookup::entry(reader, version.seq)?;
    Ok(claim.registry == reader.id()
        && entry.details["version"]["metadata_path"] == path
        && lookup::metadata_bytes(reader, &version)? == bytes)
}

/// The digest of the file at a recorded path; none when there is none.
pub(crate) fn digest_at(layout: &Layout, path: &str) -> Result<Option<Sha256>, FileError> {
    Ok(files::read_small(&target(layout, path), FILE_BYTES_MAX)?.as_deref().map(Sha256::of))
}
