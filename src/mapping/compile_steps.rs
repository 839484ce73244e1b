//! Checks of a column's steps: which make sense for its type, and what they compile to.

use std::ops::Range;

use jiff::tz::TimeZone;

use super::compile::Compiler;
use super::compile_codes as codes;
use super::compile_words::{closest, kind_in_words, listed};
use super::convert::{
    BooleanSteps, Conversion, DateSteps, DateTarget, FormatReads, NO_WORDS, NumberSteps, Trim,
    YES_WORDS, same_word, shown, strptime, try_format,
};
use super::{Parse, Steps, TooLong, Written};
use crate::model::Column;

impl Compiler<'_> {
    /// The steps of a column that takes cells; `None` if something is wrong with them, which has been told.
    pub(super) fn conversion(&mut self, steps: &Steps, column: &Column) -> Option<Conversion> {
        let before = self.problems.len();
        let mut conversion = Conversion::plain(&column.kind)?;
        self.misfits(steps, &conversion, column);
        match &mut conversion {
            Conversion::Text(text) => {
                if steps.trim.as_ref().is_some_and(|trim| !trim.value) {
                    text.trim = Trim::Nothing;
                }
                text.case = steps.case.as_ref().map(|case| case.value);
                text.too_long = steps.max.as_ref().map_or(TooLong::Reject, |max| max.value);
            }
            Conversion::Number(number) => self.separators(steps, number),
            Conversion::Boolean(words) => self.words(steps, words),
            Conversion::Date(date) => self.date(steps, date),
            Conversion::Choice(choice) => {
                if let Some(compiled) = self.choice(steps, column) {
                    *choice = compiled;
                }
            }
            Conversion::Choices(choices) => {
                if let Some(compiled) = self.choice(steps, column) {
                    choices.part = compiled;
                }
                if let Some(split) = &steps.split {
                    choices.split.clone_from(&split.value);
                }
            }
            Conversion::Guid => {}
        }
        (self.problems.len() == before).then_some(conversion)
    }

    /// Tells of the steps that make no sense for the type.
    fn misfits(&mut self, steps: &Steps, conversion: &Conversion, column: &Column) {
        let fitting: &[&str] = match conversion {
            Conversion::Text(_) => &["trim", "case"],
            Conversion::Number(_) => &["decimal", "thousands"],
            Conversion::Boolean(_) => &["yes_words", "no_words"],
            Conversion::Date(_) => &["parse", "timezone"],
            Conversion::Choice(_) => &["choice"],
            Conversion::Choices(_) => &["choices", "choice"],
            Conversion::Guid => &[],
        };
        let mut found = written_steps(steps);
        if let Some(max) = &steps.max {
            found.push(("max", max.at.clone()));
        }
        let is_text = matches!(conversion, Conversion::Text(_));
        let trims = steps.trim.as_ref().is_some_and(|trim| trim.value);
        for (step, at) in found {
            // Blanks never count outside of text, so `trim: true` says nothing wrong.
            let fits =
                fitting.contains(&step) || (step == "max" && is_text) || (step == "trim" && trims);
            if !fits {
                self.tell(
                    codes::STEP_MISFIT,
                    &at,
                    format!("`{step}` makes no sense for column `{}`", column.name),
                    format!("the column holds {}", kind_in_words(&column.kind)),
                    match fitting {
                        [] => format!("Leave `{step}` out."),
                        _ => format!(
                            "Leave `{step}` out; steps for this type are {}.",
                            listed(fitting.iter().copied())
                        ),
                    },
                );
            }
        }
    }

    fn separators(&mut self, steps: &Steps, number: &mut NumberSteps) {
        for written in [&steps.decimal, &steps.thousands].into_iter().flatten() {
            let c = written.value;
            if c.is_alphanumeric() || c.is_control() || matches!(c, '+' | '-') {
                self.tell(
                    codes::BAD_SEPARATOR,
                    &written.at,
                    format!("`{}` cannot separate digits", c.escape_debug()),
                    "part of numbers themselves",
                    "Use a point, a comma, a blank or an apostrophe.".to_owned(),
                );
            }
        }
        number.decimal = steps.decimal.as_ref().map_or('.', |it| it.value);
        number.thousands = steps.thousands.as_ref().map(|it| it.value);
        if number.thousands == Some(number.decimal)
            && let Some(at) = steps.thousands.as_ref().map(|it| &it.at)
        {
            self.tell(
                codes::BAD_SEPARATOR,
                at,
                format!("`{}` separates both decimals and thousands", number.decimal),
                "the same as the decimal separator",
                "Name two different separators with `decimal` and `thousands`.".to_owned(),
            );
        }
    }

    fn words(&mut self, steps: &Steps, compiled: &mut BooleanSteps) {
        let sides = [
            (&steps.yes_words, &mut compiled.yes),
            (&steps.no_words, &mut compiled.no),
        ];
        for (written, words) in sides {
            if let Some(written) = written {
                *words = written
                    .value
                    .iter()
                    .map(|it| it.trim().to_owned())
                    .collect();
                if words.iter().any(String::is_empty) {
                    self.tell(
                        codes::BAD_WORD,
                        &written.at,
                        "an empty cell is neither yes nor no, but null".to_owned(),
                        "one of the words is empty",
                        "Say with `default` what an empty cell means.".to_owned(),
                    );
                }
            }
        }
        let is_no = |word: &&String| compiled.no.iter().any(|no| same_word(no, word));
        let Some(both) = compiled.yes.iter().find(is_no).cloned() else {
            return;
        };
        let Some(at) = [&steps.yes_words, &steps.no_words]
            .into_iter()
            .flatten()
            .next()
        else {
            return;
        };
        let help = match (&steps.yes_words, &steps.no_words) {
            (Some(_), Some(_)) => "Keep it in one of the two lists.".to_owned(),
            (Some(_), None) => format!(
                "Name `no_words` too; without it they are {}.",
                listed(NO_WORDS.into_iter())
            ),
            (None, _) => format!(
                "Name `yes_words` too; without it they are {}.",
                listed(YES_WORDS.into_iter())
            ),
        };
        let title = format!("`{}` means both yes and no", shown(&both));
        let label = "overlaps with the other list";
        self.tell(codes::BAD_WORD, &at.at, title, label, help);
    }

    fn date(&mut self, steps: &Steps, compiled: &mut DateSteps) {
        let parse = steps.parse.as_ref();
        compiled.parse = parse.map(|parse| parse.value.clone());
        let reads = match parse.map(|parse| (&parse.value, &parse.at)) {
            None | Some((Parse::Iso8601, _)) => None,
            Some((Parse::Epoch | Parse::EpochMs, _)) => Some(FormatReads::Instant),
            Some((Parse::Format(format), at)) => match try_format(format) {
                Ok(reads) => Some(reads),
                Err(why) => {
                    let help = match strptime(format) {
                        Some(meant) => format!("did you mean `{meant}`?"),
                        None => {
                            format!("{why}. A format reads like `%d.%m.%Y` or `%Y-%m-%d %H:%M:%S`.")
                        }
                    };
                    self.tell(
                        codes::BAD_FORMAT,
                        at,
                        format!("`{}` is not a date format that can be read", shown(format)),
                        "not usable",
                        help,
                    );
                    return;
                }
            },
        };
        let Some(written) = &steps.timezone else {
            return;
        };
        match TimeZone::get(&written.value) {
            Ok(zone) => compiled.zone = Some(zone),
            Err(_) => self.unknown_zone(written),
        }
        let needless = match (compiled.target, reads) {
            (DateTarget::WallClock, _) => Some("the column holds a time without zone"),
            (DateTarget::Instant, Some(FormatReads::Instant)) => Some("the cell names its zone"),
            (DateTarget::Date, Some(FormatReads::WallClock)) => Some("the cell has no zone"),
            (DateTarget::Instant, None | Some(FormatReads::WallClock))
            | (DateTarget::Date, None | Some(FormatReads::Instant)) => None,
        };
        if let Some(label) = needless {
            self.tell(
                codes::STEP_MISFIT,
                &written.at,
                "`timezone` has no effect here".to_owned(),
                label,
                "Leave `timezone` out.".to_owned(),
            );
        }
    }

    fn unknown_zone(&mut self, written: &Written<String>) {
        let known: Vec<String> = jiff::tz::db()
            .available()
            .map(|name| name.to_string())
            .collect();
        let help = match closest(&written.value, known.iter().map(String::as_str)) {
            Some(close) => format!("did you mean `{close}`?"),
            None => "Use a name of the IANA database, such as `Europe/Amsterdam`.".to_owned(),
        };
        self.tell(
            codes::BAD_TIMEZONE,
            &written.at,
            format!("there is no time zone `{}`", shown(&written.value)),
            "not in the time zone database",
            help,
        );
    }
}

/// The steps that are for cells of one type, by name and place.
pub(super) fn written_steps(steps: &Steps) -> Vec<(&'static str, Range<usize>)> {
    fn place<T>(step: Option<&Written<T>>) -> Option<Range<usize>> {
        step.map(|step| step.at.clone())
    }
    [
        ("trim", place(steps.trim.as_ref())),
        ("case", place(steps.case.as_ref())),
        ("parse", place(steps.parse.as_ref())),
        ("timezone", place(steps.timezone.as_ref())),
        ("decimal", place(steps.decimal.as_ref())),
        ("thousands", place(steps.thousands.as_ref())),
        ("yes_words", place(steps.yes_words.as_ref())),
        ("no_words", place(steps.no_words.as_ref())),
        ("choice", place(steps.choice.as_ref())),
        ("choices", place(steps.split.as_ref())),
    ]
    .into_iter()
    .filter_map(|(name, at)| at.map(|at| (name, at)))
    .collect()
}
