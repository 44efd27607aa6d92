//! Where things lie: the project root, the registry folder `.lineage/` in it, and every path inside.

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::digest::Sha256;
use crate::files::FileError;

/// The name of the registry folder.
pub const REGISTRY_FOLDER: &str = ".lineage";

/// A path could not be placed.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// There is no registry where one was looked for.
    #[error("there is no lineage registry in {start} or in any folder above it", start = start.display())]
    NoRegistry {
        /// Where the search began.
        start: PathBuf,
    },
    /// A folder was named as the registry but holds none.
    #[error("{path} holds no lineage registry", path = path.display())]
    NotARegistry {
        /// The folder named.
        path: PathBuf,
    },
    /// Names in the registry are UTF-8; this path is not.
    #[error("the path {path} is not valid UTF-8", path = path.display())]
    NotUtf8 {
        /// The path, shown with replacement characters.
        path: PathBuf,
    },
    /// The path could not be resolved.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The two folders that everything else is relative to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
    registry: PathBuf,
}

impl Layout {
    /// Finds the nearest registry in `start` or above it.
    pub fn find(start: &Path) -> Result<Layout, LayoutError> {
        let start = canonicalize(start)?;
        slashed(&start)?;
        start
            .ancestors()
            .find(|folder| folder.join(REGISTRY_FOLDER).join("registry.db").exists())
            .map(|root| Layout::new(root.to_owned(), root.join(REGISTRY_FOLDER)))
            .ok_or(LayoutError::NoRegistry { start })
    }

    /// The registry at `path`: either the registry folder itself or the project root that holds it.
    pub fn at(path: &Path) -> Result<Layout, LayoutError> {
        let missing = || LayoutError::NotARegistry { path: path.to_owned() };
        let found = canonicalize(path).map_err(|_| missing())?;
        slashed(&found)?;
        if found.join(REGISTRY_FOLDER).join("registry.db").exists() {
            return Ok(Layout::new(found.clone(), found.join(REGISTRY_FOLDER)));
        }
        match found.parent() {
            Some(root) if found.join("registry.db").exists() => {
                Ok(Layout::new(root.to_owned(), found.clone()))
            }
            _ => Err(missing()),
        }
    }

    /// Where a registry would be made for `path`, the project root or the `.lineage` folder in it.
    pub fn planned(path: &Path) -> Result<Layout, LayoutError> {
        slashed(&canonicalize(path).unwrap_or_else(|_| path.to_owned()))?;
        if path.file_name().is_some_and(|name| name == REGISTRY_FOLDER) {
            let root = canonicalize(crate::files::parent(path))?;
            return Ok(Layout::new(root.clone(), root.join(REGISTRY_FOLDER)));
        }
        let root = canonicalize(path)?;
        Ok(Layout::new(root.clone(), root.join(REGISTRY_FOLDER)))
    }

    fn new(root: PathBuf, registry: PathBuf) -> Layout {
        Layout { root, registry }
    }

    /// The project root: recorded relative paths start here.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The registry folder.
    pub fn registry(&self) -> &Path {
        &self.registry
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.registry.join("registry.db")
    }

    /// Settings and policy, beside the registry and under version control.
    pub fn settings(&self) -> PathBuf {
        self.root.join("lineage.toml")
    }

    /// The folder of stored bytes.
    pub fn objects(&self) -> PathBuf {
        self.registry.join("objects")
    }

    /// The stored bytes with this digest.
    pub fn object(&self, digest: &Sha256) -> PathBuf {
        self.objects().join(digest.to_string())
    }

    /// The folder that holds materialised copies of one artifact.
    pub fn checkout(&self, digest: &Sha256) -> PathBuf {
        self.registry.join("checkouts").join(digest.to_string())
    }

    /// Where files lie while they are written.
    pub fn temporaries(&self) -> PathBuf {
        self.registry.join("tmp")
    }

    /// Sessions that could not be recorded when they ended.
    pub fn spool(&self) -> PathBuf {
        self.registry.join("spool")
    }

