//! The summary: what a person wants to know at the end.

use super::{Reason, RemovalAction, RemovalKind, RemovalOutcome, RemovalReason, RunResults};

/// A few lines about one run, without a final line end.
pub fn summary(results: &RunResults) -> String {
    let (rows, requests) = (&results.rows, &results.requests);
    let rehearsed = if results.dry_run {
        "   (dry run: this is what would happen, nothing was written)"
    } else {
        ""
    };
    let head = format!(
        "{} → {}   {} row{} in {:.1} s{rehearsed}",
        results.mapping,
        results.destination,
        grouped(rows.read),
        if rows.read == 1 { "" } else { "s" },
        results.seconds
    );
    let always = [
        ("created", rows.created),
        ("updated", rows.updated),
        ("unchanged", rows.unchanged),
    ];
    let sometimes = [
        ("upserted", rows.upserted),
        ("deleted", rows.deleted),
        ("deactivated", rows.deactivated),
        ("kept", rows.kept),
        ("skipped", rows.skipped),
        ("rejected", rows.rejected),
        ("not attempted", rows.not_attempted),
    ];
    let told = sometimes.into_iter().filter(|(_, count)| *count > 0);
    let counts = always.into_iter().chain(told);
    let mut figures: Vec<String> = counts
        .map(|(name, count)| format!("{name} {}", grouped(count)))
        .collect();
    figures.push(format!("throttled {:.1} s", requests.waited));
    figures.push(format!(
        "requests {}",
        grouped(requests.reads + requests.writes)
    ));
    let mut lines = vec![head, figures.join("   ")];
    if rows.rejected > 0 {
        let reasons: Vec<String> = results.rejects.reasons.iter().map(reason).collect();
        let count = grouped(rows.rejected);
        lines.push(format!("{count} rejected: {}", reasons.join(", ")));
        let refused_before = results.rejects.held;
        if refused_before > 0 {
            let count = grouped(refused_before);
            lines.push(format!(
                "{count} of them held back, refused before: segue retry {}",
                results.run
            ));
        }
    }
    let rejects = results.rejects.file.iter();
    lines.extend(rejects.map(|file| format!("rejects: {file}      segue rejects {}", results.run)));
    lines.extend(removals(results));
    let cause = results.stopped_by.iter();
    lines.extend(cause.map(|cause| format!("stopped: {cause}")));
    lines.join("\n  ")
}

/// Which records are removed: the first of each kind, and where all of them are named.
fn removals(results: &RunResults) -> Vec<String> {
    let removals = &results.removals;
    let (Some(file), Some(table)) = (&removals.file, &removals.table) else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    for kind in &removals.kinds {
        lines.push(format!("{}:", told(kind)));
        lines.extend(kind.first.iter().map(|id| format!("  {id}")));
        let more = kind.records.saturating_sub(kind.first.len() as u64);
        if more > 0 {
            lines.push(format!("  and {} more", grouped(more)));
        }
    }
    let mut left = removals.kinds.iter().filter(|kind| is_there(kind));
    let look = left.find_map(|kind| kind.first.first());
    let look = look.map_or_else(String::new, |id| {
        let destination = &results.destination;
        format!("      segue get {table} {id} --destination {destination}")
    });
    lines.push(format!("removals: {file}{look}"));
    lines
}

/// `would delete 12 records that left the extract`
fn told(kind: &RemovalKind) -> String {
    let records = match kind.records {
        1 => "1 record".to_owned(),
        several => format!("{} records", grouped(several)),
    };
    let which = match kind.reason {
        RemovalReason::Missing => "that left the extract",
        RemovalReason::DeleteWhen => "whose rows are marked",
    };
    let records = format!("{records} {which}");
    let columns = &kind.columns;
    let would = match kind.action {
        RemovalAction::Delete => format!("delete {records}"),
        RemovalAction::Deactivate => format!("deactivate {records}"),
        RemovalAction::Set => format!("set {columns} on {records}"),
    };
    match kind.outcome {
        RemovalOutcome::Foreseen => format!("would {would}"),
        RemovalOutcome::Stopped => format!("did not {would}"),
        RemovalOutcome::NotAttempted => format!("did not come to {would}"),
        RemovalOutcome::Rejected => format!("refused, to {would}"),
        RemovalOutcome::Gone => format!("gone already, {records}"),
        RemovalOutcome::Done => match kind.action {
            RemovalAction::Delete => format!("deleted {records}"),
            RemovalAction::Deactivate => format!("deactivated {records}"),
            RemovalAction::Set => would,
        },
    }
}

/// Whether there is a record to look at.
fn is_there(kind: &RemovalKind) -> bool {
    match kind.outcome {
        RemovalOutcome::Gone => false,
        RemovalOutcome::Done => kind.action != RemovalAction::Delete,
        RemovalOutcome::Foreseen
        | RemovalOutcome::Stopped
        | RemovalOutcome::NotAttempted
        | RemovalOutcome::Rejected => true,
    }
}

fn reason(reason: &Reason) -> String {
    let (count, code) = (grouped(reason.rows), reason.code.replace('_', " "));
    match &reason.column {
        Some(column) => format!("{count} × {column}: {code}"),
        None => format!("{count} × {code}"),
    }
}

/// `1,990`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let numbers = [0, 999, 1_000, 12_345, 1_234_567].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }
}
