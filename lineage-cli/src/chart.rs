//! A metric over its steps, drawn in text.

use lineage_core::series::SeriesPoint;

const COLUMNS: usize = 60;
const ROWS: usize = 10;

/// A chart of at most 60 columns: each shows the mean of its steps' values. What is no finite number is
/// counted below it.
pub(crate) fn chart(points: &[SeriesPoint]) -> String {
    let finite: Vec<&SeriesPoint> = points.iter().filter(|point| point.value.is_finite()).collect();
    let (Some(first), Some(last)) = (finite.first(), finite.last()) else {
        return "  no finite values\n".to_owned();
    };
    let (first, last) = (first.step, last.step);
    let others = others(points.len() - finite.len());
    if let [only] = finite.as_slice() {
        return format!("  {} at step {first}\n{others}", number(only.value));
    }
    let columns = columns(&finite, first, last);
    let values = || columns.iter().flatten().copied();
    let low = values().fold(f64::INFINITY, f64::min);
    let high = values().fold(f64::NEG_INFINITY, f64::max);
    let height = |value: f64| match high > low {
        true => ((value - low) / (high - low) * (ROWS - 1) as f64).round() as usize,
        false => ROWS / 2,
    };
    let mut out = String::new();
    for row in (0..ROWS).rev() {
        let line: String = columns
            .iter()
            .map(|value| if value.is_some_and(|value| height(value) == row) { '•' } else { ' ' })
            .collect();
        let label = match row {
            row if row == height(high) => number(high),
            row if row == height(low) => number(low),
            _ => String::new(),
        };
        out.push_str(&format!("  {label:>12} │{}\n", line.trim_end()));
    }
    out.push_str(&format!("  {:>12} └{}\n", "", "─".repeat(columns.len())));
    let steps = if first == last { first.to_string() } else { format!("{first} … {last}") };
    out.push_str(&format!("  {:>12}  {steps}\n{others}", "step"));
    out
}

fn others(count: usize) -> String {
    if count > 0 { format!("  {count} more are NaN or infinite\n") } else { String::new() }
}

/// The mean of the values in each of equally wide stretches of steps.
fn columns(points: &[&SeriesPoint], first: i64, last: i64) -> Vec<Option<f64>> {
    let span = (i128::from(last) - i128::from(first)).max(0) + 1;
    let count = COLUMNS.min(usize::try_from(span).unwrap_or(COLUMNS));
    let mut sums = vec![(0.0, 0_u64); count];
    for point in points {
        let offset = i128::from(point.step) - i128::from(first);
        let column = (offset * count as i128 / span) as usize;
        if let Some((sum, number)) = sums.get_mut(column) {
            *sum += point.value;
            *number += 1;
        }
    }
    let mean = |(sum, number): (f64, u64)| (number > 0).then(|| sum / number as f64);
    sums.into_iter().map(mean).collect()
}

fn number(value: f64) -> String {
    let short = format!("{value:.4}");
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        return short.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    format!("{value:.3e}")
}
