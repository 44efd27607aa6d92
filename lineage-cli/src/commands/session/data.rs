//! `lineage session data`

use std::ffi::OsString;

use super::{SessionArg, tell};
use crate::args::Global;
use crate::error::CliError;
use crate::facts::FactArgs;
use crate::output::Output;
use crate::tables::TableArgs;

/// Name data that an open session uses; it is hashed now
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    lineage session data training=data/train.csv validation=data/valid.csv\n  \
    lineage session data training:labels=data/labels.parquet --source training=s3://lake/labels")]
pub(crate) struct DataArgs {
    /// Its role (training, validation, test or another word) and path
    #[arg(required = true, value_name = "ROLE[:NAME]=PATH")]
    data: Vec<OsString>,
    /// What was done to the data of a role, in words
    #[arg(long, value_name = "ROLE=TEXT")]
    transform: Vec<String>,
    /// Where the data of a role came from
    #[arg(long, value_name = "ROLE=URI")]
    source: Vec<String>,
    /// The rows of a role's data that were used, counted from 0, both included
    #[arg(long, value_name = "ROLE=FIRST..LAST")]
    rows: Vec<String>,
    /// Leave matching files out of folders; `*` stays within a folder, `**` does not
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Make no statistical profile of the data
    #[arg(long)]
    no_profile: bool,
    #[command(flatten)]
    tables: TableArgs,
    #[command(flatten)]
    session: SessionArg,
}

pub(crate) fn run(args: DataArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    let DataArgs { data, transform, source, rows, exclude, no_profile, tables, session } = args;
    let facts = FactArgs {
        data,
        transform,
        source,
        rows,
        exclude,
        no_profile,
        tables,
        ..FactArgs::default()
    };
    tell(&session, &facts, |_| {}, global, output)
}
