use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use ::zip as packing;

fn samples() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../testdata/models");
    let mut samples: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let bytes = std::fs::read(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), bytes)
        })
        .collect();
    samples.sort();
    assert!(samples.len() > 70);
    samples
}

/// What each sample must be found to be. Anything named `evil` is at least suspicious, and anything
/// named `ok` is safe; these say more.
#[rustfmt::skip]
const EXPECTED: &[(&str, &str, &str, &str)] = &[
    ("beside.onnx", "onnx", "safe", "external-data"),
    ("bomb-gzip.joblib", "joblib", "unknown", "size-cap"),
    ("class-changed.pkl", "pickle", "suspicious", "class-changed"),
    ("code.pt", "pytorch-zip", "unknown", "source-code"),
    ("count.gguf", "gguf", "unknown", "malformed"),
    ("cut.gguf", "gguf", "unknown", "malformed"),
    ("cut.onnx", "onnx", "unknown", "malformed"),
    ("cut.safetensors", "safetensors", "unknown", "malformed"),
    ("double.safetensors", "safetensors", "suspicious", "duplicate-name"),
    ("dtype.safetensors", "safetensors", "unknown", "unknown-dtype"),
    ("empty.bin", "unknown", "unknown", "not-recognised"),
    ("evil-absolute.onnx", "onnx", "dangerous", "external-data-outside"),
    ("evil-build.pkl", "pickle", "dangerous", "unlisted-call"),
    ("evil-bz2.joblib", "joblib", "dangerous", "known-bad"),
    ("evil-cut.pkl", "pickle", "dangerous", "parse-error"),
    ("evil-dotted.pkl", "pickle", "dangerous", "known-bad"),
    ("evil-double.pt", "pytorch-zip", "dangerous", "known-bad"),
    ("evil-escaped.pkl", "pickle", "dangerous", "known-bad"),
    ("evil-extension.pkl", "pickle", "suspicious", "extension-code"),
    ("evil-flagged.pt", "pytorch-zip", "dangerous", "encrypted"),
    ("evil-global.pkl", "pickle", "dangerous", "known-bad"),
    ("evil-gzip.joblib", "joblib", "dangerous", "known-bad"),
    ("evil-inst.pkl", "pickle", "dangerous", "known-bad"),
    ("evil-locate.pkl", "pickle", "dangerous", "dynamic-call"),
    ("evil-lzma.joblib", "joblib", "dangerous", "known-bad"),
    ("evil-member-module.pkl", "pickle", "dangerous", "known-bad"),
    ("evil-member.pt", "pytorch-zip", "dangerous", "known-bad"),
    ("evil-memo.pkl", "pickle", "dangerous", "known-bad"),
    ("evil-module.keras", "keras", "dangerous", "foreign-class"),
    ("evil-named-otherwise.zip", "zip", "dangerous", "known-bad"),
    ("evil-nested.zip", "zip", "dangerous", "known-bad"),
    ("evil-newobj-ex.pkl", "pickle", "dangerous", "known-bad"),
    ("evil-obj.pkl", "pickle", "dangerous", "known-bad"),
    ("evil-object.npy", "npy", "dangerous", "known-bad"),
    ("evil-outside.onnx", "onnx", "dangerous", "external-data-outside"),
    ("evil-persistent.pkl", "pickle", "suspicious", "persistent-id"),
    ("evil-polyglot.safetensors", "safetensors", "dangerous", "polyglot"),
    ("evil-runstring.pkl", "pickle", "dangerous", "known-bad"),
    ("evil-second.pkl", "pickle", "dangerous", "known-bad"),
    ("evil-stack-global.pkl", "pickle", "dangerous", "known-bad"),
    ("evil-storage.pt", "pytorch-zip", "dangerous", "known-bad"),
    ("evil-template.gguf", "gguf", "suspicious", "template-code"),
    ("evil-two-readers.joblib", "joblib", "dangerous", "known-bad"),
    ("evil-xz.joblib", "joblib", "dangerous", "known-bad"),
    ("evil-zlib.joblib", "joblib", "dangerous", "known-bad"),
    ("evil.pt", "pytorch-zip", "dangerous", "known-bad"),
    ("evil.skops", "skops", "dangerous", "known-bad"),
    ("evil.tar", "tar", "dangerous", "known-bad"),
    ("evil.tar.gz", "tar", "dangerous", "known-bad"),
    ("hole.safetensors", "safetensors", "suspicious", "hole"),
    ("huge-header.safetensors", "safetensors", "unknown", "malformed"),
    ("keras.h5", "hdf5", "unknown", "not-inspected"),
    ("lambda.keras", "keras", "suspicious", "lambda"),
    ("lightgbm.txt", "text", "safe", ""),
    ("metadata.safetensors", "safetensors", "unknown", "metadata"),
    ("ok-ordered.pkl", "pickle", "safe", ""),
    ("ok-zlib.joblib", "joblib", "safe", ""),
    ("ok.gguf", "gguf", "safe", ""),
    ("ok.joblib", "joblib", "safe", ""),
    ("ok.json", "json", "safe", ""),
    ("ok.keras", "keras", "safe", ""),
    ("ok.npy", "npy", "safe", ""),
    ("ok.npz", "npz", "safe", ""),
    ("ok.onnx", "onnx", "safe", ""),
    ("ok.pkl", "pickle", "safe", ""),
    ("ok.pt", "pytorch-zip", "safe", ""),
    ("ok.safetensors", "safetensors", "safe", ""),
    ("ok.skops", "skops", "safe", ""),
    ("operator.onnx", "onnx", "unknown", "custom-operator"),
    ("overflow.safetensors", "safetensors", "suspicious", "shape-mismatch"),
    ("overlap.safetensors", "safetensors", "suspicious", "overlap"),
    ("shape.safetensors", "safetensors", "suspicious", "shape-mismatch"),
    ("space.safetensors", "safetensors", "suspicious", "malformed"),
    ("template.gguf", "gguf", "safe", "chat-template"),
    ("trailing.pkl", "pickle", "unknown", "trailing-bytes"),
    ("unknown.bin", "unknown", "unknown", "not-recognised"),
    ("unlisted-call.pkl", "pickle", "suspicious", "unlisted-call"),
    ("unlisted-import.pkl", "pickle", "unknown", "unlisted-import"),
    ("version.gguf", "gguf", "unknown", "malformed"),
];

