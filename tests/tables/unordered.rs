//! Rows in any order: the same rows have one sum however they lie, other rows have another, and the
//! sums of parts add up.

use std::fs;
use std::path::{Path, PathBuf};

use lineage_core::arrow::array::RecordBatch;
use lineage_core::context::Silent;
use lineage_core::digest::Sha256;
use lineage_core::fingerprint::{
    DeclaredColumn, FileState, FingerprintError, Input, Partitioning, Readings, Table,
    TableOptions, fingerprint_unordered,
};
use lineage_core::table::{ColumnKind, RowSum};
use proptest::prelude::*;

use super::files::{self, Folder};
use super::properties::{Places, altered, cases, encoded, has_empty_struct, part, plain, rows};
use super::texts;
use super::types::{Carrier, Dice};
use super::values::{self, Carried, Column, Value};

fn empty(columns: &[Column]) -> RowSum {
    RowSum::new(columns.iter().map(|column| (column.name.clone(), column.kind.clone())).collect())
}

fn sum(columns: &[Column], batches: &[RecordBatch]) -> RowSum {
    let mut sum = empty(columns);
    batches.iter().for_each(|batch| sum.push(batch).unwrap());
    sum
}

fn shuffled(columns: &[Column], dice: &mut Dice) -> Vec<Column> {
    let mut order: Vec<usize> = (0..rows(columns)).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, dice.roll(at + 1));
    }
    let one = |column: &Column| Column {
        values: order.iter().map(|row| column.values[*row].clone()).collect(),
        ..column.clone()
    };
    columns.iter().map(one).collect()
}

/// The rows in one order, with what is not told apart made the same.
fn sorted_rows(columns: &[Column]) -> (Vec<(String, ColumnKind)>, Vec<String>) {
    let row = |row: usize| {
        let cells = columns.iter().map(|column| column.values[row].normalised());
        format!("{:?}", cells.collect::<Vec<Value>>())
    };
    let mut all: Vec<String> = (0..rows(columns)).map(row).collect();
    all.sort();
    (empty(columns).columns().to_vec(), all)
}

/// The sum of the rows in a file.
fn of_file(path: &Path, columns: Option<Vec<DeclaredColumn>>) -> RowSum {
    let mut input = Input::new(path);
    input.table = Some(TableOptions { columns, ..TableOptions::default() });
    let (found, sum) = fingerprint_unordered(&[input], None, &Silent).unwrap().remove(0);
    sum.unwrap_or_else(|| panic!("{path:?}: {:?}", found.table_problem))
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn order_encodings_and_batches_do_not_count(columns in values::table(Carried::All), seed: u64) {
        let dice = &mut Dice(seed);
        let expected = sum(&columns, &[plain(&columns)]);
        let other = encoded(&shuffled(&columns, dice), Carrier::Memory, dice);
        prop_assert_eq!(&sum(&columns, &files::slices(&other, dice)), &expected);
    }

    #[test]
    fn the_sums_of_parts_add_up(columns in values::table(Carried::All), seed: u64) {
        let dice = &mut Dice(seed);
        let whole = sum(&columns, &[plain(&columns)]);
        let mixed = shuffled(&columns, dice);
        let all = rows(&columns);
        let middle = dice.roll(all + 1);
        let [one, other] = [0..middle, middle..all].map(|range| {
            sum(&columns, &[encoded(&part(&mixed, range), Carrier::Memory, dice)])
        });
        let mut merged = empty(&columns);
        merged.merge(&other).unwrap();
        merged.merge(&one).unwrap();
        prop_assert_eq!(merged.sha256(), whole.sha256());
        let read_back = RowSum::from_parts(whole.columns().to_vec(), whole.rows(), whole.sum());
        prop_assert_eq!(read_back, whole);
    }

    #[test]
    fn any_change_of_the_rows_counts(
        columns in values::table(Carried::All),
        change in any::<prop::sample::Index>(),
        places in any::<Places>(),
        seed: u64,
    ) {
        let changed = altered(&columns, change, places, &mut Dice(seed));
        let same = sorted_rows(&columns) == sorted_rows(&changed);
        let (before, after) =
            (sum(&columns, &[plain(&columns)]), sum(&changed, &[plain(&changed)]));
        prop_assert_eq!(before.sha256() == after.sha256(), same);
    }
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn files_of_every_format_have_the_sum_of_their_rows(
        columns in values::table(Carried::All),
        csv in values::table(Carried::Csv),
        json in values::table(Carried::Json),
        seed: u64,
    ) {
        let dice = &mut Dice(seed);
        let folder = Folder::new();
        let expected = sum(&columns, &[plain(&columns)]);
        let batch = encoded(&shuffled(&columns, dice), Carrier::Arrow, dice);
        let (bytes, suffix) = files::arrow_compressed(&batch, dice);
        let path = folder.write(&format!("t.arrow{suffix}"), &bytes);
        prop_assert_eq!(&of_file(&path, None), &expected);
        if !columns.iter().any(|column| has_empty_struct(&column.kind)) {
            let batch = encoded(&shuffled(&columns, dice), Carrier::Parquet, dice);
            let path = folder.write("t.parquet", &files::parquet(&batch, dice));
            prop_assert_eq!(&of_file(&path, None), &expected);
        }
        for (columns, name) in [(&csv, "t.csv"), (&json, "t.ndjson")] {
            let mixed = shuffled(columns, dice);
            let text = match name {
                "t.csv" => texts::csv(&mixed, rows(columns), ',', dice),
                _ => texts::ndjson(&mixed, rows(columns), dice),
            };
            let (bytes, suffix) = files::compressed(text, dice);
            let path = folder.write(&format!("{name}{suffix}"), &bytes);
            let found = of_file(&path, Some(texts::declared(columns)));
            prop_assert_eq!(&found, &sum(columns, &[plain(columns)]));
        }
    }
}

