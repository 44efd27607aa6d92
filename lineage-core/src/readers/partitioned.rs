//! Datasets of many files: the files of a folder or a glob, read as one table
//! (`docs/formats/fingerprint.md`, Partitioned datasets).

use std::fs;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use super::{Compression, TableFormat};
use crate::files::FileError;
use crate::table::ColumnKind;

/// What Hive writes in place of a null.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// Files that are not one table. Every path is relative to the dataset.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PartitionError {
    /// A folder cannot be listed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A pattern is not a glob.
    #[error("\"{pattern}\" is not a pattern: {problem}")]
    Pattern {
        /// As given.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Nothing to read.
    #[error("there are no tables among its files")]
    Empty,
    /// A file that is neither a table nor one of the files beside them.
    #[error("\"{path}\" is not named like a table; leave it out with --exclude")]
    NotATable {
        /// The first one.
        path: String,
    },
    /// A table that some programs would read and others would not.
    #[error(
        "\"{path}\" is named like a hidden file, which some programs read as part of the table and others \
         do not; leave it out with --exclude, or rename it"
    )]
    Hidden {
        /// The first one.
        path: String,
    },
    /// Tables of two formats.
    #[error("\"{first}\" is {first_format:?} and \"{other}\" is {other_format:?}: not one table")]
    Formats {
        /// A file, and its format.
        first: String,
        /// Its format.
        first_format: TableFormat,
        /// A file of another format.
        other: String,
        /// Its format.
        other_format: TableFormat,
    },
    /// Folders that give different keys.
    #[error(
        "the folders of \"{first}\" give the keys {first_keys}, those of \"{other}\" {other_keys}"
    )]
    Keys {
        /// A file.
        first: String,
        /// Its keys.
        first_keys: String,
        /// A file with other keys.
        other: String,
        /// Its keys.
        other_keys: String,
    },
    /// A folder `key=value` that cannot be read as one.
    #[error("\"{path}\": {problem}")]
    Folder {
        /// A file in it.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Files with different columns.
    #[error("the columns of \"{first}\" and \"{other}\" differ: {problem}")]
    Columns {
        /// A file.
        first: String,
        /// A file with other columns.
        other: String,
        /// The first difference.
        problem: String,
    },
}

/// A file of a dataset, before it is known to be a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its path below the dataset's folder, with `/`. It decides the order.
    pub relative: String,
}

/// The files of a dataset, in the order in which their rows follow one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partitions {
    /// That of all files.
    pub format: TableFormat,
    /// At least one.
    pub files: Vec<PartitionFile>,
}

/// One file of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its path below the dataset's folder, with `/`.
    pub relative: String,
    /// What it is wrapped in.
    pub compression: Compression,
    /// The keys and values of the folders `key=value` above it; none is null. The keys are the same
    /// in all files.
    pub keys: Vec<(String, Option<String>)>,
}

impl Partitions {
    /// Puts the files of a dataset in order. With `hive`, folders named `key=value` give columns.
    ///
    /// Files whose names begin with `_` or `.` and do not end like a table's, such as `_SUCCESS`,
    /// `_metadata` and `.part-0.parquet.crc`, stand beside the table and hold no rows of it.
    pub fn new(mut listed: Vec<ListedFile>, hive: bool) -> Result<Partitions, PartitionError> {
        listed.sort_by(|a, b| a.relative.as_bytes().cmp(b.relative.as_bytes()));
        let mut files: Vec<PartitionFile> = Vec::new();
        let mut found: Option<TableFormat> = None;
        for ListedFile { path, relative } in listed {
            let Some((format, compression)) = table_format(&relative)? else { continue };
            let keys = if hive { hive_keys(&relative)? } else { Vec::new() };
            let file = PartitionFile { path, relative, compression, keys };
            if let (Some(first), Some(first_format)) = (files.first(), found) {
                check_alike(first, first_format, &file, format)?;
            }
            found = Some(format);
            files.push(file);
        }
        match found {
            Some(format) => Ok(Partitions { format, files }),
            None => Err(PartitionError::Empty),
        }
    }
}

