//! Files that are broken, or made to break their reader: an error, never a panic, in bounded memory.

use std::fs;
use std::process::Command;

use lineage_core::arrow::array::RecordBatch;
use lineage_core::arrow::datatypes::DataType;
use lineage_core::table::ColumnKind;
use parquet::file::metadata::{ParquetMetaDataReader, ParquetMetaDataWriter};

use super::arrays;
use super::files::{self, Folder};
use super::types::Dice;
use super::values::{Column, Value};
use crate::support::testdata;

/// A process that reads the worst files must stay below this.
const MEMORY_BYTES_MAX: u64 = 512 << 20;

fn rows() -> RecordBatch {
    let column = |name: &str, kind, value: &dyn Fn(usize) -> Value| Column {
        name: name.to_owned(),
        kind,
        values: (0..500).map(value).collect(),
    };
    let columns = [
        column("number", ColumnKind::Int, &|row| Value::Int(row as i128 * 7 % 91)),
        column("text", ColumnKind::String, &|row| match row % 5 {
            0 => Value::Null,
            _ => Value::Text(format!("text {}", row % 13)),
        }),
        column("list", ColumnKind::List(Box::new(ColumnKind::Float64)), &|row| {
            Value::Many(vec![Value::Float64(row as u64); row % 4])
        }),
    ];
    let list = super::types::parse("list(float64)");
    arrays::batch(&columns, &[DataType::Int64, DataType::Utf8, list], 500)
}

/// Small Parquet files with different codecs and pages.
fn parquet_files() -> Vec<Vec<u8>> {
    (0..4).map(|seed| files::parquet(&rows(), &mut Dice(seed))).collect()
}

#[test]
fn a_file_that_ends_early_is_refused() {
    let folder = Folder::new();
    let parquet = files::parquet(&rows(), &mut Dice(1));
    for length in (0..parquet.len()).step_by(parquet.len() / 150 + 1) {
        let path = folder.write("t.parquet", &parquet[..length]);
        assert_ne!(files::problem(&path), "", "{length} bytes");
    }
    let arrow = files::arrow(&rows(), &mut Dice(1));
    for length in (0..arrow.len() - 8).step_by(arrow.len() / 150 + 1) {
        // A stream may end after any message; it is then another, whole table.
        let path = folder.write("t.arrow", &arrow[..length]);
        let _ = files::read(&path, None).unwrap();
    }
    let text: String = (0..9000).map(|row| format!("{row},{}\n", row * 7919 % 1009)).collect();
    let text = format!("a,b\n{text}");
    let packed = [files::gzip(text.as_bytes()), zstd::encode_all(text.as_bytes(), 3).unwrap()];
    for (bytes, name) in packed.iter().zip(["t.csv.gz", "t.csv.zst"]) {
        files::table(&folder.write(name, bytes), None);
        for length in [1, 5, 11, bytes.len() / 2, bytes.len() - 5, bytes.len() - 1] {
            let path = folder.write(name, &bytes[..length]);
            assert_ne!(files::problem(&path), "", "{name}: {length} bytes");
        }
    }
}

#[test]
fn an_encrypted_parquet_file_is_called_encrypted() {
    let folder = Folder::new();
    let mut bytes = files::parquet(&rows(), &mut Dice(2));
    let end = bytes.len() - 4;
    bytes[end..].copy_from_slice(b"PARE");
    let problem = files::problem(&folder.write("t.parquet", &bytes));
    assert!(problem.contains("encrypted"), "{problem}");
}

#[test]
fn an_unclosed_quote_is_named_with_its_line() {
    let folder = Folder::new();
    let problem = files::problem(&folder.write("t.csv", b"a,b\n1,2\n3,\"4\n5,6\n"));
    assert!(problem.contains("line 3") && problem.contains("never closed"), "{problem}");
    let problem = files::problem(&folder.write("t.csv", b"a,b\n1,2\r"));
    assert!(problem.contains("line 2") && problem.contains("carriage return"), "{problem}");
}

#[test]
fn flipped_bits_never_do_more_than_change_the_table_or_refuse_it() {
    let folder = Folder::new();
    let mut dice = Dice(3);
    let originals = parquet_files().into_iter().map(|bytes| (bytes, "t.parquet"));
    let arrow = (0..4).map(|seed| (files::arrow(&rows(), &mut Dice(seed)), "t.arrow"));
    for (original, name) in originals.chain(arrow) {
        for _ in 0..150 {
            let mut bytes = original.clone();
            for _ in 0..1 + dice.roll(3) {
                let at = dice.roll(bytes.len());
                bytes[at] ^= 1 << dice.roll(8);
            }
            let _ = files::read(&folder.write(name, &bytes), None);
        }
    }
}

/// Found by the fuzzer: the header of a page announces billions of values, and the decoder skipped them
/// one by one behind the end of the file, for half a minute.
#[test]
fn what_a_header_announces_ends_with_the_file() {
    let bytes = fs::read(testdata("hostile/header-of-billions.parquet")).unwrap();
    let found = files::read(&Folder::new().write("t.parquet", &bytes), None).unwrap();
    let problem = found.table_problem.unwrap();
    assert!(problem.contains("unexpected end of file"), "{problem}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_worst_files_are_read_in_bounded_memory() {
    let program = std::env::current_exe().unwrap();
    let ran = Command::new("sh")
        .args(["-c", "ulimit -v 6000000; exec \"$0\" \"$@\""])
        .arg(program)
        .args(["--exact", "tables::hostile::the_worst_files", "--ignored", "--nocapture"])
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&said));
}

