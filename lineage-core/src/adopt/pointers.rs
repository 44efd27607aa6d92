//! Which pointers can be set as the files of the folder say, and what `lineage.toml` needs for them.

use std::collections::BTreeMap;

use super::plan::Known;
use super::pointing::{self, Named, Target};
use super::report::{Finding, Plan, PlannedPointer, Standing};
use super::scan::{FoundPointer, Scan};
use super::words;
use crate::names::{ModelName, PointerName};
use crate::settings::{PointerFormat, Settings};

/// Plans the pointers, and reports those that cannot be set.
pub(super) fn pointers(
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

fn settings_text(sections: &BTreeMap<(ModelName, PointerName), String>) -> String {
    sections.values().map(|section| format!("\n{section}\n")).collect()
}
