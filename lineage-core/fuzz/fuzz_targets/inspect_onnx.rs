//! The reader of ONNX.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    lineage_core::inspect::inspect_slice(data, "m.onnx");
});
