//! The bytes of a generation's files: the header, and the record of one key.
//!
//! Numbers are little-endian. Digests stand as they are, so that the order of bytes is the order of keys.

use std::path::Path;

use uuid::Uuid;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::LedgerError;
use super::layout::LayoutId;
use crate::model::{ColumnState, DigestSecret, KeyDigest, RecordId, SourceDigest, StandingFlags};

/// How the bytes of a file are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// With longer digests; it is read, and written no more.
    First,
    Second,
}

/// The bytes of a header.
pub(super) const HEADER_BYTES: usize = 72;

/// The bytes of a key's record in `digests.<generation>` and at the front of a journal entry.
pub(super) const KEY_BYTES: usize = 48;

/// The bytes of a column's state in `columns.<generation>` and in a journal entry.
pub(super) const STATE_BYTES: usize = 6;

/// The same in the first format, in which the digest of a row had sixteen bytes.
const FIRST_KEY_BYTES: usize = 56;

impl Format {
    /// What this program writes.
    pub(super) const NEWEST: Self = Self::Second;

    fn number(self) -> u32 {
        match self {
            Self::First => 1,
            Self::Second => 2,
        }
    }

    fn of(number: u32) -> Option<Self> {
        let all = [Self::First, Self::Second];
        all.into_iter().find(|format| format.number() == number)
    }

    /// The bytes of a key's record.
    pub(super) fn key_bytes(self) -> usize {
        match self {
            Self::First => FIRST_KEY_BYTES,
            Self::Second => KEY_BYTES,
        }
    }

    /// The bytes of a column's state.
    pub(super) fn state_bytes(self) -> usize {
        match self {
            Self::First => 8,
            Self::Second => STATE_BYTES,
        }
    }

    /// Appends a key's record as it is written today.
    pub(super) fn renew_key(self, row: &[u8], renewed: &mut Vec<u8>) {
        match (self, row.split_first_chunk::<16>()) {
            (Self::First, Some((key, rest))) => {
                let (source, rest) = rest.split_first_chunk().unwrap_or((&[0; 16], &[]));
                renewed.extend_from_slice(key);
                renewed.extend_from_slice(&SourceDigest::of_wide(*source).0.to_le_bytes());
                renewed.extend_from_slice(rest);
            }
            _ => renewed.extend_from_slice(row),
        }
    }

    /// Appends states as they are written today.
    pub(super) fn renew_states(self, states: &[u8], renewed: &mut Vec<u8>) {
        if self == Self::Second {
            renewed.extend_from_slice(states);
            return;
        }
        let (states, _) = states.as_chunks();
        for state in states {
            let state = ColumnState::from_bits(u64::from_le_bytes(*state));
            renewed.extend_from_slice(&bytes_of_state(state));
        }
    }
}

/// The state of a column on disk.
pub(super) fn bytes_of_state(state: ColumnState) -> [u8; STATE_BYTES] {
    let [bytes @ .., _, _] = state.to_bits().to_le_bytes();
    bytes
}

/// The state that stands on disk so.
pub(super) fn state_of(bytes: [u8; STATE_BYTES]) -> ColumnState {
    let mut bits = [0; 8];
    bits.iter_mut()
        .zip(bytes)
        .for_each(|(place, byte)| *place = byte);
    ColumnState::from_bits(u64::from_le_bytes(bits))
}

/// Which of a generation's files it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    /// `digests.<generation>`
    Digests,
    /// `columns.<generation>`
    Columns,
    /// `journal.<generation>`
    Journal,
}

impl FileKind {
    fn magic(self) -> [u8; 8] {
        match self {
            Self::Digests => *b"segueDIG",
            Self::Columns => *b"segueCOL",
            Self::Journal => *b"segueJOU",
        }
    }
}

/// What a generation's file says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: FileKind,
    pub(super) format: Format,
    /// Bytes of a row.
    pub(super) stride: u32,
    /// Rows in the file.
    pub(super) count: u64,
    pub(super) generation: u32,
    /// The layout of the column states.
    pub(super) layout: LayoutId,
    /// Tells this ledger's files from another's.
    pub(super) check: SecretCheck,
}

