//! `lineage inspect`

use std::path::PathBuf;

use clap::ValueEnum;
use lineage_core::inspect::{Finding, Inspection, Severity, Verdict, inspect};
use lineage_core::layout::slashed;
use serde::Serialize;

use crate::args::Global;
use crate::error::{CliError, ErrorKind};
use crate::output::Output;
use crate::render;

/// Say what model files hold, and whether loading them could run code
///
/// Nothing is loaded and nothing is run. `safe` means that everything that matters was read and all
/// that the file names is on a list of harmless names; `unknown`, that something could not be read
/// or recognised; `suspicious`, that it calls code on no list, or is built to be read differently by
/// different programs; `dangerous`, that it names code that has no place in a model.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  lineage inspect models/v3/model.joblib\n  lineage inspect *.safetensors --json\n  lineage inspect download.pt --refuse suspicious && python serve.py"
)]
pub(crate) struct InspectArgs {
    /// Model files: safetensors, GGUF, ONNX, PyTorch, pickle, joblib, NumPy, Keras, zip, tar
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// End with exit code 3 when a verdict is this, or worse
    #[arg(long, value_name = "VERDICT")]
    refuse: Option<Refuse>,
}

/// From the worst verdict to the mildest that can be refused.
#[derive(Clone, Copy, ValueEnum)]
enum Refuse {
    /// Refuse what names dangerous code
    Dangerous,
    /// Refuse that, and what calls code on no list
    Suspicious,
    /// Refuse all but `safe`
    Unknown,
}

impl Refuse {
    fn refuses(self, verdict: Verdict) -> bool {
        verdict
            >= match self {
                Refuse::Dangerous => Verdict::Dangerous,
                Refuse::Suspicious => Verdict::Suspicious,
                Refuse::Unknown => Verdict::Unknown,
            }
    }
}

#[derive(Serialize)]
struct Line {
    path: String,
    #[serde(flatten)]
    found: Inspection,
    refused: bool,
}

pub(crate) fn run(
    args: &InspectArgs,
    _global: &Global,
    output: &mut Output,
) -> Result<(), CliError> {
    output.observer().listen_for_interrupts();
    let mut lines = Vec::new();
    for path in &args.files {
        let found = inspect(path, output.observer())?;
        let refused = args.refuse.is_some_and(|refuse| refuse.refuses(found.verdict));
        lines.push(Line { path: slashed(path)?, found, refused });
    }
    output.stream(
        "lineage.inspect/1",
        &lines,
        |line| line.found.verdict.word().to_owned(),
        || lines.iter().map(text).collect(),
    )?;
    if lines.iter().any(|line| line.refused) {
        return Err(CliError::reported(ErrorKind::Refused));
    }
    let worst = lines.iter().map(|line| line.found.verdict).max();
    if let Some(hint) = worst.and_then(next_step) {
        output.hint(hint);
    }
    Ok(())
}

/// What a person should do now.
fn next_step(worst: Verdict) -> Option<&'static str> {
    match worst {
        Verdict::Dangerous => Some("do not load it; ask whoever made it for safetensors or ONNX"),
        Verdict::Suspicious => {
            Some("load it only where it can do no harm, or when you trust who made it")
        }
        Verdict::Unknown => Some("this is no proof of harm: look at the reasons above"),
        Verdict::Safe => None,
    }
}

/// The verdict, what the file is, and one line for each reason.
fn text(line: &Line) -> String {
    let Inspection { format, verdict, findings, tensors, parameters, .. } = &line.found;
    let mut out = format!("{}  {}  ({}", verdict.word(), render::safe(&line.path), format.word());
    if let (Some(tensors), Some(parameters)) = (tensors, parameters) {
        out.push_str(&format!(
            ", {}, {}",
            render::count(*tensors, "tensor"),
            render::count(*parameters, "parameter")
        ));
        let dtypes: Vec<String> = line.found.dtypes.keys().map(|name| render::safe(name)).collect();
        if !dtypes.is_empty() {
            out.push_str(&format!(" in {}", dtypes.join(", ")));
        }
    }
    out.push_str(")\n");
    for finding in findings {
        out.push_str(&reason(finding));
    }
    for (name, value) in &line.found.details {
        out.push_str(&format!("    {}: {}\n", render::safe(name), render::safe(value)));
    }
    if *verdict != Verdict::Safe && !line.found.imports.is_empty() {
        out.push_str(&format!("    imports: {}\n", render::safe(&imports(&line.found.imports))));
    }
    out
}

fn reason(finding: &Finding) -> String {
    let place = match finding.location.as_str() {
        "" => String::new(),
        location => format!("{}: ", render::safe(location)),
    };
    let word = match finding.severity {
        Severity::Info => "note",
        severity => severity.word(),
    };
    format!("  {word}: {place}{}\n", render::safe(&finding.detail))
}

/// The first names, and how many more there are.
fn imports(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {}", render::count(more as u64, "other")),
    }
}
