//! Cells that become options of a choice.

use std::collections::HashMap;

use super::number::{NumberSteps, NumberTarget};
use super::{Cell, Refusal};
use crate::model::{ChoiceOption, Value};

/// How cells of one column become option numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mapping) enum ChoiceSteps {
    /// The cell holds the number of one of these options.
    Numbers(Vec<i32>),
    /// The cell holds a label; the labels are [`word`]s.
    Labels(HashMap<String, i32>),
    /// The mapping lists the cells, which are compared as they are.
    Listed {
        options: HashMap<String, i32>,
        otherwise: Option<i32>,
    },
    /// What follows from another column's option; nothing where the list does not say.
    Followed {
        by: Box<Self>,
        pairs: Vec<(i32, i32)>,
    },
}

/// A label as it is compared: without blanks around it and without case.
pub(in crate::mapping) fn word(label: &str, buffer: &mut String) {
    buffer.clear();
    buffer.extend(label.trim().chars().flat_map(char::to_lowercase));
}

impl ChoiceSteps {
    pub(in crate::mapping) fn numbers(options: &[ChoiceOption]) -> Self {
        Self::Numbers(options.iter().map(|option| option.value).collect())
    }

    /// The options that follow from those that these steps give.
    pub(in crate::mapping) fn followed_by(self, pairs: &[(i32, i32)]) -> Self {
        Self::Followed {
            by: Box::new(self),
            pairs: pairs.to_vec(),
        }
    }

    pub(super) fn convert(
        &self,
        cell: Cell<'_>,
        buffer: &mut String,
        folded: &mut String,
    ) -> Result<Value, Refusal> {
        if cell == Cell::Null {
            return Ok(Value::Null);
        }
        if let Self::Followed { by, pairs } = self {
            let option = by.convert(cell, buffer, folded)?;
            let pair = pairs
                .iter()
                .find(|(from, _)| option == Value::Choice(*from));
            return Ok(pair.map_or(Value::Null, |(_, to)| Value::Choice(*to)));
        }
        let option = match self {
            Self::Numbers(numbers) => number(cell, buffer).filter(|it| numbers.contains(it)),
            Self::Labels(labels) => {
                word(cell.text(buffer).unwrap_or_default(), folded);
                labels.get(folded).copied()
            }
            Self::Listed { options, otherwise } => {
                let text = cell.text(buffer).unwrap_or_default();
                options.get(text).copied().or(*otherwise)
            }
            Self::Followed { .. } => None,
        };
        option.map(Value::Choice).ok_or(Refusal::OptionUnknown)
    }

    /// The numbers that cells lead to, not the labels that a mapping may use to name them.
    pub(super) fn describe(&self, program: &mut String) {
        let (name, options, otherwise) = match self {
            Self::Numbers(_) => return program.push_str("numbers"),
            Self::Labels(labels) => ("labels", labels, &None),
            Self::Listed { options, otherwise } => ("listed", options, otherwise),
            Self::Followed { by, pairs } => {
                by.describe(program);
                for (from, to) in pairs {
                    for number in [from, to] {
                        super::describe_text(program, &number.to_string());
                    }
                }
                return;
            }
        };
        program.push_str(name);
        let mut sorted: Vec<_> = options.iter().collect();
        sorted.sort_unstable();
        for (cell, number) in sorted {
            super::describe_text(program, cell);
            program.push_str(&number.to_string());
        }
        if let Some(number) = otherwise {
            program.push_str(" else ");
            program.push_str(&number.to_string());
        }
    }
}

/// How cells of one column become several options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mapping) struct ChoicesSteps {
    /// Between the options of a cell.
    pub(in crate::mapping) split: String,
    /// How each part is read; a part that it does not know may be an option's number.
    pub(in crate::mapping) part: ChoiceSteps,
    pub(in crate::mapping) numbers: ChoiceSteps,
}

impl ChoicesSteps {
    /// Semicolons between labels or numbers. A label that stands for two options stands for none.
    pub(super) fn plain(options: &[ChoiceOption]) -> Self {
        let mut labels: HashMap<String, Option<i32>> = HashMap::new();
        let mut folded = String::new();
        for option in options {
            for label in &option.labels {
                word(&label.text, &mut folded);
                let known = labels.entry(folded.clone()).or_insert(Some(option.value));
                if *known != Some(option.value) {
                    *known = None;
                }
            }
        }
        let certain = labels
            .into_iter()
            .filter_map(|(label, it)| Some((label, it?)));
        Self {
            split: ";".to_owned(),
            part: ChoiceSteps::Labels(certain.collect()),
            numbers: ChoiceSteps::numbers(options),
        }
    }

