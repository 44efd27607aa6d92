//! Looking at a folder: what lies in it, with digests. Reads only.

use std::fs;
use std::path::{Path, PathBuf};

use super::group::{self, Group, Listed};
use super::report::Finding;
use super::{claims, words};
use crate::context::{Context, Timestamp};
use crate::digest::{Kind, Sha256};
use crate::files::{self, FileError};
use crate::fingerprint::{self, Fingerprint, FingerprintError, Input};
use crate::layout::{self, Layout};
use crate::lookup;
use crate::store::Registry;
use crate::takeover::TakeoverError;

/// What was found in a folder.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scan {
    /// The folder, as it is recorded: `.` for the project root.
    pub folder: String,
    /// The folder's own name.
    pub folder_name: String,
    /// What may be a version each, by path.
    pub artifacts: Vec<FoundArtifact>,
    /// Small files that may name what is live.
    pub pointers: Vec<FoundPointer>,
    /// Links to folders or files.
    pub links: Vec<FoundLink>,
    /// What cannot be recorded.
    pub findings: Vec<Finding>,
}

/// A model file, or a folder with models in it.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundArtifact {
    /// As it would be recorded.
    pub path: String,
    /// File or directory.
    pub kind: Kind,
    /// Its identity.
    pub sha256: Sha256,
    /// Bytes of all its files.
    pub size_bytes: u64,
    /// How many files.
    pub files: u64,
    /// Its model files (paths within it; empty for a file) with their digests.
    pub models: Vec<(String, Sha256)>,
    /// When its newest model file was changed.
    pub modified: Option<Timestamp>,
    /// The small files that describe it: name and content.
    pub texts: Vec<(String, Vec<u8>)>,
}

/// A small file whose name says that it names what is live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPointer {
    /// As it would be recorded.
    pub path: String,
    /// What it holds.
    pub content: Vec<u8>,
}

/// A link, which is not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundLink {
    /// As it would be recorded.
    pub path: String,
    /// What it leads to, as it is recorded, by name alone.
    pub target: String,
}

const ENTRIES_MAX: usize = 200_000;
const DEPTH_MAX: usize = 24;
const TEXT_BYTES_MAX: u64 = 1024 * 1024;
const TEXTS_MAX: usize = 64;
const POINTER_BYTES_MAX: u64 = 16 * 1024;
/// Folders that hold programs.
const SKIPPED: [&str; 6] = ["node_modules", "__pycache__", "site-packages", "venv", "env", "lib64"];

#[derive(Default)]
struct Listing {
    files: Vec<Listed>,
    links: Vec<(String, PathBuf)>,
    findings: Vec<Finding>,
    entries: usize,
}

/// Looks at `folder`. `layout` says how paths are recorded, and `registry`, if there is one already,
/// which `metadata.json` files are its own.
pub fn scan(
    folder: &Path,
    layout: &Layout,
    registry: Option<&Registry>,
    context: &Context<'_>,
) -> Result<Scan, TakeoverError> {
    let shown = folder.display().to_string();
    if !folder.is_dir() {
        return Err(TakeoverError::NotAFolder(shown));
    }
    let folder = fs::canonicalize(folder).map_err(FileError::io("find", folder))?;
    let mut listing = Listing::default();
    list(&folder, "", 0, &mut listing)?;
    listing.files.sort_by(|a, b| a.path.cmp(&b.path));
    let groups = group::group(&listing.files);
    let recorded = |inside: &str| layout.recorded(&folder.join(inside));
    let mut scan = Scan {
        folder: layout.recorded(&folder)?,
        folder_name: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        findings: listing.findings,
        ..Scan::default()
    };
    for (group, found) in groups.iter().zip(hash(&folder, layout, &groups, registry, context)?) {
        let path = recorded(&group.path)?;
        match found {
            Ok(found) => {
                let stand_in = found.stand_ins.first().map(|(inside, what)| {
                    let inside =
                        if inside.is_empty() { String::new() } else { format!("/{inside}") };
                    format!("{path}{inside} is {what}, not the real file")
                });
                if let Some(detail) = stand_in {
                    scan.findings.push(Finding::problem("stand-in", &path, detail));
                    continue;
                }
                let files = &listing.files;
                scan.artifacts.push(artifact(&folder, path, group, &found, files, &groups)?);
            }
            Err(error) => {
                scan.findings.push(Finding::problem("unfit", &path, error.to_string()));
            }
        }
    }
    for file in &listing.files {
        let name = words::last_part(&file.path);
        let inside_artifact = groups.iter().any(|group| {
            file.path.strip_prefix(&group.path).is_some_and(|rest| rest.starts_with('/'))
        });
        let small = file.size_bytes <= POINTER_BYTES_MAX;
        if small && words::is_pointer_file(name) && !inside_artifact {
            let content = files::read_small(&folder.join(&file.path), POINTER_BYTES_MAX)?;
            let path = recorded(&file.path)?;
            scan.pointers.extend(content.map(|content| FoundPointer { path, content }));
        }
    }
    for (path, target) in listing.links {
        let full = folder.join(&path);
        let target = files::parent(&full).join(target);
        let path = recorded(&path)?;
        let target = layout.recorded_by_name(&layout::slashed(&target)?);
        scan.links.push(FoundLink { path, target });
    }
    Ok(scan)
}

