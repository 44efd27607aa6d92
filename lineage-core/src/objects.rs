//! The object store: bytes under their SHA-256, written once, read-only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::context::{Context, Step};
use crate::digest::{Blake3, Kind, Sha256};
use crate::files::{self, FileError, Temporary};
use crate::fingerprint::{self, Copies, FingerprintError, Input, Manifest};
use crate::layout::Layout;

/// Stored bytes are missing or are not what their name says.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// There is no such object.
    #[error("the object store does not hold {0}")]
    Missing(Sha256),
    /// The object's bytes do not have its digest.
    #[error("the object store's copy of {0} is damaged")]
    Damaged(Sha256),
    /// The target of a checkout exists and holds something else.
    #[error("{path} already exists and holds something else", path = path.display())]
    Occupied {
        /// The target.
        path: PathBuf,
    },
    /// An object could not be read.
    #[error(transparent)]
    Fingerprint(#[from] FingerprintError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Payloads are descriptions, not data.
const PAYLOAD_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Puts temporaries into the store under their digests. What is there already is kept.
pub(crate) fn put(
    layout: &Layout,
    kept: Vec<(Sha256, Temporary)>,
    context: &Context<'_>,
) -> Result<(), ObjectError> {
    // The same bytes need a place once.
    let kept: BTreeMap<Sha256, Temporary> = kept.into_iter().collect();
    let threads = FLUSHED_AT_ONCE.min(kept.len());
    let left = Mutex::new(kept.into_iter());
    let next = || left.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).next();
    let place = || -> Result<bool, ObjectError> {
        let mut placed = false;
        while let Some((sha256, temporary)) = next() {
            placed |= put_one(layout, &sha256, temporary, context)?;
        }
        Ok(placed)
    };
    let placed = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(place)).collect();
        let own = place();
        let others = others
            .into_iter()
            .map(|other| other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        others.fold(own, |all, other| Ok(all? | other?))
    })?;
    if placed {
        files::sync_folder(&layout.objects())?;
    }
    Ok(())
}

/// A flush mostly waits for the disk, which does several at once.
const FLUSHED_AT_ONCE: usize = 4;

/// Whether the object was not there.
fn put_one(
    layout: &Layout,
    sha256: &Sha256,
    mut temporary: Temporary,
    context: &Context<'_>,
) -> Result<bool, ObjectError> {
    let object = layout.object(sha256);
    // A damaged object is healed by recording the good bytes again.
    if object.is_file() && fingerprint::hash_file(&object, context.observer)?.sha256 == *sha256 {
        return Ok(false);
    }
    temporary.flush()?;
    temporary.make_read_only()?;
    temporary.rename_to(&object).map_err(|(_, source)| FileError::Io {
        action: "store",
        path: object.clone(),
        source,
    })?;
    Ok(true)
}

/// A temporary that holds `bytes`, to be [`put`].
pub(crate) fn temporary(
    layout: &Layout,
    bytes: &[u8],
    context: &Context<'_>,
) -> Result<(Sha256, Temporary), FileError> {
    let path = layout.temporaries().join(context.random_hex());
    let mut temporary = Temporary::create_read_only(path)?;
    temporary.write(bytes)?;
    Ok((Sha256::of(bytes), temporary))
}

/// The bytes of a payload or manifest, checked against their digest.
pub fn read(layout: &Layout, sha256: &Sha256) -> Result<Vec<u8>, ObjectError> {
    let bytes = files::read_small(&layout.object(sha256), PAYLOAD_BYTES_MAX)?
        .ok_or(ObjectError::Missing(*sha256))?;
    if Sha256::of(&bytes) == *sha256 { Ok(bytes) } else { Err(ObjectError::Damaged(*sha256)) }
}

/// The manifest of a directory artifact.
pub fn manifest(layout: &Layout, sha256: &Sha256) -> Result<Manifest, ObjectError> {
    Manifest::parse(&read(layout, sha256)?).map_err(|_| ObjectError::Damaged(*sha256))
}

/// The files that an artifact consists of: paths within it (empty for a file) and digests.
fn parts(
    layout: &Layout,
    kind: Kind,
    sha256: &Sha256,
) -> Result<Vec<(String, Sha256)>, ObjectError> {
    Ok(match kind {
        Kind::File => vec![(String::new(), *sha256)],
        Kind::Directory => manifest(layout, sha256)?
            .files
            .into_iter()
            .map(|file| (file.path, file.sha256))
            .collect(),
    })
}

/// Reads every stored byte of an artifact and checks it.
pub fn verify(
    layout: &Layout,
    kind: Kind,
    sha256: &Sha256,
    context: &Context<'_>,
) -> Result<(), ObjectError> {
    let parts = parts(layout, kind, sha256)?;
    let inputs = inputs(layout, &parts, None)?;
    let found = fingerprint::fingerprint(&inputs, context.observer)?;
    for ((_, expected), found) in parts.iter().zip(&found) {
        if found.sha256 != *expected {
            return Err(ObjectError::Damaged(*expected));
        }
    }
    Ok(())
}

