//! A program that we start for the user: its input and output are ours, and so are its signals.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::SystemTime;
use std::{fs, io};

/// Files of a folder beyond this many are not watched.
const FILES_MAX: usize = 100_000;

/// A file: its path, size, time and number.
type FileState = (PathBuf, u64, Option<SystemTime>, [i64; 3]);

/// Runs the command to its end. Signals that ask this process to end are passed on to it; how it then ends
/// is up to the command.
#[cfg(unix)]
pub(crate) fn supervise(command: &mut Command) -> io::Result<ExitStatus> {
    use std::sync::{Arc, Mutex, PoisonError};

    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    use signal_hook::iterator::Signals;

    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2])?;
    let handle = signals.handle();
    let mut child = command.spawn()?;
    // Taken away before the child is reaped, so that no other process can be meant.
    let target = Arc::new(Mutex::new(Pid::from_raw(child.id().cast_signed())));
    let forwarded = Arc::clone(&target);
    let forwarder = std::thread::spawn(move || {
        for signal in signals.forever() {
            let from_keyboard = matches!(signal, SIGINT | SIGQUIT) && in_foreground();
            let Some(signal) = Signal::from_named_raw(signal).filter(|_| !from_keyboard) else {
                continue;
            };
            if let Some(pid) = *forwarded.lock().unwrap_or_else(PoisonError::into_inner) {
                let _ = kill_process(pid, signal);
            }
        }
    });
    if let Some(pid) = Pid::from_raw(child.id().cast_signed()) {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(pid), options), Err(rustix::io::Errno::INTR)) {}
    }
    *target.lock().unwrap_or_else(PoisonError::into_inner) = None;
    let status = child.wait();
    handle.close();
    let _ = forwarder.join();
    status
}

/// Whether this process belongs to the terminal's foreground: then the keyboard's signals reach the command
/// without our help.
#[cfg(unix)]
fn in_foreground() -> bool {
    let own = rustix::process::getpgrp();
    let terminal = std::fs::File::open("/dev/tty");
    terminal.is_ok_and(|terminal| rustix::termios::tcgetpgrp(terminal) == Ok(own))
}

/// Runs the command to its end.
#[cfg(not(unix))]
pub(crate) fn supervise(command: &mut Command) -> io::Result<ExitStatus> {
    command.status()
}

/// The exit status as a shell has it: 128 and the signal's number when a signal ended the command.
pub(crate) fn exit_status(status: ExitStatus) -> i32 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return 128 + signal;
    }
    status.code().unwrap_or(1)
}

/// What changes when somebody writes there: of each file its size, times and number.
pub(crate) fn written_state(path: &Path) -> Vec<FileState> {
    let mut found = Vec::new();
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if metadata.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            open.extend(entries.map(|entry| entry.path()));
        } else {
            let identity = identity(&metadata);
            found.push((path, metadata.len(), metadata.modified().ok(), identity));
        }
        if found.len() > FILES_MAX {
            break;
        }
    }
    found.sort();
    found
}

#[cfg(unix)]
fn identity(metadata: &fs::Metadata) -> [i64; 3] {
    use std::os::unix::fs::MetadataExt as _;
    [metadata.ino().cast_signed(), metadata.ctime(), metadata.ctime_nsec()]
}

#[cfg(not(unix))]
fn identity(_: &fs::Metadata) -> [i64; 3] {
    [0; 3]
}
