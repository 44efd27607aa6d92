//! Where and with what a session ran: `lineage.environment/1` (`docs/formats/environment.md`). Gathered by
//! whoever runs the training; every part that could not be captured says why.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::canonical::{self, CanonicalError};
use crate::digest::Sha256;
use crate::events::Code;

/// The name and version of the document.
pub const SCHEMA: &str = "lineage.environment/1";

/// What was found out about one thing, or why nothing was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Part<T> {
    /// It could not be captured.
    Unavailable {
        /// Why, in a sentence.
        unavailable: String,
    },
    /// As found.
    Known(T),
}

impl<T> Part<T> {
    /// A part that could not be captured.
    pub fn unavailable(reason: impl Into<String>) -> Part<T> {
        Part::Unavailable { unavailable: reason.into() }
    }

    /// What was found.
    pub fn known(&self) -> Option<&T> {
        match self {
            Part::Known(value) => Some(value),
            Part::Unavailable { .. } => None,
        }
    }

    /// Why nothing was found.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Part::Known(_) => None,
            Part::Unavailable { unavailable } => Some(unavailable),
        }
    }
}

impl<T> From<Result<T, String>> for Part<T> {
    fn from(found: Result<T, String>) -> Part<T> {
        found.map_or_else(Part::unavailable, Part::Known)
    }
}

/// Everything that was captured beside the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The machine's name.
    pub host: Part<String>,
    /// The operating system.
    pub system: Part<System>,
    /// The processor.
    pub cpu: Part<Cpu>,
    /// Memory of the machine in bytes.
    pub memory_bytes: Part<u64>,
    /// Graphics processors.
    pub gpus: Part<Vec<Gpu>>,
    /// The container's id; none when there is no container.
    pub container: Option<Part<String>>,
    /// How git was asked. What it said of the code is in the entry.
    pub git: Part<Git>,
    /// The Python environment.
    pub python: Part<Python>,
    /// Packages of the conda environment.
    pub conda: Part<Vec<CondaPackage>>,
    /// R.
    pub r: Part<R>,
    /// Files beside the project that fix versions of packages.
    pub locks: Vec<Lock>,
    /// The command line that was run, without secrets.
    pub command: Part<Vec<String>>,
}

/// The operating system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    /// `linux`, `macos`, `windows`, …
    pub os: String,
    /// The distribution and its version, where it says.
    pub name: Option<String>,
    /// The kernel's release, where it says.
    pub kernel: Option<String>,
    /// `x86_64`, `aarch64`, …
    pub architecture: String,
}

/// The processor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cpu {
    /// What it calls itself, where it says.
    pub model: Option<String>,
    /// How many threads the process could run at a time.
    pub threads: u64,
}

/// A graphics processor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "said by the names")]
pub struct Gpu {
    pub name: String,
    /// As its driver says, e.g. `81559 MiB`.
    pub memory: String,
    pub driver: String,
}

/// How git was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    /// Files of the commit that differ from it.
    pub changed: u64,
    /// Files that are neither in the commit nor ignored.
    pub untracked: u64,
    /// Why the difference has no digest, although there is one.
    pub problem: Option<String>,
}

/// A Python environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Python {
    /// `CPython`, `PyPy`, …
    pub implementation: String,
    /// E.g. `3.12.4`.
    pub version: String,
    /// Installed distributions, sorted by name.
    pub packages: Vec<Package>,
}

/// An installed distribution.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    /// Normalised as PEP 503 says.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A package of a conda environment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "said by the names")]
pub struct CondaPackage {
    pub name: String,
    pub version: String,
    pub build: String,
}

/// R and its packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct R {
    /// E.g. `4.4.1`.
    pub version: String,
    /// Installed packages, sorted by name.
    pub packages: Vec<Package>,
}

/// A file that fixes versions of packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Its name.
    pub name: String,
    /// The digest of its bytes.
    pub sha256: Part<Sha256>,
}

/// What was captured of a session, for whatever records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// The environment.
    pub environment: Environment,
    /// The code, as git tells it.
    pub code: Option<Code>,
    /// The bytes of `code.patch`.
    pub patch: Option<Vec<u8>>,
}

impl Environment {
    /// The document's bytes, in canonical JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        let mut document = serde_json::to_value(self)?;
        if let Some(fields) = document.as_object_mut() {
            fields.insert("schema".to_owned(), SCHEMA.into());
        }
        canonical::to_bytes(&document)
    }

    /// Reads a document; none when the bytes are not one.
    pub fn parse(bytes: &[u8]) -> Option<Environment> {
        let document = canonical::parse(bytes).ok()?;
        (document["schema"] == SCHEMA).then_some(())?;
        serde_json::from_value(document).ok()
    }
}

/// Packages that differ: name, and the versions on both sides.
pub fn changed_packages<'a>(
    left: &'a [Package],
    right: &'a [Package],
) -> Vec<(&'a str, Option<&'a str>, Option<&'a str>)> {
    let mut pairs: BTreeMap<&str, (Option<&str>, Option<&str>)> = BTreeMap::new();
    for package in left {
        pairs.entry(&package.name).or_default().0 = Some(&package.version);
    }
    for package in right {
        pairs.entry(&package.name).or_default().1 = Some(&package.version);
    }
    let differing = pairs.into_iter().filter(|(_, (left, right))| left != right);
    differing.map(|(name, (left, right))| (name, left, right)).collect()
}
