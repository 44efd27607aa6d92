//! The one door through which files are written, and the locks that order the writers.
//!
//! Every file appears whole or not at all: it is written to a temporary, flushed, renamed into
//! place, and the folder is flushed so that the name survives a power cut.

mod temporary;

pub(crate) use temporary::{FileSystem, Temporary};

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::context::Observer;

/// A file operation failed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused; `action` completes "cannot … PATH".
    #[error("cannot {action} {path}: {why}", path = path.display(), why = reason(source))]
    Io {
        /// What was tried, e.g. `read`.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another process held a lock for longer than the caller wanted to wait.
    #[error("gave up after {seconds} s: another process holds {what}")]
    LockTimeout {
        /// What the lock protects.
        what: &'static str,
        /// How long this process waited, in seconds.
        seconds: u64,
    },
    /// A named pipe, device or folder where a file should be.
    #[error("{path} is not a regular file", path = path.display())]
    NotRegular {
        /// The path.
        path: PathBuf,
    },
    /// The observer asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// What the system says, without its number: "No such file or directory".
pub fn reason(error: &io::Error) -> String {
    let mut text = match (error.kind(), error.raw_os_error(), error.get_ref()) {
        (io::ErrorKind::NotFound, None, None) => "No such file or directory".to_owned(),
        _ => error.to_string(),
    };
    if let Some(start) = text.find(" (os error ")
        && let Some(length) = text[start..].find(')')
    {
        text.replace_range(start..=start + length, "");
    }
    text
}

impl FileError {
    /// An [`FileError::Io`] maker for `map_err`.
    pub(crate) fn io<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> FileError + 'a {
        move |source| FileError::Io { action, path: path.to_owned(), source }
    }

    /// Whether the error says that a file or folder does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, FileError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// How many bytes are read at a time.
pub(crate) const BUFFER_BYTES: usize = 256 * 1024;

/// A read buffer that begins on a page boundary. The kernel copies into such a buffer up to four
/// times as fast as into the `page + 16` addresses that the allocator gives to large vectors.
pub(crate) struct PageBuffer {
    storage: Vec<u8>,
    start: usize,
}

impl PageBuffer {
    const PAGE: usize = 4096;

    pub(crate) fn new() -> PageBuffer {
        let storage = vec![0; BUFFER_BYTES + Self::PAGE];
        let offset = storage.as_ptr().align_offset(Self::PAGE);
        PageBuffer { storage, start: if offset <= Self::PAGE { offset } else { 0 } }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.storage[self.start..self.start + BUFFER_BYTES]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.storage[self.start..self.start + BUFFER_BYTES]
    }
}

/// Flushes a folder, so that a rename inside it survives a power cut.
pub(crate) fn sync_folder(path: &Path) -> Result<(), FileError> {
    #[cfg(unix)]
    File::open(path).and_then(|f| f.sync_all()).map_err(FileError::io("flush the folder", path))?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Creates a folder and its missing parents.
pub fn create_folder(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(FileError::io("create the folder", path))
}

/// Takes away everyone's permission to write to the file at `path`.
pub(crate) fn make_read_only(path: &Path) -> Result<(), FileError> {
    let mut permissions = fs::metadata(path).map_err(FileError::io("inspect", path))?.permissions();
    permissions.set_readonly(true);
    fs::set_permissions(path, permissions).map_err(FileError::io("set the permissions of", path))
}

/// Puts `bytes` at `target` through a temporary in `folder`, or beside the target when `folder`
/// lies on another file system. `flushed` is called between the flush and the rename. The target's
/// folder is not flushed: a file that must not lose its name in a power cut needs [`sync_folder`].
pub(crate) fn place(
    bytes: &[u8],
    folder: &Path,
    temporary_name: &str,
    target: &Path,
    flushed: &dyn Fn(),
) -> Result<(), FileError> {
    let mut temporary = Temporary::create(folder.join(temporary_name))?;
    temporary.write(bytes)?;
    temporary.copy_permissions_of(target)?;
    temporary.flush()?;
    flushed();
    match temporary.rename_to(target) {
        Ok(()) => Ok(()),
        Err((_, source)) if source.kind() == io::ErrorKind::CrossesDevices => {
            let mut beside = Temporary::create(temporary_beside(target))?;
            beside.write(bytes)?;
            beside.copy_permissions_of(target)?;
            beside.flush()?;
            beside.rename_to(target).map_err(|(_, error)| FileError::io("write", target)(error))
        }
        Err((_, source)) => Err(FileError::Io { action: "write", path: target.to_owned(), source }),
    }
}

/// The name under which a file is written before it replaces `target`; always the same, so that a
/// leftover is overwritten and never piles up.
pub(crate) fn temporary_beside(target: &Path) -> PathBuf {
    let name = target.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    parent(target).join(format!(".{name}.lineage-tmp"))
}

/// The folder that holds `path`.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Writes a file that must not exist yet, flushed.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(FileError::io("create", path))?;
    file.write_all(bytes).map_err(FileError::io("write", path))?;
    file.sync_all().map_err(FileError::io("flush", path))
}

/// Removes a file and flushes its folder; a file that is not there is no error.
pub fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder(parent(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(FileError::io("remove", path)(error)),
    }
}

/// Opens a file for reading, without waiting for a writer should it be a named pipe.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32);
    }
    options.open(path)
}

