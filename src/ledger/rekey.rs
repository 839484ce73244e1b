//! A ledger whose keys were made of other columns: each record keeps what is known of it, under its new key.
//!
//! Records are recognised by their GUIDs. Both sides are spilled into chains by a digest of the GUID, and joined
//! chain by chain, so that memory is bounded however many records there are.

use std::collections::HashMap;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use super::disk;
use super::format::{KeyRow, RowKind};
use super::generation::Slot;
use super::identity::Identity;
use super::spill::{CHUNK_BYTES, Spill, chain_of};
use super::{Ledger, LedgerError};
use crate::model::{KeyDigest, RecordId, SourceDigest};

/// With so many chains, ten million records make chains of 40,000.
const CHAINS: usize = 256;

/// Takes the new keys of records.
#[derive(Debug)]
pub struct Rekey {
    ledger: Ledger,
    key: String,
    /// GUID and new key.
    found: Spill,
    /// GUID and slot.
    held: Spill,
    without_id: u64,
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

/// What stands for the key of a record that has none.
const NO_KEY: KeyDigest = KeyDigest([0; 16]);

impl Rekey {
    /// `ledger` was opened under its old key; `identity` has the new one. `spill` is a folder for temporary files.
    ///
    /// # Errors
    /// If the ledger cannot be read or the disk refuses.
    pub fn begin(ledger: Ledger, identity: &Identity, spill: &Path) -> Result<Self, LedgerError> {
        disk::create_folder(spill)?;
        let memory = CHAINS * CHUNK_BYTES;
        let mut rekey = Self {
            key: identity.key_columns(),
            found: Spill::new(spill, 32, CHAINS, memory),
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

    /// The record of this GUID is there, and has that key, if any.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn add(&mut self, id: RecordId, key: Option<KeyDigest>) -> Result<(), LedgerError> {
        let key = key.unwrap_or(NO_KEY);
        let id = id.0.into_bytes();
        self.found.push(chain(&id), [id, key.0].as_flattened())
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
            let mut keys: HashMap<[u8; 16], [u8; 16]> = HashMap::new();
            self.found.each(chain, |row| {
                let (ids, _) = row.as_chunks::<16>();
                if let [id, key] = ids {
                    keys.insert(*id, *key);
                }
                Ok(())
            })?;
            self.held.each(chain, |row| {
                held += 1;
                let (id, index) = row.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
                let index = index.first_chunk().map_or(0, |it| u64::from_le_bytes(*it));
                let Some(key) = keys.get(id) else {
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
                let states = snapshot.standing(slot)?.columns;
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
}

fn chain(id: &[u8; 16]) -> usize {
    // GUIDs of the service follow each other, so their own bytes are not spread.
    chain_of(&xxh3_128(id).to_be_bytes(), CHAINS)
}
