//! The command line as a whole: global flags, and the list of commands.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use lineage_core::redaction;
use lineage_core::store::Moment;

use crate::commands::{
    adopt, checkout, completions, demo, diff, doctor, fingerprint, graph, help, history, impact,
    import, init, inspect, log, pointer, promote, record, reproduce, resolve, rollback, run,
    search, session, show, status, verify,
};
use crate::error::{CliError, ErrorKind};
use crate::output::{Output, to_stderr, to_stdout};
use crate::settings;

/// Record training runs, release models, roll back, and prove that nothing was altered
///
/// A registry is one folder, `.lineage/`, made by `lineage init`. Every change is one entry of a
/// tamper-evident log; the bytes of models are kept by SHA-256, so that a rollback works.
#[derive(Parser)]
#[command(
    name = "lineage",
    version,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "First steps:\n  \
        lineage demo                        see the whole story in a temporary folder\n  \
        lineage init                        make a registry in this folder\n  \
        lineage record fraud --artifact models/v1 --data training=data/train.csv\n  \
        lineage promote fraud               make the newest version live\n  \
        lineage resolve fraud               print the live model's path, bytes verified\n\n\
        Topics: lineage help exit-codes, lineage help environment"
)]
pub(crate) struct Cli<C: Subcommand = Command> {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: C,
}

/// Flags that every command understands.
#[derive(Args, Clone, Default)]
pub(crate) struct Global {
    /// The registry: a `.lineage` folder or the folder that holds it [env: LINEAGE_REGISTRY]
    #[arg(short = 'R', long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub(crate) registry: Option<PathBuf>,
    /// Who acts, as `Name <mail>` [env: LINEAGE_ACTOR; else git's identity, else the login]
    #[arg(long, global = true, value_name = "WHO", help_heading = "Global options")]
    pub(crate) actor: Option<String>,
    /// Print the result, or the error, as JSON on standard output
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// Print the bare result: an id, a path, nothing else
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Global options")]
    pub(crate) quiet: bool,
    /// Tell each step on standard error
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub(crate) verbose: bool,
    /// Use colours
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true,
        help_heading = "Global options"
    )]
    pub(crate) color: Color,
    /// Never ask; fail and name the flag to pass instead
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) no_input: bool,
    /// Answer yes to every question
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub(crate) yes: bool,
    /// How long to wait for another lineage process before giving up with exit code 8
    #[arg(
        long,
        global = true,
        value_name = "SECONDS",
        default_value_t = 30,
        help_heading = "Global options"
    )]
    pub(crate) lock_timeout: u64,
}

/// For verbs that change something.
#[derive(Args, Clone, Copy, Default)]
pub(crate) struct DryRun {
    /// Make every check, write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// For verbs that can answer for the past.
#[derive(Args, Clone, Copy)]
pub(crate) struct AtArg {
    /// Answer as of then: 2026-03-01 (its end, in UTC), 2026-03-01T09:30:00Z, or seq:7 (a log entry).
    /// The order of the log counts: a clock that ran back changes nothing
    #[arg(long, value_name = "T")]
    pub(crate) at: Option<Moment>,
}

/// For verbs that list.
#[derive(Args, Clone, Copy)]
pub(crate) struct LimitArg {
    /// At most so many
    #[arg(
        long, default_value = "50", value_name = "N", value_parser = one_or_more,
        allow_hyphen_values = true
    )]
    pub(crate) limit: u64,
}

fn one_or_more(text: &str) -> Result<u64, &'static str> {
    text.parse().ok().filter(|number| *number > 0).ok_or("expected a whole number from 1 on")
}

/// When to use colours.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Init(init::InitArgs),
    Record(Box<record::RecordArgs>),
    Run(Box<run::RunArgs>),
    #[command(subcommand)]
    Session(Box<session::SessionCommand>),
    Log(log::LogArgs),
    Search(search::SearchArgs),
    Show(show::ShowArgs),
    History(history::HistoryArgs),
    Status(status::StatusArgs),
    Promote(promote::PromoteArgs),
    Rollback(rollback::RollbackArgs),
    #[command(subcommand)]
    Pointer(pointer::PointerCommand),
    Resolve(resolve::ResolveArgs),
    Checkout(checkout::CheckoutArgs),
    Verify(verify::VerifyArgs),
    Fingerprint(fingerprint::FingerprintArgs),
    Diff(Box<diff::DiffArgs>),
    Graph(graph::GraphArgs),
    Impact(impact::ImpactArgs),
    Inspect(inspect::InspectArgs),
    Reproduce(Box<reproduce::ReproduceArgs>),
    Adopt(adopt::AdoptArgs),
    #[command(subcommand)]
    Import(import::ImportCommand),
    Demo(demo::DemoArgs),
    Doctor(doctor::DoctorArgs),
    Completions(completions::CompletionsArgs),
    Help(help::HelpArgs),
}

/// What services run whenever they start. It is parsed without building the other commands, and
/// they are all built for everything that is no such command: mistakes, and help.
#[derive(Subcommand)]
enum Frequent {
    Resolve(resolve::ResolveArgs),
}

impl From<Frequent> for Command {
    fn from(Frequent::Resolve(args): Frequent) -> Command {
        Command::Resolve(args)
    }
}

/// Parses the arguments. Help and version are printed here; so are mistakes, as JSON if `--json`
/// stands among the arguments.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Cli, ExitCode> {
    if let [_, only] = arguments
        && (only == "--version" || only == "-V")
    {
        to_stdout(&format!("{}\n", settings::WRITER));
        return Err(ExitCode::SUCCESS);
    }
    if arguments.iter().any(|argument| argument == "resolve")
        && let Ok(Cli::<Frequent> { global, command }) = Cli::try_parse_from(arguments)
    {
        return Ok(Cli { global, command: command.into() });
    }
    let error = match Cli::try_parse_from(arguments) {
        Ok(cli) => return Ok(cli),
        Err(error) => error,
    };
    let json = arguments.iter().skip(1).take_while(|a| *a != "--").any(|a| a == "--json");
    if !error.use_stderr() {
        let _ = error.print();
        return Err(ExitCode::SUCCESS);
    }
    // What was typed is part of the message.
    let typed: Vec<String> =
        arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let whole = error.render().to_string();
    let text = redaction::without_typed(&whole, &typed);
    if !json {
        match text == whole {
            true => drop(error.print()),
            false => to_stderr(&text),
        }
        return Err(ExitCode::from(2));
    }
    let mut paragraphs = text.split("\n\n");
    let message = paragraphs.next().unwrap_or("wrong usage").trim_start_matches("error: ");
    let tip = text.lines().find_map(|line| line.trim().strip_prefix("tip: "));
    let last = text.lines().rev().map(str::trim).find(|line| !line.is_empty());
    let hint = tip.or(last);
    let error =
        CliError::new(ErrorKind::Usage, message.split_whitespace().collect::<Vec<_>>().join(" "))
            .hint(hint.unwrap_or("lineage --help").to_owned());
    let mut output = Output::new(&Global { json: true, ..Global::default() });
    Err(output.finish(Err(error)))
}
