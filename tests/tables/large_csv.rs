//! A CSV of several pieces whose first rows mislead about the kinds of its columns.

use std::fmt::Write as _;

use lineage_core::fingerprint::{DeclaredColumn, Typing};
use lineage_core::table::ColumnKind;

use super::files::{self, Folder};

const ROWS: usize = 70_000;

/// Five columns; in the last rows, four of them turn out to be of other kinds than they seemed.
fn text() -> String {
    let mut text = "number,day,code,big,note\n".to_owned();
    for row in 0..ROWS {
        let late = row > ROWS - 20;
        let day = 1 + row % 28;
        let number = if late { format!("{row}.5") } else { row.to_string() };
        let clock = if late { " 12:30:00.000001" } else { "" };
        let code = if late { "0012" } else { "12" };
        let big = if late { u64::MAX - row as u64 } else { row as u64 };
        let note = "é, \"\"quoted\"\"\nand on two lines; ";
        writeln!(text, "{number},2024-02-{day:02}{clock},{code},{big},\"{note}{row:030}\"")
            .unwrap();
    }
    text
}

#[test]
fn kinds_that_are_contradicted_late_are_read_again() {
    let folder = Folder::new();
    let path = folder.write("t.csv", text().as_bytes());
    let size_bytes = std::fs::metadata(&path).unwrap().len();
    assert!(size_bytes > 5 << 20, "{size_bytes}");
    let inferred = files::table(&path, None);
    assert_eq!(inferred.typing, Typing::Inferred);
    let kinds: Vec<_> = inferred.digest.columns.iter().map(|c| c.kind.to_string()).collect();
    assert_eq!(kinds, ["float64", "timestamp", "string", "uint64", "string"]);
    let declare = |column: &lineage_core::table::ColumnDigest| DeclaredColumn {
        name: column.name.clone(),
        kind: Some(column.kind.clone()),
    };
    let columns: Vec<_> = inferred.digest.columns.iter().map(declare).collect();
    let declared = files::table(&path, Some(columns.clone()));
    assert_eq!(declared.typing, Typing::Declared);
    assert_eq!(declared.digest, inferred.digest);
    assert_eq!(declared.profile, inferred.profile);
    assert_eq!(declared.digest.rows, ROWS as u64);
    // The same again: nothing depends on which thread came first.
    for _ in 0..3 {
        assert_eq!(files::table(&path, None), inferred);
    }
    let packed = folder.write("t.csv.gz", &files::gzip(text().as_bytes()));
    assert_eq!(files::table(&packed, None), inferred);
    // A declared kind that the late rows break is an error that names them.
    let mut wrong = columns;
    wrong[0].kind = Some(ColumnKind::Int);
    let error = files::read(&path, Some(wrong)).unwrap_err();
    let problem = std::error::Error::source(&error).map_or(String::new(), ToString::to_string);
    let words = format!("{error}: {problem}");
    assert!(words.contains(&format!("\"{}.5\" in column \"number\"", ROWS - 19)), "{words}");
    assert!(words.contains(&format!("line {}", 2 * (ROWS - 19) + 2)), "{words}");
}