/// The format of a file; none when it only stands beside the table.
fn table_format(relative: &str) -> Result<Option<(TableFormat, Compression)>, PartitionError> {
    let (folders, name) = relative.rsplit_once('/').unwrap_or(("", relative));
    let hidden = |part: &str| part.starts_with(['_', '.']);
    let format = TableFormat::of_name(name);
    let path = || relative.to_owned();
    match format {
        None if hidden(name) && !folders.split('/').any(hidden) => Ok(None),
        None => Err(PartitionError::NotATable { path: path() }),
        Some(_) if relative.split('/').any(hidden) => Err(PartitionError::Hidden { path: path() }),
        Some(format) => Ok(Some(format)),
    }
}

fn check_alike(
    first: &PartitionFile,
    first_format: TableFormat,
    other: &PartitionFile,
    other_format: TableFormat,
) -> Result<(), PartitionError> {
    if first_format != other_format {
        return Err(PartitionError::Formats {
            first: first.relative.clone(),
            first_format,
            other: other.relative.clone(),
            other_format,
        });
    }
    let names = |file: &PartitionFile| -> Vec<String> {
        file.keys.iter().map(|(key, _)| key.clone()).collect()
    };
    let (first_keys, other_keys) = (names(first), names(other));
    if first_keys == other_keys {
        return Ok(());
    }
    let shown = |keys: &[String]| format!("[{}]", keys.join(", "));
    Err(PartitionError::Keys {
        first: first.relative.clone(),
        first_keys: shown(&first_keys),
        other: other.relative.clone(),
        other_keys: shown(&other_keys),
    })
}

/// The keys and values in the folders of a path.
fn hive_keys(relative: &str) -> Result<Vec<(String, Option<String>)>, PartitionError> {
    let wrong = |problem: String| PartitionError::Folder { path: relative.to_owned(), problem };
    let folders = relative.rsplit_once('/').map_or("", |(folders, _)| folders);
    let mut keys: Vec<(String, Option<String>)> = Vec::new();
    for folder in folders.split('/') {
        let Some((key, value)) = folder.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            continue;
        };
        if keys.iter().any(|(known, _)| known == key) {
            return Err(wrong(format!("the key \"{key}\" occurs twice")));
        }
        let value = match value {
            HIVE_NULL => None,
            value => Some(percent_decoded(value).ok_or_else(|| {
                wrong(format!("the value of \"{key}\" is not valid UTF-8 when it is decoded"))
            })?),
        };
        keys.push((key.to_owned(), value));
    }
    Ok(keys)
}

