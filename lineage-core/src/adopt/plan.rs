//! What to record of a folder and what does not agree in it. A pure function of what was found and
//! what the registry knows.

use std::collections::{BTreeMap, BTreeSet};

use globset::Glob;

use super::claims::{self, Told};
use super::report::{Plan, PlannedPointer, PlannedVersion, Standing};
use super::scan::{FoundArtifact, Scan};
use super::{agreement, pointers, words};
use crate::context::Timestamp;
use crate::digest::{Kind, Sha256};
use crate::names::{Label, ModelName, PointerName};
use crate::settings::Settings;
use crate::store::{Reader, StoreError};

/// What the caller wants.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    /// Which model artifacts belong to, with a glob of their paths or for all of them; the first that
    /// fits counts. What fits none is named after its files.
    pub models: Vec<(ModelName, Option<Glob>)>,
}

/// What the registry knows already.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Its versions.
    pub versions: Vec<KnownVersion>,
    /// Pointers that were ever set.
    pub pointers: BTreeSet<(ModelName, PointerName)>,
    /// Its settings.
    pub settings: Settings,
}

/// A version of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in VersionRow")]
pub struct KnownVersion {
    pub model: ModelName,
    pub number: u64,
    pub label: Option<Label>,
    pub path: String,
    pub sha256: Sha256,
}

impl Options {
    /// Adds a rule. The error says what is wrong with the glob.
    pub fn add(&mut self, model: ModelName, glob: Option<&str>) -> Result<(), String> {
        let glob = glob.map(Glob::new).transpose().map_err(|error| error.to_string())?;
        self.models.push((model, glob));
        Ok(())
    }
}

impl Known {
    /// Reads it from a registry.
    pub fn of(reader: &Reader<'_>, settings: &Settings) -> Result<Known, StoreError> {
        let versions = reader.all_versions()?.into_iter().map(|version| KnownVersion {
            model: version.model,
            number: version.number,
            label: version.label,
            path: version.path,
            sha256: version.sha256,
        });
        let pointers = reader.pointers(None)?.into_iter().map(|row| (row.model, row.pointer));
        Ok(Known {
            versions: versions.collect(),
            pointers: pointers.collect(),
            settings: settings.clone(),
        })
    }
}

/// Decides what to record, which pointers to set, and what does not agree.
pub fn plan(scan: &Scan, known: &Known, options: &Options) -> Plan {
    let mut plan = Plan { findings: scan.findings.clone(), ..Plan::default() };
    let copies = copies(&scan.artifacts);
    let told: Vec<Told> = scan.artifacts.iter().map(|found| claims::read(&found.texts)).collect();
    let models = models(scan, &told, &copies, options);
    let originals = || (0..scan.artifacts.len()).filter(|index| !copies.contains_key(index));
    let mut order: Vec<usize> = originals().collect();
    let dates: Vec<_> =
        scan.artifacts.iter().zip(&told).map(|(found, told)| created(found, told)).collect();
    order.sort_by_key(|index| (dates[*index].0, &scan.artifacts[*index].path));
    let mut numbers = Numbers::new(known);
    let mut planned: BTreeMap<usize, usize> = BTreeMap::new();
    for index in order {
        let found = &scan.artifacts[index];
        let version = numbers.version(
            found,
            models[index].clone(),
            told[index].clone(),
            dates[index].clone(),
        );
        planned.insert(index, plan.versions.len());
        plan.versions.push(version);
    }
    agreement::version_findings(&mut plan, scan, &told, &dates, &planned);
    agreement::twins(&mut plan, scan, &copies);
    pointers::pointers(&mut plan, scan, known, &copies, &planned);
    agreement::copy_findings(&mut plan, scan, &copies, &planned);
    agreement::link_findings(&mut plan, scan);
    let kept: Vec<&PlannedPointer> =
        plan.pointers.iter().filter(|pointer| pointer.standing == Standing::Set).collect();
    let taken: BTreeSet<_> = kept.iter().map(|p| (&p.model, p.pointer.as_str())).collect();
    for version in &mut plan.versions {
        let clash = version.label.as_ref().is_some_and(|label| {
            taken.contains(&(&version.model, label.as_str())) || label.as_str() == "prod"
        });
        if clash && !version.known {
            version.label = None;
        }
    }
    plan.findings.sort_by(|a, b| (a.severity, &a.subject).cmp(&(b.severity, &b.subject)));
    plan
}

/// The digests of an artifact's model files; what it is, whatever else lies beside them.
pub(super) fn identity(found: &FoundArtifact) -> Vec<Sha256> {
    let mut digests: Vec<Sha256> = found.models.iter().map(|(_, digest)| *digest).collect();
    if digests.is_empty() {
        digests.push(found.sha256);
    }
    digests.sort();
    digests
}

