//! Strings read with their dictionaries are the same as without, and so is what is refused.

use crate::arrow::array::{
    Array as _, AsArray as _, BinaryArray, DictionaryArray, ListArray, StringDictionaryBuilder,
};
use crate::arrow::buffer::OffsetBuffer;
use crate::arrow::datatypes::Int32Type;
use proptest::prelude::*;

use super::*;
use crate::profile::{BlockProfiler, ColumnProfiler, Scratch};
use crate::table::{ColumnKind, columns_of, digest_batches};

/// Enough for a row group whose dictionaries are kept.
const MANY: usize = 40_000;

/// The rows as they are hashed, or as everybody else reads them.
fn batches(bytes: &[u8], of_words: bool) -> Result<(SchemaRef, Vec<RecordBatch>), String> {
    let table = opened(bytes).map_err(|error| error.to_string())?;
    let mut all = Vec::new();
    for run in table.runs() {
        let batches = if of_words { table.batches_of_words(run) } else { table.batches(run) };
        for batch in batches.map_err(|error| error.to_string())? {
            all.push(batch.map_err(|error| error.to_string())?);
        }
    }
    Ok((Arc::clone(table.schema()), all))
}

/// Digests and profiles, as text.
fn described(schema: &Schema, batches: &[RecordBatch]) -> String {
    let each = batches.iter().cloned().map(Ok::<_, crate::fingerprint::ContentError>);
    let digest = digest_batches(schema, each).unwrap();
    let columns = columns_of(schema).unwrap().into_iter().enumerate();
    let profiles = columns.map(|(index, (_, kind))| {
        let arrays = batches.iter().map(|batch| Arc::clone(batch.column(index)));
        serde_json::to_string(&profile(&kind, arrays)).unwrap()
    });
    format!("{digest:?}\n{}", profiles.collect::<Vec<_>>().join("\n"))
}

fn profile(
    kind: &ColumnKind,
    arrays: impl Iterator<Item = ArrayRef>,
) -> crate::profile::ColumnProfile {
    let block_rows = crate::table::BLOCK_ROWS as usize;
    let mut column = ColumnProfiler::new(kind.clone());
    let mut block = BlockProfiler::with_scratch(kind, Scratch::default());
    let mut left = block_rows;
    for array in arrays {
        let mut at = 0;
        while at < array.len() {
            let rows = left.min(array.len() - at);
            block.push(&array.slice(at, rows)).unwrap();
            (at, left) = (at + rows, left - rows);
            if left == 0 {
                let (profile, scratch) = block.finish_reusing();
                column.absorb(profile);
                block = BlockProfiler::with_scratch(kind, scratch);
                left = block_rows;
            }
        }
    }
    column.absorb(block.finish());
    column.finish()
}

/// Checks that both ways agree; returns in how many batches each column was read with its dictionary.
fn check(bytes: &[u8]) -> Result<Vec<usize>, String> {
    let (usual, of_words) = (batches(bytes, false), batches(bytes, true));
    let (schema, usual) = match (usual, &of_words) {
        (Ok(usual), _) => usual,
        (Err(why), Err(also)) => {
            assert_eq!(&why, also);
            return Err(why);
        }
        (Err(why), Ok(_)) => panic!("read with dictionaries alone: {why}"),
    };
    let (_, of_words) = of_words.unwrap();
    assert_eq!(described(&schema, &usual), described(&schema, &of_words));
    let is_worded = |column: usize| {
        let arrays = of_words.iter().map(|batch| batch.column(column));
        arrays.filter(|array| array.as_any_dictionary_opt().is_some()).count()
    };
    Ok((0..schema.fields().len()).map(is_worded).collect())
}

fn of_texts(texts: StringArray) -> RecordBatch {
    let array: ArrayRef = Arc::new(texts);
    RecordBatch::try_from_iter_with_nullable([("text", array, true)]).unwrap()
}

/// Of so many different texts, some empty, some null, some long.
fn texts(rows: usize, different: usize) -> StringArray {
    let text = |row: usize| {
        let word = row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        match word % different {
            _ if row % 11 == 3 => None,
            0 => Some(String::new()),
            word => Some("é".repeat(word % 23) + &word.to_string()),
        }
    };
    (0..rows).map(text).collect()
}