    pub(super) fn convert(
        &self,
        cell: Cell<'_>,
        buffer: &mut String,
        folded: &mut String,
    ) -> Result<Value, Refusal> {
        let mut whole = String::new();
        let mut options = Vec::new();
        for part in cell.text(&mut whole).unwrap_or_default().split(&self.split) {
            let part = part.trim();
            if part.is_empty() {
                continue;
            }
            let option = self
                .part
                .convert(Cell::Text(part), buffer, folded)
                .or_else(|_| self.numbers.convert(Cell::Text(part), buffer, folded))?;
            if let Value::Choice(number) = option {
                options.push(number);
            }
        }
        options.sort_unstable();
        options.dedup();
        Ok(if options.is_empty() {
            Value::Null
        } else {
            Value::Choices(options)
        })
    }

    pub(super) fn describe(&self, program: &mut String) {
        super::describe_text(program, &self.split);
        self.part.describe(program);
    }
}

fn number(cell: Cell<'_>, buffer: &mut String) -> Option<i32> {
    let whole = NumberSteps::plain(NumberTarget::Integer {
        min: i64::from(i32::MIN),
        max: i64::from(i32::MAX),
    });
    match whole.convert(cell, buffer) {
        Ok(Value::Integer(number)) => i32::try_from(number).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(steps: &ChoiceSteps, cell: Cell<'_>) -> Result<Value, Refusal> {
        steps.convert(cell, &mut String::new(), &mut String::new())
    }

    fn options(pairs: &[(&str, i32)]) -> HashMap<String, i32> {
        pairs
            .iter()
            .map(|(cell, number)| ((*cell).to_owned(), *number))
            .collect()
    }

    #[test]
    fn several_options_are_split_sorted_and_read_by_label_or_number() {
        let option = |(value, text): (i32, &str)| ChoiceOption {
            value,
            labels: vec![crate::model::Label {
                language: 1033,
                text: text.to_owned(),
            }],
            state: None,
        };
        let steps = ChoicesSteps::plain(&[(3, "Skiing"), (1, "Cycling")].map(option));
        let read = |text| steps.convert(Cell::Text(text), &mut String::new(), &mut String::new());
        assert_eq!(
            read("skiing; Cycling;;skiing"),
            Ok(Value::Choices(vec![1, 3]))
        );
        assert_eq!(read("3;1"), Ok(Value::Choices(vec![1, 3])));
        assert_eq!(read(" ; "), Ok(Value::Null));
        assert_eq!(read("Skiing;Diving"), Err(Refusal::OptionUnknown));
    }

    #[test]
    fn a_number_must_be_an_option() {
        let steps = ChoiceSteps::Numbers(vec![1, 2]);
        assert_eq!(read(&steps, Cell::Text("2")), Ok(Value::Choice(2)));
        assert_eq!(read(&steps, Cell::Integer(1)), Ok(Value::Choice(1)));
        assert_eq!(read(&steps, Cell::Text("3")), Err(Refusal::OptionUnknown));
        assert_eq!(
            read(&steps, Cell::Text("Male")),
            Err(Refusal::OptionUnknown)
        );
    }

    #[test]
    fn a_label_is_compared_without_case() {
        let steps = ChoiceSteps::Labels(options(&[("männlich", 1), ("male", 1), ("female", 2)]));
        assert_eq!(read(&steps, Cell::Text("MÄNNLICH")), Ok(Value::Choice(1)));
        assert_eq!(read(&steps, Cell::Text("Female")), Ok(Value::Choice(2)));
        assert_eq!(read(&steps, Cell::Text("1")), Err(Refusal::OptionUnknown));
    }

    #[test]
    fn listed_cells_are_compared_as_they_are() {
        let mut steps = ChoiceSteps::Listed {
            options: options(&[("M", 1), ("7", 2)]),
            otherwise: None,
        };
        assert_eq!(read(&steps, Cell::Text("M")), Ok(Value::Choice(1)));
        assert_eq!(read(&steps, Cell::Integer(7)), Ok(Value::Choice(2)));
        assert_eq!(read(&steps, Cell::Text("m")), Err(Refusal::OptionUnknown));
        if let ChoiceSteps::Listed { otherwise, .. } = &mut steps {
            *otherwise = Some(9);
        }
        assert_eq!(read(&steps, Cell::Text("m")), Ok(Value::Choice(9)));
        assert_eq!(read(&steps, Cell::Null), Ok(Value::Null));
    }
}
