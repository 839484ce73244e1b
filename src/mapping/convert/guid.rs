//! Cells that hold a GUID.

use uuid::Uuid;

use super::{Cell, Refusal};
use crate::model::Value;

/// Reads a GUID, with or without braces.
pub(super) fn convert(cell: Cell<'_>) -> Result<Value, Refusal> {
    let text = match cell {
        Cell::Null => return Ok(Value::Null),
        Cell::Text(text) => text,
        Cell::Integer(_)
        | Cell::Float(_)
        | Cell::Decimal(_)
        | Cell::Boolean(_)
        | Cell::Date(_)
        | Cell::Instant(_)
        | Cell::WallClock(_) => return Err(Refusal::GuidInvalid),
    };
    let bare = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}').ok_or(Refusal::GuidInvalid)?,
        None => text,
    };
    // The parser also takes forms without hyphens and with `urn:uuid:`; nobody writes those on purpose.
    if bare.len() != 36 {
        return Err(Refusal::GuidInvalid);
    }
    Uuid::try_parse(bare)
        .map(Value::Guid)
        .map_err(|_| Refusal::GuidInvalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

    #[test]
    fn braces_and_letter_case_do_not_matter() {
        let expected = Ok(Value::Guid(Uuid::parse_str(GUID).unwrap()));
        assert_eq!(convert(Cell::Text(GUID)), expected);
        assert_eq!(convert(Cell::Text(&GUID.to_uppercase())), expected);
        assert_eq!(convert(Cell::Text(&format!("{{{GUID}}}"))), expected);
    }

    #[test]
    fn anything_else_is_refused() {
        let bare = GUID.replace('-', "");
        let half_braced = format!("{{{GUID}");
        let short = GUID.trim_start_matches('0');
        for text in ["x", &bare, &half_braced, short] {
            assert_eq!(convert(Cell::Text(text)), Err(Refusal::GuidInvalid));
        }
        assert_eq!(convert(Cell::Integer(1)), Err(Refusal::GuidInvalid));
    }
}
