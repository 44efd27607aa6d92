//! The profile of one column in one block of rows.

use crate::arrow::array::Array;

use super::counter::{Counted, Counter, Registers};
use super::decimal::Decimal;
use super::extremes::{Extremes, Texts};
use super::key::{self, INFINITY, MINUS_INFINITY, with_number};
use super::moments::Moments;
use super::ranks::Ranks;
use super::words::Words;
use super::{Lengths, ProfileError};
use crate::table::ColumnKind;

/// Memory of a profiler, about 1 MiB when it was used for a full block; give it to the next one.
#[derive(Debug)]
pub struct Scratch {
    /// The identity of each value that is neither null nor NaN: its key, or the hash of its bytes.
    pub(super) ids: Vec<u64>,
    /// The key of each decimal, whose identity is not its key.
    pub(super) keys: Vec<u64>,
    pub(super) counter: Counter,
    /// The text of each entry of the counter, of strings, bytes and decimals.
    pub(super) texts: Vec<Box<[u8]>>,
    /// Of arrays of a dictionary.
    pub(super) words: Words,
}

impl Default for Scratch {
    fn default() -> Scratch {
        let (ids, keys, texts) = (Vec::new(), Vec::new(), Vec::new());
        Scratch { ids, keys, counter: Counter::new(), texts, words: Words::default() }
    }
}

/// Takes the values of one column in one block, in order, in any number of arrays.
#[derive(Debug)]
pub struct BlockProfiler {
    pub(super) kind: ColumnKind,
    pub(super) rows: u64,
    pub(super) nulls: u64,
    pub(super) nan: u64,
    /// How many are false, and how many true.
    pub(super) truths: [u64; 2],
    pub(super) lengths: Option<Lengths>,
    pub(super) texts: Texts,
    pub(super) decimals: Option<(Decimal, Decimal)>,
    pub(super) scratch: Scratch,
}

/// What is known of one column in one block; [`super::ColumnProfiler`] puts blocks together.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockProfile {
    pub(super) rows: u64,
    pub(super) nulls: u64,
    pub(super) nan: u64,
    pub(super) infinite: u64,
    pub(super) lengths: Option<Lengths>,
    pub(super) extremes: Extremes,
    pub(super) moments: Moments,
    pub(super) ranks: Option<Ranks>,
    pub(super) listed: Vec<Listed>,
    pub(super) others_at_most: u64,
    pub(super) registers: Option<Registers>,
}

/// A value and how often it occurs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Listed {
    pub(super) id: u64,
    pub(super) count: u64,
    /// What to show, where the identity does not tell.
    pub(super) text: Option<Box<[u8]>>,
}

impl BlockProfiler {
    /// A profiler of a column of that kind.
    pub fn new(kind: &ColumnKind) -> BlockProfiler {
        BlockProfiler::with_scratch(kind, Scratch::default())
    }

    /// The same, in the memory of an earlier one.
    pub fn with_scratch(kind: &ColumnKind, mut scratch: Scratch) -> BlockProfiler {
        scratch.ids.clear();
        scratch.keys.clear();
        scratch.texts.clear();
        scratch.counter.clear();
        scratch.words.begin_block();
        BlockProfiler {
            kind: kind.clone(),
            rows: 0,
            nulls: 0,
            nan: 0,
            truths: [0; 2],
            lengths: None,
            texts: Texts::default(),
            decimals: None,
            scratch,
        }
    }

    /// Takes the next values of the block. An array of another kind is an error, as are more rows than a
    /// block has.
    pub fn push(&mut self, array: &dyn Array) -> Result<(), ProfileError> {
        self.rows += array.len() as u64;
        if self.rows > super::BLOCK_ROWS {
            return Err(ProfileError::TooManyRows);
        }
        self.take(array)
    }

    /// The profile of the block.
    pub fn finish(self) -> BlockProfile {
        self.finish_reusing().0
    }

    /// The profile of the block, and memory for the next profiler.
    pub fn finish_reusing(mut self) -> (BlockProfile, Scratch) {
        self.take_counts();
        let mut profile = BlockProfile {
            rows: self.rows,
            nulls: self.nulls,
            nan: self.nan,
            infinite: 0,
            lengths: self.lengths,
            extremes: Extremes::None,
            moments: Moments::default(),
            ranks: None,
            listed: Vec::new(),
            others_at_most: 0,
            registers: None,
        };
        match self.kind {
            ColumnKind::Bool => self.finish_bool(&mut profile),
            ColumnKind::String | ColumnKind::Binary => self.finish_texts(&mut profile),
            ColumnKind::Decimal => self.finish_decimals(&mut profile),
            _ if !self.scratch.ids.is_empty() => self.finish_keys(&mut profile),
            _ => {}
        }
        (profile, self.scratch)
    }

