//! Text patterns of `contains`, `startswith` and `endswith`: SQL's `LIKE`.
//!
//! `%`, `_`, `[abc]` and `[^abc]` act as wildcards in these functions, as the service documents.
//! Source: Microsoft Learn, "Filter rows using OData", "Use wildcard characters in conditions".

use crate::table::fold::Collation;

/// A pattern; it matches whole texts.
#[derive(Debug)]
pub(crate) struct Pattern(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Anything,
    Any,
    One(char),
    Among {
        characters: Vec<char>,
        is_negated: bool,
    },
}

impl Pattern {
    pub(crate) fn new(collation: Collation, pattern: &str) -> Self {
        Self(pieces(&collation.fold(pattern)))
    }

    /// Whether it matches; `collation` is the one that it was made with.
    pub(crate) fn matches(&self, collation: Collation, text: &str) -> bool {
        let characters: Vec<char> = collation.fold(text).chars().collect();
        matches(&self.0, &characters)
    }
}

fn pieces(pattern: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        rest = rest.get(first.len_utf8()..).unwrap_or_default();
        pieces.push(match first {
            '%' => Piece::Anything,
            '_' => Piece::Any,
            '[' if rest.contains(']') => {
                let (inner, after) = rest.split_once(']').unwrap_or((rest, ""));
                rest = after;
                let negated = inner.strip_prefix('^');
                Piece::Among {
                    characters: spread(negated.unwrap_or(inner)),
                    is_negated: negated.is_some(),
                }
            }
            other => Piece::One(other),
        });
    }
    pieces
}

/// The characters of a set; `a-d` is a range.
fn spread(inner: &str) -> Vec<char> {
    let given: Vec<char> = inner.chars().collect();
    match given.as_slice() {
        [first, '-', last] => (*first..=*last).collect(),
        _ => given,
    }
}

/// Walks both once, going back only to the last `%`: never worse than their lengths multiplied.
fn matches(pieces: &[Piece], text: &[char]) -> bool {
    let (mut piece, mut place) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while let Some(character) = text.get(place) {
        match pieces.get(piece) {
            Some(Piece::Anything) => {
                last_star = Some((piece, place));
                piece += 1;
            }
            Some(wanted) if wanted.takes(*character) => {
                piece += 1;
                place += 1;
            }
            _ => match last_star {
                Some((star, from)) => {
                    piece = star + 1;
                    place = from + 1;
                    last_star = Some((star, from + 1));
                }
                None => return false,
            },
        }
    }
    let rest = pieces.get(piece..).unwrap_or_default();
    rest.iter().all(|piece| matches!(piece, Piece::Anything))
}

impl Piece {
    fn takes(&self, character: char) -> bool {
        match self {
            Self::Anything => false,
            Self::Any => true,
            Self::One(wanted) => *wanted == character,
            Self::Among {
                characters,
                is_negated,
            } => characters.contains(&character) != *is_negated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AI: Collation = Collation::AccentInsensitive;

    fn contains(pattern: &str, text: &str) -> bool {
        Pattern::new(AI, &format!("%{pattern}%")).matches(AI, text)
    }

    #[test]
    fn case_and_accents_do_not_matter() {
        assert!(contains("ÉTÉ", "un ete chaud"));
        let ends = Pattern::new(AI, "%Ltd");
        assert!(ends.matches(AI, "Contoso LTD"));
        assert!(!ends.matches(AI, "Ltd Contoso"));
    }

    #[test]
    fn wildcards_are_those_of_sql() {
        assert!(contains("a%c", "xabbcx"));
        assert!(contains("a_c", "abc"));
        assert!(!contains("a_c", "ac"));
        assert!(contains("[bc]at", "a cat"));
        assert!(!contains("[^bc]at", "cat"));
        assert!(contains("x[", "x["));
    }

    #[test]
    fn many_stars_cost_little() {
        let pattern = "a%".repeat(200);
        assert!(!contains(&format!("{pattern}b"), &"a".repeat(4000)));
    }
}
