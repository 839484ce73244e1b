//! What goes wrong by chance: how often, and drawn from a seed.
//!
//! `429=0.01,close-after=0.005,rule=lastname:Smith` strikes one request in a hundred, loses the
//! answer of one in two hundred, and refuses rows for ever. What a fault does is left to `chaos`.

use std::str::FromStr;
use std::time::Duration;

use crate::chaos::dice;
use crate::chaos::rules::Rule;
use crate::chaos::{Fault, OperationFault};

/// Faults with how often they strike, and rules. The default is that nothing goes wrong.
///
/// Read from pieces with a comma between them; [`ChaosSpec::allowed`] lists them.
#[derive(Debug, Clone, PartialEq)]
pub struct ChaosSpec {
    requests: Vec<(RequestKind, f64)>,
    operations: Vec<(OperationKind, f64)>,
    retry_after: u32,
    stall: Duration,
    pub(crate) rules: Vec<Rule>,
}

impl Default for ChaosSpec {
    fn default() -> Self {
        Self {
            requests: Vec::new(),
            operations: Vec::new(),
            retry_after: 1,
            stall: Duration::from_secs(30),
            rules: Vec::new(),
        }
    }
}

/// A fault that strikes a request as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequestKind {
    Throttled,
    Unexpected,
    BadGateway,
    Unavailable,
    CloseBefore,
    CloseAfter,
    Truncate,
    Stall,
    Revoke,
}

/// A fault that strikes one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OperationKind {
    Throttled,
    Unexpected,
    Deadlock,
}

const REQUESTS: [(&str, RequestKind, &str); 9] = [
    ("429", RequestKind::Throttled, "throttled"),
    ("500", RequestKind::Unexpected, "an unexpected error"),
    ("502", RequestKind::BadGateway, "a gateway's page in HTML"),
    ("503", RequestKind::Unavailable, "unavailable, in HTML"),
    (
        "close-before",
        RequestKind::CloseBefore,
        "the connection closes, nothing is done",
    ),
    (
        "close-after",
        RequestKind::CloseAfter,
        "all is done, then the connection closes",
    ),
    (
        "truncate",
        RequestKind::Truncate,
        "all is done, half of the answer arrives",
    ),
    (
        "stall",
        RequestKind::Stall,
        "all is done, the answer comes late",
    ),
    ("revoke", RequestKind::Revoke, "its token is good no more"),
];

const OPERATIONS: [(&str, OperationKind, &str); 3] = [
    ("op-429", OperationKind::Throttled, "throttled"),
    ("op-500", OperationKind::Unexpected, "an unexpected error"),
    (
        "deadlock",
        OperationKind::Deadlock,
        "the database's error 1205",
    ),
];

const OTHERS: [(&str, &str); 3] = [
    (
        "retry-after",
        "seconds that throttled requests are told to wait (1)",
    ),
    ("stall-for", "seconds that a late answer takes (30)"),
    (
        "rule",
        "COLUMN:VALUE or TABLE.COLUMN:VALUE, refused by a business rule",
    ),
];

/// Why a text is no [`ChaosSpec`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChaosError {
    /// A piece without `=`.
    #[error("`{piece}` is not of the form NAME=VALUE; {}", ChaosSpec::allowed())]
    NoPair {
        /// As it was written.
        piece: String,
    },
    /// A fault that there is not.
    #[error("there is no fault `{name}`; {}", ChaosSpec::allowed())]
    Unknown {
        /// As it was written.
        name: String,
    },
    /// A fault that was named before.
    #[error("`{name}` is given twice")]
    Twice {
        /// Its name.
        name: String,
    },
    /// A share that is none.
    #[error("`{name}={value}`: a share is a number from 0 to 1, as 0.01 for one in a hundred")]
    Share {
        /// The fault.
        name: String,
        /// As it was written.
        value: String,
    },
    /// A number of seconds that is none.
    #[error("`{name}={value}`: write a whole number of seconds, at least 1")]
    Seconds {
        /// `retry-after` or `stall-for`.
        name: String,
        /// As it was written.
        value: String,
    },
    /// A rule without a column.
    #[error("`rule={value}`: write COLUMN:VALUE or TABLE.COLUMN:VALUE, as `rule=lastname:Smith`")]
    Rule {
        /// As it was written.
        value: String,
    },
    /// More than every request would be struck.
    #[error("the shares of faults for {of} add up to more than 1")]
    TooMuch {
        /// Of what.
        of: &'static str,
    },
}

