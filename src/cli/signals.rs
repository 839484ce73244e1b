//! SIGINT and SIGTERM: the first drains, the second gives up.

use tokio::sync::watch;

use super::output;
use crate::dispatch::Stopping;

/// Tells the run to stop, as often as the user or the scheduler says so. Never returns before the second time.
pub(super) async fn listen(stopper: watch::Sender<Stopping>) {
    if interrupted().await.is_ok() {
        output::say("stopping: waiting for what is on its way; interrupt again to give up");
        stopper.send(Stopping::Drain).ok();
        if interrupted().await.is_ok() {
            stopper.send(Stopping::Now).ok();
            return;
        }
    }
    // Signals cannot be heard here; the run ends by itself. The sender stays, or the run would take it for a stop.
    std::future::pending::<()>().await;
    drop(stopper);
}

/// Waits for one signal.
#[cfg(unix)]
pub(super) async fn interrupted() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    tokio::select! {
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}

/// Waits for one signal.
#[cfg(not(unix))]
pub(super) async fn interrupted() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