fn inputs(
    layout: &Layout,
    parts: &[(String, Sha256)],
    copied: Option<Mode>,
) -> Result<Vec<Input<'static>>, ObjectError> {
    let (keep, blake3) = (copied.is_some(), copied == Some(Mode::ReadOnly));
    let mut inputs = Vec::new();
    for (_, sha256) in parts {
        let path = layout.object(sha256);
        if !path.is_file() {
            return Err(ObjectError::Missing(*sha256));
        }
        inputs.push(Input { keep, blake3, ..Input::new(path) });
    }
    Ok(inputs)
}

/// How the files of a checkout may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Served: nobody may write to them.
    ReadOnly,
    /// Handed to a person.
    Writable,
}

/// Makes a copy (or a clone, never a hard link) of a stored artifact at `target`, which appears
/// whole. What is at `target` is replaced if `replace` is set, and is an error otherwise.
///
/// Gives the BLAKE3 of a copy to be served, taken in the pass that makes and verifies it.
pub fn materialise(
    layout: &Layout,
    kind: Kind,
    sha256: &Sha256,
    target: &Path,
    mode: Mode,
    replace: bool,
    context: &Context<'_>,
) -> Result<Option<Blake3>, ObjectError> {
    let parts = parts(layout, kind, sha256)?;
    let inputs = inputs(layout, &parts, Some(mode))?;
    files::create_folder(files::parent(target))?;
    // Built beside the target when that is outside the registry: a rename must not cross devices.
    let name = format!(".lineage-checkout-{}", context.random_hex());
    let building = if target.starts_with(layout.registry()) {
        layout.temporaries().join(name)
    } else {
        files::parent(target).join(name)
    };
    files::create_folder(&building)?;
    let built = build(&building, &parts, &inputs, mode, context)
        .and_then(|read| swap(&building, target, kind, replace).map(|()| read));
    let _ = fs::remove_dir_all(&building);
    let read = built?;
    context.observer.step(Step::CheckoutPlaced);
    let mut read =
        parts.iter().zip(read).map(|((path, _), (size, blake3))| (&**path, size, blake3));
    Ok(match kind {
        Kind::File => read.next().and_then(|(_, _, blake3)| blake3),
        Kind::Directory => fingerprint::of_files(read),
    })
}

/// The copy, at `content` in a folder. Gives the size in bytes and, where it was taken, the BLAKE3 of each part.
fn build(
    building: &Path,
    parts: &[(String, Sha256)],
    inputs: &[Input<'_>],
    mode: Mode,
    context: &Context<'_>,
) -> Result<Vec<(u64, Option<Blake3>)>, ObjectError> {
    let random = || context.random_hex();
    let copies = Copies::new(building, &random, mode == Mode::ReadOnly);
    let found = fingerprint::fingerprint_keeping(inputs, Some(&copies), None, context.observer)?;
    let read = found.iter().map(|found| (found.size_bytes, found.blake3)).collect();
    let content = building.join("content");
    let mut folders = BTreeSet::new();
    for ((path, expected), found) in parts.iter().zip(found) {
        let place = if path.is_empty() { content.clone() } else { content.join(path) };
        for (sha256, mut temporary) in found.kept {
            if sha256 != *expected {
                return Err(ObjectError::Damaged(*expected));
            }
            temporary.flush()?;
            if mode == Mode::ReadOnly {
                temporary.make_read_only()?;
            }
            files::create_folder(files::parent(&place))?;
            folders.extend(
                place
                    .ancestors()
                    .skip(1)
                    .take_while(|f| f.starts_with(&content))
                    .map(Path::to_owned),
            );
            temporary.rename_to(&place).map_err(|(_, source)| FileError::Io {
                action: "write",
                path: place.clone(),
                source,
            })?;
        }
    }
    folders.iter().try_for_each(|folder| files::sync_folder(folder))?;
    Ok(read)
}

fn swap(building: &Path, target: &Path, kind: Kind, replace: bool) -> Result<(), ObjectError> {
    let content = building.join("content");
    if target.symlink_metadata().is_ok() {
        if !replace {
            return Err(ObjectError::Occupied { path: target.to_owned() });
        }
        // A file is replaced by the rename itself; a directory has to make room first.
        if kind == Kind::Directory || target.is_dir() {
            fs::rename(target, building.join("replaced"))
                .map_err(FileError::io("replace", target))?;
        }
    }
    fs::rename(&content, target).map_err(FileError::io("write", target))?;
    let folder = files::parent(target);
    files::sync_folder(folder)?;
    // The folder itself may be new.
    files::sync_folder(files::parent(folder))?;
    Ok(())
}
