//! The reader of Arrow files, with digest and profile.
#![no_main]

mod file;

libfuzzer_sys::fuzz_target!(|data: &[u8]| file::read(data, "t.arrow"));
