//! Asking another program, which may be missing, fail, talk without end or hang.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::settings;

/// What a program that ended well wrote to standard output; else why there is nothing. A program that
/// takes longer than `limit` is killed.
pub(super) fn ask(
    command: &mut Command,
    limit: Duration,
    most_bytes: u64,
) -> Result<Vec<u8>, String> {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    let until = Instant::now() + limit;
    let spawned =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!("{name} is not installed"),
        _ => format!("{name} could not be started"),
    })?;
    let stdout = reader(child.stdout.take(), most_bytes);
    let stderr = reader(child.stderr.take(), 64 * 1024);
    let left = || until.saturating_duration_since(Instant::now());
    let output = stdout.recv_timeout(left());
    let ended = ended(&mut child, until);
    let (Ok(output), Some(status)) = (output, ended) else {
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!("{name} did not answer within {} s", limit.as_secs()));
    };
    if output.len() as u64 > most_bytes {
        return Err(format!("{name} wrote more than {most_bytes} bytes"));
    }
    if !status.success() {
        let said = stderr.recv_timeout(left()).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let line = said.lines().map(str::trim).find(|line| !line.is_empty());
        let line: String = line.unwrap_or("it does not say why").chars().take(200).collect();
        return Err(format!("{name} failed: {}", lineage_core::redaction::without_secrets(&line)));
    }
    Ok(output)
}

/// Reads beside the waiting, so that a full pipe stops nobody. At most one byte more than asked for; the
/// pipe is closed then, which ends a program that talks on.
fn reader(pipe: Option<impl Read + Send + 'static>, most_bytes: u64) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            let _ = pipe.take(most_bytes + 1).read_to_end(&mut bytes);
        }
        let _ = sender.send(bytes);
    });
    receiver
}

/// How the child ended, if it did by then. A child that closed its output is about to.
fn ended(child: &mut Child, until: Instant) -> Option<ExitStatus> {
    let mut pause = Duration::from_micros(50);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < until => thread::sleep(pause),
            _ => return None,
        }
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// The file that a program's name means, as the shell would find it.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let paths = settings::path_variable("PATH")?;
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(&paths).map(|folder| folder.join(&name)).find(|path| path.is_file())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<Vec<u8>, String> {
        ask(Command::new("sh").args(["-c", script]), limit, 1000)
    }

    #[test]
    fn answers_failures_and_absence_are_told_apart() {
        let long = Duration::from_secs(20);
        assert_eq!(shell("echo a", long).unwrap(), b"a\n");
        assert_eq!(shell("echo no >&2; exit 3", long).unwrap_err(), "sh failed: no");
        let missing = ask(&mut Command::new("/nowhere/at-all"), long, 10).unwrap_err();
        assert_eq!(missing, "at-all is not installed");
        let leak = shell("echo 'fatal: https://me:hunter2@host/' >&2; exit 1", long).unwrap_err();
        assert!(!leak.contains("hunter2"), "{leak}");
    }

    #[test]
    fn a_program_that_hangs_or_never_stops_talking_is_left() {
        let started = Instant::now();
        let said = shell("sleep 60", Duration::from_millis(100)).unwrap_err();
        assert!(said.starts_with("sh did not answer"), "{said}");
        let said = shell("exec yes", Duration::from_secs(20)).unwrap_err();
        assert_eq!(said, "sh wrote more than 1000 bytes");
        // It closes its output and stays.
        let said = shell("exec >&- 2>&-; exec sleep 60", Duration::from_millis(100)).unwrap_err();
        assert!(said.starts_with("sh did not answer"), "{said}");
        assert!(started.elapsed() < Duration::from_secs(15));
    }
}
