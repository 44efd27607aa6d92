//! The state of the code, as git tells it. The difference to the commit is a list of the files that differ
//! with their digests, so it depends on no setting of git (`docs/formats/environment.md`, "Code").

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lineage_core::digest::{Hasher, Sha256};
use lineage_core::environment::{Git, Part};
use lineage_core::events::{Code, Payload};
use lineage_core::files::reason;
use lineage_core::record::Warning;
use lineage_core::{metadata, redaction};

use super::program;

const LIMIT: Duration = Duration::from_secs(60);
const STATUS_BYTES_MAX: u64 = 64 * 1024 * 1024;
const PATCH_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Files beyond this many are no change of code.
const FILES_MAX: usize = 10_000;
/// A file that is larger enters the difference by its size: it is data that was not named as such.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// More than this is not read to find out what differs.
const BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Repositories within repositories.
const DEPTH_MAX: usize = 8;
/// Where another repository than that of the folder would be named, or what git says be changed.
const VARIABLES: [&str; 13] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_EXTERNAL_DIFF",
    "GIT_DIFF_OPTS",
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
];

/// What was found out.
pub(super) struct Found {
    pub(super) code: Option<Code>,
    pub(super) patch: Option<Vec<u8>>,
    pub(super) asked: Part<Git>,
    pub(super) warnings: Vec<Warning>,
}

/// The state of the repository around `folder`, without the files and folders in `not_code`.
pub(super) fn capture(folder: &Path, not_code: &[PathBuf], keep_patch: bool) -> Found {
    let mut found =
        Found { code: None, patch: None, asked: Part::unavailable(""), warnings: Vec::new() };
    let (top, status, changes) = match look(folder, not_code) {
        Ok(looked) => looked,
        Err(reason) => {
            found.asked = Part::unavailable(reason);
            return found;
        }
    };
    let (diff_sha256, problem) = match &changes.manifest {
        Ok(text) => ((!text.is_empty()).then(|| Sha256::of(text.as_bytes())), None),
        Err(problem) => (None, Some(problem.clone())),
    };
    let dirty = changes.files() > 0;
    if keep_patch && dirty {
        match patch(&top, &changes.kept_out) {
            // Nothing but untracked files.
            Ok(bytes) => found.patch = Some(bytes).filter(|bytes| !bytes.is_empty()),
            Err(reason) => found.warnings.push(Warning {
                code: "patch-not-kept",
                message: format!("the difference to the commit was not kept: {reason}"),
            }),
        }
        if found.patch.is_some() {
            let message = "the difference to the commit is kept as it is: what looks like a secret \
                           was looked for in it and not found, but not everything can be told";
            found.warnings.push(Warning { code: "patch-kept", message: message.to_owned() });
        }
    }
    found.code = Some(Code {
        commit: status.commit,
        branch: status.branch,
        dirty,
        diff_sha256,
        patch: found.patch.as_deref().map(Payload::of),
    });
    let (changed, untracked) = (changes.changed, changes.untracked);
    found.asked = Part::Known(Git { changed, untracked, problem });
    found
}

fn look(folder: &Path, not_code: &[PathBuf]) -> Result<(PathBuf, Status, Changes), String> {
    let folder = folder.canonicalize().map_err(|error| reason(&error))?;
    let top = folder.ancestors().find(|folder| folder.join(".git").symlink_metadata().is_ok());
    let top = top.ok_or("the working directory is in no git repository")?;
    let status = Status::ask(top)?;
    let not_code: Vec<PathBuf> =
        not_code.iter().map(|path| path.canonicalize().unwrap_or_else(|_| path.clone())).collect();
    let changes = Changes::of(top, &status.files, &not_code, 0);
    Ok((top.to_owned(), status, changes))
}

fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    // The index is not written, and no monitor of the file system is started.
    command.arg("--no-optional-locks").args(["-c", "core.fsmonitor=false"]);
    command.current_dir(folder).env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0");
    for name in VARIABLES {
        command.env_remove(name);
    }
    command
}

/// A file that differs from the commit.
struct Differing {
    path: Vec<u8>,
    /// The mode in the working folder, as git writes it; none of what git does not track.
    mode: Option<String>,
    is_repository: bool,
}

/// What `git status` says.
struct Status {
    commit: String,
    branch: Option<String>,
    files: Vec<Differing>,
}

impl Status {
    fn ask(top: &Path) -> Result<Status, String> {
        let mut command = git(top);
        command.args(["status", "--porcelain=v2", "--branch", "-z", "--no-ahead-behind"]);
        command.args(["--untracked-files=all", "--ignore-submodules=none", "--no-renames"]);
        let output = program::ask(&mut command, LIMIT, STATUS_BYTES_MAX)?;
        Status::parse(&output).ok_or_else(|| "the repository has no commit yet".to_owned())
    }

