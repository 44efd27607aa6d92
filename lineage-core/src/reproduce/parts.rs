//! The comparison of parts.

use super::{PartComparison, Verdict};
use crate::diff::matched;
use crate::environment::{Environment, Package, changed_packages};
use crate::events::{Code, DatasetUse, SessionCompleted};
use crate::reproducibility::{CodeState, Param, Parts};

type Side<'a> = (&'a SessionCompleted, Option<&'a Environment>);

/// All parts of a recorded session beside those at hand.
pub(super) fn compare(recorded: Side<'_>, found: Side<'_>) -> Vec<PartComparison> {
    let (left, right) = (Parts::of(recorded.0, recorded.1), Parts::of(found.0, found.1));
    let mut parts = datasets(recorded.0, found.0);
    parts.push(params(left.params.as_deref(), right.params.as_deref()));
    parts.push(simple("seed", left.seed, right.seed, "--seed N"));
    let columns = |names: Option<Vec<String>>| names.map(|names| names.join(", "));
    parts.push(simple("features", columns(left.features), columns(right.features), "--features"));
    parts.push(simple("target", columns(left.target), columns(right.target), "--target"));
    parts.push(code((recorded, &left.code), (found, &right.code)));
    let name = |found: Option<crate::reproducibility::Interpreter>| {
        found.map(|found| format!("{} {}", found.implementation, found.version))
    };
    let mut interpreter =
        simple("interpreter", name(left.interpreter), name(right.interpreter), "");
    if interpreter.verdict == Verdict::Unknown {
        interpreter.detail = Some(why_no_interpreter(recorded.1, found.1));
    }
    let detail = interpreter.detail.clone();
    parts.push(interpreter);
    parts.push(packages(left.packages.as_deref(), right.packages.as_deref(), detail));
    parts
}

fn part(name: &'static str, verdict: Verdict) -> PartComparison {
    let (dataset, recorded, found, detail) = (None, None, None, None);
    PartComparison { part: name, dataset, verdict, recorded, found, detail }
}

/// A part that is one text.
fn simple(
    name: &'static str,
    recorded: Option<String>,
    found: Option<String>,
    flag: &str,
) -> PartComparison {
    let (verdict, detail) = match (&recorded, &found) {
        (None, _) => (Verdict::Unknown, Some("it was not recorded".to_owned())),
        (_, None) => (Verdict::Unknown, Some(format!("{flag} gives it"))),
        (a, b) if a == b => (Verdict::Match, None),
        _ => (Verdict::Differs, None),
    };
    PartComparison { recorded, found, detail, ..part(name, verdict) }
}

fn datasets(recorded: &SessionCompleted, found: &SessionCompleted) -> Vec<PartComparison> {
    let mut parts = Vec::new();
    let mut sources = Vec::new();
    for (role, name, pair) in matched(&recorded.datasets, &found.datasets) {
        let dataset = format!("{role}:{name}");
        let short = |data: &DatasetUse| {
            let content = data.table.as_ref().and_then(|table| table.content_sha256);
            content.unwrap_or(data.sha256).short()
        };
        let (left, right) = (pair.0, pair.1);
        let (verdict, detail) = match (left, right) {
            (Some(left), Some(right)) => data(left, right),
            (Some(_), None) => (Verdict::Unknown, Some(format!("--data {role}=PATH gives it"))),
            _ => (Verdict::Differs, Some("it is not among the recorded data".to_owned())),
        };
        parts.push(PartComparison {
            dataset: Some(dataset.clone()),
            recorded: left.map(short),
            found: right.map(short),
            detail,
            ..part("data", verdict)
        });
        if let Some(known) = source(left) {
            let other = source(right);
            let verdict = match other {
                None => Verdict::Unknown,
                Some(other) if other == known => Verdict::Match,
                Some(_) if verdict.is_same_content() => Verdict::ReEncoded,
                Some(_) => Verdict::Differs,
            };
            sources.push(PartComparison {
                dataset: Some(dataset),
                recorded: Some(known.0.to_owned()),
                found: other.map(|other| other.0.to_owned()),
                ..part("schema_source", verdict)
            });
        }
    }
    if recorded.datasets.is_empty() {
        let detail = Some("no data was recorded".to_owned());
        parts.push(PartComparison { detail, ..part("data", Verdict::Unknown) });
    }
    parts.extend(sources);
    parts
}

/// Where the kinds of a table's columns come from.
fn source(data: Option<&DatasetUse>) -> Option<(&str, Option<crate::digest::Sha256>)> {
    let table = data?.table.as_ref()?;
    Some(table.schema.as_ref().map_or(("file", None), |s| (s.kind.as_str(), s.sha256)))
}

fn data(left: &DatasetUse, right: &DatasetUse) -> (Verdict, Option<String>) {
    let same_bytes = (left.kind, left.sha256) == (right.kind, right.sha256);
    let detail = |text: &str| Some(text.to_owned());
    if left.changed_to_sha256.is_some() {
        return (Verdict::Unknown, detail("it changed while the training ran"));
    }
    let ranges = (left.row_range, right.row_range);
    if ranges.1.is_some() && ranges.0 != ranges.1 {
        return (Verdict::Differs, detail("other rows of it are used"));
    }
    let tables = left.table.as_ref().zip(right.table.as_ref());
    let contents = tables.and_then(|(left, right)| left.content_sha256.zip(right.content_sha256));
    let (Some((left, right)), Some((content_left, content_right))) = (tables, contents) else {
        let verdict = if same_bytes { Verdict::Match } else { Verdict::Differs };
        return (verdict, None);
    };
    if content_left == content_right {
        let verdict = if same_bytes { Verdict::Match } else { Verdict::ReEncoded };
        return (verdict, None);
    }
    let shape = format!(
        "{} rows, {} columns → {} rows, {} columns",
        left.rows, left.columns.count, right.rows, right.columns.count
    );
    let guessed = |table: &crate::events::TableUse| {
        table.schema.as_ref().is_some_and(|schema| schema.kind == "inferred")
    };
    let same_shape = (left.rows, left.columns.count) == (right.rows, right.columns.count);
    if same_shape && guessed(left) != guessed(right) {
        let text = "the types of one were inferred from its text; --schema or --like says them";
        return (Verdict::Unknown, detail(text));
    }
    (Verdict::Differs, if same_shape { detail("other values") } else { Some(shape) })
}

