//! `lineage help`

use clap::CommandFactory as _;
use serde::Serialize;

use crate::args::Cli;
use crate::error::{CliError, ErrorKind};
use crate::output::Output;

/// Explain a command, or a topic: exit-codes, environment
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  lineage help record\n  lineage help exit-codes\n  lineage help environment"
)]
pub(crate) struct HelpArgs {
    /// A command (`record`, `pointer unset`) or a topic
    #[arg(value_name = "COMMAND|TOPIC")]
    words: Vec<String>,
}

/// The exit codes, as `docs/exit-codes.md` has them.
pub(crate) const EXIT_CODES: &str = "\
Exit codes

    0  done; also when it was already so (\"changed\": false)
    1  failure: a read-only place, a full disk, an input that changed while it was read,
       a registry from a newer lineage
    2  usage: a wrong flag or value, a typo in lineage.toml, a Git LFS pointer or DVC file
       instead of the real one, a named pipe or device, the same key twice
    3  denied by a policy or gate; a quarantined version
    4  integrity: bytes differ or are missing, the log or the database is damaged
    5  not found: no registry, no such path, model, version or pointer
    6  conflict: the pointer moved, its file was edited, a label or key is taken
    7  an approval is pending
    8  gave up waiting for another lineage process
   10  there are differences (only with --exit-code)
  130  interrupted
";

/// The environment, as the README has it.
pub(crate) const ENVIRONMENT: &str = "\
Environment

  LINEAGE_REGISTRY   the registry, unless -R names one: a .lineage folder or the folder
                     that holds it
  LINEAGE_ACTOR      who acts, unless --actor says so: `Name <mail>`; else the identity
                     configured in git, else the login name. The source is recorded.
  NO_COLOR           when set, nothing is coloured

  LINEAGE_ENVIRONMENT
                     `none`: record captures no code, packages and machine, unless
                     --environment says so
  VIRTUAL_ENV, CONDA_PREFIX
                     the Python and the conda environment whose packages `record` captures
  LINEAGE_METRICS    set for the command of `lineage reproduce REF -- COMMAND`: the file that
                     it may write its metrics to

git, when it is asked who acts, reads its own variables (GIT_AUTHOR_NAME, …). No variable of
the environment is recorded.
";

pub(crate) fn run(args: &HelpArgs, output: &mut Output) -> Result<(), CliError> {
    let words: Vec<&str> = args.words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["exit-codes"] => return show(output, "exit-codes", EXIT_CODES),
        ["environment"] => return show(output, "environment", ENVIRONMENT),
        _ => {}
    }
    let mut command = <Cli>::command();
    command.build();
    let mut current = &mut command;
    for word in words {
        current = current.find_subcommand_mut(word).ok_or_else(|| {
            CliError::new(ErrorKind::Usage, format!("there is no command or topic \"{word}\""))
                .hint(
                    "lineage --help lists the commands; the topics are exit-codes and environment",
                )
        })?;
    }
    let text = current.render_long_help().to_string();
    show(output, &args.words.join(" "), &text)
}

#[derive(Serialize)]
struct Shown<'a> {
    topic: &'a str,
    text: &'a str,
}

fn show(output: &mut Output, topic: &str, text: &str) -> Result<(), CliError> {
    output.result("lineage.help/1", &Shown { topic, text }, text, || text.to_owned())
}
