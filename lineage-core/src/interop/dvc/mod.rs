//! From DVC's files: each `.dvc` file and each stage of a `dvc.lock` becomes a session. Everything that
//! stands in them is kept as claimed facts, MD5s included; what the workspace or the cache holds with
//! that MD5 is hashed and recorded as data, or as the artifact when it is a model.

mod data;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::import::{Importer, Piece, shown};
use super::model_name;
use super::report::{Count, ImportReport, ImportedVersion};
use super::yaml::{self, Node};
use crate::adopt;
use crate::context::Context;
use crate::events::{Claims, Parameter, ParameterType};
use crate::files::{self, FileError};
use crate::names::ModelName;
use crate::record::{DatasetRequest, RecordRequest, metrics_from_json};
use crate::settings::Settings;
use crate::store::Registry;
use crate::takeover::TakeoverError;

use self::data::{Data, Found};

/// What to import.
#[derive(Debug, Clone)]
pub struct DvcRequest {
    /// The folder with DVC's files.
    pub folder: PathBuf,
    /// Look, count, write nothing.
    pub dry_run: bool,
}

const YAML_BYTES_MAX: u64 = 16 * 1024 * 1024;
const ENTRIES_MAX: usize = 200_000;

/// Imports all `.dvc` files and `dvc.lock` files of a folder.
pub fn import(
    registry: &mut Registry,
    settings: &Settings,
    request: &DvcRequest,
    context: &Context<'_>,
) -> Result<ImportReport, TakeoverError> {
    let folder =
        fs::canonicalize(&request.folder).map_err(FileError::io("find", &request.folder))?;
    let mut found = Vec::new();
    list(&folder, "", &mut found, &mut 0)?;
    found.sort();
    if found.is_empty() {
        let path = shown(&request.folder);
        return Err(TakeoverError::NotASource {
            path,
            expected: "a folder with .dvc files or a dvc.lock",
        });
    }
    let report = ImportReport {
        source: shown(&request.folder),
        dry_run: request.dry_run,
        ..ImportReport::default()
    };
    let mut importer = Importer { registry, settings, context, report };
    let caches = folder.ancestors().map(|above| above.join(".dvc").join("cache")).collect();
    let data = Data { caches, observer: context.observer };
    let mut counts = Totals::default();
    for name in &found {
        let path = folder.join(name);
        let bytes = files::read_small(&path, YAML_BYTES_MAX)?.unwrap_or_default();
        let parsed = match String::from_utf8(bytes) {
            Ok(text) => yaml::parse(text.trim_start_matches('\u{feff}')),
            Err(_) => Err("it is not valid UTF-8".to_owned()),
        };
        let node = match parsed {
            Ok(node) => node,
            Err(problem) => {
                counts.files += 1;
                importer.problem(name, format!("it was not read: {problem}"));
                continue;
            }
        };
        counts.files += 1;
        counts.files_done += 1;
        let base = path.parent().unwrap_or(&folder).to_owned();
        let described = described(&base)?;
        let artifacts = artifacts(described.as_ref());
        if name.ends_with(".dvc") {
            let wdir = node.text_of("wdir").unwrap_or(".");
            let stage = Stage { file: name, name: None, node: &node, folder: base.join(wdir) };
            stage.import(&mut importer, &data, &artifacts, &mut counts)?;
            continue;
        }
        let stages = node.get("stages").map(Node::members).unwrap_or_default();
        for (stage, entry) in stages {
            let own = described.as_ref().and_then(|d| d.get("stages")?.get(stage)?.text_of("wdir"));
            let folder = base.join(own.unwrap_or("."));
            let stage = Stage { file: name, name: Some(stage), node: entry, folder };
            stage.import(&mut importer, &data, &artifacts, &mut counts)?;
        }
    }
    importer.report.counts = counts.counts();
    Ok(importer.report)
}

/// The file or folder that the `.dvc` file of `path` stands for, with the bytes that it says.
pub(super) fn tracked(
    folder: &Path,
    path: &str,
    context: &Context<'_>,
) -> Result<Option<PathBuf>, TakeoverError> {
    let file = folder.join(format!("{path}.dvc"));
    let bytes = files::read_small(&file, YAML_BYTES_MAX)?.unwrap_or_default();
    let Ok(node) = yaml::parse(&String::from_utf8_lossy(&bytes)) else { return Ok(None) };
    let folder = fs::canonicalize(folder).map_err(FileError::io("find", folder))?;
    let caches = folder.ancestors().map(|above| above.join(".dvc").join("cache")).collect();
    let data = Data { caches, observer: context.observer };
    let [only] = node.get("outs").map(Node::items).unwrap_or_default() else { return Ok(None) };
    let base = file.parent().unwrap_or(&folder).join(node.text_of("wdir").unwrap_or("."));
    Ok(match data.find(only, &base)? {
        Found::At(path) => Some(path),
        _ => None,
    })
}

