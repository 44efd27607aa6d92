//! `lineage init`

use lineage_core::init::{InitRequest, init};
use lineage_core::names::ModelName;
use lineage_core::pointer::describe_external;
use lineage_core::settings::Settings;

use crate::args::{DryRun, Global};
use crate::error::{CliError, ErrorKind};
use crate::output::Output;
use crate::settings;

/// Make a registry (.lineage/) and a commented lineage.toml in this folder
///
/// What is there already is left alone.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    lineage init\n  \
    lineage init --pointer-file fraud=models/PROD_POINTER.txt\n  \
    lineage init -R ../other-project")]
pub(crate) struct InitArgs {
    /// Have lineage write the file that names what is live (`prod`) of a model; the path is
    /// relative to the project
    #[arg(long, value_name = "MODEL=PATH")]
    pointer_file: Vec<String>,
    #[command(flatten)]
    dry_run: DryRun,
}

pub(crate) fn run(args: &InitArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    let folder = settings::planned_folder(global)?;
    let mut pointer_files: Vec<(ModelName, String)> = Vec::new();
    for text in &args.pointer_file {
        let (model, path) = text.split_once('=').ok_or_else(|| {
            CliError::new(ErrorKind::Usage, format!("--pointer-file {text}: expected MODEL=PATH"))
        })?;
        pointer_files.push((model.parse()?, path.to_owned()));
    }
    let request = InitRequest {
        folder: folder.clone(),
        pointer_files: pointer_files.clone(),
        dry_run: args.dry_run.dry_run,
    };
    let made =
        settings::with_context(global, output, Some(&folder_or_parent(&folder)), |context| {
            Ok(init(&request, context)?)
        })?;
    if !made.dry_run {
        tell_existing_files(global, output, &pointer_files)?;
    }
    output.result("lineage.init/1", &made, &made.registry, || {
        let verb = match (made.changed, made.dry_run) {
            (false, _) => "There is already a registry in",
            (true, true) => "Would make a registry in",
            (true, false) => "Made a registry in",
        };
        format!("{verb} {}", made.registry)
    })?;
    output.hint("next: lineage record MODEL --artifact PATH --data training=PATH");
    Ok(())
}

/// A folder that exists, to ask git in.
fn folder_or_parent(folder: &std::path::Path) -> std::path::PathBuf {
    let found = folder.ancestors().find(|folder| folder.is_dir());
    found.unwrap_or(std::path::Path::new(".")).to_owned()
}

/// Says what a pointer file that is there already seems to name.
fn tell_existing_files(
    global: &Global,
    output: &Output,
    files: &[(ModelName, String)],
) -> Result<(), CliError> {
    if files.is_empty() {
        return Ok(());
    }
    let layout = settings::layout(global)?;
    let configured = Settings::load(&layout.settings())?;
    settings::with_context(global, output, None, |context| {
        let registry = lineage_core::store::Registry::open_read_only(&layout, context)?;
        for (model, pointer, file) in configured.pointer_files() {
            let ours = files.iter().any(|(m, path)| *m == model && *path == file.path);
            if ours && layout.absolute(&file.path).exists() {
                let report =
                    registry.read(|reader| describe_external(reader, &model, &file, None))?;
                output.warning(&format!("{} exists already: {report}", file.path));
                output.hint(&format!(
                    "record that version, then `lineage promote {model}{} --accept-external`",
                    super::promote::pointer_flag(&pointer)
                ));
            }
        }
        Ok(())
    })
}