fn list(
    folder: &Path,
    inside: &str,
    depth: usize,
    listing: &mut Listing,
) -> Result<(), TakeoverError> {
    for entry in fs::read_dir(folder).map_err(FileError::io("list", folder))? {
        let entry = entry.map_err(FileError::io("list", folder))?;
        listing.entries += 1;
        if listing.entries > ENTRIES_MAX {
            let path = folder.display().to_string();
            return Err(TakeoverError::TooMany { path, limit: ENTRIES_MAX });
        }
        let path = entry.path();
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
            let shown = path.to_string_lossy().into_owned();
            let detail = "its name is not valid UTF-8; it was not looked at".to_owned();
            listing.findings.push(Finding::problem("not-utf8", &shown, detail));
            continue;
        };
        if name.starts_with('.') {
            continue;
        }
        let relative = if inside.is_empty() { name.clone() } else { format!("{inside}/{name}") };
        let metadata = path.symlink_metadata().map_err(FileError::io("inspect", &path))?;
        if metadata.is_symlink() {
            let target = fs::read_link(&path).map_err(FileError::io("read", &path))?;
            listing.links.push((relative, target));
        } else if metadata.is_dir() {
            if depth < DEPTH_MAX && !SKIPPED.contains(&name.as_str()) {
                list(&path, &relative, depth + 1, listing)?;
            }
        } else if metadata.is_file() {
            let since = metadata
                .modified()
                .ok()
                .and_then(|time| time.duration_since(std::time::SystemTime::UNIX_EPOCH).ok());
            let modified_us = since.and_then(|since| i64::try_from(since.as_micros()).ok());
            listing.files.push(Listed {
                path: relative,
                size_bytes: metadata.len(),
                modified_us: modified_us.unwrap_or(0),
            });
        }
    }
    Ok(())
}

type Hashed = Result<Fingerprint, FingerprintError>;

/// One artifact at a time, so that one that cannot be recorded does not hide the others.
fn hash(
    folder: &Path,
    layout: &Layout,
    groups: &[Group],
    registry: Option<&Registry>,
    context: &Context<'_>,
) -> Result<Vec<Hashed>, TakeoverError> {
    let mut found = Vec::new();
    for group in groups {
        let path = folder.join(&group.path);
        let recorded = layout.recorded(&path)?;
        let hashed = match registry {
            None => fingerprint::fingerprint(&[Input::new(&path)], context.observer),
            Some(registry) => registry.read(|reader| {
                let own = |bytes: &[u8]| lookup::is_own_metadata(reader, &recorded, bytes);
                let input = Input { own_file: Some(&own), ..Input::new(&path) };
                Ok::<_, TakeoverError>(fingerprint::fingerprint(&[input], context.observer))
            })?,
        };
        match hashed.map(|mut one| one.remove(0)) {
            Err(
                error @ (FingerprintError::Directory { .. } | FingerprintError::NotRegular { .. }),
            ) => {
                found.push(Err(error));
            }
            Err(error) => return Err(error.into()),
            Ok(one) => found.push(Ok(one)),
        }
    }
    Ok(found)
}

fn artifact(
    folder: &Path,
    path: String,
    group: &Group,
    found: &Fingerprint,
    files: &[Listed],
    groups: &[Group],
) -> Result<FoundArtifact, TakeoverError> {
    let digest = |inside: &str| {
        let manifest = found.manifest.as_ref()?;
        manifest.files.iter().find(|file| file.path == inside).map(|file| file.sha256)
    };
    let models = group.models.iter().filter_map(|model| {
        let inside = within(group, model)?;
        match group.kind {
            Kind::File => Some((String::new(), found.sha256)),
            Kind::Directory => Some((inside.to_owned(), digest(inside)?)),
        }
    });
    let modified = files
        .iter()
        .filter(|file| group.models.contains(&file.path))
        .map(|file| file.modified_us)
        .max()
        .and_then(Timestamp::from_unix_microseconds);
    let mut texts = Vec::new();
    for file in files {
        if texts.len() < TEXTS_MAX
            && file.size_bytes <= TEXT_BYTES_MAX
            && describes(group, file, groups)
        {
            let content = files::read_small(&folder.join(&file.path), TEXT_BYTES_MAX)?;
            let name = match group.kind {
                Kind::Directory => within(group, &file.path).unwrap_or(&file.path).to_owned(),
                Kind::File => words::last_part(&file.path).to_owned(),
            };
            texts.extend(content.map(|content| (name, content)));
        }
    }
    Ok(FoundArtifact {
        path,
        kind: found.kind,
        sha256: found.sha256,
        size_bytes: found.size_bytes,
        files: found.files(),
        models: models.collect(),
        modified,
        texts,
    })
}

/// The path of a file within a group.
fn within<'a>(group: &Group, file: &'a str) -> Option<&'a str> {
    file.strip_prefix(&group.path).map(|rest| rest.trim_start_matches('/'))
}

/// Whether a small file describes an artifact: it lies in its folder; of a model file, it lies beside
/// it and is named after it, or there is no other model that it could describe.
fn describes(group: &Group, file: &Listed, groups: &[Group]) -> bool {
    let (_, ending) = words::split_ending(&file.path);
    if group.models.contains(&file.path)
        || (ending != "json" && !claims::is_feature_list(&file.path))
    {
        return false;
    }
    let folder = |path: &str| path.rsplit_once('/').map_or(String::new(), |(f, _)| f.to_owned());
    if group.kind == Kind::Directory {
        return file.path.strip_prefix(&group.path).is_some_and(|rest| rest.starts_with('/'));
    }
    if folder(&file.path) != folder(&group.path) {
        return false;
    }
    let name = words::last_part(&file.path);
    let stem = words::split_ending(words::last_part(&group.path)).0;
    let named_after = name
        .strip_prefix(stem)
        .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()));
    let only =
        groups.iter().filter(|other| folder(&other.path) == folder(&group.path)).count() == 1;
    let pointer = words::is_pointer_file(name);
    named_after || (only && !pointer && claims::speaks_of_a_model(name))
}
