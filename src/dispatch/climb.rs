//! How many requests in flight bring the most rows, found by trying.
//!
//! Measures operations per second in rounds of answers and changes nothing but the width. What to do when the service
//! protects itself is for others.

use std::time::Duration;

use tokio::time::Instant;

/// An answer comes as quickly as ever if it takes at most so much longer than the quickest one did.
const AS_QUICK: f64 = 1.3;

/// A wider width must bring at least so much more.
const WORTH: f64 = 1.02;

/// A narrower one may seem to bring so little less. Answers come in bursts, so that rates swing by some percent on their
/// own; it has a quarter in hand, and if it is too narrow after all the next trial makes it wider.
const AS_GOOD: f64 = 0.9;

/// So many more requests than the service works on are enough to keep it busy.
const IN_HAND: f64 = 1.25;

/// A measurement is of so many answers at least: fewer tell of chance.
const LEAST_ANSWERS: usize = 12;

/// Measurements between two trials that failed: at first and at last.
const FIRST_REST: u32 = 4;
const LONGEST_REST: u32 = 64;

/// Climbs while a wider width brings more, and narrows while a narrower one brings as much.
#[derive(Debug)]
pub(super) struct Climb {
    width: usize,
    most: usize,
    stage: Stage,
    /// How long one operation takes when nothing has to wait.
    quickest: f64,
    /// How long one takes now, on average over the last measurement.
    usual: f64,
    /// About as many operations as the largest requests have.
    largest: usize,
    fill: Fill,
    window: Window,
    /// Operations per second at the width that was kept.
    known: f64,
    rest: u32,
}

/// What is being found out.
#[derive(Debug)]
enum Stage {
    /// Wider with each answer that comes as quickly as the first ones: the service works on all of them at once.
    Sprint { quick: usize, slow: usize },
    /// At a width that is kept, for so many measurements.
    Rest { left: u32 },
    /// At a wider width, instead of this one.
    Wider { than: usize },
    /// At a narrower width, instead of this one.
    Narrower { than: usize },
}

/// One measurement.
#[derive(Debug)]
struct Window {
    /// Tells requests that were sent at this width from earlier ones.
    number: u64,
    began: Instant,
    answers: usize,
    operations: usize,
    /// Of all answers, per operation.
    seconds: f64,
}

/// Whether as many requests are on their way as may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    Full,
    Partly,
}

/// How a request fared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered {
    /// What [`Climb::window`] said when it was sent.
    pub(super) window: u64,
    pub(super) operations: usize,
    pub(super) took: Duration,
}

