//! Points of a metric, and how a chunk packs them: per point the zigzag differences of step and time to the point before
//! as LEB128, then the value's eight bytes, little-endian.

use std::cmp::Ordering;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use kernel::{Error, Result};
use serde::{Deserialize, Serialize};

/// One measured value.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(from = "(i64, i64, u64)", into = "(i64, i64, u64)")]
pub struct Point {
    /// Which step.
    pub step: i64,
    /// When, in milliseconds since the epoch, as the client says.
    pub timestamp: i64,
    /// The value; any `f64`, NaN and the infinities too.
    pub value: f64,
}

impl Point {
    /// A point. All NaNs are one.
    pub fn new(step: i64, timestamp: i64, value: f64) -> Self {
        let value = if value.is_nan() { f64::NAN } else { value };
        Self { step, timestamp, value }
    }

    /// What tells it from others of the same metric.
    pub(super) fn identity(&self) -> (i64, i64, u64) {
        (*self).into()
    }

    /// Later steps come later; within a step later times, then greater values.
    pub(super) fn by_step(&self, other: &Self) -> Ordering {
        let value = self.value.total_cmp(&other.value);
        self.step.cmp(&other.step).then(self.timestamp.cmp(&other.timestamp)).then(value)
    }

    /// The order of histories: by time, step, value.
    pub(super) fn by_time(&self, other: &Self) -> Ordering {
        let value = self.value.total_cmp(&other.value);
        self.timestamp.cmp(&other.timestamp).then(self.step.cmp(&other.step)).then(value)
    }
}

// JSON has no NaN, so values are kept as their bits.
impl From<(i64, i64, u64)> for Point {
    fn from((step, timestamp, bits): (i64, i64, u64)) -> Self {
        Self { step, timestamp, value: f64::from_bits(bits) }
    }
}

impl From<Point> for (i64, i64, u64) {
    fn from(point: Point) -> Self {
        (point.step, point.timestamp, point.value.to_bits())
    }
}

/// Points, packed.
pub(super) fn pack(points: &[Point]) -> String {
    let mut out = Vec::with_capacity(points.len().saturating_mul(12));
    let (mut step, mut timestamp) = (0_i64, 0_i64);
    for point in points {
        put_varint(&mut out, zigzag(point.step.wrapping_sub(step)));
        put_varint(&mut out, zigzag(point.timestamp.wrapping_sub(timestamp)));
        out.extend_from_slice(&point.value.to_le_bytes());
        (step, timestamp) = (point.step, point.timestamp);
    }
    STANDARD_NO_PAD.encode(out)
}

/// Packed points, unpacked.
pub(super) fn unpack(packed: &str) -> Result<Vec<Point>> {
    let bytes = STANDARD_NO_PAD.decode(packed).map_err(Error::internal)?;
    let mut rest = bytes.as_slice();
    let mut points = Vec::new();
    let (mut step, mut timestamp) = (0_i64, 0_i64);
    while !rest.is_empty() {
        let point = take_point(&mut rest, &mut step, &mut timestamp);
        points.push(point.ok_or_else(|| Error::internal("a metric chunk ends in the middle of a point"))?);
    }
    Ok(points)
}

fn take_point(rest: &mut &[u8], step: &mut i64, timestamp: &mut i64) -> Option<Point> {
    *step = step.wrapping_add(unzigzag(take_varint(rest)?));
    *timestamp = timestamp.wrapping_add(unzigzag(take_varint(rest)?));
    let (value, after) = rest.split_first_chunk::<8>()?;
    *rest = after;
    Some(Point { step: *step, timestamp: *timestamp, value: f64::from_le_bytes(*value) })
}

fn zigzag(number: i64) -> u64 {
    (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ (number & 1).cast_signed().wrapping_neg()
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0_u32..64).step_by(7) {
        let (first, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(first & 0x7f).checked_shl(shift)?;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_survive_packing() {
        let values = [0.5, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE];
        let steps = [0, 1, -1, i64::MAX, i64::MIN, 7, 8];
        let times = [1_795_295_509_790, 1_795_295_509_791, 0, i64::MAX, 1, 1, 2];
        let points: Vec<Point> = (0..7).map(|at| Point::new(steps[at], times[at], values[at])).collect();
        let back = unpack(&pack(&points)).unwrap();
        let identities = |points: &[Point]| points.iter().map(Point::identity).collect::<Vec<_>>();
        assert_eq!(identities(&back), identities(&points));
        let json = serde_json::to_string(&points).unwrap();
        assert_eq!(identities(&serde_json::from_str::<Vec<Point>>(&json).unwrap()), identities(&points));
    }

    #[test]
    fn the_format_is_frozen() {
        // docs/formats/metrics.md, "Example".
        let points = [
            Point::new(1, 1_795_295_509_790, 0.5),
            Point::new(2, 1_795_295_509_830, f64::NAN),
            Point::new(-1, 0, -2.0),
        ];
        assert_eq!(pack(&points), FROZEN);
        let back: Vec<_> = unpack(FROZEN).unwrap().iter().map(Point::identity).collect();
        assert_eq!(back, points.iter().map(Point::identity).collect::<Vec<_>>());
    }

    const FROZEN: &str = "Arz0m/+/aAAAAAAAAOA/AlAAAAAAAAD4fwWL9Zv/v2gAAAAAAAAAwA";

    #[test]
    fn a_cut_chunk_is_refused() {
        let packed = STANDARD_NO_PAD.decode(pack(&[Point::new(1, 2, 3.0)])).unwrap();
        for length in 1..packed.len() {
            assert!(unpack(&STANDARD_NO_PAD.encode(&packed[..length])).is_err());
        }
    }

    #[test]
    fn steady_points_take_about_ten_bytes() {
        let points: Vec<Point> = (0..1000).map(|at| Point::new(at, 1_795_295_509_790 + at * 40, 0.1)).collect();
        assert!(pack(&points).len() < 1000 * 15);
    }
}
