//! A mapping as it is written: decoded, with the place of every setting, not yet checked against a table.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::PathBuf;

use super::Problem;
use crate::model::{Absent, Envelopes, ExtractSpec, Nulls, When};

/// A setting and the bytes of the mapping file where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written<T> {
    /// The setting.
    pub value: T,
    /// Its place, in bytes of the file's text.
    pub at: Range<usize>,
}

/// One mapping file.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    /// The file, as the user named it.
    pub file: PathBuf,
    /// Its text; spans count in it.
    pub text: String,
    /// `name:`, or the file's stem.
    pub name: String,
    /// `destination:`
    pub destination: Option<Written<String>>,
    /// `tags:`
    pub tags: Vec<String>,
    /// `partial: true`: never touches the vanished.
    pub partial: bool,
    /// `source:`, paths relative to the mapping's folder.
    pub source: ExtractSpec,
    /// Where `source.path` stands.
    pub source_at: Range<usize>,
    /// `target.table`: logical name or entity set name.
    pub table: Written<String>,
    /// `target.key`: the columns as written.
    pub key: Vec<Written<String>>,
    /// Where `target.key` stands as a whole.
    pub key_at: Range<usize>,
    /// `mode:`
    pub mode: Mode,
    /// `duplicates:`
    pub duplicates: Duplicates,
    /// `missing:`
    pub missing: Written<Missing>,
    /// `delete_when:` the source column whose yes words mark a record for deletion.
    pub delete_when: Option<Written<String>>,
    /// `nulls:`
    pub nulls: Nulls,
    /// `columns:`, in file order.
    pub columns: Vec<ColumnMapping>,
    /// `guard:`
    pub guard: Guard,
    /// `write:`
    pub write: Write,
    /// What reading it found wrong; [`Mapping::compile`] tells it together with what the table has to say.
    pub problems: Vec<Problem>,
    /// Lines under `columns:` that are among these problems, by target column.
    pub unread: Vec<String>,
}

/// Which writes are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Creates or updates.
    #[default]
    Upsert,
    /// Never changes an existing record.
    Create,
    /// Never makes a record; a row without one is a reject.
    Update,
    /// Never makes a record; a row without one is skipped.
    UpdateOrSkip,
}

/// What becomes of rows with the same key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Duplicates {
    /// The first stands, later ones are rejects.
    #[default]
    Reject,
    /// The first stands, later ones are skipped.
    First,
    /// The last stands, earlier ones are skipped.
    Last,
    /// The row with the highest value in this source column stands, the others are skipped.
    Newest(Written<String>),
}

/// What becomes of records that are not in the extract any more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Missing {
    /// Nothing.
    #[default]
    Keep,
    /// They are set inactive, for the reason of that label.
    Deactivate(Option<Written<String>>),
    /// They are deleted.
    Delete(Ours),
    /// They get fixed values.
    Set(Vec<(Written<String>, Written<Literal>)>),
}

/// Which records count as this mapping's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ours {
    /// Those that it provably created.
    Created,
    /// Those that it ever wrote.
    Written,
}

/// How records travel to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Write {
    /// `envelope:`
    pub envelopes: Envelopes,
    /// `batch_size:`: records in one request at most.
    pub batch_size: Option<NonZeroUsize>,
}

/// Brakes that are checked before anything is sent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Guard {
    /// Fewer rows than this stop the run.
    pub min_rows: Option<u64>,
    /// More rejects than this stop the run.
    pub max_rejects: Option<Threshold>,
    /// More changed keys than this stop the run.
    pub max_changes: Option<Threshold>,
    /// More removed keys than this stop the run.
    pub max_deletes: Option<Threshold>,
}

/// A count, or a share of what the guard names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// `25`
    Count(u64),
    /// `2%`, as 2.0
    Percent(f64),
}

/// One line under `columns:`.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnMapping {
    /// The target column as written.
    pub target: Written<String>,
    /// Where its value comes from.
    pub origin: Origin,
    /// The steps, each `None` unless written.
    pub steps: Steps,
}

/// Where a column's value comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// `from:` or the short form: a source column.
    From(Written<String>),
    /// `value:` the same for every row; plain YAML scalars keep their text (`true`, `012`).
    Value(Written<Literal>),
    /// `stamp:` something of the run, the same for every row.
    Stamp(Written<Stamp>),
    /// `lookup:` a record of another table.
    Lookup(LookupOrigin),
}

/// What of a run stamps its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// `run`: when it began.
    Run,
}

/// How a lookup column's record is found.
#[derive(Debug, Clone, PartialEq)]
pub struct LookupOrigin {
    /// `lookup:` the table, by its logical name.
    pub table: Written<String>,
    /// `by:` columns of that table and the source columns that hold their values, in file order.
    pub by: Vec<(Written<String>, Written<String>)>,
    /// `absent:`
    pub absent: Absent,
}

/// A scalar as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    /// `null`, `~` or nothing.
    Null,
    /// Any other text.
    Text(String),
}

/// What is done to a cell on its way to a value.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Steps {
    /// `trim:`; text is trimmed unless it says false.
    pub trim: Option<Written<bool>>,
    /// `case:`
    pub case: Option<Written<Case>>,
    /// `parse:`
    pub parse: Option<Written<Parse>>,
    /// `timezone:` an IANA name.
    pub timezone: Option<Written<String>>,
    /// `decimal:` the decimal separator.
    pub decimal: Option<Written<char>>,
    /// `thousands:` the thousands separator.
    pub thousands: Option<Written<char>>,
    /// `yes_words:`
    pub yes_words: Option<Written<Vec<String>>>,
    /// `no_words:`
    pub no_words: Option<Written<Vec<String>>>,
    /// `choice:`
    pub choice: Option<Written<ChoiceMap>>,
    /// `choices: { split: ";" }`
    pub split: Option<Written<String>>,
    /// `default:` for a null.
    pub default: Option<Written<Literal>>,
    /// `nulls:` for this column.
    pub nulls: Option<Written<Nulls>>,
    /// `max:` for text that is too long.
    pub max: Option<Written<TooLong>>,
    /// `when:` which writes carry the column.
    pub when: Option<Written<When>>,
}

/// Letter case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// `lower`
    Lower,
    /// `upper`
    Upper,
    /// `title`
    Title,
}

/// How a date or time is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parse {
    /// ISO 8601, a blank allowed for the `T`.
    Iso8601,
    /// Seconds since 1970.
    Epoch,
    /// Milliseconds since 1970.
    EpochMs,
    /// A strptime format.
    Format(String),
}

/// How cells become options.
#[derive(Debug, Clone, PartialEq)]
pub enum ChoiceMap {
    /// `choice: labels`: the cell holds the label.
    Labels,
    /// `choice: numbers` (also the default): the cell holds the number.
    Numbers,
    /// `choice: { M: Male, F: 2 }`: from cell to label or number, with an option for all others.
    Map {
        /// In file order.
        options: Vec<(Written<String>, Written<String>)>,
        /// `else:`
        otherwise: Option<Written<String>>,
    },
}

/// What a text over the column's length is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooLong {
    /// A reject.
    Reject,
    /// Cut.
    Truncate,
}
