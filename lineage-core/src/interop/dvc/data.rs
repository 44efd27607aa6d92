//! Where the bytes are that a DVC file gives the MD5 of.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use md5::{Digest as _, Md5};
use serde::Deserialize;

use super::super::yaml::Node;
use crate::context::Observer;
use crate::digest::Sha256;
use crate::files::{self, FileError};
use crate::fingerprint::{self, FingerprintError, Manifest, ManifestFile};
use crate::takeover::TakeoverError;

/// What was found of an output or dependency.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Found {
    /// The file or folder, in the workspace or the cache, with the bytes that the MD5 is of.
    At(PathBuf),
    /// A folder whose files are in the cache, with the digest that it has as a whole.
    Cached { sha256: Sha256, size_bytes: u64, files: u64 },
    /// Nothing, and why.
    Missing(String),
    /// Nothing that has an MD5.
    Unclaimed,
}

/// The folders that data may be in.
pub(super) struct Data<'a> {
    pub(super) caches: Vec<PathBuf>,
    pub(super) observer: &'a dyn Observer,
}

#[derive(Deserialize)]
struct Listed {
    md5: String,
    relpath: String,
}

const LISTING_BYTES_MAX: u64 = 256 * 1024 * 1024;

impl Data<'_> {
    /// Looks for the data of an entry of `outs` or `deps` whose paths are relative to `folder`.
    pub(super) fn find(&self, entry: &Node, folder: &Path) -> Result<Found, TakeoverError> {
        let (Some(md5), Some(path)) = (entry.text_of("md5"), entry.text_of("path")) else {
            return Ok(Found::Unclaimed);
        };
        let (hex, directory) = match md5.strip_suffix(".dir") {
            Some(hex) => (hex, true),
            None => (md5, false),
        };
        if hex.len() != 32 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Found::Missing(format!("\"{md5}\" is no MD5")));
        }
        if path.starts_with('/') || path.contains(':') || path.split('/').any(|part| part == "..") {
            return Ok(Found::Missing("it lies outside the folder".to_owned()));
        }
        let there = folder.join(path);
        // Before version 3 DVC took the MD5 of text files with line feeds alone.
        let old = entry.get("hash").is_none();
        let cached = self.cached(&hex.to_lowercase(), if directory { ".dir" } else { "" });
        match directory {
            false if there.is_file() && self.has_md5(&there, hex, old)? => Ok(Found::At(there)),
            false => match cached {
                Some(cached) if self.has_md5(&cached, hex, false)? => Ok(Found::At(cached)),
                _ if there.exists() => {
                    Ok(Found::Missing("the workspace holds other bytes, the cache none".to_owned()))
                }
                _ => Ok(Found::Missing("neither the workspace nor the cache has it".to_owned())),
            },
            true => {
                let Some(cached) = cached else {
                    return Ok(Found::Missing("the cache lacks the list of its files".to_owned()));
                };
                self.directory(&there, &cached, hex)
            }
        }
    }

    fn directory(&self, there: &Path, list: &Path, hex: &str) -> Result<Found, TakeoverError> {
        let missing = |why: String| Ok(Found::Missing(why));
        if !self.has_md5(list, hex, false)? {
            return missing("the list of its files in the cache is damaged".to_owned());
        }
        let bytes = files::read_small(list, LISTING_BYTES_MAX)?.unwrap_or_default();
        let Ok(listed) = serde_json::from_slice::<Vec<Listed>>(&bytes) else {
            return missing("the list of its files in the cache cannot be read".to_owned());
        };
        let listed: BTreeMap<String, String> =
            listed.into_iter().map(|file| (file.relpath, file.md5)).collect();
        if there.is_dir() && self.matches(there, &listed)? {
            return Ok(Found::At(there.to_owned()));
        }
        let mut manifest = Manifest { excludes: Vec::new(), files: Vec::new() };
        for (path, md5) in &listed {
            let hex = md5.len() == 32 && md5.bytes().all(|byte| byte.is_ascii_hexdigit());
            let file = if hex { self.cached(&md5.to_lowercase(), "") } else { None };
            let Some(file) = file else { return missing(format!("the cache lacks {path}")) };
            if !self.has_md5(&file, md5, false)? {
                return missing(format!("the cache's copy of {path} is damaged"));
            }
            let read = fingerprint::hash_file(&file, self.observer).map_err(fingerprinted)?;
            let (sha256, size_bytes) = (read.sha256, read.size_bytes);
            manifest.files.push(ManifestFile { path: path.clone(), sha256, size_bytes });
        }
        manifest.files.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
        Ok(Found::Cached {
            sha256: Sha256::of(&manifest.to_bytes()),
            size_bytes: manifest.files.iter().map(|file| file.size_bytes).sum(),
            files: manifest.files.len() as u64,
        })
    }

    /// Whether a folder holds exactly the files that a list names.
    fn matches(
        &self,
        folder: &Path,
        listed: &BTreeMap<String, String>,
    ) -> Result<bool, TakeoverError> {
        let mut folders = vec![(folder.to_owned(), String::new())];
        let mut seen = 0;
        while let Some((folder, prefix)) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(FileError::io("list", &folder))? {
                let entry = entry.map_err(FileError::io("list", &folder))?;
                let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                    return Ok(false);
                };
                let (path, relative) = (entry.path(), format!("{prefix}{name}"));
                if path.is_dir() {
                    folders.push((path, format!("{relative}/")));
                    continue;
                }
                let Some(md5) = listed.get(&relative) else { return Ok(false) };
                if !self.has_md5(&path, md5, false)? {
                    return Ok(false);
                }
                seen += 1;
            }
        }
        Ok(seen == listed.len())
    }

    fn cached(&self, hex: &str, ending: &str) -> Option<PathBuf> {
        let (first, rest) = hex.split_at_checked(2)?;
        let name = format!("{rest}{ending}");
        let places = self
            .caches
            .iter()
            .flat_map(|cache| [cache.join("files").join("md5").join(first), cache.join(first)]);
        places.map(|folder| folder.join(&name)).find(|path| path.is_file())
    }

    fn has_md5(&self, path: &Path, hex: &str, text: bool) -> Result<bool, TakeoverError> {
        let mut file = File::open(path).map_err(FileError::io("read", path))?;
        let (mut plain, mut unix) = (Md5::new(), Md5::new());
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = file.read(&mut buffer).map_err(FileError::io("read", path))?;
            if read == 0 {
                break;
            }
            self.observer.read_bytes(read as u64);
            plain.update(&buffer[..read]);
            if text {
                let without: Vec<u8> =
                    buffer[..read].iter().copied().filter(|byte| *byte != b'\r').collect();
                unix.update(&without);
            }
        }
        let is = |digest: Md5| hex::encode(digest.finalize()).eq_ignore_ascii_case(hex);
        Ok(is(plain) || (text && is(unix)))
    }
}

fn fingerprinted(error: FingerprintError) -> TakeoverError {
    match error {
        FingerprintError::File(error) => error.into(),
        other => TakeoverError::Fingerprint(other),
    }
}
