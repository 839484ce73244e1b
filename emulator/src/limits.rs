//! Service protection limits: what they allow, and what a request beyond them is answered.
//!
//! Who used how much is kept by `meter`. Source: Microsoft Learn, "Service protection API limits".

pub(crate) mod meter;

use std::time::Duration;

use crate::refusal::Refusal;

/// The service protection limits, each per user and server.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// How many requests in a window; a batch is one. Default 6000.
    pub requests: u32,
    /// How long all requests of a window may take together. Default 20 minutes.
    pub execution: Duration,
    /// How long a request counts. Default 300 seconds.
    pub window: Duration,
    /// How many requests may be under way at a time. Default 52.
    pub concurrent: u32,
    /// How many servers there are, at least 1. Default 1, as a trial environment has.
    pub servers: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: 6000,
            execution: Duration::from_mins(20),
            window: Duration::from_mins(5),
            concurrent: 52,
            servers: 1,
        }
    }
}

impl Limits {
    /// The documented limits with the window and what it allows multiplied by a factor, so that
    /// the rate stays what it is: 0.01 allows 60 requests and 12 seconds of execution in any 3
    /// seconds. Concurrency has no window and stays. `None` unless the factor lies between 0.001
    /// and 1000.
    pub fn scaled(factor: f64) -> Option<Self> {
        if !(0.001..=1000.0).contains(&factor) {
            return None;
        }
        let real = Self::default();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 6 and 6,000,000"
        )]
        let requests = (f64::from(real.requests) * factor).round() as u32;
        Some(Self {
            requests,
            execution: real.execution.mul_f64(factor),
            window: real.window.mul_f64(factor),
            ..real
        })
    }

    /// The answer to a request beyond a limit.
    pub(crate) fn refusal(&self, limit: Limit, retry_after: u32) -> Refusal {
        let seconds = self.window.as_secs_f64();
        let mut refusal = match limit {
            Limit::Requests => Refusal::new(
                429,
                "0x80072322",
                format!(
                    "Number of requests exceeded the limit of {} over time window of {seconds} \
                     seconds.",
                    self.requests
                ),
            ),
            Limit::Execution => Refusal::new(
                429,
                "0x80072321",
                format!(
                    "Combined execution time of incoming requests exceeded limit of {} \
                     milliseconds over time window of {seconds} seconds. Decrease number of \
                     concurrent requests or reduce the duration of requests and try again later.",
                    grouped(self.execution.as_millis())
                ),
            ),
            Limit::Concurrency => Refusal::new(
                429,
                "0x80072326",
                format!(
                    "Number of concurrent requests exceeded the limit of {}.",
                    self.concurrent
                ),
            ),
        };
        refusal.retry_after = Some(retry_after);
        refusal
    }
}

/// Which limit a request went beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Requests,
    Execution,
    Concurrency,
}

/// Seconds as the header has them: `1,199.46`.
pub(crate) fn seconds(time: Duration) -> String {
    let hundredths = (time.as_millis() + 5) / 10;
    format!("{}.{:02}", grouped(hundredths / 100), hundredths % 100)
}

/// `1,200,000`
fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_are_the_documented_ones() {
        let message = |limit| Limits::default().refusal(limit, 1).message;
        assert_eq!(
            message(Limit::Requests),
            "Number of requests exceeded the limit of 6000 over time window of 300 seconds."
        );
        assert_eq!(
            message(Limit::Execution),
            "Combined execution time of incoming requests exceeded limit of 1,200,000 milliseconds \
             over time window of 300 seconds. Decrease number of concurrent requests or reduce the \
             duration of requests and try again later."
        );
        assert_eq!(
            message(Limit::Concurrency),
            "Number of concurrent requests exceeded the limit of 52."
        );
    }

    #[test]
    fn a_factor_keeps_the_rate() {
        let scaled = Limits::scaled(0.01).unwrap();
        assert_eq!((scaled.requests, scaled.concurrent), (60, 52));
        assert_eq!(scaled.window, Duration::from_secs(3));
        assert_eq!(scaled.execution, Duration::from_secs(12));
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY, 0.0001] {
            assert_eq!(Limits::scaled(wrong), None);
        }
    }

    #[test]
    fn seconds_are_grouped_and_have_two_decimals() {
        let shown = |milliseconds| seconds(Duration::from_millis(milliseconds));
        assert_eq!(shown(1_200_000), "1,200.00");
        assert_eq!(shown(1_199_456), "1,199.46");
        assert_eq!(shown(999), "1.00");
        assert_eq!(shown(0), "0.00");
    }
}
