//! Files beside a project that fix the versions of packages.

use std::fs;
use std::path::Path;

use lineage_core::digest::Sha256;
use lineage_core::environment::{Lock, Part};

const NAMES: [&str; 19] = [
    "Cargo.lock",
    "Manifest.toml",
    "Pipfile.lock",
    "conda-lock.yml",
    "environment.yaml",
    "environment.yml",
    "flake.lock",
    "go.sum",
    "gradle.lockfile",
    "package-lock.json",
    "packrat.lock",
    "pdm.lock",
    "pixi.lock",
    "pnpm-lock.yaml",
    "poetry.lock",
    "pylock.toml",
    "renv.lock",
    "uv.lock",
    "yarn.lock",
];
/// A lock file is text; what is larger than this is none.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Entries of a folder beyond this are not looked at for `requirements*.txt`.
const ENTRIES_MAX: usize = 10_000;

/// The lock files in a folder, sorted by name.
pub(super) fn beside(folder: &Path) -> Vec<Lock> {
    let mut names: Vec<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().take(ENTRIES_MAX);
    names.extend(entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        (name.starts_with("requirements") && name.ends_with(".txt")).then_some(name)
    }));
    names.sort();
    names.into_iter().filter_map(|name| lock(folder, name)).collect()
}

fn lock(folder: &Path, name: String) -> Option<Lock> {
    let path = folder.join(&name);
    let size = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?.len();
    let sha256 = if size > BYTES_MAX {
        Part::unavailable("it is too large for a lock file")
    } else {
        let bytes = fs::read(&path).map_err(|_| "it could not be read".to_owned());
        bytes.map(|bytes| Sha256::of(&bytes)).into()
    };
    Some(Lock { name, sha256 })
}
