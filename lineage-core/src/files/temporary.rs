//! Files on their way to a place: written under another name, and flushed one by one or together.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::{FileError, make_read_only, parent, sync_folder};

/// After as many bytes the system is asked to begin writing them to the disk. By itself Linux waits until a
/// tenth of the memory is to be written, or half a minute.
const WRITE_BACK_BYTES: u64 = 8 * 1024 * 1024;

/// A file that is being written and vanishes with this value unless it is put in place.
#[derive(Debug)]
pub(crate) struct Temporary {
    path: PathBuf,
    /// Until it is closed.
    file: Option<File>,
    /// Whether it was made so that nobody may open it to write.
    read_only: bool,
    size_bytes: u64,
    /// How many bytes the system was asked to write to the disk.
    begun_bytes: u64,
    /// How its flush went, if it was flushed before anyone asked.
    flushed: Option<io::Result<()>>,
}

impl Temporary {
    pub(crate) fn create(path: PathBuf) -> Result<Temporary, FileError> {
        Temporary::open_new(path, OpenOptions::new().write(true).to_owned())
    }

    /// A temporary to which nobody but the holder of this value can write.
    pub(crate) fn create_read_only(path: PathBuf) -> Result<Temporary, FileError> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            let options = OpenOptions::new().write(true).mode(0o444).to_owned();
            let mut created = Temporary::open_new(path, options)?;
            created.read_only = true;
            Ok(created)
        }
        // Elsewhere a file that is read-only cannot be renamed or removed.
        #[cfg(not(unix))]
        Temporary::create(path)
    }

    fn open_new(path: PathBuf, mut options: OpenOptions) -> Result<Temporary, FileError> {
        // A link planted under this name is not followed, and what a dead process left there goes.
        let mut create = || options.create_new(true).open(&path);
        let file = match create() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let _ = fs::remove_file(&path);
                create()
            }
            result => result,
        };
        let file = file.map_err(FileError::io("write", &path))?;
        Ok(Temporary::new(path, Some(file)))
    }

    fn new(path: PathBuf, file: Option<File>) -> Temporary {
        let (size_bytes, begun_bytes) = (0, 0);
        Temporary { path, file, read_only: false, size_bytes, begun_bytes, flushed: None }
    }

    /// A temporary that is a copy-on-write clone of `source`, where the file system can do that.
    pub(crate) fn clone_of(source: &Path, path: PathBuf) -> Option<Temporary> {
        reflink_copy::reflink(source, &path).ok()?;
        let clone = Temporary::new(path, None);
        // Some systems clone the permissions too; what cannot be flushed is of no use.
        OpenOptions::new().write(true).open(&clone.path).ok().map(|_| clone)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends bytes. Nothing can be appended after it was closed.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let written = match &mut self.file {
            Some(file) => file.write_all(bytes),
            None => Err(io::Error::other("it is closed")),
        };
        written.map_err(FileError::io("write", &self.path))?;
        self.flushed = None;
        self.size_bytes += bytes.len() as u64;
        if self.size_bytes - self.begun_bytes >= WRITE_BACK_BYTES {
            self.begin_write_back();
        }
        Ok(())
    }

    /// So that the disk works while the next bytes are read, and a flush has little left to wait for.
    fn begin_write_back(&mut self) {
        #[cfg(target_os = "linux")]
        if let Some(file) = &self.file {
            use rustix::fs::{Advice, fadvise};
            let length = std::num::NonZeroU64::new(self.size_bytes - self.begun_bytes);
            // Linux first begins to write what is to be written, which then is not forgotten.
            let _ = fadvise(file, self.begun_bytes, length, Advice::DontNeed);
        }
        self.begun_bytes = self.size_bytes;
    }

    /// Gives the handle back to the system, which has few of them: thousands of temporaries may wait to
    /// be put in place.
    pub(crate) fn close(&mut self) {
        self.file = None;
    }

    /// Flushes the bytes to the disk.
    pub(crate) fn flush(&mut self) -> Result<(), FileError> {
        let flushed = self.flushed.take().unwrap_or_else(|| self.sync());
        flushed.map_err(FileError::io("flush", &self.path))
    }

    /// Flushes the bytes to the disk now. Whether that went well is told by [`Temporary::flush`].
    pub(crate) fn flush_early(&mut self) {
        self.flushed = Some(self.sync());
    }

    fn sync(&self) -> io::Result<()> {
        match &self.file {
            Some(file) => file.sync_all(),
            None => self.open_to_flush()?.sync_all(),
        }
    }

    fn open_to_flush(&self) -> io::Result<File> {
        // Windows flushes for those who may write, and Unix for everyone.
        OpenOptions::new().read(cfg!(unix)).write(!cfg!(unix)).open(&self.path)
    }

    /// Takes away everyone's permission to write.
    pub(crate) fn make_read_only(&self) -> Result<(), FileError> {
        if self.read_only { Ok(()) } else { make_read_only(&self.path) }
    }

    /// Gives the temporary the permissions of the file it is about to replace, if there is one.
    pub(crate) fn copy_permissions_of(&self, target: &Path) -> Result<(), FileError> {
        match fs::metadata(target) {
            Ok(metadata) => fs::set_permissions(&self.path, metadata.permissions())
                .map_err(FileError::io("set the permissions of", &self.path)),
            Err(_) => Ok(()),
        }
    }

    /// Renames the temporary to `target`, replacing what is there. The folder is not flushed.
    pub(crate) fn rename_to(mut self, target: &Path) -> Result<(), (Temporary, io::Error)> {
        self.file = None;
        match fs::rename(&self.path, target) {
            Ok(()) => {
                self.path = PathBuf::new();
                Ok(())
            }
            Err(error) => Err((self, error)),
        }
    }

    /// Renames the temporary to `target` and flushes the target's folder.
    pub(crate) fn put_in_place(self, target: &Path) -> Result<(), FileError> {
        self.rename_to(target).map_err(|(_, source)| FileError::Io {
            action: "write",
            path: target.to_owned(),
            source,
        })?;
        sync_folder(parent(target))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        self.file = None;
        if !self.path.as_os_str().is_empty() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A file system of which all files can be flushed at once, for less than many of them one by one.
pub(crate) struct FileSystem {
    #[cfg(target_os = "linux")]
    folder: File,
}

impl FileSystem {
    /// The one that holds `folder`. None where a flush of all would not tell of every failed write:
    /// `syncfs`(2) does so since Linux 5.8, in file systems that note them. It tells of those since the
    /// folder was opened here, so that nothing may be written before.
    pub(crate) fn of(folder: &Path) -> Option<FileSystem> {
        #[cfg(target_os = "linux")]
        {
            let folder = File::open(folder).ok()?;
            let found = rustix::fs::fstatfs(&folder).ok()?;
            let release = rustix::system::uname();
            let tells = tells_of_failed_writes(release.release().to_str().ok()?)
                && flushed_as_a_whole(found.f_type as u32);
            tells.then_some(FileSystem { folder })
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = folder;
            None
        }
    }

    /// Flushes all that was written to it, by anyone. After an error it is not known of which file.
    pub(crate) fn flush(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        return Ok(rustix::fs::syncfs(&self.folder)?);
        #[cfg(not(target_os = "linux"))]
        Ok(())
    }

    /// Notes that temporaries in it are flushed, because all of it was after they had been written.
    pub(crate) fn note_flushed<'t>(&self, temporaries: impl Iterator<Item = &'t mut Temporary>) {
        temporaries.for_each(|temporary| temporary.flushed = Some(Ok(())));
    }
}

