//! `lineage pointer …`

pub(crate) mod list;
pub(crate) mod unset;

use crate::args::Global;
use crate::error::CliError;
use crate::output::Output;

/// List pointers, or take one away
#[derive(clap::Subcommand)]
pub(crate) enum PointerCommand {
    List(list::ListArgs),
    Unset(unset::UnsetArgs),
}

pub(crate) fn run(
    command: PointerCommand,
    global: &Global,
    output: &mut Output,
) -> Result<(), CliError> {
    match command {
        PointerCommand::List(args) => list::run(&args, global, output),
        PointerCommand::Unset(args) => unset::run(args, global, output),
    }
}
