//! Which columns the states of a key belong to, and how an older layout reads in a newer one.

use xxhash_rust::xxh3::Xxh3Default;

use super::format::{Format, STATE_BYTES, bytes_of_state, state_of};
use crate::model::{ColumnState, LogicalName};

/// The columns that a mapping writes, in the plan's order: what the states of a key belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Key columns included.
    pub columns: Vec<LayoutColumn>,
}

/// One column of a [`Layout`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutColumn {
    /// `emailaddress1`
    pub name: LogicalName,
    /// How values of the column become digests: its type, and whatever else changes the canonical value. Digests
    /// made under another tag cannot be compared.
    pub type_tag: String,
}

/// The digest of a layout: how files and journal entries name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct LayoutId(pub(super) [u8; 16]);

impl Layout {
    pub(super) fn id(&self) -> LayoutId {
        let mut hash = Xxh3Default::new();
        for column in &self.columns {
            for text in [column.name.as_str(), &column.type_tag] {
                hash.update(&(text.len() as u64).to_le_bytes());
                hash.update(text.as_bytes());
            }
        }
        LayoutId(hash.digest128().to_be_bytes())
    }

    /// Bytes of a key's states on disk; never 0, so that a file without columns still has rows.
    pub(super) fn width(&self) -> usize {
        self.width_in(Format::NEWEST)
    }

    /// The same in a file of that format.
    pub(super) fn width_in(&self, format: Format) -> usize {
        format.state_bytes() * self.columns.len().max(1)
    }

    /// How states written under `older` read under this layout.
    pub(super) fn translation(&self, older: &Self) -> Translation {
        if self == older {
            return Translation::Same;
        }
        let place = |column| older.columns.iter().position(|other| other == column);
        Translation::Columns(self.columns.iter().map(place).collect())
    }
}

/// From an older layout to a newer one: by column name; another type tag makes a column unknown.
#[derive(Debug, Clone)]
pub(super) enum Translation {
    /// The layouts are the same.
    Same,
    /// For each newer column the index of the older one.
    Columns(Vec<Option<usize>>),
}

impl Translation {
    /// Writes the states of one key as the newer layout has them, in bytes.
    pub(super) fn apply(&self, older: &[u8], newer: &mut Vec<u8>) {
        newer.clear();
        match self {
            Self::Same => newer.extend_from_slice(older),
            Self::Columns(columns) => {
                let (states, _) = older.as_chunks::<STATE_BYTES>();
                for column in columns {
                    let state = column.and_then(|index| states.get(index)).copied();
                    newer.extend_from_slice(&state.unwrap_or_default());
                }
                if columns.is_empty() {
                    newer.extend_from_slice(&[0; STATE_BYTES]);
                }
            }
        }
    }
}

/// The states in `bytes`, as many as the layout has columns.
pub(super) fn states(bytes: &[u8], layout: &Layout) -> Vec<ColumnState> {
    let (states, _) = bytes.as_chunks();
    let states = states.iter().take(layout.columns.len());
    states.map(|bytes| state_of(*bytes)).collect()
}

/// Appends the states' bytes; states that are missing count as never sent.
pub(super) fn put_states(
    states: impl IntoIterator<Item = ColumnState>,
    layout: &Layout,
    bytes: &mut Vec<u8>,
) {
    let begin = bytes.len();
    bytes.resize(begin + layout.width(), 0);
    let end = begin + STATE_BYTES * layout.columns.len();
    let (places, _) = bytes
        .get_mut(begin..end)
        .unwrap_or_default()
        .as_chunks_mut();
    for (place, state) in places.iter_mut().zip(states) {
        *place = bytes_of_state(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(columns: &[(&str, &str)]) -> Layout {
        let column = |(name, tag): &(&str, &str)| LayoutColumn {
            name: LogicalName::parse(name).unwrap(),
            type_tag: (*tag).to_owned(),
        };
        Layout {
            columns: columns.iter().map(column).collect(),
        }
    }

    fn translated(older: &Layout, newer: &Layout, bits: &[u64]) -> Vec<u64> {
        let given: Vec<_> = bits
            .iter()
            .map(|bits| ColumnState::from_bits(*bits))
            .collect();
        let (mut bytes, mut out) = (Vec::new(), Vec::new());
        put_states(given, older, &mut bytes);
        newer.translation(older).apply(&bytes, &mut out);
        assert_eq!(out.len(), newer.width());
        states(&out, newer)
            .into_iter()
            .map(ColumnState::to_bits)
            .collect()
    }

    #[test]
    fn columns_are_found_by_name_when_their_order_changed() {
        let older = layout(&[("a", "text"), ("b", "text"), ("c", "money")]);
        let newer = layout(&[("c", "money"), ("new", "text"), ("a", "text")]);
        assert_eq!(translated(&older, &newer, &[10, 20, 30]), [30, 0, 10]);
    }

    #[test]
    fn a_column_of_another_type_is_never_sent() {
        let older = layout(&[("a", "text"), ("b", "text")]);
        let newer = layout(&[("a", "memo"), ("b", "text")]);
        assert_eq!(translated(&older, &newer, &[10, 20]), [0, 20]);
    }

    #[test]
    fn missing_states_are_never_sent() {
        let same = layout(&[("a", "text"), ("b", "text")]);
        assert_eq!(translated(&same, &same, &[10]), [10, 0]);
        assert_eq!(translated(&same, &layout(&[]), &[10]), Vec::<u64>::new());
    }

    #[test]
    fn layouts_with_the_same_letters_have_their_own_ids() {
        let one = layout(&[("ab", "c")]);
        let two = layout(&[("a", "bc")]);
        assert_ne!(one.id(), two.id());
    }
}