    /// None when there is no commit.
    fn parse(output: &[u8]) -> Option<Status> {
        let mut status = Status { commit: String::new(), branch: None, files: Vec::new() };
        let mut records = output.split(|byte| *byte == 0);
        while let Some(record) = records.next() {
            let text = String::from_utf8_lossy(record);
            if let Some(commit) = text.strip_prefix("# branch.oid ") {
                status.commit = commit.to_owned();
            } else if let Some(branch) = text.strip_prefix("# branch.head ") {
                status.branch = (branch != "(detached)").then(|| branch.to_owned());
            }
            // How many fields stand before the path, and which of them is the mode in the working folder.
            let (fields, mode) = match record.first() {
                Some(b'1') => (8, 5),
                Some(b'2') => (9, 5),
                Some(b'u') => (10, 6),
                Some(b'?') => (1, usize::MAX),
                _ => continue,
            };
            if record.first() == Some(&b'2') {
                records.next();
            }
            let mut parts = record.splitn(fields + 1, |byte| *byte == b' ');
            let words: Vec<&[u8]> = parts.by_ref().take(fields).collect();
            let Some(path) = parts.next().filter(|path| !path.is_empty()) else { continue };
            let mode = words.get(mode).map(|mode| String::from_utf8_lossy(mode).into_owned());
            let is_repository = match &mode {
                Some(mode) => mode == "160000",
                None => path.ends_with(b"/"),
            };
            let path = path.strip_suffix(b"/").unwrap_or(path).to_vec();
            status.files.push(Differing { path, mode, is_repository });
        }
        (status.commit.bytes().all(|b| b.is_ascii_hexdigit()) && !status.commit.is_empty())
            .then_some(status)
    }
}

/// What differs, without what is no code.
struct Changes {
    changed: u64,
    untracked: u64,
    /// The text whose digest is `diff_sha256`; else why it could not be made.
    manifest: Result<String, String>,
    /// Paths that were left out, relative to the top.
    kept_out: Vec<Vec<u8>>,
}

impl Changes {
    fn files(&self) -> u64 {
        self.changed + self.untracked
    }

    fn of(top: &Path, files: &[Differing], not_code: &[PathBuf], depth: usize) -> Changes {
        let mut changes =
            Changes { changed: 0, untracked: 0, manifest: Ok(String::new()), kept_out: Vec::new() };
        let mut code: Vec<(PathBuf, &Differing)> = Vec::new();
        let mut bytes = 0;
        for file in files {
            let path = top.join(os_path(&file.path));
            if not_code.iter().any(|known| path.starts_with(known)) || is_metadata(&path) {
                changes.kept_out.push(file.path.clone());
                continue;
            }
            match file.mode {
                Some(_) => changes.changed += 1,
                None => changes.untracked += 1,
            }
            bytes += hashed_bytes(&path);
            code.push((path, file));
        }
        let too_much = if code.len() > FILES_MAX {
            Some(format!("more than {FILES_MAX} files differ"))
        } else {
            (bytes > BYTES_MAX).then(|| "the files that differ have more than 1 GiB".to_owned())
        };
        changes.manifest = match too_much {
            Some(problem) => Err(format!("{problem}; is .gitignore complete?")),
            None => manifest(&code, not_code, depth),
        };
        changes
    }
}

/// The list of files whose digest is that of the difference; empty when there are none.
fn manifest(
    code: &[(PathBuf, &Differing)],
    not_code: &[PathBuf],
    depth: usize,
) -> Result<String, String> {
    let mut lines: BTreeMap<&[u8], String> = BTreeMap::new();
    for (path, file) in code {
        let line = line(path, file, not_code, depth)
            .map_err(|problem| format!("{}: {problem}", String::from_utf8_lossy(&file.path)))?;
        lines.insert(&file.path, line);
    }
    if lines.is_empty() {
        return Ok(String::new());
    }
    let lines = lines.iter().map(|(path, line)| format!("{line} {}\n", quoted(path)));
    Ok(format!("lineage-diff-1\n{}", lines.collect::<String>()))
}

/// How much is read to digest what is at `path`.
fn hashed_bytes(path: &Path) -> u64 {
    let found = path.symlink_metadata().ok().filter(fs::Metadata::is_file);
    found.map(|found| found.len()).filter(|bytes| *bytes <= FILE_BYTES_MAX).unwrap_or(0)
}

/// A `metadata.json` that lineage wrote beside a model.
fn is_metadata(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with("metadata.json")
        && fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() < FILE_BYTES_MAX)
        && fs::read(path).is_ok_and(|bytes| metadata::claim(&bytes).is_some())
}

/// Mode and digest of what is at `path` now.
fn line(
    path: &Path,
    file: &Differing,
    not_code: &[PathBuf],
    depth: usize,
) -> Result<String, String> {
    let found = match path.symlink_metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok("000000 -".into()),
        Err(_) => return Err("it cannot be read".to_owned()),
    };
    if found.is_symlink() {
        let target = fs::read_link(path).map_err(|_| "it cannot be read".to_owned())?;
        return Ok(format!("120000 {}", Sha256::of(target.as_os_str().as_encoded_bytes())));
    }
    if file.is_repository || found.is_dir() {
        return repository_line(path, not_code, depth);
    }
    if !found.is_file() {
        return Err("it is no regular file".to_owned());
    }
    let mode = match &file.mode {
        Some(mode) if mode != "000000" => mode.clone(),
        _ => untracked_mode(&found).to_owned(),
    };
    if found.len() > FILE_BYTES_MAX {
        return Ok(format!("{mode} size:{}", found.len()));
    }
    let digest = hash(path).map_err(|_| "it cannot be read".to_owned())?;
    Ok(format!("{mode} {digest}"))
}

