//! `lineage diff`

use std::path::{Path, PathBuf};

use lineage_core::context::Context;
use lineage_core::diff::{self, DataDifference, DataSide, DiffOptions, Verdict, VersionDifference};
use lineage_core::fingerprint::{Readings, TableOptions, Typing};
use lineage_core::layout::slashed;
use lineage_core::names::Reference;
use lineage_core::store::{Cache, Registry};
use serde::Serialize;

use crate::args::Global;
use crate::error::{CliError, ErrorKind};
use crate::output::Output;
use crate::tables::TableArgs;
use crate::{differences, render, settings};

/// Say what differs between two data files or folders, or between two versions
///
/// Tables are compared by content: the same rows in CSV and Parquet are "re-encoded, same content". What
/// differs is named by column and block of 65,536 rows; --key names the rows, --drift says how far the
/// values of each column have moved. Rows are counted from 0, without the header. Versions are compared by what was recorded of them; their files are
/// opened for --key and --drift only.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  lineage diff data/june.csv data/july.csv\n  lineage diff data/june.csv data/july.csv --key customer --key month\n  lineage diff data/train.csv data/train.parquet --like data/train.parquet\n  lineage diff fraud@prod fraud@latest --drift\n  lineage diff fraud@3 fraud@4 --exit-code -q"
)]
pub(crate) struct DiffArgs {
    /// A file, a folder, or a version such as fraud@3
    #[arg(value_name = "A")]
    left: PathBuf,
    /// What it is compared to, of the same sort
    #[arg(value_name = "B")]
    right: PathBuf,
    /// Match rows by this column, which tells them apart; several make one key
    #[arg(long, value_name = "COL")]
    key: Vec<String>,
    /// Compare the distributions of columns: PSI, and Kolmogorov-Smirnov
    #[arg(long)]
    drift: bool,
    /// End with exit code 10 when the content differs, or cannot be compared
    #[arg(long)]
    exit_code: bool,
    /// Leave matching files out of folders
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    #[command(flatten)]
    tables: TableArgs,
}

#[derive(Serialize)]
struct Shown {
    of: &'static str,
    verdict: Verdict,
    differs: bool,
    data: Option<Box<DataDifference>>,
    versions: Option<Box<VersionDifference>>,
}

/// What an argument names.
enum Named {
    Path(PathBuf),
    Version(Reference),
}

impl Named {
    fn of(given: &Path) -> Result<Named, CliError> {
        if given.symlink_metadata().is_ok() {
            slashed(given)?;
            return Ok(Named::Path(given.to_owned()));
        }
        match given.to_str().filter(|text| text.contains('@')).map(str::parse) {
            Some(Ok(reference)) => Ok(Named::Version(reference)),
            _ => {
                let message = format!("there is no file or folder {}", given.display());
                Err(CliError::new(ErrorKind::NotFound, message)
                    .hint("check the path; a version is written MODEL@VERSION, e.g. fraud@3"))
            }
        }
    }
}

pub(crate) fn run(args: &DiffArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    output.observer().listen_for_interrupts();
    let shown = match (Named::of(&args.left)?, Named::of(&args.right)?) {
        (Named::Path(left), Named::Path(right)) => {
            let found = files(args, &left, &right, global, output)?;
            Shown::new(found.verdict, Some(Box::new(found)), None)
        }
        (Named::Version(left), Named::Version(right)) => {
            let found = versions(args, &left, &right, global, output)?;
            Shown::new(found.verdict, None, Some(Box::new(found)))
        }
        (Named::Path(path), Named::Version(version))
        | (Named::Version(version), Named::Path(path)) => {
            let message =
                format!("{} is a file or folder, and {version} is a version", path.display());
            return Err(CliError::new(ErrorKind::Usage, message).hint(
                "compare two paths, or two versions; `lineage show` names a version's files",
            ));
        }
    };
    for side in shown.data.iter().flat_map(|data| data.left.iter().chain(&data.right)) {
        if let Some(problem) = &side.table_problem {
            output.warning(&format!("{}: not readable as a table: {problem}", side.path));
        }
    }
    output.result("lineage.diff/1", &shown, shown.verdict.word(), || shown.text())?;
    if let Some(hint) = shown.hint(args) {
        output.hint(&hint);
    }
    match shown.differs && args.exit_code {
        true => Err(CliError::reported(ErrorKind::Differences)),
        false => Ok(()),
    }
}

