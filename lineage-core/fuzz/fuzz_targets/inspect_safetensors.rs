//! The reader of safetensors headers.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    lineage_core::inspect::inspect_slice(data, "m.safetensors");
});
