//! An entry for fuzzing.

/// x
pub fn fuzz_csv(_bytes: &[u8]) {}
