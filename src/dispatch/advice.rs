//! Rejects that the dispatcher writes, in words that the operator can act on.

use std::borrow::Cow;

use rust_decimal::Decimal;

use crate::model::{
    Cause, Failure, LogicalName, Lookup, Reference, Reject, RejectCode, RowFailure, RowTag,
    ServiceError, Target, Value,
};

/// What a record collided with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Violated {
    /// The columns and values of the key, as far as the service told.
    pub(super) columns: Vec<(LogicalName, String)>,
}

/// Another record has the values of a unique key.
pub(super) fn duplicate_key(
    row: RowTag,
    target: &Target,
    violated: &Violated,
    error: ServiceError,
) -> Reject {
    let names: Vec<&str> = violated
        .columns
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let pairs: Vec<String> = violated
        .columns
        .iter()
        .map(|(name, value)| format!("{name} = `{value}`"))
        .collect();
    let reason = if pairs.is_empty() {
        format!(
            "another {} has this record's values of a unique key",
            target.table
        )
    } else {
        let key = names.join(" + ");
        format!(
            "another {} has {}, and the key {key} is unique",
            target.table,
            pairs.join(", ")
        )
    };
    Reject {
        column: (!names.is_empty()).then(|| names.join(" + ")),
        ..reject(
            row,
            "duplicate_key",
            reason,
            "Correct the value at the source, or merge the two records.",
            Some(error),
        )
    }
}

/// There is no record to update.
pub(super) fn not_found(
    row: RowTag,
    target: &Target,
    key: &[Value],
    error: ServiceError,
) -> Reject {
    keyed(
        row,
        target,
        "not_found",
        format!("there is no {} with {}", target.table, shown(target, key)),
        "Create the record in Dataverse first, or use `mode: upsert`.",
        said(error),
    )
}

/// Several records have the key.
pub(super) fn ambiguous(row: RowTag, target: &Target, key: &[Value], matches: usize) -> Reject {
    keyed(
        row,
        target,
        "ambiguous",
        format!(
            "{matches} records of {} have {}",
            target.table,
            shown(target, key)
        ),
        "Merge the records in Dataverse so that one has this key.",
        None,
    )
}

/// The record was created, and its second write was refused.
pub(super) fn partial(reject: Reject) -> Reject {
    Reject {
        reason: format!(
            "the record was created, but not its state: {}",
            reject.reason
        ),
        ..reject
    }
}

/// A reference to a record that there is not, or of which there are several.
pub(super) fn unreferable(row: RowTag, reference: &Reference, matches: usize) -> Reject {
    let Lookup { column, target, .. } = &*reference.to;
    let key = shown(target, &reference.key);
    let (code, reason, advice) = if matches == 0 {
        (
            "reference_not_found",
            format!("there is no {} with {key}", target.table),
            "Push that table first, correct the value at the source, or say what to do with `absent:`.",
        )
    } else {
        (
            "reference_ambiguous",
            format!("{matches} records of {} have {key}", target.table),
            "Look the record up by an alternate key, or merge the records in Dataverse.",
        )
    };
    Reject {
        column: Some(column.to_string()),
        ..reject(row, code, reason, advice, None)
    }
}

/// Others change the record faster than it can be written.
pub(super) fn contended(row: RowTag, error: ServiceError) -> Reject {
    reject(
        row,
        "contended",
        "others kept creating and deleting the record while it was written".to_owned(),
        "Find out what else writes these records, then push again.",
        Some(error),
    )
}

/// The service was asked as often as the budget allows and always answered that it could not.
pub(super) fn service_unavailable(row: RowTag, tries: u32, error: ServiceError) -> Reject {
    reject(
        row,
        RejectCode::SERVICE_UNAVAILABLE.0,
        format!("the service failed at this row {tries} times"),
        "Push again later; if it stays, look for a plug-in, flow or firewall that fails at this record.",
        Some(error),
    )
}

/// The record alone is more than a request may hold.
pub(super) fn too_large(row: RowTag, error: ServiceError) -> Reject {
    reject(
        row,
        "too_large",
        "the record is larger than one request may be".to_owned(),
        "Shorten its longest texts at the source, or map fewer columns.",
        Some(error),
    )
}

/// The request about this record does not fit the table, though others did.
pub(super) fn unfit(row: RowTag, error: ServiceError) -> Reject {
    reject(
        row,
        "request_unfit",
        format!("the service does not take this record as it is: {error}"),
        "Compare the row with one that was accepted; the service's message names what it refused.",
        Some(error),
    )
}

/// The service does not even look for a record with this key.
pub(super) fn unfindable(row: RowTag, failure: Failure) -> Reject {
    match failure.cause {
        Cause::Row(RowFailure::Other { word, advice }) => refused(row, word, advice, failure.error),
        Cause::Row(
            RowFailure::NotFound | RowFailure::DuplicateRecord | RowFailure::DuplicateKey { .. },
        )
        | Cause::Throttled { .. }
        | Cause::Transient
        | Cause::TooLarge
        | Cause::Credential
        | Cause::Contract => unfit(row, failure.error),
    }
}

/// The service refused the row for a reason that the wire has a word for.
pub(super) fn refused(
    row: RowTag,
    word: &'static str,
    advice: &'static str,
    error: ServiceError,
) -> Reject {
    reject(
        row,
        word,
        format!("the service refused the record: {error}"),
        advice,
        Some(error),
    )
}

fn keyed(
    row: RowTag,
    target: &Target,
    word: &'static str,
    reason: String,
    advice: &'static str,
    error: Option<ServiceError>,
) -> Reject {
    let names: Vec<&str> = key_columns(target).map(LogicalName::as_str).collect();
    Reject {
        column: Some(names.join(" + ")),
        ..reject(row, word, reason, advice, error)
    }
}

fn reject(
    row: RowTag,
    word: &'static str,
    reason: String,
    advice: &'static str,
    service: Option<ServiceError>,
) -> Reject {
    Reject {
        position: row.position,
        column: None,
        code: RejectCode(word),
        reason,
        advice: Cow::Borrowed(advice),
        service,
    }
}

/// None if it was the lookup that told, and not the service in its words.
fn said(error: ServiceError) -> Option<ServiceError> {
    (error != ServiceError::default()).then_some(error)
}

fn key_columns(target: &Target) -> impl Iterator<Item = &LogicalName> {
    target
        .key
        .iter()
        .filter_map(|at| target.columns.get(*at))
        .map(|column| &column.name)
}

/// Each column of the key with its value.
fn shown(target: &Target, key: &[Value]) -> String {
    let pairs: Vec<String> = key_columns(target)
        .zip(key)
        .map(|(name, value)| format!("{name} = `{}`", text(value)))
        .collect();
    pairs.join(", ")
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Text(text) => text.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Decimal(number) => Decimal::normalize(number).to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(yes) => yes.to_string(),
        Value::Date(date) => date.to_string(),
        Value::Timestamp(instant) => instant.to_string(),
        Value::Choice(number) => number.to_string(),
        Value::Choices(numbers) => format!("{numbers:?}"),
        Value::Guid(guid) => guid.as_hyphenated().to_string(),
        Value::Reference(reference) => shown(&reference.to.target, &reference.key),
    }
}
