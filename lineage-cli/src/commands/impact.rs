//! `lineage impact`

use std::path::PathBuf;

use lineage_core::impact::{By, Impact, PointerImpact, Sought, impact};
use lineage_core::store::TrainingState;

use crate::args::Global;
use crate::error::{CliError, ErrorKind};
use crate::output::Output;
use crate::{render, settings};

/// Say where a file went: which sessions, versions and pointers it reached, then and now
///
/// A file or folder is looked up by the digest of its bytes, as a table also by the digest of its rows, so
/// that the same rows are found in another format, and by its path as it was recorded. Sessions that are
/// open or have failed are found too. Versions derived from those that it reached are followed.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    lineage impact data/train.csv\n  \
    lineage impact models/v3/model.bin --json\n  \
    lineage impact sha256:1b34b7\n\n\
    By: bytes, the same bytes. content, the same rows in another encoding. file, the largest file of one \
    is the other. path, the name alone: other bytes were recorded there.")]
pub(crate) struct ImpactArgs {
    /// A file, a folder, or sha256: and 6 to 64 hex digits
    #[arg(value_name = "PATH|DIGEST")]
    sought: PathBuf,
}

pub(crate) fn run(args: &ImpactArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    output.observer().listen_for_interrupts();
    let sought = sought(&args.sought)?;
    let found = settings::reading(global, output, |registry, _, context| {
        Ok(registry.read(|reader| impact(reader, &sought, context.observer))?)
    })?;
    if matches!(sought, Sought::Path(_)) {
        warn(&found, output);
    }
    let versions: Vec<String> = references(&found);
    output.result("lineage.impact/1", &found, &versions.join("\n"), || text(&found))
}

fn sought(given: &std::path::Path) -> Result<Sought, CliError> {
    let there = given.symlink_metadata().is_ok();
    let Some(text) = given.to_str().filter(|_| !there) else {
        return Ok(Sought::Path(given.to_owned()));
    };
    let hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    match text.strip_prefix("sha256:") {
        Some(prefix) if hex(prefix) && (6..=64).contains(&prefix.len()) => {
            Ok(Sought::Digest(prefix.to_owned()))
        }
        Some(_) => Err(CliError::new(
            ErrorKind::Usage,
            format!("{text} is no digest: after sha256: stand 6 to 64 lower-case hex digits"),
        )),
        None if text.len() == 64 && hex(text) => Ok(Sought::Digest(text.to_owned())),
        None => Ok(Sought::Path(given.to_owned())),
    }
}

/// Versions, each once, in the order of recording.
fn references(found: &Impact) -> Vec<String> {
    let used = found.datasets.iter().filter_map(|d| Some((d.created, &d.model, d.version?)));
    let made = found.artifacts.iter().map(|a| (a.created, &a.model, a.version));
    let derived = found.derived.iter().map(|d| (d.created, &d.model, d.version));
    let mut all: Vec<_> = used.chain(made).chain(derived).collect();
    all.sort();
    all.dedup();
    all.into_iter().map(|(_, model, version)| format!("{model}@{version}")).collect()
}

fn warn(found: &Impact, output: &Output) {
    let Some(path) = found.subject.path.as_deref().map(render::safe) else { return };
    let by_path = found.datasets.iter().filter(|d| d.by == By::Path).count()
        + found.artifacts.iter().filter(|a| a.by == By::Path).count();
    if found.subject.kind.is_none() {
        output.warning(&format!("{path} is gone; it was looked up by its name alone"));
    } else if by_path > 0 {
        output.warning(&format!(
            "{path} held other bytes in {}; only the path is the same there",
            render::count(by_path as u64, "record")
        ));
    }
}

fn by(by: By) -> String {
    match by {
        By::Bytes => "bytes",
        By::Content => "content",
        By::File => "file",
        By::Path => "path only",
    }
    .to_owned()
}

fn text(found: &Impact) -> String {
    let mut out = String::new();
    let mut section = |title: &str, rows: Vec<Vec<String>>| {
        if !rows.is_empty() {
            let indented = rows.into_iter().map(|mut row| {
                row[0].insert_str(0, "  ");
                row
            });
            out.push_str(&format!("{title}\n{}", render::table(&indented.collect::<Vec<_>>())));
        }
    };
    let subject = &found.subject;
    let mut rows = Vec::new();
    let digests = [("sha256", subject.sha256), ("content", subject.content_sha256)];
    for (name, digest) in digests {
        rows.extend(digest.map(|digest| vec![name.to_owned(), digest.to_string()]));
    }
    section(&subject.path.as_deref().map(render::safe).unwrap_or("digest".to_owned()), rows);
    let used = found.datasets.iter().map(|d| {
        let name = match d.version {
            Some(number) => format!("{}@{number}", d.model),
            None if d.state == TrainingState::Completed => format!("{} (no version)", d.model),
            None => format!("{} ({})", d.model, d.state),
        };
        vec![name, render::safe(&d.role), by(d.by), render::time(d.created), render::safe(&d.path)]
    });
    section("used as data by", used.collect());
    let made = found.artifacts.iter().map(|a| {
        let name = format!("{}@{}", a.model, a.version);
        vec![name, by(a.by), render::time(a.created), render::safe(&a.path)]
    });
    section("is the model of", made.collect());
    let derived = found.derived.iter().map(|d| {
        let name = format!("{}@{}", d.model, d.version);
        vec![name, format!("from {}", d.from), by(d.by), render::time(d.created)]
    });
    section("from which were made", derived.collect());
    section("live at", found.pointers.iter().map(pointer).collect());
    if found.datasets.is_empty() && found.artifacts.is_empty() {
        out.push_str("No session and no version is known to have held it.\n");
    } else if found.pointers.is_empty() {
        out.push_str("It was never live.\n");
    }
    out
}

fn pointer(found: &PointerImpact) -> Vec<String> {
    let tenure = &found.tenure;
    let until = match &tenure.until {
        Some(until) => format!("until {}", render::time(until.time)),
        None => "now".to_owned(),
    };
    vec![
        format!("{}@{}", tenure.model, tenure.pointer),
        tenure.version.to_string(),
        by(found.by),
        format!("since {}", render::time(tenure.since.time)),
        until,
        format!("by {}", render::safe(&tenure.since.by.to_string())),
    ]
}
