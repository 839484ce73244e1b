//! The text that says a column's type: `money(0..1000, 2) required create-only`.

use std::fmt::Display;
use std::str::FromStr;

use super::RequiredLevel;

/// The parts of such a text.
#[derive(Debug)]
pub(super) struct Phrase<'a> {
    /// `money`
    pub(super) name: &'a str,
    /// `0..1000, 2`
    pub(super) limits: Option<&'a str>,
    /// From `recommended`, `required`, `system-required`.
    pub(super) required: RequiredLevel,
    /// From `read-only`, `create-only`.
    pub(super) writes: Writes,
}

/// When a column can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writes {
    /// On create and update.
    Always,
    /// On create.
    Create,
    /// Only by the service.
    Never,
}

impl<'a> Phrase<'a> {
    /// Reads `name(limits) flags`.
    pub(super) fn parse(text: &'a str) -> Result<Self, String> {
        let (name, limits, flags) = match text.split_once('(') {
            Some((name, rest)) => {
                let (limits, flags) = rest
                    .split_once(')')
                    .ok_or_else(|| format!("`{text}` opens a parenthesis and does not close it"))?;
                (name.trim(), Some(limits.trim()), flags)
            }
            None => match text.trim().split_once(char::is_whitespace) {
                Some((name, flags)) => (name, None, flags),
                None => (text.trim(), None, ""),
            },
        };
        let mut phrase = Self {
            name,
            limits,
            required: RequiredLevel::None,
            writes: Writes::Always,
        };
        for flag in flags.split_whitespace() {
            match flag {
                "recommended" => phrase.required = RequiredLevel::Recommended,
                "required" => phrase.required = RequiredLevel::Application,
                "system-required" => phrase.required = RequiredLevel::System,
                "create-only" => phrase.writes = Writes::Create,
                "read-only" => phrase.writes = Writes::Never,
                _ => {
                    return Err(format!(
                        "`{flag}` is not a flag; there are recommended, required, \
                         system-required, create-only and read-only"
                    ));
                }
            }
        }
        Ok(phrase)
    }

    /// Refuses limits for a type that has none.
    pub(super) fn unlimited(&self) -> Result<(), String> {
        match self.limits {
            None => Ok(()),
            Some(limits) => Err(format!(
                "`{}` takes no limits, but has `({limits})`",
                self.name
            )),
        }
    }

    /// A length from 1 to `longest`.
    pub(super) fn length(&self, usual: usize, longest: usize) -> Result<usize, String> {
        let Some(limits) = self.limits else {
            return Ok(usual);
        };
        match limits.parse() {
            Ok(length) if (1..=longest).contains(&length) => Ok(length),
            _ => Err(format!("`{limits}` is not a length from 1 to {longest}")),
        }
    }

    /// `least..most`, without a precision.
    pub(super) fn range<T>(&self, usual: (T, T)) -> Result<(T, T), String>
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        self.limits
            .map_or(Ok(usual), |limits| range_of(limits, usual))
    }

    /// `least..most, precision`, or one of the two.
    pub(super) fn scaled<T>(&self, usual: (T, T), finest: u32) -> Result<(T, T, u32), String>
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        const USUAL_PRECISION: u32 = 2;
        let Some(limits) = self.limits else {
            return Ok((usual.0, usual.1, USUAL_PRECISION));
        };
        let (range, precision) = match limits.split_once(',') {
            Some((range, precision)) => (Some(range), Some(precision)),
            None if limits.contains("..") => (Some(limits), None),
            None => (None, Some(limits)),
        };
        let (least, most) = range.map_or(Ok(usual), |range| range_of(range, usual))?;
        let precision = match precision.map(str::trim) {
            None => USUAL_PRECISION,
            Some(text) => match text.parse() {
                Ok(precision) if precision <= finest => precision,
                _ => return Err(format!("`{text}` is not a precision from 0 to {finest}")),
            },
        };
        Ok((least, most, precision))
    }
}

fn range_of<T>(text: &str, widest: (T, T)) -> Result<(T, T), String>
where
    T: FromStr + PartialOrd + Display + Copy,
{
    let bounds = text.split_once("..").and_then(|(least, most)| {
        Some((
            least.trim().parse::<T>().ok()?,
            most.trim().parse::<T>().ok()?,
        ))
    });
    match bounds {
        Some((least, most)) if widest.0 <= least && least <= most && most <= widest.1 => {
            Ok((least, most))
        }
        _ => Err(format!(
            "`{text}` is not a range within {}..{}",
            widest.0, widest.1
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_has_a_name_limits_and_flags() {
        let phrase = Phrase::parse("money(0..100, 4) required create-only").unwrap();
        assert_eq!((phrase.name, phrase.limits), ("money", Some("0..100, 4")));
        assert_eq!(phrase.required, RequiredLevel::Application);
        assert_eq!(phrase.writes, Writes::Create);
        assert_eq!(phrase.scaled((-1000, 1000), 4).unwrap(), (0, 100, 4));
    }

    #[test]
    fn range_and_precision_may_each_be_left_out() {
        let scaled = |text: &str| {
            Phrase::parse(text)
                .and_then(|phrase| phrase.scaled((-9.0, 9.0), 5))
                .unwrap()
        };
        assert_eq!(scaled("double"), (-9.0, 9.0, 2));
        assert_eq!(scaled("double(5)"), (-9.0, 9.0, 5));
        assert_eq!(scaled("double(-1..1)"), (-1.0, 1.0, 2));
    }

    #[test]
    fn what_is_not_a_phrase_is_refused() {
        assert!(Phrase::parse("text(50").is_err());
        assert!(
            Phrase::parse("text(50) mandatory")
                .unwrap_err()
                .contains("`mandatory`")
        );
        let refused = |text: &str| Phrase::parse(text).unwrap().range((0, 10)).is_err();
        assert!(refused("integer(5..1)"));
        assert!(refused("integer(0..11)"));
        assert!(refused("integer(3)"));
        assert!(Phrase::parse("text(0)").unwrap().length(100, 4000).is_err());
        assert!(
            Phrase::parse("text(4001)")
                .unwrap()
                .length(100, 4000)
                .is_err()
        );
    }
}
