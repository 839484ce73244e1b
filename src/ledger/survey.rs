//! The survey: every row's digests in, one finding for every row that is not unchanged out.
//!
//! Rows are spilled into chains by the first bytes of their key, which are spread evenly. The chains are then judged
//! against the ledger's sorted file, several at a time. What was found is sorted by position in the same way.

use std::path::PathBuf;
use std::sync::Arc;

use super::LedgerError;
use super::diff::Scope;
use super::disk;
use super::entries::{entry_of, vanished_of};
use super::findings::{Findings, Judge, Spread};
use super::generation::{Generation, Slot};
use super::order;
use super::sorted::StandingRow;
use super::spill::{Spill, bytes_of, chain_of, halves, words_in};
use super::spool::{Spool, SpoolWriter};
use crate::model::{
    KeyDigest, KeyReading, Position, RecordId, RowDigest, SourceDigest, StandingFlags,
};

/// With so many chains, ten million rows make chains of one and a quarter megabytes.
pub(super) const KEY_CHAINS: usize = 256;

/// One row in so many tells where rows stand, so that findings can be spread evenly by position.
const SAMPLE_EVERY: u64 = 256;

/// What stands for the key of a row whose key cannot be read, among rows without a key.
pub(super) const UNREADABLE: [u8; 16] = [0xFF; 16];

/// A survey works on at most so many chains at a time: more threads would wait for the disk.
const MOST_WORKERS: usize = 4;

/// What a survey should do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SurveyOptions {
    /// Whether unchanged rows are due too.
    pub scope: Scope,
    /// Whether the rows are the whole extract.
    pub extent: Extent,
    /// How vanished keys are treated: a removed key that was treated otherwise is vanished again. `None` if removed
    /// keys are left alone.
    pub treatment: Option<SourceDigest>,
    /// Which of several rows with one key stands for it.
    pub standing: StandingRow,
    /// About how many bytes may be held in memory.
    pub memory: usize,
    /// A folder for temporary files; they have no names and are gone when they are closed.
    pub spill: PathBuf,
}

impl SurveyOptions {
    /// 64 MiB: it leaves room for readers and mappers within the 192 MiB of a run, and sorts 50 million rows
    /// without a second pass.
    pub const MEMORY: usize = 64 * 1024 * 1024;
}

/// Whether the rows of a survey are the whole extract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of it: keys that it does not have are vanished.
    Whole,
    /// A part: nothing can be said of other keys.
    Partial,
}

/// What a survey found, in numbers. `read` is the sum of `unchanged`, `due_new`, `due_known`, `duplicates`,
/// `refused_keys` and `unreadable_keys`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SurveyCounts {
    /// Rows.
    pub read: u64,
    /// Rows of which nothing differs from what Dataverse accepted.
    pub unchanged: u64,
    /// Rows to send whose key the ledger does not know.
    pub due_new: u64,
    /// Rows to send whose key the ledger knows, removed keys included.
    pub due_known: u64,
    /// Rows whose key an earlier row has.
    pub duplicates: u64,
    /// Rows whose key is there and refused.
    pub refused_keys: u64,
    /// Rows whose key cannot be read.
    pub unreadable_keys: u64,
    /// Keys of the ledger that are neither in the extract nor removed as the mapping says; 0 for a partial extract.
    pub vanished: u64,
    /// Of the vanished keys those whose row may still be there, with an empty key.
    pub nameless: u64,
    /// Keys of the ledger that were not removed before the run.
    pub standing_before: u64,
    /// Keys whose records were removed before the run and that the extract has again.
    pub returning: u64,
    /// Of the vanished keys those that were removed before the run in another way.
    pub again: u64,
}

impl SurveyCounts {
    fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.unchanged += other.unchanged;
        self.due_new += other.due_new;
        self.due_known += other.due_known;
        self.duplicates += other.duplicates;
        self.refused_keys += other.refused_keys;
        self.unreadable_keys += other.unreadable_keys;
        self.vanished += other.vanished;
        self.nameless += other.nameless;
        self.standing_before += other.standing_before;
        self.returning += other.returning;
        self.again += other.again;
    }
}

/// A row that is not unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SurveyEntry {
    /// Where it stands.
    pub position: Position,
    /// What the second reading must digest to.
    pub source: SourceDigest,
    /// What it is.
    pub finding: Finding,
}

