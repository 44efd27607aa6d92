//! One file, read from its beginning to its end.

use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::copies::Copies;
use super::file::{FileFingerprint, FingerprintError, Read, special};
use super::readings::FileState;
use super::stand_in::{STAND_IN_BYTES_MAX, StandIn};
use crate::context::Observer;
use crate::digest::{Blake3Hasher, Hasher};
use crate::files::{self, FileError, Temporary};

/// What must not change while a file is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stat {
    size_bytes: u64,
    modified: Option<std::time::SystemTime>,
    inode: u64,
}

pub(super) fn stat(metadata: &Metadata) -> Stat {
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Stat { size_bytes: metadata.len(), modified: metadata.modified().ok(), inode }
}

/// Whether an open file is as it was before it was read, and still lies at its path.
pub(super) fn unchanged(file: &File, path: &Path, before: &Stat) -> Result<bool, FileError> {
    let now = file.metadata().map_err(FileError::io("inspect", path))?;
    Ok(stat(&now) == *before && fs::metadata(path).is_ok_and(|now| stat(&now) == *before))
}

/// A file that was opened to be read, and to be kept if there is a place for copies.
pub(super) struct Opened<'a> {
    path: PathBuf,
    before: Stat,
    state: Option<FileState>,
    /// The file itself, and a clone that is read in its place: a snapshot, so that what is hashed is
    /// exactly what is kept.
    clone: Option<(File, Temporary)>,
    pub(super) reading: Reading<'a>,
}

impl<'a> Opened<'a> {
    pub(super) fn new(
        path: &Path,
        copies: Option<&Copies<'_>>,
        observer: &'a dyn Observer,
    ) -> Result<Opened<'a>, FingerprintError> {
        let file = open(path)?;
        let metadata = file.metadata().map_err(FileError::io("inspect", path))?;
        if let Some(what) = special(&metadata) {
            return Err(FingerprintError::NotRegular { path: path.to_owned(), what });
        }
        let (clone, file, copy) = match copies.map(|copies| (copies, copies.try_clone(path))) {
            None => (None, file, None),
            Some((copies, None)) => (None, file, Some(copies.create()?)),
            Some((_, Some(clone))) => {
                let snapshot = open(clone.path())?;
                (Some((file, clone)), snapshot, None)
            }
        };
        let reading = Reading::new(path, file, copy, observer);
        let (before, state) = (stat(&metadata), FileState::of(&metadata));
        Ok(Opened { path: path.to_owned(), before, state, clone, reading })
    }

    /// How many bytes it had when it was opened.
    pub(super) fn size_bytes(&self) -> u64 {
        self.before.size_bytes
    }

    /// Reads on as `read` does.
    pub(super) fn read_by(
        self,
        read: impl FnOnce(Reading<'a>) -> Result<Reading<'a>, FingerprintError>,
    ) -> Result<Opened<'a>, FingerprintError> {
        Ok(Opened { reading: read(self.reading)?, ..self })
    }

    /// What reading all of it gave; `None` when it changed meanwhile.
    pub(super) fn finish(self) -> Result<Option<Read>, FingerprintError> {
        let Opened { path, before, state, clone, reading } = self;
        let Reading { file, mut copy, head, hasher, blake3, size_bytes, .. } = reading;
        if let Some(copy) = &mut copy {
            copy.close();
        }
        let (source, clone) = match clone {
            Some((source, clone)) => (source, Some(clone)),
            None => (file, None),
        };
        if size_bytes != before.size_bytes || !unchanged(&source, &path, &before)? {
            return Ok(None);
        }
        let is_short = size_bytes <= STAND_IN_BYTES_MAX as u64;
        Ok(Some(Read {
            fingerprint: FileFingerprint { sha256: hasher.finish(), size_bytes },
            blake3: blake3.map(|hasher| hasher.finish()),
            stat: before,
            stand_in: if is_short { StandIn::detect(&head) } else { None },
            from_cache: false,
            state,
            kept: clone.or(copy),
            inspected: None,
        }))
    }
}

/// A file that is read from its beginning to its end.
pub(super) struct Reading<'a> {
    path: PathBuf,
    file: File,
    copy: Option<Temporary>,
    /// The first bytes, as many as a stand-in may have.
    head: Vec<u8>,
    hasher: Hasher,
    /// Where BLAKE3 is taken too.
    pub(super) blake3: Option<Blake3Hasher>,
    size_bytes: u64,
    observer: &'a dyn Observer,
}

impl<'a> Reading<'a> {
    /// A reading that begins, and writes what it reads to `copy`.
    pub(super) fn new(
        path: &Path,
        file: File,
        copy: Option<Temporary>,
        observer: &'a dyn Observer,
    ) -> Reading<'a> {
        let path = path.to_owned();
        Reading {
            path,
            file,
            copy,
            head: Vec::new(),
            hasher: Hasher::new(),
            blake3: None,
            size_bytes: 0,
            observer,
        }
    }

    /// Reads the next bytes, at most as many as the buffer holds, none at the end, and copies them
    /// and takes their BLAKE3 where asked. SHA-256 is left to the caller: it takes longer than all of this,
    /// so that another thread does it at the same time.
    pub(super) fn next(&mut self, buffer: &mut [u8]) -> Result<usize, FingerprintError> {
        if self.observer.interrupted() {
            return Err(FileError::Interrupted.into());
        }
        let count = loop {
            match self.file.read(buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                result => break result.map_err(FileError::io("read", &self.path))?,
            }
        };
        let bytes = &buffer[..count];
        if let Some(copy) = &mut self.copy {
            copy.write(bytes)?;
        }
        if let Some(blake3) = &mut self.blake3 {
            blake3.update(bytes);
        }
        if self.head.len() < STAND_IN_BYTES_MAX {
            let missing = STAND_IN_BYTES_MAX - self.head.len();
            self.head.extend_from_slice(&bytes[..count.min(missing)]);
        }
        self.size_bytes += count as u64;
        self.observer.read_bytes(count as u64);
        Ok(count)
    }

    /// Takes the bytes that were read.
    pub(super) fn hasher(&mut self) -> &mut Hasher {
        &mut self.hasher
    }

    /// How much was read.
    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

pub(super) fn open(path: &Path) -> Result<File, FingerprintError> {
    Ok(files::open_to_read(path).map_err(FileError::io("read", path))?)
}
