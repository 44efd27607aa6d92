use super::known_safe;
use super::*;
use crate::inspect::inspect_slice;
use crate::inspect::report::{Inspection, Verdict};

fn found(pickle: &[u8]) -> Inspection {
    inspect_slice(pickle, "model.pkl")
}

/// SHORT_BINUNICODE.
fn text(word: &str) -> Vec<u8> {
    [&[0x8c, word.len() as u8], word.as_bytes()].concat()
}

fn named(module: &str, name: &str) -> Vec<u8> {
    [text(module), text(name), vec![0x93]].concat()
}

fn protocol4(parts: &[&[u8]]) -> Vec<u8> {
    [b"\x80\x04", parts.concat().as_slice(), b"."].concat()
}

#[test]
fn no_listed_name_is_known_as_bad() {
    let mut count = 0;
    for (module, name) in known_safe::all() {
        assert_eq!(listing(module, name), Listing::Safe, "{module}.{name}");
        count += 1;
    }
    assert!(count > 500);
}

#[test]
fn names_are_judged_whole() {
    for (module, name) in [
        ("collections", "OrderedDict.fromkeys"),
        ("collections.OrderedDict", "fromkeys"),
        ("collections ", "OrderedDict"),
        ("Collections", "OrderedDict"),
        ("sklearn.pipeline", "make_pipeline"),
        ("sklearn.pipeline.Pipeline", "x"),
        ("builtins", "print"),
        ("builtins", "type"),
        ("numpy.core", "multiarray"),
        ("osx", "system"),
        ("", ""),
        ("mypkg.tools", "trace"),
    ] {
        assert_eq!(listing(module, name), Listing::Unlisted, "{module}.{name}");
    }
    for (module, name) in [
        ("os", "getcwd"),
        ("os.path", "join"),
        ("nt", "system"),
        ("builtins", "getattr"),
        ("__builtin__", "eval"),
        ("numpy", "load"),
        ("torch.hub", "load"),
        ("torch", "os"),
        ("any.module", "sys.modules"),
        ("collections", "OrderedDict.__class__"),
        ("importlib", "import_module"),
        ("operator", "attrgetter"),
        ("functools", "partial"),
        ("types", "CodeType"),
        ("asyncio.subprocess", "Process"),
    ] {
        assert!(matches!(listing(module, name), Listing::Bad(_)), "{module}.{name}");
    }
}

