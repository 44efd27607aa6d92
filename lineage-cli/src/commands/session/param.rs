//! `lineage session param`

use std::path::PathBuf;

use super::{SessionArg, tell};
use crate::args::Global;
use crate::error::CliError;
use crate::facts::{FactArgs, usage};
use crate::output::Output;

/// Give an open session parameters, or its seed
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    lineage session param depth=6 eta=0.1\n  \
    lineage session param --file params.json --seed 42")]
pub(crate) struct ParamArgs {
    /// A parameter
    #[arg(value_name = "NAME=VALUE")]
    param: Vec<String>,
    /// Parameters from a JSON object
    #[arg(long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// The random seed, a whole number of any size
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    seed: Option<String>,
    #[command(flatten)]
    session: SessionArg,
}

pub(crate) fn run(args: ParamArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    if args.param.is_empty() && args.file.is_empty() && args.seed.is_none() {
        return Err(usage("no parameter is given").hint("lineage session param NAME=VALUE"));
    }
    let ParamArgs { param, file: params_file, seed, session } = args;
    let facts = FactArgs { param, params_file, seed, ..FactArgs::default() };
    tell(&session, &facts, |_| {}, global, output)
}