fn files(
    args: &DiffArgs,
    left: &Path,
    right: &Path,
    global: &Global,
    output: &Output,
) -> Result<DataDifference, CliError> {
    let compare = |registry: Option<&Registry>, cache: Option<Cache>, context: &Context<'_>| {
        let tables = table_options(args, registry, context)?;
        let options = options(args, &tables, cache.as_ref());
        let found = match registry {
            Some(registry) => registry.read(|reader| {
                let found = diff::files(Some(reader), left, right, &options, context.observer)?;
                Ok::<_, CliError>(found)
            })?,
            None => diff::files(None, left, right, &options, context.observer)?,
        };
        warn_of_unused(&found, &tables, output);
        Ok(found)
    };
    settings::perhaps_reading(global, output, |registry, context| match registry {
        Some((registry, layout)) => {
            let cache = args.tables.cache().then(|| Cache::open(layout, context)).flatten();
            compare(Some(registry), cache, context)
        }
        None => compare(None, None, context),
    })
}

/// Says what of the flags neither side has a use for; one side is often the model of the other.
fn warn_of_unused(found: &DataDifference, tables: &TableOptions, output: &Output) {
    let readable = |side: &&DataSide| side.table_problem.is_none();
    let sides = found.left.iter().chain(&found.right).filter(readable);
    let unused = sides.map(|side| Some((&side.path, tables.unused_for(side.format)?)));
    for (path, unused) in unused.collect::<Option<Vec<_>>>().into_iter().flatten() {
        output.warning(&format!("{path}: {unused}"));
    }
}

fn versions(
    args: &DiffArgs,
    left: &Reference,
    right: &Reference,
    global: &Global,
    output: &Output,
) -> Result<VersionDifference, CliError> {
    settings::reading(global, output, |registry, _, context| {
        let tables = table_options(args, Some(registry), context)?;
        registry.read(|reader| {
            let reads_files = args.drift || !args.key.is_empty();
            let cache = (reads_files && args.tables.cache())
                .then(|| Cache::open(reader.layout(), context))
                .flatten();
            let options = options(args, &tables, cache.as_ref());
            Ok(diff::versions(reader, left, right, &options, context.observer)?)
        })
    })
}

fn table_options(
    args: &DiffArgs,
    registry: Option<&Registry>,
    context: &Context<'_>,
) -> Result<TableOptions, CliError> {
    let declared = args.tables.declared(registry, context)?;
    let columns = declared.map(|declared| declared.columns);
    Ok(TableOptions { columns, ..args.tables.options()? })
}

fn options<'a>(
    args: &'a DiffArgs,
    tables: &'a TableOptions,
    cache: Option<&'a Cache>,
) -> DiffOptions<'a> {
    let readings = cache.map(|cache| cache as &dyn Readings);
    let DiffArgs { key, drift, exclude, .. } = args;
    DiffOptions { tables, exclude, key, drift: *drift, readings }
}

impl Shown {
    fn new(
        verdict: Verdict,
        data: Option<Box<DataDifference>>,
        versions: Option<Box<VersionDifference>>,
    ) -> Shown {
        let of = if versions.is_some() { "versions" } else { "data" };
        Shown { of, verdict, differs: !verdict.is_same_content(), data, versions }
    }

    fn text(&self) -> String {
        match (&self.data, &self.versions) {
            (Some(data), _) => differences::of_data(data),
            (None, Some(versions)) => differences::of_versions(versions),
            (None, None) => String::new(),
        }
    }

    /// What to type next.
    fn hint(&self, args: &DiffArgs) -> Option<String> {
        let rows_named = !args.key.is_empty() || args.drift;
        if let Some(versions) = &self.versions {
            let mut data = versions.datasets.iter().map(|dataset| &dataset.data);
            let tables_differ =
                data.any(|data| data.verdict == Verdict::Different && data.table.is_some());
            return (tables_differ && !rows_named).then(|| MORE.to_owned());
        }
        let data = self.data.as_ref()?;
        if self.verdict == Verdict::NotComparable {
            let mut sides = data.left.iter().chain(&data.right);
            let typed = sides.find(|side| side.typing != Some(Typing::Inferred));
            return Some(match typed.map(|typed| render::safe(&typed.path)) {
                Some(typed) => format!(
                    "say what types the columns of the text have: --like {typed}, or --schema FILE"
                ),
                None => "say what types the columns of both texts have: --schema FILE".to_owned(),
            });
        }
        let known = data.table.as_ref().is_none_or(|table| table.is_one_longer());
        let open = self.verdict == Verdict::Different && !known && !rows_named;
        open.then(|| MORE.to_owned())
    }
}

const MORE: &str = "--key COL names the rows, --drift says how far distributions have moved";
