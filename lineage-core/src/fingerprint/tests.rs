use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::context::Silent;

fn of(path: &Path) -> Result<Fingerprint, FingerprintError> {
    Ok(fingerprint(&[Input::new(path)], &Silent)?.remove(0))
}

fn tree(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

#[test]
fn a_flipped_byte_anywhere_changes_the_digest() {
    let folder = tree(&[]);
    let path = folder.path().join("model.bin");
    let original: Vec<u8> = (0..700_001_u32).map(|i| (i * 31 % 251) as u8).collect();
    fs::write(&path, &original).unwrap();
    let expected = of(&path).unwrap().sha256;
    assert_eq!(expected, Sha256::of(&original));
    for at in [0, 1, 262_143, 262_144, 350_000, 700_000] {
        let mut changed = original.clone();
        changed[at] ^= 1;
        fs::write(&path, &changed).unwrap();
        assert_ne!(of(&path).unwrap().sha256, expected, "byte {at}");
    }
}

#[test]
fn a_manifest_reads_back_and_is_injective_in_names() {
    let folder = tree(&[("b/x", b"1"), ("a b", b"22"), ("n%0Al", b"3"), ("n\nl", b"3")]);
    let found = of(folder.path()).unwrap();
    let manifest = found.manifest.unwrap();
    let bytes = manifest.to_bytes();
    assert_eq!(Manifest::parse(&bytes).unwrap(), manifest);
    assert_eq!(found.sha256, Sha256::of(&bytes));
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains("n%250Al\n") && text.contains("n%0Al\n"), "{text}");
    assert_eq!(
        manifest.files.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(),
        ["a b", "b/x", "n\nl", "n%0Al"]
    );
}

#[test]
fn names_are_escaped_so_that_a_line_is_a_line() {
    let name = "a\nb\\c%d\u{2028}\u{85}";
    let manifest = Manifest {
        excludes: vec!["*.log".to_owned()],
        files: vec![ManifestFile { path: name.into(), sha256: Sha256::of(b""), size_bytes: 0 }],
    };
    assert_eq!(manifest.to_bytes().iter().filter(|b| **b == b'\n').count(), 3);
    assert_eq!(Manifest::parse(&manifest.to_bytes()).unwrap(), manifest);
}

#[test]
fn directories_that_cannot_be_artifacts_are_refused() {
    let refused = |folder: &Path, why: &str| {
        let error = of(folder).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    refused(tree(&[]).path(), "no files");
    let folder = tree(&[("a", b"1")]);
    fs::create_dir(folder.path().join("empty")).unwrap();
    refused(folder.path(), "no files");
    refused(tree(&[("a", b"1"), (".git/config", b"")]).path(), ".git");
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        let folder = tree(&[("a", b"1")]);
        symlink("/etc/hostname", folder.path().join("l")).unwrap();
        refused(folder.path(), "symlink leads out");
        let folder = tree(&[("a", b"1")]);
        symlink("../..", folder.path().join("l")).unwrap();
        refused(folder.path(), "symlink leads out");
        let folder = tree(&[("a", b"1"), ("d/b", b"")]);
        symlink("d", folder.path().join("l")).unwrap();
        refused(folder.path(), "symlink to a directory");
        let folder = tree(&[("a", b"1")]);
        symlink("a", folder.path().join("l")).unwrap();
        assert_eq!(of(folder.path()).unwrap().files(), 2);
    }
}

#[test]
fn exclusions_are_part_of_the_identity() {
    let folder = tree(&[("model", b"1"), (".git/config", b""), ("logs/a.log", b"2")]);
    let mut input = Input::new(folder.path());
    input.exclude = vec![".git".into(), "logs".into()];
    let left = fingerprint(&[input], &Silent).unwrap().remove(0);
    assert_eq!(left.files(), 1);
    let plain = tree(&[("model", b"1")]);
    assert_ne!(of(plain.path()).unwrap().sha256, left.sha256);
}

#[test]
fn differences_are_named() {
    let a = tree(&[("same", b"1"), ("gone", b"2"), ("other", b"3")]);
    let b = tree(&[("same", b"1"), ("new", b"2"), ("other", b"4")]);
    let (a, b) = (of(a.path()).unwrap().manifest.unwrap(), of(b.path()).unwrap().manifest.unwrap());
    assert_eq!(
        a.differences(&b),
        [
            Difference::Missing("gone".into()),
            Difference::Extra("new".into()),
            Difference::Changed("other".into()),
        ]
    );
}

fn table(path: &Path) -> Fingerprint {
    fingerprint_path(path, &Silent).unwrap()
}

#[test]
fn rows_and_columns_of_a_csv() {
    let check = |text: &str, rows: u64, columns: &[&str]| {
        let folder = tree(&[("t.csv", text.as_bytes())]);
        let digest = table(&folder.path().join("t.csv")).table.unwrap().digest;
        let names: Vec<_> = digest.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!((digest.rows, names.as_slice()), (rows, columns), "{text:?}");
    };
    check("a,b\n1,2\n3,4\n", 2, &["a", "b"]);
    check("a,b\r\n1,2\r\n\r\n3,4", 2, &["a", "b"]);
    check("\u{feff}a,\"b,\"\"c\n\"\n\"x\ny\",2\n", 1, &["a", "b,\"c\n"]);
    check("\n\na\n", 0, &["a"]);
}

#[test]
fn a_csv_that_cannot_be_read_says_why() {
    let problem = |bytes: &[u8]| {
        let folder = tree(&[("t.csv", bytes)]);
        table(&folder.path().join("t.csv")).table_problem.unwrap()
    };
    assert!(problem(b"a,b\n\"1,2\n").contains("never closed"));
    assert!(problem(b"").contains("no header"));
    assert!(problem(b"a,\xff\n").contains("UTF-8"));
}