/// `%` and two hex digits are a byte; any other `%` is itself. None when the result is not UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let byte = match after {
            [high, low, ..] if *first == b'%' => hex_digit(*high).zip(hex_digit(*low)),
            _ => None,
        };
        match byte {
            Some((high, low)) => {
                out.push(high * 16 + low);
                rest = &after[2..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(out).ok()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Checks that two files of a dataset have the same columns, by name and kind.
pub fn check_columns(
    first: (&str, &[(String, ColumnKind)]),
    other: (&str, &[(String, ColumnKind)]),
) -> Result<(), PartitionError> {
    let ((first, first_columns), (other, other_columns)) = (first, other);
    if first_columns == other_columns {
        return Ok(());
    }
    let shown = |columns: &[(String, ColumnKind)], at: usize| match columns.get(at) {
        Some((name, kind)) => format!("\"{name}\" of kind {kind}"),
        None => "missing".to_owned(),
    };
    let at = (0..).find(|at| first_columns.get(*at) != other_columns.get(*at)).unwrap_or_default();
    let problem = format!(
        "column {} is {} in the one and {} in the other",
        at + 1,
        shown(first_columns, at),
        shown(other_columns, at)
    );
    Err(PartitionError::Columns { first: first.to_owned(), other: other.to_owned(), problem })
}

/// The files that a glob matches, in the syntax of exclusions, in no order. Only folders that can hold
/// a match are looked into.
pub fn files_of_glob(pattern: &str) -> Result<Vec<ListedFile>, PartitionError> {
    let fixed = |part: &&str| !part.contains(['*', '?', '[', '{', '\\', '=']);
    let parts: Vec<&str> = pattern.split('/').collect();
    let count = parts.iter().take(parts.len() - 1).take_while(|part| fixed(part)).count();
    let (base, rest) = (parts[..count].join("/"), &parts[count..]);
    let glob = |text: &str| {
        let glob = GlobBuilder::new(text).literal_separator(true).build();
        glob.map(|glob| glob.compile_matcher()).map_err(|error| PartitionError::Pattern {
            pattern: pattern.to_owned(),
            problem: error.kind().to_string(),
        })
    };
    // A `**`, or braces around a `/`, may lead to any depth; before them each part is one folder.
    let deep = rest.iter().position(|part| part.contains("**") || !is_balanced(part));
    let folders =
        (1..=deep.unwrap_or(rest.len() - 1)).map(|length| glob(&rest[..length].join("/")));
    let search = Search {
        matcher: glob(&rest.join("/"))?,
        folders: folders.collect::<Result<_, _>>()?,
        any_depth: deep.is_some(),
    };
    let root = match (count, base.as_str()) {
        (0, _) => Path::new("."),
        (_, "") => Path::new("/"),
        (_, base) => Path::new(base),
    };
    let mut files = Vec::new();
    search.list(root, "", 0, &mut files)?;
    Ok(files)
}

fn is_balanced(part: &str) -> bool {
    part.matches('{').count() == part.matches('}').count()
}

/// What a glob matches, and the folders on the way there.
struct Search {
    matcher: GlobMatcher,
    /// By depth, of the path so far.
    folders: Vec<GlobMatcher>,
    /// Whether folders deeper than that are looked into too.
    any_depth: bool,
}

impl Search {
    fn list(
        &self,
        folder: &Path,
        prefix: &str,
        depth: usize,
        files: &mut Vec<ListedFile>,
    ) -> Result<(), PartitionError> {
        for entry in fs::read_dir(folder).map_err(FileError::io("list", folder))? {
            let entry = entry.map_err(FileError::io("list", folder))?;
            let path = entry.path();
            // A pattern is text and matches no name that is not.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let relative = format!("{prefix}{name}");
            let kind = entry.file_type().map_err(FileError::io("inspect", &path))?;
            if kind.is_dir() {
                let on_the_way = match self.folders.get(depth) {
                    Some(folder) => folder.is_match(&relative),
                    None => self.any_depth,
                };
                if on_the_way {
                    self.list(&path, &format!("{relative}/"), depth + 1, files)?;
                }
            } else if self.matcher.is_match(&relative)
                && fs::metadata(&path).map_err(FileError::io("inspect", &path))?.is_file()
            {
                files.push(ListedFile { path, relative });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partitions(paths: &[&str], hive: bool) -> Result<Partitions, String> {
        let listed = paths
            .iter()
            .map(|path| ListedFile { path: PathBuf::from(path), relative: (*path).to_owned() })
            .collect();
        Partitions::new(listed, hive).map_err(|error| error.to_string())
    }

    #[test]
    fn files_are_sorted_by_bytes_and_markers_are_passed_over() {
        let found = partitions(
            &["b.csv", "a/z.csv", "a.csv.gz", "_SUCCESS", "B.csv", "a/.b.csv.crc", "_metadata"],
            false,
        );
        let found = found.unwrap();
        assert_eq!(found.format, TableFormat::Csv);
        let order: Vec<_> = found.files.iter().map(|file| file.relative.as_str()).collect();
        assert_eq!(order, ["B.csv", "a.csv.gz", "a/z.csv", "b.csv"]);
        assert_eq!(found.files[1].compression, Compression::Gzip);
    }

    #[test]
    fn what_is_not_one_table_is_refused() {
        for (paths, words) in [
            (&["a.csv", "notes.txt"][..], "\"notes.txt\" is not named like a table"),
            (&["a.csv", "_delta_log/0.json"], "\"_delta_log/0.json\" is not named"),
            (&["a.csv", "_delta_log/_last"], "\"_delta_log/_last\" is not named"),
            (&["a.parquet", "_delta_log/0.parquet"], "hidden"),
            (&["a.csv", ".a.csv"], "\".a.csv\" is named like a hidden file"),
            (&["a.csv", "b.tsv"], "\"a.csv\" is Csv and \"b.tsv\" is Tsv"),
            (&["_SUCCESS"], "no tables"),
            (&[], "no tables"),
        ] {
            let error = partitions(paths, false).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn folders_give_keys() {
        let found = partitions(
            &[
                "x/d=2024-01-01/r=a%2Fb%zz%/1.pq",
                "x/d=__HIVE_DEFAULT_PARTITION__/r=/1.pq",
                "=/d=1/r==/1.pq",
            ],
            true,
        );
        let keys: Vec<_> = found.unwrap().files.into_iter().map(|file| file.keys).collect();
        let key = |d: Option<&str>, r: &str| {
            vec![("d".to_owned(), d.map(str::to_owned)), ("r".to_owned(), Some(r.to_owned()))]
        };
        assert_eq!(keys, [key(Some("1"), "="), key(Some("2024-01-01"), "a/b%zz%"), key(None, "")]);

        for (paths, words) in [
            (
                &["a=1/b=2/x.csv", "b=2/a=1/x.csv"][..],
                "the keys [a, b], those of \"b=2/a=1/x.csv\" [b, a]",
            ),
            (&["a=1/x.csv", "x.csv"], "the keys [a]"),
            (&["a=1/a=2/x.csv"], "occurs twice"),
            (&["a=%ff/x.csv"], "not valid UTF-8"),
        ] {
            let error = partitions(paths, true).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        assert!(partitions(&["a=1/x.csv", "x.csv"], false).unwrap().files[0].keys.is_empty());
    }

    #[test]
    fn differing_columns_are_named() {
        let columns = |text: &str| -> Vec<(String, ColumnKind)> {
            let pairs = text.split_whitespace().filter_map(|pair| pair.split_once(':'));
            pairs.map(|(name, kind)| (name.to_owned(), kind.parse().unwrap())).collect()
        };
        let checked = |first: &str, other: &str| {
            check_columns(("1.csv", &columns(first)), ("2.csv", &columns(other)))
                .map_err(|error| error.to_string())
        };
        assert_eq!(checked("a:int b:bool", "a:int b:bool"), Ok(()));
        for (other, words) in [
            ("a:int b:int", "column 2 is \"b\" of kind bool in the one and \"b\" of kind int"),
            ("a:int", "column 2 is \"b\" of kind bool in the one and missing in the other"),
            ("", "column 1"),
            ("a:int b:bool c:int", "column 3 is missing in the one and \"c\" of kind int"),
        ] {
            let error = checked("a:int b:bool", other).unwrap_err();
            assert!(error.contains(words) && error.contains("\"2.csv\""), "{error}");
        }
    }

    #[test]
    fn folders_and_globs_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for path in ["y=1/a.csv", "y=2/a.csv", "y=2/b.txt", "z/y=3/a.csv"] {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), "x").unwrap();
        }
        let sorted = |files: Vec<ListedFile>| {
            assert!(files.iter().all(|file| file.path.is_file()));
            let mut names: Vec<_> = files.into_iter().map(|file| file.relative).collect();
            names.sort();
            names
        };
        let glob = |pattern: &str| {
            sorted(files_of_glob(&format!("{}/{pattern}", root.display())).unwrap())
        };
        assert_eq!(glob("y=2/*"), ["y=2/a.csv", "y=2/b.txt"]);
        assert_eq!(glob("*/*.csv"), ["y=1/a.csv", "y=2/a.csv"]);
        assert_eq!(glob("**/*.csv"), ["y=1/a.csv", "y=2/a.csv", "z/y=3/a.csv"]);
        assert_eq!(glob("z/*/a.csv"), ["y=3/a.csv"]);
        assert_eq!(glob("{y=1,y=2}/a.csv"), ["y=1/a.csv", "y=2/a.csv"]);
        assert!(files_of_glob("a[/b").is_err());
        assert!(files_of_glob("/nowhere-at-all/*.csv").is_err());
    }
}
