//! `lineage fingerprint`

use std::path::{Path, PathBuf};

use lineage_core::context::Context;
use lineage_core::digest::{Kind, Sha256};
use lineage_core::fingerprint::{
    Fingerprint, Input, Readings, TableOptions, Typing, fingerprint_unless_known,
    fingerprint_unordered,
};
use lineage_core::layout::slashed;
use lineage_core::lookup;
use lineage_core::profile::{ColumnProfile, TableProfile};
use lineage_core::store::{Cache, Reader, Registry};
use lineage_core::table::{ColumnDigest, ColumnKind, RowSum};
use serde::Serialize;

use crate::args::Global;
use crate::error::CliError;
use crate::facts::expanded;
use crate::output::Output;
use crate::tables::TableArgs;
use crate::unordered::{self, Unordered};
use crate::{render, settings};

/// Print the digests of files and folders; of tables also those of their content
///
/// The content digest of a table is equal for the same rows in CSV, Parquet, Arrow and NDJSON. Inside a
/// project, files that are unchanged since they were last read are not read again, which the output
/// says, and the metadata.json that lineage wrote into a model's folder is left out, as it is when the
/// model is recorded. Nothing else is written, and no registry is needed.
///
/// With --unordered tables get a second digest, equal for the same rows in any order. Those of parts that
/// were read on different machines are added up with --merge. It withstands accidents, not adversaries:
/// who may choose rows can make two tables with one such digest.
#[derive(clap::Args, Clone)]
#[command(
    after_help = "Examples:\n  lineage fingerprint data/train.csv\n  lineage fingerprint models/v3 --json\n  lineage fingerprint data/*.parquet --columns\n  lineage fingerprint data/train.csv --like data/train.parquet\n  lineage fingerprint data/train.parquet --profile\n  lineage fingerprint data/by_day --hive\n  lineage fingerprint part-1.csv --schema columns.json --unordered --json > part-1.json\n  lineage fingerprint --merge part-1.json part-2.json"
)]
pub(crate) struct FingerprintArgs {
    /// Files or folders; with --merge the documents of their parts, `-` for standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// List the columns of tables
    #[arg(long)]
    columns: bool,
    /// Describe the values of each column of tables
    #[arg(long)]
    profile: bool,
    /// Of tables also a digest of the rows in any order; not for adversaries
    #[arg(long)]
    unordered: bool,
    /// Add up documents that --unordered --json wrote of parts of a table; not for adversaries
    #[arg(long, conflicts_with_all = ["unordered", "columns", "profile", "exclude", "TableArgs"])]
    merge: bool,
    /// Leave matching files out of folders
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    #[command(flatten)]
    tables: TableArgs,
}

#[derive(Serialize)]
struct Line {
    path: String,
    kind: &'static str,
    size_bytes: u64,
    sha256: Sha256,
    hashed: &'static str,
    content_sha256: Option<Sha256>,
    content_sorted_sha256: Option<Sha256>,
    typing: Option<Typing>,
    rows: Option<u64>,
    columns: Option<Vec<Column>>,
    table_problem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<TableProfile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unordered: Option<Unordered>,
}

#[derive(Serialize)]
struct Column {
    name: String,
    r#type: ColumnKind,
    nulls: u64,
    sha256: Sha256,
}

pub(crate) fn run(
    args: &FingerprintArgs,
    global: &Global,
    output: &mut Output,
) -> Result<(), CliError> {
    output.observer().listen_for_interrupts();
    let args = &FingerprintArgs { paths: expanded(&args.paths)?, ..args.clone() };
    if args.merge {
        return unordered::merge(&args.paths, output);
    }
    let (options, found) = settings::perhaps_reading(global, output, |registry, context| {
        let options = options(args, registry.map(|(registry, _)| registry), context)?;
        let Some((registry, layout)) = registry else {
            let found = all(args, &options, None, None, output)?;
            return Ok((options, found));
        };
        let cache = args.tables.cache().then(|| Cache::open(layout, context)).flatten();
        let found =
            registry.read(|reader| all(args, &options, Some(reader), cache.as_ref(), output))?;
        Ok((options, found))
    })?;
    let mut lines = Vec::new();
    for (path, (found, sum)) in args.paths.iter().zip(found) {
        if args.unordered && sum.is_none() {
            return Err(unordered::no_rows(path, &found));
        }
        warn(path, &found, &options, output);
        lines.push(line(slashed(path)?, found, sum.as_ref()));
    }
    output.stream(
        "lineage.fingerprint/1",
        &lines,
        |line| line.sha256.to_string(),
        || text(&lines, args.columns),
    )
}

/// What is worth knowing of how a path was read.
fn warn(path: &Path, found: &Fingerprint, options: &TableOptions, output: &Output) {
    let shown = path.display();
    if let Some(problem) = &found.table_problem {
        let problem = render::safe(problem);
        output.warning(&format!("{shown}: not readable as a table: {problem}"));
    } else if let Some(unused) = options.unused_for(found.table.as_ref().map(|t| t.format)) {
        output.warning(&format!("{shown}: {unused}"));
    }
    let table = found.table.as_ref();
    if let Some(doubt) = table.and_then(|table| table.doubtful_delimiter(options)) {
        output.warning(&format!("{shown} has {doubt}"));
    }
    for (inside, stand_in) in &found.stand_ins {
        let inside = path.join(inside);
        output.warning(&format!("{} is {stand_in}, not the real file", inside.display()));
    }
}