fn list(
    folder: &Path,
    prefix: &str,
    found: &mut Vec<String>,
    entries: &mut usize,
) -> Result<(), TakeoverError> {
    for entry in fs::read_dir(folder).map_err(FileError::io("list", folder))? {
        let entry = entry.map_err(FileError::io("list", folder))?;
        *entries += 1;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        let kind = entry.file_type().map_err(FileError::io("inspect", &entry.path()))?;
        if name.starts_with('.') || *entries > ENTRIES_MAX {
            continue;
        }
        if kind.is_dir() && prefix.matches('/').count() < 32 {
            list(&entry.path(), &format!("{prefix}{name}/"), found, entries)?;
        } else if kind.is_file() && (name.ends_with(".dvc") || name == "dvc.lock") {
            found.push(format!("{prefix}{name}"));
        }
    }
    Ok(())
}

/// The `dvc.yaml` beside a `dvc.lock`, if it can be read.
fn described(folder: &Path) -> Result<Option<Node>, TakeoverError> {
    let bytes = files::read_small(&folder.join("dvc.yaml"), YAML_BYTES_MAX)?;
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    Ok(text.and_then(|text| yaml::parse(&text).ok()))
}

/// The names that a `dvc.yaml` gives to paths.
fn artifacts(described: Option<&Node>) -> BTreeMap<String, String> {
    let named = described.and_then(|node| node.get("artifacts")).map(Node::members);
    let path =
        |(name, node): &(String, Node)| Some((node.text_of("path")?.to_owned(), name.clone()));
    named.unwrap_or_default().iter().filter_map(path).collect()
}

/// A `.dvc` file, or a stage of a `dvc.lock`.
struct Stage<'a> {
    file: &'a str,
    name: Option<&'a str>,
    node: &'a Node,
    folder: PathBuf,
}

/// An entry of `outs` or `deps`, and what was found of it.
struct Item<'a> {
    list: &'static str,
    index: usize,
    path: &'a str,
    found: Found,
}

