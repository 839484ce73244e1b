//! What the stages of a run cost in processor time, for whoever looks for the slow one.

use std::time::Duration;

/// Does a stage's work on the thread that it has for itself, and logs the processor time that it took where the
/// system tells.
pub(super) fn logged<T>(stage: &'static str, work: impl FnOnce() -> T) -> T {
    let before = of_this_thread();
    let done = work();
    if let (Some(before), Some(after)) = (before, of_this_thread()) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_whether_or_not_its_cost_is_known() {
        assert_eq!(logged("adder", || 1 + 1), 2);
        if cfg!(target_os = "linux") {
            assert!(of_this_thread() <= of_this_thread());
        }
    }
}