    /// Digests of files that were read before.
    pub fn cache(&self) -> PathBuf {
        self.registry.join("cache.db")
    }

    /// Copies of the database made before an upgrade.
    pub fn backups(&self) -> PathBuf {
        self.registry.join("backups")
    }

    /// Held shared by every process that has temporaries or a `metadata.json` still to place;
    /// whoever gets it exclusively may clean up after the dead.
    pub fn in_flight_lock(&self) -> PathBuf {
        self.registry.join("in-flight.lock")
    }

    /// Held exclusively from before a pointer's transaction until its file is in place.
    pub fn files_lock(&self) -> PathBuf {
        self.registry.join("files.lock")
    }

    /// How `path`, which must exist, is written in the registry: relative to the project root with
    /// `/`, or absolute when it lies outside. A symlink that is the named path itself is kept.
    pub fn recorded(&self, path: &Path) -> Result<String, LayoutError> {
        let absolute = resolve(path)?;
        Ok(match absolute.strip_prefix(&self.root) {
            Ok(inside) if inside.as_os_str().is_empty() => ".".to_owned(),
            Ok(inside) => slashed(inside)?,
            Err(_) => slashed(&absolute)?,
        })
    }

    /// The path on this machine of a path as recorded.
    pub fn absolute(&self, recorded: &str) -> PathBuf {
        self.root.join(recorded)
    }

    /// As [`Layout::recorded`], by the path's name alone: nothing needs to exist.
    pub fn recorded_by_name(&self, path: &str) -> String {
        let parts = plain_components(&self.absolute(path));
        let root = plain_components(&self.root);
        match parts.strip_prefix(root.as_slice()) {
            Some([]) => ".".to_owned(),
            Some(inside) => inside.join("/"),
            None => format!("/{}", parts.join("/")),
        }
    }

    /// `target` (recorded form) as seen from `folder` (recorded form), with `/` and `..`.
    pub fn relative_from(&self, folder: &str, target: &str) -> String {
        let from = self.absolute(folder);
        let to = self.absolute(target);
        let mut from_parts = plain_components(&from).into_iter().peekable();
        let mut to_parts = plain_components(&to).into_iter().peekable();
        while let (Some(a), Some(b)) = (from_parts.peek(), to_parts.peek()) {
            if a != b {
                break;
            }
            from_parts.next();
            to_parts.next();
        }
        let parts: Vec<String> = from_parts.map(|_| "..".to_owned()).chain(to_parts).collect();
        if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
    }
}

/// The components of a path with `.` left out and `..` resolved by name alone.
fn plain_components(path: &Path) -> Vec<String> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir => {
                parts.pop();
            }
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::Prefix(prefix) => {
                parts.push(prefix.as_os_str().to_string_lossy().into_owned());
            }
        }
    }
    parts
}

/// The absolute path with links resolved in its folders, but not in its last part.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf, FileError> {
    match path.file_name() {
        Some(name) => Ok(canonicalize(crate::files::parent(path))?.join(name)),
        None => canonicalize(path),
    }
}

fn canonicalize(path: &Path) -> Result<PathBuf, FileError> {
    fs::canonicalize(path).map_err(FileError::io("find", path))
}

/// A path in UTF-8 with `/` between its parts.
pub fn slashed(path: &Path) -> Result<String, LayoutError> {
    let text = path.to_str().ok_or_else(|| LayoutError::NotUtf8 { path: path.to_owned() })?;
    Ok(if std::path::MAIN_SEPARATOR == '/' { text.to_owned() } else { text.replace('\\', "/") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_climb_out_of_the_folder_they_start_from() {
        let layout = Layout::new("/p".into(), "/p/.lineage".into());
        let check = |from: &str, to: &str, expected: &str| {
            assert_eq!(layout.relative_from(from, to), expected);
        };
        check(".", "models/a", "models/a");
        check("models", "models/a", "a");
        check("models/deep", "models/a", "../a");
        check("models", "/data/a", "../../data/a");
        check("models", "models", ".");
    }
}
