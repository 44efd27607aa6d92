//! Metrics over the steps of a training: the payload that holds the points of one
//! (`docs/formats/metric-series.md`).

/// The first bytes of a payload.
const MAGIC: &[u8; 17] = b"lineage-series-1\n";

/// Stands for a time that is not known.
const NO_TIME: i64 = i64::MIN;

/// A measured value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeriesPoint {
    /// The step, e.g. an epoch.
    pub step: i64,
    /// Microseconds since 1970-01-01T00:00:00Z, if it is known when it was measured.
    pub time_us: Option<i64>,
    /// The value; perhaps NaN or an infinity.
    pub value: f64,
}

/// The bytes of a payload are not a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the points of a metric cannot be read: they are damaged")]
pub struct SeriesError;

/// The payload of these points. They are brought into the order of their steps, and within a step of
/// their times; else they stay as they were given.
pub fn encode(points: &[SeriesPoint]) -> Vec<u8> {
    let mut points: Vec<&SeriesPoint> = points.iter().collect();
    points.sort_by_key(|point| (point.step, point.time_us));
    let mut bytes = Vec::with_capacity(MAGIC.len() + 8 + 24 * points.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&(points.len() as u64).to_le_bytes());
    for point in &points {
        bytes.extend_from_slice(&point.step.to_le_bytes());
    }
    for point in &points {
        bytes.extend_from_slice(&point.time_us.unwrap_or(NO_TIME).to_le_bytes());
    }
    for point in &points {
        bytes.extend_from_slice(&point.value.to_le_bytes());
    }
    bytes
}

/// The points of a payload.
pub fn decode(bytes: &[u8]) -> Result<Vec<SeriesPoint>, SeriesError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(SeriesError)?;
    let (count, rest) = rest.split_first_chunk::<8>().ok_or(SeriesError)?;
    let (words, loose) = rest.as_chunks::<8>();
    let count = usize::try_from(u64::from_le_bytes(*count)).map_err(|_| SeriesError)?;
    if !loose.is_empty() || count.checked_mul(3) != Some(words.len()) {
        return Err(SeriesError);
    }
    let (steps, rest) = words.split_at(count);
    let (times, values) = rest.split_at(count);
    let point = |((step, time), value): ((&[u8; 8], &[u8; 8]), &[u8; 8])| SeriesPoint {
        step: i64::from_le_bytes(*step),
        time_us: Some(i64::from_le_bytes(*time)).filter(|time| *time != NO_TIME),
        value: f64::from_le_bytes(*value),
    };
    Ok(steps.iter().zip(times).zip(values).map(point).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn points_come_back_in_the_order_of_their_steps(
            points in prop::collection::vec((any::<i64>(), prop::option::of(0_i64..1 << 50), any::<u32>()), 0..50)
        ) {
            let point = |(step, time_us, value)| SeriesPoint { step, time_us, value: f64::from(value) };
            let points: Vec<_> = points.into_iter().map(point).collect();
            let mut expected = points.clone();
            expected.sort_by_key(|point| (point.step, point.time_us));
            prop_assert_eq!(decode(&encode(&points)).unwrap(), expected);
        }

        #[test]
        fn no_bytes_are_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), count in any::<u64>()) {
            let _ = decode(&bytes);
            let _ = decode(&[&MAGIC[..], &count.to_le_bytes(), &bytes].concat());
        }
    }

    #[test]
    fn a_cut_payload_is_refused() {
        let bytes = encode(&[SeriesPoint { step: 1, time_us: None, value: f64::NAN }]);
        assert!(decode(&bytes).unwrap()[0].value.is_nan());
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), Err(SeriesError));
        }
    }
}
