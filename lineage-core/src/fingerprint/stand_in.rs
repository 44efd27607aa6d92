//! Files that are committed or copied in place of the real ones: Git LFS pointers and DVC files.

use std::fmt;

/// A small text file that names the real object instead of being it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StandIn {
    /// A Git LFS pointer (git-lfs specification v1): the SHA-256 of the real object, if it gives one.
    GitLfs {
        /// `sha256:…` as written in the pointer.
        oid: Option<String>,
    },
    /// A DVC file: the path of the real object, if it gives one.
    Dvc {
        /// The output's path as written in the file.
        path: Option<String>,
    },
}

/// Stand-ins are short; a longer file is never looked at.
pub(super) const STAND_IN_BYTES_MAX: usize = 4096;

impl StandIn {
    /// Looks for a stand-in in a whole file of at most [`STAND_IN_BYTES_MAX`] bytes.
    pub(super) fn detect(content: &[u8]) -> Option<StandIn> {
        let text = std::str::from_utf8(content).ok()?;
        let value = |key: &str| {
            text.lines()
                .map(|line| line.trim_start_matches([' ', '-']))
                .find_map(|line| line.strip_prefix(key))
                .map(|rest| rest.trim().chars().take(200).collect::<String>())
        };
        if text.starts_with("version https://git-lfs.github.com/spec/") {
            return Some(StandIn::GitLfs { oid: value("oid ") });
        }
        let dvc = text.lines().any(|line| line.trim_end() == "outs:") && value("md5:").is_some();
        dvc.then(|| StandIn::Dvc { path: value("path:") })
    }
}

impl fmt::Display for StandIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StandIn::GitLfs { oid: Some(oid) } => write!(f, "a Git LFS pointer to {oid}"),
            StandIn::GitLfs { oid: None } => f.write_str("a Git LFS pointer"),
            StandIn::Dvc { path: Some(path) } => write!(f, "a DVC file that stands for {path}"),
            StandIn::Dvc { path: None } => f.write_str("a DVC file"),
        }
    }
}