impl ChaosSpec {
    /// What a text may hold, in one sentence.
    pub fn allowed() -> String {
        let requests = REQUESTS.iter().map(|(name, ..)| *name);
        let names = requests.chain(OPERATIONS.iter().map(|(name, ..)| *name));
        format!(
            "allowed are {}, each with a share from 0 to 1; retry-after and stall-for in seconds; \
             and rule=COLUMN:VALUE",
            names.collect::<Vec<_>>().join(", ")
        )
    }

    /// What a text may hold, a line for each name.
    pub fn explained() -> String {
        let line = |name: &str, meaning: &str| format!("{name:<14}{meaning}\n");
        let requests = REQUESTS
            .iter()
            .map(|(name, _, meaning)| line(name, meaning));
        let operations = OPERATIONS.iter().map(|(name, _, meaning)| {
            let meaning = format!("{meaning}, for one operation");
            line(name, &meaning)
        });
        let others = OTHERS.iter().map(|(name, meaning)| line(name, meaning));
        requests.chain(operations).chain(others).collect()
    }

    /// What strikes the request with this number.
    pub(crate) fn request(&self, seed: u64, number: u64) -> Fault {
        let kind = chosen(&self.requests, dice::drawn(seed, number));
        let Some(kind) = kind else {
            return Fault::Pass;
        };
        match kind {
            RequestKind::Throttled => Fault::Throttle {
                retry_after: self.retry_after,
            },
            RequestKind::Unexpected => status(500, UNEXPECTED),
            RequestKind::BadGateway => status(502, BAD_GATEWAY),
            RequestKind::Unavailable => status(503, UNAVAILABLE),
            RequestKind::CloseBefore => Fault::CloseBeforeCommit,
            RequestKind::CloseAfter => Fault::CloseAfterCommit,
            RequestKind::Truncate => Fault::TruncateBody,
            RequestKind::Stall => Fault::Stall { time: self.stall },
            RequestKind::Revoke => Fault::RevokeToken,
        }
    }

    /// What strikes an operation of this request.
    pub(crate) fn operation(&self, seed: u64, number: u64, index: usize) -> Option<OperationFault> {
        if self.operations.is_empty() {
            return None;
        }
        let place = u64::try_from(index).unwrap_or(u64::MAX).wrapping_add(1);
        let drawn = dice::drawn(dice::drawn(seed, number), place);
        Some(match chosen(&self.operations, drawn)? {
            OperationKind::Throttled => OperationFault::Throttle {
                retry_after: self.retry_after,
            },
            OperationKind::Unexpected => OperationFault::Unexpected,
            OperationKind::Deadlock => OperationFault::Deadlock,
        })
    }

    fn take(&mut self, piece: &str) -> Result<(), ChaosError> {
        let (name, value) = piece.split_once('=').ok_or_else(|| ChaosError::NoPair {
            piece: piece.to_owned(),
        })?;
        let (name, value) = (name.trim(), value.trim());
        match name {
            "rule" => self.rules.push(value.parse()?),
            "retry-after" => self.retry_after = seconds(name, value)?,
            "stall-for" => self.stall = Duration::from_secs(seconds(name, value)?.into()),
            _ => {
                let request = REQUESTS.iter().find(|(known, ..)| *known == name);
                let operation = OPERATIONS.iter().find(|(known, ..)| *known == name);
                match (request, operation) {
                    (Some((_, kind, _)), _) => add(&mut self.requests, *kind, name, value)?,
                    (_, Some((_, kind, _))) => add(&mut self.operations, *kind, name, value)?,
                    (None, None) => {
                        let name = name.to_owned();
                        return Err(ChaosError::Unknown { name });
                    }
                }
            }
        }
        Ok(())
    }
}

impl FromStr for ChaosSpec {
    type Err = ChaosError;

    fn from_str(text: &str) -> Result<Self, ChaosError> {
        let mut spec = Self::default();
        for piece in text.split(',').filter(|piece| !piece.trim().is_empty()) {
            spec.take(piece.trim())?;
        }
        check_sum("requests", &spec.requests)?;
        check_sum("operations", &spec.operations)?;
        Ok(spec)
    }
}

const UNEXPECTED: &str =
    r#"{"error":{"code":"0x80040216","message":"An unexpected error occurred."}}"#;
const BAD_GATEWAY: &str = "<html><head><title>502 Bad Gateway</title></head>\
    <body><center><h1>502 Bad Gateway</h1></center></body></html>";
