//! `lineage import mlflow`

use std::path::PathBuf;

use lineage_core::interop::mlflow::{MlflowRequest, import};

use crate::args::{DryRun, Global};
use crate::error::CliError;
use crate::output::Output;

/// Import runs, metrics, registered models and aliases from MLflow's SQLite database
///
/// A run becomes a session of the model that was registered from it, else of a model named after its
/// experiment. A model version whose files are found becomes a version, labelled `mlflow-N`. The
/// database is only read.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    lineage import mlflow mlflow.db --dry-run\n  \
    lineage import mlflow mlflow.db --artifacts /srv/mlartifacts\n  \
    lineage import mlflow mlflow.db --aliases-as-pointers")]
pub(crate) struct MlflowArgs {
    /// The database, e.g. mlflow.db
    #[arg(value_name = "DATABASE")]
    database: PathBuf,
    /// The folder of artifacts, when it is not where the database says; else `mlruns` and
    /// `mlartifacts` beside the database are tried
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
    /// Set a pointer for each alias whose version has its files
    #[arg(long)]
    aliases_as_pointers: bool,
    #[command(flatten)]
    dry_run: DryRun,
}

pub(crate) fn run(args: MlflowArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    let request = MlflowRequest {
        database: args.database,
        artifacts: args.artifacts,
        aliases_as_pointers: args.aliases_as_pointers,
        dry_run: args.dry_run.dry_run,
    };
    let schema = "lineage.import-mlflow/1";
    super::carry_out(global, output, schema, request.dry_run, |registry, settings, context| {
        import(registry, settings, &request, context)
    })
}
