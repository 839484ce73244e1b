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

/// So many more columns of a row are told with the first.
const BESIDE: usize = 4;

/// A reject with what is wrong in other columns of its row.
pub(super) fn beside(mut reject: Reject, others: &[Reject]) -> Reject {
    for (place, other) in others.iter().take(BESIDE).enumerate() {
        let joint = if place == 0 { "; also" } else { ";" };
        let column = other.column.as_deref().unwrap_or_default();
        reject.reason = format!("{}{joint} {column}: {}", reject.reason, other.reason);
    }
    let more = others.len().saturating_sub(BESIDE);
    if more > 0 {
        reject.reason = format!("{}; and {more} more", reject.reason);
    }
    reject
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_with_many_faults_tells_the_first_and_counts_the_rest() {
        let reject = |column: usize| Reject {
            position: Position::new(0, 2),
            column: Some(format!("c{column}")),
            code: RejectCode("number_invalid"),
            reason: "no".to_owned(),
            advice: "Mend it.".into(),
            service: None,
        };
        let told = |others: usize| {
            let others: Vec<Reject> = (1..=others).map(reject).collect();
            beside(reject(0), &others).reason
        };
        assert_eq!(told(0), "no");
        assert_eq!(told(2), "no; also c1: no; c2: no");
        assert_eq!(
            told(6),
            "no; also c1: no; c2: no; c3: no; c4: no; and 2 more"
        );
    }
}
