//! What the limits of the service grant, whoever counts and however they say so.
#![cfg(test)]

use std::time::Duration;

use crate::capacity::{Account, Capacity, Limits, Terms};
use crate::scenarios::pace::{BATCH, carried, lane, terms, time_of_a_request};
use crate::setup::seconds;

/// Carries what so many windows grant, on a service of its own for each seed; the share of the granted rate that was used,
/// and what the service saw.
async fn used(limits: Limits, windows: u32, seed: u64) -> (f64, Account) {
    let terms = Terms {
        // No two seeds meet the steps of the window in the same way.
        per_request: Duration::from_millis(20 + seed % 17),
        limits: Some(limits),
        ..terms(16)
    };
    let service = Capacity::seeded(terms, 1, seed);
    let requests = limits.requests * windows * u32::try_from(limits.servers).unwrap();
    let rows = u64::from(requests) * BATCH as u64;
    let (took, _) = carried(lane(&service, 8), rows).await;
    let account = service.users()[0].clone();
    assert_eq!(account.breaches, 0);
    let windows = took.as_secs_f64() / limits.window.as_secs_f64();
    let by_time = limits.execution.as_secs_f64() / time_of_a_request(terms).as_secs_f64();
    let granted = by_time.min(f64::from(limits.requests)) * windows;
    #[expect(clippy::cast_precision_loss, reason = "a handful of servers")]
    let servers = limits.servers as f64;
    (f64::from(account.carried) / granted / servers, account)
}

fn on_requests(factor: f64) -> Limits {
    Limits {
        execution: Duration::from_hours(1),
        ..Limits::scaled(factor)
    }
}

#[tokio::test(start_paused = true)]
async fn six_windows_are_enough_to_use_nine_tenths_of_what_is_granted() {
    for seed in 0..12 {
        let (share, account) = used(on_requests(0.02), 6, seed).await;
        assert!(share >= 0.9, "{seed}: {share:.3}, {}", account.refused);
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_tells_longer_than_it_takes_costs_little_in_the_long_run() {
    for seed in 0..4 {
        let limits = Limits {
            least_wait: seconds(4),
            ..on_requests(0.05)
        };
        let (share, account) = used(limits, 12, seed).await;
        assert!(share >= 0.85, "{seed}: {share:.3}, {}", account.refused);
    }
}

#[tokio::test(start_paused = true)]
async fn servers_that_count_alone_are_all_made_use_of() {
    for seed in 0..4 {
        let limits = Limits {
            servers: 4,
            ..on_requests(0.05)
        };
        let (share, account) = used(limits, 6, seed).await;
        // Requests fall upon servers by chance: one is over its limit while the others have some of theirs left.
        assert!(share >= 0.75, "{seed}: {share:.3}, {}", account.refused);
    }
}
