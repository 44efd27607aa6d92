//! Which files are tables, told by their names.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// A file format that holds rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TableFormat {
    /// Comma-separated values with a header (RFC 4180).
    Csv,
    /// The same, separated by tabs.
    Tsv,
    /// One JSON object a line.
    Ndjson,
    /// Apache Parquet.
    Parquet,
    /// Apache Arrow IPC, a file or a stream.
    Arrow,
}

/// What the bytes of a table are wrapped in.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Nothing.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl TableFormat {
    /// The format and compression that a file's name announces.
    pub fn of_path(path: &Path) -> Option<(TableFormat, Compression)> {
        TableFormat::of_name(path.file_name()?.to_str()?)
    }

    /// As [`TableFormat::of_path`], of the last part of a path.
    pub fn of_name(name: &str) -> Option<(TableFormat, Compression)> {
        let (stem, extension) = split(name)?;
        let compression = match extension.as_str() {
            "gz" => Compression::Gzip,
            "zst" => Compression::Zstd,
            _ => return Some((TableFormat::of_extension(&extension)?, Compression::None)),
        };
        match TableFormat::of_extension(&split(stem)?.1)? {
            // It has a compression of its own, and is read from its end.
            TableFormat::Parquet => None,
            format => Some((format, compression)),
        }
    }

    fn of_extension(extension: &str) -> Option<TableFormat> {
        Some(match extension {
            "csv" => TableFormat::Csv,
            "tsv" | "tab" => TableFormat::Tsv,
            "ndjson" | "jsonl" => TableFormat::Ndjson,
            "parquet" | "pq" => TableFormat::Parquet,
            "arrow" | "feather" | "ipc" | "arrows" => TableFormat::Arrow,
            _ => return None,
        })
    }

    /// The word for it in records and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            TableFormat::Csv => "csv",
            TableFormat::Tsv => "tsv",
            TableFormat::Ndjson => "ndjson",
            TableFormat::Parquet => "parquet",
            TableFormat::Arrow => "arrow",
        }
    }
}

/// The name before its last point, which is not its first character, and what follows in lower case.
fn split(name: &str) -> Option<(&str, String)> {
    let (stem, extension) = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty())?;
    Some((stem, extension.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_announce_format_and_compression() {
        use Compression::{Gzip, None as Plain, Zstd};
        for (name, expected) in [
            ("a.csv", Some((TableFormat::Csv, Plain))),
            ("a.b.CSV", Some((TableFormat::Csv, Plain))),
            ("a.TAB", Some((TableFormat::Tsv, Plain))),
            ("a.tsv.Gz", Some((TableFormat::Tsv, Gzip))),
            ("a.jsonl.zst", Some((TableFormat::Ndjson, Zstd))),
            ("a.pq", Some((TableFormat::Parquet, Plain))),
            ("a.parquet.gz", None),
            ("a.arrows", Some((TableFormat::Arrow, Plain))),
            ("a.feather.gz", Some((TableFormat::Arrow, Gzip))),
            ("a.csv.bz2", None),
            ("a.gz", None),
            ("csv", None),
            (".csv", None),
            ("a.csv.gz.gz", None),
            ("a.json", None),
            ("", None),
        ] {
            assert_eq!(TableFormat::of_name(name), expected, "{name}");
        }
        assert_eq!(TableFormat::of_path(Path::new("/data.csv/x")), None);
    }

    #[test]
    fn words_are_those_of_serde() {
        for format in [
            TableFormat::Csv,
            TableFormat::Tsv,
            TableFormat::Ndjson,
            TableFormat::Parquet,
            TableFormat::Arrow,
        ] {
            assert_eq!(serde_json::to_value(format).unwrap(), format.as_str());
        }
    }
}
