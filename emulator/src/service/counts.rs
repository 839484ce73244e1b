//! How many requests of which kind came.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many requests of each kind came since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// All requests, refused ones and those for the journal included.
    pub requests: u64,
    /// Requests that the service protection limits refused; they count in `requests` alone.
    pub throttled: u64,
    /// Requests that came while a limit had told their sender to wait, refused or not; what comes
    /// within a tenth of a second after the refusal was perhaps on its way already.
    pub pressed: u64,
    /// Requests for a token.
    pub tokens: u64,
    /// GET requests of the Web API, metadata included.
    pub reads: u64,
    /// Other requests of the Web API, batches not included.
    pub writes: u64,
    /// `$batch` requests.
    pub batches: u64,
    /// GET operations inside of batches.
    pub batched_reads: u64,
    /// Other operations inside of batches.
    pub batched_writes: u64,
}

#[derive(Default)]
pub(crate) struct Counters {
    requests: AtomicU64,
    throttled: AtomicU64,
    tokens: AtomicU64,
    reads: AtomicU64,
    writes: AtomicU64,
    batches: AtomicU64,
    batched_reads: AtomicU64,
    batched_writes: AtomicU64,
}

fn add(counter: &AtomicU64, number: u64) -> u64 {
    counter.fetch_add(number, Ordering::Relaxed)
}

impl Counters {
    /// Counts a request of any kind and gives it its number, from 1.
    pub(crate) fn request(&self) -> u64 {
        add(&self.requests, 1) + 1
    }

    pub(crate) fn throttled(&self) {
        add(&self.throttled, 1);
    }

    pub(crate) fn token(&self) {
        add(&self.tokens, 1);
    }

    pub(crate) fn read_request(&self) {
        add(&self.reads, 1);
    }

    pub(crate) fn write_request(&self) {
        add(&self.writes, 1);
    }

    pub(crate) fn batch(&self) {
        add(&self.batches, 1);
    }

    pub(crate) fn batched(&self, reads: u64, writes: u64) {
        add(&self.batched_reads, reads);
        add(&self.batched_writes, writes);
    }

    pub(crate) fn read(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            requests: read(&self.requests),
            throttled: read(&self.throttled),
            pressed: 0,
            tokens: read(&self.tokens),
            reads: read(&self.reads),
            writes: read(&self.writes),
            batches: read(&self.batches),
            batched_reads: read(&self.batched_reads),
            batched_writes: read(&self.batched_writes),
        }
    }
}