impl Header {
    pub(super) fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(&self.kind.magic());
        bytes.extend_from_slice(&self.format.number().to_le_bytes());
        bytes.extend_from_slice(&self.stride.to_le_bytes());
        bytes.extend_from_slice(&self.count.to_le_bytes());
        bytes.extend_from_slice(&self.generation.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.layout.0);
        bytes.extend_from_slice(&self.check.0);
        bytes.extend_from_slice(&xxh3_64(&bytes).to_le_bytes());
        bytes.first_chunk().copied().unwrap_or([0; HEADER_BYTES])
    }

    /// Appends a row of the file as it is written today.
    pub(super) fn renew(&self, row: &[u8], renewed: &mut Vec<u8>) {
        match self.kind {
            FileKind::Columns => self.format.renew_states(row, renewed),
            FileKind::Digests | FileKind::Journal => self.format.renew_key(row, renewed),
        }
    }

    /// Reads the header of a file that should be of that kind. Whether it is the one that was looked for is asked
    /// afterwards, of its fields.
    pub(super) fn from_bytes(
        kind: FileKind,
        bytes: &[u8; HEADER_BYTES],
        path: &Path,
    ) -> Result<Self, LedgerError> {
        let torn = |what| LedgerError::torn(path, what);
        let mut rest = bytes.as_slice();
        let cut = || LedgerError::torn(path, "it ends inside its header");
        let magic: [u8; 8] = take(&mut rest).ok_or_else(cut)?;
        if magic == [0; 8] {
            return Err(torn("it was never written to its end"));
        }
        if magic != kind.magic() {
            return Err(LedgerError::foreign(
                path,
                "it does not begin as such a file does",
            ));
        }
        let version = u32::from_le_bytes(take(&mut rest).ok_or_else(cut)?);
        let known = Format::NEWEST.number();
        if version > known {
            return Err(LedgerError::NewerFormat {
                path: path.to_owned(),
                version,
                known,
            });
        }
        let damaged = || torn("its header does not match its checksum");
        let format = Format::of(version).ok_or_else(damaged)?;
        let header = Self {
            kind,
            format,
            stride: u32::from_le_bytes(take(&mut rest).ok_or_else(cut)?),
            count: u64::from_le_bytes(take(&mut rest).ok_or_else(cut)?),
            generation: u32::from_le_bytes(take(&mut rest).ok_or_else(cut)?),
            layout: {
                let _reserved: [u8; 4] = take(&mut rest).ok_or_else(cut)?;
                LayoutId(take(&mut rest).ok_or_else(cut)?)
            },
            check: SecretCheck(take(&mut rest).ok_or_else(cut)?),
        };
        if header.to_bytes() != *bytes || header.stride == 0 {
            return Err(damaged());
        }
        Ok(header)
    }
}

/// A digest of the ledger's secret: written into every file, to tell one ledger's files from another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SecretCheck(pub(super) [u8; 16]);

impl SecretCheck {
    pub(super) fn of(secret: &DigestSecret) -> Self {
        Self(xxh3_128(&[secret.0.as_slice(), b"check"].concat()).to_be_bytes())
    }
}

/// A secret that nobody has guessed: 244 random bits.
pub(super) fn fresh_secret() -> DigestSecret {
    let halves = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()];
    let mut secret = [0; 32];
    secret.copy_from_slice(halves.as_flattened());
    DigestSecret(secret)
}

/// What the ledger holds of one key, without its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyRow {
    pub(super) key: KeyDigest,
    pub(super) source: SourceDigest,
    pub(super) id: Option<RecordId>,
    /// The number of the run that recorded it.
    pub(super) run: u32,
    pub(super) flags: StandingFlags,
    pub(super) kind: RowKind,
}

/// What a journal entry does to its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowKind {
    /// The key stands as the entry says.
    Standing,
    /// The ledger forgets the key.
    Forget,
}

