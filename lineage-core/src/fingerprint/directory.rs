//! Directories: the canonical manifest whose digest is a directory's identity.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::file::{DirectoryProblem, FingerprintError, Read, special};
use super::{Fingerprint, Input, served};
use crate::digest::{Kind, Sha256};
use crate::files::FileError;

/// Tells, from the bytes of a top-level `metadata.json`, whether lineage wrote it for a version of
/// this artifact path. Such a file, and no other, is left out of the manifest.
pub type OwnFile<'a> = dyn Fn(&[u8]) -> bool + 'a;

/// The name under which lineage describes a directory artifact inside of it.
pub(crate) const METADATA_NAME: &str = "metadata.json";

/// A `metadata.json` larger than this is not ours.
const METADATA_BYTES_MAX: u64 = 16 * 1024 * 1024;

const HEADER: &str = "lineage-tree-1\n";

/// The canonical list of a directory's files. Its bytes are stored under their own digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The globs that were left out, sorted.
    pub excludes: Vec<String>,
    /// Every regular file, sorted by the bytes of its path.
    pub files: Vec<ManifestFile>,
}

/// One line of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFile {
    /// Relative to the directory, with `/`.
    pub path: String,
    /// SHA-256 of the file's bytes.
    pub sha256: Sha256,
    /// How many bytes that is.
    pub size_bytes: u64,
}

/// One way in which a directory is not what a manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Listed, but not there.
    Missing(String),
    /// There, but not listed.
    Extra(String),
    /// There with other bytes.
    Changed(String),
}

/// The bytes are not a manifest in canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a directory manifest: line {line}")]
pub struct ManifestError {
    /// The first line that is wrong, counted from 1.
    pub line: usize,
}

impl Manifest {
    /// The canonical bytes (`docs/formats/fingerprint.md`, Directory).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = String::from(HEADER);
        for glob in &self.excludes {
            out.push_str("exclude ");
            out.push_str(&encode(glob));
            out.push('\n');
        }
        for file in &self.files {
            let path = encode(&file.path);
            out.push_str(&format!("{} {} {path}\n", file.sha256, file.size_bytes));
        }
        out.into_bytes()
    }

    /// Reads canonical bytes; anything that [`Manifest::to_bytes`] would not write is refused.
    pub fn parse(bytes: &[u8]) -> Result<Manifest, ManifestError> {
        let text = std::str::from_utf8(bytes).map_err(|_| ManifestError { line: 1 })?;
        let mut manifest = Manifest { excludes: Vec::new(), files: Vec::new() };
        for (index, line) in text.lines().enumerate() {
            let wrong = ManifestError { line: index + 1 };
            if index == 0 {
                continue;
            }
            if let Some(glob) = line.strip_prefix("exclude ") {
                manifest.excludes.push(decode(glob).ok_or(wrong)?);
                continue;
            }
            let mut parts = line.splitn(3, ' ');
            let (Some(sha256), Some(size), Some(path)) = (parts.next(), parts.next(), parts.next())
            else {
                return Err(wrong);
            };
            manifest.files.push(ManifestFile {
                path: decode(path).ok_or_else(|| wrong.clone())?,
                sha256: sha256.parse().map_err(|_| wrong.clone())?,
                size_bytes: size.parse().map_err(|_| wrong)?,
            });
        }
        let ordered =
            manifest.files.windows(2).all(|w| w[0].path.as_bytes() < w[1].path.as_bytes())
                && manifest.excludes.windows(2).all(|pair| pair[0] < pair[1]);
        let inside = |path: &str| path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if manifest.to_bytes() != bytes
            || !ordered
            || !manifest.files.iter().all(|file| inside(&file.path))
        {
            return Err(ManifestError { line: 1 });
        }
        Ok(manifest)
    }

    /// The directory's identity.
    pub fn sha256(&self) -> Sha256 {
        Sha256::of(&self.to_bytes())
    }

    /// Bytes of all files together.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }

    /// What is different in `found`, in the order of the paths.
    pub fn differences(&self, found: &Manifest) -> Vec<Difference> {
        let index = |manifest: &Manifest| -> BTreeMap<String, Sha256> {
            manifest.files.iter().map(|file| (file.path.clone(), file.sha256)).collect()
        };
        let (expected, found) = (index(self), index(found));
        let mut differences: Vec<(String, Difference)> = Vec::new();
        for (path, digest) in &expected {
            match found.get(path) {
                None => differences.push((path.clone(), Difference::Missing(path.clone()))),
                Some(other) if other != digest => {
                    differences.push((path.clone(), Difference::Changed(path.clone())));
                }
                Some(_) => {}
            }
        }
        for path in found.keys().filter(|path| !expected.contains_key(*path)) {
            differences.push((path.clone(), Difference::Extra(path.clone())));
        }
        differences.sort_by(|a, b| a.0.cmp(&b.0));
        differences.into_iter().map(|(_, difference)| difference).collect()
    }
}