#[test]
fn inferred_kinds_are_those_of_the_first_reading() {
    let folder = Folder::new();
    let at = |name: &str, text: &str| of_file(&folder.write(name, text.as_bytes()), None);
    // Floats, moments of two units, a column without values, and a kind found late.
    let lines = ["1,2026-01-01,,x", "2.5,2026-01-01T00:00:00.123456789,\"\",1", ",,,"];
    let text = |order: [usize; 3]| {
        let lines = order.map(|line| lines[line]);
        format!("a,b,c,d\n{}\n", lines.join("\n"))
    };
    let first = at("a.csv", &text([0, 1, 2]));
    let kinds: Vec<String> = first.columns().iter().map(|(_, kind)| kind.to_string()).collect();
    assert_eq!(kinds, ["float64", "timestamp", "null", "string"]);
    assert_eq!(first, at("b.csv", &text([2, 1, 0])));
    assert_ne!(first.sha256(), at("c.csv", &text([0, 1, 1])).sha256());
}

#[test]
fn folders_have_the_sum_of_their_files() {
    let folder = Folder::new();
    for day in ["day=1", "day=2"] {
        fs::create_dir_all(folder.write("x", b"").with_file_name("parts").join(day)).unwrap();
    }
    let root = folder.write("x", b"").with_file_name("parts");
    let of_folder = |partitioning| {
        let mut input = Input::new(&root);
        input.table = Some(TableOptions { partitioning, ..TableOptions::default() });
        let found = fingerprint_unordered(&[input], None, &Silent).unwrap().remove(0);
        found.1.unwrap()
    };
    let whole = |name: &str, text: &str, kinds: [ColumnKind; 3]| {
        let names = ["id", "n", "day"];
        let declared = names
            .iter()
            .zip(kinds)
            .map(|(name, kind)| DeclaredColumn { name: (*name).to_owned(), kind: Some(kind) });
        of_file(&folder.write(name, text.as_bytes()), Some(declared.collect()))
    };
    for (name, one, two) in [
        ("a.csv", "id,n\n1,2.5\n", "id,n\n3,\n2,4\n"),
        ("a.ndjson", "{\"id\":1,\"n\":2.5}\n", "{\"id\":3,\"n\":null}\n{\"n\":4,\"id\":2}\n"),
    ] {
        fs::write(root.join("day=1").join(name), one).unwrap();
        fs::write(root.join("day=2").join(name), two).unwrap();
        let kinds = [ColumnKind::Int, ColumnKind::Float64, ColumnKind::String];
        let expected = whole("w.csv", "id,n,day\n1,2.5,1\n2,4,2\n3,,2\n", kinds);
        assert_eq!(of_folder(Partitioning::Hive), expected, "{name}");
        let plain = of_folder(Partitioning::Plain);
        assert_eq!((plain.rows(), plain.columns().len()), (3, 2));
        assert_eq!(plain, of_file(&folder.write("p.csv", b"id,n\n3,\n2,4\n1,2.5\n"), None));
        fs::remove_file(root.join("day=1").join(name)).unwrap();
        fs::remove_file(root.join("day=2").join(name)).unwrap();
    }
}

/// Changes the file when the first reading has ended.
struct Meddler {
    path: PathBuf,
    after: &'static str,
}

impl Readings for Meddler {
    fn digest(&self, _: &FileState) -> Option<Sha256> {
        None
    }
    fn note_digest(&self, _: &FileState, _: &Sha256) {}
    fn table(&self, _: &Sha256, _: &str) -> Option<Table> {
        None
    }
    fn note_table(&self, _: &Sha256, _: &str, _: &Table) {
        fs::write(&self.path, self.after).unwrap();
    }
}

#[test]
fn a_file_that_changes_between_the_readings_is_refused() {
    let folder = Folder::new();
    // Other values, rows that are no rows any more, and a file that cannot be read at all.
    for after in ["a\n1\n3\n", "a\nx,\n", "\"", "a\n1\n2\n3\n"] {
        let path = folder.write("t.csv", b"a\n1\n2\n");
        let mut input = Input::new(&path);
        input.table = Some(TableOptions::default());
        let meddler = Meddler { path, after };
        let found = fingerprint_unordered(&[input], Some(&meddler), &Silent);
        assert!(matches!(found, Err(FingerprintError::Changed { .. })), "{after:?}: {found:?}");
    }
}
