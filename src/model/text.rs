//! The text of a value, which may be a part of a longer one.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use arrayvec::ArrayString;

/// A text that costs no memory of its own where it is short or several share it: the long ones of one record stand in
/// one piece of memory. It is made on one thread and dropped on another, where each piece more would be paid for twice,
/// and so would each count of who holds it.
#[derive(Clone)]
pub struct Text(Kept);

/// Where a text is.
#[derive(Clone)]
enum Kept {
    Here(ArrayString<SHORT>),
    There {
        shared: Arc<str>,
        from: u32,
        to: u32,
    },
}

/// The bytes for which a value has room beside its type, since others need as much.
const SHORT: usize = 24;

impl Text {
    /// A text that needs no memory; `None` if it is too long for that.
    #[inline]
    pub fn short(text: &str) -> Option<Self> {
        let short = ArrayString::from(text).ok();
        short.map(|short| Self(Kept::Here(short)))
    }

    /// That part of a text that is shared; nothing of it if there is no such part.
    pub fn part(shared: &Arc<str>, part: Range<usize>) -> Self {
        let ends = u32::try_from(part.start).ok().zip(part.end.try_into().ok());
        match ends.filter(|_| shared.get(part.clone()).is_some()) {
            Some((from, to)) => Self(Kept::There {
                shared: Arc::clone(shared),
                from,
                to,
            }),
            // Beyond 4 GiB the part stands alone.
            None => Self::from(shared.get(part).unwrap_or_default()),
        }
    }
}

impl Deref for Text {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        match &self.0 {
            Kept::Here(text) => text,
            Kept::There { shared, from, to } => {
                let part = *from as usize..*to as usize;
                shared.get(part).unwrap_or_default()
            }
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::short(text).unwrap_or_else(|| {
            Self(Kept::There {
                shared: Arc::from(text),
                from: 0,
                to: u32::try_from(text.len()).unwrap_or(u32::MAX),
            })
        })
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
    use crate::model::Value;

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
    fn a_short_text_makes_no_value_larger() {
        assert_eq!(size_of::<Value>(), 32);
        let long = "a text of twenty-five b..";
        assert_eq!(long.len(), SHORT + 1);
        assert_eq!(Text::short(long), None);
        let (short, _) = long.split_at(SHORT);
        assert_eq!(Text::short(short).as_deref(), Some(short));
        assert_eq!((&*Text::from(short), &*Text::from(long)), (short, long));
    }

    #[test]
    fn what_is_no_part_is_empty() {
        let shared: Arc<str> = Arc::from("Löb");
        assert_eq!(&*Text::part(&shared, 2..9), "");
        assert_eq!(&*Text::part(&shared, 0..2), "", "within a character");
    }
}
