//! The statistics themselves.

use serde::Serialize;

use super::collect::Categories;

/// Bins of ordered values, each with the same share of the left table.
const BINS: usize = 10;

/// Categories with a bin of their own.
const CATEGORIES: usize = 50;

/// A smaller share counts as this one, so that an empty bin does not make the index infinite.
const SHARE_MIN: f64 = 1e-4;

/// What a population stability index is usually taken for (Siddiqi, Credit Risk Scorecards, 2006).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Shift {
    /// Below 0.1.
    Stable,
    /// From 0.1 to below 0.25.
    Moderate,
    /// 0.25 and more.
    Large,
}

impl Shift {
    /// The word for an index.
    pub fn of(psi: f64) -> Shift {
        match psi {
            psi if psi < 0.1 => Shift::Stable,
            psi if psi < 0.25 => Shift::Moderate,
            _ => Shift::Large,
        }
    }
}

/// The two-sample test of Kolmogorov and Smirnov, over values that are neither null nor NaN.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct KolmogorovSmirnov {
    /// The greatest distance of the two distribution functions, exactly.
    pub statistic: f64,
    /// The chance of a distance as great when both tables come from one distribution, by Smirnov's limit
    /// for large tables.
    pub p_value: f64,
    /// The distance that is exceeded with a chance of 0.05.
    pub critical_value: f64,
    /// Whether the chance is below 0.05.
    pub differs: bool,
}

/// Σ (right − left) · ln(right / left) over the shares of all rows that fall into each bin.
pub(super) fn population_stability(bins: &[(u64, u64)], rows: (u64, u64)) -> f64 {
    let share = |count: u64, rows: u64| (count as f64 / rows as f64).max(SHARE_MIN);
    bins.iter()
        .map(|(left, right)| (share(*left, rows.0), share(*right, rows.1)))
        .map(|(left, right)| (right - left) * (right / left).ln())
        .sum()
}

/// How many of two sorted lists fall into bins of equal frequency in the first.
pub(super) fn frequency_bins(left: &[u64], right: &[u64]) -> Vec<(u64, u64)> {
    let edges: Vec<u64> = (1..BINS)
        .filter_map(|k| left.get((k * left.len()).div_ceil(BINS).wrapping_sub(1)))
        .copied()
        .collect();
    // A bin ends with its edge. A value that is an edge twice has a bin of its own.
    let mut ends = Vec::new();
    for same in edges.chunk_by(|a, b| a == b) {
        if same.len() > 1
            && let Some(before) = same[0].checked_sub(1)
            && ends.last() != Some(&before)
        {
            ends.push(before);
        }
        ends.push(same[0]);
    }
    let mut bins = Vec::with_capacity(ends.len() + 1);
    let mut start = (0, 0);
    for end in ends {
        let now =
            (left.partition_point(|key| *key <= end), right.partition_point(|key| *key <= end));
        bins.push(((now.0 - start.0) as u64, (now.1 - start.1) as u64));
        start = now;
    }
    bins.push(((left.len() - start.0) as u64, (right.len() - start.1) as u64));
    bins
}

/// How often the most frequent texts of the left table occur in both, and all others together.
pub(super) fn category_bins(left: &Categories, right: &Categories) -> Vec<(u64, u64)> {
    let mut ranked: Vec<_> = left.counts.iter().collect();
    ranked.sort_unstable_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    ranked.truncate(CATEGORIES);
    let count_right = |text: &String| right.counts.get(text).copied().unwrap_or(0);
    let mut bins: Vec<_> =
        ranked.iter().map(|(text, count)| (**count, count_right(text))).collect();
    let shown = bins.iter().fold((0, 0), |sum, bin| (sum.0 + bin.0, sum.1 + bin.1));
    let all = (left.counts.values().sum::<u64>(), right.counts.values().sum::<u64>());
    bins.push((all.0 - shown.0, all.1 - shown.1));
    bins
}

/// The test of two sorted lists; absent when one is empty.
pub(super) fn kolmogorov_smirnov(left: &[u64], right: &[u64]) -> Option<KolmogorovSmirnov> {
    if left.is_empty() || right.is_empty() {
        return None;
    }
    let (n, m) = (left.len() as u64, right.len() as u64);
    let (mut i, mut j, mut distance) = (0, 0, 0);
    while let (Some(a), Some(b)) = (left.get(i), right.get(j)) {
        let value = *a.min(b);
        i += left[i..].iter().take_while(|key| **key == value).count();
        j += right[j..].iter().take_while(|key| **key == value).count();
        distance = distance.max((i as u64 * m).abs_diff(j as u64 * n));
    }
    let statistic = distance as f64 / (n as f64 * m as f64);
    let scale = ((n as f64 + m as f64) / (n as f64 * m as f64)).sqrt();
    let p_value = smirnov_tail(statistic / scale);
    let critical_value = 1.358 * scale;
    Some(KolmogorovSmirnov { statistic, p_value, critical_value, differs: p_value < 0.05 })
}

/// The chance that the limiting distribution of Kolmogorov and Smirnov exceeds `x` (Smirnov 1948). Of
/// its two series, each is taken where four terms are enough for a double.
pub(super) fn smirnov_tail(x: f64) -> f64 {
    use std::f64::consts::PI;
    if x < 0.04 {
        return 1.0;
    }
    if x < 1.18 {
        let y = (-PI * PI / (8.0 * x * x)).exp();
        let series = y + y.powi(9) + y.powi(25) + y.powi(49);
        return 1.0 - (2.0 * PI).sqrt() / x * series;
    }
    let y = (-2.0 * x * x).exp();
    2.0 * (y - y.powi(4) + y.powi(9) - y.powi(16))
}
