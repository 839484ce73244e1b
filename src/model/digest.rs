//! Digests: how the ledger remembers without keeping what it saw.

use super::Position;

/// The random secret of one ledger. Digests under another secret mean nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct DigestSecret(pub [u8; 32]);

impl std::fmt::Debug for DigestSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DigestSecret(***)")
    }
}

/// Digest of a key's canonical, folded values. Its byte order is the order of the ledger's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyDigest(pub [u8; 16]);

/// Digest of a row's decoded cells and of the program that the plan runs on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceDigest(pub u64);

impl SourceDigest {
    /// The front half of a wide digest.
    pub fn of_wide([front @ .., _, _, _, _, _, _, _, _]: [u8; 16]) -> Self {
        Self(u64::from_be_bytes(front))
    }
}

/// The bits of a hash that a column's digest keeps: with more of them a ledger would be larger, and with these one changed
/// value of 10^14 is taken for unchanged.
const KEPT: u64 = 0xFFFF_FFFF_FFFE;

/// Digest of one canonical value, null included; 47 bits, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnDigest(u64);

impl ColumnDigest {
    /// Takes a hash; its lowest bit and the highest ones are given up.
    pub fn from_hash(hash: u64) -> Self {
        let digest = hash & KEPT;
        Self(if digest == 0 { 2 } else { digest })
    }
}

/// What the ledger holds of one column of one key: 47 bits of digest and the *owned* bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnState(u64);

impl ColumnState {
    /// This mapping never sent the column for this key.
    pub const NEVER_SENT: Self = Self(0);

    /// A null was sent; there is nothing to own.
    pub fn null_sent(null: ColumnDigest) -> Self {
        Self(null.0)
    }

    /// A value was sent: this mapping filled the column.
    pub fn value_sent(value: ColumnDigest) -> Self {
        Self(value.0 | 1)
    }

    /// A value that Dataverse holds and this mapping did not write.
    pub fn adopted(value: ColumnDigest) -> Self {
        Self(value.0)
    }

    /// What is left to say of the column while an operation on its record is unanswered: whether it is owned.
    #[must_use]
    pub fn doubted(self) -> Self {
        Self(self.0 & 1)
    }

    /// The same value, which this mapping wrote after all. Of what is not known nothing is said.
    #[must_use]
    pub fn filled(self) -> Self {
        Self(if self.0 == 0 { 0 } else { self.0 | 1 })
    }

    /// Whether anything is known of the column.
    pub fn is_never_sent(self) -> bool {
        self == Self::NEVER_SENT
    }

    /// Whether this mapping filled the column.
    pub fn is_owned(self) -> bool {
        self.0 & 1 == 1
    }

    /// The digest of the value that Dataverse holds, as far as the ledger knows.
    pub fn held(self) -> Option<ColumnDigest> {
        let digest = self.0 & !1;
        (digest != 0).then_some(ColumnDigest(digest))
    }

    /// As a number of 48 bits.
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// From its number; of a longer one, which has more of the hash, what is kept today.
    pub fn from_bits(bits: u64) -> Self {
        if bits & !1 == 0 {
            return Self(bits);
        }
        Self(ColumnDigest::from_hash(bits).0 | bits & 1)
    }
}

/// What the survey needs to know of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowDigest {
    /// Where the row stands; also its identity within the run.
    pub position: Position,
    /// Its key.
    pub key: KeyReading,
    /// Its other cells.
    pub source: SourceDigest,
    /// Which of several rows with the key is newer: the one of the higher rank. 0 where nobody asks.
    pub rank: u64,
}

/// How the key of a row read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyReading {
    /// The key is known.
    Known(KeyDigest),
    /// The key is there and refused (null, empty, over-long): the row is a reject.
    Refused,
    /// The key cannot be read (ragged row, invalid bytes, not a value of the column's type): the row is a reject,
    /// and as long as there is one such row nothing is removed, since it may stand for any key.
    Unreadable,
}
