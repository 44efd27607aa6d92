//! Rows in any order: what `lineage fingerprint --unordered` says of them, and the adding up of parts
//! that were read elsewhere (`--merge`).

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use lineage_core::digest::Sha256;
use lineage_core::fingerprint::Fingerprint;
use lineage_core::table::{ColumnKind, MergeError, RowSum};
use serde::{Deserialize, Serialize};

use crate::error::{CliError, ErrorKind};
use crate::facts::read;
use crate::output::Output;
use crate::render;

const NOTE: &str = "equal for the same rows in any order; not for adversaries: \
                    who may choose rows can make two tables with one sum";

/// The rows of a table, whatever their order, in a document.
#[derive(Serialize)]
pub(crate) struct Unordered {
    sha256: Sha256,
    sum: String,
    rows: u64,
    note: &'static str,
}

impl Unordered {
    pub(crate) fn of(sum: &RowSum) -> Unordered {
        let hex = hex::encode(sum.sum());
        Unordered { sha256: sum.sha256(), sum: hex, rows: sum.rows(), note: NOTE }
    }

    /// A line for people.
    pub(crate) fn text(&self) -> String {
        format!("{}  rows in any order  (not for adversaries)\n", self.sha256)
    }
}

/// What was named has no rows that could be summed.
pub(crate) fn no_rows(path: &Path, found: &Fingerprint) -> CliError {
    let (problem, hint) = match (&found.table_problem, &found.manifest) {
        (Some(problem), _) => (render::safe(problem), "mend the file, or leave --unordered away"),
        (None, Some(_)) => {
            ("it is a folder".to_owned(), "--table reads a folder of tables as one table")
        }
        (None, None) => ("it is no table".to_owned(), "name tables, or leave --unordered away"),
    };
    let message = format!("{} has no rows for --unordered: {problem}", path.display());
    CliError::new(ErrorKind::Usage, message).hint(hint)
}

/// A document of `lineage fingerprint --unordered --json`, or of an earlier merge.
#[derive(Deserialize)]
struct Part {
    schema: String,
    path: Option<String>,
    columns: Option<Vec<Column>>,
    unordered: Option<PartSum>,
}

#[derive(Serialize, Deserialize)]
struct Column {
    name: String,
    r#type: ColumnKind,
}

#[derive(Deserialize)]
struct PartSum {
    sha256: Sha256,
    sum: String,
    rows: u64,
}

/// The rows of all parts together.
#[derive(Serialize)]
struct Merged {
    documents: u64,
    rows: u64,
    columns: Vec<Column>,
    unordered: Unordered,
}

/// Adds up the documents in the files, and prints what they come to.
pub(crate) fn merge(files: &[PathBuf], output: &mut Output) -> Result<(), CliError> {
    let mut all: Option<(String, RowSum)> = None;
    let mut seen: HashMap<Sha256, String> = HashMap::new();
    let mut documents = 0;
    for file in files {
        for (name, part) in parts(file)? {
            documents += 1;
            if let Some(first) =
                seen.insert(part.sha256(), name.clone()).filter(|_| part.rows() > 0)
            {
                let message = format!("{name} and {first} have the same rows; both are counted");
                output.warning(&message);
            }
            let (first, sum) =
                all.get_or_insert_with(|| (name.clone(), RowSum::new(part.columns().to_vec())));
            sum.merge(&part).map_err(|error| not_one_table(first, &name, &error))?;
        }
    }
    let Some((_, sum)) = all else { return Err(usage("there is no document to merge")) };
    let columns = sum.columns().iter();
    let columns = columns.map(|(name, kind)| Column { name: name.clone(), r#type: kind.clone() });
    let (rows, columns) = (sum.rows(), columns.collect::<Vec<_>>());
    let merged = Merged { documents, rows, columns, unordered: Unordered::of(&sum) };
    let id = merged.unordered.sha256.to_string();
    output.result("lineage.fingerprint-merge/1", &merged, &id, || {
        let columns = render::count(merged.columns.len() as u64, "column");
        let documents = render::count(documents, "document");
        let rows = render::count(rows, "row");
        format!("{}    {rows} × {columns}, of {documents}\n", merged.unordered.text())
    })
}

/// The parts in a file, each with a name for messages.
fn parts(file: &Path) -> Result<Vec<(String, RowSum)>, CliError> {
    let bytes = read(file)?;
    let mut parts = Vec::new();
    for (index, part) in serde_json::Deserializer::from_slice(&bytes).into_iter().enumerate() {
        let place = format!("{}, document {}", file.display(), index + 1);
        let foreign = |problem: String| {
            usage(format!("{place}, is not one to merge: {problem}"))
                .hint("make it with `lineage fingerprint PATH --unordered --json`")
        };
        let part: Part = part.map_err(|error| foreign(error.to_string()))?;
        let name = match &part.path {
            Some(path) => format!("{path} ({place})"),
            None => place.clone(),
        };
        parts.push((name, sum_of(part).map_err(foreign)?));
    }
    match parts.is_empty() {
        true => Err(usage(format!("{} holds no document to merge", file.display()))
            .hint("make one with `lineage fingerprint PATH --unordered --json`")),
        false => Ok(parts),
    }
}

/// What a document says, if it agrees with itself.
fn sum_of(part: Part) -> Result<RowSum, String> {
    if !matches!(&*part.schema, "lineage.fingerprint/1" | "lineage.fingerprint-merge/1") {
        return Err(format!("its schema is \"{}\"", render::safe(&part.schema)));
    }
    let (Some(columns), Some(said)) = (part.columns, part.unordered) else {
        return Err("it says nothing of rows in any order".to_owned());
    };
    let mut sum = [0; 32];
    let is_lower = !said.sum.bytes().any(|byte| byte.is_ascii_uppercase());
    if !is_lower || hex::decode_to_slice(&said.sum, &mut sum).is_err() {
        return Err("its sum is not 64 lower-case hex digits".to_owned());
    }
    let columns = columns.into_iter().map(|column| (column.name, column.r#type)).collect();
    let sum = RowSum::from_parts(columns, said.rows, sum);
    match sum.sha256() == said.sha256 {
        true => Ok(sum),
        false => Err("its sha256 does not follow from its columns, rows and sum".to_owned()),
    }
}

fn not_one_table(first: &str, other: &str, error: &MergeError) -> CliError {
    match error {
        MergeError::Columns { index, found, expected } => usage(format!(
            "{first} and {other} are not parts of one table: column {} is \"{expected}\" in the first and \
             \"{found}\" in the second",
            index + 1
        ))
        .hint("types inferred from a part's values can differ: read all parts with one --schema or --like"),
        MergeError::TooManyRows => usage(format!("{first} and what follows to {other}: {error}")),
    }
}

fn usage(message: impl Into<String>) -> CliError {
    CliError::new(ErrorKind::Usage, message)
}
