//! The mapping language: the YAML as written ([`Mapping`]), and compiled against a table's schema into a plan.

mod compile;
mod compile_choice;
mod compile_codes;
mod compile_column;
mod compile_key;
mod compile_lookup;
mod compile_missing;
mod compile_steps;
mod compile_when;
mod compile_words;
mod config;
mod convert;
mod decode;
mod digest;
#[cfg(test)]
mod fixture;
mod fold;
mod layout;
mod newest;
mod plan;
mod plan_digest;
mod plan_lookup;
mod plan_record;
mod problem;
mod read;
mod reject;
mod removal;
mod render;
mod written;
mod yaml;

pub use compile::CompileContext;
pub use compile_codes::COMPILE_CODES;
pub use compile_words::kind_in_words;
pub use config::{Config, Destination};
pub use digest::ColumnDigester;
pub use layout::LayoutNames;
pub use plan::Plan;
pub use plan_record::PlannedRows;
pub use problem::codes::FILE_CODES;
pub use problem::{Problem, ProblemCode, Problems};
pub use read::MappingError;
pub use removal::{Manner, Removal, Treatment};
pub use render::Paint;
pub use written::{
    Case, ChoiceMap, ColumnMapping, Duplicates, Guard, Literal, LookupOrigin, Mapping, Missing,
    Mode, Origin, Ours, Parse, Stamp, Steps, Threshold, TooLong, Write, Written,
};
