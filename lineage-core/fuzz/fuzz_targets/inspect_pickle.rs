//! The scan of pickles, with what surrounds it: compression, zip, tar, NumPy.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    lineage_core::inspect::inspect_slice(data, "m.pkl");
});
