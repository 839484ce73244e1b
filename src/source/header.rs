//! The names of the columns of delimited text.

use std::collections::HashMap;
use std::sync::Arc;

use csv::ByteRecord;

use super::SourceError;
use super::decode;
use super::delimited::{Delimited, Found, Quoting};
use super::locate::Located;
use crate::model::{CsvDialect, Header};

/// The names of a file's columns, from its beginning.
pub(super) fn names(
    rows: &mut Delimited,
    located: &Located,
    dialect: &CsvDialect,
) -> Result<Vec<String>, SourceError> {
    let file = || Arc::clone(&located.name);
    match &dialect.header {
        Header::Names(names) => match twice_or_empty(names) {
            Some(what) => Err(SourceError::Names { what }),
            None => Ok(names.clone()),
        },
        Header::None => {
            let mut first = ByteRecord::new();
            if rows.next(&mut first)?.is_none() {
                return Err(SourceError::NoHeader { file: file() });
            }
            Ok((1..=first.len()).map(|n| format!("column_{n}")).collect())
        }
        Header::FirstRow => {
            let (line, names) = first_row(rows, located)?;
            match twice_or_empty(&names) {
                Some(what) => Err(SourceError::Header {
                    file: file(),
                    line,
                    what: format!("the header {what}"),
                }),
                None => Ok(names),
            }
        }
    }
}

fn first_row(rows: &mut Delimited, located: &Located) -> Result<(u64, Vec<String>), SourceError> {
    let mut first = ByteRecord::new();
    let file = || Arc::clone(&located.name);
    let Some(Found { line, quoting }) = rows.next(&mut first)? else {
        return Err(SourceError::NoHeader { file: file() });
    };
    if let Quoting::Swallowing(line) = quoting {
        return Err(SourceError::Header {
            file: file(),
            line,
            what: "the quote that opens here is closed in the middle of a cell of a later line"
                .to_owned(),
        });
    }
    let encoding = rows.encoding();
    let names = first.iter().map(|cell| {
        let name = decode::cell(encoding, cell).ok_or_else(|| SourceError::Undecodable {
            file: file(),
            line,
            encoding: encoding.name(),
        });
        Ok(name?.trim().to_owned())
    });
    let names: Vec<String> = names.collect::<Result<_, _>>()?;
    match names.as_slice() {
        [only] if only.len() <= 5 && only.starts_with("sep=") => {}
        [first, second] if first == "sep=" && second.is_empty() => {}
        _ => return Ok((line, names)),
    }
    Err(SourceError::Spreadsheet { file: file(), line })
}

/// What is wrong with names, as the end of a sentence.
pub(super) fn twice_or_empty(names: &[String]) -> Option<String> {
    let mut seen = HashMap::new();
    names.iter().zip(1..).find_map(|(name, number)| {
        if name.is_empty() {
            return Some(format!("has no name for column {number}"));
        }
        let earlier = seen.insert(name, number)?;
        Some(format!(
            "gives columns {earlier} and {number} one name, `{name}`"
        ))
    })
}
