//! A few points that stand for many: the first, the last, and of each stretch between them the least and the greatest value, so that a
//! drawn line keeps its peaks.

use super::point::Point;

/// Points that a sample is drawn from (1.5 MiB). Of longer histories the least and the greatest of every few are.
const POOL: usize = 1 << 16;

/// What a sample is drawn from. The ends are kept apart.
pub(super) struct Pool {
    points: Vec<Point>,
    /// Of how many points, in the order of arrival, two are kept; one while all are.
    every: usize,
    /// The least and the greatest of those that are not in `points` yet, the earlier one first, and how many they are.
    open: Option<(Pair, usize)>,
    ends: Option<(Point, Point)>,
}

impl Default for Pool {
    fn default() -> Self {
        Self { points: Vec::new(), every: 1, open: None, ends: None }
    }
}

/// The least and the greatest value of a stretch, with their places in it. NaN is neither, unless there is nothing else.
#[derive(Clone, Copy)]
struct Pair {
    least: (usize, Point),
    greatest: (usize, Point),
}

impl Pair {
    fn of(at: usize, point: Point) -> Self {
        Self { least: (at, point), greatest: (at, point) }
    }

    fn add(&mut self, at: usize, point: Point) {
        match (self.least.1.value.is_nan(), point.value.is_nan()) {
            (true, true) => self.greatest = (at, point),
            (true, false) => *self = Self::of(at, point),
            (false, _) => {
                if point.value < self.least.1.value {
                    self.least = (at, point);
                }
                // The later of equals, so that a flat stretch shows both of its ends.
                if point.value >= self.greatest.1.value {
                    self.greatest = (at, point);
                }
            }
        }
    }

    /// Both in their order; one when they are the same.
    fn points(self) -> impl Iterator<Item = Point> {
        let (first, second) = match self.least.0 <= self.greatest.0 {
            true => (self.least, self.greatest),
            false => (self.greatest, self.least),
        };
        [Some(first.1), (second.0 != first.0).then_some(second.1)].into_iter().flatten()
    }
}

impl Pool {
    /// Looks at a point.
    pub(super) fn add(&mut self, point: Point) {
        self.ends = Some(match self.ends {
            Some((first, last)) if point.by_step(&first).is_lt() => (point, last),
            Some((first, last)) if point.by_step(&last).is_gt() => (first, point),
            Some(ends) => ends,
            None => (point, point),
        });
        if self.every == 1 {
            self.points.push(point);
        } else {
            let (mut pair, count) = self.open.unwrap_or((Pair::of(0, point), 0));
            pair.add(count, point);
            let count = count.saturating_add(1);
            self.open = if count >= self.every { None } else { Some((pair, count)) };
            if self.open.is_none() {
                self.points.extend(pair.points());
            }
        }
        if self.points.len() >= POOL {
            // What holds all points holds two of four from now on; what holds two of some, two of twice as many.
            self.points = self.points.chunks(4).filter_map(pair_of).flat_map(Pair::points).collect();
            self.every = self.every.saturating_mul(2).max(4);
        }
    }

    /// At most so many, by step.
    pub(super) fn draw(mut self, most: usize) -> Vec<Point> {
        self.points.extend(self.open.into_iter().flat_map(|(pair, _)| pair.points()));
        self.points.extend(self.ends.into_iter().flat_map(|(first, last)| [first, last]));
        self.points.sort_unstable_by(Point::by_step);
        self.points.dedup_by_key(|point| point.identity());
        sample(&self.points, most)
    }
}

fn pair_of(points: &[Point]) -> Option<Pair> {
    let mut points = points.iter().copied().enumerate();
    let (at, first) = points.next()?;
    let mut pair = Pair::of(at, first);
    points.for_each(|(at, point)| pair.add(at, point));
    Some(pair)
}

/// At most `most` of the points: the first and the last, and two of each of equal stretches between them.
fn sample(points: &[Point], most: usize) -> Vec<Point> {
    if points.len() <= most {
        return points.to_vec();
    }
    let (Some((first, rest)), true) = (points.split_first(), most > 1) else {
        return points.iter().take(most).copied().collect();
    };
    let Some((last, between)) = rest.split_last() else { return vec![*first] };
    let stretches = most.saturating_sub(2) / 2;
    let at = |number: usize| number.saturating_mul(between.len()).checked_div(stretches).unwrap_or(0);
    let stretch = |number: usize| between.get(at(number)..at(number.saturating_add(1))).and_then(pair_of);
    let chosen = (0..stretches).filter_map(stretch).flat_map(Pair::points);
    std::iter::once(*first).chain(chosen).chain(std::iter::once(*last)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(count: i64) -> Vec<Point> {
        (0..count).map(|at| Point::new(at, at, 0.0)).collect()
    }

    #[test]
    fn a_sample_keeps_both_ends() {
        let points = flat(1000);
        for most in [2, 3, 4, 5, 10, 999] {
            let few = sample(&points, most);
            assert!(few.len() <= most && few.len() + 1 >= most, "{} of {most}", few.len());
            assert_eq!((few[0].step, few[few.len() - 1].step), (0, 999));
            assert!(few.windows(2).all(|pair| pair[0].step < pair[1].step));
        }
        assert_eq!(sample(&points[..5], 10).len(), 5);
        assert_eq!((sample(&points, 1).len(), sample(&points, 0).len(), sample(&[], 5).len()), (1, 0, 0));
    }

    #[test]
    fn peaks_stay_however_many_points_there_are() {
        for count in [3000, 70_000, 1_000_003] {
            let mut pool = Pool::default();
            let (high, low, none) = (count / 3, count / 2 + 1, count / 5);
            for point in flat(count) {
                let value = match point.step {
                    at if at == high => 9.0,
                    at if at == low => f64::NEG_INFINITY,
                    at if at == none => f64::NAN,
                    at => f64::from(u32::try_from(at % 7).unwrap()) / 10.0,
                };
                pool.add(Point::new(point.step, point.timestamp, value));
                assert!(pool.points.len() < POOL);
            }
            let drawn = pool.draw(100);
            assert!(drawn.len() <= 100 && drawn.len() >= 90, "{}", drawn.len());
            let steps: Vec<i64> = drawn.iter().map(|point| point.step).collect();
            assert!(steps.contains(&high) && steps.contains(&low), "{count}: {steps:?}");
            assert_eq!((steps[0], steps[steps.len() - 1]), (0, count - 1));
        }
    }

    #[test]
    fn a_pool_stays_even() {
        let mut pool = Pool::default();
        let count = 1_000_003;
        flat(count).into_iter().for_each(|point| pool.add(point));
        let drawn = pool.draw(102);
        assert_eq!((drawn.len(), drawn[0].step, drawn[101].step), (102, 0, count - 1));
        // Two of each of fifty stretches of 20 000.
        let is_even = |three: &[Point]| (19_000..21_000).contains(&(three[2].step - three[0].step));
        assert!(drawn[1..101].windows(3).all(is_even));
    }

    #[test]
    fn a_stretch_without_numbers_shows_that() {
        let points: Vec<Point> = (0..100).map(|at| Point::new(at, at, f64::NAN)).collect();
        let few = sample(&points, 12);
        assert_eq!((few.len(), few[0].step, few[11].step), (12, 0, 99));
    }
}
