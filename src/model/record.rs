//! A row after mapping, and what the ledger holds of its key.

use super::{ColumnKind, ColumnState, EntitySetName, LogicalName, RecordId, Value};

/// Where a mapping writes: the table and the columns, in the plan's order. One per run.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// `contact`
    pub table: LogicalName,
    /// `contacts`
    pub entity_set: EntitySetName,
    /// `contactid`
    pub primary_id: LogicalName,
    /// Every mapped column, key columns included.
    pub columns: Vec<TargetColumn>,
    /// Indexes of the key columns in `columns`, in the key's order. The primary id alone if that is the key.
    pub key: Vec<usize>,
    /// Whether the key is the primary id rather than an alternate key.
    pub key_is_primary_id: bool,
}

/// One column that a mapping writes.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetColumn {
    /// `emailaddress1`
    pub name: LogicalName,
    /// Tells how a value is written.
    pub kind: ColumnKind,
    /// What a null does.
    pub nulls: Nulls,
    /// Which writes carry it.
    pub when: When,
    /// Whether it travels only with other columns and never by itself.
    pub is_stamp: bool,
}

impl TargetColumn {
    /// A column that every write carries whose value differs.
    pub fn new(name: LogicalName, kind: ColumnKind, nulls: Nulls) -> Self {
        Self {
            name,
            kind,
            nulls,
            when: When::Always,
            is_stamp: false,
        }
    }

    /// Whether it is the record's state or the reason of it.
    pub fn is_state(&self) -> bool {
        matches!(
            self.kind,
            ColumnKind::State { .. } | ColumnKind::Status { .. }
        )
    }

    /// Whether its values are references to records.
    pub fn is_lookup(&self) -> bool {
        matches!(self.kind, ColumnKind::Lookup { .. })
    }
}

/// Which writes carry a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum When {
    /// All.
    #[default]
    Always,
    /// Those that create the record.
    Create,
    /// Those that find the record there.
    Update,
    /// Those that bring a record back which had been removed.
    Return,
}

/// What a null of the extract does to the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nulls {
    /// Clears it if this mapping filled it.
    Owned,
    /// Clears it always.
    Clear,
    /// Nothing.
    Skip,
}

/// A row after mapping: one typed value per column of the [`Target`].
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// As many as the target has columns.
    pub values: Vec<Value>,
}

impl Record {
    /// The key's values, in the key's order.
    pub fn key<'a>(&'a self, target: &'a Target) -> impl Iterator<Item = &'a Value> {
        target
            .key
            .iter()
            .filter_map(|index| self.values.get(*index))
    }

    /// Whether it has a value for the column in that place.
    pub fn gives(&self, place: usize) -> bool {
        self.values.get(place).is_some_and(|value| !value.is_null())
    }

    /// The record's GUID where that is its key.
    pub fn primary_id(&self, target: &Target) -> Option<RecordId> {
        match self.key(target).next() {
            Some(Value::Guid(id)) if target.key_is_primary_id => Some(RecordId(*id)),
            _ => None,
        }
    }

    /// Whether the key can be written into a URL, every part of it.
    pub fn key_stands_in_url(&self, target: &Target) -> bool {
        self.key(target).all(Value::can_stand_in_url)
    }
}

/// A set of columns of a [`Target`], by index.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnSet {
    /// The first 64 columns: most mappings have no more, and then a set needs no memory of its own.
    first: u64,
    /// The columns behind them, 64 to a word.
    more: Box<[u64]>,
}

impl ColumnSet {
    /// No column.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a column.
    #[inline]
    pub fn insert(&mut self, index: usize) {
        if index < 64 {
            self.first |= 1 << index;
        } else {
            self.insert_further(index / 64 - 1, 1 << (index % 64));
        }
    }

    #[cold]
    fn insert_further(&mut self, word: usize, bit: u64) {
        if self.more.len() <= word {
            let mut more = std::mem::take(&mut self.more).into_vec();
            more.resize(word + 1, 0);
            self.more = more.into();
        }
        if let Some(bits) = self.more.get_mut(word) {
            *bits |= bit;
        }
    }

    /// Whether the column is in it.
    #[inline]
    pub fn contains(&self, index: usize) -> bool {
        let word = if index < 64 {
            self.first
        } else {
            self.more.get(index / 64 - 1).copied().unwrap_or(0)
        };
        word >> (index % 64) & 1 == 1
    }

    /// Whether no column is in it.
    pub fn is_empty(&self) -> bool {
        self.first == 0 && self.more.iter().all(|word| *word == 0)
    }

    /// How many columns are in it.
    pub fn len(&self) -> usize {
        self.words().map(|word| word.count_ones() as usize).sum()
    }

    /// The indexes, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        let words = self.words().enumerate();
        words.flat_map(|(place, word)| bits(word).map(move |bit| place * 64 + bit))
    }

    fn words(&self) -> impl Iterator<Item = u64> {
        std::iter::once(self.first).chain(self.more.iter().copied())
    }
}

/// The places of the bits that are set, ascending.
fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = word.trailing_zeros() as usize;
        let found = (word != 0).then_some(bit);
        word &= word.wrapping_sub(1);
        found
    })
}

impl FromIterator<usize> for ColumnSet {
    fn from_iter<I: IntoIterator<Item = usize>>(indexes: I) -> Self {
        let mut set = Self::new();
        indexes.into_iter().for_each(|index| set.insert(index));
        set
    }
}

/// What the ledger holds of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The record's GUID, once it is known.
    pub id: Option<RecordId>,
    /// What else is known of it.
    pub flags: StandingFlags,
    /// One per column of the current [`Target`], in its order; columns that the mapping had not then are
    /// [`ColumnState::NEVER_SENT`].
    pub columns: Vec<ColumnState>,
}

/// What is known of a key besides its digests; one byte on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StandingFlags(u8);

impl StandingFlags {
    /// The record was provably created by this mapping.
    pub const CREATED_BY_US: Self = Self(1);
    /// The last write was one of several steps and the others are owed: due whatever the digest.
    pub const PENDING: Self = Self(1 << 1);
    /// A lookup ended blank or in a default: due on every run.
    pub const INCOMPLETE: Self = Self(1 << 2);
    /// `mode` skipped the record: seen, never written.
    pub const SEEN: Self = Self(1 << 3);
    /// The record was removed as `missing:` says.
    pub const REMOVED: Self = Self(1 << 4);
    /// The removal set it inactive, so its return sets it active.
    pub const DEACTIVATED: Self = Self(1 << 5);

    /// Both sets of flags.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set without those flags.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of those flags are set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The byte on disk.
    pub fn to_bits(self) -> u8 {
        self.0
    }

    /// From the byte on disk.
    pub fn from_bits(bits: u8) -> Self {
        Self(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_the_columns_of_a_wide_table_too() {
        let columns = [0, 63, 64, 200];
        let mut set: ColumnSet = columns.into_iter().rev().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), columns);
        assert_eq!((set.len(), set.is_empty()), (4, false));
        assert!(columns.iter().all(|index| set.contains(*index)));
        assert!(
            ![1, 62, 65, 199, 201, 900]
                .iter()
                .any(|it| set.contains(*it))
        );
        set.insert(1);
        assert_eq!(set.len(), 5);
        assert!(ColumnSet::new().is_empty() && ColumnSet::new().iter().next().is_none());
    }
}
