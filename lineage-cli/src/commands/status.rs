//! `lineage status`

use lineage_core::names::ModelName;
use lineage_core::pointer::{PointerStatus, RegistryStatus, status, status_then};
use lineage_core::store::Past;

use crate::args::{AtArg, Global};
use crate::error::CliError;
use crate::output::Output;
use crate::{render, settings};

/// Show what is live: every model, its pointers, and whether their files agree
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  lineage status\n  lineage status fraud --json\n  lineage status --at 2026-03-01T09:30:00Z"
)]
pub(crate) struct StatusArgs {
    /// Only this model
    model: Option<ModelName>,
    #[command(flatten)]
    at: AtArg,
}

pub(crate) fn run(args: &StatusArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    let found = settings::looking_up(global, output, |registry, settings, context| {
        let model = args.model.as_ref();
        match args.at.at {
            None => Ok(status(registry, settings, model, context)?),
            Some(moment) => registry.read(|reader| {
                let past = Past::of(reader, moment, model)?;
                status_then(&past, model)
                    .map_err(|error| settings::not_then(error.into(), reader, past.at, model))
            }),
        }
    })?;
    let id = found.log_seq.to_string();
    output.result("lineage.status/1", &found, &id, || text(&found))?;
    for model in &found.models {
        for pointer in &model.pointers {
            tell_file(output, &model.model, pointer);
        }
    }
    Ok(())
}

fn text(found: &RegistryStatus) -> String {
    let mut rows = Vec::new();
    for model in &found.models {
        let latest = match model.latest {
            Some(number) => format!("newest version {number}"),
            None => "no version yet".to_owned(),
        };
        rows.push(vec![model.model.to_string(), String::new(), latest]);
        for pointer in &model.pointers {
            rows.push(pointer_row(pointer));
        }
    }
    if rows.is_empty() {
        rows.push(vec!["No model is recorded yet.".to_owned()]);
    }
    let then = match found.at {
        Some(at) => format!(" as of {}", render::time(at.time)),
        None => String::new(),
    };
    let head = format!(
        "log{then}: {}, head {}",
        render::count(found.log_seq + 1, "entry"),
        found.log_sha256.short()
    );
    format!("{}{head}\n", render::table(&rows))
}

fn pointer_row(pointer: &PointerStatus) -> Vec<String> {
    let since = pointer.since.map(|since| format!("since {}", render::time(since)));
    let by = pointer.by.as_ref().map(|by| format!("by {}", render::safe(&by.to_string())));
    let back = match pointer.rollback_target {
        Some(target) => format!("rollback → {target}"),
        None => "nothing to roll back to".to_owned(),
    };
    vec![
        format!("  {}", pointer.pointer),
        pointer.version.map_or("none".to_owned(), |number| number.to_string()),
        pointer.served_path.as_deref().map(render::safe).unwrap_or_default(),
        since.unwrap_or_default(),
        by.unwrap_or_default(),
        back,
    ]
}

fn tell_file(output: &Output, model: &ModelName, pointer: &PointerStatus) {
    let Some(file) = &pointer.file else { return };
    if let Some(drift) = &file.drift {
        output.warning(&format!(
            "{}, the file of {model}@{}, was not written by lineage: {}",
            render::safe(&file.path),
            pointer.pointer,
            render::safe(&drift.to_string())
        ));
        output.hint(&format!(
            "`lineage promote {model}{} --accept-external` takes it as the truth, --overwrite-external writes over it",
            super::promote::pointer_flag(&pointer.pointer)
        ));
    } else if file.state == "owed" {
        output.warning(&format!(
            "{} is not up to date; the next command that writes puts it right",
            render::safe(&file.path)
        ));
    }
}
