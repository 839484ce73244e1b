//! How many requests were in flight in the course of a run, in a bounded number of points.

use std::time::Duration;

/// Points at most; with one more, two neighbours become one.
const MOST: usize = 120;

/// A stretch of time. All have the same length: up to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// When it began, counted from the first request.
    pub at: Duration,
    /// The most requests that were in flight in it.
    pub in_flight: usize,
    /// Rows that were answered in it.
    pub rows: u64,
}

impl Point {
    /// How much time a point stands for at first: a run of twelve seconds keeps it.
    pub const FINEST: Duration = Duration::from_millis(100);
}

/// How many requests were in flight in the course of a run.
#[derive(Debug, Clone)]
pub(super) struct Curve {
    every: Duration,
    stretches: Vec<Stretch>,
    /// In flight since the last change.
    level: usize,
}

#[derive(Debug, Clone, Copy)]
struct Stretch {
    in_flight: usize,
    rows: u64,
}

impl Default for Curve {
    fn default() -> Self {
        Self {
            every: Point::FINEST,
            stretches: Vec::with_capacity(MOST),
            level: 0,
        }
    }
}

impl Curve {
    /// From then on so many are in flight, and so many rows were answered at that moment. Times must not go backwards.
    pub(super) fn note(&mut self, at: Duration, in_flight: usize, rows: u64) {
        let place = self.reach(at);
        if let Some(stretch) = self.stretches.get_mut(place) {
            stretch.in_flight = stretch.in_flight.max(in_flight);
            stretch.rows += rows;
        }
        self.level = in_flight;
    }

    /// The course up to then.
    pub(super) fn points(&self, until: Duration) -> Vec<Point> {
        let mut curve = self.clone();
        if !curve.stretches.is_empty() {
            curve.reach(until);
        }
        let stretches = curve.stretches.iter().zip(0u32..);
        stretches
            .map(|(stretch, number)| Point {
                at: curve.every * number,
                in_flight: stretch.in_flight,
                rows: stretch.rows,
            })
            .collect()
    }

    /// Makes room up to that time and tells where it lies. What was in flight before was so all the while.
    fn reach(&mut self, at: Duration) -> usize {
        while self.place(at) >= MOST {
            self.halve();
        }
        let place = self.place(at);
        let meanwhile = Stretch {
            in_flight: self.level,
            rows: 0,
        };
        if self.stretches.len() <= place {
            self.stretches.resize(place + 1, meanwhile);
        }
        place
    }

    fn place(&self, at: Duration) -> usize {
        usize::try_from(at.as_nanos() / self.every.as_nanos().max(1)).unwrap_or(usize::MAX)
    }

    fn halve(&mut self) {
        self.every = self.every.saturating_mul(2);
        let pairs = self.stretches.chunks(2).map(|pair| Stretch {
            in_flight: pair.iter().map(|it| it.in_flight).max().unwrap_or(0),
            rows: pair.iter().map(|it| it.rows).sum(),
        });
        self.stretches = pairs.collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn what_is_in_flight_stays_so_until_something_changes() {
        let mut curve = Curve::default();
        curve.note(millis(10), 2, 0);
        curve.note(millis(310), 1, 50);
        let points = curve.points(millis(420));
        let in_flight: Vec<_> = points.iter().map(|point| point.in_flight).collect();
        assert_eq!(in_flight, [2, 2, 2, 2, 1]);
        assert_eq!((points[3].at, points[3].rows), (millis(300), 50));
    }

    #[test]
    fn a_long_run_keeps_its_rows_in_a_bounded_number_of_points() {
        let mut curve = Curve::default();
        for second in 0..100_000u64 {
            let in_flight = if second == 77_777 { 9 } else { 3 };
            curve.note(Duration::from_secs(second), in_flight, 7);
        }
        let points = curve.points(Duration::from_secs(100_000));
        assert!(
            (MOST / 2..=MOST).contains(&points.len()),
            "{}",
            points.len()
        );
        assert_eq!(points.iter().map(|point| point.rows).sum::<u64>(), 700_000);
        assert_eq!(points.iter().filter(|it| it.in_flight == 9).count(), 1);
        let step = points[1].at;
        assert!(
            points
                .windows(2)
                .all(|two| two[1].at.saturating_sub(two[0].at) == step)
        );
    }

    #[test]
    fn nothing_sent_is_no_curve() {
        assert_eq!(Curve::default().points(Duration::from_hours(1)), []);
    }

    #[test]
    fn a_time_that_no_run_reaches_is_survived() {
        let mut curve = Curve::default();
        curve.note(Duration::ZERO, 1, 1);
        curve.note(Duration::MAX / 2, 1, 1);
        assert!(curve.points(Duration::MAX / 2).len() <= MOST);
    }
}
