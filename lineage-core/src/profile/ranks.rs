//! Which value stands where in the order: a summary of many values whose error is known.

use super::hash;

/// Values that a summary keeps at most.
const KEPT: usize = 1024;
/// Values of a block that are looked at to choose those whose rank is counted.
const SAMPLE: usize = 2048;
/// Of the sampled values, one in so many has its rank counted.
const SAMPLED_PER_SPLITTER: usize = 4;
/// Room for the values whose rank is counted: a quarter of the sample, less than least and greatest.
const SPLITTERS: usize = SAMPLE / SAMPLED_PER_SPLITTER;

/// Values in ascending order, each standing for `weight` of all values. For every x the weights up to
/// x differ from the number of values up to x by at most `error`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ranks {
    items: Vec<(u64, u64)>,
    error: u64,
}

impl Ranks {
    /// Of different values in ascending order and how often each occurs: without error.
    pub(super) fn exact(pairs: Vec<(u64, u64)>) -> Ranks {
        let mut ranks = Ranks { items: pairs, error: 0 };
        ranks.shrink();
        ranks
    }

    /// Of values in any order, by sorting them.
    pub(super) fn sorted(mut values: Vec<u64>) -> Ranks {
        values.sort_unstable();
        let runs = values.chunk_by(|left, right| left == right);
        Ranks::exact(runs.map(|run| (run[0], run.len() as u64)).collect())
    }

    /// Of many values in any order: a sample of them is sorted, and all are counted between its values.
    pub(super) fn counted(values: &[u64], least: u64, greatest: u64) -> Ranks {
        if values.len() <= SAMPLE {
            return Ranks::sorted(values.to_vec());
        }
        let splitters = splitters(values, least, greatest);
        let counts = Search::new(&splitters).count(values);
        let mut items: Vec<(u64, u64)> = Vec::with_capacity(splitters.len());
        let mut error = 0;
        for (splitter, count) in splitters.into_iter().zip(counts) {
            let (between, equal) = (count & u64::from(u32::MAX), count >> 32);
            if let Some(before) = items.last_mut() {
                before.1 += between / 2;
            }
            items.push((splitter, equal + between.div_ceil(2)));
            error = error.max(between.div_ceil(2));
        }
        Ranks { items, error }
    }

    /// Both together.
    fn merge(&self, other: &Ranks) -> Ranks {
        let mut items = Vec::with_capacity(self.items.len() + other.items.len());
        let (mut left, mut right) = (self.items.as_slice(), other.items.as_slice());
        while let (Some(&first), Some(&second)) = (left.first(), right.first()) {
            if first.0 <= second.0 {
                left = &left[1..];
            }
            if second.0 <= first.0 {
                right = &right[1..];
            }
            items.push(match first.0.cmp(&second.0) {
                std::cmp::Ordering::Less => first,
                std::cmp::Ordering::Greater => second,
                std::cmp::Ordering::Equal => (first.0, first.1 + second.1),
            });
        }
        items.extend(left.iter().chain(right));
        Ranks { items, error: self.error + other.error }
    }

    /// Keeps the values in the middle of equally long stretches (Greenwald and Khanna 2004, prune).
    fn shrink(&mut self) {
        if self.items.len() <= KEPT {
            return;
        }
        let total = self.count();
        let bound = |index: usize| (u128::from(total) * index as u128 / KEPT as u128) as u64;
        let mut kept: Vec<(u64, u64)> = Vec::with_capacity(KEPT);
        let mut items = self.items.iter();
        let (mut value, mut reached) = (0, 0);
        for index in 0..KEPT {
            let (start, end) = (bound(index), bound(index + 1));
            while reached <= start + (end - start) / 2 {
                let Some(item) = items.next() else { break };
                value = item.0;
                reached += item.1;
            }
            match kept.last_mut() {
                Some(last) if last.0 == value => last.1 += end - start,
                _ => kept.push((value, end - start)),
            }
        }
        self.error += total.div_ceil(KEPT as u64).div_ceil(2);
        self.items = kept;
    }

    fn count(&self) -> u64 {
        self.items.iter().map(|item| item.1).sum()
    }

    /// How far, as a share of all values, the rank of a quantile may be off.
    pub(super) fn error_share(&self) -> f64 {
        self.error as f64 / self.count().max(1) as f64
    }

    /// The value at rank ⌈share × count⌉, counted from 1.
    pub(super) fn at(&self, share: f64) -> Option<u64> {
        let rank = (share * self.count() as f64).ceil().max(1.0) as u64;
        let mut reached = 0;
        let found = self.items.iter().find(|item| {
            reached += item.1;
            reached >= rank
        });
        found.or(self.items.last()).map(|item| item.0)
    }
}