#[test]
fn every_sample_is_judged_as_it_must_be() {
    let samples = samples();
    assert_eq!(samples.len(), EXPECTED.len(), "a sample is not in the table, or missing");
    for ((name, bytes), (expected_name, format, verdict, kind)) in samples.iter().zip(EXPECTED) {
        assert_eq!(name, expected_name);
        let found = inspect_slice(bytes, name);
        assert_eq!(found.format.word(), *format, "{name}: {found:?}");
        assert_eq!(found.verdict.word(), *verdict, "{name}: {found:?}");
        let told = kind.is_empty() || found.findings.iter().any(|f| f.kind == *kind);
        assert!(told, "{name} lacks {kind}: {found:?}");
    }
}

#[test]
fn no_beginning_of_a_bad_sample_is_safe() {
    for (name, bytes) in samples() {
        if inspect_slice(&bytes, &name).verdict == Verdict::Safe {
            continue;
        }
        // Their beginnings are whole files of their own; an ONNX file has no end of its own.
        if matches!(
            name.as_str(),
            "cut.onnx"
                | "evil-second.pkl"
                | "trailing.pkl"
                | "evil-polyglot.safetensors"
                | "hole.safetensors"
        ) {
            continue;
        }
        for length in (0..bytes.len()).rev().take(4096) {
            let found = inspect_slice(&bytes[..length], &name);
            assert_ne!(found.verdict, Verdict::Safe, "{name}, {length} bytes: {found:?}");
        }
    }
}

#[test]
fn what_was_dangerous_before_the_cut_stays_so() {
    for (name, bytes) in samples() {
        if !name.starts_with("evil-") || !name.ends_with(".pkl") {
            continue;
        }
        let mut dangerous = false;
        for length in 0..=bytes.len() {
            let found = inspect_slice(&bytes[..length], &name).verdict;
            assert!(!dangerous || found == Verdict::Dangerous, "{name}, {length} bytes: {found:?}");
            dangerous |= found == Verdict::Dangerous;
        }
    }
}

