//! Rows that Dataverse refused before: which of them a run does not send, and what it keeps of new ones.

use super::Request;
use super::record::Pass;
use crate::ledger::{Breadth, EQUAL_ANSWERS, Extent, Held, Refused};
use crate::model::{Operation, Outcome, Position, Reject, Verdict};
use crate::report::HeldRow;

/// How much of the segment the run of a request is about.
pub(super) fn breadth(request: &Request) -> Breadth {
    let is_chosen = request.limit.is_some() || !request.keys.is_empty();
    match request.extent {
        _ if request.rejects_of.is_some() => Breadth::Retried,
        _ if is_chosen => Breadth::Chosen,
        Extent::Whole => Breadth::Whole,
        Extent::Partial => Breadth::Part,
    }
}

/// What the ledger keeps of an outcome that is a reject.
pub(super) fn refused(Outcome { operation, verdict }: &Outcome) -> Option<Refused> {
    rejected(verdict).map(|reject| Refused {
        key: operation.row.key,
        source: operation.row.source,
        code: reject.code.0.to_owned(),
        column: reject.column.clone(),
        reason: without_values(reject),
        advice: reject.advice.clone().into_owned(),
    })
}

/// The reject of a verdict, if it is one.
pub(super) fn rejected(verdict: &Verdict) -> Option<&Reject> {
    match verdict {
        Verdict::Rejected(reject) => Some(reject),
        Verdict::Partly { rest, .. } => rejected(rest),
        Verdict::Accepted(_)
        | Verdict::Unchanged
        | Verdict::Skipped(_)
        | Verdict::NotAttempted(_) => None,
    }
}

/// The reject of a record that no row stands for names the record.
pub(super) fn placed(reject: &Reject, operation: &Operation, pass: Pass) -> Reject {
    let mut reject = reject.clone();
    let id = operation.standing.as_deref().and_then(|it| it.id);
    if let (Pass::Vanished, Some(id)) = (pass, id) {
        reject.reason = format!("record {id} left the extract: {}", reject.reason);
    }
    reject
}

/// The reason without what the ledger must not hold: of the service's words only its code, and nothing in quotes. A
/// value may have a quote in it, so everything from the first to the last one goes.
fn without_values(reject: &Reject) -> String {
    let mut reason = reject.reason.clone();
    if let Some(service) = &reject.service {
        let code = format!("HTTP {}, {}", service.status, service.code);
        reason = reason.replace(&service.to_string(), code.trim_end_matches(", "));
        if !service.message.is_empty() {
            reason = reason.replace(&service.message, "…");
        }
    }
    let Some((before, quoted)) = reason.split_once('`') else {
        return reason;
    };
    let after = quoted.rsplit_once('`').map_or("", |(_, after)| after);
    format!("{before}`…`{after}")
}

/// The line of the reject file.
pub(super) fn row(position: Position, held: Held) -> HeldRow {
    let Held {
        refused,
        answers,
        runs_between,
        run,
    } = held;
    let times = match answers {
        1 => "once".to_owned(),
        several => format!("{several} times alike"),
    };
    let when = match runs_between {
        None => format!("Set aside after {EQUAL_ANSWERS} equal answers: not tried again."),
        Some(1) => "Held back, tried again in the next run.".to_owned(),
        Some(between) => format!("Held back, tried again in {between} runs."),
    };
    HeldRow {
        position,
        column: refused.column,
        code: refused.code,
        reason: format!("{} (refused {times}, last in run {run})", refused.reason),
        advice: format!(
            "{when} {} A change of the row or of the mapping frees it, and so does `segue retry` of this run.",
            refused.advice
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{KeyDigest, RejectCode, RunId, ServiceError, SourceDigest};

    fn reject(reason: &str, service: Option<ServiceError>) -> Reject {
        Reject {
            position: Position::new(0, 1),
            column: None,
            code: RejectCode("duplicate_key"),
            reason: reason.to_owned(),
            advice: "Mend it.".into(),
            service,
        }
    }

    #[test]
    fn what_is_kept_of_a_reason_has_no_values() {
        let told = |reason: &str| without_values(&reject(reason, None));
        assert_eq!(told("no values"), "no values");
        assert_eq!(
            told("another account has a = `x`y`, b = `z`, and the key is unique"),
            "another account has a = `…`, and the key is unique"
        );
        assert_eq!(told("cut `sho"), "cut `…`");
        let service = ServiceError {
            status: 400,
            code: "0x80040265".to_owned(),
            message: "Ann's `mail` is ann@example.org".to_owned(),
        };
        let reason = format!("the service refused the record: {service}");
        assert_eq!(
            without_values(&reject(&reason, Some(service))),
            "the service refused the record: HTTP 400, 0x80040265"
        );
    }

    #[test]
    fn a_held_row_says_when_it_is_tried_again() {
        let advice = |answers, runs_between| {
            let held = Held {
                refused: Refused {
                    key: KeyDigest([0; 16]),
                    source: SourceDigest(0),
                    code: "not_found".to_owned(),
                    column: None,
                    reason: "no".to_owned(),
                    advice: "Mend it.".to_owned(),
                },
                answers,
                runs_between,
                run: RunId::new("r"),
            };
            row(Position::new(0, 1), held).advice
        };
        assert!(advice(2, Some(1)).starts_with("Held back, tried again in the next run. Mend it."));
        assert!(advice(3, Some(3)).starts_with("Held back, tried again in 3 runs."));
        assert!(advice(6, None).starts_with("Set aside after 6 equal answers: not tried again."));
    }
}