#[test]
fn texts_of_any_encoding_are_the_same_with_their_dictionary() {
    let batch = of_texts(texts(MANY, 300));
    let base = || WriterProperties::builder().set_max_row_group_row_count(Some(MANY / 2));
    let plain = || base().set_dictionary_enabled(false);
    for properties in [base(), base().set_writer_version(WriterVersion::PARQUET_2_0)] {
        assert!(check(&written(&batch, properties)).unwrap()[0] > 1);
    }
    for encoding in [Encoding::PLAIN, Encoding::DELTA_BYTE_ARRAY, Encoding::DELTA_LENGTH_BYTE_ARRAY]
    {
        let file = written(&batch, plain().set_column_encoding("text".into(), encoding));
        assert_eq!(check(&file), Ok(vec![0]));
    }
}

#[test]
fn a_dictionary_that_was_given_up_is_not_kept() {
    let batch = of_texts(texts(MANY, 3000));
    let properties = WriterProperties::builder()
        .set_dictionary_page_size_limit(4096)
        .set_data_page_row_count_limit(1000)
        .set_write_batch_size(500);
    assert_eq!(check(&written(&batch, properties)), Ok(vec![0]));
}

#[test]
fn dictionaries_that_are_not_worth_it_are_not_kept() {
    // Of few rows, of nearly as many words as rows, and of more words than are kept.
    for (rows, different) in [(1000, 3), (MANY, MANY), (200_000, 100_000)] {
        let batch = of_texts(texts(rows, different));
        let limit = 64 << 20;
        let properties = WriterProperties::builder().set_dictionary_page_size_limit(limit);
        assert_eq!(check(&written(&batch, properties)), Ok(vec![0]), "{rows} {different}");
    }
}

#[test]
fn row_groups_of_different_encodings_are_parts() {
    let (few, many) = (texts(MANY, 9), texts(MANY, MANY));
    let mut bytes = Vec::new();
    let properties = WriterProperties::builder().set_dictionary_page_size_limit(8192).build();
    let schema = of_texts(few.clone()).schema();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, Some(properties)).unwrap();
    for array in [&few, &many, &many, &few, &few] {
        writer.write(&of_texts(array.clone())).unwrap();
        writer.flush().unwrap();
    }
    writer.close().unwrap();
    let (_, batches) = batches(&bytes, true).unwrap();
    let is_worded = |batch: &RecordBatch| batch.column(0).as_any_dictionary_opt().is_some();
    assert!(batches.iter().any(is_worded) && !batches.iter().all(is_worded));
    check(&bytes).unwrap();
}