#[test]
fn stand_ins_are_recognised() {
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    let folder = tree(&[("m/model.bin", lfs), ("d.dvc", b"outs:\n- md5: a30\n  path: data.csv\n")]);
    let found = of(&folder.path().join("m")).unwrap().stand_ins;
    assert_eq!(
        found,
        [("model.bin".to_owned(), StandIn::GitLfs { oid: Some("sha256:4d7a".into()) })]
    );
    let found = of(&folder.path().join("d.dvc")).unwrap().stand_ins;
    assert_eq!(found[0].1, StandIn::Dvc { path: Some("data.csv".into()) });
}

/// Counts the bytes that are announced, and those that are read.
#[derive(Default)]
pub(super) struct Count {
    pub(super) expected: AtomicU64,
    pub(super) read: AtomicU64,
}

impl Observer for Count {
    fn expect_bytes(&self, bytes: u64) {
        self.expected.fetch_add(bytes, Ordering::Relaxed);
    }

    fn read_bytes(&self, bytes: u64) {
        self.read.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// A progress bar must end where it says that it will.
#[test]
fn as_many_bytes_are_read_as_were_expected() {
    use crate::arrow::array::{ArrayRef, Int64Array, RecordBatch};

    let folder = tree(&[("t.csv", b"id\n1\n2\n"), ("t.ndjson", b"{\"id\":1}\n{\"id\":2}\n")]);
    let ids: ArrayRef = std::sync::Arc::new(Int64Array::from_iter_values(0..200_000));
    let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
    let create = |name: &str| fs::File::create(folder.path().join(name)).unwrap();
    let file = create("t.parquet");
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let file = create("t.arrow");
    let mut writer = crate::arrow::ipc::writer::FileWriter::try_new(file, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    for name in ["t.csv", "t.ndjson", "t.parquet", "t.arrow"] {
        let count = Count::default();
        assert!(fingerprint_path(folder.path().join(name), &count).unwrap().table.is_some());
        let (expected, read) = (count.expected.into_inner(), count.read.into_inner());
        assert!(read > 0 && read == expected, "{name}: {read} of {expected}");
    }
}

/// Their bytes are hashed along with their rows, and copied by whoever reads them: of many runs of rows,
/// of one, and of none.
#[test]
fn large_parquet_files_have_the_digests_and_the_copies_of_their_bytes() {
    use crate::arrow::array::{ArrayRef, Int64Array, RecordBatch};

    let folder = tree(&[("copies/.keep", b"")]);
    let scattered = |n: i64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64);
    let written = [(1_000_000, 1), (200_000, 4)].map(|(rows, columns)| {
        let column = |first: i64| {
            let values = (first..first + rows).map(scattered);
            std::sync::Arc::new(Int64Array::from_iter_values(values)) as ArrayRef
        };
        let named = (0..columns).map(|place| (format!("c{place}"), column(place)));
        let batch = RecordBatch::try_from_iter(named).unwrap();
        let path = folder.path().join(format!("{rows}.parquet"));
        let file = fs::File::create(&path).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let schema = batch.schema();
        let digest = table::digest_batches::<table::TableError>(&schema, [Ok(batch)].into_iter());
        (path, Some(digest.unwrap()))
    });
    let no_table = folder.path().join("no-table.parquet");
    fs::write(&no_table, vec![7; 5 * 1024 * 1024]).unwrap();
    let files = [&written[..], &[(no_table, None)]].concat();

    let (to, number) = (folder.path().join("copies"), std::sync::atomic::AtomicU32::new(0));
    let random = || number.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string();
    let copies = Copies::new(&to, &random, true);
    let inputs = files.iter().map(|(path, _)| {
        let table = Some(TableOptions::default());
        Input { keep: true, table, ..Input::new(path) }
    });
    let inputs: Vec<_> = inputs.collect();
    let found = fingerprint_keeping(&inputs, Some(&copies), None, &Silent).unwrap();
    for ((path, digest), found) in files.iter().zip(found) {
        let bytes = fs::read(path).unwrap();
        assert!(bytes.len() > 4 * 1024 * 1024, "{}", bytes.len());
        assert_eq!(found.sha256, Sha256::of(&bytes));
        assert_eq!(found.table_problem.is_some(), digest.is_none());
        assert_eq!(found.table.map(|table| table.digest), *digest);
        let [(sha256, copy)] = &found.kept[..] else { panic!("{:?}", found.kept) };
        assert!(*sha256 == found.sha256 && fs::read(copy.path()).unwrap() == bytes);
    }
}

/// Tables come last, but their errors where they stand.
#[cfg(target_os = "linux")]
#[test]
fn of_several_files_that_cannot_be_read_the_first_is_named() {
    let folder = tree(&[]);
    for name in ["a.parquet", "b.bin", "c.bin"] {
        // A file that can be opened and not be read at its beginning.
        std::os::unix::fs::symlink("/proc/self/mem", folder.path().join(name)).unwrap();
    }
    for _ in 0..50 {
        let table = Input {
            table: Some(TableOptions::default()),
            ..Input::new(folder.path().join("a.parquet"))
        };
        let others = ["b.bin", "c.bin"].map(|name| Input::new(folder.path().join(name)));
        let inputs: Vec<_> = std::iter::once(table).chain(others).collect();
        let error = fingerprint(&inputs, &Silent).unwrap_err().to_string();
        assert!(error.contains("a.parquet"), "{error}");
    }
}
