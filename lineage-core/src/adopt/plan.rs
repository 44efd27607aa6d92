//! What to record of a folder and what does not agree in it. A pure function of what was found and
//! what the registry knows.

use std::collections::{BTreeMap, BTreeSet};

use globset::Glob;

use super::claims::{self, Told};
use super::pointing::{self, Named, Target};
use super::report::{Finding, Plan, PlannedPointer, PlannedVersion, Standing};
use super::scan::{FoundArtifact, FoundPointer, Scan};
use super::words;
use crate::context::Timestamp;
use crate::digest::{Kind, Sha256};
use crate::names::{Label, ModelName, PointerName, version_reference};
use crate::settings::{PointerFormat, Settings};
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
    version_findings(&mut plan, scan, &told, &dates, &planned);
    twins(&mut plan, scan, &copies);
    pointers(&mut plan, scan, known, &copies, &planned);
    copy_findings(&mut plan, scan, &copies, &planned);
    link_findings(&mut plan, scan);
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
fn identity(found: &FoundArtifact) -> Vec<Sha256> {
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

fn day(time: Timestamp) -> i64 {
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

fn version_findings(
    plan: &mut Plan,
    scan: &Scan,
    told: &[Told],
    dates: &[(Option<Timestamp>, String)],
    planned: &BTreeMap<usize, usize>,
) {
    let mut targets: BTreeMap<&ModelName, BTreeSet<&String>> = BTreeMap::new();
    for version in &plan.versions {
        targets.entry(&version.model).or_default().extend(&version.told.target);
    }
    let mut findings = Vec::new();
    for (index, at) in planned {
        let (found, told, version) = (&scan.artifacts[*index], &told[*index], &plan.versions[*at]);
        let path = &found.path;
        for (file, why) in &told.unreadable {
            findings.push(Finding::note("unreadable", path, format!("{file} was not read: {why}")));
        }
        for name in &told.repeated {
            let detail = format!("the feature \"{name}\" is listed twice");
            findings.push(Finding::note("feature-repeated", path, detail));
        }
        if told.metrics.is_empty() {
            let detail = "no file beside it gives a metric".to_owned();
            findings.push(Finding::note("metrics-missing", path, detail));
        }
        for target in targets.get(&version.model).into_iter().flatten() {
            if told.features.contains(target) {
                let detail = format!(
                    "its features include \"{target}\", which is what {} is to predict",
                    version.model
                );
                findings.push(Finding::problem("target-among-features", path, detail));
            }
        }
        let named = words::moment_in(words::last_part(path));
        if let (Some((time, place)), Some(named)) = (&told.created, named)
            && day(*time) != day(named)
        {
            let detail = format!("its name says {}, and {place} {}", date(named), date(*time));
            findings.push(Finding::problem("dates-differ", path, detail));
        }
        if told.created.is_none() && named.is_none() && dates[*index].1.starts_with("when ") {
            let detail = "nothing says when it was made; its date is that of the file".to_owned();
            findings.push(Finding::note("date-unclaimed", path, detail));
        }
    }
    plan.findings.extend(findings);
}

fn date(time: Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}

/// Versions of different names with the same model.
fn twins(plan: &mut Plan, scan: &Scan, copies: &BTreeMap<usize, Vec<usize>>) {
    let mut groups: BTreeMap<Vec<Sha256>, Vec<&FoundArtifact>> = BTreeMap::new();
    for (index, found) in scan.artifacts.iter().enumerate() {
        if !copies.contains_key(&index) {
            groups.entry(identity(found)).or_default().push(found);
        }
    }
    for group in groups.into_values().filter(|group| group.len() > 1) {
        let paths: Vec<&str> = group.iter().map(|found| found.path.as_str()).collect();
        let first = group[0];
        let model = match first.models.as_slice() {
            [(inside, digest)] if !inside.is_empty() => format!("{inside}, {}", digest.short()),
            [(_, digest)] => digest.short(),
            several => format!("{} model files", several.len()),
        };
        let detail = format!("{} are the same model, byte for byte ({model})", listed(&paths));
        plan.findings.push(Finding::problem("twins", &first.path, detail));
    }
}

/// `a, b and c`
fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn pointers(
    plan: &mut Plan,
    scan: &Scan,
    known: &Known,
    copies: &BTreeMap<usize, Vec<usize>>,
    planned: &BTreeMap<usize, usize>,
) {
    let paths: Vec<&str> = scan.artifacts.iter().map(|found| found.path.as_str()).collect();
    let managed = known.settings.pointer_files();
    let mut sections: BTreeMap<(ModelName, PointerName), String> = BTreeMap::new();
    for file in &scan.pointers {
        let named = pointing::read(&file.content);
        let aimed = named.iter().find_map(|named| Some((named, named.target(&file.path, &paths)?)));
        let Some((named, target)) = aimed else {
            // A file that lineage writes may name a checkout.
            if !managed.iter().any(|(_, _, known)| known.path == file.path) {
                plan.findings.extend(unaimed(file, &named));
            }
            continue;
        };
        let Some(at) = planned.get(&target.index) else {
            let equal = &scan.artifacts[copies[&target.index][0]].path;
            let detail = format!(
                "it names {}, a copy of {equal}, which is not recorded by itself; it was left alone",
                paths[target.index]
            );
            plan.findings.push(Finding::problem("pointer-to-copy", &file.path, detail));
            continue;
        };
        let version = &plan.versions[*at];
        let Some(pointer) = pointer_of(&file.path, &version.model) else {
            let detail = "its name is none that a pointer can have; it was left alone".to_owned();
            plan.findings.push(Finding::note("pointer-name", &file.path, detail));
            continue;
        };
        let mut found = PlannedPointer {
            model: version.model.clone(),
            pointer,
            file: file.path.clone(),
            written: named.written.clone(),
            version: version.number,
            path: version.path.clone(),
            standing: Standing::Set,
        };
        match settle(plan, known, &found, named, &target) {
            Ok(Some(section)) => {
                sections.insert((found.model.clone(), found.pointer.clone()), section);
            }
            Ok(None) => {}
            Err((standing, finding)) => {
                found.standing = standing;
                plan.findings.extend(finding);
            }
        }
        plan.pointers.push(found);
    }
    disagreements(plan, &mut sections);
    plan.settings = settings_text(&sections);
}

/// A pointer file that leads to nothing that was found.
fn unaimed(file: &FoundPointer, named: &[Named]) -> Option<Finding> {
    let says = words::last_part(&file.path).to_lowercase().contains("pointer");
    match named.iter().find(|named| named.is_path()).or(named.first()) {
        Some(named) if says || named.is_path() => {
            let detail = format!("it names {}, where no model is", named.written);
            Some(Finding::problem("pointer-dangling", &file.path, detail))
        }
        None if says => {
            let detail = "it names no path".to_owned();
            Some(Finding::problem("pointer-unreadable", &file.path, detail))
        }
        _ => None,
    }
}

/// The pointer that a file is of, by its name: `PROD_POINTER.txt` is `prod`, and so is one that says
/// no more than that it is a pointer.
fn pointer_of(path: &str, model: &ModelName) -> Option<PointerName> {
    let name = words::last_part(path);
    let (stem, _) = words::split_ending(name);
    if let Some(pointer) = words::pointer_in(stem) {
        return Some(pointer);
    }
    let rest: Vec<String> = stem
        .to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !matches!(*word, "" | "pointer" | "ptr" | "model"))
        .map(str::to_owned)
        .collect();
    let rest = rest.join("_");
    if rest.is_empty() || rest == model.as_str().to_lowercase() {
        return Some(PointerName::prod());
    }
    rest.parse().ok()
}

type Settled = Result<Option<String>, (Standing, Option<Finding>)>;

/// Whether a pointer can be set; if so, what `lineage.toml` needs for it.
fn settle(
    plan: &Plan,
    known: &Known,
    found: &PlannedPointer,
    named: &Named,
    target: &Target,
) -> Settled {
    let (model, pointer) = (&found.model, &found.pointer);
    let left = |kind, detail: String| {
        Err((Standing::Left, Some(Finding::problem(kind, &found.file, detail))))
    };
    if known.pointers.contains(&(model.clone(), pointer.clone())) {
        return Err((Standing::Managed, None));
    }
    let twin =
        plan.pointers.iter().find(|other| (&other.model, &other.pointer) == (model, pointer));
    if let Some(other) = twin {
        let same = other.version == found.version;
        let says = if same { "the same" } else { "another version" };
        let detail = format!("{} is also a file of {model}@{pointer} and names {says}", other.file);
        let finding = match same {
            true => Finding::note("pointer-repeated", &found.file, detail),
            false => Finding::problem("pointers-disagree", &found.file, detail),
        };
        return Err((Standing::Left, Some(finding)));
    }
    if let Some(configured) = known.settings.pointer_file(model, pointer) {
        return match configured.path == found.file {
            true => Ok(None),
            false => left(
                "pointer-elsewhere",
                format!("lineage.toml names {} as the file of {model}@{pointer}", configured.path),
            ),
        };
    }
    if known.settings.models.contains_key(model) {
        let detail = format!("lineage.toml has settings for {model} that do not name this file");
        return left("settings-kept", detail);
    }
    if found.file.starts_with('/') || found.file.as_bytes().get(1) == Some(&b':') {
        return left("pointer-outside", "it lies outside the project".to_owned());
    }
    let Some((format, template)) = named.format(target) else {
        return left("pointer-format", "it holds its path more than once".to_owned());
    };
    let section = section(found, format, template, &target.base);
    match Settings::parse(&section, std::path::Path::new("lineage.toml")) {
        Ok(_) => Ok(Some(section)),
        Err(error) => left("pointer-format", format!("it could not be written again: {error}")),
    }
}

/// The section of `lineage.toml` that names a pointer's file.
fn section(
    found: &PlannedPointer,
    format: PointerFormat,
    template: Option<String>,
    base: &str,
) -> String {
    let prod = found.pointer == PointerName::prod();
    let folder = found.file.rsplit_once('/').map_or(".", |(folder, _)| folder);
    let (header, file, prefix) = match prod {
        true => (format!("[models.\"{}\"]", found.model), "pointer-file", "pointer-"),
        false => {
            (format!("[models.\"{}\".pointers.\"{}\"]", found.model, found.pointer), "file", "")
        }
    };
    let text = |value: &str| toml::Value::String(value.to_owned()).to_string();
    let mut lines = vec![header, format!("{file} = {}", text(&found.file))];
    let format = if format == PointerFormat::Path { "path" } else { "template" };
    if format != "path" || !prod {
        lines.push(format!("{prefix}format = {}", text(format)));
    }
    lines.extend(template.map(|template| format!("{prefix}template = {}", text(&template))));
    let base = match base {
        "." => "project",
        base if base == folder => "file",
        base => base,
    };
    if base != "project" || !prod {
        lines.push(format!("{prefix}relative-to = {}", text(base)));
    }
    lines.join("\n")
}

/// Two files of one pointer that name different versions: neither is taken as the truth.
fn disagreements(plan: &mut Plan, sections: &mut BTreeMap<(ModelName, PointerName), String>) {
    let named: Vec<(ModelName, PointerName, u64)> =
        plan.pointers.iter().map(|p| (p.model.clone(), p.pointer.clone(), p.version)).collect();
    for pointer in plan.pointers.iter_mut().filter(|pointer| pointer.standing == Standing::Set) {
        let other = |(model, name, version): &(ModelName, PointerName, u64)| {
            (model, name) == (&pointer.model, &pointer.pointer) && *version != pointer.version
        };
        if named.iter().any(other) {
            pointer.standing = Standing::Left;
            sections.remove(&(pointer.model.clone(), pointer.pointer.clone()));
        }
    }
}

/// Copies of what is live, beside what the pointer files name.
fn copy_findings(
    plan: &mut Plan,
    scan: &Scan,
    copies: &BTreeMap<usize, Vec<usize>>,
    planned: &BTreeMap<usize, usize>,
) {
    let mut findings = Vec::new();
    for (copy, originals) in copies {
        let path = &scan.artifacts[*copy].path;
        let equal: Vec<&PlannedVersion> = originals
            .iter()
            .filter_map(|index| planned.get(index))
            .map(|at| &plan.versions[*at])
            .collect();
        let Some(first) = equal.first() else { continue };
        let names: Vec<&str> = equal.iter().map(|version| version.path.as_str()).collect();
        let holds = format!("it holds the model of {}", listed(&names));
        let pointer = words::pointer_in(words::last_part(path));
        let file = plan
            .pointers
            .iter()
            .find(|other| Some(&other.pointer) == pointer.as_ref() && other.model == first.model);
        findings.push(match file {
            Some(file) if equal.iter().all(|version| version.number != file.version) => {
                let detail = format!("{holds}, and {} names {}", file.file, file.path);
                Finding::problem("copy-differs", path, detail)
            }
            Some(file) => {
                let detail = format!("{holds}, as {} says", file.file);
                Finding::note("copy", path, detail)
            }
            None => {
                let reference = version_reference(&first.model, first.number);
                let detail = format!(
                    "{holds}, and no pointer file says so; if it is live: lineage promote {} \
                     --version {} ({reference})",
                    first.model, first.number
                );
                Finding::note("copy", path, detail)
            }
        });
    }
    let unequal = scan.artifacts.iter().enumerate().filter(|(index, found)| {
        !copies.contains_key(index)
            && words::pointer_in(words::last_part(&found.path)).is_some()
            && scan.artifacts.len() > 1
    });
    for (_, found) in unequal {
        let detail = "it is named like a copy of what is live, and equals no other model; it is a \
                      version of its own"
            .to_owned();
        findings.push(Finding::problem("copy-unknown", &found.path, detail));
    }
    plan.findings.extend(findings);
}

/// Links named after what is live, beside what the pointer files name.
fn link_findings(plan: &mut Plan, scan: &Scan) {
    let mut findings = Vec::new();
    for link in &scan.links {
        let Some(pointer) = words::pointer_in(words::last_part(&link.path)) else { continue };
        let Some(version) = plan.versions.iter().find(|version| version.path == link.target) else {
            let detail = format!("it leads to {}, where no model is", link.target);
            findings.push(Finding::problem("link-dangling", &link.path, detail));
            continue;
        };
        let file = plan
            .pointers
            .iter()
            .find(|other| other.pointer == pointer && other.model == version.model);
        findings.push(match file {
            Some(file) if file.version != version.number => {
                let detail =
                    format!("it leads to {}, and {} names {}", link.target, file.file, file.path);
                Finding::problem("link-differs", &link.path, detail)
            }
            _ => Finding::note("link", &link.path, format!("it leads to {}", link.target)),
        });
    }
    plan.findings.extend(findings);
}

fn settings_text(sections: &BTreeMap<(ModelName, PointerName), String>) -> String {
    sections.values().map(|section| format!("\n{section}\n")).collect()
}
