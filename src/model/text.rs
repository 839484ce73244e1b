//! The text of a value, which may be a part of a longer one.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// A text that costs no memory of its own where several share it: those of one record stand in one piece of memory.
/// It is made on one thread and dropped on another, where each piece more would be paid for twice.
#[derive(Clone)]
pub struct Text {
    shared: Arc<str>,
    from: u32,
    to: u32,
}

impl Text {
    /// That part of a text that is shared; nothing of it if there is no such part.
    #[inline]
    pub fn part(shared: &Arc<str>, part: Range<usize>) -> Self {
        let ends = u32::try_from(part.start).ok().zip(part.end.try_into().ok());
        match ends.filter(|_| shared.get(part.clone()).is_some()) {
            Some((from, to)) => Self {
                shared: Arc::clone(shared),
                from,
                to,
            },
            // Beyond 4 GiB the part stands alone.
            None => Self::from(shared.get(part).unwrap_or_default()),
        }
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        let part = self.from as usize..self.to as usize;
        self.shared.get(part).unwrap_or_default()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self {
            shared: Arc::from(text),
            from: 0,
            to: u32::try_from(text.len()).unwrap_or(u32::MAX),
        }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text {}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_one_text_are_texts_of_their_own() {
        let shared: Arc<str> = Arc::from("Ada Löb");
        let (first, last) = (Text::part(&shared, 0..3), Text::part(&shared, 4..8));
        assert_eq!((&*first, &*last), ("Ada", "Löb"));
        assert_eq!(first, Text::from("Ada"));
        assert_ne!(first, last);
        assert_eq!(format!("{last:?}"), "\"Löb\"");
    }

    #[test]
    fn what_is_no_part_is_empty() {
        let shared: Arc<str> = Arc::from("Löb");
        assert_eq!(&*Text::part(&shared, 2..9), "");
        assert_eq!(&*Text::part(&shared, 0..2), "", "within a character");
    }
}