fn params(recorded: Option<&[Param]>, found: Option<&[Param]>) -> PartComparison {
    let Some(recorded) = recorded else {
        return simple("params", None, None, "");
    };
    let found = found.unwrap_or_default();
    let text = |list: &[Param]| {
        let texts: Vec<String> = list.iter().map(|p| format!("{}={}", p.name, p.text)).collect();
        (!texts.is_empty()).then(|| texts.join(", "))
    };
    let (mut differing, mut missing) = (Vec::new(), Vec::new());
    for param in recorded {
        match found.iter().find(|other| other.name == param.name) {
            None => missing.push(param.name.to_string()),
            Some(other) if other.text == param.text => {}
            Some(other) => {
                differing.push(format!("{} {} → {}", param.name, param.text, other.text));
            }
        }
    }
    for param in found.iter().filter(|p| !recorded.iter().any(|other| other.name == p.name)) {
        differing.push(format!("{} none → {}", param.name, param.text));
    }
    let verdict = match (differing.is_empty(), missing.is_empty()) {
        (false, _) => Verdict::Differs,
        (true, false) => Verdict::Unknown,
        (true, true) => Verdict::Match,
    };
    if !missing.is_empty() {
        differing.push(format!("--param gives {}", missing.join(", ")));
    }
    let detail = (!differing.is_empty()).then(|| differing.join("; "));
    let (recorded, found) = (text(recorded), text(found));
    PartComparison { recorded, found, detail, ..part("params", verdict) }
}

fn code(
    (recorded, left): (Side<'_>, &Option<CodeState>),
    (found, right): (Side<'_>, &Option<CodeState>),
) -> PartComparison {
    let short = |code: &Option<Code>| {
        code.as_ref().map(|code| {
            let commit: String = code.commit.chars().take(12).collect();
            match (code.dirty, code.diff_sha256) {
                (false, _) => commit,
                (true, Some(diff)) => format!("{commit} + {}", diff.short()),
                (true, None) => format!("{commit} + changes"),
            }
        })
    };
    let why = |side: Side<'_>| match side.1.map(|environment| &environment.git) {
        Some(git) => {
            let problem = git.known().and_then(|git| git.problem.as_deref());
            git.reason().or(problem).unwrap_or("it was not captured").to_owned()
        }
        None => "it was not captured".to_owned(),
    };
    let (verdict, detail) = match (left, right) {
        (None, _) => (Verdict::Unknown, Some(format!("of the version: {}", why(recorded)))),
        (_, None) => (Verdict::Unknown, Some(format!("here: {}", why(found)))),
        (Some(left), Some(right)) if left == right => (Verdict::Match, None),
        (Some(left), Some(right)) if left.commit == right.commit => {
            (Verdict::Differs, Some("other changes beside the same commit".to_owned()))
        }
        _ => (Verdict::Differs, Some("another commit".to_owned())),
    };
    let (recorded, found) = (short(&recorded.0.code), short(&found.0.code));
    PartComparison { recorded, found, detail, ..part("code", verdict) }
}

fn why_no_interpreter(recorded: Option<&Environment>, found: Option<&Environment>) -> String {
    let why = |side: Option<&Environment>| match side {
        Some(environment) => environment.python.reason().map(str::to_owned),
        None => Some("it was not captured".to_owned()),
    };
    let known = |side: Option<&Environment>| {
        side.is_some_and(|side| side.python.known().is_some() || side.r.known().is_some())
    };
    match (known(recorded), known(found)) {
        (false, _) => format!("of the version: {}", why(recorded).unwrap_or_default()),
        (_, false) => format!("here: {}", why(found).unwrap_or_default()),
        _ => String::new(),
    }
}

fn packages(
    recorded: Option<&[Package]>,
    found: Option<&[Package]>,
    unknown: Option<String>,
) -> PartComparison {
    let count = |list: Option<&[Package]>| {
        list.map(|list| format!("{} package{}", list.len(), if list.len() == 1 { "" } else { "s" }))
    };
    let (verdict, detail) = match (recorded, found) {
        (Some(left), Some(right)) if left == right => (Verdict::Match, None),
        (Some(left), Some(right)) => {
            let changed = changed_packages(left, right);
            let line = |(name, left, right): &(&str, Option<&str>, Option<&str>)| {
                format!("{name} {} → {}", left.unwrap_or("none"), right.unwrap_or("none"))
            };
            (Verdict::Differs, Some(changed.iter().map(line).collect::<Vec<_>>().join(", ")))
        }
        _ => (Verdict::Unknown, unknown),
    };
    let (recorded, found) = (count(recorded), count(found));
    PartComparison { recorded, found, detail, ..part("packages", verdict) }
}