/// Control characters, `\` and `%` as `%XX`; `%` too, or two names could share one line.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || matches!(character, '\\' | '%' | '\u{2028}' | '\u{2029}') {
            let mut utf8 = [0; 4];
            for byte in character.encode_utf8(&mut utf8).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        } else {
            out.push(character);
        }
    }
    out
}

fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let pair = [bytes.next()?, bytes.next()?];
            let mut value = [0];
            hex::decode_to_slice(pair, &mut value).ok()?;
            out.push(value[0]);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

pub(super) struct Walk {
    excludes: Vec<String>,
    pub(super) files: Vec<Found>,
}

pub(super) struct Found {
    pub(super) absolute: PathBuf,
    pub(super) relative: String,
    /// As many bytes as it had when it was listed.
    pub(super) size_bytes: u64,
}

impl Found {
    /// Its own name, without those of folders.
    pub(super) fn name(&self) -> &str {
        self.relative.rsplit('/').next().unwrap_or_default()
    }
}

/// Lists the regular files of a directory, sorted by path, and refuses what has no place in one.
pub(super) fn walk(input: &Input<'_>) -> Result<Walk, FingerprintError> {
    let mut excludes = input.exclude.clone();
    excludes.sort();
    excludes.dedup();
    let globs = glob_set(&excludes)?;
    let root = fs::canonicalize(&input.path).map_err(FileError::io("find", &input.path))?;
    let mut files = Vec::new();
    let mut walker = Walker { root: &root, input, globs, files: &mut files };
    walker.folder(&input.path, "")?;
    files.sort_by(|a, b| a.relative.as_bytes().cmp(b.relative.as_bytes()));
    if files.is_empty() {
        return Err(problem(&input.path, DirectoryProblem::Empty));
    }
    Ok(Walk { excludes, files })
}

fn glob_set(globs: &[String]) -> Result<GlobSet, FingerprintError> {
    let mut builder = GlobSetBuilder::new();
    for glob in globs {
        let wrong = |error: globset::Error| FingerprintError::Glob {
            glob: glob.clone(),
            reason: error.kind().to_string(),
        };
        builder.add(GlobBuilder::new(glob).literal_separator(true).build().map_err(wrong)?);
    }
    builder.build().map_err(|error| FingerprintError::Glob {
        glob: globs.join(", "),
        reason: error.kind().to_string(),
    })
}

fn problem(path: &Path, problem: DirectoryProblem) -> FingerprintError {
    FingerprintError::Directory { path: path.to_owned(), problem }
}

struct Walker<'a> {
    root: &'a Path,
    input: &'a Input<'a>,
    globs: GlobSet,
    files: &'a mut Vec<Found>,
}

