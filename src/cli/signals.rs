//! SIGINT and SIGTERM: the first drains, the second gives up.

use std::io;

use tokio::sync::watch;

use super::output;
use super::stop::Stop;
use crate::dispatch::Stopping;
use crate::report::ExitCode;

/// Hears signals from the moment it is made.
pub(super) struct Interrupts {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Interrupts {
    pub(super) fn new() -> Result<Self, Stop> {
        let listening = Self::listening();
        listening.map_err(|error| Stop::of(&error, "Report this.", ExitCode::Defect))
    }

    #[cfg(unix)]
    fn listening() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    #[cfg(not(unix))]
    fn listening() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for one signal.
    #[cfg(unix)]
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Waits for one signal.
    #[cfg(not(unix))]
    pub(super) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Tells runs to stop, as often as the user or the scheduler says so.
    pub(super) async fn tell(mut self, stopper: watch::Sender<Stopping>) {
        self.next().await;
        output::say("stopping: waiting for what is on its way; interrupt again to give up");
        stopper.send(Stopping::Drain).ok();
        self.next().await;
        stopper.send(Stopping::Now).ok();
        // The sender stays: without it nobody could tell whether the run goes on.
        std::future::pending::<()>().await;
    }
}
