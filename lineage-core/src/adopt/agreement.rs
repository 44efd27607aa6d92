//! What does not agree in a folder: versions with each other and with their own files, copies and links
//! with the pointer files.

use std::collections::{BTreeMap, BTreeSet};

use super::claims::Told;
use super::plan::{day, identity};
use super::report::{Finding, Plan, PlannedVersion};
use super::scan::{FoundArtifact, Scan};
use super::words;
use crate::context::Timestamp;
use crate::digest::Sha256;
use crate::names::{ModelName, version_reference};

/// What the files of one version say, or do not say.
pub(super) fn version_findings(
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
pub(super) fn twins(plan: &mut Plan, scan: &Scan, copies: &BTreeMap<usize, Vec<usize>>) {
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

/// Copies of what is live, beside what the pointer files name.
pub(super) fn copy_findings(
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
pub(super) fn link_findings(plan: &mut Plan, scan: &Scan) {
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
