//! From a cell to a canonical value: one file per family of types.
//!
//! Nothing here allocates for a cell of plain content: text is borrowed from the batch or written into a buffer
//! that is used again. What a refused cell is told is made later, only for rows that are rejected.

mod boolean;
mod cell;
mod choice;
mod date;
mod guid;
mod number;
mod refusal;
mod suggest;
mod text;

pub(super) use boolean::{BooleanSteps, NO_WORDS, YES_WORDS};
pub(super) use cell::{Cell, CellColumn, is_readable, text_at};
pub(super) use choice::{ChoiceSteps, ChoicesSteps, word};
pub(super) use date::{DateSteps, DateTarget, FormatReads, clock_of, try_format};
pub(super) use number::{NumberSteps, NumberTarget, canonical};
pub(super) use refusal::{Refusal, option_in_words, shown};
pub(super) use suggest::strptime;
pub(super) use text::{Signs, TextSteps, Trim, same_word};

use crate::model::{ColumnKind, Value};

/// Buffers that are used again for each cell.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    cell: String,
    pub(super) text: String,
}

/// A canonical value whose text may be borrowed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Canonical<'a> {
    /// Text; never empty.
    Text(&'a str),
    /// Anything but text.
    Value(Value),
}

impl Canonical<'_> {
    pub(super) fn into_value(self) -> Value {
        match self {
            Self::Text(text) => Value::Text(text.into()),
            Self::Value(value) => value,
        }
    }
}

impl<'a> From<&'a Value> for Canonical<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Text(text) => Self::Text(text),
            other => Self::Value(other.clone()),
        }
    }
}

/// The compiled steps of a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Conversion {
    Text(TextSteps),
    Number(NumberSteps),
    Boolean(BooleanSteps),
    Date(DateSteps),
    Choice(ChoiceSteps),
    Choices(ChoicesSteps),
    Guid,
}

impl Conversion {
    /// How cells of a column are read unless its steps say otherwise; `None` for types that are not written.
    pub(super) fn plain(kind: &ColumnKind) -> Option<Self> {
        match kind {
            ColumnKind::Text { max_length } | ColumnKind::Memo { max_length } => {
                Some(Self::Text(TextSteps::plain(*max_length)))
            }
            ColumnKind::Integer { .. }
            | ColumnKind::BigInt
            | ColumnKind::Decimal { .. }
            | ColumnKind::Float { .. }
            | ColumnKind::Money { .. } => {
                NumberTarget::of(kind).map(|target| Self::Number(NumberSteps::plain(target)))
            }
            ColumnKind::Boolean { .. } => Some(Self::Boolean(BooleanSteps::default())),
            ColumnKind::Date | ColumnKind::DateTime { .. } => {
                DateTarget::of(kind).map(|target| Self::Date(DateSteps::plain(target)))
            }
            ColumnKind::Choice { options }
            | ColumnKind::State { options }
            | ColumnKind::Status { options } => Some(Self::Choice(ChoiceSteps::numbers(options))),
            ColumnKind::Choices { options } => Some(Self::Choices(ChoicesSteps::plain(options))),
            ColumnKind::Guid => Some(Self::Guid),
            ColumnKind::Lookup { .. } | ColumnKind::Other(_) => None,
        }
    }

    /// Takes the steps in their order: trim, null for an empty cell, the type's own steps, the column's limits.
    ///
    /// # Errors
    /// Why the cell is not a value of the column.
    #[inline]
    pub(super) fn convert<'s>(
        &self,
        cell: Cell<'s>,
        scratch: &'s mut Scratch,
    ) -> Result<Canonical<'s>, Refusal> {
        let buffer = &mut scratch.cell;
        let value = match self {
            Self::Text(steps) => return steps.convert(cell, scratch),
            Self::Number(steps) => steps.convert(trimmed(cell), buffer),
            Self::Boolean(steps) => steps.convert(trimmed(cell), buffer),
            Self::Date(steps) => steps.convert(trimmed(cell), buffer),
            Self::Choice(steps) => steps.convert(trimmed(cell), buffer, &mut scratch.text),
            Self::Choices(steps) => steps.convert(trimmed(cell), buffer, &mut scratch.text),
            Self::Guid => guid::convert(trimmed(cell)),
        };
        value.map(Canonical::Value)
    }

    /// Writes what the steps do into the text whose digest stands for the plan's program: equal programs give equal
    /// records. Limits that only refuse are no part of it.
    pub(super) fn describe(&self, program: &mut String) {
        match self {
            Self::Text(steps) => steps.describe(program),
            Self::Number(steps) => steps.describe(program),
            Self::Boolean(steps) => steps.describe(program),
            Self::Date(steps) => steps.describe(program),
            Self::Choice(steps) => steps.describe(program),
            Self::Choices(steps) => steps.describe(program),
            Self::Guid => {}
        }
    }
}

/// Blanks never count outside of text, and an empty cell is no value.
pub(super) fn trimmed(cell: Cell<'_>) -> Cell<'_> {
    match cell {
        Cell::Text(text) => match text::trimmed(text) {
            "" => Cell::Null,
            text => Cell::Text(text),
        },
        other => other,
    }
}

/// A text inside a program, behind its length.
pub(super) fn describe_text(program: &mut String, text: &str) {
    program.push(' ');
    program.push_str(&text.len().to_string());
    program.push(':');
    program.push_str(text);
}
