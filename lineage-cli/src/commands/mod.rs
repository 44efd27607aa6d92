//! One file per command; the path is the command line.

pub(crate) mod adopt;
pub(crate) mod checkout;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod fingerprint;
pub(crate) mod graph;
pub(crate) mod help;
pub(crate) mod history;
pub(crate) mod impact;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod log;
pub(crate) mod pointer;
pub(crate) mod promote;
pub(crate) mod record;
pub(crate) mod reproduce;
pub(crate) mod resolve;
pub(crate) mod rollback;
pub(crate) mod run;
pub(crate) mod search;
pub(crate) mod session;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod verify;

use std::process::ExitCode;

use crate::args::{Cli, Command};
use crate::error::CliError;
use crate::output::Output;

/// Runs the command.
pub(crate) fn dispatch(cli: Cli, output: &mut Output) -> Result<ExitCode, CliError> {
    let global = &cli.global;
    match cli.command {
        Command::Run(args) => return run::run(&args, global, output),
        Command::Init(args) => init::run(&args, global, output),
        Command::Record(args) => record::run(*args, global, output),
        Command::Session(command) => session::run(*command, global, output),
        Command::Log(args) => log::run(&args, global, output),
        Command::Search(args) => search::run(&args, global, output),
        Command::Show(args) => show::run(&args, global, output),
        Command::History(args) => history::run(&args, global, output),
        Command::Status(args) => status::run(&args, global, output),
        Command::Promote(args) => promote::run(args, global, output),
        Command::Rollback(args) => rollback::run(args, global, output),
        Command::Pointer(command) => pointer::run(command, global, output),
        Command::Resolve(args) => resolve::run(&args, global, output),
        Command::Checkout(args) => checkout::run(&args, global, output),
        Command::Verify(args) => verify::run(&args, global, output),
        Command::Fingerprint(args) => fingerprint::run(&args, global, output),
        Command::Diff(args) => diff::run(&args, global, output),
        Command::Graph(args) => graph::run(&args, global, output),
        Command::Impact(args) => impact::run(&args, global, output),
        Command::Inspect(args) => inspect::run(&args, global, output),
        Command::Reproduce(args) => reproduce::run(&args, global, output),
        Command::Demo(args) => demo::run(&args, output),
        Command::Adopt(args) => adopt::run(&args, global, output),
        Command::Import(command) => import::run(command, global, output),
        Command::Doctor(args) => doctor::run(&args, global, output),
        Command::Completions(args) => completions::run(&args, output),
        Command::Help(args) => help::run(&args, output),
    }
    .map(|()| ExitCode::SUCCESS)
}
