//! What the stages of a run cost in processor time, for whoever looks for the slow one.

use std::time::Duration;

/// Does a stage's work on the thread that it has for itself, and logs the processor time that it took where the
/// system tells.
pub(super) fn logged<T>(stage: &'static str, work: impl FnOnce() -> T) -> T {
    measured(stage, of_this_thread, work)
}

/// The same for a stage that has several threads, while no other stage runs.
pub(super) fn logged_alone<T>(stage: &'static str, work: impl FnOnce() -> T) -> T {
    measured(stage, of_this_process, work)
}

fn measured<T>(
    stage: &'static str,
    clock: impl Fn() -> Option<Duration>,
    work: impl FnOnce() -> T,
) -> T {
    let before = clock();
    let done = work();
    if let (Some(before), Some(after)) = (before, clock()) {
        let cpu_us = after.saturating_sub(before).as_micros();
        tracing::info!(stage, cpu_us, "stage ended");
    }
    done
}

/// The processor time of this thread since it began. Only Linux tells it in a file.
fn of_this_thread() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = told.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// The processor time of this process, the threads that have ended included: in hundredths of a second, which is how
/// Linux tells it.
fn of_this_process() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which may hold anything: user is the 12th field, system the 13th.
    let (_, behind) = told.rsplit_once(") ")?;
    let ticks = behind.split(' ').skip(11).take(2);
    let ticks: Vec<u64> = ticks.filter_map(|ticks| ticks.parse().ok()).collect();
    Some(Duration::from_millis(10 * ticks.iter().sum::<u64>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_whether_or_not_its_cost_is_known() {
        assert_eq!(logged("adder", || 1 + 1), 2);
        if cfg!(target_os = "linux") {
            assert!(of_this_thread() <= of_this_thread());
            assert_eq!(logged_alone("adder", || 1 + 1), 2);
            assert!(of_this_process() <= of_this_process());
        }
    }
}