/// A submodule, or a repository that is none: its commit, and what differs from that.
fn repository_line(path: &Path, not_code: &[PathBuf], depth: usize) -> Result<String, String> {
    if depth >= DEPTH_MAX {
        return Err("repositories are nested too deeply".to_owned());
    }
    let status = Status::ask(path)?;
    let changes = Changes::of(path, &status.files, not_code, depth + 1);
    let manifest = changes.manifest?;
    Ok(match manifest.is_empty() {
        true => format!("160000 {}", status.commit),
        false => format!("160000 {}+{}", status.commit, Sha256::of(manifest.as_bytes())),
    })
}

fn hash(path: &Path) -> std::io::Result<Sha256> {
    let mut file = File::open(path)?.take(FILE_BYTES_MAX + 1);
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

#[cfg(unix)]
fn untracked_mode(found: &fs::Metadata) -> &'static str {
    use std::os::unix::fs::PermissionsExt as _;
    if found.permissions().mode() & 0o100 == 0 { "100644" } else { "100755" }
}

#[cfg(not(unix))]
fn untracked_mode(_: &fs::Metadata) -> &'static str {
    "100644"
}

#[cfg(unix)]
fn os_path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
fn os_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

/// A path in one line: bytes outside of printable ASCII, `\` and `%` as `%XX`.
fn quoted(path: &[u8]) -> String {
    let mut out = String::new();
    for byte in path {
        match byte {
            b'%' | b'\\' => out.push_str(&format!("%{byte:02X}")),
            0x20..=0x7e => out.push(char::from(*byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The difference of tracked files to the commit as a patch, unless it seems to hold a secret.
fn patch(top: &Path, kept_out: &[Vec<u8>]) -> Result<Vec<u8>, String> {
    let mut command = git(top);
    for setting in ["diff.noprefix=false", "diff.mnemonicPrefix=false", "diff.orderFile=/dev/null"]
    {
        command.args(["-c", setting]);
    }
    command.args(["diff", "HEAD", "--binary", "--full-index", "--no-ext-diff", "--no-textconv"]);
    command.args(["--no-color", "--no-renames", "--unified=3", "--inter-hunk-context=0"]);
    command.args(["--diff-algorithm=myers", "--submodule=short", "--ignore-submodules=none"]);
    command.args(["--src-prefix=a/", "--dst-prefix=b/", "--", ":(top)"]);
    for path in kept_out {
        let mut pathspec = std::ffi::OsString::from(":(top,exclude,literal)");
        pathspec.push(os_path(path));
        command.arg(pathspec);
    }
    let bytes = program::ask(&mut command, LIMIT, PATCH_BYTES_MAX)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines().enumerate();
    match lines.find(|(_, line)| redaction::holds_literal_secret(line)) {
        Some((number, _)) => Err(format!("line {} of it looks like a secret", number + 1)),
        None if redaction::without_shapes(&text) != text => {
            Err("it seems to hold a private key".to_owned())
        }
        None => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_read_with_any_name() {
        let commit = "3f".repeat(20);
        let text = format!(
            "# branch.oid {commit}\0# branch.head main\0\
             1 .M N... 100644 100644 100755 {commit} {commit} a b.py\0\
             1 .D N... 100644 100644 000000 {commit} {commit} gone\0\
             2 R. N... 100644 100644 100644 {commit} {commit} R100 new\0old\0\
             u UU N... 100644 100644 100644 100644 {commit} {commit} {commit} both\0\
             1 .M SCMU 160000 160000 160000 {commit} {commit} sub\0\
             ? new\nline \u{e9}\0? nested/\0! ignored\0? \0?\0nonsense\0"
        );
        let status = Status::parse(text.as_bytes()).unwrap();
        assert_eq!((status.commit, status.branch.as_deref()), (commit, Some("main")));
        let shown: Vec<String> = status
            .files
            .iter()
            .map(|f| format!("{} {:?} {}", quoted(&f.path), f.mode.as_deref(), f.is_repository))
            .collect();
        assert_eq!(
            shown,
            [
                "a b.py Some(\"100755\") false",
                "gone Some(\"000000\") false",
                "new Some(\"100644\") false",
                "both Some(\"100644\") false",
                "sub Some(\"160000\") true",
                "new%0Aline %C3%A9 None false",
                "nested None true",
            ]
        );
        assert!(Status::parse(b"# branch.oid (initial)\0# branch.head main\0").is_none());
        assert!(Status::parse(b"").is_none());
    }
}