impl Walker<'_> {
    fn folder(&mut self, folder: &Path, prefix: &str) -> Result<(), FingerprintError> {
        let mut entries = 0;
        for entry in fs::read_dir(folder).map_err(FileError::io("read", folder))? {
            entries += 1;
            let entry = entry.map_err(FileError::io("read", folder))?;
            let path = entry.path();
            let name = entry.file_name();
            let name = name.to_str().ok_or_else(|| problem(&path, DirectoryProblem::NotUtf8))?;
            let relative =
                if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
            if self.globs.is_match(&relative) {
                continue;
            }
            let kind = entry.file_type().map_err(FileError::io("inspect", &path))?;
            if kind.is_dir() {
                if let Some(name) =
                    [".git", "__pycache__", ".lineage"].into_iter().find(|n| *n == name)
                {
                    return Err(problem(&path, DirectoryProblem::Unwanted(name)));
                }
                self.folder(&path, &relative)?;
                continue;
            }
            let metadata = if kind.is_symlink() {
                self.check_link(&path)?
            } else {
                entry.metadata().map_err(FileError::io("inspect", &path))?
            };
            if let Some(what) = special(&metadata) {
                return Err(problem(&path, DirectoryProblem::Special(what)));
            }
            if relative == METADATA_NAME && self.is_own(&path)? {
                continue;
            }
            self.files.push(Found { absolute: path, relative, size_bytes: metadata.len() });
        }
        if entries == 0 {
            return Err(problem(folder, DirectoryProblem::Empty));
        }
        Ok(())
    }

    /// A symlink may only lead to a regular file inside the directory, by a relative path.
    fn check_link(&self, path: &Path) -> Result<fs::Metadata, FingerprintError> {
        let target = fs::read_link(path).map_err(FileError::io("read", path))?;
        let inside = fs::canonicalize(path).is_ok_and(|real| real.starts_with(self.root));
        if target.is_absolute() || !inside {
            return Err(problem(path, DirectoryProblem::EscapingLink));
        }
        let metadata = fs::metadata(path).map_err(FileError::io("inspect", path))?;
        if metadata.is_dir() {
            return Err(problem(path, DirectoryProblem::LinkToDirectory));
        }
        Ok(metadata)
    }

    fn is_own(&self, path: &Path) -> Result<bool, FingerprintError> {
        let Some(own_file) = self.input.own_file else { return Ok(false) };
        let size = fs::metadata(path).map_err(FileError::io("inspect", path))?.len();
        if size > METADATA_BYTES_MAX {
            return Ok(false);
        }
        let content = crate::files::read_small(path, METADATA_BYTES_MAX)?;
        Ok(content.is_some_and(|bytes| own_file(&bytes)))
    }
}

/// Makes the directory's fingerprint from what reading its files gave, taken from `read` in order.
pub(super) fn assemble(walk: Walk, read: &mut impl Iterator<Item = Read>) -> Option<Fingerprint> {
    let mut manifest = Manifest { excludes: walk.excludes, files: Vec::new() };
    let (mut stand_ins, mut kept, mut inspected) = (Vec::new(), Vec::new(), Vec::new());
    let mut blake3s = Vec::new();
    let mut from_cache = false;
    for found in walk.files {
        let read = read.next()?;
        from_cache |= read.from_cache;
        let sha256 = read.fingerprint.sha256;
        stand_ins.extend(read.stand_in.map(|stand_in| (found.relative.clone(), stand_in)));
        kept.extend(read.kept.map(|temporary| (sha256, temporary)));
        inspected.extend(read.inspected);
        blake3s.push(read.blake3);
        let size_bytes = read.fingerprint.size_bytes;
        manifest.files.push(ManifestFile { path: found.relative, sha256, size_bytes });
    }
    let named = manifest.files.iter().zip(blake3s);
    let named = named.map(|(file, blake3)| (file.path.as_str(), file.size_bytes, blake3));
    Some(Fingerprint {
        kind: Kind::Directory,
        blake3: served::of_files(named),
        sha256: manifest.sha256(),
        size_bytes: manifest.size_bytes(),
        manifest: Some(manifest),
        table: None,
        table_problem: None,
        from_cache,
        stand_ins,
        kept,
        inspected,
    })
}
