//! The flags that say how a file is read as a table, for every command that reads tables.

use std::path::{Path, PathBuf};

use lineage_core::context::Context;
use lineage_core::fingerprint::{Partitioning, TableOptions};
use lineage_core::names::Reference;
use lineage_core::record::DeclaredSchema;
use lineage_core::store::Registry;

use crate::error::{CliError, ErrorKind};
use crate::facts::{in_file, read};
use crate::settings;

/// How files are read as tables.
#[derive(clap::Args, Clone, Default)]
pub(crate) struct TableArgs {
    /// The columns of CSV, TSV and NDJSON: JSON with names and types, or names alone
    #[arg(long, value_name = "FILE", conflicts_with = "like", help_heading = "Tables")]
    pub(crate) schema: Option<PathBuf>,
    /// Read CSV, TSV and NDJSON with the columns of a recorded dataset or of another table
    #[arg(long, value_name = "REF[:ROLE]|FILE", help_heading = "Tables")]
    pub(crate) like: Option<String>,
    /// The character between the fields of a CSV; `\t` is a tab
    #[arg(long, value_name = "CHAR", help_heading = "Tables")]
    delimiter: Option<String>,
    /// The first record of a CSV holds values; its columns are column_1, column_2, … or those of --schema
    #[arg(long, help_heading = "Tables")]
    no_header: bool,
    /// Read a folder of tables as one table, its files in the order of their paths
    #[arg(long, help_heading = "Tables")]
    table: bool,
    /// As --table, and keep `key=value` folders as columns
    #[arg(long, help_heading = "Tables")]
    hive: bool,
    /// Read unchanged files again instead of trusting the cache of earlier readings
    #[arg(long, help_heading = "Tables")]
    rehash: bool,
}

impl TableArgs {
    /// Whether the cache of earlier readings may be used.
    pub(crate) fn cache(&self) -> bool {
        !self.rehash && settings::variable("LINEAGE_NO_CACHE").is_none()
    }

    /// The flags but for the schema, which may need the registry.
    pub(crate) fn options(&self) -> Result<TableOptions, CliError> {
        let delimiter = match self.delimiter.as_deref() {
            None => None,
            Some("\\t") => Some(b'\t'),
            Some(text) => {
                let [byte] = text.as_bytes() else { return Err(bad_delimiter(text)) };
                let usable = byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r' | 0);
                Some(usable.then_some(*byte).ok_or_else(|| bad_delimiter(text))?)
            }
        };
        let partitioning = match (self.hive, self.table) {
            (true, _) => Partitioning::Hive,
            (false, true) => Partitioning::Plain,
            (false, false) => Partitioning::None,
        };
        let no_header = self.no_header;
        Ok(TableOptions { delimiter, no_header, partitioning, ..TableOptions::default() })
    }

    /// The schema that the flags name, if any.
    pub(crate) fn declared(
        &self,
        registry: Option<&Registry>,
        context: &Context<'_>,
    ) -> Result<Option<DeclaredSchema>, CliError> {
        if let Some(path) = &self.schema {
            let given = path.to_string_lossy();
            return Ok(Some(
                DeclaredSchema::declared(&read(path)?, &given).map_err(in_file(path))?,
            ));
        }
        self.like.as_deref().map(|like| columns_like(registry, like, context)).transpose()
    }
}

fn bad_delimiter(text: &str) -> CliError {
    CliError::new(
        ErrorKind::Usage,
        format!("--delimiter {text}: expected one ASCII character that is not a quote"),
    )
}

/// The columns of a recorded dataset (`REF` or `REF:ROLE`) or of a file.
fn columns_like(
    registry: Option<&Registry>,
    like: &str,
    context: &Context<'_>,
) -> Result<DeclaredSchema, CliError> {
    if like.contains('@') && !Path::new(like).exists() {
        let (reference, role) = match like.rsplit_once(':') {
            Some((reference, role)) if !reference.ends_with("@sha256") => (reference, role),
            _ => (like, "training"),
        };
        let reference: Reference = reference.parse()?;
        let registry = registry.ok_or_else(|| {
            CliError::new(
                ErrorKind::NoRegistry,
                format!("--like {like}: there is no registry here that could know it"),
            )
            .hint("name a file, or a registry with -R DIR")
        })?;
        return Ok(
            registry.read(|reader| DeclaredSchema::of_version(reader, &reference, role, like))?
        );
    }
    Ok(DeclaredSchema::of_file(Path::new(like), context.observer)?)
}