/// Whether a kernel of this release (uname(2)) lets `syncfs` tell of writes that failed.
#[cfg(target_os = "linux")]
fn tells_of_failed_writes(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else { return false };
    (major, minor) >= (5, 8)
}

/// The magic numbers (statfs(2)) of file systems that flush all of themselves and note failed writes
/// where `syncfs` looks. Those on top of others do not: `overlay` notes nothing itself.
#[cfg(target_os = "linux")]
fn flushed_as_a_whole(magic: u32) -> bool {
    const EXT4: u32 = 0xEF53;
    const XFS: u32 = 0x5846_5342;
    const BTRFS: u32 = 0x9123_683E;
    const F2FS: u32 = 0xF2F5_2010;
    const TMPFS: u32 = 0x0102_1994;
    matches!(magic, EXT4 | XFS | BTRFS | F2FS | TMPFS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_that_is_not_placed_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        drop(Temporary::create(folder.path().join("t")).unwrap());
        drop(Temporary::create_read_only(folder.path().join("r")).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    /// More than what the system is asked to write at once, and less than twice that.
    #[test]
    fn a_temporary_holds_what_was_written_and_is_as_read_only_as_asked() {
        let folder = tempfile::tempdir().unwrap();
        let part = vec![7; 5_000_011];
        for read_only in [false, true] {
            let path = folder.path().join(format!("{read_only}"));
            let mut temporary = match read_only {
                true => Temporary::create_read_only(path).unwrap(),
                false => Temporary::create(path).unwrap(),
            };
            (0..3).for_each(|_| temporary.write(&part).unwrap());
            temporary.close();
            assert!(temporary.write(&part).is_err());
            temporary.flush_early();
            temporary.flush().unwrap();
            temporary.make_read_only().unwrap();
            let target = folder.path().join(format!("{read_only} placed"));
            temporary.put_in_place(&target).unwrap();
            assert!(fs::metadata(&target).unwrap().permissions().readonly());
            assert!(fs::read(&target).unwrap() == part.repeat(3));
        }
        let modes = ["false placed", "true placed"].map(|name| {
            let metadata = fs::metadata(folder.path().join(name)).unwrap();
            metadata.permissions()
        });
        assert_eq!(modes[0], modes[1]);
    }

    /// A flush that fails early is told when it is asked for, and then no more.
    #[test]
    fn the_outcome_of_an_early_flush_is_told_when_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        let mut temporary = Temporary::create(path.clone()).unwrap();
        temporary.write(b"1").unwrap();
        temporary.close();
        fs::rename(&path, folder.path().join("away")).unwrap();
        temporary.flush_early();
        fs::rename(folder.path().join("away"), &path).unwrap();
        let error = temporary.flush().unwrap_err().to_string();
        assert!(error.contains("cannot flush") && error.contains("No such file"), "{error}");
        temporary.flush().unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn file_systems_are_flushed_as_a_whole_where_that_tells_of_every_failed_write() {
        for (release, tells) in [
            ("5.8.0", true),
            ("6.1.0-13-amd64", true),
            ("10.0", true),
            ("5.7.19", false),
            ("4.18.0-553.el8", false),
            ("5", false),
            ("", false),
            ("unknown", false),
        ] {
            assert_eq!(tells_of_failed_writes(release), tells, "{release}");
        }
        assert!(flushed_as_a_whole(0xEF53));
        // overlay, NFS, FUSE
        assert!(![0x794C_7630, 0x6969, 0x6573_5546].into_iter().any(flushed_as_a_whole));
        assert!(FileSystem::of(Path::new("/nowhere")).is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn files_that_were_flushed_together_are_flushed() {
        let folder = tempfile::tempdir().unwrap();
        let Some(file_system) = FileSystem::of(folder.path()) else { return };
        let mut temporaries = ["a", "b"].map(|name| {
            let mut temporary = Temporary::create(folder.path().join(name)).unwrap();
            temporary.write(name.as_bytes()).unwrap();
            temporary.close();
            temporary
        });
        file_system.flush().unwrap();
        file_system.note_flushed(temporaries.iter_mut());
        for temporary in &mut temporaries {
            // Asking does not open the file.
            fs::rename(temporary.path(), folder.path().join("away")).unwrap();
            temporary.flush().unwrap();
            fs::rename(folder.path().join("away"), temporary.path()).unwrap();
        }
    }
}
