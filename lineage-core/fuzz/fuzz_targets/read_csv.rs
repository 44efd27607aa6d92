//! The reader of CSV: pieces of any size give the same table; and the whole, with digest and profile.
#![no_main]

mod file;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    lineage_core::readers::csv::fuzz_csv(data);
    file::read(data, "t.csv");
});
