//! `lineage adopt`

use std::path::PathBuf;

use lineage_core::adopt::{
    Adopted, Finding, Known, Options, Plan, Severity, Standing, carry_out, plan, scan,
};
use lineage_core::init::{InitRequest, init};
use lineage_core::names::version_reference;
use lineage_core::record::Warning;
use lineage_core::settings::Settings;
use lineage_core::store::Registry;
use serde::Serialize;

use crate::args::{DryRun, Global};
use crate::error::{CliError, ErrorKind};
use crate::output::Output;
use crate::{render, settings};

/// Make a registry for a folder of models that already exists, and say what does not agree in it
///
/// Finds models, the metrics, settings and feature lists beside them, and the files that name what is
/// live; shows what it would do, and asks. Dates are taken from the files and recorded as claims.
/// Doing it again changes nothing.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    lineage adopt . --dry-run              # what is here, and what does not agree\n  \
    lineage adopt fraud_detection_system\n  \
    lineage adopt . --yes --model fraud    # all of them are versions of one model\n  \
    lineage adopt . --model fraud='models/fraud_*' --model churn='models/churn_*'\n\n\
    The registry is the one of the folder or of a folder above it; if there is none, it is made in \
    the folder.")]
pub(crate) struct AdoptArgs {
    /// The folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The model that the versions belong to, or those whose path matches GLOB; else they are named
    /// after their files
    #[arg(long, value_name = "NAME[=GLOB]")]
    model: Vec<String>,
    #[command(flatten)]
    dry_run: DryRun,
}

#[derive(Serialize)]
struct Report {
    registry: String,
    made: bool,
    changed: bool,
    dry_run: bool,
    #[serde(flatten)]
    adopted: Adopted,
    findings: Vec<Finding>,
    warnings: Vec<Warning>,
}

pub(crate) fn run(args: &AdoptArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    let options = options(&args.model)?;
    let layout = settings::layout_for(global, &args.folder)?;
    let loaded = Settings::load(&layout.settings())?;
    let made = !layout.database().exists();
    let dry_run = args.dry_run.dry_run;
    output.observer().listen_for_interrupts();
    let planned = settings::with_context(global, output, Some(layout.root()), |context| {
        let registry = match made {
            true => None,
            false => Some(Registry::open_quietly(&layout, context)?),
        };
        let known = match &registry {
            Some(registry) => registry.read(|reader| Known::of(reader, &loaded))?,
            None => Known { settings: loaded.clone(), ..Known::default() },
        };
        let found = scan(&args.folder, &layout, registry.as_ref(), context)?;
        Ok(plan(&found, &known, &options))
    })?;
    let changes = planned.changes();
    let mut adopted = Adopted::from(&planned);
    let registry = layout.registry().to_string_lossy().into_owned();
    if changes && !dry_run {
        settings::tell_registry(output, &layout);
        if !global.yes {
            output.remark(text(&planned, &adopted, true).trim_end());
        }
        output.confirm(&question(&planned, made.then_some(registry.as_str())))?;
        adopted = settings::with_context(global, output, Some(layout.root()), |context| {
            let folder = layout.root().to_owned();
            init(&InitRequest { folder, pointer_files: Vec::new(), dry_run: false }, context)?;
            let mut registry = Registry::open(&layout, context)?;
            Ok(carry_out(&mut registry, &planned, context)?)
        })?;
    }
    for warning in &adopted.warnings {
        output.warning(&render::safe(&warning.message));
    }
    let shown = text(&planned, &adopted, dry_run);
    let nothing = adopted.versions.is_empty();
    let report = Report {
        made: made && changes,
        changed: changes,
        dry_run,
        warnings: std::mem::take(&mut adopted.warnings),
        adopted,
        findings: planned.findings,
        registry,
    };
    output.result("lineage.adopt/1", &report, &report.registry, || shown)?;
    if nothing {
        output.hint(
            "name the folder that holds the models (model.pkl, model.onnx, …), or record one: \
             lineage record MODEL --artifact PATH",
        );
    }
    if changes && !dry_run {
        output.hint("look at it with `lineage status` and `lineage log`");
    }
    Ok(())
}

fn options(texts: &[String]) -> Result<Options, CliError> {
    let mut options = Options::default();
    for text in texts {
        let (name, glob) = match text.split_once('=') {
            Some((name, glob)) => (name, Some(glob)),
            None => (text.as_str(), None),
        };
        options.add(name.parse()?, glob).map_err(|problem| {
            CliError::new(ErrorKind::Usage, format!("--model {text}: {problem}"))
        })?;
    }
    Ok(options)
}

fn question(plan: &Plan, made: Option<&str>) -> String {
    let new = plan.versions.iter().filter(|version| !version.known).count() as u64;
    let set = plan.pointers.iter().filter(|p| p.standing == Standing::Set).count() as u64;
    let mut parts = Vec::new();
    parts.extend(made.map(|registry| format!("make {registry}")));
    parts.push(format!("record {}", render::count(new, "version")));
    if set > 0 {
        parts.push(format!("set {}", render::count(set, "pointer")));
    }
    format!("adopt: {}?", parts.join(", "))
}

fn text(plan: &Plan, adopted: &Adopted, planned: bool) -> String {
    let mut lines = String::new();
    if adopted.versions.is_empty() {
        lines.push_str("no models were found\n");
    }
    let mut rows = Vec::new();
    for version in &adopted.versions {
        let state = match (version.changed, planned) {
            (false, _) => "known",
            (true, true) => "would record",
            (true, false) => "recorded",
        };
        let label = version.label.as_ref().map(|label| format!(" ({label})")).unwrap_or_default();
        let created = version.created.map(render::time).unwrap_or_default();
        rows.push(vec![
            state.to_owned(),
            format!("{}{label}", version_reference(&version.model, version.version)),
            render::safe(&version.path),
            version.sha256.short(),
            format!(
                "{created}  {}, {}, {}",
                render::count(version.metrics as u64, "metric"),
                render::count(version.params as u64, "param"),
                render::count(version.features as u64, "feature"),
            ),
        ]);
    }
    lines.push_str(&render::table(&rows));
    let mut rows = Vec::new();
    for pointer in &adopted.pointers {
        let state = match (pointer.standing, planned) {
            (Standing::Set, true) => "would set",
            (Standing::Set, false) => "set",
            (Standing::Managed, _) => "managed",
            (Standing::Left, _) => "left alone",
        };
        rows.push(vec![
            state.to_owned(),
            format!("{}@{} → {}", pointer.model, pointer.pointer, pointer.version),
            format!(
                "{} {} {}",
                render::safe(&pointer.file),
                if pointer.event_seq.is_some() { "said" } else { "says" },
                render::safe(&pointer.written)
            ),
        ]);
    }
    lines.push_str(&render::table(&rows));
    for (severity, title) in [(Severity::Problem, "does not agree"), (Severity::Note, "to know")] {
        let found = plan.findings.iter().filter(|finding| finding.severity == severity);
        let rows: Vec<Vec<String>> = found
            .map(|finding| {
                vec![
                    format!("  {}", finding.kind),
                    render::safe(&finding.subject),
                    render::safe(&finding.detail),
                ]
            })
            .collect();
        if !rows.is_empty() {
            lines.push_str(&format!("{title}:\n{}", render::table(&rows)));
        }
    }
    lines
}
