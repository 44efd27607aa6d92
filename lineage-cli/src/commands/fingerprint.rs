//! `lineage fingerprint`

use std::path::PathBuf;

use lineage_core::digest::{Kind, Sha256};
use lineage_core::fingerprint::{Fingerprint, Input, TableOptions, fingerprint};
use lineage_core::layout::slashed;
use lineage_core::lookup;
use lineage_core::store::{Reader, Registry};
use lineage_core::table::ColumnDigest;
use serde::Serialize;

use crate::args::Global;
use crate::error::CliError;
use crate::output::Output;
use crate::{render, settings};

/// Print the digests of files and folders; tables also get their rows and columns
///
/// Needs no registry and writes nothing. Inside a project, the metadata.json that lineage wrote
/// into a model's folder is left out, as it is when the model is recorded.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  lineage fingerprint data/train.csv\n  lineage fingerprint models/v3 --json\n  lineage fingerprint data/*.parquet --columns"
)]
pub(crate) struct FingerprintArgs {
    /// Files or folders
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// List the columns of tables
    #[arg(long)]
    columns: bool,
    /// Leave matching files out of folders
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
}

#[derive(Serialize)]
struct Line {
    path: String,
    kind: &'static str,
    size_bytes: u64,
    sha256: Sha256,
    content_sha256: Option<Sha256>,
    rows: Option<u64>,
    columns: Option<Vec<Column>>,
}

#[derive(Serialize)]
struct Column {
    name: String,
    r#type: String,
    nulls: u64,
    sha256: Sha256,
}

pub(crate) fn run(
    args: &FingerprintArgs,
    global: &Global,
    output: &mut Output,
) -> Result<(), CliError> {
    output.observer().listen_for_interrupts();
    let named = global.registry.is_some();
    let found = match settings::layout(global) {
        Ok(layout) => settings::with_context(global, output, None, |context| {
            let registry = Registry::open_read_only(&layout, context)?;
            registry.read(|reader| all(args, Some(reader), output))
        })?,
        Err(error) if named => return Err(error),
        Err(_) => all(args, None, output)?,
    };
    let mut lines = Vec::new();
    for (path, found) in args.paths.iter().zip(found) {
        if let Some(problem) = &found.table_problem {
            output.warning(&format!("{}: not readable as a table: {problem}", path.display()));
        }
        for (inside, stand_in) in &found.stand_ins {
            output.warning(&format!(
                "{} is {stand_in}, not the real file",
                path.join(inside).display()
            ));
        }
        lines.push(line(slashed(path)?, found));
    }
    output.stream(
        "lineage.fingerprint/1",
        &lines,
        |line| line.sha256.to_string(),
        || text(&lines, args.columns),
    )
}

fn all(
    args: &FingerprintArgs,
    reader: Option<&Reader<'_>>,
    output: &Output,
) -> Result<Vec<Fingerprint>, CliError> {
    // In each folder, the metadata.json that lineage wrote there.
    let own = |path: &PathBuf| {
        let recorded = reader.and_then(|reader| reader.layout().recorded(path).ok());
        move |bytes: &[u8]| match (reader, &recorded) {
            (Some(reader), Some(path)) => lookup::is_own_metadata(reader, path, bytes),
            _ => false,
        }
    };
    let own: Vec<_> = args.paths.iter().map(own).collect();
    let inputs: Vec<Input<'_>> = args
        .paths
        .iter()
        .zip(&own)
        .map(|(path, own)| {
            let mut input: Input<'_> = Input::new(path);
            input.exclude.clone_from(&args.exclude);
            input.own_file = Some(own);
            input.table = Some(TableOptions::default());
            input
        })
        .collect();
    Ok(fingerprint(&inputs, output.observer())?)
}

fn line(path: String, found: Fingerprint) -> Line {
    let kind = match (found.kind, &found.table) {
        (Kind::Directory, _) => "directory",
        (Kind::File, Some(_)) => "table",
        (Kind::File, None) => "file",
    };
    let columns = found.table.as_ref().map(|table| {
        let column = |column: &ColumnDigest| Column {
            name: column.name.clone(),
            r#type: column.kind.to_string(),
            nulls: column.nulls,
            sha256: column.sha256,
        };
        table.digest.columns.iter().map(column).collect()
    });
    let digest = found.table.as_ref().map(|table| &table.digest);
    Line {
        path,
        kind,
        size_bytes: found.size_bytes,
        sha256: found.sha256,
        content_sha256: digest.map(|digest| digest.content_sha256),
        rows: digest.map(|digest| digest.rows),
        columns,
    }
}

fn text(lines: &[Line], list_columns: bool) -> String {
    let mut out = String::new();
    for line in lines {
        let shape = match (line.rows, &line.columns) {
            (Some(rows), Some(columns)) => format!(
                ", {} × {}",
                render::count(rows, "row"),
                render::count(columns.len() as u64, "column")
            ),
            _ => String::new(),
        };
        out.push_str(&format!(
            "{}  {}  ({}, {}{shape})\n",
            line.sha256,
            render::safe(&line.path),
            line.kind,
            render::bytes(line.size_bytes)
        ));
        for column in line.columns.iter().flatten().filter(|_| list_columns) {
            out.push_str(&format!("    {}\n", render::safe(&column.name)));
        }
    }
    out
}
