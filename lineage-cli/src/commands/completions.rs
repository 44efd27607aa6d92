//! `lineage completions`

use clap::CommandFactory as _;
use clap_complete::Shell;
use serde::Serialize;

use crate::args::Cli;
use crate::error::CliError;
use crate::output::Output;

/// Print a completion script for a shell
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    lineage completions bash > /etc/bash_completion.d/lineage\n  \
    lineage completions zsh > ~/.zfunc/_lineage\n  \
    lineage completions fish > ~/.config/fish/completions/lineage.fish")]
pub(crate) struct CompletionsArgs {
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs, output: &mut Output) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut <Cli>::command(), "lineage", &mut script);
    let shown = Shown {
        shell: args.shell.to_string(),
        script: String::from_utf8_lossy(&script).into_owned(),
    };
    output.result("lineage.completions/1", &shown, &shown.script, || shown.script.clone())
}

#[derive(Serialize)]
struct Shown {
    shell: String,
    script: String,
}