/// What a row that is not unchanged is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// To be mapped and sent.
    Due {
        /// Its key.
        key: KeyDigest,
        /// Where the ledger holds it; `None` if the key is new.
        slot: Option<Slot>,
    },
    /// An earlier row has its key.
    Duplicate {
        /// Its key.
        key: KeyDigest,
        /// The row that stands for the key.
        standing: Position,
    },
    /// Its key is empty: a reject.
    Unkeyed,
    /// Nobody can tell its key: a reject.
    Unreadable,
}

/// A key that the ledger holds and the extract does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vanished {
    /// The key.
    pub key: KeyDigest,
    /// Where the ledger holds it.
    pub slot: Slot,
    /// The record's GUID, if it is known.
    pub id: Option<RecordId>,
    /// What else is known of it.
    pub flags: StandingFlags,
    /// Of the row that was accepted last; of the treatment, if the key was removed before.
    pub source: SourceDigest,
}

/// A survey that takes rows.
#[derive(Debug)]
pub struct SurveyBuilder {
    generation: Arc<Generation>,
    options: SurveyOptions,
    /// One chain per part of the keys, and a last one for rows without a key.
    rows: Spill,
    samples: Vec<u64>,
    counts: SurveyCounts,
}

impl SurveyBuilder {
    pub(super) fn new(
        generation: Arc<Generation>,
        options: SurveyOptions,
    ) -> Result<Self, LedgerError> {
        disk::create_folder(&options.spill)?;
        let stride = options.standing.stride();
        let rows = Spill::new(&options.spill, stride, KEY_CHAINS + 1, options.memory / 4);
        let counts = SurveyCounts::default();
        Ok(Self {
            generation,
            options,
            rows,
            samples: Vec::new(),
            counts,
        })
    }

    /// Takes the digests of one row.
    ///
    /// # Errors
    /// If the disk refuses.
    #[inline]
    pub fn add(&mut self, row: RowDigest) -> Result<(), LedgerError> {
        let position = row.position.to_bits();
        if self.counts.read.is_multiple_of(SAMPLE_EVERY) {
            self.samples.push(position);
        }
        self.counts.read += 1;
        let (chain, key) = match row.key {
            KeyReading::Known(key) => (chain_of(&key.0, KEY_CHAINS), key.0),
            KeyReading::Refused => {
                self.counts.refused_keys += 1;
                (KEY_CHAINS, [0; 16])
            }
            KeyReading::Unreadable => {
                self.counts.unreadable_keys += 1;
                (KEY_CHAINS, UNREADABLE)
            }
        };
        let [key_high, key_low] = halves(key);
        let words = [key_high, key_low, position, row.source.0];
        if self.options.standing == StandingRow::Newest {
            let words = [key_high, key_low, position, row.source.0, row.rank];
            return self.rows.push(chain, bytes_of(&words).as_flattened());
        }
        self.rows.push(chain, bytes_of(&words).as_flattened())
    }

    /// Judges all rows.
    ///
    /// # Errors
    /// If the disk refuses, or the ledger's file is damaged.
    pub fn finish(self) -> Result<Survey, LedgerError> {
        let generation = self.generation.number();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let workers = cores.min(MOST_WORKERS);
        let spread = Spread::over(self.samples, self.counts.read, self.options.memory / 16);
        let judge = Judge {
            generation: &self.generation,
            rows: &self.rows,
            options: &self.options,
            spread: &spread,
            // Rows are twice in memory at worst, and a quarter of it is for what else is held.
            most_rows: (self.options.memory / workers / 2 / self.options.standing.stride()).max(16),
        };
        let found = judge.all(workers)?;
        let mut counts = self.counts;
        for findings in &found {
            counts.add(&findings.counts);
        }
        let entries = in_order(&found, &spread, &self.options)?;
        let vanished = if counts.unreadable_keys == 0 {
            vanished(&found, &self.options)?
        } else {
            SpoolWriter::new(&self.options.spill).finish()?
        };
        Survey {
            generation,
            counts,
            entries,
            vanished,
        }
        .without_nameless(&self.options.spill)
    }
}

/// A finished survey. Its temporary files live as long as it, or as its readings.
#[derive(Debug, Clone)]
pub struct Survey {
    pub(super) generation: u32,
    pub(super) counts: SurveyCounts,
    entries: Spool<6>,
    pub(super) vanished: Spool<7>,
}

impl Survey {
    /// What was found, in numbers.
    pub fn counts(&self) -> &SurveyCounts {
        &self.counts
    }

    /// Every row that is not unchanged, in the order of the extract; can be read any number of times.
    pub fn entries(&self) -> impl Iterator<Item = Result<SurveyEntry, LedgerError>> + Send + use<> {
        let generation = self.generation;
        self.entries
            .rows()
            .map(move |words| Ok(entry_of(words?, generation)))
    }

