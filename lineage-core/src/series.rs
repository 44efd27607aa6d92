//! A metric over the steps of a training, as the bytes of a payload (`docs/formats/metric-series.md`):
//! the magic line, how many points as an unsigned 64-bit number, then all steps, all times in
//! microseconds since 1970, and all values; everything little-endian, sorted by step, then time, then
//! the order given.

const MAGIC: &[u8] = b"lineage-series-1\n";
/// Stands for a time that is not known.
const UNKNOWN_TIME: i64 = i64::MIN;
/// Bytes of one point in all three columns.
const POINT_BYTES: usize = 24;

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The step of the training; may be negative.
    pub step: i64,
    /// When, in microseconds since 1970-01-01T00:00:00Z, if that is known.
    pub time_us: Option<i64>,
    /// The value; NaN and infinities are values like any other.
    pub value: f64,
}

/// Bytes that are no series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are not a lineage-series-1 document")]
pub struct SeriesError;

/// The bytes of a series.
pub fn encode(points: &[Point]) -> Vec<u8> {
    let mut sorted: Vec<&Point> = points.iter().collect();
    sorted.sort_by_key(|point| (point.step, point.time_us.unwrap_or(UNKNOWN_TIME)));
    let mut bytes = Vec::with_capacity(MAGIC.len() + 8 + POINT_BYTES * sorted.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&(sorted.len() as u64).to_le_bytes());
    bytes.extend(sorted.iter().flat_map(|point| point.step.to_le_bytes()));
    let time = |point: &&Point| point.time_us.unwrap_or(UNKNOWN_TIME).to_le_bytes();
    bytes.extend(sorted.iter().flat_map(time));
    bytes.extend(sorted.iter().flat_map(|point| point.value.to_le_bytes()));
    bytes
}

/// The points of a series, in its order.
pub fn decode(bytes: &[u8]) -> Result<Vec<Point>, SeriesError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(SeriesError)?;
    let (count, columns) = rest.split_first_chunk::<8>().ok_or(SeriesError)?;
    let count = usize::try_from(u64::from_le_bytes(*count)).map_err(|_| SeriesError)?;
    if count.checked_mul(POINT_BYTES) != Some(columns.len()) {
        return Err(SeriesError);
    }
    let words: Vec<[u8; 8]> = columns.as_chunks::<8>().0.to_vec();
    let points = (0..count).map(|index| {
        let time = i64::from_le_bytes(words[count + index]);
        Point {
            step: i64::from_le_bytes(words[index]),
            time_us: (time != UNKNOWN_TIME).then_some(time),
            value: f64::from_le_bytes(words[2 * count + index]),
        }
    });
    Ok(points.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(step: i64, time_us: Option<i64>, value: f64) -> Point {
        Point { step, time_us, value }
    }

    #[test]
    fn points_come_back_sorted_and_whole() {
        let given = [
            point(2, Some(5), f64::INFINITY),
            point(-1, None, 0.5),
            point(2, Some(4), -0.0),
            point(2, Some(5), f64::NEG_INFINITY),
        ];
        let bytes = encode(&given);
        assert_eq!(bytes.len(), 17 + 8 + 24 * 4);
        let found = decode(&bytes).unwrap();
        assert_eq!(found, [given[1], given[2], given[0], given[3]]);
        assert!(decode(&encode(&[point(0, None, f64::NAN)])).unwrap()[0].value.is_nan());
        assert_eq!(decode(&encode(&[])).unwrap(), []);
    }

    #[test]
    fn other_bytes_are_refused() {
        let good = encode(&[point(1, Some(1), 1.0)]);
        let mut huge = good.clone();
        huge[17..25].copy_from_slice(&u64::MAX.to_le_bytes());
        for bad in [&b""[..], b"lineage-series-1\n", &good[..good.len() - 1], &huge] {
            assert_eq!(decode(bad), Err(SeriesError));
        }
    }
}