#[test]
fn data_alone_is_safe_in_every_protocol() {
    for pickle in [
        &b"(dp0\nVa\np1\nI1\nsS'b'\np2\nF0.5\nsI2\nL7L\ns."[..],
        b"\x80\x02}q\x00(U\x01aK\x01X\x01\x00\x00\x00bG?\xe0\x00\x00\x00\x00\x00\x00T\x01\x00\x00\x00cM\x01\x00u.",
        b"\x80\x03C\x03abcB\x01\x00\x00\x00d\x86.",
        b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00\x8f\x94(K\x01\x90.",
        b"\x80\x05\x96\x02\x00\x00\x00\x00\x00\x00\x00ab.",
        b"\x80\x02\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x00.",
    ] {
        assert_eq!(found(pickle).verdict, Verdict::Safe, "{:?}", found(pickle));
    }
}

#[test]
fn names_that_are_passed_to_a_listed_function_count_as_called() {
    let pickle =
        protocol4(&[&named("collections", "defaultdict"), &named("mypkg", "factory"), b"\x85R"]);
    let found = found(&pickle);
    assert_eq!(found.verdict, Verdict::Suspicious, "{found:?}");
}

#[test]
fn an_object_made_the_old_way_is_judged_by_its_class() {
    let make = |class: &[u8]| {
        [b"ccopy_reg\n_reconstructor\n(".as_slice(), class, b"c__builtin__\nobject\nNtR."].concat()
    };
    assert_eq!(found(&make(b"csklearn.svm.classes\nSVC\n")).verdict, Verdict::Safe);
    assert_eq!(found(&make(b"cmypkg\nModel\n")).verdict, Verdict::Suspicious);
}

#[test]
fn a_name_that_is_made_while_loading_is_suspicious() {
    let joined =
        protocol4(&[&named("collections", "OrderedDict"), b")R", &text("system"), b"\x93)R"]);
    let found = found(&joined);
    assert_eq!(found.verdict, Verdict::Suspicious);
    assert!(found.findings.iter().any(|finding| finding.kind == "unresolved-name"), "{found:?}");
}

#[test]
fn memo_numbers_follow_the_count_of_distinct_places() {
    // PUT 5, then MEMOIZE: the second place is number 1, not 6.
    let pickle = protocol4(&[&text("os"), b"q\x05", &text("system"), b"\x94", b"h\x05h\x01\x93"]);
    assert_eq!(found(&pickle).imports, ["os.system"]);
}

#[test]
fn torch_references_to_numbers_are_known_and_others_are_not() {
    let with = |id: &[u8]| [b"\x80\x02", id, b"Q."].concat();
    let good = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04t";
    assert_eq!(found(&with(good)).verdict, Verdict::Safe);
    let other = b"(X\x06\x00\x00\x00modulectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04t";
    assert_eq!(found(&with(other)).verdict, Verdict::Suspicious);
}

#[test]
fn the_older_files_of_torch_end_with_raw_numbers() {
    let magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    let file =
        [&magic[..], b"\x80\x02M\xe9\x03.", b"\x80\x02}.", b"\x80\x02}.", b"\x80\x02]."].concat();
    let whole = [&file[..], &[0xff; 32]].concat();
    assert_eq!(found(&whole).verdict, Verdict::Safe, "{:?}", found(&whole));
    let without = [&file[magic.len()..], &[0xff; 32]].concat();
    assert_eq!(found(&without).verdict, Verdict::Unknown);
}

#[test]
fn gigantic_lengths_are_not_believed() {
    for pickle in [
        &b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xff"[..],
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x80\x02\x8b\xff\xff\xff\x7f",
        b"\x80\x02T\xff\xff\xff\xff",
        b"\x80\x04Nr\xff\xff\xff\xff.",
    ] {
        assert_eq!(found(pickle).verdict, Verdict::Unknown, "{:?}", found(pickle));
    }
}

#[test]
fn a_deep_and_a_wide_pickle_stay_within_bounds() {
    let deep = [b"\x80\x04N".as_slice(), &[0x85; 200_000], b"."].concat();
    assert_eq!(found(&deep).verdict, Verdict::Safe);
    let wide = [b"\x80\x04(".as_slice(), &[b'N'; 600_000], b"t."].concat();
    assert_eq!(found(&wide).verdict, Verdict::Unknown);
    let ring = b"\x80\x04}\x94\x8c\x05shapeh\x00\x85sh\x00.";
    assert_eq!(found(ring).verdict, Verdict::Safe);
}

#[test]
fn an_array_whose_type_contradicts_itself_is_suspicious() {
    let wrapper = |flags: u8| {
        let dtype = [
            named("numpy", "dtype"),
            text("f8"),
            b"\x85R(K\x03".to_vec(),
            text("<"),
            b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff".to_vec(),
            vec![b'K', flags, b't', b'b'],
        ]
        .concat();
        let state = [text("shape"), b"K\x01\x85".to_vec(), text("dtype"), dtype].concat();
        protocol4(&[
            &named("joblib.numpy_pickle", "NumpyArrayWrapper"),
            b")\x81}(",
            &state,
            b"ub",
            &[0; 8],
        ])
    };
    assert_eq!(found(&wrapper(0)).verdict, Verdict::Safe, "{:?}", found(&wrapper(0)));
    assert_eq!(found(&wrapper(1)).verdict, Verdict::Suspicious, "{:?}", found(&wrapper(1)));
}