const UNAVAILABLE: &str = "<html><head><title>Service Unavailable</title></head>\
    <body><h2>Service Unavailable</h2><hr><p>HTTP Error 503. The service is unavailable.</p>\
    </body></html>";

fn status(status: u16, body: &str) -> Fault {
    Fault::Status {
        status,
        body: body.to_owned(),
    }
}

fn seconds(name: &str, value: &str) -> Result<u32, ChaosError> {
    let number = value.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| ChaosError::Seconds {
        name: name.to_owned(),
        value: value.to_owned(),
    })
}

fn add<K: Copy + PartialEq>(
    kinds: &mut Vec<(K, f64)>,
    kind: K,
    name: &str,
    value: &str,
) -> Result<(), ChaosError> {
    if kinds.iter().any(|(known, _)| *known == kind) {
        let name = name.to_owned();
        return Err(ChaosError::Twice { name });
    }
    let share = value.parse().ok();
    let share = share.filter(|share| (0.0..=1.0).contains(share));
    let share = share.ok_or_else(|| ChaosError::Share {
        name: name.to_owned(),
        value: value.to_owned(),
    })?;
    kinds.push((kind, share));
    Ok(())
}

fn check_sum<K>(of: &'static str, kinds: &[(K, f64)]) -> Result<(), ChaosError> {
    let sum: f64 = kinds.iter().map(|(_, share)| share).sum();
    // Shares as people write them do not add up to the last bit.
    if sum > 1.0 + 1e-9 {
        return Err(ChaosError::TooMuch { of });
    }
    Ok(())
}

/// The kind in whose share a drawn number lies.
fn chosen<K: Copy>(kinds: &[(K, f64)], drawn: u64) -> Option<K> {
    let mut place = dice::share(drawn);
    for (kind, share) in kinds {
        if place < *share {
            return Some(*kind);
        }
        place -= share;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ChaosSpec {
        text.parse().unwrap()
    }

    fn wrong(text: &str) -> String {
        text.parse::<ChaosSpec>().unwrap_err().to_string()
    }

    #[test]
    fn every_name_is_understood() {
        let every = "429=0.1,500=0.1,502=0.1,503=0.1,close-before=0.1,close-after=0.1,\
                     truncate=0.1,stall=0.1,revoke=0.1,op-429=0.1,op-500=0.1,deadlock=0.1,\
                     retry-after=2,stall-for=5,rule=lastname:Smith,rule=account.name:a:b";
        let spec = read(every);
        assert_eq!((spec.requests.len(), spec.operations.len()), (9, 3));
        assert_eq!((spec.retry_after, spec.stall.as_secs()), (2, 5));
        assert_eq!(spec.rules.len(), 2);
        assert_eq!(read(""), ChaosSpec::default());
    }

    #[test]
    fn an_error_names_what_is_allowed() {
        let unknown = wrong("404=0.1");
        assert!(unknown.starts_with("there is no fault `404`; allowed are 429, 500, 502, 503, "));
        assert!(unknown.contains("close-after"), "{unknown}");
        assert!(wrong("429").contains("NAME=VALUE; allowed are"));
        assert!(wrong("429=2").contains("from 0 to 1"));
        assert!(wrong("429=x").contains("from 0 to 1"));
        assert!(wrong("429=0.1,429=0.2").contains("twice"));
        assert!(wrong("429=0.6,500=0.6").contains("requests add up to more than 1"));
        assert!(wrong("stall-for=0").contains("whole number of seconds"));
        assert!(wrong("rule=Smith").contains("COLUMN:VALUE"));
    }

    #[test]
    fn a_seed_strikes_the_same_requests_again() {
        let spec = read("429=0.2,close-after=0.1,deadlock=0.3");
        let struck = |seed| {
            let requests = (0..200).map(|number| spec.request(seed, number));
            requests.collect::<Vec<_>>()
        };
        assert_eq!(struck(1), struck(1));
        assert_ne!(struck(1), struck(2));
        let throttled = |fault: &&Fault| matches!(fault, Fault::Throttle { .. });
        let number = struck(1).iter().filter(throttled).count();
        assert!((20..60).contains(&number), "{number}");
        let operation = |index| spec.operation(1, 7, index);
        let operations: Vec<_> = (0..200).map(operation).collect();
        assert_eq!(operations, (0..200).map(operation).collect::<Vec<_>>());
        let struck = operations.iter().flatten().count();
        assert!((35..90).contains(&struck), "{struck}");
    }
}
