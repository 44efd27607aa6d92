//! `lineage import gto`

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lineage_core::files::reason;
use lineage_core::interop::gto::{GtoRequest, TAG_FORMAT, import};

use crate::args::{DryRun, Global};
use crate::error::{CliError, ErrorKind};
use crate::output::Output;

/// Import versions and stages from the git tags of GTO
///
/// Each tag becomes a session with its object id, tagger, date and message as claims. A registration
/// makes a version when dvc.yaml or artifacts.yaml gives the artifact's path and the file there is the
/// one of the tag's commit.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    lineage import gto --dry-run\n  \
    lineage import gto ../fraud-registry")]
pub(crate) struct GtoArgs {
    /// The working tree of the git repository
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    dry_run: DryRun,
}

pub(crate) fn run(args: GtoArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    let folder = args.folder;
    let tags = git(&folder, &["for-each-ref", &format!("--format={TAG_FORMAT}"), "refs/tags"])?;
    let in_commit = |commit: &str, path: &str| {
        let committed =
            git(&folder, &["rev-parse", "--verify", "-q", &format!("{commit}:./{path}")]);
        let present = git(&folder, &["hash-object", "--no-filters", "--", path]);
        matches!((committed, present), (Ok(a), Ok(b)) if a == b && !a.is_empty())
    };
    let dry_run = args.dry_run.dry_run;
    let request =
        GtoRequest { folder: folder.clone(), tags: &tags, in_commit: &in_commit, dry_run };
    let schema = "lineage.import-gto/1";
    super::carry_out(global, output, schema, dry_run, |registry, settings, context| {
        import(registry, settings, &request, context)
    })
}

/// What git answers.
fn git(folder: &Path, arguments: &[&str]) -> Result<Vec<u8>, CliError> {
    let ran = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            CliError::new(ErrorKind::Failure, format!("git could not be run: {}", reason(&error)))
                .hint("install git")
        })?;
    if ran.status.success() {
        return Ok(ran.stdout);
    }
    let said = String::from_utf8_lossy(&ran.stderr).trim().to_owned();
    let shown = folder.display();
    Err(CliError::new(ErrorKind::Usage, format!("{shown} cannot be read by git: {said}"))
        .hint("name the working tree of a git repository"))
}
