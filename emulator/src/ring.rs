//! The last so many of something, in no more memory than so many take.
//!
//! A queue that grows by doubling has room to spare, which it walks into as it turns: the process
//! would grow for hours although nothing more is held.

use std::collections::VecDeque;

/// Appends to the last `most`; what has to go for it is given back.
pub(crate) fn push<T>(ring: &mut VecDeque<T>, most: usize, item: T) -> Option<T> {
    let gone = if ring.len() >= most {
        ring.pop_front()
    } else {
        None
    };
    if ring.len() == ring.capacity() {
        let room = most.saturating_sub(ring.len());
        ring.reserve_exact(ring.len().max(4).min(room.max(1)));
    }
    ring.push_back(item);
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_has_room_for_what_it_holds_and_no_more() {
        let mut ring = VecDeque::new();
        let gone: Vec<u32> = (0..300).filter_map(|n| push(&mut ring, 100, n)).collect();
        assert_eq!(gone, (0..200).collect::<Vec<_>>());
        assert_eq!(ring, (200..300).collect::<Vec<_>>());
        assert_eq!(ring.capacity(), 100);
    }
}
