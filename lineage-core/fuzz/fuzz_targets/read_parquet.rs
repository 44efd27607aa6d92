//! The reader of Parquet files, with digest and profile.
#![no_main]

mod file;

use std::panic;

// libFuzzer ends at every panic. Those of the decoder become errors about the file.
fn let_caught_panics_pass() {
    let end = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !lineage_core::readers::panics_are_caught() {
            end(panic);
        }
    }));
}

libfuzzer_sys::fuzz_target!(
    init: let_caught_panics_pass(),
    |data: &[u8]| file::read(data, "t.parquet")
);
