//! Profiles against what is computed from all values at hand.

mod bounds;
mod encodings;
mod exact;

use crate::arrow::array::{Array, ArrayRef};
use crate::arrow::datatypes::Field;

use super::{BLOCK_ROWS, BlockProfiler, ColumnProfile, ColumnProfiler, Scratch};
use crate::table::ColumnKind;

/// The profile of an array that is delivered in slices of so many rows.
fn profile_in_slices(array: &dyn Array, slice_rows: usize) -> ColumnProfile {
    let kind = ColumnKind::of(&Field::new("column", array.data_type().clone(), true)).unwrap();
    let mut column = ColumnProfiler::new(kind.clone());
    let mut scratch = Scratch::default();
    for start in (0..array.len()).step_by(BLOCK_ROWS as usize) {
        let end = array.len().min(start + BLOCK_ROWS as usize);
        let mut block = BlockProfiler::with_scratch(&kind, scratch);
        for start in (start..end).step_by(slice_rows) {
            block.push(&array.slice(start, slice_rows.min(end - start))).unwrap();
        }
        let (profile, memory) = block.finish_reusing();
        column.absorb(profile);
        scratch = memory;
    }
    column.finish()
}

fn profile(array: &dyn Array) -> ColumnProfile {
    profile_in_slices(array, BLOCK_ROWS as usize)
}

fn json(profile: &ColumnProfile) -> String {
    serde_json::to_string(profile).unwrap()
}

/// The same numbers each time (SplitMix64).
fn random(index: u64) -> u64 {
    let mut mixed = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// Evenly from 0 to 1.
fn share(index: u64) -> f64 {
    (random(index) >> 11) as f64 / (1_u64 << 53) as f64
}

/// An array from anything that collects into one.
fn array_ref(array: impl Array + 'static) -> ArrayRef {
    std::sync::Arc::new(array)
}