    fn finish_bool(&mut self, profile: &mut BlockProfile) {
        let pairs = [(key::of_i64(0), self.truths[0]), (key::of_i64(1), self.truths[1])];
        let pairs: Vec<_> = pairs.into_iter().filter(|pair| pair.1 > 0).collect();
        profile.extremes = ends(&pairs);
        profile.moments = Moments::of_counts(&pairs, |key| key::to_i64(key) as f64);
        profile.listed =
            pairs.iter().map(|&(id, count)| Listed { id, count, text: None }).collect();
    }

    fn finish_texts(&mut self, profile: &mut BlockProfile) {
        let counted = self.scratch.counter.finish(&self.scratch.ids, false);
        self.list(profile, counted);
        profile.extremes = std::mem::take(&mut self.texts).finish();
    }

    fn finish_decimals(&mut self, profile: &mut BlockProfile) {
        let Some((least, greatest)) = self.decimals.take() else { return };
        let counted = self.scratch.counter.finish(&self.scratch.ids, false);
        let keys = &self.scratch.keys;
        profile.moments = Moments::of(keys, key::to_f64);
        profile.ranks = Some(match counted.registers {
            None => Ranks::sorted(keys.clone()),
            Some(_) => {
                Ranks::counted(keys, key::of_f64(least.to_f64()), key::of_f64(greatest.to_f64()))
            }
        });
        profile.extremes = Extremes::Decimals(least, greatest);
        self.list(profile, counted);
    }

    fn finish_keys(&mut self, profile: &mut BlockProfile) {
        let counted = self.scratch.counter.finish(&self.scratch.ids, true);
        let keys = &self.scratch.ids;
        if counted.registers.is_none() {
            let mut pairs: Vec<(u64, u64)> = counted
                .listed
                .iter()
                .map(|&(entry, count)| (self.scratch.counter.id(entry), count))
                .collect();
            pairs.sort_unstable();
            profile.extremes = ends(&pairs);
            let finite = without_infinite(&self.kind, &mut profile.infinite, &pairs);
            profile.moments = with_number!(self.kind, number => Moments::of_counts(finite, number));
            profile.ranks = Some(Ranks::exact(pairs));
        } else {
            let (least, greatest) = least_and_greatest(keys);
            profile.extremes = Extremes::Keys(least, greatest);
            let is_float = matches!(self.kind, ColumnKind::Float32 | ColumnKind::Float64);
            profile.moments = if is_float && (least == MINUS_INFINITY || greatest == INFINITY) {
                let is_finite = |key: &u64| *key != MINUS_INFINITY && *key != INFINITY;
                let finite: Vec<u64> = keys.iter().copied().filter(is_finite).collect();
                profile.infinite = (keys.len() - finite.len()) as u64;
                Moments::of(&finite, key::to_f64)
            } else {
                with_number!(self.kind, number => Moments::of(keys, number))
            };
            profile.ranks = Some(Ranks::counted(keys, least, greatest));
        }
        self.list(profile, counted);
    }

    fn list(&mut self, profile: &mut BlockProfile, counted: Counted) {
        let Scratch { counter, texts, .. } = &mut self.scratch;
        let listed = counted.listed.into_iter().map(|(entry, count)| Listed {
            id: counter.id(entry),
            count,
            text: texts.get_mut(entry).map(std::mem::take),
        });
        profile.listed = listed.collect();
        profile.others_at_most = counted.others_at_most;
        profile.registers = counted.registers;
    }
}

/// Compared in lanes, so that one comparison need not wait for another.
fn least_and_greatest(keys: &[u64]) -> (u64, u64) {
    const LANES: usize = 4;
    let (mut least, mut greatest) = ([u64::MAX; LANES], [0; LANES]);
    let (chunks, rest) = keys.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            least[lane] = least[lane].min(chunk[lane]);
            greatest[lane] = greatest[lane].max(chunk[lane]);
        }
    }
    let least = least.iter().chain(rest).copied().fold(u64::MAX, u64::min);
    (least, greatest.iter().chain(rest).copied().fold(0, u64::max))
}

fn ends(pairs: &[(u64, u64)]) -> Extremes {
    match (pairs.first(), pairs.last()) {
        (Some(first), Some(last)) => Extremes::Keys(first.0, last.0),
        _ => Extremes::None,
    }
}

/// The pairs without those of infinities, which are counted.
fn without_infinite<'a>(
    kind: &ColumnKind,
    infinite: &mut u64,
    mut pairs: &'a [(u64, u64)],
) -> &'a [(u64, u64)] {
    if !matches!(kind, ColumnKind::Float32 | ColumnKind::Float64) {
        return pairs;
    }
    if let Some((&(MINUS_INFINITY, count), rest)) = pairs.split_first() {
        *infinite += count;
        pairs = rest;
    }
    if let Some((&(INFINITY, count), rest)) = pairs.split_last() {
        *infinite += count;
        pairs = rest;
    }
    pairs
}
