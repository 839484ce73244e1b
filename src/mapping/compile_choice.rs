//! Checks of choices: options that a mapping names by number or label, and the cells that it lists.

use std::collections::HashMap;
use std::ops::Range;

use super::compile::Compiler;
use super::compile_codes as codes;
use super::compile_words::{closest, listed};
use super::convert::{ChoiceSteps, option_in_words, same_word, shown, word};
use super::{ChoiceMap, Steps, Written};
use crate::model::{ChoiceOption, Column, ColumnKind};

impl Compiler<'_> {
    /// How cells become options; `None` where `choice` is not written, or wrong.
    pub(super) fn choice(&mut self, steps: &Steps, column: &Column) -> Option<ChoiceSteps> {
        let (ColumnKind::Choice { options }
        | ColumnKind::Choices { options }
        | ColumnKind::State { options }
        | ColumnKind::Status { options }) = &column.kind
        else {
            return None;
        };
        let written = steps.choice.as_ref()?;
        match &written.value {
            ChoiceMap::Numbers => Some(ChoiceSteps::numbers(options)),
            ChoiceMap::Labels => self.labels(&written.at, options, column),
            ChoiceMap::Map {
                options: listed,
                otherwise,
            } => {
                let mut numbers = HashMap::new();
                for (cell, wanted) in listed {
                    let number = self.option(wanted, options, column);
                    self.listed_cell(cell, number, &mut numbers);
                }
                let otherwise = match otherwise {
                    Some(wanted) => Some(self.option(wanted, options, column)?),
                    None => None,
                };
                Some(ChoiceSteps::Listed {
                    options: numbers,
                    otherwise,
                })
            }
        }
    }

    fn listed_cell(
        &mut self,
        cell: &Written<String>,
        number: Option<i32>,
        numbers: &mut HashMap<String, i32>,
    ) {
        let text = cell.value.trim();
        let (title, help) = if text.is_empty() {
            (
                "an empty cell is null and never looked up".to_owned(),
                "Say with `default` which option an empty cell means.",
            )
        } else if numbers
            .insert(text.to_owned(), number.unwrap_or(0))
            .is_some()
        {
            (
                format!("the cell `{}` is listed twice", shown(text)),
                "Keep one of the two.",
            )
        } else {
            return;
        };
        self.tell(
            codes::BAD_CHOICE_CELL,
            &cell.at,
            title,
            "cannot be used",
            help.to_owned(),
        );
    }

    fn labels(
        &mut self,
        at: &Range<usize>,
        options: &[ChoiceOption],
        column: &Column,
    ) -> Option<ChoiceSteps> {
        let mut labels = HashMap::new();
        let mut folded = String::new();
        for option in options {
            for label in &option.labels {
                word(&label.text, &mut folded);
                let earlier = labels.insert(folded.clone(), option.value);
                if let Some(earlier) = earlier.filter(|earlier| *earlier != option.value) {
                    self.ambiguous_label(at, &label.text, &[earlier, option.value], column);
                    return None;
                }
            }
        }
        Some(ChoiceSteps::Labels(labels))
    }

    /// The option that is named by its number or by a label in any language.
    pub(super) fn option(
        &mut self,
        wanted: &Written<String>,
        options: &[ChoiceOption],
        column: &Column,
    ) -> Option<i32> {
        let text = wanted.value.trim();
        let number = text.parse::<i32>().ok();
        if let Some(option) = options.iter().find(|option| Some(option.value) == number) {
            return Some(option.value);
        }
        let is_meant = |option: &&ChoiceOption| {
            let mut labels = option.labels.iter();
            labels.any(|label| same_word(label.text.trim(), text))
        };
        let found: Vec<i32> = options.iter().filter(is_meant).map(|it| it.value).collect();
        match found.as_slice() {
            [number] => Some(*number),
            [] => {
                self.unknown_option(wanted, options, column);
                None
            }
            several => {
                self.ambiguous_label(&wanted.at, text, several, column);
                None
            }
        }
    }

    fn unknown_option(
        &mut self,
        wanted: &Written<String>,
        options: &[ChoiceOption],
        column: &Column,
    ) {
        let labels = || options.iter().flat_map(|option| &option.labels);
        let close = closest(&wanted.value, labels().map(|label| label.text.as_str()));
        let names: Vec<String> = options.iter().map(option_in_words).collect();
        let help = close.map_or_else(
            || {
                format!(
                    "Its options are {}.",
                    listed(names.iter().map(String::as_str))
                )
            },
            |close| format!("did you mean `{}`?", shown(close)),
        );
        self.tell(
            codes::UNKNOWN_OPTION,
            &wanted.at,
            format!(
                "column `{}` has no option `{}`",
                column.name,
                shown(&wanted.value)
            ),
            "neither number nor label of an option",
            help,
        );
    }

    fn ambiguous_label(
        &mut self,
        at: &Range<usize>,
        label: &str,
        numbers: &[i32],
        column: &Column,
    ) {
        let numbers: Vec<String> = numbers.iter().map(i32::to_string).collect();
        let numbers = listed(numbers.iter().map(String::as_str));
        self.tell(
            codes::AMBIGUOUS_LABEL,
            at,
            format!(
                "label `{}` of column `{}` stands for the options {numbers}",
                shown(label),
                column.name
            ),
            "several options have that label",
            "Name the options by number: `choice: { cell: number }`.".to_owned(),
        );
    }
}
