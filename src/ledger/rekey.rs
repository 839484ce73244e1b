//! A ledger whose keys were made of other columns: each record keeps what is known of it, under its new key.
//!
//! Records are recognised by their GUIDs. Both sides are spilled into chains by a digest of the GUID, and joined
//! chain by chain, so that memory is bounded however many records there are.

use std::collections::HashMap;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use super::disk;
use super::format::{KeyRow, RowKind, STATE_BYTES, bytes_of_state, state_of};
use super::generation::Slot;
use super::identity::Identity;
use super::spill::{CHUNK_BYTES, Spill, chain_of};
use super::{Ledger, LedgerError};
use crate::model::{ColumnDigest, ColumnState, KeyDigest, RecordId, SourceDigest, StandingFlags};

/// With so many chains, ten million records make chains of 40,000.
const CHAINS: usize = 256;

/// Takes the new keys of records.
#[derive(Debug)]
pub struct Rekey {
    ledger: Ledger,
    key: String,
    /// The places of the old key's columns in the ledger's layout.
    former: Vec<usize>,
    /// GUID and new key, and a state for each column of the old one.
    found: Spill,
    /// GUID and slot.
    held: Spill,
    without_id: u64,
}

/// What Dataverse holds of a record.
#[derive(Debug)]
pub struct NewKey {
    /// Its GUID.
    pub id: RecordId,
    /// Its new key, if it has one.
    pub key: Option<KeyDigest>,
    /// A digest for each column of the old key that Dataverse told of, in the order in which their places were given.
    pub former: Vec<Option<ColumnDigest>>,
}

/// What became of the records of a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rekeyed {
    /// Records that stand under their new key.
    pub carried: u64,
    /// Records that are forgotten: Dataverse has them no more, or they have no key.
    pub forgotten: u64,
    /// Of these, records that are there and have no key.
    pub unkeyed: u64,
}

/// What becomes of records that have no value of the new key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unkeyed {
    /// Nothing is carried over while there is one.
    Stop,
    /// They are forgotten.
    Forget,
}

/// A record that is there, in its chain.
struct Found {
    key: [u8; 16],
    former: Vec<ColumnState>,
}

/// What stands for the key of a record that has none.
const NO_KEY: KeyDigest = KeyDigest([0; 16]);

impl Rekey {
    /// `ledger` was opened under its old key; `identity` has the new one. `former` are the places of the old key's columns
    /// among the ledger's, as far as the mapping still has them. `spill` is a folder for temporary files.
    ///
    /// # Errors
    /// If the ledger cannot be read or the disk refuses.
    pub fn begin(
        ledger: Ledger,
        identity: &Identity,
        former: Vec<usize>,
        spill: &Path,
    ) -> Result<Self, LedgerError> {
        disk::create_folder(spill)?;
        let memory = CHAINS * CHUNK_BYTES;
        let stride = 32 + STATE_BYTES * former.len();
        let mut rekey = Self {
            key: identity.key_columns(),
            former,
            found: Spill::new(spill, stride, CHAINS, memory),
            held: Spill::new(spill, 24, CHAINS, memory),
            without_id: 0,
            ledger,
        };
        let generation = rekey.ledger.snapshot().generation();
        let mut keys = generation.keys(0, generation.len());
        keys.advance()?;
        while let Some((slot, row)) = keys.current() {
            match row.id {
                Some(id) => {
                    let id = id.0.into_bytes();
                    let index = slot.index.to_le_bytes();
                    let parts = [id.as_slice(), &index].concat();
                    rekey.held.push(chain(&id), &parts)?;
                }
                None => rekey.without_id += 1,
            }
            keys.advance()?;
        }
        Ok(rekey)
    }

    /// A record that is there.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn add(&mut self, NewKey { id, key, former }: &NewKey) -> Result<(), LedgerError> {
        let key = key.unwrap_or(NO_KEY);
        let id = id.0.into_bytes();
        let mut row = [id, key.0].as_flattened().to_vec();
        for place in 0..self.former.len() {
            let value = former.get(place).copied().flatten();
            let state = value.map_or(ColumnState::NEVER_SENT, ColumnState::adopted);
            row.extend_from_slice(&bytes_of_state(state));
        }
        self.found.push(chain(&id), &row)
    }

    /// Puts the new keys in force, all at once. What is known of the rows themselves is dropped: each is mapped and
    /// compared again. Where records without a key are to stop it, nothing is carried.
    ///
    /// # Errors
    /// If the ledger cannot be read or the disk refuses; then it is as it was.
    pub fn finish(self, those_without: Unkeyed) -> Result<Rekeyed, LedgerError> {
        let snapshot = self.ledger.snapshot().clone();
        let number = snapshot.generation().number();
        let mut replacement = self.ledger.replacement()?;
        let (mut held, mut unkeyed) = (self.without_id, 0);
        for chain in 0..CHAINS {
            let mut found: HashMap<[u8; 16], Found> = HashMap::new();
            self.found.each(chain, |row| {
                let (ids, values) = row.split_at_checked(32).unwrap_or_default();
                if let ([id, key], _) = ids.as_chunks::<16>() {
                    let (values, _) = values.as_chunks();
                    let former = values.iter().map(|value| state_of(*value)).collect();
                    found.insert(*id, Found { key: *key, former });
                }
                Ok(())
            })?;
            self.held.each(chain, |row| {
                held += 1;
                let (id, index) = row.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
                let index = index.first_chunk().map_or(0, |it| u64::from_le_bytes(*it));
                let Some(Found { key, former }) = found.get(id) else {
                    return Ok(());
                };
                if *key == NO_KEY.0 {
                    unkeyed += 1;
                    return Ok(());
                }
                let slot = Slot {
                    generation: number,
                    index,
                };
                let (row, _) = snapshot.generation().at(slot)?;
                let mut states = snapshot.standing(slot)?.columns;
                self.fill(&mut states, former, row.flags);
                let row = KeyRow {
                    key: KeyDigest(*key),
                    source: SourceDigest(0),
                    kind: RowKind::Standing,
                    ..row
                };
                replacement.add(row, &states)
            })?;
        }
        if unkeyed > 0 && those_without == Unkeyed::Stop {
            return Ok(Rekeyed {
                carried: 0,
                forgotten: 0,
                unkeyed,
            });
        }
        let carried = self.ledger.replace(replacement, &self.key)?;
        Ok(Rekeyed {
            carried,
            forgotten: held.saturating_sub(carried),
            unkeyed,
        })
    }

    /// A key does not travel as a column, so the ledger knows its columns by what Dataverse holds. Of a record that the
    /// mapping made it filled them.
    fn fill(&self, states: &mut [ColumnState], former: &[ColumnState], flags: StandingFlags) {
        for (place, value) in self.former.iter().zip(former) {
            if let Some(state) = states.get_mut(*place)
                && state.is_never_sent()
            {
                *state = if flags.has(StandingFlags::CREATED_BY_US) {
                    value.filled()
                } else {
                    *value
                };
            }
        }
    }
}

fn chain(id: &[u8; 16]) -> usize {
    // GUIDs of the service follow each other, so their own bytes are not spread.
    chain_of(&xxh3_128(id).to_be_bytes(), CHAINS)
}
