//! What a survey found, as rows of numbers that can be sorted and spooled.

use uuid::Uuid;

use super::generation::Slot;
use super::spill::{halves, whole};
use super::survey::{Finding, SurveyEntry, Vanished};
use crate::model::{KeyDigest, Position, RecordId, SourceDigest, StandingFlags};

const DUE_NEW: u64 = 0;
const DUE_KNOWN: u64 = 1;
const DUPLICATE: u64 = 2;
const UNKEYED: u64 = 3;
const UNREADABLE: u64 = 4;

/// An entry as numbers; the position comes first, since they are sorted by it.
pub(super) fn words_of_entry(entry: &SurveyEntry) -> [u64; 6] {
    let (tag, value, key) = match entry.finding {
        Finding::Due { key, slot: None } => (DUE_NEW, 0, key.0),
        Finding::Due {
            key,
            slot: Some(slot),
        } => (DUE_KNOWN, slot.index, key.0),
        Finding::Duplicate { key, standing } => (DUPLICATE, standing.to_bits(), key.0),
        Finding::Unkeyed => (UNKEYED, 0, [0; 16]),
        Finding::Unreadable => (UNREADABLE, 0, [0; 16]),
    };
    let [key_high, key_low] = halves(key);
    [
        entry.position.to_bits(),
        tag,
        value,
        key_high,
        key_low,
        entry.source.0,
    ]
}

pub(super) fn entry_of(words: [u64; 6], generation: u32) -> SurveyEntry {
    let [position, tag, value, key_high, key_low, source] = words;
    let key = KeyDigest(whole(key_high, key_low));
    let finding = match tag {
        DUE_NEW => Finding::Due { key, slot: None },
        DUE_KNOWN => Finding::Due {
            key,
            slot: Some(Slot {
                generation,
                index: value,
            }),
        },
        DUPLICATE => Finding::Duplicate {
            key,
            standing: Position::from_bits(value),
        },
        UNKEYED => Finding::Unkeyed,
        _ => Finding::Unreadable,
    };
    SurveyEntry {
        position: Position::from_bits(position),
        source: SourceDigest(source),
        finding,
    }
}

pub(super) fn words_of_vanished(vanished: &Vanished) -> [u64; 7] {
    let [key_high, key_low] = halves(vanished.key.0);
    let [high, low] = halves(vanished.id.map_or([0; 16], |id| id.0.into_bytes()));
    let flags = u64::from(vanished.flags.to_bits());
    [
        key_high,
        key_low,
        vanished.slot.index,
        high,
        low,
        flags,
        vanished.source.0,
    ]
}

pub(super) fn vanished_of(words: [u64; 7], generation: u32) -> Vanished {
    let [key_high, key_low, index, high, low, flags, source] = words;
    let id = Uuid::from_bytes(whole(high, low));
    Vanished {
        key: KeyDigest(whole(key_high, key_low)),
        slot: Slot { generation, index },
        id: (!id.is_nil()).then_some(RecordId(id)),
        flags: StandingFlags::from_bits(u8::try_from(flags).unwrap_or_default()),
        source: SourceDigest(source),
    }
}
