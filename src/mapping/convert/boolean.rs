//! Cells that mean yes or no.

use super::cell::spell;
use super::text::same_word;
use super::{Cell, Refusal};
use crate::model::Value;

/// Words that mean *yes* unless a mapping names its own.
pub(in crate::mapping) const YES_WORDS: [&str; 5] = ["true", "yes", "1", "y", "t"];

/// Words that mean *no* unless a mapping names its own.
pub(in crate::mapping) const NO_WORDS: [&str; 5] = ["false", "no", "0", "n", "f"];

/// The words of one column; compared without case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mapping) struct BooleanSteps {
    pub(in crate::mapping) yes: Vec<String>,
    pub(in crate::mapping) no: Vec<String>,
}

impl Default for BooleanSteps {
    fn default() -> Self {
        Self {
            yes: YES_WORDS.map(str::to_owned).to_vec(),
            no: NO_WORDS.map(str::to_owned).to_vec(),
        }
    }
}

impl BooleanSteps {
    pub(in crate::mapping) fn convert(
        &self,
        cell: Cell<'_>,
        buffer: &mut String,
    ) -> Result<Value, Refusal> {
        let word = match cell {
            Cell::Null => return Ok(Value::Null),
            Cell::Boolean(yes) => return Ok(Value::Boolean(yes)),
            // `1.00` of a decimal type is the word `1`.
            Cell::Decimal(number) => spell(buffer, format_args!("{}", number.normalize())),
            other => other.text(buffer).unwrap_or_default(),
        };
        let is_in = |words: &[String]| words.iter().any(|known| same_word(known, word));
        if is_in(&self.yes) {
            Ok(Value::Boolean(true))
        } else if is_in(&self.no) {
            Ok(Value::Boolean(false))
        } else {
            Err(Refusal::WordUnknown)
        }
    }

    pub(super) fn describe(&self, program: &mut String) {
        for (name, words) in [("yes", &self.yes), ("no", &self.no)] {
            program.push_str(name);
            for word in words {
                super::describe_text(program, word);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(steps: &BooleanSteps, cell: Cell<'_>) -> Result<Value, Refusal> {
        steps.convert(cell, &mut String::new())
    }

    #[test]
    fn the_usual_words_need_no_setting() {
        let steps = BooleanSteps::default();
        for word in ["true", "YES", "1", "Y", "t"] {
            assert_eq!(read(&steps, Cell::Text(word)), Ok(Value::Boolean(true)));
        }
        for word in ["False", "no", "0", "N", "f"] {
            assert_eq!(read(&steps, Cell::Text(word)), Ok(Value::Boolean(false)));
        }
        assert_eq!(read(&steps, Cell::Text("maybe")), Err(Refusal::WordUnknown));
    }

    #[test]
    fn a_mapping_can_name_its_own_words() {
        let steps = BooleanSteps {
            yes: vec!["да".to_owned()],
            no: vec!["нет".to_owned()],
        };
        assert_eq!(read(&steps, Cell::Text("ДА")), Ok(Value::Boolean(true)));
        assert_eq!(read(&steps, Cell::Text("yes")), Err(Refusal::WordUnknown));
    }

    #[test]
    fn typed_cells_mean_what_their_text_would() {
        let steps = BooleanSteps::default();
        assert_eq!(read(&steps, Cell::Boolean(true)), Ok(Value::Boolean(true)));
        assert_eq!(read(&steps, Cell::Integer(0)), Ok(Value::Boolean(false)));
        assert_eq!(read(&steps, Cell::Float(1.0)), Ok(Value::Boolean(true)));
        let decimal = Cell::Decimal(rust_decimal::Decimal::new(100, 2));
        assert_eq!(read(&steps, decimal), Ok(Value::Boolean(true)));
        assert_eq!(read(&steps, Cell::Integer(2)), Err(Refusal::WordUnknown));
    }
}
