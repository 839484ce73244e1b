//! Judging the rows of a survey, chain by chain, against the ledger's sorted keys.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::LedgerError;
use super::diff::Scope;
use super::entries::{words_of_entry, words_of_vanished};
use super::format::KeyRow;
use super::generation::{Generation, Keys, Slot};
use super::sorted::{Row, SortedRows, StandingRow};
use super::spill::{CHUNK_BYTES, Spill, bytes_of, halves, whole};
use super::survey::{
    Extent, Finding, KEY_CHAINS, SurveyCounts, SurveyEntry, SurveyOptions, UNREADABLE, Vanished,
};
use crate::model::{KeyDigest, Position, StandingFlags};

/// An entry, as the numbers of [`words_of_entry`].
const ENTRY_BYTES: usize = 48;

/// A vanished key, as the numbers of [`words_of_vanished`].
const VANISHED_BYTES: usize = 56;

/// What one worker found.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) counts: SurveyCounts,
    /// Entries, in one chain per bucket of the [`Spread`].
    pub(super) entries: Spill,
    /// Vanished keys, in one chain per part of the keys.
    pub(super) vanished: Spill,
}

/// Buckets of about equally many rows, by position: each is sorted in memory later.
#[derive(Debug)]
pub(super) struct Spread {
    /// The first position of each bucket but the first.
    bounds: Vec<u64>,
}

impl Spread {
    /// `samples` are the positions of rows at equal distances, `rows` is how many rows there are in all.
    pub(super) fn over(mut samples: Vec<u64>, rows: u64, bucket_bytes: usize) -> Self {
        let bytes = usize::try_from(rows)
            .unwrap_or(usize::MAX)
            .saturating_mul(ENTRY_BYTES);
        let buckets = (bytes / bucket_bytes.max(1) + 1).min(samples.len().max(1));
        samples.sort_unstable();
        let bound = |bucket| samples.get(bucket * samples.len() / buckets).copied();
        let mut bounds: Vec<u64> = (1..buckets).filter_map(bound).collect();
        bounds.dedup();
        Self { bounds }
    }

    pub(super) fn buckets(&self) -> usize {
        self.bounds.len() + 1
    }

    fn bucket_of(&self, position: u64) -> usize {
        self.bounds.partition_point(|bound| *bound <= position)
    }
}

/// All that judging needs.
pub(super) struct Judge<'a> {
    pub(super) generation: &'a Generation,
    pub(super) rows: &'a Spill,
    pub(super) options: &'a SurveyOptions,
    pub(super) spread: &'a Spread,
    /// A chain of more rows than this is sorted in pieces.
    pub(super) most_rows: usize,
}

