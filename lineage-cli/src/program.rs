//! The training program: started, waited for, measured.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use lineage_core::events::Run;
use lineage_core::files::reason;

use crate::child;
use crate::error::{CliError, ErrorKind};

/// Names of the files that the program may write.
pub(crate) const METRICS: &str = "metrics.json";
pub(crate) const PARAMS: &str = "params.json";

/// A program to be run for a session.
pub(crate) struct Child<'a> {
    pub(crate) command: &'a [OsString],
    pub(crate) session: Option<&'a str>,
    pub(crate) registry: Option<&'a Path>,
    pub(crate) files: &'a Path,
}

/// How a program ended.
pub(crate) struct Ended {
    pub(crate) run: Run,
    signal: Option<i32>,
}

impl Ended {
    /// Its exit status, or 128 and the signal's number, as shells have it.
    pub(crate) fn exit_status(&self) -> u8 {
        u8::try_from(self.run.exit_status).unwrap_or(1)
    }

    /// Why it failed, if it did.
    pub(crate) fn reason(&self) -> Option<String> {
        match (self.signal, self.run.exit_status) {
            (Some(signal), _) => Some(format!("the program was ended by signal {signal}")),
            (None, 0) => None,
            (None, status) => Some(format!("the program ended with exit status {status}")),
        }
    }
}

impl Child<'_> {
    /// Runs the program to its end; its standard streams are ours.
    pub(crate) fn run(&self) -> Result<Ended, CliError> {
        let Some((program, arguments)) = self.command.split_first() else {
            return Err(CliError::new(ErrorKind::Usage, "no program is given"));
        };
        let mut command = Command::new(program);
        command.args(arguments);
        command.env("LINEAGE_METRICS", self.files.join(METRICS));
        command.env("LINEAGE_PARAMS", self.files.join(PARAMS));
        if let Some(session) = self.session {
            command.env("LINEAGE_SESSION", session);
        }
        if let Some(registry) = self.registry {
            command.env("LINEAGE_REGISTRY", registry);
        }
        let before = usage();
        let started = Instant::now();
        let status = child::supervise(&mut command).map_err(|error| {
            let name = Path::new(program).display();
            let (kind, why, hint) = match error.kind() {
                std::io::ErrorKind::NotFound => (
                    ErrorKind::NotFound,
                    "there is no such program".to_owned(),
                    "name a program on PATH, or its path",
                ),
                std::io::ErrorKind::PermissionDenied => (
                    ErrorKind::Failure,
                    "it may not be executed".to_owned(),
                    "make it executable with chmod +x, or name its interpreter: -- python train.py",
                ),
                _ => (
                    ErrorKind::Failure,
                    reason(&error),
                    "name a program for this machine, or its interpreter: -- python train.py",
                ),
            };
            CliError::new(kind, format!("cannot run {name}: {why}")).hint(hint)
        })?;
        let duration_us = started.elapsed().as_micros().min(1 << 52) as u64;
        let (cpu_us, peak_memory_bytes) = spent(before, usage());
        let exit_status = child::exit_status(status);
        let signal = status.code().is_none().then_some(exit_status - 128);
        let run = Run { exit_status, duration_us, cpu_us, peak_memory_bytes, late: false };
        Ok(Ended { run, signal })
    }
}

/// What the processes that were waited for have used: CPU time in microseconds, and the most memory that
/// one of them held.
type Usage = Option<(u64, u64)>;

fn spent(before: Usage, after: Usage) -> (Option<u64>, Option<u64>) {
    let Some((before, after)) = before.zip(after) else { return (None, None) };
    // A program that was run before, and held more, would hide what this one held.
    (Some(after.0.saturating_sub(before.0)), Some(after.1).filter(|peak| *peak > before.1))
}

#[cfg(unix)]
fn usage() -> Usage {
    use nix::sys::resource::{UsageWho, getrusage};
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
    let (user, system) = (usage.user_time(), usage.system_time());
    let seconds = user.tv_sec() + system.tv_sec();
    let microseconds = seconds * 1_000_000 + user.tv_usec() + system.tv_usec();
    // The kernel counts in KiB, that of macOS in bytes.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    let peak = u64::try_from(usage.max_rss()).ok()?.saturating_mul(unit);
    Some((u64::try_from(microseconds).ok()?, peak))
}

#[cfg(not(unix))]
fn usage() -> Usage {
    None
}