#[test]
fn every_compression_gives_the_same_judgement() {
    let (mut kinds, mut locations) = (Vec::new(), Vec::new());
    for name in ["evil-zlib", "evil-gzip", "evil-bz2", "evil-xz", "evil-lzma"] {
        let name = format!("{name}.joblib");
        let bytes = samples().into_iter().find(|sample| sample.0 == name).unwrap().1;
        let found = inspect_slice(&bytes, "model.pkl");
        kinds.push(found.findings);
        locations.push(found.imports);
    }
    assert!(kinds.iter().all(|findings| *findings == kinds[0]));
    assert!(locations.iter().all(|imports| imports == &["os.system"]));
}

#[test]
fn a_member_is_named_with_the_archives_around_it() {
    let bytes = samples().into_iter().find(|sample| sample.0 == "evil-nested.zip").unwrap().1;
    let found = inspect_slice(&bytes, "evil-nested.zip");
    assert_eq!(found.findings[0].location, "inner.zip!data.pkl");
}

#[test]
fn the_name_of_a_member_hides_nothing() {
    use std::io::Write as _;
    for name in ["model.onnx", "model.safetensors", "model.gguf", "README.txt", "data/0"] {
        let mut zip = packing::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file(name, packing::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(b"cos\nsystem\n(S'true'\ntR.").unwrap();
        let bytes = zip.finish().unwrap().into_inner();
        let found = inspect_slice(&bytes, "model.zip");
        assert_eq!(found.verdict, Verdict::Dangerous, "{name}: {found:?}");
    }
}

#[test]
fn archives_are_not_followed_for_ever() {
    use std::io::Write as _;
    let mut bytes = b"cos\nsystem\n.".to_vec();
    for _ in 0..20 {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&bytes).unwrap();
        bytes = packed.finish().unwrap();
    }
    let found = inspect_slice(&bytes, "model.joblib");
    assert_eq!(found.verdict, Verdict::Unknown, "{found:?}");
}

#[test]
fn directories_and_missing_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let silent = crate::context::Silent;
    let found = inspect(folder.path(), &silent);
    assert!(matches!(found, Err(InspectError::Directory { .. })), "{found:?}");
    let found = inspect(&folder.path().join("none"), &silent);
    assert!(matches!(found, Err(InspectError::File(ref error)) if error.is_not_found()));
}

#[test]
fn an_interrupted_inspection_says_so() {
    struct Stop;
    impl Observer for Stop {
        fn interrupted(&self) -> bool {
            true
        }
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"\x80\x04N.").unwrap();
    let found = inspect(file.path(), &Stop);
    assert!(matches!(found, Err(InspectError::File(FileError::Interrupted))), "{found:?}");
}

proptest! {
    #[test]
    fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..600), name in "m\\.(pkl|pt|onnx|gguf|safetensors|joblib|npy|bin)") {
        inspect_slice(&bytes, &name);
    }

    #[test]
    fn damaged_samples_are_judged(
        pick in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let samples = samples();
        let (name, bytes) = pick.get(&samples);
        let mut bytes = bytes.clone();
        for (at, byte) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        inspect_slice(&bytes, name);
    }

    #[test]
    fn any_opcodes_are_judged(opcodes in prop::collection::vec(prop::sample::select(OPCODES), 0..400)) {
        let bytes: Vec<u8> = opcodes.concat();
        inspect_slice(&[b"\x80\x04", &bytes[..]].concat(), "m.pkl");
    }
}

/// Opcodes with arguments, from which pickles are made at random.
const OPCODES: &[&[u8]] = &[
    b"(",
    b".",
    b"0",
    b"1",
    b"2",
    b")",
    b"]",
    b"}",
    b"N",
    b"t",
    b"l",
    b"d",
    b"a",
    b"e",
    b"s",
    b"u",
    b"R",
    b"b",
    b"o",
    b"Q",
    b"\x81",
    b"\x92",
    b"\x93",
    b"\x85",
    b"\x86",
    b"\x87",
    b"\x88",
    b"\x8f",
    b"\x90",
    b"\x91",
    b"\x94",
    b"\x97",
    b"\x98",
    b"K\x05",
    b"q\x00",
    b"h\x00",
    b"q\x01",
    b"h\x01",
    b"Pid\n",
    b"p7\n",
    b"g7\n",
    b"\x8c\x02os",
    b"\x8c\x05shape",
    b"\x8c\x05dtype",
    b"\x8c\x02f8",
    b"ccollections\nOrderedDict\n",
    b"cnumpy\ndtype\n",
    b"ijoblib.numpy_pickle\nNumpyArrayWrapper\n",
    b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ctorch\nFloatStorage\n",
    b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x82\x01",
];