impl Judge<'_> {
    /// Judges all chains with so many threads; each takes the next chain when it is done with one.
    pub(super) fn all(&self, workers: usize) -> Result<Vec<Findings>, LedgerError> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut findings = self.nothing_yet();
            loop {
                let chain = next.fetch_add(1, Ordering::Relaxed);
                match (chain, self.options.standing) {
                    (0..KEY_CHAINS, StandingRow::Newest) => {
                        self.judge::<5>(chain, &mut findings)?;
                    }
                    (0..KEY_CHAINS, _) => self.judge::<4>(chain, &mut findings)?,
                    (KEY_CHAINS, StandingRow::Newest) => self.take_unkeyed::<5>(&mut findings)?,
                    (KEY_CHAINS, _) => self.take_unkeyed::<4>(&mut findings)?,
                    _ => return Ok(findings),
                }
            }
        };
        thread::scope(|scope| {
            let mut started = Vec::new();
            for _ in 0..workers {
                let thread = thread::Builder::new().name("survey".to_owned());
                let handle = thread.spawn_scoped(scope, work).map_err(|source| {
                    LedgerError::io("start a thread for", &self.options.spill, source)
                })?;
                started.push(handle);
            }
            let ended = started.into_iter().map(thread::ScopedJoinHandle::join);
            ended
                .map(|end| end.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        })
    }

    fn nothing_yet(&self) -> Findings {
        let folder = &self.options.spill;
        let buckets = self.spread.buckets();
        Findings {
            counts: SurveyCounts::default(),
            entries: Spill::new(
                folder,
                ENTRY_BYTES,
                buckets,
                (self.options.memory / 16).min(buckets * CHUNK_BYTES),
            ),
            vanished: Spill::new(folder, VANISHED_BYTES, KEY_CHAINS, self.options.memory / 16),
        }
    }

    /// Walks the rows and the ledger's keys of one chain side by side.
    fn judge<const WORDS: usize>(
        &self,
        chain: usize,
        findings: &mut Findings,
    ) -> Result<(), LedgerError> {
        let mut rows =
            SortedRows::<WORDS>::of(self.rows, chain, self.most_rows, &self.options.spill)?;
        let (from, to) = self.generation.slots_of(chain, KEY_CHAINS)?;
        let mut keys = self.generation.keys(from, to);
        keys.advance()?;
        let mut standing: Option<Row<WORDS>> = None;
        loop {
            let row = rows.next()?;
            let rival = row.filter(|row| standing.is_some_and(|it| it.key() == row.key()));
            if let (Some(rival), Some(held)) = (rival, standing) {
                standing = Some(self.contest(held, rival, findings)?);
                continue;
            }
            if let Some(row) = standing {
                self.settle(chain, &row, &mut keys, findings)?;
            }
            standing = row;
            if standing.is_none() {
                break;
            }
        }
        while let Some((slot, held)) = keys.current() {
            self.miss(chain, *slot, held, findings)?;
            keys.advance()?;
        }
        Ok(())
    }

    /// Of two rows with the same key, the earlier one first, the one that stands for it.
    fn contest<const WORDS: usize>(
        &self,
        earlier: Row<WORDS>,
        later: Row<WORDS>,
        findings: &mut Findings,
    ) -> Result<Row<WORDS>, LedgerError> {
        let (standing, other) = match self.options.standing {
            StandingRow::First => (earlier, later),
            StandingRow::Last => (later, earlier),
            // At a tie the later one stands.
            StandingRow::Newest if later.rank() >= earlier.rank() => (later, earlier),
            StandingRow::Newest => (earlier, later),
        };
        findings.counts.duplicates += 1;
        let key = key_digest(&other);
        let position = Position::from_bits(standing.position());
        let finding = Finding::Duplicate {
            key,
            standing: position,
        };
        self.enter(&other, finding, findings)?;
        Ok(standing)
    }

    /// Goes on to a row's key among those of the ledger.
    fn settle<const WORDS: usize>(
        &self,
        chain: usize,
        row: &Row<WORDS>,
        keys: &mut Keys<'_>,
        findings: &mut Findings,
    ) -> Result<(), LedgerError> {
        while let Some((slot, held)) = keys
            .current()
            .filter(|(_, held)| halves(held.key.0) < row.key())
        {
            self.miss(chain, *slot, held, findings)?;
            keys.advance()?;
        }
        let held = keys
            .current()
            .filter(|(_, held)| halves(held.key.0) == row.key());
        self.meet(row, held.copied(), findings)?;
        if held.is_some() {
            keys.advance()?;
        }
        Ok(())
    }

    /// A row that stands for its key, and what the ledger holds of it.
    fn meet<const WORDS: usize>(
        &self,
        row: &Row<WORDS>,
        held: Option<(Slot, KeyRow)>,
        findings: &mut Findings,
    ) -> Result<(), LedgerError> {
        let key = key_digest(row);
        let Some((slot, held)) = held else {
            findings.counts.due_new += 1;
            return self.enter(row, Finding::Due { key, slot: None }, findings);
        };
        let was_removed = held.flags.has(StandingFlags::REMOVED);
        findings.counts.standing_before += u64::from(!was_removed);
        findings.counts.returning += u64::from(was_removed && held.id.is_some());
        if self.options.scope == Scope::Changed
            && settled(held.flags)
            && held.source == row.source()
        {
            findings.counts.unchanged += 1;
            return Ok(());
        }
        findings.counts.due_known += 1;
        self.enter(
            row,
            Finding::Due {
                key,
                slot: Some(slot),
            },
            findings,
        )
    }

    /// A key of the ledger that no row has.
    fn miss(
        &self,
        chain: usize,
        slot: Slot,
        held: &KeyRow,
        findings: &mut Findings,
    ) -> Result<(), LedgerError> {
        if held.flags.has(StandingFlags::REMOVED) {
            let treatment = self.options.treatment;
            let is_settled = treatment.is_none_or(|treatment| treatment == held.source);
            if is_settled || held.id.is_none() {
                return Ok(());
            }
        } else {
            findings.counts.standing_before += 1;
        }
        if self.options.extent == Extent::Partial {
            return Ok(());
        }
        findings.counts.vanished += 1;
        findings.counts.again += u64::from(held.flags.has(StandingFlags::REMOVED));
        let vanished = Vanished {
            key: held.key,
            slot,
            id: held.id,
            flags: held.flags,
            source: held.source,
        };
        findings.vanished.push(
            chain,
            bytes_of(&words_of_vanished(&vanished)).as_flattened(),
        )
    }

    fn take_unkeyed<const WORDS: usize>(&self, findings: &mut Findings) -> Result<(), LedgerError> {
        self.rows.each(KEY_CHAINS, |row| {
            let Some(row) = Row::<WORDS>::of(row) else {
                return Ok(());
            };
            let finding = if key_digest(&row).0 == UNREADABLE {
                Finding::Unreadable
            } else {
                Finding::Unkeyed
            };
            self.enter(&row, finding, findings)
        })
    }

    fn enter<const WORDS: usize>(
        &self,
        row: &Row<WORDS>,
        finding: Finding,
        findings: &mut Findings,
    ) -> Result<(), LedgerError> {
        let words = words_of_entry(&SurveyEntry {
            position: Position::from_bits(row.position()),
            source: row.source(),
            finding,
        });
        let bucket = self.spread.bucket_of(row.position());
        findings
            .entries
            .push(bucket, bytes_of(&words).as_flattened())
    }
}

/// Whether a key with those flags is left alone as long as its row does not change.
fn settled(flags: StandingFlags) -> bool {
    let open = [
        StandingFlags::PENDING,
        StandingFlags::INCOMPLETE,
        StandingFlags::REMOVED,
    ];
    !open.into_iter().any(|flag| flags.has(flag))
}

fn key_digest<const WORDS: usize>(row: &Row<WORDS>) -> KeyDigest {
    let [high, low] = row.key();
    KeyDigest(whole(high, low))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn buckets_follow_the_order_of_positions(
            samples in prop::collection::vec(any::<u64>(), 0..50),
            bucket_bytes in 0usize..5000,
            pair: (u64, u64),
        ) {
            let spread = Spread::over(samples.clone(), samples.len() as u64 * 8, bucket_bytes);
            let (low, high) = (pair.0.min(pair.1), pair.0.max(pair.1));
            prop_assert!(spread.bucket_of(low) <= spread.bucket_of(high));
            prop_assert!(spread.bucket_of(high) < spread.buckets());
        }
    }
}
