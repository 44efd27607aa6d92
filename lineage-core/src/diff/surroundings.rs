//! What differs between the code of two versions, and between the machines and packages that made them.

use super::versions::{ValueChange, VersionDifference};
use crate::environment::{Environment, Package, Part, changed_packages};
use crate::events::SessionCompleted;

/// What is known of the code, as texts.
pub(super) fn code(session: &SessionCompleted) -> Vec<(String, String)> {
    let Some(code) = &session.code else { return Vec::new() };
    let changes = match (code.dirty, code.diff_sha256) {
        (false, _) => "none".to_owned(),
        (true, Some(digest)) => digest.to_string(),
        (true, None) => "without a digest".to_owned(),
    };
    let mut facts =
        vec![("commit".to_owned(), code.commit.clone()), ("changes".to_owned(), changes)];
    facts.extend(code.branch.as_ref().map(|branch| ("branch".to_owned(), branch.clone())));
    facts
}

/// What is known of the surroundings but for packages, as texts.
pub(super) fn facts(environment: &Environment) -> Vec<(String, String)> {
    let mut facts: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        facts.extend(value.map(|value| (name.to_owned(), value)));
    };
    let python = environment.python.known();
    add("interpreter", python.map(|p| format!("{} {}", p.implementation, p.version)));
    add("r", environment.r.known().map(|r| r.version.clone()));
    if let Some(system) = environment.system.known() {
        add("system", Some(system.name.clone().unwrap_or_else(|| system.os.clone())));
        add("kernel", system.kernel.clone());
        add("architecture", Some(system.architecture.clone()));
    }
    if let Some(cpu) = environment.cpu.known() {
        add("cpu", cpu.model.clone());
        add("threads", Some(cpu.threads.to_string()));
    }
    add("memory", environment.memory_bytes.known().map(|bytes| format!("{bytes} bytes")));
    if let Some(gpus) = environment.gpus.known() {
        let names: Vec<String> =
            gpus.iter().map(|gpu| format!("{} (driver {})", gpu.name, gpu.driver)).collect();
        add("gpu", (!names.is_empty()).then(|| names.join(", ")));
    }
    add("host", environment.host.known().cloned());
    add("container", environment.container.as_ref().and_then(Part::known).cloned());
    add("command", environment.command.known().map(|command| command.join(" ")));
    for lock in &environment.locks {
        add(&format!("lock {}", lock.name), lock.sha256.known().map(ToString::to_string));
    }
    facts
}

/// Packages of Python, R and conda that differ, of kinds that are known on both sides.
pub(super) fn packages(left: &Environment, right: &Environment) -> Vec<ValueChange> {
    let mut changes = Vec::new();
    let mut compare = |prefix: &str, left: &[Package], right: &[Package]| {
        changes.extend(changed_packages(left, right).into_iter().map(|(name, left, right)| {
            let text = |version: Option<&str>| version.map(str::to_owned);
            let name = format!("{prefix}{name}");
            ValueChange { name, left: text(left), right: text(right) }
        }));
    };
    if let (Some(left), Some(right)) = (left.python.known(), right.python.known()) {
        compare("", &left.packages, &right.packages);
    }
    if let (Some(left), Some(right)) = (left.r.known(), right.r.known()) {
        compare("R ", &left.packages, &right.packages);
    }
    if let (Some(left), Some(right)) = (left.conda.known(), right.conda.known()) {
        let built = |list: &[crate::environment::CondaPackage]| -> Vec<Package> {
            let with_build = |p: &crate::environment::CondaPackage| Package {
                name: p.name.clone(),
                version: format!("{} {}", p.version, p.build),
            };
            list.iter().map(with_build).collect()
        };
        compare("conda ", &built(left), &built(right));
    }
    changes
}

/// Whether what is listed makes the versions differ: the code, the interpreter and the packages do, where
/// both are known; the machine, its name and the branch do not.
pub(super) fn count(difference: &VersionDifference) -> bool {
    let known = |change: &ValueChange| {
        let counts = matches!(change.name.as_str(), "commit" | "changes" | "interpreter" | "r");
        counts && change.left.is_some() && change.right.is_some()
    };
    difference.code.iter().any(known)
        || difference.environment.iter().any(known)
        || !difference.packages.is_empty()
}