    /// The vanished keys, in the order of keys; can be read any number of times. None if the extract is partial, or
    /// if any row's key could not be read, since that row may stand for any key. Without the nameless ones.
    pub fn vanished(&self) -> impl Iterator<Item = Result<Vanished, LedgerError>> + Send + use<> {
        let generation = self.generation;
        self.vanished
            .rows()
            .map(move |words| Ok(vanished_of(words?, generation)))
    }
}

/// Sorts what all workers found by position: bucket by bucket, each in memory.
fn in_order(
    found: &[Findings],
    spread: &Spread,
    options: &SurveyOptions,
) -> Result<Spool<6>, LedgerError> {
    let mut spool = SpoolWriter::new(&options.spill);
    let mut bucket: Vec<[u64; 6]> = Vec::new();
    for number in 0..spread.buckets() {
        bucket.clear();
        for findings in found {
            findings.entries.collect(number, &mut bucket)?;
        }
        order::sort(&mut bucket, |[position, ..]| *position);
        bucket.iter().try_for_each(|row| spool.push(row))?;
    }
    spool.finish()
}

/// Strings the vanished keys together; each chain was judged by one worker.
fn vanished(found: &[Findings], options: &SurveyOptions) -> Result<Spool<7>, LedgerError> {
    let mut spool = SpoolWriter::new(&options.spill);
    for chain in 0..KEY_CHAINS {
        for findings in found {
            findings.vanished.each_chunk(chain, |rows| {
                words_in(rows).try_for_each(|row| spool.push(&row))
            })?;
        }
    }
    spool.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::ledger::disk::Disk;
    use crate::ledger::entries::words_of_entry;
    use crate::ledger::format::{KeyRow, RowKind, SecretCheck};
    use crate::ledger::generation::{GenerationWriter, Place};
    use crate::ledger::{Layout, LayoutColumn};
    use crate::model::LogicalName;

    /// What the ledger holds of a key: source and flags.
    type Model = BTreeMap<KeyDigest, (u8, StandingFlags)>;

    fn key(number: u16) -> KeyDigest {
        let spread = u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        KeyDigest(spread.to_be_bytes())
    }

    fn source(number: u8) -> SourceDigest {
        SourceDigest(u64::from(number))
    }

    fn generation(folder: &Path, model: &Model) -> Generation {
        let column = LayoutColumn {
            name: LogicalName::parse("a").unwrap(),
            type_tag: String::new(),
        };
        let layout = Layout {
            columns: vec![column],
        };
        if model.is_empty() {
            return Generation::empty(layout);
        }
        let check = SecretCheck([1; 16]);
        let mut writer =
            GenerationWriter::begin(&Disk::Steady, Place::Passing(folder), 3, &layout, check)
                .unwrap();
        for (key, (held, flags)) in model {
            let row = KeyRow {
                key: *key,
                source: source(*held),
                id: Some(RecordId(Uuid::from_bytes(key.0))).filter(|id| !id.0.is_nil()),
                run: 1,
                flags: *flags,
                kind: RowKind::Standing,
            };
            writer.push(&row.to_bytes(), &[0; 8]).unwrap();
        }
        writer.finish().unwrap()
    }

    /// The key of a row, its source, and whether its key is refused (1) or unreadable (2) instead.
    type Cells = (u16, u8, u8);

    fn row((number, (key_number, held, reading)): (u64, &Cells)) -> RowDigest {
        let key = match reading {
            1 => KeyReading::Refused,
            2 => KeyReading::Unreadable,
            _ => KeyReading::Known(key(*key_number)),
        };
        let file = u16::try_from(number / 100).unwrap();
        RowDigest {
            position: Position::new(file, number + 2),
            key,
            source: source(*held),
            rank: u64::from(*held),
        }
    }

    fn surveyed(
        folder: &Path,
        model: &Model,
        rows: &[RowDigest],
        options: SurveyOptions,
    ) -> Survey {
        let generation = Arc::new(generation(folder, model));
        let mut builder = SurveyBuilder::new(generation, options).unwrap();
        for row in rows {
            builder.add(*row).unwrap();
        }
        builder.finish().unwrap()
    }

    /// The same by brute force.
    fn naive(
        model: &Model,
        rows: &[RowDigest],
        options: &SurveyOptions,
    ) -> (SurveyCounts, Vec<SurveyEntry>, Vec<KeyDigest>) {
        let removed = |flags: &StandingFlags| flags.has(StandingFlags::REMOVED);
        let mut counts = SurveyCounts {
            read: rows.len() as u64,
            standing_before: model.values().filter(|(_, flags)| !removed(flags)).count() as u64,
            ..SurveyCounts::default()
        };
        let first = winners(rows, options.standing);
        let has_id = |key: &KeyDigest| key.0 != [0; 16];
        let returns = |(key, (_, flags)): &(&KeyDigest, &(u8, StandingFlags))| {
            first.contains_key(key) && removed(flags) && has_id(key)
        };
        counts.returning = model.iter().filter(returns).count() as u64;
        let mut entries = Vec::new();
        for row in rows {
            let finding = match row.key {
                KeyReading::Refused => {
                    counts.refused_keys += 1;
                    Some(Finding::Unkeyed)
                }
                KeyReading::Unreadable => {
                    counts.unreadable_keys += 1;
                    Some(Finding::Unreadable)
                }
                KeyReading::Known(key) if first[&key] != row.position => {
                    counts.duplicates += 1;
                    Some(Finding::Duplicate {
                        key,
                        standing: first[&key],
                    })
                }
                KeyReading::Known(key) => {
                    naive_standing(model, key, row.source, options.scope, &mut counts)
                }
            };
            entries.extend(finding.map(|finding| SurveyEntry {
                position: row.position,
                source: row.source,
                finding,
            }));
        }
        let gone = |(key, (_, flags)): &(&KeyDigest, &(u8, StandingFlags))| {
            !first.contains_key(key) && !removed(flags) && options.extent == Extent::Whole
        };
        let mut vanished: Vec<_> = model.iter().filter(gone).map(|(key, _)| *key).collect();
        counts.vanished = vanished.len() as u64;
        if counts.unreadable_keys > 0 {
            vanished.clear();
        }
        let whole = vanished.len();
        let is_nameless = |key: &KeyDigest| {
            let like = |row: &RowDigest| {
                row.key == KeyReading::Refused && row.source == source(model[key].0)
            };
            rows.iter().any(like)
        };
        vanished.retain(|key| !is_nameless(key));
        counts.nameless = (whole - vanished.len()) as u64;
        (counts, entries, vanished)
    }

    /// The row that stands for each key.
    fn winners(rows: &[RowDigest], standing: StandingRow) -> BTreeMap<KeyDigest, Position> {
        let mut winners: BTreeMap<KeyDigest, RowDigest> = BTreeMap::new();
        for row in rows {
            let KeyReading::Known(key) = row.key else {
                continue;
            };
            let wins = winners.get(&key).is_none_or(|held| match standing {
                StandingRow::First => false,
                StandingRow::Last => true,
                StandingRow::Newest => row.rank >= held.rank,
            });
            if wins {
                winners.insert(key, *row);
            }
        }
        let winners = winners.into_iter();
        winners.map(|(key, row)| (key, row.position)).collect()
    }

    /// Of a row that does not stand it is not told which one does, where that is found out late.
    fn untold(entry: SurveyEntry, standing: StandingRow) -> SurveyEntry {
        match entry.finding {
            Finding::Duplicate { key, .. } if standing != StandingRow::First => SurveyEntry {
                finding: Finding::Duplicate {
                    key,
                    standing: Position::new(0, 0),
                },
                ..entry
            },
            _ => entry,
        }
    }

    fn naive_standing(
        model: &Model,
        key: KeyDigest,
        read: SourceDigest,
        scope: Scope,
        counts: &mut SurveyCounts,
    ) -> Option<Finding> {
        let Some((held, flags)) = model.get(&key) else {
            counts.due_new += 1;
            return Some(Finding::Due { key, slot: None });
        };
        let open = flags.has(StandingFlags::PENDING)
            || flags.has(StandingFlags::INCOMPLETE)
            || flags.has(StandingFlags::REMOVED);
        if source(*held) == read && !open && scope == Scope::Changed {
            counts.unchanged += 1;
            return None;
        }
        counts.due_known += 1;
        let index = model.keys().take_while(|other| **other != key).count() as u64;
        Some(Finding::Due {
            key,
            slot: Some(Slot {
                generation: 3,
                index,
            }),
        })
    }

    fn options(folder: &Path, memory: usize) -> SurveyOptions {
        let spill = folder.join("spill");
        SurveyOptions {
            scope: Scope::Changed,
            extent: Extent::Whole,
            treatment: None,
            standing: StandingRow::First,
            memory,
            spill,
        }
    }

    fn check(model: &Model, rows: &[RowDigest], options: SurveyOptions, folder: &Path) {
        let survey = surveyed(folder, model, rows, options.clone());
        let (counts, entries, vanished) = naive(model, rows, &options);
        let told = |entry| untold(entry, options.standing);
        let entries: Vec<_> = entries.into_iter().map(told).collect();
        assert_eq!(*survey.counts(), counts);
        for _ in 0..2 {
            let found: Vec<_> = survey.entries().map(|entry| told(entry.unwrap())).collect();
            assert_eq!(found, entries);
            let gone: Vec<_> = survey.vanished().map(Result::unwrap).collect();
            assert_eq!(gone.iter().map(|it| it.key).collect::<Vec<_>>(), vanished);
            for it in gone {
                assert_eq!(it.flags, model[&it.key].1);
                assert_eq!(it.id.map_or([0; 16], |id| id.0.into_bytes()), it.key.0);
            }
        }
        assert_eq!(
            std::fs::read_dir(options.spill).unwrap().count(),
            0,
            "no file has a name"
        );
    }

    fn models() -> impl Strategy<Value = Model> {
        let held = (0u8..3, (0u8..32).prop_map(StandingFlags::from_bits));
        prop::collection::btree_map((0u16..120).prop_map(key), held, 0..100)
    }

    fn extracts() -> impl Strategy<Value = Vec<Cells>> {
        let rare = prop_oneof![60 => Just(0u8), 1 => Just(1u8), 1 => Just(2u8)];
        prop::collection::vec((0u16..150, 0u8..3, rare), 0..400)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(80))]
        #[test]
        fn any_extract_is_judged_as_by_brute_force(
            model in models(),
            extract in extracts(),
            memory in prop::sample::select(vec![0usize, 3000, 50_000, SurveyOptions::MEMORY]),
            everything: bool,
            partial: bool,
            standing in prop::sample::select(vec![StandingRow::First, StandingRow::Last, StandingRow::Newest]),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let rows: Vec<_> = (0..).zip(&extract).map(row).collect();
            let mut options = options(folder.path(), memory);
            options.scope = if everything { Scope::Everything } else { Scope::Changed };
            options.extent = if partial { Extent::Partial } else { Extent::Whole };
            options.standing = standing;
            check(&model, &rows, options, folder.path());
        }
    }

    #[test]
    fn one_key_in_very_many_rows_is_judged_in_little_memory() {
        let folder = tempfile::tempdir().unwrap();
        let extract: Vec<Cells> = (0..20_000)
            .map(|n| (u16::from(n % 97 == 0), 1, 0))
            .collect();
        let rows: Vec<_> = (0..).zip(&extract).map(row).collect();
        let model = Model::from([(key(1), (1, StandingFlags::default()))]);
        check(
            &model,
            &rows,
            options(folder.path(), 100_000),
            folder.path(),
        );
    }

    #[test]
    fn rows_in_another_order_are_the_same_rows() {
        let folder = tempfile::tempdir().unwrap();
        let model: Model = (0..1000)
            .map(|n| (key(n), ((n % 7) as u8, StandingFlags::default())))
            .collect();
        let extract: Vec<Cells> = (0..1000).rev().map(|n| (n, (n % 7) as u8, 0)).collect();
        let rows: Vec<_> = (0..).zip(&extract).map(row).collect();
        let survey = surveyed(folder.path(), &model, &rows, options(folder.path(), 4000));
        assert_eq!(
            (survey.counts().unchanged, survey.counts().vanished),
            (1000, 0)
        );
    }

    #[test]
    fn no_rows_make_all_keys_vanish_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let model: Model = (0..9)
            .map(|n| (key(n), (1, StandingFlags::default())))
            .collect();
        check(&model, &[], options(folder.path(), 4000), folder.path());
        check(
            &Model::new(),
            &[],
            options(folder.path(), 4000),
            folder.path(),
        );
    }

    #[test]
    fn an_entry_survives_its_numbers() {
        let slot = Slot {
            generation: 3,
            index: u64::MAX,
        };
        let findings = [
            Finding::Due {
                key: key(1),
                slot: None,
            },
            Finding::Due {
                key: key(2),
                slot: Some(slot),
            },
            Finding::Duplicate {
                key: key(3),
                standing: Position::new(u16::MAX, 7),
            },
            Finding::Unkeyed,
        ];
        let words: BTreeSet<_> = findings
            .into_iter()
            .map(|finding| {
                let entry = SurveyEntry {
                    position: Position::new(1, 2),
                    source: source(9),
                    finding,
                };
                assert_eq!(entry_of(words_of_entry(&entry), 3), entry);
                words_of_entry(&entry)
            })
            .collect();
        assert_eq!(words.len(), 4);
    }
}