/// Not by itself: its memory can be measured only in a process of its own.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "run by the_worst_files_are_read_in_bounded_memory"]
fn the_worst_files() {
    within_memory("footers with a flipped byte", flipped_footers);
    within_memory("gigantic counts", gigantic_counts);
    within_memory("long fields", long_fields);
    within_memory("bombs", bombs);
}

#[cfg(target_os = "linux")]
fn within_memory(what: &str, read: fn()) {
    read();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak_kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak_kib << 10 < MEMORY_BYTES_MAX, "{what}: {peak_kib} KiB");
}

/// Every byte of two footers, with one bit flipped or all of them.
fn flipped_footers() {
    let folder = Folder::new();
    for original in parquet_files().into_iter().take(2) {
        let end = original.len() - 8;
        let length = u32::from_le_bytes(original[end..end + 4].try_into().unwrap()) as usize;
        for at in end - length..original.len() {
            let mut bytes = original.clone();
            bytes[at] ^= [1 << (at % 8), 0xff][at % 2];
            let _ = files::read(&folder.write("t.parquet", &bytes), None);
        }
    }
}

/// Sound footers that declare more than there is.
fn gigantic_counts() {
    let folder = Folder::new();
    let original = files::parquet(&rows(), &mut Dice(5));
    let shared = bytes_of(&original);
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&shared).unwrap();
    for count in [i64::MAX / 4, 1 << 40, 1 << 33, 100_000_000, 501, 0, -1] {
        for lie in 0..5 {
            let mut builder = metadata.clone().into_builder();
            let groups = builder.take_row_groups();
            for (place, group) in groups.into_iter().enumerate() {
                let mut group = group.into_builder();
                let columns = group.take_columns();
                for (number, column) in columns.into_iter().enumerate() {
                    let mut column = column.into_builder();
                    // The writer of footers adds them up: only one may lie.
                    column = match if place + number == 0 { lie } else { 0 } {
                        1 => column.set_num_values(count),
                        2 => column.set_total_compressed_size(count),
                        3 => column.set_total_uncompressed_size(count),
                        4 => column.set_data_page_offset(count),
                        _ => column,
                    };
                    group = group.add_column_metadata(column.build().unwrap());
                }
                if lie == 0 && place == 0 {
                    group = group.set_num_rows(count);
                }
                builder = builder.add_row_group(group.build().unwrap());
            }
            let mut bytes = original.clone();
            ParquetMetaDataWriter::new(&mut bytes, &builder.build()).finish().unwrap();
            let found = files::read(&folder.write("t.parquet", &bytes), None).unwrap();
            if lie == 0 && count != 0 {
                assert!(found.table.is_none(), "{count} rows");
            }
        }
    }
}

fn bytes_of(original: &[u8]) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(original)
}

/// Fields longer than any that is read, closed and not.
fn long_fields() {
    let folder = Folder::new();
    for (start, end) in [("a,b\n1,\"", "\"\n"), ("a,b\n1,\"", ""), ("a,b\n1,", "\n"), ("", "\n1\n")]
    {
        let text = [start.as_bytes(), &vec![b'x'; 80 << 20], end.as_bytes()].concat();
        let path = folder.write("t.csv", &text);
        drop(text);
        let problem = files::problem(&path);
        assert!(problem.contains("bytes; is a quote missing?"), "{problem}");
    }
    let text = [&b"{\"a\": \""[..], &vec![b'x'; 80 << 20], b"\"}\n"].concat();
    let path = folder.write("t.ndjson", &text);
    drop(text);
    let _ = files::read(&path, None);
}

/// Little that unpacks to much.
fn bombs() {
    let folder = Folder::new();
    let packed = |start: &str, byte: u8, suffix: &str| {
        let block = vec![byte; 64 << 20];
        // Several members or frames one after another are one stream.
        match suffix {
            ".gz" => [files::gzip(start.as_bytes()), files::gzip(&block).repeat(16)].concat(),
            _ => {
                let frame = zstd::encode_all(&block[..], 1).unwrap();
                [zstd::encode_all(start.as_bytes(), 1).unwrap(), frame.repeat(16)].concat()
            }
        }
    };
    for suffix in [".gz", ".zst"] {
        for (start, byte, words) in [("", 0, "NUL"), ("a\n1\n", 0, "NUL"), ("a\n\"", b'x', "bytes")]
        {
            let path = folder.write(&format!("t.csv{suffix}"), &packed(start, byte, suffix));
            let problem = files::problem(&path);
            assert!(problem.contains(words), "{problem}");
        }
        let path = folder.write(&format!("t.ndjson{suffix}"), &packed("", b'[', suffix));
        assert_ne!(files::problem(&path), "");
        let path = folder.write(&format!("t.arrow{suffix}"), &packed("", 0, suffix));
        let _ = files::read(&path, None);
    }
}