fn options(
    args: &FingerprintArgs,
    registry: Option<&Registry>,
    context: &Context<'_>,
) -> Result<TableOptions, CliError> {
    let declared = args.tables.declared(registry, context)?;
    let columns = declared.map(|declared| declared.columns);
    Ok(TableOptions { columns, profile: args.profile, ..args.tables.options()? })
}

fn all(
    args: &FingerprintArgs,
    options: &TableOptions,
    reader: Option<&Reader<'_>>,
    cache: Option<&Cache>,
    output: &Output,
) -> Result<Vec<(Fingerprint, Option<RowSum>)>, CliError> {
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
            input.table = Some(options.clone());
            input
        })
        .collect();
    let readings = cache.map(|cache| cache as &dyn Readings);
    if args.unordered {
        return Ok(fingerprint_unordered(&inputs, readings, output.observer())?);
    }
    let found = fingerprint_unless_known(&inputs, readings, output.observer())?;
    Ok(found.into_iter().map(|found| (found, None)).collect())
}

fn line(path: String, found: Fingerprint, sum: Option<&RowSum>) -> Line {
    let kind = match (found.kind, &found.table) {
        (Kind::Directory, _) => "directory",
        (Kind::File, Some(_)) => "table",
        (Kind::File, None) => "file",
    };
    let columns = found.table.as_ref().map(|table| {
        let column = |column: &ColumnDigest| Column {
            name: column.name.clone(),
            r#type: column.kind.clone(),
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
        hashed: if found.from_cache { "cache" } else { "bytes" },
        content_sha256: digest.map(|digest| digest.content_sha256),
        content_sorted_sha256: digest.map(|digest| digest.content_sorted_sha256),
        typing: found.table.as_ref().map(|table| table.typing),
        rows: digest.map(|digest| digest.rows),
        columns,
        table_problem: found.table_problem,
        profile: found.table.and_then(|table| table.profile),
        unordered: sum.map(Unordered::of),
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
        let unread = if line.hashed == "cache" { ", unchanged since last read" } else { "" };
        out.push_str(&format!(
            "{}  {}  ({}, {}{shape}{unread})\n",
            line.sha256,
            render::safe(&line.path),
            line.kind,
            render::bytes(line.size_bytes)
        ));
        if let Some(content) = line.content_sha256 {
            let inferred = match line.typing {
                Some(Typing::Inferred) => "  (types inferred)",
                _ => "",
            };
            out.push_str(&format!("{content}  content{inferred}\n"));
        }
        if let Some(unordered) = &line.unordered {
            out.push_str(&unordered.text());
        }
        match (&line.profile, &line.columns) {
            (Some(profile), _) => out.push_str(&profile_text(profile)),
            (None, Some(columns)) if list_columns => out.push_str(&columns_text(columns)),
            _ => {}
        }
    }
    out
}

fn columns_text(columns: &[Column]) -> String {
    let mut rows = vec![["    column", "type", "nulls", "sha256"].map(str::to_owned).to_vec()];
    rows.extend(columns.iter().map(|column| {
        vec![
            format!("    {}", render::safe(&column.name)),
            render::safe(&column.r#type.to_string()),
            column.nulls.to_string(),
            column.sha256.short(),
        ]
    }));
    render::table(&rows)
}

fn profile_text(profile: &TableProfile) -> String {
    let heads =
        ["    column", "type", "nulls", "distinct", "min", "median", "max", "most frequent"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(profile.columns.iter().map(|column| {
        let found = &column.profile;
        vec![
            format!("    {}", render::safe(&column.name)),
            render::safe(&column.kind.to_string()),
            found.nulls.to_string(),
            distinct(found),
            value(found.min.as_ref()),
            value(found.quantiles.as_ref().map(|quantiles| &quantiles.p50)),
            value(found.max.as_ref()),
            frequent(found),
        ]
    }));
    let mut out = render::table(&rows);
    if let Some(range) = &profile.date_range {
        let (min, max) = (value(Some(&range.min)), value(Some(&range.max)));
        out.push_str(&format!("    {}: {min} to {max}\n", render::safe(&range.column)));
    }
    out
}

/// Longer values are cut.
const CELL_CHARS_MAX: usize = 20;

fn value(value: Option<&serde_json::Value>) -> String {
    let text = match value {
        None => return "-".to_owned(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let text = render::safe(&text);
    if text.chars().count() <= CELL_CHARS_MAX {
        return text;
    }
    let cut: String = text.chars().take(CELL_CHARS_MAX - 1).collect();
    format!("{cut}…")
}

fn distinct(profile: &ColumnProfile) -> String {
    match profile.distinct {
        Some(distinct) if distinct.exact => distinct.count.to_string(),
        Some(distinct) => format!("~{}", distinct.count),
        None => "-".to_owned(),
    }
}

fn frequent(profile: &ColumnProfile) -> String {
    match profile.top_values.first() {
        Some(top) if top.count > 1 => {
            let share = 100.0 * top.count as f64 / profile.count.max(1) as f64;
            format!("{} ({share:.1} %)", value(Some(&top.value)))
        }
        _ => "-".to_owned(),
    }
}
