//! SIGINT and SIGTERM: the first drains, the second gives up.

use std::error::Error;
use std::io;
use std::process::exit;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::output;
use super::stop::Stop;
use crate::dispatch::Stopping;
use crate::report::ExitCode;

/// So long a run that is to stop waits for the words that say so.
const LONGEST_SAYING: Duration = Duration::from_secs(1);

/// After a second signal so long a process waits for its own end: longer than a run and a sandbox may take for theirs.
/// What still lives then waits for something that does not come, a disk or a reader of its output.
const LONGEST_END: Duration = Duration::from_secs(15);

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
        listening.map_err(|error| deaf(&error))
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

    /// Tells runs to stop, as often as the user or the scheduler says so. Who says so twice is rid of the process, whatever
    /// keeps it.
    async fn tell(mut self, stopper: watch::Sender<Stopping>) {
        self.next().await;
        let saying = spawn_blocking(|| {
            output::say("stopping: waiting for what is on its way; interrupt again to give up");
        });
        // Where nobody reads what is said, saying it takes for ever.
        timeout(LONGEST_SAYING, saying).await.ok();
        stopper.send(Stopping::Drain).ok();
        self.next().await;
        stopper.send(Stopping::Now).ok();
        sleep(LONGEST_END).await;
        exit(ExitCode::Interrupted.code().into());
    }
}

/// Hears signals on a thread of its own from now on, and tells runs to stop: whatever keeps the threads of a run, it keeps
/// nobody from ending it.
pub(super) fn listen() -> Result<watch::Receiver<Stopping>, Stop> {
    let (stopper, stop) = watch::channel(Stopping::No);
    let (ready, begun) = mpsc::sync_channel(1);
    let listening = move || {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return ready.send(Err(deaf(&error))).unwrap_or(()),
        };
        runtime.block_on(async {
            match Interrupts::new() {
                Ok(interrupts) => {
                    ready.send(Ok(())).ok();
                    interrupts.tell(stopper).await;
                }
                Err(stop) => ready.send(Err(stop)).unwrap_or(()),
            }
        });
    };
    let thread = thread::Builder::new().name("signals".to_owned());
    thread.spawn(listening).map_err(|error| deaf(&error))?;
    match begun.recv() {
        Ok(begun) => begun.map(|()| stop),
        Err(error) => Err(deaf(&error)),
    }
}

fn deaf(error: &dyn Error) -> Stop {
    Stop::of(error, "Report this.", ExitCode::Defect)
}