/// Reads at a position without moving the file's cursor (on Windows it moves, to the position asked
/// for by each read).
pub(crate) fn read_at(file: &File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_at(file, buffer, position);
    #[cfg(windows)]
    return std::os::windows::fs::FileExt::seek_read(file, buffer, position);
}

/// So many bytes from a position, into memory that nobody has to clear first where that can be had. That
/// the file ends before them is an error.
pub(crate) fn read_exact_at(file: &File, position: u64, length: usize) -> io::Result<Vec<u8>> {
    let ended = || io::Error::from(io::ErrorKind::UnexpectedEof);
    #[cfg(unix)]
    {
        use rustix::{buffer::spare_capacity, io::Errno};
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let at = position + bytes.len() as u64;
            match rustix::io::pread(file, spare_capacity(&mut bytes), at) {
                Ok(0) => return Err(ended()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        bytes.truncate(length);
        Ok(bytes)
    }
    #[cfg(windows)]
    {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match read_at(file, &mut bytes[filled..], position + filled as u64) {
                Ok(0) => return Err(ended()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(bytes)
    }
}

/// The whole content of a regular file of at most `limit` bytes; `None` when there is no such file.
pub fn read_small(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, FileError> {
    let file = match open_to_read(path) {
        Ok(file) => file,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(FileError::io("read", path)(error)),
    };
    let inspected = file.metadata().map_err(FileError::io("inspect", path))?;
    if !inspected.is_file() {
        return Err(FileError::NotRegular { path: path.to_owned() });
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(FileError::io("read", path))?;
    if bytes.len() as u64 > limit {
        let source =
            io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {limit} bytes"));
        return Err(FileError::io("read", path)(source));
    }
    Ok(Some(bytes))
}

/// Whether this process may create files in the folder at `path`.
pub(crate) fn is_writable(path: &Path) -> bool {
    #[cfg(unix)]
    return rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok();
    #[cfg(not(unix))]
    return fs::metadata(path).is_ok_and(|m| !m.permissions().readonly());
}

/// Bytes that an unprivileged process may still write to the file system of `path`.
pub(crate) fn free_bytes(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    return rustix::fs::statvfs(path).ok().map(|found| found.f_bavail * found.f_frsize);
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// An advisory lock, released when dropped or when the process ends, however it ends.
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// How a lock is shared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    Shared,
    Exclusive,
}

fn open_lock_file(path: &Path) -> Result<File, FileError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(FileError::io("open the lock", path))
}

/// Takes the lock at `path` if nobody holds it.
pub(crate) fn try_lock(path: &Path, sharing: Sharing) -> Result<Option<Lock>, FileError> {
    let file = open_lock_file(path)?;
    let taken = match sharing {
        Sharing::Shared => file.try_lock_shared(),
        Sharing::Exclusive => file.try_lock(),
    };
    match taken {
        Ok(()) => Ok(Some(Lock(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(FileError::io("lock", path)(error)),
    }
}

/// Takes the lock at `path`, waiting for at most `timeout` and telling the observer about it.
pub(crate) fn lock(
    path: &Path,
    sharing: Sharing,
    what: &'static str,
    timeout: Duration,
    observer: &dyn Observer,
) -> Result<Lock, FileError> {
    let mut wait = Wait::new(what, timeout);
    loop {
        if let Some(lock) = try_lock(path, sharing)? {
            return Ok(lock);
        }
        wait.pause(observer)?;
    }
}

/// Waits until nobody holds the lock at `path` exclusively, without writing anything. `None` when
/// there is no lock file, or the wait was too long.
pub(crate) fn calm(path: &Path, timeout: Duration, observer: &dyn Observer) -> Option<Lock> {
    let file = File::open(path).ok()?;
    let mut wait = Wait::new("the pointer files", timeout);
    loop {
        match file.try_lock_shared() {
            Ok(()) => return Some(Lock(file)),
            Err(TryLockError::WouldBlock) => wait.pause(observer).ok()?,
            Err(TryLockError::Error(_)) => return None,
        }
    }
}

/// A bounded, audible wait: sleeps a little longer each time, up to 8 ms.
pub(crate) struct Wait {
    what: &'static str,
    timeout: Duration,
    so_far: Duration,
    next: Duration,
}

impl Wait {
    pub(crate) fn new(what: &'static str, timeout: Duration) -> Wait {
        Wait { what, timeout, so_far: Duration::ZERO, next: Duration::from_millis(1) }
    }

    pub(crate) fn pause(&mut self, observer: &dyn Observer) -> Result<(), FileError> {
        if observer.interrupted() {
            return Err(FileError::Interrupted);
        }
        if self.so_far >= self.timeout {
            return Err(FileError::LockTimeout {
                what: self.what,
                seconds: self.timeout.as_secs(),
            });
        }
        let pause = self.next.min(self.timeout - self.so_far);
        std::thread::sleep(pause);
        self.so_far += pause;
        self.next = (self.next * 2).min(Duration::from_millis(8));
        observer.waiting(self.what, self.so_far);
        Ok(())
    }
}

/// The name of the network file system that holds `path`, if it is on one. SQLite's locks and
/// shared memory are not reliable there (<https://sqlite.org/wal.html>, <https://sqlite.org/faq.html#q5>).
pub fn network_file_system(path: &Path) -> Option<&'static str> {
    #[cfg(target_os = "linux")]
    return rustix::fs::statfs(path).ok().and_then(|found| network_name(found.f_type as u32));
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        None
    }
}

/// The magic numbers of statfs(2) and linux/magic.h that belong to network file systems.
#[cfg(target_os = "linux")]
fn network_name(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x0000_6969 => "NFS",
        0xFF53_4D42 | 0xFE53_4D42 | 0x0000_517B => "SMB",
        0x0102_1997 => "9p",
        0x5346_414F | 0x6B41_4653 => "AFS",
        0x00C3_6400 => "CephFS",
        0x7375_7245 => "Coda",
        0x0BD0_0BD0 => "Lustre",
        0x4750_4653 => "GPFS",
        0x0000_564C => "NCP",
        0x1983_0326 => "BeeGFS",
        0x7461_636F => "OCFS2",
        0x0116_1970 => "GFS2",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Silent;

    #[test]
    fn the_wait_for_a_lock_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = try_lock(&path, Sharing::Exclusive).unwrap().unwrap();
        let timeout = Duration::from_millis(20);
        let error = lock(&path, Sharing::Shared, "x", timeout, &Silent).err().unwrap();
        assert!(matches!(error, FileError::LockTimeout { .. }));
        drop(held);
        assert!(lock(&path, Sharing::Shared, "x", timeout, &Silent).is_ok());
    }

    #[test]
    fn buffers_begin_on_a_page() {
        assert_eq!(PageBuffer::new().as_mut_slice().as_ptr() as usize % 4096, 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn network_file_systems_are_known_by_their_magic() {
        assert_eq!(network_name(0x6969), Some("NFS"));
        assert_eq!(network_name(0xEF53), None);
    }
}