impl Climb {
    pub(super) fn new(first: usize, most: usize) -> Self {
        Self {
            width: first.min(most),
            most,
            stage: if first < most {
                Stage::Sprint { quick: 0, slow: 0 }
            } else {
                Stage::Rest { left: 0 }
            },
            quickest: f64::INFINITY,
            usual: 0.0,
            largest: 0,
            fill: Fill::Partly,
            window: Window {
                number: 0,
                began: Instant::now(),
                answers: 0,
                operations: 0,
                seconds: 0.0,
            },
            known: 0.0,
            rest: FIRST_REST,
        }
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn window(&self) -> u64 {
        self.window.number
    }

    /// The widest that it may be.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// It is never wider than that.
    pub(super) fn limit(&mut self, most: usize) {
        self.most = most.max(1);
        if self.width > self.most {
            self.keep(self.most, self.rest);
        }
    }

    /// Whether as many requests are on their way as may be. Otherwise what is measured tells nothing of the width.
    pub(super) fn filled(&mut self, fill: Fill) {
        self.fill = fill;
        if fill == Fill::Partly {
            self.measure();
        }
    }

    /// The service protects itself: no faster than this for now.
    pub(super) fn held(&mut self) {
        let kept = match self.stage {
            Stage::Wider { than } => than,
            Stage::Sprint { .. } | Stage::Rest { .. } | Stage::Narrower { .. } => self.width,
        };
        self.keep(kept, FIRST_REST);
    }

    /// A request was answered.
    pub(super) fn answered(&mut self, answered: Answered) {
        let took = per_operation(answered);
        let is_usual = answered.operations * 2 >= self.largest;
        self.largest = answered.operations.max(self.largest - self.largest / 16);
        if is_usual {
            self.quickest = self.quickest.min(took);
        }
        if let Stage::Sprint { quick, slow } = &mut self.stage {
            if !is_usual || self.fill == Fill::Partly {
                return;
            }
            if took <= self.quickest * AS_QUICK {
                *quick += 1;
                self.width = (self.width + 1).min(self.most);
            } else {
                *slow += 1;
            }
            let (quick, slow) = (*quick, *slow);
            if self.width == self.most || (quick + slow >= self.width && slow >= quick) {
                self.keep(self.width, 0);
            } else if quick + slow >= self.width {
                self.stage = Stage::Sprint { quick: 0, slow: 0 };
            }
            return;
        }
        let window = &mut self.window;
        if answered.window != window.number {
            // It was sent at another width: only once all of those are answered this one can be seen.
            (window.answers, window.operations, window.seconds) = (0, 0, 0.0);
            window.began = Instant::now();
            return;
        }
        window.answers += 1;
        window.operations += answered.operations;
        window.seconds += took;
        let rounds = LEAST_ANSWERS.div_ceil(self.width).max(2);
        if window.answers >= rounds * self.width {
            self.measured();
        }
    }

    /// Whole rounds have been answered.
    #[expect(clippy::cast_precision_loss, reason = "some thousands of operations")]
    fn measured(&mut self) {
        let elapsed = self.window.began.elapsed().as_secs_f64();
        let rate = self.window.operations as f64 / elapsed.max(1e-6);
        self.usual = self.window.seconds / self.window.answers.max(1) as f64;
        match self.stage {
            Stage::Sprint { .. } => {}
            Stage::Rest { left: 0 } => {
                self.known = rate;
                self.try_wider();
            }
            Stage::Rest { left } => {
                self.known = rate;
                self.stage = Stage::Rest { left: left - 1 };
                self.measure();
            }
            Stage::Wider { .. } if rate > self.known * WORTH => {
                (self.known, self.rest) = (rate, FIRST_REST);
                self.try_wider();
            }
            Stage::Wider { than } => {
                self.width = than;
                self.try_narrower();
            }
            Stage::Narrower { .. } if rate >= self.known * AS_GOOD => {
                (self.known, self.rest) = (self.known.max(rate), FIRST_REST);
                self.try_narrower();
            }
            Stage::Narrower { than } => self.settle(than),
        }
    }

    fn try_wider(&mut self) {
        let wider = (self.width + (self.width / 4).max(1)).min(self.most);
        if wider == self.width {
            return self.try_narrower();
        }
        self.stage = Stage::Wider { than: self.width };
        self.width = wider;
        self.measure();
    }

    /// Where nothing waits at the service nothing is to be won.
    fn try_narrower(&mut self) {
        let narrower = self.fitting();
        if narrower >= self.width || self.usual <= self.quickest * AS_QUICK {
            return self.settle(self.width);
        }
        self.stage = Stage::Narrower { than: self.width };
        self.width = narrower;
        self.measure();
    }

    /// How many requests it takes to keep the service busy. What takes twice as long as it could has waited for half of
    /// that time, so half of the requests were waiting.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a width is a small number"
    )]
    fn fitting(&self) -> usize {
        let worked_on = self.width as f64 * self.quickest / self.usual;
        (worked_on * IN_HAND).ceil() as usize + 1
    }

    /// No other width is better: the next trial comes later and later.
    fn settle(&mut self, width: usize) {
        let rest = self.rest;
        self.rest = (self.rest * 2).min(LONGEST_REST);
        self.keep(width, rest);
    }

    fn keep(&mut self, width: usize, left: u32) {
        self.width = width;
        self.stage = Stage::Rest { left };
        self.measure();
    }

    /// Begins to measure, once what was sent at another width is answered.
    fn measure(&mut self) {
        self.window = Window {
            number: self.window.number + 1,
            began: Instant::now(),
            answers: 0,
            operations: 0,
            seconds: 0.0,
        };
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most a thousand operations")]
fn per_operation(answered: Answered) -> f64 {
    answered.took.as_secs_f64() / answered.operations.max(1) as f64
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// A service that works on so many requests at a time, a tenth of a second on each with its ten operations; the others
    /// wait in a row. Tells the width after each of so many tenths.
    async fn widths(climb: &mut Climb, workers: usize, tenths: usize) -> Vec<usize> {
        let mut under_way = VecDeque::new();
        let mut widths = Vec::new();
        for _ in 0..tenths {
            while under_way.len() < climb.width() {
                under_way.push_back((Instant::now(), climb.window()));
            }
            climb.filled(Fill::Full);
            tokio::time::advance(Duration::from_millis(100)).await;
            let done = workers.min(under_way.len());
            for (sent, window) in under_way.drain(..done) {
                climb.answered(Answered {
                    window,
                    operations: 10,
                    took: sent.elapsed(),
                });
            }
            widths.push(climb.width());
        }
        widths
    }

    async fn width_after(climb: &mut Climb, workers: usize, tenths: usize) -> usize {
        widths(climb, workers, tenths).await[tenths - 1]
    }

    #[tokio::test(start_paused = true)]
    async fn the_width_grows_at_least_to_what_the_service_works_on_at_once() {
        for workers in [2, 8, 30] {
            let mut climb = Climb::new(4, 52);
            let width = width_after(&mut climb, workers, 1_000).await;
            assert!(width >= workers, "{workers}: {width}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_width_is_at_most_four_times_what_the_service_works_on_at_once() {
        for (workers, first) in [(2, 2), (8, 4), (8, 8), (16, 4), (30, 8), (30, 30)] {
            let mut climb = Climb::new(first, 1_000);
            let widest = widths(&mut climb, workers, 2_000).await.into_iter().max();
            assert!(
                widest <= Some(4 * workers),
                "{workers} from {first}: {widest:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_width_is_never_wider_than_allowed() {
        let mut climb = Climb::new(60, 52);
        assert_eq!(climb.width(), 52);
        climb.limit(7);
        assert_eq!(climb.width(), 7);
        assert_eq!(width_after(&mut climb, 100, 100).await, 7);
        climb.limit(0);
        assert_eq!(climb.width(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_width_that_is_not_used_is_not_widened() {
        let mut climb = Climb::new(4, 52);
        for _ in 0..200 {
            climb.filled(Fill::Partly);
            climb.answered(Answered {
                window: climb.window(),
                operations: 10,
                took: Duration::from_millis(100),
            });
        }
        assert_eq!(climb.width(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_protects_itself_stops_the_climb_for_a_while() {
        let mut climb = Climb::new(4, 52);
        climb.filled(Fill::Full);
        climb.held();
        assert_eq!(width_after(&mut climb, 100, 3).await, 4);
        assert!(width_after(&mut climb, 100, 100).await > 4);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_sent_at_another_width_tells_nothing_of_this_one() {
        let mut climb = Climb::new(8, 8);
        let before = climb.window();
        climb.limit(4);
        climb.filled(Fill::Full);
        let now = climb.window();
        for _ in 0..1_000 {
            climb.answered(Answered {
                window: before,
                operations: 10,
                took: Duration::from_secs(1),
            });
        }
        assert_eq!((climb.width(), climb.window()), (4, now));
    }
}
