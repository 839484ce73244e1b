//! What a refused row is called and what its owner does: stable words for the reject file.

use crate::model::RowFailure;

const LONG: &str = "Shorten the value, or say `max: truncate` for the column.";
const RANGE: &str = "Correct the value at the source; `segue describe` shows the column's range.";
const STATE: &str = "Reopen the record in Dataverse, or leave it out of the extract.";
const OWNER: &str = "Name an enabled owner whose role allows the record.";

/// The word and advice of a refusal, by the number of its code.
pub(super) fn refused(number: Option<u32>) -> RowFailure {
    let (word, advice) = match number.unwrap_or_default() {
        0x8004_4331 | 0x8007_3001 => ("too_long", LONG),
        0x8004_432f | 0x8004_4330 => ("value_out_of_range", RANGE),
        0x8004_431a | 0x8004_431c => (
            "invalid_option",
            "Use an option that the column has; `segue describe` lists them.",
        ),
        0x8004_0239 => (
            "invalid_date",
            "Correct the date; Dataverse holds dates from 1753 on.",
        ),
        0x8004_0278 => (
            "invalid_characters",
            "Remove control characters from the text.",
        ),
        0x8004_0265 | 0x8004_5f01 => (
            "business_rule",
            "A plug-in of the environment refused the row: read its message, correct the row or the rule.",
        ),
        0x8004_0333 => (
            "duplicate_detected",
            "A duplicate detection rule matched: merge the records, or correct the row.",
        ),
        0x8004_0230 | 0x8004_022e | 0x8004_0228 | 0x8004_0515 | 0x8004_4411 => ("inactive", STATE),
        0x8004_8408 | 0x8010_0005 | 0x8004_f00e | 0x8004_3af9 | 0x8004_f854..=0x8004_f858 => (
            "invalid_state",
            "Use a state and status reason that belong together.",
        ),
        0x8004_0229 | 0x8004_022b | 0x8004_0231 | 0x8004_8340 | 0x8004_032d => {
            ("invalid_owner", OWNER)
        }
        0x8004_0220 | 0x8004_8306 => (
            "permission_record",
            "Give the application user's role access to this record.",
        ),
        0x8004_0217 | 0x8006_0891 => (
            "reference_not_found",
            "Create the record that this row refers to, or correct the reference.",
        ),
        0x8004_0227 => ("in_use", "Remove the records that refer to this one first."),
        0x8006_0888 | 0x8006_088a => (
            "key_not_addressable",
            "Correct the key's value: the service cannot read it in a URL.",
        ),
        _ => ("refused", "Read the service's message and correct the row."),
    };
    RowFailure::Other { word, advice }
}