/// Artifacts that are named after what is live and hold the models of others: copies, each with those
/// that it equals.
fn copies(artifacts: &[FoundArtifact]) -> BTreeMap<usize, Vec<usize>> {
    let named_live =
        |found: &FoundArtifact| words::pointer_in(words::last_part(&found.path)).is_some();
    let mut copies = BTreeMap::new();
    for (index, found) in artifacts.iter().enumerate().filter(|(_, found)| named_live(found)) {
        let equal =
            |other: &&FoundArtifact| !named_live(other) && identity(other) == identity(found);
        let originals: Vec<usize> = artifacts
            .iter()
            .enumerate()
            .filter(|(_, other)| equal(other))
            .map(|(index, _)| index)
            .collect();
        if !originals.is_empty() {
            copies.insert(index, originals);
        }
    }
    copies
}

/// Which model each artifact belongs to.
fn models(
    scan: &Scan,
    told: &[Told],
    copies: &BTreeMap<usize, Vec<usize>>,
    options: &Options,
) -> Vec<ModelName> {
    let given = |path: &str| {
        let fits = |glob: &Option<Glob>| {
            glob.as_ref().is_none_or(|glob| glob.compile_matcher().is_match(path))
        };
        options.models.iter().find(|(_, glob)| fits(glob)).map(|(model, _)| model.clone())
    };
    let guessed: Vec<Option<ModelName>> = scan
        .artifacts
        .iter()
        .zip(told)
        .map(|(found, told)| given(&found.path).or_else(|| by_path(found, told)))
        .collect();
    let known: BTreeSet<&ModelName> = guessed
        .iter()
        .enumerate()
        .filter(|(index, _)| !copies.contains_key(index))
        .filter_map(|(_, model)| model.as_ref())
        .collect();
    let only =
        (known.len() == 1).then(|| known.iter().next().map(|model| (*model).clone())).flatten();
    let folder = words::model_in(&scan.folder_name);
    let other = only.or(folder).or_else(|| "model".parse().ok());
    guessed.iter().filter_map(|model| model.clone().or_else(|| other.clone())).collect()
}

fn by_path(found: &FoundArtifact, told: &Told) -> Option<ModelName> {
    let (folders, name) = found.path.rsplit_once('/').unwrap_or(("", &found.path));
    let name = match found.kind {
        Kind::File => words::split_ending(name).0,
        Kind::Directory => name,
    };
    let folders = folders.split('/').rev().take_while(|folder| !words::is_container(folder));
    words::model_in(name)
        .or_else(|| told.names.iter().find_map(|name| words::model_in(name)))
        .or_else(|| {
            // Only a folder between the container and the version tells which model it is.
            let contained = found.path.split('/').rev().skip(1).any(words::is_container);
            folders.filter(|_| contained).find_map(words::model_in)
        })
}

/// When an artifact was made, as its files, its name or the file system say, and which of them.
fn created(found: &FoundArtifact, told: &Told) -> (Option<Timestamp>, String) {
    let mut parts = found.path.rsplit('/');
    let named = parts.find_map(words::moment_in);
    match (&told.created, named) {
        (Some((time, _)), Some(named)) if day(*time) == day(named) && named > *time => {
            (Some(named), "its name".to_owned())
        }
        (Some((time, place)), _) => (Some(*time), place.clone()),
        (None, Some(named)) => (Some(named), "its name".to_owned()),
        (None, None) => (found.modified, "when its file was last changed".to_owned()),
    }
}

pub(super) fn day(time: Timestamp) -> i64 {
    time.unix_microseconds().div_euclid(86_400_000_000)
}

/// Hands out numbers and labels.
struct Numbers<'a> {
    known: &'a Known,
    next: BTreeMap<ModelName, u64>,
    labels: BTreeSet<(ModelName, Label)>,
}

impl<'a> Numbers<'a> {
    fn new(known: &'a Known) -> Numbers<'a> {
        let mut next = BTreeMap::new();
        let mut labels = BTreeSet::new();
        for version in &known.versions {
            let number = next.entry(version.model.clone()).or_insert(1);
            *number = (*number).max(version.number + 1);
            labels.extend(version.label.clone().map(|label| (version.model.clone(), label)));
        }
        Numbers { known, next, labels }
    }

    fn version(
        &mut self,
        found: &FoundArtifact,
        model: ModelName,
        told: Told,
        (created, created_from): (Option<Timestamp>, String),
    ) -> PlannedVersion {
        let known = self
            .known
            .versions
            .iter()
            .find(|version| version.path == found.path && version.sha256 == found.sha256);
        let name = match found.kind {
            Kind::File => words::split_ending(words::last_part(&found.path)).0,
            Kind::Directory => words::last_part(&found.path),
        };
        let (model, number, label) = match known {
            Some(known) => (known.model.clone(), known.number, known.label.clone()),
            None => {
                let label: Option<Label> = name.parse().ok();
                let label =
                    label.filter(|label| self.labels.insert((model.clone(), label.clone())));
                let next = self.next.entry(model.clone()).or_insert(1);
                *next += 1;
                (model, *next - 1, label)
            }
        };
        PlannedVersion {
            model,
            number,
            known: known.is_some(),
            label,
            path: found.path.clone(),
            kind: found.kind,
            sha256: found.sha256,
            size_bytes: found.size_bytes,
            files: found.files,
            created,
            created_from,
            modified: found.modified,
            told,
        }
    }
}