impl KeyRow {
    pub(super) fn to_bytes(self) -> [u8; KEY_BYTES] {
        let id = self.id.map_or([0; 16], |id| id.0.into_bytes());
        let kind = match self.kind {
            RowKind::Standing => 0,
            RowKind::Forget => 1,
        };
        let [a, b, c, d] = self.run.to_le_bytes();
        let tail = [a, b, c, d, self.flags.to_bits(), kind, 0, 0];
        let mut bytes = [0; KEY_BYTES];
        let mut rest = bytes.as_mut_slice();
        let source = self.source.0.to_le_bytes();
        for part in [self.key.0.as_slice(), &source, &id, &tail] {
            // One copy for each part: this is done for every row that is recorded.
            if let Some(place) = rest.split_off_mut(..part.len()) {
                place.copy_from_slice(part);
            }
        }
        bytes
    }

    /// `None` if there are too few bytes, or they are not those of a record.
    pub(super) fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let rest = &mut bytes;
        let key = KeyDigest(take(rest)?);
        let source = SourceDigest(u64::from_le_bytes(take(rest)?));
        let id = Uuid::from_bytes(take(rest)?);
        let run = u32::from_le_bytes(take(rest)?);
        let [flags, kind] = take(rest)?;
        let kind = match kind {
            0 => RowKind::Standing,
            1 => RowKind::Forget,
            _ => return None,
        };
        let id = (!id.is_nil()).then_some(RecordId(id));
        Some(Self {
            key,
            source,
            id,
            run,
            flags: StandingFlags::from_bits(flags),
            kind,
        })
    }
}

/// Cuts so many bytes off the front.
pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

/// The key of a record in bytes.
pub(super) fn key_of(row: &[u8]) -> Option<KeyDigest> {
    row.first_chunk().map(|key| KeyDigest(*key))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header() -> Header {
        Header {
            kind: FileKind::Digests,
            format: Format::NEWEST,
            stride: 48,
            count: 1_234_567,
            generation: 7,
            layout: LayoutId([3; 16]),
            check: SecretCheck([5; 16]),
        }
    }

    #[test]
    fn a_header_survives_its_bytes() {
        let bytes = header().to_bytes();
        let read = Header::from_bytes(FileKind::Digests, &bytes, Path::new("d")).unwrap();
        assert_eq!(read, header());
    }

    #[test]
    fn a_newer_format_is_named_and_not_called_damaged() {
        let mut bytes = header().to_bytes();
        bytes[8] = 9;
        let error = Header::from_bytes(FileKind::Digests, &bytes, Path::new("d")).unwrap_err();
        assert!(matches!(
            error,
            LedgerError::NewerFormat {
                version: 9,
                known: 2,
                ..
            }
        ));
    }

    #[test]
    fn a_file_of_the_other_kind_is_foreign() {
        let bytes = header().to_bytes();
        let error = Header::from_bytes(FileKind::Columns, &bytes, Path::new("c")).unwrap_err();
        assert!(matches!(error, LedgerError::Foreign { .. }));
    }

    #[test]
    fn secrets_differ() {
        let (one, two) = (fresh_secret(), fresh_secret());
        assert_ne!(one, two);
        assert_ne!(SecretCheck::of(&one), SecretCheck::of(&two));
    }

    proptest! {
        #[test]
        fn any_flipped_bit_of_a_header_is_recognised(byte in 0..HEADER_BYTES, bit in 0u8..8) {
            let mut bytes = header().to_bytes();
            bytes[byte] ^= 1 << bit;
            prop_assert!(Header::from_bytes(FileKind::Digests, &bytes, Path::new("d")).is_err());
        }

        #[test]
        fn any_record_survives_its_bytes(
            key: [u8; 16], source: u64, id: Option<[u8; 16]>, run: u32, flags: u8, forget: bool,
        ) {
            let row = KeyRow {
                key: KeyDigest(key),
                source: SourceDigest(source),
                id: id.map(|id| RecordId(Uuid::from_bytes(id))).filter(|id| !id.0.is_nil()),
                run,
                flags: StandingFlags::from_bits(flags),
                kind: if forget { RowKind::Forget } else { RowKind::Standing },
            };
            prop_assert_eq!(KeyRow::from_bytes(&row.to_bytes()), Some(row));
        }

        #[test]
        fn any_bytes_are_a_record_or_none(bytes: Vec<u8>) {
            let _ = KeyRow::from_bytes(&bytes);
        }
    }
}
