//! The mapping language: the YAML as written ([`Mapping`]), and compiled against a table's schema into a plan.

mod problem;
mod written;

pub use problem::{Problem, ProblemCode, Problems};
pub use written::{
    Case, ChoiceMap, ColumnMapping, Duplicates, Guard, Literal, Mapping, Missing, Mode, Origin,
    Parse, Steps, Threshold, TooLong, Written,
};
