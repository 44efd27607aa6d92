//! Mean and spread, exact but for rounding.

/// Count, mean and sum of squared deviations of numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Moments {
    pub(super) count: u64,
    pub(super) mean: f64,
    pub(super) squares: f64,
}

/// Sums run in this many lanes, so that they need not wait for each other.
const LANES: usize = 8;

impl Moments {
    /// Of values in their order, each read by `number`.
    pub(super) fn of(values: &[u64], number: impl Fn(u64) -> f64) -> Moments {
        let Some(&first) = values.first() else {
            return Moments::default();
        };
        let (first, count) = (number(first), values.len() as f64);
        let mean = first + lanes(values, |value| number(value) - first) / count;
        let square = |value| (number(value) - mean) * (number(value) - mean);
        Moments { count: values.len() as u64, mean, squares: lanes(values, square) }
    }

    /// Of pairs of a value and how often it occurs.
    pub(super) fn of_counts(pairs: &[(u64, u64)], number: impl Fn(u64) -> f64) -> Moments {
        let count: u64 = pairs.iter().map(|pair| pair.1).sum();
        let Some(&(first, _)) = pairs.first().filter(|_| count > 0) else {
            return Moments::default();
        };
        let first = number(first);
        let sum: f64 = pairs.iter().map(|pair| (number(pair.0) - first) * pair.1 as f64).sum();
        let mean = first + sum / count as f64;
        let square = |pair: &(u64, u64)| (number(pair.0) - mean) * (number(pair.0) - mean);
        let squares = pairs.iter().map(|pair| square(pair) * pair.1 as f64).sum();
        Moments { count, mean, squares }
    }

    /// Both together (Chan, Golub and LeVeque 1979).
    pub(super) fn merge(self, other: Moments) -> Moments {
        if self.count == 0 || other.count == 0 {
            return if self.count == 0 { other } else { self };
        }
        let (left, right) = (self.count as f64, other.count as f64);
        let (apart, count) = (other.mean - self.mean, left + right);
        Moments {
            count: self.count + other.count,
            mean: self.mean + apart * (right / count),
            squares: self.squares + other.squares + apart * apart * (left * (right / count)),
        }
    }

    /// The mean, unless there is none or it is too large for a double.
    pub(super) fn mean(&self) -> Option<f64> {
        Some(self.mean).filter(|mean| self.count > 0 && mean.is_finite())
    }

    /// The standard deviation of a sample, with the divisor n − 1.
    pub(super) fn deviation(&self) -> Option<f64> {
        let degrees = self.count.checked_sub(1).filter(|degrees| *degrees > 0)?;
        Some((self.squares / degrees as f64).sqrt()).filter(|deviation| deviation.is_finite())
    }
}

fn lanes(values: &[u64], term: impl Fn(u64) -> f64) -> f64 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += term(*value);
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|value| term(*value)).sum::<f64>()
}