impl Stage<'_> {
    fn import(
        &self,
        importer: &mut Importer<'_, '_>,
        data: &Data<'_>,
        artifacts: &BTreeMap<String, String>,
        counts: &mut Totals,
    ) -> Result<(), TakeoverError> {
        let subject =
            self.name.map_or(self.file.to_owned(), |name| format!("{}: {name}", self.file));
        let mut items = Vec::new();
        for list in ["deps", "outs"] {
            let entries = self.node.get(list).map(Node::items).unwrap_or_default();
            for (index, entry) in entries.iter().enumerate() {
                let found = data.find(entry, &self.folder)?;
                let path = entry.text_of("path").unwrap_or_default();
                items.push(Item { list, index, path, found });
            }
        }
        let models: Vec<&Item<'_>> = items
            .iter()
            .filter(|item| item.list == "outs")
            .filter(|item| artifacts.contains_key(item.path) || adopt::is_model_path(item.path))
            .collect();
        let model = match models.as_slice() {
            [only] => Some(*only),
            _ => None,
        };
        let name = self.model(model.map(|item| item.path), artifacts);
        let mut request = RecordRequest::new(name);
        let mut facts = BTreeMap::new();
        self.node.flatten("", &mut facts);
        counts.facts += self.node.leaves();
        counts.facts_done += facts.len() as u64;
        facts.insert("dvc".to_owned(), self.file.to_owned());
        facts.extend(self.name.map(|name| ("stage".to_owned(), name.to_owned())));
        for item in &items {
            let is_model = model.is_some_and(|model| std::ptr::eq(model, item));
            counts.add(&item.found);
            if let Some(why) = take(item, is_model, &mut request, &mut facts) {
                importer.problem(&subject, format!("{}: {why}; its MD5 is a claim", item.path));
            }
        }
        self.params(&mut request);
        request.claims = Some(Claims { source: "dvc".to_owned(), created: None, facts });
        let model = request.model.clone();
        let path = request.artifact.clone();
        let id = format!("dvc:{}:{}", self.file, self.name.unwrap_or_default());
        let done = importer.import(Piece::completed(subject.clone(), id, request))?;
        counts.stages += 1;
        if let Some(path) = path {
            importer.report.versions.push(ImportedVersion {
                model: model.to_string(),
                version: done.number(),
                label: None,
                original: subject,
                path: Some(shown(&path)),
            });
        }
        Ok(())
    }

    /// The model: as `dvc.yaml` calls the artifact, else after its file, else after the stage or file.
    fn model(&self, path: Option<&str>, artifacts: &BTreeMap<String, String>) -> ModelName {
        let named = path.and_then(|path| artifacts.get(path)).and_then(|name| model_name(name));
        let stem = self.file.rsplit('/').next().unwrap_or(self.file).trim_end_matches(".dvc");
        named
            .or_else(|| path.and_then(adopt::model_of_path))
            .or_else(|| model_name(self.name.unwrap_or(stem)))
            .unwrap_or_else(ModelName::imported)
    }

    /// Parameters by name; of other files than `params.yaml` with the file before it.
    fn params(&self, request: &mut RecordRequest) {
        for (file, values) in self.node.get("params").map(Node::members).unwrap_or_default() {
            let prefix = if file == "params.yaml" { String::new() } else { format!("{file}:") };
            for (name, value) in values.members() {
                let mut leaves = BTreeMap::new();
                value.flatten(&format!("{prefix}{name}"), &mut leaves);
                for (name, text) in leaves {
                    let r#type = ParameterType::of_text(&text);
                    if let Ok(name) = name.parse() {
                        request.params.push(Parameter { name, text, r#type });
                    }
                }
            }
        }
        request.params.sort_by(|a, b| a.name.cmp(&b.name));
        request.params.dedup_by(|a, b| a.name == b.name);
    }
}

/// Puts what was found of an entry into the request: as the artifact, as data, or as facts. Why nothing
/// was found, if so.
fn take<'i>(
    item: &'i Item<'_>,
    is_model: bool,
    request: &mut RecordRequest,
    facts: &mut BTreeMap<String, String>,
) -> Option<&'i str> {
    match &item.found {
        Found::At(path) if is_model => request.artifact = Some(path.clone()),
        Found::At(path) => {
            add_metrics(item, path, request);
            request.datasets.extend(dataset(item, path));
        }
        Found::Cached { sha256, size_bytes, files } => {
            let mut fact = |name: &str, text: String| {
                facts.insert(format!("{}.{}.{name}", item.list, item.index), text);
            };
            fact("sha256", sha256.to_string());
            fact("kind", "directory".to_owned());
            fact("size_bytes", size_bytes.to_string());
            fact("files", files.to_string());
        }
        Found::Missing(why) => return Some(why),
        Found::Unclaimed => {}
    }
    None
}

fn dataset(item: &Item<'_>, path: &Path) -> Option<DatasetRequest> {
    let role = if item.list == "deps" { "input" } else { "output" };
    Some(DatasetRequest {
        role: role.parse().ok()?,
        name: Some(item.path.parse().ok()?),
        path: path.to_owned(),
        transformations: Vec::new(),
        source: None,
        row_range: None,
    })
}

/// Numbers of a JSON file that a stage wrote and that is named like one of metrics.
fn add_metrics(item: &Item<'_>, path: &Path, request: &mut RecordRequest) {
    let named = item.path.to_lowercase();
    if item.list != "outs" || !named.ends_with(".json") || !named.contains("metric") {
        return;
    }
    let Ok(Some(bytes)) = files::read_small(path, YAML_BYTES_MAX) else { return };
    let Ok(found) = metrics_from_json(&bytes) else { return };
    for metric in found.metrics {
        if request.metrics.iter().all(|known| known.full_name() != metric.full_name()) {
            request.metrics.push(metric);
        }
    }
}

/// What was counted on the way.
#[derive(Default)]
struct Totals {
    files: u64,
    files_done: u64,
    stages: u64,
    facts: u64,
    facts_done: u64,
    data: u64,
    missing: u64,
}

impl Totals {
    fn add(&mut self, found: &Found) {
        match found {
            Found::At(_) | Found::Cached { .. } => self.data += 1,
            Found::Missing(_) => self.missing += 1,
            Found::Unclaimed => {}
        }
    }

    fn counts(&self) -> Vec<Count> {
        let count = |kind: &str, found, imported| Count { kind: kind.to_owned(), found, imported };
        vec![
            count("files", self.files, self.files_done),
            count("stages", self.stages, self.stages),
            count("facts", self.facts, self.facts_done),
            count("data hashed", self.data, self.data),
            count("data missing", self.missing, self.missing),
        ]
    }
}
