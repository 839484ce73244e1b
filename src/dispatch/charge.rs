//! What of a user's penalties is on the meter.

use tokio::time::Instant;

use super::meter::Meter;

/// What of a user's penalties is on the meter: what has passed of them, by the code that imposed it.
#[derive(Debug)]
pub(super) struct Charge {
    /// Up to where.
    until: Instant,
    /// The code of the penalty that lasts.
    code: String,
}

impl Charge {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            until: now,
            code: String::new(),
        }
    }

    /// Puts on the meter what has passed by now of a penalty that ends then.
    pub(super) fn passes(&mut self, ends: Instant, meter: &Meter) {
        let until = ends.min(Instant::now());
        if until > self.until {
            meter.paused(&self.code, until - self.until);
            self.until = until;
        }
    }

    /// A penalty begins, or the one that ends then is prolonged, perhaps for another reason.
    pub(super) fn begins(&mut self, code: &str, ends: Instant, meter: &Meter) {
        self.passes(ends, meter);
        let now = Instant::now();
        if ends <= now || self.code != code {
            meter.penalty(code);
        }
        self.until = now;
        code.clone_into(&mut self.code);
    }
}
