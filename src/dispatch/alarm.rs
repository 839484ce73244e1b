//! What wakes a stage: somebody says to stop, or a time has come.

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::account::Stopping;

/// Waits until somebody asks for more than what was heard; for ever if nobody can ask any more.
pub(super) async fn louder(stop: &mut watch::Receiver<Stopping>, heard: Stopping) -> Stopping {
    let told = stop.wait_for(|told| *told > heard).await.map(|told| *told);
    match told {
        Ok(stopping) => stopping,
        Err(_) => std::future::pending().await,
    }
}

/// Waits until that time; for ever if there is none.
pub(super) async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
