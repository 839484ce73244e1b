//! Rejects of the mapping: what is wrong with a row, in words.

use std::borrow::Cow;

use super::convert::{Cell, Conversion, Refusal, shown};
use crate::model::{Fault, FaultKind, Position, Reject, RejectCode, TargetColumn};

/// What the steps found wrong with a cell.
pub(super) fn refused(
    position: Position,
    refusal: Refusal,
    cell: Cell<'_>,
    column: &TargetColumn,
    conversion: &Conversion,
) -> Reject {
    let mut buffer = String::new();
    let text = cell.text(&mut buffer).unwrap_or_default();
    Reject {
        position,
        column: Some(column.name.to_string()),
        code: refusal.code(),
        reason: refusal.reason(&shown(text.trim()), &column.kind, conversion),
        advice: refusal.advice(text.trim(), conversion),
        service: None,
    }
}

/// What the reader found wrong with a row or one of its cells.
pub(super) fn faulty(position: Position, fault: &Fault, column: Option<&TargetColumn>) -> Reject {
    let (code, reason, advice) = match &fault.kind {
        FaultKind::Ragged {
            cells, expected, ..
        } => (
            "row_ragged",
            format!("the row has {cells} cells, the header has {expected}"),
            Cow::Borrowed(
                "Quote cells that hold the delimiter, or write `source.csv.ragged: pad`.",
            ),
        ),
        FaultKind::Misquoted { line, .. } => (
            "row_misquoted",
            format!(
                "the quote that opens on line {line} is closed in the middle of a cell of a later line; the lines between are lost in it"
            ),
            Cow::Borrowed(
                "Double the quotes within cells, or write `source.csv.quote: none` if quotes mean nothing in the file.",
            ),
        ),
        FaultKind::Undecodable { encoding } => (
            "cell_undecodable",
            format!("the cell has bytes that are not valid in {encoding}"),
            Cow::Borrowed(match *encoding {
                "UTF-8" => {
                    "Name the encoding of the file with `source.csv.encoding`; a file that Excel saved as CSV is often `windows-1252`."
                }
                _ => "Name the encoding of the file with `source.csv.encoding`.",
            }),
        ),
    };
    Reject {
        position,
        column: column.map(|column| column.name.to_string()),
        code: RejectCode(code),
        reason,
        advice,
        service: None,
    }
}