/// Values that part a block into stretches of about equally many, with the least and the greatest;
/// ascending, without repetitions, at most `SPLITTERS`.
fn splitters(values: &[u64], least: u64, greatest: u64) -> Vec<u64> {
    // One value from each of equally long stretches of rows, so that sorted input is met evenly, at a
    // place within it that follows no period.
    let mut sample: Vec<u64> = (0..SAMPLE)
        .map(|index| {
            let (start, end) = (index * values.len() / SAMPLE, (index + 1) * values.len() / SAMPLE);
            values[start + (hash::spread(index as u64) % (end - start) as u64) as usize]
        })
        .collect();
    sample.sort_unstable();
    let inner = sample.chunks_exact(SAMPLED_PER_SPLITTER).skip(1).map(|chunk| chunk[0]);
    let mut splitters = vec![least];
    splitters.extend(inner.skip(1));
    splitters.push(greatest);
    splitters.dedup();
    splitters
}

/// Cells of equal width that the range of values is cut into.
const CELLS: usize = 1024;
/// Steps of a search within one cell, when values are spread evenly.
const FEW_STEPS: u32 = 2;
/// Steps of a search among all splitters.
const ALL_STEPS: u32 = SPLITTERS.ilog2();
/// The splitters, followed by as many places at least as one step of the search can go beyond them.
const PLACES: usize = 2 * SPLITTERS;

/// Finds places among splitters without branches: first the cell, then by halves the place within it.
struct Search {
    splitters: [u64; PLACES],
    least: u64,
    shift: u32,
    /// How many splitters lie in the cells before.
    before: [u16; CELLS],
    /// The most splitters that lie in one cell.
    most: usize,
}

impl Search {
    /// Of splitters in ascending order, the first and last being the least and the greatest value.
    fn new(sorted: &[u64]) -> Search {
        let mut splitters = [u64::MAX; PLACES];
        splitters[..sorted.len()].copy_from_slice(sorted);
        let least = sorted.first().copied().unwrap_or(0);
        let range = sorted.last().copied().unwrap_or(0) - least;
        let shift = (u64::BITS - range.leading_zeros()).saturating_sub(CELLS.ilog2());
        let mut before = [0; CELLS];
        let (mut reached, mut most) = (0, 0);
        for (cell, before) in before.iter_mut().enumerate() {
            *before = reached as u16;
            let inside =
                sorted[reached..].iter().take_while(|key| (*key - least) >> shift == cell as u64);
            let inside = inside.count();
            reached += inside;
            most = most.max(inside);
        }
        Search { splitters, least, shift, before, most }
    }

    /// For each splitter the values below it, but above the one before, in the low half, and those equal to
    /// it in the high half.
    fn count(&self, values: &[u64]) -> [u64; PLACES] {
        if self.most < 1 << FEW_STEPS {
            self.count_in_steps::<FEW_STEPS>(values)
        } else {
            self.count_in_steps::<ALL_STEPS>(values)
        }
    }

    /// The same when no cell has 2^`STEPS` splitters: a number known beforehand unrolls the loop. Values
    /// that crowd into few cells are looked for among all splitters at once.
    fn count_in_steps<const STEPS: u32>(&self, values: &[u64]) -> [u64; PLACES] {
        let mut counts = [0; PLACES];
        for &value in values {
            // The remainders change nothing; they show that indices are in range.
            let cell = (value.wrapping_sub(self.least) >> self.shift) as usize % CELLS;
            let mut index = if STEPS < ALL_STEPS { usize::from(self.before[cell]) } else { 0 };
            for step in (0..STEPS).rev().map(|exponent| 1 << exponent) {
                let is_below = self.splitters[(index + step - 1) % PLACES] < value;
                index = std::hint::select_unpredictable(is_below, index + step, index);
            }
            index %= PLACES;
            counts[index] += if self.splitters[index] == value { 1 << 32 } else { 1 };
        }
        counts
    }
}

/// Summaries of one, two, four, … blocks, so that each block's values are summarised anew only once in
/// every doubling.
#[derive(Debug, Clone, Default)]
pub(super) struct Levels {
    levels: Vec<Option<Ranks>>,
}

impl Levels {
    pub(super) fn add(&mut self, mut ranks: Ranks) {
        for level in &mut self.levels {
            match level.take() {
                Some(earlier) => {
                    ranks = earlier.merge(&ranks);
                    ranks.shrink();
                }
                None => {
                    *level = Some(ranks);
                    return;
                }
            }
        }
        self.levels.push(Some(ranks));
    }

    /// The summary of all blocks, if there are any.
    pub(super) fn total(&self) -> Option<Ranks> {
        self.levels.iter().flatten().fold(None, |total: Option<Ranks>, ranks| {
            Some(total.map_or_else(|| ranks.clone(), |total| total.merge(ranks)))
        })
    }
}