#[test]
fn only_columns_at_the_top_are_read_with_their_dictionaries() {
    let inner: ArrayRef = Arc::new(texts(MANY, 5));
    let field =
        |name: &str, array: &ArrayRef| Arc::new(Field::new(name, array.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(2, MANY / 2));
    let lists = ListArray::new(field("item", &inner), offsets, Arc::clone(&inner), None);
    let half = inner.slice(0, MANY / 2);
    let group = StructArray::from(vec![(field("inner", &half), Arc::clone(&half))]);
    let encoded = half.as_string::<i32>().iter().collect::<DictionaryArray<Int32Type>>();
    let binary: BinaryArray =
        half.as_string::<i32>().iter().map(|text| text.map(str::as_bytes)).collect();
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("lists", Arc::new(lists), true),
        ("group", Arc::new(group), true),
        ("encoded", Arc::new(encoded), true),
        ("binary", Arc::new(binary), true),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let worded = check(&written(&batch, WriterProperties::builder())).unwrap();
    assert_eq!(worded[..2], [0, 0]);
    assert!(worded[2] > 0 && worded[3] > 0);
}

#[test]
fn batches_of_nulls_alone_have_no_values() {
    let text = |row: usize| (row > MANY - 10).then_some("some");
    let nulls = of_texts((0..MANY).map(text).collect());
    assert!(check(&written(&nulls, WriterProperties::builder())).unwrap()[0] > 0);
}

/// A file of a row group whose rows have these keys in this dictionary, of one run.
fn crafted(words: &[&[u8]], announced: i64, keys: &[u8]) -> Crafted {
    let length = |word: &&[u8]| [&(word.len() as u32).to_le_bytes()[..], word].concat();
    let words: Vec<u8> = words.iter().flat_map(length).collect();
    let size_bytes = words.len() as i64;
    let inner = Structure::default().i32(1, announced).i32(2, 0);
    let header = Structure::default().i32(1, 2).i32(2, size_bytes).i32(3, size_bytes);
    let mut pages = [header.inner(7, inner).end(), words].concat();
    let (rows, mut data) = (MANY as i64, vec![8]);
    let mut left = MANY as u64;
    for (index, key) in keys.iter().enumerate() {
        let run = if index + 1 < keys.len() { 1 } else { left };
        varint(&mut data, run << 1);
        data.push(*key);
        left -= run;
    }
    let size_bytes = data.len() as i64;
    pages.extend(page(size_bytes, size_bytes, rows, 8, &data));
    Crafted { is_text: true, ..Crafted::strings(UNCOMPRESSED, rows, pages) }
}

#[test]
fn a_dictionary_with_duplicates_has_the_values_of_one_without() {
    let file = crafted(&[b"a", b"b", b"a", b""], 4, &[0, 1, 2, 3, 2]).file();
    assert!(check(&file).unwrap()[0] > 0);
    let (schema, twice) = batches(&file, true).unwrap();
    let file = crafted(&[b"b", b"a", b""], 3, &[1, 0, 1, 2, 1]).file();
    let (_, once) = batches(&file, true).unwrap();
    assert_eq!(described(&schema, &twice), described(&schema, &once));
}

#[test]
fn a_text_that_is_not_utf_8_is_refused_whether_a_row_has_it_or_not() {
    for keys in [&[0, 1][..], &[0]] {
        let file = crafted(&[b"a", b"\xff"], 2, keys);
        let why = check(&file.file()).unwrap_err();
        assert!(why.contains("non UTF-8"), "{why}");
        let binary = Crafted { is_text: false, ..file };
        assert!(check(&binary.file()).unwrap()[0] > 0);
    }
}

#[test]
fn a_dictionary_that_ends_early_is_refused_whether_a_row_has_its_end_or_not() {
    for keys in [&[0, 1][..], &[0, 2], &[0]] {
        let why = check(&crafted(&[b"a", b"b"], 3, keys).file()).unwrap_err();
        assert!(why.contains("eof decoding byte array"), "{why}");
    }
}

#[test]
fn a_key_without_a_word_is_refused() {
    let why = check(&crafted(&[b"a", b"b"], 2, &[0, 2, 1]).file()).unwrap_err();
    assert!(why.contains("invalid key=2"), "{why}");
}

#[test]
fn a_wrong_byte_is_refused_the_same_with_dictionaries_and_without() {
    let mut builder = StringDictionaryBuilder::<Int32Type>::new();
    for row in 0..MANY {
        builder.append_option((row % 5 > 0).then(|| format!("word {}", row * row % 7)));
    }
    let array: ArrayRef = Arc::new(builder.finish());
    let batch = RecordBatch::try_from_iter_with_nullable([("text", array, true)]).unwrap();
    let properties = WriterProperties::builder().set_data_page_row_count_limit(5000);
    let bytes = written(&batch, properties.set_write_batch_size(1000));
    let footer = u32::from_le_bytes(*bytes[bytes.len() - 8..].first_chunk().unwrap()) as usize;
    for position in (4..bytes.len() - 8 - footer).step_by(37) {
        let mut wrong = bytes.clone();
        wrong[position] ^= [0x01, 0xff, 0x80, 0x10][position % 4];
        let _ = check(&wrong);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn random_tables_are_the_same_with_dictionaries_and_without(
        words in prop::collection::vec("[a-zé\"]{0,40}", 1..3000),
        skew in 1..4_i32,
        nulls in 0..3_usize,
        row_group_rows in 17_000..90_000_usize,
        dictionary_bytes in 1000..200_000_usize,
        page_rows in 500..30_000_usize,
    ) {
        const ROWS: usize = 150_000;
        let text = |row: usize| {
            let share = (row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64 / (1_u64 << 53) as f64;
            let word = (share.powi(skew) * words.len() as f64) as usize;
            (nulls == 0 || !row.is_multiple_of(nulls * 3)).then(|| words[word].as_str())
        };
        let batch = of_texts((0..ROWS).map(text).collect());
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(row_group_rows))
            .set_dictionary_page_size_limit(dictionary_bytes)
            .set_data_page_row_count_limit(page_rows)
            .set_write_batch_size(500);
        check(&written(&batch, properties)).unwrap();
    }
}
