//! The reader of GGUF.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let file = [b"GGUF".as_slice(), data].concat();
    lineage_core::inspect::inspect_slice(&file, "m.gguf");
});
