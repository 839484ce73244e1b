//! The kinds of problem that compiling a mapping can find, by their stable codes.

use super::ProblemCode;

macro_rules! codes {
    ($($name:ident = $number:literal, $title:literal;)*) => {
        $(pub(super) const $name: ProblemCode = ProblemCode($number);)*

        /// Every code of compiling, with its title in one line.
        pub const COMPILE_CODES: &[(ProblemCode, &str)] = &[$(($name, $title)),*];
    };
}

codes! {
    UNKNOWN_SOURCE_COLUMN = 101, "the extract has no such column";
    AMBIGUOUS_SOURCE_COLUMN = 102, "the extract has two columns of that name";
    UNREADABLE_SOURCE_TYPE = 103, "cells of that type are not read";
    COLUMN_SET_TWICE = 104, "a column is set twice";
    NOT_WRITABLE = 105, "the column cannot be written";
    TYPE_NOT_SUPPORTED = 106, "columns of that type are not supported by this version";
    UNKNOWN_COLUMN = 107, "the table has no such column";
    STEP_MISFIT = 108, "the step makes no sense for the column";
    BAD_FORMAT = 109, "the date format cannot be used";
    BAD_TIMEZONE = 110, "there is no such time zone";
    BAD_SEPARATOR = 111, "the separators cannot be told apart";
    BAD_WORD = 112, "yes words and no words cannot be told apart";
    BAD_LITERAL = 113, "the value does not fit the column";
    UNKNOWN_OPTION = 114, "the column has no such option";
    AMBIGUOUS_LABEL = 115, "the label stands for several options";
    BAD_CHOICE_CELL = 116, "the cell is listed twice or is empty";
    NOT_A_KEY = 117, "the table has no such key";
    KEY_NOT_MAPPED = 118, "a key column is not mapped";
    KEY_NOT_FIRM = 119, "a key column must come from a source column as it is";
    KEY_TYPE = 120, "columns of that type cannot be a key";
    REQUIRED_CLEARED = 121, "a required column cannot be cleared";
    PRIMARY_ID_BESIDE_KEY = 122, "the primary id can only be the key";
    NOT_A_LOOKUP = 123, "only a lookup column refers to records";
    NO_SUCH_TARGET = 124, "the lookup does not point to that table";
    NOT_BY_ITSELF = 125, "a lookup column needs a lookup";
    WHEN_NEVER = 126, "no write of the mapping may carry the column then";
    STAMP_TYPE = 127, "a stamp is a date or a time";
    REMOVAL = 128, "missing records cannot be treated so";
    STATE_MISFIT = 129, "the reason is not one of that state";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_in_order() {
        let numbers: Vec<u16> = COMPILE_CODES.iter().map(|(code, _)| code.0).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next));
    }
}
